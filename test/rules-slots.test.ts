/** Slots that are used again and again: what tells their uses apart, and when they are used up (G3, G4, GR7). */
import { describe, expect, test } from "vitest";
import type { ResourceTable } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { HEADER_PINS_AT, PIN_BYTES, PIN_GENERATION } from "../src/layout.js";
import { auditedAfterEach, openPair, PAGE } from "./support/world.js";

auditedAfterEach();

/** Sets a word of the table, as if it had been used for long. */
function age(table: ResourceTable, offset: number, value: number): void {
  kernelOf(table).memory.words[offset / 4] = value;
}

describe("G3: views", () => {
  test("G3: the record of a view is used up after 2^32 views, each of which has a number of its own", () => {
    const { table, client } = openPair({ views: 1 });
    const generation = kernelOf(table).memory.header(HEADER_PINS_AT) + PIN_BYTES + PIN_GENERATION;
    client.view(0, PAGE).release();
    for (const used of [0xfffffe, 0xffffff, 0x7fffffff, 0xfffffffe, 0xffffffff]) {
      age(table, generation, used);
      const view = client.view(0, PAGE);
      expect(() => client.view(0, PAGE)).toThrow("H_NO_MEM");
      view.release();
      expect(client.usage().pins).toBe(0);
    }
    expect(() => client.view(0, PAGE)).toThrow("H_NO_MEM");
  });
});
