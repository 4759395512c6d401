/** `lpar inspect`: a table in a browser. */

import { Command } from "commander";
import { checkSnapshot } from "../inspect/check.js";
import { serve } from "../inspect/server.js";
import { addSourceOptions, openSource, SOURCE_NOTES, type SourceOptions } from "./source.js";
import { type CommandStreams, interruptible } from "./streams.js";
import { integerOption, UsageError } from "./usage-error.js";

interface InspectOptions extends SourceOptions {
  readonly serve?: boolean;
  readonly port: number;
}

const NOTES = `${SOURCE_NOTES}

--serve prints an address of this machine, with a token that nobody else knows, and serves a page there until Ctrl-C:
partitions, maps, grants and the timeline. Without it the snapshot is printed as JSON.

Examples:
  $ lpar inspect --serve --scenario bench/scenarios/server-crash.json
  $ lpar inspect --serve --connect unix:/run/user/1000/lpar.sock#<token>
  $ lpar inspect --connect http://127.0.0.1:40123/<token>/ > now.json`;

/** The `inspect` command. */
export function inspectCommand(streams: CommandStreams): Command {
  return addSourceOptions(
    new Command("inspect").description("look at a table in a browser, or print its snapshot as JSON"),
  )
    .option("--serve", "serve a page on 127.0.0.1 until Ctrl-C")
    .option(
      "--port <n>",
      "with --serve: the port; 0 is any that is free",
      integerOption("--port", 0, 65535),
      0,
    )
    .addHelpText("after", NOTES)
    .action(async (options: InspectOptions) => {
      if (options.port !== 0 && options.serve !== true) throw new UsageError("--port needs --serve");
      const source = await openSource(options, streams);
      // What cannot be looked at is said now, not in the browser.
      const first = await interruptible((signal) => source.snapshot(signal));
      if (options.serve !== true) {
        streams.output.write(`${JSON.stringify(first, null, 2)}\n`);
        return;
      }
      const serving = await serve(
        {
          name: source.name,
          snapshot: () => source.snapshot(),
          audit: async () => (await source.audit()) ?? checkSnapshot(await source.snapshot()),
          now: () => undefined,
        },
        { port: options.port },
      );
      streams.output.write(`${serving.url}\n`);
      await untilInterrupted();
      await serving.close();
    });
}

/** Ctrl-C is how it ends, and no failure. */
function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    // The server alone does not keep the process alive.
    const keepAlive = setInterval(() => {}, 2 ** 30);
    const end = (): void => {
      clearInterval(keepAlive);
      process.off("SIGINT", end);
      process.off("SIGTERM", end);
      resolve();
    };
    process.on("SIGINT", end);
    process.on("SIGTERM", end);
  });
}
