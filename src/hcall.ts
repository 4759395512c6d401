/**
 * Entry `lpar/hcall`: the hypercalls as the reference numbers them. Integers in, status out, no allocation, no
 * exceptions.
 */
import { Staging } from "./batch.js";
import type { Core } from "./binding.js";
import { checkInteger } from "./errors.js";
import { type Kernel, kernelOf } from "./kernel.js";
import {
  EVENT_DOORBELL,
  EVENT_LPID,
  EVENT_TYPE,
  HEADER_BUDGET,
  REQUEST_ARGUMENTS,
  REQUEST_BYTES,
  REQUEST_COOKIE,
  REQUEST_FLAGS,
  REQUEST_LENGTH,
  REQUEST_LOGICAL,
  REQUEST_LPID,
  REQUEST_RESULT,
  REQUEST_STATUS,
  REQUEST_TOKEN,
  REQUEST_UNIT,
  REQUEST_WORDS,
  TOKEN_ACCEPT,
  TOKEN_GET_TCE,
  TOKEN_GRANT,
  TOKEN_PUT_TCE,
  TOKEN_PUT_TCE_INDIRECT,
  TOKEN_RESCIND,
  TOKEN_RETURN,
  TOKEN_STUFF_TCE,
  TYPE_INTERRUPT,
  TYPE_IPI,
} from "./layout.js";
import type { Partition } from "./partition.js";
import type { ResourceTable } from "./resource-table.js";

export {
  H_BUSY,
  H_CLOSED,
  H_DROPPED,
  H_FUNCTION,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  MODE_DONATE,
  MODE_LEND,
  MODE_SHARE,
  MODE_ZERO,
} from "./layout.js";

/**
 * The raw hypercalls of one table. Whoever has them may speak for every partition.
 *
 * Every number has an answer. What is no number is converted as JavaScript does for WebAssembly ("4096" is 4096, undefined NaN); a
 * BigInt or a symbol cannot be, and is a TypeError before anything has happened: a mistake of the program, which no status tells.
 */
export class Hcalls {
  readonly #kernel: Kernel;
  readonly #core: Core;
  readonly #words: Uint32Array;
  // What is called most often, looked up once. What is an integer of 32 bits, (x | 0) === x, goes as such: the engine has most numbers
  // so already, and would make a double of each, which the core would have to decode.
  readonly #grantLogical: Core["grantLogical"];
  readonly #grantLogical32: Core["grantLogical32"];
  readonly #acceptLogical: Core["acceptLogical"];
  readonly #acceptLogical32: Core["acceptLogical32"];
  readonly #returnLogical: Core["returnLogical"];
  readonly #returnLogical32: Core["returnLogical32"];
  readonly #rescindLogical: Core["rescindLogical"];
  readonly #rescindLogical32: Core["rescindLogical32"];

  /** @internal Made by hcalls(). */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#core = kernel.core;
    this.#grantLogical = kernel.core.grantLogical;
    this.#grantLogical32 = kernel.core.grantLogical32;
    this.#acceptLogical = kernel.core.acceptLogical;
    this.#acceptLogical32 = kernel.core.acceptLogical32;
    this.#returnLogical = kernel.core.returnLogical;
    this.#returnLogical32 = kernel.core.returnLogical32;
    this.#rescindLogical = kernel.core.rescindLogical;
    this.#rescindLogical32 = kernel.core.rescindLogical32;
    this.#words = kernel.memory.words;
  }

  /** Second result of the last call: a cookie, an address, a count (register R4). */
  get r4(): number {
    return this.#kernel.memory.result;
  }

  /** Steps of one slice of a forced rescind, 1 to 2^30. A structure costs about four, a page 1/64. */
  get budget(): number {
    return this.#kernel.memory.header(HEADER_BUDGET);
  }

  /** @throws RangeError */
  set budget(steps: number) {
    this.#words[HEADER_BUDGET / 4] = checkInteger("budget", steps, 1, 2 ** 30);
  }

  /** Those who wait for events are told of what raw calls cause, too. */
  #tell(status: number): number {
    this.#kernel.notice();
    return status;
  }

  /** H_GRANT_LOGICAL (0x1C4). R4: the cookie. */
  grantLogical(
    lpid: number,
    flags: number,
    logicalHi: number,
    logicalLo: number,
    length: number,
    unitAddress: number,
  ): number {
    return logicalHi === 0 &&
      (lpid | 0) === lpid &&
      (flags | 0) === flags &&
      (logicalLo | 0) === logicalLo &&
      (length | 0) === length &&
      (unitAddress | 0) === unitAddress
      ? this.#grantLogical32(lpid, flags, logicalLo, length, unitAddress)
      : this.#grantLogical(lpid, flags, logicalHi, logicalLo, length, unitAddress);
  }

  /**
   * H_GRANT_LOGICAL in a mode, since the byte of its flags is full: MODE_SHARE, MODE_LEND, MODE_LEND | MODE_ZERO, or
   * MODE_DONATE. R4: the cookie. There is no batch form of it.
   */
  grantMode(
    lpid: number,
    flags: number,
    logicalHi: number,
    logicalLo: number,
    length: number,
    unitAddress: number,
    mode: number,
  ): number {
    return this.#core.grantMode(lpid, flags, logicalHi, logicalLo, length, unitAddress, mode);
  }

  /** As grantLogical(), of memory: the grantee's first write to a page gets it a page of its own. R4: the cookie. */
  grantCopyOnWrite(
    lpid: number,
    flags: number,
    logicalHi: number,
    logicalLo: number,
    length: number,
    unitAddress: number,
  ): number {
    return this.#core.grantCopyOnWrite(lpid, flags, logicalHi, logicalLo, length, unitAddress);
  }

  /** H_ACCEPT_LOGICAL (0x1CC). R4: the logical address. */
  acceptLogical(lpid: number, cookie: number): number {
    return (lpid | 0) === lpid ? this.#acceptLogical32(lpid, cookie) : this.#acceptLogical(lpid, cookie);
  }

  /**
   * H_RETURN_LOGICAL (0x1D0). H_BUSY: call again. When that answers H_RESCINDED or H_PARAMETER, the grant was rescinded by force in between:
   * nothing is left to be returned, also where a call found the table locked (H_LongBusyOrder10msec) meanwhile.
   */
  returnLogical(lpid: number, cookie: number): number {
    return this.#tell(
      (lpid | 0) === lpid ? this.#returnLogical32(lpid, cookie) : this.#returnLogical(lpid, cookie),
    );
  }

  /** H_RESCIND_LOGICAL (0x1C8). R4 of H_PARTIAL: a bound of the steps that remain. */
  rescindLogical(lpid: number, flags: number, cookie: number): number {
    return this.#tell(
      (lpid | 0) === lpid && (flags | 0) === flags
        ? this.#rescindLogical32(lpid, flags, cookie)
        : this.#rescindLogical(lpid, flags, cookie),
    );
  }

  /** Logical to physical (TR1). R4: the physical address. */
  translate(lpid: number, type: number, address: number, length: number, need: number): number {
    return this.#core.translate(lpid, type, address, length, need);
  }

  /**
   * H_PUT_TCE (0x20): maps a bus page of a DMA window pane to a page of the caller's memory. `tce` is the logical address,
   * a multiple of 4096, plus 1 for devices to read and 2 for devices to write; without either the entry is removed. H_BUSY:
   * done, but a device goes on using what was there; call again to wait again. H_RESOURCE then: what was to be removed is, and
   * another holder has put something since.
   */
  putTce(lpid: number, liobn: number, ioba: number, tce: number): number {
    return this.#core.putTce(lpid, liobn, ioba, tce);
  }

  /**
   * H_PUT_TCE_INDIRECT (0x13C): 1 to 512 entries for consecutive bus pages, all or none, from a page of the caller's memory
   * at the logical address `list`: 64-bit words, little-endian here. Statuses as putTce().
   */
  putTceIndirect(lpid: number, liobn: number, ioba: number, list: number, count: number): number {
    return this.#core.putTceIndirect(lpid, liobn, ioba, list, count);
  }

  /** H_STUFF_TCE (0x138): the same entry for 1 to 512 consecutive bus pages. Statuses as putTce(). */
  stuffTce(lpid: number, liobn: number, ioba: number, tce: number, count: number): number {
    return this.#core.stuffTce(lpid, liobn, ioba, tce, count);
  }

  /** H_GET_TCE (0x1C). R4: the entry, 0 for none. H_RESCINDED: its memory was rescinded. H_RESOURCE: another holder's. */
  getTce(lpid: number, liobn: number, ioba: number): number {
    return this.#core.getTce(lpid, liobn, ioba);
  }

  /** H_REG_CRQ. */
  regCrq(lpid: number, unitAddress: number, address: number, length: number): number {
    return this.#core.registerQueue(lpid, unitAddress, address, length);
  }

  /** H_FREE_CRQ. */
  freeCrq(lpid: number, unitAddress: number): number {
    return this.#tell(this.#core.freeQueue(lpid, unitAddress));
  }

  /** H_SEND_CRQ, the entry as four little-endian words; its header is the low byte of the first. */
  sendCrq(lpid: number, unitAddress: number, w0: number, w1: number, w2: number, w3: number): number {
    return this.#tell(this.#core.sendEntry(lpid, unitAddress, w0, w1, w2, w3));
  }

  /**
   * An interrupt source is raised (KI3).
   * @param position 0; after H_PARTIAL, which needs more sharers than the budget has steps, R4, to go on.
   */
  raiseInterrupt(lpid: number, address: number, position = 0): number {
    return this.#tell(this.#core.raiseInterrupt(lpid, address, 0, position));
  }

  /** H_IPI: rings the doorbell behind a port (KI5). H_CLOSED: its owner does not run. */
  sendIpi(lpid: number, address: number): number {
    return this.#tell(this.#core.sendIpi(lpid, address));
  }

  /** H_XIRR: takes the interrupt or doorbell that has waited longest. R4: its number. H_NOT_FOUND: none waits. */
  takeInterrupt(lpid: number): number {
    return this.#core.takeLine(lpid);
  }

  /** The type of resource of what takeInterrupt() took last: 4 interrupt source, 6 port. */
  get takenType(): number {
    const { memory } = this.#kernel;
    return memory.header(memory.entry + EVENT_TYPE) === EVENT_DOORBELL ? TYPE_IPI : TYPE_INTERRUPT;
  }

  /** The lpid of who raised or rang what takeInterrupt() took last, 0 for the manager. */
  get takenFrom(): number {
    return this.#kernel.memory.header(this.#kernel.memory.entry + EVENT_LPID);
  }

  /** H_EOI: the end of what was taken of an armed source. */
  endInterrupt(lpid: number, address: number): number {
    return this.#tell(this.#core.endInterrupt(lpid, address));
  }

  /** Arms (1) a source, or disarms it (0). */
  armInterrupt(lpid: number, address: number, arms: number): number {
    return this.#tell(this.#core.armInterrupt(lpid, address, arms));
  }

  /** Masks (1) a source, or unmasks it (0). */
  maskInterrupt(lpid: number, address: number, masks: number): number {
    return this.#tell(this.#core.maskInterrupt(lpid, address, masks));
  }

  /** An array of requests for the batch form. @throws RangeError, HcallError H_NO_MEM */
  createRequests(capacity: number): RequestBatch {
    return new RequestBatch(this.#kernel, checkInteger("capacity", capacity, 1, 2 ** 24));
  }
}

/**
 * The raw hypercalls of a table, for the thread that asks.
 * @param of the table, or in a worker thread the partition that it is (`currentPartition()`).
 */
export function hcalls(of: ResourceTable | Partition): Hcalls {
  return new Hcalls(kernelOf(of));
}

/** The batch form: requests in the table's own memory, carried out in order by one crossing. */
export class RequestBatch implements Disposable {
  /** Requests that it has room for. */
  readonly capacity: number;
  readonly #kernel: Kernel;
  readonly #staging: Staging;
  #words: Uint32Array;
  #statuses: Int32Array;
  #floats: Float64Array;

  /** @internal Made by Hcalls.createRequests(). */
  constructor(kernel: Kernel, capacity: number) {
    this.capacity = capacity;
    this.#kernel = kernel;
    this.#staging = new Staging(kernel, capacity * REQUEST_BYTES);
    const { buffer } = kernel.memory.bytes;
    this.#words = new Uint32Array(buffer, this.#staging.offset, (capacity * REQUEST_BYTES) / 4);
    this.#statuses = new Int32Array(buffer, this.#staging.offset, (capacity * REQUEST_BYTES) / 4);
    this.#floats = new Float64Array(buffer, this.#staging.offset, (capacity * REQUEST_BYTES) / 8);
  }

  /** Writes a request by doubles. */
  #put(index: number, token: number, lpid: number, a: number, b = 0, c = 0, d = 0, e = 0): void {
    const first = index * (REQUEST_BYTES / 8) + REQUEST_ARGUMENTS / 8;
    this.#words[index * (REQUEST_BYTES / 4) + REQUEST_TOKEN / 4] = token;
    this.#floats[index * (REQUEST_BYTES / 8) + REQUEST_LPID / 8] = lpid;
    this.#floats[first] = a;
    this.#floats[first + 1] = b;
    this.#floats[first + 2] = c;
    this.#floats[first + 3] = d;
    this.#floats[first + 4] = e;
  }

  /** Writes a request by words that names a grant. */
  #name(index: number, token: number, lpid: number, flags: number, cookie: number): void {
    const words = this.#words;
    const first = index * (REQUEST_BYTES / 4);
    words[first + REQUEST_TOKEN / 4] = token;
    words[first + REQUEST_LPID / 4] = lpid;
    words[first + REQUEST_FLAGS / 4] = flags;
    this.#floats[index * (REQUEST_BYTES / 8) + REQUEST_COOKIE / 8] = cookie;
  }

  /** Request `index` is a H_GRANT_LOGICAL. */
  grant(
    index: number,
    lpid: number,
    flags: number,
    hi: number,
    lo: number,
    length: number,
    unit: number,
  ): void {
    if (
      hi === 0 &&
      (lpid | 0) === lpid &&
      (flags | 0) === flags &&
      (lo | 0) === lo &&
      (length | 0) === length &&
      (unit | 0) === unit
    ) {
      const words = this.#words;
      const first = index * (REQUEST_BYTES / 4);
      words[first + REQUEST_TOKEN / 4] = TOKEN_GRANT | REQUEST_WORDS;
      words[first + REQUEST_LPID / 4] = lpid;
      words[first + REQUEST_FLAGS / 4] = flags;
      words[first + REQUEST_LOGICAL / 4] = lo;
      words[first + REQUEST_LENGTH / 4] = length;
      words[first + REQUEST_UNIT / 4] = unit;
    } else this.#put(index, TOKEN_GRANT, lpid, flags, hi, lo, length, unit);
  }

  /** Request `index` is a H_ACCEPT_LOGICAL. */
  accept(index: number, lpid: number, cookie: number): void {
    if ((lpid | 0) === lpid) this.#name(index, TOKEN_ACCEPT | REQUEST_WORDS, lpid, 0, cookie);
    else this.#put(index, TOKEN_ACCEPT, lpid, cookie);
  }

  /** Request `index` is a H_RETURN_LOGICAL. */
  return(index: number, lpid: number, cookie: number): void {
    if ((lpid | 0) === lpid) this.#name(index, TOKEN_RETURN | REQUEST_WORDS, lpid, 0, cookie);
    else this.#put(index, TOKEN_RETURN, lpid, cookie);
  }

  /** Request `index` is a H_RESCIND_LOGICAL. */
  rescind(index: number, lpid: number, flags: number, cookie: number): void {
    if ((lpid | 0) === lpid && (flags | 0) === flags)
      this.#name(index, TOKEN_RESCIND | REQUEST_WORDS, lpid, flags, cookie);
    else this.#put(index, TOKEN_RESCIND, lpid, flags, cookie);
  }

  /** Request `index` is a H_PUT_TCE. */
  putTce(index: number, lpid: number, liobn: number, ioba: number, tce: number): void {
    this.#put(index, TOKEN_PUT_TCE, lpid, liobn, ioba, tce);
  }

  /** Request `index` is a H_PUT_TCE_INDIRECT. */
  putTceIndirect(
    index: number,
    lpid: number,
    liobn: number,
    ioba: number,
    list: number,
    count: number,
  ): void {
    this.#put(index, TOKEN_PUT_TCE_INDIRECT, lpid, liobn, ioba, list, count);
  }

  /** Request `index` is a H_STUFF_TCE. */
  stuffTce(index: number, lpid: number, liobn: number, ioba: number, tce: number, count: number): void {
    this.#put(index, TOKEN_STUFF_TCE, lpid, liobn, ioba, tce, count);
  }

  /** Request `index` is a H_GET_TCE. */
  getTce(index: number, lpid: number, liobn: number, ioba: number): void {
    this.#put(index, TOKEN_GET_TCE, lpid, liobn, ioba);
  }

  /**
   * Carries out the first `count` requests in order. A request that fails does not stop the others.
   * @returns how many were answered H_SUCCESS: where that is all of them, no status need be read.
   * @throws RangeError
   */
  run(count: number): number {
    this.#staging.check();
    checkInteger("count", count, 0, this.capacity);
    this.#kernel.settle("H_BATCH", this.#kernel.core.hcallBatch(this.#staging.offset, count));
    return this.#kernel.memory.result;
  }

  /** The status of request `index`. */
  status(index: number): number {
    return this.#statuses[index * (REQUEST_BYTES / 4) + REQUEST_STATUS / 4] as number;
  }

  /** The second result (R4) of request `index`; 0 if it has none. */
  result(index: number): number {
    return this.#floats[index * (REQUEST_BYTES / 8) + REQUEST_RESULT / 8] as number;
  }

  /** Gives its memory back, which may be another batch's from now on: nothing that is put reaches it any more. */
  [Symbol.dispose](): void {
    this.#words = new Uint32Array();
    this.#statuses = new Int32Array();
    this.#floats = new Float64Array();
    this.#staging.free();
  }
}
