/**
 * Sealed records: a reader can tell a record that was written to its end from one whose writer died on the way, or is still
 * at it.
 *
 *     address                                       + length - 16      + length
 *     +--------------------------------------------+------------------+
 *     | payload, any bytes                         | seal, 4 x 32 bit |
 *     +--------------------------------------------+------------------+
 *
 * The seal is a checksum of 128 bits over the payload and its length, and over nothing else: the rounds of MurmurHash3
 * (x86, 128 bits) with the last block padded by zeros. It has no sequence number, so that sealing the same content again
 * changes no byte, and a mix of two seals is either the right one, byte by byte, or wrong. A record that has a newer and an
 * older state says in its payload which one this is. Zeros, which is what a fresh page holds, are not sealed.
 *
 * The writer stores the payload, then seals: seal() reads the payload back and stores the seal last. A record is rewritten
 * without unsealing it first.
 *
 *     the writer stops                   what is there                    what a reader gets
 *     before its first store             the old record                   the old record
 *     between two stores of the payload  old and new payload, old seal    nothing
 *     before, or inside, the seal        new payload, old or mixed seal   nothing
 *     after the last byte of the seal    the new record                   the new record
 *
 * "Nothing" has one exception that does no harm: where all bytes happen to be those of a sealed record, they are one.
 * Whoever must find the last complete record after any crash keeps two and rewrites the older one.
 *
 * A reader reads once, into a private copy, and checks the copy: it never returns a byte that it has not checked, however
 * the writer races with it. The order in which stores reach another thread does not matter, since the checksum does not
 * rely on it. Torn content that nobody chose to that end passes as complete with a probability of 2^-128: a
 * defence against crashes and races, not against forgery, since who may write may also seal.
 *
 * One writer at a time: a record that two write at once is what they leave, and its seal says no more than that it was so
 * when seal() read it.
 */
import { checkInteger } from "./errors.js";
import { PAGE_BYTES, SPACE_PAGES_LIMIT } from "./layout.js";
import type { Partition } from "./partition.js";

/** Bytes of the seal at the end of a record. */
export const SEAL_BYTES: number = 16;

/** The largest logical space: more cannot be a length, whatever is mapped. */
const LENGTH_MAX = SPACE_PAGES_LIMIT * PAGE_BYTES;
const BLOCK_BYTES = 16;
/** Not 0: zeros would be the seal of nothing. */
const SEED = 0x5ea1;
/** A multiple of a block: only the last chunk of a payload ends in a part of one. */
const CHUNK_BYTES = 16384;

// Nothing here waits, so one of each is enough for a thread, and a small record costs no array but the one it is returned in.
const lanes = new Int32Array(SEAL_BYTES / 4);
const seal = new Uint8Array(lanes.buffer);
const lastBlock = new Uint8Array(BLOCK_BYTES);
const lastWords = new Int32Array(lastBlock.buffer);
const scratch = new Uint8Array(CHUNK_BYTES);
const scratchWords = new Int32Array(scratch.buffer);
let scratchStart = scratch;

/** The first bytes of the scratch. Records are often as long as the one before. */
function startOfScratch(length: number): Uint8Array {
  if (scratchStart.length !== length) scratchStart = scratch.subarray(0, length);
  return scratchStart;
}

/** @param count words, a multiple of 4. */
function absorbBlocks(words: Int32Array, count: number): void {
  let a = lanes[0] as number;
  let b = lanes[1] as number;
  let c = lanes[2] as number;
  let d = lanes[3] as number;
  for (let i = 0; i < count; i += 4) {
    let k = Math.imul(words[i] as number, 0x239b961b);
    a ^= Math.imul((k << 15) | (k >>> 17), 0xab0e9789);
    a = (((a << 19) | (a >>> 13)) + b) | 0;
    a = (Math.imul(a, 5) + 0x561ccd1b) | 0;
    k = Math.imul(words[i + 1] as number, 0xab0e9789);
    b ^= Math.imul((k << 16) | (k >>> 16), 0x38b34ae5);
    b = (((b << 17) | (b >>> 15)) + c) | 0;
    b = (Math.imul(b, 5) + 0x0bcaa747) | 0;
    k = Math.imul(words[i + 2] as number, 0x38b34ae5);
    c ^= Math.imul((k << 17) | (k >>> 15), 0xa1e38b93);
    c = (((c << 15) | (c >>> 17)) + d) | 0;
    c = (Math.imul(c, 5) + 0x96cd1c35) | 0;
    k = Math.imul(words[i + 3] as number, 0xa1e38b93);
    d ^= Math.imul((k << 18) | (k >>> 14), 0x239b961b);
    d = (((d << 13) | (d >>> 19)) + a) | 0;
    d = (Math.imul(d, 5) + 0x32ac3b17) | 0;
  }
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = d;
}

/** Takes up the first `length` bytes of an array, of which `words` are the same. */
function absorb(bytes: Uint8Array, words: Int32Array, length: number): void {
  const rest = length % BLOCK_BYTES;
  absorbBlocks(words, (length - rest) / 4);
  if (rest === 0) return;
  lastBlock.fill(0);
  for (let i = 0; i < rest; i++) lastBlock[i] = bytes[length - rest + i] as number;
  absorbBlocks(lastWords, BLOCK_BYTES / 4);
}

function mix(lane: number): number {
  let h = lane;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Lets every lane depend on every other. */
function spread(): void {
  let all = 0;
  for (let i = 0; i < lanes.length; i++) all += lanes[i] as number;
  lanes[0] = all;
  for (let i = 1; i < lanes.length; i++) lanes[i] = (lanes[i] as number) + all;
}

/** Leaves the seal of what was taken up in `seal`. */
function finish(length: number): void {
  for (let i = 0; i < lanes.length; i++) lanes[i] = (lanes[i] as number) ^ length;
  spread();
  for (let i = 0; i < lanes.length; i++) lanes[i] = mix(lanes[i] as number);
  spread();
}

/** Partition.seal(). */
export function sealRecord(memory: Partition, address: number, length: number): void {
  const payload = checkInteger("length", length, SEAL_BYTES, LENGTH_MAX) - SEAL_BYTES;
  // A string, which other calls take for its number, must not become the first digits of a sum.
  const start = +address;
  lanes.fill(SEED);
  for (let done = 0; done < payload; done += CHUNK_BYTES) {
    const run = Math.min(CHUNK_BYTES, payload - done);
    memory.readInto(start + done, startOfScratch(run));
    absorb(scratch, scratchWords, run);
  }
  finish(payload);
  memory.write(start + payload, seal);
}

/** Whether the seal at the end of a record is that of its payload. */
function isComplete(bytes: Uint8Array, words: Int32Array, payload: number): boolean {
  lanes.fill(SEED);
  absorb(bytes, words, payload);
  finish(payload);
  for (let i = 0; i < SEAL_BYTES; i++) if (bytes[payload + i] !== seal[i]) return false;
  return true;
}

/** Partition.sealed(). */
export function readSealed(memory: Partition, address: number, length: number): Uint8Array | undefined {
  const payload = checkInteger("length", length, SEAL_BYTES, LENGTH_MAX) - SEAL_BYTES;
  if (length <= CHUNK_BYTES) {
    memory.readInto(address, startOfScratch(length));
    return isComplete(scratch, scratchWords, payload) ? scratch.slice(0, payload) : undefined;
  }
  const copy = memory.read(address, length);
  const words = new Int32Array(copy.buffer, 0, Math.floor(length / 4));
  return isComplete(copy, words, payload) ? copy.subarray(0, payload) : undefined;
}
