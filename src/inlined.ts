/**
 * The core's bytes out of the text that assembly/build.mjs made of them. As a text, since a file beside the module is lost in
 * bundles; and not as base64, in which gzip finds nothing again that does not stand at the same place of three bytes: this text
 * is as long, of plain ASCII, and takes under gzip what the bytes take.
 */
import { CORE_COMMON, CORE_SHARED_AT, CORE_TEXT } from "./generated/core.js";

/** Printable characters that need no escape in any kind of quotes. */
const DIGITS = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index))
  .filter((character) => !'"$\\`'.includes(character))
  .join("");

/** Of the limits of a memory: they name a maximum, and it is not shared. */
const HAS_MAXIMUM = 1;

/**
 * The core for a memory that is shared, or for one that is not; they differ in one byte, which says so.
 *
 * A common byte is one character, the place of which among the digits is the byte's among the common ones. Each other byte is
 * two: one of the two last digits, and one that counts on from there through the rest of the bytes, in ascending order.
 */
export function coreBytes(isShared: boolean): Uint8Array<ArrayBuffer> {
  const common = CORE_COMMON.match(/../g)?.map((hex) => Number.parseInt(hex, 16)) ?? [];
  const rest = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !common.includes(byte));
  const places = new Uint8Array(128);
  for (let place = 0; place < DIGITS.length; place++) places[DIGITS.charCodeAt(place)] = place;
  const bytes: number[] = [];
  for (let at = 0; at < CORE_TEXT.length; at++) {
    const place = places[CORE_TEXT.charCodeAt(at)] as number;
    if (place < common.length) bytes.push(common[place] as number);
    else {
      const next = places[CORE_TEXT.charCodeAt(++at)] as number;
      bytes.push(rest[(place - common.length) * DIGITS.length + next] as number);
    }
  }
  if (!isShared) bytes[CORE_SHARED_AT] = HAS_MAXIMUM;
  return Uint8Array.from(bytes);
}
