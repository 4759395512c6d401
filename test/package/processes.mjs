/** Running other programs. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** No check takes longer than this, in milliseconds. */
const TIMEOUT_MS = 300_000;

/**
 * @returns what it wrote.
 * @throws Error with `stdout` and `stderr` if it ends with another code than 0, or does not end.
 */
export function run(file, args, options = {}) {
  return execute(file, args, { timeout: TIMEOUT_MS, maxBuffer: 1 << 26, ...options });
}
