/**
 * The command line `lpar` as a function: arguments in, exit code out. 0 done, 1 failed, 2 a mistake of the user (one
 * line, no stack trace), 3 an asserted limit was missed, 130 ended by Ctrl-C
 * (0 for what ends by nothing else).
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { ParameterError } from "../../bench/parameter-error.js";
import { ReportError } from "../../bench/report.js";
import { HcallError, LparError } from "../errors.js";
import { SnapshotError } from "../inspect/parse.js";
import { ScenarioError } from "../scenario/schema.js";
import { TraceError } from "../trace/format.js";
import { auditCommand } from "./audit.js";
import { benchCommand } from "./bench.js";
import { chaosCommand } from "./chaos.js";
import { compareCommand } from "./compare.js";
import { BENCH_FOLDER } from "./examples.js";
import { graphCommand } from "./graph.js";
import { addHelp } from "./help.js";
import { inspectCommand } from "./inspect.js";
import { lsCommand } from "./ls.js";
import { FileError } from "./output.js";
import { replayCommand } from "./replay.js";
import { runCommand } from "./run.js";
import { type CommandStreams, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE } from "./streams.js";
import { topCommand } from "./top.js";
import { traceCommand } from "./trace.js";
import { UsageError } from "./usage-error.js";

const EXAMPLES = `
Examples:
  $ lpar replay --share 25 --crash bench/traces/*.lpt
  $ lpar run bench/scenarios/first-share.json
  $ lpar trace info bench/traces/*.lpt

${BENCH_FOLDER}`;

function packageJson(): { readonly version: string; readonly description: string } {
  return JSON.parse(readFileSync(new URL(import.meta.resolve("lpar/package.json")), "utf8"));
}

function createProgram(streams: CommandStreams): Command {
  const { version, description } = packageJson();
  const program = new Command("lpar")
    .description(description)
    .version(version, "-V, --version", "print the version")
    .addHelpText("after", EXAMPLES)
    .addCommand(auditCommand(streams))
    .addCommand(benchCommand(streams))
    .addCommand(chaosCommand(streams))
    .addCommand(compareCommand(streams))
    .addCommand(graphCommand(streams))
    .addCommand(inspectCommand(streams))
    .addCommand(lsCommand(streams))
    .addCommand(replayCommand(streams))
    .addCommand(runCommand(streams))
    .addCommand(topCommand(streams))
    .addCommand(traceCommand(streams));
  addHelp(program, "say more about a command");
  overrideExit(program, streams);
  return program;
}

/** Makes commander throw instead of ending the process, and print where we print. */
function overrideExit(command: Command, streams: CommandStreams): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => streams.output.write(text),
    writeErr: (text) => streams.errors.write(text),
    // Our own parsers name the option and the value, so commander need not as well.
    outputError: (text, write) => write(text.replace(/^error: [\s\S]*' is invalid\. (?=--)/, "error: ")),
  });
  for (const child of command.commands) overrideExit(child, streams);
}

/** What the user can put right, said in one line. */
function isMistakeOfUser(error: unknown): error is Error {
  return [UsageError, ParameterError, ReportError, TraceError, ScenarioError, SnapshotError].some(
    (kind) => error instanceof kind,
  );
}

/** Runs the command that the arguments name. @returns the exit code. */
export async function runProgram(args: readonly string[], streams: CommandStreams): Promise<number> {
  try {
    await createProgram(streams).parseAsync(args, { from: "user" });
    return streams.exitCode;
  } catch (error) {
    // Commander has printed what was wrong, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    // By Ctrl-C, while it waited for an answer.
    if (error instanceof DOMException && error.name === "AbortError") return EXIT_INTERRUPTED;
    if (isMistakeOfUser(error)) {
      streams.errors.write(`lpar: ${error.message}\n`);
      return EXIT_USAGE;
    }
    if ([HcallError, LparError, FileError].some((kind) => error instanceof kind)) {
      streams.errors.write(`lpar: ${(error as Error).message}\n`);
      return EXIT_FAILED;
    }
    throw error;
  }
}
