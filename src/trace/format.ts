/**
 * The packed form of a memory trace (`.lpt`): the data references of one run of a real program.
 *
 *     0         8         12        16        20            20+M                    20+M+P
 *     | magic   | version | M       | CRC-32  | metadata    | payload               |
 *     | 8 bytes | u32     | u32     | u32     | M bytes     | P bytes               |
 *
 * All integers are little endian. The metadata is JSON and covered by the CRC-32; it names the length and the
 * SHA-256 of the payload, so that a file which was cut off or changed anywhere is found out before it is used.
 * The payload is what columns.ts describes.
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { crc32, gunzipSync } from "node:zlib";
import { NEED_READ, NEED_WRITE, PAGE_BYTES } from "../layout.js";
import { ColumnEncoder, type Columns, decodeColumns, REFERENCE_COLUMN_BYTES } from "./columns.js";

/** Addresses lie below this number (2^48), and so does the last byte of every reference. */
export const ADDRESS_LIMIT: number = 2 ** 48;
/** The largest size in bytes of one reference. */
export const REFERENCE_MAX_BYTES: number = PAGE_BYTES;
/** The largest number of references in one trace. */
export const REFERENCES_MAX: number = 2 ** 28;

const MAGIC = Buffer.from("\x89LPT\r\n\x1a\n", "latin1");
const VERSION = 1;
const HEADER_BYTES = 20;
const METADATA_MAX_BYTES = 65536;
// So many entries fit a Map.
const PAGES_MAX = 2 ** 24 - 1;

export type TraceErrorCode =
  | "TRACE_UNREADABLE"
  | "TRACE_EMPTY"
  | "TRACE_FOREIGN"
  | "TRACE_VERSION"
  | "TRACE_TRUNCATED"
  | "TRACE_CORRUPT"
  | "TRACE_TOO_LONG";

/** What is wrong with a trace; the message starts with the name of the file. */
export class TraceError extends Error {
  override readonly name = "TraceError";
  readonly code: TraceErrorCode;

  constructor(code: TraceErrorCode, file: string, problem: string) {
    super(`${file}: ${problem}`);
    this.code = code;
  }
}

/** Where a trace comes from, in the words of whoever recorded it. */
export interface TraceOrigin {
  readonly program: string;
  readonly version: string;
  readonly command: string;
}

export interface TraceMetadata extends TraceOrigin {
  readonly references: number;
  readonly pages: number;
  /** Length of the payload in the file. */
  readonly payloadBytes: number;
  /** Length of the columns that the payload inflates to. */
  readonly columnBytes: number;
  /** SHA-256 of the payload, in hexadecimal. */
  readonly sha256: string;
}

/** A trace, its references as flat arrays; one that was wider was split at the page border. */
export interface Trace extends Columns {
  readonly metadata: TraceMetadata;
  /** Number of references. */
  readonly length: number;
}

/** Packs references, one at a time, in memory that grows with the packed size only. */
export class TraceEncoder {
  readonly #file: string;
  readonly #referencesMax: number;
  readonly #columns = new ColumnEncoder();

  /** `file` stands for the trace in messages. */
  constructor(file: string, referencesMax: number = REFERENCES_MAX) {
    this.#file = file;
    this.#referencesMax = referencesMax;
  }

  /** References packed so far; a reference that crosses a page border counts twice. */
  get references(): number {
    return this.#columns.references;
  }

  /** Distinct pages so far. */
  get pages(): number {
    return this.#columns.pages;
  }

  /**
   * Adds a reference: kind 1 (read), 2 (write) or 3 (both), an address below 2^48, a size of 1 to 4096 bytes.
   * One that crosses a page border becomes two references of the same kind.
   *
   * @throws RangeError for any other number, TraceError TRACE_TOO_LONG when the trace is full.
   */
  push(kind: number, address: number, size: number): void {
    if (!Number.isInteger(kind) || kind < 1 || kind > (NEED_READ | NEED_WRITE))
      throw new RangeError(`no such kind: ${kind}`);
    if (!Number.isInteger(size) || size < 1 || size > REFERENCE_MAX_BYTES)
      throw new RangeError(`size out of range: ${size}`);
    if (!Number.isSafeInteger(address) || address < 0 || address + size > ADDRESS_LIMIT)
      throw new RangeError(`address out of range: ${address}`);
    const page = Math.floor(address / PAGE_BYTES);
    const offset = address % PAGE_BYTES;
    const here = Math.min(size, PAGE_BYTES - offset);
    this.#add(kind, page, offset, here);
    if (here < size) this.#add(kind, page + 1, 0, size - here);
  }

  /**
   * Ends the trace and gives the whole file. The encoder must not be used afterwards.
   *
   * @throws TraceError TRACE_EMPTY when nothing was added, RangeError when the origin takes more than 64 KiB.
   */
  finish(origin: TraceOrigin): Uint8Array {
    if (this.references === 0)
      throw new TraceError("TRACE_EMPTY", this.#file, "there are no data references");
    const { payload, columnBytes } = this.#columns.finish();
    const metadata: TraceMetadata = {
      program: origin.program,
      version: origin.version,
      command: origin.command,
      references: this.references,
      pages: this.pages,
      payloadBytes: payload.length,
      columnBytes,
      sha256: createHash("sha256").update(payload).digest("hex"),
    };
    const json = Buffer.from(JSON.stringify(metadata));
    if (json.length > METADATA_MAX_BYTES) throw new RangeError("the origin of the trace is too long");
    const header = Buffer.alloc(HEADER_BYTES);
    MAGIC.copy(header);
    header.writeUInt32LE(VERSION, 8);
    header.writeUInt32LE(json.length, 12);
    header.writeUInt32LE(crc32(json), 16);
    return Buffer.concat([header, json, payload]);
  }

  #add(kind: number, page: number, offset: number, size: number): void {
    if (this.references === this.#referencesMax || this.pages === PAGES_MAX)
      throw new TraceError(
        "TRACE_TOO_LONG",
        this.#file,
        `too long: more than ${this.#referencesMax} references or ${PAGES_MAX} pages`,
      );
    this.#columns.push(kind, page, offset, size);
  }
}

/**
 * Reads a packed trace.
 *
 * @throws TraceError naming the file, for everything that keeps it from being read.
 */
export async function readTrace(path: string): Promise<Trace> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(",", 1) : String(error);
    throw new TraceError("TRACE_UNREADABLE", path, `cannot be read (${reason})`);
  }
  return decodeTrace(bytes, path);
}

/**
 * Unpacks a trace; `name` stands for the file in messages.
 *
 * @throws TraceError for bytes that are not a whole, unchanged trace of this version.
 */
export function decodeTrace(bytes: Uint8Array, name: string): Trace {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const metadata = decodeHeader(file, name);
  const payload = file.subarray(file.length - metadata.payloadBytes);
  if (createHash("sha256").update(payload).digest("hex") !== metadata.sha256)
    throw corrupt(name, "the payload does not have the SHA-256 that the metadata names");
  let columns: Buffer;
  try {
    columns = gunzipSync(payload, { maxOutputLength: metadata.columnBytes });
  } catch {
    throw corrupt(name, "the payload cannot be inflated to the length that the metadata names");
  }
  // A reference takes an operation and a number at least; this bounds what is allocated next.
  if (columns.length !== metadata.columnBytes || metadata.references > columns.length / 2)
    throw corrupt(name, "the metadata and the payload do not agree on the number of references");
  const decoded = decodeColumns(columns, metadata.references, metadata.pages);
  if (decoded === undefined || !decoded.pages.every(isPage))
    throw corrupt(name, "the payload holds a reference that cannot be");
  return { metadata, length: metadata.references, ...decoded };
}

function truncated(name: string, file: Buffer, where: string): TraceError {
  return new TraceError("TRACE_TRUNCATED", name, `truncated: it ends after ${file.length} bytes, ${where}`);
}

function corrupt(name: string, problem: string): TraceError {
  return new TraceError("TRACE_CORRUPT", name, `corrupt: ${problem}`);
}

function decodeHeader(file: Buffer, name: string): TraceMetadata {
  if (file.length === 0) throw new TraceError("TRACE_EMPTY", name, "the file is empty");
  const magicBytes = Math.min(file.length, MAGIC.length);
  if (!file.subarray(0, magicBytes).equals(MAGIC.subarray(0, magicBytes)))
    throw new TraceError("TRACE_FOREIGN", name, "not a packed trace (make one with `lpar trace pack`)");
  if (file.length < HEADER_BYTES) throw truncated(name, file, "inside its header");
  const version = file.readUInt32LE(8);
  if (version !== VERSION)
    throw new TraceError("TRACE_VERSION", name, `format version ${version}, only ${VERSION} can be read`);
  const payloadStart = HEADER_BYTES + file.readUInt32LE(12);
  if (payloadStart > HEADER_BYTES + METADATA_MAX_BYTES)
    throw corrupt(name, "the metadata is too long to be true");
  if (file.length < payloadStart) throw truncated(name, file, "inside its metadata");
  const json = file.subarray(HEADER_BYTES, payloadStart);
  if (crc32(json) !== file.readUInt32LE(16)) throw corrupt(name, "the metadata does not have its CRC-32");
  const metadata = parseMetadata(json.toString("utf8"));
  if (metadata === undefined) throw corrupt(name, "the metadata lacks a field or has a wrong one");
  const missing = payloadStart + metadata.payloadBytes - file.length;
  if (missing > 0) throw truncated(name, file, `${missing} bytes too early`);
  if (missing < 0) throw corrupt(name, `${-missing} bytes too many at the end`);
  return metadata;
}

function parseMetadata(json: string): TraceMetadata | undefined {
  let value: Partial<Record<keyof TraceMetadata, unknown>> | null;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { program, version, command, sha256, references, pages, payloadBytes, columnBytes } = value;
  if (typeof program !== "string" || typeof version !== "string" || typeof command !== "string")
    return undefined;
  if (typeof sha256 !== "string") return undefined;
  if (!isCount(references) || !isCount(pages) || !isCount(payloadBytes) || !isCount(columnBytes))
    return undefined;
  if (references > REFERENCES_MAX || pages > references) return undefined;
  // Few bytes of a payload can inflate to gigabytes, which a few references never need.
  if (columnBytes > references * REFERENCE_COLUMN_BYTES) return undefined;
  return { program, version, command, references, pages, payloadBytes, columnBytes, sha256 };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function isPage(page: number): boolean {
  return page >= 0 && page < ADDRESS_LIMIT / PAGE_BYTES;
}
