/** `lpar compare`: two reports of `lpar bench`, row by row. */

import { Command, InvalidArgumentError, Option } from "commander";
import { type Comparison, compareReports } from "../../bench/comparison.js";
import { formatNs, formatRatio } from "../../bench/format.js";
import { loadReport } from "./bench-output.js";
import { formatTable } from "./output.js";
import { type CommandStreams, EXIT_MISSED } from "./streams.js";

interface CompareCommandOptions {
  readonly failAbove?: number;
  readonly byRatio?: boolean;
  readonly json?: boolean;
}

const PERCENT_MAX = 1000;

const NOTES = `
The ratio of a row is its time in the second report by that in the first: the median of the quotients of all repetitions
(Hodges and Lehmann), with the 95 % interval of the rank sum test of Mann and Whitney. A row is "same" when the interval
holds 1, otherwise "better" or "worse". It takes three repetitions in both reports, and four for 95 %. The interval
knows what differs between the repetitions of one run, not what differs between runs (where memory lies, what the compiler
did): run twice before you believe a few percent. On a machine that is slow at times, --by-ratio compares the ratios to the
baselines instead, which were measured in the same minute; rows without the same baseline in both are left out, and named.

With --fail-above a row that only the first report has, or wrong results in one of them, count like a row that is worse.

Exit codes: 0 done, 2 a mistake in the call (no report, another version, no row in common), 3 the limit of --fail-above missed.

Examples:
  $ lpar bench grant --out before.json
  $ lpar bench grant --out after.json
  $ lpar compare before.json after.json --fail-above 5%`;

/** "5%" or "5" becomes 0.05. */
function percentOption(text: string): number {
  const number = /^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  // A share that was meant would be a hundredth of what is read.
  if (number > 0 && number < 1 && !text.endsWith("%"))
    throw new InvalidArgumentError(
      `--fail-above takes a percentage, and "${text}" is ${number} %: write "${text}%" for that, or "${Number((number * 100).toPrecision(6))}%".`,
    );
  if (!(number <= PERCENT_MAX))
    throw new InvalidArgumentError(
      `--fail-above takes a percentage from 0 to ${PERCENT_MAX}, such as 5%, but got "${text}".`,
    );
  return number / 100;
}

/** The `compare` command. */
export function compareCommand(streams: CommandStreams): Command {
  return new Command("compare")
    .description("compare two reports of lpar bench: what became better, what worse")
    .argument("<before.json>", "a report of lpar bench --json")
    .argument("<after.json>", "another one")
    .addOption(
      new Option("--fail-above <percent>", "exit with 3 if a row is worse by more, such as 5%").argParser(
        percentOption,
      ),
    )
    .option("--by-ratio", "compare the ratios to the baselines instead of the times")
    .option("--json", "print one JSON object")
    .addHelpText("after", NOTES)
    .action(async (before: string, after: string, options: CompareCommandOptions) => {
      const { failAbove, byRatio = false, json } = options;
      const comparison = compareReports(
        { name: before, report: await loadReport(before) },
        { name: after, report: await loadReport(after) },
        { failAbove, isByRatio: byRatio },
      );
      streams.output.write(`${json ? JSON.stringify(comparison) : describe(comparison, byRatio)}\n`);
      if (failAbove !== undefined) finish(comparison, failAbove, streams);
    });
}

/** What a limit means for the exit code: what is not there, or wrong, cannot have kept it. */
function finish({ rows, lost, wrong }: Comparison, failAbove: number, streams: CommandStreams): void {
  const failures = [
    ...rows
      .filter(({ isAbove }) => isAbove)
      .map(
        ({ name, ratio, low, high }) =>
          `worse by more than ${percent(failAbove)}: ${name}: ${formatRatio(ratio)} (${formatRatio(low)} - ${formatRatio(high)})`,
      ),
    ...lost.map((name) => `nothing to compare in the second report: ${name}`),
    ...wrong,
  ];
  for (const failure of failures) streams.errors.write(`lpar: ${failure}\n`);
  if (failures.length > 0) streams.exitCode = EXIT_MISSED;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(3))} %`;
}

function describe(
  { rows, onlyBefore, onlyAfter, withoutBaseline, notes }: Comparison,
  isByRatio: boolean,
): string {
  const format = isByRatio ? formatRatio : formatNs;
  const lines = rows.map(({ name, before, after, ratio, low, high, verdict }) => [
    name,
    format(before),
    format(after),
    formatRatio(ratio),
    `${formatRatio(low)} - ${formatRatio(high)}`,
    verdict,
  ]);
  const unit = isByRatio ? "x" : "ns";
  const header = ["row", `before ${unit}`, `after ${unit}`, "ratio", "interval", "verdict"];
  const count = (verdict: string): number => rows.filter((row) => row.verdict === verdict).length;
  return [
    formatTable([header, ...lines], "lrrrll"),
    "",
    `${count("better")} better, ${count("same")} same, ${count("worse")} worse`,
    ...(onlyBefore.length > 0 ? [`only in the first: ${onlyBefore.join("; ")}`] : []),
    ...(onlyAfter.length > 0 ? [`only in the second: ${onlyAfter.join("; ")}`] : []),
    ...(withoutBaseline.length > 0
      ? [`left out, without the same baseline in both: ${withoutBaseline.join("; ")}`]
      : []),
    ...notes.map((note) => `note: ${note}`),
  ].join("\n");
}
