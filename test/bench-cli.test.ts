/** `lpar bench`: that it runs, compares results, and answers mistakes. Times are never asserted. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { MapTable } from "../bench/map-table.js";
import { NativeProgram } from "../bench/native.js";
import { RATE_USED_BY } from "../bench/parameters.js";
import { Random } from "../bench/random.js";
import { type Report, readReport, toJson } from "../bench/report.js";
import { SUITE_NAMES, timesNative } from "../bench/suite.js";
import { runProgram } from "../src/driver/program.js";
import { createProgress } from "../src/driver/progress.js";
import { H_PARAMETER, H_PERMISSION, H_RESCINDED, H_RESOURCE, PAGE_BYTES } from "../src/layout.js";
import { latencyOf, reportOf, rowOf } from "./support/bench-report.js";
import { onTerminal, Screen } from "./support/cli.js";

const MAIN = join(import.meta.dirname, "..", "dist", "src", "driver", "main.js");

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lpar-bench-cli-"));
  await mkdir(join(folder, "tmp"));
  await mkdir(join(folder, "bin"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

interface RunOptions {
  /** Where programs are looked for; as in this process if left out. */
  readonly path?: string;
  readonly nodeOptions?: string;
  /** Where it may leave temporary files; beside everything else of the test if left out. */
  readonly temporary?: string;
  /** Called when it has begun to look for a compiler. */
  readonly begun?: (kill: (signal: NodeJS.Signals) => void) => void;
}

/** Runs the built command as a process of its own, with its temporary files in `folder`. */
async function lpar(
  args: readonly string[],
  { path, nodeOptions, begun, temporary = join(folder, "tmp") }: RunOptions = {},
): Promise<Outcome> {
  const env = {
    ...process.env,
    TMPDIR: temporary,
    ...(path === undefined ? {} : { PATH: path }),
    ...(nodeOptions === undefined ? {} : { NODE_OPTIONS: nodeOptions }),
  };
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const exit = once(child, "exit") as Promise<[number | null]>;
  const outcome = Promise.all([exit, text(child.stdout), text(child.stderr)]);
  if (begun !== undefined) {
    while ((await readdir(temporary)).length === 0 && child.exitCode === null) await sleep(5);
    begun((signal) => child.kill(signal));
  }
  const [[code], output, errors] = await outcome;
  return { code, output, errors };
}

/** A program called cc that does what the shell script says. */
async function fakeCompiler(script: string): Promise<string> {
  const path = join(folder, "bin", "cc");
  await writeFile(path, `#!/bin/sh\n${script}`);
  await chmod(path, 0o755);
  return `${join(folder, "bin")}:/bin:/usr/bin`;
}

function expectSound(report: Report): void {
  expect(report.wrong).toEqual([]);
  expect(new Set(report.rows.map(({ suite, what }) => `${suite} ${what}`)).size).toBe(report.rows.length);
  expect(report.isComplete).toBe(true);
  for (const row of report.rows) {
    const numbers = [row.ns, ...Object.values(row.baselines), ...Object.values(row.ratios)];
    if (row.longestMs !== undefined) numbers.push(row.longestMs);
    for (const number of numbers) {
      expect(Number.isFinite(number), row.what).toBe(true);
      expect(number, row.what).toBeGreaterThan(0);
    }
    expect(Object.keys(row.ratios), row.what).toEqual(Object.keys(row.baselines));
    for (const times of Object.values(row.samples)) expect(times).toHaveLength(report.options.repetitions);
  }
}

/** Suites with native baselines; the other ones, with the baselines that each row must have. */
const ALONE = ["translate", "grant", "tree", "recovery", "access"] as const;
const HANDOFF = ["ring", "spin", "transfer", "clone"];
const THREADED = {
  contention: {
    "one hypercall, locks and undo log": ["bare"],
    "one hypercall, no thread has joined": ["bare"],
    "read 64 B, epochs": ["bare"],
    "read 4 KiB, epochs": ["bare"],
    "two workers, unrelated grants, raw": ["alone", "apart"],
    "two workers, unrelated grants, objects": ["alone", "apart"],
    "two workers, the same partitions, raw": ["alone"],
    "two workers, one grant, accept or return": ["alone"],
    "read 64 B in a worker": ["native", "copy"],
    "read 64 B in a worker, table's buffer": ["native", "copy"],
    "read 4 KiB in a worker": ["native", "copy"],
    "read 4 KiB in a worker, table's buffer": ["native", "copy"],
  },
  handoff: Object.fromEntries(
    ["4 KiB", "64 KiB", "1 MiB"].flatMap((size) => [
      [`${size}, grant each time`, HANDOFF],
      [`${size}, grant each time, spinning`, HANDOFF],
      [`${size}, standing grant`, HANDOFF],
      [`${size}, standing grant, spinning`, HANDOFF],
      [`${size}, grant each time, messages`, HANDOFF],
    ]),
  ),
  moves: {
    "forced rescind of 1 page under a view, sharers: 1": ["copy"],
    "forced rescind of 1 page under a view, sharers: 10": ["copy"],
    "forced rescind, pages: 1": ["copy"],
    "forced rescind, pages under views: 1": ["copy"],
    "forced rescind, pages: 100": ["copy"],
    "forced rescind, pages under views: 100": ["copy"],
    "compact 1 MiB": ["copy"],
  },
  guest: Object.fromEntries(
    ["read", "write"].flatMap((mode) =>
      ["64 B", "4 KiB", "4 KiB, at odd places"].map((size) => [`${mode} ${size}`, ["copy", "wasm"]]),
    ),
  ),
  modes: Object.fromEntries(
    ["lend", "lend with zero on return"].flatMap((what) =>
      ["1 page", "16 pages"].map((pages) => [`${what}, 1000 live, ${pages}`, ["share"]]),
    ),
  ),
  copies: {
    "first write to a copy-on-write page, pages: 1": ["copy"],
    "first write to a copy-on-write page, pages: 100": ["copy"],
    "deduplicate 1 MiB, a quarter equal": ["copy"],
  },
  kinds: { "doorbell, there and back": ["ring"] },
  dma: {
    "TCE put, one by one, raw": ["typed"],
    "TCE put, one by one, put()": ["typed"],
    "TCE indirect, 512 at once, an entry, putIndirect()": ["typed"],
    "TCE stuff, 512 at once, an entry, raw": ["typed"],
    "device read of 4 KiB through the window": ["copy"],
    "the same by the partition, checked": ["copy"],
  },
  death: {
    "exit of a client with 10,000 grants": ["native", "map"],
    "exit of a server with 10,000 grants": ["native", "map"],
    ...Object.fromEntries(
      ["1 reader", "2 readers"].flatMap((readers) =>
        ["p50, raw", "p50, rescindForced()", "p99, raw", "p99, rescindForced()"].map((what) => [
          `revoke from ${readers}, ${what}`,
          ["flag", "idle"],
        ]),
      ),
    ),
  },
  mmio: {
    "load32, model in the same thread": ["typed"],
    "load32, from a worker to the owner and back": ["ring", "spin"],
    "load32, from a worker to a worker and back": ["ring", "spin"],
  },
} as const;

/** Node options with which assemblyscript is as if it were not installed, in worker threads, too. */
function withoutCompiler(): string {
  const hook = `export async function resolve(name, context, next) {
    if (name.startsWith("assemblyscript")) throw new Error("not installed");
    return next(name, context);
  }`;
  const asUrl = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`;
  const register = `import { register } from "node:module"; register(${JSON.stringify(asUrl(hook))});`;
  // Newer lines of Node warn of register(); what they want instead is not in Node 20.
  return `--disable-warning=DEP0205 --import=${asUrl(register)}`;
}

/** What makes a run as short as it can be while everything is still compared. */
const SHORT = ["--quick", "--time", "1", "--warmup", "0", "--repetitions", "1"] as const;

describe("lpar bench --quick", () => {
  // One process for all suites: starting it and compiling the baselines takes longer than most of them.
  let outcome: Outcome;
  let report: Report;

  beforeAll(async () => {
    const temporary = await mkdtemp(join(tmpdir(), "lpar-bench-cli-"));
    outcome = await lpar(["bench", ...SHORT, "--json", "--seed", "7"], { temporary });
    report = JSON.parse(outcome.output);
    expect(await readdir(temporary)).toEqual([]);
    await rm(temporary, { recursive: true });
  }, 300_000);

  it("runs all suites, finds all results equal, and prints one JSON object and nothing else", () => {
    expect([outcome.code, outcome.errors]).toEqual([0, ""]);
    expectSound(report);
    expect(report.leftOut).toEqual([]);
    expect(report).toMatchObject({ report: "lpar bench", version: 1 });
    expect(report.options).toMatchObject({ suites: SUITE_NAMES, quick: true, seed: 7, repetitions: 1 });
    expect(report.machine).toMatchObject({ node: process.versions.node, v8: process.versions.v8 });
    expect(report.machine.core).toMatch(/^[0-9a-f]{12}$/);
    expect(report.machine.commit).toMatch(/^[0-9a-f]{12}\+?$/);
    expect(new Set(report.rows.map(({ suite }) => suite))).toEqual(new Set(SUITE_NAMES));
    const single = report.rows.filter(({ latencies }) => Object.keys(latencies).length > 0);
    expect(new Set(single.map(({ suite }) => suite))).toEqual(new Set(RATE_USED_BY));
  });

  it("compares the suites of one thread with native code where there is a compiler", () => {
    const isNative = report.compiler !== null;
    for (const { suite, what, baselines, target } of report.rows) {
      if (!(ALONE as readonly string[]).includes(suite)) continue;
      const isView = what.startsWith("view()");
      expect(Object.keys(baselines).length, `${suite}, ${what}`).toBeGreaterThan(
        isView ? 0 : Number(isNative),
      );
      expect(baselines.native !== undefined, `${suite}, ${what}`).toBe(isNative && !isView);
      if (suite === "access")
        expect(baselines.engine !== undefined, what).toBe(!isView && !what.endsWith("threads: 0"));
      if (target?.text.includes("native")) expect(target.reached !== undefined, what).toBe(isNative);
    }
  });

  it.each(Object.entries<Readonly<Record<string, readonly string[]>>>(THREADED))(
    "reports each row of the suite %s with its baselines",
    (suite, rows) => {
      const hasNative = report.compiler !== null;
      const own = report.rows.filter((row) => row.suite === suite);
      expect(Object.fromEntries(own.map(({ what, baselines }) => [what, Object.keys(baselines)]))).toEqual(
        Object.fromEntries(
          Object.entries(rows).map(([what, names]) => [
            what,
            names.filter((name: string) => hasNative || name !== "native"),
          ]),
        ),
      );
      for (const { what, versus, baselines, target } of own) {
        if (hasNative) expect(Object.keys(baselines), what).toContain(versus);
        if (hasNative && target !== undefined) expect(target.reached, what).toBeTypeOf("boolean");
      }
    },
  );

  it("leaves out what needs a build of the core where assemblyscript is not installed, and says why", async () => {
    const { code, output, errors } = await lpar(["bench", "contention", ...SHORT], {
      nodeOptions: withoutCompiler(),
    });
    expect([code, errors]).toEqual([0, ""]);
    expect(output).toMatch(/^left out: contention: one hypercall: assemblyscript is not installed$/m);
    expect(output).not.toMatch(/^one hypercall/m);
    expect(output).toMatch(/^contention +lpar +\+- .* ratio +target +reached$/m);
    expect(output).toMatch(
      /^two workers, unrelated grants, raw .* [\d.]+ alone +alone \/ 1\.7 +(yes|no \(time\))$/m,
    );
  }, 60_000);

  it("leaves the native rows out without a compiler, and says why", async () => {
    const { code, output, errors } = await lpar(["bench", "grant", ...SHORT], {
      path: join(folder, "bin"),
    });
    expect([code, errors]).toEqual([0, ""]);
    expect(output).toMatch(/native: left out \(there is no cc\)\n/);
    expect(output).toMatch(/^grant +lpar +\+- +map +x native +target +reached$/m);
    expect(output).toMatch(/^1000 live, 1 page, raw +[\d.,]+ +- +[\d.,]+ +- {2}3 x native +-$/m);
    expect(output).toMatch(/seed 1; medians of 1 interleaved repetitions of 1 ms\n/);
  }, 60_000);

  it("exits with 1 and names scenario and contender when results differ, whatever the times", async () => {
    const path = await fakeCompiler(`
if [ "$1" = --version ]; then echo "fake cc 1"; exit; fi
while [ "$1" != -o ]; do shift; done
cat > "$2" <<'EOS'
#!/bin/sh
while read -r word rest; do
  case $word in
    measure) echo 1 ;;
    check) echo "42" ;;
    *) echo ok ;;
  esac
done
EOS
chmod 755 "$2"
`);
    const { code, output, errors } = await lpar(["bench", "access", ...SHORT, "--json"], { path });
    expect(code).toBe(1);
    const report: Report = JSON.parse(output);
    expect(report.compiler).toBe("fake cc 1");
    // Before and after the measurements, for each scenario but the one without a native baseline.
    expect(report.wrong).toHaveLength((report.rows.length - 1) * 2);
    expect(errors).toMatch(
      /^lpar: wrong result: access: read 64 B: native computes "42", read 64 B "memory \d+, buffer \d+"$/m,
    );
    expect(await readdir(join(folder, "tmp"))).toEqual([]);
  }, 60_000);

  it("says that a compiler failed, and goes on without it", async () => {
    const path = await fakeCompiler(
      'if [ "$1" = --version ]; then echo fake; else echo "no room" >&2; exit 1; fi\n',
    );
    const { code, output } = await lpar(["bench", "boundary", ...SHORT, "--json"], { path });
    expect(code).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ compiler: null, nativeMissing: "no room", wrong: [] });
  }, 60_000);

  it("says the exit code, or the signal, of a compiler that ended without a word", async () => {
    for (const [end, missing] of [
      ["exit 7", "cc ended with exit code 7"],
      ["kill -TERM $$", "cc ended with SIGTERM"],
    ] as const) {
      const path = await fakeCompiler(`if [ "$1" = --version ]; then echo fake; else ${end}; fi\n`);
      const { output } = await lpar(["bench", "boundary", ...SHORT, "--json"], { path });
      expect(JSON.parse(output)).toMatchObject({ compiler: null, nativeMissing: missing });
    }
  }, 60_000);

  it("waits for no compiler that never ends", async () => {
    vi.stubEnv("PATH", await fakeCompiler("exec sleep 1000\n"));
    vi.stubEnv("TMPDIR", join(folder, "tmp"));
    const compiled = await NativeProgram.compile(undefined, 300);
    vi.unstubAllEnvs();
    expect(compiled).toBe("cc did not end within 0.3 s");
    expect(await readdir(join(folder, "tmp"))).toEqual([]);
  }, 60_000);

  it("ends with what went wrong in a scenario that had begun threads of its own", async () => {
    const path = await fakeCompiler(`if [ "$1" = --version ]; then echo fake; exit; fi
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\nwhile read -r line; do echo error; done\\n' > "$2"
chmod 755 "$2"
`);
    const { code, errors } = await lpar(["bench", "contention", ...SHORT, "--json"], { path });
    expect(code).toBe(1);
    expect(errors).toContain('the C baseline does not understand "setup access read 64');
    expect(await readdir(join(folder, "tmp"))).toEqual([]);
  }, 60_000);

  it("ends on Ctrl-C with 130 and leaves no files", async () => {
    const path = await fakeCompiler("exec sleep 60\n");
    const { code, output } = await lpar(["bench", "--json"], { path, begun: (kill) => kill("SIGINT") });
    expect(code).toBe(130);
    expect(JSON.parse(output)).toMatchObject({ rows: [], isComplete: false });
    expect(await readdir(join(folder, "tmp"))).toEqual([]);
  }, 60_000);

  it("leaves no files when Ctrl-C comes twice at once while a compiler runs, as `timeout` sends it", async () => {
    const path = await fakeCompiler("exec sleep 60\n");
    for (let i = 0; i < 5; i++) {
      const begun: RunOptions["begun"] = (kill) => {
        kill("SIGINT");
        const end = performance.now() + i;
        while (performance.now() < end);
        kill("SIGINT");
      };
      // null: the second one came after all was done, and ended the process by itself.
      expect([130, null]).toContain((await lpar(["bench", "--json"], { path, begun })).code);
      expect(await readdir(join(folder, "tmp"))).toEqual([]);
    }
  }, 60_000);

  it("ends a scenario that is under way, too, and leaves no files", async () => {
    const args = ["bench", "tree", "--time", "200", "--json"];
    // The compiled baselines are there before the first scenario begins, which then takes seconds.
    const begun: RunOptions["begun"] = (kill) => setTimeout(kill, 4000, "SIGINT");
    const { code, output } = await lpar(args, { begun });
    expect(code).toBe(130);
    expect(JSON.parse(output)).toMatchObject({ isComplete: false, wrong: [] });
    expect(await readdir(join(folder, "tmp"))).toEqual([]);
  }, 60_000);

  it("measures nothing before each trace can be read, and read again", async () => {
    const pipe = join(folder, "pipe.lpt");
    execFileSync("mkfifo", [pipe]);
    const bad = join(folder, "bad.lpt");
    await writeFile(bad, "no trace");
    const asked = join(folder, "asked");
    const path = await fakeCompiler(`touch ${asked}; exit 1\n`);
    for (const [file, message] of [
      [pipe, "not a file; a trace is read once for each scenario"],
      [folder, "not a file; a trace is read once for each scenario"],
      ["/dev/zero", "not a file; a trace is read once for each scenario"],
      [bad, "not a packed trace (make one with `lpar trace pack`)"],
      [join(folder, "none.lpt"), "cannot be read (ENOENT: no such file or directory)"],
    ] as const) {
      // Nothing would be wrong with the first runs.
      const scan = `dist=uniform,trace:${file}`;
      const run = lpar(["bench", "translate", "--quick", "--scan", scan], { path });
      expect(await run).toEqual({ code: 2, output: "", errors: `lpar: ${file}: ${message}\n` });
      expect(existsSync(asked)).toBe(false);
    }
  }, 60_000);
});

/** Runs the command line in this process: for what ends before anything is measured. */
async function inProcess(args: readonly string[]): Promise<Outcome> {
  let [output, errors] = ["", ""];
  const code = await runProgram(args, {
    input: Readable.from([]),
    output: { write: (more) => (output += more) },
    errors: { write: (more) => (errors += more) },
    exitCode: 0,
  });
  return { code, output, errors };
}

describe("lpar bench", () => {
  it("exits with 2 and one line for suites and options that cannot be", async () => {
    const wrong = [
      [
        ["nonsense"],
        'there is no suite "nonsense"; the suites are translate, grant, tree, recovery, access, churn, boundary, moves, guest, copies, dma, modes, contention, handoff, death, mmio, kinds',
      ],
      [["grant", "tres"], 'there is no suite "tres"'],
      [["--time", "0"], '--time takes a number from 1 to 60000, but got "0"'],
      [["--time", "fast"], 'but got "fast"'],
      [["--repetitions", "0"], '--repetitions takes a whole number from 1 to 1000, but got "0"'],
      [["--repetitions", "1.5"], 'but got "1.5"'],
      [["--warmup", "-1"], '--warmup takes a number from 0 to 60000, but got "-1"'],
      [["--rate", "0"], '--rate takes a number from 1 to 10000000, but got "0"'],
      [["--rate", "fast"], 'but got "fast"'],
      [["--rate", "0x10"], '--rate takes a number from 1 to 10000000, but got "0x10"'],
      [["--pages", "0"], '--pages takes a whole number from 1 to 4194304, but got "0"'],
      [["--partitions", "1"], "--partitions takes a whole number from 2 to 1024"],
      [["--depth", "x"], "--depth takes a whole number from 1 to 1048576"],
      [["--fanout", "-1"], "--fanout takes a whole number from 1 to 1048576"],
      [["--batch", "65537"], "--batch takes a whole number from 1 to 65536"],
      [["--workers", "65"], "--workers takes a whole number from 1 to 64"],
      [["--dist", "gauss"], "--dist takes uniform, zipf:S"],
      [["--scan", "pages"], "--scan takes name=a,b,c or name=lo..hixF"],
      [["--scan", "batch=1,2", "--batch", "4"], "--scan batch and --batch cannot both say what batch is"],
      [["--scan", "batch=1,2", "--scan", "batch=3"], "--scan batch is there twice"],
      [["kinds", "--pages", "8"], "no suite that runs uses --pages; it is used by"],
      [["kinds", "--scan", "depth=8"], "no suite that runs uses --depth; it is used by"],
      [["tree", "--rate", "1000"], "no suite that runs uses --rate; it is used by"],
      [
        ["churn", "--dist", "trace:x.lpt", "--scan", "pages=8,16"],
        "the suite churn has the pages of --dist trace:FILE",
      ],
      [["--assert", "p99>2us"], "--assert takes [ROWS:]METRIC<LIMIT"],
      [["--json", "--md"], "only one of --json, --md can be printed; --out FILE writes others"],
      [
        ["--out", "report.txt"],
        '--out takes a file whose name ends in .json, .csv, .md, .html, but got "report.txt"',
      ],
      [
        ["--out", join(folder, "none", "x.json")],
        "x.json: cannot be written (ENOENT: no such file or directory)",
      ],
      [["--html", folder], `${folder}: not a file`],
      [
        ["--from", join(folder, "none.json")],
        "none.json: cannot be read (ENOENT: no such file or directory)",
      ],
      [["--from", "x.json", "--time", "5"], "--from measures nothing, and takes no --time"],
      [["grant", "--from", "x.json"], "--from measures nothing, and takes no suites"],
      [["--seed", "-1"], '--seed takes a whole number from 0 to 4294967295, but got "-1"'],
      [["--seed", "4294967296"], 'but got "4294967296"'],
      [["--no-such"], "unknown option '--no-such'"],
    ] as const;
    for (const [args, message] of wrong) {
      const { code, output, errors } = await inProcess(["bench", ...args]);
      expect([code, output], args.join(" ")).toEqual([2, ""]);
      expect(errors).toContain(message);
      expect(errors.trimEnd().split("\n")).toHaveLength(1);
      expect(errors).not.toMatch(/argument .* is invalid/);
    }
  });

  it("explains its suites and baselines in its help, with examples", async () => {
    const { code, output } = await inProcess(["bench", "--help"]);
    expect(code).toBe(0);
    for (const suite of SUITE_NAMES) expect(output).toMatch(new RegExp(`^ {2}${suite} {2}`, "m"));
    expect(output).toContain("$ lpar bench --quick --json > bench.json");
  });
});

describe("lpar bench with parameters, a rate, a limit and files", () => {
  it("measures what they say, and exits with 3 naming the row that misses the limit", async () => {
    const [json, html] = [join(folder, "report.json"), join(folder, "report.html")];
    const { code, output, errors } = await lpar(
      ["bench", "translate", ...SHORT, "--scan", "pages=64,256", "--rate", "20000", "--dist", "seq"].concat([
        "--out",
        json,
        "--html",
        html,
        "--csv",
        "--assert",
        "single: p99<1ns",
        "--assert",
        "p50<100s",
      ]),
      { path: join(folder, "bin") },
    );
    const report = readReport("report.json", await readFile(json, "utf8"));
    expectSound(report);
    expect(report.options).toMatchObject({
      rate: 20_000,
      warmupMs: 0,
      parameters: { dist: "seq" },
      scans: [{ name: "pages", values: [64, 256] }],
    });
    expect(new Set(report.rows.map(({ scan }) => scan.pages))).toEqual(new Set([64, 256]));
    const singles = report.rows.filter(({ latencies }) => latencies.lpar !== undefined);
    expect(singles.length).toBeGreaterThan(0);
    for (const { latencies } of singles) {
      expect(latencies.lpar?.rate?.asked).toBe(20_000);
      expect(latencies.lpar?.corrected?.p99).toBeGreaterThanOrEqual(latencies.lpar?.corrected?.p50 ?? 0);
    }
    expect(code).toBe(3);
    expect(errors.trimEnd().split("\n")).toHaveLength(singles.length);
    expect(errors).toMatch(/^lpar: missed: single: p99<1ns: translate: single, .* \(pages=64\) has p99 /m);
    expect(output).toMatch(/^suite,what,dist,pages,/);
    expect(output).toMatch(/^translate,"single, .*",seq,64,/m);
    expect(await readFile(html, "utf8")).toContain("translate: cost against pages");
  }, 60_000);

  it("times single operations between workers in the worker that begins them, at a rate, too", async () => {
    const json = join(folder, "between.json");
    const { code } = await lpar(["bench", "kinds", ...SHORT, "--rate", "1000", "--out", json], {
      path: join(folder, "bin"),
    });
    expect(code).toBe(0);
    const { rows } = readReport("between.json", await readFile(json, "utf8"));
    expect(rows.map(({ what }) => what)).toEqual(["doorbell, there and back"]);
    for (const { latencies } of rows) {
      expect(Object.keys(latencies)).toEqual(["lpar", "ring"]);
      for (const { rate, count } of Object.values(latencies)) {
        expect(rate?.asked).toBe(1000);
        expect(count).toBeGreaterThan(0);
      }
    }
  }, 60_000);
});

/** A report in a file, with times of one row that are so many times as long. */
async function saveReport(name: string, factor = 1): Promise<string> {
  const path = join(folder, name);
  const [lpar, native] = [[10, 11, 12, 13].map((ns) => ns * factor), [5, 6, 7, 8]];
  const latencies = { lpar: await latencyOf((index) => 0.001 * (1 + (index % 7)), { timeMs: 2 }) };
  const rows = [rowOf({ what: "batch, 2^12 pages", lpar, native, target: timesNative(3, 1), latencies })];
  await writeFile(path, toJson(reportOf(rows)));
  return path;
}

describe("a report on a terminal", () => {
  it("has bars and histograms in colour; no colour with NO_COLOR or on a dumb one; neither with --plain or in a pipe", async () => {
    const path = await saveReport("report.json");
    const show = async (...options: readonly string[]): Promise<string> =>
      (await onTerminal(["bench", "--from", path, ...options])).output;
    vi.stubEnv("TERM", "xterm");
    vi.stubEnv("NO_COLOR", "");
    const coloured = await show();
    vi.stubEnv("NO_COLOR", "1");
    const colourless = await show();
    vi.stubEnv("NO_COLOR", "");
    vi.stubEnv("TERM", "dumb");
    expect(await show()).toBe(colourless);
    const terminal = new Screen(true);
    let time = 0;
    createProgress("measuring", terminal, { now: () => (time += 1000) }).update(1, 2);
    vi.unstubAllEnvs();
    expect(terminal.text).toBe("");
    expect(coloured).toContain("\x1b[36m");
    const colours = ["\x1b[36m", "\x1b[2m", "\x1b[0m"];
    expect(colours.reduce((text, colour) => text.replaceAll(colour, ""), coloured)).toBe(colourless);
    expect(colourless).toMatch(/^ {4} {2}lpar {2}#{40} +11\.5$/m);
    expect(colourless).toMatch(/^ {4}native {2}#{23} +6\.50$/m);
    expect(colourless).toMatch(/^ {4}from [\d.]+ us {2}#+ +\d+$/m);
    expect(colourless).toMatch(/^batch, 2\^12 pages +11\.5 +13 % +6\.50 +1\.77 +3 x native +yes$/m);
    const plain = await show("--plain");
    for (const never of ["\x1b", "##"]) expect(plain).not.toContain(never);
    expect((await inProcess(["bench", "--from", path])).output).toBe(plain);
  });
});

describe("lpar compare", () => {
  it("gives each row a verdict, and exits with 3 only when one is worse by more than the limit", async () => {
    const [before, same, worse] = [
      await saveReport("before.json"),
      await saveReport("same.json", 1.05),
      await saveReport("worse.json", 2),
    ];
    const compare = (...args: readonly string[]): Promise<Outcome> => inProcess(["compare", ...args]);
    const slower = await compare(before, worse);
    expect([slower.code, slower.errors]).toEqual([0, ""]);
    expect(slower.output).toMatch(
      /^translate: batch, 2\^12 pages +11\.5 +23\.0 +2\.00 +1\.54 - 2\.60 +worse$/m,
    );
    expect(slower.output).toMatch(/^0 better, 0 same, 1 worse$/m);
    expect((await compare(worse, before)).output).toMatch(/^1 better, 0 same, 0 worse$/m);
    const failed = await compare(before, worse, "--fail-above", "5%");
    expect(failed.code).toBe(3);
    expect(failed.errors).toBe(
      "lpar: worse by more than 5 %: translate: batch, 2^12 pages: 2.00 (1.54 - 2.60)\n",
    );
    expect((await compare(before, worse, "--fail-above", "150")).code).toBe(0);
    const alike = await compare(before, same, "--fail-above", "0", "--json");
    expect(alike.code).toBe(0);
    expect(JSON.parse(alike.output)).toMatchObject({ rows: [{ verdict: "same" }], onlyBefore: [] });
    expect((await compare(before, worse, "--by-ratio")).output).toMatch(/before x +after x +ratio/);
  });

  it("with a limit exits with 3 for rows that are gone and for wrong results, too, a line for each", async () => {
    const row = rowOf({ what: "single", lpar: [10, 11, 12, 13] });
    const save = async (name: string, report: Report): Promise<string> => {
      await writeFile(join(folder, name), toJson(report));
      return join(folder, name);
    };
    const both = await save("both.json", reportOf([row, rowOf({ what: "gone", lpar: [10, 11, 12, 13] })]));
    const one = await save("one.json", reportOf([row]));
    const wrong = await save("wrong.json", reportOf([row], { wrong: ["x differs"] }));
    const compare = (...args: readonly string[]): Promise<Outcome> => inProcess(["compare", ...args]);
    expect((await compare(both, one)).code).toBe(0);
    expect(await compare(both, one, "--fail-above", "5%")).toMatchObject({
      code: 3,
      errors: "lpar: nothing to compare in the second report: translate: gone\n",
    });
    expect((await compare(one, both, "--fail-above", "5%")).code).toBe(0);
    for (const pair of [
      [one, wrong],
      [wrong, one],
    ])
      expect(await compare(...pair, "--fail-above", "5%")).toMatchObject({
        code: 3,
        errors: `lpar: ${wrong} has wrong results: x differs\n`,
      });
  });

  it("exits with 2 and one line for files that cannot be compared and limits that are none", async () => {
    const good = await saveReport("good.json");
    const broken = join(folder, "broken.json");
    await writeFile(broken, "{");
    const other = join(folder, "other.json");
    await writeFile(other, JSON.stringify({ report: "lpar bench", version: 9 }));
    const alone = join(folder, "alone.json");
    await writeFile(alone, toJson(reportOf([rowOf({ what: "single", lpar: [1, 2, 3] })])));
    for (const [args, message] of [
      [[good, join(folder, "none.json")], "none.json: cannot be read (ENOENT: no such file or directory)"],
      [[broken, good], "broken.json: not JSON"],
      [[good, other], "other.json: a report of version 9; this lpar reads version 1"],
      [[good, alone], "no row is in both"],
      [[good], "missing required argument 'after.json'"],
      [
        [good, good, "--fail-above", "much"],
        '--fail-above takes a percentage from 0 to 1000, such as 5%, but got "much"',
      ],
      [[good, good, "--fail-above", "-5%"], "--fail-above takes a percentage"],
      [[good, good, "--fail-above", "0.05"], '"0.05" is 0.05 %: write "0.05%" for that, or "5%"'],
    ] as const) {
      const { code, output, errors } = await inProcess(["compare", ...args]);
      expect([code, output], args.join(" ")).toEqual([2, ""]);
      expect(errors).toContain(message);
      expect(errors.trimEnd().split("\n")).toHaveLength(1);
    }
  });
});

describe("the baseline of Maps", () => {
  it("refuses what the rules refuse, so that it is a fair one", () => {
    const table = new MapTable(3);
    const [a, b, c] = [
      table.createPartition(4, 16),
      table.createPartition(0, 16),
      table.createPartition(0, 16),
    ];
    const toB = table.connect(a, b, 2);
    const toC = table.connect(b, c, 9);
    const grant = (lpid: number, unit: number, page: number, flags = 1, pages = 1): number =>
      table.grantLogical(lpid, flags, 0, page * PAGE_BYTES, pages * PAGE_BYTES, unit);
    expect([grant(a, toB, 0, 0x11), grant(a, toB, 0.5), grant(a, toB, 3, 1, 2), grant(a, toC, 0)]).toEqual([
      H_PARAMETER,
      H_PARAMETER,
      H_PARAMETER,
      H_PARAMETER,
    ]);
    expect(grant(a, toB, 0, 0x41)).toBe(0);
    const cookie = table.r4;
    expect([table.acceptLogical(a, cookie), table.acceptLogical(b, cookie + 9)]).toEqual([
      H_PARAMETER,
      H_PARAMETER,
    ]);
    expect([table.acceptLogical(b, cookie), table.acceptLogical(b, cookie)]).toEqual([0, H_PARAMETER]);
    expect([grant(b, toC, 0, 1), grant(b, toC, 0, 0x41)]).toEqual([H_PERMISSION, 0]);
    expect(table.acceptLogical(c, table.r4)).toBe(0);
    expect([table.returnLogical(b, cookie), table.rescindLogical(a, 0, cookie)]).toEqual([
      H_RESOURCE,
      H_RESOURCE,
    ]);
    expect([table.translate(c, 1, 5, 1, 1), table.r4]).toEqual([0, 5]);
    expect(table.translate(c, 1, 5, 1, 2)).toBe(H_PERMISSION);
    expect([table.rescindLogical(b, 1, cookie), table.rescindLogical(a, 1, cookie)]).toEqual([
      H_PARAMETER,
      0,
    ]);
    expect(table.tornDown).toBe(2);
    expect([table.translate(c, 1, 5, 1, 1), grant(b, toC, 0)]).toEqual([H_RESCINDED, H_RESCINDED]);
    expect([table.returnLogical(b, cookie), table.returnLogical(b, cookie)]).toEqual([0, H_PARAMETER]);
  });

  it("draws on random numbers that repeat with the seed and stay below the limit", () => {
    const draw = (seed: number): number[] => Array.from(new Random(seed).shuffled(1000));
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(7).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });
});
