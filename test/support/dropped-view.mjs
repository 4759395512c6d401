/** Drops views without release(), in a process with --expose-gc; says on standard output how often it was warned, and of what. */
import { setImmediate } from "node:timers/promises";
import { ResourceTable } from "../../dist/src/index.js";

const [, , mode] = process.argv;
const warnings = [];
process.on("warning", ({ name, code, message, detail }) => warnings.push({ name, code, message, detail }));

const table = ResourceTable.create({ memory: 64 * 4096, debug: mode !== "off" });
const partition = table.createPartition({ name: "one", memory: 8 * 4096 });

function takeAndDrop() {
  const { bytes } = partition.view(4096, 100);
  bytes.fill(7);
  return bytes;
}

function takeAndRelease() {
  partition.view(0, 16).release();
}

const kept = partition.view(8192, 16);
const bytes = takeAndDrop();
takeAndRelease();
if (mode === "closed") await table.close();
for (let turn = 0; turn < 20; turn++) {
  globalThis.gc();
  await setImmediate();
}
const pins = mode === "closed" ? undefined : partition.usage().pins;
// What was made from the view is as it was; a page that moves does not ask for the view that is gone.
const isWhole = bytes.every((byte) => byte === 7);
if (mode !== "closed") await table.compact();
console.log(JSON.stringify({ warnings, pins, isWhole, kept: mode === "closed" ? 16 : kept.bytes.length }));
