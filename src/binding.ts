/**
 * The only file that knows WebAssembly: compiles the core, lays a memory out, and opens one thread's access to it.
 */
import { instantiateSync } from "@assemblyscript/loader";
import type { instantiate } from "./generated/abi.js";
import { CORE_BASE64 } from "./generated/core.js";
import { H_SUCCESS, HEADER_RESULT } from "./layout.js";
import { type Capacities, layOut } from "./regions.js";

/** The core's functions as asc types them, so that a change of the ABI is a compile error. */
export type Core = Omit<Awaited<ReturnType<typeof instantiate>>, "memory">;

const WASM_PAGE_BYTES = 65536;
/** A 32-bit memory ends here; the last page stays out, so that no offset ever reaches 2^32. */
const MEMORY_LIMIT = 65535 * WASM_PAGE_BYTES;

let compiled: WebAssembly.Module | undefined;

/** The core, compiled on first use. */
export function coreModule(): WebAssembly.Module {
  if (compiled === undefined) {
    const text = atob(CORE_BASE64);
    compiled = new WebAssembly.Module(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  }
  return compiled;
}

/** One thread's access to a table: the core's functions and views of the same memory. */
export class TableMemory {
  readonly core: Core;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly floats: Float64Array;

  constructor(memory: WebAssembly.Memory, module: WebAssembly.Module) {
    // The loader's own wrappers allocate an array per call; the functions themselves do not.
    const { instance } = instantiateSync(module, { env: { memory } });
    this.core = instance.exports as unknown as Core;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.floats = new Float64Array(memory.buffer);
  }

  /** The second result of the last call (register R4). */
  get result(): number {
    return this.floats[HEADER_RESULT / 8] as number;
  }

  /** A header word. */
  header(offset: number): number {
    return this.words[offset / 4] as number;
  }
}

/**
 * A new memory laid out for these capacities, with an empty table in it.
 * @throws RangeError if it does not fit 4 GiB, or the machine has not that much.
 */
export function createMemory(capacities: Capacities, module: WebAssembly.Module): TableMemory {
  const { words, bytes } = layOut(capacities);
  if (bytes > MEMORY_LIMIT) {
    throw new RangeError(`the table would take ${bytes} bytes, at most ${MEMORY_LIMIT} are addressable`);
  }
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  const table = new TableMemory(
    new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
    module,
  );
  for (const [offset, value] of words) table.words[offset / 4] = value;
  if (table.core.openTable() !== H_SUCCESS) {
    throw new Error("the core does not recognise the layout: module and package are of different versions");
  }
  return table;
}
