/**
 * Requests for accesses to devices, from a thread to the one that serves the window. They lie in mailboxes of the thread
 * that asks, so that a request ends with whoever made it:
 *
 *     0     4                                   8       16     20   24            28
 *     value | sequence 24 | status 6 | state 2 | address server lpid | need | size | unused
 *
 *     idle -> posted (by who asks) -> taken (by who serves) -> answered (by who serves) -> idle (by who asks)
 *
 * Value and state are one double word, changed by compare-and-exchange: an answer is given wholly or not at all, and who
 * gives up takes the request back in the same way, so that what was withdrawn is neither served later nor answered to
 * the next request: the sequence is another one. What else a request says is written before it is posted and copied before
 * it is taken; the exchange succeeds only if the copy is of that request.
 *
 * Each thread sleeps on one word, its bell, whatever it waits for: who waits for an answer hears of requests to itself, and
 * serves them meanwhile, so that two threads that ask each other do not wait for ever.
 *
 * No locks. A thread that dies leaves requests that the reaper withdraws, or ones taken and not answered: who waits for
 * those finds that the name which should answer is gone; the reaper rings.
 */
import {
  H_BUSY,
  H_CLOSED,
  H_LONG_BUSY_10_MSEC,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_SUCCESS,
  HEADER_THREADS_USED,
  LOCK_SLOT_MASK,
  MAIL_ADDRESS,
  MAIL_ANSWERED,
  MAIL_BYTES,
  MAIL_IDLE,
  MAIL_LPID,
  MAIL_POSTED,
  MAIL_SEQUENCE_SHIFT,
  MAIL_SERVER,
  MAIL_STATE,
  MAIL_STATE_MASK,
  MAIL_STATUS_MASK,
  MAIL_STATUS_SHIFT,
  MAIL_TAKEN,
  MAIL_VALUE,
  MAIL_WHAT,
  MAILS,
  THREAD_BELL,
  THREAD_MAIL,
  THREAD_NAME,
  THREAD_TAKEN,
  THREAD_TRAY,
} from "../src/layout";
import { decodeInteger, decodeWord, isWord } from "./decode";
import { THREAD } from "./log";
import { header, NONE, setResult } from "./memory";
import { ownSlot, slotNamed, threadAt } from "./thread";

if (THREAD_MAIL + MAILS * MAIL_BYTES > THREAD_TAKEN) ERROR("the mailboxes overlap");
if (THREAD_TAKEN + MAIL_BYTES > THREAD_BELL || THREAD_BELL + 32 > THREAD_TRAY)
  ERROR("a thread record overflows");
if (MAIL_VALUE % 8 != 0 || MAIL_STATE != MAIL_VALUE + 4 || THREAD_MAIL % 8 != 0)
  ERROR("value and state are one");

/** A request's life ends in so many exchanges of others at most; one more, and the table is broken. */
const TRIES: u32 = 8;

function mailAt(thread: usize, index: u32): usize {
  return thread + THREAD_MAIL + <usize>index * MAIL_BYTES;
}

function stateWord(word: u64): u32 {
  return <u32>(word >> 32);
}

function stateIn(word: u64): u32 {
  return stateWord(word) & MAIL_STATE_MASK;
}

/** The same request in another state. */
function turned(word: u64, state: u32, status: u32, value: u32): u64 {
  const sequence = stateWord(word) >> MAIL_SEQUENCE_SHIFT;
  const high = (sequence << MAIL_SEQUENCE_SHIFT) | (status << MAIL_STATUS_SHIFT) | state;
  return ((<u64>high) << 32) | value;
}

function exchange(mail: usize, from: u64, to: u64): bool {
  return atomic.cmpxchg<u64>(mail, from, to) == from;
}

/** A thread looks at its mailboxes. */
function ring(thread: usize): void {
  atomic.add<u32>(thread + THREAD_BELL, 1);
  atomic.notify(thread + THREAD_BELL, -1);
}

/**
 * Asks the thread of a name for an access. What stood in the mailbox is withdrawn. H_NOT_FOUND: the thread is gone, or it is
 * the caller. The numbers of the access are looked at by who serves it.
 */
export function postRequest(index: f64, server: f64, lpid: f64, address: f64, what: f64, value: f64): i32 {
  const box = decodeInteger(index);
  const name = decodeInteger(server);
  if (box >= u32(MAILS) || name == NONE || !isWord(value)) return H_PARAMETER;
  const slot = slotNamed(name);
  if (slot == NONE || slot == ownSlot()) return H_NOT_FOUND;
  const mail = mailAt(THREAD, box);
  const sequence = (stateWord(withdraw(mail)) >> MAIL_SEQUENCE_SHIFT) + 1;
  atomic.store<u64>(mail, reinterpret<u64>(address), MAIL_ADDRESS);
  atomic.store<u32>(mail, name, MAIL_SERVER);
  atomic.store<u32>(mail, decodeInteger(lpid), MAIL_LPID);
  atomic.store<u32>(mail, decodeInteger(what), MAIL_WHAT);
  const posted = (sequence << MAIL_SEQUENCE_SHIFT) | MAIL_POSTED;
  atomic.store<u64>(mail, ((<u64>posted) << 32) | decodeWord(value));
  ring(threadAt(slot));
  return H_SUCCESS;
}

/** Makes a mailbox idle, whatever it is. Answers what it was. */
function withdraw(mail: usize): u64 {
  let word = atomic.load<u64>(mail);
  for (let i: u32 = 0; i < TRIES && !exchange(mail, word, turned(word, MAIL_IDLE, 0, 0)); i++) {
    word = atomic.load<u64>(mail);
  }
  return word;
}

/** Copies a request that is posted to this thread, and takes it. Answers whether it did. */
function take(mail: usize, word: u64, ticket: u32): bool {
  const copy = THREAD + THREAD_TAKEN;
  store<u64>(copy, atomic.load<u64>(mail, MAIL_ADDRESS), MAIL_ADDRESS);
  store<u32>(copy, atomic.load<u32>(mail, MAIL_LPID), MAIL_LPID);
  store<u32>(copy, atomic.load<u32>(mail, MAIL_WHAT), MAIL_WHAT);
  if (atomic.load<u32>(mail, MAIL_SERVER) != load<u32>(THREAD, THREAD_NAME)) return false;
  const taken = turned(word, MAIL_TAKEN, 0, <u32>word);
  if (!exchange(mail, word, taken)) return false;
  store<u64>(copy, taken, MAIL_VALUE);
  store<u32>(copy, ticket, MAIL_SERVER);
  return true;
}

/**
 * Takes a request that other threads have posted to this one: its copy is in the thread record, with its number in the
 * place of the server. Begins behind the thread that was served last, so that none of them waits for ever. H_NOT_FOUND:
 * there is none.
 */
export function takeRequest(): i32 {
  const used = header(HEADER_THREADS_USED);
  const last = load<u32>(THREAD, THREAD_TAKEN + MAIL_SERVER) / MAILS;
  const own = ownSlot();
  for (let step: u32 = 1; step <= used; step++) {
    const slot = (last + step) % used;
    if (slot == own) continue;
    for (let index: u32 = 0; index < u32(MAILS); index++) {
      const mail = mailAt(threadAt(slot), index);
      const word = atomic.load<u64>(mail);
      if (stateIn(word) == MAIL_POSTED && take(mail, word, slot * MAILS + index)) return H_SUCCESS;
    }
  }
  return H_NOT_FOUND;
}

/**
 * Answers a request that this thread took. `state` is what its copy says, `status` 0, an error, or H_LongBusyOrder10msec:
 * nothing was done. H_NOT_FOUND: who asked has given up, or has exited.
 */
export function answerRequest(number: f64, state: f64, status: f64, value: f64): i32 {
  const ticket = decodeInteger(number);
  const expected = decodeInteger(state);
  const code = status == H_LONG_BUSY_10_MSEC ? u32(MAIL_STATUS_MASK) : decodeInteger(-status);
  if (ticket == NONE || expected == NONE || code > u32(MAIL_STATUS_MASK) || !isWord(value))
    return H_PARAMETER;
  const slot = ticket / MAILS;
  if (slot >= header(HEADER_THREADS_USED)) return H_PARAMETER;
  const caller = threadAt(slot);
  const mail = mailAt(caller, ticket % MAILS);
  const word = atomic.load<u64>(mail);
  if (stateWord(word) != expected || stateIn(word) != MAIL_TAKEN) return H_NOT_FOUND;
  if (atomic.load<u32>(mail, MAIL_SERVER) != load<u32>(THREAD, THREAD_NAME)) return H_NOT_FOUND;
  if (!exchange(mail, word, turned(word, MAIL_ANSWERED, code, decodeWord(value)))) return H_NOT_FOUND;
  ring(caller);
  return H_SUCCESS;
}

/**
 * The answer to a request, which is over then: its status, and in R4 what was read. While there is none: H_BUSY; with
 * `givesUp` H_NOT_FOUND, nobody has begun to serve it and nobody will, or H_PARTIAL, somebody was serving it. H_CLOSED: the
 * thread that was asked has exited.
 */
export function collectRequest(index: f64, givesUp: f64): i32 {
  const box = decodeInteger(index);
  const mode = decodeInteger(givesUp);
  if (box >= u32(MAILS) || mode > 1) return H_PARAMETER;
  const mail = mailAt(THREAD, box);
  for (let i: u32 = 0; i < TRIES; i++) {
    // In this order: a thread that has exited answers nothing any more.
    const isGone = slotNamed(atomic.load<u32>(mail, MAIL_SERVER)) == NONE;
    const word = atomic.load<u64>(mail);
    const state = stateIn(word);
    const isWaiting = state == MAIL_POSTED || state == MAIL_TAKEN;
    if (isWaiting && mode == 0 && !isGone) return H_BUSY;
    if (!exchange(mail, word, turned(word, MAIL_IDLE, 0, 0))) continue;
    if (state == MAIL_ANSWERED) return answerIn(word);
    if (isGone) return H_CLOSED;
    return state == MAIL_TAKEN ? H_PARTIAL : H_NOT_FOUND;
  }
  return H_BUSY;
}

function answerIn(word: u64): i32 {
  const code = (stateWord(word) >> MAIL_STATUS_SHIFT) & MAIL_STATUS_MASK;
  if (code == u32(MAIL_STATUS_MASK)) return H_LONG_BUSY_10_MSEC;
  setResult(f64(<u32>word));
  return -(<i32>code);
}

/** What a thread that has exited asked for is not served any more, nor answered to whoever has its slot next. */
export function endRequestsOf(slot: u32): void {
  for (let index: u32 = 0; index < u32(MAILS); index++) {
    const mail = mailAt(threadAt(slot), index);
    const word = atomic.load<u64>(mail);
    // Who serves it may be answering: whichever comes second finds that the other one has been there.
    if (stateIn(word) != MAIL_IDLE) withdraw(mail);
  }
}

/** Who waits for an answer of a thread that has exited looks again. */
export function ringCallersOf(slot: u32): void {
  for (let other: u32 = 0; other < header(HEADER_THREADS_USED); other++) {
    if (other != slot && asks(threadAt(other), slot)) ring(threadAt(other));
  }
}

/** Whether a thread asks one that had, or has, this slot. */
function asks(thread: usize, slot: u32): bool {
  for (let index: u32 = 0; index < u32(MAILS); index++) {
    const mail = mailAt(thread, index);
    if (stateIn(atomic.load<u64>(mail)) == MAIL_IDLE) continue;
    if ((atomic.load<u32>(mail, MAIL_SERVER) & LOCK_SLOT_MASK) == slot + 1) return true;
  }
  return false;
}
