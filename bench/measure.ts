/** The timing loops. tinybench runs them; an operation that is short for its clock is done in blocks. */
import { Bench, type FnReturnedObject } from "tinybench";
import type { Sample } from "./suite.js";

/** Means, because what an implementation leaves to the garbage collector is a cost, too. */
async function meanMs(timeMs: number, task: () => unknown, isAsync: boolean): Promise<number> {
  // The runner measures everything once beforehand, which is the warm-up.
  const bench = new Bench({ time: timeMs, iterations: 1, warmup: false, throws: true });
  bench.add("task", task, { async: isAsync });
  if (isAsync) await bench.run();
  else bench.runSync();
  const result = bench.tasks[0]?.result;
  if (result?.state !== "completed") throw new Error(`a measurement ended as "${result?.state}"`);
  return result.period;
}

/** Measures a block of so many operations, again and again. */
export function inBlocks(operations: number, block: () => void): (timeMs: number) => Promise<Sample> {
  return async (timeMs) => ({ ns: ((await meanMs(timeMs, block, false)) * 1e6) / operations });
}

/** What a run that timed itself found. */
export interface Timed {
  readonly ms: number;
  readonly longestMs?: number;
}

/** Measures runs of so many operations that time themselves, since what they must set up first does not count. */
export function inRuns(operations: number, run: () => Timed): (timeMs: number) => Promise<Sample> {
  return inAsyncRuns(operations, run);
}

/** The same for work that lets the event loop turn. */
export function inAsyncRuns(
  operations: number,
  run: () => Timed | Promise<Timed>,
): (timeMs: number) => Promise<Sample> {
  return async (timeMs) => {
    const longest: number[] = [];
    const task = async (): Promise<FnReturnedObject> => {
      const start = performance.now();
      const { ms, longestMs } = await run();
      if (longestMs !== undefined) longest.push(longestMs);
      return { overriddenDuration: ms, overriddenIterationCost: performance.now() - start };
    };
    const ns = ((await meanMs(timeMs, task, true)) * 1e6) / operations;
    return longest.length === 0 ? { ns } : { ns, longestMs: Math.max(...longest) };
  };
}

/** Runs `work`, and finds the longest time that the event loop did not turn meanwhile. */
export async function watchTurns(work: () => Promise<unknown>): Promise<Required<Timed>> {
  let longestMs = 0;
  let isOver = false;
  const start = performance.now();
  let last = start;
  const look = (): void => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await work();
  const end = performance.now();
  isOver = true;
  return { ms: end - start, longestMs: Math.max(longestMs, end - last) };
}
