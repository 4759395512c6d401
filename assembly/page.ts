/**
 * Logical page tables: per partition and space, a u32 entry per page, beside it the control structure of the page
 * (its back), and a map of the free pages.
 *
 *     entry: | lent 1 | copy on write 1 | private 1 | generation 5 | rescinded 1 | write 1 | read 1 | valid 1 | frame 20 |
 *
 * The generation changes with every mapping, so that an entry read before and after a use tells whether they are the
 * same mapping. An entry that is neither valid nor rescinded is unmapped; its other bits but the generation are zero. One
 * that is both is held: its page is being moved (move.ts), and stays what it is for whoever only translates. A private
 * entry names a frame of its own (cow.ts), which it keeps after it lost its access, until that is released. A lent
 * entry keeps its frame, valid without any right, as long as its holder has lent the page (lend.ts).
 */
import {
  ENTRY_COPY_ON_WRITE,
  ENTRY_FRAME,
  ENTRY_HELD,
  ENTRY_LENT_SHIFT,
  ENTRY_PRIVATE,
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  ENTRY_WRITE,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  HEADER_SPACE_PAGES,
  HEADER_TABLE_BYTES,
  INHIBIT_READ,
  INHIBIT_WRITE,
  LINE_BYTES,
  NEED_READ,
  NEED_WRITE,
  PARTITION_SPACES,
  SPACE_BACKS,
  SPACE_BYTES,
  SPACE_COUNT,
  SPACE_ENTRIES,
  SPACE_MAP,
  SPACE_PAGES,
} from "../src/layout";
import {
  isInWord,
  Levels,
  mapBytes,
  mapFill,
  mapIsFree,
  mapLowestRun,
  mapRunEnd,
  Places,
  placeBit,
  placeWord,
  raiseLevels,
  runMask,
} from "./bitmap";
import {
  fillBacks,
  freeFours,
  GENERATION_MASK,
  leaveFours,
  leavePairs,
  left,
  mapFours,
  mapPairs,
  renewed,
  Sixteen,
  storeShared,
} from "./entries";
import { Notes, put, putShared, Words } from "./log";
import { header, isAlone, NONE } from "./memory";

if (ENTRY_READ != ENTRY_VALID * (NEED_READ * 2) || ENTRY_WRITE != ENTRY_VALID * (NEED_WRITE * 2)) {
  ERROR("entryNeed() shifts the need into place");
}

/** Valid, but its holder has lent the page: it has neither right. */
export const ENTRY_LENT: u32 = 1 << ENTRY_LENT_SHIFT;

/** The record of one space of a partition. */
export function spaceAt(partition: usize, space: u32): usize {
  return partition + PARTITION_SPACES + <usize>space * SPACE_BYTES;
}

export function spacePages(at: usize): u32 {
  return load<u32>(at, SPACE_PAGES);
}

export function spaceEntries(at: usize): usize {
  return <usize>load<u32>(at, SPACE_ENTRIES);
}

export function spaceBacks(at: usize): usize {
  return <usize>load<u32>(at, SPACE_BACKS);
}

export function spaceMap(at: usize): usize {
  return <usize>load<u32>(at, SPACE_MAP);
}

/** Where the entry of a page stands. */
export function entryPlace(at: usize, page: u32): usize {
  return spaceEntries(at) + ((<usize>page) << 2);
}

/** Other threads change entries meanwhile, so they are always read whole and anew. */
export function entryOf(at: usize, page: u32): u32 {
  return atomic.load<u32>(entryPlace(at, page));
}

/** Where the control structure of a page stands. */
export function backPlace(at: usize, page: u32): usize {
  return spaceBacks(at) + ((<usize>page) << 2);
}

/** The control structure that a page belongs to, 0 for a free page. */
export function backOf(at: usize, page: u32): u32 {
  return load<u32>(backPlace(at, page));
}

/** The bits that an entry must have for a use that needs `need`. */
export function entryNeed(need: u32): u32 {
  return ENTRY_VALID | (need * (ENTRY_VALID * 2));
}

/** The bits of an entry under a grant with these inhibits. */
export function entryRights(inhibits: u32): u32 {
  if ((inhibits & (INHIBIT_READ | INHIBIT_WRITE)) == 0) return ENTRY_VALID | ENTRY_READ | ENTRY_WRITE;
  let bits: u32 = ENTRY_VALID;
  if ((inhibits & INHIBIT_READ) == 0) bits |= ENTRY_READ;
  if ((inhibits & INHIBIT_WRITE) == 0) bits |= ENTRY_WRITE;
  return bits;
}

/** The bits of an entry that a write copies first. */
export const COPY_RIGHTS: u32 = ENTRY_VALID | ENTRY_READ | ENTRY_COPY_ON_WRITE;

/** Whether a write gives the page a frame of its own first. */
export function isCopyOnWrite(entry: u32): bool {
  return (entry & (ENTRY_VALID | ENTRY_COPY_ON_WRITE)) == (ENTRY_VALID | ENTRY_COPY_ON_WRITE);
}

/** Whether the frame is the mapping's own, or one that it shares with equal pages. */
export function isPrivate(entry: u32): bool {
  return (entry & ENTRY_PRIVATE) != 0;
}

/** The first private page from `page` on, or `end`; with all locks. Sixteen are looked at at once: most often there is none. */
export function nextPrivate(at: usize, page: u32, end: u32): u32 {
  let next = page;
  for (; next + 16 <= end; next += 16) {
    const entry = entryPlace(at, next);
    const half = v128.or(v128.load(entry), v128.load(entry, 16));
    const all = v128.or(half, v128.or(v128.load(entry, 32), v128.load(entry, 48)));
    if (v128.any_true(v128.and(all, i32x4.splat(ENTRY_PRIVATE)))) break;
  }
  while (next < end && !isPrivate(entryOf(at, next))) next++;
  return next;
}

/** Whether any page of the range is copied before a write. */
export function anyCopyOnWrite(at: usize, page: u32, count: u32): bool {
  for (let i: u32 = 0; i < count; i++) if (isCopyOnWrite(entryOf(at, page + i))) return true;
  return false;
}

/** Whether a page is being moved. */
export function isHeld(entry: u32): bool {
  return (entry & ENTRY_HELD) == ENTRY_HELD;
}

/** Why an entry does not serve a use (TR1). */
export function entryFault(entry: u32): i32 {
  if ((entry & ENTRY_HELD) == ENTRY_RESCINDED) return H_RESCINDED;
  if ((entry & ENTRY_VALID) == 0) return H_PARAMETER;
  return (entry & ENTRY_LENT) != 0 ? H_RESOURCE : H_PERMISSION;
}

export function isFreePage(at: usize, page: u32): bool {
  return mapIsFree(spaceMap(at), page);
}

export function isFreeRun(at: usize, page: u32, count: u32): bool {
  return mapRunEnd(spaceMap(at), spacePages(at), page, count) == page + count;
}

/** The lowest free run of `count` pages, or NONE (AC1). */
export function lowestFreePages(at: usize, count: u32): u32 {
  return mapLowestRun(spaceMap(at), spacePages(at), count);
}

/**
 * How many pages from the first one on, at most `count`, stand on consecutive frames. Only with a lock held: else an entry may
 * change meanwhile.
 */
export function consecutivePages(at: usize, page: u32, count: u32): u32 {
  const first = entryOf(at, page) & ENTRY_FRAME;
  let done: u32 = 1;
  while (done < count && (entryOf(at, page + done) & ENTRY_FRAME) == first + done) done++;
  return done;
}

// ---------------------------------------------------------------- one page

/** Through the log, where no other thread reads entries, but for the last two. Methods, since only those are inlined on demand. */
export class OnePage {
  /** The lowest free address, or NONE. */
  @inline
  static lowest(at: usize): u32 {
    return Places.lowest(spaceMap(at), spacePages(at));
  }

  /** Takes the lowest free address for a structure and maps it to the frame of a page of another space. Answers which, or NONE. */
  @inline
  static take(at: usize, back: u32, source: usize, sourcePage: u32, rights: u32): u32 {
    const word = Places.lowestWord(spaceMap(at), spacePages(at));
    if (word == NONE) return NONE;
    const free = load<u64>(placeWord(spaceMap(at), word << 6));
    const page = (word << 6) + <u32>ctz(free);
    const frame = load<u32>(entryPlace(source, sourcePage)) & ENTRY_FRAME;
    const rest = free & (free - 1); // without its lowest bit
    const top = Notes.none();
    OnePage.put(top, at, page, renewed(load<u32>(entryPlace(at, page)), frame | rights), back, rest);
    if (rest == 0) Levels.lower(Notes.next(top), spaceMap(at), spacePages(at), word);
    return page;
  }

  /** Unmaps a page that is not private and frees its address. */
  @inline
  static free(at: usize, page: u32): void {
    const top = Notes.none();
    if (OnePage.leave(top, at, page, load<u32>(entryPlace(at, page)) & GENERATION_MASK))
      Levels.raise(Notes.next(top), spaceMap(at), spacePages(at), page >> 6);
  }

  /** The same where the levels of the map seldom hear of it. */
  @inline
  static freeAmong(at: usize, page: u32): void {
    if (OnePage.leave(Notes.begin(4), at, page, load<u32>(entryPlace(at, page)) & GENERATION_MASK))
      raiseLevels(spaceMap(at), spacePages(at), page >> 6);
  }

  /** Answers whether its word of the map had no free page. */
  @inline
  static leave(top: u32, at: usize, page: u32, entry: u32): bool {
    const free = load<u64>(placeWord(spaceMap(at), page));
    OnePage.put(top, at, page, entry, 0, free | placeBit(page));
    return free == 0;
  }

  /** Changes the entry of a page, its back, and the word of the map that its address is in: four words, noted together at `top`. */
  @inline
  static put(top: u32, at: usize, page: u32, entry: u32, back: u32, free: u64): void {
    const entryAt = entryPlace(at, page);
    const backAt = backPlace(at, page);
    const freeAt = placeWord(spaceMap(at), page);
    Notes.long(top, freeAt, load<u64>(freeAt));
    Notes.third(top, entryAt, load<u32>(entryAt));
    Notes.fourth(top, backAt, load<u32>(backAt));
    Notes.end(top, 4);
    store<u32>(entryAt, entry);
    store<u32>(backAt, back);
    store<u64>(freeAt, free);
  }

  /** As mapFrom(), part of a job. */
  @inline
  static map(at: usize, page: u32, slot: u32, source: usize, sourcePage: u32, rights: u32): void {
    Places.takeOf(spaceMap(at), spacePages(at), page >> 6, placeBit(page));
    store<u32>(backPlace(at, page), slot);
    const entry = entryPlace(at, page);
    storeShared(
      entry,
      renewed(load<u32>(entry), (load<u32>(entryPlace(source, sourcePage)) & ENTRY_FRAME) | rights),
    );
  }

  /** As freePages(), part of a job. */
  @inline
  static unmap(at: usize, page: u32): void {
    const entry = entryPlace(at, page);
    store<u32>(backPlace(at, page), 0);
    storeEntry(entry, left(load<u32>(entry), 0));
    Places.free(spaceMap(at), spacePages(at), page);
  }
}

/** Unmaps a page and frees its address, where it is not done often. */
export function freePage(at: usize, page: u32): void {
  if (OnePage.leave(Notes.begin(4), at, page, left(load<u32>(entryPlace(at, page)), 0)))
    raiseLevels(spaceMap(at), spacePages(at), page >> 6);
}

/** What an entry becomes whose page answers H_RESCINDED until it is unmapped (RS4). */
export function rescinded(entry: u32): u32 {
  return left(entry, ENTRY_RESCINDED);
}

/** The same of one that is not private. */
export function rescindedPlain(entry: u32): u32 {
  return (entry & GENERATION_MASK) | ENTRY_RESCINDED;
}

/** The same of an entry that others read; part of a job. */
export function cutShared(entry: usize): void {
  storeShared(entry, rescindedPlain(load<u32>(entry)));
}

// ---------------------------------------------------------------- ranges

/** Takes addresses for a structure; part of a job. */
export function takePages(at: usize, page: u32, count: u32, back: u32): void {
  Places.takeRun(spaceMap(at), spacePages(at), page, count);
  fillBacks(backPlace(at, page), count, back);
}

/** Unmaps pages, without their addresses. */
function freeEntries(entries: usize, backs: usize, count: u32): void {
  let done: u32 = 0;
  if (isAlone()) done = freeFours(entries, backs, count);
  else {
    fillBacks(backs, count, 0);
    done = leavePairs(entries, count, 0);
  }
  for (let i = done; i < count; i++) {
    const offset = (<usize>i) << 2;
    storeEntry(entries + offset, left(load<u32>(entries + offset), 0));
    store<u32>(backs + offset, 0);
  }
}

/** Unmaps pages and gives their addresses back; part of a job. */
export function freePages(at: usize, page: u32, count: u32): void {
  freeEntries(entryPlace(at, page), backPlace(at, page), count);
  Places.freeRun(spaceMap(at), spacePages(at), page, count);
}

/** Of so many pages the entries, or the backs, are what one note holds. */
const FEW: u32 = LINE_BYTES / 4;

/** Whether pages are so few, and stand so in the map, that they can be mapped and freed through the log. */
export function areFew(page: u32, count: u32): bool {
  if (count > FEW) return false;
  return isInWord(page, count);
}

/**
 * Unmaps a few pages, of which none is private, and gives their addresses back, through the log, where no other thread reads entries:
 * the first notes of a call. They reach beyond fewer than 16: they put back what stands there.
 */
export function freeFew(at: usize, page: u32, count: u32): void {
  const entries = entryPlace(at, page);
  const backs = backPlace(at, page);
  const top = Notes.none();
  Words.note2(top, entries, backs);
  Places.freeNoted(Words.behind2(top), spaceMap(at), spacePages(at), page >> 6, runMask(page & 63, count));
  if (count == FEW) Sixteen.free(entries, backs, true);
  else freeEntries(entries, backs, count);
}

/** Maps consecutive pages to consecutive frames; part of a job. */
export function mapFrames(at: usize, page: u32, count: u32, frame: u32, rights: u32): void {
  const entries = entryPlace(at, page);
  for (let i: u32 = 0; i < count; i++) setEntry(entries + ((<usize>i) << 2), (frame + i) | rights);
}

/**
 * Takes addresses for a structure and maps them to the frames of a range of another space: what accept does; part of a job.
 */
export function mapFrom(
  at: usize,
  page: u32,
  count: u32,
  slot: u32,
  source: usize,
  sourcePage: u32,
  rights: u32,
): void {
  Places.takeRun(spaceMap(at), spacePages(at), page, count);
  mapEntries(entryPlace(at, page), entryPlace(source, sourcePage), backPlace(at, page), count, rights, slot);
}

/** Maps pages, without their addresses. */
function mapEntries(entries: usize, sources: usize, backs: usize, count: u32, rights: u32, slot: u32): void {
  let done: u32 = 0;
  if (isAlone()) done = mapFours(entries, sources, backs, count, rights, slot);
  else {
    fillBacks(backs, count, slot);
    done = mapPairs(entries, sources, count, rights);
  }
  for (let i = done; i < count; i++) {
    const offset = (<usize>i) << 2;
    setEntry(entries + offset, (load<u32>(sources + offset) & ENTRY_FRAME) | rights);
    store<u32>(backs + offset, slot);
  }
}

/** The same of a few pages, as freeFew(). */
export function mapFew(
  at: usize,
  page: u32,
  count: u32,
  slot: u32,
  source: usize,
  sourcePage: u32,
  rights: u32,
): void {
  const entries = entryPlace(at, page);
  const sources = entryPlace(source, sourcePage);
  const backs = backPlace(at, page);
  const top = Notes.none();
  Words.note2(top, backs, entries);
  Places.takeNoted(Words.behind2(top), spaceMap(at), spacePages(at), page >> 6, runMask(page & 63, count));
  if (count == FEW) Sixteen.map(entries, sources, backs, rights, slot);
  else mapEntries(entries, sources, backs, count, rights, slot);
}

/** Where there are none, what an atomic store costs is saved. */
function storeEntry(entry: usize, value: u32): void {
  if (isAlone()) store<u32>(entry, value);
  else storeShared(entry, value);
}

function setEntry(entry: usize, bits: u32): void {
  storeEntry(entry, renewed(load<u32>(entry), bits));
}

/** The entry of a page that moves to another frame, with the rights that it has, lent if it is (RS6). */
function movedEntry(entry: u32, frame: u32): u32 {
  return renewed(
    entry,
    (entry & (ENTRY_VALID | ENTRY_READ | ENTRY_WRITE | ENTRY_COPY_ON_WRITE | ENTRY_LENT)) | frame,
  );
}

/** Points one page at a frame, through the log. */
export function setOwnEntry(at: usize, page: u32, bits: u32): void {
  putShared(entryPlace(at, page), renewed(entryOf(at, page), bits));
}

/**
 * The same, of a frame that a crash would take away again: other threads may use it only after the commit, so that the page is held
 * till then. letOwnEntryGo() lets it go, in a job.
 */
export function setNewEntry(at: usize, page: u32, bits: u32): void {
  setOwnEntry(at, page, isAlone() ? bits : bits | ENTRY_RESCINDED);
}

/** The page's private frame is not its own any more; its access was lost before. */
export function dropPrivate(at: usize, page: u32): void {
  putShared(entryPlace(at, page), entryOf(at, page) & ~(ENTRY_PRIVATE | ENTRY_FRAME));
}

/** Holds the owner's page: from here on no use of it begins. */
export function holdOwnEntry(at: usize, page: u32): void {
  putShared(entryPlace(at, page), entryOf(at, page) | ENTRY_HELD);
}

/** Holds a sharer's page; part of a job, which lets it go again by followEntry(). */
export function holdEntry(at: usize, page: u32): void {
  atomic.store<u32>(entryPlace(at, page), entryOf(at, page) | ENTRY_HELD);
}

/** Points the owner's page at another frame. One that is held stays so: before the commit nobody may use the new frame. */
export function moveOwnEntry(at: usize, page: u32, frame: u32): void {
  const entry = entryOf(at, page);
  putShared(entryPlace(at, page), movedEntry(entry, frame) | (entry & ENTRY_RESCINDED));
}

/** Lets the owner's page go; part of a job. */
export function letOwnEntryGo(at: usize, page: u32): void {
  const entry = entryOf(at, page);
  if (isHeld(entry)) atomic.store<u32>(entryPlace(at, page), entry & ~ENTRY_RESCINDED);
}

/** Points a sharer's page at the owner's frame, and lets it go; part of a job. Answers whether it was at another frame. */
export function followEntry(at: usize, page: u32, frame: u32): bool {
  const entry = entryOf(at, page);
  if ((entry & (ENTRY_FRAME | ENTRY_RESCINDED)) == frame) return false;
  // One that was held, and has not moved, is the mapping that it was.
  const isMoved = (entry & ENTRY_FRAME) != frame;
  const now = isMoved ? movedEntry(entry, frame) : entry & ~ENTRY_RESCINDED;
  atomic.store<u32>(entryPlace(at, page), now);
  return isMoved;
}

/** Holds a range; part of a job, which lets it go. */
export function holdEntries(at: usize, page: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) holdEntry(at, page + i);
}

/** Lets those of a range go that are held: they are what they were. */
export function letEntriesGo(at: usize, page: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const entry = entryOf(at, page + i);
    if (isHeld(entry)) atomic.store<u32>(entryPlace(at, page + i), entry & ~ENTRY_RESCINDED);
  }
}

/** Whether any page of the range is lent. */
export function anyLent(at: usize, page: u32, count: u32): bool {
  for (let i: u32 = 0; i < count; i++) if ((entryOf(at, page + i) & ENTRY_LENT) != 0) return true;
  return false;
}

/** Their holder has lent those of the pages that it has; part of a job. */
export function lendEntries(at: usize, page: u32, count: u32): void {
  const entries = entryPlace(at, page);
  for (let i: u32 = 0; i < count; i++) {
    const entry = entries + ((<usize>i) << 2);
    const old = load<u32>(entry);
    const isLive = (old & ENTRY_VALID) != 0 && (old & (ENTRY_LENT | ENTRY_RESCINDED)) != ENTRY_LENT;
    if (isLive) setEntry(entry, (old & ENTRY_FRAME) | ENTRY_VALID | ENTRY_LENT);
  }
}

/** Those of a range that are lent, or held for it, have rights again; part of a job. */
export function unlendEntries(at: usize, page: u32, count: u32, rights: u32): void {
  const entries = entryPlace(at, page);
  for (let i: u32 = 0; i < count; i++) {
    const entry = entries + ((<usize>i) << 2);
    const old = load<u32>(entry);
    if ((old & ENTRY_VALID) != 0 && (old & (ENTRY_LENT | ENTRY_RESCINDED)) != 0)
      setEntry(entry, (old & ENTRY_FRAME) | rights);
  }
}

/** Unmaps one page, through the log. */
export function unmapPage(at: usize, page: u32): void {
  put(entryPlace(at, page), entryOf(at, page) & GENERATION_MASK);
}

function leaveOnly(at: usize, page: u32, count: u32, bits: u32): void {
  const entries = entryPlace(at, page);
  let done: u32 = 0;
  if (!isAlone()) done = leavePairs(entries, count, bits);
  else done = leaveFours(entries, count, bits);
  for (let i = done; i < count; i++) {
    const entry = entries + ((<usize>i) << 2);
    storeEntry(entry, left(load<u32>(entry), bits));
  }
}

/** Part of a job. */
export function unmapPages(at: usize, page: u32, count: u32): void {
  leaveOnly(at, page, count, 0);
}

/** The pages answer H_RESCINDED until they are unmapped (RS4); part of a job. */
export function rescindPages(at: usize, page: u32, count: u32): void {
  leaveOnly(at, page, count, ENTRY_RESCINDED);
}

/** Whether any page of the range was rescinded (GR4). */
export function anyRescinded(at: usize, page: u32, count: u32): bool {
  const entries = entryPlace(at, page);
  for (let i: u32 = 0; i < count; i++) {
    if ((load<u32>(entries + ((<usize>i) << 2)) & ENTRY_RESCINDED) != 0) return true;
  }
  return false;
}

/**
 * Lays out the five spaces of a partition that was never used; later its tables are left empty by recovery. Without the
 * log: the size of the last space is stored last, and before it is there all of this is done again.
 */
export function openSpaces(partition: usize, tables: usize): void {
  if (spacePages(spaceAt(partition, SPACE_COUNT - 1)) != 0) return;
  let at = tables;
  for (let space: u32 = 0; space < u32(SPACE_COUNT); space++) {
    const pages = header(<usize>HEADER_SPACE_PAGES + ((<usize>space) << 2));
    const record = spaceAt(partition, space);
    const map = at + ((<usize>pages) << 3);
    store<u32>(record, <u32>at, SPACE_ENTRIES);
    store<u32>(record, <u32>(at + ((<usize>pages) << 2)), SPACE_BACKS);
    store<u32>(record, <u32>map, SPACE_MAP);
    mapFill(map, pages, 0, pages, true);
    store<u32>(record, pages, SPACE_PAGES);
    at = map + mapBytes(pages);
  }
  assert(at - tables <= <usize>header(HEADER_TABLE_BYTES));
}
