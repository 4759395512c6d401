/**
 * Ownership modes of a grant: who has access while it stands.
 */
import { textOf } from "./errors.js";
import { H_RESOURCE, MODE_DONATE, MODE_LEND, MODE_SHARE, MODE_ZERO } from "./layout.js";
import type { GrantMode } from "./records.js";

const CODES: ReadonlyMap<unknown, number> = new Map<GrantMode, number>([
  ["share", MODE_SHARE],
  ["lend", MODE_LEND],
  ["donate", MODE_DONATE],
]);

/** The mode as the core knows it. @throws TypeError for one that is none. */
export function modeCode(mode: GrantMode, { zero }: { readonly zero?: boolean }): number {
  // Most grants are shares: they do without the look-up.
  if (mode === "share" && zero !== true) return MODE_SHARE;
  const code = CODES.get(mode);
  if (code === undefined)
    throw new TypeError(`mode is "${textOf(mode)}"; it must be one of ${[...CODES.keys()].join(", ")}`);
  return zero === true ? code | MODE_ZERO : code;
}

/** What a refused grant says of itself. */
export function grantDetail(status: number, mode: GrantMode, range: string): string {
  const what = mode === "share" ? range : `${mode} of ${range}`;
  if (status !== H_RESOURCE) return what;
  return mode === "share"
    ? `${what}: pages of it are lent`
    : `${what}: pages of it are granted or lent already, or under a view, or hold a queue`;
}

/** What a refused access says of itself: only a lend makes it H_RESOURCE. */
export function accessDetail(status: number, range: string): string {
  return status === H_RESOURCE ? `${range}: pages of it are lent` : range;
}
