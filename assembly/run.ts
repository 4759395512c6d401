/**
 * Many grants marked, or ended, in one commit: what those of one holder and through one end have in common is done once, which is
 * most of what one costs. Two holders and ends are in a run, so that a chain may go to and fro between two partitions.
 */
import {
  EVENT_RESCINDED,
  EVENT_RETURNED,
  HEADER_STRUCTURE_FREE,
  HEADER_STRUCTURES_LISTED,
  HEADER_TORN_DOWN,
  LOG_BYTES,
  LOG_LINE_BYTES,
  LOG_WORD_BYTES,
  PARTITION_HELD,
  PARTITION_PAGES_MAPPED,
  RUN_BYTES,
  RUN_COUNT,
  RUN_ENTRIES,
  RUN_GRANTEE,
  RUN_GRANTOR,
  RUN_ROOM,
  RUN_WHOSE,
  SPACE_MEMORY,
  STRUCTURE_PREVIOUS_HELD,
  THREAD_LOG,
  THREAD_RUNS,
  TOUCH_NEAR,
} from "../src/layout";
import { countStale, Pages, uncountGrants } from "./account";
import { endAt } from "./adapter";
import {
  beginChildren,
  childOf,
  cookieOf,
  endOf,
  grantorOf,
  holderOf,
  isBare,
  isOnePage,
  isStanding,
  Links,
  nextHeldOf,
  nextOf,
  pageOf,
  parentOf,
  slotOf,
  structureAt,
  whose,
} from "./control";
import { eventRoom, stageEvent, tellStaged } from "./event";
import { THREAD, Words } from "./log";
import { addHeader, header, NONE } from "./memory";
import { freePage, spaceAt, spaceEntries } from "./page";
import { addPartitionWord, partitionAt, partitionWord, runsNow } from "./partition";
import { areFar, isLastUse, putFree } from "./slot";
import { isElsewhere, touchAhead, WALK } from "./touch";

/** What a grant costs among others: to be visited and marked. */
export const MARK_STEPS: u32 = 2;
/** So many grants, at most, end in one commit: what they have in common is done once, which is most of what one costs. */
const COMMIT_GRANTS: u32 = 32;
/** Notes of one that ends with its holder: two links of the tree, four double words of a map, an entry, its back, three of the slot. */
const GRANT_NOTES = (2 + 4 * 2 + 2 + 3) * LOG_WORD_BYTES;

if (i32(COMMIT_GRANTS) * GRANT_NOTES > LOG_BYTES - 32 * LOG_WORD_BYTES)
  ERROR("what ends in one commit fits the log");
if (WALK != COMMIT_GRANTS) ERROR("a walk ahead touches what a run marks or tears down");
if (LOG_LINE_BYTES > GRANT_NOTES) ERROR("a record that is noted is no more");

if (THREAD_RUNS + 2 * RUN_BYTES > THREAD_LOG) ERROR("two runs lie before the log");

/** The first part of a run. */
function first(): usize {
  return THREAD + THREAD_RUNS;
}

/** The other part than this one. */
function otherThan(part: usize): usize {
  return 2 * THREAD + (2 * THREAD_RUNS + RUN_BYTES) - part;
}

/** Nothing is in either part. */
function clear(): void {
  store<u64>(THREAD, 0, THREAD_RUNS + RUN_WHOSE);
  store<u64>(THREAD, 0, THREAD_RUNS + RUN_BYTES + RUN_WHOSE);
}

/** Pages of a holder that are cut in the run. Methods, since only those are inlined on demand: two holders may alternate. */
class Cut {
  @inline
  static open(part: usize, lpid: u32): void {
    const at = spaceAt(partitionAt(lpid), SPACE_MEMORY);
    store<u64>(part, lpid, RUN_WHOSE);
    store<u32>(part, <u32>spaceEntries(at), RUN_ENTRIES);
    store<u32>(part, 0, RUN_COUNT);
  }

  @inline
  static close(part: usize): void {
    const lpid = load<u32>(part, RUN_WHOSE);
    if (lpid == 0) return;
    const place = partitionAt(lpid) + PARTITION_PAGES_MAPPED;
    Words.put(place, load<u32>(place) - load<u32>(part, RUN_COUNT));
  }
}

/** Marks of a run that may take so many steps, and levels that it may go up beside them. */
function marksOf(most: u32): u32 {
  return min((most + MARK_STEPS - 1) / MARK_STEPS, COMMIT_GRANTS);
}
function levelsOf(most: u32): u32 {
  return most - min(most, marksOf(most) * MARK_STEPS);
}

/**
 * Shared become under revocation, in pre-order from `from` on, which is below `root`: as long as each has one page of memory; where no
 * other thread reads entries. Answers where it stands, which is the root where nothing follows, in the low half; above it how many
 * levels it went up to where a sibling follows, and in the highest byte how many it marked. A mark is MARK_STEPS of at most `most`
 * steps, a level one.
 */
export function revokeRun(from: usize, root: usize, most: u32): u64 {
  clear();
  const limit = marksOf(most);
  let left = limit;
  let levels = levelsOf(most);
  let part = first();
  let structure = from;
  let last = from;
  while (true) {
    let next: u32 = NONE;
    while (isOnePage(structure)) {
      const lpid = holderOf(structure);
      if (lpid != load<u32>(part, RUN_WHOSE)) {
        part = otherThan(part);
        if (lpid != load<u32>(part, RUN_WHOSE)) {
          Cut.close(part);
          Cut.open(part, lpid);
        }
      }
      store<u32>(part, load<u32>(part, RUN_COUNT) + 1, RUN_COUNT);
      Pages.cut(structure, <usize>load<u32>(part, RUN_ENTRIES) + ((<usize>pageOf(structure)) << 2));
      last = structure;
      next = childOf(structure);
      if (next == 0) next = nextOf(structure);
      left--;
      if (next == 0) break;
      if (left == 0) break;
      structure = structureAt(next);
    }
    if (next != 0) break;
    // Above, all is marked up to where a sibling follows.
    while (next == 0 && levels != 0) {
      levels--;
      last = structureAt(parentOf(last));
      if (last == root) break;
      next = nextOf(last);
    }
    if (next == 0 || left == 0) break;
    structure = structureAt(next);
  }
  Cut.close(first());
  Cut.close(otherThan(first()));
  return ((<u64>(limit - left)) << 56) | ((<u64>(levelsOf(most) - levels)) << 32) | slotOf(last);
}

/** Begins the part of the run that a structure belongs to; false: it cannot be in this run. */
function open(part: usize, other: usize, structure: usize): bool {
  if (load<u64>(part, RUN_WHOSE) != 0 || !isBare(structure)) return false;
  const its = whose(structure);
  const grantee = partitionAt(<u32>its & 0xffff);
  if (!runsNow(grantee)) return false;
  // Events of both parts would be put at the same places of one ring.
  if (load<u64>(other, RUN_WHOSE) != 0 && load<u32>(other, RUN_GRANTEE) == <u32>grantee) return false;
  const room = max(eventRoom(grantee, EVENT_RESCINDED), 0);
  store<u64>(part, its, RUN_WHOSE);
  store<u32>(part, <u32>grantee, RUN_GRANTEE);
  store<u32>(part, grantorOf(structure), RUN_GRANTOR);
  store<u32>(part, room, RUN_ROOM);
  store<u32>(part, 0, RUN_COUNT);
  return true;
}

/** Counts what the part of a run has ended, and tells the holder. */
function close(part: usize): void {
  const its = load<u64>(part, RUN_WHOSE);
  if (its == 0) return;
  const ended = load<u32>(part, RUN_COUNT);
  const kept = min(ended, load<u32>(part, RUN_ROOM));
  const grantee = <usize>load<u32>(part, RUN_GRANTEE);
  tellStaged(grantee, kept, ended - kept);
  countStale(partitionAt(load<u32>(part, RUN_GRANTOR)), grantee, endAt(<u32>(its >> 32) & 0xffff), ended);
}

/**
 * Under revocation become Rescinded, leaves first, what is below `from`, then `from` and what is above it, but never the root: as
 * long as nobody has anything of them but their holders, who run. Answers where it stands, in the low half, and how many steps of
 * at most `most` it took: one down to a child, one for what has ended.
 */
export function rescindRun(from: usize, most: u32): u64 {
  clear();
  let part = first();
  let above = from;
  let slot = childOf(from);
  let isLinked = true;
  let steps: u32 = 0;
  let left = COMMIT_GRANTS;
  while (steps < most) {
    let structure = above;
    if (slot != 0) {
      structure = structureAt(slot);
      const child = childOf(structure);
      if (child != 0) {
        if (!isLinked) beginChildren(above, slot);
        isLinked = true;
        above = structure;
        slot = child;
        steps++;
        continue;
      }
    }
    if (!isStanding(structure)) break;
    const its = whose(structure);
    if (its != load<u64>(part, RUN_WHOSE)) {
      const other = part;
      part = otherThan(part);
      if (its != load<u64>(part, RUN_WHOSE)) {
        if (!open(part, other, structure)) break;
      }
    }
    slot = nextOf(structure);
    if (structure == above) above = structureAt(parentOf(structure));
    const before = load<u32>(part, RUN_COUNT);
    if (before < load<u32>(part, RUN_ROOM)) {
      const grantee = <usize>load<u32>(part, RUN_GRANTEE);
      stageEvent(grantee, before, EVENT_RESCINDED, load<u32>(part, RUN_GRANTOR), cookieOf(structure));
    }
    store<u32>(part, before + 1, RUN_COUNT);
    Links.leaveStale(structure);
    isLinked = false;
    steps++;
    left--;
    if (left == 0) break;
  }
  if (!isLinked) beginChildren(above, slot);
  close(first());
  close(otherThan(first()));
  return ((<u64>steps) << 32) | slotOf(above);
}

/**
 * Shared structures end with their holder, who does not run any more: Unknown. From the first in its list on, as long as each is a
 * leaf with one page of memory of which nobody has anything, and through the same end; where nobody uses the holder's addresses.
 * Their slots are for all. Answers how many, at most `most`.
 */
export function endLeaves(holder: usize, most: u32): u32 {
  let slot = partitionWord(holder, PARTITION_HELD);
  const head = structureAt(slot);
  if (!isOnePage(head) || !isBare(head)) return 0;
  const its = whose(head);
  const end = endAt(endOf(head));
  const grantor = partitionAt(grantorOf(head));
  const at = spaceAt(holder, SPACE_MEMORY);
  const limit = min(most, COMMIT_GRANTS);
  const room = <u32>max(eventRoom(grantor, EVENT_RETURNED), 0);
  let free = header(HEADER_STRUCTURE_FREE);
  // What is ahead in the tree is so in the list, where one grantor made both.
  const isFar = nextHeldOf(head) == nextOf(head) && areFar(TOUCH_NEAR) && isElsewhere(head, nextHeldOf(head));
  let done: u32 = 0;
  while (slot != 0 && done < limit) {
    const structure = structureAt(slot);
    if (!isOnePage(structure)) break;
    if (isFar) touchAhead(structure);
    if (childOf(structure) != 0) break;
    if (whose(structure) != its) break;
    if (isLastUse(structure)) break;
    const next = nextHeldOf(structure);
    if (done < room) stageEvent(grantor, done, EVENT_RETURNED, holderOf(structure), cookieOf(structure));
    freePage(at, pageOf(structure));
    Links.leaveTree(structure);
    putFree(structure, free);
    free = slot;
    slot = next;
    done++;
  }
  if (done == 0) return 0;
  Words.put2(HEADER_STRUCTURE_FREE, free, HEADER_STRUCTURES_LISTED, header(HEADER_STRUCTURES_LISTED) + done);
  addHeader(HEADER_TORN_DOWN, done);
  Links.join(holder + PARTITION_HELD, slot, slot, STRUCTURE_PREVIOUS_HELD, 0);
  addPartitionWord(holder, PARTITION_PAGES_MAPPED, -(<i32>done));
  uncountGrants(grantor, holder, end, done);
  const kept = min(done, room);
  if (runsNow(grantor)) tellStaged(grantor, kept, done - kept);
  return done;
}
