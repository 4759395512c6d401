/** Streams of page numbers that follow a distribution, the same for the same seed. */
import { stat } from "node:fs/promises";
import { readTrace, TraceError } from "../src/trace/format.js";
import type { Distribution } from "./distribution.js";
import { Random } from "./random.js";

/** The next page, from 0 on. */
export type PageStream = () => number;

/**
 * Opens a stream over so many pages. Which pages are the likely ones (zipf, hotcold) is drawn from the seed, so that they
 * do not lie side by side. A trace names its pages in the order of their first use; where it has more of them than there
 * are pages, several share one. After its last reference it begins anew.
 *
 * @throws TraceError for a trace that cannot be read.
 */
export async function openPages(
  distribution: Distribution,
  pages: number,
  seed: number,
): Promise<PageStream> {
  const random = new Random(seed);
  switch (distribution.kind) {
    case "uniform":
      return () => random.below(pages);
    case "seq":
      return strides(1, pages);
    case "stride":
      return strides(distribution.pages, pages);
    case "zipf":
      return zipf(distribution.exponent, pages, random);
    case "hotcold":
      return hotAndCold(distribution.accessPercent, distribution.pagePercent, pages, random);
    case "trace": {
      const { pageIndex } = await readTrace(distribution.file);
      let position = 0;
      return () => {
        const page = (pageIndex[position] as number) % pages;
        position = position + 1 === pageIndex.length ? 0 : position + 1;
        return page;
      };
    }
  }
}

/**
 * Finds out whether a trace can be read as often as scenarios do: one that cannot must not end minutes of work.
 *
 * @throws TraceError when it cannot, or is no file: a pipe has its bytes only once, and who waits for them cannot be ended.
 */
export async function checkTrace(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isFile())
    throw new TraceError("TRACE_UNREADABLE", path, "not a file; a trace is read once for each scenario");
  await readTrace(path);
}

/** The next pages of a stream. */
export function takePages(stream: PageStream, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, stream);
}

/** With a common divisor it would come back to where it began before all pages had their turn: it then goes one further. */
function strides(stride: number, pages: number): PageStream {
  let page = 0;
  let start = 0;
  return () => {
    const now = page;
    page = (page + stride) % pages;
    if (page === start) {
      start = (start + 1) % greatestDivisor(stride, pages);
      page = start;
    }
    return now;
  };
}

function greatestDivisor(a: number, b: number): number {
  let [more, less] = [a, b];
  while (less > 0) [more, less] = [less, more % less];
  return more;
}

/** Exact: an alias table (Vose, 1991), with a column for each rank. */
function zipf(exponent: number, pages: number, random: Random): PageStream {
  const places = random.shuffled(pages);
  const { keep, alias } = aliasTable(
    Float64Array.from({ length: pages }, (_, rank) => (rank + 1) ** -exponent),
  );
  return () => {
    const column = random.below(pages);
    const isKept = random.next() < (keep[column] as number);
    return places[isKept ? column : (alias[column] as number)] as number;
  };
}

/** Columns of equal weight, each of which belongs to itself below `keep` of 2^32 and to its alias above. */
function aliasTable(weights: Float64Array): { readonly keep: Float64Array; readonly alias: Uint32Array } {
  const count = weights.length;
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / count;
  const left = weights.map((weight) => weight / mean);
  const keep = new Float64Array(count).fill(2 ** 32);
  const alias = Uint32Array.from({ length: count }, (_, column) => column);
  const small: number[] = [];
  const large: number[] = [];
  for (let column = 0; column < count; column++) ((left[column] as number) < 1 ? small : large).push(column);
  while (small.length > 0 && large.length > 0) {
    const poor = small.pop() as number;
    const rich = large[large.length - 1] as number;
    const has = left[poor] as number;
    keep[poor] = has * 2 ** 32;
    alias[poor] = rich;
    left[rich] = (left[rich] as number) - (1 - has);
    if ((left[rich] as number) < 1) small.push(large.pop() as number);
  }
  // What is left over is 1 but for rounding, and keeps its whole column.
  return { keep, alias };
}

/** There is a hot page at least, and a cold one where there are two pages. */
function hotAndCold(accessPercent: number, pagePercent: number, pages: number, random: Random): PageStream {
  const places = random.shuffled(pages);
  const hot = Math.min(Math.max(Math.round((pages * pagePercent) / 100), 1), Math.max(pages - 1, 1));
  const limit = (accessPercent / 100) * 2 ** 32;
  return () => {
    const isHot = random.next() < limit || hot === pages;
    return places[isHot ? random.below(hot) : hot + random.below(pages - hot)] as number;
  };
}
