/**
 * A queue of values that is read by `for await`: what events() and the table's events are made of.
 */

import { checkNames } from "./errors.js";

/** Options of every wait. */
export interface WaitOptions {
  /** Ends the wait with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws RangeError for an option that no wait has. */
export function checkWait(options: WaitOptions): void {
  checkNames(options, "signal");
}

/** Rejects when the signal aborts; `cleanUp` removes the listener. */
export function onAbort(signal: AbortSignal | undefined, aborted: (reason: unknown) => void): () => void {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    aborted(signal.reason);
    return () => {};
  }
  const listener = (): void => aborted(signal.reason);
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

/** As a promise does, unless the signal aborts before. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const stopListening = onAbort(signal, reject);
    promise.then(resolve, reject).finally(stopListening);
  });
}

interface Waiter<T> {
  resolve(result: IteratorResult<T>): void;
  reject(reason: unknown): void;
}

/** Values that a stream keeps for a reader who is not there. */
export const STREAM_KEPT = 16384;

/** Where the values of a stream come from. */
export interface Source<T> {
  /** Called once, when the stream ends for whatever reason; by its constructor, if the signal is aborted already. */
  closed(stream: Stream<T>): void;
  /** May supply values that nobody pushed, so that nothing is buffered which the source can keep. */
  pull?(stream: Stream<T>): T | undefined;
  /** What tells the reader that so many were not kept. */
  lost?(count: number): T;
  /** Gets what a reader who leaves has not read, before the stream ends. */
  unread?(values: T[]): void;
}

/** Values pushed by one side and awaited by the other, oldest first. */
export class Stream<T> implements AsyncIterableIterator<T> {
  readonly #values: T[] = [];
  readonly #waiters: Waiter<T>[] = [];
  readonly #source: Source<T>;
  readonly #stopListening: () => void;
  /** How many were not kept and the reader has not been told of. */
  #lost = 0;
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;

  constructor(options: WaitOptions, source: Source<T>) {
    checkWait(options);
    this.#source = source;
    this.#stopListening = onAbort(options.signal, (reason) => {
      this.#leave();
      this.#failure = { reason };
      this.end();
    });
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /**
   * Hands a value to the oldest waiter, or keeps it.
   * @param count for how many lost ones it stands, if it is not kept.
   * @param most it is not, if so many are.
   */
  push(value: T, count: number = 1, most: number = STREAM_KEPT): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter.resolve({ done: false, value });
    else if (this.#values.length < most) this.#values.push(value);
    else this.#lost += count;
  }

  /** The oldest that is kept; behind all of them, as in the ring, how many were not. */
  #shift(): T | undefined {
    if (this.#values.length > 0 || this.#lost === 0) return this.#values.shift();
    const count = this.#lost;
    this.#lost = 0;
    return this.#source.lost?.(count);
  }

  /** Nobody reads here what is kept. */
  #leave(): void {
    const values: T[] = [];
    for (let value = this.#shift(); value !== undefined; value = this.#shift()) values.push(value);
    if (!this.#ended) this.#source.unread?.(values);
  }

  /** Pulls for those who wait. */
  poll(): void {
    while (this.#waiters.length > 0 && !this.#ended) {
      const value = this.#source.pull?.(this);
      if (value === undefined) return;
      this.push(value);
    }
  }

  /** No more values: what is kept can still be read, then the iteration ends. After an abort the reason is told once instead. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopListening?.();
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter);
    this.#source.closed(this);
  }

  #settle(waiter: Waiter<T>): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) waiter.resolve({ done: true, value: undefined });
    else waiter.reject(failure.reason);
  }

  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      const value = this.#shift();
      if (value !== undefined) resolve({ done: false, value });
      else if (this.#ended) this.#settle({ resolve, reject });
      else {
        this.#waiters.push({ resolve, reject });
        try {
          this.poll();
        } catch (error) {
          // The last one is told of this, and nothing that comes later.
          this.#waiters.pop();
          throw error;
        }
      }
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.#leave();
    this.#failure = undefined;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
