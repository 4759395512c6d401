/**
 * MMIO windows. Each actor owns one and serves it, now and then; it grants pages of it, and whoever has some reads what can only stand
 * there, and counts in a register of its own. Each store must reach the model once, or not at all if that is what was answered, and
 * none after a rescind; whatever becomes of who serves, the asker must be answered.
 */

import { PAGE_BYTES } from "../layout.js";
import type { Cookie, Mapping } from "../mapping.js";
import type { AccessSize, DeviceModel } from "../mmio.js";
import type { Partition } from "../partition.js";
import type { Dealings, Desk, Granted } from "./desk.js";
import { WINDOW_PAGES } from "./equipment.js";
import { type Mail, type Offer, WINDOW } from "./mail.js";
import { Violation } from "./records.js";

/** A part of somebody's window. */
interface Held {
  readonly mapping: Mapping;
  /** Where it begins in the window. */
  readonly offset: number;
  readonly server: Partition;
  /** From which it was accepted. */
  readonly incarnation: number;
}

interface GrantedWindow extends Granted {
  readonly lpid: number;
}

const HELD_MOST = 4;
const GRANTED_MOST = 6;
/** In each page: what is only read, and a register for each partition that counts in it. */
const REGISTERS_AT = 2048;
/** Reading it makes an access of the model's own. */
const NESTED_AT = 4088;
/** Reading it makes the model fail. */
const BROKEN_AT = 4092;
/** How long an access waits for the model: longer than any thread takes to die. */
const ANSWER_MS = 2000;
/** An access that takes longer than this hangs. */
const HANG_MS = 10_000;
const SIZES: readonly AccessSize[] = [1, 2, 4];
/** The first page of an offer stands above the number of pages in its detail. */
const FIRST_SHIFT = 2;

/** What can be read at an offset of a partition's window. */
function valueAt(lpid: number, offset: number, size: AccessSize): number {
  return Math.imul(lpid * 65536 + offset + 1, 0x9e3779b1) >>> (32 - 8 * size);
}

export class Windows implements Dealings {
  readonly offers: readonly number[] = [WINDOW];
  readonly #desk: Desk;
  readonly #partition: Partition;
  readonly #held: Held[] = [];
  readonly #granted: GrantedWindow[] = [];
  /** What was last stored in each register, by its offset. */
  readonly #registers: Map<number, number> = new Map();
  #service: Disposable | undefined;
  /** Who asked before it served is answered before serve() returns. */
  #isBeginning = false;
  /** The next number to store: no register gets one twice. */
  #next = 1;

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#partition = desk.partition;
    this.#partition.mmio.timeoutMs = ANSWER_MS;
  }

  step(): void {
    const { random } = this.#desk;
    const choice = random.below(24);
    const held = random.pick(this.#held);
    if (choice < 2 || this.#service === undefined) this.#serve();
    else if (choice < 9) this.#grant();
    else if (choice < 11) this.#loadOwn();
    else if (choice < 12) this.#takeBack();
    else if (held === undefined) return;
    else if (choice < 13) this.#return(held);
    else this.#use(held);
  }

  // -------------------------------------------------------------- the server

  /** Begins to serve, or stops rarely. */
  #serve(): void {
    if (this.#service === undefined) {
      this.#isBeginning = true;
      // What a call that stopped serving left to be done later may not have been done yet.
      this.#desk.try("serve", ["H_RESOURCE"], () => {
        this.#service = this.#partition.mmio.serve(0, this.#model());
      });
      this.#isBeginning = false;
    } else if (this.#desk.random.once(8)) {
      const service = this.#service;
      this.#service = undefined;
      service[Symbol.dispose]();
    }
  }

  #model(): DeviceModel {
    const blame = (what: string): void => {
      // What a model throws is no more than its answer.
      if (!this.#desk.isDying) this.#desk.fail(new Violation(`the model of a window: ${what}`));
    };
    return {
      read: (offset, size) => {
        if (this.#service === undefined && !this.#isBeginning)
          blame("it is read after it has stopped to serve");
        const place = offset % PAGE_BYTES;
        if (place === BROKEN_AT) throw new Error("chaos: broken");
        if (place === NESTED_AT) this.#nest();
        return place >= REGISTERS_AT && place < NESTED_AT
          ? (this.#registers.get(offset) ?? 0)
          : valueAt(this.#partition.lpid, offset, size);
      },
      write: (offset, size, value) => {
        const lpid = ((offset % PAGE_BYTES) - REGISTERS_AT) / 4;
        const before = this.#registers.get(offset) ?? 0;
        if (size !== 4) blame(`a store of ${size} bytes at ${offset}`);
        if (!this.#granted.some((granted) => granted.lpid === lpid))
          blame(`a store of partition ${lpid}, which has no grant of it any more`);
        // An incarnation begins anew.
        if (value >>> 16 === before >>> 16 && value <= before)
          blame(`partition ${lpid} stores ${value} after ${before}: it is stored twice`);
        this.#registers.set(offset, value);
      },
    };
  }

  /** An access of the model's own, while somebody waits for it. */
  #nest(): void {
    try {
      const held = this.#desk.random.pick(this.#held);
      if (held !== undefined) this.#load(held);
    } catch (error) {
      this.#desk.fail(error);
    }
  }

  #loadOwn(): void {
    const offset = this.#desk.random.below(WINDOW_PAGES) * PAGE_BYTES + this.#desk.random.below(512) * 4;
    const isServed = this.#service !== undefined;
    this.#desk.try("mmio", isServed ? [] : ["H_HARDWARE"], () => {
      const found = this.#partition.mmio.load32(offset);
      if (found !== valueAt(this.#partition.lpid, offset, 4) || !isServed)
        this.#desk.accuse(`the own window has ${found} at ${offset}`);
    });
  }

  #grant(): void {
    const { random } = this.#desk;
    const mail = this.#desk.mail();
    if (mail === undefined || this.#granted.length >= GRANTED_MOST) return;
    const first = random.below(WINDOW_PAGES);
    const pages = 1 + random.below(WINDOW_PAGES - first);
    const cookie = this.#desk.grant("grant", mail, {
      type: "mmio",
      address: first * PAGE_BYTES,
      length: pages * PAGE_BYTES,
      write: !random.once(4),
      regrant: false,
    });
    if (cookie === undefined) return;
    this.#granted.push({ cookie, lpid: mail.adapter.partner.lpid, isForced: false });
    this.#desk.announce(mail, WINDOW, cookie, pages | (first << FIRST_SHIFT));
  }

  #takeBack(): void {
    const granted = this.#desk.random.pick(this.#granted);
    if (granted === undefined || granted.isForced) return;
    this.#desk.takeBack(granted, () => {
      this.#granted.splice(this.#granted.indexOf(granted), 1);
    });
  }

  // -------------------------------------------------------------- the client

  receive({ cookie, detail }: Offer, { adapter: { partner: server } }: Mail): void {
    if (this.#held.length >= HELD_MOST) return;
    // Before the accept: of who has failed since nothing is accepted.
    const { incarnation } = server;
    const mapping = this.#desk.accept(cookie);
    if (mapping === undefined) return;
    const pages = detail & ((1 << FIRST_SHIFT) - 1);
    if (mapping.length !== pages * PAGE_BYTES)
      this.#desk.accuse(`a window of "${server.name}" of ${pages} pages is ${mapping.length} bytes`);
    const held = { mapping, offset: (detail >> FIRST_SHIFT) * PAGE_BYTES, server, incarnation };
    this.#held.push(held);
    // Most are taken back soon.
    for (let left = this.#desk.random.below(4); left > 0 && this.#held.includes(held); left--)
      this.#use(held);
  }

  lose(cookie: Cookie): void {
    const held = this.#held.find(({ mapping }) => mapping.cookie === cookie);
    if (held !== undefined) this.#return(held);
  }

  #return(held: Held): void {
    if (!this.#desk.try("return", ["H_RESCINDED"], () => held.mapping.return())) return;
    this.#held.splice(this.#held.indexOf(held), 1);
  }

  #use(held: Held): void {
    const choice = this.#desk.random.below(8);
    if (choice < 3) this.#load(held);
    else if (choice < 6) this.#store(held);
    else if (choice < 7) this.#fail(held);
    else this.#nestedLoad(held);
  }

  /**
   * An access to somebody else's window. It must be answered in time, and at the end of who serves it.
   * @returns why it was refused, undefined if it was done.
   */
  #access(held: Held, refusals: readonly string[], access: (address: number) => void): string | undefined {
    const { server, incarnation, mapping } = held;
    const began = performance.now();
    const isThere = server.incarnation === incarnation;
    const why = this.#desk.attempt("mmio", ["H_PARAMETER", ...refusals], () => access(mapping.address));
    // A model that ran meanwhile may have found it rescinded, and returned it.
    if (why === "H_PARAMETER" && !refusals.includes(why) && this.#held.includes(held))
      this.#desk.accuse(`a window of "${server.name}" is not there`);
    const took = performance.now() - began;
    if (took > ANSWER_MS + HANG_MS)
      this.#desk.accuse(`an access to a window of "${server.name}" took ${took} ms`);
    // It would have been woken long before.
    const hasWaited = took >= ANSWER_MS && why !== undefined;
    if (hasWaited && isThere && server.incarnation !== incarnation)
      this.#desk.accuse(`"${server.name}" has died and been started again while an access waited for it`);
    if (why === "H_RESCINDED" && this.#held.includes(held)) this.#return(held);
    return why;
  }

  #page({ mapping }: Held): number {
    return this.#desk.random.below(mapping.length / PAGE_BYTES) * PAGE_BYTES;
  }

  /** What can only be there. */
  #load(held: Held): void {
    const { random } = this.#desk;
    const { mmio } = this.#partition;
    const size = random.pick(SIZES) as AccessSize;
    const place = this.#page(held) + random.below(REGISTERS_AT / size) * size;
    this.#access(held, REFUSALS, (address) => {
      const at = address + place;
      const found = size === 1 ? mmio.load8(at) : size === 2 ? mmio.load16(at) : mmio.load32(at);
      const expected = valueAt(held.server.lpid, held.offset + place, size);
      if (found !== expected)
        this.#desk.accuse(
          `the window of "${held.server.name}" has ${found} at ${place} instead of ${expected}`,
        );
    });
  }

  #nestedLoad(held: Held): void {
    const place = this.#page(held) + NESTED_AT;
    this.#access(held, REFUSALS, (address) => {
      const found = this.#partition.mmio.load32(address + place);
      const expected = valueAt(held.server.lpid, held.offset + place, 4);
      if (found !== expected)
        this.#desk.accuse(`a nested access to a window has ${found} instead of ${expected}`);
    });
  }

  /** Stores the next number in the own register, and reads it again. */
  #store(held: Held): void {
    const { mmio, lpid, incarnation } = this.#partition;
    const place = this.#page(held) + REGISTERS_AT + lpid * 4;
    const value = ((incarnation << 16) | (this.#next & 0xffff)) >>> 0;
    if (!held.mapping.writable) {
      const why = this.#access(held, ["H_PERMISSION", "H_RESCINDED"], (at) =>
        mmio.store32(at + place, value),
      );
      if (why === undefined) this.#desk.accuse("a store to a window that may only be read was done");
      return;
    }
    this.#next++;
    const why = this.#access(held, REFUSALS, (address) => mmio.store32(address + place, value));
    // Nothing was done: it is stored the next time, and would be found to be stored twice.
    if (why === "H_LongBusyOrder10msec") this.#next--;
    if (why !== undefined) return;
    this.#access(held, REFUSALS, (address) => {
      const found = mmio.load32(address + place);
      if (found !== value) this.#desk.accuse(`the register has ${found} after ${value} was stored`);
    });
  }

  /** Where the model fails the asker hears of that; where the address is wrong the model is not asked. */
  #fail(held: Held): void {
    const { mmio } = this.#partition;
    const isBroken = this.#desk.random.once(2);
    const refusals = isBroken ? REFUSALS : ["H_PARAMETER"];
    const why = this.#access(held, refusals, (address) => {
      if (isBroken) mmio.load8(address + BROKEN_AT);
      else mmio.load32(address + 2);
    });
    if (why === undefined) this.#desk.accuse("an access that must fail was done");
  }
}

/**
 * It was rescinded; nobody serves it, or who did has ended, failed or not answered; nobody came to it; too many accesses wait inside each
 * other.
 */
const REFUSALS: readonly string[] = ["H_RESCINDED", "H_HARDWARE", "H_LongBusyOrder10msec", "H_RESOURCE"];
