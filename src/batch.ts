/**
 * Batches: arrays in the table's own memory (staging), so that one crossing does the work of many.
 */
import { checkNames, LparError } from "./errors.js";
import type { Holder } from "./holder.js";
import type { Kernel } from "./kernel.js";
import { NEED_READ, NEED_WRITE, PAGE_BYTES } from "./layout.js";
import { codeOfType, type ResourceType } from "./records.js";

/** Pages of staging, given back on dispose. */
export class Staging {
  /** Byte offset in the table's memory. */
  readonly offset: number;
  readonly #kernel: Kernel;
  readonly #pages: number;
  #freed = false;

  /** @throws HcallError H_NO_MEM when the table's `staging` is used up. */
  constructor(kernel: Kernel, bytes: number) {
    this.#kernel = kernel;
    this.#pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES));
    kernel.settle(
      "H_BATCH",
      kernel.core.takeStaging(this.#pages),
      `${bytes} bytes; TableOptions.staging limits them`,
    );
    this.offset = kernel.memory.result;
  }

  /** @throws LparError LPAR_RELEASED after free(). */
  check(): void {
    if (this.#freed) throw new LparError("LPAR_RELEASED", "it was disposed");
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#kernel.finish(() => this.#kernel.core.freeStaging(this.offset, this.#pages));
  }
}

/** Options of TranslationBatch.run(). */
export interface BatchOptions {
  /** Translate for writing; default false, for reading. */
  readonly write?: boolean | undefined;
  /** Of which of the logical spaces; default "memory". */
  readonly type?: ResourceType | undefined;
  /** End at the first fault; what follows it is left as it was. */
  readonly stopAtFault?: boolean | undefined;
}

/** Many translations in one call (TR1): fill `addresses`, run, read `physical` and `status`. */
export class TranslationBatch implements Disposable {
  /** Logical addresses, filled by the caller. */
  readonly addresses: Float64Array;
  /** Physical addresses; NaN where the status is not H_SUCCESS. */
  readonly physical: Float64Array;
  /** H_SUCCESS, or why an address is not translated: H_PARAMETER, H_RESCINDED, H_PERMISSION, H_RESOURCE; H_NO_MEM. */
  readonly status: Int32Array;
  readonly #kernel: Kernel;
  readonly #holder: Holder;
  readonly #staging: Staging;

  /** @internal Made by Partition.createBatch(). */
  constructor(holder: Holder, capacity: number) {
    const { kernel } = holder;
    this.#kernel = kernel;
    this.#holder = holder;
    this.#staging = new Staging(kernel, capacity * 20 + 4);
    const { buffer } = kernel.memory.bytes;
    this.addresses = new Float64Array(buffer, this.#staging.offset, capacity);
    this.physical = new Float64Array(buffer, this.#staging.offset + capacity * 8, capacity);
    this.status = new Int32Array(buffer, this.#staging.offset + capacity * 16, capacity);
  }

  /**
   * Translates the first `count` addresses; element by element, or up to the first fault.
   * @returns how many succeeded.
   * @throws RangeError for a count beyond the capacity, or an unknown option; HcallError H_RESCINDED if the partition does not run.
   */
  run(count: number, options: BatchOptions = {}): number {
    this.#staging.check();
    checkNames(options, "stopAtFault, write, type");
    if (!(count >= 0 && count <= this.addresses.length && Number.isInteger(count))) {
      throw new RangeError(`count is ${count}; it must be an integer from 0 to ${this.addresses.length}`);
    }
    const status = this.#kernel.core.translateBatch(
      this.#holder.lpid,
      codeOfType(options.type ?? "memory"),
      options.write ? NEED_WRITE : NEED_READ,
      this.addresses.byteOffset,
      this.physical.byteOffset,
      this.status.byteOffset,
      count,
      options.stopAtFault ? 1 : 0,
    );
    this.#kernel.settle("H_TRANSLATE", status);
    return this.#kernel.memory.result;
  }

  /** Gives its memory back; its arrays must not be used after that. */
  [Symbol.dispose](): void {
    this.#staging.free();
  }
}
