/**
 * Sheets: pages whose words are known. The first one is the sheet's nonce; of each other one 28 bits follow from nonce and place,
 * and 4 are a version that whoever may write can change. So a sheet that is somebody else's, torn or rubbish shows.
 */
import type { Partition } from "../partition.js";
import type { Random } from "./random.js";

const VERSION_MASK = 15;
/** The word that nothing is written to but what must be refused. */
export const FORBIDDEN_WORD = 1;
export const FORBIDDEN = 0xbad0bad0;

/** What the word at a place of a sheet must be. */
export function wordOf(nonce: number, place: number, version: number): number {
  if (place === 0) return nonce;
  const mixed = Math.imul(nonce ^ Math.imul(place, 0x85ebca6b), 0x9e3779b1);
  return ((mixed & ~VERSION_MASK) | (version & VERSION_MASK)) >>> 0;
}

/** The words of a fresh sheet. */
export function makeSheet(nonce: number, bytes: number): Uint32Array {
  return Uint32Array.from({ length: bytes / 4 }, (_, place) => wordOf(nonce, place, 0));
}

/** Another version of the word at some place. */
export function newWord(
  words: Uint32Array,
  random: Random,
): { readonly place: number; readonly word: number } {
  const place = FORBIDDEN_WORD + 1 + random.below(words.length - FORBIDDEN_WORD - 1);
  return { place, word: wordOf(words[0] as number, place, 1 + random.below(VERSION_MASK)) };
}

/** A copy of the words at an address. @throws HcallError */
export function readSheet(partition: Partition, address: number, bytes: number): Uint32Array {
  return new Uint32Array(partition.read(address, bytes).buffer);
}

/** @throws HcallError */
export function writeSheet(partition: Partition, address: number, words: Uint32Array): void {
  partition.write(address, new Uint8Array(words.buffer));
}

/** What is wrong with words that must be exactly those, undefined if nothing is. */
export function differenceOf(found: Uint32Array, expected: Uint32Array): string | undefined {
  for (let place = 0; place < expected.length; place++) {
    if (found[place] !== expected[place])
      return `word ${place} is ${hex(found[place])} instead of ${hex(expected[place])}`;
  }
  return undefined;
}

/** What is wrong with words that must be those of one sheet, of any version. */
export function faultOf(found: Uint32Array, nonce: number): string | undefined {
  for (let place = 0; place < found.length; place++) {
    const expected = wordOf(nonce, place, found[place] as number);
    if (found[place] !== expected) return `word ${place} is ${hex(found[place])}, of another sheet`;
  }
  return undefined;
}

export function isBlank(words: Uint32Array): boolean {
  return words.every((word) => word === 0);
}

function hex(word: number | undefined): string {
  return `0x${(word ?? 0).toString(16)}`;
}
