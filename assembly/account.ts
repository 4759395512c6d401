/**
 * What a structure counts on, in one place: the grantor's adapter end and both partitions. Each change of state of a
 * grant goes through one of these, so that no path can take without giving back.
 */
import {
  END_UNRETURNED,
  END_USED,
  EVENT_RETURNED,
  FLAG_DONATED,
  FLAG_LENT,
  FLAG_REVOKING,
  FLAG_ZERO,
  HEADER_TORN_DOWN,
  JOB_PAGES,
  PARTITION_DEFERRED,
  PARTITION_GRANTS_IN,
  PARTITION_GRANTS_OUT,
  PARTITION_HELD,
  PARTITION_PAGES_MAPPED,
  PARTITION_RESCINDED,
  SPACE_DMA,
  SPACE_MEMORY,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  STRUCTURE_STATE,
} from "../src/layout";
import { addEndWord, endAt, releaseEndIfIdle } from "./adapter";
import {
  clearZeroed,
  cookieOf,
  endOf,
  grantorOf,
  hasFlag,
  holderOf,
  Links,
  leaveList,
  leaveTree,
  pageCountOf,
  pageOf,
  Shared,
  setFlag,
  setLiobn,
  setState,
  slotOf,
  spaceOf,
  stateOf,
} from "./control";
import { pushEvent } from "./event";
import { endLend } from "./lend";
import { endLine } from "./line";
import { beginJob, Counters, Words } from "./log";
import { threadsBesides } from "./memory";
import { areFew, entryPlace, freeFew, freePage, OnePage, rescinded, spaceAt } from "./page";
import { addPartitionWord, isDeferred, partitionAt, partitionWord, signal } from "./partition";
import { Ended, isLastUse, isPoolFull, releaseGrant, releaseStructure } from "./slot";

/** So many grants through one end do not stand any more. */
export function uncountGrants(grantor: usize, grantee: usize, end: usize, count: u32): void {
  Counters.add(end + END_USED, grantor + PARTITION_GRANTS_OUT, grantee + PARTITION_GRANTS_IN, -(<i32>count));
  Unused.tell(grantor);
}

/** So many grants through one end are torn down, and not returned yet. */
export function countStale(grantor: usize, grantee: usize, end: usize, count: u32): void {
  uncountGrants(grantor, grantee, end, count);
  Counters.add(HEADER_TORN_DOWN, end + END_UNRETURNED, grantee + PARTITION_RESCINDED, count);
}

/** A method, since only those are inlined on demand. */
class Unused {
  /** The recovery of a grantor may wait until no grant of its stands any more (FA7). */
  @inline
  static tell(grantor: usize): void {
    if (partitionWord(grantor, PARTITION_DEFERRED) != 0) signalIfUnused(grantor);
  }
}

function signalIfUnused(grantor: usize): void {
  if (isDeferred(grantor) && partitionWord(grantor, PARTITION_GRANTS_OUT) == 0) signal(grantor);
}

/** How many pages of others a holder reaches by a mapping: only memory is counted. */
export function mappedBy(structure: usize): i32 {
  return spaceOf(structure) == SPACE_MEMORY ? pageCountOf(structure) : 0;
}

/** The holder does not reach its pages any more. */
function uncountMapped(structure: usize): void {
  addPartitionWord(partitionAt(holderOf(structure)), PARTITION_PAGES_MAPPED, -mappedBy(structure));
}

/** A method, since only those are inlined on demand. */
export class Mapped {
  /** Granted becomes Shared, from a page on; so many pages that the holder reaches from now on count. */
  @inline
  static begin(holder: usize, structure: usize, page: u32, pages: i32): void {
    const mapped = holder + PARTITION_PAGES_MAPPED;
    Shared.begin(structure, page, mapped, load<u32>(mapped) + pages);
  }

  /** It becomes Granted; so many pages that the holder has reached until now count no more. */
  @inline
  static end(holder: usize, structure: usize, pages: i32): void {
    const mapped = holder + PARTITION_PAGES_MAPPED;
    Shared.end(structure, mapped, load<u32>(mapped) - pages);
  }
}

// What becomes of the pages of a structure: right after the commit, by a job. Nobody may see that access has ended before the
// call has happened, which may be undone; where there is nobody to see it, a few pages are done in the commit itself.

/** The pages are brought in line with the state that the structure has by then. */
function settleLater(structure: usize): void {
  beginJob(
    JOB_PAGES,
    slotOf(structure),
    holderOf(structure),
    spaceOf(structure),
    pageOf(structure),
    pageCountOf(structure),
  );
}

/** Whether its pages are so few, and nobody is there to see them. */
function mayEndNow(structure: usize): bool {
  return ((pageCountOf(structure) ^ 1) | threadsBesides()) == 0;
}

function holderSpace(structure: usize): usize {
  return spaceAt(partitionAt(holderOf(structure)), spaceOf(structure));
}

/** The pages are unmapped and their addresses free. */
function unmapAll(structure: usize): void {
  if (mayEndNow(structure)) freePage(holderSpace(structure), pageOf(structure));
  else settleLater(structure);
}

/** A method, since only those are inlined on demand. */
export class Pages {
  /** A structure with one page, where no other thread reads entries: the page answers H_RESCINDED until it is unmapped (RS4). */
  @inline
  static cut(structure: usize, entry: usize): void {
    const first = load<u32>(structure) | (FLAG_REVOKING << 24);
    Words.put2(structure + STRUCTURE_STATE, first, entry, rescinded(load<u32>(entry)));
  }
}

/** Shared becomes under revocation: no use may start any more. */
export function becomeRevoking(structure: usize): void {
  if (stateOf(structure) != STRUCTURE_SHARED || !mayEndNow(structure)) {
    setFlag(structure, FLAG_REVOKING);
    if (stateOf(structure) != STRUCTURE_SHARED) return;
    settleLater(structure);
  } else Pages.cut(structure, entryPlace(holderSpace(structure), pageOf(structure)));
  uncountMapped(structure);
  if (spaceOf(structure) == SPACE_MEMORY) return;
  endLine(structure);
  if (spaceOf(structure) == SPACE_DMA) setLiobn(structure, 0);
}

/** Shared becomes Returning: unmapped, the addresses still taken (RE6). */
export function becomeReturning(structure: usize): void {
  settleLater(structure);
  uncountMapped(structure);
  setState(structure, STRUCTURE_RETURNING);
}

/** Methods, since only those are inlined on demand. */
export class Become {
  /** Shared becomes Granted, of memory that nothing else is true of: the addresses are free again. */
  @inline
  static granted(holder: usize, structure: usize): void {
    const count = pageCountOf(structure);
    if (threadsBesides() != 0) settleLater(structure);
    else if (count == 1) OnePage.free(spaceAt(holder, SPACE_MEMORY), pageOf(structure));
    else if (areFew(pageOf(structure), count))
      freeFew(spaceAt(holder, SPACE_MEMORY), pageOf(structure), count);
    else settleLater(structure);
    Mapped.end(holder, structure, count);
  }

  /** A Granted structure of a grantor's, without children, ends: Unknown; the pool that it goes to has room. */
  @inline
  static unknown(grantor: usize, structure: usize): void {
    if (Ended.isPlain(structure)) {
      Ended.grant(grantor, partitionAt(holderOf(structure)), endAt(endOf(structure)), structure);
      Unused.tell(grantor);
    } else becomeUnknown(structure);
  }
}

/**
 * Shared, Returning, or under revocation becomes Granted: the addresses are free again. So many pages that the holder has reached until
 * now count no more.
 */
export function becomeGranted(holder: usize, structure: usize, pages: i32): void {
  unmapAll(structure);
  if (spaceOf(structure) != SPACE_MEMORY) endLine(structure);
  if (hasFlag(structure, FLAG_ZERO)) clearZeroed(structure);
  Mapped.end(holder, structure, pages);
}

/** Tells the grantor that its grant is not used any more. */
export function tellReturned(structure: usize): void {
  pushEvent(partitionAt(grantorOf(structure)), EVENT_RETURNED, holderOf(structure), cookieOf(structure));
}

/**
 * A Granted structure without children ends: Unknown. Its slot is for the grantor's next grant, or for all, which needs all
 * locks. Of what it may not be, and where it is not done often; else as Ended.grant().
 */
export function becomeUnknown(structure: usize): void {
  const end = endAt(endOf(structure));
  const grantor = partitionAt(grantorOf(structure));
  const grantee = partitionAt(holderOf(structure));
  if (hasFlag(structure, FLAG_LENT | FLAG_DONATED)) endLend(structure);
  uncountGrants(grantor, grantee, end, 1);
  leaveTree(structure);
  leaveList(grantee + PARTITION_HELD, structure);
  if (isPoolFull(grantor) || isLastUse(structure)) releaseStructure(structure);
  else releaseGrant(grantor, structure);
}

/**
 * A Shared structure without children, its entries rescinded already, leaves the tree, torn down; its addresses stay taken.
 */
export function becomeRescinded(structure: usize): void {
  const end = endAt(endOf(structure));
  const grantee = partitionAt(holderOf(structure));
  if (hasFlag(structure, FLAG_LENT | FLAG_DONATED)) endLend(structure);
  countStale(partitionAt(grantorOf(structure)), grantee, end, 1);
  leaveTree(structure);
  Links.leaveStale(structure);
}

/** A Rescinded structure is returned (RE5), or its holder failed. */
export function endRescinded(structure: usize): void {
  const end = endAt(endOf(structure));
  const holder = partitionAt(holderOf(structure));
  unmapAll(structure);
  addEndWord(end, END_UNRETURNED, -1);
  addPartitionWord(holder, PARTITION_RESCINDED, -1);
  leaveList(holder + PARTITION_HELD, structure);
  releaseStructure(structure);
  releaseEndIfIdle(end);
}
