/** Audit of pins: their lists, and what structures and partitions count of them. */
import {
  HEADER_LPIDS_USED,
  HEADER_PIN_FREE,
  HEADER_PIN_FRESH,
  HEADER_PINS_USED,
  HEADER_STRUCTURE_FRESH,
  PARTITION_PIN_LIST,
  PIN_FRAME,
  PIN_FRAME_COUNT,
  PIN_GENERATION,
  PIN_LPID,
  PIN_NEXT,
  PIN_ORPHAN,
  PIN_PREVIOUS,
  PIN_STRUCTURE,
  PIN_STRUCTURE_GENERATION,
  PROBLEM_PIN,
  PROBLEM_PIN_COUNT,
  SPACE_INTERRUPT,
  STRUCTURE_FREE,
  STRUCTURE_RETIRED,
} from "../src/layout";
import { generationOf, pinsOf, spaceOf, stateOf, structureAt } from "./control";
import { check, SCRATCH_PINS, tally, weight } from "./findings";
import { framePins } from "./frame";
import { header } from "./memory";
import { partitionAt, partitionWord } from "./partition";
import { pinAt, pinWord } from "./pin";

/** One that its partition has is in its list, an orphan is in none. */
function auditLinks(slot: u32, pin: usize, lpid: u32): void {
  const next = pinWord(pin, PIN_NEXT);
  const previous = pinWord(pin, PIN_PREVIOUS);
  if (lpid == PIN_ORPHAN) {
    check((next | previous) == 0, PROBLEM_PIN, slot, next);
    return;
  }
  tally(partitionAt(lpid) + SCRATCH_PINS, 1);
  const before =
    previous == 0 ? partitionWord(partitionAt(lpid), PARTITION_PIN_LIST) : pinWord(pinAt(previous), PIN_NEXT);
  const after = next == 0 ? pin : pinAt(next);
  const isNext = next == 0 || pinWord(after, PIN_PREVIOUS) == slot;
  check(before == slot && isNext && pinWord(after, PIN_LPID) == lpid, PROBLEM_PIN, slot, next);
}

/** All that nobody has are in the free list, but those that are used up. */
function auditFree(count: u32): void {
  let slot = header(HEADER_PIN_FREE);
  let left = count;
  for (; slot != 0 && left != 0; left--) {
    check(pinWord(pinAt(slot), PIN_LPID) == 0, PROBLEM_PIN, slot, 0);
    slot = pinWord(pinAt(slot), PIN_NEXT);
  }
  check(slot == 0 && left == 0, PROBLEM_PIN, slot, left);
}

/** Answers how many frame pins the records account for. */
export function auditPins(): u64 {
  let used: u32 = 0;
  let free: u32 = 0;
  let pinned: u64 = 0;
  let counted: u32 = 0;
  let weighed: u64 = 0;
  for (let slot: u32 = 1; slot < header(HEADER_PIN_FRESH); slot++) {
    const pin = pinAt(slot);
    const lpid = pinWord(pin, PIN_LPID);
    if (lpid == 0) {
      if (pinWord(pin, PIN_GENERATION) != 0) free++;
      continue;
    }
    used++;
    const count = pinWord(pin, PIN_FRAME_COUNT);
    pinned += count;
    for (let i: u32 = 0; i < count; i++)
      check(framePins(pinWord(pin, PIN_FRAME) + i) != 0, PROBLEM_PIN, slot, i);
    const structure = pinWord(pin, PIN_STRUCTURE);
    if (generationOf(structureAt(structure)) == pinWord(pin, PIN_STRUCTURE_GENERATION)) {
      counted++;
      weighed += weight(structure);
    }
    auditLinks(slot, pin, lpid);
  }
  check(used == header(HEADER_PINS_USED), PROBLEM_PIN_COUNT, used, header(HEADER_PINS_USED));
  for (let lpid: u32 = 1; lpid <= header(HEADER_LPIDS_USED); lpid++) {
    const first = partitionWord(partitionAt(lpid), PARTITION_PIN_LIST);
    const isFirst = pinWord(pinAt(first), PIN_LPID) == lpid && pinWord(pinAt(first), PIN_PREVIOUS) == 0;
    check(first == 0 || isFirst, PROBLEM_PIN, first, lpid);
  }
  auditFree(free);
  let recorded: u32 = 0;
  for (let slot: u32 = 1; slot < header(HEADER_STRUCTURE_FRESH); slot++) {
    const structure = structureAt(slot);
    const state = stateOf(structure);
    // The pins of an interrupt source are its line (audit-lines.ts).
    if (state == STRUCTURE_FREE || state == STRUCTURE_RETIRED || spaceOf(structure) == SPACE_INTERRUPT)
      continue;
    recorded += pinsOf(structure);
    weighed -= weight(slot) * pinsOf(structure);
  }
  check(weighed == 0, PROBLEM_PIN_COUNT, counted, recorded);
  return pinned;
}
