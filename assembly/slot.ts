/**
 * Slots of control structures: taken and given back. What nobody has is in a list, the pool of all, or was never used. Where there
 * are other threads, a partition has some at hand for its grants, its own pool, so that grants take no lock that others need; in a
 * table of one thread all take from the pool of all, so that grants which follow each other lie side by side, whoever makes them.
 */
import {
  END_USED,
  GENERATION_LIMIT,
  HEADER_LPIDS_USED,
  HEADER_POOL,
  HEADER_STRUCTURE_FREE,
  HEADER_STRUCTURE_FRESH,
  HEADER_STRUCTURES_LISTED,
  HEADER_STRUCTURES_MAX,
  HEADER_STRUCTURES_RETIRED,
  PARTITION_GRANTS_IN,
  PARTITION_GRANTS_OUT,
  PARTITION_HELD,
  PARTITION_POOL,
  PARTITION_POOL_COUNT,
  POOL_MAX,
  POOL_REFILL,
  SPACE_DMA,
  STRUCTURE_AHEAD,
  STRUCTURE_BYTES,
  STRUCTURE_CHILD,
  STRUCTURE_END,
  STRUCTURE_FREE,
  STRUCTURE_GENERATION,
  STRUCTURE_GRANTED,
  STRUCTURE_HOLDER,
  STRUCTURE_NEXT,
  STRUCTURE_NEXT_HELD,
  STRUCTURE_PAGE,
  STRUCTURE_PAGE_COUNT,
  STRUCTURE_PARENT,
  STRUCTURE_PREVIOUS,
  STRUCTURE_PREVIOUS_HELD,
  STRUCTURE_RETIRED,
  STRUCTURE_SOURCE_PAGE,
  STRUCTURE_STATE,
  TOUCH_NEAR,
} from "../src/layout";
import { endSlotOf } from "./adapter";
import {
  childOf,
  entriesOf,
  generationOf,
  isOrdinary,
  nextHeldOf,
  nextOf,
  parentOf,
  previousHeldOf,
  previousOf,
  slotOf,
  spaceOf,
  structureAt,
} from "./control";
import { Notes, note, put, Words } from "./log";
import { addHeader, header, isAlone, setHeader } from "./memory";
import { addPartitionWord, partitionAt, partitionWord, setPartitionWord } from "./partition";
import { firstAhead } from "./touch";

if (
  HEADER_POOL + PARTITION_POOL != HEADER_STRUCTURE_FREE ||
  HEADER_POOL + PARTITION_POOL_COUNT != HEADER_STRUCTURES_LISTED
)
  ERROR("the list of all looks like the pool of a partition");

/** Slots that are in use or in the pool of a partition, or were used up. */
function taken(): u32 {
  return header(HEADER_STRUCTURE_FRESH) - 1 - header(HEADER_STRUCTURES_LISTED);
}

/** Structures in use, or in the pool of a partition. */
export function structuresUsed(): u32 {
  return taken() - header(HEADER_STRUCTURES_RETIRED);
}

/** Whether more structures are taken than `near`, with those that were used up. */
export function areFar(near: u32): bool {
  return taken() > near;
}

/** Whether so many structures can be taken, by who holds all locks. What lies in pools counts: it is fetched from there. */
export function hasStructures(count: u32): bool {
  let free = header(HEADER_STRUCTURES_MAX) - taken();
  for (let lpid: u32 = 1; free < count && lpid <= header(HEADER_LPIDS_USED); lpid++) {
    free += partitionWord(partitionAt(lpid), PARTITION_POOL_COUNT);
  }
  return free >= count;
}

/** Pools of slots, each named by its partition, or HEADER_POOL. Methods, since only those are inlined on demand. */
export class Pool {
  /** Where a partition takes slots for its grants. */
  @inline
  static of(partition: usize): usize {
    return isAlone() ? usize(HEADER_POOL) : partition;
  }

  @inline
  static has(pool: usize): bool {
    return partitionWord(pool, PARTITION_POOL) != 0;
  }

  @inline
  static give(pool: usize, structure: usize): void {
    Words.put3(
      structure + STRUCTURE_NEXT_HELD,
      partitionWord(pool, PARTITION_POOL),
      pool + PARTITION_POOL,
      slotOf(structure),
      pool + PARTITION_POOL_COUNT,
      partitionWord(pool, PARTITION_POOL_COUNT) + 1,
    );
  }
}

/** Takes a slot out of a pool, for what is no new grant. */
function takePooled(pool: usize): usize {
  const structure = structureAt(partitionWord(pool, PARTITION_POOL));
  Words.put2(
    pool + PARTITION_POOL,
    nextHeldOf(structure),
    pool + PARTITION_POOL_COUNT,
    partitionWord(pool, PARTITION_POOL_COUNT) - 1,
  );
  return structure;
}

/** Gives a slot to a pool, where it is not done often. */
function givePooled(pool: usize, structure: usize): void {
  Pool.give(pool, structure);
}

/** Takes a slot that nobody has, or 0. */
function takeUnused(): usize {
  if (Pool.has(HEADER_POOL)) return takePooled(HEADER_POOL);
  const slot = header(HEADER_STRUCTURE_FRESH);
  if (slot > header(HEADER_STRUCTURES_MAX)) return 0;
  setHeader(HEADER_STRUCTURE_FRESH, slot + 1);
  const structure = structureAt(slot);
  put(structure + STRUCTURE_GENERATION, 1);
  return structure;
}

/** Takes a slot, from some pool if there is no other; the caller holds all locks and knows that there is one. */
export function takeStructure(state: u32, space: u32, inhibits: u32, holder: u32): usize {
  let structure = takeUnused();
  for (let lpid: u32 = 1; structure == 0 && lpid <= header(HEADER_LPIDS_USED); lpid++) {
    const partition = partitionAt(lpid);
    if (Pool.has(partition)) structure = takePooled(partition);
  }
  assert(structure != 0);
  beginStructure(structure, state, space, inhibits, holder);
  return structure;
}

/** The first word of a new grant. */
export function grantedWord(space: u32, inhibits: u32): u32 {
  return STRUCTURE_GRANTED | (space << 8) | (inhibits << 16);
}

/** From here to the commit all words of the structure but the generation may be stored plainly: its slot was free. */
function beginStructure(structure: usize, state: u32, space: u32, inhibits: u32, holder: u32): void {
  const first = state | (space << 8) | (inhibits << 16);
  Words.put2(structure + STRUCTURE_STATE, first, structure + STRUCTURE_NEXT_HELD, 0);
  store<u64>(structure, holder, STRUCTURE_HOLDER);
  v128.store(structure, i64x2.splat(0), STRUCTURE_PARENT);
  v128.store(structure, i64x2.splat(0), STRUCTURE_NEXT_HELD);
  v128.store(structure, i64x2.splat(0), STRUCTURE_PAGE);
}

/** The structure that many links behind another one in a list of free ones, or the last one. */
function chainEnd(first: u32, links: u32): usize {
  let structure = structureAt(first);
  for (let i: u32 = 0; i < links && nextHeldOf(structure) != 0; i++)
    structure = structureAt(nextHeldOf(structure));
  return structure;
}

/** How many structures a list of free ones has from one to another. */
function chainLength(first: u32, last: usize): u32 {
  let count: u32 = 1;
  for (let slot = first; structureAt(slot) != last; slot = nextHeldOf(structureAt(slot))) count++;
  return count;
}

/** Puts a list of free structures into a pool that is empty. */
function setPool(pool: usize, first: u32, count: u32): void {
  setPartitionWord(pool, PARTITION_POOL, first);
  setPartitionWord(pool, PARTITION_POOL_COUNT, count);
}

/** Fetches some structures for the grants out of a pool that has none at hand; the caller holds all locks. */
export function fillPool(pool: usize): void {
  const first = header(HEADER_STRUCTURE_FREE);
  if (first != 0) {
    const last = chainEnd(first, POOL_REFILL - 1);
    const count = chainLength(first, last);
    setHeader(HEADER_STRUCTURE_FREE, nextHeldOf(last));
    addHeader(HEADER_STRUCTURES_LISTED, -(<i32>count));
    put(last + STRUCTURE_NEXT_HELD, 0);
    setPool(pool, first, count);
    return;
  }
  const fresh = header(HEADER_STRUCTURE_FRESH);
  const count = min<u32>(header(HEADER_STRUCTURES_MAX) + 1 - fresh, POOL_REFILL);
  for (let i: u32 = 0; i < count; i++) {
    put(structureAt(fresh + i) + STRUCTURE_GENERATION, 1);
    if (i + 1 < count) put(structureAt(fresh + i) + STRUCTURE_NEXT_HELD, fresh + i + 1);
  }
  if (count != 0) {
    setHeader(HEADER_STRUCTURE_FRESH, fresh + count);
    setPool(pool, fresh, count);
    return;
  }
  for (let lpid: u32 = 1; !Pool.has(pool) && lpid <= header(HEADER_LPIDS_USED); lpid++) {
    const other = partitionAt(lpid);
    if (Pool.has(other)) givePooled(pool, takePooled(other));
  }
}

/** Whether the pool of a partition takes no more; giving a slot back then needs all locks. */
export function isPoolFull(partition: usize): bool {
  return partitionWord(partition, PARTITION_POOL_COUNT) >= u32(POOL_MAX);
}

/** Gives up to `most` structures of a pool back to all; the caller holds all locks. */
export function spillPool(partition: usize, most: u32): void {
  const first = partitionWord(partition, PARTITION_POOL);
  if (first == 0) return;
  const last = chainEnd(first, most - 1);
  const count = chainLength(first, last);
  setPartitionWord(partition, PARTITION_POOL, nextHeldOf(last));
  addPartitionWord(partition, PARTITION_POOL_COUNT, -(<i32>count));
  put(last + STRUCTURE_NEXT_HELD, header(HEADER_STRUCTURE_FREE));
  setHeader(HEADER_STRUCTURE_FREE, first);
  addHeader(HEADER_STRUCTURES_LISTED, count);
}

/** New grants. A method, as in Links. */
export class Fresh {
  /**
   * Takes a slot that is at hand in the grantor's pool for a grant to partition `to`, hangs it into the tree, below what it is made
   * from, and into the grantee's list, and counts it with its end and both partitions. What changes is noted at once, and then
   * stored; of its own words state and link alone, since the slot was free. Slot 0 stands for a neighbour that there is not: it is
   * noted, and never stored. `special` is what its kind keeps beside.
   */
  @inline
  static grant(
    pool: usize,
    grantor: usize,
    parent: u32,
    grantee: usize,
    first: u32,
    to: u32,
    end: usize,
    page: u32,
    count: u32,
    special: u32,
  ): usize {
    const slot = partitionWord(pool, PARTITION_POOL);
    const pooled = partitionWord(pool, PARTITION_POOL_COUNT);
    const structure = structureAt(slot);
    const rest = nextHeldOf(structure);
    const source = structureAt(parent);
    const next = childOf(source);
    const nextHeld = partitionWord(grantee, PARTITION_HELD);
    const child = structureAt(next);
    const held = structureAt(nextHeld);
    const used = load<u32>(end, END_USED);
    const out = partitionWord(grantor, PARTITION_GRANTS_OUT);
    const into = partitionWord(grantee, PARTITION_GRANTS_IN);
    const first4 = Notes.begin(11);
    Notes.first(first4, pool + PARTITION_POOL, slot);
    Notes.second(first4, pool + PARTITION_POOL_COUNT, pooled);
    Notes.third(first4, structure + STRUCTURE_STATE, load<u32>(structure, STRUCTURE_STATE));
    Notes.fourth(first4, structure + STRUCTURE_NEXT_HELD, rest);
    const next4 = Notes.next(first4);
    Notes.first(next4, source + STRUCTURE_CHILD, next);
    Notes.second(next4, grantee + PARTITION_HELD, nextHeld);
    Notes.third(next4, child + STRUCTURE_PREVIOUS, previousOf(child));
    Notes.fourth(next4, held + STRUCTURE_PREVIOUS_HELD, previousHeldOf(held));
    const last3 = Notes.next(next4);
    Notes.first(last3, end + END_USED, used);
    Notes.second(last3, grantor + PARTITION_GRANTS_OUT, out);
    Notes.third(last3, grantee + PARTITION_GRANTS_IN, into);
    Notes.end(first4, 11);

    store<u32>(pool, rest, PARTITION_POOL);
    store<u32>(pool, pooled - 1, PARTITION_POOL_COUNT);
    store<u32>(structure, to, STRUCTURE_HOLDER);
    store<u32>(structure, endSlotOf(end), STRUCTURE_END);
    // Each of these with the word behind it, which is 0.
    store<u64>(structure, parent, STRUCTURE_PARENT);
    store<u64>(structure, next, STRUCTURE_NEXT);
    store<u64>(structure, nextHeld, STRUCTURE_NEXT_HELD);
    store<u32>(structure, page, STRUCTURE_SOURCE_PAGE);
    store<u32>(structure, count, STRUCTURE_PAGE_COUNT);
    store<u64>(structure, 0, STRUCTURE_PAGE);
    const ahead = areFar(TOUCH_NEAR) ? firstAhead(next) : 0;
    store<u64>(structure, ((<u64>special) << 32) | ahead, STRUCTURE_AHEAD);
    // Last: who had the slot before may guess its cookie, with other locks than these, and finds what was left there until then.
    store<u32>(structure, first, STRUCTURE_STATE);
    store<u32>(source, slot, STRUCTURE_CHILD);
    store<u32>(grantee, slot, PARTITION_HELD);
    if (next != 0) store<u32>(child, slot, STRUCTURE_PREVIOUS);
    if (nextHeld != 0) store<u32>(held, slot, STRUCTURE_PREVIOUS_HELD);
    store<u32>(end, used + 1, END_USED);
    store<u32>(grantor, out + 1, PARTITION_GRANTS_OUT);
    store<u32>(grantee, into + 1, PARTITION_GRANTS_IN);
    return structure;
  }
}

/** Grants that end. A method, as in Links. */
export class Ended {
  /** Whether grant() does for it: nothing is lent, no device looks at it, no entry names it, and its slot can be used again. */
  @inline
  static isPlain(structure: usize): bool {
    if (isLastUse(structure)) return false;
    return isOrdinary(structure) && entriesOf(structure) == 0;
  }

  /**
   * The reverse of Fresh.grant(), of what nobody has accepted, and noted at once as that is: out of the tree and its holder's list,
   * uncounted, and the slot where its grantor takes the next one.
   */
  @inline
  static grant(grantor: usize, grantee: usize, end: usize, structure: usize): void {
    const slot = slotOf(structure);
    const pool = Pool.of(grantor);
    const first = partitionWord(pool, PARTITION_POOL);
    const pooled = partitionWord(pool, PARTITION_POOL_COUNT);
    const generation = generationOf(structure);
    const next = nextOf(structure);
    const previous = previousOf(structure);
    const nextHeld = nextHeldOf(structure);
    const previousHeld = previousHeldOf(structure);
    const link =
      previous == 0
        ? structureAt(parentOf(structure)) + STRUCTURE_CHILD
        : structureAt(previous) + STRUCTURE_NEXT;
    const linkHeld =
      previousHeld == 0 ? grantee + PARTITION_HELD : structureAt(previousHeld) + STRUCTURE_NEXT_HELD;
    const after = structureAt(next);
    const afterHeld = structureAt(nextHeld);
    const used = load<u32>(end, END_USED);
    const out = partitionWord(grantor, PARTITION_GRANTS_OUT);
    const into = partitionWord(grantee, PARTITION_GRANTS_IN);
    const first4 = Notes.none();
    Notes.first(first4, end + END_USED, used);
    Notes.second(first4, grantor + PARTITION_GRANTS_OUT, out);
    Notes.third(first4, grantee + PARTITION_GRANTS_IN, into);
    Notes.fourth(first4, structure + STRUCTURE_STATE, load<u32>(structure, STRUCTURE_STATE));
    const next4 = Notes.next(first4);
    Notes.first(next4, link, slot);
    Notes.second(next4, linkHeld, slot);
    Notes.third(next4, after + STRUCTURE_PREVIOUS, previousOf(after));
    Notes.fourth(next4, afterHeld + STRUCTURE_PREVIOUS_HELD, previousHeldOf(afterHeld));
    const last4 = Notes.next(next4);
    Notes.first(last4, structure + STRUCTURE_GENERATION, generation);
    Notes.second(last4, structure + STRUCTURE_NEXT_HELD, nextHeld);
    Notes.third(last4, pool + PARTITION_POOL, first);
    Notes.fourth(last4, pool + PARTITION_POOL_COUNT, pooled);
    Notes.end(first4, 12);

    store<u32>(end, used - 1, END_USED);
    store<u32>(grantor, out - 1, PARTITION_GRANTS_OUT);
    store<u32>(grantee, into - 1, PARTITION_GRANTS_IN);
    store<u32>(link, next);
    if (next != 0) store<u32>(after, previous, STRUCTURE_PREVIOUS);
    store<u32>(linkHeld, nextHeld);
    if (nextHeld != 0) store<u32>(afterHeld, previousHeld, STRUCTURE_PREVIOUS_HELD);
    // Before the generation, with which its next cookie can be guessed.
    store<u32>(structure, STRUCTURE_FREE, STRUCTURE_STATE);
    store<u32>(structure, generation + 1, STRUCTURE_GENERATION);
    store<u32>(structure, first, STRUCTURE_NEXT_HELD);
    store<u32>(pool, slot, PARTITION_POOL);
    store<u32>(pool, pooled + 1, PARTITION_POOL_COUNT);
  }
}

/** Slots that are given back. A method, as in Links. */
class Slots {
  /** What is in no list and no tree any more is free, or used up. Answers whether the slot can be used again. */
  @inline
  static end(structure: usize): bool {
    const generation = generationOf(structure);
    const isUsedUp = generation == GENERATION_LIMIT;
    const end: u32 = isUsedUp ? STRUCTURE_RETIRED : STRUCTURE_FREE;
    if (spaceOf(structure) == SPACE_DMA || entriesOf(structure) != 0) wipe(structure, end);
    else Words.put2(structure + STRUCTURE_STATE, end, structure + STRUCTURE_GENERATION, generation + 1);
    return !isUsedUp;
  }
}

/**
 * Nothing is left of a pane, and of memory that an entry names: devices look at them without a lock, and the entry is counted
 * there.
 */
function wipe(structure: usize, end: u32): void {
  note(structure);
  atomic.store<u32>(structure, end, STRUCTURE_STATE);
  atomic.store<u32>(structure, generationOf(structure) + 1, STRUCTURE_GENERATION);
  for (let offset: usize = STRUCTURE_HOLDER; offset < usize(STRUCTURE_BYTES); offset += 4)
    atomic.store<u32>(structure + offset, 0);
}

/** A slot that can be used again, of memory that no entry names, is free, and linked to the next free one. */
export function putFree(structure: usize, next: u32): void {
  Words.put3(
    structure + STRUCTURE_STATE,
    STRUCTURE_FREE,
    structure + STRUCTURE_GENERATION,
    generationOf(structure) + 1,
    structure + STRUCTURE_NEXT_HELD,
    next,
  );
}

/** Whether the slot is used up with its present use; giving it back then needs all locks. */
export function isLastUse(structure: usize): bool {
  return generationOf(structure) == GENERATION_LIMIT;
}

/** Gives a slot, which can be used again, back to where the partition that used it for a grant takes its next ones. */
export function releaseGrant(partition: usize, structure: usize): void {
  Slots.end(structure);
  Pool.give(Pool.of(partition), structure);
}

/** Gives a slot back to all, or retires it; the caller holds all locks. */
export function releaseStructure(structure: usize): void {
  if (Slots.end(structure)) givePooled(HEADER_POOL, structure);
  else addHeader(HEADER_STRUCTURES_RETIRED, 1);
}
