/**
 * Trees of grants for suite tree, the same as those of native/tree.c. The server's page is granted to one client; from
 * there on two clients grant it to each other. Node i is granted by the holder of its parent.
 *
 *   wide   one node with all others below it
 *   deep   one node with chains of a thousand below it
 *   mixed  each node below a random earlier one
 *   even   each node but the last ones has as many children, level by level
 *
 * Scattered: neighbours in the tree lie in random slots (and, in a wide one, on random pages), as in a table that has
 * been in use for a while.
 */
import { H_PARAMETER, H_RESCINDED, PAGE_BYTES, TYPE_MEMORY } from "../src/layout.js";
import type { RawCalls } from "./map-table.js";
import { Random } from "./random.js";
import { must } from "./worlds.js";

export type Shape = "wide" | "deep" | "mixed" | "even";

export interface TreePlan {
  readonly shape: Shape;
  readonly nodes: number;
  readonly parents: Uint32Array;
  readonly depths: Uint32Array;
  /** The order in which a wide tree is accepted; the others are accepted as they grow. */
  readonly accepts: Uint32Array;
  /** The order in which it is returned, from the last to the first that the next tree uses; none: that of the slots. */
  readonly returns?: Uint32Array;
}

const CHAIN = 1000;
const SLOTS: number = 2 ** 24; // the low part of a cookie
/** More than any tree has. */
const NODES_LIMIT: number = 2 ** 22;

export interface TreeSize {
  readonly shape: Shape;
  readonly isScattered: boolean;
  readonly nodes: number;
  /** Children of each node of an even tree. */
  readonly fanout?: number;
}

export function planTree({ shape, isScattered, nodes, fanout = 1 }: TreeSize, seed: number): TreePlan {
  const random = new Random(seed);
  const parents = new Uint32Array(nodes);
  const depths = new Uint32Array(nodes);
  const chains = Math.ceil((nodes - 1) / CHAIN);
  const tips = new Uint32Array(chains);
  const parentOf = (i: number): number => {
    if (shape === "wide") return 0;
    if (shape === "mixed") return random.below(i);
    if (shape === "even") return Math.floor((i - 1) / fanout);
    if (!isScattered) return (i - 1) % CHAIN === 0 ? 0 : i - 1;
    const chain = random.below(chains);
    const tip = tips[chain] as number;
    tips[chain] = i;
    return tip;
  };
  for (let i = 1; i < nodes; i++) {
    const parent = parentOf(i);
    parents[i] = parent;
    depths[i] = (depths[parent] as number) + 1;
  }
  let accepts = Uint32Array.from({ length: nodes }, (_, i) => i);
  if (!isScattered) return { shape, nodes, parents, depths, accepts };
  const returns = random.shuffled(nodes);
  if (shape === "wide") accepts = Uint32Array.from([0, ...random.shuffled(nodes - 1).map((i) => i + 1)]);
  return { shape, nodes, parents, depths, accepts, returns };
}

/** Who takes part: lpids, and the unit addresses by which they grant. */
export interface Parties {
  readonly calls: RawCalls;
  readonly server: number;
  /** Holders of nodes at even and odd depths. */
  readonly holders: readonly [even: number, odd: number];
  readonly rootUnit: number;
  readonly units: readonly [even: number, odd: number];
}

export class Tree {
  readonly #plan: TreePlan;
  readonly #parties: Parties;
  readonly #cookies: Float64Array;
  readonly #addresses: Float64Array;

  constructor(plan: TreePlan, parties: Parties) {
    this.#plan = plan;
    this.#parties = parties;
    this.#cookies = new Float64Array(plan.nodes);
    this.#addresses = new Float64Array(plan.nodes);
  }

  /** The cookie by which the server rescinds it all. */
  get root(): number {
    return this.#cookies[0] as number;
  }

  #holder(i: number): number {
    const { holders } = this.#parties;
    return (this.#plan.depths[i] as number) % 2 === 0 ? holders[0] : holders[1];
  }

  #grant(i: number): void {
    const { calls, server, rootUnit, units } = this.#parties;
    const parent = this.#plan.parents[i] as number;
    const isEven = (this.#plan.depths[parent] as number) % 2 === 0;
    const lpid = i === 0 ? server : this.#holder(parent);
    const unit = i === 0 ? rootUnit : isEven ? units[0] : units[1];
    const address = i === 0 ? 0 : (this.#addresses[parent] as number);
    must(calls.grantLogical(lpid, TYPE_MEMORY, 0, address, PAGE_BYTES, unit));
    this.#cookies[i] = calls.r4;
  }

  #accept(i: number): void {
    const { calls } = this.#parties;
    must(calls.acceptLogical(this.#holder(i), this.#cookies[i] as number));
    this.#addresses[i] = calls.r4;
  }

  build(): void {
    const { shape, nodes, accepts } = this.#plan;
    if (shape !== "wide") {
      for (let i = 0; i < nodes; i++) {
        this.#grant(i);
        this.#accept(i);
      }
      return;
    }
    this.#grant(0);
    this.#accept(0);
    for (let i = 1; i < nodes; i++) this.#grant(i);
    for (let i = 1; i < nodes; i++) this.#accept(accepts[i] as number);
  }

  /** The last slot first: the next tree uses them in their order, whoever of the two takes some of them for its grants. */
  #bySlot(): Uint32Array {
    const keys = this.#cookies.map((cookie, i) => (cookie % SLOTS) * NODES_LIMIT + i);
    return Uint32Array.from(keys.sort().reverse(), (key) => key % NODES_LIMIT);
  }

  /** After the rescind: every holder returns what it has lost. */
  clear(): void {
    const { calls } = this.#parties;
    for (const i of this.#plan.returns ?? this.#bySlot())
      must(calls.returnLogical(this.#holder(i), this.#cookies[i] as number));
  }

  /** After the rescind: what every holder and the owner sees; then clears. */
  inspect(tornDown: number): string {
    const { calls, server } = this.#parties;
    const { nodes } = this.#plan;
    let rescinded = 0;
    let stale = 0;
    for (let i = 0; i < nodes; i++) {
      const status = calls.translate(this.#holder(i), TYPE_MEMORY, this.#addresses[i] as number, 1, 0);
      if (status === H_RESCINDED) rescinded++;
    }
    const owner = calls.translate(server, TYPE_MEMORY, 0, 1, 3);
    this.clear();
    for (let i = 0; i < nodes; i++) {
      if (calls.acceptLogical(this.#holder(i), this.#cookies[i] as number) === H_PARAMETER) stale++;
    }
    return `torn down ${tornDown}, rescinded ${rescinded}, stale ${stale}, owner ${owner}`;
  }
}
