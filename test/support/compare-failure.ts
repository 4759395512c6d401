/** Failures and recoveries on both tables, in slices, under either policy (FA1 to FA7). */
import { H_BUSY, H_PARTIAL, H_SUCCESS } from "../../src/layout.js";
import type { Twins } from "./compare.js";
import { BUDGETS, type Choices, HOSTILE } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import { ensure, isUnderRevocation } from "./model-records.js";

export class FailureDraws {
  readonly #twins: Twins;
  /** Failed partitions whose policy is to wait for their borrowers (FA7), and those of them that do nothing else any more. */
  readonly #deferring = new Set<number>();
  readonly #waiting = new Set<number>();

  constructor(twins: Twins) {
    this.#twins = twins;
  }

  /** Failures are rare; what they begin is driven on, now and then to the end. */
  draw(choose: Choices, draw: Draw): void {
    const twins = this.#twins;
    const failing = [...twins.model.partitions.values()].filter(
      ({ state }) => state === "failed" || state === "recovering",
    );
    // Who waits for borrowers has time.
    const busy = failing.filter(({ lpid, state }) => state === "recovering" || !this.#waiting.has(lpid));
    if (busy.length === 0 ? draw.once(4) : draw.once(40)) {
      this.#failOne(choose, draw);
      return;
    }
    const one = draw.pick(busy.length === 0 || draw.once(4) ? failing : busy);
    const lpid = choose.lpid(draw, one?.lpid);
    if (one?.lpid === lpid && one.telling !== 0 && !draw.once(4)) {
      twins.fail(lpid, draw.below(2));
      return;
    }
    const views = [...twins.model.pins.values()].filter(({ holder }) => holder?.lpid === lpid).length;
    if (views > 0 ? draw.once(2) : draw.once(40)) {
      twins.endViews(lpid, draw.once(20) ? (draw.pick(HOSTILE) ?? 0) : 1 + draw.below(4));
      return;
    }
    const budget = draw.once(40) ? (draw.pick([0, ...HOSTILE]) ?? 0) : (draw.pick(BUDGETS) ?? 1);
    const isDeferring = one?.state === "failed" && this.#deferring.has(one.lpid);
    if (isDeferring ? !draw.once(20) : draw.once(40)) this.#recoverDeferred(draw, lpid, budget);
    else if (draw.once(2)) twins.recoverClient(lpid, budget);
    else twins.recoverServer(lpid, budget);
  }

  #failOne(choose: Choices, draw: Draw): void {
    const twins = this.#twins;
    // Now and then one that is in the middle of a forced rescind, which its recovery carries through.
    const begun = draw.pick([...twins.model.grants.values()].filter(isUnderRevocation));
    const lpid = begun !== undefined && draw.once(3) ? begun.grantor.lpid : choose.lpid(draw);
    const status = twins.fail(lpid, draw.once(20) ? (draw.pick([2, ...HOSTILE]) ?? 2) : draw.below(2));
    if (status !== H_SUCCESS && status !== H_PARTIAL) return;
    this.#waiting.delete(lpid);
    this.#deferring.delete(lpid);
    if (draw.once(2)) this.#deferring.add(lpid);
  }

  /** FA7: in slices, as the object API drives it; once all is back the server's part follows. */
  #recoverDeferred(draw: Draw, lpid: number, budget: number): void {
    const twins = this.#twins;
    const isDriven = draw.once(2);
    // A revocation that waits for a view is nobody's to end here.
    const hasViews = twins.model.pins.size > 0;
    let status = twins.recoverDeferred(lpid, budget);
    for (let left = 1000; status === H_PARTIAL && isDriven && !(hasViews && left < 900); left--) {
      ensure(left > 0, () => `partition ${lpid} does not come to wait for its borrowers`);
      status = twins.recoverDeferred(lpid, budget);
    }
    if (status === H_BUSY) this.#waiting.add(lpid);
    if (status === H_SUCCESS) twins.recoverServer(lpid, budget);
  }
}
