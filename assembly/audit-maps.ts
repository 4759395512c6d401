/** Audit of the maps of free places: their upper levels, and those that no page table can be held against. */
import {
  HEADER_FRAME_MAP_AT,
  HEADER_FRAMES_MAX,
  HEADER_LPIDS_USED,
  HEADER_STAGING_MAP_AT,
  HEADER_STAGING_PAGES,
  MAP_ARENA,
  MAP_FRAMES,
  MAP_STAGING,
  PARTITION_ARENA_MAP,
  PARTITION_MEMORY_PAGES,
  PROBLEM_MAP,
  SPACE_COUNT,
} from "../src/layout";
import { isSoundPage } from "./arena";
import { mapBroken, mapIsFree, mapNext } from "./bitmap";
import { check } from "./findings";
import { header, NONE } from "./memory";
import { spaceAt, spaceMap, spacePages } from "./page";
import { partitionAt, partitionWord, runsNow } from "./partition";
import { stagingOwner } from "./staging";

function auditLevels(which: u32, map: usize, places: u32): void {
  const broken = mapBroken(map, places);
  check(broken == NONE, PROBLEM_MAP, which, broken);
}

/** What is free, or of some allocation, in memory that the partition was begun with; a restart begins it anew. */
function auditArena(which: u32, partition: usize): void {
  const map = <usize>partitionWord(partition, PARTITION_ARENA_MAP);
  const own = partitionWord(partition, PARTITION_MEMORY_PAGES);
  auditLevels(which, map, header(HEADER_FRAMES_MAX));
  check(mapNext(map, header(HEADER_FRAMES_MAX), own) == NONE, PROBLEM_MAP, which, own);
  for (let page: u32 = 0; page < own; page++) check(isSoundPage(partition, page), PROBLEM_MAP, which, page);
}

export function auditMaps(): void {
  auditLevels(MAP_FRAMES, header(HEADER_FRAME_MAP_AT), header(HEADER_FRAMES_MAX));
  const staging = header(HEADER_STAGING_MAP_AT);
  auditLevels(MAP_STAGING, staging, header(HEADER_STAGING_PAGES));
  for (let page: u32 = 0; page < header(HEADER_STAGING_PAGES); page++)
    check(mapIsFree(staging, page) == (stagingOwner(page) == 0), PROBLEM_MAP, MAP_STAGING, page);
  for (let lpid: u32 = 1; lpid <= header(HEADER_LPIDS_USED); lpid++) {
    const partition = partitionAt(lpid);
    for (let space: u32 = 0; space < u32(SPACE_COUNT); space++) {
      const at = spaceAt(partition, space);
      auditLevels(lpid * 8 + space, spaceMap(at), spacePages(at));
    }
    if (runsNow(partition)) auditArena(lpid * 8 + MAP_ARENA, partition);
  }
}
