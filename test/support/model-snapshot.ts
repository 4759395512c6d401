/** The naive model as ResourceTable.inspect() shows a table: compared with it word by word. */
import type { GrantSnapshot, PartitionSnapshot, TableSnapshot } from "../../src/index.js";
import {
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  PAGE_BYTES,
  QUEUE_ENTRY_BYTES,
} from "../../src/layout.js";
import type { Model } from "./model.js";
import { armedLines } from "./model-lines.js";
import {
  type End,
  type Grant,
  type ModelPartition,
  type Node,
  RESOURCE_TYPES,
  unitOf,
} from "./model-records.js";
import { snapshotLines, snapshotMaps, snapshotTces } from "./model-snapshot-lines.js";

/** What the model knows of a table. */
type KnownGrant = Omit<GrantSnapshot, "grantor" | "depth" | "pages" | "copies" | "quarantined" | "adapter">;
type KnownAdapter = Omit<PartitionSnapshot["adapters"][number], "queued">;
type KnownPartition = Pick<
  PartitionSnapshot,
  "lpid" | "name" | "state" | "incarnation" | "counters" | "resources" | "maps" | "interrupts" | "tces"
> & { readonly grants: readonly KnownGrant[]; readonly adapters: readonly KnownAdapter[] };
type KnownTable = Pick<TableSnapshot, "version" | "counters"> & {
  readonly partitions: readonly KnownPartition[];
};

function snapshotGrant(model: Model, grant: Grant): KnownGrant {
  const unit = unitOf(grant.type);
  const isInTree = grant.state !== "rescinded";
  return {
    cookie: grant.cookie,
    type: grant.type,
    state: grant.state as Exclude<Grant["state"], "dead">,
    from: isInTree ? grant.grantor.lpid : 0,
    to: grant.holder.lpid,
    source: grant.sourcePage * unit,
    length: grant.pageCount * unit,
    address: grant.state === "shared" || grant.state === "rescinded" ? grant.page * unit : null,
    readable: (grant.inhibits & INHIBIT_READ) === 0,
    writable: grant.isCopyOnWrite || (grant.inhibits & INHIBIT_WRITE) === 0,
    regrantable: (grant.inhibits & INHIBIT_REGRANT) === 0,
    mode: grant.mode,
    zero: grant.zeroes,
    copyOnWrite: grant.isCopyOnWrite,
    pins: model.pinsOf(grant),
    revoking: grant.marked,
    parent: isInTree && grant.source.kind === "grant" ? grant.source.cookie : null,
  };
}

function snapshotEnd(model: Model, end: End): KnownAdapter {
  return {
    unitAddress: end.unit,
    state: end.isOpen ? "open" : "closed",
    partner: end.isOpen ? (end.partner?.owner?.lpid ?? -1) : 0,
    quota: end.quota,
    ...model.countsOf(end),
    queueBytes: (end.queue?.capacity ?? 0) * QUEUE_ENTRY_BYTES,
  };
}

function copiesOf({ spaces }: ModelPartition): number {
  return [...spaces.memory.entries.values()].filter(({ isPrivate }) => isPrivate).length;
}

function snapshotPartition(model: Model, partition: ModelPartition): KnownPartition {
  const grants = [...model.grants.values()];
  const held = grants.filter(({ holder }) => holder === partition);
  const standing = held.filter(({ state }) => state !== "rescinded");
  let pagesOwned = 0;
  for (const { node } of partition.spaces.memory.entries.values()) if (node.kind === "resource") pagesOwned++;
  let pagesMapped = 0;
  for (const grant of standing)
    if (grant.type === "memory" && grant.state === "shared" && !grant.marked) pagesMapped += grant.pageCount;
  return {
    lpid: partition.lpid,
    name: "",
    state: partition.state,
    incarnation: partition.incarnation,
    counters: {
      pagesOwned,
      allocated:
        partition.state === "running"
          ? [...partition.allocated.values()].reduce((sum, count) => sum + count * PAGE_BYTES, 0)
          : 0,
      pagesMapped,
      pagesLent: grants
        .filter(
          ({ grantor, mode, state }) => grantor === partition && mode !== "share" && state !== "rescinded",
        )
        .reduce((sum, { pageCount }) => sum + pageCount, 0),
      grantsOut: grants.filter(({ grantor, state }) => grantor === partition && state !== "rescinded").length,
      grantsIn: standing.length,
      rescinded: held.length - standing.length,
      pins:
        [...model.pins.values()].filter(({ holder }) => holder === partition).length +
        armedLines(partition).length +
        [...model.tces].filter(({ pane }) => pane.holder === partition).length,
      quarantined: [...model.quarantine.values()].filter((charged) => charged === partition.lpid).length,
      copies: copiesOf(partition),
    },
    resources: partition.resources
      .map(({ type, page, pageCount, liobn, isDonated }) => ({
        type,
        address: page * unitOf(type),
        length: pageCount * unitOf(type),
        liobn,
        donated: isDonated,
      }))
      .sort(
        (a, b) => RESOURCE_TYPES.indexOf(a.type) - RESOURCE_TYPES.indexOf(b.type) || a.address - b.address,
      ),
    grants: held.map((grant) => snapshotGrant(model, grant)).sort((a, b) => a.cookie - b.cookie),
    adapters: [...model.ends]
      .filter(({ owner }) => owner === partition)
      .map((end) => snapshotEnd(model, end))
      .sort((a, b) => a.unitAddress - b.unitAddress),
    maps: snapshotMaps(model, partition),
    interrupts: snapshotLines(model, partition),
    tces: snapshotTces(model, partition),
  };
}

/** `tableBytes` is no business of the model. */
export function snapshotModel(model: Model, tableBytes: number): KnownTable {
  const nodes: Node[] = [...model.grants.values()];
  for (const partition of model.partitions.values()) nodes.push(...partition.resources);
  return {
    version: 2,
    counters: {
      tableBytes,
      frames: model.options.frames,
      framesFree: model.framesFree(),
      framesQuarantined: model.quarantine.size,
      framesCopied: [...model.partitions.values()].reduce((sum, one) => sum + copiesOf(one), 0),
      framesSaved: model.ownFrames().length - model.framesOwned().size,
      structures: model.options.capacity,
      structuresUsed: model.structuresUsed(),
      adapterEnds: model.options.ends,
      adapterEndsUsed: [...model.ends].filter(({ owner }) => owner !== undefined).length,
      partitions: model.partitions.size,
      revocations: nodes.filter(({ named }) => named).length,
      pagesMoved: model.moves,
    },
    partitions: [...model.partitions.values()]
      .sort((a, b) => a.lpid - b.lpid)
      .map((partition) => snapshotPartition(model, partition)),
  };
}

/** The first place where a value differs from what the model knows of it, as a path; undefined if there is none. */
export function differenceOf(real: unknown, model: unknown, path = ""): string | undefined {
  if (Object.is(real, model)) return undefined;
  const areObjects = typeof real === "object" && typeof model === "object" && real !== null && model !== null;
  if (!areObjects) return `${path}: ${String(real)} in the table, ${String(model)} in the model`;
  const [a, b] = [real as Record<string, unknown>, model as Record<string, unknown>];
  const isList = Array.isArray(real) && Array.isArray(model);
  if (isList && real.length !== model.length)
    return `${path}: ${real.length} in the table, ${model.length} in the model`;
  for (const key of Object.keys(b)) {
    const difference = differenceOf(a[key], b[key], `${path}.${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}
