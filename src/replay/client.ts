/**
 * One trace as a partition: which of its pages it has mapped and where, in which order it used them, and the loop that
 * has every reference translated.
 *
 * The references go to the core in two batches, the reads and the writes, each with its right and up to its first fault;
 * one that does both is in both. What comes before the earlier fault of the two, in the order of the trace, is done; the
 * rest was tried too early and is translated again after the fault. So every fault happens in the order of the trace, and
 * the least recently used page is exactly that. A page that is not mapped has the address of a page where nothing ever
 * is, so that it is the core that says so.
 */
import type { Hcalls } from "../hcall.js";
import { HcallError, type Partition, type TranslationBatch } from "../index.js";
import { H_PARAMETER, H_PERMISSION, H_RESCINDED, NEED_READ, NEED_WRITE } from "../layout.js";
import type { Trace } from "../trace/format.js";
import type { Ledger, Standing } from "./ledger.js";
import { LruList } from "./lru.js";
import { expectSuccess, type Pager } from "./pager.js";
import type { TracePlan } from "./plan.js";

const FOR_READING = { stopAtFault: true };
const FOR_WRITING = { write: true, stopAtFault: true };
/** After a fault the next one may be near, and what comes after it is translated in vain. */
const AFTER_FAULT = 16;
/** Pages given back in one go when all is taken down: some milliseconds. */
const GIVE_BACK_PAGES = 1024;

export interface ClientOptions {
  readonly plan: TracePlan;
  readonly resident: number | undefined;
  readonly batch: number;
  /** Address of a page in which nothing is ever mapped. */
  readonly hole: number;
}

export class Client {
  readonly partition: Partition;
  readonly trace: Trace;
  /** Unit addresses by which the server and the relay grant to this client. */
  serverUnit = 0;
  relayUnit = 0;
  /** The next reference. */
  position = 0;
  readonly #h: Hcalls;
  readonly #ledger: Ledger;
  readonly #plan: TracePlan;
  readonly #residentMax: number;
  readonly #hole: number;
  /** Of each page: the address of its mapping or the hole, its cookie or 0, the physical address, whether it was lost. */
  readonly #addresses: Float64Array;
  readonly #cookies: Float64Array;
  readonly #physical: Float64Array;
  readonly #lost: Uint8Array;
  /** 1 for pages that were common once and are private since they were written. */
  readonly #isCopied: Uint8Array;
  /** The page behind which a common page stands that the relay gives. */
  readonly #pageOfCommon: ReadonlyMap<number, number>;
  readonly #order: LruList;
  readonly #reads: TranslationBatch;
  readonly #writes: TranslationBatch;
  /** Which reference of the chunk each translation belongs to. */
  readonly #readAt: Uint32Array;
  readonly #writeAt: Uint32Array;
  readonly #batch: number;
  #needs = 0;
  #recounted = 0;
  #chunk: number;

  constructor(partition: Partition, trace: Trace, hcalls: Hcalls, ledger: Ledger, options: ClientOptions) {
    const { plan, resident, batch, hole } = options;
    const pages = trace.pages.length;
    this.partition = partition;
    this.trace = trace;
    this.#h = hcalls;
    this.#ledger = ledger;
    this.#plan = plan;
    this.#residentMax = Math.min(resident ?? pages, pages);
    this.#hole = hole;
    this.#addresses = new Float64Array(pages).fill(hole);
    this.#cookies = new Float64Array(pages);
    this.#physical = new Float64Array(pages);
    this.#lost = new Uint8Array(pages);
    this.#isCopied = new Uint8Array(pages);
    const relayed = Array.from(plan.common, (common, page) => [common, page] as const);
    this.#pageOfCommon = new Map(relayed.filter(([common, page]) => common >= 0 && plan.relayed[page] === 1));
    this.#order = new LruList(pages);
    this.#batch = batch;
    this.#chunk = Math.min(AFTER_FAULT, batch);
    this.#reads = partition.createBatch(batch);
    this.#writes = partition.createBatch(batch);
    this.#readAt = new Uint32Array(batch);
    this.#writeAt = new Uint32Array(batch);
  }

  get isDone(): boolean {
    return this.position === this.trace.length;
  }

  /** Number of the common page behind a page, -1 if it is private (by now). */
  commonOf(page: number): number {
    return this.#isCopied[page] === 1 ? -1 : (this.#plan.common[page] as number);
  }

  privateOf(page: number): number {
    return this.#plan.firstPrivate + page;
  }

  isReadOnly(page: number): boolean {
    return this.#isCopied[page] === 0 && this.#plan.readOnly[page] === 1;
  }

  isRelayed(page: number): boolean {
    return this.#plan.relayed[page] === 1;
  }

  /** What it believes to hold. */
  get standing(): Standing {
    let rescinded = 0;
    for (const page of this.#order) rescinded += this.#lost[page] as number;
    return { mapped: this.#order.size - rescinded, rescinded };
  }

  /** Rights that the references done so far needed, counted again from the trace. */
  get needs(): number {
    for (; this.#recounted < this.position; this.#recounted++)
      this.#needs += this.trace.kind[this.#recounted] === (NEED_READ | NEED_WRITE) ? 2 : 1;
    return this.#needs;
  }

  /** The pager has granted a page, and this client has accepted it. */
  map(page: number, cookie: number, address: number, physical: number): void {
    this.#cookies[page] = cookie;
    this.#addresses[page] = address;
    this.#physical[page] = physical;
    this.#lost[page] = 0;
    this.#order.touch(page);
  }

  /** All mappings are lost with the server. @returns how many stood until then. */
  loseAll(): number {
    let lost = 0;
    for (const page of this.#order) {
      if (this.#lost[page] === 0) lost++;
      this.#lost[page] = 1;
    }
    return lost;
  }

  /** The server took a common page back from the relay. @returns whether this client had it from there. */
  loseCommon(common: number): boolean {
    const page = this.#pageOfCommon.get(common);
    if (page === undefined || this.#isCopied[page] === 1 || !this.#order.has(page)) return false;
    if (this.#lost[page] === 1) return false;
    this.#lost[page] = 1;
    return true;
  }

  /**
   * Translates up to `limit` references, or up to and including the first fault.
   * @returns false if there is a fault that has to wait for the server.
   */
  step(limit: number, pager: Pager): boolean {
    const count = Math.min(this.#chunk, limit);
    const { pageIndex, offset, kind } = this.trace;
    const { position } = this;
    const addresses = this.#addresses;
    const reads = this.#reads.addresses;
    const writes = this.#writes.addresses;
    const readAt = this.#readAt;
    const writeAt = this.#writeAt;
    let readCount = 0;
    let writeCount = 0;
    for (let i = 0; i < count; i++) {
      const address =
        (addresses[pageIndex[position + i] as number] as number) + (offset[position + i] as number);
      const need = kind[position + i] as number;
      if ((need & NEED_READ) !== 0) {
        reads[readCount] = address;
        readAt[readCount++] = i;
      }
      if ((need & NEED_WRITE) !== 0) {
        writes[writeCount] = address;
        writeAt[writeCount++] = i;
      }
    }
    const read = readCount === 0 ? 0 : this.#reads.run(readCount, FOR_READING);
    const write = writeCount === 0 ? 0 : this.#writes.run(writeCount, FOR_WRITING);
    const readFault = read < readCount ? (readAt[read] as number) : count;
    const writeFault = write < writeCount ? (writeAt[write] as number) : count;
    const done = Math.min(readFault, writeFault);
    this.#ledger.ok += countBelow(readAt, read, done) + countBelow(writeAt, write, done);
    this.#finish(done);
    if (done === count) {
      this.#chunk = Math.min(this.#chunk * 2, this.#batch);
      return true;
    }
    this.#chunk = Math.min(AFTER_FAULT, this.#batch);
    const status = readFault <= writeFault ? this.#reads.status[read] : this.#writes.status[write];
    return this.#serve(pageIndex[this.position] as number, status as number, pager);
  }

  /** Takes note of the use of the pages, and looks at one of the answers. */
  #finish(done: number): void {
    if (done === 0) return;
    const { pageIndex, offset, kind } = this.trace;
    const end = this.position + done;
    // Without a limit the order decides nothing.
    if (this.#residentMax < this.#addresses.length) {
      for (let i = this.position; i < end; i++) this.#order.touch(pageIndex[i] as number);
    }
    if (((kind[this.position] as number) & NEED_READ) !== 0) {
      const expected =
        (this.#physical[pageIndex[this.position] as number] as number) + (offset[this.position] as number);
      if (this.#reads.physical[0] !== expected)
        this.#ledger.noteFault(
          `reference ${this.position} of "${this.partition.name}" is at ${this.#reads.physical[0]}, not at ${expected}`,
        );
    }
    this.position = end;
    this.#ledger.references += done;
  }

  #serve(page: number, status: number, pager: Pager): boolean {
    if (!pager.isOpen) {
      this.#ledger.stalls++;
      return false;
    }
    if (status === H_PARAMETER) {
      this.#ledger.notMapped++;
      if (this.#order.size === this.#residentMax) {
        this.#giveBack(this.#order.oldest, pager);
        this.#ledger.evictions++;
      }
      pager.give(this, page);
    } else if (status === H_RESCINDED) {
      this.#ledger.rescinded++;
      if (this.#lost[page] !== 1)
        this.#ledger.noteFault(`page ${page} of "${this.partition.name}" was rescinded by nobody`);
      this.#giveBack(page, pager);
      pager.give(this, page);
    } else if (status === H_PERMISSION) {
      this.#ledger.permission++;
      pager.copy(this, page);
      this.#giveBack(page, pager);
      this.#isCopied[page] = 1;
      pager.give(this, page);
    } else throw new HcallError("H_TRANSLATE", status, `"${this.partition.name}", page ${page}`);
    return true;
  }

  /** Returns a mapping; if it was not rescinded before, it is rescinded now. */
  #giveBack(page: number, pager: Pager): void {
    const cookie = this.#cookies[page] as number;
    expectSuccess("H_RETURN_LOGICAL", this.#h.returnLogical(this.partition.lpid, cookie));
    this.#order.remove(page);
    this.#addresses[page] = this.#hole;
    this.#cookies[page] = 0;
    if (this.#lost[page] === 1) {
      this.#lost[page] = 0;
      this.#ledger.rescindedReturns++;
    } else {
      this.#ledger.returns++;
      pager.take(this, page, cookie);
    }
  }

  /** Gives back some of what it holds. @returns whether there is more. */
  giveBackSome(pager: Pager): boolean {
    for (let i = 0; i < GIVE_BACK_PAGES && this.#order.size > 0; i++)
      this.#giveBack(this.#order.oldest, pager);
    if (this.#order.size > 0) return true;
    this.#reads[Symbol.dispose]();
    this.#writes[Symbol.dispose]();
    return false;
  }
}

/** How many of the first `length` numbers, which rise, are below a bound. */
function countBelow(numbers: Uint32Array, length: number, bound: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
