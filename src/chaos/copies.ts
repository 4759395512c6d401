/**
 * Copy-on-write grants of rings. Who holds one sees what the owner writes in all pages that it has not written to itself, and what
 * it wrote, and nothing new, in the others. The owner, and everybody to whom the ring is plainly shared, must never see those
 * writes: they check the ring anyway.
 */
import { PAGE_BYTES } from "../layout.js";
import type { Cookie, Mapping, View } from "../mapping.js";
import { areSame, differenceAt } from "./bytes.js";
import type { Dealings, Desk } from "./desk.js";
import { RUBBISH } from "./graves.js";
import { COPY_OF_RING, type Mail, type Offer } from "./mail.js";
import { checkRecord, type Ring } from "./records.js";
import type { Rings } from "./rings.js";

interface Copy {
  readonly mapping: Mapping;
  readonly ring: Ring;
  readonly who: string;
  /** What each page must hold from the first write to it on. */
  readonly pages: (Uint8Array | undefined)[];
  /** How far the ring was, while no page of it is private. */
  head: number;
  view: View | undefined;
  /** Whether its return has begun and could not be ended: its addresses may be gone. */
  isReturning: boolean;
}

/** A page of a ring as its owner has it, and how far the ring was. */
interface OwnersPage {
  readonly head: number;
  readonly bytes: Uint8Array;
}

/** Whether a page has not changed in between: between two records only bytes of the next one change, each of them once. */
function isSame(before: OwnersPage, after: OwnersPage | undefined): boolean {
  return before.head === after?.head && areSame(before.bytes, after.bytes);
}

const HELD_MOST = 3;

export class Copies implements Dealings {
  readonly offers: readonly number[] = [COPY_OF_RING];
  readonly #desk: Desk;
  readonly #rings: Rings;
  readonly #held: Copy[] = [];

  constructor(desk: Desk, rings: Rings) {
    this.#desk = desk;
    this.#rings = rings;
  }

  step(): void {
    const { random } = this.#desk;
    const copy = random.pick(this.#held);
    if (random.once(3)) this.#grant();
    else if (copy !== undefined) this.#use(copy);
  }

  #use(copy: Copy): void {
    const choice = this.#desk.random.below(12);
    if (copy.isReturning) this.#return(copy);
    else if (choice < 4) this.#write(copy);
    else if (choice < 8) this.#check(copy);
    else if (choice < 9) this.#look(copy);
    else if (choice < 10) this.#grantOn(copy);
    else this.#return(copy);
  }

  /** Somebody who may read a ring gets a copy of it as well, so that it can compare. */
  #grant(): void {
    const served = this.#rings.pickShared();
    const mail = this.#desk.random.pick(served?.grants ?? [])?.mail;
    if (served === undefined || mail === undefined) return;
    const { address, bytes: length } = served.ring;
    const cookie = this.#desk.grant("grantCopy", mail, { address, length, copyOnWrite: true });
    if (cookie === undefined) return;
    served.grants.push({ cookie, mail });
    this.#desk.announce(mail, COPY_OF_RING, cookie, length / PAGE_BYTES);
  }

  receive({ cookie, detail: pages }: Offer, { adapter }: Mail): void {
    if (this.#held.length < HELD_MOST)
      this.#accept(cookie, pages, `copy of a ring of "${adapter.partner.name}"`);
  }

  #accept(cookie: Cookie, pages: number, who: string): void {
    const mapping = this.#desk.accept(cookie);
    if (mapping === undefined) return;
    const { address, length: bytes } = mapping;
    if (bytes !== pages * PAGE_BYTES) this.#desk.accuse(`${who}: ${pages} pages are ${bytes} bytes`);
    let nonce = 0;
    this.#desk.try("check", ["H_RESCINDED"], () => {
      nonce = this.#desk.partition.load32(address + 4);
    });
    const ring = { address, bytes, nonce };
    const content: Copy["pages"] = new Array(pages).fill(undefined);
    const copy = { mapping, ring, who, pages: content, head: 0, view: undefined, isReturning: false };
    this.#held.push(copy);
    if (nonce === 0) this.#return(copy);
    else this.#compare(copy, this.#desk.random.below(pages));
    // Most are taken back soon.
    for (let left = this.#desk.random.below(12); left > 0 && this.#held.includes(copy); left--)
      this.#use(copy);
  }

  #read({ ring }: Copy, page: number): Uint8Array {
    return this.#desk.partition.read(ring.address + page * PAGE_BYTES, PAGE_BYTES);
  }

  /** The first write to a page gets this partition one of its own; it and the others then hold what must be there. */
  #write(copy: Copy): void {
    const { partition, random } = this.#desk;
    const { address, bytes } = copy.ring;
    const at = random.below(bytes / 4) * 4;
    const isLong = random.once(3);
    const data = new Uint8Array(4 * (1 + random.below(Math.min(bytes - at, isLong ? PAGE_BYTES : 64) / 4)));
    data.fill(random.below(256));
    const first = Math.floor(at / PAGE_BYTES);
    const last = Math.floor((at + data.length - 1) / PAGE_BYTES);
    const before = copy.pages.map((content, page) =>
      content === undefined && page >= first && page <= last ? this.#ownersPage(copy, page) : undefined,
    );
    const why = this.#desk.attempt("writeCopy", ["H_RESCINDED", "H_NO_MEM"], () => {
      if (data.length > 4) partition.write(address + at, data);
      else partition.store32(address + at, new DataView(data.buffer).getUint32(0, true));
    });
    if (why === "H_RESCINDED") this.#return(copy);
    if (why !== undefined) return;
    const pieces = Array.from({ length: last - first + 1 }, (_, index) => {
      const start = at - (first + index) * PAGE_BYTES;
      const piece = data.subarray(Math.max(0, -start), PAGE_BYTES - start);
      return { page: first + index, start: Math.max(0, start), piece };
    });
    // Before any is read: rescinded by then, a view still shows all of them.
    for (const { page, start, piece } of pieces) copy.pages[page]?.set(piece, start);
    for (const { page, start, piece } of pieces)
      if (!this.#settle(copy, page, piece, start, before[page])) return;
  }

  /** A page that was written to: what is found there now stays. Answers whether it can still be read. */
  #settle(
    copy: Copy,
    page: number,
    piece: Uint8Array,
    start: number,
    before: OwnersPage | undefined,
  ): boolean {
    const isDone = this.#desk.try("check", ["H_RESCINDED"], () => {
      const found = this.#read(copy, page);
      const wrong = differenceAt(found.subarray(start, start + piece.length), piece);
      if (wrong >= 0)
        this.#desk.accuse(`${copy.who}: byte ${start + wrong} of page ${page} is not what was written`);
      // What it copied is the owner's page, if that has not changed meanwhile.
      const isOwners = before !== undefined && isSame(before, this.#ownersPage(copy, page));
      copy.pages[page] ??= isOwners ? before.bytes : found.slice();
      copy.pages[page]?.set(piece, start);
      this.#checkPrivate(copy, page, found);
    });
    if (!isDone) this.#return(copy);
    return isDone;
  }

  /** Nobody else writes to a private page. */
  #checkPrivate({ who, pages }: Copy, page: number, found: Uint8Array): void {
    const expected = pages[page];
    const wrong = expected === undefined ? -1 : differenceAt(found, expected);
    if (wrong >= 0)
      this.#desk.accuse(
        `${who}: byte ${wrong} of private page ${page} is ${found[wrong]}, not ${expected?.[wrong]}`,
      );
  }

  #check(copy: Copy): void {
    const { partition, random } = this.#desk;
    const page = random.below(copy.pages.length);
    const isDone = this.#desk.try("check", ["H_RESCINDED"], () => {
      if (copy.pages[page] !== undefined) this.#checkPrivate(copy, page, this.#read(copy, page));
      else if (random.once(2)) this.#compare(copy, page);
      else if (copy.pages.every((content) => content === undefined)) {
        const head = checkRecord(partition, copy.ring, random, copy.who);
        if (head < copy.head)
          this.#desk.accuse(`${copy.who}: announced up to ${copy.head}, then up to ${head}`);
        copy.head = head;
      }
    });
    if (!isDone) this.#return(copy);
  }

  /** A page as its owner has it, undefined if there is no plain mapping of it. */
  #ownersPage({ ring: { nonce } }: Copy, page: number): OwnersPage | undefined {
    const { partition } = this.#desk;
    const twin = this.#rings.twinOf(nonce);
    let owners: OwnersPage | undefined;
    if (twin === undefined) return undefined;
    this.#desk.try("check", ["H_RESCINDED"], () => {
      const head = partition.load32(twin.address);
      owners = { head, bytes: partition.read(twin.address + page * PAGE_BYTES, PAGE_BYTES) };
    });
    return owners;
  }

  /** A page that was not written to is the owner's. */
  #compare(copy: Copy, page: number): void {
    this.#desk.try("check", ["H_RESCINDED"], () => {
      const before = this.#ownersPage(copy, page);
      const found = this.#read(copy, page);
      if (before === undefined || !isSame(before, this.#ownersPage(copy, page))) return;
      const wrong = differenceAt(found, before.bytes);
      if (wrong < 0) return;
      const [mine, owners] = [found[wrong], before.bytes[wrong]];
      this.#desk.accuse(`${copy.who}: byte ${wrong} of page ${page} is ${mine}, the owner's is ${owners}`);
    });
  }

  /** A view of pages that all are private: it shows them, whatever becomes of the grant. */
  #look(copy: Copy): void {
    if (copy.view !== undefined || copy.pages.some((content) => content === undefined)) {
      this.#leave(copy);
      return;
    }
    this.#desk.try("view", ["H_RESCINDED", "H_RESOURCE", "H_NO_MEM"], () => {
      copy.view = this.#desk.partition.view(copy.ring.address, copy.ring.bytes);
    });
  }

  /** Checks what a view shows, and releases it. */
  #leave(copy: Copy): void {
    const { view, pages } = copy;
    if (view === undefined) return;
    copy.view = undefined;
    // That its pages were moved apart is the only reason.
    this.#desk.try("view", ["H_RESOURCE"], () => {
      const { bytes } = view;
      for (let page = 0; page < pages.length; page++)
        this.#checkPrivate(copy, page, bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
      // Written past the checks; if the access has ended, to what is in quarantine.
      bytes.fill(RUBBISH);
      for (const page of pages) page?.fill(RUBBISH);
    });
    view.release();
  }

  /** A copy-on-write grant cannot be granted on. */
  #grantOn({ ring, who }: Copy): void {
    const mail = this.#desk.mail();
    if (mail === undefined) return;
    const { address, bytes: length } = ring;
    const cookie = this.#desk.grant("regrant", mail, { address, length, write: false }, ["H_PERMISSION"]);
    if (cookie !== undefined) this.#desk.accuse(`${who}: it was granted on`);
  }

  lose(cookie: Cookie): void {
    const copy = this.#held.find(({ mapping }) => mapping.cookie === cookie);
    if (copy !== undefined) this.#return(copy);
  }

  /** Returned, it may be accepted again; then it is as the owner has it. */
  #return(copy: Copy): void {
    this.#leave(copy);
    // Where a use of somebody who has died is not over yet it is returned some other time.
    const refusals = ["H_RESCINDED", "H_LongBusyOrder10msec"];
    copy.isReturning = !this.#desk.try("return", refusals, () => copy.mapping.return());
    if (copy.isReturning) return;
    this.#held.splice(this.#held.indexOf(copy), 1);
    if (this.#desk.random.once(2)) this.#accept(copy.mapping.cookie, copy.pages.length, copy.who);
  }
}
