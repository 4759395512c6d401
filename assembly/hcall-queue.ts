/**
 * The hypercalls on queues: H_REG_CRQ, H_FREE_CRQ, H_SEND_CRQ, and taking an entry (rules CQ); and taking an event.
 */
import {
  H_CLOSED,
  H_NEED_ALL,
  H_NOT_FOUND,
  H_PARAMETER,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  QUEUE_TRANSPORT,
  QUEUE_VALID,
  SPACE_MEMORY,
  TRANSPORT_DEREGISTERED,
} from "../src/layout";
import { decodeEnd, isOpen, partnerEnd, partnerPartition, releaseEndIfIdle } from "./adapter";
import { splitMerged } from "./cow";
import { decodePages, decodeWord, isWord } from "./decode";
import { popEvent } from "./event";
import { NONE } from "./memory";
import { isWritable, owns } from "./own";
import { anyLent, spaceAt } from "./page";
import { decodePartition, isRunning, lpidOf, signal } from "./partition";
import { closeQueue, holdsQueue, isRegistered, openQueue, putEntry, putTransport, takeEntry } from "./queue";
import { holds, holdsAll } from "./thread";

/** Registers a queue in the caller's own memory. H_CLOSED: done, but the partner has not registered (CQ4). */
export function registerQueue(lpid: f64, unit: f64, address: f64, length: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const end = decodeEnd(lpidOf(partition), unit);
  if (end == 0 || !isOpen(end)) return H_PARAMETER;
  const page = decodePages(address);
  const count = decodePages(length);
  if (page == NONE || count == NONE || count == 0) return H_PARAMETER;
  if (!owns(partition, page, count)) return H_PARAMETER;
  if (isRegistered(end)) return H_RESOURCE;
  if (anyLent(spaceAt(partition, SPACE_MEMORY), page, count)) return H_RESOURCE;
  // Entries of two rings would mix; and who may write to a ring can forge transport events (CQ3).
  if (holdsQueue(partition, page, count) || isWritable(partition, page, count)) return H_RESOURCE;
  if (!holds(lpidOf(partnerPartition(end)))) return H_NEED_ALL;
  // The ring is written without a look at the entries: it must not stand on frames that other pages have, too.
  const split = splitMerged(partition, page, count);
  if (split != H_SUCCESS) return split;
  openQueue(end, page, count);
  return isRegistered(partnerEnd(end)) ? H_SUCCESS : H_CLOSED;
}

/** Frees the queue; the partner gets the transport event "deregistered". */
export function freeQueue(lpid: f64, unit: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const end = decodeEnd(lpidOf(partition), unit);
  if (end == 0 || !isRegistered(end)) return H_PARAMETER;
  if (isOpen(end) ? !holds(lpidOf(partnerPartition(end))) : !holdsAll()) return H_NEED_ALL;
  closeQueue(end);
  signal(partition); // whoever waits for its entries waits for nothing
  if (isOpen(end)) putTransport(partnerEnd(end), TRANSPORT_DEREGISTERED);
  else releaseEndIfIdle(end);
  return H_SUCCESS;
}

/** Sends one entry, given as four little-endian words; its header is the lowest byte of the first. */
export function sendEntry(lpid: f64, unit: f64, word0: f64, word1: f64, word2: f64, word3: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const end = decodeEnd(lpidOf(partition), unit);
  if (end == 0) return H_PARAMETER;
  if (!isWord(word0) || !isWord(word1) || !isWord(word2) || !isWord(word3)) return H_PARAMETER;
  const code = decodeWord(word0) & 0xff;
  if (code == QUEUE_TRANSPORT || (code & QUEUE_VALID) == 0) return H_PARAMETER;
  if (!isOpen(end)) return H_CLOSED;
  if (!holds(lpidOf(partnerPartition(end)))) return H_NEED_ALL;
  if (!isRegistered(partnerEnd(end))) return H_CLOSED;
  const low = decodeWord(word0) | ((<u64>decodeWord(word1)) << 32);
  const high = decodeWord(word2) | ((<u64>decodeWord(word3)) << 32);
  return putEntry(partnerEnd(end), low, high);
}

/** Takes the oldest entry into the header. H_NOT_FOUND: none; H_CLOSED: no queue is registered. */
export function receiveEntry(lpid: f64, unit: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const end = decodeEnd(lpidOf(partition), unit);
  if (end == 0) return H_PARAMETER;
  return isRegistered(end) ? takeEntry(end) : H_CLOSED;
}

/** Takes the caller's oldest event into the header. H_NOT_FOUND: none. */
export function takeEvent(lpid: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  return isRunning(partition) ? popEvent(partition) : H_NOT_FOUND;
}
