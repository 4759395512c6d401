/** The reconciler: drift is told when two observations have seen it, and once more when it is gone (src/reconciler.ts). */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import {
  type Reconciler,
  type ResourceTable,
  systemClock,
  type TableEvent,
  type VirtualAdapter,
} from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  H_LONG_BUSY_10_MSEC,
  HEADER_ENDS_USED,
  HEADER_FRAMES_FREE,
  HEADER_FRAMES_QUARANTINED,
  HEADER_PINS_USED,
  SPACE_ENTRIES,
  SPACE_MEMORY,
} from "../src/layout.js";
import { spaceWord } from "../src/records.js";
import { REMOTE, Remote, sleep, within } from "./support/remote.js";
import {
  auditedAfterEach,
  HOSTILE,
  listen,
  openPair,
  openTable,
  PAGE,
  type Pair,
  settle,
} from "./support/world.js";

auditedAfterEach();

/** Adds to a counter, which nobody else does without what it counts. */
function tamper(table: ResourceTable, word: number, by: number): void {
  const { words } = kernelOf(table).memory;
  words[word / 4] = (words[word / 4] as number) + by;
}

interface Reconciled extends Pair {
  readonly reconciler: Reconciler;
  readonly told: ReturnType<typeof listen<TableEvent>>;
  /** What was told, in one line each. */
  texts(): Promise<string[]>;
}

/** A table that is looked at every 100 ms of a clock that stands still, and what it tells. */
function openReconciled(): Reconciled {
  const pair = openPair();
  const reconciler = pair.table.reconcile({ everyMs: 100 });
  const told = listen<TableEvent>((signal) => pair.table.events({ signal }));
  const texts = async (): Promise<string[]> => {
    await settle();
    return told.seen.map(({ type, reason }) => `${type}: ${reason}`);
  };
  return { ...pair, reconciler, told, texts };
}

describe("drift", () => {
  test("two observations in a row must show it; then it is told once, and the gauge stands", async () => {
    const { table, clock, told, texts, reconciler } = openReconciled();
    clock.advance(1000);
    expect([table.drift, reconciler.observations]).toEqual([0, 10]);
    tamper(table, HEADER_FRAMES_FREE, -1);
    clock.advance(99);
    expect(reconciler.observations).toBe(10);
    clock.advance(1);
    expect([table.drift, reconciler.drift, await texts()]).toEqual([0, 0, []]);
    clock.advance(100);
    expect([table.drift, reconciler.drift]).toEqual([1, 1]);
    expect(await texts()).toEqual(["drift: frames: 44 counted, the header says 43"]);
    clock.advance(1000);
    expect(table.drift).toBe(1);
    tamper(table, HEADER_FRAMES_FREE, 1);
    expect(table.drift).toBe(1);
    clock.advance(100);
    expect(table.drift).toBe(0);
    clock.advance(1000);
    expect(await texts()).toEqual([
      "drift: frames: 44 counted, the header says 43",
      "drift-ended: frames: 44 counted, the header says 43",
    ]);
    expect(told.seen).toMatchObject([
      { lpid: 0, at: 1200 },
      { lpid: 0, at: 2300 },
    ]);
    await told.stop();
  });

  test("what one observation shows and the next does not is never told, however often", async () => {
    const { table, clock, told, texts } = openReconciled();
    for (let round = 0; round < 5; round++) {
      tamper(table, HEADER_FRAMES_FREE, -1);
      clock.advance(100);
      tamper(table, HEADER_FRAMES_FREE, 1);
      expect(table.drift).toBe(0);
      clock.advance(100);
      expect(table.drift).toBe(0);
    }
    expect(await texts()).toEqual([]);
    await told.stop();
  });

  test("one problem after another is not the same problem twice", async () => {
    const { table, clock, told, texts } = openReconciled();
    for (const word of [HEADER_FRAMES_FREE, HEADER_ENDS_USED, HEADER_PINS_USED, HEADER_FRAMES_FREE]) {
      tamper(table, word, 1);
      clock.advance(100);
      tamper(table, word, -1);
    }
    expect([table.drift, await texts()]).toEqual([0, []]);
    await told.stop();
  });

  test("after it ended, drift that comes back must be seen twice again", async () => {
    const { table, clock, told } = openReconciled();
    const seen: number[] = [];
    for (const by of [1, 0, -1, 1, 0, 0, -1]) {
      tamper(table, HEADER_ENDS_USED, by);
      clock.advance(100);
      seen.push(table.drift);
    }
    expect(seen).toEqual([0, 1, 0, 0, 1, 1, 0]);
    await told.stop();
    expect(told.seen.map(({ type }) => type)).toEqual(["drift", "drift-ended", "drift", "drift-ended"]);
  });

  test("each problem is told by itself, and the gauge counts them", async () => {
    const { table, clock, told, texts } = openReconciled();
    const gauge: number[] = [];
    const step = (change: () => void): void => {
      change();
      clock.advance(100);
      gauge.push(table.drift);
    };
    step(() => tamper(table, HEADER_FRAMES_FREE, 1));
    step(() => tamper(table, HEADER_ENDS_USED, 1));
    step(() => tamper(table, HEADER_FRAMES_FREE, -1));
    step(() => tamper(table, HEADER_ENDS_USED, -1));
    step(() => {
      tamper(table, HEADER_FRAMES_FREE, 1);
      tamper(table, HEADER_FRAMES_QUARANTINED, 1);
    });
    step(() => {});
    step(() => {
      tamper(table, HEADER_FRAMES_FREE, -1);
      tamper(table, HEADER_FRAMES_QUARANTINED, -1);
    });
    expect(gauge).toEqual([0, 1, 1, 0, 0, 2, 0]);
    expect(await texts()).toEqual([
      "drift: frames: 44 counted, the header says 45",
      "drift: adapter ends: 2 counted, the header says 3",
      "drift-ended: frames: 44 counted, the header says 45",
      "drift-ended: adapter ends: 2 counted, the header says 3",
      "drift: frames: 44 counted, the header says 45; frames: 0 counted, the header says 1",
      "drift-ended: frames: 44 counted, the header says 45; frames: 0 counted, the header says 1",
    ]);
    await told.stop();
  });

  test("a total that others change meanwhile is the same problem, though its numbers are not", async () => {
    const { table, clock, told, texts } = openReconciled();
    tamper(table, HEADER_FRAMES_FREE, -1);
    for (let round = 0; round < 4; round++) {
      table.createPartition({ name: `more ${round}`, memory: 2 * PAGE });
      clock.advance(100);
    }
    expect(table.drift).toBe(1);
    expect(await texts()).toEqual(["drift: frames: 40 counted, the header says 39"]);
    tamper(table, HEADER_FRAMES_FREE, 1);
    clock.advance(100);
    expect(table.drift).toBe(0);
    await told.stop();
  });

  test("a sound table at work shows none: grants, views, failures, recoveries, restarts", async () => {
    const { table, server, client, clock, told } = openReconciled();
    for (let round = 0; round < 20; round++) {
      const cookie = server.grant({ to: client, address: 0, length: PAGE });
      const { address } = client.accept(cookie);
      using _ = client.view(address, PAGE);
      clock.advance(100);
      await server.rescindForced(cookie);
      clock.advance(100);
      table.fail(client);
      clock.advance(100);
      await table.recovered(client);
      table.restart(client);
      table.connect(server, client);
      clock.advance(100);
    }
    expect(table.drift).toBe(0);
    await told.stop();
    expect(told.seen.filter(({ type }) => type.startsWith("drift"))).toEqual([]);
  });

  test("a locked table breaks no row: it is looked at again a moment later", async () => {
    const { table, clock, told, reconciler } = openReconciled();
    const { memory } = kernelOf(table) as { memory: { core: { audit(): number } } };
    const { core } = memory;
    tamper(table, HEADER_FRAMES_FREE, 1);
    clock.advance(100);
    let refusals = 3;
    memory.core = { ...core, audit: () => (refusals-- > 0 ? H_LONG_BUSY_10_MSEC : core.audit()) };
    clock.advance(100);
    expect([table.drift, reconciler.observations]).toEqual([0, 1]);
    for (let turn = 0; reconciler.observations < 2 && turn < 1000; turn++) await sleep(1);
    expect([table.drift, reconciler.observations, refusals]).toEqual([1, 2, -1]);
    // stop() ends the retries as well.
    refusals = 1_000_000;
    clock.advance(100);
    await sleep(5);
    reconciler.stop();
    await sleep(5);
    const left = refusals;
    await sleep(10);
    expect([refusals, reconciler.observations]).toEqual([left, 2]);
    memory.core = core;
    tamper(table, HEADER_FRAMES_FREE, -1);
    await told.stop();
  });

  test("an audit that traps is a problem as another, not an exception in a timer", async () => {
    const { table, clock, told, texts } = openReconciled();
    const { memory } = kernelOf(table) as { memory: { core: { audit(): number } } };
    const { core } = memory;
    const audit = (): number => {
      throw new Error("unreachable");
    };
    memory.core = { ...core, audit };
    clock.advance(200);
    expect(table.drift).toBe(1);
    memory.core = core;
    clock.advance(100);
    expect(await texts()).toEqual([
      "drift: the audit ended in Error: unreachable",
      "drift-ended: the audit ended in Error: unreachable",
    ]);
    await told.stop();
  });

  test("more problems than an audit words: the gauge stops at 256", async () => {
    const { table, server, clock } = openPair({ memory: 512 * PAGE, serverPages: 300 });
    const reconciler = table.reconcile({ everyMs: 1 });
    const { memory } = kernelOf(table);
    const at = spaceWord(memory, server.lpid, SPACE_MEMORY, SPACE_ENTRIES) / 4;
    const entries = memory.words.slice(at, at + 300);
    memory.words.fill(0, at, at + 300);
    clock.advance(2);
    expect([table.drift, table.audit().problems.length]).toEqual([256, 257]);
    memory.words.set(entries, at);
    clock.advance(1);
    expect(table.drift).toBe(0);
    reconciler.stop();
  });
});

describe("beginning and end", () => {
  test("a period that is none is a RangeError that names it, its value and its bounds", () => {
    const { table, clock } = openTable();
    const most = 2 ** 31 - 1;
    const isNone = (value: number): boolean => !(Number.isInteger(value) && value >= 1 && value <= most);
    for (const everyMs of [...HOSTILE.filter(isNone), 0, most + 1, "5", undefined] as number[]) {
      const message = `everyMs is ${String(everyMs)}; it must be an integer from 1 to ${most}`;
      expect(() => table.reconcile({ everyMs })).toThrow(new RangeError(message));
    }
    expect([clock.waiting, table.drift]).toEqual([0, 0]);
    for (const everyMs of [1, most]) table.reconcile({ everyMs }).stop();
  });

  test("a second one while one runs is refused and the first goes on; after its end another may begin", () => {
    const { table, clock } = openTable();
    const first = table.reconcile({ everyMs: 10 });
    const refused = expect.objectContaining({ name: "LparError", code: "LPAR_RECONCILING" });
    expect(() => table.reconcile({ everyMs: 20 })).toThrow(refused);
    clock.advance(100);
    expect([first.observations, first.isRunning, clock.waiting]).toEqual([10, true, 1]);
    first.stop();
    const second = table.reconcile({ everyMs: 20 });
    // The end of the first is not the end of the second.
    first.stop();
    first[Symbol.dispose]();
    clock.advance(100);
    expect([first.observations, second.observations, clock.waiting]).toEqual([10, 5, 1]);
    second.stop();
    {
      using third = table.reconcile({ everyMs: 5 });
      expect(third.isRunning).toBe(true);
    }
    expect(clock.waiting).toBe(0);
  });

  test("the signal ends it; one that is aborted already lets it not begin", () => {
    const { table, clock } = openTable();
    const controller = new AbortController();
    const { signal } = controller;
    const reconciler = table.reconcile({ everyMs: 10, signal });
    clock.advance(30);
    const reason = new Error("enough");
    controller.abort(reason);
    clock.advance(100);
    expect([reconciler.observations, reconciler.isRunning, clock.waiting]).toEqual([3, false, 0]);
    expect(() => table.reconcile({ everyMs: 10, signal })).toThrow(reason);
    expect(clock.waiting).toBe(0);
    table.reconcile({ everyMs: 10 }).stop();
  });

  test("one that was stopped listens to its signal no more", () => {
    const { table } = openTable();
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...all: Parameters<typeof add>) => {
      listeners++;
      add(...all);
    };
    signal.removeEventListener = (...all: Parameters<typeof remove>) => {
      listeners--;
      remove(...all);
    };
    const reconciler = table.reconcile({ everyMs: 10, signal });
    expect(listeners).toBe(1);
    reconciler.stop();
    expect(listeners).toBe(0);
  });

  test("close() ends it, and a closed table begins none", async () => {
    const { table, clock } = openTable();
    const reconciler = table.reconcile({ everyMs: 10 });
    clock.advance(20);
    await table.close();
    clock.advance(100);
    expect([reconciler.observations, reconciler.isRunning, clock.waiting]).toEqual([2, false, 0]);
    expect(() => table.reconcile({ everyMs: 10 })).toThrow(expect.objectContaining({ code: "LPAR_CLOSED" }));
  });

  test("the gauge keeps what the last observation said until another reconciler begins", () => {
    const { table, clock } = openTable();
    const first = table.reconcile({ everyMs: 10 });
    tamper(table, HEADER_FRAMES_FREE, 1);
    clock.advance(20);
    first.stop();
    tamper(table, HEADER_FRAMES_FREE, -1);
    clock.advance(100);
    expect([table.drift, first.drift]).toEqual([1, 1]);
    table.reconcile({ everyMs: 10 });
    expect([table.drift, first.drift]).toEqual([0, 1]);
  });

  test("a listener that stops it while it is told is obeyed", async () => {
    const { table, clock } = openTable();
    const reconciler = table.reconcile({ everyMs: 10 });
    const heard = (async () => {
      for await (const { type } of table.events()) {
        reconciler.stop();
        return type;
      }
    })();
    tamper(table, HEADER_FRAMES_FREE, 1);
    clock.advance(20);
    expect(await heard).toBe("drift");
    tamper(table, HEADER_FRAMES_FREE, -1);
    clock.advance(100);
    expect([reconciler.observations, clock.waiting]).toEqual([2, 0]);
  });

  test("G7: with the process's clock it goes on by itself", async () => {
    const { table } = openTable({ clock: systemClock });
    const told = listen<TableEvent>((signal) => table.events({ signal }));
    const reconciler = table.reconcile({ everyMs: 2 });
    tamper(table, HEADER_FRAMES_FREE, 1);
    for (let turn = 0; told.seen.length < 1 && turn < 2000; turn++) await sleep(1);
    tamper(table, HEADER_FRAMES_FREE, -1);
    for (let turn = 0; told.seen.length < 2 && turn < 2000; turn++) await sleep(1);
    await told.stop();
    reconciler.stop();
    expect(told.seen.map(({ type }) => type)).toEqual(["drift", "drift-ended"]);
  });

  test("G7: a worker that makes calls all the time shows no drift, and goes on", async () => {
    const { table, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const { worker } = await table.spawn(client, REMOTE);
    const remote = new Remote(worker);
    const told = listen<TableEvent>((signal) => table.events({ signal }));
    const reconciler = table.reconcile({ everyMs: 1 });
    const cycles = await remote.run(({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      let cycles = 0;
      for (const until = performance.now() + 500; performance.now() < until; cycles++) {
        const cookie = partition.grant({ to: adapter, address: 0, length: 4096 });
        partition.view(4096, 8192).release();
        partition.rescind(cookie);
        partition.free(partition.allocate(8192));
      }
      return cycles;
    });
    expect(cycles).toBeGreaterThan(1000);
    expect(reconciler.observations).toBeGreaterThan(10);
    // It ends with the thread, and what its partition was in the middle of.
    await worker.terminate();
    for (let turn = 0; client.state === "running" && turn < 5000; turn++) await sleep(1);
    await within(table.recovered(client), "recovered");
    const { observations } = reconciler;
    for (let turn = 0; reconciler.observations < observations + 3 && turn < 1000; turn++) await sleep(1);
    expect([reconciler.observations - observations > 2, table.drift]).toEqual([true, 0]);
    reconciler.stop();
    await told.stop();
    expect(told.seen.map(({ type }) => type)).toEqual(["partition-failed", "partition-recovered"]);
  });

  test("a process does not stay alive for it", async () => {
    const program = `
      import { ResourceTable } from "lpar";
      const table = ResourceTable.create({ memory: 65536 });
      const { isRunning } = table.reconcile({ everyMs: 60_000 });
      console.log(isRunning);`;
    const cwd = fileURLToPath(new URL("..", import.meta.url));
    const run = promisify(execFile);
    const args = ["--input-type=module", "-e", program];
    const { stdout } = await run(process.execPath, args, { cwd, timeout: 20_000 });
    expect(stdout).toBe("true\n");
  });
});
