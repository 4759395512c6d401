/**
 * Reading the lists and trees of a table once, for a snapshot. Without a lock: where worker threads make calls meanwhile, each
 * record is as it was when it was read, a list that changed is read again, and every walk ends.
 */
import type { TableMemory } from "./binding.js";
import { HEADER_STRUCTURES_MAX, PARTITION_HELD, PARTITION_OWNED } from "./layout.js";
import { partitionWord, readStructure, type Structure } from "./records.js";

/** Where a structure stands in its tree. */
interface Place {
  /** The elemental resource at the root; undefined for what was cut off from its tree. */
  readonly root: Structure | undefined;
  /** 0 of an elemental resource. */
  readonly depth: number;
}

/** A list that goes on changing is taken as it was found after so many tries. */
const TRIES = 3;

/** One look at a table: every structure is read once. */
export class Look {
  readonly memory: TableMemory;
  readonly #structures: Map<number, Structure> = new Map();
  readonly #places: Map<number, Place> = new Map();

  constructor(memory: TableMemory) {
    this.memory = memory;
  }

  structure(slot: number): Structure {
    let structure = this.#structures.get(slot);
    if (structure === undefined) {
      structure = readStructure(this.memory, slot);
      this.#structures.set(slot, structure);
    }
    return structure;
  }

  /** The elemental resources of a partition. */
  owned(lpid: number): Structure[] {
    return this.#list(lpid, PARTITION_OWNED, ({ state }) => state === "owned");
  }

  /** The grants that a partition was given. */
  held(lpid: number): Structure[] {
    return this.#list(lpid, PARTITION_HELD, ({ state }) => state !== "owned" && state !== "free");
  }

  #list(lpid: number, first: number, belongs: (structure: Structure) => boolean): Structure[] {
    const most = this.memory.header(HEADER_STRUCTURES_MAX);
    for (let attempt = 1; ; attempt++) {
      const list: Structure[] = [];
      const seen = new Set<number>();
      let isWhole = true;
      for (let slot = partitionWord(this.memory, lpid, first); slot !== 0; ) {
        const structure = this.structure(slot);
        isWhole = slot <= most && !seen.has(slot) && structure.holder === lpid && belongs(structure);
        if (!isWhole) break;
        seen.add(slot);
        list.push(structure);
        slot = structure.nextHeld;
      }
      if (isWhole || attempt === TRIES) return list;
      // What was read may be no more true than this list was.
      this.#structures.clear();
      this.#places.clear();
    }
  }

  /** The root of a structure's tree, and how many grants are between the two. */
  place(structure: Structure): Place {
    const path: Structure[] = [];
    let at = structure;
    let place = this.#places.get(at.slot);
    // What was read while threads changed it may lead round in a circle: then the way is longer than all that was read.
    while (
      place === undefined &&
      at.state !== "owned" &&
      at.parent !== 0 &&
      path.length <= this.#structures.size
    ) {
      path.push(at);
      at = this.structure(at.parent);
      place = this.#places.get(at.slot);
    }
    place ??= { root: at.state === "owned" ? at : undefined, depth: at.state === "owned" ? 0 : 1 };
    for (const below of path.reverse()) {
      place = { root: place.root, depth: place.depth + 1 };
      this.#places.set(below.slot, place);
    }
    return place;
  }
}
