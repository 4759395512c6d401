/** A contender in a race, what was measured of it, and the row of the report that comes of it. */
import type { Latency, Meter } from "./latency.js";
import type { Row, RowTarget } from "./report.js";
import type { ParameterValues } from "./scan.js";
import { type Interval, median, medianInterval } from "./statistics.js";
import {
  BASELINES,
  type BaselineName,
  type BaselineTimes,
  type Contender,
  type Sample,
  type SuiteName,
  type Way,
} from "./suite.js";

export interface Entrant {
  /** A baseline's name, or what one of our ways does. */
  readonly name: string;
  readonly contender: Contender;
  readonly samples: Sample[];
  /** Where the contender can do a single operation. */
  readonly meter: Meter | undefined;
}

function timesOf(entrant: Entrant | undefined): number[] {
  return entrant?.samples.map(({ ns }) => ns) ?? [];
}

/** The row of one of our ways, from all that ran beside it. */
export function toRow(suite: SuiteName, scan: ParameterValues, way: Way, entrants: readonly Entrant[]): Row {
  const find = (name: string): Entrant | undefined => entrants.find((entrant) => entrant.name === name);
  const own = find(way.what);
  const times = timesOf(own);
  const ns = median(times);
  const baselines: Partial<Record<BaselineName, number>> = {};
  const ratios: Partial<Record<BaselineName, number>> = {};
  const ratioIntervals: Partial<Record<BaselineName, Interval>> = {};
  const samples: Record<string, number[]> = { lpar: times };
  const latencies: Record<string, Latency> = own?.meter === undefined ? {} : { lpar: own.meter.result() };
  for (const name of BASELINES) {
    const entrant = find(name);
    if (entrant === undefined) continue;
    const theirs = timesOf(entrant);
    samples[name] = theirs;
    baselines[name] = median(theirs);
    ratios[name] = ns / median(theirs);
    ratioIntervals[name] = intervalOf(ns / median(theirs), times, theirs);
    if (own?.meter !== undefined && entrant.meter !== undefined) latencies[name] = entrant.meter.result();
  }
  const longest = (own?.samples ?? []).flatMap(({ longestMs }) =>
    longestMs === undefined ? [] : [longestMs],
  );
  const longestMs = longest.length > 0 ? median(longest) : undefined;
  const target = way.target && judge(way.target, ns, baselines, longestMs);
  return {
    suite,
    what: way.what,
    scan,
    ns,
    interval: medianInterval(times),
    baselines,
    ratios,
    ratioIntervals,
    versus: way.versus ?? "native",
    ...(way.at === undefined ? {} : { at: way.at }),
    ...(longestMs === undefined ? {} : { longestMs }),
    ...(target === undefined ? {} : { target }),
    samples,
    latencies,
  };
}

/** Of the quotients of single repetitions, which a slow minute of the machine does not change as it changes times. */
function intervalOf(ratio: number, times: readonly number[], theirs: readonly number[]): Interval {
  const { low, high, confidence } = medianInterval(
    times.map((time, index) => time / (theirs[index] as number)),
  );
  // The quotient of the medians need not be the median of the quotients.
  return { low: Math.min(low, ratio), high: Math.max(high, ratio), confidence };
}

function judge(
  target: NonNullable<Way["target"]>,
  ns: number,
  baselines: BaselineTimes,
  longestMs?: number,
): RowTarget {
  const within = (limit: number | undefined): boolean | undefined =>
    limit === undefined ? undefined : ns <= limit;
  const limitMs = target.longestMs;
  return {
    text: target.text,
    reached: within(target.reach(baselines)),
    aimReached: within(target.aim(baselines)),
    ...(limitMs === undefined || longestMs === undefined
      ? {}
      : { longestMs: limitMs, longestReached: longestMs <= limitMs }),
  };
}
