/**
 * Random walks of calls that stop, mend and die while other calls and accesses go on: states that nobody thought of, where
 * crash.test.ts has those that somebody did. What a walk does, and what must hold: test/support/crash-walk.ts.
 *
 * LPAR_CRASH_WALKS says how many (100000 for a nightly run), LPAR_CRASH_SEED where from: a failure names the seed of its walk, and
 * with that one and LPAR_CRASH_WALKS=1 it comes again. LPAR_CRASH_SIGHTS=1 shows what was seen how often.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { builtCore, type Instrumented, ROOT, seededCore } from "./support/crash-core.js";
import { CrashWalk } from "./support/crash-walk.js";
import { BUGS } from "./support/crash-walk-bugs.js";
import type { Sights } from "./support/crash-walk-journal.js";

const SEED = Number(process.env.LPAR_CRASH_SEED ?? 20261127);
const WALKS = Number(process.env.LPAR_CRASH_WALKS ?? 300);
/** Walks for one seeded bug, at most, and where from. */
const HUNT_WALKS = 250;
const HUNT_SEED = 1;
/** Walks from which on all of this must have been seen, and how often at least in each hundred of them. */
const ENOUGH_WALKS = 100;
const SIGHTS: Readonly<Record<string, number>> = {
  "a batch stops behind a request that succeeded": 25,
  "a call mends another one of its thread": 700,
  "a call stops": 3500,
  "a call stops while another one is half done": 500,
  "a call waits": 250,
  "a mending stops": 500,
  "a reaping stops": 250,
  "a stop is compared": 1500,
  "a thread dies": 600,
  "a use begins": 1000,
  "a use begins while a call is half done": 250,
  "acceptLogical 0": 300,
  "an access to a device begins": 100,
  "batch 0": 350,
  "batch 1": 10,
  "batch 9901": 10,
  "compactMemory 9901": 10,
  "connectPartitions 0": 5,
  "copyMemory 0": 150,
  "createPartition 0": 35,
  "fillMemory 0": 200,
  "freeStaging 0": 60,
  "grantCopyOnWrite 0": 100,
  "grantMode 0": 70,
  "grantMode 9901": 100,
  "loadMemory 0": 10,
  "mergePages 0": 8,
  "mergePages 9901": 25,
  "moveFew 0": 30,
  "pinMemory 0": 150,
  "putTce 0": 100,
  "raiseInterrupt 0": 70,
  "recoverClient 0": 100,
  "recoverDeferred 0": 10,
  "recoverServer 0": 60,
  "removePartition 0": 5,
  "rescindLogical 0": 200,
  "rescindLogical 5": 250,
  "restartPartition 0": 50,
  "returnLogical 0": 100,
  "returnLogical 1": 5,
  "sendEntry -12": 5,
  "sendEntry 0": 1500,
  "storeMemory 0": 5,
  "takeEvent 0": 40,
};

test("G1, G6, FA5: wherever calls stop, and whoever goes on, nothing stays half done, is lost, or is had by two", {
  timeout: 0,
}, () => {
  const core = builtCore();
  const sights: Sights = new Map();
  const start = performance.now();
  for (let walk = 0; walk < WALKS; walk++) new CrashWalk(core, SEED + walk, sights).run();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.info(
    `crash walks: ${WALKS} in ${seconds} s, ${sights.get("a call stops")} stops, ` +
      `${sights.get("a stop is compared")} of them compared, seed ${SEED}`,
  );
  if (process.env.LPAR_CRASH_SIGHTS !== undefined)
    for (const [sight, count] of [...sights].sort()) console.info(`${sight}: ${count}`);
  if (WALKS < ENOUGH_WALKS) return;
  const seldom = Object.entries(SIGHTS)
    .map(([sight, least]) => ({ sight, count: sights.get(sight) ?? 0, least: (least * WALKS) / 100 }))
    .filter(({ count, least }) => count < least)
    .map(({ sight, count, least }) => `${sight}: ${count} of ${least}`);
  expect(seldom, `what was not seen often enough, seed ${SEED}`).toEqual([]);
});

describe("seeded bugs are found by a few walks", () => {
  let core: Instrumented;

  beforeAll(async () => {
    core = await seededCore(BUGS);
  }, 120_000);

  test("each is one statement of the source", () => {
    for (const { bug, file, from } of BUGS)
      expect(readFileSync(join(ROOT, file), "utf8").split(from).length - 1, bug).toBe(1);
  });

  /** What walks find with a bug, 0 for none. */
  function hunt(bug: number, walks: number): string | undefined {
    for (let walk = 0; walk < walks; walk++) {
      try {
        new CrashWalk(core, HUNT_SEED + walk, new Map(), bug).run();
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    }
    return undefined;
  }

  test("nothing is found without a bug", { timeout: 0 }, () => {
    expect(hunt(0, 20)).toBeUndefined();
  });

  for (const [index, { bug }] of BUGS.entries()) {
    test(`found: ${bug}`, { timeout: 0 }, () => {
      const found = hunt(index + 1, HUNT_WALKS);
      expect(found).toMatch(/^walk \d+ /);
      if (process.env.LPAR_MUTANTS_SHOW !== undefined) console.info(`${bug}\n    ${found?.split("\n")[0]}`);
    });
  }
});
