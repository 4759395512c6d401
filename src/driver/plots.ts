/** Small plots for terminals, of a benchmark's report: bars of times against baselines, histograms of latencies. */

import { formatNs, formatTime } from "../../bench/format.js";
import { mergeBins } from "../../bench/histogram.js";
import { baselinesOf, type Row } from "../../bench/report.js";
import { type Bar, formatBars } from "./output.js";

/** What a plot may use of the terminal. */
export interface PlotOptions {
  readonly isColoured: boolean;
  /** Of the terminal. */
  readonly columns: number;
}

const BAR_COLUMNS_MAX = 40;
const BAR_COLUMNS_MIN = 8;
/** What stands beside bars: a label and figures. */
const BESIDE_COLUMNS = 30;
const BINS_MAX = 16;

const CYAN = "\x1b[36m";
const DIM = "\x1b[2m";
const PLAIN = "\x1b[0m";

function paint(text: string, colour: string, { isColoured }: PlotOptions): string {
  return isColoured ? `${colour}${text}${PLAIN}` : text;
}

function barColumns({ columns }: PlotOptions): number {
  return Math.max(BAR_COLUMNS_MIN, Math.min(BAR_COLUMNS_MAX, columns - BESIDE_COLUMNS));
}

/** A row's time and those of its baselines, each as a bar; undefined where there is nothing to compare. */
export function plotRow(row: Row, options: PlotOptions): string | undefined {
  const names = baselinesOf([row]);
  if (names.length === 0) return undefined;
  const bars: Bar[] = [
    { label: "lpar", value: row.ns, notes: [formatNs(row.ns)] },
    ...names.map((name) => ({
      label: name,
      value: row.baselines[name] as number,
      notes: [formatNs(row.baselines[name])],
    })),
  ];
  const [ours = "", ...theirs] = formatBars(bars, barColumns(options)).split("\n");
  const lines = [paint(ours, CYAN, options), ...theirs.map((line) => paint(line, DIM, options))];
  return [`  ${row.what}`, ...lines.map((line) => `    ${line}`)].join("\n");
}

/** Of our own latencies: how many lie from each time on; undefined where none were measured. */
export function plotLatencies(row: Row, options: PlotOptions): string | undefined {
  const latency = row.latencies.lpar;
  if (latency === undefined || latency.count === 0) return undefined;
  const bars = mergeBins(latency.bins, BINS_MAX).map(([from, count]) => ({
    label: `from ${formatTime(from)}`,
    value: count,
    notes: [count.toLocaleString("en-US")],
  }));
  const kind = latency.corrected === undefined ? "latencies" : "latencies, corrected";
  const lines = formatBars(bars, barColumns(options)).split("\n");
  return [`  ${row.what}: ${kind}`, ...lines.map((line) => `    ${paint(line, CYAN, options)}`)].join("\n");
}
