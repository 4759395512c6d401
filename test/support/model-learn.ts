/**
 * What a slice of a revocation or of a recovery did is learnt from the real table, and checked against what the rules
 * allow: only what was named, and what is below it, may change; all is marked before anything is torn down (G6); leaves
 * go first; a page under a view moves before its mapping goes (RS6); nothing is marked, torn down or moved twice.
 */
import { EVENT_RESCINDED, EVENT_RETURNED, H_PARTIAL, H_RESOURCE, H_SUCCESS } from "../../src/layout.js";
import { type Model, stateAfterTearDown } from "./model.js";
import { endPin } from "./model-access.js";
import { learnReleased, privatePages } from "./model-copies.js";
import { learnZeroed, mustZero } from "./model-lend.js";
import { moveFrame } from "./model-moves.js";
import {
  type Answer,
  answer,
  below,
  chainOf,
  type Entry,
  ensure,
  type Frame,
  type Grant,
  isBudget,
  isUnderRevocation,
  type ModelPartition,
  type Node,
  nameOf,
  outermostNamed,
  REFUSED,
  rootOf,
  rootPageOf,
} from "./model-records.js";
import { learnTelling, learnTold } from "./model-tell.js";

/** One slice of a forced rescind of `grant`. */
export function learnRescind(model: Model, grant: Grant): Answer {
  learnNodes(model, [grant], undefined);
  return answer(grant.state === "dead" || grant.state === "rescinded" ? H_SUCCESS : H_PARTIAL);
}

function isFailing(partition: ModelPartition): boolean {
  return partition.state === "failed" || partition.state === "recovering";
}

/** One slice of the client's part of a recovery (FA1); `observed` is its status. */
export function learnRecoverClient(model: Model, lpid: number, budget: number, observed: number): Answer {
  const partition = model.partitions.get(lpid);
  if (partition === undefined || !isBudget(budget)) return REFUSED;
  if (!isFailing(partition)) return answer(H_RESOURCE);
  const telling = learnTold(model, partition, budget);
  if (telling !== undefined) return telling;
  // A forced rescind that it had begun of its own is carried through (RE5).
  const mayHaveBegun = partition.state === "failed" && !partition.deferred;
  const begun = mayHaveBegun ? partition.resources.flatMap(({ children }) => [...children]) : [];
  const revoked = begun.filter(isUnderRevocation);
  learnNodes(model, [...model.heldBy(partition), ...revoked], partition);
  if (observed === H_SUCCESS) {
    ensure(
      model.heldBy(partition).length === 0,
      () => `partition ${lpid} still holds grants after its recovery`,
    );
    for (const grant of revoked) {
      // One whose holder fails, too, may have been named by that one's recovery.
      const isLeft = model.grants.get(grant.cookie) === grant && grant.holder.state === "running";
      ensure(!isLeft || !isUnderRevocation(grant), () => `the rescind of ${nameOf(grant)} stands still`);
    }
    return answer(H_SUCCESS);
  }
  return answer(H_PARTIAL);
}

/** One slice of the server's part (FA2, FA4); `observed` is its status. */
export function learnRecoverServer(model: Model, lpid: number, budget: number, observed: number): Answer {
  const partition = model.partitions.get(lpid);
  if (partition === undefined || !isBudget(budget)) return REFUSED;
  if (!isFailing(partition)) return answer(H_RESOURCE);
  const telling = learnTold(model, partition, budget);
  if (telling !== undefined) return telling;
  partition.state = "recovering";
  partition.deferred = false;
  // A page may have moved and then been freed in the same slice: the frame that it left is charged to a client.
  const viewers = partition.resources.flatMap(below).filter(({ pins }) => pins > 0);
  const chargeable = [0, lpid, ...viewers.map(({ holder }) => holder.lpid)];
  learnNodes(model, [...model.heldBy(partition), ...partition.resources], partition);
  learnResources(model, partition, chargeable);
  learnOrphans(model, partition);
  if (model.observed.isEnding(lpid)) end(model, partition, budget);
  if (!model.observed.isStopped(lpid)) return answer(H_PARTIAL);
  ensure(observed === H_SUCCESS, () => `partition ${lpid} is stopped, but the answer was ${observed}`);
  stop(model, partition);
  return answer(H_SUCCESS);
}

function stop(model: Model, partition: ModelPartition): void {
  const holds = model.heldBy(partition).length + partition.resources.length;
  ensure(holds === 0, () => `partition ${partition.lpid} stopped with ${holds} structures`);
  for (const pin of model.pins.values())
    ensure(pin.holder !== partition, () => `partition ${partition.lpid} stopped with a pin`);
  const ends = [...model.ends].filter(({ owner }) => owner === partition).length;
  ensure(ends === 0, () => `partition ${partition.lpid} stopped with ${ends} adapters`);
  partition.state = "stopped";
  partition.isEnding = false;
}

/** Nothing is left of it but its adapters: they end, a slice's worth. */
function end(model: Model, partition: ModelPartition, budget: number): void {
  // Views of others may stand on them yet.
  for (const [frame, charged] of model.quarantine) {
    if (charged === partition.lpid) model.quarantine.set(frame, 0);
  }
  partition.isEnding = true;
  learnTelling(model, partition, budget);
}

// ---------------------------------------------------------------- structures

/** `begun` are the nodes on which the slice may have begun a revocation; `ended` is who returns what was rescinded. */
export function learnNodes(model: Model, begun: readonly Node[], ended: ModelPartition | undefined): void {
  const roots = new Set(begun.map((node) => outermostNamed(node) ?? node));
  const allowed = new Set<Node>(begun);
  const within = new Set<Grant>();
  for (const root of roots) {
    if (root.kind === "grant") within.add(root);
    for (const grant of below(root)) within.add(grant);
  }
  const torn = new Set<Grant>();
  for (const grant of [...model.grants.values()]) {
    const now = model.observed.grant(grant.cookie);
    if (grant.state === "rescinded" && ended === grant.holder && now.state === "dead") {
      model.unmap(grant); // FA1: returned on its behalf
      model.end(grant);
    } else if (!within.has(grant)) {
      const isSame = now.state === grant.state && now.named === grant.named && now.marked === grant.marked;
      ensure(
        isSame,
        () => `${nameOf(grant)}, ${grant.state}, was changed by a call that does not concern it`,
      );
    } else if (now.state !== grant.state) torn.add(grant);
    else {
      ensure(now.marked || !grant.marked, () => `${nameOf(grant)} has lost its mark`);
      ensure(!now.named || grant.named || allowed.has(grant), () => `${nameOf(grant)} is revoked by nobody`);
      grant.named = now.named;
      if (now.marked && !grant.marked) mark(model, grant);
    }
  }
  for (const grant of torn) if (!grant.marked) mark(model, grant);
  for (const root of roots) learnRoot(model, root, allowed);
  for (const grant of within) {
    if (torn.has(grant) || !grant.marked) continue;
    const isBelow = chainOf(grant).some((above) => above.named && above.marked);
    ensure(isBelow, () => `${nameOf(grant)} is marked, but no revocation stands above it`);
  }
  checkPhases(allowed, torn);
  learnMoves(model, within, ended);
  learnTces(model, torn);
  for (const grant of within) learnCopies(model, grant, within, torn, ended);
  for (const grant of within) if (grant.marked) learnZeroed(model, grant, torn.has(grant));
  for (const grant of torn) checkUnpinned(model, grant);
  for (const grant of torn) tearDown(model, grant);
}

/** An elemental resource may carry a revocation too, in its holder's recovery. */
function learnRoot(model: Model, root: Node, allowed: ReadonlySet<Node>): void {
  if (root.kind !== "resource") return;
  const now = model.observed.resource(root.holder.lpid, root.type, root.page);
  if (now === undefined) return; // learnResources() will look at it
  ensure(!now.named || root.named || allowed.has(root), () => `${nameOf(root)} is revoked by nobody`);
  root.named = now.named;
  root.marked = now.marked;
}

/** Access ends: at once for all the pages of the node. */
function mark(model: Model, grant: Grant): void {
  grant.marked = true;
  grant.viewsBefore = model.pinsEver.size;
  if (grant.state !== "shared") return;
  for (const entry of model.entriesUnder(grant)) entry.state = "rescinded";
}

/** G6: what is torn down had lost all its uses before, and so had the rest of the subtree; leaves first. */
function checkPhases(begun: ReadonlySet<Node>, torn: ReadonlySet<Grant>): void {
  for (const grant of torn) {
    for (const child of grant.children)
      ensure(torn.has(child), () => `${nameOf(grant)} went before ${nameOf(child)}`);
    const chain = chainOf(grant);
    const top = chain.findLastIndex((above) => above.named && !(above.kind === "grant" && torn.has(above)));
    const root = chain[top];
    if (root === undefined) continue;
    // One slice of a recovery may complete a revocation and begin another above it.
    const done = (above: Node): boolean => torn.has(above as Grant) && (begun.has(above) || above.named);
    if (chain.slice(0, top).some(done)) continue;
    for (const other of below(root))
      ensure(torn.has(other) || other.marked, () => `${nameOf(other)} has access in the second phase`);
  }
}

function tearDown(model: Model, grant: Grant): void {
  if (!model.grants.has(grant.cookie) || grant.state === "rescinded") return;
  for (const child of [...grant.children]) tearDown(model, child);
  const { state } = model.observed.grant(grant.cookie);
  const expected = stateAfterTearDown(grant);
  ensure(
    state === expected,
    () => `${nameOf(grant)} should be ${expected} after its revocation, is ${state}`,
  );
  if (expected === "rescinded") {
    model.tell(grant.holder, EVENT_RESCINDED, grant.grantor.lpid, grant.cookie);
    grant.source.children.delete(grant);
    grant.state = "rescinded";
    grant.named = false;
    grant.marked = false;
    return;
  }
  if (grant.state !== "granted") model.unmap(grant);
  if (grant.state === "shared") model.tell(grant.grantor, EVENT_RETURNED, grant.holder.lpid, grant.cookie);
  model.end(grant);
}

/** Entries that were put through a pane end with it: when nobody has access below any more, and before it is gone (KI4). */
function learnTces(model: Model, torn: ReadonlySet<Grant>): void {
  for (const tce of [...model.tces]) {
    const { owner, page, pane } = tce;
    const isTorn = pane.kind === "grant" && torn.has(pane);
    if (model.observed.tce(owner.lpid, page) !== undefined) {
      ensure(!isTorn, () => `${nameOf(pane)} is gone, and what was put through it at page ${page} stands`);
      continue;
    }
    const isDue = pane.kind === "grant" ? pane.marked : pane.holder.state === "recovering";
    ensure(isDue, () => `the TCE at page ${page} of ${owner.lpid} ended without a reason`);
    for (const other of below(outermostNamed(pane) ?? pane))
      ensure(torn.has(other) || other.marked, () => `${nameOf(other)} has access, and TCEs are ended`);
    model.tces.delete(tce);
  }
}

/** Private pages of a mapping go when nobody has access below the root any more, and before the mapping does. */
function learnCopies(
  model: Model,
  grant: Grant,
  within: ReadonlySet<Grant>,
  torn: ReadonlySet<Grant>,
  ended: ModelPartition | undefined,
): void {
  const { lpid } = grant.holder;
  // Who has stopped in the same slice is charged for nothing any more.
  const chargeable = lpid === ended?.lpid ? [lpid, 0] : [lpid];
  const released = learnReleased(model, grant, (frame) => quarantine(model, frame, chargeable));
  if (released > 0) {
    ensure(grant.marked, () => `${nameOf(grant)} has lost pages, and nobody revokes it`);
    const root = outermostNamed(grant) ?? grant;
    for (const other of below(root))
      ensure(
        !within.has(other) || torn.has(other) || other.marked,
        () => `${nameOf(other)} has access, and pages are given back`,
      );
  }
  const isLeft = torn.has(grant) && privatePages(grant).length > 0;
  ensure(!isLeft, () => `${nameOf(grant)} is gone, and has private pages`);
}

// ---------------------------------------------------------------- pages

/** RS6: pages move only from under views, and only when a grant with views loses its access. */
function learnMoves(model: Model, within: ReadonlySet<Grant>, ended: ModelPartition | undefined): void {
  const moved = model.observed.moves() - model.moves;
  if (moved === 0) return;
  model.moves += moved;
  let seen = 0;
  for (const partition of model.partitions.values()) {
    for (const [page, entry] of partition.spaces.memory.entries) {
      if (entry.node.kind !== "resource") continue;
      const physical = model.observed.physical(partition.lpid, "memory", page);
      if (physical === undefined || physical === entry.frame.physical) continue;
      seen++;
      move(model, page, entry, physical, within, ended);
    }
  }
  // Pages of a partition that is recovered may have been freed since.
  ensure(seen === moved || ended !== undefined, () => `${moved} pages moved, ${seen} were seen`);
}

function move(
  model: Model,
  page: number,
  entry: Entry,
  physical: number,
  within: ReadonlySet<Grant>,
  ended: ModelPartition | undefined,
): void {
  const old = entry.frame;
  ensure(old.pins > 0, () => `frame ${old.physical} moved, but no view stood on it`);
  const reasons = [...within].filter(
    (grant) =>
      grant.pins > 0 &&
      !grant.isCopyOnWrite &&
      grant.marked &&
      rootOf(grant) === entry.node &&
      covers(grant, page),
  );
  ensure(reasons.length > 0, () => `frame ${old.physical} moved without a reason`);
  moveFrame(model, old, physical);
  // A lend may have been zeroed before the view of somebody above it, which loses its access too, was left behind.
  const isZeroed = [...within].some((grant) => mustZero(grant) && grant.marked && covers(grant, page));
  if (isZeroed && model.observed.isZero(old.physical)) old.bytes.fill(0);
  quarantine(model, old, [...reasons.map(({ holder }) => holder.lpid), ended?.lpid ?? 0, 0]);
  ensure(
    model.quarantine.size <= model.options.quarantine,
    () => `frame ${old.physical} went to quarantine, which is for ${model.options.quarantine} frames`,
  );
}

function quarantine(model: Model, frame: Frame, chargeable: readonly number[]): void {
  const charged = model.observed.charged(frame.physical);
  ensure(
    chargeable.includes(charged),
    () => `frame ${frame.physical} is charged to ${charged}, not one of ${chargeable.join()}`,
  );
  model.quarantine.set(frame, charged);
}

function covers(grant: Grant, rootPage: number): boolean {
  const first = rootPageOf(grant);
  return rootPage >= first && rootPage < first + grant.pageCount;
}

/**
 * A mapping with views goes when the pages under it are free of views, unless their owner loses them anyway. Whoever keeps the
 * access may take a view of a page that has moved, and nobody moves it again for that.
 */
function checkUnpinned(model: Model, grant: Grant): void {
  const { holder } = rootOf(grant);
  // Views of who copied stand on frames of its own.
  if (grant.pins === 0 || grant.isCopyOnWrite || grant.state !== "shared" || grant.type !== "memory") return;
  if (holder.state === "recovering") return;
  const older = [...model.pins.values()].filter(({ order }) => order <= grant.viewsBefore);
  const pinned = new Set(older.flatMap(({ frames }) => frames));
  const first = rootPageOf(grant);
  for (let page = first; page < first + grant.pageCount; page++) {
    const frame = holder.spaces.memory.entries.get(page)?.frame;
    ensure(
      frame !== undefined && !pinned.has(frame),
      () => `${nameOf(grant)} went with a view on frame ${frame?.physical} that did not move`,
    );
  }
}

/** FA4: the partition's own pages go after everything that was granted on them. */
function learnResources(model: Model, partition: ModelPartition, chargeable: readonly number[]): void {
  const holds = (): boolean => model.heldBy(partition).length > 0;
  for (const resource of [...partition.resources]) {
    const { entries } = partition.spaces[resource.type];
    const now = model.observed.resource(partition.lpid, resource.type, resource.page);
    let left = 0;
    for (let page = resource.page; page < resource.page + resource.pageCount; page++) {
      const entry = entries.get(page);
      if (entry === undefined) continue;
      left++;
      const isMapped = model.observed.physical(partition.lpid, resource.type, page) !== undefined;
      if (isMapped && now !== undefined) continue;
      ensure(
        !isMapped && resource.children.size === 0 && !holds(),
        () => `page ${page} of ${nameOf(resource)} was freed while something stood on it`,
      );
      left--;
      entries.delete(page);
      if (resource.type === "memory" && entry.frame.pins > 0) quarantine(model, entry.frame, chargeable);
    }
    if (now !== undefined) continue;
    const hasTces = [...model.tces].some(({ pane }) => pane === resource);
    ensure(left === 0 && !holds() && !hasTces, () => `${nameOf(resource)} was freed too early`);
    partition.resources = partition.resources.filter((other) => other !== resource);
  }
}

/** Which views of a failed partition end first is the core's choice; how many is not. */
export function learnEndViews(model: Model, lpid: number, budget: number): Answer {
  const partition = model.partitions.get(lpid);
  if (partition === undefined || !isBudget(budget)) return REFUSED;
  if (!isFailing(partition)) return answer(H_RESOURCE);
  const views = [...model.pins.values()].filter(({ holder }) => holder === partition);
  const gone = views.filter(({ number }) => model.observed.pinHolder(number) === "gone");
  const expected = Math.min(budget, views.length);
  ensure(gone.length === expected, () => `${gone.length} views ended, the budget was for ${expected}`);
  for (const view of gone) endPin(model, view);
  return answer(views.length < budget ? H_SUCCESS : H_PARTIAL);
}

/** Views outlive the incarnation that took them, as nobody's. */
function learnOrphans(model: Model, partition: ModelPartition): void {
  for (const pin of model.pins.values()) {
    if (pin.holder !== partition) continue;
    const holder = model.observed.pinHolder(pin.number);
    if (holder === partition.lpid) continue;
    ensure(holder === "orphan", () => `pin ${pin.number} is ${holder}, but nobody released it`);
    ensure(partition.resources.length === 0, () => `pin ${pin.number} was orphaned too early`);
    pin.holder = undefined;
    for (const frame of pin.frames) {
      if (model.quarantine.get(frame) === partition.lpid) model.quarantine.set(frame, 0);
    }
  }
}
