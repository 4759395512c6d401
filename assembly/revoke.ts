/**
 * Forced revocation of a subtree: mark all, then free, leaves first (G6), in slices (G5), without recursion.
 *
 * The structure that is named is the root. It keeps a cursor, so that each slice goes on where the last one stopped:
 *
 *   marking  the cursor walks the subtree in pre-order. Where it stands is known from the marks: a node whose first
 *            child is marked was descended into already. A marked node has lost its access.
 *   freeing  the cursor goes down first children to a leaf, tears it down, and goes up.
 *
 * Two revocations may overlap (RS7). Only the outermost one works: a call for an inner one works on the outer. When
 * the marking cursor of an outer one meets the root of an inner one it absorbs it and goes on from the inner cursor, so
 * each structure is marked once and torn down once. The tree below a marked structure cannot grow or shrink otherwise.
 */
import {
  CUT_PAGES_PER_STEP,
  EVENT_RESCINDED,
  FLAG_FREEING,
  FLAG_REVOKING,
  FLAG_ROOT,
  H_PARTIAL,
  H_SUCCESS,
  HEADER_BUDGET_LEFT,
  HEADER_FRAMES_MAX,
  HEADER_MARKING,
  HEADER_MOVES,
  HEADER_PINS_USED,
  HEADER_REVOCATIONS,
  HEADER_STRUCTURES_USED,
  HEADER_TORN_DOWN,
  STRUCTURE_OWNED,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
} from "../src/layout";
import { becomeGranted, becomeRescinded, becomeUnknown, countMapped, tellReturned } from "./account";
import {
  childOf,
  clearFlag,
  cookieOf,
  cursorOf,
  generationOf,
  hasFlag,
  holderOf,
  isRevoking,
  nextOf,
  pageCountOf,
  pageOf,
  parentOf,
  pinsOf,
  remainingOf,
  setCursor,
  setFlag,
  setRemaining,
  slotOf,
  spaceOf,
  stateOf,
  structureAt,
} from "./control";
import { pushEvent } from "./event";
import { addHeader, header, setHeader, setResult } from "./memory";
import { movePinned } from "./move";
import { rescindPages, spaceAt, unmapPages } from "./page";
import { isRunning, partitionAt } from "./partition";

const MOVES_PER_SLICE: u32 = 64; // a page costs its copy and a walk over the owner's tree

/** Ends the access of one structure. Answers the steps that it cost. */
function mark(structure: usize): u32 {
  setFlag(structure, FLAG_REVOKING);
  if (stateOf(structure) != STRUCTURE_SHARED) return 1;
  const count = pageCountOf(structure);
  rescindPages(spaceAt(partitionAt(holderOf(structure)), spaceOf(structure)), pageOf(structure), count);
  countMapped(structure, -1);
  return 1 + count / CUT_PAGES_PER_STEP;
}

/** Begins a revocation of what is under none yet. */
function begin(root: usize): void {
  mark(root);
  setFlag(root, FLAG_ROOT);
  setCursor(root, slotOf(root));
  // Each structure below costs at most two steps of marking and two of freeing, and the subtree cannot grow. A page
  // that must move is one more.
  const moves = header(HEADER_PINS_USED) != 0 ? header(HEADER_FRAMES_MAX) : 0;
  setRemaining(root, header(HEADER_STRUCTURES_USED) * 4 + 4 + moves);
  addHeader(HEADER_MARKING, 1);
  addHeader(HEADER_REVOCATIONS, 1);
}

/** The root has been reached by an outer revocation, or it is complete. */
function endRevocation(root: usize): void {
  if (!hasFlag(root, FLAG_FREEING)) addHeader(HEADER_MARKING, -1);
  addHeader(HEADER_REVOCATIONS, -1);
  clearFlag(root, FLAG_ROOT | FLAG_FREEING);
  setCursor(root, 0);
  setRemaining(root, 0);
}

/** The root of the outermost revocation that covers a structure under revocation. */
function outermost(structure: usize): usize {
  if (header(HEADER_REVOCATIONS) == 1 && hasFlag(structure, FLAG_ROOT)) return structure;
  let outer = structure;
  let parent = parentOf(structure);
  while (parent != 0) {
    const above = structureAt(parent);
    if (hasFlag(above, FLAG_ROOT)) outer = above;
    parent = parentOf(above);
  }
  return outer;
}

/** Lowers the bound that H_PARTIAL answers; it stays above 0 while there is work. */
function reduceRemaining(root: usize, steps: u32): void {
  const remaining = remainingOf(root);
  setRemaining(root, remaining > steps ? remaining - steps : 1);
}

/** Whether the marking cursor has still to go into a structure. */
function isUnvisited(structure: usize): bool {
  return !hasFlag(structure, FLAG_REVOKING) || hasFlag(structure, FLAG_ROOT);
}

/** Where the marking cursor stands after it visited a structure: at it, or where an absorbed revocation stood. */
function absorb(structure: usize): u32 {
  if (!hasFlag(structure, FLAG_ROOT)) return slotOf(structure);
  const cursor = hasFlag(structure, FLAG_FREEING) ? slotOf(structure) : cursorOf(structure);
  endRevocation(structure);
  return cursor;
}

/** Walks the marking cursor until all is marked or the budget is used up. Answers the budget that is left. */
function markOn(root: usize, budget: i32): i32 {
  const top = slotOf(root);
  let cursor = cursorOf(root);
  let steps: u32 = 0;
  while (budget > 0) {
    const structure = structureAt(cursor);
    const child = childOf(structure);
    let next = child;
    if (child == 0 || !isUnvisited(structureAt(child))) {
      if (cursor == top) {
        setFlag(root, FLAG_FREEING);
        addHeader(HEADER_MARKING, -1);
        break;
      }
      next = nextOf(structure);
    }
    budget--;
    steps++;
    if (next == 0) {
      cursor = parentOf(structure);
      continue;
    }
    const visited = structureAt(next);
    if (!hasFlag(visited, FLAG_REVOKING)) budget -= mark(visited);
    cursor = absorb(visited);
  }
  setCursor(root, cursor);
  reduceRemaining(root, steps);
  return budget;
}

/**
 * Ends a marked structure without children. The holder keeps the addresses of what it had accepted, unless it does not
 * run any more (state table of the contract).
 */
function tearDown(structure: usize): void {
  addHeader(HEADER_TORN_DOWN, 1);
  const holder = partitionAt(holderOf(structure));
  const isAccepted = stateOf(structure) == STRUCTURE_SHARED;
  if (isAccepted && isRunning(holder)) {
    pushEvent(holder, EVENT_RESCINDED, holderOf(structureAt(parentOf(structure))), cookieOf(structure));
    becomeRescinded(structure);
    clearFlag(structure, FLAG_REVOKING);
    return;
  }
  if (isAccepted) {
    unmapPages(spaceAt(holder, spaceOf(structure)), pageOf(structure), pageCountOf(structure));
    becomeGranted(structure);
    tellReturned(structure);
  } else if (stateOf(structure) == STRUCTURE_RETURNING) becomeGranted(structure);
  becomeUnknown(structure);
}

/** Whether nothing pinned is left under a structure, after moving up to MOVES_PER_SLICE pages. */
function isUnpinned(structure: usize): bool {
  if (pinsOf(structure) == 0 || stateOf(structure) != STRUCTURE_SHARED) return true;
  return movePinned(structure, MOVES_PER_SLICE);
}

/** Tears down from the cursor. Answers whether the root was reached: it is torn down, or elemental and bare. */
function freeOn(root: usize, budget: i32): bool {
  const top = slotOf(root);
  const movesBefore = header(HEADER_MOVES);
  let cursor = cursorOf(root);
  let steps: u32 = 0;
  while (budget > 0) {
    const structure = structureAt(cursor);
    const child = childOf(structure);
    if (child != 0) {
      budget--;
      steps++;
      cursor = child;
      continue;
    }
    if (!isUnpinned(structure)) break;
    budget--;
    steps++;
    const parent = parentOf(structure);
    if (cursor == top) {
      endRevocation(root);
      // An elemental resource only loses what was granted on it.
      if (stateOf(root) == STRUCTURE_OWNED) clearFlag(root, FLAG_REVOKING);
      else tearDown(root);
      setHeader(HEADER_BUDGET_LEFT, budget);
      return true;
    }
    tearDown(structure);
    cursor = parent;
  }
  setCursor(root, cursor);
  reduceRemaining(root, steps + header(HEADER_MOVES) - movesBefore);
  // Steps are left over when a page that must move finds no frame: whoever drives this may as well wait.
  setHeader(HEADER_BUDGET_LEFT, budget);
  return false;
}

/**
 * Works for `budget` steps on the revocation of `structure`, or on the outermost one above it. H_SUCCESS: it is torn
 * down (or, if elemental, bare of grants); H_PARTIAL: call again, R4 bounds the steps that remain.
 */
export function revoke(structure: usize, budget: u32): i32 {
  if (!isRevoking(structure)) begin(structure);
  const generation = generationOf(structure);
  const outer = outermost(structure);
  let left = <i32>min<u32>(budget, 0x3fffffff);
  if (!hasFlag(outer, FLAG_FREEING)) left = markOn(outer, left);
  setHeader(HEADER_BUDGET_LEFT, 0);
  if (left > 0 && freeOn(outer, left)) return H_SUCCESS;
  if (generationOf(structure) != generation || stateOf(structure) == STRUCTURE_RESCINDED) return H_SUCCESS;
  setResult(f64(remainingOf(outer)));
  return H_PARTIAL;
}
