/** A partition that counts in shared memory as long as it lives, with a hypercall each time. */
import { workerData } from "node:worker_threads";
import { currentPartition } from "../../dist/src/worker.js";

const partition = currentPartition();
setInterval(() => {
  partition.free(partition.allocate(4096));
  Atomics.add(workerData, 0, 1);
}, 1);
