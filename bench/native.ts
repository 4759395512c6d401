/**
 * The baselines in C (native/): compiled on the spot, run as a process that is told by lines what to do, so that its
 * measurements take their turn between the others'.
 */
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Contender } from "./suite.js";

/** A baseline of the process. Only one can be set up at a time. */
export interface NativeContender extends Contender {
  close(): Promise<void>;
}

const COMPILER = "cc";
/** One that takes longer never ends, and would keep everything else. */
const COMPILE_MS = 120_000;

/** The compiled baselines: a file that each scenario starts for itself. */
export class NativeProgram {
  /** Name and version of the compiler. */
  compiler: string = COMPILER;
  readonly path: string;
  readonly #folder: string;
  /** However the process ends, but by SIGKILL: nothing of it is left behind. */
  readonly #onExit = (): void => rmSync(this.#folder, { recursive: true, force: true });

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "native");
    process.once("exit", this.#onExit);
  }

  /** @returns the program, or why there is none: no compiler, no place for it, or it did not compile or start. */
  static async compile(signal?: AbortSignal, timeout: number = COMPILE_MS): Promise<NativeProgram | string> {
    const run = promisify(execFile);
    const options = { signal, timeout };
    const sources = join(dirname(fileURLToPath(import.meta.resolve("lpar/package.json"))), "bench", "native");
    const files = (await readdir(sources).catch(() => [])).filter((name) => name.endsWith(".c"));
    if (files.length === 0) return "the sources of the C baselines are not installed";
    const place = tmpdir();
    let program: NativeProgram;
    try {
      // At once, as its removal: a process that ends in between would leave it behind.
      program = new NativeProgram(mkdtempSync(join(place, "lpar-bench-")));
    } catch (error) {
      return `${place} cannot be written (${(error as NodeJS.ErrnoException).code})`;
    }
    try {
      const version = (await run(COMPILER, ["--version"], options)).stdout;
      program.compiler = version.split("\n")[0] ?? COMPILER;
      const paths = files.sort().map((name) => join(sources, name));
      await run(COMPILER, ["-O3", "-std=gnu11", "-o", program.path, ...paths, "-lm"], options);
      // Where no program may run, as on many a /tmp, it is known now and not in the middle of a scenario.
      await (await Native.start(program.path)).close();
      return program;
    } catch (error) {
      program.remove();
      if (signal?.aborted === true) return "interrupted";
      const {
        code,
        message,
        path,
        killed,
        signal: end,
      } = error as NodeJS.ErrnoException & { killed?: boolean; signal?: string | null };
      if (path === program.path) return `programs in ${place} cannot be started (${code})`;
      if (code === "ENOENT") return `there is no ${COMPILER}`;
      if (killed === true) return `${COMPILER} did not end within ${timeout / 1000} s`;
      // One that ended without a word has an empty second line.
      return message.split("\n")[1] || `${COMPILER} ended with ${end ?? `exit code ${code}`}`;
    }
  }

  remove(): void {
    this.#onExit();
    process.off("exit", this.#onExit);
  }
}

/** A process of the program. */
export class Native {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
    // A process that ended says so by the end of its answers; writing to it must not end this one.
    child.stdin.on("error", () => {});
  }

  static async start(path: string): Promise<Native> {
    const child = spawn(path, { stdio: ["pipe", "pipe", "inherit"] });
    await once(child, "spawn");
    return new Native(child);
  }

  async #ask(line: string): Promise<string> {
    this.#process.stdin.write(`${line}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error(`the C baseline ended at "${line}"`);
    if (value === "error") throw new Error(`the C baseline does not understand "${line}"`);
    return value;
  }

  /** Hands over numbers that the next scenario works on. */
  async load(numbers: Uint32Array | Float64Array): Promise<void> {
    const answer = this.#ask(`load ${numbers.byteLength}`);
    this.#process.stdin.write(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
    await answer;
  }

  /** Makes a scenario ready. The one before must have been closed. */
  async setUp(suite: string, ...words: readonly (string | number)[]): Promise<NativeContender> {
    await this.#ask(`setup ${[suite, ...words].join(" ")}`);
    return {
      measure: async (timeMs) => ({ ns: Number(await this.#ask(`measure ${timeMs}`)) }),
      check: () => this.#ask("check"),
      close: async () => {
        await this.#ask("end");
      },
    };
  }

  /** Ends the process. */
  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exit = once(this.#process, "exit");
    this.#process.stdin.end();
    await exit;
    this.#lines.close();
  }
}
