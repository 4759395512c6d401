/**
 * A table read by its words: what a walk compares the core's doings with, apart from audit(), which is the core's own. Only
 * memory is looked at page by page, since only there can a frame be somebody else's.
 */
import {
  COOKIE_SLOTS,
  ENTRY_FRAME,
  ENTRY_PRIVATE,
  ENTRY_VALID,
  FLAG_COPY_ON_WRITE,
  FLAG_DONATED,
  FLAG_LENT,
  FLAG_ZERO,
  HEADER_FRAME_MAP_AT,
  HEADER_FRAMES_AT,
  HEADER_FRAMES_MAX,
  HEADER_PARTITIONS_MAX,
  HEADER_PINS_AT,
  HEADER_PINS_MAX,
  HEADER_SPACE_PAGES,
  HEADER_STRUCTURE_FRESH,
  HEADER_STRUCTURES_LISTED,
  HEADER_STRUCTURES_MAX,
  HEADER_TABLE_BYTES,
  HEADER_TABLES_AT,
  HINT_SHARED,
  MODE_COPY,
  MODE_DONATE,
  MODE_LEND,
  MODE_SHARE,
  MODE_ZERO,
  PAGE_BYTES,
  PARTITION_INCARNATION,
  PARTITION_RUNNING,
  PARTITION_SPACES,
  PARTITION_STATE,
  PIN_BYTES,
  PIN_FRAME,
  PIN_FRAME_COUNT,
  PIN_GENERATION,
  PIN_LPID,
  PIN_SLOTS,
  PIN_STRUCTURE,
  PIN_STRUCTURE_GENERATION,
  SPACE_BACKS,
  SPACE_DMA,
  SPACE_ENTRIES,
  SPACE_MEMORY,
  SPACE_PAGES,
  STRUCTURE_BYTES,
  STRUCTURE_GENERATION,
  STRUCTURE_GRANTED,
  STRUCTURE_HOLDER,
  STRUCTURE_OWNED,
  STRUCTURE_PAGE,
  STRUCTURE_PAGE_COUNT,
  STRUCTURE_PARENT,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  STRUCTURE_SOURCE_PAGE,
  STRUCTURE_STATE,
  STRUCTURES_AT,
  TCE_BYTES,
  TCE_PANE,
  TCE_SLOT_MASK,
  TCE_WORD,
} from "../../src/layout.js";
import type { Rig } from "./crash-rig.js";

/** States in which a structure hangs below what it was granted from. */
const TREE_STATES: readonly number[] = [STRUCTURE_GRANTED, STRUCTURE_SHARED, STRUCTURE_RETURNING];

/** A control structure as its words are. */
export interface Structure {
  readonly slot: number;
  readonly state: number;
  readonly space: number;
  readonly inhibits: number;
  /** As a grant names it: MODE_. */
  readonly mode: number;
  readonly cookie: number;
  readonly holder: number;
  readonly parent: number;
  readonly sourcePage: number;
  readonly pageCount: number;
  readonly page: number;
  /** Whether it is a grant that stands: what was rescinded, and waits to be returned, does not. */
  readonly isGrant: boolean;
}

/** A view, as its pin says. */
export interface View {
  readonly number: number;
  readonly frame: number;
  readonly frameCount: number;
  /** Whether the mapping still stands that it was taken from. */
  readonly hasMapping: boolean;
}

/** A page of a partition's memory. */
export interface Page {
  readonly lpid: number;
  readonly page: number;
}

function modeOf(flags: number): number {
  const zero = (flags & FLAG_ZERO) !== 0 ? MODE_ZERO : 0;
  if ((flags & FLAG_LENT) !== 0) return MODE_LEND | zero;
  if ((flags & FLAG_DONATED) !== 0) return MODE_DONATE | zero;
  return (flags & FLAG_COPY_ON_WRITE) !== 0 ? MODE_COPY : MODE_SHARE;
}

/** Whether the frame of a page is of its own, and not its source's. */
export function isPrivate(entry: number): boolean {
  return (entry & ENTRY_PRIVATE) !== 0;
}

export function isMapped(entry: number): boolean {
  return (entry & ENTRY_VALID) !== 0;
}

/** What reaches a page, or a device, by grants. */
export interface Came {
  /** The last one first, as long as their grantors run. */
  chain: readonly { readonly cookie: number; readonly grantor: number }[];
}

export class TableWords {
  readonly rig: Rig;

  constructor(rig: Rig) {
    this.rig = rig;
  }

  word(offset: number): number {
    return this.rig.word(offset);
  }

  get partitions(): readonly number[] {
    return Array.from({ length: this.word(HEADER_PARTITIONS_MAX) }, (_, index) => index + 1);
  }

  stateOf(lpid: number): number {
    return this.word(this.rig.partitionAt(lpid) + PARTITION_STATE);
  }

  incarnationOf(lpid: number): number {
    return this.word(this.rig.partitionAt(lpid) + PARTITION_INCARNATION);
  }

  isRunning(lpid: number): boolean {
    return this.stateOf(lpid) === PARTITION_RUNNING;
  }

  #space(lpid: number, offset: number, space = SPACE_MEMORY): number {
    return this.word(this.rig.partitionAt(lpid) + PARTITION_SPACES + space * 16 + offset);
  }

  /** Pages of a partition's memory space, 0 if it was never started. */
  pages(lpid: number): number {
    return this.#space(lpid, SPACE_PAGES);
  }

  entry({ lpid, page }: Page): number {
    return this.word(this.#space(lpid, SPACE_ENTRIES) + page * 4);
  }

  /** The pages of a partition's memory space that are mapped. */
  mapped(lpid: number): number[] {
    const pages = Array.from({ length: this.pages(lpid) }, (_, page) => page);
    return pages.filter((page) => isMapped(this.entry({ lpid, page })));
  }

  /** The control structure of a page, 0 for none. */
  back({ lpid, page }: Page, space = SPACE_MEMORY): number {
    return this.word(this.#space(lpid, SPACE_BACKS, space) + page * 4);
  }

  structure(slot: number): Structure {
    const at = STRUCTURES_AT + slot * STRUCTURE_BYTES;
    const first = this.word(at + STRUCTURE_STATE);
    const state = first & 0xff;
    return {
      slot,
      state,
      space: (first >>> 8) & 0xff,
      inhibits: (first >>> 16) & 0xff & ~HINT_SHARED,
      mode: modeOf(first >>> 24),
      cookie: this.word(at + STRUCTURE_GENERATION) * COOKIE_SLOTS + slot,
      holder: this.word(at + STRUCTURE_HOLDER) & 0xffff,
      parent: this.word(at + STRUCTURE_PARENT),
      sourcePage: this.word(at + STRUCTURE_SOURCE_PAGE),
      pageCount: this.word(at + STRUCTURE_PAGE_COUNT),
      page: this.word(at + STRUCTURE_PAGE),
      isGrant: TREE_STATES.includes(state),
    };
  }

  /** All slots that were ever used. */
  structures(): Structure[] {
    const count = this.word(HEADER_STRUCTURE_FRESH) - 1;
    return Array.from({ length: count }, (_, index) => this.structure(index + 1));
  }

  /** Slots that nobody has, and that are in no partition's pool. */
  get unusedStructures(): number {
    const never = this.word(HEADER_STRUCTURES_MAX) + 1 - this.word(HEADER_STRUCTURE_FRESH);
    return never + this.word(HEADER_STRUCTURES_LISTED);
  }

  /** Where a page comes from: the grantor's page, by the structure that maps it. */
  source({ page }: Page, { parent, sourcePage, page: first }: Structure): Page {
    return { lpid: this.structure(parent).holder, page: sourcePage + page - first };
  }

  /** The page at the end of that way: where nothing is granted from any more, the owner's. */
  root(page: Page, mapping: Structure): Page {
    let source = page;
    for (let structure = mapping; structure.isGrant; structure = this.structure(structure.parent))
      source = this.source(source, structure);
    return source;
  }

  /** Whether a grant with this cookie stands. */
  #stands(cookie: number): boolean {
    const structure = this.structure(cookie % COOKIE_SLOTS);
    return structure.cookie === cookie && structure.isGrant;
  }

  /** Which grant by which something came has ended, whose grantor runs; those of others are forgotten. */
  endedOf(came: Came): number | undefined {
    // Where the grantor has failed its grants end with a return, and it is its memory that waits for uses.
    came.chain = came.chain.filter(({ grantor }) => this.isRunning(grantor));
    return came.chain.find(({ cookie }) => !this.#stands(cookie))?.cookie;
  }

  isFree(frame: number): boolean {
    return (this.word(this.word(HEADER_FRAME_MAP_AT) + (frame >>> 5) * 4) & (1 << (frame & 31))) !== 0;
  }

  /** The frame in which a byte of physical memory is. */
  frameOf(physical: number): number {
    return Math.floor((physical - this.word(HEADER_FRAMES_AT)) / PAGE_BYTES);
  }

  frameAt(frame: number): number {
    return this.word(HEADER_FRAMES_AT) + frame * PAGE_BYTES;
  }

  get frames(): number {
    return this.word(HEADER_FRAMES_MAX);
  }

  /** Whether there is the same in a range, which begins with a page, and at a place of the table. */
  isEqual({ lpid, page, length, at }: Page & { readonly length: number; readonly at: number }): boolean {
    for (let done = 0; done < length; done += PAGE_BYTES) {
      const place = this.frameAt(this.entry({ lpid, page: page + done / PAGE_BYTES }) & ENTRY_FRAME);
      const bytes = Math.min(PAGE_BYTES, length - done);
      const [here, there] = [place, at + done].map((from) => this.rig.bytes.subarray(from, from + bytes));
      if (Buffer.compare(here as Uint8Array, there as Uint8Array) !== 0) return false;
    }
    return true;
  }

  /** The page of memory that a page of a partition's bus is mapped to. */
  behindBus(lpid: number, busPage: number): Page {
    const end = this.word(HEADER_TABLES_AT) + lpid * this.word(HEADER_TABLE_BYTES);
    const tce = end - (this.word(HEADER_SPACE_PAGES + SPACE_DMA * 4) - busPage) * TCE_BYTES;
    const pane = this.structure(this.word(tce + TCE_PANE) & TCE_SLOT_MASK);
    return { lpid: pane.holder, page: this.word(tce + TCE_WORD) & TCE_SLOT_MASK };
  }

  /** All views that stand, whoever has them or had them. */
  views(): View[] {
    const slots = Array.from({ length: this.word(HEADER_PINS_MAX) }, (_, index) => index + 1);
    return slots.flatMap((slot) => {
      const at = this.word(HEADER_PINS_AT) + slot * PIN_BYTES;
      if (this.word(at + PIN_LPID) === 0) return [];
      const { cookie } = this.structure(this.word(at + PIN_STRUCTURE));
      const generation = Math.floor(cookie / COOKIE_SLOTS);
      return {
        number: this.word(at + PIN_GENERATION) * PIN_SLOTS + slot,
        frame: this.word(at + PIN_FRAME),
        frameCount: this.word(at + PIN_FRAME_COUNT),
        hasMapping: generation === this.word(at + PIN_STRUCTURE_GENERATION),
      };
    });
  }

  /** The pages that a frame belongs to: their owner's, or of their own after a copy. Several only if they were merged. */
  owners(frame: number): Page[] {
    const found: Page[] = [];
    for (const lpid of this.partitions) {
      for (let page = 0; page < this.pages(lpid); page++) {
        if ((this.entry({ lpid, page }) & ENTRY_FRAME) === frame && this.isOwner({ lpid, page }))
          found.push({ lpid, page });
      }
    }
    return found;
  }

  /** Whether a page has a frame that is not there for somebody else's page. */
  isOwner(page: Page): boolean {
    return isPrivate(this.entry(page)) || this.isOwned(page);
  }

  isOwned(page: Page): boolean {
    const slot = this.back(page);
    return slot !== 0 && isMapped(this.entry(page)) && this.structure(slot).state === STRUCTURE_OWNED;
  }
}
