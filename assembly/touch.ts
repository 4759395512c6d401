/**
 * Touching: reading what will be needed soon. Wasm has no prefetch, but loads that do not wait for each other miss the cache at the
 * same time. Nothing of what is read is used or checked; each function answers something that depends on all of its loads,
 * which keep() stores, so that no compiler leaves them out.
 */
import {
  AHEAD_MOST,
  AHEAD_STEP,
  HEADER_STRUCTURES_MAX,
  THREAD_BEHIND,
  THREAD_ENTRY,
  THREAD_TOUCHED,
} from "../src/layout";
import {
  aheadOf,
  aheadWord,
  childOf,
  generationOf,
  grantorOf,
  holderOf,
  isOnePage,
  isStanding,
  nextHeldOf,
  nextOf,
  pageOf,
  parentOf,
  previousHeldOf,
  previousOf,
  setAhead,
  slotOf,
  sourcePageOf,
  spaceOf,
  structureAt,
} from "./control";
import { THREAD } from "./log";
import { header } from "./memory";
import { backOf, entryOf, spaceAt, spacePages } from "./page";
import { partitionAt } from "./partition";

if ((AHEAD_MOST & (AHEAD_MOST - 1)) != 0 || THREAD_BEHIND + 4 * AHEAD_MOST > THREAD_ENTRY)
  ERROR("the last marked are a power of two, and lie before the entry");

/** Makes the loads that were done needed. */
export function keep(touched: u32): void {
  store<u32>(THREAD, touched, THREAD_TOUCHED);
}

/** Methods, since only those are inlined on demand: the fewer instructions between two loads, the more are under way at once. */
export class Touch {
  /** Whatever stands there. */
  @inline
  static place(at: usize): u32 {
    return load<u32>(at);
  }

  @inline
  static structure(slot: u32): u32 {
    return generationOf(structureAt(slot));
  }

  /** The neighbours of a structure in list and tree. */
  @inline
  static neighbours(structure: usize): u32 {
    return (
      generationOf(structureAt(nextOf(structure))) ^
      generationOf(structureAt(previousOf(structure))) ^
      generationOf(structureAt(nextHeldOf(structure))) ^
      generationOf(structureAt(previousHeldOf(structure)))
    );
  }

  /** A page of a space, if there is one. */
  @inline
  static page(space: usize, page: u32): u32 {
    return page < spacePages(space) ? entryOf(space, page) ^ backOf(space, page) : 0;
  }

  /** What a structure links to: its neighbours, and its first page. */
  @inline
  static linked(slot: u32): u32 {
    const structure = structureAt(slot);
    const space = spaceAt(partitionAt(holderOf(structure)), spaceOf(structure));
    return Touch.neighbours(structure) ^ Touch.page(space, pageOf(structure));
  }
}

/** A method, as those above. */
export class Follow {
  /**
   * The structure in a slot that another one links to, which mostly is `step` slots from it: a machine that guesses so looks at what
   * is there while it still waits for the link. A walk along links waits for one after the other otherwise. The store keeps it a
   * branch, which is guessed; a choice without one would wait.
   */
  @inline
  static link(structure: usize, slot: u32, step: i32): usize {
    const linked = structureAt(slot);
    let at = structure + ((<isize>step) << 6);
    if (at != linked) {
      keep(slot);
      at = linked;
    }
    return at;
  }
}

/**
 * Touches what the calls after the return of a grant need and it does not: a rescind joins the neighbours, and what was granted is
 * mostly granted again, as buffers of a ring are. The neighbours are what was granted just before and just after, and so, in a
 * ring, what is returned next.
 */
export function touchReturned(structure: usize): void {
  const source = spaceAt(partitionAt(grantorOf(structure)), spaceOf(structure));
  keep(Touch.neighbours(structure) ^ Touch.page(source, sourcePageOf(structure)));
}

// ---------------------------------------------------------------- ahead

// A walk over a tree learns from each structure only where the next one is, so that where structures lie all over a large table each
// step is a miss, and misses follow each other. So each names one that the walk comes to some steps later: a new grant an older
// sibling, as siblings are walked from the youngest on; what is marked one by one is named by what was marked before it. It is
// touched, and nothing else: it may have ended since, and its slot be another grant's, but it is always a slot.

/** So many slots before and behind what it reads the machine fetches by itself. */
const BESIDE: u32 = 4;
/** Structures that a walk ahead touches at most, and levels that it goes up: what is marked, or torn down, in one commit then. */
export const WALK: u32 = 32;

/** What is ahead of a new grant, whose next sibling is in this slot, or 0. */
export function firstAhead(next: u32): u32 {
  const its = aheadWord(structureAt(next));
  const slot = its & (AHEAD_STEP - 1);
  // It has none, or is the root of a revocation.
  if (slot - 1 >= header(HEADER_STRUCTURES_MAX)) return next;
  const further = its + AHEAD_STEP;
  if (further < u32(AHEAD_MOST) * AHEAD_STEP) return further;
  // One step less far from its next sibling than from that one's.
  return (its - slot) | previousOf(structureAt(slot));
}

/**
 * Touches what is ahead of a structure that ends with its holder, and the page of what is behind it in the holder's list, in a space of
 * that one's.
 */
export function touchHeld(structure: usize, space: usize): void {
  const page = pageOf(structureAt(nextHeldOf(structure)));
  keep(Touch.structure(aheadOf(structure)) ^ Touch.page(space, page));
}

/** A slice of a revocation begins, which has marked nothing yet. */
export function beginAhead(): void {
  for (let i: u32 = 0; i < u32(AHEAD_MOST); i++) store<u32>(THREAD + ((<usize>i) << 2), 0, THREAD_BEHIND);
}

/** A structure that will be marked next, the one of this index in its walk, is ahead of what came before it. */
function linkAhead(structure: usize, index: u32): void {
  const behind = THREAD + ((<usize>(index & (AHEAD_MOST - 1))) << 2);
  const before = load<u32>(behind, THREAD_BEHIND);
  const slot = slotOf(structure);
  store<u32>(behind, slot, THREAD_BEHIND);
  if (before != 0) setAhead(structureAt(before), slot);
}

/** Whether the structure in slot `next` lies too far from another one for the machine to fetch it by itself. */
export function isElsewhere(structure: usize, next: u32): bool {
  return next - slotOf(structure) + BESIDE > 2 * BESIDE;
}

/** The same of a structure and what a walk comes to after it; where that is above it, also of what comes after that. */
function leadsElsewhere(structure: usize): bool {
  let next = childOf(structure);
  if (next == 0) next = nextOf(structure);
  if (next != 0) return isElsewhere(structure, next);
  const above = parentOf(structure);
  if (isElsewhere(structure, above)) return true;
  const parent = structureAt(above);
  next = nextOf(parent);
  return isElsewhere(parent, next != 0 ? next : parentOf(parent));
}

/**
 * Touches at most so many structures of a tree below `root`, in pre-order from one on, before they are marked, or, once all are, torn
 * down: as long as each is what is marked or torn down many at a time. What is ahead of one that has children, before they are
 * marked, is its next sibling: to that the walk comes back. Answers how many steps it takes to tear down what was walked over, one
 * at least, or 0 if it lies side by side.
 */
export function walkAhead(from: usize, root: usize, isMarking: bool, most: u32): u32 {
  if (!leadsElsewhere(from)) return 0;
  let structure = from;
  let levels = most;
  let touched: u32 = 0;
  let i: u32 = 0;
  for (; i < most; i++) {
    let ahead = aheadOf(structure);
    let next = childOf(structure);
    if (isMarking) {
      if (!isOnePage(structure)) break;
      linkAhead(structure, i);
      if (next != 0) ahead = nextOf(structure);
    } else if (!isStanding(structure)) break;
    touched ^= Touch.structure(ahead);
    if (next == 0) {
      next = nextOf(structure);
      while (next == 0) {
        if (levels == 0) break;
        levels--;
        structure = structureAt(parentOf(structure));
        if (structure == root) break;
        next = nextOf(structure);
      }
      if (next == 0) break;
    }
    structure = structureAt(next);
  }
  keep(touched);
  return max(i + most - levels, 1);
}
