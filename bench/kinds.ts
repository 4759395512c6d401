/**
 * Suite kinds: what the other kinds of resource cost. Doorbells: a worker rings, another one that sleeps wakes up and rings
 * back; the baseline is a hand-written ring in a SharedArrayBuffer on which both sleep with Atomics.
 */
import { availableParallelism } from "node:os";
import { ResourceTable } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import type { Bell, Post } from "./kinds-worker.js";
import type { Latency } from "./latency.js";
import { BenchWorker } from "./orders.js";
import { RemoteMeter } from "./remote-meter.js";
import { RING_WORDS } from "./ring.js";
import type { Contender, Sample, Scenario, Stage } from "./suite.js";

const WORKER = "./kinds-worker.js";
const CHECKS = 200;

async function openDoorbells(): Promise<Stage | string> {
  if (availableParallelism() < 2) return "there is only one core";
  const table = ResourceTable.create({ memory: 4 * PAGE_BYTES, partitions: 2, grants: 16, gracePeriodMs: 0 });
  const caller = table.createPartition({ name: "caller" });
  const server = table.createPartition({ name: "server" });
  table.connect(caller, server);
  const rings = new SharedArrayBuffer((2 * RING_WORDS + 1) * 4);
  for (const owner of [caller, server]) table.assign(owner, { type: "ipi", address: 0, length: 1 });
  const toServer = caller.accept(server.grant({ to: caller, type: "ipi", address: 0, length: 1 }));
  const toCaller = server.accept(caller.grant({ to: server, type: "ipi", address: 0, length: 1 }));
  const post = (port: number, isCaller: boolean): Post => ({ port, rings, isCaller });
  const a = await BenchWorker.spawn(table, caller, WORKER, post(toServer.address, true));
  const b = await BenchWorker.spawn(table, server, WORKER, post(toCaller.address, false));
  /** The server answers while the caller carries out its order. */
  const both = async <T>(bell: Bell, order: string, argument: unknown): Promise<T> => {
    const [served, answer] = await Promise.allSettled([b.ask("serve", bell), a.ask<T>(order, argument)]);
    if (served.status === "rejected") throw served.reason;
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  };
  const contender = (bell: Bell): Contender => ({
    measure: (timeMs) => both<Sample>(bell, "run", { bell, timeMs }),
    meter: (options) => new RemoteMeter(() => both<Latency>(bell, "time", { bell, options })),
    check: () => both<string>(bell, "check", { bell, rounds: CHECKS }).catch(String),
  });
  return {
    ways: [{ what: "doorbell, there and back", contender: contender("doorbell"), versus: "ring" }],
    baselines: { ring: contender("ring") },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

export function kindsScenarios(): readonly Scenario[] {
  return [{ name: "doorbell", open: openDoorbells }];
}
