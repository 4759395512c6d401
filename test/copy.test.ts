/** Copies between a table's memory and arrays: each way that they take, with each length on both sides of its bounds. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { TableMemory } from "../src/binding.js";
import type * as Copy from "../src/copy.js";
import { PAGE_BYTES } from "../src/layout.js";
import { stagedAt } from "../src/transfer.js";
import { Views } from "../src/views.js";

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

/** As much of a table's memory as is copied from and to; each byte another than the one beside it, and than a page further. */
function memoryOf(buffer: ArrayBufferLike, seed: number): TableMemory {
  const bytes = new Uint8Array(buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 7 + (i >>> 8) * 3 + seed;
  const isShared = !(buffer instanceof ArrayBuffer);
  return {
    bytes,
    longs: new BigInt64Array(buffer),
    view: new DataView(buffer),
    views: new Views(bytes),
    isShared,
  } as unknown as TableMemory;
}

async function load(): Promise<typeof Copy> {
  vi.resetModules();
  return import("../src/copy.js");
}

function checkAll(copy: typeof Copy): void {
  checkCopies(copy, memoryOf(new SharedArrayBuffer(BYTES), 1));
  checkCopies(copy, memoryOf(new ArrayBuffer(BYTES), 1));
}

function checkCopies({ copyOut, copyIn }: typeof Copy, memory: TableMemory): void {
  // Of a WebAssembly.Memory, since that begins with a page.
  const { buffer } = new WebAssembly.Memory({ initial: BYTES / 65_536 });
  const other = memoryOf(buffer, 2).bytes;
  for (const length of LENGTHS) {
    for (const [inside, outside] of PLACES) {
      const target = other.slice();
      const read = other.slice();
      read.set(memory.bytes.subarray(inside, inside + length), outside);
      copyOut(memory, inside, other, outside, length);
      expect(Buffer.compare(other, read), `read ${length} from ${inside} to ${outside}`).toBe(0);
      other.set(target);
      const written = memory.bytes.slice();
      written.set(other.subarray(outside, outside + length), inside);
      copyIn(memory, inside, other.subarray(outside, outside + length));
      expect(Buffer.compare(memory.bytes, written), `write ${length} from ${outside} to ${inside}`).toBe(0);
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
    const { copyIn, copyOut } = await load();
    for (const Kind of [SharedArrayBuffer, ArrayBuffer]) {
      const memory = memoryOf(new Kind(2048), 1);
      const other = memoryOf(new ArrayBuffer(2048), 2).bytes;
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
          copyIn(memory, inside, source);
          expect(Buffer.compare(memory.bytes, written), `write ${length} to ${inside}`).toBe(0);
        }
      }
    }
  });

  test("where the platform's copy is quick, and where it is slow", async () => {
    const copy = await load();
    const fill = vi.spyOn(Buffer.prototype, "fill");
    const now = vi.spyOn(performance, "now");
    now.mockReturnValue(0);
    checkAll(copy);
    let time = 0;
    now.mockImplementation(() => time++);
    checkAll(copy);
    // It is kept from the beginning, whoever replaces it later.
    expect(fill).not.toHaveBeenCalled();
  });

  test.each([
    ["in a browser", { process: undefined, Buffer: undefined }],
    ["in Deno", { process: { versions: { node: "20.0.0", deno: "2.0.0" } } }],
    ["where fill() repeats but the first byte", { Buffer: { prototype: { fill: fillByFirst } } }],
    ["where fill() takes numbers only", { Buffer: { prototype: { fill: refuse } } }],
  ])("%s, where there is none", async (_, globals) => {
    for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
    const copy = await load();
    vi.unstubAllGlobals();
    const now = vi.spyOn(performance, "now");
    checkAll(copy);
    expect(now).not.toHaveBeenCalled();
    const array = new Uint8Array(BYTES);
    const shared = memoryOf(new SharedArrayBuffer(BYTES), 1);
    expect(copy.isDirect(shared, 0, array, 3, BYTES - 8)).toBe(false);
    expect(copy.isDirect(shared, 0, array, 16, BYTES - 16)).toBe(true);
    expect(copy.isDirect(memoryOf(new ArrayBuffer(BYTES), 1), 0, array, 3, BYTES - 8)).toBe(true);
  });

  test.each([
    ["shared", SharedArrayBuffer],
    ["not shared", ArrayBuffer],
  ])("between two places of one memory that is %s, as if through a buffer", async (_, Kind) => {
    const { copyIn, copyOut } = await load();
    for (const distance of [-4096, -8, -3, 1, 8, 4096]) {
      for (const length of [300, 100_000]) {
        const memory = memoryOf(new Kind(BYTES), 3);
        const { bytes } = memory;
        const at = 3 * PAGE_BYTES;
        const expected = bytes.slice();
        expected.copyWithin(at + distance, at, at + length);
        copyOut(memory, at, bytes, at + distance, length);
        expect(Buffer.compare(bytes, expected), `read over itself, ${length} by ${distance}`).toBe(0);
        expected.copyWithin(at, at + distance, at + distance + length);
        copyIn(memory, at, bytes.subarray(at + distance, at + distance + length));
        expect(Buffer.compare(bytes, expected), `written over itself, ${length} by ${distance}`).toBe(0);
      }
    }
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

function fillByFirst(this: Uint8Array, source: Uint8Array, start: number, end: number): unknown {
  return Uint8Array.prototype.fill.call(this, source[0] as number, start, end);
}

function refuse(): never {
  throw new TypeError("a number is wanted");
}
