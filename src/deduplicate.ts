/**
 * Transparent sharing: finds equal pages by their digests and merges them (assembly/merge.ts), a slice at a time.
 */
import { nextTurn } from "./clock.js";
import type { Kernel } from "./kernel.js";
import {
  H_LONG_BUSY_10_MSEC,
  H_SUCCESS,
  HEADER_FRAMES_SAVED,
  HEADER_SPACE_PAGES,
  PAGE_BYTES,
} from "./layout.js";
import { checkWait, type WaitOptions } from "./stream.js";

/** What a pass over all pages did. */
export interface DeduplicationReport {
  /** Pages that could be merged, and were looked at. */
  readonly examined: number;
  /** Pages that came to stand on another page's frame. */
  readonly merged: number;
  /** Pages that could not be merged now, since a thread went on using them or something changed. */
  readonly skipped: number;
  /** Bytes of frames that merging saves now, in the whole table. */
  readonly saved: number;
}

/** Pages of one slice: about 0.1 ms of digests, and at most about 1 ms when all of them merge. */
const SLICE_PAGES = 512;

/** The first page that was met with a content. */
interface Place {
  readonly lpid: number;
  readonly address: number;
}

/** Merges equal pages of some partitions. */
export async function deduplicate(
  kernel: Kernel,
  lpids: readonly number[],
  options: WaitOptions,
): Promise<DeduplicationReport> {
  checkWait(options);
  const { core, memory } = kernel;
  const pages = memory.header(HEADER_SPACE_PAGES);
  const met: Map<number, Place> = new Map();
  const report = { examined: 0, merged: 0, skipped: 0 };
  options.signal?.throwIfAborted();
  const stagingPages = Math.ceil((SLICE_PAGES * 8) / PAGE_BYTES);
  let status = core.takeStaging(stagingPages);
  for (; status === H_LONG_BUSY_10_MSEC; status = core.takeStaging(stagingPages)) await nextTurn(1);
  kernel.settle("deduplicate", status, "no staging for the digests");
  const offset = memory.result;
  const digests = memory.floats.subarray(offset / 8, offset / 8 + SLICE_PAGES);
  try {
    for (const lpid of lpids) {
      for (let page = 0; page < pages; page += SLICE_PAGES) {
        // A partition that has failed meanwhile has nothing to merge.
        if (core.digestPages(lpid, page, SLICE_PAGES, offset) !== H_SUCCESS) break;
        mergeSlice(kernel, lpid, page, digests.subarray(0, memory.result), met, report);
        // Also where there was nothing to merge: to find that out in all of a large space takes seconds.
        await nextTurn();
        options.signal?.throwIfAborted();
        kernel.checkOpen();
      }
    }
  } finally {
    if (!kernel.isClosed) kernel.finish(() => core.freeStaging(offset, stagingPages));
  }
  return { ...report, saved: memory.header(HEADER_FRAMES_SAVED) * PAGE_BYTES };
}

function mergeSlice(
  kernel: Kernel,
  lpid: number,
  first: number,
  digests: Float64Array,
  met: Map<number, Place>,
  report: { examined: number; merged: number; skipped: number },
): void {
  // Merging waits for nobody here, but the digests lie where the next slice's will.
  for (const [index, digest] of digests.entries()) {
    if (digest === 0) continue;
    report.examined++;
    const address = (first + index) * PAGE_BYTES;
    const place = met.get(digest);
    if (place === undefined) met.set(digest, { lpid, address });
    else if (kernel.core.mergePages(place.lpid, place.address, lpid, address) !== H_SUCCESS) report.skipped++;
    else report.merged += kernel.memory.result;
  }
}
