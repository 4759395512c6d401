/**
 * What a walk calls: random calls of every kind over a small table or one of many pages, most of them with numbers that mean
 * something there, some with cookies that were guessed.
 */
import type { Core } from "../../src/binding.js";
import {
  COOKIE_SLOTS,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  MODE_COPY,
  MODE_DONATE,
  MODE_LEND,
  MODE_SHARE,
  MODE_ZERO,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  PARTITION_FAILED,
  PARTITION_FREE,
  PARTITION_RECOVERING,
  PARTITION_RUNNING,
  PARTITION_STOPPED,
  RESCIND_FORCED,
  SPACE_DMA,
  SPACE_INTERRUPT,
  SPACE_IPI,
  SPACE_MEMORY,
  SPACE_MMIO,
  STRUCTURE_GRANTED,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  TYPE_DMA,
  TYPE_INTERRUPT,
  TYPE_IPI,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../../src/layout.js";
import { hasRequest } from "./crash-walk-batch.js";
import type { Asked, Ledger } from "./crash-walk-ledger.js";
import type { Queues, Registered } from "./crash-walk-queues.js";
import type { StagingRuns } from "./crash-walk-staging.js";
import { LIOBN, QUOTA, type Size, STRUCTURES, type Unit, type WalkTable } from "./crash-walk-table.js";
import type { TableWords } from "./crash-walk-words.js";
import type { Draw } from "./draw.js";

/** Calls that take numbers alone. */
export type CallName = {
  [Name in keyof Core]: Core[Name] extends (...args: number[]) => number ? Name : never;
}[keyof Core];

/** Pages of a partition's memory. */
export interface Range {
  readonly lpid: number;
  readonly page: number;
  readonly pageCount: number;
}

export interface Call {
  readonly name: CallName;
  readonly args: readonly number[];
  /** Of a grant: what it asks for. */
  readonly asked?: Asked;
  /** Of a rescind, a return and an accept: the cookie. */
  readonly cookie?: number;
  /** Whether the cookie is nothing to its caller, so that it must be refused. */
  readonly isGuess?: boolean;
  /** Pages that it may write to from end to end. */
  readonly writes?: Range | undefined;
  /** Pages that it writes to for its caller, or zeroes, without promising anything about a call that stops half-way. */
  readonly changes?: Range | undefined;
  /** Whether it is made again as long as it answers that it goes on. */
  readonly goesOn?: boolean;
  /** Whether it is made by the way of numbers of 32 bits, if there is one. */
  readonly isQuick?: boolean;
  /** Of a batch: what it asks for. */
  readonly requests?: readonly Call[];
  /** Whether it changes staging, as a call that moves data there, or answers there, does. */
  readonly changesStaging?: boolean;
  /** Of what moves data to staging, or from there: the range, from the begin of a page on, and the place in staging. */
  readonly moves?: {
    readonly lpid: number;
    readonly page: number;
    readonly length: number;
    readonly at: number;
  };
  /** Of a connection: who is joined. */
  readonly joins?: readonly [lpid: number, partner: number];
  /** The partition that it starts. */
  readonly starts?: number;
}

const MODES: readonly number[] = [
  ...[MODE_SHARE, MODE_SHARE, MODE_SHARE, MODE_LEND, MODE_LEND, MODE_LEND | MODE_ZERO, MODE_LEND | MODE_ZERO],
  ...[MODE_DONATE, MODE_COPY, MODE_COPY],
];

/** Other kinds: type, space, LIOBN, and bytes of one unit. */
const KINDS: readonly (readonly [type: number, space: number, liobn: number, unit: number])[] = [
  [TYPE_DMA, SPACE_DMA, LIOBN, PAGE_BYTES],
  [TYPE_MMIO, SPACE_MMIO, 0, PAGE_BYTES],
  [TYPE_MMIO, SPACE_MMIO, 0, PAGE_BYTES],
  [TYPE_INTERRUPT, SPACE_INTERRUPT, 0, 1],
  [TYPE_IPI, SPACE_IPI, 0, 1],
];

const RECOVERIES = ["recoverClient", "recoverServer", "recoverDeferred", "recoverServer"] as const;

/** Bytes that go by the short way. */
const FEW = 32;
const HALF = PAGE_BYTES / 2;
/** Requests of a batch, at most. */
const REQUESTS = 6;
/** Unit addresses from which on nobody is joined any more. */
const UNITS = 18;

/** How often each is drawn. */
const WEIGHTS = {
  accept: 6,
  access: 4,
  batch: 4,
  bus: 4,
  copy: 2,
  fail: 2,
  gather: 3,
  grant: 8,
  grantOther: 2,
  guess: 2,
  line: 3,
  merge: 2,
  compact: 2,
  arena: 2,
  pin: 2,
  queue: 6,
  recover: 3,
  rescind: 4,
  return: 3,
  spare: 1,
  staging: 2,
  unpin: 1,
} as const;

type Kind = keyof typeof WEIGHTS;

const KIND_LIST: readonly Kind[] = (Object.keys(WEIGHTS) as Kind[]).flatMap((kind) =>
  Array.from({ length: WEIGHTS[kind] }, () => kind),
);

export class Calls {
  readonly #draw: Draw;
  readonly #table: WalkTable;
  readonly #size: Size;
  readonly #words: TableWords;
  readonly #ledger: Ledger;
  readonly #staging: StagingRuns;
  readonly #queues: Queues;
  /** The thread that is to make the next call. */
  #slot = 0;
  readonly #make: Readonly<Record<Kind, () => Call | undefined>> = {
    accept: () => this.#byGrantee("acceptLogical"),
    access: () => this.#access(),
    arena: () => this.#arena(),
    batch: () => this.#batch(),
    bus: () => this.#bus(),
    compact: () => ({ name: "compactMemory", args: [this.lpid(), 0, this.#pick([1, 4, 40])] }),
    copy: () => this.#copy(),
    fail: () => (this.#draw.once(3) ? { name: "failPartition", args: [this.lpid(), 0] } : undefined),
    gather: () => this.#gather(),
    grant: () => this.#grant(),
    grantOther: () => this.#grantOther(),
    guess: () => this.#guess(),
    line: () => this.#line(),
    merge: () => this.#merge(),
    pin: () => this.#pin(),
    queue: () => this.#queue(),
    recover: () => this.#recover(),
    rescind: () => this.#rescind(),
    return: () => this.#byGrantee("returnLogical"),
    spare: () => this.#spare(),
    staging: () => this.#moveOrFree(),
    unpin: () => this.#unpin(),
  };

  constructor(draw: Draw, table: WalkTable, ledger: Ledger, staging: StagingRuns, queues: Queues) {
    this.#draw = draw;
    this.#table = table;
    this.#size = table.size;
    this.#words = table.words;
    this.#ledger = ledger;
    this.#staging = staging;
    this.#queues = queues;
  }

  /** The next call of a thread, undefined if there is nothing of the kind that was drawn to do. */
  next(slot: number): Call | undefined {
    this.#slot = slot;
    // All adapters have ended, and there were no ends for others.
    if (this.#table.units.length === 0)
      return this.#recover() ?? { name: "failPartition", args: [this.lpid(), 0] };
    const kind = this.#down.length > 0 && this.#draw.once(4) ? "recover" : this.#pick(KIND_LIST);
    return this.#make[kind]();
  }

  /** Partitions that do not run. */
  get #down(): number[] {
    const { partitions } = this.#words;
    return partitions.filter(
      (lpid) => this.#words.stateOf(lpid) !== PARTITION_FREE && !this.#words.isRunning(lpid),
    );
  }

  #pick<T>(list: readonly T[]): T {
    return this.#draw.pick(list) as T;
  }

  /** A partition, most often one that runs. */
  lpid(): number {
    const all = this.#words.partitions.filter((lpid) => lpid <= this.#size.memory.length);
    return this.#amongRunning(all, (lpid) => lpid);
  }

  #unit(): Unit {
    return this.#amongRunning(this.#table.units, ({ lpid }) => lpid);
  }

  /** One of a list, most often one whose partition runs. */
  #amongRunning<T>(list: readonly T[], lpidOf: (one: T) => number): T {
    const running = list.filter((one) => this.#words.isRunning(lpidOf(one)));
    return this.#pick(running.length === 0 || this.#draw.once(8) ? list : running);
  }

  /** A page of its memory, most often one that is mapped; as often as not by a grant, if there is one. */
  page(lpid: number): number {
    const any = this.#draw.below(this.#size.pages);
    if (this.#draw.once(5)) return any;
    const mapped = this.#words.mapped(lpid);
    const granted = mapped.filter((page) => !this.#words.isOwned({ lpid, page }));
    return this.#draw.pick(this.#draw.once(2) && granted.length > 0 ? granted : mapped) ?? any;
  }

  /** A page, and how many from there on: most often as many as are of one structure. */
  #range(lpid: number): { readonly page: number; readonly pageCount: number } {
    const page = this.page(lpid);
    const pageCount = this.#pick(this.#size.runs);
    const slot = page < this.#words.pages(lpid) ? this.#words.back({ lpid, page }) : 0;
    if (slot === 0 || this.#draw.once(5)) return { page, pageCount };
    const { page: first, pageCount: most } = this.#words.structure(slot);
    return { page, pageCount: Math.max(1, Math.min(pageCount, first + most - page)) };
  }

  #address(lpid: number): number {
    return this.page(lpid) * PAGE_BYTES;
  }

  /** A cookie, most often of a grant in one of these states. */
  #cookie(states: readonly number[]): number | undefined {
    const fit = this.#ledger.standing.filter((cookie) =>
      states.includes(this.#words.structure(cookie % COOKIE_SLOTS).state),
    );
    // One that is over must be refused, too.
    if (this.#draw.once(20)) return this.#draw.pick(this.#ledger.cookies);
    return this.#draw.pick(this.#draw.once(8) || fit.length === 0 ? this.#ledger.standing : fit);
  }

  #byGrantee(name: "acceptLogical" | "returnLogical"): Call | undefined {
    const states = [STRUCTURE_SHARED, STRUCTURE_RESCINDED, STRUCTURE_RETURNING];
    const cookie = this.#cookie(name === "acceptLogical" ? [STRUCTURE_GRANTED] : states);
    if (cookie === undefined) return undefined;
    const isGuess = this.#isGuess(cookie, true);
    return {
      name,
      args: [this.#ledger.grantee(cookie), cookie],
      cookie,
      isGuess,
      isQuick: this.#draw.once(2),
    };
  }

  #rescind(): Call | undefined {
    const flags = this.#draw.once(2) ? RESCIND_FORCED : 0;
    const cookie = this.#cookie([flags === 0 ? STRUCTURE_GRANTED : STRUCTURE_SHARED]);
    if (cookie === undefined) return undefined;
    return {
      name: "rescindLogical",
      args: [this.#ledger.grantor(cookie), flags, cookie],
      cookie,
      isGuess: this.#isGuess(cookie, false),
      isQuick: this.#draw.once(2),
      goesOn: this.#draw.once(2),
    };
  }

  /** Whether even the party of the grant must be refused, since it is over. */
  #isGuess(cookie: number, isGrantee: boolean): boolean {
    const lpid = isGrantee ? this.#ledger.grantee(cookie) : this.#ledger.grantor(cookie);
    return !this.#ledger.isFor(cookie, lpid, isGrantee);
  }

  /** A cookie that is nothing to whoever names it: of the slot's next or last grant, or of somebody else's. */
  #guess(): Call | undefined {
    const known = this.#cookie([STRUCTURE_GRANTED, STRUCTURE_SHARED]);
    if (known === undefined) return undefined;
    const cookie = known + this.#pick([COOKIE_SLOTS, COOKIE_SLOTS, -COOKIE_SLOTS, 0, 2 * COOKIE_SLOTS]);
    const lpid = this.lpid();
    const name = this.#pick(["acceptLogical", "returnLogical", "rescindLogical"] as const);
    if (this.#ledger.isFor(cookie, lpid, name !== "rescindLogical")) return undefined;
    const args = name === "rescindLogical" ? [lpid, this.#draw.below(2), cookie] : [lpid, cookie];
    return { name, args, cookie, isGuess: true };
  }

  #grant({ lpid: from, to, unit }: Unit = this.#unit(), modes = MODES): Call {
    const mode = this.#pick(modes);
    const { page, pageCount } = this.#range(from);
    const inhibits = mode === MODE_SHARE && this.#draw.once(5) ? this.#inhibit() : 0;
    const range = [0, page * PAGE_BYTES, pageCount * PAGE_BYTES, unit];
    const asked = { from, to, space: SPACE_MEMORY, page, pageCount, inhibits, mode };
    if (mode === MODE_SHARE) {
      const args = [from, TYPE_MEMORY | inhibits, ...range];
      return { name: "grantLogical", args, asked, isQuick: this.#draw.once(2) };
    }
    if (mode !== MODE_COPY) return { name: "grantMode", args: [from, TYPE_MEMORY, ...range, mode], asked };
    const limited = { ...asked, inhibits: INHIBIT_WRITE | INHIBIT_REGRANT };
    return { name: "grantCopyOnWrite", args: [from, TYPE_MEMORY, ...range], asked: limited };
  }

  #inhibit(): number {
    return this.#pick([INHIBIT_WRITE, INHIBIT_WRITE, INHIBIT_READ, INHIBIT_REGRANT]);
  }

  #grantOther(): Call {
    const ofServer = this.#table.units.filter(({ lpid }) => lpid === 1);
    const { lpid: from, to, unit } = this.#draw.pick(this.#draw.once(2) ? ofServer : []) ?? this.#unit();
    const [type, space, liobn, size] = this.#pick(KINDS);
    const page = this.#draw.below(2);
    const pageCount = space === SPACE_DMA ? this.#pick([1, 3, this.#size.busPages - 3]) : 1;
    const asked = { from, to, space, page, pageCount, inhibits: 0, mode: MODE_SHARE };
    return { name: "grantLogical", args: [from, type, liobn, page * size, pageCount * size, unit], asked };
  }

  #gather(): Call {
    const lpid = this.lpid();
    const pages = this.#size.memory[lpid - 1] as number;
    const page = this.#draw.below(pages);
    const range = [page, 1 + this.#draw.below(pages - page)].map((each) => each * PAGE_BYTES);
    return { name: "gatherMemory", args: [lpid, ...range, this.#pick([1, 30])] };
  }

  #merge(): Call {
    const [lpid, other] = [this.lpid(), this.lpid()];
    return { name: "mergePages", args: [lpid, this.#address(lpid), other, this.#address(other)] };
  }

  #pin(): Call {
    const lpid = this.lpid();
    const { page, pageCount } = this.#range(lpid);
    return { name: "pinMemory", args: [lpid, page * PAGE_BYTES, pageCount * PAGE_BYTES] };
  }

  #access(): Call {
    const lpid = this.lpid();
    const { page, pageCount: pages } = this.#range(lpid);
    const address = page * PAGE_BYTES;
    if (this.#draw.once(2))
      return {
        name: "storeWord",
        args: [lpid, address + 4 * this.#draw.below(8), this.#draw.below(3)],
        changes: { lpid, page, pageCount: 1 },
      };
    const pageCount = this.#draw.once(3) ? pages : 1;
    const length = pageCount === 1 ? 8 : pageCount * PAGE_BYTES;
    const range = { lpid, page, pageCount };
    return { name: "fillMemory", args: [lpid, address, length, 0], writes: range, changes: range };
  }

  /** A few bytes for a partner, or pages of one's own up or down by half a page, for which staging is needed. */
  #copy(): Call {
    const { lpid, to } = this.#unit();
    if (this.#draw.once(2)) {
      const [from, page] = [this.#address(lpid), this.page(to)];
      const args = [lpid, from, to, page * PAGE_BYTES, 32];
      return { name: "copyMemory", args, changes: { lpid: to, page, pageCount: 1 } };
    }
    const page = this.page(lpid);
    const [from, at] = this.#draw.once(2) ? [0, HALF] : [HALF, 0];
    const args = [lpid, page * PAGE_BYTES + from, lpid, page * PAGE_BYTES + at, PAGE_BYTES + HALF];
    const range = { lpid, page, pageCount: 2 };
    return { name: "copyMemory", args, writes: range, changes: range };
  }

  #bus(): Call {
    const rights = this.#draw.below(4);
    if (this.#draw.once(4)) {
      const count = 1 + this.#draw.below(this.#size.busPages);
      return { name: "stuffTce", args: [1, LIOBN, 0, this.#address(1) + rights, count] };
    }
    const lpid = this.#draw.once(2) ? 1 : this.lpid();
    const ioba = this.#draw.below(Math.ceil(this.#size.busPages / 2)) * PAGE_BYTES;
    return { name: "putTce", args: [lpid, LIOBN, ioba, this.#address(lpid) + rights] };
  }

  #line(): Call {
    const [lpid, line] = [this.#draw.once(2) ? 1 : this.lpid(), this.#draw.below(2)];
    return this.#pick<Call>([
      { name: "armInterrupt", args: [lpid, line, this.#draw.below(2)] },
      { name: "maskInterrupt", args: [lpid, line, this.#draw.below(2)] },
      { name: "raiseInterrupt", args: [lpid, line, 0, 0] },
      { name: "raiseInterrupt", args: [1, line, 1, 0] },
      { name: "takeLine", args: [lpid] },
      { name: "endInterrupt", args: [lpid, line] },
      { name: "sendIpi", args: [lpid, 0] },
    ]);
  }

  /** Most often of who has a queue, or of one adapter, so that who sends meets who has one. */
  #queue(): Call {
    const { units } = this.#table;
    const known = this.#draw.once(4) ? undefined : this.#draw.pick(this.#queues.registered);
    if (known !== undefined) return this.#queueOf(known);
    const { lpid, to, unit } = this.#pick(this.#draw.once(3) ? units : units.slice(0, 2));
    return this.#pick<Call>([
      ...[this.register(lpid, unit), this.register(lpid, unit)],
      { name: "takeEvent", args: [lpid] },
      { name: "takeEvent", args: [to] },
      { name: "receiveEntry", args: [lpid, unit] },
      { name: "freeQueue", args: [lpid, unit] },
      { name: "allocateQueue", args: [lpid] },
    ]);
  }

  #queueOf({ lpid, unit, partner }: Registered): Call {
    const receive: Call = { name: "receiveEntry", args: [lpid, unit] };
    const free: Call = { name: "freeQueue", args: [lpid, unit] };
    // An adapter that has ended leaves what is in the ring, and its end is somebody else's again when that is freed.
    if (partner === undefined) return this.#pick([receive, free]);
    const send: Call = { name: "sendEntry", args: [partner.lpid, partner.unit, ...this.#queues.message()] };
    return this.#pick([send, send, receive, receive, free, this.register(partner.lpid, partner.unit)]);
  }

  /** A queue on some of its pages, most often on its own ones. */
  register(lpid: number, unit: number): Call {
    const owned = this.#words.mapped(lpid).filter((page) => this.#words.isOwned({ lpid, page }));
    const page = this.#draw.pick(this.#draw.once(4) ? [] : owned) ?? this.page(lpid);
    const range = { lpid, page, pageCount: this.#pick([1, 1, 2]) };
    const args = [lpid, unit, page * PAGE_BYTES, range.pageCount * PAGE_BYTES];
    return { name: "registerQueue", args, writes: range, changes: range };
  }

  #arena(): Call {
    const lpid = this.lpid();
    if (this.#draw.once(2)) return { name: "allocate", args: [lpid, this.#pick([1, 2]) * PAGE_BYTES] };
    // What is allocated lies low.
    const address = this.#draw.once(2) ? this.#draw.below(3) * PAGE_BYTES : this.#address(lpid);
    return { name: "deallocate", args: [lpid, address] };
  }

  #unpin(): Call | undefined {
    const view = this.#draw.pick(this.#words.views());
    if (view === undefined) return undefined;
    return this.#draw.once(3)
      ? { name: "unpinOrphan", args: [view.number] }
      : { name: "unpinMemory", args: [this.lpid(), view.number] };
  }

  /** Requests of all kinds that there are, or grants by one way, of which several are done without locks given back between them. */
  #batch(): Call | undefined {
    const run = this.#staging.of(this.#slot);
    if (run === undefined) return this.#takeStaging();
    const unit = this.#draw.once(3) ? this.#unit() : undefined;
    const kinds = ["accept", "accept", "bus", "grant", "grant", "rescind", "return"] as const;
    const drawn = Array.from({ length: 1 + this.#draw.below(REQUESTS) }, () => {
      const isGrant = unit !== undefined && !this.#draw.once(4);
      return isGrant ? this.#grant(unit, [MODE_SHARE]) : this.#make[this.#pick(kinds)]();
    });
    const requests = drawn.filter(
      (call) => call !== undefined && hasRequest(call) && call.isGuess !== true,
    ) as Call[];
    const args = [this.#staging.at(run), requests.length];
    return { name: "hcallBatch", args, requests, changesStaging: true };
  }

  #takeStaging(): Call {
    return { name: "takeStaging", args: [this.#pick([1, 1, 1, 2])] };
  }

  /** A thread gives its staging back, or moves data there or from there. */
  #moveOrFree(): Call | undefined {
    const run = this.#staging.of(this.#slot);
    if (run === undefined) return this.#takeStaging();
    const at = this.#staging.at(run);
    if (this.#draw.once(2)) return { name: "freeStaging", args: [at, run.count] };
    const lpid = this.lpid();
    const { page, pageCount: pages } = this.#range(lpid);
    const address = page * PAGE_BYTES;
    if (this.#draw.once(2)) {
      const need = this.#pick([NEED_READ, NEED_WRITE]);
      const moves = { lpid, page, length: FEW, at };
      const changes = need === NEED_WRITE ? { lpid, page, pageCount: 1 } : undefined;
      return { name: "moveFew", args: [lpid, address, FEW, at, need], moves, changes, changesStaging: true };
    }
    const pageCount = Math.min(pages, run.count);
    const length = pageCount * PAGE_BYTES;
    const name = this.#pick(["loadMemory", "storeMemory"] as const);
    const writes = name === "storeMemory" ? { lpid, page, pageCount } : undefined;
    const moves = { lpid, page, length, at };
    const args = [lpid, address, length, at];
    return { name, args, moves, writes, changes: writes, changesStaging: true };
  }

  /** A partition more comes to be and ends, or an adapter more. */
  #spare(): Call | undefined {
    const spare = this.#size.memory.length + 1;
    const state = this.#words.stateOf(spare);
    if (this.#draw.once(2)) return this.#connect(this.lpid(), this.#draw.once(2) ? spare : this.lpid());
    if (state === PARTITION_FREE)
      return { name: "createPartition", args: [this.#pick([2, 3]), this.#pick([1, 2])], starts: spare };
    if (state === PARTITION_RUNNING) return { name: "failPartition", args: [spare, 1] };
    return state === PARTITION_STOPPED ? { name: "removePartition", args: [spare] } : undefined;
  }

  #connect(lpid: number, partner: number): Call | undefined {
    if (this.#table.units.length > UNITS || lpid === partner) return undefined;
    return { name: "connectPartitions", args: [lpid, partner, QUOTA], joins: [lpid, partner] };
  }

  /** What a partition that does not run is in need of. */
  #recover(): Call | undefined {
    const lpid = this.#draw.pick(this.#down);
    if (lpid === undefined) return undefined;
    const state = this.#words.stateOf(lpid);
    if (state === PARTITION_STOPPED && lpid > this.#size.memory.length)
      return { name: "removePartition", args: [lpid] };
    if (state === PARTITION_STOPPED)
      return { name: "restartPartition", args: [lpid, STRUCTURES], starts: lpid };
    if (state !== PARTITION_FAILED && state !== PARTITION_RECOVERING) return undefined;
    if (this.#draw.once(3)) return { name: "endViews", args: [lpid, 100] };
    const steps = this.#pick([1, 5, 100]);
    return { name: this.#pick(RECOVERIES), args: [lpid, steps], goesOn: true };
  }
}
