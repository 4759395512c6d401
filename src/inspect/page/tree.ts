/** The trees of grants, in the inspector's page: a tree as screen readers know it, moved through by arrow keys. */
import type { GrantSnapshot, ResourceSnapshot, TableSnapshot } from "../../snapshot.js";
import { extentOf, Names, shortRights } from "../words.js";
import { html } from "./dom.js";

/** More than that are told by number: nobody reads them here. */
const GRANTS_MAX = 2000;

/** What the user has closed, by key, so that it stays closed in the next picture. */
const closed = new Set<string>();

function grantText(grant: GrantSnapshot, names: Names): (HTMLElement | string)[] {
  const { cookie, to, mode, copyOnWrite, state, address, quarantined, revoking, regrantable } = grant;
  const how = `${mode === "share" ? "" : `, ${mode}`}${copyOnWrite ? ", copy-on-write" : ""}${regrantable ? "" : ", no re-grant"}`;
  const at = address === null ? "" : ` at ${address}`;
  const text = `${names.of(to)}: ${grant.type} ${shortRights(grant)}, ${extentOf(grant)}${at}${how} `;
  const kept = quarantined === 0 ? "" : `, ${quarantined} kept by views`;
  const style = state === "rescinded" || revoking ? "bad" : state === "granted" ? "warn" : "faint";
  const standing = state === "granted" ? "not accepted" : state;
  return [
    text,
    html("span", { class: style }, `${standing}${kept}`),
    html("span", { class: "faint" }, `, cookie ${cookie}`),
  ];
}

interface Item {
  readonly key: string;
  readonly content: readonly (HTMLElement | string)[];
  readonly children: readonly Item[];
}

function draw({ key, content, children }: Item, level: number): HTMLElement {
  const element = html(
    "li",
    { role: "treeitem", "aria-level": level, "data-key": key, tabindex: -1 },
    html("div", { class: "row" }, ...content),
  );
  if (children.length === 0) return element;
  element.setAttribute("aria-expanded", String(!closed.has(key)));
  element.append(html("ul", { role: "group" }, ...children.map((child) => draw(child, level + 1))));
  return element;
}

function setOpen(item: HTMLElement, isOpen: boolean): void {
  if (!item.hasAttribute("aria-expanded")) return;
  item.setAttribute("aria-expanded", String(isOpen));
  const key = item.dataset.key ?? "";
  if (isOpen) closed.delete(key);
  else closed.add(key);
}

function parentOf(item: HTMLElement): HTMLElement | null {
  return item.parentElement?.closest<HTMLElement>('[role="treeitem"]') ?? null;
}

/** Items that can be seen, from top to bottom. */
function visible(tree: HTMLElement): HTMLElement[] {
  const items = [...tree.querySelectorAll<HTMLElement>('[role="treeitem"]')];
  return items.filter((item) => {
    for (let above = parentOf(item); above !== null; above = parentOf(above))
      if (above.getAttribute("aria-expanded") === "false") return false;
    return true;
  });
}

function focus(tree: HTMLElement, item: HTMLElement | null | undefined): void {
  if (item === null || item === undefined) return;
  for (const one of tree.querySelectorAll<HTMLElement>('[role="treeitem"]'))
    one.tabIndex = one === item ? 0 : -1;
  item.focus();
}

function onKey(tree: HTMLElement, event: KeyboardEvent): void {
  const item = (event.target as HTMLElement).closest<HTMLElement>('[role="treeitem"]');
  if (item === null) return;
  const items = visible(tree);
  const index = items.indexOf(item);
  const isOpen = item.getAttribute("aria-expanded");
  const actions: Readonly<Record<string, () => void>> = {
    ArrowDown: () => focus(tree, items[index + 1]),
    ArrowUp: () => focus(tree, items[index - 1]),
    Home: () => focus(tree, items[0]),
    End: () => focus(tree, items.at(-1)),
    ArrowRight: () =>
      isOpen === "false" ? setOpen(item, true) : isOpen === "true" && focus(tree, items[index + 1]),
    ArrowLeft: () => (isOpen === "true" ? setOpen(item, false) : focus(tree, parentOf(item))),
    Enter: () => setOpen(item, isOpen === "false"),
    " ": () => setOpen(item, isOpen === "false"),
  };
  const action = actions[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
}

function contains({ type, address, length }: ResourceSnapshot, grant: GrantSnapshot): boolean {
  return type === grant.type && grant.source >= address && grant.source + grant.length <= address + length;
}

/** The items of a snapshot: resources of which something is granted, and what was cut off. */
function itemsOf(snapshot: TableSnapshot, grants: readonly GrantSnapshot[]): Item[] {
  const names = new Names(snapshot);
  const below: Map<number, GrantSnapshot[]> = new Map();
  for (const grant of grants) {
    if (grant.parent === null) continue;
    const list = below.get(grant.parent);
    if (list === undefined) below.set(grant.parent, [grant]);
    else list.push(grant);
  }
  const item = (grant: GrantSnapshot): Item => ({
    key: `g${grant.cookie}`,
    content: grantText(grant, names),
    children: (below.get(grant.cookie) ?? []).map(item),
  });
  const roots = snapshot.partitions.flatMap(({ lpid, name, resources }) =>
    resources.flatMap((resource, index): Item[] => {
      const own = grants.filter(
        (grant) => grant.parent === null && grant.from === lpid && contains(resource, grant),
      );
      const text = `${name}: ${resource.type}, ${extentOf(resource)} at ${resource.address}`;
      return own.length === 0 ? [] : [{ key: `r${lpid}.${index}`, content: [text], children: own.map(item) }];
    }),
  );
  const cutOff = grants.filter(({ from }) => from === 0);
  if (cutOff.length > 0)
    roots.push({ key: "cut", content: ["rescinded, not returned"], children: cutOff.map(item) });
  return roots;
}

/** All trees. */
export function grantTree(snapshot: TableSnapshot): HTMLElement[] {
  const all = snapshot.partitions.flatMap(({ grants }) => grants);
  const items = itemsOf(snapshot, all.slice(0, GRANTS_MAX));
  if (items.length === 0) return [html("p", { class: "note" }, "nothing is granted")];
  const tree = html(
    "ul",
    { class: "tree", role: "tree", "aria-label": "Grants" },
    ...items.map((item) => draw(item, 1)),
  );
  const first = tree.querySelector<HTMLElement>('[role="treeitem"]');
  if (first !== null) first.tabIndex = 0;
  tree.addEventListener("keydown", (event) => onKey(tree, event));
  tree.addEventListener("click", (event) => {
    const item = (event.target as HTMLElement).closest<HTMLElement>('[role="treeitem"]');
    if (item === null) return;
    setOpen(item, item.getAttribute("aria-expanded") === "false");
    focus(tree, item);
  });
  const rest = all.length - GRANTS_MAX;
  return rest > 0 ? [tree, html("p", { class: "note" }, `and ${rest} more grants`)] : [tree];
}
