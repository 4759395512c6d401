/**
 * Suite handoff: a worker hands a range of memory to another one and gets it back. Ours are grants, with a doorbell: a ring in
 * a granted page, on whose words both sides sleep with Atomics, or messages (CRQ). The same ring in a SharedArrayBuffer is the
 * baseline, so that what remains is what the grants cost.
 */
import { availableParallelism } from "node:os";
import { MessageChannel } from "node:worker_threads";
import { ResourceTable } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import type { CheckOrder, How, Post, RunOrder, TimeOrder } from "./handoff-worker.js";
import { BenchWorker } from "./orders.js";
import { Random } from "./random.js";
import { RemoteMeter } from "./remote-meter.js";
import { RING_WORDS } from "./ring.js";
import { type Contender, type Context, plusNs, type Scenario, type Stage } from "./suite.js";

const WORKER = "./handoff-worker.js";
/** About as long as it takes to wake a thread. */
const SPINS = 2000;
const CHECKS = 64;
/** What it may cost more than the same ring without grants, and what it should. */
const REACH_NS = 2000;
const AIM_NS = 500;

async function openStage(name: string, bytes: number, { seed }: Context): Promise<Stage | string> {
  if (availableParallelism() < 2) return "there is only one core";
  const table = ResourceTable.create({
    memory: bytes + 16 * PAGE_BYTES,
    partitions: 2,
    grants: 64,
    gracePeriodMs: 0,
  });
  const caller = table.createPartition({ name: "caller", memory: bytes + 8 * PAGE_BYTES });
  const server = table.createPartition({ name: "server", memory: 4 * PAGE_BYTES });
  const to = table.connect(caller, server);
  const ringAddress = caller.allocate(PAGE_BYTES);
  const address = caller.allocate(bytes);
  const [theirRings, theirs] = [
    server.accept(caller.grant({ to, address: ringAddress, length: PAGE_BYTES })),
    server.accept(caller.grant({ to, address, length: bytes })),
  ];
  const rings = new SharedArrayBuffer(2 * RING_WORDS * 4);
  const shared = new SharedArrayBuffer(bytes);
  const posts: readonly Post[] = [
    { bytes, ringAddress, address, rings, shared },
    { bytes, ringAddress: theirRings.address, address: theirs.address, rings, shared },
  ];
  const [a, b] = [
    await BenchWorker.spawn(table, caller, WORKER, posts[0]),
    await BenchWorker.spawn(table, server, WORKER, posts[1]),
  ];
  const { port1, port2 } = new MessageChannel();
  await a.ask("open", port1, [port1]);
  await b.ask("open", port2, [port2]);
  const random = new Random(seed);
  const stamps = Array.from({ length: CHECKS }, () => random.next());
  /** The server serves while the caller carries out its order. Both come to an end, even if one of them fails. */
  const both = async <T>(
    how: How,
    order: string,
    argument: RunOrder | TimeOrder | CheckOrder,
  ): Promise<T> => {
    const [served, answer] = await Promise.allSettled([b.ask("serve", how), a.ask<T>(order, argument)]);
    if (served.status === "rejected") throw served.reason;
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  };
  const contender = (way: How["way"], spins = 0): Contender => {
    const how: How = { way, spins };
    return {
      measure: (timeMs) => both(how, "run", { ...how, timeMs }),
      meter: (options) => new RemoteMeter(() => both(how, "time", { ...how, options })),
      // What went wrong in a worker is a wrong result, too.
      check: () => both<string>(how, "check", { ...how, stamps }).catch(String),
    };
  };
  const [sleeping, spinning] = [plusNs("ring", REACH_NS, AIM_NS), plusNs("spin", REACH_NS, AIM_NS)];
  return {
    ways: [
      { what: `${name}, grant each time`, contender: contender("grant"), target: sleeping, versus: "ring" },
      {
        what: `${name}, grant each time, spinning`,
        contender: contender("grant", SPINS),
        target: spinning,
        versus: "spin",
      },
      { what: `${name}, standing grant`, contender: contender("standing"), target: sleeping, versus: "ring" },
      {
        what: `${name}, standing grant, spinning`,
        contender: contender("standing", SPINS),
        target: spinning,
        versus: "spin",
      },
      {
        what: `${name}, grant each time, messages`,
        contender: contender("messages"),
        // Both wait in their event loops: so does who posts.
        versus: "transfer",
      },
    ],
    baselines: {
      ring: contender("shared"),
      spin: contender("shared", SPINS),
      transfer: contender("transfer"),
      clone: contender("clone"),
    },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

export function handoffScenarios(): readonly Scenario[] {
  const sizes: readonly (readonly [name: string, bytes: number])[] = [
    ["4 KiB", 4096],
    ["64 KiB", 65536],
    ["1 MiB", 2 ** 20],
  ];
  return sizes.map(([name, bytes]) => ({ name, open: (context) => openStage(name, bytes, context) }));
}
