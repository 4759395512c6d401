/** What the workloads of `lpar bench` are made of: parameters, distributions, streams of pages. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { MessageChannel } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { describeBreakEven } from "../bench/break-even.js";
import { churnScenarios } from "../bench/churn.js";
import { FAULT, NOBODY, PAGE_MASK, planEvents } from "../bench/churn-events.js";
import { formatDistribution, parseDistribution } from "../bench/distribution.js";
import { drawOrder } from "../bench/grant.js";
import { PostService, postCaller } from "../bench/handoff-ways.js";
import { openPages, takePages } from "../bench/page-stream.js";
import { ParameterError } from "../bench/parameter-error.js";
import {
  PARAMETER_NAMES,
  PARAMETERS,
  type ParameterName,
  type Parameters,
  parseParameter,
  unusedParameters,
} from "../bench/parameters.js";
import { makeData } from "../bench/plain-pages.js";
import { Random } from "../bench/random.js";
import type { Report } from "../bench/report.js";
import type { RunOptions } from "../bench/run.js";
import { type Done, nsTogether, work } from "../bench/shift.js";
import { replyTo } from "../bench/stamps.js";
import { type Measured, SUITE_NAMES, type SuiteName } from "../bench/suite.js";
import { treeScenarios } from "../bench/tree.js";
import { TypedTable } from "../bench/typed-table.js";
import { H_NO_MEM, H_PARAMETER, H_PERMISSION, H_RESOURCE, PAGE_BYTES } from "../src/layout.js";
import { readTrace } from "../src/trace/format.js";

describe("parameters", () => {
  it("are whole numbers within their bounds, also as powers of two", () => {
    expect(parseParameter("pages", "4096")).toEqual({ pages: 4096 });
    expect(parseParameter("pages", "2^22")).toEqual({ pages: 2 ** 22 });
    for (const name of PARAMETER_NAMES) {
      const { bounds } = PARAMETERS[name];
      if (bounds === undefined) continue;
      const [min, max] = bounds;
      expect(parseParameter(name, String(min))).toEqual({ [name]: min });
      expect(parseParameter(name, String(max))).toEqual({ [name]: max });
      for (const wrong of [min - 1, max + 1, "", " ", "1.5", "-3", "1e3", "2^", "2^99", "2^-1", "many"]) {
        const message = `--${name} takes a whole number from ${min} to ${max}, but got "${wrong}"`;
        expect(() => parseParameter(name, String(wrong))).toThrow(new ParameterError(message));
      }
    }
  });

  it("are missed by no suite in silence: what nobody uses is named", () => {
    expect(unusedParameters(["translate", "access"], { depth: 3, pages: 8 })).toEqual([
      "no suite that runs uses --depth; it is used by tree",
    ]);
    expect(unusedParameters(["tree"], { depth: 3, fanout: undefined })).toEqual([]);
    const all = Object.fromEntries(PARAMETER_NAMES.map((name: ParameterName) => [name, 1]));
    expect(unusedParameters(SUITE_NAMES, all)).toEqual([]);
    expect(unusedParameters([], all)).toHaveLength(PARAMETER_NAMES.length);
    expect(unusedParameters(["tree", "death"], {}, 1000)).toEqual([
      "no suite that runs uses --rate; it is used by translate, grant, access, churn, boundary, modes, contention, handoff, kinds",
    ]);
    expect(unusedParameters(["tree", "kinds"], {}, 1000)).toEqual([]);
  });
});

describe("distributions", () => {
  it("are read from their text, and written as it", () => {
    const texts = ["uniform", "seq", "zipf:1.1", "zipf:0.5", "stride:7", "hotcold:90/10", "trace:a:b.lpt"];
    for (const text of texts) expect(formatDistribution(parseDistribution(text))).toBe(text);
    expect(parseDistribution("hotcold:80/20")).toEqual({
      kind: "hotcold",
      accessPercent: 80,
      pagePercent: 20,
    });
    expect(parseParameter("dist", "zipf:1.1")).toEqual({ dist: { kind: "zipf", exponent: 1.1 } });
  });

  it("are refused with what is allowed", () => {
    const wrong = ["", "random", "uniform:1", "seq:", "zipf", "zipf:0", "zipf:9", "zipf:-1", "zipf:x"];
    wrong.push("stride", "stride:0", "stride:1.5", "stride:4194305", "hotcold", "hotcold:90", "hotcold:0/10");
    wrong.push("hotcold:90/100", "hotcold:90/10/1", "hotcold:a/b", "trace", "trace:");
    for (const text of wrong) {
      expect(() => parseDistribution(text), text).toThrow(ParameterError);
      expect(() => parseDistribution(text), text).toThrow(/^--dist takes uniform, .*, but got ".*"$/);
    }
  });
});

const TRACE = join(import.meta.dirname, "..", "bench", "traces", "ls.lpt");

async function draw(text: string, pages: number, count: number, seed = 7): Promise<Uint32Array> {
  return takePages(await openPages(parseDistribution(text), pages, seed), count);
}

function countPages(drawn: Uint32Array, pages: number): Uint32Array {
  const counts = new Uint32Array(pages);
  for (const page of drawn) counts[page] = (counts[page] as number) + 1;
  return counts;
}

/** How far counts are from what was expected, in standard deviations of the chi-squared distribution. */
function surprise(counts: Uint32Array, expected: (index: number) => number): number {
  let sum = 0;
  for (const [index, count] of counts.entries()) sum += (count - expected(index)) ** 2 / expected(index);
  const freedom = counts.length - 1;
  return (sum - freedom) / Math.sqrt(2 * freedom);
}

describe("streams of pages", () => {
  it("repeat with their seed, differ with another, and stay below the number of pages", async () => {
    for (const text of ["uniform", "zipf:1.1", "hotcold:90/10", "seq", "stride:6", `trace:${TRACE}`]) {
      for (const pages of [1, 2, 3, 100]) {
        const drawn = await draw(text, pages, 1000);
        expect(drawn, text).toEqual(await draw(text, pages, 1000));
        expect(Math.max(...drawn), text).toBeLessThan(pages);
      }
      const isRandom = /^(uniform|zipf|hotcold)/.test(text);
      const [one, other] = [await draw(text, 100, 1000, 1), await draw(text, 100, 1000, 2)];
      expect(one.every((page, i) => page === other[i])).toBe(!isRandom);
    }
  });

  it("uniform: every page is as likely", async () => {
    expect(Math.abs(surprise(countPages(await draw("uniform", 500, 200_000), 500), () => 400))).toBeLessThan(
      4,
    );
  });

  it.each([0.5, 1.1, 2])("zipf:%f: a rank's frequency is that of the formula", async (exponent) => {
    const [pages, count] = [500, 200_000];
    const counts = countPages(await draw(`zipf:${exponent}`, pages, count), pages);
    // The pages of the ranks are the first thing that is drawn from the seed.
    const byRank = new Random(7).shuffled(pages).map((page) => counts[page] as number);
    const weights = Array.from({ length: pages }, (_, rank) => 1 / (rank + 1) ** exponent);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const expected = (rank: number): number => (count * (weights[rank] as number)) / sum;
    // Ranks that hardly ever come count as one.
    const common = weights.findIndex((_, rank) => expected(rank) < 5);
    const end = common < 0 ? pages : common;
    const rest = byRank.subarray(end).reduce((total, one) => total + one, 0);
    const restExpected = weights.slice(end).reduce((total, _, i) => total + expected(end + i), 0);
    expect(Math.abs(surprise(byRank.subarray(0, end), expected))).toBeLessThan(4);
    if (restExpected > 0) expect(Math.abs(rest - restExpected)).toBeLessThan(4 * Math.sqrt(restExpected) + 1);
  });

  it("hotcold:90/10: nine tenths of the accesses go to one tenth of the pages, evenly in each part", async () => {
    const counts = countPages(await draw("hotcold:90/10", 500, 200_000), 500);
    const places = new Random(7).shuffled(500);
    const byPlace = places.map((page) => counts[page] as number);
    const hot = byPlace.subarray(0, 50).reduce((sum, one) => sum + one, 0);
    expect(Math.abs(hot - 180_000)).toBeLessThan(4 * Math.sqrt(200_000 * 0.9 * 0.1));
    expect(Math.abs(surprise(byPlace.subarray(0, 50), () => hot / 50))).toBeLessThan(4);
    expect(Math.abs(surprise(byPlace.subarray(50), () => (200_000 - hot) / 450))).toBeLessThan(4);
  });

  it("seq and stride touch every page once before any comes again, also with a common divisor", async () => {
    expect([...(await draw("seq", 4, 6))]).toEqual([0, 1, 2, 3, 0, 1]);
    expect([...(await draw("stride:4", 6, 8))]).toEqual([0, 4, 2, 1, 5, 3, 0, 4]);
    for (const [stride, pages] of [
      [7, 12],
      [8, 12],
      [12, 12],
      [25, 12],
      [64, 4096],
      [1, 1],
      [5, 1],
    ] as const) {
      const drawn = await draw(`stride:${stride}`, pages, pages * 2);
      for (const half of [drawn.subarray(0, pages), drawn.subarray(pages)])
        expect(new Set(half).size, `${stride} of ${pages}`).toBe(pages);
    }
  });

  it("a trace: its pages in the order of their first use, again and again", async () => {
    const { pageIndex, length } = await readTrace(TRACE);
    const drawn = await draw(`trace:${TRACE}`, 1000, length + 10);
    expect(drawn.subarray(0, length)).toEqual(pageIndex);
    expect(drawn.subarray(length)).toEqual(pageIndex.subarray(0, 10));
    const folded = await draw(`trace:${TRACE}`, 16, 1000);
    expect(folded).toEqual(pageIndex.subarray(0, 1000).map((page) => page % 16));
    await expect(draw("trace:missing.lpt", 1, 1)).rejects.toMatchObject({ code: "TRACE_UNREADABLE" });
  });

  it("keeps its shares and its order in translate, where some pages must not be read", async () => {
    const pagesOf = ({ good }: { readonly good: Float64Array }): number[] =>
      [...good].map((address) => Math.floor(address / PAGE_BYTES));
    const inOrder = pagesOf(makeData(128, 130, 1, await openPages({ kind: "seq" }, 128, 1)));
    expect(inOrder.slice(58, 66)).toEqual([58, 59, 60, 61, 60, 61, 64, 65]);
    expect(inOrder.slice(126)).toEqual([124, 125, 0, 1]);
    // The page of the first rank is one of those with this seed.
    const hottest = new Random(20).shuffled(4096)[0] as number;
    expect(hottest % 64).toBeGreaterThanOrEqual(62);
    const zipf = await openPages({ kind: "zipf", exponent: 2 }, 4096, 20);
    const drawn = pagesOf(makeData(4096, 10_000, 20, zipf));
    const share = drawn.filter((page) => page === hottest - 2).length / drawn.length;
    expect(share).toBeGreaterThan(0.58);
    expect(share).toBeLessThan(0.64);
  });

  it("random numbers below a large limit are the exact product's upper half", () => {
    for (const limit of [3, 2 ** 21 + 1, 3_000_001, 2 ** 22, 2 ** 32 - 1, 2 ** 32]) {
      const [random, raw] = [new Random(limit), new Random(limit)];
      for (let i = 0; i < 1000; i++)
        expect(random.below(limit)).toBe(Number((BigInt(raw.next()) * BigInt(limit)) >> 32n));
    }
  });
});

describe("break-even", () => {
  const measured = (sizes: readonly (readonly [batch: number, ns: number])[]): Measured[] =>
    sizes.map(([batch, ns]) => ({ what: `${batch}`, ns, baselines: { single: 10 }, at: { batch } }));

  it("is the size from which on batches are cheaper, whatever smaller ones cost", () => {
    const curve = measured([
      [1, 50],
      [2, 9],
      [4, 11],
      [8, 8],
      [16, 3],
    ]);
    expect(describeBreakEven(curve, "single", "calls")).toBe(
      "a batch is cheaper than single calls from 8 on",
    );
    expect(describeBreakEven(measured([[4, 30]]), "single", "calls")).toBe(
      "single calls are cheaper than batches of up to 4",
    );
  });
});

const RUN = pathToFileURL(join(import.meta.dirname, "..", "dist", "bench", "run.js")).href;

/** Runs the built benchmark, whose threads need built files, in a process of its own. */
async function run(suites: readonly SuiteName[], texts: readonly string[]): Promise<Report> {
  const parsed = texts.map((text) => {
    const [name, value] = text.split("=") as [ParameterName, string];
    return parseParameter(name, value);
  });
  const parameters: Parameters = Object.assign({}, ...parsed);
  expect(unusedParameters(suites, parameters)).toEqual([]);
  const options: RunOptions = { suites, quick: true, timeMs: 1, repetitions: 1, seed: 3, parameters };
  // Not as a module: threads would inherit the option that says so.
  const script = `import(${JSON.stringify(RUN)})
    .then(({ runBenchmark }) => runBenchmark(${JSON.stringify(options)}))
    .then((report) => console.log(JSON.stringify(report)));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", script]);
  const report: Report = JSON.parse(stdout);
  expect(report.wrong).toEqual([]);
  expect(report.leftOut).toEqual([]);
  return report;
}

function countRows({ rows }: Report): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { suite } of rows) counts[suite] = (counts[suite] ?? 0) + 1;
  return counts;
}

describe("suites with parameters", () => {
  it("come to the same results in all contenders, with every parameter that they use", async () => {
    const suites = [
      "translate",
      "grant",
      "tree",
      "recovery",
      "access",
      "churn",
      "boundary",
      "contention",
    ] as const;
    const texts = ["pages=77", "partitions=4", "batch=16", "dist=hotcold:90/10", "depth=5", "fanout=3"];
    const report = await run(suites, [...texts, "workers=3"]);
    expect(countRows(report)).toEqual({
      translate: 2,
      grant: 3,
      tree: 3,
      recovery: 2,
      access: 17,
      churn: 2,
      boundary: 7,
      contention: 2,
    });
    const at = (suite: SuiteName): unknown => report.rows.find((row) => row.suite === suite)?.at;
    expect(at("tree")).toEqual({ depth: 5, fanout: 3 });
    expect(at("grant")).toEqual({ pages: 77, partitions: 4 });
    expect(at("contention")).toEqual({ workers: 3 });
  }, 60_000);

  it("have whole batches, also larger ones than their own sizes would fill", async () => {
    const report = await run(["translate", "boundary"], ["batch=65536"]);
    const names = report.rows.map(({ what }) => what);
    expect(names).toContain("batch of 65536, 2^12 pages");
    expect(names).toContain("grant cycles, batch of 65536");
    const blocks = [1, 64, 250, 256, 600].map(
      (batch) => drawOrder({ live: 1000, pages: 1, seed: 1 }, batch).block,
    );
    expect(blocks).toEqual([250, 256, 250, 256, 600]);
  }, 60_000);

  it("also with fewer pages than partitions, and with the pages of a trace", async () => {
    await run(["translate", "grant", "access"], ["pages=3", "partitions=6", `dist=trace:${TRACE}`]);
    await run(["churn"], [`dist=trace:${TRACE}`]);
  }, 60_000);

  it("churn has the pages of a trace, and no others that its rows would be named by", () => {
    const dist = parseDistribution(`trace:${TRACE}`);
    expect(() => churnScenarios(true, { dist, pages: 8 })).toThrow(
      new ParameterError("the suite churn has the pages of --dist trace:FILE, and uses no --pages beside it"),
    );
    expect(churnScenarios(true, { dist })).toHaveLength(1);
  });

  it("refuse what is too much for them in one line that says what is allowed", () => {
    const tooMany = { depth: 30, fanout: 2 };
    expect(() => treeScenarios(true, tooMany)).toThrow(
      new ParameterError(
        "a tree with --depth 30 and --fanout 2 has more than 2097152 nodes, which is the most",
      ),
    );
  });
});

describe("the baseline of typed arrays", () => {
  it("refuses what the rules refuse, so that it is a fair one", () => {
    const table = new TypedTable(3);
    const [a, b, c] = [
      table.createPartition(4, 16),
      table.createPartition(0, 4),
      table.createPartition(0, 16),
    ];
    const [toB, toC] = [table.connect(a, b, 3), table.connect(b, c, 9)];
    const grant = (lpid: number, unit: number, page: number, flags = 1, pages = 1): number =>
      table.grantLogical(lpid, flags, 0, page * PAGE_BYTES, pages * PAGE_BYTES, unit);
    for (const status of [
      grant(a, toB, 0, 0x11),
      grant(a, toB, 0.5),
      grant(a, toB, 3, 1, 2),
      grant(a, toC, 0),
    ])
      expect(status).toBe(H_PARAMETER);
    expect(grant(a, toB, 0, 0x41)).toBe(0);
    const cookie = table.r4;
    for (const status of [
      table.acceptLogical(a, cookie),
      table.acceptLogical(b, cookie + 9),
      table.returnLogical(b, cookie),
      table.rescindLogical(b, 0, cookie),
      table.acceptLogical(b, Number.NaN),
    ])
      expect(status).toBe(H_PARAMETER);
    expect([table.acceptLogical(b, cookie), table.acceptLogical(b, cookie)]).toEqual([0, H_PARAMETER]);
    expect([grant(b, toC, 0, 1), grant(b, toC, 0, 0x41)]).toEqual([H_PERMISSION, 0]);
    const second = table.r4;
    expect(table.acceptLogical(c, second)).toBe(0);
    expect([table.returnLogical(b, cookie), table.rescindLogical(a, 0, cookie)]).toEqual([
      H_RESOURCE,
      H_RESOURCE,
    ]);
    expect([table.translate(c, 1, 5, 1, 1), table.r4]).toEqual([0, 5]);
    expect(table.translate(c, 1, 5, 1, 2)).toBe(H_PERMISSION);
    for (const status of [
      table.returnLogical(c, second),
      table.rescindLogical(b, 0, second),
      table.returnLogical(b, cookie),
      table.rescindLogical(a, 0, cookie),
    ])
      expect(status).toBe(0);
    expect([table.translate(c, 1, 5, 1, 1), table.acceptLogical(b, cookie)]).toEqual([
      H_PARAMETER,
      H_PARAMETER,
    ]);
    expect(table.usage(b)).toEqual({ mapped: 0, grantsIn: 0 });
  });

  it("deals out the lowest free run of pages, and no more grants than it has room for", () => {
    const table = new TypedTable(3);
    const [a, b] = [table.createPartition(100, 100), table.createPartition(0, 70)];
    const unit = table.connect(a, b, 9);
    const accept = (pages: number): readonly [cookie: number, page: number] => {
      expect(table.grantLogical(a, 1, 0, 0, pages * PAGE_BYTES, unit)).toBe(0);
      const cookie = table.r4;
      const status = table.acceptLogical(b, cookie);
      return [cookie, status === 0 ? table.r4 / PAGE_BYTES : status];
    };
    const [one, many] = [accept(1), accept(40)];
    expect([one[1], many[1]]).toEqual([0, 1]);
    expect(accept(30)[1]).toBe(H_NO_MEM);
    expect(table.grantLogical(a, 1, 0, 0, PAGE_BYTES, unit)).toBe(H_NO_MEM);
    table.returnLogical(b, one[0]);
    table.rescindLogical(a, 0, one[0]);
    expect(accept(29)[1]).toBe(41);
    table.returnLogical(b, many[0]);
    table.rescindLogical(a, 0, many[0]);
    expect(accept(41)[1]).toBe(0);
  });
});

describe("events of churn", () => {
  it("never have more pages live than allowed, begin and end a round alike, and end the least recently used", async () => {
    for (const [text, live] of [
      ["zipf:1.1", 8],
      ["seq", 8],
      ["uniform", 100],
      [`trace:${TRACE}`, 24],
    ] as const) {
      const events = await planEvents(parseDistribution(text), 50, live, 7);
      let recent = [...events.initial];
      let [faults, wrong] = [0, 0];
      for (const [i, use] of events.uses.entries()) {
        const page = use & PAGE_MASK;
        const isFault = !recent.includes(page);
        const victim = isFault && recent.length === live ? recent.shift() : NOBODY;
        if (use >= FAULT !== isFault || events.victims[i] !== victim) wrong++;
        if (isFault) faults++;
        recent = [...recent.filter((one) => one !== page), page];
      }
      expect([wrong, faults, recent], text).toEqual([0, events.faults, [...events.initial]]);
    }
  });
});

describe("threads in a shift", () => {
  const shift = { startAt: 1_000_000n, timeMs: 1 };
  /** Does blocks of 100 us; the thread gets its core so late. */
  const workFrom = (start: bigint, blockNs = 100_000n): Done => {
    let ns = start;
    return work(
      shift,
      10,
      () => {
        ns += blockNs;
      },
      () => ns,
    );
  };

  it("end with it, whenever they began: two on one core, one after the other, have the rate of one", () => {
    const alone = nsTogether(shift, [workFrom(1_000_000n)]);
    expect(alone).toBe(10_000);
    // Each by its own time would be twice as quick.
    expect(nsTogether(shift, [{ ...workFrom(1_000_000n), operations: 50 }, workFrom(1_500_000n)])).toBe(
      alone,
    );
    expect(workFrom(1_500_000n)).toEqual({ operations: 50, start: 1_500_000n, end: 2_000_000n });
  });

  it("have twice the rate at once, each all the time; what ends late does not count, unless it is all", () => {
    expect(nsTogether(shift, [workFrom(1_000_000n), workFrom(1_000_000n)])).toBe(5000);
    expect(workFrom(1_000_000n, 300_000n)).toMatchObject({ operations: 30, end: 1_900_000n });
    const late = workFrom(3_000_000n);
    expect(late).toEqual({ operations: 10, start: 3_000_000n, end: 3_100_000n });
    expect(nsTogether(shift, [late])).toBe(10_000);
    expect(nsTogether(shift, [workFrom(1_000_000n), late])).toBe(2_100_000 / 110);
  });
});

it("handoff: a run on a port that is over before the order to serve it is heard is served all the same", async () => {
  const { port1, port2 } = new MessageChannel();
  const service = new PostService(port2);
  const caller = postCaller(port1, 4096, true);
  expect(await caller.hand(7)).toBe(replyTo(7));
  caller.stop();
  // Its end has come by now.
  await new Promise((resolve) => setTimeout(resolve, 20));
  await service.server(false)();
  const second = service.server(true)();
  expect(await caller.hand(8)).toBe(replyTo(8));
  caller.stop();
  await second;
  port1.close();
});
