/** The README's table of figures, made from a report: which rows it has, and how they are written. */
import { formatTime } from "./format.js";
import { SELECTION } from "./readme-rows.js";
import { type Report, ReportError, type Row } from "./report.js";
import { describeBaselines, describeRatioTo, mdTable } from "./report-md.js";

export const TABLE_BEGIN = "<!-- figures: made by `npm run bench:table` from bench/results/full.json -->";
export const TABLE_END = "<!-- end of figures -->";

/** @throws ReportError naming the rows that the report does not have. */
export function readmeTable(report: Report): string {
  const found = SELECTION.map(({ suite, what }) =>
    report.rows.find((row) => row.suite === suite && row.what === what && Object.keys(row.scan).length === 0),
  );
  const missing = SELECTION.filter((_, index) => found[index] === undefined);
  if (missing.length > 0)
    throw new ReportError(
      `the report lacks rows of the README: ${missing.map(({ suite, what }) => `"${suite}: ${what}"`).join(", ")}`,
    );
  const rows = (found as readonly Row[]).flatMap((row) => [figures(row), ...slice(row)]);
  return `${describeRun(report)}\n\n${mdTable([["what", "lpar", "baselines", "ratio", "aim"], ...rows])}`;
}

function describeRun({ machine, options, startedAt, loadAtEnd }: Report): string {
  const commit = machine.commit === null ? "" : `, commit ${machine.commit}`;
  return `One run of ${startedAt.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, load ${machine.load.toFixed(1)} to ${loadAtEnd.toFixed(1)}, Node ${machine.node}${commit}; medians of ${options.repetitions} interleaved repetitions of ${options.timeMs} ms, ratios with their 95 % intervals.`;
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

/** How long nothing else could run, where there is a limit to it. */
function slice({ longestMs, target }: Row): string[][] {
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
