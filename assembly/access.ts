/**
 * Checked access by logical address (TR3): the whole range is examined first, so that a range that fails anywhere moves
 * no byte. Transfers between a partition and JavaScript are done by JavaScript over what checkAccess() allowed;
 * everything that stays inside the memory is done here.
 */
import {
  ENTRY_COPY_ON_WRITE,
  ENTRY_FRAME,
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  ENTRY_WRITE,
  H_LONG_BUSY_1_MSEC,
  H_LONG_BUSY_10_MSEC,
  H_NEED_ALL,
  H_NEED_COPY,
  H_NO_MEM,
  H_PARAMETER,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_LPIDS_USED,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  PIN_ORPHAN,
  SPACE_MEMORY,
} from "../src/layout";
import { isRevoking, pageCountOf, pageOf, pinFits, structureAt } from "./control";
import { splitPages } from "./cow";
import { decodeInteger, decodeWord, isSafe, isWord } from "./decode";
import { makeWritable } from "./fault";
import { framePinFits } from "./frame";
import { waitForMover } from "./lock";
import { frameAt, header, isAlone, NONE, resultOf, setResult, stagingHolds, trayHolds } from "./memory";
import {
  backOf,
  consecutivePages,
  entryFault,
  entryNeed,
  entryOf,
  isHeld,
  spaceAt,
  spacePages,
} from "./page";
import { decodePartition, isRunning, lpidOf, partitionAt } from "./partition";
import { decodePin, pinNumberOf, pinsLeft, releasePin, takePin } from "./pin";
import { enterUse, holdsAll, isInUse, leaveUse } from "./thread";

const OFFSET_MASK: u32 = PAGE_BYTES - 1;

/** Whether [address, address + length) are integers inside the space; length 0 is allowed. */
function isRange(at: usize, address: f64, length: f64): bool {
  const size = f64(spacePages(at)) * PAGE_BYTES;
  if (!(address >= 0 && length >= 0 && address < size)) return false;
  return floor(address) == address && floor(length) == length && isSafe(length);
}

export function pageOfAddress(address: f64): u32 {
  return u32(address * (1.0 / PAGE_BYTES));
}

export function offsetOf(address: f64): u32 {
  return u32(address - f64(pageOfAddress(address)) * PAGE_BYTES);
}

/** A method, since only those are inlined on demand. */
class Touched {
  /** Pages that a range touches; one more than the space has when it passes the end. */
  @inline
  static pages(at: usize, address: f64, length: f64): u32 {
    const size = f64(spacePages(at)) * PAGE_BYTES;
    const end = address + length;
    if (length == 0) return 0;
    return end > size
      ? spacePages(at) - pageOfAddress(address) + 1
      : pageOfAddress(end - 1) - pageOfAddress(address) + 1;
  }
}

/** The same where it is not done often. */
export function pagesTouched(at: usize, address: f64, length: f64): u32 {
  return Touched.pages(at, address, length);
}

/** Byte offset in the table's memory of a logical address that was examined. Only with the lock held. */
export function placeOf(at: usize, address: f64): usize {
  return frameAt(entryOf(at, pageOfAddress(address)) & ENTRY_FRAME) + offsetOf(address);
}

/**
 * Examines pages as examine() does, and finds where they stand. R4: the byte offset of `offset` in the first of them if
 * they are on consecutive frames, else -1. Each entry is read once: without the lock it may be rescinded at any time, and
 * a second look would find no frame in it. H_LongBusyOrder1msec: a page is being moved, look again. H_NEED_COPY: all is well, but some
 * page must be copied before it is written.
 */
function locate(at: usize, page: u32, count: u32, need: u32, offset: u32): i32 {
  const mask = entryNeed(need);
  const pages = spacePages(at);
  if (count == 0) {
    // An empty range is nowhere but at its page.
    setResult(f64(frameAt(entryOf(at, page) & ENTRY_FRAME) + offset));
    return H_SUCCESS;
  }
  let first: u32 = 0;
  let isInOnePiece = true;
  let needsCopy = false;
  for (let i: u32 = 0; i < count; i++) {
    if (page + i >= pages) return H_PARAMETER;
    const entry = entryOf(at, page + i);
    if ((entry & (mask | ENTRY_RESCINDED)) != mask) {
      const isCopied = (entry & ENTRY_COPY_ON_WRITE) != 0;
      const least = isCopied ? mask & ~ENTRY_WRITE : mask;
      if ((entry & least) != least) return entryFault(entry);
      if (isHeld(entry)) return H_LONG_BUSY_1_MSEC;
      if (!isCopied) return entryFault(entry);
      needsCopy = true;
    }
    const frame = entry & ENTRY_FRAME;
    if (i == 0) first = frame;
    else if (frame != first + i) isInOnePiece = false;
  }
  setResult(isInOnePiece ? f64(frameAt(first) + offset) : -1);
  return needsCopy ? H_NEED_COPY : H_SUCCESS;
}

/** Copies what a write to an examined range must not reach. */
function copyFirst(lpid: f64, address: f64, length: f64): i32 {
  const partition = decodePartition(lpid);
  const at = spaceAt(partition, SPACE_MEMORY);
  return makeWritable(partition, pageOfAddress(address), pagesTouched(at, address, length));
}

/**
 * Begins a use of a range of memory (see thread.ts), which endUse() ends, if it answers H_SUCCESS. R4 as checkAccess().
 */
export function beginUse(lpid: f64, address: f64, length: f64, need: f64): i32 {
  let attempt: u32 = 0;
  while (true) {
    enterUse();
    const status = examine(lpid, address, length, need);
    if (status == H_SUCCESS) return status;
    // Not in a use while it waits: who moves the page waits for all uses.
    leaveUse();
    if (status == H_NEED_COPY) {
      const answer = copyFirst(lpid, address, length);
      if (answer != H_SUCCESS) return answer;
    } else if (status != H_LONG_BUSY_1_MSEC) return status;
    else if (!waitForMover(attempt++)) return H_LONG_BUSY_10_MSEC;
  }
}

/** A method, since only those are inlined on demand. */
class Few {
  /**
   * The frame of the first of one or two pages that are on consecutive frames, all of which have these rights; H_PARAMETER for everything
   * that is to be decided elsewhere. Within a use, if other threads revoke.
   */
  @inline
  static frame(lpid: u32, page: u32, last: u32, rights: u32): i32 {
    if (lpid - 1 >= header(HEADER_LPIDS_USED)) return H_PARAMETER;
    const partition = partitionAt(lpid);
    if (!isRunning(partition)) return H_PARAMETER;
    const at = spaceAt(partition, SPACE_MEMORY);
    const beyond = last - page;
    if (beyond > 1) return H_PARAMETER;
    if (last >= spacePages(at)) return H_PARAMETER;
    const mask = rights | ENTRY_VALID;
    const entry = entryOf(at, page);
    const end = entryOf(at, last);
    // One that is being moved is rescinded and valid.
    if ((entry & end & mask) != mask) return H_PARAMETER;
    if (((entry | end) & ENTRY_RESCINDED) != 0) return H_PARAMETER;
    const frame = entry & ENTRY_FRAME;
    return (end & ENTRY_FRAME) - frame == beyond ? frame : H_PARAMETER;
  }
}

/**
 * As beginUse(), for a few bytes in one or two pages that are on consecutive frames. Answers the frame of the first one;
 * H_PARAMETER for everything that beginUse() must decide, and then no use runs. Integers, and no second result, since both take longer
 * than the rest.
 * @param last the other page, or the same.
 * @param rights bits of an entry, all of which the pages' must have.
 */
export function openUse(lpid: u32, page: u32, last: u32, rights: u32): i32 {
  enterUse();
  const frame = Few.frame(lpid, page, last, rights);
  if (frame < 0) leaveUse();
  return frame;
}

/** Ends the use that runs. */
export function endUse(): void {
  leaveUse();
}

/**
 * Examines a range of memory. R4: its byte offset in the table's memory if it is physically contiguous, else -1. Within a
 * use that has begun it waits in that use, which who moves pages does not wait for very long.
 */
export function checkAccess(lpid: f64, address: f64, length: f64, need: f64): i32 {
  let attempt: u32 = 0;
  let status = examine(lpid, address, length, need);
  while (status == H_LONG_BUSY_1_MSEC || status == H_NEED_COPY) {
    if (status == H_NEED_COPY) {
      const answer = copyFirst(lpid, address, length);
      if (answer != H_SUCCESS) return answer;
    } else if (!waitForMover(attempt++)) return H_LONG_BUSY_10_MSEC;
    status = examine(lpid, address, length, need);
  }
  return status;
}

/** The same with locks held, so that nobody moves a page. H_NEED_ALL: some page must be copied first, and they do not do. */
export function checkLocked(lpid: f64, address: f64, length: f64, need: f64): i32 {
  const status = examine(lpid, address, length, need);
  if (status != H_NEED_COPY) return status;
  if (!holdsAll()) return H_NEED_ALL;
  const partition = decodePartition(lpid);
  const count = pagesTouched(spaceAt(partition, SPACE_MEMORY), address, length);
  const split = splitPages(partition, pageOfAddress(address), count);
  return split == H_SUCCESS ? examine(lpid, address, length, need) : split;
}

/** As checkAccess(), but answers H_LongBusyOrder1msec where a page is being moved. */
export function examine(lpid: f64, address: f64, length: f64, need: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const rights = decodeInteger(need);
  if (rights > u32(NEED_READ | NEED_WRITE)) return H_PARAMETER;
  const at = spaceAt(partition, SPACE_MEMORY);
  if (!isRange(at, address, length)) return H_PARAMETER;
  return locate(at, pageOfAddress(address), Touched.pages(at, address, length), rights, offsetOf(address));
}

/** Sets a range of memory to one byte value. */
export function fillMemory(lpid: f64, address: f64, length: f64, byte: f64): i32 {
  const value = decodeInteger(byte);
  if (value > 0xff) return refuse(lpid);
  const status = beginUse(lpid, address, length, NEED_WRITE);
  if (status != H_SUCCESS) return status;
  const place = resultOf();
  let answer: i32 = H_SUCCESS;
  if (place < 0) answer = fillPieces(lpid, address, length, <u8>value);
  else memory.fill(<usize>place, <u8>value, <usize>length);
  leaveUse();
  return answer;
}

/** Copies a range of memory to `at` in staging, within the use that runs or in one of its own. */
export function loadMemory(lpid: f64, address: f64, length: f64, at: f64): i32 {
  return moveStaged(lpid, address, length, at, NEED_READ);
}

/** Copies from `at` in staging to a range of memory, within the use that runs or in one of its own. */
export function storeMemory(lpid: f64, address: f64, length: f64, at: f64): i32 {
  return moveStaged(lpid, address, length, at, NEED_WRITE);
}

function moveStaged(lpid: f64, address: f64, length: f64, at: f64, need: u32): i32 {
  const bytes = decodeInteger(length);
  const beside = decodeInteger(at);
  if (bytes == NONE || !(stagingHolds(beside, bytes) || trayHolds(beside, bytes))) return refuse(lpid);
  const isNested = isInUse();
  let status = isNested ? checkAccess(lpid, address, length, need) : beginUse(lpid, address, length, need);
  if (status != H_SUCCESS) return status;
  const place = resultOf();
  if (place >= 0) Beside.move(<usize>place, beside, bytes, need);
  else status = movePieces(lpid, address, bytes, beside, need);
  if (!isNested) leaveUse();
  return status;
}

/**
 * As loadMemory() and storeMemory(), for a few bytes in one or two pages that are on consecutive frames, below 4 GiB; H_PARAMETER for
 * everything that those must decide. Integers, as those of openUse().
 * @param need NEED_READ to load; everything else is to store.
 */
export function moveFew(lpid: u32, address: u32, length: u32, at: u32, need: u32): i32 {
  if (length - 1 >= u32(PAGE_BYTES)) return H_PARAMETER;
  if (!stagingHolds(at, length)) {
    if (!trayHolds(at, length)) return H_PARAMETER;
  }
  if (isInUse()) return H_PARAMETER;
  const isShared = !isAlone();
  if (isShared) enterUse();
  const rights: u32 = need == NEED_READ ? ENTRY_READ : ENTRY_WRITE;
  const frame = Few.frame(lpid, address / PAGE_BYTES, (address + length - 1) / PAGE_BYTES, rights);
  if (frame >= 0) Beside.move(frameAt(frame) + (address & OFFSET_MASK), at, length, need);
  if (isShared) leaveUse();
  return frame < 0 ? H_PARAMETER : H_SUCCESS;
}

/** A machine's copy may be twenty times slower beyond, where the target lies a few bytes after the source in their pages. */
const SURE_BYTES: usize = 2048;
const UNSURE_DISTANCE: usize = 32;

/** A method, since only those are inlined on demand. */
class Beside {
  @inline
  static move(place: usize, beside: usize, bytes: usize, need: u32): void {
    if (need == NEED_READ) Beside.copy(beside, place, bytes);
    else Beside.copy(place, beside, bytes);
  }

  @inline
  static copy(to: usize, from: usize, bytes: usize): void {
    if (bytes > SURE_BYTES) {
      if (((to - from) & OFFSET_MASK) - 1 < UNSURE_DISTANCE - 1) {
        moveUnsure(to, from, bytes);
        return;
      }
    }
    memory.copy(to, from, bytes);
  }
}

function moveUnsure(to: usize, from: usize, bytes: usize): void {
  let done: usize = 0;
  while (done < bytes) {
    const run = min(SURE_BYTES, bytes - done);
    memory.copy(to + done, from + done, run);
    done += run;
  }
}

/** Page by page, as fillPieces(), but examines again only what is not there for all to see. */
function movePieces(lpid: f64, address: f64, bytes: u32, beside: usize, need: u32): i32 {
  const at = spaceAt(decodePartition(lpid), SPACE_MEMORY);
  const mask = entryNeed(need == NEED_READ ? NEED_READ : NEED_WRITE);
  let page = pageOfAddress(address);
  let offset = offsetOf(address);
  let done: u32 = 0;
  while (done < bytes) {
    const run = min<u32>(PAGE_BYTES - offset, bytes - done);
    const entry = entryOf(at, page);
    let place = frameAt(entry & ENTRY_FRAME) + offset;
    if ((entry & (mask | ENTRY_RESCINDED)) != mask) {
      const status = checkAccess(lpid, address + f64(done), f64(run), need);
      if (status != H_SUCCESS) return status;
      place = <usize>resultOf();
    }
    Beside.move(place, beside + done, run, need);
    done += run;
    page++;
    offset = 0;
  }
  return H_SUCCESS;
}

/** Page by page, each examined again: what is rescinded on the way ends the fill there. */
function fillPieces(lpid: f64, address: f64, length: f64, value: u8): i32 {
  let done: f64 = 0;
  while (done < length) {
    const run = min(f64(PAGE_BYTES) - f64(offsetOf(address + done)), length - done);
    const status = checkAccess(lpid, address + done, run, NEED_WRITE);
    if (status != H_SUCCESS) return status;
    memory.fill(<usize>resultOf(), value, <usize>run);
    done += run;
  }
  return H_SUCCESS;
}

// ---------------------------------------------------------------- aligned 32-bit words

/** The answer to a number that cannot be: a caller that does not run hears of that first. */
function refuse(lpid: f64): i32 {
  const partition = decodePartition(lpid);
  return partition == 0 || isRunning(partition) ? H_PARAMETER : H_RESCINDED;
}

/** Begins the use of an aligned word. */
function beginWord(lpid: f64, address: f64, need: f64): i32 {
  if (floor(address * 0.25) == address * 0.25) return beginUse(lpid, address, 4, need);
  // Not aligned, or no number; what is to be said of the range comes first, and nothing is copied.
  const status = examine(lpid, address, 4, need);
  return status < 0 ? status : H_PARAMETER;
}

/** Ends the use of a word. R4: what it held. */
function endWord(value: u32): i32 {
  leaveUse();
  setResult(f64(value));
  return H_SUCCESS;
}

/** Where the word is whose use has begun. */
function wordAt(): usize {
  return <usize>resultOf();
}

/** R4: the word. */
export function loadWord(lpid: f64, address: f64): i32 {
  const status = beginWord(lpid, address, NEED_READ);
  if (status != H_SUCCESS) return status;
  return endWord(atomic.load<u32>(wordAt()));
}

export function storeWord(lpid: f64, address: f64, value: f64): i32 {
  if (!isWord(value)) return refuse(lpid);
  const status = beginWord(lpid, address, NEED_WRITE);
  if (status != H_SUCCESS) return status;
  atomic.store<u32>(wordAt(), decodeWord(value));
  leaveUse();
  return H_SUCCESS;
}

/** R4: the word before; it was replaced if that equals `expected`. */
export function compareExchangeWord(lpid: f64, address: f64, expected: f64, replacement: f64): i32 {
  if (!isWord(expected) || !isWord(replacement)) return refuse(lpid);
  const status = beginWord(lpid, address, NEED_READ | NEED_WRITE);
  if (status != H_SUCCESS) return status;
  return endWord(atomic.cmpxchg<u32>(wordAt(), decodeWord(expected), decodeWord(replacement)));
}

/** R4: the word before. */
export function addWord(lpid: f64, address: f64, value: f64): i32 {
  if (!isWord(value)) return refuse(lpid);
  const status = beginWord(lpid, address, NEED_READ | NEED_WRITE);
  if (status != H_SUCCESS) return status;
  return endWord(atomic.add<u32>(wordAt(), decodeWord(value)));
}

// ---------------------------------------------------------------- zero-copy views

/**
 * Pins a range for a view (TR4). A Uint8Array can be written, so both rights are needed; the range must lie in one
 * resource and on consecutive frames (else H_RESOURCE). R4: the number of the pin; checkAccess() tells the place.
 */
export function pinMemory(lpid: f64, address: f64, length: f64): i32 {
  let status = examine(lpid, address, length, NEED_READ | NEED_WRITE);
  if (status < 0) return status;
  if (length == 0) return H_PARAMETER;
  const partition = decodePartition(lpid);
  const at = spaceAt(partition, SPACE_MEMORY);
  const page = pageOfAddress(address);
  const count = pagesTouched(at, address, length);
  const structure = structureAt(backOf(at, page));
  if (isRevoking(structure)) return H_RESCINDED; // RS5
  if (page - pageOf(structure) + count > pageCountOf(structure)) return H_RESOURCE;
  if (status == H_SUCCESS && consecutivePages(at, page, count) != count) return H_RESOURCE;
  if (!pinsLeft() || !pinFits(structure)) return H_NO_MEM;
  // What is copied first may come to stand together, or not.
  status = checkLocked(lpid, address, length, NEED_READ | NEED_WRITE);
  if (status != H_SUCCESS) return status;
  if (consecutivePages(at, page, count) != count) return H_RESOURCE;
  const frame = entryOf(at, page) & ENTRY_FRAME;
  for (let i: u32 = 0; i < count; i++) if (!framePinFits(frame + i)) return H_NO_MEM;
  setResult(pinNumberOf(takePin(partition, structure, frame, count)));
  return H_SUCCESS;
}

/** Ends a view. One that outlived the incarnation that took it is an orphan: H_PARAMETER, see unpinOrphan(). */
export function unpinMemory(lpid: f64, pin: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  const record = decodePin(lpidOf(partition), pin);
  if (record == 0) return H_PARAMETER;
  releasePin(record);
  return H_SUCCESS;
}

/** Ends a view that outlived the incarnation that took it. Only whoever has the view knows its number. */
export function unpinOrphan(pin: f64): i32 {
  const record = decodePin(PIN_ORPHAN, pin);
  if (record == 0) return H_PARAMETER;
  releasePin(record);
  return H_SUCCESS;
}
