/**
 * The platform's own way to move bytes: a memcpy, into and out of shared memory, too, where the engine's set() takes eight bytes
 * at a time if both sides are aligned alike, and else one.
 *
 * Some machines' memcpy takes 12 to 20 times as long where the target lies a few bytes after the source, each in its page (glibc's
 * bug 30994): 1 to 15 bytes, or 1 to 31, which is where arrays of malloc() lie after pages. Where an array lies cannot be known, but
 * for its distance from a multiple of 16. Both, and which function it is, is measured once in each thread, when it opens a table whose
 * memory is shared, or has many bytes to move.
 */
import { PAGE_BYTES } from "./layout.js";

/** Moves `length` bytes from `source[from]` to `target[to]`. */
export type Move = (target: Uint8Array, to: number, source: Uint8Array, from: number, length: number) => void;

type Copy = (this: Uint8Array, target: Uint8Array, to: number, from: number, end: number) => unknown;
type Fill = (this: Uint8Array, source: Uint8Array, to: number, end: number) => unknown;

/** What is global in Node, of which this package has no need elsewhere. */
interface Globals {
  readonly process?: { readonly versions?: Readonly<Record<string, string | undefined>> };
  readonly Buffer?: { readonly prototype: { readonly copy: Copy; readonly fill: Fill } };
}

export interface PlatformMove {
  readonly move: Move;
  /** The same between two shared memories. */
  readonly moveShared: Move;
  /** From so many bytes on it is quicker than any detour, into and out of shared memory. */
  readonly least: number;
  /** Bits of a distance that make a move slow for certain arrays; 0: it is always quick. */
  readonly unsure: number;
  /** Milliseconds that a move of TRIAL_BYTES takes only where it is slow; of use where that may be. */
  readonly slowMs: number;
}

/** What is measured: long enough that what a call takes the first times does not count. */
const MEASURED_BYTES = 65536;
const MEASUREMENTS = 5;
/** Of a move whose speed is not known. */
export const TRIAL_BYTES: number = MEASURED_BYTES / 4;
const ALIGNED = 16;
const UNLIKE: number = PAGE_BYTES / 2 + 4;
/** copy() takes 45 ns, fill() 75 and a part of an array 30. */
const FEW_BYTES = 513;
const MANY_BYTES = 65536;

/** Other runtimes may have both, but loop in JavaScript. The last one is always there to be had where any is. */
function findMoves({ process, Buffer }: Globals): readonly Move[] {
  const { node, deno, bun } = process?.versions ?? {};
  if (node === undefined || deno !== undefined || bun !== undefined || Buffer === undefined) return [];
  const { copy, fill } = Buffer.prototype;
  return [
    // Before Node 26 it is set() of a whole array, before 22 always; from 26 on between two shared memories.
    (target, to, source, from, length) => copy.call(source, target, to, from, from + length),
    // Never of a whole array.
    (target, to, source, from, length) => {
      const last = from + length - 1;
      copy.call(source, target, to, from, last);
      target[to + length - 1] = source[last] as number;
    },
    // One memcpy if it is filled with as many bytes as there is room for.
    (target, to, source, from, length) =>
      fill.call(target, source.subarray(from, from + length), to, to + length),
  ];
}

function doesMove(move: Move): boolean {
  const probe = Uint8Array.of(3, 1, 4, 1, 5);
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  const back = new Uint8Array(8);
  try {
    move(shared, 1, probe, 0, 5);
    move(back, 2, shared, 1, 5);
  } catch {
    return false;
  }
  return back.join() === "0,0,3,1,4,1,5,0";
}

/** Milliseconds, the shortest time of some, for a move to a place so many bytes behind a multiple of the page's size. */
function measure(move: Move, target: Uint8Array, source: Uint8Array, distance: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < MEASUREMENTS; i++) {
    const start = performance.now();
    move(target, MEASURED_BYTES + distance, source, 0, MEASURED_BYTES);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

function examine(moves: readonly Move[]): PlatformMove | undefined {
  const fill = moves.at(-1);
  if (fill === undefined || !doesMove(fill)) return undefined;
  const shared = new Uint8Array(new SharedArrayBuffer(2 * MEASURED_BYTES + PAGE_BYTES));
  // In one array the distance is known. The quick one comes last, when nothing is new to the engine any more.
  const [halfMs = 0, wholeMs = 0, quickMs = 0] = [ALIGNED / 2, ALIGNED, 0].map((distance) =>
    measure(fill, shared, shared, distance),
  );
  const limitMs = 3 * quickMs;
  // A whole array, to where set() goes byte by byte; the bug is not met if both begin alike.
  const whole = new Uint8Array(shared.length).subarray(0, MEASURED_BYTES);
  const isQuick = (move: Move): boolean =>
    move !== fill && doesMove(move) && measure(move, shared, whole, UNLIKE) < limitMs;
  const copy = moves.find(isQuick);
  return {
    move: copy ?? fill,
    moveShared: fill,
    least: copy === undefined ? MANY_BYTES : FEW_BYTES,
    unsure: wholeMs > limitMs ? -1 : halfMs > limitMs ? ALIGNED - 1 : 0,
    slowMs: (Math.max(halfMs, wholeMs) * TRIAL_BYTES) / MEASURED_BYTES / 2,
  };
}

// From the beginning, whoever replaces them later.
const moves: readonly Move[] = findMoves(globalThis as Globals);
let found: PlatformMove | undefined;
let isExamined = false;

/** Undefined where the engine's set() is all that there is. Measures for some 0.5 ms, the first time. */
export function platformMove(): PlatformMove | undefined {
  if (!isExamined) {
    isExamined = true;
    found = examine(moves);
  }
  return found;
}

/** From so many bytes on it moves better than anything else, into and out of memory that is shared, or is not. */
export function leastMoved(isShared: boolean): number {
  // For so many it need not be measured which function it is.
  if (!isShared) return MANY_BYTES;
  return platformMove()?.least ?? Number.POSITIVE_INFINITY;
}
