/**
 * Chaos: workers that are partitions carry out a seeded mix of all operations while the driver kills them at random
 * moments, several at once. After each death the partition must be recovered, the audit clean, the counters balanced,
 * and every wait settled; what the survivors read is checked by themselves.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { HcallError, LparError } from "../errors.js";
import { PAGE_BYTES } from "../layout.js";
import type { Partition } from "../partition.js";
import { type PartitionWorker, ResourceTable } from "../resource-table.js";
import { Board, OPERATIONS, STATE_WORKING } from "./board.js";
import { DEATHS, type Death } from "./deaths.js";
import { Home } from "./home.js";
import { type ChaosOptions, checkOptions } from "./options.js";
import { Random } from "./random.js";
import { Violation } from "./records.js";
import { type ChaosReport, percentilesOf } from "./report.js";
import type { ActorData } from "./worker.js";

const WORKER = new URL("./worker.js", import.meta.url);

const ACTOR_PAGES = 48;
const LMB_PAGES = 16;
const HOME_PAGES = 32;
const SPARE_PAGES = 64;
/** A stack overflow takes as long as the stack is deep. */
const LIMITS = { stackSizeMb: 1 };
/** A thread lives for less than so many rounds of up to 60 operations. */
const TURNS_MOST = 30;
/** A thread that has been told to die, a recovery, a notice: what takes longer than this hangs. */
const PATIENCE_MS = 20_000;
/** Memory that grows by more than half and this much over at least so many deaths leaks. */
const RSS_SLACK = 64 * 2 ** 20;
const RSS_KILLS = 500;

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
  /** Bytes of resident memory. */
  readonly rss?: () => number;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export class Chaos {
  readonly #options: Required<ChaosOptions>;
  readonly #random: Random;
  readonly #table: ResourceTable;
  readonly #home: Home;
  readonly #seats: readonly Seat[];
  readonly #killsByKind: Map<string, number> = new Map(DEATHS.map(({ kind }) => [kind, 0]));
  readonly #recoveries: number[] = [];
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
    this.#random = new Random(seed);
    this.#table = ResourceTable.create({
      memory: (workers * ACTOR_PAGES + HOME_PAGES + SPARE_PAGES) * PAGE_BYTES,
      logicalSpace: 4 * ACTOR_PAGES * PAGE_BYTES,
      spaces: { mmio: PAGE_BYTES, dma: PAGE_BYTES, interrupt: 1, ipi: 1 },
      partitions: workers + 1,
      threads: workers,
      // Closed ends stay until their partner has returned what it had.
      adapters: 16 * workers * workers,
      grants: 4096,
      staging: 64 * PAGE_BYTES,
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
  }

  /** Runs to the last kill, or to the first violation. Once. */
  async run({ signal, onProgress = () => {}, rss = () => 0 }: ChaosRun = {}): Promise<ChaosReport> {
    const began = performance.now();
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const warm = Math.min(100, Math.ceil(this.#options.kills / 10));
    let rssStart = 0;
    const watching = this.#watch();
    try {
      await this.#kill(signal, () => {
        if (this.#done >= warm && rssStart === 0) rssStart = rss();
        onProgress(this.#done, this.#options.kills);
      });
      if (signal?.aborted !== true && this.#violation === null) await this.#takeDown();
    } catch (error) {
      this.#fail(error);
    }
    const rssEnd = rss();
    if (this.#done >= RSS_KILLS && rssEnd > rssStart * 1.5 + RSS_SLACK)
      this.#fail(new Violation(`memory grew from ${rssStart} to ${rssEnd} bytes`));
    this.#isOver = true;
    await this.#table.close();
    await Promise.allSettled([...this.#working, watching]);
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
        p50: delay.percentile(50) / 1e6,
        p90: delay.percentile(90) / 1e6,
        p99: delay.percentile(99) / 1e6,
        max: delay.max / 1e6,
      },
      audits: this.#audits,
      factsAudited: this.#facts,
      rss: { start: rssStart, end: rssEnd },
      violation: this.#violation,
    };
  }

  #countOperations(): Pick<ChaosReport, "operations" | "operationsByKind"> {
    const counts = OPERATIONS.map((name, operation) => {
      const count = this.#seats.reduce((sum, { board }) => sum + board.counted(operation), 0);
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

  /** Looks at what the workers say, and at what comes by itself. */
  async #watch(): Promise<void> {
    try {
      while (!this.#isOver && !this.#hasFailed) {
        for (const { board, partition } of this.#seats) {
          const { accusation } = board;
          if (accusation !== undefined) this.#fail(new Violation(`${partition.name}: ${accusation}`));
        }
        const open = new Set(this.#home.partition.adapters.map(({ unitAddress }) => unitAddress));
        this.#home.tend(({ unitAddress }) => open.has(unitAddress));
        await sleep(2);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Goes on with a call until the table is not locked: the owner's thread hardly waits. */
  async #patiently<T>(call: () => T): Promise<T> {
    while (true) {
      try {
        return call();
      } catch (error) {
        if (!(error instanceof HcallError) || error.code !== "H_LongBusyOrder10msec") throw error;
      }
      await sleep(1);
    }
  }

  async #inTime<T>(what: string, promise: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Violation(`${what}: nothing after ${PATIENCE_MS} ms`)),
        PATIENCE_MS,
      );
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
    const handle = await this.#table.spawn(partition, WORKER, { workerData, resourceLimits: LIMITS });
    seat.handle = handle;
    const { worker } = handle;
    worker.once("exit", (code) => {
      if (seat.isDying || this.#isOver) return;
      this.#fail(new Violation(`${partition.name} ended by itself, with exit code ${code}`));
    });
  }

  /** Orders deaths until there were enough, one after the other but without waiting for the end of the last. */
  async #kill(signal: AbortSignal | undefined, onDeath: () => void): Promise<void> {
    const { kills } = this.#options;
    for (const seat of this.#seats) this.#background(this.#start(seat));
    while (this.#ordered < kills && !this.#hasFailed && signal?.aborted !== true) {
      await sleep(this.#random.below(12));
      const death = this.#drawDeath();
      const seat = await this.#findVictim(death, signal);
      if (seat === undefined) return;
      this.#ordered++;
      seat.isDying = true;
      this.#background(this.#endOf(seat, death, onDeath));
    }
    while (this.#done < this.#ordered && !this.#hasFailed && signal?.aborted !== true) await sleep(1);
  }

  #drawDeath(): Death {
    const all = DEATHS.reduce((sum, { weight }) => sum + weight, 0);
    let at = this.#random.below(all);
    for (const death of DEATHS) {
      at -= death.weight;
      if (at < 0) return death;
    }
    return DEATHS[0] as Death;
  }

  /** A thread that can die; a sudden death may strike one that is not at work yet. */
  async #findVictim(death: Death, signal: AbortSignal | undefined): Promise<Seat | undefined> {
    const isEarly = death.isSudden && this.#random.once(8);
    const until = performance.now() + PATIENCE_MS;
    while (!this.#hasFailed && signal?.aborted !== true) {
      const candidates = this.#seats.filter(
        ({ handle, isDying, board, turnsDue }) =>
          handle !== undefined &&
          !isDying &&
          (isEarly || (board.state === STATE_WORKING && board.turns >= turnsDue)),
      );
      const seat = this.#random.pick(candidates);
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
    await this.#patiently(() => death.inflict(victim)).then((begun) => begun);
    const exitedAt = await this.#inTime(`${what}: exit`, exited);
    await this.#inTime(`${what}: recovered()`, this.#table.recovered(partition));
    this.#recoveries.push(performance.now() - exitedAt);
    seat.deaths++;
    await this.#check(seat, what);
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
    const until = performance.now() + PATIENCE_MS;
    while (
      this.#home.notices.recoveries(partition.lpid) < deaths &&
      performance.now() < until &&
      !this.#isOver
    )
      await sleep(0);
    if (!this.#isOver) this.#home.checkNotices(partition.lpid, deaths);
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
    await this.#audit("after all partitions are gone");
    const { counters } = this.#table.inspect();
    const left = {
      frames: (counters.frames ?? 0) - (counters.framesFree ?? 0),
      framesQuarantined: counters.framesQuarantined ?? 0,
      structures: counters.structuresUsed ?? 0,
      adapterEnds: counters.adapterEndsUsed ?? 0,
      partitions: counters.partitions ?? 0,
    };
    if (Object.values(left).some((count) => count !== 0))
      throw new Violation(`after all partitions are gone there are left: ${JSON.stringify(left)}`);
  }
}
