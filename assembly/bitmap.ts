/**
 * Hierarchical bitmap: a set bit is a free place. Four levels of 64-bit words; a bit of a level says whether the
 * word below it has any bit set, so that the lowest free place is found with four look-ups, whatever the size.
 *
 *     level 3: 1 word | level 2: bits / 2^18 | level 1: bits / 2^12 | level 0: bits / 64 words
 *
 * Longer runs are found gap by gap: the cost grows with the gaps that are too small, not with the places.
 *
 * mapFree() and mapTake() go through the undo log: for a few places. mapFill() does not, and may be done again from the
 * start when it stopped anywhere: for the bulk part of a job.
 */
import { putLong } from "./log";
import { NONE } from "./memory";

const LEVELS: u32 = 4;

/** Words of a level. */
function wordsAt(bits: u32, level: u32): u32 {
  return <u32>((<u64>bits + ((<u64>1) << (6 * (level + 1))) - 1) >> (6 * (level + 1)));
}

/** Byte offset of a level. */
function levelAt(map: usize, bits: u32, level: u32): usize {
  let offset = map;
  if (level < 3) offset += 8;
  if (level < 2) offset += (<usize>wordsAt(bits, 2)) << 3;
  if (level < 1) offset += (<usize>wordsAt(bits, 1)) << 3;
  return offset;
}

/** Bits `from` to `to` (exclusive, at most 64 above the word's start) of one word. */
function maskOf(from: u32, to: u32): u64 {
  const high: u64 = to == 64 ? ~(<u64>0) : ((<u64>1) << to) - 1;
  return high & ~(((<u64>1) << from) - 1);
}

/** All places used. */
export function mapClear(map: usize, bits: u32): void {
  memory.fill(map, 0, levelAt(map, bits, 0) - map + ((<usize>wordsAt(bits, 0)) << 3));
}

/** Tells the levels above that a word of level 0 has become non-empty. */
function raise(map: usize, bits: u32, word: u32): void {
  let index = word;
  for (let level: u32 = 1; level < LEVELS; level++) {
    const at = levelAt(map, bits, level) + ((<usize>(index >> 6)) << 3);
    const old = load<u64>(at);
    putLong(at, old | ((<u64>1) << (index & 63)));
    if (old != 0) return;
    index >>= 6;
  }
}

/** Tells the levels above that a word of level 0 has become empty. */
function lower(map: usize, bits: u32, word: u32): void {
  let index = word;
  for (let level: u32 = 1; level < LEVELS; level++) {
    const at = levelAt(map, bits, level) + ((<usize>(index >> 6)) << 3);
    const left = load<u64>(at) & ~((<u64>1) << (index & 63));
    putLong(at, left);
    if (left != 0) return;
    index >>= 6;
  }
}

/** Frees the places [from, from + count). */
export function mapFree(map: usize, bits: u32, from: u32, count: u32): void {
  const words = levelAt(map, bits, 0);
  let at = from;
  const end = from + count;
  while (at < end) {
    const word = at >> 6;
    const stop = min(end - (word << 6), 64);
    const place = words + ((<usize>word) << 3);
    const old = load<u64>(place);
    putLong(place, old | maskOf(at & 63, stop));
    if (old == 0) raise(map, bits, word);
    at = (word << 6) + stop;
  }
}

/** Takes the places [from, from + count). */
export function mapTake(map: usize, bits: u32, from: u32, count: u32): void {
  const words = levelAt(map, bits, 0);
  let at = from;
  const end = from + count;
  while (at < end) {
    const word = at >> 6;
    const stop = min(end - (word << 6), 64);
    const place = words + ((<usize>word) << 3);
    const old = load<u64>(place);
    const left = old & ~maskOf(at & 63, stop);
    putLong(place, left);
    if (old != 0 && left == 0) lower(map, bits, word);
    at = (word << 6) + stop;
  }
}

/** Brings one bit of each level above a word of level 0 in line with the word below it. */
function propagate(map: usize, bits: u32, word: u32): void {
  let index = word;
  for (let level: u32 = 1; level < LEVELS; level++) {
    const below = load<u64>(levelAt(map, bits, level - 1) + ((<usize>index) << 3));
    const at = levelAt(map, bits, level) + ((<usize>(index >> 6)) << 3);
    const bit: u64 = (<u64>1) << (index & 63);
    const old = load<u64>(at);
    const now = below != 0 ? old | bit : old & ~bit;
    if (now != old) store<u64>(at, now);
    index >>= 6;
  }
}

/** Frees or takes the places [from, from + count), without the log; doing it again mends what a crash left half done. */
export function mapFill(map: usize, bits: u32, from: u32, count: u32, isFree: bool): void {
  const words = levelAt(map, bits, 0);
  let at = from;
  const end = from + count;
  while (at < end) {
    const word = at >> 6;
    const stop = min(end - (word << 6), 64);
    const place = words + ((<usize>word) << 3);
    const mask = maskOf(at & 63, stop);
    store<u64>(place, isFree ? load<u64>(place) | mask : load<u64>(place) & ~mask);
    propagate(map, bits, word);
    at = (word << 6) + stop;
  }
}

export function mapIsFree(map: usize, bits: u32, place: u32): bool {
  return (load<u64>(levelAt(map, bits, 0) + ((<usize>(place >> 6)) << 3)) >> (place & 63)) & 1 ? true : false;
}

/** The lowest free place at or above `from`, or NONE. */
export function mapNext(map: usize, bits: u32, from: u32): u32 {
  let level: u32 = 0;
  let index = from;
  while (true) {
    const word = index >> 6;
    if (word < wordsAt(bits, level)) {
      const rest = load<u64>(levelAt(map, bits, level) + ((<usize>word) << 3)) >> (index & 63);
      if (rest != 0) {
        index += <u32>ctz(rest);
        break;
      }
    }
    level++;
    if (level == LEVELS) return NONE;
    index = word + 1;
  }
  while (level != 0) {
    level--;
    index = (index << 6) + <u32>ctz(load<u64>(levelAt(map, bits, level) + ((<usize>index) << 3)));
  }
  return index;
}

/** The end (exclusive) of the free run that starts at `from`, but not beyond `from + most`. */
export function mapRunEnd(map: usize, bits: u32, from: u32, most: u32): u32 {
  const words = levelAt(map, bits, 0);
  const limit = most > bits - from ? bits : from + most;
  let at = from;
  while (at < limit) {
    const used = ~load<u64>(words + ((<usize>(at >> 6)) << 3)) >> (at & 63);
    if (used != 0) return min(at + <u32>ctz(used), limit);
    at = (at & ~63) + 64;
  }
  return limit;
}

/** The lowest run of `count` free places, or NONE. */
export function mapLowestRun(map: usize, bits: u32, count: u32): u32 {
  let start = mapNext(map, bits, 0);
  if (count == 1) return start;
  while (start != NONE) {
    if (count > bits - start) return NONE;
    const end = mapRunEnd(map, bits, start, count);
    if (end - start == count) return start;
    start = mapNext(map, bits, end);
  }
  return NONE;
}

/** Bytes that a map of so many places takes. */
export function mapBytes(bits: u32): usize {
  return levelAt(0, bits, 0) + ((<usize>wordsAt(bits, 0)) << 3);
}
