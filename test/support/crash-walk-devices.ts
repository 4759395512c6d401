/**
 * Accesses to a device window that go on while other threads call, stop and mend: no grant by which one came ends before it is over.
 * The window is partition 1's, and whoever uses it serves it by itself.
 */
import { H_SUCCESS, NEED_READ, PAGE_BYTES, SPACE_MMIO, THREAD_MODEL_ROOT } from "../../src/layout.js";
import type { Came, Page, TableWords } from "./crash-walk-words.js";
import type { Draw } from "./draw.js";

/** Whose window it is. */
const SERVER = 1;
/** Pages of a window space that are looked at. */
const PAGES = 4;

export class Devices {
  readonly #words: TableWords;
  /** By the slot of the thread. */
  readonly #open = new Map<number, Came>();

  constructor(words: TableWords) {
    this.#words = words;
  }

  get slots(): readonly number[] {
    return [...this.#open.keys()];
  }

  has(slot: number): boolean {
    return this.#open.has(slot);
  }

  /** A page of somebody's by which the window is reached, most often by a grant. */
  place(draw: Draw): Page | undefined {
    const { partitions } = this.#words;
    const pages = partitions.flatMap((lpid) => Array.from({ length: PAGES }, (_, page) => ({ lpid, page })));
    const mapped = pages.filter(
      (page) => this.#words.isRunning(page.lpid) && this.#words.back(page, SPACE_MMIO) !== 0,
    );
    return draw.pick(draw.once(4) ? mapped : mapped.filter(({ lpid }) => lpid !== SERVER));
  }

  /** Makes the calls by which a thread begins an access. */
  call(slot: number, { lpid, page }: Page): number {
    const core = this.#words.rig.core(slot);
    core.serveWindow(SERVER, 0, 1);
    return core.beginDevice(lpid, page * PAGE_BYTES, 4, NEED_READ);
  }

  /** They have answered. Answers whether an access has begun. */
  began(slot: number, page: Page, status: number): boolean {
    if (status !== H_SUCCESS) return false;
    const words = this.#words;
    const chain: { cookie: number; grantor: number }[] = [];
    for (let at = words.back(page, SPACE_MMIO); at !== 0; ) {
      const { isGrant, cookie, parent } = words.structure(at);
      if (!isGrant) break;
      chain.push({ cookie, grantor: words.structure(parent).holder });
      at = parent;
    }
    this.#open.set(slot, { chain });
    return true;
  }

  end(slot: number): void {
    this.#words.rig.core(slot).endDevice(0);
    this.#open.delete(slot);
  }

  /** The thread calls in the middle of its access: it may end its own grant, and does not wait for itself. */
  calls(slot: number): void {
    const access = this.#open.get(slot);
    if (access !== undefined) access.chain = [];
  }

  /** Which grant has ended under an access, "" if none has; while no call is half done. */
  left(): string {
    const words = this.#words;
    for (const [slot, access] of this.#open) {
      // Its thread has died, and was reaped.
      if (words.word(words.rig.threadAt(slot) + THREAD_MODEL_ROOT) === 0) this.#open.delete(slot);
      const ended = words.endedOf(access);
      if (ended !== undefined && this.#open.has(slot))
        return `grant ${ended} has ended, and thread ${slot} goes on with the device`;
    }
    return "";
  }
}
