/**
 * How long single operations take. In a closed loop each begins when the one before is done, so that one that stalls
 * delays the others and hides what they would have waited for (coordinated omission). In an open loop operation i is due
 * at i / rate, whatever the ones before it took, and its latency counts from then.
 */
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { type Bin, LatencyHistogram, type Percentiles } from "./histogram.js";

/** One operation, done at once or by a promise. */
export type Operation = (() => void) | (() => Promise<void>);

/** What was found out about one contender. */
export interface Latency {
  /** Measured latencies; of operations, or of blocks of them. */
  readonly count: number;
  /**
   * Operations timed together, because one is too short for the clock: the latencies are then means of so many, which
   * levels out the longest. 1 where each was timed by itself.
   */
  readonly block: number;
  /** Whether most latencies are so short that the clock decides them. */
  readonly isTooShort: boolean;
  /** From when an operation began until its end, in nanoseconds. */
  readonly uncorrected: Percentiles;
  /** From when it should have begun: with a rate only. */
  readonly corrected?: Percentiles;
  /** With a rate only. */
  readonly rate?: Rate;
  /** Of the corrected latencies if there are any. */
  readonly bins: readonly Bin[];
}

/** Operations per second. */
export interface Rate {
  readonly asked: number;
  readonly achieved: number;
}

export interface LatencyOptions {
  readonly timeMs: number;
  /** Operations per second of an open loop; a closed loop if left out. */
  readonly rate?: number | undefined;
  /** Nanoseconds from which on a single latency can be told. */
  readonly shortestNs: number;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** At most so many latencies of one measurement, which are kept until it is over: sorting them in costs time. */
const KEPT_MAX = 2 ** 20;
const BLOCK_MAX = 2 ** 16;
/** An open loop that falls behind ends after so many times its time. */
const LATE_FACTOR = 3;
/** What an open loop waits by a timer, and by turns of the event loop; the rest it waits in a loop of its own. */
const TIMER_MS = 3;
const TURN_MS = 0.2;
const WARM_UP_OPERATIONS = 50;

/** Finds out how long single operations of one contender take, again and again. */
export interface Meter {
  /** One measurement of about timeMs milliseconds. */
  measure(): Promise<void>;
  /** What all measurements have found. */
  result(): Latency;
}

/** Measures one contender, again and again, and keeps what it finds. */
export class LatencyMeter implements Meter {
  readonly #operation: Operation;
  /** Of whole blocks, since the histogram knows no parts of a nanosecond. */
  #uncorrected = new LatencyHistogram();
  readonly #corrected = new LatencyHistogram();
  readonly #options: LatencyOptions;
  readonly #now: () => number;
  #block = 0;
  #operations = 0;
  #spentMs = 0;

  constructor(operation: Operation, options: LatencyOptions) {
    this.#operation = operation;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  async measure(): Promise<void> {
    if (this.#block === 0) this.#block = await this.#findBlock();
    const { rate, timeMs } = this.#options;
    if (rate === undefined) {
      while (!(await this.#closedLoop()) && this.#block < BLOCK_MAX) {
        // What is compiled by now is quicker than what the block was found with.
        this.#block *= 2;
        this.#uncorrected = new LatencyHistogram();
      }
    } else await this.#openLoop(rate, Math.min(KEPT_MAX, Math.max(1, Math.round((rate * timeMs) / 1000))));
  }

  result(): Latency {
    const { rate, shortestNs } = this.#options;
    const uncorrected = this.#uncorrected.percentiles(this.#block);
    const found = {
      count: this.#uncorrected.count,
      block: this.#block,
      isTooShort: uncorrected.p50 * this.#block < shortestNs,
      uncorrected,
    };
    if (rate === undefined) return { ...found, bins: this.#uncorrected.bins(this.#block) };
    return {
      ...found,
      corrected: this.#corrected.percentiles(),
      rate: { asked: rate, achieved: (this.#operations / this.#spentMs) * 1000 },
      bins: this.#corrected.bins(),
    };
  }

  /** How many operations must be timed together. With a rate each counts by itself, however short. */
  async #findBlock(): Promise<number> {
    const operation = this.#operation;
    let first: unknown;
    for (let i = 0; i < WARM_UP_OPERATIONS; i++) {
      first = operation();
      if (first instanceof Promise) await first;
    }
    if (first instanceof Promise || this.#options.rate !== undefined) return 1;
    for (let block = 1; block < BLOCK_MAX; block *= 2) {
      const times = Array.from({ length: 9 }, () => this.#time(operation, block)).sort((a, b) => a - b);
      if ((times[4] as number) * 1e6 >= this.#options.shortestNs) return block;
    }
    return BLOCK_MAX;
  }

  #time(operation: Operation, block: number): number {
    const start = this.#now();
    for (let i = 0; i < block; i++) operation();
    return this.#now() - start;
  }

  /** @returns whether most blocks are as long as the clock wants them; promises are measured one by one, however short. */
  async #closedLoop(): Promise<boolean> {
    const [operation, now, block] = [this.#operation, this.#now, this.#block];
    const kept: number[] = [];
    const end = now() + this.#options.timeMs;
    let last: number;
    let isAsync = false;
    do {
      const start = now();
      let done = operation();
      if (done instanceof Promise) {
        isAsync = true;
        await done;
      } else for (let i = 1; i < block; i++) done = operation();
      last = now();
      kept.push(last - start);
    } while (last < end && kept.length < KEPT_MAX);
    for (const ms of kept) this.#uncorrected.record(ms * 1e6);
    return isAsync || this.#uncorrected.percentiles().p50 >= this.#options.shortestNs;
  }

  async #openLoop(rate: number, count: number): Promise<void> {
    const [operation, now] = [this.#operation, this.#now];
    const periodMs = 1000 / rate;
    const uncorrected = new Float64Array(count);
    const corrected = new Float64Array(count);
    const start = now();
    const latest = start + Math.max(count * periodMs, this.#options.timeMs) * LATE_FACTOR;
    let done = 0;
    let last = start;
    while (done < count && last < latest) {
      const due = start + done * periodMs;
      let begun = now();
      // Only ahead of time may the event loop turn: one who is late goes on at once.
      if (due - begun > TURN_MS) await until(due - TURN_MS, now);
      while (begun < due) begun = now();
      const result = operation();
      if (result instanceof Promise) await result;
      last = now();
      uncorrected[done] = last - begun;
      corrected[done] = last - due;
      done++;
    }
    for (let i = 0; i < done; i++) {
      this.#uncorrected.record((uncorrected[i] as number) * 1e6);
      this.#corrected.record((corrected[i] as number) * 1e6);
    }
    this.#operations += done;
    // One at its time each, the last one too.
    this.#spentMs += Math.max(last - start, done * periodMs);
  }
}

/** Waits without keeping others from their work. */
async function until(time: number, now: () => number): Promise<void> {
  for (let left = time - now(); left > 0; left = time - now())
    await (left > TIMER_MS ? sleep(left - TIMER_MS + 1) : turn());
}
