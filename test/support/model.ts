/**
 * The hypercalls over plain Maps, one rule after the other in the order of DESIGN.md, section 3.
 *
 * What the contract leaves to the core is learnt from the real table and checked against what the contract allows:
 * which frame a page gets, which cookie a grant, how far a slice of a revocation came (model-learn.ts). Everything else
 * the model knows for itself.
 */

import type { ResourceType } from "../../src/index.js";
import {
  EVENT_MS_LIMIT,
  EVENT_MS_SHIFT,
  EVENT_RESCIND_REQUESTED,
  EVENT_RETURNED,
  EVENTS_LOST,
  FRAMES_LIMIT,
  H_BUSY,
  H_NO_MEM,
  H_NOT_FOUND,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_RESERVED,
  INHIBIT_WRITE,
  PAGE_BYTES,
  RESCIND_FORCED,
  RETURN_PAGES,
  TRANSPORT_DEREGISTERED,
  TRANSPORT_FAILED,
  TYPE_MASK,
} from "../../src/layout.js";
import { isOwn, learnReleased, privatePages, splitPages } from "./model-copies.js";
import {
  acceptDonation,
  anyLent,
  isExclusive,
  isInArena,
  isWhole,
  mustZero,
  termsOf,
  zeroSome,
} from "./model-lend.js";
import { armedLines, type DueLine } from "./model-lines.js";
import {
  type Answer,
  answer,
  type End,
  type Entry,
  ensure,
  type Frame,
  type Grant,
  type GrantState,
  isInteger,
  isUnderRevocation,
  type ModelEvent,
  type ModelPartition,
  type Node,
  nameOf,
  type Pin,
  REFUSED,
  type Resource,
  type Space,
  type Tce,
  typeOf,
  unitOf,
} from "./model-records.js";
import { learnFail } from "./model-tell.js";

export interface ModelOptions {
  readonly frames: number;
  /** Control structures that can exist at once. */
  readonly capacity: number;
  readonly partitions: number;
  readonly ends: number;
  readonly views: number;
  /** Frames that moves may leave in quarantine. */
  readonly quarantine: number;
  /** Entries of one event ring. */
  readonly eventsMax: number;
  /** Pages of each logical space. */
  readonly spaces: Record<ResourceType, number>;
}

/** What may be learnt from the real table, in the model's words. */
export interface Observed {
  /** The physical page behind a mapped page, undefined if nothing is mapped there. */
  physical(lpid: number, type: ResourceType, page: number): number | undefined;
  /** The grant that the cookie names; "dead" if the real table does not know it any more. */
  grant(cookie: number): { readonly state: GrantState; readonly named: boolean; readonly marked: boolean };
  /** A standing elemental resource. */
  resource(
    lpid: number,
    type: ResourceType,
    page: number,
  ): { readonly named: boolean; readonly marked: boolean } | undefined;
  /** The interrupts and doorbells that a partition can take, in order. */
  due(lpid: number): DueLine[];
  /** The page and the rights of the TCE at a page of a window's owner. */
  tce(lpid: number, page: number): { readonly page: number; readonly rights: number } | undefined;
  /** Who is charged for a frame in quarantine, 0 for nobody. */
  charged(physical: number): number;
  /** Whose pin it is: an lpid, "orphan", or "gone". */
  pinHolder(number: number): number | "orphan" | "gone";
  /** Whether the frame of a page of memory is the mapping's own, which may have lost its access. */
  isPrivate(lpid: number, page: number): boolean;
  /** Whether all bytes of a frame are zero. */
  isZero(physical: number): boolean;
  /** How many pages of a lend that ends are zero already (OM5). */
  zeroed(cookie: number): number;
  /** Steps of one slice. */
  budget(): number;
  isStopped(lpid: number): boolean;
  /** Whose partners are being told, 0 for nobody's, and the unit address of the end at which that stands, 0 behind the last one. */
  telling(): { readonly lpid: number; readonly unit: number };
  /** Whether a failed partition has not told its failure to all. */
  isTelling(lpid: number): boolean;
  /** Whether a partition has ends of adapters. */
  hasEnds(lpid: number): boolean;
  /** Whether nothing of a partition is left but its adapters. */
  isEnding(lpid: number): boolean;
  /** Pages moved so far. */
  moves(): number;
}

/** A grant as the caller asks for it. */
export type GrantRequest = readonly [
  lpid: number,
  flags: number,
  hi: number,
  lo: number,
  length: number,
  unit: number,
];

/** An entry as it is mapped where nothing is copied. */
const PLAIN = { state: "mapped", copiesFirst: false, isPrivate: false } as const;

export class Model {
  readonly options: ModelOptions;
  readonly observed: Observed;
  readonly partitions = new Map<number, ModelPartition>();
  /** Incarnations of partitions that were removed: the number goes on counting. */
  readonly incarnations = new Map<number, number>();
  readonly ends = new Set<End>();
  /** Whose telling has begun and is not over: one at a time. */
  teller: ModelPartition | undefined;
  /** The grants that stand, by cookie. */
  readonly grants = new Map<number, Grant>();
  readonly pins = new Map<number, Pin>();
  readonly pinsEver = new Set<number>();
  /** What is put behind the pages of DMA windows. */
  readonly tces = new Set<Tce>();
  /** Frames that are kept for views only, and who is charged. */
  readonly quarantine = new Map<Frame, number>();
  /** Events that a command has caused, not yet seen in the rings. */
  readonly told = new Map<ModelPartition, ModelEvent[]>();
  moves = 0;
  readonly #cookiesEver = new Set<number>();
  readonly #unitsEver = new Set<number>();

  constructor(options: ModelOptions, observed: Observed) {
    this.options = options;
    this.observed = observed;
  }

  // -------------------------------------------------------------- what stands

  endOf(caller: ModelPartition, unit: number): End | undefined {
    for (const end of this.ends) if (end.unit === unit && end.owner === caller) return end;
    return undefined;
  }

  structuresUsed(): number {
    let used = this.grants.size;
    for (const partition of this.partitions.values()) used += partition.resources.length;
    return used;
  }

  /** The frames of all pages that have one of their own, as often as pages stand on it. */
  ownFrames(): Frame[] {
    const frames: Frame[] = [];
    for (const partition of this.partitions.values()) {
      for (const entry of partition.spaces.memory.entries.values()) {
        if (isOwn(entry)) frames.push(entry.frame);
      }
    }
    return frames;
  }

  /** Frames that belong to somebody, without those in quarantine. */
  framesOwned(): Set<Frame> {
    return new Set(this.ownFrames());
  }

  /** How many pages of their own stand on a frame: more than one if they were merged. */
  standingOn(frame: Frame): number {
    return this.ownFrames().filter((other) => other === frame).length;
  }

  framesFree(): number {
    return this.options.frames - this.framesOwned().size - this.quarantine.size;
  }

  freeFrames(): Set<number> {
    const free = new Set(Array.from({ length: this.options.frames }, (_, frame) => frame));
    for (const { physical } of [...this.framesOwned(), ...this.quarantine.keys()]) free.delete(physical);
    return free;
  }

  /** What counts on an end: grants that stand, and rescinded ones that were not returned (GR7). */
  countsOf(end: End): { used: number; unreturned: number } {
    let used = 0;
    let unreturned = 0;
    for (const grant of this.grants.values()) {
      if (grant.end !== end) continue;
      if (grant.state === "rescinded") unreturned++;
      else used++;
    }
    return { used, unreturned };
  }

  /** Whose pins stand: those of views, of armed sources, and of TCEs, at their pane and at the memory that they name (RE2). */
  pinsOf(node: Node): number {
    let pins = node.pins;
    if (node.type === "interrupt") pins += armedLines(node.holder).filter((other) => other === node).length;
    for (const { pane, memory } of this.tces) if (pane === node || memory === node) pins++;
    return pins;
  }

  heldBy(partition: ModelPartition): Grant[] {
    return [...this.grants.values()].filter((grant) => grant.holder === partition);
  }

  /** A frame that the real table has chosen. It must be nobody's. */
  frame(physical: number, bytes: Uint8Array): Frame {
    ensure(physical >= 0 && physical < this.options.frames, () => `frame ${physical} does not exist`);
    let taken = [...this.quarantine.keys()].some((other) => other.physical === physical);
    for (const { lpid, spaces } of this.partitions.values()) {
      for (const [page, { node, frame, isPrivate }] of spaces.memory.entries) {
        if (frame.physical !== physical) continue;
        // It may have been freed earlier in the slice that is being learnt.
        if (node.kind === "resource") taken ||= this.observed.physical(lpid, "memory", page) === physical;
        else taken ||= isPrivate && this.observed.isPrivate(lpid, page);
      }
    }
    ensure(!taken, () => `frame ${physical} was handed out while it was in use`);
    return { physical, bytes, pins: 0 };
  }

  /** Closed ends go when nothing counts on them. */
  dropIdleEnds(): void {
    for (const end of this.ends) {
      if (end.isOpen || end.queue !== undefined || end.lingers) continue;
      const { used, unreturned } = this.countsOf(end);
      if (used + unreturned === 0) this.ends.delete(end);
    }
  }

  tell(partition: ModelPartition, type: number, from: number, value: number): void {
    if (partition.state !== "running") return;
    const events = this.told.get(partition);
    if (events === undefined) this.told.set(partition, [{ type, from, value }]);
    else events.push({ type, from, value });
  }

  // -------------------------------------------------------------- set-up

  createPartition(memoryPages: number, lmbPages: number): Answer {
    if (!isInteger(memoryPages) || !isInteger(lmbPages) || memoryPages >= 0xffffffff) return REFUSED;
    if (lmbPages === 0 || lmbPages > FRAMES_LIMIT) return REFUSED;
    let lpid = 1;
    while (this.partitions.has(lpid)) lpid++;
    if (lpid > this.options.partitions) return answer(H_NO_MEM);
    if (memoryPages > this.options.spaces.memory) return REFUSED;
    const space = (type: ResourceType): Space => ({
      pageCount: this.options.spaces[type],
      entries: new Map(),
    });
    const partition: ModelPartition = {
      lpid,
      memoryPages,
      lmbPages,
      spaces: {
        memory: space("memory"),
        mmio: space("mmio"),
        interrupt: space("interrupt"),
        dma: space("dma"),
        ipi: space("ipi"),
      },
      allocated: new Map(),
      resources: [],
      state: "stopped",
      deferred: false,
      telling: 0,
      isEnding: false,
      untold: [],
      heard: new Set(),
      incarnation: this.incarnations.get(lpid) ?? 0,
      events: [],
      eventsLost: 0,
      lines: new WeakMap(),
      due: [],
    };
    const started = this.#start(partition, 0);
    if (started.status === H_SUCCESS) this.partitions.set(lpid, partition);
    return started;
  }

  #start(partition: ModelPartition, others: number): Answer {
    const { lpid, memoryPages, lmbPages } = partition;
    if (memoryPages > this.framesFree()) return answer(H_NO_MEM);
    if (Math.ceil(memoryPages / lmbPages) + others > this.options.capacity - this.structuresUsed())
      return answer(H_NO_MEM);
    partition.state = "running";
    partition.incarnation++;
    partition.allocated.clear();
    for (let page = 0; page < memoryPages; page += lmbPages) {
      this.#own(partition, "memory", page, Math.min(lmbPages, memoryPages - page), 0, (at) => {
        const physical = this.observed.physical(lpid, "memory", at);
        ensure(physical !== undefined, () => `partition ${lpid} has no memory at page ${at}`);
        return this.frame(physical, new Uint8Array(PAGE_BYTES)); // TR5: zero-filled
      });
    }
    return answer(H_SUCCESS, lpid);
  }

  #own(
    holder: ModelPartition,
    type: ResourceType,
    page: number,
    pageCount: number,
    liobn: number,
    frameAt: (page: number) => Frame,
  ): void {
    const resource: Resource = {
      ...{ kind: "resource", holder, type, page, pageCount, liobn, inhibits: 0 },
      ...{ children: new Set(), pins: 0, named: false, marked: false, isDonated: false },
    };
    holder.resources.push(resource);
    for (let at = page; at < page + pageCount; at++) {
      holder.spaces[type].entries.set(at, { ...PLAIN, node: resource, frame: frameAt(at) });
    }
  }

  /** KI2 to KI5. */
  assign(
    lpid: number,
    typeNumber: number,
    address: number,
    length: number,
    physical: number,
    liobn: number,
  ): Answer {
    const partition = this.partitions.get(lpid);
    if (partition === undefined) return REFUSED;
    if (partition.state !== "running") return answer(H_RESCINDED);
    const type = typeOf(typeNumber);
    if (type === undefined || type === "memory") return REFUSED;
    const unit = unitOf(type);
    if (![address, length, physical].every((value) => isInteger(value) && value % unit === 0)) return REFUSED;
    if (length === 0 || !isInteger(liobn) || liobn >= 0xffffffff || (type !== "dma" && liobn !== 0))
      return REFUSED;
    const [page, pageCount, frame] = [address / unit, length / unit, physical / unit];
    const { pageCount: size, entries } = partition.spaces[type];
    if (page + pageCount > size || frame + pageCount > FRAMES_LIMIT) return REFUSED;
    for (let at = page; at < page + pageCount; at++) if (entries.has(at)) return answer(H_RESOURCE);
    const isSingle = unit !== 1;
    if (this.options.capacity - this.structuresUsed() < (isSingle ? 1 : pageCount)) return answer(H_NO_MEM);
    const step = isSingle ? pageCount : 1;
    for (let at = page; at < page + pageCount; at += step) {
      this.#own(partition, type, at, step, liobn, (each) => ({
        physical: frame + each - page,
        bytes: new Uint8Array(0),
        pins: 0,
      }));
    }
    return answer(H_SUCCESS);
  }

  /** CQ1. The unit addresses are the real core's choice: `units` are those of the two new ends. */
  connect(a: number, b: number, quota: number, units: () => readonly [number, number]): Answer {
    const [first, second] = [this.partitions.get(a), this.partitions.get(b)];
    if (first === undefined || second === undefined || first === second) return REFUSED;
    if (!isInteger(quota) || quota >= 0xffffffff) return REFUSED;
    if (first.state !== "running" || second.state !== "running") return answer(H_RESCINDED);
    const owned = [...this.ends].filter(({ owner }) => owner !== undefined).length;
    if (owned + 2 > this.options.ends) return answer(H_NO_MEM);
    // What a partner has not returned waits for the next adapter of the two (GR7); half as many ends more may wait.
    const waiting = [this.#waiting(a, b), this.#waiting(b, a)] as const;
    const taken = this.ends.size - waiting.filter((end) => end !== undefined).length;
    if (taken + 2 > this.options.ends + Math.ceil(this.options.ends / 2)) return answer(H_NO_MEM);
    const make = (owner: ModelPartition, unit: number, end: End | undefined): End => {
      ensure(!this.#unitsEver.has(unit), () => `unit address ${unit} was handed out twice (G4)`);
      this.#unitsEver.add(unit);
      const fresh = { unit, owner, formerly: undefined, quota, partner: undefined, isOpen: true };
      const made: End = Object.assign(end ?? {}, { ...fresh, queue: undefined, lingers: false });
      this.ends.delete(made);
      this.ends.add(made);
      return made;
    };
    const [near, far] = units();
    const nearEnd = make(first, near, waiting[0]);
    const farEnd = make(second, far, waiting[1]);
    nearEnd.partner = farEnd;
    farEnd.partner = nearEnd;
    return answer(H_SUCCESS, near);
  }

  /** What `partner` has not returned to an old incarnation of `owner`: the end that began to wait last. */
  #waiting(owner: number, partner: number): End | undefined {
    return [...this.ends].findLast(
      ({ owner: now, formerly }) => now === undefined && formerly?.[0] === owner && formerly[1] === partner,
    );
  }

  // -------------------------------------------------------------- own memory

  allocate(lpid: number, length: number): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    const pageCount = Math.ceil(length / PAGE_BYTES);
    if (!Number.isInteger(length) || length <= 0 || pageCount >= 0xffffffff) return REFUSED;
    for (let page = 0; page + pageCount <= caller.memoryPages; page++) {
      const inOneLmb =
        Math.floor(page / caller.lmbPages) === Math.floor((page + pageCount - 1) / caller.lmbPages);
      if (!inOneLmb || !isInArena(caller, page) || overlaps(caller.allocated, page, pageCount)) continue;
      caller.allocated.set(page, pageCount);
      return answer(H_SUCCESS, page * PAGE_BYTES);
    }
    return answer(H_NO_MEM);
  }

  deallocate(lpid: number, address: number): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    if (!isInteger(address) || address % PAGE_BYTES !== 0) return REFUSED;
    // What lies where it was given is gone with it, also when another LMB has come to its place (OM9).
    return caller.allocated.delete(address / PAGE_BYTES) ? answer(H_SUCCESS) : REFUSED;
  }

  // -------------------------------------------------------------- H_GRANT_LOGICAL

  /** `cookie` is what the real table calls the grant, if it makes one; `mode` is a caller's number. */
  grant(request: GrantRequest, cookie: number, mode = 0, isCopyOnWrite = false): Answer {
    const [lpid, flags, hi, lo, length, unit] = request;
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED); // GR10

    if (!isInteger(flags) || flags > 0xff) return REFUSED; // GR1
    const type = typeOf(flags & TYPE_MASK);
    let inhibits = flags & (INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT);
    if (type === undefined || (flags & INHIBIT_RESERVED) !== 0) return REFUSED;
    const hasRights = type === "memory" || type === "mmio";
    if (!hasRights && (flags & (INHIBIT_READ | INHIBIT_WRITE)) !== 0) return REFUSED;

    if (isCopyOnWrite) {
      if (type !== "memory" || (inhibits & (INHIBIT_READ | INHIBIT_WRITE)) !== 0) return REFUSED;
      // Nobody writes to the owner's page, and who was granted it on would not follow the copies.
      inhibits = INHIBIT_WRITE | INHIBIT_REGRANT;
    }
    const terms = termsOf(mode, type, inhibits); // OM1
    if (terms === undefined) return REFUSED;

    const bytes = unitOf(type); // GR2
    if (!isInteger(lo) || !isInteger(length) || lo % bytes !== 0 || length % bytes !== 0) return REFUSED;
    if (length === 0 || (bytes === 1 && length !== 1)) return REFUSED;
    if (!isInteger(hi) || hi >= 0xffffffff || (type !== "dma" && hi !== 0)) return REFUSED;

    const space = caller.spaces[type]; // GR3, GR4
    const [first, pageCount] = [lo / bytes, length / bytes];
    if (first + pageCount > space.pageCount) return REFUSED;
    const range = entriesOf(space, first, pageCount);
    if (range.some((entry) => entry?.state === "rescinded")) return answer(H_RESCINDED);
    const source = range[0]?.node;
    if (source === undefined || range.some((entry) => entry?.node !== source || entry.state !== "mapped"))
      return REFUSED;
    if (source.liobn !== hi) return REFUSED;
    if (terms.mode === "donate" && !isWhole(source, first, pageCount)) return REFUSED; // OM8
    if (isUnderRevocation(source)) return answer(H_RESCINDED); // GR10

    if ((source.inhibits & INHIBIT_REGRANT) !== 0) return answer(H_PERMISSION); // GR5
    if ((source.inhibits & ~inhibits) !== 0) return answer(H_PERMISSION);
    if (terms.zeroes && (source.inhibits & INHIBIT_WRITE) !== 0) return answer(H_PERMISSION); // zeroing is writing

    const end = this.endOf(caller, unit); // GR6
    const grantee = end?.isOpen === true ? end.partner?.owner : undefined;
    if (end === undefined || grantee === undefined || grantee.state !== "running") return REFUSED;

    if (anyLent(source, first, pageCount)) return answer(H_RESOURCE); // OM2
    if (terms.mode !== "share" && !isExclusive(this, source, first, pageCount)) return answer(H_RESOURCE); // OM3
    const isNamed = [...this.tces].some(({ memory }) => memory === source);
    if (terms.mode === "donate" && isNamed) return answer(H_RESOURCE); // OM3

    const { used, unreturned } = this.countsOf(end); // GR7
    if (used >= end.quota || used + unreturned >= 2 * end.quota) return answer(H_NO_MEM);
    if (this.structuresUsed() >= this.options.capacity) return answer(H_NO_MEM);

    // Sharers reach the owner's frame, so that must be its alone.
    const isSplit = type !== "memory" || splitPages(this, caller, first, pageCount) === H_SUCCESS;
    if (!isSplit) return answer(H_NO_MEM);
    ensure(isInteger(cookie) && !this.#cookiesEver.has(cookie), () => `cookie ${cookie} came twice (G3)`);
    this.#cookiesEver.add(cookie);
    // Without spreads: they make slow objects.
    const grant: Grant = {
      kind: "grant",
      cookie,
      grantor: caller,
      holder: grantee,
      end,
      type,
      source,
      sourcePage: first,
      pageCount,
      liobn: source.liobn,
      inhibits,
      mode: terms.mode,
      zeroes: terms.zeroes,
      isCopyOnWrite,
      zeroed: 0,
      children: new Set(),
      state: "granted",
      page: 0,
      pins: 0,
      named: false,
      marked: false,
      viewsBefore: 0,
    };
    this.grants.set(cookie, grant);
    source.children.add(grant);
    return answer(H_SUCCESS, cookie);
  }

  // -------------------------------------------------------------- H_ACCEPT_LOGICAL

  accept(lpid: number, cookie: number): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    const grant = this.grants.get(cookie);
    if (grant === undefined || grant.holder !== caller) return REFUSED; // AC2
    if (grant.state === "rescinded" || isUnderRevocation(grant)) return answer(H_RESCINDED); // AC3
    if (grant.state !== "granted") return REFUSED; // AC2
    if (grant.grantor.state !== "running") return answer(H_RESCINDED); // AC5
    if (grant.mode === "donate") return acceptDonation(this, grant);
    const space = caller.spaces[grant.type];
    const page = lowestFree(space, grant.pageCount); // AC1
    if (page === undefined) return answer(H_NO_MEM); // AC4
    const source = entriesOf(grant.grantor.spaces[grant.type], grant.sourcePage, grant.pageCount);
    for (const [index, entry] of source.entries()) {
      ensure(entry?.state === "mapped", () => `the model lost a page under grant ${cookie}`);
      const copies = { copiesFirst: grant.isCopyOnWrite };
      space.entries.set(page + index, { ...PLAIN, ...copies, node: grant, frame: entry.frame });
    }
    grant.page = page;
    grant.state = "shared";
    return answer(H_SUCCESS, page * unitOf(grant.type));
  }

  // -------------------------------------------------------------- H_RETURN_LOGICAL

  return(lpid: number, cookie: number): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    const grant = this.grants.get(cookie);
    if (grant === undefined || grant.holder !== caller || grant.state === "granted") return REFUSED; // RE4
    if (grant.state === "rescinded") {
      this.unmap(grant); // RE5
      this.end(grant);
      return answer(H_SUCCESS);
    }
    if (isUnderRevocation(grant)) return answer(H_RESCINDED);
    if (grant.children.size > 0) return answer(H_RESOURCE); // RE3
    if (this.pinsOf(grant) > 0) return answer(H_RESOURCE); // RE2
    if (mustZero(grant)) {
      this.#unmapOnly(grant);
      zeroSome(grant, this.observed.budget());
      if (mustZero(grant)) return answer(H_BUSY); // OM5
    }
    if (privatePages(grant).length > 0) {
      this.#unmapOnly(grant);
      const released = learnReleased(this, grant, () => ensure(false, () => `${nameOf(grant)} has a view`));
      ensure(released > 0, () => `a return of ${nameOf(grant)} gave nothing back`);
      if (privatePages(grant).length > 0) return answer(H_BUSY);
    }
    if (grant.state === "shared" && grant.pageCount > RETURN_PAGES) {
      this.#unmapOnly(grant);
      return answer(H_BUSY); // RE6
    }
    this.unmap(grant); // RE1
    if (grant.grantor.deferred) {
      this.end(grant); // FA7: nobody may accept it again
      return answer(H_SUCCESS);
    }
    grant.state = "granted";
    grant.zeroed = 0;
    this.tell(grant.grantor, EVENT_RETURNED, caller.lpid, cookie);
    return answer(H_SUCCESS);
  }

  /** The addresses are unmapped, and still taken. */
  #unmapOnly(grant: Grant): void {
    for (const entry of this.entriesUnder(grant)) entry.state = "unmapped";
    grant.state = "returning";
  }

  /** The entries of what a grant takes in its holder's space. */
  entriesUnder(grant: Grant): Entry[] {
    const all = entriesOf(grant.holder.spaces[grant.type], grant.page, grant.pageCount);
    return all.filter((entry) => entry !== undefined && entry.node === grant) as Entry[];
  }

  unmap(grant: Grant): void {
    const { entries } = grant.holder.spaces[grant.type];
    for (let index = 0; index < grant.pageCount; index++) entries.delete(grant.page + index);
    grant.page = 0;
  }

  /** A grant that nothing stands on any more becomes Unknown. */
  end(grant: Grant): void {
    grant.source.children.delete(grant);
    grant.state = "dead";
    grant.named = false;
    grant.marked = false;
    this.grants.delete(grant.cookie);
    this.dropIdleEnds();
  }

  // -------------------------------------------------------------- H_RESCIND_LOGICAL

  /** A forced rescind that may begin or go on answers "slice": how far it came is learnt. */
  rescind(lpid: number, flags: number, cookie: number): Answer | Node {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    if (flags !== 0 && flags !== RESCIND_FORCED) return REFUSED; // RS1
    const grant = this.grants.get(cookie);
    if (grant === undefined || grant.grantor !== caller || grant.state === "rescinded") return REFUSED; // RS1
    if (flags === RESCIND_FORCED) return grant;
    if (isUnderRevocation(grant)) return answer(H_RESCINDED);
    if (grant.state !== "granted" || grant.children.size > 0) return answer(H_RESOURCE); // RS2
    this.end(grant); // RS3
    return answer(H_SUCCESS);
  }

  /** The client is asked to give back by itself, if it has anything to give back. */
  requestReturn(lpid: number, cookie: number, ms: number): Answer {
    const caller = this.partitions.get(lpid);
    if (caller === undefined) return REFUSED;
    if (caller.state !== "running") return answer(H_RESCINDED);
    if (!isInteger(ms) || ms > EVENT_MS_LIMIT) return REFUSED;
    const grant = this.grants.get(cookie);
    if (grant === undefined || grant.grantor !== caller || grant.state === "rescinded") return REFUSED; // RS1
    if (isUnderRevocation(grant)) return answer(H_RESCINDED);
    if (grant.state !== "granted")
      this.tell(grant.holder, EVENT_RESCIND_REQUESTED + ms * 2 ** EVENT_MS_SHIFT, lpid, cookie);
    return answer(H_SUCCESS);
  }

  // -------------------------------------------------------------- failure and restart

  /** R4 of the first slice: whether a grace period is owed (FA2). */
  fail(lpid: number, orderly: number): Answer {
    const partition = this.partitions.get(lpid);
    if (partition === undefined || (orderly !== 0 && orderly !== 1)) return REFUSED;
    if (partition.telling !== 0) return learnFail(this, partition);
    if (partition.state !== "running") return answer(H_RESOURCE);
    partition.state = "failed";
    partition.events = [];
    partition.eventsLost = 0;
    for (const end of this.ends) {
      if (end.owner !== partition) continue;
      // A closed end that only its queue has kept now goes with the rest of the partition.
      if (!end.isOpen && end.queue !== undefined) end.lingers = true;
      end.queue = undefined;
    }
    partition.telling = orderly === 1 ? TRANSPORT_DEREGISTERED : TRANSPORT_FAILED;
    return learnFail(this, partition, partition.resources.some(({ children }) => children.size > 0) ? 1 : 0);
  }

  /** FA8. @param structures that what is to be assigned needs. */
  restart(lpid: number, structures: number): Answer {
    const partition = this.partitions.get(lpid);
    const isCount = Number.isInteger(structures) && structures >= 0 && structures < 2 ** 32 - 1;
    if (partition === undefined || !isCount) return REFUSED;
    if (partition.state !== "stopped") return answer(H_RESOURCE);
    return this.#start(partition, structures);
  }

  remove(lpid: number): Answer {
    const partition = this.partitions.get(lpid);
    if (partition === undefined) return REFUSED;
    if (partition.state !== "stopped") return answer(H_RESOURCE);
    this.partitions.delete(lpid);
    this.incarnations.set(lpid, partition.incarnation);
    return answer(H_SUCCESS);
  }

  // -------------------------------------------------------------- events

  takeEvent(lpid: number): { answer: Answer; event?: ModelEvent } {
    const partition = this.partitions.get(lpid);
    if (partition === undefined) return { answer: REFUSED };
    const event = partition.state === "running" ? partition.events.shift() : undefined;
    if (event !== undefined) return { answer: answer(H_SUCCESS), event };
    const { eventsLost } = partition;
    if (eventsLost === 0) return { answer: answer(H_NOT_FOUND) };
    partition.eventsLost = 0;
    return { answer: answer(H_SUCCESS), event: { type: EVENTS_LOST, from: 0, value: eventsLost } };
  }
}

/** The status of a node's loss: what the state table says about a torn down grant. */
export function stateAfterTearDown(grant: Grant): GrantState {
  return grant.state === "shared" && grant.holder.state === "running" ? "rescinded" : "dead";
}

export function entriesOf(space: Space, first: number, pageCount: number): (Entry | undefined)[] {
  return Array.from({ length: pageCount }, (_, index) => space.entries.get(first + index));
}

/** AC1: looks at every address from the lowest. */
export function lowestFree(space: Space, pageCount: number): number | undefined {
  for (let page = 0; page + pageCount <= space.pageCount; page++) {
    let free = 0;
    while (free < pageCount && !space.entries.has(page + free)) free++;
    if (free === pageCount) return page;
  }
  return undefined;
}

function overlaps(allocated: ReadonlyMap<number, number>, page: number, pageCount: number): boolean {
  for (const [first, count] of allocated) if (first < page + pageCount && page < first + count) return true;
  return false;
}
