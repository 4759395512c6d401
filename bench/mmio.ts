/**
 * Suite mmio: a load from a device window. In the thread of the model it is compared with the model alone, from another thread
 * with a bare question and answer by Atomics, so that what remains is what the checks and the mailbox cost.
 */
import { availableParallelism } from "node:os";
import { ResourceTable } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { inBlocks } from "./measure.js";
import { registerAt } from "./mmio-model.js";
import type { Order, Post } from "./mmio-worker.js";
import { BenchWorker } from "./orders.js";
import { Random } from "./random.js";
import type { Contender, Context, Scenario, Stage } from "./suite.js";

const WORKER = "./mmio-worker.js";
const BLOCK = 1024;
const CHECKS = 64;

function offsetsOf({ seed }: Context): number[] {
  const random = new Random(seed);
  return Array.from({ length: CHECKS }, () => (random.next() & 1023) * 4);
}

/** A contender that does without threads. */
function local(load: (offset: number) => number, offsets: readonly number[]): Contender {
  let sum = 0;
  return {
    measure: inBlocks(BLOCK, () => {
      for (let i = 0; i < BLOCK; i++) sum = (sum + load(4 * i)) >>> 0;
    }),
    check: async () => String(offsets.reduce((total, offset) => (total + load(offset)) >>> 0, 0)),
  };
}

async function openLocal(context: Context): Promise<Stage> {
  const table = ResourceTable.create({ memory: 16 * PAGE_BYTES, partitions: 2, grants: 16 });
  const [server, client] = [
    table.createPartition({ name: "server" }),
    table.createPartition({ name: "client" }),
  ];
  table.assign(server, { type: "mmio", address: 0, length: PAGE_BYTES });
  const model = { read: registerAt, write: (): void => {} };
  server.mmio.serve(0, model);
  const to = table.connect(server, client);
  const { address } = client.accept(server.grant({ to, type: "mmio", address: 0, length: PAGE_BYTES }));
  const offsets = offsetsOf(context);
  return {
    ways: [
      {
        what: "load32, model in the same thread",
        contender: local((offset) => client.mmio.load32(address + offset), offsets),
        versus: "typed",
      },
    ],
    baselines: { typed: local((offset) => model.read(offset), offsets) },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

async function openRemote(context: Context): Promise<Stage | string> {
  if (availableParallelism() < 2) return "there is only one core";
  const table = ResourceTable.create({
    memory: 16 * PAGE_BYTES,
    partitions: 3,
    grants: 16,
    gracePeriodMs: 0,
  });
  const [owner, server, client] = ["owner", "server", "client"].map((name) =>
    table.createPartition({ name }),
  );
  if (owner === undefined || server === undefined || client === undefined) throw new Error("no partitions");
  const window = (of: typeof owner): number => {
    table.assign(of, { type: "mmio", address: 0, length: PAGE_BYTES });
    const to = table.connect(of, client);
    return client.accept(of.grant({ to, type: "mmio", address: 0, length: PAGE_BYTES })).address;
  };
  const words = new SharedArrayBuffer(16);
  const post: Post = { owner: window(owner), worker: window(server), words };
  owner.mmio.serve(0, { read: registerAt, write: () => {} });
  const a = await BenchWorker.spawn(table, client, WORKER, post);
  const b = await BenchWorker.spawn(table, server, WORKER, { owner: 0, worker: 0, words } satisfies Post);
  await b.ask("model");
  const offsets = offsetsOf(context);
  const both = async <T>(name: string, order: Order): Promise<T> => {
    if (order.way === "owner" || order.way === "worker") return a.ask<T>(name, order);
    new Int32Array(words).fill(-1);
    const [served, answer] = await Promise.allSettled([b.ask("answer", order), a.ask<T>(name, order)]);
    if (served.status === "rejected") throw served.reason;
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  };
  const contender = (way: Order["way"]): Contender => ({
    measure: (timeMs) => both("run", { way, timeMs }),
    check: () => both<string>("check", { way, offsets }).catch(String),
  });
  return {
    ways: [
      { what: "load32, from a worker to the owner and back", contender: contender("owner"), versus: "ring" },
      { what: "load32, from a worker to a worker and back", contender: contender("worker"), versus: "ring" },
    ],
    baselines: { ring: contender("ring"), spin: contender("spin") },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

export function mmioScenarios(): readonly Scenario[] {
  return [
    { name: "same thread", open: openLocal },
    { name: "between threads", open: openRemote },
  ];
}
