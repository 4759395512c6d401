/** Moving pages to other frames, in slices between which others run: partition.migrate() and table.compact(). */
import { POKE_SLICES } from "./binding.js";
import { nextTurn } from "./clock.js";
import type { Holder } from "./holder.js";
import type { Kernel } from "./kernel.js";
import {
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_PARTIAL,
  H_SUCCESS,
  HEADER_FRAMES_MAX,
  HEADER_MOVES,
  PAGE_BYTES,
  THREAD_WAITS_FOR,
} from "./layout.js";
import { checkWait, type WaitOptions } from "./stream.js";

/** What a migration did. */
export interface MigrationReport {
  /** Pages that are on other frames now. */
  readonly pagesMoved: number;
  /** Times that it let others run in between. */
  readonly slices: number;
}

/** What a compaction did. */
export interface CompactionReport extends MigrationReport {
  /** Bytes of the largest run of free frames, before and after: the largest LMB that can be made in one piece. */
  readonly largestFree: {
    /** Bytes, when it began. */
    readonly before: number;
    /** Bytes, when it was done. */
    readonly after: number;
  };
}

/** Pages that one slice moves: about half a millisecond. */
const SLICE_PAGES = 128;

/**
 * Calls `slice` until it answers neither H_PARTIAL nor H_LongBusyOrder10msec. Pages that have moved are told to the views
 * of this thread.
 */
async function inSlices(
  kernel: Kernel,
  slice: () => number,
  options: WaitOptions,
): Promise<{ readonly status: number; readonly pagesMoved: number; readonly slices: number }> {
  const { memory } = kernel;
  let pagesMoved = 0;
  for (let slices = 0; ; slices++) {
    options.signal?.throwIfAborted();
    kernel.checkOpen();
    const before = memory.header(HEADER_MOVES);
    const status = slice();
    const moved = (memory.header(HEADER_MOVES) - before) >>> 0;
    pagesMoved += moved;
    if (moved > 0) kernel.followMoves();
    if (status !== H_PARTIAL && status !== H_LONG_BUSY_10_MSEC) return { status, pagesMoved, slices };
    const isInUse = memory.header(memory.thread + THREAD_WAITS_FOR) !== 0;
    if (isInUse && slices % POKE_SLICES === POKE_SLICES - 1) memory.pokeAll();
    await nextTurn(status === H_PARTIAL ? 0 : 1);
  }
}

/** Puts a range of a partition's own memory onto consecutive frames. */
export async function gather(
  holder: Holder,
  address: number,
  length: number,
  options: WaitOptions,
): Promise<MigrationReport> {
  checkWait(options);
  const { kernel } = holder;
  const slice = (): number => kernel.core.gatherMemory(holder.lpid, address, length, SLICE_PAGES);
  const { status, pagesMoved, slices } = await inSlices(kernel, slice, options);
  kernel.settle("H_MIGRATE", status, `address ${address}, length ${length}`);
  return { pagesMoved, slices };
}

/** Bytes of the largest run of free frames. */
async function largestFree(kernel: Kernel): Promise<number> {
  const { core, memory } = kernel;
  let low = 0;
  let high = memory.header(HEADER_FRAMES_MAX);
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    const status = core.findFrames(middle);
    if (status === H_SUCCESS) low = middle;
    else if (status === H_NO_MEM) high = middle - 1;
    else await nextTurn(1);
  }
  return low * PAGE_BYTES;
}

/** Moves what running partitions own to lower frames. */
export async function compact(
  kernel: Kernel,
  lpids: Iterable<number>,
  options: WaitOptions,
): Promise<CompactionReport> {
  checkWait(options);
  const { core, memory } = kernel;
  const before = await largestFree(kernel);
  let pagesMoved = 0;
  let slices = 0;
  for (const lpid of lpids) {
    let page = 0;
    const slice = (): number => {
      const status = core.compactMemory(lpid, page, SLICE_PAGES);
      // A page in use answers where to go on; a table that is locked answers nothing.
      if (status === H_PARTIAL) page = memory.result;
      return status;
    };
    // A partition that has failed meanwhile has nothing to move.
    const done = await inSlices(kernel, slice, options);
    pagesMoved += done.pagesMoved;
    slices += done.slices + 1;
    await nextTurn();
  }
  return { pagesMoved, slices, largestFree: { before, after: await largestFree(kernel) } };
}
