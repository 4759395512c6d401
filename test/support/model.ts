/**
 * The hypercalls over plain Maps, one rule after the other in the order of DESIGN.md, section 3.
 *
 * A forced rescind in slices leaves open, between two slices, which nodes of its subtree are gone already. There the
 * model allows every answer that the rules allow and learns from the one observed: `observed` is the real core's
 * status, used in those places only.
 */

import type { ResourceType } from "../../src/index.js";
import {
  H_NO_MEM,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_RESERVED,
  INHIBIT_WRITE,
  NEED_READ,
  NEED_WRITE,
  RESCIND_FORCED,
  TYPE_MASK,
} from "../../src/layout.js";
import { pushEvent } from "./model-queue.js";
import {
  type Answer,
  type Assignment,
  answer,
  type End,
  type Entry,
  type Frame,
  type Grant,
  isInteger,
  isUnderRevocation,
  type ModelPartition,
  type Node,
  REFUSED,
  RESOURCE_TYPES,
  type Space,
  typeOf,
  unitOf,
} from "./model-records.js";

export interface ModelOptions {
  /** Control structures that can exist at once. */
  readonly capacity: number;
  /** Pages of each logical space. */
  readonly spaces: Record<ResourceType, number>;
}

export class Model {
  readonly partitions = new Map<number, ModelPartition>();
  readonly ends = new Map<number, End>();
  /** Every grant ever made, by the model's own cookie (its index + 1). */
  readonly grants: Grant[] = [];
  readonly options: ModelOptions;

  constructor(options: ModelOptions) {
    this.options = options;
  }

  // -------------------------------------------------------------- set-up

  createPartition(lpid: number, memoryPages: number, lmbPages: number): ModelPartition {
    const space = (type: ResourceType): Space => ({
      pageCount: this.options.spaces[type],
      entries: new Map(),
    });
    const partition: ModelPartition = {
      lpid,
      memoryPages,
      lmbPages,
      assignments: [],
      spaces: {
        memory: space("memory"),
        mmio: space("mmio"),
        interrupt: space("interrupt"),
        dma: space("dma"),
        ipi: space("ipi"),
      },
      ends: new Set(),
      resources: [],
      state: "running",
      incarnation: 1,
    };
    this.partitions.set(lpid, partition);
    this.#start(partition);
    return partition;
  }

  assign(partition: ModelPartition, assignment: Assignment): void {
    partition.assignments.push(assignment);
    this.#own(partition, assignment, (page) => ({
      physical: assignment.physicalPage + page,
      word: undefined,
    }));
  }

  /** CQ1. The unit addresses are the real core's choice. */
  connect(a: ModelPartition, b: ModelPartition, unitOfA: number, unitOfB: number, quota: number): void {
    const make = (owner: ModelPartition, unit: number): End => {
      const end: End = { unit, owner, quota, partner: undefined, open: true, queue: undefined };
      this.ends.set(unit, end);
      owner.ends.add(end);
      return end;
    };
    const endOfA = make(a, unitOfA);
    const endOfB = make(b, unitOfB);
    endOfA.partner = endOfB;
    endOfB.partner = endOfA;
  }

  #start(partition: ModelPartition): void {
    for (let page = 0; page < partition.memoryPages; page += partition.lmbPages) {
      const lmb: Assignment = {
        type: "memory",
        page,
        pageCount: partition.lmbPages,
        physicalPage: 0,
        liobn: 0,
      };
      this.#own(partition, lmb, () => ({ physical: undefined, word: 0 })); // TR5: zero-filled
    }
  }

  #own(partition: ModelPartition, what: Assignment, frameOf: (page: number) => Frame): void {
    const { type, page, pageCount, liobn } = what;
    const children = new Set<Grant>();
    const resource: Node = {
      kind: "resource",
      holder: partition,
      type,
      page,
      pageCount,
      liobn,
      inhibits: 0,
      children,
    };
    partition.resources.push(resource);
    for (let index = 0; index < pageCount; index++) {
      const entry: Entry = { node: resource, frame: frameOf(index), rescinded: false };
      partition.spaces[type].entries.set(page + index, entry);
    }
  }

  // -------------------------------------------------------------- H_GRANT_LOGICAL

  grant(
    lpid: number,
    flags: number,
    hi: number,
    lo: number,
    length: number,
    unit: number,
    observed?: number,
  ): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED); // GR10

    if (!isInteger(flags) || flags > 0xff) return REFUSED; // GR1
    const type = typeOf(flags & TYPE_MASK);
    const inhibits = flags & (INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT);
    if (type === undefined || (flags & INHIBIT_RESERVED) !== 0) return REFUSED;
    if (type !== "memory" && type !== "mmio" && (inhibits & (INHIBIT_READ | INHIBIT_WRITE)) !== 0)
      return REFUSED;

    if (!isInteger(hi) || !isInteger(lo) || !isInteger(length)) return REFUSED; // GR2
    const bytes = unitOf(type);
    if (lo % bytes !== 0 || length % bytes !== 0 || length === 0) return REFUSED;
    if (bytes === 1 && length !== 1) return REFUSED;
    if (type !== "dma" && hi !== 0) return REFUSED;

    const space = caller.spaces[type]; // GR3, GR4
    const first = lo / bytes;
    const pageCount = length / bytes;
    if (first + pageCount > space.pageCount) return REFUSED;
    const range = entriesOf(space, first, pageCount);
    if (range.some((entry) => entry?.rescinded === true)) return answer(H_RESCINDED);
    const source = range[0]?.node;
    const inside =
      source !== undefined && range.every((entry) => entry?.node === source) && source.liobn === hi;
    if (!inside) {
      const fading = range.some((entry) => entry !== undefined && isUnderRevocation(entry.node));
      return fading ? either(observed, H_PARAMETER, H_RESCINDED) : REFUSED;
    }
    if (isUnderRevocation(source)) return answer(H_RESCINDED); // GR10

    if ((source.inhibits & INHIBIT_REGRANT) !== 0) return answer(H_PERMISSION); // GR5
    if ((source.inhibits & ~inhibits) !== 0) return answer(H_PERMISSION);

    const end = this.ends.get(unit); // GR6
    const grantee = end?.partner?.owner;
    if (end === undefined || !end.open || end.owner !== caller || grantee === undefined) return REFUSED;
    if (grantee === caller || grantee.state !== "running") return REFUSED;

    const room = this.#room(end); // GR7
    if (room === "none") return answer(H_NO_MEM);
    if (room === "perhaps" && observed !== H_SUCCESS) return answer(H_NO_MEM);

    const grant: Grant = {
      kind: "grant",
      cookie: this.grants.length + 1,
      grantor: caller,
      holder: grantee,
      end,
      type,
      source,
      sourcePage: first,
      pageCount,
      liobn: source.liobn,
      inhibits,
      children: new Set(),
      state: "granted",
      page: -1,
      pins: 0,
      named: false,
      helped: false,
    };
    this.grants.push(grant);
    source.children.add(grant);
    return answer(H_SUCCESS, grant.cookie);
  }

  /** GR7: what of the quota, and of the table's capacity, is sure to be free. */
  #room(end: End): "none" | "perhaps" | "enough" {
    const count = { counted: 0, fading: 0, unreturned: 0, standing: 0, vanishing: 0 };
    for (const partition of this.partitions.values()) count.standing += partition.resources.length;
    for (const grant of this.grants) {
      if (grant.state === "dead") continue;
      const fades = grant.state !== "rescinded" && isUnderRevocation(grant);
      const vanishes = fades && grant.state === "granted";
      count.standing++;
      if (vanishes) count.vanishing++;
      if (grant.end !== end) continue;
      if (grant.state === "rescinded") count.unreturned++;
      else count.counted++;
      if (fades) count.fading++;
    }
    const isFull = (counted: number, unreturned: number, standing: number): boolean =>
      counted >= end.quota || counted + unreturned >= 2 * end.quota || standing >= this.options.capacity;
    const { counted, fading, unreturned, standing, vanishing } = count;
    if (!isFull(counted, unreturned, standing)) return "enough";
    // A fading node that was accepted goes on counting as unreturned; it is enough to try the best that can be.
    if (!isFull(counted - fading, unreturned, standing - vanishing)) return "perhaps";
    return "none";
  }

  // -------------------------------------------------------------- H_ACCEPT_LOGICAL

  accept(lpid: number, cookie: number, observed?: number): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    const grant = this.grants[cookie - 1];
    if (grant === undefined || grant.holder !== caller || grant.state === "dead") return REFUSED; // AC2
    if (grant.state === "rescinded") return answer(H_RESCINDED); // AC3
    if (isUnderRevocation(grant)) {
      if (grant.state === "shared") return answer(H_RESCINDED);
      if (observed !== H_PARAMETER) return answer(H_RESCINDED);
      this.#tear(grant); // never accepted, and freed already
      return REFUSED;
    }
    if (grant.state === "shared") return REFUSED; // AC2
    if (grant.grantor.state !== "running") return answer(H_RESCINDED); // AC5
    const space = caller.spaces[grant.type];
    const page = lowestFree(space, grant.pageCount); // AC1
    if (page === undefined) return answer(H_NO_MEM); // AC4
    const source = entriesOf(grant.grantor.spaces[grant.type], grant.sourcePage, grant.pageCount);
    for (const [index, below] of source.entries()) {
      if (below === undefined) throw new Error("the model lost the page that a grant stands on");
      space.entries.set(page + index, { node: grant, frame: below.frame, rescinded: false });
    }
    grant.page = page;
    grant.state = "shared";
    return answer(H_SUCCESS, page * unitOf(grant.type));
  }

  // -------------------------------------------------------------- H_RETURN_LOGICAL

  return(lpid: number, cookie: number, observed?: number): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    const grant = this.grants[cookie - 1];
    if (grant === undefined || grant.holder !== caller) return REFUSED; // RE4
    if (grant.state === "dead" || grant.state === "granted") return REFUSED;
    if (grant.state === "shared" && isUnderRevocation(grant)) {
      if (observed !== H_SUCCESS) return answer(H_RESCINDED);
      this.#tear(grant); // rescinded already
    }
    if (grant.state === "rescinded") {
      this.#unmap(grant); // RE5
      grant.state = "dead";
      return answer(H_SUCCESS);
    }
    if (grant.children.size > 0) return answer(H_RESOURCE); // RE3
    if (grant.pins > 0) return answer(H_RESOURCE); // RE2
    this.#unmap(grant); // RE1
    grant.state = "granted";
    return answer(H_SUCCESS);
  }

  // -------------------------------------------------------------- H_RESCIND_LOGICAL

  /** `observed` also says whether a forced rescind was completed (H_SUCCESS) or begun (H_PARTIAL). */
  rescind(lpid: number, flags: number, cookie: number, observed?: number): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    if (flags !== 0 && flags !== RESCIND_FORCED) return REFUSED; // RS1
    const grant = this.grants[cookie - 1];
    if (grant === undefined || grant.grantor !== caller) return REFUSED;
    if (grant.state === "dead" || grant.state === "rescinded") return REFUSED;
    const fading = isUnderRevocation(grant);
    if (flags === RESCIND_FORCED)
      return fading ? this.#continue(grant, observed) : this.#begin(grant, observed);
    if (fading) {
      if (observed !== H_PARAMETER) return answer(H_RESCINDED); // RS5
      this.#tear(grant);
      return REFUSED;
    }
    if (grant.state === "shared" || grant.children.size > 0) return answer(H_RESOURCE); // RS2
    this.#tear(grant); // RS3
    return answer(H_SUCCESS);
  }

  #begin(grant: Grant, observed: number | undefined): Answer {
    if (observed === H_PARTIAL) {
      grant.named = true;
      return answer(H_PARTIAL);
    }
    this.#tear(grant); // RS4
    return answer(H_SUCCESS);
  }

  /** RS7: a revocation stands here or above, so others may have done part of the work, or all of it. */
  #continue(grant: Grant, observed: number | undefined): Answer {
    const outer = grant.source.kind === "grant" && isUnderRevocation(grant.source);
    const status =
      outer || grant.helped
        ? either(observed, H_PARTIAL, H_SUCCESS, H_PARAMETER)
        : either(observed, H_PARTIAL, H_SUCCESS);
    for (let above = grant.source; above.kind === "grant"; above = above.source) above.helped = true;
    if (status.status !== H_PARTIAL) this.#tear(grant);
    return status;
  }

  /** RS4, leaves first. What a running client had accepted stays in its space as Rescinded. */
  #tear(grant: Grant): void {
    for (const child of [...grant.children]) this.#tear(child);
    grant.source.children.delete(grant);
    grant.named = false;
    if (grant.state !== "shared") {
      grant.state = "dead";
      return;
    }
    if (grant.holder.state !== "running") {
      this.#unmap(grant);
      grant.state = "dead";
      return;
    }
    const { entries } = grant.holder.spaces[grant.type];
    for (let index = 0; index < grant.pageCount; index++) {
      const entry = entries.get(grant.page + index);
      if (entry !== undefined) entry.rescinded = true;
    }
    grant.state = "rescinded";
  }

  #unmap(grant: Grant): void {
    const { entries } = grant.holder.spaces[grant.type];
    for (let index = 0; index < grant.pageCount; index++) entries.delete(grant.page + index);
    grant.page = -1;
  }

  // -------------------------------------------------------------- translation

  translate(
    lpid: number,
    typeNumber: number,
    address: number,
    length: number,
    need: number,
    observed?: number,
  ): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    const type = typeOf(typeNumber);
    if (type === undefined || !isInteger(address) || !isInteger(length) || length === 0) return REFUSED;
    if (!isInteger(need) || need > (NEED_READ | NEED_WRITE)) return REFUSED;
    const bytes = unitOf(type);
    const space = caller.spaces[type];
    const first = Math.floor(address / bytes);
    const last = Math.floor((address + length - 1) / bytes);
    let fading = false;
    for (let page = first; page <= last; page++) {
      const entry = space.entries.get(page);
      const fault = faultOf(entry, need);
      fading ||= entry !== undefined && isUnderRevocation(entry.node);
      if (fault !== H_SUCCESS) return fading ? either(observed, fault, H_RESCINDED) : answer(fault);
    }
    const frame = space.entries.get(first)?.frame;
    if (fading && observed === H_RESCINDED) return answer(H_RESCINDED);
    return answer(H_SUCCESS, (frame?.physical ?? Number.NaN) * bytes + (address % bytes));
  }

  // -------------------------------------------------------------- failure and restart

  /** FA1 at once; whether the grace period runs before the rest (FA2) is the answer. */
  fail(partition: ModelPartition): "grace" | "recovered" | "nothing" {
    if (partition.state !== "running") return "nothing"; // FA3
    partition.state = "failed";
    for (const end of partition.ends) {
      end.queue = undefined;
      if (end.partner?.queue !== undefined) pushEvent(end.partner.queue, 1);
    }
    for (const grant of this.grants) {
      if (grant.holder !== partition || grant.state === "dead") continue;
      if (grant.state === "rescinded") this.#unmap(grant);
      else this.#tear(grant);
      grant.state = "dead";
    }
    if (partition.resources.some((resource) => resource.children.size > 0)) return "grace";
    this.recover(partition);
    return "recovered";
  }

  /** FA2 after grace, FA4. */
  recover(partition: ModelPartition): void {
    for (const resource of partition.resources) {
      for (const grant of [...resource.children]) this.#tear(grant);
    }
    for (const type of RESOURCE_TYPES) partition.spaces[type].entries.clear();
    partition.resources = [];
    for (const end of partition.ends) {
      end.open = false;
      if (end.partner !== undefined) end.partner.open = false;
    }
    partition.ends.clear();
    partition.state = "stopped";
  }

  /** FA8. */
  restart(partition: ModelPartition): void {
    if (partition.state !== "stopped") throw new Error("only a stopped partition restarts");
    partition.state = "running";
    partition.incarnation++;
    this.#start(partition);
    for (const assignment of partition.assignments) {
      this.#own(partition, assignment, (page) => ({
        physical: assignment.physicalPage + page,
        word: undefined,
      }));
    }
  }
}

function either(observed: number | undefined, expected: number, ...others: readonly number[]): Answer {
  return answer(observed !== undefined && others.includes(observed) ? observed : expected);
}

function entriesOf(space: Space, first: number, pageCount: number): (Entry | undefined)[] {
  return Array.from({ length: pageCount }, (_, index) => space.entries.get(first + index));
}

function faultOf(entry: Entry | undefined, need: number): number {
  if (entry === undefined) return H_PARAMETER;
  if (entry.rescinded) return H_RESCINDED;
  const { inhibits } = entry.node;
  if ((need & NEED_READ) !== 0 && (inhibits & INHIBIT_READ) !== 0) return H_PERMISSION;
  if ((need & NEED_WRITE) !== 0 && (inhibits & INHIBIT_WRITE) !== 0) return H_PERMISSION;
  return H_SUCCESS;
}

/** AC1: looks at every address from the lowest. */
function lowestFree(space: Space, pageCount: number): number | undefined {
  for (let page = 0; page + pageCount <= space.pageCount; page++) {
    let free = 0;
    while (free < pageCount && !space.entries.has(page + free)) free++;
    if (free === pageCount) return page;
  }
  return undefined;
}
