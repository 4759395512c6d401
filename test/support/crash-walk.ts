/**
 * Walks with crashes: random calls over one table, in which now and then a call is stopped at one of its stores. Then its thread
 * lives on and mends, sooner or later, or dies and is reaped; meanwhile other calls are made, by other threads and by that one,
 * some of which stop as well, and accesses that had begun before go on. So states meet that no scenario of crash.test.ts has by
 * itself. One walk in four is of a table of one thread, whose calls mend what it has left.
 *
 * After each step a walk is held against the words of its table:
 *
 *     always                         no frame under a use is free, or was written to by anybody who may not; a cookie that was
 *                                    guessed is refused
 *     while no call is half done     what was asked for stands, and nothing else (crash-walk-ledger.ts); no page has left its
 *                                    frame under a use, and no grant has ended by which a use came (crash-walk-uses.ts); no lock
 *                                    is held; sleepers are on record or were woken; after each mending, and now and then,
 *                                    audit() is clean
 *     right after a stop             if it is mended at once: the call was wholly undone or wholly done (crash-walk-halves.ts)
 *     in the end                     all is given back, and nothing of it is left (crash-walk-end.ts)
 */
import {
  ENTRY_FRAME,
  H_LONG_BUSY_10_MSEC,
  H_NEED_ALL,
  H_NEED_COPY,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_SUCCESS,
  HEADER_BUDGET,
  MODE_ZERO,
} from "../../src/layout.js";
import type { Instrumented } from "./crash-core.js";
import type { Rig } from "./crash-rig.js";
import { checkLists, type Leave } from "./crash-state.js";
import { type Call, Calls } from "./crash-walk-calls.js";
import { giveBack } from "./crash-walk-end.js";
import { Halves } from "./crash-walk-halves.js";
import { Journal, type Sights } from "./crash-walk-journal.js";
import { Ledger } from "./crash-walk-ledger.js";
import { LARGE_TABLE, LIOBN, SMALL_TABLE, WalkTable } from "./crash-walk-table.js";
import { OWNER, Threads } from "./crash-walk-threads.js";
import { NEEDS, type Place, Uses } from "./crash-walk-uses.js";
import type { TableWords } from "./crash-walk-words.js";
import { Draw } from "./draw.js";

/** What a walk found. */
export class Found extends Error {}

const STEPS = 250;
/** Steps between two looks of audit() where nothing had to be mended. */
const AUDIT_EVERY = 20;
/** How often a call is made that answers that it goes on. */
const SLICES = 12;
/** Waits of one call that others use to mend and to end. */
const WAITS = 4;
/** Structures that are in no pool from which on a start takes none from there. */
const SCARCE = 32;

/** Answers of the core to itself. */
const INNER: readonly number[] = [H_NEED_ALL, H_NEED_COPY];
/** Answers to a cookie that was guessed. */
const REFUSALS: readonly number[] = [H_PARAMETER, H_RESCINDED, H_LONG_BUSY_10_MSEC];

export class CrashWalk {
  readonly #core: Instrumented;
  readonly #name: string;
  readonly #draw: Draw;
  readonly #isAlone: boolean;
  readonly #table: WalkTable;
  readonly #rig: Rig;
  readonly #words: TableWords;
  readonly #journal: Journal;
  readonly #ledger: Ledger;
  readonly #uses: Uses;
  readonly #threads: Threads;
  readonly #calls: Calls;
  readonly #halves: Halves;

  /** @param bug number of the seeded bug, if the core has any. */
  constructor(core: Instrumented, seed: number, sights: Sights, bug = 0) {
    const draw = new Draw(seed);
    this.#core = core;
    this.#draw = draw;
    this.#isAlone = draw.once(4);
    const size = draw.once(4) ? LARGE_TABLE : SMALL_TABLE;
    this.#name = `walk ${seed} (${this.#isAlone ? "one thread" : "threads"}, ${size.name})`;
    this.#table = new WalkTable(core, size, draw, bug);
    this.#rig = this.#table.rig;
    this.#words = this.#table.words;
    this.#journal = new Journal(sights);
    this.#ledger = new Ledger(this.#words);
    this.#uses = new Uses(this.#words);
    this.#threads = new Threads(this.#table, this.#uses, draw, this.#journal, this.#isAlone);
    this.#calls = new Calls(draw, this.#table, this.#ledger);
    this.#halves = new Halves(this.#rig);
  }

  /** @throws Found, with the seed and the last calls, if anything is not as it must be. */
  run(): void {
    try {
      for (let step = 1; step <= STEPS; step++) this.#step(step % AUDIT_EVERY === 0);
      this.#threads.mendAll();
      for (const slot of this.#uses.slots) this.#uses.end(slot);
      this.#check(true);
      this.#expectNothing(giveBack(this.#words));
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new Found(`${this.#name}: ${what}\n${this.#journal.last}`);
    }
  }

  #expectNothing(wrong: string): void {
    if (wrong !== "") throw new Error(wrong);
  }

  #step(isTime: boolean): void {
    const budget = this.#draw.pick([1, 3, 8, 30, 3000]) as number;
    this.#rig.setWord(HEADER_BUDGET, budget);
    if (this.#threads.areQuiet) this.#rig.beginSleep();
    this.#threads.hasMended = false;
    if (!this.#isAlone) this.#turnOfUsers();
    this.#threads.turn(this.#isAlone);
    const call = this.#calls.next();
    if (call !== undefined) this.#make(call);
    this.#check(isTime);
  }

  #check(isTime: boolean): void {
    this.#expectNothing(this.#uses.disturbed());
    if (!this.#threads.areQuiet) return;
    const rig = this.#rig;
    if (rig.inCall.length > 0) throw new Error(`threads say that they are in a call: ${rig.inCall.join()}`);
    if (rig.held.length > 0) throw new Error(`locks are taken: ${rig.held.join()}`);
    if (!rig.sleepersAreSafe) throw new Error("who sleeps for an event is not on record and was not woken");
    this.#expectNothing(this.#uses.left() || this.#ledger.wrong());
    if (isTime || this.#threads.hasMended) this.#expectNothing(rig.audit() || checkLists(rig));
  }

  // ---------------------------------------------------------------- uses

  /** One begins or ends, or its thread dies. */
  #turnOfUsers(): void {
    const draw = this.#draw;
    const slot = this.#threads.user();
    if (slot === undefined || !draw.once(2)) return;
    if (!this.#uses.has(slot)) this.#beginUse(slot);
    else if (draw.once(40)) this.#threads.dies(slot);
    else if (draw.once(3)) {
      this.#journal.note(`  thread ${slot} ends its use`);
      this.#uses.end(slot);
    }
  }

  #drawPlace(): Place {
    const draw = this.#draw;
    const need = draw.pick(NEEDS) as number;
    const lpid = this.#calls.lpid();
    return draw.once(4)
      ? { lpid: 1, page: draw.below(this.#table.size.busPages / 2), liobn: LIOBN, need }
      : { lpid, page: this.#calls.page(lpid), need };
  }

  #beginUse(slot: number): void {
    const place = this.#drawPlace();
    let status = H_PARAMETER;
    const begin = (): void => {
      status = this.#uses.call(slot, place);
    };
    if (this.#rig.crash(begin, this.#threads.drawStop())) {
      this.#stopped(slot, `the begin of a use, ${JSON.stringify(place)},`);
      return;
    }
    if (status !== H_SUCCESS) return;
    this.#journal.saw("a use begins");
    if (!this.#threads.areQuiet) this.#journal.saw("a use begins while a call is half done");
    this.#journal.note(`  thread ${slot} begins a use of ${this.#uses.began(slot, place, this.#draw)}`);
  }

  // ---------------------------------------------------------------- calls

  #make(call: Call): void {
    for (let slice = 0; slice < SLICES; slice++) {
      const slot = this.#threads.caller();
      const told = `${call.name}(${call.args.join(", ")})`;
      const frames = this.#framesOf(call);
      this.#uses.forget(slot);
      const isCompared = this.#isToBeCompared(call);
      const status = isCompared ? this.#compare(slot, call, told) : this.#makeOnce(slot, call, told);
      this.#uses.written([...frames, ...this.#framesOf(call)]);
      if (status !== undefined) this.#answered(slot, call, status);
      if (call.goesOn !== true || status !== H_PARTIAL) return;
      this.#check(false);
    }
  }

  /** One call by a thread. Answers its status, undefined if it was stopped. */
  #makeOnce(slot: number, call: Call, told: string): number | undefined {
    const rig = this.#rig;
    let status: number | undefined;
    const make = (): void => {
      status = this.#callCore(slot, call);
    };
    rig.pause = (attempt) => this.#wait(slot, attempt);
    const isStopped = rig.crash(make, this.#threads.drawStop());
    rig.pause = () => 0;
    if (isStopped) {
      this.#doubt(call);
      this.#stopped(slot, told);
      return undefined;
    }
    this.#threads.called(slot);
    // A call that did not get its locks leaves a use of its thread as it was.
    rig.core(slot).endUse();
    this.#journal.note(`${slot}: ${told} = ${status}, R4 ${rig.result(slot)}`);
    this.#journal.saw(`${call.name} ${status}`);
    return status;
  }

  #callCore(slot: number, { name, args }: Call): number {
    return (this.#rig.core(slot)[name] as (...numbers: readonly number[]) => number)(...args);
  }

  #stopped(slot: number, told: string): void {
    this.#journal.note(`${slot}: ${told} STOPS${this.#place}`);
    this.#threads.stops(slot, slot !== OWNER && this.#draw.once(3));
  }

  get #place(): string {
    return ` (${this.#core.sites[this.#rig.site]?.name})`;
  }

  /** The frames of the pages that a call may write to from end to end. */
  #framesOf({ writes }: Call): number[] {
    if (writes === undefined) return [];
    const pages = Array.from({ length: writes.pageCount }, (_, index) => writes.page + index);
    return pages.map((page) => this.#words.entry({ lpid: writes.lpid, page }) & ENTRY_FRAME);
  }

  /** A thread waits for a lock, or for a use: meanwhile others mend and end, or it gives up. */
  #wait(slot: number, attempt: number): number {
    if (attempt >= WAITS || !this.#draw.once(2)) return 0;
    this.#journal.saw("a call waits");
    this.#journal.note(`  thread ${slot} waits`);
    this.#threads.mendMeanwhile(slot);
    for (const user of this.#uses.slots) if (this.#draw.once(2)) this.#uses.end(user);
    return 1;
  }

  /** It is not known what has become of a call. */
  #doubt({ asked }: Call): void {
    if (asked !== undefined) this.#ledger.stopped(asked);
  }

  #answered(slot: number, call: Call, status: number): void {
    if (INNER.includes(status)) throw new Error(`an answer of the core to itself: ${status}`);
    if (call.isGuess === true) {
      if (REFUSALS.includes(status)) return;
      throw new Error(`a cookie that is nothing to its caller is answered with ${status}`);
    }
    if (status !== H_SUCCESS) return;
    if (call.asked !== undefined) this.#ledger.made(this.#rig.result(slot), call.asked);
    if (call.name === "rescindLogical") this.#ledger.ended(call.cookie as number);
    if (call.starts !== undefined) this.#table.started(call.starts);
  }

  // ---------------------------------------------------------------- stopped, and mended at once

  #isToBeCompared({ starts }: Call): boolean {
    if (!this.#threads.areQuiet) return false;
    // A start that takes structures from pools, for want of others, and is undone, gives them back to all.
    if (starts !== undefined && this.#words.unusedStructures < SCARCE) return false;
    return this.#draw.once(this.#table.size === LARGE_TABLE ? 40 : 5);
  }

  #compare(slot: number, call: Call, told: string): undefined {
    const dies = slot !== OWNER && this.#draw.once(3);
    const leave: Leave = {
      // The owner, which may reap it, ends what use it had left open itself.
      epochs: [slot, OWNER],
      thread: dies ? slot : undefined,
      started: call.starts,
      // Pages that are to be zeroed, of a lend that ends, are so before they are counted; nobody sees them.
      frames: call.writesData === true || this.#mayZero() ? this.#allFrames() : [],
    };
    const at = this.#halves.stop(slot, () => this.#callCore(slot, call), leave, this.#draw);
    if (at === 0) return;
    this.#doubt(call);
    this.#journal.saw("a stop is compared");
    this.#journal.note(`${slot}: ${told} STOPS before store ${at}${this.#place}`);
    this.#threads.stops(slot, dies);
    this.#threads.mendAll();
    const difference = this.#halves.difference(at);
    if (difference !== "") throw new Error(`stopped before store ${at} and mended: ${difference}`);
  }

  #mayZero(): boolean {
    return this.#words.structures().some(({ isGrant, mode }) => isGrant && (mode & MODE_ZERO) !== 0);
  }

  #allFrames(): number[] {
    return Array.from({ length: this.#words.frames }, (_, frame) => frame);
  }
}
