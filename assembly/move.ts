/**
 * Moving pages to other frames under live mappings (RS6; the back map of the Disco monitor, here the grant tree).
 *
 * A leaked zero-copy view can only be made harmless: owner and remaining sharers get a fresh frame with the same
 * content at the same logical addresses, the view keeps the old frame, and that goes to quarantine.
 */
import {
  ENTRY_FRAME,
  ENTRY_VALID,
  HEADER_MOVES,
  JOB_MOVE,
  PAGE_BYTES,
  PARTITION_QUARANTINED,
  SPACE_MEMORY,
  STRUCTURE_SHARED,
} from "../src/layout";
import {
  childOf,
  holderOf,
  nextOf,
  pageCountOf,
  pageOf,
  parentOf,
  slotOf,
  sourcePageOf,
  stateOf,
  structureAt,
} from "./control";
import { framePins, lowestFrames, releaseFrame, takeFrames } from "./frame";
import { beginJob } from "./log";
import { addHeader, frameAt, NONE } from "./memory";
import { entryOf, followEntry, moveOwnEntry, spaceAt } from "./page";
import { addPartitionWord, isRunning, partitionAt, signal } from "./partition";

/** Points every live mapping of the owner's page at its frame: a walk over the owner's tree, up again by the parents. */
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
    if (covers && stateOf(structure) == STRUCTURE_SHARED && (entryOf(space, page) & ENTRY_VALID) != 0) {
      followEntry(space, page, frame);
      // Its views follow, in whatever thread they are.
      signal(partitionAt(holderOf(structure)));
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

/** All live mappings of some of the owner's pages follow the owner's entries; a job. */
export function followOwner(root: usize, rootPage: u32, count: u32): void {
  const space = spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY);
  for (let i: u32 = 0; i < count; i++) {
    follow(root, rootPage + i, entryOf(space, rootPage + i) & ENTRY_FRAME);
  }
  signal(partitionAt(holderOf(root)));
}

/** Pages that one commit moves. */
const MOVE_PAGES: u32 = 16;

/** Moves pages of the owner to free frames; the old ones go to quarantine, charged to `lpid`. */
function movePages(root: usize, rootPage: u32, frame: u32, count: u32, lpid: u32): void {
  const space = spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY);
  // Ends after the commit: what then is free again was undone, and must not keep what was copied to it.
  beginJob(JOB_MOVE, slotOf(root), 0, frame, rootPage, count);
  takeFrames(frame, count);
  // First of all: whoever sees a new entry must see that pages have moved.
  addHeader(HEADER_MOVES, count);
  for (let i: u32 = 0; i < count; i++) {
    const old = entryOf(space, rootPage + i) & ENTRY_FRAME;
    memory.copy(frameAt(frame + i), frameAt(old), PAGE_BYTES);
    moveOwnEntry(space, rootPage + i, frame + i);
    if (releaseFrame(old, lpid)) addPartitionWord(partitionAt(lpid), PARTITION_QUARANTINED, 1);
  }
}

/** What movePinned() answers. */
export const MOVE_NONE: u32 = 0; // nothing pinned is left
export const MOVE_MORE: u32 = 1; // some pages move with the next commit; call again
export const MOVE_STUCK: u32 = 2; // no frame is free

/**
 * Moves the first pinned pages under a structure that loses its access, at most MOVE_PAGES of them. A moved page is not
 * pinned any more, so that calling again goes on.
 */
export function movePinned(structure: usize): u32 {
  let root = structure;
  let shift: u32 = 0;
  while (parentOf(root) != 0) {
    shift += sourcePageOf(root) - pageOf(root);
    root = structureAt(parentOf(root));
  }
  const owner = partitionAt(holderOf(root));
  const space = spaceAt(owner, SPACE_MEMORY);
  const first = pageOf(structure) + shift;
  const count = pageCountOf(structure);
  let i: u32 = 0;
  while (i < count) {
    let run = pinnedRun(space, first + i, count - i);
    if (run == 0) {
      i++;
      continue;
    }
    run = min(run, MOVE_PAGES);
    let frame = lowestFrames(run);
    if (frame == NONE) {
      run = 1;
      frame = lowestFrames(1);
      // An owner that does not run loses the page anyway: its release sends the frame to quarantine.
      if (frame == NONE) return isRunning(owner) ? MOVE_STUCK : MOVE_NONE;
    }
    movePages(root, first + i, frame, run, holderOf(structure));
    return MOVE_MORE;
  }
  return MOVE_NONE;
}
