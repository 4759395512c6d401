/**
 * Buffers in the table's own memory: the core itself copies between them and a partition's memory, in one crossing and by the
 * machine's own memcpy, where the engine is slow with shared memory.
 */
import { Staging } from "./batch.js";
import { moveBeside } from "./beside.js";
import { checkInteger } from "./errors.js";
import type { Holder } from "./holder.js";
import { NEED_READ, NEED_WRITE } from "./layout.js";

const NO_BYTES = new Uint8Array(0);

/**
 * Bytes in the table's memory, outside of every partition's: what read() copies here is a private copy, as Partition.read()
 * makes, and what write() copies from here is checked as Partition.write() does.
 */
export class TableBuffer implements Disposable {
  readonly #holder: Holder;
  readonly #staging: Staging;
  /** -1 once it is disposed: nothing is within it then. */
  #length: number;
  /** Of its first byte, as a small integer. */
  readonly #offset: number;
  #bytes: Uint8Array;

  /** @internal Made by Partition.createBuffer(). */
  constructor(holder: Holder, length: number) {
    const { kernel } = holder;
    this.#holder = holder;
    this.#length = length;
    this.#staging = new Staging(kernel, length);
    this.#offset = this.#staging.offset >>> 0;
    this.#bytes = new Uint8Array(kernel.memory.bytes.buffer, this.#offset, length).fill(0);
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
    moveBeside(this.#holder, address, length, this.#placeOf(length, at), NEED_READ);
  }

  /**
   * Copies `length` bytes of `bytes`, from `bytes[at]` on, into the partition's memory.
   * @throws HcallError as Partition.write(); RangeError for what is not within `bytes`; LparError LPAR_RELEASED.
   */
  write(address: number, length: number = this.#length, at: number = 0): void {
    moveBeside(this.#holder, address, length, this.#placeOf(length, at), NEED_WRITE);
  }

  /** What is wrong is found out elsewhere: the texts of errors are longer than the rest. */
  #placeOf(length: number, at: number): number {
    if (length >>> 0 !== length || at >>> 0 !== at || length > this.#length - at) this.#refuse(length, at);
    return this.#offset + at;
  }

  #refuse(length: number, at: number): void {
    this.#staging.check();
    checkInteger("at", at, 0, this.#length);
    checkInteger("length", length, 0, this.#length - at);
  }

  /** Gives its memory back, which may be another buffer's from now on. */
  [Symbol.dispose](): void {
    this.#bytes = NO_BYTES;
    this.#length = -1;
    this.#staging.free();
  }
}
