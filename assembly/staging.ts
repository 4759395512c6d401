/**
 * Staging: memory of the table in which batches live, handed out in whole pages, lowest run first. Each page has an owner,
 * so that what a dead thread had is found again.
 *
 *     owners: u32 per page, 0 free, else the slot of the thread plus 1
 */
import {
  H_NO_MEM,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_STAGING_AT,
  HEADER_STAGING_MAP_AT,
  HEADER_STAGING_OWNERS_AT,
  HEADER_STAGING_PAGES,
  JOB_STAGING,
  PAGE_BYTES,
} from "../src/layout";
import { mapFill, mapLowestRun, mapRunEnd } from "./bitmap";
import { decodeInteger, decodePages } from "./decode";
import { beginJob, endJob } from "./log";
import { header, NONE, setResult } from "./memory";
import { ownSlot } from "./thread";

export function openStaging(): void {
  const pages = header(HEADER_STAGING_PAGES);
  mapFill(header(HEADER_STAGING_MAP_AT), pages, 0, pages, true);
}

function ownerAt(page: u32): usize {
  return <usize>header(HEADER_STAGING_OWNERS_AT) + ((<usize>page) << 2);
}

/** The slot of the thread that a page is handed out to, plus 1; 0: it is free. */
export function stagingOwner(page: u32): u32 {
  return load<u32>(ownerAt(page));
}

function setOwner(page: u32, count: u32, owner: u32): void {
  for (let i: u32 = 0; i < count; i++) store<u32>(ownerAt(page + i), owner);
}

/** Takes a run of pages as it is, or NONE. */
export function takeRun(count: u32): u32 {
  const map = header(HEADER_STAGING_MAP_AT);
  const bits = header(HEADER_STAGING_PAGES);
  const page = mapLowestRun(map, bits, count);
  if (page == NONE) return NONE;
  beginJob(JOB_STAGING, 0, 0, 0, page, count);
  mapFill(map, bits, page, count, false);
  setOwner(page, count, ownSlot() + 1);
  endJob();
  return page;
}

/** Gives a run back, or what of it was taken; part of a job. */
export function freeRun(page: u32, count: u32): void {
  setOwner(page, count, 0);
  mapFill(header(HEADER_STAGING_MAP_AT), header(HEADER_STAGING_PAGES), page, count, true);
}

/** The next run from `page` on that a thread owns, as a job that frees it. Answers its end, or NONE. */
export function freeNextRun(slot: u32, page: u32): u32 {
  const pages = header(HEADER_STAGING_PAGES);
  let first = page;
  while (first < pages && stagingOwner(first) != slot + 1) first++;
  if (first == pages) return NONE;
  let end = first + 1;
  while (end < pages && stagingOwner(end) == slot + 1) end++;
  beginJob(JOB_STAGING, 0, 0, 0, first, end - first);
  return end;
}

export function runAt(page: u32): usize {
  return <usize>header(HEADER_STAGING_AT) + <usize>page * PAGE_BYTES;
}

/** R4: the byte offset of `pages` zeroed pages. */
export function takeStaging(pages: f64): i32 {
  const count = decodeInteger(pages);
  const bits = header(HEADER_STAGING_PAGES);
  if (count == 0 || count > bits) return count == 0 || count == NONE ? H_PARAMETER : H_NO_MEM;
  const page = takeRun(count);
  if (page == NONE) return H_NO_MEM;
  const at = runAt(page);
  memory.fill(at, 0, <usize>count * PAGE_BYTES);
  setResult(f64(at));
  return H_SUCCESS;
}

/** Gives back what takeStaging() gave. */
export function freeStaging(offset: f64, pages: f64): i32 {
  const count = decodeInteger(pages);
  const page = decodePages(offset - f64(header(HEADER_STAGING_AT)));
  const bits = header(HEADER_STAGING_PAGES);
  if (page == NONE || count == NONE || count == 0 || <u64>page + count > bits) return H_PARAMETER;
  const map = header(HEADER_STAGING_MAP_AT);
  // Any free page in the range was not taken by this caller.
  for (let i: u32 = 0; i < count; i++) if (mapRunEnd(map, bits, page + i, 1) != page + i) return H_PARAMETER;
  beginJob(JOB_STAGING, 0, 0, 0, page, count);
  return H_SUCCESS;
}
