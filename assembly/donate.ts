/**
 * Donations: a whole elemental resource of memory changes its owner. Until it is accepted the donor has lent it (lend.ts).
 * With the accept the grant's structure becomes the receiver's elemental resource, and the donor's is gone; the frames stay.
 *
 *     before the commit   the receiver's entries are written: a job, which frees them if the commit does not come
 *     the commit          structures, lists and counters
 *     after it            the same job frees the donor's addresses, and takes them out of its arena for good
 */
import {
  ENTRY_READ,
  ENTRY_VALID,
  ENTRY_WRITE,
  FLAG_DONATED,
  H_NEED_ALL,
  H_NO_MEM,
  H_SUCCESS,
  JOB_DONATE,
  PAGE_BYTES,
  PARTITION_HELD,
  PARTITION_OWNED,
  PARTITION_PAGES_OWNED,
  SPACE_MEMORY,
  STRUCTURE_OWNED,
} from "../src/layout";
import { uncountGrants } from "./account";
import { endAt } from "./adapter";
import { forgetArena } from "./arena";
import {
  becomeElemental,
  endOf,
  leaveList,
  linkHeld,
  pageCountOf,
  pageOf,
  parentOf,
  slotOf,
  sourcePageOf,
  stateOf,
  structureAt,
} from "./control";
import { countLent } from "./lend";
import { nameJob, nameLender, note } from "./log";
import { NONE, setResult } from "./memory";
import { freePages, lowestFreePages, mapFrom, spaceAt } from "./page";
import { addPartitionWord, lpidOf, partitionAt } from "./partition";
import { releaseStructure } from "./slot";
import { holdsAll } from "./thread";

const ALL_RIGHTS: u32 = ENTRY_VALID | ENTRY_READ | ENTRY_WRITE;

/** Whether a range of a structure is all of an elemental resource. */
export function isWhole(structure: usize, page: u32, count: u32): bool {
  return (
    stateOf(structure) == STRUCTURE_OWNED && page == pageOf(structure) && count == pageCountOf(structure)
  );
}

/** The receiver accepts a donation, at the lowest free place of its space. R4: the logical address. */
export function acceptDonation(structure: usize, receiver: usize, donor: usize): i32 {
  const at = spaceAt(receiver, SPACE_MEMORY);
  const count = pageCountOf(structure);
  const page = lowestFreePages(at, count);
  if (page == NONE) return H_NO_MEM; // AC4
  if (!holdsAll()) return H_NEED_ALL;

  const source = structureAt(parentOf(structure)); // which has no other child, and ends
  const donated = sourcePageOf(structure);
  nameLender(lpidOf(donor), donated);
  nameJob(JOB_DONATE, slotOf(structure), lpidOf(receiver), SPACE_MEMORY, page, count);
  mapFrom(at, page, count, slotOf(structure), spaceAt(donor, SPACE_MEMORY), donated, ALL_RIGHTS);
  note(structure);
  countLent(donor, -(<i32>count));
  uncountGrants(donor, receiver, endAt(endOf(structure)), 1);
  leaveList(receiver + PARTITION_HELD, structure);
  becomeElemental(structure, page, FLAG_DONATED);
  linkHeld(receiver, structure);
  addPartitionWord(donor, PARTITION_PAGES_OWNED, -(<i32>count));
  addPartitionWord(receiver, PARTITION_PAGES_OWNED, count);
  leaveList(donor + PARTITION_OWNED, source);
  releaseStructure(source);
  setResult(f64(page) * PAGE_BYTES);
  return H_SUCCESS;
}

/** The receiver has the resource: the donor's addresses of it are free, for good. */
export function endDonated(donor: u32, donated: u32, count: u32): void {
  freePages(spaceAt(partitionAt(donor), SPACE_MEMORY), donated, count);
  forgetArena(partitionAt(donor), donated, count);
}
