/** A graph as an SVG of its own: nothing is fetched, no script, readable in light and dark, and by a screen reader. */
import { escapeMarkup } from "./escape.js";
import type { Arrow, Graph } from "./graph.js";
import { cut, LINE_HEIGHT, layOutGraph, type Place, type PlacedBox, widthOf } from "./graph-layout.js";
import { printable } from "./words.js";

const LABEL_MAX = 34;
const LABEL_HEIGHT = 15;
/** Of more arrows each would look for its place among too many others: then tooltips alone tell them. */
const LABELLED_MAX = 2000;
/** Where along an arrow its label may stand, on it or beside it; the first place that is free. */
const LABEL_AT = [0.5, 0.62, 0.38, 0.72, 0.28, 0.82, 0.18];

/** The style of every drawing: who serves one says by its hash that a browser may take it. */
export const STYLE = `
svg { --back: #ffffff; --ink: #1b1f24; --faint: #57606a; --box: #f3f6f9; --edge: #3a5f8a; --bad: #b3121d; --badbox: #fdecee; }
@media (prefers-color-scheme: dark) {
  svg { --back: #0f1318; --ink: #e8edf2; --faint: #a3adb8; --box: #1b222b; --edge: #86b3e6; --bad: #ff8f8f; --badbox: #35181b; }
}
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--ink); }
.title { font-weight: bold; font-size: 15px; }
.back { fill: var(--back); }
.box { fill: var(--box); stroke: var(--faint); }
.more { fill: var(--faint); }
.arrow { fill: none; stroke: var(--edge); stroke-width: 1.4; }
.label { paint-order: stroke; stroke: var(--back); stroke-width: 4px; fill: var(--ink); }
.head { fill: var(--edge); stroke: none; }
.failed .box { fill: var(--badbox); stroke: var(--bad); stroke-width: 2.5; }
.failed .arrow { stroke: var(--bad); stroke-width: 2.2; }
.failed .head { fill: var(--bad); }
.failed text { fill: var(--bad); }
.quarantined .box, .quarantined .arrow { stroke-dasharray: 8 5; }
.rescinded .box, .rescinded .arrow { stroke-dasharray: 2 4; }
.offered .arrow, .offered .box { stroke-width: 0.8; }
`;

/** Text as XML takes it, in elements and in attributes. */
export function xml(text: string): string {
  return escapeMarkup(printable(text));
}

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Curve {
  readonly points: readonly [Point, Point, Point, Point];
  readonly arrow: Arrow;
}

function pointOn([a, b, c, d]: Curve["points"], t: number): Point {
  const at = (p: number, q: number, r: number, s: number): number =>
    (1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t ** 2 * r + t ** 3 * s;
  return { x: at(a.x, b.x, c.x, d.x), y: at(a.y, b.y, c.y, d.y) };
}

/** Which side of its box each end of an arrow takes; neighbours on a side share its length. */
class Sides {
  readonly #counts: Map<string, number> = new Map();
  readonly #taken: Map<string, number> = new Map();

  count(side: string): void {
    this.#counts.set(side, (this.#counts.get(side) ?? 0) + 1);
  }

  /** A place from 0 to 1 along a side. */
  next(side: string): number {
    const taken = (this.#taken.get(side) ?? 0) + 1;
    this.#taken.set(side, taken);
    return taken / ((this.#counts.get(side) ?? 1) + 1);
  }
}

/** Arrows between rows leave below and arrive above, or the other way round; within a row they go round below it. */
function curvesOf({ arrows, isForest }: Graph, boxes: ReadonlyMap<string, PlacedBox>): Curve[] {
  const ends = arrows.flatMap((arrow) => {
    const [from, to] = [boxes.get(arrow.from), boxes.get(arrow.to)];
    if (from === undefined || to === undefined || from === to) return [];
    const isBack = !isForest && to.y < from.y;
    const isLevel = !isForest && to.y === from.y;
    const out = isForest ? "right" : isBack ? "top" : "bottom";
    const into = isForest ? "left" : isBack || isLevel ? "bottom" : "top";
    return [{ arrow, from, to, out, into }];
  });
  const sides = new Sides();
  const order = [...ends].sort((a, b) => a.from.x - b.from.x || a.to.x - b.to.x);
  for (const { from, to, out, into } of order) {
    sides.count(`${from.box.id} ${out}`);
    sides.count(`${to.box.id} ${into}`);
  }
  // Who goes far to the left leaves at the left.
  const starts = new Map<Arrow, number>();
  for (const { arrow, from, out } of [...ends].sort((a, b) => a.to.x - b.to.x))
    starts.set(arrow, sides.next(`${from.box.id} ${out}`));
  return order.map(({ arrow, from, to, out, into }): Curve => {
    const start = sidePoint(from, out, starts.get(arrow) ?? 0.5);
    const end = sidePoint(to, into, sides.next(`${to.box.id} ${into}`));
    const reach = isForest
      ? (end.x - start.x) / 2
      : Math.max(40, Math.min(160, Math.abs(end.y - start.y) / 2));
    return { arrow, points: [start, off(start, out, reach), off(end, into, reach), end] };
  });
}

function sidePoint(box: Place, side: string, share: number): Point {
  if (side === "left") return { x: box.x, y: box.y + box.height / 2 };
  if (side === "right") return { x: box.x + box.width, y: box.y + box.height / 2 };
  return { x: box.x + box.width * share, y: side === "top" ? box.y : box.y + box.height };
}

function off({ x, y }: Point, side: string, reach: number): Point {
  if (side === "left") return { x: x - reach, y };
  if (side === "right") return { x: x + reach, y };
  return { x, y: side === "top" ? y - reach : y + reach };
}

function overlaps(a: Place, b: Place): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** A free place for the label of a curve; undefined if all lie on a box or another label: then only its tooltip tells it. */
function labelPlace(text: string, points: Curve["points"], taken: readonly Place[]): Place | undefined {
  const width = widthOf(text) + 6;
  for (const beside of [0, width / 2 + 4, -width / 2 - 4]) {
    for (const t of LABEL_AT) {
      const { x, y } = pointOn(points, t);
      const place = { x: x + beside - width / 2, y: y - LABEL_HEIGHT / 2, width, height: LABEL_HEIGHT };
      if (place.x >= 0 && !taken.some((other) => overlaps(place, other))) return place;
    }
  }
  return undefined;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** The head of an arrow: a triangle at its end, in the direction in which it arrives. */
function headOf([, , before, end]: Curve["points"]): string {
  const angle = Math.atan2(end.y - before.y, end.x - before.x);
  const corner = (turn: number): string =>
    `${n(end.x - 9 * Math.cos(angle + turn))},${n(end.y - 9 * Math.sin(angle + turn))}`;
  return `<polygon class="head" points="${n(end.x)},${n(end.y)} ${corner(0.4)} ${corner(-0.4)}"/>`;
}

function drawArrow({ arrow, points }: Curve, isForest: boolean): string {
  const [a, b, c, d] = points;
  const path = `M${n(a.x)} ${n(a.y)}C${n(b.x)} ${n(b.y)} ${n(c.x)} ${n(c.y)} ${n(d.x)} ${n(d.y)}`;
  const title = arrow.label === "" ? "" : `<title>${xml(arrow.label)}</title>`;
  const head = isForest ? "" : headOf(points);
  return `<g class="${arrow.look}">${title}<path class="arrow" d="${path}"/>${head}</g>\n`;
}

function drawBox({ box, lines, x, y, width, height }: PlacedBox): string {
  const texts = lines.map((line, index) => {
    const style = index === 0 ? "" : ' class="more"';
    return `<text${style} x="${n(x + 10)}" y="${n(y + LINE_HEIGHT * (index + 1))}">${xml(line)}</text>`;
  });
  const title = `<title>${xml(box.lines.join(", "))}</title>`;
  const shape = `<rect class="box" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" rx="5"/>`;
  return `<g class="${box.look}">${title}${shape}${texts.join("")}</g>\n`;
}

/** The whole drawing. */
export function toSvg(graph: Graph): string {
  const { width, height, boxes } = layOutGraph(graph);
  const byId = new Map(boxes.map((placed) => [placed.box.id, placed]));
  const curves = curvesOf(graph, byId);
  const taken: Place[] = [...boxes];
  const labels = curves.map(({ arrow, points }) => {
    const text = curves.length > LABELLED_MAX ? "" : cut(arrow.label, LABEL_MAX);
    const place = text === "" ? undefined : labelPlace(text, points, taken);
    if (place === undefined) return "";
    taken.push(place);
    const at = `x="${n(place.x + 3)}" y="${n(place.y + 11)}" textLength="${n(widthOf(text))}"`;
    return `<g class="${arrow.look}"><text class="label" ${at} lengthAdjust="spacingAndGlyphs">${xml(text)}</text></g>\n`;
  });
  const legend = "red: failed · dashed: kept by views · dotted: rescinded or stopped · thin: offered";
  const wide = Math.max(width, widthOf(legend) + widthOf(graph.title) * 1.3 + 90);
  const size = `width="${n(wide)}" height="${n(height)}" viewBox="0 0 ${n(wide)} ${n(height)}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${xml(graph.title)}">\n`,
    `<title>${xml(graph.title)}</title>\n<style>${STYLE}</style>\n`,
    `<rect class="back" width="100%" height="100%"/>\n`,
    `<text class="title" x="24" y="28">${xml(graph.title)}</text>\n`,
    `<text class="more" x="${n(60 + widthOf(graph.title) * 1.3)}" y="28">${xml(legend)}</text>\n`,
    ...curves.map((curve) => drawArrow(curve, graph.isForest)),
    ...boxes.map(drawBox),
    ...labels,
    boxes.length === 0 ? '<text class="more" x="24" y="60">nothing to show</text>\n' : "",
    "</svg>\n",
  ].join("");
}
