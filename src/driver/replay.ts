/** `lpar replay`: has recorded programs share the pages of a server, and says what that took. */

import { basename } from "node:path";
import { Command } from "commander";
import {
  BATCH_BOUNDS,
  GRACE_BOUNDS,
  QUANTUM_BOUNDS,
  RESIDENT_BOUNDS,
  SEED_BOUNDS,
  SHARE_BOUNDS,
} from "../replay/options.js";
import { Replay } from "../replay/replay.js";
import type { ReplayReport } from "../replay/report.js";
import type { NamedTrace } from "../replay/world.js";
import { readTrace, type Trace } from "../trace/format.js";
import { BENCH_FOLDER } from "./examples.js";
import { formatBytes, formatCount, formatSeconds, formatTable, printable } from "./output.js";
import { createProgress } from "./progress.js";
import { type CommandStreams, EXIT_FAILED, EXIT_INTERRUPTED, interruptible } from "./streams.js";
import { integerOption, numberOption, UsageError } from "./usage-error.js";

interface ReplayCommandOptions {
  readonly resident?: number;
  readonly share: number;
  readonly crash?: boolean;
  readonly grace: number;
  readonly seed: number;
  readonly quantum: number;
  readonly batch: number;
  readonly json?: boolean;
}

const CHART_ROWS = 6;

const NOTES = `
Each trace is a client. A server owns all pages and grants each one at its first use; the client accepts. Beyond
--resident the least recently used page is returned and rescinded. --share percent of each trace's pages are common to
the traces: each may write one or only read it, and has it from the server or granted on by a relay, as --seed decides.
A write to a page that may only be read is refused, and the client is granted a private copy instead.

Afterwards everything is taken down, audited, and must add up: else the exit code is 1.

Examples:
  $ lpar replay bench/traces/*.lpt
  $ lpar replay --share 25 --resident 64 --crash --grace 50 bench/traces/*.lpt
  $ lpar replay --share 50 --seed 7 --json ls.lpt ls.lpt

${BENCH_FOLDER}`;

/** The `replay` command. Its action throws UsageError and TraceError for what the user can put right. */
export function replayCommand(streams: CommandStreams): Command {
  return new Command("replay")
    .description("replay memory traces of real programs through partitions that share pages by grants")
    .argument("<trace...>", "packed traces, as `lpar trace pack` writes them")
    .option(
      "--resident <pages>",
      "pages that a client may have mapped at once (default: all)",
      integerOption("--resident", RESIDENT_BOUNDS.min, RESIDENT_BOUNDS.max),
    )
    .option(
      "--share <percent>",
      "part of the pages that is common to several clients",
      numberOption("--share", SHARE_BOUNDS.min, SHARE_BOUNDS.max),
      0,
    )
    .option("--crash", "let the server fail when half of the references are done")
    .option(
      "--grace <ms>",
      "how long what the server granted outlives it",
      integerOption("--grace", GRACE_BOUNDS.min, GRACE_BOUNDS.max),
      2000,
    )
    .option(
      "--seed <number>",
      "what decides which pages are common, and how",
      integerOption("--seed", SEED_BOUNDS.min, SEED_BOUNDS.max),
      1,
    )
    .option(
      "--quantum <references>",
      "references of one client before it is the turn of the next",
      integerOption("--quantum", QUANTUM_BOUNDS.min, QUANTUM_BOUNDS.max),
      10_000,
    )
    .option(
      "--batch <references>",
      "references translated in one call, at most",
      integerOption("--batch", BATCH_BOUNDS.min, BATCH_BOUNDS.max),
      1024,
    )
    .option("--json", "print one JSON object")
    .addHelpText("after", NOTES)
    .action(async (files: readonly string[], options: ReplayCommandOptions) => {
      const report = await interruptible((signal) => perform(files, options, streams, signal));
      streams.output.write(`${options.json ? JSON.stringify(report) : describeReplay(report)}\n`);
      finish(report, streams);
    });
}

/** What a report means for the exit code, and why in one line. */
export function finish(report: ReplayReport, streams: CommandStreams): void {
  const [first, ...more] = report.problems;
  if (report.interrupted) streams.exitCode = EXIT_INTERRUPTED;
  else if (first !== undefined) {
    const others = more.length === 0 ? "" : ` (and ${more.length} more)`;
    streams.errors.write(`lpar: the replay does not add up: ${printable(first)}${others}\n`);
    streams.exitCode = EXIT_FAILED;
  }
}

async function perform(
  files: readonly string[],
  { grace, ...options }: ReplayCommandOptions,
  streams: CommandStreams,
  signal: AbortSignal,
): Promise<ReplayReport> {
  // The same file may be named several times, to have as many clients of it.
  const read = new Map<string, Trace>();
  for (const file of files) if (!read.has(file)) read.set(file, await readTrace(file));
  const traces = files.flatMap((file): NamedTrace[] => {
    const trace = read.get(file);
    return trace === undefined ? [] : [{ name: basename(file, ".lpt") || file, trace }];
  });
  const replay = prepare(traces, { ...options, graceMs: grace });
  const progress = createProgress("replaying", streams.errors);
  try {
    return await replay.run({ signal, onProgress: (done, total) => progress.update(done, total) });
  } finally {
    progress.end();
  }
}

function prepare(traces: readonly NamedTrace[], options: ConstructorParameters<typeof Replay>[1]): Replay {
  try {
    return new Replay(traces, options);
  } catch (error) {
    // The traces are too many or too large for one table.
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

/** The report as text. */
export function describeReplay(report: ReplayReport): string {
  const parts = [
    formatTable(clientRows(report), "lrrr"),
    formatTable(numberRows(report), "ll"),
    describeChart(report.chart),
  ];
  if (report.interrupted) {
    const { done, references } = report;
    parts.unshift(
      `INTERRUPTED after ${formatCount(done)} of ${formatCount(references)} references: what follows is what was done so far.`,
    );
  }
  return parts.join("\n\n");
}

function clientRows({ clients }: ReplayReport): string[][] {
  const rows = clients.map(({ name, done, pages, commonPages }) => [
    printable(name),
    formatCount(done),
    formatCount(pages),
    formatCount(commonPages),
  ]);
  return [["client", "references", "pages", "common"], ...rows];
}

function numberRows(report: ReplayReport): string[][] {
  const { translations, rescinds, crash, memory, notices } = report;
  const rate = formatCount(Math.round(report.referencesPerSecond));
  const rows = [
    [
      "references",
      `${formatCount(report.done)} in ${formatSeconds(report.seconds)}, ${rate} per second${crash === null ? "" : ", the wait for the server not counted"}`,
    ],
    [
      "translations",
      counts([
        [translations.ok, "ok"],
        [translations.notMapped, "not mapped"],
        [translations.permission, "no permission"],
        [translations.rescinded, "rescinded"],
      ]),
    ],
    [
      "page faults",
      counts([
        [report.pageFaults, "served"],
        [report.evictions, "evictions"],
        [report.copies, "copied for a write"],
      ]),
    ],
    [
      "common pages",
      counts([
        [report.commonPages, "of the server"],
        [report.sharedPages, "of several clients"],
      ]),
    ],
    [
      "grants",
      counts([
        [report.grants, "in all"],
        [report.regrants, "of them granted on by the relay"],
      ]),
    ],
    ["accepts", formatCount(report.accepts)],
    [
      "returns",
      counts([
        [report.returns, ""],
        [report.rescindedReturns, "of what was rescinded before"],
      ]),
    ],
    [
      "rescinds",
      counts([
        [rescinds.normal, "normal"],
        [rescinds.forced, `forced, of ${formatCount(rescinds.tornDown)} grants`],
      ]),
    ],
    ["notices", counts(Object.entries(notices).map(([type, count]) => [count, type] as const))],
  ];
  if (crash !== null) rows.push(...crashRows(crash));
  rows.push(
    [
      "memory",
      `${formatBytes(memory.tableBytes)}, of them ${formatBytes(memory.frameBytes)} in frames; at most ${formatCount(memory.grantsMost)} grants at once`,
    ],
    [
      "",
      `${memory.bytesPerStructure} bytes for a control structure, ${memory.bytesPerPage.toFixed(2)} for a page of a logical space`,
    ],
    ["audit", describeAudit(report)],
  );
  return rows;
}

function crashRows(crash: NonNullable<ReplayReport["crash"]>): string[][] {
  const grace = formatSeconds(crash.graceMs / 1000);
  return [
    [
      "crash",
      `after ${formatCount(crash.at)} references: ${formatCount(crash.lostMappings)} mappings lost, ${plural(crash.stalls, "client")} waited`,
    ],
    [
      "recovery",
      `${formatSeconds(crash.recoveryMs / 1000)} after a grace period of ${grace}, in which ${formatCount(crash.graceReferences)} references were done`,
    ],
  ];
}

function describeAudit({ interrupted, audited, problems }: ReplayReport): string {
  if (problems.length > 0)
    return `${plural(problems.length, "problem")}, the first: ${printable(problems[0] ?? "")}`;
  if (interrupted) return "not done";
  return `clean, ${formatCount(audited)} facts; all counts add up, all quotas and frames are back`;
}

function counts(list: readonly (readonly [count: number, what: string])[]): string {
  return list.map(([count, what]) => `${formatCount(count)} ${what}`.trimEnd()).join(", ");
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Page faults over time as columns; one that is not empty shows. */
export function describeChart({ pageFaults, crashColumn }: ReplayReport["chart"]): string {
  const most = Math.max(1, ...pageFaults);
  const label = formatCount(most);
  const lines = [`page faults, each column 1/${pageFaults.length} of the references`];
  for (let row = CHART_ROWS; row > 0; row--) {
    const columns = pageFaults.map((faults) => {
      const height = (faults / most) * CHART_ROWS;
      if (height > row - 0.5) return "#";
      return row === 1 && faults > 0 ? "." : " ";
    });
    lines.push(`${(row === CHART_ROWS ? label : "").padStart(label.length)} |${columns.join("").trimEnd()}`);
  }
  lines.push(`${"0".padStart(label.length)} +${"-".repeat(pageFaults.length)}`);
  if (crashColumn !== null) lines.push(`${" ".repeat(label.length + 2 + crashColumn)}^ the server crashed`);
  return lines.join("\n");
}
