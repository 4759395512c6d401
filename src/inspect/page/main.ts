/** The inspector's page: asks for the snapshot once a second, and draws again what has changed. */
import type { TableSnapshot } from "../../snapshot.js";
import { byId, replace } from "./dom.js";
import { partitionTable, totals } from "./partitions.js";
import { mapStrips } from "./strips.js";
import { timeline } from "./timeline.js";
import { grantTree } from "./tree.js";

const PERIOD_MS = 1000;

interface Seen {
  readonly text: string;
  readonly snapshot: TableSnapshot;
  readonly now: number | undefined;
}

let seen: Seen | undefined;
let isPaused = false;

function body(section: string): Element {
  return byId(section).querySelector(".body") as Element;
}

/** Draws a section if what it is made from has changed. */
const drawn: Map<string, string> = new Map();
function section(
  id: string,
  madeFrom: unknown,
  draw: () => readonly Element[],
  into: Element = body(id),
): void {
  const text = JSON.stringify(madeFrom);
  if (drawn.get(id) === text) return;
  drawn.set(id, text);
  replace(into, ...draw());
}

function show({ snapshot, now }: Seen): void {
  const { partitions, counters, events } = snapshot;
  section("totals", counters, () => totals(snapshot), byId("totals"));
  const lines = partitions.map(({ maps, grants, resources, interrupts, tces, adapters, ...line }) => line);
  section("partitions", lines, () => [partitionTable(snapshot)]);
  section(
    "maps",
    partitions.map(({ lpid, name, maps }) => [lpid, name, maps]),
    () => mapStrips(snapshot),
  );
  const trees = partitions.map(({ name, grants, resources }) => [name, grants, resources]);
  section("grants", trees, () => grantTree(snapshot));
  const isToScale = (byId("to-scale") as HTMLInputElement).checked;
  const isOver = partitions.every(({ state }) => state === "running" || state === "stopped");
  // While something is under way it grows with the time; else only with what happens.
  showTimeline([events, isToScale, isOver ? 0 : now], () => timeline(snapshot, now, isToScale));
}

function showTimeline(madeFrom: unknown, draw: () => readonly Element[]): void {
  const lanes = byId("timeline").querySelector(".lanes-scroll");
  const wasAtEnd = lanes === null || lanes.scrollLeft + lanes.clientWidth >= lanes.scrollWidth - 8;
  section("timeline", madeFrom, draw);
  const next = byId("timeline").querySelector(".lanes-scroll");
  // What is newest stands at the right; who has scrolled away from it stays there.
  if (next !== null && next !== lanes)
    next.scrollLeft = wasAtEnd ? next.scrollWidth : (lanes?.scrollLeft ?? 0);
}

async function look(): Promise<void> {
  const answer = await fetch("snapshot.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`${answer.status} ${(await answer.text()).trim()}`);
  const text = await answer.text();
  const now = answer.headers.get("lpar-now");
  const name = decodeURIComponent(answer.headers.get("lpar-name") ?? "");
  byId("name").textContent = name;
  document.title = `lpar ${name}`;
  const isNew = text !== seen?.text;
  seen = {
    text,
    snapshot: isNew ? JSON.parse(text) : seen?.snapshot,
    now: now === null ? undefined : Number(now),
  };
  show(seen);
  if (isNew) (byId("graph") as HTMLImageElement).src = `graph.svg?${Date.now()}`;
}

let told = "";
/** Said aloud by screen readers, so only when it changes. */
function tell(text: string, isBad: boolean): void {
  if (text === told) return;
  told = text;
  byId("status").textContent = text;
  byId("status").className = isBad ? "bad" : "faint";
}

async function turn(): Promise<void> {
  if (!isPaused && document.visibilityState === "visible") {
    try {
      await look();
      tell("live, once a second", false);
    } catch (error) {
      tell(
        `no answer: what is shown may be old (${error instanceof Error ? error.message : String(error)})`,
        true,
      );
    }
  }
  setTimeout(() => void turn(), PERIOD_MS);
}

byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  if (isPaused) tell("paused", false);
});
byId("to-scale").addEventListener("change", () => {
  if (seen !== undefined) show(seen);
});
byId("audit").addEventListener("click", async () => {
  const place = byId("audited");
  try {
    const { problems, checked } = await (await fetch("audit.json", { cache: "no-store" })).json();
    place.textContent = `${problems.length} problems, ${checked} facts checked ${problems.slice(0, 3).join("; ")}`;
    place.className = problems.length === 0 ? "faint" : "bad";
  } catch (error) {
    place.textContent = `no audit (${error instanceof Error ? error.message : String(error)})`;
    place.className = "bad";
  }
});
void turn();
