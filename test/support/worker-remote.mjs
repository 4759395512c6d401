/** A partition that does what the test sends it: functions as text, with what this thread has as their first argument. */
import vm from "node:vm";
import { parentPort, workerData } from "node:worker_threads";

const kept = {};

async function open() {
  const [{ currentPartition }, lpar, hcall, layout] = await Promise.all([
    import("../../dist/src/worker.js"),
    import("../../dist/src/index.js"),
    import("../../dist/src/hcall.js"),
    import("../../dist/src/layout.js"),
  ]);
  const partition = currentPartition();
  const handle = globalThis[Symbol.for("lpar.thread")];
  return { partition, currentPartition, lpar, hcall, layout, kept, workerData, parentPort, handle, vm };
}

let inside;
parentPort.on("message", async ({ id, source, argument }) => {
  try {
    inside ??= open();
    const value = await new Function(`return (${source})`)()(await inside, argument);
    parentPort.postMessage({ id, value });
  } catch (error) {
    const { name, message, code } = error;
    parentPort.postMessage({ id, error: { name, message, code } });
  }
});
