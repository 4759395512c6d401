/** Comparisons of whole pages. A thread of the chaos does not live long enough for loops over bytes to become fast. */
import { Buffer } from "node:buffer";

export function areSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Whether all bytes are this one. */
export function areAll(bytes: Uint8Array, byte: number): boolean {
  return areSame(bytes, Buffer.alloc(bytes.length, byte));
}

/** The first place at which bytes differ from what they must be, -1 if there is none. */
export function differenceAt(found: Uint8Array, expected: Uint8Array): number {
  return areSame(found, expected) ? -1 : expected.findIndex((byte, i) => found[i] !== byte);
}
