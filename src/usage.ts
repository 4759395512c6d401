/** What a partition holds, as its record counts it. */
import type { TableMemory } from "./binding.js";
import {
  PARTITION_COPIES,
  PARTITION_GRANTS_IN,
  PARTITION_GRANTS_OUT,
  PARTITION_PAGES_LENT,
  PARTITION_PAGES_MAPPED,
  PARTITION_PAGES_OWNED,
  PARTITION_PINS,
  PARTITION_QUARANTINED,
  PARTITION_RESCINDED,
} from "./layout.js";
import { partitionWord } from "./records.js";

/** What a partition holds now. */
export interface PartitionUsage {
  /** Pages of its LMBs, and of what was donated to it. */
  readonly pagesOwned: number;
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

/** The counters of one partition. */
export function usageOf(memory: TableMemory, lpid: number): PartitionUsage {
  const word = (offset: number): number => partitionWord(memory, lpid, offset);
  return {
    pagesOwned: word(PARTITION_PAGES_OWNED),
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
