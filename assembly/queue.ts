/**
 * Command/response queue (CRQ): a ring of 16-byte entries in the receiver's own memory (CQ2; PAPR, Virtual I/O, CRQ).
 *
 *     0      1      2                8
 *     header format payload          payload ... 16
 *
 * An entry is free while its header is 0. The sender fills the second half first and the half with the header last
 * (CQ6). Only own memory can hold a queue, so that no rescind takes it away under the sender.
 */
import {
  END_NEXT,
  END_OWNER,
  END_PENDING,
  END_QUEUE_HEAD,
  END_QUEUE_PAGE,
  END_QUEUE_PAGES,
  END_QUEUE_TAIL,
  ENTRY_FRAME,
  H_DROPPED,
  H_NOT_FOUND,
  H_SUCCESS,
  PAGE_BYTES,
  PARTITION_ENDS,
  QUEUE_ENTRIES_PER_PAGE,
  QUEUE_ENTRY_BYTES,
  QUEUE_FREE,
  QUEUE_TRANSPORT,
  SPACE_MEMORY,
  THREAD_ENTRY,
} from "../src/layout";
import { endAt, endWord, setEndWord } from "./adapter";
import { put, THREAD, Words } from "./log";
import { frameAt } from "./memory";
import { entryOf, spaceAt } from "./page";
import { partitionAt, partitionWord, runsNow, signal } from "./partition";

if (QUEUE_ENTRIES_PER_PAGE * QUEUE_ENTRY_BYTES != PAGE_BYTES) ERROR("an entry never straddles a page");

function entryAt(end: usize, index: u32): usize {
  const space = spaceAt(partitionAt(endWord(end, END_OWNER)), SPACE_MEMORY);
  const page = endWord(end, END_QUEUE_PAGE) + index / QUEUE_ENTRIES_PER_PAGE;
  return (
    frameAt(entryOf(space, page) & ENTRY_FRAME) + (index & (QUEUE_ENTRIES_PER_PAGE - 1)) * QUEUE_ENTRY_BYTES
  );
}

function capacity(end: usize): u32 {
  return endWord(end, END_QUEUE_PAGES) * QUEUE_ENTRIES_PER_PAGE;
}

function after(end: usize, index: u32): u32 {
  return index + 1 == capacity(end) ? 0 : index + 1;
}

/**
 * Whether an end has a queue. With the failure of its owner it has none any more, though it may be cleared away later, when the partner
 * is told. Called with the owner's lock held.
 */
export function isRegistered(end: usize): bool {
  return endWord(end, END_QUEUE_PAGES) != 0 && runsNow(partitionAt(endWord(end, END_OWNER)));
}

/** Whether a queue of the partition lies in a range of its memory. */
export function holdsQueue(partition: usize, page: u32, count: u32): bool {
  let slot = partitionWord(partition, PARTITION_ENDS);
  while (slot != 0) {
    const end = endAt(slot);
    const pages = endWord(end, END_QUEUE_PAGES);
    const first = endWord(end, END_QUEUE_PAGE);
    if (pages != 0 && first < page + count && page < first + pages) return true;
    slot = endWord(end, END_NEXT);
  }
  return false;
}

/** Opens an empty ring: what stood in the memory before is no message. */
export function openQueue(end: usize, page: u32, pageCount: u32): void {
  setEndWord(end, END_QUEUE_PAGE, page);
  setEndWord(end, END_QUEUE_PAGES, pageCount);
  setEndWord(end, END_QUEUE_HEAD, 0);
  setEndWord(end, END_QUEUE_TAIL, 0);
  setEndWord(end, END_PENDING, 0);
  for (let i: u32 = 0; i < pageCount; i++) {
    memory.fill(entryAt(end, i * QUEUE_ENTRIES_PER_PAGE), 0, PAGE_BYTES);
  }
}

export function closeQueue(end: usize): void {
  if (endWord(end, END_QUEUE_PAGES) == 0) return;
  setEndWord(end, END_QUEUE_PAGES, 0);
  setEndWord(end, END_PENDING, 0);
}

function fill(entry: usize, low: u64, high: u64): void {
  Words.putLong(entry + 8, load<u64>(entry + 8), high);
  put(entry + 4, <u32>(low >> 32));
  put(entry, <u32>low);
}

/** Puts one entry at the tail, H_DROPPED when that is not free. */
export function putEntry(end: usize, low: u64, high: u64): i32 {
  const tail = endWord(end, END_QUEUE_TAIL);
  const entry = entryAt(end, tail);
  if (load<u8>(entry) != QUEUE_FREE) return H_DROPPED;
  fill(entry, low, high);
  setEndWord(end, END_QUEUE_TAIL, after(end, tail));
  signal(partitionAt(endWord(end, END_OWNER)));
  return H_SUCCESS;
}

/** Puts a transport event; it is never lost (CQ5). */
export function putTransport(end: usize, code: u32): void {
  if (!isRegistered(end)) return;
  const event: u64 = QUEUE_TRANSPORT | ((<u64>code) << 8);
  if (putEntry(end, event, 0) == H_SUCCESS) return;
  const tail = endWord(end, END_QUEUE_TAIL);
  const last = entryAt(end, tail == 0 ? capacity(end) - 1 : tail - 1);
  if (load<u8>(last) == QUEUE_TRANSPORT)
    setEndWord(end, END_PENDING, endWord(end, END_PENDING) | (1 << code));
  else fill(last, event, 0);
  signal(partitionAt(endWord(end, END_OWNER)));
}

/** Delivers what found no place, lowest code first, as far as there is place. */
function putPending(end: usize): void {
  let pending = endWord(end, END_PENDING);
  while (pending != 0) {
    const code = <u32>ctz(pending);
    if (putEntry(end, QUEUE_TRANSPORT | ((<u64>code) << 8), 0) != H_SUCCESS) return;
    setEndWord(end, END_PENDING, endWord(end, END_PENDING) & ~(1 << code));
    pending &= pending - 1;
  }
}

/** Moves the oldest entry to the thread record, H_NOT_FOUND when the ring is empty. */
export function takeEntry(end: usize): i32 {
  const head = endWord(end, END_QUEUE_HEAD);
  const entry = entryAt(end, head);
  if (load<u8>(entry) == QUEUE_FREE) return H_NOT_FOUND;
  memory.copy(THREAD + THREAD_ENTRY, entry, QUEUE_ENTRY_BYTES);
  fill(entry, 0, 0);
  setEndWord(end, END_QUEUE_HEAD, after(end, head));
  putPending(end);
  return H_SUCCESS;
}
