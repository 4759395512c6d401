/**
 * Runs suites: every contender of a scenario takes its turn in every repetition (A B C A B C ...), and what counts is
 * the median of the repetitions, so that a disturbance of the machine falls on all and decides nothing.
 */
import { accessScenarios } from "./access.js";
import { boundaryScenarios } from "./boundary.js";
import { churnScenarios } from "./churn.js";
import { type Clock, examineClock, shortestNs } from "./clock.js";
import { contentionScenarios } from "./contention.js";
import { copiesScenarios } from "./copies.js";
import { deathScenarios } from "./death.js";
import { dmaScenarios } from "./dma.js";
import { type Entrant, toRow } from "./entrant.js";
import { grantScenarios } from "./grant.js";
import { guestScenarios } from "./guest.js";
import { handoffScenarios } from "./handoff.js";
import { kindsScenarios } from "./kinds.js";
import { LatencyMeter } from "./latency.js";
import { currentLoad, describeMachine } from "./machine.js";
import { mmioScenarios } from "./mmio.js";
import { modesScenarios } from "./modes.js";
import { movesScenarios } from "./moves.js";
import { Native } from "./native.js";
import type { Parameters } from "./parameters.js";
import { recoveryScenarios } from "./recovery.js";
import { REPORT_KIND, REPORT_VERSION, type Report, type ReportOptions, type Row } from "./report.js";
import { combinationsOf, type ParameterValues, parametersOf, runsOf, type Scan, valuesOf } from "./scan.js";
import {
  BASELINES,
  type Contender,
  type Context,
  type Scenario,
  type Stage,
  type SuiteName,
} from "./suite.js";
import { translateScenarios } from "./translate.js";
import { treeScenarios } from "./tree.js";

export interface RunOptions {
  readonly suites: readonly SuiteName[];
  /** Small sizes only. */
  readonly quick: boolean;
  /** What replaces the suites' own sizes. */
  readonly parameters?: Parameters;
  /** For each combination of their values the suites that use them run once. */
  readonly scans?: readonly Scan[];
  /** Milliseconds of one measurement. */
  readonly timeMs: number;
  /** Milliseconds for which each contender works first, unmeasured; as one measurement if left out. */
  readonly warmupMs?: number | undefined;
  readonly repetitions: number;
  readonly seed: number;
  /** Operations per second: single operations come at this rate, whatever those before them took. */
  readonly rate?: number | undefined;
  /** Ends the run after the measurement that is under way; the report holds what was finished. */
  readonly signal?: AbortSignal;
  /** Told after each measurement. */
  readonly onProgress?: (done: number, total: number, scenario: string) => void;
}

const SCENARIOS: Readonly<
  Record<SuiteName, (quick: boolean, parameters: Parameters) => readonly Scenario[]>
> = {
  translate: translateScenarios,
  grant: grantScenarios,
  tree: treeScenarios,
  recovery: recoveryScenarios,
  access: accessScenarios,
  churn: churnScenarios,
  boundary: boundaryScenarios,
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

/** A scenario in one of the runs of its suite. */
interface Entry {
  readonly suite: SuiteName;
  readonly scan: ParameterValues;
  readonly scenario: Scenario;
  readonly repetitions: number;
}

function planRuns(options: RunOptions): readonly Entry[] {
  const { suites, quick, parameters = {}, scans = [], repetitions } = options;
  const combinations = combinationsOf(scans);
  return suites.flatMap((suite) =>
    runsOf(suite, combinations).flatMap((scan) =>
      SCENARIOS[suite](quick, { ...parameters, ...parametersOf(scan) }).map((scenario) => ({
        suite,
        scan,
        scenario,
        repetitions: Math.min(repetitions, scenario.repetitionsMax ?? repetitions),
      })),
    ),
  );
}

/** Without a rate, latencies come beside the times, and take so much of their time. */
const LATENCY_SHARE = 0.25;

/** Runs one plan; each run has one of its own. */
class Runner {
  readonly rows: Row[] = [];
  readonly notes: string[] = [];
  readonly leftOut: string[] = [];
  readonly wrong: string[] = [];
  readonly #options: RunOptions;
  readonly #clock: Clock;
  readonly #total: number;
  readonly #warmUps: number;
  #done = 0;

  constructor(options: RunOptions, clock: Clock, entries: readonly Entry[]) {
    this.#options = options;
    this.#clock = clock;
    this.#warmUps = options.warmupMs === 0 ? 0 : 1;
    this.#total = entries.reduce((sum, { repetitions }) => sum + repetitions + this.#warmUps, 0);
  }

  async run(entry: Entry, context: Context): Promise<void> {
    const name = nameOf(entry);
    this.#step(name, 0);
    const stage = await entry.scenario.open(context);
    if (typeof stage === "string") {
      this.leftOut.push(`${name}: ${stage}`);
      this.#step(name, entry.repetitions + this.#warmUps);
      return;
    }
    try {
      const rows = await this.#race(entry, name, stage);
      this.rows.push(...rows);
      const notes = rows.length === 0 ? [] : (stage.notes?.(rows) ?? []);
      this.notes.push(...notes.map((note) => `${name}: ${note}`));
    } finally {
      await stage.close();
    }
  }

  #step(name: string, by = 1): void {
    this.#done += by;
    this.#options.onProgress?.(this.#done, this.#total, name);
  }

  #enter(name: string, contender: Contender): Entrant {
    const { rate, timeMs } = this.#options;
    const { operation, meter } = contender;
    const options = {
      rate,
      timeMs: rate === undefined ? timeMs * LATENCY_SHARE : timeMs,
      shortestNs: shortestNs(this.#clock),
    };
    const own = operation === undefined ? undefined : new LatencyMeter(operation, options);
    return { name, contender, samples: [], meter: meter?.(options) ?? own };
  }

  /** @returns the rows; none when the signal came. */
  async #race({ suite, scan, repetitions }: Entry, name: string, stage: Stage): Promise<Row[]> {
    const { timeMs, warmupMs = timeMs, signal } = this.#options;
    const entrants: Entrant[] = [
      ...stage.ways.map(({ what, contender }) => this.#enter(what, contender)),
      ...BASELINES.flatMap((baseline) => {
        const contender = stage.baselines[baseline];
        return contender === undefined ? [] : [this.#enter(baseline, contender)];
      }),
    ];
    await checkAll(name, entrants, this.wrong);
    // The first round is for the compilers only.
    for (let repetition = -this.#warmUps; repetition < repetitions; repetition++) {
      for (const { contender, samples, meter } of entrants) {
        if (signal?.aborted === true) return [];
        const sample = await contender.measure(repetition < 0 ? warmupMs : timeMs);
        if (repetition < 0) continue;
        samples.push(sample);
        await meter?.measure();
      }
      this.#step(name);
    }
    await checkAll(name, entrants, this.wrong);
    this.wrong.push(...stage.audit().map((problem) => `${name}: ${problem}`));
    return stage.ways.map((way) => toRow(suite, scan, way, entrants));
  }
}

function nameOf({ suite, scan, scenario }: Entry): string {
  const values = Object.entries(scan).map(([name, value]) => `${name}=${value} `);
  return `${suite}: ${values.join("")}${scenario.name}`;
}

/** @throws ParameterError when the parameters or scans cannot be. */
export async function runBenchmark(options: RunOptions): Promise<Report> {
  const { seed, signal } = options;
  const start = Date.now();
  const entries = planRuns(options);
  const machine = describeMachine();
  const clock = examineClock();
  const native = await Native.open(signal);
  const context: Context = { seed, native: native instanceof Native ? native : undefined, signal };
  const runner = new Runner(options, clock, entries);
  try {
    for (const entry of entries) {
      if (signal?.aborted === true) break;
      await runner.run(entry, context);
    }
  } finally {
    await context.native?.close();
  }
  if (options.rate !== undefined && runner.rows.every(({ latencies }) => Object.keys(latencies).length === 0))
    runner.notes.push(
      "no contender of these suites can do a single operation, so that --rate measured nothing",
    );
  return {
    report: REPORT_KIND,
    version: REPORT_VERSION,
    startedAt: new Date(start).toISOString(),
    seconds: (Date.now() - start) / 1000,
    machine,
    loadAtEnd: currentLoad(),
    clock,
    compiler: context.native?.compiler ?? null,
    nativeMissing: native instanceof Native ? null : native,
    options: reportOptions(options),
    rows: runner.rows,
    notes: runner.notes,
    leftOut: runner.leftOut,
    wrong: runner.wrong,
    isComplete: signal?.aborted !== true,
  };
}

function reportOptions(options: RunOptions): ReportOptions {
  const { suites, quick, timeMs, warmupMs = timeMs, repetitions, seed, rate, parameters, scans } = options;
  return {
    suites,
    quick,
    timeMs,
    warmupMs,
    repetitions,
    seed,
    rate: rate ?? null,
    parameters: valuesOf(parameters ?? {}),
    scans: scans ?? [],
  };
}
