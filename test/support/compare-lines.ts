/** Interrupts and doorbells on both tables: raising, ringing, taking, masks and ends (KI3, KI5). */
import { H_PARTIAL, H_SUCCESS } from "../../src/layout.js";
import type { Twins } from "./compare.js";
import { BUDGETS, type Choices, HOSTILE } from "./compare-choices.js";
import type { Draw } from "./draw.js";
import {
  armInterrupt,
  endInterrupt,
  maskInterrupt,
  raiseInterrupt,
  sendIpi,
  takeLine,
} from "./model-lines.js";
import { ensure, TYPE_NUMBERS } from "./model-records.js";

type LineType = "interrupt" | "ipi";

/** One slice of a raise. */
export function raiseOnBoth(
  twins: Twins,
  ...args: readonly [lpid: number, number: number, device: number, position: number]
): number {
  const status = twins.core.raiseInterrupt(...args);
  return twins.same("raise", args, status, raiseInterrupt(twins.model, ...args, twins.h.budget));
}

export function ringOnBoth(twins: Twins, lpid: number, number: number): number {
  const status = twins.core.sendIpi(lpid, number);
  return twins.same("ring", [lpid, number], status, sendIpi(twins.model, lpid, number));
}

export function takeLineOnBoth(twins: Twins, lpid: number): number {
  const status = twins.core.takeLine(lpid);
  const expected = takeLine(twins.model, lpid);
  twins.same("take-line", [lpid], status, expected.answer);
  if (status === H_SUCCESS) twins.sameEvent("takeLine", lpid, expected.event);
  return status;
}

export function endOnBoth(twins: Twins, lpid: number, number: number): number {
  const status = twins.core.endInterrupt(lpid, number);
  return twins.same("end-interrupt", [lpid, number], status, endInterrupt(twins.model, lpid, number));
}

export function armOnBoth(twins: Twins, lpid: number, number: number, mode: number): number {
  const status = twins.core.armInterrupt(lpid, number, mode);
  return twins.same("arm", [lpid, number, mode], status, armInterrupt(twins.model, lpid, number, mode));
}

export function maskOnBoth(twins: Twins, lpid: number, number: number, mode: number): number {
  const status = twins.core.maskInterrupt(lpid, number, mode);
  return twins.same("mask", [lpid, number, mode], status, maskInterrupt(twins.model, lpid, number, mode));
}

export function drawLine(twins: Twins, choose: Choices, draw: Draw): void {
  const choice = draw.below(17);
  if (choice >= 15) end(twins, choose, draw);
  else if (choice >= 12) provide(twins, choose, draw);
  else if (choice < 3) raise(twins, choose, draw);
  else if (choice < 5) ringOnBoth(twins, ...place(twins, choose, draw, "ipi"));
  else if (choice < 8) take(twins, choose, draw);
  else change(twins, choose, draw, choice);
}

/** Sources that many have, some of them through others; new ones where owners have failed. */
function provide(twins: Twins, choose: Choices, draw: Draw): void {
  const type = draw.once(4) ? "ipi" : "interrupt";
  if (choose.countOf(type) < 2) {
    const number = draw.below(twins.model.options.spaces[type]);
    twins.assign(choose.lpid(draw), TYPE_NUMBERS[type], number, 1, draw.below(60), 0);
  }
  for (let left = 1 + draw.below(3); left > 0; left--) twins.share(choose.grantRequest(draw, type));
}

/** Mostly somebody who has a source or a port, and its number. */
function place(
  twins: Twins,
  choose: Choices,
  draw: Draw,
  type: LineType,
): readonly [lpid: number, number: number] {
  const places = [...twins.model.partitions.values()].flatMap(({ lpid, spaces }) =>
    [...spaces[type].entries].map(([number, { node }]) => ({ lpid, number, node })),
  );
  // Half of the time one that others have, too.
  const shared = places.filter(({ node }) => node.kind === "grant" || node.children.size > 0);
  const one = draw.pick(draw.once(2) && shared.length > 0 ? shared : places);
  const number = draw.once(30) ? (draw.pick(HOSTILE) ?? 0) : draw.once(20) ? draw.below(8) : one?.number;
  return [choose.lpid(draw, one?.lpid), number ?? 0];
}

function raise(twins: Twins, choose: Choices, draw: Draw): void {
  const [lpid, number] = place(twins, choose, draw, "interrupt");
  const device = draw.once(20) ? (draw.pick([2, 2, 2, ...HOSTILE]) ?? 2) : draw.below(2);
  twins.budget = draw.pick(BUDGETS) ?? 1;
  // A place to go on from that nobody named may be any number.
  let position = draw.once(8) ? choose.cookie(draw, draw.pick([...twins.model.grants.values()])) : 0;
  const isDriven = !draw.once(3);
  for (let left = 100; ; left--) {
    ensure(left > 0, () => `a raise of ${number} of ${lpid} does not end`);
    if (raiseOnBoth(twins, lpid, number, device, position) !== H_PARTIAL || !isDriven) return;
    position = twins.r4;
  }
}

function take(twins: Twins, choose: Choices, draw: Draw): void {
  const waiting = draw.pick([...twins.model.partitions.values()].filter(({ due }) => due.length > 0));
  const lpid = choose.lpid(draw, waiting?.lpid);
  for (let left = draw.once(3) ? 20 : 1; left > 0; left--)
    if (takeLineOnBoth(twins, lpid) !== H_SUCCESS) return;
}

/** Mostly of an interrupt that is in service. */
function end(twins: Twins, choose: Choices, draw: Draw): void {
  const taken = [...twins.model.partitions.values()].flatMap((one) =>
    [...one.spaces.interrupt.entries]
      .filter(([, entry]) => one.lines.get(entry)?.isInService === true)
      .map(([at]) => [one.lpid, at] as const),
  );
  const args = (draw.once(4) ? undefined : draw.pick(taken)) ?? place(twins, choose, draw, "interrupt");
  endOnBoth(twins, ...args);
}

function change(twins: Twins, choose: Choices, draw: Draw, choice: number): void {
  const [lpid, number] = place(twins, choose, draw, "interrupt");
  // Armed more often than not.
  const mode = draw.once(30)
    ? (draw.pick([2, ...HOSTILE]) ?? 2)
    : choice < 10
      ? Number(!draw.once(4))
      : draw.below(2);
  if (choice < 10) armOnBoth(twins, lpid, number, mode);
  else maskOnBoth(twins, lpid, number, mode);
}
