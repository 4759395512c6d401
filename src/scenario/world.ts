/** What a running scenario has: one table on a clock of its own, and what its names stand for. */
import type { VirtualAdapter } from "../adapter.js";
import { nextTurn } from "../clock.js";
import type { PartitionEvent } from "../events.js";
import type { Cookie, View } from "../mapping.js";
import type { PartitionOptions, TableOptions } from "../options.js";
import type { Partition } from "../partition.js";
import { ResourceTable } from "../resource-table.js";
import type { TableEvent } from "../table-event.js";
import { ManualClock } from "./manual-clock.js";
import { Random } from "./random.js";
import type { Amount, Resolver } from "./values.js";

/** A step did not go as it must, whatever the library answered. */
export class StepFailure extends Error {
  override readonly name = "StepFailure";
  readonly expected: string;
  readonly got: string;

  constructor(expected: string, got: string) {
    super(`expected ${expected}, got ${got}`);
    this.expected = expected;
    this.got = got;
  }
}

export interface WorldOptions {
  readonly table: Omit<TableOptions, "clock" | "module">;
  readonly seed: number;
  /** Ends waits and long steps. */
  readonly signal: AbortSignal;
  /** Real milliseconds after which a step that waits has failed. */
  readonly waitLimitMs: number;
}

function found<T>(things: ReadonlyMap<string, T>, name: string): T {
  const thing = things.get(name);
  // Names were checked before the first step, and a step that does not give its name ends the scenario.
  if (thing === undefined) throw new Error(`nothing is named ${name}`);
  return thing;
}

export class World implements Resolver {
  readonly table: ResourceTable;
  readonly clock: ManualClock = new ManualClock();
  /** From which all random steps draw, one after the other. */
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly #waitLimitMs: number;
  readonly #partitions: Map<string, Partition> = new Map();
  /** By partition; what comes between two `events` steps. */
  readonly #heard: Map<Partition, PartitionEvent[]> = new Map();
  readonly #tableHeard: TableEvent[] = [];
  readonly #named: Map<string, VirtualAdapter> = new Map();
  /** Oldest first. */
  readonly #adapters: VirtualAdapter[] = [];
  readonly #cookies: Map<string, Cookie> = new Map();
  readonly #grantNames: Map<number, string> = new Map();
  readonly #addresses: Map<string, number> = new Map();
  readonly #views: Map<string, View> = new Map();

  /** @throws RangeError as ResourceTable.create(). */
  constructor(options: WorldOptions) {
    this.table = ResourceTable.create({ ...options.table, clock: this.clock });
    this.random = new Random(options.seed);
    this.signal = options.signal;
    this.#waitLimitMs = options.waitLimitMs;
    void this.#listen(this.table.events(), this.#tableHeard);
  }

  async #listen<T>(events: AsyncIterable<T>, heard: T[]): Promise<void> {
    for await (const event of events) heard.push(event);
  }

  // -------------------------------------------------------------- partitions and what they are told

  createPartition(options: PartitionOptions): Partition {
    const partition = this.table.createPartition(options);
    this.#partitions.set(options.name, partition);
    this.#heard.set(partition, []);
    this.hear(partition);
    return partition;
  }

  /** Listens to a partition that starts: its failure ended the streams that it had. */
  hear(partition: Partition): void {
    void this.#listen(partition.events(), this.#heard.get(partition) as PartitionEvent[]);
  }

  partition(name: string): Partition {
    return found(this.#partitions, name);
  }

  get partitions(): readonly Partition[] {
    return [...this.#partitions.values()];
  }

  /** The name of the partition that has, or had last, this number. */
  nameOfLpid(lpid: number): string {
    return this.partitions.findLast((partition) => partition.lpid === lpid)?.name ?? String(lpid);
  }

  /** What a partition was told since it was asked last. */
  takeEvents(partition: Partition): readonly PartitionEvent[] {
    return this.#heard.get(partition)?.splice(0) ?? [];
  }

  /** @returns what forgets all that partitions are told from now on until it is called. */
  markEvents(): () => void {
    const marks = new Map([...this.#heard.values()].map((heard) => [heard, heard.length]));
    return () => {
      for (const [heard, length] of marks) heard.length = length;
    };
  }

  takeTableEvents(): readonly TableEvent[] {
    return this.#tableHeard.splice(0);
  }

  // -------------------------------------------------------------- adapters

  connect(a: string, b: string, grants: number | undefined, name: string | undefined): VirtualAdapter {
    const options = grants === undefined ? {} : { grants };
    const adapter = this.table.connect(this.partition(a), this.partition(b), options);
    this.#adapters.push(adapter);
    if (name !== undefined) this.#named.set(name, adapter);
    return adapter;
  }

  get adapters(): readonly VirtualAdapter[] {
    return this.#adapters;
  }

  /** What a grant goes to: an adapter by its name, or a partition. */
  grantee(name: string): VirtualAdapter | Partition {
    return this.#named.get(name) ?? this.partition(name);
  }

  /** The adapter of this name, or the newest that joins the two. @throws StepFailure if there is none. */
  adapter(by: Partition, partner: string): VirtualAdapter {
    const named = this.#named.get(partner);
    if (named !== undefined) return named;
    const other = this.partition(partner);
    const newest = this.#adapters.findLast(
      ({ owner, partner }) => (owner === by && partner === other) || (owner === other && partner === by),
    );
    if (newest === undefined) throw new StepFailure(`an adapter between ${by.name} and ${partner}`, "none");
    return newest;
  }

  // -------------------------------------------------------------- names of numbers and views

  nameGrant(name: string | undefined, cookie: Cookie): void {
    if (name === undefined) return;
    this.#cookies.set(name, cookie);
    this.#grantNames.set(cookie, name);
  }

  /** A cookie by its name, or the number itself, which may be none. */
  cookie(grant: string | number): Cookie {
    return typeof grant === "number" ? (grant as Cookie) : found(this.#cookies, grant);
  }

  nameOfCookie(cookie: number): string {
    return this.#grantNames.get(cookie) ?? String(cookie);
  }

  nameAddress(name: string | undefined, address: number): void {
    if (name !== undefined) this.#addresses.set(name, address);
  }

  amount({ name, offset }: Amount): number {
    return (name === undefined ? 0 : found(this.#addresses, name)) + offset;
  }

  nameView(name: string, view: View): void {
    this.#views.set(name, view);
  }

  view(name: string): View {
    return found(this.#views, name);
  }

  // -------------------------------------------------------------- waiting

  /**
   * Waits for what may take long.
   * @throws StepFailure when it does not end; the signal's reason when that ends the wait.
   */
  async wait<T>(start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    const overdue = new AbortController();
    const timer = setTimeout(
      () => overdue.abort(new StepFailure(`an end within ${this.#waitLimitMs} ms`, "none yet")),
      this.#waitLimitMs,
    );
    const signal = AbortSignal.any([overdue.signal, this.signal]);
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      return await Promise.race([start(signal), stopped]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the end of a recovery. Nobody else moves the clock meanwhile, so the time goes on to what is due. */
  async recovered(partition: Partition): Promise<void> {
    await this.wait(async (signal) => {
      let isOver = false;
      const recovery = this.table.recovered(partition, { signal }).finally(() => {
        isOver = true;
      });
      while (!isOver && !signal.aborted) {
        await nextTurn();
        // A partition whose grace period is over is "recovering", and needs turns only.
        if (!isOver && partition.state === "failed") this.clock.skip();
      }
      await recovery;
    });
  }

  async close(): Promise<void> {
    // A forced rescind that waits for frames would go on for ever: without views it finds them.
    for (const view of this.#views.values()) view.release();
    await this.table.close();
  }
}
