/**
 * Forced revocation of a subtree: mark all, wait for running uses, then free, leaves first (G6), in slices (G5), without
 * recursion. Each step is a commit of its own, so that whoever finds it after a crash goes on from the cursor.
 *
 * The structure that is named is the root. It keeps a cursor, so that each slice goes on where the last one stopped:
 *
 *   marking  the cursor walks the subtree in pre-order. Where it stands is known from the marks: a node whose first
 *            child is marked was descended into already. A marked node has lost its access.
 *   draining the whole subtree has lost its access; what may have begun before is older than the epoch in the cursor.
 *   freeing  the cursor goes down first children to a leaf, tears it down, and goes up. Only the end of a slice writes it down:
 *            until then it is the root, from where going down finds the way again.
 *
 * Either takes many grants in one commit where nothing is special about them (run.ts).
 *
 * A grant without any grants on it needs no cursor: it is marked and torn down at once, unless some use runs.
 *
 * Two revocations may overlap (RS7). Only the outermost one works: a call for an inner one works on the outer. When
 * the marking cursor of an outer one meets the root of an inner one it absorbs it and goes on from the inner cursor, so
 * each structure is marked once and torn down once. The tree below a marked structure cannot grow or shrink otherwise.
 */
import {
  CUT_PAGES_PER_STEP,
  EVENT_RESCINDED,
  FLAG_COPY_ON_WRITE,
  FLAG_DRAINING,
  FLAG_FREEING,
  FLAG_REVOKING,
  FLAG_ROOT,
  H_PARTIAL,
  H_SUCCESS,
  HEADER_COPIED,
  HEADER_COPIES,
  HEADER_FRAMES_MAX,
  HEADER_MARKING,
  HEADER_PAGES_LENT,
  HEADER_PINS_USED,
  HEADER_REVOCATIONS,
  HEADER_TORN_DOWN,
  SPACE_DMA,
  SPACE_MMIO,
  STRUCTURE_GRANTED,
  STRUCTURE_OWNED,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  THREAD_BUDGET_LEFT,
  THREAD_STUCK_ON,
  THREAD_WAITS_FOR,
  TOUCH_NEAR,
  ZERO_PAGE_STEPS,
} from "../src/layout";
import { becomeGranted, becomeRescinded, becomeRevoking, becomeUnknown, tellReturned } from "./account";
import {
  childOf,
  clearFlag,
  cookieOf,
  copiesOf,
  cursorOf,
  entriesOf,
  generationOf,
  grantorOf,
  hasFlag,
  holderOf,
  isBare,
  isRevoking,
  isZeroing,
  movedOf,
  nextOf,
  pageCountOf,
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
  windowOf,
} from "./control";
import { releaseCopies } from "./cow";
import { stepsOf } from "./decode";
import { pushEvent } from "./event";
import { settle } from "./job";
import { mustZero, zeroLent } from "./lend";
import { hasJob, THREAD } from "./log";
import { addHeader, header, isAlone, NONE, setResult } from "./memory";
import { movePinned, walkedOver } from "./move";
import { partitionAt, runsNow } from "./partition";
import { MARK_STEPS, RUN_MARKS, rescindRun, revokeRun } from "./run";
import { areFar, structuresUsed } from "./slot";
import { endTces } from "./tce";
import { anyUse, nameUser, nextEpoch, olderModel, olderUse } from "./thread";
import { beginAhead, WALK, walkAhead } from "./touch";

/** What a leaf costs: it is marked, torn down, and its addresses may be freed, at once. */
export const LEAF_STEPS: i32 = 3;
/** Marks that are one commit, at most. */
const MARKS: u32 = 16;
/** Where a bound of steps ends. */
const MOST_STEPS: u64 = 0x3fffffff;

/** Ends the access of one structure with the next commit. Answers the steps that it costs. */
function mark(structure: usize): u32 {
  const isAccepted = stateOf(structure) == STRUCTURE_SHARED;
  becomeRevoking(structure);
  return isAccepted ? 1 + pageCountOf(structure) / CUT_PAGES_PER_STEP : 1;
}

/** Begins a revocation of what is under none yet. */
function begin(root: usize): void {
  mark(root);
  setFlag(root, FLAG_ROOT);
  setCursor(root, slotOf(root));
  // Each structure below costs at most two steps of marking and two of freeing, and the subtree cannot grow. A private page that
  // is given back, which may be one that is written to before it is marked, or one that must be zeroed, for each lend of it, is one
  // more. No view is taken from here on, and who has one is looked at page by page, at most.
  const views = <u64>header(HEADER_PINS_USED) * (pageCountOf(root) + 1);
  const copied = header(HEADER_COPIES) + <u64>header(HEADER_COPIED) * header(HEADER_FRAMES_MAX);
  const pages = <u32>min<u64>(views + copied, MOST_STEPS) + header(HEADER_PAGES_LENT);
  setRemaining(root, structuresUsed() * 4 + 4 + pages + tceSteps(root));
  addHeader(HEADER_MARKING, 1);
  addHeader(HEADER_REVOCATIONS, 1);
  settle();
}

/** Whether the revocation that began at a root has marked its whole subtree. */
function isMarked(root: usize): bool {
  return hasFlag(root, FLAG_DRAINING | FLAG_FREEING);
}

/** The root has been reached by an outer revocation, or it is complete. */
function endRevocation(root: usize): void {
  if (!isMarked(root)) addHeader(HEADER_MARKING, -1);
  addHeader(HEADER_REVOCATIONS, -1);
  clearFlag(root, FLAG_ROOT | FLAG_DRAINING | FLAG_FREEING);
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
  const cursor = isMarked(structure) ? slotOf(structure) : cursorOf(structure);
  endRevocation(structure);
  return cursor;
}

/**
 * Walks the marking cursor until all is marked or the budget is used up. Answers the budget that is left. Going up changes
 * nothing, so that the cursor is written down where something is marked, and at the end.
 */
function markOn(root: usize, budget: i32): i32 {
  const top = slotOf(root);
  const isFar = areFar(TOUCH_NEAR);
  let walked: u32 = 0; // structures ahead of the cursor that were touched
  beginAhead();
  let cursor = cursorOf(root);
  let isComplete = false;
  let steps: u32 = 0;
  let marks: u32 = 0;
  while (budget > 0) {
    const structure = structureAt(cursor);
    const child = childOf(structure);
    let next = child;
    if (child == 0 || !isUnvisited(structureAt(child))) {
      isComplete = cursor == top;
      if (isComplete) break;
      next = nextOf(structure);
    }
    budget--;
    steps++;
    if (next == 0) {
      // Above, all is visited up to where a sibling follows.
      cursor = parentOf(structure);
      while (budget > 0 && cursor != top) {
        const above = structureAt(cursor);
        if (nextOf(above) != 0) break;
        cursor = parentOf(above);
        budget--;
        steps++;
      }
      continue;
    }
    const visited = structureAt(next);
    if (walked == 0) {
      walked = min(WALK, <u32>budget + 1);
      if (!isFar) walked = RUN_MARKS;
      else if (walkAhead(visited, root, true, walked) == 0) walked = RUN_MARKS;
    }
    const run = revokeRun(visited, root, <u32>budget + 1, walked);
    const marked = <u32>(run >> 56);
    if (marked != 0) {
      const climbed = <u32>(run >> 32) & 0xffffff;
      budget -= marked * MARK_STEPS + climbed - 1;
      steps += marked + climbed - 1;
      cursor = <u32>run;
      marks = MARKS;
    } else {
      if (!hasFlag(visited, FLAG_REVOKING)) budget -= mark(visited);
      cursor = absorb(visited);
      marks++;
    }
    walked -= min(walked, max(marked, 1));
    // One commit has room for one job, or for a run, or for some marks.
    if (hasJob() || marks == MARKS) {
      setCursor(root, cursor);
      settle();
      marks = 0;
    }
  }
  setCursor(root, isComplete ? nextEpoch() : cursor);
  if (isComplete) {
    setFlag(root, FLAG_DRAINING);
    addHeader(HEADER_MARKING, -1);
  }
  reduceRemaining(root, steps);
  settle();
  return budget;
}

/** The slot of another thread whose use of what a structure is about may have begun before an epoch, or NONE. */
export function userBefore(structure: usize, epoch: u32): u32 {
  let user: u32 = NONE;
  if (spaceOf(structure) != SPACE_MMIO) user = olderUse(epoch);
  else user = olderModel(epoch, windowOf(structure));
  return user;
}

/** Whether every use that may have begun before the marking was complete is over (G6). */
function isDrained(root: usize): bool {
  const user = userBefore(root, cursorOf(root));
  if (user != NONE) {
    nameUser(user);
    return false;
  }
  setCursor(root, slotOf(root));
  clearFlag(root, FLAG_DRAINING);
  setFlag(root, FLAG_FREEING);
  settle();
  return true;
}

/**
 * Ends a marked structure without children. The holder keeps the addresses of what it had accepted, unless it does not
 * run any more (state table of the contract).
 */
function tearDown(structure: usize): void {
  const holder = partitionAt(holderOf(structure));
  const isAccepted = stateOf(structure) == STRUCTURE_SHARED;
  if (isAccepted && runsNow(holder)) {
    pushEvent(holder, EVENT_RESCINDED, grantorOf(structure), cookieOf(structure));
    becomeRescinded(structure);
    return;
  }
  addHeader(HEADER_TORN_DOWN, 1);
  if (isAccepted) {
    becomeGranted(holder, structure, 0);
    tellReturned(structure);
  } else if (stateOf(structure) == STRUCTURE_RETURNING) becomeGranted(holder, structure, 0);
  becomeUnknown(structure);
}

function isCopied(structure: usize): bool {
  return hasFlag(structure, FLAG_COPY_ON_WRITE);
}

/** Whether nothing pinned is left under a structure. */
function isUnpinned(structure: usize): bool {
  // Its views stand on private frames, which go to quarantine when they are given back.
  if (isCopied(structure)) return true;
  if (pinsOf(structure) == 0 || stateOf(structure) != STRUCTURE_SHARED) return true;
  return movedOf(structure) == pageCountOf(structure);
}

/** Whether entries stand that were put through a pane that is to be torn down; what a root keeps, its owner's stay. */
function hasTces(structure: usize): bool {
  if (spaceOf(structure) != SPACE_DMA || stateOf(structure) != STRUCTURE_SHARED) return false;
  return entriesOf(structure) != 0;
}

/** Bound of the steps that ending the TCEs of a subtree of panes takes. */
function tceSteps(root: usize): u32 {
  if (spaceOf(root) != SPACE_DMA) return 0;
  // Each page has one entry, and each pane with an entry is walked over once, in slices of which each may add one step.
  const pages = <u64>pageCountOf(root);
  const walked = min<u64>(pages, structuresUsed()) * (pages / CUT_PAGES_PER_STEP + 2);
  return <u32>min<u64>(pages + walked * 2, MOST_STEPS);
}

/** Tears down from the cursor. Answers whether the root was reached: it is torn down, or elemental and bare. */
function freeOn(root: usize, budget: i32): bool {
  const top = slotOf(root);
  const isFar = areFar(TOUCH_NEAR);
  const copiesBefore = header(HEADER_COPIES);
  let cursor = cursorOf(root);
  let steps: u32 = 0;
  // Where the cursor stands may be torn down; after a crash it goes down from the root again.
  if (cursor != top) setCursor(root, top);
  while (budget > 0) {
    const structure = structureAt(cursor);
    const child = childOf(structure);
    let most: u32 = budget;
    if (isFar) {
      // A longer run would go down into what has not been touched.
      const walked = walkAhead(child == 0 ? structure : structureAt(child), root, false, min(most, WALK));
      if (walked != 0) most = min(most, walked);
    }
    const run = rescindRun(structure, most);
    const taken = <u32>(run >> 32);
    if (taken != 0) {
      budget -= taken;
      steps += taken;
      cursor = <u32>run;
      settle();
      continue;
    }
    if (child != 0) {
      budget--;
      steps++;
      // Going down changes nothing: after a crash it is done again from above.
      cursor = child;
      continue;
    }
    if (!isBare(structure)) {
      if (hasTces(structure)) {
        const taken = endTces(structure, budget);
        budget -= taken;
        steps += taken;
        continue;
      }
      if (!isZeroing(structure) && !isUnpinned(structure)) {
        const moved = movePinned(structure, budget);
        settle();
        if (moved == 0) break;
        budget -= moved + walkedOver();
        steps++;
        continue;
      }
      if (mustZero(structure)) {
        const zeroed = zeroLent(structure, max(<u32>budget / ZERO_PAGE_STEPS, 1));
        budget -= zeroed * ZERO_PAGE_STEPS;
        steps += zeroed;
        settle();
        continue;
      }
      budget = releaseCopies(structure, budget);
      if (isCopied(structure) && copiesOf(structure) != 0) break;
    }
    budget--;
    steps++;
    const parent = parentOf(structure);
    if (cursor == top) {
      endRevocation(root);
      // An elemental resource only loses what was granted on it.
      if (stateOf(root) == STRUCTURE_OWNED) clearFlag(root, FLAG_REVOKING);
      else tearDown(root);
      settle();
      setBudgetLeft(budget);
      return true;
    }
    tearDown(structure);
    settle();
    cursor = parent;
  }
  setCursor(root, cursor);
  reduceRemaining(root, steps + copiesBefore - header(HEADER_COPIES));
  settle();
  // Steps are left over when a page that must move finds no frame: whoever drives this may as well wait.
  setBudgetLeft(budget);
  return false;
}

function setBudgetLeft(budget: i32): void {
  store<u32>(THREAD, max(budget, 0), THREAD_BUDGET_LEFT);
}

/** Steps that the last revoke() of this thread did not use. */
export function budgetLeft(): i32 {
  return load<u32>(THREAD, THREAD_BUDGET_LEFT);
}

/**
 * A grant that nobody has anything of but its holder, and that nobody uses, is marked and torn down in one step. False: it is
 * not such a one, or some use runs that may be its; then it is marked.
 */
function endLeaf(structure: usize): bool {
  const isPlain = childOf(structure) == 0 && isBare(structure) && spaceOf(structure) != SPACE_MMIO;
  const state = stateOf(structure);
  if (!isPlain || (state != STRUCTURE_GRANTED && state != STRUCTURE_SHARED)) return false;
  if (isAlone()) becomeRevoking(structure);
  else {
    begin(structure);
    if (anyUse()) return false;
    endRevocation(structure);
  }
  tearDown(structure);
  settle();
  return true;
}

/**
 * Works for `budget` steps on the revocation of `structure`, or on the outermost one above it. H_SUCCESS: it is torn
 * down (or, if elemental, bare of grants); H_PARTIAL: call again, R4 bounds the steps that remain.
 */
export function revoke(structure: usize, budget: u32): i32 {
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  store<u32>(THREAD, 0, THREAD_STUCK_ON);
  const generation = generationOf(structure);
  let left = stepsOf(budget);
  if (!isRevoking(structure)) {
    if (endLeaf(structure)) {
      setBudgetLeft(left - LEAF_STEPS);
      return H_SUCCESS;
    }
    if (!hasFlag(structure, FLAG_REVOKING)) begin(structure);
  }
  const outer = outermost(structure);
  if (!isMarked(outer)) left = markOn(outer, left);
  setBudgetLeft(0);
  if (hasFlag(outer, FLAG_DRAINING) && !isDrained(outer)) setBudgetLeft(left);
  else if (hasFlag(outer, FLAG_FREEING) && left > 0 && freeOn(outer, left)) return H_SUCCESS;
  if (generationOf(structure) != generation || stateOf(structure) == STRUCTURE_RESCINDED) return H_SUCCESS;
  setResult(f64(remainingOf(outer)));
  return H_PARTIAL;
}
