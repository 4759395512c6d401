/**
 * Sheets: pages whose words are known. The first one is the sheet's nonce; of each other one 28 bits follow from nonce, page and place
 * in its line, and 4 are a version that whoever may write can change. So a page that is of another sheet, or of another place, torn or
 * rubbish shows. All lines of a page are alike, since that is quickly made and compared.
 */
import { Buffer } from "node:buffer";
import { PAGE_BYTES } from "../layout.js";
import type { Partition } from "../partition.js";
import { areAll, areSame } from "./bytes.js";
import type { Random } from "./random.js";

const PAGE_WORDS = PAGE_BYTES / 4;
const LINE_WORDS = 16;
const VERSION_MASK = 15;
/** The word that nothing is written to but what must be refused. */
export const FORBIDDEN_WORD = 1;

/** What the word at a place of a sheet must be. */
export function wordOf(nonce: number, place: number, version: number): number {
  if (place === 0) return nonce;
  const number = Math.floor(place / PAGE_WORDS) * LINE_WORDS + (place % LINE_WORDS) + 1;
  const mixed = Math.imul(nonce ^ Math.imul(number, 0x85ebca6b), 0x9e3779b1);
  return ((mixed & ~VERSION_MASK) | (version & VERSION_MASK)) >>> 0;
}

/** The words of a fresh sheet. */
export function makeSheet(nonce: number, bytes: number): Uint32Array {
  const words = new Uint32Array(bytes / 4);
  for (let page = 0; page < words.length; page += PAGE_WORDS) {
    const line = new Uint32Array(LINE_WORDS);
    // Not those of the first line, where the nonce stands.
    for (let i = 0; i < LINE_WORDS; i++) line[i] = wordOf(nonce, page + LINE_WORDS + i, 0);
    bytesOf(words.subarray(page, page + PAGE_WORDS)).fill(bytesOf(line));
  }
  words[0] = nonce;
  return words;
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
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
  partition.write(address, bytesOf(words));
}

/** What is wrong with words that must be exactly those, undefined if nothing is. */
export function differenceOf(found: Uint32Array, expected: Uint32Array): string | undefined {
  if (areSame(bytesOf(found), bytesOf(expected))) return undefined;
  const place = expected.findIndex((word, i) => found[i] !== word);
  return `word ${place} is ${hex(found[place])} instead of ${hex(expected[place])}`;
}

/** What is wrong with words that must be those of one sheet, of any version. */
export function faultOf(found: Uint32Array, nonce: number): string | undefined {
  const fresh = makeSheet(nonce, found.byteLength);
  for (let at = 0; at < found.length; at += LINE_WORDS) {
    if (areSame(bytesOf(found.subarray(at, at + LINE_WORDS)), bytesOf(fresh.subarray(at, at + LINE_WORDS))))
      continue;
    for (let place = at; place < at + LINE_WORDS; place++) {
      const word = found[place] as number;
      if (word !== wordOf(nonce, place, word)) return `word ${place} is ${hex(word)}, of another sheet`;
    }
  }
  return undefined;
}

/** Whether words are what they were, or zero. */
export function isZeroedOf(found: Uint32Array, expected: Uint32Array): boolean {
  return found.every((word, place) => word === 0 || word === expected[place]);
}

export function isBlank(words: Uint32Array): boolean {
  return areAll(bytesOf(words), 0);
}

function hex(word: number | undefined): string {
  return `0x${(word ?? 0).toString(16)}`;
}
