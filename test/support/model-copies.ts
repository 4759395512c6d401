/**
 * Pages that are copied before they are written, in the naive model: those of copy-on-write grants, and those that stand on one
 * frame with equal pages (section 12 of the contract; 6.3.2 of DESIGN.md). A frame is whose entries name it, and is counted
 * by looking at all of them.
 */
import {
  H_NO_MEM,
  H_NOT_FOUND,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_READ,
  PAGE_BYTES,
} from "../../src/layout.js";
import type { Model } from "./model.js";
import { isLent } from "./model-lend.js";
import {
  type Answer,
  answer,
  type Entry,
  ensure,
  type Frame,
  type Grant,
  isInteger,
  isUnderRevocation,
  type ModelPartition,
  nameOf,
  REFUSED,
} from "./model-records.js";

/** Whether the frame of an entry goes when the entry does: not one that it has by a grant. */
export function isOwn({ node, isPrivate }: Entry): boolean {
  return node.kind === "resource" || isPrivate;
}

/** Whether a write to a page must not reach its frame, since others that are not its sharers stand on it. */
function needsFrame(model: Model, entry: Entry): boolean {
  return entry.copiesFirst && !(isOwn(entry) && model.standingOn(entry.frame) === 1);
}

function entriesOf({ spaces: { memory } }: ModelPartition, page: number, pageCount: number): Entry[] {
  return Array.from({ length: pageCount }, (_, index) => memory.entries.get(page + index)).filter(
    (entry) => entry?.state === "mapped",
  ) as Entry[];
}

/** Makes pages ready to be written. Who is alone on a frame keeps it, all others get free ones, together if they fit. */
export function splitPages(
  model: Model,
  partition: ModelPartition,
  page: number,
  pageCount: number,
): typeof H_SUCCESS | typeof H_NO_MEM {
  const entries = entriesOf(partition, page, pageCount).filter(({ copiesFirst }) => copiesFirst);
  if (entries.length === 0) return H_SUCCESS;
  const wanted = entries.filter((entry) => needsFrame(model, entry)).length;
  if (wanted > model.framesFree()) return H_NO_MEM;
  const free = [...model.freeFrames()];
  const run = free.findIndex((first, index) => free[index + wanted - 1] === first + wanted - 1);
  const places = free.slice(Math.max(run, 0));
  for (const entry of entries) {
    const isAlone = !needsFrame(model, entry);
    entry.copiesFirst = false;
    if (isAlone) continue;
    const physical = places.shift() ?? Number.NaN;
    entry.frame = { physical, bytes: entry.frame.bytes.slice(), pins: 0 };
    entry.isPrivate = entry.node.kind === "grant";
  }
  return H_SUCCESS;
}

/** As splitPages(), of the bytes of a range that was examined. */
export function makeWritable(
  model: Model,
  partition: ModelPartition,
  address: number,
  length: number,
): typeof H_SUCCESS | typeof H_NO_MEM {
  if (length === 0) return H_SUCCESS;
  const first = Math.floor(address / PAGE_BYTES);
  return splitPages(model, partition, first, Math.floor((address + length - 1) / PAGE_BYTES) - first + 1);
}

/** The private pages that a mapping has not given back. */
export function privatePages(grant: Grant): readonly (readonly [page: number, entry: Entry])[] {
  if (!grant.isCopyOnWrite) return [];
  return [...grant.holder.spaces.memory.entries].filter(
    ([, { node, isPrivate }]) => node === grant && isPrivate,
  );
}

/** Which of its private pages a mapping has given back, which has lost its access, is learnt. Answers how many. */
export function learnReleased(model: Model, grant: Grant, quarantine: (frame: Frame) => void): number {
  const released = privatePages(grant).filter(([page]) => !model.observed.isPrivate(grant.holder.lpid, page));
  for (const [page, entry] of released) {
    ensure(entry.state !== "mapped", () => `page ${page} of ${nameOf(grant)} was given back in use`);
    entry.isPrivate = false;
    if (entry.frame.pins > 0) quarantine(entry.frame);
  }
  return released.length;
}

// ---------------------------------------------------------------- merging

/** Whether no other mapping must follow a page, so that it can be merged. */
export function mayMerge({ spaces: { memory } }: ModelPartition, page: number): boolean {
  const entry = memory.entries.get(page);
  if (entry?.state !== "mapped") return false;
  const { node } = entry;
  if ((node.inhibits & INHIBIT_READ) !== 0 || isLent(node, page)) return false;
  return node.kind === "resource" ? node.children.size === 0 : entry.isPrivate;
}

/** The page, if it may be merged now. */
function mergeable(model: Model, partition: ModelPartition, page: number): Entry | undefined {
  const entry = partition.spaces.memory.entries.get(page);
  if (entry === undefined || !mayMerge(partition, page)) return undefined;
  if (isUnderRevocation(entry.node) || entry.frame.pins > 0) return undefined;
  const hasQueue = [...model.ends].some(
    ({ owner, queue }) =>
      owner === partition && queue !== undefined && page >= queue.page && page < queue.page + queue.pageCount,
  );
  return hasQueue && !entry.isPrivate ? undefined : entry;
}

/** Two equal pages come to stand on one frame: that of the first. R4: whether the second has moved. */
export function mergePages(
  model: Model,
  lpid: number,
  address: number,
  otherLpid: number,
  otherAddress: number,
): Answer {
  const partition = model.partitions.get(lpid);
  const other = model.partitions.get(otherLpid);
  if (partition === undefined || other === undefined) return REFUSED;
  if (partition.state !== "running" || other.state !== "running") return answer(H_RESCINDED);
  const most = model.options.spaces.memory * PAGE_BYTES;
  const isPage = (value: number): boolean => isInteger(value) && value % PAGE_BYTES === 0 && value < most;
  if (!isPage(address) || !isPage(otherAddress)) return REFUSED;
  const entry = mergeable(model, partition, address / PAGE_BYTES);
  const otherEntry = mergeable(model, other, otherAddress / PAGE_BYTES);
  if (entry === undefined || otherEntry === undefined) return answer(H_RESOURCE);
  if (entry.frame === otherEntry.frame) return answer(H_SUCCESS, 0);
  if (Buffer.compare(entry.frame.bytes, otherEntry.frame.bytes) !== 0) return answer(H_NOT_FOUND);
  otherEntry.frame = entry.frame;
  entry.copiesFirst = true;
  otherEntry.copiesFirst = true;
  return answer(H_SUCCESS, 1);
}
