/** What a trace looks like: how much it reads and writes, and how unevenly it uses its pages. */

import { NEED_READ, NEED_WRITE } from "../layout.js";
import type { Trace } from "./format.js";

/** The pages with `from` to `to` references each, both included. */
export interface PopularityBucket {
  readonly from: number;
  readonly to: number;
  readonly pages: number;
  readonly references: number;
}

/** The share of all references, 0 to 1, that go to the most used pages. */
export interface HottestShare {
  /** Percentage of the pages, rounded up to whole pages. */
  readonly percent: number;
  readonly pages: number;
  readonly share: number;
}

export interface TraceStatistics {
  readonly references: number;
  readonly pages: number;
  readonly reads: number;
  readonly writes: number;
  /** References that read and write the same bytes; they are in neither of the other two. */
  readonly modifies: number;
  /** Buckets from 1 upwards, each from a power of two to just below the next; none is left out in between. */
  readonly popularity: readonly PopularityBucket[];
  readonly hottest: readonly HottestShare[];
}

const HOTTEST_PERCENTS: readonly number[] = [1, 10, 50];

export function traceStatistics(trace: Trace): TraceStatistics {
  const ofKind = [0, 0, 0, 0];
  for (const kind of trace.kind) ofKind[kind] = (ofKind[kind] as number) + 1;
  const perPage = new Uint32Array(trace.pages.length);
  for (const page of trace.pageIndex) perPage[page] = (perPage[page] as number) + 1;
  perPage.sort().reverse();
  return {
    references: trace.length,
    pages: trace.pages.length,
    reads: ofKind[NEED_READ] as number,
    writes: ofKind[NEED_WRITE] as number,
    modifies: ofKind[NEED_READ | NEED_WRITE] as number,
    popularity: popularityOf(perPage),
    hottest: HOTTEST_PERCENTS.map((percent) => {
      const pages = Math.ceil((perPage.length * percent) / 100);
      return { percent, pages, share: sum(perPage.subarray(0, pages)) / trace.length };
    }),
  };
}

function popularityOf(perPage: Uint32Array): PopularityBucket[] {
  const buckets: { from: number; to: number; pages: number; references: number }[] = [];
  for (const references of perPage) {
    const power = 31 - Math.clz32(references);
    for (let next = buckets.length; next <= power; next++)
      buckets.push({ from: 2 ** next, to: 2 ** (next + 1) - 1, pages: 0, references: 0 });
    const bucket = buckets[power];
    if (bucket === undefined) continue;
    bucket.pages++;
    bucket.references += references;
  }
  return buckets;
}

function sum(counts: Uint32Array): number {
  return counts.reduce((total, count) => total + count, 0);
}
