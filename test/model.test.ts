/**
 * Seeded random sequences of hypercalls on the real core and on the naive model: every status, every second result,
 * and again and again the whole table must be the same.
 *
 * LPAR_MODEL_CALLS=100000000 for a nightly run, LPAR_MODEL_SEED to repeat one, LPAR_MODEL_COVERAGE=1 to see which answers
 * came how often.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { TableOptions } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { type Coverage, Twins } from "./support/compare.js";
import { fillOnBoth } from "./support/compare-access.js";
import { type Command, Walk } from "./support/compare-walk.js";

const CALLS = Number(process.env.LPAR_MODEL_CALLS ?? 160_000);
const SEED = Number(process.env.LPAR_MODEL_SEED ?? Date.now() % 2 ** 31);
const DEV = process.env.LPAR_DEV_WASM
  ? new WebAssembly.Module((await import("node:fs")).readFileSync(process.env.LPAR_DEV_WASM))
  : undefined;
/** An answer that CALLS calls did not give may come in so many times as many: chance alone leaves one out now and then. */
const PATIENCE = 6;
const COMMANDS = 600;
/** Commands between two comparisons of everything. */
const CHECK_EVERY = 40;
/** Time to find a shorter sequence for a failure. */
const SHRINK_MS = 30_000;

/** Every answer that a call can give in this test; both missing ones and new ones are failures. */
const ANSWERS: Readonly<Record<string, readonly number[]>> = {
  accept: [0, -4, -9, -46],
  "adapter-between": [0, -4, -7],
  "adapter-peer": [0, -4],
  add: [0, -4, -11, -16, -46],
  allocate: [0, -4, -9, -46],
  arm: [0, -4, -16, -46],
  assign: [0, -4, -9, -16, -46],
  "batch accept": [0, -4, -9, -46],
  "batch grant": [0, -4, -9, -11, -46],
  "batch rescind-forced": [0, -4, -46],
  "batch return": [0, -4, -16, -46],
  "begin-dma": [0, -4, -11, -16, -46],
  "check-access": [0, -4, -11, -16, -46],
  compact: [0, 5, -4, -46],
  "compare-exchange": [0, -4, -11, -16, -46],
  connect: [0, -4, -9, -46],
  copy: [0, -4, -11, -16, -46],
  create: [0, -4, -9],
  deallocate: [0, -4, -46],
  digest: [0],
  "end-interrupt": [0, -4, -46],
  "end-views": [0, 5, -4, -16],
  fail: [0, 5, -4, -16],
  fill: [0, -4, -11, -16, -46],
  "find-frames": [0, -4, -9],
  "find-window": [0, -4, -46],
  "get-tce": [0, -4, -16, -46],
  grant: [0, -4, -9, -11, -16, -46],
  "grant-copy-on-write": [0, -4, -9, -11, -16, -46],
  "grant-mode": [0, -4, -9, -11, -16, -46],
  load: [0, -4, -11, -16, -46],
  "load-dma": [0, -4, -11, -16, -46],
  "load-staged": [0, -4, -11, -16, -46],
  mask: [0, -4, -46],
  merge: [0, -4, -7, -16],
  migrate: [0, 5, -4, -9, -16, -46],
  pin: [0, -4, -9, -11, -16, -46],
  "put-tce": [0, -4, -11, -16, -46],
  "put-tce-indirect": [0, -4, -11, -16, -46],
  "put-tce-list": [0, -4, -11, -16, -46],
  "queue-free": [0, -4, -46],
  "queue-receive": [0, 2, -4, -7, -46],
  "queue-register": [0, 2, -4, -16, -46],
  "queue-send": [0, 2, -4, -12, -46],
  raise: [0, 5, -4, -46],
  read: [0, -4, -11, -16, -46],
  "recover-client": [0, 5, -4, -16],
  "recover-deferred": [0, 1, 5, -4, -16],
  "recover-server": [0, 5, -4, -16],
  remove: [0, -4, -16],
  "request-return": [0, -4, -46],
  rescind: [0, -4, -16, -46],
  "rescind-forced": [0, 5, -4, -46],
  restart: [0, -4, -9, -16],
  return: [0, 1, -4, -16, -46],
  ring: [0, 2, -4, -46],
  seal: [0, -4, -11, -16, -46],
  sealed: [0, -4, -16, -46],
  store: [0, -4, -11, -16, -46],
  "store-dma": [0, -4, -11, -16, -46],
  "store-staged": [0, -4, -11, -16, -46],
  "stuff-tce": [0, -4, -11, -46],
  "take-event": [0, -4, -7],
  "take-line": [0, -4, -7],
  translate: [0, -4, -11, -16, -46],
  "translate-batch": [0, -46],
  "translate-fast": [0, -4, -11, -16, -46],
  unpin: [0, -4],
  "unpin-orphan": [0, -4],
  write: [0, -4, -11, -16, -46],
};

/** Calls that may have to copy a page first. */
const WRITES = [
  "add",
  "begin-dma",
  "check-access",
  "compare-exchange",
  "copy",
  "fill",
  "queue-register",
  "seal",
  "store",
  "store-dma",
  "store-staged",
  "translate",
  "translate-fast",
  "write",
] as const;

/** What must have happened for the answers to mean anything: how often at least, for every million of CALLS. */
const SIGHTS: Readonly<Record<string, number>> = {
  "a failed partition gets something back": 20,
  "the last grant of a failed partition ends": 20,
  "an end that is owed something is used again": 10,
  "a record is complete": 100,
  "a record is not complete": 100,
  "compact() moves pages": 200,
  "migrate() moves pages": 200,
  "no frame is free for a copy": 50,
  "no frame is free for a forced rescind": 20,
  "the quarantine is full": 20,
  "who fails tells for another first": 20,
};

/** For sequences made by hand. */
const SMALL: TableOptions = {
  memory: 8 * PAGE_BYTES,
  partitions: 3,
  grants: 20,
  adapters: 3,
  views: 4,
  staging: 5 * PAGE_BYTES,
  spaces: { mmio: PAGE_BYTES, dma: PAGE_BYTES, interrupt: 1, ipi: 1 },
};

/** Answers that a call can give, but so rarely that a run may do without. */
const RARE: readonly string[] = [
  "batch grant -16",
  "batch rescind-forced 5",
  "merge -46",
  "sealed -11",
  "stuff-tce -16",
  // Writes for which no frame is free: together they are a sight.
  ...WRITES.map((call) => `${call} -9`),
];

const command: fc.Arbitrary<Command> = fc.tuple(fc.nat({ max: Walk.weights - 1 }), fc.noShrink(fc.integer()));

const sequence = fc.tuple(
  fc.nat({ max: 1000 }),
  fc.array(command, { minLength: 1, maxLength: COMMANDS, size: "max" }),
);

/** The sights that were too seldom. */
function unseen(coverage: Coverage): string[] {
  const starved = WRITES.reduce((sum, call) => sum + (coverage.get(`${call} -9`) ?? 0), 0);
  coverage.set("saw: no frame is free for a copy", starved);
  return Object.entries(SIGHTS)
    .map(([sight, often]) => ({
      sight,
      count: coverage.get(`saw: ${sight}`) ?? 0,
      least: (often * CALLS) / 1e6,
    }))
    .filter(({ count, least }) => count < least)
    .map(({ sight, count, least }) => `${sight}: ${count} of ${least}`);
}

/** One sequence on a fresh table; how many hypercalls were compared. */
function compare(coverage: Coverage, setUp: number, commands: readonly Command[]): number {
  const twins = Walk.begin(coverage, DEV, setUp);
  for (const [index, each] of commands.entries()) {
    twins.run(each);
    if (index % CHECK_EVERY === CHECK_EVERY - 1) twins.check();
  }
  twins.check();
  twins.tearDown();
  return twins.calls;
}

test(`the core answers as the naive model does, over ${CALLS} random hypercalls`, { timeout: 0 }, () => {
  const coverage: Coverage = new Map();
  const start = performance.now();
  let calls = 0;
  const all = Object.entries(ANSWERS).flatMap(([call, answers]) =>
    answers.map((status) => `${call} ${status}`),
  );
  const isComplete = (): boolean => all.every((key) => coverage.has(key)) && unseen(coverage).length === 0;
  for (let round = 0; calls < CALLS || (calls < PATIENCE * CALLS && !isComplete()); round++) {
    fc.assert(
      fc.property(sequence, ([setUp, commands]) => {
        calls += compare(coverage, setUp, commands);
      }),
      { seed: SEED ^ Math.imul(round, 0x9e3779b1), numRuns: 50, interruptAfterTimeLimit: SHRINK_MS },
    );
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`model: ${calls} hypercalls compared in ${seconds} s, ${coverage.size} answers, seed ${SEED}`);
  if (process.env.LPAR_MODEL_COVERAGE !== undefined) {
    for (const [key, count] of [...coverage].sort()) console.log(`${key}: ${count}`);
  }
  expect(calls).toBeGreaterThanOrEqual(CALLS);
  expect(unseen(coverage), `what was not seen often enough, seed ${SEED}`).toEqual([]);
  const seen = [...coverage.keys()].filter((key) => !RARE.includes(key) && !key.startsWith("saw: "));
  expect(seen.sort(), `answers that were seen, seed ${SEED}`).toEqual(all.sort());
});

test("RE6: a return of more pages than one step may take answers H_BUSY and is then completed, as in the model", () => {
  const coverage: Coverage = new Map();
  const pages = 65_540;
  const twins = new Twins(coverage, DEV, {
    ...SMALL,
    logicalSpace: 8 * PAGE_BYTES,
    spaces: { ...SMALL.spaces, mmio: 66_000 * PAGE_BYTES },
  });
  twins.create(4, 4);
  twins.create(2, 2);
  twins.connect(1, 2, 8);
  const unit = twins.r4;
  twins.assign(1, 2, 0, pages * PAGE_BYTES, 0, 0);
  expect(twins.grant(1, 2, 0, 0, pages * PAGE_BYTES, unit)).toBe(0);
  const cookie = twins.r4;
  for (let round = 0; round < 2; round++) {
    expect(twins.accept(2, cookie)).toBe(0);
    twins.check();
    expect(twins.return(2, cookie)).toBe(1);
    twins.check();
    expect(twins.accept(2, cookie)).toBe(-4);
    expect(twins.rescind(1, 0, cookie)).toBe(-16);
    if (round === 0) expect(twins.return(2, cookie)).toBe(0);
    else expect(twins.rescind(1, 1, cookie)).toBe(0);
    twins.check();
  }
  twins.tearDown();
});

test("AC1, AC4: runs of many pages are found in a space of several words of the map, and none beyond it, as in the model", () => {
  // As many pages as make one word of the map's second level full.
  const pages = 64 * 64;
  const twins = new Twins(new Map(), DEV, {
    ...SMALL,
    logicalSpace: 8 * PAGE_BYTES,
    spaces: { ...SMALL.spaces, mmio: pages * PAGE_BYTES },
  });
  twins.create(4, 4);
  twins.create(2, 2);
  twins.connect(1, 2, 16);
  const unit = twins.r4;
  twins.assign(1, 2, 0, pages * PAGE_BYTES, 0, 0);
  const granted = (count: number): number => {
    expect(twins.grant(1, 2, 0, 0, count * PAGE_BYTES, unit)).toBe(0);
    return twins.r4;
  };
  const [first, hole, wall, rest, last, end] = [1, 127, 1, pages - 192, 1, 62].map(granted) as number[];
  for (const cookie of [first, hole, wall, rest, last, end])
    expect(twins.accept(2, cookie as number)).toBe(0);
  // The pages 1 to 127, and one in the last word.
  for (const cookie of [hole, last]) expect(twins.return(2, cookie as number)).toBe(0);
  twins.check();
  const long = granted(150);
  const two = granted(2);
  expect(twins.accept(2, long)).toBe(-9);
  expect(twins.return(2, rest as number)).toBe(0);
  // Beyond the page 128, which is not free, though the first page of a word.
  expect(twins.accept(2, long)).toBe(0);
  expect(twins.r4).toBe(129 * PAGE_BYTES);
  expect(twins.return(2, long)).toBe(0);
  expect(twins.accept(2, rest as number)).toBe(0);
  expect(twins.accept(2, hole as number)).toBe(0);
  expect(twins.accept(2, two)).toBe(-9);
  twins.check();
  twins.tearDown();
});

test("the private pages of a long copy-on-write mapping are found wherever they lie, as in the model", () => {
  const pages = 40;
  const twins = new Twins(new Map(), DEV, {
    ...SMALL,
    memory: 100 * PAGE_BYTES,
    logicalSpace: 50 * PAGE_BYTES,
  });
  twins.create(pages, pages);
  twins.create(2, 2);
  twins.connect(1, 2, 8);
  expect(twins.grantCopyOnWrite([1, 1, 0, 0, pages * PAGE_BYTES, twins.r4])).toBe(0);
  const cookie = twins.r4;
  for (let page = 0; page < pages; page++) {
    expect(twins.accept(2, cookie)).toBe(0);
    expect(fillOnBoth(twins, 2, twins.r4 + page * PAGE_BYTES, 1, 7)).toBe(0);
    twins.check();
    while (twins.return(2, cookie) !== 0);
    twins.check();
  }
  twins.tearDown();
});

test("FA8, G2: no number of structures makes the sum with those of the LMBs small again, as in the model", () => {
  const twins = new Twins(new Map(), DEV, { ...SMALL, logicalSpace: 8 * PAGE_BYTES });
  twins.create(4, 1);
  expect(twins.fail(1, 0)).toBe(0);
  expect(twins.recoverClient(1, 100)).toBe(0);
  expect(twins.recoverServer(1, 100)).toBe(0);
  for (let structures = 2 ** 32 - 5; structures < 2 ** 32 - 1; structures++)
    expect(twins.restart(1, structures)).toBe(-9);
  expect(twins.restart(1, 0)).toBe(0);
  twins.tearDown();
});

test("G5, FA1: slices of one step come to an end while somebody else's forced rescind stands, as in the model", () => {
  const twins = new Twins(new Map(), DEV, {
    ...SMALL,
    memory: 16 * PAGE_BYTES,
    logicalSpace: 12 * PAGE_BYTES,
    partitions: 4,
  });
  for (const pages of [6, 2, 2, 2]) twins.create(pages, pages);
  const unit = (near: number, far: number): number => {
    expect(twins.connect(near, far, 8)).toBe(0);
    return twins.r4;
  };
  const [own, first, next] = [unit(1, 2), unit(3, 2), unit(2, 4)];
  for (let page = 0; page < 6; page++) {
    expect(twins.grant(1, 1, 0, page * PAGE_BYTES, PAGE_BYTES, own)).toBe(0);
    expect(twins.accept(2, twins.r4)).toBe(0);
  }
  expect(twins.grant(3, 1, 0, 0, PAGE_BYTES, first)).toBe(0);
  const cookie = twins.r4;
  expect(twins.accept(2, cookie)).toBe(0);
  expect(twins.grant(2, 1, 0, twins.r4, PAGE_BYTES, next)).toBe(0);
  expect(twins.accept(4, twins.r4)).toBe(0);
  twins.budget = 1;
  expect(twins.rescind(3, 1, cookie)).toBe(5);
  expect(twins.fail(1, 0)).toBe(0);
  for (let slices = 0; twins.recoverClient(1, 1) !== 0; slices++) expect(slices).toBeLessThan(100);
  twins.check();
  twins.tearDown();
});

test("FA2: a flood of other events does not push out the notice of a failure, as in the model", () => {
  const twins = new Twins(new Map(), DEV, { ...SMALL, logicalSpace: 8 * PAGE_BYTES });
  twins.create(4, 4);
  twins.create(2, 2);
  twins.connect(1, 2, 8);
  expect(twins.grant(1, 1, 0, 0, PAGE_BYTES, twins.r4)).toBe(0);
  const cookie = twins.r4;
  for (let round = 0; round < 400; round++) {
    expect(twins.accept(2, cookie)).toBe(0);
    expect(twins.return(2, cookie)).toBe(0);
  }
  expect(twins.fail(2, 0)).toBe(0);
  twins.check();
  expect(twins.model.partitions.get(1)?.eventsLost).toBeGreaterThan(0);
  expect(twins.model.partitions.get(1)?.events.at(-1)).toEqual({ type: 1, from: 2, value: 1 });
  while (twins.takeEvent(1) === 0);
  twins.tearDown();
});

test.each([4096, 3])(
  "ranges of many pages are granted, viewed, moved and recovered as in the model, in slices of %i steps",
  (budget) => {
    const coverage: Coverage = new Map();
    const pages = 600;
    const twins = new Twins(coverage, DEV, {
      ...SMALL,
      memory: 700 * PAGE_BYTES,
      logicalSpace: 1500 * PAGE_BYTES,
    });
    twins.create(pages, pages);
    twins.create(30, 30);
    twins.create(20, 20);
    twins.connect(1, 2, 8);
    const unit = twins.r4;
    twins.connect(2, 3, 8);
    const next = twins.r4;
    twins.budget = budget;
    expect(twins.grant(1, 1, 0, 0, pages * PAGE_BYTES, unit)).toBe(0);
    const first = twins.r4;
    expect(twins.accept(2, first)).toBe(0);
    const address = twins.r4;
    expect(twins.grant(2, 1, 0, address, pages * PAGE_BYTES, next)).toBe(0);
    expect(twins.accept(3, twins.r4)).toBe(0);
    // A view of more pages than there are free frames: the rescind waits until it is released.
    expect(twins.pin(3, twins.r4, 400 * PAGE_BYTES)).toBe(0);
    const view = twins.r4;
    expect(twins.pin(2, address + 500 * PAGE_BYTES, 30 * PAGE_BYTES)).toBe(0);
    twins.check();
    for (let slice = 0; slice < 40; slice++) {
      expect(twins.rescind(1, 1, first)).toBe(5);
      twins.check();
    }
    twins.unpin(3, view);
    for (let slices = 0; twins.rescind(1, 1, first) !== 0; slices++) expect(slices).toBeLessThan(2000);
    twins.check();
    for (const { cookie, holder } of [...twins.model.grants.values()]) twins.return(holder.lpid, cookie);
    for (const { number, holder } of [...twins.model.pins.values()]) twins.unpin(holder?.lpid ?? 0, number);
    twins.check();
    twins.connect(1, 3, 8);
    expect(twins.registerQueue(1, twins.r4, 0, pages * PAGE_BYTES)).toBe(2);
    twins.check();
    expect(twins.grant(1, 1, 0, 0, pages * PAGE_BYTES, unit)).toBe(0);
    expect(twins.accept(2, twins.r4)).toBe(0);
    expect(twins.pin(2, twins.r4 + 450 * PAGE_BYTES, 30 * PAGE_BYTES)).toBeLessThanOrEqual(0);
    twins.tearDown();
  },
);
