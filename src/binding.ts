/**
 * The only file that knows the core's WebAssembly (guest-module.ts knows that of guests): compiles the core, lays a memory out,
 * and opens one thread's access to it.
 */
import { instantiateSync } from "@assemblyscript/loader";
import type { instantiate } from "./generated/abi.js";
import { coreBytes } from "./inlined.js";
import {
  H_SUCCESS,
  HEADER_PARTITIONS_AT,
  HEADER_THREADS_AT,
  HEADER_THREADS_MAX,
  HEADER_THREADS_USED,
  LOCK_SLOT_MASK,
  THREAD_BYTES,
  THREAD_ENTRY,
  THREAD_EPOCH,
  THREAD_LOCK_A,
  THREAD_MODEL_EPOCH,
  THREAD_POKE,
  THREAD_REAPING,
  THREAD_RESULT,
} from "./layout.js";
import { leastMoved } from "./platform.js";
import { type Capacities, layOut } from "./regions.js";
import { mostByTray } from "./tray.js";
import { Views } from "./views.js";

/** The core's functions as asc types them, so that a change of the ABI is a compile error. */
export type Core = Omit<Awaited<ReturnType<typeof instantiate>>, "memory">;

const WASM_PAGE_BYTES = 65536;
/** A 32-bit memory ends here; the last page stays out, so that no offset ever reaches 2^32. */
const MEMORY_LIMIT = 65535 * WASM_PAGE_BYTES;

/** For a memory that is not shared, and for one that is. */
const compiled: (WebAssembly.Module | undefined)[] = [];

/** The core, compiled on first use. */
function coreModule(isShared: boolean): WebAssembly.Module {
  const kind = Number(isShared);
  compiled[kind] ??= new WebAssembly.Module(coreBytes(isShared));
  return compiled[kind];
}

/**
 * Milliseconds that a thread waits for a lock. The owner: as long as a busy machine may keep a holder from running, and no
 * longer, since its event loop must hear of a holder's exit.
 */
const OWNER_PATIENCE_MS = 20;
const WORKER_PATIENCE_MS = 5000;
const WAIT_MS = 2;
/** So many waits before the holder is asked whether it has forgotten the lock. */
const POKE_AT = 3;

/** A use that outlasts so many slices of who waits for it may have been left open by a thread that lives on: pokeAll(). */
export const POKE_SLICES = 16;

function waitForLock(integers: Int32Array, index: number, word: number, ms: number): void {
  try {
    Atomics.wait(integers, index, word | 0, ms);
  } catch {
    // The main thread of a browser may not wait; it tries again at once.
  }
}

/** One thread's access to a table: the core's functions and views of the same memory. */
export class TableMemory {
  readonly core: Core;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly floats: Float64Array;
  readonly longs: BigInt64Array;
  /** For words that are not aligned. */
  readonly view: DataView;
  /** Of `bytes`. */
  readonly views: Views;
  /** The same as `words`, as Atomics.wait wants it. */
  readonly integers: Int32Array;
  /** What another thread needs to join: both can be posted to a worker. */
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  /** Whether other threads can join, so that the memory is shared. */
  readonly isShared: boolean;
  /** From so many bytes on the platform moves them into and out of it better than the engine (copy.ts). */
  readonly leastMoved: number;
  /** Up to so many bytes go into it by a tray (tray.ts). */
  readonly mostByTray: number;
  /** Byte offset of the records of partitions. */
  readonly partitionsAt: number;
  /** Byte offset of the record of this thread. */
  readonly thread: number;
  /** Byte offset of the queue entry or event that the last call took. */
  readonly entry: number;
  /** The one number that is the second result. */
  readonly #result: Float64Array;

  /** @param slot of the thread that runs this: 0 for the owner of the table. */
  constructor(memory: WebAssembly.Memory, module: WebAssembly.Module, slot: number) {
    this.memory = memory;
    this.module = module;
    this.bytes = new Uint8Array(memory.buffer);
    this.views = new Views(this.bytes);
    this.words = new Uint32Array(memory.buffer);
    this.integers = new Int32Array(memory.buffer);
    this.floats = new Float64Array(memory.buffer);
    this.longs = new BigInt64Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.partitionsAt = this.header(HEADER_PARTITIONS_AT);
    this.isShared = this.header(HEADER_THREADS_MAX) > 1;
    this.leastMoved = leastMoved(this.isShared);
    this.mostByTray = mostByTray(this.isShared);
    this.thread = this.header(HEADER_THREADS_AT) + slot * THREAD_BYTES;
    this.entry = this.thread + THREAD_ENTRY;
    const result = (this.thread + THREAD_RESULT) / 8;
    this.#result = this.floats.subarray(result, result + 1);
    const patience = slot === 0 ? OWNER_PATIENCE_MS : WORKER_PATIENCE_MS;
    const began = [0, 0];
    const pause = (address: number, word: number, attempt: number): number => {
      // Who waits for a use, at its thread's name, takes locks between its looks, and may have to wait for each of them.
      const kind = Number(address >= this.header(HEADER_THREADS_AT) && address < this.partitionsAt);
      // By time, not by number: under contention a wait is over in microseconds, and somebody else has the lock again.
      if (attempt === 0) began[kind] = performance.now();
      const isOver = performance.now() - (began[kind] as number) > patience;
      if (isOver || attempt === POKE_AT) this.#poke((word & LOCK_SLOT_MASK) - 1);
      if (isOver) return 0;
      waitForLock(this.integers, address >>> 2, word, WAIT_MS);
      return 1;
    };
    // The loader's own wrappers allocate an array per call; the functions themselves do not.
    const env = { memory, thread: this.thread, pause };
    const { instance } = instantiateSync(module, { env });
    this.core = instance.exports as unknown as Core;
  }

  /**
   * Asks the thread that holds the lock to look. One that stopped inside a call (a stack overflow, a time limit) and lives
   * on mends at its next call, but it may have none to make: it sleeps in its event loop, and all others wait.
   */
  #poke(slot: number): void {
    const index = (this.header(HEADER_THREADS_AT) + slot * THREAD_BYTES + THREAD_POKE) / 4;
    Atomics.add(this.integers, index, 1);
    Atomics.notify(this.integers, index);
  }

  /** Whether a thread is in the middle of a call that has locks, or waits for them. */
  isInCall(slot: number): boolean {
    return this.header(this.header(HEADER_THREADS_AT) + slot * THREAD_BYTES + THREAD_LOCK_A) !== 0;
  }

  /** Asks all threads to look, for who waits for the end of a use: it may have been left open in the same way. */
  pokeAll(): void {
    for (let slot = 0; slot < this.header(HEADER_THREADS_USED); slot++) this.#poke(slot);
  }

  /**
   * Waits until another thread asks this one whether it left a lock or a use behind, and ends them if it did.
   * @returns when asked, undefined if that was just now.
   */
  poked(): Promise<unknown> | undefined {
    const index = (this.thread + THREAD_POKE) / 4;
    const count = Atomics.load(this.integers, index);
    const isInCall =
      (this.header(this.thread + THREAD_LOCK_A) | this.header(this.thread + THREAD_REAPING)) !== 0;
    // This runs between two calls, so that one which is not over was left half done, and so was a use.
    if (isInCall) this.core.mendCall();
    if (this.header(this.thread + THREAD_EPOCH) !== 0) this.core.endUse();
    if (this.header(this.thread + THREAD_MODEL_EPOCH) !== 0) this.core.endDevice(0);
    const sleep = Atomics.waitAsync(this.integers, index, count);
    return sleep.async ? sleep.value : undefined;
  }

  /** Ends the wait of poked(). */
  unpoke(): void {
    Atomics.notify(this.integers, (this.thread + THREAD_POKE) / 4);
  }

  /** The second result of this thread's last call (register R4). */
  get result(): number {
    return this.#result[0] as number;
  }

  set result(value: number) {
    this.#result[0] = value;
  }

  /** The word at a byte offset. By shifts: the compiler cannot know that a division has no remainder. */
  header(offset: number): number {
    return this.words[offset >>> 2] as number;
  }
}

/**
 * A new memory laid out for these capacities, with an empty table in it; shared if there is room for more threads than one.
 * @param module the core, if it was compiled earlier.
 * @throws RangeError if it does not fit 4 GiB, or the machine has not that much.
 */
export function createMemory(capacities: Capacities, module?: WebAssembly.Module): TableMemory {
  const { words, bytes } = layOut(capacities);
  if (bytes > MEMORY_LIMIT) {
    throw new RangeError(`the table would take ${bytes} bytes, at most ${MEMORY_LIMIT} are addressable`);
  }
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  const shared = capacities.threads > 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  const header = new Uint32Array(memory.buffer);
  for (const [offset, value] of words) header[offset / 4] = value;
  const table = new TableMemory(memory, module ?? coreModule(shared), 0);
  // Of a module that is another's there is no such function.
  if (table.core.openTable?.() !== H_SUCCESS) {
    throw new Error("module and package are of different versions");
  }
  return table;
}
