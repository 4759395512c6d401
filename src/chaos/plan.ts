/** Which deaths come, and in which order: drawn from the seed alone, so that the same seed has the same plan. */
import { DEATHS, type Death } from "./deaths.js";
import { Random } from "./random.js";

export interface PlannedDeath {
  readonly death: Death;
  /** Milliseconds since the last one was ordered. */
  readonly pauseMs: number;
  /** Whether it may strike a thread that is not at work yet. */
  readonly isEarly: boolean;
  /** It strikes the first thread from this number on that can die at that moment. */
  readonly seat: number;
}

const PAUSE_MOST_MS = 12;

export class Plan {
  readonly #random: Random;
  readonly #seats: number;
  /** What is left of a pack of cards with each kind as often as its weight: no kind stays away for long. */
  readonly #pack: Death[] = [];

  constructor(seed: number, seats: number) {
    this.#random = new Random(seed);
    this.#seats = seats;
  }

  next(): PlannedDeath {
    const random = this.#random;
    if (this.#pack.length === 0) {
      for (const death of DEATHS) for (let left = death.weight; left > 0; left--) this.#pack.push(death);
    }
    const [death] = this.#pack.splice(random.below(this.#pack.length), 1) as [Death];
    return {
      death,
      pauseMs: random.below(PAUSE_MOST_MS),
      isEarly: random.once(8) && death.isSudden,
      seat: random.below(this.#seats),
    };
  }
}
