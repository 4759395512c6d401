/**
 * Copying between two partitions by logical address (as H_COPY_RDMA). Overlapping ranges come out as if the source had
 * been read whole before the first byte was written, also where the overlap is only physical: two mappings of the same
 * frames.
 *
 *     both ranges in one piece          one memory.copy, which minds overlaps itself
 *     in pieces, no frame in common     piece by piece
 *     in pieces, a frame in common      through staging, since no order of the pieces need be right
 */
import {
  ENTRY_FRAME,
  H_NEED_ALL,
  H_NO_MEM,
  H_PARAMETER,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  JOB_STAGING,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  SPACE_MEMORY,
} from "../src/layout";
import { checkLocked, examine, offsetOf, pageOfAddress, pagesTouched, placeOf } from "./access";
import { areJoined } from "./adapter";
import { isMarked, markFrame, unmarkAround } from "./frame";
import { beginJob } from "./log";
import { NONE, resultOf } from "./memory";
import { entryOf, spaceAt } from "./page";
import { decodePartition, isRunning, lpidOf } from "./partition";
import { holdsQueue } from "./queue";
import { runAt, takeRun } from "./staging";
import { holdsAll } from "./thread";

/** Whether two ranges have a frame in common. */
function shareFrame(source: usize, from: f64, target: usize, to: f64, length: f64): bool {
  const sourcePage = pageOfAddress(from);
  const targetPage = pageOfAddress(to);
  const sourceCount = pagesTouched(source, from, length);
  const targetCount = pagesTouched(target, to, length);
  // Marks may stand of a thread that stopped in here: those that are looked at are cleared first.
  for (let i: u32 = 0; i < sourceCount; i++) unmarkAround(entryOf(source, sourcePage + i) & ENTRY_FRAME);
  for (let i: u32 = 0; i < targetCount; i++) markFrame(entryOf(target, targetPage + i) & ENTRY_FRAME);
  let isShared = false;
  for (let i: u32 = 0; i < sourceCount && !isShared; i++) {
    isShared = isMarked(entryOf(source, sourcePage + i) & ENTRY_FRAME);
  }
  for (let i: u32 = 0; i < targetCount; i++) unmarkAround(entryOf(target, targetPage + i) & ENTRY_FRAME);
  return isShared;
}

function copyPieces(source: usize, from: f64, target: usize, to: f64, length: f64): void {
  let done: f64 = 0;
  while (done < length) {
    const sourceRun = f64(PAGE_BYTES) - f64(offsetOf(from + done));
    const targetRun = f64(PAGE_BYTES) - f64(offsetOf(to + done));
    const run = min(min(sourceRun, targetRun), length - done);
    memory.copy(placeOf(target, to + done), placeOf(source, from + done), <usize>run);
    done += run;
  }
}

/** Moves a range to a place in staging, or back from there. */
function copyOut(space: usize, address: f64, length: f64, staging: usize, isBack: bool): void {
  let done: f64 = 0;
  while (done < length) {
    const run = min(f64(PAGE_BYTES) - f64(offsetOf(address + done)), length - done);
    const place = placeOf(space, address + done);
    const beside = staging + <usize>done;
    memory.copy(isBack ? place : beside, isBack ? beside : place, <usize>run);
    done += run;
  }
}

/**
 * Copies from the caller's memory to a partner's: the caller needs read, the partner's range write. With both
 * partitions' locks held, so that the partner cannot return what is being written to. H_RESOURCE where the partner has a queue;
 * H_NO_MEM when the ranges overlap in pieces and staging has no room for them.
 */
export function copyMemory(lpid: f64, from: f64, partnerLpid: f64, to: f64, length: f64): i32 {
  const partition = decodePartition(lpid);
  const partner = decodePartition(partnerLpid);
  if (partition == 0) return H_PARAMETER;
  if (!isRunning(partition)) return H_RESCINDED;
  if (partner == 0 || (partition != partner && !areJoined(partition, lpidOf(partner)))) return H_PARAMETER;
  const read = checkLocked(lpid, from, length, NEED_READ);
  if (read != H_SUCCESS) return read;
  const sourcePlace = resultOf();
  const allowed = examine(partnerLpid, to, length, NEED_WRITE);
  if (allowed < 0) return allowed;
  if (length == 0) return H_SUCCESS;
  const target = spaceAt(partner, SPACE_MEMORY);
  // Who can write to another's ring could forge transport events (CQ3). Before pages are copied for the write: what is refused changes nothing.
  const pages = pagesTouched(target, to, length);
  if (partition != partner && holdsQueue(partner, pageOfAddress(to), pages)) return H_RESOURCE;
  const write = checkLocked(partnerLpid, to, length, NEED_WRITE);
  if (write != H_SUCCESS) return write;
  const targetPlace = resultOf();
  if (sourcePlace >= 0 && targetPlace >= 0) {
    memory.copy(<usize>targetPlace, <usize>sourcePlace, <usize>length);
    return H_SUCCESS;
  }
  if (!holdsAll()) return H_NEED_ALL; // marks and staging are everybody's
  const source = spaceAt(partition, SPACE_MEMORY);
  if (!shareFrame(source, from, target, to, length)) {
    copyPieces(source, from, target, to, length);
    return H_SUCCESS;
  }
  const pageCount = <u32>((length + (PAGE_BYTES - 1)) / PAGE_BYTES);
  const run = takeRun(pageCount);
  if (run == NONE) return H_NO_MEM;
  // Not committed before all is copied: a thread that stops on the way, and lives on, must not keep the run.
  copyOut(source, from, length, runAt(run), false);
  copyOut(target, to, length, runAt(run), true);
  beginJob(JOB_STAGING, 0, 0, 0, run, pageCount);
  return H_SUCCESS;
}
