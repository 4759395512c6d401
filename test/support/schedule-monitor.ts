/**
 * The monitor: what stands beside the instrumented core and sees every access. It tells where the schedule may change,
 * collects which words are in dispute, looks for data races with vector clocks, and for strays: accesses to a frame by
 * who has lost it. It is written in AssemblyScript, since it runs for every access; its state stands in the tail of the
 * same memory, behind the table.
 *
 *     class of a word   1 point: in dispute, the schedule may change before each access to it
 *                       4 guess: who reads it plainly and without a lock looks again with the lock
 *                       8 state: as a guess, and the atomic read of a use may meet the plain store (see GUESSES)
 *
 * A frame of memory is always a point, and watched for strays.
 */
import { HEADER_LOCK, LOCK_SLOT_MASK, THREAD_MAIL } from "../../src/layout.js";
import { buildText } from "./schedule-build.js";

/** Threads that take part: the owner, who reaps, and at most three others. */
export const THREADS = 4;
/** The table must end here. */
const TAIL = 0x40000;
const CLASS_AT = TAIL;
const SEEN_AT = TAIL + 0x10000;
const RACE_AT = TAIL + 0x100000;
const SYNC_AT = TAIL + 0x500000;
const STACKS_AT = TAIL + 0x600000;
const SAVED_AT = TAIL + 0x640000;
const VECTOR_AT = TAIL + 0x680000;
const FORBIDDEN_AT = TAIL + 0x681000;
/** Where the machine leaves what is not in memory, for fingerprint(). */
export const EXTRA_AT: number = TAIL + 0x682000;
const TOUCHED_AT = TAIL + 0x688000;
export const STACK_BYTES = 0x10000;
export const MONITORED_PAGES: number = (TAIL + 0x690000) / 0x10000;

export const stackOf = (thread: number): number => STACKS_AT + thread * STACK_BYTES;

/** Classes of words, as the monitor's source says. */
export const POINT = 1;
export const GUESS = 4;
export const STATE = 8;

/** What point() answers. */
export const SWITCH = 1;
export const DEATH = 2;

const SOURCE = `
const CLASS: usize = ${CLASS_AT};
const SEEN: usize = ${SEEN_AT};
const RACE: usize = ${RACE_AT};
const SYNC: usize = ${SYNC_AT};
const SAVED: usize = ${SAVED_AT};
const VECTOR: usize = ${VECTOR_AT};
const FORBIDDEN: usize = ${FORBIDDEN_AT};
const EXTRA: usize = ${EXTRA_AT};
const STACKS: usize = ${STACKS_AT};
const TAIL: u32 = ${TAIL};

/** Blocks of 256 bytes that were written since restore(): a flag each, the list of them, and what each is as saved. */
const TOUCHED: usize = ${TOUCHED_AT};
const TOUCHED_LIST: usize = TOUCHED + 0x400;
const SAVED_HASH: usize = TOUCHED + 0x1000;
let touched: u32 = 0;

let on: bool = false;
let mortal: bool = false;
let flexible: bool = false;
let racing: bool = false;
let me: u32 = 0;
let own: usize = 0;
let threads: usize = 0;
let threadBytes: u32 = 0;
let logAt: u32 = 0;
let epochAt: u32 = 0;
let framesAt: usize = 0;
let frameMapAt: usize = 0;
let lockCount: u32 = 0;
let deadMask: u32 = 0;
let stoppedAt: u32 = 0;
let stoppedKind: u32 = 0;

// The first trouble of a schedule: what, where, who, with whom.
let trouble: u32 = 0;
let troubleAt: u32 = 0;
let troubleThread: u32 = 0;
let troubleWith: u32 = 0;

/** Locks and names, in a small array each. */
const LOCKS: usize = VECTOR + 1024;
const NAMES: usize = VECTOR + 1280;

export function setUp(threadsAt: u32, bytes: u32, log: u32, epoch: u32, frames: u32, map: u32): void {
  threads = threadsAt; threadBytes = bytes; logAt = log; epochAt = epoch; framesAt = frames; frameMapAt = map;
}
export function setLock(index: u32, at: u32): void { store<u32>(LOCKS + (index << 2), at); lockCount = index + 1; }
export function setName(thread: u32, name: u32): void { store<u32>(NAMES + (thread << 2), name); }
export function setClass(address: u32, bits: u32): void { store<u8>(CLASS + (address >> 2), bits); }
export function run(thread: u32): void { me = thread; own = threads + thread * threadBytes; }
export function setOn(value: bool): void { on = value; }
export function setMortal(value: bool): void { mortal = value; }
export function setFlexible(value: bool): void { flexible = value; }
export function setRacing(value: bool): void { racing = value; }
export function setDead(thread: u32): void { deadMask |= 1 << thread; }
export function whatTrouble(): u32 { return trouble; }
export function whereTrouble(): u32 { return troubleAt; }
export function whoseTrouble(): u32 { return troubleThread; }
export function withTrouble(): u32 { return troubleWith; }
/** The access before which it was last asked whether to stop. */
export function whereStopped(): u32 { return stoppedAt; }
export function howStopped(): u32 { return stoppedKind; }

function report(kind: u32, at: u32, other: u32): void {
  if (trouble != 0) return;
  trouble = kind; troubleAt = at; troubleThread = me; troubleWith = other;
}

function touch(at: u32, bytes: u32): void {
  for (let block = at >> 8; block <= (at + bytes - 1) >> 8; block++) {
    if (block >= TAIL >> 8 || load<u8>(TOUCHED + block) != 0) continue;
    store<u8>(TOUCHED + block, 1);
    store<u16>(TOUCHED_LIST + (touched++ << 1), block);
  }
}

function hash(block: u32): u64 {
  let a: u64 = 0x9e3779b97f4a7c15 ^ block;
  let b: u64 = 0xc2b2ae3d27d4eb4f + block;
  const end = <usize>((block + 1) << 8);
  for (let at = <usize>(block << 8); at < end; at += 16) {
    a = (a ^ load<u64>(at)) * 0xff51afd7ed558ccd;
    b = (b ^ load<u64>(at, 8)) * 0xc4ceb9fe1a85ec53;
    a ^= a >> 29;
    b ^= b >> 31;
  }
  a = (a ^ (b << 1)) * 0x9e3779b97f4a7c15;
  return a ^ (a >> 32);
}

/** The table as it stands is what restore() brings back. */
export function save(bytes: u32): void {
  memory.copy(SAVED, 0, bytes);
  for (let block: u32 = 0; block < bytes >> 8; block++) store<u64>(SAVED_HASH + (block << 3), hash(block));
  memory.fill(TOUCHED, 0, 0x400);
  touched = 0;
}

export function restore(): void {
  for (let i: u32 = 0; i < touched; i++) {
    const block = <u32>load<u16>(TOUCHED_LIST + (i << 1));
    memory.copy(block << 8, SAVED + (block << 8), 256);
    store<u8>(TOUCHED + block, 0);
  }
  touched = 0;
  memory.fill(FORBIDDEN, 0, 256);
  deadMask = 0;
  trouble = 0;
  // All that was before is before: no clock is ever set back.
  let most: u32 = 0;
  for (let i: usize = 0; i < 16; i++) most = max(most, load<u32>(VECTOR + (i << 2)));
  for (let t: usize = 0; t < 4; t++)
    for (let u: usize = 0; u < 4; u++) store<u32>(VECTOR + (t << 4) + (u << 2), t == u ? most + 1 : most);
}

/**
 * A number for the state of the table without the records of threads, which stand between these two: the sum over all
 * blocks of what each of them adds, as far as it is not what it was when it was saved.
 */
export function digest(skipFrom: u32, skipTo: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < touched; i++) {
    const block = <u32>load<u16>(TOUCHED_LIST + (i << 1));
    if (block < skipFrom >> 8 || block >= skipTo >> 8) sum += hash(block) - load<u64>(SAVED_HASH + (block << 3));
  }
  return sum;
}

let a: u64 = 0;
let b: u64 = 0;
function mix(from: usize, to: usize): void {
  for (let at = from; at < to; at += 16) {
    a = (a ^ load<u64>(at)) * 0xff51afd7ed558ccd;
    b = (b ^ load<u64>(at, 8)) * 0xc4ceb9fe1a85ec53;
    a ^= a >> 29;
    b ^= b >> 31;
  }
}

/**
 * A number for all that decides how the threads go on: the table, the records of threads as far as they mean anything, the
 * calls that threads have left for a while, and what the machine left in EXTRA. No thread is inside a call now.
 */
export function fingerprint(partitionsAt: u32, logTopAt: u32, extra: u32, suspended: u32): f64 {
  a = 0x9e3779b97f4a7c15 ^ digest(<u32>threads, partitionsAt);
  b = 0xc2b2ae3d27d4eb4f;
  for (let t: u32 = 0; t < 4; t++) {
    const thread = threads + t * threadBytes;
    const isReaped = ((deadMask >> t) & 1) != 0 && load<u32>(thread) == 0;
    mix(thread, thread + (isReaped ? 16 : logAt));
    if (!isReaped) mix(thread + logAt, thread + logAt + ((load<u32>(thread + logTopAt) + 15) & ~15));
    mix(thread + ${THREAD_MAIL}, thread + threadBytes);
    const stack = STACKS + (t << 16);
    if (((suspended >> t) & 1) != 0) {
      const top = <usize>load<u32>(stack);
      store<u64>(top, 0);
      store<u64>(top, 0, 8);
      mix(stack, top);
    }
  }
  mix(FORBIDDEN, FORBIDDEN + 64);
  store<u64>(EXTRA + extra, 0);
  store<u64>(EXTRA + extra, 0, 8);
  mix(EXTRA, EXTRA + extra);
  // As many bits as a number of JavaScript has.
  return f64(((a ^ (b << 1)) * 0x9e3779b97f4a7c15) >> 11);
}

/** Everything up to now in one thread happens before what follows in another: an exit and who has heard of it. */
export function happensBefore(first: u32, second: u32): void {
  join(VECTOR + (second << 4), VECTOR + (first << 4));
  tick(first);
}
function join(into: usize, from: usize): void {
  for (let u: usize = 0; u < 16; u += 4) store<u32>(into + u, max(load<u32>(into + u), load<u32>(from + u)));
}
function tick(thread: u32): void {
  const at = VECTOR + (thread << 4) + (thread << 2);
  store<u32>(at, load<u32>(at) + 1);
}

/** The locks that this thread holds, by the words of the locks. */
function lockset(): u32 {
  const name = load<u32>(NAMES + (me << 2));
  let held: u32 = 0;
  for (let i: u32 = 0; i < lockCount; i++) {
    if ((load<u32>(<usize>load<u32>(LOCKS + (i << 2))) & 0xbfffffff) == name) held |= 1 << i;
  }
  return held;
}

/** What of a thread's own record is read by other threads while it lives. */
function isOwn(at: u32): bool {
  const offset = at - <u32>own;
  return offset < ${THREAD_MAIL} && (offset & ~3) != epochAt;
}

/**
 * Before an access: may the schedule change here (1), may the thread die here (2)? The first is only asked while preemptions
 * are left. A death before a read leaves what a death before the next write leaves. One before a note is as good as one
 * before the top of the notes moves, and so is one before a store to a word that is not in dispute: nobody sees the word
 * until the call is mended.
 */
export function point(at: u32, bytes: u32, kind: u32): u32 {
  if (!on) return 0;
  stoppedAt = at;
  stoppedKind = kind;
  const writes = (kind & 10) != 0;
  const death: u32 = mortal && writes ? 2 : 0;
  if (isOwn(at)) return at - <u32>own < logAt ? death : 0;
  if (!flexible && death == 0) return 0;
  const answer: u32 = death | (flexible ? 1 : 0);
  if (kind == 8) return answer;
  if (at >= <u32>framesAt) return bytes != 0 ? answer : 0;
  const last = (at + bytes - 1) >> 2;
  for (let word = at >> 2; word <= last; word++) {
    if ((load<u8>(CLASS + word) & 1) != 0) return answer;
  }
  return 0;
}

export function record(at: u32, bytes: u32, kind: u32): void {
  if (bytes == 0) return;
  if ((kind & 2) != 0) touch(at, bytes);
  if (!on || isOwn(at)) return;
  if (at >= <u32>framesAt) { data(at); return; }
  const held = lockset() | 0x80;
  const last = (at + bytes - 1) >> 2;
  for (let word = at >> 2; word <= last; word++) {
    const seen = SEEN + (word << 3) + (me << 1);
    if ((kind & 1) != 0) {
      const old = load<u8>(seen);
      store<u8>(seen, old == 0 ? held : old & held);
    }
    if ((kind & 2) != 0) {
      const old = load<u8>(seen, 1);
      store<u8>(seen, old == 0 ? held : old & held, 1);
    }
    if (racing) race(word, kind);
  }
  // A record of a living thread is its own, but for its epoch, its mailboxes, and what the owner gave it.
  const offset = at - <u32>threads;
  if (offset < threadBytes * 4) {
    const slot = offset / threadBytes;
    const field = offset % threadBytes;
    if (((deadMask >> slot) & 1) == 0 && field > 8 && field != epochAt && field < ${THREAD_MAIL}) report(2, at, slot);
  }
}

/** Whether this thread holds the lock that is taken first by who takes all. */
function holdsAll(): bool {
  return (load<u32>(${HEADER_LOCK}) & ${LOCK_SLOT_MASK}) == me + 1;
}

/** A frame is accessed: by who may, and it is not free, unless to be zeroed after an undo? */
function data(at: u32): void {
  const frame = (at - <u32>framesAt) >> 12;
  if (((load<u8>(FORBIDDEN + frame) >> <u8>me) & 1) != 0) report(1, at, frame);
  if (((load<u64>(frameMapAt + ((frame >> 6) << 3)) >> (frame & 63)) & 1) != 0 && !holdsAll()) report(1, at, frame);
}

export function forbid(frame: u32, thread: u32): void {
  store<u8>(FORBIDDEN + frame, load<u8>(FORBIDDEN + frame) | <u8>(1 << <u8>thread));
}

function isUnordered(clocks: usize, kind: u32): bool {
  for (let u: u32 = 0; u < 4; u++) {
    if (u == me) continue;
    if (load<u32>(clocks + (kind << 4) + (u << 2)) > load<u32>(VECTOR + (me << 4) + (u << 2))) {
      report(4 | kind, 0, u);
      return true;
    }
  }
  return false;
}

/** Accesses of one word by kind: 0 plain read, 1 plain write, 2 atomic read, 3 atomic write. */
function race(word: u32, kind: u32): void {
  const isAtomic = (kind & 4) != 0;
  const writes = (kind & 2) != 0;
  const sync = SYNC + (word << 4);
  const mine = VECTOR + (me << 4);
  if (isAtomic && (kind & 1) != 0) join(mine, sync);
  const clocks = RACE + (word << 6);
  const mode: u32 = (isAtomic ? 2 : 0) | (writes ? 1 : 0);
  const before = trouble;
  const bits = load<u8>(CLASS + word);
  const isGuess = (bits & 12) != 0;
  const isState = (bits & 8) != 0;
  let found = false;
  if (!(mode == 0 && isGuess) && !(mode == 2 && isState)) found = isUnordered(clocks, 1);
  if (!found && (mode & 1) != 0 && !isGuess) found = isUnordered(clocks, 0);
  if (!found && mode < 2 && !(mode == 0 && isGuess)) found = isUnordered(clocks, 3);
  if (!found && mode == 1 && !isState) found = isUnordered(clocks, 2);
  if (found && before == 0) { troubleAt = word << 2; trouble |= mode << 4; }
  store<u32>(clocks + (mode << 4) + (me << 2), load<u32>(mine + (me << 2)));
  if (isAtomic && writes) {
    if ((kind & 1) != 0) join(sync, mine);
    else memory.copy(sync, mine, 16);
    tick(me);
  }
}

export function clearSeen(bytes: u32): void { memory.fill(SEEN, 0, bytes << 1); }

/**
 * Words that two threads access, one of them to write, without a lock that both always hold then: from now on the schedule
 * may change before each access to them. Answers how many are new.
 */
export function findDisputes(bytes: u32): u32 {
  let count: u32 = 0;
  for (let word: u32 = 0; word < bytes >> 2; word++) {
    const bits = load<u8>(CLASS + word);
    if ((bits & 1) != 0) continue;
    const seen = SEEN + (word << 3);
    if (load<u64>(seen) == 0) continue;
    let isDisputed = false;
    for (let t: u32 = 0; t < 4; t++) {
      const wrote = load<u8>(seen + (t << 1), 1);
      if (wrote == 0) continue;
      for (let u: u32 = 0; u < 4; u++) {
        if (u == t) continue;
        const read = load<u8>(seen + (u << 1));
        const written = load<u8>(seen + (u << 1), 1);
        if (read != 0 && (read & wrote & 0x7f) == 0) isDisputed = true;
        if (written != 0 && (written & wrote & 0x7f) == 0) isDisputed = true;
      }
    }
    if (isDisputed) { store<u8>(CLASS + word, bits | 1); count++; }
  }
  return count;
}
`;

/** The monitor's functions. */
export interface Monitor {
  setUp(threads: number, bytes: number, log: number, epoch: number, frames: number, map: number): void;
  setLock(index: number, at: number): void;
  setName(thread: number, name: number): void;
  setClass(address: number, bits: number): void;
  run(thread: number): void;
  setOn(value: boolean): void;
  setMortal(value: boolean): void;
  setFlexible(value: boolean): void;
  setRacing(value: boolean): void;
  setDead(thread: number): void;
  whatTrouble(): number;
  whereTrouble(): number;
  whoseTrouble(): number;
  withTrouble(): number;
  whereStopped(): number;
  howStopped(): number;
  save(bytes: number): void;
  restore(): void;
  digest(skipFrom: number, skipTo: number): bigint;
  fingerprint(partitions: number, logTop: number, extra: number, suspended: number): number;
  happensBefore(first: number, second: number): void;
  point(at: number, bytes: number, kind: number): number;
  record(at: number, bytes: number, kind: number): void;
  forbid(frame: number, thread: number): void;
  clearSeen(bytes: number): void;
  findDisputes(bytes: number): number;
}

let compiled: Promise<WebAssembly.Module> | undefined;

export async function openMonitor(memory: WebAssembly.Memory): Promise<Monitor> {
  compiled ??= buildText(SOURCE);
  const instance = new WebAssembly.Instance(await compiled, { env: { memory } });
  return instance.exports as unknown as Monitor;
}
