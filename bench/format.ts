/** How a report's figures are written for people. */

import type { Percentiles } from "./histogram.js";
import type { Latency } from "./latency.js";
import type { Report, Row } from "./report.js";
import type { Interval } from "./statistics.js";

/** Three digits, in nanoseconds without a unit. */
export function formatNs(ns: number | undefined): string {
  if (ns === undefined) return "-";
  if (ns >= 100) return Math.round(ns).toLocaleString("en-US");
  return ns.toPrecision(3);
}

/** Three digits and the unit that suits. */
export function formatTime(ns: number): string {
  for (const [size, unit] of [
    [1e9, "s"],
    [1e6, "ms"],
    [1e3, "us"],
  ] as const) {
    // What rounds up to a thousand belongs to the next unit.
    if (ns >= size * 0.9995) return `${digits(ns / size)} ${unit}`;
  }
  return `${digits(ns)} ns`;
}

function digits(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
}

/** Three digits from 1 on, two below 0.1. */
export function formatRatio(ratio: number): string {
  if (ratio >= 99.95) return Math.round(ratio).toLocaleString("en-US");
  if (ratio >= 9.995) return ratio.toFixed(1);
  return ratio >= 0.1 ? ratio.toFixed(2) : ratio.toPrecision(2);
}

/** Whether a row's target was reached: "aim" is the better one of its two limits. */
export function describeReached({ target }: Row): string {
  if (target?.reached === undefined) return "-";
  const missed = [...(target.reached ? [] : ["time"]), ...(target.longestReached === false ? ["slice"] : [])];
  if (missed.length > 0) return `no (${missed.join(", ")})`;
  return target.aimReached === true ? "aim" : "yes";
}

export function describeTarget({ target }: Row): string {
  if (target === undefined) return "-";
  return target.longestMs === undefined ? target.text : `${target.text}, ${target.longestMs} ms`;
}

export const PERCENTILE_NAMES: readonly (readonly [field: keyof Percentiles, name: string])[] = [
  ["mean", "mean"],
  ["p50", "p50"],
  ["p90", "p90"],
  ["p99", "p99"],
  ["p999", "p99.9"],
  ["max", "max"],
];

/** The two kinds of a contender's latencies, the one that counts first. */
export function kindsOf({ corrected, uncorrected }: Latency): readonly (readonly [string, Percentiles])[] {
  if (corrected === undefined) return [["", uncorrected]];
  return [
    ["corrected", corrected],
    ["uncorrected", uncorrected],
  ];
}

/** What must be known of a contender's latencies to read them. */
export function describeLatency({ block, isTooShort, rate }: Latency): string {
  const means = block > 1 ? [`means of ${block} operations`] : [];
  const short = "too short for the clock";
  const notes = [
    ...(isTooShort
      ? [`${[...means, block > 1 ? `${short} even so` : short].join(", ")}: mostly the clock's own time`]
      : means.map((text) => `${text}, as one is ${short}`)),
    ...(rate === undefined ? [] : [describeRate(rate.asked, rate.achieved)]),
  ];
  return notes.join("; ");
}

function describeRate(asked: number, achieved: number): string {
  const whole = (rate: number): string => Math.round(rate).toLocaleString("en-US");
  // A little less comes of the last operation alone.
  if (achieved >= asked * 0.98) return `${whole(asked)} operations a second`;
  return `only ${whole(achieved)} of ${whole(asked)} operations a second: the queue grew, these latencies depend on the time`;
}

/** How sure the intervals of these rows are, by how many repetitions they have; rounded down. */
export function describeIntervals(rows: readonly Row[]): string {
  const sure = new Map(rows.map(({ samples, interval }) => [samples.lpar?.length ?? 0, interval.confidence]));
  const parts = [...sure]
    .filter(([, confidence]) => confidence > 0)
    .sort(([a], [b]) => b - a)
    .map(([count, confidence]) => `${Math.floor(confidence * 1000) / 10} % at ${count} repetitions`);
  if (parts.length === 0) return "one repetition has no interval";
  return `intervals hold the median with ${parts.join(", ")} (order statistics)`;
}

/** "2 ns - 3 ns" in brackets or alone; nothing where one repetition leaves it open. */
export function describeInterval(
  { low, high, confidence }: Interval,
  format: (value: number) => string,
): string {
  return confidence > 0 ? `${format(low)} - ${format(high)}` : "";
}

/** "48 of 70 targets reached", of the rows whose targets can be judged. */
export function countReached(rows: readonly Row[]): string {
  const judged = rows.filter(({ target }) => target?.reached !== undefined);
  const reached = judged.filter((row) => !isMissed(row));
  return `${reached.length} of ${judged.length} targets reached`;
}

export function isMissed(row: Row): boolean {
  return describeReached(row).startsWith("no");
}

/** What stands above every report: where, what, how. */
export function describeRun(report: Report): readonly string[] {
  const { machine, compiler, nativeMissing, options, clock } = report;
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const commit = machine.commit === null ? ", no checkout" : `, commit ${machine.commit}`;
  const parameters = Object.entries(options.parameters).map(([name, value]) => `${name} ${value}`);
  const scans = options.scans.map(({ name, values }) => `${name} ${values.join(", ")}`);
  return [
    `${machine.cpu}, ${machine.cores} cores, ${memory}, ${machine.platform}; load ${machine.load.toFixed(2)} at first, ${report.loadAtEnd.toFixed(2)} at the end`,
    `Node ${machine.node}, V8 ${machine.v8}; lpar ${machine.lpar}${commit}, core ${machine.core}; native: ${compiler ?? `left out (${nativeMissing})`}`,
    `${report.startedAt}, ${Math.round(report.seconds)} s; seed ${options.seed}; medians of ${options.repetitions} interleaved repetitions of ${options.timeMs} ms${options.repetitions > 5 ? " (5 from a million grants on)" : ""}`,
    `clock: steps of ${formatNs(clock.stepNs)} ns, ${formatNs(clock.readNs)} ns a reading`,
    ...(options.rate === null ? [] : [`open loop: ${options.rate} operations a second are due`]),
    ...(parameters.length > 0 ? [`parameters: ${parameters.join(", ")}`] : []),
    ...(scans.length > 0 ? [`scans: ${scans.join("; ")}`] : []),
    ...(options.quick ? ["quick: too short for figures, the results are checked"] : []),
    ...(report.isComplete ? [] : ["interrupted: not all was measured"]),
  ];
}

/** What a row's time is of. */
export const OPERATIONS =
  "one operation (tree: one node, recovery and exit: one grant, moves, copies: one page, handoff: there and back)";
