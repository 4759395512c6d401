/**
 * Runs suites: every contender of a scenario takes its turn in every repetition (A B C A B C ...), and what counts is
 * the median of the repetitions, so that a disturbance of the machine falls on all and decides nothing.
 */
import { accessScenarios } from "./access.js";
import { contentionScenarios } from "./contention.js";
import { copiesScenarios } from "./copies.js";
import { deathScenarios } from "./death.js";
import { dmaScenarios } from "./dma.js";
import { grantScenarios } from "./grant.js";
import { guestScenarios } from "./guest.js";
import { handoffScenarios } from "./handoff.js";
import { kindsScenarios } from "./kinds.js";
import { describeMachine, type Machine } from "./machine.js";
import { mmioScenarios } from "./mmio.js";
import { modesScenarios } from "./modes.js";
import { movesScenarios } from "./moves.js";
import { Native } from "./native.js";
import type { Parameters } from "./parameters.js";
import { recoveryScenarios } from "./recovery.js";
import {
  BASELINES,
  type BaselineName,
  type BaselineTimes,
  type Contender,
  type Context,
  type Coordinates,
  type Sample,
  type Scenario,
  type Stage,
  type SuiteName,
  type Way,
} from "./suite.js";
import { translateScenarios } from "./translate.js";
import { treeScenarios } from "./tree.js";

export interface RunOptions {
  readonly suites: readonly SuiteName[];
  /** Small sizes only. */
  readonly quick: boolean;
  /** What replaces the suites' own sizes. */
  readonly parameters?: Parameters;
  /** Milliseconds of one measurement. */
  readonly timeMs: number;
  readonly repetitions: number;
  readonly seed: number;
  /** Ends the run after the measurement that is under way; the report holds what was finished. */
  readonly signal?: AbortSignal;
  /** Told after each measurement. */
  readonly onProgress?: (done: number, total: number, scenario: string) => void;
}

export interface Row {
  readonly suite: SuiteName;
  readonly what: string;
  /** Nanoseconds of one operation, or of one node of a tree: the median. */
  readonly ns: number;
  readonly baselines: BaselineTimes;
  /** Our time by each baseline's. */
  readonly ratios: BaselineTimes;
  /** The baseline whose ratio says most. */
  readonly versus: BaselineName;
  /** Values of parameters at which it was measured, where rows of a suite differ by them. */
  readonly at?: Coordinates;
  readonly longestMs?: number;
  readonly target?: RowTarget;
  /** Nanoseconds of every repetition. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

export interface RowTarget {
  readonly text: string;
  /** Undefined when the baseline that it counts from is not there. */
  readonly reached: boolean | undefined;
  readonly aimReached: boolean | undefined;
  readonly longestMs?: number;
  readonly longestReached?: boolean;
}

export interface Report {
  readonly machine: Machine;
  /** The C compiler, or null. */
  readonly compiler: string | null;
  /** Why there are no native baselines. */
  readonly nativeMissing: string | null;
  readonly options: Pick<RunOptions, "suites" | "quick" | "timeMs" | "repetitions" | "seed">;
  readonly rows: readonly Row[];
  /** What scenarios found beside times, each line with the name of its scenario. */
  readonly notes: readonly string[];
  /** Scenarios that could not be prepared here, and why. */
  readonly leftOut: readonly string[];
  /** Results that differ, and broken invariants: the run has failed if there are any. */
  readonly wrong: readonly string[];
  readonly isComplete: boolean;
}

const SCENARIOS: Readonly<
  Record<SuiteName, (quick: boolean, parameters: Parameters) => readonly Scenario[]>
> = {
  translate: translateScenarios,
  grant: grantScenarios,
  tree: treeScenarios,
  recovery: recoveryScenarios,
  access: accessScenarios,
  moves: movesScenarios,
  guest: guestScenarios,
  copies: copiesScenarios,
  dma: dmaScenarios,
  modes: modesScenarios,
  contention: contentionScenarios,
  handoff: handoffScenarios,
  death: deathScenarios,
  mmio: mmioScenarios,
  kinds: kindsScenarios,
};

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new Error("there is no median of nothing");
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

interface Entrant {
  readonly name: string;
  readonly contender: Contender;
  readonly samples: Sample[];
}

/** Compares what all contenders computed. */
async function checkAll(scenario: string, entrants: readonly Entrant[], wrong: string[]): Promise<void> {
  let expected: string | undefined;
  for (const { name, contender } of entrants) {
    const result = await contender.check();
    expected ??= result;
    if (result !== expected)
      wrong.push(`${scenario}: ${name} computes "${result}", ${entrants[0]?.name} "${expected}"`);
  }
}

function toRow(suite: SuiteName, way: Way, entrants: readonly Entrant[]): Row {
  const timesOf = (name: string): number[] =>
    entrants.find((entrant) => entrant.name === name)?.samples.map(({ ns }) => ns) ?? [];
  const ns = median(timesOf(way.what));
  const baselines: Partial<Record<BaselineName, number>> = {};
  const ratios: Partial<Record<BaselineName, number>> = {};
  const samples: Record<string, number[]> = { lpar: timesOf(way.what) };
  for (const name of BASELINES) {
    const times = timesOf(name);
    if (times.length === 0) continue;
    samples[name] = times;
    baselines[name] = median(times);
    ratios[name] = ns / median(times);
  }
  const own = entrants.find(({ name }) => name === way.what)?.samples ?? [];
  const longest = own.flatMap(({ longestMs }) => (longestMs === undefined ? [] : [longestMs]));
  const longestMs = longest.length > 0 ? median(longest) : undefined;
  const target = way.target && judge(way.target, ns, baselines, longestMs);
  return {
    suite,
    what: way.what,
    ns,
    baselines,
    ratios,
    versus: way.versus ?? "native",
    ...(way.at === undefined ? {} : { at: way.at }),
    ...(longestMs === undefined ? {} : { longestMs }),
    ...(target === undefined ? {} : { target }),
    samples,
  };
}

function judge(
  target: NonNullable<Way["target"]>,
  ns: number,
  baselines: BaselineTimes,
  longestMs?: number,
): RowTarget {
  const within = (limit: number | undefined): boolean | undefined =>
    limit === undefined ? undefined : ns <= limit;
  const limitMs = target.longestMs;
  return {
    text: target.text,
    reached: within(target.reach(baselines)),
    aimReached: within(target.aim(baselines)),
    ...(limitMs === undefined || longestMs === undefined
      ? {}
      : { longestMs: limitMs, longestReached: longestMs <= limitMs }),
  };
}

/** Measures one scenario. @returns its rows; fewer when the signal came. */
async function runStage(
  suite: SuiteName,
  name: string,
  stage: Stage,
  repetitions: number,
  options: RunOptions,
  wrong: string[],
  step: () => void,
): Promise<Row[]> {
  const entrants: Entrant[] = [
    ...stage.ways.map(({ what, contender }) => ({ name: what, contender, samples: [] })),
    ...BASELINES.flatMap((baseline) => {
      const contender = stage.baselines[baseline];
      return contender === undefined ? [] : [{ name: baseline, contender, samples: [] }];
    }),
  ];
  await checkAll(name, entrants, wrong);
  // The first round is for the compilers only.
  for (let repetition = -1; repetition < repetitions; repetition++) {
    for (const { contender, samples } of entrants) {
      if (options.signal?.aborted === true) return [];
      const sample = await contender.measure(options.timeMs);
      if (repetition >= 0) samples.push(sample);
    }
    step();
  }
  await checkAll(name, entrants, wrong);
  wrong.push(...stage.audit().map((problem) => `${name}: ${problem}`));
  return stage.ways.map((way) => toRow(suite, way, entrants));
}

export async function runBenchmark(options: RunOptions): Promise<Report> {
  const { suites, quick, timeMs, repetitions, seed, signal, parameters = {} } = options;
  const machine = describeMachine();
  const native = await Native.open(signal);
  const context: Context = { seed, native: native instanceof Native ? native : undefined, signal };
  const scenarios = suites.flatMap((suite) =>
    SCENARIOS[suite](quick, parameters).map((scenario) => ({
      suite,
      scenario,
      times: Math.min(repetitions, scenario.repetitionsMax ?? repetitions),
    })),
  );
  const total = scenarios.reduce((sum, { times }) => sum + times + 1, 0);
  const rows: Row[] = [];
  const notes: string[] = [];
  const leftOut: string[] = [];
  const wrong: string[] = [];
  let done = 0;
  try {
    for (const { suite, scenario, times } of scenarios) {
      if (signal?.aborted === true) break;
      const name = `${suite}: ${scenario.name}`;
      options.onProgress?.(done, total, name);
      const stage = await scenario.open(context);
      if (typeof stage === "string") {
        leftOut.push(`${name}: ${stage}`);
        done += times + 1;
        continue;
      }
      try {
        const step = (): void => options.onProgress?.(++done, total, name);
        const measured = await runStage(suite, name, stage, times, options, wrong, step);
        rows.push(...measured);
        const found = measured.length === 0 ? [] : (stage.notes?.(measured) ?? []);
        notes.push(...found.map((note) => `${name}: ${note}`));
      } finally {
        await stage.close();
      }
    }
  } finally {
    await context.native?.close();
  }
  return {
    machine,
    compiler: context.native?.compiler ?? null,
    nativeMissing: native instanceof Native ? null : native,
    options: { suites, quick, timeMs, repetitions, seed },
    rows,
    notes,
    leftOut,
    wrong,
    isComplete: signal?.aborted !== true,
  };
}
