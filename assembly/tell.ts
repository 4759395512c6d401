/**
 * Telling the partners of a failed partition through its adapters: that it has failed, and in the end that its recovery is complete,
 * whereupon the adapters end. Both in slices, an adapter a commit (G5).
 *
 *     HEADER_TELLER      whose telling goes on; 0: none
 *     HEADER_TELLER_END  the adapter end through which it goes on; 0: all have been told
 *
 * One telling at a time: whether a partner has heard of this one, through whichever of its adapters, is one word of the partner's
 * record, the serial number of the notice that it heard last. Who comes to tell while another telling stands carries that on first,
 * whoever's it is. What fails or recovers has no new adapters, and one that ends takes the place where a telling stands along
 * (unlinkEnd()): nobody is missed, nobody told twice.
 */
import {
  END_NEXT,
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  HEADER_TELLER,
  HEADER_TELLER_END,
  PARTITION_ENDS,
  PARTITION_INCARNATION,
  PARTITION_NOTICE,
  PARTITION_SERIAL,
  PARTITION_TELLING,
  TELL_STEPS,
} from "../src/layout";
import { endAdapter, endAt, endWord, isOpen, partnerEnd, partnerPartition } from "./adapter";
import { stepsOf } from "./decode";
import { pushEvent } from "./event";
import { settle } from "./job";
import { header, setHeader } from "./memory";
import { lpidOf, partitionAt, partitionWord, runsNow, setPartitionWord } from "./partition";
import { closeQueue, putTransport } from "./queue";

/** Tells the partner at the other side of an end, once for each notice however many adapters join the two, of which incarnation it is. */
function tellPartner(partition: usize, end: usize, event: u32): void {
  const partner = partnerPartition(end);
  const serial = partitionWord(partition, PARTITION_SERIAL);
  if (partitionWord(partner, PARTITION_NOTICE) == serial) return;
  setPartitionWord(partner, PARTITION_NOTICE, serial);
  pushEvent(partner, event, lpidOf(partition), f64(partitionWord(partition, PARTITION_INCARNATION)));
}

/** Of a failure the other end's queue hears as well; the own one is cleared away. */
function tellFailed(partition: usize, end: usize, code: u32): void {
  closeQueue(end);
  setHeader(HEADER_TELLER_END, endWord(end, END_NEXT));
  if (!isOpen(end)) return;
  putTransport(partnerEnd(end), code);
  tellPartner(partition, end, EVENT_PARTNER_FAILED);
}

/** With the recovery the adapter ends; the list gets shorter by it, and the telling goes on with the next. */
function tellRecovered(partition: usize, end: usize): void {
  if (isOpen(end)) {
    tellPartner(partition, end, EVENT_PARTNER_RECOVERED);
    // What a partner that has failed, too, has not cleared away yet would keep its end.
    if (!runsNow(partnerPartition(end))) closeQueue(partnerEnd(end));
  }
  endAdapter(end);
}

/** Goes on with the telling that stands, or begins one. Answers what is left of the budget. */
function tellOn(own: usize, budget: i32): i32 {
  if (header(HEADER_TELLER) == 0) {
    setHeader(HEADER_TELLER, lpidOf(own));
    setHeader(HEADER_TELLER_END, partitionWord(own, PARTITION_ENDS));
  }
  const partition = partitionAt(header(HEADER_TELLER));
  const code = partitionWord(partition, PARTITION_TELLING);
  let left = budget;
  while (header(HEADER_TELLER_END) != 0) {
    if (left <= 0) return left;
    const end = endAt(header(HEADER_TELLER_END));
    if (code != 0) tellFailed(partition, end, code);
    else tellRecovered(partition, end);
    settle();
    left -= TELL_STEPS;
  }
  setHeader(HEADER_TELLER, 0);
  setPartitionWord(partition, PARTITION_TELLING, 0);
  settle();
  return left;
}

/** Whether all partners of a failed partition have been told of the failure. */
export function haveHeard(partition: usize): bool {
  return partitionWord(partition, PARTITION_TELLING) == 0;
}

/** Tells partners of a failure. Answers what is left of the budget, at least a step; 0: there are more to tell. */
export function tellFailure(partition: usize, budget: u32): i32 {
  let left = stepsOf(budget);
  while (left > 0 && !haveHeard(partition)) left = tellOn(partition, left);
  return haveHeard(partition) ? max(left, 1) : 0;
}

/** Whether the adapters of a partition have ended, and its telling with them. */
export function haveEnded(partition: usize): bool {
  return partitionWord(partition, PARTITION_ENDS) == 0 && header(HEADER_TELLER) != lpidOf(partition);
}

/** Ends the adapters of a partition of which nothing else is left; each partner hears that the recovery is complete. */
export function endAdapters(partition: usize, budget: i32): void {
  let left = budget;
  while (left > 0 && !haveEnded(partition)) left = tellOn(partition, left);
}
