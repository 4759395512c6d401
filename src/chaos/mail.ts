/**
 * One adapter as a worker of the chaos sees it: what it sends is numbered, what it receives must come in order, who is
 * asked must answer, and the wait for messages must end when the partner does.
 */
import type { VirtualAdapter } from "../adapter.js";
import type { Cookie } from "../mapping.js";
import type { CrqEntry } from "../messages.js";
import type { Partition } from "../partition.js";
import { Violation } from "./records.js";

const HEADER_MESSAGE = 0x80;
const HEADER_EVENT = 0xff;

/** The formats of messages. */
export const PING = 1;
export const PONG = 2;
/** A ring that the sender writes and the receiver reads. */
export const RING_OF_SENDER = 3;
/** A ring that the receiver writes and the sender reads. */
export const RING_OF_RECEIVER = 4;
/** A ring of the sender, of which the receiver gets a copy of each page that it writes to. */
export const COPY_OF_RING = 5;
/** Pages that the receiver has alone until it returns them. */
export const LEND = 6;
/** A whole LMB that becomes the receiver's. */
export const DONATION = 7;
/** A DMA window pane. */
export const PANE = 8;
/** An interrupt source, a doorbell. */
export const SOURCE = 9;
export const DOORBELL = 10;
/** A device window. */
export const WINDOW = 11;
const KIND_MOST = WINDOW;

/** The other half of the format is the offer's detail. */
const KIND_BITS = 4;
const KIND_MASK = 15;

/** What a message offers. */
export interface Offer {
  readonly kind: number;
  readonly cookie: Cookie;
  /** How many pages, or what else the kind has to say; from 0 to 15. */
  readonly detail: number;
}

/** Milliseconds after which a partner that lives should have answered, and a wait that is over have ended. */
const PATIENCE_MS = 10_000;

export class Mail {
  readonly adapter: VirtualAdapter;
  readonly #partition: Partition;
  #sent = 0;
  #expected = 0;
  #askedAt: number | undefined;
  #owed = 0;
  #goneAt: number | undefined;
  #hasEnded = false;

  constructor(partition: Partition, adapter: VirtualAdapter) {
    this.#partition = partition;
    this.adapter = adapter;
  }

  /** Sends a message. @throws HcallError H_CLOSED, H_DROPPED, H_PARAMETER */
  send(kind: number, cookie: number = 0, detail: number = 0): void {
    const entry = new Uint8Array(16);
    const words = new DataView(entry.buffer);
    entry[0] = HEADER_MESSAGE;
    entry[1] = kind | (detail << KIND_BITS);
    words.setUint32(4, this.#sent, true);
    words.setFloat64(8, cookie, true);
    this.#partition.send(this.adapter, entry);
    this.#sent = (this.#sent + 1) >>> 0;
  }

  /** Asks the partner for a sign of life, unless it owes one already. */
  ask(now: number): void {
    if (this.#askedAt !== undefined) return;
    this.send(PING);
    this.#askedAt = now;
  }

  get owes(): boolean {
    return this.#owed > 0;
  }

  /** Pays what is owed. */
  answer(): void {
    for (; this.#owed > 0; this.#owed--) this.send(PONG);
  }

  /** Takes messages until the partner is gone. @param receive what it offers. */
  async listen(receive: (offer: Offer) => void, isTrusted: () => boolean): Promise<void> {
    try {
      for await (const entry of this.#partition.messages(this.adapter)) {
        if (entry.header === HEADER_EVENT) continue;
        const offer = this.#open(entry, isTrusted);
        if (offer !== undefined) receive(offer);
      }
    } finally {
      this.#hasEnded = true;
    }
  }

  #open({ header, format, payload }: CrqEntry, isTrusted: () => boolean): Offer | undefined {
    const words = new DataView(payload.buffer, payload.byteOffset);
    const number = words.getUint32(2, true);
    const who = `message from "${this.adapter.partner.name}"`;
    if (header !== HEADER_MESSAGE) throw new Violation(`${who}: header ${header}`);
    if (number !== this.#expected && isTrusted())
      throw new Violation(`${who}: number ${number} came where ${this.#expected} was due`);
    this.#expected = (number + 1) >>> 0;
    const kind = format & KIND_MASK;
    if (kind === PING) this.#owed++;
    else if (kind === PONG) this.#askedAt = undefined;
    else if (kind >= RING_OF_SENDER && kind <= KIND_MOST)
      return { kind, cookie: words.getFloat64(6, true) as Cookie, detail: format >> KIND_BITS };
    else throw new Violation(`${who}: format ${format}`);
    return undefined;
  }

  /**
   * Looks whether everything that must have come has come.
   * @param isOpen whether the adapter still stands.
   * @returns milliseconds for which something has been due, 0 if nothing is.
   */
  check(isOpen: boolean, now: number): number {
    if (!isOpen) this.#goneAt ??= now;
    const { name } = this.adapter.partner;
    if (isOpen && this.#goneAt !== undefined)
      throw new Violation(
        `the adapter with partition "${name}" was missing from adapters, and is there again`,
      );
    if (this.isOver) return 0;
    const due = now - (this.#goneAt ?? this.#askedAt ?? now);
    if (due <= PATIENCE_MS) return due;
    throw new Violation(
      this.#goneAt === undefined
        ? `partition "${name}" lives but does not answer`
        : `messages() did not end after partition "${name}" had failed`,
    );
  }

  /** Whether the wait for messages has ended: nothing more is to come. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether it may be forgotten. */
  get isOver(): boolean {
    return this.#goneAt !== undefined && this.#hasEnded;
  }
}
