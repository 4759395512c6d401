/**
 * A real table and the naive model side by side: each call is made on both, and statuses and second results must be the
 * same. Which calls are made is the business of others (compare-walk.ts).
 */
import { type Hcalls, hcalls } from "../../src/hcall.js";
import { HcallError, ResourceTable, type TableOptions, type TableSnapshot } from "../../src/index.js";
import type { Kernel } from "../../src/kernel.js";
import { kernelOf } from "../../src/kernel.js";
import {
  COOKIE_SLOTS,
  H_PARTIAL,
  H_SUCCESS,
  HEADER_ENDS_RETIRED,
  HEADER_EVENTS_MAX,
  HEADER_FRAMES_AT,
  HEADER_STRUCTURES_RETIRED,
  PAGE_BYTES,
  PARTITION_EVENT_HEAD,
  PARTITION_EVENT_RING,
  PARTITION_EVENT_TAIL,
  PARTITION_EVENTS_LOST,
  PARTITION_POOL_COUNT,
  PARTITION_SIGNAL,
  PROBLEMS_MAX,
  STRUCTURE_BYTES,
  STRUCTURE_GENERATION,
  STRUCTURES_AT,
  THREAD_STUCK_ON,
} from "../../src/layout.js";
import { partitionWord } from "../../src/records.js";
import { ManualClock } from "./clock.js";
import { type GrantRequest, Model } from "./model.js";
import { pin, unpin } from "./model-access.js";
import { learnRecoverDeferred, lentBy } from "./model-defer.js";
import { learnEndViews, learnRecoverClient, learnRecoverServer, learnRescind } from "./model-learn.js";
import { dueLines } from "./model-lines.js";
import { registerQueue } from "./model-queue.js";
import {
  type Answer,
  ensure,
  type Grant,
  type ModelEvent,
  type ModelPartition,
  RESOURCE_TYPES,
} from "./model-records.js";
import { differenceOf, snapshotModel } from "./model-snapshot.js";
import { tceAt } from "./model-tces.js";
import { Observer } from "./observe.js";

/** How often each answer of each call was seen. */
export type Coverage = Map<string, number>;

/** Small, so that every limit is met often. */
export const TABLE: TableOptions = {
  memory: 40 * PAGE_BYTES,
  partitions: 6,
  grants: 44,
  adapters: 11,
  views: 6,
  logicalSpace: 24 * PAGE_BYTES,
  spaces: { mmio: 10 * PAGE_BYTES, dma: 8 * PAGE_BYTES, interrupt: 6, ipi: 4 },
  staging: 16 * PAGE_BYTES, // a batch per partition, the requests, a range, and room for a copy
};

const ZEROS = new Uint8Array(PAGE_BYTES);

export class Twins {
  readonly clock = new ManualClock();
  readonly table: ResourceTable;
  readonly model: Model;
  calls = 0;
  readonly coverage: Coverage;
  readonly kernel: Kernel;
  /** The core itself: nobody else hears of these calls. */
  readonly core: Kernel["core"];
  readonly h: Hcalls;
  #inTurn = false;
  /** Cookies of grants that have ended, the last few. */
  readonly dead: number[] = [];
  /** What failed partitions had granted, and their signal counts, after the last call (FA7). */
  readonly #waiting = new Map<ModelPartition, { readonly out: number; readonly signals: number }>();
  /** The bound that each revocation answered last (RS5). */
  readonly #bounds = new Map<number, number>();

  constructor(coverage: Coverage, module?: WebAssembly.Module, options: TableOptions = TABLE) {
    this.table = ResourceTable.create({
      ...options,
      clock: this.clock,
      ...(module === undefined ? {} : { module }),
    });
    this.coverage = coverage;
    this.kernel = kernelOf(this.table);
    this.core = this.kernel.core;
    this.h = hcalls(this.table);
    const { counters } = this.table.inspect();
    const { spaces = {} } = options;
    this.model = new Model(
      {
        frames: counters.frames ?? 0,
        capacity: counters.structures ?? 0,
        partitions: options.partitions ?? 0,
        ends: counters.adapterEnds ?? 0,
        views: options.views ?? 0,
        quarantine: (options.quarantine ?? options.memory) / PAGE_BYTES,
        eventsMax: this.kernel.memory.header(HEADER_EVENTS_MAX),
        spaces: {
          memory: (options.logicalSpace ?? 0) / PAGE_BYTES,
          mmio: (spaces.mmio ?? 0) / PAGE_BYTES,
          interrupt: spaces.interrupt ?? 0,
          dma: (spaces.dma ?? 0) / PAGE_BYTES,
          ipi: spaces.ipi ?? 0,
        },
      },
      new Observer(this.kernel),
    );
  }

  /** One hypercall was made on both. */
  same(call: string, args: readonly unknown[], real: number, model: Answer): number {
    this.calls++;
    const key = `${call} ${real}`;
    this.coverage.set(key, (this.coverage.get(key) ?? 0) + 1);
    const text = (): string => `${call}(${args.map(String).join(", ")})`;
    ensure(real === model.status, () => `${text()} answered ${real}, the model ${model.status}`);
    if (model.r4 !== undefined && model.status >= 0) {
      const { result } = this.kernel.memory;
      ensure(Object.is(result, model.r4), () => `${text()}: R4 is ${result}, in the model ${model.r4}`);
    }
    this.settleEvents(text);
    return real;
  }

  /** Something happened that must happen often enough for the comparison to mean anything. */
  saw(what: string): void {
    const key = `saw: ${what}`;
    this.coverage.set(key, (this.coverage.get(key) ?? 0) + 1);
  }

  // -------------------------------------------------------------- events

  /** What a call put into the event rings against what the model told. */
  settleEvents(call: () => string): void {
    const { memory } = this.kernel;
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
    this.#settleSignals(call);
  }

  /** FA7: when nobody has anything of a failed partition any more, whoever waits for that is woken. */
  #settleSignals(call: () => string): void {
    for (const partition of this.model.partitions.values()) {
      if (!partition.deferred) {
        this.#waiting.delete(partition);
        continue;
      }
      const signals = partitionWord(this.kernel.memory, partition.lpid, PARTITION_SIGNAL);
      const out = lentBy(this.model, partition).length;
      const before = this.#waiting.get(partition);
      if (before !== undefined && before.out > 0 && out === 0) {
        ensure(
          signals !== before.signals,
          () => `${call()}: nobody heard that ${partition.lpid} has all back`,
        );
        this.saw("the last grant of a failed partition ends");
      }
      this.#waiting.set(partition, { out, signals });
    }
  }

  #eventAt(at: number): ModelEvent {
    const { words, floats } = this.kernel.memory;
    return {
      type: words[at / 4] as number,
      from: words[at / 4 + 1] as number,
      value: floats[at / 8 + 1] as number,
    };
  }

  // -------------------------------------------------------------- comparing everything

  /** The table without the names of partitions, of which the model knows nothing. */
  inspect(): TableSnapshot {
    const real = this.table.inspect();
    return { ...real, partitions: real.partitions.map((partition) => ({ ...partition, name: "" })) };
  }

  /** The whole table against the model, and the audit. */
  check(): void {
    const { memory } = this.kernel;
    const real = this.inspect();
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
    for (const physical of this.model.freeFrames()) {
      const at = memory.header(HEADER_FRAMES_AT) + physical * PAGE_BYTES;
      const isZero = Buffer.compare(memory.bytes.subarray(at, at + PAGE_BYTES), ZEROS) === 0;
      ensure(isZero, () => `frame ${physical} is free and not zero (TR5)`);
    }
    this.#checkPlaces();
    const retired = memory.header(HEADER_ENDS_RETIRED) + memory.header(HEADER_STRUCTURES_RETIRED);
    ensure(retired === 0, () => `${retired} slots are used up, of which none was used often`);
    for (const partition of this.model.partitions.values()) {
      const pooled = partitionWord(memory, partition.lpid, PARTITION_POOL_COUNT);
      ensure(partition.state !== "stopped" || pooled === 0, () => `${partition.lpid} stopped with a pool`);
      const due = this.model.observed.due(partition.lpid);
      const unlike = differenceOf(due, dueLines(partition), `due lines of ${partition.lpid}`);
      ensure(unlike === undefined, () => `${unlike}`);
      for (let page = 0; page < partition.spaces.dma.pageCount; page++) {
        const tce = tceAt(this.model, partition, page);
        const expected = tce === undefined ? undefined : { page: tce.memoryPage, rights: tce.rights };
        const real = this.model.observed.tce(partition.lpid, page);
        const other = differenceOf(real, expected, `TCE at page ${page} of ${partition.lpid}`);
        ensure(other === undefined, () => `${other}`);
      }
    }
  }

  /** Every mapping leads to the frame to which it must, and nothing else leads anywhere. */
  #checkPlaces(): void {
    for (const { lpid, spaces } of this.model.partitions.values()) {
      for (const type of RESOURCE_TYPES) {
        for (const [page, { state, frame }] of spaces[type].entries) {
          const physical = this.model.observed.physical(lpid, type, page);
          const expected = state === "mapped" ? frame.physical : undefined;
          ensure(
            physical === expected,
            () => `${type} page ${page} of ${lpid}: ${physical}, not ${expected}`,
          );
        }
      }
    }
  }

  /** Recovers and returns everything, so that the table must be as empty as it was (section 12). */
  tearDown(): void {
    for (const lpid of [...this.model.partitions.keys()]) this.fail(lpid, 0);
    // Whoever waits for borrowers (FA7) would let them wait for a frame, or for the end of a view.
    for (const partition of [...this.model.partitions.values()])
      while (partition.state === "failed") this.recoverServer(partition.lpid, 1);
    for (const partition of [...this.model.partitions.values()]) {
      for (let slices = 0; partition.state !== "stopped"; slices++) {
        ensure(slices < 10_000, () => `the recovery of partition ${partition.lpid} does not end`);
        // Slices of one step, too, get somewhere (G5).
        this.recoverServer(partition.lpid, partition.lpid % 2 === 0 ? 1 : 7);
      }
    }
    for (const { number, holder } of [...this.model.pins.values()]) {
      if (holder === undefined) this.unpin("orphan", number);
    }
    for (const lpid of [...this.model.partitions.keys()]) this.remove(lpid);
    this.check();
    const { counters, partitions } = this.table.inspect();
    const isEmpty = counters.structuresUsed === 0 && counters.adapterEndsUsed === 0;
    ensure(
      isEmpty && counters.framesFree === counters.frames && partitions.length === 0,
      () => `the table is not empty at the end: ${JSON.stringify(counters)}`,
    );
  }

  /** In turn whether numbers that are integers of 32 bits go as such. */
  #goAsIntegers(...numbers: readonly number[]): boolean {
    this.#inTurn = !this.#inTurn;
    return this.#inTurn && numbers.every((number) => (number | 0) === number);
  }

  // -------------------------------------------------------------- each call, on both

  /** R4 of the last call. */
  get r4(): number {
    return this.h.r4;
  }

  /** Steps of one slice of a forced rescind. */
  set budget(steps: number) {
    this.h.budget = steps;
  }

  grant(...request: GrantRequest): number {
    const [lpid, flags, hi, lo, length, unit] = request;
    const status =
      hi === 0 && this.#goAsIntegers(lpid, flags, lo, length, unit)
        ? this.core.grantLogical32(lpid, flags, lo, length, unit)
        : this.core.grantLogical(...request);
    return this.same("grant", request, status, this.model.grant(request, this.h.r4));
  }

  grantMode(request: GrantRequest, mode: number): number {
    const status = this.core.grantMode(...request, mode);
    const model = this.model.grant(request, this.h.r4, mode);
    return this.same("grant-mode", [...request, mode], status, model);
  }

  grantCopyOnWrite(request: GrantRequest): number {
    const status = this.core.grantCopyOnWrite(...request);
    const model = this.model.grant(request, this.h.r4, 0, true);
    return this.same("grant-copy-on-write", request, status, model);
  }

  accept(lpid: number, cookie: number): number {
    const status = this.#goAsIntegers(lpid)
      ? this.core.acceptLogical32(lpid, cookie)
      : this.core.acceptLogical(lpid, cookie);
    return this.same("accept", [lpid, cookie], status, this.model.accept(lpid, cookie));
  }

  /** A grant that is accepted at once, by whoever it is for. */
  share(request: GrantRequest): void {
    const status = this.grant(...request);
    const { r4 } = this;
    const holder = this.model.grants.get(r4)?.holder;
    if (status === H_SUCCESS && holder !== undefined) this.accept(holder.lpid, r4);
  }

  return(lpid: number, cookie: number): number {
    const status = this.#goAsIntegers(lpid)
      ? this.core.returnLogical32(lpid, cookie)
      : this.core.returnLogical(lpid, cookie);
    const grantor = this.model.grants.get(cookie)?.grantor;
    const model = this.model.return(lpid, cookie);
    if (grantor?.deferred === true && status === H_SUCCESS)
      this.saw("a failed partition gets something back");
    this.#bury(cookie);
    return this.same("return", [lpid, cookie], status, model);
  }

  rescind(lpid: number, flags: number, cookie: number): number {
    const bounded = this.#outermost(cookie);
    const status = this.#goAsIntegers(lpid, flags)
      ? this.core.rescindLogical32(lpid, flags, cookie)
      : this.core.rescindLogical(lpid, flags, cookie);
    const { moves } = this.model;
    const stuckOn = this.kernel.memory.header(this.kernel.memory.thread + THREAD_STUCK_ON);
    const model = this.learnRescind(lpid, flags, cookie);
    if (flags === 1 && status >= 0) this.#checkStuck(status, stuckOn, this.model.moves > moves);
    this.#checkBound(status, cookie, bounded, this.h.r4);
    if (flags === 0 && status === H_SUCCESS) this.#checkNext(cookie);
    this.#bury(cookie);
    return this.same(flags === 1 ? "rescind-forced" : "rescind", [lpid, flags, cookie], status, model);
  }

  /** G3: the next cookie of a slot is the one after this, or the slot would be used up before its time. */
  #checkNext(cookie: number): void {
    const { memory } = this.kernel;
    const [slot, generation] = [cookie % COOKIE_SLOTS, Math.floor(cookie / COOKIE_SLOTS)];
    const next = memory.header(STRUCTURES_AT + slot * STRUCTURE_BYTES + STRUCTURE_GENERATION);
    ensure(next === generation + 1, () => `after use ${generation} of slot ${slot} comes ${next}`);
  }

  learnRescind(lpid: number, flags: number, cookie: number): Answer {
    const model = this.model.rescind(lpid, flags, cookie);
    return "kind" in model ? learnRescind(this.model, model as Grant) : model;
  }

  /** Whether no page can move away from under a view. */
  #isStuck(): boolean {
    const { model } = this;
    return model.framesFree() === 0 || model.quarantine.size >= model.options.quarantine;
  }

  /**
   * RS6: a forced rescind stops at a page that cannot move, says whose view holds it up, and stops for nothing else than
   * that and the end of its slice.
   */
  #checkStuck(status: number, stuckOn: number, hasMoved: boolean): void {
    const { model } = this;
    if (stuckOn === 0) {
      const isSlice = status === H_SUCCESS || this.h.budget < 4096 || hasMoved;
      ensure(isSlice, () => "a forced rescind stopped, and nothing held it up");
      return;
    }
    // One that is complete may have worked on for an outer one, which is held up (RS7).
    ensure(this.#isStuck(), () => `a forced rescind was held up by ${stuckOn - 1}`);
    const guilty = [...model.grants.values()].find(
      ({ holder, pins, marked }) => holder.lpid === stuckOn - 1 && pins > 0 && marked,
    );
    ensure(guilty !== undefined, () => `${stuckOn - 1} has no view that could hold a rescind up`);
    this.saw(model.framesFree() === 0 ? "no frame is free for a forced rescind" : "the quarantine is full");
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
    const isWaiting = this.model.pins.size > 0 && this.#isStuck();
    ensure(
      bound > 0 && (last === undefined || bound < last || (isWaiting && bound === last)),
      () => `the bound of ${cookie} went from ${last} to ${bound}`,
    );
    this.#bounds.set(outer, bound);
  }

  #bury(cookie: number): void {
    if (this.model.grants.has(cookie) || !Number.isInteger(cookie)) return;
    this.dead.push(cookie);
    if (this.dead.length > 24) this.dead.shift();
  }

  fail(lpid: number, orderly: number): number {
    const isOther = this.model.teller !== undefined && this.model.teller.lpid !== lpid;
    const status = this.core.failPartition(lpid, orderly);
    if (isOther && (status === H_SUCCESS || status === H_PARTIAL))
      this.saw("who fails tells for another first");
    return this.same("fail", [lpid, orderly], status, this.model.fail(lpid, orderly));
  }

  recoverServer(lpid: number, budget: number): number {
    const status = this.core.recoverServer(lpid, budget);
    const model = learnRecoverServer(this.model, lpid, budget, status);
    return this.same("recover-server", [lpid, budget], status, model);
  }

  /** In the place of recoverClient() where the policy is to wait for the borrowers (FA7). */
  recoverDeferred(lpid: number, budget: number): number {
    const status = this.core.recoverDeferred(lpid, budget);
    const model = learnRecoverDeferred(this.model, lpid, budget, status);
    return this.same("recover-deferred", [lpid, budget], status, model);
  }

  /** What rescindForced() asks of the client first, if it has a deadline. */
  requestReturn(lpid: number, cookie: number, ms: number): number {
    const status = this.core.requestReturn(lpid, cookie, ms);
    return this.same(
      "request-return",
      [lpid, cookie, ms],
      status,
      this.model.requestReturn(lpid, cookie, ms),
    );
  }

  recoverClient(lpid: number, budget: number): number {
    const status = this.core.recoverClient(lpid, budget);
    const model = learnRecoverClient(this.model, lpid, budget, status);
    return this.same("recover-client", [lpid, budget], status, model);
  }

  pin(lpid: number, address: number, length: number): number {
    const { core } = this;
    const { memory } = this.kernel;
    const status = core.pinMemory(lpid, address, length);
    const model = pin(this.model, lpid, address, length, memory.result);
    return this.same("pin", [lpid, address, length], status, model);
  }

  /** The thread of a failed partition has exited: nobody has its views any more. */
  endViews(lpid: number, budget: number): number {
    const status = this.core.endViews(lpid, budget);
    return this.same("end-views", [lpid, budget], status, learnEndViews(this.model, lpid, budget));
  }

  remove(lpid: number): number {
    return this.same("remove", [lpid], this.core.removePartition(lpid), this.model.remove(lpid));
  }

  unpin(lpid: number | "orphan", number: number): number {
    const { core } = this;
    const status = lpid === "orphan" ? core.unpinOrphan(number) : core.unpinMemory(lpid, number);
    const call = lpid === "orphan" ? "unpin-orphan" : "unpin";
    return this.same(call, [lpid, number], status, unpin(this.model, lpid, number));
  }

  create(memoryPages: number, lmbPages: number): number {
    const status = this.core.createPartition(memoryPages, lmbPages);
    return this.same(
      "create",
      [memoryPages, lmbPages],
      status,
      this.model.createPartition(memoryPages, lmbPages),
    );
  }

  restart(lpid: number, structures: number): number {
    const status = this.core.restartPartition(lpid, structures);
    return this.same("restart", [lpid, structures], status, this.model.restart(lpid, structures));
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
    const status = this.core.assignResource(...args);
    return this.same("assign", args, status, this.model.assign(...args));
  }

  connect(a: number, b: number, quota: number): number {
    const { core } = this;
    const { memory } = this.kernel;
    const status = core.connectPartitions(a, b, quota);
    const near = memory.result;
    const owed = this.#owed();
    const model = this.model.connect(a, b, quota, () => {
      core.adapterPeer(a, near);
      const far = memory.result;
      core.adapterPeer(b, far);
      return [near, far];
    });
    if (this.#owed() < owed) this.saw("an end that is owed something is used again");
    return this.same("connect", [a, b, quota], status, model);
  }

  /** How many ends wait for what is not returned. */
  #owed(): number {
    return [...this.model.ends].filter(({ owner }) => owner === undefined).length;
  }

  registerQueue(lpid: number, unit: number, address: number, length: number): number {
    const args = [lpid, unit, address, length] as const;
    return this.same("queue-register", args, this.h.regCrq(...args), registerQueue(this.model, ...args));
  }

  takeEvent(lpid: number): number {
    const status = this.core.takeEvent(lpid);
    const model = this.model.takeEvent(lpid);
    this.same("take-event", [lpid], status, model.answer);
    this.sameEvent("takeEvent", lpid, model.event);
    return status;
  }

  /** What the last call has left for the taker of an event. */
  get eventTaken(): ModelEvent {
    return this.#eventAt(this.kernel.memory.entry);
  }

  sameEvent(call: string, lpid: number, expected: ModelEvent | undefined): void {
    if (expected === undefined) return;
    const difference = differenceOf(this.eventTaken, expected, `event of ${lpid}`);
    ensure(difference === undefined, () => `${call}: ${difference}`);
  }
}

/** Notices of a partner's failure may fill the whole ring, everything else half of it. */
function placesFor(event: ModelEvent, model: Model): number {
  return event.type <= 2 ? model.options.eventsMax : model.options.eventsMax / 2;
}

/** The status of a call of the object API that has thrown. */
export function statusOf(error: unknown): number {
  if (error instanceof HcallError) return error.status;
  throw error;
}
