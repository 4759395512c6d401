/**
 * The undo log of a thread: what makes a changing call happen wholly or not at all, wherever its thread stops.
 *
 * Every store to a table is noted first: put() notes one word and stores (Words and Counters several at once), note() notes a
 * whole record of 64 bytes, whose words may then be stored plainly until the commit. commit() forgets the notes: one store,
 * and the moment at which the call has happened. Whoever finds notes of a thread that is gone (or its own, after a trap) puts
 * the old values back, last one first; doing that twice does no harm. Only a holder of locks has notes.
 *
 *     a word         | old value | address |          a record   | 64 old bytes | 12 | address + 1 |
 *     a double word  | 8 old bytes | 4 | address + 2 |
 *
 * The address stands last, so that the notes can be read from the top down. The top is stored after the note and before
 * the store that it is for.
 *
 * What is too much for notes (the pages of a large range) is a job: the thread record names the range, the stores are not
 * noted, and job.ts brings the range in line with the structures that the undo has put back. A job is either ended in the
 * call's own commit (what takes a range) or begun in it (what gives a range back).
 *
 * Plain stores are enough: they are seen in order by the thread itself, and by another one only after the first has
 * exited or handed its locks on.
 */
import {
  LINE_BYTES,
  LOG_BYTES,
  LOG_LINE_BYTES,
  LOG_WORD_BYTES,
  THREAD_JOB,
  THREAD_JOB_COUNT,
  THREAD_JOB_LENDER,
  THREAD_JOB_LENT_PAGE,
  THREAD_JOB_LPID,
  THREAD_JOB_PAGE,
  THREAD_JOB_SLOT,
  THREAD_JOB_SPACE,
  THREAD_LOG,
  THREAD_LOG_TOP,
  THREAD_MAIL,
} from "../src/layout";
import { thread } from "./env";

if (THREAD_LOG + LOG_BYTES > THREAD_MAIL) ERROR("the log ends before the mailboxes");
if (LOG_LINE_BYTES < LINE_BYTES + 4 || LOG_LINE_BYTES % 8 != 0) ERROR("a record and its address fit a note");

/** Byte offset of this thread's record. */
export const THREAD: usize = thread;

/**
 * How notes of words are written: many at once, and then their words. The length of the notes is a chain of loads and stores that
 * wait for each other, so that what changes together is noted together. Methods, since only those are inlined on demand.
 */
export class Notes {
  /** Where the next note goes; there is room for so many. */
  @inline
  static begin(words: u32): u32 {
    const top = load<u32>(THREAD, THREAD_LOG_TOP);
    assert(top <= u32(LOG_BYTES) - words * LOG_WORD_BYTES);
    return top;
  }

  /**
   * The same of the first notes of a call: nothing is asked, and every place is a constant. What is sure is that nothing is noted since the
   * last commit, or that would be lost; the nets run with it asked, too (mutants.test.ts).
   */
  @inline
  static none(): u32 {
    return 0; // THREAD_LOG_TOP is
  }

  /** Where the notes behind four go. */
  @inline
  static next(top: u32): u32 {
    return top + 4 * LOG_WORD_BYTES;
  }

  @inline
  static first(top: u32, address: usize, old: u32): void {
    store<u32>(THREAD + <usize>top, old, THREAD_LOG);
    store<u32>(THREAD + <usize>top, <u32>address, THREAD_LOG + 4);
  }

  @inline
  static second(top: u32, address: usize, old: u32): void {
    store<u32>(THREAD + <usize>top, old, THREAD_LOG + LOG_WORD_BYTES);
    store<u32>(THREAD + <usize>top, <u32>address, THREAD_LOG + LOG_WORD_BYTES + 4);
  }

  @inline
  static third(top: u32, address: usize, old: u32): void {
    store<u32>(THREAD + <usize>top, old, THREAD_LOG + 2 * LOG_WORD_BYTES);
    store<u32>(THREAD + <usize>top, <u32>address, THREAD_LOG + 2 * LOG_WORD_BYTES + 4);
  }

  @inline
  static fourth(top: u32, address: usize, old: u32): void {
    store<u32>(THREAD + <usize>top, old, THREAD_LOG + 3 * LOG_WORD_BYTES);
    store<u32>(THREAD + <usize>top, <u32>address, THREAD_LOG + 3 * LOG_WORD_BYTES + 4);
  }

  /** One of a double word, which takes the room of two. */
  @inline
  static long(top: u32, address: usize, old: u64): void {
    store<u64>(THREAD + <usize>top, old, THREAD_LOG);
    store<u32>(THREAD + <usize>top, <u32>address + 2, THREAD_LOG + 2 * LOG_WORD_BYTES - 4);
  }

  /** So many notes count: from here on the words may be stored. */
  @inline
  static end(top: u32, words: u32): void {
    store<u32>(THREAD, top + words * LOG_WORD_BYTES, THREAD_LOG_TOP);
  }
}

/** Notes what a word holds. */
function noteWord(address: usize, old: u32): void {
  const top = Notes.begin(1);
  Notes.first(top, address, old);
  Notes.end(top, 1);
}

/** Changes of aligned words of a table, each with one look at the top. Methods, since only those are inlined on demand. */
export class Words {
  /** Notes a record of 64 bytes: until the commit its words may be stored plainly. */
  @inline
  static note(record: usize): void {
    const top = load<u32>(THREAD, THREAD_LOG_TOP);
    assert(top <= u32(LOG_BYTES - LOG_LINE_BYTES));
    Words.line(top, record);
    store<u32>(THREAD, top + LOG_LINE_BYTES, THREAD_LOG_TOP);
  }

  /** Notes two of them at `top`. */
  @inline
  static note2(top: u32, record: usize, record2: usize): void {
    Words.line(top, record);
    Words.line(top + LOG_LINE_BYTES, record2);
    store<u32>(THREAD, Words.behind2(top), THREAD_LOG_TOP);
  }

  /** Where the next note goes then. */
  @inline
  static behind2(top: u32): u32 {
    return top + 2 * LOG_LINE_BYTES;
  }

  /** What a record holds, and its address, where the next note goes. */
  @inline
  static line(top: u32, record: usize): void {
    const at = THREAD + <usize>top;
    v128.store(at, v128.load(record), THREAD_LOG, 8);
    v128.store(at, v128.load(record, 16), THREAD_LOG + 16, 8);
    v128.store(at, v128.load(record, 32), THREAD_LOG + 32, 8);
    v128.store(at, v128.load(record, 48), THREAD_LOG + 48, 8);
    store<u32>(at, <u32>record + 1, THREAD_LOG + LOG_LINE_BYTES - 4);
  }

  @inline
  static put(address: usize, value: u32): void {
    noteWord(address, load<u32>(address));
    store<u32>(address, value);
  }

  @inline
  static put2(address: usize, value: u32, address2: usize, value2: u32): void {
    const top = Notes.begin(2);
    Notes.first(top, address, load<u32>(address));
    Notes.second(top, address2, load<u32>(address2));
    Notes.end(top, 2);
    store<u32>(address, value);
    store<u32>(address2, value2);
  }

  @inline
  static put3(address: usize, value: u32, address2: usize, value2: u32, address3: usize, value3: u32): void {
    const top = Notes.begin(3);
    Notes.first(top, address, load<u32>(address));
    Notes.second(top, address2, load<u32>(address2));
    Notes.third(top, address3, load<u32>(address3));
    Notes.end(top, 3);
    store<u32>(address, value);
    store<u32>(address2, value2);
    store<u32>(address3, value3);
  }

  /**
   * One aligned double word, which holds `old`. It is stored whole, since it is loaded whole: a load waits long for what was stored in
   * parts.
   */
  @inline
  static putLong(address: usize, old: u64, value: u64): void {
    Words.putLongAt(Notes.begin(2), address, old, value);
  }

  /** The same, noted at `top`. Answers where the next note goes. */
  @inline
  static putLongAt(top: u32, address: usize, old: u64, value: u64): u32 {
    Notes.long(top, address, old);
    Notes.end(top, 2);
    store<u64>(address, value);
    return top + 2 * LOG_WORD_BYTES;
  }
}

/** Changes one word, where it is not done often. */
export function put(address: usize, value: u32): void {
  Words.put(address, value);
}

/** Notes a record of 64 bytes, where it is not done often. */
export function note(record: usize): void {
  Words.note(record);
}

/** A method, since only those are inlined on demand: with each grant three counters change. */
export class Counters {
  /** Adds to three words that are not the same. */
  @inline
  static add(address: usize, address2: usize, address3: usize, delta: i32): void {
    const top = Notes.begin(3);
    const old = load<u32>(address);
    const old2 = load<u32>(address2);
    const old3 = load<u32>(address3);
    Notes.first(top, address, old);
    Notes.second(top, address2, old2);
    Notes.third(top, address3, old3);
    Notes.end(top, 3);
    store<u32>(address, old + delta);
    store<u32>(address2, old2 + delta);
    store<u32>(address3, old3 + delta);
  }
}

/** Changes a word that others read without a lock. */
export function putShared(address: usize, value: u32): void {
  noteWord(address, load<u32>(address));
  atomic.store<u32>(address, value);
}

/** What was stored since the last commit has happened. */
export function commit(): void {
  store<u32>(THREAD, 0, THREAD_LOG_TOP);
}

/** Puts back what a thread stored since its last commit; words atomically, since others may read them without a lock. */
export function undo(thread: usize): void {
  const log = thread + THREAD_LOG;
  let top = load<u32>(thread, THREAD_LOG_TOP);
  while (top != 0) {
    const address = load<u32>(log + <usize>top - 4);
    if ((address & 3) == 0) {
      top -= LOG_WORD_BYTES;
      // Atomic, since others may read the word without a lock (putShared).
      atomic.store<u32>(<usize>address, load<u32>(log + <usize>top));
    } else if ((address & 2) != 0) {
      top -= 2 * LOG_WORD_BYTES;
      // Of maps and rings, which nobody looks at without a lock.
      store<u64>(<usize>address - 2, load<u64>(log + <usize>top));
    } else {
      top -= LOG_LINE_BYTES;
      for (let offset: usize = 0; offset < usize(LINE_BYTES); offset += 4)
        atomic.store<u32>(<usize>address - 1 + offset, load<u32>(log + <usize>top + offset));
    }
  }
  store<u32>(thread, 0, THREAD_LOG_TOP);
}

/** The job is about a range of another partition, too: what it has lent, as long as the job's. 0: it is not. */
export function nameLender(lender: u32, page: u32): void {
  store<u32>(THREAD, page, THREAD_JOB_LENT_PAGE);
  store<u32>(THREAD, lender, THREAD_JOB_LENDER);
}

/** Whether a job is named already in this commit. */
export function hasJob(): bool {
  return load<u32>(THREAD, THREAD_JOB) != 0;
}

/** From here on the range may be half written. The kind is stored last: before it there is no job. */
export function beginJob(kind: u32, slot: u32, lpid: u32, space: u32, page: u32, count: u32): void {
  store<u32>(THREAD, 0, THREAD_JOB_LENDER);
  nameJob(kind, slot, lpid, space, page, count);
}

/** The same, of a job that is about a second range, which nameLender() has named. */
export function nameJob(kind: u32, slot: u32, lpid: u32, space: u32, page: u32, count: u32): void {
  store<u32>(THREAD, slot, THREAD_JOB_SLOT);
  store<u32>(THREAD, lpid, THREAD_JOB_LPID);
  store<u32>(THREAD, space, THREAD_JOB_SPACE);
  store<u32>(THREAD, page, THREAD_JOB_PAGE);
  store<u32>(THREAD, count, THREAD_JOB_COUNT);
  store<u32>(THREAD, kind, THREAD_JOB);
}

/** What the job is for has not been begun, or is as it was. */
export function abandonJob(): void {
  store<u32>(THREAD, 0, THREAD_JOB);
}

/** The range is written; with the commit there is no job any more. */
export function endJob(): void {
  put(THREAD + THREAD_JOB, 0);
}
