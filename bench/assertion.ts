/** `--assert`: limits that the user sets to figures, such as `p99<2us` or `translate: batch: ratio<=1.5`. */
import { formatRatio, formatTime } from "./format.js";
import type { Percentiles } from "./histogram.js";
import { ParameterError } from "./parameter-error.js";
import { type Report, type Row, rowName } from "./report.js";

const METRICS = ["mean", "median", "ratio", "p50", "p90", "p99", "p99.9", "max"] as const;
type Metric = (typeof METRICS)[number];

export interface Assertion {
  /** As the user wrote it. */
  readonly text: string;
  /** Only rows whose names have this in them. */
  readonly rows: string;
  readonly metric: Metric;
  readonly isStrict: boolean;
  /** Nanoseconds, or a ratio. */
  readonly limit: number;
}

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };
const FORM = `[ROWS:]METRIC<LIMIT or METRIC<=LIMIT, METRIC one of ${METRICS.join(", ")}, LIMIT a time in ns, us, ms or s, or for ratio a number`;

/** @throws ParameterError naming the text and what is allowed. */
export function parseAssertion(text: string): Assertion {
  const refuse = (what: string): never => {
    throw new ParameterError(`--assert takes ${FORM}; ${what} in "${text}"`);
  };
  const match =
    /^(?:(?<rows>.*):)?\s*(?<metric>[\w.]+)\s*(?<sign><=?)\s*(?<number>\d+(?:\.\d+)?(?:e\d+)?)\s*(?<unit>[a-z]*)\s*$/s.exec(
      text,
    );
  if (match?.groups === undefined) return refuse("there is no such limit");
  const { rows = "", metric, sign, number, unit = "" } = match.groups;
  if (!(METRICS as readonly (string | undefined)[]).includes(metric))
    return refuse(`there is no metric "${metric}"`);
  const factor = metric === "ratio" ? (unit === "" || unit === "x" ? 1 : undefined) : UNITS[unit];
  if (factor === undefined)
    return refuse(unit === "" ? "the time has no unit" : `"${unit}" is no unit of ${metric}`);
  return {
    text,
    rows: rows.trim(),
    metric: metric as Metric,
    isStrict: sign === "<",
    limit: Number(number) * factor,
  };
}

const PERCENTILES: Readonly<Partial<Record<Metric, keyof Percentiles>>> = {
  mean: "mean",
  p50: "p50",
  p90: "p90",
  p99: "p99",
  "p99.9": "p999",
  max: "max",
};

/** Undefined where the row has no such figure. */
function valueIn(row: Row, metric: Metric): number | undefined {
  if (metric === "median") return row.ns;
  if (metric === "ratio") return row.ratios[row.versus];
  const latency = row.latencies.lpar;
  return (latency?.corrected ?? latency?.uncorrected)?.[PERCENTILES[metric] as keyof Percentiles];
}

/** @returns what does not keep to the assertions, a line each; an assertion that no row can keep is among them. */
export function missedBy(report: Report, assertions: readonly Assertion[]): readonly string[] {
  return assertions.flatMap((assertion) => {
    const { text, rows, metric, isStrict, limit } = assertion;
    const write = metric === "ratio" ? formatRatio : formatTime;
    const figures = report.rows
      .filter((row) => rowName(row).includes(rows))
      .flatMap((row) => {
        const value = valueIn(row, metric);
        return value === undefined ? [] : [{ row, value }];
      });
    if (figures.length === 0) {
      const where = rows === "" ? "" : ` with "${rows}" in its name`;
      return [`${text}: no row${where} has a ${metric}`];
    }
    return figures
      .filter(({ value }) => (isStrict ? value >= limit : value > limit))
      .map(({ row, value }) => `${text}: ${rowName(row)} has ${metric} ${write(value)}`);
  });
}
