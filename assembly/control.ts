/**
 * Control structures: one per elemental resource and per grant, in trees.
 *
 *     0     1     2        3     4          8      10   12  16     20    24   28
 *     state space inhibits flags generation holder pins end parent child next previous
 *     32        36            40         44        48   52     56        60
 *     next held previous held source page page count page cursor remaining liobn
 *
 * A slot is named by its index, 0 is none. Released slots are zeroed but for the generation, which makes the cookie of
 * the next use a new one; a slot whose generations are used up is retired (G3).
 *
 *     state       in the tree  in a list of the holder  addresses taken  entries
 *     owned       root         owned                    yes              valid
 *     granted     yes          held                     no
 *     shared      yes          held                     yes              valid (rescinded once marked)
 *     rescinded   no           held                     yes              rescinded
 *     returning   yes          held                     yes              unmapped
 *     free, retired: none
 */
import {
  FLAG_REVOKING,
  GENERATION_LIMIT,
  HEADER_MARKING,
  HEADER_STRUCTURE_FREE,
  HEADER_STRUCTURE_FRESH,
  HEADER_STRUCTURES_AT,
  HEADER_STRUCTURES_MAX,
  HEADER_STRUCTURES_RETIRED,
  HEADER_STRUCTURES_USED,
  PARTITION_HELD,
  PARTITION_OWNED,
  PINS_LIMIT,
  STRUCTURE_BYTES,
  STRUCTURE_CHILD,
  STRUCTURE_CURSOR,
  STRUCTURE_END,
  STRUCTURE_FLAGS,
  STRUCTURE_FREE,
  STRUCTURE_GENERATION,
  STRUCTURE_HOLDER,
  STRUCTURE_INHIBITS,
  STRUCTURE_LIOBN,
  STRUCTURE_NEXT,
  STRUCTURE_NEXT_HELD,
  STRUCTURE_OWNED,
  STRUCTURE_PAGE,
  STRUCTURE_PAGE_COUNT,
  STRUCTURE_PARENT,
  STRUCTURE_PINS,
  STRUCTURE_PREVIOUS,
  STRUCTURE_PREVIOUS_HELD,
  STRUCTURE_REMAINING,
  STRUCTURE_RETIRED,
  STRUCTURE_SOURCE_PAGE,
  STRUCTURE_SPACE,
  STRUCTURE_STATE,
} from "../src/layout";
import { decodeCookie, encodeCookie } from "./decode";
import { put } from "./log";
import { addHeader, header, setHeader } from "./memory";
import { partitionWord, setPartitionWord } from "./partition";

export function structureAt(slot: u32): usize {
  return <usize>header(HEADER_STRUCTURES_AT) + ((<usize>slot) << 6);
}

export function slotOf(structure: usize): u32 {
  return <u32>((structure - <usize>header(HEADER_STRUCTURES_AT)) >> 6);
}

export function stateOf(structure: usize): u32 {
  return load<u8>(structure, STRUCTURE_STATE);
}

/** Changes one byte of the first word. */
function setFirst(structure: usize, offset: usize, value: u32): void {
  const shift = <u32>(offset << 3);
  put(structure, (load<u32>(structure) & ~(0xff << shift)) | (value << shift));
}

export function setState(structure: usize, state: u32): void {
  setFirst(structure, STRUCTURE_STATE, state);
}

export function spaceOf(structure: usize): u32 {
  return load<u8>(structure, STRUCTURE_SPACE);
}

export function inhibitsOf(structure: usize): u32 {
  return load<u8>(structure, STRUCTURE_INHIBITS);
}

export function hasFlag(structure: usize, flag: u32): bool {
  return (load<u8>(structure, STRUCTURE_FLAGS) & flag) != 0;
}

export function setFlag(structure: usize, flag: u32): void {
  setFirst(structure, STRUCTURE_FLAGS, load<u8>(structure, STRUCTURE_FLAGS) | flag);
}

export function clearFlag(structure: usize, flag: u32): void {
  setFirst(structure, STRUCTURE_FLAGS, load<u8>(structure, STRUCTURE_FLAGS) & ~flag);
}

export function generationOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_GENERATION);
}

export function holderOf(structure: usize): u32 {
  return load<u16>(structure, STRUCTURE_HOLDER);
}

export function endOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_END);
}

export function parentOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PARENT);
}

export function childOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_CHILD);
}

export function nextOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_NEXT);
}

export function previousOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PREVIOUS);
}

export function nextHeldOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_NEXT_HELD);
}

export function previousHeldOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PREVIOUS_HELD);
}

export function sourcePageOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_SOURCE_PAGE);
}

export function pageCountOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PAGE_COUNT);
}

export function pageOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PAGE);
}

export function setPage(structure: usize, page: u32): void {
  put(structure + STRUCTURE_PAGE, page);
}

export function liobnOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_LIOBN);
}

export function cursorOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_CURSOR);
}

export function setCursor(structure: usize, cursor: u32): void {
  put(structure + STRUCTURE_CURSOR, cursor);
}

export function remainingOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_REMAINING);
}

export function setRemaining(structure: usize, steps: u32): void {
  put(structure + STRUCTURE_REMAINING, steps);
}

export function pinsOf(structure: usize): u32 {
  return load<u16>(structure, STRUCTURE_PINS);
}

/** Pins saturate and refuse, they never wrap. */
export function pinFits(structure: usize): bool {
  return pinsOf(structure) < u32(PINS_LIMIT);
}

export function addPin(structure: usize, delta: i32): void {
  put(structure + STRUCTURE_HOLDER, load<u32>(structure, STRUCTURE_HOLDER) + (delta << 16));
}

export function cookieOf(structure: usize): f64 {
  return encodeCookie(generationOf(structure), slotOf(structure));
}

/** The structure that a caller's cookie names, whatever its state but free; 0 if it never existed or is dead. */
export function decodeStructure(cookie: f64): usize {
  const bits = decodeCookie(cookie);
  const slot = <u32>(bits & 0xffffff);
  // Slots that were never used hold generation 0, which no cookie has.
  if (slot == 0 || slot > header(HEADER_STRUCTURES_MAX) || bits >> 24 == 0) return 0;
  const structure = structureAt(slot);
  const state = stateOf(structure);
  if (<u64>generationOf(structure) != bits >> 24 || state == STRUCTURE_FREE || state == STRUCTURE_RETIRED)
    return 0;
  // An elemental resource has a slot and a generation too, but no cookie was ever handed out for it.
  return state == STRUCTURE_OWNED ? 0 : structure;
}

/** The slot in a caller's cookie, or 0 if there is no such slot. */
export function slotOfCookie(cookie: f64): u32 {
  const slot = <u32>(decodeCookie(cookie) & 0xffffff);
  return slot > header(HEADER_STRUCTURES_MAX) ? 0 : slot;
}

/** Reads from a structure that will be needed soon. */
export function touchStructure(slot: u32): u32 {
  return generationOf(structureAt(slot));
}

/** Reads from the neighbours of a structure in list and tree. */
export function touchNeighbours(structure: usize): u32 {
  return (
    generationOf(structureAt(nextOf(structure))) ^
    generationOf(structureAt(previousOf(structure))) ^
    generationOf(structureAt(nextHeldOf(structure))) ^
    generationOf(structureAt(previousHeldOf(structure)))
  );
}

export function structuresFree(): u32 {
  return header(HEADER_STRUCTURES_MAX) - header(HEADER_STRUCTURES_USED) - header(HEADER_STRUCTURES_RETIRED);
}

/** Takes a slot, or 0 when all are in use. Its words but state, space, inhibits, holder and list links are 0. */
export function takeStructure(state: u32, space: u32, inhibits: u32, holder: u32): usize {
  let slot = header(HEADER_STRUCTURE_FREE);
  let structure: usize;
  if (slot != 0) {
    structure = structureAt(slot);
    setHeader(HEADER_STRUCTURE_FREE, nextHeldOf(structure));
    put(structure + STRUCTURE_NEXT_HELD, 0);
  } else {
    slot = header(HEADER_STRUCTURE_FRESH);
    if (slot > header(HEADER_STRUCTURES_MAX)) return 0;
    setHeader(HEADER_STRUCTURE_FRESH, slot + 1);
    structure = structureAt(slot);
    put(structure + STRUCTURE_GENERATION, 1);
  }
  addHeader(HEADER_STRUCTURES_USED, 1);
  put(structure + STRUCTURE_STATE, state | (space << 8) | (inhibits << 16));
  put(structure + STRUCTURE_HOLDER, holder);
  return structure;
}

/** Writes what a grant or an elemental resource covers. */
export function describeRange(
  structure: usize,
  sourcePage: u32,
  page: u32,
  pageCount: u32,
  liobn: u32,
): void {
  put(structure + STRUCTURE_SOURCE_PAGE, sourcePage);
  put(structure + STRUCTURE_PAGE, page);
  put(structure + STRUCTURE_PAGE_COUNT, pageCount);
  put(structure + STRUCTURE_LIOBN, liobn);
}

export function setEnd(structure: usize, end: u32): void {
  put(structure + STRUCTURE_END, end);
}

/** Gives a slot back; it is in no list and no tree any more. */
export function releaseStructure(structure: usize): void {
  const generation = generationOf(structure);
  for (let offset: usize = 0; offset < usize(STRUCTURE_BYTES); offset += 4) {
    if (load<u32>(structure + offset) != 0) put(structure + offset, 0);
  }
  addHeader(HEADER_STRUCTURES_USED, -1);
  put(structure + STRUCTURE_GENERATION, generation + 1);
  if (generation == GENERATION_LIMIT) {
    setState(structure, STRUCTURE_RETIRED);
    addHeader(HEADER_STRUCTURES_RETIRED, 1);
    return;
  }
  put(structure + STRUCTURE_NEXT_HELD, header(HEADER_STRUCTURE_FREE));
  setHeader(HEADER_STRUCTURE_FREE, slotOf(structure));
}

// ---------------------------------------------------------------- the tree

export function linkChild(parent: usize, child: usize): void {
  const slot = slotOf(child);
  const first = childOf(parent);
  put(child + STRUCTURE_PARENT, slotOf(parent));
  put(child + STRUCTURE_NEXT, first);
  if (first != 0) put(structureAt(first) + STRUCTURE_PREVIOUS, slot);
  put(parent + STRUCTURE_CHILD, slot);
}

export function unlinkChild(child: usize): void {
  const next = nextOf(child);
  const previous = previousOf(child);
  if (next != 0) put(structureAt(next) + STRUCTURE_PREVIOUS, previous);
  if (previous != 0) put(structureAt(previous) + STRUCTURE_NEXT, next);
  else put(structureAt(parentOf(child)) + STRUCTURE_CHILD, next);
  put(child + STRUCTURE_PARENT, 0);
  put(child + STRUCTURE_NEXT, 0);
  put(child + STRUCTURE_PREVIOUS, 0);
}

/**
 * Whether no new use of the structure may start: it, or one above it, was named by a forced rescind (RS5). Once the
 * marking is complete each structure carries its own mark; only while some marking runs must the chain be looked up.
 */
export function isRevoking(structure: usize): bool {
  if (hasFlag(structure, FLAG_REVOKING)) return true;
  if (header(HEADER_MARKING) == 0) return false;
  let parent = parentOf(structure);
  while (parent != 0) {
    const above = structureAt(parent);
    if (hasFlag(above, FLAG_REVOKING)) return true;
    parent = parentOf(above);
  }
  return false;
}

// ---------------------------------------------------------------- the lists of a partition

/** The list that a structure belongs in: elemental resources apart from what was received. */
function listOf(structure: usize): usize {
  return stateOf(structure) == STRUCTURE_OWNED ? PARTITION_OWNED : PARTITION_HELD;
}

export function linkHeld(partition: usize, structure: usize): void {
  const list = listOf(structure);
  const first = partitionWord(partition, list);
  put(structure + STRUCTURE_NEXT_HELD, first);
  if (first != 0) put(structureAt(first) + STRUCTURE_PREVIOUS_HELD, slotOf(structure));
  setPartitionWord(partition, list, slotOf(structure));
}

export function unlinkHeld(partition: usize, structure: usize): void {
  const next = nextHeldOf(structure);
  const previous = previousHeldOf(structure);
  if (next != 0) put(structureAt(next) + STRUCTURE_PREVIOUS_HELD, previous);
  if (previous != 0) put(structureAt(previous) + STRUCTURE_NEXT_HELD, next);
  else setPartitionWord(partition, listOf(structure), next);
  put(structure + STRUCTURE_NEXT_HELD, 0);
  put(structure + STRUCTURE_PREVIOUS_HELD, 0);
}
