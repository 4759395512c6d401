/** A clock that stands still until somebody moves it, so that a scenario is the same each time it runs (G7). */
import type { Clock } from "../clock.js";

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #now = 0;
  /** In the order of their setting. */
  readonly #alarms: Set<Alarm> = new Set();

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): { cancel(): void } {
    const alarm: Alarm = { at: this.#now + ms, callback };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  #earliest(): Alarm | undefined {
    let earliest: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (earliest === undefined || alarm.at < earliest.at) earliest = alarm;
    }
    return earliest;
  }

  /** Moves the time by so many milliseconds; what comes due on the way is called in the order of the times. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (let next = this.#earliest(); next !== undefined && next.at <= until; next = this.#earliest()) {
      this.#alarms.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = until;
  }

  /** Moves the time to the next alarm. Does nothing if there is none. */
  skip(): void {
    const next = this.#earliest();
    if (next !== undefined) this.advance(next.at - this.#now);
  }
}
