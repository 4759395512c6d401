/** The worker of the bundled application: doubles what it was granted, in place, returns it and ends. */
import { workerData } from "node:worker_threads";
import { HcallError } from "lpar";
import { currentPartition } from "lpar/worker";

const partition = currentPartition();
const mapping = partition.accept(workerData.cookie);
const bytes = partition.read(mapping.address, workerData.length);
partition.write(
  mapping.address,
  bytes.map((byte) => byte * 2),
);
try {
  partition.write(mapping.address + mapping.length, bytes);
} catch (error) {
  // The class is the one that the library throws, also when application and worker were bundled apart.
  if (!(error instanceof HcallError)) throw error;
}
mapping.return();
