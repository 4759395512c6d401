/**
 * Allocation of a partition's own memory, whole pages, lowest first, never across two LMBs.
 *
 * Two maps per partition: the free pages, and a flat one of the last page of each allocation, which is how free()
 * knows the length. Allocation is a service to the partition: what it grants is not looked at, but for what it donates. An
 * LMB that is on offer is passed over; one that is gone stays taken, by no allocation.
 */
import {
  ENTRY_FRAME,
  FLAG_DONATED,
  H_NO_MEM,
  H_PARAMETER,
  H_RESCINDED,
  H_SUCCESS,
  HEADER_ARENA_BYTES,
  HEADER_ARENAS_AT,
  HEADER_FRAMES_MAX,
  JOB_ARENA,
  PAGE_BYTES,
  PARTITION_ARENA_ENDS,
  PARTITION_ARENA_MAP,
  PARTITION_LMB_PAGES,
  PARTITION_MEMORY_PAGES,
  SPACE_MEMORY,
  STRUCTURE_OWNED,
} from "../src/layout";
import {
  mapBits,
  mapBytes,
  mapClear,
  mapFill,
  mapIsFree,
  mapLowest,
  mapNext,
  mapRunEnd,
  runMask,
} from "./bitmap";
import { childOf, hasFlag, nextOf, pageCountOf, sourcePageOf, stateOf, structureAt } from "./control";
import { decodePages } from "./decode";
import { framePins } from "./frame";
import { beginJob, endJob } from "./log";
import { header, NONE, setResult } from "./memory";
import { GRANTS_SEEN } from "./own";
import { backOf, entryOf, spaceAt } from "./page";
import { decodePartition, isRunning, lpidOf, partitionWord, setPartitionWord } from "./partition";
import { holdsQueue } from "./queue";

function isLast(ends: usize, page: u32): bool {
  return ((load<u8>(ends + <usize>(page >> 3)) >> <u8>(page & 7)) & 1) != 0;
}

/** Makes a page the last one of an allocation; part of a job. */
function setLast(ends: usize, page: u32, isSet: bool): void {
  const at = ends + <usize>(page >> 3);
  const bit: u8 = (<u8>1) << (<u8>(page & 7));
  store<u8>(at, isSet ? load<u8>(at) | bit : load<u8>(at) & ~bit);
}

/** Everything free, for a partition that starts. Without the log: a start that stopped half-way begins anew. */
export function openArena(partition: usize): void {
  const bits = header(HEADER_FRAMES_MAX);
  const map = <usize>header(HEADER_ARENAS_AT) + <usize>(lpidOf(partition) - 1) * header(HEADER_ARENA_BYTES);
  const ends = map + mapBytes(bits);
  setPartitionWord(partition, PARTITION_ARENA_MAP, <u32>map);
  setPartitionWord(partition, PARTITION_ARENA_ENDS, <u32>ends);
  mapClear(map, bits);
  memory.fill(ends, 0, map + header(HEADER_ARENA_BYTES) - ends);
  mapFill(map, bits, 0, partitionWord(partition, PARTITION_MEMORY_PAGES), true);
}

/** Gives a run back, or what of it was taken; part of a job. */
export function freeArena(partition: usize, page: u32, count: u32): void {
  setLast(<usize>partitionWord(partition, PARTITION_ARENA_ENDS), page + count - 1, false);
  mapFill(<usize>partitionWord(partition, PARTITION_ARENA_MAP), header(HEADER_FRAMES_MAX), page, count, true);
}

/** Nobody is given these pages any more: they belong to another partition. Part of a job. */
export function forgetArena(partition: usize, page: u32, count: u32): void {
  const own = partitionWord(partition, PARTITION_MEMORY_PAGES);
  if (page >= own) return; // it was donated to this partition
  const known = min(count, own - page);
  const map = <usize>partitionWord(partition, PARTITION_ARENA_MAP);
  const ends = <usize>partitionWord(partition, PARTITION_ARENA_ENDS);
  mapFill(map, header(HEADER_FRAMES_MAX), page, known, false);
  for (let i: u32 = 0; i < known; i++) setLast(ends, page + i, false);
}

/** The elemental resource that a page of the arena is in. */
function lmbOf(partition: usize, page: u32): usize {
  return structureAt(backOf(spaceAt(partition, SPACE_MEMORY), page));
}

/** Whether the LMB is offered to another partition as a donation: that is its only grant. */
function isOnOffer(lmb: usize): bool {
  return childOf(lmb) != 0 && hasFlag(structureAt(childOf(lmb)), FLAG_DONATED);
}

/**
 * For audit(): whether a page of a running partition's own memory is free, or of an allocation whose end is known; in an LMB that
 * is gone it is taken by none.
 */
export function isSoundPage(partition: usize, page: u32): bool {
  const map = <usize>partitionWord(partition, PARTITION_ARENA_MAP);
  const isEnd = isLast(<usize>partitionWord(partition, PARTITION_ARENA_ENDS), page);
  const lmb = lmbOf(partition, page);
  const isGone = stateOf(lmb) != STRUCTURE_OWNED || hasFlag(lmb, FLAG_DONATED);
  if (isGone || mapIsFree(map, page)) return !isEnd && !(isGone && mapIsFree(map, page));
  if (isEnd) return true;
  const next = page + 1;
  const isIn = next % partitionWord(partition, PARTITION_LMB_PAGES) != 0;
  return isIn && next < partitionWord(partition, PARTITION_MEMORY_PAGES) && !mapIsFree(map, next);
}

/** Takes so many bytes, rounded up to pages. R4: the logical address. */
export function allocate(lpid: f64, length: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const count = decodePages(ceil(length * (1.0 / PAGE_BYTES)) * PAGE_BYTES);
  if (count == NONE || count == 0 || floor(length) != length) return H_PARAMETER;
  const bits = header(HEADER_FRAMES_MAX);
  const map = <usize>partitionWord(partition, PARTITION_ARENA_MAP);
  const lmbPages = partitionWord(partition, PARTITION_LMB_PAGES);
  if (count > lmbPages) return H_NO_MEM;
  let page = mapLowest(map, bits);
  while (page != NONE) {
    const border = page - (page % lmbPages) + lmbPages;
    const isOffered = isOnOffer(lmbOf(partition, page));
    const end = isOffered ? border : mapRunEnd(map, bits, page, min(count, border - page));
    if (end - page == count && !isOffered) break;
    page = mapNext(map, bits, end);
  }
  if (page == NONE) return H_NO_MEM;
  take(partition, page, count);
  return H_SUCCESS;
}

/** R4: the logical address. */
function take(partition: usize, page: u32, count: u32): void {
  beginJob(JOB_ARENA, 0, lpidOf(partition), 0, page, count);
  mapFill(
    <usize>partitionWord(partition, PARTITION_ARENA_MAP),
    header(HEADER_FRAMES_MAX),
    page,
    count,
    false,
  );
  setLast(<usize>partitionWord(partition, PARTITION_ARENA_ENDS), page + count - 1, true);
  endJob();
  setResult(f64(page) * PAGE_BYTES);
}

/**
 * Takes one page for a queue, which is zeroed and which nobody else may write to. The highest, since who uses addresses without
 * allocate() begins at 0, and one without grants, views or queues. R4: the logical address.
 */
export function allocateQueue(lpid: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const page = highestUnused(partition);
  if (page == NONE) return H_NO_MEM;
  take(partition, page, 1);
  return H_SUCCESS;
}

/** The highest free page of which nobody has anything, or NONE; up to 64 at a time, which are of one LMB and one word of the map. */
function highestUnused(partition: usize): u32 {
  const at = spaceAt(partition, SPACE_MEMORY);
  const map = <usize>partitionWord(partition, PARTITION_ARENA_MAP);
  let end = partitionWord(partition, PARTITION_MEMORY_PAGES);
  let left = GRANTS_SEEN;
  while (end != 0) {
    const last = end - 1;
    const first = max(last & ~63, last - (last % partitionWord(partition, PARTITION_LMB_PAGES)));
    let free = mapBits(map, first, end - first);
    let below = first;
    let slot = free == 0 ? 0 : childOf(lmbOf(partition, first));
    while (slot != 0 && free != 0) {
      if (left-- == 0) return NONE;
      const grant = structureAt(slot);
      const from = sourcePageOf(grant);
      const to = min(from + pageCountOf(grant), end);
      if (from < end && to > first) {
        free &= ~runMask(max(from, first) - first, to - max(from, first));
        below = min(below, from);
      }
      slot = nextOf(grant);
    }
    while (free != 0) {
      const page = first + 63 - <u32>clz(free);
      if (framePins(entryOf(at, page) & ENTRY_FRAME) == 0 && !holdsQueue(partition, page, 1)) return page;
      free &= ~((<u64>1) << (page - first));
    }
    end = below;
  }
  return NONE;
}

/** Gives back what `allocate` gave; only its start will do. */
export function deallocate(lpid: f64, address: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const page = decodePages(address);
  if (page >= partitionWord(partition, PARTITION_MEMORY_PAGES)) return H_PARAMETER;
  // What was donated away, or received, is no part of the arena.
  const lmb = lmbOf(partition, page);
  if (stateOf(lmb) != STRUCTURE_OWNED || hasFlag(lmb, FLAG_DONATED)) return H_PARAMETER;
  const map = <usize>partitionWord(partition, PARTITION_ARENA_MAP);
  const ends = <usize>partitionWord(partition, PARTITION_ARENA_ENDS);
  const isFirst = page % partitionWord(partition, PARTITION_LMB_PAGES) == 0;
  const isStart = isFirst || mapIsFree(map, page - 1) || isLast(ends, page - 1);
  if (!isStart || mapIsFree(map, page)) return H_PARAMETER;
  let last = page;
  while (!isLast(ends, last)) last++;
  beginJob(JOB_ARENA, 0, lpidOf(partition), 0, page, last - page + 1);
  return H_SUCCESS;
}
