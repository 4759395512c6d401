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
  /**
   * Milliseconds before the first of them, doubled for each one after it, up to 30 seconds or to as many as this says if that is more;
   * anew once the partition has gone 30 seconds without another. Default 100.
   */
  readonly backoffMs?: number | undefined;
}

/**
 * "never", "always", or at most `max` times, each after a delay that begins at `backoffMs`. With "always" it begins at 100
 * milliseconds and is doubled up to one second, until the partition has gone a second without another.
 */
export type RestartPolicy = "never" | "always" | RestartLimits;

const DEFAULT_BACKOFF_MS = 100;
const BACKOFF_LIMIT_MS = 30_000;
/** Of what is to be there always. */
const ALWAYS_LIMIT_MS = 1000;

/** Counts the restarts of one spawned partition. */
export class Restarts {
  readonly #max: number;
  readonly #backoffMs: number;
  readonly #limitMs: number;
  /** Restarts so far. */
  done = 0;
  /** Before the next one. */
  #delayMs: number;
  /** When the last one was due, in milliseconds of the clock. */
  #dueMs = 0;
  /** Whether there are no more, not even one that is due: stop() says so. */
  isStopped = false;
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
    const { backoffMs = DEFAULT_BACKOFF_MS } = policy as Partial<RestartLimits>;
    this.#backoffMs = checkInteger("restart.backoffMs", backoffMs, 0, 2 ** 31 - 1);
    this.#limitMs = policy === "always" ? ALWAYS_LIMIT_MS : BACKOFF_LIMIT_MS;
    this.#delayMs = this.#backoffMs;
  }

  /** The signal of the spawn, as long as there may be restarts. */
  listen(signal: AbortSignal | undefined, aborted: () => void): void {
    this.#stopListening = onAbort(signal, aborted);
  }

  /** No more restarts, not even one that is due; the signal of the spawn has no power any more. */
  stop(): void {
    this.isStopped = true;
    this.#stopListening();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Calls back when the next start is due. Answers whether there is to be one. */
  schedule(clock: Clock, start: () => void): boolean {
    if (this.isStopped || this.done >= this.#max) return false;
    const now = clock.now();
    // One end a day is no reason to wait longer each day.
    if (now - this.#dueMs >= this.#limitMs) this.#delayMs = this.#backoffMs;
    const delay = this.#delayMs;
    this.#delayMs = Math.max(delay, Math.min(delay * 2, this.#limitMs));
    this.#dueMs = now + delay;
    this.done++;
    this.#timer = clock.setTimeout(start, delay);
    return true;
  }
}
