import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { InvalidArgumentError } from "commander";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  formatBars,
  formatBytes,
  formatCount,
  formatPercent,
  formatSeconds,
  formatTable,
  printable,
  writeBeside,
} from "../src/driver/output.js";
import { runProgram } from "../src/driver/program.js";
import { createProgress } from "../src/driver/progress.js";
import { integerOption, numberOption, textOption, UsageError } from "../src/driver/usage-error.js";
import { readTrace } from "../src/trace/format.js";

const TEXT = `==7== Command: prog
I  04016b00,3
 L 1ffefffe70,8
prog: warning
 S 1ffefffffc,8
 M 0421c2a8,4
`;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lpar-trace-cli-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

class Screen {
  readonly isTTY: boolean;
  text = "";

  constructor(isTTY: boolean = false) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

/** Runs the command line as the program does, with these streams. */
async function lpar(
  args: readonly string[],
  input: Readable = Readable.from([]),
  tty = false,
): Promise<Outcome> {
  const output = new Screen();
  const errors = new Screen(tty);
  const code = await runProgram(args, { input, output, errors, exitCode: 0 });
  return { code, output: output.text, errors: errors.text };
}

describe("lpar trace pack", () => {
  it("packs a file and says what it kept, dropped and did not understand", async () => {
    const [input, packed] = [join(folder, "prog.txt"), join(folder, "prog.lpt")];
    await writeFile(input, TEXT);
    const { code, output, errors } = await lpar(["trace", "pack", input, "-o", packed]);
    expect([code, errors]).toEqual([0, ""]);
    const sha256 = createHash("sha256")
      .update(await readFile(packed))
      .digest("hex");
    expect(output).toContain(`references  3 kept, on 3 pages\nsplit       1 at a page border\n`);
    expect(output).toContain(`fetches     1 dropped\n`);
    expect(output).toContain(`malformed   1, the first is line 4: "prog: warning"\n`);
    expect(output).toMatch(/size {8}\d+ B packed to \d+ B, \d\.\d : 1\n/);
    expect(output).toContain(`sha-256     ${sha256}\n`);
    expect((await readTrace(packed)).length).toBe(4);
  });

  it("packs the standard input in whatever chunks it comes, with its origin, and prints JSON", async () => {
    const packed = join(folder, "prog.lpt");
    const chunks = Readable.from([...TEXT].map((letter) => Buffer.from(letter)));
    const origin = ["--program", "prog", "--program-version", "1.2", "--command", "prog -x"];
    const { code, output } = await lpar(["trace", "pack", "-", "-o", packed, ...origin, "--json"], chunks);
    const bytes = await readFile(packed);
    expect(code).toBe(0);
    expect(JSON.parse(output)).toEqual({
      file: packed,
      textBytes: TEXT.length,
      lines: 6,
      references: 3,
      fetches: 1,
      malformed: 1,
      firstMalformed: { line: 4, text: "prog: warning" },
      packedReferences: 4,
      pages: 3,
      packedBytes: bytes.length,
      ratio: TEXT.length / bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    });
    expect((await readTrace(packed)).metadata).toMatchObject({
      program: "prog",
      version: "1.2",
      command: "prog -x",
    });
  });

  it("takes nothing from an input without data references, exits with 2, and leaves no file", async () => {
    const nothing = Readable.from([Buffer.from("bash: valgrind: command not found\n")]);
    const { code, output, errors } = await lpar(["trace", "pack", "-", "-o", join(folder, "x.lpt")], nothing);
    expect([code, output]).toEqual([2, ""]);
    expect(errors).toBe(
      'lpar: standard input: no data references; malformed lines: 1, the first is line 1: "bash: valgrind: command not found"\n',
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it("leaves nothing half-written, and an older file as it was, when the input fails", async () => {
    const packed = join(folder, "prog.lpt");
    await writeFile(packed, "older");
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from(TEXT);
        expect(await readdir(folder)).toHaveLength(2);
        throw new Error("the disk is gone");
      })(),
    );
    await expect(lpar(["trace", "pack", "-", "-o", packed, "-f"], broken)).rejects.toThrow(
      "the disk is gone",
    );
    expect(await readdir(folder)).toEqual(["prog.lpt"]);
    expect(await readFile(packed, "utf8")).toBe("older");
  });

  it("replaces a file only with --force", async () => {
    const packed = join(folder, "prog.lpt");
    await writeFile(packed, "older");
    const input = (): Readable => Readable.from([Buffer.from(TEXT)]);
    const refused = await lpar(["trace", "pack", "-", "-o", packed], input());
    expect(refused).toMatchObject({
      code: 2,
      errors: `lpar: ${packed}: the file exists (--force replaces it)\n`,
    });
    expect(await readFile(packed, "utf8")).toBe("older");
    expect((await lpar(["trace", "pack", "-", "-o", packed, "--force"], input())).code).toBe(0);
    expect((await readTrace(packed)).length).toBe(4);
  });

  it("exits with 2 and one line for inputs, outputs and options that cannot be", async () => {
    const out = join(folder, "x.lpt");
    const wrong = [
      [["trace", "pack", join(folder, "none"), "-o", out], /none: cannot be read \(ENOENT: no such file or/],
      [["trace", "pack", folder, "-o", out], /cannot be read \(it is a folder\)/],
      [["trace", "pack", "-", "-o", folder], /: not a file/],
      [
        ["trace", "pack", "-", "-o", join(folder, "no", "x.lpt")],
        /x\.lpt: cannot be written \(ENOENT: no such/,
      ],
      [["trace", "pack", "-"], /required option '-o, --output <file>'/],
      [
        ["trace", "pack", "-", "-o", out, "--program", "x".repeat(2049)],
        /takes at most 2048 characters, but got 2049/,
      ],
      [["trace", "info"], /missing required argument 'file'/],
      [["trace", "info", join(folder, "none")], /none: cannot be read/],
      [["trace", "info", folder], /cannot be read \(EISDIR: illegal operation on a directory\)/],
    ] as const;
    for (const [args, message] of wrong) {
      const { code, output, errors } = await lpar(args);
      expect([code, output], args.join(" ")).toEqual([2, ""]);
      expect(errors).toMatch(message);
      expect(errors).not.toMatch(/\n\s+at /);
      expect(errors.trimEnd().split("\n")).toHaveLength(1);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it("shows progress on a terminal and clears it, and is silent in a pipe", async () => {
    const slow = (): Readable =>
      Readable.from(
        (async function* () {
          for (let i = 0; i < 3; i++) {
            yield Buffer.from(TEXT);
            await new Promise((wake) => setTimeout(wake, 60));
          }
          yield Buffer.from(TEXT);
        })(),
      );
    const terminal = await lpar(["trace", "pack", "-", "-o", join(folder, "a.lpt")], slow(), true);
    const [before, ...drawn] = terminal.errors.split("\r\x1b[K");
    expect([before, drawn.at(-1)]).toEqual(["", ""]);
    expect(drawn.length).toBeGreaterThan(1);
    for (const line of drawn.slice(0, -1)) expect(line).toMatch(/^reading standard input \d+ B$/);
    const pipe = await lpar(["trace", "pack", "-", "-o", join(folder, "b.lpt")], slow());
    expect(pipe.errors).toBe("");
  });

  it("gives examples in its help texts", async () => {
    for (const args of [["trace"], ["trace", "pack"], ["trace", "info"]]) {
      const { output } = await lpar([...args, "--help"]);
      expect(output).toContain("| lpar trace pack - -o ls.lpt --program ls");
    }
  });
});

describe("lpar trace info", () => {
  it("describes each file, and what its names hold cannot steer the terminal", async () => {
    const packed = join(folder, "prog.lpt");
    const input = Readable.from([Buffer.from(TEXT)]);
    await lpar(["trace", "pack", "-", "-o", packed, "--program", "evil\x1b[2J", "--command", "a\nb"], input);
    const { code, output } = await lpar(["trace", "info", packed, packed]);
    expect(code).toBe(0);
    expect(output.match(/references {4}4 on 3 pages/g)).toHaveLength(2);
    expect(output).toContain("program       evil?[2J\ncommand       a?b\n");
    expect(output).toContain("writes        2 (50.0 %)\n");
    expect(output).toContain(`  1  ${"#".repeat(40)}  2  50.0 %\n`);
    expect(output).not.toContain("\x1b");
  });

  it("prints JSON with one element for each file", async () => {
    const traces = join(import.meta.dirname, "..", "bench", "traces");
    const files = ["ls.lpt", "sort.lpt"].map((file) => join(traces, file));
    const { output } = await lpar(["trace", "info", "--json", ...files]);
    const reports = JSON.parse(output);
    expect(reports).toHaveLength(2);
    expect(reports[0]).toMatchObject({ file: files[0], metadata: { program: "ls" } });
    expect(reports[0].statistics.references).toBe(reports[0].metadata.references);
  });

  it("names the file that is no trace, and prints nothing with --json", async () => {
    const foreign = join(folder, "foreign.lpt");
    await writeFile(foreign, "hello");
    expect(await lpar(["trace", "info", "--json", foreign])).toEqual({
      code: 2,
      output: "",
      errors: `lpar: ${foreign}: not a packed trace (make one with \`lpar trace pack\`)\n`,
    });
  });
});

describe("a file written beside", () => {
  it("appears whole, under its name only, and gives the result of writing", async () => {
    const path = join(folder, "out.json");
    const result = await writeBeside(path, async (file) => {
      await file.writeFile("half ");
      expect(await readdir(folder)).not.toContain("out.json");
      await file.writeFile("whole");
      return 42;
    });
    expect(result).toBe(42);
    expect(await readdir(folder)).toEqual(["out.json"]);
    expect(await readFile(path, "utf8")).toBe("half whole");
  });

  it("is removed by a signal, which then ends the process", async () => {
    const kill = vi.spyOn(process, "kill").mockReturnValue(true);
    const listeners = process.listenerCount("SIGHUP");
    try {
      const interrupted = writeBeside(join(folder, "out"), async (file) => {
        await file.writeFile("half");
        process.emit("SIGHUP", "SIGHUP");
        expect(await readdir(folder)).toEqual([]);
        throw new Error("interrupted");
      });
      await expect(interrupted).rejects.toThrow("interrupted");
      if (listeners === 0) expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, "SIGHUP");
      expect(process.listenerCount("SIGHUP")).toBe(listeners);
    } finally {
      kill.mockRestore();
    }
  });

  it("never takes the place of what is no file, and leaves no listeners", async () => {
    const listeners = process.listenerCount("SIGINT");
    await mkdir(join(folder, "folder"));
    await symlink(join(folder, "folder"), join(folder, "link"));
    for (const name of ["folder", "link"])
      await expect(writeBeside(join(folder, name), async () => 0)).rejects.toThrow(UsageError);
    expect(process.listenerCount("SIGINT")).toBe(listeners);
  });
});

describe("progress", () => {
  it("redraws at most every 100 ms, as a bar or as a count, and clears its line once", () => {
    let time = 0;
    const screen = new Screen(true);
    const progress = createProgress("reading", screen, { now: () => time });
    for (; time < 1000; time++) progress.update(time, 2000);
    expect(screen.text.split("\r\x1b[K").slice(1)).toHaveLength(9);
    expect(screen.text).toContain(`reading [${"#".repeat(13)}${".".repeat(17)}] 45 % of 2,000`);
    time = 2000;
    progress.update(12345);
    expect(screen.text.endsWith("\r\x1b[Kreading 12,345")).toBe(true);
    progress.end();
    const text = screen.text;
    expect(text.endsWith("\r\x1b[K")).toBe(true);
    time = 9000;
    progress.update(1);
    progress.end();
    expect(screen.text).toBe(text);
  });

  it("writes nothing for what is over at once, nor when the stream is no terminal", () => {
    const quick = new Screen(true);
    const progress = createProgress("quick", quick, { now: () => 0 });
    progress.update(1, 2);
    progress.end();
    let time = 0;
    const pipe = new Screen(false);
    const silent = createProgress("pipe", pipe, { now: () => (time += 1000) });
    silent.update(1, 2);
    silent.end();
    expect([quick.text, pipe.text]).toEqual(["", ""]);
  });

  it("never fills the width of the terminal", () => {
    let text = "";
    const narrow = { isTTY: true, columns: 20, write: (more: string) => (text += more) };
    let time = 0;
    createProgress("a long label", narrow, { now: () => (time += 1000) }).update(1, 2);
    expect(text).toBe("\r\x1b[Ka long label [#####");
    text = "";
    createProgress("any", { ...narrow, columns: 0 }, { now: () => (time += 1000) }).update(7);
    expect(text).toBe("\r\x1b[Kany 7");
  });
});

describe("options", () => {
  it("out of range are answered with the option, the bounds and the value", () => {
    const threads = integerOption("--threads", 1, 64);
    expect(["1", "64", "+7"].map(threads)).toEqual([1, 64, 7]);
    for (const value of ["0", "65", "-1", "1.5", "1e1", "0x10", "", " 1", "two", "99999999999999999999"])
      expect(() => threads(value)).toThrow(
        new InvalidArgumentError(`--threads takes a whole number from 1 to 64, but got "${value}".`),
      );
    const share = numberOption("--share", 0, 1);
    expect(["0", "0.5", "1e-3"].map(share)).toEqual([0, 0.5, 0.001]);
    for (const value of ["-0.1", "1.1", "", " ", "NaN", "Infinity", "half"])
      expect(() => share(value)).toThrow(`--share takes a number from 0 to 1, but got "${value}".`);
    expect(textOption("--name", 3)("abc")).toBe("abc");
    expect(() => textOption("--name", 3)("abcd")).toThrow("--name takes at most 3 characters, but got 4.");
  });
});

describe("figures", () => {
  it("have three digits and a unit", () => {
    expect([0, 999, 1234567].map(formatCount)).toEqual(["0", "999", "1,234,567"]);
    expect([0, 1023, 1024, 1536, 1048575, 2 ** 40, 2 ** 52].map(formatBytes)).toEqual([
      "0 B",
      "1023 B",
      "1 KiB",
      "1.5 KiB",
      "1 MiB",
      "1 TiB",
      "4096 TiB",
    ]);
    expect([0, 1.234e-8, 9.999e-7, 0.00456, 1, 61.25, 119.99, 120, 3601].map(formatSeconds)).toEqual([
      "0 ns",
      "12.3 ns",
      "1 us",
      "4.56 ms",
      "1 s",
      "61.3 s",
      "120 s",
      "2 min 0 s",
      "60 min 1 s",
    ]);
    expect([0, 0.1234, 1].map(formatPercent)).toEqual(["0.0 %", "12.3 %", "100.0 %"]);
  });

  it("stand in aligned columns without spaces at the end", () => {
    const rows = [
      ["name", "count", ""],
      ["a", "1,000", "x"],
    ];
    expect(formatTable(rows, "lrl")).toBe("name  count\na     1,000  x");
    expect(formatTable([], "lr")).toBe("");
    // Wide characters, a mark, a joined emoji and a flag: as terminals count.
    const wide = [
      ["\u65e5\u672c"],
      ["e\u0301t\u00e9"],
      ["\u{1f469}\u200d\u{1f680}"],
      ["\u{1f1ef}\u{1f1f5}"],
      ["ab"],
    ];
    const padded = wide.map(([name = ""], index) => `${name}${" ".repeat([2, 3, 4, 4, 4][index] ?? 0)}x`);
    expect(
      formatTable(
        wide.map((row) => [...row, "x"]),
        "lr",
      ),
    ).toBe(padded.join("\n"));
  });

  it("become bars, of which the longest has the whole width and the smallest still shows", () => {
    const bars = [
      { label: "1", value: 1, notes: ["1"] },
      { label: "10", value: 1000, notes: ["1000"] },
      { label: "100", value: 0, notes: ["0"] },
    ];
    expect(formatBars(bars, 4)).toBe("  1  #        1\n 10  ####  1000\n100           0");
    expect(formatBars([])).toBe("");
  });

  it("and texts from outside hold nothing that a terminal obeys", () => {
    expect(printable("a\x00\x1b[2J\r\n\x9b\u202eb\u00e9\u{1f600}")).toBe("a??[2J????b\u00e9\u{1f600}");
  });
});
