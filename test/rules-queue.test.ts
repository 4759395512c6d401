/** Virtual adapters and the CRQ, rules CQ1 to CQ7 (1-semantics, section 10; DESIGN.md, 3.7). */
import { describe, expect, test } from "vitest";
import { type CrqEntry, HcallError, type Partition, type VirtualAdapter } from "../src/index.js";
import {
  H_CLOSED,
  H_DROPPED,
  H_NO_MEM,
  H_PARAMETER,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  QUEUE_ENTRIES_PER_PAGE,
} from "../src/layout.js";
import {
  accepted,
  auditedAfterEach,
  expectRefused,
  granted,
  HOSTILE,
  join,
  listen,
  openPair,
  openTable,
  PAGE,
  type Pair,
  type PairOptions,
  SHARE,
  settle,
  shared,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

const RING: number = QUEUE_ENTRIES_PER_PAGE;

/** Both ends registered: the server's ring at its page 1, the client's at its page 1. */
function openQueues(options: PairOptions = {}, pages = 1): Pair {
  const pair = openPair({ clientPages: 8, ...options });
  const { h, server, client, unit, back } = pair;
  expect(h.regCrq(server.lpid, unit, PAGE, pages * PAGE)).toBe(H_CLOSED);
  expect(h.regCrq(client.lpid, back, PAGE, pages * PAGE)).toBe(H_SUCCESS);
  return pair;
}

function message(value: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[0] = 0x80;
  bytes[1] = value & 0xff;
  new DataView(bytes.buffer).setUint32(8, value, true);
  return bytes;
}

/** Collects what comes, and says whether the stream has ended by itself. */
function untilEnd(stream: AsyncIterable<CrqEntry>): {
  readonly seen: CrqEntry[];
  readonly hasEnded: boolean;
} {
  const heard = { seen: [] as CrqEntry[], hasEnded: false };
  void (async () => {
    for await (const entry of stream) heard.seen.push(entry);
    heard.hasEnded = true;
  })();
  return heard;
}

function numberOf(entry: CrqEntry | undefined): number | undefined {
  if (entry === undefined) return undefined;
  const { payload } = entry;
  // The payload is what follows header and format; the value lies at byte 8 of the entry.
  return new DataView(payload.buffer, payload.byteOffset).getUint32(payload.length === 14 ? 6 : 8, true);
}

function drain(partition: Partition, adapter: VirtualAdapter): CrqEntry[] {
  const entries: CrqEntry[] = [];
  while (true) {
    const entry = partition.receive(adapter);
    if (entry === undefined) return entries;
    entries.push(entry);
  }
}

describe("CQ1: adapters", () => {
  test("CQ1: only connected partitions can grant to each other, each over its own end", () => {
    const world = openTable();
    const { table, h } = world;
    const [a, b, c] = ["a", "b", "c"].map((name) => table.createPartition({ name, memory: 2 * PAGE }));
    if (a === undefined || b === undefined || c === undefined) throw new Error("not made");
    expect(() => a.grant({ to: b, address: 0, length: PAGE })).toThrow(HcallError);
    const adapter = join(world, a, b);
    expect(adapter.partner).toBe(b);
    expect(adapter.peer.partner).toBe(a);
    expect(adapter.peer.unitAddress).not.toBe(adapter.unitAddress);
    granted(h, a.lpid, adapter.unitAddress, 0);
    granted(h, b.lpid, adapter.peer.unitAddress, 0);
    expectRefused(table, H_PARAMETER, () => h.grantLogical(c.lpid, SHARE, 0, 0, PAGE, adapter.unitAddress));
    expect(() => a.grant({ to: c, address: 0, length: PAGE })).toThrow(HcallError);
  });

  test("CQ1: several adapters may join the same two partitions, each with its own ends, quota and queue", () => {
    const pair = openQueues({ quota: 1 });
    const { table, h, server, client, unit } = pair;
    const second = join(pair, server, client, 1);
    expect(new Set([unit, pair.back, second.unitAddress, second.peer.unitAddress]).size).toBe(4);
    granted(h, server.lpid, unit, 0);
    granted(h, server.lpid, second.unitAddress, 0);
    expectRefused(table, H_CLOSED, () => h.sendCrq(server.lpid, second.unitAddress, 0x80, 0, 0, 0));
    expect(h.sendCrq(server.lpid, unit, 0x80, 0, 0, 0)).toBe(H_SUCCESS);
  });

  test("CQ1: a quota out of range is refused with its bounds", () => {
    const { table, server, client } = openPair();
    for (const grants of [-1, 0.5, Number.NaN, 2 ** 32, Number.POSITIVE_INFINITY]) {
      expect(() => table.connect(server, client, { grants })).toThrow(RangeError);
    }
  });

  test("CQ1: an adapter serves both sides: on the other side its other end is used", () => {
    const { server, client, adapter } = openQueues();
    server.send(adapter, message(1));
    client.send(adapter, message(2));
    client.send(adapter.peer, message(3));
    expect(drain(client, adapter).map(numberOf)).toEqual([1]);
    expect(drain(server, adapter).map(numberOf)).toEqual([2, 3]);
  });
});

describe("CQ2: the ring", () => {
  test("CQ2: the ring is whole pages of the caller's own memory", () => {
    const { table, h, server, client, unit, back } = openPair({ clientPages: 4, lmbPages: 8 });
    const { address } = shared(h, server, unit, client, 0, 2 * PAGE);
    const register = (where: number, length: number): number => h.regCrq(client.lpid, back, where, length);
    for (const [where, length] of [
      [0, 0],
      [1, PAGE],
      [PAGE, PAGE - 1],
      [PAGE, PAGE + 1],
      [0, 16],
      [0, 5 * PAGE],
      [3 * PAGE, 2 * PAGE], // the second page is not its own
      [address, PAGE], // accepted, not owned
      [address + 2 * PAGE, PAGE], // unmapped
      [2 ** 32, PAGE],
      [2 ** 44, PAGE],
    ] as const) {
      expectRefused(table, H_PARAMETER, () => register(where, length));
    }
    for (const hostile of HOSTILE) {
      expectRefused(table, H_PARAMETER, () => register(hostile, PAGE));
      expectRefused(table, H_PARAMETER, () => register(0, hostile));
      expectRefused(table, H_PARAMETER, () => h.regCrq(client.lpid, hostile, 0, PAGE));
      expectRefused(table, H_PARAMETER, () => h.regCrq(hostile, back, 0, PAGE));
    }
    expectRefused(table, H_PARAMETER, () => h.regCrq(client.lpid, unit, 0, PAGE)); // the other's end
    expect(register(2 * PAGE, 2 * PAGE)).toBe(H_CLOSED);
    expectRefused(table, H_RESOURCE, () => register(0, PAGE)); // registered already
    expect(h.freeCrq(client.lpid, back)).toBe(H_SUCCESS);
    expect(register(0, PAGE)).toBe(H_CLOSED);
  });

  test("CQ2: an entry lies in the ring as sixteen bytes, in order, and its header is 0 again when taken", () => {
    const { h, server, client, unit, adapter } = openQueues();
    expect(h.sendCrq(server.lpid, unit, 0x04030280, 0x08070605, 0x0c0b0a09, 0x100f0e0d)).toBe(H_SUCCESS);
    expect(h.sendCrq(server.lpid, unit, 0x000001c0, 1, 2, 3)).toBe(H_SUCCESS);
    expect([...client.read(PAGE, 16)]).toEqual([0x80, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    expect([...client.read(PAGE + 16, 8)]).toEqual([0xc0, 1, 0, 0, 1, 0, 0, 0]);
    expect(client.read(PAGE + 32, 1)[0]).toBe(0);
    expect(client.receive(adapter)).toMatchObject({ header: 0x80, format: 2 });
    expect(client.read(PAGE, 1)[0]).toBe(0);
    expect(client.receive(adapter)).toMatchObject({ header: 0xc0, format: 1 });
    expect(client.receive(adapter)).toBeUndefined();
    expect(server.receive(adapter)).toBeUndefined();
  });

  test("CQ2: the ring goes round, with one page and with three", () => {
    for (const pages of [1, 3]) {
      const { server, client, adapter } = openQueues({}, pages);
      const capacity = pages * RING;
      let sent = 0;
      let taken = 0;
      for (let round = 0; round < 5; round++) {
        const burst = Math.floor((capacity * 2) / 3);
        for (let index = 0; index < burst; index++) server.send(adapter, message(sent++));
        for (let index = 0; index < burst; index++) expect(numberOf(client.receive(adapter))).toBe(taken++);
        expect(client.receive(adapter)).toBeUndefined();
      }
    }
  });

  test("CQ2: registering finds an empty ring whatever lay in the pages", () => {
    const { h, server, client, back, adapter } = openPair();
    client.fill(0, PAGE, 0xff);
    expect(h.regCrq(client.lpid, back, 0, PAGE)).toBe(H_CLOSED);
    expect(client.receive(adapter)).toBeUndefined();
    for (let index = 0; index < RING; index++) server.send(adapter, message(index));
    expect(drain(client, adapter).map(numberOf)).toEqual(Array.from({ length: RING }, (_, index) => index));
  });
});

describe("CQ2: whose pages hold a ring", () => {
  test("CQ2: messages() takes no page that the partition uses from address 0 on, or has granted", () => {
    const { server, client, adapter } = openPair({ serverPages: 4 });
    server.write(0, Uint8Array.of(1, 2, 3, 4));
    server.write(3 * PAGE, Uint8Array.of(5));
    const mapping = client.accept(server.grant({ to: client, address: 0, length: PAGE }));
    client.accept(server.grant({ to: client, address: 3 * PAGE, length: PAGE, write: false }));
    const messages = server.messages(adapter);
    client.write(mapping.address, Uint8Array.of(0xff, 1));
    expect([...server.read(0, 4)]).toEqual([0xff, 1, 3, 4]);
    expect([...server.read(3 * PAGE, 1)]).toEqual([5]);
    expect(server.receive(adapter)).toBeUndefined();
    // It is the highest that is left.
    expect(statusOf(() => server.free(2 * PAGE))).toBe(H_SUCCESS);
    void messages.return?.();
  });

  test("CQ2: nor one under a view, lent, or in a queue; H_NO_MEM if there is no other, and nothing changes", () => {
    const world = openPair({ serverPages: 6, lmbPages: 2 });
    const { table, server, client, adapter } = world;
    const other = join(world, server, client);
    using view = server.view(5 * PAGE, 4);
    server.grant({ to: client, address: 4 * PAGE, length: PAGE, mode: "lend" });
    server.registerQueue(other, 3 * PAGE, PAGE);
    server.grant({ to: client, address: 0, length: 2 * PAGE, copyOnWrite: true });
    expect(view.bytes.length).toBe(4);
    server.messages(adapter);
    expectRefused(table, H_RESOURCE, () => statusOf(() => server.registerQueue(other.peer, 2 * PAGE, PAGE)));
    const third = join(world, server, client);
    expectRefused(table, H_NO_MEM, () => statusOf(() => server.messages(third)));
    expect(statusOf(() => server.free(2 * PAGE))).toBe(H_SUCCESS);
  });

  test("CQ2: a large resource is searched from its end, past grants of any size", () => {
    const { table, h, server, client, adapter } = openPair({ serverPages: 300, memory: 400 * PAGE });
    for (const [page, count] of [
      [295, 5],
      [293, 1],
      [190, 103],
      [128, 64],
      [0, 120],
    ] as const)
      granted(h, server.lpid, adapter.unitAddress, page * PAGE, count * PAGE);
    server.messages(adapter);
    expect(statusOf(() => server.free(294 * PAGE))).toBe(H_SUCCESS);
    server.freeQueue(adapter);
    granted(h, server.lpid, adapter.unitAddress, 294 * PAGE, PAGE);
    server.messages(adapter);
    expect(statusOf(() => server.free(127 * PAGE))).toBe(H_SUCCESS);
    server.freeQueue(adapter);
    granted(h, server.lpid, adapter.unitAddress, 0, 300 * PAGE);
    expectRefused(table, H_NO_MEM, () => statusOf(() => server.messages(adapter)));
    expect(client.state).toBe("running");
  });

  test("CQ3: a page that others may write to holds no ring, so that events cannot be forged", () => {
    const { table, h, server, client, unit } = openPair({ serverPages: 4 });
    const register = (page: number, count = 1): number =>
      h.regCrq(server.lpid, unit, page * PAGE, count * PAGE);
    const writable = server.grant({ to: client, address: PAGE, length: PAGE });
    server.grant({ to: client, address: 2 * PAGE, length: PAGE, write: false });
    server.grant({ to: client, address: 3 * PAGE, length: PAGE, copyOnWrite: true });
    expectRefused(table, H_RESOURCE, () => register(1));
    expectRefused(table, H_RESOURCE, () => register(0, 4));
    expect(register(2, 2)).toBe(H_CLOSED);
    h.freeCrq(server.lpid, unit);
    server.rescind(writable);
    expect(register(0, 4)).toBe(H_CLOSED);
  });

  test("CQ3, G1: nobody copies to a partner's ring, so that events cannot be forged, and no page is made ready for it", async () => {
    const { table, h, server, client, adapter, unit } = openPair({ serverPages: 4 });
    const third = table.createPartition({ name: "third", memory: PAGE });
    table.connect(server, third);
    expect(h.regCrq(server.lpid, unit, 2 * PAGE, PAGE)).toBe(H_CLOSED);
    client.send(adapter.peer, message(1));
    third.write(0, Uint8Array.of(0xff, 1));
    // The pages beside the ring are one now, which is copied before it is written.
    expect((await table.deduplicate()).merged).toBeGreaterThan(1);
    for (const [to, length] of [
      [2 * PAGE, 16],
      [PAGE, PAGE + 1],
      [3 * PAGE - 1, 2],
      [0, 4 * PAGE],
    ] as const) {
      if (length <= PAGE)
        expectRefused(table, H_RESOURCE, () => statusOf(() => third.copy(0, server, to, length)));
      expectRefused(table, H_RESOURCE, () => statusOf(() => client.copy(0, server, to, length)));
    }
    expect(() => third.copy(0, server, 2 * PAGE, 16)).toThrow(
      `H_COPY_RDMA: H_RESOURCE (from 0, to ${2 * PAGE}, length 16: pages of them are lent, or hold a queue)`,
    );
    third.copy(0, server, PAGE, PAGE);
    third.copy(0, server, 3 * PAGE, PAGE);
    expect(server.receive(adapter)?.header).toBe(0x80);
    server.copy(0, server, 2 * PAGE, 16); // its own affair
    h.freeCrq(server.lpid, unit);
    third.copy(0, server, 2 * PAGE, PAGE);
    expect(server.read(2 * PAGE, 2)).toEqual(Uint8Array.of(0xff, 1));
  });

  test("CQ1, CQ5: a queue that is not freed keeps the end of an adapter that is over, and what came; freed it gives it back", async () => {
    const world = openTable({ adapters: 3 });
    const { table, h } = world;
    const server = table.createPartition({ name: "server", memory: 8 * PAGE });
    const client = table.createPartition({ name: "client", memory: PAGE });
    const over: VirtualAdapter[] = [];
    for (let page = 0; page < 4; page++) {
      const adapter = table.connect(server, client);
      expect(h.regCrq(server.lpid, adapter.unitAddress, page * PAGE, PAGE)).toBe(H_CLOSED);
      over.push(adapter);
      table.fail(client);
      await table.recovered(client);
      table.restart(client);
    }
    const more = table.connect(server, client);
    expect(() => table.connect(server, client)).toThrow("H_NO_MEM"); // of six ends four are kept
    for (const adapter of over) {
      expect(server.receive(adapter)).toMatchObject({ header: 0xff, format: 1 });
      server.freeQueue(adapter);
    }
    for (let count = 0; count < 2; count++) table.connect(server, client);
    expect(() => table.connect(server, client)).toThrow("H_NO_MEM");
    expect(more.unitAddress).toBeGreaterThan(0);
  });

  test("CQ2: two queues do not share a page", () => {
    const world = openPair({ serverPages: 4 });
    const { table, h, server, client, unit } = world;
    const second = join(world, server, client).unitAddress;
    expect(h.regCrq(server.lpid, unit, PAGE, 2 * PAGE)).toBe(H_CLOSED);
    expectRefused(table, H_RESOURCE, () => h.regCrq(server.lpid, second, 2 * PAGE, 2 * PAGE));
    expectRefused(table, H_RESOURCE, () => h.regCrq(server.lpid, second, 0, 4 * PAGE));
    expect(h.regCrq(server.lpid, second, 3 * PAGE, PAGE)).toBe(H_CLOSED);
  });
});

describe("CQ3: sending", () => {
  test("CQ3: to a partner that has not registered, or has freed its queue: H_CLOSED", () => {
    const { table, h, server, client, unit, back, adapter } = openPair({ clientPages: 8 });
    const send = (): number => h.sendCrq(server.lpid, unit, 0x80, 0, 0, 0);
    expectRefused(table, H_CLOSED, send);
    expect(() => server.send(adapter, message(1))).toThrow(/H_CLOSED/);
    expect(h.regCrq(client.lpid, back, PAGE, PAGE)).toBe(H_CLOSED);
    expect(send()).toBe(H_SUCCESS);
    expect(h.freeCrq(client.lpid, back)).toBe(H_SUCCESS);
    expectRefused(table, H_CLOSED, send);
  });

  test("CQ3: a full ring drops, overwrites nothing, and takes again after one receive", () => {
    const { table, h, server, client, unit, adapter } = openQueues();
    for (let index = 0; index < RING; index++) server.send(adapter, message(index));
    const ring = client.read(PAGE, PAGE);
    const send = (): number => h.sendCrq(server.lpid, unit, 0x80, 0, 0xffff, 0);
    expectRefused(table, H_DROPPED, send);
    expect(client.read(PAGE, PAGE)).toEqual(ring);
    expect(statusOf(() => server.send(adapter, message(0)))).toBe(H_DROPPED);
    expect(numberOf(client.receive(adapter))).toBe(0);
    expect(send()).toBe(H_SUCCESS);
    expectRefused(table, H_DROPPED, send);
    const expected = [...Array.from({ length: RING - 1 }, (_, index) => index + 1), 0xffff];
    expect(drain(client, adapter).map(numberOf)).toEqual(expected);
  });

  test("CQ3: events cannot be forged: header 0xFF or a clear high bit is H_PARAMETER, all others pass", () => {
    const { table, h, server, client, unit, adapter } = openQueues();
    for (let header = 0; header < 256; header++) {
      const call = (): number => h.sendCrq(server.lpid, unit, 0xaabbcc00 + header, 1, 2, 3);
      if (header < 0x80 || header === 0xff) expectRefused(table, H_PARAMETER, call);
      else expect(call()).toBe(H_SUCCESS);
    }
    expect(drain(client, adapter).map((entry) => entry.header)).toEqual(
      Array.from({ length: 127 }, (_, index) => 0x80 + index),
    );
  });

  test("CQ3: a forged event is refused before it is known whether the partner listens", () => {
    const { table, h, server, unit } = openPair();
    expectRefused(table, H_PARAMETER, () => h.sendCrq(server.lpid, unit, 0xff, 0, 0, 0));
    expectRefused(table, H_PARAMETER, () => h.sendCrq(server.lpid, unit, 0x7f, 0, 0, 0));
  });

  test("CQ3: hostile words, units and partitions are H_PARAMETER", () => {
    const { table, h, server, unit } = openQueues();
    const fitsWord = (value: number): boolean => value >>> 0 === value || (value | 0) === value;
    for (const hostile of HOSTILE) {
      for (let place = 0; place < 4; place++) {
        const words = [0x80, 0, 0, 0];
        if (fitsWord(hostile)) continue;
        words[place] = hostile;
        const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words;
        expectRefused(table, H_PARAMETER, () => h.sendCrq(server.lpid, unit, w0, w1, w2, w3));
      }
      expectRefused(table, H_PARAMETER, () => h.sendCrq(server.lpid, hostile, 0x80, 0, 0, 0));
      expectRefused(table, H_PARAMETER, () => h.sendCrq(hostile, unit, 0x80, 0, 0, 0));
    }
    expect(h.sendCrq(server.lpid, unit, 0x80, 2 ** 31, 2 ** 32 - 1, 0)).toBe(H_SUCCESS);
  });

  test("CQ3: an entry of the object API is sixteen bytes", () => {
    const { server, adapter } = openQueues();
    for (const length of [0, 15, 17, 32]) {
      const entry = new Uint8Array(length);
      entry[0] = 0x80;
      expect(() => server.send(adapter, entry)).toThrow();
    }
  });

  test("CQ3: order is kept over many sends and receives in bursts of every size", () => {
    const { server, client, adapter } = openQueues();
    let sent = 0;
    let taken = 0;
    for (let burst = 1; burst < 60; burst++) {
      while (sent - taken < burst) server.send(adapter, message(sent++));
      const half = Math.ceil((sent - taken) / 2);
      for (let index = 0; index < half; index++) expect(numberOf(client.receive(adapter))).toBe(taken++);
    }
    while (taken < sent) expect(numberOf(client.receive(adapter))).toBe(taken++);
  });
});

describe("CQ4: registering first", () => {
  test("CQ4: registered before the partner answers H_CLOSED and is registered", () => {
    const { server, client, adapter } = openPair({ clientPages: 8 });
    expect(server.registerQueue(adapter, PAGE, PAGE)).toBe(H_CLOSED);
    client.send(adapter, message(7)); // the client may send though it has no queue itself
    expect(client.registerQueue(adapter, PAGE, PAGE)).toBe(H_SUCCESS);
    expect(drain(server, adapter).map(numberOf)).toEqual([7]);
  });

  test("CQ4: after the partner has freed its queue, registering again answers H_CLOSED", () => {
    const { server, client, adapter } = openPair({ clientPages: 8 });
    expect(server.registerQueue(adapter, PAGE, PAGE)).toBe(H_CLOSED);
    expect(client.registerQueue(adapter, PAGE, PAGE)).toBe(H_SUCCESS);
    server.freeQueue(adapter);
    client.freeQueue(adapter);
    expect(server.registerQueue(adapter, PAGE, PAGE)).toBe(H_CLOSED);
    expect(client.registerQueue(adapter, PAGE, PAGE)).toBe(H_SUCCESS);
    expect(client.receive(adapter)).toBeUndefined(); // nothing of the old ring
  });

  test("CQ4: a freed queue cannot be freed again", () => {
    const { table, h, server, unit } = openQueues();
    expect(h.freeCrq(server.lpid, unit)).toBe(H_SUCCESS);
    const before = table.inspect();
    expect(h.freeCrq(server.lpid, unit)).toBeLessThan(0);
    expect(table.inspect()).toEqual(before);
    for (const hostile of HOSTILE) {
      expectRefused(table, H_PARAMETER, () => h.freeCrq(server.lpid, hostile));
      expectRefused(table, H_PARAMETER, () => h.freeCrq(hostile, unit));
    }
  });
});

describe("CQ5: transport events", () => {
  test("CQ5: freeing a queue tells the partner, behind what was sent before", () => {
    const { h, server, client, back, adapter } = openQueues();
    client.send(adapter, message(1));
    expect(h.freeCrq(client.lpid, back)).toBe(H_SUCCESS);
    expect(drain(server, adapter)).toMatchObject([{ header: 0x80 }, { header: 0xff, format: 2 }]);
    expect(server.receive(adapter)).toBeUndefined();
  });

  test("CQ5: a failure tells the partner", () => {
    const { table, server, client, adapter } = openQueues();
    client.send(adapter, message(1));
    table.fail(client);
    expect(drain(server, adapter)).toMatchObject([{ header: 0x80 }, { header: 0xff, format: 1 }]);
  });

  test("CQ5: on a full ring the event replaces the last valid entry", () => {
    const { table, server, client, adapter } = openQueues();
    for (let index = 0; index < RING; index++) client.send(adapter, message(index));
    table.fail(client);
    const entries = drain(server, adapter);
    expect(entries.length).toBe(RING);
    expect(entries.slice(0, -1).map(numberOf)).toEqual(Array.from({ length: RING - 1 }, (_, index) => index));
    expect(entries.at(-1)).toMatchObject({ header: 0xff, format: 1 });
  });

  test("CQ5: the last entry is replaced also where the ring has gone round", () => {
    for (const offset of [1, 100, RING - 1]) {
      const { h, server, client, back, adapter } = openQueues();
      for (let index = 0; index < offset; index++) client.send(adapter, message(index));
      drain(server, adapter);
      for (let index = 0; index < RING; index++) client.send(adapter, message(index));
      expect(h.freeCrq(client.lpid, back)).toBe(H_SUCCESS);
      const entries = drain(server, adapter);
      expect(entries.length).toBe(RING);
      expect(numberOf(entries.at(-2))).toBe(RING - 2);
      expect(entries.at(-1)).toMatchObject({ header: 0xff, format: 2 });
    }
  });

  test("CQ5: an event that finds an event at the end of a full ring is kept, not lost", () => {
    const { h, table, server, client, back, adapter } = openQueues();
    for (let index = 0; index < RING; index++) client.send(adapter, message(index));
    expect(h.freeCrq(client.lpid, back)).toBe(H_SUCCESS);
    table.fail(client);
    const events = drain(server, adapter).filter((entry) => entry.header === 0xff);
    expect(events.map((entry) => entry.format)).toEqual([2, 1]);
  });

  test("CQ5: freeing and registering again many times loses no event of the last one", () => {
    const { h, server, client, back, adapter } = openQueues();
    for (let round = 0; round < 5; round++) {
      expect(h.freeCrq(client.lpid, back)).toBe(H_SUCCESS);
      expect(h.regCrq(client.lpid, back, PAGE, PAGE)).toBe(H_SUCCESS);
      client.send(adapter, message(round));
    }
    const formats = drain(server, adapter).map((entry) => (entry.header === 0xff ? -1 : numberOf(entry)));
    expect(formats).toEqual([-1, 0, -1, 1, -1, 2, -1, 3, -1, 4]);
  });

  test("CQ5: nobody is told who has no queue, and nothing breaks", () => {
    const { table, h, client, back } = openPair();
    expect(h.regCrq(client.lpid, back, 0, PAGE)).toBe(H_CLOSED);
    expect(h.freeCrq(client.lpid, back)).toBe(H_SUCCESS);
    table.fail(client);
    expect(table.audit().problems).toEqual([]);
  });
});

describe("CQ6: the valid byte", () => {
  test("CQ6: what the receiver finds with a valid byte is whole", () => {
    // From one thread: the entry is absent or complete after every call, refused ones included.
    const { h, server, client, unit } = openQueues();
    for (let index = 0; index < RING + 10; index++) {
      h.sendCrq(server.lpid, unit, 0x80, index, index, index);
      h.sendCrq(server.lpid, unit, 0x00, 0xffff, 0xffff, 0xffff);
      for (let place = 0; place < RING; place += 17) {
        const bytes = client.read(PAGE + place * 16, 16);
        const words = new DataView(bytes.buffer);
        const expected = place <= index ? place : 0;
        expect(bytes[0]).toBe(place <= index ? 0x80 : 0);
        expect([4, 8, 12].map((offset) => words.getUint32(offset, true))).toEqual([
          expected,
          expected,
          expected,
        ]);
      }
    }
  });
});

describe("CQ7: polling and waiting", () => {
  test("CQ7: a receiver that waits gets what was there before and what comes later, in order", async () => {
    const { server, client, adapter } = openQueues();
    server.send(adapter, message(0));
    server.send(adapter, message(1));
    const heard = listen((signal) => client.messages(adapter, { signal }));
    await settle();
    server.send(adapter, message(2));
    await settle();
    expect(heard.seen.map(numberOf)).toEqual([0, 1, 2]);
    server.send(adapter, message(3));
    server.send(adapter, message(4));
    await heard.stop();
    expect(heard.seen.map(numberOf)).toEqual([0, 1, 2, 3, 4]);
  });

  test("CQ7: messages registers a queue by itself if there is none", async () => {
    const { server, client, adapter } = openPair({ clientPages: 4 });
    const heard = listen((signal) => client.messages(adapter, { signal }));
    await settle();
    server.send(adapter, message(9));
    await heard.stop();
    expect(heard.seen.map(numberOf)).toEqual([9]);
  });

  test.each<[string, (pair: Pair, first: AsyncIterableIterator<CrqEntry>) => unknown]>([
    ["another stream, which had registered it", (_, first) => first.return?.()],
    ["hand", ({ client, adapter }) => client.freeQueue(adapter)],
    ["the raw call", ({ h, client, back }) => h.freeCrq(client.lpid, back)],
  ])("CQ7: who waits for entries hears that the queue is freed by %s", async (_, free) => {
    const pair = openPair();
    const { client, adapter } = pair;
    const first = client.messages(adapter);
    const ends = [client.messages(adapter), client.messages(adapter)].map((stream) => stream.next());
    free(pair, first);
    const over = { done: true, value: undefined };
    expect(await Promise.race([Promise.all(ends), settle()])).toEqual([over, over]);
  });

  test("CQ7: sends through the raw hypercall wake the receiver as well", async () => {
    const { h, server, client, unit, adapter } = openQueues();
    const heard = listen((signal) => client.messages(adapter, { signal }));
    await settle();
    for (let round = 0; round < 3; round++) {
      expect(h.sendCrq(server.lpid, unit, 0x80, 0, round, 0)).toBe(H_SUCCESS);
      await settle();
      expect(heard.seen.length).toBe(round + 1);
    }
    await heard.stop();
  });

  test("CQ7: after a wake-up the receiver drains the ring; the next change from empty wakes it again", async () => {
    const { server, client, adapter } = openQueues();
    const heard = listen((signal) => client.messages(adapter, { signal }));
    let sent = 0;
    for (const burst of [1, 5, RING, 1, 200]) {
      for (let index = 0; index < burst; index++) server.send(adapter, message(sent++));
      await settle();
      expect(heard.seen.length).toBe(sent);
    }
    await heard.stop();
    expect(heard.seen.map(numberOf)).toEqual(Array.from({ length: sent }, (_, index) => index));
  });

  test("CQ7: a waiting receiver hears of the partner's failure", async () => {
    const { table, server, client, adapter } = openQueues();
    const heard = listen((signal) => server.messages(adapter, { signal }));
    await settle();
    table.fail(client);
    await heard.stop();
    expect(heard.seen).toMatchObject([{ header: 0xff, format: 1 }]);
  });

  test("CQ7: who begins to wait after the partner's failure hears no notice any more, but the wait ends with the adapter", async () => {
    const { table, clock, h, server, client, adapter, back } = openPair({ clientPages: 4 });
    // A grant of the server's is owed the grace period: until then the adapter stands.
    const cookie = granted(h, server.lpid, adapter.unitAddress, 0);
    accepted(h, client.lpid, cookie);
    table.fail(server);
    const heard = untilEnd(client.messages(adapter));
    await settle();
    expect([heard.hasEnded, client.adapters.length]).toEqual([false, 1]);
    clock.advance(5000);
    await table.recovered(server);
    await settle();
    expect([heard.hasEnded, heard.seen]).toEqual([true, []]);
    // What it registered is free again.
    expect(h.freeCrq(client.lpid, back)).toBe(H_PARAMETER);
    expect(client.allocate(4 * PAGE)).toBe(0);
  });

  test("CQ7: a wait ends when the partner is destroyed: it is told of the deregistration, then nothing can come", async () => {
    const { table, server, client, adapter } = openPair({ clientPages: 4 });
    const heard = untilEnd(client.messages(adapter));
    await settle();
    server.send(adapter, message(1));
    await table.destroyPartition(server);
    await settle();
    expect(heard.hasEnded).toBe(true);
    expect(heard.seen.map(({ header, format }) => [header, format])).toEqual([
      [0x80, expect.anything()],
      [0xff, 2],
    ]);
  });

  test("CQ7: every wait is settled when the waiting partition itself fails", async () => {
    const { table, client, adapter } = openQueues();
    const ended = (async () => {
      for await (const entry of client.messages(adapter)) expect(entry.header).toBe(0xff);
    })().catch(() => undefined);
    await settle();
    table.fail(client);
    await ended;
  });

  test("CQ7: failed callers get H_RESCINDED from every call of the queue", () => {
    const { table, h, client, server, back } = openQueues();
    granted(h, client.lpid, back, 0);
    table.fail(client);
    expectRefused(table, H_RESCINDED, () => h.sendCrq(client.lpid, back, 0x80, 0, 0, 0));
    expectRefused(table, H_RESCINDED, () => h.regCrq(client.lpid, back, 2 * PAGE, PAGE));
    expectRefused(table, H_RESCINDED, () => h.freeCrq(client.lpid, back));
    expect(server.state).toBe("running");
  });

  test("CQ7: a ring that others can write to cannot break the table", () => {
    // The receiver's ring is ordinary memory of its own: it may be granted, written and corrupted.
    const { h, table, server, client, adapter, unit, back } = openQueues();
    const mapped = shared(h, client, back, server, PAGE);
    for (let index = 0; index < 10; index++) server.send(adapter, message(index));
    server.fill(mapped.address, PAGE, 0xff);
    for (let index = 0; index < 600; index++) {
      h.sendCrq(server.lpid, unit, 0x80, index, 0, 0);
      client.receive(adapter);
    }
    server.fill(mapped.address, PAGE, 0);
    for (let index = 0; index < 600; index++) {
      h.sendCrq(server.lpid, unit, 0x80, index, 0, 0);
      if (index % 3 === 0) client.receive(adapter);
    }
    expect(table.audit().problems).toEqual([]);
  });
});

test("CQ3: a refused call of a queue names the unit address", () => {
  const { server, adapter } = openPair({ clientPages: 8 });
  const unit = adapter.unitAddress;
  expect(() => server.send(adapter, message(1))).toThrow(
    `H_SEND_CRQ: H_CLOSED (unit address ${unit}: the partner has no queue registered)`,
  );
  expect(() => server.registerQueue(adapter, 1, PAGE)).toThrow(
    `H_REG_CRQ: H_PARAMETER (unit address ${unit}, address 1, length ${PAGE})`,
  );
  expect(() => server.freeQueue(adapter)).toThrow(`H_FREE_CRQ: H_PARAMETER (unit address ${unit})`);
  const gone = 1e6 as unknown as VirtualAdapter;
  expect(() => server.send(gone, message(1))).toThrow("H_SEND_CRQ: H_PARAMETER (unit address 1000000:");
});

test("CQ1: what is no adapter is an error of the argument, which names it", () => {
  const { server, adapter } = openPair();
  for (const [none, shown] of [
    [undefined, "undefined"],
    [null, "null"],
    [{}, "[object Object]"],
    ["adapter", "adapter"],
  ] as const) {
    const wrong = none as unknown as VirtualAdapter;
    for (const call of [
      () => server.messages(wrong),
      () => server.send(wrong, message(1)),
      () => server.send(wrong, undefined as unknown as Uint8Array),
      () => server.receive(wrong),
      () => server.registerQueue(wrong, 0, PAGE),
      () => server.freeQueue(wrong),
      () => server.grant({ to: wrong, address: 0, length: PAGE }),
    ])
      expect(call).toThrow(
        new TypeError(`the adapter is ${shown}; it must be a VirtualAdapter or a Partition`),
      );
  }
  const noBytes = [undefined, null, 16, "sixteen bytes...", new Array(16).fill(0)];
  for (const none of noBytes)
    expect(() => server.send(adapter, none as unknown as Uint8Array)).toThrow(
      new TypeError("the entry must be a Uint8Array"),
    );
});
