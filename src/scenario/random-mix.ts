/**
 * A seeded mix of grants, accepts, returns and rescinds between partitions. It takes back all that it granted, and then
 * every partition must hold what it held before.
 */
import { nextTurn } from "../clock.js";
import { HcallError } from "../errors.js";
import { PAGE_BYTES } from "../layout.js";
import type { Cookie, Mapping } from "../mapping.js";
import type { Partition } from "../partition.js";
import type { PartitionUsage } from "../usage.js";
import type { Random } from "./random.js";
import type { Values } from "./values.js";
import { StepFailure, type World } from "./world.js";

export interface MixOptions {
  readonly operations: number;
  readonly partitions: readonly Partition[];
  /** Of one grant, at most. */
  readonly pages: number;
}

/** Between two turns of the event loop. */
const OPERATIONS_PER_TURN = 256;
/** Grants that stand at once; beyond them the mix rescinds before it grants. */
const LIVE_MAX = 256;
/** Cookies that nobody should pass. */
const HOSTILE: readonly number[] = [-1, 0.5, Number.NaN, 2 ** 53, 0, 1, Number.POSITIVE_INFINITY];

/** A direction in which grants can go. */
interface Route {
  readonly from: Partition;
  readonly to: Partition;
  /** Unit address. */
  readonly unit: number;
}

/** A grant of the mix, as far as the mix knows: what a forced rescind above it took is found out when it is used. */
interface Live {
  readonly cookie: Cookie;
  readonly from: Partition;
  readonly to: Partition;
  mapping: Mapping | undefined;
  /** Rescinded, and kept only to be returned. */
  isRescinded: boolean;
}

interface Counts {
  grants: number;
  accepts: number;
  returns: number;
  rescinds: number;
  forced: number;
  refused: number;
}

/** @throws StepFailure when the partitions do not hold what they held before, or no two of them are joined. */
export async function mixRandomly(world: World, options: MixOptions): Promise<Values> {
  const before = world.partitions.map((partition) => partition.usage());
  const mix = new Mix(world, options);
  try {
    for (let done = 0; done < options.operations; done++) {
      if (done % OPERATIONS_PER_TURN === 0) await mix.turn();
      await mix.step();
    }
  } finally {
    // An interrupted mix leaves nothing behind either.
    await mix.undo();
  }
  for (const [index, partition] of world.partitions.entries()) {
    const [then, now] = [before[index] as PartitionUsage, partition.usage()];
    const changed = (Object.keys(now) as (keyof PartitionUsage)[]).filter((name) => now[name] !== then[name]);
    if (changed.length === 0) continue;
    const shown = (usage: PartitionUsage): string =>
      changed.map((name) => `${name} ${usage[name]}`).join(", ");
    throw new StepFailure(`that ${partition.name} has ${shown(then)} again`, shown(now));
  }
  return { ...mix.counts };
}

class Mix {
  readonly counts: Counts = { grants: 0, accepts: 0, returns: 0, rescinds: 0, forced: 0, refused: 0 };
  readonly #world: World;
  readonly #random: Random;
  readonly #pages: number;
  readonly #routes: readonly Route[];
  readonly #grants: Live[] = [];
  readonly #forgetEvents: () => void;

  constructor(world: World, { partitions, pages }: MixOptions) {
    this.#world = world;
    this.#forgetEvents = world.markEvents();
    this.#random = world.random;
    this.#pages = pages;
    const isIn = (partition: Partition): boolean =>
      partition.state === "running" && partitions.includes(partition);
    this.#routes = world.adapters
      .flatMap((adapter) => [adapter, adapter.peer])
      .filter(({ owner, partner }) => isIn(owner) && isIn(partner))
      .map(({ owner, partner, unitAddress }) => ({ from: owner, to: partner, unit: unitAddress }));
    if (this.#routes.length === 0) throw new StepFailure("adapters between running partitions", "none");
  }

  /** Lets others run, and forgets what the partitions were told of the mix. */
  async turn(): Promise<void> {
    await nextTurn();
    this.#world.signal.throwIfAborted();
    this.#forgetEvents();
  }

  async step(): Promise<void> {
    const dice = this.#random.below(100);
    try {
      if (dice < 2) this.#passHostile();
      else if (this.#grants.length >= LIVE_MAX) await this.#rescindForced(this.#random.pick(this.#grants));
      else if (dice < 35 || this.#grants.length === 0) this.#grant();
      else if (dice < 65) this.#accept(this.#random.pick(this.#grants));
      else if (dice < 80) this.#return(this.#random.pick(this.#grants));
      else if (dice < 93) this.#rescind(this.#random.pick(this.#grants));
      else await this.#rescindForced(this.#random.pick(this.#grants));
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
      this.counts.refused++;
    }
  }

  #passHostile(): void {
    const { from } = this.#random.pick(this.#routes);
    const cookie = this.#random.pick(HOSTILE) as Cookie;
    if (this.#random.chance(50)) from.accept(cookie);
    else from.rescind(cookie);
  }

  #grant(): void {
    const random = this.#random;
    const { from, to, unit } = random.pick(this.#routes);
    const held = this.#grants.filter((grant) => grant.to === from && grant.mapping !== undefined);
    // Most grants are of own memory; a third are granted on, if there is something to grant on.
    const source = random.chance(33) && held.length > 0 ? random.pick(held).mapping : undefined;
    const start = source?.address ?? 0;
    const pages = (source?.length ?? from.usage().pagesOwned * PAGE_BYTES) / PAGE_BYTES;
    const first = random.below(Math.max(1, pages));
    const length = 1 + random.below(Math.min(this.#pages, Math.max(1, pages - first)));
    const cookie = from.grant({
      to: unit,
      address: start + first * PAGE_BYTES,
      length: length * PAGE_BYTES,
      read: !random.chance(5),
      write: !random.chance(20),
      regrant: !random.chance(10),
    });
    this.counts.grants++;
    this.#grants.push({ cookie, from, to, mapping: undefined, isRescinded: false });
  }

  /** Calls, and forgets the grant if the answer is that there is none any more. */
  #use(grant: Live, call: () => void): void {
    try {
      call();
    } catch (error) {
      const isGone = error instanceof HcallError && error.code === "H_PARAMETER";
      if (isGone && grant.mapping === undefined) this.#forget(grant);
      throw error;
    }
  }

  #accept(grant: Live): void {
    this.#use(grant, () => {
      grant.mapping = grant.to.accept(grant.cookie);
      this.counts.accepts++;
    });
  }

  #return(grant: Live): void {
    // What is not accepted is refused, and still stands.
    grant.to.return(grant.cookie);
    grant.mapping = undefined;
    this.counts.returns++;
    if (grant.isRescinded) this.#forget(grant);
  }

  #rescind(grant: Live): void {
    this.#use(grant, () => {
      grant.from.rescind(grant.cookie);
      this.counts.rescinds++;
      this.#forget(grant);
    });
  }

  async #rescindForced(grant: Live): Promise<void> {
    await grant.from.rescindForced(grant.cookie);
    this.counts.forced++;
    if (grant.mapping === undefined) this.#forget(grant);
    else grant.isRescinded = true;
  }

  #forget(grant: Live): void {
    const last = this.#grants.pop() as Live;
    if (last !== grant) this.#grants[this.#grants.indexOf(grant)] = last;
  }

  /** Takes back what stands, from the grantors' side and then from the grantees'. */
  async undo(): Promise<void> {
    const attempt = async (call: () => unknown): Promise<void> => {
      try {
        await call();
      } catch (error) {
        // Gone already: with a grant above it, or because it was not accepted.
        if (!(error instanceof HcallError)) throw error;
      }
    };
    for (const { from, cookie } of this.#grants) await attempt(() => from.rescindForced(cookie));
    for (const { to, cookie } of this.#grants) await attempt(() => to.return(cookie));
    await nextTurn();
    this.#forgetEvents();
  }
}
