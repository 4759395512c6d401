/**
 * Virtual adapter ends: the authorised link from one partition to another, its quota, and the state of its queue.
 *
 *     0     4          8     12      16    20   24         28   32       36         40          44   48   52
 *     state unit       owner partner quota used unreturned next previous queue page queue pages head tail pending
 *
 * A unit address is generation and slot, so that the adapter of an old incarnation has no power (G4). The slot has as many
 * bits as the table's ends need, the generation all others: a slot can be used most often where they are few.
 * An end is `open` while both partitions run; a closed one stays until no structure counts on it and no queue is registered. If
 * its owner is gone it is an orphan, in the list of all orphans; the place of its quota names the pair.
 */
import {
  END_BYTES,
  END_CLOSED,
  END_FREE,
  END_NEXT,
  END_OPEN,
  END_OWNER,
  END_PAIR,
  END_PARTNER,
  END_PREVIOUS,
  END_QUEUE_PAGES,
  END_QUOTA,
  END_RETIRED,
  END_STATE,
  END_UNIT,
  END_UNRETURNED,
  END_USED,
  H_NOT_FOUND,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_END_FREE,
  HEADER_END_FRESH,
  HEADER_END_ORPHANS,
  HEADER_ENDS_AT,
  HEADER_ENDS_MAX,
  HEADER_ENDS_ORPHANED,
  HEADER_ENDS_OWNED_MAX,
  HEADER_ENDS_RETIRED,
  HEADER_ENDS_USED,
  HEADER_TELLER_END,
  PARTITION_ENDS,
} from "../src/layout";
import { decodeInteger } from "./decode";
import { put } from "./log";
import { addHeader, header, setHeader, setResult } from "./memory";
import { decodePartition, lpidOf, partitionAt, partitionWord } from "./partition";

export function endAt(slot: u32): usize {
  return <usize>header(HEADER_ENDS_AT) + ((<usize>slot) << 6);
}

export function endSlotOf(end: usize): u32 {
  return <u32>((end - <usize>header(HEADER_ENDS_AT)) >> 6);
}

export function endWord(end: usize, offset: usize): u32 {
  return load<u32>(end + offset);
}

export function setEndWord(end: usize, offset: usize, value: u32): void {
  put(end + offset, value);
}

export function addEndWord(end: usize, offset: usize, delta: i32): void {
  put(end + offset, load<u32>(end + offset) + delta);
}

export function partnerEnd(end: usize): usize {
  return endAt(endWord(end, END_PARTNER));
}

export function isOpen(end: usize): bool {
  return endWord(end, END_STATE) == END_OPEN;
}

/** The lpid at the other side of an open end. */
export function partnerOf(end: usize): u32 {
  return endWord(partnerEnd(end), END_OWNER);
}

/** The partition at the other side of an open end. */
export function partnerPartition(end: usize): usize {
  return partitionAt(partnerOf(end));
}

export function unitAddressOf(end: usize): u32 {
  return endWord(end, END_UNIT);
}

/** From a unit address of a slot to its next one. No slot has all bits below that: so none has the address NONE. */
function unitStep(): u32 {
  return 1 << (32 - clz(header(HEADER_ENDS_MAX) + 1));
}

/** The end whose slot a decoded unit address names; one that is free, if there is none. */
export function endNamed(address: u32): usize {
  const most = header(HEADER_ENDS_MAX);
  const unused = clz(most + 1); // bits above those of a slot
  const slot = (address << unused) >> unused;
  return endAt(slot > most ? 0 : slot); // end 0 is free
}

/** The end that a unit address names if `lpid` owns it, open or closed; else 0. */
export function decodeEnd(lpid: u32, unit: f64): usize {
  return endKnown(lpid, decodeInteger(unit));
}

/** The same of a decoded address. */
export function endKnown(lpid: u32, address: u32): usize {
  const end = endNamed(address);
  const state = endWord(end, END_STATE);
  if (state != END_OPEN && state != END_CLOSED) return 0;
  return endWord(end, END_UNIT) == address && endWord(end, END_OWNER) == lpid ? end : 0;
}

/** Whether an end is the open one that `lpid` knows by that address. */
export function isOpenEnd(end: usize, address: u32, lpid: u32): bool {
  const unit = endWord(end, END_UNIT) ^ address;
  return ((endWord(end, END_STATE) ^ END_OPEN) | (endWord(end, END_OWNER) ^ lpid) | unit) == 0;
}

/** The word that names two partitions in an orphan. */
function pairOf(owner: u32, partner: u32): u32 {
  return (owner << 16) | partner;
}

/** The list that an end in use is in. */
function listOf(end: usize): usize {
  const owner = endWord(end, END_OWNER);
  return owner == 0 ? usize(HEADER_END_ORPHANS) : partitionAt(owner) + PARTITION_ENDS;
}

function countEnd(end: usize, delta: i32): void {
  addHeader(endWord(end, END_OWNER) == 0 ? HEADER_ENDS_ORPHANED : HEADER_ENDS_USED, delta);
}

function linkEnd(end: usize): void {
  const list = listOf(end);
  const first = load<u32>(list);
  const slot = endSlotOf(end);
  setEndWord(end, END_NEXT, first);
  if (first != 0) setEndWord(endAt(first), END_PREVIOUS, slot);
  put(list, slot);
  countEnd(end, 1);
}

/** Takes an end out of its list; a telling that stands at it goes on behind it (tell.ts). */
function unlinkEnd(end: usize): void {
  const next = endWord(end, END_NEXT);
  const previous = endWord(end, END_PREVIOUS);
  if (next != 0) setEndWord(endAt(next), END_PREVIOUS, previous);
  put(previous == 0 ? listOf(end) : endAt(previous) + END_NEXT, next);
  if (header(HEADER_TELLER_END) == endSlotOf(end)) setHeader(HEADER_TELLER_END, next);
  setEndWord(end, END_NEXT, 0);
  setEndWord(end, END_PREVIOUS, 0);
  countEnd(end, -1);
}

/** Clears an end in no list but for its unit address, and what its partner has not returned. */
function clearEnd(end: usize): void {
  const unreturned = endWord(end, END_UNRETURNED);
  for (let offset: usize = END_OWNER; offset < usize(END_BYTES); offset += 4)
    if (endWord(end, offset) != 0) put(end + offset, 0);
  if (unreturned != 0) setEndWord(end, END_UNRETURNED, unreturned);
}

/**
 * Ends the adapter of an end whose owner's incarnation is gone (G4): both ends close. Where the partner has not returned all, the
 * end stays, an orphan; the next adapter of the two takes it, so that what is owed counts on that, and never takes more ends.
 */
export function endAdapter(end: usize): void {
  const isJoined = isOpen(end);
  const pair = pairOf(endWord(end, END_OWNER), isJoined ? partnerOf(end) : 0);
  setEndWord(end, END_STATE, END_CLOSED);
  if (isJoined) {
    setEndWord(partnerEnd(end), END_STATE, END_CLOSED);
    releaseEndIfIdle(partnerEnd(end));
  }
  if (endWord(end, END_UNRETURNED) == 0) {
    releaseEndIfIdle(end);
    return;
  }
  unlinkEnd(end);
  clearEnd(end);
  setEndWord(end, END_PAIR, pair);
  linkEnd(end);
}

/** The orphan that the next adapter of two partitions takes for `owner`, or 0: linear in the orphans. */
export function orphanOf(owner: u32, partner: u32): usize {
  const pair = pairOf(owner, partner);
  let slot = header(HEADER_END_ORPHANS);
  while (slot != 0) {
    const end = endAt(slot);
    if (endWord(end, END_PAIR) == pair && !isLastUnit(end)) return end;
    slot = endWord(end, END_NEXT);
  }
  return 0;
}

/** Whether one more grant fits the quota (GR7), counting what the partner has not returned against a second quota. */
export function quotaFits(end: usize): bool {
  const quota = endWord(end, END_QUOTA);
  const used = endWord(end, END_USED);
  if (used >= quota) return false;
  return endWord(end, END_UNRETURNED) == 0 || <u64>used + endWord(end, END_UNRETURNED) < (<u64>quota) << 1;
}

/** Whether partitions can have two more ends, if so many slots beside the free ones do for them. */
export function areEndsLeft(orphans: u32): bool {
  const used = header(HEADER_ENDS_USED);
  if (used + 2 > header(HEADER_ENDS_OWNED_MAX)) return false;
  const taken = used + header(HEADER_ENDS_ORPHANED) + header(HEADER_ENDS_RETIRED);
  return taken + 2 <= header(HEADER_ENDS_MAX) + orphans;
}

/** Takes an end for `partition`, an orphan if that is not 0; that there is one was found out. */
export function takeEnd(partition: usize, orphan: usize, quota: u32): usize {
  let end = orphan;
  if (end != 0) {
    unlinkEnd(end);
    setEndWord(end, END_UNIT, endWord(end, END_UNIT) + unitStep()); // G4
  } else {
    let slot = header(HEADER_END_FREE);
    if (slot != 0) {
      end = endAt(slot);
      setHeader(HEADER_END_FREE, endWord(end, END_NEXT));
    } else {
      slot = header(HEADER_END_FRESH);
      setHeader(HEADER_END_FRESH, slot + 1);
      end = endAt(slot);
      setEndWord(end, END_UNIT, unitStep() + slot);
    }
  }
  setEndWord(end, END_STATE, END_OPEN);
  setEndWord(end, END_OWNER, lpidOf(partition));
  setEndWord(end, END_QUOTA, quota);
  linkEnd(end);
  return end;
}

/** Whether a slot is used up with its present unit address. */
function isLastUnit(end: usize): bool {
  return endWord(end, END_UNIT) >= 0 - unitStep();
}

/** Frees a closed end once nothing counts on it. */
export function releaseEndIfIdle(end: usize): void {
  if (endWord(end, END_STATE) != END_CLOSED || endWord(end, END_QUEUE_PAGES) != 0) return;
  // No grant stands through a closed end: both partitions' had gone before it was closed.
  if (endWord(end, END_UNRETURNED) != 0) return;
  unlinkEnd(end);
  clearEnd(end);
  if (isLastUnit(end)) {
    setEndWord(end, END_STATE, END_RETIRED);
    addHeader(HEADER_ENDS_RETIRED, 1);
    return;
  }
  setEndWord(end, END_UNIT, endWord(end, END_UNIT) + unitStep());
  setEndWord(end, END_STATE, END_FREE);
  setEndWord(end, END_NEXT, header(HEADER_END_FREE));
  setHeader(HEADER_END_FREE, endSlotOf(end));
}

/** The slot of the first open end of `partition` whose partner is `partnerLpid`, or 0: linear in its adapters. */
function endBetween(partition: usize, partnerLpid: u32): u32 {
  let slot = partitionWord(partition, PARTITION_ENDS);
  while (slot != 0) {
    const end = endAt(slot);
    if (isOpen(end) && endWord(partnerEnd(end), END_OWNER) == partnerLpid) return slot;
    slot = endWord(end, END_NEXT);
  }
  return 0;
}

/** Whether an adapter joins two partitions. */
export function areJoined(partition: usize, partnerLpid: u32): bool {
  return endBetween(partition, partnerLpid) != 0;
}

/** R4: the unit address by which `lpid` reaches `partnerLpid`; H_NOT_FOUND without an adapter. */
export function adapterBetween(lpid: f64, partnerLpid: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  const slot = endBetween(partition, decodeInteger(partnerLpid));
  if (slot == 0) return H_NOT_FOUND;
  setResult(f64(unitAddressOf(endAt(slot))));
  return H_SUCCESS;
}

/** R4: the unit address of the other end of an open adapter. */
export function adapterPeer(lpid: f64, unit: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  const end = decodeEnd(lpidOf(partition), unit);
  if (end == 0 || !isOpen(end)) return H_PARAMETER;
  setResult(f64(unitAddressOf(partnerEnd(end))));
  return H_SUCCESS;
}
