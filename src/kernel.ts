/**
 * What everything of one table shares in this thread: its memory, its clock, who waits for events, and the views that a
 * page move must follow.
 */
import { Tray } from "./beside.js";
import type { Core, TableMemory } from "./binding.js";
import { type Clock, KEEP_ALIVE_MS, nextTurn } from "./clock.js";
import { HcallError, isBusy, LparError } from "./errors.js";
import {
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_RESCINDED,
  HEADER_MOVES,
  PARTITION_BYTES,
  PARTITION_RUNNING,
  PARTITION_SIGNAL,
  PARTITION_STATE,
  PARTITION_WAITING,
  SIGNALLED,
  THREAD_SIGNALLED,
  THREAD_SIGNALS,
} from "./layout.js";
import { Devices } from "./mmio.js";
import type { Partition } from "./partition.js";
import { partitionOffset, partitionWord } from "./records.js";
import { Transfer } from "./transfer.js";
import { ViewLeaks } from "./view-leaks.js";

/** A zero-copy view as the kernel sees it. */
export interface Movable {
  /** Pages may have moved: follow them if this access still stands. Answers false if the table is locked. */
  follow(): boolean;
}

/** Views that follow moves in one turn of the event loop: some 0.1 ms. */
export const FOLLOWED_PER_TURN = 256;

/** One walk over the views of this thread. */
interface Walk {
  readonly views: Iterator<Following>;
  /** The count of moves when it began: all that it has seen have followed these. */
  readonly moves: number;
  haveAll: boolean;
}

/** How the kernel holds a view: weakly where it is to be noticed that nobody else has it any more. */
export type Following = Movable | WeakRef<Movable>;

/** Who in this thread waits for what comes for one partition. */
interface Wait {
  /** Index of the partition's signal count in the table's words. */
  readonly word: number;
  /** Each with whether the thread must stay alive for it. */
  readonly listeners: Map<() => void, boolean>;
  /** The count when the listeners were last called. */
  seen: number;
  isArmed: boolean;
}

const kernels: WeakMap<object, Kernel> = new WeakMap();

/** Makes the kernel of a table or a partition known to the other entries of this package. */
export function setKernel(owner: object, kernel: Kernel): void {
  kernels.set(owner, kernel);
}

/** The kernel of a table or a partition. @throws TypeError for anything else. */
export function kernelOf(owner: object): Kernel {
  const kernel = kernels.get(owner);
  if (kernel === undefined) throw new TypeError("neither a ResourceTable nor a Partition");
  return kernel;
}

/** Of its own, so that who makes a call is short enough to be inlined, and only an error pays for its text. */
export function refuse(hcall: string, status: number, detail?: string): never {
  const isBusy = status === H_LONG_BUSY_10_MSEC;
  throw new HcallError(
    hcall,
    status,
    isBusy ? "another thread holds a lock, or goes on using what this takes away" : detail,
  );
}

/** As refuse(), of a call that one thing says all about. */
export function refuseAbout(hcall: string, status: number, name: string, value: unknown): never {
  refuse(hcall, status, `${name} ${value}`);
}

export class Kernel {
  readonly memory: TableMemory;
  readonly core: Core;
  readonly clock: Clock;
  /** The views whose access stands, so that they follow pages that move. */
  readonly views: Set<Following> = new Set();
  /** Only in debug mode. */
  readonly leaks: ViewLeaks | undefined;
  readonly transfer: Transfer = new Transfer(this);
  readonly tray: Tray;
  readonly devices: Devices;
  /** Fails a partition; only in the thread that owns the table. */
  failPartition: ((lpid: number, reason: string) => void) | undefined;
  /** The object of a partition in this thread. */
  readonly partitionOf: (lpid: number) => Partition;
  /** Who waits for events and queue entries, by the partition that they are for. */
  readonly #waits: Map<number, Wait> = new Map();
  /** Whether anybody does. */
  #isHeard = false;
  /** Whether other threads may cause events: then this one must be woken by them. */
  #isShared: boolean;
  /** How many listeners the thread must stay alive for. */
  #keepers = 0;
  #keepAlive: ReturnType<typeof setInterval> | undefined;
  /** The one word that counts how often this thread has signalled. */
  readonly #signalled: Uint32Array;
  /** Which partitions, the last few times. */
  readonly #lately: Uint32Array;
  /** What this thread has signalled, to any partition, when it last looked. */
  #signals: number;
  /** The count of moves that all views have followed. */
  #moves: number;
  /** The walk over the views that is under way. */
  #walk: Walk | undefined;
  /** Whether that goes on by itself in the next turns. */
  #isWalking = false;
  #closed = false;

  /**
   * @param isWorker whether this thread is a partition of the table, not its owner.
   * @param isDebug whether views that are dropped without release() are told of.
   */
  constructor(
    memory: TableMemory,
    clock: Clock,
    partitionOf: (lpid: number) => Partition,
    isWorker: boolean = false,
    isDebug: boolean = false,
  ) {
    this.leaks = isDebug ? new ViewLeaks() : undefined;
    this.memory = memory;
    this.core = memory.core;
    this.tray = new Tray(memory);
    this.clock = clock;
    this.partitionOf = partitionOf;
    this.#isShared = isWorker;
    this.devices = new Devices(this, isWorker);
    const signals = (memory.thread + THREAD_SIGNALS) / 4;
    this.#signalled = memory.words.subarray(signals, signals + 1);
    const lately = (memory.thread + THREAD_SIGNALLED) / 4;
    this.#lately = memory.words.subarray(lately, lately + SIGNALLED);
    this.#signals = this.#signalled[0] as number;
    this.#moves = memory.header(HEADER_MOVES);
    if (isWorker) void this.#unlockWhenPoked();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#keepAlive);
    this.leaks?.stop();
    // Whoever of this thread sleeps for events wakes up and finds it closed.
    for (const { word } of this.#waits.values()) Atomics.notify(this.memory.integers, word);
    this.memory.unpoke();
    this.devices.close();
  }

  /** @throws LparError LPAR_CLOSED after close(). */
  checkOpen(): void {
    if (this.#closed) throw new LparError("LPAR_CLOSED", "the resource table is closed");
  }

  /** Other threads join the table. */
  share(): void {
    if (this.#isShared) return;
    this.#isShared = true;
    void this.#unlockWhenPoked();
    for (const wait of this.#waits.values()) this.#arm(wait);
    this.devices.share();
  }

  async #unlockWhenPoked(): Promise<void> {
    while (!this.#closed) await (this.memory.poked() ?? nextTurn());
  }

  /**
   * Calls back when an event or a queue entry may have come for a partition, until unlisten().
   * @param keepsAlive whether the thread stays alive for it.
   */
  listen(lpid: number, listener: () => void, keepsAlive: boolean = true): void {
    let wait = this.#waits.get(lpid);
    if (wait === undefined) {
      const word = (partitionOffset(this.memory, lpid) + PARTITION_SIGNAL) / 4;
      wait = { word, listeners: new Map(), seen: Atomics.load(this.memory.words, word), isArmed: false };
      this.#waits.set(lpid, wait);
      this.#isHeard = true;
    }
    if (keepsAlive && wait.listeners.get(listener) !== true) this.#keepers++;
    wait.listeners.set(listener, keepsAlive);
    this.#arm(wait);
  }

  unlisten(lpid: number, listener: () => void): void {
    const wait = this.#waits.get(lpid);
    if (wait?.listeners.get(listener) === true) this.#keepers--;
    wait?.listeners.delete(listener);
    if (wait?.listeners.size === 0 && !wait.isArmed) this.#waits.delete(lpid);
    this.#isHeard = this.#waits.size !== 0;
    if (this.#keepers !== 0) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  /** Passes on what a call caused. @throws HcallError for a negative status, and when the table was locked. */
  settle(hcall: string, status: number, detail?: string): number {
    if (status < 0 || status === H_LONG_BUSY_10_MSEC) refuse(hcall, status, detail);
    this.notice();
    return status;
  }

  /** Refuses what no call can be made with; a caller that does not run hears of that first (GR10). */
  refuseFor(lpid: number, hcall: string, detail: string): never {
    const runs = partitionWord(this.memory, lpid, PARTITION_STATE) === PARTITION_RUNNING;
    throw new HcallError(hcall, runs ? H_PARAMETER : H_RESCINDED, detail);
  }

  /** Makes a call that nobody waits for but that must happen: again and again while the table is locked. */
  finish(call: () => number): void {
    if (call() === H_LONG_BUSY_10_MSEC && !this.#closed) void nextTurn(1).then(() => this.finish(call));
  }

  /** Calls until the table is not locked. The event loop turns between two tries, or it would not hear of a holder's exit. */
  async patiently(call: () => void): Promise<void> {
    while (true) {
      this.checkOpen();
      try {
        return call();
      } catch (error) {
        if (!isBusy(error)) throw error;
      }
      await nextTurn(1);
    }
  }

  /** Looks whether a call of this thread has signalled anybody, and wakes who listens for them here. */
  notice(): void {
    if (this.#signalled[0] !== this.#signals) this.#passOn();
  }

  /** What this thread has signalled since it last looked; as much work as there were signals, however many listen. */
  #passOn(): void {
    const count = this.#signalled[0] as number;
    if (!this.#isHeard && this.memory.header(HEADER_MOVES) === this.#moves) {
      this.#signals = count;
      return;
    }
    // Whoever is told makes calls, and the result of the last one before them is still to be read.
    const { result } = this.memory;
    const news = (count - this.#signals) >>> 0;
    const last = this.#lately[(count - 1) & (SIGNALLED - 1)] as number;
    const all = news > 1 ? [...this.#lately] : undefined;
    this.#signals = count;
    this.followMoves();
    if (all === undefined) this.#tellAt(last);
    else if (news <= SIGNALLED) for (const place of all) this.#tellAt(place);
    else for (const wait of this.#waits.values()) this.#tell(wait);
    this.memory.result = result;
  }

  /** Wakes all for whose partition something has come, or all; lets the views follow pages that moved. */
  wake(all: boolean = false): void {
    const { result } = this.memory;
    this.#signals = this.#signalled[0] as number;
    this.followMoves();
    for (const wait of this.#waits.values()) this.#tell(wait, all);
    this.memory.result = result;
  }

  /** The partition whose record is at this place was signalled. */
  #tellAt(place: number): void {
    const wait = this.#waits.get((place - this.memory.partitionsAt) / PARTITION_BYTES);
    if (wait !== undefined) this.#tell(wait);
  }

  #tell(wait: Wait, always: boolean = false): void {
    const count = Atomics.load(this.memory.words, wait.word);
    if (count === wait.seen && !always) return;
    wait.seen = count;
    for (const listener of wait.listeners.keys()) listener();
  }

  /** Wakes those in this thread who wait for what comes for a partition: something of its own has ended. */
  rouse(lpid: number): void {
    for (const listener of this.#waits.get(lpid)?.listeners.keys() ?? []) listener();
  }

  /** From now on a view of this range follows pages that move. Answers what stands for it in `views`. */
  hold(view: Movable, lpid: number, address: number, length: number): Following {
    const following = this.leaks?.watch(view, this.views, lpid, address, length) ?? view;
    this.views.add(following);
    return following;
  }

  /**
   * Lets the views follow pages that moved, whoever moved them: some now, the others in the next turns. A view that is asked for its
   * bytes before follows by itself.
   */
  followMoves(): void {
    if (this.#isWalking) return;
    this.#walkSome();
    if (this.#walk !== undefined) void this.#walkOn();
  }

  #walkSome(): void {
    let left = FOLLOWED_PER_TURN;
    while (this.#walk !== undefined || this.#beginWalk()) {
      const walk = this.#walk as Walk;
      const { value: one, done } = walk.views.next();
      if (done === true) {
        this.#walk = undefined;
        // While the table is locked some cannot; they try again the next time.
        if (!walk.haveAll) return;
        this.#moves = walk.moves;
        continue;
      }
      const view = one instanceof WeakRef ? one.deref() : one;
      if (view?.follow() === false) walk.haveAll = false;
      if (--left === 0) break;
    }
  }

  #beginWalk(): boolean {
    const moves = this.memory.header(HEADER_MOVES);
    if (moves === this.#moves) return false;
    this.#walk = { views: this.views.values(), moves, haveAll: true };
    return true;
  }

  async #walkOn(): Promise<void> {
    this.#isWalking = true;
    while (this.#walk !== undefined) {
      await nextTurn();
      if (this.#closed) break;
      this.#walkSome();
    }
    this.#isWalking = false;
  }

  /**
   * Sleeps until another thread signals the partition, as long as somebody here listens. The order is what keeps a signal
   * from being lost: first say that somebody waits, then look whether the count is still the one that was served.
   */
  #arm(wait: Wait): void {
    if (!this.#isShared || this.#closed || wait.listeners.size === 0) return;
    // A sleeper alone does not keep a thread alive.
    if (this.#keepers !== 0) this.#keepAlive ??= setInterval(() => {}, KEEP_ALIVE_MS);
    // It may be one that sleeps since before: then there is no second one, but somebody again to be kept alive for.
    if (wait.isArmed) return;
    wait.isArmed = true;
    const { words, integers } = this.memory;
    Atomics.store(words, wait.word + (PARTITION_WAITING - PARTITION_SIGNAL) / 4, 1);
    const sleep = Atomics.waitAsync(integers, wait.word, wait.seen | 0);
    const woken = (): void => {
      wait.isArmed = false;
      this.followMoves();
      this.#tell(wait, this.#closed);
      this.#arm(wait);
    };
    if (sleep.async) void sleep.value.then(woken);
    // The word has changed meanwhile. Not by a timer, which takes a millisecond.
    else void nextTurn().then(woken);
  }
}
