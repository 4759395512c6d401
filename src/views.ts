/** Parts of an array that are kept, so that a range that was moved before allocates nothing. */
const VIEWS = 128;

export class Views {
  readonly #bytes: Uint8Array;
  readonly #kept: (Uint8Array | undefined)[] = new Array(VIEWS).fill(undefined);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** `length` bytes from `offset` on: the array of the last time if it was asked for. */
  at(offset: number, length: number): Uint8Array {
    const place = ((offset >>> 6) ^ (offset >>> 12)) & (VIEWS - 1);
    const kept = this.#kept[place];
    if (kept !== undefined && kept.byteOffset === offset && kept.length === length) return kept;
    const view = this.#bytes.subarray(offset, offset + length);
    this.#kept[place] = view;
    return view;
  }
}
