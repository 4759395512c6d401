/** Which scenarios a run of suites has, in their order: the same in each thread that asks with the same options. */
import { accessScenarios } from "./access.js";
import { boundaryScenarios } from "./boundary.js";
import { churnScenarios } from "./churn.js";
import { contentionScenarios } from "./contention.js";
import { copiesScenarios } from "./copies.js";
import { deathScenarios } from "./death.js";
import { dmaScenarios } from "./dma.js";
import { grantScenarios } from "./grant.js";
import { guestScenarios } from "./guest.js";
import { handoffScenarios } from "./handoff.js";
import { kindsScenarios } from "./kinds.js";
import { mmioScenarios } from "./mmio.js";
import { modesScenarios } from "./modes.js";
import { movesScenarios } from "./moves.js";
import type { Parameters } from "./parameters.js";
import { recoveryScenarios } from "./recovery.js";
import { combinationsOf, type ParameterValues, parametersOf, runsOf, type Scan } from "./scan.js";
import type { Scenario, SuiteName } from "./suite.js";
import { translateScenarios } from "./translate.js";
import { treeScenarios } from "./tree.js";

/** What is measured, and how long. */
export interface PlanOptions {
  readonly suites: readonly SuiteName[];
  /** Small sizes only. */
  readonly quick: boolean;
  /** What replaces the suites' own sizes. */
  readonly parameters?: Parameters;
  /** For each combination of their values the suites that use them run once. */
  readonly scans?: readonly Scan[];
  /** Milliseconds of one measurement. */
  readonly timeMs: number;
  /** Milliseconds for which each contender works first, unmeasured; as one measurement if left out. */
  readonly warmupMs?: number | undefined;
  readonly repetitions: number;
  readonly seed: number;
  /** Operations per second: single operations come at this rate, whatever those before them took. */
  readonly rate?: number | undefined;
}

const SCENARIOS: Readonly<
  Record<SuiteName, (quick: boolean, parameters: Parameters) => readonly Scenario[]>
> = {
  translate: translateScenarios,
  grant: grantScenarios,
  tree: treeScenarios,
  recovery: recoveryScenarios,
  access: accessScenarios,
  churn: churnScenarios,
  boundary: boundaryScenarios,
  moves: movesScenarios,
  guest: guestScenarios,
  copies: copiesScenarios,
  dma: dmaScenarios,
  modes: modesScenarios,
  contention: contentionScenarios,
  handoff: handoffScenarios,
  death: deathScenarios,
  mmio: mmioScenarios,
  kinds: kindsScenarios,
};

/** A scenario in one of the runs of its suite. */
export interface Entry {
  readonly suite: SuiteName;
  readonly scan: ParameterValues;
  readonly scenario: Scenario;
  readonly repetitions: number;
}

/** @throws ParameterError when the parameters or scans cannot be. */
export function planRuns(options: PlanOptions): readonly Entry[] {
  const { suites, quick, parameters = {}, scans = [], repetitions } = options;
  const combinations = combinationsOf(scans);
  return suites.flatMap((suite) =>
    runsOf(suite, combinations).flatMap((scan) =>
      SCENARIOS[suite](quick, { ...parameters, ...parametersOf(scan) }).map((scenario) => ({
        suite,
        scan,
        scenario,
        repetitions: Math.min(repetitions, scenario.repetitionsMax ?? repetitions),
      })),
    ),
  );
}

/** Rounds before the measured ones, for the compilers only. */
export function warmUpsOf({ warmupMs }: PlanOptions): number {
  return warmupMs === 0 ? 0 : 1;
}

/** Repetitions of a scenario, with those. */
export function stepsOf({ repetitions }: Entry, options: PlanOptions): number {
  return repetitions + warmUpsOf(options);
}

export function nameOf({ suite, scan, scenario }: Entry): string {
  const values = Object.entries(scan).map(([name, value]) => `${name}=${value} `);
  return `${suite}: ${values.join("")}${scenario.name}`;
}
