/**
 * What of a table's memory means something: the whole of it, with zeros where nothing is said to anybody.
 *
 * Left out, and why:
 *
 *     generations of page table entries and pins     a mapping or a view that was undone used one up
 *     sequences of TCEs                              the same
 *     the free list of pins, records of free ones    the same; that it is whole is checked by itself
 *     what is ahead of a structure                   only touched; that it is a slot is checked by audit()
 *     log, results and scratch of a thread           its own; that nothing is unfinished is checked by audit()
 *     epoch, counts of signals, who waits, locks     may be taken and counted for nothing; checked by themselves
 *     epochs that a draining or a recovery waits for the same; whether there is one is kept
 *     events outside head and tail, free frames      nobody's; that free frames are zero is checked by audit()
 *     marks of frames                                scratch: whoever uses them clears them first
 *     staging that nobody has                        nobody's
 *     private frames whose mapping has ended         the same: they are zeroed before they are free
 *     memory that a recovery has begun to zero       nobody can see it: all grants are gone and all uses are over
 *     the allocation maps of what does not run       written when it starts
 */
import {
  END_AUDIT_USED,
  END_BYTES,
  ENTRY_FRAME,
  ENTRY_GENERATION_SHIFT,
  ENTRY_PRIVATE,
  ENTRY_VALID,
  EVENT_BYTES,
  FLAG_DRAINING,
  FLAG_ROOT,
  HEADER_ARENA_BYTES,
  HEADER_ARENAS_AT,
  HEADER_AUDIT_AT,
  HEADER_AUDIT_CHECKED,
  HEADER_AUDIT_PROBLEMS,
  HEADER_AUDIT_SAVED,
  HEADER_COPIED,
  HEADER_ENDS_AT,
  HEADER_ENDS_MAX,
  HEADER_EPOCH,
  HEADER_EVENTS_AT,
  HEADER_EVENTS_MAX,
  HEADER_FAILURES,
  HEADER_FRAME_MAP_AT,
  HEADER_FRAME_PINS_AT,
  HEADER_FRAMES_AT,
  HEADER_FRAMES_MAX,
  HEADER_LOCK,
  HEADER_LPIDS_USED,
  HEADER_PARTITIONS_AT,
  HEADER_PARTITIONS_MAX,
  HEADER_PIN_FREE,
  HEADER_PIN_FRESH,
  HEADER_PINS_AT,
  HEADER_PINS_MAX,
  HEADER_PINS_USED,
  HEADER_SPACE_PAGES,
  HEADER_STAGING_AT,
  HEADER_STAGING_MAP_AT,
  HEADER_STAGING_OWNERS_AT,
  HEADER_STAGING_PAGES,
  HEADER_STRUCTURE_FREE,
  HEADER_STRUCTURE_FRESH,
  HEADER_STRUCTURES_LISTED,
  HEADER_STRUCTURES_MAX,
  HEADER_STRUCTURES_RETIRED,
  HEADER_TABLE_BYTES,
  HEADER_TABLES_AT,
  HEADER_THREADS_AT,
  HEADER_THREADS_MAX,
  PAGE_BYTES,
  PARTITION_ARENA_ENDS,
  PARTITION_ARENA_MAP,
  PARTITION_AUDIT,
  PARTITION_AUDIT_COPIES,
  PARTITION_AUDIT_LENT,
  PARTITION_BYTES,
  PARTITION_DEFERRED,
  PARTITION_DRAIN,
  PARTITION_EVENT_HEAD,
  PARTITION_EVENT_RING,
  PARTITION_EVENT_TAIL,
  PARTITION_FAILED,
  PARTITION_FREE,
  PARTITION_INCARNATION,
  PARTITION_LMB_PAGES,
  PARTITION_LOCK,
  PARTITION_MEMORY_PAGES,
  PARTITION_RECOVERING,
  PARTITION_RUNNING,
  PARTITION_SERIAL,
  PARTITION_SIGNAL,
  PARTITION_SPACES,
  PARTITION_STATE,
  PARTITION_WAITING,
  PIN_BYTES,
  PIN_GENERATION,
  PIN_LPID,
  PIN_NEXT,
  PROBLEM_BYTES,
  PROBLEMS_MAX,
  SPACE_BYTES,
  SPACE_COUNT,
  SPACE_DMA,
  SPACE_MAP,
  SPACE_MEMORY,
  SPACE_PAGES,
  STRUCTURE_AHEAD,
  STRUCTURE_BYTES,
  STRUCTURE_CURSOR,
  STRUCTURE_FLAGS,
  STRUCTURE_FREE,
  STRUCTURE_GENERATION,
  STRUCTURE_GRANTED,
  STRUCTURE_NEXT_HELD,
  STRUCTURE_OWNED,
  STRUCTURE_RETIRED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  STRUCTURE_STATE,
  STRUCTURES_AT,
  TCE_BYTES,
  TCE_PANE,
  TCE_SEQUENCE_SHIFT,
  TCE_SLOT_MASK,
  TCE_WORD,
  THREAD_BYTES,
  THREAD_EPOCH,
  THREAD_JOB,
  THREAD_LOG_TOP,
  THREAD_LPID,
  THREAD_NAME,
  THREAD_REAPING,
  THREAD_STARTING,
} from "../../src/layout.js";
import { mapBytes } from "../../src/regions.js";
import type { Rig } from "./crash-rig.js";

/** Where regions of a table begin, for telling what differs; 0: where the header ends. */
const REGIONS: readonly (readonly [offset: number, name: string, bytes: number])[] = [
  [0, "structure", STRUCTURE_BYTES],
  [HEADER_THREADS_AT, "thread", THREAD_BYTES],
  [HEADER_PARTITIONS_AT, "partition", PARTITION_BYTES],
  [HEADER_ENDS_AT, "end", END_BYTES],
  [HEADER_PINS_AT, "pin", PIN_BYTES],
  [HEADER_TABLES_AT, "page tables", 0],
  [HEADER_ARENAS_AT, "arenas", 0],
  [HEADER_EVENTS_AT, "events", EVENT_BYTES],
  [HEADER_FRAME_MAP_AT, "frame map", 0],
  [HEADER_FRAME_PINS_AT, "frame pins", 4],
  [HEADER_AUDIT_AT, "audit", 0],
  [HEADER_STAGING_MAP_AT, "staging map", 0],
  [HEADER_STAGING_OWNERS_AT, "staging owner", 4],
  [HEADER_STAGING_AT, "staging", PAGE_BYTES],
  [HEADER_FRAMES_AT, "frame", PAGE_BYTES],
];

function placeName(rig: Rig, offset: number): string {
  let name = `header + ${offset}`;
  for (const [header, region, bytes] of REGIONS) {
    const at = offset - (header === 0 ? STRUCTURES_AT : rig.word(header));
    if (at < 0) break;
    name = bytes === 0 ? `${region} + ${at}` : `${region} ${Math.floor(at / bytes)} + ${at % bytes}`;
  }
  return name;
}

/** Whether each level of a map of free places says of the level below which words have a bit set. */
function isWholeMap(rig: Rig, map: number, places: number): boolean {
  const levels: { at: number; words: number }[] = [];
  let at = map;
  for (const bits of [6, 12, 18, 24]) {
    const words = bits === 24 ? 1 : Math.ceil(places / 2 ** bits);
    levels.push({ at, words });
    at += words * 8;
  }
  for (const [index, { at: below, words }] of levels.entries()) {
    const above = levels[index + 1]?.at;
    if (above === undefined) break;
    for (let word = 0; word < words; word++) {
      const isSet = (rig.word(above + (word >>> 5) * 4) & (1 << (word & 31))) !== 0;
      if (isSet !== ((rig.word(below + word * 8) | rig.word(below + word * 8 + 4)) !== 0)) return false;
    }
  }
  return true;
}

/** What audit() does not look at: the upper levels of the maps, and the free list of pins. "" if all is well. */
export function checkLists(rig: Rig): string {
  const maps: [name: string, at: number, places: number][] = [
    ["frame map", rig.word(HEADER_FRAME_MAP_AT), rig.word(HEADER_FRAMES_MAX)],
    ["staging map", rig.word(HEADER_STAGING_MAP_AT), rig.word(HEADER_STAGING_PAGES)],
  ];
  for (let lpid = 1; lpid <= rig.word(HEADER_PARTITIONS_MAX); lpid++) {
    const at = rig.word(HEADER_PARTITIONS_AT) + lpid * PARTITION_BYTES;
    const state = rig.word(at + PARTITION_STATE);
    if (state === PARTITION_RUNNING)
      maps.push([`arena of ${lpid}`, rig.word(at + PARTITION_ARENA_MAP), rig.word(HEADER_FRAMES_MAX)]);
    for (let space = 0; space < SPACE_COUNT && state !== PARTITION_FREE; space++) {
      const record = at + PARTITION_SPACES + space * SPACE_BYTES;
      maps.push([`space ${space} of ${lpid}`, rig.word(record + SPACE_MAP), rig.word(record + SPACE_PAGES)]);
    }
  }
  const torn = maps.filter(([, at, places]) => !isWholeMap(rig, at, places)).map(([name]) => name);
  if (torn.length > 0) return `levels that disagree: ${torn.join(", ")}`;
  const most = rig.word(HEADER_PIN_FRESH) - 1;
  let free = 0;
  let retired = 0;
  for (let slot = 1; slot <= most; slot++) {
    const at = rig.word(HEADER_PINS_AT) + slot * PIN_BYTES;
    if (rig.word(at + PIN_LPID) === 0 && rig.word(at + PIN_GENERATION) === 0) retired++;
  }
  for (let slot = rig.word(HEADER_PIN_FREE); slot !== 0 && free <= most; free++) {
    const at = rig.word(HEADER_PINS_AT) + slot * PIN_BYTES;
    if (rig.word(at + PIN_LPID) !== 0) return `pin ${slot} is free and in use`;
    slot = rig.word(at + PIN_NEXT);
  }
  const used = rig.word(HEADER_PINS_USED);
  return used + free + retired === most
    ? ""
    : `pins: ${used} used, ${free} free, ${retired} retired of ${most}`;
}

/** States in which the cursor is an epoch, which is nobody's business. */
const EPOCH_STATES: readonly number[] = [STRUCTURE_GRANTED, STRUCTURE_SHARED, STRUCTURE_RETURNING];

/** What else is left out of one comparison. */
export interface Leave {
  /** A thread that died: its record, and the staging that it had. */
  readonly thread?: number | undefined;
  /** Threads whose uses may have ended. */
  readonly epochs?: readonly number[] | undefined;
  /** A partition whose start was begun and undone: its incarnation, what it last was, and which structures were used. */
  readonly started?: number | undefined;
  /** Frames that the call writes to for its caller, without promising anything about a call that stops half-way. */
  readonly frames?: readonly number[] | undefined;
  /** Contents of staging: the answers of a batch that stopped half-way. */
  readonly staging?: boolean | undefined;
}

const ENTRY_GENERATION = 0x1f << ENTRY_GENERATION_SHIFT;

const THREAD_WORDS: readonly number[] = [
  ...[THREAD_LPID, THREAD_LOG_TOP, THREAD_JOB, THREAD_REAPING, THREAD_STARTING, THREAD_EPOCH],
];
const HEADER_LEFT: readonly number[] = [
  ...[HEADER_LOCK, HEADER_EPOCH, HEADER_AUDIT_CHECKED, HEADER_AUDIT_PROBLEMS],
  ...[HEADER_PIN_FREE, HEADER_PIN_FRESH, HEADER_AUDIT_SAVED, HEADER_COPIED],
];
const PARTITION_LEFT: readonly number[] = [
  ...[PARTITION_LOCK, PARTITION_SIGNAL, PARTITION_WAITING, PARTITION_AUDIT_LENT],
];
const PARTITION_STARTED: readonly number[] = [
  ...[PARTITION_INCARNATION, PARTITION_SERIAL, PARTITION_DRAIN, PARTITION_EVENT_RING],
  ...[PARTITION_ARENA_MAP, PARTITION_ARENA_ENDS, PARTITION_DEFERRED],
];

export class State {
  readonly #rig: Rig;
  /** The memory with zeros in it. */
  readonly bytes: Uint8Array;
  readonly #words: Uint32Array;

  constructor(rig: Rig) {
    this.#rig = rig;
    this.bytes = new Uint8Array(Math.ceil(rig.size / 8) * 8);
    this.#words = new Uint32Array(this.bytes.buffer);
  }

  #get(offset: number): number {
    return this.#words[offset >>> 2] as number;
  }

  #set(offset: number, value: number): void {
    this.#words[offset >>> 2] = value;
  }

  #clear(from: number, bytes: number): void {
    this.bytes.fill(0, from, from + bytes);
  }

  /** Takes what the table's memory is now. */
  take(leave: Leave): this {
    this.bytes.set(this.#rig.bytes.subarray(0, this.#rig.size));
    this.#leaveThreads(leave);
    this.#leaveStaging(leave);
    this.#leaveFrames(leave);
    this.#leavePartitions(leave);
    this.#leaveStructures(leave);
    this.#leavePins();
    this.#leaveEnds();
    for (const offset of HEADER_LEFT) this.#set(offset, 0);
    if (leave.started !== undefined)
      for (const offset of [HEADER_FAILURES, HEADER_LPIDS_USED]) this.#set(offset, 0);
    const marks = Math.ceil(this.#get(HEADER_FRAMES_MAX) / 64) * 8;
    this.#clear(this.#get(HEADER_AUDIT_AT), PROBLEMS_MAX * PROBLEM_BYTES + marks);
    return this;
  }

  #leaveThreads(leave: Leave): void {
    for (let slot = 0; slot < this.#get(HEADER_THREADS_MAX); slot++) {
      const at = this.#rig.threadAt(slot);
      const words = THREAD_WORDS.map((offset) => this.#get(at + offset));
      const isUsed = this.#get(at + THREAD_NAME) !== 0;
      this.#clear(at, THREAD_BYTES);
      if (slot === leave.thread) continue;
      this.#set(at + THREAD_NAME, isUsed ? 1 : 0);
      for (const [index, offset] of THREAD_WORDS.entries()) this.#set(at + offset, words[index] as number);
      if (leave.epochs?.includes(slot) === true) this.#set(at + THREAD_EPOCH, 0);
    }
  }

  #leaveStaging(leave: Leave): void {
    const pages = this.#get(HEADER_STAGING_PAGES);
    const map = this.#get(HEADER_STAGING_MAP_AT);
    const above = map + 8 * Math.ceil(pages / 64);
    this.#clear(above, map + mapBytes(pages) - above);
    for (let page = 0; page < pages; page++) {
      const owner = this.#get(HEADER_STAGING_OWNERS_AT) + page * 4;
      if (this.#get(owner) - 1 === leave.thread) {
        this.#set(owner, 0);
        this.#set(map, this.#get(map) | (1 << page));
      }
      if (this.#get(owner) === 0 || leave.staging === true)
        this.#clear(this.#get(HEADER_STAGING_AT) + page * PAGE_BYTES, PAGE_BYTES);
    }
  }

  #leaveFrames(leave: Leave): void {
    const frames = this.#get(HEADER_FRAMES_MAX);
    const map = this.#get(HEADER_FRAME_MAP_AT);
    for (let frame = 0; frame < frames; frame++) {
      const isFree = (this.#get(map + (frame >>> 5) * 4) & (1 << (frame & 31))) !== 0;
      if (isFree || leave.frames?.includes(frame) === true)
        this.#clear(this.#get(HEADER_FRAMES_AT) + frame * PAGE_BYTES, PAGE_BYTES);
    }
  }

  #leavePartitions(leave: Leave): void {
    for (let lpid = 1; lpid <= this.#get(HEADER_PARTITIONS_MAX); lpid++) {
      const at = this.#get(HEADER_PARTITIONS_AT) + lpid * PARTITION_BYTES;
      const state = this.#get(at + PARTITION_STATE);
      this.#clear(at + PARTITION_AUDIT, 32);
      this.#set(at + PARTITION_AUDIT_COPIES, 0);
      for (const offset of PARTITION_LEFT) this.#set(at + offset, 0);
      this.#set(at + PARTITION_DRAIN, this.#get(at + PARTITION_DRAIN) === 0 ? 0 : 1);
      this.#leaveEvents(at, lpid);
      for (let space = 0; space < SPACE_COUNT; space++) this.#leaveSpace(lpid, space, state);
      this.#leaveTces(lpid);
      if (state !== PARTITION_RUNNING && state !== PARTITION_FAILED) {
        const arena = this.#rig.word(HEADER_ARENA_BYTES);
        this.#clear(this.#arenaAt(lpid), arena);
      }
      if (lpid === leave.started) for (const offset of PARTITION_STARTED) this.#set(at + offset, 0);
      if (state !== PARTITION_FREE) continue;
      this.#set(at + PARTITION_MEMORY_PAGES, 0);
      this.#set(at + PARTITION_LMB_PAGES, 0);
      this.#clear(at + PARTITION_SPACES, SPACE_COUNT * SPACE_BYTES);
    }
  }

  #arenaAt(lpid: number): number {
    return this.#rig.word(HEADER_ARENAS_AT) + (lpid - 1) * this.#rig.word(HEADER_ARENA_BYTES);
  }

  /** Only what is between head and tail was said to anybody. */
  #leaveEvents(at: number, lpid: number): void {
    const entries = this.#get(HEADER_EVENTS_MAX);
    const ring = this.#get(HEADER_EVENTS_AT) + (lpid - 1) * entries * EVENT_BYTES;
    const head = this.#get(at + PARTITION_EVENT_HEAD);
    const tail = this.#get(at + PARTITION_EVENT_TAIL);
    this.#clear(ring, entries * EVENT_BYTES);
    for (let index = head; index !== tail; index = (index + 1) >>> 0) {
      const event = ring + (index & (entries - 1)) * EVENT_BYTES;
      this.bytes.set(this.#rig.bytes.subarray(event, event + EVENT_BYTES), event);
    }
  }

  #leaveSpace(lpid: number, space: number, state: number): void {
    const { tables, pages } = this.#tableOf(lpid, space);
    for (let page = 0; page < pages; page++) {
      const entry = this.#get(tables + page * 4) & ~ENTRY_GENERATION;
      this.#set(tables + page * 4, entry);
      if ((entry & (ENTRY_PRIVATE | ENTRY_VALID)) === ENTRY_PRIVATE)
        this.#clear(this.#get(HEADER_FRAMES_AT) + (entry & ENTRY_FRAME) * PAGE_BYTES, PAGE_BYTES);
      if (state !== PARTITION_RECOVERING || space !== SPACE_MEMORY || (entry & ENTRY_VALID) === 0) continue;
      const slot = this.#get(tables + (pages + page) * 4);
      const structure = STRUCTURES_AT + slot * STRUCTURE_BYTES;
      if ((this.#get(structure) & 0xff) === STRUCTURE_OWNED)
        this.#clear(this.#get(HEADER_FRAMES_AT) + (entry & ENTRY_FRAME) * PAGE_BYTES, PAGE_BYTES);
    }
    // Laid out at the first start; what was laid out for a start that was undone is all free.
    if (state === PARTITION_FREE) this.#clear(tables + pages * 8, mapBytes(pages));
  }

  /** The sequences of TCEs, as the generations of entries. */
  #leaveTces(lpid: number): void {
    const end = this.#rig.word(HEADER_TABLES_AT) + lpid * this.#rig.word(HEADER_TABLE_BYTES);
    const pages = this.#rig.word(HEADER_SPACE_PAGES + SPACE_DMA * 4);
    for (let page = 0; page < pages; page++) {
      const at = end - (pages - page) * TCE_BYTES;
      this.#set(at + TCE_WORD, this.#get(at + TCE_WORD) & ~(-1 << TCE_SEQUENCE_SHIFT));
      this.#set(at + TCE_PANE, this.#get(at + TCE_PANE) & TCE_SLOT_MASK);
    }
  }

  /** Where the table of a space lies, whether it was laid out or not. */
  #tableOf(lpid: number, space: number): { tables: number; pages: number } {
    let tables = this.#rig.word(HEADER_TABLES_AT) + (lpid - 1) * this.#rig.word(HEADER_TABLE_BYTES);
    for (let before = 0; before < space; before++) {
      const pages = this.#rig.word(HEADER_SPACE_PAGES + before * 4);
      tables += pages * 8 + mapBytes(pages);
    }
    return { tables, pages: this.#rig.word(HEADER_SPACE_PAGES + space * 4) };
  }

  #leaveStructures(leave: Leave): void {
    for (let slot = 1; slot <= this.#get(HEADER_STRUCTURES_MAX); slot++) {
      const at = STRUCTURES_AT + slot * STRUCTURE_BYTES;
      const first = this.#get(at + STRUCTURE_STATE);
      if ((first >>> (STRUCTURE_FLAGS * 8)) & FLAG_DRAINING) this.#set(at + STRUCTURE_CURSOR, 0);
      if (((first >>> (STRUCTURE_FLAGS * 8)) & FLAG_ROOT) === 0) this.#set(at + STRUCTURE_AHEAD, 0);
      // A return notes the epoch, too, and so does an accept that is undone.
      if (EPOCH_STATES.includes(first & 0xff) && !((first >>> (STRUCTURE_FLAGS * 8)) & FLAG_ROOT))
        this.#set(at + STRUCTURE_CURSOR, 0);
      const isUsedUp = leave.started !== undefined && (first & 0xff) === STRUCTURE_RETIRED;
      if (isUsedUp || (first & 0xff) === STRUCTURE_FREE) this.#leaveFree(at, leave.started !== undefined);
      if (leave.started !== undefined && (first & 0xff) === STRUCTURE_OWNED) this.#set(at + 4, 0);
    }
    if (leave.started === undefined) return;
    // What was taken and given back is in the list, or used up; how many are in use is left.
    const unused = this.#get(HEADER_STRUCTURES_LISTED) + this.#get(HEADER_STRUCTURES_RETIRED);
    this.#set(HEADER_STRUCTURE_FRESH, this.#get(HEADER_STRUCTURE_FRESH) - unused);
    this.#set(HEADER_STRUCTURE_FREE, 0);
    this.#set(HEADER_STRUCTURES_LISTED, 0);
    this.#set(HEADER_STRUCTURES_RETIRED, 0);
  }

  /** Of a free structure count the generation and the link, unless the slot was taken meanwhile. */
  #leaveFree(at: number, wasTaken: boolean): void {
    const kept = wasTaken ? [] : [STRUCTURE_GENERATION, STRUCTURE_NEXT_HELD];
    const words = kept.map((offset) => [offset, this.#get(at + offset)] as const);
    this.#clear(at, STRUCTURE_BYTES);
    for (const [offset, word] of words) this.#set(at + offset, word);
  }

  #leavePins(): void {
    for (let slot = 1; slot <= this.#get(HEADER_PINS_MAX); slot++) {
      const at = this.#get(HEADER_PINS_AT) + slot * PIN_BYTES;
      if (this.#get(at + PIN_LPID) === 0) this.#clear(at, PIN_BYTES);
      else this.#set(at + PIN_GENERATION, 0);
    }
  }

  /** Scratch of audit(). */
  #leaveEnds(): void {
    for (let slot = 1; slot <= this.#get(HEADER_ENDS_MAX); slot++)
      this.#clear(this.#get(HEADER_ENDS_AT) + slot * END_BYTES + END_AUDIT_USED, 8);
  }

  isEqual(other: State): boolean {
    return Buffer.compare(this.bytes, other.bytes) === 0;
  }

  /** The first bytes that differ, as regions of the table name them; "" if none does. */
  difference(other: State): string {
    if (this.isEqual(other)) return "";
    const found: string[] = [];
    for (let offset = 0; offset < this.bytes.length && found.length < 4; offset += 4) {
      if (this.#get(offset) === other.#get(offset)) continue;
      found.push(`${placeName(this.#rig, offset)}: ${this.#get(offset)}, not ${other.#get(offset)}`);
    }
    return found.join("; ");
  }

  copy(): State {
    const copy = new State(this.#rig);
    copy.bytes.set(this.bytes);
    return copy;
  }
}
