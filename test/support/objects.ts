/**
 * What all commands of the object walk have in common: the two tables, what is drawn from, and what a call of an object must
 * throw, which is what the core has answered.
 */
import { type Hcalls, hcalls } from "../../src/hcall.js";
import { type Cookie, HcallError, type Partition, type ResourceOptions } from "../../src/index.js";
import { H_SUCCESS } from "../../src/layout.js";
import type { Twins } from "./compare.js";
import type { Choices } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import { ensure, type Grant, type ModelPartition, unitOf } from "./model-records.js";
import type { Overheard } from "./overhear.js";

export class Objects {
  readonly twins: Twins;
  readonly heard: Overheard;
  readonly draw: Draw;
  readonly choose: Choices;
  /** The raw calls, as somebody makes them who has objects, too. */
  readonly raw: Hcalls;
  readonly #assigned = new WeakMap<Partition, readonly ResourceOptions[]>();

  constructor(twins: Twins, heard: Overheard, choose: Choices, draw: Draw) {
    this.twins = twins;
    this.heard = heard;
    this.choose = choose;
    this.draw = draw;
    this.raw = hcalls(twins.table);
  }

  /** A raw call: its status and its second result are the core's, whatever comes of it in the same moment. */
  rawCall(call: () => number): number {
    const { heard, raw } = this;
    this.begin();
    const status = call();
    const [answer] = heard.answers;
    const [result = 0] = heard.results;
    ensure(status === answer, () => `a raw call that the core answered with ${answer} answered ${status}`);
    ensure(
      status < H_SUCCESS || Object.is(raw.r4, result),
      () => `R4 of a raw call is ${raw.r4}, the core said ${result}`,
    );
    return status;
  }

  /** Forgets what the core has answered so far. */
  begin(): void {
    this.heard.answers = [];
    this.heard.results = [];
  }

  has(lpid: number): boolean {
    return this.twins.table.partition(lpid) !== undefined;
  }

  object(lpid: number): Partition {
    const partition = this.twins.table.partition(lpid);
    if (partition === undefined) throw new Error(`there is no partition ${lpid}`);
    return partition;
  }

  /** Gives a partition a resource of another kind than memory: this incarnation, and each after it (FA8). */
  assign(partition: Partition, resource: ResourceOptions): void {
    const { status } = this.attempt(() => this.twins.table.assign(partition, resource));
    if (status !== H_SUCCESS) return;
    this.#assigned.set(partition, [...(this.#assigned.get(partition) ?? []), resource]);
    this.checkAssigned(partition);
  }

  /** A partition has what it was assigned, where it was assigned. */
  checkAssigned(partition: Partition): void {
    const { lpid } = partition;
    const resources = this.twins.model.partitions.get(lpid)?.resources ?? [];
    for (const { type, address, length, physical, liobn = 0 } of this.#assigned.get(partition) ?? []) {
      const unit = unitOf(type);
      const isThere = resources.some((one) => {
        const entry = one.holder.spaces[type].entries.get(one.page);
        const isSame = one.type === type && one.page * unit === address && one.pageCount * unit === length;
        return isSame && one.liobn === liobn && entry?.frame.physical === (physical ?? address) / unit;
      });
      ensure(isThere, () => `partition ${lpid} lacks the ${type} resource at ${address}`);
    }
  }

  /** Somebody who runs, if anybody does. */
  running(): Partition {
    const some = this.choose.partition(this.draw, "running") ?? this.first();
    return this.object(some.lpid);
  }

  first(): ModelPartition {
    const [partition] = this.twins.model.partitions.values();
    if (partition === undefined) throw new Error("there is no partition");
    return partition;
  }

  /** One of the grants in a state, if there is one. */
  pick(state: Grant["state"], filter: (grant: Grant) => boolean = () => true): Grant | undefined {
    return this.draw.pick(
      [...this.twins.model.grants.values()].filter((one) => one.state === state && filter(one)),
    );
  }

  /** A call that is one call of the core: it throws what that has answered, and nothing else. What it causes comes after it. */
  attempt<T>(call: () => T): { readonly status: number; readonly value: T | undefined } {
    const { heard } = this;
    this.begin();
    const { status, value } = outcomeOf(call);
    const [answer] = heard.answers;
    ensure(
      answer === undefined || status === answer || (status === H_SUCCESS && answer > H_SUCCESS),
      () => `a call that the core answered with ${answer} came to ${status}`,
    );
    return { status, value };
  }
}

/** What a call of the object API comes to. @throws whatever is no answer of the architecture. */
export function outcomeOf<T>(call: () => T): { readonly status: number; readonly value: T | undefined } {
  try {
    return { status: H_SUCCESS, value: call() };
  } catch (error) {
    if (!(error instanceof HcallError)) throw error;
    return { status: error.status, value: undefined };
  }
}

export function cookieOf(grant: Grant): Cookie {
  return grant.cookie as Cookie;
}
