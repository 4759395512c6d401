/**
 * Ownership modes of a grant: who has access while it stands.
 */
import { textOf } from "./errors.js";
import { MODE_DONATE, MODE_LEND, MODE_SHARE, MODE_ZERO } from "./layout.js";
import type { GrantMode } from "./records.js";

const CODES: ReadonlyMap<unknown, number> = new Map<GrantMode, number>([
  ["share", MODE_SHARE],
  ["lend", MODE_LEND],
  ["donate", MODE_DONATE],
]);

/** The mode as the core knows it. @throws TypeError for one that is none. */
export function modeCode(mode: GrantMode, { zero }: { readonly zero?: boolean | undefined }): number {
  // Most grants are shares: they do without the look-up.
  if (mode === "share" && !zero) return MODE_SHARE;
  const code = CODES.get(mode);
  if (code === undefined)
    throw new TypeError(`mode is "${textOf(mode)}"; it must be one of ${[...CODES.keys()].join(", ")}`);
  return zero ? code | MODE_ZERO : code;
}
