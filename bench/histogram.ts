/** Latencies: percentiles by Node's HDR histogram, with three digits, and counts to draw. */
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** Nanoseconds. */
export interface Percentiles {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** 99.9 %. */
  readonly p999: number;
  readonly max: number;
}

/** How many latencies lie from `from` nanoseconds on, up to the next bin's. */
export type Bin = readonly [from: number, count: number];

/** Bins of one doubling. */
const BINS = 4;
/** The greatest latency that is told apart from a greater one: an hour. */
const NS_MAX = 3.6e12;
const DIGITS = 3;

export class LatencyHistogram {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: NS_MAX, figures: DIGITS });
  readonly #bins = new Map<number, number>();
  // The histogram rounds to its digits, so that it would report more than was ever seen.
  #max = 0;

  get count(): number {
    return this.#histogram.count;
  }

  /** @param ns nanoseconds; less than one counts as one. */
  record(ns: number): void {
    const whole = Math.min(Math.max(1, Math.round(ns)), NS_MAX);
    this.#histogram.record(whole);
    this.#max = Math.max(this.#max, whole);
    const bin = Math.floor(Math.log2(whole) * BINS);
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + 1);
  }

  /** @param block what was recorded is of so many operations together: one has that part of it. */
  percentiles(block: number = 1): Percentiles {
    const histogram = this.#histogram;
    const at = (percent: number): number => Math.min(histogram.percentile(percent), this.#max) / block;
    return {
      mean: histogram.mean / block,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: this.#max / block,
    };
  }

  /**
   * From the first that is not empty to the last; four for each doubling.
   * @param block as for percentiles().
   */
  bins(block: number = 1): Bin[] {
    const indexes = [...this.#bins.keys()];
    const [first, last] = [Math.min(...indexes), Math.max(...indexes)];
    return Array.from({ length: this.#bins.size === 0 ? 0 : last - first + 1 }, (_, index) => [
      edgeOf(first + index, block),
      this.#bins.get(first + index) ?? 0,
    ]);
  }
}

/** Where a bin begins, with as many digits as reports have. */
function edgeOf(bin: number, block: number): number {
  return Number((2 ** (bin / BINS) / block).toPrecision(6));
}

/** Bins drawn together, so that there are at most so many. */
export function mergeBins(bins: readonly Bin[], countMax: number): Bin[] {
  const step = Math.max(1, Math.ceil(bins.length / countMax));
  return Array.from({ length: Math.ceil(bins.length / step) }, (_, index) => {
    const part = bins.slice(index * step, (index + 1) * step);
    return [part[0]?.[0] ?? 0, part.reduce((sum, [, count]) => sum + count, 0)];
  });
}
