/** Charts as SVG, with logarithmic axes: what is drawn here spans decades. Colours are classes, so that they follow the page. */
import { type Child, element, type Markup } from "./markup.js";
import { SERIES_COLOURS } from "./page-style.js";

const WIDTH = 860;
const FONT_PX = 12;
/** Of a letter, about, to leave room for labels. */
const LETTER_PX = 6.6;

export interface Axis {
  readonly label: string;
  readonly format: (value: number) => string;
}

interface Scale {
  (value: number): number;
  readonly low: number;
  readonly high: number;
}

/** From the values to pixels. A single value lies in the middle. */
function logScale(values: readonly number[], from: number, to: number): Scale {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const span = Math.log(high / low);
  const scale = (value: number): number =>
    round(span === 0 ? (from + to) / 2 : from + (Math.log(value / low) / span) * (to - from));
  return Object.assign(scale, { low, high });
}

/** A tenth of a pixel is enough. */
function round(pixel: number): number {
  return Math.round(pixel * 10) / 10;
}

/** 1, 2 and 5 of each decade; fewer if there were too many to read. */
function ticksBetween(low: number, high: number, countMax: number): number[] {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const ticksOf = (digits: readonly number[], step: number): number[] =>
    Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => 10 ** (first + index * step))
      .flatMap((decade) => digits.map((digit) => decade * digit))
      .filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  for (const digits of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = ticksOf(digits, 1);
    if (ticks.length <= countMax) return ticks;
  }
  return ticksOf([1], Math.ceil((last - first) / countMax));
}

function text(
  x: number,
  y: number,
  content: string,
  anchor: "start" | "middle" | "end",
  name?: string,
): Markup {
  return element("text", { x: round(x), y: round(y), "text-anchor": anchor, class: name }, content);
}

function line(x1: number, y1: number, x2: number, y2: number, name: string): Markup {
  return element("line", { x1: round(x1), y1: round(y1), x2: round(x2), y2: round(y2), class: name });
}

function svg(title: string, height: number, ...children: readonly Child[]): Markup {
  return element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      viewBox: `0 0 ${WIDTH} ${round(height)}`,
      role: "img",
      "aria-label": title,
      "font-size": FONT_PX,
    },
    element("title", {}, title),
    ...children,
  );
}

/** A name with the colour of its series in front of it; several beside each other, in as many lines as they need. */
function legend(
  entries: readonly { readonly name: string; readonly colour: number; readonly isDashed?: boolean }[],
  left: number,
  top: number,
): { readonly marks: Child[]; readonly height: number } {
  const marks: Child[] = [];
  let [x, y] = [left, top];
  for (const { name, colour, isDashed = false } of entries) {
    const width = 34 + name.length * LETTER_PX + 14;
    if (x > left && x + width > WIDTH) [x, y] = [left, y + 18];
    marks.push(
      line(x, y - 4, x + 26, y - 4, `curve series-${colour % SERIES_COLOURS}${isDashed ? " dashed" : ""}`),
      text(x + 34, y, name, "start"),
    );
    x += width;
  }
  return { marks, height: entries.length === 0 ? 0 : y - top + 18 };
}

export interface DrawnCurve {
  readonly name: string;
  readonly colour: number;
  readonly isDashed: boolean;
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    readonly low: number;
    readonly high: number;
  }[];
}

export interface CurveChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly curves: readonly DrawnCurve[];
  /** Lines across, with what they are. */
  readonly marks?: readonly { readonly x: number; readonly name: string }[];
}

/** Curves over a parameter, with their intervals. */
export function curveChart({ title, x, y, curves, marks = [] }: CurveChart): Markup {
  const points = curves.flatMap((curve) => curve.points);
  const [left, right, top, bottom] = [76, WIDTH - 28, 30, 330];
  const toX = logScale(
    points.map((point) => point.x),
    left + 12,
    right - 12,
  );
  const toY = logScale(
    points.flatMap(({ low, high }) => [low * 0.9, high * 1.1]),
    bottom,
    top,
  );
  const places = [...new Set(points.map((point) => point.x))].sort((a, b) => a - b);
  const entries = legend(curves, left, bottom + 62);
  return svg(
    title,
    bottom + 62 + entries.height,
    text(left, 14, y.label, "start", "axis"),
    ticksBetween(toY.low, toY.high, 10).map((tick) => [
      line(left, toY(tick), right, toY(tick), "grid"),
      text(left - 8, toY(tick) + 4, y.format(tick), "end"),
    ]),
    thinned(places, toX, x.format).map((place) => [
      line(toX(place), top, toX(place), bottom, "grid"),
      text(toX(place), bottom + 18, x.format(place), "middle"),
    ]),
    text((left + right) / 2, bottom + 38, x.label, "middle", "axis"),
    marks.map((mark) => [
      line(toX(mark.x), top, toX(mark.x), bottom, "mark"),
      text(toX(mark.x), top - 6, mark.name, toX(mark.x) > WIDTH / 2 ? "end" : "start", "axis"),
    ]),
    curves.map((curve) => drawCurve(curve, toX, toY)),
    entries.marks,
  );
}

/** As many of the places as have room for their labels. */
function thinned(places: readonly number[], toX: Scale, format: (value: number) => string): number[] {
  const kept: number[] = [];
  let free = Number.NEGATIVE_INFINITY;
  for (const place of places) {
    const half = (format(place).length * LETTER_PX) / 2 + 4;
    if (toX(place) - half < free) continue;
    kept.push(place);
    free = toX(place) + half;
  }
  return kept;
}

function drawCurve({ name, colour, isDashed, points }: DrawnCurve, toX: Scale, toY: Scale): Child {
  const series = `series-${colour % SERIES_COLOURS}`;
  return [
    points.map(({ x, low, high }) =>
      high > low ? line(toX(x), toY(low), toX(x), toY(high), `spread ${series}`) : [],
    ),
    element("polyline", {
      class: `curve ${series}${isDashed ? " dashed" : ""}`,
      points: points.map(({ x, y }) => `${toX(x)},${toY(y)}`).join(" "),
    }),
    points.map(({ x, y }) =>
      element(
        "circle",
        { cx: toX(x), cy: toY(y), r: 3, class: `dot ${series}` },
        element("title", {}, `${name}: ${y}`),
      ),
    ),
  ];
}

export interface RatioRow {
  readonly name: string;
  /** Behind the chart. */
  readonly note: string;
  readonly dots: readonly RatioDot[];
}

export interface RatioDot {
  readonly series: string;
  readonly colour: number;
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** The one that counts. */
  readonly isMain: boolean;
}

/** Ratios of many rows, each to several baselines: left of the line of 1 we are faster. */
export function ratioChart(title: string, rows: readonly RatioRow[]): Markup {
  const longest = (names: readonly string[]): number =>
    Math.max(0, ...names.map(({ length }) => length)) * LETTER_PX;
  const left = Math.min(360, longest(rows.map(({ name }) => name)) + 16);
  const right = WIDTH - longest(rows.map(({ note }) => note)) - 16;
  const [top, step] = [44, 24];
  const bottom = top + rows.length * step;
  const dots = rows.flatMap((row) => row.dots);
  const toX = logScale([0.5, 2, ...dots.flatMap(({ low, high }) => [low, high])], left + 10, right - 10);
  const series = new Map(dots.map((dot) => [dot.series, dot.colour]));
  const entries = legend(
    [...series].map(([name, colour]) => ({ name, colour })),
    left,
    bottom + 26,
  );
  return svg(
    title,
    bottom + 26 + entries.height,
    text(toX(1) - 8, 14, "lpar is faster", "end", "axis"),
    text(toX(1) + 8, 14, "slower", "start", "axis"),
    ticksBetween(toX.low, toX.high, (right - left) / 46).map((tick) => [
      line(toX(tick), top - 8, toX(tick), bottom, "grid"),
      text(toX(tick), top - 14, format(tick), "middle"),
    ]),
    line(toX(1), top - 8, toX(1), bottom, "mark"),
    rows.map(({ name, note, dots: own }, index) => {
      const y = top + index * step + step / 2;
      return [
        text(left - 6, y + 4, shortened(name, left), "end"),
        own.map((dot) => drawRatio(dot, y, toX, `${name}: ${format(dot.ratio)} x ${dot.series}`)),
        text(right + 10, y + 4, note, "start"),
      ];
    }),
    entries.marks,
  );
}

/** Ticks have one digit, ratios are good for three. */
function format(ratio: number): string {
  return String(Number(ratio.toPrecision(3)));
}

function shortened(name: string, width: number): string {
  const letters = Math.floor((width - 10) / LETTER_PX);
  return name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
}

function drawRatio(
  { colour, ratio, low, high, isMain }: RatioDot,
  y: number,
  toX: Scale,
  title: string,
): Child {
  const series = `series-${colour % SERIES_COLOURS}`;
  return [
    line(toX(low), y, toX(high), y, `spread ${series}`),
    element(
      "circle",
      { cx: toX(ratio), cy: y, r: isMain ? 5 : 3.5, class: `${isMain ? "dot" : "ring"} ${series}` },
      element("title", {}, title),
    ),
  ];
}

export interface Distribution {
  readonly name: string;
  readonly colour: number;
  /** Where each bin begins, and its share of all. */
  readonly bins: readonly { readonly from: number; readonly to: number; readonly share: number }[];
}

/** How often each value came, in shares of all: the first one filled, the others as outlines. */
export function distributionChart(
  title: string,
  x: Axis,
  distributions: readonly Distribution[],
  marks: readonly { readonly x: number; readonly name: string }[],
): Markup {
  const bins = distributions.flatMap((distribution) => distribution.bins);
  const [left, right, top, bottom] = [56, WIDTH - 16, 58, 240];
  const toX = logScale(
    bins.flatMap(({ from, to }) => [from, to]),
    left,
    right,
  );
  const highest = Math.max(...bins.map(({ share }) => share));
  const toY = (share: number): number => round(bottom - (share / highest) * (bottom - top));
  const entries = legend(distributions, left, bottom + 56);
  return svg(
    title,
    bottom + 56 + entries.height,
    [0, 0.5, 1].map((part) => [
      line(left, toY(highest * part), right, toY(highest * part), "grid"),
      text(left - 8, toY(highest * part) + 4, `${Math.round(highest * part * 100)} %`, "end"),
    ]),
    ticksBetween(toX.low, toX.high, 10).map((tick) => [
      line(toX(tick), bottom, toX(tick), bottom + 4, "grid"),
      text(toX(tick), bottom + 18, x.format(tick), "middle"),
    ]),
    text((left + right) / 2, bottom + 36, x.label, "middle", "axis"),
    distributions.map(({ name, colour, bins: own }, index) =>
      element(
        "polyline",
        {
          class: `${index === 0 ? "area" : "curve"} series-${colour % SERIES_COLOURS}`,
          points: [
            `${toX(own[0]?.from ?? toX.low)},${bottom}`,
            ...own.map(({ from, to, share }) => `${toX(from)},${toY(share)} ${toX(to)},${toY(share)}`),
            `${toX(own.at(-1)?.to ?? toX.high)},${bottom}`,
          ].join(" "),
        },
        element("title", {}, name),
      ),
    ),
    // One above the other, so that those that lie close can be read.
    marks.map((mark, index) => [
      line(toX(mark.x), top - 36 + index * 12, toX(mark.x), bottom, "mark"),
      text(
        toX(mark.x) + (toX(mark.x) > right - 120 ? -6 : 6),
        top - 32 + index * 12,
        mark.name,
        toX(mark.x) > right - 120 ? "end" : "start",
      ),
    ]),
    entries.marks,
  );
}
