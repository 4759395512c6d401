/** The free pages of the Map of objects: a heap of runs for each length. */

/** Free runs of one length as a binary heap; what was never used lies beyond. */
export class FreeRuns {
  readonly #heaps = new Map<number, number[]>();
  readonly #pages: number;
  #fresh = 0;

  constructor(pages: number) {
    this.#pages = pages;
  }

  /** The lowest run, or -1. */
  take(count: number): number {
    const heap = this.#heaps.get(count);
    if (heap !== undefined && heap.length > 0) return pop(heap);
    if (this.#fresh + count > this.#pages) return -1;
    this.#fresh += count;
    return this.#fresh - count;
  }

  give(page: number, count: number): void {
    const heap = this.#heaps.get(count);
    if (heap === undefined) this.#heaps.set(count, [page]);
    else push(heap, page);
  }
}

function push(heap: number[], value: number): void {
  let at = heap.push(value) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const other = heap[above] as number;
    if (other <= value) break;
    heap[at] = other;
    at = above;
  }
  heap[at] = value;
}

function pop(heap: number[]): number {
  const least = heap[0] as number;
  const value = heap.pop() as number;
  if (heap.length === 0) return least;
  let at = 0;
  while (true) {
    let below = at * 2 + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && (heap[below + 1] as number) < (heap[below] as number)) below++;
    if ((heap[below] as number) >= value) break;
    heap[at] = heap[below] as number;
    at = below;
  }
  heap[at] = value;
  return least;
}
