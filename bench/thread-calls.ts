/** Raw hypercalls from a worker thread: `lpar/hcall` gives them to the owner of a table only. */
import { type Core, TableMemory } from "../src/binding.js";
import { HANDLE_KEY, type ThreadHandle } from "../src/threads.js";
import type { RawCalls } from "./map-table.js";

export class ThreadCalls implements RawCalls {
  readonly #memory: TableMemory;
  readonly #core: Core;

  /** In a worker that spawn() has started. */
  constructor() {
    const { [Symbol.for(HANDLE_KEY)]: handle } = globalThis as unknown as Record<symbol, ThreadHandle>;
    if (handle === undefined) throw new Error("this thread is no partition");
    this.#memory = new TableMemory(handle.memory, handle.module, handle.slot);
    this.#core = this.#memory.core;
  }

  get r4(): number {
    return this.#memory.result;
  }

  grantLogical(lpid: number, flags: number, hi: number, lo: number, length: number, unit: number): number {
    return this.#core.grantLogical(lpid, flags, hi, lo, length, unit);
  }

  acceptLogical(lpid: number, cookie: number): number {
    return this.#core.acceptLogical(lpid, cookie);
  }

  returnLogical(lpid: number, cookie: number): number {
    return this.#core.returnLogical(lpid, cookie);
  }

  rescindLogical(lpid: number, flags: number, cookie: number): number {
    return this.#core.rescindLogical(lpid, flags, cookie);
  }

  translate(lpid: number, type: number, address: number, length: number, need: number): number {
    return this.#core.translate(lpid, type, address, length, need);
  }
}
