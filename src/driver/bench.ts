/** `lpar bench`: how fast it is, as ratios to baselines that are measured in the same run. */

import { Command, Option } from "commander";
import { type Assertion, missedBy, parseAssertion } from "../../bench/assertion.js";
import {
  PARAMETER_NAMES,
  PARAMETERS,
  type Parameters,
  parseParameter,
  RATE_USED_BY,
  unusedParameters,
} from "../../bench/parameters.js";
import type { Report } from "../../bench/report.js";
import { combinationsOf, parametersOf, parseScan, type Scan } from "../../bench/scan.js";
import { SUITE_NAMES, type SuiteName } from "../../bench/suite.js";
import { BENCH_HELP } from "./bench-help.js";
import {
  checkTargets,
  FORMATS,
  formatOfFile,
  loadReport,
  type PrintedFormat,
  print,
  type Target,
  writeReport,
} from "./bench-output.js";
import { FileError } from "./output.js";
import { createProgress } from "./progress.js";
import {
  type CommandStreams,
  EXIT_FAILED,
  EXIT_INTERRUPTED,
  EXIT_MISSED,
  EXIT_OK,
  interruptible,
} from "./streams.js";
import { integerOption, numberOption, UsageError } from "./usage-error.js";

interface BenchCommandOptions extends Parameters {
  readonly quick?: boolean;
  readonly time?: number;
  readonly warmup?: number;
  readonly repetitions?: number;
  readonly seed?: number;
  readonly rate?: number;
  readonly scan?: readonly Scan[];
  readonly assert?: readonly Assertion[];
  readonly from?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly md?: boolean;
  readonly plain?: boolean;
  readonly out?: readonly Target[];
  readonly html?: string;
}

const TIME_MS = 100;
const REPETITIONS = 7;
const QUICK_TIME_MS = 5;
const QUICK_REPETITIONS = 3;
const SEED = 1;
const RATE_MAX = 1e7;

/** A parser for an option that may be there several times. */
function collected<T>(parse: (text: string) => T): (text: string, before?: readonly T[]) => readonly T[] {
  return (text, before = []) => [...before, parse(text)];
}

function option(flags: string, description: string, parse: (text: string) => unknown): Option {
  return new Option(flags, description).argParser(parse);
}

/** The `bench` command. */
export function benchCommand(streams: CommandStreams): Command {
  const command = new Command("bench")
    .description("measure, as ratios to baselines in the same run; results are checked, times are not")
    .argument("[suite...]", `${SUITE_NAMES.join(", ")}; all if left out`)
    .option("--quick", "small sizes and few repetitions: checks all results, figures mean nothing");
  for (const name of PARAMETER_NAMES) {
    const { placeholder, what, bounds, usedBy } = PARAMETERS[name];
    const range = bounds === undefined ? "" : `, ${bounds[0]} to ${bounds[1]}`;
    command.addOption(
      option(
        `--${name} ${placeholder}`,
        `${what}${range} (${usedBy.join(", ")})`,
        (text) => parseParameter(name, text)[name],
      ),
    );
  }
  return command
    .addOption(
      option("--scan <name=values>", "run for each value of one of these parameters", collected(parseScan)),
    )
    .addOption(
      option(
        "--time <ms>",
        `milliseconds of one measurement (default: ${TIME_MS}, quick ${QUICK_TIME_MS})`,
        numberOption("--time", 1, 60_000),
      ),
    )
    .addOption(
      option(
        "--warmup <ms>",
        "milliseconds for which each contender works first, unmeasured; 0: none (default: as --time)",
        numberOption("--warmup", 0, 60_000),
      ),
    )
    .addOption(
      option(
        "--repetitions <n>",
        `interleaved repetitions, of which the median counts (default: ${REPETITIONS}, quick ${QUICK_REPETITIONS})`,
        integerOption("--repetitions", 1, 1000),
      ),
    )
    .addOption(
      option(
        "--rate <n>",
        `single operations come at so many a second (open loop), for latencies corrected for coordinated omission (${RATE_USED_BY.join(", ")})`,
        numberOption("--rate", 1, RATE_MAX),
      ),
    )
    .addOption(
      option(
        "--seed <n>",
        `of all random numbers (default: ${SEED})`,
        integerOption("--seed", 0, 2 ** 32 - 1),
      ),
    )
    .addOption(
      option(
        "--assert <limit>",
        "exit with 3 if a row misses the limit, such as 'p99<2us'; may be repeated",
        collected(parseAssertion),
      ),
    )
    .option("--from <file>", "measure nothing: take a JSON report that was written before")
    .option("--json", "print one JSON object")
    .option("--csv", "print comma-separated values, one line for each row and contender")
    .option("--md", "print Markdown")
    .option("--plain", "no plots and no colour, on terminals too")
    .addOption(
      option(
        "--out <file>",
        `write a file as well, as its name ends: ${FORMATS.map((format) => `.${format}`).join(", ")}; may be repeated`,
        collected((path) => ({ path, format: formatOfFile(path) })),
      ),
    )
    .option("--html <file>", "write a page with charts, which needs nothing else, as well")
    .addHelpText("after", BENCH_HELP)
    .action(async (names: readonly string[], options: BenchCommandOptions) => {
      await bench(names, options, streams);
    });
}

/** The suites named, in their own order and each once. */
function decodeSuites(names: readonly string[]): readonly SuiteName[] {
  const unknown = names.find((name) => !(SUITE_NAMES as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new UsageError(`there is no suite "${unknown}"; the suites are ${SUITE_NAMES.join(", ")}`);
  return names.length === 0 ? SUITE_NAMES : SUITE_NAMES.filter((name) => names.includes(name));
}

function decodeFormat(options: BenchCommandOptions): PrintedFormat {
  const asked = (["json", "csv", "md"] as const).filter((name) => options[name] === true);
  if (asked.length > 1)
    throw new UsageError(
      `only one of ${asked.map((name) => `--${name}`).join(", ")} can be printed; --out FILE writes others`,
    );
  return asked[0] ?? "text";
}

/** What a report that is there already says for itself. */
const MEASURING = [
  "quick",
  "time",
  "warmup",
  "repetitions",
  "rate",
  "seed",
  "scan",
  ...PARAMETER_NAMES,
] as const;

async function bench(
  names: readonly string[],
  options: BenchCommandOptions,
  streams: CommandStreams,
): Promise<void> {
  const suites = decodeSuites(names);
  const format = decodeFormat(options);
  const targets: readonly Target[] = [
    ...(options.out ?? []),
    ...(options.html === undefined ? [] : [{ path: options.html, format: "html" } as const]),
  ];
  // Before anything is measured: minutes of work must not end in a file that cannot be.
  await checkTargets(targets, options.from);
  let report: Report;
  if (options.from === undefined) report = await measure(suites, options, streams);
  else {
    const given = MEASURING.filter((name) => options[name] !== undefined).map((name) => `--${name}`);
    if (names.length > 0 || given.length > 0)
      throw new UsageError(`--from measures nothing, and takes no ${given[0] ?? "suites"}`);
    report = await loadReport(options.from);
  }
  // First what needs no file: minutes of work must not be lost to a disk that is full by now.
  print(format, report, streams, options.plain === true);
  finish(report, options.assert ?? [], streams);
  const isCutShort = options.from === undefined && !report.isComplete;
  for (const target of targets) await save(target, report, isCutShort, streams);
}

/** Each file for itself: one that cannot be written keeps no other from it. */
async function save(
  target: Target,
  report: Report,
  isCutShort: boolean,
  streams: CommandStreams,
): Promise<void> {
  try {
    const written = await writeReport(target, report, isCutShort);
    if (written !== target.path)
      streams.errors.write(`lpar: ${target.path} stays as it was; what was measured is in ${written}\n`);
  } catch (error) {
    if (!(error instanceof FileError || error instanceof UsageError)) throw error;
    streams.errors.write(`lpar: ${error.message}\n`);
    if (streams.exitCode === EXIT_OK) streams.exitCode = EXIT_FAILED;
  }
}

async function measure(
  suites: readonly SuiteName[],
  options: BenchCommandOptions,
  streams: CommandStreams,
): Promise<Report> {
  const quick = options.quick === true;
  const scans = options.scan ?? [];
  const parameters = Object.fromEntries(
    PARAMETER_NAMES.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  ) as Parameters;
  const both = scans.find(({ name }) => options[name] !== undefined);
  if (both !== undefined)
    throw new UsageError(`--scan ${both.name} and --${both.name} cannot both say what ${both.name} is`);
  const [first = {}] = combinationsOf(scans);
  const [unused] = unusedParameters(suites, { ...parameters, ...parametersOf(first) }, options.rate);
  if (unused !== undefined) throw new UsageError(unused);
  // Only here, so that no other command waits for tinybench.
  const { runBenchmark } = await import("../../bench/run.js");
  const progress = createProgress("measuring", streams.errors);
  try {
    return await interruptible((signal) =>
      runBenchmark({
        suites,
        quick,
        parameters,
        scans,
        timeMs: options.time ?? (quick ? QUICK_TIME_MS : TIME_MS),
        warmupMs: options.warmup,
        repetitions: options.repetitions ?? (quick ? QUICK_REPETITIONS : REPETITIONS),
        rate: options.rate,
        seed: options.seed ?? SEED,
        signal,
        onProgress: (done, total, scenario) => progress.update(done, total, scenario),
      }),
    );
  } finally {
    progress.end();
  }
}

/** What a report means for the exit code, and why. */
function finish(report: Report, assertions: readonly Assertion[], streams: CommandStreams): void {
  if (report.wrong.length > 0) {
    for (const wrong of report.wrong) streams.errors.write(`lpar: wrong result: ${wrong}\n`);
    streams.exitCode = EXIT_FAILED;
    return;
  }
  // What was not measured can miss no limit.
  if (!report.isComplete) {
    streams.exitCode = EXIT_INTERRUPTED;
    return;
  }
  const missed = missedBy(report, assertions);
  for (const limit of missed) streams.errors.write(`lpar: missed: ${limit}\n`);
  if (missed.length > 0) streams.exitCode = EXIT_MISSED;
}
