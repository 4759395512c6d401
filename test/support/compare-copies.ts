/** Copy-on-write grants and merged pages on both tables: granted, merged, and looked for by digests. */
import { H_PARAMETER, H_RESCINDED, H_SUCCESS, PAGE_BYTES, TYPE_MEMORY } from "../../src/layout.js";
import type { Twins } from "./compare.js";
import { type Choices, HOSTILE } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import type { GrantRequest } from "./model.js";
import { mayMerge, mergePages } from "./model-copies.js";
import { answer, ensure, type Frame } from "./model-records.js";

/** Pages whose digests fit the walk's staging. */
const DIGESTS = 64;

/** @param staged byte offset of staging for digests. */
export function drawCopies(twins: Twins, choose: Choices, draw: Draw, staged: number): void {
  const choice = draw.below(8);
  if (choice < 4) twins.grantCopyOnWrite(copyRequest(choose, draw));
  else if (choice < 7) merge(twins, choose, draw);
  else digest(twins, choose, draw, staged);
}

export function copyRequest(choose: Choices, draw: Draw): GrantRequest {
  const [lpid, flags, hi, lo, length, unit] = choose.grantRequest(draw);
  return [lpid, draw.once(4) ? flags : TYPE_MEMORY, hi, lo, length, unit];
}

export function mergeOnBoth(twins: Twins, ...args: readonly [number, number, number, number]): number {
  const status = twins.core.mergePages(...args);
  const expected = mergePages(twins.model, ...args);
  if (status === H_SUCCESS && twins.r4 === 1) twins.saw("two pages are merged");
  return twins.same("merge", args, status, expected);
}

interface Place {
  readonly lpid: number;
  readonly address: number;
  readonly frame: Frame;
}

/** Mostly two pages that are equal. */
function merge(twins: Twins, choose: Choices, draw: Draw): void {
  const places: Place[] = [];
  for (const partition of twins.model.partitions.values()) {
    for (const [page, { frame }] of partition.spaces.memory.entries)
      if (partition.state === "running" && (mayMerge(partition, page) || draw.once(20)))
        places.push({ lpid: partition.lpid, address: page * PAGE_BYTES, frame });
  }
  const one = draw.pick(places);
  const equal = places.filter(
    ({ frame }) =>
      one !== undefined && frame !== one.frame && Buffer.compare(frame.bytes, one.frame.bytes) === 0,
  );
  const other = draw.pick(draw.once(8) || equal.length === 0 ? places : equal);
  if (one === undefined || other === undefined) return;
  const address = draw.once(40) ? (draw.pick(HOSTILE) ?? 0) : one.address;
  const lpid = draw.once(20) ? choose.lpid(draw) : other.lpid;
  mergeOnBoth(twins, one.lpid, address, lpid, other.address);
}

function digest(twins: Twins, choose: Choices, draw: Draw, staged: number): void {
  const partition = choose.partition(draw, "running");
  if (partition?.state === "running") digestOnBoth(twins, partition.lpid, 0, DIGESTS, staged);
}

/**
 * Equal pages have the same digest, what cannot be merged has none.
 * @param at byte offset of staging for the digests.
 */
export function digestOnBoth(twins: Twins, lpid: number, first: number, count: number, at: number): number {
  const status = twins.core.digestPages(lpid, first, count, at);
  const partition = twins.model.partitions.get(lpid);
  if (partition?.state !== "running") {
    const expected = answer(partition === undefined ? H_PARAMETER : H_RESCINDED);
    return twins.same("digest", [lpid, first, count], status, expected);
  }
  const { memory } = twins.kernel;
  const { entries, pageCount } = partition.spaces.memory;
  const pages = Math.min(count, pageCount - first);
  twins.same("digest", [lpid, first, count], status, answer(H_SUCCESS, pages));
  const contents = new Map<number, Uint8Array>();
  for (let page = first; page < first + pages; page++) {
    const value = memory.floats[at / 8 + page - first] as number;
    ensure((value !== 0) === mayMerge(partition, page), () => `page ${page} of ${lpid} has digest ${value}`);
    const bytes = entries.get(page)?.frame.bytes;
    if (value === 0 || bytes === undefined) continue;
    const before = contents.get(value);
    const isSame = before === undefined || Buffer.compare(before, bytes) === 0;
    ensure(isSame, () => `page ${page} of ${lpid} has the digest of another content`);
    for (const [known, content] of contents)
      ensure(
        known === value || Buffer.compare(content, bytes) !== 0,
        () => `equal pages of ${lpid} have two`,
      );
    contents.set(value, bytes);
  }
  return status;
}
