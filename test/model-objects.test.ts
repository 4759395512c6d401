/**
 * Seeded random commands of the object API against the naive model, with what goes on by itself between them: recoveries
 * that wait for a grace period or for borrowers (FA7), rescinds with a deadline, views that follow their pages.
 *
 * LPAR_MODEL_WALKS for how many sequences, LPAR_MODEL_SEED for the first one.
 */
import { expect, test } from "vitest";
import type { Coverage } from "./support/compare.js";
import { ObjectWalk } from "./support/compare-objects.js";

const WALKS = Number(process.env.LPAR_MODEL_WALKS ?? 60);
const SEED = Number(process.env.LPAR_MODEL_SEED ?? Date.now() % 2 ** 31);
const COMMANDS = 300;
/** What was not seen in WALKS sequences may be seen in so many times as many: chance alone leaves one out now and then. */
const PATIENCE = 4;

/** What must have happened for the walks to mean anything: how often at least in every hundred of them. */
const SIGHTS: Readonly<Record<string, number>> = {
  "a client gives back in time": 100,
  "a client is forced after its deadline": 15,
  "a device is refused what was rescinded": 20,
  "a device reads": 30,
  "a device writes": 30,
  "a donation is accepted": 20,
  "a doorbell is taken": 15,
  "a failed partition gets something back": 5,
  "a leaked view is written through": 3,
  "a lend comes back zero": 1,
  "a lend ends, and its owner has it again": 6,
  "a lend is lent on": 3,
  "a raise reaches several": 12,
  "a stream ends with its partition": 30,
  "a stream is left with events unread": 1,
  "a stream tells": 200,
  "a view is of a copy": 10,
  "a view is of a lend": 20,
  "a write copies": 5,
  "an entry is dead": 3,
  "an interrupt is ended": 1,
  "an interrupt is taken": 30,
  "compact() moves pages": 40,
  "equal pages are together": 15,
  "granted on: dma": 4,
  "granted on: interrupt": 4,
  "granted on: memory": 30,
  "migrate() moves pages": 5,
  "nobody waits for a rescind any more": 4,
  "pins hold up a return of dma": 1,
  "pins hold up a return of interrupt": 1,
  "pins hold up a return of memory": 15,
  "several streams tell of a line": 1,
  "the last grant of a failed partition ends": 8,
  "the quarantine is full": 20,
  "two pages are merged": 200,
  "what is borrowed is reclaimed": 1,
  "what was donated is granted": 6,
};

/** The sights that were too seldom in so many walks. */
function unseen(coverage: Coverage, walks: number): string[] {
  return Object.entries(SIGHTS)
    .map(([sight, often]) => ({ sight, count: coverage.get(`saw: ${sight}`) ?? 0, least: often * walks }))
    .filter(({ count, least }) => count * 100 < least)
    .map(({ sight, count, least }) => `${sight}: ${count} of ${least / 100}`);
}

test(`the object API does what the naive model says, over ${WALKS} random sequences`, {
  timeout: 0,
}, async () => {
  const coverage: Coverage = new Map();
  let calls = 0;
  let walks = 0;
  for (; walks < WALKS || (walks < PATIENCE * WALKS && unseen(coverage, walks).length > 0); walks++) {
    const walk = new ObjectWalk(coverage, undefined, SEED + walks);
    await walk.run(COMMANDS).catch((error: unknown) => {
      throw new Error(`sequence ${SEED + walks}: ${String(error)}`, { cause: error });
    });
    calls += walk.twins.calls;
  }
  console.log(`objects: ${calls} hypercalls overheard in ${walks} sequences, seed ${SEED}`);
  if (process.env.LPAR_MODEL_COVERAGE !== undefined)
    for (const [key, count] of [...coverage].sort()) console.log(`${key}: ${count}`);
  expect(unseen(coverage, walks), `what was not seen often enough, seed ${SEED}`).toEqual([]);
});
