/**
 * A use of a few bytes of one or two pages, or a translation, by the words that the core reads itself, and without a crossing into it
 * unless a use must keep other threads out.
 */
import type { Core } from "./binding.js";
import type { Kernel } from "./kernel.js";
import {
  ENTRY_FRAME,
  ENTRY_RESCINDED,
  HEADER_FRAMES_AT,
  HEADER_THREADS_USED,
  PAGE_BYTES,
  PARTITION_RUNNING,
  PARTITION_STATE,
  SPACE_ENTRIES,
  SPACE_MEMORY,
  SPACE_PAGES,
} from "./layout.js";
import { partitionOffset, spaceWord } from "./records.js";
import { TRAY_BYTES } from "./tray.js";

const NO_PAGES = new Uint32Array(0);

/** The quick uses and translations of one partition's memory by one thread. */
export class QuickUse {
  readonly #core: Core;
  readonly #lpid: number;
  readonly #words: Uint32Array;
  /** Of the table's words the partition's state and page table. */
  readonly #state: Uint32Array;
  #entries: Uint32Array;
  /** Byte offset of the first frame. */
  readonly #framesAt: number;
  /** Bytes of one use. More than a tray holds may need a detour (isDirect()); more than a page may touch three pages. */
  readonly #most: number;

  constructor({ core, memory }: Kernel, lpid: number) {
    const { words } = memory;
    this.#core = core;
    this.#lpid = lpid;
    this.#words = words;
    const state = (partitionOffset(memory, lpid) + PARTITION_STATE) / 4;
    this.#state = words.subarray(state, state + 1);
    const entries = spaceWord(memory, lpid, SPACE_MEMORY, SPACE_ENTRIES) / 4;
    this.#entries = words.subarray(entries, entries + spaceWord(memory, lpid, SPACE_MEMORY, SPACE_PAGES));
    this.#framesAt = memory.header(HEADER_FRAMES_AT);
    this.#most = memory.isShared && memory.leastMoved > PAGE_BYTES ? TRAY_BYTES : PAGE_BYTES;
  }

  /**
   * The physical address of a logical one.
   * @param mask of the bits that the page table entry must have.
   * @returns -1 for everything that the core must decide.
   */
  translate(address: number, mask: number): number {
    const entries = this.#entries;
    const page = address >>> 12;
    if (address >>> 0 !== address || page >= entries.length) return -1;
    if (this.#state[0] !== PARTITION_RUNNING) return -1;
    const entry = entries[page] as number;
    // The frame is the low bits; a page is 2^12 bytes.
    return (entry & mask) === mask ? ((entry << 12) | (address & (PAGE_BYTES - 1))) >>> 0 : -1;
  }

  /**
   * Begins a use, which end() ends. A table that no other thread has joined needs no epoch: nobody else revokes meanwhile. Where there
   * are others the core begins it: the engine calls a function for each of the four atomic accesses that it takes.
   * @param mask of the bits that the page table entry must have.
   * @returns the byte offset in the table's memory; -1 for everything that the core must decide, and then no use runs.
   */
  begin(address: number, length: number, mask: number): number {
    const inPage = address & (PAGE_BYTES - 1);
    if (length > this.#most || length === 0 || address >>> 0 !== address) return -1;
    const entries = this.#entries;
    const page = address >>> 12;
    const last = page + ((inPage + length - 1) >>> 12);
    if (last >= entries.length) return -1;
    let frame = -1;
    if (this.#words[HEADER_THREADS_USED / 4] !== 1) frame = this.#core.openUse(this.#lpid, page, last, mask);
    else if (this.#state[0] === PARTITION_RUNNING) {
      const entry = entries[page] as number;
      const end = entries[last] as number;
      // One that is being moved is rescinded and valid: the core waits for it.
      if ((entry & end & mask) === mask && ((entry | end) & ENTRY_RESCINDED) === 0) {
        const first = entry & ENTRY_FRAME;
        if ((end & ENTRY_FRAME) - first === last - page) frame = first;
      }
    }
    return frame < 0 ? -1 : this.#framesAt + frame * PAGE_BYTES + inPage;
  }

  /** The partition is destroyed: everything is for the core. */
  close(): void {
    this.#entries = NO_PAGES;
  }

  end(): void {
    if (this.#words[HEADER_THREADS_USED / 4] !== 1) this.#core.endUse();
  }
}
