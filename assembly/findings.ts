/** What audit() has looked at and found: its own words, beside the table. */
import {
  HEADER_AUDIT_AT,
  HEADER_AUDIT_CHECKED,
  HEADER_AUDIT_PROBLEMS,
  PARTITION_AUDIT,
  PROBLEM_BYTES,
  PROBLEMS_MAX,
} from "../src/layout";
import { header } from "./memory";

/** The audit's own words are no part of the table: they are written without the log. */
export function write(at: usize, value: u32): void {
  store<u32>(at, value);
}

export function tally(at: usize, delta: u32): void {
  store<u32>(at, load<u32>(at) + delta);
}

export function report(code: u32, a: u32, b: u32): void {
  const count = header(HEADER_AUDIT_PROBLEMS);
  write(HEADER_AUDIT_PROBLEMS, count + 1);
  if (count >= u32(PROBLEMS_MAX)) return;
  const at = <usize>header(HEADER_AUDIT_AT) + <usize>count * PROBLEM_BYTES;
  store<u32>(at, code);
  store<u32>(at, a, 4);
  store<u32>(at, b, 8);
}

/** One fact looked at; a problem if it does not hold. */
export function check(holds: bool, code: u32, a: u32, b: u32): void {
  write(HEADER_AUDIT_CHECKED, header(HEADER_AUDIT_CHECKED) + 1);
  if (!holds) report(code, a, b);
}

/** The scratch word of a partition in which its pins are counted again. */
export const SCRATCH_PINS: usize = PARTITION_AUDIT + 20;

/** A weight of its own for each structure, so that what is counted at the wrong one does not add up. */
export function weight(slot: u32): u64 {
  const odd = <u64>slot * 0x9e3779b1 + 1;
  return odd * odd;
}
