/** Moving pages on request (section 12 of the contract): migrate() and compact(), and what no move may do to anybody. */
import { describe, expect, test } from "vitest";
import type { Cookie, Partition, ResourceTable } from "../src/index.js";
import { H_NO_MEM, H_PARAMETER, H_RESOURCE } from "../src/layout.js";
import {
  auditedAfterEach,
  bytesOf,
  displace,
  HOSTILE,
  join,
  openPair,
  openTable,
  PAGE,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

/** Where the pages of a partition's own memory stand, as frames. */
function framesOf(partition: Partition, pages: number): number[] {
  return Array.from({ length: pages }, (_, page) => partition.translate(page * PAGE) / PAGE);
}

function isConsecutive(frames: readonly number[]): boolean {
  return frames.every((frame, index) => frame === (frames[0] as number) + index);
}

/** Each page of the partition holds its own number. */
function number(partition: Partition, pages: number): void {
  for (let page = 0; page < pages; page++) partition.fill(page * PAGE, PAGE, page + 1);
}

function numbers(partition: Partition, address: number, pages: number): number[] {
  return Array.from({ length: pages }, (_, page) => {
    const bytes = partition.read(address + page * PAGE, PAGE);
    return bytes.every((byte) => byte === bytes[0]) ? (bytes[0] as number) : -1;
  });
}

describe("migrate", () => {
  test("a scattered range becomes one that a view can span; addresses, content and grants stay", async () => {
    const { server, client, adapter } = openPair();
    number(server, 8);
    for (const page of [1, 2, 5]) await displace(server, client, adapter, page * PAGE);
    const shared = client.accept(server.grant({ to: adapter, address: 0, length: 8 * PAGE }));
    expect(() => server.view(0, 8 * PAGE)).toThrow(expect.objectContaining({ code: "H_RESOURCE" }));
    expect(await server.migrate(0, 8 * PAGE)).toMatchObject({ pagesMoved: 8 });
    expect(isConsecutive(framesOf(server, 8))).toBe(true);
    expect(numbers(server, 0, 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(numbers(client, shared.address, 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    client.fill(shared.address, PAGE, 77);
    using view = server.view(0, 8 * PAGE);
    expect(view.bytes[0]).toBe(77);
  });

  test("what is together already does not move", async () => {
    const { server } = openPair();
    expect(await server.migrate(0, 16 * PAGE)).toEqual({ pagesMoved: 0, slices: 0 });
  });

  test("only what is not behind its first pages moves, where there is room behind them", async () => {
    const { server, client, adapter } = openPair({ serverPages: 2 });
    await displace(server, client, adapter, PAGE);
    const [first] = framesOf(server, 2) as [number, number];
    expect(await server.migrate(0, 2 * PAGE)).toMatchObject({ pagesMoved: 1 });
    expect(framesOf(server, 2)).toEqual([first, first + 1]);
    expect(client.usage()).toMatchObject({ quarantined: 0 });
  });

  test("G2: numbers that are none, ranges that are not its own memory: H_PARAMETER, nothing moves", async () => {
    const { server, client, adapter } = openPair();
    await displace(server, client, adapter, PAGE);
    const before = framesOf(server, 16);
    const mapping = client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
    for (const number of HOSTILE.filter((value) => value % PAGE !== 0 || value < 0 || value > 16 * PAGE)) {
      await expect(server.migrate(number, PAGE), `address ${number}`).rejects.toMatchObject({
        code: "H_PARAMETER",
      });
      await expect(server.migrate(0, number), `length ${number}`).rejects.toMatchObject({
        code: "H_PARAMETER",
      });
    }
    await expect(server.migrate(0, 0)).rejects.toMatchObject({ status: H_PARAMETER });
    await expect(server.migrate(0, 17 * PAGE)).rejects.toMatchObject({ status: H_PARAMETER });
    await expect(server.migrate(16 * PAGE, PAGE)).rejects.toMatchObject({ status: H_PARAMETER });
    await expect(client.migrate(mapping.address, PAGE)).rejects.toMatchObject({ status: H_PARAMETER });
    expect(framesOf(server, 16)).toEqual(before);
  });

  test("a view on the range: H_RESOURCE; no run of frames: H_NO_MEM; nothing moves", async () => {
    const { server, client, adapter } = openPair({ memory: 24 * PAGE });
    await displace(server, client, adapter, PAGE);
    const before = framesOf(server, 16);
    await expect(server.migrate(0, 16 * PAGE)).rejects.toMatchObject({ status: H_NO_MEM });
    using _view = server.view(2 * PAGE, PAGE);
    await expect(server.migrate(0, 3 * PAGE)).rejects.toMatchObject({ status: H_RESOURCE });
    expect(framesOf(server, 16)).toEqual(before);
  });

  test("a partition that has failed: H_RESCINDED", async () => {
    const { table, server } = openPair();
    table.fail(server);
    await expect(server.migrate(0, PAGE)).rejects.toMatchObject({ code: "H_RESCINDED" });
    await table.recovered(server);
  });

  test("an LMB boundary is none for moving", async () => {
    const { server, client, adapter } = openPair({ lmbPages: 4 });
    number(server, 16);
    await displace(server, client, adapter, 2 * PAGE);
    await server.migrate(0, 16 * PAGE);
    expect(isConsecutive(framesOf(server, 16))).toBe(true);
    expect(numbers(server, 0, 16)).toEqual(Array.from(bytesOf(16, 1)));
  });

  test("G5: a large range moves in slices, and a signal ends it between two", async () => {
    const pages = 2048;
    const { server, client, adapter } = openPair({ memory: 3 * pages * PAGE, serverPages: pages });
    await displace(server, client, adapter, PAGE);
    server.store32((pages - 1) * PAGE, 99);
    const controller = new AbortController();
    const migrating = server.migrate(0, pages * PAGE, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(migrating).rejects.toThrow("enough");
    expect(isConsecutive(framesOf(server, pages))).toBe(false);
    const report = await server.migrate(0, pages * PAGE);
    expect(report.slices).toBeGreaterThanOrEqual(4);
    expect(isConsecutive(framesOf(server, pages))).toBe(true);
    expect(server.load32((pages - 1) * PAGE)).toBe(99);
  });

  test("a hundred sharers, re-grants among them, all follow", async () => {
    const { table } = openTable({ memory: 256 * PAGE, partitions: 128, grants: 1024 });
    const server = table.createPartition({ name: "server", memory: 2 * PAGE });
    const sharers: { partition: Partition; address: number }[] = [];
    let above: { partition: Partition; address: number } = { partition: server, address: 0 };
    for (let index = 0; index < 100; index++) {
      const partition = table.createPartition({ name: `sharer ${index}` });
      const from = index % 3 === 2 ? above : { partition: server, address: 0 };
      const adapter = join({ table }, from.partition, partition);
      const cookie = from.partition.grant({ to: adapter, address: from.address, length: 2 * PAGE });
      above = { partition, address: partition.accept(cookie).address };
      sharers.push(above);
    }
    const other = table.createPartition({ name: "other" });
    await displace(server, other, join({ table }, server, other), PAGE);
    expect(await server.migrate(0, 2 * PAGE)).toMatchObject({ pagesMoved: expect.any(Number) });
    server.fill(0, 2 * PAGE, 5);
    for (const { partition, address } of sharers) expect(numbers(partition, address, 2)).toEqual([5, 5]);
  });
});

describe("compact", () => {
  function fill(table: ResourceTable, count: number, pages: number): Partition[] {
    return Array.from({ length: count }, (_, index) => {
      const partition = table.createPartition({ name: `p${index}`, memory: pages * PAGE });
      number(partition, pages);
      return partition;
    });
  }

  test("free memory in pieces becomes one piece; content and order stay", async () => {
    const { table } = openTable({ memory: 64 * PAGE });
    const partitions = fill(table, 16, 4);
    for (const [index, partition] of partitions.entries())
      if (index % 2 === 0) await table.destroyPartition(partition);
    const left = partitions.filter((_, index) => index % 2 === 1);
    const report = await table.compact();
    expect(report).toMatchObject({ pagesMoved: 32, largestFree: { before: 4 * PAGE, after: 32 * PAGE } });
    for (const partition of left) {
      expect(isConsecutive(framesOf(partition, 4))).toBe(true);
      expect(numbers(partition, 0, 4)).toEqual([1, 2, 3, 4]);
    }
    expect(await table.compact()).toMatchObject({ pagesMoved: 0 });
    // One LMB of all that is free, which had no room before.
    const large = table.createPartition({ name: "large", memory: 32 * PAGE });
    expect(isConsecutive(framesOf(large, 32))).toBe(true);
    // TR5: what others have left is zero.
    expect(numbers(large, 0, 32)).toEqual(Array(32).fill(0));
  });

  test("pages under views stay where they are", async () => {
    const { table } = openTable({ memory: 64 * PAGE });
    const partitions = fill(table, 4, 4) as [Partition, Partition, Partition, Partition];
    using view = partitions[3].view(PAGE, PAGE);
    const pinned = framesOf(partitions[3], 4)[1];
    await table.destroyPartition(partitions[0]);
    await table.compact();
    expect(framesOf(partitions[3], 4)[1]).toBe(pinned);
    expect(numbers(partitions[3], 0, 4)).toEqual([1, 2, 3, 4]);
    expect(view.bytes[0]).toBe(2);
  });

  test("grants stand through it, of partitions that have failed too", async () => {
    const { table, server, client, adapter, clock } = openPair({ serverPages: 4 });
    const first = table.createPartition({ name: "first", memory: PAGE });
    number(server, 4);
    const cookies: Cookie[] = [0, 1, 2, 3].map((page) =>
      server.grant({ to: adapter, address: page * PAGE, length: PAGE }),
    );
    const mappings = cookies.map((cookie) => client.accept(cookie));
    await table.destroyPartition(first);
    table.fail(server);
    await table.compact();
    expect(mappings.map(({ address }) => numbers(client, address, 1)[0])).toEqual([1, 2, 3, 4]);
    for (const mapping of mappings) mapping.return();
    clock.advance(2000);
    await table.recovered(server);
  });

  test("G5: others run also where nothing moves, and while deduplicate() finds nothing to merge", async () => {
    const { table } = openTable({ memory: 64 * PAGE, partitions: 20, logicalSpace: 16384 * PAGE });
    for (let i = 0; i < 20; i++) table.createPartition({ name: `p${i}` });
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    await table.compact();
    expect(turns).toBeGreaterThanOrEqual(20);
    turns = 0;
    await table.deduplicate();
    isOver = true;
    // A slice looks at 512 pages of a space.
    expect(turns).toBeGreaterThanOrEqual(20 * 32);
  });

  test("a table that is full, and an empty one", async () => {
    const { table } = openTable({ memory: 8 * PAGE });
    expect(await table.compact()).toMatchObject({
      pagesMoved: 0,
      largestFree: { before: 8 * PAGE, after: 8 * PAGE },
    });
    fill(table, 1, 8);
    expect(await table.compact()).toMatchObject({ pagesMoved: 0, largestFree: { before: 0, after: 0 } });
    expect(statusOf(() => table.createPartition({ name: "more", memory: PAGE }))).toBe(H_NO_MEM);
  });
});
