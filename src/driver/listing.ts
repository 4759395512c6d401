/** The parts of a snapshot as tables of text. */

import { extentOf, Names, printable, shortRights, standingOf } from "../inspect/words.js";
import type { TableSnapshot } from "../snapshot.js";
import { formatCount, formatTable } from "./output.js";

interface Listing {
  readonly header: readonly string[];
  /** As of formatTable(). */
  readonly alignment: string;
  rows(snapshot: TableSnapshot, names: Names): readonly (readonly string[])[];
}

function yes(is: boolean, word: string): string {
  return is ? word : "-";
}

const partitions: Listing = {
  header: [
    "lpid",
    "name",
    "state",
    "start",
    "thread",
    "own",
    "mapped",
    "lent",
    "out",
    "in",
    "rescinded",
    "pins",
    "kept",
    "copies",
  ],
  alignment: "rllrrrrrrrrrrr",
  rows: ({ partitions }) =>
    partitions.map((partition) => {
      const { lpid, name, incarnation, worker, counters } = partition;
      const count = (counter: string): string => formatCount(counters[counter] ?? 0);
      return [
        String(lpid),
        printable(name),
        standingOf(partition),
        String(incarnation),
        worker === null ? "-" : String(worker.threadId),
        ...["pagesOwned", "pagesMapped", "pagesLent", "grantsOut", "grantsIn"].map(count),
        ...["rescinded", "pins", "quarantined", "copies"].map(count),
      ];
    }),
};

const resources: Listing = {
  header: ["owner", "kind", "address", "extent", "liobn", "origin", "granted"],
  alignment: "llrrrlr",
  rows: ({ partitions }) => {
    const grants = partitions.flatMap((partition) => partition.grants);
    return partitions.flatMap(({ lpid, name, resources }) =>
      resources.map(({ type, address, length, liobn, donated }) => {
        const isOf = (grant: (typeof grants)[number]): boolean =>
          grant.from === lpid &&
          grant.type === type &&
          grant.parent === null &&
          grant.source >= address &&
          grant.source < address + length;
        return [
          printable(name),
          type,
          String(address),
          extentOf({ type, length }),
          type === "dma" ? String(liobn) : "-",
          donated ? "donated" : "assigned",
          String(grants.filter(isOf).length),
        ];
      }),
    );
  },
};

const grants: Listing = {
  header: [
    "cookie",
    "from",
    "to",
    "kind",
    "source",
    "extent",
    "at",
    "rights",
    "mode",
    "state",
    "depth",
    "parent",
    "pins",
    "kept",
  ],
  alignment: "rlllrrrlllrrrr",
  rows: ({ partitions }, names) =>
    partitions.flatMap((partition) =>
      partition.grants.map((grant) => [
        String(grant.cookie),
        names.of(grant.grantor),
        printable(partition.name),
        grant.type,
        String(grant.source),
        extentOf(grant),
        grant.address === null ? "-" : String(grant.address),
        `${shortRights(grant)}${grant.regrantable ? " regrant" : ""}`,
        `${grant.mode}${grant.zero ? " zero" : ""}${grant.copyOnWrite ? ` copy-on-write (${grant.copies})` : ""}`,
        grant.revoking ? `${grant.state}, being rescinded` : grant.state,
        String(grant.depth),
        grant.parent === null ? "-" : String(grant.parent),
        String(grant.pins),
        String(grant.quarantined),
      ]),
    ),
};

const maps: Listing = {
  header: [
    "partition",
    "kind",
    "address",
    "extent",
    "owner",
    "state",
    "rights",
    "physical",
    "pieces",
    "cookie",
  ],
  alignment: "llrrlllrrr",
  rows: ({ partitions }, names) =>
    partitions.flatMap((partition) =>
      partition.maps.map((map) => [
        printable(partition.name),
        map.type,
        String(map.address),
        extentOf(map),
        map.owner === 0 ? "-" : names.of(map.owner),
        `${map.state}${map.private ? ", copied" : ""}${map.copyOnWrite ? ", copy-on-write" : ""}`,
        shortRights(map),
        map.physical === null ? "-" : String(map.physical),
        String(map.pieces),
        map.cookie === null ? "-" : String(map.cookie),
      ]),
    ),
};

const adapters: Listing = {
  header: ["unit", "owner", "partner", "state", "used", "quota", "not returned", "queue", "queued"],
  alignment: "rlllrrrrr",
  rows: ({ partitions }, names) =>
    partitions.flatMap((partition) =>
      partition.adapters.map((adapter) => [
        String(adapter.unitAddress),
        printable(partition.name),
        adapter.partner === 0 ? "-" : names.of(adapter.partner),
        adapter.state,
        formatCount(adapter.used),
        formatCount(adapter.quota),
        formatCount(adapter.unreturned),
        adapter.queueBytes === 0 ? "-" : formatCount(adapter.queueBytes / 16),
        adapter.queueBytes === 0 ? "-" : formatCount(adapter.queued),
      ]),
    ),
};

const events: Listing = {
  header: ["number", "ms", "partition", "start", "what", "detail"],
  alignment: "rrlrll",
  rows: ({ events }, names) =>
    events.map(({ number, at, name, incarnation, type, detail, partners }) => [
      String(number),
      at.toFixed(1),
      name === "" ? "-" : printable(name),
      String(incarnation),
      printable(type),
      [printable(detail), partners.map((lpid) => names.of(lpid)).join(", ")]
        .filter((one) => one !== "")
        .join("; "),
    ]),
};

const interrupts: Listing = {
  header: ["partition", "kind", "number", "by", "pending", "masked", "armed", "in service", "cookie"],
  alignment: "llrlllllr",
  rows: ({ partitions }, names) =>
    partitions.flatMap((partition) =>
      partition.interrupts.map((line) => [
        printable(partition.name),
        line.type,
        String(line.address),
        line.from === null ? "-" : names.of(line.from),
        yes(line.pending, "pending"),
        yes(line.masked, "masked"),
        yes(line.armed, "armed"),
        yes(line.inService, "in service"),
        line.cookie === null ? "-" : String(line.cookie),
      ]),
    ),
};

const dma: Listing = {
  header: ["window of", "liobn", "bus address", "extent", "holder", "address", "rights", "state"],
  alignment: "lrrrlrll",
  rows: ({ partitions }, names) =>
    partitions.flatMap((partition) =>
      partition.tces.map((tce) => [
        printable(partition.name),
        String(tce.liobn),
        String(tce.ioba),
        extentOf({ type: "dma", length: tce.length }),
        names.of(tce.holder),
        String(tce.address),
        shortRights(tce),
        tce.dead ? "dead" : "live",
      ]),
    ),
};

const LISTINGS: Readonly<Record<ListingName, Listing>> = {
  ...{ partitions, resources, grants, maps, adapters, events, interrupts, dma },
};

export type ListingName =
  | "partitions"
  | "resources"
  | "grants"
  | "maps"
  | "adapters"
  | "events"
  | "interrupts"
  | "dma";
export const LISTING_NAMES: readonly ListingName[] = Object.keys(LISTINGS) as ListingName[];

/** One part of a snapshot as a table; "none" if there is nothing of it. */
export function formatListing(name: ListingName, snapshot: TableSnapshot): string {
  const { header, alignment, rows } = LISTINGS[name];
  const lines = rows(snapshot, new Names(snapshot));
  return lines.length === 0 ? "none" : formatTable([header, ...lines], alignment);
}

/** The same part as objects, for --json: with the partition's number where it is not in them. */
export function listingObjects(name: ListingName, { partitions, events }: TableSnapshot): readonly unknown[] {
  if (name === "events") return events;
  if (name === "partitions")
    return partitions.map(
      ({ resources, grants, maps, adapters, interrupts, tces, ...partition }) => partition,
    );
  const part = name === "dma" ? "tces" : name;
  return partitions.flatMap((partition) =>
    partition[part].map((one) => ({ partition: partition.lpid, ...one })),
  );
}

/** What `lpar ls` says without a name: the table in a few lines, and its partitions. */
export function formatOverview(snapshot: TableSnapshot): string {
  const { counters, groups } = snapshot;
  const part = (used: number, all: number): string => `${formatCount(used)} of ${formatCount(all)}`;
  const { frames = 0, framesFree = 0, framesQuarantined = 0, framesSaved = 0 } = counters;
  const kept = framesQuarantined === 0 ? "" : `, ${formatCount(framesQuarantined)} kept by views`;
  const saved = framesSaved === 0 ? "" : `, ${formatCount(framesSaved)} saved by sharing`;
  const rows = [
    ["frames", `${part(frames - framesFree, frames)} used${kept}${saved}`],
    ["structures", `${part(counters.structuresUsed ?? 0, counters.structures ?? 0)} used`],
    ["adapter ends", `${part(counters.adapterEndsUsed ?? 0, counters.adapterEnds ?? 0)} used`],
    ["revocations", `${formatCount(counters.revocations ?? 0)} under way`],
    ...groups.map(({ name, resources, members }) => [
      "group",
      `${printable(name)}: ${resources.length} resources, ${members.length} members`,
    ]),
  ];
  return `${formatTable(rows, "ll")}\n\n${formatListing("partitions", snapshot)}`;
}
