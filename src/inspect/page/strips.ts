/** What each partition reaches, as strips of pages, in the inspector's page. */
import type { MapSnapshot, PartitionSnapshot, TableSnapshot } from "../../snapshot.js";
import { extentOf, Names, shortRights } from "../words.js";
import { html, rove } from "./dom.js";

const COLOURS = 7;
/** Runs of one strip that are shown; the rest is told in words. */
const RUNS_MAX = 400;

function colourOf(owner: number): string {
  return owner === 0 ? "o0" : `o${((owner - 1) % COLOURS) + 1}`;
}

function describe(map: MapSnapshot, names: Names): string {
  const { type, address, length, owner, state, private: isCopy, copyOnWrite, physical, pieces, cookie } = map;
  const whose = owner === 0 ? "nobody's any more" : `owner ${owner} ${names.of(owner)}`;
  const where =
    physical === null ? "" : `, physical ${physical} in ${pieces} ${pieces === 1 ? "piece" : "pieces"}`;
  const how = `${isCopy ? ", a copy of its own" : ""}${copyOnWrite ? ", copied at the first write" : ""}`;
  const by = cookie === null ? "" : `, cookie ${cookie}`;
  return `${type} ${address} to ${address + length - 1}, ${extentOf(map)}: ${state}, ${shortRights(map)}, ${whose}${how}${by}${where}`;
}

function run(map: MapSnapshot, names: Names, key: string): HTMLElement {
  const { owner, state, readable, writable, length } = map;
  const fill = state === "rescinded" || state === "lent" ? " barred" : readable && writable ? "" : " striped";
  const kind = map.private ? " copy" : map.copyOnWrite ? " copy-on-write" : "";
  const what = state === "rescinded" ? "taken" : state === "lent" ? "lent" : `${shortRights(map)}${kind}`;
  const text = describe(map, names);
  const style = `run ${colourOf(owner)}${fill}`;
  const element = html(
    "div",
    {
      class: style,
      role: "option",
      "aria-selected": "false",
      "aria-label": text,
      title: text,
      "data-key": key,
    },
    `${owner === 0 ? "" : `${owner} `}${what}`,
  );
  // By its square root: a page can still be seen beside a million.
  element.style.flexGrow = String(
    Math.round(Math.sqrt(length / (map.type === "interrupt" || map.type === "ipi" ? 1 : 4096)) * 10),
  );
  return element;
}

function strip(partition: PartitionSnapshot, type: MapSnapshot["type"], names: Names): HTMLElement[] {
  const maps = partition.maps.filter((map) => map.type === type);
  const detail = html("div", { class: "detail", "aria-hidden": "true" });
  const runs: HTMLElement[] = [];
  const items: HTMLElement[] = [];
  let end = 0;
  for (const map of maps.slice(0, RUNS_MAX)) {
    if (map.address > end)
      items.push(html("div", { class: "run gap", "aria-hidden": "true" }, "\u00b7\u00b7"));
    end = map.address + map.length;
    const element = run(map, names, `${partition.lpid} ${type} ${map.address}`);
    runs.push(element);
    items.push(element);
  }
  rove(runs, (element) => {
    for (const one of runs) one.setAttribute("aria-selected", String(one === element));
    detail.textContent = element.getAttribute("aria-label");
  });
  const label = `${type} of ${partition.lpid} ${partition.name}`;
  const list = html(
    "div",
    { class: "strip", role: "listbox", "aria-orientation": "horizontal", "aria-label": label },
    ...items,
  );
  const rest =
    maps.length > RUNS_MAX ? [html("p", { class: "note" }, `and ${maps.length - RUNS_MAX} more runs`)] : [];
  return [list, detail, ...rest];
}

/** A strip for each partition and kind of which it has something. */
export function mapStrips(snapshot: TableSnapshot): HTMLElement[] {
  const names = new Names(snapshot);
  const legend = html(
    "p",
    { class: "legend" },
    ...snapshot.partitions.map(({ lpid, name }) =>
      html("span", { class: colourOf(lpid) }, `${lpid} ${name}`),
    ),
  );
  const strips = snapshot.partitions.flatMap((partition) => {
    const types = new Set(partition.maps.map(({ type }) => type));
    return Array.from(types).flatMap((type) => [
      html("h3", {}, `${partition.lpid} ${partition.name}: ${type}`),
      ...strip(partition, type, names),
    ]);
  });
  return strips.length === 0 ? [html("p", { class: "note" }, "nothing is mapped")] : [legend, ...strips];
}
