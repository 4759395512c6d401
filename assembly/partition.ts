/**
 * Partition records.
 *
 *     0                                              64                           128            208
 *     | state, lock, lists, counters, events of grants | the rest of lists and counters | five spaces | scratch ... 256
 *
 * What a grant, its accept, return and rescind change is one cache line: it passes to and fro between two threads.
 * The counters are written by whoever changes what they count; audit() recounts them.
 */
import {
  H_PARAMETER,
  H_RESCINDED,
  HEADER_PARTITIONS_AT,
  HEADER_PARTITIONS_MAX,
  PARTITION_BYTES,
  PARTITION_DEFERRED,
  PARTITION_FAILED,
  PARTITION_FREE,
  PARTITION_RUNNING,
  PARTITION_SIGNAL,
  PARTITION_STATE,
  PARTITION_WAITING,
  SIGNALLED,
  THREAD_LOCK_A,
  THREAD_LOCK_B,
  THREAD_SIGNALLED,
  THREAD_SIGNALS,
  THREAD_WAKES,
} from "../src/layout";
import { decodeInteger } from "./decode";
import { put, THREAD } from "./log";
import { header, isAlone } from "./memory";

/** The record of an lpid that is in range. */
export function partitionAt(lpid: u32): usize {
  return <usize>header(HEADER_PARTITIONS_AT) + <usize>lpid * PARTITION_BYTES;
}

export function lpidOf(partition: usize): u32 {
  return <u32>((partition - <usize>header(HEADER_PARTITIONS_AT)) / PARTITION_BYTES);
}

/** The record of a number that a caller named; one that is free, if there is no such partition. */
export function partitionNumbered(lpid: u32): usize {
  return partitionAt(lpid > header(HEADER_PARTITIONS_MAX) ? 0 : lpid); // record 0 is free
}

/** The same, or 0: no such partition. */
export function partitionKnown(lpid: u32): usize {
  const partition = partitionNumbered(lpid);
  return partitionWord(partition, PARTITION_STATE) == PARTITION_FREE ? 0 : partition;
}

export function decodePartition(lpid: f64): usize {
  return partitionKnown(decodeInteger(lpid));
}

export function partitionWord(partition: usize, offset: usize): u32 {
  return load<u32>(partition + offset);
}

export function setPartitionWord(partition: usize, offset: usize, value: u32): void {
  put(partition + offset, value);
}

export function addPartitionWord(partition: usize, offset: usize, delta: i32): void {
  put(partition + offset, load<u32>(partition + offset) + delta);
}

/** Whether a partition runs whose lock is held: nobody changes that meanwhile. */
export function runsNow(partition: usize): bool {
  return partitionWord(partition, PARTITION_STATE) == PARTITION_RUNNING;
}

/** Why a call of a partition that does not run is refused. */
export function whyStopped(partition: usize): i32 {
  return partitionWord(partition, PARTITION_STATE) == PARTITION_FREE ? H_PARAMETER : H_RESCINDED;
}

/**
 * Atomic, since a use asks without a lock: the answer must not be older than the epoch in which the use began, else the
 * recovery of the partition might not wait for it.
 */
export function isRunning(partition: usize): bool {
  return atomic.load<u32>(partition, PARTITION_STATE) == PARTITION_RUNNING;
}

/**
 * The last step of a start. Not noted: a use may begin at once, without a lock, and must keep the memory that it finds. So from here
 * on the start has happened, wherever its thread stops (finishStart).
 */
export function beginToRun(partition: usize): void {
  atomic.store<u32>(partition, PARTITION_RUNNING, PARTITION_STATE);
}

/** Whether it has failed, and its recovery waits until what it granted is returned (FA7). */
export function isDeferred(partition: usize): bool {
  return (
    partitionWord(partition, PARTITION_DEFERRED) != 0 &&
    partitionWord(partition, PARTITION_STATE) == PARTITION_FAILED
  );
}

if ((SIGNALLED & (SIGNALLED - 1)) != 0) ERROR("the last signalled are a power of two");

/**
 * The partition has something to take. Called with its lock held, after what there is to take was stored and before the
 * commit: who is woken too early waits for the lock, and a sender that dies here wakes somebody for nothing; the other
 * order could lose the wake-up. One that dies between the last two steps has struck the sleepers off and left them
 * asleep: whoever mends its call wakes them.
 */
export function signal(partition: usize): void {
  const count = load<u32>(THREAD, THREAD_SIGNALS);
  store<u32>(THREAD + ((<usize>(count & (SIGNALLED - 1))) << 2), <u32>partition, THREAD_SIGNALLED);
  store<u32>(THREAD, count + 1, THREAD_SIGNALS);
  if (isAlone()) {
    store<u32>(partition, load<u32>(partition, PARTITION_SIGNAL) + 1, PARTITION_SIGNAL);
    return;
  }
  atomic.add<u32>(partition + PARTITION_SIGNAL, 1);
  if (atomic.xchg<u32>(partition + PARTITION_WAITING, 0) != 0) wakeLater(partition);
}

/**
 * Who is woken wants the lock at once, so sleepers are called when the locks are given back (lock.ts), still with the locks
 * named in the thread record; whoever holds all locks calls them now.
 */
function wakeLater(partition: usize): void {
  const lpid = lpidOf(partition);
  const inB: u32 = lpid == load<u32>(THREAD, THREAD_LOCK_B) ? 2 : 0;
  const which = lpid == load<u32>(THREAD, THREAD_LOCK_A) ? 1 : inB;
  store<u32>(THREAD, load<u32>(THREAD, THREAD_WAKES) | which, THREAD_WAKES);
  if (which == 0) wakeSleepers(partition);
}

/** Who sleeps for the partition looks again. */
export function wakeSleepers(partition: usize): void {
  atomic.notify(partition + PARTITION_SIGNAL, -1);
}
