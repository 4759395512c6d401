/**
 * What a structure counts on, in one place: the grantor's adapter end and both partitions. Each change of state of a
 * grant goes through one of these, so that no path can take without giving back.
 */
import {
  END_UNRETURNED,
  END_USED,
  EVENT_RETURNED,
  FLAG_REVOKING,
  JOB_PAGES,
  PARTITION_GRANTS_IN,
  PARTITION_GRANTS_OUT,
  PARTITION_PAGES_MAPPED,
  PARTITION_RESCINDED,
  SPACE_DMA,
  SPACE_MEMORY,
  STRUCTURE_GRANTED,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
} from "../src/layout";
import { addEndWord, endAt, releaseEndIfIdle } from "./adapter";
import {
  clearZeroed,
  cookieOf,
  endOf,
  holderOf,
  pageCountOf,
  pageOf,
  parentOf,
  releaseGrant,
  releaseStructure,
  setFlag,
  setLiobn,
  setPage,
  setState,
  slotOf,
  spaceOf,
  stateOf,
  structureAt,
  unlinkChild,
  unlinkHeld,
} from "./control";
import { pushEvent } from "./event";
import { endLend } from "./lend";
import { endLine } from "./line";
import { beginJob, note } from "./log";
import { addPartitionWord, isDeferred, partitionAt, partitionWord, signal } from "./partition";
import { holdsAll } from "./thread";

/** A grant stands: one more of the end's quota, one more out and in. */
export function countGrant(end: usize, grantor: usize, grantee: usize): void {
  addEndWord(end, END_USED, 1);
  addPartitionWord(grantor, PARTITION_GRANTS_OUT, 1);
  addPartitionWord(grantee, PARTITION_GRANTS_IN, 1);
}

/** A grant does not stand any more. */
export function uncountGrant(structure: usize, end: usize): void {
  const grantor = partitionAt(holderOf(structureAt(parentOf(structure))));
  addEndWord(end, END_USED, -1);
  addPartitionWord(grantor, PARTITION_GRANTS_OUT, -1);
  addPartitionWord(partitionAt(holderOf(structure)), PARTITION_GRANTS_IN, -1);
  if (isDeferred(grantor) && partitionWord(grantor, PARTITION_GRANTS_OUT) == 0) signal(grantor);
}

/** Pages of others that the holder reaches: only memory is counted. */
export function countMapped(structure: usize, sign: i32): void {
  if (spaceOf(structure) != SPACE_MEMORY) return;
  addPartitionWord(
    partitionAt(holderOf(structure)),
    PARTITION_PAGES_MAPPED,
    sign * <i32>pageCountOf(structure),
  );
}

/** The pages of the structure are brought in line with its new state right after the commit. */
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

/** Shared becomes under revocation: no use may start any more. */
export function becomeRevoking(structure: usize): void {
  setFlag(structure, FLAG_REVOKING);
  if (stateOf(structure) != STRUCTURE_SHARED) return;
  settleLater(structure);
  countMapped(structure, -1);
  endLine(structure);
  if (spaceOf(structure) == SPACE_DMA) setLiobn(structure, 0);
}

/** Shared becomes Returning: unmapped, the addresses still taken (RE6). */
export function becomeReturning(structure: usize): void {
  settleLater(structure);
  countMapped(structure, -1);
  setState(structure, STRUCTURE_RETURNING);
}

/** Shared or Returning becomes Granted: the addresses are free again. */
export function becomeGranted(structure: usize): void {
  settleLater(structure);
  endLine(structure);
  setPage(structure, 0);
  clearZeroed(structure);
  setState(structure, STRUCTURE_GRANTED);
}

/** Tells the grantor that its grant is not used any more. */
export function tellReturned(structure: usize): void {
  const grantor = partitionAt(holderOf(structureAt(parentOf(structure))));
  pushEvent(grantor, EVENT_RETURNED, holderOf(structure), cookieOf(structure));
}

/** A Granted structure without children ends: Unknown. Its slot is for all, or for the grantor's next grant. */
export function becomeUnknown(structure: usize): void {
  const end = endAt(endOf(structure));
  const grantor = partitionAt(holderOf(structureAt(parentOf(structure))));
  note(structure);
  endLend(structure);
  uncountGrant(structure, end);
  unlinkChild(structure);
  unlinkHeld(partitionAt(holderOf(structure)), structure);
  if (holdsAll()) releaseStructure(structure);
  else releaseGrant(grantor, structure);
  releaseEndIfIdle(end);
}

/** A Shared structure without children, its entries rescinded already, leaves the tree; its addresses stay taken. */
export function becomeRescinded(structure: usize): void {
  const end = endAt(endOf(structure));
  endLend(structure);
  uncountGrant(structure, end);
  addEndWord(end, END_UNRETURNED, 1);
  addPartitionWord(partitionAt(holderOf(structure)), PARTITION_RESCINDED, 1);
  note(structure);
  unlinkChild(structure);
  setState(structure, STRUCTURE_RESCINDED);
}

/** A Rescinded structure is returned (RE5), or its holder failed. */
export function endRescinded(structure: usize): void {
  const end = endAt(endOf(structure));
  const holder = partitionAt(holderOf(structure));
  settleLater(structure);
  note(structure);
  addEndWord(end, END_UNRETURNED, -1);
  addPartitionWord(holder, PARTITION_RESCINDED, -1);
  unlinkHeld(holder, structure);
  releaseStructure(structure);
  releaseEndIfIdle(end);
}
