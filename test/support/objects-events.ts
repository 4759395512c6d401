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
import { ensure, type ModelEvent, type ModelPartition } from "./model-records.js";
import { differenceOf } from "./model-snapshot.js";
import type { Objects } from "./objects.js";
import { turnOf } from "./turns.js";

type Told = Omit<PartitionEvent, "at">;

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
  return type === "rescinded" || type === "returned" ? { ...told, cookie: value } : told;
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

/** A stream of one incarnation. */
class Listener {
  readonly lpid: number;
  readonly incarnation: number;
  stream: AsyncIterableIterator<PartitionEvent> | undefined;
  /** What the core has given for it and it has not told yet. */
  readonly due: Told[] = [];
  /** How often it was asked, and how much was taken for it. */
  asked = 0;
  taken = 0;
  /** How often it was asked and has not answered. */
  waiting = 0;
  isOver = false;

  constructor({ lpid, incarnation }: Partition) {
    this.lpid = lpid;
    this.incarnation = incarnation;
  }
}

export class ObjectEvents {
  readonly #objects: Objects;
  readonly #listeners = new Map<number, Listener>();

  constructor(objects: Objects) {
    this.#objects = objects;
    objects.heard.taken = (lpid, event) => {
      const listener = this.#listeners.get(lpid);
      if (event.type === EVENT_INTERRUPT) objects.twins.saw("an interrupt is taken");
      if (event.type === EVENT_DOORBELL) objects.twins.saw("a doorbell is taken");
      if (listener === undefined) return;
      listener.due.push(toldOf(event));
      listener.taken++;
    };
  }

  draw(): void {
    const { draw } = this.#objects;
    const listener = draw.pick([...this.#listeners.values()]);
    if (listener === undefined ? draw.once(6) : draw.once(25)) this.#listen();
    else if (listener === undefined || draw.once(2)) this.#take();
    else if (draw.once(16)) this.#leave(listener);
    else for (let count = draw.once(3) ? 20 : 1; count > 0; count--) this.#ask(listener);
  }

  /** Takes one event, now and then all; which of them is told the model knows. */
  #take(): void {
    const { twins, draw } = this.#objects;
    const waiting = [...twins.model.partitions.values()].filter((one) => nextOf(one) !== undefined);
    const partition = draw.pick(draw.once(3) ? [] : waiting) ?? this.#objects.first();
    const object = this.#objects.object(partition.lpid);
    // What it takes no stream sees.
    if (this.#listeners.has(partition.lpid)) return;
    for (let left = draw.once(3) ? 300 : 1; left > 0; left--) {
      const expected = nextOf(partition);
      const event = object.takeEvent();
      same(event, expected, `takeEvent() of ${partition.lpid}`);
      if (event === undefined) return;
    }
  }

  #listen(): void {
    const partition = this.#objects.running();
    const { lpid, state } = partition;
    if (state !== "running" || this.#listeners.has(lpid)) return;
    const listener = new Listener(partition);
    this.#listeners.set(lpid, listener);
    this.#objects.heard.listening.add(lpid);
    // What waits already comes with the opening.
    listener.stream = partition.events();
  }

  #ask(listener: Listener): void {
    listener.asked++;
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
        const isOver = listener.isOver || !this.#runs(listener);
        ensure(isOver, () => `the stream of ${listener.lpid} has ended, and the partition has not`);
        return;
      }
      same(value, listener.due.shift(), `the stream of ${listener.lpid}`);
      twins.saw("a stream tells");
    } catch (error) {
      heard.first ??= error;
    }
  }

  #runs({ lpid, incarnation }: Listener): boolean {
    const partition = this.#objects.twins.model.partitions.get(lpid);
    return partition?.state === "running" && partition.incarnation === incarnation;
  }

  #leave(listener: Listener): void {
    this.#forget(listener);
    void listener.stream?.return?.();
  }

  #forget(listener: Listener): void {
    listener.isOver = true;
    this.#listeners.delete(listener.lpid);
    this.#objects.heard.listening.delete(listener.lpid);
  }

  /** Whoever listens has been told all that is in its ring; whoever has asked for more than there was, what was raised, too. */
  check(): void {
    for (const listener of this.#listeners.values()) {
      const { lpid, asked, taken } = listener;
      const partition = this.#objects.twins.model.partitions.get(lpid);
      if (partition === undefined || !this.#runs(listener)) continue;
      const { length } = partition.events;
      ensure(length === 0, () => `partition ${lpid} listens, and ${length} events wait for it`);
      const lines = dueLines(partition).length;
      ensure(
        asked <= taken || lines === 0,
        () => `partition ${lpid} has asked, and ${lines} lines wait for it`,
      );
    }
  }

  /** What was asked and is there has been told; the streams of who does not run any more end after what they had. */
  async quiet(): Promise<void> {
    for (const listener of [...this.#listeners.values()]) {
      if (this.#runs(listener)) {
        const missing = Math.min(listener.due.length, listener.waiting);
        ensure(missing === 0, () => `the stream of ${listener.lpid} keeps ${missing} events`);
        continue;
      }
      for (let left = listener.due.length + 1; left > 0; left--) this.#ask(listener);
      await turnOf(0);
      const { lpid, waiting } = listener;
      ensure(waiting === 0, () => `the stream of ${lpid} does not end with its partition`);
      this.#objects.twins.saw("a stream ends with its partition");
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
