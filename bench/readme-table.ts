/** The README's table of figures, made from reports: which rows it has, and how they are written. */
import { formatTime } from "./format.js";
import { SELECTION, type SelectedRow } from "./readme-rows.js";
import { type Report, ReportError, type Row } from "./report.js";
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
  return `${describeRun(report, others)}\n\n${mdTable([titles, ...rows])}`;
}

function rowOf({ rows }: Report, { suite, what }: SelectedRow): Row | undefined {
  return rows.find((row) => row.suite === suite && row.what === what && Object.keys(row.scan).length === 0);
}

function majorOf({ machine }: Report): number {
  return Number.parseInt(machine.node, 10);
}

function describeRun(report: Report, others: readonly Report[]): string {
  const { machine, options, startedAt } = report;
  const commit = machine.commit === null ? "" : `, commit ${machine.commit}`;
  const runs = [report, ...others].map(
    ({ machine, loadAtEnd }) =>
      `Node ${machine.node} (load ${machine.load.toFixed(1)} to ${loadAtEnd.toFixed(1)})`,
  );
  const rest = others.length === 0 ? "" : `; of ${runs.slice(1).join(" and ")} the ratios`;
  return `${startedAt.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores${commit}; ${runs[0]}${rest}. Medians of ${options.repetitions} interleaved repetitions of ${options.timeMs} ms, ratios with their 95 % intervals.`;
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
