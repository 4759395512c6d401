/**
 * Moving bytes between the table's memory and an array, however many and however the two lie to each other.
 *
 * A few go by loops (tray.ts). Beyond, the engine's own copy is memcpy, but not into and out of shared memory: there it takes eight bytes
 * at a time where both sides are aligned alike, and else one, a third, or a twentieth, of what memory gives. Node's Buffer moves
 * them as memcpy does, if the call costs less than it gains. Without it, what is not aligned alike had better be staged.
 */
import type { TableMemory } from "./binding.js";
import { PAGE_BYTES } from "./layout.js";
import { isAlignedAlike, readSome, TRAY_BYTES, writeSome } from "./tray.js";

/** Copies all of `source` to `target[start]` up to, and without, `target[end]`. */
type PlatformCopy = (this: Uint8Array, source: Uint8Array, start: number, end: number) => unknown;

/** What is global in Node, of which this package has no need elsewhere. */
interface Platform {
  readonly process?: { readonly versions?: Readonly<Record<string, string | undefined>> };
  readonly Buffer?: { readonly prototype: { readonly fill: PlatformCopy } };
}

/** Node's fill() with as many bytes as there is room for: one memcpy. Other runtimes may have it, but loop in JavaScript. */
function findPlatformCopy({ process, Buffer }: Platform): PlatformCopy | undefined {
  const { node, deno, bun } = process?.versions ?? {};
  if (node === undefined || deno !== undefined || bun !== undefined || Buffer === undefined) return undefined;
  const copy = Buffer.prototype.fill;
  const probe = Uint8Array.of(3, 1, 4, 1, 5);
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  const back = new Uint8Array(8);
  try {
    copy.call(shared, probe, 1, 6);
    copy.call(back, shared.subarray(1, 6), 2, 7);
  } catch {
    return undefined;
  }
  return back.join() === "0,0,3,1,4,1,5,0" ? copy : undefined;
}

const platformCopy: PlatformCopy | undefined = findPlatformCopy(globalThis as Platform);

/** From so many on the platform's copy gains more than its call, and a trial, cost. */
const MANY_BYTES: number = 16 * PAGE_BYTES;
/**
 * Some machines' memcpy takes 20 times as long where the target lies 1 to 31 bytes after the source, each in its page, as arrays of
 * malloc() do after pages (glibc's bug 30994). Where an array lies cannot be known, so a trial shows it.
 */
const TRIAL_BYTES: number = PAGE_BYTES + 256;
/** A trial takes up to a third of it, or more than half as long again. */
const SLOW_MS = 0.0025;
/** It is never slow with so few bytes. */
const PIECE_BYTES = 2048;

/** Whether a copy between an offset of the table's memory and `array[at]` is quick. */
export function isDirect(
  { isShared }: TableMemory,
  offset: number,
  array: Uint8Array,
  at: number,
  length: number,
): boolean {
  if (!isShared || length <= TRAY_BYTES || isAlignedAlike(offset, array.byteOffset + at)) return true;
  return platformCopy !== undefined && length >= MANY_BYTES;
}

/** Whether an array is a part of the table's memory: then the two places may overlap. */
function isOf({ bytes }: TableMemory, array: Uint8Array): boolean {
  return array.buffer === bytes.buffer;
}

/** Copies all of `source` to `target[start]` and on, one of which is not the table's memory. */
function copyMany(
  copy: PlatformCopy,
  target: Uint8Array,
  start: number,
  source: Uint8Array,
  isAligned: boolean,
): void {
  const end = start + source.length;
  const began = performance.now();
  copy.call(target, source, start, start + TRIAL_BYTES);
  const rest = source.subarray(TRIAL_BYTES);
  let at = start + TRIAL_BYTES;
  if (performance.now() - began < SLOW_MS) copy.call(target, rest, at, end);
  else if (isAligned) target.set(rest, at);
  else {
    for (; at < end; at += PIECE_BYTES)
      copy.call(target, source.subarray(at - start), at, Math.min(at + PIECE_BYTES, end));
  }
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
  else {
    const source = memory.views.at(from, length);
    if (platformCopy === undefined || length < MANY_BYTES || isOf(memory, target)) target.set(source, to);
    else copyMany(platformCopy, target, to, source, isAlignedAlike(from, target.byteOffset + to));
  }
}

/** Up to so many bytes go by a loop into memory that is not shared. */
const FEW_BYTES = 16;

/** Copies into the table's memory, to the byte offset `to`. */
export function copyIn(memory: TableMemory, to: number, source: Uint8Array): void {
  const { length } = source;
  if (length <= (memory.isShared ? TRAY_BYTES : FEW_BYTES)) writeSome(memory, to, source);
  else if (platformCopy === undefined || length < MANY_BYTES || isOf(memory, source))
    memory.bytes.set(source, to);
  else copyMany(platformCopy, memory.bytes, to, source, isAlignedAlike(to, source.byteOffset));
}
