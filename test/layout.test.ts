import { readFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import { expect, test } from "vitest";
import * as layout from "../src/layout.js";
import { layOut, mapBytes } from "../src/regions.js";

const source = readFileSync(new URL("../src/layout.ts", import.meta.url), "utf8");
const names = Object.keys(layout);

test("asc and tsc agree on every constant of layout.ts", async () => {
  const getters = names
    .map((name) => `export function get_${name}(): i64 { return <i64>${name}; }`)
    .join("\n");
  const { binary, error, stderr } = await asc.compileString(`${source}\n${getters}`, {
    runtime: "stub",
    optimizeLevel: 0,
  });
  expect(error, stderr?.toString()).toBeNull();
  const { instance } = await WebAssembly.instantiate(binary as BufferSource, { env: { abort() {} } });
  const exports = instance.exports as Record<string, () => bigint>;
  for (const [name, value] of Object.entries(layout)) {
    expect(exports[`get_${name}`]?.(), name).toBe(BigInt(value));
  }
});

test("layout.ts holds un-annotated integers below 2^32 and imports nothing", () => {
  const statements = source
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .split("\n")
    .map((line) => line.replace(/\/\/.*$/, "").trim())
    .filter((line) => line !== "");
  for (const line of statements)
    expect(line).toMatch(/^export const [A-Z][A-Z0-9_]* = -?(0x[0-9a-f]+|\d+);$/);
  expect(names.length).toBe(statements.length);
  for (const [name, value] of Object.entries(layout)) {
    expect(Number.isInteger(value) && Math.abs(value) < 2 ** 31, `${name} = ${value}`).toBe(true);
  }
});

/** The constants that start with a prefix, by value, without those that are no field offsets. */
function fields(prefix: string, except: RegExp = /_BYTES$|^$/): [string, number][] {
  return Object.entries(layout)
    .filter(([name]) => name.startsWith(prefix) && !except.test(name))
    .sort((a, b) => a[1] - b[1]);
}

test("no two words of the header are at the same place, and all are in it", () => {
  const words = fields("HEADER_");
  for (const [index, [name, offset]] of words.entries()) {
    expect(offset, name).toBeLessThan(layout.HEADER_BYTES);
    const next = words[index + 1];
    if (next !== undefined) expect(next[1] - offset, `${name} and ${next[0]}`).toBeGreaterThanOrEqual(4);
  }
});

test("a control structure takes 64 bytes, a logical page 8.2 with its maps", () => {
  expect(layout.STRUCTURE_BYTES).toBe(64);
  for (const pages of [1024, 2 ** 16, 2 ** 20, 2 ** 22]) {
    expect((pages * 8 + mapBytes(pages)) / pages).toBeLessThanOrEqual(8.2);
  }
});

test("the regions of a table follow each other without overlapping", () => {
  const spacePages = [1000, 64, 10, 64, 1];
  const { words, bytes } = layOut({
    frames: 100,
    partitions: 3,
    threads: 4,
    structures: 7,
    ends: 4,
    pins: 5,
    stagingPages: 2,
    spacePages,
  });
  const value = new Map(words);
  const regions: [number, number][] = [
    [layout.HEADER_THREADS_AT, 4 * layout.THREAD_BYTES],
    [layout.HEADER_PARTITIONS_AT, 4 * layout.PARTITION_BYTES],
    [layout.HEADER_ENDS_AT, 5 * layout.END_BYTES],
    [layout.HEADER_PINS_AT, 6 * layout.PIN_BYTES],
    [layout.HEADER_TABLES_AT, 3 * (value.get(layout.HEADER_TABLE_BYTES) ?? 0)],
    [layout.HEADER_ARENAS_AT, 3 * (value.get(layout.HEADER_ARENA_BYTES) ?? 0)],
    [layout.HEADER_EVENTS_AT, 3 * (value.get(layout.HEADER_EVENTS_MAX) ?? 0) * layout.EVENT_BYTES],
    [layout.HEADER_FRAME_MAP_AT, mapBytes(100)],
    [layout.HEADER_FRAME_PINS_AT, 400],
    [layout.HEADER_AUDIT_AT, layout.PROBLEMS_MAX * layout.PROBLEM_BYTES + 16],
    [layout.HEADER_STAGING_MAP_AT, mapBytes(2)],
    [layout.HEADER_STAGING_OWNERS_AT, 2 * 4],
    [layout.HEADER_STAGING_AT, 2 * layout.PAGE_BYTES],
    [layout.HEADER_FRAMES_AT, 100 * layout.PAGE_BYTES],
  ];
  expect(layout.STRUCTURES_AT).toBe(layout.HEADER_BYTES);
  let end = layout.STRUCTURES_AT + 8 * layout.STRUCTURE_BYTES;
  for (const [word, size] of regions) {
    const start = value.get(word) ?? 0;
    expect(start, String(word)).toBeGreaterThanOrEqual(end);
    end = start + size;
  }
  expect(bytes).toBe(end);
  expect(value.get(layout.HEADER_FRAMES_AT)).toSatisfy((at: number) => at % layout.PAGE_BYTES === 0);
});
