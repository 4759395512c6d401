/** `lpar bench`: how fast it is, as ratios to baselines that are measured in the same run. */

import { Command, Option } from "commander";
import type { Report, Row } from "../../bench/run.js";
import { BASELINES, SUITE_NAMES, type SuiteName } from "../../bench/suite.js";
import { formatBytes, formatCount, formatTable } from "./output.js";
import { createProgress } from "./progress.js";
import { type CommandStreams, EXIT_FAILED, EXIT_INTERRUPTED } from "./streams.js";
import { integerOption, numberOption, UsageError } from "./usage-error.js";

interface BenchCommandOptions {
  readonly quick?: boolean;
  readonly time?: number;
  readonly repetitions?: number;
  readonly seed: number;
  readonly json?: boolean;
}

const TIME_MS = 100;
const REPETITIONS = 7;
const QUICK_TIME_MS = 5;
const QUICK_REPETITIONS = 3;

const EXAMPLES = `
Suites:
  translate   batches and single look-ups, 2^12 to 2^20 pages
  grant       grant + accept + return + rescind, through objects, raw hypercalls and batches of requests
  tree        forced rescind of trees up to a million grants: per node, and the longest slice
  recovery    of a partition with many grants, from fail() until recovered()
  access      checked reads, writes and views
  moves       pages that move under live mappings: forced rescinds under views, compaction
  guest       checked reads and writes that a Wasm guest makes
  modes       grant + accept + return + rescind as a lend, with and without zero, against the same as a share
  copies      first writes to copy-on-write pages, and merging of equal pages
  dma         entries of a DMA window pane, one by one and 512 at once; a device's read through the window
  contention  what locks, undo log and epochs cost; two workers against one; checked reads in a worker
  handoff     memory from worker to worker and back, by grants and a doorbell
  death       from a worker's exit until recovered; from a forced rescind until no other thread can read (p50, p99)
  mmio        a load from a device model in the same thread and in another one; ring, spin: a bare question and answer
  kinds       the other kinds of resource: a doorbell there and back between two workers

All contenders must compute the same: the command fails (exit code 1) when results differ, never because of
times. Baselines:
  native      C at -O3, compiled on the spot if there is cc
  typed       typed arrays in JavaScript
  map         a Map of objects
  copy        Uint8Array.set() without checks
  wasm        memory.copy within one Wasm memory, without checks
  share       the same as a share
  bare        the core without locks, undo log and epochs, compiled on the spot if assemblyscript is installed
  alone       one worker instead of two
  single      the same by single calls
  ring        a hand-written ring in a SharedArrayBuffer, asleep with Atomics while it is empty
  spin        the same ring, which spins first
  transfer    postMessage() of an ArrayBuffer that is given away
  clone       postMessage() of an ArrayBuffer that is copied
  flag        a hand-written flag that readers look at before they read
  idle        the same revocation while nobody reads

Examples:
  $ lpar bench
  $ lpar bench translate grant --seed 7
  $ lpar bench tree --time 500 --repetitions 5
  $ lpar bench --quick --json > bench.json`;

/** The `bench` command. */
export function benchCommand(streams: CommandStreams): Command {
  return new Command("bench")
    .description("measure, as ratios to baselines in the same run; results are checked, times are not")
    .argument("[suite...]", `${SUITE_NAMES.join(", ")}; all if left out`)
    .option("--quick", "small sizes and few repetitions: checks all results, figures mean nothing")
    .addOption(
      new Option(
        "--time <ms>",
        `milliseconds of one measurement (default: ${TIME_MS}, quick ${QUICK_TIME_MS})`,
      ).argParser(numberOption("--time", 1, 60_000)),
    )
    .addOption(
      new Option(
        "--repetitions <n>",
        `interleaved repetitions, of which the median counts (default: ${REPETITIONS}, quick ${QUICK_REPETITIONS})`,
      ).argParser(integerOption("--repetitions", 1, 1000)),
    )
    .option("--seed <n>", "of all random numbers", integerOption("--seed", 0, 2 ** 32 - 1), 1)
    .option("--json", "print one JSON object")
    .addHelpText("after", EXAMPLES)
    .action(async (names: readonly string[], options: BenchCommandOptions) => {
      await bench(decodeSuites(names), options, streams);
    });
}

/** The suites named, in their own order and each once. */
function decodeSuites(names: readonly string[]): readonly SuiteName[] {
  const unknown = names.find((name) => !(SUITE_NAMES as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new UsageError(`there is no suite "${unknown}"; the suites are ${SUITE_NAMES.join(", ")}`);
  return names.length === 0 ? SUITE_NAMES : SUITE_NAMES.filter((name) => names.includes(name));
}

async function bench(
  suites: readonly SuiteName[],
  options: BenchCommandOptions,
  streams: CommandStreams,
): Promise<void> {
  const quick = options.quick === true;
  // Only here, so that no other command waits for tinybench.
  const { runBenchmark } = await import("../../bench/run.js");
  const progress = createProgress("measuring", streams.errors);
  const controller = new AbortController();
  const interrupt = (): void => controller.abort();
  // Once: a second Ctrl-C ends the process as it would end any.
  process.once("SIGINT", interrupt);
  let report: Report;
  try {
    report = await runBenchmark({
      suites,
      quick,
      timeMs: options.time ?? (quick ? QUICK_TIME_MS : TIME_MS),
      repetitions: options.repetitions ?? (quick ? QUICK_REPETITIONS : REPETITIONS),
      seed: options.seed,
      signal: controller.signal,
      onProgress: (done, total) => progress.update(done, total),
    });
  } finally {
    progress.end();
    process.off("SIGINT", interrupt);
  }
  streams.output.write(`${options.json === true ? JSON.stringify(report) : describe(report)}\n`);
  if (report.wrong.length > 0) {
    for (const wrong of report.wrong) streams.errors.write(`lpar: wrong result: ${wrong}\n`);
    streams.exitCode = EXIT_FAILED;
  } else if (!report.isComplete) streams.exitCode = EXIT_INTERRUPTED;
}

function describe(report: Report): string {
  const { machine, compiler, nativeMissing, options } = report;
  const head = [
    `${machine.cpu}, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)}, load ${machine.load.toFixed(2)}, ${machine.platform}`,
    `Node ${machine.node}, V8 ${machine.v8}; core ${machine.core}; native: ${compiler ?? `left out (${nativeMissing})`}`,
    `seed ${options.seed}; medians of ${options.repetitions} interleaved repetitions of ${options.timeMs} ms (5 at most from a million grants on)`,
    "times in nanoseconds for one operation (tree: one node, recovery and exit: one grant, moves, copies: one page,\n  handoff: there and back)",
    ...(options.quick ? ["quick: too short for figures, the results are checked"] : []),
  ];
  const tables = options.suites.flatMap((suite) => {
    const rows = report.rows.filter((row) => row.suite === suite);
    return rows.length === 0 ? [] : [`\n${describeSuite(suite, rows)}`];
  });
  const notes = report.notes.map((note) => `\n${note}`);
  const leftOut = report.leftOut.map((scenario) => `\nleft out: ${scenario}`);
  return [...head, ...tables, ...notes, ...leftOut, ...(report.isComplete ? [] : ["\ninterrupted"])].join(
    "\n",
  );
}

function describeSuite(suite: SuiteName, rows: readonly Row[]): string {
  const baselines = BASELINES.filter((name) => rows.some((row) => row.baselines[name] !== undefined));
  const isVersusNative = rows.every(({ versus }) => versus === "native");
  const hasSlices = rows.some((row) => row.longestMs !== undefined);
  const header = [
    suite,
    "lpar",
    ...baselines,
    isVersusNative ? "x native" : "ratio",
    ...(hasSlices ? ["slice ms"] : []),
    "target",
    "reached",
  ];
  const lines = rows.map((row) => [
    row.what,
    formatNs(row.ns),
    ...baselines.map((name) => formatNs(row.baselines[name])),
    describeRatio(row, isVersusNative),
    ...(hasSlices ? [row.longestMs?.toFixed(2) ?? "-"] : []),
    describeTarget(row),
    describeReached(row),
  ]);
  const numbers = "r".repeat(baselines.length + 2 + (hasSlices ? 1 : 0));
  return formatTable([header, ...lines], `l${numbers}ll`);
}

/** To the baseline that says most, which is named unless it is the same in all rows. */
function describeRatio({ ratios, versus }: Row, isVersusNative: boolean): string {
  const ratio = ratios[versus]?.toFixed(2);
  if (ratio === undefined) return "-";
  return isVersusNative ? ratio : `${ratio} ${versus}`;
}

function describeTarget({ target }: Row): string {
  if (target === undefined) return "-";
  return target.longestMs === undefined ? target.text : `${target.text}, ${target.longestMs} ms`;
}

/** "aim" is the better one of the two limits of a target. */
function describeReached({ target }: Row): string {
  if (target?.reached === undefined) return "-";
  const missed = [...(target.reached ? [] : ["time"]), ...(target.longestReached === false ? ["slice"] : [])];
  if (missed.length > 0) return `no (${missed.join(", ")})`;
  return target.aimReached === true ? "aim" : "yes";
}

/** Three digits. */
function formatNs(ns: number | undefined): string {
  if (ns === undefined) return "-";
  if (ns >= 100) return formatCount(Math.round(ns));
  return ns.toPrecision(3);
}
