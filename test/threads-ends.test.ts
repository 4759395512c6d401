/** Who ends a partition's thread, with what it throws and when: at awkward moments, and with everything that hangs on it. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { getEventListeners } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Partition,
  type PartitionMessage,
  type PartitionWorker,
  type SpawnOptions,
  systemClock,
  type TableEvent,
} from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_LONG_BUSY_10_MSEC } from "../src/layout.js";
import { holdAnd, untilLocked } from "./support/hold.js";
import { REMOTE, Remote, sleep, within } from "./support/remote.js";
import { auditedAfterEach, listen, openPair, PAGE, type Pair, type PairOptions } from "./support/world.js";

auditedAfterEach();

/** A worker's module that only lives. */
const IDLE = moduleOf("setInterval(() => {}, 1000)");

function moduleOf(source: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

function openHere(options: PairOptions = {}): Pair {
  return openPair({ clock: systemClock, gracePeriodMs: 0, ...options });
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 5000 && !isSo(); turn++) await sleep(2);
  if (!isSo()) throw new Error(`never: ${what}`);
}

async function stopped(partition: Partition): Promise<void> {
  await until("stopped", () => partition.state === "stopped");
}

/** What was told of failures, restarts and their end. */
function hear({ table }: Pair): ReturnType<typeof listen<TableEvent>> {
  return listen<TableEvent>((signal) => table.events({ signal }));
}

function told(events: readonly TableEvent[]): string[] {
  return events.map(({ type, reason }) => (reason === undefined ? type : `${type}: ${reason}`));
}

function spin(): void {
  while (true) {}
}

interface Locked extends Pair {
  readonly handle: PartitionWorker;
}

/** The client becomes a thread that has the table locked, and spins. */
async function lock({ table, server, client }: Pair, spawn: SpawnOptions = {}): Promise<PartitionWorker> {
  const handle = await table.spawn(client, REMOTE, spawn);
  const remote = new Remote(handle.worker);
  await remote.run(() => {});
  remote.send(holdAnd(spin));
  await untilLocked(server);
  return handle;
}

async function openLocked(spawn: SpawnOptions = {}, options: PairOptions = {}): Promise<Locked> {
  const pair = openHere(options);
  return { ...pair, handle: await lock(pair, spawn) };
}

describe("a thread that has the table locked and does not come back", { timeout: 30_000 }, () => {
  test("FA5: terminate() ends it, its exit is its failure, and the reason stays", async () => {
    const world = await openLocked();
    const heard = hear(world);
    await within(world.handle.terminate(), "terminate()", 5000);
    expect(world.client.state).toBe("stopped");
    await heard.stop();
    expect(told(heard.seen)).toEqual(["partition-failed: terminated", "partition-recovered"]);
  });

  test("FA5: the signal of the spawn ends it", async () => {
    const controller = new AbortController();
    const { client } = await openLocked({ signal: controller.signal, restart: "always" });
    controller.abort();
    await stopped(client);
  });

  test("FA5: destroyPartition() ends it, in order: without a grace period", async () => {
    const { table, server, client } = await openLocked({}, { gracePeriodMs: 60_000 });
    await within(table.destroyPartition(client), "destroyPartition()", 5000);
    expect([...table.partitions]).toEqual([server]);
  });

  test("FA5: fail() ends it, and recovered() waits for that; the first reason counts", async () => {
    const world = await openLocked();
    const heard = hear(world);
    world.table.fail(world.client, "first");
    world.table.fail(world.client, "second");
    await within(world.table.recovered(world.client), "recovered()", 5000);
    expect(world.client.state).toBe("stopped");
    world.table.restart(world.client);
    await heard.stop();
    expect(told(heard.seen).slice(0, 2)).toEqual(["partition-failed: first", "partition-recovered"]);
  });

  test("FA5: an aborted signal ends the wait for its exit", async () => {
    const { table, client } = await openLocked();
    const controller = new AbortController();
    table.fail(client);
    const over: unknown[] = [];
    const { signal } = controller;
    const waiting = table.recovered(client, { signal }).catch((reason: unknown) => over.push(reason));
    controller.abort("enough");
    for (let turn = 0; turn < 5; turn++) await undefined;
    expect(over).toEqual(["enough"]);
    await waiting;
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await within(table.recovered(client), "recovered()", 5000);
  });

  test("FA5, G1: fail() of another partition is refused, and its thread lives; terminate() ends that one first", async () => {
    const { table, server, client } = openHere();
    const other = await table.spawn(server, REMOTE);
    const holder = await table.spawn(client, REMOTE);
    const remote = new Remote(holder.worker);
    await remote.run(() => {});
    remote.send(holdAnd(spin));
    await untilLocked(server);
    expect(() => table.fail(server)).toThrow(expect.objectContaining({ code: "H_LongBusyOrder10msec" }));
    const terminated = other.terminate();
    await until("exited", () => other.worker.threadId === -1);
    expect(server.state).toBe("running");
    await within(holder.terminate(), "terminate()", 5000);
    await within(terminated, "terminate() of the other", 5000);
    expect([server.state, client.state]).toEqual(["stopped", "stopped"]);
  });

  test.each([2, 10])("FA5: its exit is heard of while %i others wait for its locks", async (count) => {
    const world = openHere();
    const { table, server, client } = world;
    const idle = Array.from({ length: count }, (_, index) =>
      table.createPartition({ name: `idle ${index}` }),
    );
    const { worker } = await lock(world);
    const ends = idle.map((partition) => table.destroyPartition(partition));
    void worker.terminate();
    await within(Promise.all(ends), "destroyPartition()", 5000);
    expect([...table.partitions]).toEqual([server, client]);
  });
});

describe("what a worker throws", { timeout: 30_000 }, () => {
  const NO_TEXT = "something that has no text";
  test.each([
    ["an object that is no text", "throw { toString: 1, valueOf: 1 }", NO_TEXT],
    [
      "an error whose message is one",
      "const e = new Error(); e.message = { toString: 1, valueOf: 1 }; throw e",
      undefined,
    ],
    [
      "an error whose name is one",
      "const e = new Error('m'); e.name = { toString: 1, valueOf: 1 }; throw e",
      undefined,
    ],
    ["a text", "throw 'plain text'", "plain text"],
    ["nothing", "throw undefined", "undefined"],
  ])("FA5: %s is the failure of its partition, and nothing to the owner", async (_, source, reason) => {
    for (const later of [false, true]) {
      const world = openHere();
      const heard = hear(world);
      const module = moduleOf(later ? `setTimeout(() => { ${source} }, 20)` : source);
      await world.table.spawn(world.client, module).catch(() => {});
      await stopped(world.client);
      world.table.attach(world.server, new Worker(module));
      await stopped(world.server);
      await heard.stop();
      const reasons = heard.seen.flatMap((event) => event.reason ?? []);
      if (reason === undefined) expect(reasons).toHaveLength(2);
      else expect(reasons).toEqual([reason, reason]);
    }
  });

  test("TR4, TR5: a view that the owner took in its name is over when it has exited, and shows nothing of who has the frames then", async () => {
    const { table, client } = openHere();
    const view = client.view(0, PAGE);
    const { worker } = await table.spawn(client, IDLE);
    const later = client.view(0, 2 * PAGE);
    expect(later.bytes.length).toBe(2 * PAGE);
    void worker.terminate();
    await stopped(client);
    for (const one of [view, later]) {
      expect(() => one.bytes).toThrow(expect.objectContaining({ code: "LPAR_RELEASED" }));
      one.release();
    }
    expect(table.inspect().counters.framesQuarantined).toBe(0);
    table.restart(client);
    using again = client.view(0, PAGE);
    expect(again.bytes.length).toBe(PAGE);
  });

  test("FA5: a limit of its heap that is undefined is the default, with which its exhaustion ends the worker alone", async () => {
    const { table, client } = openHere();
    const resourceLimits = {
      maxOldGenerationSizeMb: undefined,
      maxYoungGenerationSizeMb: undefined,
      stackSizeMb: 2,
    };
    const { worker } = await table.spawn(client, IDLE, { resourceLimits } as unknown as SpawnOptions);
    expect(worker.resourceLimits).toMatchObject({
      maxOldGenerationSizeMb: 16,
      maxYoungGenerationSizeMb: 8,
      stackSizeMb: 2,
    });
    await table.close();
  });

  test("FA5: a module that handles rejections and throws at once has failed, as a worker's own module has", async () => {
    const world = openHere();
    const heard = hear(world);
    const source =
      "process.on('unhandledRejection', () => {}); setInterval(() => {}, 1000); throw new Error('boom')";
    await world.table.spawn(world.client, moduleOf(source)).catch(() => {});
    await stopped(world.client);
    await heard.stop();
    expect(told(heard.seen)[0]).toBe("partition-failed: Error: boom");
  });
});

describe("whoever is told of something, and acts at once", { timeout: 30_000 }, () => {
  let stopHearing = (): void => {};
  afterEach(() => stopHearing());

  /** Calls back in the middle of what is told. */
  function hearOf(name: string, then: (message: PartitionMessage) => void): void {
    const heard = (message: unknown): void => then(message as PartitionMessage);
    subscribe(name, heard);
    stopHearing = () => unsubscribe(name, heard);
  }

  /** A client whose thread has ended once and will be started again. */
  async function restarting(restart: SpawnOptions["restart"]): Promise<Locked> {
    const pair = openHere();
    const handle = await pair.table.spawn(pair.client, IDLE, { restart: restart ?? "always" });
    return { ...pair, handle };
  }

  test("FA8: terminate() on being told of a restart: it resolves when the partition has stopped", async () => {
    const { table, client, handle } = await restarting({ max: 3, backoffMs: 1 });
    const ended = (async () => {
      for await (const { type } of table.events())
        if (type === "partition-restarted") return handle.terminate();
    })();
    await handle.worker.terminate();
    await within(ended, "terminate()");
    expect(client.state).toBe("stopped");
    await sleep(50);
    expect([client.state, client.incarnation]).toEqual(["stopped", 2]);
  });

  test("FA8: terminate() in the middle of the restart", async () => {
    const { client, handle } = await restarting({ max: 3, backoffMs: 1 });
    let ended: Promise<void> | undefined;
    hearOf("lpar:restart", () => {
      ended = handle.terminate();
    });
    await handle.worker.terminate();
    await until("told", () => ended !== undefined);
    await within(ended as Promise<void>, "terminate()");
    expect([client.state, client.incarnation]).toEqual(["stopped", 2]);
    await sleep(50);
    expect([client.state, client.incarnation]).toEqual(["stopped", 2]);
  });

  test.each(["lpar:restart", "events()"])(
    "FA8: fail() on being told of a restart by %s is an end like any other",
    async (by) => {
      const world = await restarting({ max: 3, backoffMs: 1 });
      const { table, client, handle } = world;
      const heard = hear(world);
      let hasFailed = false;
      const fail = (): void => {
        if (!hasFailed) table.fail(client, "by hand");
        hasFailed = true;
      };
      if (by === "lpar:restart") hearOf(by, fail);
      else
        void (async () => {
          for await (const { type } of table.events()) if (type === "partition-restarted") fail();
        })();
      await handle.worker.terminate();
      await until("restarted twice", () => client.incarnation === 3 && client.state === "running");
      await until("a thread", () => handle.worker.threadId !== -1);
      await heard.stop();
      expect(told(heard.seen)).toEqual([
        "partition-failed: exit code 1",
        "partition-recovered",
        "partition-restarted",
        "partition-failed: by hand",
        "partition-recovered",
        "partition-restarted",
      ]);
      await handle.terminate();
    },
  );

  test("FA8: fail() while the thread of a restart has to wait for a lock", async () => {
    const { table, client, handle } = await restarting({ max: 3, backoffMs: 1 });
    const kernel = kernelOf(table) as { core: { openThread(lpid: number): number } };
    const { core } = kernel;
    let refusals = 0;
    const openThread = (lpid: number): number => {
      if (++refusals === 3) table.fail(client, "by hand");
      return refusals <= 3 ? H_LONG_BUSY_10_MSEC : core.openThread(lpid);
    };
    kernel.core = { ...core, openThread };
    await handle.worker.terminate();
    await until("restarted twice", () => client.incarnation === 3 && client.state === "running");
    kernel.core = core;
    await until("a thread", () => handle.worker.threadId !== -1);
    await handle.terminate();
  });

  test("FA2, G4: reclaim() on being told of a failure: nothing is taken before the thread has exited", async () => {
    const { table, client } = openHere({ gracePeriodMs: 60_000 });
    const { worker } = await table.spawn(client, IDLE);
    hearOf("lpar:failure", ({ table, partition }) => table.reclaim(partition));
    table.fail(client, "told");
    expect(client.state).toBe("failed");
    await within(table.recovered(client), "recovered()");
    expect([client.state, worker.threadId]).toEqual(["stopped", -1]);
    table.restart(client);
    await sleep(50);
    expect([client.state, client.incarnation]).toEqual(["running", 2]);
  });

  test("FA2: reclaim() on being told of the failure of a server that owes a grace period, and of one that owes none", async () => {
    for (const owes of [true, false]) {
      const { table, server, client, adapter, clock } = openPair();
      const order: string[] = [];
      if (owes) client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
      hearOf("lpar:failure", ({ table, partition }) => {
        order.push(`failed, ${partition.state}`);
        table.reclaim(partition);
      });
      table.fail(server);
      stopHearing();
      order.push(server.state);
      expect(order).toEqual(["failed, failed", "stopped"]);
      expect(clock.waiting).toBe(0);
      await table.recovered(server);
    }
  });

  test("FA2: close() on being told of a failure leaves no timer", async () => {
    const { table, server, client, adapter, clock } = openPair();
    client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
    let closed: Promise<void> | undefined;
    hearOf("lpar:failure", ({ table }) => {
      closed = table.close();
    });
    table.fail(server);
    await closed;
    expect(clock.waiting).toBe(0);
  });
});

describe("the signal and the timer of a spawn", { timeout: 30_000 }, () => {
  const ENDS: readonly [string, (world: Locked) => Promise<unknown>][] = [
    ["the thread's own end", ({ handle }) => handle.worker.terminate()],
    ["terminate()", ({ handle }) => handle.terminate()],
    ["close()", ({ table }) => table.close()],
    ["destroyPartition()", ({ table, client }) => table.destroyPartition(client)],
  ];
  test.each(ENDS)(
    "FA8: %s is the end of a spawn, and nobody listens to its signal any more",
    async (_, end) => {
      const { signal } = new AbortController();
      const pair = openHere();
      const handle = await pair.table.spawn(pair.client, IDLE, { signal });
      expect(getEventListeners(signal, "abort")).toHaveLength(1);
      await end({ ...pair, handle });
      await until("nobody listens", () => getEventListeners(signal, "abort").length === 0);
    },
  );

  test("FA8: close() while the thread begins: nobody listens to the signal", async () => {
    const { signal } = new AbortController();
    const { table, client } = openHere();
    const spawned = table.spawn(client, IDLE, { signal }).catch(() => {});
    await table.close();
    await within(spawned, "spawn()");
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("FA8: a restart by hand, and another spawn(), are the end of the one before", async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const { table, client } = openHere();
    const restart = { max: 9, backoffMs: 60_000 };
    const handle = await table.spawn(client, IDLE, { signal: first.signal, restart });
    await handle.worker.terminate();
    await stopped(client);
    expect(getEventListeners(first.signal, "abort")).toHaveLength(1);
    table.restart(client);
    expect(getEventListeners(first.signal, "abort")).toHaveLength(0);
    await table.spawn(client, IDLE, { signal: second.signal });
    expect(getEventListeners(second.signal, "abort")).toHaveLength(1);
    first.abort();
    await sleep(20);
    expect(client.state).toBe("running");
  });

  test("FA3: the timer of a spawn does nothing to a later incarnation that failed, too", async () => {
    const { table, client } = openHere();
    const handle = await table.spawn(client, IDLE, { restart: { max: 5, backoffMs: 100 } });
    await handle.worker.terminate();
    await stopped(client);
    table.restart(client);
    table.fail(client, "done with it");
    await table.recovered(client);
    await sleep(200);
    expect([client.state, client.incarnation]).toEqual(["stopped", 2]);
  });
});

describe("what is no worker and no module", { timeout: 30_000 }, () => {
  test("a worker that is a partition of another table is refused", async () => {
    const [here, there] = [openHere(), openHere()];
    const worker = new Worker(IDLE);
    here.table.attach(here.client, worker);
    const spawned = await here.table.spawn(here.server, IDLE);
    for (const one of [worker, spawned.worker]) {
      expect(() => there.table.attach(there.client, one)).toThrow(
        expect.objectContaining({ code: "LPAR_HAS_PARTITION" }),
      );
    }
    expect(() => there.table.attach(there.client, worker)).toThrow(
      'the worker is partition "client" already',
    );
    await worker.terminate();
    await stopped(here.client);
    expect(there.client.state).toBe("running");
  });

  test("attach() of what is no Worker, and spawn() of what is no URL, say so and change nothing", async () => {
    const { table, client } = openHere({ threads: 1 });
    expect(() => table.attach(client, undefined as never)).toThrow(TypeError);
    expect(() => table.attach(client, {} as never)).toThrow("it must be a Worker");
    // What answered for it would give a thread of that number a place that is somebody else's by then.
    expect(() => table.attach(client, { threadId: 1 } as never)).toThrow("it must be a Worker");
    await expect(table.spawn(client, "./x.mjs" as never)).rejects.toThrow(TypeError);
    await expect(table.spawn(client, undefined as never)).rejects.toThrow(
      "url is undefined; it must be a URL",
    );
    await table.spawn(client, IDLE);
  });
});

describe("a stack that is full", () => {
  /** Calls with what is left of the stack `frames` calls above its end. */
  function nearTheEnd(frames: number, call: () => void): void {
    let returned = 0;
    const descend = (): void => {
      try {
        descend();
      } finally {
        if (++returned === frames) call();
      }
    };
    try {
      descend();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }

  test.each(["fail()", "reclaim()"])(
    "FA5: %s has done nothing, or goes on when it is called again",
    async (what) => {
      const forget = (): void => {};
      for (const channel of ["lpar:failure", "lpar:recovery"]) subscribe(channel, forget);
      for (let frames = 1; frames < 60; frames++) {
        const { table, server, client, adapter } = openPair({ gracePeriodMs: 60_000 });
        client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
        const streams = [table, server, client].map((one) => one.events());
        for (const stream of streams) void stream.next();
        const call = (): void => {
          if (what === "fail()") table.fail(server);
          table.reclaim(server);
        };
        if (what === "reclaim()") table.fail(server);
        nearTheEnd(frames, call);
        call();
        await within(table.recovered(server), `recovered() with ${frames} frames`, 1000);
        expect(server.state).toBe("stopped");
        await table.destroyPartition(server);
      }
      for (const channel of ["lpar:failure", "lpar:recovery"]) unsubscribe(channel, forget);
    },
  );
});
