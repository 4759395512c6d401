/**
 * Drives the recovery of one failed partition: slices of the core's work, the grace period between them, and who waits
 * for the end.
 */
import { nextTurn } from "./clock.js";
import { LparError } from "./errors.js";
import type { Kernel } from "./kernel.js";
import { H_LONG_BUSY_10_MSEC, H_PARTIAL, HEADER_BUDGET, THREAD_WAITS_FOR } from "./layout.js";
import { onAbort, type WaitOptions } from "./stream.js";

const POKE_TURNS = 16;

/** One failure of one incarnation, from the notice to the stop. */
export class Recovery {
  readonly #kernel: Kernel;
  readonly #lpid: number;
  readonly #done: () => void;
  readonly #waiters: Set<{ resolve(): void; reject(reason: unknown): void }> = new Set();
  #timer: { cancel(): void } | undefined;
  #graceOver = false;
  #isRunning = false;
  /** Whether the last slice could not go on: for a lock, or for a use that must end first. */
  #mustWait = false;
  /** Whether views of an exited thread may be on record. */
  #hasViews = false;
  #ended = false;
  #abandoned = false;

  /** @param done is called once the partition has stopped. */
  constructor(kernel: Kernel, lpid: number, done: () => void) {
    this.#kernel = kernel;
    this.#lpid = lpid;
    this.#done = done;
  }

  /**
   * Begins: the client's part at once, the server's part after `graceMs`, or at once if that is 0.
   * @param exited settles when the thread of the partition has exited, if it has one: nothing is taken away before.
   */
  start(graceMs: number, exited?: Promise<unknown>): void {
    if (graceMs > 0) this.#timer = this.#kernel.clock.setTimeout(() => this.endGrace(), graceMs);
    else this.#graceOver = true;
    if (exited === undefined) {
      this.#run();
      return;
    }
    this.#isRunning = true;
    this.#hasViews = true;
    void exited.then(() => {
      this.#isRunning = false;
      if (!this.#ended) this.#run();
    });
  }

  /** The grace period is over, or nobody waits for its end any more. */
  endGrace(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#graceOver || this.#ended) return;
    this.#graceOver = true;
    this.#run();
  }

  /** The table closes: nothing goes on. */
  abandon(): void {
    this.#timer?.cancel();
    this.#ended = true;
    this.#abandoned = true;
    for (const waiter of this.#waiters) waiter.reject(closedError());
    this.#waiters.clear();
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
    const work = this.#hasViews ? core.endViews : this.#graceOver ? core.recoverServer : core.recoverClient;
    const status = work(this.#lpid, budget);
    this.#mustWait = status === H_LONG_BUSY_10_MSEC || memory.header(memory.thread + THREAD_WAITS_FOR) !== 0;
    if (status === H_LONG_BUSY_10_MSEC) return true;
    this.#kernel.settle("recovery", status);
    if (status === H_PARTIAL) return true;
    if (this.#hasViews) {
      this.#hasViews = false;
      return true;
    }
    if (this.#graceOver) this.#stop();
    return false;
  }

  #stop(): void {
    this.#ended = true;
    this.#done();
    this.#kernel.wake();
    for (const waiter of this.#waiters) waiter.resolve();
    this.#waiters.clear();
  }

  /** The first slice runs at once, so that small recoveries are over when fail() returns; then one each turn. */
  #run(): void {
    if (this.#isRunning) return;
    if (this.#slice()) void this.#goOn();
  }

  async #goOn(): Promise<void> {
    this.#isRunning = true;
    for (let turn = 1; ; turn++) {
      await nextTurn(this.#mustWait ? 1 : 0);
      // A use that does not end may have been left open by a thread that lives on.
      if (this.#mustWait && turn % POKE_TURNS === 0) this.#kernel.memory.pokeAll();
      if (this.#ended || !this.#slice()) break;
    }
    this.#isRunning = false;
  }
}

function closedError(): LparError {
  return new LparError("LPAR_CLOSED", "the resource table was closed during the recovery");
}
