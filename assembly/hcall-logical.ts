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
  EVENT_RETURNED,
  FLAG_COPY_ON_WRITE,
  FLAG_DONATED,
  FLAG_LENT,
  FLAG_ZERO,
  H_BUSY,
  H_LONG_BUSY_1_MSEC,
  H_LONG_BUSY_10_MSEC,
  H_NEED_ALL,
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_COPIED,
  HEADER_MERGES,
  HEADER_PAGES_LENT,
  HEADER_REVOCATIONS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  JOB_PAGES,
  MODE_COPY,
  MODE_DONATE,
  MODE_SHARE,
  MODE_ZERO,
  PAGE_BYTES,
  PARTITION_DEFERRED,
  PARTITION_DRAIN,
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
  THREAD_WAITS_FOR,
  TYPE_MASK,
  TYPE_MEMORY,
  ZERO_PAGE_STEPS,
} from "../src/layout";
import {
  Become,
  becomeGranted,
  becomeReturning,
  becomeUnknown,
  endRescinded,
  Mapped,
  mappedBy,
  tellReturned,
} from "./account";
import { endKnown, endNamed, isOpenEnd, partnerOf, quotaFits } from "./adapter";
import {
  childOf,
  cookieOf,
  copiesOf,
  cursorOf,
  entriesOf,
  generationOf,
  grantorOf,
  hasFlag,
  hintShared,
  hintsShared,
  holderOf,
  inhibitsOf,
  isDependedOn,
  isGrant,
  isPlain,
  isRevoking,
  liobnOf,
  mayBeRevoking,
  pageCountOf,
  pageOf,
  parentOf,
  setCursor,
  setFlag,
  slotOf,
  slotOfCookie,
  sourcePageOf,
  spaceOf,
  stateOf,
  structureAt,
  structureIn,
  windowOf,
} from "./control";
import { releaseCopies, splitMerged } from "./cow";
import { decodeInteger, decodeType, encodeCookie, encodeUnits, isPaged, NO_SPACE } from "./decode";
import { acceptDonation, isWhole } from "./donate";
import { pushEvent, Staged } from "./event";
import { settle } from "./job";
import { holdBorrowed, isExclusive, isMode, lend, mayLend, mustZero, zeroLent } from "./lend";
import { beginJob, endJob, THREAD } from "./log";
import { budget, header, isAlone, NONE, setResult, threadsBesides } from "./memory";
import {
  anyLent,
  anyRescinded,
  areFew,
  backOf,
  COPY_RIGHTS,
  entryRights,
  lowestFreePages,
  mapFew,
  mapFrom,
  OnePage,
  spaceAt,
  spacePages,
} from "./page";
import {
  isDeferred,
  lpidOf,
  partitionAt,
  partitionNumbered,
  partitionWord,
  runsNow,
  setPartitionWord,
  whyStopped,
} from "./partition";
import { revoke, userBefore } from "./revoke";
import {
  areFar,
  Fresh,
  fillPool,
  grantedWord,
  hasStructures,
  isLastUse,
  isPoolFull,
  Pool,
  spillPool,
} from "./slot";
import { awaitOlder, holds, holdsAll, holdsOne, nameUser, nextEpoch } from "./thread";
import { touchReturned } from "./touch";

// Which partitions a call changes besides its caller's, guessed without any lock; the call itself looks again. 0: none.

/** Of a grant: the partner that the unit address names. */
export function partnerNamed(own: u32, address: u32): u32 {
  const end = endKnown(own, address);
  return end == 0 ? 0 : partnerOf(end);
}

/** Of an accept or a return: the grantor. */
export function grantorNamed(cookie: f64): u32 {
  const structure = structureIn(cookie);
  return isGrant(structure) ? grantorOf(structure) : 0;
}

/** Of a rescind: the grantee. */
export function granteeNamed(cookie: f64): u32 {
  const structure = structureIn(cookie);
  return isGrant(structure) ? holderOf(structure) : 0;
}

/** What a caller may inhibit. */
const INHIBITS: u32 = INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT;

/** Whether there are grants of this kind: of the space, with such inhibits, of so many units, in this mode. */
function isKind(space: u32, inhibits: u32, count: u32, mode: u32): bool {
  const limits = (inhibits & (INHIBIT_READ | INHIBIT_WRITE)) != 0;
  if (mode == u32(MODE_COPY)) return space == SPACE_MEMORY && !limits;
  if (limits && space != SPACE_MEMORY && space != SPACE_MMIO) return false;
  return (isPaged(space) || count == 1) && isMode(mode, space, inhibits);
}

/** All bits of the two states in which its holder has access to what a structure is about, and those in which these differ. */
const LIVE_BITS: u32 = STRUCTURE_OWNED | STRUCTURE_SHARED;
const LIVE_EITHER: u32 = STRUCTURE_OWNED ^ STRUCTURE_SHARED;

if ((LIVE_EITHER & (LIVE_EITHER - 1)) != 0) ERROR("Owned and Shared differ in one bit");

/** Why a range cannot be granted that no live structure covers. */
function whyUncovered(grantor: usize, at: usize, page: u32, count: u32): i32 {
  const mayHold = partitionWord(grantor, PARTITION_RESCINDED) != 0 || header(HEADER_REVOCATIONS) != 0;
  return mayHold && anyRescinded(at, page, count) ? H_RESCINDED : H_PARAMETER; // GR4, GR3
}

/** Whether another mode than sharing can be had of a range now. */
function isAtHand(grantor: usize, source: usize, page: u32, count: u32, mode: u32): bool {
  if (mode == u32(MODE_COPY)) return true;
  if (!isExclusive(grantor, source, page, count)) return false;
  return mode != u32(MODE_DONATE) || entriesOf(source) == 0; // KI4
}

/** What a new grant that is no share does to what it is made from. False: not now, and nothing has happened. */
function beginMode(grantor: usize, structure: usize, mode: u32): bool {
  if (mode != u32(MODE_COPY)) return lend(grantor, structure, mode);
  setFlag(structure, FLAG_COPY_ON_WRITE);
  store<u32>(HEADER_COPIED, 1);
  hintShared(structureAt(parentOf(structure)), true);
  return true;
}

/**
 * H_GRANT_LOGICAL, of what was decoded: NONE is none, in pages or numbers, as the flags say. In the mode MODE_COPY the grantee gets a
 * page of its own with its first write to it, and the grantor's stays: of memory only, without inhibits of reading and
 * writing. It cannot be granted on: who has that grant would not follow the copies. R4: the cookie.
 *
 * Most grants are shares of memory, so what only others need is asked in one question at a time; and each check is an `if` of
 * its own, since a compiler makes a number of what `&&` and `||` answer before it looks at it.
 */
export function grantLogical(
  own: u32,
  flags: u32,
  liobn: u32,
  page: u32,
  count: u32,
  address: u32,
  mode: u32,
): i32 {
  const grantor = partitionNumbered(own);
  if (!runsNow(grantor)) return whyStopped(grantor); // GR10
  if ((flags & ~u32(TYPE_MASK | INHIBITS)) != 0) return H_PARAMETER; // GR1
  const isPlain = (((flags ^ TYPE_MEMORY) & TYPE_MASK) | (mode ^ MODE_SHARE) | liobn) == 0;
  let space: u32 = SPACE_MEMORY;
  let inhibits = flags & INHIBITS;
  if (!isPlain) {
    space = decodeType(flags & TYPE_MASK);
    if (space == NO_SPACE) return H_PARAMETER; // GR1
    if (!isKind(space, inhibits, count, mode)) return H_PARAMETER; // GR1, GR2
    if (mode == u32(MODE_COPY)) inhibits = INHIBIT_WRITE | INHIBIT_REGRANT;
    if (liobn != 0 && (space != SPACE_DMA || liobn == NONE)) return H_PARAMETER; // GR2
  }
  const at = spaceAt(grantor, space);
  // What is no number of units is beyond every space.
  if (<u64>page + count > <u64>spacePages(at)) return H_PARAMETER; // GR2, GR3
  if (count == 0) return H_PARAMETER; // GR2
  const back = backOf(at, page);
  const source = structureAt(back);
  if ((stateOf(source) | LIVE_EITHER) != LIVE_BITS) return whyUncovered(grantor, at, page, count);
  if (page - pageOf(source) + count > pageCountOf(source)) return whyUncovered(grantor, at, page, count);
  if (!isPlain) {
    if (space == SPACE_DMA && liobnOf(source) != liobn) return whyUncovered(grantor, at, page, count);
    if (mode == u32(MODE_DONATE) && !isWhole(source, page, count)) return H_PARAMETER; // GR3
  }
  if (mayBeRevoking(source)) {
    if (isRevoking(source)) return H_RESCINDED; // GR10
  }
  const limits = inhibitsOf(source);
  if (limits != 0) {
    if ((limits & (INHIBIT_REGRANT | ~inhibits)) != 0) return H_PERMISSION; // GR5
    if ((mode & MODE_ZERO) != 0 && (limits & INHIBIT_WRITE) != 0) return H_PERMISSION; // GR5: zeroing is writing
  }
  const end = endNamed(address);
  if (!isOpenEnd(end, address, own)) return H_PARAMETER; // GR6
  const to = partnerOf(end);
  const grantee = partitionAt(to);
  if (!runsNow(grantee)) return H_PARAMETER; // GR6
  if (header(HEADER_PAGES_LENT) != 0) {
    if (anyLent(at, page, count)) return H_RESOURCE;
  }
  if (mode != u32(MODE_SHARE)) {
    if (!isAtHand(grantor, source, page, count, mode)) return H_RESOURCE;
  }
  if (!quotaFits(end)) return H_NO_MEM; // GR7
  const pool = Pool.of(grantor);
  if (!holdsAll()) {
    if (!holdsOne(to) || (mode != u32(MODE_SHARE) && mode != u32(MODE_COPY)) || !Pool.has(pool))
      return H_NEED_ALL;
  }
  if (!Pool.has(pool)) {
    if (!hasStructures(1)) return H_NO_MEM; // GR7
    fillPool(pool);
  }
  // Who has the grant writes to the owner's frame, so that must not be one that others stand on, too.
  if (header(HEADER_MERGES) != 0) {
    const split = space == SPACE_MEMORY ? splitMerged(grantor, page, count) : H_SUCCESS;
    if (split != H_SUCCESS) return split;
  }

  const special = space == SPACE_MMIO ? windowOf(source) : liobn;
  const first = grantedWord(space, inhibits);
  const structure = Fresh.grant(pool, grantor, back, grantee, first, to, end, page, count, special);
  if (mode == u32(MODE_SHARE)) {
    if (!hintsShared(source)) hintShared(source, true);
  } else if (!beginMode(grantor, structure, mode)) return H_LONG_BUSY_10_MSEC;
  setResult(cookieOf(structure));
  return H_SUCCESS;
}

/** Why what is not Granted cannot be accepted. */
function whyNotGranted(structure: usize, own: u32): i32 {
  if (!isGrant(structure) || holderOf(structure) != own) return H_PARAMETER; // AC2
  return stateOf(structure) == STRUCTURE_RESCINDED || isRevoking(structure) ? H_RESCINDED : H_PARAMETER; // AC3, AC2
}

/** H_ACCEPT_LOGICAL. R4: the logical address. */
export function acceptLogical(own: u32, cookie: f64): i32 {
  const holder = partitionNumbered(own);
  if (!runsNow(holder)) return whyStopped(holder);
  const slot = slotOfCookie(cookie);
  const structure = structureAt(slot);
  if (encodeCookie(generationOf(structure), slot) != cookie) return H_PARAMETER; // AC2
  // The state before the holder: of a slot that is granted anew it is stored last.
  const state = stateOf(structure);
  if (state != STRUCTURE_GRANTED) return whyNotGranted(structure, own);
  if (holderOf(structure) != own) return H_PARAMETER; // AC2
  if (mayBeRevoking(structure)) {
    if (isRevoking(structure)) return H_RESCINDED; // AC3
  }
  const from = grantorOf(structure);
  if (!holdsAll()) {
    if (!holdsOne(from)) return H_NEED_ALL;
  }
  const grantor = partitionAt(from);
  if (!runsNow(grantor)) return H_RESCINDED; // AC5
  if (!isPlain(structure, STRUCTURE_GRANTED)) return acceptOther(structure, holder, grantor);
  const at = spaceAt(holder, SPACE_MEMORY);
  const count = pageCountOf(structure);
  const source = spaceAt(grantor, SPACE_MEMORY);
  const rights = entryRights(inhibitsOf(structure));
  const page =
    ((count ^ 1) | threadsBesides()) == 0
      ? OnePage.take(at, slot, source, sourcePageOf(structure), rights)
      : takeMany(structure, at, source, rights);
  if (page == NONE) return H_NO_MEM; // AC4
  Mapped.begin(holder, structure, page, count);
  setResult(f64(page) * PAGE_BYTES);
  return H_SUCCESS;
}

/** The same of what is not only memory. */
function acceptOther(structure: usize, holder: usize, grantor: usize): i32 {
  if (hasFlag(structure, FLAG_DONATED)) return acceptDonation(structure, holder, grantor);
  const space = spaceOf(structure);
  const isCopied = hasFlag(structure, FLAG_COPY_ON_WRITE);
  const rights = isCopied ? COPY_RIGHTS : entryRights(inhibitsOf(structure));
  const page = takeMany(structure, spaceAt(holder, space), spaceAt(grantor, space), rights);
  if (page == NONE) return H_NO_MEM; // AC4
  Mapped.begin(holder, structure, page, mappedBy(structure));
  setResult(encodeUnits(space, page));
  return H_SUCCESS;
}

/** Takes the lowest free addresses of a space for a structure, and maps them to what it is of. Answers the first, or NONE. */
function takeMany(structure: usize, at: usize, source: usize, rights: u32): u32 {
  const count = pageCountOf(structure);
  const page = count == 1 ? OnePage.lowest(at) : lowestFreePages(at, count);
  if (page == NONE) return NONE;
  const slot = slotOf(structure);
  const sourcePage = sourcePageOf(structure);
  if (isAlone() && areFew(page, count)) mapFew(at, page, count, slot, source, sourcePage, rights);
  else {
    // Where others read entries a job: it minds that one of them may have used the pages if the call is undone.
    beginJob(JOB_PAGES, slot, holderOf(structure), spaceOf(structure), page, count);
    if (count == 1) OnePage.map(at, page, slot, source, sourcePage, rights);
    else mapFrom(at, page, count, slot, source, sourcePage, rights);
    endJob();
  }
  return page;
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
    setCursor(structure, 0); // what an earlier return left
    settle();
  }
  if (cursorOf(structure) == 0) {
    setCursor(structure, nextEpoch());
    settle();
  }
  const user = awaitOlder(cursorOf(structure));
  if (user != NONE) {
    nameUser(user);
    return false;
  }
  releaseCopies(structure, budget());
  return copiesOf(structure) == 0;
}

/** H_RETURN_LOGICAL. @param near structures in use up to which it touches nothing; a batch has touched all that it names. */
export function returnLogical(own: u32, cookie: f64, near: u32): i32 {
  const holder = partitionNumbered(own);
  if (!runsNow(holder)) return whyStopped(holder);
  const slot = slotOfCookie(cookie);
  const structure = structureAt(slot);
  if (encodeCookie(generationOf(structure), slot) != cookie) return H_PARAMETER; // RE4
  const state = stateOf(structure); // before the holder, as in an accept
  if (state != STRUCTURE_SHARED) {
    if (state == STRUCTURE_GRANTED || !isGrant(structure)) return H_PARAMETER; // RE4
  }
  if (holderOf(structure) != own) return H_PARAMETER; // RE4
  if (state == STRUCTURE_RESCINDED) {
    if (!holdsAll()) return H_NEED_ALL; // the grantor may be gone, with the end that this counts on
    endRescinded(structure); // RE5
    return H_SUCCESS;
  }
  const from = grantorOf(structure);
  if (!holdsAll()) {
    if (!holdsOne(from)) return H_NEED_ALL;
  }
  const grantor = partitionAt(from);
  if (mayBeRevoking(structure)) {
    if (isRevoking(structure)) return H_RESCINDED;
  }
  if (areFar(near)) touchReturned(structure);
  if (isDependedOn(structure)) return H_RESOURCE; // RE2, RE3, KI4
  if (!isPlain(structure, STRUCTURE_SHARED)) return returnOther(structure, holder, grantor);
  if (partitionWord(grantor, PARTITION_DEFERRED) != 0) return returnOther(structure, holder, grantor);
  if (pageCountOf(structure) > u32(RETURN_PAGES)) return returnOther(structure, holder, grantor);
  Become.granted(holder, structure);
  Staged.push(grantor, EVENT_RETURNED, own, cookie);
  return H_SUCCESS;
}

/** The same of what is not only memory, or of very much, or whose grantor may have failed. */
function returnOther(structure: usize, holder: usize, grantor: usize): i32 {
  const isLast = isDeferred(grantor); // nobody may accept it again: it ends (FA7)
  if (isLast && !holdsAll()) return H_NEED_ALL;
  if (hasFlag(structure, FLAG_ZERO | FLAG_COPY_ON_WRITE)) {
    const rest = returnRest(structure);
    if (rest != H_SUCCESS) return rest;
  }
  let pages: i32 = 0;
  if (stateOf(structure) == STRUCTURE_SHARED) {
    if (pageCountOf(structure) > u32(RETURN_PAGES)) {
      becomeReturning(structure);
      return H_BUSY; // RE6
    }
    pages = mappedBy(structure);
  }
  becomeGranted(holder, structure, pages);
  if (isLast) {
    becomeUnknown(structure);
    // A use may have begun before: the recovery looks once more.
    setPartitionWord(grantor, PARTITION_DRAIN, 0);
  } else tellReturned(structure);
  return H_SUCCESS;
}

/** What is to do before a borrowed or copied-on-write range is unmapped. H_SUCCESS: nothing more. */
function returnRest(structure: usize): i32 {
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  if (mustZero(structure)) {
    const zeroed = zeroReturned(structure);
    if (zeroed != H_SUCCESS) return zeroed;
  }
  if (copiesOf(structure) == 0) return H_SUCCESS;
  if (!holdsAll()) return H_NEED_ALL;
  return returnCopies(structure) ? H_SUCCESS : H_BUSY;
}

/** Waits a little for the uses of a returned grant; false: one goes on, THREAD_WAITS_FOR says whose. */
function isUnused(structure: usize): bool {
  const epoch = cursorOf(structure);
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  const user = spaceOf(structure) == SPACE_MMIO ? userBefore(structure, epoch) : awaitOlder(epoch);
  if (user == NONE) return true;
  nameUser(user);
  return false;
}

/** H_RESCIND_LOGICAL. R4 of H_PARTIAL: a bound of the steps that remain. H_LongBusyOrder1msec: worth waiting for, without locks. */
export function rescindLogical(own: u32, flags: u32, cookie: f64): i32 {
  const grantor = partitionNumbered(own);
  if (!runsNow(grantor)) return whyStopped(grantor);
  if (flags > u32(RESCIND_FORCED)) return H_PARAMETER; // RS1
  const slot = slotOfCookie(cookie);
  const structure = structureAt(slot);
  if (encodeCookie(generationOf(structure), slot) != cookie) return H_PARAMETER; // RS1
  const state = stateOf(structure);
  if (state != STRUCTURE_GRANTED) {
    if (!isGrant(structure)) return H_PARAMETER; // RS1
  }
  if (grantorOf(structure) != own) return H_PARAMETER; // RS1; what is rescinded is nobody's
  if (flags == RESCIND_FORCED) return holdsAll() ? revoke(structure, budget()) : H_NEED_ALL;
  if (!holdsAll()) {
    if (!holdsOne(holderOf(structure)) || isLastUse(structure) || isPoolFull(grantor)) return H_NEED_ALL;
  }
  if (mayBeRevoking(structure)) {
    if (isRevoking(structure)) return H_RESCINDED;
  }
  if (state != STRUCTURE_GRANTED) return H_RESOURCE; // RS2
  if (childOf(structure) != 0) return H_RESOURCE; // RS2
  if (hasFlag(structure, FLAG_LENT | FLAG_DONATED)) {
    if (!mayLend()) return H_NEED_ALL;
  }
  // Whoever had returned it may still be in a use that began before.
  if (cursorOf(structure) != 0 && !isUnused(structure)) {
    // What a device's model does takes as long as it takes.
    return spaceOf(structure) == SPACE_MMIO ? H_LONG_BUSY_10_MSEC : H_LONG_BUSY_1_MSEC;
  }

  if (isPoolFull(grantor)) {
    spillPool(grantor, POOL_SPILL);
    becomeUnknown(structure);
  } else Become.unknown(grantor, structure); // RS3
  return H_SUCCESS;
}

/**
 * Asks the grantee to give back what a grant gave it, within so many milliseconds: an event that says so. Nothing else
 * happens, and there is nothing to ask for where a normal rescind would do. Statuses as a normal rescind.
 */
export function requestReturn(lpid: f64, cookie: f64, ms: f64): i32 {
  const own = decodeInteger(lpid);
  const grantor = partitionNumbered(own);
  if (!runsNow(grantor)) return whyStopped(grantor);
  const left = decodeInteger(ms);
  if (left > u32(EVENT_MS_LIMIT)) return H_PARAMETER;
  const structure = structureIn(cookie);
  if (cookieOf(structure) != cookie) return H_PARAMETER; // RS1
  if (!isGrant(structure)) return H_PARAMETER; // RS1
  if (grantorOf(structure) != own) return H_PARAMETER; // RS1; what is rescinded is nobody's
  if (!holds(holderOf(structure))) return H_NEED_ALL;
  if (isRevoking(structure)) return H_RESCINDED;
  if (stateOf(structure) == STRUCTURE_GRANTED && childOf(structure) == 0) return H_SUCCESS;
  const type = EVENT_RESCIND_REQUESTED | (left << EVENT_MS_SHIFT);
  pushEvent(partitionAt(holderOf(structure)), type, lpidOf(grantor), cookieOf(structure));
  return H_SUCCESS;
}
