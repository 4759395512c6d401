/**
 * Thread records: one per thread that may change the table; slot 0 is the thread that owns it.
 *
 *     0    4          8    12        16                    40      44       48     64    128   144  ... 256
 *     name generation lpid log count job, five words       reaping starting result epoch entry rest     log
 *
 * `name` is what the thread writes into the lock: slot + 1 and a generation, so that a name is never used twice in
 * living memory. Everything here is written by the thread itself, or by the owner when it has none or it is dead.
 */
import {
  H_NO_MEM,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_EPOCH,
  HEADER_THREADS_AT,
  HEADER_THREADS_MAX,
  HEADER_THREADS_USED,
  LOCK_ALL,
  LOCK_GENERATION_LIMIT,
  LOCK_GENERATION_SHIFT,
  LOCK_SLOT_MASK,
  MODEL_ANY,
  STRUCTURES_LIMIT,
  THREAD_BYTES,
  THREAD_EPOCH,
  THREAD_GENERATION,
  THREAD_LOCK_A,
  THREAD_LOCK_B,
  THREAD_LPID,
  THREAD_MODEL_EPOCH,
  THREAD_MODEL_ROOT,
  THREAD_NAME,
  THREAD_RESULT,
  THREAD_WAITS_FOR,
  THREADS_LIMIT,
} from "../src/layout";
import { decodeInteger } from "./decode";
import { put, putShared, THREAD } from "./log";
import { header, NONE, setHeader, setResult } from "./memory";
import { decodePartition, isRunning } from "./partition";

if (THREAD_RESULT % 8 != 0 || THREAD_BYTES % 64 != 0) ERROR("a thread record is made of cache lines");
if ((THREADS_LIMIT + 1) >> LOCK_GENERATION_SHIFT != 1) ERROR("a slot fits its bits of the name");

export function threadAt(slot: u32): usize {
  return <usize>header(HEADER_THREADS_AT) + <usize>slot * THREAD_BYTES;
}

export function threadWord(thread: usize, offset: usize): u32 {
  return load<u32>(thread + offset);
}

/** The slot of the thread that runs this. */
export function ownSlot(): u32 {
  return <u32>((THREAD - <usize>header(HEADER_THREADS_AT)) / THREAD_BYTES);
}

function takeSlot(slot: u32, lpid: u32): void {
  const thread = threadAt(slot);
  const old = threadWord(thread, THREAD_GENERATION);
  const generation = old == u32(LOCK_GENERATION_LIMIT) ? 1 : old + 1;
  put(thread + THREAD_GENERATION, generation);
  put(thread + THREAD_LPID, lpid);
  putShared(thread + THREAD_NAME, (generation << LOCK_GENERATION_SHIFT) | (slot + 1));
  if (slot >= header(HEADER_THREADS_USED)) setHeader(HEADER_THREADS_USED, slot + 1);
}

/** Makes whoever opens the table its owner. */
export function openThreads(): void {
  setHeader(HEADER_EPOCH, 1);
  takeSlot(0, 0);
}

/** A slot for the thread that is to be a running partition. R4: the slot. H_NO_MEM when all are in use. */
export function openThread(lpid: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0 || !isRunning(partition)) return H_PARAMETER;
  for (let slot: u32 = 1; slot < header(HEADER_THREADS_MAX); slot++) {
    if (threadWord(threadAt(slot), THREAD_NAME) != 0) continue;
    takeSlot(slot, decodeInteger(lpid));
    setResult(f64(slot));
    return H_SUCCESS;
  }
  return H_NO_MEM;
}

/** The slot that a caller's number names if some other thread has it; else NONE. */
export function decodeSlot(slot: f64): u32 {
  const index = decodeInteger(slot);
  if (index == 0 || index >= header(HEADER_THREADS_MAX)) return NONE;
  return threadWord(threadAt(index), THREAD_NAME) == 0 ? NONE : index;
}

/** The slot of the thread with this name, or NONE if it has exited. A name is never used twice in living memory. */
export function slotNamed(name: u32): u32 {
  const slot = (name & LOCK_SLOT_MASK) - 1;
  if (slot >= header(HEADER_THREADS_USED)) return NONE;
  return atomic.load<u32>(threadAt(slot), THREAD_NAME) == name ? slot : NONE;
}

export function freeSlot(slot: u32): void {
  putShared(threadAt(slot) + THREAD_NAME, 0);
  put(threadAt(slot) + THREAD_LPID, 0);
}

// ---------------------------------------------------------------- locks that this thread holds

/** Whether this thread holds every lock. */
export function holdsAll(): bool {
  return load<u32>(THREAD, THREAD_LOCK_A) == LOCK_ALL;
}

/** Whether this thread, which does not hold all, holds the lock of a partition. */
export function holdsOne(lpid: u32): bool {
  return load<u32>(THREAD, THREAD_LOCK_A) == lpid || load<u32>(THREAD, THREAD_LOCK_B) == lpid;
}

/** Whether this thread holds the lock of a partition. */
export function holds(lpid: u32): bool {
  return holdsOne(lpid) || holdsAll();
}

// ---------------------------------------------------------------- uses: what a revocation must wait for

/**
 * A use of translations begins: from here to leaveUse() whoever revokes waits. The store is atomic, and so is every load
 * of an entry after it: either the one who revokes sees this use, or this use sees what was revoked.
 */
export function enterUse(): void {
  atomic.store<u32>(THREAD, atomic.load<u32>(HEADER_EPOCH), THREAD_EPOCH);
}

/** Whether a use of this thread runs. */
export function isInUse(): bool {
  return load<u32>(THREAD, THREAD_EPOCH) != 0;
}

export function leaveUse(): void {
  atomic.store<u32>(THREAD, 0, THREAD_EPOCH);
}

/** A call that changes the table is no use; one that a trap left open ends here. */
export function endStaleUse(): void {
  if (load<u32>(THREAD, THREAD_EPOCH) != 0) leaveUse();
}

/** What is revoked by now can be in use only by uses older than the epoch that this answers. Odd: 0 would say that no use runs. */
export function nextEpoch(): u32 {
  return atomic.add<u32>(HEADER_EPOCH, 2) + 2;
}

/**
 * Whether a use of another thread runs. Where none does there is no need of a new epoch, whose word every thread would have to
 * fetch again: a use that begins after this look finds what was cut before it.
 */
export function anyUse(): bool {
  const own = ownSlot();
  for (let slot: u32 = 0; slot < header(HEADER_THREADS_USED); slot++) {
    if (atomic.load<u32>(threadAt(slot), THREAD_EPOCH) != 0 && slot != own) return true;
  }
  return false;
}

/** The slot of another thread whose running use is older than the epoch, or NONE. */
export function olderUse(epoch: u32): u32 {
  const own = ownSlot();
  for (let slot: u32 = 0; slot < header(HEADER_THREADS_USED); slot++) {
    const began = atomic.load<u32>(threadAt(slot), THREAD_EPOCH);
    if (began != 0 && <i32>(began - epoch) < 0 && slot != own) return slot;
  }
  return NONE;
}

/** Names the partition whose use, by the thread in a slot, holds up what this thread does: THREAD_WAITS_FOR. */
export function nameUser(slot: u32): void {
  store<u32>(THREAD, threadWord(threadAt(slot), THREAD_LPID) + 1, THREAD_WAITS_FOR);
}

/** Looks at other threads' uses before who moves pages gives up: a use is over in microseconds, unless its thread sleeps. */
const QUIET_LOOKS: u32 = 10_000;

/**
 * Waits a little for all uses that began before an epoch. Answers NONE, or the slot of a thread whose use is not over: what was
 * held for this must then be let go.
 */
export function awaitOlder(epoch: u32): u32 {
  let slot = olderUse(epoch);
  for (let look: u32 = 0; slot != NONE && look < QUIET_LOOKS; look++) slot = olderUse(epoch);
  return slot;
}

/** The same for all uses that run. */
export function awaitUses(): u32 {
  return awaitOlder(nextEpoch());
}

/** The use of a thread that has exited is over, and so is the access to a device that it served. */
export function endUseOf(slot: u32): void {
  const thread = threadAt(slot);
  atomic.store<u32>(thread, 0, THREAD_EPOCH);
  atomic.store<u32>(thread, 0, THREAD_MODEL_EPOCH);
  atomic.store<u32>(thread, 0, THREAD_MODEL_ROOT);
}

// ---------------------------------------------------------------- accesses to devices, which run somebody's code

if (MODEL_ANY <= STRUCTURES_LIMIT) ERROR("no structure has the number that means any window");

/**
 * An access to a device begins: from here to leaveModel() whoever revokes its window waits. Apart from other uses, since a
 * model is somebody's code, which takes as long as it takes and makes calls of its own: nobody else is to wait for it. One
 * inside another keeps the older epoch. Answers what to give to leaveModel(). The order of the stores is what lets who
 * revokes look at the epoch first: who sees one sees a window that is no older.
 */
export function enterModel(): u32 {
  const outer = load<u32>(THREAD, THREAD_MODEL_ROOT);
  atomic.store<u32>(THREAD, MODEL_ANY, THREAD_MODEL_ROOT);
  if (outer == 0) atomic.store<u32>(THREAD, atomic.load<u32>(HEADER_EPOCH), THREAD_MODEL_EPOCH);
  return outer;
}

/** The access that has begun is one to this window, and to no other unless it is inside another one. */
export function nameModel(outer: u32, window: u32): void {
  if (outer == 0) atomic.store<u32>(THREAD, window, THREAD_MODEL_ROOT);
}

export function leaveModel(outer: u32): void {
  if (outer == 0) atomic.store<u32>(THREAD, 0, THREAD_MODEL_EPOCH);
  atomic.store<u32>(THREAD, outer, THREAD_MODEL_ROOT);
}

/** The slot of another thread whose running access to this window is older than the epoch, or NONE. */
export function olderModel(epoch: u32, window: u32): u32 {
  const own = ownSlot();
  for (let slot: u32 = 0; slot < header(HEADER_THREADS_USED); slot++) {
    const thread = threadAt(slot);
    const began = atomic.load<u32>(thread, THREAD_MODEL_EPOCH);
    if (began == 0 || <i32>(began - epoch) >= 0 || slot == own) continue;
    const root = atomic.load<u32>(thread, THREAD_MODEL_ROOT);
    if (root == window || root == u32(MODEL_ANY)) return slot;
  }
  return NONE;
}
