/**
 * Forced rescind, as partition.rescindForced() does it: if there is a deadline the client is asked first; then by force, in
 * slices between which others run.
 */
import { POKE_SLICES, type TableMemory } from "./binding.js";
import { nextTurn } from "./clock.js";
import { checkInteger, checkNames, LparError, textOf } from "./errors.js";
import type { Kernel } from "./kernel.js";
import {
  EVENT_MS_LIMIT,
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_EVENTS_MAX,
  HEADER_MOVES,
  HEADER_TORN_DOWN,
  PARTITION_EVENT_HEAD,
  PARTITION_EVENT_TAIL,
  RESCIND_FORCED,
  THREAD_BUDGET_LEFT,
  THREAD_STUCK_ON,
  THREAD_WAITS_FOR,
} from "./layout.js";
import { partitionWord } from "./records.js";
import { onAbort, type WaitOptions } from "./stream.js";

/** How to take back what was granted. */
export interface RescindOptions extends WaitOptions {
  /**
   * Milliseconds of the table's clock, 0 to 2^24 - 1, that the client has to give the mapping back by itself: it is told by
   * the event "rescind-requested". Default 0: by force at once.
   */
  readonly deadline?: number | undefined;
  /**
   * What to do when a page under a view cannot be moved, since no frame is free or the table's quarantine is full: wait until
   * something is released (default), or fail the partition that has the view, which ends its thread and so its views. Only
   * the thread that owns the table can terminate.
   */
  readonly onStuck?: "wait" | "terminate" | undefined;
}

/** What a forced rescind did. */
export interface RescindReport {
  /** Control structures torn down. */
  readonly nodes: number;
  /** Times that it answered H_PARTIAL. */
  readonly slices: number;
  /** Pages moved away from under views (RS6). */
  readonly pagesMoved: number;
  /** Partitions (0: the owner's thread) whose running reads or writes had to end first. */
  readonly waitedFor: readonly number[];
  /** Partitions whose views stood on pages that could not be moved for a while. */
  readonly stuckOn: readonly number[];
}

/** So many times it only lets the event loop turn when it has to wait: a use is over in microseconds, a timer takes longer. */
const QUICK_WAITS = 8;

/** @throws RangeError, LparError for options that are none. */
export function checkRescindOptions(kernel: Kernel, options: RescindOptions): void {
  checkNames(options, "deadline, onStuck, signal");
  const { deadline, onStuck } = options;
  if (deadline !== undefined) checkInteger("deadline", deadline, 0, EVENT_MS_LIMIT);
  if (onStuck !== undefined && onStuck !== "wait" && onStuck !== "terminate")
    throw new RangeError(`onStuck is "${textOf(onStuck)}"; it must be "wait" or "terminate"`);
  if (onStuck === "terminate" && kernel.failPartition === undefined)
    throw new LparError("LPAR_NOT_THE_OWNER", 'onStuck "terminate" needs the thread that owns the table');
}

/** How often it is looked for a return that nobody is told of. */
const LOOK_MS = 5;

/** Whether a partition is told of what is returned to it: where nobody reads its events, as many as there is room for are all. */
function hasEventRoom(memory: TableMemory, lpid: number): boolean {
  const waiting =
    partitionWord(memory, lpid, PARTITION_EVENT_TAIL) - partitionWord(memory, lpid, PARTITION_EVENT_HEAD);
  return waiting >>> 0 < memory.header(HEADER_EVENTS_MAX) / 2;
}

/** Asks the client. Answers whether it has given the mapping back in time, and the grant is gone. */
async function politely(
  kernel: Kernel,
  lpid: number,
  cookie: number,
  options: RescindOptions,
): Promise<boolean> {
  const { core, clock } = kernel;
  const ms = options.deadline ?? 0;
  const end = clock.now() + ms;
  const ask = (): number => core.requestReturn(lpid, cookie, ms);
  let status = ask();
  for (; status === H_LONG_BUSY_10_MSEC; status = ask()) await nextTurn(1);
  // A rescind above takes it along: there is nothing to ask for, but the end to wait for (RS7). Who does not run is refused below.
  if (status === H_RESCINDED) return false;
  kernel.settle("H_RESCIND_LOGICAL", status, `cookie ${cookie}`);
  const told = new Told(kernel, lpid, options);
  try {
    while (true) {
      kernel.checkOpen();
      told.forget();
      const status = core.rescindLogical32(lpid, 0, cookie);
      if (status === H_SUCCESS) kernel.notice();
      // The cookie was good when the client was asked: it has died meanwhile, or a rescind above has taken this grant along.
      if (status === H_SUCCESS || status === H_PARAMETER) return true;
      options.signal?.throwIfAborted();
      const left = end - clock.now();
      if (left <= 0 || (status !== H_RESOURCE && status !== H_LONG_BUSY_10_MSEC)) return false;
      const most = hasEventRoom(kernel.memory, lpid) ? left : LOOK_MS;
      await told.wait(status === H_RESOURCE ? Math.min(left, most) : 1);
    }
  } finally {
    told.end();
  }
}

/**
 * That a partition is told something, as that its grant was returned; or that the signal aborts. It listens before the first look: a
 * return between a look and the wait that follows is heard.
 */
class Told {
  readonly #kernel: Kernel;
  readonly #lpid: number;
  readonly #stopListening: () => void;
  #isTold = false;
  #wake: () => void = () => {};
  readonly #told = (): void => {
    this.#isTold = true;
    this.#wake();
  };

  constructor(kernel: Kernel, lpid: number, { signal }: WaitOptions) {
    this.#kernel = kernel;
    this.#lpid = lpid;
    kernel.listen(lpid, this.#told);
    this.#stopListening = onAbort(signal, this.#told);
  }

  /** About to look: what was told before shows there. */
  forget(): void {
    this.#isTold = false;
  }

  /** Until something was told since forget(), or the time is over. */
  wait(ms: number): Promise<void> {
    if (this.#isTold) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#kernel.clock.setTimeout(resolve, ms);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  end(): void {
    this.#stopListening();
    this.#kernel.unlisten(this.#lpid, this.#told);
  }
}

/** @throws HcallError H_PARAMETER (RS1), H_RESCINDED; the reason of the signal. */
export async function rescind(
  kernel: Kernel,
  lpid: number,
  cookie: number,
  options: RescindOptions,
): Promise<RescindReport> {
  const { core, memory } = kernel;
  const isAsked = (options.deadline ?? 0) > 0;
  if (isAsked && (await politely(kernel, lpid, cookie, options)))
    return { nodes: 1, slices: 0, pagesMoved: 0, waitedFor: [], stuckOn: [] };
  let nodes = 0;
  let pagesMoved = 0;
  let waits = 0;
  const waitedFor: Set<number> = new Set();
  const stuckOn: Set<number> = new Set();
  for (let slices = 0; ; ) {
    kernel.checkOpen();
    const tornDown = memory.header(HEADER_TORN_DOWN);
    const moves = memory.header(HEADER_MOVES);
    const status = core.rescindLogical32(lpid, RESCIND_FORCED, cookie);
    if (status === H_LONG_BUSY_10_MSEC) {
      await nextTurn(1);
      continue;
    }
    const moved = (memory.header(HEADER_MOVES) - moves) >>> 0;
    nodes += (memory.header(HEADER_TORN_DOWN) - tornDown) >>> 0;
    pagesMoved += moved;
    if (moved > 0) kernel.followMoves();
    // Somebody else's rescind of a larger subtree may have finished this one between two slices, or after the question (RS7).
    const isGone = status === H_PARAMETER && (slices > 0 || isAsked);
    if (!isGone) kernel.settle("H_RESCIND_LOGICAL", status, `cookie ${cookie}`);
    if (status !== H_PARTIAL) {
      // Whoever still waits for the client to give it back waits for nothing: the core tells the client only.
      kernel.rouse(lpid);
      return { nodes, slices, pagesMoved, waitedFor: [...waitedFor], stuckOn: [...stuckOn] };
    }
    slices++;
    const user = memory.header(memory.thread + THREAD_WAITS_FOR);
    if (user !== 0) {
      waitedFor.add(user - 1);
      if (slices % POKE_SLICES === 0) memory.pokeAll();
    }
    const holder = memory.header(memory.thread + THREAD_STUCK_ON);
    if (holder !== 0) {
      const isNew = !stuckOn.has(holder - 1);
      stuckOn.add(holder - 1);
      if (isNew && options.onStuck === "terminate")
        await kernel.patiently(() =>
          kernel.failPartition?.(holder - 1, "its views held up a forced rescind"),
        );
    }
    // Where no page moved, steps are left over only when there is nothing to do but wait: for a use that began before, or for a
    // free frame.
    const mustWait = moved === 0 && memory.header(memory.thread + THREAD_BUDGET_LEFT) > 0;
    await nextTurn(mustWait && ++waits > QUICK_WAITS ? 1 : 0);
  }
}
