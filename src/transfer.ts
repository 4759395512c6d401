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
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  ENTRY_WRITE,
  H_NO_MEM,
  H_PERMISSION,
  H_SUCCESS,
  HEADER_FRAMES_AT,
  PAGE_BYTES,
  SPACE_ENTRIES,
  SPACE_MEMORY,
} from "./layout.js";
import { spaceWord } from "./records.js";
import { TRAY_BYTES } from "./tray.js";

const BUFFER_BYTES = 65536;
/** An array of so many bytes is made before its range is examined. */
const UNEXAMINED_BYTES = 65536;

/** Whether a length that is none, or more than there may be, must be answered by its status before an array is made for it. */
export function mustExamine(length: number): boolean {
  return length >>> 0 !== length || length > UNEXAMINED_BYTES;
}

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
  /** Taken before the first use that may need it, and kept; undefined if the table's staging had no room for it. */
  #buffer: Staging | undefined;
  #hasTried = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** @param offset of the range in the table's memory if it is in one piece, else -1. */
  read(lpid: number, address: number, offset: number, target: Uint8Array, length: number): void {
    const { memory } = this.#kernel;
    if (offset >= 0 && isDirect(memory, offset, target, 0, length))
      copyOut(memory, offset, target, 0, length);
    else this.#inRuns(lpid, +address, target, length, true);
  }

  write(lpid: number, address: number, offset: number, source: Uint8Array, length: number): void {
    const { memory } = this.#kernel;
    if (offset >= 0 && isDirect(memory, offset, source, 0, length)) copyIn(memory, offset, source, 0, length);
    else this.#inRuns(lpid, +address, source, length, false);
  }

  #takeStaging(): void {
    this.#hasTried = true;
    try {
      this.#buffer = new Staging(this.#kernel, BUFFER_BYTES + PAGE_BYTES);
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
      // Only a lack of room is for good.
      this.#hasTried = error.status === H_NO_MEM;
    }
  }

  /** Before a use that may need staging: taking it takes locks, and ends a use. */
  prepare(length: number): void {
    const { isShared, leastMoved } = this.#kernel.memory;
    if (isShared && leastMoved > PAGE_BYTES && length > TRAY_BYTES && !this.#hasTried) this.#takeStaging();
  }

  /** @param address as a number: of a text, which the core takes for one, a sum would be another place. */
  #inRuns(lpid: number, address: number, array: Uint8Array, length: number, isRead: boolean): void {
    const { core, memory } = this.#kernel;
    // Where the platform moves bytes however they lie, each page is moved once.
    const staging = this.#buffer;
    if (memory.leastMoved <= PAGE_BYTES || staging === undefined) {
      this.#byPages(lpid, address, array, length, isRead);
      return;
    }
    for (let done = 0; done < length; ) {
      const run = Math.min(BUFFER_BYTES, length - done);
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
  #byPages(lpid: number, address: number, array: Uint8Array, length: number, isRead: boolean): void {
    const { core, memory } = this.#kernel;
    const { words } = memory;
    const entries = spaceWord(memory, lpid, SPACE_MEMORY, SPACE_ENTRIES) >>> 2;
    const framesAt = memory.header(HEADER_FRAMES_AT);
    const mask = ENTRY_VALID | (isRead ? ENTRY_READ : ENTRY_WRITE);
    const copies = new PageCopies(memory, array, address, isRead);
    for (let done = 0; done < length; ) {
      const from = address + done;
      const inPage = from & (PAGE_BYTES - 1);
      const run = Math.min(PAGE_BYTES - inPage, length - done);
      const index = entries + Math.floor(from / PAGE_BYTES);
      let entry = words[index] as number;
      while ((entry & (mask | ENTRY_RESCINDED)) !== mask) {
        // What is being moved is waited for, and what was rescinded refused, by the core.
        this.#check(core.checkAccess(lpid, from, run, 0), isRead, from, run);
        entry = words[index] as number;
        // Somebody else who acts for the partition has accepted something there that may do less.
        if ((entry & ENTRY_RESCINDED) === 0 && (entry & mask) !== mask)
          this.#check(H_PERMISSION, isRead, from, run);
      }
      copies.copy(framesAt + (entry & ENTRY_FRAME) * PAGE_BYTES + inPage, done, run);
      done += run;
    }
  }

  /** The range was examined before; only what has ended meanwhile is refused here. */
  #check(status: number, isRead: boolean, address: number, length: number): void {
    if (status !== H_SUCCESS) {
      const hcall = isRead ? "H_READ" : "H_WRITE";
      throw new HcallError(hcall, status, `address ${address}, length ${length}`);
    }
  }
}
