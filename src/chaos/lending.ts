/**
 * Lends: who borrows is alone with the pages until it returns them, and may lend them on. So it must find exactly what it wrote,
 * or zeros where it has returned what is zeroed then.
 */
import { PAGE_BYTES } from "../layout.js";
import type { Cookie, Mapping, View } from "../mapping.js";
import type { Dealings, Desk } from "./desk.js";
import { bury, RUBBISH } from "./graves.js";
import { isZeroed, Lender, type Lent, pagesOf } from "./lender.js";
import { LEND, type Mail, type Offer } from "./mail.js";
import {
  differenceOf,
  faultOf,
  isBlank,
  isZeroedOf,
  makeSheet,
  newWord,
  readSheet,
  writeSheet,
} from "./sheets.js";

interface Borrowed {
  readonly mapping: Mapping;
  readonly who: string;
  readonly isZero: boolean;
  /** What must be there. */
  words: Uint32Array;
  view: View | undefined;
  /** While it is lent on. */
  on: Lent | undefined;
  /** Whether its return has begun and could not be ended: its addresses may be gone. */
  isReturning: boolean;
}

const BORROWED_MOST = 4;
const PAGES_MOST = 3;

export class Lending implements Dealings {
  readonly offers: readonly number[] = [LEND];
  readonly #desk: Desk;
  readonly #lender: Lender;
  readonly #borrowed: Borrowed[] = [];

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#lender = new Lender(desk);
  }

  step(): void {
    const { random } = this.#desk;
    const choice = random.below(6);
    const borrowed = random.pick(this.#borrowed);
    if (choice < 2) this.#lend();
    else if (choice < 4 || borrowed === undefined) this.#lender.step();
    else this.#use(borrowed);
  }

  /** Lends pages of its own. */
  #lend(): void {
    const { partition, random } = this.#desk;
    const mail = this.#desk.mail();
    if (mail === undefined || !this.#lender.hasRoom) return;
    const pages = 1 + random.below(PAGES_MOST);
    const address = this.#desk.allocate(pages);
    if (address === undefined) return;
    const bytes = pages * PAGE_BYTES;
    const words = makeSheet((random.word() | 1) >>> 0, bytes);
    const isWritten = this.#desk.try("write", [], () => writeSheet(partition, address, words));
    if (!isWritten) return;
    const back = (): void => bury(this.#desk, address, bytes);
    const what = { address, words, isBorrowed: false, isZero: random.once(2), back };
    if (this.#lender.lend(what, mail) === undefined) back();
  }

  receive({ cookie, detail }: Offer, { adapter }: Mail): void {
    if (this.#borrowed.length >= BORROWED_MOST) return;
    const who = `lent by "${adapter.partner.name}"`;
    const borrowed = this.#accept(cookie, who, isZeroed(detail), undefined);
    if (borrowed === undefined) return;
    const { length } = borrowed.mapping;
    if (length !== pagesOf(detail) * PAGE_BYTES) this.#desk.accuse(`${who}: ${length} bytes for ${detail}`);
    // Most are taken back soon.
    for (let left = this.#desk.random.below(12); left > 0 && this.#borrowed.includes(borrowed); left--)
      this.#use(borrowed);
  }

  /** @param expected what must be there, undefined if that is not known. */
  #accept(
    cookie: Cookie,
    who: string,
    isZero: boolean,
    expected: Uint32Array | undefined,
  ): Borrowed | undefined {
    const mapping = this.#desk.accept(cookie);
    if (mapping === undefined) return undefined;
    const { address, length } = mapping;
    const words = new Uint32Array(length / 4);
    const borrowed = { mapping, who, isZero, words, view: undefined, on: undefined, isReturning: false };
    this.#borrowed.push(borrowed);
    const isDone = this.#desk.try("borrower", ["H_RESCINDED"], () => {
      const found = readSheet(this.#desk.partition, address, length);
      const wrong =
        expected === undefined ? faultOf(found, found[0] as number) : differenceOf(found, expected);
      if (wrong !== undefined) this.#desk.accuse(`${who}, just accepted: ${wrong}`);
      words.set(found);
    });
    if (isDone) return borrowed;
    this.#return(borrowed);
    return undefined;
  }

  #use(borrowed: Borrowed): void {
    const choice = this.#desk.random.below(12);
    if (borrowed.on !== undefined) {
      if (choice < 2) this.#return(borrowed);
      else this.#lender.step();
    } else if (borrowed.isReturning) this.#return(borrowed);
    else if (choice < 4) this.#write(borrowed);
    else if (choice < 7) this.#check(borrowed);
    else if (choice < 8) this.#look(borrowed);
    else if (choice < 10) this.#lendOn(borrowed);
    else this.#return(borrowed);
  }

  #write(borrowed: Borrowed): void {
    const { partition, random } = this.#desk;
    const { address } = borrowed.mapping;
    const isDone = this.#desk.try("borrower", ["H_RESCINDED"], () => {
      if (isBlank(borrowed.words)) {
        borrowed.words = makeSheet((random.word() | 1) >>> 0, borrowed.mapping.length);
        writeSheet(partition, address, borrowed.words);
      }
      const { place, word } = newWord(borrowed.words, random);
      partition.store32(address + place * 4, word);
      borrowed.words[place] = word;
    });
    if (!isDone) this.#return(borrowed);
  }

  #check(borrowed: Borrowed): void {
    const { mapping, who } = borrowed;
    const isDone = this.#desk.try("borrower", ["H_RESCINDED"], () => {
      const found = readSheet(this.#desk.partition, mapping.address, mapping.length);
      const wrong = differenceOf(found, borrowed.words);
      if (wrong !== undefined) this.#desk.accuse(`${who}: ${wrong}`);
    });
    if (!isDone) this.#return(borrowed);
  }

  #look(borrowed: Borrowed): void {
    if (borrowed.view !== undefined) {
      this.#leave(borrowed);
      return;
    }
    const { address, length } = borrowed.mapping;
    this.#desk.try("view", ["H_RESCINDED", "H_RESOURCE", "H_NO_MEM"], () => {
      borrowed.view = this.#desk.partition.view(address, length);
    });
  }

  #hasAccess({ mapping }: Borrowed): boolean {
    return this.#desk.try(
      "borrower",
      ["H_RESCINDED"],
      () => void this.#desk.partition.load32(mapping.address),
    );
  }

  /** A view shows what must be there, and what is written through it is not lost while the lend stands. */
  #leave(borrowed: Borrowed): void {
    const { view, words, who } = borrowed;
    if (view === undefined) return;
    borrowed.view = undefined;
    this.#desk.try("view", ["H_RESOURCE"], () => {
      const { buffer, byteOffset, byteLength } = view.bytes;
      const found = new Uint32Array(buffer, byteOffset, byteLength / 4);
      const wrong = differenceOf(found, words);
      // Where the access has ended it shows a page in quarantine, which may have been zeroed, and never anything else.
      if (wrong !== undefined && (this.#hasAccess(borrowed) || !isZeroedOf(found, words)))
        this.#desk.accuse(`${who}, in a view: ${wrong}`);
      if (isBlank(words)) return;
      const { place, word } = newWord(words, this.#desk.random);
      found[place] = word;
      words[place] = word;
    });
    view.release();
  }

  /** Lent on, it is out of its own reach, too. */
  #lendOn(borrowed: Borrowed): void {
    const mail = this.#desk.mail();
    if (mail === undefined || !this.#lender.hasRoom || isBlank(borrowed.words)) return;
    this.#leave(borrowed);
    const { address } = borrowed.mapping;
    const back = (found: Uint32Array | undefined): void => {
      borrowed.on = undefined;
      if (found === undefined) this.#return(borrowed);
      else borrowed.words = found;
    };
    // Of what is not zeroed the lender finds no zeros.
    const isZero = borrowed.isZero && this.#desk.random.once(2);
    borrowed.on = this.#lender.lend({ address, words: borrowed.words, isBorrowed: true, isZero, back }, mail);
  }

  lose(cookie: Cookie): void {
    const borrowed = this.#borrowed.find(({ mapping }) => mapping.cookie === cookie);
    if (borrowed === undefined) return;
    const { view } = borrowed;
    borrowed.view = undefined;
    // A leaked view shows pages in quarantine: the lender must see nothing of what is written there.
    this.#desk.try("view", ["H_RESOURCE"], () => view?.bytes.fill(RUBBISH));
    this.#return(borrowed);
    view?.release();
  }

  /** What is lent on cannot be returned, unless it was rescinded. Returned, it may be accepted again, and is as it was left, or zero. */
  #return(borrowed: Borrowed): void {
    const { mapping, who, isZero, words, on } = borrowed;
    this.#leave(borrowed);
    const refusals = ["H_RESCINDED", "H_LongBusyOrder10msec", ...(on === undefined ? [] : ["H_RESOURCE"])];
    borrowed.isReturning = !this.#desk.try("return", refusals, () => mapping.return());
    if (borrowed.isReturning) return;
    if (on !== undefined) this.#lender.forget(on);
    this.#borrowed.splice(this.#borrowed.indexOf(borrowed), 1);
    if (on === undefined && this.#desk.random.once(2))
      this.#accept(mapping.cookie, who, isZero, isZero ? new Uint32Array(words.length) : words);
  }
}
