/** Every view of a table is a pure function of its snapshot: lists, drawings, checks. */
import { beforeAll, describe, expect, test } from "vitest";
import { formatListing, formatOverview, LISTING_NAMES, listingObjects } from "../src/driver/listing.js";
import { formatTable } from "../src/driver/output.js";
import { fitted, formatFrame } from "../src/driver/top.js";
import type { TableSnapshot } from "../src/index.js";
import { checkSnapshot } from "../src/inspect/check.js";
import { type Graph, partitionGraph, treeGraph } from "../src/inspect/graph.js";
import { layOutGraph } from "../src/inspect/graph-layout.js";
import { toSvg } from "../src/inspect/graph-svg.js";
import { toDot, toMermaid } from "../src/inspect/graph-text.js";
import { parseSnapshot, SnapshotError } from "../src/inspect/parse.js";
import { crowdedSnapshot, eventfulSnapshot } from "./support/snapshots.js";

let eventful: TableSnapshot;
let crowded: TableSnapshot;
beforeAll(async () => {
  eventful = await eventfulSnapshot();
  crowded = await crowdedSnapshot(200);
});

/** The snapshot with something else at a place, such as "partitions.0.name"; without it if that is undefined. */
function changed(path: string, value: unknown): TableSnapshot {
  const copy = structuredClone(eventful);
  const steps = path.split(".");
  const last = steps.pop() as string;
  const at = steps.reduce((object: unknown, step) => (object as Record<string, unknown>)[step], copy);
  if (value === undefined) delete (at as Record<string, unknown>)[last];
  else (at as Record<string, unknown>)[last] = value;
  return copy;
}

/** A partition's name that tries everything that some format would obey. */
function renamed(name: string): TableSnapshot {
  const partitions = eventful.partitions.map((partition, index) =>
    index === 0 ? { ...partition, name } : partition,
  );
  return { ...eventful, partitions };
}

const HOSTILE = '"><script>&\\"]|;\n\u001b[31m#}%%';

describe("lists", () => {
  test("each list has a line for each thing, aligned under its header, and --json has the same things", () => {
    for (const name of LISTING_NAMES) {
      const lines = formatListing(name, eventful).split("\n");
      const objects = listingObjects(name, eventful);
      expect(objects.length, name).toBeGreaterThan(0);
      expect(lines.length, name).toBe(objects.length + 1);
    }
  });

  test("a partition's line shows its state in words, and what it holds", () => {
    const lines = formatListing("partitions", eventful).split("\n");
    expect(lines[1]).toMatch(/^ *1 {2}server {3}running +1 +- +64 +0 +20 +4 +0 +0 +2 +0 +0$/);
    expect(lines.find((line) => line.includes("crashed"))).toContain("failed, grace");
  });

  test("a grant's line shows rights, mode, copies, frames that views keep, and who granted it", () => {
    const lines = formatListing("grants", eventful).split("\n");
    const line = (word: string): string => lines.find((one) => one.includes(word)) ?? "";
    expect(line("lend zero")).toMatch(
      /server +decoder +memory +131072 +4 pages +\d+ +rw regrant +lend zero +shared/,
    );
    expect(line("copy-on-write (1)")).toContain("4 pages");
    expect(line("rescinded")).toMatch(/server +web .* rescinded +1 +- +1 +1$/);
  });

  test("the overview tells frames, structures and groups; an empty table has empty lists", () => {
    expect(formatOverview(eventful)).toMatch(/^frames +\d+ of 256 used, 1 kept by views$/m);
    expect(formatOverview(eventful)).toContain("frames: 1 resources, 0 members");
    const empty = { ...eventful, partitions: [], events: [] };
    for (const name of LISTING_NAMES) expect(formatListing(name, empty)).toBe("none");
  });

  test("no name from outside puts control characters on the terminal", () => {
    const texts = LISTING_NAMES.map((name) => formatListing(name, renamed(HOSTILE)));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    for (const text of texts) expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
  });
});

describe("top", () => {
  test("a frame has bars, partitions and the last events, and is cut to the terminal", () => {
    const moved = { ...eventful, counters: { ...eventful.counters, pagesMoved: 7 } };
    const frame = formatFrame("here", moved, {
      ...eventful,
      counters: { ...eventful.counters, pagesMoved: 2 },
    });
    expect(frame).toMatch(/^frames {5}\[#+\.+\] \d+ of 256$/m);
    expect(frame).toContain("5 pages moved since");
    expect(frame).toContain("partners-told");
    const lines = fitted(frame, 40, 10).split("\n");
    expect(lines.length).toBe(9);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40);
    expect(fitted("\u65e5\u672c\u8a9e", 6, 10)).toBe("\u65e5\u672c");
  });
});

describe("graphs", () => {
  test("partitions are boxes, grants arrows with rights and pages; failed and quarantined ones look so", () => {
    const { boxes, arrows } = partitionGraph(eventful);
    expect(boxes.map(({ lines, look }) => [lines[0], look])).toEqual([
      ["1 server", "plain"],
      ["2 cache", "plain"],
      ["3 web", "plain"],
      ["4 decoder", "plain"],
      ["5 old", "rescinded"],
      ["6 crashed", "failed"],
    ]);
    expect(arrows.map(({ from, to, label, look }) => [from, to, label, look])).toEqual([
      ["p1", "p2", "rw 8 pages", "plain"],
      ["p2", "p3", "r 2 pages", "plain"],
      ["p1", "p3", "rw copy-on-write 4 pages", "plain"],
      ["p1", "p3", "quarantined: rw 2 pages (1 kept by views)", "quarantined"],
      ["p6", "p3", "failed: rw 3 pages", "failed"],
      ["p1", "p4", "rw lend 4 pages", "plain"],
      ["p1", "p4", "offered: rw donate 16 pages", "offered"],
    ]);
  });

  test("trees lead from a resource to what was granted of it, and on; what was cut off has a root of its own", () => {
    const { boxes, arrows } = treeGraph(eventful);
    const text = (id: string): string => boxes.find((box) => box.id === id)?.lines[0] ?? "";
    const paths = arrows.map(({ from, to }) => `${text(from)} > ${text(to)}`);
    expect(paths).toContain("server > cache: rw 8 pages at 65536");
    expect(paths).toContain("cache: rw 8 pages at 65536 > web: r 2 pages at 16384");
    expect(paths.some((path) => path.startsWith("rescinded, not returned > web: rw 2 pages"))).toBe(true);
    const targets = arrows.map(({ to }) => to);
    expect(new Set(targets).size, "one way to each").toBe(targets.length);
  });

  test("DOT and Mermaid name every box and arrow, mark failed red and quarantined dashed", () => {
    const graph = partitionGraph(eventful);
    const dot = toDot(graph);
    expect(dot).toContain('p6 -> p3 [label="failed: rw 3 pages", color="red", fontcolor="red"]');
    expect(dot).toMatch(/p1 -> p3 \[label="quarantined: [^"]*", style="dashed"\]/);
    const mermaid = toMermaid(graph);
    expect(mermaid).toContain(
      'p6["6 crashed<br/>failed, grace, incarnation 1<br/>8 own, 0 mapped pages"]:::failed',
    );
    expect(mermaid).toMatch(/p1 -\.->\|"quarantined/);
    expect(mermaid).toContain("linkStyle 4 stroke:#d11");
  });

  test("no name breaks out of DOT, Mermaid or SVG", () => {
    const graph = partitionGraph(renamed(HOSTILE));
    for (const line of toDot(graph).split("\n").slice(1, -2))
      expect(line).toMatch(
        /^ {2}(label|node|p\d+( -> p\d+)? \[label)(?:[^"\\]|\\.)*(?:"(?:[^"\\]|\\.)*"[^"]*)*$/,
      );
    const [, label] = /^ {2}p1\["(.*)"\]$/m.exec(toMermaid(graph)) ?? [];
    expect(label).toMatch(/^[^"[\]<>|;&]*<br\/>[^"[\]<>|&]*<br\/>[^"[\]<>|;&]*$|^(?:[^"[\]<>|&]|<br\/>)*$/);
    const svg = toSvg(graph);
    expect(svg).not.toContain("<script");
    expect(svg).toContain("&lt;script&gt;&amp;");
  });

  function overlaps(graph: Graph): number {
    const { boxes, width, height } = layOutGraph(graph);
    let count = 0;
    for (const [index, a] of boxes.entries()) {
      expect(a.x >= 0 && a.y >= 0 && a.x + a.width <= width && a.y + a.height <= height).toBe(true);
      for (const b of boxes.slice(index + 1)) {
        const isApart =
          a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        if (!isApart) count++;
      }
    }
    expect(boxes.length).toBe(graph.boxes.length);
    return count;
  }

  test("no box lies on another, with 200 partitions and their trees", () => {
    expect(crowded.partitions.length).toBe(200);
    for (const graph of [partitionGraph, treeGraph].flatMap((make) => [make(eventful), make(crowded)]))
      expect(overlaps(graph)).toBe(0);
  });

  test("circles, chains of thousands, lone boxes and nothing at all are laid out", () => {
    const box = (id: string) => ({ id, lines: [id], look: "plain" as const });
    const arrow = (from: string, to: string) => ({ from, to, label: "rw", look: "plain" as const });
    const ids = Array.from({ length: 3000 }, (_, index) => `b${index}`);
    const chain = ids.slice(1).map((id, index) => arrow(`b${index}`, id));
    const circle = [arrow("a", "b"), arrow("b", "c"), arrow("c", "a"), arrow("a", "a"), arrow("a", "nobody")];
    const graphs: Graph[] = [
      { title: "circle", isForest: false, boxes: ["a", "b", "c", "d"].map(box), arrows: circle },
      { title: "empty", isForest: false, boxes: [], arrows: [] },
      { title: "lone", isForest: true, boxes: [box("a")], arrows: [] },
    ];
    for (const graph of graphs) expect(overlaps(graph), graph.title).toBe(0);
    for (const isForest of [true, false]) {
      const { boxes } = layOutGraph({ title: "chain", isForest, boxes: ids.map(box), arrows: chain });
      expect(boxes.length).toBe(3000);
    }
    expect(toSvg({ title: "empty", isForest: false, boxes: [], arrows: [] })).toContain("nothing to show");
  });

  test("the SVG is one document with a title, colours for light and dark, and fetches nothing", () => {
    const svg = toSvg(partitionGraph(eventful));
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*role="img" aria-label=/);
    expect(svg).toContain("prefers-color-scheme: dark");
    expect(svg.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|url\(|@import|href/);
    expect((svg.match(/<g /g) ?? []).length).toBe((svg.match(/<\/g>/g) ?? []).length);
  });

  test("labels of arrows lie on no box and on no other label", () => {
    const svg = toSvg(partitionGraph(crowded));
    const labels = [...svg.matchAll(/class="label" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"/g)].map(
      ([, x, y, width]) => ({ x: Number(x), y: Number(y) - 11, width: Number(width), height: 15 }),
    );
    const boxes = layOutGraph(partitionGraph(crowded)).boxes;
    expect(labels.length).toBeGreaterThan(150);
    const isOn = (a: (typeof labels)[number], b: { x: number; y: number; width: number; height: number }) =>
      a.x + 0.5 < b.x + b.width &&
      b.x + 0.5 < a.x + a.width &&
      a.y + 0.5 < b.y + b.height &&
      b.y + 0.5 < a.y + a.height;
    for (const [index, label] of labels.entries()) {
      expect(boxes.some((box) => isOn(label, box))).toBe(false);
      expect(labels.slice(index + 1).some((other) => isOn(label, other))).toBe(false);
    }
  });
});

describe("a large table", () => {
  test("of more grants than a call takes arguments is listed and drawn", () => {
    const ids = Array.from({ length: 130_000 }, (_, index) => `g${index}`);
    expect(formatTable([["cookie"], ...ids.map((id) => [id])], "l").split("\n").length).toBe(130_001);
    const boxes = ids.map((id) => ({ id, lines: [id], look: "plain" as const }));
    const graph: Graph = { title: "large", isForest: true, boxes, arrows: [] };
    expect(layOutGraph(graph).boxes.length).toBe(130_000);
  });

  /** Everybody has granted something to everybody else. */
  function dense(count: number): Graph {
    const ids = Array.from({ length: count }, (_, index) => `p${index}`);
    const arrows = ids.flatMap((from) =>
      ids.filter((to) => to !== from).map((to) => ({ from, to, label: "rw 1 page", look: "plain" as const })),
    );
    const boxes = ids.map((id) => ({ id, lines: [id], look: "plain" as const }));
    return { title: "dense", isForest: false, boxes, arrows };
  }

  test("has labels at its arrows while these are few enough for each to look for a place", () => {
    const count = (svg: string, what: RegExp): number => svg.match(what)?.length ?? 0;
    const few = toSvg(dense(20));
    expect(count(few, /class="label"/g)).toBeGreaterThan(50);
    const many = toSvg(dense(50));
    expect([count(many, /class="label"/g), count(many, /<title>rw 1 page</g)]).toEqual([0, 50 * 49]);
  });
});

describe("checkSnapshot()", () => {
  test("a table's own snapshot fits together", () => {
    expect(checkSnapshot(eventful)).toMatchObject({ problems: [] });
    expect(checkSnapshot(crowded).problems).toEqual([]);
    expect(checkSnapshot(crowded).checked).toBeGreaterThan(3000);
  });

  // The first grant of the third partition reads two pages, granted on by the second one.
  test.each<[string, string, unknown, RegExp]>([
    ["a counter", "partitions.0.counters.grantsOut", 9, /grants by it: 4 counted, 9 on record/],
    [
      "a right that its source has not",
      "partitions.1.grants.0.readable",
      false,
      /more rights than \d+, from/,
    ],
    ["a grant on what may not be granted on", "partitions.1.grants.0.regrantable", false, /more rights than/],
    ["a parent that is not there", "partitions.2.grants.0.parent", 5, /there is no grant 5/],
    ["a range outside its source", "partitions.2.grants.0.source", 0, /outside \d+, from which/],
    ["a range outside every resource", "partitions.1.grants.0.source", 2 ** 30, /not inside one resource/],
    ["a depth", "partitions.2.grants.0.depth", 1, /its depth: 2 counted, 1 on record/],
    ["a quota", "partitions.0.adapters.1.quota", 0, /over its quota of 0/],
    ["two maps at one address", "partitions.0.maps.0.length", 2 ** 30, /two maps of memory/],
    ["frames that nobody keeps", "quarantine", [], /frames in quarantine: 0 counted, 1/],
    ["a partition that is missing", "partitions.4", undefined, /partitions: 5 counted, 6/],
  ])("%s that does not fit is found", (title, path, value, expected) => {
    const copy = changed(path, value);
    // What was deleted from a list left a hole.
    const { problems } = checkSnapshot({ ...copy, partitions: copy.partitions.filter(Boolean) });
    expect(problems.join("\n"), title).toMatch(expected);
  });
});

describe("parseSnapshot()", () => {
  test("what inspect() answers is read as it was written", () => {
    expect(parseSnapshot("file", JSON.stringify(eventful))).toEqual(eventful);
  });

  test.each<[string, string, string]>([
    ["an empty file", " \n", "file: is empty"],
    ["no JSON", "{", "file: is no JSON ("],
    ["another value", "[1]", "file: is no snapshot: it must be an object, not [1]"],
    ["no version", "{}", "version is missing, it reads 2"],
    ["an older version", '{"version":1}', "version is 1, it reads 2"],
    // From Node 26 on it can be written, too; before, it is "something nested too deeply".
    [
      "a deep list",
      `${"[".repeat(1e5)}${"]".repeat(1e5)}`,
      "file: is no snapshot: it must be an object, not ",
    ],
  ])("%s is refused", (_, text, message) => {
    expect(() => parseSnapshot("file", text)).toThrow(SnapshotError);
    expect(() => parseSnapshot("file", text)).toThrow(message);
  });

  test.each<[string, unknown, string]>([
    ["partitions", {}, "file: partitions must be a list, not {}"],
    ["partitions.0.name", undefined, "file: partitions[0].name is missing"],
    [
      "partitions.0.state",
      "asleep",
      'state must be one of running, failed, recovering, stopped, not "asleep"',
    ],
    [
      "partitions.0.maps.0.address",
      -1,
      "file: partitions[0].maps[0].address must be a whole number from 0, not -1",
    ],
    ["counters.frames", "many", 'file: counters.frames must be a whole number from 0, not "many"'],
    ["events.0.at", null, "file: events[0].at must be a number, not null"],
    ["groups.0.members", 1, "file: groups[0].members must be a list, not 1"],
  ])("a file with something else at %s is refused, with the place", (path, value, message) => {
    const text = JSON.stringify(changed(path, value));
    expect(() => parseSnapshot("file", text)).toThrow(message);
  });
});
