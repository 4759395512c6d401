/**
 * A grant table as one writes it in plain JavaScript: Maps and Sets of objects, with the same checks. It is a baseline, so
 * it does nothing that could be left out: free pages come from a heap that never merges runs.
 */
import {
  H_NO_MEM,
  H_PARAMETER,
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
  PAGE_BYTES,
  RESCIND_FORCED,
  TYPE_MASK,
  TYPE_MEMORY,
} from "../src/layout.js";
import { FreeRuns } from "./free-runs.js";

/** The hypercalls, as Hcalls has them. */
export interface RawCalls {
  readonly r4: number;
  grantLogical(lpid: number, flags: number, hi: number, lo: number, length: number, unit: number): number;
  acceptLogical(lpid: number, cookie: number): number;
  returnLogical(lpid: number, cookie: number): number;
  rescindLogical(lpid: number, flags: number, cookie: number): number;
  translate(lpid: number, type: number, address: number, length: number, need: number): number;
}

interface Entry {
  readonly node: Node;
  readonly frame: number;
  readonly read: boolean;
  readonly write: boolean;
  rescinded: boolean;
}

interface Node {
  readonly holder: Party;
  readonly inhibits: number;
  readonly pageCount: number;
  readonly children: Set<Grant>;
  state: "owned" | "granted" | "shared" | "rescinded";
  /** First page in the holder's space. */
  page: number;
  revoking: boolean;
}

interface Grant extends Node {
  readonly cookie: number;
  readonly end: End;
  readonly parent: Node;
  readonly sourcePage: number;
}

interface Party {
  readonly lpid: number;
  readonly entries: Map<number, Entry>;
  readonly held: Set<Grant>;
  readonly free: FreeRuns;
  owned: Node | undefined;
  running: boolean;
  rescinded: number;
}

interface End {
  readonly owner: Party;
  readonly partner: Party;
  readonly quota: number;
  used: number;
  unreturned: number;
}

export class MapTable implements RawCalls {
  r4 = 0;
  /** Control structures that the last forced rescind tore down. */
  tornDown = 0;
  readonly #parties = new Map<number, Party>();
  readonly #ends = new Map<number, End>();
  readonly #grants = new Map<number, Grant>();
  readonly #capacity: number;
  #cookies = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** A partition with so many pages of its own, frames from `frame` on, in a space of `spacePages`. */
  createPartition(ownPages: number, spacePages: number, frame = 0): number {
    const lpid = this.#parties.size + 1;
    const free = new FreeRuns(spacePages);
    const party: Party = {
      lpid,
      entries: new Map(),
      held: new Set(),
      free,
      owned: undefined,
      running: true,
      rescinded: 0,
    };
    this.#parties.set(lpid, party);
    if (ownPages === 0) return lpid;
    const node: Node = {
      holder: party,
      inhibits: 0,
      pageCount: ownPages,
      children: new Set(),
      state: "owned",
      page: free.take(ownPages),
      revoking: false,
    };
    party.owned = node;
    for (let page = 0; page < ownPages; page++) {
      party.entries.set(page, { node, frame: frame + page, read: true, write: true, rescinded: false });
    }
    return lpid;
  }

  /** The unit address by which a reaches b; b reaches a by the next one. */
  connect(a: number, b: number, quota: number): number {
    const unit = this.#ends.size + 1;
    const [first, second] = [this.#parties.get(a) as Party, this.#parties.get(b) as Party];
    this.#ends.set(unit, { owner: first, partner: second, quota, used: 0, unreturned: 0 });
    this.#ends.set(unit + 1, { owner: second, partner: first, quota, used: 0, unreturned: 0 });
    return unit;
  }

  grantLogical(lpid: number, flags: number, hi: number, lo: number, length: number, unit: number): number {
    const grantor = this.#parties.get(lpid);
    if (grantor === undefined) return H_PARAMETER;
    if (!grantor.running) return H_RESCINDED;
    if (flags >>> 0 !== flags || flags > 0xff || (flags & INHIBIT_RESERVED) !== 0) return H_PARAMETER;
    if ((flags & TYPE_MASK) !== TYPE_MEMORY || hi !== 0) return H_PARAMETER;
    const inhibits = flags & (INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT);
    const page = lo / PAGE_BYTES;
    const pageCount = length / PAGE_BYTES;
    if (!Number.isSafeInteger(page) || !Number.isSafeInteger(pageCount)) return H_PARAMETER;
    if (page < 0 || pageCount <= 0) return H_PARAMETER;
    const entry = grantor.entries.get(page);
    const source = entry?.node;
    const isLive = source?.state === "owned" || source?.state === "shared";
    if (source === undefined || !isLive || page - source.page + pageCount > source.pageCount) {
      for (let i = 0; grantor.rescinded > 0 && i < pageCount; i++) {
        if (grantor.entries.get(page + i)?.rescinded === true) return H_RESCINDED;
      }
      return H_PARAMETER;
    }
    if (source.revoking) return H_RESCINDED;
    if ((source.inhibits & INHIBIT_REGRANT) !== 0 || (source.inhibits & ~inhibits) !== 0) return H_PERMISSION;
    const end = this.#ends.get(unit);
    if (end === undefined || end.owner !== grantor || !end.partner.running) return H_PARAMETER;
    if (end.used >= end.quota || end.used + end.unreturned >= end.quota * 2) return H_NO_MEM;
    if (this.#grants.size >= this.#capacity) return H_NO_MEM;

    const grant: Grant = {
      cookie: ++this.#cookies,
      end,
      parent: source,
      sourcePage: page,
      holder: end.partner,
      inhibits,
      pageCount,
      children: new Set(),
      state: "granted",
      page: 0,
      revoking: false,
    };
    this.#grants.set(grant.cookie, grant);
    source.children.add(grant);
    end.partner.held.add(grant);
    end.used++;
    this.r4 = grant.cookie;
    return H_SUCCESS;
  }

  acceptLogical(lpid: number, cookie: number): number {
    const holder = this.#parties.get(lpid);
    if (holder === undefined) return H_PARAMETER;
    if (!holder.running) return H_RESCINDED;
    const grant = this.#grants.get(cookie);
    if (grant === undefined || grant.holder !== holder) return H_PARAMETER;
    if (grant.state === "rescinded" || grant.revoking) return H_RESCINDED;
    if (grant.state !== "granted") return H_PARAMETER;
    const grantor = grant.parent.holder;
    if (!grantor.running) return H_RESCINDED;
    const page = holder.free.take(grant.pageCount);
    if (page < 0) return H_NO_MEM;

    const read = (grant.inhibits & INHIBIT_READ) === 0;
    const write = (grant.inhibits & INHIBIT_WRITE) === 0;
    for (let i = 0; i < grant.pageCount; i++) {
      const { frame } = grantor.entries.get(grant.sourcePage + i) as Entry;
      holder.entries.set(page + i, { node: grant, frame, read, write, rescinded: false });
    }
    grant.page = page;
    grant.state = "shared";
    this.r4 = page * PAGE_BYTES;
    return H_SUCCESS;
  }

  #unmap(grant: Grant): void {
    const { entries, free } = grant.holder;
    for (let i = 0; i < grant.pageCount; i++) entries.delete(grant.page + i);
    free.give(grant.page, grant.pageCount);
  }

  returnLogical(lpid: number, cookie: number): number {
    const holder = this.#parties.get(lpid);
    if (holder === undefined) return H_PARAMETER;
    if (!holder.running) return H_RESCINDED;
    const grant = this.#grants.get(cookie);
    if (grant === undefined || grant.holder !== holder || grant.state === "granted") return H_PARAMETER;
    if (grant.state === "rescinded") {
      this.#unmap(grant);
      grant.end.unreturned--;
      holder.rescinded--;
      holder.held.delete(grant);
      this.#grants.delete(cookie);
      return H_SUCCESS;
    }
    if (grant.revoking) return H_RESCINDED;
    if (grant.children.size > 0) return H_RESOURCE;
    this.#unmap(grant);
    grant.state = "granted";
    return H_SUCCESS;
  }

  rescindLogical(lpid: number, flags: number, cookie: number): number {
    const grantor = this.#parties.get(lpid);
    if (grantor === undefined) return H_PARAMETER;
    if (!grantor.running) return H_RESCINDED;
    if (flags !== 0 && flags !== RESCIND_FORCED) return H_PARAMETER;
    const grant = this.#grants.get(cookie);
    if (grant === undefined || grant.state === "rescinded") return H_PARAMETER;
    if (grant.parent.holder !== grantor) return H_PARAMETER;
    if (flags === RESCIND_FORCED) {
      this.tornDown = 0;
      this.#revoke(grant);
      return H_SUCCESS;
    }
    if (grant.revoking) return H_RESCINDED;
    if (grant.state !== "granted" || grant.children.size > 0) return H_RESOURCE;
    this.#end(grant);
    return H_SUCCESS;
  }

  #end(grant: Grant): void {
    grant.end.used--;
    grant.parent.children.delete(grant);
    grant.holder.held.delete(grant);
    this.#grants.delete(grant.cookie);
  }

  /** Marks the subtree, then tears it down, leaves first. */
  #revoke(root: Grant): void {
    const order: Grant[] = [root];
    for (let i = 0; i < order.length; i++) {
      const grant = order[i] as Grant;
      grant.revoking = true;
      if (grant.state === "shared") {
        for (let page = 0; page < grant.pageCount; page++) {
          (grant.holder.entries.get(grant.page + page) as Entry).rescinded = true;
        }
      }
      for (const child of grant.children) order.push(child);
    }
    for (let i = order.length - 1; i >= 0; i--) this.#tearDown(order[i] as Grant);
    this.tornDown += order.length;
  }

  #tearDown(grant: Grant): void {
    if (grant.state === "shared" && grant.holder.running) {
      grant.end.used--;
      grant.end.unreturned++;
      grant.holder.rescinded++;
      grant.parent.children.delete(grant);
      grant.state = "rescinded";
      grant.revoking = false;
      return;
    }
    if (grant.state === "shared") this.#unmap(grant);
    this.#end(grant);
  }

  /** A partition fails: what it accepted is returned, what it granted is rescinded by force. */
  fail(lpid: number): void {
    const party = this.#parties.get(lpid) as Party;
    party.running = false;
    for (const grant of party.held) this.#revoke(grant);
    for (const grant of party.owned?.children ?? []) this.#revoke(grant);
  }

  restart(lpid: number): void {
    (this.#parties.get(lpid) as Party).running = true;
  }

  /** Pages that it reaches, and grants to it and by it that stand, for comparison. */
  usage(lpid: number): { mapped: number; grantsIn: number; rescinded: number } {
    const party = this.#parties.get(lpid) as Party;
    let mapped = 0;
    for (const { node, rescinded } of party.entries.values()) {
      if (!rescinded && node.state === "shared") mapped++;
    }
    return { mapped, grantsIn: party.held.size - party.rescinded, rescinded: party.rescinded };
  }

  translate(lpid: number, type: number, address: number, length: number, need: number): number {
    const party = this.#parties.get(lpid);
    if (party === undefined || type !== TYPE_MEMORY || length !== 1) return H_PARAMETER;
    if (!party.running) return H_RESCINDED;
    if (!Number.isInteger(address)) return H_PARAMETER;
    const page = Math.floor(address / PAGE_BYTES);
    const entry = party.entries.get(page);
    if (entry === undefined) return H_PARAMETER;
    if (entry.rescinded) return H_RESCINDED;
    if ((need & NEED_READ) !== 0 && !entry.read) return H_PERMISSION;
    if ((need & NEED_WRITE) !== 0 && !entry.write) return H_PERMISSION;
    this.r4 = entry.frame * PAGE_BYTES + (address - page * PAGE_BYTES);
    return H_SUCCESS;
  }
}
