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
import { addEndWord, endAt, isOpen, releaseEndIfIdle } from "./adapter";
import {
  clearZeroed,
  cookieOf,
  endOf,
  grantorOf,
  hasFlag,
  holderOf,
  Links,
  leaveList,
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
import { Staged } from "./event";
import { endLend } from "./lend";
import { endLine } from "./line";
import { beginJob, Counters, Words } from "./log";
import { isAlone, threadsBesides } from "./memory";
import { areFew, entryPlace, freeFew, freePage, rescinded, spaceAt } from "./page";
import { addPartitionWord, isDeferred, partitionAt, partitionWord, signal } from "./partition";
import { isLastUse, isPoolFull, releaseGrant, releaseStructure } from "./slot";

/** A grant stands: one more of the end's quota, one more out and in. */
export function countGrant(end: usize, grantor: usize, grantee: usize): void {
  Counters.add(end + END_USED, grantor + PARTITION_GRANTS_OUT, grantee + PARTITION_GRANTS_IN, 1);
}

/** Methods, since only those are inlined on demand. */
export class Grants {
  /** So many grants through one end do not stand any more. */
  @inline
  static uncount(grantor: usize, grantee: usize, end: usize, count: u32): void {
    Counters.add(
      end + END_USED,
      grantor + PARTITION_GRANTS_OUT,
      grantee + PARTITION_GRANTS_IN,
      -(<i32>count),
    );
    if (partitionWord(grantor, PARTITION_DEFERRED) != 0) signalIfUsedNoMore(grantor);
  }
}

/** The same where it is not done often. */
export function uncountGrants(grantor: usize, grantee: usize, end: usize, count: u32): void {
  Grants.uncount(grantor, grantee, end, count);
}

/** So many grants through one end are torn down, and not returned yet. */
export function countStale(grantor: usize, grantee: usize, end: usize, count: u32): void {
  uncountGrants(grantor, grantee, end, count);
  Counters.add(HEADER_TORN_DOWN, end + END_UNRETURNED, grantee + PARTITION_RESCINDED, count);
}

/** Its recovery may wait for that (FA7). */
function signalIfUsedNoMore(grantor: usize): void {
  if (isDeferred(grantor) && partitionWord(grantor, PARTITION_GRANTS_OUT) == 0) signal(grantor);
}

/** A method, since only those are inlined on demand. */
export class Mapped {
  /** Pages of others that the holder reaches: only memory is counted. */
  @inline
  static count(holder: usize, structure: usize, sign: i32): void {
    if (spaceOf(structure) != SPACE_MEMORY) return;
    const place = holder + PARTITION_PAGES_MAPPED;
    Words.put(place, load<u32>(place) + sign * pageCountOf(structure));
  }
}

/** The same where it is not done often. */
export function countMapped(holder: usize, structure: usize, sign: i32): void {
  Mapped.count(holder, structure, sign);
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

/** A method, since only those are inlined on demand. */
export class Pages {
  /** The pages are unmapped and their addresses free. */
  @inline
  static free(structure: usize): void {
    if (mayEndNow(structure)) freePage(holderSpace(structure), pageOf(structure));
    else if (isAlone() && areFew(pageOf(structure), pageCountOf(structure)))
      freeFew(holderSpace(structure), pageOf(structure), pageCountOf(structure));
    else settleLater(structure);
  }

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
  countMapped(partitionAt(holderOf(structure)), structure, -1);
  if (spaceOf(structure) == SPACE_MEMORY) return;
  endLine(structure);
  if (spaceOf(structure) == SPACE_DMA) setLiobn(structure, 0);
}

/** Shared becomes Returning: unmapped, the addresses still taken (RE6). */
export function becomeReturning(structure: usize): void {
  settleLater(structure);
  countMapped(partitionAt(holderOf(structure)), structure, -1);
  setState(structure, STRUCTURE_RETURNING);
}

/** A method, since only those are inlined on demand. */
export class Become {
  /** Shared or Returning becomes Granted: the addresses are free again. */
  @inline
  static granted(structure: usize): void {
    Pages.free(structure);
    if (spaceOf(structure) != SPACE_MEMORY) endLine(structure);
    if (hasFlag(structure, FLAG_ZERO)) clearZeroed(structure);
    Shared.end(structure);
  }
}

/** The same where it is not done often. */
export function becomeGranted(structure: usize): void {
  Become.granted(structure);
}

/** Tells the grantor that its grant is not used any more. */
export function tellReturned(structure: usize): void {
  Staged.push(partitionAt(grantorOf(structure)), EVENT_RETURNED, holderOf(structure), cookieOf(structure));
}

/**
 * A Granted structure without children ends: Unknown. Its slot is for the grantor's next grant, or for all, which needs all
 * locks.
 */
export function becomeUnknown(structure: usize): void {
  const end = endAt(endOf(structure));
  const grantor = partitionAt(grantorOf(structure));
  const grantee = partitionAt(holderOf(structure));
  if (hasFlag(structure, FLAG_LENT | FLAG_DONATED)) endLend(structure);
  Grants.uncount(grantor, grantee, end, 1);
  Links.leaveTree(structure);
  Links.leaveList(grantee + PARTITION_HELD, structure);
  if (isPoolFull(grantor) || isLastUse(structure)) releaseStructure(structure);
  else releaseGrant(grantor, structure);
  if (!isOpen(end)) releaseEndIfIdle(end);
}

/**
 * A Shared structure without children, its entries rescinded already, leaves the tree, torn down; its addresses stay taken.
 */
export function becomeRescinded(structure: usize): void {
  const end = endAt(endOf(structure));
  const grantee = partitionAt(holderOf(structure));
  if (hasFlag(structure, FLAG_LENT | FLAG_DONATED)) endLend(structure);
  countStale(partitionAt(grantorOf(structure)), grantee, end, 1);
  Links.leaveTree(structure);
  Links.leaveStale(structure);
}

/** A Rescinded structure is returned (RE5), or its holder failed. */
export function endRescinded(structure: usize): void {
  const end = endAt(endOf(structure));
  const holder = partitionAt(holderOf(structure));
  Pages.free(structure);
  addEndWord(end, END_UNRETURNED, -1);
  addPartitionWord(holder, PARTITION_RESCINDED, -1);
  leaveList(holder + PARTITION_HELD, structure);
  releaseStructure(structure);
  releaseEndIfIdle(end);
}
