/**
 * Random commands on a real table and on the naive model. Commands are numbers that are read against the model's present
 * state, so that a sequence stays meaningful when fast-check takes commands out of it.
 */
import type { RequestBatch } from "../../src/hcall.js";
import { Partition, type TableOptions, type TranslationBatch } from "../../src/index.js";
import { H_SUCCESS, HEADER_FRAMES_AT, NEED_READ, NEED_WRITE, PAGE_BYTES } from "../../src/layout.js";
import { type Coverage, statusOf, TABLE, Twins } from "./compare.js";
import {
  adapterBetweenOnBoth,
  addWordOnBoth,
  allocateOnBoth,
  checkAccessOnBoth,
  copyOnBoth,
  deallocateOnBoth,
  exchangeWordOnBoth,
  fillOnBoth,
  loadOnBoth,
  loadWordOnBoth,
  outsideStaging,
  refusedOutside,
  storeOnBoth,
  storeWordOnBoth,
  translateOnBoth,
} from "./compare-access.js";
import { BUDGETS, Choices, HOSTILE } from "./compare-choices.js";
import { drawCopies } from "./compare-copies.js";
import { FailureDraws } from "./compare-failure.js";
import { drawLine } from "./compare-lines.js";
import { drawMode } from "./compare-modes.js";
import { drawMove } from "./compare-moves.js";
import { SealTwins } from "./compare-seal.js";
import { TceDraws } from "./compare-tces.js";
import { Draw } from "./draw.js";
import { accessWord, adapterPeer, read, touchesRing, translate, write } from "./model-access.js";
import { freeQueue, receive, send } from "./model-queue.js";
import {
  type Answer,
  answer,
  ensure,
  isUnderRevocation,
  RESOURCE_TYPES,
  TYPE_NUMBERS,
  unitOf,
} from "./model-records.js";
import { differenceOf } from "./model-snapshot.js";

/** One command: what to do, and the seed of how. */
export type Command = readonly [operation: number, seed: number];

const REQUESTS = 8;
const ADDRESSES = 16;
const STAGED_PAGES = 4;

export class Walk extends Twins {
  readonly #requests: RequestBatch;
  readonly #batches = new Map<number, TranslationBatch>();
  /** Byte offset of staging through which ranges are moved, and its size. */
  readonly #staged: number;
  readonly #choose: Choices;
  readonly #seals: SealTwins;
  readonly #failures: FailureDraws;
  readonly #tces: TceDraws;

  constructor(coverage: Coverage, module?: WebAssembly.Module, options?: TableOptions) {
    super(coverage, module, options);
    this.#requests = this.h.createRequests(REQUESTS);
    const status = this.core.takeStaging(STAGED_PAGES);
    ensure(status === H_SUCCESS, () => `takeStaging() answered ${status}`);
    this.#staged = this.kernel.memory.result;
    this.#choose = new Choices(this.model, this.dead);
    this.#seals = new SealTwins(this);
    this.#failures = new FailureDraws(this);
    this.#tces = new TceDraws(this, this.#staged);
  }

  /** The kinds of commands, and how often each is drawn. */
  static readonly operations: readonly [weight: number, run: (walk: Walk, draw: Draw) => void][] = [
    [20, (walk, draw) => void walk.grant(...walk.#choose.grantRequest(draw))],
    [18, (walk, draw) => walk.#accept(draw)],
    [8, (walk, draw) => walk.#return(draw)],
    [3, (walk, draw) => walk.#rescindNormal(draw)],
    [4, (walk, draw) => walk.#rescindForced(draw)],
    [6, (walk, draw) => walk.#rescindOn(draw)],
    [3, (walk, draw) => walk.#rescindAbove(draw)],
    [10, (walk, draw) => walk.#translate(draw)],
    [4, (walk, draw) => walk.#translateBatch(draw)],
    [3, (walk, draw) => walk.#checkAccess(draw)],
    [9, (walk, draw) => walk.#readOrWrite(draw)],
    [3, (walk, draw) => walk.#fill(draw)],
    [7, (walk, draw) => walk.#copy(draw)],
    [6, (walk, draw) => walk.#word(draw)],
    [6, (walk, draw) => walk.#pin(draw)],
    [3, (walk, draw) => walk.#unpinOne(draw)],
    [2, (walk, draw) => walk.#scribble(draw)],
    [6, (walk, draw) => walk.#queue(draw)],
    [5, (walk, draw) => walk.#takeEvent(draw)],
    [6, (walk, draw) => walk.#failures.draw(walk.#choose, draw)],
    [3, (walk, draw) => walk.#start(draw)],
    [2, (walk, draw) => walk.#connect(draw)],
    [4, (walk, draw) => walk.#assign(draw)],
    [2, (walk, draw) => walk.#arena(draw)],
    [1, (walk, draw) => walk.#adapter(draw)],
    [6, (walk, draw) => walk.#batch(draw)],
    [6, (walk, draw) => drawMove(walk, walk.#choose, draw)],
    [2, (walk, draw) => walk.#requestReturn(draw)],
    [3, (walk, draw) => walk.#seals.draw(walk.#choose, draw)],
    [8, (walk, draw) => drawLine(walk, walk.#choose, draw)],
    [8, (walk, draw) => drawMode(walk, walk.#choose, draw)],
    [6, (walk, draw) => drawCopies(walk, walk.#choose, draw, walk.#staged)],
    [10, (walk, draw) => walk.#tces.draw(walk.#choose, draw)],
  ];

  /** How many numbers stand for operations. */
  static readonly weights: number = Walk.operations.reduce((sum, [weight]) => sum + weight, 0);

  run([operation, seed]: Command): void {
    let rest = operation;
    for (const [weight, run] of Walk.operations) {
      rest -= weight;
      if (rest >= 0) continue;
      run(this, new Draw(seed));
      return;
    }
  }

  /** A table for a sequence, with partitions in it. Some have hardly a free frame, some leave little to quarantine. */
  static begin(coverage: Coverage, module: WebAssembly.Module | undefined, seed: number): Walk {
    const draw = new Draw(~seed);
    const frames = draw.pick([40, 40, 40, 28, 26, 24]) ?? 40;
    const quarantine = draw.pick([frames, frames, frames, frames, 3, 2, 1, 0]) ?? frames;
    const limits = { memory: frames * PAGE_BYTES, quarantine: quarantine * PAGE_BYTES };
    // The same core over a memory that is not shared, in one of four.
    const threads = module === undefined && draw.below(4) === 0 ? { threads: 0 } : {};
    const walk = new Walk(coverage, module, { ...TABLE, ...limits, ...threads });
    walk.setUp(seed);
    if (threads.threads === undefined && draw.once(2)) walk.join();
    return walk;
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

  /** Another thread has joined and gone: from then on nobody may assume that nobody else looks. */
  join(): void {
    const status = this.core.openThread(1);
    ensure(status === H_SUCCESS, () => `openThread() answered ${status}`);
    const slot = this.kernel.memory.result;
    ensure(this.core.reapThread(slot) === H_SUCCESS, () => `reapThread(${slot}) did not succeed`);
  }

  #accept(draw: Draw): void {
    const grant = draw.once(16)
      ? this.#choose.grantIn(draw, "shared", "rescinded")
      : this.#choose.grantIn(draw, "granted");
    this.accept(this.#choose.lpid(draw, grant?.holder.lpid), this.#choose.cookie(draw, grant));
  }

  #return(draw: Draw): void {
    // What a failed partition waits for comes back, sooner or later.
    const owed = [...this.model.grants.values()].filter(
      ({ grantor, state }) => grantor.deferred && state === "shared",
    );
    if (owed.length > 0 && draw.once(2)) {
      const grant = draw.pick(owed);
      this.return(this.#choose.lpid(draw, grant?.holder.lpid), this.#choose.cookie(draw, grant));
      return;
    }
    const grant = draw.once(2)
      ? this.#choose.grantIn(draw, "rescinded")
      : this.#choose.grantIn(draw, "shared", "granted");
    this.return(this.#choose.lpid(draw, grant?.holder.lpid), this.#choose.cookie(draw, grant));
  }

  #rescindNormal(draw: Draw): void {
    const grant = draw.once(3) ? this.#choose.grantIn(draw, "shared") : this.#choose.grantIn(draw, "granted");
    const flags = draw.once(30) ? (draw.pick([...HOSTILE, 2, 3]) ?? 2) : 0;
    this.rescind(this.#choose.lpid(draw, grant?.grantor.lpid), flags, this.#choose.cookie(draw, grant));
  }

  #rescindForced(draw: Draw): void {
    // Mostly where there is something to do: grants to tear down, or pages to move.
    const much = [...this.model.grants.values()].filter(({ children, pins }) => children.size + pins > 0);
    const grant = draw.pick(draw.once(2) ? much : []) ?? this.#choose.grantIn(draw, "shared", "granted");
    this.h.budget = draw.pick(BUDGETS) ?? 1;
    this.rescind(this.#choose.lpid(draw, grant?.grantor.lpid), 1, this.#choose.cookie(draw, grant));
  }

  /** Goes on with a revocation that has begun. */
  #rescindOn(draw: Draw): void {
    const grant = draw.pick([...this.model.grants.values()].filter(isUnderRevocation));
    if (grant === undefined) {
      this.#rescindForced(draw);
      return;
    }
    this.h.budget = draw.pick(BUDGETS) ?? 1;
    this.rescind(this.#choose.lpid(draw, grant.grantor.lpid), 1, grant.cookie);
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
    this.h.budget = 1 + draw.below(2);
    this.rescind(grant.grantor.lpid, 1, grant.cookie);
    this.h.budget = 1 + draw.below(4);
    this.rescind(grant.source.grantor.lpid, 1, grant.source.cookie);
  }

  #requestReturn(draw: Draw): void {
    const grant = this.#choose.grantIn(draw, draw.once(4) ? "granted" : "shared");
    const ms = draw.once(12)
      ? (draw.pick([2 ** 24 - 1, 2 ** 24 - 1, 2 ** 24, ...HOSTILE]) ?? -1)
      : draw.below(2 ** 24);
    this.requestReturn(this.#choose.lpid(draw, grant?.grantor.lpid), this.#choose.cookie(draw, grant), ms);
  }

  #translate(draw: Draw): void {
    const lpid = this.#choose.lpid(draw);
    const type = draw.once(2) ? "memory" : (draw.pick(RESOURCE_TYPES) ?? "memory");
    const typeNumber = draw.once(40) ? (draw.pick([0, 3, 7, 15, ...HOSTILE]) ?? 0) : TYPE_NUMBERS[type];
    const unit = unitOf(type);
    const places = [...(this.model.partitions.get(lpid)?.spaces[type].entries.keys() ?? [])];
    const page = draw.once(12) ? draw.below(26) : (draw.pick(places) ?? 0);
    const address = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : page * unit + draw.below(unit);
    const length = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : 1 + draw.below(draw.once(3) ? 3 * unit : 8);
    const need = draw.once(40) ? (draw.pick([4, ...HOSTILE]) ?? 4) : draw.below(4);
    translateOnBoth(this, lpid, typeNumber, address, length, need);
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
    this.same("translate-fast", [lpid, address, isWrite], status, answer(again.status));
    ensure(
      status < 0 || result === again.r4,
      () => `translate ${address} of ${lpid}: ${result}, ${again.r4}`,
    );
  }

  #api(lpid: number): Partition {
    return new Partition(this.kernel, lpid, `p${lpid}`);
  }

  #translateBatch(draw: Draw): void {
    const { lpid } = this.#choose.partition(draw, draw.once(8) ? undefined : "running") ?? { lpid: 1 };
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
    const expected: Answer[] = [];
    for (const address of batch.addresses.subarray(0, count)) {
      const one = translate(this.model, lpid, TYPE_NUMBERS[type], address, 1, need);
      expected.push(one);
      // What follows is not looked at, and not copied.
      if (stopAtFault && one.status !== H_SUCCESS) break;
    }
    const fault = expected.findIndex(({ status: each }) => each !== H_SUCCESS);
    const isRunning = this.model.partitions.get(lpid)?.state === "running";
    this.same("translate-batch", [lpid, type, count], status, answer(isRunning ? H_SUCCESS : -46));
    if (!isRunning) return;
    for (const [index, each] of expected.entries()) {
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
    const lpid = this.#choose.lpid(draw);
    const [address, length] = this.#choose.range(draw, lpid);
    const need = draw.once(40) ? (draw.pick([4, ...HOSTILE]) ?? 4) : draw.below(4);
    checkAccessOnBoth(this, lpid, address, length, need);
  }

  #readOrWrite(draw: Draw): void {
    const { lpid } = this.#choose.partition(draw, draw.once(12) ? undefined : "running") ?? { lpid: 1 };
    const [address, length] = this.#choose.range(draw, lpid);
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
      this.same("read", [lpid, address, size], status, model.answer);
      const isSame =
        bytes === undefined || model.bytes === undefined || Buffer.compare(bytes, model.bytes) === 0;
      ensure(isSame, () => `read(${lpid}, ${address}, ${size}) gave another content than in the model`);
      return;
    }
    if (this.#choose.touchesQueue(lpid, address, size)) return;
    const source = Uint8Array.from({ length: size }, (_, index) => index + draw.below(200));
    try {
      this.#api(lpid).write(address, source);
    } catch (error) {
      status = statusOf(error);
    }
    this.same("write", [lpid, address, size], status, write(this.model, lpid, address, source));
  }

  /** The same through staging, as threads do that may be stopped. */
  #moveStaged(draw: Draw, lpid: number, address: number, length: number): void {
    if (draw.once(10)) {
      const args = [lpid, address, length, outsideStaging(this, draw, length)] as const;
      const refused = refusedOutside(this, lpid);
      if (draw.once(2)) this.same("load-staged", args, this.core.loadMemory(...args), refused);
      else this.same("store-staged", args, this.core.storeMemory(...args), refused);
      return;
    }
    if (draw.once(2)) {
      loadOnBoth(this, lpid, address, length, this.#staged);
      return;
    }
    if (this.#choose.touchesQueue(lpid, address, length)) return;
    const { bytes } = this.kernel.memory;
    for (let index = 0; index < length; index++) bytes[this.#staged + index] = index + draw.below(200);
    storeOnBoth(this, lpid, address, length, this.#staged);
  }

  #fill(draw: Draw): void {
    const lpid = this.#choose.lpid(draw);
    const [address, length] = this.#choose.range(draw, lpid);
    if (this.#choose.touchesQueue(lpid, address, length)) return;
    const byte = draw.once(30) ? (draw.pick([256, ...HOSTILE]) ?? 256) : draw.below(256);
    fillOnBoth(this, lpid, address, length, byte);
  }

  #copy(draw: Draw): void {
    const lpid = this.#choose.lpid(draw);
    const partners = [...this.model.ends].filter(({ owner }) => owner?.lpid === lpid);
    const partner = draw.once(3)
      ? lpid
      : draw.once(8)
        ? this.#choose.lpid(draw)
        : (draw.pick(partners)?.partner?.owner?.lpid ?? lpid);
    const [from, some] = this.#choose.range(draw, lpid);
    const [apart] = this.#choose.range(draw, partner);
    const onto = draw.once(2) ? this.#choose.sameFrame(draw, lpid, from, partner) : undefined;
    const length = onto === undefined || draw.once(2) ? some : PAGE_BYTES + draw.below(PAGE_BYTES);
    const to = onto === undefined ? apart : onto + (from % PAGE_BYTES) + draw.below(300) - 150;
    const other = this.model.partitions.get(partner);
    const isRefused = other !== undefined && lpid !== partner && touchesRing(this.model, other, to, length);
    // Else who writes to a ring hurts only its owner, who has granted the page, or is the same.
    if (!isRefused && this.#choose.touchesQueue(partner, to, length)) return;
    copyOnBoth(this, lpid, from, partner, to, length);
  }

  #word(draw: Draw): void {
    const lpid = this.#choose.lpid(draw);
    const [any] = this.#choose.range(draw, lpid);
    const address = draw.once(12) ? any : any - (any % 4);
    const value = draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : draw.word() - (draw.once(2) ? 0 : 2 ** 31);
    if (draw.once(4)) loadWordOnBoth(this, lpid, address);
    if (this.#choose.touchesQueue(lpid, address, 4)) return;
    const choice = draw.below(3);
    if (choice === 0) storeWordOnBoth(this, lpid, address, value);
    else if (choice === 1) addWordOnBoth(this, lpid, address, value);
    else {
      // Often what stands there, so that the exchange happens.
      const present = accessWord(this.model, lpid, address, NEED_READ, [], () => undefined).r4 ?? 0;
      exchangeWordOnBoth(this, lpid, address, draw.once(3) ? value : present, value);
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
    const lpid = this.#choose.lpid(draw);
    const [address, length] = this.#choose.range(draw, lpid);
    this.pin(lpid, address, length);
  }

  #unpinOne(draw: Draw): void {
    const those = [...this.model.pins.values()];
    const found = draw.pick(those);
    const number = draw.once(10)
      ? (draw.pick([...HOSTILE, ...this.model.pinsEver]) ?? 0)
      : (found?.number ?? 1);
    const isOrphan = draw.once(10) ? draw.once(2) : found?.holder === undefined && found !== undefined;
    this.unpin(isOrphan ? "orphan" : this.#choose.lpid(draw, found?.holder?.lpid), number);
  }

  /** Whoever has a view writes through it, also when it has leaked (RS6). */
  #scribble(draw: Draw): void {
    const found = draw.pick([...this.model.pins.values()]);
    const frame = found === undefined ? undefined : draw.pick(found.frames);
    if (frame === undefined || this.#choose.queueFrames().has(frame)) return;
    const { memory } = this.kernel;
    const at = draw.below(PAGE_BYTES);
    const byte = draw.below(256);
    frame.bytes[at] = byte;
    memory.bytes[memory.header(HEADER_FRAMES_AT) + frame.physical * PAGE_BYTES + at] = byte;
  }

  #queue(draw: Draw): void {
    const ends = [...this.model.ends];
    const registered = ends.filter(({ queue }) => queue !== undefined);
    const end = draw.pick(draw.once(3) || registered.length === 0 ? ends : registered);
    const lpid = this.#choose.lpid(draw, end?.owner?.lpid);
    const unit = draw.once(20) ? this.#choose.unit(draw, lpid) : (end?.unit ?? 1);
    const choice = draw.below(12);
    if (choice < 2) {
      // Every other time one whose partner has a queue.
      const answering = ends.filter(
        ({ queue, partner }) => queue === undefined && partner?.queue !== undefined,
      );
      const other = draw.once(2) ? draw.pick(answering) : undefined;
      this.#registerQueue(draw, other?.owner?.lpid ?? lpid, other?.unit ?? unit);
    } else if (choice === 2) {
      this.same("queue-free", [lpid, unit], this.h.freeCrq(lpid, unit), freeQueue(this.model, lpid, unit));
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
    const zeroed = this.#choose.zeroedFrames();
    for (let at = page; at < page + pageCount; at++) {
      const entry = caller?.spaces.memory.entries.get(at);
      if (entry !== undefined && zeroed.has(entry.frame)) return; // a ring in a lent page only hurts its owner
    }
    const address = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : page * PAGE_BYTES;
    const length = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : pageCount * PAGE_BYTES;
    this.registerQueue(lpid, unit, address, length);
  }

  #send(draw: Draw, lpid: number, unit: number): void {
    const header = draw.once(20) ? draw.below(256) : draw.once(3) ? 0xc0 : 0x80;
    const rest = [draw.word(), draw.word(), draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : draw.word()] as const;
    const first = ((draw.word() & 0xffffff00) | header) >>> 0;
    const words = [draw.once(2) ? first : first | 0, ...rest] as const;
    const status = this.h.sendCrq(lpid, unit, ...words);
    this.same("queue-send", [lpid, unit, ...words], status, send(this.model, lpid, unit, words));
  }

  #receive(lpid: number, unit: number): void {
    const { core } = this;
    const { memory } = this.kernel;
    const status = core.receiveEntry(lpid, unit);
    const model = receive(this.model, lpid, unit);
    this.same("queue-receive", [lpid, unit], status, model.answer);
    if (model.entry === undefined) return;
    const real = [...memory.words.subarray(memory.entry / 4, memory.entry / 4 + 4)];
    const difference = differenceOf(real, model.entry, `entry of ${unit}`);
    ensure(difference === undefined, () => `receive: ${difference}`);
  }

  #takeEvent(draw: Draw): void {
    const lpid = this.#choose.lpid(draw);
    // Now and then all of them; mostly they pile up.
    for (let left = draw.once(4) ? 300 : 1; left > 0; left--) if (this.takeEvent(lpid) !== H_SUCCESS) return;
  }

  #start(draw: Draw): void {
    const stopped = this.#choose.partition(draw, "stopped");
    if (draw.once(3)) {
      const pages = draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : draw.below(draw.once(3) ? 40 : 9);
      this.create(pages, draw.once(20) ? (draw.pick([0, ...HOSTILE]) ?? 0) : 1 + draw.below(8));
    } else if (draw.once(4))
      this.remove(draw.once(10) ? draw.below(20) : this.#choose.lpid(draw, stopped?.lpid));
    else {
      const lpid = this.#choose.lpid(draw, stopped?.lpid);
      const structures = draw.once(6)
        ? (draw.pick([2 ** 32 - 2, 2 ** 32 - 2, ...HOSTILE]) ?? 0)
        : draw.below(draw.once(5) ? 100 : 3);
      this.restart(lpid, structures);
    }
  }

  #connect(draw: Draw): void {
    const running = [...this.model.partitions.values()].filter(({ state }) => state === "running");
    const near = draw.pick(running)?.lpid ?? 1;
    // Whoever has no adapter needs one first.
    const lonely = running.find((one) => ![...this.model.ends].some(({ owner }) => owner === one));
    const far = this.#choose.lpid(draw, lonely?.lpid);
    const quota = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : draw.below(8);
    // Every other time two of whom one has not returned all to an old incarnation of the other.
    const owed = draw.pick([...this.model.ends].flatMap(({ owner, formerly }) => (owner ? [] : [formerly])));
    if (owed !== undefined && draw.once(2)) this.connect(...owed, quota);
    else this.connect(this.#choose.lpid(draw, near), far, quota);
  }

  #assign(draw: Draw): void {
    const type = draw.pick(["mmio", "dma", "interrupt", "ipi"] as const) ?? "mmio";
    const unit = unitOf(type);
    const number = draw.once(30) ? (draw.pick([0, 1, 3, ...HOSTILE]) ?? 0) : TYPE_NUMBERS[type];
    const liobn = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : type === "dma" ? draw.below(3) : 0;
    const value = (count: number): number =>
      draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : draw.below(count) * unit + (draw.once(60) ? 1 : 0);
    this.assign(this.#choose.lpid(draw), number, value(8), value(5), value(60), liobn);
  }

  #arena(draw: Draw): void {
    const lpid = this.#choose.lpid(draw);
    if (draw.once(2)) {
      const length = draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : draw.below(5 * PAGE_BYTES);
      allocateOnBoth(this, lpid, length);
      return;
    }
    const pages = [...(this.model.partitions.get(lpid)?.allocated.keys() ?? [])];
    const page = draw.once(4) ? draw.below(10) : (draw.pick(pages) ?? 0);
    const address = draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : page * PAGE_BYTES;
    deallocateOnBoth(this, lpid, address);
  }

  #adapter(draw: Draw): void {
    const { core } = this;
    const lpid = this.#choose.lpid(draw);
    const partner = this.#choose.lpid(draw);
    adapterBetweenOnBoth(this, lpid, partner);
    const unit = this.#choose.unit(draw, lpid);
    this.same(
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
    this.h.budget = 4096;
    for (let index = 0; index < count; index++) {
      const choice = draw.below(index === count - 1 ? 5 : 4);
      if (choice < 2) {
        const request = this.#choose.grantRequest(draw);
        requests.grant(index, ...request);
        run.push((at) => this.#batched("grant", at, this.model.grant(request, requests.result(at))));
      } else {
        const grant = this.#choose.grantIn(draw, "granted", choice === 2 ? "granted" : "shared");
        const isGrantor = choice === 4;
        const lpid = this.#choose.lpid(draw, isGrantor ? grant?.grantor.lpid : grant?.holder.lpid);
        const cookie = this.#choose.cookie(draw, grant);
        if (choice === 2) {
          requests.accept(index, lpid, cookie);
          run.push((at) => this.#batched("accept", at, this.model.accept(lpid, cookie)));
        } else if (choice === 3) {
          requests.return(index, lpid, cookie);
          run.push((at) => this.#batched("return", at, this.model.return(lpid, cookie)));
        } else {
          requests.rescind(index, lpid, 1, cookie);
          run.push((at) => this.#batched("rescind-forced", at, this.learnRescind(lpid, 1, cookie)));
        }
      }
    }
    requests.run(count);
    for (const [index, step] of run.entries()) step(index);
    this.settleEvents(() => `a batch of ${count}`);
  }

  #batched(call: string, index: number, model: Answer): void {
    const status = this.#requests.status(index);
    const result = this.#requests.result(index);
    this.calls++;
    const key = `batch ${call} ${status}`;
    this.coverage.set(key, (this.coverage.get(key) ?? 0) + 1);
    ensure(
      status === model.status,
      () => `request ${index}, ${call}, answered ${status}, the model ${model.status}`,
    );
    const isSame = model.status < 0 || model.r4 === undefined || result === model.r4;
    ensure(isSame, () => `request ${index}, ${call}: R4 is ${result}, in the model ${model.r4}`);
  }
}
