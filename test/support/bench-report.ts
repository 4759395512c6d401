/** Reports of `lpar bench` whose figures a test chooses. */
import { type Entrant, toRow } from "../../bench/entrant.js";
import { type Latency, LatencyMeter } from "../../bench/latency.js";
import { REPORT_KIND, REPORT_VERSION, type Report, type Row } from "../../bench/report.js";
import type { ParameterValues } from "../../bench/scan.js";
import type { Contender, Coordinates, SuiteName, Target } from "../../bench/suite.js";

export interface RowPlan {
  readonly suite?: SuiteName;
  readonly what: string;
  /** Nanoseconds of the repetitions. */
  readonly lpar: readonly number[];
  readonly native?: readonly number[];
  readonly typed?: readonly number[];
  readonly scan?: ParameterValues;
  readonly at?: Coordinates;
  readonly target?: Target;
  readonly latencies?: Readonly<Record<string, Latency>>;
}

const IDLE: Contender = { measure: async () => ({ ns: 1 }), check: async () => "" };

/** A row as a run would have made it of these times. */
export function rowOf(plan: RowPlan): Row {
  const { suite = "translate", what, scan = {}, at, target, latencies } = plan;
  const entrant = (name: string, times: readonly number[]): Entrant => ({
    name,
    contender: IDLE,
    samples: times.map((ns) => ({ ns })),
    meter: undefined,
  });
  const entrants = [
    entrant(what, plan.lpar),
    ...(plan.native === undefined ? [] : [entrant("native", plan.native)]),
    ...(plan.typed === undefined ? [] : [entrant("typed", plan.typed)]),
  ];
  const way = {
    what,
    contender: IDLE,
    ...(at === undefined ? {} : { at }),
    ...(target === undefined ? {} : { target }),
  };
  const row = toRow(suite, scan, way, entrants);
  return latencies === undefined ? row : { ...row, latencies };
}

export function reportOf(rows: readonly Row[], changes: Partial<Report> = {}): Report {
  return {
    report: REPORT_KIND,
    version: REPORT_VERSION,
    startedAt: "2026-01-02T03:04:05.678Z",
    seconds: 12,
    machine: {
      cpu: "a <CPU> & more",
      cores: 2,
      memoryBytes: 2 ** 34,
      platform: "linux x64",
      node: "20.0.0",
      v8: "11.0",
      lpar: "0.1.0",
      commit: "0123456789ab",
      core: "ba9876543210",
      load: 0.5,
    },
    loadAtEnd: 0.75,
    clock: { stepNs: 40, readNs: 45 },
    compiler: "cc 12",
    nativeMissing: null,
    options: {
      suites: [...new Set(rows.map(({ suite }) => suite))],
      quick: false,
      timeMs: 100,
      warmupMs: 100,
      repetitions: rows[0]?.samples.lpar?.length ?? 0,
      seed: 1,
      rate: null,
      parameters: {},
      scans: [],
    },
    rows,
    notes: [],
    leftOut: [],
    wrong: [],
    isComplete: true,
    ...changes,
  };
}

/** A clock that a test moves: each look at it takes a little, too. */
export class FakeClock {
  ms = 0;
  /** Of one reading. */
  readonly #stepMs: number;

  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  readonly now = (): number => {
    this.ms += this.#stepMs;
    return this.ms;
  };
}

/** Latencies of an operation that takes so many milliseconds each time; the clock stands still otherwise. */
export async function latencyOf(
  msOf: (index: number) => number,
  options: { readonly timeMs: number; readonly rate?: number },
): Promise<Latency> {
  const clock = new FakeClock(1e-5);
  let index = 0;
  const meter = new LatencyMeter(
    () => {
      clock.ms += msOf(index++);
    },
    { ...options, shortestNs: 400, now: clock.now },
  );
  await meter.measure();
  return meter.result();
}
