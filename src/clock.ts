/**
 * Time as the table sees it (G7): monotonic milliseconds, and timers.
 */

/** One call back that is to come. */
export interface ClockTimer {
  /** It does not come; nothing if it has come. */
  cancel(): void;
  /** It does not keep the process alive. */
  unref?(): void;
}

/** Monotonic milliseconds and timers; replace it to test time. */
export interface Clock {
  /** Milliseconds since whenever; never less than at an earlier call. */
  now(): number;
  /** Calls back once, after `ms` milliseconds. What has `unref` can let the process end while it waits. */
  setTimeout(callback: () => void, ms: number): ClockTimer;
}

/** The process's monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => {
    const timer = setTimeout(callback, ms);
    // Elsewhere than in Node a timer is a number, and keeps nothing alive.
    const unref = (): void => void (timer as Partial<typeof timer>).unref?.();
    return { cancel: () => clearTimeout(timer), unref };
  },
};

/** A day: long enough for a timer that only keeps a thread alive. */
export const KEEP_ALIVE_MS = 86_400_000;

/**
 * Lets the event loop turn before long work goes on. Not a matter of the clock: work goes on while time stands still.
 * @param ms 0 for the next turn; more when there is nothing to do but wait for others.
 */
export function nextTurn(ms = 0): Promise<void> {
  return new Promise((resolve) => {
    const soon = typeof setImmediate === "function" ? setImmediate : setTimeout;
    if (ms === 0) soon(resolve);
    // Never straight from a timer: two who try in turn, each for longer than its timer, keep Node among the timers for ever, and it
    // hears of no exit.
    else setTimeout(() => soon(resolve), ms);
  });
}
