/** What a run of chaos is asked for, and within which bounds. */
import { checkInteger } from "../errors.js";

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

export const KILLS_BOUNDS: Bounds = { min: 1, max: 10_000_000 };
export const SEED_BOUNDS: Bounds = { min: 0, max: 2 ** 32 - 1 };
export const WORKERS_BOUNDS: Bounds = { min: 2, max: 16 };
export const GRACE_BOUNDS: Bounds = { min: 0, max: 10_000 };

export interface ChaosOptions {
  /** Threads to kill before it ends. Default 1,000. */
  readonly kills?: number;
  /** What all choices are drawn from. Default 1. */
  readonly seed?: number;
  /** Worker threads, each a partition. Default 4. */
  readonly workers?: number;
  /** Milliseconds for which what a server granted outlives it (FA2). Default 2. */
  readonly graceMs?: number;
}

/** @throws RangeError naming the option, the value and its bounds. */
export function checkOptions(options: ChaosOptions): Required<ChaosOptions> {
  const check = (name: string, value: number, { min, max }: Bounds): number =>
    checkInteger(name, value, min, max);
  return {
    kills: check("kills", options.kills ?? 1000, KILLS_BOUNDS),
    seed: check("seed", options.seed ?? 1, SEED_BOUNDS),
    workers: check("workers", options.workers ?? 4, WORKERS_BOUNDS),
    graceMs: check("graceMs", options.graceMs ?? 2, GRACE_BOUNDS),
  };
}
