/**
 * Taking entries from a queue (CRQ), one by one or as they come (CQ7).
 */
import { nextTurn } from "./clock.js";
import { HcallError } from "./errors.js";
import type { Holder } from "./holder.js";
import type { Kernel } from "./kernel.js";
import {
  END_OPEN,
  END_QUEUE_PAGES,
  END_STATE,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_NOT_FOUND,
  H_SUCCESS,
  PAGE_BYTES,
  QUEUE_ENTRY_BYTES,
  QUEUE_TRANSPORT,
  TRANSPORT_FAILED,
} from "./layout.js";
import { unitWord } from "./records.js";
import { queueDetail } from "./refusals.js";
import { Stream, type WaitOptions } from "./stream.js";

/** One entry of a queue. */
export interface CrqEntry {
  /** 0x80 message, 0xC0 initialisation, 0xFF transport event. */
  readonly header: number;
  /** Of a transport event: 1 partner failed, 2 partner deregistered, 6 partner suspended. */
  readonly format: number;
  /** The 14 bytes after header and format. */
  readonly payload: Uint8Array;
}

/** The oldest entry of a queue, undefined if there is none. @throws HcallError H_PARAMETER, H_CLOSED, H_RESCINDED */
export function receiveEntry(kernel: Kernel, lpid: number, unit: number): CrqEntry | undefined {
  const status = kernel.core.receiveEntry(lpid, unit);
  if (status === H_NOT_FOUND) return undefined;
  if (status !== H_SUCCESS) throw new HcallError("H_RECEIVE_CRQ", status, `unit address ${unit}`);
  const { memory } = kernel;
  const entry = memory.bytes.slice(memory.entry, memory.entry + QUEUE_ENTRY_BYTES);
  return { header: entry[0] as number, format: entry[1] as number, payload: entry.subarray(2) };
}

/** The entries of one queue as a stream: an entry stays in the ring until somebody waits for it. */
export class Messages {
  readonly stream: Stream<CrqEntry>;
  readonly #kernel: Kernel;
  readonly #holder: Holder;
  readonly #incarnation: number;
  readonly #lpid: number;
  readonly #unit: number;
  readonly #listener = (): void => this.#poll();
  /** The page that was allocated for the queue, if it was registered here. */
  #page: number | undefined;

  constructor(holder: Holder, unit: number, options: WaitOptions) {
    const { kernel, lpid } = holder;
    kernel.checkOpen();
    this.#kernel = kernel;
    this.#holder = holder;
    this.#incarnation = holder.incarnation;
    this.#lpid = lpid;
    this.#unit = unit;
    // First, since what it refuses would leave a queue that no stream frees. What is aborted already does not show its partner a queue,
    // and nobody would end its listening.
    this.stream = new Stream<CrqEntry>(options, { closed: () => this.#close(), pull: () => this.#take() });
    if (this.stream.hasEnded) return;
    try {
      this.#register();
    } catch (error) {
      this.stream.end();
      throw error;
    }
    kernel.listen(lpid, this.#listener);
  }

  #register(): void {
    const { core, memory } = this.#kernel;
    if (unitWord(memory, this.#unit, END_QUEUE_PAGES) !== 0) return;
    const taken = core.allocateQueue(this.#lpid);
    const detail =
      taken === H_NO_MEM
        ? "no page is free for the queue, and used by nobody else"
        : `unit address ${this.#unit}`;
    this.#kernel.settle("H_REG_CRQ", taken, detail);
    const page = memory.result;
    const status = core.registerQueue(this.#lpid, this.#unit, page, PAGE_BYTES);
    if (status < 0 || status === H_LONG_BUSY_10_MSEC) this.#giveBack(page);
    this.#kernel.settle("H_REG_CRQ", status, queueDetail(status, this.#unit));
    this.#page = page;
  }

  /** When there is no lock, that may be later: another incarnation has got the page by then, if there is one (G4). */
  #giveBack(page: number): void {
    const { core } = this.#kernel;
    this.#kernel.finish(() =>
      this.#holder.isCurrent(this.#incarnation) ? core.deallocate(this.#lpid, page) : H_SUCCESS,
    );
  }

  /**
   * A notice of the partner's failure comes only to who had a queue by then, one of its end is no failure: so the stream
   * also ends when the adapter is closed, and what came before is taken.
   */
  #receive(): CrqEntry | undefined {
    const entry = receiveEntry(this.#kernel, this.#lpid, this.#unit);
    if (entry !== undefined || unitWord(this.#kernel.memory, this.#unit, END_STATE) === END_OPEN)
      return entry;
    // It may have closed between the two, after a last entry.
    const last = receiveEntry(this.#kernel, this.#lpid, this.#unit);
    if (last === undefined) this.stream.end();
    return last;
  }

  #take(): CrqEntry | undefined {
    try {
      const entry = this.#receive();
      if (entry?.header === QUEUE_TRANSPORT && entry.format === TRANSPORT_FAILED)
        queueMicrotask(() => this.stream.end());
      return entry;
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
      if (error.status === H_LONG_BUSY_10_MSEC) {
        void nextTurn(1).then(this.#listener);
        return undefined;
      }
      // The partition failed, the adapter is of an old incarnation, or the queue was freed: there is nothing to wait for.
      this.stream.end();
      return undefined;
    }
  }

  #poll(): void {
    // Nobody may be reading, who would hear that the partition has failed, and the thread would live on for that.
    if (this.#kernel.isClosed || !this.#holder.isCurrent(this.#incarnation)) this.stream.end();
    else this.stream.poll();
  }

  #close(): void {
    this.#kernel.unlisten(this.#lpid, this.#listener);
    if (this.#page === undefined) return;
    const { core } = this.#kernel;
    const page = this.#page;
    this.#page = undefined;
    // Both are refused, and need not be done, when the partition has failed meanwhile; the queue may have been freed by hand.
    this.#kernel.finish(() => {
      const status = core.freeQueue(this.#lpid, this.#unit);
      if (status === H_LONG_BUSY_10_MSEC) return status;
      this.#giveBack(page);
      // The partner is told, who may listen in this thread.
      this.#kernel.notice();
      return status;
    });
  }
}
