/** A report as one page that needs nothing else: charts as SVG in it, and below each the figures as a table. */

import { curveChart, type DrawnCurve, distributionChart, type RatioRow, ratioChart } from "./chart.js";
import {
  countReached,
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
import type { Bin } from "./histogram.js";
import type { Latency } from "./latency.js";
import { type Child, element, emptyElement, type Markup, table } from "./markup.js";
import { PAGE_STYLE } from "./page-style.js";
import { PARAMETERS } from "./parameters.js";
import { baselinesOf, type Report, type Row, rowName, shortName } from "./report.js";
import { type BreakEven, breakEvens, type Curve, type Family, familiesOf } from "./series.js";
import { BASELINES, type BaselineName, type SuiteName } from "./suite.js";

/** The colours of a suite: ours is the first, each baseline has its own. */
function coloursOf(rows: readonly Row[]): (contender: string) => number {
  const baselines = baselinesOf(rows);
  return (contender) => 1 + baselines.indexOf(contender as BaselineName);
}

function figure(chart: Markup, ...below: readonly Child[]): Markup {
  // Where the page is too narrow for the chart's letters, the chart scrolls.
  return element("figure", {}, element("div", { class: "scroll", tabindex: 0 }, chart), ...below);
}

// ---------------------------------------------------------------- ratios

function ratioRow(row: Row, colourOf: (contender: string) => number): RatioRow {
  const { ratios, ratioIntervals, versus } = row;
  const dots = BASELINES.flatMap((name) => {
    const ratio = ratios[name];
    const interval = ratioIntervals[name];
    if (ratio === undefined || interval === undefined) return [];
    const { low, high } = interval;
    return [{ series: name, colour: colourOf(name), ratio, low, high, isMain: name === versus }];
  });
  const reached = describeReached(row);
  return { name: shortName(row), note: reached === "-" ? "" : reached, dots };
}

function ratioSection(
  suite: SuiteName,
  rows: readonly Row[],
  colourOf: (contender: string) => number,
): Child {
  const compared = rows.filter(({ ratios }) => Object.keys(ratios).length > 0);
  const baselines = baselinesOf(rows);
  const hasSlices = rows.some(({ longestMs }) => longestMs !== undefined);
  const header = [
    "what",
    "lpar",
    "interval",
    ...baselines,
    "ratio",
    ...(hasSlices ? ["longest slice"] : []),
    "target",
    "reached",
  ];
  const lines = rows.map((row) => [
    shortName(row),
    formatTime(row.ns),
    describeInterval(row.interval, formatTime),
    ...baselines.map((name) => (row.baselines[name] === undefined ? "" : formatTime(row.baselines[name]))),
    row.ratios[row.versus] === undefined
      ? ""
      : `${formatRatio(row.ratios[row.versus] as number)} x ${row.versus}`,
    ...(hasSlices ? [row.longestMs === undefined ? "" : `${row.longestMs.toFixed(2)} ms`] : []),
    describeTarget(row),
    reachedMark(row),
  ]);
  const end = baselines.length + 4 + (hasSlices ? 1 : 0);
  const figures = table(header, lines, (column) => column > 0 && column < end);
  if (compared.length === 0) return figures;
  return figure(
    ratioChart(
      `${suite}: our time by that of each baseline`,
      compared.map((row) => ratioRow(row, colourOf)),
    ),
    figures,
  );
}

function reachedMark(row: Row): Child {
  const reached = describeReached(row);
  if (reached === "-") return "";
  return element("span", { class: reached.startsWith("no") ? "missed" : "reached" }, reached);
}

// ---------------------------------------------------------------- curves

/** Baselines beside each of our curves are often the same: each is drawn once. */
function distinct(curves: readonly Curve[]): readonly Curve[] {
  const seen = new Map(
    curves.map((curve) => [JSON.stringify([curve.contender, curve.points]), curve] as const),
  );
  return [...seen.values()];
}

/** Our curves by what they do; baselines by their names, and by what they do if that is not clear. */
function nameOf(curve: Curve, curves: readonly Curve[]): string {
  if (curve.contender === "lpar") return `lpar: ${curve.what}`;
  const sameKind = curves.filter(({ contender }) => contender === curve.contender);
  return sameKind.length === 1 ? curve.contender : `${curve.contender}: ${curve.what}`;
}

/** Baselines have the colours of their suite, whatever they do; our own curves ours, and then what is left. */
function drawCurves(curves: readonly Curve[], colourOf: (contender: string) => number): DrawnCurve[] {
  const own = curves.filter(({ contender }) => contender === "lpar");
  const taken = Math.max(0, ...curves.map(({ contender }) => colourOf(contender)));
  return curves.map((curve) => {
    const index = own.indexOf(curve);
    return {
      name: nameOf(curve, curves),
      colour: index < 0 ? colourOf(curve.contender) : index === 0 ? 0 : taken + index,
      isDashed: index < 0,
      points: curve.points.map(({ x, ns, low, high }) => ({ x, y: ns, low, high })),
    };
  });
}

function formatPlace(value: number): string {
  const exponent = Math.log2(value);
  return Number.isInteger(exponent) && exponent >= 10 ? `2^${exponent}` : value.toLocaleString("en-US");
}

function describeBreakEven({ batches, singles, batch }: BreakEven): string {
  const than = singles.contender === "lpar" ? singles.what : singles.contender;
  if (batch === undefined) return `${batches.what}: not cheaper than ${than} at any size measured`;
  return `${batches.what}: cheaper than ${than} from batches of ${batch.toLocaleString("en-US")} on`;
}

function familySection(family: Family, colourOf: (contender: string) => number): Markup {
  const { suite, parameter } = family;
  const curves = distinct(family.curves);
  const drawn = drawCurves(curves, colourOf);
  const evens = breakEvens(family);
  const places = [...new Set(curves.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const lines = drawn.map(({ name, points }) => [
    name,
    ...places.map((place) => {
      const point = points.find(({ x }) => x === place);
      return point === undefined ? "" : formatTime(point.y);
    }),
  ]);
  const title = `${suite}: cost against ${parameter}`;
  return element(
    "section",
    {},
    element("h3", {}, title),
    figure(
      curveChart({
        title,
        x: { label: `${parameter}: ${PARAMETERS[parameter].what}`, format: formatPlace },
        y: { label: "time of one operation", format: formatTime },
        curves: drawn,
        marks: evens.flatMap(({ batch }) => (batch === undefined ? [] : [{ x: batch, name: "break-even" }])),
      }),
      evens.map((even) => element("p", {}, describeBreakEven(even))),
      table([parameter, ...places.map(formatPlace)], lines, (column) => column > 0),
    ),
  );
}

// ---------------------------------------------------------------- latencies

function shares(bins: readonly Bin[]): { from: number; to: number; share: number }[] {
  const all = bins.reduce((sum, [, count]) => sum + count, 0);
  return bins.map(([from, count], index) => ({
    from,
    to: bins[index + 1]?.[0] ?? from * 2 ** 0.25,
    share: count / all,
  }));
}

function latencySection(row: Row, colourOf: (contender: string) => number): Child {
  const all = Object.entries(row.latencies).filter(([, { count }]) => count > 0);
  const own = row.latencies.lpar;
  if (own === undefined || own.count === 0) return undefined;
  const [[kind, percentiles]] = kindsOf(own) as [ReturnType<typeof kindsOf>[number]];
  const title = `${rowName(row)}: latency of one operation${kind === "" ? "" : `, ${kind}`}`;
  const marks = (["p50", "p99", "p999"] as const).map((field) => ({
    x: percentiles[field],
    name: `${field === "p999" ? "p99.9" : field} ${formatTime(percentiles[field])}`,
  }));
  return element(
    "section",
    {},
    element("h3", {}, title),
    figure(
      distributionChart(
        title,
        { label: "latency", format: formatTime },
        all.map(([name, { bins }]) => ({ name, colour: colourOf(name), bins: shares(bins) })),
        marks,
      ),
      latencyTable(all),
    ),
  );
}

function latencyTable(all: readonly (readonly [string, Latency])[]): Markup {
  const lines = all.flatMap(([contender, latency]) =>
    kindsOf(latency).map(([kind, percentiles]) => [
      `${contender} ${kind}`.trim(),
      ...PERCENTILE_NAMES.map(([field]) => formatTime(percentiles[field])),
      latency.count.toLocaleString("en-US"),
      describeLatency(latency),
    ]),
  );
  const header = ["", ...PERCENTILE_NAMES.map(([, name]) => name), "count", "notes"];
  return table(header, lines, (column) => column > 0 && column < header.length - 1);
}

// ---------------------------------------------------------------- the page

function suiteSection(suite: SuiteName, report: Report, families: readonly Family[]): Child {
  const rows = report.rows.filter((row) => row.suite === suite);
  if (rows.length === 0) return undefined;
  const colourOf = coloursOf(rows);
  return element(
    "section",
    { id: suite },
    element("h2", {}, suite),
    ratioSection(suite, rows, colourOf),
    families.filter((family) => family.suite === suite).map((family) => familySection(family, colourOf)),
    rows.map((row) => latencySection(row, colourOf)),
  );
}

function list(title: string, lines: readonly string[]): Child {
  if (lines.length === 0) return undefined;
  return element(
    "section",
    {},
    element("h2", {}, title),
    element(
      "ul",
      {},
      lines.map((one) => element("li", {}, one)),
    ),
  );
}

function summary({ rows }: Report): string {
  const hasTargets = rows.some(({ target }) => target?.reached !== undefined);
  return `${rows.length} rows; ${hasTargets ? countReached(rows) : "none has a target"}.`;
}

function navigation(suites: readonly SuiteName[]): Markup {
  return element(
    "nav",
    { "aria-label": "suites" },
    suites.map((suite) => [element("a", { href: `#${suite}` }, suite), " "]),
  );
}

export function toHtml(report: Report): string {
  const families = familiesOf(report);
  const suites = report.options.suites.filter((suite) => report.rows.some((row) => row.suite === suite));
  const page = element(
    "html",
    { lang: "en" },
    element(
      "head",
      {},
      emptyElement("meta", { charset: "utf-8" }),
      emptyElement("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
      emptyElement("meta", {
        "http-equiv": "Content-Security-Policy",
        content: "default-src 'none'; style-src 'unsafe-inline'",
      }),
      emptyElement("meta", { name: "color-scheme", content: "light dark" }),
      element("title", {}, `lpar bench, ${report.startedAt.slice(0, 10)}`),
      { markup: `<style>${PAGE_STYLE}</style>` },
    ),
    element(
      "body",
      {},
      element("h1", {}, "lpar bench"),
      element(
        "ul",
        { class: "run" },
        describeRun(report).map((one) => element("li", {}, one)),
      ),
      element("p", {}, summary(report)),
      navigation(suites),
      list("Wrong results", report.wrong),
      suites.map((suite) => suiteSection(suite, report, families)),
      list("Notes", report.notes),
      list("Left out", report.leftOut),
      list("How to read it", [
        `Times are medians, of ${OPERATIONS}.`,
        `${describeIntervals(report.rows).replace(/^./, (letter) => letter.toUpperCase())}; where there are fewer than six, they are as wide as the measurements.`,
        "Repetitions are interleaved: each contender takes its turn in every one of them. Ratios are those of the medians; their intervals are those of the single repetitions.",
        "Full dots are the baseline that counts, and rings the others. Dashed curves are baselines.",
        "Latencies are those of single operations, or of blocks of them where one is too short for the clock.",
      ]),
    ),
  );
  return `<!DOCTYPE html>\n${page.markup}\n`;
}
