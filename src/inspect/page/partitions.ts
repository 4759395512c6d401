/** Partitions and totals, in the inspector's page. */
import type { PartitionSnapshot, TableSnapshot } from "../../snapshot.js";
import { standingOf } from "../words.js";
import { html, svg, table } from "./dom.js";

const MARKS: Readonly<Record<PartitionSnapshot["state"], string>> = {
  running: "\u25cf",
  failed: "\u2716",
  recovering: "\u21bb",
  stopped: "\u25cb",
};

/** A state as a sign and in words. */
export function stateOf(partition: PartitionSnapshot): HTMLElement {
  const { state } = partition;
  const style = state === "failed" ? "bad" : state === "recovering" ? "warn" : "";
  return html("span", { class: style }, `${MARKS[state]} ${standingOf(partition)}`);
}

/** One line for each partition. */
export function partitionTable({ partitions }: TableSnapshot): HTMLElement {
  const header = ["lpid", "name", "state", "incarnation", "thread", "restarts"];
  const counted = ["own pages", "mapped", "lent", "granted", "given", "rescinded", "pins", "kept", "copies"];
  const rows = partitions.map((partition) => {
    const { lpid, name, incarnation, worker, restarts, counters } = partition;
    const names = ["pagesOwned", "pagesMapped", "pagesLent", "grantsOut", "grantsIn"];
    const more = ["rescinded", "pins", "quarantined", "copies"];
    return [
      String(lpid),
      name,
      stateOf(partition),
      String(incarnation),
      worker === null ? "\u2013" : String(worker.threadId),
      String(restarts),
      ...[...names, ...more].map((counter) => String(counters[counter] ?? 0)),
    ];
  });
  const numbers = new Set([0, 3, 4, 5, ...counted.map((_, index) => header.length + index)]);
  return table([...header, ...counted], rows, numbers);
}

function total(label: string, used: number, all: number): HTMLElement {
  const share = all === 0 ? 0 : Math.min(1, used / all);
  const bar = svg(
    "svg",
    { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: 100, height: 4 }),
    svg("rect", { width: share * 100, height: 4 }),
  );
  const text = html("b", {}, used.toLocaleString("en-US"));
  return html(
    "div",
    { class: "total" },
    html("div", {}, label),
    text,
    ` of ${all.toLocaleString("en-US")}`,
    bar,
  );
}

/** What is used of what there is. */
export function totals({ counters }: TableSnapshot): HTMLElement[] {
  const count = (name: string): number => counters[name] ?? 0;
  const frames = count("frames");
  return [
    total("frames used", frames - count("framesFree"), frames),
    total("frames kept by views", count("framesQuarantined"), frames),
    total("control structures used", count("structuresUsed"), count("structures")),
    total("adapter ends used", count("adapterEndsUsed"), count("adapterEnds")),
  ];
}
