/** A snapshot as a graph: partitions joined by grants, or the trees of grants. Pure; drawn by graph-text.ts and graph-svg.ts. */
import type { GrantSnapshot, PartitionSnapshot, TableSnapshot } from "../snapshot.js";
import { extentOf, Names, printable, shortRights, standingOf } from "./words.js";

/** How a box or an arrow looks. Its text says the same. */
export type Look = "plain" | "failed" | "quarantined" | "rescinded" | "offered";

export interface Box {
  readonly id: string;
  /** A title and what stands below it. */
  readonly lines: readonly string[];
  readonly look: Look;
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  readonly look: Look;
}

export interface Graph {
  readonly title: string;
  /** Whether every box has at most one arrow to it, and none leads back. */
  readonly isForest: boolean;
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

function hasFailed(partition: PartitionSnapshot | undefined): boolean {
  return partition?.state === "failed" || partition?.state === "recovering";
}

function lookOf(grant: GrantSnapshot, names: Names): Look {
  if (grant.quarantined > 0) return "quarantined";
  if (grant.state === "rescinded" || grant.revoking) return "rescinded";
  if (hasFailed(names.partition(grant.grantor)) || hasFailed(names.partition(grant.to))) return "failed";
  return grant.state === "granted" ? "offered" : "plain";
}

/** Rights and extent of a grant: "r 4 pages", "rw lend 1 page". */
function whatIs(grant: GrantSnapshot): string {
  const kind = grant.type === "memory" ? "" : `${grant.type} `;
  const mode = `${grant.mode === "share" ? "" : `${grant.mode} `}${grant.copyOnWrite ? "copy-on-write " : ""}`;
  return `${kind}${shortRights(grant)} ${mode}${extentOf(grant)}`;
}

function partitionBox(partition: PartitionSnapshot): Box {
  const { lpid, name, incarnation, counters, worker } = partition;
  const { pagesOwned = 0, pagesMapped = 0 } = counters;
  const thread = worker === null ? "" : `, thread ${worker.threadId}`;
  return {
    id: `p${lpid}`,
    lines: [
      `${lpid} ${printable(name)}`,
      `${standingOf(partition)}, incarnation ${incarnation}${thread}`,
      `${pagesOwned} own, ${pagesMapped} mapped pages`,
    ],
    look: hasFailed(partition) ? "failed" : partition.state === "stopped" ? "rescinded" : "plain",
  };
}

const LOOK_WORDS: Readonly<Record<Look, string>> = {
  plain: "",
  failed: "failed: ",
  quarantined: "quarantined: ",
  rescinded: "rescinded: ",
  offered: "offered: ",
};

/** Adds up what is granted alike, in pages where it has pages: "rw 12 pages, r 1 page". */
function summary(grants: readonly GrantSnapshot[]): string {
  const sums: Map<string, { first: GrantSnapshot; length: number }> = new Map();
  for (const grant of grants) {
    const key = whatIs({ ...grant, length: 4096 });
    const sum = sums.get(key);
    if (sum === undefined) sums.set(key, { first: grant, length: grant.length });
    else sum.length += grant.length;
  }
  return [...sums.values()].map(({ first, length }) => whatIs({ ...first, length })).join(", ");
}

/** Partitions as boxes, what one has granted to another as an arrow: one for each pair and look. */
export function partitionGraph(snapshot: TableSnapshot): Graph {
  const names = new Names(snapshot);
  const bundles: Map<string, GrantSnapshot[]> = new Map();
  const gone = new Set<number>();
  for (const grant of snapshot.partitions.flatMap(({ grants }) => grants)) {
    if (names.partition(grant.grantor) === undefined) gone.add(grant.grantor);
    const key = `${grant.grantor} ${grant.to} ${lookOf(grant, names)}`;
    const bundle = bundles.get(key);
    if (bundle === undefined) bundles.set(key, [grant]);
    else bundle.push(grant);
  }
  const arrows = Array.from(bundles, ([key, grants]): Arrow => {
    const [from, to, look] = key.split(" ") as [string, string, Look];
    const quarantined = grants.reduce((sum, grant) => sum + grant.quarantined, 0);
    const kept = quarantined === 0 ? "" : ` (${quarantined} kept by views)`;
    return { from: `p${from}`, to: `p${to}`, label: `${LOOK_WORDS[look]}${summary(grants)}${kept}`, look };
  });
  const strangers = Array.from(gone, (lpid): Box => ({ id: `p${lpid}`, lines: ["gone"], look: "rescinded" }));
  return {
    title: "Partitions and grants",
    isForest: false,
    boxes: [...snapshot.partitions.map(partitionBox), ...strangers],
    arrows,
  };
}

/** The first resource of a partition in which a range lies. */
function resourceAt(partition: PartitionSnapshot | undefined, grant: GrantSnapshot): number {
  return (
    partition?.resources.findIndex(
      ({ type, address, length }) =>
        type === grant.type && grant.source >= address && grant.source + grant.length <= address + length,
    ) ?? -1
  );
}

/** Resources as roots, grants below what they were granted from. Resources of which nothing is granted are left out. */
export function treeGraph(snapshot: TableSnapshot): Graph {
  const names = new Names(snapshot);
  const roots: Map<string, Box> = new Map();
  const boxes: Box[] = [];
  const arrows: Arrow[] = [];
  const cookies = new Set(snapshot.partitions.flatMap(({ grants }) => grants.map(({ cookie }) => cookie)));
  const rootOf = (grant: GrantSnapshot): string => {
    const partition = names.partition(grant.from);
    const index = resourceAt(partition, grant);
    const resource = partition?.resources[index];
    const cutOff: Box = { id: "cut", lines: ["rescinded, not returned"], look: "rescinded" };
    const box: Box =
      resource === undefined
        ? cutOff
        : {
            id: `r${grant.from}_${index}`,
            lines: [names.of(grant.from), `${resource.type} ${extentOf(resource)} at ${resource.address}`],
            look: hasFailed(partition) ? "failed" : "plain",
          };
    roots.set(box.id, box);
    return box.id;
  };
  for (const grant of snapshot.partitions.flatMap(({ grants }) => grants)) {
    const look = lookOf(grant, names);
    const id = `g${grant.cookie}`;
    const at = grant.address === null ? "" : ` at ${grant.address}`;
    boxes.push({
      id,
      lines: [
        `${names.of(grant.to)}: ${whatIs(grant)}${at}`,
        `${LOOK_WORDS[look]}${grant.state}, cookie ${grant.cookie}`,
      ],
      look,
    });
    const isBelowGrant = grant.parent !== null && cookies.has(grant.parent);
    const from = isBelowGrant ? `g${grant.parent}` : rootOf(grant);
    arrows.push({ from, to: id, label: "", look });
  }
  return { title: "Trees of grants", isForest: true, boxes: [...roots.values(), ...boxes], arrows };
}
