/**
 * Interrupt sources (KI3) and interprocessor-interrupt ports (KI5): who is told, when, how often, and that nobody is after
 * the right to it is gone.
 */
import { describe, expect, test } from "vitest";
import type { Partition, PartitionEvent } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  EVENT_DOORBELL,
  EVENT_INTERRUPT,
  H_CLOSED,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_BUDGET,
  HEADER_EVENTS_MAX,
  TYPE_INTERRUPT,
  TYPE_IPI,
} from "../src/layout.js";
import { REMOTE, Remote, within } from "./support/remote.js";
import {
  accepted,
  at,
  auditedAfterEach,
  expectRefused,
  granted,
  HOSTILE,
  join,
  listen,
  openPair,
  openRow,
  openTable,
  PAGE,
  type Pair,
  rescindInSlices,
  settle,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

/** What a partition can take now, oldest first. */
function taken(partition: Partition): PartitionEvent[] {
  const events: PartitionEvent[] = [];
  for (let event = partition.takeEvent(); event !== undefined; event = partition.takeEvent())
    events.push(event);
  return events;
}

/** The same, of interrupts and doorbells: the number, and who raised or rang. */
function lines(partition: Partition): string[] {
  return taken(partition)
    .filter(({ type }) => type === "interrupt" || type === "doorbell")
    .map(({ type, address, partner }) => `${type} ${address} by ${partner}`);
}

interface Shared extends Pair {
  /** The client's number for the server's source or port 5. */
  readonly number: number;
  readonly cookie: number;
}

function share(type: "interrupt" | "ipi"): Shared {
  const pair = openPair();
  pair.table.assign(pair.server, { type, address: 5, length: 2 });
  const flags = type === "interrupt" ? TYPE_INTERRUPT : TYPE_IPI;
  const cookie = granted(pair.h, pair.server.lpid, pair.unit, 5, 1, flags);
  return { ...pair, cookie, number: accepted(pair.h, pair.client.lpid, cookie) };
}

/** Grants a source or port of the first of a row to the next, and so on: the number that each has, and the cookies. */
function chain(
  { table, h, row, units }: ReturnType<typeof openRow>,
  type = TYPE_INTERRUPT,
): { numbers: number[]; cookies: number[] } {
  const name = type === TYPE_INTERRUPT ? "interrupt" : "ipi";
  table.assign(at(row, 0), { type: name, address: 3, length: 1 });
  const numbers = [3];
  const cookies: number[] = [];
  for (let index = 0; index + 1 < row.length; index++) {
    const cookie = granted(h, at(row, index).lpid, at(units, index), at(numbers, index), 1, type);
    cookies.push(cookie);
    numbers.push(accepted(h, at(row, index + 1).lpid, cookie));
  }
  return { numbers, cookies };
}

describe("KI3: raising", () => {
  test("KI3: a device's interrupt reaches the owner of the source, with its number and no partner", () => {
    const { table, server } = openPair();
    table.assign(server, { type: "interrupt", address: 7, length: 1, physical: 99 });
    table.raise(server, 7);
    const [event, ...more] = taken(server);
    expect(event).toMatchObject({ type: "interrupt", address: 7, partner: 0 });
    expect(event?.at).toBeTypeOf("number");
    expect(more).toEqual([]);
  });

  test("KI3, GR9: owner and sharers all get it, each by its own number; a grant that is not accepted gets nothing", () => {
    const { table, h, server, client, unit, number } = share("interrupt");
    const third = table.createPartition({ name: "third" });
    const adapter = join({ table }, server, third);
    granted(h, server.lpid, adapter.unitAddress, 5, 1, TYPE_INTERRUPT);
    const again = accepted(h, client.lpid, granted(h, server.lpid, unit, 5, 1, TYPE_INTERRUPT));
    table.raise(server, 5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
    // The client has it twice, and is told at each of its numbers.
    expect(lines(client).sort()).toEqual([`interrupt ${number} by 0`, `interrupt ${again} by 0`].sort());
    expect(lines(third)).toEqual([]);
  });

  test("KI3, GR9: raised by any holder of a chain it reaches every other one and itself, and says who raised", () => {
    for (const raiser of [0, 1, 3]) {
      const world = openRow(4);
      const { numbers } = chain(world);
      at(world.row, raiser).raise(at(numbers, raiser));
      const from = at(world.row, raiser).lpid;
      for (const [index, partition] of world.row.entries())
        expect(lines(partition)).toEqual([`interrupt ${at(numbers, index)} by ${from}`]);
    }
  });

  test("KI3: two sources of one partition are told in the order in which they were raised", () => {
    const { table, server } = share("interrupt");
    table.assign(server, { type: "interrupt", address: 0, length: 3 });
    for (const source of [2, 0, 1]) table.raise(server, source);
    table.raise(server, 2);
    expect(lines(server)).toEqual(["interrupt 2 by 0", "interrupt 0 by 0", "interrupt 1 by 0"]);
  });

  test("KI3: raises that are not taken yet are one event, of who raised first; after it a raise is a new one", () => {
    const { table, server, client, number } = share("interrupt");
    client.raise(number);
    table.raise(server, 5);
    server.raise(5);
    expect(lines(server)).toEqual([`interrupt 5 by ${client.lpid}`]);
    expect(lines(client)).toEqual([`interrupt ${number} by ${client.lpid}`]);
    server.raise(5);
    expect(lines(server)).toEqual([`interrupt 5 by ${server.lpid}`]);
  });

  test("KI3: nothing is lost behind a full event ring, and the ring comes first", () => {
    const { table, server, client, adapter } = share("interrupt");
    const ring = kernelOf(table).memory.header(HEADER_EVENTS_MAX);
    const cookie = client.grant({ to: adapter, address: 0, length: PAGE });
    for (let i = 0; i < ring * 2; i++) {
      server.accept(cookie);
      server.return(cookie);
    }
    for (let raise = 0; raise < 3; raise++) table.raise(server, 5);
    client.grant({ to: adapter, address: 0, length: PAGE });
    const seen = taken(client).map(({ type }) => type);
    expect(seen.length).toBe(ring / 2 + 2);
    expect(seen.slice(-2)).toEqual(["events-lost", "interrupt"]);
  });

  test("KI3: unmapped answers H_PARAMETER, rescinded H_RESCINDED, hostile numbers H_PARAMETER, and nothing changes", () => {
    const { table, h, server, client, cookie, number } = share("interrupt");
    const core = kernelOf(table).core;
    expectRefused(table, H_PARAMETER, () => h.raiseInterrupt(server.lpid, 4));
    expectRefused(table, H_PARAMETER, () => h.raiseInterrupt(client.lpid, 5));
    for (const hostile of [...HOSTILE, 1024, 2 ** 32 - 1]) {
      expectRefused(table, H_PARAMETER, () => h.raiseInterrupt(server.lpid, hostile));
      expectRefused(table, H_PARAMETER, () => h.sendIpi(server.lpid, hostile));
      expectRefused(table, H_PARAMETER, () => core.raiseInterrupt(hostile, 5, 0, 0));
      expectRefused(table, H_PARAMETER, () => core.raiseInterrupt(server.lpid, 5, hostile, 0));
      expectRefused(table, H_PARAMETER, () => h.endInterrupt(server.lpid, hostile));
      expectRefused(table, H_PARAMETER, () => h.armInterrupt(server.lpid, hostile, 1));
      expectRefused(table, H_PARAMETER, () => h.armInterrupt(server.lpid, 5, hostile));
      expectRefused(table, H_PARAMETER, () => h.maskInterrupt(server.lpid, hostile, 1));
      expectRefused(table, H_PARAMETER, () => h.maskInterrupt(server.lpid, 5, hostile));
      expectRefused(table, H_PARAMETER, () => h.takeInterrupt(hostile));
      expect(statusOf(() => table.raise(server, hostile))).toBe(H_PARAMETER);
      expect(() => server.waitEvent(hostile === 2 ** 31 ? Number.NaN : -Math.abs(hostile))).toThrow(
        RangeError,
      );
      // Whatever it goes on from, it is either nonsense or the beginning.
      expect([H_SUCCESS, H_PARAMETER]).toContain(h.raiseInterrupt(server.lpid, 5, hostile));
    }
    taken(server);
    taken(client);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    for (const call of [
      () => h.raiseInterrupt(client.lpid, number),
      () => h.endInterrupt(client.lpid, number),
      () => h.armInterrupt(client.lpid, number, 1),
      () => h.maskInterrupt(client.lpid, number, 1),
    ])
      expectRefused(table, H_RESCINDED, call);
    expect(lines(server)).toEqual([]);
  });

  test("G5: where a raise goes on is what the raw call says, whatever those take who listen", async () => {
    const { table, h, server, client, unit } = openPair();
    table.assign(server, { type: "interrupt", address: 0, length: 1 });
    accepted(h, client.lpid, granted(h, server.lpid, unit, 0, 1, TYPE_INTERRUPT));
    const { seen, stop } = listen((signal) => server.events({ signal }));
    await settle();
    h.budget = 1;
    expect(h.raiseInterrupt(server.lpid, 0)).toBe(H_PARTIAL);
    expect(h.raiseInterrupt(server.lpid, 0, h.r4)).toBe(H_SUCCESS);
    expect(client.takeEvent()).toMatchObject({ type: "interrupt", partner: server.lpid });
    await stop();
    expect(seen).toMatchObject([{ type: "interrupt", address: 0 }]);
  });

  test("G5: a source with more sharers than the budget is raised in slices, and each is told once", () => {
    const { table, h } = openTable({ memory: 8 * PAGE });
    const server = table.createPartition({ name: "server" });
    table.assign(server, { type: "interrupt", address: 0, length: 1 });
    const clients = Array.from({ length: 10 }, (_, index) => table.createPartition({ name: `c${index}` }));
    for (const client of clients) {
      const unit = join({ table }, server, client).unitAddress;
      accepted(h, client.lpid, granted(h, server.lpid, unit, 0, 1, TYPE_INTERRUPT));
    }
    kernelOf(table).memory.words[HEADER_BUDGET / 4] = 3;
    let slices = 1;
    let position = 0;
    let status = h.raiseInterrupt(server.lpid, 0);
    for (; status === H_PARTIAL; slices++) {
      expect(h.r4).toBeGreaterThan(0);
      position = h.r4;
      status = h.raiseInterrupt(server.lpid, 0, position);
    }
    expect([status, slices]).toEqual([H_SUCCESS, 4]); // 11 holders by three
    for (const partition of [server, ...clients]) expect(lines(partition).length).toBe(1);
    table.raise(server, 0);
    for (const partition of [server, ...clients]) expect(lines(partition).length).toBe(1);
  });

  test("G5: where the sharer at which a slice stopped is gone, the raise begins again and still reaches all", async () => {
    const { table, h } = openTable({ memory: 8 * PAGE });
    const server = table.createPartition({ name: "server" });
    table.assign(server, { type: "interrupt", address: 0, length: 1 });
    const clients = Array.from({ length: 6 }, (_, index) => table.createPartition({ name: `c${index}` }));
    const cookies = clients.map((client) => {
      const unit = join({ table }, server, client).unitAddress;
      const cookie = granted(h, server.lpid, unit, 0, 1, TYPE_INTERRUPT);
      accepted(h, client.lpid, cookie);
      return cookie;
    });
    kernelOf(table).memory.words[HEADER_BUDGET / 4] = 2;
    expect(h.raiseInterrupt(server.lpid, 0)).toBe(H_PARTIAL);
    const position = h.r4;
    const gone = cookies.indexOf(position as never);
    expect(gone).toBeGreaterThanOrEqual(0);
    expect(rescindInSlices(h, server.lpid, position)).toBeInstanceOf(Array);
    let status = h.raiseInterrupt(server.lpid, 0, position);
    while (status === H_PARTIAL) status = h.raiseInterrupt(server.lpid, 0, h.r4);
    expect(status).toBe(H_SUCCESS);
    for (const [index, client] of clients.entries())
      expect(lines(client).length).toBe(index === gone ? 0 : 1);
    expect(lines(server).length).toBe(1);
  });
});

describe("KI3: after the right to it is gone", () => {
  test("KI3: raised, then rescinded by force, then asked for: no event; the owner keeps its own", () => {
    const { table, h, server, client, cookie } = share("interrupt");
    table.raise(server, 5);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    expect(h.takeInterrupt(client.lpid)).toBe(H_NOT_FOUND);
    expect(lines(client)).toEqual([]);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]); // RS8
  });

  test("KI3: an event stream does not keep what was raised before the rescind", async () => {
    const { table, server, client, cookie } = share("interrupt");
    const events = client.events();
    table.raise(server, 5);
    await settle();
    await server.rescindForced(cookie as never);
    await settle();
    expect((await events.next()).value).toMatchObject({ type: "rescinded", cookie });
    const next = events.next();
    table.fail(client);
    expect((await next).done).toBe(true);
  });

  test("KI3: one that another stream of the partition took is not told to the second one after the rescind", async () => {
    const { table, server, client, cookie, number } = share("interrupt");
    const [first, second, third] = [client.events(), client.events(), client.events()];
    table.raise(server, 5);
    expect((await first.next()).value).toMatchObject({ type: "interrupt", address: number });
    // Every stream gets it while the right stands.
    expect((await second.next()).value).toMatchObject({ type: "interrupt", address: number });
    await server.rescindForced(cookie as never);
    for (const stream of [first, second, third])
      expect((await stream.next()).value).toMatchObject({ type: "rescinded", cookie });
    const rest = [first, second, third].map((stream) => stream.next());
    await settle();
    table.fail(client);
    for (const end of await Promise.all(rest)) expect(end.done).toBe(true);
  });

  test("KI3: streams that wait already all get it, once each", async () => {
    const { table, server, client } = share("interrupt");
    const heard = [1, 2, 3].map(() => listen((signal) => client.events({ signal })));
    for (let raise = 0; raise < 5; raise++) {
      table.raise(server, 5);
      await settle();
    }
    for (const { seen, stop } of heard) {
      await stop();
      expect(seen.map(({ type }) => type)).toEqual(Array.from({ length: 5 }, () => "interrupt"));
    }
  });

  test("KI3: a stream that is mapped anew between the two is not told of the past", async () => {
    const { table, h, server, client, cookie, number } = share("interrupt");
    const [first, second] = [client.events(), client.events()];
    table.raise(server, 5);
    await first.next();
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expect(accepted(h, client.lpid, cookie)).toBe(number);
    const next = second.next();
    await settle();
    client.raise(number);
    expect((await next).value).toMatchObject({ partner: client.lpid });
  });

  test("KI3, RE1: a return ends what was pending; accepted again the source is as new", () => {
    const { table, h, server, client, cookie, number } = share("interrupt");
    client.interrupts.mask(number);
    table.raise(server, 5);
    client.return(cookie as never);
    expect(statusOf(() => client.raise(number))).toBe(H_PARAMETER);
    expect(accepted(h, client.lpid, cookie)).toBe(number);
    client.interrupts.unmask(number);
    expect(lines(client)).toEqual([]);
    table.raise(server, 5);
    expect(lines(client)).toEqual([`interrupt ${number} by 0`]);
  });

  test("KI3: in a queue of several the one that is rescinded goes, the others keep their order", () => {
    const { table, h, server, client, unit } = openPair();
    table.assign(server, { type: "interrupt", address: 0, length: 4 });
    const cookies = [0, 1, 2, 3].map((source) => {
      const cookie = granted(h, server.lpid, unit, source, 1, TYPE_INTERRUPT);
      expect(accepted(h, client.lpid, cookie)).toBe(source);
      return cookie;
    });
    for (const gone of [[0], [1, 2], [3], [0, 3], [0, 1, 2, 3]]) {
      for (const source of [3, 1, 0, 2]) table.raise(server, source);
      for (const source of gone) h.returnLogical(client.lpid, at(cookies, source));
      const left = [3, 1, 0, 2].filter((source) => !gone.includes(source));
      expect(lines(client)).toEqual(left.map((source) => `interrupt ${source} by 0`));
      for (const source of [...gone].sort())
        expect(accepted(h, client.lpid, at(cookies, source))).toBe(source);
      taken(server);
    }
  });

  test("RS5: while a forced rescind runs in slices, what it has named raises nothing and is told nothing new", () => {
    const world = openRow(6);
    const { table, h, row } = world;
    const { numbers, cookies } = chain(world);
    kernelOf(table).memory.words[HEADER_BUDGET / 4] = 1;
    const first = h.rescindLogical(at(row, 0).lpid, 1, at(cookies, 0));
    expect(first).toBe(H_PARTIAL);
    expectRefused(table, H_RESCINDED, () => h.raiseInterrupt(at(row, 3).lpid, at(numbers, 3)));
    expectRefused(table, H_RESCINDED, () => h.armInterrupt(at(row, 4).lpid, at(numbers, 4), 1));
    table.raise(at(row, 0), 3);
    rescindInSlices(h, at(row, 0).lpid, at(cookies, 0));
    for (const partition of row.slice(1)) expect(lines(partition)).toEqual([]);
    expect(lines(at(row, 0))).toEqual(["interrupt 3 by 0"]);
  });

  test("FA1: a failed client is told nothing; the source is the others' still", () => {
    const { table, server, client } = share("interrupt");
    table.raise(server, 5);
    table.fail(client);
    expect(client.takeEvent()).toBeUndefined();
    table.raise(server, 5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
    expect(statusOf(() => table.raise(client, 0))).toBe(H_RESCINDED);
  });

  test("FA2: in the grace period of the owner its sharers raise and hear; after it nobody does", () => {
    const world = openRow(3);
    const { table, row, clock } = world;
    const { numbers } = chain(world);
    table.fail(at(row, 0));
    at(row, 2).raise(at(numbers, 2));
    expect(lines(at(row, 1)).length).toBe(1);
    expect(lines(at(row, 2)).length).toBe(1);
    at(row, 1).raise(at(numbers, 1));
    clock.advance(2000);
    for (const index of [1, 2]) {
      expect(statusOf(() => at(row, index).raise(at(numbers, index)))).toBe(H_RESCINDED);
      expect(lines(at(row, index))).toEqual([]);
    }
  });

  test("FA7: while the owner waits for its borrowers the source is theirs", async () => {
    const { table, h } = openTable();
    const server = table.createPartition({ name: "server", onFailure: "defer" });
    const client = table.createPartition({ name: "client" });
    table.assign(server, { type: "interrupt", address: 5, length: 1 });
    const unit = join({ table }, server, client).unitAddress;
    const cookie = granted(h, server.lpid, unit, 5, 1, TYPE_INTERRUPT);
    const number = accepted(h, client.lpid, cookie);
    table.raise(server, 5);
    table.fail(server);
    expect(lines(client)).toEqual([`interrupt ${number} by 0`]);
    client.raise(number);
    expect(lines(client)).toEqual([`interrupt ${number} by ${client.lpid}`]);
    client.interrupts.arm(number);
    expect(statusOf(() => client.return(cookie))).toBe(H_RESOURCE);
    client.interrupts.disarm(number);
    client.return(cookie);
    await table.recovered(server);
    expect(server.state).toBe("stopped");
  });

  test("FA8, G4: after a restart the source is as new: no event, no mask, not armed", async () => {
    const { table, server } = share("interrupt");
    server.interrupts.arm(5);
    server.interrupts.mask(6);
    table.raise(server, 5);
    table.raise(server, 6);
    table.fail(server);
    const recovered = table.recovered(server);
    table.reclaim(server);
    await recovered;
    expect(table.audit().problems).toEqual([]);
    table.restart(server);
    expect(server.usage().pins).toBe(0);
    expect(lines(server)).toEqual([]);
    table.raise(server, 6);
    table.raise(server, 5);
    table.raise(server, 5);
    expect(lines(server)).toEqual(["interrupt 6 by 0", "interrupt 5 by 0"]);
    expect(statusOf(() => server.interrupts.end(5))).toBe(H_PARAMETER);
  });
});

describe("KI3: masks, ends of service, pins", () => {
  test("KI3: a masked source keeps one raise and tells it at the unmask; others are told meanwhile", () => {
    const { table, server } = share("interrupt");
    server.interrupts.mask(5);
    server.interrupts.mask(5); // again: no difference
    for (let raise = 0; raise < 3; raise++) table.raise(server, 5);
    table.raise(server, 6);
    expect(lines(server)).toEqual(["interrupt 6 by 0"]);
    server.interrupts.unmask(5);
    server.interrupts.unmask(5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
    expect(lines(server)).toEqual([]);
  });

  test("KI3: masked while it waits to be taken it is not told until the unmask", () => {
    const { table, server } = share("interrupt");
    table.raise(server, 5);
    table.raise(server, 6);
    server.interrupts.mask(5);
    expect(lines(server)).toEqual(["interrupt 6 by 0"]);
    server.interrupts.unmask(5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
  });

  test("KI3: a mask is the partition's own; other sharers hear", () => {
    const { table, server, client, number } = share("interrupt");
    client.interrupts.mask(number);
    table.raise(server, 5);
    expect(lines(client)).toEqual([]);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
  });

  test("KI3: without arm() taking the event is its end; there is nothing to end", () => {
    const { table, server } = share("interrupt");
    table.raise(server, 5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
    expect(statusOf(() => server.interrupts.end(5))).toBe(H_PARAMETER);
    table.raise(server, 5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
  });

  test("KI3: armed, what is raised between the event and its end is one event after the end: nothing is lost", () => {
    const { table, server, client, number } = share("interrupt");
    server.interrupts.arm(5);
    table.raise(server, 5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
    client.raise(number);
    table.raise(server, 5);
    expect(lines(server)).toEqual([]);
    server.interrupts.end(5);
    expect(lines(server)).toEqual([`interrupt 5 by ${client.lpid}`]);
    server.interrupts.end(5);
    expect(lines(server)).toEqual([]);
    expect(statusOf(() => server.interrupts.end(5))).toBe(H_PARAMETER);
    server.interrupts.disarm(5);
  });

  test("KI3: re-poll after EOI loses nothing: a device's work is always seen in the end", () => {
    const { table, server } = share("interrupt");
    server.interrupts.arm(5);
    let made = 0;
    let done = 0;
    const make = (): void => {
      made++;
      table.raise(server, 5);
    };
    // The device adds work at each possible moment of the driver: before the look, after it, after the end.
    for (let round = 0; round < 64; round++) {
      make();
      expect(lines(server)).toEqual(["interrupt 5 by 0"]);
      if (round & 1) make();
      done = made;
      if (round & 2) make();
      server.interrupts.end(5);
      if (round & 4) make();
      const again = lines(server);
      if (made > done) expect(again).toEqual(["interrupt 5 by 0"]);
      if (again.length > 0) {
        done = made;
        server.interrupts.end(5);
      }
      expect(done).toBe(made);
    }
    server.interrupts.disarm(5);
  });

  test("KI3: a source that is masked in service waits for both its end and its unmask", () => {
    for (const order of ["end", "unmask"] as const) {
      const { table, server } = share("interrupt");
      server.interrupts.arm(5);
      table.raise(server, 5);
      taken(server);
      server.interrupts.mask(5);
      table.raise(server, 5);
      if (order === "end") server.interrupts.end(5);
      else server.interrupts.unmask(5);
      expect(lines(server)).toEqual([]);
      if (order === "end") server.interrupts.unmask(5);
      else server.interrupts.end(5);
      expect(lines(server)).toEqual(["interrupt 5 by 0"]);
    }
  });

  test("KI3: disarmed in service, what was raised meanwhile is told", () => {
    const { table, server } = share("interrupt");
    server.interrupts.arm(5);
    table.raise(server, 5);
    taken(server);
    table.raise(server, 5);
    server.interrupts.disarm(5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
    table.raise(server, 5);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
  });

  test("RE2: an armed source is a pin: it is counted, and its mapping cannot be returned until it is disarmed", () => {
    const { table, h, server, client, cookie, number } = share("interrupt");
    expect(client.usage().pins).toBe(0);
    client.interrupts.arm(number);
    expect(client.usage().pins).toBe(1);
    expectRefused(table, H_RESOURCE, () => h.returnLogical(client.lpid, cookie));
    expectRefused(table, H_RESOURCE, () => h.armInterrupt(client.lpid, number, 1));
    expect(table.audit().problems).toEqual([]);
    client.interrupts.disarm(number);
    expect(client.usage().pins).toBe(0);
    expectRefused(table, H_RESOURCE, () => h.armInterrupt(client.lpid, number, 0));
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    server.interrupts.arm(5);
    expect(server.usage().pins).toBe(1);
  });

  test("RS6: an armed source does not stop a forced rescind, which ends the pin", async () => {
    const { table, server, client, cookie, number } = share("interrupt");
    client.interrupts.arm(number);
    table.raise(server, 5);
    taken(client);
    table.raise(server, 5);
    expect(await server.rescindForced(cookie as never)).toMatchObject({ nodes: 1, pagesMoved: 0 });
    expect(client.usage()).toMatchObject({ pins: 0, rescinded: 1 });
    expect(statusOf(() => client.interrupts.end(number))).toBe(H_RESCINDED);
    expect(statusOf(() => client.interrupts.disarm(number))).toBe(H_RESCINDED);
    expect(lines(client)).toEqual([]);
    client.return(cookie as never);
    expect(client.usage().rescinded).toBe(0);
  });

  test("FA1: a client that fails with an armed source leaves no pin", () => {
    const { table, client, server, number } = share("interrupt");
    client.interrupts.arm(number);
    table.fail(client);
    expect(server.usage().grantsOut).toBe(0);
    expect(client.usage().pins).toBe(0);
  });
});

describe("KI5: doorbells", () => {
  test("KI5: ringing tells the owner of the port, by its own number, and nobody else", () => {
    const world = openRow(4);
    const { numbers } = chain(world, TYPE_IPI);
    at(world.row, 3).ring(at(numbers, 3));
    expect(lines(at(world.row, 0))).toEqual([`doorbell 3 by ${at(world.row, 3).lpid}`]);
    at(world.row, 0).ring(3);
    expect(lines(at(world.row, 0))).toEqual([`doorbell 3 by ${at(world.row, 0).lpid}`]);
    for (const partition of world.row.slice(1)) expect(lines(partition)).toEqual([]);
  });

  test("KI5: rings that are not taken yet are one event, of who rang first", () => {
    const { server, client, number } = share("ipi");
    client.ring(number);
    server.ring(5);
    client.ring(number);
    server.ring(6);
    expect(lines(server)).toEqual([`doorbell 5 by ${client.lpid}`, `doorbell 6 by ${server.lpid}`]);
    expect(lines(server)).toEqual([]);
  });

  test("KI5: the right is checked at each ring: unmapped H_PARAMETER, returned H_PARAMETER, rescinded H_RESCINDED", () => {
    const { table, h, server, client, cookie, number } = share("ipi");
    expect(h.sendIpi(client.lpid, number)).toBe(H_SUCCESS);
    expectRefused(table, H_PARAMETER, () => h.sendIpi(client.lpid, number + 1));
    expectRefused(table, H_PARAMETER, () => h.sendIpi(client.lpid, 5));
    client.return(cookie as never);
    expectRefused(table, H_PARAMETER, () => h.sendIpi(client.lpid, number));
    accepted(h, client.lpid, cookie);
    taken(server);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_RESCINDED, () => h.sendIpi(client.lpid, number));
    expect(lines(server)).toEqual([]);
    // An interrupt at that number is another space.
    expectRefused(table, H_PARAMETER, () => h.raiseInterrupt(server.lpid, 5));
  });

  test("KI5: what was rung while the right stood is told, also after the rescind", () => {
    const { h, server, client, cookie, number } = share("ipi");
    client.ring(number);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    expect(lines(server)).toEqual([`doorbell 5 by ${client.lpid}`]);
  });

  test("KI5, FA2: a bell whose owner does not run answers H_CLOSED in its grace, H_RESCINDED after; a restart hears nothing old", async () => {
    const { table, h, server, client, clock, number } = share("ipi");
    client.ring(number);
    table.fail(server);
    expectRefused(table, H_CLOSED, () => h.sendIpi(client.lpid, number));
    expect(statusOf(() => client.ring(number))).toBe(H_CLOSED);
    const recovered = table.recovered(server);
    clock.advance(2000);
    await recovered;
    expectRefused(table, H_RESCINDED, () => h.sendIpi(client.lpid, number));
    table.restart(server);
    expect(lines(server)).toEqual([]);
    server.ring(5);
    expect(lines(server)).toEqual([`doorbell 5 by ${server.lpid}`]);
  });

  test("KI5: a caller that failed rings nothing", () => {
    const { table, h, client, server, number } = share("ipi");
    table.fail(client);
    expect(h.sendIpi(client.lpid, number)).toBe(H_RESCINDED);
    expect(lines(server)).toEqual([]);
  });

  test("KI5: a deeper chain than a guess follows is rung all the same", () => {
    const world = openTable({ memory: 8 * PAGE });
    const { table, h } = world;
    const [a, b] = ["a", "b"].map((name) => table.createPartition({ name })) as [Partition, Partition];
    const there = join(world, a, b);
    table.assign(a, { type: "ipi", address: 3, length: 1 });
    let [from, to, unit, address] = [a, b, there.unitAddress, 3];
    for (let depth = 0; depth < 70; depth++) {
      const cookie = granted(h, from.lpid, unit, address, 1, TYPE_IPI);
      address = accepted(h, to.lpid, cookie);
      [from, to] = [to, from];
      unit = from === a ? there.unitAddress : there.peer.unitAddress;
    }
    from.ring(address);
    expect(lines(a)).toEqual([`doorbell 3 by ${from.lpid}`]);
  });

  test("KI3, KI5: the raw calls say what was taken, and of whom", () => {
    const { table, h, server, client, number } = share("ipi");
    table.assign(server, { type: "interrupt", address: 9, length: 1 });
    expect(h.sendIpi(client.lpid, number)).toBe(H_SUCCESS);
    expect(h.raiseInterrupt(server.lpid, 9)).toBe(H_SUCCESS);
    expect(h.takeInterrupt(server.lpid)).toBe(H_SUCCESS);
    expect([h.r4, h.takenType, h.takenFrom]).toEqual([5, TYPE_IPI, client.lpid]);
    expect(h.takeInterrupt(server.lpid)).toBe(H_SUCCESS);
    expect([h.r4, h.takenType, h.takenFrom]).toEqual([9, TYPE_INTERRUPT, server.lpid]);
    expect(h.takeInterrupt(server.lpid)).toBe(H_NOT_FOUND);
  });

  test("KI3, KI5: a guest takes interrupts and doorbells as its other events", () => {
    const { table, server, client, number } = share("ipi");
    const memory = new WebAssembly.Memory({ initial: 1 });
    const event = server.imports({ memory }).lpar_1?.event as (pointer: number) => number;
    table.assign(server, { type: "interrupt", address: 9, length: 1 });
    client.ring(number);
    table.raise(server, 9);
    const words = new Uint32Array(memory.buffer);
    const values = new Float64Array(memory.buffer);
    expect([event(16), words[4], words[5], values[3]]).toEqual([H_SUCCESS, EVENT_DOORBELL, client.lpid, 5]);
    expect([event(16), words[4], words[5], values[3]]).toEqual([H_SUCCESS, EVENT_INTERRUPT, 0, 9]);
    expect(event(16)).toBe(H_NOT_FOUND);
  });

  test("KI5: waitEvent() gives what is there, and comes back when the time is over or the partition does not run", () => {
    const { table, server } = share("ipi");
    server.ring(5);
    expect(server.waitEvent(1000)).toMatchObject({ type: "doorbell", address: 5 });
    const start = performance.now();
    expect(server.waitEvent(30)).toBeUndefined();
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    expect(server.waitEvent(0)).toBeUndefined();
    table.fail(server);
    expect(server.waitEvent(Number.POSITIVE_INFINITY)).toBeUndefined();
  });
});

describe("KI3, KI5: threads", () => {
  const RINGS = 100_000;

  test(`KI5: ${RINGS} rings from one worker to another and back: none is lost`, {
    timeout: 120_000,
  }, async () => {
    const { table, server, client } = openPair();
    table.assign(server, { type: "ipi", address: 1, length: 1 });
    table.assign(client, { type: "ipi", address: 2, length: 1 });
    const there = client.accept(server.grant({ to: client, type: "ipi", address: 1, length: 1 }));
    const back = server.accept(client.grant({ to: server, type: "ipi", address: 2, length: 1 }));
    const [a, b] = (await Promise.all([table.spawn(server, REMOTE), table.spawn(client, REMOTE)])).map(
      ({ worker }) => new Remote(worker),
    ) as [Remote, Remote];
    // Each waits for the other's ring before it rings: one that is lost stops both, and their waits end by time.
    const play = (
      { partition }: { partition: Partition },
      { port, rings, begins }: { port: number; rings: number; begins: boolean },
    ): number => {
      let heard = 0;
      let rung = 0;
      if (begins) {
        partition.ring(port);
        rung++;
      }
      while (heard < rings) {
        const event = partition.waitEvent(5000);
        if (event === undefined) return heard;
        if (event.type !== "doorbell") continue;
        heard++;
        if (rung < rings) {
          partition.ring(port);
          rung++;
        }
      }
      return heard;
    };
    const start = performance.now();
    const heard = await Promise.all([
      a.run(play, { port: back.address, rings: RINGS, begins: true }),
      b.run(play, { port: there.address, rings: RINGS, begins: false }),
    ]);
    const us = ((performance.now() - start) * 1000) / RINGS;
    console.info(`doorbells: ${RINGS} round trips, ${us.toFixed(1)} us each`);
    expect(heard).toEqual([RINGS, RINGS]);
  });

  test("KI5: rings as fast as they come: after the last of them the owner is always told once more", {
    timeout: 60_000,
  }, async () => {
    const { table, server, client } = openPair();
    table.assign(server, { type: "ipi", address: 1, length: 1 });
    const port = client.accept(server.grant({ to: client, type: "ipi", address: 1, length: 1 })).address;
    const page = client.accept(server.grant({ to: client, address: 0, length: PAGE })).address;
    const { worker } = await table.spawn(server, REMOTE);
    const { worker: second } = await table.spawn(client, REMOTE);
    // The ringer counts in shared memory before each ring: whoever is told finds everything that was counted by then.
    const listening = new Remote(worker).run(({ partition }, last: number) => {
      let events = 0;
      // Also when all have been rung before it begins to listen: the event of the last of them waits.
      do {
        if (partition.waitEvent(5000) === undefined) return -1;
        events++;
      } while (partition.load32(0) !== last);
      return events;
    }, 20_000);
    await new Remote(second).run(
      ({ partition }, { port: at, page: word }: { port: number; page: number }) => {
        for (let ring = 0; ring < 20_000; ring++) {
          partition.add32(word, 1);
          partition.ring(at);
        }
      },
      { port, page },
    );
    const events = await within(listening, "the listener", 20_000);
    expect(events).toBeGreaterThan(0);
    expect(events).toBeLessThanOrEqual(20_000);
  });

  test("KI3: a worker that sleeps in waitEvent() is woken by a device's interrupt, by its failure, and sees no event of a rescinded source", {
    timeout: 30_000,
  }, async () => {
    const { table, server, client, cookie, number } = share("interrupt");
    const remote = new Remote((await table.spawn(client, REMOTE)).worker);
    const waiting = remote.run(({ partition }) => partition.waitEvent(10_000)?.address ?? -1);
    await settle();
    table.raise(server, 5);
    expect(await within(waiting, "the interrupt")).toBe(number);
    table.raise(server, 5);
    await server.rescindForced(cookie as never);
    const types = await remote.run(({ partition }) => {
      const seen: string[] = [];
      for (let event = partition.waitEvent(50); event !== undefined; event = partition.waitEvent(50))
        seen.push(event.type);
      return seen;
    });
    expect(types).toEqual(["rescinded"]);
    await table.destroyPartition(client);
  });

  test("KI3: a stream in a worker hears what the owner's thread raises", { timeout: 30_000 }, async () => {
    const { table, server, client, number } = share("interrupt");
    const remote = new Remote((await table.spawn(client, REMOTE)).worker);
    const heard = remote.run(async ({ partition }) => {
      const seen: number[] = [];
      for await (const { type, address } of partition.events()) {
        if (type === "interrupt") seen.push(address ?? -1);
        if (seen.length < 3) partition.raise(address ?? -1);
        else return seen;
      }
      return seen;
    });
    await settle();
    table.raise(server, 5);
    expect(await within(heard, "three interrupts")).toEqual([number, number, number]);
    expect(lines(server)).toEqual(["interrupt 5 by 0"]);
  });

  test("FA5: a worker that ends while its source is armed and an event waits leaves nothing", {
    timeout: 30_000,
  }, async () => {
    const { table, server, client, number } = share("interrupt");
    const spawned = await table.spawn(client, REMOTE);
    const remote = new Remote(spawned.worker);
    await remote.run(({ partition }, source: number) => partition.interrupts.arm(source), number);
    table.raise(server, 5);
    await spawned.terminate();
    await table.recovered(client);
    expect(client.usage().pins).toBe(0);
    expect(server.usage().grantsOut).toBe(0);
  });
});
