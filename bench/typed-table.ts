/**
 * A grant table as one writes it in plain JavaScript for speed: records in typed arrays, the lowest free page by a bitmap, the
 * same checks. It is a baseline for what never rescinds by force: children are counted, not listed.
 */
import {
  ENTRY_FRAME,
  ENTRY_READ,
  ENTRY_VALID,
  ENTRY_WRITE,
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_RESERVED,
  INHIBIT_WRITE,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  TYPE_MASK,
  TYPE_MEMORY,
} from "../src/layout.js";
import type { RawCalls } from "./map-table.js";

// A record: words of a control structure. A cookie is its generation above SLOT_BITS bits of its number.
const STATE = 0;
const GENERATION = 1;
const HOLDER = 2;
const PARENT = 3;
const CHILDREN = 4;
const INHIBITS = 5;
const SOURCE_PAGE = 6;
const PAGES = 7;
const PAGE = 8;
const END = 9;
const NEXT_FREE = 10;
const RECORD_WORDS = 16;
const SLOT = 2 ** 22;
const [FREE, OWNED, GRANTED, SHARED] = [0, 1, 2, 3] as const;

interface Party {
  readonly entries: Uint32Array;
  /** The structure behind each page, 0 for none. */
  readonly backs: Uint32Array;
  /** A bit for each free page, and below `lowest` words none. */
  readonly free: Uint32Array;
  lowest: number;
  mapped: number;
  grantsIn: number;
}

interface End {
  readonly owner: number;
  readonly partner: number;
  readonly quota: number;
  used: number;
}

export class TypedTable implements RawCalls {
  r4 = 0;
  readonly #records: Int32Array;
  readonly #capacity: number;
  // Numbers of partitions and of adapters' ends count from 1.
  readonly #parties: (Party | undefined)[] = [undefined];
  readonly #ends: (End | undefined)[] = [undefined];
  #firstFree = 0;
  #fresh = 1;
  #used = 0;

  /** @param capacity of grants. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    // Beside them each partition has a structure for its own memory.
    this.#records = new Int32Array((capacity + 64) * RECORD_WORDS);
  }

  createPartition(ownPages: number, spacePages: number): number {
    const party: Party = {
      entries: new Uint32Array(spacePages),
      backs: new Uint32Array(spacePages),
      free: new Uint32Array(Math.ceil(spacePages / 32)),
      lowest: 0,
      mapped: 0,
      grantsIn: 0,
    };
    for (let page = ownPages; page < spacePages; page++) setBit(party.free, page);
    const lpid = this.#parties.push(party) - 1;
    if (ownPages === 0) return lpid;
    const at = this.#take();
    const records = this.#records;
    records[at + STATE] = OWNED;
    records[at + HOLDER] = lpid;
    records[at + PAGES] = ownPages;
    party.backs.fill(at, 0, ownPages);
    for (let page = 0; page < ownPages; page++)
      party.entries[page] = page | ENTRY_VALID | ENTRY_READ | ENTRY_WRITE;
    this.#used--;
    return lpid;
  }

  /** The unit address by which a reaches b; b reaches a by the next one. */
  connect(a: number, b: number, quota: number): number {
    const unit = this.#ends.push({ owner: a, partner: b, quota, used: 0 }) - 1;
    this.#ends.push({ owner: b, partner: a, quota, used: 0 });
    return unit;
  }

  #take(): number {
    const records = this.#records;
    const at = this.#firstFree !== 0 ? this.#firstFree : this.#fresh++ * RECORD_WORDS;
    this.#firstFree = records[at + NEXT_FREE] as number;
    records[at + GENERATION] = (records[at + GENERATION] as number) + 1;
    this.#used++;
    return at;
  }

  /** The record that a cookie of a grant names, or 0. */
  #find(cookie: number): number {
    if (!(cookie >= SLOT && cookie <= Number.MAX_SAFE_INTEGER)) return 0;
    const generation = Math.floor(cookie / SLOT);
    const at = (cookie - generation * SLOT) * RECORD_WORDS;
    if (at >= this.#records.length || this.#records[at + GENERATION] !== generation) return 0;
    return (this.#records[at + STATE] as number) > OWNED ? at : 0;
  }

  grantLogical(lpid: number, flags: number, hi: number, lo: number, length: number, unit: number): number {
    const records = this.#records;
    const grantor = this.#parties[lpid];
    if (grantor === undefined) return H_PARAMETER;
    if (flags >>> 0 !== flags || flags > 0xff || (flags & INHIBIT_RESERVED) !== 0) return H_PARAMETER;
    if ((flags & TYPE_MASK) !== TYPE_MEMORY || hi !== 0) return H_PARAMETER;
    const inhibits = flags & (INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT);
    const page = lo / PAGE_BYTES;
    const count = length / PAGE_BYTES;
    if (page >>> 0 !== page || count >>> 0 !== count || count === 0) return H_PARAMETER;
    if (page >= grantor.backs.length) return H_PARAMETER;
    const source = grantor.backs[page] as number;
    const state = records[source + STATE] as number;
    if (state !== OWNED && state !== SHARED) return H_PARAMETER;
    if (page - (records[source + PAGE] as number) + count > (records[source + PAGES] as number))
      return H_PARAMETER;
    const rights = records[source + INHIBITS] as number;
    if ((rights & INHIBIT_REGRANT) !== 0 || (rights & ~inhibits) !== 0) return H_PERMISSION;
    const end = this.#ends[unit];
    if (end === undefined || end.owner !== lpid) return H_PARAMETER;
    if (end.used >= end.quota || this.#used >= this.#capacity) return H_NO_MEM;
    const at = this.#take();
    records[at + STATE] = GRANTED;
    records[at + HOLDER] = end.partner;
    records[at + PARENT] = source;
    records[at + CHILDREN] = 0;
    records[at + INHIBITS] = inhibits;
    records[at + SOURCE_PAGE] = page;
    records[at + PAGES] = count;
    records[at + END] = unit;
    records[source + CHILDREN] = (records[source + CHILDREN] as number) + 1;
    end.used++;
    (this.#parties[end.partner] as Party).grantsIn++;
    this.r4 = (records[at + GENERATION] as number) * SLOT + at / RECORD_WORDS;
    return H_SUCCESS;
  }

  acceptLogical(lpid: number, cookie: number): number {
    const records = this.#records;
    const at = this.#find(cookie);
    const holder = this.#parties[lpid];
    if (holder === undefined || at === 0 || records[at + HOLDER] !== lpid) return H_PARAMETER;
    if (records[at + STATE] !== GRANTED) return H_PARAMETER;
    const count = records[at + PAGES] as number;
    const page = takeRun(holder, count);
    if (page < 0) return H_NO_MEM;
    const grantor = this.#parties[records[(records[at + PARENT] as number) + HOLDER] as number] as Party;
    const inhibits = records[at + INHIBITS] as number;
    const rights =
      ENTRY_VALID |
      ((inhibits & INHIBIT_READ) === 0 ? ENTRY_READ : 0) |
      ((inhibits & INHIBIT_WRITE) === 0 ? ENTRY_WRITE : 0);
    const source = records[at + SOURCE_PAGE] as number;
    for (let i = 0; i < count; i++) {
      holder.entries[page + i] = ((grantor.entries[source + i] as number) & ENTRY_FRAME) | rights;
      holder.backs[page + i] = at;
    }
    records[at + PAGE] = page;
    records[at + STATE] = SHARED;
    holder.mapped += count;
    this.r4 = page * PAGE_BYTES;
    return H_SUCCESS;
  }

  returnLogical(lpid: number, cookie: number): number {
    const records = this.#records;
    const at = this.#find(cookie);
    const holder = this.#parties[lpid];
    if (holder === undefined || at === 0 || records[at + HOLDER] !== lpid) return H_PARAMETER;
    if (records[at + STATE] !== SHARED) return H_PARAMETER;
    if (records[at + CHILDREN] !== 0) return H_RESOURCE;
    const page = records[at + PAGE] as number;
    const count = records[at + PAGES] as number;
    for (let i = page; i < page + count; i++) {
      holder.entries[i] = 0;
      holder.backs[i] = 0;
      setBit(holder.free, i);
    }
    holder.lowest = Math.min(holder.lowest, page >>> 5);
    holder.mapped -= count;
    records[at + STATE] = GRANTED;
    return H_SUCCESS;
  }

  /** @returns H_PARAMETER for any flags: there is no force. */
  rescindLogical(lpid: number, flags: number, cookie: number): number {
    const records = this.#records;
    const at = this.#find(cookie);
    if (at === 0 || flags !== 0) return H_PARAMETER;
    const parent = records[at + PARENT] as number;
    if (records[parent + HOLDER] !== lpid) return H_PARAMETER;
    if (records[at + STATE] !== GRANTED || records[at + CHILDREN] !== 0) return H_RESOURCE;
    (this.#ends[records[at + END] as number] as End).used--;
    records[parent + CHILDREN] = (records[parent + CHILDREN] as number) - 1;
    (this.#parties[records[at + HOLDER] as number] as Party).grantsIn--;
    records[at + STATE] = FREE;
    records[at + NEXT_FREE] = this.#firstFree;
    this.#firstFree = at;
    this.#used--;
    return H_SUCCESS;
  }

  usage(lpid: number): { mapped: number; grantsIn: number } {
    const { mapped, grantsIn } = this.#parties[lpid] as Party;
    return { mapped, grantsIn };
  }

  translate(lpid: number, type: number, address: number, length: number, need: number): number {
    const party = this.#parties[lpid];
    if (party === undefined || type !== TYPE_MEMORY || length !== 1) return H_PARAMETER;
    const page = Math.floor(address / PAGE_BYTES);
    if (!(address >= 0 && page < party.entries.length) || !Number.isInteger(address)) return H_PARAMETER;
    const entry = party.entries[page] as number;
    if ((entry & ENTRY_VALID) === 0) return H_PARAMETER;
    if ((need & NEED_READ) !== 0 && (entry & ENTRY_READ) === 0) return H_PERMISSION;
    if ((need & NEED_WRITE) !== 0 && (entry & ENTRY_WRITE) === 0) return H_PERMISSION;
    this.r4 = (entry & ENTRY_FRAME) * PAGE_BYTES + (address - page * PAGE_BYTES);
    return H_SUCCESS;
  }
}

function setBit(words: Uint32Array, bit: number): void {
  words[bit >>> 5] = (words[bit >>> 5] as number) | (1 << (bit & 31));
}

/** Takes the lowest run of free pages, or answers -1. */
function takeRun(party: Party, count: number): number {
  const { free } = party;
  while (party.lowest < free.length && free[party.lowest] === 0) party.lowest++;
  let start = party.lowest * 32;
  let length = 0;
  for (let page = start; page < free.length * 32 && length < count; page++) {
    const word = free[page >>> 5] as number;
    if (length === 0 && word === 0) {
      page |= 31;
      continue;
    }
    if ((word & (1 << (page & 31))) === 0) length = 0;
    else if (length++ === 0) start = page;
  }
  if (length < count) return -1;
  for (let page = start; page < start + count; page++)
    free[page >>> 5] = (free[page >>> 5] as number) & ~(1 << (page & 31));
  return start;
}
