/**
 * Forced rescinds and recovery (RS4, RS5, FA1, FA2) in tables so large that the core touches what it will need (assembly/touch.ts), and
 * whose free slots come in random order, so that what follows in a tree lies elsewhere.
 */
import { describe, expect, test } from "vitest";
import type { Partition } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  AHEAD_STEP,
  COOKIE_SLOTS,
  H_PARTIAL,
  H_RESCINDED,
  H_SUCCESS,
  STRUCTURE_AHEAD,
  STRUCTURE_BYTES,
  STRUCTURES_AT,
  TOUCH_NEAR,
  TYPE_MEMORY,
} from "../src/layout.js";
import { Draw } from "./support/draw.js";
import {
  accepted,
  at,
  auditedAfterEach,
  granted,
  join,
  openTable,
  PAGE,
  rescindInSlices,
  shared,
  type World,
} from "./support/world.js";

auditedAfterEach();

const NODES = 150;
const SPARE = 700;

interface Node {
  readonly cookie: number;
  readonly holder: Partition;
  readonly address: number;
}

type Shape = "wide" | "deep" | "mixed";
/** Of node `index` > 0 the index of the one that it hangs below; the first hangs below what is rescinded. */
const PARENTS: Readonly<Record<Shape, (draw: Draw, index: number) => number>> = {
  wide: () => 0,
  deep: (_, index) => index - 1,
  mixed: (draw, index) => draw.below(index),
};

interface Forest extends World {
  readonly partitions: readonly Partition[];
  readonly nodes: readonly Node[];
  /** The unit address by which one partition reaches another. */
  readonly unit: (from: Partition, to: Partition) => number;
}

/** Page 0 of partition 0, granted to partition 1, and there on among them all. */
function openForest(shape: Shape, seed: number, isJoined: boolean): Forest {
  const draw = new Draw(seed);
  const world = openTable({ grants: TOUCH_NEAR + 2 * SPARE, logicalSpace: 1024 * PAGE });
  const { table, h } = world;
  const partitions = Array.from({ length: 3 }, (_, index) =>
    table.createPartition({ name: `p${index}`, memory: 2 * PAGE }),
  );
  const units = new Map<string, number>();
  for (const [i, a] of partitions.entries()) {
    for (const b of partitions.slice(i + 1)) {
      const adapter = join(world, a, b, TOUCH_NEAR + 2 * SPARE);
      units.set(`${a.lpid} ${b.lpid}`, adapter.unitAddress);
      units.set(`${b.lpid} ${a.lpid}`, adapter.peer.unitAddress);
    }
  }
  const unit = (from: Partition, to: Partition): number => units.get(`${from.lpid} ${to.lpid}`) as number;
  const [first, second] = [at(partitions, 0), at(partitions, 1)];
  const spare = Array.from({ length: TOUCH_NEAR + SPARE }, () =>
    granted(h, first.lpid, unit(first, second), PAGE),
  );
  for (let left = spare.length; left > spare.length - SPARE / 2; left--) {
    const index = draw.below(left);
    expect(h.rescindLogical(first.lpid, 0, at(spare, index))).toBe(H_SUCCESS);
    spare[index] = at(spare, left - 1);
  }
  if (isJoined) expect(kernelOf(table).core.openThread(second.lpid)).toBe(H_SUCCESS);
  const nodes: Node[] = [{ holder: second, ...shared(h, first, unit(first, second), second, 0) }];
  while (nodes.length < NODES) {
    const parent = at(nodes, PARENTS[shape](draw, nodes.length));
    const others = partitions.filter((partition) => partition !== parent.holder);
    const holder = at(others, draw.below(others.length));
    nodes.push({ holder, ...shared(h, parent.holder, unit(parent.holder, holder), holder, parent.address) });
  }
  return { ...world, partitions, nodes, unit };
}

function statusesOf({ h }: World, nodes: readonly Node[]): Set<number> {
  return new Set(nodes.map(({ holder, address }) => h.translate(holder.lpid, TYPE_MEMORY, address, 1, 0)));
}

describe.each([
  ["in a table of one thread", false],
  ["where a thread has joined", true],
] as const)("trees that lie apart, %s", (_, isJoined) => {
  test.each<Shape>(["wide", "deep", "mixed"])("RS4, RS5: %s, with any budget, wholly and alone", (shape) => {
    for (const [seed, budget] of [1, 5, 40, 2048].entries()) {
      const forest = openForest(shape, seed, isJoined);
      const { table, h, partitions, nodes, unit } = forest;
      const [first, second, third] = [at(partitions, 0), at(partitions, 1), at(partitions, 2)];
      const sibling = shared(h, first, unit(first, third), third, 0);
      h.budget = budget;
      let rounds = 0;
      rescindInSlices(h, first.lpid, at(nodes, 0).cookie, () => {
        if (rounds++ % 50 !== 0) return;
        // The root, which keeps its bound where others name what is ahead, is the next sibling of a new grant.
        const more = granted(h, first.lpid, unit(first, second), 0);
        expect(table.audit().problems).toEqual([]);
        expect(h.rescindLogical(first.lpid, 0, more)).toBe(H_SUCCESS);
      });
      expect(statusesOf(forest, nodes)).toEqual(new Set([H_RESCINDED]));
      expect(h.translate(third.lpid, TYPE_MEMORY, sibling.address, 1, 0)).toBe(H_SUCCESS);
      expect(partitions.map((partition) => partition.usage().rescinded).reduce((a, b) => a + b)).toBe(NODES);
      for (const { holder, cookie } of nodes) expect(h.returnLogical(holder.lpid, cookie)).toBe(H_SUCCESS);
    }
  });

  test.each<Shape>(["wide", "deep", "mixed"])("FA1, FA2: %s, with the end of who holds it", async (shape) => {
    const forest = openForest(shape, 9, isJoined);
    const { table, partitions, nodes, clock } = forest;
    const second = at(partitions, 1);
    table.fail(second);
    clock.advance(10_000);
    await table.recovered(second);
    const left = nodes.filter(({ holder }) => holder !== second);
    expect(statusesOf(forest, left)).toEqual(new Set([H_RESCINDED]));
    expect(second.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 0, rescinded: 0 });
  });
});

test("RS5: a grant beside the root of a rescind that goes on names nothing that is no slot", () => {
  const { table, h } = openTable({ grants: TOUCH_NEAR + 40 });
  const server = table.createPartition({ name: "server", memory: PAGE });
  const client = table.createPartition({ name: "client", memory: PAGE });
  const { unitAddress, peer } = join({ table }, server, client, TOUCH_NEAR + 40);
  for (let i = 0; i < TOUCH_NEAR; i++) granted(h, server.lpid, unitAddress, 0);
  const root = shared(h, server, unitAddress, client, 0);
  for (let i = 0; i < 30; i++)
    accepted(h, server.lpid, granted(h, client.lpid, peer.unitAddress, root.address));
  h.budget = 1;
  expect(h.rescindLogical(server.lpid, 1, root.cookie)).toBe(H_PARTIAL);
  expect(h.r4).toBeGreaterThan(42);
  const beside = granted(h, server.lpid, unitAddress, 0);
  const { memory } = kernelOf(table);
  const place = STRUCTURES_AT + (beside % COOKIE_SLOTS) * STRUCTURE_BYTES + STRUCTURE_AHEAD;
  expect(memory.header(place) % AHEAD_STEP).toBe(root.cookie % COOKIE_SLOTS);
  // What the audit says of one that names something else.
  memory.words[place / 4] = AHEAD_STEP - 1;
  expect(table.audit().problems).toEqual([
    `structure ${beside % COOKIE_SLOTS}: the tree does not link with ${AHEAD_STEP - 1}`,
  ]);
  memory.words[place / 4] = 0;
  h.budget = 2048;
  expect(h.rescindLogical(server.lpid, 1, root.cookie)).toBe(H_SUCCESS);
});
