/**
 * A table as plain JSON: every view of a table is made from this, so nothing else has to read the records.
 */
import type { TableMemory } from "./binding.js";
import type { HistoryEntry } from "./history.js";
import {
  END_CLOSED,
  END_NEXT,
  END_OPEN,
  END_OWNER,
  END_PARTNER,
  END_QUEUE_HEAD,
  END_QUEUE_PAGE,
  END_QUEUE_PAGES,
  END_QUEUE_TAIL,
  END_QUOTA,
  END_STATE,
  END_UNRETURNED,
  END_USED,
  ENTRY_FRAME,
  HEADER_COPIES,
  HEADER_END_AT,
  HEADER_ENDS_MAX,
  HEADER_ENDS_OWNED_MAX,
  HEADER_ENDS_USED,
  HEADER_FRAMES_AT,
  HEADER_FRAMES_FREE,
  HEADER_FRAMES_MAX,
  HEADER_FRAMES_QUARANTINED,
  HEADER_FRAMES_SAVED,
  HEADER_MOVES,
  HEADER_PARTITIONS_MAX,
  HEADER_PARTITIONS_USED,
  HEADER_REVOCATIONS,
  HEADER_STRUCTURE_FRESH,
  HEADER_STRUCTURES_LISTED,
  HEADER_STRUCTURES_MAX,
  HEADER_STRUCTURES_RETIRED,
  PAGE_BYTES,
  PARTITION_ENDS,
  PARTITION_EVENTS_LOST,
  PARTITION_FREE,
  PARTITION_INCARNATION,
  PARTITION_LMB_PAGES,
  PARTITION_POOL_COUNT,
  PARTITION_RUNNING,
  PARTITION_STATE,
  QUEUE_ENTRIES_PER_PAGE,
  QUEUE_ENTRY_BYTES,
  QUEUE_FREE,
  SPACE_ENTRIES,
  SPACE_MEMORY,
} from "./layout.js";
import {
  endWord,
  type GrantMode,
  type PartitionState,
  partitionWord,
  RESOURCE_TYPES,
  type ResourceType,
  type Structure,
  spaceWord,
  stateName,
  unitAddress,
  unitOf,
} from "./records.js";
import { snapshotLines, snapshotTces } from "./snapshot-lines.js";
import { Look } from "./snapshot-look.js";
import { snapshotMaps, snapshotQuarantine } from "./snapshot-maps.js";
import { usageOf } from "./usage.js";

/** Version of the format. 2 added everything but what version 1 had, which is as it was. */
export const SNAPSHOT_VERSION = 2;

/** An elemental resource: addresses and lengths are bytes, of interrupt sources and ports numbers. */
export interface ResourceSnapshot {
  /** Its kind, whose space the address is in. */
  readonly type: ResourceType;
  /** Where it begins in the space of its kind. */
  readonly address: number;
  /** In the unit of the address. */
  readonly length: number;
  /** Logical I/O bus number of a DMA window, else 0. */
  readonly liobn: number;
  /** Whether another partition donated it. */
  readonly donated: boolean;
}

/** A grant, listed with its grantee. */
export interface GrantSnapshot {
  /** Names the grant. */
  readonly cookie: number;
  /** Its kind, whose space the address is in. */
  readonly type: ResourceType;
  /** As in DESIGN.md 5. */
  readonly state: "granted" | "shared" | "returning" | "rescinded";
  /** Grantor's lpid; 0 once rescinded. */
  readonly from: number;
  /** Grantor's lpid by the adapter through which it was granted, which is known until the grant is returned; 0 if not. */
  readonly grantor: number;
  /** Grantee's lpid. */
  readonly to: number;
  /** Address in the grantor's space. */
  readonly source: number;
  /** In the unit of the address. */
  readonly length: number;
  /** Address in the grantee's space, null if it is not mapped. */
  readonly address: number | null;
  /** Whether it may be read. */
  readonly readable: boolean;
  /** Whether it may be written. */
  readonly writable: boolean;
  /** Whether it may be granted on. */
  readonly regrantable: boolean;
  /** What it was granted as. */
  readonly mode: GrantMode;
  /** Of a lend: whether it comes back zero. */
  readonly zero: boolean;
  /** The grantee's writes go to pages of its own. */
  readonly copyOnWrite: boolean;
  /** Views, DMA entries and armed interrupts that stand on it (RE2). */
  readonly pins: number;
  /** A forced rescind of it is under way. */
  readonly revoking: boolean;
  /** Cookie of the grant that it was granted on from, null below an elemental resource. */
  readonly parent: number | null;
  /** Grants between it and the elemental resource, itself counted: 1 below a resource. 1 once rescinded, too. */
  readonly depth: number;
  /** Pages of 4096 bytes; of interrupt sources and ports 0. */
  readonly pages: number;
  /** Pages of a copy-on-write grant that its holder has written to. */
  readonly copies: number;
  /** Frames kept from reuse because views of it stand on them that could not be taken away (RS6). */
  readonly quarantined: number;
  /** Unit address of the grantor's adapter end. */
  readonly adapter: number;
}

/** A run of pages of a partition's logical space that are alike. */
export interface MapSnapshot {
  /** Its kind, whose space the address is in. */
  readonly type: ResourceType;
  /** Bytes, of interrupt sources and ports numbers, as is `length`. */
  readonly address: number;
  /** In the unit of the address. */
  readonly length: number;
  /** Lpid of the partition whose elemental resource it is; 0 for what was rescinded. */
  readonly owner: number;
  /** The grant by which it is there, null for an own resource. */
  readonly cookie: number | null;
  /** "own", "lent" (own, and somebody else's to use), "mapped", "rescinded" (not returned), "moving" (for microseconds). */
  readonly state: "own" | "lent" | "mapped" | "rescinded" | "moving";
  /** Whether it may be read. */
  readonly readable: boolean;
  /** Whether it may be written. */
  readonly writable: boolean;
  /** The next write gets the page a frame of its own first. */
  readonly copyOnWrite: boolean;
  /** Such a frame: a copy that this partition alone has. */
  readonly private: boolean;
  /** Physical address of the first page, or number; null if nothing can be reached. */
  readonly physical: number | null;
  /** In so many physically consecutive pieces. */
  readonly pieces: number;
}

/** An interrupt source or a port that a partition has. */
export interface LineSnapshot {
  /** An interrupt source, or a port. */
  readonly type: "interrupt" | "ipi";
  /** Its number in the space of its kind. */
  readonly address: number;
  /** The grant by which it has it, null for an own one. */
  readonly cookie: number | null;
  /** Raised or rung, and its event not taken. */
  readonly pending: boolean;
  /** Its event waits for unmask(). */
  readonly masked: boolean;
  /** Somebody waits for its event. */
  readonly armed: boolean;
  /** Its event was taken, and its end not said. */
  readonly inService: boolean;
  /** Lpid of who raised what is pending, 0 the manager; null if nothing is. */
  readonly from: number | null;
}

/** A run of translation control entries behind a DMA window, listed with the owner of the window. */
export interface TceSnapshot {
  /** Logical I/O bus number. */
  readonly liobn: number;
  /** Bytes in the owner's DMA space. */
  readonly ioba: number;
  /** Bytes. */
  readonly length: number;
  /** Lpid of who put it. */
  readonly holder: number;
  /** Bytes in the holder's memory. */
  readonly address: number;
  /** What devices may do: read. */
  readonly readable: boolean;
  /** What devices may do: write. */
  readonly writable: boolean;
  /** Its memory was rescinded or returned: devices are refused. */
  readonly dead: boolean;
}

/** One end of a virtual adapter. */
export interface AdapterSnapshot {
  /** Names the partner in grants of this end. */
  readonly unitAddress: number;
  /** "closed" once one of the two has failed or is gone. */
  readonly state: "open" | "closed";
  /** Partner's lpid; 0 once closed. */
  readonly partner: number;
  /** Control structures that this end may use at once. */
  readonly quota: number;
  /** Control structures that it uses. */
  readonly used: number;
  /** Grants through it that were rescinded and that the partner has not returned. */
  readonly unreturned: number;
  /** Bytes of its registered queue, 0 if there is none. */
  readonly queueBytes: number;
  /** Entries of 16 bytes that wait in it. */
  readonly queued: number;
}

/** A worker thread that is a partition. */
export interface WorkerSnapshot {
  /** Node's number of the thread, -1 once it has exited. */
  readonly threadId: number;
}

/** How far the recovery of a failed partition is. */
export interface RecoverySnapshot {
  /** What it waits for: slices of work, the end of the grace period, or those who have its grants (policy "defer"). */
  readonly phase: "working" | "grace" | "deferred";
  /** Milliseconds of the table's clock; null outside a grace period. */
  readonly graceEndsAt: number | null;
}

/** One partition, with all that it has. */
export interface PartitionSnapshot {
  /** Its number. */
  readonly lpid: number;
  /** For people: from PartitionOptions. */
  readonly name: string;
  /** As Partition.state. */
  readonly state: PartitionState;
  /** Counts its starts. */
  readonly incarnation: number;
  /** What happens to its grants when it fails (FA7). */
  readonly onFailure: "rescind" | "defer";
  /** Bytes of one LMB. */
  readonly lmb: number;
  /** Its thread, null if it is the owner's. */
  readonly worker: WorkerSnapshot | null;
  /** Restarts that its restart policy has made. */
  readonly restarts: number;
  /** Null unless it is being recovered. */
  readonly recovery: RecoverySnapshot | null;
  /** As PartitionUsage, and eventsLost: what it could not be told, and has not heard of yet. */
  readonly counters: Readonly<Record<string, number>>;
  /** Elemental resources that it owns. */
  readonly resources: readonly ResourceSnapshot[];
  /** Those that it was given. */
  readonly grants: readonly GrantSnapshot[];
  /** Its ends of adapters. */
  readonly adapters: readonly AdapterSnapshot[];
  /** Its logical spaces, in runs of pages that are alike. */
  readonly maps: readonly MapSnapshot[];
  /** Its interrupt sources and ports. */
  readonly interrupts: readonly LineSnapshot[];
  /** Entries behind the DMA windows that it owns. */
  readonly tces: readonly TceSnapshot[];
}

/** Frames that views keep from reuse. */
export interface QuarantineSnapshot {
  /** Who is charged for them, 0 if nobody who still exists. */
  readonly lpid: number;
  /** Pages of 4096 bytes. */
  readonly pages: number;
  /** The grant that the view was taken of, null if that is gone. */
  readonly cookie: number | null;
}

/** A member of a group. */
export interface GroupMemberSnapshot {
  /** Which partition. */
  readonly lpid: number;
  /** Numbers of the units that it has. */
  readonly units: readonly number[];
}

/** A named group. */
export interface GroupSnapshot {
  /** As table.group() was told it. */
  readonly name: string;
  /** Numbers of its resources. */
  readonly resources: readonly number[];
  /** Members, and the numbers of the units that each has. */
  readonly members: readonly GroupMemberSnapshot[];
}

/** A table, as plain JSON. */
export interface TableSnapshot {
  /** Version of this format: SNAPSHOT_VERSION. */
  readonly version: number;
  /** Frames, structures, adapter ends and partitions, used and in all; tableBytes; pagesMoved, which only grows. */
  readonly counters: Readonly<Record<string, number>>;
  /** By lpid. */
  readonly partitions: readonly PartitionSnapshot[];
  /** Frames that views keep from reuse. */
  readonly quarantine: readonly QuarantineSnapshot[];
  /** Named groups. */
  readonly groups: readonly GroupSnapshot[];
  /** What has happened lately, oldest first; `at` is in milliseconds of the table's clock. */
  readonly events: readonly HistoryEntry[];
}

/** What the records do not say, and the table's owner knows. */
export interface SnapshotHost {
  describe(lpid: number): Pick<PartitionSnapshot, "name" | "onFailure" | "worker" | "restarts" | "recovery">;
  readonly groups: readonly GroupSnapshot[];
  readonly events: readonly HistoryEntry[];
}

function snapshotGrant(look: Look, structure: Structure, quarantined: number): GrantSnapshot {
  const { memory } = look;
  const { space, end } = structure;
  const unit = unitOf(space);
  const parent = structure.parent === 0 ? undefined : look.structure(structure.parent);
  const isMapped = structure.state === "shared" || structure.state === "rescinded";
  return {
    cookie: structure.cookie,
    type: RESOURCE_TYPES[space] as ResourceType,
    state: structure.state as GrantSnapshot["state"],
    from: parent?.holder ?? 0,
    grantor: end === 0 ? 0 : endWord(memory, end, END_OWNER),
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
    depth: look.place(structure).depth,
    pages: unit === PAGE_BYTES ? structure.pageCount : 0,
    copies: structure.copies,
    quarantined,
    adapter: end === 0 ? 0 : unitAddress(memory, end),
  };
}

/** Entries between head and tail of a queue. Where both are the same it is empty, or full if that entry is taken. */
function queuedAt(memory: TableMemory, slot: number, lpid: number, capacity: number): number {
  const head = endWord(memory, slot, END_QUEUE_HEAD);
  const between = (endWord(memory, slot, END_QUEUE_TAIL) - head + capacity) % capacity;
  if (between !== 0) return between;
  const page = endWord(memory, slot, END_QUEUE_PAGE) + Math.floor(head / QUEUE_ENTRIES_PER_PAGE);
  const entries = spaceWord(memory, lpid, SPACE_MEMORY, SPACE_ENTRIES);
  const frame = memory.header(entries + page * 4) & ENTRY_FRAME;
  const at = memory.header(HEADER_FRAMES_AT) + frame * PAGE_BYTES;
  const isTaken = memory.bytes[at + (head % QUEUE_ENTRIES_PER_PAGE) * QUEUE_ENTRY_BYTES] !== QUEUE_FREE;
  return isTaken ? capacity : 0;
}

/** Looks at each end that a partition has, and whom it joins to it: 0 if it is closed. */
function eachEnd(memory: TableMemory, lpid: number, look: (slot: number, partner: number) => void): void {
  let left = memory.header(HEADER_ENDS_MAX);
  const first = partitionWord(memory, lpid, PARTITION_ENDS);
  for (let slot = first; slot !== 0 && left > 0; slot = endWord(memory, slot, END_NEXT), left--) {
    const state = endWord(memory, slot, END_STATE);
    if ((state !== END_OPEN && state !== END_CLOSED) || endWord(memory, slot, END_OWNER) !== lpid) break;
    look(slot, state === END_OPEN ? endWord(memory, endWord(memory, slot, END_PARTNER), END_OWNER) : 0);
  }
}

function snapshotAdapters(memory: TableMemory, lpid: number): AdapterSnapshot[] {
  const adapters: AdapterSnapshot[] = [];
  // Queues close with the failure (isRegistered() of the core), though they may be cleared away a little later.
  const hasQueues = partitionWord(memory, lpid, PARTITION_STATE) === PARTITION_RUNNING;
  eachEnd(memory, lpid, (slot, partner) => {
    const queueBytes = hasQueues ? endWord(memory, slot, END_QUEUE_PAGES) * PAGE_BYTES : 0;
    adapters.push({
      unitAddress: unitAddress(memory, slot),
      state: partner === 0 ? "closed" : "open",
      partner,
      quota: endWord(memory, slot, END_QUOTA),
      used: endWord(memory, slot, END_USED),
      unreturned: endWord(memory, slot, END_UNRETURNED),
      queueBytes,
      queued: queueBytes === 0 ? 0 : queuedAt(memory, slot, lpid, queueBytes / QUEUE_ENTRY_BYTES),
    });
  });
  return adapters.sort((a, b) => a.unitAddress - b.unitAddress);
}

/** The lpids to which a partition has open adapters, each once; it may have tens of thousands of adapters. */
export function partnersOf(memory: TableMemory, lpid: number): number[] {
  const partners = new Set<number>();
  eachEnd(memory, lpid, (_, partner) => {
    if (partner !== 0) partners.add(partner);
  });
  return [...partners].sort((a, b) => a - b);
}

function snapshotResource(structure: Structure): ResourceSnapshot {
  const unit = unitOf(structure.space);
  return {
    type: RESOURCE_TYPES[structure.space] as ResourceType,
    address: structure.page * unit,
    length: structure.pageCount * unit,
    liobn: structure.liobn,
    donated: structure.mode === "donate",
  };
}

function snapshotCounters(memory: TableMemory, lpid: number): Record<string, number> {
  return { ...usageOf(memory, lpid), eventsLost: partitionWord(memory, lpid, PARTITION_EVENTS_LOST) };
}

function snapshotPartition(
  look: Look,
  lpid: number,
  { name, onFailure, worker, restarts, recovery }: ReturnType<SnapshotHost["describe"]>,
  quarantined: ReadonlyMap<number, number>,
): PartitionSnapshot {
  const { memory } = look;
  const word = (offset: number): number => partitionWord(memory, lpid, offset);
  const owned = look.owned(lpid);
  const held = look.held(lpid);
  const both = [...owned, ...held];
  const resources = owned.map(snapshotResource);
  return {
    lpid,
    name,
    state: stateName(word(PARTITION_STATE)),
    incarnation: word(PARTITION_INCARNATION),
    onFailure,
    lmb: word(PARTITION_LMB_PAGES) * PAGE_BYTES,
    worker,
    restarts,
    recovery,
    counters: snapshotCounters(memory, lpid),
    resources: resources.sort(
      (a, b) => RESOURCE_TYPES.indexOf(a.type) - RESOURCE_TYPES.indexOf(b.type) || a.address - b.address,
    ),
    grants: held
      .map((structure) => snapshotGrant(look, structure, quarantined.get(structure.cookie) ?? 0))
      .sort((a, b) => a.cookie - b.cookie),
    adapters: snapshotAdapters(memory, lpid),
    maps: snapshotMaps(look, both),
    interrupts: snapshotLines(look, both),
    tces: snapshotTces(look, owned),
  };
}

/** Structures in use: of those that ever were, all that are not free. */
function countStructures(memory: TableMemory): number {
  let used =
    memory.header(HEADER_STRUCTURE_FRESH) -
    1 -
    memory.header(HEADER_STRUCTURES_LISTED) -
    memory.header(HEADER_STRUCTURES_RETIRED);
  for (let lpid = 1; lpid <= memory.header(HEADER_PARTITIONS_MAX); lpid++)
    used -= partitionWord(memory, lpid, PARTITION_POOL_COUNT);
  // Other threads may have moved some to a pool since their list was read.
  return Math.max(0, used);
}

/** A snapshot of a table. Where worker threads make calls meanwhile, each record is as it was when it was read. */
export function inspectTable(memory: TableMemory, host: SnapshotHost): TableSnapshot {
  const look = new Look(memory);
  const quarantine = snapshotQuarantine(look);
  const quarantined: Map<number, number> = new Map();
  for (const { cookie, pages } of quarantine)
    if (cookie !== null) quarantined.set(cookie, (quarantined.get(cookie) ?? 0) + pages);
  const partitions: PartitionSnapshot[] = [];
  for (let lpid = 1; lpid <= memory.header(HEADER_PARTITIONS_MAX); lpid++) {
    if (partitionWord(memory, lpid, PARTITION_STATE) === PARTITION_FREE) continue;
    partitions.push(snapshotPartition(look, lpid, host.describe(lpid), quarantined));
  }
  return {
    version: SNAPSHOT_VERSION,
    counters: {
      tableBytes: memory.header(HEADER_END_AT),
      frames: memory.header(HEADER_FRAMES_MAX),
      framesFree: memory.header(HEADER_FRAMES_FREE),
      framesQuarantined: memory.header(HEADER_FRAMES_QUARANTINED),
      framesCopied: memory.header(HEADER_COPIES),
      framesSaved: memory.header(HEADER_FRAMES_SAVED),
      structures: memory.header(HEADER_STRUCTURES_MAX),
      structuresUsed: countStructures(memory),
      adapterEnds: memory.header(HEADER_ENDS_OWNED_MAX),
      adapterEndsUsed: memory.header(HEADER_ENDS_USED),
      partitions: memory.header(HEADER_PARTITIONS_USED),
      revocations: memory.header(HEADER_REVOCATIONS),
      pagesMoved: memory.header(HEADER_MOVES),
    },
    partitions,
    quarantine,
    groups: host.groups,
    events: host.events,
  };
}
