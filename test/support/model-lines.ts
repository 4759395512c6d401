/**
 * Interrupt sources and doorbells in the naive model (KI3, KI5): a line for each source or port that is mapped, and per
 * partition the ones that can be taken, in the order in which they became so. A line belongs to the mapping: when that has
 * ended nobody finds it any more, so that there is no event after a rescind.
 */
import {
  EVENT_DOORBELL,
  EVENT_INTERRUPT,
  H_CLOSED,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
} from "../../src/layout.js";
import type { Model } from "./model.js";
import {
  type Answer,
  answer,
  chainOf,
  type Entry,
  type Grant,
  isInteger,
  isUnderRevocation,
  type Line,
  type ModelEvent,
  type ModelPartition,
  type Node,
  REFUSED,
  rootOf,
} from "./model-records.js";

type LineType = "interrupt" | "ipi";

/** What can be taken, in order. */
export interface DueLine {
  readonly type: number;
  readonly from: number;
  readonly value: number;
}

function lineOf(partition: ModelPartition, entry: Entry): Line {
  const line = partition.lines.get(entry) ?? {
    ...{ raisedBy: undefined, isArmed: false, isInService: false, isMasked: false },
  };
  partition.lines.set(entry, line);
  return line;
}

/** At which number of which space an entry stands, if it does, and gives access. */
function placeOf(partition: ModelPartition, entry: Entry): readonly [LineType, number] | undefined {
  if (entry.state !== "mapped") return undefined;
  for (const type of ["interrupt", "ipi"] as const)
    for (const [number, other] of partition.spaces[type].entries) if (other === entry) return [type, number];
  return undefined;
}

/** A line has changed: what can be taken now is the last to be taken. */
function settle(partition: ModelPartition, entry: Entry): void {
  const { raisedBy, isInService, isMasked } = lineOf(partition, entry);
  const isDue = raisedBy !== undefined && !isInService && !isMasked;
  if (!isDue) partition.due = partition.due.filter((other) => other !== entry);
  else if (!partition.due.includes(entry)) partition.due.push(entry);
}

/** What is raised already is one with this. */
function raise(partition: ModelPartition, entry: Entry, from: number): void {
  const line = lineOf(partition, entry);
  line.raisedBy ??= from;
  settle(partition, entry);
}

/** What a running partition can take, in order. */
export function dueLines(partition: ModelPartition): DueLine[] {
  return partition.due.flatMap((entry) => {
    const place = placeOf(partition, entry);
    if (place === undefined) return [];
    const type = place[0] === "ipi" ? EVENT_DOORBELL : EVENT_INTERRUPT;
    return [{ type, from: lineOf(partition, entry).raisedBy ?? Number.NaN, value: place[1] }];
  });
}

/** Armed sources are pins of what they are mapped by (RE2). */
export function armedLines(partition: ModelPartition): Node[] {
  const { entries } = partition.spaces.interrupt;
  return [...entries.values()]
    .filter((entry) => entry.state === "mapped" && partition.lines.get(entry)?.isArmed === true)
    .map(({ node }) => node);
}

/** The caller's source or port at a number, or what is wrong with it. */
function examine(model: Model, lpid: number, type: LineType, number: number): Answer | Entry {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  const entry = isInteger(number) ? caller.spaces[type].entries.get(number) : undefined;
  if (entry === undefined || entry.state === "unmapped") return answer(H_PARAMETER);
  if (entry.state === "rescinded" || isUnderRevocation(entry.node)) return answer(H_RESCINDED);
  return entry;
}

/** After a grant in a walk over a tree, the newest grant first; what is being revoked hears nothing more. */
function after(root: Node, node: Node): Grant | undefined {
  const [child] = node.marked ? [] : [...node.children].reverse();
  if (child !== undefined) return child;
  for (let current = node; current !== root && current.kind === "grant"; current = current.source) {
    const siblings = [...current.source.children].reverse();
    const next = siblings[siblings.indexOf(current) + 1];
    if (next !== undefined) return next;
  }
  return undefined;
}

/** A raise reaches at most `budget` of those who have the source; R4: where to go on, 0 at the end. */
export function raiseInterrupt(
  model: Model,
  lpid: number,
  number: number,
  device: number,
  position: number,
  budget: number,
): Answer {
  const entry = examine(model, lpid, "interrupt", number);
  if ("status" in entry) return entry;
  const isPosition = position === 0 || (isInteger(position) && position <= Number.MAX_SAFE_INTEGER);
  if ((device !== 0 && device !== 1) || !isPosition) return REFUSED;
  const from = device === 1 ? 0 : lpid;
  const root = rootOf(entry.node);
  if (entry.node === root && root.children.size === 0) {
    raise(root.holder, entry, from);
    return answer(H_SUCCESS);
  }
  const first = model.grants.get(position);
  const isOfTree = first !== undefined && first.state !== "rescinded" && chainOf(first).includes(root);
  let node: Node | undefined = isOfTree ? first : root;
  for (let left = budget; left > 0 && node !== undefined; left--) {
    const sharer: ModelPartition = node.holder;
    const mapped = [...sharer.spaces.interrupt.entries.values()].find((other) => other.node === node);
    if (sharer.state === "running" && mapped?.state === "mapped") raise(sharer, mapped, from);
    node = after(root, node);
  }
  if (node === undefined) return answer(H_SUCCESS, 0);
  return answer(H_PARTIAL, node.kind === "grant" ? node.cookie : Number.NaN);
}

/** The doorbell is its elemental owner's. */
export function sendIpi(model: Model, lpid: number, number: number): Answer {
  const entry = examine(model, lpid, "ipi", number);
  if ("status" in entry) return entry;
  const root = rootOf(entry.node);
  const owner = root.holder;
  if (owner.state !== "running") return answer(H_CLOSED);
  const bell = owner.spaces.ipi.entries.get(root.page);
  if (bell !== undefined) raise(owner, bell, lpid);
  return answer(H_SUCCESS);
}

/** The caller takes what can be taken longest. R4: its number. */
export function takeLine(model: Model, lpid: number): { answer: Answer; event?: ModelEvent } {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return { answer: REFUSED };
  caller.due = caller.due.filter((entry) => placeOf(caller, entry) !== undefined);
  const [event] = caller.state === "running" ? dueLines(caller) : [];
  const [entry] = caller.due;
  if (event === undefined || entry === undefined) return { answer: answer(H_NOT_FOUND) };
  const line = lineOf(caller, entry);
  line.raisedBy = undefined;
  line.isInService = line.isArmed;
  settle(caller, entry);
  return { answer: answer(H_SUCCESS, event.value), event };
}

/** One of what a partition may do with a source of its own; `change` answers the status. */
function changeLine(
  model: Model,
  lpid: number,
  number: number,
  mode: number,
  change: (line: Line) => number,
): Answer {
  const entry = examine(model, lpid, "interrupt", number);
  if ("status" in entry) return entry;
  const caller = model.partitions.get(lpid);
  if (caller === undefined || (mode !== 0 && mode !== 1)) return REFUSED;
  const status = change(lineOf(caller, entry));
  settle(caller, entry);
  return answer(status);
}

export function armInterrupt(model: Model, lpid: number, number: number, arms: number): Answer {
  return changeLine(model, lpid, number, arms, (line) => {
    if (line.isArmed === (arms === 1)) return H_RESOURCE;
    line.isArmed = arms === 1;
    if (!line.isArmed) line.isInService = false;
    return H_SUCCESS;
  });
}

export function maskInterrupt(model: Model, lpid: number, number: number, masks: number): Answer {
  return changeLine(model, lpid, number, masks, (line) => {
    line.isMasked = masks === 1;
    return H_SUCCESS;
  });
}

/** The end of what was taken of an armed source. */
export function endInterrupt(model: Model, lpid: number, number: number): Answer {
  return changeLine(model, lpid, number, 0, (line) => {
    if (!line.isInService) return H_PARAMETER;
    line.isInService = false;
    return H_SUCCESS;
  });
}
