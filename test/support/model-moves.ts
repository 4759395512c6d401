/**
 * Pages that move, in the naive model: migrate() and compact() (section 12 of the contract), and what every move has in
 * common. Which frame a page gets is learnt from the real table; that it was free, that nobody else moved, that a move was
 * due, and which answer is due, is not.
 */
import { H_NO_MEM, H_PARTIAL, H_RESCINDED, H_RESOURCE, H_SUCCESS, PAGE_BYTES } from "../../src/layout.js";
import type { Model } from "./model.js";
import { splitPages } from "./model-copies.js";
import {
  type Answer,
  answer,
  type Entry,
  ensure,
  type Frame,
  isBudget,
  isInteger,
  type ModelPartition,
  owns,
  REFUSED,
} from "./model-records.js";

/** Whoever has access to the page keeps it, at the same addresses; the content comes along. */
export function moveFrame(model: Model, old: Frame, physical: number): Frame {
  const fresh = model.frame(physical, old.bytes.slice());
  for (const partition of model.partitions.values()) {
    for (const other of partition.spaces.memory.entries.values()) {
      if (other.frame === old && other.state === "mapped") other.frame = fresh;
    }
  }
  return fresh;
}

/** A page of a partition's own memory. */
function own(partition: ModelPartition, page: number): Entry {
  const entry = partition.spaces.memory.entries.get(page);
  if (entry?.node.kind !== "resource")
    throw new Error(`partition ${partition.lpid} does not own page ${page}`);
  return entry;
}

function frameOf(partition: ModelPartition, page: number): number {
  return own(partition, page).frame.physical;
}

/** How many pages from one on stand on frames one after the other, at most `most`. */
function together(partition: ModelPartition, page: number, most: number): number {
  let count = 1;
  while (count < most && frameOf(partition, page + count) === frameOf(partition, page) + count) count++;
  return count;
}

/** Where runs of so many free frames begin. */
function freeRuns(free: ReadonlySet<number>, count: number): number[] {
  return [...free].filter((first) => areFree(free, first, count));
}

function areFree(free: ReadonlySet<number>, first: number, count: number): boolean {
  for (let index = 0; index < count; index++) if (!free.has(first + index)) return false;
  return true;
}

/** Where a page is now; learns it if it has moved on request. Nothing was under a view, so that nothing is kept. */
function learnPlace(model: Model, partition: ModelPartition, page: number): boolean {
  const { frame } = own(partition, page);
  const physical = model.observed.physical(partition.lpid, "memory", page);
  ensure(physical !== undefined, () => `page ${page} of ${partition.lpid} was lost by a move`);
  if (physical === frame.physical) return false;
  ensure(frame.pins === 0, () => `frame ${frame.physical} moved from under a view`);
  ensure(model.freeFrames().has(physical), () => `page ${page} moved to frame ${physical}, which is in use`);
  moveFrame(model, frame, physical);
  model.moves++;
  return true;
}

/** After a call that moved pages: all that moved was learnt. */
function ensureAllLearnt(model: Model): void {
  const moves = model.observed.moves();
  ensure(moves === model.moves, () => `${moves} pages moved so far, ${model.moves} in the model`);
  for (const partition of model.partitions.values()) {
    for (const [page, { node, frame }] of partition.spaces.memory.entries) {
      if (node.kind !== "resource") continue;
      const physical = model.observed.physical(partition.lpid, "memory", page);
      ensure(physical === frame.physical, () => `page ${page} of ${partition.lpid} moved without a reason`);
    }
  }
}

/** One slice of partition.migrate(). R4: how many pages moved. */
export function gather(model: Model, lpid: number, address: number, length: number, budget: number): Answer {
  const answered = learnGather(model, lpid, address, length, budget);
  ensureAllLearnt(model);
  return answered;
}

function learnGather(model: Model, lpid: number, address: number, length: number, budget: number): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  if (!isInteger(address) || !isInteger(length) || length === 0 || !isBudget(budget)) return REFUSED;
  if (address % PAGE_BYTES !== 0 || length % PAGE_BYTES !== 0) return REFUSED;
  const [page, count] = [address / PAGE_BYTES, length / PAGE_BYTES];
  if (!owns(caller, page, count)) return REFUSED;
  const pages = Array.from({ length: count }, (_, index) => page + index);
  if (pages.some((each) => own(caller, each).frame.pins > 0)) {
    const isMerged = pages.some((each) => own(caller, each).copiesFirst);
    return isMerged || together(caller, page, count) < count ? answer(H_RESOURCE) : answer(H_SUCCESS, 0);
  }
  const made = splitPages(model, caller, page, count);
  if (made !== H_SUCCESS) return answer(made);
  const before = together(caller, page, count);
  if (before === count) return answer(H_SUCCESS, 0);
  const free = model.freeFrames();
  const isRoomBehind = areFree(free, frameOf(caller, page) + before, count - before);
  if (!isRoomBehind && freeRuns(free, count).length === 0) return answer(H_NO_MEM);
  // What is where it may stay does not move.
  const moved = pages.filter((each) => learnPlace(model, caller, each));
  if (isRoomBehind)
    ensure(
      moved.every((each) => each >= page + before),
      () => `page ${moved[0]} of ${lpid} moved for nothing`,
    );
  if (together(caller, page, count) === count) {
    ensure(moved.length <= budget, () => `${moved.length} pages moved, the budget was for ${budget}`);
    return answer(H_SUCCESS, moved.length);
  }
  ensure(moved.length === budget, () => `${moved.length} pages moved, the budget was for ${budget}`);
  return answer(H_PARTIAL, moved.length);
}

/** One slice of table.compact(), over one partition; `next` is R4, the page to go on with. */
export function compact(model: Model, lpid: number, from: number, budget: number, next: number): Answer {
  const answered = learnCompact(model, lpid, from, budget, next);
  ensureAllLearnt(model);
  return answered;
}

function learnCompact(model: Model, lpid: number, from: number, budget: number, next: number): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined || !isInteger(from) || from >= 0xffffffff || !isBudget(budget)) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  const end = caller.spaces.memory.pageCount;
  if (from >= end) return answer(H_SUCCESS, end);
  ensure(next > from && next <= end, () => `compaction from page ${from} of ${end} goes on with ${next}`);
  let steps = 0;
  let page = from;
  while (page < next && steps < budget) {
    const stretch = foreignStretch(caller, page);
    if (stretch > 0) {
      page += stretch;
      steps++;
      continue;
    }
    const count = wholeRun(caller, page);
    const target = count === 0 ? undefined : lowerPlace(model, caller, page, count);
    if (target === undefined) {
      page += Math.max(count, 1);
      steps += Math.max(count, 1);
      continue;
    }
    // A run that finds a lower place moves, and stays one; only the budget, which is for what stays as well, may cut it.
    const first = page;
    for (; page < Math.min(first + count, next); page++, steps++) {
      const at = page;
      ensure(learnPlace(model, caller, at), () => `page ${at} of ${lpid} stayed, a lower place was free`);
    }
    ensure(together(caller, first, page - first) === page - first, () => `a run of ${lpid} was torn`);
    ensure(target.has(frameOf(caller, first)), () => `page ${first} of ${lpid} moved to a wrong place`);
    ensure(page === first + count || steps === budget, () => `a run of ${lpid} stopped half way`);
  }
  ensure(page === next, () => `compaction of ${lpid} stopped at page ${next}, not at ${page}`);
  ensure(next === end || steps >= budget, () => `compaction of ${lpid} stopped at page ${next} for nothing`);
  return answer(next < end ? H_PARTIAL : H_SUCCESS, next);
}

/** How many pages from one on are not the partition's own: of one mapping, or free; 0 if it owns the page. One step. */
function foreignStretch({ spaces: { memory } }: ModelPartition, page: number): number {
  const node = memory.entries.get(page)?.node;
  if (node?.kind === "resource") return 0;
  let count = 1;
  while (page + count < memory.pageCount && memory.entries.get(page + count)?.node === node) count++;
  return count;
}

/** Pages from one on that move together: of one LMB, on frames one after the other, none of them under a view or merged. */
function wholeRun(partition: ModelPartition, page: number): number {
  const { node } = own(partition, page);
  const most = node.page + node.pageCount - page;
  const run = together(partition, page, most);
  let count = 0;
  const stays = ({ frame, copiesFirst }: Entry): boolean => frame.pins > 0 || copiesFirst;
  while (count < run && !stays(own(partition, page + count))) count++;
  return count;
}

/** The frames to which a run may go, the first one of each place; undefined if it must stay. */
function lowerPlace(
  model: Model,
  partition: ModelPartition,
  page: number,
  count: number,
): ReadonlySet<number> | undefined {
  const frame = frameOf(partition, page);
  const lower = freeRuns(model.freeFrames(), count).filter((first) => first < frame);
  if (lower.length === 0) return undefined;
  // What was cut by a budget comes together again.
  const before = partition.spaces.memory.entries.get(page - 1);
  const behind = before?.node === own(partition, page).node ? before.frame.physical + 1 : -1;
  return new Set(lower.includes(behind) ? [behind] : lower);
}

/** R4: the lowest run of so many free frames. */
export function findFrames(model: Model, count: number): Answer {
  if (!isBudget(count)) return REFUSED;
  const runs = count > model.options.frames ? [] : freeRuns(model.freeFrames(), count);
  return runs.length === 0 ? answer(H_NO_MEM) : answer(H_SUCCESS, Math.min(...runs));
}
