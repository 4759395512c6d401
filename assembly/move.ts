/**
 * Moving pages to other frames under live mappings (RS6; the back map of the Disco monitor, here the grant tree).
 *
 * A leaked zero-copy view can only be made harmless: owner and remaining sharers get a fresh frame with the same
 * content at the same logical addresses, the view keeps the old frame, and that goes to quarantine.
 *
 * Other threads read and write the page meanwhile, without locks. So that no write is lost and nobody reads a mix, all its
 * entries are held first, the uses that began before are waited for, and only then the page is copied:
 *
 *     hold      owner's entry (noted) and sharers' entries (a job): who wants to begin a use waits
 *     wait      for older uses, a little; if one is not over all is let go, and the caller tries again later
 *     copy      nobody reads or writes
 *     switch    owner's entry (noted), still held; commit; all entries are let go at the new frame, by the job
 *
 * Wherever the thread stops, the job brings the sharers' entries in line with the owner's, which is the old one or the new.
 */
import {
  ENTRY_FRAME,
  ENTRY_PRIVATE,
  ENTRY_VALID,
  HEADER_MOVES,
  JOB_MOVE,
  PAGE_BYTES,
  PARTITION_QUARANTINED,
  SPACE_MEMORY,
  STRUCTURE_SHARED,
  THREAD_STUCK_ON,
} from "../src/layout";
import {
  childOf,
  holderOf,
  movedOf,
  nextOf,
  pageCountOf,
  pageOf,
  parentOf,
  rootOf,
  rootPageOf,
  setMoved,
  slotOf,
  sourcePageOf,
  stateOf,
  structureAt,
} from "./control";
import { framePins, lowestFrames, quarantineLeft, releaseFrame, takeFrames } from "./frame";
import { abandonJob, beginJob, THREAD, undo } from "./log";
import { addHeader, frameAt, isAlone, NONE } from "./memory";
import { entryOf, followEntry, holdEntry, holdOwnEntry, letOwnEntryGo, moveOwnEntry, spaceAt } from "./page";
import { addPartitionWord, isDeferred, isRunning, partitionAt, signal } from "./partition";
import { awaitUses, nameUser } from "./thread";

/**
 * Points every live mapping of the owner's page at its frame, or holds them all if that is NONE: a walk over the owner's
 * tree, up again by the parents.
 */
function follow(root: usize, rootPage: u32, frame: u32): void {
  const top = slotOf(root);
  let slot = childOf(root);
  // What must be added to a page number of the current structure's parent to get the owner's page number.
  let delta: u32 = 0;
  while (slot != 0) {
    const structure = structureAt(slot);
    const first = sourcePageOf(structure) + delta;
    const page = rootPage - first + pageOf(structure);
    const space = spaceAt(partitionAt(holderOf(structure)), SPACE_MEMORY);
    const covers = rootPage - first < pageCountOf(structure);
    const child = covers ? childOf(structure) : 0;
    const entry = covers && stateOf(structure) == STRUCTURE_SHARED ? entryOf(space, page) : 0;
    if ((entry & (ENTRY_VALID | ENTRY_PRIVATE)) == ENTRY_VALID) {
      if (frame == NONE) holdEntry(space, page);
      // Its views follow, in whatever thread they are.
      else if (followEntry(space, page, frame)) signal(partitionAt(holderOf(structure)));
    }
    if (child != 0) {
      delta = first - pageOf(structure);
      slot = child;
      continue;
    }
    let current = structure;
    while (slotOf(current) != top && nextOf(current) == 0) {
      current = structureAt(parentOf(current));
      if (slotOf(current) != top) delta = delta + pageOf(current) - sourcePageOf(current);
    }
    slot = slotOf(current) == top ? 0 : nextOf(current);
  }
}

/** How many pages from `page` on, at most `most`, stand on pinned frames. */
function pinnedRun(space: usize, page: u32, most: u32): u32 {
  let count: u32 = 0;
  while (count < most && framePins(entryOf(space, page + count) & ENTRY_FRAME) != 0) count++;
  return count;
}

/** All live mappings of some of the owner's pages, and last the owner's, are let go where the owner's entries are. */
function letGo(root: usize, rootPage: u32, count: u32): void {
  const space = spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY);
  for (let i: u32 = 0; i < count; i++) {
    follow(root, rootPage + i, entryOf(space, rootPage + i) & ENTRY_FRAME);
    letOwnEntryGo(space, rootPage + i);
  }
}

/** All live mappings of some of the owner's pages, and all views of them, follow the owner's entries; a job. */
export function followOwner(root: usize, rootPage: u32, count: u32): void {
  letGo(root, rootPage, count);
  signal(partitionAt(holderOf(root)));
}

/** Pages that one commit moves. */
export const MOVE_PAGES: u32 = 16;

/**
 * Holds pages of the owner wherever they are mapped, until nobody uses them; within a job that lets go. Answers false, and
 * has let go, when somebody goes on using them: THREAD_WAITS_FOR says who.
 */
export function holdPages(root: usize, rootPage: u32, count: u32): bool {
  if (isAlone()) return true;
  const space = spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY);
  for (let i: u32 = 0; i < count; i++) {
    holdOwnEntry(space, rootPage + i);
    follow(root, rootPage + i, NONE);
  }
  const user = awaitUses();
  if (user == NONE) return true;
  undo(THREAD);
  letGo(root, rootPage, count);
  abandonJob();
  nameUser(user);
  return false;
}

/** Copies one page of the owner, which is held, to a frame that was taken, and points its entry there. */
export function switchPage(space: usize, page: u32, frame: u32): void {
  memory.copy(frameAt(frame), frameAt(entryOf(space, page) & ENTRY_FRAME), PAGE_BYTES);
  moveOwnEntry(space, page, frame);
}

/** Moves pages of the owner to free frames; the old ones go to quarantine, charged to `lpid`. False: they are in use. */
function movePages(root: usize, rootPage: u32, frame: u32, count: u32, lpid: u32): bool {
  const space = spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY);
  // Ends after the commit: what then is free again was undone, and must not keep what was copied to it.
  beginJob(JOB_MOVE, slotOf(root), 0, frame, rootPage, count);
  if (!holdPages(root, rootPage, count)) return false;
  takeFrames(frame, count);
  // First of all: whoever sees a new entry must see that pages have moved.
  addHeader(HEADER_MOVES, count);
  for (let i: u32 = 0; i < count; i++) {
    const old = entryOf(space, rootPage + i) & ENTRY_FRAME;
    switchPage(space, rootPage + i, frame + i);
    if (releaseFrame(old, lpid)) addPartitionWord(partitionAt(lpid), PARTITION_QUARANTINED, 1);
  }
  return true;
}

/** What movePinned() answers. */
export const MOVE_NONE: u32 = 0; // nothing pinned is left
export const MOVE_MORE: u32 = 1; // some pages move with the next commit; call again
export const MOVE_STUCK: u32 = 2; // no frame is free, quarantine is full, or a page is in use

/**
 * Moves the next pinned pages under a structure that loses its access, at most MOVE_PAGES of them. It remembers how far it
 * has come: a moved page may be pinned again by a view that follows it, of somebody who keeps the access, and must not be
 * moved again for that.
 */
export function movePinned(structure: usize): u32 {
  const root = rootOf(structure);
  const owner = partitionAt(holderOf(root));
  const space = spaceAt(owner, SPACE_MEMORY);
  const first = rootPageOf(structure);
  const count = pageCountOf(structure);
  let i = movedOf(structure);
  while (i < count) {
    let run = pinnedRun(space, first + i, count - i);
    if (run == 0) {
      i++;
      continue;
    }
    run = min(min(run, MOVE_PAGES), quarantineLeft());
    let frame = run == 0 ? NONE : lowestFrames(run);
    if (frame == NONE && run != 0) {
      run = 1;
      frame = lowestFrames(1);
    }
    if (frame == NONE) {
      // An owner that is being recovered loses the page anyway: its release sends the frame to quarantine.
      if (!isRunning(owner) && !isDeferred(owner)) return MOVE_NONE;
      store<u32>(THREAD, holderOf(structure) + 1, THREAD_STUCK_ON);
      return MOVE_STUCK;
    }
    if (!movePages(root, first + i, frame, run, holderOf(structure))) return MOVE_STUCK;
    setMoved(structure, i + run);
    return MOVE_MORE;
  }
  return MOVE_NONE;
}
