/**
 * The calls as JavaScript makes them: each takes the locks that it needs, happens wholly or not at all, and gives the locks
 * back. H_LongBusyOrder10msec: a lock was not to be had, nothing happened.
 *
 * A call between two partitions guesses the second one without a lock, takes both locks, and does its work if the guess
 * was right and if nothing that all share is needed; otherwise it says H_NEED_ALL, having changed nothing, and is made again
 * with all locks. A table that no other thread has joined takes all of them at once, since they cost nothing.
 */
import {
  H_LONG_BUSY_1_MSEC,
  H_LONG_BUSY_10_MSEC,
  H_NEED_ALL,
  H_PARAMETER,
  H_SUCCESS,
  MODE_COPY,
  MODE_SHARE,
  TOUCH_NEAR,
} from "../src/layout";
import {
  pinMemory as pinMemoryLocked,
  unpinMemory as unpinMemoryLocked,
  unpinOrphan as unpinOrphanLocked,
} from "./access";
import { adapterBetween as adapterBetweenLocked, adapterPeer as adapterPeerLocked } from "./adapter";
import {
  allocate as allocateLocked,
  allocateQueue as allocateQueueLocked,
  deallocate as deallocateLocked,
} from "./arena";
import {
  assignResource as assignResourceLocked,
  connectPartitions as connectPartitionsLocked,
  createPartition as createPartitionLocked,
  removePartition as removePartitionLocked,
  restartPartition as restartPartitionLocked,
} from "./assign";
import { audit as auditLocked } from "./audit";
import { copyMemory as copyMemoryLocked } from "./copy";
import { decodeInteger, UnitsOf, Words32 } from "./decode";
import { beginDevice as beginDeviceLocked, serveWindow as serveWindowLocked } from "./device";
import {
  awaitDma,
  findWindow as findWindowLocked,
  getTce as getTceLocked,
  putTceIndirect as putTceIndirectLocked,
  putTceList as putTceListLocked,
  putTce as putTceLocked,
  stuffTce as stuffTceLocked,
  windowOwnerNamed,
} from "./dma";
import { findFrames as findFramesLocked } from "./frame";
import {
  armInterrupt as armInterruptLocked,
  bellOwnerNamed,
  endInterrupt as endInterruptLocked,
  maskInterrupt as maskInterruptLocked,
  raiseInterrupt as raiseInterruptLocked,
  sendIpi as sendIpiLocked,
  takeLine as takeLineLocked,
} from "./hcall-lines";
import {
  acceptLogical as acceptLogicalLocked,
  granteeNamed,
  grantLogical as grantLogicalLocked,
  grantorNamed,
  partnerNamed,
  requestReturn as requestReturnLocked,
  rescindLogical as rescindLogicalLocked,
  returnLogical as returnLogicalLocked,
} from "./hcall-logical";
import {
  freeQueue as freeQueueLocked,
  receiveEntry as receiveEntryLocked,
  registerQueue as registerQueueLocked,
  sendEntry as sendEntryLocked,
  takeEvent as takeEventLocked,
} from "./hcall-queue";
import { settle } from "./job";
import { acquire, acquireAll, isQuick, nameAll, nameNone, release, waitForUses } from "./lock";
import { isAlone, NONE } from "./memory";
import { mergePages as mergePagesLocked } from "./merge";
import { compactMemory as compactMemoryLocked, gatherMemory as gatherMemoryLocked } from "./migrate";
import { decodePartition, lpidOf, partitionKnown } from "./partition";
import {
  endViews as endViewsLocked,
  failPartition as failPartitionLocked,
  recoverClient as recoverClientLocked,
  recoverDeferred as recoverDeferredLocked,
  recoverServer as recoverServerLocked,
} from "./recover";
import { freeStaging as freeStagingLocked, takeStaging as takeStagingLocked } from "./staging";
import { openThread as openThreadLocked } from "./thread";

/** The partner that a unit address names, or 0. */
function partnerOfUnit(lpid: f64, unit: f64): u32 {
  return partnerNamed(decodeInteger(lpid), decodeInteger(unit));
}

/** The lpid of an existing partition, or 0. */
function lpidNamed(value: f64): u32 {
  const partition = decodePartition(value);
  return partition == 0 ? 0 : lpidOf(partition);
}

/** A method, since only those are inlined on demand. */
class Enter {
  /** Takes the locks of the caller and of another partition, 0 for none. H_PARAMETER: there is no such caller. */
  @inline
  static as(own: u32, other: u32): i32 {
    if (partitionKnown(own) == 0) return H_PARAMETER;
    return acquire(own, other) ? H_SUCCESS : H_LONG_BUSY_10_MSEC;
  }
}

function enter(lpid: f64, other: u32): i32 {
  return Enter.as(decodeInteger(lpid), other);
}

/** Nobody to keep out, so that it need not be known who is concerned. */
function enterAlone(): i32 {
  acquireAll();
  return H_SUCCESS;
}

function leave(status: i32): i32 {
  release();
  return status;
}

// The four hypercalls on grants are so short that it counts. Each can be called with integers of 32 bits, too, which need not be
// decoded: JavaScript has most of its numbers as such, and would make others of them for f64. And those go a way of their own where
// there is nobody to keep out and nothing to mend, on which no argument must outlive another call.

function leaveAlone(status: i32): i32 {
  settle();
  nameNone();
  return status;
}

// The same where that is not so, a function each, so that none of it is inlined where it is so.

function grantAmong(own: u32, flags: u32, liobn: u32, page: u32, count: u32, address: u32, mode: u32): i32 {
  const entry = Enter.as(own, partnerNamed(own, address));
  if (entry != H_SUCCESS) return entry;
  const status = leave(grantLogicalLocked(own, flags, liobn, page, count, address, mode));
  if (status != H_NEED_ALL) return status;
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(grantLogicalLocked(own, flags, liobn, page, count, address, mode));
}

function acceptAmong(own: u32, cookie: f64): i32 {
  const entry = Enter.as(own, grantorNamed(cookie));
  if (entry != H_SUCCESS) return entry;
  const status = leave(acceptLogicalLocked(own, cookie));
  if (status != H_NEED_ALL) return status;
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(acceptLogicalLocked(own, cookie));
}

function returnAmong(own: u32, cookie: f64): i32 {
  const entry = Enter.as(own, grantorNamed(cookie));
  if (entry != H_SUCCESS) return entry;
  const status = leave(returnLogicalLocked(own, cookie, TOUCH_NEAR));
  if (status != H_NEED_ALL) return status;
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(returnLogicalLocked(own, cookie, TOUCH_NEAR));
}

function rescindAmong(own: u32, flags: u32, cookie: f64): i32 {
  let attempt: u32 = 0;
  while (true) {
    const entry = Enter.as(own, granteeNamed(cookie));
    if (entry != H_SUCCESS) return entry;
    let status = leave(rescindLogicalLocked(own, flags, cookie));
    if (status == H_NEED_ALL) {
      if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
      status = leave(rescindLogicalLocked(own, flags, cookie));
    }
    if (status != H_LONG_BUSY_1_MSEC) return status;
    if (!waitForUses(attempt++)) return H_LONG_BUSY_10_MSEC;
  }
}

/** A grant in a mode, or MODE_COPY. */
function grantAs(mode: u32, lpid: f64, flags: f64, hi: f64, lo: f64, length: f64, unit: f64): i32 {
  const own = decodeInteger(lpid);
  const bits = decodeInteger(flags);
  const page = UnitsOf.decode(bits, lo);
  const count = UnitsOf.decode(bits, length);
  return grantAmong(own, bits, decodeInteger(hi), page, count, decodeInteger(unit), mode);
}

export function grantLogical(lpid: f64, flags: f64, hi: f64, lo: f64, length: f64, unit: f64): i32 {
  return grantAs(MODE_SHARE, lpid, flags, hi, lo, length, unit);
}

/** Of memory; what is below 0 is none. */
export function grantLogical32(lpid: i32, flags: i32, lo: i32, length: i32, unit: i32): i32 {
  if (!Words32.areOfMemory(lpid, flags, lo, length, unit))
    return grantLogical(lpid, flags, 0, lo, length, unit);
  const page: u32 = lo >> 12;
  const count = Words32.count(lo, length);
  if (!isQuick()) return grantAmong(lpid, flags, 0, page, count, unit, MODE_SHARE);
  nameAll();
  return leaveAlone(grantLogicalLocked(lpid, flags, 0, page, count, unit, MODE_SHARE));
}

export function acceptLogical(lpid: f64, cookie: f64): i32 {
  return acceptAmong(decodeInteger(lpid), cookie);
}

export function acceptLogical32(lpid: u32, cookie: f64): i32 {
  if (!isQuick()) return acceptAmong(lpid, cookie);
  nameAll();
  return leaveAlone(acceptLogicalLocked(lpid, cookie));
}

export function returnLogical(lpid: f64, cookie: f64): i32 {
  return returnAmong(decodeInteger(lpid), cookie);
}

export function returnLogical32(lpid: u32, cookie: f64): i32 {
  if (!isQuick()) return returnAmong(lpid, cookie);
  nameAll();
  return leaveAlone(returnLogicalLocked(lpid, cookie, TOUCH_NEAR));
}

export function rescindLogical(lpid: f64, flags: f64, cookie: f64): i32 {
  return rescindAmong(decodeInteger(lpid), decodeInteger(flags), cookie);
}

export function rescindLogical32(lpid: u32, flags: u32, cookie: f64): i32 {
  if (!isQuick()) return rescindAmong(lpid, flags, cookie);
  nameAll();
  return leaveAlone(rescindLogicalLocked(lpid, flags, cookie));
}

export function pinMemory(lpid: f64, address: f64, length: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(pinMemoryLocked(lpid, address, length));
}

export function unpinMemory(lpid: f64, pin: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(unpinMemoryLocked(lpid, pin));
}

export function unpinOrphan(pin: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(unpinOrphanLocked(pin));
}

export function gatherMemory(lpid: f64, address: f64, length: f64, budget: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(gatherMemoryLocked(lpid, address, length, budget));
}

export function compactMemory(lpid: f64, from: f64, budget: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(compactMemoryLocked(lpid, from, budget));
}

export function findFrames(count: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(findFramesLocked(count));
}

export function adapterBetween(lpid: f64, partnerLpid: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(adapterBetweenLocked(lpid, partnerLpid));
}

export function adapterPeer(lpid: f64, unit: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(adapterPeerLocked(lpid, unit));
}

export function allocate(lpid: f64, length: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  const status = entry == H_SUCCESS ? leave(allocateLocked(lpid, length)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(allocateLocked(lpid, length)) : H_LONG_BUSY_10_MSEC;
}

export function allocateQueue(lpid: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  return entry == H_SUCCESS ? leave(allocateQueueLocked(lpid)) : entry;
}

export function deallocate(lpid: f64, address: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  const status = entry == H_SUCCESS ? leave(deallocateLocked(lpid, address)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(deallocateLocked(lpid, address)) : H_LONG_BUSY_10_MSEC;
}

export function assignResource(
  lpid: f64,
  type: f64,
  address: f64,
  length: f64,
  physical: f64,
  liobn: f64,
): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(assignResourceLocked(lpid, type, address, length, physical, liobn));
}

export function connectPartitions(lpid: f64, partnerLpid: f64, quota: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(connectPartitionsLocked(lpid, partnerLpid, quota));
}

export function createPartition(memoryPages: f64, lmbPages: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(createPartitionLocked(memoryPages, lmbPages));
}

export function removePartition(lpid: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(removePartitionLocked(lpid));
}

export function restartPartition(lpid: f64, structures: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(restartPartitionLocked(lpid, structures));
}

export function audit(): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(auditLocked());
}

export function copyMemory(lpid: f64, from: f64, partnerLpid: f64, to: f64, length: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, lpidNamed(partnerLpid));
  const status = entry == H_SUCCESS ? leave(copyMemoryLocked(lpid, from, partnerLpid, to, length)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(copyMemoryLocked(lpid, from, partnerLpid, to, length)) : H_LONG_BUSY_10_MSEC;
}

export function grantMode(lpid: f64, flags: f64, hi: f64, lo: f64, length: f64, unit: f64, mode: f64): i32 {
  const named = decodeInteger(mode);
  return grantAs(named == u32(MODE_COPY) ? NONE : named, lpid, flags, hi, lo, length, unit);
}

export function grantCopyOnWrite(lpid: f64, flags: f64, hi: f64, lo: f64, length: f64, unit: f64): i32 {
  return grantAs(MODE_COPY, lpid, flags, hi, lo, length, unit);
}

export function mergePages(lpid: f64, address: f64, otherLpid: f64, otherAddress: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(mergePagesLocked(lpid, address, otherLpid, otherAddress));
}

export function requestReturn(lpid: f64, cookie: f64, ms: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, granteeNamed(cookie));
  const status = entry == H_SUCCESS ? leave(requestReturnLocked(lpid, cookie, ms)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(requestReturnLocked(lpid, cookie, ms)) : H_LONG_BUSY_10_MSEC;
}

export function freeQueue(lpid: f64, unit: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, partnerOfUnit(lpid, unit));
  const status = entry == H_SUCCESS ? leave(freeQueueLocked(lpid, unit)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(freeQueueLocked(lpid, unit)) : H_LONG_BUSY_10_MSEC;
}

export function receiveEntry(lpid: f64, unit: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  const status = entry == H_SUCCESS ? leave(receiveEntryLocked(lpid, unit)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(receiveEntryLocked(lpid, unit)) : H_LONG_BUSY_10_MSEC;
}

export function registerQueue(lpid: f64, unit: f64, address: f64, length: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, partnerOfUnit(lpid, unit));
  const status = entry == H_SUCCESS ? leave(registerQueueLocked(lpid, unit, address, length)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(registerQueueLocked(lpid, unit, address, length)) : H_LONG_BUSY_10_MSEC;
}

export function sendEntry(lpid: f64, unit: f64, word0: f64, word1: f64, word2: f64, word3: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, partnerOfUnit(lpid, unit));
  const status = entry == H_SUCCESS ? leave(sendEntryLocked(lpid, unit, word0, word1, word2, word3)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(sendEntryLocked(lpid, unit, word0, word1, word2, word3)) : H_LONG_BUSY_10_MSEC;
}

export function takeEvent(lpid: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  const status = entry == H_SUCCESS ? leave(takeEventLocked(lpid)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(takeEventLocked(lpid)) : H_LONG_BUSY_10_MSEC;
}

export function serveWindow(lpid: f64, address: f64, serves: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(serveWindowLocked(lpid, address, serves));
}

export function beginDevice(lpid: f64, address: f64, size: f64, need: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  return entry == H_SUCCESS ? leave(beginDeviceLocked(lpid, address, size, need)) : entry;
}

export function failPartition(lpid: f64, orderly: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(failPartitionLocked(lpid, orderly));
}

export function recoverClient(lpid: f64, budget: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(recoverClientLocked(lpid, budget));
}

export function recoverDeferred(lpid: f64, budget: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(recoverDeferredLocked(lpid, budget));
}

export function recoverServer(lpid: f64, budget: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(recoverServerLocked(lpid, budget));
}

export function endViews(lpid: f64, budget: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(endViewsLocked(lpid, budget));
}

export function freeStaging(offset: f64, pages: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(freeStagingLocked(offset, pages));
}

export function takeStaging(pages: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(takeStagingLocked(pages));
}

export function openThread(lpid: f64): i32 {
  if (!acquireAll()) return H_LONG_BUSY_10_MSEC;
  return leave(openThreadLocked(lpid));
}

export function raiseInterrupt(lpid: f64, address: f64, device: f64, position: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  const status = entry == H_SUCCESS ? leave(raiseInterruptLocked(lpid, address, device, position)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(raiseInterruptLocked(lpid, address, device, position)) : H_LONG_BUSY_10_MSEC;
}

export function sendIpi(lpid: f64, address: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, bellOwnerNamed(lpid, address));
  const status = entry == H_SUCCESS ? leave(sendIpiLocked(lpid, address)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(sendIpiLocked(lpid, address)) : H_LONG_BUSY_10_MSEC;
}

export function takeLine(lpid: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  return entry == H_SUCCESS ? leave(takeLineLocked(lpid)) : entry;
}

export function armInterrupt(lpid: f64, address: f64, arms: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  return entry == H_SUCCESS ? leave(armInterruptLocked(lpid, address, arms)) : entry;
}

export function maskInterrupt(lpid: f64, address: f64, masks: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  return entry == H_SUCCESS ? leave(maskInterruptLocked(lpid, address, masks)) : entry;
}

export function endInterrupt(lpid: f64, address: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  return entry == H_SUCCESS ? leave(endInterruptLocked(lpid, address)) : entry;
}

export function putTce(lpid: f64, liobn: f64, ioba: f64, tce: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, windowOwnerNamed(lpid, ioba));
  let status = entry == H_SUCCESS ? leave(putTceLocked(lpid, liobn, ioba, tce)) : entry;
  if (status == H_NEED_ALL)
    status = acquireAll() ? leave(putTceLocked(lpid, liobn, ioba, tce)) : H_LONG_BUSY_10_MSEC;
  return awaitDma(status);
}

export function putTceIndirect(lpid: f64, liobn: f64, ioba: f64, list: f64, count: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, windowOwnerNamed(lpid, ioba));
  let status = entry == H_SUCCESS ? leave(putTceIndirectLocked(lpid, liobn, ioba, list, count)) : entry;
  if (status == H_NEED_ALL)
    status = acquireAll() ? leave(putTceIndirectLocked(lpid, liobn, ioba, list, count)) : H_LONG_BUSY_10_MSEC;
  return awaitDma(status);
}

export function putTceList(lpid: f64, liobn: f64, ioba: f64, list: f64, count: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, windowOwnerNamed(lpid, ioba));
  let status = entry == H_SUCCESS ? leave(putTceListLocked(lpid, liobn, ioba, list, count)) : entry;
  if (status == H_NEED_ALL)
    status = acquireAll() ? leave(putTceListLocked(lpid, liobn, ioba, list, count)) : H_LONG_BUSY_10_MSEC;
  return awaitDma(status);
}

export function stuffTce(lpid: f64, liobn: f64, ioba: f64, tce: f64, count: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, windowOwnerNamed(lpid, ioba));
  let status = entry == H_SUCCESS ? leave(stuffTceLocked(lpid, liobn, ioba, tce, count)) : entry;
  if (status == H_NEED_ALL)
    status = acquireAll() ? leave(stuffTceLocked(lpid, liobn, ioba, tce, count)) : H_LONG_BUSY_10_MSEC;
  return awaitDma(status);
}

export function getTce(lpid: f64, liobn: f64, ioba: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, windowOwnerNamed(lpid, ioba));
  const status = entry == H_SUCCESS ? leave(getTceLocked(lpid, liobn, ioba)) : entry;
  if (status != H_NEED_ALL) return status;
  return acquireAll() ? leave(getTceLocked(lpid, liobn, ioba)) : H_LONG_BUSY_10_MSEC;
}

export function findWindow(lpid: f64, liobn: f64, ioba: f64): i32 {
  const entry = isAlone() ? enterAlone() : enter(lpid, 0);
  return entry == H_SUCCESS ? leave(findWindowLocked(lpid, liobn, ioba)) : entry;
}
