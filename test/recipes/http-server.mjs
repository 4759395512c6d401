/** The server of http-cache.mjs: asks the cache for a slice, sends it as it is lent, and returns it. */
import { createServer } from "node:http";
import { pipeline, Readable } from "node:stream";
import { parentPort } from "node:worker_threads";
import { currentPartition } from "lpar/worker";

const PIECE = 16 * 1024;

const partition = currentPartition();
const asked = new Map();
let requests = 0;

parentPort.on("message", ({ id, slice }) => {
  asked.get(id)(slice);
  asked.delete(id);
});

function ask(question) {
  const id = ++requests;
  return new Promise((resolve) => {
    asked.set(id, resolve);
    parentPort.postMessage({ id, ...question });
  });
}

/** What is lent, one piece at a time. @throws HcallError H_RESCINDED once it was taken back. */
function* pieces(address, length) {
  for (let at = 0; at < length; at += PIECE) yield partition.read(address + at, Math.min(PIECE, length - at));
}

const server = createServer(async (request, response) => {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = Number(range?.[1] ?? 0);
  const end = range?.[2] ? Number(range[2]) : undefined;
  const slice = await ask({ name: request.url.slice(1), start, end });
  let mapping;
  try {
    mapping = partition.accept(slice.cookie);
  } catch {
    // There is no such slice, or it was evicted between the answer and here.
    response.writeHead(404).end();
    return;
  }
  response.once("close", () => mapping.return());
  response.writeHead(range === null ? 200 : 206, { "content-length": slice.length, connection: "close" });
  // An answer that breaks off: the client is gone, or the slice was taken back. The response is closed in both cases.
  pipeline(Readable.from(pieces(mapping.address + slice.offset, slice.length)), response, () => {});
});
server.listen(0, "127.0.0.1", () => parentPort.postMessage({ port: server.address().port }));
