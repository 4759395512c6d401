/** `lpar audit`: whether every invariant of a table holds. */

import { Command } from "commander";
import { checkSnapshot } from "../inspect/check.js";
import { formatCount, formatTable, printable } from "./output.js";
import { addSourceOptions, openSource, SOURCE_NOTES, type SourceOptions } from "./source.js";
import { type CommandStreams, EXIT_FAILED, interruptible } from "./streams.js";

interface AuditOptions extends SourceOptions {
  readonly json?: boolean;
}

const NOTES = `${SOURCE_NOTES}

Of a scenario and of a living process the core walks all its records, and stops all calls for as long. Of a snapshot alone
it is checked that what it says fits together: counters, rights, ranges, quotas. The exit code is 1 if anything is wrong.

Examples:
  $ lpar audit --scenario bench/scenarios/server-crash.json
  $ lpar audit --file after.json`;

/** The `audit` command. */
export function auditCommand(streams: CommandStreams): Command {
  return addSourceOptions(
    new Command("audit").description("check every invariant of a table, and that its snapshot fits together"),
  )
    .option("--json", "print one JSON object")
    .addHelpText("after", NOTES)
    .action(async (options: AuditOptions) => {
      const source = await openSource(options, streams);
      const [snapshot, records] = await interruptible(async (signal) => [
        checkSnapshot(await source.snapshot(signal)),
        await source.audit(signal),
      ]);
      const problems = [...(records?.problems ?? []), ...snapshot.problems];
      if (options.json === true)
        streams.output.write(`${JSON.stringify({ problems, records: records ?? null, snapshot })}\n`);
      else {
        const facts = (report: { checked: number; problems: readonly string[] } | undefined): string =>
          report === undefined
            ? "not here: a snapshot has none"
            : `${formatCount(report.problems.length)} problems, ${formatCount(report.checked)} facts checked`;
        const rows = [
          ["records", facts(records)],
          ["snapshot", facts(snapshot)],
        ];
        streams.output.write(`${[...problems.map(printable), formatTable(rows, "ll")].join("\n")}\n`);
      }
      if (problems.length > 0) streams.exitCode = EXIT_FAILED;
    });
}
