/**
 * DMA window panes (KI4): what the holder of a pane puts behind the I/O bus, and the bus as a device sees it.
 */
import { Staging } from "./batch.js";
import { copyIn, copyOut, isDirect } from "./copy.js";
import { checkArray, checkNames, HcallError } from "./errors.js";
import type { Holder } from "./holder.js";
import type { Kernel } from "./kernel.js";
import {
  H_BUSY,
  H_PARAMETER,
  H_RESCINDED,
  H_SUCCESS,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  TCE_READ,
  TCE_WRITE,
  TCES_MAX,
  THREAD_JOB,
} from "./layout.js";
import { mustExamine, stagedAt } from "./transfer.js";

/** What devices may do with a page of the holder's memory. */
export interface DmaRights {
  /** Devices read it; default true. */
  readonly read?: boolean | undefined;
  /** Devices write it; default true. */
  readonly write?: boolean | undefined;
}

/** A page of the I/O bus as its holder has mapped it. */
export interface DmaEntry {
  /** Logical address in the holder's memory. */
  readonly address: number;
  /** Whether devices may read it. */
  readonly read: boolean;
  /** Whether devices may write it. */
  readonly write: boolean;
}

/** @throws RangeError for a right that there is not. */
function rightsOf(rights: DmaRights): number {
  checkNames(rights, "read, write");
  const { read = true, write = true } = rights;
  return (read ? TCE_READ : 0) | (write ? TCE_WRITE : 0);
}

/** A logical address and rights as the value of an entry; what is no address of a page becomes no number. */
function tceOf(address: number, rights: number): number {
  // A string must not be taken for the first digits of the sum.
  return typeof address === "number" && address % PAGE_BYTES === 0 ? address + rights : Number.NaN;
}

/**
 * How often a call looks again whether a device goes on using what was taken away, and after how many times a millisecond passes
 * in between. In all short of what an event loop feels, since it must hear of the exit of a device's thread.
 */
const PATIENCE = 64;
const AT_ONCE = 4;

/** Lets another thread run. */
function sleep({ memory }: Kernel, ms: number): void {
  try {
    Atomics.wait(memory.integers, (memory.thread + THREAD_JOB) / 4, 0, ms);
  } catch {
    // The main thread of a browser may not wait; it tries again at once.
  }
}
/** A device's transfer that is not aligned as memory is goes through staging in pieces of so many bytes. */
const BUFFER_BYTES = 65536;

const buffers: WeakMap<Kernel, Staging> = new WeakMap();

/** Staging for lists and pieces, taken on first need and kept as long as the thread has the table. @throws HcallError H_NO_MEM */
function bufferOf(kernel: Kernel): Staging {
  let buffer = buffers.get(kernel);
  if (buffer === undefined) {
    buffer = new Staging(kernel, BUFFER_BYTES + PAGE_BYTES);
    buffers.set(kernel, buffer);
  }
  return buffer;
}

/**
 * The panes of one partition. `liobn` is the logical I/O bus number of the window, `ioba` an address of a pane in the
 * partition's own DMA space, a multiple of 4096.
 *
 * All calls can answer: H_PARAMETER for an LIOBN, bus address or memory address that is not the partition's, or not aligned;
 * H_RESCINDED when the pane or the memory was rescinded; H_PERMISSION for more rights than the memory has; H_RESOURCE where
 * another holder of the window has an entry that is in use; H_NO_MEM beyond 65535 entries of one pane, or of one resource of
 * memory. What fails changes nothing. (PAPR, H_PUT_TCE and its kin.)
 */
export class Dma {
  readonly #kernel: Kernel;
  readonly #holder: Holder;

  /** @internal Made by Partition.dma. */
  constructor(holder: Holder) {
    this.#kernel = holder.kernel;
    this.#holder = holder;
  }

  #call(hcall: string, call: () => number, detail: () => string): number {
    let status = call();
    // The call itself is done: made again, it could find what another holder has put since.
    for (let i = 0; status === H_BUSY && i < PATIENCE; i++) {
      if (i >= AT_ONCE) sleep(this.#kernel, 1);
      status = this.#kernel.core.awaitDevices();
    }
    if (status < 0 || status === H_BUSY) throw new HcallError(hcall, status, detail());
    this.#kernel.settle(hcall, status);
    return this.#kernel.memory.result;
  }

  /**
   * Maps a bus page to a page of this partition's memory (H_PUT_TCE), whatever the page was mapped to before. The entry is a
   * pin of that memory: it cannot be returned before the entry is removed.
   * @param address logical address in its own memory, a multiple of 4096.
   * @throws HcallError as the class says; H_BUSY when a device in another thread goes on using what was mapped before.
   */
  put(liobn: number, ioba: number, address: number, rights: DmaRights = {}): void {
    const tce = tceOf(address, rightsOf(rights));
    this.#call(
      "H_PUT_TCE",
      () => this.#kernel.core.putTce(this.#holder.lpid, liobn, ioba, tce),
      () => `liobn ${liobn}, ioba ${ioba}, address ${address}`,
    );
  }

  /**
   * Removes what is mapped at a bus page, dead or alive; nothing is there afterwards. When this returns no device is using it.
   * @throws HcallError as put().
   */
  remove(liobn: number, ioba: number): void {
    this.stuff(liobn, ioba, undefined, {}, 1);
  }

  /**
   * Maps consecutive bus pages of one pane to pages anywhere in this partition's memory (H_PUT_TCE_INDIRECT): all or none.
   * @param addresses 1 to 512 logical addresses, each a multiple of 4096.
   * @throws HcallError as put(); H_PARAMETER for more than 512; H_NO_MEM when the table's staging is used up.
   */
  putIndirect(liobn: number, ioba: number, addresses: ArrayLike<number>, rights: DmaRights = {}): void {
    const { length } = addresses;
    const detail = (): string => `liobn ${liobn}, ioba ${ioba}, ${length} addresses`;
    if (!(length >= 1 && length <= TCES_MAX))
      this.#kernel.refuseFor(this.#holder.lpid, "H_PUT_TCE_INDIRECT", detail());
    const { core, memory } = this.#kernel;
    const bits = rightsOf(rights);
    // All of them before the buffer: what stands for an array may make calls that use it.
    const tces = Array.from({ length }, (_, i) => tceOf(addresses[i] as number, bits));
    const { offset } = bufferOf(this.#kernel);
    memory.floats.set(tces, offset / 8);
    this.#call(
      "H_PUT_TCE_INDIRECT",
      () => core.putTceList(this.#holder.lpid, liobn, ioba, offset, length),
      detail,
    );
  }

  /**
   * Maps `count` consecutive bus pages of one pane, 1 to 512, to the same page of memory, or removes what is mapped there
   * (H_STUFF_TCE): all or none.
   * @param address logical address, a multiple of 4096; undefined removes.
   * @throws HcallError as put().
   */
  stuff(liobn: number, ioba: number, address: number | undefined, rights: DmaRights, count: number): void {
    const tce = address === undefined ? 0 : tceOf(address, rightsOf(rights));
    this.#call(
      count === 1 && address === undefined ? "H_PUT_TCE" : "H_STUFF_TCE",
      () => this.#kernel.core.stuffTce(this.#holder.lpid, liobn, ioba, tce, count),
      () => `liobn ${liobn}, ioba ${ioba}, address ${String(address)}, count ${count}`,
    );
  }

  /**
   * What this partition has mapped at a bus page, undefined if nothing is there (H_GET_TCE).
   * @throws HcallError H_RESCINDED if the memory of the entry was rescinded; H_RESOURCE if it is another holder's.
   */
  get(liobn: number, ioba: number): DmaEntry | undefined {
    const tce = this.#call(
      "H_GET_TCE",
      () => this.#kernel.core.getTce(this.#holder.lpid, liobn, ioba),
      () => `liobn ${liobn}, ioba ${ioba}`,
    );
    if (tce === 0) return undefined;
    const rights = tce % PAGE_BYTES;
    return {
      address: tce - rights,
      read: (rights & TCE_READ) !== 0,
      write: (rights & TCE_WRITE) !== 0,
    };
  }

  /**
   * The bus behind the windows that this partition owns, as a device model reads and writes it. A physical window may be
   * assigned to several partitions, so that a device names the owner as well as the LIOBN.
   */
  device(liobn: number = 0): DmaDevice {
    return new DmaDevice(this.#holder, liobn);
  }
}

/**
 * A device on the I/O bus of a window's owner. Its addresses are those of the bus, which are physical: what
 * `translate(ioba, { type: "dma" })` answers to whoever holds a pane, so that a driver can tell the device where to go.
 *
 * Each access is checked page by page, at that moment: an entry must stand, its holder must run, and both the entry and the
 * holder's own mapping must give the right. It runs in whatever thread calls, without any lock, and a forced rescind waits for it.
 */
export class DmaDevice {
  /** Logical I/O bus number of the window. */
  readonly liobn: number;
  readonly #kernel: Kernel;
  readonly #holder: Holder;
  /** What must be added to a bus address of the window last used to get the address in its owner's DMA space. */
  #shift = 0;

  /** @internal Made by Dma.device(). */
  constructor(holder: Holder, liobn: number) {
    this.#kernel = holder.kernel;
    this.#holder = holder;
    this.liobn = liobn;
  }

  /** Begins a use of a range. @returns where it is in the table's memory if it is in one piece, else -1. */
  #begin(hcall: string, ioba: number, length: number, need: number): number {
    const { core, memory } = this.#kernel;
    const begin = (): number =>
      core.beginDma(this.#holder.lpid, this.liobn, ioba, ioba + this.#shift, length, need);
    let status = begin();
    if (status === H_PARAMETER && this.#find(ioba)) status = begin();
    if (status !== H_SUCCESS) throw this.#error(hcall, status, ioba, length);
    return memory.result;
  }

  /** Looks for the window of a bus address. Answers whether it is another one than the last. */
  #find(ioba: number): boolean {
    const status = this.#kernel.core.findWindow(this.#holder.lpid, this.liobn, ioba);
    if (status !== H_SUCCESS && status !== H_RESCINDED && status !== H_PARAMETER)
      throw this.#error("H_DMA", status, ioba, 0);
    if (status !== H_SUCCESS) return false;
    const shift = this.#kernel.memory.result - Math.floor(ioba / PAGE_BYTES) * PAGE_BYTES;
    const isOther = shift !== this.#shift;
    this.#shift = shift;
    return isOther;
  }

  #error(hcall: string, status: number, ioba: number, length: number): HcallError {
    return new HcallError(hcall, status, `liobn ${this.liobn}, ioba ${ioba}, length ${length}`);
  }

  /**
   * A private copy of a range of the bus.
   * @param ioba bus address of the first byte.
   * @throws HcallError H_PARAMETER where nothing is mapped, or outside one window; H_RESCINDED where the pane or the memory
   * was rescinded, or the holder or the owner has failed; H_PERMISSION; H_RESOURCE: the memory is lent; H_NO_MEM when no frame is
   * left for a page that is copied before it is written, or no staging for what is not in one piece; RangeError if JavaScript
   * has no room for it.
   */
  read(ioba: number, length: number): Uint8Array {
    if (mustExamine(length)) {
      this.#begin("H_DMA_READ", ioba, length, NEED_READ);
      this.#kernel.core.endUse();
    }
    const target = new Uint8Array(Number(length));
    this.readInto(ioba, target);
    return target;
  }

  /** Copies a range of the bus into `target`. @throws HcallError as read(). */
  readInto(ioba: number, target: Uint8Array): void {
    this.#move("H_DMA_READ", ioba, target, true);
  }

  /**
   * Copies `source` to a range of the bus. A range that fails anywhere moves no byte; what another thread takes away while it is
   * being moved ends the copy there.
   * @throws HcallError as read().
   */
  write(ioba: number, source: Uint8Array): void {
    this.#move("H_DMA_WRITE", ioba, source, false);
  }

  #move(hcall: string, ioba: number, array: Uint8Array, isRead: boolean): void {
    checkArray(isRead ? "target" : "source", array);
    if (this.#moveNow(hcall, ioba, array, isRead)) return;
    // Not within a use: taking staging takes locks, and ends one.
    bufferOf(this.#kernel);
    this.#moveNow(hcall, ioba, array, isRead);
  }

  /** Within a use of the whole range. False: nothing was moved, as staging is needed. */
  #moveNow(hcall: string, ioba: number, array: Uint8Array, isRead: boolean): boolean {
    const { memory, core } = this.#kernel;
    const { length } = array;
    const place = this.#begin(hcall, ioba, length, isRead ? NEED_READ : NEED_WRITE);
    try {
      if (place < 0 || !isDirect(memory, place, array, 0, length)) {
        const buffer = buffers.get(this.#kernel);
        if (buffer === undefined) return false;
        this.#inPieces(hcall, ioba, array, length, isRead, buffer);
      } else if (isRead) copyOut(memory, place, array, 0, length);
      else copyIn(memory, place, array, 0, length);
      return true;
    } finally {
      core.endUse();
    }
  }

  /** Through staging, where the core puts what is not aligned alike at the right distance from a multiple of eight. */
  #inPieces(
    hcall: string,
    ioba: number,
    array: Uint8Array,
    length: number,
    isRead: boolean,
    buffer: Staging,
  ): void {
    const { core, memory } = this.#kernel;
    for (let done = 0; done < length; ) {
      const run = Math.min(BUFFER_BYTES, length - done);
      const from = ioba + done;
      const at = buffer.offset + stagedAt(from, array.byteOffset + done);
      if (!isRead) copyIn(memory, at, array, done, run);
      const status = isRead
        ? core.loadDma(this.#holder.lpid, this.liobn, from, from + this.#shift, run, at)
        : core.storeDma(this.#holder.lpid, this.liobn, from, from + this.#shift, run, at);
      if (status !== H_SUCCESS) throw this.#error(hcall, status, from, run);
      if (isRead) copyOut(memory, at, array, done, run);
      done += run;
    }
  }
}
