/**
 * The columns that the references of a packed trace are made of, and their compression.
 *
 * They come in blocks of BLOCK_REFERENCES references (the last one is shorter). A block is two gzip members: the
 * column of operations, one byte for each reference, and the column of numbers.
 *
 *     operation    7   5 | 4       2 | 1    0
 *                  rank  | size code | need
 *
 * The rank is the place of the page among the pages used last; RANK_ESCAPE means that it is not among them, and
 * its number follows: 0 and the distance of a page never seen before from the one seen first before it, or the
 * distance in the list of pages back to a known page. The size code is the power of two of the size; SIZE_ESCAPE
 * means that the size comes first, as a number. The last number of a reference is the distance of its offset from
 * the offset used last in the same page. Numbers are written seven bits to a byte, the lowest first.
 *
 * A program comes back to few pages in the same steps, so what is left repeats, and gzip finds it.
 */

import { gzipSync } from "node:zlib";
import { NEED_READ, NEED_WRITE, PAGE_BYTES } from "../layout.js";

const BLOCK_REFERENCES = 1 << 18;
const RANK_SHIFT = 5;
const RANK_ESCAPE = 7;
const SIZE_SHIFT = 2;
const SIZE_ESCAPE = 7;
const NEED_MASK = NEED_READ | NEED_WRITE;
const OFFSET_MASK = PAGE_BYTES - 1;
// One reference writes at most a size, a page and an offset: 2 bytes, 1 + 6 bytes and 2 bytes.
const NUMBERS_MAX_BYTES = 11;
/** Bytes of the columns that one reference takes at most, its operation among them. */
export const REFERENCE_COLUMN_BYTES: number = 1 + NUMBERS_MAX_BYTES;

/** References as flat arrays with one element for each, except `pages`. */
export interface Columns {
  /** Page numbers (address / 4096) in the order of their first use. */
  readonly pages: Float64Array;
  /** Index into `pages`. */
  readonly pageIndex: Uint32Array;
  /** Offset in the page, 0 to 4095. */
  readonly offset: Uint16Array;
  /** Size in bytes; offset + size is at most 4096. */
  readonly size: Uint16Array;
  /** NEED_READ (1), NEED_WRITE (2) or both (3). */
  readonly kind: Uint8Array;
}

/** The pages used last, the latest first, as indexes into the list of pages. Both directions keep the same one. */
class RecentPages {
  readonly #pages = new Uint32Array(RANK_ESCAPE);
  #count = 0;

  rankOf(page: number): number {
    for (let rank = 0; rank < this.#count; rank++) if (this.#pages[rank] === page) return rank;
    return RANK_ESCAPE;
  }

  /** The page at a rank, or -1. */
  at(rank: number): number {
    return rank < this.#count ? (this.#pages[rank] as number) : -1;
  }

  /** Moves the page at the rank to the front; with RANK_ESCAPE the page comes in and the oldest one leaves. */
  moveToFront(page: number, rank: number): void {
    let place = rank;
    if (rank === RANK_ESCAPE) {
      if (this.#count < RANK_ESCAPE) this.#count++;
      place = this.#count - 1;
    }
    for (; place > 0; place--) this.#pages[place] = this.#pages[place - 1] as number;
    this.#pages[0] = page;
  }
}

/** Packs references, one at a time. What is packed stays in memory until the end: some 0.3 bytes a reference. */
export class ColumnEncoder {
  readonly #operations = Buffer.alloc(BLOCK_REFERENCES);
  readonly #numbers = Buffer.alloc(BLOCK_REFERENCES * NUMBERS_MAX_BYTES);
  #operationCount = 0;
  #numberBytes = 0;
  #columnBytes = 0;
  #references = 0;
  readonly #payload: Buffer[] = [];
  readonly #indexOfPage = new Map<number, number>();
  readonly #lastOffsets: number[] = [];
  readonly #recent = new RecentPages();
  #newestPage = 0;

  /** References so far. */
  get references(): number {
    return this.#references;
  }

  /** Distinct pages so far. */
  get pages(): number {
    return this.#indexOfPage.size;
  }

  /** Takes numbers that were checked: the reference must lie inside its page. */
  push(kind: number, page: number, offset: number, size: number): void {
    const known = this.#indexOfPage.get(page);
    const index = known ?? this.#indexOfPage.size;
    const rank = known === undefined ? RANK_ESCAPE : this.#recent.rankOf(index);
    const sizeCode = codeOfSize(size);
    this.#operations[this.#operationCount++] = (rank << RANK_SHIFT) | (sizeCode << SIZE_SHIFT) | kind;
    if (sizeCode === SIZE_ESCAPE) this.#number(size);
    if (known === undefined) {
      this.#number(0);
      this.#number(zigzag(page - this.#newestPage));
      this.#newestPage = page;
      this.#indexOfPage.set(page, index);
      this.#lastOffsets.push(0);
    } else if (rank === RANK_ESCAPE) {
      this.#number(this.#indexOfPage.size - index);
    }
    this.#recent.moveToFront(index, rank);
    // The distance is taken around the page, so that it always fits two bytes.
    const turn = offset - (this.#lastOffsets[index] as number) + PAGE_BYTES / 2;
    this.#number(zigzag((turn & OFFSET_MASK) - PAGE_BYTES / 2));
    this.#lastOffsets[index] = offset;
    this.#references++;
    if (this.#operationCount === BLOCK_REFERENCES) this.#flush();
  }

  /** Ends the columns: the compressed bytes, and their length before that. */
  finish(): { readonly payload: Buffer; readonly columnBytes: number } {
    this.#flush();
    return { payload: Buffer.concat(this.#payload), columnBytes: this.#columnBytes };
  }

  #number(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#numbers[this.#numberBytes++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#numbers[this.#numberBytes++] = rest;
  }

  #flush(): void {
    if (this.#operationCount === 0) return;
    this.#payload.push(
      gzipSync(this.#operations.subarray(0, this.#operationCount), { level: 9 }),
      gzipSync(this.#numbers.subarray(0, this.#numberBytes), { level: 9 }),
    );
    this.#columnBytes += this.#operationCount + this.#numberBytes;
    this.#operationCount = 0;
    this.#numberBytes = 0;
  }
}

/**
 * Undoes the columns (inflated); undefined when they hold something impossible or other numbers of references and
 * pages, which only a forged file can reach.
 */
export function decodeColumns(columns: Uint8Array, length: number, pageCount: number): Columns | undefined {
  const pages = new Float64Array(pageCount);
  const pageIndex = new Uint32Array(length);
  const offset = new Uint16Array(length);
  const size = new Uint16Array(length);
  const kind = new Uint8Array(length);
  const lastOffsets = new Uint16Array(pageCount);
  const recent = new RecentPages();
  const numbers = new NumberColumn(columns);
  let known = 0;
  for (let blockStart = 0; blockStart < length; blockStart += BLOCK_REFERENCES) {
    const blockEnd = Math.min(blockStart + BLOCK_REFERENCES, length);
    const operations = numbers.position - blockStart;
    numbers.position += blockEnd - blockStart;
    for (let reference = blockStart; reference < blockEnd; reference++) {
      const operation = columns[operations + reference] as number;
      const sizeCode = (operation >> SIZE_SHIFT) & SIZE_ESCAPE;
      const bytes = sizeCode === SIZE_ESCAPE ? numbers.next() : 1 << sizeCode;
      const rank = operation >> RANK_SHIFT;
      let index = recent.at(rank);
      if (rank === RANK_ESCAPE) {
        const distance = numbers.next();
        index = known - distance;
        if (distance === 0) {
          if (known === pageCount) return undefined;
          const previous = known === 0 ? 0 : (pages[known - 1] as number);
          pages[known++] = previous + unzigzag(numbers.next());
        }
      }
      const need = operation & NEED_MASK;
      if (index < 0 || need === 0) return undefined;
      if (rank !== 0) recent.moveToFront(index, rank);
      const at = ((lastOffsets[index] as number) + unzigzag(numbers.next())) & OFFSET_MASK;
      if (bytes === 0 || at + bytes > PAGE_BYTES) return undefined;
      lastOffsets[index] = at;
      pageIndex[reference] = index;
      offset[reference] = at;
      size[reference] = bytes;
      kind[reference] = need;
    }
  }
  if (known !== pageCount || numbers.position !== columns.length) return undefined;
  return { pages, pageIndex, offset, size, kind };
}

/** Reads numbers one after the other. Past the end it reads zeros, and `position` tells afterwards. */
class NumberColumn {
  position = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  next(): number {
    const first = this.#bytes[this.position++] ?? 0;
    if (first < 128) return first;
    const second = this.#bytes[this.position++] ?? 0;
    let value = (first & 127) | ((second & 127) << 7);
    if (second < 128) return value;
    let byte = second;
    // Six bytes hold the widest number there is; a forged longer one ends here and is found out by its value.
    for (let scale = 2 ** 14; byte >= 128 && scale < 2 ** 42; scale *= 128) {
      byte = this.#bytes[this.position++] ?? 0;
      value += (byte & 127) * scale;
    }
    return value;
  }
}

function codeOfSize(size: number): number {
  const power = 31 - Math.clz32(size);
  return size === 1 << power && power < SIZE_ESCAPE ? power : SIZE_ESCAPE;
}

/** Small distances of either sign become small numbers: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
