/**
 * Runs one scenario in an isolate of its own: what the engine has learnt of calls and shapes in others, where the same calls went to other
 * tables and contenders, would make all that come after slower than they are in an application.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { Clock } from "./clock.js";
import { Native } from "./native.js";
import { type Entry, type PlanOptions, planRuns } from "./plan.js";
import { type Outcome, Race } from "./race.js";

/** Which scenario: the index in what planRuns() makes of the options. */
export interface Errand {
  readonly options: PlanOptions;
  readonly index: number;
  readonly clock: Clock;
  /** Of the baselines in C; not there without a compiler. */
  readonly program: string | undefined;
}

/** What it tells: steps as they are done, and in the end an outcome or an error. */
export type Tidings =
  | { readonly steps: number }
  | { readonly outcome: Outcome }
  | { readonly error: { readonly name: string; readonly message: string; readonly stack?: string } };

const { options, index, clock, program } = workerData as Errand;

function tell(tidings: Tidings): void {
  parentPort?.postMessage(tidings);
}

async function run(): Promise<Outcome> {
  const abort = new AbortController();
  // The only message that comes.
  parentPort?.once("message", () => abort.abort());
  const native = program === undefined ? undefined : await Native.start(program);
  try {
    const race = new Race(planRuns(options)[index] as Entry, options, clock, (steps) => tell({ steps }));
    await race.run({ seed: options.seed, native, signal: abort.signal });
    const { rows, notes, leftOut, wrong } = race;
    return { rows, notes, leftOut, wrong };
  } finally {
    await native?.close();
  }
}

try {
  tell({ outcome: await run() });
} catch (thrown) {
  const { name, message, stack } = thrown as Error;
  tell({ error: { name, message, ...(stack === undefined ? {} : { stack }) } });
} finally {
  // Nothing else keeps the thread.
  parentPort?.unref();
}
