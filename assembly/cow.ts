/**
 * Pages that are copied before they are written: those of a copy-on-write grant, whose first write gets the client a frame of
 * its own while the owner's stays as it is, and those that were merged with equal ones (merge.ts).
 *
 *     entry of                      before a write                  after it
 *     a copy-on-write grant         copy on write, source's frame   private, writable
 *     the same, merged              copy on write, private, shared  private, writable
 *     an elemental resource, merged copy on write, shared           writable
 *
 * Only with all locks: frames are everybody's. A copy is a commit of its own, and the frame is free until then: so the page is held
 * over the commit, until which nobody may use the frame, and a job lets it go, or zeroes the frame if the thread stops before. Who
 * reads a source's frame meanwhile reads what the page was. A frame that was merged belongs to the others once the page has left it,
 * and the last one of them writes to it: so the page is held until nobody uses it, as one that moves.
 *
 * A mapping that ends keeps its private frames in its entries until the uses that may have begun before are over; then
 * releaseCopies() gives them back, one a commit.
 */
import {
  ENTRY_FRAME,
  ENTRY_PRIVATE,
  ENTRY_READ,
  ENTRY_VALID,
  ENTRY_WRITE,
  FLAG_COPY_ON_WRITE,
  H_LONG_BUSY_10_MSEC,
  H_NEED_ALL,
  H_NO_MEM,
  H_SUCCESS,
  HEADER_COPIES,
  HEADER_MERGES,
  JOB_SPLIT,
  PAGE_BYTES,
  PARTITION_COPIES,
  PARTITION_QUARANTINED,
  SPACE_MEMORY,
  STRUCTURE_OWNED,
  ZERO_PAGE_STEPS,
} from "../src/layout";
import { addCopies, copiesOf, hasFlag, holderOf, pageCountOf, pageOf, stateOf, structureAt } from "./control";
import { frameShares, framesFree, lowestFrames, releaseFrame, takeFrames } from "./frame";
import { settle } from "./job";
import { beginJob, THREAD, undo } from "./log";
import { addHeader, frameAt, header, isAlone, NONE } from "./memory";
import {
  anyCopyOnWrite,
  backOf,
  dropPrivate,
  entryOf,
  holdOwnEntry,
  isCopyOnWrite,
  isPrivate,
  nextPrivate,
  setNewEntry,
  setOwnEntry,
  spaceAt,
} from "./page";
import { addPartitionWord, lpidOf, partitionAt } from "./partition";
import { awaitUses, holdsAll } from "./thread";

const WRITABLE: u32 = ENTRY_VALID | ENTRY_READ | ENTRY_WRITE;
/** Looking at so many entries counts as one step. */
const SCAN_PAGES_PER_STEP: u32 = 1024;

/** Whether a page stands on a frame that no other page's owner has: it was merged, and is the last one there. */
function isLast(structure: usize, entry: u32): bool {
  if (stateOf(structure) != STRUCTURE_OWNED && !isPrivate(entry)) return false;
  return frameShares(entry & ENTRY_FRAME) == 0;
}

/** One private page more, or one less. */
function countCopy(structure: usize, holder: usize, sign: i32): void {
  addCopies(structure, sign);
  addPartitionWord(holder, PARTITION_COPIES, sign);
  addHeader(HEADER_COPIES, sign);
}

/** Holds a page until nobody uses it any more; false: a use goes on, and nothing has happened. */
function leaveQuietly(at: usize, page: u32): bool {
  holdOwnEntry(at, page);
  if (awaitUses() == NONE) return true;
  undo(THREAD);
  return false;
}

/** Copies a page to a free frame, and lets it be written there. False: not now, see leaveQuietly(). */
function split(partition: usize, at: usize, page: u32, frame: u32): bool {
  const structure = structureAt(backOf(at, page));
  const entry = entryOf(at, page);
  const old = entry & ENTRY_FRAME;
  const isShared = stateOf(structure) == STRUCTURE_OWNED || isPrivate(entry);
  if (isShared && !isAlone() && !leaveQuietly(at, page)) return false;
  beginJob(JOB_SPLIT, 0, lpidOf(partition), frame, page, 1);
  takeFrames(frame, 1);
  memory.copy(frameAt(frame), frameAt(old), PAGE_BYTES);
  if (stateOf(structure) == STRUCTURE_OWNED) {
    setNewEntry(at, page, WRITABLE | frame);
    releaseFrame(old, lpidOf(partition));
  } else {
    setNewEntry(at, page, WRITABLE | ENTRY_PRIVATE | frame);
    if (isPrivate(entry)) releaseFrame(old, lpidOf(partition));
    else countCopy(structure, partition, 1);
  }
  settle();
  return true;
}

/**
 * Makes pages of a partition's memory, which it may read, ready to be written. On consecutive frames where there is a run of
 * them, so that a view can span them. H_NO_MEM: too few frames are free, nothing is copied. H_LongBusyOrder10msec: a thread goes
 * on using a page that was merged; those before it are ready.
 */
export function splitPages(partition: usize, page: u32, count: u32): i32 {
  const at = spaceAt(partition, SPACE_MEMORY);
  let wanted: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryOf(at, page + i);
    if (isCopyOnWrite(entry) && !isLast(structureAt(backOf(at, page + i)), entry)) wanted++;
  }
  if (wanted > framesFree()) return H_NO_MEM;
  let run = wanted > 1 ? lowestFrames(wanted) : NONE;
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryOf(at, page + i);
    if (!isCopyOnWrite(entry)) continue;
    if (isLast(structureAt(backOf(at, page + i)), entry)) {
      setOwnEntry(at, page + i, WRITABLE | (entry & (ENTRY_PRIVATE | ENTRY_FRAME)));
      settle();
      continue;
    }
    const frame = run != NONE ? run++ : lowestFrames(1);
    assert(frame != NONE); // two merged pages of the range may need one frame less than was counted, never one more
    if (!split(partition, at, page + i, frame)) return H_LONG_BUSY_10_MSEC;
  }
  return H_SUCCESS;
}

/**
 * Gives frames of their own to those of a partition's pages that were merged, before somebody may write to them without a look
 * at the entries of their owner. H_NEED_ALL: there are some, and the locks that are held do not do. H_NO_MEM and H_LongBusyOrder10msec as splitPages().
 */
export function splitMerged(partition: usize, page: u32, count: u32): i32 {
  if (header(HEADER_MERGES) == 0) return H_SUCCESS;
  if (!anyCopyOnWrite(spaceAt(partition, SPACE_MEMORY), page, count)) return H_SUCCESS;
  return holdsAll() ? splitPages(partition, page, count) : H_NEED_ALL;
}

/**
 * Gives back private frames of a mapping that has lost its access and is not in use any more, for so many steps, at least one.
 * Answers the steps that are left; copiesOf() tells whether it is done.
 */
export function releaseCopies(structure: usize, budget: i32): i32 {
  if (!hasFlag(structure, FLAG_COPY_ON_WRITE)) return budget;
  const lpid = holderOf(structure);
  const holder = partitionAt(lpid);
  const at = spaceAt(holder, SPACE_MEMORY);
  const end = pageOf(structure) + pageCountOf(structure);
  let page = pageOf(structure);
  let left = budget;
  // It begins at the first page each time, so it goes on until it has got somewhere.
  for (; copiesOf(structure) != 0; page++) {
    const from = page;
    page = nextPrivate(at, from, end);
    assert(page < end);
    const frame = entryOf(at, page) & ENTRY_FRAME;
    dropPrivate(at, page);
    countCopy(structure, holder, -1);
    if (releaseFrame(frame, lpid)) addPartitionWord(holder, PARTITION_QUARANTINED, 1);
    settle();
    left -= (page - from) / SCAN_PAGES_PER_STEP + ZERO_PAGE_STEPS;
    if (left <= 0) break;
  }
  return max(left, 0);
}
