/**
 * A partition as one that holds things: what an incarnation of it has taken is gone when that one has ended (G4).
 */
import type { Kernel } from "./kernel.js";
import { PARTITION_BYTES, PARTITION_INCARNATION, PARTITION_RUNNING, PARTITION_STATE } from "./layout.js";
import { partitionOffset } from "./records.js";

/** Which incarnation of a partition runs. */
export class Holder {
  readonly kernel: Kernel;
  readonly lpid: number;
  /** The words of the partition's record alone, so that the places in it are constants. */
  readonly #record: Uint32Array;

  constructor(kernel: Kernel, lpid: number) {
    this.kernel = kernel;
    this.lpid = lpid;
    const at = partitionOffset(kernel.memory, lpid);
    this.#record = kernel.memory.words.subarray(at / 4, (at + PARTITION_BYTES) / 4);
  }

  /** The last that was started. */
  get incarnation(): number {
    return this.#record[PARTITION_INCARNATION / 4] as number;
  }

  /** Whether this incarnation still runs. */
  isCurrent(incarnation: number): boolean {
    const record = this.#record;
    return (
      record[PARTITION_STATE / 4] === PARTITION_RUNNING && record[PARTITION_INCARNATION / 4] === incarnation
    );
  }
}
