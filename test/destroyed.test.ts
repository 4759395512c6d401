/** What is left of a destroyed partition has no power over the one that gets its number next (G4). */
import { expect, test } from "vitest";
import type { Cookie, Partition } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_LONG_BUSY_10_MSEC, H_PARAMETER, H_RESCINDED } from "../src/layout.js";
import { auditedAfterEach, bytesOf, join, openTable, PAGE, statusOf, type World } from "./support/world.js";

auditedAfterEach();

interface Heirs extends World {
  /** Destroyed. */
  readonly old: Partition;
  /** Has its number. */
  readonly heir: Partition;
  readonly friend: Partition;
  readonly batch: ReturnType<Partition["createBatch"]>;
}

async function openHeirs(): Promise<Heirs> {
  const world = openTable();
  const friend = world.table.createPartition({ name: "friend", memory: 4 * PAGE });
  const old = world.table.createPartition({ name: "old", memory: 4 * PAGE });
  const batch = old.createBatch(1);
  expect(old.read(0, 8)).toHaveLength(8);
  await world.table.destroyPartition(old);
  const heir = world.table.createPartition({ name: "heir", memory: 4 * PAGE });
  expect(heir.lpid).toBe(old.lpid);
  heir.write(0, bytesOf(PAGE, 7));
  return { ...world, old, heir, friend, batch };
}

test("G4: the object of a destroyed partition says what it was, and is stopped", async () => {
  const { old, heir } = await openHeirs();
  expect([old.name, old.state, old.incarnation]).toEqual(["old", "stopped", 1]);
  expect([heir.state, heir.incarnation]).toEqual(["running", 2]);
  expect(old.adapters).toEqual([]);
  expect(Object.values(old.usage()).every((count) => count === 0)).toBe(true);
});

test("G4: none of its calls is the call of the partition that has its number now", async () => {
  const { table, old, heir, friend } = await openHeirs();
  const adapter = join({ table }, heir, friend);
  const cookie: Cookie = friend.grant({ to: adapter.peer, address: 0, length: PAGE });
  const before = table.inspect();
  const calls: readonly (() => unknown)[] = [
    () => old.read(0, 8),
    () => old.read(0, 2 * PAGE),
    () => old.write(0, Uint8Array.of(1)),
    () => old.fill(0, 8, 1),
    () => old.load32(0),
    () => old.store32(0, 1),
    () => old.add32(0, 1),
    () => old.compareExchange32(0, 0, 1),
    () => old.translate(0),
    () => old.translate(0, { write: true, length: 8 }),
    () => old.view(0, 8),
    () => old.seal(0, 64),
    () => old.allocate(PAGE),
    () => old.accept(cookie),
    () => old.return(cookie),
    () => old.rescind(cookie),
    () => old.grant({ to: adapter.unitAddress, address: 0, length: PAGE }),
    () => old.send(adapter, new Uint8Array(16)),
    () => old.messages(adapter),
    () => old.copy(0, friend, 0, 8),
    () => old.ring(0),
    () => old.raise(0),
    () => old.interrupts.mask(0),
    () => old.dma.put(0, 0, 0),
    () => old.dma.device().read(0, 1),
    () => old.mmio.load32(0),
    () => old.mmio.serve(0, { read: () => 0, write: () => {} }),
    () => old.imports(),
  ];
  for (const call of calls) expect([H_PARAMETER, H_RESCINDED], String(call)).toContain(statusOf(call));
  expect(old.takeEvent()).toBeUndefined();
  expect(old.waitEvent(0)).toBeUndefined();
  expect(await old.events().next()).toMatchObject({ done: true });
  await expect(old.rescindForced(cookie)).rejects.toMatchObject({ status: H_PARAMETER });
  await expect(old.migrate(0, PAGE)).rejects.toMatchObject({ status: H_PARAMETER });
  expect(table.inspect().partitions).toEqual(before.partitions);
  expect(heir.read(0, PAGE)).toEqual(bytesOf(PAGE, 7));
});

test("G4: nor is it a partner in its stead, nor does its batch translate", async () => {
  const { table, old, heir, friend, batch } = await openHeirs();
  join({ table }, heir, friend);
  expect(statusOf(() => friend.grant({ to: old, address: 0, length: PAGE }))).toBe(H_PARAMETER);
  expect(statusOf(() => friend.copy(0, old, 0, 8))).toBe(H_PARAMETER);
  expect(heir.read(0, PAGE)).toEqual(bytesOf(PAGE, 7));
  batch.addresses[0] = 0;
  expect(statusOf(() => batch.run(1))).toBe(H_PARAMETER);
  batch[Symbol.dispose]();
  expect(() => table.fail(old)).toThrow('"old" is not one of this table');
});

test("G4: spawn() that waited for a lock meanwhile does not make the partition that has its number now a thread", async () => {
  const { table } = openTable();
  const old = table.createPartition({ name: "old" });
  const kernel = kernelOf(table) as { core: object };
  const { core } = kernel;
  kernel.core = { ...core, openThread: () => H_LONG_BUSY_10_MSEC };
  const spawned = table.spawn(old, new URL("data:text/javascript,setInterval(() => {}, 1000)"));
  const refused = expect(spawned).rejects.toMatchObject({ code: "LPAR_NOT_FOUND" });
  kernel.core = core;
  await table.destroyPartition(old);
  const heir = table.createPartition({ name: "heir" });
  expect(heir.lpid).toBe(old.lpid);
  await refused;
  expect(table.inspect().partitions.map(({ worker }) => worker)).toEqual([null]);
});

test("destroyPartition() a second time, at whatever moment, waits for the same end or says that there is no such partition", async () => {
  for (let moment = 0; ; moment++) {
    const { table } = openTable();
    const partition = table.createPartition({ name: "one" });
    const first = table.destroyPartition(partition);
    for (let turn = 0; turn < moment; turn++) await undefined;
    const isThere = table.partition(partition.lpid) === partition;
    const second = table.destroyPartition(partition);
    if (isThere) await Promise.all([first, second]);
    else {
      await expect(second).rejects.toMatchObject({ code: "LPAR_NOT_FOUND" });
      break;
    }
  }
});
