/**
 * All schedules of pairs of calls, up to a bound of preemptions, with a thread that may die anywhere. How it is done is said in
 * test/support/schedule-explore.ts, what is right too; what is compared is the real core, compiled from its sources.
 *
 * In the normal run: three preemptions while nobody dies, and two with one death; of the long scenarios two, and one with
 * one death. The race detector looks at schedules with one preemption or one death, since nothing can be cut short while its
 * clocks count. The kernels have one preemption more, the one with three threads not with a death. With
 * LPAR_SCHEDULE_FACTOR=2 all of these are one more, which takes ten times as long or more, and so on.
 *
 * The scenarios stand in test/support/schedule-scenarios.ts; those of pages that move on request in schedule-moves.ts, those of a
 * recovery that waits for borrowers in schedule-deferred.ts.
 *
 * Not looked at: a thread that stops inside a call and lives on (test/crash.test.ts has that), waits that end by time (that
 * none is needed is what the lost wake-ups show), and tables with queues.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BUGS } from "./support/schedule-bugs.js";
import { buildCore, FEWER_LOOKS, ROOT } from "./support/schedule-build.js";
import { type Bounds, exploreAll, type Report, type Scenario } from "./support/schedule-explore.js";
import { Machine } from "./support/schedule-machine.js";
import { IMPATIENT, SCENARIOS } from "./support/schedule-scenarios.js";

const FACTOR = Math.max(1, Math.trunc(Number(process.env.LPAR_SCHEDULE_FACTOR ?? 1)));
const PATIENCE_MS = Math.min(600_000 * 20 ** (FACTOR - 1), 2 ** 31 - 1);

function boundsOf({ name, isLong }: Scenario): Bounds {
  const more = name.startsWith("kernel") ? 1 : 0;
  return {
    living: (isLong === true ? FACTOR + 1 : FACTOR + 2) + more,
    dying: isLong === true ? FACTOR : FACTOR + 1 + more,
    racing: FACTOR + more,
  };
}

const reports: Report[] = [];
let core: WebAssembly.Module;
let buggy: WebAssembly.Module;

beforeAll(async () => {
  core = await buildCore([]);
  buggy = await buildCore(BUGS);
}, PATIENCE_MS);

afterAll(() => {
  const sum = (of: (report: Report) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  const counts = [
    `${reports.length} scenarios`,
    `${sum(({ schedules }) => schedules)} schedules`,
    `${sum(({ pruned }) => pruned)} of them cut short`,
    `${sum(({ outcomes }) => outcomes)} outcomes`,
    `${sum(({ disputes }) => disputes)} words in dispute`,
    `${sum(({ seconds }) => seconds).toFixed(1)} s`,
  ];
  console.info(`schedules: ${counts.join(", ")}`);
});

for (const scenario of SCENARIOS) {
  test(`${scenario.rules}: every schedule of ${scenario.name}`, { timeout: PATIENCE_MS }, async () => {
    const report = await exploreAll(await Machine.open(core), scenario, boundsOf(scenario));
    reports.push(report);
    expect(report.failure).toBeUndefined();
    expect(report.schedules).toBeGreaterThan(report.outcomes);
    expect(report.outcomes).toBeGreaterThan(1);
    // Where all that is done is done with all locks, in whatever order, no word is.
    expect(report.disputes).toBeGreaterThanOrEqual(scenario.isExclusive === true ? 0 : 1);
  });
}

test("each seeded bug has its place in the core as it is, once", () => {
  for (const { file, from } of [...FEWER_LOOKS, ...BUGS]) {
    expect(readFileSync(join(ROOT, file), "utf8").split(from).length - 1, `${file}: ${from}`).toBe(1);
  }
});

BUGS.forEach((seeded, index) => {
  test(`caught: ${seeded.bug}`, { timeout: PATIENCE_MS }, async () => {
    const scenario = SCENARIOS.find(({ name }) => name === seeded.scenario) as Scenario;
    const { failure } = await exploreAll(await Machine.open(buggy, index + 1), scenario, boundsOf(scenario));
    expect(failure?.what).toMatch(seeded.says);
    expect(failure?.schedule).toContain("thread");
  });
});

test("caught: terminate() is taken for the exit (FA5)", { timeout: PATIENCE_MS }, async () => {
  const { failure } = await exploreAll(await Machine.open(core), IMPATIENT, boundsOf(IMPATIENT));
  expect(failure?.what).toContain("the record of a living thread");
});
