/** What suite translate works on, and the page tables that one would write in plain JavaScript. */
import {
  ENTRY_FRAME,
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  ENTRY_WRITE,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_SUCCESS,
  PAGE_BYTES,
} from "../src/layout.js";
import { inBlocks } from "./measure.js";
import type { PageStream } from "./page-stream.js";
import { Random } from "./random.js";
import type { Contender } from "./suite.js";

/** Pages at the end of the space that nothing is mapped at. */
export const UNMAPPED: number = 64;

/** What every implementation gets: page i leads to frames[i], and the addresses to look up. */
export interface Data {
  readonly pages: number;
  readonly seed: number;
  /** Whether `good` came out of the seed, or from a stream. */
  readonly isDrawn: boolean;
  readonly frames: Uint32Array;
  /** Of mapped pages that may be read: what is timed. */
  readonly good: Float64Array;
  /** Of any kind: what is only compared. */
  readonly faulty: Float64Array;
}

/** Of 64 pages one is mapped without the right to read, one is rescinded. */
export const isInhibited = (page: number): boolean => page % 64 === 63;
export const isRescinded = (page: number): boolean => page % 64 === 62;

/** @param stream of pages to look up; left out, they are random. */
export function makeData(pages: number, count: number, seed: number, stream?: PageStream): Data {
  const random = new Random(seed);
  // A page table entry has no room for more.
  const frames = random.shuffled(pages).map((frame) => frame & ENTRY_FRAME);
  // The C baseline draws addresses from this one, too; of those of a stream it is told.
  const offsets = stream === undefined ? random : new Random(seed + 1);
  const isBad = (page: number): boolean => isInhibited(page) || isRescinded(page);
  const randomPage = (): number => {
    let page: number;
    do page = random.below(pages);
    while (isBad(page));
    return page;
  };
  // Where a stream is at one of those, a neighbour stands for it: what is likely stays so, and the order does, too.
  const streamed = (next: PageStream): number => {
    const page = next();
    return isBad(page) ? page - 2 : page;
  };
  const goodAddress = (): number =>
    (stream === undefined ? randomPage() : streamed(stream)) * PAGE_BYTES + offsets.below(PAGE_BYTES);
  const faultyAddress = (): number => {
    const address = random.below(pages + UNMAPPED * 2) * PAGE_BYTES + random.below(PAGE_BYTES);
    const kinds = [address + 0.5, -1 - address, address * 2 ** 20, Number.NaN];
    return kinds[random.below(16)] ?? address;
  };
  const good = Float64Array.from({ length: count }, goodAddress);
  const faulty = Float64Array.from({ length: count }, faultyAddress);
  return { pages, seed, isDrawn: stream === undefined, frames, good, faulty };
}

/** One number of all statuses and physical addresses. */
export function digest(sum: number, status: number, physical: number): number {
  const next = (Math.imul(sum, 31) + status) | 0;
  const last = status === H_SUCCESS ? physical | 0 : Number.isNaN(physical) ? 1 : 0;
  return (Math.imul(next, 31) + last) | 0;
}

export function describe(data: Data, digestOf: (addresses: Float64Array) => number): string {
  return `good ${digestOf(data.good) >>> 0}, faulty ${digestOf(data.faulty) >>> 0}`;
}

/** What loops compute goes here, so that no compiler leaves them out. */
export let sink = 0;

/** See `sink`. */
export function keep(value: number): void {
  sink = value;
}

export function digestOfArrays(physical: Float64Array, statuses: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < statuses.length; i++) {
    sum = digest(sum, statuses[i] as number, physical[i] as number);
  }
  return sum;
}

// ---------------------------------------------------------------- typed arrays

export class TypedPages {
  readonly #entries: Uint32Array;
  readonly #limit: number;

  constructor({ pages, frames }: Data) {
    this.#entries = new Uint32Array(pages + UNMAPPED);
    this.#limit = (pages + UNMAPPED) * PAGE_BYTES;
    for (let page = 0; page < pages; page++) {
      const rights = isInhibited(page) ? ENTRY_WRITE : ENTRY_READ | ENTRY_WRITE;
      this.#entries[page] = isRescinded(page)
        ? ENTRY_RESCINDED
        : ENTRY_VALID | rights | (frames[page] as number);
    }
  }

  /** The physical address, or a status, which is negative. */
  translate(address: number): number {
    if (!(address >= 0 && address < this.#limit)) return H_PARAMETER;
    const page = Math.floor(address / PAGE_BYTES);
    const offset = address - page * PAGE_BYTES;
    if ((offset | 0) !== offset) return H_PARAMETER;
    const entry = this.#entries[page] as number;
    if ((entry & (ENTRY_VALID | ENTRY_READ)) === (ENTRY_VALID | ENTRY_READ)) {
      return (entry & ENTRY_FRAME) * PAGE_BYTES + offset;
    }
    if ((entry & ENTRY_RESCINDED) !== 0) return H_RESCINDED;
    return (entry & ENTRY_VALID) !== 0 ? H_PERMISSION : H_PARAMETER;
  }

  run(addresses: Float64Array, physical: Float64Array, statuses: Int32Array): void {
    for (let i = 0; i < addresses.length; i++) {
      const result = this.translate(addresses[i] as number);
      physical[i] = result < 0 ? Number.NaN : result;
      statuses[i] = result < 0 ? result : H_SUCCESS;
    }
  }
}

// ---------------------------------------------------------------- Map of objects

interface PageObject {
  readonly frame: number;
  readonly read: boolean;
  readonly rescinded: boolean;
}

export class MapPages {
  readonly #pages = new Map<number, PageObject>();

  constructor({ pages, frames }: Data) {
    for (let page = 0; page < pages; page++) {
      const frame = frames[page] as number;
      this.#pages.set(page, { frame, read: !isInhibited(page), rescinded: isRescinded(page) });
    }
  }

  translate(address: number): number {
    if (!Number.isInteger(address)) return H_PARAMETER;
    const page = Math.floor(address / PAGE_BYTES);
    const found = this.#pages.get(page);
    if (found === undefined) return H_PARAMETER;
    if (found.rescinded) return H_RESCINDED;
    if (!found.read) return H_PERMISSION;
    return found.frame * PAGE_BYTES + (address - page * PAGE_BYTES);
  }

  run(addresses: Float64Array, physical: Float64Array, statuses: Int32Array): void {
    for (let i = 0; i < addresses.length; i++) {
      const result = this.translate(addresses[i] as number);
      physical[i] = result < 0 ? Number.NaN : result;
      statuses[i] = result < 0 ? result : H_SUCCESS;
    }
  }
}

export function plainBatch(table: TypedPages | MapPages, data: Data): Contender {
  const physical = new Float64Array(data.good.length);
  const statuses = new Int32Array(data.good.length);
  return {
    measure: inBlocks(data.good.length, () => table.run(data.good, physical, statuses)),
    check: async () =>
      describe(data, (addresses) => {
        table.run(addresses, physical, statuses);
        return digestOfArrays(physical, statuses);
      }),
  };
}

/** @param loop is written out by the caller, so that each table has a loop that knows only its own class. */
function plainSingle(table: TypedPages | MapPages, data: Data, loop: () => number): Contender {
  return {
    measure: inBlocks(data.good.length, () => {
      keep(loop());
    }),
    check: async () =>
      describe(data, (addresses) => {
        let sum = 0;
        for (const address of addresses) {
          const result = table.translate(address);
          sum = digest(sum, Math.min(result, 0), result < 0 ? Number.NaN : result);
        }
        return sum;
      }),
  };
}

export function typedSingle(table: TypedPages, data: Data): Contender {
  return plainSingle(table, data, () => {
    let sum = 0;
    for (let i = 0; i < data.good.length; i++) sum += table.translate(data.good[i] as number);
    return sum;
  });
}

export function mapSingle(table: MapPages, data: Data): Contender {
  return plainSingle(table, data, () => {
    let sum = 0;
    for (let i = 0; i < data.good.length; i++) sum += table.translate(data.good[i] as number);
    return sum;
  });
}
