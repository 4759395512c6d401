/** A report as Markdown: what was measured where, and a table for each suite. */
import {
  describeInterval,
  describeIntervals,
  describeLatency,
  describeReached,
  describeRun,
  describeTarget,
  formatRatio,
  formatTime,
  kindsOf,
  OPERATIONS,
  PERCENTILE_NAMES,
} from "./format.js";
import { type Report, type Row, shortName } from "./report.js";
import { BASELINES } from "./suite.js";

/** Lines of a Markdown table. */
export function mdTable(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const [header = [], ...others] = rows;
  return [line(header), `|${" --- |".repeat(header.length)}`, ...others.map(line)].join("\n");
}

/** "native 2.5 ns, typed 17.8 ns". */
export function describeBaselines({ baselines }: Row): string {
  return BASELINES.flatMap((name) => {
    const ns = baselines[name];
    return ns === undefined ? [] : [`${name} ${formatTime(ns)}`];
  }).join(", ");
}

function inBrackets(text: string): string {
  return text === "" ? "" : ` (${text})`;
}

/** "1.23 x native (1.10 - 1.31)". */
export function describeRatioTo({ ratios, ratioIntervals, versus }: Row): string {
  const ratio = ratios[versus];
  const interval = ratioIntervals[versus];
  if (ratio === undefined || interval === undefined) return "";
  return `${formatRatio(ratio)} x ${versus}${inBrackets(describeInterval(interval, formatRatio))}`;
}

function suiteTable(rows: readonly Row[]): string {
  const hasSlices = rows.some(({ longestMs }) => longestMs !== undefined);
  return mdTable([
    ["what", "lpar", "baselines", "ratio", ...(hasSlices ? ["longest slice"] : []), "target", "reached"],
    ...rows.map((row) => [
      shortName(row),
      `${formatTime(row.ns)}${inBrackets(describeInterval(row.interval, formatTime))}`,
      describeBaselines(row),
      describeRatioTo(row),
      ...(hasSlices ? [row.longestMs === undefined ? "" : `${row.longestMs.toFixed(2)} ms`] : []),
      describeTarget(row),
      describeReached(row),
    ]),
  ]);
}

function latencyTable(rows: readonly Row[]): string | undefined {
  const lines = rows.flatMap((row) =>
    Object.entries(row.latencies).flatMap(([contender, latency]) =>
      kindsOf(latency).map(([kind, percentiles]) => [
        shortName(row),
        `${contender} ${kind}`.trim(),
        ...PERCENTILE_NAMES.map(([field]) => formatTime(percentiles[field])),
        String(latency.count),
        describeLatency(latency),
      ]),
    ),
  );
  if (lines.length === 0) return undefined;
  return mdTable([
    ["latency", "of", ...PERCENTILE_NAMES.map(([, name]) => name), "count", "notes"],
    ...lines,
  ]);
}

export function toMarkdown(report: Report): string {
  const suites = report.options.suites.flatMap((suite) => {
    const rows = report.rows.filter((row) => row.suite === suite);
    if (rows.length === 0) return [];
    const latencies = latencyTable(rows);
    return [`## ${suite}\n\n${suiteTable(rows)}`, ...(latencies === undefined ? [] : [latencies])];
  });
  const notes = report.notes.map((note) => `- ${note}`);
  const leftOut = report.leftOut.map((scenario) => `- left out: ${scenario}`);
  const wrong = report.wrong.map((what) => `- wrong result: ${what}`);
  const parts = [
    "# lpar bench",
    [...describeRun(report), `times are of ${OPERATIONS}; ${describeIntervals(report.rows)}`]
      .map((text) => `- ${text}`)
      .join("\n"),
    ...suites,
    ...(notes.length + leftOut.length + wrong.length > 0
      ? [[...notes, ...leftOut, ...wrong].join("\n")]
      : []),
  ];
  // Names of files and of the processor come from outside, and nothing that is ours is HTML.
  return `${parts.join("\n\n").replaceAll("&", "&amp;").replaceAll("<", "&lt;")}\n`;
}
