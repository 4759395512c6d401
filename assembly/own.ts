/**
 * Which addresses are a partition's own: elemental resources. What it was made of lies from address 0 on; a donated one lies
 * where it was accepted, and leaves a gap where it was.
 */
import { INHIBIT_WRITE, SPACE_MEMORY, STRUCTURE_OWNED } from "../src/layout";
import {
  childOf,
  inhibitsOf,
  nextOf,
  pageCountOf,
  pageOf,
  sourcePageOf,
  stateOf,
  structureAt,
} from "./control";
import { backOf, spaceAt, spacePages } from "./page";

/** How many pages from `page` on, at most `most`, are of one elemental resource of memory; 0 if it is in none. */
export function ownRun(partition: usize, page: u32, most: u32): u32 {
  const structure = structureAt(backOf(spaceAt(partition, SPACE_MEMORY), page));
  if (stateOf(structure) != STRUCTURE_OWNED) return 0;
  return min(pageOf(structure) + pageCountOf(structure) - page, most);
}

/** Whether a range is the partition's own memory, in however many resources. */
export function owns(partition: usize, page: u32, count: u32): bool {
  if (<u64>page + count > <u64>spacePages(spaceAt(partition, SPACE_MEMORY))) return false;
  let done: u32 = 0;
  while (done < count) {
    const run = ownRun(partition, page + done, count - done);
    if (run == 0) return false;
    done += run;
  }
  return true;
}

/** So many grants are looked at for the pages of a queue: a few milliseconds. */
export const GRANTS_SEEN: u32 = 1 << 17;

/** Whether a grant of own memory lets somebody else write to a page of a range; also if there are too many to look at. */
export function isWritable(partition: usize, page: u32, count: u32): bool {
  const at = spaceAt(partition, SPACE_MEMORY);
  let left = GRANTS_SEEN;
  for (let done: u32 = 0; done < count; done += ownRun(partition, page + done, count - done)) {
    let slot = childOf(structureAt(backOf(at, page + done)));
    while (slot != 0) {
      const grant = structureAt(slot);
      const first = sourcePageOf(grant);
      const isOver = first < page + count && page < first + pageCountOf(grant);
      if (left-- == 0 || (isOver && (inhibitsOf(grant) & INHIBIT_WRITE) == 0)) return true;
      slot = nextOf(grant);
    }
  }
  return false;
}
