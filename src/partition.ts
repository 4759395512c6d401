/**
 * One partition: the calls that it makes, as methods that throw what the architecture answers.
 */
import { VirtualAdapter } from "./adapter.js";
import { TranslationBatch } from "./batch.js";
import type { Core, TableMemory } from "./binding.js";
import { copyIn, copyOut } from "./copy.js";
import { describePartition, showAs } from "./describe.js";
import { ACCEPT, GRANT, publishAccept, publishGrant, publishRescind, RESCIND } from "./diagnostics.js";
import { Dma } from "./dma.js";
import { checkArray, checkInteger, checkNames, refuseKind } from "./errors.js";
import { Events, type PartitionEvent } from "./events.js";
import { checkGrantNames, type GrantOptions } from "./grant-options.js";
import { createImports, type GuestImports, type ImportsOptions } from "./guest-imports.js";
import { Holder } from "./holder.js";
import { Interrupts, raiseInterrupt, ringPort } from "./interrupts.js";
import { type Kernel, refuse, refuseAbout, setKernel } from "./kernel.js";
import {
  END_NEXT,
  END_OPEN,
  END_OWNER,
  END_PARTNER,
  END_STATE,
  ENTRY_READ,
  ENTRY_VALID,
  ENTRY_WRITE,
  H_NOT_FOUND,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_ENDS_MAX,
  INHIBIT_READ,
  INHIBIT_REGRANT,
  INHIBIT_WRITE,
  MODE_SHARE,
  NEED_READ,
  NEED_WRITE,
  PARTITION_ENDS,
  PARTITION_STATE,
} from "./layout.js";
import { type Cookie, Mapping, returnByCookie, View } from "./mapping.js";
import { type CrqEntry, Messages, receiveEntry } from "./messages.js";
import { gather, type MigrationReport } from "./migration.js";
import { Mmio } from "./mmio.js";
import { modeCode } from "./modes.js";
import { QuickUse } from "./quick.js";
import {
  codeOfType,
  endWord,
  liobnAt,
  type PartitionState,
  partitionWord,
  type ResourceType,
  stateName,
  unitAddress,
} from "./records.js";
import {
  acceptDetail,
  accessDetail,
  allocationDetail,
  grantDetail,
  refuseRange,
  sendDetail,
} from "./refusals.js";
import { checkRescindOptions, type RescindOptions, type RescindReport, rescind } from "./rescind.js";
import { readSealed, sealRecord } from "./seal.js";
import { unlessAborted, type WaitOptions } from "./stream.js";
import { TableBuffer } from "./table-buffer.js";
import { mustExamine } from "./transfer.js";
import { LOOP_BYTES, TRAY_BYTES } from "./tray.js";
import { type PartitionUsage, usageOf } from "./usage.js";

/** The partition is destroyed: its object has no power over what gets its number next. */
export let endPartition: (partition: Partition) => void;

/**
 * One partition, in the thread that owns the table or in the partition's own worker: the same class, the same rules. Its calls are
 * the hypercalls of its name, and what they refuse they refuse with an HcallError.
 */
export class Partition {
  static {
    showAs<Partition>(Partition, describePartition);
    endPartition = (partition) => {
      partition.#holder.end();
      partition.#quick.close();
    };
  }

  /** Its number in the table, from 1; another partition may get it when this one is destroyed. */
  readonly lpid: number;
  /** For people: from PartitionOptions. */
  readonly name: string;
  /** Its interrupt sources: masks, ends of service. */
  readonly interrupts: Interrupts;
  /** Its DMA window panes: what devices reach of its memory (KI4). */
  readonly dma: Dma;
  readonly #kernel: Kernel;
  readonly #core: Core;
  readonly #memory: TableMemory;
  /** Its device windows (KI2). */
  readonly mmio: Mmio;
  readonly #events: Events;
  readonly #quick: QuickUse;
  /** By whose number it makes its calls. */
  readonly #holder: Holder;

  /** @internal Made by ResourceTable.createPartition(). */
  constructor(kernel: Kernel, lpid: number, name: string) {
    this.#kernel = kernel;
    this.#core = kernel.core;
    this.#memory = kernel.memory;
    setKernel(this, kernel);
    this.lpid = lpid;
    this.name = name;
    this.#holder = new Holder(kernel, lpid);
    this.mmio = new Mmio(this.#holder);
    this.interrupts = new Interrupts(this.#holder);
    this.dma = new Dma(this.#holder);
    this.#events = new Events(this.#holder);
    this.#quick = new QuickUse(kernel, lpid);
  }

  /** Counts the starts of this partition; a restart makes a new one (G4). */
  get incarnation(): number {
    return this.#holder.incarnation;
  }

  /** "stopped" is recovered, or destroyed: it holds nothing. */
  get state(): PartitionState {
    return stateName(partitionWord(this.#memory, this.#holder.lpid, PARTITION_STATE));
  }

  /** The kernel of the table that made it; throws for a partition of another table. */
  #unitAddress(to: Partition | VirtualAdapter | number): number {
    if (typeof to === "number") return to;
    if (to instanceof VirtualAdapter) {
      if (to.owner === this) return to.unitAddress;
      if (to.partner === this) return to.peer.unitAddress;
      return this.#kernel.refuseFor(
        this.#holder.lpid,
        "adapter",
        `neither end belongs to partition ${this.lpid}`,
      );
    }
    // As adapters[0] is undefined in a partition that was not connected yet, or not again.
    if (typeof to !== "object" || to === null || !(#kernel in to))
      refuseKind("adapter", to, "VirtualAdapter or a Partition");
    const status = this.#core.adapterBetween(
      this.#holder.lpid,
      to.#kernel === this.#kernel ? to.#holder.lpid : 0,
    );
    // Nobody to speak of is an adapter of the caller: GR6 calls that a wrong unit address.
    if (status === H_NOT_FOUND)
      return this.#kernel.refuseFor(
        this.#holder.lpid,
        "adapter",
        `no adapter joins partitions ${this.lpid} and ${to.lpid}`,
      );
    this.#kernel.settle("adapter", status);
    return this.#memory.result;
  }

  /** The answer of an access: lent pages say so. */
  #access(hcall: string, status: number, detail: string): number {
    this.#kernel.settle(hcall, status, accessDetail(status, detail));
    return this.#memory.result;
  }

  // -------------------------------------------------------------- own memory

  /**
   * Whole pages of the memory that it was made with, inside one LMB, the lowest that are free; what was donated to it is no part of
   * that, and is used by its addresses. They hold what was last written to them, by clients
   * of earlier grants too, and zero only if nothing was since the partition started (TR5): fill() them before the next client gets them.
   * @param length bytes, rounded up to pages.
   * @returns the logical address.
   * @throws HcallError H_NO_MEM when no LMB has such a run; H_PARAMETER for a length that is none.
   */
  allocate(length: number): number {
    const status = this.#core.allocate(this.#holder.lpid, length);
    if (status !== H_SUCCESS)
      refuse("H_ALLOCATE", status, allocationDetail(this.#memory, this.#holder.lpid, status, length));
    return this.#memory.result;
  }

  /**
   * Gives back what allocate() gave. It is not zeroed, and its grants stand.
   * @throws HcallError H_PARAMETER if no allocation starts there.
   */
  free(address: number): void {
    const status = this.#core.deallocate(this.#holder.lpid, address);
    if (status !== H_SUCCESS) refuseAbout("H_FREE", status, "address", address);
  }

  // -------------------------------------------------------------- the four hypercalls

  /**
   * Grants a range to a partner (H_GRANT_LOGICAL). The same range may be granted again, to others and to the same one (GR8); this
   * partition keeps its access to what it shares (GR9).
   * @returns the cookie by which the partner accepts and this partition rescinds.
   * @throws HcallError H_PARAMETER, H_RESCINDED, H_PERMISSION, H_NO_MEM as GR1 to GR10 say; H_RESOURCE for pages that are
   * lent, and for a lend or a donation of pages that are granted, under a view, or hold a queue; RangeError for an unknown option.
   */
  grant(options: GrantOptions): Cookie {
    checkGrantNames(options);
    const { to, address, length, type = "memory", mode = "share", copyOnWrite } = options;
    // What is given and not true is no right: of a caller without types, too.
    const { read = true, write = true, regrant = true } = options;
    const code = modeCode(mode, options);
    if (copyOnWrite && code !== MODE_SHARE)
      this.#kernel.refuseFor(
        this.#holder.lpid,
        "H_GRANT_LOGICAL",
        "only what is shared can be copied on write",
      );
    let flags = codeOfType(type);
    if (!read) flags |= INHIBIT_READ;
    if (!write) flags |= INHIBIT_WRITE;
    if (!regrant) flags |= INHIBIT_REGRANT;
    const unit = this.#unitAddress(to);
    const hi = options.liobn ?? liobnAt(this.#memory, this.#holder.lpid, type, address);
    const status =
      code !== MODE_SHARE
        ? this.#core.grantMode(this.#holder.lpid, flags, hi, address, length, unit, code)
        : copyOnWrite
          ? this.#core.grantCopyOnWrite(this.#holder.lpid, flags, hi, address, length, unit)
          : this.#grantShare(flags, hi, address, length, unit);
    if (status !== H_SUCCESS)
      refuse("H_GRANT_LOGICAL", status, grantDetail(this.#memory, status, unit, options));
    const cookie = this.#memory.result as Cookie;
    if (GRANT.hasSubscribers) publishGrant(this, cookie, options);
    return cookie;
  }

  /** A grant that shares. */
  #grantShare(flags: number, hi: number, address: number, length: number, unit: number): number {
    return hi === 0 && (address | 0) === address && (length | 0) === length && (unit | 0) === unit
      ? this.#core.grantLogical32(this.#holder.lpid, flags, address, length, unit)
      : this.#core.grantLogical(this.#holder.lpid, flags, hi, address, length, unit);
  }

  /**
   * Accepts a grant (H_ACCEPT_LOGICAL): maps it at the lowest free logical address.
   * @throws HcallError H_PARAMETER, H_RESCINDED, H_NO_MEM as AC1 to AC5 say.
   */
  accept(cookie: Cookie): Mapping {
    const status = this.#core.acceptLogical32(this.#holder.lpid, cookie);
    if (status !== H_SUCCESS)
      refuse("H_ACCEPT_LOGICAL", status, acceptDetail(this.#memory, this.#holder.lpid, status, cookie));
    const mapping = new Mapping(this.#holder, cookie, this.#memory.result);
    if (ACCEPT.hasSubscribers) publishAccept(this, cookie, mapping);
    return mapping;
  }

  /**
   * Returns an accepted grant (H_RETURN_LOGICAL).
   * @throws HcallError H_PARAMETER, H_RESOURCE, H_RESCINDED as RE1 to RE5 say. A large one that has begun and then found the table locked
   * throws H_LongBusyOrder10msec; rescinded by force before it is called again, it throws H_PARAMETER or H_RESCINDED, and nothing is left
   * to be returned: mapping.return() knows that.
   */
  return(cookie: Cookie): void {
    returnByCookie(this.#holder, cookie);
  }

  /**
   * Rescinds a grant that is not accepted (H_RESCIND_LOGICAL, normal).
   * @throws HcallError H_PARAMETER, H_RESOURCE, H_RESCINDED as RS1 and RS2 say; H_LongBusyOrder10msec while another thread, or a
   * device, is in the middle of an access that began before the grant was returned: try again.
   */
  rescind(cookie: Cookie): void {
    const status = this.#core.rescindLogical32(this.#holder.lpid, 0, cookie);
    if (status !== H_SUCCESS) refuseAbout("H_RESCIND_LOGICAL", status, "cookie", cookie);
    this.#kernel.notice();
    if (RESCIND.hasSubscribers) publishRescind(this, cookie, null);
  }

  /**
   * Rescinds a grant and everything granted on from it by force (H_RESCIND_LOGICAL, forced). The first slice runs before
   * this returns; between slices the event loop turns. Settles when no access remains (RS4 to RS8).
   *
   * With a deadline the client is asked first, and nothing is taken from it by force before that is over.
   *
   * An aborted signal ends the wait, not the rescind: what has begun by force is carried through.
   * @throws HcallError H_PARAMETER when the cookie is not a grant of this partition; RangeError for options that are none;
   * LparError LPAR_NOT_THE_OWNER for onStuck "terminate" in a worker.
   */
  async rescindForced(cookie: Cookie, options: RescindOptions = {}): Promise<RescindReport> {
    // Before anything begins: where the signal is none, nobody would hear how the rescind ends.
    checkRescindOptions(this.#kernel, options);
    options.signal?.throwIfAborted();
    const work = rescind(this.#kernel, this.#holder.lpid, cookie, options).then((report) => {
      if (RESCIND.hasSubscribers) publishRescind(this, cookie, report);
      return report;
    });
    return unlessAborted(work, options.signal);
  }

  /**
   * Moves a range of its own pages onto consecutive frames, so that one view can span it. Addresses, grants and content
   * stay; other threads go on reading and writing, and no write is lost.
   * @param address bytes, a multiple of 4096, as is `length`.
   * @throws HcallError H_PARAMETER if the range is not its own memory; H_RESOURCE if a view stands on it; H_NO_MEM if no
   * run of free frames is long enough; H_RESCINDED. The reason of `signal`, between two slices.
   */
  migrate(address: number, length: number, options: WaitOptions = {}): Promise<MigrationReport> {
    return gather(this.#holder, address, length, options);
  }

  // -------------------------------------------------------------- translation

  /**
   * The physical address of a logical one (TR1).
   * @throws HcallError H_PARAMETER unmapped or past the end, H_RESCINDED, H_PERMISSION, H_RESOURCE: lent; RangeError for an unknown
   * option, but not where it stands beside `write` alone and the address is good: looking for it would cost more than the answer.
   */
  translate(
    address: number,
    options?: {
      readonly type?: ResourceType | undefined;
      readonly write?: boolean | undefined;
      readonly length?: number | undefined;
    },
  ): number {
    // The common case: a crossing costs more than the look-up, and so does a look at what stands beside `write`.
    if (
      options === undefined ||
      (options?.write !== undefined && options.type === undefined && options.length === undefined)
    ) {
      const mask = options?.write ? ENTRY_VALID | ENTRY_WRITE : ENTRY_VALID | ENTRY_READ;
      const physical = this.#quick.translate(address, mask);
      if (physical >= 0) return physical;
    }
    // Below 2^32, and so to the engine, too, which else makes an object of the common case's answer.
    return this.#translateAny(address, options) >>> 0;
  }

  #translateAny(address: number, options: Parameters<Partition["translate"]>[1]): number {
    if (options !== undefined) checkNames(options, "write, length, type");
    const type = codeOfType(options?.type ?? "memory");
    const need = options?.write ? NEED_WRITE : NEED_READ;
    const status = this.#core.translate(this.#holder.lpid, type, address, options?.length ?? 1, need);
    return this.#access("H_TRANSLATE", status, status < 0 ? `address ${address}` : "");
  }

  /**
   * A batch of up to `capacity` translations in the table's memory.
   * @throws RangeError for a capacity that is none; HcallError H_NO_MEM when the table's staging is used up.
   */
  createBatch(capacity: number): TranslationBatch {
    checkInteger("capacity", capacity, 1, 2 ** 26);
    return new TranslationBatch(this.#holder, capacity);
  }

  // -------------------------------------------------------------- checked access

  /**
   * A buffer of `length` bytes in the table's own memory, which the core copies into and out of: the quickest way to move more than
   * some 200 bytes, most of all on Node 20.
   * @throws RangeError for a length that is none; HcallError H_NO_MEM when the table's staging is used up.
   */
  createBuffer(length: number): TableBuffer {
    return new TableBuffer(this.#holder, checkInteger("length", length, 1, 2 ** 31));
  }

  /**
   * Examines a range, and begins a use: a forced rescind waits until endUse(). Answers a byte offset in the table's memory if it is in
   * one piece, else -1.
   */
  #begin(hcall: string, address: number, length: number, need: number): number {
    const status = this.#core.beginUse(this.#holder.lpid, address, length, need);
    if (status !== H_SUCCESS) refuseRange(hcall, status, address, length);
    return this.#memory.result;
  }

  /**
   * A private copy of a range of its memory.
   * @throws HcallError H_PARAMETER, H_RESCINDED, H_PERMISSION (TR1, TR3), H_RESOURCE: lent; RangeError if JavaScript has no room for it.
   */
  read(address: number, length: number): Uint8Array {
    if (mustExamine(length)) {
      this.#begin("H_READ", address, length, NEED_READ);
      this.#core.endUse();
    }
    const target = new Uint8Array(Number(length));
    this.readInto(address, target);
    return target;
  }

  /**
   * Copies a range of its memory into `target`, which may be a part of the table's memory, but not of the range.
   * @throws HcallError as read(); TypeError for what is no array of bytes.
   */
  readInto(address: number, target: Uint8Array): void {
    // What most arrays are is quicker to ask than what they all have.
    if (!(target instanceof Uint8Array)) checkArray("target", target);
    // Once: what is over memory that grows may have another one the next time.
    const { length } = target;
    if (length > LOOP_BYTES && length <= TRAY_BYTES) {
      this.#kernel.tray.move(this.#holder, address, target, length, NEED_READ);
      return;
    }
    const few = this.#quick.begin(address, length, ENTRY_VALID | ENTRY_READ);
    if (few >= 0) {
      try {
        copyOut(this.#memory, few, target, 0, length);
      } finally {
        this.#quick.end();
      }
      return;
    }
    this.#kernel.transfer.prepare(length);
    const offset = this.#begin("H_READ", address, length, NEED_READ);
    try {
      this.#kernel.transfer.read(this.#holder.lpid, address, offset, target, length);
    } finally {
      this.#core.endUse();
    }
  }

  /**
   * Copies `source` into its memory; it may be a part of the table's memory, but not of the range.
   * @throws HcallError as read(), for the right to write; TypeError as readInto().
   */
  write(address: number, source: Uint8Array): void {
    if (!(source instanceof Uint8Array)) checkArray("source", source);
    const { length } = source;
    if (length > LOOP_BYTES && length <= this.#memory.mostByTray) {
      this.#kernel.tray.move(this.#holder, address, source, length, NEED_WRITE);
      return;
    }
    const few = this.#quick.begin(address, length, ENTRY_VALID | ENTRY_WRITE);
    if (few >= 0) {
      try {
        copyIn(this.#memory, few, source, 0, length);
      } finally {
        this.#quick.end();
      }
      return;
    }
    this.#kernel.transfer.prepare(length);
    const offset = this.#begin("H_WRITE", address, length, NEED_WRITE);
    try {
      this.#kernel.transfer.write(this.#holder.lpid, address, offset, source, length);
    } finally {
      this.#core.endUse();
    }
  }

  /** Sets a range to one byte value, 0 to 255. @throws HcallError as write(). */
  fill(address: number, length: number, byte: number): void {
    const status = this.#core.fillMemory(this.#holder.lpid, address, length, byte);
    this.#access("H_FILL", status, status < 0 ? `address ${address}, length ${length}, byte ${byte}` : "");
  }

  /**
   * Copies from its own logical address to a partner's, as H_COPY_RDMA does: this side needs read, the partner's range
   * write. Overlapping ranges are copied as if through a buffer.
   * @throws HcallError H_PARAMETER also when no adapter joins the two; H_RESOURCE onto a queue of the partner's; H_NO_MEM when they
   * overlap in pieces that do not fit the staging of the table.
   */
  copy(from: number, partner: Partition, to: number, length: number): void {
    if (!(partner instanceof Partition)) refuseKind("partner", partner, "Partition");
    const partnerLpid = partner.#kernel === this.#kernel ? partner.#holder.lpid : 0;
    const status = this.#core.copyMemory(this.#holder.lpid, from, partnerLpid, to, length);
    const ranges = status < 0 ? `from ${from}, to ${to}, length ${length}` : "";
    const detail = status === H_RESOURCE ? `${ranges}: pages of them are lent, or hold a queue` : ranges;
    this.#kernel.settle("H_COPY_RDMA", status, detail);
  }

  /** An aligned 32-bit word, unsigned. @throws HcallError as read(); H_PARAMETER if not aligned to 4. */
  load32(address: number): number {
    const status = this.#core.loadWord(this.#holder.lpid, address);
    return this.#access("H_LOAD32", status, status < 0 ? `address ${address}` : "");
  }

  /** Stores an aligned 32-bit word, given as an integer from -2^31 to 2^32 - 1. @throws HcallError as write(). */
  store32(address: number, value: number): void {
    const status = this.#core.storeWord(this.#holder.lpid, address, value);
    this.#access("H_STORE32", status, status < 0 ? `address ${address}, value ${value}` : "");
  }

  /** Replaces the word if it equals `expected`. @returns the word before. @throws HcallError as load32() and store32(). */
  compareExchange32(address: number, expected: number, replacement: number): number {
    const status = this.#core.compareExchangeWord(this.#holder.lpid, address, expected, replacement);
    const detail = status < 0 ? `address ${address}, expected ${expected}, replacement ${replacement}` : "";
    return this.#access("H_CAS32", status, detail);
  }

  /** Adds to the word, modulo 2^32. @returns the word before. @throws HcallError as load32() and store32(). */
  add32(address: number, value: number): number {
    const status = this.#core.addWord(this.#holder.lpid, address, value);
    return this.#access("H_ADD32", status, status < 0 ? `address ${address}, value ${value}` : "");
  }

  /**
   * Seals a record: its last 16 bytes become a checksum of those before, so that sealed() can tell it from one that was
   * left half written. Write the payload first; a sealed record may be rewritten as it is, and is sealed again at the end.
   * @param length bytes of the whole record, from 16: the payload and its seal.
   * @throws RangeError for a length that is none; HcallError as read() for the payload and write() for the seal.
   */
  seal(address: number, length: number): void {
    sealRecord(this, address, length);
  }

  /**
   * A private copy of the payload of a sealed record, without the 16 bytes of its seal; undefined if the record is not
   * complete: never sealed, being written at the moment, or torn by the end of its writer.
   * @param length bytes of the whole record, as seal() was given.
   * @throws RangeError for a length that is none; HcallError as read().
   */
  sealed(address: number, length: number): Uint8Array | undefined {
    return readSealed(this, address, length);
  }

  /**
   * A zero-copy window on a range (TR4). It pins: a mapping with a view cannot be returned.
   * Of a partition that is a worker thread all views end with that thread: an array that the owner of the table keeps of one shows what is
   * others' by then.
   * @throws HcallError as read() and write(): an Uint8Array can be written, so both rights are needed; H_RESOURCE if the
   * range is not physically contiguous; H_NO_MEM when no pin is left.
   */
  view(address: number, length: number): View {
    return new View(this.#holder, address, length);
  }

  // -------------------------------------------------------------- queues and events

  /**
   * Its open virtual adapters: in a worker, how the partition learns whom it can grant to. There a partner's object is of whoever has the
   * number: another partition, under the name of the first, if that was destroyed. Its incarnation is another one then.
   */
  get adapters(): VirtualAdapter[] {
    while (true) {
      const adapters = this.#walkAdapters();
      if (adapters !== undefined) return adapters;
    }
  }

  /**
   * Without the lock: an end may close and be another partition's while we look. It is taken for ours only if it is so
   * after all of it was read. Who unlinks an end leads the link before it past it, and only then clears its own: what an
   * end says of the next one is true if the link that led to the end still does.
   * @returns undefined if the walk left the list.
   */
  #walkAdapters(): VirtualAdapter[] | undefined {
    const { memory, partitionOf } = this.#kernel;
    const adapters: VirtualAdapter[] = [];
    const first = (): number => partitionWord(memory, this.#holder.lpid, PARTITION_ENDS);
    let link = first;
    let slot = first();
    for (let left = memory.header(HEADER_ENDS_MAX); slot !== 0 && left > 0; left--) {
      const here = slot;
      const unit = unitAddress(memory, here);
      // Before and after: in between it cannot have left and come back without another generation.
      const isListed = (): boolean => link() === here && unitAddress(memory, here) === unit;
      if (!isListed()) return undefined;
      const far = endWord(memory, here, END_PARTNER);
      const farUnit = unitAddress(memory, far);
      const partner = endWord(memory, far, END_OWNER);
      const next = endWord(memory, here, END_NEXT);
      const isOpen = endWord(memory, here, END_STATE) === END_OPEN;
      if (!isListed()) return undefined;
      if (isOpen && partner !== 0)
        adapters.push(new VirtualAdapter(this, unit, partitionOf(partner), farUnit));
      link = () => {
        const after = endWord(memory, here, END_NEXT);
        // A free end has a link too, into the list of those that are free.
        return unitAddress(memory, here) === unit ? after : 0;
      };
      slot = next;
    }
    return adapters;
  }

  /**
   * Raises an interrupt source that it owns or has accepted (KI3): the owner and all who have accepted it get an event, this
   * partition among them.
   * @param address number in its interrupt space.
   * @throws HcallError H_PARAMETER, H_RESCINDED; H_PARTIAL if grants on the source ended again and again meanwhile.
   */
  raise(address: number): void {
    raiseInterrupt(this.#kernel, this.#holder.lpid, address, false);
  }

  /**
   * Rings the doorbell behind a port that it owns or has accepted (KI5): the owner of the port gets an event, and wakes up.
   * @param address number in its port space.
   * @throws HcallError H_PARAMETER, H_RESCINDED; H_CLOSED if the owner of the port does not run.
   */
  ring(address: number): void {
    ringPort(this.#kernel, this.#holder.lpid, address);
  }

  /**
   * Registers a ring of 16-byte entries in its own memory for messages from the adapter's partner (H_REG_CRQ).
   * @param address bytes, a multiple of 4096, as is `length`.
   * @returns H_SUCCESS, or H_CLOSED when the partner has not registered (CQ4).
   * @throws HcallError H_PARAMETER; H_RESOURCE if a queue is registered already, or the pages hold another one, are lent, or are
   * granted with the right to write: who has it could forge events.
   */
  registerQueue(adapter: VirtualAdapter, address: number, length: number): number {
    const unit = this.#unitAddress(adapter);
    const status = this.#core.registerQueue(this.#holder.lpid, unit, address, length);
    return this.#kernel.settle(
      "H_REG_CRQ",
      status,
      `unit address ${unit}, address ${address}, length ${length}`,
    );
  }

  /**
   * Frees the queue; the partner is told (H_FREE_CRQ). Also when the partner has failed: what has come can be read until then, and the end
   * of the adapter that is over counts among the table's `adapters`.
   * @throws HcallError H_PARAMETER if none is registered.
   */
  freeQueue(adapter: VirtualAdapter): void {
    const unit = this.#unitAddress(adapter);
    this.#kernel.settle("H_FREE_CRQ", this.#core.freeQueue(this.#holder.lpid, unit), `unit address ${unit}`);
  }

  /**
   * Sends one entry of 16 bytes to the adapter's partner (H_SEND_CRQ).
   * @param entry its first byte, the header, is 0x80 of a message, and never less than that or 0xFF.
   * @throws HcallError H_CLOSED, H_DROPPED, H_PARAMETER (CQ3); RangeError if it is not 16 bytes; TypeError for what is no
   * adapter, or no array of bytes.
   */
  send(adapter: VirtualAdapter, entry: Uint8Array): void {
    const unit = this.#unitAddress(adapter);
    checkArray("entry", entry);
    if (entry.length !== 16) throw new RangeError(`the entry has ${entry.length} bytes; it must have 16`);
    const words = new DataView(entry.buffer, entry.byteOffset, 16);
    const [a, b, c, d] = [0, 4, 8, 12].map((offset) => words.getUint32(offset, true)) as [
      number,
      number,
      number,
      number,
    ];
    const status = this.#core.sendEntry(this.#holder.lpid, unit, a, b, c, d);
    if (status === H_SUCCESS) return void this.#kernel.notice();
    refuse("H_SEND_CRQ", status, sendDetail(status, unit, entry));
  }

  /** The oldest entry of the adapter's queue, if there is one. @throws HcallError H_PARAMETER, H_CLOSED */
  receive(adapter: VirtualAdapter): CrqEntry | undefined {
    return receiveEntry(this.#kernel, this.#holder.lpid, this.#unitAddress(adapter));
  }

  /**
   * The entries that the partner sends, as they come; ends after the event that the partner failed, when the queue is freed, or with
   * this partition's own failure. Registers one of a page of its own memory if none is registered, and frees it at the end: the highest
   * that allocate() has free and of which nobody has a grant, a view or a queue. What stood in it is lost.
   * @throws HcallError H_NO_MEM if a queue is needed and there is no such page; TypeError for what is no adapter.
   */
  messages(adapter: VirtualAdapter, options: WaitOptions = {}): AsyncIterableIterator<CrqEntry> {
    return new Messages(this.#holder, this.#unitAddress(adapter), options).stream;
  }

  /**
   * What this partition is told, oldest first; ends when it fails or the table closes. Of a reader who leaves, as by `break`, the next
   * one gets what is left unread, unless there is another stream, which has it all.
   */
  events(options: WaitOptions = {}): AsyncIterableIterator<PartitionEvent> {
    return this.#events.subscribe(options);
  }

  /**
   * The next event, if there is one. What it takes no stream of events() sees, and the other way round: use either.
   * @throws HcallError H_LongBusyOrder10msec if another thread has the partition locked.
   */
  takeEvent(): PartitionEvent | undefined {
    return this.#events.take();
  }

  /**
   * The next event; blocks this thread until there is one. For worker threads: the thread that owns the table does not
   * hear meanwhile that a worker has exited.
   * @param timeoutMs an integer from 0 to 2^31 - 1, or Infinity.
   * @returns undefined when the time is over, or the partition does not run.
   * @throws RangeError for a time that is none; LparError LPAR_UNSUPPORTED if it would block the main thread of a
   * browser, which may not, or the only thread of a table made with `threads: 0`.
   */
  waitEvent(timeoutMs: number): PartitionEvent | undefined {
    return this.#events.wait(timeoutMs);
  }

  /**
   * An import object by which an untrusted WebAssembly module is this partition: functions of numbers, each of which answers
   * a status. It is the incarnation's that runs now; later ones need another. See bindMemory() and openGuest().
   * @throws TypeError if `memory` is no WebAssembly.Memory; LparError LPAR_CLOSED.
   */
  imports(options: ImportsOptions = {}): GuestImports {
    if (this.#holder.lpid === 0) this.#kernel.refuseFor(0, "imports", `"${this.name}" was destroyed`);
    return createImports(this, this.#kernel, options);
  }

  /** What it holds now. */
  usage(): PartitionUsage {
    return usageOf(this.#memory, this.#holder.lpid);
  }
}
