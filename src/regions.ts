/**
 * Where everything lies in a table's memory. Written once into the header at creation; the core only reads it.
 */
import {
  END_BYTES,
  ENDS_LIMIT,
  EVENT_BYTES,
  HEADER_ARENA_BYTES,
  HEADER_ARENAS_AT,
  HEADER_AUDIT_AT,
  HEADER_END_AT,
  HEADER_ENDS_AT,
  HEADER_ENDS_MAX,
  HEADER_ENDS_OWNED_MAX,
  HEADER_EVENTS_AT,
  HEADER_EVENTS_MAX,
  HEADER_FRAME_MAP_AT,
  HEADER_FRAME_PINS_AT,
  HEADER_FRAMES_AT,
  HEADER_FRAMES_MAX,
  HEADER_LINES_AT,
  HEADER_LINES_BYTES,
  HEADER_MAGIC,
  HEADER_PARTITIONS_AT,
  HEADER_PARTITIONS_MAX,
  HEADER_PINS_AT,
  HEADER_PINS_MAX,
  HEADER_SPACE_PAGES,
  HEADER_STAGING_AT,
  HEADER_STAGING_MAP_AT,
  HEADER_STAGING_OWNERS_AT,
  HEADER_STAGING_PAGES,
  HEADER_STRUCTURES_MAX,
  HEADER_TABLE_BYTES,
  HEADER_TABLES_AT,
  HEADER_THREADS_AT,
  HEADER_THREADS_MAX,
  HEADER_VERSION,
  LAYOUT_MAGIC,
  LAYOUT_VERSION,
  LINE_RECORD_BYTES,
  PAGE_BYTES,
  PARTITION_BYTES,
  PIN_BYTES,
  PROBLEM_BYTES,
  PROBLEMS_MAX,
  SPACE_COUNT,
  SPACE_DMA,
  SPACE_INTERRUPT,
  SPACE_IPI,
  STRUCTURE_BYTES,
  STRUCTURES_AT,
  TCE_BYTES,
  THREAD_BYTES,
} from "./layout.js";

/** What a table is sized for, all in whole units. */
export interface Capacities {
  readonly frames: number;
  readonly partitions: number;
  /** Threads that can change the table at once, the owner among them. */
  readonly threads: number;
  readonly structures: number;
  /** Ends of adapters that partitions have; half as many again may wait for what their partners have not returned. */
  readonly ends: number;
  readonly pins: number;
  readonly stagingPages: number;
  /** Pages (or numbers) of each logical space of each partition, in the order of the spaces. */
  readonly spacePages: readonly number[];
}

/** A header word and its value. */
export type HeaderWord = readonly [offset: number, value: number];

/** Bytes of a free map for so many places: four levels of 64-bit words (assembly/bitmap.ts). */
export function mapBytes(places: number): number {
  let words = 1;
  for (const bits of [6, 12, 18]) words += Math.ceil(places / 2 ** bits);
  return words * 8;
}

/** Entries of one event ring: at least two notices for each possible partner, beside as much for the rest. */
function eventEntries(partitions: number): number {
  let entries = 256;
  while (entries < partitions * 2) entries *= 2;
  return entries;
}

/**
 * Lays the regions out one after the other, each on a cache line, the frames on a page.
 * @returns the header's words, and the bytes that the whole table takes.
 */
export function layOut(capacities: Capacities): { words: HeaderWord[]; bytes: number } {
  const { frames, partitions, threads, structures, ends, pins, stagingPages, spacePages } = capacities;
  const endSlots = Math.min(ends + Math.ceil(ends / 2), ENDS_LIMIT - 1);
  const tceBytes = (spacePages[SPACE_DMA] ?? 0) * TCE_BYTES;
  const tableBytes = spacePages.reduce((sum, pages) => sum + pages * 8 + mapBytes(pages), tceBytes);
  const events = eventEntries(partitions);
  // One for each interrupt and port number, and the one before them that begins the queue.
  const lines = 1 + (spacePages[SPACE_INTERRUPT] ?? 0) + (spacePages[SPACE_IPI] ?? 0);
  const linesBytes = Math.ceil((lines * LINE_RECORD_BYTES) / 64) * 64;
  const arenaBytes = mapBytes(frames) + Math.ceil(frames / 64) * 8;
  const words: HeaderWord[] = [
    [HEADER_MAGIC, LAYOUT_MAGIC],
    [HEADER_VERSION, LAYOUT_VERSION],
    [HEADER_PARTITIONS_MAX, partitions],
    [HEADER_THREADS_MAX, threads],
    [HEADER_STRUCTURES_MAX, structures],
    [HEADER_ENDS_MAX, endSlots],
    [HEADER_ENDS_OWNED_MAX, ends],
    [HEADER_FRAMES_MAX, frames],
    [HEADER_STAGING_PAGES, stagingPages],
    [HEADER_EVENTS_MAX, events],
    [HEADER_PINS_MAX, pins],
    [HEADER_TABLE_BYTES, tableBytes],
    [HEADER_ARENA_BYTES, arenaBytes],
    [HEADER_LINES_BYTES, linesBytes],
  ];
  for (let space = 0; space < SPACE_COUNT; space++) {
    words.push([HEADER_SPACE_PAGES + space * 4, spacePages[space] ?? 0]);
  }
  let at = STRUCTURES_AT + (structures + 1) * STRUCTURE_BYTES;
  const place = (word: number, bytes: number, alignment = 64): void => {
    at = Math.ceil(at / alignment) * alignment;
    words.push([word, at]);
    at += bytes;
  };
  place(HEADER_THREADS_AT, threads * THREAD_BYTES);
  place(HEADER_PARTITIONS_AT, (partitions + 1) * PARTITION_BYTES);
  place(HEADER_ENDS_AT, (endSlots + 1) * END_BYTES);
  place(HEADER_PINS_AT, (pins + 1) * PIN_BYTES);
  place(HEADER_TABLES_AT, partitions * tableBytes);
  place(HEADER_ARENAS_AT, partitions * arenaBytes);
  place(HEADER_EVENTS_AT, partitions * events * EVENT_BYTES);
  place(HEADER_LINES_AT, partitions * linesBytes);
  place(HEADER_FRAME_MAP_AT, mapBytes(frames));
  place(HEADER_FRAME_PINS_AT, frames * 4);
  place(HEADER_AUDIT_AT, PROBLEMS_MAX * PROBLEM_BYTES + Math.ceil(frames / 64) * 8);
  place(HEADER_STAGING_MAP_AT, mapBytes(stagingPages));
  place(HEADER_STAGING_OWNERS_AT, stagingPages * 4);
  place(HEADER_STAGING_AT, stagingPages * PAGE_BYTES, PAGE_BYTES);
  place(HEADER_FRAMES_AT, frames * PAGE_BYTES, PAGE_BYTES);
  words.push([HEADER_END_AT, at]);
  return { words, bytes: at };
}
