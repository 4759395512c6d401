/** The order of last use of a set of pages: a doubly linked list in flat arrays, so that every change is O(1). */

const NONE = -1;

export class LruList {
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  readonly #isIn: Uint8Array;
  #newest = NONE;
  #oldest = NONE;
  #size = 0;

  /** For pages 0 to pages - 1, none of which is in. */
  constructor(pages: number) {
    this.#newer = new Int32Array(pages).fill(NONE);
    this.#older = new Int32Array(pages).fill(NONE);
    this.#isIn = new Uint8Array(pages);
  }

  get size(): number {
    return this.#size;
  }

  /** The page used least recently, -1 if there is none. */
  get oldest(): number {
    return this.#oldest;
  }

  has(page: number): boolean {
    return this.#isIn[page] === 1;
  }

  /** The page is the one used last; it comes in if it was not. */
  touch(page: number): void {
    if (page === this.#newest) return;
    if (this.#isIn[page] === 1) this.#unlink(page);
    else {
      this.#isIn[page] = 1;
      this.#size++;
    }
    this.#older[page] = this.#newest;
    if (this.#newest === NONE) this.#oldest = page;
    else this.#newer[this.#newest] = page;
    this.#newest = page;
  }

  /** The page leaves. */
  remove(page: number): void {
    if (this.#isIn[page] !== 1) return;
    this.#unlink(page);
    this.#isIn[page] = 0;
    this.#size--;
  }

  /** All pages that are in, the least recently used first. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let page = this.#oldest; page !== NONE; ) {
      const next = this.#newer[page] as number;
      yield page;
      page = next;
    }
  }

  #unlink(page: number): void {
    const newer = this.#newer[page] as number;
    const older = this.#older[page] as number;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    this.#newer[page] = NONE;
    this.#older[page] = NONE;
  }
}
