/**
 * A ring of pairs of words from one thread to another, in shared memory: what one writes by hand. Whether that memory is a
 * SharedArrayBuffer or a granted page makes no difference to it.
 *
 *     word 0    | 16   | 32 ... 47
 *     written   | read | 8 pairs
 */
export const RING_WORDS = 64;

const WRITTEN = 0;
const READ = 16;
const PAIRS = 32;
const SLOTS = 8;

/** Whoever waits longer has lost its partner. */
const PATIENCE_MS = 5000;

export class Ring {
  readonly #words: Int32Array;
  readonly #spins: number;
  /** The second word of the pair that pop() took. */
  second = 0;

  /** @param spins looks at the ring before pop() sleeps. */
  constructor(words: Int32Array, spins: number) {
    this.#words = words;
    this.#spins = spins;
  }

  /** Appends a pair and wakes the other end. @throws Error if the ring is full: one pair is on its way at most. */
  push(first: number, second: number): void {
    const words = this.#words;
    const written = Atomics.load(words, WRITTEN);
    if (((written - Atomics.load(words, READ)) & 0x7fffffff) === SLOTS) throw new Error("the ring is full");
    const at = PAIRS + (written % SLOTS) * 2;
    words[at] = first;
    words[at + 1] = second;
    Atomics.store(words, WRITTEN, (written + 1) & 0x7fffffff);
    Atomics.notify(words, WRITTEN, 1);
  }

  /** The first word of the oldest pair, once there is one. */
  pop(): number {
    const words = this.#words;
    const read = Atomics.load(words, READ);
    for (let spin = 0; spin < this.#spins; spin++) if (Atomics.load(words, WRITTEN) !== read) break;
    while (Atomics.load(words, WRITTEN) === read) {
      if (Atomics.wait(words, WRITTEN, read, PATIENCE_MS) === "timed-out")
        throw new Error(`nothing came within ${PATIENCE_MS} ms`);
    }
    const at = PAIRS + (read % SLOTS) * 2;
    const first = words[at] as number;
    this.second = words[at + 1] as number;
    Atomics.store(words, READ, (read + 1) & 0x7fffffff);
    return first;
  }
}
