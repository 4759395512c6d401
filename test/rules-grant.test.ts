/** H_GRANT_LOGICAL, rules GR1 to GR10 (1-semantics, section 4; DESIGN.md, 3.2). */
import { describe, expect, test } from "vitest";
import { HcallError } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  COOKIE_SLOTS,
  H_NO_MEM,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_READ,
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
  PAGE,
  type Pair,
  SHARE,
  shared,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

/** A pair whose server has one resource of each kind beside its memory. */
function openAllKinds(): Pair {
  const pair = openPair();
  const { table, server } = pair;
  table.assign(server, { type: "mmio", address: 4 * PAGE, length: 4 * PAGE });
  table.assign(server, { type: "interrupt", address: 5, length: 2 });
  table.assign(server, { type: "dma", address: 8 * PAGE, length: 4 * PAGE, liobn: 7 });
  table.assign(server, { type: "ipi", address: 3, length: 1 });
  return pair;
}

/** hi, lo and length of a range that `openAllKinds` gives the server. */
const RANGES: ReadonlyMap<number, readonly [number, number, number]> = new Map([
  [TYPE_MEMORY, [0, 0, PAGE]],
  [TYPE_MMIO, [0, 4 * PAGE, PAGE]],
  [TYPE_INTERRUPT, [0, 5, 1]],
  [TYPE_DMA, [7, 8 * PAGE, PAGE]],
  [TYPE_IPI, [0, 3, 1]],
]);

describe("GR1: flags", () => {
  test("GR1: each of the 256 flag bytes is granted or refused as type, reserved bit and inhibits say", () => {
    const { table, h, server, unit } = openAllKinds();
    const before = table.inspect();
    for (let flags = 0; flags < 256; flags++) {
      const type = flags & 0xf;
      const range = RANGES.get(type);
      const hasBytes = type === TYPE_MEMORY || type === TYPE_MMIO;
      const legal = range !== undefined && (flags & 0x10) === 0 && (hasBytes || (flags & 0xc0) === 0);
      const [hi, lo, length] = range ?? [0, 0, PAGE];
      const status = h.grantLogical(server.lpid, flags, hi, lo, length, unit);
      expect([flags, status]).toEqual([flags, legal ? H_SUCCESS : H_PARAMETER]);
      if (legal) expect(h.rescindLogical(server.lpid, 0, h.r4)).toBe(H_SUCCESS);
    }
    expect(before.version).toBe(table.inspect().version);
  });

  test("GR1: flags outside the byte are refused, also when their low byte is legal", () => {
    const { table, h, server, unit } = openAllKinds();
    for (const flags of [...HOSTILE, 0x100, 0x101, 0x10001, 2 ** 32 + 1, -255, 1 + 2 ** -30]) {
      expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, flags, 0, 0, PAGE, unit));
    }
  });
});

describe("GR2: shape of the range", () => {
  test("GR2: start and length of byte ranges are whole pages, and there is at least one", () => {
    const { table, h, server, unit } = openAllKinds();
    for (const type of [TYPE_MEMORY, TYPE_MMIO, TYPE_DMA]) {
      const [hi, lo] = RANGES.get(type) ?? [0, 0];
      for (const start of [lo + 1, lo + 2048, lo + 4095, lo - 1, lo + 0.5, -lo - PAGE]) {
        expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, type, hi, start, PAGE, unit));
      }
      for (const length of [0, 1, 4095, 4097, 8191, -PAGE, 4096.5]) {
        expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, type, hi, lo, length, unit));
      }
      for (const length of [PAGE, 2 * PAGE, 4 * PAGE]) {
        granted(h, server.lpid, unit, lo, length, type, hi);
      }
    }
  });

  test("GR2: interrupt sources and ports go one by one", () => {
    const { table, h, server, unit } = openAllKinds();
    for (const [type, number] of [
      [TYPE_INTERRUPT, 5],
      [TYPE_IPI, 3],
    ] as const) {
      for (const length of [0, 2, PAGE, 0.5, -1]) {
        expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, type, 0, number, length, unit));
      }
      granted(h, server.lpid, unit, number, 1, type);
    }
  });

  test("GR2: logical-hi is 0, and the LIOBN of the window for DMA", () => {
    const { table, h, server, unit } = openAllKinds();
    for (const [type, [hi, lo, length]] of RANGES) {
      const wrong = type === TYPE_DMA ? [0, 6, 8, 7.5, -7, 2 ** 32 + 7] : [1, 7, -1, 0.5, 2 ** 32];
      for (const high of [...wrong, Number.NaN]) {
        expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, type, high, lo, length, unit));
      }
      granted(h, server.lpid, unit, lo, length, type, hi);
    }
  });

  test("GR2: hostile starts and lengths, and sums that wrap, are refused", () => {
    const { table, h, server, unit } = openAllKinds();
    for (const [type, [hi, lo, length]] of RANGES) {
      for (const hostile of HOSTILE) {
        expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, type, hi, hostile, length, unit));
        expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, type, hi, lo, hostile, unit));
        expectRefused(table, H_PARAMETER, () =>
          h.grantLogical(server.lpid, type, hi, hostile, hostile, unit),
        );
      }
      for (const [start, span] of [
        [2 ** 32 - PAGE, 2 * PAGE],
        [2 ** 44 - PAGE, 2 * PAGE],
        [2 ** 53 - PAGE, 2 * PAGE],
        [2 ** 64 - PAGE, 2 * PAGE],
        [PAGE, 2 ** 44],
        [PAGE, 2 ** 53 - PAGE],
        [lo, 2 ** 32 + PAGE],
        [lo, 2 ** 44 + PAGE],
        [lo + 2 ** 44, PAGE],
        [lo + 2 ** 32, 1],
      ] as const) {
        expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, type, hi, start, span, unit));
      }
    }
  });
});

describe("GR3: one resource", () => {
  test("GR3: a range may fill an LMB and may not cross into the next", () => {
    const { table, h, server, unit } = openPair({ serverPages: 16, lmbPages: 4 });
    granted(h, server.lpid, unit, 0, 4 * PAGE);
    granted(h, server.lpid, unit, 4 * PAGE, 4 * PAGE);
    granted(h, server.lpid, unit, 3 * PAGE, PAGE);
    granted(h, server.lpid, unit, 12 * PAGE, 4 * PAGE);
    for (const [start, pages] of [
      [3, 2],
      [0, 5],
      [0, 16],
      [7, 2],
      [12, 5],
      [16, 1],
      [15, 2],
    ] as const) {
      const grant = (): number => h.grantLogical(server.lpid, SHARE, 0, start * PAGE, pages * PAGE, unit);
      expectRefused(table, H_PARAMETER, grant);
    }
  });

  test("GR3: a longer range needs a series of grants, also where two accepted grants adjoin", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b] = [at(row, 0), at(row, 1)];
    const first = shared(h, a, at(units, 0), b, 0, 2 * PAGE);
    const second = shared(h, a, at(units, 0), b, 2 * PAGE, 2 * PAGE);
    expect(second.address).toBe(first.address + 2 * PAGE);
    const { address } = first;
    const unit = at(units, 1);
    expectRefused(table, H_PARAMETER, () => h.grantLogical(b.lpid, SHARE, 0, address, 4 * PAGE, unit));
    expectRefused(table, H_PARAMETER, () => h.grantLogical(b.lpid, SHARE, 0, address + PAGE, 2 * PAGE, unit));
    expectRefused(table, H_PARAMETER, () => h.grantLogical(b.lpid, SHARE, 0, address - PAGE, 2 * PAGE, unit));
    granted(h, b.lpid, unit, address, 2 * PAGE);
    granted(h, b.lpid, unit, address + PAGE, PAGE);
    granted(h, b.lpid, unit, address + 2 * PAGE, 2 * PAGE);
  });

  test("GR3: what was granted but not accepted, or was returned, is not the grantee's to grant on", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b] = [at(row, 0), at(row, 1)];
    const cookie = granted(h, a.lpid, at(units, 0), 0);
    const regrant = (): number => h.grantLogical(b.lpid, SHARE, 0, 4 * PAGE, PAGE, at(units, 1));
    expectRefused(table, H_PARAMETER, regrant);
    expect(accepted(h, b.lpid, cookie)).toBe(4 * PAGE);
    expect(regrant()).toBe(H_SUCCESS);
    expect(h.rescindLogical(b.lpid, 0, h.r4)).toBe(H_SUCCESS);
    expect(h.returnLogical(b.lpid, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_PARAMETER, regrant);
  });

  test("GR3: an address is looked up in the space of its type only", () => {
    const { table, h, server, unit } = openAllKinds();
    for (const [type, lo, length] of [
      [TYPE_MMIO, 0, PAGE], // memory is there, no MMIO
      [TYPE_INTERRUPT, 3, 1], // a port has that number
      [TYPE_IPI, 5, 1], // an interrupt source has it
      [TYPE_IPI, 2, 1],
      [TYPE_IPI, 4, 1],
      [TYPE_MMIO, 8 * PAGE, PAGE], // a DMA window is there
      [TYPE_MMIO, 7 * PAGE, 2 * PAGE],
    ] as const) {
      expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, type, 0, lo, length, unit));
    }
  });
});

describe("GR4: rescinded pages", () => {
  test("GR4: any rescinded page in the range answers H_RESCINDED until it is returned", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b] = [at(row, 0), at(row, 1)];
    const { cookie, address } = shared(h, a, at(units, 0), b, 0, 2 * PAGE);
    const kept = shared(h, a, at(units, 0), b, 0, PAGE);
    expect(kept.address).toBe(address + 2 * PAGE);
    expect(h.rescindLogical(a.lpid, 1, cookie)).toBe(H_SUCCESS);
    const regrant = (from: number, pages: number): number =>
      h.grantLogical(b.lpid, SHARE, 0, from, pages * PAGE, at(units, 1));
    expectRefused(table, H_RESCINDED, () => regrant(address, 1));
    expectRefused(table, H_RESCINDED, () => regrant(address + PAGE, 1));
    expectRefused(table, H_RESCINDED, () => regrant(address, 2));
    expectRefused(table, H_RESCINDED, () => regrant(address - PAGE, 2)); // own memory, then rescinded
    expectRefused(table, H_RESCINDED, () => regrant(address + PAGE, 2)); // rescinded, then a living grant
    expectRefused(table, H_RESCINDED, () => regrant(address + PAGE, 3)); // and then nothing
    expectRefused(table, H_PARAMETER, () => regrant(address + PAGE, 10_000)); // past the end of the space
    expect(h.returnLogical(b.lpid, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_PARAMETER, () => regrant(address, 1));
    granted(h, b.lpid, at(units, 1), kept.address);
  });
});

describe("GR5: rights", () => {
  test("GR5: of all pairs of inhibits only those pass that inhibit no less than the source", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b] = [at(row, 0), at(row, 1)];
    for (const type of [TYPE_MEMORY, TYPE_MMIO]) {
      if (type === TYPE_MMIO) table.assign(a, { type: "mmio", address: 0, length: PAGE });
      for (let above = 0; above < 8; above++) {
        const source = shared(h, a, at(units, 0), b, 0, PAGE, type | (above << 5));
        for (let below = 0; below < 8; below++) {
          const regrant = (): number =>
            h.grantLogical(b.lpid, type | (below << 5), 0, source.address, PAGE, at(units, 1));
          const widens = (above & ~below & 6) !== 0; // read and write
          if ((above & 1) !== 0 || widens) expectRefused(table, H_PERMISSION, regrant);
          else {
            expect(regrant()).toBe(H_SUCCESS);
            expect(h.rescindLogical(b.lpid, 0, h.r4)).toBe(H_SUCCESS);
          }
        }
        expect(h.returnLogical(b.lpid, source.cookie)).toBe(H_SUCCESS);
        expect(h.rescindLogical(a.lpid, 0, source.cookie)).toBe(H_SUCCESS);
      }
    }
  });

  test("GR5: re-grant inhibited stops interrupts, DMA windows and ports as well", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b] = [at(row, 0), at(row, 1)];
    table.assign(a, { type: "interrupt", address: 9, length: 1 });
    table.assign(a, { type: "dma", address: 0, length: PAGE, liobn: 2 });
    table.assign(a, { type: "ipi", address: 1, length: 1 });
    for (const [type, hi, lo, length] of [
      [TYPE_INTERRUPT, 0, 9, 1],
      [TYPE_DMA, 2, 0, PAGE],
      [TYPE_IPI, 0, 1, 1],
    ] as const) {
      const free = accepted(h, b.lpid, granted(h, a.lpid, at(units, 0), lo, length, type, hi));
      granted(h, b.lpid, at(units, 1), free, length, type, hi);
      const bound = granted(h, a.lpid, at(units, 0), lo, length, type | INHIBIT_REGRANT, hi);
      const address = accepted(h, b.lpid, bound);
      for (const flags of [type, type | INHIBIT_REGRANT]) {
        const regrant = (): number => h.grantLogical(b.lpid, flags, hi, address, length, at(units, 1));
        expectRefused(table, H_PERMISSION, regrant);
      }
    }
  });

  test("GR5: rights along a chain only shrink, and each node keeps what it has", () => {
    const { h, row, units } = openRow(4);
    const [a, b, c, d] = [at(row, 0), at(row, 1), at(row, 2), at(row, 3)];
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = shared(h, b, at(units, 1), c, toB.address, PAGE, SHARE | INHIBIT_WRITE);
    const wider = h.grantLogical(c.lpid, SHARE, 0, toC.address, PAGE, at(units, 2));
    expect(wider).toBe(H_PERMISSION);
    const toD = shared(h, c, at(units, 2), d, toC.address, PAGE, SHARE | INHIBIT_WRITE | INHIBIT_READ);
    expect(h.translate(b.lpid, TYPE_MEMORY, toB.address, 1, 3)).toBe(H_SUCCESS);
    expect(h.translate(c.lpid, TYPE_MEMORY, toC.address, 1, 1)).toBe(H_SUCCESS);
    expect(h.translate(c.lpid, TYPE_MEMORY, toC.address, 1, 2)).toBe(H_PERMISSION);
    expect(h.translate(d.lpid, TYPE_MEMORY, toD.address, 1, 1)).toBe(H_PERMISSION);
    expect(h.translate(d.lpid, TYPE_MEMORY, toD.address, 1, 2)).toBe(H_PERMISSION);
    expect(h.translate(d.lpid, TYPE_MEMORY, toD.address, 1, 0)).toBe(H_SUCCESS);
  });

  test("GR5: a second, freer grant of the same page does not widen the first", () => {
    const { server, client, unit } = openPair();
    const readOnly = client.accept(server.grant({ to: unit, address: 0, length: PAGE, write: false }));
    const free = client.accept(server.grant({ to: unit, address: 0, length: PAGE }));
    expect([readOnly.writable, free.writable]).toEqual([false, true]);
    expect(statusOf(() => client.write(readOnly.address, bytesOf(4, 1)))).toBe(H_PERMISSION);
    client.write(free.address, bytesOf(4, 1));
    expect(client.read(readOnly.address, 4)).toEqual(bytesOf(4, 1));
  });
});

describe("GR6: unit address", () => {
  test("GR6: the unit address must be an end that the caller owns", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const back = table.connect(a, c).peer.unitAddress;
    for (const [caller, unit] of [
      [b, at(units, 0)], // the other end of one's own adapter
      [c, at(units, 0)], // somebody else's
      [a, at(units, 1)],
      [a, back],
    ] as const) {
      expectRefused(table, H_PARAMETER, () => h.grantLogical(caller.lpid, SHARE, 0, 0, PAGE, unit));
    }
    granted(h, a.lpid, at(units, 0), 0);
    granted(h, c.lpid, back, 0);
  });

  test("GR6: unit addresses that never existed, and hostile ones, are refused", () => {
    const { table, h, server, unit } = openPair();
    for (const hostile of [...HOSTILE, 0, -0, unit + 1000, unit + 2 ** 32, unit + 0.5, -unit]) {
      expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, hostile));
    }
  });

  test("GR6: no grant to oneself, not even over an adapter to oneself", () => {
    const { table, server } = openPair();
    const before = table.inspect();
    const grantToSelf = (): void => {
      const adapter = table.connect(server, server);
      server.grant({ to: adapter, address: 0, length: PAGE });
    };
    expect(grantToSelf).toThrow();
    expect(() => server.grant({ to: server, address: 0, length: PAGE })).toThrow(HcallError);
    expect(table.inspect().version).toBe(before.version);
  });

  test("GR6: a partner that failed, stopped, or restarted cannot be granted to over the old adapter", async () => {
    const world = openPair();
    const { table, h, server, client, unit, clock } = world;
    granted(h, client.lpid, world.back, 0); // the client will have a grace period to run
    const grant = (): number => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit);
    table.fail(client);
    expect(client.state).toBe("failed");
    expectRefused(table, H_PARAMETER, grant);
    clock.advance(2000);
    await table.recovered(client);
    expect(client.state).toBe("stopped");
    expectRefused(table, H_PARAMETER, grant);
    table.restart(client);
    expectRefused(table, H_PARAMETER, grant);
    granted(h, server.lpid, join(world, server, client).unitAddress, 0);
  });
});

describe("GR7: quota", () => {
  test("GR7: the quota is exact, and after one rescind the next grant succeeds", () => {
    for (const forced of [0, 1]) {
      for (const quota of [1, 2, 5]) {
        const { table, h, server, unit } = openPair({ quota });
        const cookies = Array.from({ length: quota }, (_, index) =>
          granted(h, server.lpid, unit, index * PAGE),
        );
        const grant = (): number => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit);
        expectRefused(table, H_NO_MEM, grant);
        expect(h.rescindLogical(server.lpid, forced, at(cookies, 0))).toBe(H_SUCCESS);
        expect(grant()).toBe(H_SUCCESS);
        expectRefused(table, H_NO_MEM, grant);
      }
    }
  });

  test("GR7: accepting and returning do not change what counts", () => {
    const { table, h, server, client, unit } = openPair({ quota: 1 });
    const grant = (): number => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit);
    const { cookie } = shared(h, server, unit, client, 0);
    expectRefused(table, H_NO_MEM, grant);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_NO_MEM, grant);
    expect(h.rescindLogical(server.lpid, 0, cookie)).toBe(H_SUCCESS);
    expect(grant()).toBe(H_SUCCESS);
  });

  test("GR7: one adapter's use never eats another's quota, nor that of its other end", () => {
    const world = openPair({ quota: 2 });
    const { table, h, server, client, unit, back } = world;
    const third = table.createPartition({ name: "third", memory: PAGE });
    const other = join(world, server, third, 1).unitAddress;
    granted(h, server.lpid, unit, 0);
    granted(h, server.lpid, unit, 0);
    expectRefused(table, H_NO_MEM, () => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit));
    granted(h, server.lpid, other, 0);
    expectRefused(table, H_NO_MEM, () => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, other));
    granted(h, client.lpid, back, 0);
    granted(h, client.lpid, back, 0);
    expectRefused(table, H_NO_MEM, () => h.grantLogical(client.lpid, SHARE, 0, 0, PAGE, back));
  });

  test("GR7: a client that never returns holds at most another quota of rescinded structures", () => {
    const quota = 3;
    const { table, h, server, client, unit } = openPair({ quota });
    const cookies: number[] = [];
    for (let round = 0; round < 2 * quota; round++) {
      const { cookie } = shared(h, server, unit, client, 0);
      cookies.push(cookie);
      expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    }
    const grant = (): number => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit);
    expectRefused(table, H_NO_MEM, grant);
    expect(h.returnLogical(client.lpid, at(cookies, 2))).toBe(H_SUCCESS);
    expect(grant()).toBe(H_SUCCESS);
    expectRefused(table, H_NO_MEM, grant);
  });

  test("GR7: when the quotas fit the table, a greedy pair cannot starve another", () => {
    // Three LMBs and two adapters with two ends of quota 2 each: 3 + 2 * 2 * 2 * 2 structures.
    const world = openPair({ quota: 2, grants: 19 });
    const { table, h, server, client, unit, back } = world;
    const third = table.createPartition({ name: "third", memory: PAGE });
    const adapter = join(world, server, third, 2);
    for (const [grantor, end, grantee] of [
      [server, unit, client],
      [client, back, server],
    ] as const) {
      for (let round = 0; round < 10; round++) {
        if (h.grantLogical(grantor.lpid, SHARE, 0, 0, PAGE, end) !== H_SUCCESS) break;
        const cookie = h.r4;
        accepted(h, grantee.lpid, cookie);
        if (round < 2) expect(h.rescindLogical(grantor.lpid, 1, cookie)).toBe(H_SUCCESS);
      }
    }
    for (let round = 0; round < 2; round++) {
      granted(h, server.lpid, adapter.unitAddress, 0);
      granted(h, third.lpid, adapter.peer.unitAddress, 0);
    }
  });

  test("GR7: a table without room answers H_NO_MEM, and has room again after one rescind", () => {
    const { table, h, server, unit } = openPair({ grants: 10 });
    const cookies: number[] = [];
    for (let index = 0; index < 8; index++) cookies.push(granted(h, server.lpid, unit, index * PAGE));
    const grant = (): number => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit);
    expectRefused(table, H_NO_MEM, grant);
    expect(h.rescindLogical(server.lpid, 0, at(cookies, 3))).toBe(H_SUCCESS);
    expect(grant()).toBe(H_SUCCESS);
    expectRefused(table, H_NO_MEM, grant);
  });
});

describe("GR7: where structures come from", () => {
  test("GR7: a table of one thread takes them one after the other, whoever grants", () => {
    const { h, server, client, unit, back } = openPair();
    const slots = Array.from({ length: 100 }, (_, index) =>
      index % 2 === 0 ? granted(h, server.lpid, unit, 0) : granted(h, client.lpid, back, 0),
    ).map((cookie) => cookie % COOKIE_SLOTS);
    const [first = 0] = slots;
    expect(slots).toEqual(slots.map((_, index) => first + index));
  });

  test("GR7: a table can be filled to its last one, before a second thread joins and after it", () => {
    const { table, h, server, client, unit, back } = openPair({ grants: 300, quota: 1000 });
    const { memory, core } = kernelOf(table);
    const ways = [
      [server, unit],
      [client, back],
    ] as const;
    const fill = (byServer: number): number[] => {
      const cookies: number[] = [];
      for (const [grantor, end] of ways) {
        const most = grantor === server ? byServer : Number.POSITIVE_INFINITY;
        while (cookies.length < most && h.grantLogical(grantor.lpid, SHARE, 0, 0, PAGE, end) === H_SUCCESS)
          cookies.push(h.r4);
      }
      for (const [grantor, end] of ways)
        expectRefused(table, H_NO_MEM, () => h.grantLogical(grantor.lpid, SHARE, 0, 0, PAGE, end));
      return cookies;
    };
    const cookies = fill(150);
    expect(cookies).toHaveLength(298); // and a resource for the memory of each
    for (const cookie of cookies.slice(0, 150))
      expect(h.rescindLogical(server.lpid, 0, cookie)).toBe(H_SUCCESS);
    expect(core.openThread(client.lpid)).toBe(H_SUCCESS);
    const slot = memory.result;
    // The server has fetched more than it needs, which the client takes from it.
    expect(fill(100)).toHaveLength(150);
    expect(core.reapThread(slot)).toBe(H_SUCCESS);
  });
});

describe("GR8: the same range again", () => {
  test("GR8: a range granted to several clients and twice to one: each cookie has its own life", () => {
    const { h, table, server, client, unit } = openPair();
    const third = table.createPartition({ name: "third", memory: PAGE });
    const other = join({ table }, server, third).unitAddress;
    const first = shared(h, server, unit, client, 0);
    const second = shared(h, server, unit, client, 0);
    const toThird = shared(h, server, other, third, 0);
    const unaccepted = granted(h, server.lpid, unit, 0);
    expect(new Set([first.cookie, second.cookie, toThird.cookie, unaccepted]).size).toBe(4);
    expect(second.address).toBe(first.address + PAGE);
    expect(h.returnLogical(client.lpid, first.cookie)).toBe(H_SUCCESS);
    expect(h.rescindLogical(server.lpid, 0, first.cookie)).toBe(H_SUCCESS);
    expect(h.rescindLogical(server.lpid, 1, toThird.cookie)).toBe(H_SUCCESS);
    expect(h.translate(client.lpid, TYPE_MEMORY, second.address, PAGE, 3)).toBe(H_SUCCESS);
    expect(h.translate(third.lpid, TYPE_MEMORY, toThird.address, PAGE, 3)).toBe(H_RESCINDED);
    expect(accepted(h, client.lpid, unaccepted)).toBe(first.address);
  });

  test("GR8: a page under a larger grant is granted again, and a larger range over a smaller grant", () => {
    const { h, server, client, unit } = openPair();
    const large = shared(h, server, unit, client, 0, 4 * PAGE);
    const small = shared(h, server, unit, client, 2 * PAGE, PAGE);
    const larger = shared(h, server, unit, client, 0, 8 * PAGE);
    server.write(2 * PAGE, bytesOf(16, 7));
    for (const address of [large.address + 2 * PAGE, small.address, larger.address + 2 * PAGE]) {
      expect(client.read(address, 16)).toEqual(bytesOf(16, 7));
    }
    expect(h.rescindLogical(server.lpid, 1, large.cookie)).toBe(H_SUCCESS);
    expect(client.read(small.address, 16)).toEqual(bytesOf(16, 7));
    expect(client.read(larger.address + 2 * PAGE, 16)).toEqual(bytesOf(16, 7));
  });
});

describe("GR9: access while shared", () => {
  test("GR9: owner and all sharers read and write the same bytes", () => {
    const { h, row, units } = openRow(4);
    const addresses = [0];
    for (let index = 0; index < 3; index++) {
      const { address } = shared(
        h,
        at(row, index),
        at(units, index),
        at(row, index + 1),
        at(addresses, index),
      );
      addresses.push(address);
    }
    for (const [writer, partition] of row.entries()) {
      partition.write(at(addresses, writer) + 100, bytesOf(50, writer * 40));
      for (const [reader, other] of row.entries()) {
        expect(other.read(at(addresses, reader) + 100, 50)).toEqual(bytesOf(50, writer * 40));
      }
    }
  });

  test("GR9: granting and a refused grant leave the owner's access as it was", () => {
    const { h, server, unit } = openPair({ quota: 1 });
    server.write(0, bytesOf(8, 1));
    granted(h, server.lpid, unit, 0);
    expect(h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit)).toBe(H_NO_MEM);
    server.write(4, bytesOf(4, 50));
    expect(server.read(0, 8)).toEqual(Uint8Array.of(1, 2, 3, 4, 50, 51, 52, 53));
  });
});

describe("GR10: failed callers and fading resources", () => {
  test("GR10: a caller that failed or stopped gets H_RESCINDED and no node appears", async () => {
    const { table, h, clock, server, unit, client } = openPair();
    granted(h, server.lpid, unit, 0);
    table.fail(server);
    expect(server.state).toBe("failed");
    expectRefused(table, H_RESCINDED, () => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit));
    expectRefused(table, H_RESCINDED, () => h.grantLogical(server.lpid, 0xff, 1, 1, 1, -1));
    expect(statusOf(() => server.grant({ to: client, address: 0, length: PAGE }))).toBe(H_RESCINDED);
    clock.advance(2000);
    await table.recovered(server);
    expectRefused(table, H_RESCINDED, () => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit));
  });

  test("GR10: while the source is being rescinded, nothing can be granted from it", () => {
    const { table, h, row, units } = openRow(4);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const toB = shared(h, a, at(units, 0), b, 0, 2 * PAGE);
    const toC = shared(h, b, at(units, 1), c, toB.address, 2 * PAGE);
    shared(h, c, at(units, 2), at(row, 3), toC.address, 2 * PAGE);
    h.budget = 1;
    expect(h.rescindLogical(a.lpid, 1, toB.cookie)).toBe(H_PARTIAL);
    const fromB = (): number => h.grantLogical(b.lpid, SHARE, 0, toB.address, PAGE, at(units, 1));
    const fromC = (): number => h.grantLogical(c.lpid, SHARE, 0, toC.address, PAGE, at(units, 2));
    while (h.rescindLogical(a.lpid, 1, toB.cookie) === H_PARTIAL) {
      expectRefused(table, H_RESCINDED, fromB);
      expectRefused(table, H_RESCINDED, fromC);
    }
    expectRefused(table, H_RESCINDED, fromB); // now GR4
    expectRefused(table, H_RESCINDED, fromC);
  });

  test("GR10: the order of the rules decides which status a call with many faults gets", () => {
    const { table, h, row, units } = openRow(3, {});
    const [a, b] = [at(row, 0), at(row, 1)];
    const bound = shared(h, a, at(units, 0), b, 0, PAGE, SHARE | INHIBIT_REGRANT);
    const gone = shared(h, a, at(units, 0), b, 0, PAGE, SHARE | INHIBIT_REGRANT);
    expect(h.rescindLogical(a.lpid, 1, gone.cookie)).toBe(H_SUCCESS);
    const unknown = 2 ** 31;
    const grant = (flags: number, lo: number, unit: number): number =>
      h.grantLogical(b.lpid, flags, 0, lo, PAGE, unit);
    expectRefused(table, H_PARAMETER, () => grant(0x10, gone.address, unknown)); // GR1 before GR4
    expectRefused(table, H_PARAMETER, () => grant(SHARE, gone.address + 1, unknown)); // GR2 before GR4
    expectRefused(table, H_RESCINDED, () => grant(SHARE, gone.address, unknown)); // GR4 before GR5, GR6
    expectRefused(table, H_PERMISSION, () => grant(SHARE, bound.address, unknown)); // GR5 before GR6
    expectRefused(table, H_PARAMETER, () => grant(SHARE, 0, unknown)); // GR6
    const full = join({ table }, b, at(row, 2), 1).unitAddress;
    granted(h, b.lpid, full, 0);
    expectRefused(table, H_PERMISSION, () => grant(SHARE, bound.address, full)); // GR5 before GR7
    expectRefused(table, H_NO_MEM, () => grant(SHARE, 0, full));
  });
});

describe("the object API of grants", () => {
  test("GR6: a grant names its receiver by partition, by adapter, or by unit address", () => {
    const { server, client, adapter, unit, back } = openPair();
    const mappings = [
      client.accept(server.grant({ to: client, address: 0, length: PAGE })),
      client.accept(server.grant({ to: adapter, address: 0, length: PAGE })),
      client.accept(server.grant({ to: unit, address: 0, length: PAGE })),
    ];
    expect(mappings.map((mapping) => mapping.address)).toEqual([4 * PAGE, 5 * PAGE, 6 * PAGE]);
    const opposite = server.accept(client.grant({ to: adapter, address: 0, length: PAGE }));
    expect(opposite.length).toBe(PAGE);
    expect(statusOf(() => server.grant({ to: back, address: 0, length: PAGE }))).toBe(H_PARAMETER);
  });

  test("GR1: an HcallError names the hypercall, the code and the status", () => {
    const { server, unit } = openPair();
    let caught: unknown;
    try {
      server.grant({ to: unit, address: 1, length: PAGE });
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(HcallError);
    expect(caught).toMatchObject({ code: "H_PARAMETER", status: H_PARAMETER, hcall: "H_GRANT_LOGICAL" });
  });

  test("GR7: usage counts the grants that stand", () => {
    const { server, client, unit } = openPair();
    const cookie = server.grant({ to: unit, address: 0, length: 3 * PAGE });
    expect(server.usage()).toMatchObject({ pagesOwned: 16, pagesMapped: 0, grantsOut: 1, grantsIn: 0 });
    expect(client.usage()).toMatchObject({ pagesOwned: 4, pagesMapped: 0, grantsOut: 0, grantsIn: 1 });
    const mapping = client.accept(cookie);
    expect(client.usage()).toMatchObject({ pagesMapped: 3, grantsIn: 1, rescinded: 0 });
    expect(statusOf(() => server.rescind(cookie))).toBe(H_RESOURCE);
    mapping.return();
    expect(client.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 1 });
    server.rescind(cookie);
    expect(server.usage()).toMatchObject({ grantsOut: 0 });
    expect(client.usage()).toMatchObject({ grantsIn: 0 });
  });
});
