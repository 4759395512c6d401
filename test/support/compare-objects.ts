/**
 * Random commands of the object API against the naive model: what goes on by itself between two commands, recoveries and
 * rescinds with a deadline, is overheard call by call, and what it must come to is checked when it had time enough.
 */
import { HcallError } from "../../src/index.js";
import { H_SUCCESS, PAGE_BYTES } from "../../src/layout.js";
import { type Coverage, TABLE, Twins } from "./compare.js";
import { Choices } from "./compare-choices.js";
import { SealTwins } from "./compare-seal.js";
import { Draw } from "./draw.js";
import { checkAccess } from "./model-access.js";
import { mayMerge } from "./model-copies.js";
import { ensure, type Frame, type ModelPartition } from "./model-records.js";
import { Objects, outcomeOf } from "./objects.js";
import { ObjectAccess } from "./objects-access.js";
import { ObjectDma } from "./objects-dma.js";
import { ObjectEvents } from "./objects-events.js";
import { ObjectGrants } from "./objects-grants.js";
import { ObjectLines } from "./objects-lines.js";
import { ObjectWaits } from "./objects-waits.js";
import { Overheard } from "./overhear.js";
import { turnOf } from "./turns.js";

const GRACE_MS = 500;
/** Turns of the event loop in which everything that need not wait must come to its end. */
const PATIENCE_TURNS = 500;
/** Pages of staging that lists and transfers of devices, transfers of partitions, and digests take. */
const STAGING_PAGES = 40;
/** How many partitions there are, more or less. */
const PARTITIONS = 4;

export class ObjectWalk {
  readonly twins: Twins;
  readonly #heard: Overheard;
  readonly #draw: Draw;
  readonly #choose: Choices;
  readonly #objects: Objects;
  readonly #access: ObjectAccess;
  readonly #grants: ObjectGrants;
  readonly #lines: ObjectLines;
  readonly #events: ObjectEvents;
  readonly #dma: ObjectDma;
  readonly #seals: SealTwins;
  #created = 0;
  readonly #waits: ObjectWaits;

  constructor(coverage: Coverage, module: WebAssembly.Module | undefined, seed: number) {
    this.#draw = new Draw(seed);
    const draw = this.#draw;
    const frames = draw.pick([40, 30, 26]) ?? 40;
    const quarantine = draw.pick([frames, frames, 2, 0]) ?? frames;
    const isStarved = draw.once(8);
    const limits = {
      memory: frames * PAGE_BYTES,
      quarantine: quarantine * PAGE_BYTES,
      views: draw.pick([6, 3, 2]) ?? 6,
      grants: draw.pick([64, 48, 28]) ?? 64,
      staging: (isStarved ? STAGING_PAGES / 4 : STAGING_PAGES) * PAGE_BYTES,
    };
    // Over a memory that is not shared, in one of four.
    const threads = module === undefined && draw.once(4) ? { threads: 0 } : {};
    this.twins = new Twins(coverage, module, { ...TABLE, ...limits, ...threads, gracePeriodMs: GRACE_MS });
    this.#heard = new Overheard(this.twins, GRACE_MS);
    this.#choose = new Choices(this.twins.model, this.twins.dead);
    this.#objects = new Objects(this.twins, this.#heard, this.#choose, draw);
    this.#access = new ObjectAccess(this.#objects);
    this.#grants = new ObjectGrants(this.#objects);
    this.#lines = new ObjectLines(this.#objects, this.#grants);
    this.#events = new ObjectEvents(this.#objects);
    this.#dma = new ObjectDma(this.#objects, this.#grants, isStarved);
    this.#waits = new ObjectWaits(this.#objects);
    this.#seals = new SealTwins(this.twins);
    for (const pages of [8, 6, 5, 4]) this.#create(pages);
    for (const [a, b] of [
      [1, 2],
      [2, 3],
      [3, 1],
      [3, 4],
      [4, 1],
    ] as const)
      this.#grants.connect(a, b);
    for (let count = 0; count < 3; count++) {
      this.#dma.provide();
      this.#lines.provide();
      this.#lines.provide();
    }
  }

  static readonly commands: readonly [weight: number, run: (walk: ObjectWalk) => unknown][] = [
    [18, (walk) => walk.#grants.grant()],
    [10, (walk) => walk.#grants.grantSpecially()],
    [24, (walk) => walk.#grants.accept()],
    [10, (walk) => walk.#grants.return()],
    [1, (walk) => walk.#grants.returnStale()],
    [3, (walk) => walk.#grants.rescind()],
    [12, (walk) => walk.#waits.rescind()],
    [2, (walk) => walk.#waits.rescindRaw()],
    [1, (walk) => walk.#waits.abort()],
    [8, (walk) => walk.twins.clock.advance(walk.#draw.below(400))],
    [3, (walk) => walk.#waits.fail()],
    [2, (walk) => walk.#waits.reclaim()],
    [2, (walk) => walk.#waits.await()],
    [8, (walk) => walk.#restart()],
    [3, (walk) => walk.#join(walk.#objects.running().lpid)],
    [1, (walk) => walk.#createOrDestroy()],
    [4, (walk) => walk.#migrate()],
    [2, (walk) => walk.twins.table.compact()],
    [1, (walk) => walk.#deduplicate()],
    [7, (walk) => walk.#access.view()],
    [4, (walk) => walk.#access.release()],
    [2, (walk) => walk.#access.scribble()],
    [1, (walk) => walk.#access.returnUnder()],
    [12, (walk) => walk.#access.draw()],
    [2, (walk) => walk.#seals.draw(walk.#choose, walk.#draw)],
    [3, (walk) => walk.#provide()],
    [14, (walk) => walk.#lines.draw()],
    [9, (walk) => walk.#events.draw()],
    [14, (walk) => walk.#dma.draw()],
  ];

  /** How many numbers stand for commands. */
  static get weights(): number {
    return ObjectWalk.commands.reduce((sum, [weight]) => sum + weight, 0);
  }

  /** So many commands, and then the end of everything. @throws Divergence */
  async run(commands: number): Promise<void> {
    for (let index = 1; index <= commands; index++) {
      this.twins.budget = this.#draw.pick([1, 2, 3, 5, 10, 4096]) ?? 1;
      await this.#one();
      for (let turn = this.#draw.below(4); turn > 0; turn--) await turnOf(turn);
      this.#heard.rethrow();
      this.#access.look();
      this.#events.check();
      if (index % 25 === 0) await this.#quiet();
    }
    await this.#end();
  }

  async #one(): Promise<void> {
    let rest = this.#draw.below(ObjectWalk.weights);
    for (const [weight, run] of ObjectWalk.commands) {
      rest -= weight;
      if (rest >= 0) continue;
      try {
        await run(this);
      } catch (error) {
        // Which status was due was checked with the call itself.
        if (!(error instanceof HcallError)) throw error;
      }
      return;
    }
  }

  // -------------------------------------------------------------- what must come of it

  /** Everything that need not wait comes to its end, and nothing else. */
  async #quiet(): Promise<void> {
    const { twins } = this;
    if (this.#draw.once(2)) this.#access.releaseAll();
    twins.budget = 4096;
    // A view may hold anything up.
    const isFree = twins.model.pins.size === 0;
    for (let turn = 0; isFree && this.#unsettled() !== undefined; turn++) {
      ensure(turn < PATIENCE_TURNS, () => `${this.#unsettled()} does not come to its end`);
      await turnOf(turn);
      this.#heard.rethrow();
    }
    await this.#events.quiet();
    this.#waits.quiet();
    this.#heard.rethrow();
    this.#grants.checkAdapters();
    twins.check();
  }

  /** What goes on and has nothing to wait for. */
  #unsettled(): string | undefined {
    const { model, clock } = this.twins;
    for (const { cookie, due } of this.#heard.rescinds) {
      const grant = model.grants.get(cookie);
      const isKept = grant !== undefined && (grant.state === "shared" || grant.children.size > 0);
      if (!isKept || due <= clock.now())
        return `the rescind of ${cookie}, ${grant?.state}, due at ${due}, at ${clock.now()}`;
    }
    for (const [lpid, { isForced }] of this.#heard.failures) {
      const state = model.partitions.get(lpid)?.state;
      if (state !== "failed" && state !== "recovering") continue;
      if (this.#heard.mayTake(lpid)) return `the recovery of ${lpid}${isForced ? ", reclaimed," : ""}`;
    }
    return undefined;
  }

  async #end(): Promise<void> {
    const { table } = this.twins;
    if (this.#draw.once(3)) {
      await this.#close();
      this.twins.tearDown();
      return;
    }
    this.#access.releaseAll();
    this.twins.budget = 4096;
    for (const partition of [...table.partitions]) {
      if (table.partition(partition.lpid) !== partition) continue; // it was about to be destroyed
      const end = this.#waits.destroy(partition);
      for (let turn = 0; !end.isOver; turn++) {
        ensure(turn < PATIENCE_TURNS, () => `the end of ${partition.lpid} does not come`);
        await turnOf(turn);
        this.#heard.rethrow();
      }
    }
    for (let turn = 0; turn < 20; turn++) await turnOf(turn);
    await this.#events.quiet();
    this.#waits.quiet();
    this.#heard.rethrow();
    await this.#close();
    this.twins.tearDown();
  }

  /** The table closes, whatever goes on: nobody waits any more, and raw calls find it sound. */
  async #close(): Promise<void> {
    this.#waits.close();
    this.#events.close();
    await this.twins.table.close();
    for (let turn = 0; turn < 10; turn++) await turnOf(turn);
    await this.#events.closed();
    this.#heard.rethrow();
    this.#waits.closed();
    this.#access.releaseAll();
    this.twins.check();
  }

  // -------------------------------------------------------------- partitions

  #create(pages: number): void {
    const { twins } = this;
    const onFailure = this.#draw.once(2) ? "defer" : "rescind";
    const lmb = (pages % 2 === 0 ? 2 : 1) * PAGE_BYTES;
    const options = { name: `p${this.#created++}`, memory: pages * PAGE_BYTES, onFailure } as const;
    const { value } = this.#objects.attempt(() =>
      twins.table.createPartition(this.#draw.once(2) ? { ...options, lmb } : options),
    );
    if (value === undefined) return;
    this.#heard.failures.delete(value.lpid);
    if (onFailure === "defer") this.#heard.deferring.add(value.lpid);
    else this.#heard.deferring.delete(value.lpid);
  }

  /** What was destroyed is as if it had never been, also for objects of it that somebody has kept. */
  #createOrDestroy(): void {
    const all = [...this.twins.table.partitions];
    if (all.length < PARTITIONS || (all.length === PARTITIONS && this.#draw.once(3))) {
      this.#create(4 + this.#draw.below(3));
      this.#join(all.at(-1)?.lpid ?? 1);
      return;
    }
    if (all.length < PARTITIONS) return;
    const partition = this.#draw.pick(all);
    if (partition !== undefined) this.#waits.destroy(partition);
  }

  #join(lpid: number): void {
    for (let count = 0; count < 2; count++) {
      const other = this.#objects.running();
      if (other.lpid !== lpid) this.#grants.connect(lpid, other.lpid);
    }
  }

  #provide(): void {
    if (this.#draw.once(3)) this.#dma.provide();
    else this.#lines.provide();
  }

  /** A new incarnation has no adapters, and all that its description says: or it has not begun (G1). */
  #restart(): void {
    const stopped = this.#choose.partition(this.#draw, "stopped");
    if (stopped?.state !== "stopped") return;
    const { lpid } = stopped;
    const object = this.#objects.object(lpid);
    if (this.#waits.isDoomed(object)) return;
    const { status } = outcomeOf(() => this.twins.table.restart(object));
    ensure(
      status === H_SUCCESS || object.state !== "running",
      () => `partition ${lpid} runs after a restart that came to ${status}`,
    );
    if (status !== H_SUCCESS) return;
    this.#objects.checkAssigned(object);
    this.#join(lpid);
  }

  // -------------------------------------------------------------- what takes time

  async #migrate(): Promise<void> {
    const partition = this.#objects.running();
    const pages = this.twins.model.partitions.get(partition.lpid)?.memoryPages ?? 1;
    const page = this.#draw.below(3);
    const length = (pages - page) * PAGE_BYTES;
    await partition.migrate(page * PAGE_BYTES, length);
    const { r4 } = checkAccess(this.twins.model, partition.lpid, page * PAGE_BYTES, length, 0);
    ensure(r4 !== -1, () => `what partition ${partition.lpid} had moved together is in pieces`);
  }

  /** Equal pages stand on one frame each when it is over, unless something else has gone on meanwhile. */
  async #deduplicate(): Promise<void> {
    const { model, coverage, table } = this.twins;
    const mergedBefore = coverage.get("saw: two pages are merged") ?? 0;
    const isCalm = this.#isCalm();
    const { merged, skipped, saved } = await table.deduplicate();
    const count = (coverage.get("saw: two pages are merged") ?? 0) - mergedBefore;
    ensure(merged === count, () => `deduplicate() tells of ${merged} merged pages, of ${count}`);
    const less = (model.ownFrames().length - model.framesOwned().size) * PAGE_BYTES;
    ensure(saved === less, () => `deduplicate() tells of ${saved} bytes saved, of ${less}`);
    if (!isCalm || !this.#isCalm() || skipped > 0) return;
    const met: Frame[] = [];
    for (const partition of model.partitions.values()) {
      for (const [page, { frame }] of partition.spaces.memory.entries) {
        if (partition.state !== "running" || !mayMerge(partition, page) || met.includes(frame)) continue;
        const isNew = met.every(({ bytes }) => Buffer.compare(bytes, frame.bytes) !== 0);
        ensure(isNew, () => `page ${page} of ${partition.lpid} is equal to another, and was not merged`);
        met.push(frame);
      }
    }
    this.twins.saw("equal pages are together");
  }

  /** Whether nothing goes on by itself. */
  #isCalm(): boolean {
    const isAtRest = ({ state }: ModelPartition): boolean => state === "running" || state === "stopped";
    return this.#heard.rescinds.size === 0 && [...this.twins.model.partitions.values()].every(isAtRest);
  }
}
