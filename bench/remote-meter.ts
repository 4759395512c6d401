/** Latencies of operations between workers, measured in the worker that begins them: here they would be those of its orders. */
import { type Latency, LatencyMeter, type LatencyOptions, type Meter, type Operation } from "./latency.js";

/** In the owner: asks a worker to measure, and keeps what it has found so far. */
export class RemoteMeter implements Meter {
  readonly #ask: () => Promise<Latency>;
  #found: Latency | undefined;

  constructor(ask: () => Promise<Latency>) {
    this.#ask = ask;
  }

  async measure(): Promise<void> {
    this.#found = await this.#ask();
  }

  result(): Latency {
    if (this.#found === undefined) throw new Error("nothing was measured");
    return this.#found;
  }
}

/** In the worker: a meter for each of its contenders, for all of their measurements. */
export class WorkerMeters {
  readonly #meters = new Map<string, { readonly meter: LatencyMeter; operation: Operation }>();

  /** One more measurement of a contender. @returns what all of them have found. */
  async measure(contender: string, options: LatencyOptions, operation: Operation): Promise<Latency> {
    let known = this.#meters.get(contender);
    if (known === undefined) {
      // What an operation works on lives only as long as one measurement.
      const made = { meter: new LatencyMeter(() => made.operation(), options), operation };
      this.#meters.set(contender, made);
      known = made;
    }
    known.operation = operation;
    await known.meter.measure();
    return known.meter.result();
  }
}
