/**
 * The threads of a walk: which are there, which have stopped in the middle of a call, and how that is mended: by themselves, with
 * their next call or without one, or by the owner, which reaps who has died. Mending may stop, too.
 *
 *     thread 0        the owner: calls, reaps
 *     threads 1, 2    call; may die, and begin again
 *     threads 3, 4    have uses; now and then call, and die
 */
import {
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_SUCCESS,
  THREAD_EPOCH,
  THREAD_MODEL_EPOCH,
  THREAD_MODEL_ROOT,
} from "../../src/layout.js";
import type { Rig } from "./crash-rig.js";
import type { Journal } from "./crash-walk-journal.js";
import type { StagingRuns } from "./crash-walk-staging.js";
import type { WalkTable } from "./crash-walk-table.js";
import type { Uses } from "./crash-walk-uses.js";
import type { Draw } from "./draw.js";

export const OWNER = 0;
const CALLERS: readonly number[] = [1, 2];
const USERS: readonly number[] = [3, 4];

/** What says that a thread uses memory or a device. */
const USE_WORDS: readonly number[] = [THREAD_EPOCH, THREAD_MODEL_EPOCH, THREAD_MODEL_ROOT];

/** Where a thread is stopped that is not stopped. */
const NEVER = 2 ** 30;
/** Rounds after which all must have been mended. */
const ROUNDS = 50;

export class Threads {
  readonly #table: WalkTable;
  readonly #rig: Rig;
  readonly #uses: Uses;
  readonly #staging: StagingRuns;
  readonly #draw: Draw;
  readonly #journal: Journal;
  /** Steps, about, after which a thread mends what it has left, if no call of its own does so before. */
  readonly #patience: number;
  readonly #living = new Set<number>([OWNER]);
  /** Those that have left something; of these those that have died. */
  readonly #stopped = new Set<number>();
  readonly #dead = new Set<number>();
  /** Locks that those held who have left something. */
  readonly #locks = new Map<number, readonly number[]>();
  /** Those of them whose mending was begun, and stopped. */
  readonly #begun = new Set<number>();
  /** Whether something was mended since it was last set. */
  hasMended = false;

  constructor(
    table: WalkTable,
    uses: Uses,
    staging: StagingRuns,
    draw: Draw,
    journal: Journal,
    isAlone: boolean,
  ) {
    this.#table = table;
    this.#rig = table.rig;
    this.#uses = uses;
    this.#staging = staging;
    this.#draw = draw;
    this.#journal = journal;
    this.#patience = draw.pick([2, 2, 5]) as number;
    if (!isAlone) this.begin();
  }

  /** Whether no call is half done. */
  get areQuiet(): boolean {
    return this.#stopped.size === 0;
  }

  /** Those that are not there begin, as far as there are partitions for them. */
  begin(): void {
    const { words } = this.#table;
    for (const slot of [...CALLERS, ...USERS]) {
      const lpid = this.#draw.pick(words.partitions.filter((each) => words.isRunning(each)));
      if (this.#living.has(slot) || lpid === undefined) continue;
      if (this.#rig.core(OWNER).openThread(lpid) !== H_SUCCESS) continue;
      // Slots are taken from the lowest on.
      if (this.#rig.result(OWNER) !== slot) throw new Error(`slot ${slot} is not free`);
      this.#living.add(slot);
      this.#journal.note(`  thread ${slot} begins`);
    }
  }

  /** Some mend, some are reaped, and who is not there may begin again. */
  turn(isAlone: boolean): void {
    for (const slot of [...this.#stopped]) if (this.#draw.once(this.#patience)) this.mend(slot);
    for (const slot of [...this.#dead]) if (this.#draw.once(this.#patience)) this.#reap(slot);
    if (!isAlone && this.areQuiet && this.#draw.once(4)) this.begin();
  }

  /** A thread to have a use, undefined if it cannot just now. */
  user(): number | undefined {
    const slot = this.#draw.pick(USERS) as number;
    return this.#living.has(slot) && !this.#stopped.has(slot) ? slot : undefined;
  }

  /** A thread to make a call: of those that have stopped one often, so that it mends first; now and then one that has a use. */
  caller(): number {
    const draw = this.#draw;
    const isUser = draw.once(40);
    const callers = [...this.#living].filter((slot) => USERS.includes(slot) === isUser);
    const stopped = callers.filter((slot) => this.#stopped.has(slot));
    return draw.pick(draw.once(3) && stopped.length > 0 ? stopped : callers) ?? OWNER;
  }

  /** Those that have not died. */
  get living(): readonly number[] {
    return [...this.#living];
  }

  /** Those of them that have left nothing. */
  get ready(): readonly number[] {
    return this.living.filter((slot) => !this.#stopped.has(slot));
  }

  /** Before which store the next call stops, if it has so many. */
  drawStop(): number {
    const { doublings } = this.#table.size;
    const isStopped = this.#draw.once(this.areQuiet ? 3 : 2);
    // As often in the first few stores, where locks are taken, as in the many of a long call.
    return isStopped ? Math.ceil(2 ** (this.#draw.below(doublings * 100) / 100)) : NEVER;
  }

  /** A thread has stopped in a call, and lives on or dies. */
  stops(slot: number, dies: boolean): void {
    this.#journal.saw("a call stops");
    if (!this.areQuiet) this.#journal.saw("a call stops while another one is half done");
    this.#stopped.add(slot);
    // By its locks it knows later that there is something to mend.
    if (!this.#rig.isQuiescent(slot) && !this.#rig.inCall.includes(slot) && !this.#rig.isReaping(slot))
      throw new Error(`thread ${slot} has changed something without having any locks`);
    this.#noteLocks(slot);
    if (dies) this.dies(slot);
  }

  #noteLocks(slot: number): void {
    this.#begun.delete(slot);
    // What it took over from the dead is noted as theirs.
    if (this.#rig.isReaping(slot)) this.#locks.delete(slot);
    else this.#locks.set(slot, this.#rig.heldBy(slot));
  }

  /** Who has lost a lock before what it had left was mended, "" if nobody has. */
  get robbed(): string {
    const rig = this.#rig;
    for (const [slot, locks] of this.#locks) {
      const isBegun = this.#begun.has(slot);
      if (isBegun && rig.isQuiescent(slot)) continue;
      const held = [...rig.heldBy(slot), ...(isBegun ? rig.heldBy(OWNER) : [])];
      const lost = locks.filter((lock) => !held.includes(lock));
      if (lost.length > 0)
        return `thread ${slot} has lost its locks ${lost.join()} before its call was mended`;
    }
    return "";
  }

  /** What a thread has left is mended. */
  #mended(slot: number): boolean {
    this.#locks.delete(slot);
    this.#begun.delete(slot);
    return this.#stopped.delete(slot);
  }

  /** A thread has come to the end of a call: what it had left before is mended. */
  called(slot: number): void {
    const isLeft = this.#rig.inCall.includes(slot) || !this.#rig.isQuiescent(slot);
    if (isLeft || !this.#mended(slot)) return;
    this.#journal.note(`  thread ${slot} has mended`);
    this.#journal.saw("a call mends another one of its thread");
    this.hasMended = true;
  }

  /** Without making a call. Answers whether it came to the end of that. */
  mend(slot: number): boolean {
    if (this.#dead.has(slot)) return false;
    const core = this.#rig.core(slot);
    if (this.#rig.crash(() => core.mendCall(), this.drawStop())) {
      this.#journal.note(`  thread ${slot} stops while it mends`);
      this.#journal.saw("a mending stops");
      this.#begun.add(slot);
      return false;
    }
    // It may have stopped in a use.
    core.endUse();
    this.#journal.note(`  thread ${slot} mends`);
    this.#journal.saw("a thread mends");
    this.#mended(slot);
    this.hasMended = true;
    return true;
  }

  /** In the middle of another one's call, which waits for them, all that live mend. */
  mendMeanwhile(caller: number): void {
    for (const slot of [...this.#stopped]) {
      if (slot === caller || this.#dead.has(slot)) continue;
      const core = this.#rig.core(slot);
      this.#rig.run(() => core.mendCall());
      core.endUse();
      this.#journal.note(`  thread ${slot} mends`);
      this.#mended(slot);
      this.hasMended = true;
    }
  }

  /** A thread dies, in a call, in a use, or outside of any; the owner hears of it at once or later. */
  dies(slot: number): void {
    this.#journal.note(`  thread ${slot} dies`);
    this.#journal.saw("a thread dies");
    this.#living.delete(slot);
    this.#dead.add(slot);
    this.#stopped.add(slot);
    this.#staging.doubt(slot);
    if (this.#draw.once(2)) this.#reap(slot);
  }

  #reap(slot: number): void {
    const owner = this.#rig.core(OWNER);
    this.#begun.add(slot);
    let status = 0;
    const reap = (): void => {
      status = owner.reapThread(slot);
    };
    if (this.#rig.crash(reap, this.drawStop())) {
      this.#journal.note(`  the owner stops while it reaps thread ${slot}`);
      this.#journal.saw("a reaping stops");
      this.#stopped.add(OWNER);
      this.#noteLocks(OWNER);
      this.#endUse(slot);
      return;
    }
    this.#endUse(slot);
    this.#journal.note(`  the owner reaps thread ${slot}: ${status}`);
    this.called(OWNER);
    this.hasMended = true;
    if (status === H_LONG_BUSY_10_MSEC) return;
    // H_PARAMETER: one that stopped before had come to its end.
    if (status !== H_SUCCESS && status !== H_PARAMETER) throw new Error(`reapThread() answers ${status}`);
    if (USE_WORDS.some((offset) => this.#rig.word(this.#rig.threadAt(slot) + offset) !== 0))
      throw new Error(`thread ${slot} is reaped, and a use of it goes on`);
    this.#journal.saw("a thread is reaped");
    this.#dead.delete(slot);
    this.#mended(slot);
    this.#staging.forget(slot);
  }

  /** The use of a dead thread is over, if whoever reaps it has come so far. */
  #endUse(slot: number): void {
    if (!this.#uses.isOpen(slot)) this.#uses.forget(slot);
  }

  mendAll(): void {
    for (let round = 0; !this.areQuiet; round++) {
      if (round > ROUNDS) throw new Error(`nobody mends: ${[...this.#stopped].join()}`);
      for (const slot of [...this.#stopped]) this.mend(slot);
      for (const slot of [...this.#dead]) this.#reap(slot);
    }
  }
}
