/**
 * Device windows (KI2): MMIO resources behind which a model stands, some thread's code. Which thread is said by the control
 * structure of the elemental window, by the thread's name: one that has exited serves nothing any more, and its slot's next
 * thread has another name. Every grant of a window names the window itself, so that an access costs the same at every depth
 * (TR2).
 */
import {
  ENTRY_FRAME,
  ENTRY_RESCINDED,
  H_BUSY,
  H_HARDWARE,
  H_PARAMETER,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  SPACE_MMIO,
  STRUCTURE_OWNED,
  THREAD_DEVICE,
  THREAD_NAME,
} from "../src/layout";
import { offsetOf, pageOfAddress } from "./access";
import { holderOf, pageOf, servantOf, setServant, stateOf, structureAt, windowOf } from "./control";
import { decodeInteger, decodeUnits } from "./decode";
import { THREAD } from "./log";
import { NONE, setResult } from "./memory";
import { backOf, entryFault, entryNeed, entryOf, spaceAt, spacePages } from "./page";
import { decodePartition, isRunning, partitionAt } from "./partition";
import { enterModel, leaveModel, nameModel, ownSlot, slotNamed } from "./thread";

/**
 * This thread serves (1), or does not serve any more (0), the elemental window of a partition that begins at an address.
 * R4: its number. H_RESOURCE: a living thread serves it already. H_PARAMETER: there is no such window, or somebody else
 * serves it that was to be ended.
 */
export function serveWindow(lpid: f64, address: f64, serves: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const mode = decodeInteger(serves);
  const page = decodeUnits(SPACE_MMIO, address);
  const at = spaceAt(partition, SPACE_MMIO);
  if (mode > 1 || page == NONE || page >= spacePages(at)) return H_PARAMETER;
  const back = backOf(at, page);
  const window = structureAt(back);
  if (back == 0 || stateOf(window) != STRUCTURE_OWNED || pageOf(window) != page) return H_PARAMETER;
  const name = load<u32>(THREAD, THREAD_NAME);
  if (mode == 0 && servantOf(window) != name) return H_PARAMETER;
  if (mode == 1 && servantOf(window) != 0 && slotNamed(servantOf(window)) != NONE) return H_RESOURCE;
  setServant(window, mode == 1 ? name : 0);
  setResult(f64(back));
  return H_SUCCESS;
}

/**
 * Begins an access of 1, 2 or 4 bytes, aligned to its size, which endDevice() ends, if this thread serves the window. R4:
 * the offset in the elemental window, whose number is left in the thread record. H_BUSY: another thread serves it, and no
 * access has begun; R4: that thread's name. H_HARDWARE: nobody serves it, or the partition whose device it is has failed.
 */
export function beginDevice(lpid: f64, address: f64, size: f64, need: f64): i32 {
  const partition = decodePartition(lpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  const bytes = decodeInteger(size);
  const rights = decodeInteger(need);
  if (bytes != 1 && bytes != 2 && bytes != 4) return H_PARAMETER;
  if (rights != NEED_READ && rights != NEED_WRITE) return H_PARAMETER;
  const at = spaceAt(partition, SPACE_MMIO);
  const isInside = address >= 0 && address < f64(spacePages(at)) * PAGE_BYTES;
  if (!isInside || floor(address) != address || (offsetOf(address) & (bytes - 1)) != 0) return H_PARAMETER;
  const outer = enterModel();
  const status = resolve(at, pageOfAddress(address), offsetOf(address), rights, outer);
  if (status != H_SUCCESS) leaveModel(outer);
  return status;
}

function resolve(at: usize, page: u32, offset: u32, need: u32, outer: u32): i32 {
  const entry = entryOf(at, page);
  const mask = entryNeed(need);
  if ((entry & (mask | ENTRY_RESCINDED)) != mask) return entryFault(entry);
  const slot = windowOf(structureAt(backOf(at, page)));
  const window = structureAt(slot);
  const owner = partitionAt(holderOf(window));
  if (!isRunning(owner)) return H_HARDWARE;
  const servant = servantOf(window);
  const server = servant == 0 ? NONE : slotNamed(servant);
  if (server == NONE) return H_HARDWARE;
  if (server != ownSlot()) {
    setResult(f64(servant));
    return H_BUSY;
  }
  const first = entryOf(spaceAt(owner, SPACE_MMIO), pageOf(window)) & ENTRY_FRAME;
  nameModel(outer, slot);
  store<u32>(THREAD, slot, THREAD_DEVICE);
  setResult(f64((entry & ENTRY_FRAME) - first) * PAGE_BYTES + f64(offset));
  return H_SUCCESS;
}

/** Ends an access. `outer` is what the thread record said of a running access before this one began, 0 if none ran. */
export function endDevice(outer: f64): void {
  const window = decodeInteger(outer);
  leaveModel(window == NONE ? 0 : window);
}
