/**
 * What everything of one table shares in this thread: its memory, its clock, who waits for events, and the views that a
 * page move must follow.
 */
import type { Core, TableMemory } from "./binding.js";
import { type Clock, nextTurn } from "./clock.js";
import { HcallError, LparError } from "./errors.js";
import { H_LONG_BUSY_10_MSEC, HEADER_MOVES, HEADER_SIGNAL, HEADER_WAITING } from "./layout.js";
import type { Partition } from "./partition.js";

/** A zero-copy view as the kernel sees it. */
export interface Movable {
  /** Some page has moved: follow it if this access still stands. Answers false if the table is locked. */
  follow(): boolean;
}

/** A day: long enough for a timer that only says that somebody still waits. */
const KEEP_ALIVE_MS = 86_400_000;

export class Kernel {
  readonly memory: TableMemory;
  readonly core: Core;
  readonly clock: Clock;
  readonly views: Set<Movable> = new Set();
  /** The object of a partition in this thread. */
  readonly partitionOf: (lpid: number) => Partition;
  readonly #listeners: Set<() => void> = new Set();
  /** Whether other threads may cause events: then this one must be woken by them. */
  #isShared: boolean;
  #isArmed = false;
  #keepAlive: ReturnType<typeof setInterval> | undefined;
  #signals: number;
  #moves: number;
  #closed = false;

  /** @param isWorker whether this thread is a partition of the table, not its owner. */
  constructor(
    memory: TableMemory,
    clock: Clock,
    partitionOf: (lpid: number) => Partition,
    isWorker: boolean = false,
  ) {
    this.memory = memory;
    this.core = memory.core;
    this.clock = clock;
    this.partitionOf = partitionOf;
    this.#isShared = isWorker;
    this.#signals = memory.header(HEADER_SIGNAL);
    this.#moves = memory.header(HEADER_MOVES);
    if (isWorker) void this.#unlockWhenPoked();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    // Whoever of this thread sleeps for events wakes up and finds it closed.
    Atomics.notify(this.memory.integers, HEADER_SIGNAL / 4);
    this.memory.unpoke();
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
    this.#arm();
  }

  async #unlockWhenPoked(): Promise<void> {
    while (!this.#closed) await (this.memory.poked() ?? nextTurn());
  }

  /** Calls back when an event or a queue entry may have come, until unlisten(). */
  listen(listener: () => void): void {
    this.#listeners.add(listener);
    this.#arm();
  }

  unlisten(listener: () => void): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  /** Passes on what a call caused. @throws HcallError for a negative status, and when the table was locked. */
  settle(hcall: string, status: number, detail?: string): number {
    if (status < 0) throw new HcallError(hcall, status, detail);
    if (status === H_LONG_BUSY_10_MSEC)
      throw new HcallError(hcall, status, "another thread has the table locked");
    if (this.memory.words[HEADER_SIGNAL / 4] !== this.#signals) this.wake();
    return status;
  }

  /** Makes a call that nobody waits for but that must happen: again and again while the table is locked. */
  finish(call: () => number): void {
    if (call() === H_LONG_BUSY_10_MSEC && !this.#closed) setTimeout(() => this.finish(call), 1);
  }

  /** Wakes who waits, and lets the views follow pages that moved. */
  wake(): void {
    this.#signals = Atomics.load(this.memory.words, HEADER_SIGNAL / 4);
    this.followMoves();
    for (const listener of this.#listeners) listener();
  }

  /** Lets the views follow pages that moved: another thread may have moved them. */
  followMoves(): void {
    const moves = this.memory.header(HEADER_MOVES);
    if (moves === this.#moves) return;
    let haveAll = true;
    for (const view of this.views) haveAll = view.follow() && haveAll;
    // While the table is locked some cannot; they try again the next time.
    if (haveAll) this.#moves = moves;
  }

  /**
   * Sleeps until another thread signals, as long as somebody here listens. The order is what keeps a signal from being
   * lost: first say that somebody waits, then look whether the count is still the one that was served.
   */
  #arm(): void {
    if (!this.#isShared || this.#closed || this.#listeners.size === 0) return;
    // A sleeper alone does not keep a thread alive.
    this.#keepAlive ??= setInterval(() => {}, KEEP_ALIVE_MS);
    // It may be one that sleeps since before: then there is no second one, but somebody again to be kept alive for.
    if (this.#isArmed) return;
    this.#isArmed = true;
    Atomics.store(this.memory.words, HEADER_WAITING / 4, 1);
    const sleep = Atomics.waitAsync(this.memory.integers, HEADER_SIGNAL / 4, this.#signals | 0);
    const woken = (): void => {
      this.#isArmed = false;
      this.wake();
      this.#arm();
    };
    if (sleep.async) void sleep.value.then(woken);
    else setTimeout(woken, 0);
  }
}
