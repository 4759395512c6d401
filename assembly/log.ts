/**
 * The undo log of a thread: what makes a changing call happen wholly or not at all, wherever its thread stops.
 *
 * Every store to a table goes through put(), which notes the old value first. commit() forgets the notes: one store, and
 * the moment at which the call has happened. Whoever finds notes of a thread that is gone (or its own, after a trap) puts
 * the old values back, last one first; doing that twice does no harm. Only the holder of the table lock has notes.
 *
 *     thread record: ... log count ... | address, old value | address, old value | ...
 *
 * What is too much for notes (the pages of a large range) is a job: the thread record names the range, the stores are not
 * noted, and job.ts brings the range in line with the structures that the undo has put back. A job is either ended in the
 * call's own commit (what takes a range) or begun in it (what gives a range back).
 *
 * Plain stores are enough: they are seen in order by the thread itself, and by another one only after the first has
 * exited or handed the lock on.
 */
import {
  LOG_ENTRY_BYTES,
  LOG_MAX,
  THREAD_BYTES,
  THREAD_JOB,
  THREAD_JOB_COUNT,
  THREAD_JOB_LPID,
  THREAD_JOB_PAGE,
  THREAD_JOB_SLOT,
  THREAD_JOB_SPACE,
  THREAD_LOG,
  THREAD_LOG_COUNT,
} from "../src/layout";
import { thread } from "./env";

if (THREAD_LOG + LOG_MAX * LOG_ENTRY_BYTES != THREAD_BYTES)
  ERROR("the log fills the rest of a thread record");

/** Byte offset of this thread's record. */
export const THREAD: usize = thread;

/** Changes one aligned word of a table. */
export function put(address: usize, value: u32): void {
  const count = load<u32>(THREAD, THREAD_LOG_COUNT);
  assert(count < u32(LOG_MAX));
  const note = THREAD + ((<usize>count) << 3);
  store<u32>(note, <u32>address, THREAD_LOG);
  store<u32>(note, load<u32>(address), THREAD_LOG + 4);
  store<u32>(THREAD, count + 1, THREAD_LOG_COUNT);
  store<u32>(address, value);
}

/** Changes one aligned double word. */
export function putLong(address: usize, value: u64): void {
  put(address, <u32>value);
  put(address + 4, <u32>(value >> 32));
}

/** What was put since the last commit has happened. */
export function commit(): void {
  store<u32>(THREAD, 0, THREAD_LOG_COUNT);
}

/** Puts back what a thread stored since its last commit. */
export function undo(thread: usize): void {
  let count = load<u32>(thread, THREAD_LOG_COUNT);
  while (count != 0) {
    count--;
    const note = thread + ((<usize>count) << 3);
    store<u32>(<usize>load<u32>(note, THREAD_LOG), load<u32>(note, THREAD_LOG + 4));
  }
  store<u32>(thread, 0, THREAD_LOG_COUNT);
}

/** From here on the range may be half written. The kind is stored last: before it there is no job. */
export function beginJob(kind: u32, slot: u32, lpid: u32, space: u32, page: u32, count: u32): void {
  store<u32>(THREAD, slot, THREAD_JOB_SLOT);
  store<u32>(THREAD, lpid, THREAD_JOB_LPID);
  store<u32>(THREAD, space, THREAD_JOB_SPACE);
  store<u32>(THREAD, page, THREAD_JOB_PAGE);
  store<u32>(THREAD, count, THREAD_JOB_COUNT);
  store<u32>(THREAD, kind, THREAD_JOB);
}

/** The range is written; with the commit there is no job any more. */
export function endJob(): void {
  put(THREAD + THREAD_JOB, 0);
}
