/** Failure, recovery and restart, rules FA1 to FA4, FA6 and FA8 (1-semantics, section 11; DESIGN.md, 3.8). */
import { describe, expect, test } from "vitest";
import {
  H_CLOSED,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_SUCCESS,
  TYPE_INTERRUPT,
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

describe("FA7: policies", () => {
  test("FA7: rescind is the default; a policy that is not there is refused, by its name", () => {
    const { table } = openTable();
    expect(() => table.createPartition({ name: "x", onFailure: "defer" })).toThrow(
      /onFailure.*"defer".*"rescind"/,
    );
    expect(() => table.createPartition({ name: "x", onFailure: "wait" as "defer" })).toThrow(
      /onFailure.*"wait"/,
    );
    expect([...table.partitions]).toEqual([]);
    expect(table.createPartition({ name: "x", onFailure: "rescind" }).state).toBe("running");
  });
});
