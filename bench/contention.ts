/**
 * Suite contention: what locks, undo log and epochs cost while nobody is in the way; workers at once against one; checked reads
 * in a worker.
 */
import { availableParallelism } from "node:os";
import { hrtime } from "node:process";
import { type Partition, ResourceTable } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { CHECKED, checked, makeData, openMemory } from "./access.js";
import { bareCore } from "./bare-core.js";
import type { Plan, ReadOrder, Taken } from "./contention-worker.js";
import type { Size } from "./cycles.js";
import { openGrants, throughRaw } from "./grant.js";
import { BenchWorker } from "./orders.js";
import type { Parameters } from "./parameters.js";
import { type Done, nsTogether, type Shift } from "./shift.js";
import { type Contender, type Context, plusNs, type Sample, type Scenario, type Stage } from "./suite.js";
import { IDLE } from "./worlds.js";

const WORKER = "./contention-worker.js";

// ---------------------------------------------------------------- what it costs alone

const CALLS_PER_CYCLE = 4;

function perCall(contender: Contender): Contender {
  return {
    measure: async (timeMs) => ({ ns: (await contender.measure(timeMs)).ns / CALLS_PER_CYCLE }),
    check: () => contender.check(),
  };
}

/** One table that a thread has joined, one that none has, and one of the bare core. */
async function openCost(name: string, quick: boolean, { seed, signal }: Context): Promise<Stage | string> {
  const bare = await bareCore(quick, signal);
  if (typeof bare === "string") return bare;
  const size: Size = { live: 1000, pages: 1, seed };
  const joined = openGrants(size);
  await joined.table.spawn(joined.server, IDLE);
  const lone = openGrants(size);
  const plain = openGrants(size, { module: bare });
  const worlds = [joined, lone, plain];
  return {
    ways: [
      {
        what: `${name}, locks and undo log`,
        contender: perCall(throughRaw(joined, size)),
        target: plusNs("bare", 60),
        versus: "bare",
      },
      { what: `${name}, no thread has joined`, contender: perCall(throughRaw(lone, size)), versus: "bare" },
    ],
    baselines: { bare: perCall(throughRaw(plain, size)) },
    audit: () => worlds.flatMap(({ table }) => table.audit().problems),
    close: async () => {
      for (const { table } of worlds) await table.close();
    },
  };
}

/** What epochs cost a checked read. */
async function openReadCost(
  name: string,
  bytes: number,
  quick: boolean,
  { seed, signal }: Context,
): Promise<Stage | string> {
  const bare = await bareCore(quick, signal);
  if (typeof bare === "string") return bare;
  const size = { mode: "read", bytes, isScattered: false } as const;
  const data = makeData(bytes, seed);
  const joined = openMemory(size);
  await joined.table.spawn(joined.partition, IDLE);
  const plain = openMemory(size, bare);
  return {
    ways: [
      {
        what: name,
        contender: checked(joined.partition, data, size),
        target: plusNs("bare", 15),
        versus: "bare",
      },
    ],
    baselines: { bare: checked(plain.partition, data, size) },
    audit: () => [joined, plain].flatMap(({ table }) => table.audit().problems),
    close: async () => {
      await joined.table.close();
      await plain.table.close();
    },
  };
}

// ---------------------------------------------------------------- several workers

/** Pages that each worker grants. */
const LIVE = 250;
/** Until the orders have arrived. */
const LEAD_NS = 5_000_000n;

type Kind = "unrelated" | "same partitions" | "one grant";

function openTable(pairs: number): { table: ResourceTable; pairs: (readonly [Partition, Partition])[] } {
  const pages = LIVE * 2;
  const table = ResourceTable.create({
    memory: pairs * pages * PAGE_BYTES,
    partitions: pairs * 2,
    grants: pairs * pages * 2 + 1024,
    logicalSpace: pages * 2 * PAGE_BYTES,
    gracePeriodMs: 0,
  });
  return {
    table,
    pairs: Array.from({ length: pairs }, (_, index) => {
      const server = table.createPartition({ name: `server ${index}`, memory: pages * PAGE_BYTES });
      const client = table.createPartition({ name: `client ${index}` });
      table.connect(server, client);
      return [server, client] as const;
    }),
  };
}

/** The rate of all together, as the time of one operation. */
function together(workers: readonly BenchWorker[]): (timeMs: number) => Promise<Sample> {
  return async (timeMs) => {
    const shift: Shift = { startAt: hrtime.bigint() + LEAD_NS, timeMs };
    const all = await Promise.all(workers.map((worker) => worker.ask<Done>("work", shift)));
    return { ns: nsTogether(shift, all) };
  };
}

/** Each must come to the same result. */
function checkCycles(workers: readonly BenchWorker[]): () => Promise<string> {
  return async () => {
    const results = await Promise.all(workers.map((worker) => worker.ask<string>("check")));
    return [...new Set(results)].join(" and ");
  };
}

/** However the two were in each other's way: what was accepted and not returned is mapped. */
function checkOneGrant(
  workers: readonly BenchWorker[],
  all: readonly BenchWorker[],
  client: Partition,
): () => Promise<string> {
  const counts: Map<BenchWorker, Taken> = new Map();
  return async () => {
    const taken = await Promise.all(workers.map((worker) => worker.ask<Taken>("check")));
    for (const [index, worker] of workers.entries()) counts.set(worker, taken[index] as Taken);
    for (const worker of all) {
      if (!workers.includes(worker)) counts.set(worker, await worker.ask<Taken>("counts"));
    }
    let standing = 0;
    for (const { accepted, returned } of counts.values()) standing += accepted - returned;
    const isTaken = taken.every(({ accepted }) => accepted > 0);
    return `accepted ${isTaken}, not returned ${standing - client.usage().pagesMapped} too many`;
  };
}

/** Where the threads sit: two on the same partitions are their server and their client, unrelated ones have a pair each. */
function seatsOf(
  pairs: readonly (readonly [Partition, Partition])[],
  kind: Kind,
): readonly { partition: Partition; pair: readonly [Partition, Partition]; base: number }[] {
  if (kind === "unrelated") return pairs.map((pair) => ({ partition: pair[0], pair, base: 0 }));
  const [pair] = pairs as [readonly [Partition, Partition]];
  return pair.map((partition, index) => ({ partition, pair, base: index * LIVE * PAGE_BYTES }));
}

/** A table of so many pairs, and the threads that sit in it. */
async function openThreads(
  kind: Kind,
  isRaw: boolean,
  count: number,
  seed: number,
): Promise<{ table: ResourceTable; client: Partition; workers: readonly BenchWorker[] }> {
  const { table, pairs } = openTable(kind === "unrelated" ? count : 1);
  const [first] = pairs as [readonly [Partition, Partition]];
  const cookie = kind === "one grant" ? first[0].grant({ to: first[1], address: 0, length: PAGE_BYTES }) : 0;
  const workers: BenchWorker[] = [];
  for (const { partition, pair, base } of seatsOf(pairs, kind)) {
    const [server, client] = [pair[0].lpid, pair[1].lpid];
    const plan: Plan =
      kind === "one grant"
        ? { work: "one grant", client, cookie }
        : { work: "cycles", isRaw, server, client, base, live: LIVE, seed };
    workers.push(await BenchWorker.spawn(table, partition, WORKER, plan));
  }
  return { table, client: first[1], workers };
}

async function openSome(
  name: string,
  kind: Kind,
  isRaw: boolean,
  count: number,
  { seed }: Context,
): Promise<Stage | string> {
  const cores = availableParallelism();
  if (cores < 2) return "there is only one core";
  const { table, client, workers } = await openThreads(kind, isRaw, count, seed);
  // What as many tables reach of which each has one thread is what the machine allows: they share nothing.
  const isCompared = kind === "unrelated" && count > 1;
  const apart = await Promise.all(
    Array.from({ length: isCompared ? count : 0 }, () => openThreads(kind, isRaw, 1, seed)),
  );
  const contender = (some: readonly BenchWorker[]): Contender => ({
    measure: together(some),
    check: kind === "one grant" ? checkOneGrant(some, workers, client) : checkCycles(some),
  });
  const tables = [table, ...apart.map((one) => one.table)];
  // Two must reach 1.7 times the rate of one; more than there are cores reach no more.
  const times = 0.85 * Math.min(count, cores);
  return {
    ways: [
      {
        what: name,
        contender: contender(workers),
        at: { workers: workers.length },
        ...(isCompared
          ? {
              target: {
                text: `alone / ${times.toFixed(1)}`,
                reach: ({ alone }) => (alone === undefined ? undefined : alone / times),
                aim: () => undefined,
              },
            }
          : {}),
        versus: "alone",
      },
    ],
    baselines: {
      alone: contender(workers.slice(0, 1)),
      ...(isCompared ? { apart: contender(apart.flatMap((one) => one.workers)) } : {}),
    },
    audit: () => tables.flatMap((one) => one.audit().problems),
    close: async () => {
      for (const one of tables) await one.close();
    },
  };
}

// ---------------------------------------------------------------- reads in a worker

async function openRead(name: string, bytes: number, { seed, native }: Context): Promise<Stage> {
  const { table, partition } = openMemory({ mode: "read", bytes, isScattered: false });
  const plan: Plan = { work: "read", bytes, seed };
  const worker = await BenchWorker.spawn(table, partition, WORKER, plan);
  const contender = (who: ReadOrder["who"]): Contender => ({
    measure: (timeMs) => worker.ask("measure", { who, timeMs } satisfies ReadOrder),
    check: () => worker.ask("check", { who, timeMs: 0 } satisfies ReadOrder),
  });
  const { memory, places } = makeData(bytes, seed);
  const nativeContender = await native?.setUp(
    "access",
    "read",
    bytes,
    memory.length,
    places.length,
    seed,
    "drawn",
    "whole",
  );
  return {
    ways: [
      { what: name, contender: contender("checked"), target: CHECKED, versus: "copy" },
      { what: `${name}, table's buffer`, contender: contender("buffer"), target: CHECKED, versus: "copy" },
    ],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      copy: contender("copy"),
    },
    audit: () => table.audit().problems,
    close: async () => {
      await nativeContender?.close();
      await table.close();
    },
  };
}

// ---------------------------------------------------------------- scenarios

export function contentionScenarios(quick: boolean, { workers }: Parameters): readonly Scenario[] {
  const sizes: readonly (readonly [name: string, bytes: number])[] = [
    ["64 B", 64],
    ["4 KiB", 4096],
  ];
  const some: readonly (readonly [name: string, kind: Kind, isRaw: boolean, count: number])[] =
    workers === undefined
      ? [
          ["two workers, unrelated grants, raw", "unrelated", true, 2],
          ["two workers, unrelated grants, objects", "unrelated", false, 2],
          ["two workers, the same partitions, raw", "same partitions", true, 2],
          ["two workers, one grant, accept or return", "one grant", true, 2],
        ]
      : [
          [`workers: ${workers}, unrelated grants, raw`, "unrelated", true, workers],
          [`workers: ${workers}, unrelated grants, objects`, "unrelated", false, workers],
        ];
  const scenario = (name: string, open: Scenario["open"]): Scenario => ({ name, open });
  const scenarios = some.map(([name, kind, isRaw, count]) =>
    scenario(name, (context) => openSome(name, kind, isRaw, count, context)),
  );
  // What does not depend on the number of workers need not be measured for each.
  if (workers !== undefined) return scenarios;
  return [
    scenario("one hypercall", (context) => openCost("one hypercall", quick, context)),
    ...sizes.map(([size, bytes]) =>
      scenario(`read ${size}, epochs`, (context) =>
        openReadCost(`read ${size}, epochs`, bytes, quick, context),
      ),
    ),
    ...scenarios,
    ...sizes.map(([size, bytes]) =>
      scenario(`read ${size} in a worker`, (context) => openRead(`read ${size} in a worker`, bytes, context)),
    ),
  ];
}
