/** A report as CSV (RFC 4180, lines end with LF): one line for each row and each contender in it, as statistics programs want it. */
import { PERCENTILE_NAMES } from "./format.js";
import { PARAMETER_NAMES, PARAMETERS, type ParameterName } from "./parameters.js";
import type { Report, Row } from "./report.js";
import { median, medianInterval } from "./statistics.js";
import type { BaselineName } from "./suite.js";

type Cell = string | number | boolean | null | undefined;

const PERCENTILES = PERCENTILE_NAMES.map(([field]) => field);

const HEADER = [
  "suite",
  "what",
  ...PARAMETER_NAMES,
  "contender",
  "repetitions",
  "ns",
  "ns_low",
  "ns_high",
  "confidence",
  "lpar_ratio",
  "ratio_low",
  "ratio_high",
  "longest_ms",
  "target",
  "reached",
  ...PERCENTILES.map((name) => `latency_${name}_ns`),
  ...PERCENTILES.map((name) => `uncorrected_${name}_ns`),
  "latency_block",
  "started_at",
  "cpu",
  "cores",
  "load",
  "node",
  "v8",
  "lpar",
  "commit",
];

/** Nothing for what is not there; quotes only where they are needed. */
function quote(cell: Cell): string {
  const text = cell === undefined || cell === null ? "" : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function line(cells: readonly Cell[]): string {
  return cells.map(quote).join(",");
}

/** The same on all lines, so that lines of several reports can be put together. */
function runCells({ startedAt, machine }: Report): Cell[] {
  const { cpu, cores, load, node, v8, lpar, commit } = machine;
  return [startedAt, cpu, cores, load, node, v8, lpar, commit];
}

/** What a parameter was where the row was measured; what was asked for only where its suite uses it. */
function placeOf(
  { suite, scan, at }: Row,
  parameters: Report["options"]["parameters"],
  name: ParameterName,
): Cell {
  const asked = PARAMETERS[name].usedBy.includes(suite) ? parameters[name] : undefined;
  return at?.[name] ?? scan[name] ?? asked;
}

function cellsOf(row: Row, parameters: Report["options"]["parameters"], contender: string): Cell[] {
  const times = row.samples[contender] ?? [];
  const { low, high, confidence } = medianInterval(times);
  const isOurs = contender === "lpar";
  const ratio = row.ratioIntervals[contender as BaselineName];
  const latency = row.latencies[contender];
  return [
    row.suite,
    row.what,
    ...PARAMETER_NAMES.map((name) => placeOf(row, parameters, name)),
    contender,
    times.length,
    median(times),
    low,
    high,
    confidence,
    row.ratios[contender as BaselineName],
    ratio?.low,
    ratio?.high,
    isOurs ? row.longestMs : undefined,
    isOurs ? row.target?.text : undefined,
    isOurs ? row.target?.reached : undefined,
    ...PERCENTILES.map((name) => (latency?.corrected ?? latency?.uncorrected)?.[name]),
    ...PERCENTILES.map((name) => (latency?.corrected === undefined ? undefined : latency.uncorrected[name])),
    latency?.block,
  ];
}

export function toCsv(report: Report): string {
  const { rows, options } = report;
  const run = runCells(report);
  const lines = rows.flatMap((row) =>
    Object.keys(row.samples).map((contender) =>
      line([...cellsOf(row, options.parameters, contender), ...run]),
    ),
  );
  return `${[line(HEADER), ...lines].join("\n")}\n`;
}
