/**
 * The lender's side of lends: from the grant on, until the lend ends, it has no access to the pages (OM2); right after the end, by
 * whomever, it has (OM4). What it gets back is sound, or zero if that was asked (OM5).
 */
import { PAGE_BYTES } from "../layout.js";
import type { Cookie } from "../mapping.js";
import type { Partition } from "../partition.js";
import type { Desk } from "./desk.js";
import { LEND, type Mail } from "./mail.js";
import { differenceOf, FORBIDDEN_WORD, faultOf, isBlank, readSheet, wordOf } from "./sheets.js";

/** A bit of the detail of an offer, beside the number of pages. */
const ZERO_DETAIL = 8;

/** Whether what is returned of an offered lend becomes zero. */
export function isZeroed(detail: number): boolean {
  return (detail & ZERO_DETAIL) !== 0;
}

/** The pages of an offered lend. */
export function pagesOf(detail: number): number {
  return detail & ~ZERO_DETAIL;
}

/** What is to be lent. */
export interface Lendable {
  readonly address: number;
  /** The words of a sheet. */
  readonly words: Uint32Array;
  /** Whether it is borrowed itself, so that it may be taken away. */
  readonly isBorrowed: boolean;
  /** Whether what is returned is to be zero. */
  readonly isZero: boolean;
  /** It is over. @param words what was found, undefined if it was taken away. */
  back(words: Uint32Array | undefined): void;
}

/** A lend that stands. */
export interface Lent extends Lendable {
  readonly cookie: Cookie;
  readonly borrower: Partition;
  readonly incarnation: number;
  /** Whether it is known that it was accepted. */
  isTaken: boolean;
  isForced: boolean;
  /** Whether it is known that it has ended. */
  isOver: boolean;
  /** Whether the lender has written the forbidden word after the end. */
  isMarked: boolean;
}

const LENT_MOST = 4;
/** Where partners may copy to at any time. */
const SCRATCH = 0;
/** What no sheet has. */
const FORBIDDEN = 0xbad0bad0;
/** The last version. */
const FORBIDDEN_VERSION = 15;

/**
 * What is written where it must be refused: a word of no sheet. But what is borrowed may be taken away, by death or by force, between
 * such a write after the end and its repair; then its lender must find a sheet, and the word is one of another version.
 */
function forbiddenOf({ isBorrowed, words }: Lendable): number {
  return isBorrowed ? wordOf(words[0] as number, FORBIDDEN_WORD, FORBIDDEN_VERSION) : FORBIDDEN;
}

export class Lender {
  readonly #desk: Desk;
  readonly #lent: Lent[] = [];

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  get hasRoom(): boolean {
    return this.#lent.length < LENT_MOST;
  }

  /** Answers the lend, undefined if it was refused. */
  lend(what: Lendable, mail: Mail): Lent | undefined {
    const { partner: borrower } = mail.adapter;
    // Before the grant: whoever has failed since is not granted anything.
    const { incarnation } = borrower;
    const { address, words, isZero } = what;
    const length = words.length * 4;
    const cookie = this.#desk.grant("lend", mail, { address, length, mode: "lend", zero: isZero }, [
      "H_LongBusyOrder10msec",
    ]);
    if (cookie === undefined) return undefined;
    const is = { isTaken: false, isForced: false, isOver: false, isMarked: false };
    const lent: Lent = { ...what, cookie, borrower, incarnation, ...is };
    this.#lent.push(lent);
    this.#desk.announce(mail, LEND, cookie, length / PAGE_BYTES + (isZero ? ZERO_DETAIL : 0));
    return lent;
  }

  /** What was lent on is not there any more. */
  forget(lent: Lent): void {
    const at = this.#lent.indexOf(lent);
    if (at >= 0) this.#lent.splice(at, 1);
  }

  step(): void {
    const lent = this.#desk.random.pick(this.#lent);
    if (lent === undefined) return;
    if (!lent.isOver && this.#desk.random.once(6)) this.#takeBack(lent);
    else this.#peek(lent);
  }

  /** Whether the borrower has failed: the lend may have ended at any time since. */
  #isGone({ borrower, incarnation }: Lent): boolean {
    return borrower.state !== "running" || borrower.incarnation !== incarnation;
  }

  /** Whether the borrower has failed and is recovered: then the lend has ended. */
  #isRecovered({ borrower, incarnation }: Lent): boolean {
    return borrower.state === "stopped" || borrower.incarnation !== incarnation;
  }

  /** An access that is refused as long as the pages are lent. */
  #peek(lent: Lent): void {
    const mustBeOver = lent.isOver || this.#isRecovered(lent);
    const unclear = lent.isBorrowed ? ["H_RESCINDED"] : [];
    let isMarking = false;
    const why = this.#desk.attempt("lender", ["H_RESOURCE", ...unclear, ...UNCLEAR], () => {
      isMarking = this.#use(lent);
    });
    if (why === "H_RESCINDED" && lent.isBorrowed) this.#end(lent, undefined);
    else if (why === "H_RESOURCE" && mustBeOver)
      this.#desk.accuse(`the lender has no access to what it lent to "${lent.borrower.name}" after the end`);
    if (why !== undefined) return;
    // A forced rescind may have ended it before that is told.
    if (!mustBeOver && !lent.isForced && !this.#isGone(lent))
      this.#desk.accuse(`the lender has access to what it has lent to "${lent.borrower.name}"`);
    lent.isMarked ||= isMarking;
    lent.isOver = true;
    this.#settle(lent);
  }

  /** Answers whether the forbidden word was written. @throws HcallError */
  #use(lent: Lent): boolean {
    const { partition, random } = this.#desk;
    const { address } = lent;
    const word = address + FORBIDDEN_WORD * 4;
    const forbidden = forbiddenOf(lent);
    switch (random.below(9)) {
      case 0:
        partition.read(address + random.below(PAGE_BYTES - 4), 4);
        return false;
      case 1:
        partition.load32(address);
        return false;
      case 2:
        partition.view(address, PAGE_BYTES).release();
        return false;
      case 3:
        partition.translate(address, { write: random.once(2) });
        return false;
      case 4:
        partition.copy(address, partition, SCRATCH, 8);
        return false;
      case 5:
        this.#grant(address);
        return false;
      case 6:
        partition.write(word, new Uint8Array(Uint32Array.of(forbidden).buffer));
        return true;
      case 7:
        // The version is in the first byte.
        partition.fill(word, 1, forbidden & 0xff);
        partition.store32(word, forbidden);
        return true;
      default:
        partition.store32(word, forbidden);
        return true;
    }
  }

  #grant(address: number): void {
    const mail = this.#desk.mail();
    if (mail === undefined) return void this.#desk.partition.load32(address);
    const cookie = this.#desk.partition.grant({ to: mail.adapter, address, length: PAGE_BYTES });
    this.#desk.partition.rescind(cookie);
  }

  /** It has access again: what does it find? */
  #settle(lent: Lent): void {
    const { address, words, borrower } = lent;
    let found: Uint32Array | undefined;
    this.#desk.try("check", lent.isBorrowed ? ["H_RESCINDED"] : [], () => {
      found = readSheet(this.#desk.partition, address, words.length * 4);
      // Only this partition can have written it, and only when it had access again.
      if (lent.isMarked && found[FORBIDDEN_WORD] === forbiddenOf(lent)) {
        found[FORBIDDEN_WORD] = isBlank(found.subarray(0, 1)) ? 0 : (words[FORBIDDEN_WORD] as number);
        this.#desk.partition.store32(address + FORBIDDEN_WORD * 4, found[FORBIDDEN_WORD] as number);
      }
      const wrong = this.#faultOf(lent, found);
      if (wrong !== undefined) this.#desk.accuse(`back from "${borrower.name}": ${wrong}`);
    });
    this.#end(lent, found);
  }

  #faultOf({ isZero, isTaken, words }: Lent, found: Uint32Array): string | undefined {
    if (!isZero) return faultOf(found, words[0] as number);
    if (isBlank(found)) return undefined;
    const difference = differenceOf(found, words);
    if (!isTaken && difference === undefined) return undefined;
    return `neither zero nor as it was lent (${difference ?? "accepted, and as it was lent"})`;
  }

  #end(lent: Lent, found: Uint32Array | undefined): void {
    this.forget(lent);
    lent.back(found);
  }

  #takeBack(lent: Lent): void {
    const refusals = ["H_RESOURCE", "H_PARAMETER", "H_RESCINDED", "H_LongBusyOrder10msec"];
    const why = this.#desk.attempt("rescind", refusals, () => this.#desk.partition.rescind(lent.cookie));
    if (why === undefined) {
      lent.isOver = true;
      this.#peek(lent);
    } else if (why === "H_RESOURCE") {
      lent.isTaken = true;
      if (this.#desk.random.once(2)) this.#force(lent);
    } else if (why === "H_PARAMETER" && !lent.isBorrowed && !lent.isForced && !this.#isGone(lent))
      this.#desk.accuse(`what is lent to "${lent.borrower.name}" cannot be rescinded`);
  }

  #force(lent: Lent): void {
    if (lent.isForced) return;
    lent.isForced = true;
    this.#desk.force(lent.cookie, () => {
      if (!this.#lent.includes(lent)) return;
      // If the borrower has failed meanwhile its recovery ends the lend.
      lent.isOver = !this.#isGone(lent);
      this.#peek(lent);
    });
  }
}

/** Reasons of some of the accesses that say nothing of the lend: no adapter to grant by, no pin, no quota. */
const UNCLEAR: readonly string[] = ["H_PARAMETER", "H_NO_MEM", "H_RESCINDED"];
