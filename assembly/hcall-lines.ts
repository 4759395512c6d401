/**
 * Interrupt sources (KI3) and interprocessor-interrupt ports (KI5): raising, ringing, taking, masks and ends. The names are
 * those of PAPR's interrupt model: H_IPI rings, H_XIRR takes what waits, H_EOI ends it.
 *
 * A raise reaches the owner of the source and whoever has accepted it. With sharers that is a job, under all locks: whoever
 * finds it after a crash does it again, and nobody can have taken anything meanwhile.
 */
import {
  ENTRY_VALID,
  H_CLOSED,
  H_NEED_ALL,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  JOB_RAISE,
  SPACE_INTERRUPT,
  SPACE_IPI,
  STRUCTURE_OWNED,
} from "../src/layout";
import {
  childOf,
  decodeGrant,
  guessOwner,
  holderOf,
  isRevoking,
  pageOf,
  rootOf,
  slotOf,
  spaceOf,
  stateOf,
  structureAt,
} from "./control";
import { decodeBits, decodeInteger } from "./decode";
import { settle } from "./job";
import {
  armLine,
  disarmLine,
  endService,
  isArmed,
  lineIndex,
  maskLine,
  raiseLine,
  takeFirstLine,
} from "./line";
import { beginJob } from "./log";
import { budget, resultOf } from "./memory";
import { backOf, entryFault, entryOf, spaceAt, spacePages } from "./page";
import { decodePartition, isRunning, lpidOf, partitionAt } from "./partition";
import { holds, holdsAll } from "./thread";

/** Whether the caller runs and has the source or port at a number of its own, and nobody is taking it away. */
function examineLine(lpid: f64, space: u32, address: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const number = decodeInteger(address);
  const at = spaceAt(partition, space);
  if (number >= spacePages(at)) return H_PARAMETER;
  const entry = entryOf(at, number);
  if ((entry & ENTRY_VALID) == 0) return entryFault(entry);
  return isRevoking(structureAt(backOf(at, number))) ? H_RESCINDED : H_SUCCESS;
}

/** The structure of a source or port that was examined. */
function lineStructure(lpid: f64, space: u32, address: f64): usize {
  return structureAt(backOf(spaceAt(decodePartition(lpid), space), decodeInteger(address)));
}

/** Where a raise goes on: at what an answer H_PARTIAL named, or from the beginning if that has ended since. */
function raisesFrom(root: usize, cookie: f64): u32 {
  const structure = decodeGrant(cookie);
  if (structure == 0 || spaceOf(structure) != SPACE_INTERRUPT) return slotOf(root);
  return rootOf(structure) == root ? slotOf(structure) : slotOf(root);
}

/**
 * The interrupt source at an address of the caller's fires: for the owner of the source and for all who have accepted it.
 * @param device 1: not the partition raises it, but the manager in the name of a device.
 * @param position 0; after H_PARTIAL the second result, to go on.
 */
export function raiseInterrupt(lpid: f64, address: f64, device: f64, position: f64): i32 {
  const status = examineLine(lpid, SPACE_INTERRUPT, address);
  if (status != H_SUCCESS) return status;
  const isDevice = decodeInteger(device);
  if (isDevice > 1 || (position != 0 && decodeBits(position) == 0)) return H_PARAMETER;
  const partition = decodePartition(lpid);
  const from = isDevice == 1 ? 0 : lpidOf(partition);
  const structure = lineStructure(lpid, SPACE_INTERRUPT, address);
  if (stateOf(structure) == STRUCTURE_OWNED && childOf(structure) == 0) {
    raiseLine(partition, lineIndex(SPACE_INTERRUPT, decodeInteger(address)), from);
    return H_SUCCESS;
  }
  if (!holdsAll()) return H_NEED_ALL;
  const root = rootOf(structure);
  beginJob(JOB_RAISE, slotOf(root), from, 0, raisesFrom(root, position), budget());
  settle();
  return resultOf() == 0 ? H_SUCCESS : H_PARTIAL;
}

/** Of a ring: the partition that owns the port, guessed without any lock; 0: none. */
export function bellOwnerNamed(lpid: f64, address: f64): u32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return 0;
  const at = spaceAt(partition, SPACE_IPI);
  const number = decodeInteger(address);
  if (number >= spacePages(at)) return 0;
  return guessOwner(backOf(at, number));
}

/** H_IPI: rings the doorbell behind the port at an address of the caller's. H_CLOSED: whose doorbell it is does not run. */
export function sendIpi(lpid: f64, address: f64): i32 {
  const status = examineLine(lpid, SPACE_IPI, address);
  if (status != H_SUCCESS) return status;
  const root = rootOf(lineStructure(lpid, SPACE_IPI, address));
  if (!holds(holderOf(root))) return H_NEED_ALL;
  const owner = partitionAt(holderOf(root));
  if (!isRunning(owner)) return H_CLOSED;
  raiseLine(owner, lineIndex(SPACE_IPI, pageOf(root)), lpidOf(decodePartition(lpid)));
  return H_SUCCESS;
}

/** H_XIRR: takes the interrupt or doorbell that has waited longest. R4: its number. H_NOT_FOUND: none. */
export function takeLine(lpid: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  return isRunning(partition) ? takeFirstLine(partition) : H_NOT_FOUND;
}

/** 1: from here on each event of the source is in service until its end is said, and the mapping is pinned; 0: no more. */
export function armInterrupt(lpid: f64, address: f64, arms: f64): i32 {
  const status = examineLine(lpid, SPACE_INTERRUPT, address);
  if (status != H_SUCCESS) return status;
  const mode = decodeInteger(arms);
  if (mode > 1) return H_PARAMETER;
  const partition = decodePartition(lpid);
  const number = decodeInteger(address);
  if (isArmed(partition, number) == (mode == 1)) return H_RESOURCE;
  const structure = lineStructure(lpid, SPACE_INTERRUPT, address);
  const index = lineIndex(SPACE_INTERRUPT, number);
  if (mode == 1) armLine(structure, partition, index);
  else disarmLine(structure, partition, index);
  return H_SUCCESS;
}

/** 1: what is raised waits until it is unmasked, 0. */
export function maskInterrupt(lpid: f64, address: f64, masks: f64): i32 {
  const status = examineLine(lpid, SPACE_INTERRUPT, address);
  if (status != H_SUCCESS) return status;
  const mode = decodeInteger(masks);
  if (mode > 1) return H_PARAMETER;
  maskLine(decodePartition(lpid), lineIndex(SPACE_INTERRUPT, decodeInteger(address)), mode == 1);
  return H_SUCCESS;
}

/** H_EOI: the end of an event of an armed source. H_PARAMETER: none was taken. */
export function endInterrupt(lpid: f64, address: f64): i32 {
  const status = examineLine(lpid, SPACE_INTERRUPT, address);
  if (status != H_SUCCESS) return status;
  const index = lineIndex(SPACE_INTERRUPT, decodeInteger(address));
  return endService(decodePartition(lpid), index) ? H_SUCCESS : H_PARAMETER;
}
