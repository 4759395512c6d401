/**
 * Contents of queues: what is taken is what was sent, in its order, each once, and what a partner's end or failure puts there (CQ). A
 * call that was stopped has sent, taken, registered or freed, or it has not; so each adapter is in one of a few worlds, of which every
 * answer, and the rings themselves while no call is half done, leave those that agree with them. Where none is left, something was
 * lost, or came twice, or is nothing that anybody has sent.
 *
 * A ring is its owner's memory, where whoever may write to it may break it: no call of a walk does.
 */
import {
  END_BYTES,
  END_CLOSED,
  END_OPEN,
  END_OWNER,
  END_PARTNER,
  END_PENDING,
  END_QUEUE_HEAD,
  END_QUEUE_PAGE,
  END_QUEUE_PAGES,
  END_QUEUE_TAIL,
  END_STATE,
  END_UNIT,
  ENTRY_FRAME,
  H_CLOSED,
  H_DROPPED,
  H_NOT_FOUND,
  H_SUCCESS,
  HEADER_END_FRESH,
  HEADER_ENDS_AT,
  PAGE_BYTES,
  PARTITION_SIGNAL,
  PARTITION_TELLING,
  QUEUE_ENTRY_BYTES,
  QUEUE_FREE,
  QUEUE_TRANSPORT,
  QUEUE_VALID,
  TRANSPORT_DEREGISTERED,
  TRANSPORT_FAILED,
} from "../../src/layout.js";
import type { Call } from "./crash-walk-calls.js";
import type { TableWords } from "./crash-walk-words.js";

/** A ring by what is in it, the oldest entry first; each is its bytes in hexadecimal. */
interface Ring {
  readonly capacity: number;
  readonly entries: readonly string[];
  /** Events for which there is no place yet, a bit for each code. */
  readonly pending: number;
}

type Pair<T> = readonly [T, T];

interface World {
  /** The ring of each side, if it has registered one. */
  readonly rings: Pair<Ring | undefined>;
  /** Whether the failure of each side was told to the ring of the other one. */
  readonly told: Pair<boolean>;
}

/** One side of an adapter. */
interface Side {
  readonly slot: number;
  readonly unit: number;
  readonly lpid: number;
  readonly incarnation: number;
}

/** Who has a queue, and who may send there, if the adapter stands; each by its unit address. */
export interface Registered {
  readonly lpid: number;
  readonly unit: number;
  readonly partner: { readonly lpid: number; readonly unit: number } | undefined;
}

interface Adapter {
  readonly sides: Pair<Side>;
  worlds: readonly World[];
}

const ZEROES = Buffer.alloc(4 * PAGE_BYTES);

function bytesOf(words: readonly number[]): string {
  return Buffer.from(Uint32Array.from(words).buffer).toString("hex");
}

function eventOf(code: number): string {
  return bytesOf([QUEUE_TRANSPORT | (code << 8), 0, 0, 0]);
}

function isEvent(entry: string | undefined): boolean {
  return entry?.startsWith("ff") === true;
}

function isFull({ entries, capacity }: Ring): boolean {
  return entries.length === capacity;
}

function withEntry(ring: Ring, entry: string): Ring {
  return { ...ring, entries: [...ring.entries, entry] };
}

/** An event is never lost (CQ5). */
function withEvent(ring: Ring, code: number): Ring {
  if (!isFull(ring)) return withEntry(ring, eventOf(code));
  if (isEvent(ring.entries.at(-1))) return { ...ring, pending: ring.pending | (1 << code) };
  return { ...ring, entries: [...ring.entries.slice(0, -1), eventOf(code)] };
}

/** Its oldest entry is taken, and there is place for an event. */
function withoutFirst(ring: Ring): Ring {
  let left: Ring = { ...ring, entries: ring.entries.slice(1) };
  for (let code = 0; code < 32; code++) {
    if ((left.pending & (1 << code)) === 0 || isFull(left)) continue;
    left = withEvent({ ...left, pending: left.pending & ~(1 << code) }, code);
  }
  return left;
}

function isSame(ring: Ring | undefined, other: Ring | undefined): boolean {
  if (ring === undefined || other === undefined) return ring === other;
  return (
    ring.capacity === other.capacity &&
    ring.pending === other.pending &&
    ring.entries.length === other.entries.length &&
    ring.entries.every((entry, index) => entry === other.entries[index])
  );
}

/** A pair with something else at one side. */
function set<T>(pair: Pair<T>, side: number, value: T): Pair<T> {
  return side === 0 ? [value, pair[1]] : [pair[0], value];
}

function put(world: World, side: number, ring: Ring | undefined): World {
  return { ...world, rings: set(world.rings, side, ring) };
}

/** A ring as a failure shows it. */
function show(ring: Ring | undefined): string {
  if (ring === undefined) return "none";
  const { entries, pending, capacity } = ring;
  const some = entries.length > 6 ? [...entries.slice(0, 3), "...", ...entries.slice(-3)] : entries;
  return `${entries.length} of ${capacity} [${some.join(" ")}]${pending === 0 ? "" : ` and events ${pending}`}`;
}

export class Queues {
  readonly #words: TableWords;
  readonly #adapters = new Map<number, Adapter>();
  /** The transport event by which each partition's partners hear of its failure. */
  readonly #codes = new Map<number, number>();
  /** Frames that are under rings, or were since no call was half done. */
  #frames: ReadonlySet<number> = new Set();
  /** The count of signals of each owner of an empty ring when no call was half done, by the unit address. */
  readonly #sleepers = new Map<number, number>();
  #sent = 0;

  constructor(words: TableWords) {
    this.#words = words;
  }

  /** The words of a message that was never sent before. */
  message(): number[] {
    const serial = ++this.#sent;
    return [QUEUE_VALID | (serial << 8), serial * 3, ~serial >>> 0, serial * 5];
  }

  #endWord(slot: number, offset: number): number {
    return this.#words.word(this.#words.word(HEADER_ENDS_AT) + slot * END_BYTES + offset);
  }

  /** The slots of all ends in use that have a queue, whoever runs. */
  #slots(): number[] {
    const slots = Array.from({ length: this.#words.word(HEADER_END_FRESH) }, (_, slot) => slot);
    return slots.filter((slot) => this.#isUsed(slot) && this.#endWord(slot, END_QUEUE_PAGES) !== 0);
  }

  #isUsed(slot: number): boolean {
    return [END_OPEN, END_CLOSED].includes(this.#endWord(slot, END_STATE));
  }

  /** The frames of a ring, in its order. */
  #framesOf(slot: number): number[] {
    const lpid = this.#endWord(slot, END_OWNER);
    const first = this.#endWord(slot, END_QUEUE_PAGE);
    const pages = Array.from({ length: this.#endWord(slot, END_QUEUE_PAGES) }, (_, index) => first + index);
    return pages.map((page) => this.#words.entry({ lpid, page }) & ENTRY_FRAME);
  }

  /** Takes note of the frames under rings: where a call that closes one was stopped, it may come to be one again. */
  look(isQuiet: boolean): void {
    const frames = this.#slots().flatMap((slot) => this.#framesOf(slot));
    this.#frames = new Set(isQuiet ? frames : [...frames, ...this.#frames]);
  }

  /** Whether a frame is, or may come to be again when a call is mended, under a ring. */
  isUnderRing(frame: number): boolean {
    return this.#frames.has(frame) || this.#slots().some((slot) => this.#framesOf(slot).includes(frame));
  }

  /** All queues of partitions that run. */
  get registered(): Registered[] {
    const named = (slot: number): { lpid: number; unit: number } => ({
      lpid: this.#endWord(slot, END_OWNER),
      unit: this.#endWord(slot, END_UNIT),
    });
    return this.#slots()
      .filter((slot) => this.#words.isRunning(named(slot).lpid))
      .map((slot) => {
        const isOpen = this.#endWord(slot, END_STATE) === END_OPEN;
        return { ...named(slot), partner: isOpen ? named(this.#endWord(slot, END_PARTNER)) : undefined };
      });
  }

  // ---------------------------------------------------------------- calls

  /** The adapter, and which side of it a call is made by; undefined if it has ended, or never was. */
  #find([lpid, unit]: readonly number[]): { adapter: Adapter; side: number } | undefined {
    if (lpid === undefined || unit === undefined) return undefined;
    const known = this.#adapters.get(unit) ?? this.#learn(lpid, unit);
    if (known === undefined) return undefined;
    return { adapter: known, side: known.sides[0].unit === unit ? 0 : 1 };
  }

  #learn(lpid: number, unit: number): Adapter | undefined {
    const slots = Array.from({ length: this.#words.word(HEADER_END_FRESH) }, (_, slot) => slot);
    const slot = slots.find(
      (each) => this.#endWord(each, END_UNIT) === unit && this.#endWord(each, END_STATE) === END_OPEN,
    );
    if (slot === undefined || this.#endWord(slot, END_OWNER) !== lpid) return undefined;
    const adapter: Adapter = {
      sides: [this.#sideAt(slot), this.#sideAt(this.#endWord(slot, END_PARTNER))],
      worlds: [{ rings: [undefined, undefined], told: [false, false] }],
    };
    for (const side of adapter.sides) this.#adapters.set(side.unit, adapter);
    return adapter;
  }

  #sideAt(slot: number): Side {
    const lpid = this.#endWord(slot, END_OWNER);
    return {
      slot,
      unit: this.#endWord(slot, END_UNIT),
      lpid,
      incarnation: this.#words.incarnationOf(lpid),
    };
  }

  /** What a call may have done in a world, undefined if it can have done nothing there. */
  #after(world: World, side: number, { name, args }: Call, isOpen: boolean): World | undefined {
    const own = world.rings[side];
    const other = world.rings[1 - side];
    if (name === "sendEntry")
      return other === undefined || isFull(other)
        ? undefined
        : put(world, 1 - side, withEntry(other, bytesOf(args.slice(2))));
    if (name === "receiveEntry")
      return own === undefined || own.entries.length === 0 ? undefined : put(world, side, withoutFirst(own));
    if (name === "registerQueue") {
      const capacity = (args[3] as number) / QUEUE_ENTRY_BYTES;
      return own === undefined ? put(world, side, { capacity, entries: [], pending: 0 }) : undefined;
    }
    if (own === undefined) return undefined;
    const closed = put(world, side, undefined);
    if (other === undefined || !isOpen) return closed;
    return put(closed, 1 - side, withEvent(other, TRANSPORT_DEREGISTERED));
  }

  /** A call was stopped: it has happened, or it has not. @throws if a message lies there whose second half does not (CQ6). */
  stopped(call: Call): void {
    this.#noteFailure(call);
    const found = this.#begin(call);
    if (found === undefined) return;
    const { adapter, side } = found;
    const isOpen = this.#isOpen(adapter, side);
    adapter.worlds = adapter.worlds.flatMap((world) => {
      const after = this.#after(world, side, call, isOpen);
      return after === undefined ? [world] : [world, after];
    });
    if (call.name === "sendEntry") this.#expectWhole(adapter.sides[1 - side] as Side, call.args.slice(2));
  }

  /** A call was answered. @throws if that cannot be. */
  answered(call: Call, status: number, taken: string): void {
    this.#noteFailure(call);
    const found = this.#begin(call);
    if (found === undefined) return;
    const { adapter, side } = found;
    const before = adapter.worlds;
    adapter.worlds = before.flatMap(
      (world) => this.#answeredIn(world, adapter, side, call, status, taken) ?? [],
    );
    if (adapter.worlds.length > 0) return;
    const what = status === H_SUCCESS && call.name === "receiveEntry" ? `${status}, ${taken}` : `${status}`;
    throw new Error(`${call.name} answers ${what}, and the queues are ${this.#show(before)}`);
  }

  #noteFailure({ name, args: [lpid = 0, orderly] }: Call): void {
    if (name === "failPartition")
      this.#codes.set(lpid, orderly === 1 ? TRANSPORT_DEREGISTERED : TRANSPORT_FAILED);
  }

  #begin({ name, args }: Call): { adapter: Adapter; side: number } | undefined {
    if (!["sendEntry", "receiveEntry", "registerQueue", "freeQueue"].includes(name)) return undefined;
    const found = this.#find(args);
    if (found !== undefined) this.#tell(found.adapter);
    return found;
  }

  /** The world after an answer, undefined if it cannot be given there. */
  #answeredIn(
    world: World,
    adapter: Adapter,
    side: number,
    call: Call,
    status: number,
    taken: string,
  ): World | undefined {
    const own = world.rings[side];
    const other = this.#hasFailed(adapter.sides[1 - side] as Side) ? undefined : world.rings[1 - side];
    const isOpen = this.#isOpen(adapter, side);
    const after = this.#after(world, side, call, isOpen);
    switch (call.name) {
      case "sendEntry":
        if (status === H_DROPPED) return other !== undefined && isFull(other) ? world : undefined;
        if (status === H_CLOSED) return other === undefined || !isOpen ? world : undefined;
        break;
      case "receiveEntry":
        if (status === H_SUCCESS && own?.entries[0] !== taken) return undefined;
        if (status === H_NOT_FOUND) return own !== undefined && own.entries.length === 0 ? world : undefined;
        if (status === H_CLOSED) return own === undefined ? world : undefined;
        break;
      case "registerQueue":
        if (status === H_CLOSED) return other === undefined ? after : undefined;
        if (status === H_SUCCESS) return other !== undefined ? after : undefined;
        break;
    }
    return status === H_SUCCESS ? after : world;
  }

  /** What was stored of a message is its second half first. */
  #expectWhole({ slot, lpid, unit }: Side, message: readonly number[]): void {
    if (!this.#isUsed(slot) || this.#endWord(slot, END_UNIT) !== unit) return;
    const ring = this.#bytesOf(slot);
    for (let at = 0; at < ring.length; at += QUEUE_ENTRY_BYTES) {
      const entry = ring.toString("hex", at, at + QUEUE_ENTRY_BYTES);
      if (ring.readUInt32LE(at) === message[0] && entry !== bytesOf(message))
        throw new Error(`a message in the queue of partition ${lpid} is valid before it is whole: ${entry}`);
    }
  }

  // ---------------------------------------------------------------- failures

  #hasFailed({ lpid, incarnation }: Side): boolean {
    return !this.#words.isRunning(lpid) || this.#words.incarnationOf(lpid) !== incarnation;
  }

  #isOpen({ sides }: Adapter, side: number): boolean {
    const { slot, unit } = sides[side] as Side;
    return this.#endWord(slot, END_UNIT) === unit && this.#endWord(slot, END_STATE) === END_OPEN;
  }

  /** A partner that has failed is told of in slices: it may have been since it was last looked at. */
  #tell(adapter: Adapter): void {
    for (const [side, failed] of adapter.sides.entries()) {
      if (!this.#hasFailed(failed)) continue;
      const code = this.#codes.get(failed.lpid) ?? TRANSPORT_FAILED;
      adapter.worlds = adapter.worlds.flatMap((world) => {
        if (world.told[side] === true) return [world];
        const other = world.rings[1 - side];
        const told = { ...world, told: set(world.told, side, true) };
        return [world, other === undefined ? told : put(told, 1 - side, withEvent(other, code))];
      });
    }
  }

  /** Whether all partners of a side that has failed have heard, while no call is half done. */
  #haveHeard({ lpid, incarnation }: Side): boolean {
    const isOver = this.#words.incarnationOf(lpid) !== incarnation;
    return isOver || this.#words.word(this.#words.rig.partitionAt(lpid) + PARTITION_TELLING) === 0;
  }

  // ---------------------------------------------------------------- what is there

  /** What lies in a ring, from its first place on. */
  #bytesOf(slot: number): Buffer {
    const { bytes } = this.#words.rig;
    const pages = this.#framesOf(slot).map((frame) => {
      const at = this.#words.frameAt(frame);
      return bytes.subarray(at, at + PAGE_BYTES);
    });
    return Buffer.concat(pages);
  }

  /** A side's ring as it is. @throws if it is none. */
  #read({ slot, lpid, unit }: Side): Ring | undefined {
    const isThere = this.#isUsed(slot) && this.#endWord(slot, END_UNIT) === unit;
    if (!isThere || this.#endWord(slot, END_QUEUE_PAGES) === 0) return undefined;
    const all = this.#bytesOf(slot);
    const capacity = all.length / QUEUE_ENTRY_BYTES;
    const head = this.#endWord(slot, END_QUEUE_HEAD);
    const first = head * QUEUE_ENTRY_BYTES;
    const ring = Buffer.concat([all.subarray(first), all.subarray(0, first)]);
    const entries: string[] = [];
    for (let at = 0; at < ring.length && ring[at] !== QUEUE_FREE; at += QUEUE_ENTRY_BYTES)
      entries.push(ring.toString("hex", at, at + QUEUE_ENTRY_BYTES));
    const free = ring.subarray(entries.length * QUEUE_ENTRY_BYTES);
    if (!free.equals(ZEROES.subarray(0, free.length)))
      throw new Error(`the queue of partition ${lpid} has something behind a place that is free`);
    if (this.#endWord(slot, END_QUEUE_TAIL) !== (head + entries.length) % capacity)
      throw new Error(`the queue of partition ${lpid} does not end where its entries do`);
    return { capacity, entries, pending: this.#endWord(slot, END_PENDING) };
  }

  #show(worlds: readonly World[]): string {
    return worlds.map(({ rings }) => rings.map(show).join(" and ")).join(", or ");
  }

  /** What is wrong with a queue, "" if nothing is; while no call is half done. */
  wrong(): string {
    for (const adapter of new Set(this.#adapters.values())) {
      const wrong = this.#wrongAdapter(adapter);
      if (wrong !== "") return wrong;
    }
    return "";
  }

  #wrongAdapter(adapter: Adapter): string {
    const { sides } = adapter;
    this.#tell(adapter);
    const failed = sides.map((side) => this.#hasFailed(side));
    if (!failed.includes(false)) {
      for (const { unit } of sides) this.#adapters.delete(unit);
      return "";
    }
    const rings = sides.map((side, index) => (failed[index] === true ? undefined : this.#read(side)));
    const before = adapter.worlds;
    const left = new Map<string, World>();
    for (const each of before) {
      const world = this.#settled(each, sides, failed);
      if (world?.rings.every((ring, index) => isSame(ring, rings[index])) === true)
        left.set(world.told.join(), world);
    }
    adapter.worlds = [...left.values()];
    if (left.size === 0)
      return `queues of partitions ${sides.map(({ lpid }) => lpid).join()} are ${rings.map(show).join(" and ")}, not ${this.#show(before)}`;
    return this.#wrongSleepers(sides, rings);
  }

  /** A world without the rings of who has failed; undefined if somebody has not heard there of what all have. */
  #settled(world: World, sides: Pair<Side>, failed: readonly boolean[]): World | undefined {
    let settled = world;
    for (const [index, side] of sides.entries()) {
      if (failed[index] !== true) settled = { ...settled, told: set(settled.told, index, false) };
      else if (settled.told[index] !== true && this.#haveHeard(side)) return undefined;
      else settled = put(settled, index, undefined);
    }
    return settled;
  }

  /** Who sleeps until something comes to an empty ring has been called (CQ7). */
  #wrongSleepers(sides: Pair<Side>, rings: readonly (Ring | undefined)[]): string {
    for (const [index, { lpid, unit }] of sides.entries()) {
      const ring = rings[index];
      const count = this.#words.word(this.#words.rig.partitionAt(lpid) + PARTITION_SIGNAL);
      const slept = this.#sleepers.get(unit);
      this.#sleepers.delete(unit);
      if (ring === undefined) continue;
      if (ring.entries.length === 0) this.#sleepers.set(unit, count);
      else if (slept === count) return `an entry has come to partition ${lpid}, which was not signalled`;
    }
    return "";
  }
}
