/** The measuring tool behind `lpar bench`: statistics, latencies, scans, limits, reports and their comparison. */
import { describe, expect, it } from "vitest";
import { missedBy, parseAssertion } from "../bench/assertion.js";
import { examineClock, shortestNs } from "../bench/clock.js";
import { type Comparison, compareReports } from "../bench/comparison.js";
import { describeLatency, formatRatio, formatTime } from "../bench/format.js";
import { collectGarbage } from "../bench/garbage.js";
import { LatencyHistogram, mergeBins } from "../bench/histogram.js";
import { LatencyMeter } from "../bench/latency.js";
import { Random } from "../bench/random.js";
import { RemoteMeter, WorkerMeters } from "../bench/remote-meter.js";
import { type Report, ReportError, type Row, readReport, toJson } from "../bench/report.js";
import { toCsv } from "../bench/report-csv.js";
import { toHtml } from "../bench/report-html.js";
import { toMarkdown } from "../bench/report-md.js";
import {
  combinationsOf,
  type ParameterValues,
  parametersOf,
  parseScan,
  runsOf,
  valuesOf,
} from "../bench/scan.js";
import { breakEvens, familiesOf } from "../bench/series.js";
import { median, medianInterval, ratioOf } from "../bench/statistics.js";
import { type SuiteName, timesNative } from "../bench/suite.js";
import { describeReport } from "../src/driver/bench-text.js";
import { latencyOf, reportOf, rowOf } from "./support/bench-report.js";

/** Numbers around 100 whose logarithms are uniform, so that true medians are known. */
function draw(random: Random, count: number, factor = 1): number[] {
  return Array.from({ length: count }, () => factor * 100 * 1.5 ** (random.next() / 2 ** 31 - 1));
}

describe("statistics", () => {
  it("knows the median of few numbers, and that nothing has none", () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([5])]).toEqual([2, 2.5, 5]);
    expect(() => median([])).toThrow("no median of nothing");
    expect(() => medianInterval([])).toThrow("no interval of nothing");
    expect(() => ratioOf([], [1])).toThrow("no ratio of nothing");
  });

  it("has the intervals of the tables of the sign test", () => {
    // n, then which of the ordered numbers bound it, and how sure that is.
    const known = [
      [1, 1, 1, 0],
      [5, 1, 5, 0.9375],
      [6, 1, 6, 0.96875],
      [7, 1, 7, 0.984375],
      [9, 2, 8, 0.9609375],
      [15, 4, 12, 0.96484375],
      [20, 6, 15, 0.9586105346679688],
    ] as const;
    for (const [n, low, high, confidence] of known) {
      const numbers = Array.from({ length: n }, (_, index) => n - index);
      const found = medianInterval(numbers);
      expect([found.low, found.high], `${n} numbers`).toEqual([low, high]);
      expect(found.confidence).toBeCloseTo(confidence, 12);
    }
    const thousand = medianInterval(Array.from({ length: 1000 }, (_, index) => index + 1));
    expect([thousand.low, thousand.high]).toEqual([469, 532]);
  });

  it("has the intervals of the tables of Mann and Whitney", () => {
    // Of n and m numbers, how many of the quotients lie outside at each end.
    const known = [
      [3, 3, 0, 0.9],
      [4, 4, 0, 1 - 2 / 70],
      [5, 5, 2, 1 - 8 / 252],
      [7, 7, 8, 0.9621],
      [8, 10, 17, 0.9566],
      [20, 20, 127, 0.9509],
    ] as const;
    for (const [n, m, rank, confidence] of known) {
      // All quotients are different.
      const before = Array.from({ length: n }, (_, index) => 1 / (1 + index));
      const after = Array.from({ length: m }, (_, index) => 1 + (index + 1) / 1000);
      const quotients = before.flatMap((a) => after.map((b) => b / a)).sort((a, b) => a - b);
      const found = ratioOf(before, after);
      expect([found.low, found.high], `${n}, ${m}`).toEqual([quotients[rank], quotients.at(-1 - rank)]);
      expect(found.confidence).toBeCloseTo(confidence, 3);
    }
    // Beyond the tables: one rank more would hold with 94.8 and 94.99 %.
    for (const [n, m, rank] of [
      [21, 3, 8],
      [25, 20, 163],
    ] as const) {
      const before = Array.from({ length: n }, (_, index) => 1 / (1 + index));
      const after = Array.from({ length: m }, (_, index) => 1 + (index + 1) / 1000);
      const quotients = before.flatMap((a) => after.map((b) => b / a)).sort((a, b) => a - b);
      expect(ratioOf(before, after).low, `${n}, ${m}`).toBe(quotients[rank]);
    }
  });

  it("holds the truth as often as it says, also for many numbers", () => {
    const random = new Random(7);
    for (const [count, tries] of [
      [7, 400],
      [40, 100],
    ] as const) {
      let [medians, ratios] = [0, 0];
      for (let i = 0; i < tries; i++) {
        const numbers = draw(random, count);
        const interval = medianInterval(numbers);
        if (interval.low <= 100 && 100 <= interval.high) medians++;
        const ratio = ratioOf(numbers, draw(random, count, 1.3));
        if (ratio.low <= 1.3 && 1.3 <= ratio.high) ratios++;
      }
      // Four deviations below 95 %.
      const least = tries * (0.95 - 4 * Math.sqrt((0.95 * 0.05) / tries));
      expect([medians >= least, ratios >= least], `${medians} and ${ratios} of ${tries}`).toEqual([
        true,
        true,
      ]);
    }
  });
});

describe("latencies", () => {
  it("are told with three digits, and the greatest as it was", () => {
    const histogram = new LatencyHistogram();
    for (let ns = 1; ns <= 10_000; ns++) histogram.record(ns);
    histogram.record(0.2);
    histogram.record(123_457);
    const { p50, p90, p99, p999, max, mean } = histogram.percentiles();
    for (const [found, exact] of [
      [p50, 5000],
      [p90, 9000],
      [p99, 9900],
      [p999, 9990],
      [mean, 5011.8],
    ] as const)
      expect(Math.abs(found / exact - 1), `${found} for ${exact}`).toBeLessThan(0.002);
    expect(max).toBe(123_457);
    const bins = histogram.bins();
    expect(bins.reduce((sum, [, count]) => sum + count, 0)).toBe(histogram.count);
    expect(bins.every(([from], index) => index === 0 || from > (bins[index - 1]?.[0] ?? 0))).toBe(true);
    const merged = mergeBins(bins, 16);
    expect(merged.length).toBeLessThanOrEqual(16);
    expect(merged.reduce((sum, [, count]) => sum + count, 0)).toBe(histogram.count);
    expect([new LatencyHistogram().bins(), mergeBins([], 4)]).toEqual([[], []]);
  });

  it("see what waited for one operation that stalled, which uncorrected ones do not", async () => {
    // 1000 operations of 10 us, one every 100 us; one of them takes 30 ms, which delays about 330 others.
    const stalls = (index: number): number => (index === 500 ? 30 : 0.01);
    const { corrected, uncorrected, count, rate } = await latencyOf(stalls, { timeMs: 100, rate: 10_000 });
    expect(count).toBe(1000);
    expect(uncorrected.p99).toBeLessThan(12_000);
    expect(corrected?.p99).toBeGreaterThan(25e6);
    expect(corrected?.p50).toBeLessThan(12_000);
    expect(corrected?.max).toBeGreaterThanOrEqual(uncorrected.max);
    expect(uncorrected.max).toBeGreaterThan(29e6);
    expect(rate?.asked).toBe(10_000);
    expect(Math.abs((rate?.achieved ?? 0) / 10_000 - 1)).toBeLessThan(0.02);
  });

  it("say which rate was reached when it was too high, and end in time", async () => {
    const { rate, corrected, count } = await latencyOf(() => 1, { timeMs: 100, rate: 10_000 });
    expect(count).toBeLessThanOrEqual(301);
    expect(Math.round(rate?.achieved ?? 0)).toBeCloseTo(1000, -1);
    expect(corrected?.p50).toBeGreaterThan(100e6);
  });

  it("are those of blocks where one operation is too short for the clock, and say so", async () => {
    // 30 ns against the 400 that can be told: at least 14 together.
    const short = await latencyOf(() => 30e-6, { timeMs: 1 });
    expect([short.block, short.isTooShort]).toEqual([16, false]);
    expect(short.uncorrected.p50).toBeGreaterThanOrEqual(30);
    expect(short.uncorrected.p50).toBeLessThan(35);
    const long = await latencyOf(() => 0.001, { timeMs: 1 });
    expect([long.block, long.isTooShort, long.corrected, long.rate]).toEqual([
      1,
      false,
      undefined,
      undefined,
    ]);
    // At a rate each counts by itself.
    const atRate = await latencyOf(() => 30e-6, { timeMs: 1, rate: 100_000 });
    expect([atRate.block, atRate.isTooShort]).toEqual([1, true]);
  });

  it("are of larger blocks where operations became quicker once they were compiled, and of those only", async () => {
    // A block is found in the first thousand operations, at 200 ns; the later ones take 3 ns.
    const warm = await latencyOf((index) => (index < 1000 ? 200e-6 : 3e-6), { timeMs: 1 });
    expect(warm.block).toBeGreaterThanOrEqual(128);
    expect(warm.isTooShort).toBe(false);
    // As exact as the blocks are, though the histogram counts whole nanoseconds.
    expect(warm.uncorrected.p50).toBeGreaterThan(3);
    expect(warm.uncorrected.p50).toBeLessThan(3.2);
    expect(warm.uncorrected.max).toBeLessThan(3.2);
    expect(warm.bins.reduce((sum, [, count]) => sum + count, 0)).toBe(warm.count);
    expect(warm.bins.every(([from]) => from < 3.2)).toBe(true);
    expect(describeLatency(warm)).toBe(
      `means of ${warm.block} operations, as one is too short for the clock`,
    );
    expect(describeLatency({ ...warm, isTooShort: true })).toBe(
      `means of ${warm.block} operations, too short for the clock even so: mostly the clock's own time`,
    );
    expect(describeLatency({ ...warm, block: 1, isTooShort: true })).toBe(
      "too short for the clock: mostly the clock's own time",
    );
  });

  it("of a worker are those of all its measurements of a contender, whatever its operation is by then", async () => {
    const meters = new WorkerMeters();
    const options = { timeMs: 1, shortestNs: 1, rate: 20_000 };
    const runs = { first: 0, second: 0, other: 0 };
    const ask = (name: string, run: keyof typeof runs): RemoteMeter =>
      new RemoteMeter(() =>
        meters.measure(name, options, () => {
          runs[run]++;
        }),
      );
    const unmeasured = ask("one", "first");
    expect(() => unmeasured.result()).toThrow("nothing was measured");
    const counts: number[] = [];
    for (const [name, run] of [
      ["one", "first"],
      ["one", "second"],
      ["another", "other"],
    ] as const) {
      const meter = ask(name, run);
      await meter.measure();
      counts.push(meter.result().count);
    }
    const [first = 0, both = 0, other = 0] = counts;
    expect(first).toBeGreaterThan(0);
    expect(both).toBeGreaterThan(first);
    expect(runs.second).toBeGreaterThanOrEqual(both - first);
    expect(other).toBeLessThanOrEqual(runs.other);
  });

  it("are measured of operations that are promises, too, and at low rates by real time", async () => {
    let [under, most] = [0, 0];
    const meter = new LatencyMeter(
      async () => {
        most = Math.max(most, ++under);
        await new Promise(setImmediate);
        under--;
      },
      { timeMs: 40, rate: 200, shortestNs: 400 },
    );
    await meter.measure();
    const { count, block, corrected } = meter.result();
    expect([count, block, most]).toEqual([8, 1, 1]);
    expect(corrected?.p50).toBeGreaterThan(0);
  });

  it("know the clock's steps", () => {
    let ms = 0;
    const clock = examineClock(() => {
      ms += 0.00005;
      return Math.floor(ms / 0.0002) * 0.0002;
    });
    expect(clock.stepNs).toBeCloseTo(200, 3);
    expect(shortestNs({ stepNs: 200, readNs: 50 })).toBe(2000);
    expect(examineClock().stepNs).toBeGreaterThan(0);
  });
});

describe("garbage", () => {
  it("is collected between two contenders, so that none pays for another", async () => {
    const left = new WeakRef(new Uint8Array(1000));
    await new Promise(setImmediate); // until then a WeakRef keeps what it was made of
    collectGarbage();
    expect(left.deref()).toBeUndefined();
  });
});

describe("--scan", () => {
  it.each([
    ["pages=4096,65536", "pages", [4096, 65536]],
    ["pages=4096..1048576x4", "pages", [4096, 16384, 65536, 262144, 1048576]],
    ["pages=2^12..2^14x2", "pages", [4096, 8192, 16384]],
    ["batch=1..100x10", "batch", [1, 10, 100]],
    ["batch=1..6x1.5", "batch", [1, 2, 3, 5]],
    ["workers=3..3x2", "workers", [3]],
    ["batch=7,7,8", "batch", [7, 8]],
    ["dist=uniform,zipf:1.1,hotcold:90/10", "dist", ["uniform", "zipf:1.1", "hotcold:90/10"]],
    ["dist=trace:../x.lpt", "dist", ["trace:../x.lpt"]],
  ] as const)("reads %s", (text, name, values) => {
    expect(parseScan(text)).toEqual({ name, values });
  });

  it.each([
    ["pages", "--scan takes name=a,b,c or name=lo..hixF"],
    ["frames=1,2", '--scan knows dist, pages, partitions, depth, fanout, batch, workers, but got "frames"'],
    ["pages=1,two", 'a whole number from 1 to 4194304, but got "two"'],
    ["pages=", 'but got ""'],
    ["pages=0..8x2", 'a whole number from 1 to 4194304, but got "0"'],
    ["pages=1..8", "with a factor F of 1.1 or more"],
    ["pages=1..8x1", "with a factor F of 1.1 or more"],
    ["pages=8..1x2", "8 is more than 1"],
    ["dist=uniform,gauss", "--dist takes uniform, zipf:S"],
    ["batch=1..65536x1.1", "at most 64 values"],
  ])("refuses %s", (text, message) => {
    expect(() => parseScan(text)).toThrow(message);
  });

  it("makes all combinations, and lets a suite run once for those that it cannot tell apart", () => {
    const scans = [parseScan("pages=1,2"), parseScan("depth=3,4")];
    const combinations = combinationsOf(scans);
    expect(combinations).toEqual([
      { pages: 1, depth: 3 },
      { pages: 1, depth: 4 },
      { pages: 2, depth: 3 },
      { pages: 2, depth: 4 },
    ]);
    expect(combinationsOf([])).toEqual([{}]);
    expect(runsOf("translate", combinations)).toEqual([{ pages: 1 }, { pages: 2 }]);
    expect(runsOf("tree", combinations)).toEqual([{ depth: 3 }, { depth: 4 }]);
    expect(runsOf("mmio", combinations)).toEqual([{}]);
    expect(() => combinationsOf([...scans, parseScan("pages=5")])).toThrow("--scan pages is there twice");
    const many = ["pages", "batch", "depth"].map((name) => parseScan(`${name}=1,2,3,4,5,6,7`));
    expect(() => combinationsOf(many)).toThrow("343 runs of the suites; at most 256");
  });

  it("gives reports values that are read back as the same parameters", () => {
    const values = { dist: "stride:8", pages: 4096 };
    expect(valuesOf(parametersOf(values))).toEqual(values);
    expect([valuesOf({}), parametersOf({})]).toEqual([{}, {}]);
  });
});

const PLAIN = rowOf({
  what: "batch, 2^12 pages",
  lpar: [2, 3, 4],
  native: [1, 2, 3],
  typed: [20, 30, 40],
  target: timesNative(2, 1.1),
});

describe("rows", () => {
  it("have the medians, the ratios of medians, and intervals of the single repetitions", () => {
    expect(PLAIN).toMatchObject({
      ns: 3,
      baselines: { native: 2, typed: 30 },
      ratios: { native: 1.5, typed: 0.1 },
    });
    expect(PLAIN.interval).toEqual({ low: 2, high: 4, confidence: 0.75 });
    expect(PLAIN.ratioIntervals.native).toEqual({ low: 4 / 3, high: 2, confidence: 0.75 });
    expect(PLAIN.target).toMatchObject({ reached: true, aimReached: false });
  });
});

describe("--assert", () => {
  it.each([
    ["p99<2us", { rows: "", metric: "p99", isStrict: true, limit: 2000 }],
    ["p99.9 <= 1.5 ms", { rows: "", metric: "p99.9", isStrict: false, limit: 1.5e6 }],
    ["translate: batch, 2^12: median<10ns", { rows: "translate: batch, 2^12", metric: "median", limit: 10 }],
    ["ratio<1.5", { metric: "ratio", limit: 1.5 }],
    ["ratio<=2x", { metric: "ratio", limit: 2 }],
    ["mean<1s", { metric: "mean", limit: 1e9 }],
    ["max<1e3us", { metric: "max", limit: 1e6 }],
  ])("reads %s", (text, parsed) => {
    expect(parseAssertion(text)).toMatchObject({ text, ...parsed });
  });

  it.each([
    ["fast", "there is no such limit"],
    ["p98<2us", 'there is no metric "p98"'],
    ["p99>2us", "there is no such limit"],
    ["p99<2", "the time has no unit"],
    ["p99<2min", '"min" is no unit of p99'],
    ["ratio<2us", '"us" is no unit of ratio'],
    ["median<-2us", "there is no such limit"],
  ])("refuses %s", (text, message) => {
    expect(() => parseAssertion(text)).toThrow(message);
    expect(() => parseAssertion(text)).toThrow(
      "METRIC one of mean, median, ratio, p50, p90, p99, p99.9, max",
    );
  });

  it("names the rows that miss a limit with what they have, and limits that no row can keep", async () => {
    const latency = await latencyOf((index) => (index === 500 ? 30 : 0.01), { timeMs: 100, rate: 10_000 });
    const slow = rowOf({ what: "single, 2^16 pages", lpar: [30, 40, 80], latencies: { lpar: latency } });
    const missed = (...limits: readonly string[]): readonly string[] =>
      missedBy(reportOf([PLAIN, slow]), limits.map(parseAssertion));
    expect(missed("median<41ns", "ratio<1.6", "batch: median<=3ns")).toEqual([]);
    expect(missed("median<40ns")).toEqual(["median<40ns: translate: single, 2^16 pages has median 40 ns"]);
    expect(missed("median<3ns")).toHaveLength(2);
    // The one that is printed: the latencies'.
    const mean = formatTime(latency.corrected?.mean ?? 0);
    expect(mean).toMatch(/^\d\.?\d* ms$/);
    expect(missed("batch: mean<1s")).toEqual(['batch: mean<1s: no row with "batch" in its name has a mean']);
    expect(missed("mean<49ns", "ratio<=1.4")).toEqual([
      `mean<49ns: translate: single, 2^16 pages has mean ${mean}`,
      "ratio<=1.4: translate: batch, 2^12 pages has ratio 1.50",
    ]);
    // The corrected ones count.
    expect(missed("p99<1ms")).toEqual([
      expect.stringMatching(/^p99<1ms: translate: single, .* has p99 2\d\.?\d? ms$/),
    ]);
    expect(missed("batch: p99<1s")).toEqual(['batch: p99<1s: no row with "batch" in its name has a p99']);
    expect(missed("nothing: median<1s")).toEqual([
      'nothing: median<1s: no row with "nothing" in its name has a median',
    ]);
  });
});

describe("a report", () => {
  const report = reportOf([PLAIN], { notes: ["a note"] });

  it("is read as it was written, version and all", () => {
    expect(report).toMatchObject({ report: "lpar bench", version: 1 });
    expect(readReport("a.json", JSON.stringify(report))).toEqual(report);
  });

  it.each([
    ["no JSON", "{", "a.json: not JSON"],
    ["something else", "[1]", "a.json: JSON, but not a report of"],
    ["another object", '{"rows":[]}', "a.json: JSON, but not a report of"],
    [
      "another version",
      JSON.stringify({ ...report, version: 2 }),
      "a.json: a report of version 2; this lpar reads version 1",
    ],
    ["no rows", JSON.stringify({ ...report, rows: 1 }), 'a.json: the report has no list "rows"'],
    ["no machine", JSON.stringify({ ...report, machine: null }), "a.json: the report has no object"],
    ["a row that is none", JSON.stringify({ ...report, rows: [PLAIN, 1] }), "a.json: row 2 is no object"],
    [
      "a row without name",
      JSON.stringify({ ...report, rows: [{ ...PLAIN, what: 1 }] }),
      'row 1 has no text "what"',
    ],
    [
      "a row without times",
      JSON.stringify({ ...report, rows: [{ ...PLAIN, samples: {} }] }),
      'has no times of "lpar"',
    ],
    [
      "a time that is none",
      JSON.stringify({ ...report, rows: [{ ...PLAIN, samples: { ...PLAIN.samples, native: [1, -2, 3] } }] }),
      'has no number above 0 "samples.native[1]"',
    ],
    [
      "fewer times of one than of the other",
      JSON.stringify({ ...report, rows: [{ ...PLAIN, samples: { ...PLAIN.samples, native: [2, 2] } }] }),
      'row 1 has 3 times of "lpar" and 2 of "native"',
    ],
    [
      "a time that is not that of the repetitions",
      JSON.stringify({ ...report, rows: [{ ...PLAIN, ns: 3.1 }] }),
      'row 1 has times of "lpar" whose median is not its 3.1 ns',
    ],
    ["a row twice", JSON.stringify({ ...report, rows: [PLAIN, PLAIN] }), "row 2 is there twice"],
    [
      "a suite that was not run",
      JSON.stringify({ ...report, rows: [{ ...PLAIN, suite: "tree" }] }),
      'row 1 has a "suite" that is not in "options.suites"',
    ],
  ])("is refused when it is %s", (_, text, message) => {
    expect(() => readReport("a.json", text)).toThrow(message);
  });
});

/** Rings the bell of a terminal. */
const BELL = "\u0007";

describe("a report from elsewhere", () => {
  const latency = { mean: 1, p50: 1, p90: 1, p99: 1, p999: 1, max: 1 };
  const row = rowOf({
    what: "single",
    scan: { dist: "seq" },
    lpar: [2, 3, 4],
    native: [1, 2, 3],
    target: timesNative(2, 1.1),
    latencies: { lpar: { count: 1, block: 1, isTooShort: false, uncorrected: latency, bins: [] } },
  });
  const good = toJson(reportOf([row], { notes: ["a"], leftOut: ["b"], wrong: ["c"], compiler: "cc" }));

  it("has nothing in its texts that a terminal would obey", () => {
    const evil = JSON.parse(good, (key, part) =>
      typeof part === "string" && key !== "report" ? `${part}${BELL}` : part,
    );
    const report = readReport("f", JSON.stringify(evil));
    const texts = [toCsv, toHtml, toMarkdown, toJson].map((write) => write(report));
    texts.push(describeReport(report), ...missedBy(report, [parseAssertion("ratio<1")]));
    texts.push(JSON.stringify(compareReports({ name: "a", report }, { name: "b", report })));
    expect(texts.join("")).toContain("single?");
    expect(texts.join("")).not.toContain(BELL);
  });

  it("nor in the names of its fields", () => {
    for (const name of ["dist", "native", "lpar"]) {
      const evil = good.replaceAll(`"${name}":`, `"${name}\\u0007":`);
      expect(evil).not.toBe(good);
      expect(() => readReport("f", evil)).toThrow(/^[^\p{C}]*$/u);
    }
  });
});

/** All places in a value, by their names. */
function placesIn(value: unknown): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => [
    [name],
    ...placesIn(part).map((rest) => [name, ...rest]),
  ]);
}

describe("a damaged report", () => {
  it("is refused in one line that names the field, or every writer can do with it", async () => {
    const latency = await latencyOf((index) => 0.001 + index / 1e5, { timeMs: 2, rate: 10_000 });
    const row = rowOf({
      what: "single, 2^12 pages",
      scan: { pages: 8 },
      at: { pages: 8 },
      lpar: [2, 3, 4],
      native: [1, 2, 3],
      target: { ...timesNative(2, 1.1), longestMs: 1 },
      latencies: { lpar: { ...latency, bins: latency.bins.slice(0, 2) } },
    });
    const whole = reportOf([row], { notes: ["a"], leftOut: ["b"] });
    const good: Report = {
      ...whole,
      options: { ...whole.options, rate: 100, parameters: { dist: "seq" }, scans: [parseScan("pages=8")] },
    };
    const limits = ["median<1ns", "mean<1ns", "ratio<1", "p99<1ns"].map(parseAssertion);
    const uses = (report: Report): readonly unknown[] => [
      toCsv(report),
      toHtml(report),
      toMarkdown(report),
      toJson(report),
      describeReport(report, { isColoured: true, columns: 80 }),
      missedBy(report, limits),
      compareReports({ name: "a", report: good }, { name: "b", report }),
    ];
    uses(readReport("f", toJson(good)));
    let refused = 0;
    for (const path of placesIn(JSON.parse(toJson(good)))) {
      for (const value of [undefined, null, -1, "<b>x", "__proto__", "toString", {}, []]) {
        const damaged = JSON.parse(toJson(good));
        const last = path.at(-1) as string;
        path.slice(0, -1).reduce((part, name) => part[name], damaged)[last] = value;
        try {
          uses(readReport("f", JSON.stringify(damaged)));
        } catch (error) {
          expect(error, `${path.join(".")}: ${JSON.stringify(value)}`).toBeInstanceOf(ReportError);
          expect(String(error)).not.toContain("\n");
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(400);
  });
});

/** Fields of one line of CSV, by the rules of RFC 4180. */
function fieldsOf(csv: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/g)) {
    rows.at(-1)?.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'));
    if (end === "\n") rows.push([]);
    if (end === "") break;
  }
  return rows.slice(0, -1);
}

describe("formats", () => {
  it("CSV quotes what must be quoted, and has a line for each row and contender", () => {
    const odd = rowOf({ what: 'a "quoted", two\nlines', lpar: [5], scan: { pages: 8, dist: "seq" } });
    const csv = toCsv(reportOf([PLAIN, odd]));
    expect(csv).toContain('translate,"a ""quoted"", two\nlines",seq,8,,,,,,lpar,1,5,5,5,0,');
    const [header = [], ...lines] = fieldsOf(csv);
    expect(lines.map((line) => line.length)).toEqual(lines.map(() => header.length));
    const records = lines.map((line) =>
      Object.fromEntries(line.map((field, index) => [header[index], field])),
    );
    expect(records).toHaveLength(4);
    expect(records[1]).toMatchObject({
      contender: "native",
      ns: "2",
      ns_low: "1",
      lpar_ratio: "1.5",
      target: "",
    });
    expect(records[3]).toMatchObject({
      what: 'a "quoted", two\nlines',
      pages: "8",
      dist: "seq",
      batch: "",
      cpu: "a <CPU> & more",
      commit: "0123456789ab",
    });
  });

  it("CSV has a row's parameters as they were there: its own, and none that its suite does not use", () => {
    const rows = [
      rowOf({ suite: "grant", what: "own", lpar: [5], at: { pages: 64, partitions: 3 } }),
      rowOf({ suite: "tree", what: "none", lpar: [5] }),
      rowOf({ suite: "access", what: "asked", lpar: [5] }),
    ];
    const { options } = reportOf(rows);
    const parameters = { dist: "seq", pages: 8, partitions: 9, depth: 2 };
    const [header = [], ...lines] = fieldsOf(toCsv(reportOf(rows, { options: { ...options, parameters } })));
    const of = (name: string): (string | undefined)[] => lines.map((line) => line[header.indexOf(name)]);
    expect(of("dist")).toEqual(["seq", "", "seq"]);
    expect(of("pages")).toEqual(["64", "", "8"]);
    expect(of("partitions")).toEqual(["3", "", ""]);
    expect(of("depth")).toEqual(["", "2", ""]);
  });

  it("Markdown keeps a cell a cell", () => {
    const markdown = toMarkdown(reportOf([rowOf({ what: "a | b", lpar: [5] })]));
    expect(markdown).toContain("| a \\| b | 5 ns |");
    const named = toMarkdown(reportOf([rowOf({ what: "<b>x</b>", lpar: [5] })], { notes: ["<i> & more"] }));
    expect(named).toContain("| &lt;b>x&lt;/b> |");
    expect(named).toContain("- &lt;i> &amp; more");
    expect(markdown).toContain("lpar 0.1.0, commit 0123456789ab, core ba9876543210");
    const installed = reportOf([PLAIN], { machine: { ...reportOf([]).machine, commit: null } });
    expect(toMarkdown(installed)).toContain("lpar 0.1.0, no checkout, core ba9876543210");
  });

  it("say the confidence that their intervals have, and none where there is one repetition", () => {
    const row = (count: number): Row =>
      rowOf({ what: `${count} times`, lpar: Array(count).fill(5), native: Array(count).fill(4) });
    const written = (rows: readonly Row[]): readonly string[] =>
      [describeReport, toMarkdown, toHtml].map((write) => write(reportOf(rows)));
    for (const text of written([row(7), row(5), row(1)])) {
      expect(text).toMatch(
        /[Ii]ntervals hold the median with 98\.4 % at 7 repetitions, 93\.7 % at 5 repetitions/,
      );
      expect(text).not.toContain("95 %");
    }
    const [text = "", markdown = "", html = ""] = written([row(1)]);
    for (const each of [text, markdown]) expect(each).toContain("one repetition has no interval");
    expect(html).toContain("One repetition has no interval");
    expect(text).toMatch(/^1 times +5\.00 +- +4\.00/m);
    expect(markdown).toContain("| 1 times | 5 ns | native 4 ns | 1.25 x native |");
    expect(html).not.toContain("5 ns - 5 ns");
  });

  it("tell the notes of latencies once, below the table, so that its lines are short", async () => {
    const latency = await latencyOf(() => 3e-6, { timeMs: 1 });
    const rows = ["a", "b"].map((what) => rowOf({ what, lpar: [5], latencies: { lpar: latency } }));
    const text = describeReport(reportOf(rows));
    expect(text.match(/as one is too short for the clock/g)).toHaveLength(1);
    expect(text).toMatch(/^a +lpar .* \(1\)\nb +lpar .* \(1\)\n\(1\) means of \d+ operations, as/m);
  });

  it("times and ratios have three digits", () => {
    expect([0.123, 1, 999.4, 999.7, 1500, 2.5e6, 3e9, 6e10].map(formatTime)).toEqual([
      "0.123 ns",
      "1 ns",
      "999 ns",
      "1 us",
      "1.5 us",
      "2.5 ms",
      "3 s",
      "60 s",
    ]);
    expect([0.0123, 0.5, 1.234, 9.999, 12.34, 123.4].map(formatRatio)).toEqual([
      "0.012",
      "0.50",
      "1.23",
      "10.0",
      "12.3",
      "123",
    ]);
  });
});

/** Throws unless every element is closed, in order, and no text has a character that it must not have. */
function parseMarkup(text: string): {
  readonly elements: Map<string, number>;
  readonly attributes: Set<string>;
} {
  const elements = new Map<string, number>();
  const attributes = new Set<string>();
  const open: string[] = [];
  const body = text.replace(/^<!DOCTYPE html>\n/, "").replace(/<style>[^<]*<\/style>/, "");
  for (const [, between = "", end, name = "", list = "", empty] of body.matchAll(
    /([^<]*)<(\/?)([\w-]+)((?:\s[\w:-]+="[^"<>]*")*)(\/?)>/g,
  )) {
    expect(between).not.toMatch(/>|&(?!(amp|lt|gt|quot);)/);
    if (end === "/") expect(open.pop()).toBe(name);
    else {
      elements.set(name, (elements.get(name) ?? 0) + 1);
      for (const [, key, value] of list.matchAll(/([\w:-]+)="([^"]*)"/g)) attributes.add(`${key}=${value}`);
      if (empty === "") open.push(name);
    }
  }
  expect(open).toEqual([]);
  return { elements, attributes };
}

describe("the page", () => {
  const sizes = [1, 4, 16, 1024];
  const rows = [
    ...sizes.map((batch) =>
      rowOf({
        what: `batch of ${batch}, 2^12 pages`,
        scan: { batch },
        lpar: [40 / batch, 50 / batch, 60 / batch],
        native: [2, 3, 4],
      }),
    ),
    ...sizes.map((batch) =>
      rowOf({ what: "single, 2^12 pages", scan: { batch }, lpar: [10, 11, 12], native: [2, 3, 4] }),
    ),
    rowOf({ suite: "grant", what: "1000 live, raw", at: { pages: 1000 }, lpar: [5, 6, 7] }),
    rowOf({ suite: "grant", what: "100,000 live, raw", at: { pages: 100_000 }, lpar: [8, 9, 10] }),
    rowOf({ suite: "tree", what: '<script>alert(1)</script> & "more"', lpar: [5, 6, 7], typed: [1, 2, 3] }),
  ];

  it("draws rows that differ by one parameter as a curve, and finds where batches begin to pay", () => {
    const families = familiesOf(reportOf(rows));
    expect(
      families.map(({ suite, parameter, curves }) => [
        suite,
        parameter,
        curves.map(({ what, contender }) => `${contender}: ${what}`),
      ]),
    ).toEqual([
      [
        "translate",
        "batch",
        [
          "lpar: batch of N, 2^12 pages",
          "native: batch of N, 2^12 pages",
          "lpar: single, 2^12 pages",
          "native: single, 2^12 pages",
        ],
      ],
      ["grant", "pages", ["lpar: N live, raw"]],
    ]);
    expect(families[0]?.curves[0]?.points.map(({ x, ns }) => [x, ns])).toEqual([
      [1, 50],
      [4, 12.5],
      [16, 3.125],
      [1024, 50 / 1024],
    ]);
    expect(breakEvens(families[0] as (typeof families)[number])).toMatchObject([{ batch: 16 }]);
  });

  it("draws what a scan changes in names, and nothing else that is the same by chance", () => {
    const rowsOf = (suite: SuiteName, scan: ParameterValues, ...names: readonly string[]): Row[] =>
      names.map((what) => rowOf({ suite, what, scan, lpar: what.includes("batch") ? [5] : [6] }));
    const scanned = reportOf([
      ...[1, 4].flatMap((batch) =>
        rowsOf("grant", { batch }, "9 live, 1 page, raw", `9 live, 1 page, batch of ${batch}`),
      ),
      ...[1, 4].flatMap((depth) =>
        [1, 2].flatMap((fanout) =>
          rowsOf(
            "tree",
            { depth, fanout },
            `depth ${depth}, fanout ${fanout}, ${depth * fanout + 1} nodes, raw`,
          ),
        ),
      ),
      ...[1, 16].flatMap((pages) =>
        rowsOf("recovery", { pages }, pages === 1 ? "1 grant" : `${pages} grants`),
      ),
    ]);
    const families = familiesOf(scanned);
    expect(
      families.map(({ suite, parameter, curves }) => [
        suite,
        parameter,
        curves.map(({ what, points }) => `${what}: ${points.map(({ x }) => x)}`),
      ]),
    ).toEqual([
      ["grant", "batch", ["9 live, 1 page, raw: 1,4", "9 live, 1 page, batch of N: 1,4"]],
      [
        "tree",
        "depth",
        ["depth N, fanout 1, N nodes, raw, fanout 1: 1,4", "depth N, fanout 2, N nodes, raw, fanout 2: 1,4"],
      ],
      [
        "tree",
        "fanout",
        ["depth 1, fanout N, N nodes, raw, depth 1: 1,2", "depth 4, fanout N, N nodes, raw, depth 4: 1,2"],
      ],
      ["recovery", "pages", ["N grants: 1,16"]],
    ]);
    expect(breakEvens(families[0] as (typeof families)[number])).toMatchObject([{ batch: 1 }]);
  });

  it("is well-formed, refers to nothing outside, and runs no script", async () => {
    const latency = await latencyOf((index) => 0.001 + index / 1e5, { timeMs: 2, rate: 10_000 });
    const html = toHtml(
      reportOf(
        [
          ...rows,
          rowOf({ suite: "mmio", what: "load32", lpar: [5], latencies: { lpar: latency, typed: latency } }),
        ],
        {
          notes: ["a < b"],
          leftOut: ["handoff: there is only one core"],
          wrong: ["grant: differs"],
        },
      ),
    );
    const { elements, attributes } = parseMarkup(html);
    // Ratios of translate and tree, two families, one histogram.
    expect(elements.get("svg")).toBe(5);
    expect(elements.get("table")).toBe(7);
    for (const name of ["script", "link", "img", "iframe", "object", "image", "use"])
      expect(elements.has(name), name).toBe(false);
    expect(html).not.toMatch(/@import|url\(/);
    const links = [...attributes].filter((text) => /^(href|src|xlink:href)=/.test(text));
    expect(links).toEqual(["href=#translate", "href=#grant", "href=#tree", "href=#mmio"]);
    const addresses = [...attributes].filter((text) => text.includes("://"));
    expect(addresses).toEqual(["xmlns=http://www.w3.org/2000/svg"]);
    expect([...attributes]).toContain("content=default-src 'none'; style-src 'unsafe-inline'");
    expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;more&quot;");
    expect(html).not.toMatch(/NaN|Infinity|undefined/);
    expect(html).toContain("prefers-color-scheme:dark");
  });

  it("can be made of a report without rows", () => {
    expect(parseMarkup(toHtml(reportOf([]))).elements.get("svg")).toBeUndefined();
  });
});

describe("comparing reports", () => {
  const before = { name: "a.json", report: reportOf([PLAIN, rowOf({ what: "gone", lpar: [1, 1, 1] })]) };
  const scaled = (factor: number): { name: string; report: ReturnType<typeof reportOf> } => ({
    name: "b.json",
    report: reportOf([
      rowOf({ what: PLAIN.what, lpar: [2, 3, 4].map((ns) => ns * factor), native: [1, 2, 3] }),
    ]),
  });

  it.each([
    [1, "same"],
    [1.5, "same"],
    [3, "worse"],
    [0.3, "better"],
  ])("calls times that are %s times as long %s", (factor, verdict) => {
    const { rows, onlyBefore, onlyAfter } = compareReports(before, scaled(factor));
    expect(rows).toMatchObject([
      { name: "translate: batch, 2^12 pages", before: 3, after: 3 * factor, verdict, isAbove: false },
    ]);
    expect(rows[0]?.ratio).toBeCloseTo(factor, 12);
    expect([onlyBefore, onlyAfter]).toEqual([["translate: gone"], []]);
  });

  it("knows a limit only where a row is worse", () => {
    const isAbove = (factor: number, failAbove: number): boolean | undefined =>
      compareReports(before, scaled(factor), { failAbove }).rows[0]?.isAbove;
    expect([isAbove(3, 1.9), isAbove(3, 2.1), isAbove(1.5, 0.05), isAbove(0.3, 0)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it("compares ratios to baselines if it should, so that a slow machine is no difference", () => {
    const slow = reportOf([rowOf({ what: PLAIN.what, lpar: [6, 9, 12], native: [3, 6, 9] })]);
    const after = { name: "b.json", report: slow };
    expect(compareReports(before, after).rows[0]?.verdict).toBe("worse");
    expect(compareReports(before, after, { isByRatio: true }).rows[0]).toMatchObject({
      before: 1.5,
      after: 1.5,
      verdict: "same",
    });
  });

  it("says what makes it doubtful", () => {
    const { machine, options } = before.report;
    const after = {
      name: "b.json",
      report: {
        ...before.report,
        machine: {
          ...machine,
          cores: 64,
          platform: "darwin arm64",
          node: "22.0.0",
          lpar: "0.2.0",
          commit: "0123456789ac+",
          core: "fedcba987654",
        },
        options: { ...options, quick: true, timeMs: 10, rate: 1000 },
        compiler: null,
        isComplete: false,
        wrong: ["x differs"],
      },
    };
    expect(compareReports(before, after).notes).toEqual([
      "different number of cores: 2, then 64",
      "different platform: linux x64, then darwin arm64",
      "different Node: 20.0.0, then 22.0.0",
      "different lpar: 0.1.0, then 0.2.0",
      "different commit: 0123456789ab, then 0123456789ac+",
      "different core: ba9876543210, then fedcba987654",
      "different compiler: cc 12, then none",
      "different quick: false, then true",
      "different time: 100, then 10",
      "different rate: none, then 1000",
      "b.json was interrupted",
      "b.json has wrong results: x differs",
      "b.json is of a quick run, whose figures mean nothing",
      "with so few repetitions some intervals hold with 90 % instead of 95 %",
    ]);
  });

  it("refuses reports without a row in common, naming some, and those with too few repetitions", () => {
    const other = reportOf(["p", "q", "r", "s", "t"].map((what) => rowOf({ what, lpar: [1, 2, 3] })));
    expect(() => compareReports(before, { name: "b.json", report: other })).toThrow(
      'no row is in both: a.json has "translate: batch, 2^12 pages", "translate: gone"; b.json has "translate: p", "translate: q", "translate: r" and 2 more',
    );
    expect(() => compareReports(before, { name: "b.json", report: reportOf([]) })).toThrow("b.json has none");
    const few = reportOf([rowOf({ what: PLAIN.what, lpar: [1, 2] })]);
    expect(() => compareReports(before, { name: "b.json", report: few })).toThrow(
      'b.json: 2 of the 3 repetitions that a comparison takes (row "translate: batch, 2^12 pages", --repetitions was 2)',
    );
    const alone = reportOf([rowOf({ what: PLAIN.what, lpar: [1, 2, 3] })]);
    expect(() => compareReports(before, { name: "b.json", report: alone }, { isByRatio: true })).toThrow(
      'no row has the same baseline in both to count from, such as "translate: batch, 2^12 pages"',
    );
  });

  it("leaves out by name what has no such baseline, and counts as lost what had one before", () => {
    const bare = rowOf({ what: "view", lpar: [1, 2, 3] });
    const typed = { ...rowOf({ what: "view", lpar: [1, 2, 3], typed: [1, 2, 3] }), versus: "typed" } as const;
    const named = (name: string, ...rows: readonly Row[]): { name: string; report: Report } => ({
      name,
      report: reportOf([PLAIN, ...rows]),
    });
    const by = (one: Row, other: Row): Comparison =>
      compareReports(named("a.json", one), named("b.json", other), { isByRatio: true });
    for (const other of [bare, typed]) {
      const { rows, withoutBaseline, lost } = by(bare, other);
      expect(rows.map(({ name }) => name)).toEqual(["translate: batch, 2^12 pages"]);
      expect([withoutBaseline, lost]).toEqual([["translate: view"], []]);
    }
    expect(by(typed, bare)).toMatchObject({
      withoutBaseline: ["translate: view"],
      lost: ["translate: view"],
    });
    expect(by(typed, typed)).toMatchObject({ rows: [{}, {}], withoutBaseline: [], lost: [] });
    expect(compareReports(named("a.json", bare), named("b.json")).lost).toEqual(["translate: view"]);
  });
});
