/** inspect(): one snapshot in which everything stands that any view shows. */
import { describe, expect, test } from "vitest";
import type { TableMemory } from "../src/binding.js";
import { HISTORY_MAX, History } from "../src/history.js";
import { type Partition, ResourceTable, SNAPSHOT_VERSION } from "../src/index.js";
import { parseSnapshot } from "../src/inspect/parse.js";
import { kernelOf } from "../src/kernel.js";
import {
  ENTRY_READ,
  ENTRY_VALID,
  ENTRY_WRITE,
  PARTITION_POOL_COUNT,
  SPACE_ENTRIES,
  STRUCTURE_BYTES,
  STRUCTURE_PARENT,
  STRUCTURES_AT,
} from "../src/layout.js";
import { partitionOffset, type Structure, spaceWord, structureOfCookie } from "../src/records.js";
import { Look } from "../src/snapshot-look.js";
import { snapshotMaps } from "../src/snapshot-maps.js";
import { auditedAfterEach, openPair, openRow, openTable, PAGE } from "./support/world.js";

auditedAfterEach();

/** The snapshot of the partition of this name. */
function of(table: ResourceTable, name: string) {
  const found = table.inspect().partitions.find((partition) => partition.name === name);
  if (found === undefined) throw new Error(`no partition ${name}`);
  return found;
}

describe("a look", () => {
  /** Nobody audits it: its records are tampered with. */
  function openUnaudited(): {
    readonly memory: TableMemory;
    readonly one: Partition;
    readonly two: Partition;
  } {
    const table = ResourceTable.create({ memory: 8 * PAGE, logicalSpace: 2 ** 18 * PAGE });
    const [one, two] = ["one", "two"].map((name) => table.createPartition({ name, memory: PAGE }));
    if (one === undefined || two === undefined) throw new Error("no partitions");
    table.connect(one, two);
    return { memory: kernelOf(table).memory, one, two };
  }

  test("lists a map of more runs than a call takes arguments", () => {
    const { memory, one } = openUnaudited();
    const look = new Look(memory);
    const [owned] = look.owned(one.lpid) as [Structure];
    const at = spaceWord(memory, one.lpid, 0, SPACE_ENTRIES) / 4;
    for (let page = 0; page < 2 ** 18; page++)
      memory.words[at + page] = ENTRY_VALID | (page % 2 === 0 ? ENTRY_READ : ENTRY_READ | ENTRY_WRITE);
    expect(snapshotMaps(look, [{ ...owned, pageCount: 2 ** 18 }]).length).toBe(2 ** 18);
  });

  test("ends where grants have become each other's parents while they were read", () => {
    const { memory, one, two } = openUnaudited();
    const granted = one.grant({ to: two, address: 0, length: PAGE });
    const address = two.accept(granted).address;
    const cookies = [granted, two.grant({ to: one, address, length: PAGE })];
    const [first, second] = cookies.map((cookie) => structureOfCookie(memory, cookie).slot) as [
      number,
      number,
    ];
    memory.words[(STRUCTURES_AT + first * STRUCTURE_BYTES + STRUCTURE_PARENT) / 4] = second;
    const look = new Look(memory);
    expect(look.place(look.structure(first)).depth).toBeLessThan(10);
    expect(look.place(look.structure(first)).root).toBeUndefined();
  });
});

describe("inspect()", () => {
  test("it is plain JSON of the documented version, and the same while nothing happens", () => {
    const { table, server, client } = openPair();
    client.accept(server.grant({ to: client, address: 0, length: PAGE }));
    const snapshot = table.inspect();
    expect(snapshot.version).toBe(SNAPSHOT_VERSION);
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
    expect(table.inspect()).toEqual(snapshot);
  });

  test("maps are runs of pages that have the same owner, rights and state", () => {
    const { table, server, client } = openPair({ serverPages: 8, clientPages: 2 });
    const first = client.accept(server.grant({ to: client, address: 0, length: 2 * PAGE, write: false }));
    const second = client.accept(server.grant({ to: client, address: 4 * PAGE, length: PAGE }));
    server.grant({ to: client, address: 6 * PAGE, length: PAGE, mode: "lend" });
    expect(of(table, "client").maps).toMatchObject([
      { type: "memory", address: 0, length: 2 * PAGE, owner: client.lpid, state: "own", cookie: null },
      {
        address: 2 * PAGE,
        length: 2 * PAGE,
        owner: server.lpid,
        state: "mapped",
        writable: false,
        pieces: 1,
      },
      { address: 4 * PAGE, length: PAGE, owner: server.lpid, cookie: second.cookie, writable: true },
    ]);
    expect(of(table, "client").maps[1]?.physical).toBe(client.translate(first.address));
    expect(of(table, "server").maps).toMatchObject([
      { address: 0, length: 6 * PAGE, state: "own", readable: true },
      { address: 6 * PAGE, length: PAGE, state: "lent", readable: false, writable: false },
      { address: 7 * PAGE, length: PAGE, state: "own" },
    ]);
  });

  test("the owner of a map is at the root of the tree, however deep the grant; depth counts the grants", () => {
    const { table, row } = openRow(5);
    const [root, ...rest] = row;
    let from = root;
    let address = 0;
    for (const next of rest) {
      if (from === undefined) break;
      address = next.accept(from.grant({ to: next, address, length: PAGE })).address;
      from = next;
    }
    expect(rest.map(({ name }) => of(table, name).grants[0]?.depth)).toEqual([1, 2, 3, 4]);
    expect(of(table, "p4").maps.at(-1)).toMatchObject({ owner: root?.lpid, state: "mapped" });
    const parents = rest.map(({ name }) => of(table, name).grants[0]?.parent);
    expect(parents[0]).toBeNull();
    expect(parents.slice(1)).toEqual(rest.slice(0, -1).map(({ name }) => of(table, name).grants[0]?.cookie));
  });

  test("a copy-on-write grant shows its private pages, in its maps and by number", () => {
    const { table, server, client } = openPair();
    const cookie = server.grant({ to: client, address: 0, length: 3 * PAGE, copyOnWrite: true });
    const { address } = client.accept(cookie);
    client.write(address + PAGE, Uint8Array.of(1));
    expect(of(table, "client").grants).toMatchObject([{ cookie, copyOnWrite: true, copies: 1, pages: 3 }]);
    expect(of(table, "client").maps.filter((map) => map.cookie === cookie)).toMatchObject([
      { length: PAGE, copyOnWrite: true, private: false, writable: true },
      { length: PAGE, copyOnWrite: false, private: true, writable: true },
      { length: PAGE, copyOnWrite: true, private: false },
    ]);
  });

  test("a forced rescind under a view leaves a grant with quarantined pages, and says who granted it", async () => {
    const { table, server, client, unit } = openPair();
    const cookie = server.grant({ to: client, address: 0, length: 2 * PAGE });
    const { address } = client.accept(cookie);
    const view = client.view(address, PAGE);
    await server.rescindForced(cookie);
    const { quarantine, counters } = table.inspect();
    expect(counters.framesQuarantined).toBe(1);
    expect(quarantine).toEqual([{ lpid: client.lpid, pages: 1, cookie }]);
    expect(of(table, "client").grants).toMatchObject([
      { cookie, state: "rescinded", from: 0, grantor: server.lpid, adapter: unit, quarantined: 1 },
    ]);
    expect(of(table, "client").maps.at(-1)).toMatchObject({ state: "rescinded", owner: 0, physical: null });
    client.return(cookie);
    expect(table.inspect().quarantine).toEqual([{ lpid: client.lpid, pages: 1, cookie: null }]);
    view.release();
    expect(table.inspect().quarantine).toEqual([]);
  });

  test("queues tell how many entries wait, also when they are full", () => {
    const { table, server, client, adapter } = openPair();
    client.registerQueue(adapter, 0, PAGE);
    const queued = () => of(table, "client").adapters[0]?.queued;
    const entry = Uint8Array.of(0x80, ...new Array(15).fill(0));
    expect(queued()).toBe(0);
    for (let i = 0; i < 3; i++) server.send(adapter, entry);
    expect(queued()).toBe(3);
    for (let i = 3; i < 256; i++) server.send(adapter, entry);
    expect(queued()).toBe(256);
    client.receive(adapter);
    expect(queued()).toBe(255);
    expect(of(table, "server").adapters[0]?.queued).toBe(0);
  });

  test("interrupts tell what is raised, masked, armed and in service, and by whom", () => {
    const { table, server, client } = openPair();
    table.assign(server, { type: "interrupt", address: 5, length: 2 });
    table.assign(server, { type: "ipi", address: 3, length: 1 });
    const cookie = server.grant({ to: client, type: "interrupt", address: 5, length: 1 });
    const source = client.accept(cookie);
    const bell = client.accept(server.grant({ to: client, type: "ipi", address: 3, length: 1 }));
    client.interrupts.arm(source.address);
    server.interrupts.mask(5);
    server.raise(5);
    expect(client.takeEvent()?.type).toBe("interrupt");
    client.ring(bell.address);
    expect(of(table, "client").interrupts).toMatchObject([
      { type: "interrupt", address: source.address, cookie, armed: true, inService: true, pending: false },
      { type: "ipi", address: bell.address, pending: false, from: null },
    ]);
    expect(of(table, "server").interrupts).toEqual([
      {
        ...{ type: "interrupt", address: 5, cookie: null, pending: true, masked: true },
        ...{ armed: false, inService: false, from: server.lpid },
      },
      {
        ...{ type: "interrupt", address: 6, cookie: null, pending: false, masked: false },
        ...{ armed: false, inService: false, from: null },
      },
      {
        ...{ type: "ipi", address: 3, cookie: null, pending: true, masked: false },
        ...{ armed: false, inService: false, from: client.lpid },
      },
    ]);
    client.interrupts.disarm(source.address);
  });

  test("the window's owner shows what buses reach, as runs, and what is dead", async () => {
    const { table, server, client } = openPair();
    table.assign(server, { type: "dma", liobn: 7, address: 0, length: 8 * PAGE, physical: 0x100000 });
    const pane = client.accept(
      server.grant({ to: client, type: "dma", liobn: 7, address: 0, length: 8 * PAGE }),
    );
    const cookie = server.grant({ to: client, address: 0, length: PAGE });
    const page = client.accept(cookie);
    client.dma.putIndirect(7, pane.address, [0, PAGE], { write: false });
    client.dma.put(7, pane.address + 4 * PAGE, page.address);
    const own = { liobn: 7, holder: client.lpid, readable: true };
    expect(of(table, "server").tces).toEqual([
      { ...own, ioba: 0, length: 2 * PAGE, address: 0, writable: false, dead: false },
      { ...own, ioba: 4 * PAGE, length: PAGE, address: page.address, writable: true, dead: false },
    ]);
    expect(of(table, "client").tces).toEqual([]);
    await server.rescindForced(cookie);
    expect(of(table, "server").tces.map(({ dead }) => dead)).toEqual([false, true]);
  });

  test("what has happened is kept: failure, notice, grace, recovery, restart, with the time of each", async () => {
    const { table, server, client, clock } = openPair({ gracePeriodMs: 500 });
    client.accept(server.grant({ to: client, address: 0, length: PAGE }));
    clock.advance(10);
    table.fail(server, "a bug");
    expect(of(table, "server")).toMatchObject({
      state: "failed",
      recovery: { phase: "grace", graceEndsAt: 510 },
    });
    clock.advance(500);
    await table.recovered(server);
    table.restart(server);
    expect(of(table, "server").recovery).toBeNull();
    const events = table.inspect().events.slice(3);
    expect(events.map(({ type, at }) => [type, at])).toEqual([
      ["partition-failed", 10],
      ["partners-told", 10],
      ["grace-begun", 10],
      ["grace-over", 510],
      ["partition-recovered", 510],
      ["partition-restarted", 510],
    ]);
    expect(events[0]).toMatchObject({ name: "server", incarnation: 1, detail: "a bug" });
    expect(events[1]?.partners).toEqual([client.lpid]);
    expect(events[5]?.incarnation).toBe(2);
  });

  test('a policy of "defer" shows that it waits, and for nothing in time', async () => {
    const { table } = openTable();
    const server = table.createPartition({ name: "server", memory: 4 * PAGE, onFailure: "defer" });
    const client = table.createPartition({ name: "client" });
    table.connect(server, client);
    const mapping = client.accept(server.grant({ to: client, address: 0, length: PAGE }));
    table.fail(server);
    expect(of(table, "server")).toMatchObject({
      onFailure: "defer",
      recovery: { phase: "deferred", graceEndsAt: null },
    });
    mapping.return();
    await table.recovered(server);
    expect(table.inspect().events.map(({ type }) => type)).toContain("grace-over");
  });

  test("groups tell members and what each has", () => {
    const { table, server, client } = openPair();
    const group = table.group("frames");
    const number = group.add({ owner: server, address: 0, length: PAGE });
    group.join(client);
    expect(table.inspect().groups).toEqual([
      { name: "frames", resources: [number], members: [{ lpid: client.lpid, units: [0] }] },
    ]);
  });

  test("structures that come into a pool while it looks are not counted as less than none", () => {
    const { table, server } = openPair();
    const { memory } = kernelOf(table);
    const at = (partitionOffset(memory, server.lpid) + PARTITION_POOL_COUNT) / 4;
    const count = memory.words[at] as number;
    memory.words[at] = 1000;
    expect(table.inspect().counters.structuresUsed).toBe(0);
    memory.words[at] = count;
    expect(table.inspect().counters.structuresUsed).toBeGreaterThan(0);
  });

  test("while threads change the lists that it walks, every look ends and is a whole snapshot", async () => {
    const { table, server, client } = openPair({ serverPages: 16, clientPages: 16, gracePeriodMs: 0 });
    const url = new URL("support/worker-grants.mjs", import.meta.url);
    const workers = await Promise.all([server, client].map((partition) => table.spawn(partition, url)));
    const seen = new Set<number>();
    for (let look = 0; look < 5000 && (look < 60 || seen.size < 20); look++) {
      const snapshot = table.inspect();
      parseSnapshot("it", JSON.stringify(snapshot));
      for (const { lpid, worker, grants } of snapshot.partitions) {
        expect(worker?.threadId, `partition ${lpid}`).toBeGreaterThan(0);
        for (const { to, depth } of grants) expect([to, depth]).toEqual([lpid, 1]);
        seen.add(grants.length);
      }
      if (look % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    // It was another table each time.
    expect(seen.size).toBeGreaterThanOrEqual(20);
    for (const worker of workers) await worker.terminate();
  });

  test("the list of what has happened is bounded, and its numbers tell what is missing", () => {
    const history = new History();
    const entry = {
      at: 0,
      type: "drift",
      lpid: 0,
      name: "",
      incarnation: 0,
      detail: "",
      partners: [],
    } as const;
    expect(history.list()).toEqual([]);
    for (let i = 0; i < HISTORY_MAX; i++) history.add(entry);
    expect(history.list().map(({ number }) => number)).toEqual(
      Array.from({ length: HISTORY_MAX }, (_, i) => i + 1),
    );
    for (let i = 0; i < 3; i++) history.add(entry);
    const numbers = history.list().map(({ number }) => number);
    expect([numbers.length, numbers[0], numbers.at(-1)]).toEqual([HISTORY_MAX, 4, HISTORY_MAX + 3]);
  });
});
