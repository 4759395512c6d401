/**
 * The table of a walk: four partitions, adapters between all of them, one of them with a resource of every kind; either of few
 * pages, so that everything meets, or of many, so that ranges are more than a note holds and reach over words of a map.
 */
import type { Core } from "../../src/binding.js";
import {
  H_PARTIAL,
  H_SUCCESS,
  PAGE_BYTES,
  TYPE_DMA,
  TYPE_INTERRUPT,
  TYPE_IPI,
  TYPE_MMIO,
} from "../../src/layout.js";
import type { Capacities } from "../../src/regions.js";
import type { Instrumented } from "./crash-core.js";
import { Rig } from "./crash-rig.js";
import { TableWords } from "./crash-walk-words.js";
import type { Draw } from "./draw.js";

/** How large a table is, and what is drawn for it. */
export interface Size {
  readonly name: string;
  readonly capacities: Omit<Capacities, "frames">;
  readonly frames: readonly number[];
  /** Pages of memory of each partition, and of their LMBs. */
  readonly memory: readonly number[];
  readonly lmbs: readonly number[];
  /** Pages of the bus that partition 1 has. */
  readonly busPages: number;
  /** Calls name pages below it, and so many of them. */
  readonly pages: number;
  readonly runs: readonly number[];
  /** Of how many doublings of the number of its stores a call is stopped in. */
  readonly doublings: number;
}

const CAPACITIES = { partitions: 5, threads: 5, structures: 80, ends: 24, pins: 6, stagingPages: 6 };

export const SMALL_TABLE: Size = {
  name: "small table",
  capacities: { ...CAPACITIES, spacePages: [20, 4, 2, 4, 2] },
  frames: [40, 34, 30],
  memory: [8, 6, 5, 4],
  lmbs: [2, 4],
  busPages: 4,
  pages: 12,
  runs: [1, 1, 2, 4],
  doublings: 9,
};

export const LARGE_TABLE: Size = {
  name: "large table",
  capacities: { ...CAPACITIES, spacePages: [150, 4, 2, 80, 2] },
  frames: [260, 200, 175],
  memory: [70, 40, 30, 20],
  lmbs: [16, 64],
  busPages: 80,
  pages: 90,
  runs: [1, 4, 17, 40],
  doublings: 11,
};

/** The bus of partition 1. */
export const LIOBN = 3;

/** Who has adapters to whom. */
const NEIGHBOURS: readonly (readonly [lpid: number, partner: number])[] = [
  [1, 2],
  [2, 3],
  [3, 1],
  [3, 4],
  [4, 1],
  [2, 4],
];

/** Grants that count on one adapter at most. */
export const QUOTA = 8;
/** Structures that a restart must find. */
export const STRUCTURES = 5;

/** A word of a page that no call of a walk writes to, unless it writes to all of the page. */
const WRITTEN = 2048;

const OWNER = 0;

/** A unit address: who reaches whom by it. */
export interface Unit {
  readonly lpid: number;
  readonly to: number;
  readonly unit: number;
}

export class WalkTable {
  readonly size: Size;
  readonly rig: Rig;
  readonly words: TableWords;
  /** Of the adapters that stand; those of who has failed until it runs again. */
  units: readonly Unit[] = [];
  /** The incarnations that have all that they are to have. */
  readonly #met = new Map<number, number>();

  constructor(core: Instrumented, size: Size, draw: Draw, bug: number) {
    this.size = size;
    this.rig = new Rig(core, { ...size.capacities, frames: draw.pick(size.frames) as number }, bug);
    this.words = new TableWords(this.rig);
    this.#setUp(draw);
  }

  get #owner(): Core {
    return this.rig.core(OWNER);
  }

  #get(status: number): number {
    if (status !== H_SUCCESS) throw new Error(`a table that is set up answers ${status}`);
    return this.rig.result(OWNER);
  }

  #setUp(draw: Draw): void {
    for (const pages of this.size.memory)
      this.#get(this.#owner.createPartition(pages, draw.pick(this.size.lmbs) as number));
    this.#scatter(draw);
    this.#fill(draw);
    this.meetStarted();
  }

  /** The pages of one partition come to stand where another one's were, which runs again elsewhere. */
  #scatter(draw: Draw): void {
    const [lpid, other] = draw.pick(NEIGHBOURS) as (typeof NEIGHBOURS)[number];
    this.#get(this.#owner.failPartition(lpid, 0));
    while (this.#owner.recoverServer(lpid, 100) === H_PARTIAL);
    this.#owner.compactMemory(other, 0, 1 + draw.below(20));
    this.#get(this.#owner.restartPartition(lpid, STRUCTURES));
  }

  /** Half of the pages are not zero, and equal. */
  #fill(draw: Draw): void {
    for (const [index, pages] of this.size.memory.entries()) {
      for (let page = 0; page < pages; page++)
        if (draw.once(2)) this.#get(this.#owner.storeWord(index + 1, page * PAGE_BYTES + WRITTEN, 7));
    }
  }

  #assign(): void {
    const resources = [
      [TYPE_DMA, this.size.busPages * PAGE_BYTES, LIOBN],
      [TYPE_INTERRUPT, 2, 0],
      [TYPE_IPI, 1, 0],
      [TYPE_MMIO, 2 * PAGE_BYTES, 0],
    ] as const;
    for (const [type, length, liobn] of resources) this.#owner.assignResource(1, type, 0, length, 0, liobn);
  }

  #connect(lpid: number, partner: number): void {
    if (this.#owner.connectPartitions(lpid, partner, QUOTA) === H_SUCCESS)
      this.connected(lpid, partner, this.rig.result(OWNER));
  }

  /** Two partitions have one more adapter. */
  connected(lpid: number, partner: number, unit: number): void {
    const near = { lpid, to: partner, unit };
    this.#get(this.#owner.adapterPeer(lpid, near.unit));
    const far = { lpid: partner, to: lpid, unit: this.rig.result(OWNER) };
    this.units = [...this.units, near, far];
  }

  /** Whether a partition is of the incarnation that its unit addresses are of. */
  hasMet(lpid: number): boolean {
    return this.#met.get(lpid) === this.words.incarnationOf(lpid);
  }

  /** What a partition that runs again has beside its memory it gets anew; while no call is half done. */
  meetStarted(): void {
    for (const lpid of this.words.partitions) {
      if (!this.words.isRunning(lpid) || this.hasMet(lpid)) continue;
      this.#met.set(lpid, this.words.incarnationOf(lpid));
      this.units = this.units.filter((unit) => unit.lpid !== lpid && unit.to !== lpid);
      for (const [near, far] of NEIGHBOURS) if (near === lpid || far === lpid) this.#connect(near, far);
      if (lpid === 1) this.#assign();
    }
  }
}
