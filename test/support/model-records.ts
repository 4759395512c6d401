/**
 * The records of the naive model: plain objects that point at each other. Nothing here is packed, indexed or reused, so
 * that each rule can be read off the code that applies it.
 */

import type { ResourceType } from "../../src/index.js";
import {
  H_PARAMETER,
  PAGE_BYTES,
  TYPE_DMA,
  TYPE_INTERRUPT,
  TYPE_IPI,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../../src/layout.js";

/** What a hypercall answers; `r4` only where the contract says which. */
export interface Answer {
  readonly status: number;
  readonly r4: number | undefined;
}

/** One physical page. Which one is the real core's choice: the model learns it. */
export interface Frame {
  readonly physical: number;
  /** Content; empty for kinds without RAM. */
  readonly bytes: Uint8Array;
  /** How many views stand on it. */
  pins: number;
}

/** One elemental resource: an LMB, or what `assign` gave. */
export interface Resource {
  readonly kind: "resource";
  readonly holder: ModelPartition;
  readonly type: ResourceType;
  readonly page: number;
  readonly pageCount: number;
  readonly liobn: number;
  readonly inhibits: 0;
  readonly children: Set<Grant>;
  /** Whether another partition donated it. */
  readonly isDonated: boolean;
  pins: number;
  named: boolean;
  marked: boolean;
}

export interface Grant {
  readonly kind: "grant";
  readonly cookie: number;
  readonly grantor: ModelPartition;
  readonly holder: ModelPartition;
  readonly end: End;
  readonly type: ResourceType;
  readonly source: Node;
  readonly sourcePage: number;
  readonly pageCount: number;
  readonly liobn: number;
  readonly inhibits: number;
  readonly mode: GrantMode;
  /** Of a lend: what comes back is zero. */
  readonly zeroes: boolean;
  /** The holder's writes go to pages of its own. */
  readonly isCopyOnWrite: boolean;
  /** How many of its pages a return has zeroed. */
  zeroed: number;
  readonly children: Set<Grant>;
  state: GrantState;
  /** First page in the holder's space, while its addresses are taken. */
  page: number;
  pins: number;
  /** A revocation began here and is not complete. */
  named: boolean;
  /** A revocation has reached it: it has lost its access. */
  marked: boolean;
  /** How many views had been taken in all when it was marked. */
  viewsBefore: number;
}

export type GrantState = "granted" | "shared" | "returning" | "rescinded" | "dead";
export type GrantMode = "share" | "lend" | "donate";
export type Node = Resource | Grant;

/** One page of a logical space whose address is taken. */
export interface Entry {
  readonly node: Node;
  frame: Frame;
  state: "mapped" | "rescinded" | "unmapped";
  /** A write gets the page a frame of its own first. */
  copiesFirst: boolean;
  /** The frame is a grant's own, until it gives it back. */
  isPrivate: boolean;
}

export interface Space {
  readonly pageCount: number;
  readonly entries: Map<number, Entry>;
}

export interface ModelEvent {
  readonly type: number;
  readonly from: number;
  readonly value: number;
}

/** What was raised at a source or rung at a port, and what its holder has made of it. */
export interface Line {
  /** Who raised it first since it was last taken, 0 for the manager. */
  raisedBy: number | undefined;
  /** Taking is not its end. */
  isArmed: boolean;
  /** Taken while it was armed, and not ended. */
  isInService: boolean;
  isMasked: boolean;
}

export interface ModelPartition {
  readonly lpid: number;
  readonly memoryPages: number;
  readonly lmbPages: number;
  readonly spaces: Record<ResourceType, Space>;
  /** What it allocated of its own memory: first page and number of pages. */
  readonly allocated: Map<number, number>;
  resources: Resource[];
  state: "running" | "failed" | "recovering" | "stopped";
  /** It has failed, and waits until what it granted is returned (FA7). */
  deferred: boolean;
  /** The transport event of its failure, until all partners have been told: else 0. */
  telling: number;
  /** Nothing of it is left but its adapters. */
  isEnding: boolean;
  /** The ends of its adapters through which its telling, once it has begun, has not come. */
  untold: End[];
  /** The partners whom it has reached. */
  readonly heard: Set<ModelPartition>;
  incarnation: number;
  events: ModelEvent[];
  eventsLost: number;
  /** Of the mappings of its sources and ports; nobody looks at those of mappings that have ended. */
  readonly lines: WeakMap<Entry, Line>;
  /** Those of them that can be taken, in the order in which they became so. */
  due: Entry[];
}

export interface Queue {
  readonly page: number;
  readonly pageCount: number;
  readonly capacity: number;
  /** Entries in order. */
  readonly entries: (readonly number[])[];
  /** Codes of transport events that found the ring full of events (CQ5). */
  readonly pending: Set<number>;
  /** Where in the ring the oldest entry stands, and where the next goes. */
  head: number;
  tail: number;
}

/** One end of a virtual adapter. */
export interface End {
  unit: number;
  /** Undefined once its incarnation is gone and only what its partner has not returned keeps it. */
  owner: ModelPartition | undefined;
  /** Whose it was then, and the partner's number. */
  formerly: readonly [owner: number, partner: number] | undefined;
  quota: number;
  partner: End | undefined;
  isOpen: boolean;
  queue: Queue | undefined;
  /** Closed and idle, but its owner's recovery is what frees it. */
  lingers: boolean;
}

/** A zero-copy view. */
export interface Pin {
  readonly number: number;
  /** Undefined once the incarnation that took it is gone. */
  holder: ModelPartition | undefined;
  readonly node: Node;
  readonly frames: readonly Frame[];
  /** Which one it is of all that were ever taken, from 1. */
  readonly order: number;
}

/** What a holder has put behind a page of the I/O bus. */
export interface Tce {
  /** Whose window it is, and the page in its space. */
  readonly owner: ModelPartition;
  readonly page: number;
  /** Through which it was put. */
  readonly pane: Node;
  /** The memory of the pane's holder as it was then, and the page in the holder's space. */
  readonly memory: Node;
  readonly memoryPage: number;
  readonly rights: number;
}

export const RESOURCE_TYPES: readonly ResourceType[] = ["memory", "mmio", "interrupt", "dma", "ipi"];

export const TYPE_NUMBERS: Record<ResourceType, number> = {
  memory: TYPE_MEMORY,
  mmio: TYPE_MMIO,
  interrupt: TYPE_INTERRUPT,
  dma: TYPE_DMA,
  ipi: TYPE_IPI,
};

export function typeOf(number: number): ResourceType | undefined {
  return RESOURCE_TYPES.find((type) => TYPE_NUMBERS[type] === number);
}

/** Bytes of one page of a space; interrupts and ports are counted one by one. */
export function unitOf(type: ResourceType): number {
  return type === "interrupt" || type === "ipi" ? 1 : PAGE_BYTES;
}

/** G2: what is not an integer from 0 to 2^53 - 1 is no number of anything. */
export function isInteger(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** A number of steps, or of anything else of which there must be one. */
export function isBudget(value: number): boolean {
  return isInteger(value) && value > 0 && value < 0xffffffff;
}

export function answer(status: number, r4?: number): Answer {
  return { status, r4 };
}

export const REFUSED: Answer = answer(H_PARAMETER);

/** The model and the real table disagree, or the real table did what no rule allows. */
export class Divergence extends Error {
  override readonly name = "Divergence";
}

export function ensure(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Divergence(what());
}

/** From the node up to its elemental resource, itself included. */
export function chainOf(node: Node): Node[] {
  const chain: Node[] = [node];
  for (let above = node; above.kind === "grant"; ) {
    above = above.source;
    chain.push(above);
  }
  return chain;
}

/** Whether a range is a partition's own memory, in however many resources. */
export function owns(partition: ModelPartition, page: number, pageCount: number): boolean {
  if (page + pageCount > partition.spaces.memory.pageCount) return false;
  for (let at = page; at < page + pageCount; at++)
    if (partition.spaces.memory.entries.get(at)?.node.kind !== "resource") return false;
  return true;
}

export function rootOf(node: Node): Node {
  return chainOf(node).at(-1) ?? node;
}

/** The first page of a node, as the owner of its elemental resource counts. */
export function rootPageOf(node: Node): number {
  if (node.kind === "resource") return node.page;
  let page = node.sourcePage;
  for (let above = node.source; above.kind === "grant"; above = above.source)
    page += above.sourcePage - above.page;
  return page;
}

/** Whether a revocation stands on this node or on one above it (RS5). */
export function isUnderRevocation(node: Node): boolean {
  return chainOf(node).some((above) => above.named);
}

/** The outermost node with a revocation, of this one and those above. */
export function outermostNamed(node: Node): Node | undefined {
  return chainOf(node).findLast((above) => above.named);
}

/** The grants below a node, without itself. */
export function below(node: Node): Grant[] {
  return [...node.children].flatMap((child) => [child, ...below(child)]);
}

export function nameOf(node: Node): string {
  if (node.kind === "grant") return `grant ${node.cookie}`;
  return `the ${node.type} resource of partition ${node.holder.lpid} at page ${node.page}`;
}
