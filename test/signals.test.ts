/** Whom a call has signalled is told of it, whoever else listens, and a call looks for nobody else (G5: cost is that of the call). */
import { expect, test, vi } from "vitest";
import type { Partition, VirtualAdapter } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { SIGNALLED } from "../src/layout.js";
import { at, auditedAfterEach, join, openTable, PAGE, type World } from "./support/world.js";

auditedAfterEach();

function openMany(count: number): World & { server: Partition; clients: Partition[] } {
  const world = openTable({
    memory: (count + 16) * PAGE,
    logicalSpace: 64 * PAGE,
    partitions: count + 1,
    adapters: count + 1,
  });
  const server = world.table.createPartition({ name: "server", memory: 16 * PAGE });
  const clients = Array.from({ length: count }, (_, index) =>
    world.table.createPartition({ name: `client ${index}`, memory: PAGE }),
  );
  return { ...world, server, clients };
}

/** Joins some to the server, one of whom has something of it, so that a failure is told, and for now nothing else. */
function joinAll({ table, server }: World & { server: Partition }, partners: readonly Partition[]): void {
  const [to] = partners.map((partner) => join({ table }, server, partner));
  at(partners, 0).accept(server.grant({ to: to as VirtualAdapter, address: 0, length: PAGE }));
}

/** How often each of some partitions was told since. */
function countTold(world: World, partitions: readonly Partition[]): number[] {
  const told = partitions.map(() => 0);
  for (const [index, { lpid }] of partitions.entries())
    kernelOf(world.table).listen(lpid, () => {
      told[index] = at(told, index) + 1;
    });
  return told;
}

test("G5: a call looks at as many partitions as it has signalled, however many listen", () => {
  const world = openMany(500);
  const { server, clients } = world;
  const [client] = clients as [Partition];
  const to = join(world, server, client);
  const told = countTold(world, [server, ...clients]);
  const mapping = client.accept(server.grant({ to, address: 0, length: PAGE }));
  const looks = vi.spyOn(Atomics, "load");
  try {
    mapping.return();
    expect(looks.mock.calls.length).toBeLessThan(5);
  } finally {
    looks.mockRestore();
  }
  expect(told.slice(0, 3)).toEqual([1, 0, 0]);
  expect(told.reduce((sum, count) => sum + count)).toBe(1);
});

test.each([1, 2, SIGNALLED, SIGNALLED + 1, 3 * SIGNALLED])(
  "FA1: all of %i partners that one call signals are told, once, and nobody else",
  (count) => {
    const world = openMany(3 * SIGNALLED + 2);
    const { table, server, clients } = world;
    const partners = clients.slice(1, 1 + count);
    joinAll(world, partners);
    const told = countTold(world, clients);
    table.fail(server);
    expect(told).toEqual(clients.map((client) => (partners.includes(client) ? 1 : 0)));
  },
);

test("G5: what is signalled by who is just being told gets through, and so does what is told after that", () => {
  const world = openMany(8);
  const { table, server, clients } = world;
  const [one, two, three] = clients as [Partition, Partition, Partition];
  joinAll(world, [one, two, three]);
  const told = countTold(world, [server, ...clients]);
  // Whoever is told first makes so many calls that nothing of what was signalled before is remembered.
  const pairs = clients.slice(3).map((client) => ({ client, to: join(world, two, client) }));
  kernelOf(table).listen(one.lpid, () => {
    for (const { client, to } of pairs) client.accept(two.grant({ to, address: 0, length: PAGE })).return();
  });
  table.fail(server);
  // Of its own, and of what came back five times.
  expect(told.slice(0, 4)).toEqual([1, 1, 6, 1]);
});
