/** Begins a table in a memory whose header was just written: everything free. */
import {
  DEFAULT_BUDGET,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_BUDGET,
  HEADER_END_FRESH,
  HEADER_FRAMES_MAX,
  HEADER_PIN_FRESH,
  HEADER_QUARANTINE_MAX,
  HEADER_STRUCTURE_FRESH,
} from "../src/layout";
import { openFrames } from "./frame";
import { commit } from "./log";
import { header, recognised, setHeader } from "./memory";
import { openStaging } from "./staging";
import { openThreads } from "./thread";

/** H_PARAMETER if the memory was laid out by another version, or if it is a table already. */
export function openTable(): i32 {
  if (!recognised() || header(HEADER_STRUCTURE_FRESH) != 0) return H_PARAMETER;
  setHeader(HEADER_STRUCTURE_FRESH, 1);
  setHeader(HEADER_END_FRESH, 1);
  setHeader(HEADER_PIN_FRESH, 1);
  setHeader(HEADER_BUDGET, DEFAULT_BUDGET);
  setHeader(HEADER_QUARANTINE_MAX, header(HEADER_FRAMES_MAX));
  openFrames();
  openStaging();
  openThreads();
  commit();
  return H_SUCCESS;
}
