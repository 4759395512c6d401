/** Ownership modes of a grant: share, lend, donate (1-semantics, section 12; DESIGN.md, 3.13: rules OM1 to OM9). */
import { describe, expect, test } from "vitest";
import { HcallError, type Mapping, type Partition } from "../src/index.js";
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
  MODE_DONATE,
  MODE_LEND,
  MODE_ZERO,
  TYPE_DMA,
  TYPE_INTERRUPT,
  TYPE_IPI,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../src/layout.js";
import { slotOfCookie } from "../src/records.js";
import {
  accepted,
  at,
  auditedAfterEach,
  bytesOf,
  expectRefused,
  granted,
  HOSTILE,
  join,
  listen,
  openPair,
  openRow,
  openTable,
  PAGE,
  rescindInSlices,
  settle,
  shared,
  statusOf,
  type World,
} from "./support/world.js";

auditedAfterEach();

const LEND = { mode: "lend" } as const;

/** What a partition is answered by every way to use a page of its memory. */
function accessTo(world: World, partition: Partition, address: number): number[] {
  const { h } = world;
  using batch = partition.createBatch(5);
  batch.addresses.fill(address);
  batch.run(5);
  return [
    statusOf(() => partition.read(address, 8)),
    statusOf(() => partition.read(address, PAGE)),
    statusOf(() => partition.write(address, Uint8Array.of(1))),
    statusOf(() => partition.write(address, new Uint8Array(PAGE))),
    statusOf(() => partition.fill(address, PAGE, 7)),
    statusOf(() => partition.load32(address)),
    statusOf(() => partition.store32(address, 1)),
    statusOf(() => partition.add32(address, 1)),
    statusOf(() => partition.compareExchange32(address, 0, 1)),
    statusOf(() => partition.copy(address, partition, address, 8)),
    statusOf(() => partition.view(address, PAGE).release()),
    statusOf(() => partition.translate(address)),
    statusOf(() => partition.translate(address, { write: true, length: PAGE })),
    h.translate(partition.lpid, TYPE_MEMORY, address, 1, 3),
    ...batch.status,
  ];
}

function expectAccess(world: World, partition: Partition, address: number, status: number): void {
  expect(new Set(accessTo(world, partition, address))).toEqual(new Set([status]));
}

/** A lend that is accepted. */
function lent(
  from: Partition,
  to: Partition,
  address: number,
  length: number,
  more: { zero?: boolean; write?: boolean; regrant?: boolean } = {},
): Mapping {
  return to.accept(from.grant({ to, address, length, ...LEND, ...more }));
}

describe("OM1: what a mode is", () => {
  test("OM1: numbers that are no mode, other kinds than memory, and zero where nothing comes back are refused", () => {
    const { table, h, server, unit } = openPair({ lmbPages: 4 });
    for (const type of ["mmio", "dma"] as const)
      table.assign(server, { type, address: 0, length: PAGE, ...(type === "dma" ? { liobn: 1 } : {}) });
    table.assign(server, { type: "interrupt", address: 0, length: 1 });
    table.assign(server, { type: "ipi", address: 0, length: 1 });
    const grant = (mode: number, flags = TYPE_MEMORY, hi = 0, length = 4 * PAGE): number =>
      h.grantMode(server.lpid, flags, hi, 0, length, unit, mode);
    for (const mode of [...HOSTILE, 3, 4, 6, 7, 8, 16, 255])
      expectRefused(table, H_PARAMETER, () => grant(mode));
    for (const mode of [MODE_LEND, MODE_LEND | MODE_ZERO, MODE_DONATE]) {
      expectRefused(table, H_PARAMETER, () => grant(mode, TYPE_MMIO, 0, PAGE));
      expectRefused(table, H_PARAMETER, () => grant(mode, TYPE_DMA, 1, PAGE));
      expectRefused(table, H_PARAMETER, () => grant(mode, TYPE_INTERRUPT, 0, 1));
      expectRefused(table, H_PARAMETER, () => grant(mode, TYPE_IPI, 0, 1));
    }
    for (const inhibit of [INHIBIT_READ, INHIBIT_WRITE, INHIBIT_REGRANT])
      expectRefused(table, H_PARAMETER, () => grant(MODE_DONATE, TYPE_MEMORY | inhibit));
    expect(grant(0)).toBe(H_SUCCESS); // a share
  });

  test("OM1: the decoding of everything else is that of a share", () => {
    const { table, h, server, client, unit } = openPair();
    const calls: [lpid: number, flags: number, hi: number, lo: number, length: number, unit: number][] = [
      [99, TYPE_MEMORY, 0, 0, PAGE, unit],
      [server.lpid, 0x11, 0, 0, PAGE, unit],
      [server.lpid, TYPE_MEMORY, 1, 0, PAGE, unit],
      [server.lpid, TYPE_MEMORY, 0, 1, PAGE, unit],
      [server.lpid, TYPE_MEMORY, 0, 0, 0, unit],
      [server.lpid, TYPE_MEMORY, 0, 0, 1000 * PAGE, unit],
      [server.lpid, TYPE_MEMORY, 0, 0, PAGE, unit + 1],
      ...HOSTILE.map((value): [number, number, number, number, number, number] => [
        ...([server.lpid, TYPE_MEMORY, 0, 0] as const),
        ...([value, unit] as const),
      ]),
    ];
    for (const args of calls) {
      const asShare = h.grantLogical(...args);
      expect(asShare).toBeLessThan(0);
      for (const mode of [MODE_LEND, MODE_LEND | MODE_ZERO])
        expectRefused(table, asShare, () => h.grantMode(...args, mode));
    }
    table.fail(client);
    expectRefused(table, H_PARAMETER, () =>
      h.grantMode(server.lpid, TYPE_MEMORY, 0, 0, PAGE, unit, MODE_LEND),
    );
    table.fail(server);
    expectRefused(table, H_RESCINDED, () =>
      h.grantMode(server.lpid, TYPE_MEMORY, 0, 0, PAGE, unit, MODE_LEND),
    );
  });

  test("OM1: the object API says what it is, and errors name the cause", () => {
    const { table, server, client } = openPair({ lmbPages: 4 });
    const nonsense = { to: client, address: 0, length: PAGE, mode: "borrow" as "lend" };
    expect(() => server.grant(nonsense)).toThrow(
      new TypeError('mode is "borrow"; it must be one of share, lend, donate'),
    );
    expect(statusOf(() => server.grant({ to: client, address: 0, length: PAGE, zero: true }))).toBe(
      H_PARAMETER,
    );
    const mapping = lent(server, client, 0, PAGE, { zero: true });
    expect(mapping.mode).toBe("lend");
    const told = (call: () => unknown): string => {
      try {
        call();
      } catch (error) {
        if (error instanceof HcallError) return error.message;
      }
      return "";
    };
    expect(told(() => server.read(0, 4))).toBe(
      "H_READ: H_RESOURCE (address 0, length 4: pages of it are lent)",
    );
    expect(told(() => server.store32(0, 4))).toContain("pages of it are lent");
    expect(told(() => server.grant({ to: client, address: 0, length: PAGE }))).toContain(
      "pages of it are lent",
    );
    expect(told(() => server.grant({ to: client, address: 0, length: 4 * PAGE, mode: "donate" }))).toMatch(
      /^H_GRANT_LOGICAL: H_RESOURCE \(donate of memory, address 0, .*granted or lent already/,
    );
    const [snapshot] = table.inspect().partitions.filter(({ name }) => name === "client");
    expect(snapshot?.grants).toMatchObject([{ mode: "lend", zero: true, state: "shared", revoking: false }]);
    expect(server.usage()).toMatchObject({ pagesLent: 1, pagesOwned: 16, grantsOut: 1 });
  });
});

describe("OM2: while it is lent", () => {
  test("OM2: the lender's every access to the pages answers H_RESOURCE from the grant on, and the pages beside are its", () => {
    const pair = openPair();
    const { server, client } = pair;
    const cookie = server.grant({ to: client, address: 2 * PAGE, length: 2 * PAGE, ...LEND });
    const check = (): void => {
      expectAccess(pair, server, 2 * PAGE, H_RESOURCE);
      expectAccess(pair, server, 3 * PAGE, H_RESOURCE);
      expectAccess(pair, server, PAGE, H_SUCCESS);
      expectAccess(pair, server, 4 * PAGE, H_SUCCESS);
      // The first page that fails decides, and no byte moves.
      expect(statusOf(() => server.fill(PAGE, 2 * PAGE, 9))).toBe(H_RESOURCE);
      expect(server.read(PAGE, 1)[0]).not.toBe(9);
      expect(statusOf(() => client.copy(4096 * 3, server, 2 * PAGE, 8))).toBe(H_RESOURCE);
    };
    check();
    const mapping = client.accept(cookie);
    expectAccess(pair, client, mapping.address, H_SUCCESS);
    check();
    mapping.return();
    check();
    server.rescind(cookie);
    expectAccess(pair, server, 2 * PAGE, H_SUCCESS);
    expectAccess(pair, server, 3 * PAGE, H_SUCCESS);
    expect(server.usage().pagesLent).toBe(0);
  });

  test("OM2: content goes both ways, and a frame is never copied", () => {
    const { h, server, client } = openPair();
    server.write(0, bytesOf(PAGE, 3));
    const frame = server.translate(0);
    const mapping = lent(server, client, 0, PAGE);
    expect(client.read(mapping.address, PAGE)).toEqual(bytesOf(PAGE, 3));
    expect(client.translate(mapping.address)).toBe(frame);
    // A number gives no access: without a need the frame is told.
    expect(h.translate(server.lpid, TYPE_MEMORY, 0, 1, 0)).toBe(H_SUCCESS);
    client.write(mapping.address, bytesOf(PAGE, 50));
    mapping.return();
    server.rescind(mapping.cookie);
    expect(server.read(0, PAGE)).toEqual(bytesOf(PAGE, 50));
  });

  test("GR5: a lend gives no more rights than the lender has, and restrictions hold for the borrower", () => {
    const world = openRow(3);
    const [a, b, c] = [at(world.row, 0), at(world.row, 1), at(world.row, 2)];
    const readOnly = b.accept(a.grant({ to: b, address: 0, length: PAGE, write: false }));
    expect(statusOf(() => b.grant({ to: c, address: readOnly.address, length: PAGE, ...LEND }))).toBe(
      H_PERMISSION,
    );
    const mapping = c.accept(
      b.grant({ to: c, address: readOnly.address, length: PAGE, ...LEND, write: false, regrant: false }),
    );
    expect(statusOf(() => c.fill(mapping.address, 1, 1))).toBe(H_PERMISSION);
    expect(statusOf(() => b.read(readOnly.address, 1))).toBe(H_RESOURCE);
    expect(a.read(0, 1)).toEqual(Uint8Array.of(0)); // RS8: what its own lender shares is the owner's still
    c.return(mapping.cookie);
    b.rescind(mapping.cookie);
    expect(b.read(readOnly.address, 1)).toEqual(Uint8Array.of(0));
    expect(statusOf(() => b.fill(readOnly.address, 1, 1))).toBe(H_PERMISSION);
    const inhibited = b.accept(a.grant({ to: b, address: PAGE, length: PAGE, ...LEND, regrant: false }));
    expect(statusOf(() => b.grant({ to: c, address: inhibited.address, length: PAGE, ...LEND }))).toBe(
      H_PERMISSION,
    );
  });
});

describe("OM3: one borrower", () => {
  test("OM3: pages that are granted to anybody, accepted or not, are not lent or donated", () => {
    const { table, server, client } = openPair({ serverPages: 8, lmbPages: 8 });
    const other = table.createPartition({ name: "other" });
    join({ table }, server, other);
    const lend = (address: number, length: number): number =>
      statusOf(() => server.grant({ to: client, address, length, ...LEND }));
    const cookie = server.grant({ to: other, address: 2 * PAGE, length: 2 * PAGE });
    const refused = (): void => {
      expectRefused(table, H_RESOURCE, () => lend(0, 3 * PAGE));
      expectRefused(table, H_RESOURCE, () => lend(3 * PAGE, PAGE));
      expectRefused(table, H_RESOURCE, () => lend(0, 8 * PAGE));
      expectRefused(table, H_RESOURCE, () =>
        statusOf(() => server.grant({ to: client, address: 0, length: 8 * PAGE, mode: "donate" })),
      );
    };
    refused();
    const mapping = other.accept(cookie);
    refused();
    expect(lend(0, 2 * PAGE)).toBe(H_SUCCESS); // right beside it
    expect(lend(4 * PAGE, PAGE)).toBe(H_SUCCESS);
    mapping.return();
    server.rescind(cookie);
    expect(lend(2 * PAGE, 2 * PAGE)).toBe(H_SUCCESS);
  });

  test("OM3: lent pages are not granted in any mode, not even with others around them", () => {
    const { table, server, client } = openPair();
    const cookie = server.grant({ to: client, address: 4 * PAGE, length: PAGE, ...LEND });
    for (const mode of ["share", "lend"] as const)
      for (const [first, count] of [
        [4, 1],
        [3, 2],
        [4, 2],
        [0, 16],
      ] as const)
        expectRefused(table, H_RESOURCE, () =>
          statusOf(() => server.grant({ to: client, address: first * PAGE, length: count * PAGE, mode })),
        );
    expect(statusOf(() => server.grant({ to: client, address: 5 * PAGE, length: PAGE }))).toBe(H_SUCCESS);
    server.rescind(cookie);
    expect(statusOf(() => server.grant({ to: client, address: 3 * PAGE, length: 2 * PAGE }))).toBe(H_SUCCESS);
  });

  test("OM3: pages under a view of the lender, or that hold its queue, are not lent; views elsewhere do no harm", () => {
    const { table, server, client, adapter } = openPair({ serverPages: 8, lmbPages: 8 });
    const lend = (page: number, mode: "lend" | "donate" = "lend"): number =>
      statusOf(() =>
        server.grant({
          ...{ to: client, mode },
          ...(mode === "donate" ? { address: 0, length: 8 * PAGE } : { address: page * PAGE, length: PAGE }),
        }),
      );
    const view = server.view(PAGE, 2 * PAGE);
    expectRefused(table, H_RESOURCE, () => lend(1));
    expectRefused(table, H_RESOURCE, () => lend(2));
    expectRefused(table, H_RESOURCE, () => lend(0, "donate"));
    expect(lend(3)).toBe(H_SUCCESS);
    view.release();
    expect(lend(1)).toBe(H_SUCCESS);
    server.registerQueue(adapter, 6 * PAGE, PAGE);
    expectRefused(table, H_RESOURCE, () => lend(6));
    expect(lend(7)).toBe(H_SUCCESS);
    server.freeQueue(adapter);
    expect(lend(6)).toBe(H_SUCCESS);
    // And the other way round: no queue on what is lent.
    expectRefused(table, H_RESOURCE, () => statusOf(() => server.registerQueue(adapter, 6 * PAGE, PAGE)));
  });

  test("OM3: what is to be copied on write is granted: it is not lent, nor copied when it is", () => {
    const { table, server, client } = openPair();
    const copy = server.grant({ to: client, address: 0, length: 2 * PAGE, copyOnWrite: true });
    const lend = (options: object): number =>
      statusOf(() => server.grant({ to: client, address: PAGE, length: PAGE, ...LEND, ...options }));
    expectRefused(table, H_RESOURCE, () => lend({}));
    expectRefused(table, H_PARAMETER, () => lend({ copyOnWrite: true }));
    server.rescind(copy);
    expect(lend({})).toBe(H_SUCCESS);
    expectRefused(table, H_RESOURCE, () =>
      statusOf(() => server.grant({ to: client, address: 0, length: 2 * PAGE, copyOnWrite: true })),
    );
  });

  test("OM3, OM5: pages that were merged with equal ones are split before they are lent or donated", async () => {
    const { table, server, client } = openPair({ serverPages: 8, lmbPages: 4 });
    server.fill(0, 8 * PAGE, 9);
    await table.deduplicate();
    expect(server.translate(0)).toBe(server.translate(5 * PAGE));
    const mapping = lent(server, client, 0, 2 * PAGE, { zero: true });
    const gift = client.accept(
      server.grant({ to: client, address: 4 * PAGE, length: 4 * PAGE, mode: "donate" }),
    );
    client.fill(mapping.address, 2 * PAGE, 1);
    client.fill(gift.address, PAGE, 2);
    expect([2, 3].map((page) => server.read(page * PAGE, 1)[0])).toEqual([9, 9]);
    await table.deduplicate(); // what is lent stays as it is
    mapping.return();
    expect(client.read(gift.address + PAGE, 1)[0]).toBe(9);
    server.rescind(mapping.cookie);
    expect([0, 1, 2, 3].map((page) => server.read(page * PAGE, 1)[0])).toEqual([0, 0, 9, 9]);
  });

  test("OM3: a resource with more grants than a slice has steps is not searched: H_RESOURCE", () => {
    const { table, h, server, client, unit } = openPair();
    for (let count = 0; count < 6; count++) granted(h, server.lpid, unit, 8 * PAGE);
    const lend = (): number =>
      statusOf(() => server.grant({ to: client, address: 0, length: PAGE, ...LEND }));
    h.budget = 5;
    expectRefused(table, H_RESOURCE, lend);
    h.budget = 6;
    expect(lend()).toBe(H_SUCCESS);
    h.budget = 4096;
  });

  test("OM3, KI4: a device reaches no page that its holder has lent; what a DMA entry names is not donated", () => {
    const { table, server, client } = openPair({ serverPages: 4, lmbPages: 4 });
    table.assign(server, { type: "dma", address: 0, length: PAGE, physical: 64 * PAGE, liobn: 9 });
    server.dma.put(9, 0, PAGE);
    const device = server.dma.device(9);
    device.write(64 * PAGE, Uint8Array.of(5));
    const mapping = lent(server, client, 0, 2 * PAGE);
    expect(statusOf(() => device.read(64 * PAGE, 1))).toBe(H_RESOURCE);
    expect(statusOf(() => device.write(64 * PAGE, Uint8Array.of(6)))).toBe(H_RESOURCE);
    expect(client.read(mapping.address + PAGE, 1)[0]).toBe(5);
    mapping.return();
    server.rescind(mapping.cookie);
    expect(device.read(64 * PAGE, 1)[0]).toBe(5);
    const donate = (): number =>
      statusOf(() => server.grant({ to: client, address: 0, length: 4 * PAGE, mode: "donate" }));
    expectRefused(table, H_RESOURCE, donate);
    server.dma.remove(9, 0);
    expect(donate()).toBe(H_SUCCESS);
  });

  test("GR7: a lend counts against the quota of its adapter like any grant", () => {
    const { table, server, client } = openPair({ quota: 2 });
    const lend = (page: number): number =>
      statusOf(() => server.grant({ to: client, address: page * PAGE, length: PAGE, ...LEND }));
    const first = server.grant({ to: client, address: 9 * PAGE, length: PAGE, ...LEND });
    expect(lend(0)).toBe(H_SUCCESS);
    expectRefused(table, H_NO_MEM, () => lend(1));
    server.rescind(first);
    expect(lend(1)).toBe(H_SUCCESS);
  });

  test("GR8, GR5: shares of the same pages to several borrowers, each with its own rights and its own life", async () => {
    const { table, server, client } = openPair();
    const [reader, writer] = ["reader", "writer"].map((name) => table.createPartition({ name }));
    if (reader === undefined || writer === undefined) throw new Error("no partitions");
    for (const partner of [reader, writer]) join({ table }, server, partner);
    join({ table }, reader, writer);
    const share = (to: Partition, options: object): Mapping =>
      to.accept(server.grant({ to, address: PAGE, length: 2 * PAGE, ...options }));
    const both = share(client, {});
    const readOnly = share(reader, { write: false });
    const writeOnly = share(writer, { read: false, regrant: false });
    const again = share(reader, { regrant: false });
    writer.fill(writeOnly.address, PAGE, 5);
    expect(statusOf(() => writer.read(writeOnly.address, 1))).toBe(H_PERMISSION);
    expect(reader.read(readOnly.address, 1)[0]).toBe(5);
    expect(statusOf(() => reader.fill(readOnly.address, 1, 6))).toBe(H_PERMISSION);
    reader.fill(again.address, 1, 7); // the same pages, by its other grant
    expect([server.read(PAGE, 1)[0], client.read(both.address, 1)[0]]).toEqual([7, 7]);
    // What each may give on is bounded by its own grant.
    const on = (from: Partition, to: Partition, address: number, options: object): number =>
      statusOf(() => from.grant({ to, address, length: PAGE, ...options }));
    expect(on(reader, writer, readOnly.address, {})).toBe(H_PERMISSION);
    expect(on(reader, writer, readOnly.address, { write: false })).toBe(H_SUCCESS);
    expect(on(reader, writer, again.address, {})).toBe(H_PERMISSION);
    expect(on(writer, reader, writeOnly.address, { read: false })).toBe(H_PERMISSION);
    await server.rescindForced(readOnly.cookie);
    expect(statusOf(() => reader.read(readOnly.address, 1))).toBe(H_RESCINDED);
    expect(reader.read(again.address, 1)[0]).toBe(7);
    writer.fill(writeOnly.address, 1, 8);
    expect(client.read(both.address, 1)[0]).toBe(8);
  });
});

describe("OM4: the end of a lend", () => {
  test("OM4: states are those of a share: RE1, RE4, RS1, RS2, AC2", () => {
    const { table, h, server, client, unit } = openPair();
    expect(h.grantMode(server.lpid, TYPE_MEMORY, 0, 0, 2 * PAGE, unit, MODE_LEND)).toBe(H_SUCCESS);
    const cookie = h.r4;
    expectRefused(table, H_PARAMETER, () => h.returnLogical(client.lpid, cookie));
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(server.lpid, cookie));
    expectRefused(table, H_PARAMETER, () => h.rescindLogical(client.lpid, 0, cookie));
    accepted(h, client.lpid, cookie);
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
    expectRefused(table, H_RESOURCE, () => h.rescindLogical(server.lpid, 0, cookie));
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    accepted(h, client.lpid, cookie);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expect(h.rescindLogical(server.lpid, 0, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, 0, cookie));
  });

  test("RE2: a view of the borrower holds up its return, and the lender's access with it", () => {
    const pair = openPair();
    const { server, client } = pair;
    const mapping = lent(server, client, 0, PAGE);
    const view = client.view(mapping.address, PAGE);
    expect(statusOf(() => mapping.return())).toBe(H_RESOURCE);
    expectAccess(pair, server, 0, H_RESOURCE);
    view.release();
    mapping.return();
    server.rescind(mapping.cookie);
    expectAccess(pair, server, 0, H_SUCCESS);
  });

  test("RS4: a forced rescind gives the lender its access back at once; the borrower's addresses answer H_RESCINDED", async () => {
    const pair = openPair();
    const { server, client } = pair;
    const mapping = lent(server, client, 0, 2 * PAGE);
    client.fill(mapping.address, 2 * PAGE, 4);
    expect(await server.rescindForced(mapping.cookie)).toMatchObject({ nodes: 1 });
    expect(server.read(PAGE, 1)[0]).toBe(4);
    expectAccess(pair, server, 0, H_SUCCESS);
    expectAccess(pair, client, mapping.address, H_RESCINDED);
    mapping.return(); // RE5
    expect([server.usage().pagesLent, client.usage().rescinded]).toEqual([0, 0]);
  });

  test("RS5: in slices of any size the lender has no access before the last one", () => {
    for (const budget of [1, 2, 3, 7]) {
      const { h, row } = openRow(3);
      const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
      const toB = lent(a, b, 0, 3 * PAGE, { zero: true });
      const toC = lent(b, c, toB.address, 2 * PAGE, { zero: true });
      c.fill(toC.address, 2 * PAGE, 9);
      h.budget = budget;
      const bounds = rescindInSlices(h, a.lpid, toB.cookie, () => {
        expect(statusOf(() => a.read(0, 1))).toBe(H_RESOURCE);
        expect(statusOf(() => b.read(toB.address, 1))).not.toBe(H_SUCCESS);
      });
      expect(bounds.length).toBeGreaterThan(2);
      expect([...bounds].sort((x, y) => y - x)).toEqual(bounds);
      expect(new Set(bounds).size).toBe(bounds.length);
      expect(a.read(0, 3 * PAGE)).toEqual(new Uint8Array(3 * PAGE));
      h.budget = 4096;
    }
  });

  test("RS6: a leaked view keeps the old frame; the lender gets a fresh one with the content, zero if that was asked", async () => {
    for (const zero of [false, true]) {
      const { server, client } = openPair();
      const mapping = lent(server, client, PAGE, 2 * PAGE, { zero });
      client.fill(mapping.address, 2 * PAGE, 6);
      const view = client.view(mapping.address + PAGE, PAGE);
      const frame = client.translate(mapping.address + PAGE);
      expect(await server.rescindForced(mapping.cookie)).toMatchObject({ nodes: 1, pagesMoved: 1 });
      expect(server.translate(2 * PAGE)).not.toBe(frame);
      expect(server.read(2 * PAGE, 1)[0]).toBe(zero ? 0 : 6);
      expect(view.bytes[0]).toBe(6); // in quarantine
      view.bytes.fill(1);
      expect(server.read(2 * PAGE, 1)[0]).toBe(zero ? 0 : 6);
      expect(server.usage().pagesLent).toBe(0);
      view.release();
    }
  });

  test("RS5, RS6: a zero lend under views moves all of them first, then it is zeroed, in slices of any size", () => {
    for (const budget of [1, 9, 40]) {
      const { h, server, client } = openPair({ memory: 128 * PAGE, serverPages: 40 });
      const mapping = lent(server, client, 0, 40 * PAGE, { zero: true });
      client.fill(mapping.address, 40 * PAGE, 6);
      const views = [0, 17, 39].map((page) => client.view(mapping.address + page * PAGE, PAGE));
      h.budget = budget;
      const bounds = rescindInSlices(h, server.lpid, mapping.cookie, () => {
        expect(statusOf(() => server.read(0, 1))).toBe(H_RESOURCE);
      });
      expect([...bounds].sort((x, y) => y - x)).toEqual(bounds);
      h.budget = 4096;
      expect(server.read(0, 40 * PAGE)).toEqual(new Uint8Array(40 * PAGE));
      for (const view of views) {
        expect(view.bytes[0]).toBe(6);
        view.release();
      }
      mapping.return();
    }
  });

  test("FA1: when the borrower fails the lender has its pages back, and is told", async () => {
    for (const zero of [false, true]) {
      const pair = openPair();
      const { table, server, client } = pair;
      const events = listen((signal) => server.events({ signal }));
      const mapping = lent(server, client, 0, 2 * PAGE, { zero });
      const offered = server.grant({ to: client, address: 3 * PAGE, length: PAGE, ...LEND });
      client.fill(mapping.address, 2 * PAGE, 3);
      table.fail(client);
      await table.recovered(client);
      expect(server.read(PAGE, 1)[0]).toBe(zero ? 0 : 3);
      for (const page of [0, 1, 3]) expectAccess(pair, server, page * PAGE, H_SUCCESS);
      expect(server.usage()).toMatchObject({ pagesLent: 0, grantsOut: 0 });
      expect(statusOf(() => server.rescind(offered))).toBe(H_PARAMETER);
      await events.stop();
      expect(events.seen.map(({ type }) => type)).toEqual([
        "partner-failed",
        "returned",
        "partner-recovered",
      ]);
    }
  });

  test("FA2: when the lender fails the borrower keeps the pages for the grace period, then loses them", async () => {
    const { table, clock, server, client } = openPair();
    const mapping = lent(server, client, 0, PAGE, { zero: true });
    const unaccepted = server.grant({ to: client, address: PAGE, length: PAGE, ...LEND });
    client.fill(mapping.address, PAGE, 1);
    table.fail(server);
    expect(client.read(mapping.address, 1)[0]).toBe(1);
    expect(statusOf(() => client.accept(unaccepted))).toBe(H_RESCINDED); // AC5
    clock.advance(2000);
    await table.recovered(server);
    expect(statusOf(() => client.read(mapping.address, 1))).toBe(H_RESCINDED);
    table.restart(server);
    expect(server.read(0, PAGE)).toEqual(new Uint8Array(PAGE));
    expect(server.usage()).toMatchObject({ pagesLent: 0, pagesOwned: 16 });
    mapping.return();
  });

  test("FA3: both fail, in both orders, and everything is free", async () => {
    for (const order of [0, 1]) {
      const { table, server, client, clock } = openPair();
      lent(server, client, 0, 4 * PAGE, { zero: true });
      server.grant({ to: client, address: 8 * PAGE, length: PAGE, ...LEND });
      for (const partition of order === 0 ? [server, client] : [client, server]) table.fail(partition);
      clock.advance(2000);
      await Promise.all([table.recovered(server), table.recovered(client)]);
      expect(table.inspect().counters).toMatchObject({ framesFree: 64, structuresUsed: 0 });
    }
  });

  test("FA7: the last return of a lend to a failed lender that waits lets it be recovered, zeroed or not", async () => {
    for (const zero of [false, true]) {
      const { table } = openTable();
      const server = table.createPartition({ name: "server", memory: 8 * PAGE, onFailure: "defer" });
      const client = table.createPartition({ name: "client" });
      join({ table }, server, client);
      const mapping = lent(server, client, 0, 2 * PAGE, { zero });
      const unaccepted = server.grant({ to: client, address: 4 * PAGE, length: PAGE, ...LEND });
      table.fail(server);
      await settle();
      client.fill(mapping.address, 2 * PAGE, 2);
      expect(client.read(mapping.address, 1)[0]).toBe(2);
      expect(statusOf(() => client.accept(unaccepted))).toBe(H_PARAMETER);
      expect(server.state).toBe("failed");
      mapping.return();
      await table.recovered(server);
      table.restart(server);
      expect(server.usage()).toMatchObject({ pagesLent: 0, pagesOwned: 8 });
    }
  });

  test("OM4: a deadline asks the borrower first; what it gives back in time is no force", async () => {
    const { clock, server, client } = openPair();
    const mapping = lent(server, client, 0, PAGE, { zero: true });
    client.fill(mapping.address, PAGE, 1);
    const polite = server.rescindForced(mapping.cookie, { deadline: 100 });
    await settle();
    mapping.return();
    expect(await polite).toMatchObject({ nodes: 1, slices: 0 });
    expect(server.read(0, 1)[0]).toBe(0);
    const stubborn = lent(server, client, 0, PAGE);
    const forced = server.rescindForced(stubborn.cookie, { deadline: 100 });
    await settle();
    expect(statusOf(() => server.read(0, 1))).toBe(H_RESOURCE);
    clock.advance(100);
    await forced;
    expect(statusOf(() => server.read(0, 1))).toBe(H_SUCCESS);
  });
});

describe("OM5: zero on return", () => {
  test("OM5: what is returned is zero before the lender, or the next accept, can see it; a lend that nobody took is untouched", () => {
    const { server, client } = openPair();
    server.fill(0, 4 * PAGE, 1);
    const cookie = server.grant({ to: client, address: PAGE, length: 2 * PAGE, ...LEND, zero: true });
    server.rescind(cookie);
    expect(server.read(PAGE, 1)[0]).toBe(1);
    const mapping = lent(server, client, PAGE, 2 * PAGE, { zero: true });
    expect(client.read(mapping.address, 1)[0]).toBe(1);
    mapping.return();
    const again = client.accept(mapping.cookie);
    expect(client.read(again.address, 2 * PAGE)).toEqual(new Uint8Array(2 * PAGE));
    client.fill(again.address, 2 * PAGE, 7);
    again.return();
    server.rescind(mapping.cookie);
    expect(server.read(PAGE, 2 * PAGE)).toEqual(new Uint8Array(2 * PAGE));
    expect([server.read(0, 1)[0], server.read(3 * PAGE, 1)[0]]).toEqual([1, 1]);
  });

  test("OM5: only who may write asks for it, and the borrower need not", () => {
    const { row } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const readOnly = b.accept(a.grant({ to: b, address: 0, length: PAGE, write: false }));
    expect(
      statusOf(() =>
        b.grant({ to: c, address: readOnly.address, length: PAGE, write: false, ...LEND, zero: true }),
      ),
    ).toBe(H_PERMISSION);
    a.fill(PAGE, PAGE, 8);
    const mapping = lent(a, b, PAGE, PAGE, { write: false, zero: true });
    expect(b.read(mapping.address, 1)[0]).toBe(8);
    mapping.return();
    a.rescind(mapping.cookie);
    expect(a.read(PAGE, PAGE)).toEqual(new Uint8Array(PAGE));
  });

  test("RE6, OM5: more pages than a slice zeroes are returned with H_BUSY, unmapped at once and not free before the end", () => {
    const { h, server, client, unit } = openPair();
    expect(h.grantMode(server.lpid, TYPE_MEMORY, 0, 0, 8 * PAGE, unit, MODE_LEND | MODE_ZERO)).toBe(
      H_SUCCESS,
    );
    const cookie = h.r4;
    const address = accepted(h, client.lpid, cookie);
    client.fill(address, 8 * PAGE, 5);
    h.budget = 16; // two pages
    let busy = 0;
    let status = h.returnLogical(client.lpid, cookie);
    for (; status === H_BUSY; status = h.returnLogical(client.lpid, cookie)) {
      busy++;
      expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_PARAMETER);
      expect(h.acceptLogical(client.lpid, cookie)).toBe(H_PARAMETER);
      expect(h.rescindLogical(server.lpid, 0, cookie)).toBe(H_RESOURCE);
      expect(statusOf(() => server.read(0, 1))).toBe(H_RESOURCE);
    }
    expect([status, busy]).toEqual([H_SUCCESS, 3]);
    h.budget = 4096;
    expect(h.rescindLogical(server.lpid, 0, cookie)).toBe(H_SUCCESS);
    expect(server.read(0, 8 * PAGE)).toEqual(new Uint8Array(8 * PAGE));
  });

  test("OM5, FA1, RS4: a return that was left half-way is zeroed to the end by who ends the grant", async () => {
    for (const way of ["forced", "client fails"] as const) {
      const { table, h, server, client, unit } = openPair();
      h.grantMode(server.lpid, TYPE_MEMORY, 0, 0, 8 * PAGE, unit, MODE_LEND | MODE_ZERO);
      const cookie = h.r4;
      client.fill(accepted(h, client.lpid, cookie), 8 * PAGE, 5);
      h.budget = 8;
      expect(h.returnLogical(client.lpid, cookie)).toBe(H_BUSY);
      if (way === "forced") expect(rescindInSlices(h, server.lpid, cookie).length).toBeGreaterThan(0);
      else {
        table.fail(client);
        await table.recovered(client);
      }
      h.budget = 4096;
      expect(server.read(0, 8 * PAGE)).toEqual(new Uint8Array(8 * PAGE));
    }
  });

  test("OM5: what a borrower lent on without the wish is zeroed when the first lend asked for it", async () => {
    const { row } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const toB = lent(a, b, 0, PAGE, { zero: true });
    const toC = lent(b, c, toB.address, PAGE);
    c.fill(toC.address, PAGE, 9);
    toC.return();
    b.rescind(toC.cookie);
    expect(b.read(toB.address, 1)[0]).toBe(9);
    const again = lent(b, c, toB.address, PAGE);
    c.fill(again.address, PAGE, 9);
    await a.rescindForced(toB.cookie);
    expect(a.read(0, PAGE)).toEqual(new Uint8Array(PAGE));
  });
});

describe("OM6: what a borrower does with it", () => {
  test("OM6: it shares on, and lends on: then it has no access itself, down the chain", () => {
    const world = openRow(4);
    const [a, b, c, d] = [at(world.row, 0), at(world.row, 1), at(world.row, 2), at(world.row, 3)];
    const toB = lent(a, b, 0, 2 * PAGE);
    const toC = lent(b, c, toB.address, 2 * PAGE);
    const toD = d.accept(c.grant({ to: d, address: toC.address, length: PAGE }));
    expectAccess(world, a, 0, H_RESOURCE);
    expectAccess(world, b, toB.address, H_RESOURCE);
    expectAccess(world, c, toC.address, H_SUCCESS);
    expectAccess(world, d, toD.address, H_SUCCESS);
    expect(statusOf(() => toB.return())).toBe(H_RESOURCE); // RE3
    toD.return();
    c.rescind(toD.cookie);
    toC.return();
    b.rescind(toC.cookie);
    expectAccess(world, b, toB.address, H_SUCCESS);
    expectAccess(world, a, 0, H_RESOURCE);
    toB.return();
    a.rescind(toB.cookie);
    expectAccess(world, a, 0, H_SUCCESS);
    expect(world.row.map((partition) => partition.usage().pagesLent)).toEqual([0, 0, 0, 0]);
  });

  test("OM6, RS4: a lender whose own mapping is rescinded does not get it back by the end of its lend", async () => {
    const world = openRow(3);
    const [a, b, c] = [at(world.row, 0), at(world.row, 1), at(world.row, 2)];
    const toB = b.accept(a.grant({ to: b, address: 0, length: 2 * PAGE }));
    const toC = lent(b, c, toB.address + PAGE, PAGE);
    expect(await a.rescindForced(toB.cookie)).toMatchObject({ nodes: 2 });
    for (const page of [0, 1]) expectAccess(world, b, toB.address + page * PAGE, H_RESCINDED);
    expectAccess(world, c, toC.address, H_RESCINDED);
    expectAccess(world, a, PAGE, H_SUCCESS);
    toC.return();
    for (const page of [0, 1]) expectAccess(world, b, toB.address + page * PAGE, H_RESCINDED);
    toB.return();
    expect(b.usage()).toMatchObject({ pagesLent: 0, rescinded: 0 });
  });

  test("OM6, FA1: a lender in the middle fails: all below is taken, the first lender has its access", async () => {
    const world = openRow(3);
    const { table } = world;
    const [a, b, c] = [at(world.row, 0), at(world.row, 1), at(world.row, 2)];
    const toB = lent(a, b, 0, PAGE);
    const toC = lent(b, c, toB.address, PAGE);
    c.fill(toC.address, PAGE, 3);
    table.fail(b);
    await table.recovered(b);
    expect(a.read(0, 1)[0]).toBe(3);
    expectAccess(world, c, toC.address, H_RESCINDED);
    toC.return();
  });
});

describe("OM7: pages that move", () => {
  test("OM7: migrate() and compact() move lent pages, and nothing changes for lender and borrower", async () => {
    const pair = openPair({ serverPages: 8, lmbPages: 8 });
    const { table, server, client } = pair;
    const hole = table.createPartition({ name: "hole", memory: 6 * PAGE });
    const late = table.createPartition({ name: "late", memory: 6 * PAGE });
    join({ table }, late, client);
    const first = lent(server, client, PAGE, 3 * PAGE, { zero: true });
    const second = lent(late, client, 0, 6 * PAGE);
    client.write(first.address, bytesOf(3 * PAGE, 1));
    client.write(second.address, bytesOf(6 * PAGE, 7));
    await table.destroyPartition(hole);
    const before = client.translate(second.address);
    expect((await table.compact()).pagesMoved).toBeGreaterThan(0);
    expect(client.translate(second.address)).toBeLessThan(before);
    expect(client.read(first.address, 3 * PAGE)).toEqual(bytesOf(3 * PAGE, 1));
    expect(client.read(second.address, 6 * PAGE)).toEqual(bytesOf(6 * PAGE, 7));
    expectAccess(pair, server, PAGE, H_RESOURCE);
    expectAccess(pair, late, 0, H_RESOURCE);
    await late.migrate(0, 6 * PAGE);
    expect(table.audit().problems).toEqual([]);
    second.return();
    late.rescind(second.cookie);
    expect(late.read(0, 6 * PAGE)).toEqual(bytesOf(6 * PAGE, 7));
    first.return();
    server.rescind(first.cookie);
    expect(server.read(PAGE, 3 * PAGE)).toEqual(new Uint8Array(3 * PAGE));
  });

  test("OM7: the reconciler finds nothing wrong with lends and donations under way", () => {
    const { table, clock, server, client } = openPair({ serverPages: 8, lmbPages: 4 });
    lent(server, client, 0, PAGE);
    client.accept(server.grant({ to: client, address: 4 * PAGE, length: 4 * PAGE, mode: "donate" }));
    const reconciler = table.reconcile({ everyMs: 100 });
    clock.advance(100);
    clock.advance(100);
    expect([reconciler.observations, reconciler.drift]).toEqual([2, 0]);
    reconciler.stop();
  });
});

describe("OM8: donation", () => {
  const DONATE = { mode: "donate" } as const;

  test("OM8: only a whole elemental resource is donated, and only by its owner", () => {
    const { table, server, client } = openPair({ serverPages: 12, lmbPages: 4 });
    const third = table.createPartition({ name: "third" });
    join({ table }, client, third);
    const donate = (address: number, length: number): number =>
      statusOf(() => server.grant({ to: client, address, length, ...DONATE }));
    for (const [page, count] of [
      [0, 3],
      [1, 3],
      [0, 8],
      [4, 1],
      [2, 4],
      [0, 12],
    ] as const)
      expectRefused(table, H_PARAMETER, () => donate(page * PAGE, count * PAGE));
    const share = client.accept(server.grant({ to: client, address: 8 * PAGE, length: 4 * PAGE }));
    expectRefused(table, H_PARAMETER, () =>
      statusOf(() => client.grant({ to: third, address: share.address, length: 4 * PAGE, ...DONATE })),
    );
    expect(donate(4 * PAGE, 4 * PAGE)).toBe(H_SUCCESS);
  });

  test("OM8: until it is accepted the donor has no access and may take it back", () => {
    const pair = openPair({ serverPages: 8, lmbPages: 4 });
    const { server, client } = pair;
    server.fill(4 * PAGE, PAGE, 9);
    const cookie = server.grant({ to: client, address: 4 * PAGE, length: 4 * PAGE, ...DONATE });
    expectAccess(pair, server, 4 * PAGE, H_RESOURCE);
    expect(server.usage()).toMatchObject({ pagesOwned: 8, pagesLent: 4, grantsOut: 1 });
    expect(statusOf(() => server.grant({ to: client, address: 5 * PAGE, length: PAGE }))).toBe(H_RESOURCE);
    expect(statusOf(() => client.return(cookie))).toBe(H_PARAMETER);
    server.rescind(cookie);
    expect(server.read(4 * PAGE, 1)[0]).toBe(9);
    expect(statusOf(() => client.accept(cookie))).toBe(H_PARAMETER);
    expect(server.usage()).toMatchObject({ pagesOwned: 8, pagesLent: 0, grantsOut: 0 });
  });

  test("OM8: accepted it is the receiver's: pages, counters and quota move, the cookie is dead, frames and content stay", async () => {
    const pair = openPair({ serverPages: 8, lmbPages: 4, quota: 1 });
    const { table, server, client } = pair;
    server.write(4 * PAGE, bytesOf(4 * PAGE, 11));
    const frame = server.translate(4 * PAGE);
    const cookie = server.grant({ to: client, address: 4 * PAGE, length: 4 * PAGE, ...DONATE });
    const mapping = client.accept(cookie);
    expect(mapping).toMatchObject({ mode: "donate", length: 4 * PAGE, address: 4 * PAGE, writable: true });
    expect(client.translate(mapping.address)).toBe(frame);
    expect(client.read(mapping.address, 4 * PAGE)).toEqual(bytesOf(4 * PAGE, 11));
    expectAccess(pair, server, 4 * PAGE, H_PARAMETER);
    expect(server.usage()).toMatchObject({ pagesOwned: 4, pagesLent: 0, grantsOut: 0 });
    expect(client.usage()).toMatchObject({ pagesOwned: 8, pagesMapped: 0, grantsIn: 0 });
    for (const call of [
      () => mapping.return(),
      () => client.return(cookie),
      () => client.accept(cookie),
      () => server.rescind(cookie),
    ])
      expectRefused(table, H_PARAMETER, () => statusOf(call));
    await expect(server.rescindForced(cookie)).rejects.toMatchObject({ code: "H_PARAMETER" });
    mapping[Symbol.dispose](); // what is its own it keeps
    expect(client.read(mapping.address, 1)[0]).toBe(11);
    // The quota of one is free again.
    expect(statusOf(() => server.grant({ to: client, address: 0, length: PAGE }))).toBe(H_SUCCESS);
    const [donor, receiver] = table.inspect().partitions;
    expect(donor?.resources.map(({ address, donated }) => [address, donated])).toEqual([[0, false]]);
    expect(receiver?.resources.map(({ address, donated }) => [address, donated])).toEqual([
      [0, false],
      [4 * PAGE, true],
    ]);
  });

  test("OM8: return() of what was donated is H_PARAMETER also where its place is a later grant's, returned by its cookie", () => {
    const { server, client } = openPair({ serverPages: 4, clientPages: 32, lmbPages: 2 });
    const kept = client.accept(server.grant({ to: client, address: 0, length: 2 * PAGE, ...DONATE }));
    server.accept(client.grant({ to: server, address: kept.address, length: 2 * PAGE, ...DONATE }));
    const later = Array.from({ length: 20 }, () =>
      client.accept(server.grant({ to: client, address: 2 * PAGE, length: PAGE })),
    );
    expect(later.map(({ cookie }) => slotOfCookie(cookie))).toContain(slotOfCookie(kept.cookie));
    for (const { cookie } of later) client.return(cookie);
    expect(statusOf(() => kept.return())).toBe(H_PARAMETER);
  });

  test("OM8: the receiver grants, lends and donates it on; it has a tree of its own", async () => {
    const world = openTable();
    const [a, b, c] = ["a", "b", "c"].map((name) => world.table.createPartition({ name, memory: 2 * PAGE }));
    if (a === undefined || b === undefined || c === undefined) throw new Error("no partitions");
    join(world, a, b);
    join(world, b, c);
    join(world, c, a);
    const toB = b.accept(a.grant({ to: b, address: 0, length: 2 * PAGE, ...DONATE }));
    expect(a.usage().pagesOwned).toBe(0);
    const share = c.accept(b.grant({ to: c, address: toB.address, length: PAGE }));
    const loan = lent(b, c, toB.address + PAGE, PAGE);
    expectAccess(world, b, toB.address + PAGE, H_RESOURCE);
    expect(await b.rescindForced(share.cookie)).toMatchObject({ nodes: 1 });
    share.return();
    loan.return();
    b.rescind(loan.cookie);
    b.fill(toB.address, 2 * PAGE, 5);
    const toC = c.accept(b.grant({ to: c, address: toB.address, length: 2 * PAGE, ...DONATE }));
    const back = a.accept(c.grant({ to: a, address: toC.address, length: 2 * PAGE, ...DONATE }));
    expect(back.address).toBe(0);
    expect(a.read(back.address, 2 * PAGE)).toEqual(new Uint8Array(2 * PAGE).fill(5));
    expect([a, b, c].map((partition) => partition.usage().pagesOwned)).toEqual([2, 2, 2]);
    await a.migrate(0, 2 * PAGE);
    await world.table.compact();
    expect(a.read(back.address, 1)[0]).toBe(5);
  });

  test("AC4: no room in the receiver's space: H_NO_MEM, and the donation stays acceptable", () => {
    const { table, h, server, client } = openPair({ serverPages: 8, lmbPages: 8, logicalSpace: 10 * PAGE });
    const cookie = server.grant({ to: client, address: 0, length: 8 * PAGE, ...DONATE });
    expectRefused(table, H_NO_MEM, () => h.acceptLogical(client.lpid, cookie));
    server.rescind(cookie);
    expect(server.read(0, 1)).toEqual(Uint8Array.of(0));
  });

  test("OM9: an LMB on offer is passed over by allocate(), one that is gone is never given out nor freed", () => {
    const { server, client } = openPair({ serverPages: 12, lmbPages: 4 });
    expect(server.allocate(2 * PAGE)).toBe(0);
    expect(server.allocate(3 * PAGE)).toBe(4 * PAGE);
    const cookie = server.grant({ to: client, address: 4 * PAGE, length: 4 * PAGE, ...DONATE });
    expect(server.allocate(PAGE)).toBe(2 * PAGE);
    expect(server.allocate(2 * PAGE)).toBe(8 * PAGE);
    server.rescind(cookie);
    expect(server.allocate(PAGE)).toBe(3 * PAGE);
    expect(server.allocate(PAGE)).toBe(7 * PAGE); // given out again, since it was not accepted
    const gone = server.grant({ to: client, address: 4 * PAGE, length: 4 * PAGE, ...DONATE });
    const { allocated } = server.usage();
    client.accept(gone); // what was allocated goes with it
    expect([server, client].map((each) => each.usage().allocated)).toEqual([allocated - 4 * PAGE, 0]);
    expect(statusOf(() => server.free(4 * PAGE))).toBe(H_PARAMETER);
    expect(statusOf(() => server.free(7 * PAGE))).toBe(H_PARAMETER);
    expect(statusOf(() => server.allocate(4 * PAGE))).toBe(H_NO_MEM);
    expect(server.allocate(2 * PAGE)).toBe(10 * PAGE);
    server.free(8 * PAGE); // the first of an LMB behind one that is gone
    expect(server.allocate(2 * PAGE)).toBe(8 * PAGE);
    // Another mapping may lie where the LMB was: it is no part of the arena either.
    const back = client.grant({ to: server, address: 0, length: PAGE });
    expect(server.accept(back).address).toBe(4 * PAGE);
    expect(statusOf(() => server.free(4 * PAGE))).toBe(H_PARAMETER);
  });

  test("OM9: queues, migrate() and views know what is a partition's own: received yes, given away no", async () => {
    const { server, client, adapter } = openPair({ serverPages: 8, lmbPages: 4, clientPages: 0 });
    const mapping = client.accept(server.grant({ to: client, address: 0, length: 4 * PAGE, ...DONATE }));
    expect(statusOf(() => server.registerQueue(adapter, 0, PAGE))).toBe(H_PARAMETER);
    expect(statusOf(() => server.registerQueue(adapter, 4 * PAGE, PAGE))).toBe(0);
    client.registerQueue(adapter.peer, mapping.address + PAGE, PAGE);
    server.send(adapter, Uint8Array.of(0x80, ...new Uint8Array(15)));
    expect(client.receive(adapter.peer)?.header).toBe(0x80);
    await expect(server.migrate(0, PAGE)).rejects.toMatchObject({ code: "H_PARAMETER" });
    await expect(client.migrate(mapping.address, 4 * PAGE)).resolves.toBeDefined();
    using view = client.view(mapping.address, 4 * PAGE);
    expect(view.bytes.length).toBe(4 * PAGE);
  });

  test("FA1, FA2: a donation that nobody has accepted ends with either partition", async () => {
    const { table, server, client } = openPair({ serverPages: 8, lmbPages: 4 });
    server.grant({ to: client, address: 0, length: 4 * PAGE, ...DONATE });
    table.fail(client);
    await table.recovered(client);
    expect(server.usage()).toMatchObject({ pagesOwned: 8, pagesLent: 0, grantsOut: 0 });
    server.fill(0, 4 * PAGE, 1);
    table.restart(client);
    join({ table }, server, client);
    const cookie = server.grant({ to: client, address: 0, length: 4 * PAGE, ...DONATE });
    table.fail(server);
    expect(statusOf(() => client.accept(cookie))).toBe(H_RESCINDED);
    table.reclaim(server);
    await table.recovered(server);
    expect(statusOf(() => client.accept(cookie))).toBe(H_PARAMETER);
    table.restart(server);
    expect(server.usage().pagesOwned).toBe(8);
  });

  test("FA8: what was received survives the donor and dies with the receiver; each starts again from its description", async () => {
    const { table, server, client } = openPair({
      ...{ serverPages: 8, lmbPages: 4, clientPages: 2, memory: 14 * PAGE },
    });
    server.fill(0, 4 * PAGE, 4);
    const mapping = client.accept(server.grant({ to: client, address: 0, length: 4 * PAGE, ...DONATE }));
    table.fail(server);
    await table.recovered(server);
    expect(client.read(mapping.address, 1)[0]).toBe(4);
    expect(table.inspect().counters.framesFree).toBe(8);
    table.restart(server); // eight pages, as it was made
    expect(server.usage().pagesOwned).toBe(8);
    expect(server.allocate(4 * PAGE)).toBe(0);
    table.fail(client);
    await table.recovered(client);
    expect(table.inspect().counters.framesFree).toBe(6); // FA4: freed with it, zero
    table.restart(client);
    expect(client.usage().pagesOwned).toBe(2);
    // Memory that has gone elsewhere is missing at a restart: H_NO_MEM.
    join({ table }, client, server);
    const filler = table.createPartition({ name: "filler", memory: 4 * PAGE });
    join({ table }, server, filler);
    filler.accept(server.grant({ to: filler, address: 4 * PAGE, length: 4 * PAGE, ...DONATE }));
    table.fail(server);
    await table.recovered(server);
    expect(statusOf(() => table.restart(server))).toBe(H_NO_MEM);
    await table.destroyPartition(filler);
    table.restart(server);
    expect(server.usage().pagesOwned).toBe(8);
  });

  test("FA7, FA3: donor and receiver that wait for borrowers: what was donated is the receiver's to wait for", async () => {
    const { table } = openTable();
    const options = { memory: 4 * PAGE, lmb: 2 * PAGE, onFailure: "defer" } as const;
    const [a, b] = ["a", "b"].map((name) => table.createPartition({ name, ...options }));
    const c = table.createPartition({ name: "c" });
    if (a === undefined || b === undefined) throw new Error("no partitions");
    for (const [x, y] of [
      [a, b],
      [b, c],
    ] as const)
      join({ table }, x, y);
    const toB = b.accept(a.grant({ to: b, address: 0, length: 2 * PAGE, ...DONATE }));
    const toC = c.accept(b.grant({ to: c, address: toB.address, length: PAGE }));
    table.fail(a);
    await table.recovered(a); // nobody has anything of it any more
    table.fail(b);
    await settle();
    expect(b.state).toBe("failed");
    expect(c.read(toC.address, 1)).toEqual(Uint8Array.of(0));
    toC.return();
    await table.recovered(b);
    expect(table.inspect().counters.framesFree).toBe(64);
  });
});

describe("OM2, G1: what is refused changes nothing", () => {
  test("OM2, G1: of each mode, by raw calls, with the table as it was", () => {
    const { table, h, server, client, unit, back } = openPair({ serverPages: 8, lmbPages: 4 });
    const { cookie } = shared(h, server, unit, client, 0);
    for (const mode of [MODE_LEND, MODE_DONATE])
      expectRefused(table, H_RESOURCE, () =>
        h.grantMode(server.lpid, TYPE_MEMORY, 0, 0, 4 * PAGE, unit, mode),
      );
    expectRefused(table, H_PARAMETER, () =>
      h.grantMode(server.lpid, TYPE_MEMORY, 0, 0, 4 * PAGE, back, MODE_LEND),
    );
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_RESCINDED, () =>
      h.grantMode(client.lpid, TYPE_MEMORY, 0, 4 * PAGE, PAGE, back, MODE_LEND),
    );
  });
});
