/** What a run found, as it is written to a file, and read again. */
import { printable } from "../src/inspect/words.js";
import type { Clock } from "./clock.js";
import type { Latency } from "./latency.js";
import type { Machine } from "./machine.js";
import { problemOf } from "./report-check.js";
import type { ParameterValues, Scan } from "./scan.js";
import type { Interval } from "./statistics.js";
import {
  BASELINES,
  type BaselineName,
  type BaselineTimes,
  type Coordinates,
  type SuiteName,
} from "./suite.js";

/** What a report says it is. */
export const REPORT_KIND = "lpar bench";
/** Counts up when a field changes its meaning or goes; new fields do not count. */
export const REPORT_VERSION = 1;

export interface Row {
  readonly suite: SuiteName;
  readonly what: string;
  /** What --scan gave in the run that this row is of; empty without. */
  readonly scan: ParameterValues;
  /** Nanoseconds of one operation, or of one node of a tree: the median. */
  readonly ns: number;
  readonly interval: Interval;
  readonly baselines: BaselineTimes;
  /** Our time by each baseline's, of the medians. */
  readonly ratios: BaselineTimes;
  /** Where each ratio lies, by those of the single repetitions, in which both were measured one soon after the other. */
  readonly ratioIntervals: Readonly<Partial<Record<BaselineName, Interval>>>;
  /** The baseline whose ratio says most. */
  readonly versus: BaselineName;
  /** Values of parameters at which it was measured, where rows of a suite differ by them. */
  readonly at?: Coordinates;
  readonly longestMs?: number;
  readonly target?: RowTarget;
  /** Nanoseconds of every repetition: "lpar" and the baselines. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
  /** Of single operations, for those of lpar and the baselines that can do one: all repetitions together. */
  readonly latencies: Readonly<Record<string, Latency>>;
}

export interface RowTarget {
  readonly text: string;
  /** Undefined when the baseline that it counts from is not there. */
  readonly reached: boolean | undefined;
  readonly aimReached: boolean | undefined;
  readonly longestMs?: number;
  readonly longestReached?: boolean;
}

export interface ReportOptions {
  readonly suites: readonly SuiteName[];
  readonly quick: boolean;
  readonly timeMs: number;
  readonly warmupMs: number;
  readonly repetitions: number;
  readonly seed: number;
  /** Operations per second of the open loop; null without. */
  readonly rate: number | null;
  /** What replaced the suites' own sizes in all rows. */
  readonly parameters: ParameterValues;
  /** Each of them made the suites run once for each of its values. */
  readonly scans: readonly Scan[];
}

export interface Report {
  readonly report: typeof REPORT_KIND;
  readonly version: typeof REPORT_VERSION;
  /** As Date.toISOString() has it. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly machine: Machine;
  /** Processes that wanted to run in the last minute, at the end. */
  readonly loadAtEnd: number;
  readonly clock: Clock;
  /** The C compiler, or null. */
  readonly compiler: string | null;
  /** Why there are no native baselines. */
  readonly nativeMissing: string | null;
  readonly options: ReportOptions;
  readonly rows: readonly Row[];
  /** What scenarios found beside times, each line with the name of its scenario. */
  readonly notes: readonly string[];
  /** Scenarios that could not be prepared here, and why. */
  readonly leftOut: readonly string[];
  /** Results that differ, and broken invariants: the run has failed if there are any. */
  readonly wrong: readonly string[];
  readonly isComplete: boolean;
}

/** Digits of figures that are written; what was measured has not more. */
const DIGITS = 6;

/** As it is written to files and printed: rows on lines of their own, figures with six digits. */
export function toJson({ rows, ...report }: Report): string {
  const write = (value: unknown): string =>
    JSON.stringify(value, (_, part: unknown) =>
      typeof part === "number" && !Number.isInteger(part) ? Number(part.toPrecision(DIGITS)) : part,
    );
  const lines = rows.map((row) => `\n${write(row)}`);
  return `${write(report).slice(0, -1)},"rows":[${lines.join(",")}\n]}\n`;
}

/** A file that is no report that can be read. */
export class ReportError extends Error {
  override readonly name = "ReportError";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads a report.
 *
 * @param name of the file, for what is said of it.
 * @throws ReportError when it is none, of another version, or broken.
 */
export function readReport(name: string, text: string): Report {
  let value: unknown;
  try {
    // What a terminal would obey is not passed on.
    value = JSON.parse(text, (_, part) => (typeof part === "string" ? printable(part) : part));
  } catch {
    throw new ReportError(`${name}: not JSON; what is wanted is a report of "lpar bench --json"`);
  }
  if (!isRecord(value) || value.report !== REPORT_KIND)
    throw new ReportError(`${name}: JSON, but not a report of "lpar bench --json"`);
  if (value.version !== REPORT_VERSION)
    throw new ReportError(
      `${name}: a report of version ${JSON.stringify(value.version)}; this lpar reads version ${REPORT_VERSION}`,
    );
  const problem = problemOf(value);
  if (problem !== undefined) throw new ReportError(`${name}: ${problem}`);
  return value as unknown as Report;
}

/** A row's name in its suite. */
export function shortName({ what, scan }: Row): string {
  const values = Object.entries(scan).map(([name, value]) => `${name}=${value}`);
  return `${what}${values.length === 0 ? "" : ` (${values.join(", ")})`}`;
}

/** A row's name in its report. */
export function rowName(row: Row): string {
  return `${row.suite}: ${shortName(row)}`;
}

/** The baselines that some of these rows have, in their own order. */
export function baselinesOf(rows: readonly Row[]): BaselineName[] {
  return BASELINES.filter((name) => rows.some(({ baselines }) => baselines[name] !== undefined));
}
