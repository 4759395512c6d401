/**
 * The batch form of the four hypercalls: an array of requests in staging, a status and a result per element, one
 * crossing. The requests are carried out in order; one that fails does not stop the others.
 *
 *     0     4      8    12    16                        56
 *     token status lpid       five arguments (f64)      result ... 64
 *     token status lpid flags cookie                    result        by words
 *     token status lpid flags logical length unit       result        a grant by words
 *
 * Numbers are doubles, or, where REQUEST_WORDS is in the token of a call on grants, all but a cookie words: integers of 32 bits, as
 * JavaScript has most of them, which need not be decoded. Some 90 instructions of a cycle are spared by that.
 *
 * In a large table, before it works on a block of requests, it touches the records that all of them name, and then those that
 * these link to (touch.ts).
 */
import {
  H_FUNCTION,
  H_LONG_BUSY_1_MSEC,
  H_LONG_BUSY_10_MSEC,
  H_NEED_ALL,
  H_PARAMETER,
  H_SUCCESS,
  MODE_SHARE,
  REQUEST_ARGUMENTS,
  REQUEST_BYTES,
  REQUEST_COOKIE,
  REQUEST_FLAGS,
  REQUEST_LENGTH,
  REQUEST_LOGICAL,
  REQUEST_LPID,
  REQUEST_RESULT,
  REQUEST_STATUS,
  REQUEST_TOKEN,
  REQUEST_UNIT,
  REQUEST_WORDS,
  SPACE_MEMORY,
  THREAD_TCES,
  TOKEN_ACCEPT,
  TOKEN_GET_TCE,
  TOKEN_GRANT,
  TOKEN_PUT_TCE,
  TOKEN_PUT_TCE_INDIRECT,
  TOKEN_RESCIND,
  TOKEN_RETURN,
  TOKEN_STUFF_TCE,
  TOUCH_NEAR,
} from "../src/layout";
import { slotOfCookie, structureAt } from "./control";
import { decodeInteger, decodePages, UnitsOf, Words32 } from "./decode";
import { awaitDma, getTce, putTce, putTceIndirect, stuffTce, windowOwnerNamed } from "./dma";
import {
  acceptLogical,
  granteeNamed,
  grantLogical,
  grantorNamed,
  partnerNamed,
  rescindLogical,
  returnLogical,
} from "./hcall-logical";
import { settle } from "./job";
import { acquire, acquireAll, mendCall, release } from "./lock";
import { THREAD } from "./log";
import { inStaging, isAlone, NONE, resultOf, setResult } from "./memory";
import { backPlace, entryPlace, spaceAt, spacePages } from "./page";
import { partitionKnown } from "./partition";
import { areFar } from "./slot";
import { keep, Touch } from "./touch";

/** Requests that are touched together: their structures and neighbours are more than the misses that a core has under way. */
const BLOCK: u32 = 32;

function argument(request: usize, index: usize): f64 {
  return load<f64>(request + REQUEST_ARGUMENTS + (index << 3));
}

if (TOKEN_RESCIND < TOKEN_GRANT || TOKEN_ACCEPT < TOKEN_GRANT || TOKEN_RETURN < TOKEN_GRANT)
  ERROR("calls on grants have the highest tokens");
if (TOKEN_GET_TCE > TOKEN_GRANT || TOKEN_PUT_TCE > TOKEN_GRANT) ERROR("calls on TCEs have lower tokens");

/** The number of the partition that calls, NONE for what is none. */
function callerOf(request: usize, token: u32): u32 {
  return token < u32(REQUEST_WORDS)
    ? decodeInteger(load<f64>(request, REQUEST_LPID))
    : load<u32>(request, REQUEST_LPID);
}

/** The cookie that any call on grants names but a grant. */
function cookieOf(request: usize, token: u32): f64 {
  return load<f64>(request + (token == TOKEN_RESCIND ? 8 : 0), REQUEST_COOKIE);
}

/** What is not done now is not waited for in a batch. */
function rescind(own: u32, flags: u32, cookie: f64): i32 {
  const status = rescindLogical(own, flags, cookie);
  return status == H_LONG_BUSY_1_MSEC ? H_LONG_BUSY_10_MSEC : status;
}

function grant(own: u32, flags: u32, liobn: u32, logical: f64, length: f64, address: u32): i32 {
  const page = UnitsOf.decode(flags, logical);
  const count = UnitsOf.decode(flags, length);
  return grantLogical(own, flags, liobn, page, count, address, MODE_SHARE);
}

/**
 * What becomes of one request. Its token is read once: what is checked is what is used. Methods, since only those are inlined on
 * demand.
 */
class Request {
  /** Carries out one that has words. */
  @inline
  static byWords(request: usize, token: u32): i32 {
    const own = load<u32>(request, REQUEST_LPID);
    if (token == (TOKEN_GRANT | REQUEST_WORDS)) return Request.grantByWords(request, own);
    const cookie = load<f64>(request, REQUEST_COOKIE);
    if (token == (TOKEN_ACCEPT | REQUEST_WORDS)) return acceptLogical(own, cookie);
    if (token == (TOKEN_RETURN | REQUEST_WORDS)) return returnLogical(own, cookie, NONE);
    if (token == (TOKEN_RESCIND | REQUEST_WORDS))
      return rescind(own, load<u32>(request, REQUEST_FLAGS), cookie);
    return unknown(own);
  }

  @inline
  static grantByWords(request: usize, own: u32): i32 {
    const flags = load<u32>(request, REQUEST_FLAGS);
    const logical = load<u32>(request, REQUEST_LOGICAL);
    const length = load<u32>(request, REQUEST_LENGTH);
    const unit = load<u32>(request, REQUEST_UNIT);
    if (!Words32.areOfMemory(own, flags, logical, length, unit))
      return grant(own, flags, 0, f64(<i32>logical), f64(<i32>length), unit);
    const count = Words32.count(logical, length);
    return grantLogical(own, flags, 0, logical >> 12, count, unit, MODE_SHARE);
  }

  @inline
  static answer(request: usize, status: i32): void {
    store<i32>(request, status, REQUEST_STATUS);
    store<f64>(request, resultOf(), REQUEST_RESULT);
  }
}

function unknown(own: u32): i32 {
  return partitionKnown(own) == 0 ? H_PARAMETER : H_FUNCTION;
}

/** Carries out one that has doubles. */
function byDoubles(request: usize, token: u32): i32 {
  const lpid = load<f64>(request, REQUEST_LPID);
  const own = decodeInteger(lpid);
  const first = argument(request, 0);
  const second = argument(request, 1);
  const third = argument(request, 2);
  const fourth = argument(request, 3);
  switch (token) {
    case TOKEN_GRANT: {
      const unit = decodeInteger(argument(request, 4));
      return grant(own, decodeInteger(first), decodeInteger(second), third, fourth, unit);
    }
    case TOKEN_ACCEPT:
      return acceptLogical(own, first);
    case TOKEN_RETURN:
      return returnLogical(own, first, NONE);
    case TOKEN_RESCIND:
      return rescind(own, decodeInteger(first), second);
    case TOKEN_PUT_TCE:
      return putTce(lpid, first, second, third);
    case TOKEN_PUT_TCE_INDIRECT:
      return putTceIndirect(lpid, first, second, third, fourth);
    case TOKEN_STUFF_TCE:
      return stuffTce(lpid, first, second, third, fourth);
    case TOKEN_GET_TCE:
      return getTce(lpid, first, second);
    default:
      return unknown(own);
  }
}

/** Carries out one request. */
function carryOut(request: usize, token: u32): i32 {
  return token < u32(REQUEST_WORDS) ? byDoubles(request, token) : Request.byWords(request, token);
}

/** What was put may have to be waited for. */
function awaited(token: u32, status: i32): i32 {
  return token >= u32(TOKEN_GRANT) || token == TOKEN_GET_TCE ? status : awaitDma(status);
}

/** Where places that a block reads are listed: the upper half of the log, which is empty between two calls. */
function placeAt(index: u32): usize {
  return THREAD + THREAD_TCES + ((<usize>index) << 2);
}

/** Where the slots are listed whose neighbours it reads, too; each request has two places at most. */
function slotAt(index: u32): usize {
  return placeAt(2 * BLOCK + index);
}

/**
 * Touches what the requests on grants of a block need: first the structures that they name, each once where requests follow each
 * other, and the pages that are granted; then what those link to that end. Nothing is checked. The loops over what is listed
 * are short, so that many of their loads are under way at once.
 */
function touchBlock(first: usize, count: u32): u32 {
  let places: u32 = 0;
  let slots: u32 = 0;
  let last: u32 = 0;
  let caller: u32 = NONE;
  let source: usize = 0;
  for (let k: u32 = 0; k < count; k++) {
    const request = first + <usize>k * REQUEST_BYTES;
    const token = load<u32>(request, REQUEST_TOKEN);
    if (token < u32(TOKEN_GRANT)) continue;
    const call = token & ~u32(REQUEST_WORDS);
    if (call == TOKEN_GRANT) {
      const own = callerOf(request, token);
      if (own != caller) {
        caller = own;
        const partition = partitionKnown(own);
        source = partition == 0 ? 0 : spaceAt(partition, SPACE_MEMORY);
      }
      const page =
        token == TOKEN_GRANT ? decodePages(argument(request, 2)) : load<u32>(request, REQUEST_LOGICAL) >> 12;
      if (source == 0 || page >= spacePages(source)) continue;
      store<u32>(placeAt(places), <u32>entryPlace(source, page));
      store<u32>(placeAt(places + 1), <u32>backPlace(source, page));
      places += 2;
      continue;
    }
    const slot = slotOfCookie(cookieOf(request, token));
    if (slot == 0 || slot == last) continue;
    last = slot;
    store<u32>(placeAt(places++), <u32>structureAt(slot));
    if (call != TOKEN_ACCEPT) store<u32>(slotAt(slots++), slot);
  }
  let touched: u32 = 0;
  for (let i: u32 = 0; i < places; i++) touched ^= Touch.place(<usize>load<u32>(placeAt(i)));
  for (let i: u32 = 0; i < slots; i++) touched ^= Touch.linked(load<u32>(slotAt(i)));
  return touched;
}

/** The partition that a request changes besides its caller's. */
function otherNamed(request: usize, token: u32, own: u32): u32 {
  switch (token & ~u32(REQUEST_WORDS)) {
    case TOKEN_GRANT:
      return partnerNamed(
        own,
        token == TOKEN_GRANT ? decodeInteger(argument(request, 4)) : load<u32>(request, REQUEST_UNIT),
      );
    case TOKEN_RESCIND:
      return granteeNamed(cookieOf(request, token));
    case TOKEN_PUT_TCE:
    case TOKEN_PUT_TCE_INDIRECT:
    case TOKEN_STUFF_TCE:
    case TOKEN_GET_TCE:
      return windowOwnerNamed(load<f64>(request, REQUEST_LPID), argument(request, 1));
    default:
      return grantorNamed(cookieOf(request, token));
  }
}

/** Carries out a block of requests where no other thread is. Answers how many succeeded, as carryOutBlock(). */
function carryOutAlone(first: usize, count: u32): u32 {
  let succeeded: u32 = 0;
  acquireAll();
  for (let k: u32 = 0; k < count; k++) {
    const request = first + <usize>k * REQUEST_BYTES;
    const token = load<u32>(request, REQUEST_TOKEN);
    setResult(0);
    let status: i32 = 0;
    if (token >= u32(REQUEST_WORDS)) {
      status = Request.byWords(request, token);
      settle();
    } else {
      status = byDoubles(request, token);
      settle();
      status = awaited(token, status);
    }
    Request.answer(request, status);
    succeeded += u32(status == H_SUCCESS);
  }
  release();
  return succeeded;
}

/**
 * Carries out a block of requests. Locks are kept as long as the requests are of the same two partitions, so that a block
 * pays for them once; others get their turn between two blocks.
 */
function carryOutBlock(first: usize, count: u32): u32 {
  let succeeded: u32 = 0;
  let heldLpid: u32 = 0;
  let heldOther: u32 = 0;
  for (let k: u32 = 0; k < count; k++) {
    const request = first + <usize>k * REQUEST_BYTES;
    const token = load<u32>(request, REQUEST_TOKEN);
    const own = callerOf(request, token);
    const lpid = partitionKnown(own) == 0 ? 0 : own;
    const other = otherNamed(request, token, own);
    setResult(0);
    let status = lpid == 0 ? H_PARAMETER : H_SUCCESS;
    if (lpid != 0 && (lpid != heldLpid || other != heldOther)) {
      if (heldLpid != 0) release();
      heldOther = other;
      heldLpid = acquire(lpid, other) ? lpid : 0;
      if (heldLpid == 0) status = H_LONG_BUSY_10_MSEC;
    }
    if (status == H_SUCCESS) {
      status = carryOut(request, token);
      settle();
      if (status == H_NEED_ALL) {
        release();
        heldLpid = 0;
        status = H_LONG_BUSY_10_MSEC;
        if (acquireAll()) {
          status = carryOut(request, token);
          release();
        }
      }
    }
    status = awaited(token, status);
    Request.answer(request, status);
    succeeded += u32(status == H_SUCCESS);
  }
  if (heldLpid != 0) release();
  return succeeded;
}

/** Carries out `count` requests at `offset`. R4: how many of them were answered H_SUCCESS. */
export function hcallBatch(offset: f64, count: f64): i32 {
  const at = decodeInteger(offset);
  const requests = decodeInteger(count);
  if (!inStaging(at, <u64>requests * REQUEST_BYTES)) return H_PARAMETER;
  // Before anything is written to the log: an earlier call may have left it behind.
  mendCall();
  let succeeded: u32 = 0;
  for (let i: u32 = 0; i < requests; i += BLOCK) {
    const first = <usize>at + <usize>i * REQUEST_BYTES;
    const count = min(BLOCK, requests - i);
    if (areFar(TOUCH_NEAR)) keep(touchBlock(first, count));
    succeeded += isAlone() ? carryOutAlone(first, count) : carryOutBlock(first, count);
  }
  setResult(f64(succeeded));
  return H_SUCCESS;
}
