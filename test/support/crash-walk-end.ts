/** The end of a walk: everybody fails and is recovered, all views end, and then nothing may be left of what there was. */
import {
  H_PARTIAL,
  H_SUCCESS,
  HEADER_COPIES,
  HEADER_END_ORPHANS,
  HEADER_ENDS_USED,
  HEADER_FRAMES_FREE,
  HEADER_FRAMES_QUARANTINED,
  HEADER_FRAMES_SAVED,
  HEADER_MARKING,
  HEADER_PAGES_LENT,
  HEADER_PARTITIONS_USED,
  HEADER_PINS_USED,
  HEADER_REVOCATIONS,
  HEADER_STRUCTURE_FRESH,
  HEADER_STRUCTURES_LISTED,
  HEADER_STRUCTURES_RETIRED,
  HEADER_TELLER,
  PAGE_BYTES,
} from "../../src/layout.js";
import type { TableWords } from "./crash-walk-words.js";

/** Slices that a recovery takes at most. */
const SLICES = 2000;

const ZEROES = Buffer.alloc(PAGE_BYTES);

/** Words of the header that are 0 in a table that has nobody. */
const EMPTY: Readonly<Record<string, number>> = {
  "adapter ends": HEADER_ENDS_USED,
  "adapter ends without an owner": HEADER_END_ORPHANS,
  "frames in quarantine": HEADER_FRAMES_QUARANTINED,
  "frames saved by merging": HEADER_FRAMES_SAVED,
  "pages lent": HEADER_PAGES_LENT,
  partitions: HEADER_PARTITIONS_USED,
  "private pages": HEADER_COPIES,
  revocations: HEADER_REVOCATIONS,
  "revocations that mark": HEADER_MARKING,
  "the telling partition": HEADER_TELLER,
  views: HEADER_PINS_USED,
};

function drive(slice: () => number): boolean {
  for (let slices = 0; slices < SLICES; slices++) if (slice() !== H_PARTIAL) return true;
  return false;
}

/** Takes everything back, in a table in which no call is half done and no use is open. Answers what is left, "" if nothing is. */
export function giveBack(words: TableWords): string {
  const { rig, partitions } = words;
  const owner = rig.core(0);
  const there = partitions.filter((lpid) => words.stateOf(lpid) !== 0);
  for (const lpid of there) if (!drive(() => owner.failPartition(lpid, 0))) return `${lpid} does not fail`;
  for (const { number } of words.views())
    for (const lpid of partitions) if (owner.unpinMemory(lpid, number) === H_SUCCESS) break;
  for (const { number } of words.views()) owner.unpinOrphan(number);
  // One may wait for what another one is to give back.
  for (let round = 0; round < partitions.length; round++)
    for (const lpid of there) drive(() => owner.recoverServer(lpid, 50));
  for (const lpid of there)
    if (owner.removePartition(lpid) !== H_SUCCESS)
      return `partition ${lpid} does not stop, its state is ${words.stateOf(lpid)}`;
  return rig.audit() || whatIsLeft(words);
}

function whatIsLeft(words: TableWords): string {
  for (const [what, offset] of Object.entries(EMPTY))
    if (words.word(offset) !== 0) return `there are still ${what}: ${words.word(offset)}`;
  const free = words.word(HEADER_FRAMES_FREE);
  if (free !== words.frames) return `frames are lost: ${free} of ${words.frames} are free`;
  for (let frame = 0; frame < words.frames; frame++) {
    const at = words.frameAt(frame);
    const isZero = ZEROES.equals(words.rig.bytes.subarray(at, at + PAGE_BYTES));
    if (!words.isFree(frame) || !isZero) return `frame ${frame} is not free, or not zero`;
  }
  const unused = words.word(HEADER_STRUCTURES_LISTED) + words.word(HEADER_STRUCTURES_RETIRED);
  const structures = words.word(HEADER_STRUCTURE_FRESH) - 1;
  return unused === structures ? "" : `structures are lost: ${structures - unused}`;
}
