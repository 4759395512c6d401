/**
 * Failure and recovery (rules FA; patent claims 1, 5, 6, 9, 10).
 *
 *     running -> failed -> recovering -> stopped
 *
 * failPartition() tells the partners before anything is lost. recoverClient() then returns what the partition accepted
 * and rescinds what it granted on; recoverServer(), after the grace period, rescinds what it granted of its own and
 * frees its memory. Both walk the partition's own lists, never the tables; a list only gets shorter, so that a call goes
 * on where the last one stopped (FA6).
 */
import {
  END_NEXT,
  ENTRY_FRAME,
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  H_PARAMETER,
  H_PARTIAL,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_BUDGET_LEFT,
  HEADER_FAILURES,
  PARTITION_ENDS,
  PARTITION_FAILED,
  PARTITION_HELD,
  PARTITION_NOTICE,
  PARTITION_OWNED,
  PARTITION_PAGES_OWNED,
  PARTITION_PIN_LIST,
  PARTITION_QUARANTINED,
  PARTITION_RECOVERING,
  PARTITION_STATE,
  PARTITION_STOPPED,
  PIN_FRAME_COUNT,
  SPACE_MEMORY,
  STRUCTURE_RESCINDED,
  TRANSPORT_DEREGISTERED,
  TRANSPORT_FAILED,
  ZERO_PAGE_STEPS,
} from "../src/layout";
import { endRescinded } from "./account";
import {
  closeEnd,
  endAt,
  endWord,
  isOpen,
  orphanEnd,
  partnerEnd,
  partnerPartition,
  releaseEndIfIdle,
} from "./adapter";
import {
  childOf,
  cursorOf,
  nextHeldOf,
  pageCountOf,
  pageOf,
  releaseStructure,
  setCursor,
  spaceOf,
  stateOf,
  structureAt,
  unlinkHeld,
} from "./control";
import { decodeInteger } from "./decode";
import { dropEvents, pushEvent } from "./event";
import { releaseFrame } from "./frame";
import { addHeader, header, NONE, setResult } from "./memory";
import { entryOf, freePages, spaceAt, unmapPages } from "./page";
import {
  addPartitionWord,
  decodePartition,
  isRunning,
  lpidOf,
  partitionWord,
  setPartitionWord,
} from "./partition";
import { orphanPin, pinAt, pinWord } from "./pin";
import { closeQueue, putTransport } from "./queue";
import { revoke } from "./revoke";

/** Tells each partner once, however many adapters join the two; `code` goes into every queue, 0 into none. */
function tellPartners(partition: usize, event: u32, code: u32): void {
  addHeader(HEADER_FAILURES, 1);
  const serial = header(HEADER_FAILURES);
  let slot = partitionWord(partition, PARTITION_ENDS);
  while (slot != 0) {
    const end = endAt(slot);
    slot = endWord(end, END_NEXT);
    if (!isOpen(end)) continue;
    const partner = partnerPartition(end);
    if (code != 0) putTransport(partnerEnd(end), code);
    if (partitionWord(partner, PARTITION_NOTICE) == serial) continue;
    setPartitionWord(partner, PARTITION_NOTICE, serial);
    pushEvent(partner, event, lpidOf(partition), f64(lpidOf(partition)));
  }
}

function closeQueues(partition: usize): void {
  let slot = partitionWord(partition, PARTITION_ENDS);
  while (slot != 0) {
    const end = endAt(slot);
    slot = endWord(end, END_NEXT);
    closeQueue(end);
  }
}

/** Whether grants stand on the partition's own resources: then its clients are owed the grace period. */
function hasServed(partition: usize): bool {
  let slot = partitionWord(partition, PARTITION_OWNED);
  while (slot != 0) {
    const structure = structureAt(slot);
    if (childOf(structure) != 0) return true;
    slot = nextHeldOf(structure);
  }
  return false;
}

/**
 * Declares a running partition failed: its queues close, its partners are told. `orderly` sends the transport event of
 * a deregistration instead of a failure. R4: 1 if a grace period is owed. H_RESOURCE if it does not run.
 */
export function failPartition(lpid: f64, orderly: f64): i32 {
  const partition = decodePartition(lpid);
  const mode = decodeInteger(orderly);
  if (partition == 0 || mode > 1) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESOURCE;
  setPartitionWord(partition, PARTITION_STATE, PARTITION_FAILED);
  closeQueues(partition);
  dropEvents(partition);
  tellPartners(partition, EVENT_PARTNER_FAILED, mode == 1 ? TRANSPORT_DEREGISTERED : TRANSPORT_FAILED);
  setResult(hasServed(partition) ? 1 : 0);
  return H_SUCCESS;
}

function isFailing(partition: usize): bool {
  const state = partitionWord(partition, PARTITION_STATE);
  return state == PARTITION_FAILED || state == PARTITION_RECOVERING;
}

/**
 * The client's part (FA1): what was accepted is returned, what was granted on is rescinded by force. Pages under its
 * views move away first, since the views may still be in somebody's hands.
 * H_PARTIAL: call again. H_RESOURCE: the partition did not fail.
 */
export function recoverClient(lpid: f64, budget: f64): i32 {
  const partition = decodePartition(lpid);
  const steps = decodeInteger(budget);
  if (partition == 0 || steps == NONE || steps == 0) return H_PARAMETER;
  if (!isFailing(partition)) return H_RESOURCE;
  return releaseHeld(partition, steps);
}

function releaseHeld(partition: usize, budget: u32): i32 {
  let left = <i32>min<u32>(budget, 0x3fffffff);
  while (left > 0) {
    const slot = partitionWord(partition, PARTITION_HELD);
    if (slot == 0) return H_SUCCESS;
    const structure = structureAt(slot);
    if (stateOf(structure) == STRUCTURE_RESCINDED) {
      endRescinded(structure);
      left--;
    } else {
      if (revoke(structure, left) != H_SUCCESS) return H_PARTIAL;
      left = header(HEADER_BUDGET_LEFT);
    }
  }
  return H_PARTIAL;
}

/** Rescinds what was granted on an elemental resource, then frees it. Answers the budget left, 0 if there is more. */
function releaseElemental(partition: usize, structure: usize, budget: i32): i32 {
  let left = budget;
  if (childOf(structure) != 0) {
    if (revoke(structure, left) != H_SUCCESS) return 0;
    left = header(HEADER_BUDGET_LEFT);
  }
  const space = spaceOf(structure);
  const at = spaceAt(partition, space);
  const page = pageOf(structure);
  const count = pageCountOf(structure);
  if (space == SPACE_MEMORY) {
    let done = cursorOf(structure);
    while (done < count && left > 0) {
      const frame = entryOf(at, page + done) & ENTRY_FRAME;
      unmapPages(at, page + done, 1);
      addPartitionWord(partition, PARTITION_PAGES_OWNED, -1);
      if (releaseFrame(frame, lpidOf(partition))) addPartitionWord(partition, PARTITION_QUARANTINED, 1);
      done++;
      left -= ZERO_PAGE_STEPS;
    }
    setCursor(structure, done);
    if (done < count) return 0;
  } else unmapPages(at, page, count);
  freePages(at, page, count);
  unlinkHeld(partition, structure);
  releaseStructure(structure);
  return max(left - 1, 0);
}

/** Its views are nobody's of the next incarnation. */
function orphanPins(partition: usize, budget: i32): void {
  let left = budget;
  while (left > 0) {
    const pin = partitionWord(partition, PARTITION_PIN_LIST);
    if (pin == 0) break;
    left -= 1 + pinWord(pinAt(pin), PIN_FRAME_COUNT);
    orphanPin(pinAt(pin));
  }
}

/** Both ends of each adapter close, the partners hear that the recovery is complete. */
function closeAdapters(partition: usize): void {
  tellPartners(partition, EVENT_PARTNER_RECOVERED, 0);
  let slot = partitionWord(partition, PARTITION_ENDS);
  while (slot != 0) {
    const end = endAt(slot);
    slot = endWord(end, END_NEXT);
    if (isOpen(end)) {
      const far = partnerEnd(end);
      closeEnd(end);
      closeEnd(far);
      releaseEndIfIdle(far);
    }
    orphanEnd(end);
  }
}

/**
 * The server's part (FA2), when no grace is left: what it granted is rescinded by force, its memory is zeroed and freed
 * (FA4), its adapters end. H_PARTIAL: call again. H_SUCCESS: it is stopped and may start again. H_RESOURCE: it did not
 * fail.
 */
export function recoverServer(lpid: f64, budget: f64): i32 {
  const partition = decodePartition(lpid);
  const steps = decodeInteger(budget);
  if (partition == 0 || steps == NONE || steps == 0) return H_PARAMETER;
  if (!isFailing(partition)) return H_RESOURCE;
  setPartitionWord(partition, PARTITION_STATE, PARTITION_RECOVERING);
  if (partitionWord(partition, PARTITION_HELD) != 0 && releaseHeld(partition, steps) != H_SUCCESS) {
    return H_PARTIAL;
  }
  let left = <i32>min<u32>(steps, 0x3fffffff);
  while (left > 0) {
    const slot = partitionWord(partition, PARTITION_OWNED);
    if (slot == 0) {
      orphanPins(partition, left);
      if (partitionWord(partition, PARTITION_PIN_LIST) != 0) return H_PARTIAL;
      closeAdapters(partition);
      setPartitionWord(partition, PARTITION_STATE, PARTITION_STOPPED);
      return H_SUCCESS;
    }
    left = releaseElemental(partition, structureAt(slot), left);
  }
  return H_PARTIAL;
}
