/** Two reports, row by row: what became better, what worse, and how sure that is. */
import { type Report, ReportError, type Row, rowName } from "./report.js";
import { median, type Ratio, ratioOf } from "./statistics.js";
import type { BaselineName } from "./suite.js";

/** "same": the interval of the ratio holds 1, so that the difference may be chance. */
export type Verdict = "better" | "same" | "worse";

export interface ComparedRow extends Ratio {
  readonly name: string;
  /** Medians: nanoseconds, or ratios to the baseline. */
  readonly before: number;
  readonly after: number;
  readonly verdict: Verdict;
  /** Worse by more than the limit. */
  readonly isAbove: boolean;
}

export interface Comparison {
  readonly rows: readonly ComparedRow[];
  /** In one of the reports only. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** By ratio: left out, because not both count from the same baseline and have it. */
  readonly withoutBaseline: readonly string[];
  /** What the first report has and the second one cannot be compared with: a limit cannot be kept there. */
  readonly lost: readonly string[];
  /** Of either report. */
  readonly wrong: readonly string[];
  /** What makes the comparison doubtful. */
  readonly notes: readonly string[];
}

export interface CompareOptions {
  /** How much worse a row may become: 0.05 is 5 %. No limit if left out. */
  readonly failAbove?: number | undefined;
  /** Compares ratios to the baselines instead of times, which leaves out how fast the machine was. */
  readonly isByRatio?: boolean;
}

/** A report and what its file is called. */
export interface Named {
  readonly name: string;
  readonly report: Report;
}

/** Fewer say nothing of how far chance goes. */
const REPETITIONS_MIN = 3;
const NAMED_MAX = 3;

/** @throws ReportError when they have no row in common, or too few repetitions. */
export function compareReports(before: Named, after: Named, options: CompareOptions = {}): Comparison {
  const rowsBefore = new Map(before.report.rows.map((row) => [rowName(row), row]));
  const rowsAfter = new Map(after.report.rows.map((row) => [rowName(row), row]));
  const pairs = [...rowsBefore].flatMap(([name, row]) => {
    const other = rowsAfter.get(name);
    return other === undefined ? [] : [{ name, row, other }];
  });
  if (pairs.length === 0)
    throw new ReportError(
      `no row is in both: ${before.name} has ${some([...rowsBefore.keys()])}; ${after.name} has ${some([...rowsAfter.keys()])}`,
    );
  const { isByRatio = false, failAbove = Number.POSITIVE_INFINITY } = options;
  const without = pairs.filter(({ row, other }) => {
    const baseline = baselineOf(row);
    return isByRatio && (baseline === undefined || baseline !== baselineOf(other));
  });
  const withoutBaseline = without.map(({ name }) => name);
  if (without.length === pairs.length)
    throw new ReportError(
      `no row has the same baseline in both to count from, such as ${some(withoutBaseline)}`,
    );
  const rows = pairs
    .filter((pair) => !without.includes(pair))
    .map(({ name, row, other }) =>
      compareRow(name, samplesOf(before, row, isByRatio), samplesOf(after, other, isByRatio), failAbove),
    );
  const onlyBefore = [...rowsBefore.keys()].filter((name) => !rowsAfter.has(name));
  const unbased = without.filter(({ row, other }) => baselineOf(row) && !baselineOf(other));
  return {
    rows,
    onlyBefore,
    onlyAfter: [...rowsAfter.keys()].filter((name) => !rowsBefore.has(name)),
    withoutBaseline,
    lost: [...onlyBefore, ...unbased.map(({ name }) => name)],
    wrong: [before, after].flatMap(({ name, report: { wrong } }) =>
      wrong.length === 0 ? [] : [`${name} has wrong results: ${wrong[0]}`],
    ),
    notes: notesOn(before, after, rows),
  };
}

/** What a row counts from, if that was measured. */
function baselineOf({ versus, samples }: Row): BaselineName | undefined {
  return samples[versus] === undefined ? undefined : versus;
}

/** A few names, and how many more there are. */
function some(names: readonly string[]): string {
  if (names.length === 0) return "none";
  const more = names.length - NAMED_MAX;
  const shown = names.slice(0, NAMED_MAX).map((name) => `"${name}"`);
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function samplesOf({ name, report }: Named, row: Row, isByRatio: boolean): readonly number[] {
  const times = row.samples.lpar as readonly number[];
  if (times.length < REPETITIONS_MIN)
    throw new ReportError(
      `${name}: ${times.length} of the ${REPETITIONS_MIN} repetitions that a comparison takes (row "${rowName(row)}", --repetitions was ${report.options.repetitions})`,
    );
  if (!isByRatio) return times;
  const theirs = row.samples[row.versus] as readonly number[];
  return times.map((time, index) => time / (theirs[index] as number));
}

function compareRow(
  name: string,
  before: readonly number[],
  after: readonly number[],
  failAbove: number,
): ComparedRow {
  const found = ratioOf(before, after);
  const verdict = found.low > 1 ? "worse" : found.high < 1 ? "better" : "same";
  return {
    name,
    before: median(before),
    after: median(after),
    ...found,
    verdict,
    isAbove: verdict === "worse" && found.ratio > 1 + failAbove,
  };
}

function notesOn(before: Named, after: Named, rows: readonly ComparedRow[]): string[] {
  const both = [before, after];
  const [a, b] = [before.report, after.report];
  const differences = (
    [
      ["CPU", a.machine.cpu, b.machine.cpu],
      ["number of cores", a.machine.cores, b.machine.cores],
      ["platform", a.machine.platform, b.machine.platform],
      ["Node", a.machine.node, b.machine.node],
      ["lpar", a.machine.lpar, b.machine.lpar],
      ["commit", a.machine.commit, b.machine.commit],
      // What an installed package has instead of a commit.
      ["core", a.machine.core, b.machine.core],
      ["compiler", a.compiler, b.compiler],
      ["quick", a.options.quick, b.options.quick],
      ["time", a.options.timeMs, b.options.timeMs],
      ["warm-up", a.options.warmupMs, b.options.warmupMs],
      ["rate", a.options.rate, b.options.rate],
      ["seed", a.options.seed, b.options.seed],
      ["parameters", JSON.stringify(a.options.parameters), JSON.stringify(b.options.parameters)],
    ] as const
  ).flatMap(([what, left, right]) =>
    left === right ? [] : [`different ${what}: ${left ?? "none"}, then ${right ?? "none"}`],
  );
  const unsure = Math.min(...rows.map(({ confidence }) => confidence));
  return [
    ...differences,
    ...both.flatMap(({ name, report }) => [
      ...(report.isComplete ? [] : [`${name} was interrupted`]),
      ...(report.wrong.length === 0 ? [] : [`${name} has wrong results: ${report.wrong[0]}`]),
      ...(report.options.quick ? [`${name} is of a quick run, whose figures mean nothing`] : []),
    ]),
    ...(unsure < 0.95
      ? [`with so few repetitions some intervals hold with ${(unsure * 100).toFixed(0)} % instead of 95 %`]
      : []),
  ];
}
