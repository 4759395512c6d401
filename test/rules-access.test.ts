/** Translation and checked access, rules TR1 to TR5 (1-semantics, section 8; DESIGN.md, 3.6). */
import { describe, expect, test, vi } from "vitest";
import { kernelOf } from "../src/kernel.js";
import {
  ENTRY_READ,
  ENTRY_WRITE,
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_FRAMES_AT,
  HEADER_STAGING_AT,
  HEADER_STAGING_PAGES,
  INHIBIT_READ,
  INHIBIT_WRITE,
  NEED_READ,
  NEED_WRITE,
  THREAD_EPOCH,
  THREAD_TRAY,
  THREAD_TRAY_BYTES,
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
  HOSTILE,
  join,
  openPair,
  openRow,
  openTable,
  PAGE,
  type Pair,
  SHARE,
  shared,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

/**
 * The client's memory: 0-3 its own, 4 read-write, 5 read-only, 6 write-only, 7 rescinded, 8 unmapped, 9 read-write,
 * and nothing to the end at 32. Physically 4 is the server's page 8, 5 its page 2: they do not adjoin.
 */
function openMixed(): Pair {
  const pair = openPair({ logicalSpace: 32 * PAGE });
  const { h, server, client, unit } = pair;
  expect(shared(h, server, unit, client, 8 * PAGE).address).toBe(4 * PAGE);
  shared(h, server, unit, client, 2 * PAGE, PAGE, SHARE | INHIBIT_WRITE);
  shared(h, server, unit, client, 5 * PAGE, PAGE, SHARE | INHIBIT_READ);
  const gone = shared(h, server, unit, client, 0);
  const hole = shared(h, server, unit, client, 0);
  expect(shared(h, server, unit, client, 4 * PAGE).address).toBe(9 * PAGE);
  expect(h.rescindLogical(server.lpid, 1, gone.cookie)).toBe(H_SUCCESS);
  expect(h.returnLogical(client.lpid, hole.cookie)).toBe(H_SUCCESS);
  return pair;
}

/** Start page, pages, need and the expected status of ranges over `openMixed`'s client. */
const RANGES = [
  [4, 1, 3, H_SUCCESS],
  [4, 2, 1, H_SUCCESS],
  [4, 2, 2, H_PERMISSION],
  [5, 1, 3, H_PERMISSION],
  [5, 2, 0, H_SUCCESS],
  [5, 2, 1, H_PERMISSION],
  [4, 3, 2, H_PERMISSION],
  [6, 1, 2, H_SUCCESS],
  [6, 2, 2, H_RESCINDED],
  [6, 2, 1, H_PERMISSION], // the first page that fails decides
  [7, 1, 0, H_RESCINDED],
  [7, 2, 0, H_RESCINDED],
  [7, 100, 0, H_RESCINDED],
  [8, 1, 0, H_PARAMETER],
  [8, 2, 0, H_PARAMETER],
  [9, 1, 3, H_SUCCESS],
  [9, 2, 0, H_PARAMETER],
  [31, 1, 0, H_PARAMETER],
  [32, 1, 0, H_PARAMETER],
  [33, 1, 0, H_PARAMETER],
  [2 ** 20, 1, 0, H_PARAMETER],
  [2 ** 32, 1, 0, H_PARAMETER],
] as const;

test("TR1, TR3: a few bytes that the core moves are what any number would be, or are left to that; from where there is room alone", () => {
  const { table, server, client } = openMixed();
  const { core, memory } = kernelOf(table);
  const gone = table.createPartition({ name: "gone" });
  table.fail(gone);
  const { bytes } = memory;
  const tray = memory.thread + THREAD_TRAY;
  const staging = memory.header(HEADER_STAGING_AT);
  const stagingEnd = staging + memory.header(HEADER_STAGING_PAGES) * PAGE;
  const inUse = (): boolean => memory.header(memory.thread + THREAD_EPOCH) !== 0;
  const seen = new Set<string>();
  const lengths = [0, 1, 64, PAGE, PAGE + 1];
  for (const lpid of [0, server.lpid, client.lpid, gone.lpid, gone.lpid + 1, -1, 2 ** 31]) {
    for (const page of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 31, 32, 2 ** 20 - 1]) {
      for (const [address, length] of lengths.flatMap((one) => [
        [page * PAGE, one] as const,
        [(page + 1) * PAGE - 1, one] as const,
      ])) {
        for (const need of [NEED_READ, NEED_WRITE]) {
          const what = `partition ${lpid}, address ${address}, length ${length}, need ${need}`;
          const any = need === NEED_READ ? core.loadMemory : core.storeMemory;
          bytes.fill(page + need, staging, staging + PAGE + 8);
          const few = core.moveFew(lpid, address, length, staging + 5, need);
          const moved = bytes.slice(staging, staging + PAGE + 8);
          bytes.fill(page + need, staging, staging + PAGE + 8);
          expect(inUse(), what).toBe(false);
          if (few === H_SUCCESS) {
            expect(any(lpid, address, length, staging + 5), what).toBe(H_SUCCESS);
            expect(Buffer.compare(moved, bytes.subarray(staging, staging + PAGE + 8)), what).toBe(0);
            seen.add(`${need} of ${length}`);
          } else expect(few, what).toBe(H_PARAMETER);
        }
      }
    }
  }
  expect([...seen].sort()).toEqual(["1 of 1", "1 of 4096", "1 of 64", "2 of 1", "2 of 4096", "2 of 64"]);
  const at = (place: number): number => core.moveFew(server.lpid, 0, 64, place, NEED_READ);
  expect([staging, stagingEnd - 64, tray, tray + THREAD_TRAY_BYTES - 64].map(at)).toEqual(
    Array(4).fill(H_SUCCESS),
  );
  const beside = [
    staging - 1,
    stagingEnd - 63,
    stagingEnd,
    tray - 1,
    tray + THREAD_TRAY_BYTES - 63,
    0,
    -1,
    -64,
  ];
  expect(beside.map(at)).toEqual(beside.map(() => H_PARAMETER));
  expect(core.beginUse(server.lpid, 0, 1, NEED_READ)).toBe(H_SUCCESS);
  expect([at(staging), inUse()]).toEqual([H_PARAMETER, true]);
  core.endUse();
});

test("TR1, TR3: a use of a few bytes, where there are other threads, begins where one of any length does", () => {
  const { table, server, client } = openMixed();
  const { core, memory } = kernelOf(table);
  const gone = table.createPartition({ name: "gone" });
  table.fail(gone);
  const begun = (lpid: number, page: number, last: number, need: number): number => {
    const status = core.beginUse(lpid, (page + 1) * PAGE - 1, last === page ? 1 : 2, need);
    if (status !== H_SUCCESS) return H_PARAMETER;
    core.endUse();
    const place = memory.result + 1 - PAGE - memory.header(HEADER_FRAMES_AT);
    return memory.result < 0 ? H_PARAMETER : place / PAGE;
  };
  expect(core.openUse(client.lpid, 0, 2, ENTRY_READ)).toBe(H_PARAMETER);
  expect(core.openUse(client.lpid, 1, 0, ENTRY_READ)).toBe(H_PARAMETER);
  for (const lpid of [0, server.lpid, client.lpid, gone.lpid, gone.lpid + 1, -1, 2 ** 31]) {
    for (const page of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 31, 32, 2 ** 20, -1]) {
      for (const [need, rights] of [
        [0, 0],
        [1, ENTRY_READ],
        [2, ENTRY_WRITE],
        [3, ENTRY_READ | ENTRY_WRITE],
      ] as const) {
        for (const last of [page, page + 1]) {
          const frame = core.openUse(lpid, page, last, rights);
          const isOpen = memory.header(memory.thread + THREAD_EPOCH) !== 0;
          core.endUse();
          const what = `partition ${lpid}, pages ${page} to ${last}, need ${need}`;
          expect(frame, what).toBe(begun(lpid, page, last, need));
          expect(isOpen, what).toBe(frame >= 0);
        }
      }
    }
  }
});

describe("TR1: translation", () => {
  test("TR1: unmapped and past the end H_PARAMETER, rescinded H_RESCINDED, right missing H_PERMISSION", () => {
    const { table, h, client } = openMixed();
    for (const [page, pages, need, status] of RANGES) {
      const call = (): number => h.translate(client.lpid, TYPE_MEMORY, page * PAGE, pages * PAGE, need);
      expect([page, pages, need, call()]).toEqual([page, pages, need, status]);
      expectRefused(table, status, call);
    }
  });

  test("TR1: the range ends at its last byte, not at the next page", () => {
    const { h, client } = openMixed();
    const call = (address: number, length: number): number =>
      h.translate(client.lpid, TYPE_MEMORY, address, length, 1);
    expect(call(6 * PAGE - 1, 1)).toBe(H_SUCCESS);
    expect(call(6 * PAGE - 1, 2)).toBe(H_PERMISSION);
    expect(call(4 * PAGE + 5, 2 * PAGE - 5)).toBe(H_SUCCESS);
    expect(call(4 * PAGE + 5, 2 * PAGE - 4)).toBe(H_PERMISSION);
    expect(call(0, 6 * PAGE)).toBe(H_SUCCESS);
    expect(call(9 * PAGE + 4095, 1)).toBe(H_SUCCESS);
    expect(call(9 * PAGE + 4095, 2)).toBe(H_PARAMETER);
  });

  test("TR1: the physical address is the owner's, byte by byte", () => {
    const { h, server, client } = openMixed();
    for (const [own, mapped] of [
      [8 * PAGE, 4 * PAGE],
      [8 * PAGE + 1, 4 * PAGE + 1],
      [2 * PAGE + 4095, 5 * PAGE + 4095],
      [5 * PAGE + 77, 6 * PAGE + 77],
      [4 * PAGE, 9 * PAGE],
    ] as const) {
      expect(h.translate(server.lpid, TYPE_MEMORY, own, 1, 3)).toBe(H_SUCCESS);
      const physical = h.r4;
      expect(h.translate(client.lpid, TYPE_MEMORY, mapped, 1, 0)).toBe(H_SUCCESS);
      expect(h.r4).toBe(physical);
      if (mapped < 6 * PAGE || mapped >= 7 * PAGE) expect(client.translate(mapped)).toBe(physical);
      else expect(client.translate(mapped, { write: true })).toBe(physical);
      expect(physical % PAGE).toBe(own % PAGE);
    }
  });

  test("TR1: physical pages of different owners are different", () => {
    const { server, client } = openMixed();
    const physical = new Set<number>();
    for (let page = 0; page < 16; page++) physical.add(server.translate(page * PAGE));
    for (let page = 0; page < 4; page++) physical.add(client.translate(page * PAGE));
    expect(physical.size).toBe(20);
  });

  test("TR1: hostile types, addresses, lengths, needs and partitions are H_PARAMETER", () => {
    const { table, h, client } = openPair();
    const { lpid } = client;
    for (const hostile of HOSTILE) {
      expectRefused(table, H_PARAMETER, () => h.translate(hostile, TYPE_MEMORY, 0, 1, 0));
      expectRefused(table, H_PARAMETER, () => h.translate(lpid, hostile, 0, 1, 0));
      expectRefused(table, H_PARAMETER, () => h.translate(lpid, TYPE_MEMORY, hostile, 1, 0));
      expectRefused(table, H_PARAMETER, () => h.translate(lpid, TYPE_MEMORY, 0, hostile, 0));
      expectRefused(table, H_PARAMETER, () => h.translate(lpid, TYPE_MEMORY, 0, 1, hostile));
    }
    for (const type of [0, 3, 7, 8, 0x11, 0x81, 256 + 1]) {
      expectRefused(table, H_PARAMETER, () => h.translate(lpid, type, 0, 1, 0));
    }
    for (const need of [4, 5, 7, 8]) {
      expectRefused(table, H_PARAMETER, () => h.translate(lpid, TYPE_MEMORY, 0, 1, need));
    }
    for (const length of [0, -0, -1]) {
      expectRefused(table, H_PARAMETER, () => h.translate(lpid, TYPE_MEMORY, 0, length, 0));
    }
    for (const [address, length] of [
      [2 ** 32 - 1, 2],
      [2 ** 44 - PAGE, 2 * PAGE],
      [2 ** 53 - 1, 2 ** 53 - 1],
      [1, 2 ** 53 - 1],
      [0, 2 ** 32],
      [0, 2 ** 44],
      [2 ** 32, 1],
      [2 ** 44, 1],
    ] as const) {
      expectRefused(table, H_PARAMETER, () => h.translate(lpid, TYPE_MEMORY, address, length, 0));
    }
  });

  test("TR1: a partition that is not running gets H_RESCINDED, one that does not exist H_PARAMETER", () => {
    const { table, h, client } = openPair();
    table.fail(client);
    expectRefused(table, H_RESCINDED, () => h.translate(client.lpid, TYPE_MEMORY, 0, 1, 0));
    expectRefused(table, H_RESCINDED, () => h.translate(client.lpid, 99, -1, 0, 99));
    expectRefused(table, H_PARAMETER, () => h.translate(client.lpid + 1, TYPE_MEMORY, 0, 1, 0));
    expectRefused(table, H_PARAMETER, () => h.translate(0, TYPE_MEMORY, 0, 1, 0));
    expectRefused(table, H_PARAMETER, () => h.translate(64 + 1, TYPE_MEMORY, 0, 1, 0));
    expect(statusOf(() => client.translate(0))).toBe(H_RESCINDED);
    expect(statusOf(() => client.read(0, 1))).toBe(H_RESCINDED);
  });

  test("TR1: the object's single translation answers as the hypercall does", () => {
    const { h, client } = openMixed();
    for (let page = 0; page < 34; page++) {
      for (const offset of [0, 1, 4095]) {
        for (const write of [false, true]) {
          const address = page * PAGE + offset;
          const status = h.translate(client.lpid, TYPE_MEMORY, address, 1, write ? 2 : 1);
          const physical = h.r4;
          expect(statusOf(() => client.translate(address, { write }))).toBe(status);
          if (status === H_SUCCESS) expect(client.translate(address, { write })).toBe(physical);
        }
      }
    }
    for (const address of [...HOSTILE, 2 ** 32 + 4 * PAGE, 2 ** 44 + 4 * PAGE]) {
      expect(statusOf(() => client.translate(address))).toBe(H_PARAMETER);
    }
  });

  test("TR1: a batch says the status of each element", () => {
    const { h, client } = openMixed();
    const addresses = [
      ...RANGES.map(([page]) => page * PAGE + 3),
      ...HOSTILE,
      4 * PAGE - 1,
      2 ** 44 + 4 * PAGE,
    ];
    for (const write of [false, true]) {
      using batch = client.createBatch(addresses.length);
      batch.addresses.set(addresses);
      const count = batch.run(addresses.length, { write });
      let good = 0;
      for (const [index, address] of addresses.entries()) {
        const status = h.translate(client.lpid, TYPE_MEMORY, address, 1, write ? 2 : 1);
        expect([address, batch.status[index]]).toEqual([address, status]);
        if (status !== H_SUCCESS) continue;
        good++;
        expect(batch.physical[index]).toBe(h.r4);
      }
      expect(count).toBe(good);
    }
  });

  test("TR1: whatever stands beside an element in a batch, each is answered as it is alone", () => {
    const { h, client } = openMixed();
    const good = [0, 4 * PAGE + 7, 9 * PAGE + PAGE - 1, 3 * PAGE];
    const bits = new DataView(new ArrayBuffer(8));
    const doubles = Array.from({ length: 300 }, (_, index) => {
      bits.setUint32(0, Math.imul(index + 1, 0x9e3779b1));
      bits.setUint32(4, Math.imul(index + 1, 0x85ebca6b));
      return bits.getFloat64(0);
    });
    const odd = [
      ...RANGES.map(([page]) => page * PAGE + 3),
      ...HOSTILE,
      -0,
      32 * PAGE - 1,
      32 * PAGE,
      // Pages whose low 32 bits are those of good ones, and longs whose low ones are.
      ...[2 ** 32, 2 ** 33, 2 ** 39, 2 ** 40 - 1].flatMap((pages) =>
        good.map((address) => pages * PAGE + address),
      ),
      2 ** 52,
      2 ** 52 + 1,
      -(2 ** 52),
      ...doubles,
    ];
    using batch = client.createBatch(8);
    for (const type of ["memory", "mmio", "interrupt"] as const) {
      for (const address of odd) {
        for (let place = 0; place < 8; place++) {
          const addresses = Array.from({ length: 8 }, (_, index) => good[index % 4] as number);
          addresses[place] = address;
          batch.addresses.set(addresses);
          batch.run(8, { type });
          for (const [index, one] of addresses.entries()) {
            const code = { memory: TYPE_MEMORY, mmio: TYPE_MMIO, interrupt: TYPE_INTERRUPT }[type];
            const status = h.translate(client.lpid, code, one, 1, 1);
            if (batch.status[index] !== status || (status === H_SUCCESS && batch.physical[index] !== h.r4))
              expect.fail(
                `${type}: ${addresses} answered ${batch.status[index]} at ${index}, alone ${status}`,
              );
          }
        }
      }
    }
  });

  test("TR1: a batch stops at the first fault if it is asked to", () => {
    const { client } = openMixed();
    using batch = client.createBatch(8);
    batch.addresses.set([0, 4 * PAGE, 7 * PAGE, 9 * PAGE, 5 * PAGE]);
    expect(batch.run(5, { stopAtFault: true })).toBe(2);
    expect([...batch.status.subarray(0, 3)]).toEqual([H_SUCCESS, H_SUCCESS, H_RESCINDED]);
    expect(batch.run(5)).toBe(4);
    expect([...batch.status.subarray(0, 5)]).toEqual([0, 0, H_RESCINDED, 0, 0]);
    expect(batch.run(2, { stopAtFault: true })).toBe(2);
    expect(batch.run(0)).toBe(0);
  });

  test("TR1, G1: a batch for writing copies what it translates, and nothing for an element that fails or is not looked at", () => {
    const { server, client } = openPair({ clientPages: 2 });
    const { address } = client.accept(
      server.grant({ to: client, address: 0, length: 8 * PAGE, copyOnWrite: true }),
    );
    using batch = client.createBatch(8);
    const run = (stopAtFault: boolean, ...addresses: readonly number[]): number[] => {
      batch.addresses.set(addresses);
      batch.run(addresses.length, { write: true, stopAtFault });
      return [client.usage().copies, ...batch.status.subarray(0, addresses.length)];
    };
    expect(run(false, address + 0.5)).toEqual([0, H_PARAMETER]);
    batch.status.fill(1);
    expect(run(true, 1e15, address + PAGE)).toEqual([0, H_PARAMETER, 1]);
    expect(run(true, address, 1e15, address + PAGE)).toEqual([1, H_SUCCESS, H_PARAMETER, 1]);
    expect(run(false, address, address + PAGE, address + PAGE, 1e15, address + 2 * PAGE)).toEqual([
      3,
      H_SUCCESS,
      H_SUCCESS,
      H_SUCCESS,
      H_PARAMETER,
      H_SUCCESS,
    ]);
    expect(batch.physical[2]).toBe(client.translate(address + PAGE, { write: true }));
    server.write(PAGE, Uint8Array.of(1));
    expect(client.read(address + PAGE, 1)[0]).toBe(0);
  });

  test("TR1: an element for whose copy no frame is free answers H_NO_MEM, as the single translation does", () => {
    const { server, client } = openPair({ memory: 21 * PAGE, serverPages: 16, clientPages: 4 });
    const { address } = client.accept(
      server.grant({ to: client, address: 0, length: 4 * PAGE, copyOnWrite: true }),
    );
    using batch = client.createBatch(4);
    batch.addresses.set([address, address + PAGE, 0, address + 2 * PAGE]);
    expect(batch.run(4, { write: true })).toBe(2);
    expect([...batch.status]).toEqual([H_SUCCESS, H_NO_MEM, H_SUCCESS, H_NO_MEM]);
    expect(statusOf(() => client.translate(address + PAGE, { write: true }))).toBe(H_NO_MEM);
    expect(batch.run(4, { write: true, stopAtFault: true })).toBe(1);
  });

  test("TR1: batches of every length around the block sizes agree with single translations", () => {
    const { h, client } = openMixed();
    const capacity = 300;
    using batch = client.createBatch(capacity);
    for (let index = 0; index < capacity; index++) batch.addresses[index] = ((index * 7) % 11) * PAGE + index;
    for (const length of [
      1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300,
    ]) {
      const good = batch.run(length);
      let expected = 0;
      for (let index = 0; index < length; index++) {
        const status = h.translate(client.lpid, TYPE_MEMORY, batch.addresses[index] ?? 0, 1, 1);
        expect(batch.status[index]).toBe(status);
        if (status !== H_SUCCESS) continue;
        expected++;
        expect(batch.physical[index]).toBe(h.r4);
      }
      expect(good).toBe(expected);
    }
    expect(() => batch.run(capacity + 1)).toThrow();
    expect(() => batch.run(-1)).toThrow();
    expect(() => batch.run(0.5)).toThrow();
  });

  test("TR1: batches of several partitions do not disturb each other, and end with their dispose", () => {
    const { server, client } = openMixed();
    const first = client.createBatch(10);
    const second = server.createBatch(10);
    first.addresses.fill(4 * PAGE);
    second.addresses.fill(8 * PAGE + 4);
    expect([first.run(10), second.run(10)]).toEqual([10, 10]);
    expect(first.physical[9]).toBe((second.physical[9] ?? 0) - 4);
    first[Symbol.dispose]();
    expect(second.run(10)).toBe(10);
    second[Symbol.dispose]();
  });

  test("TR1: a batch of a partition that failed answers H_RESCINDED as a whole", () => {
    const { table, client } = openMixed();
    using batch = client.createBatch(2);
    batch.addresses.set([0, 4 * PAGE]);
    expect(batch.run(2)).toBe(2);
    table.fail(client);
    expect(statusOf(() => batch.run(2))).toBe(H_RESCINDED);
  });
});

describe("TR2: cost", () => {
  test("TR2: a page translates in the same time at depth 1 and at depth 200", () => {
    const depth = 200;
    const { h, row, units } = openRow(depth + 1, {
      memory: 2048 * PAGE,
      partitions: depth + 1,
      logicalSpace: 64 * PAGE,
      spaces: { mmio: PAGE, dma: PAGE, interrupt: 1, ipi: 1 },
    });
    let address = 0;
    const addresses: number[] = [];
    for (let index = 0; index < depth; index++) {
      address = shared(h, at(row, index), at(units, index), at(row, index + 1), address).address;
      addresses.push(address);
    }
    const physical = at(row, 0).translate(0);
    expect(at(row, depth).translate(at(addresses, depth - 1))).toBe(physical);
    const measure = (index: number): number => {
      const { lpid } = at(row, index + 1);
      const start = performance.now();
      for (let round = 0; round < 20_000; round++) h.translate(lpid, TYPE_MEMORY, at(addresses, index), 1, 3);
      return performance.now() - start;
    };
    measure(0);
    measure(depth - 1);
    const shallow: number[] = [];
    const deep: number[] = [];
    for (let round = 0; round < 9; round++) {
      shallow.push(measure(0));
      deep.push(measure(depth - 1));
    }
    // Walking the chain would cost a hundred times as much; a busy machine does not make a factor of ten.
    expect(Math.min(...deep)).toBeLessThan(10 * Math.min(...shallow));
  });
});

/** How bytes in pieces are moved, whatever the platform has (TableMemory.leastMoved). */
const WAYS: readonly [way: string, leastMoved: number][] = [
  ["page by page", 1],
  ["through staging", Number.POSITIVE_INFINITY],
];

function moveBy({ table }: Pair, leastMoved: number): void {
  Object.assign(kernelOf(table).memory, { leastMoved });
}

describe("TR3: checked access", () => {
  test.each(WAYS)("TR3: reads and writes span pages that do not adjoin, %s", (_, leastMoved) => {
    const world = openPair();
    const { h, server, client, unit } = world;
    moveBy(world, leastMoved);
    for (const page of [9, 3, 12]) shared(h, server, unit, client, page * PAGE);
    const base = 4 * PAGE;
    const data = bytesOf(PAGE + 100, 5);
    client.write(base + PAGE - 50, data);
    expect(client.read(base + PAGE - 50, data.length)).toEqual(data);
    expect(server.read(9 * PAGE + PAGE - 50, 50)).toEqual(data.subarray(0, 50));
    expect(server.read(3 * PAGE, PAGE)).toEqual(data.subarray(50, 50 + PAGE));
    expect(server.read(12 * PAGE, 50)).toEqual(data.subarray(50 + PAGE));
    expect(server.read(12 * PAGE + 50, PAGE - 50)).toEqual(new Uint8Array(PAGE - 50));
    client.fill(base + PAGE - 2, PAGE + 4, 0xab);
    const around = server.read(12 * PAGE, 4);
    expect([...around.subarray(0, 2)]).toEqual([0xab, 0xab]);
    expect(around[2]).toBe(data[52 + PAGE]);
    expect([...server.read(9 * PAGE + PAGE - 3, 3)]).toEqual([data[47], 0xab, 0xab]);
    const target = new Uint8Array(10);
    client.readInto(base + PAGE - 5, target);
    expect([...target]).toEqual([...data.subarray(45, 48), ...Array.from({ length: 7 }, () => 0xab)]);
  });

  test.each(WAYS)(
    "TR3, RS4: what is rescinded within a use in pieces is refused there, %s",
    (_, leastMoved) => {
      const world = openPair();
      const { table, h, server, client, unit } = world;
      moveBy(world, leastMoved);
      const [, second] = [9, 3].map((page) => shared(h, server, unit, client, page * PAGE));
      const base = 4 * PAGE;
      client.write(base, bytesOf(2 * PAGE, 1));
      const { transfer } = kernelOf(table);
      const move = transfer.read.bind(transfer);
      vi.spyOn(transfer, "read").mockImplementationOnce((...args) => {
        expect(h.rescindLogical(server.lpid, 1, second?.cookie as number)).toBe(H_SUCCESS);
        move(...args);
      });
      expect(statusOf(() => client.readInto(base, new Uint8Array(2 * PAGE)))).toBe(H_RESCINDED);
      expect(server.read(3 * PAGE, PAGE)).toEqual(bytesOf(2 * PAGE, 1).subarray(PAGE));
    },
  );

  test("TR3: reads and writes of every few bytes, however they are aligned, move those and no others", () => {
    const { server } = openPair();
    const mirror = bytesOf(2 * PAGE, 3);
    server.write(0, mirror);
    const around = new Uint8Array(320);
    // Across a page boundary, and within a page.
    for (const base of [PAGE - 100, PAGE + 64]) {
      for (let length = 1; length < 290; length += length < 70 ? 1 : 13) {
        for (let distance = 0; distance < 8; distance++) {
          const from = base + distance;
          const source = around.subarray(length % 8).subarray(0, length);
          source.set(bytesOf(length, length + distance));
          server.write(from, source);
          mirror.set(source, from);
          around.fill(0xee);
          server.readInto(from, source);
          expect(Buffer.compare(source, mirror.subarray(from, from + length))).toBe(0);
          expect(around[(length % 8) + length]).toBe(0xee);
        }
      }
      expect(server.read(0, 2 * PAGE)).toEqual(mirror);
    }
  });

  test("TR3: a range that fails anywhere moves no byte", () => {
    const { server, client } = openMixed();
    const page4 = (): Uint8Array => server.read(8 * PAGE, PAGE);
    server.write(8 * PAGE, bytesOf(PAGE, 1));
    const before = page4();
    const source = bytesOf(2 * PAGE, 200);
    expect(statusOf(() => client.write(4 * PAGE, source))).toBe(H_PERMISSION); // page 5 is read-only
    expect(statusOf(() => client.fill(4 * PAGE, 2 * PAGE, 0))).toBe(H_PERMISSION);
    expect(statusOf(() => client.write(9 * PAGE, source))).toBe(H_PARAMETER); // page 10 is not there
    expect(statusOf(() => client.copy(0, client, 4 * PAGE, 2 * PAGE))).toBe(H_PERMISSION);
    expect(statusOf(() => client.copy(6 * PAGE, client, 4 * PAGE, 4))).toBe(H_PERMISSION); // not readable
    expect(statusOf(() => client.copy(7 * PAGE, client, 4 * PAGE, 4))).toBe(H_RESCINDED);
    expect(statusOf(() => client.copy(9 * PAGE, client, 4 * PAGE, 2 * PAGE))).toBe(H_PARAMETER);
    expect(page4()).toEqual(before);
    const target = bytesOf(2 * PAGE, 9);
    expect(statusOf(() => client.readInto(5 * PAGE, target))).toBe(H_PERMISSION); // page 6 is write-only
    expect(target).toEqual(bytesOf(2 * PAGE, 9));
    expect(server.read(4 * PAGE, 16)).toEqual(new Uint8Array(16));
  });

  test("TR3: the statuses of reads and writes are those of a translation with that need", () => {
    const { client } = openMixed();
    for (const [page, pages, need, status] of RANGES) {
      if (need === 0 || need === 3 || pages > 50) continue;
      const length = pages * PAGE;
      if (need === 1) expect(statusOf(() => client.read(page * PAGE, length))).toBe(status);
      else expect(statusOf(() => client.write(page * PAGE, new Uint8Array(length)))).toBe(status);
    }
    for (const hostile of HOSTILE) {
      expect(statusOf(() => client.read(hostile, 1))).toBe(H_PARAMETER);
      expect(statusOf(() => client.fill(hostile, 1, 0))).toBe(H_PARAMETER);
      expect(statusOf(() => client.write(hostile, new Uint8Array(1)))).toBe(H_PARAMETER);
      expect(statusOf(() => client.copy(hostile, client, 0, 1))).toBe(H_PARAMETER);
      expect(statusOf(() => client.copy(0, client, hostile, 1))).toBe(H_PARAMETER);
      expect(statusOf(() => client.load32(hostile))).toBe(H_PARAMETER);
      expect(statusOf(() => client.store32(hostile, 0))).toBe(H_PARAMETER);
    }
    const own = openPair().client;
    for (const hostile of HOSTILE) {
      // A length that is possible in itself fails as a range that is too long.
      expect(statusOf(() => own.fill(0, hostile, 0))).toBe(H_PARAMETER);
      expect(statusOf(() => own.copy(0, own, 0, hostile))).toBe(H_PARAMETER);
      expect(statusOf(() => own.read(0, hostile))).toBe(H_PARAMETER);
    }
  });

  test("TR3: nothing is read or written by a length of 0 inside the space", () => {
    const { client } = openMixed();
    expect(client.read(0, 0)).toEqual(new Uint8Array(0));
    client.write(0, new Uint8Array(0));
    client.fill(4 * PAGE, 0, 1);
    expect(statusOf(() => client.read(2 ** 40, 0))).toBe(H_PARAMETER);
  });

  test("TR3: a read is a private copy", () => {
    const { server } = openPair();
    server.write(0, bytesOf(8, 1));
    const copy = server.read(0, 8);
    copy.fill(0);
    expect(server.read(0, 8)).toEqual(bytesOf(8, 1));
    expect(copy.buffer).not.toBeInstanceOf(SharedArrayBuffer);
  });

  test("TR3: copies go between joined partitions, each side checked against its own space", () => {
    const { table, server, client } = openMixed();
    const stranger = table.createPartition({ name: "stranger", memory: PAGE });
    server.write(0, bytesOf(300, 2));
    server.copy(0, client, 100, 300);
    expect(client.read(100, 300)).toEqual(bytesOf(300, 2));
    client.copy(100, server, 3 * PAGE - 150, 300); // over a page border of the target
    expect(server.read(3 * PAGE - 150, 300)).toEqual(bytesOf(300, 2));
    expect(statusOf(() => server.copy(0, client, 5 * PAGE, 4))).toBe(H_PERMISSION);
    expect(statusOf(() => server.copy(0, client, 7 * PAGE, 4))).toBe(H_RESCINDED);
    expect(statusOf(() => server.copy(0, client, 8 * PAGE, 4))).toBe(H_PARAMETER);
    expect(statusOf(() => server.copy(0, stranger, 0, 4))).toBe(H_PARAMETER); // no adapter joins them
    expect(statusOf(() => client.copy(7 * PAGE, server, 2 ** 40, 4))).toBe(H_RESCINDED); // source first
    expect(stranger.read(0, 8)).toEqual(new Uint8Array(8));
  });

  test("TR3: overlapping copies keep the bytes, forwards and backwards, over pages", () => {
    const { server } = openPair();
    const data = bytesOf(3 * PAGE, 11);
    for (const [from, to] of [
      [100, 200],
      [200, 100],
      [PAGE - 10, PAGE + 10],
      [PAGE + 10, PAGE - 10],
      [0, 1],
      [1, 0],
      [50, 50],
    ] as const) {
      server.write(0, data);
      server.copy(from, server, to, PAGE + 500);
      const expected = data.slice();
      expected.copyWithin(to, from, from + PAGE + 500);
      expect(server.read(0, 3 * PAGE)).toEqual(expected);
    }
  });

  test("TR3: a copy between two mappings of the same frames is as memmove, too", () => {
    const { h, server, client, unit } = openPair();
    const data = bytesOf(3 * PAGE, 11);
    const { address } = shared(h, server, unit, client, 0, 3 * PAGE);
    const second = shared(h, server, unit, client, 0, 3 * PAGE);
    for (const [from, to] of [
      [0, 64],
      [64, 0],
    ] as const) {
      server.write(0, data);
      client.copy(address + from, client, second.address + to, 2 * PAGE);
      const expected = data.slice();
      expected.copyWithin(to, from, from + 2 * PAGE);
      expect(server.read(0, 3 * PAGE)).toEqual(expected);
    }
  });

  test("TR3: 32-bit access is little-endian, aligned, unsigned, and seen by all sharers", () => {
    const { h, server, client, unit } = openPair();
    const { address } = shared(h, server, unit, client, 0);
    client.store32(address + 8, 0xfedcba98);
    expect(server.load32(8)).toBe(0xfedcba98);
    expect([...server.read(8, 4)]).toEqual([0x98, 0xba, 0xdc, 0xfe]);
    for (const offset of [1, 2, 3, 5, 4093, 4094, 4095]) {
      expect(statusOf(() => client.load32(address + offset))).toBe(H_PARAMETER);
      expect(statusOf(() => client.store32(address + offset, 1))).toBe(H_PARAMETER);
      expect(statusOf(() => client.add32(address + offset, 1))).toBe(H_PARAMETER);
      expect(statusOf(() => client.compareExchange32(address + offset, 0, 1))).toBe(H_PARAMETER);
    }
    client.store32(address + 4092, 5);
    expect(server.load32(4092)).toBe(5);
  });

  test("TR3: compare-and-swap answers the old value and swaps only on equality; add wraps", () => {
    const { server } = openPair();
    server.store32(0, 10);
    expect(server.compareExchange32(0, 11, 99)).toBe(10);
    expect(server.load32(0)).toBe(10);
    expect(server.compareExchange32(0, 10, 99)).toBe(10);
    expect(server.load32(0)).toBe(99);
    expect(server.add32(0, 1)).toBe(99);
    expect(server.load32(0)).toBe(100);
    server.store32(0, 0xffffffff);
    expect(server.compareExchange32(0, 0xffffffff, 0xfffffffe)).toBe(0xffffffff);
    expect(server.add32(0, 3)).toBe(0xfffffffe);
    expect(server.load32(0)).toBe(1);
  });
});

describe("TR4: views", () => {
  test("TR4: a view is the memory itself, both ways, and pins until it is released", () => {
    const { h, server, client, unit } = openPair();
    const { address } = shared(h, server, unit, client, 0, 2 * PAGE);
    const view = client.view(address + 100, PAGE);
    expect(view.bytes).toBeInstanceOf(Uint8Array);
    expect(view.bytes.length).toBe(PAGE);
    view.bytes[0] = 42;
    expect(server.read(100, 1)[0]).toBe(42);
    server.write(101, Uint8Array.of(43));
    expect(view.bytes[1]).toBe(43);
    expect(client.usage().pins).toBeGreaterThan(0);
    view.release();
    expect(client.usage().pins).toBe(0);
    {
      using again = client.view(address, 1);
      expect(again.bytes[0]).toBe(0);
      expect(client.usage().pins).toBe(1);
    }
    expect(client.usage().pins).toBe(0);
  });

  test("TR4: a range that is not physically contiguous cannot be viewed, and pins nothing", () => {
    const { h, server, client, unit } = openPair();
    shared(h, server, unit, client, 9 * PAGE);
    shared(h, server, unit, client, 3 * PAGE);
    expect(client.translate(4 * PAGE) + PAGE).not.toBe(client.translate(5 * PAGE));
    expect(statusOf(() => client.view(4 * PAGE, 2 * PAGE))).toBe(H_RESOURCE);
    expect(statusOf(() => client.view(5 * PAGE - 1, 2))).toBe(H_RESOURCE);
    expect(client.usage().pins).toBe(0);
    client.view(4 * PAGE, PAGE).release();
  });

  test("TR4: a view asks for the rights and the range as any access does", () => {
    const { client } = openMixed();
    const both = client.view(4 * PAGE, PAGE);
    both.release();
    // A Uint8Array cannot be read-only, so a view needs both rights.
    expect(statusOf(() => client.view(5 * PAGE, PAGE))).toBe(H_PERMISSION);
    expect(statusOf(() => client.view(6 * PAGE, PAGE))).toBe(H_PERMISSION);
    expect(statusOf(() => client.view(7 * PAGE, PAGE))).toBe(H_RESCINDED);
    expect(statusOf(() => client.view(8 * PAGE, PAGE))).toBe(H_PARAMETER);
    expect(statusOf(() => client.view(9 * PAGE, PAGE + 1))).toBe(H_PARAMETER);
    for (const hostile of HOSTILE) {
      expect(statusOf(() => client.view(hostile, 1))).toBe(H_PARAMETER);
      expect(statusOf(() => openPair().client.view(0, hostile))).toBe(H_PARAMETER);
    }
    expect(client.usage().pins).toBe(0);
  });
});

describe("TR5: no old content", () => {
  test("TR5: a page of a new partition is zero, also where another partition's memory was", async () => {
    const { table } = openTable({ memory: 8 * PAGE });
    const first = table.createPartition({ name: "first", memory: 8 * PAGE });
    expect(first.read(0, 8 * PAGE)).toEqual(new Uint8Array(8 * PAGE));
    first.fill(0, 8 * PAGE, 0xff);
    await table.destroyPartition(first);
    const second = table.createPartition({ name: "second", memory: 8 * PAGE });
    expect(second.read(0, 8 * PAGE)).toEqual(new Uint8Array(8 * PAGE));
  });

  test("TR5: a restarted partition finds its memory zero-filled", async () => {
    const { table } = openTable({ memory: 4 * PAGE });
    const partition = table.createPartition({ name: "one", memory: 4 * PAGE });
    partition.fill(0, 4 * PAGE, 0x5a);
    table.fail(partition);
    await table.recovered(partition);
    table.restart(partition);
    expect(partition.read(0, 4 * PAGE)).toEqual(new Uint8Array(4 * PAGE));
  });
});

describe("translation of the other spaces", () => {
  test("TR1: MMIO, interrupts and ports translate to their physical numbers, checked the same way", () => {
    const { table, h, server, client, unit } = openPair({ spaces: { mmio: 16 * PAGE, interrupt: 8 } });
    table.assign(server, { type: "mmio", address: 2 * PAGE, length: 4 * PAGE, physical: 100 * PAGE });
    table.assign(server, { type: "interrupt", address: 3, length: 4, physical: 1000 });
    const window = granted(h, server.lpid, unit, 4 * PAGE, PAGE, TYPE_MMIO | INHIBIT_WRITE);
    const address = accepted(h, client.lpid, window);
    expect(h.translate(client.lpid, TYPE_MMIO, address + 20, 1, 1)).toBe(H_SUCCESS);
    expect(h.r4).toBe(102 * PAGE + 20);
    expect(h.translate(client.lpid, TYPE_MMIO, address + 20, 1, 2)).toBe(H_PERMISSION);
    const source = accepted(h, client.lpid, granted(h, server.lpid, unit, 5, 1, TYPE_INTERRUPT));
    expect(h.translate(client.lpid, TYPE_INTERRUPT, source, 1, 3)).toBe(H_SUCCESS);
    expect(h.r4).toBe(1002);
    expect(client.translate(source, { type: "interrupt" })).toBe(1002);
    expect(h.translate(server.lpid, TYPE_INTERRUPT, 3, 4, 0)).toBe(H_SUCCESS);
    expect(h.translate(server.lpid, TYPE_INTERRUPT, 3, 5, 0)).toBe(H_PARAMETER);
    expect(h.translate(server.lpid, TYPE_INTERRUPT, 8, 1, 0)).toBe(H_PARAMETER);
    expect(h.translate(server.lpid, TYPE_MMIO, 16 * PAGE, 1, 0)).toBe(H_PARAMETER);
    using batch = client.createBatch(2);
    batch.addresses.set([address, address + PAGE]);
    expect(batch.run(2, { type: "mmio" })).toBe(1);
    expect([...batch.status.subarray(0, 2)]).toEqual([H_SUCCESS, H_PARAMETER]);
    expect(batch.physical[0]).toBe(102 * PAGE);
  });

  test("TR1: two LMBs that adjoin logically are one range for access, though two for grants", () => {
    const world = openTable();
    const a = world.table.createPartition({ name: "a", memory: 4 * PAGE, lmb: 2 * PAGE });
    const b = world.table.createPartition({ name: "b", memory: PAGE });
    const { unitAddress } = join(world, a, b);
    expect(world.h.translate(a.lpid, TYPE_MEMORY, 0, 4 * PAGE, 3)).toBe(H_SUCCESS);
    a.write(2 * PAGE - 4, bytesOf(8, 1));
    expect(a.read(2 * PAGE - 4, 8)).toEqual(bytesOf(8, 1));
    const across = (): number => world.h.grantLogical(a.lpid, SHARE, 0, PAGE, 2 * PAGE, unitAddress);
    expectRefused(world.table, H_PARAMETER, across);
  });
});
