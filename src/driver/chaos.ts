/** `lpar chaos`: kills worker threads at random moments, and says whether anything of value was lost. */

import { Command } from "commander";
import { Chaos } from "../chaos/chaos.js";
import { FLAT_BYTES, FLAT_KILLS, residentBytes } from "../chaos/memory.js";
import {
  type ChaosOptions,
  GRACE_BOUNDS,
  KILLS_BOUNDS,
  SEED_BOUNDS,
  WORKERS_BOUNDS,
} from "../chaos/options.js";
import type { ChaosReport, Percentiles } from "../chaos/report.js";
import { formatBytes, formatCount, formatSeconds, formatTable, printable } from "./output.js";
import { createProgress } from "./progress.js";
import { type CommandStreams, EXIT_FAILED, EXIT_INTERRUPTED, interruptible } from "./streams.js";
import { integerOption } from "./usage-error.js";

interface ChaosCommandOptions {
  readonly kills: number;
  readonly seed: number;
  readonly workers: number;
  readonly grace: number;
  readonly json?: boolean;
}

const NOTES = `
Each worker thread is a partition. All of them grant, accept, re-grant, return, rescind, read, write, copy, take views and
send messages, as --seed decides; they lend and donate pages, write to copies on write, map pages behind the I/O bus and are the
devices there, raise, mask and ring, serve device windows and ask others'. And they check what they can see: records that were
announced as complete, that nobody but who may has read or written, what they alone have, that what was raised is heard and what was
asked is answered, the order of messages, the notices of failures. Meanwhile threads are killed, several at once:

  terminate  worker.terminate(), at any moment        exit      process.exit() inside
  fail       ResourceTable.fail()                     heap      memory is used up
  throw      an uncaught exception                    waiting   terminated while it sleeps, or works for ever
  overflow   the stack overflows inside hypercalls; it lives on, and throws a little later
  timeout    a vm time limit inside hypercalls; it lives on, and throws a little later

After each death the partition must be recovered, the audit clean, all counters at zero, and its partners told once; a thread
whose wait takes long is spared until the wait has ended, and within seconds it must. At the end nothing may be left and no
wait be open; in ${FLAT_KILLS} kills or more, resident memory may not have grown by more than ${formatBytes(FLAT_BYTES)}. The first violation ends
the run with exit code 1. The seed decides which deaths come and what each thread draws; how the threads interleave is the
machine's choice, so that a run may have to be repeated to fail again.

Examples:
  $ lpar chaos
  $ lpar chaos --kills 10000 --seed 7 --workers 4
  $ lpar chaos --kills 60 --json`;

/** The `chaos` command. */
export function chaosCommand(streams: CommandStreams): Command {
  return new Command("chaos")
    .description(
      "kill worker threads at random moments and check that nothing leaks and nobody waits for ever",
    )
    .option(
      "--kills <n>",
      "threads to kill",
      integerOption("--kills", KILLS_BOUNDS.min, KILLS_BOUNDS.max),
      1000,
    )
    .option("--seed <n>", "what is drawn from", integerOption("--seed", SEED_BOUNDS.min, SEED_BOUNDS.max), 1)
    .option(
      "--workers <n>",
      "threads at once",
      integerOption("--workers", WORKERS_BOUNDS.min, WORKERS_BOUNDS.max),
      4,
    )
    .option(
      "--grace <ms>",
      "how long what a thread granted outlives it",
      integerOption("--grace", GRACE_BOUNDS.min, GRACE_BOUNDS.max),
      2,
    )
    .option("--json", "print one JSON object")
    .addHelpText("after", NOTES)
    .action(async ({ grace, json, ...options }: ChaosCommandOptions) => {
      const report = await interruptible((signal) =>
        perform({ ...options, graceMs: grace }, streams, signal),
      );
      streams.output.write(`${json ? JSON.stringify(report) : describeChaos(report)}\n`);
      finish(report, streams);
    });
}

/** What a report means for the exit code, and why in one line. */
export function finish(report: ChaosReport, streams: CommandStreams): void {
  const { verdict, violation, options } = report;
  if (verdict === "interrupted") streams.exitCode = EXIT_INTERRUPTED;
  if (violation === null) return;
  const what = printable(violation.what.split("\n")[0] ?? "");
  streams.errors.write(`lpar: violated at step ${violation.step} of seed ${options.seed}: ${what}\n`);
  streams.exitCode = EXIT_FAILED;
}

async function perform(
  options: ChaosOptions,
  streams: CommandStreams,
  signal: AbortSignal,
): Promise<ChaosReport> {
  const chaos = new Chaos(options);
  const progress = createProgress("killing", streams.errors);
  try {
    return await chaos.run({
      signal,
      onProgress: (done, total) => progress.update(done, total),
      rss: () => residentBytes(process.memoryUsage()),
    });
  } finally {
    progress.end();
  }
}

/** The report as text; its first line is the verdict. */
export function describeChaos(report: ChaosReport): string {
  const { recoveryMs, loopDelayMs, killsByKind, operationsByKind, rss } = report;
  const kinds = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => `${formatCount(count)} ${kind}`)
      .join(", ") || "none";
  const { refused = 0, ...done } = operationsByKind;
  const rows = [
    ["kills", kinds(killsByKind)],
    ["recovery", recoveryMs === null ? "none" : percentiles(recoveryMs)],
    ["owner's loop", `late by ${percentiles(loopDelayMs)}`],
    ["operations", `${formatCount(report.operations)}, of them ${formatCount(refused)} refused`],
    ["", kinds(done)],
    ["moved", `${formatCount(report.pagesMoved)} pages to other frames`],
    ["memory", describeMemory(rss)],
  ];
  return `${describeVerdict(report)}\n\n${formatTable(rows, "ll")}`;
}

function describeMemory({ start, end }: ChaosReport["rss"]): string {
  if (start === null || end === null) return "none";
  return `${formatBytes(start)} resident at first, ${formatBytes(end)} at the end`;
}

function percentiles({ p50, p90, p99, max }: Percentiles): string {
  const ms = (value: number): string => value.toFixed(1);
  return `p50 ${ms(p50)} ms, p90 ${ms(p90)} ms, p99 ${ms(p99)} ms, max ${ms(max)} ms`;
}

function describeVerdict(report: ChaosReport): string {
  const { verdict, options, kills, seconds, audits, factsAudited, violation } = report;
  const { seed, workers } = options;
  const how = `${formatCount(kills)} kills in ${formatSeconds(seconds)}, ${workers} workers, seed ${seed}`;
  const audited = `${formatCount(audits)} audits of ${formatCount(factsAudited)} facts without a problem`;
  if (verdict === "clean") return `CLEAN: ${how}, ${audited}, every wait settled, no sealed record torn`;
  if (violation === null)
    return `INTERRUPTED: ${how}, ${audited} until then; not everything was looked at to the end`;
  const what = violation.what.split("\n").map(printable).join("\n  ");
  const repeat = `lpar chaos --kills ${options.kills} --seed ${seed} --workers ${workers} --grace ${options.graceMs}`;
  return `VIOLATED at step ${violation.step}: ${how}\n  ${what}\n  again: ${repeat}`;
}
