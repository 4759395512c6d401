/** Where a benchmark's report goes: to stdout as text or in a format for programs, and to files; and how it is read again. */

import { access, constants, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { type Report, readReport, toJson } from "../../bench/report.js";
import { toCsv } from "../../bench/report-csv.js";
import { toHtml } from "../../bench/report-html.js";
import { toMarkdown } from "../../bench/report-md.js";
import { describeReport } from "./bench-text.js";
import { reasonOf, writeBeside } from "./output.js";
import type { PlotOptions } from "./plots.js";
import { isDumb } from "./progress.js";
import type { CommandStreams } from "./streams.js";
import { UsageError } from "./usage-error.js";

/** Formats of files, called as their names end. */
export const FORMATS = ["json", "csv", "md", "html"] as const;
export type Format = (typeof FORMATS)[number];
export type PrintedFormat = Exclude<Format, "html"> | "text";

export interface Target {
  readonly path: string;
  readonly format: Format;
}

const DEFAULT_COLUMNS = 80;

export function formatOfFile(path: string): Format {
  const ending = extname(path).slice(1);
  const format = FORMATS.find((name) => name === ending);
  if (format === undefined)
    throw new InvalidArgumentError(
      `--out takes a file whose name ends in ${FORMATS.map((name) => `.${name}`).join(", ")}, but got "${path}".`,
    );
  return format;
}

/** @param source the report that is read, which no file must replace. @throws UsageError for files that cannot be written. */
export async function checkTargets(targets: readonly Target[], source: string | undefined): Promise<void> {
  for (const target of targets) await checkTarget(target);
  const places = source === undefined ? [] : [await placeOf(source)];
  for (const { path } of targets) {
    const place = await placeOf(path);
    if (places.includes(place))
      throw new UsageError(`${path}: named twice; each of --from, --out and --html takes a file of its own`);
    places.push(place);
  }
}

/** The same for all names of one file, whether it is there or not. */
async function placeOf(path: string): Promise<string> {
  return realpath(path).catch(async () =>
    join(await realpath(dirname(path)).catch(() => resolve(dirname(path))), basename(path)),
  );
}

/** @throws UsageError when the file could not be written. */
async function checkTarget({ path }: Target): Promise<void> {
  const existing = await stat(path).catch(() => undefined);
  if (existing !== undefined && !existing.isFile()) throw new UsageError(`${path}: not a file`);
  await access(dirname(path), constants.W_OK).catch((error: Error) => {
    throw new UsageError(`${path}: cannot be written (${reasonOf(error)})`);
  });
}

const WRITERS: Readonly<Record<Format, (report: Report) => string>> = {
  json: toJson,
  csv: toCsv,
  md: toMarkdown,
  html: toHtml,
};

/**
 * @param isCutShort of a run that was interrupted: it replaces no file, but is written beside it.
 * @returns the path of what was written.
 * @throws UsageError, FileError when the file cannot be written.
 */
export async function writeReport(
  { path, format }: Target,
  report: Report,
  isCutShort: boolean,
): Promise<string> {
  const isThere = isCutShort && (await stat(path).catch(() => undefined)) !== undefined;
  const ending = extname(path);
  const written = isThere ? `${path.slice(0, path.length - ending.length)}.interrupted${ending}` : path;
  await writeBeside(written, (file) => file.writeFile(WRITERS[format](report)));
  return written;
}

/** @throws UsageError when the file cannot be read; ReportError when it is no report. */
export async function loadReport(path: string): Promise<Report> {
  const text = await readFile(path, "utf8").catch((error: Error) => {
    throw new UsageError(`${path}: cannot be read (${reasonOf(error)})`);
  });
  return readReport(path, text);
}

/** On a terminal with plots, unless they are not wanted. */
export function print(
  format: PrintedFormat,
  report: Report,
  { output }: CommandStreams,
  isPlain: boolean,
): void {
  if (format !== "text") {
    output.write(WRITERS[format](report));
    return;
  }
  const plots: PlotOptions | undefined =
    isPlain || output.isTTY !== true
      ? undefined
      : { isColoured: hasColour(), columns: output.columns || DEFAULT_COLUMNS };
  output.write(`${describeReport(report, plots)}\n`);
}

/** As no-color.org has it: set and not empty means no colour. */
function hasColour(): boolean {
  return (process.env.NO_COLOR ?? "") === "" && !isDumb();
}
