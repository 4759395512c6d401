/**
 * Reads what `valgrind --tool=lackey --trace-mem=yes` prints, in chunks of any size and in constant memory:
 *
 *     I  04016b00,3        an instruction fetch, counted and dropped
 *      L 1ffefffe70,8      a load
 *      S 1ffefffe58,8      a store
 *      M 0421c2a8,4        a load and a store of the same bytes
 *     ==123== Command: ls  valgrind's own words, skipped, as are --123-- and **123**
 *
 * Every other line is malformed: it is counted, and the first one is remembered. The lines are not made into
 * strings, because a trace of a short run has millions of them.
 */

import { NEED_READ, NEED_WRITE } from "../layout.js";
import { ADDRESS_LIMIT, REFERENCE_MAX_BYTES } from "./format.js";

export interface MalformedLine {
  /** Counted from 1. */
  readonly line: number;
  /** The first 80 characters at most; what cannot be printed is a question mark. */
  readonly text: string;
}

export interface LackeyCounts {
  readonly textBytes: number;
  readonly lines: number;
  /** Lines with a load, a store or a modify. */
  readonly references: number;
  readonly fetches: number;
  readonly malformed: number;
  readonly firstMalformed: MalformedLine | null;
}

/** Takes a reference: NEED_READ (1), NEED_WRITE (2) or both (3), its address, and its size in bytes. */
export type ReferenceSink = (kind: number, address: number, size: number) => void;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const COMMA = 0x2c;
const FETCH = 0x49;
const FETCH_LINE = 4;
const ADDRESS_START = 3;
const NOT_A_DIGIT = 255;
const OUTSIDE_WORDS = /^(==|--|\*\*)\d{1,10}\1/;
const TEXT_MAX = 80;
// Valgrind writes no reference in more than 24 bytes; a line that fills this is malformed or its own words, and its
// start tells which.
const LINE_KEPT_BYTES = 128;

/** The value of each hexadecimal digit as valgrind writes them. */
const DIGITS: Uint8Array = new Uint8Array(256).fill(NOT_A_DIGIT);
for (let digit = 0; digit < 16; digit++) DIGITS[digit.toString(16).charCodeAt(0)] = digit;

/** What the second byte of a line means when the first is a space: L, S, M. */
const KINDS: Uint8Array = new Uint8Array(256);
KINDS[0x4c] = NEED_READ;
KINDS[0x53] = NEED_WRITE;
KINDS[0x4d] = NEED_READ | NEED_WRITE;

export class LackeyParser {
  readonly #sink: ReferenceSink;
  // The start of a line that ends in a later chunk.
  readonly #begun = new Uint8Array(LINE_KEPT_BYTES);
  #begunBytes = 0;
  #textBytes = 0;
  #lines = 0;
  #references = 0;
  #fetches = 0;
  #malformed = 0;
  #firstMalformed: MalformedLine | null = null;

  constructor(sink: ReferenceSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes; the references of all lines that end in them go to the sink. */
  push(chunk: Uint8Array): void {
    this.#textBytes += chunk.length;
    let start = 0;
    if (this.#begunBytes > 0) {
      const newline = chunk.indexOf(NEWLINE);
      this.#begin(chunk.subarray(0, newline < 0 ? chunk.length : newline));
      if (newline < 0) return;
      this.#endBegun();
      start = newline + 1;
    }
    for (let end = start; end < chunk.length; end++) {
      if (chunk[end] !== NEWLINE) continue;
      this.#take(chunk, start, end);
      start = end + 1;
    }
    this.#begin(chunk.subarray(start));
  }

  /** Takes the last line if it has no newline, and gives the counts. */
  end(): LackeyCounts {
    if (this.#begunBytes > 0) this.#endBegun();
    return {
      textBytes: this.#textBytes,
      lines: this.#lines,
      references: this.#references,
      fetches: this.#fetches,
      malformed: this.#malformed,
      firstMalformed: this.#firstMalformed,
    };
  }

  #begin(bytes: Uint8Array): void {
    const kept = bytes.subarray(0, LINE_KEPT_BYTES - this.#begunBytes);
    this.#begun.set(kept, this.#begunBytes);
    this.#begunBytes += kept.length;
  }

  #endBegun(): void {
    this.#take(this.#begun, 0, this.#begunBytes);
    this.#begunBytes = 0;
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    this.#lines++;
    if (this.#takeReference(bytes, start, end)) return;
    const text = Buffer.from(bytes.subarray(start, Math.min(end, start + TEXT_MAX))).toString("latin1");
    if (OUTSIDE_WORDS.test(text)) return;
    this.#malformed++;
    this.#firstMalformed ??= { line: this.#lines, text: text.replace(/[^ -~]/g, "?") };
  }

  /** False when the line is not a fetch or a reference. */
  #takeReference(bytes: Uint8Array, start: number, end: number): boolean {
    const kind = bytes[start] === FETCH ? FETCH_LINE : (KINDS[bytes[start + 1] as number] as number);
    if (kind === 0 || bytes[start + 2] !== SPACE) return false;
    if (end - start >= LINE_KEPT_BYTES) return false;
    if (bytes[kind === FETCH_LINE ? start + 1 : start] !== SPACE) return false;
    let address = 0;
    let at = start + ADDRESS_START;
    for (; at < end; at++) {
      const digit = DIGITS[bytes[at] as number] as number;
      if (digit === NOT_A_DIGIT) break;
      address = address * 16 + digit;
    }
    if (at === start + ADDRESS_START || at >= end - 1 || bytes[at] !== COMMA) return false;
    let size = 0;
    for (at++; at < end; at++) {
      const digit = DIGITS[bytes[at] as number] as number;
      if (digit > 9) return false;
      size = size * 10 + digit;
    }
    if (size < 1 || size > REFERENCE_MAX_BYTES || address + size > ADDRESS_LIMIT) return false;
    if (kind === FETCH_LINE) {
      this.#fetches++;
    } else {
      this.#references++;
      this.#sink(kind, address, size);
    }
    return true;
  }
}
