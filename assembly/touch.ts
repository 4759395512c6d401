/**
 * Touching: reading what will be needed soon. Wasm has no prefetch, but loads that do not wait for each other miss the cache at the
 * same time. Nothing of what is read is used or checked; each function answers something that depends on all of its loads,
 * which keep() stores, so that no compiler leaves them out.
 */
import { SPACE_MEMORY, THREAD_TOUCHED } from "../src/layout";
import {
  generationOf,
  grantorOf,
  holderOf,
  nextHeldOf,
  nextOf,
  pageOf,
  previousHeldOf,
  previousOf,
  sourcePageOf,
  spaceOf,
  structureAt,
} from "./control";
import { THREAD } from "./log";
import { backOf, entryOf, spaceAt, spacePages } from "./page";
import { partitionAt } from "./partition";

/** Makes the loads that were done needed. */
export function keep(touched: u32): void {
  store<u32>(THREAD, touched, THREAD_TOUCHED);
}

/** Methods, since only those are inlined on demand: the fewer instructions between two loads, the more are under way at once. */
export class Touch {
  @inline
  static structure(slot: u32): u32 {
    return generationOf(structureAt(slot));
  }

  /** The neighbours of a structure in list and tree. */
  @inline
  static neighbours(structure: usize): u32 {
    return (
      generationOf(structureAt(nextOf(structure))) ^
      generationOf(structureAt(previousOf(structure))) ^
      generationOf(structureAt(nextHeldOf(structure))) ^
      generationOf(structureAt(previousHeldOf(structure)))
    );
  }

  /** A page of a space, if there is one. */
  @inline
  static page(space: usize, page: u32): u32 {
    return page < spacePages(space) ? entryOf(space, page) ^ backOf(space, page) : 0;
  }

  /** The first page of a range of memory. */
  @inline
  static memory(partition: usize, page: u32): u32 {
    return Touch.page(spaceAt(partition, SPACE_MEMORY), page);
  }

  /** What a structure links to: its neighbours, and its first page. */
  @inline
  static linked(slot: u32): u32 {
    const structure = structureAt(slot);
    const space = spaceAt(partitionAt(holderOf(structure)), spaceOf(structure));
    return Touch.neighbours(structure) ^ Touch.page(space, pageOf(structure));
  }
}

/**
 * Touches what the calls after the return of a grant need and it does not: a rescind joins the neighbours, and what was granted is
 * mostly granted again, as buffers of a ring are. The neighbours are what was granted just before and just after, and so, in a
 * ring, what is returned next.
 */
export function touchReturned(structure: usize): void {
  const source = spaceAt(partitionAt(grantorOf(structure)), spaceOf(structure));
  keep(Touch.neighbours(structure) ^ Touch.page(source, sourcePageOf(structure)));
}
