/** `lpar run` as a command: what it prints, what it writes, and how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runProgram } from "../src/driver/program.js";

const ROOT = join(import.meta.dirname, "..");
const EXAMPLES = join(ROOT, "bench", "scenarios");
const MAIN = join(ROOT, "dist", "src", "driver", "main.js");

const STEPS: readonly object[] = [
  { write: { by: "server", address: 0, data: "\u001b[2Jhi" } },
  {
    grant: { by: "server", to: "client", address: 0, length: "4KiB", as: "offer" },
    note: "Here\u202e it goes",
  },
  { accept: { by: "client", grant: "offer", as: "window" } },
  { read: { by: "client", address: "window", length: 6 } },
  { load32: { by: "client", address: "window+4KiB" }, expect: "H_PARAMETER" },
];
const WRONG = { load32: { by: "client", address: "window" }, expect: { value: 0 } };
const MIX = { random: { operations: 1e8 } };

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lpar-run-cli-"));
  file = join(folder, "test.json");
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function scenario(steps: readonly object[] = STEPS, more: object = {}): Promise<void> {
  const partitions = ["server", "client"].map((name) => ({ name, memory: "16KiB" }));
  const adapters = [["server", "client"]];
  const table = { memory: "64KiB", partitions: 2, grants: 16 };
  await writeFile(file, JSON.stringify({ version: 1, table, partitions, adapters, steps, ...more }));
}

interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

async function lpar(...args: readonly string[]): Promise<Outcome> {
  const texts = { output: "", errors: "" };
  const code = await runProgram(["run", ...args], {
    input: Readable.from([]),
    output: { write: (text: string) => (texts.output += text) },
    errors: { write: (text: string) => (texts.errors += text) },
    exitCode: 0,
  });
  return { code, ...texts };
}

function start(...args: readonly string[]): {
  readonly child: ChildProcess;
  readonly done: Promise<Outcome>;
} {
  const child = spawn(process.execPath, [MAIN, "run", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const texts = { output: "", errors: "" };
  child.stdout.on("data", (text) => {
    texts.output += text;
  });
  child.stderr.on("data", (text) => {
    texts.errors += text;
  });
  const done = new Promise<Outcome>((resolve) => {
    child.on("close", (code) => resolve({ code: code ?? -1, ...texts }));
  });
  return { child, done };
}

describe("lpar run", () => {
  it("prints a line for each step, notes above them, and a summary; nothing steers the terminal", async () => {
    await scenario(STEPS, { title: "A\ttitle" });
    const { code, output, errors } = await lpar(file);
    expect([code, errors]).toEqual([0, ""]);
    expect(output).toBe(`A?title

[0] write by server, address 0, data "\\u001b[2Jhi"               -> done
    # Here? it goes
[1] grant by server, to client, address 0, length 4KiB, as offer -> cookie 16777219
[2] accept by client, grant offer, as window                     -> address 16384, length 4096, type memory, readable yes, writable yes, regrantable yes
[3] read by client, address window, length 6                     -> data 0x1b5b324a6869
[4] load32 by client, address window+4KiB                        -> H_PARAMETER

steps       5 of 5 done, passed
calls       write 1, grant 1, accept 1, read 1, load32 0 (and 1 H_PARAMETER)
clock       0 ms
frames      8 of 16 used
structures  3 of 16 used
audit       0 problems, ${/([\d,]+) facts/.exec(output)?.[1]} facts checked
`);
  });

  it("exits with 1 when a step does not answer as expected: one line names it, the rest is as far as it came", async () => {
    await scenario([...STEPS, WRONG, { audit: {} }]);
    const { code, output, errors } = await lpar(file);
    expect([code, errors]).toEqual([
      1,
      `lpar: ${file}: steps[5] (load32 by client, address window): expected value 0, got value 1244814107\n`,
    ]);
    expect(output).toContain("[4] load32");
    expect(output).not.toContain("[5]");
    expect(output).toContain("steps       6 of 7 done, failed\n");
  });

  it("prints nothing but failures with --quiet", async () => {
    await scenario();
    expect(await lpar(file, "--quiet")).toEqual({ code: 0, output: "", errors: "" });
    await scenario([...STEPS, WRONG]);
    const { code, output, errors } = await lpar(file, "-q");
    expect([code, output]).toEqual([1, ""]);
    expect(errors).toMatch(/^lpar: .*: steps\[5\] \(.*\): expected .*, got .*\n$/);
  });

  it("prints one JSON object with --json, also for a failure", async () => {
    await scenario([...STEPS, WRONG], { title: "Title" });
    const { code, output, errors } = await lpar(file, "--json");
    expect(code).toBe(1);
    expect(errors.split("\n")).toHaveLength(2);
    expect(output.trimEnd()).not.toContain("\n");
    const report = JSON.parse(output);
    expect(report).toMatchObject({
      scenario: file,
      title: "Title",
      outcome: "failed",
      seed: 1,
      stepsPlanned: 6,
      failure: { index: 5, expected: "value 0", got: "value 1244814107" },
      calls: { grant: { H_SUCCESS: 1 }, load32: { H_PARAMETER: 1, H_SUCCESS: 1 } },
      clockMs: 0,
      counters: { frames: 16 },
      audit: { problems: [] },
    });
    expect(report.steps[3]).toEqual({
      index: 3,
      verb: "read",
      what: "read by client, address window, length 6",
      status: "H_SUCCESS",
      answer: { data: { length: 6, hex: "1b5b324a6869" } },
    });
    expect(report.steps[4]).toMatchObject({ status: "H_PARAMETER", answer: {} });
    await scenario();
    expect(JSON.parse((await lpar(file, "--json")).output)).toMatchObject({
      outcome: "passed",
      failure: null,
    });
  });

  it("writes the table as it was left with --snapshot, also after a failure, and replaces an older one", async () => {
    const snapshot = join(folder, "after.json");
    for (const [steps, code] of [
      [STEPS, 0],
      [[...STEPS, WRONG], 1],
    ] as const) {
      await scenario(steps);
      expect((await lpar(file, "-q", "--snapshot", snapshot)).code).toBe(code);
      const table = JSON.parse(await readFile(snapshot, "utf8"));
      expect(table).toMatchObject({ version: 2, partitions: [{ name: "server" }, { name: "client" }] });
      expect(table.partitions[1].grants).toMatchObject([{ state: "shared", address: 16384 }]);
      await writeFile(snapshot, "older");
    }
    expect((await readdir(folder)).sort()).toEqual(["after.json", "test.json"]);
  });

  it("draws from --seed in random steps, and says so", async () => {
    await scenario([{ random: { operations: 500 } }]);
    const mixed = async (seed: string): Promise<string> => (await lpar(file, "--seed", seed)).output;
    expect(await mixed("1")).toContain("seed        1\n");
    expect(await mixed("1")).toBe((await lpar(file)).output);
    expect(await mixed("2")).not.toBe((await mixed("1")).replace("seed        1", "seed        2"));
  });

  it("exits with 2 and one line for what cannot be, and neither runs nor writes anything", async () => {
    const snapshot = join(folder, "after.json");
    const wrong: readonly (readonly [args: readonly string[], steps: object, message: string | RegExp])[] = [
      [[join(folder, "none.json")], {}, /^lpar: .*none\.json: cannot be read \(ENOENT: no such file/],
      [[folder], {}, /^lpar: .*: cannot be read \(EISDIR/],
      [
        [file],
        { steps: [{ grant: { lenght: 1 } }] },
        `lpar: ${file}: steps[0].grant.lenght is not known; allowed: `,
      ],
      [[file], { table: { memory: 5 } }, `lpar: ${file}: table: memory is 5; it must be a multiple of 4096`],
      [[file, "--seed", "x"], {}, /--seed takes a whole number from 0 to 4294967295, but got "x"/],
      [[file, "--seed", "4294967296"], {}, /--seed takes a whole number from 0 to/],
      [[file, "--json", "--quiet"], {}, /'-q, --quiet' cannot be used with option '--json'/],
      [[file, "another.json"], {}, /too many arguments/],
      [[], {}, /missing required argument 'scenario.json'/],
      [
        [file, "--snapshot", file],
        {},
        `lpar: --snapshot is ${file}: the scenario itself would be replaced\n`,
      ],
      [[file, "--snapshot", folder], {}, `lpar: ${folder}: not a file\n`],
      [
        [file, "--snapshot", join(folder, "no", "x.json")],
        {},
        /x\.json: cannot be written \(ENOENT: no such file or directory\)/,
      ],
    ];
    for (const [args, more, message] of wrong) {
      await scenario(STEPS, more);
      const withSnapshot = args[0] === file && args.length === 1 ? [...args, "--snapshot", snapshot] : args;
      const { code, output, errors } = await lpar(...withSnapshot);
      expect([code, output], args.join(" ")).toEqual([2, ""]);
      expect(errors).toMatch(message);
      expect(errors).not.toMatch(/\n\s+at /);
      expect(errors.trimEnd().split("\n")).toHaveLength(1);
      expect(await readdir(folder)).toEqual(["test.json"]);
    }
  });

  it("explains itself with examples that are there", async () => {
    const { code, output } = await lpar("--help");
    expect(code).toBe(0);
    const named = [...output.matchAll(/\$ lpar run bench\/scenarios\/(\S+)/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(2);
    expect(await readdir(EXAMPLES)).toEqual(expect.arrayContaining(named));
  });

  it("begins a scenario of more steps than a call takes arguments", async () => {
    await scenario([{ audit: {}, expect: "H_NO_MEM" }, ...new Array(130_000).fill({ audit: {} })]);
    const { code, errors } = await lpar(file);
    expect([code, errors]).toEqual([1, expect.stringContaining("steps[0] (audit): expected H_NO_MEM")]);
  });
});

describe("lpar run as a process", () => {
  it("exits with 0, 1 and 2, with JSON on the standard output and complaints beside it", async () => {
    const passed = await start(join(EXAMPLES, "first-share.json"), "--json").done;
    expect([passed.code, passed.errors]).toEqual([0, ""]);
    expect(JSON.parse(passed.output).outcome).toBe("passed");
    await scenario([...STEPS, WRONG]);
    const failed = await start(file, "--json").done;
    expect([failed.code, failed.errors.split("\n").length]).toEqual([1, 2]);
    expect(JSON.parse(failed.output).outcome).toBe("failed");
    await writeFile(file, "");
    expect(await start(file, "--json").done).toEqual({
      code: 2,
      output: "",
      errors: `lpar: ${file}: the file is empty\n`,
    });
  });

  it("ends at once by Ctrl-C with 130, says what was done so far, and leaves nothing half-written", async () => {
    await scenario([...STEPS, MIX]);
    const { child, done } = start(file, "--snapshot", join(folder, "after.json"));
    child.stdout?.on("data", (text) => {
      if (String(text).includes("[4]")) setTimeout(() => child.kill("SIGINT"), 100);
    });
    const { code, output, errors } = await done;
    expect([code, errors]).toEqual([130, ""]);
    expect(output).toContain("steps       5 of 6 done, interrupted\n");
    expect(output).toContain("audit       0 problems");
    expect(await readdir(folder)).toEqual(["test.json"]);
  });

  it("ends by Ctrl-C when a step waits for ever, too", async () => {
    await scenario(
      [
        { grant: { by: "server", to: "client", address: 0, length: "4KiB", as: "offer" } },
        { accept: { by: "client", grant: "offer", as: "window" } },
        { view: { by: "client", address: "window", length: "4KiB", as: "glass" } },
        { rescindForced: { by: "server", grant: "offer" } },
      ],
      { table: { memory: "32KiB", partitions: 2, grants: 16 } },
    );
    const { child, done } = start(file);
    child.stdout?.on("data", (text) => {
      if (String(text).includes("[2]")) setTimeout(() => child.kill("SIGINT"), 100);
    });
    const { code, output, errors } = await done;
    expect([code, errors]).toEqual([130, ""]);
    expect(output).toContain("steps       3 of 4 done, interrupted\n");
  });
});
