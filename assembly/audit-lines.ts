/** The part of audit() that looks at interrupt and port lines. */
import { PROBLEM_LINE, PROBLEM_LINE_QUEUE, SPACE_INTERRUPT, SPACE_IPI } from "../src/layout";
import { check, tally } from "./findings";
import { brokenLine, isArmed, isQueued, isSoundLine, queueLength } from "./line";
import { spaceAt, spacePages } from "./page";

/** Each line fits what is mapped at its number; the queue is those that can be taken. What is armed is pinned. */
export function auditLines(lpid: u32, partition: usize, pinsAt: usize): void {
  let queued: u32 = 0;
  for (let space: u32 = SPACE_INTERRUPT; space <= u32(SPACE_IPI); space += SPACE_IPI - SPACE_INTERRUPT) {
    const numbers = spacePages(spaceAt(partition, space));
    for (let number: u32 = 0; number < numbers; number++) {
      check(isSoundLine(partition, space, number), PROBLEM_LINE, lpid * 8 + space, number);
      if (isQueued(partition, space, number)) queued++;
      if (space == SPACE_INTERRUPT && isArmed(partition, number)) tally(pinsAt, 1);
    }
  }
  const broken = brokenLine(partition);
  const isWhole = broken == 0 && queueLength(partition) == queued;
  check(isWhole, PROBLEM_LINE_QUEUE, lpid, broken);
}
