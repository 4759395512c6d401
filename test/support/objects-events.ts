/** What partitions are told, as their objects tell it: by takeEvent(), and by streams that ask now and then. */
import type { Partition, PartitionEvent } from "../../src/index.js";
import {
  EVENT_DOORBELL,
  EVENT_INTERRUPT,
  EVENT_MS_SHIFT,
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  EVENT_RESCIND_REQUESTED,
  EVENT_RESCINDED,
  EVENT_RETURNED,
  EVENT_TYPE_MASK,
  EVENTS_LOST,
} from "../../src/layout.js";
import { dueLines } from "./model-lines.js";
import { type Entry, ensure, type ModelEvent, type ModelPartition } from "./model-records.js";
import { differenceOf } from "./model-snapshot.js";
import type { Objects } from "./objects.js";
import { turnOf } from "./turns.js";

type Told = Omit<PartitionEvent, "at" | "cookie"> & { readonly cookie?: number };

const TYPES: ReadonlyMap<number, Told["type"]> = new Map([
  [EVENT_PARTNER_FAILED, "partner-failed"],
  [EVENT_PARTNER_RECOVERED, "partner-recovered"],
  [EVENT_RESCINDED, "rescinded"],
  [EVENT_RETURNED, "returned"],
  [EVENT_INTERRUPT, "interrupt"],
  [EVENT_DOORBELL, "doorbell"],
  [EVENT_RESCIND_REQUESTED, "rescind-requested"],
  [EVENTS_LOST, "events-lost"],
] as const);

/** An event of the model as the object API tells it. */
function toldOf({ type: word, from, value }: ModelEvent): Told {
  const type = TYPES.get(word % (EVENT_TYPE_MASK + 1));
  if (type === undefined) throw new Error(`there is no event of type ${word}`);
  const told = { type, partner: from };
  if (type === "interrupt" || type === "doorbell") return { ...told, address: value };
  if (type === "events-lost") return { ...told, count: value };
  if (type === "rescind-requested")
    return { ...told, cookie: value, withinMs: Math.floor(word / 2 ** EVENT_MS_SHIFT) };
  return type === "rescinded" || type === "returned"
    ? { ...told, cookie: value }
    : { ...told, incarnation: value };
}

/** What a partition would be told next: first what is in the ring, then what was raised and rung. */
function nextOf(partition: ModelPartition): Told | undefined {
  if (partition.state !== "running") return undefined;
  const [event] = partition.events;
  if (event !== undefined) return toldOf(event);
  const { eventsLost } = partition;
  if (eventsLost > 0) return toldOf({ type: EVENTS_LOST, from: 0, value: eventsLost });
  const [line] = dueLines(partition);
  return line === undefined ? undefined : toldOf(line);
}

/** An interrupt or a doorbell that one of several streams has taken: the others get it as long as its mapping stands. */
interface TakenLine {
  readonly told: Told;
  readonly entry: Entry | undefined;
  /**
   * Came while the same line of the same mapping was kept already. A stream keeps one event a line; but whoever took both has
   * both.
   */
  readonly isExtra: boolean;
}

/** A stream of one incarnation. */
class Listener {
  readonly lpid: number;
  readonly incarnation: number;
  stream: AsyncIterableIterator<PartitionEvent> | undefined;
  /** What the core has given for it and it has not told yet, in order. */
  readonly due: Told[] = [];
  /** What was taken by it or by another one, and it has not told. */
  readonly lines: TakenLine[] = [];
  /** How often it was asked and has not answered. */
  waiting = 0;
  isOver = false;

  constructor({ lpid, incarnation }: Pick<Partition, "lpid" | "incarnation">) {
    this.lpid = lpid;
    this.incarnation = incarnation;
  }
}

export class ObjectEvents {
  readonly #objects: Objects;
  readonly #listeners: Listener[] = [];
  /** The last stream of a partition that was left, with what it had not told. */
  readonly #left: Map<number, Listener> = new Map();
  #isClosed = false;

  constructor(objects: Objects) {
    this.#objects = objects;
    objects.heard.taken = (lpid, event) => this.#taken(lpid, event);
  }

  draw(): void {
    const { draw } = this.#objects;
    const listener = draw.pick(this.#listeners);
    if (listener === undefined ? draw.once(6) : draw.once(20)) this.#listen();
    else if (listener === undefined || draw.once(2)) this.#take();
    else if (draw.once(20)) this.#leave(listener);
    else for (let count = draw.once(3) ? 20 : 1; count > 0; count--) this.#ask(listener);
  }

  #of(lpid: number): Listener[] {
    return this.#listeners.filter((listener) => listener.lpid === lpid);
  }

  /** The core has given an event; what is in the ring goes to all who listen. */
  #taken(lpid: number, event: ModelEvent): void {
    const { twins } = this.#objects;
    const listeners = this.#of(lpid);
    const isLine = event.type === EVENT_INTERRUPT || event.type === EVENT_DOORBELL;
    if (isLine) twins.saw(event.type === EVENT_DOORBELL ? "a doorbell is taken" : "an interrupt is taken");
    const told = toldOf(event);
    if (!isLine || listeners.length === 1) for (const listener of listeners) listener.due.push(told);
    else for (const listener of listeners) this.#share(listener, told);
  }

  #share({ lpid, lines }: Listener, told: Told): void {
    const entry = this.#entryOf(lpid, told);
    const isExtra = lines.some(
      (one) =>
        !one.isExtra &&
        one.entry === entry &&
        one.told.type === told.type &&
        one.told.address === told.address,
    );
    lines.push({ told, entry, isExtra });
  }

  #entryOf(lpid: number, { type, address = -1 }: Told): Entry | undefined {
    const spaces = this.#objects.twins.model.partitions.get(lpid)?.spaces;
    const entry = spaces?.[type === "doorbell" ? "ipi" : "interrupt"].entries.get(address);
    return entry?.state === "mapped" ? entry : undefined;
  }

  /** Takes one event, now and then all; which of them is told the model knows. */
  #take(): void {
    const { twins, draw } = this.#objects;
    const waiting = [...twins.model.partitions.values()].filter((one) => nextOf(one) !== undefined);
    const raised = waiting.filter((one) => dueLines(one).length > 0);
    const those = draw.pick([waiting, raised, raised, [...twins.model.partitions.values()]]) ?? [];
    const partition = draw.pick(those) ?? this.#objects.first();
    const object = this.#objects.object(partition.lpid);
    // What it takes no stream sees.
    if (this.#of(partition.lpid).length > 0) return;
    for (let left = draw.once(3) ? 300 : 1; left > 0; left--) {
      const expected = this.#unread(partition.lpid).shift() ?? nextOf(partition);
      const event = object.takeEvent();
      same(event, expected, `takeEvent() of ${partition.lpid}`);
      if (event === undefined) return;
    }
  }

  #listen(): void {
    const { draw, heard } = this.#objects;
    const one = draw.pick(this.#listeners.filter((listener) => this.#runs(listener)));
    const partition =
      one !== undefined && !draw.once(3) ? this.#objects.object(one.lpid) : this.#objects.running();
    const { lpid, state } = partition;
    if (state !== "running" || this.#of(lpid).length > 1) return;
    const listener = new Listener(partition);
    this.#listeners.push(listener);
    heard.listening.add(lpid);
    // What waits already comes with the opening, behind what nobody has read of the last one.
    listener.due.push(...this.#unread(lpid).splice(0));
    listener.stream = partition.events();
  }

  #ask(listener: Listener): void {
    listener.waiting++;
    listener.stream?.next().then(
      ({ done, value }) => this.#heard(listener, done === true ? undefined : value),
      (error: unknown) => {
        this.#objects.heard.first ??= error;
      },
    );
  }

  #heard(listener: Listener, value: PartitionEvent | undefined): void {
    const { heard, twins } = this.#objects;
    listener.waiting--;
    try {
      if (value === undefined) {
        const isOver = this.#isClosed || listener.isOver || !this.#runs(listener);
        ensure(isOver, () => `the stream of ${listener.lpid} has ended, and the partition has not`);
        return;
      }
      this.#tell(listener, value);
      twins.saw("a stream tells");
    } catch (error) {
      heard.first ??= error;
    }
  }

  /** No event after a rescind: what another stream took is told only as long as its mapping stands. */
  #tell(listener: Listener, value: PartitionEvent): void {
    const what = `the stream of ${listener.lpid}`;
    const those = listener.lines.filter(({ told }) => differenceOf(value, told) === undefined);
    if (differenceOf(value, listener.due[0]) === undefined || those.length === 0) {
      same(value, listener.due.shift(), what);
      return;
    }
    const standing = those.filter((one) => this.#isStanding(listener, one));
    const line = standing.find(({ isExtra }) => !isExtra) ?? standing[0];
    ensure(line !== undefined, () => `${what} tells ${JSON.stringify(value)} after the end of its mapping`);
    listener.lines.splice(listener.lines.indexOf(line), 1);
    this.#objects.twins.saw("several streams tell of a line");
  }

  #isStanding({ lpid }: Listener, { told, entry }: TakenLine): boolean {
    return entry !== undefined && this.#entryOf(lpid, told) === entry;
  }

  #runs({ lpid, incarnation }: Listener): boolean {
    const partition = this.#objects.twins.model.partitions.get(lpid);
    return partition?.state === "running" && partition.incarnation === incarnation;
  }

  #leave(listener: Listener): void {
    const { lpid, waiting, due, lines } = listener;
    // It has answered, but nobody has heard yet which of them.
    if (waiting > 0 && lines.length > 0) return;
    this.#forget(listener);
    void listener.stream?.return?.();
    if (this.#of(lpid).length > 0 || !this.#runs(listener)) return;
    const last = new Listener(listener);
    last.due.push(...due.splice(waiting));
    this.#left.set(lpid, last);
    if (last.due.length > 0) this.#objects.twins.saw("a stream is left with events unread");
  }

  /** What nobody has read of the last stream of a partition. */
  #unread(lpid: number): Told[] {
    const last = this.#left.get(lpid);
    return last !== undefined && this.#runs(last) ? last.due : [];
  }

  #forget(listener: Listener): void {
    const { listening } = this.#objects.heard;
    listener.isOver = true;
    this.#listeners.splice(this.#listeners.indexOf(listener), 1);
    if (this.#of(listener.lpid).length === 0) listening.delete(listener.lpid);
  }

  /** Whoever listens has been told all that is in its ring; whoever waits for more than there was, what was raised, too. */
  check(): void {
    for (const listener of this.#listeners) {
      const { lpid, waiting, due } = listener;
      const partition = this.#objects.twins.model.partitions.get(lpid);
      if (partition === undefined || !this.#runs(listener)) continue;
      const { length } = partition.events;
      ensure(length === 0, () => `partition ${lpid} listens, and ${length} events wait for it`);
      const lines = dueLines(partition).length;
      const isServed = waiting <= due.length + listener.lines.length || lines === 0;
      ensure(isServed, () => `partition ${lpid} has asked, and ${lines} lines wait for it`);
    }
  }

  /** What was asked and is there has been told; the streams of who does not run any more end after what they had. */
  async quiet(): Promise<void> {
    await turnOf(0);
    for (const listener of [...this.#listeners]) {
      const { lpid, waiting, due, lines } = listener;
      if (this.#runs(listener)) {
        const standing = lines.filter((line) => !line.isExtra && this.#isStanding(listener, line));
        const missing = Math.min(due.length + standing.length, waiting);
        ensure(missing === 0, () => `the stream of ${lpid} keeps ${missing} events`);
        if (waiting > 0) lines.length = 0; // extra ones that it did not take, and those whose mapping is over
        continue;
      }
      for (let left = due.length + lines.length + 1; left > 0; left--) this.#ask(listener);
      await turnOf(0);
      ensure(listener.waiting === 0, () => `the stream of ${lpid} does not end with its partition`);
      this.#objects.twins.saw("a stream ends with its partition");
      this.#forget(listener);
    }
  }

  /** The table is about to be closed. */
  close(): void {
    this.#isClosed = true;
  }

  /** The table is closed: so are all streams. */
  async closed(): Promise<void> {
    for (const listener of [...this.#listeners]) {
      for (let left = listener.due.length + 1; left > 0; left--) this.#ask(listener);
      await turnOf(0);
      ensure(listener.waiting === 0, () => `the stream of ${listener.lpid} does not end with its table`);
      this.#forget(listener);
    }
  }
}

function same(event: PartitionEvent | undefined, expected: Told | undefined, what: string): void {
  const difference = differenceOf(event, expected, what);
  const keys = (one: object | undefined): string =>
    Object.keys(one ?? {})
      .filter((key) => key !== "at")
      .sort()
      .join();
  ensure(
    difference === undefined && keys(event) === keys(expected),
    () => `${difference}: ${JSON.stringify(event)}`,
  );
}
