/**
 * A worker of the chaos: a seeded mix of all operations on whatever it has, with a check of everything that others could
 * have broken. What it cannot explain by the death of a partner is a violation.
 */
import type { VirtualAdapter } from "../adapter.js";
import { HcallError, LparError } from "../errors.js";
import { PAGE_BYTES } from "../layout.js";
import type { Cookie } from "../mapping.js";
import type { Partition } from "../partition.js";
import type { Board } from "./board.js";
import { Bus } from "./bus.js";
import { areAll, differenceAt } from "./bytes.js";
import { Copies } from "./copies.js";
import { type Dealings, Desk } from "./desk.js";
import { ACTOR_PAGES } from "./equipment.js";
import { Estates } from "./estates.js";
import { Lending } from "./lending.js";
import { Lines } from "./lines.js";
import { Mail, type Offer } from "./mail.js";
import { Notices } from "./notices.js";
import type { Random } from "./random.js";
import { Violation } from "./records.js";
import { Rings } from "./rings.js";
import { Windows } from "./windows.js";

/** A thread that has waited so long for something lives until the wait has ended. Most threads live for longer. */
const OVERDUE_MS = 50;
/** How many tickets the kinds of operations share. */
const MIX = 138;
const HOSTILE = [Number.NaN, -1, 0.5, 2 ** 32, 2 ** 53, -(2 ** 31), Number.POSITIVE_INFINITY, 4097];

export class Actor {
  readonly #partition: Partition;
  readonly #board: Board;
  readonly #random: Random;
  readonly #desk: Desk;
  readonly #notices: Notices = new Notices();
  readonly #rings: Rings;
  readonly #copies: Copies;
  readonly #lending: Lending;
  readonly #bus: Bus;
  readonly #estates: Estates;
  readonly #windows: Windows;
  readonly #lines: Lines;
  readonly #dealings: readonly Dealings[];
  /** Who accepts an offer, by its kind. */
  readonly #dealers: ReadonlyMap<number, Dealings>;
  /** A page that nobody else has: words that it counts in, and a pattern. */
  readonly #own: number;
  readonly #pattern: Uint8Array;
  #counter = 0;

  /** @param fail is told of what goes wrong beside the steps. */
  constructor(partition: Partition, board: Board, random: Random, fail: (error: unknown) => void) {
    this.#partition = partition;
    this.#board = board;
    this.#random = random;
    this.#desk = new Desk(partition, board, random, fail);
    this.#rings = new Rings(this.#desk);
    this.#copies = new Copies(this.#desk, this.#rings);
    this.#lending = new Lending(this.#desk);
    this.#bus = new Bus(this.#desk, this.#rings);
    this.#lines = new Lines(this.#desk);
    this.#windows = new Windows(this.#desk);
    this.#estates = new Estates(this.#desk);
    this.#dealings = [
      this.#rings,
      this.#copies,
      this.#lending,
      this.#bus,
      this.#lines,
      this.#windows,
      this.#estates,
    ];
    this.#dealers = new Map(this.#dealings.flatMap((one) => one.offers.map((kind) => [kind, one])));
    const pages = partition.usage().pagesOwned;
    // The page at 0 is where partners copy to: they may have done so already.
    for (let page = 1; page < pages; page++) {
      if (!areAll(partition.read(page * PAGE_BYTES, PAGE_BYTES), 0))
        throw new Violation(`page ${page} of a fresh partition is not zero`);
    }
    partition.allocate(PAGE_BYTES);
    this.#own = partition.allocate(PAGE_BYTES);
    this.#pattern = Uint8Array.from({ length: PAGE_BYTES - 16 }, () => random.below(256));
    partition.write(this.#own + 16, this.#pattern);
  }

  /** From here on some of what comes may be lost in JavaScript: the call that takes it is interrupted. */
  injure(): void {
    this.#desk.injure();
  }

  // -------------------------------------------------------------- waiting

  /** Waits for what it is told, as long as it lives. */
  listen(): void {
    this.#listen().catch(this.#desk.fail);
  }

  async #listen(): Promise<void> {
    for await (const event of this.#partition.events()) {
      this.#desk.count("event");
      if (!this.#desk.isInjured) this.#notices.take(event);
      this.#lines.hear(event);
      if (event.type === "rescinded") for (const one of this.#dealings) one.lose(event.cookie as Cookie);
    }
  }

  /** New adapters get a listener, and all waits are looked at. */
  tend(): void {
    const now = performance.now();
    // First, as nothing that is heard is on its way yet.
    let due = this.#lines.tend(now);
    const { adapters } = this.#partition;
    const open = new Map(adapters.map((adapter) => [adapter.unitAddress, adapter]));
    for (const [unit, adapter] of open) if (!this.#desk.mails.has(unit)) this.#join(unit, adapter);
    for (const [unit, mail] of this.#desk.mails) {
      // The answer, or the end, may have been lost with what an injury interrupted.
      if (!this.#desk.isInjured) due = Math.max(due, mail.check(open.has(unit), now));
      if (mail.isOver) this.#desk.mails.delete(unit);
      else if (mail.owes)
        this.#desk.try("send", ["H_CLOSED", "H_DROPPED", "H_PARAMETER"], () => mail.answer());
    }
    due = Math.max(due, this.#desk.due(now));
    this.#board.isOverdue = due > OVERDUE_MS;
  }

  #join(unit: number, adapter: VirtualAdapter): void {
    const mail = new Mail(this.#partition, adapter);
    this.#desk.mails.set(unit, mail);
    const receive = (offer: Offer): void => {
      this.#desk.count("receive");
      this.#dealers.get(offer.kind)?.receive(offer, mail);
    };
    mail
      .listen(receive, () => !this.#desk.isInjured)
      // The partner may have failed before there was a queue, or all own memory is in use.
      .catch((error) => this.#desk.refused(error, ["H_PARAMETER", "H_NO_MEM", "H_RESCINDED"]))
      .catch(this.#desk.fail);
  }

  // -------------------------------------------------------------- the mix

  /** One operation. */
  step(): void {
    const choice = this.#random.below(MIX);
    if (choice < 5) this.#checkOwn();
    else if (choice < 9) this.#copy();
    else if (choice < 12) this.#batch();
    else if (choice < 16) this.#ask();
    else if (choice < 21) this.#beHostile();
    else if (choice < 100) this.#rings.step();
    else if (choice < 108) this.#copies.step();
    else if (choice < 118) this.#lending.step();
    else if (choice < 128) this.#bus.step();
    else if (choice < 132) this.#windows.step();
    else if (choice < 136) this.#estates.step();
    else this.#migrate();
  }

  /** One operation whose interruption leaves no doubt about what this actor has. */
  scratch(): void {
    const { adapters } = this.#partition;
    const adapter = this.#random.pick(adapters);
    this.#partition.view(this.#own, PAGE_BYTES).release();
    if (adapter === undefined) return;
    try {
      this.#partition.rescind(this.#partition.grant({ to: adapter, address: 0, length: PAGE_BYTES }));
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
    }
  }

  /** The page that nobody else has is as it was left. */
  #checkOwn(): void {
    this.#desk.try("words", [], () => {
      const before = this.#partition.add32(this.#own, 1);
      const word = this.#partition.compareExchange32(this.#own + 4, this.#counter, this.#counter + 1);
      if (before !== this.#counter || word !== this.#counter)
        throw new Violation(`own counters are ${before} and ${word} instead of ${this.#counter}`);
      this.#counter++;
      this.#checkPattern(this.#partition.read(this.#own + 16, this.#pattern.length));
    });
  }

  #checkPattern(found: Uint8Array): void {
    const at = differenceAt(found, this.#pattern);
    if (at >= 0)
      throw new Violation(`byte ${at} of own memory is ${found[at]} instead of ${this.#pattern[at]}`);
  }

  #copy(): void {
    const from = this.#own + 16 + this.#random.below(2000);
    const length = 1 + this.#random.below(256);
    const mail = this.#desk.mail();
    if (mail === undefined) return;
    const refusals = ["H_PARAMETER", "H_RESCINDED"];
    this.#desk.try("copy", refusals, () => {
      this.#partition.copy(from, mail.adapter.partner, this.#random.below(3000), length);
    });
  }

  #batch(): void {
    this.#desk.try("batch", ["H_NO_MEM"], () => {
      const batch = this.#partition.createBatch(1 + this.#random.below(300));
      for (let i = 0; i < batch.addresses.length; i++) batch.addresses[i] = this.#own + i;
      const done = batch.run(batch.addresses.length);
      if (done !== batch.addresses.length && !this.#desk.isDying)
        throw new Violation(`${done} of ${batch.addresses.length} translated`);
      // As others move pages it may be another one than before, but not three times.
      const before = this.#partition.translate(this.#own);
      batch.run(1);
      const after = this.#partition.translate(this.#own);
      const [found] = batch.physical;
      if (before === after && found !== before)
        throw new Violation(`translated to ${found} between two times ${before}`);
      const buffer = this.#partition.createBuffer(this.#pattern.length);
      buffer.read(this.#own + 16);
      this.#checkPattern(buffer.bytes);
      buffer.write(this.#own + 16);
      // What is not given back, the death of the thread gives back.
      if (this.#random.once(50)) return;
      batch[Symbol.dispose]();
      buffer[Symbol.dispose]();
    });
  }

  /** Some of all that it owns or has given away; what lies there stays as it is. */
  #migrate(): void {
    const pages = 2 + this.#random.below(6);
    this.#desk.migrate(this.#random.below(ACTOR_PAGES) * PAGE_BYTES, pages);
  }

  #ask(): void {
    const mail = this.#desk.mail();
    if (mail === undefined) return;
    this.#desk.try("send", ["H_CLOSED", "H_DROPPED", "H_PARAMETER"], () => mail.ask(performance.now()));
  }

  /** Numbers that no caller should pass: an answer, never a trap (G2). */
  #beHostile(): void {
    const partition = this.#partition;
    const [a, b, c] = [0, 0, 0].map(() => this.#random.pick(HOSTILE) ?? 0) as [number, number, number];
    const calls: (() => unknown)[] = [
      () => partition.accept(a as Cookie),
      () => partition.return(b as Cookie),
      () => partition.rescind(c as Cookie),
      () => partition.grant({ to: a, address: b, length: c }),
      () => partition.translate(a + 2 ** 40, { length: b }),
      () => partition.readInto(2 ** 40 + Math.abs(b || 0), new Uint8Array(4)),
      () => partition.store32(2 ** 41 + 2, c),
      () => partition.compareExchange32(a, b, c + 2 ** 33),
      () => partition.copy(a, partition, b, c + 2 ** 44),
      () => partition.free(a - 0.25),
    ];
    const call = this.#random.pick(calls);
    this.#desk.count("hostile");
    try {
      call?.();
    } catch (error) {
      if (error instanceof HcallError || error instanceof LparError || error instanceof RangeError) return;
      throw error;
    }
    if (!this.#desk.isDying) throw new Violation(`nobody refused ${a}, ${b}, ${c}: ${call}`);
  }
}
