/** A partition that sends every message back to where it came from, until its partners are gone. */
import { currentPartition } from "../../dist/src/worker.js";

const partition = currentPartition();

async function echo(adapter) {
  for await (const { header, format, payload } of partition.messages(adapter)) {
    if (header === 0x80) partition.send(adapter, Uint8Array.of(header, format, ...payload));
  }
}

await Promise.all(partition.adapters.map(echo));
