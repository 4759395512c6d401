/** Failure, recovery and restart, rules FA1 to FA4 and FA6 to FA8 (1-semantics, section 11; DESIGN.md, 3.8). */
import { describe, expect, test } from "vitest";
import type { Partition, TableOptions } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  H_BUSY,
  H_CLOSED,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  PARTITION_DEFERRED,
  PARTITION_DEFERRED_GENERATION,
  TELL_STEPS,
  TYPE_INTERRUPT,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../src/layout.js";
import { partitionWord } from "../src/records.js";
import {
  accepted,
  at,
  auditedAfterEach,
  bytesOf,
  countEvents,
  expectRefused,
  granted,
  join,
  listen,
  openPair,
  openRow,
  openTable,
  PAGE,
  SHARE,
  settle,
  shared,
  statusOf,
  type World,
} from "./support/world.js";

auditedAfterEach();

const GRACE = 2000;

describe("FA1: a client fails", () => {
  test("FA1: the server's grants to it go to Unknown and the quota returns, at once", () => {
    const { table, h, server, client, unit } = openPair({ quota: 4 });
    const cookies = [
      granted(h, server.lpid, unit, 0), // Granted
      shared(h, server, unit, client, 0).cookie, // Shared
      shared(h, server, unit, client, 0).cookie, // returned
      shared(h, server, unit, client, 0).cookie, // Rescinded
    ];
    expect(h.returnLogical(client.lpid, at(cookies, 2))).toBe(H_SUCCESS);
    expect(h.rescindLogical(server.lpid, 1, at(cookies, 3))).toBe(H_SUCCESS);
    table.fail(client);
    for (const cookie of cookies) {
      for (const flags of [0, 1]) {
        expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, flags, cookie));
      }
    }
    expect(server.usage()).toMatchObject({ grantsOut: 0 });
    const third = table.createPartition({ name: "third", memory: PAGE });
    granted(h, server.lpid, join({ table }, server, third).unitAddress, 0);
  });

  test("FA1: many mappings of a client that failed end as each by itself would: events, addresses, slots, quotas", () => {
    const world = openTable({ memory: 64 * PAGE, grants: 400 });
    const { table, h } = world;
    const create = (name: string): Partition => table.createPartition({ name, memory: 4 * PAGE });
    const [first, second, client] = [create("first"), create("second"), create("client")];
    const to = new Map([first, second].map((server) => [server, join(world, server, client).unitAddress]));
    const give = (server: Partition, pages = 1): void => {
      shared(h, server, to.get(server) as number, client, 0, pages * PAGE);
    };
    for (let index = 0; index < 37; index++) give(first);
    give(first, 3);
    for (let index = 0; index < 2; index++) give(second);
    for (let index = 0; index < 18; index++) give(first);
    granted(h, first.lpid, to.get(first) as number, 0);
    table.fail(client);
    expect([first, second].map((server) => countEvents(server, "returned"))).toEqual([56, 2]);
    for (const server of [first, second]) expect(server.usage()).toMatchObject({ grantsOut: 0 });
    expect(client.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 0 });
  });

  test("FA1: what it granted on is rescinded by force, and its own clients are told", async () => {
    const { table, h, row, units } = openRow(4);
    const [a, b, c, d] = [at(row, 0), at(row, 1), at(row, 2), at(row, 3)];
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = shared(h, b, at(units, 1), c, toB.address);
    const toD = shared(h, c, at(units, 2), d, toC.address);
    const waiting = granted(h, b.lpid, at(units, 1), toB.address);
    const own = shared(h, a, at(units, 0), b, PAGE);
    const heardC = listen((signal) => c.events({ signal }));
    const heardD = listen((signal) => d.events({ signal }));
    table.fail(b);
    expect(h.translate(c.lpid, TYPE_MEMORY, toC.address, 1, 0)).toBe(H_RESCINDED);
    expect(h.translate(d.lpid, TYPE_MEMORY, toD.address, 1, 0)).toBe(H_RESCINDED);
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(c.lpid, waiting));
    expectRefused(table, H_PARAMETER, () => h.rescindLogical(c.lpid, 1, toD.cookie));
    expectRefused(table, H_PARAMETER, () => h.rescindLogical(a.lpid, 1, own.cookie));
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(d.lpid, toD.cookie)).toBe(H_SUCCESS);
    await heardC.stop();
    await heardD.stop();
    const kinds = (seen: readonly { type: string }[]): string[] => seen.map((event) => event.type);
    expect(kinds(heardC.seen)).toContain("rescinded");
    expect(kinds(heardC.seen)).toContain("partner-failed");
    expect(kinds(heardD.seen)).toContain("rescinded");
    expect(kinds(heardD.seen)).not.toContain("partner-failed"); // no partner of b
    expect(a.translate(0)).toBeGreaterThanOrEqual(0);
  });

  test("FA1: its partners get one event, however many adapters join them", async () => {
    const world = openPair();
    const { table, server, client } = world;
    for (let extra = 0; extra < 3; extra++) join(world, client, server);
    const heard = listen((signal) => server.events({ signal }));
    table.fail(client);
    table.fail(client);
    await heard.stop();
    const failures = heard.seen.filter((event) => event.type === "partner-failed");
    expect(failures).toMatchObject([{ partner: client.lpid }]);
  });

  test("FA1, RS6: who has stopped is charged for nothing, though a view of somebody else stands on a frame that it was charged for", async () => {
    const { table, h, row, units } = openRow(3);
    const [server, client, other] = [at(row, 0), at(row, 1), at(row, 2)];
    const { core, memory } = kernelOf(table);
    const { unitAddress } = table.connect(server, other);
    const own = shared(h, server, at(units, 0), client, 0);
    const theirs = shared(h, server, unitAddress, other, 0);
    const pins = [
      [client.lpid, own.address],
      [other.lpid, theirs.address],
    ].map(([lpid, address]) => {
      expect(core.pinMemory(lpid as number, address as number, PAGE)).toBe(H_SUCCESS);
      return memory.result;
    });
    await server.rescindForced(own.cookie);
    expect(core.unpinMemory(client.lpid, at(pins, 0))).toBe(H_SUCCESS);
    expect(client.usage().quarantined).toBe(1);
    table.fail(client);
    await table.recovered(client);
    expect(client.usage().quarantined).toBe(0);
    expect(table.inspect().counters.framesQuarantined).toBe(1);
    expect(core.unpinMemory(other.lpid, at(pins, 1))).toBe(H_SUCCESS);
    expect(table.inspect().counters.framesQuarantined).toBe(0);
  });

  test("FA1: its queue closes", () => {
    const { table, h, server, client, unit, back } = openPair({ clientPages: 8 });
    expect(h.regCrq(client.lpid, back, 0, PAGE)).toBe(H_CLOSED);
    granted(h, client.lpid, back, PAGE); // so that the grace period runs
    expect(h.sendCrq(server.lpid, unit, 0x80, 0, 0, 0)).toBe(H_SUCCESS);
    table.fail(client);
    expectRefused(table, H_CLOSED, () => h.sendCrq(server.lpid, unit, 0x80, 0, 0, 0));
  });

  test("FA1: a client without grants of its own is recovered without a grace period", async () => {
    const { table, h, server, client, unit, clock } = openPair();
    shared(h, server, unit, client, 0, 4 * PAGE);
    table.fail(client);
    await table.recovered(client);
    expect(client.state).toBe("stopped");
    expect(clock.waiting).toBe(0);
    expect(client.usage()).toMatchObject({ pagesOwned: 0, pagesMapped: 0, grantsIn: 0, grantsOut: 0 });
  });

  test("FA1: a leaked view of the failed client sees and changes nothing any more", async () => {
    const { table, h, server, client, unit } = openPair();
    server.write(0, bytesOf(16, 1));
    const { address } = shared(h, server, unit, client, 0);
    const view = client.view(address, PAGE);
    const leaked = view.bytes;
    table.fail(client);
    await table.recovered(client);
    leaked.fill(0xcc);
    expect(server.read(0, 16)).toEqual(bytesOf(16, 1));
    server.write(0, bytesOf(16, 100));
    expect(leaked[0]).toBe(0xcc);
    view.release();
    expect(server.usage().quarantined + client.usage().quarantined).toBe(0);
  });
});

describe("FA2: a server fails", () => {
  test("FA2: during the grace period mappings work and can be returned; then all is rescinded, recursively", async () => {
    const { table, h, row, units, clock } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    a.write(0, bytesOf(8, 3));
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = shared(h, b, at(units, 1), c, toB.address);
    const returned = shared(h, a, at(units, 0), b, PAGE);
    table.fail(a);
    expect(a.state).toBe("failed");
    for (const elapsed of [0, 1, GRACE - 2]) {
      clock.advance(elapsed);
      expect(b.read(toB.address, 8)).toEqual(bytesOf(8, 3));
      c.write(toC.address, bytesOf(8, 3));
    }
    expect(h.returnLogical(b.lpid, returned.cookie)).toBe(H_SUCCESS);
    expect(h.translate(b.lpid, TYPE_MEMORY, toB.address, 1, 3)).toBe(H_SUCCESS);
    clock.advance(1);
    await table.recovered(a);
    expect(a.state).toBe("stopped");
    expect(h.translate(b.lpid, TYPE_MEMORY, toB.address, 1, 0)).toBe(H_RESCINDED);
    expect(h.translate(c.lpid, TYPE_MEMORY, toC.address, 1, 0)).toBe(H_RESCINDED);
    expect(h.translate(b.lpid, TYPE_MEMORY, returned.address, 1, 0)).toBe(H_PARAMETER);
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
    expect(b.usage()).toMatchObject({ grantsIn: 0, grantsOut: 0, rescinded: 0 });
  });

  test("FA2: the grace period is owed also where views hear only with the failure of pages that another thread has moved", async () => {
    const { table, h, row, clock } = openRow(4);
    const [a, b, c, d] = [at(row, 0), at(row, 1), at(row, 2), at(row, 3)];
    const taken = shared(h, a, table.connect(a, b).unitAddress, b, 0);
    const kept = shared(h, a, table.connect(a, c).unitAddress, c, 0);
    const lasting = shared(h, d, table.connect(d, c).unitAddress, c, 0);
    using leaked = b.view(taken.address, PAGE);
    using view = c.view(kept.address, PAGE);
    // As a thread of its own would do it, which tells this one nothing.
    expect(kernelOf(table).core.rescindLogical(a.lpid, 1, taken.cookie)).toBe(H_SUCCESS);
    table.fail(d);
    expect(d.state).toBe("failed");
    expect(statusOf(() => c.read(lasting.address, 8))).toBe(H_SUCCESS);
    expect(view.bytes.byteOffset).not.toBe(leaked.bytes.byteOffset);
    clock.advance(GRACE);
    await table.recovered(d);
    expect(d.state).toBe("stopped");
  });

  test("FA2: every client gets exactly one partner-failed event, before anything is lost", async () => {
    const world = openTable();
    const { table, h, clock } = world;
    const server = table.createPartition({ name: "server", memory: 4 * PAGE });
    const clients = ["b", "c", "d"].map((name) => table.createPartition({ name, memory: PAGE }));
    const stranger = table.createPartition({ name: "stranger", memory: PAGE });
    const links = clients.map((client) => {
      const adapter = join(world, server, client);
      return shared(h, server, adapter.unitAddress, client, 0);
    });
    const heard = [...clients, stranger].map((client) => listen((signal) => client.events({ signal })));
    table.fail(server);
    await settle();
    for (const [index, client] of clients.entries()) {
      expect(at(heard, index).seen.map((event) => event.type)).toEqual(["partner-failed"]);
      expect(h.translate(client.lpid, TYPE_MEMORY, at(links, index).address, 1, 3)).toBe(H_SUCCESS);
    }
    expect(at(heard, 3).seen).toEqual([]);
    table.fail(server); // again within the grace
    clock.advance(GRACE);
    for (const { stop } of heard) await stop();
    for (let index = 0; index < 3; index++) {
      const types = at(heard, index).seen.map((event) => event.type);
      expect(types.filter((type) => type === "partner-failed").length).toBe(1);
      expect(types.indexOf("partner-failed")).toBeLessThan(types.indexOf("rescinded"));
    }
  });

  test("FA2: the grace period is the configured one, to the millisecond", () => {
    for (const gracePeriodMs of [1, 50, 5000]) {
      const { table, h, server, client, unit, clock } = openPair({ gracePeriodMs });
      const { address } = shared(h, server, unit, client, 0);
      table.fail(server);
      clock.advance(gracePeriodMs - 1);
      expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_SUCCESS);
      clock.advance(1);
      expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_RESCINDED);
    }
  });

  test("FA2: an unaccepted grant also gives its client the grace; then it is Unknown", () => {
    const { table, h, server, client, unit, clock } = openPair();
    const cookie = granted(h, server.lpid, unit, 0);
    table.fail(server);
    expect(server.state).toBe("failed");
    expect(client.usage().grantsIn).toBe(1);
    clock.advance(GRACE);
    expect(server.state).toBe("stopped");
    expect(client.usage()).toMatchObject({ grantsIn: 0, rescinded: 0 });
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
  });

  test("FA2: only after recovery may the server restart", async () => {
    const { table, h, server, unit, clock } = openPair();
    granted(h, server.lpid, unit, 0);
    expect(() => table.restart(server)).toThrow(); // it is running
    table.fail(server);
    expect(() => table.restart(server)).toThrow(); // grace
    expect(server.state).toBe("failed");
    clock.advance(GRACE);
    await table.recovered(server);
    table.restart(server);
    expect(server.state).toBe("running");
    expect(() => table.restart(server)).toThrow();
  });

  test("FA2: recovered resolves when it is done, at once if nothing is to be recovered, and can be aborted", async () => {
    const { table, h, server, unit, clock } = openPair();
    granted(h, server.lpid, unit, 0);
    table.fail(server);
    const controller = new AbortController();
    let done = false;
    const waiting = table.recovered(server).then(() => {
      done = true;
    });
    const aborted = table.recovered(server, { signal: controller.signal });
    controller.abort();
    await expect(aborted).rejects.toThrow();
    clock.advance(GRACE - 1);
    await settle();
    expect(done).toBe(false);
    clock.advance(1);
    await waiting;
    await table.recovered(server);
  });

  test("FA5, RE5: a forced rescind that the server was in the middle of is carried through at once, in slices, and its clients can return", async () => {
    const { table, h, row, units, clock } = openRow(4, { grants: 400 });
    const [a, b, c, d] = [at(row, 0), at(row, 1), at(row, 2), at(row, 3)];
    const kept = Array.from({ length: 30 }, () => shared(h, a, at(units, 0), b, PAGE));
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = shared(h, b, at(units, 1), c, toB.address);
    const toD = Array.from({ length: 20 }, () => shared(h, c, at(units, 2), d, toC.address));
    const waiting = granted(h, a.lpid, at(units, 0), 0);
    shared(h, a, at(units, 0), b, PAGE);
    h.budget = 3;
    for (let slice = 0; slice < 4; slice++) expect(h.rescindLogical(a.lpid, 1, toB.cookie)).toBe(H_PARTIAL);
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_RESCINDED);
    const heard = listen((signal) => b.events({ signal }));
    table.fail(a);
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_RESCINDED);
    for (let turn = 0; turn < 60; turn++) await settle();
    // Told of the failure first, and the grace period goes on.
    await heard.stop();
    expect(heard.seen.map((event) => event.type)).toEqual(["partner-failed", "rescinded"]);
    expect(a.state).toBe("failed");
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
    for (const { cookie } of toD) expect(h.returnLogical(d.lpid, cookie)).toBe(H_SUCCESS);
    for (const { address } of kept) expect(h.translate(b.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_SUCCESS);
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(b.lpid, waiting)); // AC5: it stands
    expect(b.usage().grantsIn).toBe(32);
    expect(table.audit().problems).toEqual([]);
    clock.advance(GRACE);
    await table.recovered(a);
    expect(a.state).toBe("stopped");
  });

  test("FA6, RE5: that walk begins again when what it stood at has ended, and its slot is another's", () => {
    const world = openRow(3, { grants: 200 });
    const { table, h, row, units } = world;
    const { core, memory } = kernelOf(table);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const other = table.connect(a, c).unitAddress;
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = Array.from({ length: 20 }, () => shared(h, a, other, c, PAGE));
    shared(h, b, at(units, 1), c, toB.address);
    h.budget = 1;
    expect(h.rescindLogical(a.lpid, 1, toB.cookie)).toBe(H_PARTIAL);
    h.budget = 3072;
    expect(core.failPartition(a.lpid, 0)).toBe(H_SUCCESS);
    for (let slice = 0; slice < 3; slice++) expect(core.recoverClient(a.lpid, 3)).toBe(H_PARTIAL);
    // Whose grant it stands at ends, and others use the slot.
    const place = partitionWord(memory, a.lpid, PARTITION_DEFERRED_GENERATION);
    expect(toC.map(({ cookie }) => cookie % 2 ** 24)).toContain(place);
    expect(core.failPartition(c.lpid, 0)).toBe(H_SUCCESS);
    while (core.recoverServer(c.lpid, 1000) !== H_SUCCESS) expect(memory.result).toBeDefined();
    const back = table.connect(b, table.createPartition({ name: "next", memory: PAGE })).unitAddress;
    for (let index = 0; index < 60; index++) granted(h, b.lpid, back, 0);
    for (let left = 200; core.recoverClient(a.lpid, 3) !== H_SUCCESS; left--) expect(left).toBeGreaterThan(0);
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    expect(core.recoverClient(a.lpid, 3)).toBe(H_SUCCESS);
    while (core.recoverServer(a.lpid, 1000) !== H_SUCCESS) expect(memory.result).toBeDefined();
  });

  test("FA2: forced recovery does not touch grants of others to the same clients", () => {
    const world = openPair();
    const { table, h, server, client, unit, clock } = world;
    const third = table.createPartition({ name: "third", memory: PAGE });
    const lost = shared(h, server, unit, client, 0);
    const kept = shared(h, third, join(world, third, client).unitAddress, client, 0);
    table.fail(server);
    clock.advance(GRACE);
    expect(h.translate(client.lpid, TYPE_MEMORY, lost.address, 1, 0)).toBe(H_RESCINDED);
    expect(h.translate(client.lpid, TYPE_MEMORY, kept.address, 1, 3)).toBe(H_SUCCESS);
  });

  test("FA2: what a failed server granted of other kinds is recovered as well", () => {
    const { table, h, server, client, unit, clock } = openPair();
    table.assign(server, { type: "mmio", address: 0, length: PAGE });
    table.assign(server, { type: "interrupt", address: 4, length: 1 });
    const window = accepted(h, client.lpid, granted(h, server.lpid, unit, 0, PAGE, TYPE_MMIO));
    const source = accepted(h, client.lpid, granted(h, server.lpid, unit, 4, 1, TYPE_INTERRUPT));
    table.fail(server);
    expect(h.translate(client.lpid, TYPE_MMIO, window, 1, 0)).toBe(H_SUCCESS);
    clock.advance(GRACE);
    expect(h.translate(client.lpid, TYPE_MMIO, window, 1, 0)).toBe(H_RESCINDED);
    expect(h.translate(client.lpid, TYPE_INTERRUPT, source, 1, 0)).toBe(H_RESCINDED);
  });
});

describe("FA3: both, in any order", () => {
  /** The end state of a pair in which both granted to each other, after both failed in a given order. */
  function endOf(order: readonly ("server" | "client" | "wait" | "some")[]): unknown {
    const { table, h, server, client, unit, back, clock } = openPair();
    const toClient = shared(h, server, unit, client, 0, 2 * PAGE);
    granted(h, client.lpid, back, toClient.address);
    shared(h, client, back, server, 0);
    granted(h, server.lpid, unit, PAGE);
    for (const step of order) {
      if (step === "wait") clock.advance(GRACE);
      else if (step === "some") clock.advance(GRACE / 2);
      else table.fail(step === "server" ? server : client);
      expect(table.audit().problems).toEqual([]);
    }
    clock.advance(3 * GRACE);
    expect([server.state, client.state]).toEqual(["stopped", "stopped"]);
    expect(clock.waiting).toBe(0);
    return [server.usage(), client.usage()];
  }

  test("FA3: the end state is the same in every order and with every repetition", () => {
    const expected = endOf(["server", "client"]);
    for (const order of [
      ["client", "server"],
      ["server", "server", "client", "client"],
      ["client", "some", "server"],
      ["server", "some", "client"],
      ["server", "some", "server", "client", "client"],
      ["client", "wait", "server"],
      ["server", "wait", "client"],
      ["server", "wait", "server", "client", "wait", "client"],
    ] as const) {
      expect(endOf(order)).toEqual(expected);
    }
  });

  test("FA3: failing again within the grace neither shortens nor stretches it", () => {
    const { table, h, server, client, unit, clock } = openPair();
    const { address } = shared(h, server, unit, client, 0);
    table.fail(server);
    clock.advance(GRACE / 2);
    table.fail(server);
    clock.advance(GRACE / 2 - 1);
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_SUCCESS);
    clock.advance(1);
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_RESCINDED);
    clock.advance(GRACE);
    expect(table.audit().problems).toEqual([]);
  });

  test("FA3: failing a stopped partition changes nothing", async () => {
    const { table, server, client } = openPair();
    table.fail(client);
    await table.recovered(client);
    const before = table.inspect();
    const heard = listen((signal) => server.events({ signal }));
    await settle();
    const already = heard.seen.length;
    table.fail(client);
    await heard.stop();
    expect(heard.seen.length).toBe(already);
    expect(table.inspect()).toEqual(before);
  });

  test("FA3: timers of an older incarnation do nothing", async () => {
    const world = openPair();
    const { table, h, server, client, unit, clock } = world;
    // All the server's timers, even cancelled ones, are called again long after.
    const stale: (() => void)[] = [];
    const original = clock.setTimeout.bind(clock);
    clock.setTimeout = (callback, ms) => {
      stale.push(callback);
      return original(callback, ms);
    };
    granted(h, server.lpid, unit, 0);
    table.fail(server);
    expect(stale.length).toBe(1);
    clock.advance(GRACE);
    await table.recovered(server);
    table.restart(server);
    const again = join(world, server, client).unitAddress;
    const { address } = shared(h, server, again, client, 0);
    for (const callback of stale) callback();
    await settle();
    expect(server.state).toBe("running");
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_SUCCESS);
    table.fail(server); // a new grace period runs, and the old timer does not end it
    at(stale, 0)();
    await settle();
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_SUCCESS);
    clock.advance(GRACE);
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_RESCINDED);
  });

  test("FA3: a client that fails in the server's grace leaves nothing for the end of it", () => {
    const { table, h, server, client, unit, clock } = openPair();
    shared(h, server, unit, client, 0, 4 * PAGE);
    table.fail(server);
    table.fail(client);
    clock.advance(GRACE);
    expect([server.state, client.state]).toEqual(["stopped", "stopped"]);
    expect(server.usage().grantsOut).toBe(0);
  });

  test("FA3: failures in the middle of a forced rescind end in the same state as without it", () => {
    for (const failing of [0, 1, 2, 3]) {
      for (const slices of [1, 2, 4, 6]) {
        const { table, h, row, units, clock } = openRow(4);
        const links: { cookie: number; address: number }[] = [];
        for (let index = 0; index < 3; index++) {
          const from = index === 0 ? 0 : at(links, index - 1).address;
          links.push(shared(h, at(row, index), at(units, index), at(row, index + 1), from));
        }
        h.budget = 1;
        const rescind = (): number => h.rescindLogical(at(row, 0).lpid, 1, at(links, 0).cookie);
        for (let slice = 0; slice < slices; slice++) if (rescind() !== H_PARTIAL) break;
        h.budget = 4096;
        table.fail(at(row, failing));
        expect(table.audit().problems).toEqual([]);
        if (failing !== 0) while (rescind() === H_PARTIAL);
        clock.advance(GRACE);
        for (const [index, link] of links.entries()) {
          const { lpid } = at(row, index + 1);
          const status = h.translate(lpid, TYPE_MEMORY, link.address, 1, 0);
          expect(status).toBe(H_RESCINDED);
          if (index + 1 !== failing) expect(h.returnLogical(lpid, link.cookie)).toBe(H_SUCCESS);
        }
        for (const partition of row) {
          expect(partition.usage()).toMatchObject({
            grantsIn: 0,
            grantsOut: 0,
            rescinded: 0,
            pagesMapped: 0,
          });
        }
      }
    }
  });
});

describe("FA4: memory comes back", () => {
  test("FA4: a failed partition's pages are freed after recovery, zero-filled before reuse", async () => {
    const { table, h, server, unit, clock } = openPair({
      memory: 20 * PAGE,
      serverPages: 16,
      clientPages: 4,
    });
    server.fill(0, 16 * PAGE, 0xff);
    granted(h, server.lpid, unit, 0);
    const create = (): unknown => table.createPartition({ name: "next", memory: 16 * PAGE });
    expect(create).toThrow(); // no memory is left
    table.fail(server);
    expect(create).toThrow(); // nor in the grace period
    clock.advance(GRACE);
    await table.recovered(server);
    expect(server.usage().pagesOwned).toBe(0);
    const next = table.createPartition({ name: "next", memory: 16 * PAGE });
    expect(next.read(0, 16 * PAGE)).toEqual(new Uint8Array(16 * PAGE));
  });

  test("FA4: a page that the failed owner still sees through a leaked view is not reused", async () => {
    const { table } = openTable({ memory: 4 * PAGE });
    const owner = table.createPartition({ name: "owner", memory: 4 * PAGE });
    const view = owner.view(PAGE, PAGE);
    const leaked = view.bytes;
    table.fail(owner);
    await table.recovered(owner);
    expect(() => table.createPartition({ name: "greedy", memory: 4 * PAGE })).toThrow();
    const next = table.createPartition({ name: "next", memory: 3 * PAGE });
    leaked.fill(0x99);
    next.write(0, bytesOf(PAGE, 1));
    expect(next.read(PAGE, 2 * PAGE)).toEqual(new Uint8Array(2 * PAGE));
    expect(new Set(leaked)).toEqual(new Set([0x99]));
    view.release();
    await table.destroyPartition(next);
    expect(table.createPartition({ name: "all", memory: 4 * PAGE }).read(0, 4 * PAGE)).toEqual(
      new Uint8Array(4 * PAGE),
    );
  });

  test("FA4: a client's view of a recovered server's page sees no later owner's data", async () => {
    const { table, h, server, client, unit, clock } = openPair({ memory: 24 * PAGE });
    const { address } = shared(h, server, unit, client, 0);
    const view = client.view(address, PAGE);
    const leaked = view.bytes;
    table.fail(server);
    clock.advance(GRACE);
    await table.recovered(server);
    const next = table.createPartition({ name: "next", memory: 16 * PAGE });
    next.fill(0, 16 * PAGE, 0x42);
    expect(leaked.includes(0x42)).toBe(false);
    leaked.fill(1);
    expect(next.read(0, 16 * PAGE).every((byte) => byte === 0x42)).toBe(true);
    view.release();
    expect(table.audit().problems).toEqual([]);
  });
});

describe("FA6: recovery is linear and sliced", () => {
  /** Steps of the core that recovering `count` grants takes when another partition has `others` grants. */
  async function slicesOf(count: number, others: number): Promise<number> {
    const world = openPair({ grants: 40_000, serverPages: 4, logicalSpace: 8192 * PAGE });
    const { table, h, server, client, unit, clock } = world;
    const third = table.createPartition({ name: "third", memory: PAGE });
    const aside = join(world, client, third).unitAddress;
    for (let index = 0; index < others; index++) granted(h, client.lpid, aside, 0);
    for (let index = 0; index < count; index++) granted(h, server.lpid, unit, 0);
    table.fail(server);
    const start = performance.now();
    clock.advance(GRACE);
    await table.recovered(server);
    const elapsed = performance.now() - start;
    expect(server.usage().grantsOut).toBe(0);
    expect(client.usage().grantsOut).toBe(others);
    return elapsed;
  }

  test("FA6: the cost grows with what the failed partition held, not with what others hold", async () => {
    await slicesOf(2000, 0);
    const alone = Math.min(await slicesOf(2000, 0), await slicesOf(2000, 0), await slicesOf(2000, 0));
    const crowded = Math.min(
      await slicesOf(2000, 30_000),
      await slicesOf(2000, 30_000),
      await slicesOf(2000, 30_000),
    );
    // A walk of the table would add fifteen times the work; noise and a slice's waiting do not.
    expect(crowded).toBeLessThan(10 * alone + 20);
  });

  test("FA6: a large recovery lets the event loop run", async () => {
    const { table, h, server, client, unit, clock } = openPair({
      grants: 200_000,
      logicalSpace: 1024 * PAGE,
    });
    for (let index = 0; index < 150_000; index++) h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit);
    expect(client.usage().grantsIn).toBe(150_000);
    table.fail(server);
    let longest = 0;
    let last = performance.now();
    let done = false;
    const watching = (async () => {
      while (!done) {
        await new Promise((resolve) => setImmediate(resolve));
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }
    })();
    clock.advance(GRACE);
    await table.recovered(server);
    done = true;
    await watching;
    expect(client.usage().grantsIn).toBe(0);
    expect(longest).toBeLessThan(100); // a few milliseconds when the machine is quiet
  });

  test("FA6: recovery is idempotent: failing and waiting again changes nothing", async () => {
    const { table, h, server, client, unit, clock } = openPair();
    shared(h, server, unit, client, 0);
    table.fail(server);
    clock.advance(GRACE);
    await table.recovered(server);
    const before = table.inspect();
    table.fail(server);
    clock.advance(GRACE);
    await table.recovered(server);
    expect(table.inspect()).toEqual(before);
  });
});

describe("FA8: restart", () => {
  test("FA8: a new incarnation from the description: memory, LMBs, assigned resources, nothing else", async () => {
    const world = openPair({ serverPages: 8, lmbPages: 4 });
    const { table, h, server, client, unit, clock } = world;
    table.assign(server, { type: "mmio", address: PAGE, length: 2 * PAGE, physical: 9 * PAGE });
    table.assign(server, { type: "interrupt", address: 2, length: 1, physical: 77 });
    shared(h, server, unit, client, 0);
    server.fill(0, 8 * PAGE, 1);
    const { incarnation } = server;
    table.fail(server);
    clock.advance(GRACE);
    await table.recovered(server);
    expect(server.incarnation).toBe(incarnation);
    table.restart(server);
    expect(server.incarnation).toBe(incarnation + 1);
    expect(table.partition(server.lpid)).toBe(server);
    expect(server.usage()).toMatchObject({
      pagesMapped: 0,
      grantsIn: 0,
      grantsOut: 0,
      pins: 0,
      rescinded: 0,
    });
    expect(server.read(0, 8 * PAGE)).toEqual(new Uint8Array(8 * PAGE));
    expect(server.translate(PAGE, { type: "mmio" })).toBe(9 * PAGE);
    expect(server.translate(2, { type: "interrupt" })).toBe(77);
    const fresh = join(world, server, client).unitAddress;
    granted(h, server.lpid, fresh, 4 * PAGE, 4 * PAGE);
    expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, SHARE, 0, 3 * PAGE, 2 * PAGE, fresh));
  });

  test("FA8, G1: with all that it was assigned, or not at all", async () => {
    const { table, server, client, clock } = openPair({ serverPages: 4, clientPages: 4, grants: 4 });
    const shortOf = { type: "interrupt", length: 1 } as const;
    table.assign(server, { ...shortOf, address: 0 });
    table.assign(server, { ...shortOf, address: 3 });
    table.fail(server);
    clock.advance(GRACE);
    await table.recovered(server);
    table.assign(client, { ...shortOf, address: 0 });
    const { counters } = table.inspect();
    const { events, partitions } = table.inspect();
    const { incarnation } = server;
    for (let call = 0; call < 2; call++) {
      expect(statusOf(() => table.restart(server))).toBe(H_NO_MEM);
      expect([server.state, server.incarnation]).toEqual(["stopped", incarnation]);
      expect(table.inspect()).toMatchObject({ counters, events, partitions });
    }
    expect(statusOf(() => server.read(0, 1))).toBe(H_RESCINDED);
    await table.destroyPartition(client);
    table.restart(server);
    expect(server.translate(3, { type: "interrupt" })).toBe(3);
  });

  test("FA8, G1: a restart of much memory that is refused changes nothing, and nobody is told of it", async () => {
    const memory = 64 << 20;
    const { table } = openTable({ memory, grants: 10, gracePeriodMs: 0 });
    const partition = table.createPartition({ name: "large", memory: memory / 2 });
    table.assign(partition, { type: "interrupt", address: 0, length: 5 });
    table.fail(partition);
    await table.recovered(partition);
    const other = table.createPartition({ name: "other", memory: 7 * PAGE, lmb: PAGE });
    const events = table.events();
    expect(statusOf(() => table.restart(partition))).toBe(H_NO_MEM);
    expect([partition.state, partition.incarnation]).toEqual(["stopped", 1]);
    await table.destroyPartition(other);
    table.restart(partition);
    expect(partition.incarnation).toBe(2);
    const types: string[] = [];
    for await (const { type, lpid } of events) {
      if (lpid === partition.lpid) types.push(type);
      if (type === "partition-restarted") break;
    }
    expect(types).toEqual(["partition-failed", "partition-recovered", "partition-restarted"]);
  });

  test("FA8: nobody is told of an incarnation from which other threads took the structures in the middle of its start", async () => {
    const { table, server } = openPair();
    table.assign(server, { type: "interrupt", address: 0, length: 3 });
    table.fail(server);
    await table.recovered(server);
    const kernel = kernelOf(table) as { core: { assignResource(...all: number[]): number } };
    const { core } = kernel;
    const before = table.inspect();
    kernel.core = { ...core, assignResource: () => H_NO_MEM };
    expect(statusOf(() => table.restart(server))).toBe(H_NO_MEM);
    kernel.core = core;
    await table.recovered(server);
    expect(server.state).toBe("stopped");
    expect(table.inspect()).toMatchObject({ counters: before.counters, events: before.events });
    table.restart(server);
    expect(server.translate(2, { type: "interrupt" })).toBe(2);
  });

  test("FA8: who is being destroyed is not started again by who waited for its recovery", async () => {
    const { table, server, client, adapter } = openPair();
    client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
    table.fail(server);
    const restarted = table.recovered(server).then(() => table.restart(server));
    const refused = expect(restarted).rejects.toThrow(/H_RESOURCE .*"server" is being destroyed/);
    await table.destroyPartition(server);
    await refused;
    expect([server.state, table.partition(server.lpid)]).toEqual(["stopped", undefined]);
  });

  test("FA8: a restart that finds the table locked is called again, and has assigned everything then, once", async () => {
    const { table, server } = openPair();
    table.assign(server, { type: "interrupt", address: 0, length: 3 });
    table.assign(server, { type: "mmio", address: PAGE, length: PAGE, physical: 9 * PAGE });
    const { incarnation } = server;
    const kernel = kernelOf(table) as { core: { assignResource(...all: number[]): number } };
    const { core } = kernel;
    // Locked before each resource.
    let calls = 0;
    const assignResource = (...all: number[]): number =>
      calls++ % 2 === 0 ? H_LONG_BUSY_10_MSEC : core.assignResource(...all);
    kernel.core = { ...core, assignResource };
    for (let life = 1; life <= 2; life++) {
      table.fail(server);
      await table.recovered(server);
      for (let left = 2; left > 0; left--)
        expect(statusOf(() => table.restart(server))).toBe(H_LONG_BUSY_10_MSEC);
      table.restart(server);
      expect(server.incarnation).toBe(incarnation + life);
      expect(server.translate(2, { type: "interrupt" })).toBe(2);
      expect(server.translate(PAGE, { type: "mmio" })).toBe(9 * PAGE);
      expect(statusOf(() => table.restart(server))).toBe(H_RESOURCE);
    }
    // It may fail before the rest is assigned: the next incarnation gets all.
    table.fail(server);
    await table.recovered(server);
    expect(statusOf(() => table.restart(server))).toBe(H_LONG_BUSY_10_MSEC);
    table.fail(server);
    await table.recovered(server);
    kernel.core = core;
    table.restart(server);
    expect(server.translate(0, { type: "interrupt" })).toBe(0);
    expect(server.translate(PAGE, { type: "mmio" })).toBe(9 * PAGE);
  });

  test("FA8: memory can be allocated again from the beginning", async () => {
    const { table, server } = openPair();
    const first = server.allocate(3 * PAGE);
    table.fail(server);
    await table.recovered(server);
    expect(statusOf(() => server.allocate(PAGE))).toBe(H_RESCINDED);
    table.restart(server);
    expect(server.allocate(3 * PAGE)).toBe(first);
  });

  test("FA8: partners hear of the recovery and can grant over a new adapter", async () => {
    const world = openPair();
    const { table, h, server, client, clock, back } = world;
    granted(h, client.lpid, back, 0);
    const heard = listen((signal) => server.events({ signal }));
    table.fail(client);
    clock.advance(GRACE);
    await table.recovered(client);
    table.restart(client);
    await heard.stop();
    expect(heard.seen.map((event) => event.type)).toContain("partner-recovered");
    const { address } = shared(h, server, join(world, server, client).unitAddress, client, 0);
    expect(address).toBe(4 * PAGE);
  });

  test("FA8: table events tell of failure, recovery and restart, in this order", async () => {
    const { table, h, server, unit, clock } = openPair();
    granted(h, server.lpid, unit, 0);
    const heard = listen((signal) => table.events({ signal }));
    await settle();
    table.fail(server);
    clock.advance(GRACE);
    await table.recovered(server);
    table.restart(server);
    await heard.stop();
    const own = heard.seen.filter((event) => event.lpid === server.lpid).map((event) => event.type);
    expect(own).toEqual(["partition-failed", "partition-recovered", "partition-restarted"]);
    expect(heard.seen.map((event) => event.at)).toEqual([0, GRACE, GRACE]);
  });

  test("FA8: a partition may fail and restart many times, and nothing is left over", async () => {
    const world = openPair();
    const { table, h, server, client, clock } = world;
    for (let round = 0; round < 30; round++) {
      const adapter = join(world, server, client);
      const toClient = shared(h, server, adapter.unitAddress, client, 0, 2 * PAGE);
      const toServer = shared(h, client, adapter.peer.unitAddress, server, 0);
      const failing = round % 2 === 0 ? server : client;
      table.fail(failing);
      clock.advance(GRACE);
      await table.recovered(failing);
      if (failing === server) expect(h.returnLogical(client.lpid, toClient.cookie)).toBe(H_SUCCESS);
      else expect(h.returnLogical(server.lpid, toServer.cookie)).toBe(H_SUCCESS);
      table.restart(failing);
      expect(table.audit().problems).toEqual([]);
    }
  });

  test("FA8: destroying a running partition is a failure without grace", async () => {
    const { table, h, server, client, unit, clock } = openPair({ memory: 24 * PAGE });
    const { cookie, address } = shared(h, server, unit, client, 0);
    const { lpid } = server;
    await table.destroyPartition(server);
    expect(clock.waiting).toBe(0);
    expect(table.partition(lpid)).toBeUndefined();
    expect([...table.partitions]).toEqual([client]);
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_RESCINDED);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_PARAMETER, () => h.translate(lpid, TYPE_MEMORY, 0, 1, 0));
    const next = table.createPartition({ name: "next", memory: 20 * PAGE });
    expect(next.read(0, PAGE)).toEqual(new Uint8Array(PAGE));
  });
});

/** A server whose policy is to wait, and three partners of it; each partner is joined to the next, too. */
function openLender(options: Partial<TableOptions> = {}): World & {
  server: Partition;
  clients: Partition[];
  /** The server's ends. */
  units: number[];
  /** The end by which a partner grants to the next. */
  onward: number[];
} {
  const world = openTable(options);
  const { table } = world;
  const server = table.createPartition({ name: "server", memory: 8 * PAGE, onFailure: "defer" });
  const clients = ["b", "c", "d"].map((name) => table.createPartition({ name, memory: 2 * PAGE }));
  const units = clients.map((client) => join(world, server, client).unitAddress);
  const onward = [0, 1].map((index) => join(world, at(clients, index), at(clients, index + 1)).unitAddress);
  return { ...world, server, clients, units, onward };
}

describe("FA7: policies", () => {
  test("FA7: rescind is the default; a policy that is not there is refused, by its name", () => {
    const { table } = openTable();
    for (const onFailure of ["wait", "", null, 1]) {
      expect(() => table.createPartition({ name: "x", onFailure: onFailure as "defer" })).toThrow(
        new RangeError(`onFailure is "${onFailure}"; it must be "rescind" or "defer"`),
      );
    }
    expect([...table.partitions]).toEqual([]);
    expect(table.createPartition({ name: "x", onFailure: "rescind" }).state).toBe("running");
    expect(table.createPartition({ name: "y", onFailure: "defer" }).state).toBe("running");
  });

  test("FA7: borrowers read and write after the failure, for as long as they like; the last return reclaims", async () => {
    const { table, h, server, clients, units, clock } = openLender();
    const [b, c] = [at(clients, 0), at(clients, 1)];
    server.write(0, bytesOf(8, 3));
    const toB = shared(h, server, at(units, 0), b, 0, 2 * PAGE);
    const toC = shared(h, server, at(units, 1), c, 0, 2 * PAGE);
    const heard = [b, c].map((client) => listen((signal) => client.events({ signal })));
    const told = listen((signal) => table.events({ signal }));
    table.fail(server, "gone");
    let isRecovered = false;
    const recovered = table.recovered(server).then(() => {
      isRecovered = true;
    });
    expect(clock.waiting).toBe(0);
    for (let round = 0; round < 3; round++) {
      clock.advance(100 * GRACE);
      await settle();
      b.write(toB.address, bytesOf(8, round));
      expect(c.read(toC.address, 8)).toEqual(bytesOf(8, round));
      expect(h.translate(b.lpid, TYPE_MEMORY, toB.address, 2 * PAGE, 3)).toBe(H_SUCCESS);
    }
    expect(server.state).toBe("failed");
    expect(server.usage()).toMatchObject({ pagesOwned: 8, grantsOut: 2 });
    expect(() => table.restart(server)).toThrow(expect.objectContaining({ code: "H_RESOURCE" }));
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    await settle();
    expect([server.state, isRecovered, server.usage().grantsOut]).toEqual(["failed", false, 1]);
    expect(c.read(toC.address, 8)).toEqual(bytesOf(8, 2));
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
    await recovered;
    expect(server.state).toBe("stopped");
    expect(server.usage()).toMatchObject({ pagesOwned: 0, grantsOut: 0, grantsIn: 0, quarantined: 0 });
    for (const { seen, stop } of heard) {
      await stop();
      expect(seen.map(({ type }) => type)).toEqual(["partner-failed", "partner-recovered"]);
    }
    await told.stop();
    expect(told.seen.map(({ type }) => type)).toEqual(["partition-failed", "partition-recovered"]);
  });

  test("FA7: what nobody has accepted ends with the failure; what is returned cannot be accepted again", () => {
    const { table, h, server, clients, units } = openLender({ grants: 16 });
    const [b, c] = [at(clients, 0), at(clients, 1)];
    const waiting = [granted(h, server.lpid, at(units, 0), 0), granted(h, server.lpid, at(units, 1), 0)];
    const before = shared(h, server, at(units, 0), b, PAGE);
    expect(h.returnLogical(b.lpid, before.cookie)).toBe(H_SUCCESS);
    const two = [shared(h, server, at(units, 0), b, 0), shared(h, server, at(units, 0), b, PAGE)];
    expect(h.acceptLogical(c.lpid, at(waiting, 1))).toBe(H_SUCCESS);
    expect(h.returnLogical(c.lpid, at(waiting, 1))).toBe(H_SUCCESS);
    table.fail(server);
    expect(server.usage().grantsOut).toBe(2);
    expect([b.usage().grantsIn, c.usage().grantsIn]).toEqual([2, 0]);
    for (const [client, cookie] of [
      [b, at(waiting, 0)],
      [c, at(waiting, 1)],
      [b, before.cookie],
      [b, at(two, 0).cookie], // accepted already
    ] as const)
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
    expect(h.returnLogical(b.lpid, at(two, 0).cookie)).toBe(H_SUCCESS);
    expect(b.usage()).toMatchObject({ grantsIn: 1, pagesMapped: 1 });
    expectRefused(table, H_PARAMETER, () => h.translate(b.lpid, TYPE_MEMORY, at(two, 0).address, 1, 0));
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(b.lpid, at(two, 0).cookie));
    expectRefused(table, H_PARAMETER, () => h.returnLogical(b.lpid, at(two, 0).cookie));
    // The structures and the addresses are there for others.
    const other = join({ table }, c, b).unitAddress;
    expect(shared(h, c, other, b, 0).address).toBe(at(two, 0).address);
    let more = 0;
    while (h.grantLogical(c.lpid, SHARE, 0, 0, PAGE, other) === H_SUCCESS) more++;
    expect(more).toBe(16 - 4 - 2); // 4 LMBs, one grant to b still out, one of c
  });

  test("FA7, AC5: what is not accepted yet when the first slice is over answers H_RESCINDED", async () => {
    const { table, h, server, clients, units } = openLender();
    const client = at(clients, 0);
    const kept = shared(h, server, at(units, 0), client, 0);
    const cookies = Array.from({ length: 80 }, () => granted(h, server.lpid, at(units, 0), 0));
    h.budget = 2 * TELL_STEPS + 1; // all three partners hear before it
    table.fail(server);
    const answers = cookies.map((cookie) => h.acceptLogical(client.lpid, cookie));
    expect(new Set(answers)).toEqual(new Set([H_PARAMETER, H_RESCINDED]));
    expect(server.usage().grantsOut).toBeGreaterThan(1);
    for (let turn = 0; turn < 20; turn++) await settle();
    for (const cookie of cookies) expect(h.acceptLogical(client.lpid, cookie)).toBe(H_PARAMETER);
    expect(server.usage().grantsOut).toBe(1);
    expect(h.translate(client.lpid, TYPE_MEMORY, kept.address, 1, 3)).toBe(H_SUCCESS);
  });

  test("FA7: without accepted grants it is recovered at once", async () => {
    const { table, h, server, clients, units, clock } = openLender();
    granted(h, server.lpid, at(units, 0), 0);
    const returned = shared(h, server, at(units, 1), at(clients, 1), 0);
    expect(h.returnLogical(at(clients, 1).lpid, returned.cookie)).toBe(H_SUCCESS);
    table.fail(server);
    expect([server.state, clock.waiting]).toEqual(["stopped", 0]);
    table.restart(server);
    table.fail(server);
    await table.recovered(server);
    expect(server.state).toBe("stopped");
  });

  test("FA7: what a borrower has granted on goes on, can be accepted still, and holds up the return", async () => {
    const { table, h, server, clients, units, onward } = openLender();
    const [b, c, d] = [at(clients, 0), at(clients, 1), at(clients, 2)];
    const toB = shared(h, server, at(units, 0), b, 0);
    const toC = shared(h, b, at(onward, 0), c, toB.address);
    const toD = shared(h, c, at(onward, 1), d, toC.address);
    const waiting = granted(h, b.lpid, at(onward, 0), toB.address);
    table.fail(server);
    await settle();
    d.write(toD.address, bytesOf(8, 7));
    expect(b.read(toB.address, 8)).toEqual(bytesOf(8, 7));
    const late = accepted(h, c.lpid, waiting);
    expect(c.read(late, 8)).toEqual(bytesOf(8, 7));
    const more = shared(h, b, at(onward, 0), c, toB.address); // after the failure
    for (const [client, cookie] of [
      [b, toB.cookie],
      [c, toC.cookie],
    ] as const)
      expectRefused(table, H_RESOURCE, () => h.returnLogical(client.lpid, cookie));
    expect(h.returnLogical(d.lpid, toD.cookie)).toBe(H_SUCCESS);
    expect(h.rescindLogical(c.lpid, 0, toD.cookie)).toBe(H_SUCCESS);
    expect(h.rescindLogical(b.lpid, 1, toC.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(c.lpid, waiting)).toBe(H_SUCCESS);
    expect(h.acceptLogical(c.lpid, waiting)).toBe(H_SUCCESS); // its grantor runs
    for (const cookie of [waiting, more.cookie]) expect(h.rescindLogical(b.lpid, 1, cookie)).toBe(H_SUCCESS);
    await settle();
    expect(server.state).toBe("failed");
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    await table.recovered(server);
    expect(server.state).toBe("stopped");
    for (const cookie of [toC.cookie, waiting, more.cookie])
      expect(h.returnLogical(c.lpid, cookie)).toBe(H_SUCCESS);
  });

  test("FA7: the last borrower's failure reclaims, with all that it granted on", async () => {
    const { table, h, server, clients, units, onward } = openLender();
    const [b, c] = [at(clients, 0), at(clients, 1)];
    const toB = shared(h, server, at(units, 0), b, 0);
    const toC = shared(h, b, at(onward, 0), c, toB.address);
    table.fail(server);
    c.write(toC.address, bytesOf(4, 1));
    table.fail(b);
    await table.recovered(b);
    await table.recovered(server);
    expect([b.state, server.state]).toEqual(["stopped", "stopped"]);
    expect(h.translate(c.lpid, TYPE_MEMORY, toC.address, 1, 0)).toBe(H_RESCINDED);
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
  });

  test("FA7: two borrowers end in the same state in every order of returning and failing", async () => {
    const ends: unknown[] = [];
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      for (const ways of ["return return", "return fail", "fail return", "fail fail"]) {
        const { table, h, server, clients, units } = openLender();
        const links = [0, 1].map((i) => shared(h, server, at(units, i), at(clients, i), i * PAGE, 2 * PAGE));
        table.fail(server);
        for (const [step, way] of ways.split(" ").entries()) {
          const index = at(order, step);
          const client = at(clients, index);
          expect(server.state).toBe("failed");
          if (way === "fail") table.fail(client);
          else expect(h.returnLogical(client.lpid, at(links, index).cookie)).toBe(H_SUCCESS);
          expect(table.audit().problems).toEqual([]);
          table.fail(server); // again: nothing
          await settle();
        }
        expect(server.state).toBe("stopped");
        ends.push(server.usage());
      }
    }
    for (const end of ends) expect(end).toEqual(ends[0]);
  });

  test("FA7: what it had accepted itself goes back at once, what it granted on of that is rescinded", async () => {
    const { table, h, server, clients, units, onward } = openLender();
    const [b, c] = [at(clients, 0), at(clients, 1)];
    const back = table.connect(b, server).unitAddress;
    const heard = listen((signal) => c.events({ signal }));
    const fromB = shared(h, b, back, server, 0);
    const spare = granted(h, b.lpid, back, 0);
    const onwards = shared(h, server, at(units, 1), c, fromB.address);
    const own = shared(h, server, at(units, 1), c, 0);
    table.fail(server);
    expect(b.usage()).toMatchObject({ grantsOut: 0 });
    expect(h.translate(c.lpid, TYPE_MEMORY, onwards.address, 1, 0)).toBe(H_RESCINDED);
    for (const cookie of [fromB.cookie, spare])
      expectRefused(table, H_PARAMETER, () => h.rescindLogical(b.lpid, 1, cookie));
    expect(h.translate(c.lpid, TYPE_MEMORY, own.address, 1, 3)).toBe(H_SUCCESS);
    expectRefused(table, H_PARAMETER, () => h.grantLogical(b.lpid, SHARE, 0, 0, PAGE, back)); // to the dead
    shared(h, b, at(onward, 0), c, 0);
    await settle();
    expect(server.state).toBe("failed");
    expect(h.returnLogical(c.lpid, onwards.cookie)).toBe(H_SUCCESS);
    await settle();
    expect(server.state).toBe("failed");
    expect(h.returnLogical(c.lpid, own.cookie)).toBe(H_SUCCESS);
    await table.recovered(server);
    await heard.stop();
    expect(heard.seen.map(({ type }) => type)).toEqual(["partner-failed", "rescinded", "partner-recovered"]);
  });

  test("FA7: two that wait for each other's borrowers, and for each other", async () => {
    const world = openTable();
    const { table, h } = world;
    const [a, b, c] = ["a", "b", "c"].map((name) =>
      table.createPartition({ name, memory: 2 * PAGE, onFailure: "defer" }),
    ) as [Partition, Partition, Partition];
    const joint = join(world, a, b);
    shared(h, a, joint.unitAddress, b, 0);
    shared(h, b, joint.peer.unitAddress, a, 0);
    const toC = shared(h, a, join(world, a, c).unitAddress, c, 0);
    table.fail(a);
    expect([a.state, b.usage().grantsOut]).toEqual(["failed", 0]);
    table.fail(b);
    await table.recovered(b);
    expect(a.state).toBe("failed");
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
    await table.recovered(a);
    expect([a.state, b.state]).toEqual(["stopped", "stopped"]);
  });

  test("FA7, RE2: a view of a borrower holds up its return, and sees the page until then", async () => {
    const { table, h, server, clients, units } = openLender();
    const client = at(clients, 0);
    const { cookie, address } = shared(h, server, at(units, 0), client, 0);
    const view = client.view(address, PAGE);
    table.fail(server);
    await settle();
    client.write(address, bytesOf(8, 5));
    expect(view.bytes.subarray(0, 8)).toEqual(bytesOf(8, 5));
    const late = client.view(address, 16);
    for (const one of [view, late]) {
      expectRefused(table, H_RESOURCE, () => h.returnLogical(client.lpid, cookie));
      one.release();
    }
    expect(server.state).toBe("failed");
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    await table.recovered(server);
    expect(client.usage()).toMatchObject({ pins: 0, quarantined: 0 });
  });

  test("FA7, RS6: a leaked view of a borrower that failed sees nothing of what the others write", async () => {
    for (const memory of [64, 14]) {
      const { table, h, server, clients, units } = openLender({ memory: memory * PAGE });
      const [b, c] = [at(clients, 0), at(clients, 1)];
      const toB = shared(h, server, at(units, 0), b, 0);
      const toC = shared(h, server, at(units, 1), c, 0);
      const view = b.view(toB.address, PAGE);
      const leaked = view.bytes;
      table.fail(server);
      table.fail(b);
      await settle();
      // With no frame free the page cannot move: the recovery of b waits for the view.
      expect(b.state).toBe(memory === 64 ? "stopped" : "recovering");
      if (memory === 14) view.release();
      await table.recovered(b);
      c.fill(toC.address, PAGE, 0x77);
      if (memory === 64) {
        expect(leaked.includes(0x77)).toBe(false);
        leaked.fill(1);
        expect(c.read(toC.address, 4)).toEqual(Uint8Array.of(0x77, 0x77, 0x77, 0x77));
        view.release();
      }
      expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
      await table.recovered(server);
    }
  });

  test("FA7: a forced rescind that it had begun is carried through", async () => {
    const { table, h, server, clients, units, onward } = openLender();
    const [b, c] = [at(clients, 0), at(clients, 1)];
    const toB = shared(h, server, at(units, 0), b, 0);
    const toC = shared(h, b, at(onward, 0), c, toB.address);
    const kept = shared(h, server, at(units, 1), c, 0);
    h.budget = 1;
    expect(h.rescindLogical(server.lpid, 1, toB.cookie)).toBe(H_PARTIAL);
    table.fail(server);
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
    expect([server.state, server.usage().grantsOut]).toEqual(["failed", 1]);
    expect(h.returnLogical(c.lpid, kept.cookie)).toBe(H_SUCCESS);
    await table.recovered(server);
  });

  test("FA7, RS6: also a forced rescind that it had begun leaves no view on a page that others go on using", async () => {
    // No frame may go to quarantine: the rescind waits for the view, before the failure and after it.
    const { table, h, server, clients, units } = openLender({ quarantine: 0 });
    const [b, c] = [at(clients, 0), at(clients, 1)];
    const toB = shared(h, server, at(units, 0), b, 0);
    const toC = shared(h, server, at(units, 1), c, 0);
    const view = b.view(toB.address, PAGE);
    const leaked = view.bytes;
    expect(h.rescindLogical(server.lpid, 1, toB.cookie)).toBe(H_PARTIAL);
    table.fail(server);
    for (let turn = 0; turn < 20; turn++) await settle();
    c.fill(toC.address, PAGE, 0x77);
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_RESCINDED);
    expect(leaked.includes(0x77)).toBe(true);
    view.release();
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
    await table.recovered(server);
  });

  test("FA7: a large mapping that is returned in two steps", async () => {
    const { table, h, clock } = openTable({ spaces: { mmio: 65537 * 2 * PAGE } });
    const server = table.createPartition({ name: "server", onFailure: "defer" });
    const client = table.createPartition({ name: "client" });
    const unit = table.connect(server, client).unitAddress;
    table.assign(server, { type: "mmio", address: 0, length: 65537 * PAGE });
    const cookie = granted(h, server.lpid, unit, 0, 65537 * PAGE, TYPE_MMIO);
    const other = granted(h, server.lpid, unit, 0, 65537 * PAGE, TYPE_MMIO);
    const before = accepted(h, client.lpid, other);
    accepted(h, client.lpid, cookie);
    expect(h.returnLogical(client.lpid, other)).toBe(H_BUSY); // before the failure
    table.fail(server);
    await settle();
    expect(h.returnLogical(client.lpid, other)).toBe(H_SUCCESS);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_BUSY);
    expect(table.audit().problems).toEqual([]);
    await settle();
    expect([server.state, before]).toEqual(["failed", 0]);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    await table.recovered(server);
    expect(clock.waiting).toBe(0);
  });

  test("FA7: reclaim() ends the wait by force, and the partition may restart", async () => {
    const { table, h, server, clients, units } = openLender();
    const [b, c] = [at(clients, 0), at(clients, 1)];
    const toB = shared(h, server, at(units, 0), b, 0);
    const toC = shared(h, server, at(units, 1), c, 0);
    table.reclaim(server); // it runs: nothing
    expect(server.state).toBe("running");
    table.fail(server);
    await settle();
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    table.reclaim(server);
    await table.recovered(server);
    expect(server.state).toBe("stopped");
    expect(h.translate(c.lpid, TYPE_MEMORY, toC.address, 1, 0)).toBe(H_RESCINDED);
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
    table.restart(server);
    table.reclaim(server);
    expect(server.state).toBe("running");
  });

  test("FA7: reclaim() ends a grace period as well", () => {
    const { table, h, server, client, unit, clock } = openPair();
    const { address } = shared(h, server, unit, client, 0);
    table.fail(server);
    table.reclaim(server);
    expect(clock.waiting).toBe(0);
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_RESCINDED);
    expect(server.state).toBe("stopped");
  });

  test("FA7: destroying forces, whether it runs or waits", async () => {
    for (const waits of [false, true]) {
      const { table, h, server, clients, units } = openLender();
      const client = at(clients, 0);
      const { cookie, address } = shared(h, server, at(units, 0), client, 0);
      if (waits) {
        table.fail(server);
        await settle();
        expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_SUCCESS);
      }
      const recovered = waits ? table.recovered(server) : undefined;
      await table.destroyPartition(server);
      await recovered;
      expect([...table.partitions]).toEqual(clients);
      expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_RESCINDED);
      expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      expect(table.createPartition({ name: "next", memory: 8 * PAGE }).read(0, PAGE)).toEqual(
        new Uint8Array(PAGE),
      );
    }
  });

  test("FA7: close() and an aborted signal end the wait", async () => {
    const { table, h, server, clients, units } = openLender();
    const { cookie } = shared(h, server, at(units, 0), at(clients, 0), 0);
    table.fail(server);
    const controller = new AbortController();
    const aborted = table.recovered(server, { signal: controller.signal });
    controller.abort();
    await expect(aborted).rejects.toThrow(/abort/);
    const waiting = expect(table.recovered(server)).rejects.toMatchObject({ code: "LPAR_CLOSED" });
    await table.close();
    await waiting;
    expect(h.returnLogical(at(clients, 0).lpid, cookie)).toBe(H_SUCCESS);
    await settle();
    expect(server.state).toBe("failed");
  });

  test("FA7, FA8: after the last return it restarts as a new incarnation on zeroed memory, again and again", async () => {
    const world = openLender();
    const { table, h, server, clients } = world;
    const client = at(clients, 0);
    for (let round = 1; round <= 20; round++) {
      const { unitAddress } = join(world, server, client);
      expect(server.incarnation).toBe(round);
      expect(server.read(0, 8 * PAGE)).toEqual(new Uint8Array(8 * PAGE));
      server.fill(0, 8 * PAGE, round);
      const links = Array.from({ length: 5 }, () => shared(h, server, unitAddress, client, 0));
      granted(h, server.lpid, unitAddress, 0);
      table.fail(server);
      for (const { cookie } of links) {
        expect(server.state).toBe("failed");
        expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
        if (round % 2 === 0) await settle();
      }
      await table.recovered(server);
      expect(table.audit().problems).toEqual([]);
      expect(client.usage()).toMatchObject({ grantsIn: 0, pagesMapped: 0 });
      table.restart(server);
      // A cookie of the old incarnation has no power.
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, at(links, 0).cookie));
    }
  });

  test("FA7: grants of other kinds hold up the recovery, too", async () => {
    const { table, h, server, clients, units } = openLender();
    const client = at(clients, 0);
    table.assign(server, { type: "mmio", address: 0, length: PAGE });
    table.assign(server, { type: "interrupt", address: 4, length: 1 });
    const window = granted(h, server.lpid, at(units, 0), 0, PAGE, TYPE_MMIO);
    const source = granted(h, server.lpid, at(units, 0), 4, 1, TYPE_INTERRUPT);
    const addresses = [window, source].map((cookie) => accepted(h, client.lpid, cookie));
    table.fail(server);
    for (const [index, cookie] of [window, source].entries()) {
      await settle();
      expect(server.state).toBe("failed");
      const type = index === 0 ? TYPE_MMIO : TYPE_INTERRUPT;
      expect(h.translate(client.lpid, type, at(addresses, index), 1, 0)).toBe(H_SUCCESS);
      expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    }
    await table.recovered(server);
  });

  test("FA7: returns through the batch form, and of a Mapping", async () => {
    const { table, h, server, clients, units } = openLender();
    const [b, c] = [at(clients, 0), at(clients, 1)];
    const links = Array.from({ length: 40 }, () => shared(h, server, at(units, 0), b, 0));
    const mapping = c.accept(granted(h, server.lpid, at(units, 1), 0));
    using requests = h.createRequests(40);
    for (const [index, { cookie }] of links.entries()) requests.return(index, b.lpid, cookie);
    table.fail(server);
    await settle();
    requests.run(40);
    for (let index = 0; index < 40; index++) expect(requests.status(index)).toBe(H_SUCCESS);
    expect(server.usage().grantsOut).toBe(1);
    mapping.return();
    mapping.return();
    await table.recovered(server);
    expect(server.state).toBe("stopped");
  });

  test("FA6, FA7: the walk goes on also when what it stood at is returned between two slices, and its slot used again", async () => {
    const { table, h, server, clients, units, onward } = openLender({ logicalSpace: 256 * PAGE });
    const [b, c] = [at(clients, 0), at(clients, 1)];
    const bySlot = new Map<number, number>();
    for (let index = 0; index < 60; index++) {
      granted(h, server.lpid, at(units, 1), 0);
      const { cookie } = shared(h, server, at(units, 0), b, 0);
      bySlot.set(cookie % 2 ** 24, cookie);
    }
    const { memory } = kernelOf(table);
    h.budget = 5;
    table.fail(server);
    let met = 0;
    for (let turn = 0; turn < 200; turn++) {
      const cookie = bySlot.get(partitionWord(memory, server.lpid, PARTITION_DEFERRED));
      if (cookie !== undefined && bySlot.delete(cookie % 2 ** 24)) {
        expect(h.returnLogical(b.lpid, cookie)).toBe(H_SUCCESS);
        if (met++ % 2 === 0) for (let more = 0; more < 40; more++) granted(h, b.lpid, at(onward, 0), 0);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(met).toBeGreaterThan(2);
    expect(server.usage().grantsOut).toBe(bySlot.size);
    for (const cookie of bySlot.values()) expect(h.returnLogical(b.lpid, cookie)).toBe(H_SUCCESS);
    await table.recovered(server);
    expect(c.state).toBe("running");
  });

  test("FA6, FA7: many borrowed grants are looked at once, in slices; a return costs no walk", async () => {
    const { table, h, server, clients, units } = openLender({
      grants: 70_000,
      logicalSpace: 65536 * PAGE,
    });
    const client = at(clients, 0);
    const cookies = Array.from({ length: 30_000 }, () => shared(h, server, at(units, 0), client, 0).cookie);
    for (let index = 0; index < 30_000; index++) granted(h, server.lpid, at(units, 1), 0);
    h.budget = 500;
    table.fail(server);
    let turns = 0;
    while (server.usage().grantsOut > cookies.length) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
      // What is returned while the walk is under way.
      if (turns % 3 === 0) expect(h.returnLogical(client.lpid, cookies.pop() ?? 0)).toBe(H_SUCCESS);
      if (turns % 5 === 0) expect(h.returnLogical(client.lpid, cookies.shift() ?? 0)).toBe(H_SUCCESS);
    }
    expect(turns).toBeGreaterThan(50);
    for (const cookie of cookies) {
      if (h.returnLogical(client.lpid, cookie) !== H_SUCCESS) throw new Error("not returned");
    }
    await table.recovered(server);
    expect(client.usage()).toMatchObject({ grantsIn: 0, pagesMapped: 0 });
  });
});
