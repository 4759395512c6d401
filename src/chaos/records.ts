/**
 * Sealed records: what one thread writes piece by piece and announces when it is whole, and others check.
 *
 *     ring    0      4      64       192
 *             head   -      record   record ...
 *     record  0         4      8        12
 *             sequence  nonce  length   payload ... 128
 *
 * `head` is the sequence number of the last announced record, from 1 on. Nonce and sequence say what each byte must be. The
 * writer is at the record after it, so that a reader believes what is announced unless the writer comes round meanwhile. Nothing else is ever in the pages as long
 * as anybody has access: what a reader gets must be right, whoever died over it.
 */
import type { Partition } from "../partition.js";
import type { Random } from "./random.js";

const FIRST = 64;
const RECORD_BYTES = 128;
const PAYLOAD_AT = 12;

/** Something is not as it must be. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** A ring in the memory of one partition. */
export interface Ring {
  readonly address: number;
  readonly bytes: number;
  /** In every record of the ring, and in no other ring. */
  readonly nonce: number;
}

function recordsOf(ring: Ring): number {
  return Math.floor((ring.bytes - FIRST) / RECORD_BYTES);
}

function placeOf(ring: Ring, sequence: number): number {
  return ring.address + FIRST + (sequence % recordsOf(ring)) * RECORD_BYTES;
}

function payloadByte(nonce: number, sequence: number, index: number): number {
  return (Math.imul(nonce ^ sequence, 0x9e3779b1) >>> (index & 15)) & 0xff;
}

function lengthOf(nonce: number, sequence: number): number {
  return 1 + ((Math.imul(sequence ^ nonce, 0x85ebca6b) >>> 8) % (RECORD_BYTES - PAYLOAD_AT));
}

/** The record as it must be. */
function makeRecord(nonce: number, sequence: number): Uint8Array {
  const record = new Uint8Array(RECORD_BYTES);
  const words = new DataView(record.buffer);
  const length = lengthOf(nonce, sequence);
  words.setUint32(0, sequence, true);
  words.setUint32(4, nonce, true);
  words.setUint32(8, length, true);
  for (let i = 0; i < length; i++) record[PAYLOAD_AT + i] = payloadByte(nonce, sequence, i);
  return record;
}

/** Writes the next record in pieces, then announces it. @param view of the whole ring, to write past the checks. */
export function writeRecord(partition: Partition, ring: Ring, random: Random, view?: Uint8Array): void {
  const sequence = (partition.load32(ring.address) + 1) >>> 0;
  const record = makeRecord(ring.nonce, sequence);
  const place = placeOf(ring, sequence);
  const end = PAYLOAD_AT + lengthOf(ring.nonce, sequence);
  for (let done = 0; done < end; ) {
    const run = Math.min(end - done, 1 + random.below(random.once(2) ? 8 : RECORD_BYTES));
    const piece = record.subarray(done, done + run);
    if (view === undefined) partition.write(place + done, piece);
    else for (let i = 0; i < run; i++) view[place - ring.address + done + i] = piece[i] as number;
    done += run;
  }
  partition.store32(ring.address, sequence);
}

/**
 * Checks one announced record. @returns how far the ring is.
 * @throws Violation; HcallError when the access has ended.
 */
export function checkRecord(partition: Partition, ring: Ring, random: Random, who: string): number {
  const head = partition.load32(ring.address);
  if (head === 0) return 0;
  const sequence = head - random.below(Math.min(head, recordsOf(ring) - 2));
  const found = partition.read(placeOf(ring, sequence), RECORD_BYTES);
  const wrong = faultOf(found, ring, sequence);
  if (wrong === undefined) return head;
  // Whoever else has its records in these pages is a fault whatever the writer does meanwhile.
  if (!wrong.isForeign && partition.load32(ring.address) - sequence >= recordsOf(ring) - 1) return head;
  throw new Violation(
    `${who}: record ${sequence} of ring ${ring.nonce}, announced up to ${head}: ${wrong.what}`,
  );
}

function faultOf(
  found: Uint8Array,
  ring: Ring,
  sequence: number,
): { readonly what: string; readonly isForeign: boolean } | undefined {
  const words = new DataView(found.buffer, found.byteOffset);
  const nonce = words.getUint32(4, true);
  if (nonce !== ring.nonce) return { what: `is of ${nonce}, another ring`, isForeign: true };
  const expected = makeRecord(ring.nonce, sequence);
  const end = PAYLOAD_AT + lengthOf(ring.nonce, sequence);
  for (let i = 0; i < end; i++) {
    if (found[i] === expected[i]) continue;
    return {
      what: `byte ${i} is ${found[i]} instead of ${expected[i]} (sequence ${words.getUint32(0, true)})`,
      isForeign: false,
    };
  }
  return undefined;
}
