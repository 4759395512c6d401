import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeChart, describeReplay, finish } from "../src/driver/replay.js";
import { Replay } from "../src/replay/replay.js";
import type { ReplayReport } from "../src/replay/report.js";
import { readTrace } from "../src/trace/format.js";
import { inPipe, type Outcome, onTerminal, Screen } from "./support/cli.js";

const ROOT = join(import.meta.dirname, "..");
const LS = join(ROOT, "bench", "traces", "ls.lpt");
const SORT = join(ROOT, "bench", "traces", "sort.lpt");

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lpar-replay-cli-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

function lpar(args: readonly string[], interruptMs?: number): Promise<Outcome> {
  return inPipe(args, interruptMs === undefined ? {} : { interruptMs });
}

describe("lpar replay", { timeout: 60_000 }, () => {
  it("prints what happened, and nothing to the errors in a pipe", async () => {
    const args = ["replay", "--share", "25", "--resident", "64", "--crash", "--grace", "20", LS, SORT];
    const { code, output, errors } = await lpar(args);
    expect([code, errors]).toEqual([0, ""]);
    expect(output).toMatch(
      /^client +references +pages +common\nls +176,791 +128 +32\nsort +867,442 +120 +30\n\n/,
    );
    expect(output).toMatch(
      /\nreferences +1,044,233 in .*, [\d,]+ per second, the wait for the server not counted\n/,
    );
    expect(output).toMatch(
      /\ntranslations +1,057,062 ok, \d+ not mapped, \d+ no permission, \d+ rescinded\n/,
    );
    expect(output).toMatch(/\npage faults +\d+ served, \d+ evictions, \d+ copied for a write\n/);
    expect(output).toMatch(/\ngrants +\d+ in all, \d+ of them granted on by the relay\n/);
    expect(output).toMatch(/\nrescinds +\d+ normal, \d+ forced, of \d+ grants\n/);
    expect(output).toMatch(/\nnotices .*3 partner-failed/);
    expect(output).toMatch(/\ncrash +after 522,116 references: \d+ mappings lost, \d clients? waited\n/);
    expect(output).toMatch(/\nrecovery +[\d.]+ \w+ after a grace period of 20 ms/);
    expect(output).toMatch(/\naudit +clean, [\d,]+ facts; all counts add up/);
    expect(output).toMatch(/\n *0 \+-{60}\n +\^ the server crashed\n$/);
    // Plain ASCII, and no line ends in a space.
    expect(output).toMatch(/^[\n\x20-\x7e]*$/);
    expect(output).not.toMatch(/ \n/);
  });

  it("prints the same numbers as one JSON object", async () => {
    const args = ["--share", "50", "--seed", "3", "--quantum", "500", "--batch", "64", LS, LS];
    const { code, output, errors } = await lpar(["replay", "--json", ...args]);
    expect([code, errors]).toEqual([0, ""]);
    const report: ReplayReport = JSON.parse(output);
    expect(output.trimEnd()).toBe(JSON.stringify(report));
    expect(report).toMatchObject({
      version: 1,
      interrupted: false,
      options: { resident: null, share: 50, crash: false, graceMs: 2000, seed: 3, quantum: 500, batch: 64 },
      clients: [
        { name: "ls", references: 176_791, done: 176_791, pages: 128, commonPages: 64 },
        { name: "ls", references: 176_791, done: 176_791, pages: 128, commonPages: 64 },
      ],
      sharedPages: 64,
      done: 353_582,
      crash: null,
      problems: [],
    });
    const named = { name: "ls", trace: await readTrace(LS) };
    const again = await new Replay([named, named], { share: 50, seed: 3, quantum: 500, batch: 64 }).run();
    expect(report.translations).toEqual(again.translations);
  });

  it("takes many clients, and is silent about it", async () => {
    const files = Array.from({ length: 40 }, () => LS);
    const { code, output, errors } = await lpar([
      "replay",
      "--json",
      "--share",
      "100",
      "--crash",
      "--grace",
      "1",
      ...files,
    ]);
    expect([code, errors]).toEqual([0, ""]);
    expect(JSON.parse(output)).toMatchObject({
      done: 40 * 176_791,
      notices: { "partner-failed": 41 },
      problems: [],
    });
  });

  it("ends at once by Ctrl-C, prints what was done so far, and exits with 130", async () => {
    // Nobody outlives this grace period. A child that is too slow to start is killed by the signal: then once more.
    const args = ["replay", "--crash", "--grace", "600000", LS, SORT];
    let outcome = await lpar(args, 1500);
    for (let ms = 3000; outcome.code === null && ms < 20_000; ms *= 2) outcome = await lpar(args, ms);
    expect([outcome.code, outcome.errors]).toEqual([130, ""]);
    expect(outcome.output).toMatch(
      /^INTERRUPTED after [\d,]+ of 1,044,233 references: what follows is what was done/,
    );
    expect(outcome.output).toMatch(/\naudit +not done\n/);
  });

  it("exits with 2 and one line for files that are no traces, and prints no result", async () => {
    const [empty, foreign, cut] = ["empty", "foreign", "cut"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(empty, "");
    await copyFile(join(ROOT, "package.json"), foreign);
    await writeFile(cut, (await readFile(LS)).subarray(0, 5000));
    const wrong: readonly [readonly string[], RegExp][] = [
      [[], /missing required argument 'trace'/],
      [[join(folder, "none")], /none: cannot be read \(ENOENT/],
      [[folder], /cannot be read \(EISDIR/],
      [[empty], /empty: the file is empty/],
      [[LS, foreign], /foreign: not a packed trace/],
      [[cut], /cut: truncated: it ends after 5000 bytes/],
    ];
    for (const [files, message] of wrong) {
      const { code, output, errors } = await onTerminal(["replay", ...files]);
      expect([code, output], files.join(" ")).toEqual([2, ""]);
      expect(errors).toMatch(message);
      expect(errors.trimEnd().split("\n")).toHaveLength(1);
    }
    expect((await lpar(["replay", foreign])).code).toBe(2);
  });

  it("answers each option out of range with its name, its value and its bounds", async () => {
    const wrong: readonly [string, readonly string[], string][] = [
      ["--resident", ["0", "16777217", "1.5", "all"], "a whole number from 1 to 16777216"],
      ["--share", ["-0.1", "100.1", "half"], "a number from 0 to 100"],
      ["--grace", ["-1", "600001"], "a whole number from 0 to 600000"],
      ["--seed", ["-1", "4294967296"], "a whole number from 0 to 4294967295"],
      ["--quantum", ["0", "268435457"], "a whole number from 1 to 268435456"],
      ["--batch", ["0", "65537"], "a whole number from 1 to 65536"],
    ];
    for (const [option, values, bounds] of wrong) {
      for (const value of values) {
        const { code, output, errors } = await onTerminal(["replay", `${option}=${value}`, LS]);
        expect([code, output]).toEqual([2, ""]);
        expect(errors).toContain(`${option} takes ${bounds}, but got "${value}".`);
        expect(errors.trimEnd().split("\n")).toHaveLength(1);
      }
    }
  });

  it("shows progress on a terminal and clears it", async () => {
    const { code, errors } = await onTerminal(["replay", "--resident", "2", "--batch", "1", SORT]);
    const [before, ...drawn] = errors.split("\r\x1b[K");
    expect([code, before, drawn.at(-1)]).toEqual([0, "", ""]);
    expect(drawn.length).toBeGreaterThan(1);
    for (const line of drawn.slice(0, -1)) expect(line).toMatch(/^replaying \[#*\.*\] \d+ % of 867,442$/);
  });

  it("takes Ctrl-C in the middle of the work too, and stops to listen afterwards", async () => {
    const listeners = process.listenerCount("SIGINT");
    const screen = new Screen(true);
    const write = screen.write.bind(screen);
    let isSent = false;
    screen.write = (text) => {
      write(text);
      if (!isSent && text.includes("replaying")) process.emit("SIGINT", "SIGINT");
      isSent = true;
    };
    const { code, output, errors } = await onTerminal(
      ["replay", "--resident", "1", "--batch", "1", SORT],
      screen,
    );
    expect(code).toBe(130);
    expect(output).toMatch(/^INTERRUPTED after [\d,]+ of 867,442 references/);
    expect(errors.endsWith("\r\x1b[K")).toBe(true);
    expect(process.listenerCount("SIGINT")).toBe(listeners);
  });

  it("exits with 1 and one line if something does not add up", async () => {
    const report = await new Replay([{ name: "ls", trace: await readTrace(LS) }]).run();
    const run = (problems: readonly string[], interrupted = false): [number, string] => {
      const errors = new Screen(false);
      const streams = { input: Readable.from([]), output: new Screen(false), errors, exitCode: 0 };
      finish({ ...report, problems, interrupted }, streams);
      return [streams.exitCode, errors.text];
    };
    expect(run([])).toEqual([0, ""]);
    expect(run(["a: 1 is not 2"])).toEqual([1, "lpar: the replay does not add up: a: 1 is not 2\n"]);
    expect(run(["a\x1b[2J", "b", "c"])).toEqual([
      1,
      "lpar: the replay does not add up: a?[2J (and 2 more)\n",
    ]);
    expect(run([], true)).toEqual([130, ""]);
    const text = describeReplay({ ...report, problems: ["x"] });
    expect(text).toMatch(/\naudit +1 problem, the first: x\n/);
  });

  it("draws the page faults over time, and what is not zero shows", () => {
    const pageFaults = [1000, 0, 1, 500, 83, 90];
    expect(describeChart({ pageFaults, crashColumn: 2 })).toBe(
      [
        "page faults, each column 1/6 of the references",
        "1,000 |#",
        "      |#",
        "      |#",
        "      |#  #",
        "      |#  #",
        "      |# .#.#",
        "    0 +------",
        "         ^ the server crashed",
      ].join("\n"),
    );
    expect(describeChart({ pageFaults: [0, 0], crashColumn: null })).toMatch(/\n1 \|\n/);
  });

  it("has examples in its help text", async () => {
    const { code, output } = await onTerminal(["replay", "--help"]);
    expect(code).toBe(0);
    expect(output).toContain("$ lpar replay --share 25 --resident 64 --crash --grace 50 bench/traces/*.lpt");
  });
});
