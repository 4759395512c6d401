/** Slots that are used again and again: what tells their uses apart, and when they are used up (G3, G4, GR7). */
import { describe, expect, test } from "vitest";
import type { ResourceTable } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  END_BYTES,
  END_UNIT,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_ENDS_AT,
  HEADER_ENDS_MAX,
  HEADER_ENDS_RETIRED,
  HEADER_PINS_AT,
  PIN_BYTES,
  PIN_GENERATION,
} from "../src/layout.js";
import { auditedAfterEach, granted, openPair, PAGE, SHARE } from "./support/world.js";

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

describe("G4: unit addresses", () => {
  test("G4: a slot of an adapter's end is used up after all generations for which its unit address has bits", async () => {
    const { table, h, server, client } = openPair({ partitions: 2, adapters: 1 });
    const { memory } = kernelOf(table);
    const slots = memory.header(HEADER_ENDS_MAX);
    const step = 2 ** (32 - Math.clz32(slots + 1));
    expect([slots, step]).toEqual([2, 4]);
    const renew = async (): Promise<void> => {
      table.fail(server);
      await table.recovered(server);
      table.restart(server);
    };
    const dead: number[] = [];
    // After as many uses as a slot had when it always took 16 bits, and near the end of all.
    for (const unit of [2 ** 16 * step, 2 ** 31, 2 ** 32 - 2 * step, 2 ** 32 - step]) {
      await renew();
      for (const slot of [1, 2])
        age(table, memory.header(HEADER_ENDS_AT) + slot * END_BYTES + END_UNIT, unit + slot);
      const adapter = table.connect(server, client);
      expect([unit + 1, unit + 2]).toContain(adapter.unitAddress);
      expect([unit + 1, unit + 2]).toContain(adapter.peer.unitAddress);
      const cookie = granted(h, server.lpid, adapter.unitAddress, 0);
      for (const other of [...dead, unit, unit + slots, unit + slots + 1, 2 ** 32 - 1, 2 ** 32 - 2])
        expect(h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, other)).toBe(H_PARAMETER);
      expect(h.rescindLogical(server.lpid, 0, cookie)).toBe(H_SUCCESS);
      dead.push(adapter.unitAddress, adapter.peer.unitAddress);
    }
    await renew();
    expect(memory.header(HEADER_ENDS_RETIRED)).toBe(2);
    expect(() => table.connect(server, client)).toThrow("H_NO_MEM");
  });
});
