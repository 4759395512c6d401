/**
 * Physical frames: free map, pins and quarantine.
 *
 *     pin word: | charged lpid 16 | 1 | pins 15 |    in quarantine
 *               | shares 16       | 0 | pins 15 |    else: pages that stand on the frame beyond the first (merge.ts)
 *
 * A frame that several pages share has no pins.
 *
 * A free frame is always zero (TR5, FA4): it was zeroed when it was given back. A frame that is given back while a
 * zero-copy view still stands on it goes to quarantine instead and is freed with its last pin (RS6).
 */
import {
  FRAME_LPID_SHIFT,
  FRAME_PINS,
  FRAME_QUARANTINED,
  FRAME_SHARES_SHIFT,
  H_NO_MEM,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_AUDIT_AT,
  HEADER_FRAME_MAP_AT,
  HEADER_FRAME_PINS_AT,
  HEADER_FRAMES_FREE,
  HEADER_FRAMES_MAX,
  HEADER_FRAMES_QUARANTINED,
  HEADER_FRAMES_SAVED,
  HEADER_QUARANTINE_MAX,
  PAGE_BYTES,
  PINS_LIMIT,
  PROBLEM_BYTES,
  PROBLEMS_MAX,
} from "../src/layout";
import { mapFill, mapIsFree, mapLowest, mapLowestRun, mapRunEnd, mapTakeRun, Places } from "./bitmap";
import { decodeInteger } from "./decode";
import { put } from "./log";
import { addHeader, frameAt, header, NONE, setHeader, setResult } from "./memory";

function pinWordAt(frame: u32): usize {
  return <usize>header(HEADER_FRAME_PINS_AT) + ((<usize>frame) << 2);
}

export function framesFree(): u32 {
  return header(HEADER_FRAMES_FREE);
}

/** Frames that may still go to quarantine because a page moves. */
export function quarantineLeft(): u32 {
  const used = header(HEADER_FRAMES_QUARANTINED);
  const most = header(HEADER_QUARANTINE_MAX);
  return used < most ? most - used : 0;
}

export function frameIsFree(frame: u32): bool {
  return mapIsFree(header(HEADER_FRAME_MAP_AT), frame);
}

export function framePins(frame: u32): u32 {
  return load<u32>(pinWordAt(frame)) & FRAME_PINS;
}

export function frameIsQuarantined(frame: u32): bool {
  return (load<u32>(pinWordAt(frame)) & FRAME_QUARANTINED) != 0;
}

/** References to a frame beyond the first: equal pages that were merged. */
export function frameShares(frame: u32): u32 {
  const word = load<u32>(pinWordAt(frame));
  return (word & FRAME_QUARANTINED) != 0 ? 0 : word >> FRAME_SHARES_SHIFT;
}

/** One more page stands on the frame; that the count fits, and that nothing is pinned, was checked. */
export function shareFrame(frame: u32): void {
  const at = pinWordAt(frame);
  put(at, load<u32>(at) + (1 << FRAME_SHARES_SHIFT));
  addHeader(HEADER_FRAMES_SAVED, 1);
}

/** The lpid that is charged for a quarantined frame. */
export function frameCharged(frame: u32): u32 {
  return load<u32>(pinWordAt(frame)) >> FRAME_LPID_SHIFT;
}

/** All frames free, and zero as every new memory is. */
export function openFrames(): void {
  const frames = header(HEADER_FRAMES_MAX);
  mapFill(header(HEADER_FRAME_MAP_AT), frames, 0, frames, true);
  setHeader(HEADER_FRAMES_FREE, frames);
}

/** The lowest run of exactly `count` free frames, all zero; NONE when there is no such run. */
export function lowestFrames(count: u32): u32 {
  return mapLowestRun(header(HEADER_FRAME_MAP_AT), header(HEADER_FRAMES_MAX), count);
}

/** Whether a run of frames exists and is free. */
export function framesAreFree(first: u32, count: u32): bool {
  const frames = header(HEADER_FRAMES_MAX);
  if (first > frames || count > frames - first) return false;
  return mapRunEnd(header(HEADER_FRAME_MAP_AT), frames, first, count) == first + count;
}

/** R4: the lowest run of `count` free frames. H_NO_MEM: there is none. */
export function findFrames(count: f64): i32 {
  const frames = decodeInteger(count);
  if (frames == NONE || frames == 0) return H_PARAMETER;
  const first = frames > header(HEADER_FRAMES_MAX) ? NONE : lowestFrames(frames);
  if (first == NONE) return H_NO_MEM;
  setResult(f64(first));
  return H_SUCCESS;
}

/** Takes a few free frames. */
export function takeFrames(first: u32, count: u32): void {
  mapTakeRun(header(HEADER_FRAME_MAP_AT), header(HEADER_FRAMES_MAX), first, count);
  addHeader(HEADER_FRAMES_FREE, -(<i32>count));
}

/** Takes free frames, or gives back ones that were never used, whatever their number; part of a job. */
export function fillFrames(first: u32, count: u32, isFree: bool): void {
  mapFill(header(HEADER_FRAME_MAP_AT), header(HEADER_FRAMES_MAX), first, count, isFree);
}

/** Zeroes those of some frames that are free: a call that had written to them was undone; part of a job. */
export function zeroIfFree(first: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    if (frameIsFree(first + i)) memory.fill(frameAt(first + i), 0, PAGE_BYTES);
  }
}

/** Frees frames whose content has moved away and that are counted as free already; part of a job. */
export function freeMoved(first: u32, count: u32): void {
  memory.fill(frameAt(first), 0, <usize>count * PAGE_BYTES);
  fillFrames(first, count, true);
}

/** How many frames the lowest free run has, at most `most`. */
export function lowestRunLength(most: u32): u32 {
  const map = header(HEADER_FRAME_MAP_AT);
  const bits = header(HEADER_FRAMES_MAX);
  const first = mapLowest(map, bits);
  return first == NONE ? 0 : mapRunEnd(map, bits, first, most) - first;
}

/** One page less stands on the frame, and some still do. */
export function unshareFrame(frame: u32): void {
  const at = pinWordAt(frame);
  put(at, load<u32>(at) - (1 << FRAME_SHARES_SHIFT));
  addHeader(HEADER_FRAMES_SAVED, -1);
}

function zeroAndFree(frame: u32): void {
  memory.fill(frameAt(frame), 0, PAGE_BYTES);
  Places.free(header(HEADER_FRAME_MAP_AT), header(HEADER_FRAMES_MAX), frame);
  addHeader(HEADER_FRAMES_FREE, 1);
}

/**
 * Gives a frame back, or one of the references to it. Answers whether it went to quarantine, charged to `lpid`, because pins
 * stand.
 */
export function releaseFrame(frame: u32, lpid: u32): bool {
  if (frameShares(frame) != 0) {
    unshareFrame(frame);
    return false;
  }
  const at = pinWordAt(frame);
  const pins = load<u32>(at) & FRAME_PINS;
  if (pins == 0) {
    zeroAndFree(frame);
    return false;
  }
  put(at, (lpid << FRAME_LPID_SHIFT) | FRAME_QUARANTINED | pins);
  addHeader(HEADER_FRAMES_QUARANTINED, 1);
  return true;
}

/** Charges nobody any more for a frame in quarantine. Answers whether `lpid` was charged. */
export function unchargeFrame(frame: u32, lpid: u32): bool {
  const at = pinWordAt(frame);
  const word = load<u32>(at);
  if ((word & FRAME_QUARANTINED) == 0 || word >> FRAME_LPID_SHIFT != lpid) return false;
  put(at, word & (FRAME_QUARANTINED | FRAME_PINS));
  return true;
}

// ---------------------------------------------------------------- marks: scratch of one call, clear between calls

function markWordAt(frame: u32): usize {
  const marks = <usize>header(HEADER_AUDIT_AT) + PROBLEMS_MAX * PROBLEM_BYTES;
  return marks + ((<usize>(frame >> 6)) << 3);
}

export function isMarked(frame: u32): bool {
  return ((load<u64>(markWordAt(frame)) >> (frame & 63)) & 1) != 0;
}

export function markFrame(frame: u32): void {
  const at = markWordAt(frame);
  store<u64>(at, load<u64>(at) | ((<u64>1) << (frame & 63)));
}

/** Clears the mark of the frame, and perhaps those of its neighbours: for undoing marks one by one. */
export function unmarkAround(frame: u32): void {
  store<u64>(markWordAt(frame), 0);
}

export function clearMarks(): void {
  memory.fill(markWordAt(0), 0, (<usize>((header(HEADER_FRAMES_MAX) + 63) >> 6)) << 3);
}

// ---------------------------------------------------------------- pins

/** Whether one more pin fits: pins saturate and refuse, they never wrap. */
export function framePinFits(frame: u32): bool {
  return framePins(frame) < u32(PINS_LIMIT);
}

export function pinFrame(frame: u32): void {
  const at = pinWordAt(frame);
  put(at, load<u32>(at) + 1);
}

/** Drops a pin. Answers the lpid that was charged if that ended the frame's quarantine, else 0. */
export function unpinFrame(frame: u32): u32 {
  const at = pinWordAt(frame);
  const word = load<u32>(at) - 1;
  if ((word & FRAME_PINS) != 0 || (word & FRAME_QUARANTINED) == 0) {
    put(at, word);
    return 0;
  }
  put(at, 0);
  zeroAndFree(frame);
  addHeader(HEADER_FRAMES_QUARANTINED, -1);
  return word >> FRAME_LPID_SHIFT;
}
