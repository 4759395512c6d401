/**
 * The locks: one for each partition, and one that is taken first by whoever takes all of them.
 *
 *     a call that changes two partitions (grant, accept, return, rescind, send ...)   those two, the lower lpid first
 *     a call of the manager, and whatever walks trees or common tables                the first lock, then all by lpid
 *
 * Who holds any one of them keeps out who needs all; so what only the holder of all may change (the tables that all share,
 * the shape of the tree above a grant, states of partitions) stands still for everybody who holds one.
 *
 * Robust: a lock names its holder, so that the owner of the table can take it over from a thread that has exited, and each
 * thread notes in its record which locks it is about to take, so that it finds at its next call what a trap, a stack
 * overflow or a time limit has left, and mends that first.
 *
 *     0                                  free
 *     | waiters 1 | generation 20 | slot + 1, 10 bits |
 *
 * A table that no other thread has joined yet does without: there is nobody to keep out.
 *
 * Nobody waits for ever: locks are taken in one order, waits are short, the host says when to give up
 * (H_LongBusyOrder10msec), to the owner soonest, since its event loop must hear of exits.
 */
import {
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_LOCK,
  HEADER_LPIDS_USED,
  LOCK_ALL,
  LOCK_WAITERS,
  PARTITION_LOCK,
  START_CREATED,
  THREAD_JOB,
  THREAD_LOCK_A,
  THREAD_LOCK_B,
  THREAD_NAME,
  THREAD_REAPING,
  THREAD_STARTING,
  THREAD_WAKES,
} from "../src/layout";
import { pause } from "./env";
import { settle, settleJob } from "./job";
import { commit, put, THREAD, undo } from "./log";
import { endRequestsOf, ringCallersOf } from "./mailbox";
import { header, isAlone, NONE, threadsBesides } from "./memory";
import { isRunning, partitionAt, wakeSleepers } from "./partition";
import { undoStart } from "./recover";
import { freeNextRun } from "./staging";
import {
  decodeSlot,
  endStaleUse,
  endUseOf,
  freeSlot,
  nextEpoch,
  olderUse,
  ownSlot,
  threadAt,
  threadWord,
} from "./thread";

const SPINS: u32 = 64;

/** Lock number `index` of those that a thread record names: in the order in which they are taken. 0 past the last one. */
function lockAt(thread: usize, index: u32): usize {
  const first = threadWord(thread, THREAD_LOCK_A);
  if (first == LOCK_ALL) {
    if (index == 0) return HEADER_LOCK;
    return index > header(HEADER_LPIDS_USED) ? 0 : partitionAt(index) + PARTITION_LOCK;
  }
  const lpid = index == 0 ? first : index == 1 ? threadWord(thread, THREAD_LOCK_B) : 0;
  return lpid == 0 ? 0 : partitionAt(lpid) + PARTITION_LOCK;
}

function takeLock(lock: usize, name: u32): bool {
  return atomic.cmpxchg<u32>(lock, 0, name) == 0 || takeSlowly(lock, name);
}

/** Says in a lock that somebody will sleep on it. Answers what it then holds, 0 if it has changed meanwhile. */
function markWaiting(lock: usize, word: u32): u32 {
  const marked = word | LOCK_WAITERS;
  return word == marked || atomic.cmpxchg<u32>(lock, word, marked) == word ? marked : 0;
}

function takeSlowly(lock: usize, name: u32): bool {
  let attempt: u32 = 0;
  while (true) {
    for (let spin: u32 = 0; spin < SPINS; spin++) {
      // Others may wait too: whoever waited takes the lock together with the duty to wake them.
      const mine = attempt == 0 ? name : name | LOCK_WAITERS;
      if (atomic.load<u32>(lock) == 0 && atomic.cmpxchg<u32>(lock, 0, mine) == 0) return true;
    }
    const word = atomic.load<u32>(lock);
    if (word == 0) continue;
    const marked = markWaiting(lock, word);
    if (marked == 0) continue;
    if (pause(lock, marked, attempt) == 0) return false;
    attempt++;
  }
}

/**
 * Gives back the locks that a thread record names as far as they are in this thread's name, and clears the record. With
 * `wakes` -1 all are woken who sleep on any of them, held or not: the thread that was stopped may have freed a lock and
 * not come to wake the next one, or have been woken and not come to take it.
 */
function giveLocks(thread: usize, wakes: i32): void {
  const name = load<u32>(THREAD, THREAD_NAME);
  let index: u32 = 0;
  let lock = lockAt(thread, index);
  while (lock != 0) {
    const isHeld = (atomic.load<u32>(lock) & ~LOCK_WAITERS) == name;
    const word = isHeld ? atomic.xchg<u32>(lock, 0) : 0;
    if ((word & LOCK_WAITERS) != 0 || wakes < 0) atomic.notify(lock, wakes);
    index++;
    lock = lockAt(thread, index);
  }
  store<u32>(thread, 0, THREAD_WAKES);
  store<u32>(thread, 0, THREAD_LOCK_A);
  store<u32>(thread, 0, THREAD_LOCK_B);
}

function giveLock(lock: usize): void {
  if ((atomic.xchg<u32>(lock, 0) & LOCK_WAITERS) != 0) atomic.notify(lock, 1);
}

/** Takes all locks. Answers false when they were not to be had. */
export function acquireAll(): bool {
  begin();
  nameAll();
  if (isAlone()) return true;
  const name = load<u32>(THREAD, THREAD_NAME);
  let index: u32 = 0;
  let lock = lockAt(THREAD, index);
  while (lock != 0) {
    if (!takeLock(lock, name)) {
      giveLocks(THREAD, 1);
      return false;
    }
    index++;
    lock = lockAt(THREAD, index);
  }
  endStaleUse();
  return true;
}

/** Not 0 where an earlier call of this thread has left something undone. */
function left(): u32 {
  return load<u32>(THREAD, THREAD_LOCK_A) | load<u32>(THREAD, THREAD_REAPING);
}

/** Whether there is nobody to keep out, and nothing to mend. */
export function isQuick(): bool {
  return (threadsBesides() | left()) == 0;
}

/** What an earlier call of this thread has left undone is mended before another one begins. */
function begin(): void {
  if (left() != 0) mend();
}

/** This thread takes all locks, or has them, or gives them back. */
export function nameAll(): void {
  store<u64>(THREAD, LOCK_ALL, THREAD_LOCK_A);
}

/** This thread has given all locks back that it had. */
export function nameNone(): void {
  store<u64>(THREAD, 0, THREAD_LOCK_A);
}

/** For a thread that has no call to make, while others wait for what it left locked. */
export function mendCall(): void {
  begin();
}

/** Takes the locks of two partitions; the second may be 0, for none. Answers false when they were not to be had. */
export function acquire(lpid: u32, other: u32): bool {
  begin();
  let low = lpid;
  let high = other;
  if (other < lpid) {
    low = other == 0 ? lpid : other;
    high = other == 0 ? 0 : lpid;
  } else if (other == lpid) high = 0;
  store<u32>(THREAD, high, THREAD_LOCK_B);
  store<u32>(THREAD, low, THREAD_LOCK_A);
  if (isAlone()) return true;
  const name = load<u32>(THREAD, THREAD_NAME);
  if (!takeLock(partitionAt(low) + PARTITION_LOCK, name)) {
    giveLocks(THREAD, 1);
    return false;
  }
  if (high != 0 && !takeLock(partitionAt(high) + PARTITION_LOCK, name)) {
    giveLocks(THREAD, 1);
    return false;
  }
  endStaleUse();
  return true;
}

/** Commits, and gives the locks back. */
export function release(): void {
  settle();
  const first = load<u32>(THREAD, THREAD_LOCK_A);
  if (!isAlone()) {
    if (first == LOCK_ALL) {
      giveLocks(THREAD, 1);
      return;
    }
    const second = load<u32>(THREAD, THREAD_LOCK_B);
    giveLock(partitionAt(first) + PARTITION_LOCK);
    if (second != 0) giveLock(partitionAt(second) + PARTITION_LOCK);
    const wakes = load<u32>(THREAD, THREAD_WAKES);
    if (wakes != 0) {
      if ((wakes & 1) != 0) wakeSleepers(partitionAt(first));
      if ((wakes & 2) != 0) wakeSleepers(partitionAt(second));
      store<u32>(THREAD, 0, THREAD_WAKES);
    }
  }
  nameNone();
}

/** Looks that a thread gives a page before it waits for the lock of who moves it. */
const LOOKS: u32 = 64;
/** After so many looks at a page that nobody moves any more it gives up: only a broken table has such a page. */
const LOOKS_MAX: u32 = 1 << 20;

/**
 * A page is being moved. Comes back when it may be over, at the latest when who moves it gives all locks back; answers
 * false when that takes too long. It may be this thread itself that stopped in the middle, and lives on.
 */
export function waitForMover(attempt: u32): bool {
  if (attempt < LOOKS) return true;
  // The host counts the time from wait 0 on, so there is one, whatever the lock holds: never this, so that it is over at once.
  if (attempt == LOOKS) return pause(HEADER_LOCK, NONE, 0) != 0;
  if (attempt == LOOKS_MAX) return false;
  const word = atomic.load<u32>(HEADER_LOCK);
  if (word == 0) return true;
  if ((word & ~LOCK_WAITERS) == load<u32>(THREAD, THREAD_NAME)) {
    mend();
    return true;
  }
  const marked = markWaiting(HEADER_LOCK, word);
  if (marked == 0) return true;
  const mayGoOn = pause(HEADER_LOCK, marked, attempt - LOOKS) != 0;
  // Who gave the lock back woke one, and this one does not take it: the next one is woken in its place.
  atomic.notify(HEADER_LOCK, 1);
  return mayGoOn;
}

/**
 * A use goes on that a call must wait for; who waits holds no lock. Comes back after a while, or at once if there is no such use any
 * more; answers false when it takes too long.
 */
export function waitForUses(attempt: u32): bool {
  const user = olderUse(nextEpoch());
  const at = threadAt(user == NONE ? ownSlot() : user) + THREAD_NAME;
  const name = user == NONE ? 0 : atomic.load<u32>(at);
  // Where nobody is waited for, or its thread has exited, a name that nobody has: the wait is over at once.
  return pause(at, name != 0 ? name : load<u32>(THREAD, THREAD_NAME) | LOCK_WAITERS, attempt) != 0;
}

/** This thread stopped inside a call and lives on: undoes that call, or finishes what it had committed. */
function mend(): void {
  undo(THREAD);
  if (load<u32>(THREAD, THREAD_JOB) != 0) settleJob(THREAD);
  finishStart(THREAD);
  const reaping = load<u32>(THREAD, THREAD_REAPING);
  if (reaping != 0) repair(threadAt(reaping - 1));
  store<u32>(THREAD, 0, THREAD_REAPING);
  wakeLeft(THREAD);
  giveLocks(THREAD, -1);
}

/** The thread may have struck off who sleeps for a partition that it had locked, and not have woken them (signal()). */
function wakeLeft(thread: usize): void {
  let index: u32 = 0;
  let lock = lockAt(thread, index);
  while (lock != 0) {
    if (lock != HEADER_LOCK) wakeSleepers(lock - PARTITION_LOCK);
    index++;
    lock = lockAt(thread, index);
  }
}

/** A partition that a thread had begun to start is stopped again, if it does not run yet. */
function finishStart(thread: usize): void {
  const starting = threadWord(thread, THREAD_STARTING);
  if (starting == 0) return;
  if (!isRunning(partitionAt(starting & ~START_CREATED))) undoStart(starting);
  put(thread + THREAD_STARTING, 0);
  commit();
}

/**
 * Undoes or finishes the call that a dead thread was in. Its locks pass to this thread without ever being free, so that
 * nobody sees the tables before the repair. May be done again from the start.
 */
function repair(dead: usize): void {
  const name = threadWord(dead, THREAD_NAME);
  const own = load<u32>(THREAD, THREAD_NAME);
  let index: u32 = 0;
  let lock = lockAt(dead, index);
  while (lock != 0) {
    // Only the waiters bit can change under us.
    if ((atomic.load<u32>(lock) & ~LOCK_WAITERS) == name) atomic.store<u32>(lock, own | LOCK_WAITERS);
    index++;
    lock = lockAt(dead, index);
  }
  undo(dead);
  if (threadWord(dead, THREAD_JOB) != 0) settleJob(dead);
  finishStart(dead);
  wakeLeft(dead);
  giveLocks(dead, -1);
  // It may have been woken for a page that had moved, and not have come to wake the next one; no record names that lock.
  atomic.notify(HEADER_LOCK, -1);
}

/**
 * A thread has exited: nothing of it runs any more. What it was in the middle of is mended, and what was its own is taken
 * back. H_PARAMETER: no such thread. H_LongBusyOrder10msec: the second part is still to do, call again.
 */
export function reapThread(slot: f64): i32 {
  begin();
  const dead = decodeSlot(slot);
  if (dead == NONE) return H_PARAMETER;
  store<u32>(THREAD, dead + 1, THREAD_REAPING);
  repair(threadAt(dead));
  store<u32>(THREAD, 0, THREAD_REAPING);
  endUseOf(dead);
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  let page: u32 = 0;
  while (page != NONE) {
    page = freeNextRun(dead, page);
    settle();
  }
  endRequestsOf(dead);
  freeSlot(dead);
  ringCallersOf(dead);
  release();
  return H_SUCCESS;
}
