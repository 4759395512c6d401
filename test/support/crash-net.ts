/**
 * The net: a call is stopped before each of its stores, the table is repaired, and what is then there must be what was
 * there before the call or after it (for a call of several commits: at one of the commits around the store).
 *
 * Two ways to go on are tried for each store:
 *
 *     dies       nobody calls that thread again; the owner reaps it, some other thread waiting for the lock meanwhile
 *     lives on   the same thread makes another call, and must find its own name in the lock
 *
 * and after each repair: audit() is clean, the lock is free, a sleeper is still on record or was woken, and the call,
 * made again, comes to the same end as one that was never stopped. In crashPairs() the repair is stopped, too.
 */
import type { Core } from "../../src/binding.js";
import {
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_SUCCESS,
  LOCK_WAITERS,
  MAIL_BYTES,
  MAIL_IDLE,
  MAIL_SERVER,
  MAIL_STATE,
  MAIL_STATE_MASK,
  MAILS,
  THREAD_BELL,
  THREAD_EPOCH,
  THREAD_LPID,
  THREAD_MAIL,
  THREAD_MODEL_EPOCH,
  THREAD_NAME,
} from "../../src/layout.js";
import type { Instrumented } from "./crash-core.js";
import { Rig, SMALL } from "./crash-rig.js";
import type { Act, Scenario } from "./crash-scenarios.js";
import { checkLists, type Leave, State } from "./crash-state.js";
import type { Draw } from "./draw.js";

/** What the net caught. */
export class Caught extends Error {}

type Way = "dies" | "lives on";

/** What one call leaves when nothing stops it. */
interface Reference {
  /** Stores of the call. */
  readonly stores: number;
  /** For each store, which state was the last to stand before it. */
  readonly stands: readonly number[];
  readonly states: Readonly<Record<Way, readonly State[]>>;
  /** After the call and what goes on from it. */
  readonly ends: Readonly<Record<Way, State>>;
  readonly status: number;
}

/** How often the net was cast. */
export interface Tally {
  points: number;
  pairs: number;
  /** Scenarios of which all pairs were tried. */
  complete: number;
}

const THE_OTHER = 2;
const WAYS: readonly Way[] = ["dies", "lives on"];

/** A call that takes the lock and changes nothing. */
function look(core: Core): number {
  return core.adapterBetween(1, 2);
}

export class Net {
  readonly #rig: Rig;
  readonly #core: Instrumented;
  readonly #scenario: Scenario;
  readonly #act: Act;
  readonly #caller: number;
  readonly #before: Uint8Array;
  readonly #now: State;
  readonly #reference: Reference;
  readonly #tally: Tally;

  /** Sets the scenario up, and makes its call once without stopping it. */
  constructor(core: Instrumented, scenario: Scenario, tally: Tally, covered: Uint8Array, bug = 0) {
    this.#rig = new Rig(core, scenario.capacities ?? SMALL, bug, covered);
    this.#core = core;
    this.#scenario = scenario;
    this.#tally = tally;
    const act = scenario.setUp(this.#rig);
    this.#act = scenario.isAlone === true ? { ...act, othersAreBusy: true } : act;
    this.#caller = scenario.isAlone === true ? 0 : (act.caller ?? 1);
    this.#before = this.#rig.save();
    this.#idle();
    const trouble = this.#rig.audit();
    if (trouble !== "") throw new Caught(`${scenario.name}: not sound when set up: ${trouble}`);
    this.#now = new State(this.#rig);
    this.#reference = this.#refer();
  }

  get stores(): number {
    return this.#reference.stores;
  }

  #leave(way: Way): Leave {
    const epochs = [...(this.#act.leave?.epochs ?? []), this.#caller];
    return { ...this.#act.leave, epochs, thread: way === "dies" ? this.#caller : undefined };
  }

  #begin(saved: Uint8Array): void {
    this.#rig.restore(saved);
    this.#idle();
    this.#rig.beginSleep();
  }

  /** Whoever must wait gives up at once, unless the scenario says otherwise. */
  #idle(): void {
    this.#rig.pause = this.#act.pause ?? (() => 0);
  }

  #refer(): Reference {
    const rig = this.#rig;
    const core = rig.core(this.#caller);
    const states: Record<Way, State[]> = { dies: [], "lives on": [] };
    const stands: number[] = [];
    const keep = (): void => {
      // The two ways differ in what is left out: what is equal for one may not be for the other.
      const now = WAYS.map((way) => new State(rig).take(this.#leave(way)));
      const isNew = WAYS.some((way, index) => {
        const last = states[way].at(-1);
        return last === undefined || last.difference(now[index] as State) !== "";
      });
      if (isNew) for (const [index, way] of WAYS.entries()) states[way].push(now[index] as State);
    };
    this.#begin(this.#before);
    keep();
    let wasBusy = true;
    const status = rig.run(
      () => this.#act.call(core),
      () => {
        const isBusy = !rig.isQuiescent(this.#caller);
        if (!isBusy && wasBusy) keep();
        wasBusy = isBusy;
        stands.push(states.dies.length - 1);
      },
    );
    const stores = rig.stores;
    keep();
    if (this.#act.status !== undefined && status !== this.#act.status)
      this.#fail(`answers ${status}, not ${this.#act.status}`);
    if (this.#act.goOn === undefined && this.#act.once !== true && states.dies.length > 2)
      this.#fail(`is one call, but has ${states.dies.length - 1} commits`);
    this.#act.goOn?.(core);
    const ends = {
      dies: new State(rig).take(this.#leave("dies")),
      "lives on": new State(rig).take(this.#leave("lives on")),
    };
    return { stores, stands, states, ends, status };
  }

  #fail(what: string): never {
    throw new Caught(`${this.#scenario.name}: ${what}`);
  }

  /** Stops the call before store `at`, from 1. */
  #crash(at: number): void {
    this.#begin(this.#before);
    const core = this.#rig.core(this.#caller);
    if (!this.#rig.crash(() => this.#act.call(core), at)) this.#fail(`has no store ${at}`);
    this.#tally.points++;
  }

  #reap(): void {
    let answer = this.#rig.core(0).reapThread(this.#caller);
    // A lock may be another thread's; the owner then tries again in its next turn.
    if (answer === H_LONG_BUSY_10_MSEC && this.#act.othersAreBusy === true)
      answer = this.#rig.core(0).reapThread(this.#caller);
    if (answer !== H_SUCCESS) this.#fail(`reapThread() answers ${answer}`);
  }

  /** Nobody gets all locks while something is half done. */
  #expectHidden(): void {
    const answer = look(this.#rig.core(THE_OTHER));
    if (answer !== H_LONG_BUSY_10_MSEC) this.#fail(`another thread sees what is half done: ${answer}`);
  }

  #repair(way: Way, variant: number): void {
    const rig = this.#rig;
    const isLeft = rig.held.length !== 0 || !rig.isQuiescent(this.#caller);
    const isWaiting = variant !== 0 && isLeft && this.#act.othersAreBusy !== true;
    let awaited: readonly number[] = [];
    if (isWaiting && (variant === 1 || way === "lives on")) {
      this.#expectHidden();
      awaited = rig.awaited;
    }
    if (way === "lives on") {
      if (variant === 0) rig.core(this.#caller).mendCall();
      else if (look(rig.core(this.#caller)) === H_LONG_BUSY_10_MSEC && this.#act.othersAreBusy !== true)
        this.#fail("the thread waits for itself");
    } else if (isWaiting && variant === 2) {
      // The owner hears of the exit while somebody waits, who has some of the locks and must then get all.
      rig.pause = () => {
        this.#idle();
        awaited = rig.awaited;
        const answer = rig.core(0).reapThread(this.#caller);
        if (answer !== H_LONG_BUSY_10_MSEC && answer !== H_SUCCESS)
          this.#fail(`reapThread() answers ${answer}`);
        return 1;
      };
      const answer = look(rig.core(THE_OTHER));
      if (answer === H_LONG_BUSY_10_MSEC) this.#fail("who waited does not get the lock");
      const again = rig.core(0).reapThread(this.#caller);
      if (again !== H_SUCCESS && again !== H_PARAMETER) this.#fail(`reapThread() again answers ${again}`);
    } else this.#reap();
    for (const lock of awaited) {
      const count = rig.woken.get(lock) ?? 0;
      if (way === "dies" ? count !== 0xffffffff : count === 0)
        this.#fail("who waits for the lock is not woken");
    }
  }

  /** The names of the threads that must not be found in a lock. */
  #names(): number[] {
    const before = new Uint32Array(this.#before.buffer);
    const slots = [0, 1, 2, 3].filter((slot) => slot !== THE_OTHER || this.#act.othersAreBusy !== true);
    return slots
      .map((slot) => before[(this.#rig.threadAt(slot) + THREAD_NAME) / 4] as number)
      .filter((name) => name !== 0);
  }

  /** After a repair. Answers which state stands, of those around store `at`. */
  #expectRepaired(way: Way, at: number): number {
    const rig = this.#rig;
    const names = this.#names();
    const held = rig.held.filter((at) => names.includes(rig.word(at) & ~LOCK_WAITERS));
    if (held.length !== 0) this.#fail(`locks are taken: ${held.join()}`);
    if (rig.inCall.some((slot) => slot !== THE_OTHER || this.#act.othersAreBusy !== true))
      this.#fail(`threads say that they are in a call: ${rig.inCall.join()}`);
    if (!rig.sleepersAreSafe) this.#fail("who sleeps for an event is not on record and was not woken");
    if (way === "dies" && rig.word(rig.threadAt(this.#caller) + THREAD_EPOCH) !== 0)
      this.#fail("the use of the dead thread still runs");
    if (way === "dies") this.#expectNothingAsked();
    const states = this.#reference.states[way];
    const stood = this.#reference.stands[at - 1] as number;
    this.#now.take(this.#leave(way));
    let stands = stood;
    const difference = this.#now.difference(states[stood] as State);
    if (difference !== "") {
      stands = stood + 1;
      const next = states[stands];
      if (next === undefined || this.#now.difference(next) !== "")
        this.#fail(
          `neither state ${stood} of ${states.length} (${difference}) nor the next (${next === undefined ? "none" : this.#now.difference(next)})`,
        );
    }
    const lists = checkLists(rig);
    if (lists !== "") this.#fail(lists);
    const trouble = rig.audit();
    if (trouble !== "") this.#fail(trouble);
    return stands;
  }

  /** A thread that has died serves no device, and asks for none; who asks it was told to look. */
  #expectNothingAsked(): void {
    const rig = this.#rig;
    const dead = rig.threadAt(this.#caller);
    if (rig.word(dead + THREAD_MODEL_EPOCH) !== 0)
      this.#fail("the device access of the dead thread still runs");
    const before = new Uint32Array(this.#before.buffer);
    for (let index = 0; index < MAILS; index++) {
      const state = rig.word(dead + THREAD_MAIL + index * MAIL_BYTES + MAIL_STATE) & MAIL_STATE_MASK;
      if (state !== MAIL_IDLE) this.#fail(`the dead thread still asks: state ${state}`);
      const asks = rig.threadAt(THE_OTHER) + THREAD_MAIL + index * MAIL_BYTES;
      const name = before[(dead + THREAD_NAME) / 4];
      const isWaiting = (rig.word(asks + MAIL_STATE) & MAIL_STATE_MASK) !== MAIL_IDLE;
      if (
        isWaiting &&
        rig.word(asks + MAIL_SERVER) === name &&
        !rig.woken.has(rig.threadAt(THE_OTHER) + THREAD_BELL)
      )
        this.#fail("who asked the dead thread is not told");
    }
  }

  /** Makes the call again, or goes on with it, and compares the end. */
  #expectEnd(way: Way, stands: number): void {
    const rig = this.#rig;
    const { states, ends, status } = this.#reference;
    const isOver = stands === states[way].length - 1;
    if (this.#act.once === true || (isOver && this.#act.goOn === undefined)) return;
    this.#idle();
    let core = rig.core(this.#caller);
    if (way === "dies") {
      const lpid = new Uint32Array(
        this.#before.buffer,
        rig.threadAt(this.#caller) + THREAD_LPID,
        1,
      )[0] as number;
      if (rig.core(0).openThread(lpid) === H_SUCCESS) {
        if (rig.result(0) !== this.#caller) this.#fail("the slot of the dead thread is not free");
      } else core = rig.core(0);
    }
    if (this.#act.goOn === undefined) {
      const answer = this.#act.call(core);
      if (answer !== status) this.#fail(`made again it answers ${answer}, not ${status}`);
    } else this.#act.goOn(core);
    const difference = this.#now.take(this.#leave(way)).difference(ends[way]);
    if (difference !== "") this.#fail(`made again it comes to another end: ${difference}`);
    const trouble = rig.audit();
    if (trouble !== "") this.#fail(`in the end: ${trouble}`);
  }

  #ways(): readonly Way[] {
    return this.#caller === 0 ? ["lives on"] : WAYS;
  }

  #at(way: Way, at: number, more = ""): string {
    return `${way}, store ${at} of ${this.stores}${more}`;
  }

  /** Adds where it was to what a check says. */
  #told(where: string, check: () => void): void {
    try {
      check();
    } catch (error) {
      const site = this.#core.sites[this.#rig.site];
      const what = error instanceof Error ? error.message : String(error);
      throw new Caught(`${where}: ${what} [${site?.name}: ${site?.text}]`);
    }
  }

  /** Stops the call before its stores: all of them, or so many drawn ones. */
  crashPoints(most: number, draw: Draw): void {
    for (const at of choose(this.stores, most, draw)) {
      for (const way of this.#ways()) {
        this.#told(this.#at(way, at), () => {
          this.#crash(at);
          this.#repair(way, at % 3);
          this.#expectEnd(way, this.#expectRepaired(way, at));
        });
      }
    }
  }

  /** Stops the call before its stores, and the repair before its stores: all pairs, or so many drawn ones. */
  crashPairs(most: number, draw: Draw): void {
    const rig = this.#rig;
    const share = Math.ceil(most / this.#ways().length);
    // As many stores of the call as of each repair, where not all pairs fit.
    const firsts = Math.min(this.stores, Math.ceil(Math.sqrt(share)));
    const seconds = Math.ceil(share / firsts);
    let isComplete = firsts === this.stores;
    for (const way of this.#ways()) {
      for (const at of choose(this.stores, firsts, draw)) {
        this.#told(this.#at(way, at), () => this.#crash(at));
        const crashed = rig.save();
        const woken = new Map(rig.woken);
        const { pauses } = rig;
        const repair = (): number =>
          way === "dies" ? rig.core(0).reapThread(this.#caller) : look(rig.core(this.#caller));
        rig.run(repair);
        const { stores } = rig;
        if (stores > seconds) isComplete = false;
        for (const second of choose(stores, seconds, draw)) {
          this.#told(this.#at(way, at, `, store ${second} of the repair`), () => {
            rig.restore(crashed);
            rig.woken = new Map(woken);
            rig.pauses = pauses;
            if (!rig.crash(repair, second)) this.#fail("the repair has other stores than before");
            this.#tally.pairs++;
            if (!rig.isQuiescent(this.#caller) && this.#act.othersAreBusy !== true) this.#expectHidden();
            const then = way === "lives on" && second % 2 === 0 && this.#caller !== 0 ? "dies" : way;
            this.#repairAgain(way, then, second);
            const stands = this.#expectRepaired(then, at);
            if (second % 4 === 0) this.#expectEnd(then, stands);
          });
        }
      }
    }
    if (isComplete) this.#tally.complete++;
  }

  #repairAgain(way: Way, then: Way, second: number): void {
    const rig = this.#rig;
    if (then === "lives on") {
      look(rig.core(this.#caller));
      return;
    }
    // Where the owner was stopped in reaping, it may make another call first.
    if (way === "dies" && second % 2 === 0) look(rig.core(0));
    let answer = rig.core(0).reapThread(this.#caller);
    if (answer === H_LONG_BUSY_10_MSEC && this.#act.othersAreBusy === true)
      answer = rig.core(0).reapThread(this.#caller);
    if (answer !== H_SUCCESS && answer !== H_PARAMETER) this.#fail(`reapThread() again answers ${answer}`);
  }
}

/** The numbers 1 to `count`, or `most` drawn ones of them. */
function choose(count: number, most: number, draw: Draw): number[] {
  const all = Array.from({ length: count }, (_, index) => index + 1);
  if (count <= most) return all;
  // The first and the last ones are always among them: there the locks are taken and given back.
  const edge = Math.floor(most * 0.3);
  const chosen = new Set([...all.slice(0, edge), ...all.slice(count - edge)]);
  while (chosen.size < most) chosen.add(1 + draw.below(count));
  return [...chosen].sort((a, b) => a - b);
}
