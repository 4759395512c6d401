/** Access by logical address in the naive model: page by page, byte by byte (TR1 to TR4). */
import type { ResourceType } from "../../src/index.js";
import {
  H_NO_MEM,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_READ,
  INHIBIT_WRITE,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
} from "../../src/layout.js";
import type { Model } from "./model.js";
import { makeWritable } from "./model-copies.js";
import { isLent } from "./model-lend.js";
import { isWord } from "./model-queue.js";
import {
  type Answer,
  answer,
  type Entry,
  ensure,
  type Frame,
  isInteger,
  isUnderRevocation,
  type ModelPartition,
  type Pin,
  REFUSED,
  type Space,
  typeOf,
  unitOf,
} from "./model-records.js";

const NEED_ALL = NEED_READ | NEED_WRITE;

/** Why a page of a space does not serve a use, H_SUCCESS if it does. */
export function faultOf(entry: Entry | undefined, page: number, need: number): number {
  if (entry === undefined || entry.state === "unmapped") return H_PARAMETER;
  if (entry.state === "rescinded") return H_RESCINDED;
  if (need !== 0 && isLent(entry.node, page)) return H_RESOURCE; // OM2
  // What is copied before it is written may be written.
  const isCopied = entry.node.kind === "grant" && entry.node.isCopyOnWrite;
  const inhibits = isCopied ? 0 : entry.node.inhibits;
  if ((need & NEED_READ) !== 0 && (inhibits & INHIBIT_READ) !== 0) return H_PERMISSION;
  if ((need & NEED_WRITE) !== 0 && (inhibits & INHIBIT_WRITE) !== 0) return H_PERMISSION;
  return H_SUCCESS;
}

/** The first page that fails decides; what lies past the end of the space is unmapped. */
function examine(space: Space, type: ResourceType, address: number, length: number, need: number): number {
  const unit = unitOf(type);
  const last = Math.floor((address + length - 1) / unit);
  for (let page = Math.floor(address / unit); page <= last; page++) {
    if (page >= space.pageCount) return H_PARAMETER;
    const fault = faultOf(space.entries.get(page), page, need);
    if (fault !== H_SUCCESS) return fault;
  }
  return H_SUCCESS;
}

/** TR1. */
export function translate(
  model: Model,
  lpid: number,
  typeNumber: number,
  address: number,
  length: number,
  need: number,
): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  const type = typeOf(typeNumber);
  if (type === undefined || !isInteger(address) || !isInteger(length) || length === 0) return REFUSED;
  if (!isInteger(need) || need > NEED_ALL) return REFUSED;
  const space = caller.spaces[type];
  const unit = unitOf(type);
  const fault = examine(space, type, address, length, need);
  if (fault !== H_SUCCESS) return answer(fault);
  // Where a write goes is decided by the copies that it makes first.
  if (type === "memory" && (need & NEED_WRITE) !== 0) {
    const made = makeWritable(model, caller, address, length);
    if (made !== H_SUCCESS) return answer(made);
  }
  const physical = space.entries.get(Math.floor(address / unit))?.frame.physical ?? Number.NaN;
  return answer(H_SUCCESS, physical * unit + (address % unit));
}

/** Examines a range of memory, and changes nothing. */
export function examineAccess(
  model: Model,
  lpid: number,
  address: number,
  length: number,
  need: number,
): number {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return H_PARAMETER;
  if (caller.state !== "running") return H_RESCINDED;
  if (!isInteger(need) || need > NEED_ALL || !isInteger(address) || !isInteger(length)) return H_PARAMETER;
  const space = caller.spaces.memory;
  if (address >= space.pageCount * PAGE_BYTES) return H_PARAMETER;
  return length === 0 ? H_SUCCESS : examine(space, "memory", address, length, need);
}

/** Examines a range of memory, and copies what must be copied before a write. R4: where it begins if in one piece, else -1. */
export function checkAccess(
  model: Model,
  lpid: number,
  address: number,
  length: number,
  need: number,
): Answer {
  const caller = model.partitions.get(lpid);
  const fault = examineAccess(model, lpid, address, length, need);
  if (caller === undefined || fault !== H_SUCCESS) return answer(fault);
  if (length === 0) return answer(H_SUCCESS);
  if ((need & NEED_WRITE) !== 0) {
    const made = makeWritable(model, caller, address, length);
    if (made !== H_SUCCESS) return answer(made);
  }
  const frames = framesAt(caller, address, length);
  const first = frames[0]?.physical ?? Number.NaN;
  return answer(H_SUCCESS, areTogether(frames) ? first * PAGE_BYTES + (address % PAGE_BYTES) : -1);
}

/** Whether frames are one after the other. */
function areTogether(frames: readonly Frame[]): boolean {
  return frames.every((frame, index) => frame.physical === (frames[0]?.physical ?? 0) + index);
}

/** The frames under a range that was examined. */
export function framesAt(caller: ModelPartition, address: number, length: number): Frame[] {
  const frames: Frame[] = [];
  for (let page = Math.floor(address / PAGE_BYTES); page * PAGE_BYTES < address + length; page++) {
    const frame = caller.spaces.memory.entries.get(page)?.frame;
    if (frame !== undefined) frames.push(frame);
  }
  return frames;
}

/** Calls back for each piece of a range that was examined: the bytes of one page. */
function* pieces(
  caller: ModelPartition,
  address: number,
  length: number,
): Generator<readonly [Uint8Array, number]> {
  for (let done = 0; done < length; ) {
    const at = address + done;
    const run = Math.min(PAGE_BYTES - (at % PAGE_BYTES), length - done);
    const [frame] = framesAt(caller, at, run);
    if (frame === undefined) throw new Error("the range was not examined");
    yield [frame.bytes.subarray(at % PAGE_BYTES, (at % PAGE_BYTES) + run), done];
    done += run;
  }
}

export function read(
  model: Model,
  lpid: number,
  address: number,
  length: number,
): { answer: Answer; bytes?: Uint8Array } {
  const { status } = checkAccess(model, lpid, address, length, NEED_READ);
  const caller = model.partitions.get(lpid);
  if (status !== H_SUCCESS || caller === undefined) return { answer: answer(status) };
  const bytes = new Uint8Array(length);
  for (const [piece, done] of pieces(caller, address, length)) bytes.set(piece, done);
  return { answer: answer(H_SUCCESS), bytes };
}

export function write(model: Model, lpid: number, address: number, source: Uint8Array): Answer {
  const { status } = checkAccess(model, lpid, address, source.length, NEED_WRITE);
  const caller = model.partitions.get(lpid);
  if (status !== H_SUCCESS || caller === undefined) return answer(status);
  for (const [piece, done] of pieces(caller, address, source.length))
    piece.set(source.subarray(done, done + piece.length));
  return answer(H_SUCCESS);
}

export function fill(model: Model, lpid: number, address: number, length: number, byte: number): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  if (!isInteger(byte) || byte > 0xff) return REFUSED;
  const { status } = checkAccess(model, lpid, address, length, NEED_WRITE);
  if (status === H_SUCCESS) write(model, lpid, address, new Uint8Array(length).fill(byte));
  return answer(status);
}

/** As H_COPY_RDMA: through a buffer, so that no overlap matters. */
export function copy(
  model: Model,
  lpid: number,
  from: number,
  partnerLpid: number,
  to: number,
  length: number,
): Answer {
  const caller = model.partitions.get(lpid);
  const partner = model.partitions.get(partnerLpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  if (partner === undefined || (partner !== caller && unitsBetween(model, caller, partnerLpid).length === 0))
    return REFUSED;
  const source = read(model, lpid, from, length);
  if (source.bytes === undefined) return source.answer;
  // Before a page is copied for the write.
  const fault = examineAccess(model, partnerLpid, to, length, NEED_WRITE);
  if (fault === H_SUCCESS && partner !== caller && touchesRing(model, partner, to, length))
    return answer(H_RESOURCE);
  return write(model, partnerLpid, to, source.bytes);
}

/** Whether a range of a partition's addresses is where it has a queue. */
export function touchesRing(model: Model, owner: ModelPartition, address: number, length: number): boolean {
  return [...model.ends].some(
    ({ owner: other, queue }) =>
      other === owner &&
      queue !== undefined &&
      length > 0 &&
      queue.page * PAGE_BYTES < address + length &&
      address < (queue.page + queue.pageCount) * PAGE_BYTES,
  );
}

/** Open ends of a partition that name another. */
function unitsBetween(model: Model, caller: ModelPartition, partnerLpid: number): number[] {
  return [...model.ends]
    .filter((end) => end.owner === caller && end.isOpen && end.partner?.owner?.lpid === partnerLpid)
    .map(({ unit }) => unit);
}

/** Any of the adapters that join the two will do. */
export function adapterBetween(model: Model, lpid: number, partnerLpid: number, observed: number): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  const units = unitsBetween(model, caller, partnerLpid);
  if (units.length === 0) return answer(H_NOT_FOUND);
  return answer(H_SUCCESS, units.includes(observed) ? observed : units[0]);
}

export function adapterPeer(model: Model, lpid: number, unit: number): Answer {
  const caller = model.partitions.get(lpid);
  const end = caller === undefined ? undefined : model.endOf(caller, unit);
  if (end?.isOpen !== true || end.partner === undefined) return REFUSED;
  return answer(H_SUCCESS, end.partner.unit);
}

// ---------------------------------------------------------------- aligned 32-bit words

/** One 32-bit access; `change` answers the word's new value, undefined to leave it. R4: the word before. */
export function accessWord(
  model: Model,
  lpid: number,
  address: number,
  need: number,
  operands: readonly number[],
  change: (word: number) => number | undefined,
): Answer {
  const caller = model.partitions.get(lpid);
  if (caller === undefined) return REFUSED;
  if (caller.state !== "running") return answer(H_RESCINDED);
  if (operands.some((word) => !isWord(word))) return REFUSED;
  // For what is not aligned nothing is copied.
  const isAligned = address % 4 === 0;
  const status = isAligned
    ? checkAccess(model, lpid, address, 4, need).status
    : examineAccess(model, lpid, address, 4, need);
  if (status !== H_SUCCESS) return answer(status);
  if (!isAligned) return REFUSED;
  const [frame] = framesAt(caller, address, 4);
  if (frame === undefined) return REFUSED;
  const bytes = new DataView(frame.bytes.buffer, frame.bytes.byteOffset + (address % PAGE_BYTES), 4);
  const word = bytes.getUint32(0, true);
  const next = change(word);
  if (next !== undefined) bytes.setUint32(0, next, true);
  return answer(H_SUCCESS, word);
}

// ---------------------------------------------------------------- views

/** TR4. `number` is what the real table calls the pin, if it makes one. */
export function pin(model: Model, lpid: number, address: number, length: number, number: number): Answer {
  const fault = examineAccess(model, lpid, address, length, NEED_ALL);
  const caller = model.partitions.get(lpid);
  if (fault !== H_SUCCESS || caller === undefined) return answer(fault);
  if (length === 0) return REFUSED;
  const page = Math.floor(address / PAGE_BYTES);
  const before = framesAt(caller, address, length);
  const entries = before.map((_, index) => caller.spaces.memory.entries.get(page + index));
  const node = entries[0]?.node;
  if (node !== undefined && isUnderRevocation(node)) return answer(H_RESCINDED);
  if (node === undefined || entries.some((entry) => entry?.node !== node)) return answer(H_RESOURCE);
  // What is copied first may come to stand together, or not.
  const willCopy = entries.some((entry) => entry?.copiesFirst === true);
  if (!willCopy && !areTogether(before)) return answer(H_RESOURCE);
  if (model.pins.size >= model.options.views) return answer(H_NO_MEM);
  const { status } = checkAccess(model, lpid, address, length, NEED_ALL);
  if (status !== H_SUCCESS) return answer(status);
  const frames = framesAt(caller, address, length);
  if (!areTogether(frames)) return answer(H_RESOURCE);
  ensure(!model.pinsEver.has(number), () => `pin ${number} was handed out twice`);
  model.pinsEver.add(number);
  model.pins.set(number, { number, holder: caller, node, frames, order: model.pinsEver.size });
  node.pins++;
  for (const frame of frames) frame.pins++;
  return answer(H_SUCCESS, number);
}

export function unpin(model: Model, lpid: number | "orphan", number: number): Answer {
  const holder = lpid === "orphan" ? undefined : model.partitions.get(lpid);
  if (lpid !== "orphan" && holder === undefined) return REFUSED;
  const found = model.pins.get(number);
  if (found === undefined || found.holder !== holder) return REFUSED;
  endPin(model, found);
  return answer(H_SUCCESS);
}

/** A view ends: its frames may leave quarantine. */
export function endPin(model: Model, found: Pin): void {
  model.pins.delete(found.number);
  found.node.pins--;
  for (const frame of found.frames) {
    frame.pins--;
    if (frame.pins === 0) model.quarantine.delete(frame);
  }
}
