/**
 * Many grants marked, or ended, in one commit: what those of one holder and through one end have in common is done once, which is
 * most of what one costs. Two holders and ends are in a run, so that a chain may go to and fro between two partitions.
 */
import {
  EVENT_RESCINDED,
  EVENT_RETURNED,
  FLAG_REVOKING,
  HEADER_STRUCTURE_FREE,
  HEADER_STRUCTURES_LISTED,
  HEADER_TORN_DOWN,
  JOB_CUTS,
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
  STRUCTURE_CHILD,
  STRUCTURE_NEXT,
  STRUCTURE_PREVIOUS,
  STRUCTURE_PREVIOUS_HELD,
  STRUCTURE_STATE,
  THREAD_CUTS,
  THREAD_LOG,
  THREAD_LOG_TOP,
  THREAD_RUNS,
  TOUCH_NEAR,
} from "../src/layout";
import { countStale, uncountGrants } from "./account";
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
  previousOf,
  slotOf,
  structureAt,
  whose,
} from "./control";
import { eventRoom, stageEvent, tellStaged } from "./event";
import { beginJob, THREAD, Words } from "./log";
import { addHeader, header, isAlone } from "./memory";
import { OnePage, rescindedPlain, spaceAt, spaceEntries } from "./page";
import { addPartitionWord, partitionAt, partitionWord, runsNow } from "./partition";
import { areFar, isLastUse, putFree } from "./slot";
import { Follow, isElsewhere, keep, touchHeld } from "./touch";

/** What a grant costs among others: to be visited and marked. */
export const MARK_STEPS: u32 = 2;
/** So many grants, at most, are marked in one commit: what they have in common is done once, which is most of what one costs. */
export const RUN_MARKS: u32 = 128;
/** So many end with their holder in one. */
const COMMIT_GRANTS: u32 = 32;
/** Notes of one of those: two links of the tree, four double words of a map, an entry, its back, three of the slot. */
const GRANT_NOTES = (2 + 4 * 2 + 2 + 3) * LOG_WORD_BYTES;
/** Notes of what is done once in a commit, at most. */
const END_NOTES = 32 * LOG_WORD_BYTES;
/** Where notes end behind which those of one more that is torn down fit: a record, and two links of the tree. */
const RUN_NOTES = LOG_BYTES - END_NOTES - LOG_LINE_BYTES - 2 * LOG_WORD_BYTES;

if (i32(COMMIT_GRANTS) * GRANT_NOTES > LOG_BYTES - END_NOTES) ERROR("what ends in one commit fits the log");
// Each mark may end a part of its run, which is a note besides that of the mark.
if (i32(RUN_MARKS) * 3 * LOG_WORD_BYTES > LOG_BYTES - END_NOTES)
  ERROR("so do words of what is marked, and entries");
if (THREAD_LOG + i32(RUN_MARKS) * 2 * LOG_WORD_BYTES + END_NOTES > THREAD_CUTS)
  ERROR("notes of what is marked end before its entries");
if (THREAD_CUTS + i32(RUN_MARKS) * 4 > THREAD_LOG + LOG_BYTES) ERROR("a run's entries fit the log");

if (THREAD_RUNS + 2 * RUN_BYTES > THREAD_LOG) ERROR("two runs lie before the log");
if (RUN_BYTES != 32 || THREAD_RUNS % 64 != 0) ERROR("one bit tells the parts of a run apart");

/** The first part of a run. */
function first(): usize {
  return THREAD + THREAD_RUNS;
}

/** The other part than this one, since a thread record begins where a cache line does. */
function otherThan(part: usize): usize {
  return part ^ RUN_BYTES;
}

/** Nothing is in either part. */
function clear(): void {
  store<u64>(THREAD, 0, THREAD_RUNS + RUN_WHOSE);
  store<u64>(THREAD, 0, THREAD_RUNS + RUN_BYTES + RUN_WHOSE);
}

/** Begins the part of a run that is about pages of a holder. */
function openCut(part: usize, lpid: u32): void {
  const at = spaceAt(partitionAt(lpid), SPACE_MEMORY);
  store<u64>(part, lpid, RUN_WHOSE);
  store<u32>(part, <u32>spaceEntries(at), RUN_ENTRIES);
  store<u32>(part, 0, RUN_COUNT);
}

/** Counts what the part of a run has cut. */
function closeCut(part: usize): void {
  const lpid = load<u32>(part, RUN_WHOSE);
  if (lpid == 0) return;
  const place = partitionAt(lpid) + PARTITION_PAGES_MAPPED;
  Words.put(place, load<u32>(place) - load<u32>(part, RUN_COUNT));
}

/** A method, since only those are inlined on demand. */
class Cut {
  /**
   * A structure with one page and no more, so that none is private: the one of this index in its run. Where others read entries they
   * may see only after the commit that the access has ended; the entry is listed, and read, so that it is in the cache by then.
   */
  @inline
  static page(part: usize, structure: usize, index: u32, isSeen: bool): void {
    store<u32>(part, load<u32>(part, RUN_COUNT) + 1, RUN_COUNT);
    const entry = <usize>load<u32>(part, RUN_ENTRIES) + ((<usize>pageOf(structure)) << 2);
    const marked = load<u32>(structure) | (FLAG_REVOKING << 24);
    if (isSeen) {
      keep(load<u32>(entry));
      store<u32>(THREAD + ((<usize>index) << 2), <u32>entry, THREAD_CUTS);
      Words.put(structure + STRUCTURE_STATE, marked);
    } else Words.put2(structure + STRUCTURE_STATE, marked, entry, rescindedPlain(load<u32>(entry)));
  }
}

/**
 * Shared become under revocation, in pre-order from `from` on, which is below `root`: as long as each has one page of memory. Answers
 * where it stands, which is the root where nothing follows, in the low half; above it how many levels it went up to where a sibling
 * follows, and in the highest byte how many it marked. A mark is MARK_STEPS of at most `most` steps, of which there are `marks` at
 * most, a level one.
 */
export function revokeRun(from: usize, root: usize, most: u32, marks: u32): u64 {
  if (!isOnePage(from)) return 0;
  clear();
  const limit = min((most + MARK_STEPS - 1) / MARK_STEPS, marks);
  const rest = most - min(most, limit * MARK_STEPS);
  let left = limit;
  let levels = rest;
  let part = first();
  let structure = from;
  const isSeen = !isAlone();
  while (true) {
    const lpid = holderOf(structure);
    if (lpid != load<u32>(part, RUN_WHOSE)) {
      part = otherThan(part);
      if (lpid != load<u32>(part, RUN_WHOSE)) {
        closeCut(part);
        openCut(part, lpid);
      }
    }
    Cut.page(part, structure, limit - left, isSeen);
    left--;
    let next = childOf(structure);
    if (next == 0) {
      next = nextOf(structure);
      if (next == 0) {
        // Above, all is marked up to where a sibling follows.
        do {
          if (levels == 0) break;
          levels--;
          structure = Follow.link(structure, parentOf(structure), -1);
          if (structure == root) break;
          next = nextOf(structure);
        } while (next == 0);
        if (next == 0) break;
      }
    }
    if (left == 0) break;
    const following = structureAt(next);
    if (!isOnePage(following)) break;
    structure = following;
  }
  closeCut(first());
  closeCut(otherThan(first()));
  if (isSeen) beginJob(JOB_CUTS, slotOf(from), 0, 0, 0, limit - left);
  return ((<u64>(limit - left)) << 56) | ((<u64>(rest - levels)) << 32) | slotOf(structure);
}

/** Begins the part of the run that a structure belongs to; false: it cannot be in this run. */
function open(part: usize, structure: usize): bool {
  if (load<u64>(part, RUN_WHOSE) != 0 || !isBare(structure)) return false;
  const its = whose(structure);
  const other = otherThan(part);
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
  let structure = from;
  let child = childOf(from); // what is linked there has ended where this says that there is none
  let steps: u32 = 0;
  while (steps < most) {
    if (child != 0) {
      do {
        structure = Follow.link(structure, child, 1);
        child = childOf(structure);
        steps++;
        if (steps == most) break;
      } while (child != 0);
      if (steps == most) break;
    }
    if (!isStanding(structure)) break;
    const its = whose(structure);
    if (its != load<u64>(part, RUN_WHOSE)) {
      part = otherThan(part);
      if (its != load<u64>(part, RUN_WHOSE)) {
        if (!open(part, structure)) break;
      }
    }
    const before = load<u32>(part, RUN_COUNT);
    if (before < load<u32>(part, RUN_ROOM)) {
      const grantee = <usize>load<u32>(part, RUN_GRANTEE);
      stageEvent(grantee, before, EVENT_RESCINDED, load<u32>(part, RUN_GRANTOR), cookieOf(structure));
    }
    store<u32>(part, before + 1, RUN_COUNT);
    const above = Follow.link(structure, parentOf(structure), -1);
    const next = nextOf(structure);
    Links.leaveStale(structure);
    steps++;
    structure = above;
    if (next != 0) {
      structure = structureAt(next);
      child = childOf(structure);
      if (child != 0) beginChildren(above, next);
    }
    if (load<u32>(THREAD, THREAD_LOG_TOP) > u32(RUN_NOTES)) break;
  }
  if (steps != 0) {
    if (child == 0 && childOf(structure) != 0) beginChildren(structure, 0);
    else if (previousOf(structure) != 0) beginChildren(structureAt(parentOf(structure)), slotOf(structure));
  }
  close(first());
  close(otherThan(first()));
  return ((<u64>steps) << 32) | slotOf(structure);
}

/** Siblings, of which each is behind the one before it, leave the tree; what they hold of it stays as it was. */
function leaveTogether(eldest: usize, last: usize): void {
  const next = nextOf(last);
  const previous = previousOf(eldest);
  const before =
    previous == 0 ? structureAt(parentOf(eldest)) + STRUCTURE_CHILD : structureAt(previous) + STRUCTURE_NEXT;
  Links.join(before, next, next, STRUCTURE_PREVIOUS, previous);
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
  let eldest = head; // of siblings that leave the tree together, since the one is behind the other there, too
  let last = head;
  let done: u32 = 0;
  while (done < limit) {
    const structure = structureAt(slot);
    if (!isOnePage(structure)) break;
    if (childOf(structure) != 0) break;
    if (whose(structure) != its) break;
    if (isLastUse(structure)) break;
    const next = nextHeldOf(structure);
    if (isFar) touchHeld(structure, at);
    if (done < room) stageEvent(grantor, done, EVENT_RETURNED, holderOf(structure), cookieOf(structure));
    OnePage.freeAmong(at, pageOf(structure));
    if (nextOf(last) != slot) {
      if (done != 0) leaveTogether(eldest, last);
      eldest = structure;
    }
    last = structure;
    putFree(structure, free);
    free = slot;
    slot = next;
    done++;
  }
  if (done == 0) return 0;
  leaveTogether(eldest, last);
  Words.put2(HEADER_STRUCTURE_FREE, free, HEADER_STRUCTURES_LISTED, header(HEADER_STRUCTURES_LISTED) + done);
  addHeader(HEADER_TORN_DOWN, done);
  Links.join(holder + PARTITION_HELD, slot, slot, STRUCTURE_PREVIOUS_HELD, 0);
  addPartitionWord(holder, PARTITION_PAGES_MAPPED, -(<i32>done));
  uncountGrants(grantor, holder, end, done);
  const lost = max(done, room) - room;
  if (runsNow(grantor)) tellStaged(grantor, done - lost, lost);
  return done;
}
