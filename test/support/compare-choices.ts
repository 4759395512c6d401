/**
 * Choices of the random comparison: mostly numbers that mean something in the model's present state, sometimes ones that
 * do not.
 */
import type { ResourceType } from "../../src/index.js";
import { INHIBIT_READ, INHIBIT_REGRANT, INHIBIT_WRITE, PAGE_BYTES } from "../../src/layout.js";
import type { Draw } from "./draw.js";
import type { GrantRequest, Model } from "./model.js";
import { framesOf } from "./model-queue.js";
import {
  type Frame,
  type Grant,
  type ModelPartition,
  RESOURCE_TYPES,
  rootOf,
  rootPageOf,
  TYPE_NUMBERS,
  unitOf,
} from "./model-records.js";

/** Numbers that no caller should pass (G2). */
export const HOSTILE = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  -4096,
  0.5,
  4096.5,
  2 ** 31,
  2 ** 32 - 4096,
  2 ** 32 - 2,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 4096,
  2 ** 52,
  2 ** 53,
  2 ** 64,
  Number.MIN_VALUE,
  Number.MAX_VALUE,
] as const;

/** Steps of one slice. */
export const BUDGETS = [1, 1, 2, 2, 3, 4, 5, 7, 10, 14, 30, 4096] as const;

export class Choices {
  readonly #model: Model;
  readonly #dead: readonly number[];

  /** @param dead cookies of grants that have ended. */
  constructor(model: Model, dead: readonly number[]) {
    this.#model = model;
    this.#dead = dead;
  }

  partition(draw: Draw, state?: ModelPartition["state"]): ModelPartition | undefined {
    const all = [...this.#model.partitions.values()];
    const those = state === undefined ? all : all.filter((partition) => partition.state === state);
    return draw.pick(those.length === 0 ? all : those);
  }

  /** Mostly the right caller; sometimes another, or none. */
  lpid(draw: Draw, right?: number): number {
    if (draw.once(60)) return draw.pick(HOSTILE) ?? 0;
    if (draw.once(30)) return draw.below(8);
    if (right !== undefined && !draw.once(25)) return right;
    return this.partition(draw, draw.once(8) ? undefined : "running")?.lpid ?? 1;
  }

  grantIn(draw: Draw, ...states: Grant["state"][]): Grant | undefined {
    const those = [...this.#model.grants.values()].filter(({ state }) => states.includes(state));
    return draw.pick(those) ?? draw.pick([...this.#model.grants.values()]);
  }

  /** Mostly the cookie of such a grant; sometimes of another, a dead one, or a number that never was a cookie. */
  cookie(draw: Draw, grant: Grant | undefined): number {
    if (draw.once(40)) return draw.pick(HOSTILE) ?? 0;
    if (draw.once(20)) return draw.pick(this.#dead) ?? 7;
    if (grant === undefined || draw.once(50))
      return (draw.pick([...this.#model.grants.keys()]) ?? 0) + draw.below(3) * 2 ** 24;
    return grant.cookie;
  }

  unit(draw: Draw, caller: number): number {
    if (draw.once(50)) return draw.pick(HOSTILE) ?? 0;
    const all = [...this.#model.ends];
    const own = all.filter(({ owner }) => owner?.lpid === caller);
    const unit = draw.pick(draw.once(20) || own.length === 0 ? all : own)?.unit ?? 1;
    return draw.once(60) ? unit + 2 ** 16 : unit;
  }

  /** @param only the type of resource, or any. */
  grantRequest(draw: Draw, only?: ResourceType): GrantRequest {
    const lpid = this.lpid(draw, only === undefined ? undefined : this.#holderOf(draw, only));
    const caller = this.#model.partitions.get(lpid);
    const some = draw.below(3) > 0 ? "memory" : (draw.pick(RESOURCE_TYPES) ?? "memory");
    const type: ResourceType = only ?? some;
    const unit = unitOf(type);
    const places = [...(caller?.spaces[type].entries ?? [])];
    // Regranting makes depth: half of the time from what was accepted.
    const accepted = places.filter(([, { node }]) => node.kind === "grant");
    const [page, entry] = draw.pick(draw.once(2) && accepted.length > 0 ? accepted : places) ?? [
      draw.below(12),
    ];
    const left = entry === undefined ? 4 : entry.node.page + entry.node.pageCount - page;
    const pageCount = draw.once(12) ? 1 + draw.below(8) : 1 + draw.below(Math.min(left, 4));
    let flags: number = TYPE_NUMBERS[type] | (draw.once(12) ? 0 : (entry?.node.inhibits ?? 0));
    const [inhibit] = [draw.pick([INHIBIT_READ, INHIBIT_WRITE, INHIBIT_REGRANT])];
    if (draw.once(4)) flags |= inhibit ?? 0;
    if (draw.once(30)) flags = draw.below(300);
    const hi = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : draw.once(40) ? 1 : (entry?.node.liobn ?? 0);
    const lo = draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : page * unit + (draw.once(50) ? 1 : 0);
    const length = draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : pageCount * unit;
    return [lpid, flags, hi, lo, length, this.unit(draw, lpid)];
  }

  /** How many elemental resources of a type those who run have. */
  countOf(type: ResourceType): number {
    return [...this.#model.partitions.values()]
      .filter(({ state }) => state === "running")
      .reduce((sum, { resources }) => sum + resources.filter((one) => one.type === type).length, 0);
  }

  /** Somebody who runs and has a resource of a type. */
  #holderOf(draw: Draw, type: ResourceType): number | undefined {
    const those = [...this.#model.partitions.values()].filter(
      ({ state, spaces }) => state === "running" && spaces[type].entries.size > 0,
    );
    return draw.pick(those)?.lpid;
  }

  /** A range of memory; mostly mapped, often across a page border. */
  range(draw: Draw, lpid: number): readonly [address: number, length: number] {
    if (draw.once(30)) return [draw.pick(HOSTILE) ?? 0, draw.once(2) ? (draw.pick(HOSTILE) ?? 0) : 16];
    const places = [...(this.#model.partitions.get(lpid)?.spaces.memory.entries.keys() ?? [])];
    const restricted = places.filter((at) => this.isRestricted(lpid, at));
    const page = draw.once(20)
      ? draw.below(26)
      : (draw.pick(draw.once(5) && restricted.length > 0 ? restricted : places) ?? 0);
    const offset = draw.once(3) ? PAGE_BYTES - 1 - draw.below(64) : draw.below(PAGE_BYTES);
    const length = draw.once(6) ? draw.below(3 * PAGE_BYTES) : draw.below(100);
    return [page * PAGE_BYTES + offset, length];
  }

  isRestricted(lpid: number, page: number): boolean {
    const inhibits = this.#model.partitions.get(lpid)?.spaces.memory.entries.get(page)?.node.inhibits ?? 0;
    return (inhibits & (INHIBIT_READ | INHIBIT_WRITE)) !== 0;
  }

  /** Whether a write would touch a frame with a queue: the ring's words are the core's, a scribbler only hurts itself. */
  touchesQueue(lpid: number, address: number, length: number): boolean {
    const caller = this.#model.partitions.get(lpid);
    if (caller === undefined) return false;
    const queues = this.queueFrames();
    for (let page = Math.floor(address / PAGE_BYTES); page * PAGE_BYTES < address + length; page++) {
      const entry = caller.spaces.memory.entries.get(page);
      if (entry === undefined) return false;
      if (queues.has(entry.frame)) return true;
    }
    return false;
  }

  /** What will be zeroed at the end of a lend: no place for a ring. */
  zeroedFrames(): Set<Frame> {
    const frames = new Set<Frame>();
    for (const grant of this.#model.grants.values()) {
      if (!grant.zeroes || grant.state === "rescinded") continue;
      const { entries } = rootOf(grant).holder.spaces.memory;
      for (let index = 0; index < grant.pageCount; index++) {
        const entry = entries.get(rootPageOf(grant) + index);
        if (entry !== undefined) frames.add(entry.frame);
      }
    }
    return frames;
  }

  queueFrames(): Set<Frame> {
    const frames = new Set<Frame>();
    for (const { owner, queue } of this.#model.ends) {
      if (owner === undefined || queue === undefined) continue;
      for (const frame of framesOf(owner, queue)) frames.add(frame);
    }
    return frames;
  }

  /** Where a partner, or the caller once more, has mapped the frame at an address: copies that overlap physically. */
  sameFrame(draw: Draw, lpid: number, address: number, partner: number): number | undefined {
    const { partitions } = this.#model;
    const page = Math.floor(address / PAGE_BYTES);
    const frame = partitions.get(lpid)?.spaces.memory.entries.get(page)?.frame;
    const places = [...(partitions.get(partner)?.spaces.memory.entries ?? [])];
    const same = draw.pick(places.filter(([, entry]) => entry.frame === frame));
    return same === undefined ? undefined : same[0] * PAGE_BYTES;
  }
}
