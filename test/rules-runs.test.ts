/** Forced rescinds of so many grants that they are marked by the most that one commit takes (assembly/run.ts). */
import { expect, test } from "vitest";
import { kernelOf } from "../src/kernel.js";
import { H_RESCINDED, H_SUCCESS, TYPE_MEMORY } from "../src/layout.js";
import { at, auditedAfterEach, join, openTable, PAGE, shared } from "./support/world.js";

auditedAfterEach();

const NODES = 300;

test.each([
  ["in a table of one thread", false],
  ["where a thread has joined", true],
] as const)("RS4, RS5: grants of four holders in turn, each after another one's, %s", (_, isJoined) => {
  const world = openTable({ grants: NODES + 16, logicalSpace: 1024 * PAGE });
  const { table, h } = world;
  const server = table.createPartition({ name: "server", memory: PAGE });
  const middle = table.createPartition({ name: "middle" });
  const holders = Array.from({ length: 4 }, (_, index) => table.createPartition({ name: `holder ${index}` }));
  const down = join(world, server, middle, NODES);
  const units = holders.map((holder) => join(world, middle, holder, NODES).unitAddress);
  if (isJoined) expect(kernelOf(table).core.openThread(middle.lpid)).toBe(H_SUCCESS);
  const root = shared(h, server, down.unitAddress, middle, 0);
  const nodes = Array.from({ length: NODES }, (_, i) => {
    const holder = at(holders, i % holders.length);
    return { holder, ...shared(h, middle, at(units, i % holders.length), holder, root.address) };
  });
  const before = nodes.map(({ holder, address }) => h.translate(holder.lpid, TYPE_MEMORY, address, 1, 0));
  expect(new Set(before)).toEqual(new Set([H_SUCCESS]));

  expect(h.rescindLogical(server.lpid, 1, root.cookie)).toBe(H_SUCCESS);
  const after = nodes.map(({ holder, address }) => h.translate(holder.lpid, TYPE_MEMORY, address, 1, 0));
  expect(new Set(after)).toEqual(new Set([H_RESCINDED]));
  expect(holders.map((holder) => holder.usage().pagesMapped)).toEqual([0, 0, 0, 0]);
  for (const { holder, cookie } of nodes) expect(h.returnLogical(holder.lpid, cookie)).toBe(H_SUCCESS);
});
