/** What a command reads, where it prints, and how it says that it did not end well. */

import type { Readable } from "node:stream";
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

/** The process's own. */
export function standardStreams(): CommandStreams {
  return {
    // Only looked at when it is read, because the first look opens it.
    get input(): Readable {
      return process.stdin;
    },
    output: process.stdout,
    errors: process.stderr,
    exitCode: EXIT_OK,
  };
}

/** The first Ctrl-C ends the work in order, by its signal; a second one ends the process. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", interrupt);
  }
}
