/** H_ACCEPT_LOGICAL, rules AC1 to AC6 (1-semantics, section 5; DESIGN.md, 3.3). */
import { describe, expect, test } from "vitest";
import {
  H_NO_MEM,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_RESCINDED,
  H_SUCCESS,
  INHIBIT_READ,
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
  openPair,
  openRow,
  PAGE,
  SHARE,
  shared,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

describe("AC1: the address", () => {
  test("AC1: mappings follow each other from the lowest free address, and a gap that fits is used first", () => {
    const { h, server, client, unit } = openPair({ clientPages: 2 });
    const map = (pages: number): { cookie: number; address: number } =>
      shared(h, server, unit, client, 0, pages * PAGE);
    const [three, one, two] = [map(3), map(1), map(2)];
    expect([three.address, one.address, two.address]).toEqual([2 * PAGE, 5 * PAGE, 6 * PAGE]);
    expect(h.returnLogical(client.lpid, three.cookie)).toBe(H_SUCCESS);
    expect(map(4).address).toBe(8 * PAGE); // the gap of three is too small
    expect(map(2).address).toBe(2 * PAGE);
    expect(map(2).address).toBe(12 * PAGE);
    expect(map(1).address).toBe(4 * PAGE);
    expect(h.returnLogical(client.lpid, one.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(client.lpid, two.cookie)).toBe(H_SUCCESS);
    expect(map(3).address).toBe(5 * PAGE); // two gaps that adjoin are one
  });

  test("AC1: there is no natural alignment", () => {
    const { h, server, client, unit } = openPair({ clientPages: 1 });
    expect(shared(h, server, unit, client, 0, 8 * PAGE).address).toBe(PAGE);
    expect(shared(h, server, unit, client, 0, 16 * PAGE).address).toBe(9 * PAGE);
  });

  test("AC1: an address in state Rescinded is not free until it is returned", () => {
    const { h, server, client, unit } = openPair();
    const gone = shared(h, server, unit, client, 0, 2 * PAGE);
    expect(h.rescindLogical(server.lpid, 1, gone.cookie)).toBe(H_SUCCESS);
    expect(shared(h, server, unit, client, 0, PAGE).address).toBe(gone.address + 2 * PAGE);
    expect(h.returnLogical(client.lpid, gone.cookie)).toBe(H_SUCCESS);
    expect(shared(h, server, unit, client, 0, 2 * PAGE).address).toBe(gone.address);
  });

  test("AC1: each kind of resource has its own space, in its own unit", () => {
    const { table, h, server, client, unit } = openPair();
    table.assign(server, { type: "mmio", address: 6 * PAGE, length: 2 * PAGE });
    table.assign(server, { type: "interrupt", address: 40, length: 3 });
    table.assign(server, { type: "dma", address: 0, length: 2 * PAGE, liobn: 3 });
    table.assign(server, { type: "ipi", address: 9, length: 2 });
    table.assign(client, { type: "interrupt", address: 1, length: 1 });
    const take = (type: number, lo: number, length: number, hi = 0): number =>
      accepted(h, client.lpid, granted(h, server.lpid, unit, lo, length, type, hi));
    expect(take(TYPE_MMIO, 6 * PAGE, 2 * PAGE)).toBe(0);
    expect(take(TYPE_MMIO, 7 * PAGE, PAGE)).toBe(2 * PAGE);
    expect(take(TYPE_INTERRUPT, 40, 1)).toBe(0);
    expect(take(TYPE_INTERRUPT, 42, 1)).toBe(2); // 1 is the client's own
    expect(take(TYPE_INTERRUPT, 42, 1)).toBe(3);
    expect(take(TYPE_DMA, PAGE, PAGE, 3)).toBe(0);
    expect(take(TYPE_DMA, 0, 2 * PAGE, 3)).toBe(PAGE);
    expect(take(TYPE_IPI, 10, 1)).toBe(0);
    expect(take(TYPE_IPI, 9, 1)).toBe(1);
    expect(take(TYPE_MEMORY, 0, PAGE)).toBe(4 * PAGE);
  });

  test("AC1: many mappings and returns keep choosing the lowest address (across map words)", () => {
    const { h, server, client, unit } = openPair({
      clientPages: 1,
      logicalSpace: 1024 * PAGE,
      memory: 64 * PAGE,
    });
    const cookies = Array.from({ length: 1023 }, () => granted(h, server.lpid, unit, 0));
    for (const [index, cookie] of cookies.entries()) {
      expect(accepted(h, client.lpid, cookie)).toBe((index + 1) * PAGE);
    }
    for (const index of [0, 62, 63, 64, 65, 500, 1022]) {
      expect(h.returnLogical(client.lpid, at(cookies, index))).toBe(H_SUCCESS);
      expect(accepted(h, client.lpid, at(cookies, index))).toBe((index + 1) * PAGE);
    }
    for (let index = 60; index < 70; index++) {
      expect(h.returnLogical(client.lpid, at(cookies, index))).toBe(H_SUCCESS);
    }
    const wide = granted(h, server.lpid, unit, 0, 10 * PAGE);
    expect(accepted(h, client.lpid, wide)).toBe(61 * PAGE);
  });
});

test("AC1: the lowest address is found beyond 4096 and beyond 262,144 pages, too", () => {
  const [each, blocks] = [4096, 66];
  const { h, server, client, unit } = openPair({
    serverPages: each,
    lmbPages: each,
    clientPages: 1,
    logicalSpace: (each * blocks + 1) * PAGE,
    memory: (each + 2) * PAGE,
  });
  const cookies = Array.from({ length: blocks }, () => granted(h, server.lpid, unit, 0, each * PAGE));
  const first = (index: number): number => (1 + index * each) * PAGE;
  const one = granted(h, server.lpid, unit, 0);
  for (const [index, cookie] of cookies.entries()) {
    // A single page is put where the next block begins, and makes room for it.
    expect(accepted(h, client.lpid, one)).toBe(first(index));
    expect(h.returnLogical(client.lpid, one)).toBe(H_SUCCESS);
    expect(accepted(h, client.lpid, cookie)).toBe(first(index));
  }
  expect(h.acceptLogical(client.lpid, one)).toBe(H_NO_MEM);
  for (const index of [64, 1, 0]) {
    expect(h.returnLogical(client.lpid, at(cookies, index))).toBe(H_SUCCESS);
    expect(accepted(h, client.lpid, one)).toBe(first(index));
    expect(h.returnLogical(client.lpid, one)).toBe(H_SUCCESS);
  }
});

describe("AC2: whose cookie, and when", () => {
  test("AC2: only the grantee accepts, and only once", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const cookie = granted(h, a.lpid, at(units, 0), 0);
    for (const stranger of [a, c]) {
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(stranger.lpid, cookie));
    }
    accepted(h, b.lpid, cookie);
    for (const caller of [a, b, c]) {
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(caller.lpid, cookie));
    }
  });

  test("AC2: a cookie that never existed gets the same answer as a foreign one", () => {
    const { table, h, server, client, unit } = openPair();
    const cookie = granted(h, server.lpid, unit, 0);
    const near = [cookie + 1, cookie - 1, cookie + 2 ** 24, cookie - 2 ** 24, cookie + 0.5, -cookie];
    for (const hostile of [...HOSTILE, ...near, 0, -0, 1, 2, 2 ** 24, 2 ** 24 + 1]) {
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, hostile));
    }
    accepted(h, client.lpid, cookie);
  });

  test("AC2: a rescinded cookie that was never accepted is dead", () => {
    const { table, h, server, client, unit } = openPair();
    for (const flags of [0, 1]) {
      const cookie = granted(h, server.lpid, unit, 0);
      expect(h.rescindLogical(server.lpid, flags, cookie)).toBe(H_SUCCESS);
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
      const next = granted(h, server.lpid, unit, 0); // the slot may be used again, the cookie not
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
      accepted(h, client.lpid, next);
    }
  });
});

describe("AC3: rescinded", () => {
  test("AC3: accepted and then rescinded by force answers H_RESCINDED until it is returned", () => {
    const { table, h, server, client, unit } = openPair();
    const { cookie } = shared(h, server, unit, client, 0);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(client.lpid, cookie));
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(server.lpid, cookie)); // foreign all the same
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
  });

  test("AC3: while the rescind is under way, nothing of the subtree can be accepted", () => {
    const { table, h, row, units } = openRow(4);
    const [a, b, c, d] = [at(row, 0), at(row, 1), at(row, 2), at(row, 3)];
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = shared(h, b, at(units, 1), c, toB.address);
    const waiting = granted(h, b.lpid, at(units, 1), toB.address);
    const deepest = granted(h, c.lpid, at(units, 2), toC.address);
    h.budget = 1;
    expect(h.rescindLogical(a.lpid, 1, toB.cookie)).toBe(H_PARTIAL);
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(c.lpid, waiting));
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(d.lpid, deepest));
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(b.lpid, toB.cookie));
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(c.lpid, toC.cookie));
    while (h.rescindLogical(a.lpid, 1, toB.cookie) === H_PARTIAL) {
      expect([H_RESCINDED, H_PARAMETER]).toContain(h.acceptLogical(d.lpid, deepest));
    }
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(c.lpid, waiting)); // Granted -> Unknown
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(d.lpid, deepest));
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(b.lpid, toB.cookie));
  });
});

describe("AC4: no room", () => {
  test("AC4: a space without a run that long answers H_NO_MEM, and the cookie stays acceptable", () => {
    const { table, h, server, client, unit } = openPair({ clientPages: 4, logicalSpace: 32 * PAGE });
    const filler = shared(h, server, unit, client, 0, 12 * PAGE);
    const middle = shared(h, server, unit, client, 0, PAGE);
    const rest = shared(h, server, unit, client, 0, 15 * PAGE);
    expect(rest.address).toBe(17 * PAGE); // the space ends behind it
    const one = granted(h, server.lpid, unit, 0, PAGE);
    const thirteen = granted(h, server.lpid, unit, 0, 13 * PAGE);
    expectRefused(table, H_NO_MEM, () => h.acceptLogical(client.lpid, one));
    expect(h.returnLogical(client.lpid, filler.cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_NO_MEM, () => h.acceptLogical(client.lpid, thirteen)); // 12 free in a row
    expect(h.returnLogical(client.lpid, middle.cookie)).toBe(H_SUCCESS);
    expect(accepted(h, client.lpid, thirteen)).toBe(4 * PAGE);
    expectRefused(table, H_NO_MEM, () => h.acceptLogical(client.lpid, one));
  });

  test("AC4: a grant longer than the client's whole space is never acceptable", () => {
    const { table, h, server, client, unit } = openPair({ clientPages: 0, spaces: { mmio: 8 * PAGE } });
    table.assign(server, { type: "mmio", address: 0, length: 8 * PAGE });
    const whole = granted(h, server.lpid, unit, 0, 8 * PAGE, TYPE_MMIO);
    const another = granted(h, server.lpid, unit, 0, 8 * PAGE, TYPE_MMIO);
    expect(accepted(h, client.lpid, whole)).toBe(0);
    expectRefused(table, H_NO_MEM, () => h.acceptLogical(client.lpid, another));
    expect(h.returnLogical(client.lpid, whole)).toBe(H_SUCCESS);
    expect(accepted(h, client.lpid, another)).toBe(0);
  });

  test("AC4: the last number of a space of interrupts is used, the next accept fails", () => {
    const { table, h, server, client, unit } = openPair({ spaces: { interrupt: 2 } });
    table.assign(server, { type: "interrupt", address: 1, length: 1 });
    const cookies = [1, 2, 3].map(() => granted(h, server.lpid, unit, 1, 1, TYPE_INTERRUPT));
    expect(accepted(h, client.lpid, at(cookies, 0))).toBe(0);
    expect(accepted(h, client.lpid, at(cookies, 1))).toBe(1);
    expectRefused(table, H_NO_MEM, () => h.acceptLogical(client.lpid, at(cookies, 2)));
  });
});

describe("AC5: the grantor failed", () => {
  test("AC5: nothing of a failed grantor can be accepted, what was accepted can be returned", () => {
    const { table, h, server, client, unit, clock } = openPair();
    const waiting = granted(h, server.lpid, unit, 0);
    const { cookie } = shared(h, server, unit, client, 0);
    table.fail(server);
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(client.lpid, waiting));
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(client.lpid, cookie));
    clock.advance(2000);
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, waiting)); // Granted -> Unknown
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
  });

  test("AC5: only the immediate grantor counts: a living partition's re-grant stays acceptable in the grace", () => {
    const { table, h, row, units, clock } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = granted(h, b.lpid, at(units, 1), toB.address);
    a.write(0, bytesOf(4, 9));
    table.fail(a);
    const address = accepted(h, c.lpid, toC);
    expect(c.read(address, 4)).toEqual(bytesOf(4, 9));
    clock.advance(2000);
    expect(h.translate(c.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_RESCINDED);
  });
});

describe("AC6: restrictions", () => {
  test("AC6: every access of the mapping is checked against the grant's restrictions", () => {
    for (const [inhibits, canRead, canWrite] of [
      [0, true, true],
      [INHIBIT_WRITE, true, false],
      [INHIBIT_READ, false, true],
      [INHIBIT_READ | INHIBIT_WRITE, false, false],
    ] as const) {
      const { h, server, client, unit } = openPair();
      const { address } = shared(h, server, unit, client, 0, 2 * PAGE, SHARE | inhibits);
      const allowed = (needed: boolean): number => (needed ? H_SUCCESS : H_PERMISSION);
      const both = canRead && canWrite;
      expect(h.translate(client.lpid, TYPE_MEMORY, address, PAGE, 0)).toBe(H_SUCCESS);
      expect(h.translate(client.lpid, TYPE_MEMORY, address, PAGE, 1)).toBe(allowed(canRead));
      expect(h.translate(client.lpid, TYPE_MEMORY, address, PAGE, 2)).toBe(allowed(canWrite));
      expect(h.translate(client.lpid, TYPE_MEMORY, address, PAGE, 3)).toBe(allowed(both));
      expect(statusOf(() => client.read(address, 8))).toBe(allowed(canRead));
      expect(statusOf(() => client.readInto(address, new Uint8Array(8)))).toBe(allowed(canRead));
      expect(statusOf(() => client.load32(address))).toBe(allowed(canRead));
      expect(statusOf(() => client.write(address, bytesOf(8, 1)))).toBe(allowed(canWrite));
      expect(statusOf(() => client.fill(address, 8, 1))).toBe(allowed(canWrite));
      expect(statusOf(() => client.store32(address, 1))).toBe(allowed(canWrite));
      expect(statusOf(() => client.add32(address, 1))).toBe(allowed(both));
      expect(statusOf(() => client.compareExchange32(address, 0, 1))).toBe(allowed(both));
      expect(statusOf(() => client.copy(address, client, 0, 8))).toBe(allowed(canRead));
      expect(statusOf(() => client.copy(0, client, address, 8))).toBe(allowed(canWrite));
      expect(statusOf(() => server.copy(0, client, address, 8))).toBe(allowed(canWrite));
      expect(statusOf(() => client.translate(address))).toBe(allowed(canRead));
      expect(statusOf(() => client.translate(address, { write: true }))).toBe(allowed(canWrite));
    }
  });

  test("AC6: a refused access moves no byte", () => {
    const { h, server, client, unit } = openPair();
    server.write(0, bytesOf(64, 3));
    const { address } = shared(h, server, unit, client, 0, PAGE, SHARE | INHIBIT_WRITE);
    expect(statusOf(() => client.fill(address, 64, 0))).toBe(H_PERMISSION);
    expect(statusOf(() => client.write(address + 10, bytesOf(5, 99)))).toBe(H_PERMISSION);
    expect(statusOf(() => client.store32(address, 1))).toBe(H_PERMISSION);
    expect(statusOf(() => client.add32(address, 1))).toBe(H_PERMISSION);
    expect(server.read(0, 64)).toEqual(bytesOf(64, 3));
  });

  test("AC6: the mapping says what it may", () => {
    const { server, client, unit } = openPair();
    for (const [read, write, regrant] of [
      [true, true, true],
      [true, false, true],
      [false, true, false],
      [true, true, false],
    ] as const) {
      const cookie = server.grant({ to: unit, address: PAGE, length: 2 * PAGE, read, write, regrant });
      const mapping = client.accept(cookie);
      expect(mapping).toMatchObject({ cookie, type: "memory", address: 4 * PAGE, length: 2 * PAGE });
      expect([mapping.readable, mapping.writable, mapping.regrantable]).toEqual([read, write, regrant]);
      mapping.return();
    }
  });
});
