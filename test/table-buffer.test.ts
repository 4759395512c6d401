/** Buffers in the table's memory: what Partition.read() and write() do, by the core alone (TR1, TR3). */
import { describe, expect, test } from "vitest";
import { LparError, type Partition, type TableBuffer } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_NO_MEM, H_PARAMETER, H_PERMISSION, H_RESCINDED, H_SUCCESS, THREAD_EPOCH } from "../src/layout.js";
import { auditedAfterEach, bytesOf, HOSTILE, openPair, openTable, PAGE, statusOf } from "./support/world.js";

auditedAfterEach();

const LENGTH = 4 * PAGE;

interface Mirrored {
  readonly client: Partition;
  /** Of the client's memory what it holds. */
  readonly mirror: Uint8Array;
  readonly address: number;
}

/** Eight pages of the server's, the client's in pairs that are in sequence and apart from each other. */
function openMirrored(threads?: number): Mirrored {
  const { server, client, adapter } = openPair({ ...(threads === undefined ? {} : { threads }) });
  const mappings = [8, 2, 12, 6].map((page) =>
    client.accept(server.grant({ to: adapter, address: page * PAGE, length: 2 * PAGE })),
  );
  const address = mappings[0]?.address as number;
  const mirror = bytesOf(8 * PAGE, 3);
  client.write(address, mirror);
  return { client, mirror, address };
}

/** Both ways, for a range of the memory and a place of the buffer; all that lies beside is looked at, too. */
function move(
  { client, mirror, address }: Mirrored,
  buffer: TableBuffer,
  from: number,
  length: number,
): void {
  const place = (from * 7) % 64;
  const before = bytesOf(buffer.bytes.length, from + length);
  buffer.bytes.set(before);
  buffer.read(address + from, length, place);
  before.set(mirror.subarray(from, from + length), place);
  expect(Buffer.compare(buffer.bytes, before)).toBe(0);
  const source = bytesOf(length, length);
  buffer.bytes.set(source, place);
  buffer.write(address + from, length, place);
  mirror.set(source, from);
  expect(Buffer.compare(client.read(address, mirror.length), mirror)).toBe(0);
}

describe("TR3: buffers in the table's memory", () => {
  test.each([
    ["with one thread", 1],
    ["whose memory is not shared", 0],
  ])("TR3: they move what a read and a write move, and no byte beside, in a table %s", (_, threads) => {
    const world = openMirrored(threads);
    using buffer = world.client.createBuffer(LENGTH);
    const lengths = [1, 2, 7, 8, 63, 64, 65, 2047, 2048, 2049, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE];
    for (const length of lengths)
      for (const from of [0, 1, 31, 33, PAGE - 1, PAGE, 2 * PAGE - 9, 2 * PAGE - 1, 3 * PAGE + 5])
        move(world, buffer, from, length);
  });

  test("TR3: at every distance of the two places in their pages", () => {
    const world = openMirrored();
    using buffer = world.client.createBuffer(LENGTH);
    for (let distance = -34; distance <= 34; distance++) {
      buffer.read(world.address + PAGE, 2 * PAGE + 100, 100 + distance);
      const moved = buffer.bytes.slice(100 + distance, 200 + distance + 2 * PAGE);
      expect(Buffer.compare(moved, world.mirror.subarray(PAGE, 3 * PAGE + 100))).toBe(0);
    }
  });

  test("TR3: without a length it is all of the buffer, which is zero at first, from its beginning on", () => {
    const { client, mirror, address } = openMirrored();
    const first = client.createBuffer(100);
    first.read(address);
    expect(first.bytes).toEqual(mirror.subarray(0, 100));
    first[Symbol.dispose]();
    using second = client.createBuffer(100);
    expect(second.bytes).toEqual(new Uint8Array(100));
    second.write(address);
    expect(client.read(address, 101)).toEqual(Uint8Array.of(...new Uint8Array(100), mirror[100] as number));
  });

  test("TR3, TR4: what a read gave is a copy, and nothing is written before write()", () => {
    const { client, mirror, address } = openMirrored();
    using buffer = client.createBuffer(8);
    buffer.read(address);
    client.fill(address, 8, 0xee);
    expect(buffer.bytes).toEqual(mirror.subarray(0, 8));
    buffer.bytes.fill(1);
    expect(client.read(address, 8)).toEqual(new Uint8Array(8).fill(0xee));
  });

  test("TR1, TR3: a range that fails anywhere is refused as a read or a write of it is, and moves no byte", () => {
    const { server, client, adapter } = openPair();
    const grant = (page: number, rights: object = {}): number =>
      client.accept(server.grant({ to: adapter, address: page * PAGE, length: PAGE, ...rights })).address;
    const both = grant(8);
    expect(grant(2, { write: false })).toBe(both + PAGE);
    expect(grant(5, { read: false })).toBe(both + 2 * PAGE);
    server.write(8 * PAGE, bytesOf(PAGE, 1));
    using buffer = client.createBuffer(LENGTH);
    const before = bytesOf(LENGTH, 9);
    buffer.bytes.set(before);
    const refused: readonly [call: () => void, status: number][] = [
      [() => buffer.write(both, 2 * PAGE), H_PERMISSION],
      [() => buffer.write(both + PAGE - 4, 8), H_PERMISSION],
      [() => buffer.read(both + PAGE, 2 * PAGE), H_PERMISSION],
      [() => buffer.read(both + 2 * PAGE, 1), H_PERMISSION],
      [() => buffer.write(both + 3 * PAGE, 1), H_PARAMETER],
      [() => buffer.write(both + 2 * PAGE, 2 * PAGE), H_PARAMETER],
      ...HOSTILE.filter(
        (address) => !(address >= 0 && address < 4 * PAGE && Number.isInteger(address)),
      ).flatMap((address): [() => void, number][] => [
        [() => buffer.read(address, 1), H_PARAMETER],
        [() => buffer.write(address, 3 * PAGE), H_PARAMETER],
      ]),
    ];
    for (const [call, status] of refused) expect([`${call}`, statusOf(call)]).toEqual([`${call}`, status]);
    expect(() => buffer.write(both + PAGE - 4, 8)).toThrow(
      `H_WRITE: H_PERMISSION (address ${both + PAGE - 4}, length 8)`,
    );
    expect(Buffer.compare(buffer.bytes, before)).toBe(0);
    expect(server.read(8 * PAGE, PAGE)).toEqual(bytesOf(PAGE, 1));
  });

  test("TR3, RS4: what was rescinded by force is refused, and so is everything of a partition that failed", async () => {
    const { table, server, client, adapter } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const { address } = client.accept(cookie);
    using buffer = client.createBuffer(PAGE);
    buffer.read(address);
    await server.rescindForced(cookie);
    expect(statusOf(() => buffer.read(address))).toBe(H_RESCINDED);
    expect(statusOf(() => buffer.write(address))).toBe(H_RESCINDED);
    buffer.read(0);
    table.fail(client);
    expect(statusOf(() => buffer.read(0))).toBe(H_RESCINDED);
  });

  test("G4: one of a destroyed partition reaches nothing of the partition that has its number now", async () => {
    const { table } = openTable();
    const old = table.createPartition({ name: "old", memory: PAGE });
    using buffer = old.createBuffer(PAGE);
    await table.destroyPartition(old);
    const heir = table.createPartition({ name: "heir", memory: PAGE });
    expect(heir.lpid).toBe(old.lpid);
    expect(statusOf(() => buffer.read(0))).toBe(H_PARAMETER);
    expect(statusOf(() => buffer.write(0, 8))).toBe(H_PARAMETER);
  });

  test("GR1, TR3: the first write to a copy-on-write page through one reaches the client's copy alone", () => {
    const { server, client } = openPair();
    server.write(0, bytesOf(2 * PAGE, 1));
    const { address } = client.accept(
      server.grant({ to: client, address: 0, length: 2 * PAGE, copyOnWrite: true }),
    );
    using buffer = client.createBuffer(64);
    buffer.bytes.fill(7);
    buffer.write(address + PAGE - 32);
    expect(server.read(0, 2 * PAGE)).toEqual(bytesOf(2 * PAGE, 1));
    expect(client.read(address + PAGE - 32, 64)).toEqual(new Uint8Array(64).fill(7));
  });

  test("RS4: with other threads a use runs for as long as it takes, and no longer", () => {
    const { table, client } = openPair();
    const { core, memory } = kernelOf(table);
    expect(core.openThread(client.lpid)).toBe(H_SUCCESS);
    const slot = memory.result;
    using buffer = client.createBuffer(3 * PAGE);
    for (const length of [8, 3 * PAGE]) {
      for (const address of [0, 2 ** 40]) {
        statusOf(() => buffer.read(address, length));
        statusOf(() => buffer.write(address, length));
        expect(memory.header(memory.thread + THREAD_EPOCH)).toBe(0);
      }
    }
    expect(core.reapThread(slot)).toBe(H_SUCCESS);
  });

  test("TR3: places that are not within it are refused, naming what may be", () => {
    const { client } = openPair();
    using buffer = client.createBuffer(100);
    expect(() => buffer.read(0, 101)).toThrow(
      new RangeError("length is 101; it must be an integer from 0 to 100"),
    );
    expect(() => buffer.write(0, 51, 50)).toThrow(
      new RangeError("length is 51; it must be an integer from 0 to 50"),
    );
    expect(() => buffer.read(0, 1, 101)).toThrow(
      new RangeError("at is 101; it must be an integer from 0 to 100"),
    );
    for (const hostile of [-1, 0.5, Number.NaN, 2 ** 32, 2 ** 53]) {
      expect(() => buffer.read(0, hostile)).toThrow(RangeError);
      expect(() => buffer.write(0, 1, hostile)).toThrow(RangeError);
      expect(() => client.createBuffer(hostile)).toThrow(RangeError);
    }
    buffer.read(0, 0, 100);
    expect(() => client.createBuffer(0)).toThrow(RangeError);
  });

  test("TR3: what is disposed gives its memory back, and neither reads nor writes", () => {
    const { client } = openPair({ staging: 2 * PAGE });
    const buffer = client.createBuffer(2 * PAGE);
    expect(statusOf(() => client.createBuffer(1))).toBe(H_NO_MEM);
    buffer[Symbol.dispose]();
    buffer[Symbol.dispose]();
    expect(buffer.bytes).toHaveLength(0);
    using other = client.createBuffer(2 * PAGE);
    expect(() => buffer.read(0, 0)).toThrow(new LparError("LPAR_RELEASED", "it was disposed"));
    expect(() => buffer.write(0)).toThrow("it was disposed");
    expect(other.bytes).toHaveLength(2 * PAGE);
  });
});
