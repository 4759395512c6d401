/**
 * Lends: grants whose grantor has no access to the pages until they end. Arm's FF-A is the yardstick (DEN0077, memory
 * management: lend and donate): one borrower, no access of the lender meanwhile, zeroing only by who may write. A donation
 * that nobody has accepted yet is a lend, too (donate.ts).
 *
 *     grant   the lender's entries are held, its running uses waited for; right after the commit they are lent: a job
 *     moves   go on: a lent entry follows its frame like any other
 *     end     with the commit that takes the structure out of the tree the lender's entries become a job: they get the
 *             rights back that its own mapping has, unless that is under revocation or rescinded itself
 *     zero    between the borrower's loss of access, after its uses are over, and that commit; in slices
 *
 * Who lends, or ends a lend, holds all locks if there is more than one thread: who meets a held page sleeps on the first.
 */
import {
  ENTRY_FRAME,
  FLAG_DONATED,
  FLAG_LENT,
  FLAG_REVOKING,
  FLAG_ZERO,
  HEADER_PAGES_LENT,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  JOB_LENT,
  JOB_PAGES,
  MODE_DONATE,
  MODE_LEND,
  MODE_MASK,
  MODE_SHARE,
  MODE_ZERO,
  PAGE_BYTES,
  PARTITION_PAGES_LENT,
  SPACE_MEMORY,
  STRUCTURE_GRANTED,
  STRUCTURE_OWNED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  THREAD_WAITS_FOR,
} from "../src/layout";
import {
  childOf,
  grantorOf,
  hasFlag,
  hintShared,
  hintsShared,
  holderOf,
  inhibitsOf,
  nextOf,
  pageCountOf,
  pageOf,
  parentOf,
  pinsOf,
  rootOf,
  rootPageOf,
  setFlag,
  setZeroed,
  slotOf,
  sourcePageOf,
  stateOf,
  structureAt,
  zeroedOf,
} from "./control";
import { framePins } from "./frame";
import { abandonJob, beginJob, hasJob, nameLender, THREAD, undo } from "./log";
import { addHeader, budget, frameAt, isAlone, NONE } from "./memory";
import {
  backOf,
  entryOf,
  entryRights,
  holdEntries,
  lendEntries,
  letEntriesGo,
  spaceAt,
  unlendEntries,
} from "./page";
import { addPartitionWord, lpidOf, partitionAt } from "./partition";
import { holdsQueue } from "./queue";
import { awaitUses, holdsAll, nameUser } from "./thread";

/** Whether a caller's mode exists, and fits the space and the restrictions of the grant. */
export function isMode(mode: u32, space: u32, inhibits: u32): bool {
  if (mode == u32(MODE_SHARE)) return true;
  if (space != SPACE_MEMORY || mode > u32(MODE_MASK | MODE_ZERO)) return false;
  if ((mode & MODE_MASK) == u32(MODE_LEND)) return true;
  // Who owns has all rights; and nobody gets back what was donated.
  return mode == u32(MODE_DONATE) && (inhibits & (INHIBIT_READ | INHIBIT_WRITE | INHIBIT_REGRANT)) == 0;
}

/** Whether the grantor of a structure has no access to its pages. */
export function isLent(structure: usize): bool {
  if (!hasFlag(structure, FLAG_LENT | FLAG_DONATED)) return false;
  const state = stateOf(structure);
  return state == STRUCTURE_GRANTED || state == STRUCTURE_SHARED || state == STRUCTURE_RETURNING;
}

/** Whether lends can begin and end with the locks that are held. */
export function mayLend(): bool {
  return isAlone() || holdsAll();
}

/**
 * Whether nobody but its holder uses a range of a structure through it: no other grant of any of the pages, no view, no
 * queue; none of the pages is lent. A structure with shares among more grants than one slice has steps is not searched: its
 * pages count as granted.
 */
export function isExclusive(partition: usize, structure: usize, page: u32, count: u32): bool {
  // Pages that are lent have been looked for already: if there is nothing else, there is nothing to look for.
  let slot = hintsShared(structure) ? childOf(structure) : 0;
  let left = budget();
  while (slot != 0) {
    if (left == 0) return false;
    left--;
    const grant = structureAt(slot);
    const first = sourcePageOf(grant);
    if (first < page + count && page < first + pageCountOf(grant)) return false;
    slot = nextOf(grant);
  }
  if (holdsQueue(partition, page, count)) return false;
  if (pinsOf(structure) == 0) return true;
  // A pin names a frame, and may be somebody else's who has the page: then a lend must wait for that one, too.
  const at = spaceAt(partition, SPACE_MEMORY);
  for (let i: u32 = 0; i < count; i++) {
    if (framePins(entryOf(at, page + i) & ENTRY_FRAME) != 0) return false;
  }
  return true;
}

/** Pages that a partition has lent. */
export function countLent(lender: usize, pages: i32): void {
  addPartitionWord(lender, PARTITION_PAGES_LENT, pages);
  addHeader(HEADER_PAGES_LENT, pages);
}

/** Waits for the uses that run; false: one goes on, THREAD_WAITS_FOR says whose. */
function usesAreOver(): bool {
  store<u32>(THREAD, 0, THREAD_WAITS_FOR);
  if (isAlone()) return true;
  const user = awaitUses();
  if (user == NONE) return true;
  nameUser(user);
  return false;
}

/** Holds a range, within a job that lets it go, until nobody uses it; false: somebody goes on. */
function holdUnused(at: usize, page: u32, count: u32): bool {
  if (isAlone()) return true;
  holdEntries(at, page, count);
  return usesAreOver();
}

/**
 * A new grant, which is linked and not committed, takes the grantor's access: its entries are held until the commit, and lent
 * after it, so that nobody is refused for a lend that does not come. False: a use of them goes on, and nothing has happened.
 */
export function lend(grantor: usize, structure: usize, mode: u32): bool {
  const at = spaceAt(grantor, SPACE_MEMORY);
  const page = sourcePageOf(structure);
  const count = pageCountOf(structure);
  const flag = (mode & MODE_MASK) == u32(MODE_LEND) ? FLAG_LENT : FLAG_DONATED;
  setFlag(structure, (mode & MODE_ZERO) != 0 ? flag | FLAG_ZERO : flag);
  const source = structureAt(parentOf(structure));
  if (nextOf(structure) == 0) hintShared(source, false); // it is the only grant
  countLent(grantor, count);
  beginJob(JOB_LENT, slotOf(structure), lpidOf(grantor), SPACE_MEMORY, page, count);
  if (!holdUnused(at, page, count)) {
    undo(THREAD);
    letEntriesGo(at, page, count);
    abandonJob();
    return false;
  }
  return true;
}

/** A lend leaves the tree with the next commit: its lender has access again right after that. */
export function endLend(structure: usize): void {
  if (!isLent(structure)) return;
  const lender = grantorOf(structure);
  const count = pageCountOf(structure);
  countLent(partitionAt(lender), -(<i32>count));
  // It may be the borrower's addresses that this commit gives back, too.
  if (hasJob()) nameLender(lender, sourcePageOf(structure));
  else beginJob(JOB_LENT, slotOf(structure), lender, SPACE_MEMORY, sourcePageOf(structure), count);
}

/** Brings a lender's entries in line with the lend, which is there or is not; part of a job. */
export function settleLent(slot: u32, lender: u32, page: u32, count: u32): void {
  const at = spaceAt(partitionAt(lender), SPACE_MEMORY);
  if (isLent(structureAt(slot))) {
    lendEntries(at, page, count);
    return;
  }
  const source = structureAt(backOf(at, page));
  const isLive = stateOf(source) == STRUCTURE_SHARED && !hasFlag(source, FLAG_REVOKING);
  if (isLive || stateOf(source) == STRUCTURE_OWNED)
    unlendEntries(at, page, count, entryRights(inhibitsOf(source)));
}

// ---------------------------------------------------------------- zero on return

/** Whether pages must be zeroed before a grant that was accepted ends, or is only granted again. */
export function mustZero(structure: usize): bool {
  if (!hasFlag(structure, FLAG_ZERO) || stateOf(structure) == STRUCTURE_GRANTED) return false;
  return zeroedOf(structure) < pageCountOf(structure);
}

/** Zeroes so many pages of a lend at most, where its owner has them now. Answers how many. */
export function zeroLent(structure: usize, most: u32): u32 {
  const at = spaceAt(partitionAt(holderOf(rootOf(structure))), SPACE_MEMORY);
  const done = zeroedOf(structure);
  const first = rootPageOf(structure) + done;
  const run = min(most, pageCountOf(structure) - done);
  for (let i: u32 = 0; i < run; i++) {
    memory.fill(frameAt(entryOf(at, first + i) & ENTRY_FRAME), 0, PAGE_BYTES);
  }
  setZeroed(structure, done + run);
  return run;
}

/** Before a borrower's pages are zeroed: nobody uses them any more. False: somebody does, and nothing has happened. */
export function holdBorrowed(structure: usize): bool {
  const lpid = holderOf(structure);
  const at = spaceAt(partitionAt(lpid), SPACE_MEMORY);
  const page = pageOf(structure);
  const count = pageCountOf(structure);
  beginJob(JOB_PAGES, slotOf(structure), lpid, SPACE_MEMORY, page, count);
  if (holdUnused(at, page, count)) return true;
  letEntriesGo(at, page, count);
  abandonJob();
  return false;
}
