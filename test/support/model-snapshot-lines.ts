/** The naive model's interrupt sources, ports, windows and maps, as inspect() shows them. */
import type { TableSnapshot } from "../../src/index.js";
import { INHIBIT_READ, INHIBIT_WRITE, NEED_READ, NEED_WRITE, PAGE_BYTES } from "../../src/layout.js";
import type { Model } from "./model.js";
import { isLent } from "./model-lend.js";
import {
  type Entry,
  type ModelPartition,
  type Node,
  RESOURCE_TYPES,
  rootOf,
  unitOf,
} from "./model-records.js";
import { tceAt } from "./model-tces.js";

type KnownPartition = TableSnapshot["partitions"][number];
type KnownLine = KnownPartition["interrupts"][number];
type KnownTce = KnownPartition["tces"][number];
type KnownMap = KnownPartition["maps"][number];

/** What a partition has at addresses of its own, by kind and address. */
function nodesOf(model: Model, partition: ModelPartition): Node[] {
  const held = [...model.grants.values()].filter(
    ({ holder, state }) => holder === partition && (state === "shared" || state === "rescinded"),
  );
  return [...partition.resources, ...held].sort(
    (a, b) => RESOURCE_TYPES.indexOf(a.type) - RESOURCE_TYPES.indexOf(b.type) || a.page - b.page,
  );
}

function cookieOf(node: Node): number | null {
  return node.kind === "grant" ? node.cookie : null;
}

/** What was raised, masked and armed at each source and port that still gives access. */
export function snapshotLines(model: Model, partition: ModelPartition): KnownLine[] {
  const lines: KnownLine[] = [];
  for (const node of nodesOf(model, partition)) {
    const { type } = node;
    if ((type !== "interrupt" && type !== "ipi") || (node.kind === "grant" && node.state !== "shared"))
      continue;
    const entry = partition.spaces[type].entries.get(node.page);
    const line = entry?.state === "mapped" ? partition.lines.get(entry) : undefined;
    lines.push({
      type,
      address: node.page,
      cookie: cookieOf(node),
      pending: line?.raisedBy !== undefined,
      masked: line?.isMasked ?? false,
      armed: line?.isArmed ?? false,
      inService: line?.isInService ?? false,
      from: line?.raisedBy ?? null,
    });
  }
  return lines;
}

/** Whether what a node gave is being taken away, or gone. */
function isGone(node: Node): boolean {
  const stands = node.kind === "grant" ? node.state === "shared" : node.holder.resources.includes(node);
  return !stands || node.named || node.marked;
}

/** What stands behind the windows of a partition; neighbours that go on where the one before ends are one. */
export function snapshotTces(model: Model, owner: ModelPartition): KnownTce[] {
  const tces: KnownTce[] = [];
  for (const { type, page: first, pageCount, liobn } of owner.resources) {
    if (type !== "dma") continue;
    let last: KnownTce | undefined;
    for (let page = first; page < first + pageCount; page++) {
      const tce = tceAt(model, owner, page);
      if (tce === undefined) continue;
      const one = {
        liobn,
        ioba: page * PAGE_BYTES,
        length: PAGE_BYTES,
        holder: tce.pane.holder.lpid,
        address: tce.memoryPage * PAGE_BYTES,
        readable: (tce.rights & NEED_READ) !== 0,
        writable: (tce.rights & NEED_WRITE) !== 0,
        dead: isGone(tce.memory) || isGone(tce.pane),
      };
      const goesOn =
        last !== undefined &&
        last.ioba + last.length === one.ioba &&
        last.address + last.length === one.address &&
        (["holder", "readable", "writable", "dead"] as const).every((key) => last?.[key] === one[key]);
      if (goesOn && last !== undefined) tces[tces.length - 1] = { ...last, length: last.length + PAGE_BYTES };
      else tces.push(one);
      last = tces.at(-1);
    }
  }
  return tces.sort((a, b) => a.liobn - b.liobn || a.ioba - b.ioba);
}

/** A page of a map, before runs of pages are joined. */
function snapshotPage(node: Node, page: number, entry: Entry): KnownMap {
  const unit = unitOf(node.type);
  const isMapped = entry.state === "mapped";
  const isOut = isMapped && isLent(node, page);
  const isCopied = node.kind === "grant" && node.isCopyOnWrite;
  const has = (inhibit: number): boolean => isMapped && !isOut && (node.inhibits & inhibit) === 0;
  return {
    type: node.type,
    address: page * unit,
    length: unit,
    owner: node.kind === "grant" && node.state === "rescinded" ? 0 : rootOf(node).holder.lpid,
    cookie: cookieOf(node),
    state: !isMapped ? "rescinded" : isOut ? "lent" : node.kind === "resource" ? "own" : "mapped",
    readable: has(INHIBIT_READ),
    writable: isMapped && !isOut && (isCopied || has(INHIBIT_WRITE)),
    copyOnWrite: isMapped && entry.copiesFirst,
    private: entry.isPrivate,
    physical: isMapped ? entry.frame.physical * unit : null,
    pieces: isMapped ? 1 : 0,
  };
}

/** What makes two neighbouring pages of a node two runs. */
function lookOf(node: Node, page: number, { state, copiesFirst, isPrivate }: Entry): string {
  const isMapped = state === "mapped";
  return `${state} ${isMapped && copiesFirst} ${isPrivate} ${isMapped && isLent(node, page)}`;
}

/** What a partition reaches where, in runs of pages that are alike. */
export function snapshotMaps(model: Model, partition: ModelPartition): KnownMap[] {
  const maps: KnownMap[] = [];
  for (const node of nodesOf(model, partition)) {
    const { entries } = partition.spaces[node.type];
    const end = node.page + node.pageCount;
    for (let page = node.page; page < end; ) {
      const first = entries.get(page);
      if (first === undefined || first.state === "unmapped") {
        page++;
        continue;
      }
      const run = snapshotPage(node, page, first);
      const look = lookOf(node, page, first);
      let { pieces } = run;
      let last = first;
      const start = page;
      for (page++; page < end; page++) {
        const entry = entries.get(page);
        if (entry === undefined || lookOf(node, page, entry) !== look) break;
        if (pieces > 0 && entry.frame.physical !== last.frame.physical + 1) pieces++;
        last = entry;
      }
      maps.push({ ...run, length: (page - start) * unitOf(node.type), pieces });
    }
  }
  return maps;
}
