/**
 * An application that goes through a bundler, with a worker that shares memory with it. Bundle both files as two entries
 * (ES modules, for Node), so that the worker lies beside the application under its own name: test/package/bundlers.mjs has the
 * options for esbuild, vite, webpack and rollup. lpar needs no plugin and no loader; its WebAssembly is inlined.
 */
import { ResourceTable } from "lpar";

const table = ResourceTable.create({ memory: 1 << 20, gracePeriodMs: 0 });
const app = table.createPartition({ name: "app", memory: 64 * 1024 });
const worker = table.createPartition({ name: "worker" });
table.connect(app, worker, { grants: 16 });

app.write(0, Uint8Array.of(1, 2, 3, 250));
const cookie = app.grant({ to: worker, address: 0, length: 4096 });
await table.spawn(worker, new URL("./worker.js", import.meta.url), { workerData: { cookie, length: 4 } });

for await (const { type } of app.events()) {
  console.log(type);
  if (type === "returned") console.log(app.read(0, 4).join(" "));
  if (type === "partner-recovered") break;
}
console.log(`${worker.state}, ${table.audit().problems.length} problems`);
await table.close();
