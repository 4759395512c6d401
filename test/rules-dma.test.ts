/**
 * DMA window panes, rule KI4: what a holder puts behind the bus, what devices reach through it, and what ends it.
 */
import { describe, expect, test, vi } from "vitest";
import type { HcallError } from "../src/index.js";
import { systemClock } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_WRITE,
  TYPE_DMA,
  TYPE_MEMORY,
} from "../src/layout.js";
import { REMOTE, Remote, sleep, within } from "./support/remote.js";
import {
  accepted,
  at,
  auditedAfterEach,
  bytesOf,
  displace,
  expectRefused,
  granted,
  HOSTILE,
  join,
  openPair,
  openRow,
  openTable,
  PAGE,
  type Pair,
  type PairOptions,
  shared,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

const LIOBN = 9;
const READ = 1;
const WRITE = 2;
const BOTH = READ | WRITE;
/** Where the window of the tests is in its owner's DMA space, and on the bus. */
const WINDOW = 4 * PAGE;
const BUS = 64 * PAGE;

interface Windowed extends Pair {
  /** The client's address of the first page of the pane that it holds. */
  readonly pane: number;
  readonly paneCookie: number;
}

/** A server that owns a window of some pages, all of which a client holds too. */
function openWindow(pages = 8, options: PairOptions = {}): Windowed {
  const pair = openPair({ clientPages: 8, ...options });
  const { table, h, server, client, unit } = pair;
  table.assign(server, {
    type: "dma",
    address: WINDOW,
    length: pages * PAGE,
    physical: BUS,
    liobn: LIOBN,
  });
  const paneCookie = granted(h, server.lpid, unit, WINDOW, pages * PAGE, TYPE_DMA, LIOBN);
  return { ...pair, paneCookie, pane: accepted(h, client.lpid, paneCookie) };
}

const text = new TextEncoder().encode("what a device writes");

describe("KI4: put, get, remove", () => {
  test("KI4: a device writes and reads the holder's memory through a pane, at the bus address that translate() tells", () => {
    const { server, client, pane } = openWindow();
    client.dma.put(LIOBN, pane + PAGE, 2 * PAGE);
    const bus = client.translate(pane + PAGE, { type: "dma" });
    expect(bus).toBe(BUS + PAGE);
    const device = server.dma.device(LIOBN);
    device.write(bus + 5, text);
    expect(client.read(2 * PAGE + 5, text.length)).toEqual(text);
    client.write(2 * PAGE + 100, bytesOf(300, 7));
    expect(device.read(bus + 100, 300)).toEqual(bytesOf(300, 7));
    const into = new Uint8Array(300);
    device.readInto(bus + 100, into);
    expect(into).toEqual(bytesOf(300, 7));
    expect(client.usage().pins).toBe(1);
    client.dma.remove(LIOBN, pane + PAGE);
    expect(client.usage().pins).toBe(0);
    expect(statusOf(() => device.read(bus, 1))).toBe(H_PARAMETER);
  });

  test("KI4: the owner of the window is a holder too, of its own memory", () => {
    const { server } = openWindow();
    server.dma.put(LIOBN, WINDOW, 3 * PAGE, { write: false });
    server.write(3 * PAGE, text);
    const device = server.dma.device(LIOBN);
    expect(device.read(BUS, text.length)).toEqual(text);
    expect(statusOf(() => device.write(BUS, text))).toBe(H_PERMISSION);
    server.dma.remove(LIOBN, WINDOW);
  });

  test("KI4: get tells what is there: address and rights, or nothing", () => {
    const { h, client, pane } = openWindow();
    expect(client.dma.get(LIOBN, pane)).toBeUndefined();
    for (const [read, write] of [
      [true, true],
      [true, false],
      [false, true],
    ] as const) {
      client.dma.put(LIOBN, pane, 5 * PAGE, { read, write });
      expect(client.dma.get(LIOBN, pane)).toEqual({ address: 5 * PAGE, read, write });
      expect(h.getTce(client.lpid, LIOBN, pane)).toBe(H_SUCCESS);
      expect(h.r4).toBe(5 * PAGE + (read ? READ : 0) + (write ? WRITE : 0));
    }
    expect(client.usage().pins).toBe(1);
    client.dma.put(LIOBN, pane, 5 * PAGE, { read: false, write: false }); // no rights: removed
    expect(client.dma.get(LIOBN, pane)).toBeUndefined();
    expect(client.usage().pins).toBe(0);
  });

  test("KI4: an entry is replaced by its holder's next one, and counted once", () => {
    const { server, client, pane } = openWindow();
    for (let page = 0; page < 8; page++) client.dma.put(LIOBN, pane, page * PAGE);
    server.dma.device(LIOBN).write(BUS, text);
    expect(client.read(7 * PAGE, text.length)).toEqual(text);
    expect(client.read(6 * PAGE, text.length)).toEqual(new Uint8Array(text.length));
    expect(client.usage().pins).toBe(1);
    // More often than the sequence of an entry has numbers.
    for (let round = 0; round < 200; round++) client.dma.put(LIOBN, pane, (round % 2) * PAGE);
    expect(client.usage().pins).toBe(1);
    client.dma.remove(LIOBN, pane);
    client.dma.remove(LIOBN, pane); // nothing is there: nothing to do
  });

  test("KI4: devices get no more than the entry and the holder's mapping both give", () => {
    const { table, h, server, client, unit, pane } = openWindow();
    const only = shared(h, server, unit, client, 0, PAGE, TYPE_MEMORY | INHIBIT_WRITE).address;
    const device = server.dma.device(LIOBN);
    const put = (tce: number) => (): number => h.putTce(client.lpid, LIOBN, pane, tce);
    expectRefused(table, H_PERMISSION, put(only + BOTH));
    expectRefused(table, H_PERMISSION, put(only + WRITE));
    expect(put(only + READ)()).toBe(H_SUCCESS);
    expect(device.read(BUS, 4)).toEqual(new Uint8Array(4));
    expect(statusOf(() => device.write(BUS, text))).toBe(H_PERMISSION);
    expect(put(0 + WRITE)()).toBe(H_SUCCESS);
    device.write(BUS, text);
    expect(statusOf(() => device.read(BUS, 1))).toBe(H_PERMISSION);
    client.dma.remove(LIOBN, pane);
  });

  test("KI4, TR3: a device's range spans pages that lie apart, and moves no byte if any of them fails", () => {
    const { server, client, pane } = openWindow();
    client.dma.putIndirect(LIOBN, pane, [5 * PAGE, 2 * PAGE, 7 * PAGE]);
    const device = server.dma.device(LIOBN);
    const data = bytesOf(2 * PAGE + 20, 1);
    device.write(BUS + PAGE - 20, data);
    expect(client.read(6 * PAGE - 20, 20)).toEqual(data.subarray(0, 20));
    expect(client.read(2 * PAGE, PAGE)).toEqual(data.subarray(20, 20 + PAGE));
    expect(client.read(7 * PAGE, PAGE)).toEqual(data.subarray(20 + PAGE, 20 + 2 * PAGE));
    expect(device.read(BUS + PAGE - 20, data.length - 20)).toEqual(data.subarray(0, data.length - 20));
    const before = client.read(0, 8 * PAGE);
    const cases: readonly [number, number][] = [
      [BUS + 2 * PAGE, PAGE + 1],
      [BUS + PAGE, 3 * PAGE],
      [BUS, 4 * PAGE],
    ];
    for (const [ioba, length] of cases) {
      expect(statusOf(() => device.write(ioba, bytesOf(length, 99)))).toBe(H_PARAMETER);
      expect(statusOf(() => device.read(ioba, length))).toBe(H_PARAMETER);
    }
    expect(client.read(0, 8 * PAGE)).toEqual(before);
    client.dma.stuff(LIOBN, pane, undefined, {}, 3);
  });

  test("KI4: devices work at every alignment and length", () => {
    const { server, client, pane } = openWindow();
    client.dma.putIndirect(
      LIOBN,
      pane,
      [0, 1, 2, 3, 5, 4, 7, 6].map((page) => page * PAGE),
    );
    const device = server.dma.device(LIOBN);
    const mirror = new Uint8Array(8 * PAGE);
    let seed = 1;
    const draw = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return seed % below;
    };
    for (let round = 0; round < 300; round++) {
      const start = draw(8 * PAGE);
      const length = draw(Math.min(8 * PAGE - start, round % 3 === 0 ? 300 : 3 * PAGE) + 1);
      const backing = bytesOf(length + 8, draw(256));
      const source = backing.subarray(draw(8)).subarray(0, length);
      device.write(BUS + start, source);
      mirror.set(source, start);
      const from = draw(8 * PAGE);
      const span = draw(8 * PAGE - from + 1);
      expect(Buffer.compare(device.read(BUS + from, span), mirror.subarray(from, from + span))).toBe(0);
    }
    client.dma.stuff(LIOBN, pane, undefined, {}, 8);
  });

  test("KI4: a device of a failed lookup finds windows that are assigned later, in another place and of another LIOBN", () => {
    const { table, server } = openWindow();
    const device = server.dma.device(3);
    expect(statusOf(() => device.read(0, 1))).toBe(H_PARAMETER);
    table.assign(server, { type: "dma", address: 100 * PAGE, length: 2 * PAGE, physical: 0, liobn: 3 });
    table.assign(server, { type: "dma", address: 20 * PAGE, length: 2 * PAGE, physical: 2 * PAGE, liobn: 3 });
    server.dma.put(3, 100 * PAGE, 0);
    server.dma.put(3, 101 * PAGE, PAGE);
    server.dma.put(3, 20 * PAGE, 2 * PAGE);
    for (let round = 0; round < 2; round++) {
      device.write(PAGE, text);
      expect(server.read(PAGE, text.length)).toEqual(text);
      device.write(2 * PAGE, text);
      expect(server.read(2 * PAGE, text.length)).toEqual(text);
    }
    // A range lies inside one window, as a grant does inside one resource.
    expect(statusOf(() => device.read(2 * PAGE - 4, 8))).toBe(H_PARAMETER);
    expect(statusOf(() => server.dma.device(LIOBN).read(PAGE, 1))).toBe(H_PARAMETER);
    expect(device.read(PAGE, 0)).toEqual(new Uint8Array());
    expect(statusOf(() => device.read(50 * PAGE, 0))).toBe(H_PARAMETER);
    for (const page of [100, 101, 20]) server.dma.remove(3, page * PAGE);
  });

  test("KI4: a range lies inside one window, also where two of the same LIOBN adjoin in the space and on the bus", () => {
    const { table, server } = openPair();
    for (const page of [0, 1])
      table.assign(server, {
        type: "dma",
        address: page * PAGE,
        length: PAGE,
        physical: BUS + page * PAGE,
        liobn: LIOBN,
      });
    server.dma.put(LIOBN, 0, 0);
    server.dma.put(LIOBN, PAGE, PAGE);
    const device = server.dma.device(LIOBN);
    for (const from of [BUS, BUS + PAGE]) device.write(from + PAGE - 4, bytesOf(4, 7));
    for (const length of [PAGE + 1, 2 * PAGE]) {
      expectRefused(table, H_PARAMETER, () => statusOf(() => device.read(BUS, length)));
      expectRefused(table, H_PARAMETER, () => statusOf(() => device.write(BUS, new Uint8Array(length))));
    }
    expect(server.read(PAGE - 4, 4)).toEqual(bytesOf(4, 7));
    for (const page of [0, 1]) server.dma.remove(LIOBN, page * PAGE);
  });

  test("KI4: a pane is granted by its own LIOBN where none is said, by no other, and by groups too", () => {
    const { table, server, client } = openWindow();
    const pane = { type: "dma", address: WINDOW, length: PAGE } as const;
    const mapping = client.accept(server.grant({ to: client, ...pane }));
    const on = client.grant({ to: server, type: "dma", address: mapping.address, length: PAGE });
    expect(statusOf(() => server.grant({ to: client, ...pane, liobn: LIOBN + 1 }))).toBe(H_PARAMETER);
    expect(statusOf(() => server.grant({ to: client, ...pane, liobn: 0 }))).toBe(H_PARAMETER);
    for (const address of [...HOSTILE, 0, 2 ** 40])
      expect(statusOf(() => server.grant({ to: client, ...pane, address }))).toBe(H_PARAMETER);
    const group = table.group("g");
    group.add({ owner: server, ...pane });
    const member = group.join(client);
    expect(member.units.map(({ type }) => type)).toEqual(["dma"]);
    client.rescind(on);
  });

  test("KI4, G2: an address that is no number is put nowhere", () => {
    const { table, client, pane } = openWindow();
    for (const address of ["4096", 4096n, null, [], undefined] as unknown as number[]) {
      expectRefused(table, H_PARAMETER, () => statusOf(() => client.dma.put(LIOBN, pane, address)));
      expectRefused(table, H_PARAMETER, () =>
        statusOf(() => client.dma.putIndirect(LIOBN, pane, [0, address])),
      );
    }
  });

  test("KI4: one physical window of two owners is two tables", () => {
    const { table, server, client } = openPair();
    for (const owner of [server, client])
      table.assign(owner, { type: "dma", address: 0, length: PAGE, physical: BUS });
    server.dma.put(0, 0, 0);
    server.dma.device().write(BUS, text);
    expect(server.read(0, text.length)).toEqual(text);
    expect(statusOf(() => client.dma.device().read(BUS, 1))).toBe(H_PARAMETER);
    server.dma.remove(0, 0);
  });
});

describe("KI4: indirect and stuff", () => {
  test("KI4: 512 entries at once, and not one more; none is not a number of entries", () => {
    const pages = 600;
    const { table, h, server, client, pane } = openWindow(pages, { clientPages: 8 });
    const addresses = Array.from({ length: 512 }, (_, index) => (index % 8) * PAGE);
    client.dma.putIndirect(LIOBN, pane, addresses);
    expect(client.usage().pins).toBe(512);
    server.dma.device(LIOBN).write(BUS + 511 * PAGE, text);
    expect(client.read(7 * PAGE, text.length)).toEqual(text);
    expect(client.dma.get(LIOBN, pane + 512 * PAGE)).toBeUndefined();
    const before = table.inspect();
    expect(statusOf(() => client.dma.putIndirect(LIOBN, pane, [...addresses, 0]))).toBe(H_PARAMETER);
    expect(statusOf(() => client.dma.putIndirect(LIOBN, pane, []))).toBe(H_PARAMETER);
    for (const count of [0, 513, ...HOSTILE]) {
      expectRefused(table, H_PARAMETER, () => h.stuffTce(client.lpid, LIOBN, pane, BOTH, count));
      expectRefused(table, H_PARAMETER, () => h.putTceIndirect(client.lpid, LIOBN, pane, 0, count));
    }
    expect(table.inspect()).toEqual(before);
    client.dma.stuff(LIOBN, pane + 88 * PAGE, 3 * PAGE, {}, 512);
    expect(client.usage().pins).toBe(600);
    client.dma.stuff(LIOBN, pane, undefined, {}, 512);
    client.dma.stuff(LIOBN, pane + 512 * PAGE, undefined, {}, 88);
    expect(client.usage().pins).toBe(0);
  });

  test("KI4: the raw indirect form takes its list from a page of the caller's memory, each word once", () => {
    const { table, h, server, client, pane } = openWindow();
    const list = new BigUint64Array([3n, 2n, 1n].map((page) => page * BigInt(PAGE) + 3n));
    client.write(6 * PAGE, new Uint8Array(list.buffer));
    expect(h.putTceIndirect(client.lpid, LIOBN, pane, 6 * PAGE, 3)).toBe(H_SUCCESS);
    server.dma.device(LIOBN).write(BUS + 2 * PAGE, text);
    expect(client.read(PAGE, text.length)).toEqual(text);
    // Not a page; not the caller's; and words that are none.
    expectRefused(table, H_PARAMETER, () => h.putTceIndirect(client.lpid, LIOBN, pane, 6 * PAGE + 8, 1));
    expectRefused(table, H_PARAMETER, () => h.putTceIndirect(client.lpid, LIOBN, pane, 20 * PAGE, 1));
    for (const word of [
      4n,
      BigInt(PAGE) + 4n,
      2n ** 53n + 3n,
      2n ** 64n - 1n,
      2n ** 36n + 3n,
      8n * 4096n + 1n,
    ]) {
      client.write(6 * PAGE, new Uint8Array(new BigUint64Array([3n, word]).buffer));
      expectRefused(table, H_PARAMETER, () => h.putTceIndirect(client.lpid, LIOBN, pane, 6 * PAGE, 2));
    }
    client.dma.stuff(LIOBN, pane, undefined, {}, 3);
  });

  test("KI4, G1: one entry that cannot be put, and none of the list is", () => {
    const { table, h, server, client, unit, pane } = openWindow();
    const only = shared(h, server, unit, client, 0, PAGE, TYPE_MEMORY | INHIBIT_WRITE).address;
    client.dma.put(LIOBN, pane + PAGE, PAGE);
    const before = table.inspect();
    for (const [bad, status] of [
      [only, H_PERMISSION],
      [30 * PAGE, H_PARAMETER],
      [1, H_PARAMETER],
      [Number.NaN, H_PARAMETER],
      [2 ** 53, H_PARAMETER],
    ] as const) {
      for (const addresses of [
        [bad, 0, PAGE],
        [0, PAGE, bad],
      ])
        expect(statusOf(() => client.dma.putIndirect(LIOBN, pane, addresses))).toBe(status);
      expect(statusOf(() => client.dma.stuff(LIOBN, pane, bad, {}, 3))).toBe(status);
      expect(table.inspect()).toEqual(before);
    }
    expect(client.dma.get(LIOBN, pane)).toBeUndefined();
    expect(client.dma.get(LIOBN, pane + PAGE)?.address).toBe(PAGE);
    client.dma.remove(LIOBN, pane + PAGE);
  });

  test("KI4: a range of bus pages lies inside one pane", () => {
    const { table, h, server, client, pane, unit } = openWindow(4);
    const second = accepted(h, client.lpid, granted(h, server.lpid, unit, WINDOW, 4 * PAGE, TYPE_DMA, LIOBN));
    expect(second).toBe(pane + 4 * PAGE);
    expectRefused(table, H_PARAMETER, () => h.stuffTce(client.lpid, LIOBN, pane + PAGE, BOTH, 4));
    expect(h.stuffTce(client.lpid, LIOBN, pane + PAGE, BOTH, 3)).toBe(H_SUCCESS);
    // Through both panes the holder reaches the same bus pages; the last put counts.
    expect(h.putTce(client.lpid, LIOBN, second + PAGE, PAGE + BOTH)).toBe(H_SUCCESS);
    expect(client.usage().pins).toBe(3);
    expect(client.dma.get(LIOBN, pane + PAGE)?.address).toBe(PAGE);
    expect(h.stuffTce(client.lpid, LIOBN, pane, 0, 4)).toBe(H_SUCCESS);
    expect(client.usage().pins).toBe(0);
  });
});

describe("KI4, G2: hostile numbers", () => {
  test("KI4, G2: LIOBN, bus address, entry: H_PARAMETER, and nothing changes", () => {
    const { table, h, server, client, pane } = openWindow();
    client.dma.put(LIOBN, pane, 0);
    const refused = (call: () => number): void => expectRefused(table, H_PARAMETER, call);
    for (const hostile of HOSTILE) {
      refused(() => h.putTce(hostile, LIOBN, pane, BOTH));
      refused(() => h.putTce(client.lpid, hostile, pane, BOTH));
      refused(() => h.putTce(client.lpid, LIOBN, hostile, BOTH));
      // Some of them are the number of an entry that removes, others become one with rights added.
      const isEntry = hostile >= 0 && hostile < 2 ** 36 && hostile % PAGE <= BOTH && hostile % 1 === 0;
      if (!isEntry) refused(() => h.putTce(client.lpid, LIOBN, pane, hostile));
      expect(statusOf(() => client.dma.put(LIOBN, pane, hostile))).toBe(H_PARAMETER);
      refused(() => h.getTce(client.lpid, hostile, pane));
      refused(() => h.getTce(client.lpid, LIOBN, hostile));
      refused(() => h.putTceIndirect(client.lpid, LIOBN, pane, hostile, 1));
      const device = server.dma.device(LIOBN);
      expect(statusOf(() => device.read(hostile, 1))).toBe(H_PARAMETER);
      expect(statusOf(() => device.read(BUS, hostile))).toBe(H_PARAMETER);
      expect(statusOf(() => server.dma.device(hostile).read(BUS, 1))).toBe(H_PARAMETER);
    }
    for (const wrong of [pane + 1, pane - PAGE, pane + 8 * PAGE, 4096 * PAGE])
      refused(() => h.putTce(client.lpid, LIOBN, wrong, BOTH));
    refused(() => h.putTce(client.lpid, LIOBN + 1, pane, BOTH));
    refused(() => h.putTce(client.lpid, 0, pane, BOTH));
    refused(() => h.putTce(client.lpid, LIOBN, pane, 8 * PAGE + BOTH)); // past its memory
    refused(() => h.putTce(client.lpid, LIOBN, pane, 4)); // a reserved bit
    expect(client.dma.get(LIOBN, pane)?.address).toBe(0);
    client.dma.remove(LIOBN, pane);
  });

  test("KI4: a partition that does not run is answered H_RESCINDED, one that does not exist H_PARAMETER", () => {
    const { table, h, client, pane } = openWindow();
    table.fail(client);
    expect(h.putTce(client.lpid, LIOBN, pane, BOTH)).toBe(H_RESCINDED);
    expect(h.stuffTce(client.lpid, LIOBN, pane, BOTH, 2)).toBe(H_RESCINDED);
    expect(h.putTceIndirect(client.lpid, LIOBN, pane, 0, 2)).toBe(H_RESCINDED);
    expect(h.getTce(client.lpid, LIOBN, pane)).toBe(H_RESCINDED);
    expect(h.putTce(7, LIOBN, pane, BOTH)).toBe(H_PARAMETER);
  });

  test("KI4: 65,535 entries of one resource of memory, then H_NO_MEM; removing one makes room for one", async () => {
    const pages = 66_048;
    const { table, h } = openTable({ spaces: { dma: pages * PAGE } });
    const holder = table.createPartition({ name: "holder", memory: 2 * PAGE, lmb: PAGE });
    table.assign(holder, { type: "dma", address: 0, length: 65_536 * PAGE, physical: 0 });
    for (let page = 0; page < 65_024; page += 512)
      expect(h.stuffTce(holder.lpid, 0, page * PAGE, BOTH, 512)).toBe(H_SUCCESS);
    expect(h.stuffTce(holder.lpid, 0, 65_024 * PAGE, BOTH, 511)).toBe(H_SUCCESS);
    expect(holder.usage().pins).toBe(65_535);
    expectRefused(table, H_NO_MEM, () => h.putTce(holder.lpid, 0, 65_535 * PAGE, BOTH));
    // Of the pane as well, whatever memory it is.
    expectRefused(table, H_NO_MEM, () => h.putTce(holder.lpid, 0, 65_535 * PAGE, PAGE + BOTH));
    expect(h.putTce(holder.lpid, 0, 0, 0)).toBe(H_SUCCESS);
    expect(h.putTce(holder.lpid, 0, 65_535 * PAGE, BOTH)).toBe(H_SUCCESS);
    table.fail(holder);
    await table.recovered(holder);
    expect(holder.usage().pins).toBe(0);
  }, 60_000);
});

describe("KI4: sharing a window", () => {
  test("KI4, GR9: owner and client both put; neither replaces, removes or sees what the other has put", () => {
    const { table, h, server, client, pane } = openWindow();
    expect(h.putTce(server.lpid, LIOBN, WINDOW, PAGE + BOTH)).toBe(H_SUCCESS);
    expect(h.putTce(client.lpid, LIOBN, pane + PAGE, PAGE + BOTH)).toBe(H_SUCCESS);
    for (const [holder, ioba] of [
      [client, pane],
      [server, WINDOW + PAGE],
    ] as const) {
      expectRefused(table, H_RESOURCE, () => h.putTce(holder.lpid, LIOBN, ioba, BOTH));
      expectRefused(table, H_RESOURCE, () => h.putTce(holder.lpid, LIOBN, ioba, 0));
      expectRefused(table, H_RESOURCE, () => h.getTce(holder.lpid, LIOBN, ioba));
    }
    expectRefused(table, H_RESOURCE, () => h.stuffTce(client.lpid, LIOBN, pane, BOTH, 8));
    const device = server.dma.device(LIOBN);
    device.write(BUS + PAGE - 4, bytesOf(8, 1));
    expect(server.read(2 * PAGE - 4, 4)).toEqual(bytesOf(4, 1));
    expect(client.read(PAGE, 4)).toEqual(bytesOf(4, 5));
    server.dma.remove(LIOBN, WINDOW);
    client.dma.put(LIOBN, pane, 0);
    client.dma.stuff(LIOBN, pane, undefined, {}, 2);
  });

  test("KI4: a re-granted pane three deep reaches the owner's window", () => {
    const { table, h, row, units } = openRow(4);
    table.assign(at(row, 0), { type: "dma", address: 0, length: 4 * PAGE, physical: BUS, liobn: LIOBN });
    let ioba = 0;
    const cookies: number[] = [];
    for (let index = 0; index < 3; index++) {
      const pages = 3 - index;
      const from = ioba + PAGE;
      const cookie = granted(h, at(row, index).lpid, at(units, index), from, pages * PAGE, TYPE_DMA, LIOBN);
      cookies.push(cookie);
      ioba = accepted(h, at(row, index + 1).lpid, cookie);
    }
    const last = at(row, 3);
    last.dma.put(LIOBN, ioba, 2 * PAGE);
    const bus = last.translate(ioba, { type: "dma" });
    expect(bus).toBe(BUS + 3 * PAGE);
    at(row, 0).dma.device(LIOBN).write(bus, text);
    expect(last.read(2 * PAGE, text.length)).toEqual(text);
    expect(h.rescindLogical(at(row, 0).lpid, 1, at(cookies, 0))).toBe(H_SUCCESS);
    expect(statusOf(() => at(row, 0).dma.device(LIOBN).read(bus, 1))).toBe(H_PARAMETER);
    expect(last.usage().pins).toBe(0);
    expect(statusOf(() => last.dma.put(LIOBN, ioba, 0))).toBe(H_RESCINDED);
    expect(statusOf(() => last.dma.get(LIOBN, ioba))).toBe(H_RESCINDED);
  });
});

describe("KI4: what ends an entry", () => {
  test("KI4, RE2: neither memory nor pane is returned under an entry", () => {
    const { table, h, server, client, unit, pane, paneCookie } = openWindow();
    const { cookie, address } = shared(h, server, unit, client, 0);
    client.dma.put(LIOBN, pane, address);
    expectRefused(table, H_RESOURCE, () => h.returnLogical(client.lpid, cookie));
    expectRefused(table, H_RESOURCE, () => h.returnLogical(client.lpid, paneCookie));
    client.dma.put(LIOBN, pane, 0); // another page: the first one is free
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_RESOURCE, () => h.returnLogical(client.lpid, paneCookie));
    client.dma.remove(LIOBN, pane);
    expect(h.returnLogical(client.lpid, paneCookie)).toBe(H_SUCCESS);
  });

  test("KI4, RS4: forced rescind of the memory: devices are answered H_RESCINDED at once, until the entry is removed", async () => {
    const { table, h, server, client, unit, pane, paneCookie } = openWindow();
    const { cookie, address } = shared(h, server, unit, client, 0);
    client.dma.put(LIOBN, pane, address);
    client.dma.put(LIOBN, pane + PAGE, 0);
    const device = server.dma.device(LIOBN);
    device.write(BUS, text);
    const report = await server.rescindForced(cookie);
    expect(report.pagesMoved).toBe(0); // no frame is held
    const refused = (): void => {
      expect(statusOf(() => device.write(BUS, text))).toBe(H_RESCINDED);
      expect(statusOf(() => device.read(BUS, 2 * PAGE))).toBe(H_RESCINDED);
      expect(statusOf(() => client.dma.get(LIOBN, pane))).toBe(H_RESCINDED);
    };
    refused();
    expectRefused(table, H_RESCINDED, () => h.putTce(client.lpid, LIOBN, pane + 2 * PAGE, address + BOTH));
    // The address is another mapping's by now: the entry does not come to life.
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    refused();
    const again = shared(h, server, unit, client, PAGE);
    expect(again.address).toBe(address);
    refused();
    expect(server.read(PAGE, 1)[0]).toBe(0);
    expect(client.usage().pins).toBe(2);
    expectRefused(table, H_RESOURCE, () => h.returnLogical(client.lpid, paneCookie));
    client.dma.put(LIOBN, pane, address); // replaced: alive again, with the new page
    device.write(BUS, text);
    expect(server.read(PAGE, text.length)).toEqual(text);
    client.dma.stuff(LIOBN, pane, undefined, {}, 2);
    expect(client.usage().pins).toBe(0);
    expect(h.returnLogical(client.lpid, paneCookie)).toBe(H_SUCCESS);
  });

  test("KI4: a dead entry does not keep another holder of the window out", async () => {
    const { server, client, h, unit, pane } = openWindow();
    const { cookie, address } = shared(h, server, unit, client, 0);
    client.dma.put(LIOBN, pane, address);
    expect(statusOf(() => server.dma.put(LIOBN, WINDOW, PAGE))).toBe(H_RESOURCE);
    await server.rescindForced(cookie);
    server.dma.put(LIOBN, WINDOW, PAGE);
    expect(client.usage().pins).toBe(0);
    expect(server.usage().pins).toBe(1);
    server.dma.remove(LIOBN, WINDOW);
  });

  test("KI4, RS4: forced rescind of the window ends the entries put through it, and no others", async () => {
    const { h, server, client, unit, pane, paneCookie, adapter } = openWindow();
    const half = granted(h, server.lpid, unit, WINDOW, 2 * PAGE, TYPE_DMA, LIOBN);
    const second = accepted(h, client.lpid, half);
    const { cookie, address } = shared(h, server, unit, client, 0);
    client.dma.put(LIOBN, second, 0);
    client.dma.putIndirect(LIOBN, pane + PAGE, [address, PAGE, 2 * PAGE]);
    server.dma.put(LIOBN, WINDOW + 7 * PAGE, PAGE);
    const device = server.dma.device(LIOBN);
    await server.rescindForced(paneCookie as never);
    for (const page of [1, 2, 3]) expect(statusOf(() => device.read(BUS + page * PAGE, 1))).toBe(H_PARAMETER);
    device.write(BUS, text); // of the other pane
    expect(client.read(0, text.length)).toEqual(text);
    device.write(BUS + 7 * PAGE, text); // of the owner
    expect(client.usage().pins).toBe(1);
    expect(statusOf(() => client.dma.put(LIOBN, pane, 0))).toBe(H_RESCINDED);
    client.return(cookie); // no entry pins it any more
    expect(adapter.partner).toBe(client);
    client.dma.remove(LIOBN, second);
    server.dma.remove(LIOBN, WINDOW + 7 * PAGE);
  });

  test("KI4, G5, RS5: a large pane is emptied in slices, with bounds that fall", () => {
    const pages = 2048;
    const { h, server, client, pane, paneCookie } = openWindow(pages);
    for (let page = 0; page < pages; page += 512) client.dma.stuff(LIOBN, pane + page * PAGE, PAGE, {}, 512);
    h.budget = 40;
    const bounds: number[] = [];
    const device = server.dma.device(LIOBN);
    while (h.rescindLogical(server.lpid, 1, paneCookie) !== H_SUCCESS) {
      bounds.push(h.r4);
      const answer = statusOf(() => device.read(BUS + (pages - 1) * PAGE, 1));
      expect(answer).toBe(client.usage().pins > 0 ? H_RESCINDED : H_PARAMETER);
    }
    expect(bounds.length).toBeGreaterThan(20);
    expect(bounds).toEqual([...bounds].sort((a, b) => b - a));
    expect(new Set(bounds).size).toBe(bounds.length);
    expect(client.usage().pins).toBe(0);
    expect(statusOf(() => device.read(BUS + (pages - 1) * PAGE, 1))).toBe(H_PARAMETER);
  });

  test("KI4, G5: slices of one step empty a pane, too, whoever asks for them", () => {
    const pages = 600;
    const begin = (): ReturnType<typeof openWindow> => {
      const opened = openWindow(pages);
      opened.client.dma.stuff(LIOBN, opened.pane, PAGE, {}, 1);
      opened.client.dma.stuff(LIOBN, opened.pane + (pages - 1) * PAGE, PAGE, {}, 1);
      opened.h.budget = 1;
      return opened;
    };
    const isOver = (call: () => number, over: number): void => {
      for (let left = 100; call() !== over; left--)
        expect(left, "slices that get nowhere").toBeGreaterThan(0);
    };
    const rescinded = begin();
    isOver(() => rescinded.h.rescindLogical(rescinded.server.lpid, 1, rescinded.paneCookie), H_SUCCESS);
    expect(rescinded.client.usage().pins).toBe(0);
    for (const part of ["recoverClient", "recoverDeferred"] as const) {
      const { table, client, h, server, paneCookie } = begin();
      const { core } = kernelOf(table);
      expect(core.failPartition(client.lpid, 0)).toBe(H_SUCCESS);
      isOver(() => core[part](client.lpid, 1), H_SUCCESS);
      isOver(() => core.recoverServer(client.lpid, 1), H_SUCCESS);
      expect(h.rescindLogical(server.lpid, 0, paneCookie)).toBe(H_PARAMETER);
    }
    const { table, client, server } = begin();
    const { core } = kernelOf(table);
    server.dma.stuff(LIOBN, WINDOW + PAGE, 0, {}, 1);
    expect(core.failPartition(server.lpid, 0)).toBe(H_SUCCESS);
    isOver(() => core.recoverServer(server.lpid, 1), H_SUCCESS);
    expect(client.usage().pins).toBe(0);
  });

  test("KI4, FA1: a failed holder's entries give no access at once, and are gone with its panes", () => {
    const { table, h, server, client, unit, pane } = openWindow();
    const { address } = shared(h, server, unit, client, 0);
    client.dma.putIndirect(LIOBN, pane, [0, address, PAGE]);
    const device = server.dma.device(LIOBN);
    table.fail(client);
    for (const page of [0, 1, 2])
      expect(statusOf(() => device.write(BUS + page * PAGE, text))).toBe(H_PARAMETER);
    expect(client.usage().pins).toBe(0);
    table.restart(client);
    expect(statusOf(() => device.read(BUS, 1))).toBe(H_PARAMETER);
    server.dma.put(LIOBN, WINDOW, 0);
    server.dma.remove(LIOBN, WINDOW);
  });

  test("KI4, FA2: a failed owner's window works for its clients during the grace period, then is taken", () => {
    const { table, h, server, client, pane, paneCookie, clock } = openWindow();
    client.dma.put(LIOBN, pane, 0);
    const device = server.dma.device(LIOBN);
    table.fail(server);
    device.write(BUS, text);
    client.dma.put(LIOBN, pane + PAGE, PAGE);
    expect(client.read(0, text.length)).toEqual(text);
    clock.advance(2000);
    expect(server.state).toBe("stopped");
    expect(statusOf(() => device.write(BUS, text))).toBe(H_RESCINDED);
    expect(client.usage().pins).toBe(0);
    expect(h.returnLogical(client.lpid, paneCookie)).toBe(H_SUCCESS);
    table.restart(server); // with its window, which is empty
    expect(statusOf(() => device.write(BUS, text))).toBe(H_PARAMETER);
    server.dma.put(LIOBN, WINDOW, 0);
    device.write(BUS, text);
    server.dma.remove(LIOBN, WINDOW);
  });

  test("KI4, FA2: the memory's owner fails: devices reach it during the grace period, then H_RESCINDED", () => {
    const { table, h, server, client, clock } = openWindow();
    const third = table.createPartition({ name: "third", memory: 2 * PAGE });
    const link = join({ table }, third, server);
    const { cookie, address } = shared(h, third, link.unitAddress, server, PAGE);
    server.dma.put(LIOBN, WINDOW, address);
    const device = server.dma.device(LIOBN);
    table.fail(third);
    device.write(BUS, text);
    clock.advance(2000);
    expect(third.state).toBe("stopped");
    expect(statusOf(() => device.write(BUS, text))).toBe(H_RESCINDED);
    server.return(cookie);
    table.restart(third);
    expect(statusOf(() => device.read(BUS, 1))).toBe(H_RESCINDED);
    server.dma.remove(LIOBN, WINDOW);
    expect(client.usage().pins).toBe(0);
  });

  test("KI4, FA7: a failed owner that waits for its borrowers leaves them its window until they return it", async () => {
    const { table, h } = openTable();
    const owner = table.createPartition({ name: "owner", memory: PAGE, onFailure: "defer" });
    const holder = table.createPartition({ name: "holder", memory: PAGE });
    const { unitAddress } = join({ table }, owner, holder);
    table.assign(owner, { type: "dma", address: 0, length: 2 * PAGE, physical: BUS });
    const cookie = granted(h, owner.lpid, unitAddress, 0, 2 * PAGE, TYPE_DMA);
    const pane = accepted(h, holder.lpid, cookie);
    owner.dma.put(0, PAGE, 0);
    holder.dma.put(0, pane, 0);
    table.fail(owner);
    const device = owner.dma.device();
    device.write(BUS, text);
    expect(holder.read(0, text.length)).toEqual(text);
    expect(statusOf(() => device.write(BUS + PAGE, text))).toBe(H_RESCINDED); // its own memory
    holder.dma.put(0, pane + PAGE, 0); // its entry is dead
    holder.dma.stuff(0, pane, undefined, {}, 2);
    expect(h.returnLogical(holder.lpid, cookie)).toBe(H_SUCCESS);
    await table.recovered(owner);
    expect(owner.state).toBe("stopped");
  });

  test("KI4: a view and an entry on the same page: the page moves for the view, the owner's device follows", async () => {
    const { server, client, adapter } = openWindow();
    server.dma.put(LIOBN, WINDOW, 2 * PAGE);
    const device = server.dma.device(LIOBN);
    device.write(BUS, text);
    const place = server.translate(2 * PAGE);
    await displace(server, client, adapter, 2 * PAGE);
    expect(server.translate(2 * PAGE)).not.toBe(place);
    device.write(BUS + 100, text);
    expect(server.read(2 * PAGE, text.length)).toEqual(text);
    expect(server.read(2 * PAGE + 100, text.length)).toEqual(text);
    await server.migrate(0, 16 * PAGE);
    expect(device.read(BUS, text.length)).toEqual(text);
    server.dma.remove(LIOBN, WINDOW);
  });

  test("KI4, GR9: the owner of the memory keeps it, and devices reach it through the client's entry, until it is rescinded", async () => {
    const { h, server, client, unit, pane } = openWindow();
    const { cookie, address } = shared(h, server, unit, client, 3 * PAGE);
    client.dma.put(LIOBN, pane, address);
    server.dma.device(LIOBN).write(BUS, text);
    expect(server.read(3 * PAGE, text.length)).toEqual(text);
    await server.rescindForced(cookie);
    expect(client.usage()).toMatchObject({ pins: 1, rescinded: 1 });
    client.dma.remove(LIOBN, pane);
  });
});

describe("KI4: pages that are copied before they are written", () => {
  test("KI4: a device's write to a copy-on-write page gets the holder a page of its own, which the device then reads", () => {
    const { server, client, adapter, pane } = openWindow();
    server.fill(0, 2 * PAGE, 7);
    const cookie = server.grant({ to: adapter, address: 0, length: 2 * PAGE, copyOnWrite: true });
    const mapping = client.accept(cookie);
    client.dma.putIndirect(LIOBN, pane, [mapping.address, mapping.address + PAGE]);
    const device = server.dma.device(LIOBN);
    expect(device.read(BUS, 2)).toEqual(Uint8Array.of(7, 7));
    expect(client.usage().copies).toBe(0);
    device.write(BUS + PAGE - 2, bytesOf(4, 1));
    expect(client.usage().copies).toBe(2);
    expect(client.read(mapping.address + PAGE - 2, 4)).toEqual(bytesOf(4, 1));
    expect(device.read(BUS + PAGE - 3, 5)).toEqual(Uint8Array.of(7, 1, 2, 3, 4));
    expect(server.read(PAGE - 2, 4)).toEqual(Uint8Array.of(7, 7, 7, 7));
    client.dma.stuff(LIOBN, pane, undefined, {}, 2);
    mapping.return();
  });
});

describe("KI4: the batch form", () => {
  test("KI4: the calls have tokens, and each request its status and entry", () => {
    const { h, server, client, pane } = openWindow();
    client.write(0, new Uint8Array(new BigUint64Array([4099n, 8195n]).buffer));
    using batch = h.createRequests(8);
    batch.putTce(0, client.lpid, LIOBN, pane, 3 * PAGE + BOTH);
    batch.putTceIndirect(1, client.lpid, LIOBN, pane + PAGE, 0, 2);
    batch.getTce(2, client.lpid, LIOBN, pane + 2 * PAGE);
    batch.putTce(3, server.lpid, LIOBN, WINDOW, BOTH);
    batch.stuffTce(4, client.lpid, LIOBN, pane, 0, 3);
    batch.getTce(5, client.lpid, LIOBN, pane);
    batch.putTce(6, client.lpid, LIOBN, pane, 1.5);
    batch.getTce(7, 99, LIOBN, pane);
    batch.run(8);
    const statuses = Array.from({ length: 8 }, (_, index) => batch.status(index));
    expect(statuses).toEqual([0, 0, 0, H_RESOURCE, 0, 0, H_PARAMETER, H_PARAMETER]);
    expect(batch.result(2)).toBe(8195);
    expect(batch.result(5)).toBe(0);
    expect(client.usage().pins).toBe(0);
  });
});

describe("KI4: threads", { timeout: 60_000 }, () => {
  test("KI4: holder and device in a worker that is a partition", async () => {
    const { table, server, client, pane } = openWindow(8, { clock: systemClock, gracePeriodMs: 50 });
    const { worker } = await table.spawn(client, REMOTE);
    const remote = new Remote(worker);
    await remote.run(({ partition }, ioba) => partition.dma.put(9, ioba, 4096), pane);
    const device = server.dma.device(LIOBN);
    device.write(BUS, text);
    expect(await remote.run(({ partition }) => [...partition.read(4096, 5)])).toEqual([...text.slice(0, 5)]);
    server.dma.put(LIOBN, WINDOW + PAGE, 2 * PAGE);
    // The other way round: the device is in the worker, and asks for the windows of its partner.
    const read = await remote.run(({ partition }, bus) => {
      const owner = partition.adapters[0]?.partner;
      return owner === undefined ? [] : [...owner.dma.device(9).read(bus, 3)];
    }, BUS + PAGE);
    expect(read).toEqual([...server.read(2 * PAGE, 3)]);
    server.dma.remove(LIOBN, WINDOW + PAGE);
    await within(
      worker.terminate().then(() => table.recovered(client)),
      "recovery",
    );
    expect(statusOf(() => device.write(BUS, text))).toBe(H_PARAMETER);
  });

  test("KI4, G6: a device at full speed in another thread writes nothing after a forced rescind of the memory, or a remove", async () => {
    const { table, h, server, client, unit, pane, paneCookie } = openWindow(8, {
      clock: systemClock,
      gracePeriodMs: 50,
    });
    const third = table.createPartition({ name: "device", memory: PAGE });
    join({ table }, server, third);
    const { worker } = await table.spawn(third, REMOTE);
    const remote = new Remote(worker);
    const words = new Int32Array(new SharedArrayBuffer(8));
    remote.send(
      ({ partition }, { words, bus }) => {
        const owner = partition.adapters[0]?.partner;
        const device = owner?.dma.device(9);
        const data = new Uint8Array(4096).fill(0xff);
        while (Atomics.load(words, 0) === 0) {
          try {
            device?.write(bus, data);
            Atomics.add(words, 1, 1);
          } catch {
            // refused: there is nothing to write to at the moment
          }
        }
      },
      { words, bus: BUS },
    );
    /** On a machine with much to do the device's thread may stand in the middle of a write for long: H_BUSY, try again. */
    const removed = async (): Promise<void> => {
      while (statusOf(() => client.dma.remove(LIOBN, pane)) === H_BUSY) await sleep(1);
    };
    const isWriting = async (): Promise<void> => {
      const before = Atomics.load(words, 1);
      while (Atomics.load(words, 1) < before + 3) await sleep(1);
    };
    for (let round = 0; round < 40; round++) {
      const { cookie, address } = shared(h, server, unit, client, 0);
      client.dma.put(LIOBN, pane, address);
      await isWriting();
      if (round % 2 === 0) {
        await server.rescindForced(cookie);
        server.fill(0, PAGE, 0);
        await sleep(1);
        expect(server.read(0, PAGE).every((byte) => byte === 0)).toBe(true);
        await removed();
      } else {
        await removed();
        server.fill(0, PAGE, 0);
        await sleep(1);
        expect(server.read(0, PAGE).every((byte) => byte === 0)).toBe(true);
      }
      // As above, in the middle of a call.
      while (statusOf(() => client.return(cookie)) === H_LONG_BUSY_10_MSEC) await sleep(1);
    }
    await server.rescindForced(paneCookie as never);
    Atomics.store(words, 0, 1);
    await sleep(5);
    await worker.terminate();
  });

  test("KI4, G1: a removal that waits for a device is not made again, though another holder puts meanwhile", async () => {
    const { table, server, client, pane } = openWindow(8, { clock: systemClock });
    const third = table.createPartition({ name: "device", memory: PAGE });
    const { worker } = await table.spawn(third, REMOTE);
    const use = (isInUse: boolean): Promise<void> =>
      new Remote(worker).run(
        ({ layout, handle }, { isInUse }) => {
          // In the middle of an access, as a device is that stops half way.
          const words = new Uint32Array(handle.memory.buffer);
          const thread = (words[layout.HEADER_THREADS_AT / 4] ?? 0) + handle.slot * layout.THREAD_BYTES;
          const epoch = isInUse ? Atomics.load(words, layout.HEADER_EPOCH / 4) : 0;
          Atomics.store(words, (thread + layout.THREAD_EPOCH) / 4, epoch);
        },
        { isInUse },
      );
    client.dma.put(LIOBN, pane, 2 * PAGE);
    await use(true);
    let puts = 0;
    const wait = vi.spyOn(Atomics, "wait").mockImplementation(() => {
      if (puts++ === 0) server.dma.put(LIOBN, WINDOW, 3 * PAGE);
      return "timed-out";
    });
    try {
      expect(statusOf(() => client.dma.remove(LIOBN, pane))).toBe(H_BUSY);
    } finally {
      wait.mockRestore();
    }
    expect(puts).toBeGreaterThan(1);
    expect(client.usage().pins).toBe(0);
    expect(server.dma.get(LIOBN, WINDOW)?.address).toBe(3 * PAGE);
    await use(false);
    server.dma.remove(LIOBN, WINDOW);
    await worker.terminate();
  });

  test("KI4: a refused access of a device says where: LIOBN, bus address, length", () => {
    const { server } = openWindow();
    let error: HcallError | undefined;
    try {
      server.dma.device(LIOBN).read(BUS, 4);
    } catch (thrown) {
      error = thrown as HcallError;
    }
    expect(error?.message).toBe(`H_DMA_READ: H_PARAMETER (liobn 9, ioba ${BUS}, length 4)`);
  });
});
