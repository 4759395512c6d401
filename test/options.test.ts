/** Options that there are not: whoever misspells a right must not give it away. */
import { describe, expect, test } from "vitest";
import { compileGuest, openGuest, ResourceTable, runGuest } from "../src/index.js";
import { openInspector } from "../src/inspect/inspector.js";
import { auditedAfterEach, openPair, PAGE, statusOf } from "./support/world.js";

auditedAfterEach();

/** The smallest module that there is. */
const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** Every call that takes options, with the options that it takes here, and the names of all that there are. */
function calls() {
  const { table, server, client, adapter } = openPair();
  const group = table.group("all");
  const batch = server.createBatch(1);
  server.registerQueue(adapter, 8 * PAGE, PAGE);
  table.assign(server, { type: "dma", address: 0, length: PAGE });
  group.join(server);
  const resource = group.add({ owner: server, address: 6 * PAGE, length: PAGE });
  const grant = { to: adapter, address: 0, length: PAGE };
  const cookie = (): ReturnType<typeof server.grant> => server.grant(grant);
  const url = new URL("data:text/javascript,");
  const list: Record<string, [call: (options: never) => unknown, options: object, names: string]> = {
    create: [
      (options) => ResourceTable.create(options),
      { memory: 16 * PAGE },
      "memory, partitions, grants, logicalSpace, spaces, adapters, threads, views, staging, quarantine, " +
        "gracePeriodMs, clock, debug, module",
    ],
    "create, spaces": [
      (spaces) => ResourceTable.create({ memory: 16 * PAGE, spaces }),
      { dma: PAGE },
      "mmio, interrupt, dma, ipi",
    ],
    createPartition: [
      (options) => table.createPartition(options),
      { name: "x" },
      "name, memory, lmb, onFailure",
    ],
    connect: [(options) => table.connect(server, client, options), { grants: 2 }, "grants"],
    assign: [
      (options) => table.assign(server, options),
      { type: "ipi", address: 0, length: 1 },
      "physical, address, length, type, liobn",
    ],
    spawn: [
      (options) => table.spawn(server, url, options),
      { restart: "never" },
      "restart, signal, workerData, resourceLimits",
    ],
    "spawn, restart": [(restart) => table.spawn(server, url, { restart }), { max: 0 }, "max, backoffMs"],
    recovered: [(options) => table.recovered(server, options), {}, "signal"],
    "table.events": [(options) => table.events(options).return?.(), {}, "signal"],
    deduplicate: [(options) => table.deduplicate(options), {}, "signal"],
    compact: [(options) => table.compact(options), {}, "signal"],
    group: [(options) => table.group("other", options), { grants: 2 }, "grants"],
    "group.add": [
      (options) => group.add(options),
      { owner: server, address: 7 * PAGE, length: PAGE },
      "owner, address, length, type, liobn",
    ],
    "group.join": [(rights) => group.join(client, rights), { write: false }, "read, write, regrant"],
    "group.allow": [
      (rights) => group.allow(server, resource, rights),
      { write: false },
      "read, write, regrant",
    ],
    reconcile: [(options) => table.reconcile(options).stop(), { everyMs: 1000 }, "everyMs, signal"],
    grant: [
      (options) => server.grant(options),
      grant,
      "to, address, length, type, liobn, mode, zero, copyOnWrite, read, write, regrant",
    ],
    rescindForced: [
      (options) => server.rescindForced(cookie(), options),
      { onStuck: "wait" },
      "deadline, onStuck, signal",
    ],
    migrate: [(options) => server.migrate(0, PAGE, options), {}, "signal"],
    translate: [(options) => server.translate(0, options), { type: "memory" }, "write, length, type"],
    "batch.run": [(options) => batch.run(1, options), { write: true }, "stopAtFault, write, type"],
    messages: [(options) => server.messages(adapter, options), {}, "signal"],
    events: [(options) => server.events(options), {}, "signal"],
    "dma.put": [(rights) => server.dma.put(0, 0, PAGE, rights), { write: false }, "read, write"],
    "dma.putIndirect": [
      (rights) => server.dma.putIndirect(0, 0, [PAGE], rights),
      { write: false },
      "read, write",
    ],
    "dma.stuff": [(rights) => server.dma.stuff(0, 0, PAGE, rights, 1), { write: false }, "read, write"],
    imports: [(options) => server.imports(options), {}, "memory"],
    openGuest: [(options) => openGuest(server, EMPTY, options), { maxPages: 1 }, "maxPages, memory"],
    compileGuest: [(limits) => compileGuest(EMPTY, limits), { maxPages: 1 }, "maxPages"],
    openInspector: [
      async (options) => await (await openInspector(table, options)).close(),
      { name: "x" },
      "port, path, name",
    ],
  };
  return { list, server, grant };
}

describe("every call that takes options refuses those that there are not", () => {
  test.each(Object.keys(calls().list))("%s", async (name) => {
    const [call, options, names] = calls().list[name] as [(options: object) => unknown, object, string];
    const work = async (given: object): Promise<unknown> => await call(given);
    await expect(work({ ...options, readOnly: true })).rejects.toThrow(
      new RangeError(`there is no option "readOnly"; there are ${names}`),
    );
    await expect(work({ ...options, constructor: 1 })).rejects.toThrow('no option "constructor"');
    // As good as left out; and what the classes of objects have is nobody's mistake.
    const known = Object.fromEntries(names.split(", ").map((each) => [each, undefined]));
    await expect(work({ ...known, ...options, readOnly: true })).rejects.toThrow('no option "readOnly"');
    const heir = Object.assign(Object.create({ readOnly: true, ...options }), { other: undefined });
    await work(heir);
  });

  test.each(Object.keys(calls().list))("%s, and what is no object", async (name) => {
    const [call, options, names] = calls().list[name] as [(given: unknown) => unknown, object, string];
    const work = async (given: unknown): Promise<unknown> => await call(given);
    for (const none of [null, 7, true, Symbol("x"), () => {}]) {
      if (name === "spawn, restart") await expect(work(none)).rejects.toThrow("restart is");
      else
        await expect(work(none)).rejects.toThrow(
          new TypeError(`the options are ${String(none)}; they must be an object of ${names}`),
        );
    }
    if (!names.includes("signal"))
      return await expect(work({ ...options, signal: 5 })).rejects.toThrow('no option "signal"');
    for (const signal of [null, "text", {}, new AbortController()])
      await expect(work({ ...options, signal })).rejects.toThrow(
        new TypeError(`signal is ${String(signal)}; it must be an AbortSignal`),
      );
  });

  test("runGuest", () => {
    const { server } = openPair();
    expect(() => runGuest(server, EMPTY, { input: "main" } as never)).toThrow(
      'there is no option "input"; there are maxPages, memory, entry, args, onReturn',
    );
    expect(server.state).toBe("running");
  });
});

test("a grant is refused for a right that does not exist, and gives none", () => {
  const { server, client, grant } = { ...openPair(), ...calls() };
  const before = server.usage();
  expect(() => server.grant({ ...grant, readOnly: true } as never)).toThrow(RangeError);
  expect(server.usage()).toEqual(before);
  expect(client.usage().grantsIn).toBe(0);
});

test("what is undefined is as good as left out, for the compiler's exactOptionalPropertyTypes, too", async () => {
  const none = undefined;
  const { table, server, client, adapter } = openPair();
  const signal: AbortSignal | undefined = none;
  const spaces = { mmio: none, dma: none, interrupt: none, ipi: none };
  const sizes = { partitions: none, grants: none, logicalSpace: none, adapters: none, threads: none, spaces };
  const limits = { views: none, staging: none, quarantine: none, gracePeriodMs: none };
  const others = { clock: none, debug: none, module: none };
  await ResourceTable.create({ memory: PAGE, ...sizes, ...limits, ...others }).close();
  ResourceTable.create({ memory: PAGE, spaces: none });
  table.createPartition({ name: "x", memory: none, lmb: none, onFailure: none });
  table.connect(server, client, { grants: none });
  table.assign(server, { type: "mmio", address: 0, length: PAGE, physical: none, liobn: none });
  const rights = { read: none, write: none, regrant: none };
  const modes = { mode: none, zero: none, copyOnWrite: none, type: none, liobn: none };
  const cookie = server.grant({ to: adapter, address: 0, length: PAGE, ...rights, ...modes });
  expect(client.accept(cookie).writable).toBe(true);
  await server.rescindForced(cookie, { signal, deadline: none, onStuck: none });
  const group = table.group("all", { grants: none });
  group.add({ owner: server, address: 0, length: PAGE, type: none, liobn: none });
  group.join(client, rights);
  expect(server.translate(0, { type: none, write: none, length: none })).toBe(server.translate(0));
  expect(server.createBatch(1).run(1, { type: none, write: none, stopAtFault: none })).toBe(1);
  compileGuest(EMPTY, { maxPages: none });
  openGuest(server, EMPTY, { maxPages: none, memory: none }).end();
  table.reconcile({ everyMs: 1000, signal }).stop();
  await (await openInspector(table, { port: none, path: none, name: none })).close();
  const spawned = table.spawn(client, new URL("data:text/javascript,"), {
    signal,
    restart: none,
    workerData: none,
    resourceLimits: none,
  });
  await (await spawned).terminate();
});

test("what needs options says so where it gets none", () => {
  const { table, server } = openPair();
  const group = table.group("all");
  const all = {
    create: ResourceTable.create,
    createPartition: table.createPartition.bind(table),
    assign: table.assign.bind(table, server),
    grant: server.grant.bind(server),
    add: group.add.bind(group),
    reconcile: table.reconcile.bind(table),
  };
  for (const [name, call] of Object.entries(all))
    expect(call as () => unknown, name).toThrow(
      /^the options are undefined; they must be an object of \w+, \w+/,
    );
});

test("a clock that is none is refused when the table is made", () => {
  for (const clock of [null, "text", {}, performance, { setTimeout }])
    expect(() => ResourceTable.create({ memory: PAGE, clock: clock as never })).toThrow(
      new TypeError(`the clock is ${String(clock)}; it must be a Clock`),
    );
});

test("a translation looks at the names of its options, unless the only good one is the common one", () => {
  const { server } = openPair();
  const given = (options: object): unknown => server.translate(0, options as never);
  expect(given({ write: true })).toBe(given({}));
  expect(() => given({ wirte: true })).toThrow('no option "wirte"');
  expect(() => given({ write: true, length: 5, typ: "mmio" })).toThrow('no option "typ"');
  expect(() => server.translate(-1, { write: true, typ: "mmio" } as never)).toThrow('no option "typ"');
  expect(statusOf(() => server.translate(-1, { write: true }))).toBe(-4);
});

/** Two partitions joined once more. */
function connected(options: object): unknown {
  const { table, server, client } = openPair();
  return table.connect(server, client, options);
}

/** Where there is a default, by what it is an option of. */
const NUMBERS: Record<string, [call: (options: object) => unknown, names: string]> = {
  create: [
    (options) => ResourceTable.create({ memory: PAGE, ...options }),
    "partitions, grants, logicalSpace, adapters, threads, views, staging, quarantine, gracePeriodMs",
  ],
  createPartition: [(options) => openPair().table.createPartition({ name: "x", ...options }), "lmb"],
  connect: [connected, "grants"],
  group: [(options) => openPair().table.group("x", options), "grants"],
};

describe("G2: null is no number, and no way to leave an option out", () => {
  test.each(Object.keys(NUMBERS))("%s", (of) => {
    const [call, names] = NUMBERS[of] as [(options: object) => unknown, string];
    for (const name of names.split(", ")) {
      const refusal = new RegExp(`^${name} is null; it must be .*\\d`);
      expect(() => call({ [name]: null }), name).toThrow(refusal);
      call({ [name]: undefined });
    }
  });
});
