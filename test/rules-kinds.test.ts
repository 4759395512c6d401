/**
 * The five kinds of resource, rules KI1 to KI5 (1-semantics, section 9): what they have in common, which is the state
 * machine, the five spaces and translation. Their device behaviour comes with a later issue.
 */
import { describe, expect, test } from "vitest";
import { HcallError, type Partition, type ResourceType } from "../src/index.js";
import {
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  TYPE_DMA,
  TYPE_INTERRUPT,
  TYPE_IPI,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../src/layout.js";
import {
  accepted,
  at,
  auditedAfterEach,
  bytesOf,
  expectRefused,
  granted,
  HOSTILE,
  join,
  openPair,
  openRow,
  openTable,
  PAGE,
  SHARE,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

interface Kind {
  readonly rule: string;
  readonly name: ResourceType;
  readonly type: number;
  readonly unit: number;
  /** Where the test's resource of this kind lies, and behind which physical number. */
  readonly address: number;
  readonly physical: number;
  readonly hi: number;
}

const KINDS: readonly Kind[] = [
  { rule: "KI1", name: "memory", type: TYPE_MEMORY, unit: PAGE, address: 0, physical: -1, hi: 0 },
  { rule: "KI2", name: "mmio", type: TYPE_MMIO, unit: PAGE, address: 3 * PAGE, physical: 64 * PAGE, hi: 0 },
  { rule: "KI3", name: "interrupt", type: TYPE_INTERRUPT, unit: 1, address: 11, physical: 300, hi: 0 },
  { rule: "KI4", name: "dma", type: TYPE_DMA, unit: PAGE, address: 5 * PAGE, physical: 32 * PAGE, hi: 9 },
  { rule: "KI5", name: "ipi", type: TYPE_IPI, unit: 1, address: 6, physical: 7, hi: 0 },
];

/** Gives the partition the resource of that kind; the physical address of its first unit. */
function give(table: ReturnType<typeof openTable>["table"], partition: Partition, kind: Kind): number {
  const { name, address, physical, unit, hi } = kind;
  if (name === "memory") return partition.translate(0);
  const liobn = name === "dma" ? { liobn: hi } : {};
  table.assign(partition, { type: name, address, length: unit, physical, ...liobn });
  return physical;
}

for (const kind of KINDS) {
  const { rule, name, type, unit: bytes, address, hi } = kind;
  describe(`${rule}: ${name}`, () => {
    test(`${rule}: ${name} goes through every state: Unknown, Granted, Shared, Granted, Unknown, Rescinded`, () => {
      const { table, h, server, client, unit } = openPair();
      const physical = give(table, server, kind);
      const before = table.inspect();
      const cookie = granted(h, server.lpid, unit, address, bytes, type, hi);
      expectRefused(table, H_PARAMETER, () => h.returnLogical(client.lpid, cookie)); // not Shared yet
      const mapped = accepted(h, client.lpid, cookie);
      expect(h.translate(client.lpid, type, mapped, 1, 3)).toBe(H_SUCCESS);
      expect(h.r4).toBe(physical);
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
      expectRefused(table, H_RESOURCE, () => h.rescindLogical(server.lpid, 0, cookie));
      expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      expect(h.translate(client.lpid, type, mapped, 1, 0)).toBe(H_PARAMETER);
      expect(accepted(h, client.lpid, cookie)).toBe(mapped);
      expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
      expect(h.translate(client.lpid, type, mapped, 1, 0)).toBe(H_RESCINDED);
      expectRefused(table, H_RESCINDED, () => h.acceptLogical(client.lpid, cookie));
      expect(h.translate(server.lpid, type, address, 1, 3)).toBe(H_SUCCESS); // RS8
      expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      const second = granted(h, server.lpid, unit, address, bytes, type, hi);
      expect(h.rescindLogical(server.lpid, 0, second)).toBe(H_SUCCESS);
      expect(client.usage()).toMatchObject({ grantsIn: 0, rescinded: 0, pagesMapped: 0 });
      expect(table.inspect().version).toBe(before.version);
    });

    test(`${rule}: ${name} is granted on, three deep, and torn down recursively`, () => {
      const { table, h, row, units } = openRow(4);
      const physical = give(table, at(row, 0), kind);
      const links: { cookie: number; address: number }[] = [];
      for (let index = 0; index < 3; index++) {
        const from = index === 0 ? address : at(links, index - 1).address;
        const cookie = granted(h, at(row, index).lpid, at(units, index), from, bytes, type, hi);
        links.push({ cookie, address: accepted(h, at(row, index + 1).lpid, cookie) });
        expect(at(row, index + 1).translate(at(links, index).address, { type: name })).toBe(physical);
      }
      expect(h.returnLogical(at(row, 1).lpid, at(links, 0).cookie)).toBe(H_RESOURCE);
      expect(h.rescindLogical(at(row, 0).lpid, 1, at(links, 0).cookie)).toBe(H_SUCCESS);
      for (const [index, link] of links.entries()) {
        expect(h.translate(at(row, index + 1).lpid, type, link.address, 1, 0)).toBe(H_RESCINDED);
        expect(h.returnLogical(at(row, index + 1).lpid, link.cookie)).toBe(H_SUCCESS);
      }
    });

    test(`${rule}: ${name} through the object API`, async () => {
      const { table, server, client } = openPair();
      const physical = give(table, server, kind);
      if (name === "dma") return; // the options of a grant carry no LIOBN: raw hypercalls only
      const cookie = server.grant({ to: client, type: name, address, length: bytes, regrant: false });
      const mapping = client.accept(cookie);
      expect(mapping).toMatchObject({ cookie, type: name, length: bytes, regrantable: false });
      expect(client.translate(mapping.address, { type: name })).toBe(physical);
      expect((await server.rescindForced(cookie)).nodes).toBe(1);
      expect(statusOf(() => client.translate(mapping.address, { type: name }))).toBe(H_RESCINDED);
      mapping.return();
      expect(client.usage()).toMatchObject({ rescinded: 0 });
    });

    test(`${rule}: a failed client gives ${name} back, a failed server's is taken after the grace`, () => {
      for (const failing of ["server", "client"] as const) {
        const { table, h, server, client, unit, clock } = openPair();
        give(table, server, kind);
        const cookie = granted(h, server.lpid, unit, address, bytes, type, hi);
        const mapped = accepted(h, client.lpid, cookie);
        table.fail(failing === "server" ? server : client);
        if (failing === "client") {
          expect(server.usage().grantsOut).toBe(0);
          continue;
        }
        expect(h.translate(client.lpid, type, mapped, 1, 0)).toBe(H_SUCCESS);
        clock.advance(2000);
        expect(h.translate(client.lpid, type, mapped, 1, 0)).toBe(H_RESCINDED);
        expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      }
    });

    test(`${rule}: re-grant inhibited stops ${name}`, () => {
      const { table, h, row, units } = openRow(3);
      give(table, at(row, 0), kind);
      const flags = type | INHIBIT_REGRANT;
      const cookie = granted(h, at(row, 0).lpid, at(units, 0), address, bytes, flags, hi);
      const mapped = accepted(h, at(row, 1).lpid, cookie);
      const regrant = (): number => h.grantLogical(at(row, 1).lpid, flags, hi, mapped, bytes, at(units, 1));
      expectRefused(table, H_PERMISSION, regrant);
    });
  });
}

describe("assign", () => {
  test("KI2: MMIO of several pages is one elemental resource; two that adjoin are two", () => {
    const { table, h, server, client, unit } = openPair();
    table.assign(server, { type: "mmio", address: 0, length: 2 * PAGE, physical: 10 * PAGE });
    table.assign(server, { type: "mmio", address: 2 * PAGE, length: 2 * PAGE, physical: 12 * PAGE });
    const first = accepted(h, client.lpid, granted(h, server.lpid, unit, 0, 2 * PAGE, TYPE_MMIO));
    expect(h.translate(client.lpid, TYPE_MMIO, first, 2 * PAGE, 3)).toBe(H_SUCCESS);
    const across = (): number => h.grantLogical(server.lpid, TYPE_MMIO, 0, PAGE, 2 * PAGE, unit);
    expectRefused(table, H_PARAMETER, across);
  });

  test("KI2: the same physical window may be assigned to several partitions", () => {
    const { table, server, client } = openPair();
    table.assign(server, { type: "mmio", address: 0, length: PAGE, physical: 5 * PAGE });
    table.assign(client, { type: "mmio", address: PAGE, length: PAGE, physical: 5 * PAGE });
    expect(server.translate(0, { type: "mmio" })).toBe(5 * PAGE);
    expect(client.translate(PAGE, { type: "mmio" })).toBe(5 * PAGE);
  });

  test("KI2: the physical address is the logical one unless it is given", () => {
    const { table, server } = openPair();
    table.assign(server, { type: "mmio", address: 7 * PAGE, length: PAGE });
    table.assign(server, { type: "interrupt", address: 3, length: 1 });
    expect(server.translate(7 * PAGE + 5, { type: "mmio" })).toBe(7 * PAGE + 5);
    expect(server.translate(3, { type: "interrupt" })).toBe(3);
  });

  test("KI2 to KI5: what is out of range, misaligned, or overlaps is refused and changes nothing", () => {
    const { table, server } = openPair({
      spaces: { mmio: 16 * PAGE, dma: 16 * PAGE, interrupt: 16, ipi: 16 },
    });
    table.assign(server, { type: "mmio", address: 4 * PAGE, length: 2 * PAGE });
    table.assign(server, { type: "interrupt", address: 4, length: 2 });
    const before = table.inspect();
    const refused = (
      type: Exclude<ResourceType, "memory">,
      address: number,
      length: number,
      more = {},
    ): void => {
      expect(() => table.assign(server, { type, address, length, ...more })).toThrow();
      expect(table.inspect()).toEqual(before);
    };
    for (const type of ["mmio", "dma"] as const) {
      for (const [address, length] of [
        [1, PAGE],
        [0, 0],
        [0, 1],
        [15 * PAGE, 2 * PAGE],
        [16 * PAGE, PAGE],
        [0, 17 * PAGE],
        [2 ** 32, PAGE],
        [2 ** 44, PAGE],
      ] as const) {
        refused(type, address, length);
      }
    }
    for (const type of ["interrupt", "ipi"] as const) {
      for (const [address, length] of [
        [0, 0],
        [15, 2],
        [16, 1],
        [0, 17],
        [0.5, 1],
      ] as const) {
        refused(type, address, length);
      }
    }
    refused("mmio", 3 * PAGE, 2 * PAGE); // overlaps
    refused("mmio", 5 * PAGE, PAGE);
    refused("interrupt", 5, 1);
    refused("mmio", 0, PAGE, { physical: 1 });
    refused("mmio", 0, PAGE, { physical: -PAGE });
    for (const hostile of HOSTILE) {
      refused("mmio", hostile, PAGE);
      refused("mmio", 0, hostile);
      refused("dma", 0, PAGE, { liobn: hostile === 2 ** 31 ? -1 : hostile });
      refused("interrupt", hostile, 1);
    }
    expect(() => table.assign(server, { type: "memory" as never, address: 0, length: PAGE })).toThrow();
    expect(() => table.assign(server, { type: "disk" as never, address: 0, length: PAGE })).toThrow();
  });

  test("KI2 to KI5: assigning to an address where a grant is mapped is refused", () => {
    const { table, h, server, client, unit } = openPair();
    table.assign(server, { type: "mmio", address: 0, length: PAGE });
    accepted(h, client.lpid, granted(h, server.lpid, unit, 0, PAGE, TYPE_MMIO));
    expect(() => table.assign(client, { type: "mmio", address: 0, length: PAGE })).toThrow();
    table.assign(client, { type: "mmio", address: PAGE, length: PAGE });
  });

  test("KI4: DMA windows of two LIOBNs in one space are told apart", () => {
    const { table, h, server, unit } = openPair();
    table.assign(server, { type: "dma", address: 0, length: 2 * PAGE, liobn: 1 });
    table.assign(server, { type: "dma", address: 2 * PAGE, length: 2 * PAGE, liobn: 2 });
    granted(h, server.lpid, unit, 0, 2 * PAGE, TYPE_DMA, 1);
    granted(h, server.lpid, unit, 2 * PAGE, 2 * PAGE, TYPE_DMA, 2);
    for (const [liobn, page] of [
      [2, 0],
      [1, 2],
      [0, 0],
      [3, 0],
    ] as const) {
      const call = (): number => h.grantLogical(server.lpid, TYPE_DMA, liobn, page * PAGE, PAGE, unit);
      expectRefused(table, H_PARAMETER, call);
    }
  });

  test("KI2: read and write inhibits work for MMIO as for memory", () => {
    const { table, h, server, client, unit } = openPair();
    table.assign(server, { type: "mmio", address: 0, length: PAGE });
    const mapped = accepted(
      h,
      client.lpid,
      granted(h, server.lpid, unit, 0, PAGE, TYPE_MMIO | INHIBIT_WRITE),
    );
    expect(h.translate(client.lpid, TYPE_MMIO, mapped, 4, 1)).toBe(H_SUCCESS);
    expect(h.translate(client.lpid, TYPE_MMIO, mapped, 4, 2)).toBe(H_PERMISSION);
  });

  test("KI2 to KI5: data access and views reach memory only", () => {
    const { table, server } = openPair({ serverPages: 0 });
    table.assign(server, { type: "mmio", address: 0, length: PAGE });
    expect(statusOf(() => server.read(0, 4))).toBe(H_PARAMETER);
    expect(statusOf(() => server.write(0, bytesOf(4, 1)))).toBe(H_PARAMETER);
    expect(statusOf(() => server.view(0, 4))).toBe(H_PARAMETER);
    expect(statusOf(() => server.load32(0))).toBe(H_PARAMETER);
  });
});

describe("KI1: memory of a partition", () => {
  test("KI1: allocate gives whole pages inside one LMB, lowest first, and free takes them back", () => {
    const { table } = openTable();
    const partition = table.createPartition({ name: "one", memory: 8 * PAGE, lmb: 4 * PAGE });
    expect(partition.allocate(1)).toBe(0);
    expect(partition.allocate(PAGE + 1)).toBe(PAGE);
    expect(partition.allocate(2 * PAGE)).toBe(4 * PAGE); // page 3 alone does not fit two
    expect(partition.allocate(PAGE)).toBe(3 * PAGE);
    expect(() => partition.allocate(3 * PAGE)).toThrow(HcallError);
    expect(partition.allocate(2 * PAGE)).toBe(6 * PAGE);
    expect(() => partition.allocate(1)).toThrow(/H_NO_MEM/);
    partition.free(PAGE);
    expect(partition.allocate(2 * PAGE)).toBe(PAGE);
    expect(() => partition.allocate(5 * PAGE)).toThrow(/H_NO_MEM/);
    partition.free(0);
    expect(() => partition.free(0)).toThrow();
    expect(() => partition.free(PAGE + 1)).toThrow();
    for (const hostile of HOSTILE) {
      expect(() => partition.free(hostile)).toThrow();
      expect(() => partition.allocate(hostile)).toThrow();
    }
    expect(() => partition.allocate(0)).toThrow();
  });

  test("usage() counts what is allocated, whatever the sizes of LMBs, and nothing of what does not run", async () => {
    for (const [pages, lmb] of [
      [8, 4],
      [40, 8],
      [512, 512],
      [3, 1],
    ] as const) {
      const { table } = openTable({ memory: 600 * PAGE, gracePeriodMs: 0 });
      const one = table.createPartition({ name: "one", memory: pages * PAGE, lmb: lmb * PAGE });
      const two = table.createPartition({ name: "two", memory: PAGE });
      expect(one.usage().allocated).toBe(0);
      const first = one.allocate(1);
      for (let page = 1; page < pages; page++) {
        one.allocate(PAGE);
        expect(one.usage().allocated).toBe((page + 1) * PAGE);
      }
      one.free(first);
      expect(one.usage().allocated).toBe((pages - 1) * PAGE);
      const messages = one.messages(table.connect(one, two));
      expect(one.usage().allocated).toBe(pages * PAGE);
      await messages.return?.();
      expect(table.inspect().partitions[0]?.counters).toEqual({ ...one.usage(), eventsLost: 0 });
      table.fail(one);
      expect(one.usage().allocated).toBe(0);
      await table.recovered(one);
      table.restart(one);
      expect(one.usage().allocated).toBe(0);
    }
  });

  test("KI1: creation refuses sizes out of range, and says which", () => {
    const { table } = openTable({ memory: 16 * PAGE });
    for (const memory of [-1, 1, 4095, PAGE + 1, 0.5, Number.NaN, 17 * PAGE, 2 ** 53]) {
      expect(() => table.createPartition({ name: "x", memory })).toThrow();
    }
    for (const lmb of [0, 1, 4095, 3 * PAGE, PAGE + 1, -PAGE, Number.NaN]) {
      expect(() => table.createPartition({ name: "x", memory: 12 * PAGE, lmb })).toThrow();
    }
    expect([...table.partitions]).toEqual([]);
    const all = table.createPartition({ name: "all", memory: 16 * PAGE });
    expect(() => table.createPartition({ name: "more", memory: PAGE })).toThrow();
    const none = table.createPartition({ name: "none" });
    expect([all.usage().pagesOwned, none.usage().pagesOwned]).toEqual([16, 0]);
    join({ table }, all, none);
    expect(SHARE).toBe(TYPE_MEMORY);
  });
});
