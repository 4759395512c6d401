/** What a run of chaos found. */
import type { MemoryLevels } from "./memory.js";

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface ChaosReport {
  readonly version: 1;
  readonly verdict: "clean" | "violated" | "interrupted";
  readonly options: {
    readonly kills: number;
    readonly seed: number;
    readonly workers: number;
    readonly graceMs: number;
  };
  /** Threads that were killed and whose partition was recovered and looked at. */
  readonly kills: number;
  readonly killsByKind: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Of all workers together; those that were refused are among them. */
  readonly operations: number;
  readonly operationsByKind: Readonly<Record<string, number>>;
  /** Milliseconds from the exit of a thread to the end of its partition's recovery, the grace period included; null
   *  before the first. */
  readonly recoveryMs: Percentiles | null;
  /** Milliseconds by which timers of the owner's event loop were late. */
  readonly loopDelayMs: Percentiles;
  readonly audits: number;
  /** Pages that went to other frames while they were in use. */
  readonly pagesMoved: number;
  /** Facts that the audits looked at. */
  readonly factsAudited: number;
  /** Bytes of resident memory, without the room in the heap: medians over the first and the last tenth of the kills, at most a hundred. */
  readonly rss: MemoryLevels;
  /** The first thing that is not as it must be. `step` is the number of kills ordered by then. */
  readonly violation: { readonly step: number; readonly what: string } | null;
}

/** Of at least one value. */
export function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const index = Math.min(sorted.length - 1, Math.floor(share * sorted.length));
    return sorted[index] as number;
  };
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
