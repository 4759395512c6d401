/**
 * Entry `lpar/guest-worker`: a worker thread that is nothing but a guest. `table.spawn()` starts it with workerData of the
 * options of runGuest() and the `code`; whatever ends the guest ends the thread, whose exit is the failure of the partition.
 * With `onReturn: "keep"` a guest that has returned is a partition until the thread is ended.
 */
import { KEEP_ALIVE_MS } from "./clock.js";
import { type RunGuestOptions, runGuest } from "./guest.js";
import { workerThreads } from "./threads.js";
import { currentPartition } from "./worker.js";

/** The workerData of this entry. */
export interface GuestWork extends RunGuestOptions {
  /** The module, as runGuest() takes it. */
  readonly code: Uint8Array | ArrayBuffer | WebAssembly.Module;
}

const { code, ...options } = workerThreads().workerData as GuestWork;
runGuest(currentPartition(), code, options);
// What it has granted and accepted stays, until somebody ends the thread.
if (options.onReturn === "keep") setInterval(() => {}, KEEP_ALIVE_MS);
