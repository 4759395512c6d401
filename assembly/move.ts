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
  CUT_PAGES_PER_STEP,
  ENTRY_FRAME,
  ENTRY_PRIVATE,
  ENTRY_VALID,
  HEADER_MOVES,
  JOB_MOVE,
  PAGE_BYTES,
  PARTITION_QUARANTINED,
  PARTITION_RECOVERING,
  PARTITION_STATE,
  SPACE_MEMORY,
  STRUCTURE_SHARED,
  THREAD_STUCK_ON,
  THREAD_WALKED,
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
import { addPartitionWord, partitionAt, partitionWord, signal } from "./partition";
import { awaitUses, nameUser } from "./thread";

/** What follow() does with the pages of the owner from `from` on up to `end`, mapped by one structure from `first` on. */
function followIn(structure: usize, first: u32, from: u32, end: u32, own: usize, holds: bool): void {
  const holder = partitionAt(holderOf(structure));
  const space = spaceAt(holder, SPACE_MEMORY);
  const shift = pageOf(structure) - first;
  for (let page = from; page < end; page++) {
    if ((entryOf(space, page + shift) & (ENTRY_VALID | ENTRY_PRIVATE)) != ENTRY_VALID) continue;
    if (holds) holdEntry(space, page + shift);
    // Its views follow, in whatever thread they are.
    else if (followEntry(space, page + shift, entryOf(own, page) & ENTRY_FRAME)) signal(holder);
  }
}

/**
 * Points every live mapping of some of the owner's pages at the owner's frames, or holds them all: one walk over the owner's
 * tree, up again by the parents. THREAD_WALKED: how long it was.
 */
function follow(root: usize, rootPage: u32, count: u32, holds: bool): void {
  const top = slotOf(root);
  const own = spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY);
  let walked = load<u32>(THREAD, THREAD_WALKED);
  let slot = childOf(root);
  // What must be added to a page number of the current structure's parent to get the owner's page number.
  let delta: u32 = 0;
  while (slot != 0) {
    const structure = structureAt(slot);
    const first = sourcePageOf(structure) + delta;
    const from = max(rootPage, first);
    const end = min(rootPage + count, first + pageCountOf(structure));
    const covers = from < end;
    const child = covers ? childOf(structure) : 0;
    if (covers && stateOf(structure) == STRUCTURE_SHARED) followIn(structure, first, from, end, own, holds);
    walked++;
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
  store<u32>(THREAD, walked, THREAD_WALKED);
}

/** How many pages from `page` on, at most `most`, stand on pinned frames, or on ones that are not. */
function runOf(isPinned: bool, space: usize, page: u32, most: u32): u32 {
  let count: u32 = 0;
  while (count < most && (framePins(entryOf(space, page + count) & ENTRY_FRAME) != 0) == isPinned) count++;
  return count;
}

/** All live mappings of some of the owner's pages, and last the owner's, are let go where the owner's entries are. */
function letGo(root: usize, rootPage: u32, count: u32): void {
  const space = spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY);
  follow(root, rootPage, count, false);
  for (let i: u32 = 0; i < count; i++) letOwnEntryGo(space, rootPage + i);
}

/** All live mappings of some of the owner's pages, and all views of them, follow the owner's entries; a job. */
export function followOwner(root: usize, rootPage: u32, count: u32): void {
  letGo(root, rootPage, count);
  signal(partitionAt(holderOf(root)));
}

/** Pages that one commit moves. */
export const MOVE_PAGES: u32 = 16;
/** Moving a page counts as so many steps, beside the walks. */
const MOVE_STEPS: u32 = 48;

/**
 * Holds pages of the owner wherever they are mapped, until nobody uses them; within a job that lets go. Answers false, and
 * has let go, when somebody goes on using them: THREAD_WAITS_FOR says who.
 */
export function holdPages(root: usize, rootPage: u32, count: u32): bool {
  if (isAlone()) return true;
  const space = spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY);
  for (let i: u32 = 0; i < count; i++) holdOwnEntry(space, rootPage + i);
  follow(root, rootPage, count, true);
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

/**
 * Looks for the next pinned pages under a structure that loses its access, for so many steps, and moves at most MOVE_PAGES of them
 * with the next commit. It remembers how far it has come: a moved page may be pinned again by a view that follows it, of somebody
 * who keeps the access, and must not be moved again for that. Answers the steps that it took, beside those of the walks; 0: no frame
 * is free, quarantine is full, or a page is in use.
 */
export function movePinned(structure: usize, steps: u32): u32 {
  const root = rootOf(structure);
  const owner = partitionAt(holderOf(root));
  const space = spaceAt(owner, SPACE_MEMORY);
  const first = rootPageOf(structure);
  const count = pageCountOf(structure);
  const done = movedOf(structure);
  store<u32>(THREAD, 0, THREAD_WALKED);
  const passed = runOf(
    false,
    space,
    first + done,
    <u32>min<u64>(count - done, <u64>steps * CUT_PAGES_PER_STEP),
  );
  const next = done + passed;
  let run = runOf(true, space, first + next, min(count - next, MOVE_PAGES));
  if (run != 0) {
    run = min(run, quarantineLeft());
    let frame = run == 0 ? NONE : lowestFrames(run);
    if (frame == NONE && run != 0) {
      run = 1;
      frame = lowestFrames(1);
    }
    if (frame == NONE) {
      if (partitionWord(owner, PARTITION_STATE) != PARTITION_RECOVERING) {
        store<u32>(THREAD, holderOf(structure) + 1, THREAD_STUCK_ON);
        return 0;
      }
      // Soon nobody has its pages: their release sends the frames to quarantine. Who waited here could wait for who waits for it.
      setMoved(structure, count);
      return passed / CUT_PAGES_PER_STEP + 1;
    }
    if (!movePages(root, first + next, frame, run, holderOf(structure))) return 0;
  }
  setMoved(structure, next + run);
  return passed / CUT_PAGES_PER_STEP + 1 + run * MOVE_STEPS;
}

/** Structures that movePinned() walked over, before its commit and after it. */
export function walkedOver(): u32 {
  return load<u32>(THREAD, THREAD_WALKED);
}
