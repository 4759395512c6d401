/** Copies between a table's memory and arrays: each way that they take, with each length on both sides of its bounds. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { TableMemory } from "../src/binding.js";
import type * as Copy from "../src/copy.js";
import type { Partition } from "../src/index.js";
import { H_PARAMETER, H_SUCCESS, PAGE_BYTES } from "../src/layout.js";
import type * as Platform from "../src/platform.js";
import { stagedAt } from "../src/transfer.js";
import { Views } from "../src/views.js";
import { auditedAfterEach, openTable, statusOf } from "./support/world.js";

auditedAfterEach();

const BYTES = 256 * 1024;
const LENGTHS = [0, 1, 256, 257, 2048, 2049, 65_535, 65_536, 65_537, 69_887, 69_888, 69_889, 100_000];
/** In the table's memory, and in the array's. */
const PLACES: readonly (readonly [number, number])[] = [
  [PAGE_BYTES, 0],
  [PAGE_BYTES, 16],
  [PAGE_BYTES, 3],
  [PAGE_BYTES + 16, 0],
  [1001, 3002],
  [1003, 2],
];

/** Makes memories grow byte by byte, no faster than somebody can copy what there is. */
const GROWER = `
  for (const memory of require("node:worker_threads").workerData)
    for (let size = memory.byteLength + 1; size <= memory.maxByteLength; size++) {
      memory.grow(size);
      for (let i = 0; i < 100; i++) memory.byteLength;
    }`;

type Modules = typeof Copy & Pick<typeof Platform, "leastMoved">;

/** As much of a table's memory as is copied from and to; each byte another than the one beside it, and than a page further. */
function memoryOf({ leastMoved }: Modules, buffer: ArrayBufferLike, seed: number): TableMemory {
  const bytes = new Uint8Array(buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 7 + (i >>> 8) * 3 + seed;
  const isShared = !(buffer instanceof ArrayBuffer);
  return {
    bytes,
    longs: new BigInt64Array(buffer),
    view: new DataView(buffer),
    views: new Views(bytes),
    isShared,
    leastMoved: leastMoved(isShared),
  } as unknown as TableMemory;
}

async function load(): Promise<Modules> {
  vi.resetModules();
  const { leastMoved } = await import("../src/platform.js");
  return { ...(await import("../src/copy.js")), leastMoved };
}

function checkAll(modules: Modules, onCopy: (length: number) => void = () => {}): void {
  checkCopies(modules, memoryOf(modules, new SharedArrayBuffer(BYTES), 1), onCopy);
  checkCopies(modules, memoryOf(modules, new ArrayBuffer(BYTES), 1), onCopy);
}

/** @param onCopy told after each copy. */
function checkCopies(modules: Modules, memory: TableMemory, onCopy: (length: number) => void): void {
  const { copyOut, copyIn } = modules;
  // Of a WebAssembly.Memory, since that begins with a page.
  const { buffer } = new WebAssembly.Memory({ initial: BYTES / 65_536 });
  const other = memoryOf(modules, buffer, 2).bytes;
  for (const length of LENGTHS) {
    for (const [inside, outside] of PLACES) {
      const target = other.slice();
      const read = other.slice();
      read.set(memory.bytes.subarray(inside, inside + length), outside);
      copyOut(memory, inside, other, outside, length);
      onCopy(length);
      expect(Buffer.compare(other, read), `read ${length} from ${inside} to ${outside}`).toBe(0);
      other.set(target);
      const written = memory.bytes.slice();
      written.set(other.subarray(outside, outside + length), inside);
      copyIn(memory, inside, other, outside, length);
      onCopy(length);
      expect(Buffer.compare(memory.bytes, written), `write ${length} from ${outside} to ${inside}`).toBe(0);
      // A whole array.
      const whole = other.subarray(outside, outside + length).map((byte) => byte + 1);
      written.set(whole, inside);
      copyIn(memory, inside, whole, 0, length);
      onCopy(length);
      expect(Buffer.compare(memory.bytes, written), `write all ${length} to ${inside}`).toBe(0);
    }
  }
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe("copies move those bytes and no others", () => {
  test("as this machine has it", async () => {
    checkAll(await load());
  });

  test("few of them, of every number and at every distance from whole words", async () => {
    const modules = await load();
    const { copyIn, copyOut } = modules;
    for (const Kind of [SharedArrayBuffer, ArrayBuffer]) {
      const memory = memoryOf(modules, new Kind(2048), 1);
      const other = memoryOf(modules, new ArrayBuffer(2048), 2).bytes;
      for (let length = 0; length <= 520; length++) {
        for (let inside = 800; inside < 808; inside++) {
          const outside = 700 + ((inside * 3 + length) & 7);
          const read = other.slice();
          read.set(memory.bytes.subarray(inside, inside + length), outside);
          copyOut(memory, inside, other, outside, length);
          expect(Buffer.compare(other, read), `read ${length} from ${inside} to ${outside}`).toBe(0);
          // Not what was read just now.
          const source = other.subarray(outside - 1, outside - 1 + length);
          const written = memory.bytes.slice();
          written.set(source, inside);
          if ((inside & 1) === 0) copyIn(memory, inside, source, 0, length);
          else copyIn(memory, inside, other, outside - 1, length);
          expect(Buffer.compare(memory.bytes, written), `write ${length} to ${inside}`).toBe(0);
        }
      }
    }
  });

  test.each([
    ["memcpy", 0],
    ["memcpy", 15],
    ["memcpy", 31],
    ["memcpy, but of whole arrays set()", 0],
    ["memcpy, but of whole arrays set()", 15],
    ["memcpy, but of whole arrays set()", 31],
    ["set()", 0],
    ["set()", 15],
    ["set()", 31],
  ] as const)(
    "where copy() is %s, and memcpy slow up to %i bytes after the source: never slow",
    async (copy, slowUpTo) => {
      const machine = new Machine(copy, slowUpTo);
      vi.stubGlobal("Buffer", { prototype: machine });
      const modules = await load();
      vi.unstubAllGlobals();
      vi.spyOn(performance, "now").mockImplementation(() => machine.ms);
      expect(modules.leastMoved(true)).toBe(copy === "set()" ? 65_536 : 513);
      machine.start();
      const used = new Set<number>();
      checkAll(modules, (length) => {
        const { ms, moves } = machine;
        if (moves > 0) used.add(length);
        // In one piece it may have been found out, with a quarter of the least that is tried.
        const found = length < 65_536 ? 0 : Machine.SLOWER * Machine.msOf(16_384);
        expect(ms, `${length} in ${moves} pieces`).toBeLessThanOrEqual(
          1.001 * (Machine.msOf(length) + found),
        );
        if (slowUpTo === 0) expect(moves).toBeLessThanOrEqual(1);
        machine.start();
      });
      expect([...used]).toEqual(LENGTHS.filter((length) => length >= modules.leastMoved(true)));
    },
  );

  test.each([0, 15, 31])(
    "pages wherever they lie, with a memcpy that is slow up to %i bytes after the source: never slow, and seldom in two pieces",
    async (slowUpTo) => {
      const machine = new Machine("memcpy", slowUpTo);
      vi.stubGlobal("Buffer", { prototype: machine });
      const modules = await load();
      vi.unstubAllGlobals();
      vi.spyOn(performance, "now").mockImplementation(() => machine.ms);
      for (const Kind of [SharedArrayBuffer, ArrayBuffer]) {
        const memory = memoryOf(modules, new Kind(BYTES), 1);
        // A table whose memory is not shared has no need of it, and must be right all the same.
        Object.assign(memory, { leastMoved: 513 });
        const { buffer } = new WebAssembly.Memory({ initial: BYTES / 65_536 });
        const all = memoryOf(modules, buffer, 2).bytes;
        for (const [inside, outside] of PLACES) {
          for (const length of [700, 3 * PAGE_BYTES, 20 * PAGE_BYTES, 30 * PAGE_BYTES]) {
            for (const isRead of [true, false]) {
              const array = all.subarray(outside, outside + length);
              const expectedArray = array.slice();
              const expectedMemory = memory.bytes.slice();
              const parts: [offset: number, at: number, size: number][] = [];
              for (let done = 0; done < length; ) {
                const address = inside + done;
                const size = Math.min(PAGE_BYTES - (address % PAGE_BYTES), length - done);
                const offset = BYTES - PAGE_BYTES - address + 2 * (address % PAGE_BYTES);
                parts.push([offset, done, size]);
                if (isRead) expectedArray.set(memory.bytes.subarray(offset, offset + size), done);
                else expectedMemory.set(array.subarray(done, done + size), offset);
                done += size;
              }
              machine.start();
              const copies = new modules.PageCopies(memory, array, inside, isRead);
              for (const [offset, at, size] of parts) copies.copy(offset, at, size);
              const what = `${isRead ? "read" : "write"} ${length} from ${inside} to ${outside}`;
              expect(Buffer.compare(array, expectedArray), what).toBe(0);
              expect(Buffer.compare(memory.bytes, expectedMemory), what).toBe(0);
              const { ms, moves } = machine;
              const found = length < 65_536 ? 0 : Machine.SLOWER * Machine.msOf(5 * PAGE_BYTES);
              expect(ms, what).toBeLessThanOrEqual(Machine.msOf(length) + found);
              const distance = (isRead ? outside - inside : inside - outside) & (PAGE_BYTES - 1);
              const isSlow = distance > 0 && distance <= slowUpTo;
              if (slowUpTo === 0 || (length >= 65_536 && !isSlow))
                expect(moves, what).toBeLessThanOrEqual(parts.length);
            }
          }
        }
      }
    },
  );

  test("it is kept from the beginning, whoever replaces it later", async () => {
    const modules = await load();
    const fill = vi.spyOn(Buffer.prototype, "fill");
    const copy = vi.spyOn(Buffer.prototype, "copy");
    checkAll(modules);
    expect(fill).not.toHaveBeenCalled();
    expect(copy).not.toHaveBeenCalled();
  });

  test("to and from a shared array, too", async () => {
    const modules = await load();
    const memory = memoryOf(modules, new SharedArrayBuffer(BYTES), 1);
    const other = memoryOf(modules, new SharedArrayBuffer(BYTES), 2).bytes;
    for (const length of LENGTHS) {
      modules.copyOut(memory, 1001, other, 3002, length);
      expect(Buffer.compare(other.slice(3002, 3002 + length), memory.bytes.slice(1001, 1001 + length))).toBe(
        0,
      );
      modules.copyIn(memory, 77, other, 3000, length);
      expect(Buffer.compare(memory.bytes.slice(77, 77 + length), other.slice(3000, 3000 + length))).toBe(0);
    }
  });

  test.each([
    ["in a browser", { process: undefined, Buffer: undefined }],
    ["in Deno", { process: { versions: { node: "20.0.0", deno: "2.0.0" } } }],
    [
      "where fill() repeats but the first byte",
      { Buffer: { prototype: { fill: fillByFirst, copy: refuse } } },
    ],
    [
      "where only copy() is what it was",
      { Buffer: { prototype: { fill: refuse, copy: Buffer.prototype.copy } } },
    ],
    ["where fill() takes numbers only", { Buffer: { prototype: { fill: refuse, copy: refuse } } }],
  ])("%s, where there is none", async (_, globals) => {
    for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
    const modules = await load();
    vi.unstubAllGlobals();
    const now = vi.spyOn(performance, "now");
    checkAll(modules);
    expect(now).not.toHaveBeenCalled();
    const array = new Uint8Array(BYTES);
    const shared = memoryOf(modules, new SharedArrayBuffer(BYTES), 1);
    expect(modules.isDirect(shared, 0, array, 3, BYTES - 8)).toBe(false);
    expect(modules.isDirect(shared, 0, array, 16, BYTES - 16)).toBe(true);
    expect(modules.isDirect(memoryOf(modules, new ArrayBuffer(BYTES), 1), 0, array, 3, BYTES - 8)).toBe(true);
  });

  test.each([
    ["shared", SharedArrayBuffer],
    ["not shared", ArrayBuffer],
  ])("between two places of one memory that is %s, as if through a buffer", async (_, Kind) => {
    const modules = await load();
    const { copyIn, copyOut } = modules;
    for (const distance of [-4096, -8, -3, 1, 8, 299, 300, 301, 4096, 99_999, 100_000, 120_001]) {
      for (const length of [300, 100_000]) {
        const memory = memoryOf(modules, new Kind(BYTES), 3);
        const { bytes } = memory;
        const at = 3 * PAGE_BYTES;
        const expected = bytes.slice();
        expected.copyWithin(at + distance, at, at + length);
        copyOut(memory, at, bytes, at + distance, length);
        expect(Buffer.compare(bytes, expected), `read over itself, ${length} by ${distance}`).toBe(0);
        expected.copyWithin(at, at + distance, at + distance + length);
        copyIn(memory, at, bytes, at + distance, length);
        expect(Buffer.compare(bytes, expected), `written over itself, ${length} by ${distance}`).toBe(0);
      }
    }
  });
});

describe.each([
  ["shared", 1],
  ["not shared", 0],
])("an array that is longer the next moment, in a table whose memory is %s", (_, threads) => {
  const MOST = 3 * PAGE_BYTES;
  const open = (): { writer: Partition; beside: Partition } => {
    const { table } = openTable({ threads });
    const writer = table.createPartition({ name: "writer", memory: MOST });
    const beside = table.createPartition({ name: "beside", memory: PAGE_BYTES });
    beside.fill(0, PAGE_BYTES, 0xee);
    return { writer, beside };
  };

  test("TR3: as many bytes are written as it had, and none beside", () => {
    const { writer, beside } = open();
    for (const length of [8, 20, 32, 33, 64, 65, 200, 512, 513, 2000, PAGE_BYTES, MOST - 1, MOST]) {
      const source = new Uint8Array(2 * MOST).fill(7);
      Object.defineProperty(source, "length", { value: length });
      writer.fill(0, MOST, 0xee);
      writer.write(MOST - length, source);
      expect(writer.read(0, MOST).indexOf(7)).toBe(MOST - length);
      expect(new Set(beside.read(0, PAGE_BYTES))).toEqual(new Set([0xee]));
    }
  });

  test.each([
    [40, 500],
    [520, MOST],
  ])("TR3: so it is where another thread makes it grow, from %d bytes to %d", async (first, most) => {
    const { writer, beside } = open();
    const memories = Array.from({ length: 12 }, () => new SharedArrayBuffer(first, { maxByteLength: most }));
    const grower = new Worker(GROWER, { eval: true, workerData: memories });
    const exit = once(grower, "exit");
    const statuses: Set<number> = new Set();
    for (const memory of memories) {
      const source = new Uint8Array(memory);
      while (source.length < most) {
        const address = MOST - source.length;
        statuses.add(statusOf(() => writer.write(address, source)));
      }
    }
    await exit;
    // Refused is what had grown before the call.
    statuses.delete(H_PARAMETER);
    expect(statuses).toEqual(new Set([H_SUCCESS]));
    expect(new Set(beside.read(0, PAGE_BYTES))).toEqual(new Set([0xee]));
  });
});

test("what is staged is aligned alike with the array, and lies far in its page from where it came from", () => {
  for (let address = 2 ** 31 - PAGE_BYTES; address < 2 ** 31 + PAGE_BYTES; address += 61) {
    for (let other = 0; other < 8; other++) {
      const at = stagedAt(address, 64 + other);
      expect(at % 8).toBe(other);
      expect(at).toBeGreaterThanOrEqual(0);
      expect(at).toBeLessThan(PAGE_BYTES);
      const distance = (at - address) & (PAGE_BYTES - 1);
      expect(Math.abs(distance - PAGE_BYTES / 2)).toBeLessThan(8);
    }
  }
});

/** What Node's Buffer has, on a machine whose memcpy may be slow, with a clock that only its moves advance. All arrays begin with a page. */
class Machine {
  static readonly SLOWER = 15;
  ms = 0;
  moves = 0;
  readonly #slowUpTo: number;
  readonly fill: (this: Uint8Array, source: Uint8Array, to: number, end: number) => void;
  readonly copy: (this: Uint8Array, target: Uint8Array, to: number, from: number, end: number) => void;

  constructor(copy: "memcpy" | "memcpy, but of whole arrays set()" | "set()", slowUpTo: number) {
    this.#slowUpTo = slowUpTo;
    const machine = this;
    this.fill = function (source, to, end) {
      if (source.length !== end - to) throw new Error("the source would be repeated, or cut");
      machine.#spend(this.byteOffset + to - source.byteOffset, source.length, true);
      this.set(source, to);
    };
    this.copy = function (target, to, from, end) {
      const isWhole = from === 0 && end === this.length;
      const isMemcpy = copy === "memcpy" || (copy !== "set()" && !isWhole);
      machine.#spend(target.byteOffset + to - this.byteOffset - from, end - from, isMemcpy);
      target.set(this.subarray(from, end), to);
    };
  }

  static msOf(length: number): number {
    return length / 40e6;
  }

  start(): void {
    this.ms = 0;
    this.moves = 0;
  }

  #spend(distance: number, length: number, isMemcpy: boolean): void {
    const inPage = distance & (PAGE_BYTES - 1);
    const isSlow = isMemcpy ? length > 2048 && inPage > 0 && inPage <= this.#slowUpTo : distance % 8 !== 0;
    this.ms += Machine.msOf(length) * (isSlow ? Machine.SLOWER : 1);
    this.moves++;
  }
}

function fillByFirst(this: Uint8Array, source: Uint8Array, start: number, end: number): unknown {
  return Uint8Array.prototype.fill.call(this, source[0] as number, start, end);
}

function refuse(): never {
  throw new TypeError("a number is wanted");
}
