/** Crash, notice, grace, recovery, restart: a lane for each partition, in the inspector's page, and the same as a list. */
import type { HistoryEntry } from "../../history.js";
import type { TableSnapshot } from "../../snapshot.js";
import { Names, printable } from "../words.js";
import { html, svg, table } from "./dom.js";

const LANE_HEIGHT = 34;
const LEFT = 4;
const WIDTH = 960;
/** Pixels between two moments that are drawn by their order. */
const STEP = 148;
/** Milliseconds between partitions that were not created in one go. */
const SAME_MS = 20;
const EVENTS_SHOWN = 40;
const LISTED = 200;

const WORDS: Readonly<Record<HistoryEntry["type"], string>> = {
  "partition-created": "created",
  "partitions-connected": "connected",
  "partition-failed": "crash",
  "partners-told": "notice",
  "grace-begun": "grace begins",
  "grace-over": "grace is over",
  "partition-recovered": "recovered",
  "partition-restarted": "restarted",
  "partition-destroyed": "destroyed",
  "partition-given-up": "given up",
  drift: "drift",
  "drift-ended": "drift ended",
};

/** What a partition is from an event on. */
const AFTER: Readonly<Partial<Record<HistoryEntry["type"], string>>> = {
  "partition-created": "running",
  "partition-failed": "recovering",
  "grace-begun": "grace",
  "grace-over": "recovering",
  "partition-recovered": "stopped",
  "partition-restarted": "running",
  "partition-destroyed": "",
};

function formatMs(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}

interface Scale {
  x(entry: HistoryEntry): number;
  readonly end: number;
}

/** By time, or by the order of what happened, with room for a few words between two moments. */
function scaleOf(events: readonly HistoryEntry[], now: number, isToScale: boolean): Scale {
  if (isToScale) {
    const first = events[0]?.at ?? 0;
    const length = Math.max(now - first, 1e-6);
    const end = WIDTH - 10;
    return { x: ({ at }) => LEFT + ((at - first) / length) * (end - LEFT), end };
  }
  const places: Map<number, number> = new Map();
  let place = 0;
  for (const [index, event] of events.entries()) {
    const before = events[index - 1];
    // A crash and its grace period begin at once; what was created in one go is one moment, too.
    const isSame =
      event.type === "grace-begun" ||
      (event.type === "partition-created" && before?.type === event.type && event.at - before.at < SAME_MS);
    if (index > 0 && !isSame) place++;
    places.set(event.number, place);
  }
  return {
    x: ({ number }) => LEFT + (places.get(number) ?? 0) * STEP,
    end: Math.max(WIDTH - 10, LEFT + (place + 1) * STEP),
  };
}

function span(state: string, from: number, to: number, y: number, ms: number): SVGElement[] {
  if (state === "" || to <= from) return [];
  const label = `${state} ${formatMs(ms)}`;
  const box = { x: from, y: y + 6, width: to - from, height: LANE_HEIGHT - 14, rx: 3 };
  const fits = (to - from) / 7.3 > label.length;
  return [
    svg("rect", { class: `span ${state}`, ...box }, svg("title", {}, label)),
    ...(fits ? [svg("text", { x: from + 5, y: y + 20 }, label)] : []),
  ];
}

function lane(
  lpid: number,
  all: readonly HistoryEntry[],
  {
    y,
    now,
    scale,
    start,
  }: { readonly y: number; readonly now: number; readonly scale: Scale; readonly start: string },
): SVGElement[] {
  const drawn: SVGElement[] = [];
  let [state, from, since] = [start, LEFT, all[0]?.at ?? now];
  for (const event of all) {
    if (event.lpid !== lpid) continue;
    const next = event.type === "grace-begun" && event.detail === "defer" ? "deferred" : AFTER[event.type];
    const x = scale.x(event);
    if (event.type === "partition-failed") {
      const title = svg("title", {}, `crash: ${event.detail}`);
      drawn.push(svg("line", { class: "mark", x1: x, x2: x, y1: y, y2: y + LANE_HEIGHT - 2 }, title));
    }
    if (next === undefined) continue;
    drawn.push(...span(state, from, x, y, event.at - since));
    [state, from, since] = [next, x, event.at];
  }
  drawn.push(...span(state, from, scale.end, y, Math.max(0, now - since)));
  for (const event of all)
    if (event.lpid === lpid && event.type === "partition-failed")
      drawn.push(svg("text", { class: "marktext", x: scale.x(event) - 4, y: y + 5 }, "\u2716 crash"));
  return drawn;
}

/** What a partition was before the events that are drawn. */
function stateBefore(
  lpid: number,
  drawn: readonly HistoryEntry[],
  earlier: readonly HistoryEntry[],
  now?: string,
): string {
  const before = earlier.findLast((event) => event.lpid === lpid);
  if (before !== undefined) return AFTER[before.type] ?? "";
  // Of one that has no history any more only what it is now is known.
  return drawn.some((event) => event.lpid === lpid) ? "" : (now ?? "");
}

/** The names stay where they are while the lanes are scrolled. */
function lanes(
  { partitions }: TableSnapshot,
  events: readonly HistoryEntry[],
  earlier: readonly HistoryEntry[],
  { now, isToScale }: { readonly now: number; readonly isToScale: boolean },
): HTMLElement {
  const shown = new Map(partitions.map(({ lpid, name }) => [lpid, printable(name)]));
  for (const { lpid, name } of events) if (lpid !== 0 && !shown.has(lpid)) shown.set(lpid, printable(name));
  const states = new Map(partitions.map(({ lpid, state }) => [lpid, state]));
  const scale = scaleOf(events, now, isToScale);
  const [width, height] = [scale.end + 10, shown.size * LANE_HEIGHT + 24];
  const drawn = Array.from(shown.keys()).flatMap((lpid, index) => {
    const start = stateBefore(lpid, events, earlier, states.get(lpid));
    return lane(lpid, events, { y: 14 + index * LANE_HEIGHT, now, scale, start });
  });
  const what = isToScale
    ? "time from left to right, true to scale"
    : "in the order of what happened; not to scale";
  const picture = svg(
    "svg",
    {
      ...{ class: "lanes", width, height, viewBox: `0 0 ${width} ${height}`, role: "img" },
      "aria-label": "Lanes of the partitions; the list below says the same",
    },
    ...drawn,
    svg("text", { class: "tick", x: width - 10, y: height - 4, "text-anchor": "end" }, what),
  );
  const names = Array.from(shown, ([lpid, name]) => html("div", {}, `${lpid} ${name}`));
  return html(
    "div",
    { class: "lanes-and-names" },
    html("div", { class: "lane-names", "aria-hidden": "true" }, ...names),
    html(
      "div",
      { class: "scroll lanes-scroll", tabindex: 0, role: "region", "aria-label": "Lanes" },
      picture,
    ),
  );
}

function list(snapshot: TableSnapshot): HTMLElement {
  const names = new Names(snapshot);
  const rows = snapshot.events
    .slice(-LISTED)
    .toReversed()
    .map((event) => [
      String(event.number),
      event.at.toFixed(1),
      event.name,
      String(event.incarnation),
      html(
        "span",
        { class: event.type === "partition-failed" ? "bad" : "" },
        WORDS[event.type] ?? event.type,
      ),
      [event.detail, event.partners.map((lpid) => names.of(lpid)).join(", ")]
        .filter((one) => one !== "")
        .join("; "),
    ]);
  return table(["number", "ms", "partition", "incarnation", "what", "detail"], rows, new Set([0, 1, 3]));
}

/** The lanes of what happened lately, and the list. @param now in milliseconds of the table's clock, if it runs. */
export function timeline(snapshot: TableSnapshot, now: number | undefined, isToScale: boolean): Element[] {
  const { events } = snapshot;
  if (events.length === 0) return [html("p", { class: "note" }, "nothing has happened")];
  const lives = events.filter(({ type }) => AFTER[type] !== undefined);
  const shown = lives.slice(-EVENTS_SHOWN);
  const end = now ?? events.at(-1)?.at ?? 0;
  return [lanes(snapshot, shown, lives.slice(0, -EVENTS_SHOWN), { now: end, isToScale }), list(snapshot)];
}
