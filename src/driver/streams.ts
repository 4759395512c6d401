/** What a command reads, where it prints, and how it says that it did not end well. */

import type { Readable } from "node:stream";
import { Outlet } from "./outlet.js";
import { reasonOf } from "./output.js";
import type { ProgressStream } from "./progress.js";

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** A limit that the user asserted was missed. */
export const EXIT_MISSED = 3;
/** Ended by Ctrl-C, as shells count it: 128 and the number of SIGINT. */
export const EXIT_INTERRUPTED = 130;

export interface CommandStreams {
  readonly input: Readable;
  /** Results. */
  readonly output: ProgressStream & { readonly rows?: number | undefined };
  /** Progress and errors. */
  readonly errors: ProgressStream;
  /** What the process ends with; a command sets it when it has printed why. */
  exitCode: number;
}

/** The process's own. @param onFailure told when results cannot be written, after the errors have said so. */
export function standardStreams(onFailure: () => void): CommandStreams {
  // Nobody is left to tell of errors that cannot be written.
  const errors = new Outlet(process.stderr, () => {});
  const output = new Outlet(process.stdout, (error) => {
    errors.write(`lpar: the output cannot be written (${reasonOf(error)})\n`);
    onFailure();
  });
  return {
    // Only looked at when it is read, because the first look opens it.
    get input(): Readable {
      return process.stdin;
    },
    output,
    errors,
    exitCode: EXIT_OK,
  };
}

/** What ends a process at once, but lets it clear away; with which exit code, as shells count it. */
const DEADLY = { SIGHUP: 129, SIGTERM: 143 } as const;

/** The first Ctrl-C ends the work in order, by its signal; a second one ends the process, and so does SIGTERM or SIGHUP. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  const end = (signal: NodeJS.Signals): void => {
    // Processes of its own hear of it before it is gone.
    controller.abort();
    process.exit(DEADLY[signal as keyof typeof DEADLY]);
  };
  const deadly = Object.keys(DEADLY) as NodeJS.Signals[];
  process.on("SIGINT", interrupt);
  for (const signal of deadly) process.on(signal, end);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", interrupt);
    for (const signal of deadly) process.off(signal, end);
  }
}
