/**
 * Buffers in the table's own memory: the core itself copies between them and a partition's memory, in one crossing and by the
 * machine's own memcpy, where the engine is slow with shared memory.
 */
import { Staging } from "./batch.js";
import { checkInteger } from "./errors.js";
import type { Holder } from "./holder.js";
import { H_SUCCESS } from "./layout.js";
import { refuseRange } from "./refusals.js";

const NO_BYTES = new Uint8Array(0);

/**
 * Bytes in the table's memory, outside of every partition's: what read() copies here is a private copy, as Partition.read()
 * makes, and what write() copies from here is checked as Partition.write() does.
 */
export class TableBuffer implements Disposable {
  readonly #holder: Holder;
  readonly #staging: Staging;
  readonly #length: number;
  #bytes: Uint8Array;

  /** @internal Made by Partition.createBuffer(). */
  constructor(holder: Holder, length: number) {
    const { kernel } = holder;
    this.#holder = holder;
    this.#length = length;
    this.#staging = new Staging(kernel, length);
    this.#bytes = new Uint8Array(kernel.memory.bytes.buffer, this.#staging.offset, length).fill(0);
  }

  /** What it holds; zeros at first. Empty once it is disposed, and what was taken before must not be used then. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /**
   * Copies `length` bytes of the partition's memory into `bytes`, from `bytes[at]` on.
   * @throws HcallError as Partition.read(); RangeError for what is not within `bytes`; LparError LPAR_RELEASED.
   */
  read(address: number, length: number = this.#length, at: number = 0): void {
    const place = this.#placeOf(length, at);
    const { lpid, kernel } = this.#holder;
    const status = kernel.core.loadMemory(lpid, address, length, place);
    if (status !== H_SUCCESS) refuseRange("H_READ", status, address, length);
  }

  /**
   * Copies `length` bytes of `bytes`, from `bytes[at]` on, into the partition's memory.
   * @throws HcallError as Partition.write(); RangeError for what is not within `bytes`; LparError LPAR_RELEASED.
   */
  write(address: number, length: number = this.#length, at: number = 0): void {
    const place = this.#placeOf(length, at);
    const { lpid, kernel } = this.#holder;
    const status = kernel.core.storeMemory(lpid, address, length, place);
    if (status !== H_SUCCESS) refuseRange("H_WRITE", status, address, length);
  }

  #placeOf(length: number, at: number): number {
    this.#staging.check();
    checkInteger("at", at, 0, this.#length);
    checkInteger("length", length, 0, this.#length - at);
    return this.#staging.offset + at;
  }

  /** Gives its memory back, which may be another buffer's from now on. */
  [Symbol.dispose](): void {
    this.#bytes = NO_BYTES;
    this.#staging.free();
  }
}
