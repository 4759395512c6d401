/** What the user may set of the workloads, instead of the suites' own sizes: how it is written, its bounds, and who uses it. */
import { type Distribution, parseDistribution } from "./distribution.js";
import { ParameterError } from "./parameter-error.js";
import type { SuiteName } from "./suite.js";

/** Left out: the suite's own sizes. */
export interface Parameters {
  /** Which page, or which of the live grants, comes next. */
  readonly dist?: Distribution | undefined;
  /** Pages of the table that is worked on, 1 to 2^22. */
  readonly pages?: number | undefined;
  /** Partitions of the table, 2 to 1024. */
  readonly partitions?: number | undefined;
  /** Levels below the root of a tree of grants, 1 to 2^20. */
  readonly depth?: number | undefined;
  /** Children of each node of a tree, 1 to 2^20. */
  readonly fanout?: number | undefined;
  /** Elements of one batch, 1 to 65536. */
  readonly batch?: number | undefined;
  /** Worker threads at once, 1 to 64. */
  readonly workers?: number | undefined;
}
export type ParameterName = keyof Parameters;

interface ParameterDescription {
  /** What stands for the value in a usage line. */
  readonly placeholder: string;
  /** For the help, without the bounds. */
  readonly what: string;
  /** Undefined: the value is no number. */
  readonly bounds: readonly [min: number, max: number] | undefined;
  readonly usedBy: readonly SuiteName[];
}

export const PARAMETERS: Readonly<Record<ParameterName, ParameterDescription>> = {
  dist: {
    placeholder: "<distribution>",
    what: "which page comes next: uniform, zipf:S, seq, stride:N, hotcold:90/10 or trace:FILE",
    bounds: undefined,
    usedBy: ["translate", "grant", "access", "churn"],
  },
  pages: {
    placeholder: "<n>",
    what: "pages of the table; of grant and recovery, live grants of a page each; of churn, four times those live",
    bounds: [1, 2 ** 22],
    usedBy: ["translate", "grant", "recovery", "access", "churn"],
  },
  partitions: {
    placeholder: "<n>",
    what: "partitions of the table, one of them the server",
    bounds: [2, 1024],
    usedBy: ["grant", "recovery"],
  },
  depth: {
    placeholder: "<n>",
    what: "levels of a tree below its root",
    bounds: [1, 2 ** 20],
    usedBy: ["tree"],
  },
  fanout: {
    placeholder: "<n>",
    what: "children of each node of a tree",
    bounds: [1, 2 ** 20],
    usedBy: ["tree"],
  },
  batch: {
    placeholder: "<n>",
    what: "elements of one batch; of grant, as many as are live at most",
    bounds: [1, 65_536],
    usedBy: ["translate", "grant", "boundary"],
  },
  workers: {
    placeholder: "<n>",
    what: "worker threads at once",
    bounds: [1, 64],
    usedBy: ["contention"],
  },
};

export const PARAMETER_NAMES: readonly ParameterName[] = Object.keys(PARAMETERS) as ParameterName[];

/**
 * One parameter from its text; whole numbers may be written as powers of two (`2^20`).
 *
 * @throws ParameterError naming the option, the value and what is allowed.
 */
export function parseParameter(name: ParameterName, text: string): Parameters {
  const { bounds } = PARAMETERS[name];
  if (bounds === undefined) return { dist: parseDistribution(text) };
  const [min, max] = bounds;
  const power = /^2\^(\d{1,2})$/.exec(text)?.[1];
  const value = power !== undefined ? 2 ** Number(power) : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  // A comparison with NaN is false, so this refuses what is no number too.
  if (value >= min && value <= max) return { [name]: value };
  throw new ParameterError(`--${name} takes a whole number from ${min} to ${max}, but got "${text}"`);
}

/** Suites that can do single operations, which is what a rate is for. */
export const RATE_USED_BY: readonly SuiteName[] = [
  "translate",
  "grant",
  "access",
  "churn",
  "boundary",
  "modes",
  "contention",
  "handoff",
  "kinds",
];

/** One line for each parameter, and for the rate, that is set and that none of the suites uses. */
export function unusedParameters(
  suites: readonly SuiteName[],
  parameters: Parameters,
  rate?: number,
): readonly string[] {
  const set: (readonly [string, readonly SuiteName[]])[] = PARAMETER_NAMES.filter(
    (name) => parameters[name] !== undefined,
  ).map((name) => [name, PARAMETERS[name].usedBy]);
  if (rate !== undefined) set.push(["rate", RATE_USED_BY]);
  return set.flatMap(([name, usedBy]) => {
    if (usedBy.some((suite) => suites.includes(suite))) return [];
    return [`no suite that runs uses --${name}; it is used by ${usedBy.join(", ")}`];
  });
}
