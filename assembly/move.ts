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
import { framePins, releaseFrame, takeFrames } from "./frame";
import { addHeader, frameAt, NONE } from "./memory";
import { entryOf, moveEntry, spaceAt } from "./page";
import { addPartitionWord, isRunning, partitionAt } from "./partition";

/** Points every live mapping of the owner's page at the frame: a walk over the owner's tree, up again by the parents. */
function remap(root: usize, rootPage: u32, frame: u32): void {
  moveEntry(spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY), rootPage, frame);
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
      moveEntry(space, page, frame);
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

/** Moves one page of the owner; the old frame goes to quarantine, charged to `lpid`. */
function movePage(root: usize, rootPage: u32, frame: u32, lpid: u32): void {
  const old = entryOf(spaceAt(partitionAt(holderOf(root)), SPACE_MEMORY), rootPage) & ENTRY_FRAME;
  memory.copy(frameAt(frame), frameAt(old), PAGE_BYTES);
  remap(root, rootPage, frame);
  if (releaseFrame(old, lpid)) addPartitionWord(partitionAt(lpid), PARTITION_QUARANTINED, 1);
  addHeader(HEADER_MOVES, 1);
}

/**
 * Moves the pinned pages under a structure that loses its access, at most `most` of them. Answers whether none is left:
 * frames may be lacking too. Calling again goes on where it stopped, since a moved page is not pinned.
 */
export function movePinned(structure: usize, most: u32): bool {
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
  let left = most;
  let i: u32 = 0;
  while (i < count) {
    let run = pinnedRun(space, first + i, count - i);
    if (run == 0) {
      i++;
      continue;
    }
    if (left == 0) return false;
    run = min(run, left);
    let frame = takeFrames(run);
    if (frame == NONE) {
      run = 1;
      frame = takeFrames(1);
      // An owner that does not run loses the page anyway: its release sends the frame to quarantine.
      if (frame == NONE) return !isRunning(owner);
    }
    for (let k: u32 = 0; k < run; k++) movePage(root, first + i + k, frame + k, holderOf(structure));
    i += run;
    left -= run;
  }
  return true;
}
