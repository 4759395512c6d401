/** The command/response queues of the naive model: an array of entries per registered end (CQ2 to CQ5). */
import {
  H_CLOSED,
  H_DROPPED,
  H_NOT_FOUND,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_WRITE,
  PAGE_BYTES,
  QUEUE_ENTRIES_PER_PAGE,
  QUEUE_ENTRY_BYTES,
  QUEUE_TRANSPORT,
  QUEUE_VALID,
  TRANSPORT_DEREGISTERED,
} from "../../src/layout.js";
import type { Model } from "./model.js";
import { splitPages } from "./model-copies.js";
import { isLent } from "./model-lend.js";
import {
  type Answer,
  answer,
  type End,
  type Frame,
  isInteger,
  type ModelPartition,
  owns,
  type Queue,
  REFUSED,
} from "./model-records.js";

/** The frames under a partition's queue. */
export function framesOf(owner: ModelPartition, queue: Queue): Frame[] {
  const frames: Frame[] = [];
  for (let index = 0; index * QUEUE_ENTRIES_PER_PAGE < queue.capacity; index++) {
    const entry = owner.spaces.memory.entries.get(queue.page + index);
    if (entry !== undefined) frames.push(entry.frame);
  }
  return frames;
}

/** What stands in the receiver's memory at a place of the ring. */
function store(end: End, queue: Queue, place: number, words: readonly number[]): void {
  if (end.owner === undefined) return;
  const frame = framesOf(end.owner, queue)[Math.floor(place / QUEUE_ENTRIES_PER_PAGE)];
  if (frame === undefined) return;
  const bytes = new DataView(frame.bytes.buffer, frame.bytes.byteOffset);
  for (let index = 0; index < 4; index++) {
    const at = (place % QUEUE_ENTRIES_PER_PAGE) * QUEUE_ENTRY_BYTES + index * 4;
    bytes.setUint32(at, words[index] ?? 0, true);
  }
}

function put(end: End, queue: Queue, words: readonly number[]): void {
  store(end, queue, queue.tail, words);
  queue.entries.push(words);
  queue.tail = (queue.tail + 1) % queue.capacity;
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
  const end = model.endOf(caller, unit);
  if (end === undefined || !end.isOpen) return REFUSED;
  if (!isInteger(address) || !isInteger(length) || length === 0) return REFUSED;
  if (address % PAGE_BYTES !== 0 || length % PAGE_BYTES !== 0) return REFUSED;
  const page = address / PAGE_BYTES;
  const pageCount = length / PAGE_BYTES;
  if (!owns(caller, page, pageCount)) return REFUSED;
  if (end.queue !== undefined) return answer(H_RESOURCE);
  for (let at = page; at < page + pageCount; at++) {
    const entry = caller.spaces.memory.entries.get(at);
    if (entry === undefined) continue;
    if (isLent(entry.node, at)) return answer(H_RESOURCE); // OM3
    for (const { sourcePage, pageCount, inhibits } of entry.node.children)
      if (at >= sourcePage && at < sourcePage + pageCount && (inhibits & INHIBIT_WRITE) === 0)
        return answer(H_RESOURCE); // CQ3
    for (const { owner, queue } of model.ends)
      if (owner === caller && queue !== undefined && at >= queue.page && at < queue.page + queue.pageCount)
        return answer(H_RESOURCE);
  }
  // A ring is written without a look at the page: its frames must be the queue's alone.
  const made = splitPages(model, caller, page, pageCount);
  if (made !== H_SUCCESS) return answer(made);
  const capacity = pageCount * QUEUE_ENTRIES_PER_PAGE;
  end.queue = { page, pageCount, capacity, entries: [], pending: new Set(), head: 0, tail: 0 };
  for (const frame of framesOf(caller, end.queue)) frame.bytes.fill(0);
  return answer(end.partner?.queue === undefined ? H_CLOSED : H_SUCCESS); // CQ4
}

export function freeQueue(model: Model, lpid: number, unit: number): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  const end = model.endOf(caller, unit);
  if (end === undefined || end.queue === undefined) return REFUSED;
  end.queue = undefined;
  if (end.isOpen && end.partner !== undefined) pushTransport(end.partner, TRANSPORT_DEREGISTERED);
  model.dropIdleEnds();
  return answer(H_SUCCESS);
}

export function send(model: Model, lpid: number, unit: number, words: readonly number[]): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  const end = model.endOf(caller, unit);
  if (end === undefined || words.some((word) => !isWord(word))) return REFUSED;
  const entry = words.map((word) => word >>> 0);
  const header = (entry[0] ?? 0) & 0xff;
  if (header === QUEUE_TRANSPORT || (header & QUEUE_VALID) === 0) return REFUSED; // CQ3
  const queue = end.isOpen ? end.partner?.queue : undefined;
  if (queue === undefined || end.partner === undefined) return answer(H_CLOSED);
  if (queue.entries.length === queue.capacity) return answer(H_DROPPED);
  put(end.partner, queue, entry);
  return answer(H_SUCCESS);
}

/** A 32-bit word, signed or unsigned. */
export function isWord(value: number): boolean {
  return Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 32;
}

/** The receiver takes the oldest entry; what was kept beside a full ring follows. */
export function receive(
  model: Model,
  lpid: number,
  unit: number,
): { answer: Answer; entry?: readonly number[] } {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return { answer: REFUSED };
  if (caller.state !== "running") return { answer: answer(H_RESCINDED) };
  const end = model.endOf(caller, unit);
  if (end === undefined) return { answer: REFUSED };
  const { queue } = end;
  if (queue === undefined) return { answer: answer(H_CLOSED) };
  const entry = queue.entries.shift();
  if (entry === undefined) return { answer: answer(H_NOT_FOUND) };
  store(end, queue, queue.head, [0, 0, 0, 0]);
  queue.head = (queue.head + 1) % queue.capacity;
  const code = [...queue.pending].sort((a, b) => a - b)[0];
  if (code !== undefined) {
    queue.pending.delete(code);
    put(end, queue, transport(code));
  }
  return { answer: answer(H_SUCCESS), entry };
}

function transport(code: number): readonly number[] {
  return [QUEUE_TRANSPORT | (code << 8), 0, 0, 0];
}

/** CQ5: an event is never lost. */
export function pushTransport(end: End, code: number): void {
  const { queue } = end;
  if (queue === undefined) return;
  if (queue.entries.length < queue.capacity) {
    put(end, queue, transport(code));
    return;
  }
  const last = queue.entries.length - 1;
  if (((queue.entries[last]?.[0] ?? 0) & 0xff) === QUEUE_TRANSPORT) queue.pending.add(code);
  else {
    queue.entries[last] = transport(code);
    store(end, queue, (queue.tail + queue.capacity - 1) % queue.capacity, transport(code));
  }
}
