/**
 * What a partition is told besides its queues: read from the event ring in the table's memory.
 */
import type { Kernel } from "./kernel.js";
import {
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
  PARTITION_EVENT_HEAD,
  PARTITION_EVENT_TAIL,
  PARTITION_EVENTS_LOST,
  PARTITION_RUNNING,
  PARTITION_STATE,
} from "./layout.js";
import { partitionWord } from "./records.js";
import { Stream, type WaitOptions } from "./stream.js";

/** One thing that a partition is told. */
export interface PartitionEvent {
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
  /** The other partition's lpid; 0 where there is none. */
  readonly partner: number;
  /** Of "rescinded", "returned" and "rescind-requested": the grant. */
  readonly cookie?: number;
  /** Of "rescind-requested": in so many milliseconds the mapping is taken by force, unless it is returned before. */
  readonly withinMs?: number;
  /** Of "events-lost": how many did not fit the ring. */
  readonly count?: number;
}

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

/** The event streams of one partition. Until the first is opened, events wait in the ring. */
export class Events {
  readonly #kernel: Kernel;
  readonly #lpid: number;
  readonly #streams: Set<Stream<PartitionEvent>> = new Set();
  readonly #listener = (): void => this.#drain();

  constructor(kernel: Kernel, lpid: number) {
    this.#kernel = kernel;
    this.#lpid = lpid;
  }

  /** A stream of what comes from now on, and of what waits if it is the only one. */
  subscribe(options: WaitOptions): Stream<PartitionEvent> {
    this.#kernel.checkOpen();
    const stream = new Stream<PartitionEvent>(options, () => {
      this.#streams.delete(stream);
      if (this.#streams.size === 0) this.#kernel.unlisten(this.#lpid, this.#listener);
    });
    this.#streams.add(stream);
    this.#kernel.listen(this.#lpid, this.#listener);
    this.#drain();
    return stream;
  }

  /** Whether there may be an event: what is not committed yet shows, too. */
  #hasAny(): boolean {
    const { memory } = this.#kernel;
    const word = (offset: number): number => partitionWord(memory, this.#lpid, offset);
    return word(PARTITION_EVENT_HEAD) !== word(PARTITION_EVENT_TAIL) || word(PARTITION_EVENTS_LOST) !== 0;
  }

  #drain(): void {
    // A late call: what comes now waits in the ring for the next stream.
    if (this.#streams.size === 0) return;
    const { core, memory, clock } = this.#kernel;
    // Most of what wakes this thread is for other partitions: looking costs less than a crossing.
    let status = this.#hasAny() ? core.takeEvent(this.#lpid) : H_NOT_FOUND;
    for (; status === H_SUCCESS; status = core.takeEvent(this.#lpid)) {
      const word = memory.header(memory.entry + EVENT_TYPE);
      const type = TYPES.get(word & EVENT_TYPE_MASK);
      if (type === undefined) continue;
      const partner = memory.header(memory.entry + EVENT_LPID);
      const value = memory.floats[(memory.entry + EVENT_VALUE) / 8] as number;
      const event: PartitionEvent = {
        type,
        at: clock.now(),
        partner,
        ...detail(type, value, word >>> EVENT_MS_SHIFT),
      };
      for (const stream of this.#streams) stream.push(event);
    }
    // Somebody has the table locked: the events are still there a moment later.
    if (status === H_LONG_BUSY_10_MSEC && !this.#kernel.isClosed) setTimeout(this.#listener, 1);
    const runs = partitionWord(memory, this.#lpid, PARTITION_STATE) === PARTITION_RUNNING;
    if (!runs || this.#kernel.isClosed) for (const stream of this.#streams) stream.end();
  }
}

function detail(
  type: PartitionEvent["type"],
  value: number,
  withinMs: number,
): { cookie?: number; count?: number; withinMs?: number } {
  if (type === "rescind-requested") return { cookie: value, withinMs };
  if (type === "rescinded" || type === "returned") return { cookie: value };
  return type === "events-lost" ? { count: value } : {};
}
