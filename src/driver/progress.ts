/** One line on the terminal that says how far something is. In a pipe or a file it says nothing. */

import { formatCount } from "./output.js";

export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** Milliseconds since any moment. */
  readonly now?: () => number;
  /** How amounts are written. */
  readonly format?: (amount: number) => string;
}

export interface Progress {
  /** Says how much is done, of how much if that is known, and at what it is. */
  update(done: number, total?: number, what?: string): void;
  /** Clears the line. Nothing is written afterwards. */
  end(): void;
}

const REDRAW_MS = 100;
const BAR_COLUMNS = 30;
const DEFAULT_COLUMNS = 80;
const CLEAR_LINE = "\r\x1b[K";

/** A terminal without colours and movements, such as an editor's: it would show what asks for them. */
export function isDumb(): boolean {
  return process.env.TERM === "dumb";
}

export function createProgress(
  label: string,
  stream: ProgressStream = process.stderr,
  { now = () => performance.now(), format = formatCount }: ProgressOptions = {},
): Progress {
  if (stream.isTTY !== true || isDumb()) return { update: () => {}, end: () => {} };
  // What is over before the first redraw is due never shows.
  let drawnAt = now();
  let shown = false;
  let ended = false;
  return {
    update(done: number, total?: number, what = ""): void {
      const time = now();
      if (ended || time - drawnAt < REDRAW_MS) return;
      drawnAt = time;
      shown = true;
      const line = `${label} ${amountOf(done, total, format)} ${what}`.trimEnd();
      // A line as wide as the terminal would wrap, and could not be cleared. Some terminals say 0 columns.
      stream.write(CLEAR_LINE + line.slice(0, (stream.columns || DEFAULT_COLUMNS) - 1));
    },
    end(): void {
      if (shown && !ended) stream.write(CLEAR_LINE);
      ended = true;
    },
  };
}

function amountOf(done: number, total: number | undefined, format: (amount: number) => string): string {
  if (total === undefined || total <= 0) return format(done);
  const share = Math.min(Math.max(done / total, 0), 1);
  const bar = "#".repeat(Math.floor(share * BAR_COLUMNS)).padEnd(BAR_COLUMNS, ".");
  return `[${bar}] ${Math.floor(share * 100)} % of ${format(total)}`;
}
