/**
 * Reading the table's records from JavaScript: the same words that the core writes, by the same layout. Nothing here
 * writes.
 */
import type { TableMemory } from "./binding.js";
import { textOf } from "./errors.js";
import {
  COOKIE_SLOTS,
  END_UNIT,
  FLAG_COPY_ON_WRITE,
  FLAG_DONATED,
  FLAG_DRAINING,
  FLAG_FREEING,
  FLAG_LENT,
  FLAG_REVOKING,
  FLAG_ROOT,
  FLAG_ZERO,
  HEADER_ENDS_AT,
  HEADER_ENDS_MAX,
  HEADER_PINS_AT,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  PAGE_BYTES,
  PARTITION_BYTES,
  PARTITION_FAILED,
  PARTITION_RECOVERING,
  PARTITION_RUNNING,
  PARTITION_SPACES,
  PARTITION_STATE,
  PIN_BYTES,
  PIN_GENERATION,
  PIN_SLOTS,
  PIN_STRUCTURE,
  PIN_STRUCTURE_GENERATION,
  SPACE_BACKS,
  SPACE_BYTES,
  SPACE_DMA,
  SPACE_INTERRUPT,
  SPACE_IPI,
  SPACE_MEMORY,
  SPACE_PAGES,
  STRUCTURE_BYTES,
  STRUCTURE_CHILD,
  STRUCTURE_COPIES,
  STRUCTURE_END,
  STRUCTURE_ENTRIES,
  STRUCTURE_FLAGS,
  STRUCTURE_GENERATION,
  STRUCTURE_GRANTED,
  STRUCTURE_HOLDER,
  STRUCTURE_LIOBN,
  STRUCTURE_NEXT_HELD,
  STRUCTURE_OWNED,
  STRUCTURE_PAGE,
  STRUCTURE_PAGE_COUNT,
  STRUCTURE_PARENT,
  STRUCTURE_PINS,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  STRUCTURE_SOURCE_PAGE,
  STRUCTURE_STATE,
  STRUCTURES_AT,
  TYPE_DMA,
  TYPE_INTERRUPT,
  TYPE_IPI,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "./layout.js";

/** The kinds of resource (KI1 to KI5), in the order of the logical spaces. */
export type ResourceType = "memory" | "mmio" | "interrupt" | "dma" | "ipi";

export const RESOURCE_TYPES: readonly ResourceType[] = ["memory", "mmio", "interrupt", "dma", "ipi"];
const TYPE_CODES: readonly number[] = [TYPE_MEMORY, TYPE_MMIO, TYPE_INTERRUPT, TYPE_DMA, TYPE_IPI];

/** The logical space of a resource type. @throws TypeError for a name that is none. */
export function spaceOfType(type: ResourceType): number {
  const space = RESOURCE_TYPES.indexOf(type);
  if (space < 0)
    throw new TypeError(`type is "${textOf(type)}"; it must be one of ${RESOURCE_TYPES.join(", ")}`);
  return space;
}

/** The code of a resource type in the flags of a grant. @throws TypeError for a name that is none. */
export function codeOfType(type: ResourceType): number {
  // Most grants are of memory: they do without the look-up.
  return type === "memory" ? TYPE_MEMORY : (TYPE_CODES[spaceOfType(type)] as number);
}

/** Bytes of one unit of a space; interrupt sources and ports are counted by number. */
export function unitOf(space: number): number {
  return space === SPACE_INTERRUPT || space === SPACE_IPI ? 1 : PAGE_BYTES;
}

/** Byte offset of a partition's record. */
export function partitionOffset(memory: TableMemory, lpid: number): number {
  return memory.partitionsAt + lpid * PARTITION_BYTES;
}

/** A word of a partition's record. */
export function partitionWord(memory: TableMemory, lpid: number, offset: number): number {
  return memory.header(partitionOffset(memory, lpid) + offset);
}

/** A word of one space of a partition. */
export function spaceWord(memory: TableMemory, lpid: number, space: number, offset: number): number {
  return partitionWord(memory, lpid, PARTITION_SPACES + space * SPACE_BYTES + offset);
}

/** The LIOBN of what a partition has at an address of its DMA space, 0 if that is nothing, and for other types. */
export function liobnAt(memory: TableMemory, lpid: number, type: ResourceType, address: number): number {
  if (type !== "dma") return 0;
  const page = Math.floor(address / PAGE_BYTES);
  if (!(page >= 0 && page < spaceWord(memory, lpid, SPACE_DMA, SPACE_PAGES))) return 0;
  const slot = memory.header(spaceWord(memory, lpid, SPACE_DMA, SPACE_BACKS) + page * 4);
  return memory.header(structureOffset(slot) + STRUCTURE_LIOBN);
}

/** A partition's state as the API names it. */
export type PartitionState = "running" | "failed" | "recovering" | "stopped";

export function stateName(state: number): PartitionState {
  if (state === PARTITION_RUNNING) return "running";
  if (state === PARTITION_FAILED) return "failed";
  return state === PARTITION_RECOVERING ? "recovering" : "stopped";
}

/** Who has access while a grant stands: grantor and grantee, the grantee alone, or the grantee for good. */
export type GrantMode = "share" | "lend" | "donate";

const REVOCATION_FLAGS = FLAG_REVOKING | FLAG_ROOT | FLAG_FREEING | FLAG_DRAINING;

/** A control structure, copied out. Pages are units of its space. */
export interface Structure {
  readonly slot: number;
  readonly state: "owned" | "granted" | "shared" | "rescinded" | "returning" | "free";
  readonly space: number;
  readonly cookie: number;
  readonly holder: number;
  readonly end: number;
  readonly parent: number;
  readonly child: number;
  readonly nextHeld: number;
  readonly sourcePage: number;
  readonly page: number;
  readonly pageCount: number;
  readonly pins: number;
  readonly liobn: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly regrantable: boolean;
  readonly revoking: boolean;
  /** Of a grant; of an elemental resource "donate" if it was donated to its owner. */
  readonly mode: GrantMode;
  readonly zero: boolean;
  /** The holder's writes go to pages of its own. */
  readonly copyOnWrite: boolean;
  /** Of a copy-on-write grant: how many of its pages are such ones. */
  readonly copies: number;
}

const STATES: ReadonlyMap<number, Structure["state"]> = new Map([
  [STRUCTURE_OWNED, "owned"],
  [STRUCTURE_GRANTED, "granted"],
  [STRUCTURE_SHARED, "shared"],
  [STRUCTURE_RESCINDED, "rescinded"],
  [STRUCTURE_RETURNING, "returning"],
]);

/** Where the flags stand in the first word of a structure, its terms: what it is of, and what its holder may do with it. */
const FLAGS_SHIFT = (STRUCTURE_FLAGS - STRUCTURE_STATE) * 8;

/** The logical space that terms are of. */
export function spaceOfTerms(terms: number): number {
  return (terms >>> 8) & 0xff;
}

/** Whether what is granted becomes the holder's own. */
export function isDonated(terms: number): boolean {
  return (terms & (FLAG_DONATED << FLAGS_SHIFT)) !== 0;
}

/** Whether a page of a partition's memory is in an LMB that it was made with: that is not so of what was donated, to it or by it. */
export function isLmb(memory: TableMemory, lpid: number, page: number): boolean {
  const slot = memory.header(spaceWord(memory, lpid, SPACE_MEMORY, SPACE_BACKS) + page * 4);
  const terms = memory.header(structureOffset(slot));
  return (terms & 0xff) === STRUCTURE_OWNED && !isDonated(terms);
}

/** What terms were granted as. */
export function modeOfTerms(terms: number): GrantMode {
  if (isDonated(terms)) return "donate";
  return (terms & (FLAG_LENT << FLAGS_SHIFT)) !== 0 ? "lend" : "share";
}

/** What the holder may do. */
export function readTerms(
  terms: number,
): Pick<Structure, "readable" | "writable" | "regrantable" | "copyOnWrite"> {
  const inhibits = (terms >>> 16) & 0xff;
  const copyOnWrite = (terms & (FLAG_COPY_ON_WRITE << FLAGS_SHIFT)) !== 0;
  return {
    readable: (inhibits & INHIBIT_READ) === 0,
    writable: copyOnWrite || (inhibits & INHIBIT_WRITE) === 0,
    regrantable: (inhibits & INHIBIT_REGRANT) === 0,
    copyOnWrite,
  };
}

function structureOffset(slot: number): number {
  return STRUCTURES_AT + slot * STRUCTURE_BYTES;
}

/** Copies the structure in a slot. */
export function readStructure(memory: TableMemory, slot: number): Structure {
  const at = structureOffset(slot);
  const word = (offset: number): number => memory.header(at + offset);
  const first = word(STRUCTURE_STATE);
  const flags = first >>> FLAGS_SHIFT;
  const rights = readTerms(first);
  const space = spaceOfTerms(first);
  // Field by field: Node 20 takes four hundred times as long for a literal that begins with the fields of another object.
  return {
    readable: rights.readable,
    writable: rights.writable,
    regrantable: rights.regrantable,
    copyOnWrite: rights.copyOnWrite,
    slot,
    space,
    mode: modeOfTerms(first),
    state: STATES.get(first & 0xff) ?? "free",
    cookie: word(STRUCTURE_GENERATION) * COOKIE_SLOTS + slot,
    holder: word(STRUCTURE_HOLDER) & 0xffff,
    end: word(STRUCTURE_END) & 0xffff,
    parent: word(STRUCTURE_PARENT),
    child: word(STRUCTURE_CHILD),
    nextHeld: word(STRUCTURE_NEXT_HELD),
    sourcePage: word(STRUCTURE_SOURCE_PAGE),
    page: word(STRUCTURE_PAGE),
    pageCount: word(STRUCTURE_PAGE_COUNT),
    pins:
      (word(STRUCTURE_HOLDER) >>> ((STRUCTURE_PINS - STRUCTURE_HOLDER) * 8)) +
      (word(STRUCTURE_END) >>> ((STRUCTURE_ENTRIES - STRUCTURE_END) * 8)),
    liobn: space === SPACE_DMA ? word(STRUCTURE_LIOBN) : 0,
    revoking: (flags & REVOCATION_FLAGS) !== 0,
    zero: (flags & FLAG_ZERO) !== 0,
    copies: rights.copyOnWrite ? word(STRUCTURE_COPIES) : 0,
  };
}

/** What gives a partition an address of a space, as a cookie; 0 if it does not run, or has lost that. */
export function grantAt(memory: TableMemory, lpid: number, space: number, address: number): number {
  const page = Math.floor(address / unitOf(space));
  const slot = memory.header(spaceWord(memory, lpid, space, SPACE_BACKS) + page * 4);
  const at = structureOffset(slot);
  const state = memory.header(at + STRUCTURE_STATE) & 0xff;
  const isThere = state === STRUCTURE_SHARED || state === STRUCTURE_OWNED;
  if (!isThere || partitionWord(memory, lpid, PARTITION_STATE) !== PARTITION_RUNNING) return 0;
  return memory.header(at + STRUCTURE_GENERATION) * COOKIE_SLOTS + slot;
}

/** The low bits, without a division of doubles. */
export function slotOfCookie(cookie: number): number {
  return cookie & (COOKIE_SLOTS - 1);
}

/** Index in the table's words of the structure that a valid cookie names. */
export function indexOfCookie(cookie: number): number {
  return structureOffset(slotOfCookie(cookie)) >>> 2;
}

/** The structure that a valid cookie names. */
export function structureOfCookie(memory: TableMemory, cookie: number): Structure {
  return readStructure(memory, slotOfCookie(cookie));
}

/** Whether what a cookie named, when it was taken, still has its slot. */
export function isStanding(memory: TableMemory, cookie: number): boolean {
  const slot = slotOfCookie(cookie);
  return memory.header(structureOffset(slot) + STRUCTURE_GENERATION) * COOKIE_SLOTS + slot === cookie;
}

/** Whether the pin of a view still stands. */
export function isPinned(memory: TableMemory, pin: number): boolean {
  const at = memory.header(HEADER_PINS_AT) + (pin % PIN_SLOTS) * PIN_BYTES;
  return memory.header(at + PIN_GENERATION) === Math.floor(pin / PIN_SLOTS);
}

/** The structure from whose pages a view was taken, as a cookie: another one has the addresses if that names nothing now. */
export function structureOfPin(memory: TableMemory, pin: number): number {
  const at = (memory.header(HEADER_PINS_AT) + (pin % PIN_SLOTS) * PIN_BYTES) / 4;
  const word = (offset: number): number => memory.words[at + offset / 4] as number;
  return word(PIN_STRUCTURE_GENERATION) * COOKIE_SLOTS + word(PIN_STRUCTURE);
}

/** A word of an adapter end. */
export function endWord(memory: TableMemory, slot: number, offset: number): number {
  return memory.header(memory.header(HEADER_ENDS_AT) + slot * 64 + offset);
}

/** The unit address of an adapter end. */
export function unitAddress(memory: TableMemory, slot: number): number {
  return endWord(memory, slot, END_UNIT);
}

/** A word of the adapter end that a unit address names, or named. */
export function unitWord(memory: TableMemory, unit: number, offset: number): number {
  return endWord(memory, unit & (-1 >>> Math.clz32(memory.header(HEADER_ENDS_MAX) + 1)), offset);
}
