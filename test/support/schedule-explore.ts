/**
 * All schedules of a few logical threads up to a bound of preemptions, with at most one death. Each schedule is run from the
 * start; a list of choices says where it leaves the one before. It ends early where the threads are as they were in an
 * earlier one, with as many preemptions left: all that can follow has been looked at.
 *
 * A schedule may change before an access to a word in dispute, before an access to a frame, before a wake-up, and when a
 * thread sleeps, waits or ends. Every other access commutes with whatever other threads do meanwhile, for one of these
 * reasons, so that changing the schedule there would give an execution that is equal to one that is looked at:
 *
 * - the word is in the thread's own record, which nobody else reads while it lives (the monitor checks that);
 * - in no schedule do two threads access the word, one of them to write it, unless both hold a lock then that is the same
 *   in all such accesses. Which words are in dispute is found by exploring: where a round finds new ones all is explored
 *   again, until none is new. The first two accesses that broke the rule would be seen in a schedule that is looked at, as
 *   all before them commutes.
 *
 * A death is tried before every store to a word in dispute, to a frame and to the thread's own record (its notes apart),
 * before every wake-up, asleep, and at the end. Anywhere else it would leave what it leaves at the next of these, but for
 * stores that are undone or done again before anybody sees them; that this mending is right after each single store is
 * what test/crash.test.ts shows.
 *
 * What is right: all calls together must end as they do in some order one by one, with the same answers and the same table,
 * byte for byte but for the records of threads. In the orders that this is compared with, too, a thread may die in the
 * middle of a call, but then its call is mended before anybody else goes on (FA5).
 */

import { NOTIFY, WRITE } from "./schedule-build.js";
import type { Decider, LogicalThread, Machine, Program, Verdict } from "./schedule-machine.js";
import { DEATH, SWITCH, THREADS } from "./schedule-monitor.js";

/** What is explored. */
export interface Scenario {
  readonly name: string;
  /** Rules of the contract that it proves. */
  readonly rules: string;
  /** Makes the table as it is before; answers the programs by slot, from 1. */
  readonly setUp: (machine: Machine) => readonly Program[];
  /** What the owner's thread does about the death of a thread, after the reaping. */
  readonly recover: Program;
  /** Slots that may die. */
  readonly mortal: readonly number[];
  /** It is long: explored with one preemption less than others. */
  readonly isLong?: boolean;
  /** What is read there without a lock may have been written plainly, as part of a slot's next use. */
  readonly races?: false;
  /** All its calls take all locks. */
  readonly isExclusive?: boolean;
  /** What the owner's thread does besides, from the start; only if nobody may die. */
  readonly owner?: Program;
  /** Says what is wrong with the results of the threads, by slot; `dead` is the slot of the one that died, or 0. */
  readonly judge?: (results: readonly (readonly number[])[], dead: number) => string;
}

export interface Options {
  readonly preemptions: number;
  readonly deaths: number;
  /** Look for data races. */
  readonly races: boolean;
  /** Change the schedule between calls only, as often as there is a chance. */
  readonly isReference?: boolean;
}

export interface Failure {
  readonly what: string;
  readonly schedule: string;
}

/** A schedule that has gone on for so long does not end. */
const POINTS_MAX = 20_000;

export class Explorer implements Decider {
  readonly machine: Machine;
  readonly scenario: Scenario;
  schedules = 0;
  failure: Failure | undefined;
  /** Outcomes of the reference. */
  readonly outcomes = new Set<string>();
  readonly #programs: readonly Program[];
  readonly #audited = new Map<bigint, string>();
  #options: Options = { preemptions: 0, deaths: 0, races: false };
  #path: number[] = [];
  #widths: number[] = [];
  #depth = 0;
  #points = 0;
  #preemptions = 0;
  #deaths = 0;
  #dead = 0;
  #isMended = false;
  #next: LogicalThread | undefined;
  /** Choices that are given by the schedule before. */
  #given = 0;
  /** What was met, and how many preemptions were left then. */
  readonly #met = new Map<number, number>();
  pruned = 0;
  #isCut = false;
  #trace: string[] | undefined;

  constructor(machine: Machine, scenario: Scenario) {
    this.machine = machine;
    this.scenario = scenario;
    machine.monitor.setOn(false);
    this.#programs = scenario.setUp(machine);
    machine.arm();
    machine.decider = this;
  }

  // ---------------------------------------------------------------- the search

  /** Explores until something fails or all is done. */
  async explore(options: Options): Promise<void> {
    this.#options = options;
    this.#path = [];
    this.#widths = [];
    this.machine.monitor.clearSeen(this.machine.size);
    this.machine.monitor.setRacing(options.races);
    this.#met.clear();
    while (true) {
      this.#depth = 0;
      this.#given = this.#path.length;
      const what = this.#runOnce();
      this.schedules++;
      if (what !== "") {
        this.failure = { what, schedule: this.#tell() };
        return;
      }
      if (!this.#turn()) return;
      // Whoever runs the tests wants to hear from this thread now and then.
      if (this.schedules % 50_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Words that came to be in dispute since the last exploration began. */
  findDisputes(): number {
    return this.machine.monitor.findDisputes(this.machine.size);
  }

  /** The next list of choices; false when all are done. */
  #turn(): boolean {
    while (this.#path.length > 0) {
      const last = this.#path.length - 1;
      const choice = (this.#path[last] as number) + 1;
      if (choice < (this.#widths[last] as number)) {
        this.#path[last] = choice;
        return true;
      }
      this.#path.pop();
      this.#widths.pop();
    }
    return false;
  }

  #choose(width: number): number {
    if (width === 1) return 0;
    if (this.#depth === this.#path.length) {
      this.#path.push(0);
      this.#widths.push(width);
    } else if (this.#widths[this.#depth] !== width) throw new Error("the explorer is not repeatable");
    return this.#path[this.#depth++] as number;
  }

  /** Runs the failing schedule again, and tells what happened. */
  #tell(): string {
    this.#trace = [];
    this.#depth = 0;
    this.#given = Number.POSITIVE_INFINITY;
    this.#runOnce();
    const told = this.#trace.join("; ");
    this.#trace = undefined;
    return told;
  }

  #note(text: () => string): void {
    this.#trace?.push(text());
  }

  // ---------------------------------------------------------------- one schedule

  #isEnabled(thread: LogicalThread): boolean {
    return thread.state === "ready" || (thread.state === "waiting" && thread.seen !== this.machine.progress);
  }

  #runOnce(): string {
    const { machine } = this;
    const { monitor } = machine;
    machine.reset();
    this.#points = 0;
    this.#preemptions = 0;
    this.#deaths = 0;
    this.#dead = 0;
    this.#isMended = false;
    this.#isCut = false;
    monitor.setFlexible(this.#options.isReference !== true && this.#options.preemptions > 0);
    this.#programs.forEach((program, index) => {
      machine.threads[index + 1]?.begin(program);
    });
    if (this.scenario.owner !== undefined) machine.threads[0]?.begin(this.scenario.owner);
    monitor.setOn(true);
    try {
      while (true) {
        const enabled = machine.threads.filter((thread) => this.#isEnabled(thread));
        const wanted = this.#next;
        this.#next = undefined;
        const thread = wanted ?? enabled[this.#choose(Math.max(enabled.length, 1))];
        if (thread === undefined) break;
        if (this.#isKnown(thread)) return "";
        this.#setMortal(thread);
        this.#note(() => `thread ${thread.slot} goes on`);
        thread.advance();
        if (this.#isCut) return "";
        if (thread.state !== "ready" && thread.state !== "dead")
          this.#note(() => `thread ${thread.slot} is ${thread.state} (${thread.results.join(", ")})`);
        if (thread.state === "dead" && this.#dead !== thread.slot) this.#bury(thread);
        if (monitor.whatTrouble() !== 0) return this.#trouble();
        if (++this.#points > POINTS_MAX) return "the schedule does not end";
      }
      return this.#judge();
    } catch (error) {
      return `thrown: ${String(error)}`;
    } finally {
      monitor.setOn(false);
      this.#next = undefined;
    }
  }

  /**
   * Whether the threads were as they are now before, with as many preemptions left: all that can follow has been looked at.
   * Not while the choices are those of the schedule before, nor while clocks count, which are no part of the picture.
   */
  #isKnown(next: LogicalThread): boolean {
    if (this.#depth < this.#given || this.#options.races) return false;
    const left = this.#options.isReference === true ? 0 : this.#options.preemptions - this.#preemptions;
    const picture = this.machine.fingerprint(next.slot + 4 * this.#deaths);
    if ((this.#met.get(picture) ?? -1) >= left) {
      this.pruned++;
      return true;
    }
    this.#met.set(picture, left);
    return false;
  }

  #setMortal(thread: LogicalThread): void {
    this.machine.monitor.setMortal(this.#isMortal(thread));
  }

  #isMortal(thread: LogicalThread): boolean {
    return this.#deaths < this.#options.deaths && this.scenario.mortal.includes(thread.slot);
  }

  /** The owner's thread is told of the exit, and begins to mend. */
  #bury(thread: LogicalThread): void {
    const { machine } = this;
    this.#dead = thread.slot;
    machine.progress++;
    machine.monitor.setDead(thread.slot);
    machine.monitor.happensBefore(thread.slot, 0);
    const { recover } = this.scenario;
    const mended = (): void => {
      this.#isMended = true;
    };
    const dead = thread.slot;
    machine.threads[0]?.begin(function* (self) {
      machine.isExitKnown = true;
      machine.sleepers = machine.sleepers.filter((sleeper) => sleeper.slot !== dead);
      yield { kind: "call", name: "reapThread", args: [dead] };
      mended();
      yield* recover(self);
    });
    // One by one: no other call comes between the one that was cut off and its mending.
    if (this.#options.isReference === true) this.#next = machine.threads[0];
  }

  decide(thread: LogicalThread, answer: number): Verdict {
    if (++this.#points > POINTS_MAX) return "stop";
    const isOver = this.#options.isReference === true || (answer & SWITCH) === 0;
    return this.#pick(thread, isOver ? 0 : this.#options.preemptions, (answer & DEATH) !== 0);
  }

  decideBetween(thread: LogicalThread, isPoint: boolean): Verdict {
    if (this.#isKnown(thread)) {
      this.#isCut = true;
      return "stop";
    }
    this.#note(() => `thread ${thread.slot} begins ${thread.doing}`);
    if (this.#options.isReference === true) {
      const isMending = thread.slot === 0 && this.#dead !== 0 && !this.#isMended;
      return this.#pick(thread, isMending ? 0 : Number.POSITIVE_INFINITY, isPoint);
    }
    return isPoint ? this.#pick(thread, this.#options.preemptions, true) : undefined;
  }

  decideAtEnd(thread: LogicalThread): Verdict {
    return this.#pick(thread, 0, true);
  }

  #pick(thread: LogicalThread, preemptions: number, mayDie: boolean): Verdict {
    const canDie = mayDie && this.#isMortal(thread) ? 1 : 0;
    let others = 0;
    if (this.#preemptions < preemptions) {
      for (const other of this.machine.threads) if (other !== thread && this.#isEnabled(other)) others++;
    }
    const choice = this.#choose(1 + others + canDie);
    if (choice === 0) return undefined;
    if (choice > others) {
      this.#note(() => `thread ${thread.slot} dies ${this.#where(thread)}`);
      this.#deaths++;
      this.machine.monitor.setMortal(false);
      return "die";
    }
    this.#note(() => `thread ${thread.slot} stops ${this.#where(thread)}`);
    this.#preemptions++;
    if (this.#preemptions >= this.#options.preemptions) this.machine.monitor.setFlexible(false);
    let index = choice;
    for (const other of this.machine.threads) {
      if (other !== thread && this.#isEnabled(other) && --index === 0) this.#next = other;
    }
    return "stop";
  }

  #where(thread: LogicalThread): string {
    if (!thread.isInside) return `at ${thread.doing}`;
    const { monitor } = this.machine;
    const kind = monitor.howStopped();
    const access = kind === NOTIFY ? "a wake-up" : (kind & WRITE) !== 0 ? "a store" : "a load";
    return `in ${thread.doing} before ${access} at ${this.machine.describe(monitor.whereStopped())}`;
  }

  // ---------------------------------------------------------------- what is right

  #trouble(): string {
    const { machine } = this;
    const { monitor } = machine;
    const what = monitor.whatTrouble();
    const place = machine.describe(monitor.whereTrouble());
    if (what === 1) return `a stray access of thread ${monitor.whoseTrouble()} to ${place}`;
    if (what === 2)
      return `thread ${monitor.whoseTrouble()} looks into the record of a living thread: ${place}`;
    const modes: [number, number] = [what & 3, (what >> 4) & 3];
    const names = ["a plain read", "a plain write", "an atomic read", "an atomic write"];
    return `a race at ${place}: ${names[modes[0]]} of thread ${monitor.withTrouble()}, ${names[modes[1]]} of thread ${monitor.whoseTrouble()}`;
  }

  #judge(): string {
    const { machine } = this;
    for (const thread of machine.threads) {
      if (thread.state === "asleep") return `a lost wake-up: thread ${thread.slot} sleeps for ever`;
      if (thread.state === "waiting") return `thread ${thread.slot} waits for ever`;
    }
    machine.monitor.setOn(false);
    const left = machine.leftovers();
    if (left !== "") return left;
    const digest = machine.digest();
    let audit = this.#audited.get(digest);
    if (audit === undefined) {
      audit = machine.audit();
      this.#audited.set(digest, audit);
    }
    if (audit !== "") return audit;
    const results = machine.threads.map((thread) => thread.results);
    // What was answered to the dead is known to nobody.
    results[this.#dead || THREADS] = [];
    const outcome = `${this.#dead} ${JSON.stringify(results.slice(0, THREADS))} ${digest}`;
    if (this.#options.isReference === true) this.outcomes.add(outcome);
    else if (!this.outcomes.has(outcome)) return `an outcome of no order of the calls: ${outcome}`;
    return this.scenario.judge?.(results.slice(0, this.#programs.length + 1), this.#dead) ?? "";
  }
}

/** How a scenario was explored. */
export interface Report {
  readonly name: string;
  readonly schedules: number;
  readonly pruned: number;
  readonly outcomes: number;
  readonly disputes: number;
  readonly seconds: number;
  readonly failure: Failure | undefined;
}

/** Preemptions: without a death, with one, and while clocks count, which nothing can be cut short for. */
export interface Bounds {
  readonly living: number;
  readonly dying: number;
  readonly racing: number;
}

/** Explores a scenario up to these bounds. */
export async function exploreAll(machine: Machine, scenario: Scenario, bounds: Bounds): Promise<Report> {
  const begin = performance.now();
  const explorer = new Explorer(machine, scenario);
  const deaths = scenario.mortal.length > 0 ? 1 : 0;
  let disputes = 0;
  /** Until no more words are in dispute. */
  const settle = async (options: Options): Promise<void> => {
    while (explorer.failure === undefined) {
      await explorer.explore(options);
      const found = explorer.findDisputes();
      disputes += found;
      if (found === 0) return;
    }
  };
  await settle({ preemptions: 0, deaths, races: false, isReference: true });
  if (scenario.races !== false) await settle({ preemptions: bounds.racing, deaths: 0, races: true });
  if (deaths > 0) await settle({ preemptions: bounds.racing - 1, deaths, races: true });
  await settle({ preemptions: bounds.living, deaths: 0, races: false });
  if (deaths > 0) await settle({ preemptions: bounds.dying, deaths, races: false });
  const seconds = (performance.now() - begin) / 1000;
  const { schedules, pruned, failure } = explorer;
  return {
    name: scenario.name,
    schedules,
    pruned,
    outcomes: explorer.outcomes.size,
    disputes,
    seconds,
    failure,
  };
}
