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

/** What a hypercall answers. `r4` means something with H_SUCCESS only. */
export interface Answer {
  readonly status: number;
  readonly r4: number;
}

/** One physical page. Where memory lies is the real core's choice: the comparison learns it once, by translating. */
export interface Frame {
  physical: number | undefined;
  /** The word that the comparison last stored into the page; undefined when something else wrote there. */
  word: number | undefined;
  /** A queue stands here. */
  queue: boolean;
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
}

export interface Grant {
  readonly kind: "grant";
  readonly cookie: number;
  readonly grantor: ModelPartition;
  readonly holder: ModelPartition;
  readonly end: End;
  readonly type: ResourceType;
  readonly source: Resource | Grant;
  readonly sourcePage: number;
  readonly pageCount: number;
  readonly liobn: number;
  readonly inhibits: number;
  readonly children: Set<Grant>;
  state: "granted" | "shared" | "rescinded" | "dead";
  /** First page in the holder's space, while shared or rescinded. */
  page: number;
  pins: number;
  /** A forced rescind named it and is not complete. */
  named: boolean;
  /** Somebody rescinds below it by force and so may finish its revocation too (RS7). */
  helped: boolean;
}

export type Node = Resource | Grant;

/** One page of a logical space. */
export interface Entry {
  readonly node: Node;
  readonly frame: Frame;
  rescinded: boolean;
}

export interface Space {
  readonly pageCount: number;
  readonly entries: Map<number, Entry>;
}

export interface Assignment {
  readonly type: ResourceType;
  readonly page: number;
  readonly pageCount: number;
  readonly physicalPage: number;
  readonly liobn: number;
}

export interface ModelPartition {
  readonly lpid: number;
  readonly memoryPages: number;
  readonly lmbPages: number;
  readonly assignments: Assignment[];
  readonly spaces: Record<ResourceType, Space>;
  readonly ends: Set<End>;
  resources: Resource[];
  state: "running" | "failed" | "stopped";
  incarnation: number;
}

export interface Queue {
  readonly page: number;
  readonly pageCount: number;
  readonly capacity: number;
  /** Entries in order; a transport event is "ff" and its code. */
  readonly entries: QueueEntry[];
  /** Codes of transport events that found the ring full of events (CQ5). */
  readonly pending: Set<number>;
}

export interface QueueEntry {
  readonly header: number;
  readonly format: number;
  readonly words: readonly number[];
}

/** One end of a virtual adapter. */
export interface End {
  readonly unit: number;
  readonly owner: ModelPartition;
  readonly quota: number;
  partner: End | undefined;
  /** "closed" when one of the two partitions has been recovered, "orphan" when it was the owner. */
  state: "open" | "closed" | "orphan";
  queue: Queue | undefined;
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

export function answer(status: number, r4 = 0): Answer {
  return { status, r4 };
}

export const REFUSED: Answer = answer(H_PARAMETER);

/** The frames of a queue's pages. */
export function framesOf(owner: ModelPartition, queue: Queue): Frame[] {
  const frames: Frame[] = [];
  for (let index = 0; index < queue.pageCount; index++) {
    const entry = owner.spaces.memory.entries.get(queue.page + index);
    if (entry !== undefined) frames.push(entry.frame);
  }
  return frames;
}

/** Whether a revocation stands on this node or on one above it (RS5). */
export function isUnderRevocation(node: Node): boolean {
  let above: Node = node;
  while (above.kind === "grant") {
    if (above.named) return true;
    above = above.source;
  }
  return false;
}
