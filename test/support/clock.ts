/** A clock that stands still until a test moves it (G7). */
import type { Clock } from "../../src/index.js";

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #now = 0;
  readonly #alarms = new Set<Alarm>();

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): { cancel(): void } {
    const alarm: Alarm = { at: this.#now + ms, callback };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  /** Alarms that are set and not yet due. */
  get waiting(): number {
    return this.#alarms.size;
  }

  /** Moves the time and calls what comes due, in the order of the times and then of the setting. */
  advance(ms: number): void {
    const until = this.#now + ms;
    while (true) {
      let next: Alarm | undefined;
      for (const alarm of this.#alarms) {
        if (alarm.at <= until && (next === undefined || alarm.at < next.at)) next = alarm;
      }
      if (next === undefined) break;
      this.#alarms.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = until;
  }
}
