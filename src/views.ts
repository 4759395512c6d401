/** Parts of an array that are kept, so that a range that was moved before allocates nothing. */
const VIEWS = 128;

export class Views {
  readonly #bytes: Uint8Array;
  readonly #kept: (Uint8Array | undefined)[] = new Array(VIEWS).fill(undefined);
  /** Where each begins: to ask it takes Node 20 longer than all the rest. */
  readonly #offsets: Uint32Array = new Uint32Array(VIEWS);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** `length` bytes from `offset` on: the array of the last time if it was asked for. */
  at(offset: number, length: number): Uint8Array {
    const place = ((offset >>> 6) ^ (offset >>> 12)) & (VIEWS - 1);
    const kept = this.#kept[place];
    if (kept !== undefined && this.#offsets[place] === offset && kept.length === length) return kept;
    const view = this.#bytes.subarray(offset, offset + length);
    this.#kept[place] = view;
    this.#offsets[place] = offset;
    return view;
  }
}
