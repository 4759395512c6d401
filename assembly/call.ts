/**
 * The calls that look at or change more than one word of the tables, as JavaScript makes them: each takes the table lock,
 * happens wholly or not at all, and gives the lock back. H_LongBusyOrder10msec: the lock was not to be had, nothing
 * happened.
 */
import { H_LONG_BUSY_10_MSEC } from "../src/layout";
import {
  pinMemory as pinMemoryLocked,
  unpinMemory as unpinMemoryLocked,
  unpinOrphan as unpinOrphanLocked,
} from "./access";
import { adapterBetween as adapterBetweenLocked, adapterPeer as adapterPeerLocked } from "./adapter";
import { allocate as allocateLocked, deallocate as deallocateLocked } from "./arena";
import {
  assignResource as assignResourceLocked,
  connectPartitions as connectPartitionsLocked,
  createPartition as createPartitionLocked,
  removePartition as removePartitionLocked,
  restartPartition as restartPartitionLocked,
} from "./assign";
import { audit as auditLocked } from "./audit";
import { copyMemory as copyMemoryLocked } from "./copy";
import {
  acceptLogical as acceptLogicalLocked,
  grantLogical as grantLogicalLocked,
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
import { acquire, release } from "./lock";
import {
  endViews as endViewsLocked,
  failPartition as failPartitionLocked,
  recoverClient as recoverClientLocked,
  recoverServer as recoverServerLocked,
} from "./recover";
import { freeStaging as freeStagingLocked, takeStaging as takeStagingLocked } from "./staging";
import { openThread as openThreadLocked } from "./thread";

function leave(status: i32): i32 {
  release();
  return status;
}

export function pinMemory(lpid: f64, address: f64, length: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(pinMemoryLocked(lpid, address, length));
}

export function unpinMemory(lpid: f64, pin: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(unpinMemoryLocked(lpid, pin));
}

export function unpinOrphan(pin: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(unpinOrphanLocked(pin));
}

export function adapterBetween(lpid: f64, partnerLpid: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(adapterBetweenLocked(lpid, partnerLpid));
}

export function adapterPeer(lpid: f64, unit: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(adapterPeerLocked(lpid, unit));
}

export function allocate(lpid: f64, length: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(allocateLocked(lpid, length));
}

export function deallocate(lpid: f64, address: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(deallocateLocked(lpid, address));
}

export function assignResource(
  lpid: f64,
  type: f64,
  address: f64,
  length: f64,
  physical: f64,
  liobn: f64,
): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(assignResourceLocked(lpid, type, address, length, physical, liobn));
}

export function connectPartitions(lpid: f64, partnerLpid: f64, quota: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(connectPartitionsLocked(lpid, partnerLpid, quota));
}

export function createPartition(memoryPages: f64, lmbPages: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(createPartitionLocked(memoryPages, lmbPages));
}

export function removePartition(lpid: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(removePartitionLocked(lpid));
}

export function restartPartition(lpid: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(restartPartitionLocked(lpid));
}

export function audit(): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(auditLocked());
}

export function copyMemory(lpid: f64, from: f64, partnerLpid: f64, to: f64, length: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(copyMemoryLocked(lpid, from, partnerLpid, to, length));
}

export function acceptLogical(lpid: f64, cookie: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(acceptLogicalLocked(lpid, cookie));
}

export function grantLogical(lpid: f64, flags: f64, hi: f64, lo: f64, length: f64, unit: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(grantLogicalLocked(lpid, flags, hi, lo, length, unit));
}

export function rescindLogical(lpid: f64, flags: f64, cookie: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(rescindLogicalLocked(lpid, flags, cookie));
}

export function returnLogical(lpid: f64, cookie: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(returnLogicalLocked(lpid, cookie));
}

export function freeQueue(lpid: f64, unit: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(freeQueueLocked(lpid, unit));
}

export function receiveEntry(lpid: f64, unit: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(receiveEntryLocked(lpid, unit));
}

export function registerQueue(lpid: f64, unit: f64, address: f64, length: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(registerQueueLocked(lpid, unit, address, length));
}

export function sendEntry(lpid: f64, unit: f64, word0: f64, word1: f64, word2: f64, word3: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(sendEntryLocked(lpid, unit, word0, word1, word2, word3));
}

export function takeEvent(lpid: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(takeEventLocked(lpid));
}

export function failPartition(lpid: f64, orderly: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(failPartitionLocked(lpid, orderly));
}

export function recoverClient(lpid: f64, budget: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(recoverClientLocked(lpid, budget));
}

export function recoverServer(lpid: f64, budget: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(recoverServerLocked(lpid, budget));
}

export function endViews(lpid: f64, budget: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(endViewsLocked(lpid, budget));
}

export function freeStaging(offset: f64, pages: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(freeStagingLocked(offset, pages));
}

export function takeStaging(pages: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(takeStagingLocked(pages));
}

export function openThread(lpid: f64): i32 {
  if (!acquire()) return H_LONG_BUSY_10_MSEC;
  return leave(openThreadLocked(lpid));
}
