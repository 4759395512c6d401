/** A thread of the suite mmio: who loads, or who serves. */
import { workerData } from "node:worker_threads";
import { currentPartition } from "../src/worker.js";
import { registerAt } from "./mmio-model.js";
import { takeOrders } from "./orders.js";
import type { Sample } from "./suite.js";

/** What both threads know from the beginning. */
export interface Post {
  /** Where the window of the owner's thread, and that of the other worker, are mapped; of who serves: its own. */
  readonly owner: number;
  readonly worker: number;
  /** The baseline: a question, an answer. A question of -1 ends it. */
  readonly words: SharedArrayBuffer;
}

export interface Order {
  readonly way: "owner" | "worker" | "ring" | "spin";
  readonly timeMs?: number;
  readonly offsets?: readonly number[];
}

const post = workerData as Post;
/** Looks at a word before its end sleeps. */
const SPINS = 2000;

/** The next value of a word, after `last`. */
function next(words: Int32Array, index: number, last: number, spins: number): number {
  for (let look = 0; look < spins; look++) {
    const value = Atomics.load(words, index);
    if (value !== last) return value;
  }
  while (Atomics.load(words, index) === last) Atomics.wait(words, index, last);
  return Atomics.load(words, index);
}

function tell(words: Int32Array, index: number, value: number): void {
  Atomics.store(words, index, value);
  Atomics.notify(words, index);
}

const partition = currentPartition();
const words = new Int32Array(post.words);
const spinsOf = ({ way }: Order): number => (way === "spin" ? SPINS : 0);
const loader = (order: Order): ((offset: number) => number) => {
  const { mmio } = partition;
  if (order.way === "owner") return (offset) => mmio.load32(post.owner + offset);
  if (order.way === "worker") return (offset) => mmio.load32(post.worker + offset);
  const spins = spinsOf(order);
  let round = 0;
  return (offset) => {
    // The round is part of the word, so that two equal questions are two.
    const before = Atomics.load(words, 1);
    tell(words, 0, ((round++ & 0x7fff) << 16) | offset);
    next(words, 1, before, spins);
    return Atomics.load(words, 2);
  };
};
const stop = (order: Order): void => {
  if (order.way === "ring" || order.way === "spin") tell(words, 0, -1);
};
takeOrders({
  model: () => {
    partition.mmio.serve(post.worker, { read: registerAt, write: () => {} });
  },
  answer: (order: Order): void => {
    let last = -1;
    let round = 0;
    while (true) {
      last = next(words, 0, last, spinsOf(order));
      if (last === -1) return;
      words[2] = registerAt(last & 0xffff);
      tell(words, 1, ++round);
    }
  },
  run: (order: Order): Sample => {
    const load = loader(order);
    try {
      load(0);
      const start = performance.now();
      const until = start + (order.timeMs ?? 0);
      let rounds = 0;
      for (; performance.now() < until; rounds++) load(4 * (rounds & 1023));
      return { ns: ((performance.now() - start) * 1e6) / rounds };
    } finally {
      stop(order);
    }
  },
  check: (order: Order): string => {
    const load = loader(order);
    try {
      let sum = 0;
      for (const offset of order.offsets ?? []) sum = (sum + load(offset)) >>> 0;
      return String(sum);
    } finally {
      stop(order);
    }
  },
});
