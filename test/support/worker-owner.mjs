/** A thread that owns a table itself and has a partition in a thread of its own; counts how often that one is alive. */
import { workerData } from "node:worker_threads";
import { ResourceTable } from "../../dist/src/index.js";

const table = ResourceTable.create({ memory: 16 * 4096 });
const [owner, beat] = [1, 2].map((n) => table.createPartition({ name: `p${n}`, memory: 4 * 4096 }));
table.connect(owner, beat);
await table.spawn(beat, new URL("./worker-beat.mjs", import.meta.url), { workerData });
setInterval(() => {}, 1000);
