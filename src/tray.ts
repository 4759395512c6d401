/**
 * Moving up to 512 bytes between the table's memory and an array, in a use that has begun, by way of a tray of this thread's own;
 * a partition's more than 32 go by the one in the table (beside.ts).
 *
 * The engine copies out of shared memory through a view, which takes longer to make than so few bytes to copy, and byte by byte
 * where the two sides are not aligned alike. A loop over words of eight bytes fills the tray, and from there, which is not
 * shared, the engine's copy is quick; the views of the tray are kept. What lies beside a range in its first and last word
 * comes into the tray, too, and goes nowhere from there; it is never written back.
 */
import type { TableMemory } from "./binding.js";

/** Up to so many bytes. */
export const TRAY_BYTES = 512;
/** Up to so many bytes a loop over bytes is as fast. */
export const LOOP_BYTES = 32;

/**
 * Up to so many bytes go by a tray into memory that is not shared, too: arrays of so few have no buffer in V8 before somebody asks for it,
 * and to make one takes longer.
 */
const FEW_BYTES = 64;

/** Up to so many bytes go by a tray into the table's memory. */
export function mostByTray(isShared: boolean): number {
  return isShared ? TRAY_BYTES : FEW_BYTES;
}

/** Called as what it is: of an array Node 20 looks it up anew each time. A constant of each module, since of an import Node 26 does. */
const { set } = Uint8Array.prototype;
const { length: ofLength, buffer: ofBuffer } = Object.getOwnPropertyDescriptors(
  Object.getPrototypeOf(Uint8Array.prototype),
);
const lengthOf = ofLength?.get as () => number;
const bufferOf = ofBuffer?.get as () => ArrayBufferLike;

const WORD_BYTES = 8;
const LENGTHS = TRAY_BYTES + 1;
/** The range begins at the same distance from a multiple of eight as in the table's memory. */
const tray: Uint8Array = new Uint8Array(TRAY_BYTES + 2 * WORD_BYTES);
const trayWords: BigInt64Array = new BigInt64Array(tray.buffer);
const trayView: DataView = new DataView(tray.buffer);
/** By distance and length, made on first need. */
const views: (Uint8Array | undefined)[] = new Array(WORD_BYTES * LENGTHS).fill(undefined);

function viewOf(distance: number, length: number): Uint8Array {
  const index = distance * LENGTHS + length;
  const kept = views[index];
  if (kept !== undefined) return kept;
  const view = tray.subarray(distance, distance + length);
  views[index] = view;
  return view;
}

/** Copies up to TRAY_BYTES out of the table's memory, from the byte offset `from` on. */
export function readSome(
  { bytes, longs }: TableMemory,
  from: number,
  target: Uint8Array,
  to: number,
  length: number,
): void {
  if (length <= LOOP_BYTES) moveFew(bytes, from, target, to, length);
  else readByTray(longs, from, target, to, length);
}

/** Copies up to TRAY_BYTES into the table's memory, to the byte offset `to`. */
export function writeSome(
  memory: TableMemory,
  to: number,
  source: Uint8Array,
  from: number,
  length: number,
): void {
  if (length <= LOOP_BYTES) moveFew(source, from, memory.bytes, to, length);
  else writeByTray(memory, to, source, from, length);
}

/** The array itself where that is all of it; by the length that the engine goes by, whatever a subclass says. */
function partOf(array: Uint8Array, from: number, length: number): Uint8Array {
  return length === lengthOf.call(array) ? array : array.subarray(from, from + length);
}

/** The same of what cannot be longer the next moment, as an array over memory that another thread grows can. */
export function fixedPartOf(array: Uint8Array, from: number, length: number): Uint8Array {
  if (bufferOf.call(array) instanceof ArrayBuffer) return partOf(array, from, length);
  return array.subarray(from, from + length);
}

/** Fills all of `target` from `array[from]` on. Of what has grown too long for it meanwhile the engine moves nothing. */
export function fill(target: Uint8Array, array: Uint8Array, from: number): void {
  const { length } = target;
  try {
    set.call(target, partOf(array, from, length));
  } catch {
    set.call(target, array.subarray(from, from + length));
  }
}

// Functions of their own, so that what is used is inlined where it is called.

function readByTray(
  longs: BigInt64Array,
  from: number,
  target: Uint8Array,
  to: number,
  length: number,
): void {
  const first = from >>> 3;
  const count = ((from + length + WORD_BYTES - 1) >>> 3) - first;
  // By fours: the compiler looks at both arrays anew in each turn.
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const word = first + i;
    trayWords[i] = longs[word] as bigint;
    trayWords[i + 1] = longs[word + 1] as bigint;
    trayWords[i + 2] = longs[word + 2] as bigint;
    trayWords[i + 3] = longs[word + 3] as bigint;
  }
  for (; i < count; i++) trayWords[i] = longs[first + i] as bigint;
  set.call(target, viewOf(from & (WORD_BYTES - 1), length), to);
}

/**
 * Whole words, since the first and the last one hold what others write: what lies in those goes by the eight bytes at either end
 * of the range, wherever it begins. Halves of them, since engines are slow with places of eight that are not aligned.
 */
function writeByTray(
  { longs, view }: TableMemory,
  to: number,
  source: Uint8Array,
  from: number,
  length: number,
): void {
  const distance = to & (WORD_BYTES - 1);
  fill(viewOf(distance, length), source, from);
  const first = to >>> 3;
  const end = (to + length) >>> 3;
  let word = first;
  if (distance !== 0) {
    writeEnd(view, to, distance);
    word++;
  }
  for (; word + 4 <= end; word += 4) {
    const i = word - first;
    longs[word] = trayWords[i] as bigint;
    longs[word + 1] = trayWords[i + 1] as bigint;
    longs[word + 2] = trayWords[i + 2] as bigint;
    longs[word + 3] = trayWords[i + 3] as bigint;
  }
  for (; word < end; word++) longs[word] = trayWords[word - first] as bigint;
  if (((to + length) & (WORD_BYTES - 1)) !== 0)
    writeEnd(view, to + length - WORD_BYTES, distance + length - WORD_BYTES);
}

function writeEnd(view: DataView, to: number, from: number): void {
  view.setInt32(to, trayView.getInt32(from));
  view.setInt32(to + 4, trayView.getInt32(from + 4));
}

/** Whether the engine copies between two places as fast as it can. */
export function isAlignedAlike(offset: number, other: number): boolean {
  return ((offset ^ other) & (WORD_BYTES - 1)) === 0;
}

/** Byte by byte, eight in a turn, which the compiler does not do by itself. */
export function moveFew(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  length: number,
): void {
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    const a = from + i;
    const b = to + i;
    target[b] = source[a] as number;
    target[b + 1] = source[a + 1] as number;
    target[b + 2] = source[a + 2] as number;
    target[b + 3] = source[a + 3] as number;
    target[b + 4] = source[a + 4] as number;
    target[b + 5] = source[a + 5] as number;
    target[b + 6] = source[a + 6] as number;
    target[b + 7] = source[a + 7] as number;
  }
  for (; i < length; i++) target[to + i] = source[from + i] as number;
}

/** As moveFew(), for whole words of two arrays of words; everything in words. */
export function moveWords(
  source: Uint32Array,
  from: number,
  target: Uint32Array,
  to: number,
  length: number,
): void {
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const a = from + i;
    const b = to + i;
    target[b] = source[a] as number;
    target[b + 1] = source[a + 1] as number;
    target[b + 2] = source[a + 2] as number;
    target[b + 3] = source[a + 3] as number;
  }
  for (; i < length; i++) target[to + i] = source[from + i] as number;
}
