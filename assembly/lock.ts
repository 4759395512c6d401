/**
 * The table lock: every call that changes the table holds it. Robust: its word names the holder, so that the owner of the
 * table can take it over from a thread that has exited, and a thread that finds its own name (it lives on after a trap, a
 * stack overflow or a time limit inside a call) knows that it must mend before it goes on.
 *
 *     0                                  free
 *     | waiters 1 | generation 20 | slot + 1, 10 bits |
 *
 * Nobody waits for ever: waits are short, the host says when to give up (H_LongBusyOrder10msec), and the owner, whose event
 * loop must hear of exits, waits hardly at all.
 */
import {
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_LOCK,
  LOCK_WAITERS,
  THREAD_JOB,
  THREAD_NAME,
  THREAD_REAPING,
  THREAD_STARTING,
} from "../src/layout";
import { pause } from "./env";
import { settle, settleJob } from "./job";
import { commit, put, THREAD, undo } from "./log";
import { NONE } from "./memory";
import { undoStart } from "./recover";
import { freeNextRun } from "./staging";
import { decodeSlot, endStaleUse, endUseOf, freeSlot, threadAt, threadWord } from "./thread";

const SPINS: u32 = 64;

/** Takes the lock. Answers false when it was not to be had; nothing has happened then. */
export function acquire(): bool {
  const name = load<u32>(THREAD, THREAD_NAME);
  if (atomic.cmpxchg<u32>(HEADER_LOCK, 0, name) == 0 || acquireSlowly(name)) {
    endStaleUse();
    return true;
  }
  return false;
}

function acquireSlowly(name: u32): bool {
  let attempt: u32 = 0;
  while (true) {
    for (let spin: u32 = 0; spin < SPINS; spin++) {
      const word = atomic.load<u32>(HEADER_LOCK);
      if ((word & ~LOCK_WAITERS) == name) {
        mend();
        return true;
      }
      // Others may wait too: whoever waited takes the lock together with the duty to wake them.
      if (word == 0 && atomic.cmpxchg<u32>(HEADER_LOCK, 0, attempt == 0 ? name : name | LOCK_WAITERS) == 0) {
        return true;
      }
    }
    const word = atomic.load<u32>(HEADER_LOCK);
    if (word == 0 || (word & ~LOCK_WAITERS) == name) continue;
    const marked = word | LOCK_WAITERS;
    if (word != marked && atomic.cmpxchg<u32>(HEADER_LOCK, word, marked) != word) continue;
    if (pause(marked, attempt) == 0) return false;
    attempt++;
  }
}

/** Gives the lock back after a call. */
export function release(): void {
  settle();
  if ((atomic.xchg<u32>(HEADER_LOCK, 0) & LOCK_WAITERS) != 0) atomic.notify(HEADER_LOCK, 1);
}

/** This thread stopped inside a call and lives on: undoes that call, or finishes what it had committed. */
function mend(): void {
  undo(THREAD);
  if (load<u32>(THREAD, THREAD_JOB) != 0) settleJob(THREAD);
  const starting = load<u32>(THREAD, THREAD_STARTING);
  if (starting != 0) {
    undoStart(starting);
    put(THREAD + THREAD_STARTING, 0);
    commit();
  }
  const reaping = load<u32>(THREAD, THREAD_REAPING);
  if (reaping != 0) reap(reaping - 1);
}

/** Undoes or finishes the call that a dead thread was in, and takes back what was the thread's own. */
function reap(slot: u32): void {
  const thread = threadAt(slot);
  undo(thread);
  if (threadWord(thread, THREAD_JOB) != 0) settleJob(thread);
  endUseOf(slot);
  let page: u32 = 0;
  while (page != NONE) {
    page = freeNextRun(slot, page);
    settle();
  }
  freeSlot(slot);
  put(THREAD + THREAD_REAPING, 0);
  commit();
}

/**
 * A thread has exited: nothing of it runs any more. If it died with the lock, the lock passes from it to the caller
 * without ever being free, so that nobody sees the table before the repair. H_PARAMETER: no such thread.
 */
export function reapThread(slot: f64): i32 {
  const dead = decodeSlot(slot);
  if (dead == NONE) return H_PARAMETER;
  const name = threadWord(threadAt(dead), THREAD_NAME);
  const word = atomic.load<u32>(HEADER_LOCK);
  const own = load<u32>(THREAD, THREAD_NAME);
  if ((word & ~LOCK_WAITERS) == name) {
    store<u32>(THREAD, dead + 1, THREAD_REAPING);
    // Only the waiters bit can change under us, and it only comes.
    if (atomic.cmpxchg<u32>(HEADER_LOCK, word, own | LOCK_WAITERS) != word) {
      atomic.store<u32>(HEADER_LOCK, own | LOCK_WAITERS);
    }
  } else {
    if (!acquire()) return H_LONG_BUSY_10_MSEC;
    store<u32>(THREAD, dead + 1, THREAD_REAPING);
  }
  reap(dead);
  // All of them: a single wake-up may go to a thread that is dying too.
  atomic.store<u32>(HEADER_LOCK, 0);
  atomic.notify(HEADER_LOCK, -1);
  return H_SUCCESS;
}
