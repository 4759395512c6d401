/** A worker of frame-pipeline.mjs: reads the frame, writes what it makes of it, and returns both. */
import { setTimeout as sleep } from "node:timers/promises";
import { workerData } from "node:worker_threads";
import { currentPartition } from "lpar/worker";

const partition = currentPartition();
// After a restart the camera connects it again, in a moment.
while (partition.adapters.length === 0) await sleep(1);
const [camera] = partition.adapters;
partition.registerQueue(camera, 0, 4096);

for await (const { header, payload } of partition.messages(camera)) {
  if (header !== 0x80) continue;
  const words = new DataView(payload.buffer, payload.byteOffset);
  const [source, target] = [2, 8].map((at) => words.getUint16(at) * 2 ** 32 + words.getUint32(at + 2));
  const from = partition.accept(source);
  const to = partition.accept(target);
  const frame = partition.read(from.address, from.length);
  for (let i = 0; i < frame.length; i++) frame[i] += workerData.index;
  partition.write(to.address, frame);
  from.return();
  to.return(); // the camera waits for this one
}
