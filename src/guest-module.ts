/**
 * Modules of guests: what they may import, how much memory they may have, and their instances. Nothing of a module runs
 * before all of it was examined.
 */
import { checkInteger, checkNames, LparError, textOf } from "./errors.js";

/** What a guest may have. */
export interface GuestLimits {
  /** Pages of 65536 bytes that its memory may grow to, 1 to 65536; default 1024, which is 64 MiB. */
  readonly maxPages?: number | undefined;
}

export const DEFAULT_MAX_PAGES = 1024;

const HEADER_BYTES = 8;
const HEADER: readonly number[] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTION_MEMORY = 5;
const HAS_MAXIMUM = 1;
const IS_SHARED = 2;
/** Bytes that an unsigned 32-bit number may take. */
const NUMBER_BYTES = 5;

function invalid(why: string): LparError {
  return new LparError("LPAR_GUEST_INVALID", `the guest is no module that can be run: ${why}`);
}

/** Reads numbers of a module one after another. */
class Reader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw invalid("it ends in the middle");
    return byte;
  }

  /** An unsigned 32-bit number in LEB128, as engines read it: at most five bytes, nothing above bit 31. */
  number(): number {
    let value = 0;
    for (let i = 0; i < NUMBER_BYTES; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    throw invalid("a number in it is too large");
  }
}

function encode(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** A memory section with this maximum, for one that names none or a larger one. */
function limitMemory(reader: Reader, end: number, maxPages: number): number[] {
  const count = reader.number();
  if (count === 0) return encode(0);
  if (count > 1) throw invalid(`it has ${count} memories, a guest has one`);
  const flags = reader.byte();
  if ((flags & ~(HAS_MAXIMUM | IS_SHARED)) !== 0)
    throw invalid("its memory is 64-bit, or has pages of its own size");
  const initial = reader.number();
  const maximum = (flags & HAS_MAXIMUM) !== 0 ? reader.number() : maxPages;
  if (reader.at !== end) throw invalid("its memory section has another size than it says");
  if (initial > maxPages) {
    throw new LparError(
      "LPAR_GUEST_LIMIT",
      `the guest begins with ${initial} pages of memory, maxPages is ${maxPages}`,
    );
  }
  // Growing may always fail, so that a guest cannot tell a smaller maximum from a machine with less memory.
  return [1, flags | HAS_MAXIMUM, ...encode(initial), ...encode(Math.min(maximum, maxPages))];
}

/** The same module with a memory that cannot grow past the limit. */
function limit(bytes: Uint8Array, maxPages: number): Uint8Array<ArrayBuffer> {
  if (HEADER.some((byte, index) => bytes[index] !== byte)) throw invalid("it does not begin like one");
  const reader = new Reader(bytes, HEADER_BYTES);
  while (reader.at < bytes.length) {
    const start = reader.at;
    const id = reader.byte();
    const size = reader.number();
    const end = reader.at + size;
    if (end > bytes.length) throw invalid("it ends in the middle");
    if (id === SECTION_MEMORY) {
      const section = limitMemory(reader, end, maxPages);
      const head = bytes.subarray(0, start);
      const tail = bytes.subarray(end);
      // A second section of this kind is refused by the engine.
      return join([head, Uint8Array.of(SECTION_MEMORY, ...encode(section.length), ...section), tail]);
    }
    reader.at = end;
  }
  return join([bytes]);
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * Compiles a guest for openGuest(), runGuest() or a worker, with a limit on its memory: a module that names no maximum, or a
 * larger one, gets this one, so that its memory.grow answers -1 from there on. Memory that a module imports has the limit of
 * who made it.
 * @param bytes of the module; they are copied first.
 * @throws RangeError for a limit that is none; LparError LPAR_GUEST_INVALID, LPAR_GUEST_LIMIT if it begins with more;
 * TypeError if they are no bytes.
 */
export function compileGuest(bytes: Uint8Array | ArrayBuffer, limits: GuestLimits = {}): WebAssembly.Module {
  checkNames(limits, "maxPages");
  const maxPages = checkInteger("maxPages", limits.maxPages ?? DEFAULT_MAX_PAGES, 1, 65536);
  const array = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  // As checkArray(): the arrays of another realm are of another class.
  if (array?.BYTES_PER_ELEMENT !== 1)
    throw new TypeError("a guest is the bytes of a module, or a WebAssembly.Module");
  // Whoever else has the array must not change it between the examination and the compilation.
  const copy = join([array]);
  const limited = limit(copy, maxPages);
  try {
    return new WebAssembly.Module(limited);
  } catch (error) {
    throw invalid(textOf(error));
  }
}

export function isModule(value: unknown): value is WebAssembly.Module {
  return value instanceof WebAssembly.Module;
}

export function isMemory(value: unknown): value is WebAssembly.Memory {
  return value instanceof WebAssembly.Memory;
}

/**
 * Examines what a module imports.
 * @param allowed what it may: for each import module the names, each with its kind.
 * @throws LparError LPAR_GUEST_IMPORTS, naming everything else.
 */
export function checkImports(
  module: WebAssembly.Module,
  allowed: ReadonlyMap<string, ReadonlyMap<string, string>>,
): void {
  const refused = WebAssembly.Module.imports(module).filter(
    (one) => allowed.get(one.module)?.get(one.name) !== one.kind,
  );
  if (refused.length === 0) return;
  const names = refused.map((one) => `${one.module}.${one.name} (${one.kind})`).join(", ");
  const known = [...allowed].flatMap(([name, fields]) =>
    [...fields.keys()].map((field) => `${name}.${field}`),
  );
  throw new LparError(
    "LPAR_GUEST_IMPORTS",
    `the guest imports ${names}; a guest may import only ${known.join(", ")}`,
  );
}

/** Names of the functions that a module exports. */
export function exportedFunctions(module: WebAssembly.Module): string[] {
  return WebAssembly.Module.exports(module).flatMap(({ name, kind }) => (kind === "function" ? [name] : []));
}

/** What an instance has for its host. */
export interface GuestInstance {
  readonly memory: WebAssembly.Memory | undefined;
  /** @returns undefined if no function of that name is exported. */
  function(name: string): ((...args: readonly (number | bigint)[]) => unknown) | undefined;
}

/**
 * Makes the instance of a module whose imports were examined; its start function runs.
 * @throws LparError LPAR_GUEST_IMPORTS if the memory that it imports does not fit; what it throws.
 */
export function instantiate(module: WebAssembly.Module, imports: WebAssembly.Imports): GuestInstance {
  let instance: WebAssembly.Instance;
  try {
    instance = new WebAssembly.Instance(module, imports);
  } catch (error) {
    if (!(error instanceof WebAssembly.LinkError)) throw error;
    throw new LparError("LPAR_GUEST_IMPORTS", `the guest does not fit what it imports: ${error.message}`);
  }
  const memory = instance.exports.memory;
  return {
    memory: isMemory(memory) ? memory : undefined,
    function: (name) => {
      const found = instance.exports[name];
      return typeof found === "function"
        ? (found as (...args: readonly (number | bigint)[]) => unknown)
        : undefined;
    },
  };
}
