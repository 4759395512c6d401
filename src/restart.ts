/**
 * Restart policies: whether a partition whose thread has ended starts again, and when.
 */
import type { Clock } from "./clock.js";
import { checkInteger, checkNames, textOf } from "./errors.js";
import { onAbort } from "./stream.js";

/** At most so many restarts. */
export interface RestartLimits {
  /** Restarts, 0 to 2^31 - 1. */
  readonly max: number;
  /** Milliseconds before the first of them, doubled for each one after it, up to 30 seconds. Default 100. */
  readonly backoffMs?: number;
}

/** "never", "always", or at most `max` times. `backoffMs` before the first restart, doubled for each one after it. */
export type RestartPolicy = "never" | "always" | RestartLimits;

const DEFAULT_BACKOFF_MS = 100;
const BACKOFF_LIMIT_MS = 30_000;

/** Counts the restarts of one spawned partition. */
export class Restarts {
  readonly #max: number;
  readonly #backoffMs: number;
  #done = 0;
  #stopped = false;
  #stopListening: () => void = () => {};
  #timer: { cancel(): void } | undefined;

  /** @throws RangeError for a policy that is none. */
  constructor(policy: RestartPolicy = "never") {
    if (policy === "never") this.#max = 0;
    else if (policy === "always") this.#max = Number.POSITIVE_INFINITY;
    else if (typeof policy === "object" && policy !== null) {
      checkNames(policy, "max, backoffMs");
      this.#max = checkInteger("restart.max", policy.max, 0, 2 ** 31 - 1);
    } else
      throw new RangeError(
        `restart is "${textOf(policy)}"; it must be "never", "always" or { max, backoffMs }`,
      );
    const backoff =
      typeof policy === "object" ? (policy.backoffMs ?? DEFAULT_BACKOFF_MS) : DEFAULT_BACKOFF_MS;
    this.#backoffMs = checkInteger("restart.backoffMs", backoff, 0, 2 ** 31 - 1);
  }

  /** Restarts so far. */
  get done(): number {
    return this.#done;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** The signal of the spawn, as long as there may be restarts. */
  listen(signal: AbortSignal | undefined, aborted: () => void): void {
    this.#stopListening = onAbort(signal, aborted);
  }

  /** No more restarts, not even one that is due; the signal of the spawn has no power any more. */
  stop(): void {
    this.#stopped = true;
    this.#stopListening();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Calls back when the next start is due. Answers whether there is to be one. */
  schedule(clock: Clock, start: () => void): boolean {
    if (this.#stopped || this.#done >= this.#max) return false;
    // Doubled so often it is at its limit: of infinitely many zeros nobody knows how long they are.
    const delay = Math.min(this.#backoffMs * 2 ** Math.min(this.#done++, 15), BACKOFF_LIMIT_MS);
    this.#timer = clock.setTimeout(start, delay);
    return true;
  }
}
