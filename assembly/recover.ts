/**
 * Failure and recovery (rules FA; patent claims 1, 5, 6, 9, 10).
 *
 *     running -> failed -> recovering -> stopped
 *
 * failPartition() begins to tell the partners (tell.ts); all have heard before anything is lost. recoverClient() then returns
 * what the partition accepted and rescinds what it granted on; recoverServer(), after the grace period, rescinds what it
 * granted of its own and frees its memory. Both walk the partition's own lists, never the tables; a list only gets shorter, so that a call goes
 * on where the last one stopped (FA6). Where the policy is to wait for the borrowers, recoverDeferred() takes the place of
 * recoverClient(), and of the grace period (FA7).
 */
import {
  ENTRY_FRAME,
  FLAG_ROOT,
  H_BUSY,
  H_PARAMETER,
  H_PARTIAL,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_BUDGET,
  HEADER_FAILURES,
  HEADER_FRAMES_MAX,
  HEADER_PARTITIONS_USED,
  HEADER_REVOCATIONS,
  JOB_PAGES,
  PARTITION_DEFERRED,
  PARTITION_DEFERRED_GENERATION,
  PARTITION_DRAIN,
  PARTITION_FAILED,
  PARTITION_FREE,
  PARTITION_GRANTS_OUT,
  PARTITION_HELD,
  PARTITION_OWNED,
  PARTITION_PAGES_OWNED,
  PARTITION_PIN_LIST,
  PARTITION_QUARANTINED,
  PARTITION_RECOVERING,
  PARTITION_SERIAL,
  PARTITION_STATE,
  PARTITION_STOPPED,
  PARTITION_TELLING,
  PIN_FRAME_COUNT,
  SPACE_DMA,
  SPACE_MEMORY,
  START_CREATED,
  STRUCTURE_GRANTED,
  STRUCTURE_OWNED,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  THREAD_WAITS_FOR,
  TRANSPORT_DEREGISTERED,
  TRANSPORT_FAILED,
  ZERO_PAGE_STEPS,
} from "../src/layout";
import { becomeUnknown, endRescinded } from "./account";
import {
  childOf,
  cursorOf,
  entriesOf,
  generationOf,
  hasFlag,
  holderOf,
  isRevoking,
  leaveList,
  nextHeldOf,
  nextOf,
  pageCountOf,
  pageOf,
  parentOf,
  setCursor,
  slotOf,
  spaceOf,
  stateOf,
  structureAt,
} from "./control";
import { decodeInteger, stepsOf } from "./decode";
import { dropEvents } from "./event";
import { releaseFrame, unchargeFrame } from "./frame";
import { settle } from "./job";
import { endLine } from "./line";
import { beginJob, THREAD } from "./log";
import { addHeader, header, NONE, setResult } from "./memory";
import { entryOf, spaceAt, unmapPage } from "./page";
import {
  addPartitionWord,
  decodePartition,
  isRunning,
  lpidOf,
  partitionAt,
  partitionWord,
  setPartitionWord,
  signal,
} from "./partition";
import { orphanPin, pinAt, pinWord, releasePin } from "./pin";
import { budgetLeft, LEAF_STEPS, revoke } from "./revoke";
import { endLeaves } from "./run";
import { releaseStructure, spillPool } from "./slot";
import { endTces } from "./tce";
import { endAdapters, haveEnded, haveHeard, tellFailure } from "./tell";
import { nameUser, nextEpoch, olderUse } from "./thread";

/** A number for the notices of one failure: an even one. The notices of its recovery have the odd one after it. */
function takeSerial(partition: usize): void {
  addHeader(HEADER_FAILURES, 2);
  setPartitionWord(partition, PARTITION_SERIAL, header(HEADER_FAILURES));
}

/** Whether grants stand on the partition's own resources: then its clients are owed the grace period. */
function hasServed(partition: usize): bool {
  if (partitionWord(partition, PARTITION_GRANTS_OUT) == 0) return false;
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
 * a deregistration instead of a failure. R4: 1 if a grace period is owed. H_PARTIAL: it has failed, and more partners are to be told;
 * call again, or recover it, which goes on with that first. H_RESOURCE if it does not run, and all have been told.
 */
export function failPartition(lpid: f64, orderly: f64): i32 {
  const partition = decodePartition(lpid);
  const mode = decodeInteger(orderly);
  if (partition == 0 || mode > 1) return H_PARAMETER;
  if (isRunning(partition)) {
    setPartitionWord(partition, PARTITION_STATE, PARTITION_FAILED);
    setPartitionWord(partition, PARTITION_TELLING, mode == 1 ? TRANSPORT_DEREGISTERED : TRANSPORT_FAILED);
    takeSerial(partition);
    dropEvents(partition);
    signal(partition); // what its own streams wait for will not come
    settle();
    setResult(hasServed(partition) ? 1 : 0);
  } else if (haveHeard(partition)) return H_RESOURCE;
  return tellFailure(partition, header(HEADER_BUDGET)) == 0 ? H_PARTIAL : H_SUCCESS;
}

function isFailing(partition: usize): bool {
  const state = partitionWord(partition, PARTITION_STATE);
  return state == PARTITION_FAILED || state == PARTITION_RECOVERING;
}

/**
 * The client's part (FA1): what was accepted is returned, what was granted on is rescinded by force. Pages under its
 * views move away first, since the views may still be in somebody's hands. Then the forced rescinds go on that it was in the middle of.
 * H_PARTIAL: call again. H_RESOURCE: the partition did not fail.
 */
export function recoverClient(lpid: f64, budget: f64): i32 {
  const partition = decodePartition(lpid);
  const steps = decodeInteger(budget);
  if (partition == 0 || steps == NONE || steps == 0) return H_PARAMETER;
  if (!isFailing(partition)) return H_RESOURCE;
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  const left = tellFailure(partition, steps);
  if (left == 0) return H_PARTIAL;
  const status = releaseHeld(partition, left);
  return status == H_SUCCESS && mayHaveBegun(partition) && !endServed(partition, left) ? H_PARTIAL : status;
}

/**
 * Whether nobody uses a failed partition's addresses any more: its own thread, or a partner that copies. No such use begins, and
 * one that runs would hold up each end of a grant, too.
 */
function isDrained(partition: usize): bool {
  if (partitionWord(partition, PARTITION_DRAIN) == 0) {
    setPartitionWord(partition, PARTITION_DRAIN, nextEpoch());
    settle();
  }
  const user = olderUse(partitionWord(partition, PARTITION_DRAIN));
  if (user == NONE) return true;
  nameUser(user);
  return false;
}

function releaseHeld(partition: usize, budget: i32): i32 {
  if (!isDrained(partition)) return H_PARTIAL;
  let left = budget;
  while (left > 0) {
    const slot = partitionWord(partition, PARTITION_HELD);
    if (slot == 0) return H_SUCCESS;
    const structure = structureAt(slot);
    if (stateOf(structure) == STRUCTURE_RESCINDED) {
      endRescinded(structure);
      settle();
      left--;
      continue;
    }
    const ended = endLeaves(partition, <u32>left / LEAF_STEPS);
    if (ended != 0) {
      settle();
      left -= ended * LEAF_STEPS;
    } else {
      if (revoke(structure, left) != H_SUCCESS) return H_PARTIAL;
      left = budgetLeft();
    }
  }
  return H_PARTIAL;
}

/** States of what a partition serves: in the tree. */
const SERVED_STATES: u32 =
  (1 << STRUCTURE_OWNED) | (1 << STRUCTURE_GRANTED) | (1 << STRUCTURE_SHARED) | (1 << STRUCTURE_RETURNING);

/** The structure after this one in a walk over a partition's elemental resources and their grants, or NONE. */
function nextServed(structure: usize): u32 {
  const isOwned = stateOf(structure) == STRUCTURE_OWNED;
  const slot = isOwned ? childOf(structure) : nextOf(structure);
  if (slot != 0) return slot;
  const next = nextHeldOf(isOwned ? structure : structureAt(parentOf(structure)));
  return next == 0 ? NONE : next;
}

/** Where the walk over what the partition serves goes on. It begins again if what it stood at has ended since. */
function servedFrom(partition: usize): u32 {
  const slot = partitionWord(partition, PARTITION_DEFERRED);
  if (slot == NONE) return NONE;
  const structure = structureAt(slot);
  const isSame = generationOf(structure) == partitionWord(partition, PARTITION_DEFERRED_GENERATION);
  return isSame && stateOf(structure) != STRUCTURE_RESCINDED ? slot : firstServed(partition);
}

function firstServed(partition: usize): u32 {
  const first = partitionWord(partition, PARTITION_OWNED);
  return first == 0 ? NONE : first;
}

/** Where the walk over what the partition serves stands. From the first time on the partition waits for its borrowers. */
function standAt(partition: usize, slot: u32): void {
  setPartitionWord(partition, PARTITION_DEFERRED, slot);
  setPartitionWord(
    partition,
    PARTITION_DEFERRED_GENERATION,
    slot == NONE ? 0 : generationOf(structureAt(slot)),
  );
  settle();
}

/**
 * The same of who does not wait: the walk looks for forced rescinds that it had begun. A slot does, since what it granted is never
 * granted anew once it has failed: what stands there is the same structure, or it is not its own.
 */
function begunFrom(partition: usize): u32 {
  const slot = partitionWord(partition, PARTITION_DEFERRED_GENERATION);
  if (slot == NONE) return NONE;
  const structure = structureAt(slot);
  const state = stateOf(structure);
  const top = state == STRUCTURE_OWNED ? structure : structureAt(parentOf(structure));
  const isServed = stateOf(top) == STRUCTURE_OWNED && holderOf(top) == lpidOf(partition);
  return isServed && ((SERVED_STATES >> state) & 1) != 0 ? slot : firstServed(partition);
}

/**
 * Whether the partition neither waits for its borrowers nor takes all by force, and may have left a forced rescind half-way: who has
 * lost the access by that must be able to return it in the grace period, too (RE5).
 */
function mayHaveBegun(partition: usize): bool {
  if (partitionWord(partition, PARTITION_STATE) != PARTITION_FAILED) return false;
  return partitionWord(partition, PARTITION_DEFERRED) == 0 && header(HEADER_REVOCATIONS) != 0;
}

/**
 * One walk over what the partition granted of its own: a forced rescind that it had begun is carried through. Where it waits for its
 * borrowers, what nobody has accepted ends, and what is returned from now on ends by itself. Answers whether the walk is over.
 */
function endServed(partition: usize, budget: i32): bool {
  const isWaiting = partitionWord(partition, PARTITION_DEFERRED) != 0;
  let left = budget;
  let slot = isWaiting ? servedFrom(partition) : begunFrom(partition);
  while (slot != NONE && left > 0) {
    const structure = structureAt(slot);
    const next = nextServed(structure);
    const state = stateOf(structure);
    if (state != STRUCTURE_OWNED && isRevoking(structure)) {
      if (revoke(structure, left) != H_SUCCESS) break;
      left = budgetLeft();
    } else {
      if (isWaiting && state == STRUCTURE_GRANTED) {
        becomeUnknown(structure);
        settle();
      }
      left--;
    }
    slot = next;
  }
  if (isWaiting) standAt(partition, slot);
  else {
    setPartitionWord(partition, PARTITION_DEFERRED_GENERATION, slot);
    settle();
  }
  return slot == NONE;
}

/**
 * The client's part, and as much of the server's as takes nothing from anybody (FA7). H_PARTIAL: call again. H_BUSY: others
 * have accepted what the partition granted; when the last of it has ended the partition is signalled. H_SUCCESS: nobody has
 * anything of it, the server's part may follow. H_RESOURCE: it did not fail, or the server's part has begun.
 */
export function recoverDeferred(lpid: f64, budget: f64): i32 {
  const partition = decodePartition(lpid);
  const steps = decodeInteger(budget);
  if (partition == 0 || steps == NONE || steps == 0) return H_PARAMETER;
  if (partitionWord(partition, PARTITION_STATE) != PARTITION_FAILED) return H_RESOURCE;
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  const left = tellFailure(partition, steps);
  if (left == 0) return H_PARTIAL;
  // First of all: from here on what is returned ends.
  if (partitionWord(partition, PARTITION_DEFERRED) == 0) standAt(partition, firstServed(partition));
  if (partitionWord(partition, PARTITION_HELD) != 0 && releaseHeld(partition, left) != H_SUCCESS) {
    return H_PARTIAL;
  }
  if (!endServed(partition, left)) return H_PARTIAL;
  return partitionWord(partition, PARTITION_GRANTS_OUT) == 0 ? H_SUCCESS : H_BUSY;
}

/** Rescinds what was granted on an elemental resource, then frees it. Answers the budget left, 0 if there is more. */
function releaseElemental(partition: usize, structure: usize, budget: i32): i32 {
  let left = budget;
  // A revocation that stopped right before its end has no grants left to rescind, and is not over.
  if (childOf(structure) != 0 || hasFlag(structure, FLAG_ROOT)) {
    if (revoke(structure, left) != H_SUCCESS) return 0;
    left = budgetLeft();
  }
  const space = spaceOf(structure);
  const at = spaceAt(partition, space);
  const page = pageOf(structure);
  const count = pageCountOf(structure);
  if (space == SPACE_MEMORY) {
    let done = cursorOf(structure);
    while (done < count && left > 0) {
      const frame = entryOf(at, page + done) & ENTRY_FRAME;
      unmapPage(at, page + done);
      addPartitionWord(partition, PARTITION_PAGES_OWNED, -1);
      if (releaseFrame(frame, lpidOf(partition))) addPartitionWord(partition, PARTITION_QUARANTINED, 1);
      done++;
      setCursor(structure, done);
      settle();
      left -= ZERO_PAGE_STEPS;
    }
    if (done < count) return 0;
  }
  if (space == SPACE_DMA && entriesOf(structure) != 0) {
    left -= endTces(structure, left);
    if (entriesOf(structure) != 0) return 0;
  }
  beginJob(JOB_PAGES, slotOf(structure), lpidOf(partition), space, page, count);
  endLine(structure);
  leaveList(partition + PARTITION_OWNED, structure);
  releaseStructure(structure);
  settle();
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
    settle();
  }
}

/**
 * Views of others may stand on frames in quarantine that the partition was charged for, after its own have ended: nobody is
 * charged for them any more. The only walk over all frames: rare, a word each, and over when the last one is found.
 */
function unchargeRest(partition: usize): void {
  const lpid = lpidOf(partition);
  for (let frame: u32 = 0; partitionWord(partition, PARTITION_QUARANTINED) != 0; frame++) {
    assert(frame < header(HEADER_FRAMES_MAX));
    if (!unchargeFrame(frame, lpid)) continue;
    addPartitionWord(partition, PARTITION_QUARANTINED, -1);
    settle();
  }
}

/** Frees what the partition owns, then what is left of it. H_SUCCESS: it is stopped; H_PARTIAL: call again. */
function releaseOwned(partition: usize, budget: i32): i32 {
  let left = budget;
  while (left > 0) {
    const slot = partitionWord(partition, PARTITION_OWNED);
    if (slot == 0) {
      orphanPins(partition, left);
      if (partitionWord(partition, PARTITION_PIN_LIST) != 0) return H_PARTIAL;
      unchargeRest(partition);
      setPartitionWord(partition, PARTITION_SERIAL, partitionWord(partition, PARTITION_SERIAL) | 1);
      spillPool(partition, u32.MAX_VALUE);
      settle();
      endAdapters(partition, left);
      if (!haveEnded(partition)) return H_PARTIAL;
      setPartitionWord(partition, PARTITION_STATE, PARTITION_STOPPED);
      return H_SUCCESS;
    }
    left = releaseElemental(partition, structureAt(slot), left);
  }
  return H_PARTIAL;
}

/** A partition whose start was never completed: nobody has used it. `starting` is what the thread record says of it. */
export function undoStart(starting: u32): void {
  const partition = partitionAt(starting & ~START_CREATED);
  while (releaseOwned(partition, stepsOf(NONE)) != H_SUCCESS) {}
  if ((starting & START_CREATED) == 0) return;
  setPartitionWord(partition, PARTITION_STATE, PARTITION_FREE);
  addHeader(HEADER_PARTITIONS_USED, -1);
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
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  const left = tellFailure(partition, steps);
  if (left == 0) return H_PARTIAL;
  if (partitionWord(partition, PARTITION_STATE) == PARTITION_FAILED) {
    setPartitionWord(partition, PARTITION_STATE, PARTITION_RECOVERING);
    // Its clients have used what is to be freed until they returned it, perhaps long after it failed.
    setPartitionWord(partition, PARTITION_DRAIN, 0);
    setPartitionWord(partition, PARTITION_DEFERRED_GENERATION, 0); // where a walk stood that is not gone on with
    settle();
  }
  if (partitionWord(partition, PARTITION_HELD) != 0 && releaseHeld(partition, left) != H_SUCCESS) {
    return H_PARTIAL;
  }
  if (!isDrained(partition)) return H_PARTIAL;
  return releaseOwned(partition, left);
}

/**
 * Ends the views of a failed partition whose thread has exited: nobody can have them any more. H_PARTIAL: call again.
 * H_RESOURCE: the partition did not fail.
 */
export function endViews(lpid: f64, budget: f64): i32 {
  const partition = decodePartition(lpid);
  const steps = decodeInteger(budget);
  if (partition == 0 || steps == NONE || steps == 0) return H_PARAMETER;
  if (!isFailing(partition)) return H_RESOURCE;
  for (let step: u32 = 0; step < steps; step++) {
    const pin = partitionWord(partition, PARTITION_PIN_LIST);
    if (pin == 0) return H_SUCCESS;
    releasePin(pinAt(pin));
    settle();
  }
  return H_PARTIAL;
}
