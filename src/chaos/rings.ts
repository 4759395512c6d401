/**
 * Rings: memory that is shared as plainly as can be. Sealed records are written by its owner, or by a client, and checked by
 * everybody who may read them; it is granted again and on, looked at through views, returned, and taken back.
 */
import { HcallError } from "../errors.js";
import { PAGE_BYTES } from "../layout.js";
import type { Cookie, Mapping, View } from "../mapping.js";
import type { Partition } from "../partition.js";
import type { Dealings, Desk } from "./desk.js";
import { bury, RUBBISH } from "./graves.js";
import { type Mail, type Offer, RING_OF_RECEIVER, RING_OF_SENDER } from "./mail.js";
import type { Random } from "./random.js";
import { checkRecord, type Ring, Violation, writeRecord } from "./records.js";

/** A ring of its own memory, and to whom it is granted. */
export interface Served {
  readonly ring: Ring;
  /** Whether the client writes it. */
  readonly isTheirs: boolean;
  readonly grants: { readonly cookie: Cookie; readonly mail: Mail }[];
  /** What was announced when it was last looked at: that can only grow. */
  head: number;
  view: View | undefined;
}

/** A ring of somebody else's memory. */
export interface Held {
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
const GRANTS_MOST = 5;

export class Rings implements Dealings {
  readonly offers: readonly number[] = [RING_OF_SENDER, RING_OF_RECEIVER];
  readonly #desk: Desk;
  readonly #partition: Partition;
  readonly #random: Random;
  readonly #served: Served[] = [];
  readonly #held: Held[] = [];

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#partition = desk.partition;
    this.#random = desk.random;
  }

  /** A ring that it writes itself, with those to whom it is granted: more grants of it end with the ring. */
  pickShared(): Served | undefined {
    const isShared = ({ isTheirs, grants }: Served): boolean =>
      !isTheirs && grants.length > 0 && grants.length < GRANTS_MOST;
    return this.#random.pick(this.#served.filter(isShared));
  }

  /** A ring of somebody else's that it only reads. */
  pickHeld(): Held | undefined {
    return this.#random.pick(this.#held.filter(({ isMine }) => !isMine));
  }

  /** Whether it has not returned a ring of somebody else's. */
  holds(held: Held): boolean {
    return this.#held.includes(held);
  }

  /** A plain mapping of the ring with this nonce. */
  twinOf(nonce: number): Ring | undefined {
    return this.#held.find(({ ring, isMine }) => ring.nonce === nonce && !isMine)?.ring;
  }

  step(): void {
    const choice = this.#random.below(79);
    if (choice < 8) this.#serve();
    else if (choice < 12) this.#grantAgain();
    else if (choice < 34) this.#write();
    else if (choice < 58) this.#check();
    else if (choice < 64) this.#look();
    else if (choice < 68) this.#returnOne();
    else if (choice < 72) this.#rescind();
    else if (choice < 76) this.#rescindForced();
    else this.#grantOn();
  }

  #serve(): void {
    const mail = this.#desk.mail();
    if (mail === undefined || this.#served.length >= SERVED_MOST) return;
    const pages = 1 + this.#random.below(RING_PAGES_MOST);
    const bytes = pages * PAGE_BYTES;
    const address = this.#desk.allocate(pages);
    if (address === undefined) return;
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
    const mail = this.#desk.mail();
    const served = this.#random.pick(this.#served);
    if (mail === undefined || served === undefined || served.grants.length >= GRANTS_MOST) return;
    // Two writers of one ring would be in each other's way.
    if (served.isTheirs && served.grants.length > 0) return;
    this.#offer(served, mail);
  }

  #offer({ ring, isTheirs, grants }: Served, mail: Mail): void {
    const { address, bytes: length } = ring;
    const cookie = this.#desk.grant("grant", mail, { address, length, write: isTheirs, regrant: !isTheirs });
    if (cookie === undefined) return;
    grants.push({ cookie, mail });
    this.#desk.announce(mail, isTheirs ? RING_OF_RECEIVER : RING_OF_SENDER, cookie, length / PAGE_BYTES);
  }

  receive({ kind, cookie, detail: pages }: Offer, mail: Mail): void {
    if (this.#held.length >= HELD_MOST) return;
    const mapping = this.#desk.accept(cookie);
    if (mapping === undefined) return;
    const { address, length } = mapping;
    if (length !== pages * PAGE_BYTES) this.#desk.accuse(`a grant of ${pages} pages maps ${length} bytes`);
    let nonce = 0;
    const isReadable = this.#desk.try("check", ["H_RESCINDED"], () => {
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
    const isDone = this.#desk.try("write", refusals, () => {
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
    const isDone = this.#desk.try("check", isHeld ? ["H_RESCINDED"] : [], () => {
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
    this.#desk.try("view", refusals, () => {
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
    const isDone = this.#desk.try("return", ["H_RESOURCE", "H_RESCINDED"], () => held.mapping.return());
    if (isDone) this.#forget(held);
    else this.#cutBelow(held);
  }

  #forget(held: Held): void {
    const at = this.#held.indexOf(held);
    if (at >= 0) this.#held.splice(at, 1);
    // Rescinded under a view: its bytes are in quarantine, and anything may be written there; not so where the own partition has
    // failed, whose mappings need no return.
    try {
      if (!this.#desk.isDying) held.view?.bytes.fill(RUBBISH);
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
    if (cookie !== undefined) this.#desk.force(cookie, () => {});
  }

  lose(cookie: Cookie): void {
    const held = this.#held.find(({ mapping }) => mapping.cookie === cookie);
    if (held !== undefined) this.#return(held);
  }

  #rescind(): void {
    const served = this.#random.pick(this.#served);
    const grant = served?.grants[0];
    if (served === undefined || grant === undefined) return;
    const isDone = this.#desk.try("rescind", ["H_RESOURCE", "H_PARAMETER", "H_RESCINDED"], () => {
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
    for (const { cookie } of served.grants) this.#desk.force(cookie, done);
  }

  #bury({ ring, view }: Served): void {
    view?.release();
    bury(this.#desk, ring.address, ring.bytes);
  }

  #grantOn(): void {
    const held = this.#random.pick(this.#held.filter(({ isMine, grants }) => !isMine && grants.length < 2));
    const mail = this.#desk.mail();
    if (held === undefined || mail === undefined) return;
    const { address, bytes: length } = held.ring;
    const cookie = this.#desk.grant("regrant", mail, { address, length, write: false }, ["H_PERMISSION"]);
    if (cookie === undefined) return;
    held.grants.push(cookie);
    this.#desk.announce(mail, RING_OF_SENDER, cookie, length / PAGE_BYTES);
  }
}
