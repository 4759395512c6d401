/** Runs suites: each scenario in a thread of its own, one after the other, and a report of them all. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { TraceError } from "../src/trace/format.js";
import { type Clock, examineClock } from "./clock.js";
import { currentLoad, describeMachine } from "./machine.js";
import { NativeProgram } from "./native.js";
import { checkTrace } from "./page-stream.js";
import { ParameterError } from "./parameter-error.js";
import { type Entry, nameOf, type PlanOptions, planRuns, stepsOf } from "./plan.js";
import type { Outcome } from "./race.js";
import { REPORT_KIND, REPORT_VERSION, type Report, type ReportOptions } from "./report.js";
import { parametersOf, valuesOf } from "./scan.js";
import type { Errand, Tidings } from "./scenario-worker.js";

export interface RunOptions extends PlanOptions {
  /** Ends the run after the measurement that is under way; the report holds what was finished. */
  readonly signal?: AbortSignal;
  /** Told after each measurement. */
  readonly onProgress?: (done: number, total: number, scenario: string) => void;
}

const WORKER = new URL("./scenario-worker.js", import.meta.url);

/** An error of a scenario's thread: those that a user makes keep their class. */
function errorOf({ name, message, stack }: Error): Error {
  const error = Object.assign(new Error(message), { stack });
  const UserError = [ParameterError, TraceError].find((each) => each.name === name);
  return UserError === undefined ? error : Object.setPrototypeOf(error, UserError.prototype);
}

/** One scenario in its thread. */
async function runOne(
  errand: Errand,
  signal: AbortSignal | undefined,
  onSteps: (steps: number) => void,
): Promise<Outcome> {
  const worker = new Worker(WORKER, { workerData: errand });
  const end = (): void => worker.postMessage("end");
  signal?.addEventListener("abort", end);
  let outcome: Outcome | undefined;
  let failure: Error | undefined;
  worker.on("message", (tidings: Tidings) => {
    if ("steps" in tidings) onSteps(tidings.steps);
    else if ("outcome" in tidings) outcome = tidings.outcome;
    else {
      failure = errorOf(tidings.error as Error);
      // What it had begun may keep it: workers of its own.
      void worker.terminate();
    }
  });
  try {
    // An error that it does not catch is thrown here.
    await once(worker, "exit");
  } finally {
    signal?.removeEventListener("abort", end);
  }
  if (outcome !== undefined) return outcome;
  throw failure ?? new Error("a scenario's thread ended without an outcome");
}

/** The traces that some of the runs use, each once. */
function tracesOf(entries: readonly Entry[], { parameters }: PlanOptions): Set<string> {
  const dists = [parameters?.dist, ...entries.map(({ scan }) => parametersOf(scan).dist)];
  return new Set(dists.flatMap((dist) => (dist?.kind === "trace" ? [dist.file] : [])));
}

/** @throws ParameterError when the parameters or scans cannot be, TraceError when a trace cannot be read. */
export async function runBenchmark({ signal, onProgress, ...options }: RunOptions): Promise<Report> {
  const start = Date.now();
  const entries = planRuns(options);
  for (const trace of tracesOf(entries, options)) await checkTrace(trace);
  const machine = describeMachine();
  const clock: Clock = examineClock();
  const compiled = await NativeProgram.compile(signal);
  const program = compiled instanceof NativeProgram ? compiled : undefined;
  const total = entries.reduce((sum, entry) => sum + stepsOf(entry, options), 0);
  let done = 0;
  const outcomes: Outcome[] = [];
  try {
    for (const [index, entry] of entries.entries()) {
      if (signal?.aborted === true) break;
      const step = (steps: number): void => {
        done += steps;
        onProgress?.(done, total, nameOf(entry));
      };
      step(0);
      outcomes.push(await runOne({ options, index, clock, program: program?.path }, signal, step));
    }
  } finally {
    program?.remove();
  }
  const all = <T>(of: (outcome: Outcome) => readonly T[]): T[] => outcomes.flatMap(of);
  const rows = all((outcome) => outcome.rows);
  const notes = all((outcome) => outcome.notes);
  if (options.rate !== undefined && rows.every(({ latencies }) => Object.keys(latencies).length === 0))
    notes.push("no contender of these suites can do a single operation, so that --rate measured nothing");
  return {
    report: REPORT_KIND,
    version: REPORT_VERSION,
    startedAt: new Date(start).toISOString(),
    seconds: (Date.now() - start) / 1000,
    machine,
    loadAtEnd: currentLoad(),
    clock,
    compiler: program?.compiler ?? null,
    nativeMissing: compiled instanceof NativeProgram ? null : compiled,
    options: reportOptions(options),
    rows,
    notes,
    leftOut: all((outcome) => outcome.leftOut),
    wrong: all((outcome) => outcome.wrong),
    isComplete: signal?.aborted !== true,
  };
}

function reportOptions(options: PlanOptions): ReportOptions {
  const { suites, quick, timeMs, warmupMs = timeMs, repetitions, seed, rate, parameters, scans } = options;
  return {
    suites,
    quick,
    timeMs,
    warmupMs,
    repetitions,
    seed,
    rate: rate ?? null,
    parameters: valuesOf(parameters ?? {}),
    scans: scans ?? [],
  };
}
