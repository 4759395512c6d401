/**
 * Where the boxes of a graph stand, so that none lies on another. Partitions in layers: who grants stands above who is granted
 * to, a layer that is too wide is broken into rows. Trees from left to right, each leaf in a row of its own.
 */
import type { Arrow, Box, Graph } from "./graph.js";
import { greatest } from "./words.js";

export interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedBox extends Place {
  readonly box: Box;
  /** Its lines, cut to what fits. */
  readonly lines: readonly string[];
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly PlacedBox[];
}

/** Of a monospaced font of 12 pixels. */
export const CHARACTER_WIDTH = 7.3;
export const LINE_HEIGHT = 16;
const PADDING = 10;
const MARGIN = 24;
const TITLE_HEIGHT = 30;
const LINE_MAX = 44;
/** Layers and rows of isolated boxes are broken where they get wider, columns of trees where they get longer. */
const ROW_WIDTH = 1500;
const COLUMN_HEIGHT = 1500;
const GAP_X = 36;
const GAP_ROW = 84;
const TREE_GAP_X = 56;
const TREE_GAP_Y = 12;
const SWEEPS = 4;

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;

/** Pixels that a text takes. */
export function widthOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += WIDE.test(character) ? 2 : 1;
  return columns * CHARACTER_WIDTH;
}

/** The text, or its beginning and "..." if it is longer than that. */
export function cut(text: string, characters: number): string {
  const all = [...text];
  return all.length <= characters ? text : `${all.slice(0, characters - 3).join("")}...`;
}

interface Sized {
  readonly box: Box;
  readonly lines: readonly string[];
  readonly width: number;
  readonly height: number;
}

function size(box: Box): Sized {
  const lines = box.lines.map((line) => cut(line, LINE_MAX));
  const width = Math.ceil(Math.max(...lines.map(widthOf), 40) + 2 * PADDING);
  return { box, lines, width, height: lines.length * LINE_HEIGHT + PADDING };
}

export function layOutGraph(graph: Graph): Layout {
  return graph.isForest ? layOutForest(graph) : layOutLayers(graph);
}

function bounds(boxes: readonly PlacedBox[]): Layout {
  const right = greatest(
    200,
    boxes.map(({ x, width }) => x + width),
  );
  const bottom = greatest(
    TITLE_HEIGHT,
    boxes.map(({ y, height }) => y + height),
  );
  return { width: right + MARGIN, height: bottom + MARGIN, boxes };
}

// ---------------------------------------------------------------- layers

function neighbours(arrows: readonly Arrow[], from: "from" | "to"): Map<string, string[]> {
  const lists: Map<string, string[]> = new Map();
  for (const arrow of arrows) {
    const [key, value] = from === "from" ? [arrow.from, arrow.to] : [arrow.to, arrow.from];
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [value]);
    else list.push(value);
  }
  return lists;
}

/** The arrows without those that lead back to where a walk along them came from: what is left has no circle. */
function withoutCircles(ids: readonly string[], arrows: readonly Arrow[]): Arrow[] {
  const after = neighbours(arrows, "from");
  const state: Map<string, "open" | "done"> = new Map();
  const back = new Set<string>();
  for (const start of ids) {
    const path: { id: string; next: number }[] = state.has(start) ? [] : [{ id: start, next: 0 }];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      state.set(top.id, "open");
      const next = after.get(top.id)?.[top.next++];
      if (next === undefined) {
        state.set(top.id, "done");
        path.pop();
      } else if (state.get(next) === "open") back.add(`${top.id} ${next}`);
      else if (!state.has(next)) path.push({ id: next, next: 0 });
    }
  }
  return arrows.filter(({ from, to }) => !back.has(`${from} ${to}`));
}

/** Each box as far down as the longest way to it. */
function layersOf(ids: readonly string[], arrows: readonly Arrow[]): string[][] {
  const after = neighbours(arrows, "from");
  const waiting: Map<string, number> = new Map();
  for (const { to } of arrows) waiting.set(to, (waiting.get(to) ?? 0) + 1);
  let layer = ids.filter((id) => !waiting.has(id));
  const layers: string[][] = [];
  while (layer.length > 0) {
    layers.push(layer);
    const next: string[] = [];
    for (const to of layer.flatMap((id) => after.get(id) ?? [])) {
      const left = (waiting.get(to) ?? 0) - 1;
      waiting.set(to, left);
      if (left === 0) next.push(to);
    }
    layer = next;
  }
  return layers;
}

/** Orders each layer by where its neighbours stand, down and up again, so that fewer arrows cross. */
function untangle(layers: string[][], arrows: readonly Arrow[]): void {
  const [before, after] = [neighbours(arrows, "to"), neighbours(arrows, "from")];
  const position: Map<string, number> = new Map();
  const note = (layer: readonly string[]): void => {
    for (const [index, id] of layer.entries()) position.set(id, index / layer.length);
  };
  layers.forEach(note);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isDown = sweep % 2 === 0;
    for (const layer of isDown ? layers : layers.toReversed()) {
      const weight = (id: string): number => {
        const places = ((isDown ? before : after).get(id) ?? []).map((other) => position.get(other) ?? 0);
        return places.length === 0
          ? (position.get(id) ?? 0)
          : places.reduce((sum, place) => sum + place, 0) / places.length;
      };
      const weights = new Map(layer.map((id) => [id, weight(id)]));
      layer.sort((a, b) => (weights.get(a) ?? 0) - (weights.get(b) ?? 0));
      note(layer);
    }
  }
}

/** Breaks a layer where it gets too wide. */
function rowsOf(layer: readonly Sized[]): Sized[][] {
  const rows: Sized[][] = [];
  let width = Number.POSITIVE_INFINITY;
  for (const sized of layer) {
    if (width + sized.width > ROW_WIDTH) {
      rows.push([]);
      width = 0;
    }
    rows.at(-1)?.push(sized);
    width += sized.width + GAP_X;
  }
  return rows;
}

function layOutLayers({ boxes, arrows }: Graph): Layout {
  const ids = boxes.map(({ id }) => id);
  const known = new Set(ids);
  const joining = arrows.filter(({ from, to }) => from !== to && known.has(from) && known.has(to));
  const joined = new Set(joining.flatMap(({ from, to }) => [from, to]));
  const straight = withoutCircles(ids, joining);
  const layers = layersOf(
    ids.filter((id) => joined.has(id)),
    straight,
  );
  untangle(layers, straight);
  const isolated = ids.filter((id) => !joined.has(id));
  const sizes = new Map(boxes.map((box) => [box.id, size(box)]));
  const rows = [...layers, isolated].flatMap((layer) => rowsOf(layer.flatMap((id) => sizes.get(id) ?? [])));
  const widthOfRow = (row: readonly Sized[]): number =>
    row.reduce((sum, { width }) => sum + width + GAP_X, -GAP_X);
  const widest = Math.max(0, ...rows.map(widthOfRow));
  const placed: PlacedBox[] = [];
  let y = MARGIN + TITLE_HEIGHT;
  for (const row of rows) {
    let x = MARGIN + (widest - widthOfRow(row)) / 2;
    for (const sized of row) {
      placed.push({ ...sized, x: Math.round(x), y });
      x += sized.width + GAP_X;
    }
    y += Math.max(...row.map(({ height }) => height)) + GAP_ROW;
  }
  return bounds(placed);
}

// ---------------------------------------------------------------- trees

interface Branch {
  readonly sized: Sized;
  readonly depth: number;
  readonly children: Branch[];
  y: number;
}

/** Every box of a tree, each before those below it. */
function branchesOf(root: Sized, children: ReadonlyMap<string, readonly Sized[]>): Branch[] {
  const all: Branch[] = [{ sized: root, depth: 0, children: [], y: 0 }];
  const seen = new Set([root.box.id]);
  // The list grows while it is read; a stack would do the same, in another order.
  for (const branch of all) {
    for (const sized of children.get(branch.sized.box.id) ?? []) {
      if (seen.has(sized.box.id)) continue;
      seen.add(sized.box.id);
      const child: Branch = { sized, depth: branch.depth + 1, children: [], y: 0 };
      branch.children.push(child);
      all.push(child);
    }
  }
  return all;
}

/** Gives each leaf a row, and each branch the middle of its children. Answers where the tree ends. */
function stack(root: Branch, top: number): number {
  let y = top;
  const path: { branch: Branch; next: number }[] = [{ branch: root, next: 0 }];
  for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
    const child = at.branch.children[at.next++];
    if (child !== undefined) {
      path.push({ branch: child, next: 0 });
      continue;
    }
    const { branch } = at;
    const [first, last] = [branch.children[0], branch.children.at(-1)];
    if (first === undefined || last === undefined) {
      branch.y = y;
      y += branch.sized.height + TREE_GAP_Y;
    } else branch.y = (first.y + last.y) / 2;
    path.pop();
  }
  return y;
}

function layOutForest({ boxes, arrows }: Graph): Layout {
  const sizes = new Map(boxes.map((box) => [box.id, size(box)]));
  const children: Map<string, Sized[]> = new Map();
  const below = new Set<string>();
  for (const { from, to } of arrows) {
    const child = sizes.get(to);
    if (child === undefined || !sizes.has(from)) continue;
    below.add(to);
    const list = children.get(from);
    if (list === undefined) children.set(from, [child]);
    else list.push(child);
  }
  const placed: PlacedBox[] = [];
  const top = MARGIN + TITLE_HEIGHT;
  let [left, right, y] = [MARGIN, MARGIN, top];
  for (const sized of sizes.values()) {
    if (below.has(sized.box.id)) continue;
    if (y > COLUMN_HEIGHT) {
      left = right + 2 * TREE_GAP_X;
      y = top;
    }
    const branches = branchesOf(sized, children);
    y = stack(branches[0] as Branch, y) + 2 * TREE_GAP_Y;
    const columns: number[] = [];
    for (const { depth, sized } of branches) columns[depth] = Math.max(columns[depth] ?? 0, sized.width);
    const starts: number[] = [];
    columns.reduce((x, width, depth) => {
      starts[depth] = x;
      return x + width + TREE_GAP_X;
    }, left);
    for (const { sized, depth, y } of branches) {
      const x = starts[depth] as number;
      placed.push({ ...sized, x, y });
      right = Math.max(right, x + sized.width);
    }
  }
  return bounds(placed);
}
