/** What a benchmark is made of: suites of scenarios, each with our own ways to do it and baselines to compare with. */
import type { LatencyOptions, Meter, Operation } from "./latency.js";
import type { Native } from "./native.js";
import type { ParameterName } from "./parameters.js";

export const SUITE_NAMES = [
  "translate",
  "grant",
  "tree",
  "recovery",
  "access",
  "churn",
  "boundary",
  "moves",
  "guest",
  "copies",
  "dma",
  "modes",
  "contention",
  "handoff",
  "death",
  "mmio",
  "kinds",
] as const;
export type SuiteName = (typeof SUITE_NAMES)[number];

/** One measurement. */
export interface Sample {
  /** Mean nanoseconds of one operation. */
  readonly ns: number;
  /** The longest time for which nothing else could run, where that is of interest. */
  readonly longestMs?: number;
}

/** One implementation of what a scenario asks for. */
export interface Contender {
  /** Works for about so many milliseconds. */
  measure(timeMs: number): Promise<Sample>;
  /** Does the same work once and says what came out: all contenders of a scenario must say the same. */
  check(): Promise<string>;
  /** Exactly one operation, where one stands alone. Each goes on where the one before has ended. */
  readonly operation?: Operation;
  /** The same where single operations are measured elsewhere. */
  readonly meter?: (options: LatencyOptions) => Meter;
}

/**
 * native: C at -O3; typed: typed arrays in JavaScript; map: a Map of objects; copy: Uint8Array.set() without any check.
 * engine: the same where one side is shared memory, as a table's is.
 * wasm: memory.copy within one WebAssembly memory, without any check.
 * single: the same by single calls.
 * bare: the core without locks, undo log and epochs; alone: one worker instead of two; apart: each with a
 * table of its own.
 * ring, spin: a hand-written ring in a SharedArrayBuffer whose ends sleep, or spin first; transfer, clone: postMessage().
 * flag: a hand-written flag that readers look at; idle: the same while nobody reads.
 */
export const BASELINES = [
  "native",
  "typed",
  "map",
  "copy",
  "engine",
  "share",
  "wasm",
  "bare",
  "alone",
  "apart",
  "single",
  "ring",
  "spin",
  "transfer",
  "clone",
  "flag",
  "idle",
] as const;
export type BaselineName = (typeof BASELINES)[number];
/** Nanoseconds of the baselines that were measured. */
export type BaselineTimes = Readonly<Partial<Record<BaselineName, number>>>;

/** What 4-quality asks for. A limit is undefined when the baseline that it counts from is not there. */
export interface Target {
  readonly text: string;
  readonly reach: (times: BaselineTimes) => number | undefined;
  readonly aim: (times: BaselineTimes) => number | undefined;
  /** Limit of Sample.longestMs. */
  readonly longestMs?: number;
}

/** One of our own ways, which becomes one row. */
export interface Way {
  readonly what: string;
  readonly contender: Contender;
  readonly target?: Target;
  /** The baseline that it is above all compared with; native if left out. */
  readonly versus?: BaselineName;
  /** At which values of parameters it was measured, where rows of a suite differ by them: for charts. */
  readonly at?: Coordinates;
}

/** What came out of a way: medians in nanoseconds. */
export interface Measured {
  readonly what: string;
  readonly ns: number;
  readonly baselines: BaselineTimes;
  readonly at?: Coordinates;
}

export type Coordinates = Readonly<Partial<Record<ParameterName, number>>>;

/** A scenario ready to run. */
export interface Stage {
  readonly ways: readonly Way[];
  readonly baselines: Readonly<Partial<Record<BaselineName, Contender>>>;
  /** What is worth a line and is no time, asked for at the end: what a structure takes, where curves cross. */
  notes?(measured: readonly Measured[]): readonly string[];
  /** Broken invariants of the tables, at the end. */
  audit(): readonly string[];
  /** Releases everything. */
  close(): Promise<void>;
}

export interface Context {
  readonly seed: number;
  /** Not there without a C compiler. */
  readonly native: Native | undefined;
  /** Ends what takes long to prepare. */
  readonly signal: AbortSignal | undefined;
}

export interface Scenario {
  readonly name: string;
  /** Fewer repetitions than asked for, where one takes seconds to prepare. */
  readonly repetitionsMax?: number;
  /** @returns why it must be left out, if something that it needs is not there. */
  open(context: Context): Promise<Stage | string>;
}

/** `reach` times native, at best `aim` times. */
export function timesNative(reach: number, aim: number, longestMs?: number): Target {
  return {
    text: `${reach} x native`,
    reach: ({ native }) => (native === undefined ? undefined : native * reach),
    aim: ({ native }) => (native === undefined ? undefined : native * aim),
    ...(longestMs === undefined ? {} : { longestMs }),
  };
}

/** At most so many nanoseconds more than a baseline, at best `aim`. */
export function plusNs(baseline: BaselineName, reach: number, aim?: number): Target {
  const limit = (ns: number | undefined, { [baseline]: time }: BaselineTimes): number | undefined =>
    ns === undefined || time === undefined ? undefined : time + ns;
  return {
    text: `${baseline} + ${reach} ns`,
    reach: (times) => limit(reach, times),
    aim: (times) => limit(aim, times),
  };
}
