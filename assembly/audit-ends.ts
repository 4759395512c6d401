/** Audit of adapter ends: counters, lists, pairs. The structures have tallied what counts on each. */
import {
  END_AUDIT_UNRETURNED,
  END_AUDIT_USED,
  END_CLOSED,
  END_FREE,
  END_NEXT,
  END_OPEN,
  END_OWNER,
  END_PAIR,
  END_PREVIOUS,
  END_QUEUE_HEAD,
  END_QUEUE_PAGE,
  END_QUEUE_PAGES,
  END_QUEUE_TAIL,
  END_RETIRED,
  END_STATE,
  END_UNRETURNED,
  END_USED,
  HEADER_END_FREE,
  HEADER_END_FRESH,
  HEADER_END_ORPHANS,
  HEADER_ENDS_ORPHANED,
  HEADER_ENDS_RETIRED,
  HEADER_ENDS_USED,
  HEADER_LPIDS_USED,
  HEADER_TELLER,
  HEADER_TELLER_END,
  PARTITION_ENDS,
  PARTITION_RECOVERING,
  PARTITION_STATE,
  PARTITION_TELLING,
  PROBLEM_END_COUNT,
  PROBLEM_END_COUNTER,
  PROBLEM_END_LINK,
  PROBLEM_END_QUEUE,
  PROBLEM_PARTITION_STATE,
  PROBLEM_STRUCTURE_END,
  QUEUE_ENTRIES_PER_PAGE,
} from "../src/layout";
import { endAt, endWord, partnerEnd, partnerOf } from "./adapter";
import { endOf, holderOf } from "./control";
import { check, tally } from "./findings";
import { header } from "./memory";
import { owns } from "./own";
import { partitionAt, partitionWord } from "./partition";

/** A structure that its holder has not returned: the end is a living one to the holder, or the orphan of such a one. */
export function auditUnreturned(slot: u32, structure: usize): void {
  const end = endAt(endOf(structure));
  const isOpen = endWord(end, END_STATE) == END_OPEN;
  const partner = isOpen
    ? partnerOf(end)
    : endWord(end, END_OWNER) == 0
      ? endWord(end, END_PAIR) & 0xffff
      : 0;
  check(partner == holderOf(structure), PROBLEM_STRUCTURE_END, slot, endOf(structure));
  tally(end + END_AUDIT_UNRETURNED, 1);
}

/** What the list, whose head is given, says of an end in it. */
function auditLinks(slot: u32, end: usize, first: u32): void {
  const next = endWord(end, END_NEXT);
  const previous = endWord(end, END_PREVIOUS);
  const before = previous == 0 ? first : endWord(endAt(previous), END_NEXT);
  check(
    before == slot && (next == 0 || endWord(endAt(next), END_PREVIOUS) == slot),
    PROBLEM_END_LINK,
    slot,
    next,
  );
}

/** An end in use of a partition. */
function auditOwned(slot: u32, end: usize, owner: u32, isOpen: bool): void {
  auditLinks(slot, end, partitionWord(partitionAt(owner), PARTITION_ENDS));
  check(!isOpen || partnerEnd(partnerEnd(end)) == end, PROBLEM_END_LINK, slot, 0);
  const pages = endWord(end, END_QUEUE_PAGES);
  const isOwn = owns(partitionAt(owner), endWord(end, END_QUEUE_PAGE), pages);
  const last = max(endWord(end, END_QUEUE_HEAD), endWord(end, END_QUEUE_TAIL));
  check(isOwn && (pages == 0 || last / QUEUE_ENTRIES_PER_PAGE < pages), PROBLEM_END_QUEUE, slot, 0);
}

/** Only what was not returned keeps an orphan, and no queue. */
function auditOrphan(slot: u32, end: usize): void {
  auditLinks(slot, end, header(HEADER_END_ORPHANS));
  const pair = endWord(end, END_PAIR);
  const isKept = endWord(end, END_UNRETURNED) != 0 && endWord(end, END_QUEUE_PAGES) == 0;
  check(isKept && pair >> 16 != 0 && pair >> 16 != (pair & 0xffff), PROBLEM_END_LINK, slot, pair);
}

/** A telling stands at an end of the teller, who has failed and not told all, or whose adapters end (tell.ts). */
function auditTelling(): void {
  const teller = header(HEADER_TELLER);
  const slot = header(HEADER_TELLER_END);
  const owner = slot == 0 ? teller : endWord(endAt(slot), END_OWNER);
  check(owner == teller && (slot == 0 || teller != 0), PROBLEM_END_LINK, slot, teller);
  if (teller == 0 || partitionWord(partitionAt(teller), PARTITION_TELLING) != 0) return;
  const state = partitionWord(partitionAt(teller), PARTITION_STATE);
  check(state == PARTITION_RECOVERING, PROBLEM_PARTITION_STATE, teller, state);
}

/** Whether the list of a partition, or of the orphans (0), begins with an end that belongs there. */
function auditHead(owner: u32, first: u32): void {
  const end = endAt(first);
  const isUsed = endWord(end, END_STATE) == END_OPEN || endWord(end, END_STATE) == END_CLOSED;
  const isFirst = isUsed && endWord(end, END_OWNER) == owner && endWord(end, END_PREVIOUS) == 0;
  check(first == 0 || isFirst, PROBLEM_END_LINK, first, owner);
}

export function auditEnds(): void {
  auditTelling();
  auditHead(0, header(HEADER_END_ORPHANS));
  for (let lpid: u32 = 1; lpid <= header(HEADER_LPIDS_USED); lpid++)
    auditHead(lpid, partitionWord(partitionAt(lpid), PARTITION_ENDS));
  let used: u32 = 0;
  let orphans: u32 = 0;
  let retired: u32 = 0;
  let free: u32 = 0;
  for (let slot: u32 = 1; slot < header(HEADER_END_FRESH); slot++) {
    const end = endAt(slot);
    const state = endWord(end, END_STATE);
    if (state != END_OPEN && state != END_CLOSED) {
      check(state == END_FREE || state == END_RETIRED, PROBLEM_END_LINK, slot, state);
      if (state == END_RETIRED) retired++;
      else free++;
      continue;
    }
    // Through one that has ended nothing is granted, and before it ended all had gone that was.
    const standing = state == END_OPEN ? endWord(end, END_AUDIT_USED) : 0;
    check(endWord(end, END_USED) == standing, PROBLEM_END_COUNTER, slot, END_USED);
    check(
      endWord(end, END_UNRETURNED) == endWord(end, END_AUDIT_UNRETURNED),
      PROBLEM_END_COUNTER,
      slot,
      END_UNRETURNED,
    );
    const owner = endWord(end, END_OWNER);
    check(owner != 0 || state == END_CLOSED, PROBLEM_END_LINK, slot, state);
    if (owner == 0) {
      orphans++;
      auditOrphan(slot, end);
    } else {
      used++;
      auditOwned(slot, end, owner, state == END_OPEN);
    }
  }
  check(used == header(HEADER_ENDS_USED), PROBLEM_END_COUNT, used, header(HEADER_ENDS_USED));
  check(orphans == header(HEADER_ENDS_ORPHANED), PROBLEM_END_COUNT, orphans, header(HEADER_ENDS_ORPHANED));
  check(retired == header(HEADER_ENDS_RETIRED), PROBLEM_END_COUNT, retired, header(HEADER_ENDS_RETIRED));
  let slot = header(HEADER_END_FREE);
  for (; slot != 0 && free != 0; free--) {
    check(endWord(endAt(slot), END_STATE) == END_FREE, PROBLEM_END_LINK, slot, 0);
    slot = endWord(endAt(slot), END_NEXT);
  }
  check(slot == 0 && free == 0, PROBLEM_END_LINK, slot, free);
}
