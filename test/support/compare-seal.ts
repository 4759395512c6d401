/** Sealed records on both tables, through the object API: it is JavaScript that reads, checks and seals. */
import { Partition } from "../../src/index.js";
import { H_SUCCESS, HEADER_FRAMES_AT, PAGE_BYTES } from "../../src/layout.js";
import { statusOf, type Twins } from "./compare.js";
import type { Choices } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import { answer, ensure } from "./model-records.js";
import { Seals } from "./model-seal.js";

const SEAL = 16;

export class SealTwins {
  readonly #twins: Twins;
  readonly #seals = new Seals();
  /** Where records were sealed, the last few. */
  readonly #places: (readonly [lpid: number, address: number, length: number])[] = [];

  constructor(twins: Twins) {
    this.#twins = twins;
  }

  draw(choose: Choices, draw: Draw): void {
    const place = draw.pick(this.#places);
    if (place !== undefined && draw.once(2)) {
      // Now and then another length: that is no record then.
      const [lpid, address, length] = place;
      this.#read(lpid, address, draw.once(6) ? length + 16 : length);
      return;
    }
    const { lpid } = choose.partition(draw, draw.once(12) ? undefined : "running") ?? { lpid: 0 };
    if (!this.#twins.model.partitions.has(lpid)) return;
    const [address, some] = choose.range(draw, lpid);
    const length =
      SEAL + (some >= 0 && some < 4 * PAGE_BYTES ? Math.floor(some / (draw.once(3) ? 1 : 8)) : 0);
    if (draw.once(4)) this.#read(lpid, address, length);
    else if (!choose.touchesQueue(lpid, address + (length - SEAL), SEAL)) this.#seal(lpid, address, length);
  }

  #partition(lpid: number): Partition {
    return new Partition(this.#twins.kernel, lpid, `p${lpid}`);
  }

  #seal(lpid: number, address: number, length: number): void {
    let status = H_SUCCESS;
    try {
      this.#partition(lpid).seal(address, length);
    } catch (error) {
      status = statusOf(error);
    }
    const { model } = this.#twins;
    const expected = this.#seals.seal(model, lpid, address, length, () =>
      this.#physical(lpid, address + (length - SEAL)),
    );
    this.#twins.same("seal", [lpid, address, length], status, expected);
    if (status !== H_SUCCESS) return;
    this.#places.push([lpid, address, length]);
    if (this.#places.length > 8) this.#places.shift();
  }

  /** The seal as it stands in the frames: whoever may write it need not be allowed to read it. */
  #physical(lpid: number, address: number): Uint8Array {
    const { memory } = this.#twins.kernel;
    const entries = this.#twins.model.partitions.get(lpid)?.spaces.memory.entries;
    return Uint8Array.from({ length: SEAL }, (_, index) => {
      const at = address + index;
      const frame = entries?.get(Math.floor(at / PAGE_BYTES))?.frame.physical ?? 0;
      return memory.bytes[memory.header(HEADER_FRAMES_AT) + frame * PAGE_BYTES + (at % PAGE_BYTES)] as number;
    });
  }

  #read(lpid: number, address: number, length: number): void {
    if (!this.#twins.model.partitions.has(lpid)) return;
    let status = H_SUCCESS;
    let payload: Uint8Array | undefined;
    try {
      payload = this.#partition(lpid).sealed(address, length);
    } catch (error) {
      status = statusOf(error);
    }
    const expected = this.#seals.sealed(this.#twins.model, lpid, address, length);
    this.#twins.same("sealed", [lpid, address, length], status, answer(expected.answer.status));
    const isSame =
      payload === undefined || expected.payload === undefined
        ? payload === expected.payload
        : Buffer.compare(payload, expected.payload) === 0;
    ensure(isSame, () => `sealed(${lpid}, ${address}, ${length}) gave another record than in the model`);
    if (status !== H_SUCCESS) return;
    this.#twins.saw(payload === undefined ? "a record is not complete" : "a record is complete");
  }
}
