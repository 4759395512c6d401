/** Tables made with `threads: 0`: their memory is an ordinary ArrayBuffer, no thread can join, and every rule holds as elsewhere. */
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { bindMemory, GUEST_ABI, type Partition, ResourceTable } from "../src/index.js";
import { H_RESCINDED, PAGE_BYTES } from "../src/layout.js";
import { auditedAfterEach, openPair, type Pair, statusOf } from "./support/world.js";

auditedAfterEach();

function open(): Pair {
  return openPair({ threads: 0, memory: 512 * PAGE_BYTES, serverPages: 300 });
}

/** A client's mapping of the server's pages, the last ones first, so that no two are in one piece. */
function acceptScattered({ server, client, unit }: Pair, pages: number): number {
  const cookies = Array.from({ length: pages }, (_, page) =>
    server.grant({ to: unit, address: (pages - 1 - page) * PAGE_BYTES, length: PAGE_BYTES }),
  );
  const [first] = cookies.map((cookie) => client.accept(cookie).address);
  return first as number;
}

test("TR4: a view is of an ordinary ArrayBuffer, which whatever refuses shared memory takes", async () => {
  const { server, client, unit } = open();
  server.write(0, new TextEncoder().encode("hello"));
  const { address } = client.accept(server.grant({ to: unit, address: 0, length: PAGE_BYTES }));
  const view = client.view(address, 5);
  expect(view.bytes.buffer).toBeInstanceOf(ArrayBuffer);
  expect(new TextDecoder().decode(view.bytes)).toBe("hello");
  expect(await new Blob([view.bytes as Uint8Array<ArrayBuffer>]).text()).toBe("hello");
  crypto.getRandomValues(view.bytes as Uint8Array<ArrayBuffer>);
  expect(server.read(0, 5)).toEqual(view.bytes.slice());
  // Nobody takes the table's memory away by handing it on: a buffer of WebAssembly's is copied then, or that is refused.
  try {
    structuredClone(view.bytes, { transfer: [view.bytes.buffer as ArrayBuffer] });
  } catch {}
  expect(view.bytes).toHaveLength(5);
  expect(server.read(0, 5)).toEqual(view.bytes.slice());
  view.release();
});

test("TR4: of a table that threads can join it is of shared memory", () => {
  const { server } = openPair({ threads: 1 });
  const view = server.view(0, 5);
  expect(view.bytes.buffer).toBeInstanceOf(SharedArrayBuffer);
  view.release();
});

const LENGTHS = [0, 1, 31, 32, 33, 64, 65, 255, 256, 257, 4095, 4096, 4097, 65_535, 65_536, 69_889, 250_000];
const OFFSETS = [0, 3, 16, 1000, 4095];

/** Whatever moves bytes by a partition's addresses. */
interface Mover {
  read(address: number, target: Uint8Array): void;
  write(address: number, source: Uint8Array): void;
}

function byPartition(partition: Partition): Mover {
  return {
    read: (address, target) => partition.readInto(address, target),
    write: (address, source) => partition.write(address, source),
  };
}

/** Of a guest's memory, in which the bytes lie 5 after the beginning. */
function byGuest(partition: Partition): Mover {
  const memory = new WebAssembly.Memory({ initial: 5 });
  const imports = partition.imports();
  bindMemory(imports, memory);
  const calls = imports[GUEST_ABI] as unknown as Record<string, (...args: number[]) => number>;
  const bytes = new Uint8Array(memory.buffer);
  return {
    read: (address, target) => {
      expect(calls.read?.(address, 5, target.length)).toBe(0);
      target.set(bytes.subarray(5, 5 + target.length));
    },
    write: (address, source) => {
      bytes.set(source, 5);
      expect(calls.write?.(address, 5, source.length)).toBe(0);
    },
  };
}

test.each([
  ["a partition", byPartition, false],
  ["a partition whose pages lie apart", byPartition, true],
  ["a guest", byGuest, false],
  ["a guest whose pages lie apart", byGuest, true],
] as const)(
  "TR3: %s reads and writes those bytes and no others, however many and wherever",
  (_, by, isScattered) => {
    const pair = open();
    const partition = isScattered ? pair.client : pair.server;
    const base = isScattered ? acceptScattered(pair, 64) : 0;
    const pages = 64;
    const expected = new Uint8Array(pages * PAGE_BYTES).map((_, index) => index * 7 + (index >>> 8) * 3);
    partition.write(base, expected);
    const mover = by(partition);
    let seed = 1;
    for (const length of LENGTHS) {
      for (const offset of OFFSETS) {
        const target = new Uint8Array(length);
        mover.read(base + offset, target);
        expect(
          Buffer.compare(target, expected.subarray(offset, offset + length)),
          `read ${length} at ${offset}`,
        ).toBe(0);
        const source = new Uint8Array(length).map((_, index) => index * 13 + seed);
        seed++;
        mover.write(base + offset, source);
        expected.set(source, offset);
        expect(
          Buffer.compare(partition.read(base, expected.length), expected),
          `written ${length} at ${offset}`,
        ).toBe(0);
      }
    }
  },
);

test("RS4: a rescinded mapping is read and written no more, whatever the length", async () => {
  const pair = open();
  const { server, client, unit } = pair;
  const cookie = server.grant({ to: unit, address: 0, length: 2 * PAGE_BYTES });
  const { address } = client.accept(cookie);
  await server.rescindForced(cookie);
  for (const length of [1, 300, PAGE_BYTES, PAGE_BYTES + 1]) {
    expect(statusOf(() => client.read(address, length))).toBe(H_RESCINDED);
    expect(statusOf(() => client.write(address, new Uint8Array(length)))).toBe(H_RESCINDED);
  }
});

test("FA5: no thread can join, which spawn() and attach() say, and nothing has changed", async () => {
  const { table, server, client } = open();
  const before = table.inspect();
  const refusal = { code: "LPAR_UNSUPPORTED", message: expect.stringContaining("threads: 0") };
  await expect(table.spawn(client, new URL("data:text/javascript,"))).rejects.toMatchObject(refusal);
  const worker = new Worker("setInterval(() => {}, 1000)", { eval: true });
  expect(() => table.attach(server, worker)).toThrow(expect.objectContaining(refusal));
  await worker.terminate();
  expect({ ...table.inspect(), at: 0 }).toEqual({ ...before, at: 0 });
  expect([server.state, client.state]).toEqual(["running", "running"]);
});

test("events come by events() and takeEvent(); waitEvent() does not block the only thread that could cause one", async () => {
  const { server, client, unit } = open();
  const cookie = server.grant({ to: unit, address: 0, length: PAGE_BYTES });
  client.accept(cookie);
  expect(server.waitEvent(0)).toBeUndefined();
  expect(() => server.waitEvent(10)).toThrow(
    expect.objectContaining({ code: "LPAR_UNSUPPORTED", message: expect.stringContaining("threads: 0") }),
  );
  client.return(cookie);
  expect(server.waitEvent(10)).toMatchObject({ type: "returned", cookie });
  client.accept(cookie);
  setTimeout(() => client.return(cookie), 1);
  for await (const { type } of server.events()) {
    expect(type).toBe("returned");
    break;
  }
});

test("a module compiled for shared memory is refused with threads: 0, and so are numbers out of range", () => {
  const memory = PAGE_BYTES;
  const module = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  expect(() => ResourceTable.create({ memory, threads: 0, module })).toThrow(RangeError);
  expect(() => ResourceTable.create({ memory, threads: 0, module })).toThrow(
    /^module is given, with threads: 0$/,
  );
  for (const threads of [-1, 1023, 0.5, Number.NaN]) {
    expect(() => ResourceTable.create({ memory, threads })).toThrow(/^threads is .*from 0 to 1022/);
  }
});
