import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { balanceProblems, Ledger, noticeProblems } from "../src/replay/ledger.js";
import { LruList } from "../src/replay/lru.js";
import type { ReplayOptions } from "../src/replay/options.js";
import { planSharing } from "../src/replay/plan.js";
import { GRACE_REFERENCES, Replay } from "../src/replay/replay.js";
import type { ReplayReport } from "../src/replay/report.js";
import { decodeTrace, readTrace, type Trace, TraceEncoder } from "../src/trace/format.js";
import { type ModelCounts, modelReplay } from "./support/replay-model.js";
import { at } from "./support/world.js";

const TRACES = join(import.meta.dirname, "..", "bench", "traces");

let ls: Trace;
/** The first references of sort: on fewer pages than the trace says, which it must not mind. */
let sort: Trace;

beforeAll(async () => {
  ls = await readTrace(join(TRACES, "ls.lpt"));
  sort = prefix(await readTrace(join(TRACES, "sort.lpt")), 50_000);
});

function prefix(trace: Trace, length: number): Trace {
  const { pageIndex, offset, size, kind } = trace;
  return {
    ...trace,
    length,
    pageIndex: pageIndex.subarray(0, length),
    offset: offset.subarray(0, length),
    size: size.subarray(0, length),
    kind: kind.subarray(0, length),
  };
}

function named(traces: readonly Trace[]): { name: string; trace: Trace }[] {
  return traces.map((trace, index) => ({ name: `client ${index}`, trace }));
}

function replay(traces: readonly Trace[], options: ReplayOptions): Promise<ReplayReport> {
  return new Replay(named(traces), options).run();
}

/** What a report says about the same things as the model. */
function countsOf(report: ReplayReport): ModelCounts {
  const { translations, rescinds, crash } = report;
  return {
    ...translations,
    evictions: report.evictions,
    copies: report.copies,
    grants: report.grants,
    regrants: report.regrants,
    returns: report.returns,
    rescindedReturns: report.rescindedReturns,
    rescinds: rescinds.normal,
    forced: rescinds.forced,
    tornDown: rescinds.tornDown,
    lost: crash?.lostMappings ?? 0,
    stalls: crash?.stalls ?? 0,
    graceReferences: crash?.graceReferences ?? 0,
    done: report.done,
  };
}

/** Replays, and expects what the naive model of the same options says. */
async function expectModel(traces: readonly Trace[], options: ReplayOptions): Promise<ReplayReport> {
  const pages = traces.map((trace) => trace.pages.length);
  const plan = planSharing(pages, options.share ?? 0, options.seed ?? 1);
  const quantum = options.quantum ?? 10_000;
  const model = modelReplay(traces, plan, { ...options, quantum, graceReferences: GRACE_REFERENCES });
  const report = await replay(traces, options);
  expect(report.problems).toEqual([]);
  expect(countsOf(report)).toEqual(model);
  return report;
}

/** A report without what depends on the time. */
function timeless(report: ReplayReport): unknown {
  const { seconds: _, referencesPerSecond: __, crash, ...rest } = report;
  return { ...rest, crash: crash === null ? null : { ...crash, downMs: 0, recoveryMs: 0 } };
}

describe("a replay of recorded programs does what the naive model does, and adds up", () => {
  it.each<ReplayOptions>([
    {},
    { resident: 1 },
    { resident: 8, quantum: 777 },
    { resident: 64, share: 25 },
    { resident: 6, share: 100, seed: 3 },
    { share: 50, seed: 4, batch: 1, quantum: 1000 },
    { share: 100, crash: true, graceMs: 1, seed: 5 },
    { share: 40, crash: true, graceMs: 0, resident: 16, seed: 6 },
    { share: 40, crash: true, graceMs: 3, resident: 16, quantum: 123, batch: 7, seed: 7 },
    {
      share: 30,
      crash: true,
      graceMs: 1,
      resident: 2 ** 24,
      batch: 65_536,
      quantum: 2 ** 28,
      seed: 0xffffffff,
    },
  ])("%j", async (options) => {
    const report = await expectModel([ls, sort, ls], options);
    expect(report.done).toBe(2 * ls.length + sort.length);
    expect(report.interrupted).toBe(false);
    const charted = report.chart.pageFaults.reduce((sum, faults) => sum + faults, 0);
    expect(charted).toBe(report.pageFaults);
  });

  it("with one client too", async () => {
    const report = await expectModel([ls], { share: 50, resident: 20, crash: true, graceMs: 1 });
    expect([report.commonPages, report.sharedPages]).toEqual([64, 0]);
  });

  it("and the size of the batch changes nothing but the time", async () => {
    const options = { share: 50, resident: 20, crash: true, graceMs: 1 };
    const reports = await Promise.all(
      [1, 2, 100, 65_536].map((batch) => replay([ls, sort], { ...options, batch })),
    );
    const shapes = reports.map((report) => countsOf(report));
    for (const shape of shapes) expect(shape).toEqual(shapes[0]);
  });
});

/** A trace of these references: page, offset, kind. */
function traceOf(references: readonly (readonly [number, number, number])[]): Trace {
  const encoder = new TraceEncoder("made");
  for (const [page, offset, kind] of references) encoder.push(kind, page * 4096 + offset, 1);
  return decodeTrace(encoder.finish({ program: "", version: "", command: "" }), "made");
}

describe("a replay of anything", () => {
  it("does what the naive model does", { timeout: 120_000 }, async () => {
    const reference = fc.tuple(fc.nat(11), fc.nat(4095), fc.integer({ min: 1, max: 3 }));
    const trace = fc.array(reference, { minLength: 1, maxLength: 300 }).map(traceOf);
    const options = fc.record(
      {
        resident: fc.integer({ min: 1, max: 13 }),
        share: fc.integer({ min: 0, max: 100 }),
        crash: fc.boolean(),
        graceMs: fc.nat(1),
        seed: fc.nat(),
        quantum: fc.integer({ min: 1, max: 80 }),
        batch: fc.integer({ min: 1, max: 40 }),
      },
      { requiredKeys: ["graceMs"] },
    );
    const traces = fc.array(trace, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(traces, options, async (made, chosen) => {
        await expectModel(made, chosen);
      }),
      { numRuns: 300 },
    );
  });
});

describe("the seed", () => {
  const options = { share: 40, resident: 30, crash: true, graceMs: 1 };

  it("decides everything but the time", async () => {
    const [first, second] = [await replay([ls, sort], options), await replay([ls, sort], options)];
    expect(timeless(second)).toEqual(timeless(first));
  });

  it("makes a difference", async () => {
    const [first, second] = [
      await replay([ls, sort], options),
      await replay([ls, sort], { ...options, seed: 2 }),
    ];
    expect(countsOf(second)).not.toEqual(countsOf(first));
  });

  it("shares as many pages as asked, with every combination of rights", () => {
    const plan = planSharing([1000, 10, 500], 30, 9);
    expect(plan.commonPages).toBe(300);
    expect(plan.sharedPages).toBe(150);
    expect(plan.serverPages).toBe(1810);
    expect(plan.traces.map(({ firstPrivate }) => firstPrivate)).toEqual([0, 1000, 1010]);
    for (const [index, chosen] of [300, 3, 150].entries()) {
      const common = [...at(plan.traces, index).common].filter((page) => page >= 0).sort((a, b) => a - b);
      expect(common).toEqual(Array.from({ length: chosen }, (_, page) => page));
    }
    const { common, readOnly, relayed } = at(plan.traces, 0);
    const rights = new Set(
      [...common.keys()].map((page) => `${common[page] === -1} ${readOnly[page]} ${relayed[page]}`),
    );
    expect([...rights].sort()).toEqual(["false 0 0", "false 0 1", "false 1 0", "false 1 1", "true 0 0"]);
    expect(planSharing([7], 100, 1).commonPages).toBe(7);
    expect(planSharing([7], 0, 1).commonPages).toBe(0);
  });
});

describe("a crash", () => {
  it("is told to every partner once, before and after, and what was lost comes back", async () => {
    const report = await replay([ls, sort, ls], { share: 50, crash: true, graceMs: 20 });
    expect(report.problems).toEqual([]);
    expect(report.notices).toMatchObject({ "partner-failed": 4, "partner-recovered": 4 });
    expect(report.crash).toMatchObject({ at: Math.floor(report.references / 2), graceMs: 20 });
    expect(report.crash?.downMs).toBeGreaterThanOrEqual(19);
    expect(report.crash?.lostMappings).toBeGreaterThan(0);
    expect(report.crash?.graceReferences).toBeGreaterThan(0);
    expect(report.translations.rescinded).toBeGreaterThan(0);
    expect(report.chart.crashColumn).toBe(30);
  });

  it("before the first reference is survived as well", async () => {
    const one = traceOf([[1, 2, 3]]);
    const report = await expectModel([one], { crash: true, graceMs: 0, share: 100 });
    expect(report.crash).toMatchObject({ at: 0, lostMappings: 0 });
  });
});

describe("a signal", () => {
  it("ends the replay soon, and the report says how far it came", async () => {
    const controller = new AbortController();
    const onProgress = (done: number): void => {
      if (done > 0) controller.abort();
    };
    const endless = new Replay(named([ls, sort, ls]), { resident: 1, batch: 1 });
    const report = await endless.run({ signal: controller.signal, onProgress });
    expect(report.interrupted).toBe(true);
    expect(report.done).toBeGreaterThan(0);
    expect(report.done).toBeLessThan(report.references);
    expect(report.clients.reduce((sum, { done }) => sum + done, 0)).toBe(report.done);
    expect([report.audited, report.problems]).toEqual([0, []]);
  });

  it("ends the wait for the server", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    const options = { crash: true, graceMs: 600_000 };
    const report = await new Replay(named([ls]), options).run({ signal: controller.signal });
    expect(report.interrupted).toBe(true);
    expect(report.crash).toMatchObject({ at: Math.floor(ls.length / 2) });
    expect(report.seconds).toBeLessThan(report.crash?.downMs ?? 0);
  });

  it("that was there before lets nothing run", async () => {
    const report = await new Replay(named([ls])).run({ signal: AbortSignal.abort() });
    expect([report.interrupted, report.done]).toEqual([true, 0]);
  });
});

describe("what cannot be", () => {
  const bounds: readonly [keyof ReplayOptions, number, number][] = [
    ["resident", 1, 2 ** 24],
    ["share", 0, 100],
    ["graceMs", 0, 600_000],
    ["seed", 0, 2 ** 32 - 1],
    ["quantum", 1, 2 ** 28],
    ["batch", 1, 65_536],
  ];

  it.each(bounds)("%s takes %d to %d", (name, min, max) => {
    for (const good of [min, max]) expect(() => new Replay(named([ls]), { [name]: good })).not.toThrow();
    for (const bad of [min - 1, max + 1, Number.NaN, "5"])
      expect(() => new Replay(named([ls]), { [name]: bad })).toThrow(
        new RegExp(`^${name} is ${bad}; it must be an? (integer|number) from ${min} to ${max}$`),
      );
  });

  it("is no trace, or more pages than a table has", () => {
    expect(() => new Replay([])).toThrow("traces are 0; there must be 1 to 4094 of them");
    const pages = new Float64Array(600_000);
    const wide: Trace = { ...ls, pages };
    expect(() => new Replay(named([wide, wide]))).toThrow(
      "the traces use 1200000 pages, common ones included; a table has at most 1048575",
    );
  });
});

describe("what does not add up is said", () => {
  const needs = 40;
  const standing = { mapped: 3, rescinded: 2 };
  const table = { ...standing, grantsOut: 3, grantsIn: 3 };

  function balanced(): Ledger {
    const numbers = {
      ok: 40,
      notMapped: 15,
      rescinded: 1,
      permission: 2,
      copies: 2,
      directGrants: 12,
      relayGrants: 2,
      regrants: 6,
      accepts: 20,
      returns: 10,
      rescinds: 10,
      tornDown: 3,
      lost: 4,
      rescindedReturns: 5,
      crashes: 1,
    };
    return Object.assign(new Ledger(), numbers);
  }

  it("for every number that is off by one", () => {
    expect(balanceProblems(balanced(), needs, standing, table)).toEqual([]);
    const names = [
      "ok",
      "notMapped",
      "rescinded",
      "permission",
      "copies",
      "directGrants",
      "relayGrants",
      "regrants",
      "accepts",
      "returns",
      "rescinds",
      "tornDown",
      "lost",
      "rescindedReturns",
    ] as const;
    for (const name of names) {
      const ledger = balanced();
      ledger[name]++;
      expect(balanceProblems(ledger, needs, standing, table), name).not.toEqual([]);
    }
    for (const name of ["mapped", "rescinded", "grantsOut", "grantsIn"] as const)
      expect(balanceProblems(balanced(), needs, standing, { ...table, [name]: 9 })).toHaveLength(1);
    for (const name of ["mapped", "rescinded"] as const)
      expect(balanceProblems(balanced(), needs, { ...standing, [name]: 9 }, table)).not.toEqual([]);
    expect(balanceProblems(balanced(), needs + 1, standing, table)).toEqual([
      "translations that succeeded = rights that the references need: 40 is not 41",
    ]);
  });

  it("for notices that are missing or too many", () => {
    const notices = {
      "partner-failed": 2,
      "partner-recovered": 2,
      returned: 10,
      rescinded: 6,
      "events-lost": 1,
    };
    expect(noticeProblems(balanced(), 2, notices)).toEqual([]);
    expect(noticeProblems(balanced(), 2, { ...notices, rescinded: 5 })).toHaveLength(1);
    expect(noticeProblems(balanced(), 2, { ...notices, "partner-failed": 1, returned: 11 })).toHaveLength(1);
    expect(noticeProblems(balanced(), 2, {})).toHaveLength(3);
  });
});

describe("the order of use", () => {
  it("is that of a Map whose keys are taken out and put in again", () => {
    const command = fc.tuple(fc.constantFrom("touch", "remove"), fc.nat(7));
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const list = new LruList(8);
        const model = new Set<number>();
        for (const [what, page] of commands) {
          model.delete(page);
          if (what === "touch") {
            model.add(page);
            list.touch(page);
          } else list.remove(page);
          expect([...list]).toEqual([...model]);
          expect([list.size, list.oldest]).toEqual([model.size, [...model][0] ?? -1]);
          expect(list.has(page)).toBe(what === "touch");
        }
      }),
    );
  });
});
