/**
 * A small table in one memory, with an instance of an instrumented core for each of its threads, all run by the test: a
 * thread is an instance that the test calls, its death is a throw out of a store after which nobody calls it any more.
 */
import type { Core } from "../../src/binding.js";
import {
  H_LONG_BUSY_10_MSEC,
  H_SUCCESS,
  HEADER_AUDIT_AT,
  HEADER_AUDIT_PROBLEMS,
  HEADER_LOCK,
  HEADER_PARTITIONS_AT,
  HEADER_PARTITIONS_MAX,
  HEADER_THREADS_AT,
  HEADER_THREADS_MAX,
  LOCK_WAITERS,
  PARTITION_BYTES,
  PARTITION_LOCK,
  PARTITION_SIGNAL,
  PARTITION_WAITING,
  PROBLEM_BYTES,
  THREAD_BYTES,
  THREAD_ENTRY,
  THREAD_JOB,
  THREAD_LOCK_A,
  THREAD_LOG_TOP,
  THREAD_NAME,
  THREAD_REAPING,
  THREAD_RESULT,
  THREAD_STARTING,
} from "../../src/layout.js";
import { type Capacities, layOut } from "../../src/regions.js";
import type { Instrumented } from "./crash-core.js";

const WASM_PAGE_BYTES = 65536;

/** Small, so that restoring it and comparing it is quick; more than 64 MMIO pages, so that maps have two words. */
export const SMALL: Capacities = {
  frames: 28,
  partitions: 4,
  threads: 4,
  structures: 120,
  ends: 14,
  pins: 6,
  stagingPages: 4,
  spacePages: [32, 136, 8, 8, 8],
};

/** One small page of physical memory and very many logical ones: for ranges beyond what one return gives back. */
export const VAST: Capacities = { ...SMALL, frames: 4, partitions: 2, spacePages: [8, 65_664, 8, 8, 8] };

/** What the hook throws where a thread is to stop. */
const CRASH = new Error("the thread stops here");

/** A call that stores as often as this does not end: a bug that was seeded may leave it going round. */
const STORES_MAX = 2_000_000;

/** What a thread left unfinished, by the words of its record. */
const UNFINISHED: readonly number[] = [THREAD_LOG_TOP, THREAD_JOB, THREAD_STARTING, THREAD_REAPING];

export class Rig {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly floats: Float64Array;
  /** Bytes of the table in use. */
  readonly size: number;
  readonly cores: readonly Core[];
  /** Stores executed since run() or crash() began. */
  stores = 0;
  /** The site of the store before which a thread was last stopped. */
  site = 0;
  /** Sites at which a thread has been stopped. */
  readonly covered: Uint8Array;
  /** Called before each store while run() counts. */
  #watch: (() => void) | undefined;
  #left = 0;
  /** What a thread does that must wait for the lock: 0 gives up. */
  pause: (attempt: number) => number = () => 0;
  /** How often threads have waited since the memory was restored. */
  pauses = 0;
  /** Wake-ups sent since they were last forgotten: for how many sleepers at most, by the address that they sleep on. */
  woken: Map<number, number> = new Map();

  constructor(core: Instrumented, capacities: Capacities, bug = 0, covered?: Uint8Array) {
    const { words, bytes } = layOut(capacities);
    const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Uint32Array(this.memory.buffer);
    this.floats = new Float64Array(this.memory.buffer);
    this.size = bytes;
    this.covered = covered ?? new Uint8Array(core.sites.length);
    for (const [offset, value] of words) this.words[offset / 4] = value;
    this.cores = Array.from({ length: capacities.threads }, (_, slot) =>
      this.#instance(core.module, slot, bug),
    );
    if (this.core(0).openTable() !== H_SUCCESS) throw new Error("the table does not open");
  }

  #instance(module: WebAssembly.Module, slot: number, bug: number): Core {
    const env = {
      memory: this.memory,
      thread: this.threadAt(slot),
      bug,
      pause: (_lock: number, _word: number, attempt: number): number => {
        this.pauses++;
        return this.pause(attempt);
      },
      store: (site: number): void => this.#store(site),
      notify: (address: number, count: number, offset: number): number =>
        this.#notify(address + offset, count),
    };
    return new WebAssembly.Instance(module, { env }).exports as unknown as Core;
  }

  #store(site: number): void {
    if (++this.stores > STORES_MAX) throw new Error(`a call that does not end, at site ${site}`);
    if (--this.#left === 0) {
      this.covered[site] = 1;
      this.site = site;
      throw CRASH;
    }
    this.#watch?.();
  }

  #notify(address: number, count: number): number {
    this.woken.set(address, Math.max(this.woken.get(address) ?? 0, count >>> 0));
    return 0;
  }

  core(slot: number): Core {
    const core = this.cores[slot];
    if (core === undefined) throw new Error(`there is no thread ${slot}`);
    return core;
  }

  word(offset: number): number {
    return this.words[offset >>> 2] as number;
  }

  setWord(offset: number, value: number): void {
    this.words[offset >>> 2] = value;
  }

  threadAt(slot: number): number {
    return this.word(HEADER_THREADS_AT) + slot * THREAD_BYTES;
  }

  /** The second result of the last call of a thread. */
  result(slot: number): number {
    return this.floats[(this.threadAt(slot) + THREAD_RESULT) / 8] as number;
  }

  /** The queue entry or event that the last call of a thread took. */
  entry(slot: number): string {
    const at = this.threadAt(slot) + THREAD_ENTRY;
    return Buffer.from(this.bytes.slice(at, at + 16)).toString("hex");
  }

  /** Calls, and looks on before each store. */
  run<T>(call: () => T, watch?: () => void): T {
    this.stores = 0;
    this.#left = 0;
    this.#watch = watch;
    try {
      return call();
    } finally {
      this.#watch = undefined;
    }
  }

  /** Calls, and stops the thread before its store number `at`, from 1. Answers whether it got so far. */
  crash(call: () => unknown, at: number): boolean {
    this.stores = 0;
    this.#left = at;
    try {
      call();
      return false;
    } catch (error) {
      if (error !== CRASH) throw error;
      return true;
    } finally {
      this.#left = 0;
    }
  }

  /** Whether a thread has nothing begun and not finished. */
  isQuiescent(slot: number): boolean {
    const at = this.threadAt(slot);
    return UNFINISHED.every((offset) => this.word(at + offset) === 0);
  }

  partitionAt(lpid: number): number {
    return this.word(HEADER_PARTITIONS_AT) + lpid * PARTITION_BYTES;
  }

  #partitions(): number[] {
    return Array.from({ length: this.word(HEADER_PARTITIONS_MAX) }, (_, index) =>
      this.partitionAt(index + 1),
    );
  }

  /** The places of the locks: the one of who takes all, then those of the partitions. */
  get locks(): readonly number[] {
    return [HEADER_LOCK, ...this.#partitions().map((at) => at + PARTITION_LOCK)];
  }

  /** The locks that somebody holds. */
  get held(): readonly number[] {
    return this.locks.filter((at) => this.word(at) !== 0);
  }

  /** The locks that a thread holds. */
  heldBy(slot: number): readonly number[] {
    const name = this.word(this.threadAt(slot) + THREAD_NAME);
    return this.locks.filter((at) => (this.word(at) & ~LOCK_WAITERS) >>> 0 === name);
  }

  /** The locks on which somebody sleeps. */
  get awaited(): readonly number[] {
    return this.locks.filter((at) => (this.word(at) & LOCK_WAITERS) !== 0);
  }

  /** The threads that say of themselves that they are in a call. */
  get inCall(): readonly number[] {
    const slots = Array.from({ length: this.word(HEADER_THREADS_MAX) }, (_, slot) => slot);
    return slots.filter((slot) => this.word(this.threadAt(slot) + THREAD_LOCK_A) !== 0);
  }

  /** Whether a thread is in the middle of mending what a dead one has left. */
  isReaping(slot: number): boolean {
    return this.word(this.threadAt(slot) + THREAD_REAPING) !== 0;
  }

  /** Somebody sleeps until something comes for each partition, and no wake-up was sent yet. */
  beginSleep(): void {
    for (const at of this.#partitions()) this.setWord(at + PARTITION_WAITING, 1);
    this.woken.clear();
  }

  /** Whether all sleepers are on record still, or were woken. */
  get sleepersAreSafe(): boolean {
    return this.#partitions().every(
      (at) => this.word(at + PARTITION_WAITING) !== 0 || this.woken.has(at + PARTITION_SIGNAL),
    );
  }

  /** What audit() finds, seen by the owner: "" if all is well. */
  audit(): string {
    // Where another thread is in a call, the lock is there the second time.
    const first = this.core(0).audit();
    const status = first === H_LONG_BUSY_10_MSEC ? this.core(0).audit() : first;
    const count = this.word(HEADER_AUDIT_PROBLEMS);
    if (status === H_SUCCESS && count === 0) return "";
    const at = this.word(HEADER_AUDIT_AT);
    const problems = Array.from({ length: Math.min(count, 4) }, (_, index) =>
      [0, 4, 8].map((offset) => this.word(at + index * PROBLEM_BYTES + offset)).join("/"),
    );
    return `audit() answers ${status}, ${count} problems (code/a/b): ${problems.join(", ")}`;
  }

  save(): Uint8Array {
    return this.bytes.slice(0, this.size);
  }

  restore(saved: Uint8Array): void {
    this.bytes.set(saved);
    this.pauses = 0;
  }
}
