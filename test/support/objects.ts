/**
 * What all commands of the object walk have in common: the two tables, what is drawn from, and what a call of an object must
 * throw, which is what the core has answered.
 */
import { type Cookie, HcallError, type Partition } from "../../src/index.js";
import { H_SUCCESS } from "../../src/layout.js";
import type { Twins } from "./compare.js";
import type { Choices } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import { ensure, type Grant, type ModelPartition } from "./model-records.js";
import type { Overheard } from "./overhear.js";

export class Objects {
  readonly twins: Twins;
  readonly heard: Overheard;
  readonly draw: Draw;
  readonly choose: Choices;

  constructor(twins: Twins, heard: Overheard, choose: Choices, draw: Draw) {
    this.twins = twins;
    this.heard = heard;
    this.choose = choose;
    this.draw = draw;
  }

  has(lpid: number): boolean {
    return this.twins.table.partition(lpid) !== undefined;
  }

  object(lpid: number): Partition {
    const partition = this.twins.table.partition(lpid);
    if (partition === undefined) throw new Error(`there is no partition ${lpid}`);
    return partition;
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
    heard.answers = [];
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
