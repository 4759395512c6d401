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

/** What must have happened for the walks to mean anything: how often at least in every hundred of them. */
const SIGHTS: Readonly<Record<string, number>> = {
  "a client gives back in time": 100,
  "a client is forced after its deadline": 15,
  "a failed partition gets something back": 5,
  "compact() moves pages": 50,
  "migrate() moves pages": 5,
  "the last grant of a failed partition ends": 8,
  "the quarantine is full": 50,
  "what is borrowed is reclaimed": 1,
};

test(`the object API does what the naive model says, over ${WALKS} random sequences`, {
  timeout: 0,
}, async () => {
  const coverage: Coverage = new Map();
  let calls = 0;
  for (let index = 0; index < WALKS; index++) {
    const walk = new ObjectWalk(coverage, undefined, SEED + index);
    await walk.run(COMMANDS).catch((error: unknown) => {
      throw new Error(`sequence ${SEED + index}: ${String(error)}`, { cause: error });
    });
    calls += walk.twins.calls;
  }
  console.log(`objects: ${calls} hypercalls overheard in ${WALKS} sequences, seed ${SEED}`);
  if (process.env.LPAR_MODEL_COVERAGE !== undefined)
    for (const [key, count] of [...coverage].sort()) console.log(`${key}: ${count}`);
  for (const [sight, often] of Object.entries(SIGHTS)) {
    const count = coverage.get(`saw: ${sight}`) ?? 0;
    expect(count * 100, `${sight}, seed ${SEED}`).toBeGreaterThanOrEqual(often * WALKS);
  }
});
