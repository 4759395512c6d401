/** What a partition is told of its partners' failures: each failure once, then each recovery once (FA2). */
import type { PartitionEvent } from "../events.js";
import { Violation } from "./records.js";

export class Notices {
  readonly #failed: Set<number> = new Set();
  readonly #failures: Map<number, number> = new Map();
  readonly #recoveries: Map<number, number> = new Map();
  /** Whether events did not fit the ring: then nothing follows from what did not come. */
  #hasLost = false;

  /** @throws Violation for a notice that cannot be. */
  take({ type, partner }: PartitionEvent): void {
    if (type === "events-lost") this.#hasLost = true;
    if (type === "partner-failed") {
      if (this.#failed.has(partner) && !this.#hasLost)
        throw new Violation(`the failure of partition ${partner} was told twice`);
      this.#failed.add(partner);
      this.#failures.set(partner, this.failures(partner) + 1);
    }
    if (type === "partner-recovered") {
      if (!this.#failed.has(partner) && !this.#hasLost)
        throw new Violation(`the recovery of partition ${partner} was told without its failure`);
      this.#failed.delete(partner);
      this.#recoveries.set(partner, this.recoveries(partner) + 1);
    }
  }

  get isComplete(): boolean {
    return !this.#hasLost;
  }

  failures(partner: number): number {
    return this.#failures.get(partner) ?? 0;
  }

  recoveries(partner: number): number {
    return this.#recoveries.get(partner) ?? 0;
  }
}
