/** `lpar ls`: what is in a table. */

import { Command } from "commander";
import { formatListing, formatOverview, LISTING_NAMES, type ListingName, listingObjects } from "./listing.js";
import { addSourceOptions, openSource, SOURCE_NOTES, type SourceOptions } from "./source.js";
import { type CommandStreams, interruptible } from "./streams.js";
import { UsageError } from "./usage-error.js";

interface LsOptions extends SourceOptions {
  readonly json?: boolean;
}

const NOTES = `${SOURCE_NOTES}

Columns: start is the incarnation, own, mapped and lent are pages, out and in are grants, kept are frames that views keep
from reuse. Addresses are bytes, of interrupt sources and ports numbers.

Examples:
  $ lpar ls --scenario bench/scenarios/server-crash.json
  $ lpar ls grants --file after.json
  $ lpar ls maps --connect http://127.0.0.1:40123/<token>/ --json`;

/** The `ls` command. */
export function lsCommand(streams: CommandStreams): Command {
  return addSourceOptions(
    new Command("ls")
      .description("list what is in a table: from a snapshot, a scenario, or a living process")
      .argument("[what]", `${LISTING_NAMES.join(", ")}; an overview if left out`),
  )
    .option("--json", "print JSON: the list, or the whole snapshot")
    .addHelpText("after", NOTES)
    .action(async (what: string | undefined, options: LsOptions) => {
      const name = LISTING_NAMES.find((one) => one === what);
      if (what !== undefined && name === undefined)
        throw new UsageError(`there is no list "${what}"; the lists are ${LISTING_NAMES.join(", ")}`);
      const source = await openSource(options, streams);
      const snapshot = await interruptible((signal) => source.snapshot(signal));
      streams.output.write(`${options.json === true ? json(name, snapshot) : text(name, snapshot)}\n`);
    });
}

type Snapshot = Parameters<typeof formatOverview>[0];

function json(name: ListingName | undefined, snapshot: Snapshot): string {
  return JSON.stringify(name === undefined ? snapshot : listingObjects(name, snapshot), null, 2);
}

function text(name: ListingName | undefined, snapshot: Snapshot): string {
  return name === undefined ? formatOverview(snapshot) : formatListing(name, snapshot);
}
