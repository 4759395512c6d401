/** Snapshots of tables that a test fills: what views are made from. */
import { type Cookie, type Partition, ResourceTable, type TableSnapshot } from "../../src/index.js";
import { ManualClock } from "./clock.js";
import { PAGE } from "./world.js";

/** A table in which one of each thing can be seen: running, failed and stopped partitions; every kind, mode and state. */
export async function eventfulSnapshot(): Promise<TableSnapshot> {
  const clock = new ManualClock();
  const table = ResourceTable.create({ memory: 256 * PAGE, gracePeriodMs: 500, clock });
  const make = (name: string, pages: number, lmb?: number): Partition =>
    table.createPartition({ name, memory: pages * PAGE, ...(lmb === undefined ? {} : { lmb: lmb * PAGE }) });
  const [server, cache, web] = [make("server", 64, 16), make("cache", 16), make("web", 4)];
  const [decoder, old, crashed] = [make("decoder", 4), make("old", 4), make("crashed", 8)];
  const joins: [Partition, Partition][] = [
    [server, cache],
    [server, web],
    [cache, web],
    [server, decoder],
    [crashed, web],
  ];
  for (const [a, b] of joins) table.connect(a, b, { grants: 32 });
  const pages = cache.accept(server.grant({ to: cache, address: 0, length: 8 * PAGE }));
  web.accept(cache.grant({ to: web, address: pages.address, length: 2 * PAGE, write: false }));
  const copy = web.accept(server.grant({ to: web, address: 16 * PAGE, length: 4 * PAGE, copyOnWrite: true }));
  web.fill(copy.address, 10, 1);
  decoder.accept(
    server.grant({ to: decoder, address: 32 * PAGE, length: 4 * PAGE, mode: "lend", zero: true }),
  );
  server.grant({ to: decoder, address: 48 * PAGE, length: 16 * PAGE, mode: "donate" });
  const lost: Cookie = server.grant({ to: web, address: 24 * PAGE, length: 2 * PAGE, regrant: false });
  web.view(web.accept(lost).address, PAGE);
  await server.rescindForced(lost);
  web.accept(crashed.grant({ to: web, address: 0, length: 3 * PAGE }));
  table.assign(server, { type: "interrupt", address: 5, length: 1 });
  table.assign(server, { type: "dma", liobn: 7, address: 0, length: 8 * PAGE, physical: 0x800000 });
  server.dma.putIndirect(7, 0, [0, PAGE], { write: false });
  table.raise(server, 5);
  table.group("frames").add({ owner: server, address: 12 * PAGE, length: PAGE });
  clock.advance(1000);
  table.fail(old, "an uncaught exception");
  await table.recovered(old);
  clock.advance(234);
  table.fail(crashed, "exit code 1");
  const snapshot = table.inspect();
  await table.close();
  return snapshot;
}

/** So many partitions in a web of grants, some deep trees among them. */
export async function crowdedSnapshot(partitions: number): Promise<TableSnapshot> {
  const table = ResourceTable.create({ memory: partitions * 4 * PAGE, partitions });
  const all = Array.from({ length: partitions }, (_, index) =>
    table.createPartition({ name: `partition-${index}`, memory: 4 * PAGE }),
  );
  for (const [index, to] of all.entries()) {
    const from = all[Math.floor(index / 5)];
    if (from === undefined || from === to) continue;
    table.connect(from, to);
    const held = to.accept(
      from.grant({ to, address: 0, length: (1 + (index % 3)) * PAGE, write: index % 2 === 0 }),
    );
    const next = all[(index * 7) % partitions];
    if (next === undefined || next === to || index % 3 !== 0) continue;
    table.connect(to, next);
    next.accept(to.grant({ to: next, address: held.address, length: PAGE, write: false }));
  }
  const snapshot = table.inspect();
  await table.close();
  return snapshot;
}
