/**
 * Entry `lpar/worker`: inside a worker thread that is a partition.
 */
import { LparError } from "./errors.js";
import type { Partition } from "./partition.js";

/** The partition that this thread is. @throws LparError LPAR_NOT_A_WORKER elsewhere; partitions in workers are to come. */
export function currentPartition(): Partition {
  throw new LparError(
    "LPAR_NOT_A_WORKER",
    "this thread is not a partition: it was not started by spawn() or attach()",
  );
}
