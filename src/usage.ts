/** What a partition holds, as its record counts it. */
import type { TableMemory } from "./binding.js";
import {
  PAGE_BYTES,
  PARTITION_ARENA_MAP,
  PARTITION_COPIES,
  PARTITION_GRANTS_IN,
  PARTITION_GRANTS_OUT,
  PARTITION_LMB_PAGES,
  PARTITION_MEMORY_PAGES,
  PARTITION_PAGES_LENT,
  PARTITION_PAGES_MAPPED,
  PARTITION_PAGES_OWNED,
  PARTITION_PINS,
  PARTITION_QUARANTINED,
  PARTITION_RESCINDED,
  PARTITION_RUNNING,
  PARTITION_STATE,
} from "./layout.js";
import { isLmb, partitionWord } from "./records.js";

/** What a partition holds now. */
export interface PartitionUsage {
  /** Pages of its LMBs, and of what was donated to it. */
  readonly pagesOwned: number;
  /** Bytes of its own memory that allocate() and messages() have taken, in pages; 0 unless it runs. */
  readonly allocated: number;
  /** Pages of others that it has mapped. */
  readonly pagesMapped: number;
  /** Pages that it has lent, or offers as a donation. */
  readonly pagesLent: number;
  /** Grants of its own that stand, accepted or not. */
  readonly grantsOut: number;
  /** Grants to it that stand, accepted or not. */
  readonly grantsIn: number;
  /** Mappings rescinded and not returned yet. */
  readonly rescinded: number;
  /** Views and DMA entries that pin what it has accepted or owns. */
  readonly pins: number;
  /** Frames kept from reuse by its views. */
  readonly quarantined: number;
  /** Pages of copy-on-write mappings that it has written to, and has frames of its own for. */
  readonly copies: number;
}

/** A word of the map. */
const ALL_FREE = 2 ** 32 - 1;

/** What the core's map of a partition's own pages, a bit each, has not as free; but for the LMBs that it has donated. */
export function allocatedBytes(memory: TableMemory, lpid: number): number {
  const word = (offset: number): number => partitionWord(memory, lpid, offset);
  if (word(PARTITION_STATE) !== PARTITION_RUNNING) return 0;
  const pages = word(PARTITION_MEMORY_PAGES);
  const lmbPages = word(PARTITION_LMB_PAGES);
  const map = word(PARTITION_ARENA_MAP);
  let taken = pages;
  for (let page = 0; page < pages; page += 32) {
    const free = memory.header(map + page / 8);
    if (free === ALL_FREE) taken -= 32;
    else for (let left = free; left !== 0; left &= left - 1) taken--;
  }
  for (let page = 0; page < pages; page += lmbPages)
    if (!isLmb(memory, lpid, page)) taken -= Math.min(lmbPages, pages - page);
  // Others may take some in between.
  return Math.max(0, taken) * PAGE_BYTES;
}

/** The counters of one partition. */
export function usageOf(memory: TableMemory, lpid: number): PartitionUsage {
  const word = (offset: number): number => partitionWord(memory, lpid, offset);
  return {
    pagesOwned: word(PARTITION_PAGES_OWNED),
    allocated: allocatedBytes(memory, lpid),
    pagesMapped: word(PARTITION_PAGES_MAPPED),
    pagesLent: word(PARTITION_PAGES_LENT),
    grantsOut: word(PARTITION_GRANTS_OUT),
    grantsIn: word(PARTITION_GRANTS_IN),
    rescinded: word(PARTITION_RESCINDED),
    pins: word(PARTITION_PINS),
    quarantined: word(PARTITION_QUARANTINED),
    copies: word(PARTITION_COPIES),
  };
}
