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
  {
    bug: "who reaps a dead thread takes over locks that it had come to wait for, and others hold",
    file: "assembly/lock.ts",
    from: "if ((atomic.load<u32>(lock) & ~LOCK_WAITERS) == name) atomic.store<u32>(lock, own | LOCK_WAITERS);",
    to: "if (atomic.load<u32>(lock) != 0) atomic.store<u32>(lock, own | LOCK_WAITERS);",
  },
  {
    bug: "tearing down goes on at a cursor that may be torn down",
    file: "assembly/revoke.ts",
    from: "if (cursor != top) setCursor(root, top);",
    to: "",
  },
  {
    bug: "a request of a batch is answered before it is committed",
    file: "assembly/hcall-batch.ts",
    from: "status = carryOut(request, token);\n      settle();",
    to: "status = carryOut(request, token);\n      if (status != H_NEED_ALL) Request.answer(request, status);\n      settle();",
  },
  {
    bug: "a request of a batch that has no result is answered with that of the one before it",
    file: "assembly/hcall-batch.ts",
    from: "store<i32>(request, status, REQUEST_STATUS);",
    to: "store<i32>(request, status, REQUEST_STATUS); if (resultOf() == 0) setResult(load<f64>(request - REQUEST_BYTES, REQUEST_RESULT));",
  },
  {
    bug: "requests of a batch that keep their locks are one commit",
    file: "assembly/hcall-batch.ts",
    from: "status = carryOut(request, token);\n      settle();",
    to: "status = carryOut(request, token);",
  },
  {
    bug: "a batch keeps its last locks",
    file: "assembly/hcall-batch.ts",
    from: "if (heldLpid != 0) release();\n  return succeeded;",
    to: "return succeeded;",
  },
  {
    bug: "a request of a batch in a table of one thread is carried out twice",
    file: "assembly/hcall-batch.ts",
    from: "status = Request.byWords(request, token);\n      settle();",
    to: "status = Request.byWords(request, token); settle(); if (token == (TOKEN_GRANT | REQUEST_WORDS)) Request.byWords(request, token); settle();",
  },
  {
    bug: "staging is free again once it is handed out",
    file: "assembly/staging.ts",
    from: "endJob();",
    to: "",
  },
  {
    bug: "who gives staging back frees it before the job is named",
    file: "assembly/staging.ts",
    from: "beginJob(JOB_STAGING, 0, 0, 0, page, count);\n  return H_SUCCESS;",
    to: "freeRun(page, count); return H_SUCCESS;",
  },
  {
    bug: "with the staging of the dead that of others is freed which lies behind it",
    file: "assembly/staging.ts",
    from: "while (end < pages && stagingOwner(end) == slot + 1) end++;",
    to: "while (end < pages && stagingOwner(end) != 0) end++;",
  },
  {
    bug: "the reaper forgets the staging of the dead",
    file: "assembly/lock.ts",
    from: "page = freeNextRun(dead, page);",
    to: "page = NONE;",
  },
  {
    bug: "a rescind of a window does not wait for who uses the device",
    file: "assembly/revoke.ts",
    from: "if (spaceOf(structure) != SPACE_MMIO) user = olderUse(epoch);\n  else user = olderModel(epoch, windowOf(structure));",
    to: "if (spaceOf(structure) != SPACE_MMIO) user = olderUse(epoch);",
  },
  {
    bug: "the reaper leaves the use of a device to the dead",
    file: "assembly/thread.ts",
    from: "atomic.store<u32>(thread, 0, THREAD_MODEL_EPOCH);\n  atomic.store<u32>(thread, 0, THREAD_MODEL_ROOT);",
    to: "",
  },
  {
    bug: "a partner is told of a failure again in each slice of a telling",
    file: "assembly/tell.ts",
    from: "if (partitionWord(partner, PARTITION_NOTICE) == serial) return;",
    to: "if (partitionWord(partner, PARTITION_NOTICE) == serial && header(HEADER_TELLER) == 0) return;",
  },
  {
    bug: "a telling goes on behind an adapter one commit before its partner has heard",
    file: "assembly/tell.ts",
    from: "if (!isOpen(end)) return;\n  putTransport(partnerEnd(end), code);",
    to: "if (!isOpen(end)) return; settle(); putTransport(partnerEnd(end), code);",
  },
];
