/**
 * DMA window panes (KI4): the holder of a pane puts pages of its memory behind pages of the I/O bus (PAPR, H_PUT_TCE and its
 * kin), and devices read and write through them.
 *
 * Puts need the locks of the holder and of the window's owner. A device takes none: its access is a use (thread.ts), so that
 * whoever ends it, by whatever means, waits for those that run.
 *
 *     bus page -> entry of the owner's window -> page of the holder's memory -> page table entry -> frame
 *
 * Each arrow is followed at each access.
 */
import {
  ENTRY_FRAME,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  FRAMES_LIMIT,
  H_BUSY,
  H_LONG_BUSY_1_MSEC,
  H_LONG_BUSY_10_MSEC,
  H_NEED_ALL,
  H_NEED_COPY,
  H_NO_MEM,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  JOB_TCES,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  PAGE_SHIFT,
  PARTITION_FAILED,
  PARTITION_OWNED,
  PARTITION_RUNNING,
  PARTITION_STATE,
  SPACE_DMA,
  SPACE_MEMORY,
  STRUCTURE_OWNED,
  STRUCTURE_SHARED,
  TCE_ENTRIES_LIMIT,
  TCE_PANE,
  TCE_READ,
  TCE_SLOT_MASK,
  TCE_STRUCTURE,
  TCE_STRUCTURE_GENERATION,
  TCE_WORD,
  TCE_WRITE,
  TCES_MAX,
  THREAD_COPY_LPID,
  THREAD_COPY_PAGE,
} from "../src/layout";
import { checkLocked, examine, offsetOf, pageOfAddress } from "./access";
import {
  entriesOf,
  generationNow,
  guessOwner,
  holderNow,
  holderOf,
  isRevoking,
  liobnOf,
  nextHeldOf,
  pageCountOf,
  pageNow,
  pageOf,
  rootOf,
  rootPageOf,
  slotOf,
  spaceOf,
  stateOf,
  structureAt,
} from "./control";
import { decodeInteger, decodePages, isSafe } from "./decode";
import { makeWritable } from "./fault";
import { waitForMover } from "./lock";
import { beginJob, THREAD } from "./log";
import { inStaging, isAlone, NONE, resultOf, setResult, stagingHolds } from "./memory";
import {
  anyRescinded,
  backOf,
  entryFault,
  entryNeed,
  entryOf,
  isCopyOnWrite,
  spaceAt,
  spacePages,
} from "./page";
import { decodePartition, isRunning, lpidOf, partitionAt, partitionWord } from "./partition";
import {
  isLive,
  isOneEntry,
  isTaken,
  listedTce,
  listTce,
  memoryNamed,
  pageIn,
  paneOf,
  rightsIn,
  tceAt,
  tceBits,
  tceWord,
} from "./tce";
import { awaitUses, enterUse, holds, isInUse, leaveUse } from "./thread";

if (TCE_READ != NEED_READ || TCE_WRITE != NEED_WRITE) ERROR("rights of an entry are needs of a device");

/** Looks at an entry that is being replaced, before it is taken for none. */
const LOOKS: u32 = 64;
const BUS_BYTES: f64 = f64(FRAMES_LIMIT) * PAGE_BYTES;

// ---------------------------------------------------------------- numbers from callers

/** A TCE as its bits, NONE if it cannot be one: a logical address, a multiple of 4096, plus rights; without rights, 0. */
function decodeTce(value: f64): u32 {
  const bits = u64(value);
  const page = bits >> PAGE_SHIFT;
  const rights = <u32>(bits & (PAGE_BYTES - 1));
  if (f64(bits) != value || page > u64(TCE_SLOT_MASK) || rights > u32(TCE_READ | TCE_WRITE)) return NONE;
  return tceBits(<u32>page, rights);
}

/** The owner of the window that a page of the caller's DMA space is part of, guessed without any lock; 0: nobody. */
export function windowOwnerNamed(lpid: f64, ioba: f64): u32 {
  const holder = decodePartition(lpid);
  const page = decodePages(ioba);
  if (holder == 0 || page >= spacePages(spaceAt(holder, SPACE_DMA))) return 0;
  return guessOwner(backOf(spaceAt(holder, SPACE_DMA), page));
}

/** The pane through which a running holder reaches a page of its DMA space; what examinePane() found to be one. */
function paneAt(holder: usize, page: u32): usize {
  return structureAt(backOf(spaceAt(holder, SPACE_DMA), page));
}

/** Whether a range lies inside one pane of the holder with that LIOBN, and nobody takes it away. */
function examinePane(holder: usize, liobn: f64, page: u32, count: u32): i32 {
  const bus = decodeInteger(liobn);
  const at = spaceAt(holder, SPACE_DMA);
  if (bus == NONE || page == NONE || <u64>page + count > <u64>spacePages(at)) return H_PARAMETER;
  const back = backOf(at, page);
  const pane = structureAt(back);
  const state = stateOf(pane);
  const gives = back != 0 && (state == STRUCTURE_OWNED || state == STRUCTURE_SHARED);
  // Before the LIOBN is looked at: a pane that loses its access has none any more.
  if (gives && isRevoking(pane)) return H_RESCINDED;
  if (gives && page - pageOf(pane) + count <= pageCountOf(pane) && liobnOf(pane) == bus) return H_SUCCESS;
  return anyRescinded(at, page, count) ? H_RESCINDED : H_PARAMETER;
}

/** Whether the holder may put a page of its memory behind the bus. */
function examineListed(holder: usize, bits: u32, count: u32): i32 {
  const at = spaceAt(holder, SPACE_MEMORY);
  const page = pageIn(bits);
  if (page >= spacePages(at)) return H_PARAMETER;
  const entry = entryOf(at, page);
  // A page that is copied before it is written can be written.
  const rights = isCopyOnWrite(entry) ? rightsIn(bits) & ~TCE_WRITE : rightsIn(bits);
  const mask = entryNeed(rights);
  const memory = memoryNamed(holder, bits);
  if ((entry & ENTRY_RESCINDED) == 0 && backOf(at, page) != 0 && isRevoking(memory)) return H_RESCINDED;
  if ((entry & (mask | ENTRY_RESCINDED)) != mask) return entryFault(entry);
  return entriesOf(memory) + count > u32(TCE_ENTRIES_LIMIT) ? H_NO_MEM : H_SUCCESS;
}

// ---------------------------------------------------------------- H_PUT_TCE and its kin

/**
 * Puts what this thread lists behind consecutive bus pages. R4: 1 if devices may still use what was there, see awaitDma().
 */
function putAll(holder: usize, liobn: f64, page: u32, count: u32): i32 {
  const status = examinePane(holder, liobn, page, count);
  if (status != H_SUCCESS) return status;
  const pane = paneAt(holder, page);
  for (let i: u32 = 0; i < count; i++) {
    const bits = listedTce(THREAD, i);
    const fault = bits == NONE ? H_PARAMETER : bits == 0 ? H_SUCCESS : examineListed(holder, bits, count);
    if (fault != H_SUCCESS) return fault;
  }
  const owner = partitionAt(holderOf(rootOf(pane)));
  if (!holds(lpidOf(owner))) return H_NEED_ALL;
  const first = rootPageOf(pane) + page - pageOf(pane);
  let more: u32 = 0;
  let ends: bool = false;
  for (let i: u32 = 0; i < count; i++) {
    const tce = tceAt(owner, first + i);
    if (listedTce(THREAD, i) == 0) ends = true;
    if (!isTaken(tce)) {
      more++;
      continue;
    }
    ends = true;
    const other = paneOf(tce);
    if (other != pane) more++;
    if (holderOf(other) == lpidOf(holder)) continue;
    if (isLive(tce)) return H_RESOURCE;
    if (!holds(holderOf(other))) return H_NEED_ALL;
  }
  if (entriesOf(pane) + more > u32(TCE_ENTRIES_LIMIT)) return H_NO_MEM;

  setResult(ends ? 1 : 0);
  beginJob(JOB_TCES, slotOf(pane), lpidOf(owner), 0, first, count);
  return H_SUCCESS;
}

/** H_STUFF_TCE: the same entry behind `count` consecutive bus pages, at most 512; one without rights removes. */
export function stuffTce(lpid: f64, liobn: f64, ioba: f64, tce: f64, count: f64): i32 {
  const holder = decodePartition(lpid);
  if (holder == 0) return H_PARAMETER;
  if (!isRunning(holder)) return H_RESCINDED;
  const pages = decodeInteger(count);
  if (pages == 0 || pages > u32(TCES_MAX)) return H_PARAMETER;
  const bits = decodeTce(tce);
  for (let i: u32 = 0; i < pages; i++) listTce(i, bits);
  return putAll(holder, liobn, decodePages(ioba), pages);
}

/** H_PUT_TCE: one entry. */
export function putTce(lpid: f64, liobn: f64, ioba: f64, tce: f64): i32 {
  return stuffTce(lpid, liobn, ioba, tce, 1);
}

/**
 * H_PUT_TCE_INDIRECT: up to 512 entries from a page of the caller's memory, as 64-bit little-endian words. Each is read once:
 * what is checked is what is put, whatever others write to the page meanwhile.
 */
export function putTceIndirect(lpid: f64, liobn: f64, ioba: f64, list: f64, count: f64): i32 {
  const holder = decodePartition(lpid);
  if (holder == 0) return H_PARAMETER;
  if (!isRunning(holder)) return H_RESCINDED;
  const pages = decodeInteger(count);
  if (pages == 0 || pages > u32(TCES_MAX) || decodePages(list) == NONE) return H_PARAMETER;
  const status = checkLocked(lpid, list, f64(pages) * 8, NEED_READ);
  if (status != H_SUCCESS) return status;
  const at = <usize>resultOf();
  for (let i: u32 = 0; i < pages; i++) listTce(i, decodeTce(f64(load<u64>(at + ((<usize>i) << 3)))));
  return putAll(holder, liobn, decodePages(ioba), pages);
}

/** As putTceIndirect(), with the list as floats in staging. */
export function putTceList(lpid: f64, liobn: f64, ioba: f64, list: f64, count: f64): i32 {
  const holder = decodePartition(lpid);
  if (holder == 0) return H_PARAMETER;
  if (!isRunning(holder)) return H_RESCINDED;
  const pages = decodeInteger(count);
  const at = decodeInteger(list);
  if (pages == 0 || pages > u32(TCES_MAX) || !inStaging(at, (<u64>pages) << 3)) return H_PARAMETER;
  for (let i: u32 = 0; i < pages; i++) listTce(i, decodeTce(load<f64>(<usize>at + ((<usize>i) << 3))));
  return putAll(holder, liobn, decodePages(ioba), pages);
}

/** H_GET_TCE. R4: the entry, 0 if there is none. H_RESCINDED: it is dead. H_RESOURCE: it is another holder's. */
export function getTce(lpid: f64, liobn: f64, ioba: f64): i32 {
  const holder = decodePartition(lpid);
  if (holder == 0) return H_PARAMETER;
  if (!isRunning(holder)) return H_RESCINDED;
  const page = decodePages(ioba);
  const status = examinePane(holder, liobn, page, 1);
  if (status != H_SUCCESS) return status;
  const pane = paneAt(holder, page);
  const owner = partitionAt(holderOf(rootOf(pane)));
  if (!holds(lpidOf(owner))) return H_NEED_ALL;
  const tce = tceAt(owner, rootPageOf(pane) + page - pageOf(pane));
  if (isTaken(tce)) {
    const isOwn = holderOf(paneOf(tce)) == lpidOf(holder);
    if (!isLive(tce)) {
      if (isOwn) return H_RESCINDED;
    } else if (!isOwn) return H_RESOURCE;
    else {
      const word = tceWord(tce, TCE_WORD);
      setResult(f64(pageIn(word)) * PAGE_BYTES + f64(rightsIn(word)));
      return H_SUCCESS;
    }
  }
  setResult(0);
  return H_SUCCESS;
}

/** Waits a little for the uses of devices that may have begun before. H_BUSY: one of them is not over. */
export function awaitDevices(): i32 {
  if (isAlone()) return H_SUCCESS;
  return awaitUses() == NONE ? H_SUCCESS : H_BUSY;
}

/** After a put that took entries away, when its locks are given back: as awaitDevices(). The entries are what was asked for. */
export function awaitDma(status: i32): i32 {
  if (status != H_SUCCESS || resultOf() == 0) return status;
  setResult(0);
  return awaitDevices();
}

// ---------------------------------------------------------------- the side of the device

/** Whether the windows of a partition stand: a failed owner's do until its recovery takes them. */
function hasWindows(owner: usize): bool {
  const state = atomic.load<u32>(owner, PARTITION_STATE);
  return state == PARTITION_RUNNING || state == PARTITION_FAILED;
}

/**
 * R4: the address in the owner's DMA space of the page that a bus address lies in. H_PARAMETER: no window of the owner with
 * that LIOBN has it. Where several do, the one that was assigned last.
 */
export function findWindow(lpid: f64, liobn: f64, ioba: f64): i32 {
  const owner = decodePartition(lpid);
  if (owner == 0) return H_PARAMETER;
  if (!hasWindows(owner)) return H_RESCINDED;
  const bus = decodeInteger(liobn);
  if (bus == NONE || !(ioba >= 0 && ioba < BUS_BYTES)) return H_PARAMETER;
  const page = pageOfAddress(ioba);
  const at = spaceAt(owner, SPACE_DMA);
  let slot = partitionWord(owner, PARTITION_OWNED);
  while (slot != 0) {
    const structure = structureAt(slot);
    if (spaceOf(structure) == SPACE_DMA && liobnOf(structure) == bus) {
      const first = entryOf(at, pageOf(structure)) & ENTRY_FRAME;
      if (page - first < pageCountOf(structure)) {
        setResult(f64(pageOf(structure) + page - first) * PAGE_BYTES);
        return H_SUCCESS;
      }
    }
    slot = nextHeldOf(structure);
  }
  return H_PARAMETER;
}

/** Whether a holder reaches what its pane at a page of its DMA space shows. That ends for all pages of a pane at once. */
function isOpen(holder: usize, page: u32): bool {
  const at = spaceAt(holder, SPACE_DMA);
  return page < spacePages(at) && (entryOf(at, page) & (ENTRY_VALID | ENTRY_RESCINDED)) == ENTRY_VALID;
}

/** What a device is told of an entry that it read, whatever the entry is by now. R4: the place of its byte `offset`. */
function examineEntry(tce: usize, word: u32, offset: u32, run: u32, need: u32): i32 {
  const slot = tceWord(tce, TCE_STRUCTURE);
  const generation = tceWord(tce, TCE_STRUCTURE_GENERATION);
  const last = tceWord(tce, TCE_PANE);
  if (!isOneEntry(word, last)) return H_PARAMETER;
  const pane = structureAt(last & TCE_SLOT_MASK);
  const paneGeneration = generationNow(pane);
  const holder = holderNow(pane);
  if (!isOpen(partitionAt(holder), pageNow(pane))) return H_RESCINDED;
  const address = f64(pageIn(word)) * PAGE_BYTES + f64(offset);
  const status = examine(f64(holder), address, f64(run), f64(need));
  // After the page table entry was read: when that is another mapping's, the memory has ended before.
  if (generationNow(structureAt(slot)) != generation) return H_RESCINDED;
  // The first word comes again after 64 puts: the others must be the same still, and the pane the one that was looked at.
  const isSame = ((tceWord(tce, TCE_STRUCTURE) ^ slot) | (tceWord(tce, TCE_PANE) ^ last)) == 0;
  if (!isSame || tceWord(tce, TCE_STRUCTURE_GENERATION) != generation) return H_LONG_BUSY_1_MSEC;
  if (generationNow(pane) != paneGeneration) return H_LONG_BUSY_1_MSEC;
  if ((need & ~rightsIn(word)) != 0 && status >= 0) return H_PERMISSION;
  if (status == H_NEED_COPY) {
    // Which page, for who copies it.
    store<u32>(THREAD, holder, THREAD_COPY_LPID);
    store<u32>(THREAD, pageIn(word), THREAD_COPY_PAGE);
  }
  return status;
}

/** One bus page. R4: where it is, from `offset` on. */
function examineTce(tce: usize, offset: u32, run: u32, need: u32): i32 {
  for (let i: u32 = 0; i < LOOKS; i++) {
    const word = tceWord(tce, TCE_WORD);
    if (rightsIn(word) == 0) return H_PARAMETER;
    const status = examineEntry(tce, word, offset, run, need);
    if (tceWord(tce, TCE_WORD) == word) return status;
  }
  return H_PARAMETER;
}

/** Examines a range of bus pages. R4: where it is if that is in one piece, else -1. */
function examineBus(lpid: f64, liobn: f64, ioba: f64, window: f64, length: f64, need: u32): i32 {
  const owner = decodePartition(lpid);
  if (owner == 0) return H_PARAMETER;
  if (!hasWindows(owner)) return H_RESCINDED;
  const bus = decodeInteger(liobn);
  if (bus == NONE || !(ioba >= 0 && ioba < BUS_BYTES) || !(length >= 0)) return H_PARAMETER;
  if (floor(ioba) != ioba || floor(length) != length || !isSafe(length)) return H_PARAMETER;
  const at = spaceAt(owner, SPACE_DMA);
  const page = decodePages(window - f64(offsetOf(ioba)));
  const end = ioba + length;
  const physical = pageOfAddress(ioba);
  if (page == NONE || end > BUS_BYTES) return H_PARAMETER;
  const count: u32 = length == 0 ? 0 : pageOfAddress(end - 1) - physical + 1;
  if (<u64>page + max<u32>(count, 1) > <u64>spacePages(at)) return H_PARAMETER;
  let start: f64 = 0;
  let next: f64 = 0;
  let needsCopy = false;
  const back = backOf(at, page);
  if (stateOf(structureAt(back)) != STRUCTURE_OWNED || liobnOf(structureAt(back)) != bus) return H_PARAMETER;
  for (let i: u32 = 0; i == 0 || i < count; i++) {
    // Inside one window, also where the next one of the same LIOBN adjoins.
    if (backOf(at, page + i) != back || (entryOf(at, page + i) & ENTRY_FRAME) != physical + i)
      return H_PARAMETER;
    if (count == 0) break;
    const offset: u32 = i == 0 ? offsetOf(ioba) : 0;
    const last: u32 = i + 1 == count ? offsetOf(end - 1) + 1 : PAGE_BYTES;
    const status = examineTce(tceAt(owner, page + i), offset, last - offset, need);
    if (status == H_NEED_COPY) needsCopy = true;
    else if (status != H_SUCCESS) return status;
    if (i == 0) start = resultOf();
    else if (resultOf() != next) start = -1;
    next = resultOf() + f64(last - offset);
  }
  setResult(start);
  return needsCopy ? H_NEED_COPY : H_SUCCESS;
}

/**
 * Begins a device's use of a range of the bus, which endUse() ends, if it answers H_SUCCESS.
 *
 * @param ioba bus address of the first byte; `window` is the same in the owner's DMA space, as findWindow() says. R4 as
 * checkAccess().
 */
export function beginDma(lpid: f64, liobn: f64, ioba: f64, window: f64, length: f64, need: f64): i32 {
  const rights = decodeInteger(need);
  if (rights > u32(NEED_READ | NEED_WRITE)) return H_PARAMETER;
  let attempt: u32 = 0;
  while (true) {
    enterUse();
    const status = examineBus(lpid, liobn, ioba, window, length, rights);
    if (status == H_SUCCESS) return status;
    // Not in a use while it waits: who moves the page waits for all uses.
    leaveUse();
    if (status == H_NEED_COPY) {
      const holder = partitionAt(load<u32>(THREAD, THREAD_COPY_LPID));
      const answer = makeWritable(holder, load<u32>(THREAD, THREAD_COPY_PAGE), 1);
      if (answer != H_SUCCESS) return answer;
    } else if (status != H_LONG_BUSY_1_MSEC) return status;
    else if (!waitForMover(attempt++)) return H_LONG_BUSY_10_MSEC;
  }
}

/** Within a use that runs: the same, waiting in it. */
function checkDma(lpid: f64, liobn: f64, ioba: f64, window: f64, length: f64, need: u32): i32 {
  let attempt: u32 = 0;
  let status = examineBus(lpid, liobn, ioba, window, length, need);
  while (status == H_LONG_BUSY_1_MSEC) {
    if (!waitForMover(attempt++)) return H_LONG_BUSY_10_MSEC;
    status = examineBus(lpid, liobn, ioba, window, length, need);
  }
  // What is copied before a write was copied when the use began.
  return status == H_NEED_COPY ? H_LONG_BUSY_10_MSEC : status;
}

/** Copies a range of the bus to `at` in staging, within the use that runs or in one of its own. */
export function loadDma(lpid: f64, liobn: f64, ioba: f64, window: f64, length: f64, at: f64): i32 {
  return moveDma(lpid, liobn, ioba, window, length, at, NEED_READ);
}

/** Copies from `at` in staging to a range of the bus, within the use that runs or in one of its own. */
export function storeDma(lpid: f64, liobn: f64, ioba: f64, window: f64, length: f64, at: f64): i32 {
  return moveDma(lpid, liobn, ioba, window, length, at, NEED_WRITE);
}

function moveDma(lpid: f64, liobn: f64, ioba: f64, window: f64, length: f64, at: f64, need: u32): i32 {
  const bytes = decodeInteger(length);
  const beside = decodeInteger(at);
  if (bytes == NONE || !stagingHolds(beside, bytes)) return H_PARAMETER;
  const isNested = isInUse();
  let status = isNested
    ? checkDma(lpid, liobn, ioba, window, length, need)
    : beginDma(lpid, liobn, ioba, window, length, need);
  if (status != H_SUCCESS) return status;
  // Page by page, each examined again: what is taken away on the way ends the copy there.
  let done: f64 = 0;
  while (done < length && status == H_SUCCESS) {
    const run = min(f64(PAGE_BYTES) - f64(offsetOf(ioba + done)), length - done);
    status = checkDma(lpid, liobn, ioba + done, window + done, run, need);
    if (status == H_SUCCESS) {
      const place = <usize>resultOf();
      const other = <usize>beside + <usize>done;
      if (need == NEED_READ) memory.copy(other, place, <usize>run);
      else memory.copy(place, other, <usize>run);
    }
    done += run;
  }
  if (!isNested) leaveUse();
  return status;
}
