/** A thread of the suite kinds: the caller, or the one that answers. */
import { workerData } from "node:worker_threads";
import { currentPartition } from "../src/worker.js";
import type { Latency, LatencyOptions } from "./latency.js";
import { takeOrders } from "./orders.js";
import { WorkerMeters } from "./remote-meter.js";
import { RING_WORDS, Ring } from "./ring.js";
import type { Sample } from "./suite.js";

/** What both threads know from the beginning. */
export interface Post {
  /** The port behind which the other one's doorbell is. */
  readonly port: number;
  /** The baseline: a ring in each direction; behind them a word that says to stop. */
  readonly rings: SharedArrayBuffer;
  readonly isCaller: boolean;
}

/** How it is rung. */
export type Bell = "doorbell" | "ring";

/** Whoever waits longer has lost a ring. */
const PATIENCE_MS = 5000;

const { port, rings, isCaller } = workerData as Post;
const partition = currentPartition();
const meters = new WorkerMeters();
const stop = new Int32Array(rings, 2 * RING_WORDS * 4, 1);
const [there, back] = [0, 1].map(
  (index) => new Ring(new Int32Array(rings, index * RING_WORDS * 4, RING_WORDS), 0),
) as [Ring, Ring];
const [out, into] = isCaller ? [there, back] : [back, there];

function ring(bell: Bell): void {
  if (bell === "doorbell") partition.ring(port);
  else out.push(1, 0);
}

function hear(bell: Bell): void {
  if (bell === "ring") into.pop();
  else if (partition.waitEvent(PATIENCE_MS)?.type !== "doorbell") throw new Error("no doorbell came");
}

function call(bell: Bell): void {
  ring(bell);
  hear(bell);
}

/** The last call finds the other one told to stop. */
function hangUp(bell: Bell): void {
  Atomics.store(stop, 0, 1);
  ring(bell);
}

takeOrders({
  serve: (bell: Bell): void => {
    while (true) {
      hear(bell);
      if (Atomics.exchange(stop, 0, 0) === 1) return;
      ring(bell);
    }
  },
  run: ({ bell, timeMs }: { bell: Bell; timeMs: number }): Sample => {
    // The first one waits for the other thread to begin.
    call(bell);
    const start = performance.now();
    let rounds = 0;
    for (; performance.now() < start + timeMs; rounds++) call(bell);
    const ms = performance.now() - start;
    hangUp(bell);
    return { ns: (ms * 1e6) / rounds };
  },
  time: async ({ bell, options }: { bell: Bell; options: LatencyOptions }): Promise<Latency> => {
    call(bell);
    try {
      return await meters.measure(bell, options, () => call(bell));
    } finally {
      hangUp(bell);
    }
  },
  check: ({ bell, rounds }: { bell: Bell; rounds: number }): string => {
    for (let round = 0; round < rounds; round++) call(bell);
    hangUp(bell);
    return `${rounds} times there and back`;
  },
});
