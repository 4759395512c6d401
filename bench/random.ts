/**
 * Random numbers from a seed, the same as those of native/scenario.h: every implementation works on the same data in
 * the same order.
 */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 32 random bits (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let z = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  }

  /** 0 to limit - 1, for limits up to 2^32. */
  below(limit: number): number {
    const bits = this.next();
    if (limit <= 2 ** 21) return Math.floor((bits * limit) / 2 ** 32);
    // The product would not be exact: by halves.
    const low = Math.floor(((bits & 0xffff) * limit) / 2 ** 16);
    return Math.floor(((bits >>> 16) * limit + low) / 2 ** 16);
  }

  /** 0 to count - 1 in random order. */
  shuffled(count: number): Uint32Array {
    const numbers = Uint32Array.from({ length: count }, (_, index) => index);
    for (let i = count; i > 1; i--) {
      const j = this.below(i);
      const kept = numbers[i - 1] as number;
      numbers[i - 1] = numbers[j] as number;
      numbers[j] = kept;
    }
    return numbers;
  }
}
