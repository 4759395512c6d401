/** The command line for tests: as a child process, whose output goes into a pipe, or in this process on a terminal. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { Readable } from "node:stream";
import { runProgram } from "../../src/driver/program.js";

const MAIN = join(import.meta.dirname, "..", "..", "dist", "src", "driver", "main.js");

export interface Outcome {
  /** null if a signal ended the process. */
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface Circumstances {
  /** Gets Ctrl-C after so long. */
  readonly interruptMs?: number;
  /** A module that each thread of the process loads first. */
  readonly preload?: string;
}

/** The command as a child process, which is not on a terminal. */
export function inPipe(
  args: readonly string[],
  { interruptMs, preload }: Circumstances = {},
): Promise<Outcome> {
  const before = preload === undefined ? [] : ["--require", preload];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...before, MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (bytes) => (output += bytes));
    child.stderr.on("data", (bytes) => (errors += bytes));
    child.on("error", reject);
    const timer = interruptMs === undefined ? undefined : setTimeout(() => child.kill("SIGINT"), interruptMs);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output, errors });
    });
  });
}

/** A stream that keeps what is written to it. */
export class Screen {
  readonly isTTY: boolean;
  text = "";

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

/** The command in this process, on a terminal. */
export async function onTerminal(
  args: readonly string[],
  errors: Screen = new Screen(true),
): Promise<Outcome> {
  const output = new Screen(true);
  const code = await runProgram(args, { input: Readable.from([]), output, errors, exitCode: 0 });
  return { code, output: output.text, errors: errors.text };
}
