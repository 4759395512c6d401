/** `lpar run`: carries out a scenario and says what each step answered. */

import { resolve } from "node:path";
import { Command, Option } from "commander";
import { greatest } from "../inspect/words.js";
import { describeValues, plainValues } from "../scenario/describe.js";
import { runScenario, type ScenarioReport, type StepReport } from "../scenario/run.js";
import { readScenario, type Scenario } from "../scenario/scenario.js";
import { columnsOf, padRight } from "./columns.js";
import { BENCH_FOLDER } from "./examples.js";
import { formatCount, formatTable, printable, writeBeside } from "./output.js";
import { type CommandStreams, EXIT_FAILED, EXIT_INTERRUPTED, interruptible } from "./streams.js";
import { integerOption, UsageError } from "./usage-error.js";

interface RunOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly seed: number;
  readonly snapshot?: string;
}

const SEED_MAX = 2 ** 32 - 1;
/** What is wider than this pushes its answer to the right. */
const WHAT_COLUMNS = 72;

const EXAMPLES = `
A scenario is a JSON file: a table, its partitions and adapters, and steps such as
  { "grant": { "by": "server", "to": "client", "address": 0, "length": "4KiB", "as": "page" } }
  { "accept": { "by": "client", "grant": "page" }, "expect": "H_RESCINDED" }
Its time stands still unless a step moves it. The exit code is 0 if every step answers as expected and the audit
afterwards is clean, 1 if not, 2 if the file is no scenario: then nothing runs.

Examples:
  $ lpar run bench/scenarios/first-share.json
  $ lpar run bench/scenarios/server-crash.json --json --snapshot after.json
  $ lpar run bench/scenarios/quota.json --quiet --seed 7

${BENCH_FOLDER}`;

/** The `run` command. Its action throws ScenarioError and UsageError for what the user can put right. */
export function runCommand(streams: CommandStreams): Command {
  return new Command("run")
    .description("run a scenario of grants, accesses and failures, and check what each step answers")
    .argument("<scenario.json>", "the scenario; bench/scenarios has examples")
    .option("--json", "print one JSON object when all is done")
    .addOption(new Option("-q, --quiet", "print failures only").conflicts("json"))
    .option("--seed <number>", "what random steps draw from", integerOption("--seed", 0, SEED_MAX), 1)
    .option("--snapshot <file>", "write the table as it is after the last step, as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (file: string, options: RunOptions) => {
      const scenario = await readScenario(file);
      if (options.snapshot !== undefined && resolve(options.snapshot) === resolve(file))
        throw new UsageError(`--snapshot is ${file}: the scenario itself would be replaced`);
      const report = await interruptible((signal) =>
        options.snapshot === undefined
          ? perform(scenario, options, streams, signal)
          : performAndSave(options.snapshot, scenario, options, streams, signal),
      );
      if (report.failure !== undefined)
        streams.errors.write(`lpar: ${printable(`${file}: ${report.failure.message}`)}\n`);
      if (report.outcome === "failed") streams.exitCode = EXIT_FAILED;
      if (report.outcome === "interrupted") streams.exitCode = EXIT_INTERRUPTED;
    });
}

async function perform(
  scenario: Scenario,
  options: RunOptions,
  streams: CommandStreams,
  signal: AbortSignal,
): Promise<ScenarioReport> {
  const { seed } = options;
  const isTold = options.json !== true && options.quiet !== true;
  const columns = Math.min(
    WHAT_COLUMNS,
    greatest(
      0,
      scenario.steps.map(({ what }) => columnsOf(what)),
    ),
  );
  if (isTold && scenario.title !== undefined) streams.output.write(`${printable(scenario.title)}\n\n`);
  const onStep = (step: StepReport): void => {
    if (isTold) streams.output.write(`${describe(step, scenario.steps.length, columns)}\n`);
  };
  const report = await runScenario(scenario, { seed, signal, onStep });
  if (options.json) streams.output.write(`${JSON.stringify(toJson(scenario, report, seed))}\n`);
  else if (isTold) streams.output.write(`\n${summarise(scenario, report, seed)}\n`);
  return report;
}

/** The file is opened before the first step, so that no work is lost to a name that cannot be written. */
async function performAndSave(
  path: string,
  ...[scenario, options, streams, signal]: Parameters<typeof perform>
): Promise<ScenarioReport> {
  let report: ScenarioReport | undefined;
  try {
    return await writeBeside(path, async (file) => {
      report = await perform(scenario, options, streams, signal);
      // What an interrupted run leaves is nobody's last state.
      signal.throwIfAborted();
      await file.writeFile(`${JSON.stringify(report.snapshot, null, 2)}\n`);
      return report;
    });
  } catch (error) {
    // Ctrl-C removes the file, which then cannot be finished.
    if (report === undefined || !signal.aborted) throw error;
    return { ...report, outcome: "interrupted" };
  }
}

function describe(step: StepReport, steps: number, columns: number): string {
  const number = `[${step.index}]`.padStart(String(steps - 1).length + 2);
  const answer = step.status === "H_SUCCESS" ? describeValues(step.answer) : step.status;
  const line = `${number} ${printable(`${padRight(step.what, columns)} -> ${answer}`)}`;
  if (step.note === undefined) return line;
  return `${" ".repeat(number.length)} # ${printable(step.note)}\n${line}`;
}

function summarise(scenario: Scenario, report: ScenarioReport, seed: number): string {
  const { audit, snapshot } = report;
  const calls = Object.entries(report.calls).map(([verb, counts]) => {
    const refusals = Object.entries(counts).filter(([status]) => status !== "H_SUCCESS");
    const refused = refusals.map(([status, count]) => `${count} ${status}`).join(", ");
    return `${verb} ${counts.H_SUCCESS ?? 0}${refused === "" ? "" : ` (and ${refused})`}`;
  });
  const counters = snapshot.counters;
  const used = (free: string, all: string): string =>
    `${formatCount((counters[all] ?? 0) - (counters[free] ?? 0))} of ${formatCount(counters[all] ?? 0)}`;
  const rows = [
    ["steps", `${report.steps.length} of ${scenario.steps.length} done, ${report.outcome}`],
    ["calls", calls.join(", ") || "none"],
    ["clock", `${formatCount(report.clockMs)} ms`],
    ["frames", `${used("framesFree", "frames")} used`],
    [
      "structures",
      `${formatCount(counters.structuresUsed ?? 0)} of ${formatCount(counters.structures ?? 0)} used`,
    ],
    ["audit", `${formatCount(audit.problems.length)} problems, ${formatCount(audit.checked)} facts checked`],
  ];
  if (report.calls.random !== undefined) rows.push(["seed", String(seed)]);
  return formatTable(rows, "ll");
}

function toJson(scenario: Scenario, report: ScenarioReport, seed: number): unknown {
  return {
    scenario: scenario.file,
    title: scenario.title ?? null,
    outcome: report.outcome,
    seed,
    steps: report.steps.map(({ index, verb, what, status, answer }) => ({
      index,
      verb,
      what,
      status,
      answer: plainValues(answer),
    })),
    stepsPlanned: scenario.steps.length,
    failure: report.failure === undefined ? null : { ...report.failure, index: report.failure.index ?? null },
    calls: report.calls,
    clockMs: report.clockMs,
    counters: report.snapshot.counters,
    audit: report.audit,
  };
}
