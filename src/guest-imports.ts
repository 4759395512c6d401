/**
 * What an untrusted WebAssembly module may call: the hypercalls of one partition, numbers in, a status out. The module never
 * sees the table's memory and only ever acts as its own partition; nothing here calls back into it.
 *
 * The interface (DESIGN 3.10 has the table): addresses, cookies, unit addresses and lengths of logical ranges are f64, since
 * they go up to 2^53; pointers and lengths in the guest's own memory, flags and words are i32. Every number is hostile, and so
 * are the types: a module may declare an import with any parameters it likes.
 */
import type { Core, TableMemory } from "./binding.js";
import { POKE_SLICES } from "./binding.js";
import { copyIn, copyOut } from "./copy.js";
import { checkNames, HcallError } from "./errors.js";
import { isMemory } from "./guest-module.js";
import { Holder } from "./holder.js";
import type { Kernel } from "./kernel.js";
import {
  ENTRY_READ,
  ENTRY_VALID,
  ENTRY_WRITE,
  EVENT_BYTES,
  EVENT_MS_LIMIT,
  H_FUNCTION,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_SUCCESS,
  NEED_READ,
  NEED_WRITE,
  PARTITION_SIGNAL,
  PARTITION_WAITING,
  QUEUE_ENTRY_BYTES,
  RESCIND_FORCED,
  THREAD_WAITS_FOR,
} from "./layout.js";
import type { Partition } from "./partition.js";
import { QuickUse } from "./quick.js";
import { partitionOffset } from "./records.js";
import { moveFew, moveWords } from "./tray.js";
import { Views } from "./views.js";

/** The import module of a guest: name and version of the interface. What is added keeps it, what changes gets another. */
export const GUEST_ABI = "lpar_1";

/**
 * Bytes that one call of a guest may read, write, fill, copy or make a queue of: whoever takes something back waits for the
 * uses that run, so none of them may last as long as its caller likes. More is H_PARAMETER.
 */
export const GUEST_CALL_BYTES = 1048576;

/** Parameters and result of a function are numbers when its module declares it as the interface says. */
export type GuestFunction = (...parameters: number[]) => number;

/** An import object for WebAssembly. */
export type GuestImports = Record<string, Record<string, GuestFunction | WebAssembly.Memory>>;

/** How an import object is made. */
export interface ImportsOptions {
  /** The guest's memory; a module that imports one gets it as "memory" of the interface and of "env". */
  readonly memory?: WebAssembly.Memory | undefined;
}

/** The functions of the interface. */
export const GUEST_FUNCTIONS = [
  "r4",
  "grant",
  "accept",
  "return",
  "rescind",
  "allocate",
  "free",
  "translate",
  "read",
  "write",
  "fill",
  "copy",
  "load32",
  "store32",
  "compareExchange32",
  "add32",
  "registerQueue",
  "freeQueue",
  "send",
  "receive",
  "event",
  "adapter",
  "partner",
  "wait",
] as const;
type GuestFunctionName = (typeof GUEST_FUNCTIONS)[number];

const NOTHING = new Uint8Array(0);
const NO_VIEW = new DataView(NOTHING.buffer);
const NO_WORDS = new Uint32Array(0);
/** Up to so many bytes a loop over words is quicker than a tray, where all are aligned. */
const WORDS_BYTES = 128;

/**
 * The status of what was thrown on the way: the core's own refusal, or a parameter that is no number, which no function gets
 * as far as to use. Everything else (no stack left, a broken table) is no answer.
 */
function statusOf(error: unknown): number | undefined {
  if (error instanceof HcallError) return error.status;
  return error instanceof TypeError ? H_PARAMETER : undefined;
}

/** The calls of one guest: of one incarnation of a partition, in this thread. */
export class GuestCalls {
  readonly imports: GuestImports;
  readonly #partition: Partition;
  readonly #kernel: Kernel;
  readonly #core: Core;
  readonly #table: TableMemory;
  readonly #lpid: number;
  readonly #quick: QuickUse;
  readonly #signalIndex: number;
  readonly #holder: Holder;
  readonly #incarnation: number;
  /** The second result of this guest's last call: that of the thread would tell it what others were answered. */
  #r4 = 0;
  #isOver = false;
  #memory: WebAssembly.Memory | undefined;
  /** The guest's memory as it was when something last did not fit; a memory that has grown leaves this empty, or short. */
  #bytes: Uint8Array = NOTHING;
  #words: Uint32Array = NO_WORDS;
  #data: DataView = NO_VIEW;
  /** Of #bytes. */
  #views: Views = new Views(NOTHING);
  /** The partition's count of signals when wait() last answered; the first wait() looks only. */
  #seen = -1;
  /** Slices of forced rescinds that had to wait for a use. */
  #waits = 0;

  constructor(partition: Partition, kernel: Kernel, options: ImportsOptions) {
    const { memory: table } = kernel;
    const offset = partitionOffset(table, partition.lpid);
    this.#partition = partition;
    this.#kernel = kernel;
    this.#core = kernel.core;
    this.#table = table;
    this.#lpid = partition.lpid;
    this.#quick = new QuickUse(kernel, partition.lpid);
    this.#signalIndex = (offset + PARTITION_SIGNAL) / 4;
    this.#holder = new Holder(kernel, partition.lpid);
    this.#incarnation = this.#holder.incarnation;
    if (options.memory !== undefined) this.bind(options.memory);
    this.imports = this.#makeImports();
  }

  /** Whether the guest has come to its end, whatever the partition does. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether the incarnation of the partition that the guest is still runs. */
  get isCurrent(): boolean {
    return this.#holder.isCurrent(this.#incarnation);
  }

  /** No call of the guest has any power from now on. */
  end(): void {
    this.#isOver = true;
    this.#memory = undefined;
    this.#see(NOTHING, NO_WORDS, NO_VIEW);
  }

  /** @throws TypeError if it is no WebAssembly.Memory. */
  bind(memory: WebAssembly.Memory): void {
    if (!isMemory(memory)) throw new TypeError("this is no memory of a module");
    this.#memory = memory;
    this.#see(NOTHING, NO_WORDS, NO_VIEW);
  }

  #see(bytes: Uint8Array, words: Uint32Array, data: DataView): void {
    this.#bytes = bytes;
    this.#words = words;
    this.#data = data;
    this.#views = new Views(bytes);
  }

  /**
   * Whether a range lies in the guest's memory, as it is now. Growing empties the arrays over a memory of one thread, and
   * leaves those over a shared one too short: what does not fit is looked at again.
   */
  #fits(at: number, length: number): boolean {
    if (at + length <= this.#bytes.length) return true;
    if (this.#memory === undefined) return false;
    const { buffer } = this.#memory;
    const size = buffer.byteLength;
    // All of a fixed length, so that they agree on where the memory ends. No shift: 4 GiB have more than 32 bits.
    this.#see(
      new Uint8Array(buffer, 0, size),
      new Uint32Array(buffer, 0, size / 4),
      new DataView(buffer, 0, size),
    );
    return at + length <= this.#bytes.length;
  }

  /** Whether the incarnation of the partition that this guest is does not run any more (G4, GR10). */
  #isGone(): boolean {
    return this.#isOver || !this.isCurrent;
  }

  /** What is thrown must not reach the guest, which might catch it: what is no answer ends the guest. */
  #refuse(error: unknown): number {
    const status = statusOf(error);
    if (status !== undefined) return status;
    this.end();
    throw error;
  }

  #guarded(call: GuestFunction): GuestFunction {
    return (a, b, c, d, e) => {
      this.#r4 = 0;
      if (this.#isGone()) return H_RESCINDED;
      try {
        return call(a as number, b as number, c as number, d as number, e as number);
      } catch (error) {
        return this.#refuse(error);
      }
    };
  }

  /** The status of a call that may have told somebody something. */
  #told(status: number): number {
    this.#kernel.notice();
    return status;
  }

  /** The status of a call whose success has a second result. */
  #answer(status: number): number {
    if (status === H_SUCCESS) this.#r4 = this.#table.result;
    return this.#told(status);
  }

  #makeImports(): GuestImports {
    const core = this.#core;
    const lpid = this.#lpid;
    const functions: Record<GuestFunctionName, GuestFunction> = {
      r4: () => this.#r4,
      grant: this.#guarded((flags, hi, address, length, unit) =>
        this.#answer(
          core.grantLogical(
            lpid,
            flags as number,
            hi as number,
            address as number,
            length as number,
            unit as number,
          ),
        ),
      ),
      accept: this.#guarded((cookie) => this.#answer(core.acceptLogical32(lpid, cookie as number))),
      return: this.#guarded((cookie) => this.#told(core.returnLogical32(lpid, cookie as number))),
      rescind: this.#guarded((flags, cookie) => this.#rescind(flags as number, cookie as number)),
      allocate: this.#guarded((length) => this.#answer(core.allocate(lpid, length as number))),
      free: this.#guarded((address) => this.#told(core.deallocate(lpid, address as number))),
      translate: this.#guarded((type, address, need) =>
        this.#answer(core.translate(lpid, type as number, address as number, 1, need as number)),
      ),
      read: (address, pointer, length) =>
        this.#move(true, address as number, pointer as number, length as number),
      write: (address, pointer, length) =>
        this.#move(false, address as number, pointer as number, length as number),
      fill: this.#guarded((address, length, byte) =>
        (length as number) > GUEST_CALL_BYTES
          ? H_PARAMETER
          : core.fillMemory(lpid, address as number, length as number, byte as number),
      ),
      // Within its own addresses, where others' memory is what they granted: an adapter alone gives no right to a partner's.
      copy: this.#guarded((from, to, length) =>
        (length as number) > GUEST_CALL_BYTES
          ? H_PARAMETER
          : core.copyMemory(lpid, from as number, lpid, to as number, length as number),
      ),
      load32: this.#guarded((address) => this.#answer(core.loadWord(lpid, address as number))),
      store32: this.#guarded((address, value) => core.storeWord(lpid, address as number, value as number)),
      compareExchange32: this.#guarded((address, expected, replacement) =>
        this.#answer(
          core.compareExchangeWord(lpid, address as number, expected as number, replacement as number),
        ),
      ),
      add32: this.#guarded((address, value) =>
        this.#answer(core.addWord(lpid, address as number, value as number)),
      ),
      registerQueue: this.#guarded((unit, address, length) =>
        (length as number) > GUEST_CALL_BYTES
          ? H_PARAMETER
          : this.#told(core.registerQueue(lpid, unit as number, address as number, length as number)),
      ),
      freeQueue: this.#guarded((unit) => this.#told(core.freeQueue(lpid, unit as number))),
      send: this.#guarded((unit, pointer) => this.#send(unit as number, (pointer as number) >>> 0)),
      receive: this.#guarded((unit, pointer) =>
        this.#take((pointer as number) >>> 0, QUEUE_ENTRY_BYTES, () =>
          core.receiveEntry(lpid, unit as number),
        ),
      ),
      event: this.#guarded((pointer) =>
        this.#take((pointer as number) >>> 0, EVENT_BYTES, () => {
          const status = core.takeEvent(lpid);
          return status === H_NOT_FOUND ? core.takeLine(lpid) : status;
        }),
      ),
      adapter: this.#guarded((index) => {
        const adapter = this.#partition.adapters[(index as number) >>> 0];
        if (adapter === undefined) return H_NOT_FOUND;
        this.#r4 = adapter.unitAddress;
        return H_SUCCESS;
      }),
      partner: this.#guarded((unit) => {
        const adapter = this.#partition.adapters.find(({ unitAddress }) => unitAddress === unit);
        if (adapter === undefined) return H_PARAMETER;
        this.#r4 = adapter.partner.lpid;
        return H_SUCCESS;
      }),
      wait: this.#guarded((ms) => this.#wait(ms as number)),
    };
    // Without prototypes: WebAssembly finds imports as JavaScript finds properties, and a module could import
    // ("constructor", "constructor") and what follows from it. Frozen, so that it stays what was given.
    const memory = this.#memory === undefined ? {} : { memory: this.#memory };
    const abi = Object.freeze(Object.assign(Object.create(null), functions, memory));
    const env = Object.freeze(Object.assign(Object.create(null), memory));
    return Object.freeze(Object.assign(Object.create(null), { [GUEST_ABI]: abi, env }));
  }

  // -------------------------------------------------------------- between the table's memory and the guest's

  #move(isRead: boolean, address: number, pointer: number, length: number): number {
    this.#r4 = 0;
    if (this.#isGone()) return H_RESCINDED;
    try {
      const at = pointer >>> 0;
      const size = length >>> 0;
      if (size > GUEST_CALL_BYTES || !this.#fits(at, size)) return H_PARAMETER;
      const few = this.#quick.begin(address, size, ENTRY_VALID | (isRead ? ENTRY_READ : ENTRY_WRITE));
      if (few >= 0) {
        try {
          this.#moveFew(isRead, few, at, size);
        } finally {
          this.#quick.end();
        }
        return H_SUCCESS;
      }
      this.#kernel.transfer.prepare(size);
      const status = this.#core.beginUse(this.#lpid, address, size, isRead ? NEED_READ : NEED_WRITE);
      if (status !== H_SUCCESS) return status;
      try {
        const place = this.#table.result;
        const view = this.#views.at(at, size);
        if (isRead) this.#kernel.transfer.read(this.#lpid, address, place, view, size);
        else this.#kernel.transfer.write(this.#lpid, address, place, view, size);
      } finally {
        this.#core.endUse();
      }
      return H_SUCCESS;
    } catch (error) {
      return this.#refuse(error);
    }
  }

  #moveFew(isRead: boolean, place: number, at: number, size: number): void {
    const { words } = this.#table;
    if (((place | at | size) & 3) === 0 && size <= WORDS_BYTES) {
      if (isRead) moveWords(words, place >>> 2, this.#words, at >>> 2, size >>> 2);
      else moveWords(this.#words, at >>> 2, words, place >>> 2, size >>> 2);
    } else if (isRead) copyOut(this.#table, place, this.#bytes, at, size);
    else copyIn(this.#table, place, this.#views.at(at, size), 0, size);
  }

  /** Each word is read once: another thread of the guest may change it at any time. */
  #send(unit: number, at: number): number {
    if (!this.#fits(at, QUEUE_ENTRY_BYTES)) return H_PARAMETER;
    const data = this.#data;
    return this.#told(
      this.#core.sendEntry(
        this.#lpid,
        unit,
        data.getUint32(at, true),
        data.getUint32(at + 4, true),
        data.getUint32(at + 8, true),
        data.getUint32(at + 12, true),
      ),
    );
  }

  /** Takes an entry or event out of the table, which is lost unless there is a place for it: that is examined first. */
  #take(at: number, size: number, take: () => number): number {
    if (!this.#fits(at, size)) return H_PARAMETER;
    const status = take();
    if (status === H_SUCCESS) moveFew(this.#table.bytes, this.#table.entry, this.#bytes, at, size);
    return status;
  }

  // -------------------------------------------------------------- what takes time

  /** One slice; the guest calls again after H_PARTIAL. What partition.rescindForced() does between slices is done here. */
  #rescind(flags: number, cookie: number): number {
    // By doubles: a guest may give its flags any type, and what is no flag must not become one on the way.
    const status = this.#core.rescindLogical(this.#lpid, flags, cookie);
    if (status === H_PARTIAL) this.#r4 = this.#table.result;
    if (flags !== RESCIND_FORCED) return this.#told(status);
    this.#kernel.followMoves();
    const waitsFor = this.#table.header(this.#table.thread + THREAD_WAITS_FOR);
    if (status === H_PARTIAL && waitsFor !== 0 && ++this.#waits % POKE_SLICES === 0) this.#table.pokeAll();
    return this.#told(status);
  }

  /**
   * Sleeps until the partition is told something (an event, a queue entry) that came after the last wait() answered, so that
   * one who polls everything after each wait() misses nothing. The order is that of Kernel: first say that somebody waits, then
   * look at the count.
   */
  #wait(ms: number): number {
    // The thread that owns the table must not sleep: others wait for what only it can do.
    if (this.#kernel.failPartition !== undefined) return H_FUNCTION;
    if (!(ms >= 0 && ms <= EVENT_MS_LIMIT)) return H_PARAMETER;
    const { words, integers } = this.#table;
    if (Atomics.load(words, this.#signalIndex) === this.#seen) {
      Atomics.store(words, this.#signalIndex + (PARTITION_WAITING - PARTITION_SIGNAL) / 4, 1);
      Atomics.wait(integers, this.#signalIndex, this.#seen | 0, ms);
    }
    const count = Atomics.load(words, this.#signalIndex);
    if (count === this.#seen) return H_NOT_FOUND;
    this.#seen = count;
    return H_SUCCESS;
  }
}

const calls: WeakMap<GuestImports, GuestCalls> = new WeakMap();

/** The import object of a guest that is `partition` as it is now, and of no later incarnation. */
export function createImports(partition: Partition, kernel: Kernel, options: ImportsOptions): GuestImports {
  kernel.checkOpen();
  checkNames(options, "memory");
  const guest = new GuestCalls(partition, kernel, options);
  calls.set(guest.imports, guest);
  return guest.imports;
}

/** The calls behind an import object. @throws TypeError if it is not one that imports() made. */
export function callsOf(imports: GuestImports): GuestCalls {
  const guest = calls.get(imports);
  if (guest === undefined) throw new TypeError("not an import object of partition.imports()");
  return guest;
}

/**
 * Says which memory the pointers of a guest point into, once its instance exists. Before that every call with a pointer
 * answers H_PARAMETER.
 * @param imports of partition.imports().
 * @param memory as the guest exports it; it may grow at any time, and be shared with threads of the guest's.
 * @throws TypeError for an import object or a memory that is none.
 */
export function bindMemory(imports: GuestImports, memory: WebAssembly.Memory): void {
  callsOf(imports).bind(memory);
}
