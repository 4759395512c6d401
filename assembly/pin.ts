/**
 * Pins: one record per zero-copy view, in a list of the partition that took it. A view may outlive the incarnation that
 * took it, since nobody can take it away from JavaScript: its record is then an orphan, in no list, and holds its frames
 * in quarantine until whoever has the view releases it.
 *
 *     0          4    8         12                   16    20          24   28
 *     generation lpid structure structure generation frame frame count next previous
 *
 * A view names frames, not logical addresses: it outlives the mapping that it was taken from (RS6), so the record keeps
 * the frames, and the structure only as long as that is the same one.
 */
import {
  HEADER_PIN_FREE,
  HEADER_PIN_FRESH,
  HEADER_PINS_AT,
  HEADER_PINS_MAX,
  HEADER_PINS_USED,
  JOB_PIN,
  PARTITION_PIN_LIST,
  PARTITION_PINS,
  PARTITION_QUARANTINED,
  PIN_FRAME,
  PIN_FRAME_COUNT,
  PIN_GENERATION,
  PIN_LPID,
  PIN_NEXT,
  PIN_ORPHAN,
  PIN_PREVIOUS,
  PIN_SLOTS,
  PIN_STRUCTURE,
  PIN_STRUCTURE_GENERATION,
} from "../src/layout";
import { addPin, generationOf, slotOf, structureAt } from "./control";
import { decodeBits } from "./decode";
import { pinFrame, unchargeFrame, unpinFrame } from "./frame";
import { beginJob, commit, endJob, put, Words } from "./log";
import { addHeader, header, setHeader } from "./memory";
import { addPartitionWord, lpidOf, partitionAt, partitionWord, setPartitionWord } from "./partition";

export function pinAt(slot: u32): usize {
  return <usize>header(HEADER_PINS_AT) + ((<usize>slot) << 5);
}

function pinSlotOf(pin: usize): u32 {
  return <u32>((pin - <usize>header(HEADER_PINS_AT)) >> 5);
}

export function pinWord(pin: usize, offset: usize): u32 {
  return load<u32>(pin + offset);
}

function setPinWord(pin: usize, offset: usize, value: u32): void {
  put(pin + offset, value);
}

export function pinsLeft(): bool {
  return header(HEADER_PIN_FREE) != 0 || header(HEADER_PIN_FRESH) <= header(HEADER_PINS_MAX);
}

/** The number by which the holder of the view names it. */
export function pinNumberOf(pin: usize): f64 {
  return f64(pinWord(pin, PIN_GENERATION)) * PIN_SLOTS + f64(pinSlotOf(pin));
}

/** The record that a caller's number names if `lpid` holds it, or if it is an orphan and that is PIN_ORPHAN; else 0. */
export function decodePin(lpid: u32, number: f64): usize {
  const bits = decodeBits(number);
  const slot = <u32>(bits & (PIN_SLOTS - 1));
  if (slot == 0 || slot > header(HEADER_PINS_MAX)) return 0;
  const pin = pinAt(slot);
  return pinWord(pin, PIN_LPID) == lpid && <u64>pinWord(pin, PIN_GENERATION) == bits / PIN_SLOTS ? pin : 0;
}

/** Pins consecutive frames for a view; that a record is left and that the counts fit was checked. */
export function takePin(partition: usize, structure: usize, frame: u32, count: u32): usize {
  let slot = header(HEADER_PIN_FREE);
  let pin: usize;
  if (slot != 0) {
    pin = pinAt(slot);
    setHeader(HEADER_PIN_FREE, pinWord(pin, PIN_NEXT));
  } else {
    slot = header(HEADER_PIN_FRESH);
    setHeader(HEADER_PIN_FRESH, slot + 1);
    pin = pinAt(slot);
    setPinWord(pin, PIN_GENERATION, 1);
  }
  addHeader(HEADER_PINS_USED, 1);
  Words.put3(
    pin + PIN_LPID,
    lpidOf(partition),
    pin + PIN_STRUCTURE,
    slotOf(structure),
    pin + PIN_STRUCTURE_GENERATION,
    generationOf(structure),
  );
  const first = partitionWord(partition, PARTITION_PIN_LIST);
  Words.put2(pin + PIN_FRAME, frame, pin + PIN_NEXT, first);
  if (first != 0) setPinWord(pinAt(first), PIN_PREVIOUS, slot);
  setPartitionWord(partition, PARTITION_PIN_LIST, slot);
  addPartitionWord(partition, PARTITION_PINS, 1);
  addPin(structure, 1);
  beginJob(JOB_PIN, slot, 0, 0, 0, 0);
  for (let i: u32 = 0; i < count; i++) {
    pinFrame(frame + i);
    setPinWord(pin, PIN_FRAME_COUNT, i + 1);
    commit();
  }
  endJob();
  return pin;
}

/** The view ends right after the commit: see endPin(). */
export function releasePin(pin: usize): void {
  beginJob(JOB_PIN, pinSlotOf(pin), 0, 0, 0, 0);
}

function unlinkPin(pin: usize): void {
  const next = pinWord(pin, PIN_NEXT);
  const previous = pinWord(pin, PIN_PREVIOUS);
  const partition = partitionAt(pinWord(pin, PIN_LPID));
  if (next != 0) setPinWord(pinAt(next), PIN_PREVIOUS, previous);
  if (previous != 0) setPinWord(pinAt(previous), PIN_NEXT, next);
  else setPartitionWord(partition, PARTITION_PIN_LIST, next);
  Words.put2(pin + PIN_NEXT, 0, pin + PIN_PREVIOUS, 0);
  addPartitionWord(partition, PARTITION_PINS, -1);
}

/** The partition that took the view is gone, the view may be in use: nobody is charged for its frames any more. */
export function orphanPin(pin: usize): void {
  const lpid = pinWord(pin, PIN_LPID);
  for (let i: u32 = 0; i < pinWord(pin, PIN_FRAME_COUNT); i++) {
    if (!unchargeFrame(pinWord(pin, PIN_FRAME) + i, lpid)) continue;
    addPartitionWord(partitionAt(lpid), PARTITION_QUARANTINED, -1);
    commit();
  }
  unlinkPin(pin);
  setPinWord(pin, PIN_LPID, PIN_ORPHAN);
}

/** Ends a view: its frames, last one first, may leave quarantine. A job: each frame is a commit of its own. */
export function endPin(slot: u32): void {
  const pin = pinAt(slot);
  if (pinWord(pin, PIN_LPID) == 0) return; // ended already, or never begun
  const frame = pinWord(pin, PIN_FRAME);
  for (let count = pinWord(pin, PIN_FRAME_COUNT); count != 0; count--) {
    const charged = unpinFrame(frame + count - 1);
    if (charged != 0) addPartitionWord(partitionAt(charged), PARTITION_QUARANTINED, -1);
    setPinWord(pin, PIN_FRAME_COUNT, count - 1);
    commit();
  }
  const structure = structureAt(pinWord(pin, PIN_STRUCTURE));
  if (generationOf(structure) == pinWord(pin, PIN_STRUCTURE_GENERATION)) addPin(structure, -1);
  if (pinWord(pin, PIN_LPID) != PIN_ORPHAN) unlinkPin(pin);
  addHeader(HEADER_PINS_USED, -1);
  const generation = pinWord(pin, PIN_GENERATION) + 1;
  Words.put3(pin + PIN_LPID, 0, pin + PIN_STRUCTURE, 0, pin + PIN_STRUCTURE_GENERATION, 0);
  // A record whose generations are used up is not handed out again; it stays taken by nobody.
  Words.put2(pin + PIN_FRAME, 0, pin + PIN_GENERATION, generation);
  if (generation == 0) return;
  setPinWord(pin, PIN_NEXT, header(HEADER_PIN_FREE));
  setHeader(HEADER_PIN_FREE, slot);
}
