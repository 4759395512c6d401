/**
 * Logical to physical (TR1, TR2): one entry look-up per page, whatever the depth of the grant. Physical addresses count
 * from the first frame; kinds without RAM answer the physical number that they were assigned.
 */
import {
  ENTRY_FRAME,
  H_PARAMETER,
  H_RESCINDED,
  H_SUCCESS,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
} from "../src/layout";
import { decodeInteger, decodeType, isPaged } from "./decode";
import { inStaging, NONE, setResult } from "./memory";
import { entryFault, entryNeed, entryOf, spaceAt, spaceEntries, spacePages } from "./page";
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

/** R4: the physical address of the first byte. The range need not be physically contiguous. */
export function translate(lpid: f64, type: f64, address: f64, length: f64, need: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const space = decodeType(decodeInteger(type));
  const rights = decodeInteger(need);
  if (space == NONE || rights > u32(NEED_READ | NEED_WRITE)) return H_PARAMETER;
  const unit: f64 = isPaged(space) ? PAGE_BYTES : 1;
  const at = spaceAt(partition, space);
  const end = address + length;
  // Comparing with the size of the space first keeps everything below exact.
  if (!(address >= 0 && length >= 1 && address < f64(spacePages(at)) * unit)) return H_PARAMETER;
  if (floor(address) != address || floor(length) != length) return H_PARAMETER;
  const page = u32(address / unit);
  const last = end > f64(spacePages(at)) * unit ? spacePages(at) : u32((end - 1) / unit);
  const status = examine(at, page, last - page + 1, rights);
  if (status != H_SUCCESS) return status;
  setResult(f64(entryOf(at, page) & ENTRY_FRAME) * unit + (address - f64(page) * unit));
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
  if (space == NONE || rights > u32(NEED_READ | NEED_WRITE) || elements == NONE || stops > 1)
    return H_PARAMETER;
  if (!inStaging(addresses, (<u64>elements) << 3) || !inStaging(physical, (<u64>elements) << 3))
    return H_PARAMETER;
  if (!inStaging(statuses, (<u64>elements) << 2)) return H_PARAMETER;
  const unit: f64 = isPaged(space) ? PAGE_BYTES : 1;
  const mask = entryNeed(rights);
  setResult(
    f64(translateAll(spaceAt(partition, space), mask, unit, addresses, physical, statuses, elements, stops)),
  );
  return H_SUCCESS;
}

/** The loop of translateBatch: nothing in it waits for the element before, so that several misses are in flight. */
function translateAll(
  at: usize,
  mask: u32,
  unit: f64,
  addresses: usize,
  physical: usize,
  statuses: usize,
  count: u32,
  stops: u32,
): u32 {
  const entries = spaceEntries(at);
  const pages = spacePages(at);
  const scale = 1 / unit;
  let good = count;
  for (let i: u32 = 0; i < count; i++) {
    const address = load<f64>(addresses + ((<usize>i) << 3));
    // Saturates, so that what is too large is past the end; what is no integer leaves a fraction in the offset.
    const page = u32(address * scale);
    const offset = address - f64(page) * unit;
    const isInteger = offset >= 0 && f64(u32(offset)) == offset;
    const entry = load<u32>(entries + ((<usize>(page < pages ? page : <u32>0)) << 2));
    let status = H_SUCCESS;
    let result = f64(entry & ENTRY_FRAME) * unit + offset;
    if (!(page < pages && isInteger && (entry & mask) == mask)) {
      status = page < pages && isInteger ? entryFault(entry) : H_PARAMETER;
      result = NaN;
      good--;
    }
    store<f64>(physical + ((<usize>i) << 3), result);
    store<i32>(statuses + ((<usize>i) << 2), status);
    if (status != H_SUCCESS && stops != 0) return i;
  }
  return good;
}
