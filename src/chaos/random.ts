/** Choices from several seeds at once: the same seeds make the same ones. */
import { Random as Numbers } from "../scenario/random.js";

export class Random {
  readonly #numbers: Numbers;

  /** @param seeds are mixed into one. */
  constructor(...seeds: readonly number[]) {
    const mixed = seeds.reduce((mixed, seed) => new Numbers(mixed ^ seed).below(2 ** 32), 0);
    this.#numbers = new Numbers(mixed);
  }

  /** 32 random bits. */
  word(): number {
    return this.below(2 ** 32);
  }

  /** An integer from 0 to `count` - 1. */
  below(count: number): number {
    return this.#numbers.below(count);
  }

  /** Whether one of so many times. */
  once(inSoMany: number): boolean {
    return this.below(inSoMany) === 0;
  }

  /** One of a list; undefined if it is empty. */
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)];
  }
}
