/** Two reports, row by row: what became better, what worse, and how sure that is. */
import { type Report, ReportError, type Row, rowName } from "./report.js";
import { median, type Ratio, ratioOf } from "./statistics.js";

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
  const common = [...rowsBefore.keys()].filter((name) => rowsAfter.has(name));
  if (common.length === 0)
    throw new ReportError(
      `no row is in both: ${before.name} has ${some([...rowsBefore.keys()])}; ${after.name} has ${some([...rowsAfter.keys()])}`,
    );
  const rows = common.map((name) => {
    const samples = (named: Named, row: Row): readonly number[] =>
      samplesOf(named, row, options.isByRatio === true);
    return compareRow(
      name,
      samples(before, rowsBefore.get(name) as Row),
      samples(after, rowsAfter.get(name) as Row),
      options.failAbove ?? Number.POSITIVE_INFINITY,
    );
  });
  return {
    rows,
    onlyBefore: [...rowsBefore.keys()].filter((name) => !rowsAfter.has(name)),
    onlyAfter: [...rowsAfter.keys()].filter((name) => !rowsBefore.has(name)),
    notes: notesOn(before, after, rows),
  };
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
  const theirs = row.samples[row.versus];
  if (theirs === undefined)
    throw new ReportError(`${name}: row "${rowName(row)}" has no baseline "${row.versus}" to count from`);
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
      ["Node", a.machine.node, b.machine.node],
      ["quick", a.options.quick, b.options.quick],
      ["seed", a.options.seed, b.options.seed],
      ["parameters", JSON.stringify(a.options.parameters), JSON.stringify(b.options.parameters)],
    ] as const
  ).flatMap(([what, left, right]) => (left === right ? [] : [`different ${what}: ${left}, then ${right}`]));
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
