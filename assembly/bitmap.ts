/**
 * Hierarchical bitmap: a set bit is a free place. Four levels of 64-bit words; a bit of a level says whether the
 * word below it has any bit set, so that the lowest free place is found with four look-ups, whatever the size.
 *
 *     level 0: bits / 64 words | level 1: bits / 2^12 | level 2: bits / 2^18 | level 3: 1 word
 *
 * Longer runs are found gap by gap: the cost grows with the gaps that are too small, not with the places.
 *
 * What takes and frees places of one word goes through the undo log. mapFill() does not, and may be done again from the start
 * when it stopped anywhere: for the bulk part of a job.
 */
import { Words } from "./log";
import { NONE } from "./memory";

const LEVELS: u32 = 4;

/** Words that are needed for so many bits: of level 0, and from the words of a level those of the one above it. */
function wordsFor(bits: u32): u32 {
  return (bits + 63) >> 6;
}

function wordAt(level: usize, word: u32): usize {
  return level + ((<usize>word) << 3);
}

/** Bits `from` to `to` (exclusive, at most 64 above the word's start) of one word. */
function maskOf(from: u32, to: u32): u64 {
  const high: u64 = to == 64 ? ~(<u64>0) : ((<u64>1) << to) - 1;
  return high & ~(((<u64>1) << from) - 1);
}

/** `count` bits of a word from `from` on; there is one at least. */
export function runMask(from: u32, count: u32): u64 {
  return (~(<u64>0) >> (64 - count)) << from;
}

/** Whether there is a place, and all of them are of one word. */
export function isInWord(from: u32, count: u32): bool {
  return count - 1 < 64 - (from & 63);
}

/** Where the word of a place stands. */
export function placeWord(map: usize, place: u32): usize {
  return wordAt(map, place >> 6);
}

/** The bit of a place in its word. */
export function placeBit(place: u32): u64 {
  return (<u64>1) << (place & 63);
}

/** All places used. */
export function mapClear(map: usize, bits: u32): void {
  memory.fill(map, 0, mapBytes(bits));
}

/**
 * Levels above the first: two at once, which hear often of what is in use from its lowest place on, with their notes at `top` and behind
 * it. Methods, since only those are inlined on demand.
 */
export class Levels {
  /** Tells them that a word of level 0 has become non-empty. */
  @inline
  static raise(top: u32, map: usize, bits: u32, word: u32): void {
    const words = wordsFor(bits);
    const first = wordAt(map, words);
    const at = placeWord(first, word);
    const old = load<u64>(at);
    const next = Words.putLongAt(top, at, old, old | placeBit(word));
    if (old != 0) return;
    const second = wordAt(first, wordsFor(words));
    const at2 = placeWord(second, word >> 6);
    const old2 = load<u64>(at2);
    Words.putLongAt(next, at2, old2, old2 | placeBit(word >> 6));
    if (old2 == 0) raiseFrom(3, second, wordsFor(wordsFor(words)), word >> 12);
  }

  /** Tells them that a word of level 0 has become empty. */
  @inline
  static lower(top: u32, map: usize, bits: u32, word: u32): void {
    const words = wordsFor(bits);
    const first = wordAt(map, words);
    const at = placeWord(first, word);
    const old = load<u64>(at);
    const left = old & ~placeBit(word);
    const next = Words.putLongAt(top, at, old, left);
    if (left != 0) return;
    const second = wordAt(first, wordsFor(words));
    const at2 = placeWord(second, word >> 6);
    const old2 = load<u64>(at2);
    const left2 = old2 & ~placeBit(word >> 6);
    Words.putLongAt(next, at2, old2, left2);
    if (left2 == 0) lowerFrom(3, second, wordsFor(wordsFor(words)), word >> 12);
  }
}

/** The same from a level on; below it one of so many words has become non-empty. */
function raiseFrom(level: u32, below: usize, words: u32, word: u32): void {
  let index = word;
  let above = below;
  let count = words;
  for (let i = level; i < LEVELS; i++) {
    above = wordAt(above, count);
    count = wordsFor(count);
    const at = placeWord(above, index);
    const old = load<u64>(at);
    Words.putLong(at, old, old | placeBit(index));
    if (old != 0) return;
    index >>= 6;
  }
}

/** All levels above the first hear of a word of level 0 that has become non-empty, where that is rare. */
export function raiseLevels(map: usize, bits: u32, word: u32): void {
  raiseFrom(1, map, wordsFor(bits), word);
}

/** The same from a level on; below it one of so many words has become empty. */
function lowerFrom(level: u32, below: usize, words: u32, word: u32): void {
  let index = word;
  let above = below;
  let count = words;
  for (let i = level; i < LEVELS; i++) {
    above = wordAt(above, count);
    count = wordsFor(count);
    const at = placeWord(above, index);
    const old = load<u64>(at);
    const left = old & ~placeBit(index);
    Words.putLong(at, old, left);
    if (left != 0) return;
    index >>= 6;
  }
}

/** Places of one word. Methods, since only those are inlined on demand: each accept takes some, each return frees some. */
export class Places {
  /** The word of level 0 with the lowest free place, or NONE; below the first 2^12 places at once. */
  @inline
  static lowestWord(map: usize, bits: u32): u32 {
    const words = wordsFor(bits);
    const low = load<u64>(wordAt(map, words));
    return low == 0 ? lowestFar(map, words) : <u32>ctz(low);
  }

  /** The lowest free place, or NONE. */
  @inline
  static lowest(map: usize, bits: u32): u32 {
    const word = Places.lowestWord(map, bits);
    return word == NONE ? NONE : (word << 6) + <u32>ctz(load<u64>(wordAt(map, word)));
  }

  @inline
  static freeOf(map: usize, bits: u32, word: u32, places: u64): void {
    const at = wordAt(map, word);
    const old = load<u64>(at);
    Words.putLong(at, old, old | places);
    if (old == 0) raiseFrom(1, map, wordsFor(bits), word);
  }

  @inline
  static free(map: usize, bits: u32, place: u32): void {
    Places.freeOf(map, bits, place >> 6, placeBit(place));
  }

  /** Takes places of one word, all of them free. */
  @inline
  static takeOf(map: usize, bits: u32, word: u32, places: u64): void {
    const at = wordAt(map, word);
    const old = load<u64>(at);
    const left = old & ~places;
    Words.putLong(at, old, left);
    if (left == 0) lowerFrom(1, map, wordsFor(bits), word);
  }

  /** As freeOf(), with its notes at `top` and behind it. */
  @inline
  static freeNoted(top: u32, map: usize, bits: u32, word: u32, places: u64): void {
    const at = wordAt(map, word);
    const old = load<u64>(at);
    const next = Words.putLongAt(top, at, old, old | places);
    if (old == 0) Levels.raise(next, map, bits, word);
  }

  /** As takeOf(), in the same way. */
  @inline
  static takeNoted(top: u32, map: usize, bits: u32, word: u32, places: u64): void {
    const at = wordAt(map, word);
    const old = load<u64>(at);
    const left = old & ~places;
    const next = Words.putLongAt(top, at, old, left);
    if (left == 0) Levels.lower(next, map, bits, word);
  }

  /** Frees the places [from, from + count), through the log if they are of one word; part of a job if they are not. */
  @inline
  static freeRun(map: usize, bits: u32, from: u32, count: u32): void {
    if (isInWord(from, count)) Places.freeOf(map, bits, from >> 6, runMask(from & 63, count));
    else mapFill(map, bits, from, count, true);
  }

  /** Takes them in the same way. */
  @inline
  static takeRun(map: usize, bits: u32, from: u32, count: u32): void {
    if (isInWord(from, count)) Places.takeOf(map, bits, from >> 6, runMask(from & 63, count));
    else mapFill(map, bits, from, count, false);
  }
}

/** Takes the free places [from, from + count). */
export function mapTakeRun(map: usize, bits: u32, from: u32, count: u32): void {
  let at = from;
  const end = from + count;
  while (at < end) {
    const word = at >> 6;
    const stop = min(end - (word << 6), 64);
    Places.takeOf(map, bits, word, maskOf(at & 63, stop));
    at = (word << 6) + stop;
  }
}

/**
 * Brings one bit of each level above a word of level 0 in line with the word below it. Where the word has just changed, the
 * first bit that is right already ends it; where it had before, a crash may have left any of them wrong.
 */
function propagate(map: usize, bits: u32, word: u32, isNew: bool): void {
  let index = word;
  let level = map;
  let words = wordsFor(bits);
  for (let i: u32 = 1; i < LEVELS; i++) {
    const below = load<u64>(wordAt(level, index));
    level = wordAt(level, words);
    words = wordsFor(words);
    const at = wordAt(level, index >> 6);
    const bit: u64 = (<u64>1) << (index & 63);
    const old = load<u64>(at);
    const now = below != 0 ? old | bit : old & ~bit;
    if (now != old) store<u64>(at, now);
    else if (isNew) return;
    index >>= 6;
  }
}

/** Frees or takes the places [from, from + count), without the log; doing it again mends what a crash left half done. */
export function mapFill(map: usize, bits: u32, from: u32, count: u32, isFree: bool): void {
  let at = from;
  const end = from + count;
  while (at < end) {
    const word = at >> 6;
    const stop = min(end - (word << 6), 64);
    const place = wordAt(map, word);
    const mask = maskOf(at & 63, stop);
    const old = load<u64>(place);
    const now = isFree ? old | mask : old & ~mask;
    store<u64>(place, now);
    // The levels above know already of a word that had, and has, a free place; unless this is done again, after a crash.
    if (old == 0 || now == 0 || old == now) propagate(map, bits, word, old != now);
    at = (word << 6) + stop;
  }
}

export function mapIsFree(map: usize, place: u32): bool {
  return ((load<u64>(wordAt(map, place >> 6)) >> (place & 63)) & 1) != 0;
}

/** Which of up to 64 places of one word are free, a bit each from the lowest on. */
export function mapBits(map: usize, from: u32, count: u32): u64 {
  return (load<u64>(wordAt(map, from >> 6)) >> (from & 63)) & runMask(0, count);
}

/** The lowest free place at or above `from`, or NONE. */
export function mapNext(map: usize, bits: u32, from: u32): u32 {
  let level: u32 = 0;
  let index = from;
  let at = map;
  let words = wordsFor(bits);
  while (true) {
    const word = index >> 6;
    if (word < words) {
      const rest = load<u64>(wordAt(at, word)) >> (index & 63);
      if (rest != 0) {
        index += <u32>ctz(rest);
        break;
      }
    }
    level++;
    if (level == LEVELS) return NONE;
    index = word + 1;
    at = wordAt(at, words);
    words = wordsFor(words);
  }
  while (level != 0) {
    level--;
    index = (index << 6) + <u32>ctz(load<u64>(wordAt(levelAt(map, bits, level), index)));
  }
  return index;
}

/** The lowest free place, or NONE. */
export function mapLowest(map: usize, bits: u32): u32 {
  return Places.lowest(map, bits);
}

/** The same word beyond the first 2^12 places: from the top, where one word says whether there is any. */
function lowestFar(map: usize, words: u32): u32 {
  const first = wordAt(map, words);
  const second = wordAt(first, wordsFor(words));
  const third = wordAt(second, wordsFor(wordsFor(words)));
  const top = load<u64>(third);
  if (top == 0) return NONE;
  let index = <u32>ctz(top);
  index = (index << 6) + <u32>ctz(load<u64>(wordAt(second, index)));
  return (index << 6) + <u32>ctz(load<u64>(wordAt(first, index)));
}

/** Byte offset of a level. */
function levelAt(map: usize, bits: u32, level: u32): usize {
  let at = map;
  let words = wordsFor(bits);
  for (let below: u32 = 0; below < level; below++) {
    at = wordAt(at, words);
    words = wordsFor(words);
  }
  return at;
}

/** The end (exclusive) of the free run that starts at `from`, but not beyond `from + most`. */
export function mapRunEnd(map: usize, bits: u32, from: u32, most: u32): u32 {
  const limit = most > bits - from ? bits : from + most;
  let at = from;
  while (at < limit) {
    const used = ~load<u64>(wordAt(map, at >> 6)) >> (at & 63);
    if (used != 0) return min(at + <u32>ctz(used), limit);
    at = (at & ~63) + 64;
  }
  return limit;
}

/** The lowest run of `count` free places, or NONE. */
export function mapLowestRun(map: usize, bits: u32, count: u32): u32 {
  const word = Places.lowestWord(map, bits);
  if (word == NONE) return NONE;
  const free = load<u64>(wordAt(map, word));
  let start = (word << 6) + <u32>ctz(free);
  // Most often the first gap is large enough, and of one word: no bit of the next one is shifted in.
  if (count <= 64) {
    if ((~(free >> (start & 63)) & runMask(0, count)) == 0) return start;
  }
  while (start != NONE) {
    if (count > bits - start) return NONE;
    const end = mapRunEnd(map, bits, start, count);
    if (end - start == count) return start;
    start = mapNext(map, bits, end);
  }
  return NONE;
}

/** For audit(): the first place of which some level above the first does not say what is below it, or NONE. */
export function mapBroken(map: usize, bits: u32): u32 {
  let below = map;
  let words = wordsFor(bits);
  for (let level: u32 = 1; level < LEVELS; level++) {
    const above = wordAt(below, words);
    for (let word: u32 = 0; word < words; word++)
      if (mapIsFree(above, word) != (load<u64>(wordAt(below, word)) != 0)) return word << (6 * level);
    below = above;
    words = wordsFor(words);
  }
  return NONE;
}

/** Bytes that a map of so many places takes. */
export function mapBytes(bits: u32): usize {
  return wordAt(levelAt(0, bits, LEVELS - 1), 1);
}
