/**
 * The four hypercalls on logical resources (PAPR, Shared Logical Resources; rules GR, AC, RE, RS).
 *
 * Each decodes everything first, one check a line in the order of DESIGN.md 3, and then commits with writes that
 * cannot fail.
 */
import {
  EVENT_MS_LIMIT,
  EVENT_MS_SHIFT,
  EVENT_RESCIND_REQUESTED,
  FLAG_COPY_ON_WRITE,
  FLAG_DONATED,
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_NEED_ALL,
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_COPIED,
  HEADER_PAGES_LENT,
  HEADER_REVOCATIONS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_RESERVED,
  INHIBIT_WRITE,
  JOB_PAGES,
  MODE_DONATE,
  MODE_SHARE,
  MODE_ZERO,
  PARTITION_RESCINDED,
  POOL_SPILL,
  RESCIND_FORCED,
  RETURN_PAGES,
  SPACE_DMA,
  SPACE_MEMORY,
  SPACE_MMIO,
  STRUCTURE_GRANTED,
  STRUCTURE_OWNED,
  STRUCTURE_RESCINDED,
  STRUCTURE_SHARED,
  TYPE_MASK,
  ZERO_PAGE_STEPS,
} from "../src/layout";
import {
  becomeGranted,
  becomeReturning,
  becomeUnknown,
  countGrant,
  countMapped,
  endRescinded,
  tellReturned,
} from "./account";
import { decodeEnd, endSlotOf, isOpen, partnerPartition, quotaFits } from "./adapter";
import {
  becomeShared,
  childOf,
  cookieOf,
  copiesOf,
  cursorOf,
  decodeStructure,
  describeRange,
  entriesOf,
  fillPool,
  hasFlag,
  hasPooled,
  hasStructures,
  hintShared,
  holderOf,
  inhibitsOf,
  isLastUse,
  isPoolFull,
  isRevoking,
  linkChild,
  linkHeld,
  liobnOf,
  pageCountOf,
  pageOf,
  parentOf,
  pinsOf,
  setCursor,
  setEnd,
  setFlag,
  slotOf,
  sourcePageOf,
  spaceOf,
  spillPool,
  stateOf,
  structureAt,
  takeGrant,
  windowOf,
} from "./control";
import { releaseCopies, splitMerged } from "./cow";
import { decodeInteger, decodeType, decodeUnits, encodeUnits, isPaged } from "./decode";
import { acceptDonation, isWhole } from "./donate";
import { pushEvent } from "./event";
import { settle } from "./job";
import {
  holdBorrowed,
  isExclusive,
  isLent,
  isMode,
  lend,
  mayLend,
  mustZero,
  usesAreOver,
  zeroLent,
} from "./lend";
import { beginJob, endJob } from "./log";
import { budget, header, NONE, setResult } from "./memory";
import {
  anyLent,
  anyRescinded,
  backOf,
  COPY_RIGHTS,
  entryRights,
  lowestFreePages,
  mapFrom,
  mapPage,
  spaceAt,
  spacePages,
  takePages,
} from "./page";
import { decodePartition, isDeferred, isRunning, lpidOf, partitionAt, partitionWord } from "./partition";
import { revoke } from "./revoke";
import { awaitOlder, holds, holdsAll, nextEpoch } from "./thread";

// Which partitions a call changes besides its caller's, guessed without any lock; the call itself looks again. 0: none.

/** Of a grant: the partner that the unit address names. */
export function partnerNamed(lpid: f64, unit: f64): u32 {
  const end = decodeEnd(decodeInteger(lpid), unit);
  return end == 0 ? 0 : lpidOf(partnerPartition(end));
}

/** Of an accept or a return: the grantor. */
export function grantorNamed(cookie: f64): u32 {
  const structure = decodeStructure(cookie);
  return structure == 0 ? 0 : holderOf(structureAt(parentOf(structure)));
}

/** Of a rescind: the grantee. */
export function granteeNamed(cookie: f64): u32 {
  const structure = decodeStructure(cookie);
  return structure == 0 ? 0 : holderOf(structure);
}

/** Whether the structure covers the whole range with live access for its holder. */
function covers(structure: usize, page: u32, count: u32, liobn: u32): bool {
  const state = stateOf(structure);
  if (state != STRUCTURE_OWNED && state != STRUCTURE_SHARED) return false;
  if (spaceOf(structure) == SPACE_DMA && liobnOf(structure) != liobn) return false;
  return page - pageOf(structure) + count <= pageCountOf(structure);
}

/** H_GRANT_LOGICAL. R4: the cookie. */
export function grantLogical(lpid: f64, flags: f64, hi: f64, lo: f64, length: f64, unit: f64): i32 {
  return grant(lpid, flags, hi, lo, length, unit, MODE_SHARE, false);
}

/** H_GRANT_LOGICAL in a mode: the byte of the flags is full. R4: the cookie. */
export function grantMode(lpid: f64, flags: f64, hi: f64, lo: f64, length: f64, unit: f64, mode: f64): i32 {
  return grant(lpid, flags, hi, lo, length, unit, decodeInteger(mode), false);
}

/**
 * A grant whose grantee gets a page of its own with its first write to it; the grantor's stays. Of memory only, without
 * inhibits of reading and writing. It cannot be granted on: who has that grant would not follow the copies. R4: the cookie.
 */
export function grantCopyOnWrite(lpid: f64, flags: f64, hi: f64, lo: f64, length: f64, unit: f64): i32 {
  return grant(lpid, flags, hi, lo, length, unit, MODE_SHARE, true);
}

function grant(
  lpid: f64,
  flags: f64,
  hi: f64,
  lo: f64,
  length: f64,
  unit: f64,
  mode: u32,
  isCopied: bool,
): i32 {
  const grantor = decodePartition(lpid);
  if (grantor == 0) return H_PARAMETER;
  if (!isRunning(grantor)) return H_RESCINDED; // GR10
  const bits = decodeInteger(flags);
  if (bits > 0xff || (bits & INHIBIT_RESERVED) != 0) return H_PARAMETER; // GR1
  const space = decodeType(bits & TYPE_MASK);
  if (space == NONE) return H_PARAMETER; // GR1
  let inhibits = bits & (INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT);
  const hasRights = space == SPACE_MEMORY || space == SPACE_MMIO;
  if (isCopied) {
    if (space != SPACE_MEMORY || (inhibits & (INHIBIT_READ | INHIBIT_WRITE)) != 0) return H_PARAMETER;
    inhibits = INHIBIT_WRITE | INHIBIT_REGRANT;
  }
  if (!hasRights && (inhibits & (INHIBIT_READ | INHIBIT_WRITE)) != 0) return H_PARAMETER; // GR1
  if (!isMode(mode, space, inhibits)) return H_PARAMETER; // GR1
  const page = decodeUnits(space, lo);
  const count = decodeUnits(space, length);
  if (page == NONE || count == NONE || count == 0) return H_PARAMETER; // GR2
  if (!isPaged(space) && count != 1) return H_PARAMETER; // GR2
  const liobn = decodeInteger(hi);
  if (liobn == NONE || (space != SPACE_DMA && liobn != 0)) return H_PARAMETER; // GR2
  const at = spaceAt(grantor, space);
  if (<u64>page + count > <u64>spacePages(at)) return H_PARAMETER; // GR3
  const back = backOf(at, page);
  const source = structureAt(back);
  if (back == 0 || !covers(source, page, count, liobn)) {
    const mayHold = partitionWord(grantor, PARTITION_RESCINDED) != 0 || header(HEADER_REVOCATIONS) != 0;
    return mayHold && anyRescinded(at, page, count) ? H_RESCINDED : H_PARAMETER; // GR4, GR3
  }
  if (mode == u32(MODE_DONATE) && !isWhole(source, page, count)) return H_PARAMETER; // GR3
  if (isRevoking(source)) return H_RESCINDED; // GR10
  const own = inhibitsOf(source);
  if ((own & INHIBIT_REGRANT) != 0 || (own & ~inhibits) != 0) return H_PERMISSION; // GR5
  if ((mode & MODE_ZERO) != 0 && (own & INHIBIT_WRITE) != 0) return H_PERMISSION; // GR5: zeroing is writing
  const end = decodeEnd(lpidOf(grantor), unit);
  if (end == 0 || !isOpen(end)) return H_PARAMETER; // GR6
  const grantee = partnerPartition(end);
  if (!isRunning(grantee)) return H_PARAMETER; // GR6
  if (header(HEADER_PAGES_LENT) != 0 && anyLent(at, page, count)) return H_RESOURCE;
  if (mode != u32(MODE_SHARE) && !isExclusive(grantor, source, page, count)) return H_RESOURCE;
  if (mode == u32(MODE_DONATE) && entriesOf(source) != 0) return H_RESOURCE; // KI4
  if (!quotaFits(end)) return H_NO_MEM; // GR7
  if (!holds(lpidOf(grantee)) || (mode != u32(MODE_SHARE) && !mayLend())) return H_NEED_ALL;
  if (!hasPooled(grantor)) {
    if (!holdsAll()) return H_NEED_ALL;
    if (!hasStructures(1)) return H_NO_MEM; // GR7
    fillPool(grantor);
  }
  // Who has the grant writes to the owner's frame, so that must not be one that others stand on, too.
  const split = space == SPACE_MEMORY ? splitMerged(grantor, page, count) : H_SUCCESS;
  if (split != H_SUCCESS) return split;

  const structure = takeGrant(grantor, space, inhibits, lpidOf(grantee));
  describeRange(structure, page, 0, count, space == SPACE_MMIO ? windowOf(source) : liobn);
  setEnd(structure, endSlotOf(end));
  if (isCopied) {
    setFlag(structure, FLAG_COPY_ON_WRITE);
    store<u32>(HEADER_COPIED, 1);
  }
  linkChild(source, structure);
  linkHeld(grantee, structure);
  countGrant(end, grantor, grantee);
  if (mode == u32(MODE_SHARE)) hintShared(source, true);
  else if (!lend(grantor, structure, mode)) return H_LONG_BUSY_10_MSEC;
  setResult(cookieOf(structure));
  return H_SUCCESS;
}

/** H_ACCEPT_LOGICAL. R4: the logical address. */
export function acceptLogical(lpid: f64, cookie: f64): i32 {
  const holder = decodePartition(lpid);
  if (holder == 0) return H_PARAMETER;
  if (!isRunning(holder)) return H_RESCINDED;
  const structure = decodeStructure(cookie);
  if (structure == 0 || holderOf(structure) != lpidOf(holder)) return H_PARAMETER; // AC2
  const state = stateOf(structure);
  if (state == STRUCTURE_RESCINDED || isRevoking(structure)) return H_RESCINDED; // AC3
  if (state != STRUCTURE_GRANTED) return H_PARAMETER; // AC2
  const grantor = partitionAt(holderOf(structureAt(parentOf(structure))));
  if (!holds(lpidOf(grantor))) return H_NEED_ALL;
  if (!isRunning(grantor)) return H_RESCINDED; // AC5
  if (hasFlag(structure, FLAG_DONATED)) return acceptDonation(structure, holder, grantor);
  const space = spaceOf(structure);
  const at = spaceAt(holder, space);
  const count = pageCountOf(structure);
  const page = lowestFreePages(at, count);
  if (page == NONE) return H_NO_MEM; // AC4
  const isCopied = hasFlag(structure, FLAG_COPY_ON_WRITE);
  const rights = isCopied ? COPY_RIGHTS : entryRights(inhibitsOf(structure));
  const slot = slotOf(structure);
  const source = spaceAt(grantor, space);
  const sourcePage = sourcePageOf(structure);

  if (count == 1) mapPage(at, page, slot, source, sourcePage, rights);
  else {
    beginJob(JOB_PAGES, slot, lpidOf(holder), space, page, count);
    takePages(at, page, count, slot);
    mapFrom(at, page, count, source, sourcePage, rights);
    endJob();
  }
  becomeShared(structure, page);
  countMapped(structure, 1);
  setResult(encodeUnits(space, page));
  return H_SUCCESS;
}

/** A slice of the zeroing that a return owes. H_SUCCESS: all is zero, and unmapped; H_BUSY: not all (RE6). */
function zeroReturned(structure: usize): i32 {
  if (!mayLend()) return H_NEED_ALL;
  if (stateOf(structure) == STRUCTURE_SHARED) {
    if (!holdBorrowed(structure)) return H_LONG_BUSY_10_MSEC;
    becomeReturning(structure);
    settle();
  }
  zeroLent(structure, max(budget() / ZERO_PAGE_STEPS, 1));
  settle();
  return mustZero(structure) ? H_BUSY : H_SUCCESS;
}

/**
 * Unmaps a copy-on-write mapping and gives its private frames back, when the uses that may have begun before are over. Answers
 * whether that is done; then the structure is Returning.
 */
function returnCopies(structure: usize): bool {
  if (stateOf(structure) == STRUCTURE_SHARED) {
    becomeReturning(structure);
    settle();
  }
  if (cursorOf(structure) == 0) {
    setCursor(structure, nextEpoch());
    settle();
  }
  if (awaitOlder(cursorOf(structure)) != NONE) return false;
  releaseCopies(structure, budget());
  return copiesOf(structure) == 0;
}

/** H_RETURN_LOGICAL. */
export function returnLogical(lpid: f64, cookie: f64): i32 {
  const holder = decodePartition(lpid);
  if (holder == 0) return H_PARAMETER;
  if (!isRunning(holder)) return H_RESCINDED;
  const structure = decodeStructure(cookie);
  if (structure == 0 || holderOf(structure) != lpidOf(holder)) return H_PARAMETER; // RE4
  const state = stateOf(structure);
  if (state == STRUCTURE_GRANTED) return H_PARAMETER; // RE4
  if (state == STRUCTURE_RESCINDED) {
    if (!holdsAll()) return H_NEED_ALL; // the grantor may be gone, with the end that this counts on
    endRescinded(structure); // RE5
    return H_SUCCESS;
  }
  const grantor = partitionAt(holderOf(structureAt(parentOf(structure))));
  if (!holds(lpidOf(grantor))) return H_NEED_ALL;
  if (isRevoking(structure)) return H_RESCINDED;
  if (childOf(structure) != 0) return H_RESOURCE; // RE3
  if (pinsOf(structure) != 0) return H_RESOURCE; // RE2
  if (entriesOf(structure) != 0) return H_RESOURCE; // RE2, KI4
  const isLast = isDeferred(grantor); // nobody may accept it again: it ends (FA7)
  if (isLast && !holdsAll()) return H_NEED_ALL;

  if (mustZero(structure)) {
    const zeroed = zeroReturned(structure);
    if (zeroed != H_SUCCESS) return zeroed;
  }
  if (copiesOf(structure) != 0) {
    if (!holdsAll()) return H_NEED_ALL;
    if (!returnCopies(structure)) return H_BUSY;
  } else if (stateOf(structure) == STRUCTURE_SHARED) {
    if (pageCountOf(structure) > u32(RETURN_PAGES)) {
      becomeReturning(structure);
      return H_BUSY; // RE6
    }
    countMapped(structure, -1);
  }
  // Where it waited for uses.
  if (cursorOf(structure) != 0) setCursor(structure, 0);
  becomeGranted(structure);
  if (isLast) becomeUnknown(structure);
  else tellReturned(structure);
  return H_SUCCESS;
}

/** The grant of a grantor's that a cookie names and that is not rescinded yet, or 0 (RS1). */
function grantMadeBy(grantor: usize, cookie: f64): usize {
  const structure = decodeStructure(cookie);
  if (structure == 0 || stateOf(structure) == STRUCTURE_RESCINDED) return 0;
  return holderOf(structureAt(parentOf(structure))) == lpidOf(grantor) ? structure : 0;
}

/** H_RESCIND_LOGICAL. R4 of H_PARTIAL: a bound of the steps that remain. */
export function rescindLogical(lpid: f64, flags: f64, cookie: f64): i32 {
  const grantor = decodePartition(lpid);
  if (grantor == 0) return H_PARAMETER;
  if (!isRunning(grantor)) return H_RESCINDED;
  const bits = decodeInteger(flags);
  if (bits > u32(RESCIND_FORCED)) return H_PARAMETER; // RS1
  const structure = grantMadeBy(grantor, cookie);
  if (structure == 0) return H_PARAMETER; // RS1
  if (bits == RESCIND_FORCED) return holdsAll() ? revoke(structure, budget()) : H_NEED_ALL;
  if (!holds(holderOf(structure))) return H_NEED_ALL;
  if (isRevoking(structure)) return H_RESCINDED;
  if (stateOf(structure) != STRUCTURE_GRANTED || childOf(structure) != 0) return H_RESOURCE; // RS2
  if (isLent(structure)) {
    if (!mayLend()) return H_NEED_ALL;
    // Whoever had returned it may still be in a use that began before.
    if (!usesAreOver()) return H_LONG_BUSY_10_MSEC;
  }

  if (holdsAll()) {
    if (isPoolFull(grantor)) spillPool(grantor, POOL_SPILL);
  } else if (isLastUse(structure) || isPoolFull(grantor)) return H_NEED_ALL;
  becomeUnknown(structure); // RS3
  return H_SUCCESS;
}

/**
 * Asks the grantee to give back what a grant gave it, within so many milliseconds: an event that says so. Nothing else
 * happens, and there is nothing to ask for where a normal rescind would do. Statuses as a normal rescind.
 */
export function requestReturn(lpid: f64, cookie: f64, ms: f64): i32 {
  const grantor = decodePartition(lpid);
  if (grantor == 0) return H_PARAMETER;
  if (!isRunning(grantor)) return H_RESCINDED;
  const left = decodeInteger(ms);
  if (left > u32(EVENT_MS_LIMIT)) return H_PARAMETER;
  const structure = grantMadeBy(grantor, cookie);
  if (structure == 0) return H_PARAMETER; // RS1
  if (!holds(holderOf(structure))) return H_NEED_ALL;
  if (isRevoking(structure)) return H_RESCINDED;
  if (stateOf(structure) == STRUCTURE_GRANTED && childOf(structure) == 0) return H_SUCCESS;
  const type = EVENT_RESCIND_REQUESTED | (left << EVENT_MS_SHIFT);
  pushEvent(partitionAt(holderOf(structure)), type, lpidOf(grantor), cookieOf(structure));
  return H_SUCCESS;
}
