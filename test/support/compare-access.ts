/** Checked access on both tables: ranges that are examined, moved through staging, filled and copied, and words (TR3). */
import {
  H_PARAMETER,
  H_RESCINDED,
  H_SUCCESS,
  HEADER_FRAMES_AT,
  HEADER_STAGING_AT,
  HEADER_STAGING_PAGES,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
} from "../../src/layout.js";
import type { Twins } from "./compare.js";
import { HOSTILE } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import {
  accessWord,
  adapterBetween,
  checkAccess,
  copy,
  fill,
  read,
  translate,
  write,
} from "./model-access.js";
import { type Answer, answer, ensure } from "./model-records.js";

const BOTH = NEED_READ | NEED_WRITE;

type Examined = readonly [lpid: number, address: number, length: number, need: number];

/** The model counts places from the first frame on. */
function examined(twins: Twins, args: Examined): Answer {
  const { status, r4 } = checkAccess(twins.model, ...args);
  const offset = r4 === undefined || r4 < 0 ? 0 : twins.kernel.memory.header(HEADER_FRAMES_AT);
  return answer(status, r4 === undefined ? undefined : r4 + offset);
}

export function checkAccessOnBoth(twins: Twins, ...args: Examined): number {
  const expected = examined(twins, args);
  return twins.same("check-access", args, twins.core.checkAccess(...args), expected);
}

/** The use that has begun is not over. */
export function beginUseOnBoth(twins: Twins, ...args: Examined): number {
  const expected = examined(twins, args);
  return twins.same("begin-use", args, twins.core.beginUse(...args), expected);
}

/** What a call of a partition answers that names bytes of staging, not all of which are there (G2). */
export function refusedOutside(twins: Twins, lpid: number): Answer {
  const caller = twins.model.partitions.get(lpid);
  return answer(caller === undefined || caller.state === "running" ? H_PARAMETER : H_RESCINDED);
}

/** A place at which so many bytes do not lie in staging, or not all of them. */
export function outsideStaging(twins: Twins, draw: Draw, length: number): number {
  const { memory } = twins.kernel;
  const begin = memory.header(HEADER_STAGING_AT);
  const end = begin + memory.header(HEADER_STAGING_PAGES) * PAGE_BYTES;
  return draw.pick([begin - 8, begin - 8, end - length + 1, end - length + 8, ...HOSTILE]) ?? 0;
}

/** @param at byte offset of staging. */
export function loadOnBoth(twins: Twins, lpid: number, address: number, length: number, at: number): number {
  const status = twins.core.loadMemory(lpid, address, length, at);
  const model = read(twins.model, lpid, address, length);
  twins.same("load-staged", [lpid, address, length], status, model.answer);
  const staged = twins.kernel.memory.bytes.subarray(at, at + length);
  const isSame = model.bytes === undefined || Buffer.compare(staged, model.bytes) === 0;
  ensure(isSame, () => `loadMemory(${lpid}, ${address}, ${length}) gave another content than in the model`);
  return status;
}

/** @param at byte offset of staging. */
export function storeOnBoth(twins: Twins, lpid: number, address: number, length: number, at: number): number {
  const source = twins.kernel.memory.bytes.slice(at, at + length);
  const status = twins.core.storeMemory(lpid, address, length, at);
  return twins.same(
    "store-staged",
    [lpid, address, length],
    status,
    write(twins.model, lpid, address, source),
  );
}

export function fillOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, address: number, length: number, byte: number]
): number {
  return twins.same("fill", args, twins.core.fillMemory(...args), fill(twins.model, ...args));
}

export function copyOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, from: number, partner: number, to: number, length: number]
): number {
  return twins.same("copy", args, twins.core.copyMemory(...args), copy(twins.model, ...args));
}

export function loadWordOnBoth(twins: Twins, lpid: number, address: number): number {
  const expected = accessWord(twins.model, lpid, address, NEED_READ, [], () => undefined);
  return twins.same("load", [lpid, address], twins.core.loadWord(lpid, address), expected);
}

export function storeWordOnBoth(twins: Twins, lpid: number, address: number, value: number): number {
  const stored = accessWord(twins.model, lpid, address, NEED_WRITE, [value], () => value >>> 0);
  const status = twins.core.storeWord(lpid, address, value);
  return twins.same("store", [lpid, address, value], status, answer(stored.status));
}

export function addWordOnBoth(twins: Twins, lpid: number, address: number, value: number): number {
  const added = accessWord(twins.model, lpid, address, BOTH, [value], (word) => (word + value) >>> 0);
  return twins.same("add", [lpid, address, value], twins.core.addWord(lpid, address, value), added);
}

export function exchangeWordOnBoth(
  twins: Twins,
  lpid: number,
  address: number,
  expected: number,
  value: number,
): number {
  const swapped = accessWord(twins.model, lpid, address, BOTH, [expected, value], (word) =>
    word === expected >>> 0 ? value >>> 0 : undefined,
  );
  const status = twins.core.compareExchangeWord(lpid, address, expected, value);
  return twins.same("compare-exchange", [lpid, address, expected, value], status, swapped);
}

/** @param typeNumber as in the flags of a grant. */
export function translateOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, typeNumber: number, address: number, length: number, need: number]
): number {
  const expected = translate(twins.model, ...args);
  return twins.same("translate", args, twins.core.translate(...args), expected);
}

export function allocateOnBoth(twins: Twins, lpid: number, length: number): number {
  const status = twins.core.allocate(lpid, length);
  return twins.same("allocate", [lpid, length], status, twins.model.allocate(lpid, length));
}

export function deallocateOnBoth(twins: Twins, lpid: number, address: number): number {
  const status = twins.core.deallocate(lpid, address);
  return twins.same("deallocate", [lpid, address], status, twins.model.deallocate(lpid, address));
}

/** Which of the adapters that join the two is the core's choice. */
export function adapterBetweenOnBoth(twins: Twins, lpid: number, partner: number): number {
  const status = twins.core.adapterBetween(lpid, partner);
  const observed = status === H_SUCCESS ? twins.kernel.memory.result : Number.NaN;
  const expected = adapterBetween(twins.model, lpid, partner, observed);
  return twins.same("adapter-between", [lpid, partner], status, expected);
}
