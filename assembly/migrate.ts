/**
 * Moving pages on request, for physical memory that is in pieces (the migration of the Disco monitor): a partition's own
 * range onto consecutive frames, or what it owns to lower frames. Like every move it leaves logical addresses, grants and
 * content as they are (move.ts). Pinned pages stay: a view names frames.
 */
import {
  ENTRY_FRAME,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_FRAMES_FREE,
  HEADER_MOVES,
  JOB_MIGRATE,
  SPACE_MEMORY,
  THREAD_WAITS_FOR,
} from "../src/layout";
import { mapRunEnd } from "./bitmap";
import { pageCountOf, pageOf, structureAt } from "./control";
import { splitPages } from "./cow";
import { decodeInteger, decodePages } from "./decode";
import { framePins, framesAreFree, lowestFrames, takeFrames } from "./frame";
import { settle } from "./job";
import { beginJob, THREAD } from "./log";
import { addHeader, NONE, setResult } from "./memory";
import { holdPages, MOVE_PAGES, switchPage } from "./move";
import { ownRun, owns } from "./own";
import {
  anyCopyOnWrite,
  backOf,
  consecutivePages,
  entryOf,
  isCopyOnWrite,
  spaceAt,
  spaceMap,
  spacePages,
} from "./page";
import { decodePartition, isRunning, lpidOf } from "./partition";

/**
 * Moves some of a partition's own pages, which stand on consecutive frames without pins, to free frames. False: a thread
 * goes on using them, nothing moved.
 */
function migrate(partition: usize, page: u32, frame: u32, count: u32): bool {
  const space = spaceAt(partition, SPACE_MEMORY);
  const root = structureAt(backOf(space, page));
  const old = entryOf(space, page) & ENTRY_FRAME;
  beginJob(JOB_MIGRATE, old, lpidOf(partition), frame, page, count);
  if (!holdPages(root, page, count)) return false;
  takeFrames(frame, count);
  // The old frames are free with the same commit, and zero before anybody else can look: by the job.
  addHeader(HEADER_FRAMES_FREE, count);
  addHeader(HEADER_MOVES, count);
  for (let i: u32 = 0; i < count; i++) switchPage(space, page + i, frame + i);
  settle();
  return true;
}

/** How many pages from `page` on, at most `most`, stand on consecutive frames of one resource; 0 if it is pinned or merged. */
function consecutive(space: usize, page: u32, most: u32): u32 {
  const structure = structureAt(backOf(space, page));
  const end = min(most, pageOf(structure) + pageCountOf(structure) - page);
  const first = entryOf(space, page) & ENTRY_FRAME;
  const run = consecutivePages(space, page, end);
  let count: u32 = 0;
  while (count < run && framePins(first + count) == 0 && !isCopyOnWrite(entryOf(space, page + count)))
    count++;
  return count;
}

function anyPinned(space: usize, page: u32, count: u32): bool {
  for (let i: u32 = 0; i < count; i++) {
    if (framePins(entryOf(space, page + i) & ENTRY_FRAME) != 0) return true;
  }
  return false;
}

/**
 * Puts a range of a partition's own memory onto consecutive frames, so that a view can span it. H_PARTIAL: call again.
 * H_PARAMETER: not a range of its own pages. H_RESOURCE: a view stands on it. H_NO_MEM: no run of frames is free; what was
 * merged has frames of its own by then. R4: how many pages moved. H_LongBusyOrder10msec: a thread goes on using them
 * (THREAD_WAITS_FOR); what moved has moved.
 */
export function gatherMemory(lpid: f64, address: f64, length: f64, budget: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const page = decodePages(address);
  const count = decodePages(length);
  let left = decodeInteger(budget);
  if (page == NONE || count == NONE || left == NONE || count == 0 || left == 0) return H_PARAMETER;
  if (!owns(partition, page, count)) return H_PARAMETER;
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  setResult(0);
  const space = spaceAt(partition, SPACE_MEMORY);
  if (anyPinned(space, page, count)) {
    const isWhole = consecutivePages(space, page, count) == count && !anyCopyOnWrite(space, page, count);
    return isWhole ? H_SUCCESS : H_RESOURCE;
  }
  const split = splitPages(partition, page, count);
  if (split != H_SUCCESS) return split;
  let done = consecutivePages(space, page, count);
  if (done == count) return H_SUCCESS;
  let target = entryOf(space, page) & ENTRY_FRAME;
  if (!framesAreFree(target + done, count - done)) {
    target = lowestFrames(count);
    if (target == NONE) return H_NO_MEM;
    done = 0;
  }
  let moved: u32 = 0;
  while (done < count && left > 0) {
    const run = consecutive(space, page + done, min(min(left, MOVE_PAGES), count - done));
    if (!migrate(partition, page + done, target + done, run)) break;
    done += run;
    moved += run;
    left -= run;
  }
  setResult(f64(moved));
  if (done == count) return H_SUCCESS;
  return left == 0 ? H_PARTIAL : H_LONG_BUSY_10_MSEC;
}

/**
 * A lower place for a run of pages, or NONE: behind the page before it, if that is of the same resource, so that a run that
 * is moved in several calls stays one; else the lowest place that there is.
 */
function lowerFrames(space: usize, page: u32, count: u32): u32 {
  const frame = entryOf(space, page) & ENTRY_FRAME;
  if (page != 0 && backOf(space, page - 1) == backOf(space, page)) {
    const behind = (entryOf(space, page - 1) & ENTRY_FRAME) + 1;
    if (behind < frame && framesAreFree(behind, count)) return behind;
  }
  const lowest = lowestFrames(count);
  return lowest < frame ? lowest : NONE;
}

/** Pages without a structure that one step passes over. */
const GAP_PAGES: u32 = 4096;

/** The page behind a mapping, or behind some of what is free. */
function afterForeign(space: usize, page: u32): u32 {
  const back = backOf(space, page);
  if (back != 0) return pageOf(structureAt(back)) + pageCountOf(structureAt(back));
  return mapRunEnd(spaceMap(space), spacePages(space), page, GAP_PAGES);
}

/**
 * Moves what a partition owns, from a page on, to lower frames where a run of pages fits as a whole. R4: the page to go on
 * with. H_PARTIAL: call again. H_LongBusyOrder10msec: a thread goes on using the page in R4 (THREAD_WAITS_FOR).
 */
export function compactMemory(lpid: f64, from: f64, budget: f64): i32 {
  const partition = decodePartition(lpid);
  let page = decodeInteger(from);
  let left = decodeInteger(budget);
  if (partition == 0 || page == NONE || left == NONE || left == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  const space = spaceAt(partition, SPACE_MEMORY);
  const end = spacePages(space);
  while (page < end && left > 0) {
    if (ownRun(partition, page, 1) == 0) {
      page = afterForeign(space, page);
      left--;
      continue;
    }
    const whole = consecutive(space, page, end - page);
    const target = whole == 0 ? NONE : lowerFrames(space, page, whole);
    // A run that stays is skipped; one that goes is moved piece by piece, each behind the one before.
    const run = target == NONE ? max<u32>(whole, 1) : min(min(whole, MOVE_PAGES), left);
    if (target != NONE && !migrate(partition, page, target, run)) {
      setResult(f64(page));
      return H_LONG_BUSY_10_MSEC;
    }
    page += run;
    left = run > left ? 0 : left - run;
  }
  setResult(f64(min(page, end)));
  return page < end ? H_PARTIAL : H_SUCCESS;
}
