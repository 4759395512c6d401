/** What the owner of a page and those who read it share: the state of things, and some words for each reader. */

/** What a reader is given. */
export interface Board {
  readonly words: SharedArrayBuffer;
  /** Of the baseline: the page that is read. */
  readonly page: SharedArrayBuffer;
  readonly index: number;
}

/** The round, and its phase. */
export const STATE = 0;

/** Nobody reads; the granted page; the page of the baseline; nobody may read any more. */
export const PARKED = 0;
export const OPEN = 1;
export const OPEN_FLAG = 2;
export const CLOSED = 3;
export const PHASES = 4;

/** Words of reader n begin here. */
export const READER = 16;
export const READER_WORDS = 16;
/** Of a reader's words: the address that it reads, reads of this round, the round in which it was refused, violations. */
export const ADDRESS = 0;
export const READS = 1;
export const REFUSED = 2;
export const VIOLATIONS = 3;

/** What is in the page while it may be read, and afterwards. */
export const PLAIN = 1;
export const SEALED = 0xff;
