/**
 * What is handed over is stamped at both ends of it by the caller, looked at and stamped anew by the server: so each side sees
 * that it has all of the other's bytes, and the stamps of all ways add up to the same.
 */
import type { Partition } from "../src/index.js";

/** 32-bit words by byte offset. */
export interface Words {
  load(offset: number): number;
  store(offset: number, value: number): void;
}

/** By checked access of a partition. */
export class PartitionWords implements Words {
  readonly #partition: Partition;
  readonly #address: number;

  constructor(partition: Partition, address: number) {
    this.#partition = partition;
    this.#address = address;
  }

  load(offset: number): number {
    return this.#partition.load32(this.#address + offset);
  }

  store(offset: number, value: number): void {
    this.#partition.store32(this.#address + offset, value);
  }
}

/** Without any check. */
export class BufferWords implements Words {
  readonly #words: Uint32Array;

  constructor(buffer: ArrayBuffer | SharedArrayBuffer) {
    this.#words = new Uint32Array(buffer);
  }

  load(offset: number): number {
    return this.#words[offset / 4] as number;
  }

  store(offset: number, value: number): void {
    this.#words[offset / 4] = value;
  }
}

export function stamp(words: Words, bytes: number, value: number): void {
  words.store(0, value);
  words.store(bytes - 4, ~value >>> 0);
}

/** The stamp. @throws Error if it is not the same at both ends. */
export function readStamp(words: Words, bytes: number): number {
  const value = words.load(0);
  if (words.load(bytes - 4) !== ~value >>> 0) throw new Error(`the stamp ${value} is not at both ends`);
  return value;
}

/** What the server makes of what it got. */
export function answerStamp(words: Words, bytes: number): void {
  stamp(words, bytes, replyTo(readStamp(words, bytes)));
}

export function replyTo(value: number): number {
  return (Math.imul(value, 0x9e3779b1) ^ (value >>> 15)) >>> 0;
}
