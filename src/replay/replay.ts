/**
 * Replays traces: each is a client, its pages come from the server by demand, and all take turns. When half of the
 * references are done the server may crash; the clients go on with what they have mapped until its grace period is over.
 */
import { type Clock, nextTurn, systemClock } from "../clock.js";
import type { ResourceTable } from "../index.js";
import type { Client } from "./client.js";
import { balanceProblems, Ledger, noticeProblems, type TableCounts } from "./ledger.js";
import { NoticeCounter } from "./notices.js";
import { type CheckedOptions, checkReplayOptions, type ReplayOptions } from "./options.js";
import { type CrashReport, chartColumn, memoryOf, type ReplayReport, reportOf } from "./report.js";
import { type NamedTrace, World } from "./world.js";

export interface RunOptions {
  /** Ends the replay; the report says how far it came. */
  readonly signal?: AbortSignal;
  /** Called every few milliseconds. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Longest time in milliseconds without a turn of the event loop. */
const TURN_MS = 4;
const CHART_COLUMNS = 60;
/**
 * References that may be done in the grace period, by all clients in equal parts. A number rather than a time, so that the
 * seed alone decides what happens.
 */
export const GRACE_REFERENCES = 131_072;

export class Replay {
  readonly #options: CheckedOptions;
  readonly #clock: Clock;
  readonly #ledger = new Ledger();
  readonly #world: World;
  readonly #notices = new NoticeCounter();
  readonly #references: number;
  readonly #pageFaults: number[] = new Array(CHART_COLUMNS).fill(0);
  readonly #problems: string[] = [];
  #audited = 0;
  #turnAt = 0;
  #runOptions: RunOptions = {};
  #crash: CrashReport | null = null;
  /** Milliseconds for which nobody could run. */
  #idleMs = 0;

  /** @throws RangeError naming the option, the value and the bounds, or what does not fit one table. */
  constructor(traces: readonly NamedTrace[], options: ReplayOptions = {}, clock: Clock = systemClock) {
    this.#options = checkReplayOptions(options);
    this.#clock = clock;
    this.#world = new World(traces, this.#options, this.#ledger, clock);
    this.#references = traces.reduce((sum, { trace }) => sum + trace.length, 0);
  }

  /**
   * Replays everything, takes everything down again, and says what it found. To be called once.
   * @throws HcallError if a call is refused that must succeed.
   */
  async run(options: RunOptions = {}): Promise<ReplayReport> {
    this.#runOptions = options;
    const { table, server, relay, clients, logicalPages } = this.#world;
    const memory = memoryOf(table, logicalPages);
    const startedAt = this.#clock.now();
    let endedAt = Number.NaN;
    let interrupted = false;
    try {
      for (const partition of [server, relay, ...clients.map((client) => client.partition)])
        this.#notices.follow(partition);
      await this.#turn();
      await this.#takeTurns();
      endedAt = this.#clock.now();
      await this.#takeDown();
    } catch (error) {
      if (options.signal?.aborted !== true || error !== options.signal.reason) throw error;
      interrupted = true;
    } finally {
      await this.#notices.stop();
      await table.close();
    }
    if (Number.isNaN(endedAt)) endedAt = this.#clock.now();
    return reportOf(clients, this.#world.plan, this.#options, memory, this.#ledger, {
      interrupted,
      seconds: (endedAt - startedAt - this.#idleMs) / 1000,
      crash: this.#crash,
      notices: this.#notices.counts,
      pageFaults: this.#pageFaults,
      audited: this.#audited,
      problems: this.#problems,
    });
  }

  /** Lets the event loop turn. @throws the signal's reason. */
  async #turn(): Promise<void> {
    this.#runOptions.onProgress?.(this.#ledger.references, this.#references);
    await nextTurn();
    this.#runOptions.signal?.throwIfAborted();
    this.#turnAt = this.#clock.now() + TURN_MS;
  }

  /** Round robin, until all traces are at their end. */
  async #takeTurns(): Promise<void> {
    const ledger = this.#ledger;
    let crashAt = this.#options.crash ? Math.floor(this.#references / 2) : Number.POSITIVE_INFINITY;
    while (ledger.references < this.#references) {
      for (const client of this.#world.clients) {
        if (ledger.references === crashAt) {
          crashAt = Number.POSITIVE_INFINITY;
          await this.#fail();
        }
        const limit = Math.min(this.#options.quantum, crashAt - ledger.references);
        await this.#slice(client, limit);
      }
    }
  }

  async #slice(client: Client, limit: number): Promise<void> {
    const end = Math.min(client.position + limit, client.trace.length);
    while (client.position < end) {
      this.#step(client, end);
      if (this.#clock.now() >= this.#turnAt) await this.#turn();
    }
  }

  #step(client: Client, end: number): boolean {
    const faults = this.#ledger.pageFaults;
    const isServed = client.step(end - client.position, this.#world.pager);
    const column = chartColumn(this.#ledger.references, this.#references, CHART_COLUMNS);
    this.#pageFaults[column] = (this.#pageFaults[column] ?? 0) + this.#ledger.pageFaults - faults;
    return isServed;
  }

  /** The server fails, is recovered, starts again. */
  async #fail(): Promise<void> {
    const { table, server, pager } = this.#world;
    const at = this.#ledger.references;
    const failedAt = this.#clock.now();
    this.#ledger.crashes++;
    pager.close();
    table.fail(server, "the replay lets it crash");
    if (this.#options.graceMs > 0) this.#useGrace();
    this.#ledger.graceReferences = this.#ledger.references - at;
    const idleFrom = this.#clock.now();
    try {
      await this.#recover();
    } finally {
      const now = this.#clock.now();
      this.#idleMs += now - idleFrom;
      const graceUntil = Math.max(failedAt + this.#options.graceMs, idleFrom);
      this.#crash = this.#describeCrash(at, now - failedAt, Math.max(0, now - graceUntil));
    }
    this.#balance("after the crash");
  }

  async #recover(): Promise<void> {
    const { table, server, pager } = this.#world;
    const { signal } = this.#runOptions;
    this.#runOptions.onProgress?.(this.#ledger.references, this.#references);
    await table.recovered(server, signal === undefined ? {} : { signal });
    pager.lose();
    table.restart(server);
    this.#notices.follow(server);
    this.#world.connectServer();
  }

  #describeCrash(at: number, downMs: number, recoveryMs: number): CrashReport {
    const { graceMs } = this.#options;
    const { lost, graceReferences, stalls } = this.#ledger;
    return { at, graceMs, downMs, recoveryMs, lostMappings: lost, graceReferences, stalls };
  }

  /** What is mapped still works: each client runs until it needs the server. No timer can come in between. */
  #useGrace(): void {
    const { clients } = this.#world;
    const limit = Math.floor(GRACE_REFERENCES / clients.length);
    for (const client of clients) {
      const end = Math.min(client.position + limit, client.trace.length);
      while (client.position < end && this.#step(client, end));
    }
  }

  /** Everything is given back and ends; after each step all must add up. */
  async #takeDown(): Promise<void> {
    const { table, pager, server, relay, clients } = this.#world;
    this.#balance("after the replay");
    for (const client of clients) while (client.giveBackSome(pager)) await this.#turn();
    pager.checkPages();
    this.#balance("after all was given back");
    this.#expectUnused(table);
    await this.#notices.stop();
    const partners = clients.length + 1;
    this.#problems.push(...noticeProblems(this.#ledger, partners, this.#notices.counts));
    for (const partition of [...clients.map((client) => client.partition), relay, server])
      await table.destroyPartition(partition);
    this.#expectEmpty(table);
    this.#problems.push(...this.#ledger.faults);
  }

  #balance(when: string): void {
    const { table, clients, pager } = this.#world;
    const believed = { mapped: pager.relayed, rescinded: 0 };
    let needs = 0;
    for (const client of clients) {
      needs += client.needs;
      believed.mapped += client.standing.mapped;
      believed.rescinded += client.standing.rescinded;
    }
    const unbalanced = balanceProblems(this.#ledger, needs, believed, countTable(table));
    this.#problems.push(...unbalanced.map((problem) => `${when}, ${problem}`));
    this.#audit(table, when);
  }

  #audit(table: ResourceTable, when: string): void {
    const { problems, checked } = table.audit();
    this.#audited += checked;
    this.#problems.push(...problems.map((problem) => `${when}, audit: ${problem}`));
  }

  /** Nothing is granted any more: every quota is whole, and only the server's memory has a structure. */
  #expectUnused(table: ResourceTable): void {
    const { counters, partitions } = table.inspect();
    if (counters.structuresUsed !== 1)
      this.#problems.push(`${counters.structuresUsed} structures are left, not 1`);
    for (const { name, adapters } of partitions) {
      for (const { used, unreturned } of adapters)
        if (used + unreturned > 0) this.#problems.push(`"${name}" has ${used + unreturned} of a quota left`);
    }
  }

  /** No partition is left, and no frame, structure or adapter is missing. */
  #expectEmpty(table: ResourceTable): void {
    const { counters } = table.inspect();
    for (const name of ["partitions", "structuresUsed", "adapterEndsUsed", "framesQuarantined"])
      if (counters[name] !== 0) this.#problems.push(`${name} is ${counters[name]} at the end, not 0`);
    if (counters.framesFree !== counters.frames)
      this.#problems.push(`${counters.framesFree} frames of ${counters.frames} came back`);
    this.#audit(table, "at the end");
  }
}

function countTable(table: ResourceTable): TableCounts {
  const counts = { mapped: 0, rescinded: 0, grantsOut: 0, grantsIn: 0 };
  for (const partition of table.partitions) {
    const usage = partition.usage();
    counts.mapped += usage.pagesMapped;
    counts.rescinded += usage.rescinded;
    counts.grantsOut += usage.grantsOut;
    counts.grantsIn += usage.grantsIn;
  }
  return counts;
}
