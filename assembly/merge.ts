/**
 * Merging equal pages (the transparent sharing of Disco): pages with the same content come to stand on one frame, and a write
 * to any of them splits it off again (cow.ts).
 *
 * Pages that can be merged: private ones of copy-on-write grants, and a partition's own where nothing of the resource is granted, so
 * that no other mapping of them must follow. Not those under views, and not rings of queues, which the core writes itself.
 *
 * Who finds equal pages looks at digests first, without any lock: what counts is the comparison, which is made while nobody can
 * write.
 *
 *     hold      both entries (noted)                          as a page that moves: nobody begins to use them
 *     wait      for older uses, a bounded time                else both are let go, by undoing
 *     compare   4096 bytes                                    else the same
 *     switch    the first to copy on write; the second to the first's frame, one more reference
 *     commit    then a job lets the second one go, and zeroes and frees the frame that it left, unless others stand on it
 */
import {
  ENTRY_FRAME,
  ENTRY_PRIVATE,
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  FRAME_SHARES_LIMIT,
  H_LONG_BUSY_10_MSEC,
  H_NOT_FOUND,
  H_PARAMETER,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_FRAMES_FREE,
  HEADER_MERGES,
  JOB_MIGRATE,
  JOB_SPLIT,
  PAGE_BYTES,
  SPACE_MEMORY,
  STRUCTURE_OWNED,
  STRUCTURE_SHARED,
} from "../src/layout";
import { childOf, isRevoking, stateOf, structureAt } from "./control";
import { decodeInteger, decodePages } from "./decode";
import { framePins, frameShares, shareFrame, unshareFrame } from "./frame";
import { settle } from "./job";
import { abandonJob, beginJob, THREAD, undo } from "./log";
import { addHeader, frameAt, header, inStaging, isAlone, NONE, setHeader, setResult } from "./memory";
import {
  backOf,
  COPY_RIGHTS,
  entryOf,
  holdOwnEntry,
  isPrivate,
  setNewEntry,
  setOwnEntry,
  spaceAt,
  spacePages,
} from "./page";
import { decodePartition, isRunning, lpidOf } from "./partition";
import { holdsQueue } from "./queue";
import { awaitUses } from "./thread";

/** Whether a page is one that may be merged, as far as its entry and its resource tell. */
function mayMerge(at: usize, page: u32): bool {
  const entry = entryOf(at, page);
  if ((entry & (ENTRY_VALID | ENTRY_READ | ENTRY_RESCINDED)) != (ENTRY_VALID | ENTRY_READ)) return false;
  const structure = structureAt(backOf(at, page));
  if (stateOf(structure) == STRUCTURE_OWNED) return childOf(structure) == 0;
  return stateOf(structure) == STRUCTURE_SHARED && isPrivate(entry);
}

function isMergeable(partition: usize, at: usize, page: u32): bool {
  if (!mayMerge(at, page) || isRevoking(structureAt(backOf(at, page)))) return false;
  if (framePins(entryOf(at, page) & ENTRY_FRAME) != 0) return false;
  return isPrivate(entryOf(at, page)) || !holdsQueue(partition, page, 1);
}

/** Whether two pages hold the same bytes. */
function areEqual(a: usize, b: usize): bool {
  let difference: u64 = 0;
  for (let offset: usize = 0; offset < usize(PAGE_BYTES) && difference == 0; offset += 64) {
    difference =
      (load<u64>(a + offset) ^ load<u64>(b + offset)) |
      (load<u64>(a + offset, 8) ^ load<u64>(b + offset, 8)) |
      (load<u64>(a + offset, 16) ^ load<u64>(b + offset, 16)) |
      (load<u64>(a + offset, 24) ^ load<u64>(b + offset, 24)) |
      (load<u64>(a + offset, 32) ^ load<u64>(b + offset, 32)) |
      (load<u64>(a + offset, 40) ^ load<u64>(b + offset, 40)) |
      (load<u64>(a + offset, 48) ^ load<u64>(b + offset, 48)) |
      (load<u64>(a + offset, 56) ^ load<u64>(b + offset, 56));
  }
  return difference == 0;
}

/** What the entry of a page becomes that stands on a frame as others may. */
function sharedEntry(at: usize, page: u32, frame: u32): u32 {
  return COPY_RIGHTS | (entryOf(at, page) & ENTRY_PRIVATE) | frame;
}

/** The second page comes to stand on the first one's frame. */
function mergeInto(first: usize, firstPage: u32, partition: usize, page: u32): i32 {
  const at = spaceAt(partition, SPACE_MEMORY);
  const frame = entryOf(first, firstPage) & ENTRY_FRAME;
  const old = entryOf(at, page) & ENTRY_FRAME;
  // Nobody waits for pages that differ already.
  if (!areEqual(frameAt(frame), frameAt(old))) return H_NOT_FOUND;
  const isLast = frameShares(old) == 0;
  // Ends after the commit, and lets the second page go; the first kind if this is the page by which the frame would be lost.
  if (isLast) beginJob(JOB_MIGRATE, old, lpidOf(partition), frame, page, 1);
  else beginJob(JOB_SPLIT, 0, lpidOf(partition), frame, page, 1);
  holdOwnEntry(first, firstPage);
  holdOwnEntry(at, page);
  const isQuiet = isAlone() || awaitUses() == NONE;
  if (!isQuiet || !areEqual(frameAt(frame), frameAt(old))) {
    undo(THREAD);
    abandonJob();
    return isQuiet ? H_NOT_FOUND : H_LONG_BUSY_10_MSEC;
  }
  setOwnEntry(first, firstPage, sharedEntry(first, firstPage, frame));
  setNewEntry(at, page, sharedEntry(at, page, frame));
  shareFrame(frame);
  if (isLast) addHeader(HEADER_FRAMES_FREE, 1);
  else unshareFrame(old);
  if (header(HEADER_MERGES) != NONE) setHeader(HEADER_MERGES, header(HEADER_MERGES) + 1);
  settle();
  return H_SUCCESS;
}

/**
 * Lets two equal pages stand on one frame: the second joins the first one's, so that one pass over all pages finds them all. R4: 1
 * if it has moved, 0 if they stood on one already. H_NOT_FOUND: they are not equal. H_RESOURCE: one of them cannot be merged.
 * H_LongBusyOrder10msec: a thread goes on using one.
 */
export function mergePages(lpid: f64, address: f64, otherLpid: f64, otherAddress: f64): i32 {
  const partition = decodePartition(lpid);
  const other = decodePartition(otherLpid);
  if (partition == 0 || other == 0) return H_PARAMETER;
  if (!isRunning(partition) || !isRunning(other)) return H_RESCINDED;
  const page = decodePages(address);
  const otherPage = decodePages(otherAddress);
  const at = spaceAt(partition, SPACE_MEMORY);
  const otherAt = spaceAt(other, SPACE_MEMORY);
  if (page >= spacePages(at) || otherPage >= spacePages(otherAt)) return H_PARAMETER;
  if (!isMergeable(partition, at, page) || !isMergeable(other, otherAt, otherPage)) return H_RESOURCE;
  const frame = entryOf(at, page) & ENTRY_FRAME;
  const otherFrame = entryOf(otherAt, otherPage) & ENTRY_FRAME;
  setResult(0);
  if (frame == otherFrame) return H_SUCCESS;
  if (frameShares(frame) == u32(FRAME_SHARES_LIMIT)) return H_RESOURCE;
  const status = mergeInto(at, page, other, otherPage);
  if (status == H_SUCCESS) setResult(1);
  return status;
}

/** Odd numbers without a pattern: the binary digits of irrational ones. In halves: the other compiler has no such integers. */
const MIX_A: u64 = ((<u64>0x9e3779b9) << 32) | 0x7f4a7c15;
const MIX_B: u64 = ((<u64>0xc2b2ae3d) << 32) | 0x27d4eb4f;

/** 53 bits that equal pages have in common, never 0. Four chains, so that no multiplication waits for the one before. */
function digest(at: usize): f64 {
  let a: u64 = 1;
  let b: u64 = 2;
  let c: u64 = 3;
  let d: u64 = 4;
  for (let offset: usize = 0; offset < usize(PAGE_BYTES); offset += 32) {
    a = (rotl<u64>(a, 29) ^ load<u64>(at + offset)) * MIX_A;
    b = (rotl<u64>(b, 29) ^ load<u64>(at + offset, 8)) * MIX_A;
    c = (rotl<u64>(c, 29) ^ load<u64>(at + offset, 16)) * MIX_A;
    d = (rotl<u64>(d, 29) ^ load<u64>(at + offset, 24)) * MIX_A;
  }
  let mixed = a ^ rotl<u64>(b, 17) ^ rotl<u64>(c, 31) ^ rotl<u64>(d, 47);
  mixed = (mixed ^ (mixed >> 32)) * MIX_B;
  return f64((mixed >> 11) | 1);
}

/**
 * Digests of the pages from `from` on, at most `count` of them, as f64 in staging; 0 for a page that cannot be merged. R4: how many
 * were written, fewer only at the end of the space. Takes no lock and is no use: what it reads may change at any time.
 */
export function digestPages(lpid: f64, from: f64, count: f64, at: f64): i32 {
  const partition = decodePartition(lpid);
  const page = decodeInteger(from);
  const most = decodeInteger(count);
  const staging = decodeInteger(at);
  if (partition == 0 || page == NONE || most == NONE) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  if (staging == NONE || !inStaging(staging, (<u64>most) << 3)) return H_PARAMETER;
  const space = spaceAt(partition, SPACE_MEMORY);
  const pages = spacePages(space);
  const done: u32 = page >= pages ? 0 : min(most, pages - page);
  for (let i: u32 = 0; i < done; i++) {
    const frame = entryOf(space, page + i) & ENTRY_FRAME;
    const value = mayMerge(space, page + i) ? digest(frameAt(frame)) : 0;
    store<f64>(<usize>staging + ((<usize>i) << 3), value);
  }
  setResult(f64(done));
  return H_SUCCESS;
}
