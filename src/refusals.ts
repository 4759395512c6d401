/**
 * What refused calls say beside their arguments: what is wrong with them, where that can be told, and what is allowed.
 */
import type { TableMemory } from "./binding.js";
import { HcallError } from "./errors.js";
import type { GrantOptions } from "./grant-options.js";
import {
  END_OPEN,
  END_QUOTA,
  END_STATE,
  END_UNIT,
  END_USED,
  H_CLOSED,
  H_DROPPED,
  H_NO_MEM,
  H_PARAMETER,
  H_RESOURCE,
  HEADER_FRAMES_FREE,
  HEADER_PARTITIONS_MAX,
  HEADER_PARTITIONS_USED,
  HEADER_PINS_MAX,
  HEADER_PINS_USED,
  PAGE_BYTES,
  PARTITION_LMB_PAGES,
  PARTITION_MEMORY_PAGES,
  PINS_LIMIT,
  QUEUE_TRANSPORT,
  QUEUE_VALID,
  SPACE_MEMORY,
  SPACE_PAGES,
} from "./layout.js";
import {
  partitionWord,
  RESOURCE_TYPES,
  spaceOfType,
  spaceWord,
  structureOfCookie,
  unitOf,
  unitWord,
} from "./records.js";
import { allocatedBytes } from "./usage.js";

/** A partition that has restarted has the adapters of its last incarnation no more. */
const NO_ADAPTER = ": there is no such adapter, or no longer";

/** Which option of the table there had to be more of. */
export function limitDetail(status: number, option: string): string {
  return status === H_NO_MEM ? `: TableOptions.${option} limits them` : "";
}

/** What a table is out of, if it cannot have a partition of so many pages. */
export function roomDetail(memory: TableMemory, status: number, pages: number): string {
  const free = memory.header(HEADER_FRAMES_FREE);
  if (memory.header(HEADER_PARTITIONS_USED) === memory.header(HEADER_PARTITIONS_MAX))
    return limitDetail(status, "partitions");
  return status === H_NO_MEM && free < pages
    ? `: ${free * PAGE_BYTES} are free`
    : limitDetail(status, "grants");
}

/** What a refused grant says of itself. */
export function grantDetail(
  memory: TableMemory,
  status: number,
  unit: number,
  options: GrantOptions,
): string {
  const { address, length, type = "memory", mode = "share" } = options;
  const what = `${type}, address ${address}, length ${length}, unit address ${unit}`;
  return `${mode === "share" ? "" : `${mode} of `}${what}${grantFault(memory, status, unit, options)}`;
}

/** What a refused allocation says: memory of its own is all that it can be out of. */
export function allocationDetail(memory: TableMemory, lpid: number, status: number, length: number): string {
  if (status !== H_NO_MEM) return `length ${length}`;
  const [own, lmb] = [PARTITION_MEMORY_PAGES, PARTITION_LMB_PAGES].map(
    (word) => partitionWord(memory, lpid, word) * PAGE_BYTES,
  );
  const taken = `${allocatedBytes(memory, lpid)} of ${own} bytes are allocated`;
  return `length ${length}: no LMB of ${lmb} has as much free in a row; ${taken}`;
}

/** What a refused accept says: addresses are all that it can be out of. */
export function acceptDetail(memory: TableMemory, lpid: number, status: number, cookie: number): string {
  if (status !== H_NO_MEM) return `cookie ${cookie}`;
  const { space, pageCount } = structureOfCookie(memory, cookie);
  const unit = unitOf(space);
  const size = spaceWord(memory, lpid, space, SPACE_PAGES) * unit;
  const option = space === SPACE_MEMORY ? "logicalSpace" : `spaces.${RESOURCE_TYPES[space]}`;
  const room = `of ${size} addresses no ${pageCount * unit} in a row are free`;
  return `cookie ${cookie}: ${room}${limitDetail(status, option)}`;
}

/** What a view says that is out of something. */
export function viewDetail(memory: TableMemory): string {
  const most = memory.header(HEADER_PINS_MAX);
  if (memory.header(HEADER_PINS_USED) === most) return `: ${most} stand${limitDetail(H_NO_MEM, "views")}`;
  const free = memory.header(HEADER_FRAMES_FREE) * PAGE_BYTES;
  return `: ${free} bytes are free for pages that it copies; no page has more than ${PINS_LIMIT} views`;
}

function grantFault(
  memory: TableMemory,
  status: number,
  unit: number,
  { type = "memory", mode = "share", zero, copyOnWrite }: GrantOptions,
): string {
  const isShare = mode === "share";
  if (status === H_RESOURCE)
    return isShare
      ? ": pages of it are lent"
      : ": pages of it are granted or lent already, or under a view, or hold a queue";
  if (status === H_NO_MEM && unitWord(memory, unit, END_USED) >= unitWord(memory, unit, END_QUOTA))
    return `: the quota of the adapter, ${unitWord(memory, unit, END_QUOTA)}, is used up`;
  if (status !== H_PARAMETER) return limitDetail(status, "grants");
  if (unitWord(memory, unit, END_UNIT) !== unit || unitWord(memory, unit, END_STATE) !== END_OPEN)
    return NO_ADAPTER;
  if (mode === "donate") return ": only one whole LMB can be donated, with all rights";
  if (zero && isShare) return ": only a lend can be zero when it ends";
  if (unitOf(spaceOfType(type)) === 1) return "";
  const how = copyOnWrite ? "copied on write, of memory alone, with the rights to read and write" : "granted";
  return `: only whole pages inside one LMB, window or accepted grant can be ${how}`;
}

/** What a refused access says of itself: only a lend makes it H_RESOURCE. */
export function accessDetail(status: number, range: string): string {
  return status === H_RESOURCE ? `${range}: pages of it are lent` : range;
}

/** Refuses an access to a range of memory. */
export function refuseRange(hcall: string, status: number, address: number, length: number): never {
  throw new HcallError(hcall, status, accessDetail(status, `address ${address}, length ${length}`));
}

const SENDING: ReadonlyMap<number, string> = new Map([
  [H_CLOSED, ": the partner has no queue registered"],
  [H_DROPPED, ": the partner's queue is full"],
]);

/** What a queue that cannot be registered says of itself, where nothing but the adapter can be the reason of H_PARAMETER. */
export function queueDetail(status: number, unit: number): string {
  return `unit address ${unit}${status === H_PARAMETER ? NO_ADAPTER : ""}`;
}

/** What a refused entry of a queue says of itself. */
export function sendDetail(status: number, unit: number, entry: Uint8Array): string {
  const header = entry[0] as number;
  const isHeader = header >= QUEUE_VALID && header !== QUEUE_TRANSPORT;
  const fault = isHeader ? NO_ADAPTER : `: its first byte is ${header}; it must be 128 to 254`;
  const why = status === H_PARAMETER ? fault : SENDING.get(status);
  return `unit address ${unit}${why ?? ""}`;
}
