/**
 * Every invariant, walked. Nothing here trusts a counter or a link: each is found again from the other side.
 *
 * Problems are (code, a, b) in the audit region; src/audit.ts words them. The scratch words of partitions and ends, and
 * a bit per frame, are this file's alone.
 */
import {
  END_AUDIT_UNRETURNED,
  END_AUDIT_USED,
  END_OPEN,
  END_OWNER,
  END_STATE,
  ENTRY_COPY_ON_WRITE,
  ENTRY_FRAME,
  ENTRY_PRIVATE,
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  ENTRY_WRITE,
  FLAG_COPY_ON_WRITE,
  FLAG_DONATED,
  FLAG_DRAINING,
  FLAG_FREEING,
  FLAG_LENT,
  FLAG_REVOKING,
  FLAG_ROOT,
  FLAG_ZERO,
  H_SUCCESS,
  HEADER_AUDIT_CHECKED,
  HEADER_AUDIT_PROBLEMS,
  HEADER_AUDIT_SAVED,
  HEADER_COPIES,
  HEADER_END_FRESH,
  HEADER_EVENTS_MAX,
  HEADER_FRAMES_FREE,
  HEADER_FRAMES_MAX,
  HEADER_FRAMES_QUARANTINED,
  HEADER_FRAMES_SAVED,
  HEADER_LPIDS_USED,
  HEADER_MARKING,
  HEADER_PAGES_LENT,
  HEADER_PARTITIONS_MAX,
  HEADER_REVOCATIONS,
  HEADER_STRUCTURE_FREE,
  HEADER_STRUCTURE_FRESH,
  HEADER_STRUCTURES_LISTED,
  HEADER_STRUCTURES_MAX,
  HEADER_STRUCTURES_RETIRED,
  HEADER_THREADS_USED,
  INHIBIT_REGRANT,
  LOCK_SLOT_MASK,
  PAGE_BYTES,
  PARTITION_AUDIT,
  PARTITION_AUDIT_COPIES,
  PARTITION_AUDIT_LENT,
  PARTITION_COPIES,
  PARTITION_ENDS,
  PARTITION_EVENT_HEAD,
  PARTITION_EVENT_TAIL,
  PARTITION_FAILED,
  PARTITION_FREE,
  PARTITION_GRANTS_IN,
  PARTITION_GRANTS_OUT,
  PARTITION_HELD,
  PARTITION_OWNED,
  PARTITION_PAGES_LENT,
  PARTITION_PAGES_MAPPED,
  PARTITION_PAGES_OWNED,
  PARTITION_PIN_LIST,
  PARTITION_PINS,
  PARTITION_POOL,
  PARTITION_POOL_COUNT,
  PARTITION_QUARANTINED,
  PARTITION_RESCINDED,
  PARTITION_STATE,
  PARTITION_STOPPED,
  PARTITION_TELLING,
  PROBLEM_BACK,
  PROBLEM_COPIES,
  PROBLEM_ENTRY,
  PROBLEM_EVENTS,
  PROBLEM_FRAME_COUNT,
  PROBLEM_FRAME_DIRTY,
  PROBLEM_FRAME_FREE,
  PROBLEM_FRAME_OWNER,
  PROBLEM_FREE_LIST,
  PROBLEM_FREE_MAP,
  PROBLEM_HELD_LINK,
  PROBLEM_LENT_COUNT,
  PROBLEM_LOST_FRAME,
  PROBLEM_PARTITION_COUNTER,
  PROBLEM_PARTITION_HOLDS,
  PROBLEM_PARTITION_STATE,
  PROBLEM_PIN_COUNT,
  PROBLEM_REVOCATIONS,
  PROBLEM_SHARES,
  PROBLEM_STRUCTURE_COUNT,
  PROBLEM_STRUCTURE_END,
  PROBLEM_STRUCTURE_FLAGS,
  PROBLEM_STRUCTURE_RANGE,
  PROBLEM_STRUCTURE_RIGHTS,
  PROBLEM_STRUCTURE_STATE,
  PROBLEM_TREE_LINK,
  PROBLEM_WINDOW,
  SPACE_COUNT,
  SPACE_MEMORY,
  SPACE_MMIO,
  STRUCTURE_FREE,
  STRUCTURE_GRANTED,
  STRUCTURE_OWNED,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETIRED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
} from "../src/layout";
import { endAt, endWord, partnerEnd } from "./adapter";
import { auditTces } from "./audit-dma";
import { auditEnds, auditUnreturned } from "./audit-ends";
import { auditLend, auditShare, isLentEntry } from "./audit-lend";
import { auditLines } from "./audit-lines";
import { auditMaps } from "./audit-maps";
import { auditPins } from "./audit-pins";
import { auditThreads } from "./audit-threads";
import {
  aheadOf,
  childOf,
  copiesOf,
  cursorOf,
  endOf,
  hasFlag,
  holderOf,
  inhibitsOf,
  isRevoking,
  movedOf,
  nextHeldOf,
  nextOf,
  pageCountOf,
  pageOf,
  parentOf,
  previousHeldOf,
  previousOf,
  servantOf,
  sourcePageOf,
  spaceOf,
  stateOf,
  structureAt,
  windowOf,
} from "./control";
import { check, report, SCRATCH_PINS, tally, write } from "./findings";
import {
  clearMarks,
  frameCharged,
  frameIsFree,
  frameIsQuarantined,
  framePins,
  frameShares,
  isMarked,
  markFrame,
} from "./frame";
import { frameAt, header } from "./memory";
import {
  backOf,
  COPY_RIGHTS,
  ENTRY_LENT,
  entryOf,
  entryRights,
  isFreePage,
  isPrivate,
  spaceAt,
  spacePages,
} from "./page";
import { partitionAt, partitionWord } from "./partition";

const ALL_BITS: u32 =
  ENTRY_FRAME |
  ENTRY_VALID |
  ENTRY_READ |
  ENTRY_WRITE |
  ENTRY_RESCINDED |
  ENTRY_COPY_ON_WRITE |
  ENTRY_PRIVATE |
  ENTRY_LENT;

/** Scratch words of a partition, in this order, against the counters beside them; SCRATCH_PINS is one of them. */
const SCRATCH_OWNED: usize = PARTITION_AUDIT;
const SCRATCH_MAPPED: usize = PARTITION_AUDIT + 4;
const SCRATCH_OUT: usize = PARTITION_AUDIT + 8;
const SCRATCH_IN: usize = PARTITION_AUDIT + 12;
const SCRATCH_RESCINDED: usize = PARTITION_AUDIT + 16;
const SCRATCH_QUARANTINED: usize = PARTITION_AUDIT + 24;
const SCRATCH_PAGES: usize = PARTITION_AUDIT + 28; // pages that structures take, over all spaces

function clearScratch(): void {
  write(HEADER_AUDIT_CHECKED, 0);
  write(HEADER_AUDIT_PROBLEMS, 0);
  write(HEADER_AUDIT_SAVED, 0);
  for (let lpid: u32 = 1; lpid <= header(HEADER_PARTITIONS_MAX); lpid++) {
    memory.fill(partitionAt(lpid) + PARTITION_AUDIT, 0, 32);
    write(partitionAt(lpid) + PARTITION_AUDIT_LENT, 0);
    write(partitionAt(lpid) + PARTITION_AUDIT_COPIES, 0);
  }
  for (let slot: u32 = 1; slot < header(HEADER_END_FRESH); slot++) {
    write(endAt(slot) + END_AUDIT_USED, 0);
    write(endAt(slot) + END_AUDIT_UNRETURNED, 0);
  }
  clearMarks();
}

// ---------------------------------------------------------------- structures

function isUsed(state: u32): bool {
  return state != STRUCTURE_FREE && state != STRUCTURE_RETIRED;
}

function takesAddresses(state: u32): bool {
  return state != STRUCTURE_GRANTED;
}

function auditLinks(slot: u32, structure: usize): void {
  const isOwned = stateOf(structure) == STRUCTURE_OWNED;
  const list = isOwned ? PARTITION_OWNED : PARTITION_HELD;
  const next = nextHeldOf(structure);
  const previous = previousHeldOf(structure);
  check(next == 0 || previousHeldOf(structureAt(next)) == slot, PROBLEM_HELD_LINK, slot, next);
  const before =
    previous == 0 ? partitionWord(partitionAt(holderOf(structure)), list) : nextHeldOf(structureAt(previous));
  check(before == slot, PROBLEM_HELD_LINK, slot, previous);
  const child = childOf(structure);
  const isChild = isUsed(stateOf(structureAt(child))) && parentOf(structureAt(child)) == slot;
  check(child == 0 || isChild, PROBLEM_TREE_LINK, slot, child);
  const parent = parentOf(structure);
  const inTree = !isOwned && stateOf(structure) != STRUCTURE_RESCINDED;
  check((parent != 0) == inTree, PROBLEM_TREE_LINK, slot, parent);
  if (parent == 0) return;
  const isSlot = hasFlag(structure, FLAG_ROOT) || aheadOf(structure) <= header(HEADER_STRUCTURES_MAX);
  check(isSlot, PROBLEM_TREE_LINK, slot, aheadOf(structure));
  const right = nextOf(structure);
  const left = previousOf(structure);
  check(right == 0 || previousOf(structureAt(right)) == slot, PROBLEM_TREE_LINK, slot, right);
  check(
    (left == 0 ? childOf(structureAt(parent)) : nextOf(structureAt(left))) == slot,
    PROBLEM_TREE_LINK,
    slot,
    left,
  );
}

/** The grant against what it was granted from. */
function auditGrant(slot: u32, structure: usize): void {
  const above = structureAt(parentOf(structure));
  const source = sourcePageOf(structure);
  const state = stateOf(above);
  check(
    state == STRUCTURE_OWNED || state == STRUCTURE_SHARED,
    PROBLEM_STRUCTURE_STATE,
    parentOf(structure),
    state,
  );
  check(spaceOf(above) == spaceOf(structure), PROBLEM_STRUCTURE_RANGE, slot, 0);
  check(
    source - pageOf(above) + pageCountOf(structure) <= pageCountOf(above),
    PROBLEM_STRUCTURE_RANGE,
    slot,
    parentOf(structure),
  );
  check(
    (inhibitsOf(above) & ~inhibitsOf(structure)) == 0,
    PROBLEM_STRUCTURE_RIGHTS,
    slot,
    parentOf(structure),
  );
  check((inhibitsOf(above) & INHIBIT_REGRANT) == 0, PROBLEM_STRUCTURE_RIGHTS, slot, parentOf(structure));
  const end = endAt(endOf(structure));
  check(endWord(end, END_OWNER) == holderOf(above), PROBLEM_STRUCTURE_END, slot, endOf(structure));
  const isOpen = endWord(end, END_STATE) == END_OPEN;
  const partner = isOpen ? endWord(partnerEnd(end), END_OWNER) : 0;
  check(
    partner == holderOf(structure) && partner != holderOf(above),
    PROBLEM_STRUCTURE_END,
    slot,
    endOf(structure),
  );
  check(
    !hasFlag(above, FLAG_DRAINING | FLAG_FREEING) || hasFlag(structure, FLAG_REVOKING),
    PROBLEM_STRUCTURE_FLAGS,
    slot,
    0,
  );
  if (hasFlag(structure, FLAG_LENT | FLAG_DONATED | FLAG_ZERO)) auditLend(slot, structure, above);
  else auditShare(slot, structure, above);
  tally(partitionAt(holderOf(above)) + SCRATCH_OUT, 1);
  tally(partitionAt(holderOf(structure)) + SCRATCH_IN, 1);
  tally(end + END_AUDIT_USED, 1);
}

/** The page table entries of a structure against its state, and against its source page by page. */
function auditEntries(slot: u32, structure: usize): void {
  const state = stateOf(structure);
  const space = spaceOf(structure);
  const at = spaceAt(partitionAt(holderOf(structure)), space);
  const page = pageOf(structure);
  const count = pageCountOf(structure);
  const inSpace = <u64>page + count <= <u64>spacePages(at);
  check(inSpace && count != 0, PROBLEM_STRUCTURE_RANGE, slot, 0);
  if (!inSpace) return;
  const isLive = state == STRUCTURE_SHARED && !hasFlag(structure, FLAG_REVOKING);
  const above = structureAt(parentOf(structure));
  const source = spaceAt(partitionAt(holderOf(above)), space);
  const dead: u32 = state == STRUCTURE_RETURNING ? 0 : ENTRY_RESCINDED;
  const isCopied = hasFlag(structure, FLAG_COPY_ON_WRITE);
  const live = isCopied ? COPY_RIGHTS : entryRights(inhibitsOf(structure));
  let copies: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryOf(at, page + i);
    check(backOf(at, page + i) == slot, PROBLEM_BACK, holderOf(structure) * 8 + space, page + i);
    check(!isFreePage(at, page + i), PROBLEM_FREE_MAP, holderOf(structure) * 8 + space, page + i);
    if (state == STRUCTURE_OWNED) auditOwnedEntry(slot, structure, page + i, entry);
    else if (isPrivate(entry)) {
      copies++;
      auditPrivateEntry(slot, page + i, entry, isLive ? ENTRY_VALID | ENTRY_READ : dead, isCopied);
    } else if (isLive) {
      // While a marking runs, what is above may have lost its entries before what is below.
      const above0 = entryOf(source, sourcePageOf(structure) + i);
      const frame = (above0 & ENTRY_VALID) != 0 ? above0 & ENTRY_FRAME : entry & ENTRY_FRAME;
      // Nothing is granted of a page that others may stand on.
      const isUnder = (above0 & (ENTRY_VALID | ENTRY_COPY_ON_WRITE)) == ENTRY_VALID || isRevoking(structure);
      const rights = isLentEntry(structure, entry) ? ENTRY_VALID | ENTRY_LENT : live;
      check(isUnder && (entry & ALL_BITS) == (frame | rights), PROBLEM_ENTRY, slot, page + i);
    } else check((entry & ALL_BITS) == dead, PROBLEM_ENTRY, slot, page + i);
  }
  check(!isCopied || copies == copiesOf(structure), PROBLEM_COPIES, slot, copies);
  tally(partitionAt(holderOf(structure)) + PARTITION_AUDIT_COPIES, copies);
  tally(partitionAt(holderOf(structure)) + SCRATCH_PAGES, count);
  if (isLive && space == SPACE_MEMORY) tally(partitionAt(holderOf(structure)) + SCRATCH_MAPPED, count);
}

/** A frame that a page of its own stands on: the first of them, or one of several that were merged. */
function auditFrameOf(slot: u32, entry: u32): void {
  const frame = entry & ENTRY_FRAME;
  const isShared = (entry & ENTRY_COPY_ON_WRITE) != 0 && frameShares(frame) != 0 && framePins(frame) == 0;
  check(frame < header(HEADER_FRAMES_MAX), PROBLEM_FRAME_OWNER, frame, slot);
  if (frame >= header(HEADER_FRAMES_MAX)) return;
  check(isShared || !isMarked(frame), PROBLEM_FRAME_OWNER, frame, slot);
  if (isMarked(frame)) tally(HEADER_AUDIT_SAVED, 1);
  markFrame(frame);
  check(!frameIsFree(frame) && !frameIsQuarantined(frame), PROBLEM_FRAME_OWNER, frame, slot);
}

/** A page of a copy-on-write mapping that has a frame of its own; after it lost its access only the frame is left. */
function auditPrivateEntry(slot: u32, page: u32, entry: u32, bits: u32, isCopied: bool): void {
  const rest = entry & ALL_BITS & ~(ENTRY_FRAME | ENTRY_PRIVATE);
  const isLive = (bits & ENTRY_VALID) != 0;
  const last = (entry & ENTRY_COPY_ON_WRITE) != 0 ? ENTRY_COPY_ON_WRITE : ENTRY_WRITE;
  check(isCopied && rest == (isLive ? bits | last : bits), PROBLEM_ENTRY, slot, page);
  auditFrameOf(slot, isLive ? entry : entry | ENTRY_COPY_ON_WRITE);
}

function auditOwnedEntry(slot: u32, structure: usize, page: u32, entry: u32): void {
  const bits = entry & ~ENTRY_FRAME & ALL_BITS;
  const isReleased = bits == 0 && pageIsReleased(structure, page);
  const isMemory = spaceOf(structure) == SPACE_MEMORY;
  const isMerged = isMemory && bits == COPY_RIGHTS;
  const isWhole =
    bits == (ENTRY_VALID | ENTRY_READ | ENTRY_WRITE) || isMerged || isLentEntry(structure, entry);
  check(isWhole || isReleased, PROBLEM_ENTRY, slot, page);
  if (!isMemory || isReleased) return;
  auditFrameOf(slot, entry);
  tally(partitionAt(holderOf(structure)) + SCRATCH_OWNED, 1);
}

/** Whether the recovery that stands in this structure has freed the page already. */
function pageIsReleased(structure: usize, page: u32): bool {
  return page - pageOf(structure) < cursorOf(structure) && !hasFlag(structure, FLAG_ROOT);
}

/** What serves a window was a thread of this table once; a grant in the tree names the window that it came from. */
function auditWindow(slot: u32, structure: usize): void {
  const state = stateOf(structure);
  const special = state == STRUCTURE_OWNED ? servantOf(structure) : windowOf(structure);
  if (state == STRUCTURE_OWNED) {
    const server = special & LOCK_SLOT_MASK;
    check(
      special == 0 || (server != 0 && server <= header(HEADER_THREADS_USED)),
      PROBLEM_WINDOW,
      slot,
      special,
    );
  } else if (state != STRUCTURE_RESCINDED) {
    check(special == windowOf(structureAt(parentOf(structure))), PROBLEM_WINDOW, slot, special);
  }
}

/** Whether no forced rescind that is not said to be under way has moved pages of a grant, or zeroed some. */
function movesNothing(structure: usize, state: u32): bool {
  const isPlain =
    spaceOf(structure) == SPACE_MEMORY && !hasFlag(structure, FLAG_COPY_ON_WRITE | FLAG_REVOKING);
  return !isPlain || (state != STRUCTURE_GRANTED && state != STRUCTURE_SHARED) || movedOf(structure) == 0;
}

function auditStructures(): void {
  let retired: u32 = 0;
  let free: u32 = 0;
  let roots: u32 = 0;
  let marking: u32 = 0;
  for (let slot: u32 = 1; slot < header(HEADER_STRUCTURE_FRESH); slot++) {
    const structure = structureAt(slot);
    const state = stateOf(structure);
    check(state <= u32(STRUCTURE_RETIRED), PROBLEM_STRUCTURE_STATE, slot, state);
    if (!isUsed(state)) {
      if (state == STRUCTURE_FREE) free++;
      else retired++;
      continue;
    }
    auditLinks(slot, structure);
    if (state == STRUCTURE_RESCINDED) {
      tally(partitionAt(holderOf(structure)) + SCRATCH_RESCINDED, 1);
      auditUnreturned(slot, structure);
    } else if (state != STRUCTURE_OWNED) auditGrant(slot, structure);
    // Elemental resources inhibit nothing, and are lent to nobody.
    const isPlain =
      inhibitsOf(structure) == 0 && !hasFlag(structure, FLAG_LENT | FLAG_ZERO | FLAG_COPY_ON_WRITE);
    check(state != STRUCTURE_OWNED || isPlain, PROBLEM_STRUCTURE_FLAGS, slot, state);
    if (spaceOf(structure) == SPACE_MMIO) auditWindow(slot, structure);
    if (takesAddresses(state)) auditEntries(slot, structure);
    const isBare = state == STRUCTURE_GRANTED || state == STRUCTURE_RESCINDED || state == STRUCTURE_RETURNING;
    check(!isBare || childOf(structure) == 0, PROBLEM_STRUCTURE_STATE, slot, state);
    check(movesNothing(structure, state), PROBLEM_STRUCTURE_FLAGS, slot, movedOf(structure));
    if (hasFlag(structure, FLAG_ROOT)) {
      roots++;
      if (!hasFlag(structure, FLAG_DRAINING | FLAG_FREEING)) marking++;
      check(hasFlag(structure, FLAG_REVOKING), PROBLEM_STRUCTURE_FLAGS, slot, 0);
    } else {
      check(!hasFlag(structure, FLAG_DRAINING | FLAG_FREEING), PROBLEM_STRUCTURE_FLAGS, slot, 0);
      check(!hasFlag(structure, FLAG_REVOKING) || isBelowRoot(structure), PROBLEM_STRUCTURE_FLAGS, slot, 0);
    }
  }
  check(
    retired == header(HEADER_STRUCTURES_RETIRED),
    PROBLEM_STRUCTURE_COUNT,
    retired,
    header(HEADER_STRUCTURES_RETIRED),
  );
  check(roots == header(HEADER_REVOCATIONS), PROBLEM_REVOCATIONS, roots, header(HEADER_REVOCATIONS));
  check(marking == header(HEADER_MARKING), PROBLEM_REVOCATIONS, marking, header(HEADER_MARKING));
  auditFreeLists(free);
}

/** Whether some structure above is the root of a revocation. A mark without one would never be torn down. */
function isBelowRoot(structure: usize): bool {
  let parent = parentOf(structure);
  while (parent != 0) {
    if (hasFlag(structureAt(parent), FLAG_ROOT)) return true;
    parent = parentOf(structureAt(parent));
  }
  return false;
}

/** Walks a list of free structures. Answers how many there are, at most one more than `most`. */
function countFree(first: u32, most: u32): u32 {
  let slot = first;
  let count: u32 = 0;
  while (slot != 0 && count <= most) {
    check(stateOf(structureAt(slot)) == STRUCTURE_FREE, PROBLEM_FREE_LIST, slot, 0);
    count++;
    slot = nextHeldOf(structureAt(slot));
  }
  return count;
}

/** Every free structure is in one list: that of all, or the pool of one partition. */
function auditFreeLists(free: u32): void {
  let count = countFree(header(HEADER_STRUCTURE_FREE), free);
  const listed = header(HEADER_STRUCTURES_LISTED);
  check(count == listed, PROBLEM_STRUCTURE_COUNT, count, listed);
  for (let lpid: u32 = 1; lpid <= header(HEADER_LPIDS_USED); lpid++) {
    const partition = partitionAt(lpid);
    const inPool = countFree(partitionWord(partition, PARTITION_POOL), free);
    check(inPool == partitionWord(partition, PARTITION_POOL_COUNT), PROBLEM_FREE_LIST, inPool, lpid);
    count += inPool;
  }
  check(count == free, PROBLEM_FREE_LIST, count, free);
}

// ---------------------------------------------------------------- partitions and their tables

/** Pages that no structure takes are free and unmapped; with the sum of what structures take, all pages are known. */
function auditTables(lpid: u32, partition: usize): void {
  let taken: u32 = 0;
  for (let space: u32 = 0; space < u32(SPACE_COUNT); space++) {
    const at = spaceAt(partition, space);
    const pages = spacePages(at);
    for (let page: u32 = 0; page < pages; page++) {
      if (backOf(at, page) != 0) {
        taken++;
        continue;
      }
      const isUnmapped = (entryOf(at, page) & ALL_BITS) == 0;
      if (!isUnmapped || !isFreePage(at, page)) report(PROBLEM_FREE_MAP, lpid * 8 + space, page);
    }
  }
  check(taken == partitionWord(partition, SCRATCH_PAGES), PROBLEM_BACK, lpid * 8, taken);
}

function auditCounter(lpid: u32, partition: usize, counter: usize, scratch: usize): void {
  const holds = partitionWord(partition, counter) == partitionWord(partition, scratch);
  check(holds, PROBLEM_PARTITION_COUNTER, lpid, <u32>counter);
}

/** Whether a list of a partition begins with a structure that belongs there; that one is linked with the list, if it is its first. */
function auditHead(lpid: u32, list: usize): void {
  const first = partitionWord(partitionAt(lpid), list);
  const structure = structureAt(first);
  const state = stateOf(structure);
  const isIts = isUsed(state) && (state == STRUCTURE_OWNED) == (list == PARTITION_OWNED);
  const isFirst = isIts && holderOf(structure) == lpid && previousHeldOf(structure) == 0;
  check(first == 0 || isFirst, PROBLEM_HELD_LINK, first, 0);
}

function auditPartitions(): void {
  let lent: u32 = 0;
  let copies: u32 = 0;
  for (let lpid: u32 = 1; lpid <= header(HEADER_PARTITIONS_MAX); lpid++) {
    const partition = partitionAt(lpid);
    const state = partitionWord(partition, PARTITION_STATE);
    const isTelling = partitionWord(partition, PARTITION_TELLING) != 0;
    const isPossible = isTelling ? state == u32(PARTITION_FAILED) : state <= u32(PARTITION_STOPPED);
    check(isPossible, PROBLEM_PARTITION_STATE, lpid, state);
    auditLines(lpid, partition, partition + SCRATCH_PINS);
    auditCounter(lpid, partition, PARTITION_PAGES_OWNED, SCRATCH_OWNED);
    auditCounter(lpid, partition, PARTITION_PAGES_MAPPED, SCRATCH_MAPPED);
    auditCounter(lpid, partition, PARTITION_GRANTS_OUT, SCRATCH_OUT);
    auditCounter(lpid, partition, PARTITION_GRANTS_IN, SCRATCH_IN);
    auditCounter(lpid, partition, PARTITION_RESCINDED, SCRATCH_RESCINDED);
    auditCounter(lpid, partition, PARTITION_PINS, SCRATCH_PINS);
    auditCounter(lpid, partition, PARTITION_QUARANTINED, SCRATCH_QUARANTINED);
    auditCounter(lpid, partition, PARTITION_PAGES_LENT, PARTITION_AUDIT_LENT);
    lent += partitionWord(partition, PARTITION_PAGES_LENT);
    auditCounter(lpid, partition, PARTITION_COPIES, PARTITION_AUDIT_COPIES);
    copies += partitionWord(partition, PARTITION_COPIES);
    auditTables(lpid, partition);
    auditHead(lpid, PARTITION_HELD);
    auditHead(lpid, PARTITION_OWNED);
    const waiting =
      partitionWord(partition, PARTITION_EVENT_TAIL) - partitionWord(partition, PARTITION_EVENT_HEAD);
    check(waiting <= header(HEADER_EVENTS_MAX), PROBLEM_EVENTS, lpid, waiting);
    if (state != PARTITION_FREE && state != PARTITION_STOPPED) continue;
    const holds =
      partitionWord(partition, PARTITION_HELD) |
      partitionWord(partition, PARTITION_OWNED) |
      partitionWord(partition, PARTITION_PIN_LIST) |
      partitionWord(partition, PARTITION_QUARANTINED) |
      partitionWord(partition, PARTITION_ENDS);
    check(holds == 0, PROBLEM_PARTITION_HOLDS, lpid, 0);
  }
  check(lent == header(HEADER_PAGES_LENT), PROBLEM_LENT_COUNT, lent, header(HEADER_PAGES_LENT));
  check(copies == header(HEADER_COPIES), PROBLEM_COPIES, 0, copies);
}

// ---------------------------------------------------------------- frames

function isZero(frame: u32): bool {
  const at = frameAt(frame);
  let bits: u64 = 0;
  for (let offset: usize = 0; offset < usize(PAGE_BYTES); offset += 32) {
    bits |=
      load<u64>(at + offset) |
      load<u64>(at + offset, 8) |
      load<u64>(at + offset, 16) |
      load<u64>(at + offset, 24);
  }
  return bits == 0;
}

/** Every frame is free and zero, or owned by one LMB, or in quarantine. */
function auditFrames(pinned: u64): void {
  let free: u32 = 0;
  let quarantined: u32 = 0;
  let pins: u64 = 0;
  let shares: u32 = 0;
  const frames = header(HEADER_FRAMES_MAX);
  for (let frame: u32 = 0; frame < frames; frame++) {
    pins += framePins(frame);
    shares += frameShares(frame);
    if (frameIsFree(frame)) {
      free++;
      check(
        framePins(frame) == 0 && frameShares(frame) == 0 && !frameIsQuarantined(frame),
        PROBLEM_FRAME_FREE,
        frame,
        0,
      );
      check(isZero(frame), PROBLEM_FRAME_DIRTY, frame, 0);
    } else if (frameIsQuarantined(frame)) {
      quarantined++;
      check(framePins(frame) != 0, PROBLEM_FRAME_FREE, frame, 0);
      const charged = frameCharged(frame);
      if (charged != 0) tally(partitionAt(charged) + SCRATCH_QUARANTINED, 1);
    } else check(isMarked(frame), PROBLEM_LOST_FRAME, frame, 0);
  }
  check(free == header(HEADER_FRAMES_FREE), PROBLEM_FRAME_COUNT, free, header(HEADER_FRAMES_FREE));
  const counted = header(HEADER_FRAMES_QUARANTINED);
  check(quarantined == counted, PROBLEM_FRAME_COUNT, quarantined, counted);
  const saved = header(HEADER_FRAMES_SAVED);
  check(shares == saved && header(HEADER_AUDIT_SAVED) == saved, PROBLEM_SHARES, shares, saved);
  check(pins == pinned, PROBLEM_PIN_COUNT, <u32>pins, <u32>pinned);
}

/** Walks every table. How many problems there are is in the header, the first PROBLEMS_MAX are in the audit region. */
export function audit(): i32 {
  clearScratch();
  auditThreads();
  auditStructures();
  auditEnds();
  auditFrames(auditPins());
  auditMaps();
  auditTces();
  auditPartitions();
  clearMarks();
  return H_SUCCESS;
}
