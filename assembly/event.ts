/**
 * Event ring of a partition: what it is told besides its queues.
 *
 *     0    4    8
 *     type lpid value (f64) ... 16
 *
 * Notices of a partner's failure may fill the whole ring, everything else only half of it, so that a notice is not lost
 * behind a flood; what does not fit is counted and the count is delivered as an event of its own.
 */
import {
  EVENT_BYTES,
  EVENT_LPID,
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  EVENT_TYPE,
  EVENT_VALUE,
  EVENTS_LOST,
  H_NOT_FOUND,
  H_SUCCESS,
  HEADER_EVENTS_MAX,
  PARTITION_EVENT_HEAD,
  PARTITION_EVENT_RING,
  PARTITION_EVENT_TAIL,
  PARTITION_EVENTS_LOST,
  THREAD_ENTRY,
} from "../src/layout";
import { THREAD, Words } from "./log";
import { header } from "./memory";
import { addPartitionWord, partitionWord, runsNow, setPartitionWord, signal } from "./partition";

function eventAt(partition: usize, index: u32): usize {
  const slot = index & (header(HEADER_EVENTS_MAX) - 1);
  return <usize>partitionWord(partition, PARTITION_EVENT_RING) + <usize>slot * EVENT_BYTES;
}

/** Without the log: what is not between head and tail is nobody's. */
function putEvent(at: usize, type: u32, lpid: u32, value: f64): void {
  store<u32>(at, type, EVENT_TYPE);
  store<u32>(at, lpid, EVENT_LPID);
  store<f64>(at, value, EVENT_VALUE);
}

/** Leaves an event that never was in the ring where the taker of one finds it. */
export function presentEvent(type: u32, lpid: u32, value: f64): void {
  putEvent(THREAD + THREAD_ENTRY, type, lpid, value);
}

/** A bit for each type of event that may fill only half of the ring. */
const HALF_RING: u32 = ~((1 << EVENT_PARTNER_FAILED) | (1 << EVENT_PARTNER_RECOVERED));

/** How many more events of a type the ring takes; none, or less, where it is full of others. */
export function eventRoom(partition: usize, type: u32): i32 {
  const waiting =
    partitionWord(partition, PARTITION_EVENT_TAIL) - partitionWord(partition, PARTITION_EVENT_HEAD);
  return (header(HEADER_EVENTS_MAX) >> ((HALF_RING >> type) & 1)) - waiting;
}

/** Puts an event where there is room, behind so many that nobody has been told of yet. */
export function stageEvent(partition: usize, behind: u32, type: u32, lpid: u32, value: f64): void {
  putEvent(eventAt(partition, partitionWord(partition, PARTITION_EVENT_TAIL) + behind), type, lpid, value);
}

/** Methods, since only those are inlined on demand. */
export class Staged {
  /**
   * Tells a partition that runs of so many events that were put, and of so many for which there was no room. It is not signalled
   * for the latter alone: it has been for what fills the ring, and who takes that takes the count after it.
   */
  @inline
  static tell(partition: usize, kept: u32, lost: u32): void {
    if (lost != 0) {
      const before = partitionWord(partition, PARTITION_EVENTS_LOST);
      Words.put(partition + PARTITION_EVENTS_LOST, max(before, before + lost)); // it does not wrap
    }
    if (kept == 0) return;
    addPartitionWord(partition, PARTITION_EVENT_TAIL, kept);
    signal(partition);
  }

  /** Tells a partition; one that does not run hears nothing. */
  @inline
  static push(partition: usize, type: u32, lpid: u32, value: f64): void {
    if (!runsNow(partition)) return;
    if (eventRoom(partition, type) > 0) {
      stageEvent(partition, 0, type, lpid, value);
      Staged.tell(partition, 1, 0);
    } else Staged.tell(partition, 0, 1);
  }
}

/** The same where it is not done often. */
export function tellStaged(partition: usize, kept: u32, lost: u32): void {
  Staged.tell(partition, kept, lost);
}

export function pushEvent(partition: usize, type: u32, lpid: u32, value: f64): void {
  Staged.push(partition, type, lpid, value);
}

/** Moves the oldest event to the thread record; H_NOT_FOUND when there is none. A count of lost ones comes after the kept. */
export function popEvent(partition: usize): i32 {
  const head = partitionWord(partition, PARTITION_EVENT_HEAD);
  if (head != partitionWord(partition, PARTITION_EVENT_TAIL)) {
    memory.copy(THREAD + THREAD_ENTRY, eventAt(partition, head), EVENT_BYTES);
    addPartitionWord(partition, PARTITION_EVENT_HEAD, 1);
    return H_SUCCESS;
  }
  const lost = partitionWord(partition, PARTITION_EVENTS_LOST);
  if (lost == 0) return H_NOT_FOUND;
  presentEvent(EVENTS_LOST, 0, f64(lost));
  setPartitionWord(partition, PARTITION_EVENTS_LOST, 0);
  return H_SUCCESS;
}

export function dropEvents(partition: usize): void {
  setPartitionWord(partition, PARTITION_EVENT_HEAD, 0);
  setPartitionWord(partition, PARTITION_EVENT_TAIL, 0);
  setPartitionWord(partition, PARTITION_EVENTS_LOST, 0);
}
