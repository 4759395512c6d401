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

/** A number as suites write it: 4096, 4,096 or 2^12. */
const NUMBER = /2\^(\d+)|\d+(?:,\d{3})*/g;
/** Stands in a curve's name where its rows differ. */
const ANY = "N";
/** What is counted, of one and of several: "1 grant", "16 grants". */
const COUNTED = /(N \w+?)s?\b/g;

/** What a parameter other than that of the axis was scanned to. */
function othersOf({ scan }: Row, parameter: ParameterName): string {
  const others = Object.entries(scan).filter(([name]) => name !== parameter);
  return others.map(([name, value]) => `, ${name} ${value}`).join("");
}

/** The rows of one curve by their places on the axis, and its name. */
interface Group {
  what: string;
  readonly rows: Map<number, Row>;
}

/**
 * Rows of a scan: each run of the suite has the same ones in the same order, but for the numbers in their names. All that change
 * become "N", since others may follow from the value (the nodes of a tree from its depth), or be the same by chance.
 */
function groupScanned(rows: readonly Row[], parameter: ParameterName): Iterable<Group> {
  const groups = new Map<string, Group>();
  const counts = new Map<string, number>();
  for (const row of rows) {
    const place = row.scan[parameter];
    if (typeof place !== "number") continue;
    const shape = row.what.replaceAll(NUMBER, ANY).replaceAll(COUNTED, "$1");
    const alike = JSON.stringify([shape, othersOf(row, parameter)]);
    const index = counts.get(`${alike} ${place}`) ?? 0;
    counts.set(`${alike} ${place}`, index + 1);
    const group = groups.get(`${alike} ${index}`) ?? { what: "", rows: new Map() };
    groups.set(`${alike} ${index}`, group);
    group.what = row.what;
    group.rows.set(place, row);
  }
  for (const group of groups.values()) {
    const all = [...group.rows.values()];
    const numbers = all.map(({ what }) => what.match(NUMBER) ?? []);
    let position = 0;
    const name = group.what.replaceAll(NUMBER, (number) => {
      const isSame = numbers.every((each) => each[position] === number);
      position++;
      return isSame ? number : ANY;
    });
    group.what = name + othersOf(all[0] as Row, parameter);
  }
  return groups.values();
}

/** The row's name with "N" for the value that the suite itself has set: the same for all rows of a curve. */
function nameWithout(row: Row, parameter: ParameterName, value: number): string {
  const { what } = row;
  const isValue = ([text, exponent]: RegExpMatchArray): boolean =>
    (exponent === undefined ? Number(text.replaceAll(",", "")) : 2 ** Number(exponent)) === value;
  // The last one, since other numbers of a name may be the same by chance: "1 page, batch of 1".
  const found = [...what.matchAll(NUMBER)].findLast(isValue);
  const name =
    found === undefined
      ? what
      : `${what.slice(0, found.index)}${ANY}${what.slice(found.index + found[0].length)}`;
  return name + othersOf(row, parameter);
}

/** Rows that the suite itself has at several values of the parameter. */
function groupOwn(rows: readonly Row[], parameter: ParameterName): Iterable<Group> {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const place = row.at?.[parameter];
    if (place === undefined || row.scan[parameter] !== undefined) continue;
    const what = nameWithout(row, parameter, place);
    const group = groups.get(what) ?? { what, rows: new Map() };
    // A second row at the same place differs by something else: the first one stays.
    if (!group.rows.has(place)) group.rows.set(place, row);
    groups.set(what, group);
  }
  return groups.values();
}

function curvesOf({ what, rows: byPlace }: Group): Curve[] {
  const rows = [...byPlace].sort(([a], [b]) => a - b);
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
      const curves = [...groupScanned(rows, parameter), ...groupOwn(rows, parameter)]
        .filter((group) => group.rows.size > 1)
        .flatMap(curvesOf);
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
