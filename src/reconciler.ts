/**
 * The reconciler: recounts truth against counters from time to time, and tells what has drifted apart.
 *
 * What it looks at is the audit, whose work is done under the table's locks: what it finds was so at one moment. A problem
 * is confirmed when two observations in a row have found it. It is told once then, and once more when an observation does
 * not find it any more. An observation that meets a locked table is made again a moment later and does not break the row.
 *
 *     observation finds it     no      yes     yes     yes     no           yes
 *     told                                     drift           drift-ended
 *     gauge                    0       0       1       1       0            0
 *
 * It mends nothing: a counter that is wrong has a cause, and setting it right would hide it.
 */
import { findProblems, type Problem } from "./audit.js";
import { nextTurn } from "./clock.js";
import { checkInteger, checkNames, HcallError, textOf } from "./errors.js";
import type { Kernel } from "./kernel.js";
import { H_LONG_BUSY_10_MSEC } from "./layout.js";
import { onAbort, type WaitOptions } from "./stream.js";

/** Options of ResourceTable.reconcile(). */
export interface ReconcileOptions extends WaitOptions {
  /**
   * Milliseconds of the table's clock from the end of one observation to the next, 1 to 2^31 - 1. An observation takes as
   * long as audit() does, and the whole table waits for it.
   */
  readonly everyMs: number;
}

/** One periodic check of a table. */
export class Reconciler implements Disposable {
  readonly #kernel: Kernel;
  readonly #everyMs: number;
  readonly #tell: (type: "drift" | "drift-ended", reason: string) => void;
  readonly #stopListening: () => void;
  #timer: { cancel(): void } | undefined;
  #isRunning = true;
  #observations = 0;
  /** What the last observation found, by identity. */
  #seen: ReadonlyMap<string, Problem> = new Map();
  /** What of it the one before found, too. */
  #confirmed: ReadonlyMap<string, Problem> = new Map();

  /** @internal Made by ResourceTable.reconcile(). */
  constructor(
    kernel: Kernel,
    options: ReconcileOptions,
    tell: (type: "drift" | "drift-ended", reason: string) => void,
  ) {
    checkNames(options, "everyMs, signal");
    this.#everyMs = checkInteger("everyMs", options.everyMs, 1, 2 ** 31 - 1);
    options.signal?.throwIfAborted();
    this.#kernel = kernel;
    this.#tell = tell;
    this.#stopListening = onAbort(options.signal, () => this.stop());
    this.#wait();
  }

  /** Problems that were confirmed at the last observation, up to 256. */
  get drift(): number {
    return this.#confirmed.size;
  }

  /** Observations made so far. */
  get observations(): number {
    return this.#observations;
  }

  /** Whether there will be another observation. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** No more observations; `drift` stays what it was at the last one. A second call does nothing. */
  stop(): void {
    this.#isRunning = false;
    this.#stopListening();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** As stop(). */
  [Symbol.dispose](): void {
    this.stop();
  }

  #wait(): void {
    const timer = this.#kernel.clock.setTimeout(() => this.#observe(), this.#everyMs);
    timer.unref?.();
    this.#timer = timer;
  }

  #observe(): void {
    if (!this.#isRunning) return;
    const found = this.#look();
    if (found === undefined) void nextTurn(1).then(() => this.#observe());
    else {
      this.#compare(found);
      this.#wait();
    }
  }

  /** @returns undefined if the table is locked. */
  #look(): readonly Problem[] | undefined {
    try {
      return findProblems(this.#kernel.memory).problems;
    } catch (error) {
      if (error instanceof HcallError && error.status === H_LONG_BUSY_10_MSEC) return undefined;
      // The core traps on what must be impossible. Nobody could catch it here, and it is what this is for.
      const text = `the audit ended in ${textOf(error, true)}`;
      return [{ identity: text, text }];
    }
  }

  #compare(problems: readonly Problem[]): void {
    const found = new Map(problems.map((problem) => [problem.identity, problem]));
    const before = this.#confirmed;
    this.#confirmed = new Map([...found].filter(([identity]) => this.#seen.has(identity)));
    this.#seen = found;
    this.#observations++;
    const fresh = missing(this.#confirmed, before);
    const gone = missing(before, this.#confirmed);
    if (fresh.length > 0) this.#tell("drift", fresh.join("; "));
    if (gone.length > 0) this.#tell("drift-ended", gone.join("; "));
  }
}

/** The texts of the problems that are in one map and not in the other. */
function missing(from: ReadonlyMap<string, Problem>, other: ReadonlyMap<string, Problem>): string[] {
  return [...from].filter(([identity]) => !other.has(identity)).map(([, { text }]) => text);
}
