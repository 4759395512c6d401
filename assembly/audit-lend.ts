/** Audit of lends: what is lent has a lender's structure, and the other way round. */
import {
  ENTRY_COPY_ON_WRITE,
  ENTRY_PRIVATE,
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  ENTRY_WRITE,
  FLAG_DONATED,
  FLAG_LENT,
  FLAG_REVOKING,
  FLAG_ZERO,
  HEADER_PAGES_LENT,
  PARTITION_AUDIT_LENT,
  PROBLEM_ENTRY,
  PROBLEM_STRUCTURE_FLAGS,
  PROBLEM_STRUCTURE_RANGE,
  SPACE_MEMORY,
  STRUCTURE_GRANTED,
  STRUCTURE_OWNED,
} from "../src/layout";
import {
  childOf,
  hasFlag,
  hintsShared,
  holderOf,
  nextOf,
  pageCountOf,
  pageOf,
  parentOf,
  sourcePageOf,
  spaceOf,
  stateOf,
} from "./control";
import { check, tally } from "./findings";
import { isLent } from "./lend";
import { header } from "./memory";
import { ENTRY_LENT, entryOf, spaceAt } from "./page";
import { partitionAt } from "./partition";

const NO_RIGHTS: u32 = ENTRY_READ | ENTRY_WRITE | ENTRY_RESCINDED | ENTRY_COPY_ON_WRITE | ENTRY_PRIVATE;

/**
 * A lend, or a donation that nobody has accepted, against its lender's entries. Each of them that is lent is counted where
 * it is found; with as many as all lends have pages, none is lent twice or for nothing.
 */
export function auditLend(slot: u32, structure: usize, above: usize): void {
  const isDonated = hasFlag(structure, FLAG_DONATED);
  const isOne = hasFlag(structure, FLAG_LENT) != isDonated && !(isDonated && hasFlag(structure, FLAG_ZERO));
  const isFit = isOne && spaceOf(structure) == SPACE_MEMORY && isLent(structure);
  check(isFit, PROBLEM_STRUCTURE_FLAGS, slot, 0);
  if (!isFit) return;
  const page = sourcePageOf(structure);
  const count = pageCountOf(structure);
  const isAll = stateOf(above) == STRUCTURE_OWNED && page == pageOf(above) && count == pageCountOf(above);
  const isOnly = childOf(above) == slot && nextOf(structure) == 0 && stateOf(structure) == STRUCTURE_GRANTED;
  check(!isDonated || (isAll && isOnly), PROBLEM_STRUCTURE_RANGE, slot, 0);
  const lender = partitionAt(holderOf(above));
  if (stateOf(above) != STRUCTURE_OWNED && hasFlag(above, FLAG_REVOKING)) {
    tally(lender + PARTITION_AUDIT_LENT, count);
    return;
  }
  const at = spaceAt(lender, SPACE_MEMORY);
  for (let i: u32 = 0; i < count; i++) {
    check((entryOf(at, page + i) & ENTRY_LENT) != 0, PROBLEM_ENTRY, slot, page + i);
  }
}

/** Of what others share nothing is lent. */
export function auditShare(slot: u32, structure: usize, above: usize): void {
  check(hintsShared(above), PROBLEM_STRUCTURE_FLAGS, slot, parentOf(structure));
  if (header(HEADER_PAGES_LENT) == 0) return;
  const at = spaceAt(partitionAt(holderOf(above)), spaceOf(above));
  for (let i: u32 = 0; i < pageCountOf(structure); i++) {
    const page = sourcePageOf(structure) + i;
    check((entryOf(at, page) & ENTRY_LENT) == 0, PROBLEM_ENTRY, slot, page);
  }
}

/** Whether an entry is lent: then it has its frame and no right. Counts it. */
export function isLentEntry(structure: usize, entry: u32): bool {
  if ((entry & (ENTRY_LENT | ENTRY_VALID | NO_RIGHTS)) != (ENTRY_VALID | ENTRY_LENT)) return false;
  tally(partitionAt(holderOf(structure)) + PARTITION_AUDIT_LENT, 1);
  return true;
}
