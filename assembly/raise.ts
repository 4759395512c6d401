/**
 * A raise of an interrupt source that several partitions have: a walk over its tree of grants, up again by the parents, in
 * slices. Each line that is reached is a commit of its own within a job, so that the notes of a call do not grow with the
 * tree; done again from its start the job passes over what it reached before.
 */
import {
  ENTRY_VALID,
  FLAG_REVOKING,
  SPACE_INTERRUPT,
  STRUCTURE_OWNED,
  STRUCTURE_SHARED,
} from "../src/layout";
import {
  childOf,
  cookieOf,
  hasFlag,
  holderOf,
  nextOf,
  pageOf,
  parentOf,
  stateOf,
  structureAt,
} from "./control";
import { lineIndex, raiseLine } from "./line";
import { commit } from "./log";
import { setResult } from "./memory";
import { entryOf, spaceAt } from "./page";
import { isRunning, partitionAt } from "./partition";

/** The structure after this one in a walk over the tree below a root, or 0. What is being revoked hears nothing more. */
function nextInTree(root: usize, structure: usize): u32 {
  const child = hasFlag(structure, FLAG_REVOKING) ? 0 : childOf(structure);
  if (child != 0) return child;
  let current = structure;
  while (current != root && nextOf(current) == 0) current = structureAt(parentOf(current));
  return current == root ? 0 : nextOf(current);
}

/** Raises the line of who holds a structure, if that is mapped and its holder runs. */
function raiseHolder(structure: usize, from: u32): void {
  const state = stateOf(structure);
  if (state != STRUCTURE_OWNED && state != STRUCTURE_SHARED) return;
  const partition = partitionAt(holderOf(structure));
  const number = pageOf(structure);
  if (!isRunning(partition) || (entryOf(spaceAt(partition, SPACE_INTERRUPT), number) & ENTRY_VALID) == 0)
    return;
  raiseLine(partition, lineIndex(SPACE_INTERRUPT, number), from);
}

/**
 * Reaches up to `steps` structures of a source's tree, from one of them on. Leaves as the second result where it stands, as
 * a cookie, or 0 at the end. A job.
 */
export function raiseTree(root: usize, first: u32, from: u32, steps: u32): void {
  let slot = first;
  for (let step: u32 = 0; step < steps && slot != 0; step++) {
    raiseHolder(structureAt(slot), from);
    commit();
    slot = nextInTree(root, structureAt(slot));
  }
  setResult(slot == 0 ? 0 : cookieOf(structureAt(slot)));
}
