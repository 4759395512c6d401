/**
 * What becomes of entries of page tables, and of the structures beside them: of one, of four at once where no other thread reads
 * entries, of two at once where others do.
 */
import { ENTRY_FRAME, ENTRY_GENERATION_SHIFT, ENTRY_PRIVATE } from "../src/layout";

const GENERATION_ONE: u32 = 1 << ENTRY_GENERATION_SHIFT;
export const GENERATION_MASK: u32 = 0x1f000000;

/** Where the bit of a private entry is. */
const PRIVATE_SHIFT: i32 = 29;

if (ENTRY_PRIVATE != 1 << PRIVATE_SHIFT) ERROR("the bit of a private entry is shifted into its place");

/** The next value of an entry that is mapped anew. */
export function renewed(old: u32, bits: u32): u32 {
  return ((old + GENERATION_ONE) & GENERATION_MASK) | bits;
}

/** Other threads read entries at any time. */
export function storeShared(entry: usize, value: u32): void {
  atomic.store<u32>(entry, value);
}

/** What is left of an entry that loses its access. A private frame is released after the uses that began before are over. */
export function left(old: u32, bits: u32): u32 {
  const own = (old & ENTRY_PRIVATE) != 0 ? old & (ENTRY_PRIVATE | ENTRY_FRAME) : 0;
  return (old & GENERATION_MASK) | bits | own;
}

export function fillBacks(backs: usize, count: u32, back: u32): void {
  const done: u32 = count < 4 ? 0 : fillFours(backs, count, back);
  for (let i = done; i < count; i++) store<u32>(backs + ((<usize>i) << 2), back);
}

/**
 * Four pages of a range at once, where no other thread reads entries meanwhile. Methods, since only those are inlined on
 * demand: what is the same for all is then made ready once for sixteen pages.
 */
class Four {
  /** As setEntry(), with the back. */
  @inline
  static map(entry: usize, source: usize, back: usize, rights: u32, slot: u32): void {
    const next = i32x4.add(v128.load(entry), i32x4.splat(GENERATION_ONE));
    const frame = v128.and(v128.load(source), i32x4.splat(ENTRY_FRAME));
    const generation = v128.and(next, i32x4.splat(GENERATION_MASK));
    v128.store(entry, v128.or(v128.or(generation, frame), i32x4.splat(rights)));
    v128.store(back, i32x4.splat(slot));
  }

  /** What is left of entries. */
  @inline
  static leave(entry: usize, bits: u32): void {
    const old = v128.load(entry);
    const isOwn = i32x4.shr_s(i32x4.shl(old, 31 - PRIVATE_SHIFT), 31);
    const own = v128.and(isOwn, i32x4.splat(ENTRY_PRIVATE | ENTRY_FRAME));
    const kept = v128.and(old, v128.or(own, i32x4.splat(GENERATION_MASK)));
    v128.store(entry, v128.or(kept, i32x4.splat(bits)));
  }

  /** Unmapped, without backs. `isPlain`, a constant: none of them is private. */
  @inline
  static free(entry: usize, back: usize, isPlain: bool): void {
    if (isPlain) v128.store(entry, v128.and(v128.load(entry), i32x4.splat(GENERATION_MASK)));
    else Four.leave(entry, 0);
    v128.store(back, i32x4.splat(0));
  }
}

/** Four times four of them. */
export class Sixteen {
  @inline
  static map(entry: usize, source: usize, back: usize, rights: u32, slot: u32): void {
    Four.map(entry, source, back, rights, slot);
    Four.map(entry + 16, source + 16, back + 16, rights, slot);
    Four.map(entry + 32, source + 32, back + 32, rights, slot);
    Four.map(entry + 48, source + 48, back + 48, rights, slot);
  }

  @inline
  static free(entry: usize, back: usize, isPlain: bool): void {
    Four.free(entry, back, isPlain);
    Four.free(entry + 16, back + 16, isPlain);
    Four.free(entry + 32, back + 32, isPlain);
    Four.free(entry + 48, back + 48, isPlain);
  }
}

// What follows answers how many pages it has done, and is of its own, so that what is done for single pages stays short.

export function mapFours(
  entries: usize,
  sources: usize,
  backs: usize,
  count: u32,
  rights: u32,
  slot: u32,
): u32 {
  let done: u32 = 0;
  for (; done + 16 <= count; done += 16) {
    const offset = (<usize>done) << 2;
    Sixteen.map(entries + offset, sources + offset, backs + offset, rights, slot);
  }
  for (; done + 4 <= count; done += 4) {
    const offset = (<usize>done) << 2;
    Four.map(entries + offset, sources + offset, backs + offset, rights, slot);
  }
  return done;
}

export function freeFours(entries: usize, backs: usize, count: u32): u32 {
  let done: u32 = 0;
  for (; done + 16 <= count; done += 16) {
    const offset = (<usize>done) << 2;
    Sixteen.free(entries + offset, backs + offset, false);
  }
  for (; done + 4 <= count; done += 4) {
    const offset = (<usize>done) << 2;
    Four.free(entries + offset, backs + offset, false);
  }
  return done;
}

export function leaveFours(entries: usize, count: u32, bits: u32): u32 {
  let done: u32 = 0;
  for (; done + 4 <= count; done += 4) Four.leave(entries + ((<usize>done) << 2), bits);
  return done;
}

/** Of backs. */
function fillFours(words: usize, count: u32, value: u32): u32 {
  let done: u32 = 0;
  for (; done + 4 <= count; done += 4) v128.store(words + ((<usize>done) << 2), i32x4.splat(value));
  return done;
}

// Where other threads read entries two are stored at once: an atomic store costs the same whether it is of four bytes or of
// eight, and who loads four of them finds them whole.

function storePair(entry: usize, both: u64): void {
  atomic.store<u64>(entry, both);
}

/** The same number for each of two entries. */
function twice(bits: u32): u64 {
  return bits | ((<u64>bits) << 32);
}

/** Whether pairs can begin only with the second of these entries. */
function isOdd(entries: usize): bool {
  return (entries & 4) != 0;
}

/** As setEntry(), for pairs. */
export function mapPairs(entries: usize, sources: usize, count: u32, rights: u32): u32 {
  const generations = twice(GENERATION_MASK);
  const both = twice(rights); // here, since no compiler takes it out of the loop
  let done: u32 = 0;
  if (isOdd(entries)) {
    storeShared(entries, renewed(load<u32>(entries), (load<u32>(sources) & ENTRY_FRAME) | rights));
    done = 1;
  }
  for (; done + 1 < count; done += 2) {
    const entry = entries + ((<usize>done) << 2);
    const frames = load<u64>(sources + ((<usize>done) << 2)) & twice(ENTRY_FRAME);
    // Without the other bits no entry's sum reaches into the next one.
    const next = (load<u64>(entry) & generations) + twice(GENERATION_ONE);
    storePair(entry, (next & generations) | frames | both);
  }
  return done;
}

/** As leaveOnly(), for pairs. */
export function leavePairs(entries: usize, count: u32, bits: u32): u32 {
  const both = twice(bits);
  let done: u32 = 0;
  if (isOdd(entries)) {
    storeShared(entries, left(load<u32>(entries), bits));
    done = 1;
  }
  for (; done + 1 < count; done += 2) {
    const entry = entries + ((<usize>done) << 2);
    const old = load<u64>(entry);
    const isOwn = (old >> PRIVATE_SHIFT) & twice(1);
    const own = isOwn * (ENTRY_PRIVATE | ENTRY_FRAME);
    storePair(entry, (old & (twice(GENERATION_MASK) | own)) | both);
  }
  return done;
}
