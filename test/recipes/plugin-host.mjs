/**
 * A host of plugins that nobody trusts. Each is a WebAssembly module in a worker of its own, with the calls of one partition as
 * its only imports, a limit of memory and a limit of time. One of them works, one reaches for what is not its own, one never
 * comes back; the host hears of each end, and everything is recovered.
 *
 *     npm install lpar assemblyscript && node plugin-host.mjs
 */
import asc from "assemblyscript/asc";
import { compileGuest, ResourceTable } from "lpar";

const PAGE = 4096;
const TIME_MS = 500;

/** The same interface for all plugins: run(cookie, length) works on the page that the cookie grants. */
async function plugin(body) {
  const { binary, stderr } = await asc.compileString(
    `@external("lpar_1", "accept") declare function accept(cookie: f64): i32;
     @external("lpar_1", "return") declare function giveBack(cookie: f64): i32;
     @external("lpar_1", "r4") declare function r4(): f64;
     @external("lpar_1", "read") declare function read(address: f64, pointer: usize, length: u32): i32;
     @external("lpar_1", "write") declare function write(address: f64, pointer: usize, length: u32): i32;
     const text = memory.data(${PAGE});
     export function run(cookie: f64, length: u32): i32 {
       if (accept(cookie) != 0) return 1;
       const address = r4();
       ${body}
     }`,
    { runtime: "stub", use: ["abort="] },
  );
  if (binary === null) throw new Error(stderr.toString());
  return compileGuest(binary, { maxPages: 16 });
}

const plugins = {
  capitals: await plugin(`
    if (read(address, text, length) != 0) return 2;
    for (let i: u32 = 0; i < length; i++) {
      const byte = load<u8>(text + i);
      if (byte >= 97 && byte <= 122) store<u8>(text + i, byte - 32);
    }
    if (write(address, text, length) != 0) return 3;
    return giveBack(cookie);`),
  greedy: await plugin(`
    return write(address + ${PAGE}, text, length) == 0 ? 0 : unreachable();`),
  endless: await plugin(`
    while (true) { if (read(address, text, length) != 0 && length == 0) return 0; }`),
};

const table = ResourceTable.create({ memory: 1 << 20, gracePeriodMs: 0 });
const host = table.createPartition({ name: "host", memory: 2 * PAGE });
const secret = new TextEncoder().encode("of the host");
host.write(PAGE, secret);

for (const [name, code] of Object.entries(plugins)) {
  const text = new TextEncoder().encode("plugged in");
  host.fill(0, PAGE, 0);
  host.write(0, text);
  const guest = table.createPartition({ name });
  table.connect(host, guest, { grants: 4 });
  const cookie = host.grant({ to: guest, address: 0, length: PAGE, regrant: false });
  const failed = waitForEnd(guest);
  const worker = await table.spawn(guest, new URL(import.meta.resolve("lpar/guest-worker")), {
    workerData: { code, entry: "run", args: [cookie, text.length] },
  });
  const timer = setTimeout(() => void worker.terminate(), TIME_MS);
  const reason = await failed;
  clearTimeout(timer);
  await table.recovered(guest);
  await table.destroyPartition(guest);
  console.log(`${name}: ${new TextDecoder().decode(host.read(0, text.length))}, ended: ${reason}`);
}
const kept = host.read(PAGE, secret.length).every((byte, index) => byte === secret[index]);
console.log(`the host's secret is ${kept ? "kept" : "gone"}, ${table.audit().problems.length} problems`);
await table.close();

/** Why a partition has failed. */
async function waitForEnd(partition) {
  for await (const { type, lpid, reason } of table.events())
    if (type === "partition-failed" && lpid === partition.lpid) return reason;
}
