/**
 * The core's bytes out of the text that assembly/text.mjs made of them. As a text, since a file beside the module is lost in
 * bundles; and not as base64, in which gzip finds nothing again that does not stand at the same place of three bytes. This text is
 * of plain ASCII, shorter than the bytes, and takes a seventh less under gzip than they do.
 *
 * A common byte is one character, of those that need no escape in any kind of quotes, and so is a word: two or three bytes that
 * often follow each other. Each other byte is two: one of the last two characters, and one that counts on from there. In this
 * order the characters mean words, common bytes, and through the second ones the rest; bytes are in ascending order.
 *
 * What is so written is first the numbers of locals, then all else: an operation that is done again with other locals is the same
 * text again then. Which byte is of a local's number is told by the bytes before it, here as in the build. It is a guess (not each
 * 0x20 is an opcode), but a wrong one does no harm but to the length, since both take every byte for the same.
 */
import {
  CORE_BYTES,
  CORE_COMMON,
  CORE_LOCALS,
  CORE_SHARED_AT,
  CORE_TEXT,
  CORE_WORDS,
} from "./generated/core.js";

/** Of the limits of a memory: they name a maximum, and it is not shared. */
const HAS_MAXIMUM = 1;

/** The core for a memory that is shared, or for one that is not; they differ in one byte, which says so. */
export function coreBytes(isShared: boolean): Uint8Array<ArrayBuffer> {
  const places = new Uint8Array(128);
  let digits = 0;
  // All that can be seen but " $ \ and `.
  for (let code = 0x20; code < 0x7f; code++) if (![34, 36, 92, 96].includes(code)) places[code] = digits++;
  /** By place. Bytes of a word follow each other from the lowest on, and a one is above the last. */
  const order = [...CORE_WORDS];
  const rest: number[] = [];
  for (let byte = 0; byte < 256; byte++) {
    const isCommon = (Number.parseInt(CORE_COMMON.charAt(byte >> 2), 16) >> (byte & 3)) & 1;
    (isCommon ? order : rest).push(256 | byte);
  }
  const common = order.length;
  order.push(...rest);
  const apart = new Uint8Array(CORE_BYTES);
  let length = 0;
  for (let at = 0; at < CORE_TEXT.length; at++) {
    let place = places[CORE_TEXT.charCodeAt(at)] as number;
    const more = place - common;
    if (more >= 0) place += more * (digits - 1) + (places[CORE_TEXT.charCodeAt(++at)] as number);
    for (let word = order[place] as number; word > 1; word >>= 8) apart[length++] = word;
  }
  let local = 0;
  let other = CORE_LOCALS;
  let opcode = 0;
  const bytes = apart.map(() => {
    const byte = apart[opcode > 0x1f && opcode < 0x23 ? local++ : other++] as number;
    // One of get, set and tee, or a constant, the number of which may look like them; a number goes on after 0x80 and more.
    if (opcode ? byte > 0x7f : (byte > 0x1f && byte < 0x23) || byte === 0x41 || byte === 0x42)
      opcode ||= byte;
    else opcode = 0;
    return byte;
  });
  if (!isShared) bytes[CORE_SHARED_AT] = HAS_MAXIMUM;
  return bytes;
}
