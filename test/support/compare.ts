/**
 * A real table and the naive model side by side: each call is made on both, and statuses and second results must be the
 * same. Commands are numbers that are read against the model's present state, so that a sequence stays meaningful when
 * fast-check takes commands out of it.
 */
import { type Hcalls, hcalls, type RequestBatch } from "../../src/hcall.js";
import {
  HcallError,
  Partition,
  ResourceTable,
  type ResourceType,
  type TableOptions,
  type TranslationBatch,
} from "../../src/index.js";
import type { Kernel } from "../../src/kernel.js";
import { kernelOf } from "../../src/kernel.js";
import {
  H_SUCCESS,
  HEADER_EVENTS_MAX,
  HEADER_FRAMES_AT,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  PARTITION_EVENT_HEAD,
  PARTITION_EVENT_RING,
  PARTITION_EVENT_TAIL,
  PARTITION_EVENTS_LOST,
  PROBLEMS_MAX,
} from "../../src/layout.js";
import { partitionWord } from "../../src/records.js";
import { ManualClock } from "./clock.js";
import { Draw } from "./draw.js";
import { type GrantRequest, Model } from "./model.js";
import {
  accessWord,
  adapterBetween,
  adapterPeer,
  checkAccess,
  copy,
  fill,
  pin,
  read,
  translate,
  unpin,
  write,
} from "./model-access.js";
import { learnEndViews, learnRecoverClient, learnRecoverServer, learnRescind } from "./model-learn.js";
import { framesOf, freeQueue, receive, registerQueue, send } from "./model-queue.js";
import {
  type Answer,
  answer,
  ensure,
  type Frame,
  type Grant,
  isUnderRevocation,
  type ModelEvent,
  type ModelPartition,
  RESOURCE_TYPES,
  TYPE_NUMBERS,
  unitOf,
} from "./model-records.js";
import { differenceOf, snapshotModel } from "./model-snapshot.js";
import { Observer } from "./observe.js";

/** One command: what to do, and the seed of how. */
export type Command = readonly [operation: number, seed: number];

/** How often each answer of each call was seen. */
export type Coverage = Map<string, number>;

/** Numbers that no caller should pass (G2). */
const HOSTILE = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  -4096,
  0.5,
  4096.5,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 4096,
  2 ** 52,
  2 ** 53,
  2 ** 64,
  Number.MIN_VALUE,
  Number.MAX_VALUE,
] as const;

const BUDGETS = [1, 1, 2, 2, 3, 4, 5, 7, 10, 14, 30, 4096] as const;
const REQUESTS = 8;
const ADDRESSES = 16;
const STAGED_PAGES = 4;

/** Small, so that every limit is met often. */
const TABLE: TableOptions = {
  memory: 40 * PAGE_BYTES,
  partitions: 6,
  grants: 44,
  adapters: 11,
  views: 6,
  logicalSpace: 24 * PAGE_BYTES,
  spaces: { mmio: 10 * PAGE_BYTES, dma: 8 * PAGE_BYTES, interrupt: 6, ipi: 4 },
  staging: 16 * PAGE_BYTES, // a batch per partition, the requests, a range, and room for a copy
};

export class Twins {
  readonly table: ResourceTable;
  readonly model: Model;
  calls = 0;
  readonly #coverage: Coverage;
  readonly #kernel: Kernel;
  readonly #h: Hcalls;
  readonly #requests: RequestBatch;
  readonly #batches = new Map<number, TranslationBatch>();
  /** Byte offset of staging through which ranges are moved, and its size. */
  readonly #staged: number;
  readonly #dead: number[] = [];
  /** The bound that each revocation answered last (RS5). */
  readonly #bounds = new Map<number, number>();

  constructor(coverage: Coverage, module?: WebAssembly.Module, options: TableOptions = TABLE) {
    const clock = new ManualClock();
    this.table = ResourceTable.create({ ...options, clock, ...(module === undefined ? {} : { module }) });
    this.#coverage = coverage;
    this.#kernel = kernelOf(this.table);
    this.#h = hcalls(this.table);
    this.#requests = this.#h.createRequests(REQUESTS);
    const status = this.#kernel.core.takeStaging(STAGED_PAGES);
    ensure(status === H_SUCCESS, () => `takeStaging() answered ${status}`);
    this.#staged = this.#kernel.memory.result;
    const { counters } = this.table.inspect();
    const { spaces = {} } = options;
    this.model = new Model(
      {
        frames: counters.frames ?? 0,
        capacity: counters.structures ?? 0,
        partitions: options.partitions ?? 0,
        ends: counters.adapterEnds ?? 0,
        views: options.views ?? 0,
        eventsMax: this.#kernel.memory.header(HEADER_EVENTS_MAX),
        spaces: {
          memory: (options.logicalSpace ?? 0) / PAGE_BYTES,
          mmio: (spaces.mmio ?? 0) / PAGE_BYTES,
          interrupt: spaces.interrupt ?? 0,
          dma: (spaces.dma ?? 0) / PAGE_BYTES,
          ipi: spaces.ipi ?? 0,
        },
      },
      new Observer(this.#kernel),
    );
  }

  /** One hypercall was made on both. */
  #same(call: string, args: readonly unknown[], real: number, model: Answer): number {
    this.calls++;
    const key = `${call} ${real}`;
    this.#coverage.set(key, (this.#coverage.get(key) ?? 0) + 1);
    const text = (): string => `${call}(${args.map(String).join(", ")})`;
    ensure(real === model.status, () => `${text()} answered ${real}, the model ${model.status}`);
    if (model.r4 !== undefined && model.status >= 0) {
      const { result } = this.#kernel.memory;
      ensure(Object.is(result, model.r4), () => `${text()}: R4 is ${result}, in the model ${model.r4}`);
    }
    this.#settleEvents(text);
    return real;
  }

  // -------------------------------------------------------------- events

  /** What a call put into the event rings against what the model told. */
  #settleEvents(call: () => string): void {
    const { memory } = this.#kernel;
    const { model } = this;
    for (const partition of model.partitions.values()) {
      const { lpid, events } = partition;
      const word = (offset: number): number => partitionWord(memory, lpid, offset);
      const told = model.told.get(partition) ?? [];
      const head = word(PARTITION_EVENT_HEAD);
      const waiting = word(PARTITION_EVENT_TAIL) - head;
      ensure(waiting >= events.length, () => `${call()}: partition ${lpid} has lost events that it was told`);
      while (events.length < waiting) {
        const at = word(PARTITION_EVENT_RING) + ((head + events.length) % model.options.eventsMax) * 16;
        const event = this.#eventAt(at);
        const index = told.findIndex((other) => differenceOf(event, other) === undefined);
        ensure(index >= 0, () => `${call()}: partition ${lpid} was told ${JSON.stringify(event)}`);
        ensure(events.length < placesFor(event, model), () => `${call()}: the ring of ${lpid} is overfull`);
        told.splice(index, 1);
        events.push(event);
      }
      partition.eventsLost += told.length;
      const isFull = told.every((event) => event.type > 2 && events.length >= placesFor(event, model));
      ensure(isFull, () => `${call()}: partition ${lpid} was not told ${JSON.stringify(told)}`);
      const lost = word(PARTITION_EVENTS_LOST);
      ensure(lost === partition.eventsLost, () => `${call()}: partition ${lpid} counts ${lost} lost events`);
    }
    model.told.clear();
  }

  #eventAt(at: number): ModelEvent {
    const { words, floats } = this.#kernel.memory;
    return {
      type: words[at / 4] as number,
      from: words[at / 4 + 1] as number,
      value: floats[at / 8 + 1] as number,
    };
  }

  // -------------------------------------------------------------- comparing everything

  /** The whole table against the model, and the audit. */
  check(): void {
    const { memory } = this.#kernel;
    const real = this.table.inspect();
    const difference = differenceOf(real, snapshotModel(this.model, real.counters.tableBytes ?? 0));
    ensure(difference === undefined, () => `inspect(): ${difference}`);
    const { problems } = this.table.audit();
    ensure(problems.length === 0, () => `audit(): ${problems.slice(0, PROBLEMS_MAX).join("; ")}`);
    const frames = [...this.model.framesOwned(), ...this.model.quarantine.keys()];
    for (const { physical, bytes } of frames) {
      const at = memory.header(HEADER_FRAMES_AT) + physical * PAGE_BYTES;
      const isSame = Buffer.compare(memory.bytes.subarray(at, at + PAGE_BYTES), bytes) === 0;
      ensure(isSame, () => `frame ${physical} has another content than in the model`);
    }
  }

  /** Recovers and returns everything, so that the table must be as empty as it was (section 12). */
  tearDown(): void {
    for (const lpid of [...this.model.partitions.keys()]) this.fail(lpid, 0);
    for (const partition of [...this.model.partitions.values()]) {
      for (let slices = 0; partition.state !== "stopped"; slices++) {
        ensure(slices < 10_000, () => `the recovery of partition ${partition.lpid} does not end`);
        this.recoverServer(partition.lpid, 7);
      }
    }
    for (const { number, holder } of [...this.model.pins.values()]) {
      if (holder === undefined) this.unpin("orphan", number);
    }
    for (const lpid of [...this.model.partitions.keys()]) this.#remove(lpid);
    this.check();
    const { counters, partitions } = this.table.inspect();
    const isEmpty = counters.structuresUsed === 0 && counters.adapterEndsUsed === 0;
    ensure(
      isEmpty && counters.framesFree === counters.frames && partitions.length === 0,
      () => `the table is not empty at the end: ${JSON.stringify(counters)}`,
    );
  }

  // -------------------------------------------------------------- each call, on both

  /** Steps of one slice of a forced rescind. */
  set budget(steps: number) {
    this.#h.budget = steps;
  }

  grant(...request: GrantRequest): number {
    const status = this.#h.grantLogical(...request);
    return this.#same("grant", request, status, this.model.grant(request, this.#h.r4));
  }

  accept(lpid: number, cookie: number): number {
    const status = this.#h.acceptLogical(lpid, cookie);
    return this.#same("accept", [lpid, cookie], status, this.model.accept(lpid, cookie));
  }

  return(lpid: number, cookie: number): number {
    const status = this.#h.returnLogical(lpid, cookie);
    const model = this.model.return(lpid, cookie);
    this.#bury(cookie);
    return this.#same("return", [lpid, cookie], status, model);
  }

  rescind(lpid: number, flags: number, cookie: number): number {
    const bounded = this.#outermost(cookie);
    const status = this.#h.rescindLogical(lpid, flags, cookie);
    const model = this.#learnRescind(lpid, flags, cookie);
    this.#checkBound(status, cookie, bounded, this.#h.r4);
    this.#bury(cookie);
    return this.#same(flags === 1 ? "rescind-forced" : "rescind", [lpid, flags, cookie], status, model);
  }

  #learnRescind(lpid: number, flags: number, cookie: number): Answer {
    const model = this.model.rescind(lpid, flags, cookie);
    return "kind" in model ? learnRescind(this.model, model as Grant) : model;
  }

  /** The cookie of the outermost revocation over a grant. */
  #outermost(cookie: number): number {
    let outer = 0;
    const grant = this.model.grants.get(cookie);
    for (let above = grant; above !== undefined; ) {
      if (above.named) outer = above.cookie;
      if (above.source.kind !== "grant") return above.source.named ? -1 : outer;
      above = above.source;
    }
    return outer;
  }

  /** RS5: the bound that H_PARTIAL answers strictly falls, unless a page waits for a frame. */
  #checkBound(status: number, cookie: number, before: number, bound: number): void {
    if (status !== 5) return;
    const outer = this.#outermost(cookie);
    if (outer <= 0) return;
    const last = outer === before ? this.#bounds.get(outer) : undefined;
    const isWaiting = this.model.pins.size > 0 && this.model.framesFree() === 0;
    ensure(
      bound > 0 && (last === undefined || bound < last || (isWaiting && bound === last)),
      () => `the bound of ${cookie} went from ${last} to ${bound}`,
    );
    this.#bounds.set(outer, bound);
  }

  #bury(cookie: number): void {
    if (this.model.grants.has(cookie) || !Number.isInteger(cookie)) return;
    this.#dead.push(cookie);
    if (this.#dead.length > 24) this.#dead.shift();
  }

  fail(lpid: number, orderly: number): number {
    const status = this.#kernel.core.failPartition(lpid, orderly);
    return this.#same("fail", [lpid, orderly], status, this.model.fail(lpid, orderly));
  }

  recoverServer(lpid: number, budget: number): number {
    const status = this.#kernel.core.recoverServer(lpid, budget);
    const model = learnRecoverServer(this.model, lpid, budget, status);
    return this.#same("recover-server", [lpid, budget], status, model);
  }

  #recoverClient(lpid: number, budget: number): void {
    const status = this.#kernel.core.recoverClient(lpid, budget);
    const model = learnRecoverClient(this.model, lpid, budget, status);
    this.#same("recover-client", [lpid, budget], status, model);
  }

  pin(lpid: number, address: number, length: number): number {
    const { core, memory } = this.#kernel;
    const status = core.pinMemory(lpid, address, length);
    const model = pin(this.model, lpid, address, length, memory.result);
    return this.#same("pin", [lpid, address, length], status, model);
  }

  /** The thread of a failed partition has exited: nobody has its views any more. */
  #endViews(lpid: number, budget: number): void {
    const status = this.#kernel.core.endViews(lpid, budget);
    this.#same("end-views", [lpid, budget], status, learnEndViews(this.model, lpid, budget));
  }

  #remove(lpid: number): void {
    this.#same("remove", [lpid], this.#kernel.core.removePartition(lpid), this.model.remove(lpid));
  }

  unpin(lpid: number | "orphan", number: number): number {
    const { core } = this.#kernel;
    const status = lpid === "orphan" ? core.unpinOrphan(number) : core.unpinMemory(lpid, number);
    const call = lpid === "orphan" ? "unpin-orphan" : "unpin";
    return this.#same(call, [lpid, number], status, unpin(this.model, lpid, number));
  }

  create(memoryPages: number, lmbPages: number): number {
    const status = this.#kernel.core.createPartition(memoryPages, lmbPages);
    return this.#same(
      "create",
      [memoryPages, lmbPages],
      status,
      this.model.createPartition(memoryPages, lmbPages),
    );
  }

  assign(
    lpid: number,
    type: number,
    address: number,
    length: number,
    physical: number,
    liobn: number,
  ): number {
    const args = [lpid, type, address, length, physical, liobn] as const;
    const status = this.#kernel.core.assignResource(...args);
    return this.#same("assign", args, status, this.model.assign(...args));
  }

  connect(a: number, b: number, quota: number): number {
    const { core, memory } = this.#kernel;
    const status = core.connectPartitions(a, b, quota);
    const near = memory.result;
    const model = this.model.connect(a, b, quota, () => {
      core.adapterPeer(a, near);
      const far = memory.result;
      core.adapterPeer(b, far);
      return [near, far];
    });
    return this.#same("connect", [a, b, quota], status, model);
  }

  // -------------------------------------------------------------- choices

  #partition(draw: Draw, state?: ModelPartition["state"]): ModelPartition | undefined {
    const all = [...this.model.partitions.values()];
    const those = state === undefined ? all : all.filter((partition) => partition.state === state);
    return draw.pick(those.length === 0 ? all : those);
  }

  /** Mostly the right caller; sometimes another, or none. */
  #lpid(draw: Draw, right?: number): number {
    if (draw.once(60)) return draw.pick(HOSTILE) ?? 0;
    if (draw.once(30)) return draw.below(8);
    if (right !== undefined && !draw.once(25)) return right;
    return this.#partition(draw, draw.once(8) ? undefined : "running")?.lpid ?? 1;
  }

  #grantIn(draw: Draw, ...states: Grant["state"][]): Grant | undefined {
    const those = [...this.model.grants.values()].filter(({ state }) => states.includes(state));
    return draw.pick(those) ?? draw.pick([...this.model.grants.values()]);
  }

  /** Mostly the cookie of such a grant; sometimes of another, a dead one, or a number that never was a cookie. */
  #cookie(draw: Draw, grant: Grant | undefined): number {
    if (draw.once(40)) return draw.pick(HOSTILE) ?? 0;
    if (draw.once(20)) return draw.pick(this.#dead) ?? 7;
    if (grant === undefined || draw.once(50))
      return (draw.pick([...this.model.grants.keys()]) ?? 0) + draw.below(3) * 2 ** 24;
    return grant.cookie;
  }

  #unit(draw: Draw, caller: number): number {
    if (draw.once(50)) return draw.pick(HOSTILE) ?? 0;
    const all = [...this.model.ends];
    const own = all.filter(({ owner }) => owner?.lpid === caller);
    const unit = draw.pick(draw.once(20) || own.length === 0 ? all : own)?.unit ?? 1;
    return draw.once(60) ? unit + 2 ** 16 : unit;
  }

  #grantRequest(draw: Draw): GrantRequest {
    const lpid = this.#lpid(draw);
    const caller = this.model.partitions.get(lpid);
    const type: ResourceType = draw.below(3) > 0 ? "memory" : (draw.pick(RESOURCE_TYPES) ?? "memory");
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
    return [lpid, flags, hi, lo, length, this.#unit(draw, lpid)];
  }

  /** A range of memory; mostly mapped, often across a page border. */
  #range(draw: Draw, lpid: number): readonly [address: number, length: number] {
    if (draw.once(30)) return [draw.pick(HOSTILE) ?? 0, draw.once(2) ? (draw.pick(HOSTILE) ?? 0) : 16];
    const places = [...(this.model.partitions.get(lpid)?.spaces.memory.entries.keys() ?? [])];
    const restricted = places.filter((at) => this.#isRestricted(lpid, at));
    const page = draw.once(20)
      ? draw.below(26)
      : (draw.pick(draw.once(5) && restricted.length > 0 ? restricted : places) ?? 0);
    const offset = draw.once(3) ? PAGE_BYTES - 1 - draw.below(64) : draw.below(PAGE_BYTES);
    const length = draw.once(6) ? draw.below(3 * PAGE_BYTES) : draw.below(100);
    return [page * PAGE_BYTES + offset, length];
  }

  #isRestricted(lpid: number, page: number): boolean {
    const inhibits = this.model.partitions.get(lpid)?.spaces.memory.entries.get(page)?.node.inhibits ?? 0;
    return (inhibits & (INHIBIT_READ | INHIBIT_WRITE)) !== 0;
  }

  /** Whether a write would touch a frame with a queue: the ring's words are the core's, a scribbler only hurts itself. */
  #touchesQueue(lpid: number, address: number, length: number): boolean {
    const caller = this.model.partitions.get(lpid);
    if (caller === undefined) return false;
    const queues = this.#queueFrames();
    for (let page = Math.floor(address / PAGE_BYTES); page * PAGE_BYTES < address + length; page++) {
      const entry = caller.spaces.memory.entries.get(page);
      if (entry === undefined) return false;
      if (queues.has(entry.frame)) return true;
    }
    return false;
  }

  #queueFrames(): Set<Frame> {
    const frames = new Set<Frame>();
    for (const { owner, queue } of this.model.ends) {
      if (owner === undefined || queue === undefined) continue;
      for (const frame of framesOf(owner, queue)) frames.add(frame);
    }
    return frames;
  }

  // -------------------------------------------------------------- commands

  /** The kinds of commands, and how often each is drawn. */
  static readonly operations: readonly [weight: number, run: (twins: Twins, draw: Draw) => void][] = [
    [20, (twins, draw) => void twins.grant(...twins.#grantRequest(draw))],
    [18, (twins, draw) => twins.#accept(draw)],
    [8, (twins, draw) => twins.#return(draw)],
    [3, (twins, draw) => twins.#rescindNormal(draw)],
    [4, (twins, draw) => twins.#rescindForced(draw)],
    [6, (twins, draw) => twins.#rescindOn(draw)],
    [3, (twins, draw) => twins.#rescindAbove(draw)],
    [10, (twins, draw) => twins.#translate(draw)],
    [4, (twins, draw) => twins.#translateBatch(draw)],
    [3, (twins, draw) => twins.#checkAccess(draw)],
    [9, (twins, draw) => twins.#readOrWrite(draw)],
    [3, (twins, draw) => twins.#fill(draw)],
    [7, (twins, draw) => twins.#copy(draw)],
    [6, (twins, draw) => twins.#word(draw)],
    [6, (twins, draw) => twins.#pin(draw)],
    [3, (twins, draw) => twins.#unpinOne(draw)],
    [2, (twins, draw) => twins.#scribble(draw)],
    [6, (twins, draw) => twins.#queue(draw)],
    [5, (twins, draw) => twins.#takeEvent(draw)],
    [6, (twins, draw) => twins.#recover(draw)],
    [3, (twins, draw) => twins.#start(draw)],
    [2, (twins, draw) => twins.#connect(draw)],
    [2, (twins, draw) => twins.#assign(draw)],
    [2, (twins, draw) => twins.#arena(draw)],
    [1, (twins, draw) => twins.#adapter(draw)],
    [6, (twins, draw) => twins.#batch(draw)],
  ];

  /** How many numbers stand for operations. */
  static readonly weights: number = Twins.operations.reduce((sum, [weight]) => sum + weight, 0);

  run([operation, seed]: Command): void {
    let rest = operation;
    for (const [weight, run] of Twins.operations) {
      rest -= weight;
      if (rest >= 0) continue;
      run(this, new Draw(seed));
      return;
    }
  }

  /** A few joined partitions with resources of every kind. */
  setUp(seed: number): void {
    const draw = new Draw(seed);
    for (const pages of [8, 6, 5, 4]) this.create(pages, draw.pick([2, 4, 8]) ?? 8);
    for (const [a, b] of [
      [1, 2],
      [2, 3],
      [3, 1],
      [3, 4],
      [4, 1],
    ] as const)
      this.connect(a, b, 2 + draw.below(6));
    for (const lpid of [1, 2]) {
      this.assign(lpid, TYPE_NUMBERS.mmio, 0, 4 * PAGE_BYTES, 16 * PAGE_BYTES, 0);
      this.assign(lpid, TYPE_NUMBERS.dma, 0, 4 * PAGE_BYTES, 0, 3);
      this.assign(lpid, TYPE_NUMBERS.interrupt, 0, 2, 40, 0);
      this.assign(lpid, TYPE_NUMBERS.ipi, 1, 1, 7, 0);
    }
  }

  #accept(draw: Draw): void {
    const grant = draw.once(16) ? this.#grantIn(draw, "shared", "rescinded") : this.#grantIn(draw, "granted");
    this.accept(this.#lpid(draw, grant?.holder.lpid), this.#cookie(draw, grant));
  }

  #return(draw: Draw): void {
    const grant = draw.once(2) ? this.#grantIn(draw, "rescinded") : this.#grantIn(draw, "shared", "granted");
    this.return(this.#lpid(draw, grant?.holder.lpid), this.#cookie(draw, grant));
  }

  #rescindNormal(draw: Draw): void {
    const grant = draw.once(3) ? this.#grantIn(draw, "shared") : this.#grantIn(draw, "granted");
    const flags = draw.once(30) ? (draw.pick([...HOSTILE, 2, 3]) ?? 2) : 0;
    this.rescind(this.#lpid(draw, grant?.grantor.lpid), flags, this.#cookie(draw, grant));
  }

  #rescindForced(draw: Draw): void {
    // Mostly where there is something to do: grants to tear down, or pages to move.
    const much = [...this.model.grants.values()].filter(({ children, pins }) => children.size + pins > 0);
    const grant = draw.pick(draw.once(2) ? much : []) ?? this.#grantIn(draw, "shared", "granted");
    this.#h.budget = draw.pick(BUDGETS) ?? 1;
    this.rescind(this.#lpid(draw, grant?.grantor.lpid), 1, this.#cookie(draw, grant));
  }

  /** Goes on with a revocation that has begun. */
  #rescindOn(draw: Draw): void {
    const grant = draw.pick([...this.model.grants.values()].filter(isUnderRevocation));
    if (grant === undefined) {
      this.#rescindForced(draw);
      return;
    }
    this.#h.budget = draw.pick(BUDGETS) ?? 1;
    this.rescind(this.#lpid(draw, grant.grantor.lpid), 1, grant.cookie);
  }

  /** Two revocations that overlap, the outer one begun while the inner one marks (RS7). */
  #rescindAbove(draw: Draw): void {
    const inner = [...this.model.grants.values()].filter(
      ({ source, children }) => source.kind === "grant" && children.size > 0,
    );
    const grant = draw.pick(inner);
    if (grant === undefined || grant.source.kind !== "grant") {
      this.#rescindForced(draw);
      return;
    }
    this.#h.budget = 1 + draw.below(2);
    this.rescind(grant.grantor.lpid, 1, grant.cookie);
    this.#h.budget = 1 + draw.below(4);
    this.rescind(grant.source.grantor.lpid, 1, grant.source.cookie);
  }

  #translate(draw: Draw): void {
    const lpid = this.#lpid(draw);
    const type = draw.once(2) ? "memory" : (draw.pick(RESOURCE_TYPES) ?? "memory");
    const typeNumber = draw.once(40) ? (draw.pick([0, 3, 7, 15, ...HOSTILE]) ?? 0) : TYPE_NUMBERS[type];
    const unit = unitOf(type);
    const places = [...(this.model.partitions.get(lpid)?.spaces[type].entries.keys() ?? [])];
    const page = draw.once(12) ? draw.below(26) : (draw.pick(places) ?? 0);
    const address = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : page * unit + draw.below(unit);
    const length = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : 1 + draw.below(draw.once(3) ? 3 * unit : 8);
    const need = draw.once(40) ? (draw.pick([4, ...HOSTILE]) ?? 4) : draw.below(4);
    const args = [lpid, typeNumber, address, length, need] as const;
    const model = translate(this.model, ...args);
    this.#same("translate", args, this.#h.translate(...args), model);
    // The fast path of the object API reads the same entries from JavaScript.
    if (!this.model.partitions.has(lpid)) return;
    const partition = this.#api(lpid);
    const isWrite = draw.once(2);
    let status = H_SUCCESS;
    let result = 0;
    try {
      result = partition.translate(address, { write: isWrite });
    } catch (error) {
      status = statusOf(error);
    }
    const again = translate(
      this.model,
      lpid,
      TYPE_NUMBERS.memory,
      address,
      1,
      isWrite ? NEED_WRITE : NEED_READ,
    );
    this.#same("translate-fast", [lpid, address, isWrite], status, answer(again.status));
    ensure(
      status < 0 || result === again.r4,
      () => `translate ${address} of ${lpid}: ${result}, ${again.r4}`,
    );
  }

  #api(lpid: number): Partition {
    return new Partition(this.#kernel, lpid, `p${lpid}`);
  }

  #translateBatch(draw: Draw): void {
    const { lpid } = this.#partition(draw, draw.once(8) ? undefined : "running") ?? { lpid: 1 };
    if (!this.model.partitions.has(lpid)) return;
    let batch = this.#batches.get(lpid);
    if (batch === undefined) {
      batch = this.#api(lpid).createBatch(ADDRESSES);
      this.#batches.set(lpid, batch);
    }
    const type = draw.once(2) ? "memory" : (draw.pick(RESOURCE_TYPES) ?? "memory");
    const unit = unitOf(type);
    const count = draw.below(ADDRESSES + 1);
    const places = [...(this.model.partitions.get(lpid)?.spaces[type].entries.keys() ?? [])];
    for (let index = 0; index < count; index++) {
      const page = draw.once(8) ? draw.below(26) : (draw.pick(places) ?? 0);
      batch.addresses[index] = draw.once(12) ? (draw.pick(HOSTILE) ?? 0) : page * unit + draw.below(unit);
    }
    const isWrite = draw.once(2);
    const stopAtFault = draw.once(3);
    let status = H_SUCCESS;
    let result = 0;
    try {
      result = batch.run(count, { type, write: isWrite, stopAtFault });
    } catch (error) {
      status = statusOf(error);
    }
    const need = isWrite ? NEED_WRITE : NEED_READ;
    const expected = Array.from(batch.addresses.subarray(0, count), (address) =>
      translate(this.model, lpid, TYPE_NUMBERS[type], address, 1, need),
    );
    const fault = expected.findIndex(({ status: each }) => each !== H_SUCCESS);
    const isRunning = this.model.partitions.get(lpid)?.state === "running";
    this.#same("translate-batch", [lpid, type, count], status, answer(isRunning ? H_SUCCESS : -46));
    if (!isRunning) return;
    const done = stopAtFault && fault >= 0 ? fault + 1 : count;
    for (const [index, each] of expected.slice(0, done).entries()) {
      const real = [batch.status[index], batch.physical[index]];
      const model = [each.status, each.status === H_SUCCESS ? each.r4 : Number.NaN];
      const difference = differenceOf(real, model, `address ${batch.addresses[index]} of ${lpid}`);
      ensure(difference === undefined, () => `translateBatch: ${difference}`);
    }
    const good = expected.filter(({ status: each }) => each === H_SUCCESS).length;
    const answered = stopAtFault && fault >= 0 ? fault : good;
    ensure(result === answered, () => `a batch of ${count} answered ${result}, the model ${answered}`);
  }

  #checkAccess(draw: Draw): void {
    const lpid = this.#lpid(draw);
    const [address, length] = this.#range(draw, lpid);
    const need = draw.once(40) ? (draw.pick([4, ...HOSTILE]) ?? 4) : draw.below(4);
    const args = [lpid, address, length, need] as const;
    const model = checkAccess(this.model, ...args);
    const { core, memory } = this.#kernel;
    const offset = model.r4 === undefined || model.r4 < 0 ? 0 : memory.header(HEADER_FRAMES_AT);
    const r4 = model.r4 === undefined ? undefined : model.r4 + offset;
    this.#same("check-access", args, core.checkAccess(...args), { ...model, r4 });
  }

  #readOrWrite(draw: Draw): void {
    const { lpid } = this.#partition(draw, draw.once(12) ? undefined : "running") ?? { lpid: 1 };
    const [address, length] = this.#range(draw, lpid);
    // JavaScript allocates what is read before it is copied, so lengths are those that a caller has room for.
    const size = length >= 0 && length <= 4 * PAGE_BYTES ? Math.floor(length) : 16;
    if (draw.once(3)) {
      this.#moveStaged(draw, lpid, address, size);
      return;
    }
    let status = H_SUCCESS;
    if (draw.once(2)) {
      let bytes: Uint8Array | undefined;
      try {
        bytes = this.#api(lpid).read(address, size);
      } catch (error) {
        status = statusOf(error);
      }
      const model = read(this.model, lpid, address, size);
      this.#same("read", [lpid, address, size], status, model.answer);
      const isSame =
        bytes === undefined || model.bytes === undefined || Buffer.compare(bytes, model.bytes) === 0;
      ensure(isSame, () => `read(${lpid}, ${address}, ${size}) gave another content than in the model`);
      return;
    }
    if (this.#touchesQueue(lpid, address, size)) return;
    const source = Uint8Array.from({ length: size }, (_, index) => index + draw.below(200));
    try {
      this.#api(lpid).write(address, source);
    } catch (error) {
      status = statusOf(error);
    }
    this.#same("write", [lpid, address, size], status, write(this.model, lpid, address, source));
  }

  /** The same through staging, as threads do that may be stopped. */
  #moveStaged(draw: Draw, lpid: number, address: number, length: number): void {
    const { core, memory } = this.#kernel;
    const staged = memory.bytes.subarray(this.#staged, this.#staged + length);
    const args = [lpid, address, length, this.#staged] as const;
    if (draw.once(2)) {
      const status = core.loadMemory(...args);
      const model = read(this.model, lpid, address, length);
      this.#same("load-staged", args, status, model.answer);
      const isSame = model.bytes === undefined || Buffer.compare(staged, model.bytes) === 0;
      ensure(isSame, () => `loadMemory(${args.join()}) gave another content than in the model`);
      return;
    }
    if (this.#touchesQueue(lpid, address, length)) return;
    for (let index = 0; index < length; index++) staged[index] = index + draw.below(200);
    const status = core.storeMemory(...args);
    this.#same("store-staged", args, status, write(this.model, lpid, address, staged.slice()));
  }

  #fill(draw: Draw): void {
    const lpid = this.#lpid(draw);
    const [address, length] = this.#range(draw, lpid);
    if (this.#touchesQueue(lpid, address, length)) return;
    const byte = draw.once(30) ? (draw.pick([256, ...HOSTILE]) ?? 256) : draw.below(256);
    const args = [lpid, address, length, byte] as const;
    this.#same("fill", args, this.#kernel.core.fillMemory(...args), fill(this.model, ...args));
  }

  #copy(draw: Draw): void {
    const lpid = this.#lpid(draw);
    const partners = [...this.model.ends].filter(({ owner }) => owner?.lpid === lpid);
    const partner = draw.once(3)
      ? lpid
      : draw.once(8)
        ? this.#lpid(draw)
        : (draw.pick(partners)?.partner?.owner?.lpid ?? lpid);
    const [from, some] = this.#range(draw, lpid);
    const [apart] = this.#range(draw, partner);
    const onto = draw.once(2) ? this.#sameFrame(draw, lpid, from, partner) : undefined;
    const length = onto === undefined || draw.once(2) ? some : PAGE_BYTES + draw.below(PAGE_BYTES);
    const to = onto === undefined ? apart : onto + (from % PAGE_BYTES) + draw.below(300) - 150;
    if (this.#touchesQueue(partner, to, length)) return;
    const args = [lpid, from, partner, to, length] as const;
    this.#same("copy", args, this.#kernel.core.copyMemory(...args), copy(this.model, ...args));
  }

  /** Where a partner, or the caller once more, has mapped the frame at an address: copies that overlap physically. */
  #sameFrame(draw: Draw, lpid: number, address: number, partner: number): number | undefined {
    const { partitions } = this.model;
    const page = Math.floor(address / PAGE_BYTES);
    const frame = partitions.get(lpid)?.spaces.memory.entries.get(page)?.frame;
    const places = [...(partitions.get(partner)?.spaces.memory.entries ?? [])];
    const same = draw.pick(places.filter(([, entry]) => entry.frame === frame));
    return same === undefined ? undefined : same[0] * PAGE_BYTES;
  }

  #word(draw: Draw): void {
    const { core } = this.#kernel;
    const lpid = this.#lpid(draw);
    const [any] = this.#range(draw, lpid);
    const address = draw.once(12) ? any : any - (any % 4);
    const value = draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : draw.word() - (draw.once(2) ? 0 : 2 ** 31);
    const { model } = this;
    if (draw.once(4)) {
      const expected = accessWord(model, lpid, address, NEED_READ, [], () => undefined);
      this.#same("load", [lpid, address], core.loadWord(lpid, address), expected);
    }
    if (this.#touchesQueue(lpid, address, 4)) return;
    const both = NEED_READ | NEED_WRITE;
    switch (draw.below(3)) {
      case 0: {
        const stored = accessWord(model, lpid, address, NEED_WRITE, [value], () => value >>> 0);
        const status = core.storeWord(lpid, address, value);
        this.#same("store", [lpid, address, value], status, answer(stored.status));
        break;
      }
      case 1: {
        const added = accessWord(model, lpid, address, both, [value], (word) => (word + value) >>> 0);
        this.#same("add", [lpid, address, value], core.addWord(lpid, address, value), added);
        break;
      }
      default: {
        // Often what stands there, so that the exchange happens.
        const present = accessWord(model, lpid, address, NEED_READ, [], () => undefined).r4 ?? 0;
        const expected = draw.once(3) ? value : present;
        const swapped = accessWord(model, lpid, address, both, [expected, value], (word) =>
          word === expected >>> 0 ? value >>> 0 : undefined,
        );
        const status = core.compareExchangeWord(lpid, address, expected, value);
        this.#same("compare-exchange", [lpid, address, expected, value], status, swapped);
      }
    }
  }

  #pin(draw: Draw): void {
    const accepted = [...this.model.grants.values()].filter(
      ({ type, state }) => type === "memory" && state === "shared",
    );
    const grant = draw.once(2) ? draw.pick(accepted) : undefined;
    if (grant !== undefined) {
      const pageCount = draw.once(2) ? 1 : grant.pageCount;
      this.pin(grant.holder.lpid, grant.page * PAGE_BYTES, pageCount * PAGE_BYTES);
      return;
    }
    const lpid = this.#lpid(draw);
    const [address, length] = this.#range(draw, lpid);
    this.pin(lpid, address, length);
  }

  #unpinOne(draw: Draw): void {
    const those = [...this.model.pins.values()];
    const found = draw.pick(those);
    const number = draw.once(10)
      ? (draw.pick([...HOSTILE, ...this.model.pinsEver]) ?? 0)
      : (found?.number ?? 1);
    const isOrphan = draw.once(10) ? draw.once(2) : found?.holder === undefined && found !== undefined;
    this.unpin(isOrphan ? "orphan" : this.#lpid(draw, found?.holder?.lpid), number);
  }

  /** Whoever has a view writes through it, also when it has leaked (RS6). */
  #scribble(draw: Draw): void {
    const found = draw.pick([...this.model.pins.values()]);
    const frame = found === undefined ? undefined : draw.pick(found.frames);
    if (frame === undefined || this.#queueFrames().has(frame)) return;
    const { memory } = this.#kernel;
    const at = draw.below(PAGE_BYTES);
    const byte = draw.below(256);
    frame.bytes[at] = byte;
    memory.bytes[memory.header(HEADER_FRAMES_AT) + frame.physical * PAGE_BYTES + at] = byte;
  }

  #queue(draw: Draw): void {
    const ends = [...this.model.ends];
    const registered = ends.filter(({ queue }) => queue !== undefined);
    const end = draw.pick(draw.once(3) || registered.length === 0 ? ends : registered);
    const lpid = this.#lpid(draw, end?.owner?.lpid);
    const unit = draw.once(20) ? this.#unit(draw, lpid) : (end?.unit ?? 1);
    const choice = draw.below(12);
    if (choice < 2) {
      // Every other time one whose partner has a queue.
      const answering = ends.filter(
        ({ queue, partner }) => queue === undefined && partner?.queue !== undefined,
      );
      const other = draw.once(2) ? draw.pick(answering) : undefined;
      this.#registerQueue(draw, other?.owner?.lpid ?? lpid, other?.unit ?? unit);
    } else if (choice === 2) {
      this.#same("queue-free", [lpid, unit], this.#h.freeCrq(lpid, unit), freeQueue(this.model, lpid, unit));
    } else if (choice < 5) this.#receive(lpid, unit);
    else {
      const sender = end?.partner?.owner?.lpid ?? lpid;
      // Bursts, so that rings fill.
      const isOpen = end?.isOpen === true && end.queue !== undefined;
      const count = isOpen && draw.once(8) ? 300 : 1 + draw.below(2);
      for (let index = 0; index < count; index++) this.#send(draw, sender, end?.partner?.unit ?? unit);
    }
  }

  #registerQueue(draw: Draw, lpid: number, unit: number): void {
    const caller = this.model.partitions.get(lpid);
    const page = draw.below((caller?.memoryPages ?? 1) + 1);
    const pageCount = draw.once(6) ? draw.below(4) : 1;
    const queues = this.#queueFrames();
    for (let at = page; at < page + pageCount; at++) {
      const entry = caller?.spaces.memory.entries.get(at);
      if (entry !== undefined && queues.has(entry.frame)) return; // two rings in one page only hurt their owner
    }
    const address = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : page * PAGE_BYTES;
    const length = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : pageCount * PAGE_BYTES;
    this.registerQueue(lpid, unit, address, length);
  }

  registerQueue(lpid: number, unit: number, address: number, length: number): number {
    const args = [lpid, unit, address, length] as const;
    return this.#same("queue-register", args, this.#h.regCrq(...args), registerQueue(this.model, ...args));
  }

  /** R4 of the last call. */
  get r4(): number {
    return this.#h.r4;
  }

  #send(draw: Draw, lpid: number, unit: number): void {
    const header = draw.once(20) ? draw.below(256) : draw.once(3) ? 0xc0 : 0x80;
    const rest = [draw.word(), draw.word(), draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : draw.word()] as const;
    const first = ((draw.word() & 0xffffff00) | header) >>> 0;
    const words = [draw.once(2) ? first : first | 0, ...rest] as const;
    const status = this.#h.sendCrq(lpid, unit, ...words);
    this.#same("queue-send", [lpid, unit, ...words], status, send(this.model, lpid, unit, words));
  }

  #receive(lpid: number, unit: number): void {
    const { core, memory } = this.#kernel;
    const status = core.receiveEntry(lpid, unit);
    const model = receive(this.model, lpid, unit);
    this.#same("queue-receive", [lpid, unit], status, model.answer);
    if (model.entry === undefined) return;
    const real = [...memory.words.subarray(memory.entry / 4, memory.entry / 4 + 4)];
    const difference = differenceOf(real, model.entry, `entry of ${unit}`);
    ensure(difference === undefined, () => `receive: ${difference}`);
  }

  #takeEvent(draw: Draw): void {
    const lpid = this.#lpid(draw);
    // Now and then all of them; mostly they pile up.
    for (let left = draw.once(4) ? 300 : 1; left > 0; left--) if (this.takeEvent(lpid) !== H_SUCCESS) return;
  }

  takeEvent(lpid: number): number {
    const status = this.#kernel.core.takeEvent(lpid);
    const model = this.model.takeEvent(lpid);
    this.#same("take-event", [lpid], status, model.answer);
    if (model.event === undefined) return status;
    const difference = differenceOf(
      this.#eventAt(this.#kernel.memory.entry),
      model.event,
      `event of ${lpid}`,
    );
    ensure(difference === undefined, () => `takeEvent: ${difference}`);
    return status;
  }

  /** Failures are rare; what they begin is driven on, now and then to the end. */
  #recover(draw: Draw): void {
    const failing = [...this.model.partitions.values()].filter(
      ({ state }) => state === "failed" || state === "recovering",
    );
    if (failing.length === 0 ? draw.once(4) : draw.once(40)) {
      this.fail(this.#lpid(draw), draw.once(20) ? (draw.pick([2, ...HOSTILE]) ?? 2) : draw.below(2));
      return;
    }
    const lpid = this.#lpid(draw, draw.pick(failing)?.lpid);
    const views = [...this.model.pins.values()].filter(({ holder }) => holder?.lpid === lpid).length;
    if (views > 0 ? draw.once(2) : draw.once(40)) {
      this.#endViews(lpid, draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : 1 + draw.below(4));
      return;
    }
    const budget = draw.once(40) ? (draw.pick([0, ...HOSTILE]) ?? 0) : (draw.pick(BUDGETS) ?? 1);
    if (draw.once(2)) this.#recoverClient(lpid, budget);
    else this.recoverServer(lpid, budget);
  }

  #start(draw: Draw): void {
    const stopped = this.#partition(draw, "stopped");
    if (draw.once(3)) {
      const pages = draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : draw.below(draw.once(3) ? 40 : 9);
      this.create(pages, draw.once(20) ? (draw.pick([0, ...HOSTILE]) ?? 0) : 1 + draw.below(8));
    } else if (draw.once(4)) this.#remove(draw.once(10) ? draw.below(20) : this.#lpid(draw, stopped?.lpid));
    else {
      const lpid = this.#lpid(draw, stopped?.lpid);
      this.#same("restart", [lpid], this.#kernel.core.restartPartition(lpid), this.model.restart(lpid));
    }
  }

  #connect(draw: Draw): void {
    const running = [...this.model.partitions.values()].filter(({ state }) => state === "running");
    const near = draw.pick(running)?.lpid ?? 1;
    // Whoever has no adapter needs one first.
    const lonely = running.find((one) => ![...this.model.ends].some(({ owner }) => owner === one));
    const far = this.#lpid(draw, lonely?.lpid);
    const quota = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : draw.below(8);
    this.connect(this.#lpid(draw, near), far, quota);
  }

  #assign(draw: Draw): void {
    const type = draw.pick(["mmio", "dma", "interrupt", "ipi"] as const) ?? "mmio";
    const unit = unitOf(type);
    const number = draw.once(30) ? (draw.pick([0, 1, 3, ...HOSTILE]) ?? 0) : TYPE_NUMBERS[type];
    const liobn = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : type === "dma" ? draw.below(3) : 0;
    const value = (count: number): number =>
      draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : draw.below(count) * unit + (draw.once(60) ? 1 : 0);
    this.assign(this.#lpid(draw), number, value(8), value(5), value(60), liobn);
  }

  #arena(draw: Draw): void {
    const lpid = this.#lpid(draw);
    const { core } = this.#kernel;
    if (draw.once(2)) {
      const length = draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : draw.below(5 * PAGE_BYTES);
      this.#same("allocate", [lpid, length], core.allocate(lpid, length), this.model.allocate(lpid, length));
      return;
    }
    const pages = [...(this.model.partitions.get(lpid)?.allocated.keys() ?? [])];
    const page = draw.once(4) ? draw.below(10) : (draw.pick(pages) ?? 0);
    const address = draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : page * PAGE_BYTES;
    const model = this.model.deallocate(lpid, address);
    this.#same("deallocate", [lpid, address], core.deallocate(lpid, address), model);
  }

  #adapter(draw: Draw): void {
    const { core, memory } = this.#kernel;
    const lpid = this.#lpid(draw);
    const partner = this.#lpid(draw);
    const status = core.adapterBetween(lpid, partner);
    const model = adapterBetween(this.model, lpid, partner, memory.result);
    this.#same("adapter-between", [lpid, partner], status, model);
    const unit = this.#unit(draw, lpid);
    this.#same(
      "adapter-peer",
      [lpid, unit],
      core.adapterPeer(lpid, unit),
      adapterPeer(this.model, lpid, unit),
    );
  }

  /** The batch form: what is learnt is seen after the last request only, so forced rescinds come last. */
  #batch(draw: Draw): void {
    const count = draw.below(REQUESTS + 1);
    const requests = this.#requests;
    const run: ((index: number) => void)[] = [];
    this.#h.budget = 4096;
    for (let index = 0; index < count; index++) {
      const choice = draw.below(index === count - 1 ? 5 : 4);
      if (choice < 2) {
        const request = this.#grantRequest(draw);
        requests.grant(index, ...request);
        run.push((at) => this.#batched("grant", at, this.model.grant(request, requests.result(at))));
      } else {
        const grant = this.#grantIn(draw, "granted", choice === 2 ? "granted" : "shared");
        const isGrantor = choice === 4;
        const lpid = this.#lpid(draw, isGrantor ? grant?.grantor.lpid : grant?.holder.lpid);
        const cookie = this.#cookie(draw, grant);
        if (choice === 2) {
          requests.accept(index, lpid, cookie);
          run.push((at) => this.#batched("accept", at, this.model.accept(lpid, cookie)));
        } else if (choice === 3) {
          requests.return(index, lpid, cookie);
          run.push((at) => this.#batched("return", at, this.model.return(lpid, cookie)));
        } else {
          requests.rescind(index, lpid, 1, cookie);
          run.push((at) => this.#batched("rescind-forced", at, this.#learnRescind(lpid, 1, cookie)));
        }
      }
    }
    requests.run(count);
    for (const [index, step] of run.entries()) step(index);
    this.#settleEvents(() => `a batch of ${count}`);
  }

  #batched(call: string, index: number, model: Answer): void {
    const status = this.#requests.status(index);
    const result = this.#requests.result(index);
    this.calls++;
    const key = `batch ${call} ${status}`;
    this.#coverage.set(key, (this.#coverage.get(key) ?? 0) + 1);
    ensure(
      status === model.status,
      () => `request ${index}, ${call}, answered ${status}, the model ${model.status}`,
    );
    const isSame = model.status < 0 || model.r4 === undefined || result === model.r4;
    ensure(isSame, () => `request ${index}, ${call}: R4 is ${result}, in the model ${model.r4}`);
  }
}

/** Notices of a partner's failure may fill the whole ring, everything else half of it. */
function placesFor(event: ModelEvent, model: Model): number {
  return event.type <= 2 ? model.options.eventsMax : model.options.eventsMax / 2;
}

function statusOf(error: unknown): number {
  if (error instanceof HcallError) return error.status;
  throw error;
}
