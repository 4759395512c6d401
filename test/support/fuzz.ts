/**
 * Calls of every function that the core exports, with numbers that are hostile, stale or right. What an answer means is
 * not looked at; that nothing traps, that refusals change nothing (G1) and that the audit stays clean is.
 */
import { ResourceTable } from "../../src/index.js";
import type { Kernel } from "../../src/kernel.js";
import { kernelOf } from "../../src/kernel.js";
import {
  ENTRY_READ,
  ENTRY_WRITE,
  H_BUSY,
  H_CLOSED,
  H_DROPPED,
  H_FUNCTION,
  H_HARDWARE,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_BUDGET,
  HEADER_COPIED,
  HEADER_END_AT,
  HEADER_MERGES,
  HEADER_STAGING_AT,
  HEADER_STAGING_PAGES,
  HEADER_THREADS_AT,
  PAGE_BYTES,
  REQUEST_ARGUMENTS,
  REQUEST_BYTES,
  REQUEST_COOKIE,
  REQUEST_FLAGS,
  REQUEST_LOGICAL,
  REQUEST_LPID,
  REQUEST_WORDS,
  THREAD_BYTES,
  THREAD_NAME,
  TOKEN_ACCEPT,
  TOKEN_GET_TCE,
  TOKEN_GRANT,
  TOKEN_PUT_TCE,
  TOKEN_PUT_TCE_INDIRECT,
  TOKEN_RESCIND,
  TOKEN_RETURN,
  TOKEN_STUFF_TCE,
  TYPE_DMA,
} from "../../src/layout.js";
import { Draw } from "./draw.js";
import { Divergence, ensure } from "./model-records.js";

type Kind =
  | "lpid"
  | "cookie"
  | "unit"
  | "flags"
  | "mode"
  | "type"
  | "hi"
  | "address"
  | "length"
  | "pages"
  | "need"
  | "bit"
  | "byte"
  | "bytes"
  | "name"
  | "word"
  | "pin"
  | "budget"
  | "quota"
  | "staging"
  | "count"
  | "line"
  | "position"
  | "tce"
  | "rights";

/** The arguments of each function. One that is exported and not listed here fails the test. */
const ARGUMENTS: Readonly<Record<string, readonly Kind[]>> = {
  acceptLogical: ["lpid", "cookie"],
  acceptLogical32: ["lpid", "cookie"],
  adapterBetween: ["lpid", "lpid"],
  adapterPeer: ["lpid", "unit"],
  addWord: ["lpid", "address", "word"],
  allocate: ["lpid", "length"],
  allocateQueue: ["lpid"],
  armInterrupt: ["lpid", "line", "bit"],
  assignResource: ["lpid", "type", "address", "length", "address", "hi"],
  answerRequest: ["count", "word", "bit", "word"],
  audit: [],
  awaitDevices: [],
  beginDevice: ["lpid", "address", "bytes", "need"],
  beginDma: ["lpid", "hi", "address", "address", "length", "need"],
  beginUse: ["lpid", "address", "length", "need"],
  checkAccess: ["lpid", "address", "length", "need"],
  collectRequest: ["bit", "bit"],
  compactMemory: ["lpid", "pages", "budget"],
  compareExchangeWord: ["lpid", "address", "word", "word"],
  connectPartitions: ["lpid", "lpid", "quota"],
  copyMemory: ["lpid", "address", "lpid", "address", "length"],
  createPartition: ["pages", "pages"],
  deallocate: ["lpid", "address"],
  endInterrupt: ["lpid", "line"],
  digestPages: ["lpid", "pages", "count", "staging"],
  endDevice: ["count"],
  endUse: [],
  endViews: ["lpid", "budget"],
  failPartition: ["lpid", "bit"],
  fillMemory: ["lpid", "address", "length", "byte"],
  findFrames: ["pages"],
  findWindow: ["lpid", "hi", "address"],
  freeQueue: ["lpid", "unit"],
  freeStaging: ["staging", "pages"],
  gatherMemory: ["lpid", "address", "length", "budget"],
  grantCopyOnWrite: ["lpid", "flags", "hi", "address", "length", "unit"],
  getTce: ["lpid", "hi", "address"],
  grantLogical: ["lpid", "flags", "hi", "address", "length", "unit"],
  grantLogical32: ["lpid", "flags", "address", "length", "unit"],
  grantMode: ["lpid", "flags", "hi", "address", "length", "unit", "mode"],
  hcallBatch: ["staging", "count"],
  loadDma: ["lpid", "hi", "address", "address", "length", "staging"],
  loadMemory: ["lpid", "address", "length", "staging"],
  loadWord: ["lpid", "address"],
  maskInterrupt: ["lpid", "line", "bit"],
  mendCall: [],
  mergePages: ["lpid", "address", "lpid", "address"],
  moveFew: ["lpid", "address", "length", "staging", "need"],
  openTable: [],
  openThread: ["lpid"],
  openUse: ["lpid", "pages", "pages", "rights"],
  postRequest: ["bit", "name", "lpid", "address", "word", "word"],
  pinMemory: ["lpid", "address", "length"],
  raiseInterrupt: ["lpid", "line", "bit", "position"],
  putTce: ["lpid", "hi", "address", "tce"],
  putTceIndirect: ["lpid", "hi", "address", "address", "count"],
  putTceList: ["lpid", "hi", "address", "staging", "count"],
  reapThread: ["count"],
  receiveEntry: ["lpid", "unit"],
  recoverClient: ["lpid", "budget"],
  recoverDeferred: ["lpid", "budget"],
  recoverServer: ["lpid", "budget"],
  registerQueue: ["lpid", "unit", "address", "length"],
  removePartition: ["lpid"],
  requestReturn: ["lpid", "cookie", "bit"],
  rescindLogical: ["lpid", "bit", "cookie"],
  rescindLogical32: ["lpid", "bit", "cookie"],
  restartPartition: ["lpid", "count"],
  returnLogical: ["lpid", "cookie"],
  returnLogical32: ["lpid", "cookie"],
  sendEntry: ["lpid", "unit", "word", "word", "word", "word"],
  serveWindow: ["lpid", "address", "bit"],
  storeDma: ["lpid", "hi", "address", "address", "length", "staging"],
  storeMemory: ["lpid", "address", "length", "staging"],
  storeWord: ["lpid", "address", "word"],
  stuffTce: ["lpid", "hi", "address", "tce", "count"],
  takeEvent: ["lpid"],
  takeRequest: [],
  sendIpi: ["lpid", "line"],
  takeLine: ["lpid"],
  takeStaging: ["pages"],
  translate: ["lpid", "type", "address", "length", "need"],
  translateBatch: ["lpid", "type", "need", "staging", "staging", "staging", "count", "bit"],
  unpinMemory: ["lpid", "pin"],
  unpinOrphan: ["pin"],
};

/** Drawn more often than the others: they make what the others work on. */
const OFTEN: readonly string[] = [
  ...[
    "grantLogical",
    "grantLogical32",
    "grantMode",
    "grantMode",
    "grantCopyOnWrite",
    "acceptLogical",
    "acceptLogical32",
  ],
  ...["acceptLogical", "returnLogical", "rescindLogical", "recoverServer", "recoverServer", "recoverServer"],
  ...["recoverDeferred", "recoverDeferred"],
  ...["raiseInterrupt", "raiseInterrupt", "sendIpi", "takeLine", "armInterrupt", "endInterrupt"],
  ...["putTce", "putTceList", "stuffTce"],
  ...["restartPartition", "restartPartition", "connectPartitions", "createPartition", "pinMemory"],
];

const ANSWERS: ReadonlySet<number> = new Set([
  ...[H_SUCCESS, H_BUSY, H_CLOSED, H_PARTIAL, H_FUNCTION, H_HARDWARE, H_PARAMETER, H_NOT_FOUND, H_NO_MEM],
  ...[H_PERMISSION, H_DROPPED, H_RESOURCE, H_RESCINDED],
]);

/** Calls that may be made within a use. */
const NESTED: ReadonlySet<string> = new Set([
  "checkAccess",
  "storeMemory",
  "translate",
  "translateBatch",
  "storeDma",
]);

/**
 * Calls that copy what is copied before a write and then find, with this answer, that it does not do: what everybody reads is
 * the same.
 */
const COPYING: Readonly<Record<string, number>> = {
  copyMemory: H_NO_MEM,
  gatherMemory: H_NO_MEM,
  pinMemory: H_RESOURCE,
  translate: H_PERMISSION,
};

const HOSTILE: readonly number[] = [
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, -1, -4096, -(2 ** 31), -(2 ** 53)],
  ...[0.5, 4095.5, 4096.5, 2 ** 20, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 4096, 2 ** 32 - 4096],
  ...[2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 32 + 4096, 2 ** 44, 2 ** 44 - 4096, 2 ** 52, 2 ** 52 + 1],
  ...[2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 2 ** 63, 2 ** 64, 2 ** 64 + 4096],
  ...[Number.MIN_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE, Number.EPSILON],
];

const TOKENS: readonly number[] = [
  ...[TOKEN_GRANT, TOKEN_ACCEPT, TOKEN_RETURN, TOKEN_RESCIND],
  ...[TOKEN_PUT_TCE, TOKEN_PUT_TCE_INDIRECT, TOKEN_STUFF_TCE, TOKEN_GET_TCE],
];

/** A number that was handed out, and whose it is. */
interface Handle {
  readonly number: number;
  readonly lpid: number;
  /** Of a cookie: who may rescind it. Of a unit address: who is at the other end. */
  readonly other: number;
}

/** What was handed out, the newest kept; what is dead stays in: stale numbers are wanted. */
class Handles {
  readonly #handles: Handle[] = [];

  keep(number: number, lpid: number, other = 0): void {
    this.#handles.push({ number, lpid, other });
    if (this.#handles.length > 20) this.#handles.shift();
  }

  pick(draw: Draw): Handle | undefined {
    return draw.pick(this.#handles);
  }

  partnerOf(number: number): number {
    return this.#handles.find((handle) => handle.number === number)?.other ?? 0;
  }
}

const LMB_BYTES = 4 * PAGE_BYTES;
const FRAMES = 32;

export class Fuzz {
  calls = 0;
  readonly table: ResourceTable;
  readonly #kernel: Kernel;
  readonly #draw: Draw;
  readonly #names: readonly string[];
  readonly #seen: Map<string, number>;
  readonly #cookies = new Handles();
  readonly #units = new Handles();
  readonly #pins = new Handles();
  /** The handle that this call is mostly about. */
  #handle: Handle | undefined;
  readonly #bytes: number;
  readonly #before: Uint8Array;

  /** @param seen counts the answers of each function. */
  constructor(seed: number, seen: Map<string, number>, module?: WebAssembly.Module) {
    this.table = ResourceTable.create({
      ...{
        memory: FRAMES * PAGE_BYTES,
        partitions: 5,
        grants: 48,
        adapters: 9,
        views: 8,
        staging: 6 * PAGE_BYTES,
      },
      ...{ logicalSpace: 20 * PAGE_BYTES, spaces: { mmio: 32768, dma: 32768, interrupt: 8, ipi: 8 } },
      ...(module === undefined ? {} : { module }),
    });
    this.#kernel = kernelOf(this.table);
    this.#draw = new Draw(seed);
    this.#seen = seen;
    const names = Fuzz.exports(this.#kernel);
    const unknown = names.filter((name) => ARGUMENTS[name] === undefined);
    ensure(unknown.length === 0, () => `no generator for the core's ${unknown.join()}: add it to ARGUMENTS`);
    const missing = Object.keys(ARGUMENTS).filter((name) => !names.includes(name));
    ensure(missing.length === 0, () => `the core does not export ${missing.join()} any more`);
    this.#names = [...names.filter((name) => name !== "audit"), ...OFTEN];
    this.#bytes = this.#kernel.memory.header(HEADER_END_AT);
    this.#before = new Uint8Array(this.#bytes);
    this.#setUp();
  }

  /** The functions that the core exports. */
  static exports(kernel: Kernel): string[] {
    return Object.entries(kernel.core)
      .filter(([, value]) => typeof value === "function")
      .map(([name]) => name)
      .sort();
  }

  #call(name: string, args: readonly number[]): number {
    const call = (
      this.#kernel.core as unknown as Record<string, (...args: readonly number[]) => number | undefined>
    )[name];
    if (call === undefined) throw new Error(`the core does not export ${name}`);
    this.calls++;
    // What has no answer cannot fail.
    const status = call(...args) ?? H_SUCCESS;
    const key = `${name} ${status}`;
    this.#seen.set(key, (this.#seen.get(key) ?? 0) + 1);
    return status;
  }

  #setUp(): void {
    // Every record is used once, so that what is laid out at first use is no change later.
    for (let lpid = 1; lpid <= 5; lpid++) this.#call("createPartition", [lpid === 1 ? 8 : 4, 4]);
    for (const lpid of [1, 2]) {
      for (const [type, length] of [
        [2, 4 * PAGE_BYTES],
        [5, 4 * PAGE_BYTES],
        [4, 2],
        [6, 2],
      ] as const)
        this.#call("assignResource", [lpid, type, 0, length, 0, 0]);
    }
    for (const [a, b] of [
      [1, 2],
      [2, 3],
      [3, 1],
      [1, 4],
    ] as const)
      this.#connect(a, b, 8);
  }

  #connect(a: number, b: number, quota: number): void {
    if (this.#call("connectPartitions", [a, b, quota]) !== H_SUCCESS) return;
    this.#keepUnits(a, b);
  }

  #keepUnits(a: number, b: number): void {
    const near = this.#kernel.memory.result;
    this.#units.keep(near, a, b);
    if (this.#kernel.core.adapterPeer(a, near) === H_SUCCESS)
      this.#units.keep(this.#kernel.memory.result, b, a);
  }

  /** The arguments of a call: mostly a caller, and a handle of its own. */
  #arguments(name: string): number[] {
    const kinds = ARGUMENTS[name] ?? [];
    const handles = kinds.includes("unit")
      ? this.#units
      : kinds.includes("cookie")
        ? this.#cookies
        : this.#pins;
    this.#handle = kinds.some((kind) => kind === "unit" || kind === "cookie" || kind === "pin")
      ? handles.pick(this.#draw)
      : undefined;
    const args = kinds.map((kind) => this.#argument(kind));
    const { lpid, other } = this.#handle ?? { lpid: 0, other: 0 };
    if (kinds[0] === "lpid" && lpid !== 0 && !this.#draw.once(8))
      args[0] = name.startsWith("rescindLogical") ? other : lpid;
    // Only a whole LMB can be donated.
    if (name === "grantMode" && this.#draw.once(2))
      args.splice(1, 4, 1, 0, this.#draw.below(3) * LMB_BYTES, LMB_BYTES);
    if (this.#draw.once(4)) this.#askForLine(name, args);
    return args;
  }

  /** What is asked for in pages is next to never an interrupt source or a port, which are counted by numbers. */
  #askForLine(name: string, args: number[]): void {
    const type = this.#draw.once(2) ? 4 : 6;
    if (name === "grantLogical") args.splice(1, 4, type, 0, this.#argument("line"), 1);
    if (name === "assignResource") args.splice(1, 5, type, this.#argument("line"), 1, 0, 0);
  }

  #argument(kind: Kind): number {
    const draw = this.#draw;
    if (draw.once(24)) return draw.pick(HOSTILE) ?? 0;
    if (draw.once(200)) return draw.word() * 2 ** (draw.below(60) - 20) * (draw.once(2) ? 1 : -1);
    switch (kind) {
      case "lpid":
        return draw.below(draw.once(10) ? 8 : 5) + (draw.once(30) ? 0 : 1);
      case "cookie":
        return (
          (this.#handle?.number ?? this.#cookies.pick(draw)?.number ?? 1) + (draw.once(30) ? 2 ** 24 : 0)
        );
      case "unit":
        return (this.#handle?.number ?? this.#units.pick(draw)?.number ?? 1) + (draw.once(30) ? 2 ** 16 : 0);
      case "flags":
        if (draw.once(8)) return TYPE_DMA | (draw.once(4) ? 0x20 : 0);
        return draw.once(6) ? draw.below(256) : 1 | (draw.once(4) ? draw.below(8) << 5 : 0);
      case "mode":
        return draw.once(8) ? draw.below(12) : (draw.pick([0, 1, 1, 2, 2, 5]) ?? 0);
      case "type":
        return draw.once(2) ? 1 : draw.below(8);
      case "hi":
        return draw.once(12) ? draw.below(4) : 0;
      case "address":
        return draw.once(4) ? draw.below(21 * PAGE_BYTES) : draw.below(draw.once(3) ? 12 : 4) * PAGE_BYTES;
      case "length":
        return draw.once(4) ? draw.below(3 * PAGE_BYTES) : (1 + draw.below(2)) * PAGE_BYTES;
      case "pages":
        return draw.below(5);
      case "need":
        return draw.below(4);
      case "bit":
        return draw.below(2);
      case "byte":
        return draw.below(256);
      case "bytes":
        return 1 << draw.below(3);
      case "name":
        return this.#kernel.memory.header(
          this.#kernel.memory.header(HEADER_THREADS_AT) + draw.below(3) * THREAD_BYTES + THREAD_NAME,
        );
      case "word":
        return draw.once(2) ? draw.word() : (draw.word() & 0xffffff00) | 0x80 | 0;
      case "pin":
        return this.#handle?.number ?? this.#pins.pick(draw)?.number ?? 1;
      case "budget":
        return draw.once(2) ? 1 + draw.below(12) : 2 ** draw.below(31);
      case "quota":
        return draw.below(9);
      case "staging":
        return this.#kernel.memory.header(HEADER_STAGING_AT) + draw.below(6 * 512) * 8;
      case "tce":
        return draw.below(20) * PAGE_BYTES + draw.below(draw.once(10) ? 8 : 4);
      case "count":
        return draw.below(12);
      case "line":
        return draw.below(draw.once(6) ? 9 : 3);
      case "rights":
        return draw.pick([ENTRY_READ, ENTRY_WRITE, ENTRY_READ | ENTRY_WRITE]) ?? 0;
      case "position":
        return draw.once(3) ? (this.#cookies.pick(draw)?.number ?? 0) : 0;
    }
  }

  /** Requests, or addresses, or anything, where a batch may look. */
  #fillStaging(): void {
    const { words, floats } = this.#kernel.memory;
    const draw = this.#draw;
    const at = this.#kernel.memory.header(HEADER_STAGING_AT);
    for (let request = 0; request < 12; request++) {
      const offset =
        at + draw.below((this.#kernel.memory.header(HEADER_STAGING_PAGES) * PAGE_BYTES) / 64) * 64;
      words[offset / 4] = draw.once(10) ? draw.word() : (draw.pick(TOKENS) ?? 0);
      if (draw.once(2)) {
        this.#fillWords(offset);
        continue;
      }
      floats[(offset + REQUEST_LPID) / 8] = this.#argument("lpid");
      const kinds = draw.once(2)
        ? (["flags", "hi", "address", "length", "unit"] as const)
        : draw.once(2)
          ? (["hi", "address", "tce", "count", "length"] as const)
          : (["cookie", "cookie", "bit", "address", "length"] as const);
      for (const [index, kind] of kinds.entries())
        floats[(offset + REQUEST_ARGUMENTS) / 8 + index] = this.#argument(kind);
      if (offset + REQUEST_BYTES > at + 6 * PAGE_BYTES) throw new Error("outside staging");
    }
  }

  /** A request by words, with what the engine would make words of. */
  #fillWords(offset: number): void {
    const { words, floats } = this.#kernel.memory;
    words[offset / 4] = (words[offset / 4] as number) | REQUEST_WORDS;
    words[(offset + REQUEST_LPID) / 4] = this.#argument("lpid");
    words[(offset + REQUEST_FLAGS) / 4] = this.#argument("flags");
    if (this.#draw.once(2)) floats[(offset + REQUEST_COOKIE) / 8] = this.#argument("cookie");
    else
      for (const [index, kind] of (["address", "length", "unit"] as const).entries())
        words[(offset + REQUEST_LOGICAL) / 4 + index] = this.#argument(kind);
  }

  /** Entries wherever a list of them may be. */
  #fillEntries(): void {
    const { floats } = this.#kernel.memory;
    const at = this.#kernel.memory.header(HEADER_STAGING_AT) / 8;
    for (let index = 0; index < 6 * 512; index++) floats[at + index] = this.#argument("tce");
  }

  /** One call. With `watch`, a refusal must leave every byte of the table as it was (G1). */
  step(watch: boolean): void {
    const draw = this.#draw;
    const { memory } = this.#kernel;
    const name = draw.pick(this.#names) ?? "audit";
    // A table in which everything is failing most of the time would not get far.
    if (name === "failPartition" && !draw.once(16)) return;
    if (draw.once(50)) memory.words[HEADER_BUDGET / 4] = 1 + draw.below(60);
    if (name === "hcallBatch" || name === "translateBatch") this.#fillStaging();
    if (name === "putTceList") this.#fillEntries();
    const args = this.#arguments(name);
    const table = memory.bytes.subarray(0, this.#bytes);
    if (watch) this.#before.set(table);
    let status: number;
    try {
      status = this.#call(name, args);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      throw new Divergence(`${name}(${args.join(", ")}) trapped: ${error.message}`);
    }
    const text = (): string => `${name}(${args.join(", ")})`;
    // Within a use that was begun for less nothing can be copied.
    const isNested = status === H_LONG_BUSY_10_MSEC && NESTED.has(name);
    const isFrame = name === "openUse" && status >= 0 && status < FRAMES;
    ensure(ANSWERS.has(status) || isNested || isFrame, () => `${text()} answered ${status}`);
    const hasCopied =
      COPYING[name] === status && (memory.header(HEADER_COPIED) | memory.header(HEADER_MERGES)) !== 0;
    if (watch && status < 0 && !hasCopied) this.#expectUnchanged(table, text);
    if (status !== H_SUCCESS) return;
    const [lpid = 0, second = 0] = args;
    if (name === "grantLogical" || name === "grantMode" || name === "grantCopyOnWrite")
      this.#cookies.keep(memory.result, this.#units.partnerOf(args[5] ?? 0), lpid);
    if (name === "grantLogical32")
      this.#cookies.keep(memory.result, this.#units.partnerOf(args[4] ?? 0), lpid);
    if (name === "pinMemory") this.#pins.keep(memory.result, lpid);
    if (name === "connectPartitions") this.#keepUnits(lpid, second);
  }

  #expectUnchanged(table: Uint8Array, text: () => string): void {
    // The caller's thread record is scratch of the call: R4, the log of what it stored, what it waits for.
    const { thread } = this.#kernel.memory;
    this.#before.set(table.subarray(thread, thread + THREAD_BYTES), thread);
    if (Buffer.compare(this.#before, table) === 0) return;
    const at = table.findIndex((byte, index) => byte !== this.#before[index]);
    throw new Divergence(`${text()} was refused, but changed byte ${at} of the table (G1)`);
  }

  check(): void {
    const { problems } = this.table.audit();
    ensure(problems.length === 0, () => `audit(): ${problems.slice(0, 4).join("; ")}`);
  }
}
