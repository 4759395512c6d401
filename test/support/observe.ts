/** What the naive model may learn from a real table: read from the records, as inspect() does. */
import type { ResourceType } from "../../src/index.js";
import type { Kernel } from "../../src/kernel.js";
import {
  COOKIE_SLOTS,
  END_BYTES,
  END_UNIT,
  ENTRY_FRAME,
  ENTRY_PRIVATE,
  ENTRY_VALID,
  EVENT_DOORBELL,
  EVENT_INTERRUPT,
  FLAG_REVOKING,
  FLAG_ROOT,
  FRAME_LPID_SHIFT,
  HEADER_BUDGET,
  HEADER_ENDS_AT,
  HEADER_FRAME_PINS_AT,
  HEADER_FRAMES_AT,
  HEADER_LINES_AT,
  HEADER_LINES_BYTES,
  HEADER_MOVES,
  HEADER_PINS_AT,
  HEADER_SPACE_PAGES,
  HEADER_STRUCTURES_MAX,
  HEADER_TABLE_BYTES,
  HEADER_TABLES_AT,
  HEADER_TELLER,
  HEADER_TELLER_END,
  LINE_FROM_SHIFT,
  LINE_NEXT,
  LINE_RECORD_BYTES,
  LINE_STATE,
  PAGE_BYTES,
  PARTITION_ENDS,
  PARTITION_OWNED,
  PARTITION_SERIAL,
  PARTITION_STATE,
  PARTITION_STOPPED,
  PARTITION_TELLING,
  PIN_BYTES,
  PIN_GENERATION,
  PIN_LPID,
  PIN_ORPHAN,
  PIN_SLOTS,
  SPACE_DMA,
  SPACE_ENTRIES,
  SPACE_INTERRUPT,
  STRUCTURE_BYTES,
  STRUCTURE_FLAGS,
  STRUCTURE_GENERATION,
  STRUCTURE_GRANTED,
  STRUCTURE_NEXT_HELD,
  STRUCTURE_PAGE,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  STRUCTURE_STATE,
  STRUCTURE_ZEROED,
  STRUCTURES_AT,
  TCE_BYTES,
  TCE_PANE,
  TCE_RIGHTS_SHIFT,
  TCE_SLOT_MASK,
  TCE_WORD,
  ZEROING,
} from "../../src/layout.js";
import { partitionWord, RESOURCE_TYPES, spaceWord } from "../../src/records.js";
import type { Observed } from "./model.js";
import type { DueLine } from "./model-lines.js";
import type { GrantState } from "./model-records.js";

const ZEROS = new Uint8Array(PAGE_BYTES);
/** Of what a cookie can name. */
const STATES: ReadonlyMap<number, GrantState> = new Map([
  [STRUCTURE_GRANTED, "granted"],
  [STRUCTURE_SHARED, "shared"],
  [STRUCTURE_RESCINDED, "rescinded"],
  [STRUCTURE_RETURNING, "returning"],
]);
const DEAD = { state: "dead", named: false, marked: false } as const;

export class Observer implements Observed {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  physical(lpid: number, type: ResourceType, page: number): number | undefined {
    const { memory } = this.#kernel;
    const at = spaceWord(memory, lpid, RESOURCE_TYPES.indexOf(type), SPACE_ENTRIES);
    const entry = memory.words[at / 4 + page] as number;
    return (entry & ENTRY_VALID) === 0 ? undefined : entry & ENTRY_FRAME;
  }

  /** A word of a structure: decoding all of it, which is looked at again and again, is most of the work. */
  #word(slot: number, offset: number): number {
    const { memory } = this.#kernel;
    return memory.header(STRUCTURES_AT + slot * STRUCTURE_BYTES + offset);
  }

  #flags(slot: number): { readonly named: boolean; readonly marked: boolean } {
    const flags = this.#word(slot, STRUCTURE_STATE) >>> ((STRUCTURE_FLAGS - STRUCTURE_STATE) * 8);
    return { named: (flags & FLAG_ROOT) !== 0, marked: (flags & FLAG_REVOKING) !== 0 };
  }

  grant(cookie: number): { readonly state: GrantState; readonly named: boolean; readonly marked: boolean } {
    const { memory } = this.#kernel;
    const slot = cookie % COOKIE_SLOTS;
    if (slot === 0 || slot > memory.header(HEADER_STRUCTURES_MAX)) return DEAD;
    const state = STATES.get(this.#word(slot, STRUCTURE_STATE) & 0xff);
    const named = this.#word(slot, STRUCTURE_GENERATION) * COOKIE_SLOTS + slot;
    return named !== cookie || state === undefined ? DEAD : { state, ...this.#flags(slot) };
  }

  resource(
    lpid: number,
    type: ResourceType,
    page: number,
  ): { readonly named: boolean; readonly marked: boolean } | undefined {
    const { memory } = this.#kernel;
    const space = RESOURCE_TYPES.indexOf(type);
    for (let slot = partitionWord(memory, lpid, PARTITION_OWNED); slot !== 0; ) {
      const isOfSpace = ((this.#word(slot, STRUCTURE_STATE) >>> 8) & 0xff) === space;
      if (isOfSpace && this.#word(slot, STRUCTURE_PAGE) === page) return this.#flags(slot);
      slot = this.#word(slot, STRUCTURE_NEXT_HELD);
    }
    return undefined;
  }

  due(lpid: number): DueLine[] {
    const { memory } = this.#kernel;
    const lines = memory.header(HEADER_LINES_AT) + (lpid - 1) * memory.header(HEADER_LINES_BYTES);
    const word = (index: number, offset: number): number =>
      memory.words[(lines + index * LINE_RECORD_BYTES + offset) / 4] as number;
    const sources = memory.header(HEADER_SPACE_PAGES + SPACE_INTERRUPT * 4);
    const due: DueLine[] = [];
    for (let index = word(0, LINE_NEXT); index !== 0; index = word(index, LINE_NEXT)) {
      const isPort = index > sources;
      const value = index - 1 - (isPort ? sources : 0);
      const type = isPort ? EVENT_DOORBELL : EVENT_INTERRUPT;
      due.push({ type, from: word(index, LINE_STATE) >>> LINE_FROM_SHIFT, value });
    }
    return due;
  }

  tce(lpid: number, page: number): { readonly page: number; readonly rights: number } | undefined {
    const { memory } = this.#kernel;
    const pages = memory.header(HEADER_SPACE_PAGES + SPACE_DMA * 4);
    const end = memory.header(HEADER_TABLES_AT) + lpid * memory.header(HEADER_TABLE_BYTES);
    const at = end - (pages - page) * TCE_BYTES;
    const word = (offset: number): number => memory.words[(at + offset) / 4] as number;
    if (word(TCE_PANE) === 0) return undefined;
    const rights = (word(TCE_WORD) >>> TCE_RIGHTS_SHIFT) & 3;
    return { page: word(TCE_WORD) & TCE_SLOT_MASK, rights };
  }

  charged(physical: number): number {
    const { memory } = this.#kernel;
    const word = memory.words[memory.header(HEADER_FRAME_PINS_AT) / 4 + physical] as number;
    return word >>> FRAME_LPID_SHIFT;
  }

  pinHolder(number: number): number | "orphan" | "gone" {
    const { memory } = this.#kernel;
    const at = memory.header(HEADER_PINS_AT) + (number % PIN_SLOTS) * PIN_BYTES;
    const word = (offset: number): number => memory.words[(at + offset) / 4] as number;
    if (word(PIN_GENERATION) !== Math.floor(number / PIN_SLOTS) || word(PIN_LPID) === 0) return "gone";
    return word(PIN_LPID) === PIN_ORPHAN ? "orphan" : word(PIN_LPID);
  }

  isPrivate(lpid: number, page: number): boolean {
    const { memory } = this.#kernel;
    const at = spaceWord(memory, lpid, RESOURCE_TYPES.indexOf("memory"), SPACE_ENTRIES);
    return ((memory.words[at / 4 + page] as number) & ENTRY_PRIVATE) !== 0;
  }

  isZero(physical: number): boolean {
    const { memory } = this.#kernel;
    const at = memory.header(HEADER_FRAMES_AT) + physical * PAGE_BYTES;
    return Buffer.compare(memory.bytes.subarray(at, at + PAGE_BYTES), ZEROS) === 0;
  }

  zeroed(cookie: number): number {
    const { memory } = this.#kernel;
    const at = STRUCTURES_AT + (cookie % COOKIE_SLOTS) * STRUCTURE_BYTES;
    const word = memory.words[(at + STRUCTURE_ZEROED) / 4] as number;
    // Before it begins the word says how far pages have moved.
    return (word & ZEROING) === 0 ? 0 : word & ~ZEROING;
  }

  budget(): number {
    return this.#kernel.memory.header(HEADER_BUDGET);
  }

  isStopped(lpid: number): boolean {
    return partitionWord(this.#kernel.memory, lpid, PARTITION_STATE) === PARTITION_STOPPED;
  }

  telling(): { readonly lpid: number; readonly unit: number } {
    const { memory } = this.#kernel;
    const slot = memory.header(HEADER_TELLER_END);
    const end = memory.header(HEADER_ENDS_AT) + slot * END_BYTES;
    return { lpid: memory.header(HEADER_TELLER), unit: slot === 0 ? 0 : memory.header(end + END_UNIT) };
  }

  isTelling(lpid: number): boolean {
    return partitionWord(this.#kernel.memory, lpid, PARTITION_TELLING) !== 0;
  }

  hasEnds(lpid: number): boolean {
    return partitionWord(this.#kernel.memory, lpid, PARTITION_ENDS) !== 0;
  }

  isEnding(lpid: number): boolean {
    return (partitionWord(this.#kernel.memory, lpid, PARTITION_SERIAL) & 1) !== 0;
  }

  moves(): number {
    return this.#kernel.memory.header(HEADER_MOVES);
  }
}
