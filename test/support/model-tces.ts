/**
 * Translation control entries in the naive model (KI4): a set of plain records, each of which says which page of whose memory
 * stands behind which page of which window, through which pane. Everything else is looked up at each access.
 */
import {
  FRAMES_LIMIT,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  TCES_MAX,
} from "../../src/layout.js";
import type { Model } from "./model.js";
import { examineAccess, faultOf, read, write } from "./model-access.js";
import { makeWritable } from "./model-copies.js";
import {
  type Answer,
  answer,
  type Entry,
  isInteger,
  isUnderRevocation,
  type ModelPartition,
  type Node,
  REFUSED,
  rootOf,
  rootPageOf,
  type Tce,
} from "./model-records.js";

const RIGHTS = NEED_READ | NEED_WRITE;
const PAGES = 2 ** 24;
const BUS_BYTES = FRAMES_LIMIT * PAGE_BYTES;

/** A caller's value: a page and rights; "remove" without rights; undefined if it is none. */
type Listed = { readonly page: number; readonly rights: number } | "remove" | undefined;

function listedOf(value: number): Listed {
  if (!Number.isInteger(value) || value < 0) return undefined;
  const [page, rights] = [Math.floor(value / PAGE_BYTES), value % PAGE_BYTES];
  if (page >= PAGES || rights > RIGHTS) return undefined;
  return rights === 0 ? "remove" : { page, rights };
}

export function tceAt(model: Model, owner: ModelPartition, page: number): Tce | undefined {
  for (const tce of model.tces) if (tce.owner === owner && tce.page === page) return tce;
  return undefined;
}

/** Whether memory still stands as its holder had it. */
function stands(memory: Node): boolean {
  if (memory.kind === "resource") return memory.holder.resources.includes(memory);
  return memory.state === "shared";
}

/** Whether an entry gives access; what does not is dead, and stays until its holder removes it or somebody puts over it. */
function isLive({ memory, pane }: Tce): boolean {
  if (!stands(memory) || isUnderRevocation(memory) || isUnderRevocation(pane)) return false;
  return pane.holder.state === "running";
}

/** What a holder asks of: a range of bus pages within one pane. */
interface PaneRange {
  readonly holder: ModelPartition;
  readonly pane: Node;
  readonly owner: ModelPartition;
  /** Its first page, as the window's owner counts. */
  readonly first: number;
}

function examinePane(holder: ModelPartition, liobn: number, ioba: number, count: number): PaneRange | number {
  const page = ioba / PAGE_BYTES;
  if (!isInteger(liobn) || liobn >= 0xffffffff || !isInteger(ioba) || !isInteger(page)) return H_PARAMETER;
  if (page + count > holder.spaces.dma.pageCount) return H_PARAMETER;
  const { entries } = holder.spaces.dma;
  const range = Array.from({ length: count }, (_, index) => entries.get(page + index));
  const pane = range[0]?.node;
  // Whatever becomes of the rest: nobody looks at a pane that is being taken away.
  if (pane !== undefined && isUnderRevocation(pane)) return H_RESCINDED;
  if (range.some((entry) => entry?.state === "rescinded")) return H_RESCINDED;
  if (pane === undefined || range.some((entry) => entry?.node !== pane) || pane.liobn !== liobn)
    return H_PARAMETER;
  return { holder, pane, owner: rootOf(pane).holder, first: rootPageOf(pane) + page - pane.page };
}

function examineMemory(holder: ModelPartition, page: number, rights: number): number {
  const entry = holder.spaces.memory.entries.get(page);
  if (entry !== undefined && entry.state !== "rescinded" && isUnderRevocation(entry.node)) return H_RESCINDED;
  return faultOf(entry, page, rights);
}

function putAll(
  model: Model,
  holder: ModelPartition,
  liobn: number,
  ioba: number,
  list: readonly Listed[],
): Answer {
  const range = examinePane(holder, liobn, ioba, list.length);
  if (typeof range === "number") return answer(range);
  for (const listed of list) {
    if (listed === undefined) return REFUSED;
    const status = listed === "remove" ? H_SUCCESS : examineMemory(holder, listed.page, listed.rights);
    if (status !== H_SUCCESS) return answer(status);
  }
  const before = list.map((_, index) => tceAt(model, range.owner, range.first + index));
  if (before.some((tce) => tce !== undefined && tce.pane.holder !== holder && isLive(tce)))
    return answer(H_RESOURCE);
  for (const [index, listed] of list.entries()) {
    const old = before[index];
    if (old !== undefined) model.tces.delete(old);
    if (listed === undefined || listed === "remove") continue;
    const memory = holder.spaces.memory.entries.get(listed.page)?.node;
    if (memory === undefined) throw new Error("the memory was not examined");
    const { owner, pane, first } = range;
    const { page: memoryPage, rights } = listed;
    model.tces.add({ owner, page: first + index, pane, memory, memoryPage, rights });
  }
  return answer(H_SUCCESS);
}

/** A caller that runs, or what it is told. */
function callerOf(model: Model, lpid: number): ModelPartition | Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  return caller.state === "running" ? caller : answer(H_RESCINDED);
}

function isCount(count: number): boolean {
  return isInteger(count) && count > 0 && count <= TCES_MAX;
}

/** H_PUT_TCE is this with one page. */
export function stuffTce(
  model: Model,
  lpid: number,
  liobn: number,
  ioba: number,
  tce: number,
  count: number,
): Answer {
  const caller = callerOf(model, lpid);
  if ("status" in caller) return caller;
  if (!isCount(count)) return REFUSED;
  return putAll(model, caller, liobn, ioba, new Array<Listed>(count).fill(listedOf(tce)));
}

/** The list is as it lies in staging. */
export function putTceList(
  model: Model,
  lpid: number,
  liobn: number,
  ioba: number,
  list: readonly number[],
): Answer {
  const caller = callerOf(model, lpid);
  if ("status" in caller) return caller;
  if (!isCount(list.length)) return REFUSED;
  return putAll(model, caller, liobn, ioba, list.map(listedOf));
}

/** The list lies in a page of the caller's memory. */
export function putTceIndirect(
  model: Model,
  lpid: number,
  liobn: number,
  ioba: number,
  address: number,
  count: number,
): Answer {
  const caller = callerOf(model, lpid);
  if ("status" in caller) return caller;
  if (!isCount(count) || !isInteger(address) || address % PAGE_BYTES !== 0) return REFUSED;
  const { answer: found, bytes } = read(model, lpid, address, count * 8);
  if (bytes === undefined) return found;
  const words = new DataView(bytes.buffer);
  const list = Array.from({ length: count }, (_, index) => Number(words.getBigUint64(index * 8, true)));
  return putAll(model, caller, liobn, ioba, list.map(listedOf));
}

export function getTce(model: Model, lpid: number, liobn: number, ioba: number): Answer {
  const caller = callerOf(model, lpid);
  if ("status" in caller) return caller;
  const range = examinePane(caller, liobn, ioba, 1);
  if (typeof range === "number") return answer(range);
  const tce = tceAt(model, range.owner, range.first);
  if (tce === undefined) return answer(H_SUCCESS, 0);
  const isOwn = tce.pane.holder === caller;
  if (!isLive(tce)) return isOwn ? answer(H_RESCINDED) : answer(H_SUCCESS, 0);
  return isOwn ? answer(H_SUCCESS, tce.memoryPage * PAGE_BYTES + tce.rights) : answer(H_RESOURCE);
}

// ---------------------------------------------------------------- the side of the device

function ownerOf(model: Model, lpid: number): ModelPartition | Answer {
  const owner = model.partitions.get(lpid);
  if (owner === undefined) return REFUSED;
  return owner.state === "running" || owner.state === "failed" ? owner : answer(H_RESCINDED);
}

function windowEntry(owner: ModelPartition, page: number, liobn: number): Entry | undefined {
  const entry = owner.spaces.dma.entries.get(page);
  return entry?.node.kind === "resource" && entry.node.liobn === liobn ? entry : undefined;
}

/** R4: the address, in the owner's space, of the page in which a bus address lies; of the window that was assigned last. */
export function findWindow(model: Model, lpid: number, liobn: number, ioba: number): Answer {
  const owner = ownerOf(model, lpid);
  if ("status" in owner) return owner;
  if (!isInteger(liobn) || liobn >= 0xffffffff || !(ioba >= 0 && ioba < BUS_BYTES)) return REFUSED;
  for (const { type, page, pageCount } of [...owner.resources].reverse()) {
    for (let at = page; type === "dma" && at < page + pageCount; at++) {
      const physical = windowEntry(owner, at, liobn)?.frame.physical;
      if (physical === Math.floor(ioba / PAGE_BYTES)) return answer(H_SUCCESS, at * PAGE_BYTES);
    }
  }
  return REFUSED;
}

/** One page of the bus: where it leads, and what a device is told of it. */
interface BusPiece {
  readonly tce: Tce;
  readonly address: number;
  readonly length: number;
}

function examineTce(model: Model, { tce, address, length }: BusPiece, need: number): number {
  const { holder, page } = tce.pane;
  const entry = holder.spaces.dma.entries.get(page);
  if (entry?.node !== tce.pane || entry.state !== "mapped") return H_RESCINDED;
  const status = examineAccess(model, holder.lpid, address, length, need);
  if (!stands(tce.memory)) return H_RESCINDED;
  return status === H_SUCCESS && (need & ~tce.rights) !== 0 ? H_PERMISSION : status;
}

/** The pieces of a range of the bus, or what a device is told of it. `window` is the range's address in the owner's space. */
function examineBus(
  model: Model,
  lpid: number,
  liobn: number,
  ioba: number,
  window: number,
  length: number,
  need: number,
): readonly BusPiece[] | Answer {
  const owner = ownerOf(model, lpid);
  if ("status" in owner) return owner;
  if (!isInteger(liobn) || liobn >= 0xffffffff || !isInteger(ioba) || !isInteger(length)) return REFUSED;
  const offset = ioba % PAGE_BYTES;
  if (ioba + length > BUS_BYTES || ioba >= BUS_BYTES) return REFUSED;
  if (!isInteger(window) || window % PAGE_BYTES !== offset) return REFUSED;
  if (window + Math.max(length, 1) > owner.spaces.dma.pageCount * PAGE_BYTES) return REFUSED;
  const pieces: BusPiece[] = [];
  const inside = windowEntry(owner, Math.floor(window / PAGE_BYTES), liobn)?.node;
  for (let done = 0; done === 0 || done < length; ) {
    const [at, page] = [ioba + done, Math.floor((window + done) / PAGE_BYTES)];
    const entry = windowEntry(owner, page, liobn);
    if (entry?.frame.physical !== Math.floor(at / PAGE_BYTES) || entry.node !== inside) return REFUSED;
    if (length === 0) break;
    const run = Math.min(PAGE_BYTES - (at % PAGE_BYTES), length - done);
    const tce = tceAt(model, owner, page);
    if (tce === undefined) return REFUSED;
    const piece = { tce, address: tce.memoryPage * PAGE_BYTES + (at % PAGE_BYTES), length: run };
    const status = examineTce(model, piece, need);
    if (status !== H_SUCCESS) return answer(status);
    pieces.push(piece);
    done += run;
  }
  // Then pages are copied that must be before a write, one by one, the last one first.
  for (const { tce, address } of (need & NEED_WRITE) === 0 ? [] : [...pieces].reverse()) {
    const made = makeWritable(model, tce.pane.holder, address, 1);
    if (made !== H_SUCCESS) return answer(made);
  }
  return pieces;
}

/** Whether a device may use a range. */
export function checkBus(
  model: Model,
  lpid: number,
  liobn: number,
  ioba: number,
  window: number,
  length: number,
  need: number,
): Answer {
  if (!isInteger(need) || need > RIGHTS) return REFUSED;
  const pieces = examineBus(model, lpid, liobn, ioba, window, length, need);
  return "status" in pieces ? pieces : answer(H_SUCCESS);
}

export function readBus(
  model: Model,
  lpid: number,
  liobn: number,
  ioba: number,
  window: number,
  length: number,
): { answer: Answer; bytes?: Uint8Array } {
  const pieces = examineBus(model, lpid, liobn, ioba, window, length, NEED_READ);
  if ("status" in pieces) return { answer: pieces };
  const parts = pieces.map(
    ({ tce, address, length: run }) =>
      read(model, tce.pane.holder.lpid, address, run).bytes ?? new Uint8Array(0),
  );
  return { answer: answer(H_SUCCESS), bytes: new Uint8Array(Buffer.concat(parts)) };
}

export function writeBus(
  model: Model,
  lpid: number,
  liobn: number,
  ioba: number,
  window: number,
  source: Uint8Array,
): Answer {
  const pieces = examineBus(model, lpid, liobn, ioba, window, source.length, NEED_WRITE);
  if ("status" in pieces) return pieces;
  let done = 0;
  for (const { tce, address, length } of pieces) {
    write(model, tce.pane.holder.lpid, address, source.subarray(done, done + length));
    done += length;
  }
  return answer(H_SUCCESS);
}
