/**
 * Moving bytes between a partition's memory and an array of JavaScript's, within a use that has begun.
 *
 * What is not in one piece goes page by page where the platform moves bytes however they lie. Elsewhere it goes through staging, as
 * does what would not be copied quickly: there the core puts it at the right distance from a multiple of eight.
 */
import { Staging } from "./batch.js";
import { copyIn, copyOut, isDirect, PageCopies } from "./copy.js";
import { HcallError } from "./errors.js";
import type { Kernel } from "./kernel.js";
import {
  ENTRY_FRAME,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  H_NO_MEM,
  H_SUCCESS,
  HEADER_FRAMES_AT,
  PAGE_BYTES,
  SPACE_ENTRIES,
  SPACE_MEMORY,
} from "./layout.js";
import { spaceWord } from "./records.js";

const BUFFER_BYTES = 65536;

/**
 * Where in staging a range begins: aligned alike with the array, and in its page far from where it lies in its own, since copies
 * between places a few bytes apart there are slow (platform.ts).
 */
export function stagedAt(address: number, other: number): number {
  return (((address + PAGE_BYTES / 2) & -8) | (other & 7)) & (PAGE_BYTES - 1);
}

/** The transfers of one thread. */
export class Transfer {
  readonly #kernel: Kernel;
  /** Taken on first need and kept; undefined if the table's staging had no room for it. */
  #buffer: Staging | undefined;
  #hasTried = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** @param offset of the range in the table's memory if it is in one piece, else -1. */
  read(lpid: number, address: number, offset: number, target: Uint8Array): void {
    const { memory } = this.#kernel;
    const { length } = target;
    if (offset >= 0 && isDirect(memory, offset, target, 0, length))
      copyOut(memory, offset, target, 0, length);
    else this.#inRuns(lpid, address, target, true);
  }

  write(lpid: number, address: number, offset: number, source: Uint8Array): void {
    const { memory } = this.#kernel;
    if (offset >= 0 && isDirect(memory, offset, source, 0, source.length))
      copyIn(memory, offset, source, 0, source.length);
    else this.#inRuns(lpid, address, source, false);
  }

  #staging(): Staging | undefined {
    if (this.#hasTried) return this.#buffer;
    this.#hasTried = true;
    try {
      this.#buffer = new Staging(this.#kernel, BUFFER_BYTES + PAGE_BYTES);
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
      // Only a lack of room is for good.
      this.#hasTried = error.status === H_NO_MEM;
    }
    return this.#buffer;
  }

  #inRuns(lpid: number, address: number, array: Uint8Array, isRead: boolean): void {
    const { core, memory } = this.#kernel;
    // Where the platform moves bytes however they lie, each page is moved once.
    const staging = memory.leastMoved <= PAGE_BYTES ? undefined : this.#staging();
    if (staging === undefined) {
      this.#byPages(lpid, address, array, isRead);
      return;
    }
    for (let done = 0; done < array.length; ) {
      const run = Math.min(BUFFER_BYTES, array.length - done);
      const at = staging.offset + stagedAt(address + done, array.byteOffset + done);
      if (isRead) {
        this.#check(core.loadMemory(lpid, address + done, run, at), isRead, address + done, run);
        copyOut(memory, at, array, done, run);
      } else {
        copyIn(memory, at, array, done, run);
        this.#check(core.storeMemory(lpid, address + done, run, at), isRead, address + done, run);
      }
      done += run;
    }
  }

  /** A page is always in one piece. */
  #byPages(lpid: number, address: number, array: Uint8Array, isRead: boolean): void {
    const { core, memory } = this.#kernel;
    const { words } = memory;
    const entries = spaceWord(memory, lpid, SPACE_MEMORY, SPACE_ENTRIES) >>> 2;
    const framesAt = memory.header(HEADER_FRAMES_AT);
    const copies = new PageCopies(memory, array, address, isRead);
    for (let done = 0; done < array.length; ) {
      const from = address + done;
      const inPage = from & (PAGE_BYTES - 1);
      const run = Math.min(PAGE_BYTES - inPage, array.length - done);
      const entry = words[entries + Math.floor(from / PAGE_BYTES)] as number;
      let at = framesAt + (entry & ENTRY_FRAME) * PAGE_BYTES + inPage;
      // What was rescinded or is being moved meanwhile is for the core.
      if ((entry & (ENTRY_VALID | ENTRY_RESCINDED)) !== ENTRY_VALID) {
        this.#check(core.checkAccess(lpid, from, run, 0), isRead, from, run);
        at = memory.result;
      }
      copies.copy(at, done, run);
      done += run;
    }
  }

  /** The range was examined before; only what is rescinded meanwhile is refused here. */
  #check(status: number, isRead: boolean, address: number, length: number): void {
    if (status !== H_SUCCESS) {
      const hcall = isRead ? "H_READ" : "H_WRITE";
      throw new HcallError(hcall, status, `address ${address}, length ${length}`);
    }
  }
}
