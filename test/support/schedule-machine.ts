/**
 * A small table and the logical threads on it: an instance of the instrumented core for each, all in this one thread of
 * JavaScript. A logical thread runs until it reaches a point at which the schedule says that another one is to go on; it
 * then leaves its call by way of asyncify and comes back to it later.
 */
import type { Core } from "../../src/binding.js";
import {
  END_BYTES,
  END_OWNER,
  END_PARTNER,
  END_STATE,
  END_UNIT,
  EVENT_BYTES,
  H_SUCCESS,
  HEADER_ARENA_BYTES,
  HEADER_ARENAS_AT,
  HEADER_AUDIT_AT,
  HEADER_AUDIT_PROBLEMS,
  HEADER_ENDS_AT,
  HEADER_ENDS_MAX,
  HEADER_EPOCH,
  HEADER_EVENTS_AT,
  HEADER_EVENTS_MAX,
  HEADER_FRAME_MAP_AT,
  HEADER_FRAMES_AT,
  HEADER_LINES_AT,
  HEADER_LINES_BYTES,
  HEADER_LOCK,
  HEADER_PARTITIONS_AT,
  HEADER_PARTITIONS_MAX,
  HEADER_PINS_AT,
  HEADER_SPACE_PAGES,
  HEADER_STAGING_AT,
  HEADER_STRUCTURES_MAX,
  HEADER_TABLE_BYTES,
  HEADER_TABLES_AT,
  HEADER_THREADS_AT,
  PAGE_BYTES,
  PARTITION_BYTES,
  PARTITION_DRAIN,
  PARTITION_LOCK,
  PARTITION_SPACES,
  PARTITION_STATE,
  PIN_BYTES,
  PROBLEM_BYTES,
  SPACE_BACKS,
  SPACE_BYTES,
  SPACE_IPI,
  STRUCTURE_BYTES,
  STRUCTURE_CURSOR,
  STRUCTURE_GENERATION,
  STRUCTURE_HOLDER,
  STRUCTURE_PARENT,
  STRUCTURE_STATE,
  STRUCTURES_AT,
  THREAD_BYTES,
  THREAD_EPOCH,
  THREAD_JOB,
  THREAD_LOCK_A,
  THREAD_LOCK_B,
  THREAD_LOG,
  THREAD_LOG_TOP,
  THREAD_MODEL_EPOCH,
  THREAD_MODEL_ROOT,
  THREAD_NAME,
  THREAD_REAPING,
  THREAD_RESULT,
  THREAD_STARTING,
} from "../../src/layout.js";
import { type Capacities, layOut } from "../../src/regions.js";
import { ATOMIC, type CALLS, READ, WRITE } from "./schedule-build.js";
import {
  DEATH,
  EXTRA_AT,
  GUESS,
  MONITORED_PAGES,
  type Monitor,
  openMonitor,
  POINT,
  STACK_BYTES,
  STATE,
  SWITCH,
  stackOf,
  THREADS,
} from "./schedule-monitor.js";

/** As small as it can be: restoring it and walking it is what a schedule costs. */
const TINY: Capacities = {
  frames: 6,
  partitions: 3,
  threads: THREADS,
  structures: 40,
  ends: 6,
  pins: 1,
  stagingPages: 1,
  spacePages: [6, 1, 1, 1, 1],
};

/** What asyncify adds to the exports. */
interface Suspendable {
  asyncify_start_unwind(data: number): void;
  asyncify_stop_unwind(): void;
  asyncify_start_rewind(data: number): void;
  asyncify_stop_rewind(): void;
}

export type Call = (typeof CALLS)[number] & keyof Core;

/** One thing that a logical thread does. */
export type Step =
  | { readonly kind: "call"; readonly name: Call; readonly args: readonly number[] }
  /** An access to a byte of a frame by JavaScript, between beginUse() and endUse(). */
  | { readonly kind: "access"; readonly address: number; readonly writes: boolean }
  /** An atomic load, or store, of a word by JavaScript. */
  | { readonly kind: "load"; readonly address: number }
  | { readonly kind: "store"; readonly address: number; readonly value: number }
  /** Atomics.wait() or waitAsync(), without a limit of time. */
  | { readonly kind: "sleep"; readonly address: number; readonly word: number }
  /** Looks at what others have noted: something of its own, so that in the orders one by one others may come before it. */
  | { readonly kind: "look"; readonly slot: number }
  /** Nothing to do until some other thread has got on. */
  | { readonly kind: "wait" };

export type Program = (thread: LogicalThread) => Generator<Step, void, number>;

const STATES = ["unborn", "ready", "asleep", "waiting", "done", "dead"] as const;
export type State = (typeof STATES)[number];

/** Whether to go on (undefined), to stop here for another thread, or to stop for ever. */
export type Verdict = undefined | "stop" | "die";

export class LogicalThread {
  readonly slot: number;
  readonly machine: Machine;
  state: State = "unborn";
  /** What its program has noted. */
  results: number[] = [];
  /** The word on which it sleeps. */
  sleepsOn = 0;
  /** How far the others had got when it began its last call. */
  seen = 0;
  /** Steps of its program that it has done. */
  #steps = 0;
  /** A number for all that its program was answered: what the program may have kept. */
  #history = 0;
  #program: Generator<Step, void, number> | undefined;
  #step: Step | undefined;
  #isInside = false;
  #isLeaving = false;
  #isComingBack = false;
  #pausing: 0 | 1 | 2 = 0;

  constructor(machine: Machine, slot: number) {
    this.machine = machine;
    this.slot = slot;
  }

  begin(program: Program): void {
    this.state = "ready";
    this.results = [];
    this.#program = program(this);
    this.#step = undefined;
    this.#isInside = false;
    this.#pausing = 0;
    this.#steps = 0;
    this.#history = 0;
    this.seen = this.machine.progress;
  }

  /** What it does, for people. */
  get doing(): string {
    const step = this.#step;
    if (step === undefined) return "nothing";
    return step.kind === "call" ? `${step.name}(${step.args.join(", ")})` : step.kind;
  }

  /** Whether it is in the middle of a call. */
  get isInside(): boolean {
    return this.#isInside && this.state !== "dead";
  }

  /** Puts what is not in memory where fingerprint() finds it. Answers the next place. */
  sketch(words: Uint32Array, place: number): number {
    let at = place;
    words[at++] = STATES.indexOf(this.state) * 8 + this.#pausing * 2 + (this.#step === undefined ? 0 : 1);
    words[at++] = this.#steps;
    words[at++] = this.#history;
    words[at++] = this.seen === this.machine.progress ? 1 : 0;
    words[at++] = this.state === "dead" ? 0 : this.results.length;
    if (this.state !== "dead") for (const result of this.results) words[at++] = result;
    return at;
  }

  /** Nothing of it is left. */
  forget(): void {
    this.state = "unborn";
    this.#isInside = false;
    this.#steps = 0;
    this.#history = 0;
    this.#step = undefined;
    this.seen = 0;
    this.results = [];
    this.#program = undefined;
  }

  /** The second result of its last call. */
  get result(): number {
    return this.machine.floats[(this.machine.threadAt(this.slot) + THREAD_RESULT) / 8] as number;
  }

  get #core(): Suspendable {
    return this.machine.cores[this.slot] as unknown as Suspendable;
  }

  /** Leaves the call; advance() comes back to it. */
  #leave(): void {
    this.#isLeaving = true;
    const data = stackOf(this.slot);
    this.machine.words[data / 4] = data + 8;
    this.machine.words[data / 4 + 1] = data + STACK_BYTES;
    this.#core.asyncify_start_unwind(data);
  }

  /** The import `stop`. */
  stop(answer: number): void {
    if (this.#isComingBack) {
      this.#isComingBack = false;
      this.#core.asyncify_stop_rewind();
      return;
    }
    const verdict = this.machine.decide(this, answer);
    if (verdict === undefined) return;
    if (verdict === "die") this.state = "dead";
    this.#leave();
  }

  /** The import `pause`: sleeps until somebody wakes it, if the lock still holds that word. Nobody's time runs out. */
  pause(lock: number, word: number): number {
    if (this.#isComingBack) {
      this.#isComingBack = false;
      this.#core.asyncify_stop_rewind();
      if (this.#pausing === 2) {
        this.#pausing = 0;
        return 1;
      }
    } else {
      this.#pausing = 1;
      const verdict = this.machine.decide(this, SWITCH);
      if (verdict !== undefined) {
        this.#leave();
        return 0;
      }
    }
    if (this.machine.words[lock >>> 2] !== word >>> 0) {
      this.#pausing = 0;
      return 1;
    }
    this.#pausing = 2;
    this.#fallAsleep(lock);
    this.#leave();
    return 0;
  }

  #fallAsleep(at: number): void {
    this.state = this.machine.decide(this, DEATH) === "die" ? "dead" : "asleep";
    this.sleepsOn = at;
    this.machine.sleepers.push(this);
  }

  /** Runs until it stops for some reason. */
  advance(): void {
    const { machine } = this;
    machine.monitor.run(this.slot);
    this.state = "ready";
    const program = this.#program as Generator<Step, void, number>;
    let step = this.#step;
    let answer = 0;
    while (true) {
      if (step === undefined) {
        const next = program.next(answer);
        this.#steps++;
        if (next.done === true) {
          this.#step = undefined;
          this.state = machine.decideAtEnd(this) === "die" ? "dead" : "done";
          return;
        }
        step = next.value;
        this.#step = step;
        if (step.kind === "wait") {
          this.#step = undefined;
          // A look in vain is no progress: two that wait for a third one must not keep each other busy.
          machine.progress--;
          this.seen--;
          this.state = "waiting";
          return;
        }
        const verdict = machine.decideBetween(this, step.kind !== "call" && step.kind !== "look");
        if (verdict === "die") this.state = "dead";
        if (verdict !== undefined) return;
      }
      if (step.kind === "access") {
        machine.monitor.record(step.address, 1, step.writes ? WRITE : READ);
        if (step.writes) machine.bytes[step.address] = this.slot;
        answer = machine.bytes[step.address] as number;
      } else if (step.kind === "look") {
        answer = machine.threads[step.slot]?.results.length === 0 ? 0 : 1;
      } else if (step.kind === "load") {
        machine.monitor.record(step.address, 4, ATOMIC | READ);
        answer = machine.word(step.address);
      } else if (step.kind === "store") {
        machine.monitor.record(step.address, 4, ATOMIC | WRITE);
        machine.words[step.address >>> 2] = step.value;
      } else if (step.kind === "sleep") {
        machine.monitor.record(step.address, 4, ATOMIC | READ);
        if (machine.word(step.address) === step.word) {
          this.#step = undefined;
          this.#fallAsleep(step.address);
          return;
        }
      } else if (step.kind === "call") {
        if (this.#isInside) {
          this.#isComingBack = true;
          this.#core.asyncify_start_rewind(stackOf(this.slot));
        } else this.seen = machine.progress;
        this.#isInside = true;
        const call = machine.cores[this.slot]?.[step.name] as (...args: readonly number[]) => number;
        answer = call(...step.args);
        if (this.#isLeaving) {
          this.#isLeaving = false;
          this.#core.asyncify_stop_unwind();
          return;
        }
        this.#isInside = false;
      }
      this.#history = Math.imul(this.#history ^ answer, 0x9e3779b1) ^ this.result;
      // What it does itself is nothing to wait for.
      machine.progress++;
      this.seen++;
      step = undefined;
    }
  }
}

export interface Decider {
  /** Within a call: answer as of the monitor. */
  decide(thread: LogicalThread, answer: number): Verdict;
  /** Before a step; `isPoint`: it is an access of its own. */
  decideBetween(thread: LogicalThread, isPoint: boolean): Verdict;
  decideAtEnd(thread: LogicalThread): Verdict;
}

export class Machine {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly floats: Float64Array;
  /** Bytes of the table. */
  readonly size: number;
  readonly monitor: Monitor;
  readonly cores: readonly Core[];
  readonly threads: readonly LogicalThread[];
  /** Who sleeps, in the order in which they fell asleep. */
  sleepers: LogicalThread[] = [];
  /** Counts what may let somebody go on who waits for others. */
  progress = 0;
  /** Whether the owner has heard of the exit of the dead. */
  isExitKnown = false;
  decider: Decider | undefined;
  /** The words of the epochs, as they were when the table was saved. */
  #epochs: ReadonlyMap<number, number> = new Map();

  private constructor(
    memory: WebAssembly.Memory,
    size: number,
    monitor: Monitor,
    module: WebAssembly.Module,
    bug: number,
  ) {
    this.memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.floats = new Float64Array(memory.buffer);
    this.size = size;
    this.monitor = monitor;
    this.threads = Array.from({ length: THREADS }, (_, slot) => new LogicalThread(this, slot));
    this.cores = this.threads.map((thread) => {
      const env = {
        memory,
        thread: this.threadAt(thread.slot),
        bug,
        stop: (answer: number): void => thread.stop(answer),
        pause: (lock: number, word: number): number => thread.pause(lock, word),
        notify: (at: number, count: number): number => this.#notify(at, count >>> 0),
      };
      return new WebAssembly.Instance(module, { env, monitor: { ...monitor } }).exports as unknown as Core;
    });
  }

  /** `bug`: the number of the seeded bug that is there. */
  static async open(module: WebAssembly.Module, bug = 0): Promise<Machine> {
    const { words, bytes } = layOut(TINY);
    const memory = new WebAssembly.Memory({
      initial: MONITORED_PAGES,
      maximum: MONITORED_PAGES,
      shared: true,
    });
    const header = new Uint32Array(memory.buffer);
    for (const [offset, value] of words) header[offset / 4] = value;
    const machine = new Machine(memory, bytes, await openMonitor(memory), module, bug);
    if (machine.cores[0]?.openTable() !== H_SUCCESS) throw new Error("the table does not open");
    return machine;
  }

  word(offset: number): number {
    return this.words[offset >>> 2] as number;
  }

  threadAt(slot: number): number {
    return this.word(HEADER_THREADS_AT) + slot * THREAD_BYTES;
  }

  partitionAt(lpid: number): number {
    return this.word(HEADER_PARTITIONS_AT) + lpid * PARTITION_BYTES;
  }

  get locks(): number[] {
    const partitions = Array.from(
      { length: this.word(HEADER_PARTITIONS_MAX) },
      (_, index) => this.partitionAt(index + 1) + PARTITION_LOCK,
    );
    return [HEADER_LOCK, ...partitions];
  }

  /** From here on the table as it stands is where every schedule begins. */
  arm(): void {
    const { monitor } = this;
    const frameMap = this.word(HEADER_FRAME_MAP_AT);
    monitor.setUp(
      this.word(HEADER_THREADS_AT),
      THREAD_BYTES,
      THREAD_LOG,
      THREAD_EPOCH,
      this.word(HEADER_FRAMES_AT),
      frameMap,
    );
    this.#classify();
    this.locks.forEach((at, index) => {
      monitor.setLock(index, at);
      monitor.setClass(at, POINT);
    });
    for (let slot = 0; slot < THREADS; slot++) {
      monitor.setName(slot, this.word(this.threadAt(slot) + THREAD_NAME));
      monitor.setClass(this.threadAt(slot) + THREAD_EPOCH, POINT);
      monitor.setClass(this.threadAt(slot) + THREAD_MODEL_EPOCH, POINT);
    }
    monitor.save(this.size);
    this.#epochs = new Map(this.#epochWords().map((index) => [index, this.words[index] as number]));
  }

  /** Where the epochs are: how often somebody has waited for uses is nobody's business. */
  #epochWords(): number[] {
    const drains = Array.from(
      { length: this.word(HEADER_PARTITIONS_MAX) },
      (_, index) => this.partitionAt(index + 1) + PARTITION_DRAIN,
    );
    const cursors = Array.from(
      { length: this.word(HEADER_STRUCTURES_MAX) },
      (_, index) => STRUCTURES_AT + (index + 1) * STRUCTURE_BYTES + STRUCTURE_CURSOR,
    );
    return [HEADER_EPOCH, ...drains, ...cursors].map((at) => at / 4);
  }

  /**
   * Words that are read without a lock although they are stored plainly, and why that does no harm:
   *
   * - A call between two partitions guesses the second one from a structure (state, generation, holder, parent) or an end
   *   (state, generation, owner, partner) before it has any lock, and looks again when it has the locks; each of these
   *   words is aligned, so that a guess is some value that stood there, and any value names a lock.
   * - A ring guesses whose doorbell it is from the structure behind a port and those above it, in the same way.
   * - Whether there is a partition at all is looked at in the same way. Whether it runs, a use asks atomically after its
   *   epoch is stored; the manager stores the state plainly, and counts the epoch up, atomically, before it looks for uses.
   */
  #classify(): void {
    const words = (at: number, offsets: readonly number[], bits: number): void => {
      for (const offset of offsets) this.monitor.setClass(at + offset, bits);
    };
    for (let slot = 0; slot <= this.word(HEADER_STRUCTURES_MAX); slot++) {
      const at = STRUCTURES_AT + slot * STRUCTURE_BYTES;
      words(at, [STRUCTURE_STATE, STRUCTURE_GENERATION, STRUCTURE_HOLDER, STRUCTURE_PARENT], GUESS);
    }
    for (let slot = 0; slot <= this.word(HEADER_ENDS_MAX); slot++) {
      const at = this.word(HEADER_ENDS_AT) + slot * END_BYTES;
      words(at, [END_STATE, END_UNIT, END_OWNER, END_PARTNER], GUESS);
    }
    for (let lpid = 1; lpid <= this.word(HEADER_PARTITIONS_MAX); lpid++) {
      words(this.partitionAt(lpid), [PARTITION_STATE], STATE);
      const ports = this.partitionAt(lpid) + PARTITION_SPACES + SPACE_IPI * SPACE_BYTES;
      for (let port = 0; port < this.word(HEADER_SPACE_PAGES + SPACE_IPI * 4); port++)
        words(this.word(ports + SPACE_BACKS), [port * 4], GUESS);
    }
  }

  reset(): void {
    this.monitor.restore();
    this.sleepers = [];
    this.progress = 0;
    this.isExitKnown = false;
    for (const thread of this.threads) thread.forget();
  }

  decide(thread: LogicalThread, answer: number): Verdict {
    return this.decider?.decide(thread, answer);
  }

  decideBetween(thread: LogicalThread, isPoint: boolean): Verdict {
    return this.decider?.decideBetween(thread, isPoint);
  }

  decideAtEnd(thread: LogicalThread): Verdict {
    return this.decider?.decideAtEnd(thread);
  }

  /** A wake-up may go to one that died asleep, until its exit is known. */
  #notify(at: number, count: number): number {
    let woken = 0;
    this.sleepers = this.sleepers.filter((sleeper) => {
      if (sleeper.sleepsOn !== at || woken === count) return true;
      if (sleeper.state === "dead") {
        if (!this.isExitKnown) woken++;
        return false;
      }
      woken++;
      sleeper.state = "ready";
      return false;
    });
    return woken;
  }

  /** What is left that should not be when all is over; "" if nothing. */
  leftovers(): string {
    for (const lock of this.locks) if (this.word(lock) !== 0) return `the lock at ${lock} is held`;
    for (const { slot } of this.threads) {
      const at = this.threadAt(slot);
      for (const field of [
        THREAD_LOG_TOP,
        THREAD_JOB,
        THREAD_REAPING,
        THREAD_STARTING,
        THREAD_LOCK_A,
        THREAD_LOCK_B,
        THREAD_EPOCH,
        THREAD_MODEL_EPOCH,
        THREAD_MODEL_ROOT,
      ]) {
        if (this.word(at + field) !== 0) return `word ${field} of thread ${slot} is ${this.word(at + field)}`;
      }
    }
    return "";
  }

  /** What audit() finds: "" if all is well. */
  audit(): string {
    this.monitor.setOn(false);
    const status = this.cores[0]?.audit();
    const count = this.word(HEADER_AUDIT_PROBLEMS);
    if (status === H_SUCCESS && count === 0) return "";
    const at = this.word(HEADER_AUDIT_AT);
    const problems = Array.from({ length: Math.min(count, 4) }, (_, index) =>
      [0, 4, 8].map((offset) => this.word(at + index * PROBLEM_BYTES + offset)).join("/"),
    );
    return `audit() answers ${status}, ${count} problems (code/a/b): ${problems.join(", ")}`;
  }

  /** A number for all that decides how the threads go on, where `next` is the one that runs next, -1: not chosen yet. */
  fingerprint(next: number): number {
    const { words } = this;
    let at = EXTRA_AT / 4;
    words[at++] = next;
    words[at++] = this.isExitKnown ? 1 : 0;
    let suspended = 0;
    for (const thread of this.threads) {
      at = thread.sketch(words, at);
      if (thread.isInside) suspended |= 1 << thread.slot;
    }
    for (const sleeper of this.sleepers) {
      words[at++] = sleeper.slot;
      words[at++] = sleeper.sleepsOn;
    }
    const extra = (at * 4 - EXTRA_AT + 15) & ~15;
    for (; at * 4 < EXTRA_AT + extra; at++) words[at] = 0;
    const partitions = this.word(HEADER_PARTITIONS_AT);
    return this.monitor.fingerprint(partitions, THREAD_LOG_TOP, extra, suspended);
  }

  /** A number for the state of the table, without the records of threads and without audit's own words. */
  digest(): bigint {
    const epochs = this.#epochs;
    const values = [...epochs.keys()].map((index) => this.words[index] as number);
    for (const [index, saved] of epochs) this.words[index] = saved;
    const digest = this.monitor.digest(this.word(HEADER_THREADS_AT), this.word(HEADER_PARTITIONS_AT));
    let i = 0;
    for (const index of epochs.keys()) this.words[index] = values[i++] as number;
    return digest;
  }

  /** A frame by its byte offset. */
  frameOf(address: number): number {
    return (address - this.word(HEADER_FRAMES_AT)) >> 12;
  }

  frameAt(frame: number): number {
    return this.word(HEADER_FRAMES_AT) + frame * PAGE_BYTES;
  }

  /** Which word that is, for people. */
  describe(at: number): string {
    const pages = this.word(HEADER_SPACE_PAGES);
    const regions: readonly [string, number, number][] = [
      ["frame", HEADER_FRAMES_AT, PAGE_BYTES],
      ["staging", HEADER_STAGING_AT, PAGE_BYTES],
      ["frame map", HEADER_FRAME_MAP_AT, 0x10000],
      ["lines of partition", HEADER_LINES_AT, this.word(HEADER_LINES_BYTES)],
      ["events of partition", HEADER_EVENTS_AT, this.word(HEADER_EVENTS_MAX) * EVENT_BYTES],
      ["arena", HEADER_ARENAS_AT, this.word(HEADER_ARENA_BYTES)],
      ["page table", HEADER_TABLES_AT, this.word(HEADER_TABLE_BYTES)],
      ["pin", HEADER_PINS_AT, PIN_BYTES],
      ["end", HEADER_ENDS_AT, END_BYTES],
      ["partition", HEADER_PARTITIONS_AT, PARTITION_BYTES],
      ["thread", HEADER_THREADS_AT, THREAD_BYTES],
      ["structure", 0, STRUCTURE_BYTES],
    ];
    for (const [name, header, bytes] of regions) {
      const offset = at - (header === 0 ? STRUCTURES_AT : this.word(header));
      if (offset < 0) continue;
      const place = offset % bytes;
      const isEntry = name === "page table" && place < pages * 4;
      return `${isEntry ? "entry in page table" : name} ${Math.floor(offset / bytes)} byte ${place}`;
    }
    return `header byte ${at}`;
  }
}
