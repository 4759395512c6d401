/**
 * What may be said of a few measurements. Nothing is assumed of their distribution, which has a long tail on every
 * machine: all intervals here are made of the measurements themselves, by their order.
 */

/** Where a value lies, and how sure that is. */
export interface Interval {
  readonly low: number;
  readonly high: number;
  /**
   * Probability, 0 to 1, that the interval holds the true value: 0.95 or more, unless there are too few measurements even
   * for the widest interval, from the least to the greatest.
   */
  readonly confidence: number;
}

const CONFIDENCE = 0.95;
/** Numbers of measurements up to which the distribution of ranks is counted out; beyond, it is normal enough. */
const EXACT_MAX = 20;
/** Of the standard normal distribution: what lies within so many deviations is 95 %. */
const DEVIATIONS = 1.959964;

function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}

/** @throws Error when there are no numbers. */
export function median(numbers: readonly number[]): number {
  const ordered = sorted(numbers);
  const middle = ordered.length >> 1;
  const upper = ordered[middle];
  if (upper === undefined) throw new Error("there is no median of nothing");
  return ordered.length % 2 === 1 ? upper : (upper + (ordered[middle - 1] ?? upper)) / 2;
}

/**
 * Where the median of what was measured lies, by order statistics: each measurement is below the true median with
 * probability 1/2, so how many of n are is binomial (the sign test turned round).
 *
 * @throws Error when there are no numbers.
 */
export function medianInterval(numbers: readonly number[]): Interval {
  const ordered = sorted(numbers);
  const n = ordered.length;
  if (n === 0) throw new Error("there is no interval of nothing");
  // Of exactly `below` measurements below the median, and of at most so many.
  let exactly = 2 ** -n;
  let atMost = exactly;
  let below = 0;
  let confidence = 1 - 2 * atMost;
  while (below + 1 < n / 2) {
    exactly *= (n - below) / (below + 1);
    const next = 1 - 2 * (atMost + exactly);
    if (next < CONFIDENCE) break;
    atMost += exactly;
    confidence = next;
    below++;
  }
  return { low: ordered[below] as number, high: ordered[n - 1 - below] as number, confidence };
}

/** How much greater one is than the other. */
export interface Ratio extends Interval {
  readonly ratio: number;
}

/**
 * How much greater `after` is than `before`, from two runs that have nothing to do with each other: the median of all
 * quotients (Hodges and Lehmann), and the interval that belongs to the rank sum test of Mann and Whitney.
 *
 * @throws Error when one of them is empty.
 */
export function ratioOf(before: readonly number[], after: readonly number[]): Ratio {
  const quotients = sorted(before.flatMap((a) => after.map((b) => b / a)));
  const { rank, confidence } = rankOf(before.length, after.length);
  const low = quotients[rank];
  const high = quotients[quotients.length - 1 - rank];
  if (low === undefined || high === undefined) throw new Error("there is no ratio of nothing");
  return { ratio: median(quotients), low, high, confidence };
}

/** How many of the quotients may be left out at each end. */
function rankOf(n: number, m: number): { readonly rank: number; readonly confidence: number } {
  if (Math.max(n, m) > EXACT_MAX) {
    const deviation = Math.sqrt((n * m * (n + m + 1)) / 12);
    // Half a rank less, as between two of them: without that, some intervals hold a little less than they say.
    const rank = Math.floor((n * m - 1) / 2 - DEVIATIONS * deviation);
    if (rank > 0) return { rank, confidence: CONFIDENCE };
  }
  const ways = rankSums(Math.min(n, EXACT_MAX), Math.min(m, EXACT_MAX));
  const all = ways.reduce((sum, count) => sum + count, 0);
  let atMost = ways[0] as number;
  let rank = 0;
  while (1 - (2 * (atMost + (ways[rank + 1] ?? all))) / all >= CONFIDENCE) atMost += ways[++rank] as number;
  return { rank, confidence: 1 - (2 * atMost) / all };
}

/** In how many orders of n and m values so many pairs are the wrong way round: the coefficients of a Gaussian binomial. */
function rankSums(n: number, m: number): number[] {
  const length = n * m + 1;
  const ways = new Array<number>(length).fill(0);
  ways[0] = 1;
  for (let i = 1; i <= n; i++) {
    // Times 1 - q^(m + i), then by 1 - q^i.
    for (let k = length - 1; k >= m + i; k--) ways[k] = (ways[k] as number) - (ways[k - m - i] as number);
    for (let k = i; k < length; k++) ways[k] = (ways[k] as number) + (ways[k - i] as number);
  }
  return ways;
}
