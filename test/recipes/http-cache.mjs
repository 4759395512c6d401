/**
 * A cache that lends slices to an HTTP server in another thread, read-only and for as long as an answer takes. The server
 * reads them piece by piece as its client takes them; nothing is kept twice. When the cache evicts an entry it takes it back by
 * force, whatever is being sent: that answer breaks off instead of telling what came to the same place, and the next request
 * finds nothing.
 *
 *     node http-cache.mjs
 */
import { ResourceTable } from "lpar";

const PAGE = 4096;
const table = ResourceTable.create({ memory: 8 << 20 });
const cache = table.createPartition({ name: "cache", memory: 1 << 20 });
const server = table.createPartition({ name: "server" });
table.connect(cache, server, { grants: 1000 });

/** Entries by name: where they are, and what is lent of them. */
const entries = new Map();

function put(name, bytes) {
  const address = cache.allocate(bytes.length);
  cache.write(address, bytes);
  entries.set(name, { address, length: bytes.length, lent: new Set() });
}

/** Whoever has a slice now loses it; its pages are the cache's again. */
async function evict(name) {
  const { address, lent } = entries.get(name);
  entries.delete(name);
  for (const cookie of lent) await cache.rescindForced(cookie);
  cache.free(address);
}

/** Lends the pages around a slice. @returns what the server needs to accept them, undefined if there is no such slice. */
function lend(name, start, end) {
  const entry = entries.get(name);
  if (entry === undefined) return undefined;
  const last = Math.min(end ?? entry.length - 1, entry.length - 1);
  if (!(start <= last)) return undefined;
  const first = start - (start % PAGE);
  const length = Math.ceil((last + 1 - first) / PAGE) * PAGE;
  const cookie = cache.grant({
    to: server,
    address: entry.address + first,
    length,
    write: false,
    regrant: false,
  });
  entry.lent.add(cookie);
  return { cookie, offset: start - first, length: last + 1 - start };
}

/** What the server has sent it returns; a grant that nobody uses is not kept. What was evicted meanwhile is gone already. */
async function collect() {
  for await (const { type, cookie } of cache.events()) {
    if (type !== "returned") continue;
    for (const { lent } of entries.values()) if (lent.delete(cookie)) cache.rescind(cookie);
  }
}
void collect();

const { worker } = await table.spawn(server, new URL("./http-server.mjs", import.meta.url));
const port = await new Promise((resolve) => {
  worker.on("message", (message) => {
    if (message.port !== undefined) return resolve(message.port);
    const { id, name, start, end } = message;
    worker.postMessage({ id, slice: lend(name, start, end) });
  });
});

put(
  "letters",
  Uint8Array.from({ length: 100_000 }, (_, index) => 97 + (index % 26)),
);
const url = `http://127.0.0.1:${port}/letters`;
const whole = await (await fetch(url)).text();
console.log(`whole: ${whole.length} bytes`);
const slices = await Promise.all(
  Array.from({ length: 50 }, async (_, index) => {
    const [start, end] = [index * 1999, index * 1999 + 99];
    const answer = await fetch(url, { headers: { range: `bytes=${start}-${end}` } });
    return (await answer.text()) === whole.slice(start, end + 1) && answer.status === 206;
  }),
);
console.log(`slices: ${slices.filter(Boolean).length} of 50 right`);
await evict("letters");
console.log(`evicted: ${(await fetch(url)).status}`);
console.log(`${server.usage().grantsIn} grants left, ${table.audit().problems.length} problems`);
await table.destroyPartition(server);
await table.close();
