/** A failed server that waits for its borrowers, in the naive model (FA7). How far a slice came is learnt and checked. */
import { H_BUSY, H_PARTIAL, H_RESOURCE, H_SUCCESS } from "../../src/layout.js";
import type { Model } from "./model.js";
import { learnNodes } from "./model-learn.js";
import {
  type Answer,
  answer,
  ensure,
  type Grant,
  isBudget,
  isUnderRevocation,
  type ModelPartition,
  nameOf,
  REFUSED,
} from "./model-records.js";
import { learnTold } from "./model-tell.js";

/** What others have of a partition, accepted or not; what is rescinded is nobody's grant any more. */
export function lentBy(model: Model, partition: ModelPartition): Grant[] {
  return [...model.grants.values()].filter(
    ({ grantor, state }) => grantor === partition && state !== "rescinded",
  );
}

/** One slice; `observed` is its status. */
export function learnRecoverDeferred(model: Model, lpid: number, budget: number, observed: number): Answer {
  const partition = model.partitions.get(lpid);
  if (partition === undefined || !isBudget(budget)) return REFUSED;
  if (partition.state !== "failed") return answer(H_RESOURCE);
  const telling = learnTold(model, partition, budget);
  if (telling !== undefined) return telling;
  partition.deferred = true;
  // What it accepted it loses, with what it granted of that.
  const lent = lentBy(model, partition).filter(({ source }) => source.kind === "resource");
  const revoked = lent.filter(isUnderRevocation);
  // What nobody has accepted ends; what somebody has is not touched.
  for (const grant of lent) {
    if (grant.state !== "granted" || revoked.includes(grant)) continue;
    if (model.observed.grant(grant.cookie).state === "dead") model.end(grant);
  }
  learnNodes(model, [...model.heldBy(partition), ...revoked], partition);
  if (observed === H_PARTIAL) return answer(H_PARTIAL);
  const held = model.heldBy(partition).length;
  ensure(held === 0, () => `partition ${lpid} waits for its borrowers and still holds ${held} grants`);
  const left = lentBy(model, partition);
  for (const grant of left) {
    // Of those who have accepted, one that fails too gives back in its own recovery.
    const isGoing = isUnderRevocation(grant) && grant.holder.state === "running";
    ensure(
      grant.state !== "granted" && !isGoing,
      () => `${nameOf(grant)}, ${grant.state}, should have ended with its grantor`,
    );
  }
  return answer(left.length === 0 ? H_SUCCESS : H_BUSY);
}
