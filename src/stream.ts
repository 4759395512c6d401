/**
 * A queue of values that is read by `for await`: what events() and the table's events are made of.
 */

/** Options of every wait. */
export interface WaitOptions {
  /** Ends the wait with the signal's reason. */
  readonly signal?: AbortSignal;
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

interface Waiter<T> {
  resolve(result: IteratorResult<T>): void;
  reject(reason: unknown): void;
}

/**
 * Values pushed by one side and awaited by the other, oldest first. `pull` may supply values that nobody pushed, so that
 * nothing is buffered which its source can keep.
 */
export class Stream<T> implements AsyncIterableIterator<T> {
  readonly #values: T[] = [];
  readonly #waiters: Waiter<T>[] = [];
  readonly #pull: () => T | undefined;
  readonly #closed: () => void;
  readonly #stopListening: () => void;
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;

  /** @param closed is called once, when the stream ends for whatever reason. */
  constructor(options: WaitOptions, closed: () => void, pull: () => T | undefined = () => undefined) {
    this.#pull = pull;
    this.#closed = closed;
    this.#stopListening = onAbort(options.signal, (reason) => {
      this.#failure = { reason };
      this.end();
    });
  }

  /** Hands a value to the oldest waiter, or keeps it. */
  push(value: T): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#values.push(value);
    else waiter.resolve({ done: false, value });
  }

  /** Pulls for those who wait. */
  poll(): void {
    while (this.#waiters.length > 0 && !this.#ended) {
      const value = this.#pull();
      if (value === undefined) return;
      this.push(value);
    }
  }

  /** No more values: what is kept can still be read, then the iteration ends. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopListening?.();
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter);
    this.#closed();
  }

  #settle(waiter: Waiter<T>): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === undefined) waiter.resolve({ done: true, value: undefined });
    else waiter.reject(failure.reason);
  }

  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      if (this.#failure === undefined && this.#values.length > 0) {
        resolve({ done: false, value: this.#values.shift() as T });
      } else if (this.#ended) this.#settle({ resolve, reject });
      else {
        this.#waiters.push({ resolve, reject });
        this.poll();
      }
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.#values.length = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
