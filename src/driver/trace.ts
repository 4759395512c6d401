/** `lpar trace`: packs what valgrind recorded of a real program, and says what is in a packed trace. */

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { Command } from "commander";
import { readTrace, type Trace, TraceEncoder, TraceError } from "../trace/format.js";
import { type LackeyCounts, LackeyParser } from "../trace/lackey.js";
import { type TraceStatistics, traceStatistics } from "../trace/statistics.js";
import { addHelp } from "./help.js";
import {
  formatBars,
  formatBytes,
  formatCount,
  formatPercent,
  formatTable,
  printable,
  reasonOf,
  writeBeside,
} from "./output.js";
import { createProgress, type ProgressStream } from "./progress.js";
import type { CommandStreams } from "./streams.js";
import { textOption, UsageError } from "./usage-error.js";

interface PackOptions {
  readonly output: string;
  readonly program: string;
  readonly programVersion: string;
  readonly command: string;
  readonly json?: boolean;
  readonly force?: boolean;
}

interface PackReport extends LackeyCounts {
  readonly file: string;
  /** More than the references that were read, by those that cross a page border. */
  readonly packedReferences: number;
  readonly pages: number;
  readonly packedBytes: number;
  /** Text bytes for each packed byte. */
  readonly ratio: number;
  /** Of the packed file. */
  readonly sha256: string;
}

interface Source {
  readonly name: string;
  readonly stream: Readable;
  /** Its length; 0 if that is not known. */
  readonly bytes: number;
}

interface InfoOptions {
  readonly json?: boolean;
}

const STDIN = "-";
const READ_BYTES = 1 << 18;
const ORIGIN_LENGTH_MAX = 2048;

const EXAMPLES = `
Examples:
  $ valgrind --tool=lackey --trace-mem=yes ls 2>&1 >/dev/null | lpar trace pack - -o ls.lpt --program ls
  $ valgrind --tool=lackey --trace-mem=yes --log-file=sort.txt sort words && lpar trace pack sort.txt -o sort.lpt
  $ lpar trace info ls.lpt sort.lpt`;

/** The `trace` command. Its actions throw UsageError and TraceError for what the user can put right. */
export function traceCommand(streams: CommandStreams): Command {
  const command = new Command("trace")
    .description("pack memory traces of real programs, and look into them")
    .addHelpText("after", EXAMPLES);
  command
    .command("pack")
    .description("pack the data references that valgrind's lackey printed; instruction fetches are dropped")
    .argument("<input>", "what valgrind printed; - is the standard input")
    .requiredOption("-o, --output <file>", "the packed trace, .lpt by custom")
    .option("--program <name>", "the program that ran", textOption("--program", ORIGIN_LENGTH_MAX), "")
    .option(
      "--program-version <version>",
      "its version",
      textOption("--program-version", ORIGIN_LENGTH_MAX),
      "",
    )
    .option("--command <line>", "how it was run", textOption("--command", ORIGIN_LENGTH_MAX), "")
    .option("-f, --force", "replace the output file if it exists")
    .option("--json", "print one JSON object")
    .addHelpText("after", EXAMPLES)
    .action(async (input: string, options: PackOptions) => {
      const report = await pack(input, options, streams);
      streams.output.write(`${options.json ? JSON.stringify(report) : describePack(report)}\n`);
    });
  command
    .command("info")
    .description("say where packed traces come from, and how they use their pages")
    .argument("<file...>", "packed traces")
    .option("--json", "print one JSON array")
    .addHelpText("after", EXAMPLES)
    .action(async (files: readonly string[], options: InfoOptions) => {
      const reports: unknown[] = [];
      for (const file of files) {
        const trace = await readTrace(file);
        const statistics = traceStatistics(trace);
        if (options.json) reports.push({ file, metadata: trace.metadata, statistics });
        else streams.output.write(`${describeTrace(file, trace, statistics)}\n`);
      }
      if (options.json) streams.output.write(`${JSON.stringify(reports)}\n`);
    });
  return addHelp(command, "display help for command");
}

async function pack(input: string, options: PackOptions, streams: CommandStreams): Promise<PackReport> {
  const source = await openInput(input, streams);
  try {
    return await writeBeside(
      options.output,
      async (file) => {
        const { bytes, ...report } = await packSource(source, options, streams.errors);
        await file.writeFile(bytes);
        return report;
      },
      { overwrite: options.force === true },
    );
  } finally {
    source.stream.destroy();
  }
}

async function openInput(input: string, streams: CommandStreams): Promise<Source> {
  if (input === STDIN) return { name: "standard input", stream: streams.input, bytes: 0 };
  const file = await open(input).catch((error: Error) => {
    throw new UsageError(`${input}: cannot be read (${reasonOf(error)})`);
  });
  const status = await file.stat();
  if (status.isDirectory()) {
    await file.close();
    throw new UsageError(`${input}: cannot be read (it is a folder)`);
  }
  return { name: input, stream: file.createReadStream({ highWaterMark: READ_BYTES }), bytes: status.size };
}

async function packSource(
  source: Source,
  options: PackOptions,
  errors: ProgressStream,
): Promise<PackReport & { readonly bytes: Uint8Array }> {
  const encoder = new TraceEncoder(source.name);
  const parser = new LackeyParser((kind, address, size) => encoder.push(kind, address, size));
  const progress = createProgress(`reading ${printable(source.name)}`, errors, { format: formatBytes });
  try {
    let doneBytes = 0;
    for await (const chunk of source.stream as AsyncIterable<Uint8Array>) {
      parser.push(chunk);
      doneBytes += chunk.length;
      progress.update(doneBytes, source.bytes);
    }
  } finally {
    progress.end();
  }
  const counts = parser.end();
  if (encoder.references === 0)
    throw new TraceError(
      "TRACE_EMPTY",
      source.name,
      `no data references; malformed lines: ${describeMalformed(counts)}`,
    );
  const bytes = encoder.finish({
    program: options.program,
    version: options.programVersion,
    command: options.command,
  });
  return {
    file: options.output,
    ...counts,
    packedReferences: encoder.references,
    pages: encoder.pages,
    packedBytes: bytes.length,
    ratio: counts.textBytes / bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    bytes,
  };
}

function describeMalformed({ malformed, firstMalformed }: LackeyCounts): string {
  if (firstMalformed === null) return "0";
  return `${formatCount(malformed)}, the first is line ${firstMalformed.line}: "${firstMalformed.text}"`;
}

function describePack(report: PackReport): string {
  const split = report.packedReferences - report.references;
  const rows = [
    ["trace", printable(report.file)],
    ["references", `${formatCount(report.references)} kept, on ${formatCount(report.pages)} pages`],
    ["split", `${formatCount(split)} at a page border`],
    ["fetches", `${formatCount(report.fetches)} dropped`],
    ["malformed", describeMalformed(report)],
    [
      "size",
      `${formatBytes(report.textBytes)} packed to ${formatBytes(report.packedBytes)}, ${report.ratio.toFixed(1)} : 1`,
    ],
    ["sha-256", report.sha256],
  ];
  return formatTable(rows, "ll");
}

function describeTrace(file: string, { metadata }: Trace, statistics: TraceStatistics): string {
  const { references } = statistics;
  const mix = (count: number): string => `${formatCount(count)} (${formatPercent(count / references)})`;
  const rows = [
    ["trace", printable(file)],
    ["program", printable(`${metadata.program} ${metadata.version}`).trim()],
    ["command", printable(metadata.command)],
    ["references", `${formatCount(references)} on ${formatCount(statistics.pages)} pages`],
    ["reads", mix(statistics.reads)],
    ["writes", mix(statistics.writes)],
    ["both at once", mix(statistics.modifies)],
    ...statistics.hottest.map(({ percent, pages, share }) => [
      `hottest ${percent} %`,
      `${formatCount(pages)} ${pages === 1 ? "page takes" : "pages take"} ${formatPercent(share)} of the references`,
    ]),
  ];
  const bars = statistics.popularity.map(({ from, to, pages, references }) => ({
    label: from === to ? formatCount(from) : `${formatCount(from)}-${formatCount(to)}`,
    value: pages,
    notes: [formatCount(pages), formatPercent(references / statistics.references)],
  }));
  return `${formatTable(rows, "ll")}\n\nreferences to one page | number of such pages | share of all references\n${formatBars(bars)}\n`;
}
