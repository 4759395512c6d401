/** The README's table of figures, made from reports: which rows it has, and how they are written. */
import { countReached, describeIntervals, formatTime, isMissed } from "./format.js";
import { SELECTION, type SelectedRow } from "./readme-rows.js";
import { type Report, ReportError, type Row, rowName } from "./report.js";
import { describeBaselines, describeRatioTo, mdTable } from "./report-md.js";

export const TABLE_BEGIN = "<!-- figures: made by `npm run bench:table` from bench/results -->";
export const TABLE_END = "<!-- end of figures -->";

/**
 * Of the newest Node's report, and the ratios of the others.
 * @param reports of the same on different Nodes, one at least.
 * @throws ReportError naming the rows that the newest does not have.
 */
export function readmeTable(reports: readonly Report[]): string {
  const sorted = [...reports].sort((one, other) => majorOf(other) - majorOf(one));
  const [report, ...others] = sorted as [Report, ...Report[]];
  const found = SELECTION.map((selected) => rowOf(report, selected));
  const missing = SELECTION.filter((_, index) => found[index] === undefined);
  if (missing.length > 0)
    throw new ReportError(
      `the report lacks rows of the README: ${missing.map(({ suite, what }) => `"${suite}: ${what}"`).join(", ")}`,
    );
  const rows = (found as readonly Row[]).flatMap((row) => {
    const rest = others.map((other) => rowOf(other, row));
    return [
      [...figures(row), ...rest.map((found) => (found === undefined ? "" : ratio(found)))],
      ...slice(row).map((cells) => [...cells, ...rest.map((found) => slice(found)[0]?.[1] ?? "")]),
    ];
  });
  const titles = [
    "what",
    "lpar",
    "baselines",
    "ratio",
    "aim",
    ...others.map((other) => `Node ${majorOf(other)}`),
  ];
  const table = mdTable([titles, ...rows]);
  return `${describeRun(report, others, found as readonly Row[])}\n\n${table}\n\n${describeTargets(sorted)}`;
}

function rowOf({ rows }: Report, { suite, what }: SelectedRow): Row | undefined {
  return rows.find((row) => row.suite === suite && row.what === what && Object.keys(row.scan).length === 0);
}

function majorOf({ machine }: Report): number {
  return Number.parseInt(machine.node, 10);
}

/** @param shown of the table, of which some may have fewer repetitions. */
function describeRun(report: Report, others: readonly Report[], shown: readonly Row[]): string {
  const { machine, options, startedAt } = report;
  const runs = [report, ...others].map(
    ({ machine: { node, commit, load }, loadAtEnd }) =>
      `Node ${node} (${commit === null ? "" : `commit ${commit}, `}load ${load.toFixed(1)} to ${loadAtEnd.toFixed(1)})`,
  );
  const fewer = shown.filter(({ samples }) => (samples.lpar?.length ?? 0) < options.repetitions);
  const exceptions = fewer.map((row) => `${row.samples.lpar?.length} of "${rowName(row)}"`);
  const less = exceptions.length === 0 ? "" : ` (${exceptions.join(", ")})`;
  const rest = others.length === 0 ? "" : `; of ${runs.slice(1).join(" and ")} the ratios`;
  return `${startedAt.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores; ${runs[0]}${rest}. Medians of ${options.repetitions} interleaved repetitions of ${options.timeMs} ms${less}, ratios with their intervals; ${describeIntervals(shown)}.`;
}

/** How many targets each run reached, those of rows that are not in the table too, and which of these it missed. */
function describeTargets(reports: readonly Report[]): string {
  const totals = reports.map((report) => `${countReached(report.rows)} on Node ${majorOf(report)}`);
  const isShown = (row: Row): boolean =>
    SELECTION.some(({ suite, what }) => suite === row.suite && what === row.what);
  const missed = reports.flatMap(({ rows }) => rows.filter((row) => isMissed(row) && !isShown(row)));
  const names = [...new Set(missed.map(rowName))];
  const sum = `All rows, with those that are not in the table: ${totals.join(", ")}.`;
  if (names.length === 0) return sum;
  const lines = names.map((name) => [
    name,
    missed.find((row) => rowName(row) === name)?.target?.text ?? "",
    ...reports.map(({ rows }) => judged(rows.find((row) => rowName(row) === name))),
  ]);
  const titles = ["missed, and not above", "aim", ...reports.map((report) => `Node ${majorOf(report)}`)];
  return `${sum}\n\n${mdTable([titles, ...lines])}`;
}

function judged(row: Row | undefined): string {
  if (row === undefined) return "";
  const { longestMs, target } = row;
  const piece =
    target?.longestReached === false ? `, ${formatTime((longestMs ?? 0) * 1e6)} in one piece` : "";
  return `${describeRatioTo(row)}${piece}, ${isMissed(row) ? "missed" : "reached"}`;
}

function figures(row: Row): string[] {
  const { suite, what, ns, target } = row;
  return [
    `${suite}: ${what}`,
    formatTime(ns),
    describeBaselines(row),
    describeRatioTo(row),
    target === undefined ? "" : `${target.text}: ${verdict(target.reached)}`,
  ];
}

/** Of another run. */
function ratio(row: Row): string {
  const text = describeRatioTo(row);
  return row.target === undefined ? text : `${text}, ${verdict(row.target.reached)}`;
}

/** How long nothing else could run, where there is a limit to it. */
function slice(row: Row | undefined): string[][] {
  const { longestMs, target } = row ?? {};
  if (longestMs === undefined || target?.longestMs === undefined) return [];
  const aim = `${target.longestMs} ms: ${verdict(target.longestReached)}`;
  return [["- its longest time in one piece", formatTime(longestMs * 1e6), "", "", aim]];
}

function verdict(isReached: boolean | undefined): string {
  if (isReached === undefined) return "no baseline";
  return isReached ? "reached" : "missed";
}

/** @throws ReportError when the text has no place for it. */
export function replaceTable(readme: string, table: string): string {
  const begin = readme.indexOf(TABLE_BEGIN);
  const end = readme.indexOf(TABLE_END);
  if (begin < 0 || end < begin)
    throw new ReportError(
      `README.md: the lines "${TABLE_BEGIN}" and "${TABLE_END}" are not there in this order`,
    );
  return `${readme.slice(0, begin + TABLE_BEGIN.length)}\n${table}\n${readme.slice(end)}`;
}
