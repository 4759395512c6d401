/**
 * Staging: memory of the table in which batches live, handed out in whole pages, lowest run first.
 */
import {
  H_NO_MEM,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_STAGING_AT,
  HEADER_STAGING_MAP_AT,
  HEADER_STAGING_PAGES,
  PAGE_BYTES,
} from "../src/layout";
import { mapFree, mapLowestRun, mapRunEnd, mapTake } from "./bitmap";
import { decodeInteger, decodePages } from "./decode";
import { header, NONE, setResult } from "./memory";

export function openStaging(): void {
  mapFree(header(HEADER_STAGING_MAP_AT), header(HEADER_STAGING_PAGES), 0, header(HEADER_STAGING_PAGES));
}

/** Takes a run of pages as it is, or NONE. */
export function takeRun(count: u32): u32 {
  const map = header(HEADER_STAGING_MAP_AT);
  const page = mapLowestRun(map, header(HEADER_STAGING_PAGES), count);
  if (page != NONE) mapTake(map, header(HEADER_STAGING_PAGES), page, count);
  return page;
}

export function freeRun(page: u32, count: u32): void {
  mapFree(header(HEADER_STAGING_MAP_AT), header(HEADER_STAGING_PAGES), page, count);
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
  freeRun(page, count);
  return H_SUCCESS;
}
