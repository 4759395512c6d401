/** What of a report can be drawn as curves: rows that differ by the value of one parameter only. */
import { PARAMETER_NAMES, type ParameterName } from "./parameters.js";
import type { Report, Row } from "./report.js";
import { BASELINES, type BaselineName, type SuiteName } from "./suite.js";

export interface Point {
  readonly x: number;
  readonly ns: number;
  readonly low: number;
  readonly high: number;
}

export interface Curve {
  /** What the rows do, with "N" for the parameter. */
  readonly what: string;
  /** "lpar", or a baseline. */
  readonly contender: "lpar" | BaselineName;
  /** By rising x. */
  readonly points: readonly Point[];
}

/** One chart: the rows of a suite against one parameter. */
export interface Family {
  readonly suite: SuiteName;
  readonly parameter: ParameterName;
  /** Our own curves, and those of the baselines beside them. */
  readonly curves: readonly Curve[];
}

/** Where a row stands on the axis of a parameter. */
function placeOf(row: Row, parameter: ParameterName): number | undefined {
  const scanned = row.scan[parameter];
  return typeof scanned === "number" ? scanned : row.at?.[parameter];
}

/** A number as suites write it: 4096, 4,096 or 2^12. */
const NUMBER = /2\^(\d+)|\d+(?:,\d{3})*/g;

/** The row's name with "N" for the value: the same for all rows of a curve. */
function nameWithout(row: Row, parameter: ParameterName, value: number): string {
  const { what, scan } = row;
  const isValue = ([text, exponent]: RegExpMatchArray): boolean =>
    (exponent === undefined ? Number(text.replaceAll(",", "")) : 2 ** Number(exponent)) === value;
  // The last one, since other numbers of a name may be the same by chance: "1 page, batch of 1".
  const found = [...what.matchAll(NUMBER)].findLast(isValue);
  const name =
    found === undefined ? what : `${what.slice(0, found.index)}N${what.slice(found.index + found[0].length)}`;
  const others = Object.entries(scan).filter(([other]) => other !== parameter);
  return name + others.map(([other, set]) => `, ${other} ${set}`).join("");
}

/** Rows that have a parameter, by what they do. */
function groupRows(
  rows: readonly Row[],
  parameter: ParameterName,
): ReadonlyMap<string, ReadonlyMap<number, Row>> {
  const groups = new Map<string, Map<number, Row>>();
  for (const row of rows) {
    const place = placeOf(row, parameter);
    if (place === undefined) continue;
    const name = nameWithout(row, parameter, place);
    const group = groups.get(name) ?? new Map<number, Row>();
    // A second row at the same place differs by something else: the first one stays.
    if (!group.has(place)) group.set(place, row);
    groups.set(name, group);
  }
  return groups;
}

function curvesOf(what: string, group: ReadonlyMap<number, Row>): Curve[] {
  const rows = [...group].sort(([a], [b]) => a - b);
  const own: Curve = {
    what,
    contender: "lpar",
    points: rows.map(([x, { ns, interval }]) => ({ x, ns, low: interval.low, high: interval.high })),
  };
  const theirs = BASELINES.flatMap((contender): Curve[] => {
    const points = rows.flatMap(([x, row]) => {
      const ns = row.baselines[contender];
      return ns === undefined ? [] : [{ x, ns, low: ns, high: ns }];
    });
    return points.length < 2 ? [] : [{ what, contender, points }];
  });
  return [own, ...theirs];
}

/** All charts that a report has curves for. */
export function familiesOf(report: Report): readonly Family[] {
  return report.options.suites.flatMap((suite) => {
    const rows = report.rows.filter((row) => row.suite === suite);
    return PARAMETER_NAMES.flatMap((parameter): Family[] => {
      const curves = [...groupRows(rows, parameter)]
        .filter(([, group]) => group.size > 1)
        .flatMap(([what, group]) => curvesOf(what, group));
      return curves.length === 0 ? [] : [{ suite, parameter, curves }];
    });
  });
}

/** Where batches become cheaper than what is done one by one. */
export interface BreakEven {
  readonly batches: Curve;
  readonly singles: Curve;
  /** The least batch from which on all larger ones are cheaper, too; undefined if the largest is not. */
  readonly batch: number | undefined;
}

/** @returns nothing for charts of another parameter. */
export function breakEvens({ parameter, curves }: Family): readonly BreakEven[] {
  if (parameter !== "batch") return [];
  const isBatch = ({ what }: Curve): boolean => /\bbatch\b/.test(what);
  const rest = ({ what }: Curve): string =>
    what.replace(/\b(batch( of N)?|single|raw|objects)\b/, "").replace(/\W+/g, " ");
  return curves
    .filter((curve) => curve.contender === "lpar" && isBatch(curve))
    .flatMap((batches) =>
      curves
        .filter((curve) =>
          curve.contender === "lpar"
            ? !isBatch(curve) && rest(curve) === rest(batches)
            : curve.contender === SINGLE && curve.what === batches.what,
        )
        .map((singles) => ({ batches, singles, batch: crossingOf(batches, singles) })),
    );
}

/** The baseline that does the same without batches. */
const SINGLE: string = "single";

function crossingOf(batches: Curve, singles: Curve): number | undefined {
  const isCheaper = batches.points.map(
    ({ x, ns }) => ns < (singles.points.find((point) => point.x === x)?.ns ?? 0),
  );
  return batches.points[isCheaper.lastIndexOf(false) + 1]?.x;
}
