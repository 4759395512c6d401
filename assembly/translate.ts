/**
 * Logical to physical (TR1, TR2): one entry look-up per page, whatever the depth of the grant. Physical addresses count
 * from the first frame; kinds without RAM answer the physical number that they were assigned.
 */
import {
  ENTRY_FRAME,
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_SUCCESS,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  PAGE_SHIFT,
  SPACE_MEMORY,
} from "../src/layout";
import { decodeInteger, decodeType, isPaged, isSafe, NO_SPACE } from "./decode";
import { makeWritable } from "./fault";
import { inStaging, NONE, setResult } from "./memory";
import { entryFault, entryNeed, entryOf, isCopyOnWrite, spaceAt, spaceEntries, spacePages } from "./page";
import { decodePartition, isRunning } from "./partition";

/**
 * Examines the pages [page, page + count) in order: H_SUCCESS, or why the first one that fails does so. What lies past
 * the end of the space is unmapped.
 */
export function examine(at: usize, page: u32, count: u32, need: u32): i32 {
  const mask = entryNeed(need);
  const pages = spacePages(at);
  for (let i: u32 = 0; i < count; i++) {
    if (page + i >= pages) return H_PARAMETER;
    const entry = entryOf(at, page + i);
    if ((entry & mask) != mask) return entryFault(entry);
  }
  return H_SUCCESS;
}

/** As examine(), where a page that is copied before it is written may be written: where a write goes is decided by the copy. */
function examineCopies(at: usize, page: u32, count: u32, need: u32): i32 {
  const pages = spacePages(at);
  for (let i: u32 = 0; i < count; i++) {
    if (page + i >= pages) return H_PARAMETER;
    const entry = entryOf(at, page + i);
    const mask = entryNeed(isCopyOnWrite(entry) ? need & ~NEED_WRITE : need);
    if ((entry & mask) != mask) return entryFault(entry);
  }
  return H_SUCCESS;
}

/** R4: the physical address of the first byte. The range need not be physically contiguous. */
export function translate(lpid: f64, type: f64, address: f64, length: f64, need: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const space = decodeType(decodeInteger(type));
  const rights = decodeInteger(need);
  if (space == NO_SPACE || rights > u32(NEED_READ | NEED_WRITE)) return H_PARAMETER;
  const unit: f64 = isPaged(space) ? PAGE_BYTES : 1;
  const at = spaceAt(partition, space);
  const end = address + length;
  // Comparing with the size of the space first keeps everything below exact.
  if (!(address >= 0 && length >= 1 && address < f64(spacePages(at)) * unit)) return H_PARAMETER;
  if (!isSafe(length)) return H_PARAMETER;
  if (floor(address) != address || floor(length) != length) return H_PARAMETER;
  const page = u32(address / unit);
  const last = end > f64(spacePages(at)) * unit ? spacePages(at) : u32((end - 1) / unit);
  let status = examine(at, page, last - page + 1, rights);
  if (status == H_PERMISSION && (rights & NEED_WRITE) != 0) {
    status = examineCopies(at, page, last - page + 1, rights);
    if (status == H_SUCCESS) status = makeWritable(partition, page, last - page + 1);
    if (status == H_SUCCESS) status = examine(at, page, last - page + 1, rights);
  }
  if (status != H_SUCCESS) return status;
  // Without the lock the entry may have been rescinded since, and then it names no frame.
  const entry = entryOf(at, page);
  if ((entry & entryNeed(rights)) != entryNeed(rights)) return entryFault(entry);
  setResult(f64(entry & ENTRY_FRAME) * unit + (address - f64(page) * unit));
  return H_SUCCESS;
}

/**
 * Translates `count` addresses of one unit each. The three arrays lie in staging: addresses and physical f64, statuses
 * i32; a failed element gets its status and NaN. R4: how many succeeded. With `stop` it ends at the first fault, whose
 * index is then R4.
 */
export function translateBatch(
  lpid: f64,
  type: f64,
  need: f64,
  addressesAt: f64,
  physicalAt: f64,
  statusAt: f64,
  count: f64,
  stop: f64,
): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const space = decodeType(decodeInteger(type));
  const rights = decodeInteger(need);
  const elements = decodeInteger(count);
  const addresses = decodeInteger(addressesAt);
  const physical = decodeInteger(physicalAt);
  const statuses = decodeInteger(statusAt);
  const stops = decodeInteger(stop);
  if (space == NO_SPACE || rights > u32(NEED_READ | NEED_WRITE) || elements == NONE || stops > 1)
    return H_PARAMETER;
  if (!inStaging(addresses, (<u64>elements) << 3) || !inStaging(physical, (<u64>elements) << 3))
    return H_PARAMETER;
  if (!inStaging(statuses, (<u64>elements) << 2)) return H_PARAMETER;
  const shift: u32 = isPaged(space) ? PAGE_SHIFT : 0;
  const mask = entryNeed(rights);
  const writer = space == SPACE_MEMORY && (rights & NEED_WRITE) != 0 ? partition : 0;
  const at = spaceAt(partition, space);
  const good = translateAll(at, mask, shift, addresses, physical, statuses, elements, stops, writer);
  if (good == NONE) return H_LONG_BUSY_10_MSEC;
  setResult(f64(good));
  return H_SUCCESS;
}

/**
 * After an element was refused that its partition wants to write: where the write would go is decided by the copy that it makes
 * first, which is made now. Answers its status as it is then.
 */
function copyOne(
  writer: usize,
  entries: usize,
  pages: u32,
  shift: u32,
  mask: u32,
  address: f64,
  physicalAt: usize,
): i32 {
  const page = u32(address / PAGE_BYTES);
  if (isCopyOnWrite(entryOf(spaceAt(writer, SPACE_MEMORY), page))) {
    const made = makeWritable(writer, page, 1);
    if (made != H_SUCCESS) return made;
  }
  // Also where it is not copied on write: another thread may have made the copy since the element was refused.
  return translateOne(entries, pages, shift, mask, address, physicalAt);
}

/**
 * 2^52, and its bits: a float that is this much plus an integer has that integer in its low bits. Adding it converts
 * exactly and without a branch. What is negative, too large or infinite then lies far past the end of any space; what is
 * no integer, or no number, does not come back by subtracting it.
 */
const SHIFTER: f64 = 4503599627370496.0;
const SHIFTER_BITS: u64 = 0x4330000000000000;

/** The entry of a page, 0 past the end of the space. */
function entryOrZero(entries: usize, pages: u32, page: u64): u32 {
  const isInside = page < pages;
  const entry = load<u32>(entries + ((isInside ? <usize>page : 0) << 2));
  return isInside ? entry : 0;
}

/** One element the plain way. Answers its status. */
function translateOne(
  entries: usize,
  pages: u32,
  shift: u32,
  mask: u32,
  address: f64,
  physicalAt: usize,
): i32 {
  const integer = reinterpret<u64>(address + SHIFTER) - SHIFTER_BITS;
  const page = integer >> shift;
  const isInteger = address + SHIFTER - SHIFTER == address;
  const entry = entryOrZero(entries, pages, page);
  if (!isInteger || (entry & mask) != mask) {
    store<f64>(physicalAt, NaN);
    return isInteger && page < pages ? entryFault(entry) : H_PARAMETER;
  }
  const offset = integer & (((<u64>1) << shift) - 1);
  store<f64>(physicalAt, f64(((<u64>(entry & ENTRY_FRAME)) << shift) | offset));
  return H_SUCCESS;
}

if (ENTRY_FRAME != 0xffffffff >> PAGE_SHIFT)
  ERROR("an entry is shifted by a page to be the physical address of its frame");

/** Two physical addresses: what was shifted, with the place of its frame instead of that of its page. */
function storePhysical(at: usize, shifted: v128, pages: v128, frames: v128): void {
  const moved = i64x2.sub(frames, i64x2.shl(pages, PAGE_SHIFT));
  v128.store(at, f64x2.sub(i64x2.add(shifted, moved), f64x2.splat(SHIFTER)));
}

/**
 * Elements of a space in pages by fours, none of which waits for another, by as few instructions as can be: the more elements the
 * machine has before it, the more misses are under way. What is wrong with any of four leaves a bit somewhere, and is looked for once.
 * @param pages of the space, one at least.
 * @returns how many were translated before the first four of which any may fail, of which nothing is stored.
 */
function translateFours(
  entries: usize,
  pages: u32,
  mask: u32,
  addresses: usize,
  physical: usize,
  statuses: usize,
  count: u32,
): u32 {
  const shifter = f64x2.splat(SHIFTER);
  const rights = i32x4.splat(mask);
  // The low half of each long: the least of that and a page is a place to look at, whatever the page is, and equal to it if it is inside.
  const last = i64x2.splat(<i64>(pages - 1));
  const end = addresses + ((<usize>count & ~3) << 3);
  let from = addresses;
  let to = physical;
  let statusAt = statuses;
  while (from != end) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const shiftedA = f64x2.add(a, shifter);
    const shiftedB = f64x2.add(b, shifter);
    const pagesA = i64x2.shr_u(i64x2.sub(shiftedA, i64x2.splat(SHIFTER_BITS)), PAGE_SHIFT);
    const pagesB = i64x2.shr_u(i64x2.sub(shiftedB, i64x2.splat(SHIFTER_BITS)), PAGE_SHIFT);
    const insideA = i32x4.min_u(pagesA, last);
    const insideB = i32x4.min_u(pagesB, last);
    let four = v128.load_zero<u32>(entries + (i32x4.extract_lane(insideA, 0) << 2));
    four = v128.load_lane<u32>(entries + (i32x4.extract_lane(insideA, 2) << 2), four, 1);
    four = v128.load_lane<u32>(entries + (i32x4.extract_lane(insideB, 0) << 2), four, 2);
    four = v128.load_lane<u32>(entries + (i32x4.extract_lane(insideB, 2) << 2), four, 3);
    const outside = v128.or(v128.xor(pagesA, insideA), v128.xor(pagesB, insideB));
    // What is no integer does not come back; what is no number is outside.
    const inexactA = v128.xor(f64x2.sub(shiftedA, shifter), a);
    const inexactB = v128.xor(f64x2.sub(shiftedB, shifter), b);
    const lacking = v128.xor(v128.and(four, rights), rights);
    if (v128.any_true(v128.or(v128.or(outside, lacking), v128.or(inexactA, inexactB)))) break;
    const frames = i32x4.shl(four, PAGE_SHIFT);
    storePhysical(to, shiftedA, pagesA, i64x2.extend_low_i32x4_u(frames));
    storePhysical(to + 16, shiftedB, pagesB, i64x2.extend_high_i32x4_u(frames));
    // A status is aligned to 4 only.
    v128.store(statusAt, i64x2.splat(H_SUCCESS), 0, 4);
    from += 32;
    to += 32;
    statusAt += 16;
  }
  return (from - addresses) >> 3;
}

/**
 * The loop of translateBatch: by fours, and one by one where a group has a fault. For a writer, if there is one, pages are copied.
 * NONE: the table is locked.
 */
function translateAll(
  at: usize,
  mask: u32,
  shift: u32,
  addresses: usize,
  physical: usize,
  statuses: usize,
  count: u32,
  stops: u32,
  writer: usize,
): u32 {
  const entries = spaceEntries(at);
  const pages = spacePages(at);
  // Interrupts and ports are not looked up by the thousands.
  const isByFours = shift == PAGE_SHIFT && pages != 0;
  let good: u32 = 0;
  let i: u32 = 0;
  while (i < count) {
    if (isByFours) {
      const done = translateFours(
        entries,
        pages,
        mask,
        addresses + ((<usize>i) << 3),
        physical + ((<usize>i) << 3),
        statuses + ((<usize>i) << 2),
        count - i,
      );
      good += done;
      i += done;
    }
    const addressAt = addresses + ((<usize>i) << 3);
    const physicalAt = physical + ((<usize>i) << 3);
    const statusAt = statuses + ((<usize>i) << 2);
    const group = min<u32>(count - i, 4);
    for (let k: u32 = 0; k < group; k++) {
      const address = load<f64>(addressAt + ((<usize>k) << 3));
      const place = physicalAt + ((<usize>k) << 3);
      let status = translateOne(entries, pages, shift, mask, address, place);
      if (status == H_PERMISSION && writer != 0) {
        status = copyOne(writer, entries, pages, shift, mask, address, place);
        if (status == H_LONG_BUSY_10_MSEC) return NONE;
      }
      store<i32>(statusAt + ((<usize>k) << 2), status);
      if (status == H_SUCCESS) good++;
      else if (stops != 0) return i + k;
    }
    i += group;
  }
  return good;
}
