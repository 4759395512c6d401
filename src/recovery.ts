/**
 * Drives the recovery of one failed partition: slices of the core's work, the grace period between them or the wait for
 * those who borrow from it, and who waits for the end.
 */
import { POKE_SLICES } from "./binding.js";
import { nextTurn } from "./clock.js";
import { LparError } from "./errors.js";
import type { Kernel } from "./kernel.js";
import {
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_PARTIAL,
  H_RESOURCE,
  HEADER_BUDGET,
  THREAD_WAITS_FOR,
} from "./layout.js";
import type { RecoverySnapshot } from "./snapshot.js";
import { onAbort, type WaitOptions } from "./stream.js";

/** Who hears how far a recovery is. */
export interface RecoveryHost {
  /** The recovery can be waited for, ended and abandoned; nothing of it has happened yet. */
  begun(): void;
  /** All partners have been told of the failure; nothing is taken by force before a grace period, or a wait for borrowers, is over. */
  told(isGrace: boolean): void;
  /** The grace period is over, or nobody borrows from the partition any more: what is left goes by force. */
  graceOver(): void;
  /** The partition has stopped. */
  stopped(): void;
}

/** One failure of one incarnation, from the notice to the stop; its timer has no power over a later one (FA3). */
export class Recovery {
  readonly #kernel: Kernel;
  readonly #lpid: number;
  readonly #host: RecoveryHost;
  readonly #waiters: Set<{ resolve(): void; reject(reason: unknown): void }> = new Set();
  #timer: { cancel(): void } | undefined;
  #graceOver = false;
  #graceEndsAt: number | undefined;
  /** Whether the server's part waits until nobody has anything of the partition (FA7). */
  #isDeferred = false;
  /** Whether the partition was signalled since the last slice began. */
  #isSignalled = false;
  #isRunning = false;
  /** Whether the last slice could not go on: for a lock, or for a use that must end first. */
  #mustWait = false;
  /** Whether views of an exited thread may be on record. */
  #hasViews = false;
  #ended = false;
  #abandoned = false;
  /** Later, not at once: this comes in the middle of somebody's call. */
  readonly #returned = (): void => {
    this.#isSignalled = true;
    if (!this.#isRunning) void this.#goOn();
  };

  constructor(kernel: Kernel, lpid: number, host: RecoveryHost) {
    this.#kernel = kernel;
    this.#lpid = lpid;
    this.#host = host;
  }

  /** What it waits for, and until when. */
  get progress(): RecoverySnapshot {
    const isGrace = !this.#graceOver && this.#graceEndsAt !== undefined;
    const phase = isGrace ? "grace" : this.#isDeferred && !this.#graceOver ? "deferred" : "working";
    return { phase, graceEndsAt: isGrace ? (this.#graceEndsAt ?? null) : null };
  }

  /**
   * Begins: the client's part at once, the server's part after `grace` milliseconds, at once if that is 0; "defer": when
   * nobody has anything of the partition any more.
   * @param isTold whether all partners have been told; else that goes on first, and both parts come after it (FA2).
   * @param exited settles when the thread of the partition has exited, if it has one: nothing is taken away before.
   */
  start(grace: number | "defer", isTold: boolean, exited?: Promise<unknown>): void {
    // Until whoever is told of it is done: that may call reclaim(), or close().
    this.#isRunning = true;
    this.#hasViews = exited !== undefined;
    if (grace === "defer") {
      this.#isDeferred = true;
      // Before the first look: what ends between that and the wait is signalled, too.
      this.#kernel.listen(this.#lpid, this.#returned, false);
    } else this.#graceOver = grace === 0;
    if (isTold) this.#told(grace);
    this.#host.begun();
    const run = (): void => {
      this.#isRunning = false;
      if (!this.#ended) this.#run();
    };
    const before = isTold ? exited : this.#tell(grace).then(() => exited);
    if (before === undefined) run();
    else void before.then(run);
  }

  /** Tells the partners who have not heard yet, a slice each turn. */
  async #tell(grace: number | "defer"): Promise<void> {
    let status = H_PARTIAL;
    while (status === H_PARTIAL || status === H_LONG_BUSY_10_MSEC) {
      await nextTurn(status === H_PARTIAL ? 0 : 1);
      if (this.#ended) return;
      status = this.#kernel.core.failPartition(this.#lpid, 0);
      this.#kernel.notice();
    }
    // H_RESOURCE: others had something to tell, and this first.
    this.#told(grace);
  }

  /** The grace period is from the notice on. Whoever was told may have ended it before it began. */
  #told(grace: number | "defer"): void {
    this.#host.told(!this.#graceOver);
    if (this.#graceOver || grace === "defer") return;
    this.#graceEndsAt = this.#kernel.clock.now() + grace;
    this.#timer = this.#kernel.clock.setTimeout(() => this.endGrace(), grace);
  }

  /** The grace period is over, or nobody waits for its end any more; nor for those who borrow. */
  endGrace(): void {
    this.#stopWaiting();
    if (this.#ended) return;
    const wasOver = this.#graceOver;
    this.#graceOver = true;
    if (!wasOver) this.#host.graceOver();
    this.#run();
  }

  /** The table closes: nothing goes on. */
  abandon(): void {
    this.#stopWaiting();
    this.#ended = true;
    this.#abandoned = true;
    for (const waiter of this.#waiters) waiter.reject(closedError());
    this.#waiters.clear();
  }

  #stopWaiting(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#isDeferred) this.#kernel.unlisten(this.#lpid, this.#returned);
  }

  /** Resolves when the partition has stopped. */
  wait(options: WaitOptions): Promise<void> {
    if (this.#abandoned) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      const stopListening = onAbort(options.signal, (reason) => {
        this.#waiters.delete(waiter);
        reject(reason);
      });
      if (options.signal?.aborted === true) return;
      waiter.resolve = () => {
        stopListening();
        resolve();
      };
      waiter.reject = (reason) => {
        stopListening();
        reject(reason);
      };
      this.#waiters.add(waiter);
    });
  }

  /** One slice. Answers whether there is more to do now. */
  #slice(): boolean {
    const { core, memory } = this.#kernel;
    const budget = memory.header(HEADER_BUDGET);
    const before = this.#isDeferred ? core.recoverDeferred : core.recoverClient;
    const work = this.#hasViews ? core.endViews : this.#graceOver ? core.recoverServer : before;
    this.#isSignalled = false;
    const status = work(this.#lpid, budget);
    this.#mustWait = status === H_LONG_BUSY_10_MSEC || memory.header(memory.thread + THREAD_WAITS_FOR) !== 0;
    if (status === H_LONG_BUSY_10_MSEC) return true;
    // What was done before an exception is done.
    if (status === H_RESOURCE) this.#graceOver = true;
    else this.#kernel.settle("recovery", status);
    if (status === H_PARTIAL) return true;
    if (this.#hasViews) {
      this.#hasViews = false;
      return true;
    }
    if (this.#graceOver) this.#stop();
    if (this.#graceOver || !this.#isDeferred) return false;
    if (status === H_BUSY) return this.#isSignalled;
    this.#stopWaiting();
    this.#graceOver = true;
    this.#host.graceOver();
    return this.#slice();
  }

  #stop(): void {
    this.#ended = true;
    this.#host.stopped();
    for (const waiter of this.#waiters) waiter.resolve();
    this.#waiters.clear();
  }

  /** The first slice runs at once, so that small recoveries are over when fail() returns; then one each turn. */
  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    let isMore = false;
    try {
      isMore = this.#slice();
    } finally {
      // Whoever called may have had no stack left, and can call again.
      this.#isRunning = isMore;
    }
    if (isMore) void this.#goOn();
  }

  async #goOn(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let turn = 1; ; turn++) {
        await nextTurn(this.#mustWait ? 1 : 0);
        // A use that does not end may have been left open by a thread that lives on.
        if (this.#mustWait && turn % POKE_SLICES === 0) this.#kernel.memory.pokeAll();
        if (this.#ended || !this.#slice()) break;
      }
    } finally {
      this.#isRunning = false;
    }
  }
}

function closedError(): LparError {
  return new LparError("LPAR_CLOSED", "the resource table was closed during the recovery");
}
