/**
 * Ways to hand a range of memory to another worker and to get it back. Each has a caller, which hands a stamped range over,
 * and a server, which answers until it is told to stop.
 *
 *     grant      granted, accepted, returned and rescinded each time; cookies go through a ring in a granted page
 *     standing   granted once; only the ring says whose turn it is
 *     messages   as grant, but cookies go as messages (CRQ), for which both wait in their event loops
 *     shared     a SharedArrayBuffer and a ring in it
 *     clone      postMessage(): copied there and back
 *     transfer   postMessage(): given away, there and back
 */
import type { MessagePort } from "node:worker_threads";
import type { Cookie, CrqEntry, Partition, VirtualAdapter } from "../src/index.js";
import type { Ring } from "./ring.js";
import { answerStamp, BufferWords, PartitionWords, readStamp, stamp, type Words } from "./stamps.js";

export interface Caller {
  /** Hands the stamp over. @returns the stamp that came back. */
  hand(value: number): number | Promise<number>;
  /** Tells the server that this was the last one. */
  stop(): void;
}

/** Serves until the caller stops. */
export type Server = () => void | Promise<void>;

/** The two directions of what tells the other side. */
export interface Rings {
  readonly out: Ring;
  readonly back: Ring;
}

const WORD = 2 ** 32;

function pushCookie(ring: Ring, cookie: number): void {
  ring.push(cookie | 0, Math.floor(cookie / WORD));
}

function popCookie(ring: Ring): Cookie {
  const low = ring.pop() >>> 0;
  return (ring.second * WORD + low) as Cookie;
}

// ---------------------------------------------------------------- grant

/** @param address of the caller's own memory. */
export function grantCaller(
  partition: Partition,
  to: VirtualAdapter,
  address: number,
  bytes: number,
  rings: Rings,
): Caller {
  const words = new PartitionWords(partition, address);
  return {
    hand: (value) => {
      stamp(words, bytes, value);
      const cookie = partition.grant({ to, address, length: bytes });
      pushCookie(rings.out, cookie);
      rings.back.pop();
      partition.rescind(cookie);
      return readStamp(words, bytes);
    },
    stop: () => rings.out.push(0, 0),
  };
}

/** Accepts, answers and returns. */
function serveGrant(partition: Partition, cookie: Cookie): void {
  const mapping = partition.accept(cookie);
  answerStamp(new PartitionWords(partition, mapping.address), mapping.length);
  mapping.return();
}

export function grantServer(partition: Partition, rings: Rings): Server {
  return () => {
    for (let cookie = popCookie(rings.out); cookie !== 0; cookie = popCookie(rings.out)) {
      serveGrant(partition, cookie);
      rings.back.push(0, 0);
    }
  };
}

// ---------------------------------------------------------------- standing, shared

export function sharedCaller(words: Words, bytes: number, rings: Rings): Caller {
  return {
    hand: (value) => {
      stamp(words, bytes, value);
      rings.out.push(1, 0);
      rings.back.pop();
      return readStamp(words, bytes);
    },
    stop: () => rings.out.push(0, 0),
  };
}

export function sharedServer(words: Words, bytes: number, rings: Rings): Server {
  return () => {
    while (rings.out.pop() !== 0) {
      answerStamp(words, bytes);
      rings.back.push(0, 0);
    }
  };
}

// ---------------------------------------------------------------- messages

const MESSAGE = 0x80;
const COOKIE_AT = 8;

function sendCookie(partition: Partition, to: VirtualAdapter, cookie: number): void {
  const entry = new Uint8Array(16);
  entry[0] = MESSAGE;
  new DataView(entry.buffer).setFloat64(COOKIE_AT, cookie);
  partition.send(to, entry);
}

async function nextCookie(messages: AsyncIterator<CrqEntry>): Promise<Cookie> {
  const { value, done } = await messages.next();
  if (done === true) throw new Error("there are no more messages");
  const { payload } = value as CrqEntry;
  return new DataView(payload.buffer, payload.byteOffset).getFloat64(COOKIE_AT - 2) as Cookie;
}

export function messageCaller(
  partition: Partition,
  to: VirtualAdapter,
  messages: AsyncIterator<CrqEntry>,
  address: number,
  bytes: number,
): Caller {
  const words = new PartitionWords(partition, address);
  return {
    hand: async (value) => {
      stamp(words, bytes, value);
      const cookie = partition.grant({ to, address, length: bytes });
      sendCookie(partition, to, cookie);
      await nextCookie(messages);
      partition.rescind(cookie);
      return readStamp(words, bytes);
    },
    stop: () => sendCookie(partition, to, 0),
  };
}

export function messageServer(
  partition: Partition,
  to: VirtualAdapter,
  messages: AsyncIterator<CrqEntry>,
): Server {
  return async () => {
    for (let cookie = await nextCookie(messages); cookie !== 0; cookie = await nextCookie(messages)) {
      serveGrant(partition, cookie);
      sendCookie(partition, to, cookie);
    }
  };
}

// ---------------------------------------------------------------- clone, transfer

export function postCaller(port: MessagePort, bytes: number, isTransfer: boolean): Caller {
  let buffer = new ArrayBuffer(bytes);
  let received: (answer: ArrayBuffer) => void = () => {};
  port.removeAllListeners("message");
  port.on("message", (answer: ArrayBuffer) => received(answer));
  return {
    hand: async (value) => {
      stamp(new BufferWords(buffer), bytes, value);
      const answer = new Promise<ArrayBuffer>((resolve) => {
        received = resolve;
      });
      port.postMessage(buffer, isTransfer ? [buffer] : []);
      buffer = await answer;
      return readStamp(new BufferWords(buffer), bytes);
    },
    stop: () => port.postMessage(null),
  };
}

/**
 * Answers on a port. The order to serve comes by another port, so that a short run may be over before it is heard: the one
 * listener answers all the same, and keeps for that order that the run has ended.
 */
export class PostService {
  readonly #port: MessagePort;
  #isTransfer = false;
  /** Runs that have ended before anybody was told to serve them. */
  #endedBefore = 0;
  #ended: (() => void) | undefined;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (buffer: ArrayBuffer | null) => {
      if (buffer === null) this.#end();
      else this.#answer(buffer);
    });
  }

  #answer(buffer: ArrayBuffer): void {
    answerStamp(new BufferWords(buffer), buffer.byteLength);
    this.#port.postMessage(buffer, this.#isTransfer ? [buffer] : []);
  }

  #end(): void {
    if (this.#ended === undefined) this.#endedBefore++;
    this.#ended?.();
    this.#ended = undefined;
  }

  server(isTransfer: boolean): Server {
    return () => {
      this.#isTransfer = isTransfer;
      if (this.#endedBefore > 0) return void this.#endedBefore--;
      return new Promise((resolve) => {
        this.#ended = resolve;
      });
    };
  }
}
