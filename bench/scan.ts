/** `--scan`: a parameter that takes one value after the other, and what comes out of it as runs of the suites. */
import { formatDistribution } from "./distribution.js";
import { ParameterError } from "./parameter-error.js";
import {
  PARAMETER_NAMES,
  PARAMETERS,
  type ParameterName,
  type Parameters,
  parseParameter,
} from "./parameters.js";
import type { SuiteName } from "./suite.js";

/** Parameters as they stand in reports: numbers, and distributions as the user writes them. */
export type ParameterValues = Readonly<Partial<Record<ParameterName, number | string>>>;

export interface Scan {
  readonly name: ParameterName;
  /** Each once, as the user would write it. */
  readonly values: readonly (number | string)[];
}

export const SCAN_VALUES_MAX = 64;
const RUNS_MAX = 256;
const FACTOR_MIN = 1.1;
const FORM = "name=a,b,c or name=lo..hixF";

export function valuesOf(parameters: Parameters): ParameterValues {
  return Object.fromEntries(
    PARAMETER_NAMES.flatMap((name) => {
      const value = parameters[name];
      if (value === undefined) return [];
      return [[name, typeof value === "number" ? value : formatDistribution(value)]];
    }),
  );
}

/** The opposite of valuesOf(). */
export function parametersOf(values: ParameterValues): Parameters {
  return Object.assign(
    {},
    ...PARAMETER_NAMES.flatMap((name) =>
      values[name] === undefined ? [] : [parseParameter(name, String(values[name]))],
    ),
  );
}

function isParameterName(text: string): text is ParameterName {
  return (PARAMETER_NAMES as readonly string[]).includes(text);
}

/**
 * Reads `pages=4096,65536` or `pages=4096..1048576x4`.
 *
 * @throws ParameterError naming what was wrong and what is allowed.
 */
export function parseScan(text: string): Scan {
  const equals = text.indexOf("=");
  if (equals < 0) throw new ParameterError(`--scan takes ${FORM}, but got "${text}"`);
  const [name, list] = [text.slice(0, equals), text.slice(equals + 1)];
  if (!isParameterName(name))
    throw new ParameterError(`--scan knows ${PARAMETER_NAMES.join(", ")}, but got "${name}"`);
  const values =
    list.includes("..") && PARAMETERS[name].bounds !== undefined ? range(name, list) : listed(name, list);
  if (values.length > SCAN_VALUES_MAX)
    throw new ParameterError(
      `--scan takes at most ${SCAN_VALUES_MAX} values, but "${text}" has ${values.length}`,
    );
  return { name, values: [...new Set(values)] };
}

function readValue(name: ParameterName, text: string): number | string {
  try {
    return valuesOf(parseParameter(name, text))[name] as number | string;
  } catch (error) {
    if (error instanceof ParameterError) throw new ParameterError(`--scan ${name}: ${error.message}`);
    throw error;
  }
}

function listed(name: ParameterName, list: string): (number | string)[] {
  return list.split(",").map((text) => readValue(name, text));
}

/** From the first on by the factor, as far as the last allows. */
function range(name: ParameterName, text: string): number[] {
  const [, low, high, by] = /^(.+)\.\.(.+)x(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  const factor = Number(by);
  if (low === undefined || high === undefined || factor < FACTOR_MIN)
    throw new ParameterError(
      `--scan takes ${FORM} with a factor F of ${FACTOR_MIN} or more, but got "${name}=${text}"`,
    );
  const [first, last] = [readValue(name, low) as number, readValue(name, high) as number];
  if (first > last)
    throw new ParameterError(`--scan ${name}: ${first} is more than ${last}, where the range ends`);
  const values: number[] = [];
  for (let value = first; Math.round(value) <= last; value *= factor) values.push(Math.round(value));
  return values;
}

/**
 * All combinations of the values of scans, the last scan's changing fastest; one empty one without scans.
 *
 * @throws ParameterError when a parameter is scanned twice, or when there are too many combinations.
 */
export function combinationsOf(scans: readonly Scan[]): readonly ParameterValues[] {
  const names = scans.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ParameterError(`--scan ${twice} is there twice`);
  const count = scans.reduce((product, { values }) => product * values.length, 1);
  if (count > RUNS_MAX)
    throw new ParameterError(`the scans make ${count} runs of the suites; at most ${RUNS_MAX} are allowed`);
  return scans.reduce<readonly ParameterValues[]>(
    (combinations, { name, values }) =>
      combinations.flatMap((combination) => values.map((value) => ({ ...combination, [name]: value }))),
    [{}],
  );
}

/** Which runs a suite takes part in: one for each combination of values that it uses. */
export function runsOf(
  suite: SuiteName,
  combinations: readonly ParameterValues[],
): readonly ParameterValues[] {
  const runs = new Map<string, ParameterValues>();
  for (const combination of combinations) {
    const used = PARAMETER_NAMES.filter(
      (name) => combination[name] !== undefined && PARAMETERS[name].usedBy.includes(suite),
    ).map((name) => [name, combination[name]] as const);
    runs.set(JSON.stringify(used), Object.fromEntries(used));
  }
  return [...runs.values()];
}
