/**
 * Control structures: one per elemental resource and per grant, in trees.
 *
 *     0     1     2        3     4          8      10   12  14      16     20    24   28
 *     state space inhibits flags generation holder pins end entries parent child next previous
 *     32        36            40         44        48   52     56        60
 *     next held previous held source page page count page cursor remaining or ahead, liobn or window
 *
 * A slot is named by its index, 0 is none. Of a released slot count the state, the generation, which makes the cookie of
 * the next use a new one, and the link to the next free one; the rest is left as it was. A slot whose generations are used
 * up is retired (G3).
 *
 *     state       in the tree  in a list of the holder  addresses taken  entries
 *     owned       root         owned                    yes              valid
 *     granted     yes          held                     no
 *     shared      yes          held                     yes              valid (rescinded once marked)
 *     rescinded   no           held                     yes              rescinded
 *     returning   yes          held                     yes              unmapped
 *     free, retired: none
 */
import {
  AHEAD_STEP,
  FLAG_COPY_ON_WRITE,
  FLAG_DONATED,
  FLAG_LENT,
  FLAG_REVOKING,
  FLAG_ZERO,
  HEADER_MARKING,
  HEADER_STRUCTURES_MAX,
  HINT_SHARED,
  PARTITION_HELD,
  PARTITION_OWNED,
  PINS_LIMIT,
  SPACE_MEMORY,
  STRUCTURE_AHEAD,
  STRUCTURE_CHILD,
  STRUCTURE_COPIES,
  STRUCTURE_CURSOR,
  STRUCTURE_END,
  STRUCTURE_ENTRIES,
  STRUCTURE_FLAGS,
  STRUCTURE_GENERATION,
  STRUCTURE_GRANTED,
  STRUCTURE_HOLDER,
  STRUCTURE_INHIBITS,
  STRUCTURE_LIOBN,
  STRUCTURE_MOVED,
  STRUCTURE_NEXT,
  STRUCTURE_NEXT_HELD,
  STRUCTURE_OWNED,
  STRUCTURE_PAGE,
  STRUCTURE_PAGE_COUNT,
  STRUCTURE_PARENT,
  STRUCTURE_PINS,
  STRUCTURE_PREVIOUS,
  STRUCTURE_PREVIOUS_HELD,
  STRUCTURE_REMAINING,
  STRUCTURE_RESCINDED,
  STRUCTURE_RETURNING,
  STRUCTURE_SHARED,
  STRUCTURE_SOURCE_PAGE,
  STRUCTURE_SPACE,
  STRUCTURE_STATE,
  STRUCTURE_WINDOW,
  STRUCTURE_ZEROED,
  STRUCTURES_AT,
  ZEROING,
} from "../src/layout";
import { decodeSlotOf, encodeCookie } from "./decode";
import { put, Words } from "./log";
import { header } from "./memory";
import { partitionWord } from "./partition";

export function structureAt(slot: u32): usize {
  return usize(STRUCTURES_AT) + ((<usize>slot) << 6);
}

export function slotOf(structure: usize): u32 {
  return <u32>((structure - usize(STRUCTURES_AT)) >> 6);
}

export function stateOf(structure: usize): u32 {
  return load<u8>(structure, STRUCTURE_STATE);
}

/** Changes one byte of the first word. */
function setFirst(structure: usize, offset: usize, value: u32): void {
  const shift = <u32>(offset << 3);
  put(structure, (load<u32>(structure) & ~(0xff << shift)) | (value << shift));
}

export function setState(structure: usize, state: u32): void {
  setFirst(structure, STRUCTURE_STATE, state);
}

export function spaceOf(structure: usize): u32 {
  return load<u8>(structure, STRUCTURE_SPACE);
}

export function inhibitsOf(structure: usize): u32 {
  return load<u8>(structure, STRUCTURE_INHIBITS) & ~HINT_SHARED;
}

/** Whether a grant of it may be one that is no lend; said once, and taken back when there is none at all. */
export function hintsShared(structure: usize): bool {
  return (load<u8>(structure, STRUCTURE_INHIBITS) & HINT_SHARED) != 0;
}

export function hintShared(structure: usize, isShared: bool): void {
  if (hintsShared(structure) == isShared) return;
  setFirst(structure, STRUCTURE_INHIBITS, inhibitsOf(structure) | (isShared ? HINT_SHARED : 0));
}

export function hasFlag(structure: usize, flag: u32): bool {
  return (load<u8>(structure, STRUCTURE_FLAGS) & flag) != 0;
}

export function setFlag(structure: usize, flag: u32): void {
  setFirst(structure, STRUCTURE_FLAGS, load<u8>(structure, STRUCTURE_FLAGS) | flag);
}

/** Where a mapping begins and ends, with what counts it. Methods, since only those are inlined on demand. */
export class Shared {
  /** Granted becomes Shared, from a page on. */
  @inline
  static begin(structure: usize, page: u32, counter: usize, count: u32): void {
    const first = (load<u32>(structure) & ~0xff) | STRUCTURE_SHARED;
    Words.put3(structure + STRUCTURE_PAGE, page, structure + STRUCTURE_STATE, first, counter, count);
  }

  /** It becomes Granted, and has no page. */
  @inline
  static end(structure: usize, counter: usize, count: u32): void {
    const first = (load<u32>(structure) & ~0xff) | STRUCTURE_GRANTED;
    Words.put3(structure + STRUCTURE_PAGE, 0, structure + STRUCTURE_STATE, first, counter, count);
  }
}

export function clearFlag(structure: usize, flag: u32): void {
  setFirst(structure, STRUCTURE_FLAGS, load<u8>(structure, STRUCTURE_FLAGS) & ~flag);
}

export function generationOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_GENERATION);
}

export function holderOf(structure: usize): u32 {
  return load<u16>(structure, STRUCTURE_HOLDER);
}

export function endOf(structure: usize): u32 {
  return load<u16>(structure, STRUCTURE_END);
}

export function parentOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PARENT);
}

/** Who granted a structure that is in the tree. */
export function grantorOf(structure: usize): u32 {
  return holderOf(structureAt(parentOf(structure)));
}

export function childOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_CHILD);
}

export function nextOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_NEXT);
}

export function previousOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PREVIOUS);
}

export function nextHeldOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_NEXT_HELD);
}

export function previousHeldOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PREVIOUS_HELD);
}

export function sourcePageOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_SOURCE_PAGE);
}

export function pageCountOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PAGE_COUNT);
}

export function pageOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_PAGE);
}

/** How many pages of a structure of memory a forced rescind has looked at, and moved away from views. */
export function movedOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_MOVED);
}

export function setMoved(structure: usize, count: u32): void {
  put(structure + STRUCTURE_MOVED, count);
}

export function liobnOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_LIOBN);
}

/** Whether pages of a lend that ends are being zeroed: then none has to be moved any more. */
export function isZeroing(structure: usize): bool {
  return hasFlag(structure, FLAG_ZERO) && (load<u32>(structure, STRUCTURE_ZEROED) & ZEROING) != 0;
}

/** Of a lend that ends: pages that are zero already. */
export function zeroedOf(structure: usize): u32 {
  return isZeroing(structure) ? load<u32>(structure, STRUCTURE_ZEROED) & ~ZEROING : 0;
}

export function setZeroed(structure: usize, pages: u32): void {
  put(structure + STRUCTURE_ZEROED, ZEROING | pages);
}

/** Of a lend that is zeroed when it ends: nothing has been, and it may be accepted again. */
export function clearZeroed(structure: usize): void {
  put(structure + STRUCTURE_ZEROED, 0);
}

/** Of a copy-on-write grant: how many of its pages are private. */
export function copiesOf(structure: usize): u32 {
  return hasFlag(structure, FLAG_COPY_ON_WRITE) ? load<u32>(structure, STRUCTURE_COPIES) : 0;
}

export function addCopies(structure: usize, delta: u32): void {
  put(structure + STRUCTURE_COPIES, copiesOf(structure) + delta);
}

/** Of a structure of MMIO: the elemental window that it is, or was granted from. */
export function windowOf(structure: usize): u32 {
  return stateOf(structure) == STRUCTURE_OWNED ? slotOf(structure) : load<u32>(structure, STRUCTURE_WINDOW);
}

/** Of an elemental window: the name of the thread that serves it, 0 if nobody does. */
export function servantOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_WINDOW);
}

export function setServant(structure: usize, name: u32): void {
  put(structure + STRUCTURE_WINDOW, name);
}

export function cursorOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_CURSOR);
}

export function setCursor(structure: usize, cursor: u32): void {
  put(structure + STRUCTURE_CURSOR, cursor);
}

export function remainingOf(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_REMAINING);
}

export function setRemaining(structure: usize, steps: u32): void {
  put(structure + STRUCTURE_REMAINING, steps);
}

/** Of what is no root of a revocation: | steps 8 | slot 24 | of what a walk over the tree soon comes to after it, or 0 (touch.ts). */
export function aheadWord(structure: usize): u32 {
  return load<u32>(structure, STRUCTURE_AHEAD);
}

/** The slot of that. */
export function aheadOf(structure: usize): u32 {
  return aheadWord(structure) & (AHEAD_STEP - 1);
}

/** Not noted: it says nothing of the structure. */
export function setAhead(structure: usize, slot: u32): void {
  store<u32>(structure, slot, STRUCTURE_AHEAD);
}

export function pinsOf(structure: usize): u32 {
  return load<u16>(structure, STRUCTURE_PINS);
}

/** Pins saturate and refuse, they never wrap. */
export function pinFits(structure: usize): bool {
  return pinsOf(structure) < u32(PINS_LIMIT);
}

export function addPin(structure: usize, delta: i32): void {
  put(structure + STRUCTURE_HOLDER, load<u32>(structure, STRUCTURE_HOLDER) + (delta << 16));
}

/** TCEs that name this memory, or that were put through this pane. */
export function entriesOf(structure: usize): u32 {
  return load<u16>(structure, STRUCTURE_ENTRIES);
}

export function addEntries(structure: usize, delta: i32): void {
  put(structure + STRUCTURE_END, load<u32>(structure, STRUCTURE_END) + (delta << 16));
}

/** Of a pane that loses its access: from then on it counts the pages whose TCEs have been ended. */
export function setLiobn(structure: usize, liobn: u32): void {
  put(structure + STRUCTURE_LIOBN, liobn);
}

/** Holder and first page at this moment, asked by a use without any lock: of another structure if the slot is used anew. */
export function holderNow(structure: usize): u32 {
  return atomic.load<u16>(structure, STRUCTURE_HOLDER);
}

export function pageNow(structure: usize): u32 {
  return atomic.load<u32>(structure, STRUCTURE_PAGE);
}

/** The generation at this moment, asked by a use without any lock. */
export function generationNow(structure: usize): u32 {
  return atomic.load<u32>(structure, STRUCTURE_GENERATION);
}

export function cookieOf(structure: usize): f64 {
  return encodeCookie(generationOf(structure), slotOf(structure));
}

/** States of what has a cookie. */
const COOKIE_STATES: u32 =
  (1 << STRUCTURE_GRANTED) |
  (1 << STRUCTURE_SHARED) |
  (1 << STRUCTURE_RESCINDED) |
  (1 << STRUCTURE_RETURNING);

/**
 * Whether a structure has a cookie, whatever its state. An elemental resource has a slot and a generation too, but no cookie was
 * ever handed out for it. Slots that were never used hold generation 0 and are free; so is slot 0, which nobody has.
 */
export function isGrant(structure: usize): bool {
  return ((COOKIE_STATES >> stateOf(structure)) & 1) != 0;
}

/** The slot in a caller's cookie, or 0 if there is no such slot; any slot for what is no cookie. */
export function slotOfCookie(cookie: f64): u32 {
  const slot = decodeSlotOf(cookie);
  return slot > header(HEADER_STRUCTURES_MAX) ? 0 : slot;
}

/**
 * The structure that a caller's cookie names if it is that one's, cookieOf() says, and isGrant(): whoever cannot answer at
 * once that there is none asks both himself.
 */
export function structureIn(cookie: f64): usize {
  return structureAt(slotOfCookie(cookie));
}

/** The same, or 0 if the cookie never existed or is dead. */
export function decodeGrant(cookie: f64): usize {
  const structure = structureIn(cookie);
  return cookieOf(structure) == cookie && isGrant(structure) ? structure : 0;
}

/** The elemental resource that a structure's right comes from. */
export function rootOf(structure: usize): usize {
  let root = structure;
  while (parentOf(root) != 0) root = structureAt(parentOf(root));
  return root;
}

/** The page of that resource's space that the first page of a structure is. */
export function rootPageOf(structure: usize): u32 {
  let current = structure;
  let page = pageOf(structure);
  while (parentOf(current) != 0) {
    const parent = structureAt(parentOf(current));
    page += sourcePageOf(current) - pageOf(current);
    current = parent;
  }
  return page;
}

/** After so many links of a chain that is walked without a lock the walk gives up: it may have gone astray. */
const GUESS_DEPTH: u32 = 64;

/** Whose elemental resource the right of a structure comes from, guessed without any lock; 0: nobody's, or too far up. */
export function guessOwner(slot: u32): u32 {
  let structure = structureAt(slot);
  for (let depth: u32 = 0; parentOf(structure) != 0 && depth < GUESS_DEPTH; depth++) {
    structure = structureAt(parentOf(structure));
  }
  return parentOf(structure) != 0 || stateOf(structure) != STRUCTURE_OWNED ? 0 : holderOf(structure);
}

/** Writes what a new grant or elemental resource covers; it is noted. `special` is what its kind keeps beside: LIOBN or window. */
export function describeRange(
  structure: usize,
  sourcePage: u32,
  page: u32,
  pageCount: u32,
  special: u32,
): void {
  store<u32>(structure, sourcePage, STRUCTURE_SOURCE_PAGE);
  store<u32>(structure, page, STRUCTURE_PAGE);
  store<u32>(structure, pageCount, STRUCTURE_PAGE_COUNT);
  store<u32>(structure, special, STRUCTURE_LIOBN);
}

/** A grant that was taken out of list and tree becomes an elemental resource of its holder; it is noted. */
export function becomeElemental(structure: usize, page: u32, flags: u32): void {
  store<u32>(structure, STRUCTURE_OWNED | (spaceOf(structure) << 8) | (flags << 24), STRUCTURE_STATE);
  store<u32>(structure, 0, STRUCTURE_END);
  store<u32>(structure, 0, STRUCTURE_SOURCE_PAGE);
  store<u64>(structure, page, STRUCTURE_PAGE); // and no cursor
  store<u32>(structure, 0, STRUCTURE_PARENT);
  store<u32>(structure, 0, STRUCTURE_NEXT);
  store<u32>(structure, 0, STRUCTURE_PREVIOUS);
}

/** What the first word of memory without flags differs in from that in a state, but for the inhibits; 0: in nothing. */
function unlike(structure: usize, state: u32): u32 {
  return (load<u32>(structure) & 0xff00ffff) ^ (state | (SPACE_MEMORY << 8));
}

/** Whether a structure is Shared, with one page of memory, and nothing else is true of it but what is granted on it. */
export function isOnePage(structure: usize): bool {
  return (unlike(structure, STRUCTURE_SHARED) | (pageCountOf(structure) ^ 1)) == 0;
}

/** Whether a structure is memory, in a state, and nothing else is true of it but what is granted on it. */
export function isPlain(structure: usize, state: u32): bool {
  return unlike(structure, state) == 0;
}

const ORDINARY: u32 = 0xff00 | ((FLAG_LENT | FLAG_DONATED) << 24);

/** Whether a structure is memory, and neither lent nor donated. */
export function isOrdinary(structure: usize): bool {
  return (load<u32>(structure) & ORDINARY) == u32(SPACE_MEMORY << 8);
}

/** Whether there is a grant of it, a view of it, or an entry that names it. */
export function isDependedOn(structure: usize): bool {
  return ((load<u64>(structure, STRUCTURE_HOLDER) & 0xffff0000ffff0000) | childOf(structure)) != 0;
}

/** Whether a structure is Shared and under revocation, and nothing else is true of it but what is granted on it. */
export function isStanding(structure: usize): bool {
  const first = load<u32>(structure) & 0xff0000ff; // state and flags
  return first == (STRUCTURE_SHARED | (FLAG_REVOKING << 24));
}

/** Holder and end of a grant; the same number only for such of which as much is pinned and named by entries. */
export function whose(structure: usize): u64 {
  return load<u64>(structure, STRUCTURE_HOLDER);
}

/** Whether a grant has nothing that must be taken from it before it ends: no view, no TCE, no copies, nothing to zero. */
export function isBare(structure: usize): bool {
  const counts = load<u16>(structure, STRUCTURE_PINS) | load<u16>(structure, STRUCTURE_ENTRIES);
  return counts == 0 && !hasFlag(structure, FLAG_COPY_ON_WRITE | FLAG_ZERO);
}

// ---------------------------------------------------------------- links

/** Of tree and lists. Methods, since only those are inlined on demand: they are most of what grants and rescinds do. */
export class Links {
  /** Behind the place `before` comes `next` from here on, whose link back, at `back`, becomes `previous`. */
  @inline
  static join(before: usize, next: u32, value: u32, back: usize, previous: u32): void {
    if (next == 0) put(before, value);
    else Words.put2(before, value, structureAt(next) + back, previous);
  }

  /** A leaf that is Shared and under revocation becomes Rescinded, out of the tree, whose links do without it already. */
  @inline
  static leaveStale(leaf: usize): void {
    Words.note(leaf);
    store<u32>(leaf, (load<u32>(leaf) & ~(0xff | (FLAG_REVOKING << 24))) | STRUCTURE_RESCINDED);
    store<u64>(leaf, 0, STRUCTURE_PARENT); // and no child
    store<u64>(leaf, 0, STRUCTURE_NEXT); // and none before it
  }
}

// ---------------------------------------------------------------- the tree

/** Takes a grant out of the tree; what it holds of it stays as it was. */
export function leaveTree(child: usize): void {
  const next = nextOf(child);
  const previous = previousOf(child);
  const isFirst = previous == 0;
  const before = structureAt(isFirst ? parentOf(child) : previous);
  const link: usize = isFirst ? STRUCTURE_CHILD : STRUCTURE_NEXT;
  Links.join(before + link, next, next, STRUCTURE_PREVIOUS, previous);
}

/** The children of a structure begin with this one, 0 for none; those before it have left the tree. */
export function beginChildren(parent: usize, child: u32): void {
  Links.join(parent + STRUCTURE_CHILD, child, child, STRUCTURE_PREVIOUS, 0);
}

/**
 * Whether no new use of the structure may start: it, or one above it, was named by a forced rescind (RS5). Once the
 * marking is complete each structure carries its own mark; only while some marking runs must the chain be looked up.
 */
export function isRevoking(structure: usize): bool {
  return mayBeRevoking(structure) && isBelowMark(structure);
}

/** A quick no. */
export function mayBeRevoking(structure: usize): bool {
  return ((load<u8>(structure, STRUCTURE_FLAGS) & FLAG_REVOKING) | header(HEADER_MARKING)) != 0;
}

function isBelowMark(structure: usize): bool {
  let above = structure;
  while (!hasFlag(above, FLAG_REVOKING)) {
    if (parentOf(above) == 0) return false;
    above = structureAt(parentOf(above));
  }
  return true;
}

// ---------------------------------------------------------------- the lists of a partition

/** The list that a structure belongs in: elemental resources apart from what was received. */
function listOf(structure: usize): usize {
  return stateOf(structure) == STRUCTURE_OWNED ? PARTITION_OWNED : PARTITION_HELD;
}

/** Takes a structure out of a list of its holder's; what it holds of it stays as it was. */
export function leaveList(list: usize, structure: usize): void {
  const next = nextHeldOf(structure);
  const previous = previousHeldOf(structure);
  const before = previous == 0 ? list : structureAt(previous) + STRUCTURE_NEXT_HELD;
  Links.join(before, next, next, STRUCTURE_PREVIOUS_HELD, previous);
}

/** Puts a structure that is new, or noted, into its holder's list. */
export function linkHeld(partition: usize, structure: usize): void {
  const list = listOf(structure);
  const first = partitionWord(partition, list);
  const slot = slotOf(structure);
  store<u32>(structure, first, STRUCTURE_NEXT_HELD);
  store<u32>(structure, 0, STRUCTURE_PREVIOUS_HELD);
  Links.join(partition + list, first, slot, STRUCTURE_PREVIOUS_HELD, slot);
}
