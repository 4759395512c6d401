/** Moves on request, on both tables: slices of migrate() and compact(), and the question where frames are free. */
import { H_PARTIAL, H_SUCCESS, PAGE_BYTES } from "../../src/layout.js";
import type { Twins } from "./compare.js";
import { BUDGETS, type Choices, HOSTILE } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import { compact, findFrames, gather } from "./model-moves.js";
import { ensure, type ModelPartition } from "./model-records.js";

export function gatherOnBoth(
  twins: Twins,
  lpid: number,
  address: number,
  length: number,
  budget: number,
): number {
  const args = [lpid, address, length, budget] as const;
  const { moves } = twins.model;
  const status = twins.core.gatherMemory(...args);
  const model = gather(twins.model, ...args);
  if (twins.model.moves > moves) twins.saw("migrate() moves pages");
  return twins.same("migrate", args, status, model);
}

export function compactOnBoth(twins: Twins, lpid: number, from: number, budget: number): number {
  const args = [lpid, from, budget] as const;
  const { moves } = twins.model;
  const status = twins.core.compactMemory(...args);
  const model = compact(twins.model, ...args, twins.r4);
  if (twins.model.moves > moves) twins.saw("compact() moves pages");
  return twins.same("compact", args, status, model);
}

export function findFramesOnBoth(twins: Twins, count: number): number {
  return twins.same("find-frames", [count], twins.core.findFrames(count), findFrames(twins.model, count));
}

export function drawMove(twins: Twins, choose: Choices, draw: Draw): void {
  if (draw.once(12)) {
    findFramesOnBoth(twins, draw.once(8) ? (draw.pick([0, ...HOSTILE]) ?? 0) : 1 + draw.below(12));
    return;
  }
  // Mostly one with something to move.
  const scattered = draw.pick([...twins.model.partitions.values()].filter(isScattered));
  const lpid = choose.lpid(draw, (draw.once(4) ? undefined : scattered)?.lpid);
  const pages = twins.model.partitions.get(lpid)?.memoryPages ?? 4;
  const budget = draw.once(40) ? (draw.pick([0, ...HOSTILE]) ?? 0) : (draw.pick(BUDGETS) ?? 1);
  if (draw.once(2)) drawGather(twins, draw, lpid, pages, budget);
  else drawCompact(twins, draw, lpid, pages, budget);
}

function isScattered({ state, memoryPages, spaces }: ModelPartition): boolean {
  const first = spaces.memory.entries.get(0)?.frame.physical ?? 0;
  for (let page = 1; page < memoryPages; page++)
    if (spaces.memory.entries.get(page)?.frame.physical !== first + page) return state === "running";
  return false;
}

function drawGather(twins: Twins, draw: Draw, lpid: number, pages: number, budget: number): void {
  const page = draw.once(3) ? draw.below(pages + 1) : draw.below(3);
  const count = draw.once(3) ? 1 + draw.below(4) : Math.max(1, pages - page - draw.below(2));
  const address = draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : page * PAGE_BYTES + (draw.once(40) ? 1 : 0);
  const length = draw.once(40) ? (draw.pick([0, ...HOSTILE]) ?? 0) : count * PAGE_BYTES;
  const isDriven = draw.once(2);
  // A call that does not begin anew moves each page once.
  for (let left = Math.ceil(count / budget); ; left--) {
    if (gatherOnBoth(twins, lpid, address, length, budget) !== H_PARTIAL || !isDriven) return;
    ensure(left > 0, () => `moving ${count} pages of ${lpid} together does not end`);
  }
}

function drawCompact(twins: Twins, draw: Draw, lpid: number, pages: number, budget: number): void {
  const isWhole = draw.once(3);
  let from = isWhole ? 0 : draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : draw.below(pages + 2);
  while (compactOnBoth(twins, lpid, from, budget) === H_PARTIAL && isWhole) from = twins.r4;
}

/** As table.compact() does. */
export function compactAll(twins: Twins): void {
  for (const { lpid, state } of twins.model.partitions.values()) {
    if (state !== "running") continue;
    let from = 0;
    for (let status = H_PARTIAL; status !== H_SUCCESS; from = twins.r4)
      status = compactOnBoth(twins, lpid, from, 256);
  }
}
