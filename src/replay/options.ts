/** What a replay is told to do, and the bounds of each number. The command line uses the same ones. */
import { checkInteger } from "../errors.js";

export interface ReplayOptions {
  /** Pages that one client may have mapped at once; without a limit if left out. */
  readonly resident?: number;
  /** Percentage of each trace's pages that several clients get, 0 to 100. Default 0. */
  readonly share?: number;
  /** Whether the server fails when half of the references are done. */
  readonly crash?: boolean;
  /** Milliseconds between the failure and the loss of what the server granted. Default 2000 (FA2). */
  readonly graceMs?: number;
  /** What decides which pages are shared, and how. Default 1. */
  readonly seed?: number;
  /** References of one client before the next one runs. Default 10,000. */
  readonly quantum?: number;
  /** References translated in one crossing, at most. Default 1,024. */
  readonly batch?: number;
}

export interface CheckedOptions {
  readonly resident: number | undefined;
  readonly share: number;
  readonly crash: boolean;
  readonly graceMs: number;
  readonly seed: number;
  readonly quantum: number;
  readonly batch: number;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

export const RESIDENT_BOUNDS: Bounds = { min: 1, max: 2 ** 24 };
export const SHARE_BOUNDS: Bounds = { min: 0, max: 100 };
export const GRACE_BOUNDS: Bounds = { min: 0, max: 600_000 };
export const SEED_BOUNDS: Bounds = { min: 0, max: 2 ** 32 - 1 };
export const QUANTUM_BOUNDS: Bounds = { min: 1, max: 2 ** 28 };
export const BATCH_BOUNDS: Bounds = { min: 1, max: 65_536 };

/** @throws RangeError naming the option, the value and the bounds. */
export function checkReplayOptions(options: ReplayOptions): CheckedOptions {
  const {
    resident,
    share = 0,
    crash = false,
    graceMs = 2000,
    seed = 1,
    quantum = 10_000,
    batch = 1024,
  } = options;
  if (typeof share !== "number" || !(share >= SHARE_BOUNDS.min && share <= SHARE_BOUNDS.max))
    throw new RangeError(
      `share is ${String(share)}; it must be a number from ${SHARE_BOUNDS.min} to ${SHARE_BOUNDS.max}`,
    );
  return {
    resident: resident === undefined ? undefined : within("resident", resident, RESIDENT_BOUNDS),
    share,
    crash,
    graceMs: within("graceMs", graceMs, GRACE_BOUNDS),
    seed: within("seed", seed, SEED_BOUNDS),
    quantum: within("quantum", quantum, QUANTUM_BOUNDS),
    batch: within("batch", batch, BATCH_BOUNDS),
  };
}

function within(name: string, value: number, { min, max }: Bounds): number {
  return checkInteger(name, value, min, max);
}
