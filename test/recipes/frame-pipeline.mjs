/**
 * Frames go through four workers, one after the other, while a worker is killed again and again at any instant. A worker gets
 * the frame as it is, read-only, and a page for what it makes of it; when it dies the partition is recovered and starts
 * again, and the frame goes to it once more. No frame is lost, and none is half done.
 *
 *     node frame-pipeline.mjs [milliseconds between two kills] [kills]
 */
import { ResourceTable } from "lpar";

const FRAME = 64 * 1024;
const STAGES = 4;
const KILL_EVERY_MS = Number(process.argv[2] ?? 1000);
const KILLS = Number(process.argv[3] ?? 10);

const table = ResourceTable.create({ memory: 4 << 20, gracePeriodMs: 0 });
const camera = table.createPartition({ name: "camera", memory: 2 * FRAME });
const stages = [];
for (let index = 0; index < STAGES; index++) {
  const partition = table.createPartition({ name: `stage ${index}`, memory: 4096 });
  const stage = { partition, adapter: table.connect(camera, partition, { grants: 16 }), waiting: undefined };
  stages.push(stage);
  stage.worker = await table.spawn(partition, new URL("./frame-stage.mjs", import.meta.url), {
    workerData: { index },
    restart: { max: KILLS + 1, backoffMs: 1 },
  });
}

/** What the camera is told decides how a step ends: the worker has given the page back, or it has died. */
async function listen() {
  for await (const { type, partner, cookie } of camera.events()) {
    const stage = stages.find(({ partition }) => partition.lpid === partner);
    if (type === "returned" && cookie === stage?.waiting?.cookie) stage.waiting.end(true);
    if (type === "partner-failed") stage?.waiting?.end(false);
  }
}

/** A partition that starts again has no adapters: they were its last incarnation's. */
async function reconnect() {
  for await (const { type, lpid } of table.events()) {
    const stage = stages.find(({ partition }) => partition.lpid === lpid);
    if (type === "partition-restarted" && stage !== undefined)
      stage.adapter = table.connect(camera, stage.partition, { grants: 16 });
  }
}

/** Gives a stage the frame at `from` and the page at `to`. @returns whether it did its work and returned both. */
async function step(stage, from, to) {
  const { adapter } = stage;
  const grants = [];
  try {
    grants.push(camera.grant({ to: adapter, address: from, length: FRAME, write: false }));
    grants.push(camera.grant({ to: adapter, address: to, length: FRAME }));
    const done = new Promise((end) => {
      stage.waiting = { cookie: grants[1], end };
    });
    const entry = new DataView(new ArrayBuffer(16));
    entry.setUint8(0, 0x80);
    entry.setUint8(1, 1);
    // 2 bytes are free, 6 and 6 hold a cookie each: cookies are integers below 2^53.
    grants.forEach((cookie, index) => {
      entry.setUint16(4 + 6 * index, cookie / 2 ** 32);
      entry.setUint32(6 + 6 * index, cookie % 2 ** 32);
    });
    camera.send(adapter, new Uint8Array(entry.buffer));
    return await done;
  } catch {
    return false; // It has just died, or its queue is not registered yet.
  } finally {
    stage.waiting = undefined;
    for (const cookie of grants) await camera.rescindForced(cookie).catch(() => {}); // gone with who died
  }
}

void listen();
void reconnect();
let kills = 0;
const killer = setInterval(() => {
  void stages[kills % STAGES].worker.worker.terminate();
  if (++kills === KILLS) clearInterval(killer);
}, KILL_EVERY_MS);

let [frames, repeated, wrong] = [0, 0, 0];
while (kills < KILLS || frames === 0) {
  const first = frames % 251;
  camera.fill(0, FRAME, first);
  let [from, to] = [0, FRAME];
  for (const stage of stages) {
    while (!(await step(stage, from, to))) {
      repeated++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    [from, to] = [to, from];
  }
  // Each stage adds its number, so that a frame that missed one, or met one twice, shows.
  const expected = first + 0 + 1 + 2 + 3;
  if (!camera.read(from, FRAME).every((byte) => byte === expected % 256)) wrong++;
  frames++;
}

console.log(`${kills} kills, ${wrong} frames wrong, ${table.audit().problems.length} problems`);
console.error(`${frames} frames, ${repeated} tries of a step that had to be repeated`);
for (const { worker } of stages) await worker.terminate();
await table.close();
