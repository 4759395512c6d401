/**
 * Random commands of the object API against the naive model: what goes on by itself between two commands, recoveries and
 * rescinds with a deadline, is overheard call by call, and what it must come to is checked when it had time enough.
 */
import { type Cookie, HcallError, type Partition, type View } from "../../src/index.js";
import { H_SUCCESS, HEADER_FRAMES_AT, NEED_READ, NEED_WRITE, PAGE_BYTES } from "../../src/layout.js";
import { type Coverage, TABLE, Twins } from "./compare.js";
import { Choices } from "./compare-choices.js";
import { Draw } from "./draw.js";
import { checkAccess, read, write } from "./model-access.js";
import { lentBy } from "./model-defer.js";
import { ensure, type Grant, type Node } from "./model-records.js";
import { Overheard, type PendingRescind } from "./overhear.js";

const GRACE_MS = 500;
const DEADLINE_MS = 1000;
/** Turns of the event loop in which everything that need not wait must come to its end. */
const PATIENCE_TURNS = 500;

interface TakenView {
  readonly view: View;
  readonly lpid: number;
  readonly incarnation: number;
  readonly address: number;
  readonly length: number;
  readonly node: Node | undefined;
}

export class ObjectWalk {
  readonly twins: Twins;
  readonly #heard: Overheard;
  readonly #draw: Draw;
  readonly #choose: Choices;
  readonly #views = new Set<TakenView>();
  /** Whether all pins were in use when views were last looked at, or before. */
  #wasFull = false;

  constructor(coverage: Coverage, module: WebAssembly.Module | undefined, seed: number) {
    this.#draw = new Draw(seed);
    const draw = this.#draw;
    const frames = draw.pick([40, 30, 26]) ?? 40;
    const quarantine = draw.pick([frames, frames, 2, 0]) ?? frames;
    const limits = {
      memory: frames * PAGE_BYTES,
      quarantine: quarantine * PAGE_BYTES,
      views: draw.pick([6, 3, 2]) ?? 6,
    };
    this.twins = new Twins(coverage, module, { ...TABLE, ...limits, gracePeriodMs: GRACE_MS });
    this.#heard = new Overheard(this.twins, GRACE_MS);
    this.#choose = new Choices(this.twins.model, this.twins.dead);
    for (const pages of [8, 6, 5, 4]) {
      const onFailure = draw.once(2) ? "defer" : "rescind";
      const lmb = (pages % 2 === 0 ? 2 : 1) * PAGE_BYTES;
      const options = { name: `p${pages}`, memory: pages * PAGE_BYTES, onFailure } as const;
      const { lpid } = this.twins.table.createPartition(draw.once(2) ? { ...options, lmb } : options);
      if (onFailure === "defer") this.#heard.deferring.add(lpid);
    }
    for (const [a, b] of [
      [1, 2],
      [2, 3],
      [3, 1],
      [3, 4],
      [4, 1],
    ] as const)
      this.#connect(a, b);
  }

  static readonly commands: readonly [weight: number, run: (walk: ObjectWalk) => unknown][] = [
    [20, (walk) => walk.#grant()],
    [18, (walk) => walk.#accept()],
    [10, (walk) => walk.#return()],
    [3, (walk) => walk.#rescind()],
    [12, (walk) => walk.#rescindForced()],
    [8, (walk) => walk.twins.clock.advance(walk.#draw.below(400))],
    [3, (walk) => walk.#fail()],
    [2, (walk) => walk.#reclaim()],
    [3, (walk) => walk.#restart()],
    [2, (walk) => walk.#connect(walk.#running().lpid, walk.#running().lpid)],
    [4, (walk) => walk.#migrate()],
    [2, (walk) => walk.twins.table.compact()],
    [8, (walk) => walk.#view()],
    [4, (walk) => walk.#release()],
    [8, (walk) => walk.#write()],
    [3, (walk) => walk.twins.takeEvent(walk.#running().lpid)],
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
      for (const taken of this.#views) this.#look(taken);
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
    if (this.#draw.once(2)) this.#releaseAll();
    twins.budget = 4096;
    // A view may hold anything up.
    const isFree = twins.model.pins.size === 0;
    for (let turn = 0; isFree && this.#unsettled() !== undefined; turn++) {
      ensure(turn < PATIENCE_TURNS, () => `${this.#unsettled()} does not come to its end`);
      await turnOf(turn);
      this.#heard.rethrow();
    }
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

  /** A view shows the memory as its partition has it, as long as its mapping stands (RS6). */
  #look({ view, lpid, incarnation, address, length, node }: TakenView): void {
    const { model } = this.twins;
    const partition = model.partitions.get(lpid);
    const entry = partition?.spaces.memory.entries.get(Math.floor(address / PAGE_BYTES));
    if (partition?.state !== "running" || partition.incarnation !== incarnation || entry?.node !== node)
      return;
    const { status, r4 } = checkAccess(model, lpid, address, length, NEED_READ | NEED_WRITE);
    if (status !== H_SUCCESS) return;
    const bytes = bytesOf(view);
    const expected = r4 === -1 ? undefined : read(model, lpid, address, length).bytes;
    // Without a record for another pin it cannot follow its page, and gives nothing away.
    this.#wasFull ||= model.pins.size >= model.options.views;
    if (bytes === undefined && this.#wasFull) return;
    const isSame =
      bytes === undefined || expected === undefined
        ? bytes === expected
        : Buffer.compare(bytes, expected) === 0;
    const at = this.twins.kernel.memory.header(HEADER_FRAMES_AT) + (r4 ?? 0);
    ensure(
      bytes === undefined || bytes.byteOffset === at,
      () => `a view of ${lpid} has not followed its page`,
    );
    ensure(isSame, () => `a view of ${lpid} at ${address} shows something else than there is`);
  }

  async #end(): Promise<void> {
    const { table } = this.twins;
    this.#releaseAll();
    this.twins.budget = 4096;
    for (const partition of [...table.partitions]) {
      this.#force(partition.lpid);
      let isOver = false;
      const end = table.destroyPartition(partition).finally(() => {
        isOver = true;
      });
      for (let turn = 0; !isOver; turn++) {
        ensure(turn < PATIENCE_TURNS, () => `the end of ${partition.lpid} does not come`);
        await turnOf(turn);
        this.#heard.rethrow();
      }
      await end;
    }
    for (let turn = 0; turn < 20; turn++) await turnOf(turn);
    this.#heard.rethrow();
    this.twins.tearDown();
    await table.close();
  }

  // -------------------------------------------------------------- commands

  #object(lpid: number): Partition {
    const partition = this.twins.table.partition(lpid);
    if (partition === undefined) throw new Error(`there is no partition ${lpid}`);
    return partition;
  }

  #running(): Partition {
    return this.#object(this.#choose.partition(this.#draw, "running")?.lpid ?? 1);
  }

  #connect(a: number, b: number): void {
    this.twins.table.connect(this.#object(a), this.#object(b), { grants: 3 + this.#draw.below(6) });
  }

  #grant(): void {
    const [lpid, , , address, length, to] = this.#choose.grantRequest(this.#draw);
    if (!this.twins.model.partitions.has(lpid)) return;
    this.#object(lpid).grant({ to, address, length, write: !this.#draw.once(10) });
  }

  /** One of the grants in a state, if there is one. */
  #pick(state: Grant["state"], filter: (grant: Grant) => boolean = () => true): Grant | undefined {
    return this.#draw.pick(
      [...this.twins.model.grants.values()].filter((one) => one.state === state && filter(one)),
    );
  }

  #accept(): void {
    const grant = this.#pick("granted");
    if (grant !== undefined) this.#object(grant.holder.lpid).accept(grant.cookie as Cookie);
  }

  #return(): void {
    const owed = this.#pick(
      "shared",
      ({ cookie, grantor }) =>
        grantor.deferred || [...this.#heard.rescinds].some((one) => one.cookie === cookie),
    );
    const other = this.#pick(this.#draw.once(2) ? "rescinded" : "shared");
    const grant = this.#draw.once(2) ? (owed ?? other) : other;
    if (grant !== undefined) this.#object(grant.holder.lpid).return(grant.cookie as Cookie);
  }

  #rescind(): void {
    const grant = this.#pick("granted");
    if (grant !== undefined) this.#object(grant.grantor.lpid).rescind(grant.cookie as Cookie);
  }

  #rescindForced(): void {
    const grant = this.#draw.once(6) ? this.#pick("granted") : this.#pick("shared");
    if (grant === undefined) return;
    const { cookie, grantor } = grant;
    const ms = this.#draw.once(3) ? 0 : 1 + this.#draw.below(DEADLINE_MS);
    const pending: PendingRescind = { cookie, ms, due: this.twins.clock.now() + ms, isJoined: false };
    this.#heard.rescinds.add(pending);
    const onStuck = this.#draw.once(8) ? "terminate" : "wait";
    const options = { onStuck, ...(ms === 0 ? {} : { deadline: ms }) } as const;
    this.#object(grantor.lpid)
      .rescindForced(cookie as Cookie, options)
      .then(
        ({ nodes, slices }) => {
          this.#heard.rescinds.delete(pending);
          const after = this.twins.model.grants.get(cookie);
          ensure(
            after === undefined || after.state === "rescinded",
            () => `the rescind of ${cookie} is over, and the grant is ${after?.state}`,
          );
          if (ms === 0 || pending.isJoined) return;
          const isInTime = this.twins.clock.now() < pending.due;
          if (isInTime) ensure(nodes === 1 && slices === 0, () => `${cookie} was rescinded by force in time`);
          this.twins.saw(isInTime ? "a client gives back in time" : "a client is forced after its deadline");
        },
        (error: unknown) => {
          this.#heard.rescinds.delete(pending);
          if (!(error instanceof HcallError)) throw error;
        },
      )
      .catch((error: unknown) => {
        this.#heard.first ??= error;
      });
  }

  #fail(): void {
    this.twins.table.fail(this.#running());
  }

  #force(lpid: number): void {
    const failure = this.#heard.failures.get(lpid);
    if (failure !== undefined) failure.isForced = true;
  }

  #reclaim(): void {
    const failed = this.#choose.partition(this.#draw, "failed");
    if (failed?.state !== "failed") return;
    if (failed.deferred && lentBy(this.twins.model, failed).length > 0)
      this.twins.saw("what is borrowed is reclaimed");
    this.#force(failed.lpid);
    this.twins.table.reclaim(this.#object(failed.lpid));
  }

  /** A new incarnation has no adapters. */
  #restart(): void {
    const stopped = this.#choose.partition(this.#draw, "stopped");
    if (stopped?.state !== "stopped") return;
    this.twins.table.restart(this.#object(stopped.lpid));
    for (let count = 0; count < 2; count++) {
      const other = this.#running();
      if (other.lpid !== stopped.lpid) this.#connect(stopped.lpid, other.lpid);
    }
  }

  async #migrate(): Promise<void> {
    const partition = this.#running();
    const pages = this.twins.model.partitions.get(partition.lpid)?.memoryPages ?? 1;
    const page = this.#draw.below(3);
    const length = (pages - page) * PAGE_BYTES;
    await partition.migrate(page * PAGE_BYTES, length);
    const { r4 } = checkAccess(this.twins.model, partition.lpid, page * PAGE_BYTES, length, 0);
    ensure(r4 !== -1, () => `what partition ${partition.lpid} had moved together is in pieces`);
  }

  #view(): void {
    const { model } = this.twins;
    const mapped = this.#pick("shared", ({ type }) => type === "memory");
    const lpid = this.#draw.once(3) ? this.#running().lpid : (mapped?.holder.lpid ?? 1);
    const page = lpid === mapped?.holder.lpid ? mapped.page : this.#draw.below(6);
    const pageCount = 1 + this.#draw.below(Math.min(3, mapped?.pageCount ?? 2));
    const [address, length] = [page * PAGE_BYTES, pageCount * PAGE_BYTES];
    const view = this.#object(lpid).view(address, length);
    const { incarnation, spaces } = model.partitions.get(lpid) ?? { incarnation: 0 };
    const node = spaces?.memory.entries.get(page)?.node;
    this.#views.add({ view, lpid, incarnation, address, length, node });
  }

  #release(): void {
    const taken = this.#draw.pick([...this.#views]);
    taken?.view.release();
    if (taken !== undefined) this.#views.delete(taken);
  }

  #releaseAll(): void {
    for (const { view } of this.#views) view.release();
    this.#views.clear();
  }

  #write(): void {
    const { lpid } = this.#running();
    const [address, some] = this.#choose.range(this.#draw, lpid);
    const source = new Uint8Array(some >= 0 && some < 9999 ? Math.floor(some) : 8).fill(
      this.#draw.below(256),
    );
    let status = H_SUCCESS;
    try {
      this.#object(lpid).write(address, source);
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
      status = error.status;
    }
    this.twins.same("write", [lpid, address], status, write(this.twins.model, lpid, address, source));
  }
}

function bytesOf(view: View): Uint8Array | undefined {
  try {
    return view.bytes;
  } catch (error) {
    if (error instanceof HcallError) return undefined;
    throw error;
  }
}

/** Lets what goes on by itself go on a little; whoever waits a moment for a frame waits a millisecond. */
function turnOf(index: number): Promise<void> {
  return new Promise((resolve) => {
    if (index % 8 === 7) setTimeout(resolve, 1);
    else setImmediate(resolve);
  });
}
