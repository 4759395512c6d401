/**
 * What a partition is told besides its queues: read from the event ring and the lines in the table's memory.
 *
 * What stands in the ring is told whenever somebody looks, and goes to every stream at once. An interrupt or a doorbell is
 * taken only when somebody asks for it, since it must not be told after the right to it is gone; what one stream takes the
 * other streams of the partition get when they ask, if the right still stands then.
 */
import { nextTurn, systemClock } from "./clock.js";
import { checkInteger, HcallError, LparError } from "./errors.js";
import type { Holder } from "./holder.js";
import type { Kernel } from "./kernel.js";
import {
  ENTRY_VALID,
  EVENT_DOORBELL,
  EVENT_INTERRUPT,
  EVENT_LPID,
  EVENT_MS_SHIFT,
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  EVENT_RESCIND_REQUESTED,
  EVENT_RESCINDED,
  EVENT_RETURNED,
  EVENT_TYPE,
  EVENT_TYPE_MASK,
  EVENT_VALUE,
  EVENTS_LOST,
  H_LONG_BUSY_10_MSEC,
  H_NOT_FOUND,
  H_SUCCESS,
  HEADER_LINES_AT,
  HEADER_LINES_BYTES,
  LINE_NEXT,
  PARTITION_EVENT_HEAD,
  PARTITION_EVENT_TAIL,
  PARTITION_EVENTS_LOST,
  PARTITION_RUNNING,
  PARTITION_SIGNAL,
  PARTITION_STATE,
  PARTITION_WAITING,
  SPACE_BACKS,
  SPACE_ENTRIES,
  SPACE_INTERRUPT,
  SPACE_IPI,
  STRUCTURE_BYTES,
  STRUCTURE_GENERATION,
  STRUCTURES_AT,
} from "./layout.js";
import type { Cookie } from "./mapping.js";
import { partitionOffset, partitionWord, spaceWord } from "./records.js";
import { STREAM_KEPT, Stream, type WaitOptions } from "./stream.js";

/** One thing that a partition is told. What only some have, those have for sure whose type says so. */
export type PartitionEvent = {
  /** What happened: DESIGN.md 5 says when each comes. */
  readonly type:
    | "partner-failed"
    | "partner-recovered"
    | "rescinded"
    | "returned"
    | "interrupt"
    | "doorbell"
    | "rescind-requested"
    | "events-lost";
  /** Milliseconds of the table's clock, when this thread learnt of it. */
  readonly at: number;
  /**
   * The other partition's lpid; 0 where there is none. Of "interrupt" and "doorbell": who raised or rang first since the last
   * such event, 0 for the manager.
   */
  readonly partner: number;
  /** Of "partner-failed" and "partner-recovered": which of the partner's incarnations that is; a restart makes the next one. */
  readonly incarnation?: number;
  /** Of "rescinded", "returned" and "rescind-requested": the grant. */
  readonly cookie?: Cookie;
  /** Of "rescind-requested": in so many milliseconds the mapping is taken by force, unless it is returned before. */
  readonly withinMs?: number;
  /** Of "events-lost": how many did not fit the ring, or what a stream keeps for who does not read it. */
  readonly count?: number;
  /** Of "interrupt" and "doorbell": the number in the partition's own interrupt or port space. */
  readonly address?: number;
} & Readonly<
  // Not as objects, whose properties would each have to be described a second time.
  | (Record<"type", "partner-failed" | "partner-recovered"> & Record<"incarnation", number>)
  | (Record<"type", "rescinded" | "returned"> & Record<"cookie", Cookie>)
  | (Record<"type", "rescind-requested"> & Record<"cookie", Cookie> & Record<"withinMs", number>)
  | (Record<"type", "interrupt" | "doorbell"> & Record<"address", number>)
  | (Record<"type", "events-lost"> & Record<"count", number>)
>;

const TYPES: ReadonlyMap<number, PartitionEvent["type"]> = new Map([
  [EVENT_PARTNER_FAILED, "partner-failed"],
  [EVENT_PARTNER_RECOVERED, "partner-recovered"],
  [EVENT_RESCINDED, "rescinded"],
  [EVENT_RETURNED, "returned"],
  [EVENT_INTERRUPT, "interrupt"],
  [EVENT_DOORBELL, "doorbell"],
  [EVENT_RESCIND_REQUESTED, "rescind-requested"],
  [EVENTS_LOST, "events-lost"],
]);

/** The longest wait that can be asked for; without a limit it is Infinity. */
const WAIT_MS_MAX = 2 ** 31 - 1;

/** An event of a line that another stream took, with the mapping that it is of. */
interface Taken {
  readonly event: PartitionEvent;
  readonly mapping: string;
}

/** Notices of a partner's failure and recovery are kept where others are lost, as in the ring. */
const NOTICES_KEPT = STREAM_KEPT + 4096;

function keptOf({ type }: PartitionEvent): number {
  return type === "partner-failed" || type === "partner-recovered" ? NOTICES_KEPT : STREAM_KEPT;
}

/** The event streams of one partition. Until the first is opened, events wait in the table. */
export class Events {
  readonly #kernel: Kernel;
  readonly #holder: Holder;
  /** Each with what others took and it has not been asked for yet: one event a line, as the line itself has. */
  readonly #streams: Map<Stream<PartitionEvent>, Map<string, Taken>> = new Map();
  readonly #listener = (): void => this.#drain();
  /** Index of the word that names the first line of the queue. */
  readonly #firstLine: number;
  /** What the last stream kept when its reader left, and of which incarnation. */
  #unread: PartitionEvent[] = [];
  #unreadOf = 0;
  /** Whether it looks again a moment later. */
  #isLate = false;

  constructor(holder: Holder) {
    const { kernel, lpid } = holder;
    this.#kernel = kernel;
    this.#holder = holder;
    const { memory } = kernel;
    const lines = memory.header(HEADER_LINES_AT) + (lpid - 1) * memory.header(HEADER_LINES_BYTES);
    this.#firstLine = (lines + LINE_NEXT) / 4;
  }

  /** A stream of what comes from now on, and of what waits if it is the only one. */
  subscribe(options: WaitOptions): Stream<PartitionEvent> {
    this.#kernel.checkOpen();
    const stream = new Stream<PartitionEvent>(options, {
      closed: (ended) => {
        this.#streams.delete(ended);
        if (this.#streams.size === 0) this.#kernel.unlisten(this.#holder.lpid, this.#listener);
      },
      pull: (asked) => this.#pull(asked),
      unread: (events) => {
        if (this.#streams.size !== 1) return;
        this.#unread = events;
        this.#unreadOf = this.#holder.incarnation;
      },
      lost: (count) => ({ type: "events-lost", at: this.#kernel.clock.now(), partner: 0, count }),
    });
    // Aborted already: what the ring has is for those who read.
    if (stream.hasEnded) return stream;
    this.#streams.set(stream, new Map());
    this.#kernel.listen(this.#holder.lpid, this.#listener);
    for (let event = this.#left(); event !== undefined; event = this.#left()) stream.push(event);
    this.#drain();
    return stream;
  }

  /** The oldest that a reader left; an older incarnation's is nobody's (G4). */
  #left(): PartitionEvent | undefined {
    return this.#holder.isCurrent(this.#unreadOf) ? this.#unread.shift() : undefined;
  }

  /**
   * The oldest event of the ring, or the interrupt or doorbell that has waited longest.
   * @throws HcallError H_LongBusyOrder10msec if another thread has the partition locked.
   */
  take(): PartitionEvent | undefined {
    const unread = this.#left();
    if (unread !== undefined) return unread;
    const status = this.#takeOne();
    if (status === H_LONG_BUSY_10_MSEC)
      throw new HcallError("takeEvent", status, "another thread has the partition locked");
    return status === H_SUCCESS ? this.#taken() : undefined;
  }

  #takeOne(): number {
    this.#kernel.checkOpen();
    const { core } = this.#kernel;
    const status = this.#hasAny() ? core.takeEvent(this.#holder.lpid) : H_NOT_FOUND;
    return status === H_NOT_FOUND && this.#hasLine() ? core.takeLine(this.#holder.lpid) : status;
  }

  /**
   * As take(), but blocks the thread until there is an event. The order is what keeps a signal from being lost: first the
   * count is read, then it is looked for events, and it is slept only while the count is still that one.
   * @throws LparError LPAR_UNSUPPORTED in the main thread of a browser, if it would have to wait.
   */
  wait(timeoutMs: number): PartitionEvent | undefined {
    if (timeoutMs !== Number.POSITIVE_INFINITY) checkInteger("timeoutMs", timeoutMs, 0, WAIT_MS_MAX);
    const { memory } = this.#kernel;
    const { words, integers } = memory;
    const signal = (partitionOffset(memory, this.#holder.lpid) + PARTITION_SIGNAL) / 4;
    // Not the table's clock: a thread that sleeps cannot be woken by one that is turned by hand.
    const end = systemClock.now() + timeoutMs;
    const unread = this.#left();
    if (unread !== undefined) return unread;
    while (true) {
      const seen = Atomics.load(integers, signal);
      const status = this.#takeOne();
      if (status === H_SUCCESS) return this.#taken();
      const left = end - systemClock.now();
      if (!(left > 0) || !this.#runs()) return undefined;
      Atomics.store(words, signal + (PARTITION_WAITING - PARTITION_SIGNAL) / 4, 1);
      // Who has the partition locked may have nothing to tell it.
      block(integers, signal, seen, status === H_LONG_BUSY_10_MSEC ? Math.min(left, 1) : left);
    }
  }

  #word(offset: number): number {
    return partitionWord(this.#kernel.memory, this.#holder.lpid, offset);
  }

  #runs(): boolean {
    return this.#word(PARTITION_STATE) === PARTITION_RUNNING;
  }

  /** Whether there may be an event in the ring: what is not committed yet shows, too. */
  #hasAny(): boolean {
    const isEmpty = this.#word(PARTITION_EVENT_HEAD) === this.#word(PARTITION_EVENT_TAIL);
    return !isEmpty || this.#word(PARTITION_EVENTS_LOST) !== 0;
  }

  /** Whether an interrupt or a doorbell may wait. */
  #hasLine(): boolean {
    return this.#kernel.memory.words[this.#firstLine] !== 0;
  }

  /** What the core has left in the thread record. */
  #taken(): PartitionEvent | undefined {
    const { memory, clock } = this.#kernel;
    const word = memory.header(memory.entry + EVENT_TYPE);
    const type = TYPES.get(word & EVENT_TYPE_MASK);
    if (type === undefined) return undefined;
    const partner = memory.header(memory.entry + EVENT_LPID);
    const value = memory.floats[(memory.entry + EVENT_VALUE) / 8] as number;
    const rest = detail(type, value, word >>> EVENT_MS_SHIFT);
    return { type, at: clock.now(), partner, ...rest } as PartitionEvent;
  }

  #drain(): void {
    // A late call: what comes now waits in the ring for the next stream.
    if (this.#streams.size === 0) return;
    const { core } = this.#kernel;
    // Most of what wakes this thread is for other partitions: looking costs less than a crossing.
    let status = this.#hasAny() ? core.takeEvent(this.#holder.lpid) : H_NOT_FOUND;
    for (; status === H_SUCCESS; status = core.takeEvent(this.#holder.lpid)) {
      const event = this.#taken();
      if (event === undefined) continue;
      for (const stream of this.#streams.keys()) stream.push(event, event.count, keptOf(event));
    }
    if (status === H_LONG_BUSY_10_MSEC) this.#later();
    for (const stream of [...this.#streams.keys()]) stream.poll();
    if (!this.#runs() || this.#kernel.isClosed) for (const stream of [...this.#streams.keys()]) stream.end();
  }

  /** Somebody has the partition locked: the events are still there a moment later. */
  #later(): void {
    if (this.#isLate || this.#kernel.isClosed) return;
    this.#isLate = true;
    void nextTurn(1).then(() => {
      this.#isLate = false;
      this.#drain();
    });
  }

  /** An interrupt or doorbell for a stream that is asked for one. */
  #pull(stream: Stream<PartitionEvent>): PartitionEvent | undefined {
    const shared = this.#streams.get(stream);
    for (const [line, { event, mapping }] of shared ?? []) {
      shared?.delete(line);
      if (mapping === this.#mappingOf(event)) return event;
    }
    if (this.#kernel.isClosed || !this.#hasLine()) return undefined;
    const status = this.#kernel.core.takeLine(this.#holder.lpid);
    if (status === H_LONG_BUSY_10_MSEC) this.#later();
    if (status !== H_SUCCESS) return undefined;
    const event = this.#taken();
    if (event !== undefined && this.#streams.size > 1) this.#share(stream, event);
    return event;
  }

  /** The other streams get it when they are asked; some may be asked already. */
  #share(taker: Stream<PartitionEvent>, event: PartitionEvent): void {
    const mapping = this.#mappingOf(event);
    if (mapping === undefined) return;
    const line = `${event.type} ${event.address}`;
    for (const [stream, shared] of this.#streams) {
      if (stream === taker || shared.get(line)?.mapping === mapping) continue;
      // What it was told of an older mapping is over: this one came now.
      shared.delete(line);
      shared.set(line, { event, mapping });
    }
    queueMicrotask(() => {
      for (const stream of [...this.#streams.keys()]) stream.poll();
    });
  }

  /**
   * What is mapped at the number of an event, undefined if nothing is that the partition may use: the page table entry, with
   * its own generation, and the generation of the control structure.
   */
  #mappingOf({ type, address = 0 }: PartitionEvent): string | undefined {
    const { memory } = this.#kernel;
    const space = type === "doorbell" ? SPACE_IPI : SPACE_INTERRUPT;
    const entries = spaceWord(memory, this.#holder.lpid, space, SPACE_ENTRIES);
    const entry = Atomics.load(memory.words, entries / 4 + address);
    if ((entry & ENTRY_VALID) === 0 || !this.#runs()) return undefined;
    const slot = memory.header(spaceWord(memory, this.#holder.lpid, space, SPACE_BACKS) + address * 4);
    const structure = STRUCTURES_AT + slot * STRUCTURE_BYTES;
    return `${entry} ${slot} ${memory.header(structure + STRUCTURE_GENERATION)}`;
  }
}

/** Sleeps until the word is another one. Only where a thread may be blocked, and by memory that others can change. */
function block(integers: Int32Array, index: number, seen: number, ms: number): void {
  try {
    Atomics.wait(integers, index, seen, ms);
  } catch {
    const why = "waitEvent() cannot block a browser's main thread, nor with threads: 0";
    throw new LparError("LPAR_UNSUPPORTED", why);
  }
}

function detail(
  type: PartitionEvent["type"],
  value: number,
  withinMs: number,
): { cookie?: Cookie; count?: number; withinMs?: number; address?: number; incarnation?: number } {
  if (type === "rescind-requested") return { cookie: value as Cookie, withinMs };
  if (type === "rescinded" || type === "returned") return { cookie: value as Cookie };
  if (type === "interrupt" || type === "doorbell") return { address: value };
  return type === "events-lost" ? { count: value } : { incarnation: value };
}
