/**
 * A worker of the chaos: a seeded mix of all operations on whatever it has, with a check of everything that others could
 * have broken. What it cannot explain by the death of a partner is a violation.
 */
import type { VirtualAdapter } from "../adapter.js";
import { HcallError, LparError } from "../errors.js";
import { PAGE_BYTES } from "../layout.js";
import type { Cookie, Mapping, View } from "../mapping.js";
import type { Partition } from "../partition.js";
import type { Board, Operation } from "./board.js";
import { Mail, type Offer, RING_OF_RECEIVER, RING_OF_SENDER } from "./mail.js";
import { Notices } from "./notices.js";
import type { Random } from "./random.js";
import { checkRecord, type Ring, Violation, writeRecord } from "./records.js";

/** A ring of its own memory, and to whom it is granted. */
interface Served {
  readonly ring: Ring;
  /** Whether the client writes it. */
  readonly isTheirs: boolean;
  readonly grants: { readonly cookie: Cookie; readonly mail: Mail }[];
  /** What was announced when it was last looked at: that can only grow. */
  head: number;
  view: View | undefined;
}

/** A ring of somebody else's memory. */
interface Held {
  readonly mapping: Mapping;
  readonly ring: Ring;
  readonly isMine: boolean;
  readonly from: string;
  readonly grants: Cookie[];
  head: number;
  view: View | undefined;
}

const SERVED_MOST = 6;
const HELD_MOST = 12;
const RING_PAGES_MOST = 3;
/** A forced rescind that takes longer than this hangs. */
const RESCIND_MS = 10_000;
/** A thread that has waited so long for something lives until the wait has ended. Most threads live for longer. */
const OVERDUE_MS = 50;
/** What a dead ring is filled with: whoever reads it has kept an access that is over. */
const RUBBISH = 0xee;
const HOSTILE = [Number.NaN, -1, 0.5, 2 ** 32, 2 ** 53, -(2 ** 31), Number.POSITIVE_INFINITY, 4097];

export class Actor {
  readonly #partition: Partition;
  readonly #board: Board;
  readonly #random: Random;
  readonly #fail: (error: unknown) => void;
  readonly #mails: Map<number, Mail> = new Map();
  readonly #notices: Notices = new Notices();
  readonly #served: Served[] = [];
  readonly #held: Held[] = [];
  readonly #rescinding: Set<{ readonly since: number }> = new Set();
  /** A page that nobody else has: words that it counts in, and a pattern. */
  readonly #own: number;
  readonly #pattern: Uint8Array;
  #counter = 0;
  #isInjured = false;

  /** @param fail is told of what goes wrong beside the steps. */
  constructor(partition: Partition, board: Board, random: Random, fail: (error: unknown) => void) {
    this.#partition = partition;
    this.#board = board;
    this.#random = random;
    this.#fail = fail;
    const pages = partition.usage().pagesOwned;
    // The page at 0 is where partners copy to: they may have done so already.
    for (let page = 1; page < pages; page++) {
      if (partition.read(page * PAGE_BYTES, PAGE_BYTES).some((byte) => byte !== 0))
        throw new Violation(`page ${page} of a fresh partition is not zero`);
    }
    partition.allocate(PAGE_BYTES);
    this.#own = partition.allocate(PAGE_BYTES);
    this.#pattern = Uint8Array.from({ length: PAGE_BYTES - 16 }, () => random.below(256));
    partition.write(this.#own + 16, this.#pattern);
  }

  /** From here on some of what comes may be lost in JavaScript: the call that takes it is interrupted. */
  injure(): void {
    this.#isInjured = true;
  }

  #count(operation: Operation): void {
    this.#board.count(operation);
  }

  /** Calls what may be refused for these reasons. Answers whether it was done. */
  #try(operation: Operation, refusals: readonly string[], call: () => void): boolean {
    this.#count(operation);
    try {
      call();
      return true;
    } catch (error) {
      this.#refused(error, refusals);
      return false;
    }
  }

  /** @throws what is not a refusal for one of these reasons. */
  #refused(error: unknown, refusals: readonly string[]): void {
    if (!(error instanceof HcallError)) throw error;
    // Whoever is being failed by the owner is refused everything.
    const isDying = this.#partition.state !== "running";
    if (!isDying && !refusals.includes(error.code)) throw new Violation(`refused: ${error.message}`);
    this.#count("refused");
  }

  // -------------------------------------------------------------- waiting

  /** Waits for what it is told, as long as it lives. */
  listen(): void {
    this.#listen().catch(this.#fail);
  }

  async #listen(): Promise<void> {
    for await (const event of this.#partition.events()) {
      this.#count("event");
      if (!this.#isInjured) this.#notices.take(event);
      if (event.type === "rescinded") this.#drop(event.cookie as Cookie);
    }
  }

  /** New adapters get a listener, and all waits are looked at. */
  tend(): void {
    const { adapters } = this.#partition;
    const open = new Map(adapters.map((adapter) => [adapter.unitAddress, adapter]));
    for (const [unit, adapter] of open) if (!this.#mails.has(unit)) this.#join(unit, adapter);
    const now = performance.now();
    let due = 0;
    for (const [unit, mail] of this.#mails) {
      // The answer, or the end, may have been lost with what an injury interrupted.
      if (!this.#isInjured) due = Math.max(due, mail.check(open.has(unit), now));
      if (mail.isOver) this.#mails.delete(unit);
      else if (mail.owes) this.#try("send", ["H_CLOSED", "H_DROPPED", "H_PARAMETER"], () => mail.answer());
    }
    for (const { since } of this.#rescinding) due = Math.max(due, now - since);
    // The mails have thrown before it is theirs.
    if (due > RESCIND_MS) throw new Violation(`a forced rescind takes ${Math.round(due)} ms`);
    this.#board.isOverdue = due > OVERDUE_MS;
  }

  #join(unit: number, adapter: VirtualAdapter): void {
    const mail = new Mail(this.#partition, adapter);
    this.#mails.set(unit, mail);
    const receive = (offer: Offer): void => {
      this.#count("receive");
      this.#accept(offer, mail);
    };
    mail
      .listen(receive, () => !this.#isInjured)
      // The partner may have failed before there was a queue, or all own memory is in use.
      .catch((error) => this.#refused(error, ["H_PARAMETER", "H_NO_MEM", "H_RESCINDED"]))
      .catch(this.#fail);
  }

  // -------------------------------------------------------------- the mix

  /** One operation. */
  step(): void {
    const choice = this.#random.below(100);
    if (choice < 8) this.#serve();
    else if (choice < 12) this.#grantAgain();
    else if (choice < 34) this.#write();
    else if (choice < 58) this.#check();
    else if (choice < 64) this.#look();
    else if (choice < 68) this.#returnOne();
    else if (choice < 72) this.#rescind();
    else if (choice < 76) this.#rescindForced();
    else if (choice < 79) this.#grantOn();
    else if (choice < 84) this.#checkOwn();
    else if (choice < 88) this.#copy();
    else if (choice < 91) this.#batch();
    else if (choice < 95) this.#ask();
    else this.#beHostile();
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

  #mail(): Mail | undefined {
    return this.#random.pick([...this.#mails.values()]);
  }

  #serve(): void {
    const mail = this.#mail();
    if (mail === undefined || this.#served.length >= SERVED_MOST) return;
    const pages = 1 + this.#random.below(RING_PAGES_MOST);
    const bytes = pages * PAGE_BYTES;
    let address = 0;
    const isThere = this.#try("allocate", ["H_NO_MEM"], () => {
      address = this.#partition.allocate(bytes);
    });
    if (!isThere) return;
    this.#partition.fill(address, bytes, 0);
    const ring = { address, bytes, nonce: (this.#random.word() | 1) >>> 0 };
    // The nonce travels in the page itself.
    this.#partition.store32(address + 4, ring.nonce);
    const isTheirs = this.#random.once(3);
    const served: Served = { ring, isTheirs, grants: [], head: 0, view: undefined };
    this.#served.push(served);
    this.#offer(served, mail);
  }

  #grantAgain(): void {
    const mail = this.#mail();
    const served = this.#random.pick(this.#served);
    if (mail === undefined || served === undefined || served.grants.length > 4) return;
    // Two writers of one ring would be in each other's way.
    if (served.isTheirs && served.grants.length > 0) return;
    this.#offer(served, mail);
  }

  #offer({ ring, isTheirs, grants }: Served, mail: Mail): void {
    let cookie: Cookie | undefined;
    this.#try("grant", ["H_PARAMETER", "H_NO_MEM", "H_RESCINDED"], () => {
      cookie = this.#partition.grant({
        to: mail.adapter,
        address: ring.address,
        length: ring.bytes,
        write: isTheirs,
        regrant: !isTheirs,
      });
    });
    if (cookie === undefined) return;
    grants.push({ cookie, mail });
    this.#announce(mail, isTheirs ? RING_OF_RECEIVER : RING_OF_SENDER, cookie, ring.bytes);
  }

  /** Without the message nobody accepts it; it is rescinded with the others some day. */
  #announce(mail: Mail, kind: number, cookie: Cookie, bytes: number): void {
    this.#try("send", ["H_CLOSED", "H_DROPPED", "H_PARAMETER"], () => {
      mail.send(kind, cookie, bytes / PAGE_BYTES);
    });
  }

  #accept({ kind, cookie, pages }: Offer, mail: Mail): void {
    if (this.#held.length >= HELD_MOST) return;
    let mapping: Mapping | undefined;
    this.#try("accept", ["H_PARAMETER", "H_RESCINDED", "H_NO_MEM"], () => {
      mapping = this.#partition.accept(cookie as Cookie);
    });
    if (mapping === undefined) return;
    const { address, length } = mapping;
    if (length !== pages * PAGE_BYTES && this.#partition.state === "running")
      throw new Violation(`a grant of ${pages} pages maps ${length} bytes`);
    let nonce = 0;
    const isReadable = this.#try("check", ["H_RESCINDED"], () => {
      nonce = this.#partition.load32(address + 4);
    });
    const held = {
      mapping,
      ring: { address, bytes: length, nonce },
      isMine: kind === RING_OF_RECEIVER,
      from: mail.adapter.partner.name,
      grants: [],
      head: 0,
      view: undefined,
    };
    this.#held.push(held);
    if (!isReadable) this.#return(held);
  }

  #write(): void {
    const rings = [
      ...this.#served.filter(({ isTheirs }) => !isTheirs),
      ...this.#held.filter((h) => h.isMine),
    ];
    const one = this.#random.pick(rings);
    if (one === undefined) return;
    const refusals = "mapping" in one ? ["H_RESCINDED"] : [];
    const isDone = this.#try("write", refusals, () => {
      // A view that has lost its access would write where nobody reads.
      const view = "mapping" in one || this.#random.once(2) ? undefined : one.view?.bytes;
      writeRecord(this.#partition, one.ring, this.#random, view);
    });
    if (!isDone && "mapping" in one) this.#return(one);
  }

  #check(): void {
    const one = this.#random.pick([...this.#served, ...this.#held]);
    if (one === undefined) return;
    const isHeld = "mapping" in one;
    const who = isHeld ? `ring of "${one.from}"` : `own ring${one.isTheirs ? ", written by a client" : ""}`;
    const isDone = this.#try("check", isHeld ? ["H_RESCINDED"] : [], () => {
      const head = checkRecord(this.#partition, one.ring, this.#random, who);
      if (head < one.head) throw new Violation(`${who}: announced up to ${one.head}, then up to ${head}`);
      one.head = head;
    });
    if (!isDone && isHeld) this.#return(one);
  }

  #look(): void {
    const one = this.#random.pick([...this.#served, ...this.#held.filter((held) => held.isMine)]);
    if (one === undefined) return;
    if (one.view !== undefined) {
      one.view.release();
      one.view = undefined;
      return;
    }
    const refusals = ["H_RESOURCE", "H_NO_MEM", ...("mapping" in one ? ["H_RESCINDED"] : [])];
    this.#try("view", refusals, () => {
      one.view = this.#partition.view(one.ring.address, one.ring.bytes);
    });
  }

  #returnOne(): void {
    const held = this.#random.pick(this.#held);
    if (held !== undefined) this.#return(held);
  }

  #return(held: Held): void {
    if (this.#random.once(2)) {
      held.view?.release();
      held.view = undefined;
    }
    const isDone = this.#try("return", ["H_RESOURCE", "H_RESCINDED"], () => held.mapping.return());
    if (isDone) this.#forget(held);
    else this.#cutBelow(held);
  }

  #forget(held: Held): void {
    const at = this.#held.indexOf(held);
    if (at >= 0) this.#held.splice(at, 1);
    // Rescinded under a view: its bytes are in quarantine, and anything may be written there.
    try {
      held.view?.bytes.fill(RUBBISH);
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
    }
    held.view?.release();
  }

  /** What stands in the way of a return goes. */
  #cutBelow(held: Held): void {
    held.view?.release();
    held.view = undefined;
    const cookie = held.grants.pop();
    if (cookie !== undefined) this.#force(cookie, () => {});
  }

  /** The event that a mapping was rescinded. */
  #drop(cookie: Cookie): void {
    const held = this.#held.find(({ mapping }) => mapping.cookie === cookie);
    if (held !== undefined) this.#return(held);
  }

  #rescind(): void {
    const served = this.#random.pick(this.#served);
    const grant = served?.grants[0];
    if (served === undefined || grant === undefined) return;
    const isDone = this.#try("rescind", ["H_RESOURCE", "H_PARAMETER", "H_RESCINDED"], () => {
      this.#partition.rescind(grant.cookie);
    });
    if (isDone) served.grants.shift();
  }

  /** Takes a ring back from everybody; then its pages are somebody else's business. */
  #rescindForced(): void {
    const at = this.#random.below(this.#served.length);
    const [served] = this.#served.splice(at, 1);
    if (served === undefined) return;
    let left = served.grants.length;
    const done = (): void => {
      left--;
      if (left <= 0) this.#bury(served);
    };
    if (left === 0) this.#bury(served);
    for (const { cookie } of served.grants) this.#force(cookie, done);
  }

  #force(cookie: Cookie, done: () => void): void {
    this.#count("rescindForced");
    const pending = { since: performance.now() };
    this.#rescinding.add(pending);
    const ended = (): void => {
      this.#rescinding.delete(pending);
      done();
    };
    this.#partition
      .rescindForced(cookie)
      // The client has failed, and its grants went with it; or this ring was of somebody who has failed.
      .catch((error) => this.#refused(error, ["H_PARAMETER", "H_RESCINDED"]))
      .then(ended)
      .catch(this.#fail);
  }

  /** Nobody has access any more: what a client could still write goes nowhere, what it could still read is rubbish. */
  #bury({ ring, view }: Served): void {
    view?.release();
    if (!this.#try("write", [], () => this.#partition.fill(ring.address, ring.bytes, RUBBISH))) return;
    setTimeout(() => {
      try {
        this.#exhume(ring);
      } catch (error) {
        this.#fail(error);
      }
    }, this.#random.below(4));
  }

  /** The pages are used again, if nobody has been at them. */
  #exhume({ address, bytes }: Ring): void {
    this.#try("free", [], () => {
      if (this.#partition.read(address, bytes).some((byte) => byte !== RUBBISH))
        throw new Violation("somebody wrote to a ring after the forced rescind was complete");
      this.#partition.free(address);
    });
  }

  #grantOn(): void {
    const held = this.#random.pick(this.#held.filter(({ isMine, grants }) => !isMine && grants.length < 2));
    const mail = this.#mail();
    if (held === undefined || mail === undefined) return;
    let cookie: Cookie | undefined;
    const refusals = ["H_PARAMETER", "H_NO_MEM", "H_RESCINDED", "H_PERMISSION"];
    this.#try("regrant", refusals, () => {
      const { address, bytes } = held.ring;
      cookie = this.#partition.grant({ to: mail.adapter, address, length: bytes, write: false });
    });
    if (cookie === undefined) return;
    held.grants.push(cookie);
    this.#announce(mail, RING_OF_SENDER, cookie, held.ring.bytes);
  }

  /** The page that nobody else has is as it was left. */
  #checkOwn(): void {
    this.#try("words", [], () => {
      const before = this.#partition.add32(this.#own, 1);
      const word = this.#partition.compareExchange32(this.#own + 4, this.#counter, this.#counter + 1);
      if (before !== this.#counter || word !== this.#counter)
        throw new Violation(`own counters are ${before} and ${word} instead of ${this.#counter}`);
      this.#counter++;
      const found = this.#partition.read(this.#own + 16, this.#pattern.length);
      const at = found.findIndex((byte, index) => byte !== this.#pattern[index]);
      if (at >= 0)
        throw new Violation(`byte ${at} of own memory is ${found[at]} instead of ${this.#pattern[at]}`);
    });
  }

  #copy(): void {
    const from = this.#own + 16 + this.#random.below(2000);
    const length = 1 + this.#random.below(256);
    const mail = this.#mail();
    if (mail === undefined) return;
    const refusals = ["H_PARAMETER", "H_RESCINDED"];
    this.#try("copy", refusals, () => {
      this.#partition.copy(from, mail.adapter.partner, this.#random.below(3000), length);
    });
  }

  #batch(): void {
    this.#try("batch", ["H_NO_MEM"], () => {
      const batch = this.#partition.createBatch(1 + this.#random.below(300));
      for (let i = 0; i < batch.addresses.length; i++) batch.addresses[i] = this.#own + i;
      const done = batch.run(batch.addresses.length);
      if (done !== batch.addresses.length && this.#partition.state === "running")
        throw new Violation(`${done} of ${batch.addresses.length} translated`);
      const frame = this.#partition.translate(this.#own);
      if (batch.physical[0] !== frame) throw new Violation(`translated to ${batch.physical[0]} and ${frame}`);
      // What is not given back, the death of the thread gives back.
      if (!this.#random.once(50)) batch[Symbol.dispose]();
    });
  }

  #ask(): void {
    const mail = this.#mail();
    if (mail === undefined) return;
    this.#try("send", ["H_CLOSED", "H_DROPPED", "H_PARAMETER"], () => mail.ask(performance.now()));
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
    this.#count("hostile");
    try {
      call?.();
    } catch (error) {
      if (error instanceof HcallError || error instanceof LparError || error instanceof RangeError) return;
      throw error;
    }
    if (partition.state === "running") throw new Violation(`nobody refused ${a}, ${b}, ${c}: ${call}`);
  }
}
