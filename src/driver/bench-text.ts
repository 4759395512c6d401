/** A benchmark's report as text: aligned tables, and on a terminal plots below them. */

import {
  describeIntervals,
  describeLatency,
  describeReached,
  describeRun,
  describeTarget,
  formatNs,
  formatRatio,
  kindsOf,
  OPERATIONS,
  PERCENTILE_NAMES,
} from "../../bench/format.js";
import { baselinesOf, type Report, type Row, shortName } from "../../bench/report.js";
import type { SuiteName } from "../../bench/suite.js";
import { formatTable } from "./output.js";
import { type PlotOptions, plotLatencies, plotRow } from "./plots.js";

/** @param plots what plots may use; none are drawn without. */
export function describeReport(report: Report, plots?: PlotOptions): string {
  const head = [
    ...describeRun(report),
    `times in nanoseconds for ${OPERATIONS};`,
    `  +- is how far the interval reaches; ${describeIntervals(report.rows)}`,
  ];
  const suites = report.options.suites.flatMap((suite) => {
    const rows = report.rows.filter((row) => row.suite === suite);
    return rows.length === 0 ? [] : [`\n${describeSuite(suite, rows)}`, ...describeRows(rows, plots)];
  });
  const notes = report.notes.map((note) => `\n${note}`);
  const leftOut = report.leftOut.map((scenario) => `\nleft out: ${scenario}`);
  return [...head, ...suites, ...notes, ...leftOut].join("\n");
}

/** Latencies of a suite, and plots if they are wanted. */
function describeRows(rows: readonly Row[], plots: PlotOptions | undefined): string[] {
  const latencies = describeLatencies(rows);
  const draw = (plot: typeof plotRow): string[] =>
    plots === undefined ? [] : rows.flatMap((row) => plot(row, plots) ?? []);
  const bars = draw(plotRow);
  const histograms = draw(plotLatencies);
  return [
    ...(bars.length > 0 ? [`\n${bars.join("\n")}`] : []),
    ...(latencies === undefined ? [] : [`\n${latencies}`]),
    ...(histograms.length > 0 ? [`\n${histograms.join("\n")}`] : []),
  ];
}

function describeSuite(suite: SuiteName, rows: readonly Row[]): string {
  const baselines = baselinesOf(rows);
  const isVersusNative = rows.every(({ versus }) => versus === "native");
  const hasSlices = rows.some((row) => row.longestMs !== undefined);
  const header = [
    suite,
    "lpar",
    "+-",
    ...baselines,
    isVersusNative ? "x native" : "ratio",
    ...(hasSlices ? ["slice ms"] : []),
    "target",
    "reached",
  ];
  const lines = rows.map((row) => [
    shortName(row),
    formatNs(row.ns),
    describeSpread(row),
    ...baselines.map((name) => formatNs(row.baselines[name])),
    describeRatio(row, isVersusNative),
    ...(hasSlices ? [row.longestMs?.toFixed(2) ?? "-"] : []),
    describeTarget(row),
    describeReached(row),
  ]);
  const numbers = "r".repeat(baselines.length + 3 + (hasSlices ? 1 : 0));
  return formatTable([header, ...lines], `l${numbers}ll`);
}

/** The farther end of the interval. */
function describeSpread({ ns, interval }: Row): string {
  if (interval.confidence === 0) return "-";
  const far = Math.max(interval.high - ns, ns - interval.low);
  return `${Math.round((far / ns) * 100)} %`;
}

/** To the baseline that says most, which is named unless it is the same in all rows. */
function describeRatio({ ratios, versus }: Row, isVersusNative: boolean): string {
  const ratio = ratios[versus];
  if (ratio === undefined) return "-";
  return isVersusNative ? formatRatio(ratio) : `${formatRatio(ratio)} ${versus}`;
}

/** Notes are many times the same, and longer than all the rest: they stand below, once. */
function describeLatencies(rows: readonly Row[]): string | undefined {
  const notes: string[] = [];
  const refer = (note: string): string => {
    if (note === "") return "";
    if (!notes.includes(note)) notes.push(note);
    return `(${notes.indexOf(note) + 1})`;
  };
  const lines = rows.flatMap((row) =>
    Object.entries(row.latencies).flatMap(([contender, latency]) =>
      kindsOf(latency).map(([kind, percentiles], index) => [
        contender === "lpar" && index === 0 ? shortName(row) : "",
        `${contender} ${kind}`.trim(),
        ...PERCENTILE_NAMES.map(([field]) => formatNs(percentiles[field])),
        index === 0 ? refer(describeLatency(latency)) : "",
      ]),
    ),
  );
  if (lines.length === 0) return undefined;
  const header = ["latency of one", "", ...PERCENTILE_NAMES.map(([, name]) => name), ""];
  return [
    formatTable([header, ...lines], "llrrrrrrl"),
    ...notes.map((note, index) => `(${index + 1}) ${note}`),
  ].join("\n");
}
