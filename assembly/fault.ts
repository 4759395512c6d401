/**
 * Write faults: what a use of memory does that meets a page which must be copied first (cow.ts). It is not in a use meanwhile, takes
 * all locks for a few pages at a time, and begins again.
 */
import { H_LONG_BUSY_10_MSEC, H_RESCINDED, H_SUCCESS } from "../src/layout";
import { splitPages } from "./cow";
import { acquireAll, release, waitForUses } from "./lock";
import { isRunning } from "./partition";
import { isInUse } from "./thread";

/** Pages that are copied before others may have the locks. */
const FAULT_PAGES: u32 = 256;

/**
 * Makes pages ready to be written, for a call that takes no locks: those that the thread record names were left by one that stopped
 * half way, which is mended before they are taken. H_LongBusyOrder10msec: not now. H_NO_MEM: no frame is free.
 */
export function makeWritable(partition: usize, page: u32, count: u32): i32 {
  // Who copies may wait for this very use: it must end first.
  if (isInUse()) return H_LONG_BUSY_10_MSEC;
  let attempt: u32 = 0;
  let done: u32 = 0;
  while (done < count) {
    if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
    const run = min(FAULT_PAGES, count - done);
    const status = isRunning(partition) ? splitPages(partition, page + done, run) : H_RESCINDED;
    release();
    if (status == H_SUCCESS) done += run;
    else if (status != H_LONG_BUSY_10_MSEC || !waitForUses(attempt++)) return status;
  }
  return H_SUCCESS;
}
