/** Runs a scenario step by step, and says what each answered. */
import type { AuditReport } from "../audit.js";
import { nextTurn } from "../clock.js";
import { HcallError, LparError } from "../errors.js";
import type { TableSnapshot } from "../snapshot.js";
import { describeValues } from "./describe.js";
import type { Scenario, Step } from "./scenario.js";
import { ScenarioError } from "./schema.js";
import { firstDifference, matches, type Values } from "./values.js";
import { StepFailure, World } from "./world.js";

export interface ScenarioOptions {
  /** From which the random steps draw, 32 bits. */
  readonly seed: number;
  /** Ends the run after the step that is under way, or in the middle of one that waits or repeats. */
  readonly signal?: AbortSignal;
  /** How many steps are done, if not all: what is looked at is the table after them. */
  readonly steps?: number;
  /** Told of each step when it is done. */
  readonly onStep?: (step: StepReport) => void;
  /** Real milliseconds after which a step that waits has failed. Default 30000. */
  readonly waitLimitMs?: number;
}

export interface StepReport {
  readonly index: number;
  readonly verb: string;
  readonly what: string;
  readonly note: string | undefined;
  /** H_SUCCESS, or the code with which it failed. */
  readonly status: string;
  readonly answer: Values;
}

/** The step that ended the run; without an index it is the audit after the last one. */
export interface ScenarioFailure {
  readonly index: number | undefined;
  /** In one line: the step, what was expected, and what it answered. */
  readonly message: string;
  readonly expected: string;
  readonly got: string;
}

export interface ScenarioReport {
  readonly outcome: "passed" | "failed" | "interrupted";
  /** Those that were done. The one that failed is among them if the library answered it. */
  readonly steps: readonly StepReport[];
  readonly failure: ScenarioFailure | undefined;
  /** How often each verb answered what. */
  readonly calls: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Of the manual clock. */
  readonly clockMs: number;
  readonly audit: AuditReport;
  readonly snapshot: TableSnapshot;
}

const WAIT_LIMIT_MS = 30_000;

/**
 * Runs a scenario on a table of its own.
 * @throws ScenarioError when its table, partitions or adapters cannot be made: then no step ran.
 */
export async function runScenario(scenario: Scenario, options: ScenarioOptions): Promise<ScenarioReport> {
  const signal = options.signal ?? new AbortController().signal;
  const world = setUp(scenario, options, signal);
  const reports: StepReport[] = [];
  let failure: ScenarioFailure | undefined;
  try {
    for (const step of scenario.steps.slice(0, options.steps)) {
      if (signal.aborted) break;
      const outcome = await runStep(step, world);
      if (outcome.report !== undefined) {
        reports.push(outcome.report);
        if (outcome.failure === undefined) options.onStep?.(outcome.report);
      }
      failure = outcome.failure;
      if (failure !== undefined) break;
    }
    const audit = world.table.audit();
    failure ??= auditFailure(audit);
    const isCutShort = signal.aborted && reports.length < (options.steps ?? scenario.steps.length);
    return {
      outcome: failure !== undefined ? "failed" : isCutShort ? "interrupted" : "passed",
      steps: reports,
      failure,
      calls: countCalls(reports),
      clockMs: world.clock.now(),
      audit,
      snapshot: world.table.inspect(),
    };
  } finally {
    await world.close();
  }
}

/** What was wrong with the set-up is a mistake in the file, whoever finds it. */
function setUp(scenario: Scenario, options: ScenarioOptions, signal: AbortSignal): World {
  const { seed, waitLimitMs = WAIT_LIMIT_MS } = options;
  const attempt = <T>(where: string, make: () => T): T => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof HcallError) && !(error instanceof RangeError)) throw error;
      throw new ScenarioError(scenario.file, `${where}: ${error.message}`);
    }
  };
  const world = attempt("table", () => new World({ table: scenario.table, seed, signal, waitLimitMs }));
  for (const [index, options] of scenario.partitions.entries())
    attempt(`partitions[${index}]`, () => world.createPartition(options));
  for (const [index, { between, grants, as }] of scenario.adapters.entries())
    attempt(`adapters[${index}]`, () => world.connect(...between, grants, as));
  return world;
}

interface StepOutcome {
  readonly report?: StepReport;
  readonly failure?: ScenarioFailure;
}

async function runStep(step: Step, world: World): Promise<StepOutcome> {
  const { index, verb, what, note } = step;
  const failed = (expected: string, got: string): ScenarioFailure => {
    const message = `steps[${index}] (${what}): expected ${expected}, got ${got}`;
    return { index, message, expected, got };
  };
  let status = "H_SUCCESS";
  let got = "";
  let answer: Values = {};
  try {
    answer = await step.act(world);
    got = describeValues(answer);
  } catch (error) {
    if (world.signal.aborted && error === world.signal.reason) return {};
    if (error instanceof StepFailure) return { failure: failed(error.expected, error.got) };
    if (error instanceof HcallError || error instanceof LparError) status = error.code;
    else if (error instanceof RangeError) status = "RangeError";
    else throw error;
    got = (error as Error).message;
  }
  // What the step caused is heard before the next one.
  await nextTurn();
  const report: StepReport = { index, verb, what, note, status, answer };
  const { expectation } = step;
  if (typeof expectation === "string")
    return status === expectation ? { report } : { report, failure: failed(expectation, got) };
  if (status !== "H_SUCCESS") return { report, failure: failed("success", got) };
  const unmet = compare(expectation, answer, world);
  return unmet === undefined ? { report } : { report, failure: failed(unmet.expected, unmet.got) };
}

/** The parts of an answer that are not as expected; undefined if all are. */
function compare(
  expectation: Exclude<Step["expectation"], string>,
  answer: Values,
  world: World,
): { readonly expected: string; readonly got: string } | undefined {
  const [expected, got]: [Record<string, Values[string]>, Record<string, Values[string]>] = [{}, {}];
  let difference = "";
  for (const [name, wanted] of expectation) {
    const [value, actual] = [wanted(world), answer[name]];
    if (matches(value, actual)) continue;
    expected[name] = value;
    got[name] = actual ?? "nothing";
    if (value instanceof Uint8Array && actual instanceof Uint8Array)
      difference = `; they differ from byte ${firstDifference(value, actual)} on`;
  }
  if (Object.keys(expected).length === 0) return undefined;
  return { expected: describeValues(expected), got: describeValues(got) + difference };
}

function auditFailure({ problems }: AuditReport): ScenarioFailure | undefined {
  if (problems.length === 0) return undefined;
  const [expected, got] = ["a clean audit", problems.join("; ")];
  return {
    index: undefined,
    message: `after the last step: expected ${expected}, got ${got}`,
    expected,
    got,
  };
}

function countCalls(reports: readonly StepReport[]): Record<string, Record<string, number>> {
  const calls: Record<string, Record<string, number>> = {};
  for (const { verb, status } of reports) {
    calls[verb] ??= {};
    const counts = calls[verb];
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return calls;
}
