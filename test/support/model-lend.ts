/**
 * Ownership modes in the naive model: lends, zero on return, donations (section 12 of the contract; OM1 to OM10 of DESIGN.md).
 * That a page is lent is not written anywhere: it is, if a lend or an offered donation of it stands.
 */
import {
  H_NO_MEM,
  H_SUCCESS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  MODE_DONATE,
  MODE_LEND,
  MODE_SHARE,
  MODE_ZERO,
  PAGE_BYTES,
  ZERO_PAGE_STEPS,
} from "../../src/layout.js";
import { lowestFree, type Model } from "./model.js";
import {
  type Answer,
  answer,
  type Frame,
  type Grant,
  type GrantMode,
  type ModelPartition,
  type Node,
  type Resource,
  rootOf,
  rootPageOf,
} from "./model-records.js";

export interface Terms {
  readonly mode: GrantMode;
  /** What comes back of a lend is zero. */
  readonly zeroes: boolean;
}

/** What a caller's mode says; undefined if there is none such for that type and those restrictions (OM1). */
export function termsOf(mode: number, type: string, inhibits: number): Terms | undefined {
  if (mode === MODE_SHARE) return { mode: "share", zeroes: false };
  if (type !== "memory") return undefined;
  if (mode === MODE_LEND) return { mode: "lend", zeroes: false };
  if (mode === MODE_LEND + MODE_ZERO) return { mode: "lend", zeroes: true };
  const isWhole = (inhibits & (INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT)) === 0;
  return mode === MODE_DONATE && isWhole ? { mode: "donate", zeroes: false } : undefined;
}

/** Whether who has a node has lent a page of it, or offered it (OM2). */
export function isLent(node: Node, page: number): boolean {
  for (const { mode, sourcePage, pageCount } of node.children)
    if (mode !== "share" && page >= sourcePage && page < sourcePage + pageCount) return true;
  return false;
}

/** Whether any page of a range is lent. */
export function anyLent(node: Node, page: number, pageCount: number): boolean {
  for (let at = page; at < page + pageCount; at++) if (isLent(node, at)) return true;
  return false;
}

/** OM3: whether nobody uses pages through a node but who has it. */
export function isExclusive(model: Model, node: Node, page: number, pageCount: number): boolean {
  const overlaps = (first: number, count: number): boolean =>
    first < page + pageCount && page < first + count;
  for (const other of node.children) if (overlaps(other.sourcePage, other.pageCount)) return false;
  for (const { owner, queue } of model.ends) {
    if (owner !== node.holder || queue === undefined) continue;
    if (overlaps(queue.page, queue.pageCount)) return false;
  }
  // A view that was taken through another node does not count, but where there is one through this: it may be the same page.
  if (node.pins === 0) return true;
  const { entries } = node.holder.spaces.memory;
  for (let at = page; at < page + pageCount; at++) if ((entries.get(at)?.frame.pins ?? 0) > 0) return false;
  return true;
}

// ---------------------------------------------------------------- zero on return

/** Whether pages must be zero before the grant ends, or is only granted again (OM5). */
export function mustZero({ zeroes, state, zeroed, pageCount }: Grant): boolean {
  return zeroes && state !== "granted" && zeroed < pageCount;
}

/** Zeroes the first pages of a lend that are not yet, where its owner has them. */
function zeroTo(grant: Grant, pages: number, isThere: (page: number, frame: Frame) => boolean): void {
  const { entries } = rootOf(grant).holder.spaces.memory;
  const end = Math.min(pages, grant.pageCount);
  for (; grant.zeroed < end; grant.zeroed++) {
    const page = rootPageOf(grant) + grant.zeroed;
    const frame = entries.get(page)?.frame;
    if (frame !== undefined && isThere(page, frame)) frame.bytes.fill(0);
  }
}

/** A return zeroes as many pages of a lend as a slice has steps for, at least one. */
export function zeroSome(grant: Grant, budget: number): void {
  zeroTo(grant, grant.zeroed + Math.max(Math.floor(budget / ZERO_PAGE_STEPS), 1), () => true);
}

/** How far a slice of a revocation came is learnt; before the grant ends all is zero. */
export function learnZeroed(model: Model, grant: Grant, isOver: boolean): void {
  if (!mustZero(grant)) return;
  const { observed } = model;
  const { lpid } = rootOf(grant).holder;
  zeroTo(grant, isOver ? grant.pageCount : observed.zeroed(grant.cookie), (page, { physical }) => {
    // A recovery may have moved the page away from under a view first, and freed it since.
    return observed.physical(lpid, "memory", page) === physical || observed.isZero(physical);
  });
}

// ---------------------------------------------------------------- donations

/** OM8: whether a range is all of an elemental resource. */
export function isWhole(node: Node, page: number, pageCount: number): boolean {
  return node.kind === "resource" && page === node.page && pageCount === node.pageCount;
}

/** OM8: the receiver owns the memory from now on, and the donor's addresses are free. */
export function acceptDonation(model: Model, grant: Grant): Answer {
  const { holder, grantor, source, pageCount } = grant;
  const page = lowestFree(holder.spaces.memory, pageCount);
  if (page === undefined) return answer(H_NO_MEM); // AC4
  const resource: Resource = {
    ...{ kind: "resource", holder, type: "memory", page, pageCount, liobn: 0, inhibits: 0 },
    ...{ children: new Set(), pins: 0, named: false, marked: false, isDonated: true },
  };
  for (let index = 0; index < pageCount; index++) {
    const old = grantor.spaces.memory.entries.get(source.page + index);
    if (old === undefined) throw new Error("the model lost a page that was donated");
    holder.spaces.memory.entries.set(page + index, { ...old, node: resource });
    grantor.spaces.memory.entries.delete(source.page + index);
    grantor.allocated.delete(source.page + index); // OM9
  }
  model.end(grant);
  grantor.resources = grantor.resources.filter((other) => other !== source);
  holder.resources.push(resource);
  return answer(H_SUCCESS, page * PAGE_BYTES);
}

/** OM9: whether a partition may be given a page of its own to use: not what is offered, or gone, or was received. */
export function isInArena(partition: ModelPartition, page: number): boolean {
  const node = partition.spaces.memory.entries.get(page)?.node;
  if (node?.kind !== "resource" || node.isDonated) return false;
  return ![...node.children].some(({ mode }) => mode === "donate");
}
