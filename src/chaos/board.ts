/**
 * What the driver and one worker tell each other in shared memory, since what a dying thread posts may never arrive.
 *
 *     0     4       8       12     16       20           256
 *     order state   length  turns  overdue  operations   what is wrong, as text of that length
 */

/** Ways to die that the worker carries out itself. */
export const ORDER_NONE = 0;
export const ORDER_THROW = 1;
export const ORDER_EXIT = 2;
export const ORDER_HEAP = 3;
export const ORDER_WAIT = 4;
export const ORDER_OVERFLOW = 5;
export const ORDER_TIMEOUT = 6;

/** What a thread throws that was told to: it tells it from a real error. */
export const ORDERED = "chaos: as ordered";

export const STATE_STARTING = 0;
export const STATE_WORKING = 1;
/** It sleeps, as ordered, until it is terminated. */
export const STATE_WAITING = 2;

const ORDER = 0;
const STATE = 1;
const LENGTH = 2;
const TURNS = 3;
const OVERDUE = 4;
const COUNTS = 5;
const TEXT_AT = 256;
const TEXT_BYTES = 2048;

/** Kinds of operations that are counted; their places on the board. */
export const OPERATIONS = [
  "allocate",
  "free",
  "grant",
  "accept",
  "return",
  "rescind",
  "rescindForced",
  "regrant",
  "grantCopy",
  "writeCopy",
  "lend",
  "lender",
  "borrower",
  "donate",
  "estate",
  "map",
  "device",
  "raise",
  "ring",
  "line",
  "serve",
  "mmio",
  "write",
  "check",
  "view",
  "words",
  "copy",
  "migrate",
  "batch",
  "send",
  "receive",
  "event",
  "hostile",
  "refused",
] as const;

export type Operation = (typeof OPERATIONS)[number];

export class Board {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #text: Uint8Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(TEXT_AT + TEXT_BYTES)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, TEXT_AT / 4);
    this.#text = new Uint8Array(buffer, TEXT_AT);
  }

  /** For the next incarnation; the counts go on. */
  reset(): void {
    Atomics.store(this.#words, STATE, STATE_STARTING);
    Atomics.store(this.#words, OVERDUE, 0);
    Atomics.store(this.#words, ORDER, ORDER_NONE);
  }

  get order(): number {
    return Atomics.load(this.#words, ORDER);
  }

  set order(order: number) {
    Atomics.store(this.#words, ORDER, order);
  }

  get state(): number {
    return Atomics.load(this.#words, STATE);
  }

  set state(state: number) {
    Atomics.store(this.#words, STATE, state);
  }

  /** Rounds of the worker's loop. */
  get turns(): number {
    return Atomics.load(this.#words, TURNS) >>> 0;
  }

  /** Counts one round of the worker's loop. */
  turn(): void {
    Atomics.add(this.#words, TURNS, 1);
  }

  /** Whether the thread waits for something so long that it must live until the wait has ended, or is found to hang. */
  get isOverdue(): boolean {
    return Atomics.load(this.#words, OVERDUE) !== 0;
  }

  set isOverdue(isOverdue: boolean) {
    Atomics.store(this.#words, OVERDUE, isOverdue ? 1 : 0);
  }

  /** Counts one operation. */
  count(operation: Operation): void {
    Atomics.add(this.#words, COUNTS + OPERATIONS.indexOf(operation), 1);
  }

  counted(operation: Operation): number {
    return Atomics.load(this.#words, COUNTS + OPERATIONS.indexOf(operation)) >>> 0;
  }

  /** Says what is wrong; only the first one stays. */
  accuse(what: string): void {
    if (Atomics.load(this.#words, LENGTH) !== 0) return;
    const text = new TextEncoder().encode(what).subarray(0, TEXT_BYTES);
    this.#text.set(text);
    Atomics.store(this.#words, LENGTH, text.length);
  }

  get accusation(): string | undefined {
    const length = Atomics.load(this.#words, LENGTH);
    return length === 0 ? undefined : new TextDecoder().decode(this.#text.slice(0, length));
  }

  /** Sleeps for ever: only death ends it. */
  freeze(): void {
    Atomics.wait(this.#words, LENGTH, Atomics.load(this.#words, LENGTH));
  }
}
