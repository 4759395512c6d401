/** What keeps a report from being used: its first field that is not as a run writes it, named. */
import { printable } from "../src/inspect/words.js";
import { median } from "./statistics.js";

/** @returns what is wrong with a value, with the name of its field; undefined if nothing is. */
type Check = (value: unknown, field: string) => string | undefined;

type Fields = Readonly<Record<string, unknown>>;

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function is(what: string, isGood: (value: unknown) => boolean): Check {
  return (value, field) => (isGood(value) ? undefined : `has no ${what} "${field}"`);
}

const text = is("text", (value) => typeof value === "string");
/** What all objects have is nothing that a row has of its own. */
const baseline = is("baseline", (value) => typeof value === "string" && !(value in {}));
const flag = is("true or false", (value) => typeof value === "boolean");
const number = is("number from 0 on", (value) => Number.isFinite(value) && (value as number) >= 0);
const time = is("number above 0", (value) => Number.isFinite(value) && (value as number) > 0);
const count = is("whole number", (value) => Number.isSafeInteger(value) && (value as number) >= 0);
const share = is("number from 0 to 1", (value) => typeof value === "number" && value >= 0 && value <= 1);
const setting = is("number or text", (value) => Number.isFinite(value) || typeof value === "string");

function orNull(check: Check): Check {
  return (value, field) => (value === null ? undefined : check(value, field));
}

function optional(check: Check): Check {
  return (value, field) => (value === undefined ? undefined : check(value, field));
}

function firstOf(values: Iterable<readonly [string, unknown]>, check: Check): string | undefined {
  for (const [field, value] of values) {
    const problem = check(value, field);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function list(check: Check): Check {
  return (value, field) =>
    Array.isArray(value)
      ? firstOf(
          value.map((each, index) => [`${field}[${index}]`, each] as const),
          check,
        )
      : `has no list "${field}"`;
}

/** Fields of any name that can be printed. */
function each(check: Check): Check {
  return (value, field) =>
    isRecord(value) && Object.keys(value).every((name) => name === printable(name))
      ? firstOf(
          Object.entries(value).map(([name, one]) => [`${field}.${name}`, one] as const),
          check,
        )
      : `has no object "${field}"`;
}

/** These fields; others do not matter. */
function object(checks: Readonly<Record<string, Check>>): Check {
  return (value, field) => {
    if (!isRecord(value)) return `has no object "${field}"`;
    for (const [name, check] of Object.entries(checks)) {
      const problem = check(value[name], field === "" ? name : `${field}.${name}`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

const interval: Check = (value, field) => {
  const problem = object({ low: time, high: time, confidence: share })(value, field);
  if (problem !== undefined) return problem;
  const { low, high } = value as { readonly low: number; readonly high: number };
  return low <= high ? undefined : `has "${field}" that ends before it begins`;
};

const percentiles = object({
  mean: number,
  p50: number,
  p90: number,
  p99: number,
  p999: number,
  max: number,
});
const latency = object({
  count,
  block: time,
  isTooShort: flag,
  uncorrected: percentiles,
  corrected: optional(percentiles),
  rate: optional(object({ asked: time, achieved: number })),
  bins: list((value, field) =>
    Array.isArray(value) && value.length === 2
      ? (time(value[0], `${field}[0]`) ?? count(value[1], `${field}[1]`))
      : `has no pair "${field}"`,
  ),
});

const FRAME = object({
  startedAt: text,
  seconds: number,
  machine: object({
    cpu: text,
    cores: count,
    memoryBytes: number,
    platform: text,
    node: text,
    v8: text,
    lpar: text,
    commit: orNull(text),
    core: text,
    load: number,
  }),
  loadAtEnd: number,
  clock: object({ stepNs: number, readNs: number }),
  compiler: orNull(text),
  nativeMissing: orNull(text),
  options: object({
    suites: list(text),
    quick: flag,
    timeMs: number,
    warmupMs: number,
    repetitions: count,
    seed: count,
    rate: orNull(time),
    parameters: each(setting),
    scans: list(object({ name: text, values: list(setting) })),
  }),
  rows: list(() => undefined),
  notes: list(text),
  leftOut: list(text),
  wrong: list(text),
  isComplete: flag,
});

const ROW = object({
  suite: text,
  what: text,
  scan: each(setting),
  ns: time,
  interval,
  baselines: each(time),
  ratios: each(time),
  ratioIntervals: each(interval),
  versus: baseline,
  at: optional(each(number)),
  longestMs: optional(number),
  target: optional(
    object({
      text,
      reached: optional(flag),
      aimReached: optional(flag),
      longestMs: optional(number),
      longestReached: optional(flag),
    }),
  ),
  samples: each(list(time)),
  latencies: each(latency),
});

interface CheckedRow {
  readonly suite: string;
  readonly ns: number;
  readonly interval: { readonly low: number; readonly high: number };
  readonly baselines: Readonly<Record<string, number>>;
  readonly ratios: Readonly<Record<string, number>>;
  readonly ratioIntervals: Fields;
  readonly samples: Readonly<Record<string, readonly number[]>>;
}

/** Figures are written with six digits, and others were made of them before. */
const TOLERANCE = 2e-5;

function isAbout(one: number, other: number): boolean {
  return Math.abs(one - other) <= TOLERANCE * other;
}

/** What of a row says something else than its times. */
function contradictionIn({
  ns,
  interval,
  baselines,
  ratios,
  ratioIntervals,
  samples,
}: CheckedRow): string | undefined {
  const names = ["lpar", ...Object.keys(baselines)];
  const own = samples.lpar ?? [];
  for (const name of names) {
    const times = samples[name];
    if (times === undefined || times.length === 0) return `has no times of "${name}"`;
    if (times.length !== own.length)
      return `has ${own.length} times of "lpar" and ${times.length} of "${name}"`;
    const figure = name === "lpar" ? ns : (baselines[name] as number);
    if (!isAbout(figure, median(times))) return `has times of "${name}" whose median is not its ${figure} ns`;
    if (name === "lpar") continue;
    if (!isAbout(ratios[name] ?? 0, ns / figure))
      return `has no ratio to "${name}" that is that of their times`;
    if (ratioIntervals[name] === undefined) return `has no object "ratioIntervals.${name}"`;
  }
  const other = [samples, ratios].flatMap((of) => Object.keys(of)).find((name) => !names.includes(name));
  if (other !== undefined) return `has no number "baselines.${other}"`;
  const isInside = interval.low <= ns * (1 + TOLERANCE) && ns <= interval.high * (1 + TOLERANCE);
  return isInside ? undefined : `has an "interval" that ${ns} ns is not in`;
}

/**
 * @param report any JSON object.
 * @returns what is wrong with it, as the end of a sentence; undefined if it can be used.
 */
export function problemOf(report: Fields): string | undefined {
  const problem = FRAME(report, "");
  if (problem !== undefined) return `the report ${problem}`;
  const { suites } = report.options as { readonly suites: readonly string[] };
  const seen = new Set<string>();
  for (const [index, row] of (report.rows as readonly unknown[]).entries()) {
    const found = isRecord(row) ? problemOfRow(row, suites, seen) : "is no object";
    if (found !== undefined) return `row ${index + 1} ${found}`;
  }
  return undefined;
}

function problemOfRow(row: Fields, suites: readonly string[], seen: Set<string>): string | undefined {
  const problem = ROW(row, "");
  if (problem !== undefined) return problem;
  if (!suites.includes(row.suite as string)) return `has a "suite" that is not in "options.suites"`;
  const name = JSON.stringify([row.suite, row.what, row.scan]);
  if (seen.has(name)) return "is there twice";
  seen.add(name);
  return contradictionIn(row as unknown as CheckedRow);
}
