/**
 * What a partition is made of: its memory in LMBs, its other elemental resources, its adapters. Only the manager calls
 * these; a partition that starts again gets the same from its description (FA8).
 */
import {
  END_PARTNER,
  ENTRY_READ,
  ENTRY_VALID,
  ENTRY_WRITE,
  EVENT_BYTES,
  FRAMES_LIMIT,
  H_NO_MEM,
  H_PARAMETER,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_EVENTS_AT,
  HEADER_EVENTS_MAX,
  HEADER_FRAMES_FREE,
  HEADER_LPIDS_USED,
  HEADER_PARTITIONS_MAX,
  HEADER_PARTITIONS_USED,
  HEADER_STRUCTURES_MAX,
  HEADER_TABLE_BYTES,
  HEADER_TABLES_AT,
  JOB_ELEMENTAL,
  PARTITION_DEFERRED,
  PARTITION_DRAIN,
  PARTITION_EVENT_RING,
  PARTITION_FREE,
  PARTITION_INCARNATION,
  PARTITION_LMB_PAGES,
  PARTITION_MEMORY_PAGES,
  PARTITION_PAGES_OWNED,
  PARTITION_RECOVERING,
  PARTITION_SERIAL,
  PARTITION_STATE,
  PARTITION_STOPPED,
  SPACE_DMA,
  SPACE_MEMORY,
  START_CREATED,
  STRUCTURE_OWNED,
  THREAD_STARTING,
} from "../src/layout";
import { areEndsLeft, endSlotOf, orphanOf, setEndWord, takeEnd, unitAddressOf } from "./adapter";
import { openArena } from "./arena";
import { describeRange, linkHeld, slotOf } from "./control";
import { decodeInteger, decodeType, decodeUnits, isPaged, NO_SPACE } from "./decode";
import { fillFrames, framesFree, lowestFrames, lowestRunLength } from "./frame";
import { beginJob, commit, endJob, put, THREAD } from "./log";
import { addHeader, header, NONE, setHeader, setResult } from "./memory";
import { isFreeRun, mapFrames, openSpaces, spaceAt, spacePages, takePages } from "./page";
import {
  addPartitionWord,
  beginToRun,
  decodePartition,
  isRunning,
  lpidOf,
  partitionAt,
  partitionWord,
  setPartitionWord,
} from "./partition";
import { hasStructures, takeStructure } from "./slot";

const ALL_RIGHTS: u32 = ENTRY_VALID | ENTRY_READ | ENTRY_WRITE;

/**
 * An elemental resource of `partition`; that a structure is free and the pages are was checked. Its entries are being
 * written from now on: a job, which the caller ends.
 */
function takeElemental(partition: usize, space: u32, page: u32, count: u32, liobn: u32): void {
  const structure = takeStructure(STRUCTURE_OWNED, space, 0, lpidOf(partition));
  describeRange(structure, 0, page, count, liobn);
  linkHeld(partition, structure);
  beginJob(JOB_ELEMENTAL, slotOf(structure), lpidOf(partition), space, page, count);
  takePages(spaceAt(partition, space), page, count, slotOf(structure));
}

/** As takeElemental(), with entries that name consecutive physical numbers; all of it happens here. */
function takeNumbered(partition: usize, space: u32, page: u32, count: u32, liobn: u32, physical: u32): void {
  takeElemental(partition, space, page, count, liobn);
  mapFrames(spaceAt(partition, space), page, count, physical, ALL_RIGHTS);
  endJob();
  commit();
}

/** Maps an LMB to the lowest frames, in one run where there is one: a view can then cover all of it. */
function takeLmb(partition: usize, page: u32, count: u32): void {
  takeElemental(partition, SPACE_MEMORY, page, count, 0);
  const at = spaceAt(partition, SPACE_MEMORY);
  let done: u32 = 0;
  while (done < count) {
    let run = count - done;
    let frame = lowestFrames(run);
    if (frame == NONE) {
      run = lowestRunLength(run);
      frame = lowestFrames(run);
    }
    // In this order: whoever undoes this frees the frames that the entries name.
    mapFrames(at, page + done, run, frame, ALL_RIGHTS);
    fillFrames(frame, run, false);
    done += run;
  }
  addHeader(HEADER_FRAMES_FREE, -(<i32>count));
  addPartitionWord(partition, PARTITION_PAGES_OWNED, count);
  endJob();
  commit();
}

/**
 * Starts a partition on an unused or stopped record: a new incarnation. LMB by LMB, each a commit of its own: until the
 * last one the partition is in recovery, and whoever finds it so after a crash recovers it.
 */
function start(partition: usize, memoryPages: u32, lmbPages: u32, others: u32): i32 {
  const lpid = lpidOf(partition);
  const lmbs: u32 = memoryPages == 0 ? 0 : (memoryPages + lmbPages - 1) / lmbPages;
  if (memoryPages > framesFree() || !hasStructures(lmbs + others)) return H_NO_MEM;
  openSpaces(partition, <usize>header(HEADER_TABLES_AT) + <usize>(lpid - 1) * header(HEADER_TABLE_BYTES));
  const ring = <usize>header(HEADER_EVENTS_AT) + <usize>(lpid - 1) * header(HEADER_EVENTS_MAX) * EVENT_BYTES;
  setPartitionWord(partition, PARTITION_EVENT_RING, <u32>ring);
  setPartitionWord(partition, PARTITION_MEMORY_PAGES, memoryPages);
  setPartitionWord(partition, PARTITION_LMB_PAGES, lmbPages);
  addPartitionWord(partition, PARTITION_INCARNATION, 1);
  const isCreated = partitionWord(partition, PARTITION_STATE) == PARTITION_FREE;
  if (isCreated) addHeader(HEADER_PARTITIONS_USED, 1);
  if (lpid > header(HEADER_LPIDS_USED)) setHeader(HEADER_LPIDS_USED, lpid);
  setPartitionWord(partition, PARTITION_STATE, PARTITION_RECOVERING);
  setPartitionWord(partition, PARTITION_SERIAL, 0);
  setPartitionWord(partition, PARTITION_DRAIN, 0);
  setPartitionWord(partition, PARTITION_DEFERRED, 0);
  put(THREAD + THREAD_STARTING, isCreated ? lpid | START_CREATED : lpid);
  openArena(partition);
  commit();
  for (let page: u32 = 0; page < memoryPages; page += lmbPages) {
    takeLmb(partition, page, min(lmbPages, memoryPages - page));
  }
  beginToRun(partition);
  put(THREAD + THREAD_STARTING, 0);
  setResult(f64(lpid));
  return H_SUCCESS;
}

/** Makes a partition with `memoryPages` of memory in LMBs of `lmbPages`. R4: its lpid, the lowest free one. */
export function createPartition(memoryPages: f64, lmbPages: f64): i32 {
  const pages = decodeInteger(memoryPages);
  const lmb = decodeInteger(lmbPages);
  if (pages == NONE || lmb == NONE || lmb == 0 || lmb > u32(FRAMES_LIMIT)) return H_PARAMETER;
  for (let lpid: u32 = 1; lpid <= header(HEADER_PARTITIONS_MAX); lpid++) {
    const partition = partitionAt(lpid);
    if (partitionWord(partition, PARTITION_STATE) != PARTITION_FREE) continue;
    openSpaces(partition, <usize>header(HEADER_TABLES_AT) + <usize>(lpid - 1) * header(HEADER_TABLE_BYTES));
    if (pages > spacePages(spaceAt(partition, SPACE_MEMORY))) return H_PARAMETER;
    return start(partition, pages, lmb, 0);
  }
  return H_NO_MEM;
}

/**
 * Starts a stopped partition again (FA8): H_RESOURCE until its recovery is complete. `structures` are those that what will be
 * assigned to it needs: if there are not so many it does not start (G1).
 */
export function restartPartition(lpid: f64, structures: f64): i32 {
  const partition = decodePartition(lpid);
  const others = decodeInteger(structures);
  if (partition == 0 || others == NONE) return H_PARAMETER;
  if (partitionWord(partition, PARTITION_STATE) != PARTITION_STOPPED) return H_RESOURCE;
  if (others > header(HEADER_STRUCTURES_MAX)) return H_NO_MEM;
  return start(
    partition,
    partitionWord(partition, PARTITION_MEMORY_PAGES),
    partitionWord(partition, PARTITION_LMB_PAGES),
    others,
  );
}

/** Ends a stopped partition; its number may be used again, by a later incarnation. */
export function removePartition(lpid: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (partitionWord(partition, PARTITION_STATE) != PARTITION_STOPPED) return H_RESOURCE;
  setPartitionWord(partition, PARTITION_STATE, PARTITION_FREE);
  addHeader(HEADER_PARTITIONS_USED, -1);
  return H_SUCCESS;
}

/**
 * Gives a partition an elemental resource of another kind than memory (KI2 to KI5) at a free range of its space.
 * Physical pages of these kinds are numbers: nothing stands behind them yet.
 */
export function assignResource(
  lpid: f64,
  type: f64,
  address: f64,
  length: f64,
  physical: f64,
  liobn: f64,
): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const space = decodeType(decodeInteger(type));
  if (space == NO_SPACE || space == SPACE_MEMORY) return H_PARAMETER;
  const page = decodeUnits(space, address);
  const count = decodeUnits(space, length);
  const frame = decodeUnits(space, physical);
  const bus = decodeInteger(liobn);
  if (page == NONE || count == NONE || count == 0 || frame == NONE) return H_PARAMETER;
  if (bus == NONE || (space != SPACE_DMA && bus != 0)) return H_PARAMETER;
  const at = spaceAt(partition, space);
  if (<u64>page + count > <u64>spacePages(at) || <u64>frame + count > u64(FRAMES_LIMIT)) return H_PARAMETER;
  if (!isFreeRun(at, page, count)) return H_RESOURCE;
  if (!hasStructures(isPaged(space) ? 1 : count)) return H_NO_MEM;
  if (isPaged(space)) takeNumbered(partition, space, page, count, bus, frame);
  // Interrupt sources and ports are granted one by one, so each is a resource of its own.
  else for (let i: u32 = 0; i < count; i++) takeNumbered(partition, space, page + i, 1, 0, frame + i);
  return H_SUCCESS;
}

/** Joins two running partitions by an adapter (CQ1). R4: the unit address of the first one's end. */
export function connectPartitions(lpid: f64, partnerLpid: f64, quota: f64): i32 {
  const partition = decodePartition(lpid);
  const partner = decodePartition(partnerLpid);
  const structures = decodeInteger(quota);
  if (partition == 0 || partner == 0 || partition == partner) return H_PARAMETER;
  if (structures == NONE) return H_PARAMETER;
  if (!isRunning(partition) || !isRunning(partner)) return H_RESCINDED;
  const owing = orphanOf(lpidOf(partition), lpidOf(partner));
  const owed = orphanOf(lpidOf(partner), lpidOf(partition));
  if (!areEndsLeft(<u32>(owing != 0) + <u32>(owed != 0))) return H_NO_MEM;
  const near = takeEnd(partition, owing, structures);
  const far = takeEnd(partner, owed, structures);
  setEndWord(near, END_PARTNER, endSlotOf(far));
  setEndWord(far, END_PARTNER, endSlotOf(near));
  setResult(f64(unitAddressOf(near)));
  return H_SUCCESS;
}
