/**
 * Runs one scenario: every contender takes its turn in every repetition (A B C A B C ...), and what counts is the median of the
 * repetitions, so that a disturbance of the machine falls on all and decides nothing.
 */
import { type Clock, shortestNs } from "./clock.js";
import { type Entrant, toRow } from "./entrant.js";
import { collectGarbage } from "./garbage.js";
import { LatencyMeter } from "./latency.js";
import { type Entry, nameOf, type PlanOptions, stepsOf, warmUpsOf } from "./plan.js";
import type { Row } from "./report.js";
import { BASELINES, type Contender, type Context, type Stage } from "./suite.js";

/** What a scenario adds to the report. */
export interface Outcome {
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
  readonly leftOut: readonly string[];
  readonly wrong: readonly string[];
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

/** Without a rate, latencies come beside the times, and take so much of their time. */
const LATENCY_SHARE = 0.25;

/** One scenario as it runs. */
export class Race implements Outcome {
  readonly rows: Row[] = [];
  readonly notes: string[] = [];
  readonly leftOut: string[] = [];
  readonly wrong: string[] = [];
  readonly #entry: Entry;
  readonly #name: string;
  readonly #options: PlanOptions;
  readonly #clock: Clock;
  readonly #onStep: (steps: number) => void;

  /** @param onStep told after each repetition, so many of stepsOf() are done. */
  constructor(entry: Entry, options: PlanOptions, clock: Clock, onStep: (steps: number) => void) {
    this.#entry = entry;
    this.#name = nameOf(entry);
    this.#options = options;
    this.#clock = clock;
    this.#onStep = onStep;
  }

  /** No rows come of it when the context's signal came. */
  async run(context: Context): Promise<void> {
    const stage = await this.#entry.scenario.open(context);
    if (typeof stage === "string") {
      this.leftOut.push(`${this.#name}: ${stage}`);
      this.#onStep(stepsOf(this.#entry, this.#options));
      return;
    }
    try {
      const entrants = this.#entrantsOf(stage);
      if (!(await this.#race(entrants, context.signal))) return;
      this.wrong.push(...stage.audit().map((problem) => `${this.#name}: ${problem}`));
      const { suite, scan } = this.#entry;
      this.rows.push(...stage.ways.map((way) => toRow(suite, scan, way, entrants)));
      const notes = stage.notes?.(this.rows) ?? [];
      this.notes.push(...notes.map((note) => `${this.#name}: ${note}`));
    } finally {
      await stage.close();
    }
  }

  #entrantsOf(stage: Stage): Entrant[] {
    return [
      ...stage.ways.map(({ what, contender }) => this.#enter(what, contender)),
      ...BASELINES.flatMap((baseline) => {
        const contender = stage.baselines[baseline];
        return contender === undefined ? [] : [this.#enter(baseline, contender)];
      }),
    ];
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

  /** @returns false when the signal came. */
  async #race(entrants: readonly Entrant[], signal: AbortSignal | undefined): Promise<boolean> {
    const { timeMs, warmupMs = timeMs } = this.#options;
    await checkAll(this.#name, entrants, this.wrong);
    for (let repetition = -warmUpsOf(this.#options); repetition < this.#entry.repetitions; repetition++) {
      for (const { contender, samples, meter } of entrants) {
        if (signal?.aborted === true) return false;
        // Each is charged with its own garbage, as far as it is collected before the next one's turn.
        collectGarbage();
        const sample = await contender.measure(repetition < 0 ? warmupMs : timeMs);
        if (repetition < 0) continue;
        samples.push(sample);
        await meter?.measure();
      }
      this.#onStep(1);
    }
    await checkAll(this.#name, entrants, this.wrong);
    return true;
  }
}
