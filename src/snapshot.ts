/**
 * A table as plain JSON: every view of a table is made from this, so nothing else has to read the records.
 */
import type { TableMemory } from "./binding.js";
import {
  END_CLOSED,
  END_NEXT,
  END_OPEN,
  END_OWNER,
  END_PARTNER,
  END_QUEUE_PAGES,
  END_QUOTA,
  END_STATE,
  END_UNRETURNED,
  END_USED,
  HEADER_COPIES,
  HEADER_END_AT,
  HEADER_ENDS_MAX,
  HEADER_ENDS_USED,
  HEADER_FRAMES_FREE,
  HEADER_FRAMES_MAX,
  HEADER_FRAMES_QUARANTINED,
  HEADER_FRAMES_SAVED,
  HEADER_MOVES,
  HEADER_PARTITIONS_MAX,
  HEADER_PARTITIONS_USED,
  HEADER_REVOCATIONS,
  HEADER_STRUCTURES_MAX,
  HEADER_STRUCTURES_USED,
  PAGE_BYTES,
  PARTITION_COPIES,
  PARTITION_ENDS,
  PARTITION_FREE,
  PARTITION_GRANTS_IN,
  PARTITION_GRANTS_OUT,
  PARTITION_HELD,
  PARTITION_INCARNATION,
  PARTITION_OWNED,
  PARTITION_PAGES_LENT,
  PARTITION_PAGES_MAPPED,
  PARTITION_PAGES_OWNED,
  PARTITION_PINS,
  PARTITION_POOL_COUNT,
  PARTITION_QUARANTINED,
  PARTITION_RESCINDED,
  PARTITION_STATE,
} from "./layout.js";
import {
  endWord,
  type GrantMode,
  type PartitionState,
  partitionWord,
  RESOURCE_TYPES,
  type ResourceType,
  readStructure,
  type Structure,
  stateName,
  unitAddress,
  unitOf,
} from "./records.js";

/** An elemental resource. */
export interface ResourceSnapshot {
  readonly type: ResourceType;
  readonly address: number;
  readonly length: number;
  readonly liobn: number;
  /** Whether another partition donated it. */
  readonly donated: boolean;
}

/** A grant, listed with its grantee. */
export interface GrantSnapshot {
  readonly cookie: number;
  readonly type: ResourceType;
  readonly state: "granted" | "shared" | "returning" | "rescinded";
  /** Grantor's lpid; 0 once rescinded. */
  readonly from: number;
  readonly to: number;
  /** Address in the grantor's space. */
  readonly source: number;
  readonly length: number;
  /** Address in the grantee's space, null if it is not mapped. */
  readonly address: number | null;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly regrantable: boolean;
  readonly mode: GrantMode;
  /** Of a lend: whether it comes back zero. */
  readonly zero: boolean;
  /** The grantee's writes go to pages of its own. */
  readonly copyOnWrite: boolean;
  readonly pins: number;
  readonly revoking: boolean;
  /** Cookie of the grant that it was granted on from, null below an elemental resource. */
  readonly parent: number | null;
}

/** One end of a virtual adapter. */
export interface AdapterSnapshot {
  readonly unitAddress: number;
  readonly state: "open" | "closed";
  /** Partner's lpid; 0 once closed. */
  readonly partner: number;
  readonly quota: number;
  readonly used: number;
  readonly unreturned: number;
  readonly queueBytes: number;
}

export interface PartitionSnapshot {
  readonly lpid: number;
  readonly name: string;
  readonly state: PartitionState;
  readonly incarnation: number;
  readonly counters: Readonly<Record<string, number>>;
  readonly resources: readonly ResourceSnapshot[];
  readonly grants: readonly GrantSnapshot[];
  readonly adapters: readonly AdapterSnapshot[];
}

export interface TableSnapshot {
  /** Version of this format. */
  readonly version: number;
  readonly counters: Readonly<Record<string, number>>;
  readonly partitions: readonly PartitionSnapshot[];
}

/** The structures of a list, by their next-held links. */
function* listOf(memory: TableMemory, first: number): Iterable<Structure> {
  for (let slot = first; slot !== 0; ) {
    const structure = readStructure(memory, slot);
    yield structure;
    slot = structure.nextHeld;
  }
}

function snapshotGrant(memory: TableMemory, structure: Structure): GrantSnapshot {
  const unit = unitOf(structure.space);
  const parent = structure.parent === 0 ? undefined : readStructure(memory, structure.parent);
  const isMapped = structure.state === "shared" || structure.state === "rescinded";
  return {
    cookie: structure.cookie,
    type: RESOURCE_TYPES[structure.space] as ResourceType,
    state: structure.state as GrantSnapshot["state"],
    from: parent?.holder ?? 0,
    to: structure.holder,
    source: structure.sourcePage * unit,
    length: structure.pageCount * unit,
    address: isMapped ? structure.page * unit : null,
    readable: structure.readable,
    writable: structure.writable,
    regrantable: structure.regrantable,
    mode: structure.mode,
    zero: structure.zero,
    copyOnWrite: structure.copyOnWrite,
    pins: structure.pins,
    revoking: structure.revoking,
    parent: parent === undefined || parent.state === "owned" ? null : parent.cookie,
  };
}

function snapshotAdapters(memory: TableMemory, first: number): AdapterSnapshot[] {
  const adapters: AdapterSnapshot[] = [];
  for (let slot = first; slot !== 0; slot = endWord(memory, slot, END_NEXT)) {
    const state = endWord(memory, slot, END_STATE);
    if (state !== END_OPEN && state !== END_CLOSED) break;
    const isOpen = state === END_OPEN;
    adapters.push({
      unitAddress: unitAddress(memory, slot),
      state: isOpen ? "open" : "closed",
      partner: isOpen ? endWord(memory, endWord(memory, slot, END_PARTNER), END_OWNER) : 0,
      quota: endWord(memory, slot, END_QUOTA),
      used: endWord(memory, slot, END_USED),
      unreturned: endWord(memory, slot, END_UNRETURNED),
      queueBytes: endWord(memory, slot, END_QUEUE_PAGES) * PAGE_BYTES,
    });
  }
  return adapters;
}

function snapshotPartition(memory: TableMemory, lpid: number, name: string): PartitionSnapshot {
  const word = (offset: number): number => partitionWord(memory, lpid, offset);
  return {
    lpid,
    name,
    state: stateName(word(PARTITION_STATE)),
    incarnation: word(PARTITION_INCARNATION),
    counters: {
      pagesOwned: word(PARTITION_PAGES_OWNED),
      pagesMapped: word(PARTITION_PAGES_MAPPED),
      pagesLent: word(PARTITION_PAGES_LENT),
      grantsOut: word(PARTITION_GRANTS_OUT),
      grantsIn: word(PARTITION_GRANTS_IN),
      rescinded: word(PARTITION_RESCINDED),
      pins: word(PARTITION_PINS),
      quarantined: word(PARTITION_QUARANTINED),
      copies: word(PARTITION_COPIES),
    },
    resources: Array.from(listOf(memory, word(PARTITION_OWNED)), (structure) => ({
      type: RESOURCE_TYPES[structure.space] as ResourceType,
      address: structure.page * unitOf(structure.space),
      length: structure.pageCount * unitOf(structure.space),
      liobn: structure.liobn,
      donated: structure.mode === "donate",
    })).sort(
      (a, b) => RESOURCE_TYPES.indexOf(a.type) - RESOURCE_TYPES.indexOf(b.type) || a.address - b.address,
    ),
    grants: Array.from(listOf(memory, word(PARTITION_HELD)), (structure) =>
      snapshotGrant(memory, structure),
    ).sort((a, b) => a.cookie - b.cookie),
    adapters: snapshotAdapters(memory, word(PARTITION_ENDS)).sort((a, b) => a.unitAddress - b.unitAddress),
  };
}

/** @param nameOf a partition's name, which the core does not know. */
export function inspectTable(memory: TableMemory, nameOf: (lpid: number) => string): TableSnapshot {
  const partitions: PartitionSnapshot[] = [];
  let pooled = 0;
  for (let lpid = 1; lpid <= memory.header(HEADER_PARTITIONS_MAX); lpid++) {
    pooled += partitionWord(memory, lpid, PARTITION_POOL_COUNT);
    if (partitionWord(memory, lpid, PARTITION_STATE) === PARTITION_FREE) continue;
    partitions.push(snapshotPartition(memory, lpid, nameOf(lpid)));
  }
  return {
    version: 1,
    counters: {
      tableBytes: memory.header(HEADER_END_AT),
      frames: memory.header(HEADER_FRAMES_MAX),
      framesFree: memory.header(HEADER_FRAMES_FREE),
      framesQuarantined: memory.header(HEADER_FRAMES_QUARANTINED),
      framesCopied: memory.header(HEADER_COPIES),
      framesSaved: memory.header(HEADER_FRAMES_SAVED),
      structures: memory.header(HEADER_STRUCTURES_MAX),
      structuresUsed: memory.header(HEADER_STRUCTURES_USED) - pooled,
      adapterEnds: memory.header(HEADER_ENDS_MAX),
      adapterEndsUsed: memory.header(HEADER_ENDS_USED),
      partitions: memory.header(HEADER_PARTITIONS_USED),
      revocations: memory.header(HEADER_REVOCATIONS),
      pagesMoved: memory.header(HEADER_MOVES),
    },
    partitions,
  };
}
