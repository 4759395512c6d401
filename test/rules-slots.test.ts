/** Slots that are used again and again: what tells their uses apart, and when they are used up (G3, G4, GR7). */
import { describe, expect, test } from "vitest";
import type { Partition, ResourceTable } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  END_BYTES,
  END_UNIT,
  H_NO_MEM,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_ENDS_AT,
  HEADER_ENDS_MAX,
  HEADER_ENDS_ORPHANED,
  HEADER_ENDS_RETIRED,
  HEADER_ENDS_USED,
  HEADER_PINS_AT,
  PIN_BYTES,
  PIN_GENERATION,
} from "../src/layout.js";
import {
  at,
  auditedAfterEach,
  expectRefused,
  granted,
  openPair,
  openTable,
  PAGE,
  SHARE,
  shared,
  type World,
} from "./support/world.js";

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
    expect([slots, step]).toEqual([3, 8]);
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

describe("GR7: what is not returned to a server that restarts", () => {
  /** The server fails, is recovered, and starts again; what it granted is rescinded. */
  async function restart({ table, clock }: World, server: Partition): Promise<void> {
    table.fail(server);
    clock.advance(2000);
    await table.recovered(server);
    table.restart(server);
  }

  function ends(table: ResourceTable): readonly number[] {
    const { memory } = kernelOf(table);
    return [memory.header(HEADER_ENDS_USED), memory.header(HEADER_ENDS_ORPHANED)];
  }

  test("GR7: a client that returns nothing over many crashes of its server takes no adapter from anybody", async () => {
    for (const partitions of [2, 3]) {
      const world = openPair({ partitions, clientPages: 0, logicalSpace: 2 ** 20, gracePeriodMs: 0 });
      const { table, server, client } = world;
      const victim = partitions === 2 ? undefined : table.createPartition({ name: "victim" });
      await restart(world, server);
      for (let crash = 0; crash < 5; crash++) {
        const to = table.connect(server, client);
        client.accept(server.grant({ to, address: 0, length: PAGE }));
        await restart(world, server);
        expect(ends(table)).toEqual([0, 1]);
      }
      if (victim !== undefined) table.connect(server, victim);
      table.connect(client, server);
    }
  });

  test("GR7: it counts on the next adapter of the two, which has no more room for it than one", async () => {
    const world = openPair({ quota: 2 });
    const { table, h, server, client } = world;
    const old: [unit: number, cookies: number[]][] = [[world.unit, []]];
    for (let crash = 0; crash < 2; crash++) {
      const [unit, cookies] = at(old, crash);
      for (let grant = 0; grant < 2; grant++) cookies.push(shared(h, server, unit, client, 0).cookie);
      await restart(world, server);
      // From either side, the server's end is the one that is owed something.
      const { unitAddress, peer } =
        crash === 0
          ? table.connect(client, server, { grants: 2 }).peer
          : table.connect(server, client, { grants: 2 });
      old.push([unitAddress, []]);
      granted(h, client.lpid, peer.unitAddress, 0);
      for (const [dead] of old.slice(0, -1))
        expect(h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, dead)).toBe(H_PARAMETER); // G4
      expect(table.inspect().partitions[0]?.adapters[0]).toMatchObject({
        unitAddress,
        used: 0,
        unreturned: 2 * crash + 2,
      });
      expect(ends(table)).toEqual([2, 0]);
    }
    const [unit] = at(old, 2);
    const grant = (): number => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit);
    expectRefused(table, H_NO_MEM, grant);
    for (const [index, cookie] of [...at(old, 0)[1], ...at(old, 1)[1]].entries()) {
      expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      expect(grant()).toBe(index < 2 ? H_SUCCESS : H_NO_MEM);
    }
  });

  test("GR7: with one adapter of each pair connect() has room, whatever all others have not returned", async () => {
    const world = openTable({ partitions: 4, memory: 16 * PAGE });
    const { table } = world;
    const all = ["a", "b", "c", "d"].map((name) => table.createPartition({ name, memory: PAGE }));
    for (let round = 0; round < 12; round++) {
      const server = at(all, round % 4);
      for (const client of all) {
        if (client === server || server.adapters.some(({ partner }) => partner === client)) continue;
        const adapter = table.connect(server, client);
        client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
      }
      await restart(world, server);
    }
    expect(ends(table)).toEqual([0, 6]);
    for (const partition of all) await restart(world, partition);
    expect(ends(table)).toEqual([0, 0]);
  });

  test("GR7: an end that is owed something is free when all is returned, or the client has failed", async () => {
    for (const fails of [false, true]) {
      const world = openPair({ partitions: 2, adapters: 1 });
      const { table, server, client, adapter } = world;
      const mapping = client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
      await restart(world, server);
      expect(ends(table)).toEqual([0, 1]);
      if (fails) await restart(world, client);
      else mapping.return();
      expect(ends(table)).toEqual([0, 0]);
      expect(table.connect(server, client).unitAddress).not.toBe(adapter.unitAddress);
    }
  });

  test("GR7, G4: one in the last generation of its slot is not used again, and retired when all is returned", async () => {
    const world = openPair({ partitions: 2, adapters: 1 });
    const { table, h, server, client } = world;
    const { memory } = kernelOf(table);
    await restart(world, server);
    for (const slot of [1, 2])
      age(table, memory.header(HEADER_ENDS_AT) + slot * END_BYTES + END_UNIT, 2 ** 32 - 8 + slot);
    const { cookie } = shared(h, server, table.connect(server, client).unitAddress, client, 0);
    await restart(world, server);
    expect([ends(table), memory.header(HEADER_ENDS_RETIRED)]).toEqual([[0, 1], 1]);
    expect(() => table.connect(server, client)).toThrow("H_NO_MEM");
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expect([ends(table), memory.header(HEADER_ENDS_RETIRED)]).toEqual([[0, 0], 2]);
  });
});
