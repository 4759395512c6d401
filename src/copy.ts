/**
 * Moving bytes between the table's memory and an array, however many and however the two lie to each other.
 *
 * A few go by loops (tray.ts). Beyond, the engine's own copy is memcpy, but not into and out of shared memory: there the platform's is
 * (platform.ts). Without one, what is not aligned alike had better be staged.
 */
import type { TableMemory } from "./binding.js";
import { PAGE_BYTES } from "./layout.js";
import { type Move, type PlatformMove, platformMove, TRIAL_BYTES } from "./platform.js";
import { fixedPartOf, isAlignedAlike, readSome, TRAY_BYTES, writeSome } from "./tray.js";

/** See tray.ts. */
const { set } = Uint8Array.prototype;
/** So many that a trial pays where the platform's move may be slow. */
const TRIED_BYTES: number = 4 * TRIAL_BYTES;
/** It is never slow with so few. */
const PIECE_BYTES = 2048;

/** Whether a copy between an offset of the table's memory and `array[at]` is quick. */
export function isDirect(
  { isShared, leastMoved }: TableMemory,
  offset: number,
  array: Uint8Array,
  at: number,
  length: number,
): boolean {
  if (!isShared || length <= TRAY_BYTES || length >= leastMoved) return true;
  return isAlignedAlike(offset, array.byteOffset + at);
}

/** Moves what may be slow in one piece. */
function moveUnsure(
  move: Move,
  slowMs: number,
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  from: number,
  length: number,
): void {
  let done = 0;
  if (length >= TRIED_BYTES) {
    const start = performance.now();
    move(target, to, source, from, TRIAL_BYTES);
    done = TRIAL_BYTES;
    if (performance.now() - start < slowMs) {
      move(target, to + done, source, from + done, length - done);
      return;
    }
  }
  for (; done < length; done += PIECE_BYTES)
    move(target, to + done, source, from + done, Math.min(PIECE_BYTES, length - done));
}

/** How the platform moves bytes between the table's memory and a buffer that is another one. */
function moveBetween({ move, moveShared }: PlatformMove, isShared: boolean, buffer: ArrayBufferLike): Move {
  return isShared && !(buffer instanceof ArrayBuffer) ? moveShared : move;
}

/** Copies between the table's memory and an array, of as many bytes as `leastMoved` says. False: that is left to the engine. */
function moveMany(
  { isShared, bytes }: TableMemory,
  other: Uint8Array,
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  from: number,
  length: number,
): boolean {
  const platform = platformMove();
  if (platform === undefined) return false;
  const distance = target.byteOffset + to - source.byteOffset - from;
  // Looked up once: the engine calls a function for it.
  const { buffer } = other;
  if (Math.abs(distance) < length && buffer === bytes.buffer) return false; // they overlap
  const move = moveBetween(platform, isShared, buffer);
  if ((distance & platform.unsure) === 0) move(target, to, source, from, length);
  else moveUnsure(move, platform.slowMs, target, to, source, from, length);
  return true;
}

/** Copies out of the table's memory, from the byte offset `from` on, to `target[to]`. */
export function copyOut(
  memory: TableMemory,
  from: number,
  target: Uint8Array,
  to: number,
  length: number,
): void {
  if (length <= TRAY_BYTES) readSome(memory, from, target, to, length);
  else if (length < memory.leastMoved || !moveMany(memory, target, target, to, memory.bytes, from, length))
    set.call(target, memory.views.at(from, length), to);
}

/** Copies `length` bytes from `source[from]` into the table's memory, to the byte offset `to`. */
export function copyIn(
  memory: TableMemory,
  to: number,
  source: Uint8Array,
  from: number,
  length: number,
): void {
  if (length <= memory.mostByTray) writeSome(memory, to, source, from, length);
  else if (length < memory.leastMoved || !moveMany(memory, source, memory.bytes, to, source, from, length))
    set.call(memory.bytes, fixedPartOf(source, from, length), to);
}

/**
 * Copies between an array and pages of the table's memory, wherever those lie: all are as far from their places in the array, but for
 * whole pages, so that it is asked once how to move them, and found out once whether that is slow.
 */
export class PageCopies {
  readonly #memory: TableMemory;
  readonly #array: Uint8Array;
  readonly #isRead: boolean;
  /** Undefined where each piece goes as any other copy does. */
  readonly #move: Move | undefined;
  #piece = PAGE_BYTES;
  /** Bytes until it is known whether whole pages are slow. */
  #tried = 0;
  #slowAt = 0;

  /** @param address of what lies at the array's beginning; a page is aligned in both memories alike. */
  constructor(memory: TableMemory, array: Uint8Array, address: number, isRead: boolean) {
    this.#memory = memory;
    this.#array = array;
    this.#isRead = isRead;
    const { buffer } = array;
    const platform =
      memory.leastMoved <= PAGE_BYTES && buffer !== memory.bytes.buffer ? platformMove() : undefined;
    if (platform === undefined) return;
    this.#move = moveBetween(platform, memory.isShared, buffer);
    if (((array.byteOffset - address) & platform.unsure) === 0) return;
    if (array.length < TRIED_BYTES) {
      this.#piece = PIECE_BYTES;
      return;
    }
    this.#tried = TRIAL_BYTES;
    this.#slowAt = performance.now() + platform.slowMs;
  }

  /** Copies what lies within one page, at a byte offset of the table's memory and at `at` in the array. */
  copy(offset: number, at: number, length: number): void {
    const move = this.#move;
    if (move === undefined || length <= TRAY_BYTES) {
      if (this.#isRead) copyOut(this.#memory, offset, this.#array, at, length);
      else copyIn(this.#memory, offset, this.#array, at, length);
      return;
    }
    const { bytes } = this.#memory;
    for (let done = 0; done < length; done += this.#piece) {
      const size = Math.min(this.#piece, length - done);
      if (this.#isRead) move(this.#array, at + done, bytes, offset + done, size);
      else move(bytes, offset + done, this.#array, at + done, size);
    }
    if (this.#tried > 0) {
      this.#tried -= length;
      if (this.#tried <= 0 && performance.now() >= this.#slowAt) this.#piece = PIECE_BYTES;
    }
  }
}
