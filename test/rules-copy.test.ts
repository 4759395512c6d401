/** Copy-on-write grants and transparent sharing (section 12 of the contract): whose frame a write reaches, and who pays for it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Mapping, Partition } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  H_BUSY,
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  NEED_READ,
  NEED_WRITE,
  RESCIND_FORCED,
  TYPE_DMA,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../src/layout.js";
import {
  auditedAfterEach,
  expectRefused,
  HOSTILE,
  join,
  openPair,
  openTable,
  PAGE,
  type Pair,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

const counters = (pair: Pick<Pair, "table">): Readonly<Record<string, number>> =>
  pair.table.inspect().counters;

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Each page of the partition holds its own number. */
function number(partition: Partition, pages: number, from = 1): void {
  for (let page = 0; page < pages; page++) partition.fill(page * PAGE, PAGE, from + page);
}

function firstBytes(partition: Partition, address: number, pages: number): number[] {
  return Array.from({ length: pages }, (_, page) => partition.read(address + page * PAGE, 1)[0] as number);
}

/** Whether it is so many bytes of one value. Not by a matcher, which takes a millisecond a page. */
function holds(bytes: Uint8Array, length: number, value: number): boolean {
  return bytes.length === length && bytes.every((byte) => byte === value);
}

/** A copy-on-write mapping of the first pages of the server. */
function copied(pair: Pair, pages = 4): Mapping {
  const { server, client, adapter } = pair;
  return client.accept(server.grant({ to: adapter, address: 0, length: pages * PAGE, copyOnWrite: true }));
}

describe("copy-on-write grants", () => {
  test("the first write to a page gets the client a frame of its own, the owner's stays", () => {
    const pair = openPair();
    const { server, client } = pair;
    number(server, 4);
    const free = counters(pair).framesFree as number;
    const mapping = copied(pair);
    expect(mapping).toMatchObject({ readable: true, writable: true, regrantable: false });
    expect(firstBytes(client, mapping.address, 4)).toEqual([1, 2, 3, 4]);
    expect(counters(pair).framesFree).toBe(free);
    client.write(mapping.address + PAGE + 100, text("mine"));
    expect(holds(server.read(PAGE + 100, 4), 4, 2)).toBe(true);
    expect(client.read(mapping.address + PAGE + 98, 8)).toEqual(Uint8Array.of(2, 2, ...text("mine"), 2, 2));
    expect(counters(pair)).toMatchObject({ framesFree: free - 1, framesCopied: 1 });
    expect(client.usage().copies).toBe(1);
    // Only that page: the others are still the owner's.
    server.fill(0, PAGE, 9);
    server.fill(PAGE, PAGE, 9);
    expect(firstBytes(client, mapping.address, 2)).toEqual([9, 2]);
    mapping.return();
    expect(counters(pair)).toMatchObject({ framesFree: free, framesCopied: 0 });
  });

  test("TR3: every kind of write copies first: write, fill, words, copy, views, translations for writing", () => {
    const ways: ((client: Partition, at: number, partner: Partition) => unknown)[] = [
      (client, at) => client.write(at + 5, new Uint8Array(1)),
      (client, at) => client.write(at, new Uint8Array(3000)),
      (client, at) => client.fill(at + 1, 2, 0),
      (client, at) => client.store32(at + 4, 7),
      (client, at) => client.add32(at + 4, 7),
      (client, at) => client.compareExchange32(at, 0x01010101, 3),
      (client, at) => client.copy(at + 2048, client, at, 64),
      (_, at, partner) => partner.copy(PAGE, pairOf.client, at, 64),
      (client, at) => {
        using view = client.view(at, 100);
        view.bytes[3] = 8;
      },
      (client, at) => client.translate(at, { write: true }),
      (client, at, owner) => {
        pairOf.table.assign(owner, { type: "dma", address: 0, length: PAGE, liobn: 1 });
        const pane = client.accept(
          owner.grant({ to: pairOf.adapter, type: "dma", address: 0, length: PAGE, liobn: 1 }),
        );
        client.dma.put(1, pane.address, at);
        owner.dma.device(1).write(16, Uint8Array.of(1, 2, 3));
        expect(client.read(at + 16, 3)).toEqual(Uint8Array.of(1, 2, 3));
        client.dma.remove(1, pane.address);
      },
      (client, at) => {
        using batch = client.createBatch(2);
        batch.addresses[0] = at;
        batch.addresses[1] = at + 8;
        expect(batch.run(2, { write: true })).toBe(2);
        expect(batch.physical[0]).toBe(client.translate(at));
      },
    ];
    let pairOf!: Pair;
    for (const way of ways) {
      pairOf = openPair();
      number(pairOf.server, 4);
      const mapping = copied(pairOf);
      expect(pairOf.client.translate(mapping.address)).toBe(pairOf.server.translate(0));
      way(pairOf.client, mapping.address, pairOf.server);
      expect(holds(pairOf.server.read(0, PAGE), PAGE, 1)).toBe(true);
      expect(pairOf.client.usage().copies).toBe(1);
      expect(pairOf.client.translate(mapping.address)).not.toBe(pairOf.server.translate(0));
      mapping.return();
      expect(pairOf.client.usage().copies).toBe(0);
    }
  });

  test("a write over several pages copies them all, on consecutive frames where there is room", () => {
    const pair = openPair();
    const { server, client } = pair;
    number(server, 4);
    const mapping = copied(pair);
    using view = client.view(mapping.address, 4 * PAGE);
    expect(firstBytes(client, mapping.address, 4)).toEqual([1, 2, 3, 4]);
    view.bytes.fill(7);
    expect(firstBytes(server, 0, 4)).toEqual([1, 2, 3, 4]);
    expect(firstBytes(client, mapping.address, 4)).toEqual([7, 7, 7, 7]);
    expect(client.usage()).toMatchObject({ copies: 4, pins: 1 });
    // RE2: a view stands.
    expect(statusOf(() => mapping.return())).toBe(H_RESOURCE);
  });

  test("GR1, GR5: only memory, not inhibited to read or write, by who may read; granted on by nobody", () => {
    const pair = openPair();
    const { h, server, client, unit, table } = pair;
    const grant = (flags: number, hi = 0): number =>
      h.grantCopyOnWrite(server.lpid, flags, hi, 0, PAGE, unit);
    for (const inhibit of [INHIBIT_READ, INHIBIT_WRITE, INHIBIT_READ | INHIBIT_WRITE]) {
      expect(grant(TYPE_MEMORY | inhibit)).toBe(H_PARAMETER);
    }
    table.assign(server, { type: "mmio", address: 0, length: PAGE });
    for (const type of [TYPE_MMIO, TYPE_DMA]) expect(grant(type)).toBe(H_PARAMETER);
    for (const hostile of HOSTILE) expect(grant(hostile)).toBe(H_PARAMETER);
    expect(grant(TYPE_MEMORY | INHIBIT_REGRANT)).toBe(H_SUCCESS);
    const mapping = client.accept(h.r4 as never);
    client.fill(mapping.address, 1, 1);
    const again = statusOf(() =>
      client.grant({ to: pair.back, address: mapping.address, length: PAGE, write: false, regrant: false }),
    );
    expect(again).toBe(H_PERMISSION);
  });

  test("GR5: who may only read grants copy-on-write, who may not read does not", () => {
    const pair = openPair();
    const { table, server, client, adapter } = pair;
    number(server, 4);
    const third = table.createPartition({ name: "third" });
    const on = join(pair, client, third);
    const readOnly = client.accept(server.grant({ to: adapter, address: 0, length: PAGE, write: false }));
    const cookie = client.grant({ to: on, address: readOnly.address, length: PAGE, copyOnWrite: true });
    const mapping = third.accept(cookie);
    third.fill(mapping.address, 8, 42);
    expect(server.read(0, 1)[0]).toBe(1);
    expect(third.read(mapping.address, 9)).toEqual(Uint8Array.of(42, 42, 42, 42, 42, 42, 42, 42, 1));
    const blind = client.accept(server.grant({ to: adapter, address: PAGE, length: PAGE, read: false }));
    const refused = statusOf(() =>
      client.grant({ to: on, address: blind.address, length: PAGE, copyOnWrite: true }),
    );
    expect(refused).toBe(H_PERMISSION);
  });

  test("no frame is free: H_NO_MEM, nothing written, reads go on; a frame that comes free serves", () => {
    const pair = openPair({ memory: 17 * PAGE, serverPages: 12, clientPages: 4 });
    const { server, client, table } = pair;
    number(server, 2);
    const mapping = copied(pair, 2);
    client.fill(mapping.address, 1, 50);
    expect(counters(pair).framesFree).toBe(0);
    expect(statusOf(() => client.fill(mapping.address + PAGE, 1, 51))).toBe(H_NO_MEM);
    expect(statusOf(() => client.translate(mapping.address + PAGE, { write: true }))).toBe(H_NO_MEM);
    expect(statusOf(() => client.view(mapping.address, 2 * PAGE))).toBe(H_NO_MEM);
    expect(firstBytes(client, mapping.address, 2)).toEqual([50, 2]);
    // What is written already needs none.
    client.fill(mapping.address, PAGE, 52);
    expect(table.audit().problems).toEqual([]);
  });

  test("RS4, RS5: a forced rescind takes the private pages, in slices, and R4 falls", () => {
    const pair = openPair({ memory: 128 * PAGE, serverPages: 40 });
    const { h, server, client, unit } = pair;
    expect(h.grantCopyOnWrite(server.lpid, TYPE_MEMORY, 0, 0, 40 * PAGE, unit)).toBe(H_SUCCESS);
    const mapping = client.accept(h.r4 as never);
    client.fill(mapping.address, 40 * PAGE, 3);
    const free = counters(pair).framesFree as number;
    h.budget = 20;
    const answers: number[] = [];
    while (h.rescindLogical(server.lpid, RESCIND_FORCED, mapping.cookie) !== H_SUCCESS) {
      answers.push(h.r4);
      expect(pair.table.audit().problems).toEqual([]);
      expect(statusOf(() => client.read(mapping.address, 1))).toBe(H_RESCINDED);
    }
    expect(answers.length).toBeGreaterThan(10);
    expect(answers.slice(1).every((answer, index) => answer < (answers[index] as number))).toBe(true);
    expect(counters(pair)).toMatchObject({ framesFree: free + 40, framesCopied: 0 });
    expect(holds(server.read(0, 40 * PAGE), 40 * PAGE, 0)).toBe(true);
    mapping.return();
  });

  test("RE1, RE6: a return gives the private pages back, in slices; accepted again the pages are the owner's", () => {
    const pair = openPair({ memory: 128 * PAGE, serverPages: 40 });
    const { h, server, client, unit } = pair;
    h.grantCopyOnWrite(server.lpid, TYPE_MEMORY, 0, 0, 40 * PAGE, unit);
    const mapping = client.accept(h.r4 as never);
    client.fill(mapping.address, 40 * PAGE, 3);
    h.budget = 20;
    let calls = 0;
    while (h.returnLogical(client.lpid, mapping.cookie) === H_BUSY) {
      calls++;
      expect(h.translate(client.lpid, TYPE_MEMORY, mapping.address, 1, NEED_READ)).toBe(H_PARAMETER);
      expect(pair.table.audit().problems).toEqual([]);
    }
    expect(calls).toBeGreaterThan(10);
    const again = client.accept(mapping.cookie);
    expect(again.address).toBe(mapping.address);
    expect(holds(client.read(again.address, 40 * PAGE), 40 * PAGE, 0)).toBe(true);
  });

  test("a forced rescind meets a return that is half done", async () => {
    const pair = openPair({ memory: 128 * PAGE, serverPages: 40 });
    const { h, server, client, unit } = pair;
    h.grantCopyOnWrite(server.lpid, TYPE_MEMORY, 0, 0, 40 * PAGE, unit);
    const mapping = client.accept(h.r4 as never);
    client.fill(mapping.address, 40 * PAGE, 3);
    h.budget = 20;
    expect(h.returnLogical(client.lpid, mapping.cookie)).toBe(H_BUSY);
    await server.rescindForced(mapping.cookie);
    expect(counters(pair).framesCopied).toBe(0);
    expect(h.returnLogical(client.lpid, mapping.cookie)).toBe(H_PARAMETER);
  });

  test("RS6: a view of a private page keeps the frame in quarantine, and nobody else gets it", async () => {
    const pair = openPair();
    const { server, client } = pair;
    number(server, 4);
    const mapping = copied(pair);
    const view = client.view(mapping.address, PAGE);
    const leaked = view.bytes;
    leaked.fill(66);
    const report = await server.rescindForced(mapping.cookie);
    // The owner's page does not move: the view is not on its frame.
    expect(report.pagesMoved).toBe(0);
    expect(client.usage()).toMatchObject({ quarantined: 1, copies: 0 });
    leaked.fill(67);
    expect(server.read(0, 1)[0]).toBe(1);
    view.release();
    expect(client.usage().quarantined).toBe(0);
    mapping.return();
  });

  test("FA1, FA2: the failure of the client, and of the server, frees the private pages", async () => {
    for (const failing of ["client", "server"] as const) {
      const pair = openPair({ gracePeriodMs: 0 });
      const { table, server, client } = pair;
      number(server, 4);
      const before = counters(pair).framesFree as number;
      const mapping = copied(pair);
      client.fill(mapping.address, 2 * PAGE, 9);
      const partition = pair[failing];
      const owned = partition.usage().pagesOwned;
      table.fail(partition);
      if (failing === "server") pair.clock.advance(0);
      await table.recovered(partition);
      expect(counters(pair)).toMatchObject({ framesCopied: 0, framesFree: before + owned });
    }
  });

  test("FA7: a borrower goes on copying while its server has failed and waits", async () => {
    const { table, clock } = openTable();
    const server = table.createPartition({ name: "server", memory: 4 * PAGE, onFailure: "defer" });
    const client = table.createPartition({ name: "client" });
    const adapter = table.connect(server, client);
    number(server, 4);
    const mapping = client.accept(
      server.grant({ to: adapter, address: 0, length: 4 * PAGE, copyOnWrite: true }),
    );
    table.fail(server);
    await new Promise((resolve) => setImmediate(resolve));
    client.fill(mapping.address + PAGE, 10, 5);
    expect(firstBytes(client, mapping.address, 3)).toEqual([1, 5, 3]);
    mapping.return();
    clock.advance(1);
    await table.recovered(server);
    expect(table.inspect().counters).toMatchObject({ framesCopied: 0, framesFree: 64 });
  });

  test("migrate() and compact() move the owner's pages under a mapping, private ones stay what they are", async () => {
    const pair = openPair();
    const { server, client, table } = pair;
    number(server, 16);
    const mapping = copied(pair, 16);
    for (const page of [3, 7, 8]) client.fill(mapping.address + page * PAGE, PAGE, 100 + page);
    await table.compact();
    const hole = table.createPartition({ name: "hole", memory: 8 * PAGE });
    await table.destroyPartition(hole);
    await server.migrate(0, 16 * PAGE);
    await table.compact();
    const expected = Array.from({ length: 16 }, (_, page) => ([3, 7, 8].includes(page) ? 100 : 1) + page);
    expect(firstBytes(client, mapping.address, 16)).toEqual(expected);
    expect(firstBytes(server, 0, 16)).toEqual(Array.from({ length: 16 }, (_, page) => 1 + page));
  });
});

describe("transparent sharing", () => {
  test("equal pages come to stand on one frame; a write splits them again", async () => {
    const pair = openPair({ serverPages: 8, clientPages: 8 });
    const { table, server, client } = pair;
    for (const partition of [server, client]) number(partition, 8);
    server.fill(0, PAGE, 200);
    const free = counters(pair).framesFree as number;
    expect(await table.deduplicate()).toEqual({ examined: 16, merged: 7, skipped: 0, saved: 7 * PAGE });
    expect(counters(pair)).toMatchObject({ framesFree: free + 7, framesSaved: 7 });
    expect(table.audit().problems).toEqual([]);
    expect(server.translate(PAGE)).toBe(client.translate(PAGE));
    server.write(PAGE + 10, text("split"));
    expect(holds(client.read(PAGE, PAGE), PAGE, 2)).toBe(true);
    expect(server.read(PAGE + 9, 7)).toEqual(Uint8Array.of(2, ...text("split"), 2));
    // Who is left alone on the frame writes to it without a copy.
    const alone = client.translate(PAGE);
    client.fill(PAGE, 1, 1);
    expect(client.translate(PAGE)).toBe(alone);
    expect(counters(pair)).toMatchObject({ framesFree: free + 6, framesSaved: 6 });
    expect(await table.deduplicate()).toMatchObject({ merged: 0, saved: 6 * PAGE });
  });

  test("zero pages of many partitions share one frame, and come apart one by one", async () => {
    const { table } = openTable({ memory: 256 * PAGE });
    const partitions = Array.from({ length: 8 }, (_, index) =>
      table.createPartition({ name: `p${index}`, memory: 16 * PAGE }),
    );
    expect(await table.deduplicate()).toMatchObject({ merged: 127, saved: 127 * PAGE });
    expect(table.inspect().counters.framesFree).toBe(255);
    for (const [index, partition] of partitions.entries()) partition.fill(0, 16 * PAGE, index + 1);
    for (const [index, partition] of partitions.entries()) {
      expect(holds(partition.read(0, 16 * PAGE), 16 * PAGE, index + 1)).toBe(true);
    }
    expect(table.inspect().counters).toMatchObject({ framesFree: 128, framesSaved: 0 });
  });

  test("one pass is enough, also where equal pages stand in groups already", async () => {
    const { table } = openTable();
    const first = table.createPartition({ name: "first", memory: 4 * PAGE, lmb: 4 * PAGE });
    const other = table.createPartition({ name: "other", memory: 4 * PAGE });
    const adapter = table.connect(first, other);
    other.fill(0, 4 * PAGE, 1);
    expect(await table.deduplicate()).toMatchObject({ merged: 3 + 3 });
    // What is left of the first group is not looked at while something of its LMB is granted.
    const cookie = first.grant({ to: adapter, address: 3 * PAGE, length: PAGE });
    const third = table.createPartition({ name: "third", memory: 8 * PAGE });
    expect(await table.deduplicate()).toMatchObject({ merged: 7 });
    first.rescind(cookie);
    await table.deduplicate();
    expect(first.translate(PAGE)).toBe(third.translate(7 * PAGE));
    expect(table.inspect().counters).toMatchObject({ framesSaved: 3 + 11 });
    expect(await table.deduplicate()).toMatchObject({ merged: 0, skipped: 0 });
  });

  test("private pages of copy-on-write mappings merge, also with each other's", async () => {
    const pair = openPair({ lmbPages: 8 });
    const { table, server, client } = pair;
    const third = table.createPartition({ name: "third" });
    const toThird = join(pair, server, third);
    const mapping = copied(pair);
    const other = third.accept(
      server.grant({ to: toThird, address: 0, length: 4 * PAGE, copyOnWrite: true }),
    );
    client.fill(mapping.address, 4 * PAGE, 5);
    third.fill(other.address, 4 * PAGE, 5);
    // Of the server only the LMB that nothing is granted of; its zero pages are equal, and so are the client's own four.
    expect(await table.deduplicate()).toMatchObject({ merged: 7 + 7 + 4 });
    expect(client.usage().copies).toBe(4);
    client.fill(mapping.address, 1, 6);
    expect(third.read(other.address, 1)[0]).toBe(5);
    await server.rescindForced(mapping.cookie);
    expect(holds(third.read(other.address, 4 * PAGE), 4 * PAGE, 5)).toBe(true);
    other.return();
    mapping.return();
    expect(counters(pair)).toMatchObject({ framesCopied: 0 });
  });

  test("pages under views, rings of queues and pages of which something is granted are left alone", async () => {
    const pair = openPair({ serverPages: 4, clientPages: 4 });
    const { table, server, client, adapter } = pair;
    const view = client.view(PAGE, PAGE);
    client.registerQueue(adapter.peer, 2 * PAGE, PAGE);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    // Two of the client's four pages are left.
    expect(await table.deduplicate()).toMatchObject({ merged: 1, skipped: 2 });
    view.bytes.fill(9);
    expect(holds(client.read(0, PAGE), PAGE, 0)).toBe(true);
    view.release();
    server.rescind(cookie);
    // The client's two that were merged already come to stand with the server's.
    expect(await table.deduplicate()).toMatchObject({ merged: 5, skipped: 1, saved: 5 * PAGE });
  });

  test("G1: pages that a view keeps from moving together are refused, and what was merged beside them stays merged", async () => {
    const pair = openPair({ serverPages: 4, clientPages: 4 });
    const { table, server } = pair;
    const { core } = kernelOf(table);
    using view = server.view(PAGE, PAGE);
    await table.deduplicate();
    expect(view.bytes.length).toBe(PAGE);
    const before = counters(pair).framesSaved;
    expect(before).toBeGreaterThan(0);
    expectRefused(table, H_RESOURCE, () => core.gatherMemory(server.lpid, 0, 2 * PAGE, 1));
    expect(counters(pair).framesSaved).toBe(before);
  });

  test("GR9: a grant of merged pages splits them first, so that sharers reach the owner's frame only", async () => {
    const pair = openPair({ serverPages: 4, clientPages: 4 });
    const { table, server, client, adapter } = pair;
    await table.deduplicate();
    expect(counters(pair).framesSaved).toBe(7);
    const mapping = client.accept(server.grant({ to: adapter, address: PAGE, length: 2 * PAGE }));
    expect(counters(pair).framesSaved).toBe(5);
    client.fill(mapping.address, 2 * PAGE, 7);
    expect(firstBytes(server, 0, 4)).toEqual([0, 7, 7, 0]);
    expect(holds(client.read(0, 4 * PAGE), 4 * PAGE, 0)).toBe(true);
  });

  test("a queue on merged pages, a view of them, and migrate() split them", async () => {
    const pair = openPair({ serverPages: 4, clientPages: 4 });
    const { table, server, client, adapter } = pair;
    await table.deduplicate();
    server.registerQueue(adapter, 0, PAGE);
    client.registerQueue(adapter.peer, 0, PAGE);
    client.send(adapter.peer, Uint8Array.of(0x80, ...new Uint8Array(15)));
    expect(server.receive(adapter)).toMatchObject({ header: 0x80 });
    using view = client.view(PAGE, 2 * PAGE);
    view.bytes.fill(3);
    await server.migrate(0, 4 * PAGE);
    server.fill(PAGE, PAGE, 8);
    expect(firstBytes(client, PAGE, 3)).toEqual([3, 3, 0]);
    expect(firstBytes(server, 1 * PAGE, 3)).toEqual([8, 0, 0]);
  });

  test("H_NO_MEM when a merged page is written and no frame is left; FA4: a partition that fails leaves the others' frames", async () => {
    const { table } = openTable({ memory: 8 * PAGE, gracePeriodMs: 0 });
    const first = table.createPartition({ name: "first", memory: 4 * PAGE });
    const second = table.createPartition({ name: "second", memory: 4 * PAGE });
    number(first, 4);
    number(second, 4);
    await table.deduplicate();
    const third = table.createPartition({ name: "third", memory: 4 * PAGE });
    expect(statusOf(() => first.fill(0, 1, 9))).toBe(H_NO_MEM);
    table.fail(second);
    await table.recovered(second);
    expect(firstBytes(first, 0, 4)).toEqual([1, 2, 3, 4]);
    first.fill(0, 4 * PAGE, 9);
    expect(holds(third.read(0, 4 * PAGE), 4 * PAGE, 0)).toBe(true);
    expect(statusOf(() => table.restart(second))).toBe(H_NO_MEM);
  });

  test("G2: hostile numbers to mergePages and digestPages are H_PARAMETER", async () => {
    const { server, client, table } = openPair();
    const { kernelOf } = await import("../src/kernel.js");
    const { core } = kernelOf(table);
    for (const hostile of HOSTILE) {
      expect(core.mergePages(hostile, 0, client.lpid, 0)).toBe(H_PARAMETER);
      expect(core.mergePages(server.lpid, hostile, client.lpid, 0)).toBe(H_PARAMETER);
      expect(core.mergePages(server.lpid, 0, hostile, 0)).toBe(H_PARAMETER);
      expect(core.mergePages(server.lpid, 0, client.lpid, hostile)).toBe(H_PARAMETER);
      expect(core.digestPages(server.lpid, 0, 1, hostile)).toBe(H_PARAMETER);
    }
    expect(core.mergePages(server.lpid, 0, server.lpid, 0)).toBe(H_SUCCESS);
    expect(core.mergePages(server.lpid, 64 * PAGE, server.lpid, 0)).toBe(H_RESOURCE);
    expect(core.mergePages(server.lpid, 128 * PAGE, server.lpid, 0)).toBe(H_PARAMETER);
    expect(core.translate(server.lpid, TYPE_MEMORY, 0, 1, NEED_READ | NEED_WRITE)).toBe(H_SUCCESS);
  });
});

test("section 12: random writes, merges, grants and failures against arrays: everybody reads what it should", async () => {
  const PAGES = 6;
  const step = fc.record({
    kind: fc.constantFrom("server", "client", "third", "merge", "return", "rescind", "migrate"),
    page: fc.nat(PAGES - 1),
    span: fc.integer({ min: 1, max: 2 }),
    value: fc.nat(2),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const pair = openPair({ memory: 64 * PAGE, serverPages: PAGES, clientPages: 0, lmbPages: 1 });
      const { table, server, client, adapter } = pair;
      const third = table.createPartition({ name: "third" });
      const links = { client: adapter, third: join(pair, server, third) };
      const clients = { client, third };
      const owner = new Array<number>(PAGES).fill(0);
      // Of each client: page by page the mapping, and what it wrote there itself.
      const held = { client: new Map<number, Mapping>(), third: new Map<number, Mapping>() };
      const own = { client: new Map<number, number>(), third: new Map<number, number>() };
      for (const { kind, page, span, value } of steps) {
        if (kind === "merge") await table.deduplicate();
        else if (kind === "migrate") await server.migrate(page * PAGE, PAGE);
        else if (kind === "server") {
          server.fill(page * PAGE, PAGE, value);
          owner[page] = value;
        } else if (kind === "client" || kind === "third") {
          for (let at = page; at < Math.min(page + span, PAGES); at++) {
            let mapping = held[kind].get(at);
            if (mapping === undefined) {
              const cookie = server.grant({
                to: links[kind],
                address: at * PAGE,
                length: PAGE,
                copyOnWrite: true,
              });
              mapping = clients[kind].accept(cookie);
              held[kind].set(at, mapping);
            } else {
              clients[kind].fill(mapping.address, PAGE, value);
              own[kind].set(at, value);
            }
          }
        } else {
          const mapping = held.client.get(page);
          if (mapping !== undefined) {
            if (kind === "rescind") await server.rescindForced(mapping.cookie);
            mapping.return();
            if (kind === "return") server.rescind(mapping.cookie);
          }
          held.client.delete(page);
          own.client.delete(page);
        }
        for (const [at, expected] of owner.entries()) {
          expect(holds(server.read(at * PAGE, PAGE), PAGE, expected)).toBe(true);
        }
        for (const name of ["client", "third"] as const) {
          for (const [at, mapping] of held[name]) {
            const expected = own[name].get(at) ?? (owner[at] as number);
            expect(holds(clients[name].read(mapping.address, PAGE), PAGE, expected)).toBe(true);
          }
        }
        expect(table.audit().problems).toEqual([]);
        expect(client.usage().copies + third.usage().copies).toBe(own.client.size + own.third.size);
      }
      await table.close();
    }),
    { numRuns: 60 },
  );
});
