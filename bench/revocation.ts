/**
 * How long a forced rescind takes until nobody can read any more, while other threads read the page all the time: the
 * median and the 99th percentile. Whoever still reads after it was reported, or sees what was written then, fails the run.
 */
import { availableParallelism } from "node:os";
import { type Hcalls, hcalls } from "../src/hcall.js";
import {
  type Cookie,
  type Mapping,
  type Partition,
  ResourceTable,
  type VirtualAdapter,
} from "../src/index.js";
import { H_LONG_BUSY_10_MSEC, H_PARTIAL, PAGE_BYTES, RESCIND_FORCED } from "../src/layout.js";
import { Random } from "./random.js";
import {
  ADDRESS,
  type Board,
  CLOSED,
  OPEN,
  OPEN_FLAG,
  PARKED,
  PHASES,
  PLAIN,
  READER,
  READER_WORDS,
  READS,
  REFUSED,
  SEALED,
  STATE,
  VIOLATIONS,
} from "./revocation-board.js";
import type { Contender, Context, Scenario, Stage } from "./suite.js";
import { must } from "./worlds.js";

const WORKER = new URL("./revocation-worker.js", import.meta.url);
const CHECK_ROUNDS = 3;
/** Reads of each reader before the page is taken away from it. */
const READS_MIN = 3;
const PATIENCE_MS = 10_000;
const NAP_MS = 0.05;
/** Longest wait in addition, so that a rescind comes at any moment of a read. */
const DELAY_MAX_US = 50;

/** How a round is ended. */
type Way = "raw" | "rescindForced()" | "flag" | "idle";

/** A server's page that a first client has accepted and granted on to the other ones, each of them a thread. */
class Readers {
  readonly table: ResourceTable;
  readonly #server: Partition;
  readonly #clients: readonly Partition[];
  readonly #first: VirtualAdapter;
  readonly #onward: readonly VirtualAdapter[];
  readonly #h: Hcalls;
  readonly #words: Int32Array;
  readonly #page: Uint8Array;
  readonly #random: Random;
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));
  #round = 0;
  /** Reads without a right, by the way in which it was ended. */
  readonly #violations: Map<Way, number> = new Map();

  private constructor(count: number, seed: number) {
    this.table = ResourceTable.create({
      memory: 16 * PAGE_BYTES,
      partitions: count + 1,
      grants: 256,
      gracePeriodMs: 0,
    });
    this.#h = hcalls(this.table);
    this.#server = this.table.createPartition({ name: "server", memory: PAGE_BYTES });
    this.#clients = Array.from({ length: count }, (_, index) =>
      this.table.createPartition({ name: `reader ${index}` }),
    );
    const [head, ...others] = this.#clients as [Partition, ...Partition[]];
    this.#first = this.table.connect(this.#server, head);
    this.#onward = others.map((other) => this.table.connect(head, other));
    this.#words = new Int32Array(new SharedArrayBuffer((READER + count * READER_WORDS) * 4));
    this.#page = new Uint8Array(new SharedArrayBuffer(PAGE_BYTES));
    this.#random = new Random(seed);
  }

  static async open(count: number, seed: number): Promise<Readers> {
    const readers = new Readers(count, seed);
    for (const [index, client] of readers.#clients.entries()) {
      const words = readers.#words.buffer as SharedArrayBuffer;
      const page = readers.#page.buffer as SharedArrayBuffer;
      await readers.table.spawn(client, WORKER, { workerData: { words, page, index } satisfies Board });
    }
    return readers;
  }

  #enter(phase: number): void {
    Atomics.store(this.#words, STATE, this.#round * PHASES + phase);
    Atomics.notify(this.#words, STATE);
  }

  #word(reader: number, word: number): number {
    return READER + reader * READER_WORDS + word;
  }

  /** Sleeps until all readers are so far. */
  #await(what: string, isSo: (reader: number) => boolean): void {
    const late = performance.now() + PATIENCE_MS;
    for (let reader = 0; reader < this.#clients.length; reader++) {
      while (!isSo(reader)) {
        if (performance.now() > late) throw new Error(`reader ${reader} has not ${what}`);
        Atomics.wait(this.#nap, 0, 0, NAP_MS);
      }
    }
  }

  /** Grants the page to the first reader, and from there to all others. */
  #grantAll(): { root: Cookie; mappings: readonly Mapping[] } {
    const [head, ...others] = this.#clients as [Partition, ...Partition[]];
    const root = this.#server.grant({ to: this.#first, address: 0, length: PAGE_BYTES });
    const own = head.accept(root);
    const rest = others.map((other, index) => {
      const to = this.#onward[index] as VirtualAdapter;
      return other.accept(head.grant({ to, address: own.address, length: PAGE_BYTES }));
    });
    return { root, mappings: [own, ...rest] };
  }

  /** Lets all read, and returns when they do. */
  #letRead(phase: number, mappings: readonly Mapping[]): void {
    for (let reader = 0; reader < this.#clients.length; reader++) {
      this.#words[this.#word(reader, ADDRESS)] = mappings[reader]?.address ?? 0;
      Atomics.store(this.#words, this.#word(reader, READS), 0);
    }
    this.#enter(phase);
    this.#await("read", (reader) => Atomics.load(this.#words, this.#word(reader, READS)) >= READS_MIN);
    const until = performance.now() + this.#random.below(DELAY_MAX_US) / 1000;
    while (performance.now() < until) {}
  }

  #hasRefused(reader: number): boolean {
    return Atomics.load(this.#words, this.#word(reader, REFUSED)) === this.#round;
  }

  /** The owner of a flag has to wait until everybody has seen it. */
  #closeFlag(): number {
    const start = performance.now();
    this.#enter(CLOSED);
    for (let reader = 0; reader < this.#clients.length; reader++) while (!this.#hasRefused(reader)) {}
    return performance.now() - start;
  }

  #rescindRaw(root: Cookie): number {
    const start = performance.now();
    let status: number;
    do {
      status = this.#h.rescindLogical(this.#server.lpid, RESCIND_FORCED, root);
    } while (status === H_PARTIAL || status === H_LONG_BUSY_10_MSEC);
    must(status);
    return performance.now() - start;
  }

  async #rescind(root: Cookie): Promise<number> {
    const start = performance.now();
    await this.#server.rescindForced(root);
    return performance.now() - start;
  }

  /** One round. @returns milliseconds from the begin of the revocation to its end. */
  async round(way: Way): Promise<number> {
    const before = this.violations;
    const ms = await this.#carryOut(way);
    this.#violations.set(way, this.violationsOf(way) + this.violations - before);
    return ms;
  }

  async #carryOut(way: Way): Promise<number> {
    this.#round++;
    this.#page.fill(PLAIN);
    this.#server.fill(0, PAGE_BYTES, PLAIN);
    if (way === "flag") {
      this.#letRead(OPEN_FLAG, []);
      const ms = this.#closeFlag();
      this.#page.fill(SEALED);
      this.#enter(PARKED);
      return ms;
    }
    const { root, mappings } = this.#grantAll();
    if (way !== "idle") this.#letRead(OPEN, mappings);
    const ms = way === "rescindForced()" ? await this.#rescind(root) : this.#rescindRaw(root);
    this.#server.fill(0, PAGE_BYTES, SEALED);
    if (way !== "idle") {
      this.#enter(CLOSED);
      this.#await("been refused", (reader) => this.#hasRefused(reader));
    }
    this.#enter(PARKED);
    for (const mapping of mappings) mapping.return();
    return ms;
  }

  /** Reads, up to now, that came after the end of a right. */
  get violations(): number {
    return this.#clients.reduce(
      (sum, _, reader) => sum + Atomics.load(this.#words, this.#word(reader, VIOLATIONS)),
      0,
    );
  }

  violationsOf(way: Way): number {
    return this.#violations.get(way) ?? 0;
  }

  /** Grants of the page that stand. */
  get standing(): number {
    return this.#server.usage().grantsOut;
  }
}

/** The number that so many percent of all do not exceed. */
function percentile(numbers: readonly number[], percent: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] as number;
}

async function openStage(
  name: string,
  count: number,
  percent: number,
  roundsMin: number,
  { seed }: Context,
): Promise<Stage | string> {
  if (availableParallelism() < 2) return "there is only one core";
  const readers = await Readers.open(count, seed);
  const contender = (way: Way): Contender => ({
    measure: async (timeMs) => {
      const end = performance.now() + timeMs;
      const times: number[] = [];
      while (times.length < roundsMin || performance.now() < end) times.push(await readers.round(way));
      return { ns: percentile(times, percent) * 1e6 };
    },
    check: async () => {
      for (let round = 0; round < CHECK_ROUNDS; round++) await readers.round(way);
      return `${readers.violationsOf(way)} reads without a right, ${readers.standing} grants left`;
    },
  });
  return {
    ways: (["raw", "rescindForced()"] as const).map((way) => ({
      what: `${name}, ${way}`,
      contender: contender(way),
      versus: "flag",
    })),
    baselines: { flag: contender("flag"), idle: contender("idle") },
    audit: () => [
      ...(readers.violations === 0 ? [] : [`${readers.violations} reads without a right`]),
      ...readers.table.audit().problems,
    ],
    close: () => readers.table.close(),
  };
}

export function revocationScenarios(quick: boolean): readonly Scenario[] {
  const roundsMin = quick ? 5 : 100;
  // More readers than cores: some are interrupted in the middle of a read.
  return [1, quick ? 2 : 4].flatMap((count) =>
    [50, 99].map((percent): Scenario => {
      const name = `revoke from ${count === 1 ? "1 reader" : `${count} readers`}, p${percent}`;
      return { name, open: (context) => openStage(name, count, percent, roundsMin, context) };
    }),
  );
}
