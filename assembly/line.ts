/**
 * Lines: one for each number of a partition's interrupt space, then one for each of its port space. They say what has been
 * raised or rung and not been taken; those that can be taken are linked in the order in which they became so.
 *
 *     0                              4    8        12
 *     | who raised 24 | state 8 |    next previous
 *
 *     pending     raised, not taken since: further raises are this one
 *     queued      pending, and neither masked nor in service: it can be taken
 *     in service  of an armed line: taken, and its end was not said yet
 *     masked      nothing is taken until it is unmasked; a raise waits
 *     armed       taking is not its end
 *
 * Line 0 is none: its links are the first and the last one of the queue. A queue of links instead of a ring of events has
 * room for whatever comes, so that nothing is lost, and nothing stale stays in it: a line whose address loses its mapping
 * is taken out and zeroed in the same commit. So there is no event after that, whoever has not taken it yet, and nothing of
 * the past at an address that is mapped anew.
 *
 * A partition's lines are guarded by its own lock, and every word is noted.
 */
import {
  ENTRY_VALID,
  EVENT_DOORBELL,
  EVENT_INTERRUPT,
  H_NOT_FOUND,
  H_SUCCESS,
  HEADER_LINES_AT,
  HEADER_LINES_BYTES,
  HEADER_SPACE_PAGES,
  LINE_ARMED,
  LINE_FROM_SHIFT,
  LINE_IN_SERVICE,
  LINE_MASKED,
  LINE_NEXT,
  LINE_PENDING,
  LINE_PREVIOUS,
  LINE_QUEUED,
  LINE_RECORD_BYTES,
  LINE_STATE,
  PARTITION_PINS,
  PARTITIONS_LIMIT,
  SPACE_INTERRUPT,
  SPACE_IPI,
  STRUCTURE_OWNED,
} from "../src/layout";
import { addPin, holderOf, pageOf, pinsOf, spaceOf, stateOf, structureAt } from "./control";
import { presentEvent } from "./event";
import { put } from "./log";
import { header, setResult } from "./memory";
import { backOf, entryOf, spaceAt, spacePages } from "./page";
import { addPartitionWord, lpidOf, partitionAt, signal } from "./partition";

if (PARTITIONS_LIMIT >= 1 << (32 - LINE_FROM_SHIFT)) ERROR("an lpid fits the state of a line");

const STATE_MASK: u32 = (1 << LINE_FROM_SHIFT) - 1;

function lineAt(partition: usize, index: u32): usize {
  const lines = <usize>header(HEADER_LINES_AT) + <usize>(lpidOf(partition) - 1) * header(HEADER_LINES_BYTES);
  return lines + <usize>index * LINE_RECORD_BYTES;
}

/** Interrupt sources have the lines before those of the ports. */
function firstPort(): u32 {
  return header(HEADER_SPACE_PAGES + SPACE_INTERRUPT * 4) + 1;
}

/** The line of a number of the interrupt or the port space. */
export function lineIndex(space: u32, number: u32): u32 {
  return space == SPACE_INTERRUPT ? number + 1 : firstPort() + number;
}

export function lineState(partition: usize, index: u32): u32 {
  return load<u32>(lineAt(partition, index), LINE_STATE);
}

function setState(partition: usize, index: u32, state: u32): void {
  put(lineAt(partition, index) + LINE_STATE, state);
}

function nextLine(partition: usize, index: u32): u32 {
  return load<u32>(lineAt(partition, index), LINE_NEXT);
}

function previousLine(partition: usize, index: u32): u32 {
  return load<u32>(lineAt(partition, index), LINE_PREVIOUS);
}

function link(partition: usize, before: u32, after: u32): void {
  put(lineAt(partition, before) + LINE_NEXT, after);
  put(lineAt(partition, after) + LINE_PREVIOUS, before);
}

/** Takes a line out of the queue. */
function unlinkLine(partition: usize, index: u32): void {
  link(partition, previousLine(partition, index), nextLine(partition, index));
  put(lineAt(partition, index) + LINE_NEXT, 0);
  put(lineAt(partition, index) + LINE_PREVIOUS, 0);
}

function isDue(state: u32): bool {
  return (state & (LINE_PENDING | LINE_IN_SERVICE | LINE_MASKED)) == LINE_PENDING;
}

/** A line changes its state: what can be taken now joins the queue, what cannot leaves it. */
function change(partition: usize, index: u32, state: u32): void {
  const wasQueued = (lineState(partition, index) & LINE_QUEUED) != 0;
  if (!isDue(state)) {
    if (wasQueued) unlinkLine(partition, index);
    setState(partition, index, state & ~LINE_QUEUED);
    return;
  }
  setState(partition, index, state | LINE_QUEUED);
  if (wasQueued) return;
  link(partition, previousLine(partition, 0), index);
  link(partition, index, 0);
  signal(partition);
}

/** A line is raised, by a partition or by the manager (0). What is pending already is one with this. */
export function raiseLine(partition: usize, index: u32, from: u32): void {
  const state = lineState(partition, index);
  if ((state & LINE_PENDING) != 0) return;
  change(partition, index, state | LINE_PENDING | (from << LINE_FROM_SHIFT));
}

/** Moves the line that has waited longest to the thread record; H_NOT_FOUND when there is none. R4: its number. */
export function takeFirstLine(partition: usize): i32 {
  const index = nextLine(partition, 0);
  if (index == 0) return H_NOT_FOUND;
  const state = lineState(partition, index);
  const kept = state & (LINE_ARMED | LINE_MASKED);
  change(partition, index, (state & LINE_ARMED) != 0 ? kept | LINE_IN_SERVICE : kept);
  const isPort = index >= firstPort();
  const number = isPort ? index - firstPort() : index - 1;
  presentEvent(isPort ? EVENT_DOORBELL : EVENT_INTERRUPT, state >> LINE_FROM_SHIFT, f64(number));
  setResult(f64(number));
  return H_SUCCESS;
}

/** The end of an armed line that was taken: what was raised meanwhile can be taken. Answers false if none was taken. */
export function endService(partition: usize, index: u32): bool {
  const state = lineState(partition, index);
  if ((state & LINE_IN_SERVICE) == 0) return false;
  change(partition, index, state & ~LINE_IN_SERVICE);
  return true;
}

/** What is raised while a line is masked waits until it is not. */
export function maskLine(partition: usize, index: u32, isMasked: bool): void {
  const state = lineState(partition, index);
  change(partition, index, isMasked ? state | LINE_MASKED : state & ~LINE_MASKED);
}

function countPin(structure: usize, partition: usize, delta: i32): void {
  addPin(structure, delta);
  addPartitionWord(partition, PARTITION_PINS, delta);
}

/** From here on taking is not the end of the source's events: a pin, which holds up a return (RE2). */
export function armLine(structure: usize, partition: usize, index: u32): void {
  change(partition, index, lineState(partition, index) | LINE_ARMED);
  countPin(structure, partition, 1);
}

/** Taking is the end again, and of what was taken by now, too: what was raised meanwhile can be taken. */
export function disarmLine(structure: usize, partition: usize, index: u32): void {
  change(partition, index, lineState(partition, index) & ~(LINE_ARMED | LINE_IN_SERVICE));
  countPin(structure, partition, -1);
}

/** The holder of a structure loses the address at which it stands: with the next commit its line is as if never used. */
export function endLine(structure: usize): void {
  const space = spaceOf(structure);
  if (space != SPACE_INTERRUPT && space != SPACE_IPI) return;
  const partition = partitionAt(holderOf(structure));
  const index = lineIndex(space, pageOf(structure));
  const state = lineState(partition, index);
  if (state == 0) return;
  change(partition, index, 0);
  if ((state & LINE_ARMED) != 0) countPin(structure, partition, -1);
}

// ---------------------------------------------------------------- audit

/** Whether a line is armed; every such line is a pin of its partition. */
export function isArmed(partition: usize, number: u32): bool {
  return (lineState(partition, lineIndex(SPACE_INTERRUPT, number)) & LINE_ARMED) != 0;
}

/** Whether a line fits what is mapped at its number, and its links its state. */
export function isSoundLine(partition: usize, space: u32, number: u32): bool {
  const index = lineIndex(space, number);
  const state = lineState(partition, index);
  const links = nextLine(partition, index) | previousLine(partition, index);
  const at = spaceAt(partition, space);
  const structure = structureAt(backOf(at, number));
  const isMapped = (entryOf(at, number) & ENTRY_VALID) != 0;
  if (isMapped && space == SPACE_INTERRUPT) {
    if (pinsOf(structure) != ((state & LINE_ARMED) != 0 ? 1 : 0)) return false;
  }
  if (state == 0) return links == 0;
  if (!isMapped || isDue(state) != ((state & LINE_QUEUED) != 0)) return false;
  if ((state & LINE_QUEUED) == 0 && links != 0) return false;
  if ((state & LINE_PENDING) == 0 && state >> LINE_FROM_SHIFT != 0) return false;
  if ((state & LINE_IN_SERVICE) != 0 && (state & LINE_ARMED) == 0) return false;
  // A doorbell is its owner's, and has neither mask nor end.
  if (space == SPACE_IPI)
    return stateOf(structure) == STRUCTURE_OWNED && (state & STATE_MASK) == (LINE_PENDING | LINE_QUEUED);
  return (state & STATE_MASK) < u32(LINE_ARMED << 1);
}

/** Walks the queue. Answers the index of the first line that does not belong there or is linked wrongly, 0 if all do. */
export function brokenLine(partition: usize): u32 {
  const ports = spacePages(spaceAt(partition, SPACE_IPI));
  const last = firstPort() + ports - 1;
  let before: u32 = 0;
  let index = nextLine(partition, 0);
  for (let count: u32 = 0; index != 0; count++) {
    if (index > last || count >= last || (lineState(partition, index) & LINE_QUEUED) == 0) return index;
    if (previousLine(partition, index) != before) return index;
    before = index;
    index = nextLine(partition, index);
  }
  return previousLine(partition, 0) == before ? 0 : last + 1;
}

/** How many lines can be taken, by their states: as many must be in the queue. */
export function queueLength(partition: usize): u32 {
  let count: u32 = 0;
  for (let index = nextLine(partition, 0); index != 0; index = nextLine(partition, index)) count++;
  return count;
}

export function isQueued(partition: usize, space: u32, number: u32): bool {
  return (lineState(partition, lineIndex(space, number)) & LINE_QUEUED) != 0;
}
