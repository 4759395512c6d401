/** The command/response queues of the naive model: an array of entries per registered end (CQ2 to CQ5). */
import {
  H_CLOSED,
  H_DROPPED,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  PAGE_BYTES,
  QUEUE_ENTRIES_PER_PAGE,
  QUEUE_TRANSPORT,
  QUEUE_VALID,
} from "../../src/layout.js";
import type { Model } from "./model.js";
import {
  type Answer,
  answer,
  type End,
  isInteger,
  type ModelPartition,
  type Queue,
  type QueueEntry,
  REFUSED,
} from "./model-records.js";

function endOf(model: Model, caller: ModelPartition, unit: number): End | undefined {
  const end = model.ends.get(unit);
  return end?.owner === caller && end.open ? end : undefined;
}

export function registerQueue(
  model: Model,
  lpid: number,
  unit: number,
  address: number,
  length: number,
): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  const end = endOf(model, caller, unit);
  if (end === undefined || !isInteger(address) || !isInteger(length) || length === 0) return REFUSED;
  if (address % PAGE_BYTES !== 0 || length % PAGE_BYTES !== 0) return REFUSED;
  const { entries } = caller.spaces.memory;
  const page = address / PAGE_BYTES;
  const pageCount = length / PAGE_BYTES;
  for (let index = 0; index < pageCount; index++) {
    const entry = entries.get(page + index);
    if (entry === undefined || entry.node.kind !== "resource") return REFUSED;
  }
  if (end.queue !== undefined) return answer(H_RESOURCE);
  for (let index = 0; index < pageCount; index++) {
    const entry = entries.get(page + index);
    if (entry !== undefined) entry.frame.word = undefined;
  }
  end.queue = { page, capacity: pageCount * QUEUE_ENTRIES_PER_PAGE, entries: [], pending: new Set() };
  return answer(end.partner?.queue === undefined ? H_CLOSED : H_SUCCESS); // CQ4
}

export function freeQueue(model: Model, lpid: number, unit: number): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  const end = endOf(model, caller, unit);
  if (end === undefined || end.queue === undefined) return REFUSED;
  end.queue = undefined;
  if (end.partner?.queue !== undefined) pushEvent(end.partner.queue, 2);
  return answer(H_SUCCESS);
}

export function send(model: Model, lpid: number, unit: number, words: readonly number[]): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  const end = endOf(model, caller, unit);
  if (end === undefined || words.some((word) => !isInteger(word) || word > 0xffffffff)) return REFUSED;
  const entry = entryOf(words);
  if (entry.header === QUEUE_TRANSPORT || (entry.header & QUEUE_VALID) === 0) return REFUSED; // CQ3
  const queue = end.partner?.queue;
  if (queue === undefined) return answer(H_CLOSED);
  if (queue.entries.length === queue.capacity) return answer(H_DROPPED);
  queue.entries.push(entry);
  return answer(H_SUCCESS);
}

/** The receiver takes the oldest entry; what was kept beside a full ring follows. */
export function receive(queue: Queue): QueueEntry | undefined {
  const entry = queue.entries.shift();
  for (const code of queue.pending) {
    queue.pending.delete(code);
    pushEvent(queue, code);
    break;
  }
  return entry;
}

/** CQ5: an event is never lost. */
export function pushEvent(queue: Queue, code: number): void {
  const event = entryOf([QUEUE_TRANSPORT | (code << 8), 0, 0, 0]);
  if (queue.entries.length < queue.capacity) {
    queue.entries.push(event);
    return;
  }
  const last = queue.entries.at(-1);
  if (last?.header === QUEUE_TRANSPORT) queue.pending.add(code);
  else queue.entries[queue.entries.length - 1] = event;
}

function entryOf(words: readonly number[]): QueueEntry {
  const first = words[0] ?? 0;
  return { header: first & 0xff, format: (first >>> 8) & 0xff, words };
}
