/**
 * Uses that are open while other threads call, stop and mend: an access that has begun and is not over. Whoever has one goes on
 * reading and writing the frame that it began with, so that this frame must stay what it is until the use ends, or was waited
 * for: it is under the same page, no other page gets it, it is not zeroed, and no grant by which it was reached ends.
 *
 * Each frame under a use has a mark near its end, where no call of a walk writes but those that are told to written(). One that is
 * under a ring has none: what lies there is looked at as a whole (crash-walk-queues.ts).
 */
import {
  COOKIE_SLOTS,
  ENTRY_FRAME,
  MODE_ZERO,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  STRUCTURE_OWNED,
  THREAD_EPOCH,
} from "../../src/layout.js";
import type { Queues } from "./crash-walk-queues.js";
import { type Came, isMapped, isPrivate, type Page, type TableWords } from "./crash-walk-words.js";
import type { Draw } from "./draw.js";

/** Bytes from the end of a page to its mark: a transport event may overwrite the last entry of a ring that is full (CQ5). */
const MARK = 24;

interface Use extends Came {
  readonly frame: number;
  /** The page that the frame belongs to. */
  owner: Page;
  /** Whether it came by a lend whose pages are zeroed at its end; who is above one may see the zeros. */
  readonly isBorrowed: boolean;
}

/** Where a use begins. */
export interface Place {
  /** Partition and page of memory; of the bus if there is a LIOBN. */
  readonly lpid: number;
  readonly page: number;
  readonly liobn?: number;
  readonly need: number;
}

/** The rights that a use may need, most often the first. */
export const NEEDS: readonly number[] = [NEED_READ, NEED_READ, NEED_WRITE, NEED_READ | NEED_WRITE];

export class Uses {
  readonly #words: TableWords;
  readonly #queues: Queues;
  /** By the slot of the thread. */
  readonly #open = new Map<number, Use>();
  /** What the mark of each frame under a use is. */
  readonly #marks = new Map<number, number>();

  constructor(words: TableWords, queues: Queues) {
    this.#words = words;
    this.#queues = queues;
  }

  get slots(): readonly number[] {
    return [...this.#open.keys()];
  }

  has(slot: number): boolean {
    return this.#open.has(slot);
  }

  /** Makes the call by which a thread begins a use. */
  call(slot: number, { lpid, page, liobn, need }: Place): number {
    const core = this.#words.rig.core(slot);
    const address = page * PAGE_BYTES;
    if (liobn === undefined) return core.beginUse(lpid, address, 4, need);
    return core.beginDma(lpid, liobn, address, address, 4, need);
  }

  /** That call has answered H_SUCCESS. Says what the use is of; it is ended at once where that cannot be told. */
  began(slot: number, place: Place, draw: Draw): string {
    const words = this.#words;
    const frame = words.frameOf(words.rig.result(slot));
    const page = place.liobn === undefined ? place : words.behindBus(place.lpid, place.page);
    const chain: { cookie: number; grantor: number }[] = [];
    let owner: Page = page;
    let isBorrowed = false;
    for (let slotAt = words.back(page); slotAt !== 0; ) {
      const structure = words.structure(slotAt);
      if (structure.parent === 0 || !structure.isGrant) break;
      const source = words.source(owner, structure);
      isBorrowed ||= (structure.mode & MODE_ZERO) !== 0;
      chain.push({ cookie: structure.cookie, grantor: source.lpid });
      slotAt = structure.parent;
      owner = source;
    }
    if (isPrivate(words.entry(page))) owner = page;
    if (!words.isOwner(owner) || (words.entry(owner) & ENTRY_FRAME) !== frame) {
      // In the middle of a call of somebody else the page may not be a page of anybody any more.
      const [only, ...others] = words.owners(frame);
      if (only === undefined || others.length > 0) {
        this.end(slot);
        return "";
      }
      owner = only;
    }
    this.#open.set(slot, { frame, owner, isBorrowed, chain });
    if (!this.#marks.has(frame)) this.#mark(frame, (draw.word() | 1) >>> 0);
    const grants = chain.map(({ cookie }) => cookie).join();
    return `frame ${frame} of page ${owner.page} of ${owner.lpid}, by ${grants === "" ? "nobody's grant" : grants}`;
  }

  #mark(frame: number, mark: number): void {
    const isFixed = this.#queues.isUnderRing(frame);
    this.#marks.set(frame, isFixed ? this.#markOf(frame) : mark);
    if (!isFixed) this.#words.rig.setWord(this.#words.frameAt(frame) + PAGE_BYTES - MARK, mark);
  }

  /** The use of a thread is over. */
  end(slot: number): void {
    this.#words.rig.core(slot).endUse();
    this.forget(slot);
  }

  /** The same, if the core has ended it: the thread has made a call, or died and was reaped. */
  forget(slot: number): void {
    const use = this.#open.get(slot);
    this.#open.delete(slot);
    if (use === undefined || [...this.#open.values()].some(({ frame }) => frame === use.frame)) return;
    // Pages are to be equal again, so that they can be merged.
    if (!this.#words.isFree(use.frame)) this.#mark(use.frame, 0);
    this.#marks.delete(use.frame);
  }

  /** Somebody has written to whole pages, as it may: their marks are what is there now. */
  written(frames: readonly number[]): void {
    for (const frame of frames) {
      if (this.#marks.has(frame)) this.#marks.set(frame, this.#markOf(frame));
    }
  }

  #markOf(frame: number): number {
    return this.#words.word(this.#words.frameAt(frame) + PAGE_BYTES - MARK);
  }

  /** Whether a use is still open for the core. */
  isOpen(slot: number): boolean {
    return this.#words.word(this.#words.rig.threadAt(slot) + THREAD_EPOCH) !== 0;
  }

  #isBorrowed(frame: number): boolean {
    return [...this.#open.values()].some((use) => use.frame === frame && use.isBorrowed);
  }

  /** What has happened to a frame under a use, "" if nothing has; in the middle of calls, too. */
  disturbed(): string {
    for (const [slot, { frame }] of this.#open) {
      if (this.#words.isFree(frame)) return `frame ${frame} is free, and the use of thread ${slot} goes on`;
      const mark = this.#markOf(frame);
      if (this.#queues.isUnderRing(frame)) this.#marks.set(frame, mark);
      if (mark === 0 && !this.#isBorrowed(frame)) this.#marks.set(frame, 0);
      if (mark !== this.#marks.get(frame))
        return `frame ${frame} was written to under the use of thread ${slot}: ${mark}, not ${this.#marks.get(frame)}`;
    }
    return "";
  }

  /** Which page has left its frame under a use, and which grant has ended; "" if none. While no call is half done. */
  left(): string {
    const words = this.#words;
    for (const [slot, use] of this.#open) {
      this.#follow(use);
      const { frame, owner } = use;
      const entry = words.entry(owner);
      if ((entry & ENTRY_FRAME) !== frame || !(isMapped(entry) || isPrivate(entry)))
        return `page ${owner.page} of ${owner.lpid} has left frame ${frame} (${entry.toString(16)}), and the use of thread ${slot} goes on`;
      const ended = words.endedOf(use);
      if (ended !== undefined)
        return `grant ${ended} has ended, and the use of thread ${slot} that came by it goes on`;
    }
    return "";
  }

  /** It came by the accept of a donation that was undone under it. Where that was made again since, the page is its own. */
  #follow(use: Use): void {
    const words = this.#words;
    const [donation] = use.chain;
    if (donation === undefined) return;
    const { cookie, state } = words.structure(donation.cookie % COOKIE_SLOTS);
    if (cookie !== donation.cookie || state !== STRUCTURE_OWNED) return;
    use.owner = words.owners(use.frame)[0] ?? use.owner;
    use.chain = [];
  }
}
