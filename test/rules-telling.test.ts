/** Partners are told of a failure, and of the end of its recovery, in slices (DESIGN.md, 6.2.1; rules FA2, G5). */
import { describe, expect, test } from "vitest";
import type { Partition } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  H_CLOSED,
  H_NOT_FOUND,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_BUDGET,
  HEADER_TELLER,
  HEADER_TELLER_END,
  THREAD_ENTRY,
  TRANSPORT_FAILED,
} from "../src/layout.js";
import {
  at,
  auditedAfterEach,
  besides,
  join,
  listen,
  openTable,
  PAGE,
  settle,
  shared,
  statusOf,
  type World,
} from "./support/world.js";

auditedAfterEach();

const GRACE = 2000;
const ALL = 3072;

/** A server, and partners that two adapters each join to it. */
function openStar(partners: number, budget: number) {
  const world = openTable({ adapters: 64 });
  const { table, h } = world;
  const server = table.createPartition({ name: "server", memory: 4 * PAGE });
  const row = Array.from({ length: partners }, (_, index) =>
    table.createPartition({ name: `p${index}`, memory: 2 * PAGE }),
  );
  const adapters = [...row, ...row].map((partner) => join(world, server, partner));
  h.budget = budget;
  return { ...world, core: kernelOf(table).core, server, row, adapters };
}

/** How often a partition hears of `from`, by the type of the event. */
function heard({ table }: World, partition: Partition, from: Partition, type: number): number {
  const { core, memory } = kernelOf(table);
  let count = 0;
  for (;;) {
    const status = core.takeEvent(partition.lpid);
    if (status === H_NOT_FOUND) return count;
    const entry = memory.thread + THREAD_ENTRY;
    if (memory.header(entry) === type && memory.header(entry + 4) === from.lpid) count++;
  }
}

describe("a failure is told in slices", () => {
  test("FA2, G5: a budget of 1 is for one adapter, H_PARTIAL until all have heard, each once", () => {
    const star = openStar(3, 1);
    const { core, server, row } = star;
    for (let left = 5; left > 0; left--) expect(core.failPartition(server.lpid, 0)).toBe(H_PARTIAL);
    expect(core.failPartition(server.lpid, 0)).toBe(H_SUCCESS);
    expect(core.failPartition(server.lpid, 0)).toBe(H_RESOURCE);
    for (const partner of row) expect(heard(star, partner, server, EVENT_PARTNER_FAILED)).toBe(1);
  });

  test("FA2: nothing is taken before all have heard: whatever recovers goes on with the telling first", () => {
    for (const recover of ["recoverClient", "recoverDeferred", "recoverServer"] as const) {
      const star = openStar(2, 1);
      const { table, h, core, server, row, adapters } = star;
      const { cookie } = shared(h, server, at(adapters, 0).unitAddress, at(row, 0), 0);
      expect(core.failPartition(server.lpid, 0)).toBe(H_PARTIAL);
      for (let left = 2; left > 0; left--) {
        expect(core[recover](server.lpid, 1)).toBe(H_PARTIAL);
        expect(server.state).toBe("failed");
        expect(at(row, 0).usage()).toMatchObject({ grantsIn: 1, rescinded: 0 });
      }
      while (core.recoverServer(server.lpid, 1) === H_PARTIAL) expect(table.audit().problems).toEqual([]);
      expect(h.returnLogical(at(row, 0).lpid, cookie)).toBe(H_SUCCESS);
      for (const partner of row) expect(heard(star, partner, server, EVENT_PARTNER_FAILED)).toBe(1);
    }
  });

  test("FA2, FA3: of two that fail at once partners of both hear of each once; who comes second carries on what the first has to tell", () => {
    const star = openStar(3, 1);
    const { table, core, server, row } = star;
    const [b, c, d] = [at(row, 0), at(row, 1), at(row, 2)];
    for (let index = 0; index < 2; index++) for (const partner of [c, d]) join({ table }, b, partner);
    expect(core.failPartition(server.lpid, 0)).toBe(H_PARTIAL);
    let calls = 1;
    while (core.failPartition(b.lpid, 0) === H_PARTIAL) {
      expect(b.state).toBe("failed");
      expect(table.audit().problems).toEqual([]);
      calls++;
    }
    // The server's other five adapters, then its own six.
    expect(calls).toBe(11);
    // What others have told for it is told.
    expect(core.failPartition(server.lpid, 0)).toBe(H_RESOURCE);
    for (const partner of [c, d]) {
      const { memory } = kernelOf(table);
      const told: number[] = [];
      while (core.takeEvent(partner.lpid) === H_SUCCESS)
        told.push(memory.header(memory.thread + THREAD_ENTRY + 4));
      expect(told).toEqual([server.lpid, b.lpid]);
    }
    // Who failed while it was being told hears nothing.
    expect(core.takeEvent(b.lpid)).toBe(H_NOT_FOUND);
  });

  test("FA1, CQ3, CQ4: queues close with the failure, before the partner has heard; the partner's queue hears then", () => {
    const star = openStar(2, 1);
    const { table, h, core, server, adapters } = star;
    const first = at(adapters, 0); // made first, told last
    const partner = at(star.row, 0);
    expect(h.regCrq(server.lpid, first.unitAddress, 0, PAGE)).toBe(H_CLOSED);
    expect(h.regCrq(partner.lpid, first.peer.unitAddress, 0, PAGE)).toBe(H_SUCCESS);
    expect(core.failPartition(server.lpid, 0)).toBe(H_PARTIAL);
    expect(h.sendCrq(partner.lpid, first.peer.unitAddress, 0x80, 0, 0, 0)).toBe(H_CLOSED);
    expect(h.freeCrq(partner.lpid, first.peer.unitAddress)).toBe(H_SUCCESS);
    expect(h.regCrq(partner.lpid, first.peer.unitAddress, 0, PAGE)).toBe(H_CLOSED);
    const shown = at(table.inspect().partitions, 0).adapters.map(({ queueBytes }) => queueBytes);
    expect(shown).toEqual([0, 0, 0, 0]);
    while (core.failPartition(server.lpid, 0) === H_PARTIAL) expect(server.state).toBe("failed");
    expect(core.receiveEntry(partner.lpid, first.peer.unitAddress)).toBe(H_SUCCESS);
    const { memory } = kernelOf(table);
    expect(memory.header(memory.thread + THREAD_ENTRY)).toBe(0xff | (TRANSPORT_FAILED << 8));
    expect(core.receiveEntry(partner.lpid, first.peer.unitAddress)).toBe(H_NOT_FOUND);
  });

  test("CQ1, FA2: nobody joins who is failing; a partner that is destroyed and made again in the middle is a stranger", () => {
    const star = openStar(3, 1);
    const { table, core, server, row } = star;
    const gone = at(row, 0);
    expect(core.failPartition(server.lpid, 0)).toBe(H_PARTIAL);
    expect(statusOf(() => join(star, at(row, 1), server))).toBe(H_RESCINDED);
    expect(core.failPartition(gone.lpid, 1)).toBe(H_PARTIAL);
    while (core.recoverServer(gone.lpid, 1) === H_PARTIAL) expect(table.audit().problems).toEqual([]);
    expect(core.restartPartition(gone.lpid, 0)).toBe(H_SUCCESS);
    expect(core.failPartition(server.lpid, 0)).toBe(H_RESOURCE);
    expect(core.takeEvent(gone.lpid)).toBe(H_NOT_FOUND);
    for (const partner of row.slice(1)) expect(heard(star, partner, server, EVENT_PARTNER_FAILED)).toBe(1);
    while (core.recoverServer(server.lpid, 1) === H_PARTIAL) expect(table.audit().problems).toEqual([]);
    expect(core.takeEvent(gone.lpid)).toBe(H_NOT_FOUND);
  });

  test("FA5: two threads that find it unfinished go on by turns, and each partner hears once", () => {
    const star = openStar(3, 1);
    const { table, core, server, row } = star;
    const other = besides(table, at(row, 2));
    const status = [core.failPartition(server.lpid, 0)];
    for (let left = 20; !status.includes(H_SUCCESS) && left > 0; left--) {
      status.push(other.core.recoverClient(server.lpid, 1));
      status.push(core.failPartition(server.lpid, 0));
      if (status.includes(H_RESOURCE)) break;
    }
    expect(status.slice(0, 5)).toEqual([H_PARTIAL, H_PARTIAL, H_PARTIAL, H_PARTIAL, H_PARTIAL]);
    for (const partner of row) expect(heard(star, partner, server, EVENT_PARTNER_FAILED)).toBe(1);
  });
});

describe("adapters end in slices", () => {
  test("FA2, G5: each partner hears once that the recovery is complete, and it is stopped when all adapters have ended", () => {
    const star = openStar(3, ALL);
    const { table, core, server, row } = star;
    expect(core.failPartition(server.lpid, 0)).toBe(H_SUCCESS);
    let calls = 0;
    while (core.recoverServer(server.lpid, 1) === H_PARTIAL) {
      expect(server.state).toBe("recovering");
      expect(core.restartPartition(server.lpid, 0)).toBe(H_RESOURCE);
      expect(table.audit().problems).toEqual([]);
      calls++;
    }
    expect(calls).toBeGreaterThanOrEqual(5);
    expect(server.state).toBe("stopped");
    for (const partner of row) expect(heard(star, partner, server, EVENT_PARTNER_RECOVERED)).toBe(1);
    expect(table.inspect().counters.adapterEndsUsed).toBe(0);
  });

  test("FA1: the end of a partner that fails meanwhile goes with the adapter, though its queue was not cleared away yet", () => {
    const star = openStar(3, 1);
    const { table, h, core, server, row, adapters } = star;
    const b = at(row, 0);
    expect(h.regCrq(b.lpid, at(adapters, 0).peer.unitAddress, 0, PAGE)).toBe(H_CLOSED);
    while (core.failPartition(server.lpid, 0) === H_PARTIAL) expect(server.state).toBe("failed");
    const { memory } = kernelOf(table);
    while (memory.header(HEADER_TELLER) === 0) expect(core.recoverServer(server.lpid, 1)).toBe(H_PARTIAL);
    expect(core.failPartition(b.lpid, 0)).toBe(H_PARTIAL);
    while (core.recoverServer(server.lpid, 1) === H_PARTIAL) expect(b.state).toBe("failed");
    expect(at(table.inspect().partitions, 1).adapters).toEqual([]);
    expect(table.inspect().counters.adapterEndsUsed).toBe(0);
  });

  test("FA2: a failure between two slices is told after them, to each once", () => {
    const star = openStar(3, 1);
    const { table, core, server, row } = star;
    const [b, c] = [at(row, 0), at(row, 1)];
    join({ table }, b, c);
    while (core.failPartition(server.lpid, 0) === H_PARTIAL) expect(server.state).toBe("failed");
    const { memory } = kernelOf(table);
    while (memory.header(HEADER_TELLER) === 0) expect(core.recoverServer(server.lpid, 1)).toBe(H_PARTIAL);
    expect(memory.header(HEADER_TELLER_END)).not.toBe(0);
    while (core.failPartition(b.lpid, 0) === H_PARTIAL) expect(server.state).toBe("recovering");
    expect(core.recoverServer(server.lpid, 1)).toBe(H_SUCCESS);
    const events: [number, number][] = [];
    while (core.takeEvent(c.lpid) === H_SUCCESS) {
      const entry = memory.thread + THREAD_ENTRY;
      events.push([memory.header(entry), memory.header(entry + 4)]);
    }
    expect(events).toEqual([
      [EVENT_PARTNER_FAILED, server.lpid],
      [EVENT_PARTNER_RECOVERED, server.lpid],
      [EVENT_PARTNER_FAILED, b.lpid],
    ]);
  });
});

describe("the library tells in slices", () => {
  test("FA2: fail() tells in the turns after it; the grace period is from the last notice on", async () => {
    const star = openStar(3, 1);
    const { table, h, clock, server, row, adapters } = star;
    const client = at(row, 0);
    h.budget = ALL;
    const { address } = shared(h, server, at(adapters, 0).unitAddress, client, 0);
    h.budget = 1;
    const streams = row.map((partner) => listen((signal) => partner.events({ signal })));
    table.fail(server, "gone");
    expect(server.state).toBe("failed");
    expect(at(table.inspect().partitions, 0).recovery).toEqual({ phase: "working", graceEndsAt: null });
    clock.advance(500); // while they are being told
    for (let turn = 0; turn < 4; turn++) await settle();
    expect(at(table.inspect().partitions, 0).recovery).toEqual({ phase: "grace", graceEndsAt: 500 + GRACE });
    for (const stream of streams) {
      await stream.stop();
      expect(stream.seen.map(({ type }) => type)).toEqual(["partner-failed"]);
    }
    clock.advance(GRACE - 1);
    await settle();
    expect(client.read(address, 1)).toEqual(new Uint8Array(1));
    clock.advance(1);
    await table.recovered(server);
    expect(server.state).toBe("stopped");
    expect(table.inspect().events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["partition-failed", "partners-told", "grace-begun", "grace-over"]),
    );
  });

  test("FA3: reclaim(), the end for good and close() in the middle of the telling", async () => {
    for (const end of ["reclaim", "destroy", "close"] as const) {
      const star = openStar(3, 1);
      const { table, h, server, row, adapters } = star;
      h.budget = ALL;
      shared(h, server, at(adapters, 0).unitAddress, at(row, 0), 0);
      h.budget = 1;
      table.fail(server);
      const waiting = table.recovered(server);
      if (end === "close") {
        const refused = expect(waiting).rejects.toThrow("closed");
        await table.close();
        await refused;
        expect(kernelOf(table).memory.header(HEADER_BUDGET)).toBe(1);
        continue;
      }
      if (end === "reclaim") table.reclaim(server);
      else void table.destroyPartition(server);
      await waiting;
      for (const partner of row)
        expect(heard(star, partner, server, EVENT_PARTNER_FAILED)).toBeLessThanOrEqual(1);
      const types = table.inspect().events.map(({ type }) => type);
      expect(types).not.toContain("grace-begun");
      expect(types.indexOf("partners-told")).toBeGreaterThan(types.indexOf("partition-failed"));
    }
  });

  test("FA2: who failed and is told about by another's failure goes on with its recovery", async () => {
    const { table, server, row } = openStar(3, 1);
    const b = at(row, 0);
    table.fail(server);
    table.fail(b);
    await table.recovered(server);
    await table.recovered(b);
    expect([server.state, b.state]).toEqual(["stopped", "stopped"]);
    table.restart(server);
    expect(server.state).toBe("running");
  });
});
