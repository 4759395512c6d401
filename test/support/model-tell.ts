/**
 * Partners are told of a failure and of the end of its recovery, in the naive model: one telling at a time, through the adapter made
 * last first. How far a slice came is learnt: nobody may be left out on the way, and no more be told than the budget is for.
 */
import {
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  H_PARTIAL,
  H_SUCCESS,
  TELL_STEPS,
} from "../../src/layout.js";
import type { Model } from "./model.js";
import { pushTransport } from "./model-queue.js";
import { type Answer, answer, type End, ensure, type ModelPartition } from "./model-records.js";

function endsOf(model: Model, partition: ModelPartition): End[] {
  return [...model.ends].filter(({ owner }) => owner === partition).reverse();
}

/** The next end that is still there: the recovery of a partner may have ended others. */
function nextOf(model: Model, teller: ModelPartition): End | undefined {
  return teller.untold.find((end) => model.ends.has(end) && end.owner === teller);
}

/** Each partner once, however many adapters join the two (FA2). */
function tellPartner(model: Model, teller: ModelPartition, end: End, type: number): void {
  const partner = end.isOpen ? end.partner?.owner : undefined;
  if (partner === undefined || teller.heard.has(partner)) return;
  teller.heard.add(partner);
  model.tell(partner, type, teller.lpid, teller.incarnation);
}

/** Its owner is gone: it waits for what the partner has not returned, or ends. */
function endAdapter(model: Model, teller: ModelPartition, end: End): void {
  end.formerly = [teller.lpid, end.partner?.owner?.lpid ?? 0];
  // What waits for returns is taken again in the order in which it began to wait, the last first.
  model.ends.delete(end);
  model.ends.add(end);
  if (end.isOpen && end.partner !== undefined) end.partner.isOpen = false;
  end.isOpen = false;
  end.lingers = false;
  end.owner = undefined;
  model.dropIdleEnds();
}

function step(model: Model, teller: ModelPartition, end: End): void {
  teller.untold.splice(0, teller.untold.indexOf(end) + 1);
  if (teller.telling === 0) {
    tellPartner(model, teller, end, EVENT_PARTNER_RECOVERED);
    endAdapter(model, teller, end);
    return;
  }
  if (end.isOpen && end.partner !== undefined) pushTransport(end.partner, teller.telling);
  tellPartner(model, teller, end, EVENT_PARTNER_FAILED);
}

function hasToTell(model: Model, partition: ModelPartition): boolean {
  return partition.telling !== 0 || (partition.isEnding && endsOf(model, partition).length > 0);
}

/** Whether `own` has begun in this call; if not, the budget was for what another one had to tell. */
function begin(model: Model, own: ModelPartition, now: number): boolean {
  if (!hasToTell(model, own)) return false;
  const { observed } = model;
  const isLeft = own.telling !== 0 ? observed.isTelling(own.lpid) : observed.hasEnds(own.lpid);
  if (now !== own.lpid && isLeft) return false;
  own.untold = endsOf(model, own);
  own.heard.clear();
  model.teller = own;
  return true;
}

/** What a call of `own` told, of its own and of whoever was before it. */
export function learnTelling(model: Model, own: ModelPartition, budget: number): void {
  const now = model.observed.telling();
  let told = 0;
  while (model.teller !== undefined || begin(model, own, now.lpid)) {
    const { teller } = model;
    if (teller === undefined || (teller !== own && !hasToTell(model, own))) break;
    // Who has told its failure to all may have gone on with its end in the same call.
    const isStanding =
      now.lpid === teller.lpid && (teller.telling !== 0) === model.observed.isTelling(teller.lpid);
    const stop = isStanding ? now.unit : undefined;
    for (let end = nextOf(model, teller); end !== undefined && end.unit !== stop; told++) {
      step(model, teller, end);
      end = nextOf(model, teller);
    }
    if (isStanding) {
      ensure(
        (nextOf(model, teller)?.unit ?? 0) === now.unit,
        () => `what ${teller.lpid} tells stands at ${now.unit}`,
      );
      break;
    }
    model.teller = undefined;
    teller.telling = 0;
    if (teller === own) break;
  }
  ensure(told <= Math.ceil(budget / TELL_STEPS), () => `${told} adapters, the budget was ${budget}`);
}

/** The status of a call that had to tell first, if that was all. */
export function learnTold(model: Model, partition: ModelPartition, budget: number): Answer | undefined {
  learnTelling(model, partition, budget);
  return partition.telling === 0 ? undefined : answer(H_PARTIAL);
}

/** One slice of the telling by which a partition fails. */
export function learnFail(model: Model, partition: ModelPartition, owesGrace?: number): Answer {
  learnTelling(model, partition, model.observed.budget());
  return answer(partition.telling === 0 ? H_SUCCESS : H_PARTIAL, owesGrace);
}
