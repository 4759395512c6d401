/** What the commands do when what they print or write does not arrive, and what signals leave behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toJson } from "../bench/report.js";
import { reportOf, rowOf } from "./support/bench-report.js";
import { onTerminal } from "./support/cli.js";

const ROOT = join(import.meta.dirname, "..");
const MAIN = join(ROOT, "dist", "src", "driver", "main.js");
const SCENARIO = join(ROOT, "bench", "scenarios", "first-share.json");
const SHORT = ["--quick", "--time", "1", "--warmup", "0", "--repetitions", "1"] as const;

let folder: string;
let before: string;
let after: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lpar-output-cli-"));
  for (const name of ["tmp", "bin"]) mkdirSync(join(folder, name));
  [before, after] = [save("before.json", 1), save("after.json", 2)];
});

afterEach(() => rmSync(folder, { recursive: true }));

/** A report in a file, of one row that takes so many times as long. */
function save(name: string, factor: number): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    toJson(reportOf([rowOf({ what: "single", lpar: [10, 11, 12, 13].map((ns) => ns * factor) })])),
  );
  return path;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** The command in a shell, with `lpar` in the line for the command itself. */
async function inShell(line: string): Promise<Ended> {
  const script = `lpar() { "${process.execPath}" "${MAIN}" "$@"; }\ncd "${folder}"\n${line}`;
  const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  const [[code], output, errors] = await Promise.all([
    once(child, "exit") as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, output, errors };
}

/** The command while nobody reads what it prints. */
async function unread(...args: readonly string[]): Promise<{ code: number | null; errors: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  const [[code], errors] = await Promise.all([
    once(child, "exit") as Promise<[number | null]>,
    text(child.stderr),
  ]);
  return { code, errors };
}

const hasFullDevice = existsSync("/dev/full");

describe("output that does not arrive", () => {
  it("does not change the verdict when the reader has gone", async () => {
    const worse = await unread("compare", before, after, "--fail-above", "5%");
    expect(worse.code).toBe(3);
    expect(worse.errors).toMatch(/^lpar: worse by more than 5 %: .*\n$/);
    expect((await unread("bench", "--from", before, "--assert", "median<1ns")).code).toBe(3);
    expect((await unread("nonsense")).code).toBe(2);
    expect(await unread("run", SCENARIO)).toEqual({ code: 0, errors: "" });
  });

  it.runIf(hasFullDevice)("is a failure, told in one line, when the disk is full", async () => {
    for (const args of ["--help", "--version", "bench --help", `run "${SCENARIO}"`, "ls --help"]) {
      const { code, errors } = await inShell(`lpar ${args} > /dev/full`);
      expect([code, errors], args).toEqual([
        1,
        "lpar: the output cannot be written (ENOSPC: no space left on device)\n",
      ]);
    }
    const { code } = await inShell(`lpar compare "${before}" "${after}" --fail-above 5% > /dev/full`);
    expect(code).toBe(3);
  });

  it.runIf(hasFullDevice)("keeps the exit code when errors cannot be written", async () => {
    expect((await inShell("lpar nonsense 2> /dev/full")).code).toBe(2);
    expect((await inShell("lpar nonsense 2>&-")).code).toBe(2);
    expect((await inShell("lpar --help > /dev/full 2>&1")).code).toBe(1);
  });

  it("is a failure when a file takes only its beginning", async () => {
    // Of 512 or 1024 bytes, as the shell counts.
    const { code, errors } = await inShell("ulimit -f 1; lpar bench --help > help.txt");
    expect([code, errors]).toEqual([1, "lpar: the output cannot be written (EFBIG: file too large)\n"]);
  });
});

describe("files", () => {
  it("are tried each for itself, after the results are printed", async () => {
    const { code, output, errors } = await inShell(
      `ulimit -f 4; lpar bench --from "${before}" --csv --out small.json --out big.html --html other.html`,
    );
    expect(output).toMatch(/^suite,what,/);
    expect(code).toBe(1);
    expect(errors.trimEnd().split("\n").sort()).toEqual([
      "lpar: big.html: cannot be written (EFBIG: file too large)",
      "lpar: other.html: cannot be written (EFBIG: file too large)",
    ]);
    expect(readdirSync(folder).sort()).toEqual(["after.json", "before.json", "bin", "small.json", "tmp"]);
  });

  it("of a scenario that cannot be written are told in one line", async () => {
    const { code, output, errors } = await inShell(
      `ulimit -f 1; lpar run "${SCENARIO}" --snapshot after.json`,
    );
    expect(output).toContain("audit");
    expect([code, errors]).toEqual([1, "lpar: after.json: cannot be written (EFBIG: file too large)\n"]);
    expect(readFileSync(after, "utf8")).toContain("lpar bench");
  });

  it("are refused when two of them are one", async () => {
    symlinkSync(before, join(folder, "link.json"));
    const [a, same] = [join(folder, "a.json"), join(folder, "bin", "..", "a.json")];
    for (const args of [
      ["--out", a, "--html", a],
      ["--out", a, "--out", same],
      ["--out", before],
      ["--html", join(folder, "link.json")],
    ]) {
      const { code, output, errors } = await onTerminal(["bench", "--from", before, ...args]);
      expect([code, output], args.join(" ")).toEqual([2, ""]);
      expect(errors).toMatch(
        /json: named twice; each of --from, --out and --html takes a file of its own\n$/,
      );
    }
    expect(existsSync(a)).toBe(false);
  });
});

/** A program called cc whose baselines do what the shell script says with each line. */
function fakeCompiler(script: string, mode = "755"): void {
  const path = join(folder, "bin", "cc");
  writeFileSync(
    path,
    `#!/bin/sh
if [ "$1" = --version ]; then echo "fake cc"; exit; fi
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\nwhile read -r word rest; do ${script}; done\\n' > "$2"
chmod ${mode} "$2"
`,
  );
  chmodSync(path, 0o755);
}

const temporary = (): string[] => readdirSync(join(folder, "tmp"));

/** A benchmark with that compiler; what `begun` does once it has begun. */
async function bench(
  args: readonly string[],
  begun: (kill: (signal: NodeJS.Signals) => void) => void = () => {},
  tmp: string = join(folder, "tmp"),
): Promise<Ended> {
  const env = { ...process.env, TMPDIR: tmp, PATH: `${join(folder, "bin")}:/bin:/usr/bin` };
  const child = spawn(process.execPath, [MAIN, "bench", ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = Promise.all([
    once(child, "exit") as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  // The baselines run once before the first scenario begins, which then waits for them.
  while (child.exitCode === null && !existsSync(join(folder, "begun"))) await sleep(20);
  begun((signal) => child.kill(signal));
  const [[code], output, errors] = await ended;
  return { code, output, errors };
}

/** Baselines that take three seconds for an answer, and leave a word that they have begun. */
const slowly = (): void => fakeCompiler(`touch ${join(folder, "begun")}; sleep 3; echo ok`);

describe("the C baselines", () => {
  it("are left out where no file can be made or no program may run, and the rest is measured", async () => {
    fakeCompiler("echo ok", "644");
    const args = ["boundary", ...SHORT, "--json"];
    const noexec = await bench(args);
    expect([noexec.code, noexec.errors]).toEqual([0, ""]);
    expect(JSON.parse(noexec.output)).toMatchObject({
      compiler: null,
      nativeMissing: `programs in ${join(folder, "tmp")} cannot be started (EACCES)`,
      isComplete: true,
    });
    expect(temporary()).toEqual([]);
    const nowhere = await bench(args, undefined, join(folder, "none"));
    expect([nowhere.code, nowhere.errors]).toEqual([0, ""]);
    expect(JSON.parse(nowhere.output).nativeMissing).toBe(
      `${join(folder, "none")} cannot be written (ENOENT)`,
    );
  });

  it.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("leave no file behind after %s", async (signal, code) => {
    slowly();
    expect((await bench(["grant", ...SHORT], (kill) => kill(signal))).code).toBe(code);
    expect(temporary()).toEqual([]);
  });

  it("leave no file behind after a second Ctrl-C", async () => {
    slowly();
    const { code } = await bench(["grant", ...SHORT], (kill) => {
      kill("SIGINT");
      setTimeout(kill, 300, "SIGINT");
    });
    expect(code).toBe(130);
    expect(temporary()).toEqual([]);
  });
});

describe("Ctrl-C", () => {
  it("replaces no report that is there: what was measured is written beside it", async () => {
    const begun = join(folder, "begun");
    writeFileSync(join(folder, "bin", "cc"), `#!/bin/sh\ntouch ${begun}\nexec sleep 60\n`, { mode: 0o755 });
    const good = readFileSync(before, "utf8");
    const fresh = join(folder, "fresh.json");
    const args = ["grant", ...SHORT, "--out", before, "--out", fresh];
    const { code, errors } = await bench(args, (kill) => kill("SIGINT"));
    const beside = join(folder, "before.interrupted.json");
    expect([code, errors]).toEqual([
      130,
      `lpar: ${before} stays as it was; what was measured is in ${beside}\n`,
    ]);
    expect(readFileSync(before, "utf8")).toBe(good);
    for (const path of [beside, fresh])
      expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ isComplete: false });
  });
});

describe("lpar bench churn", () => {
  it("names the bound of its pages", async () => {
    const { code, output, errors } = await onTerminal(["bench", "churn", "--pages", "1048576"]);
    expect([code, output]).toEqual([2, ""]);
    expect(errors).toBe("lpar: the suite churn takes --pages of at most 786432, but got 1048576\n");
  });
});
