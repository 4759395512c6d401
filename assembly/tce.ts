/**
 * Translation control entries (KI4): which page of its own memory the holder of a DMA window pane has put behind a page of
 * the I/O bus. One entry for each page of an owner's DMA space, behind the owner's page tables:
 *
 *     0                                      4         8          12
 *     | sequence 6 | rights 2 | page 24 |    memory    generation | sequence 8 | pane 24 | ... 16
 *
 * An entry names a page of the holder's logical memory, never a frame: a device's access goes through the holder's page table
 * entry each time, so that pages may move and rights may end below it. What it must be told apart from is another mapping
 * at the same address, later: so it keeps the slot and the generation of the memory that it names. When that is not the same
 * any more the entry is dead; it answers H_RESCINDED until its holder removes or replaces it, as a rescinded address does.
 *
 *     counted in            what
 *     the memory            entries that name it, as long as it is that generation: it cannot be returned
 *     the pane              entries that were put through it, dead ones too: it cannot be returned
 *     the holder's pins     the same
 *
 * Written with the locks of the holder and of the window's owner, as part of a job, or while the pane is torn down. The last
 * word says that there is an entry; the first one is what devices go by, and is stored without a note: it is closed before
 * anything else is changed and opened after all else has been committed, so that a call that is undone and done again in a
 * repair never shows a device what it had closed. A reader without a lock looks at the first word before and after, and
 * compares the sequences: so it finds one entry and not a mix of two.
 */
import {
  CUT_PAGES_PER_STEP,
  HEADER_SPACE_PAGES,
  HEADER_TABLE_BYTES,
  HEADER_TABLES_AT,
  PARTITION_PINS,
  SPACE_DMA,
  SPACE_MEMORY,
  STRUCTURE_OWNED,
  STRUCTURE_SHARED,
  TCE_BYTES,
  TCE_PANE,
  TCE_RIGHTS_SHIFT,
  TCE_SEQUENCE_MASK,
  TCE_SEQUENCE_SHIFT,
  TCE_SLOT_MASK,
  TCE_STRUCTURE,
  TCE_STRUCTURE_GENERATION,
  TCE_WORD,
  TCES_MAX,
  THREAD_BYTES,
  THREAD_TCES,
} from "../src/layout";
import {
  addEntries,
  cursorOf,
  entriesOf,
  generationOf,
  holderOf,
  isRevoking,
  liobnOf,
  pageCountOf,
  rootOf,
  rootPageOf,
  setCursor,
  setLiobn,
  slotOf,
  stateOf,
  structureAt,
} from "./control";
import { commit, put, putShared, THREAD } from "./log";
import { header, isAlone } from "./memory";
import { backOf, spaceAt } from "./page";
import { addPartitionWord, isRunning, lpidOf, partitionAt } from "./partition";

if (TCE_BYTES != 16) ERROR("tceAt() shifts");
if (THREAD_TCES + TCES_MAX * 4 > THREAD_BYTES) ERROR("the list fits the rest of a thread record");

const PAGE_BITS: u32 = TCE_SLOT_MASK;
const RIGHTS_BITS: u32 = 3 << TCE_RIGHTS_SHIFT;

/** The entry of a page of the DMA space of a window's owner. */
export function tceAt(owner: usize, page: u32): usize {
  const pages = header(<usize>HEADER_SPACE_PAGES + ((<usize>SPACE_DMA) << 2));
  const end = <usize>header(HEADER_TABLES_AT) + <usize>lpidOf(owner) * header(HEADER_TABLE_BYTES);
  return end - ((<usize>(pages - page)) << 4);
}

/** A word of an entry. Devices read it without a lock, and the words in their order. */
export function tceWord(tce: usize, offset: usize): u32 {
  return atomic.load<u32>(tce + offset);
}

function setTceWord(tce: usize, offset: usize, value: u32): void {
  if (isAlone()) put(tce + offset, value);
  else putShared(tce + offset, value);
}

/** What devices go by. Not noted. */
function setAccess(tce: usize, word: u32): void {
  if (tceWord(tce, TCE_WORD) != word) atomic.store<u32>(tce, word, TCE_WORD);
}

/** The rights that the first word of an entry gives to devices: of NEED_READ and NEED_WRITE, 0 if there is no entry. */
export function rightsIn(word: u32): u32 {
  return (word & RIGHTS_BITS) >> TCE_RIGHTS_SHIFT;
}

/** The page of the holder's memory that the first word of an entry names. */
export function pageIn(word: u32): u32 {
  return word & PAGE_BITS;
}

/** What the first word of an entry is to say, without its sequence; 0: no entry. */
export function tceBits(page: u32, rights: u32): u32 {
  return rights == 0 ? 0 : page | (rights << TCE_RIGHTS_SHIFT);
}

/** Whether two words of an entry were written by the same call. */
export function isOneEntry(word: u32, pane: u32): bool {
  return word >> TCE_SEQUENCE_SHIFT == ((pane >> 24) & TCE_SEQUENCE_MASK);
}

/** The memory that an entry names, or named. */
export function memoryOf(tce: usize): usize {
  return structureAt(tceWord(tce, TCE_STRUCTURE));
}

/** The pane through which an entry was put. It stands as long as the entry does. */
export function paneOf(tce: usize): usize {
  return structureAt(tceWord(tce, TCE_PANE) & TCE_SLOT_MASK);
}

export function isTaken(tce: usize): bool {
  return tceWord(tce, TCE_PANE) != 0;
}

/** Whether the memory of an entry is still the one that it was put for. */
export function namesMemory(tce: usize): bool {
  return generationOf(memoryOf(tce)) == tceWord(tce, TCE_STRUCTURE_GENERATION);
}

/** Whether an entry gives access: its memory, its pane and its holder are what they were, and nobody takes them away. */
export function isLive(tce: usize): bool {
  const memory = memoryOf(tce);
  const pane = paneOf(tce);
  const state = stateOf(memory);
  if (!namesMemory(tce) || (state != STRUCTURE_OWNED && state != STRUCTURE_SHARED)) return false;
  return !isRevoking(memory) && !isRevoking(pane) && isRunning(partitionAt(holderOf(pane)));
}

/** What the first word of an entry says that gives nothing. */
function closed(word: u32): u32 {
  return word & ~(RIGHTS_BITS | PAGE_BITS);
}

/** Removes what is there. Noted: what an undo brings back is an entry that was closed before, or one of a pane that was cut. */
function removeTce(tce: usize): void {
  const word = tceWord(tce, TCE_WORD);
  if (word != closed(word)) setTceWord(tce, TCE_WORD, closed(word));
  const pane = paneOf(tce);
  addEntries(pane, -1);
  if (namesMemory(tce)) addEntries(memoryOf(tce), -1);
  addPartitionWord(partitionAt(holderOf(pane)), PARTITION_PINS, -1);
  setTceWord(tce, TCE_STRUCTURE, 0);
  setTceWord(tce, TCE_STRUCTURE_GENERATION, 0);
  setTceWord(tce, TCE_PANE, 0);
}

/** Whether what is there was put through that pane for that page of that memory. */
function isSame(tce: usize, pane: usize, memory: usize, bits: u32): bool {
  if (!isTaken(tce) || paneOf(tce) != pane || memoryOf(tce) != memory) return false;
  return namesMemory(tce) && pageIn(tceWord(tce, TCE_WORD)) == pageIn(bits);
}

/**
 * Puts an entry through a pane, or removes what is there if `bits` is 0: two commits. Part of a job: done again, from wherever
 * it stopped, it comes to the same end.
 */
function putTce(tce: usize, pane: usize, memory: usize, bits: u32): void {
  const old = tceWord(tce, TCE_WORD);
  if (bits == 0 || !isSame(tce, pane, memory, bits)) {
    if (isTaken(tce)) {
      setAccess(tce, closed(old));
      removeTce(tce);
    }
    commit();
    if (bits == 0) return;
    const sequence = ((old >> TCE_SEQUENCE_SHIFT) + 1) & TCE_SEQUENCE_MASK;
    // Closed, and of the page that it is going to be: whoever mends finds it to be the same.
    setAccess(tce, pageIn(bits) | (sequence << TCE_SEQUENCE_SHIFT));
    addEntries(pane, 1);
    addEntries(memory, 1);
    addPartitionWord(partitionAt(holderOf(pane)), PARTITION_PINS, 1);
    setTceWord(tce, TCE_STRUCTURE, slotOf(memory));
    setTceWord(tce, TCE_STRUCTURE_GENERATION, generationOf(memory));
    setTceWord(tce, TCE_PANE, slotOf(pane) | (sequence << 24));
    commit();
  }
  setAccess(tce, bits | ((tceWord(tce, TCE_PANE) >> 24) << TCE_SEQUENCE_SHIFT));
}

// ---------------------------------------------------------------- the list of one call

/** Notes what the call of this thread is to put behind its page number `index`. */
export function listTce(index: u32, bits: u32): void {
  store<u32>(THREAD + ((<usize>index) << 2), bits, THREAD_TCES);
}

/** What a thread lists for its page number `index`. */
export function listedTce(thread: usize, index: u32): u32 {
  return load<u32>(thread + ((<usize>index) << 2), THREAD_TCES);
}

/** The memory of a holder that bits name, 0 if they are none. */
export function memoryNamed(holder: usize, bits: u32): usize {
  return bits == 0 ? 0 : structureAt(backOf(spaceAt(holder, SPACE_MEMORY), pageIn(bits)));
}

/**
 * Puts all that a thread lists, this one or a dead one whose locks this one has: a job, which may be done again from its
 * start. The notes of all of them would not fit the log.
 */
export function putListed(thread: usize, slot: u32, owner: usize, page: u32, count: u32): void {
  const pane = structureAt(slot);
  const holder = partitionAt(holderOf(pane));
  for (let i: u32 = 0; i < count; i++) {
    const bits = listedTce(thread, i);
    putTce(tceAt(owner, page + i), pane, memoryNamed(holder, bits), bits);
  }
}

// ---------------------------------------------------------------- panes

/** Pages of a pane whose entries have been ended; the recovery of an owner counts them where it counts pages of memory. */
function endedPages(pane: usize): u32 {
  return stateOf(pane) == STRUCTURE_OWNED ? cursorOf(pane) : liobnOf(pane);
}

function setEndedPages(pane: usize, pages: u32): void {
  if (stateOf(pane) == STRUCTURE_OWNED) setCursor(pane, pages);
  else setLiobn(pane, pages);
}

/**
 * Ends entries that were put through a pane that gives no access any more, and goes on where the last call stopped. Answers
 * the steps that it took. It is over when the pane counts no entry any more.
 */
export function endTces(pane: usize, budget: i32): i32 {
  const owner = partitionAt(holderOf(rootOf(pane)));
  const first = rootPageOf(pane);
  const count = pageCountOf(pane);
  let done = endedPages(pane);
  let steps: i32 = 0;
  while (entriesOf(pane) != 0 && steps < budget) {
    assert(done < count);
    const end = min(done + CUT_PAGES_PER_STEP, count);
    while (done < end) {
      const tce = tceAt(owner, first + done);
      done++;
      if (!isTaken(tce) || paneOf(tce) != pane) continue;
      removeTce(tce);
      if (entriesOf(pane) == 0) setEndedPages(pane, 0);
      commit();
      steps++;
    }
    steps++;
  }
  if (entriesOf(pane) != 0) setEndedPages(pane, done);
  commit();
  return steps;
}
