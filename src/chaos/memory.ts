/** Whether resident memory stays flat while threads die: how much there is at first, and at the end. */

/** Bytes; null before the first death. */
export interface MemoryLevels {
  readonly start: number | null;
  readonly end: number | null;
}

/** What a process says of its memory, in bytes. */
interface Usage {
  readonly rss: number;
  readonly heapTotal: number;
  readonly heapUsed: number;
}

/** Resident memory without the room in the heap: of that the engine takes up to 100 MiB for what lives shortly, in its own time. */
export function residentBytes({ rss, heapTotal, heapUsed }: Usage): number {
  return rss - heapTotal + heapUsed;
}

/** Deaths of which a level is the median: single figures go up and down with what the threads of the moment do. */
const WINDOW_MOST = 100;
/** In fewer deaths a process that gets going grows by more than a leak. */
export const FLAT_KILLS = 500;
/** Beyond this it is a leak, however many died: the levels of a run without one differ by less than half of it. */
export const FLAT_BYTES: number = 64 * 2 ** 20;

export class ResidentMemory {
  readonly #window: number;
  readonly #first: number[] = [];
  readonly #last: number[] = [];
  #count = 0;

  /** @param kills that are planned; a level is of a tenth of them. */
  constructor(kills: number) {
    this.#window = Math.min(WINDOW_MOST, Math.ceil(kills / 10));
  }

  /** After each death. */
  sample(bytes: number): void {
    this.#count++;
    if (this.#first.length < this.#window) this.#first.push(bytes);
    this.#last.push(bytes);
    if (this.#last.length > this.#window) this.#last.shift();
  }

  get levels(): MemoryLevels {
    return { start: medianOf(this.#first), end: medianOf(this.#last) };
  }

  /** What is wrong, if it is not flat. */
  get fault(): string | undefined {
    const { start, end } = this.levels;
    if (start === null || end === null || this.#count < FLAT_KILLS) return undefined;
    if (end - start <= FLAT_BYTES) return undefined;
    return `resident memory grew from ${start} to ${end} bytes in ${this.#count} deaths`;
  }
}

function medianOf(values: readonly number[]): number | null {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? null;
}
