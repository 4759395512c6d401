/**
 * Moving bytes between the table's memory and an array, however many and however the two lie to each other.
 *
 * A few go by loops (tray.ts). Beyond, the engine's own copy is memcpy, but not into and out of shared memory: there the platform's is
 * (platform.ts). Without one, what is not aligned alike had better be staged.
 */
import type { TableMemory } from "./binding.js";
import { type Move, platformMove, TRIAL_BYTES } from "./platform.js";
import { isAlignedAlike, partOf, readSome, TRAY_BYTES, writeSome } from "./tray.js";

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
  if (other.buffer === bytes.buffer && Math.abs(distance) < length) return false; // they overlap
  const { unsure, slowMs } = platform;
  const move = isShared && !(other.buffer instanceof ArrayBuffer) ? platform.moveShared : platform.move;
  if ((distance & unsure) === 0) move(target, to, source, from, length);
  else moveUnsure(move, slowMs, target, to, source, from, length);
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
    target.set(memory.views.at(from, length), to);
}

/** Up to so many bytes go by a loop into memory that is not shared. */
const FEW_BYTES = 16;

/** Copies `length` bytes from `source[from]` into the table's memory, to the byte offset `to`. */
export function copyIn(
  memory: TableMemory,
  to: number,
  source: Uint8Array,
  from: number,
  length: number,
): void {
  if (length <= (memory.isShared ? TRAY_BYTES : FEW_BYTES)) writeSome(memory, to, source, from, length);
  else if (length < memory.leastMoved || !moveMany(memory, source, memory.bytes, to, source, from, length))
    memory.bytes.set(partOf(source, from, length), to);
}
