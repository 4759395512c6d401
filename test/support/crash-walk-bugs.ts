/**
 * Bugs to seed in the core, of the order of stores, of undoing, of locks and of waits: the walks find each of them. Others of the
 * kind that crash.test.ts and the schedules find are seeded there.
 */
import type { Mutation } from "./crash-core.js";

export const BUGS: readonly Mutation[] = [
  {
    bug: "who lives on does the job before the undo",
    file: "assembly/lock.ts",
    from: "undo(THREAD);\n  if (load<u32>(THREAD, THREAD_JOB) != 0) settleJob(THREAD);",
    to: "if (load<u32>(THREAD, THREAD_JOB) != 0) settleJob(THREAD);\n  undo(THREAD);",
  },
  {
    bug: "who lives on forgets those who were struck off as sleepers and not woken",
    file: "assembly/lock.ts",
    from: "store<u32>(THREAD, 0, THREAD_REAPING);\n  wakeLeft(THREAD);",
    to: "store<u32>(THREAD, 0, THREAD_REAPING);",
  },
  {
    bug: "who lives on forgets a start half-way",
    file: "assembly/lock.ts",
    from: "finishStart(THREAD);",
    to: "",
  },
  {
    bug: "whose work is being undone is not noted, so that who stops in that does not go on with it",
    file: "assembly/lock.ts",
    from: "store<u32>(THREAD, dead + 1, THREAD_REAPING);",
    to: "",
  },
  {
    bug: "who does not get the second lock keeps the first one",
    file: "assembly/lock.ts",
    from: "if (high != 0 && !takeLock(partitionAt(high) + PARTITION_LOCK, name)) {\n    giveLocks(THREAD, 1);\n    return false;\n  }",
    to: "if (high != 0 && !takeLock(partitionAt(high) + PARTITION_LOCK, name)) { nameNone(); return false; }",
  },
  {
    bug: "who gives locks back frees those of others, too",
    file: "assembly/lock.ts",
    from: "if ((word & LOCK_WAITERS) != 0 || wakes < 0) atomic.notify(lock, wakes);",
    to: "if (!isHeld) atomic.store<u32>(lock, 0); if ((word & LOCK_WAITERS) != 0 || wakes < 0) atomic.notify(lock, wakes);",
  },
  {
    bug: "the use of the last thread is not waited for",
    file: "assembly/thread.ts",
    from: "if (began != 0 && <i32>(began - epoch) < 0 && slot != own) return slot;",
    to: "if (began != 0 && <i32>(began - epoch) < 0 && slot != own && slot + 1 < header(HEADER_THREADS_USED)) return slot;",
  },
  {
    bug: "a job is over before what it did last is committed",
    file: "assembly/job.ts",
    from: "commit();\n  store<u32>(thread, 0, THREAD_JOB);",
    to: "store<u32>(thread, 0, THREAD_JOB);\n  commit();",
  },
  {
    bug: "frames that a migration was to go to keep what was copied to them",
    file: "assembly/job.ts",
    from: "if ((entryOf(at, page) & ENTRY_FRAME) == frame) freeMoved(old, count);\n  else zeroIfFree(frame, count);",
    to: "if ((entryOf(at, page) & ENTRY_FRAME) == frame) freeMoved(old, count);",
  },
  {
    bug: "a recovery waits for no use",
    file: "assembly/recover.ts",
    from: "if (user == NONE) return true;",
    to: "return true;",
  },
  {
    bug: "the epoch that a recovery waits for is the one that runs",
    file: "assembly/recover.ts",
    from: "setPartitionWord(partition, PARTITION_DRAIN, nextEpoch());",
    to: "setPartitionWord(partition, PARTITION_DRAIN, nextEpoch() - 2);",
  },
  {
    bug: "a page of who has failed is freed before it is counted as freed",
    file: "assembly/recover.ts",
    from: "setCursor(structure, done);\n      settle();",
    to: "settle();\n      setCursor(structure, done);",
  },
  {
    bug: "a revocation is over one commit before its root is torn down",
    file: "assembly/revoke.ts",
    from: "if (stateOf(root) == STRUCTURE_OWNED) clearFlag(root, FLAG_REVOKING);\n      else tearDown(root);",
    to: "settle();\n      if (stateOf(root) == STRUCTURE_OWNED) clearFlag(root, FLAG_REVOKING); else tearDown(root);",
  },
  {
    bug: "pages that cannot be lent now, since they are in use, stay held",
    file: "assembly/lend.ts",
    from: "undo(THREAD);\n    letEntriesGo(at, page, count);\n    abandonJob();",
    to: "undo(THREAD);\n    abandonJob();",
  },
  {
    bug: "pages that cannot be moved now, since they are in use, stay held",
    file: "assembly/move.ts",
    from: "letGo(root, rootPage, count);\n  abandonJob();",
    to: "abandonJob();",
  },
  {
    bug: "the frame that a merged page leaves is counted one commit later",
    file: "assembly/merge.ts",
    from: "if (isLast) addHeader(HEADER_FRAMES_FREE, 1);\n  else unshareFrame(old);",
    to: "settle();\n  if (isLast) addHeader(HEADER_FRAMES_FREE, 1); else unshareFrame(old);",
  },
  {
    bug: "a frame is pinned one commit before the view counts it",
    file: "assembly/pin.ts",
    from: "setPinWord(pin, PIN_FRAME_COUNT, i + 1);\n    commit();",
    to: "commit();\n    setPinWord(pin, PIN_FRAME_COUNT, i + 1);",
  },
  {
    bug: "a frame is unpinned one commit before the view does not count it any more",
    file: "assembly/pin.ts",
    from: "setPinWord(pin, PIN_FRAME_COUNT, count - 1);\n    commit();",
    to: "commit();\n    setPinWord(pin, PIN_FRAME_COUNT, count - 1);",
  },
];
