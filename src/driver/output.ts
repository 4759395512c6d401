/** What the commands share when they write files and print figures. */

import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { greatest } from "../inspect/words.js";
import { columnsOf, padLeft, padRight } from "./columns.js";
import { UsageError } from "./usage-error.js";

export { printable } from "../inspect/words.js";

/** A file that could be opened could not be written: no place is left, for example. */
export class FileError extends Error {
  override readonly name = "FileError";
}

export interface WriteOptions {
  /** Whether a file of that name may be replaced; true if left out. */
  readonly overwrite?: boolean;
}

/**
 * Writes a file so that it is there either whole or not at all: `write` fills a file with another name in the same
 * folder, which takes its real name when `write` is done, and is removed when it fails or a signal ends the process.
 *
 * @throws UsageError when the folder cannot be written, when the path is something else than a file, or when the
 * file is there and must not be replaced; FileError when its contents cannot be; and whatever else `write` throws.
 */
export async function writeBeside<T>(
  path: string,
  write: (file: FileHandle) => Promise<T>,
  { overwrite = true }: WriteOptions = {},
): Promise<T> {
  const existing = await stat(path).catch(() => undefined);
  if (existing !== undefined && !existing.isFile()) throw new UsageError(`${path}: not a file`);
  if (existing !== undefined && !overwrite)
    throw new UsageError(`${path}: the file exists (--force replaces it)`);
  const beside = join(dirname(path), `.${basename(path)}.${randomUUID().slice(0, 8)}.partial`);
  const file = await open(beside, "wx").catch((error: Error) => {
    throw new UsageError(`${path}: cannot be written (${reasonOf(error)})`);
  });
  const stopWatching = removeOnSignal(beside);
  try {
    const result = await write(file);
    await file.sync();
    await file.close();
    await rename(beside, path);
    return result;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(beside, { force: true });
    const { syscall } = error as NodeJS.ErrnoException;
    // What is packed is read in there, too.
    if (syscall === undefined || syscall === "read") throw error;
    throw new FileError(`${path}: cannot be written (${reasonOf(error as Error)})`);
  } finally {
    stopWatching();
  }
}

function removeOnSignal(path: string): () => void {
  const removeAtExit = (): void => rmSync(path, { force: true });
  process.on("exit", removeAtExit);
  const signals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  const remove = (signal: NodeJS.Signals): void => {
    rmSync(path, { force: true });
    // The signal ends the process as if nobody had listened, unless somebody else listens.
    process.off(signal, remove);
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, remove);
  return () => {
    process.off("exit", removeAtExit);
    for (const signal of signals) process.off(signal, remove);
  };
}

/** What a file system error says, without the path that it ends with. */
export function reasonOf(error: Error): string {
  return error.message.replace(/, \w+( '.*)?$/s, "");
}

/** 1234567 becomes 1,234,567. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** 0 to 1 becomes 0.0 % to 100.0 %. */
export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Three digits and a binary unit. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
}

/** Three digits and a unit from nanoseconds to seconds; from two minutes on, minutes and seconds. */
export function formatSeconds(seconds: number): string {
  if (seconds < 120) return scaled(seconds * 1e9, 1000, ["ns", "us", "ms", "s"]);
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let rest = value;
  let unit = 0;
  for (; unit < units.length - 1 && Math.round(rest) >= step; unit++) rest /= step;
  const digits = rest >= 100 ? Math.round(rest) : Number(rest.toPrecision(3));
  return `${digits} ${units[unit]}`;
}

/** Rows of cells as aligned lines; `alignment` has an l (left) or an r (right) for each column. */
export function formatTable(rows: readonly (readonly string[])[], alignment: string): string {
  const widths = [...alignment].map((_, column) =>
    greatest(
      0,
      rows.map((row) => columnsOf(row[column] ?? "")),
    ),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return alignment[column] === "r" ? padLeft(cell, width) : padRight(cell, width);
      })
      .join("  ")
      .trimEnd();
  return rows.map(line).join("\n");
}

export interface Bar {
  readonly label: string;
  /** Not negative. */
  readonly value: number;
  /** What stands behind the bar, in columns of their own. */
  readonly notes: readonly string[];
}

/** Horizontal bars, the longest `columns` wide; what is not zero shows. */
export function formatBars(bars: readonly Bar[], columns: number = 40): string {
  const longest = Math.max(...bars.map((bar) => bar.value));
  const rows = bars.map(({ label, value, notes }) => {
    const length = value > 0 ? Math.max(1, Math.round((value / longest) * columns)) : 0;
    return [label, "#".repeat(length), ...notes];
  });
  return formatTable(rows, `rl${"r".repeat(bars[0]?.notes.length ?? 0)}`);
}
