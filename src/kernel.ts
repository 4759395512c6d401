/**
 * What everything of one table shares in this thread: its memory, its clock, who waits for events, and the views that a
 * page move must follow.
 */
import type { Core, TableMemory } from "./binding.js";
import type { Clock } from "./clock.js";
import { HcallError, LparError } from "./errors.js";
import { HEADER_MOVES, HEADER_SIGNAL } from "./layout.js";

/** A zero-copy view as the kernel sees it. */
export interface Movable {
  /** Some page has moved: follow it if this access still stands. */
  follow(): void;
}

export class Kernel {
  readonly memory: TableMemory;
  readonly core: Core;
  readonly clock: Clock;
  /** Called when an event or a queue entry may have come. */
  readonly listeners: Set<() => void> = new Set();
  readonly views: Set<Movable> = new Set();
  #moves = 0;
  #closed = false;

  constructor(memory: TableMemory, clock: Clock) {
    this.memory = memory;
    this.core = memory.core;
    this.clock = clock;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
  }

  /** @throws LparError LPAR_CLOSED after close(). */
  checkOpen(): void {
    if (this.#closed) throw new LparError("LPAR_CLOSED", "the resource table is closed");
  }

  /** Passes on what a call caused. @throws HcallError for a negative status. */
  settle(hcall: string, status: number, detail?: string): number {
    if (status < 0) throw new HcallError(hcall, status, detail);
    if (this.memory.words[HEADER_SIGNAL / 4] !== 0) this.wake();
    return status;
  }

  /** Wakes who waits, and lets the views follow pages that moved. */
  wake(): void {
    const moves = this.memory.header(HEADER_MOVES);
    if (moves !== this.#moves) {
      this.#moves = moves;
      for (const view of this.views) view.follow();
    }
    if (this.listeners.size === 0) return;
    this.memory.words[HEADER_SIGNAL / 4] = 0;
    for (const listener of this.listeners) listener();
  }
}
