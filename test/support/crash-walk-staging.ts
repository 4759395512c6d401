/** Staging that the threads of a walk have: whose each page is, from the call that took it to the one that gave it back. */
import {
  HEADER_STAGING_AT,
  HEADER_STAGING_OWNERS_AT,
  HEADER_STAGING_PAGES,
  PAGE_BYTES,
} from "../../src/layout.js";
import type { Rig } from "./crash-rig.js";

export interface Run {
  readonly page: number;
  readonly count: number;
}

interface Owned extends Run {
  readonly slot: number;
}

export class StagingRuns {
  readonly #rig: Rig;
  #runs: Owned[] = [];
  /**
   * Threads whose calls that take or give back were stopped, or that have died: what has become of it is seen when no call is half
   * done.
   */
  readonly #doubts = new Set<number>();

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  /** A run that a thread has, as far as that is known. */
  of(slot: number): Run | undefined {
    return this.#doubts.has(slot) ? undefined : this.#runs.find((run) => run.slot === slot);
  }

  at({ page }: Run): number {
    return this.#rig.word(HEADER_STAGING_AT) + page * PAGE_BYTES;
  }

  /** @throws if any of it is had already. */
  taken(slot: number, at: number, count: number): void {
    const page = (at - this.#rig.word(HEADER_STAGING_AT)) / PAGE_BYTES;
    const isHad = (run: Owned): boolean => page < run.page + run.count && run.page < page + count;
    const had = this.#runs.find((run) => isHad(run) && !this.#doubts.has(run.slot));
    if (had !== undefined)
      throw new Error(`staging from page ${page} on is handed out, and thread ${had.slot} has it`);
    // So it has been given back by the call that was stopped, or by the reaper.
    this.#runs = this.#runs.filter((run) => !isHad(run));
    this.#runs.push({ slot, page, count });
  }

  given(slot: number, at: number): void {
    this.#runs = this.#runs.filter((run) => run.slot !== slot || this.at(run) !== at);
  }

  /** It may have taken a run, or have given one back, or somebody has for it. */
  doubt(slot: number): void {
    this.#doubts.add(slot);
  }

  /** A thread is gone, and nothing is its own any more. */
  forget(slot: number): void {
    this.#runs = this.#runs.filter((run) => run.slot !== slot);
    this.#doubts.delete(slot);
  }

  #owners({ page, count }: Run): number[] {
    const at = this.#rig.word(HEADER_STAGING_OWNERS_AT);
    return Array.from({ length: count }, (_, index) => this.#rig.word(at + (page + index) * 4));
  }

  /** What is wrongly whose, "" if nothing is; while no call is half done. */
  wrong(): string {
    // What was given back may be another thread's by now.
    const isGiven = (run: Owned): boolean => this.#owners(run).every((owner) => owner !== run.slot + 1);
    this.#runs = this.#runs.filter((run) => !(this.#doubts.has(run.slot) && isGiven(run)));
    for (const run of this.#runs) {
      const owners = this.#owners(run);
      if (owners.some((owner) => owner !== run.slot + 1))
        return `staging of thread ${run.slot}, pages ${run.page} on, is of ${owners.join()} (numbers are one more)`;
    }
    const wrong = this.#wrongRest();
    this.#doubts.clear();
    return wrong;
  }

  /** Pages of nobody's are free, but for those of a call that was stopped. */
  #wrongRest(): string {
    for (let page = 0; page < this.#rig.word(HEADER_STAGING_PAGES); page++) {
      if (this.#runs.some((run) => page >= run.page && page < run.page + run.count)) continue;
      const [owner] = this.#owners({ page, count: 1 }) as [number];
      if (owner === 0) continue;
      if (!this.#doubts.has(owner - 1))
        return `page ${page} of staging is of thread ${owner - 1}, which has not taken it`;
      this.#runs.push({ slot: owner - 1, page, count: 1 });
    }
    return "";
  }
}
