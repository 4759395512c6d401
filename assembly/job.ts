/**
 * Jobs: bringing a range that is too large for the undo log in line with the records that name it. The same code does
 * the bulk of a call that gives a range back (right after its commit) and mends what a thread left that stopped on the
 * way; it may run again from the start at any time.
 *
 *     state of the structure                     its pages
 *     owned, shared                              as they are: the call that wrote them has committed; not held any more
 *     shared and under revocation, rescinded     rescinded, taken
 *     returning                                  unmapped, taken
 *     any other                                  unmapped, free
 *
 * An elemental resource that was never committed gives its frames back, too. A lender's entries are lent as long as the lend
 * stands (lend.ts); a donated resource is the donor's or the receiver's (donate.ts).
 *
 * Moved pages are the other kind of job: mappings follow the owner's entry, and frames that nobody came to are free and zero.
 * A list of TCEs is put to its end (tce.ts), one of pages under revocation is cut (run.ts).
 */
import {
  ENTRY_FRAME,
  ENTRY_VALID,
  FLAG_REVOKING,
  JOB_ARENA,
  JOB_CUTS,
  JOB_DONATE,
  JOB_ELEMENTAL,
  JOB_LENT,
  JOB_MIGRATE,
  JOB_MOVE,
  JOB_PAGES,
  JOB_PIN,
  JOB_RAISE,
  JOB_SPLIT,
  JOB_STAGING,
  JOB_TCES,
  SPACE_MEMORY,
  SPACE_MMIO,
  STRUCTURE_GRANTED,
  STRUCTURE_OWNED,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  THREAD_CUTS,
  THREAD_JOB,
  THREAD_JOB_COUNT,
  THREAD_JOB_LENDER,
  THREAD_JOB_LENT_PAGE,
  THREAD_JOB_LPID,
  THREAD_JOB_PAGE,
  THREAD_JOB_SLOT,
  THREAD_JOB_SPACE,
} from "../src/layout";
import { freeArena } from "./arena";
import { cursorOf, hasFlag, setCursor, stateOf, structureAt } from "./control";
import { endDonated } from "./donate";
import { fillFrames, freeMoved, zeroIfFree } from "./frame";
import { settleLent } from "./lend";
import { commit, THREAD } from "./log";
import { isAlone } from "./memory";
import { followOwner } from "./move";
import {
  backOf,
  cutShared,
  entryOf,
  freePages,
  letEntriesGo,
  letOwnEntryGo,
  OnePage,
  rescindPages,
  spaceAt,
  unmapPages,
} from "./page";
import { partitionAt } from "./partition";
import { endPin } from "./pin";
import { raiseTree } from "./raise";
import { freeRun } from "./staging";
import { putListed } from "./tce";
import { anyUse, nextEpoch, threadWord } from "./thread";

/** Frees the frames that the entries of an uncommitted LMB name; nothing was written to them. */
function freeUnusedFrames(at: usize, page: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryOf(at, page + i);
    if ((entry & ENTRY_VALID) == 0) continue;
    fillFrames(entry & ENTRY_FRAME, 1, true);
    unmapPages(at, page + i, 1);
  }
}

function settlePages(slot: u32, lpid: u32, space: u32, page: u32, count: u32): void {
  const structure = structureAt(slot);
  const at = spaceAt(partitionAt(lpid), space);
  const state = stateOf(structure);
  if (state == STRUCTURE_OWNED) return;
  if (state == STRUCTURE_SHARED && !hasFlag(structure, FLAG_REVOKING)) letEntriesGo(at, page, count);
  else if (state == STRUCTURE_SHARED || state == STRUCTURE_RESCINDED) rescindPages(at, page, count);
  else if (state == STRUCTURE_RETURNING) unmapPages(at, page, count);
  else {
    if (count == 1) OnePage.unmap(at, page);
    else freePages(at, page, count);
    // Returned, or an accept that was undone: a use may have begun before. Who rescinds it looks, if one runs.
    if (state != STRUCTURE_GRANTED || isAlone()) return;
    const epoch: u32 = space == SPACE_MMIO || anyUse() ? nextEpoch() : 0;
    if (epoch != cursorOf(structure)) setCursor(structure, epoch);
  }
}

/** An elemental resource is there, or all of it is free. */
function settleElemental(slot: u32, lpid: u32, space: u32, page: u32, count: u32): void {
  if (stateOf(structureAt(slot)) == STRUCTURE_OWNED) return;
  const at = spaceAt(partitionAt(lpid), space);
  if (space == SPACE_MEMORY) freeUnusedFrames(at, page, count);
  freePages(at, page, count);
}

/** The pages of a partition have moved from the old frames to the new ones, or they have not. */
function settleMigration(old: u32, lpid: u32, frame: u32, page: u32, count: u32): void {
  const at = spaceAt(partitionAt(lpid), SPACE_MEMORY);
  followOwner(structureAt(backOf(at, page)), page, count);
  if ((entryOf(at, page) & ENTRY_FRAME) == frame) freeMoved(old, count);
  else zeroIfFree(frame, count);
}

/** The access of structures that a run has marked ends, if the marks stand: that of the first tells. */
function cutListed(thread: usize, first: u32, count: u32): void {
  if (!hasFlag(structureAt(first), FLAG_REVOKING)) return;
  for (let i: u32 = 0; i < count; i++) cutShared(load<u32>(thread + ((<usize>i) << 2), THREAD_CUTS));
}

/** Does the job that stands in a thread record, this thread's or a dead one's. */
export function settleJob(thread: usize): void {
  const slot = threadWord(thread, THREAD_JOB_SLOT);
  const lpid = threadWord(thread, THREAD_JOB_LPID);
  const page = threadWord(thread, THREAD_JOB_PAGE);
  const count = threadWord(thread, THREAD_JOB_COUNT);
  const lender = threadWord(thread, THREAD_JOB_LENDER);
  const lent = threadWord(thread, THREAD_JOB_LENT_PAGE);
  switch (threadWord(thread, THREAD_JOB)) {
    case JOB_PAGES:
      settlePages(slot, lpid, threadWord(thread, THREAD_JOB_SPACE), page, count);
      if (lender != 0) settleLent(slot, lender, lent, count);
      break;
    case JOB_LENT:
      settleLent(slot, lpid, page, count);
      break;
    case JOB_DONATE:
      if (stateOf(structureAt(slot)) == STRUCTURE_OWNED) endDonated(lender, lent, count);
      else settlePages(slot, lpid, SPACE_MEMORY, page, count);
      break;
    case JOB_ELEMENTAL:
      settleElemental(slot, lpid, threadWord(thread, THREAD_JOB_SPACE), page, count);
      break;
    case JOB_STAGING:
      freeRun(page, count);
      break;
    case JOB_ARENA:
      freeArena(partitionAt(lpid), page, count);
      break;
    case JOB_PIN:
      endPin(slot);
      break;
    case JOB_SPLIT:
      zeroIfFree(threadWord(thread, THREAD_JOB_SPACE), count);
      letOwnEntryGo(spaceAt(partitionAt(lpid), SPACE_MEMORY), page);
      break;
    case JOB_MOVE:
      zeroIfFree(threadWord(thread, THREAD_JOB_SPACE), count);
      followOwner(structureAt(slot), page, count);
      break;
    case JOB_MIGRATE:
      settleMigration(slot, lpid, threadWord(thread, THREAD_JOB_SPACE), page, count);
      break;
    case JOB_RAISE:
      raiseTree(structureAt(slot), page, lpid, count);
      break;
    case JOB_CUTS:
      cutListed(thread, slot, count);
      break;
    case JOB_TCES:
      putListed(thread, slot, partitionAt(lpid), page, count);
      break;
    default:
      break;
  }
  commit();
  store<u32>(thread, 0, THREAD_JOB);
}

/** What was put has happened, and what it begins is done: a state that may stand if the thread stops here. */
export function settle(): void {
  commit();
  if (threadWord(THREAD, THREAD_JOB) != 0) settleJob(THREAD);
}
