/** `lpar top`: a table once a second. In a pipe or a file one frame, and out. */

import { Command } from "commander";
import type { TableSnapshot } from "../snapshot.js";
import { cutAt } from "./columns.js";
import { formatListing } from "./listing.js";
import { formatCount } from "./output.js";
import { addSourceOptions, openSource, SOURCE_NOTES, type Source, type SourceOptions } from "./source.js";
import { type CommandStreams, interruptible } from "./streams.js";

const PERIOD_MS = 1000;
const BAR_COLUMNS = 30;
const EVENTS_SHOWN = 8;
/** In raw mode Ctrl-C and Ctrl-D are characters. */
const END_KEYS = ["q", "\u0003", "\u0004"];

const NOTES = `${SOURCE_NOTES}

q or Ctrl-C ends it.

Examples:
  $ lpar top --connect http://127.0.0.1:40123/<token>/
  $ lpar top --file after.json`;

/** The `top` command. */
export function topCommand(streams: CommandStreams): Command {
  return addSourceOptions(new Command("top").description("show a table, once a second"))
    .addHelpText("after", NOTES)
    .action(async (options: SourceOptions) => {
      const source = await openSource(options, streams);
      if (streams.output.isTTY !== true) {
        const snapshot = await interruptible((signal) => source.snapshot(signal));
        streams.output.write(`${formatFrame(source.name, snapshot)}\n`);
      } else await watch(source, streams);
    });
}

function bar(used: number, all: number): string {
  const length = all === 0 ? 0 : Math.round((used / all) * BAR_COLUMNS);
  return `[${"#".repeat(used > 0 ? Math.max(1, length) : 0).padEnd(BAR_COLUMNS, ".")}]`;
}

/** One frame. `before` is the snapshot of the frame before, for what changed. */
export function formatFrame(name: string, snapshot: TableSnapshot, before?: TableSnapshot): string {
  const count = (counter: string, of: TableSnapshot = snapshot): number => of.counters[counter] ?? 0;
  const usage = (label: string, used: number, all: number): string =>
    `${label.padEnd(11)}${bar(used, all)} ${formatCount(used)} of ${formatCount(all)}`;
  const moved = before === undefined ? 0 : (count("pagesMoved") - count("pagesMoved", before)) >>> 0;
  const head = [
    `lpar top  ${name}`,
    usage("frames", count("frames") - count("framesFree"), count("frames")),
    usage("structures", count("structuresUsed"), count("structures")),
    `${formatCount(count("revocations"))} revocations under way, ${formatCount(count("framesQuarantined"))} frames kept by views, ${formatCount(moved)} pages moved since`,
  ];
  const events = { ...snapshot, events: snapshot.events.slice(-EVENTS_SHOWN) };
  return [...head, "", formatListing("partitions", snapshot), "", formatListing("events", events)].join("\n");
}

/** What fits the terminal: a line that wraps would push the first ones out. */
export function fitted(frame: string, columns: number, rows: number): string {
  return frame
    .split("\n")
    .slice(0, Math.max(1, rows - 1))
    .map((line) => cutAt(line, Math.max(1, columns - 1)))
    .join("\n");
}

const HOME = "\x1b[H";
const CLEAR_TO_END = "\x1b[J";
const CLEAR_LINE_END = "\x1b[K";
const OTHER_SCREEN = "\x1b[?1049h\x1b[?25l";
const OWN_SCREEN = "\x1b[?25h\x1b[?1049l";

async function watch(source: Source, streams: CommandStreams): Promise<void> {
  const over = new AbortController();
  const end = (): void => over.abort();
  const { input, output } = streams;
  const key = (bytes: Buffer | string): void => {
    const pressed = String(bytes);
    if (END_KEYS.some((one) => pressed.includes(one))) end();
  };
  const keyboard = input as { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  if (keyboard.isTTY === true) keyboard.setRawMode?.(true);
  input.on("data", key);
  output.write(OTHER_SCREEN);
  try {
    let before: TableSnapshot | undefined;
    while (!over.signal.aborted) {
      const snapshot = await source.snapshot(over.signal);
      const frame = fitted(
        formatFrame(source.name, snapshot, before),
        output.columns ?? 80,
        output.rows ?? 24,
      );
      const lines = frame.split("\n").map((line) => `${line}${CLEAR_LINE_END}`);
      output.write(`${HOME}${lines.join("\n")}${CLEAR_TO_END}`);
      before = snapshot;
      await pause(over.signal);
    }
  } catch (error) {
    if (!over.signal.aborted) throw error;
  } finally {
    output.write(OWN_SCREEN);
    input.off("data", key);
    input.pause();
    if (keyboard.isTTY === true) keyboard.setRawMode?.(false);
    process.off("SIGINT", end);
    process.off("SIGTERM", end);
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, PERIOD_MS);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
