/**
 * Copies by the core itself, between a partition's memory and what lies beside it in the table's: a buffer, or the tray in the record
 * of this thread, by way of which a few bytes come into an array and out of one. For so few a crossing is shorter than a loop of
 * JavaScript's, and the engine's own copy quick: the views of the tray are kept, and each lies as the array does.
 */
import type { TableMemory } from "./binding.js";
import type { Holder } from "./holder.js";
import { H_SUCCESS, NEED_READ, NEED_WRITE, THREAD_TRAY } from "./layout.js";
import { refuseRange } from "./refusals.js";
import { fill, TRAY_BYTES } from "./tray.js";

type Need = typeof NEED_READ | typeof NEED_WRITE;

/**
 * Copies a range of memory to a byte offset beside it, or from there.
 * @throws HcallError H_PARAMETER, H_RESCINDED, H_PERMISSION (TR1, TR3), H_RESOURCE: lent.
 */
export function moveBeside(
  { lpid, kernel: { core } }: Holder,
  address: number,
  length: number,
  place: number,
  need: Need,
): void {
  // What is an integer is given as one, without a conversion on either side.
  if (address >>> 0 === address && core.moveFew(lpid, address, length, place, need) === H_SUCCESS) return;
  const isRead = need === NEED_READ;
  const status = isRead
    ? core.loadMemory(lpid, address, length, place)
    : core.storeMemory(lpid, address, length, place);
  if (status !== H_SUCCESS) refuseRange(isRead ? "H_READ" : "H_WRITE", status, address, length);
}

const WORD_BYTES = 8;
const LENGTHS = TRAY_BYTES + 1;
// Both called as what they are: of an array Node 20 looks them up anew each time, the getter for 10 ns.
const { set } = Uint8Array.prototype;
const byteOffset = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "byteOffset")
  ?.get as () => number;

/** The tray of one thread: from 33 to TRAY_BYTES bytes. */
export class Tray {
  readonly #bytes: Uint8Array;
  readonly #at: number;
  /** By the distance from a multiple of eight, and length, made on first need. */
  readonly #views: (Uint8Array | undefined)[] = new Array(WORD_BYTES * LENGTHS).fill(undefined);

  constructor({ bytes, thread }: TableMemory) {
    this.#bytes = bytes;
    this.#at = thread + THREAD_TRAY;
  }

  /** Moves a range of memory into an array, or out of one, that is as long or has grown since. */
  move(holder: Holder, address: number, array: Uint8Array, length: number, need: Need): void {
    const distance = byteOffset.call(array) & (WORD_BYTES - 1);
    const view = this.#views[distance * LENGTHS + length] ?? this.#newView(distance, length);
    if (need === NEED_WRITE) fill(view, array, 0);
    moveBeside(holder, address, length, this.#at + distance, need);
    if (need === NEED_READ) set.call(array, view);
  }

  #newView(distance: number, length: number): Uint8Array {
    const from = this.#at + distance;
    const view = this.#bytes.subarray(from, from + length);
    this.#views[distance * LENGTHS + length] = view;
    return view;
  }
}
