/**
 * Donations of whole LMBs. Until it is accepted a donation is a lend that can be rescinded; from the accept on the receiver owns the
 * memory, whatever becomes of the donor, and may donate it on. Whoever owns it must find exactly what it wrote.
 */
import { PAGE_BYTES } from "../layout.js";
import type { Cookie } from "../mapping.js";
import type { Partition } from "../partition.js";
import type { Dealings, Desk } from "./desk.js";
import { LMB_PAGES } from "./equipment.js";
import { bury } from "./graves.js";
import { DONATION, type Mail, type Offer } from "./mail.js";
import { differenceOf, faultOf, makeSheet, newWord, readSheet, writeSheet } from "./sheets.js";

/** An LMB that is its own, or that it offers. */
interface Estate {
  readonly address: number;
  readonly words: Uint32Array;
  /** Whether it is of its own description. */
  readonly isNative: boolean;
}

interface Offered {
  readonly estate: Estate;
  readonly cookie: Cookie;
  readonly receiver: Partition;
  readonly incarnation: number;
}

const LMB_BYTES = LMB_PAGES * PAGE_BYTES;

export class Estates implements Dealings {
  readonly offers: readonly number[] = [DONATION];
  readonly #desk: Desk;
  /** What it has received: one at a time, or others could not start again. */
  #received: Estate | undefined;
  #offered: Offered | undefined;
  /** Whether it has given an LMB of its own away: two would leave too little. */
  #hasGiven = false;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  step(): void {
    const choice = this.#desk.random.below(8);
    if (this.#offered !== undefined) {
      if (choice < 1) this.#takeBack(this.#offered);
      else if (choice < 5) this.#peek(this.#offered);
    } else if (choice < 3) this.#donate();
    if (this.#received !== undefined && choice >= 5) this.#use(this.#received);
  }

  lose(): void {}

  /** Offers what it has received, or an LMB of its own that it has all to itself. */
  #donate(): void {
    const mail = this.#desk.mail();
    if (mail === undefined) return;
    const estate = this.#received ?? (this.#hasGiven ? undefined : this.#clear());
    if (estate === undefined) return;
    const { partner: receiver } = mail.adapter;
    // Before the grant: whoever has failed since is not granted anything.
    const { incarnation } = receiver;
    const { address } = estate;
    const cookie = this.#desk.grant("donate", mail, { address, length: LMB_BYTES, mode: "donate" }, [
      "H_LongBusyOrder10msec",
    ]);
    if (cookie === undefined) {
      this.#keep(estate);
      return;
    }
    this.#received = undefined;
    this.#offered = { estate, cookie, receiver, incarnation };
    this.#desk.announce(mail, DONATION, cookie);
  }

  /** Only an LMB in which nothing is allocated has so many pages. */
  #clear(): Estate | undefined {
    const { partition, random } = this.#desk;
    const address = this.#desk.allocate(LMB_PAGES);
    if (address === undefined) return undefined;
    const words = makeSheet((random.word() | 1) >>> 0, LMB_BYTES);
    const isWritten = this.#desk.try("write", [], () => writeSheet(partition, address, words));
    return isWritten ? { address, words, isNative: true } : undefined;
  }

  /** It is its own again. */
  #keep(estate: Estate): void {
    if (estate.isNative) bury(this.#desk, estate.address, LMB_BYTES);
    else this.#received = estate;
  }

  /** What is offered is out of its own reach; what was accepted is not there any more. */
  #peek(offered: Offered): void {
    const { estate, receiver, incarnation } = offered;
    let first = 0;
    const why = this.#desk.attempt("estate", ["H_RESOURCE", "H_PARAMETER", "H_RESCINDED"], () => {
      first = this.#desk.partition.load32(estate.address);
    });
    if (why === "H_RESOURCE") return;
    const isBack = why === undefined && first === estate.words[0];
    const isGone = receiver.state !== "running" || receiver.incarnation !== incarnation;
    if (isBack && !isGone) this.#desk.accuse(`the donor has access to what it offers to "${receiver.name}"`);
    this.#offered = undefined;
    // Where it was another mapping may be by now.
    if (isBack) this.#settle(offered);
    else this.#leave(estate);
  }

  /** It was not accepted: nobody can have written to it. */
  #settle({ estate, receiver }: Offered): void {
    const isDone = this.#desk.try("estate", [], () => {
      const wrong = differenceOf(readSheet(this.#desk.partition, estate.address, LMB_BYTES), estate.words);
      if (wrong !== undefined) this.#desk.accuse(`offered to "${receiver.name}" and not accepted: ${wrong}`);
    });
    if (isDone) this.#keep(estate);
  }

  /** It was accepted: nothing of it is this partition's any more (OM9). */
  #leave(estate: Estate): void {
    if (!estate.isNative) return;
    this.#hasGiven = true;
    const isFreed = this.#desk.try("estate", ["H_PARAMETER"], () =>
      this.#desk.partition.free(estate.address),
    );
    if (isFreed) this.#desk.accuse("what was given away was freed");
  }

  #takeBack(offered: Offered): void {
    const { partition } = this.#desk;
    const refusals = ["H_PARAMETER", "H_RESCINDED", "H_LongBusyOrder10msec"];
    const why = this.#desk.attempt("rescind", refusals, () => partition.rescind(offered.cookie));
    // Accepted, or the receiver has failed.
    if (why === "H_PARAMETER") this.#peek(offered);
    if (why !== undefined) return;
    this.#offered = undefined;
    this.#settle(offered);
  }

  receive({ cookie }: Offer, { adapter }: Mail): void {
    // What it has offered may come back.
    if (this.#received !== undefined || (this.#offered !== undefined && !this.#offered.estate.isNative))
      return;
    const mapping = this.#desk.accept(cookie);
    if (mapping === undefined) return;
    const who = `donated by "${adapter.partner.name}"`;
    if (mapping.mode !== "donate" || mapping.length !== LMB_BYTES)
      this.#desk.accuse(`${who}: a ${mapping.mode} of ${mapping.length} bytes`);
    const { address } = mapping;
    if (address === this.#offered?.estate.address) {
      // That was accepted, and what has come, perhaps the same, is where it was.
      this.#leave(this.#offered.estate);
      this.#offered = undefined;
    }
    this.#desk.try("estate", [], () => {
      const words = readSheet(this.#desk.partition, address, LMB_BYTES);
      const wrong = faultOf(words, words[0] as number);
      if (wrong !== undefined) this.#desk.accuse(`${who}: ${wrong}`);
      this.#received = { address, words, isNative: false };
    });
    if (this.#desk.try("return", ["H_PARAMETER"], () => mapping.return()))
      this.#desk.accuse(`${who}: it was returned`);
  }

  /** Nobody else has access, and the donor's end is nothing to it. */
  #use({ address, words }: Estate): void {
    const { partition, random } = this.#desk;
    this.#desk.try("estate", [], () => {
      const wrong = differenceOf(readSheet(partition, address, LMB_BYTES), words);
      if (wrong !== undefined) this.#desk.accuse(`what was donated: ${wrong}`);
      const { place, word } = newWord(words, random);
      partition.store32(address + place * 4, word);
      words[place] = word;
    });
  }
}
