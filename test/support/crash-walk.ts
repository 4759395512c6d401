/**
 * Walks with crashes: random calls over one table, in which now and then a call is stopped at one of its stores. Then its thread
 * lives on and mends, sooner or later, or dies and is reaped; meanwhile other calls are made, by other threads and by that one,
 * some of which stop as well, and accesses that had begun before go on. So states meet that no scenario of crash.test.ts has by
 * itself. One walk in four is of a table of one thread, whose calls mend what it has left.
 *
 * After each step a walk is held against the words of its table:
 *
 *     always                         no frame under a use is free, or was written to by anybody who may not; a cookie that was
 *                                    guessed is refused; who has stopped keeps its locks until its call is mended; requests to
 *                                    devices are served once, by who was asked, and answered to who asks (crash-walk-mail.ts)
 *     while no call is half done     what was asked for stands, what was answered is not undone, and there is nothing else
 *                                    (crash-walk-ledger.ts); no page has left its frame under a use, and no grant has ended by
 *                                    which a use came, or one of a device (crash-walk-uses.ts, crash-walk-devices.ts); staging
 *                                    is whose call took it (crash-walk-staging.ts), and nothing is told twice, or not at all
 *                                    (crash-walk-events.ts); in each queue is what was sent and not taken, in its order
 *                                    (crash-walk-queues.ts); no lock is held; sleepers are on record or were woken; after each
 *                                    mending, and now and then, audit() is clean
 *     right after a stop             if it is mended at once: the call was wholly undone or wholly done (crash-walk-halves.ts); of
 *                                    a batch each request was (crash-walk-batch.ts)
 *     in the end                     all is given back, and nothing of it is left (crash-walk-end.ts)
 */
import {
  ENTRY_FRAME,
  H_DROPPED,
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
import { type Answer, readAnswers, writeRequests } from "./crash-walk-batch.js";
import { type Call, Calls, type Range } from "./crash-walk-calls.js";
import { Devices } from "./crash-walk-devices.js";
import { giveBack } from "./crash-walk-end.js";
import { Events } from "./crash-walk-events.js";
import { Halves } from "./crash-walk-halves.js";
import { Journal, type Sights } from "./crash-walk-journal.js";
import { Ledger } from "./crash-walk-ledger.js";
import { Mail } from "./crash-walk-mail.js";
import { Queues } from "./crash-walk-queues.js";
import { StagingRuns } from "./crash-walk-staging.js";
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

/** Calls that are made many times, now and then, and how often. */
const QUEUE_CALLS: readonly string[] = ["receiveEntry", "sendEntry"];
const MANY: readonly number[] = [5, 200, 300, 600];

/** Calls on mailboxes in one step, or on a queue beside one that is full, at most. */
const TURNS = 12;

/** Requests of a batch that have no second result where they succeed. */
const RESULTLESS: readonly string[] = ["putTce", "rescindLogical", "returnLogical", "stuffTce"];
/** Answers of the core to itself. */
const INNER: readonly number[] = [H_NEED_ALL, H_NEED_COPY];
/** Answers to a cookie that was guessed. */
const REFUSALS: readonly number[] = [H_PARAMETER, H_RESCINDED, H_LONG_BUSY_10_MSEC];

function tell({ name, args, requests }: Call): string {
  return `${name}(${args.join(", ")})${requests === undefined ? "" : ` [${requests.map(tell).join("; ")}]`}`;
}

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
  readonly #staging: StagingRuns;
  readonly #events: Events;
  readonly #devices: Devices;
  readonly #queues: Queues;
  readonly #mail: Mail;
  readonly #uses: Uses;
  readonly #threads: Threads;
  readonly #calls: Calls;
  readonly #halves: Halves;
  /** A call of several slices that was stopped in one, or left. */
  #unfinished: Call | undefined;

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
    this.#queues = new Queues(this.#words);
    this.#mail = new Mail(this.#rig, draw, this.#journal);
    this.#uses = new Uses(this.#words, this.#queues);
    this.#staging = new StagingRuns(this.#rig);
    this.#events = new Events(this.#table);
    this.#devices = new Devices(this.#words);
    this.#threads = new Threads(this.#table, this.#uses, this.#staging, draw, this.#journal, this.#isAlone);
    this.#calls = new Calls(draw, this.#table, this.#ledger, this.#staging, this.#queues);
    this.#halves = new Halves(this.#rig);
  }

  /** @throws Found, with the seed and the last calls, if anything is not as it must be. */
  run(): void {
    try {
      for (let step = 1; step <= STEPS; step++) this.#step(step % AUDIT_EVERY === 0);
      this.#threads.mendAll();
      for (const slot of this.#uses.slots) this.#uses.end(slot);
      for (const slot of this.#devices.slots) this.#devices.end(slot);
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
    if (!this.#isAlone) {
      this.#turnOfUsers();
      this.#turnOfMail();
    }
    this.#threads.turn(this.#isAlone);
    // What was undone may be in a ring.
    this.#expectNothing(this.#uses.disturbed());
    const slot = this.#threads.caller();
    const call = this.#draw.once(2) ? this.#calls.next(slot) : (this.#unfinished ?? this.#calls.next(slot));
    if (call !== undefined && !this.#breaksRing(call)) {
      this.#make(slot, call);
      if (QUEUE_CALLS.includes(call.name) && this.#draw.once(5)) this.#makeMany(slot, call);
    }
    this.#check(isTime);
  }

  #check(isTime: boolean): void {
    this.#queues.look(this.#threads.areQuiet);
    this.#expectNothing(this.#uses.disturbed() || this.#threads.robbed);
    if (!this.#threads.areQuiet) return;
    const rig = this.#rig;
    if (rig.inCall.length > 0) throw new Error(`threads say that they are in a call: ${rig.inCall.join()}`);
    if (rig.held.length > 0) throw new Error(`locks are taken: ${rig.held.join()}`);
    if (!rig.sleepersAreSafe) throw new Error("who sleeps for an event is not on record and was not woken");
    this.#table.meetStarted();
    this.#expectNothing(
      this.#uses.left() ||
        this.#devices.left() ||
        this.#ledger.wrong() ||
        this.#staging.wrong() ||
        this.#queues.wrong() ||
        this.#events.wrong(),
    );
    if (isTime || this.#threads.hasMended) this.#expectNothing(rig.audit() || checkLists(rig));
  }

  // ---------------------------------------------------------------- uses

  /** One begins or ends, or its thread dies. */
  #turnOfUsers(): void {
    const draw = this.#draw;
    const slot = this.#threads.user();
    if (slot === undefined || !draw.once(2)) return;
    if (this.#draw.once(4)) this.#turnOfDevice(slot);
    else if (!this.#uses.has(slot)) this.#beginUse(slot);
    else if (draw.once(40)) this.#threads.dies(slot);
    else if (draw.once(3)) {
      this.#journal.note(`  thread ${slot} ends its use`);
      this.#uses.end(slot);
    }
  }

  /** Some requests are posted, taken, answered or given up. */
  #turnOfMail(): void {
    const draw = this.#draw;
    if (!draw.once(3)) return;
    for (let turns = 1 + draw.below(TURNS); turns > 0; turns--) {
      const slot = draw.pick(this.#threads.ready);
      if (slot === undefined) return;
      const isStopped = this.#mail.turn(slot, this.#threads.living);
      if (isStopped && slot !== OWNER && draw.once(20)) this.#threads.dies(slot);
    }
  }

  #turnOfDevice(slot: number): void {
    if (this.#devices.has(slot) && this.#draw.once(10)) {
      this.#threads.dies(slot);
      return;
    }
    if (this.#devices.has(slot)) {
      this.#journal.note(`  thread ${slot} has done with the device`);
      this.#devices.end(slot);
      return;
    }
    const page = this.#devices.place(this.#draw);
    if (page === undefined) return;
    let status = H_PARAMETER;
    const begin = (): void => {
      status = this.#devices.call(slot, page);
    };
    this.#uses.forget(slot);
    if (this.#rig.crash(begin, this.#threads.drawStop())) {
      const dies = this.#draw.once(3);
      if (!dies) this.#devices.end(slot);
      this.#journal.note(
        `${slot}: the begin of an access to a device, ${JSON.stringify(page)}, STOPS${this.#place}`,
      );
      this.#threads.stops(slot, dies);
      return;
    }
    this.#threads.called(slot);
    this.#rig.core(slot).endUse();
    if (!this.#devices.began(slot, page, status)) return;
    this.#journal.saw("an access to a device begins");
    this.#journal.note(`  thread ${slot} begins an access to a device, ${JSON.stringify(page)}`);
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

  #make(first: number, call: Call): void {
    for (let slice = 0, slot = first; slice < SLICES; slice++, slot = this.#threads.caller()) {
      const told = tell(call);
      const frames = this.#framesOf(call.writes);
      this.#uses.forget(slot);
      this.#devices.calls(slot);
      const isCompared = this.#isToBeCompared(call);
      const status = isCompared ? this.#compare(slot, call, told) : this.#makeOnce(slot, call, told);
      this.#uses.written([...frames, ...this.#framesOf(call.writes)]);
      if (status !== undefined) this.#answered(slot, call, { status, result: this.#rig.result(slot) });
      this.#unfinished =
        call.goesOn === true && (status === undefined || status === H_PARTIAL) ? call : undefined;
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
      this.#doubt(slot, call);
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

  /** Whether a call writes to a ring, or its grant will zero it in the end: to keep a ring whole is up to whose memory it is. */
  #breaksRing({ name, changes, asked }: Call): boolean {
    if (name === "registerQueue") return false;
    const zeroes = asked === undefined || (asked.mode & MODE_ZERO) === 0 ? undefined : asked;
    const range = zeroes === undefined ? changes : { lpid: zeroes.from, ...zeroes };
    return this.#framesOf(range).some((frame) => this.#queues.isUnderRing(frame));
  }

  /** Many messages are sent, or taken, one behind the other: rings run full and empty, and begin anew. */
  #makeMany(slot: number, first: Call): void {
    if (!this.#threads.areQuiet) return;
    const most = this.#draw.pick(MANY) as number;
    const [lpid = 0, unit = 0] = first.args;
    let made = 0;
    let status = H_SUCCESS;
    for (; made < most && status === H_SUCCESS; made++) {
      const args = first.name === "sendEntry" ? [lpid, unit, ...this.#queues.message()] : first.args;
      status = this.#callCore(slot, { ...first, args });
      this.#queues.answered({ ...first, args }, status, this.#rig.entry(slot));
      this.#journal.saw(`${first.name} ${status}`);
    }
    this.#journal.note(`${slot}: ${tell(first)}, and ${made} more`);
    if (status === H_DROPPED) this.#comeAndGo(slot, lpid, unit);
  }

  /** Whoever has filled its partner's queue has one itself now and then, of whose ends the partner is to hear all the same (CQ5). */
  #comeAndGo(slot: number, lpid: number, unit: number): void {
    const free: Call = { name: "freeQueue", args: [lpid, unit] };
    // It may have died in one of them.
    const isThere = (): boolean => this.#threads.areQuiet && this.#threads.living.includes(slot);
    for (let turn = this.#draw.below(TURNS); turn > 0 && isThere(); turn--)
      this.#make(slot, this.#draw.once(2) ? free : this.#calls.register(lpid, unit));
  }

  #callCore(slot: number, { name, args, isQuick, requests }: Call): number {
    const core = this.#rig.core(slot);
    if (requests !== undefined) writeRequests(this.#rig, args[0] as number, requests);
    if (isQuick !== true) return (core[name] as (...numbers: readonly number[]) => number)(...args);
    const [own, second, third, ...others] = args as [number, number, number, ...number[]];
    if (name === "acceptLogical") return core.acceptLogical32(own, second);
    if (name === "returnLogical") return core.returnLogical32(own, second);
    if (name === "rescindLogical") return core.rescindLogical32(own, second, third);
    const [page, count, unit] = others as [number, number, number];
    return core.grantLogical32(own, second, page, count, unit);
  }

  #stopped(slot: number, told: string): void {
    this.#journal.note(`${slot}: ${told} STOPS${this.#place}`);
    this.#threads.stops(slot, slot !== OWNER && this.#draw.once(3));
  }

  get #place(): string {
    return ` (${this.#core.sites[this.#rig.site]?.name})`;
  }

  /** The frames of some pages. */
  #framesOf(range: Range | undefined): number[] {
    if (range === undefined) return [];
    const pages = Array.from({ length: range.pageCount }, (_, index) => range.page + index);
    return pages.map((page) => this.#words.entry({ lpid: range.lpid, page }) & ENTRY_FRAME);
  }

  /** A thread waits for a lock, or for a use: meanwhile others mend and end, or it gives up. */
  #wait(slot: number, attempt: number): number {
    if (attempt >= WAITS || !this.#draw.once(2)) return 0;
    this.#journal.saw("a call waits");
    this.#journal.note(`  thread ${slot} waits`);
    this.#threads.mendMeanwhile(slot);
    for (const user of this.#uses.slots) if (this.#draw.once(2)) this.#uses.end(user);
    for (const user of this.#devices.slots) if (user !== slot && this.#draw.once(2)) this.#devices.end(user);
    return 1;
  }

  /** A call was stopped, and it is not known what has become of it. */
  #doubt(slot: number, call: Call): void {
    const { name, args, asked, cookie, requests } = call;
    this.#queues.stopped(call);
    if (asked !== undefined) this.#ledger.stopped(asked);
    if (cookie !== undefined) this.#ledger.named(name, cookie, undefined);
    if (name === "takeStaging" || name === "freeStaging") this.#staging.doubt(slot);
    if (requests === undefined) return;
    const answers = this.#answers(slot, args[0] as number, requests);
    const half = requests[answers.length];
    if (half !== undefined) this.#doubt(slot, half);
    const done = answers.some(({ status }) => status === H_SUCCESS);
    if (done && half !== undefined) this.#journal.saw("a batch stops behind a request that succeeded");
  }

  /** Requests of a batch that are answered have happened, whatever became of the others. */
  #answers(slot: number, at: number, requests: readonly Call[]): Answer[] {
    const answers = readAnswers(this.#rig, at, requests);
    for (const [index, answer] of answers.entries()) {
      const call = requests[index] as Call;
      if (RESULTLESS.includes(call.name) && answer.status === H_SUCCESS && answer.result !== 0)
        throw new Error(`${call.name} of a batch answers with a result: ${answer.result}`);
      this.#answered(slot, call, answer);
    }
    this.#journal.note(
      `  answered: ${answers.map(({ status, result }) => `${status}, R4 ${result}`).join("; ")}`,
    );
    return answers;
  }

  #answered(slot: number, call: Call, { status, result }: Answer): void {
    const { name, args, asked, cookie, requests } = call;
    if (INNER.includes(status)) throw new Error(`an answer of the core to itself: ${status}`);
    if (call.isGuess === true) {
      if (REFUSALS.includes(status)) return;
      throw new Error(`a cookie that is nothing to its caller is answered with ${status}`);
    }
    if (cookie !== undefined) this.#ledger.named(name, cookie, status);
    this.#queues.answered(call, status, this.#rig.entry(slot));
    if (status !== H_SUCCESS) return;
    if (asked !== undefined) this.#ledger.made(result, asked);
    if (name === "takeStaging") this.#staging.taken(slot, result, args[0] as number);
    if (name === "freeStaging") this.#staging.given(slot, args[0] as number);
    if (call.moves !== undefined && !this.#words.isEqual(call.moves))
      throw new Error(`${name} has not moved what it was to move`);
    if (call.joins !== undefined) this.#table.connected(...call.joins, result);
    if (requests === undefined) return;
    const answers = this.#answers(slot, args[0] as number, requests);
    const succeeded = answers.filter((answer) => answer.status === H_SUCCESS).length;
    if (answers.length !== requests.length || succeeded !== result)
      throw new Error(`a batch of ${requests.length} counts ${result}: ${JSON.stringify(answers)}`);
    for (const { status } of answers) this.#journal.saw(`batch ${status}`);
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
      staging: call.changesStaging,
      // Pages that are to be zeroed, of a lend that ends, are so before they are counted; nobody sees them.
      frames: call.changes !== undefined || this.#mayZero() ? this.#allFrames() : [],
    };
    const at = this.#halves.stop(slot, () => this.#callCore(slot, call), leave, this.#draw);
    if (at === 0) return;
    this.#doubt(slot, call);
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
