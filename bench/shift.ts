/** Threads that work in the same window of time, and the rate of all of them together. */
import { hrtime } from "node:process";

/** To work for a while, beginning and ending at the same time as others. */
export interface Shift {
  /** Of the monotonic clock, which all threads share. */
  readonly startAt: bigint;
  readonly timeMs: number;
}

/** Of one thread; times are of that clock, too. */
export interface Done {
  readonly operations: number;
  readonly start: bigint;
  /** Of the last operation that counts. */
  readonly end: bigint;
}

/** What a thread that sleeps until its shift spins at the end. */
const SPIN_NS = 1_000_000n;

function endOf({ startAt, timeMs }: Shift): bigint {
  return startAt + BigInt(Math.round(timeMs * 1e6));
}

/**
 * Does blocks of operations until the shift is over, one at least. All end at the same time: one that got its core late and worked on
 * alone would have no one in its way. A block that ends later does not count, unless it is the only one.
 */
export function work(
  shift: Shift,
  operations: number,
  block: () => void,
  now: () => bigint = hrtime.bigint,
): Done {
  // Threads that spin would keep the cores from those that have not got their orders yet.
  const left = shift.startAt - now() - SPIN_NS;
  if (left > 0n) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(left) / 1e6);
  while (now() < shift.startAt) {}
  const start = now();
  const over = endOf(shift);
  block();
  let done = operations;
  let end = now();
  for (let at = end; at < over; ) {
    block();
    at = now();
    if (at > over) break;
    done += operations;
    end = at;
  }
  return { operations: done, start, end };
}

/** Nanoseconds of one operation of all threads together: of their window, not of the time that each of them had. */
export function nsTogether(shift: Shift, all: readonly Done[]): number {
  const first = all.map(({ start }) => start).reduce((a, b) => (a < b ? a : b));
  const last = all.map(({ end }) => end).reduce((a, b) => (a > b ? a : b), endOf(shift));
  return Number(last - first) / all.reduce((sum, { operations }) => sum + operations, 0);
}
