/**
 * Chaos: workers that are partitions carry out a seeded mix of all operations while the driver kills them at random
 * moments, several at once. After each death the partition must be recovered, the audit clean, the counters balanced,
 * and every wait settled; what the survivors read is checked by themselves.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { HcallError, isBusy, LparError } from "../errors.js";
import { PAGE_BYTES } from "../layout.js";
import type { Partition } from "../partition.js";
import { ResourceTable } from "../resource-table.js";
import type { PartitionWorker } from "../spawn.js";
import { Board, OPERATIONS, STATE_WORKING } from "./board.js";
import { DEATHS, type Death } from "./deaths.js";
import { ACTOR_PAGES, equip, LMB_PAGES, SPACES } from "./equipment.js";
import { Home } from "./home.js";
import { ResidentMemory } from "./memory.js";
import { type ChaosOptions, checkOptions } from "./options.js";
import { Plan, type PlannedDeath } from "./plan.js";
import { Random } from "./random.js";
import { Violation } from "./records.js";
import { type ChaosReport, percentilesOf } from "./report.js";
import type { ActorData } from "./worker.js";

const WORKER = new URL("./worker.js", import.meta.url);

const HOME_PAGES = 32;
/** For pages that move, pages that are copied, and LMBs that were donated and outlive their donors. */
const SPARE_PAGES = 64;
const SPARE_PAGES_EACH = 32;
/** What a device stages its transfers in. */
const STAGING_PAGES_EACH = 20;
/** A stack overflow takes as long as the stack is deep. */
const LIMITS = { stackSizeMb: 1 };
/** A thread lives for less than so many rounds of up to 60 operations. */
const TURNS_MOST = 30;
/** A thread that has been told to die, a recovery, a lock, a notice: what takes longer than this hangs. */
const PATIENCE_MS = 20_000;
/** What the frames are compacted after. */
const COMPACT_MS = 20;
/** How often the owner's event loop is looked at. */
const LOOP_MS = 5;

/** One partition, with the thread that it is at the moment. */
interface Seat {
  readonly index: number;
  readonly partition: Partition;
  readonly board: Board;
  readonly random: Random;
  handle: PartitionWorker | undefined;
  /** Rounds that all its threads must have done before this one dies, unless it dies early. */
  turnsDue: number;
  /** Whether its end has been ordered or is being cleaned up. */
  isDying: boolean;
  deaths: number;
}

export interface ChaosRun {
  readonly signal?: AbortSignal;
  /** After each death that is over. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Bytes of resident memory, as residentBytes() has them. */
  readonly rss?: () => number;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Milliseconds by which a look at the loop came late, of the nanoseconds between two looks. */
function lateness(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - LOOP_MS);
}

export class Chaos {
  readonly #options: Required<ChaosOptions>;
  readonly #plan: Plan;
  readonly #table: ResourceTable;
  readonly #home: Home;
  readonly #seats: readonly Seat[];
  readonly #killsByKind: Map<string, number> = new Map(DEATHS.map(({ kind }) => [kind, 0]));
  readonly #recoveries: number[] = [];
  /** Why each partition failed last, as the table says. */
  readonly #reasons: Map<number, string> = new Map();
  readonly #working: Set<Promise<void>> = new Set();
  #ordered = 0;
  #done = 0;
  #audits = 0;
  #facts = 0;
  #violation: ChaosReport["violation"] = null;
  #isOver = false;

  /** @throws RangeError for options out of range, naming option, value and bounds. */
  constructor(options: ChaosOptions = {}) {
    this.#options = checkOptions(options);
    const { workers, seed, graceMs } = this.#options;
    this.#plan = new Plan(seed, workers);
    this.#table = ResourceTable.create({
      memory: (workers * (ACTOR_PAGES + SPARE_PAGES_EACH) + HOME_PAGES + SPARE_PAGES) * PAGE_BYTES,
      logicalSpace: 4 * ACTOR_PAGES * PAGE_BYTES,
      spaces: SPACES,
      partitions: workers + 1,
      threads: workers,
      // Closed ends stay until their partner has returned what it had.
      adapters: 16 * workers * workers,
      grants: 4096,
      staging: (64 + STAGING_PAGES_EACH * workers) * PAGE_BYTES,
      gracePeriodMs: graceMs,
    });
    this.#home = new Home(this.#table, HOME_PAGES * PAGE_BYTES, (error) => this.#fail(error));
    this.#seats = Array.from({ length: workers }, (_, index) => ({
      index,
      partition: this.#table.createPartition({
        name: `worker ${index}`,
        memory: ACTOR_PAGES * PAGE_BYTES,
        lmb: LMB_PAGES * PAGE_BYTES,
      }),
      board: new Board(),
      random: new Random(seed, index + 1),
      handle: undefined,
      turnsDue: 0,
      isDying: true,
      deaths: 0,
    }));
    for (const { partition, index } of this.#seats) equip(this.#table, partition, index);
  }

  /** Runs to the last kill, or to the first violation. Once. */
  async run({ signal, onProgress = () => {}, rss = () => 0 }: ChaosRun = {}): Promise<ChaosReport> {
    const began = performance.now();
    const delay = monitorEventLoopDelay({ resolution: LOOP_MS });
    delay.enable();
    const resident = new ResidentMemory(this.#options.kills);
    const watching = [this.#watch(), this.#learnReasons(), this.#compact()];
    try {
      await this.#kill(signal, () => {
        resident.sample(rss());
        onProgress(this.#done, this.#options.kills);
      });
      if (signal?.aborted !== true && this.#violation === null) await this.#takeDown();
      if (resident.fault !== undefined) throw new Violation(resident.fault);
    } catch (error) {
      this.#fail(error);
    }
    this.#isOver = true;
    const { pagesMoved = Number.NaN } = this.#table.inspect().counters;
    await this.#table.close();
    await Promise.allSettled([...this.#working, ...watching]);
    delay.disable();
    const isInterrupted = signal?.aborted === true && this.#violation === null;
    const verdict = this.#violation !== null ? "violated" : isInterrupted ? "interrupted" : "clean";
    return {
      version: 1,
      verdict,
      options: this.#options,
      kills: this.#done,
      killsByKind: Object.fromEntries(this.#killsByKind),
      seconds: (performance.now() - began) / 1000,
      ...this.#countOperations(),
      recoveryMs: this.#recoveries.length === 0 ? null : percentilesOf(this.#recoveries),
      loopDelayMs: {
        p50: lateness(delay.percentile(50)),
        p90: lateness(delay.percentile(90)),
        p99: lateness(delay.percentile(99)),
        max: lateness(delay.max),
      },
      audits: this.#audits,
      pagesMoved,
      factsAudited: this.#facts,
      rss: resident.levels,
      violation: this.#violation,
    };
  }

  #countOperations(): Pick<ChaosReport, "operations" | "operationsByKind"> {
    const counts = OPERATIONS.map((name) => {
      const count = this.#seats.reduce((sum, { board }) => sum + board.counted(name), 0);
      return [name, count] as const;
    });
    const operationsByKind = Object.fromEntries(counts);
    const operations = counts.reduce((sum, [name, count]) => (name === "refused" ? sum : sum + count), 0);
    return { operations, operationsByKind };
  }

  // -------------------------------------------------------------- violations

  /** Only the first one counts. */
  #fail(error: unknown): void {
    if (this.#violation !== null || this.#isOver) return;
    const isPlain = error instanceof Violation;
    const what =
      error instanceof Error ? (isPlain ? error.message : (error.stack ?? error.message)) : String(error);
    this.#violation = { step: this.#ordered, what };
  }

  get #hasFailed(): boolean {
    return this.#violation !== null;
  }

  #hearAccusations(): void {
    for (const { board, partition } of this.#seats) {
      const { accusation } = board;
      if (accusation !== undefined) this.#fail(new Violation(`${partition.name}: ${accusation}`));
    }
  }

  /** Learns why partitions fail; a thread that nobody killed must not end. */
  async #learnReasons(): Promise<void> {
    for await (const { type, lpid, reason = "" } of this.#table.events()) {
      if (type !== "partition-failed") continue;
      this.#reasons.set(lpid, reason);
      const seat = this.#seats.find(({ partition }) => partition.lpid === lpid);
      if (seat !== undefined && !seat.isDying)
        this.#fail(new Violation(`${seat.partition.name} ended by itself: ${reason}`));
    }
  }

  /** Looks at what the workers say, and at what comes by itself. */
  async #watch(): Promise<void> {
    try {
      while (!this.#isOver && !this.#hasFailed) {
        this.#hearAccusations();
        const open = new Set(this.#home.partition.adapters.map(({ unitAddress }) => unitAddress));
        this.#home.tend(({ unitAddress }) => open.has(unitAddress));
        await sleep(2);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Moves everybody's pages to lower frames again and again. */
  async #compact(): Promise<void> {
    try {
      while (!this.#isOver && !this.#hasFailed) {
        await this.#inTime("compact()", this.#table.compact());
        await sleep(COMPACT_MS);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Goes on with a call until the table is not locked: a busy machine may keep who holds a lock from running for a while. */
  async #patiently<T>(call: () => T): Promise<T> {
    const until = performance.now() + PATIENCE_MS;
    while (performance.now() < until) {
      try {
        return call();
      } catch (error) {
        if (!isBusy(error)) throw error;
      }
      await sleep(1);
    }
    throw new Violation(`the table was locked for ${PATIENCE_MS} ms`);
  }

  async #inTime<T>(what: string, promise: Promise<T>): Promise<T> {
    const patience = PATIENCE_MS + this.#options.graceMs;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Violation(`${what}: nothing after ${patience} ms`)), patience);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  // -------------------------------------------------------------- life and death

  /** Work that goes on beside the killing; what goes wrong in it is a violation. */
  #background(work: Promise<void>): void {
    const watched = work.catch((error) => {
      // What the end of the run interrupts is nobody's fault.
      if (!(error instanceof LparError && error.code === "LPAR_CLOSED")) this.#fail(error);
    });
    this.#working.add(watched);
    void watched.finally(() => this.#working.delete(watched));
  }

  async #start(seat: Seat): Promise<void> {
    const { partition, board, random, index } = seat;
    board.reset();
    for (const other of [this.#home, ...this.#seats]) {
      if (other === seat || other.partition.state !== "running") continue;
      // A neighbour that sits down at the same moment may have made the connection already.
      if (partition.adapters.some(({ partner }) => partner === other.partition)) continue;
      try {
        const adapter = await this.#patiently(() =>
          this.#table.connect(other.partition, partition, { grants: 200 }),
        );
        if (other === this.#home) this.#home.welcome(adapter);
      } catch (error) {
        // It was killed meanwhile.
        if (!(error instanceof HcallError) || error.code !== "H_RESCINDED" || other === this.#home)
          throw error;
      }
    }
    const { seed } = this.#options;
    const workerData: ActorData = { board: board.buffer, seeds: [seed, index, random.word()] };
    seat.turnsDue = (board.turns + random.below(TURNS_MOST)) >>> 0;
    seat.isDying = false;
    const spawned = this.#table.spawn(partition, WORKER, { workerData, resourceLimits: LIMITS });
    seat.handle = await this.#inTime(`spawn() of ${partition.name}`, spawned);
  }

  /** Orders deaths until there were enough, one after the other but without waiting for the end of the last. */
  async #kill(signal: AbortSignal | undefined, onDeath: () => void): Promise<void> {
    const { kills } = this.#options;
    for (const seat of this.#seats) this.#background(this.#start(seat));
    while (this.#ordered < kills && !this.#hasFailed && signal?.aborted !== true) {
      const planned = this.#plan.next();
      await sleep(planned.pauseMs);
      const seat = await this.#findVictim(planned, signal);
      if (seat === undefined) return;
      this.#ordered++;
      seat.isDying = true;
      this.#background(this.#endOf(seat, planned.death, onDeath));
    }
    while (this.#done < this.#ordered && !this.#hasFailed && signal?.aborted !== true) await sleep(1);
  }

  /** The thread that dies. One that waits for something too long lives until it is known how that ends. */
  async #findVictim(
    { isEarly, seat: from }: PlannedDeath,
    signal: AbortSignal | undefined,
  ): Promise<Seat | undefined> {
    const inOrder = [...this.#seats.slice(from), ...this.#seats.slice(0, from)];
    const until = performance.now() + PATIENCE_MS;
    while (!this.#hasFailed && signal?.aborted !== true) {
      const seat = inOrder.find(
        ({ handle, isDying, board, turnsDue }) =>
          handle !== undefined &&
          !isDying &&
          !board.isOverdue &&
          (isEarly || (board.state === STATE_WORKING && board.turns >= turnsDue)),
      );
      if (seat !== undefined) return seat;
      if (performance.now() > until) throw new Violation(`no thread came to work for ${PATIENCE_MS} ms`);
      await sleep(1);
    }
    return undefined;
  }

  async #endOf(seat: Seat, death: Death, onDeath: () => void): Promise<void> {
    const { partition, board } = seat;
    const handle = seat.handle as PartitionWorker;
    seat.handle = undefined;
    const exited = new Promise<number>((resolve) => {
      // Before the table's own listener: the time from here on is the recovery's.
      handle.worker.prependOnceListener("exit", () => resolve(performance.now()));
    });
    const what = `${partition.name}, killed by "${death.kind}"`;
    const victim = { table: this.#table, handle, board };
    await this.#patiently(() => death.inflict(victim));
    const exitedAt = await this.#inTime(`${what}: exit`, exited);
    await this.#inTime(`${what}: recovered()`, this.#table.recovered(partition));
    this.#recoveries.push(performance.now() - exitedAt);
    seat.deaths++;
    await this.#check(seat, what);
    const reason = this.#reasons.get(partition.lpid);
    if (reason === undefined || !death.reason.test(reason))
      throw new Violation(`${what}: the table says that it ended by "${reason}"`);
    this.#reasons.delete(partition.lpid);
    this.#killsByKind.set(death.kind, (this.#killsByKind.get(death.kind) ?? 0) + 1);
    this.#done++;
    onDeath();
    if (this.#isOver) return;
    await this.#patiently(() => this.#table.restart(partition));
    await this.#start(seat);
  }

  /** Everything that must hold after a recovery. */
  async #check({ partition, deaths }: Seat, what: string): Promise<void> {
    if (partition.state !== "stopped") throw new Violation(`${what}: it is ${partition.state}`);
    const kept = Object.entries(partition.usage()).filter(([, count]) => count !== 0);
    if (kept.length > 0)
      throw new Violation(`${what}: it still holds ${JSON.stringify(Object.fromEntries(kept))}`);
    await this.#audit(what);
    await this.#until(() => this.#home.notices.recoveries(partition.lpid) >= deaths);
    if (!this.#isOver) this.#home.checkNotices(partition.lpid, deaths);
  }

  /** Until it is so, or it is too late. */
  async #until(isSo: () => boolean): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!isSo() && !this.#isOver && performance.now() < end) await sleep(0);
  }

  async #audit(what: string): Promise<void> {
    const { problems, checked } = await this.#patiently(() => this.#table.audit());
    this.#audits++;
    this.#facts += checked;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
    if (problems.length > 0) throw new Violation(`${what}: ${problems[0]}${more}`);
  }

  /** The end: nobody is left, and nothing is left of anybody. */
  async #takeDown(): Promise<void> {
    for (const seat of this.#seats) seat.isDying = true;
    await Promise.allSettled([...this.#working]);
    for (const seat of this.#seats) seat.isDying = true;
    if (this.#hasFailed) return;
    const partitions = [...this.#seats.map(({ partition }) => partition), this.#home.partition];
    for (const partition of partitions)
      await this.#inTime(`destroyPartition("${partition.name}")`, this.#table.destroyPartition(partition));
    await this.#until(() => this.#home.waits === 0);
    if (this.#home.waits > 0)
      throw new Violation(`${this.#home.waits} waits of "home" did not end with its partition`);
    await this.#audit("after all partitions are gone");
    const { counters } = this.#table.inspect();
    const { frames = Number.NaN, framesFree = Number.NaN } = counters;
    const { framesQuarantined, structuresUsed, adapterEndsUsed, partitions: used } = counters;
    const left = { frames: frames - framesFree, framesQuarantined, structuresUsed, adapterEndsUsed, used };
    if (Object.values(left).some((count) => count !== 0))
      throw new Violation(`after all partitions are gone there are left: ${JSON.stringify(left)}`);
    this.#hearAccusations();
  }
}
