/**
 * The header: what was fixed at creation, and the table-wide counters.
 *
 *     0        64            128
 *     | limits | region bases | counters    | received queue entry ... 512
 *
 * All state lives in the memory; the offsets of the regions are written once by whoever created it (src/regions.ts).
 * Order of the regions: header, structures, threads, partitions, ends, pins, page tables, arenas, events, frame map, frame pins,
 * audit scratch, staging map, staging owners, staging, frames.
 */
import {
  END_BYTES,
  FRAMES_LIMIT,
  HEADER_BUDGET,
  HEADER_BYTES,
  HEADER_FRAMES_AT,
  HEADER_FRAMES_MAX,
  HEADER_MAGIC,
  HEADER_STAGING_AT,
  HEADER_STAGING_PAGES,
  HEADER_THREADS_USED,
  HEADER_TORN_DOWN,
  HEADER_VERSION,
  LAYOUT_MAGIC,
  LAYOUT_VERSION,
  PAGE_BYTES,
  PARTITION_SPACES,
  PARTITION_TELLING,
  SPACE_BYTES,
  SPACE_COUNT,
  STRUCTURE_BYTES,
  STRUCTURES_AT,
  THREAD_RESULT,
  THREAD_TRAY,
  THREAD_TRAY_BYTES,
} from "../src/layout";
import { put, THREAD } from "./log";

if (STRUCTURE_BYTES != 64 || END_BYTES != 64) ERROR("a record is one cache line");
if (PARTITION_SPACES + SPACE_COUNT * SPACE_BYTES > PARTITION_TELLING)
  ERROR("the spaces do not fit the partition record");
if (HEADER_TORN_DOWN + 4 > HEADER_BYTES) ERROR("the header overflows");
if (STRUCTURES_AT != HEADER_BYTES) ERROR("structures lie right behind it");
if (FRAMES_LIMIT != 0x100000 || PAGE_BYTES != 0x1000)
  ERROR("frames are numbered by what a 32-bit memory can hold");

/** No such index, page or count. */
export const NONE: u32 = 0xffffffff;

export function header(offset: usize): u32 {
  return load<u32>(offset);
}

export function setHeader(offset: usize, value: u32): void {
  put(offset, value);
}

export function addHeader(offset: usize, delta: i32): void {
  put(offset, load<u32>(offset) + delta);
}

/** Leaves the second result of a call (register R4) where JavaScript reads it. */
export function setResult(value: f64): void {
  store<f64>(THREAD, value, THREAD_RESULT);
}

export function resultOf(): f64 {
  return load<f64>(THREAD, THREAD_RESULT);
}

/** 0 where no other thread has ever joined. */
export function threadsBesides(): u32 {
  return load<u32>(HEADER_THREADS_USED) - 1;
}

/** Whether no other thread has ever joined: then nobody can hold a lock, and only this thread can let somebody join. */
export function isAlone(): bool {
  return threadsBesides() == 0;
}

export function budget(): u32 {
  return load<u32>(HEADER_BUDGET);
}

export function frameAt(frame: u32): usize {
  return <usize>load<u32>(HEADER_FRAMES_AT) + <usize>frame * PAGE_BYTES;
}

/** Whether `bytes` bytes at `offset` lie in staging and are aligned to 8: batches live nowhere else. */
export function inStaging(offset: u32, bytes: u64): bool {
  return (offset & 7) == 0 && stagingHolds(offset, bytes);
}

/** Whether `bytes` bytes at `offset` lie in staging, however aligned. */
export function stagingHolds(offset: u32, bytes: u64): bool {
  // What lies before it is further from its beginning, modulo 2^32, than a memory can be long behind that.
  const beyond = <u64>(offset - load<u32>(HEADER_STAGING_AT));
  return beyond + bytes <= <u64>load<u32>(HEADER_STAGING_PAGES) * PAGE_BYTES;
}

/** Whether `bytes` bytes at `offset` lie in the tray of this thread. */
export function trayHolds(offset: u32, bytes: u64): bool {
  return <u64>(offset - <u32>THREAD - THREAD_TRAY) + bytes <= u64(THREAD_TRAY_BYTES);
}

/** Whether this memory was laid out by a creator that agrees with this core. */
export function recognised(): bool {
  return (
    load<u32>(HEADER_MAGIC) == LAYOUT_MAGIC &&
    load<u32>(HEADER_VERSION) == LAYOUT_VERSION &&
    load<u32>(HEADER_FRAMES_MAX) <= u32(FRAMES_LIMIT)
  );
}
