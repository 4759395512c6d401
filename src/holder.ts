/**
 * A partition as one that holds things: what an incarnation of it has taken is gone when that one has ended (G4).
 */
import type { Kernel } from "./kernel.js";
import { PARTITION_BYTES, PARTITION_INCARNATION, PARTITION_RUNNING, PARTITION_STATE } from "./layout.js";
import { partitionOffset, slotOfCookie } from "./records.js";

/** By which number a partition makes its calls, and which incarnation of it runs. */
export class Holder {
  readonly kernel: Kernel;
  /** 0, which is no partition's, once it is destroyed: its number may be another one's then. */
  lpid: number;
  /** How often the grant in each slot was returned by its cookie, without the mapping being asked; undefined until one is. */
  #returns: Map<number, number> | undefined;
  /** The words of the partition's record alone, so that the places in it are constants. */
  #record: Uint32Array;

  constructor(kernel: Kernel, lpid: number) {
    this.kernel = kernel;
    this.lpid = lpid;
    const at = partitionOffset(kernel.memory, lpid);
    this.#record = kernel.memory.words.subarray(at / 4, (at + PARTITION_BYTES) / 4);
  }

  /** The partition is destroyed: what it was is all that is left. */
  end(): void {
    this.lpid = 0;
    this.#record = this.#record.slice();
  }

  /** The last that was started. */
  get incarnation(): number {
    return this.#record[PARTITION_INCARNATION / 4] as number;
  }

  /** A number for what is accepted now of this grant: by which incarnation, and after how many returns by its cookie. */
  stamp(cookie: number): number {
    return this.#returns === undefined ? this.incarnation : this.#counted(this.#returns, cookie);
  }

  #counted(returns: ReadonlyMap<number, number>, cookie: number): number {
    return this.incarnation + (returns.get(slotOfCookie(cookie)) ?? 0) * 2 ** 32;
  }

  /** Whether what was accepted with this stamp is still this partition's. */
  stands(stamp: number, cookie: number): boolean {
    return this.#record[PARTITION_STATE / 4] === PARTITION_RUNNING && this.stamp(cookie) === stamp;
  }

  /** The grant was returned by its cookie: no mapping that was made before may return the next one in its stead. */
  countReturn(cookie: number): void {
    this.#returns ??= new Map();
    const slot = slotOfCookie(cookie);
    this.#returns.set(slot, (this.#returns.get(slot) ?? 0) + 1);
  }

  /** Whether this incarnation still runs. */
  isCurrent(incarnation: number): boolean {
    const record = this.#record;
    return (
      record[PARTITION_STATE / 4] === PARTITION_RUNNING && record[PARTITION_INCARNATION / 4] === incarnation
    );
  }
}
