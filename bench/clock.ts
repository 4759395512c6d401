/** What the clock can tell: what is shorter than a few of its steps cannot be measured one by one. */

export interface Clock {
  /** The least difference between two readings that are not the same, in nanoseconds. */
  readonly stepNs: number;
  /** From one reading to the next, when nothing is between them: the median. It is in every latency. */
  readonly readNs: number;
}

const READINGS = 20_000;
/** A latency of fewer such units would say more about the clock than about what is measured. */
const UNITS_MIN = 10;

export function examineClock(now: () => number = () => performance.now()): Clock {
  const times = Float64Array.from({ length: READINGS }, now);
  // The first half is for the compiler.
  const half = READINGS / 2;
  const differences = times
    .subarray(half + 1)
    .map((time, index) => (time - (times[half + index] as number)) * 1e6)
    .sort();
  const stepNs = differences.find((difference) => difference > 0) ?? Number.POSITIVE_INFINITY;
  return { stepNs, readNs: differences[differences.length >> 1] as number };
}

/** Nanoseconds from which on a latency can be told. */
export function shortestNs({ stepNs, readNs }: Clock): number {
  return UNITS_MIN * Math.max(stepNs, readNs);
}
