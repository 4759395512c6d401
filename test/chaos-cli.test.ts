/** `lpar chaos` from outside: what it prints, how it ends, and that each of its checks finds what it is there for. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DEATHS } from "../src/chaos/deaths.js";
import { FLAT_BYTES, FLAT_KILLS, ResidentMemory, residentBytes } from "../src/chaos/memory.js";
import { checkOptions } from "../src/chaos/options.js";
import { Plan } from "../src/chaos/plan.js";
import { type ChaosReport, percentilesOf } from "../src/chaos/report.js";
import { describeChaos, finish } from "../src/driver/chaos.js";
import { runProgram } from "../src/driver/program.js";
import { type Circumstances, inPipe, type Outcome, Screen } from "./support/cli.js";

const DIST = join(import.meta.dirname, "..", "dist", "src");
const KILLS = Number(process.env.LPAR_CHAOS_KILLS ?? 60);
const SEED = 7;
const WORKERS = 4;
/** Of the longest run: a kill takes a fraction of this. */
const RUN_MS = 120_000 + KILLS * 1000;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lpar-chaos-cli-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

function chaos(args: readonly string[], circumstances: Circumstances = {}): Promise<Outcome> {
  return inPipe(["chaos", ...args], circumstances);
}

/** The command in this process, on a terminal. @param run the built one can start threads. */
async function onTerminal(
  args: readonly string[],
  run: typeof runProgram = runProgram,
  errors: Screen = new Screen(true),
): Promise<Outcome> {
  const output = new Screen(true);
  const code = await run(["chaos", ...args], { input: Readable.from([]), output, errors, exitCode: 0 });
  return { code, output: output.text, errors: errors.text };
}

/** How often each kind comes among the first deaths of a plan. */
function plannedKinds(seed: number, workers: number, kills: number): Record<string, number> {
  const plan = new Plan(seed, workers);
  const counts = Object.fromEntries(DEATHS.map(({ kind }) => [kind, 0]));
  for (let left = kills; left > 0; left--) {
    const { kind } = plan.next().death;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

describe("the plan of deaths", () => {
  const draw = (seed: number, workers: number): unknown[] => {
    const plan = new Plan(seed, workers);
    return Array.from({ length: 200 }, () => {
      const { death, ...rest } = plan.next();
      return { kind: death.kind, ...rest };
    });
  };

  it("is the same for the same seed, and another one for another", () => {
    expect(draw(7, 4)).toEqual(draw(7, 4));
    expect(draw(7, 4)).not.toEqual(draw(8, 4));
  });

  it("has each kind of death as often as its weight says, again and again", () => {
    const round = DEATHS.reduce((sum, { weight }) => sum + weight, 0);
    for (const rounds of [1, 2, 10]) {
      const expected = Object.fromEntries(DEATHS.map(({ kind, weight }) => [kind, weight * rounds]));
      expect(plannedKinds(3, 4, round * rounds)).toEqual(expected);
    }
  });

  it("strikes every thread, and early only by what is sudden", () => {
    const plan = new Plan(1, 5);
    const seats = new Set<number>();
    let early = 0;
    for (let left = 500; left > 0; left--) {
      const { death, isEarly, pauseMs, seat } = plan.next();
      seats.add(seat);
      if (isEarly) early++;
      expect(pauseMs).toBeLessThan(20);
      expect(isEarly && !death.isSudden).toBe(false);
    }
    expect([...seats].sort()).toEqual([0, 1, 2, 3, 4]);
    expect(early).toBeGreaterThan(5);
  });
});

describe("resident memory", () => {
  /** @param bytes after the death of that number, from 1 on. */
  const faultOf = (kills: number, bytes: (death: number) => number): string | undefined => {
    const memory = new ResidentMemory(kills);
    for (let death = 1; death <= kills; death++) memory.sample(bytes(death));
    return memory.fault;
  };
  const WARM = 90 * 2 ** 20;

  it("is flat whatever single figures do, up to the bound", () => {
    expect(faultOf(1000, (death) => WARM + (death % 7 === 0 ? 4 * FLAT_BYTES : 0))).toBeUndefined();
    expect(faultOf(1000, (death) => WARM + (death > 500 ? FLAT_BYTES : 0))).toBeUndefined();
    expect(faultOf(1000, (death) => WARM - death * 1024)).toBeUndefined();
  });

  it("is not flat beyond the bound: a leak of 80 KiB a death is one of 1,000 deaths, one of 8 KiB of 10,000", () => {
    const message = /^resident memory grew from \d+ to \d+ bytes in (500|1000|10000) deaths$/;
    expect(faultOf(FLAT_KILLS, (death) => WARM + (death > 250 ? FLAT_BYTES + 1 : 0))).toMatch(message);
    expect(faultOf(1000, (death) => WARM + death * 80 * 1024)).toMatch(message);
    expect(faultOf(10_000, (death) => WARM + death * 8 * 1024)).toMatch(message);
    // A start alone is no leak.
    expect(faultOf(FLAT_KILLS - 1, (death) => WARM + death * 2 ** 20)).toBeUndefined();
  });

  it("is flat where the engine gives its heap more room, and not where more of that is used", () => {
    const grown = (used: number) => (death: number) => {
      const room = Math.min(death, 750) * 2 ** 17;
      return residentBytes({
        rss: 2 * WARM + room,
        heapTotal: WARM + room,
        heapUsed: WARM / 2 + used * room,
      });
    };
    expect(faultOf(1000, grown(0))).toBeUndefined();
    expect(faultOf(1000, grown(1))).toMatch(/^resident memory grew/);
  });

  it("has no level before the first death, then medians", () => {
    const memory = new ResidentMemory(30);
    expect(memory.levels).toEqual({ start: null, end: null });
    for (const bytes of [5, 1, 3, 8, 9, 20]) memory.sample(bytes);
    expect(memory.levels).toEqual({ start: 3, end: 9 });
  });
});

describe("lpar chaos", { timeout: RUN_MS }, () => {
  const run = ["--kills", String(KILLS), "--seed", String(SEED), "--workers", String(WORKERS)];

  it(`survives ${KILLS} kills of every kind, and prints the figures as one JSON object`, async () => {
    const { code, output, errors } = await chaos([...run, "--json"]);
    expect([code, errors], output).toEqual([0, ""]);
    const report: ChaosReport = JSON.parse(output);
    expect(output).toBe(`${JSON.stringify(report)}\n`);
    expect(report).toMatchObject({
      version: 1,
      verdict: "clean",
      violation: null,
      options: { kills: KILLS, seed: SEED, workers: WORKERS, graceMs: 2 },
      kills: KILLS,
      // What the seed says, whatever the machine did.
      killsByKind: plannedKinds(SEED, WORKERS, KILLS),
      audits: KILLS + 1,
    });
    if (KILLS >= 19) expect(Object.values(report.killsByKind).every((count) => count > 0)).toBe(true);
    for (const [kind, count] of Object.entries(report.operationsByKind))
      expect(count, kind).toBeGreaterThan(0);
    const { refused = 0, ...done } = report.operationsByKind;
    expect(report.operations).toBe(Object.values(done).reduce((sum, count) => sum + count, 0));
    expect(refused).toBeLessThan(report.operations);
    expect(report.factsAudited).toBeGreaterThan(KILLS * 100);
    expect(report.pagesMoved).toBeGreaterThan(KILLS);
    for (const { p50, p90, p99, max } of [report.recoveryMs ?? percentilesOf([-1]), report.loopDelayMs]) {
      expect(p50).toBeGreaterThanOrEqual(0);
      expect([p50, p90, p99, max]).toEqual([p50, p90, p99, max].sort((a, b) => a - b));
    }
    const { start, end } = report.rss;
    expect(start).toBeGreaterThan(2 ** 20);
    // Few deaths are over before the process is warm: twice the bound. From FLAT_KILLS on the command itself is strict.
    expect((end ?? Number.NaN) - (start ?? Number.NaN)).toBeLessThan(2 * FLAT_BYTES);
  });

  it("prints the verdict in the first line, and nothing to the errors in a pipe", async () => {
    const { code, output, errors } = await chaos(["--kills", "12", "--seed", "3", "--workers", "3"]);
    expect([code, errors], output).toEqual([0, ""]);
    const ms = "p50 [\\d.]+ ms, p90 [\\d.]+ ms, p99 [\\d.]+ ms, max [\\d.]+ ms";
    expect(output).toMatch(
      /^CLEAN: 12 kills in [\d.]+ m?s, 3 workers, seed 3, 13 audits of [\d,]+ facts without a problem, every wait settled, no sealed record torn\n\n/,
    );
    expect(output).toMatch(/\nkills +\d+ [a-z]+(, \d+ [a-z]+)*\n/);
    expect(output).toMatch(new RegExp(`\\nrecovery +${ms}\\n`));
    expect(output).toMatch(new RegExp(`\\nowner's loop +late by ${ms}\\n`));
    expect(output).toMatch(/\noperations +[\d,]+, of them [\d,]+ refused\n +[\d,]+ allocate, /);
    expect(output).toMatch(/\nmemory +[\d.]+ MiB resident at first, [\d.]+ MiB at the end\n$/);
    // Plain ASCII, and no line ends in a space.
    expect(output).toMatch(/^[\n\x20-\x7e]*$/);
    expect(output).not.toMatch(/ \n/);
  });

  it("runs at the ends of its bounds", async () => {
    const least = await chaos(["--kills", "1", "--seed", "0", "--workers", "2", "--grace", "0"]);
    expect([least.code, least.errors], least.output).toEqual([0, ""]);
    const most = await chaos(["--kills", "1", "--seed", "4294967295", "--workers", "16"]);
    expect([most.code, most.errors], most.output).toEqual([0, ""]);
    const options = { kills: 10_000_000, seed: 2 ** 32 - 1, workers: 16, graceMs: 10_000 };
    expect(checkOptions(options)).toEqual(options);
    expect(checkOptions({})).toEqual({ kills: 1000, seed: 1, workers: 4, graceMs: 2 });
    expect(() => checkOptions({ graceMs: 10_001 })).toThrow(
      new RangeError("graceMs is 10001; it must be an integer from 0 to 10000"),
    );
  });

  it("answers each option out of range with its name, its value and its bounds", async () => {
    const wrong: readonly [string, readonly string[], string][] = [
      ["--kills", ["0", "10000001", "1.5", "all", ""], "a whole number from 1 to 10000000"],
      ["--seed", ["-1", "4294967296", "x"], "a whole number from 0 to 4294967295"],
      ["--workers", ["1", "17", "2.5"], "a whole number from 2 to 16"],
      ["--grace", ["-1", "10001", "1e3"], "a whole number from 0 to 10000"],
    ];
    for (const [option, values, bounds] of wrong) {
      for (const value of values) {
        const { code, output, errors } = await onTerminal([`${option}=${value}`]);
        expect([code, output]).toEqual([2, ""]);
        expect(errors).toContain(`${option} takes ${bounds}, but got "${value}".`);
        expect(errors.trimEnd().split("\n")).toHaveLength(1);
      }
    }
    for (const args of [["--kill", "5"], ["5"], ["--kills"]]) {
      const { code, output, errors } = await onTerminal(args);
      expect([code, output], args.join(" ")).toEqual([2, ""]);
      expect(errors).toMatch(/^error: /);
      expect(errors).not.toMatch(/\n +at /);
    }
    expect((await chaos(["--workers", "1"])).code).toBe(2);
  });

  it("ends at once by Ctrl-C, prints what was done until then, and exits with 130", async () => {
    // A child that is too slow to start is killed by the signal, or has killed nobody yet: then once more.
    const args = ["--kills", "1000000", "--seed", "2", "--json"];
    const killsOf = ({ code, output }: Outcome): number => (code === null ? 0 : JSON.parse(output).kills);
    let outcome = await chaos(args, { interruptMs: 2000 });
    for (let ms = 4000; killsOf(outcome) === 0 && ms < 40_000; ms *= 2)
      outcome = await chaos(args, { interruptMs: ms });
    expect([outcome.code, outcome.errors]).toEqual([130, ""]);
    const report: ChaosReport = JSON.parse(outcome.output);
    expect(report).toMatchObject({ verdict: "interrupted", violation: null, options: { kills: 1_000_000 } });
    expect(report.audits).toBeGreaterThanOrEqual(report.kills);
    expect(describeChaos(report)).toMatch(
      /^INTERRUPTED: \d+ kills? in .*, 4 workers, seed 2, .* until then; not everything was looked at to the end\n/,
    );
  });

  it("shows progress on a terminal, takes Ctrl-C at any moment, and stops to listen afterwards", async () => {
    const url = pathToFileURL(join(DIST, "driver", "program.js")).href;
    const built: { runProgram: typeof runProgram } = await import(url);
    const listeners = process.listenerCount("SIGINT");
    const atStart = onTerminal(["--kills", "50"], built.runProgram);
    process.emit("SIGINT", "SIGINT");
    const first = await atStart;
    expect(first.code).toBe(130);
    expect(first.output).toMatch(/^INTERRUPTED: 0 kills .*\n\nkills +none\nrecovery +none\n/);
    expect(first.output).toMatch(/\nmemory +none\n$/);

    const screen = new Screen(true);
    const write = screen.write.bind(screen);
    screen.write = (text) => {
      write(text);
      if (!text.includes("killing")) return;
      // A second one would end this process.
      screen.write = write;
      process.emit("SIGINT", "SIGINT");
    };
    const { code, output, errors } = await onTerminal(["--kills", "5000"], built.runProgram, screen);
    expect(code).toBe(130);
    expect(output).toMatch(/^INTERRUPTED: \d+ kills /);
    const [before, ...drawn] = errors.split("\r\x1b[K");
    expect([before, drawn.at(-1)]).toEqual(["", ""]);
    expect(drawn[0]).toMatch(/^killing \[\.*\] 0 % of 5,000$/);
    expect(process.listenerCount("SIGINT")).toBe(listeners);
  });

  it("has examples and what is checked in its help text", async () => {
    const { code, output } = await onTerminal(["--help"]);
    expect(code).toBe(0);
    expect(output).toContain("$ lpar chaos --kills 10000 --seed 7 --workers 4");
    expect(output).toContain("in 500 kills or more, resident memory may not have grown by more than 64 MiB");
    for (const { kind } of DEATHS) expect(output).toMatch(new RegExp(`\\b${kind} {2,}`));
  });
});

/** What can be tampered with, by its module. */
const CLASSES: ReadonlyMap<string, string> = new Map([
  ["partition", "Partition"],
  ["resource-table", "ResourceTable"],
  ["mapping", "Mapping"],
  ["dma", "Dma"],
  ["interrupts", "Interrupts"],
  ["mmio", "Mmio"],
  ["stream", "Stream"],
]);

/** Something that goes wrong in the built library, in its workers or in the owner's thread, and what must be said of it. */
interface Sabotage {
  readonly what: string;
  readonly where: "workers" | "owner";
  /** JavaScript in which `kernelOf`, `layout` and the classes above are the built ones. */
  readonly code: string;
  readonly found: RegExp;
  /** In how many kills it must be found, if not in 40: chance decides whether somebody looks again at what it spoils. */
  readonly kills?: number;
}

const SABOTAGES: readonly Sabotage[] = [
  {
    what: "a record that is announced with a wrong byte",
    where: "workers",
    code: `
      const { write } = Partition.prototype;
      let count = 0;
      Partition.prototype.write = function (address, bytes) {
        return write.call(this, address, ++count % 40 === 0 ? bytes.map((byte) => byte ^ 16) : bytes);
      };`,
    found:
      /record \d+ of ring \d+, announced up to \d+: (byte \d+ is|is of)|: word \d+ is|not what was written/,
  },
  {
    what: "a call that is refused without a reason",
    where: "workers",
    code: `
      const { add32, free } = Partition.prototype;
      Partition.prototype.add32 = function (address, value) {
        // Past the end of any space: what is freed by mistake would be found as something else.
        free.call(this, 2 ** 50);
        return add32.call(this, address, value);
      };`,
    found: /refused: H_FREE: H_PARAMETER/,
  },
  {
    what: "a forced rescind that says too early that it is done",
    where: "workers",
    code: "Partition.prototype.rescindForced = async () => ({});",
    found:
      /refused: H_(FREE|GRANT)|somebody wrote to pages|announced up to \d+, then up to|is of \d+, another ring|: byte \d+ is 238|: the (lender|device|model) |, which has no right/,
  },
  {
    what: "pages that move and lose their first byte",
    where: "workers",
    code: `
      const { migrate } = Partition.prototype;
      Partition.prototype.migrate = async function (address, length) {
        const report = await migrate.call(this, address, length);
        for (let at = 0; report.pagesMoved > 0 && at < length; at += 4096) this.fill(address + at, 1, 0xa5);
        return report;
      };`,
    kills: 400,
    // Whoever reads the byte first: rings, counters, graves, messages, and the words of sheets.
    found:
      /: byte \d+ is|own counters|is of \d+, another ring|announced up to|somebody wrote|refused: H_FILL|: header 165$|word \d+ is 0x/m,
  },
  {
    what: "a thread that ends by itself",
    where: "workers",
    code: `
      let count = 0;
      const { copy } = Partition.prototype;
      Partition.prototype.copy = function (...all) {
        return ++count === 5 ? process.exit(3) : copy.apply(this, all);
      };`,
    found: /^worker \d ended by itself: exit code 3$/,
  },
  {
    what: "a thread that dies of something else",
    where: "workers",
    code: `
      const { exit } = process;
      // Without a code it is Node's own call, after an exception that nobody caught.
      process.exit = (code) => {
        if (code === undefined) return exit();
        throw new Error("chaos: as ordered");
      };
      require("node:module").syncBuiltinESMExports();`,
    found: /killed by "exit": the table says that it ended by "Error: chaos: as ordered"/,
  },
  {
    what: "an account that does not balance",
    where: "owner",
    code: `
      const { recovered } = ResourceTable.prototype;
      ResourceTable.prototype.recovered = async function (...all) {
        await recovered.apply(this, all);
        kernelOf(this).memory.words[layout.HEADER_FRAMES_FREE / 4]--;
      };`,
    found: /^worker \d, killed by "[a-z]+": .*frame/,
  },
  {
    what: "something that the dead still hold",
    where: "owner",
    code: `
      const { recovered } = ResourceTable.prototype;
      ResourceTable.prototype.recovered = async function (partition) {
        await recovered.call(this, partition);
        const { usage } = partition;
        partition.usage = () => ({ ...usage.call(partition), pins: 1 });
      };`,
    found: /^worker \d, killed by "[a-z]+": it still holds \{"pins":1\}$/,
  },
  {
    what: "a failure that is told twice",
    where: "owner",
    code: `
      const { events } = Partition.prototype;
      Partition.prototype.events = async function* () {
        for await (const event of events.call(this)) yield* [event, event];
      };`,
    found: /^the failure of partition \d was told twice$/,
  },
];

/** The method of a class, called with what a function makes of its first argument. */
function changed(method: string, change: string): string {
  return `
    const { ${method} } = Partition.prototype;
    Partition.prototype.${method} = function (first, ...rest) {
      return ${method}.call(this, (${change})(first), ...rest);
    };`;
}

/** Of the other kinds of dealings. */
const SABOTAGES_OF_KINDS: readonly Sabotage[] = [
  {
    what: "a copy-on-write grant that is a plain one",
    where: "workers",
    code: changed("grant", "(what) => ({ ...what, copyOnWrite: false })"),
    // The ring is overwritten, or what its owner writes is seen in pages that should be private.
    found: /ring|private page|is not what was written|: \d+ is not the owner's/,
  },
  {
    what: "a lend that is a share",
    where: "workers",
    code: changed(
      "grant",
      '(what) => (what.mode === "lend" ? { ...what, mode: "share", zero: false } : what)',
    ),
    found:
      /^worker \d: Violation: (the lender has access to what it has lent to "(worker \d|home)"|lent by .*, (of another sheet|just accepted))/,
  },
  {
    what: "a lend that is not zeroed",
    where: "workers",
    code: changed("grant", "(what) => ({ ...what, zero: false })"),
    found: /neither zero nor as it was lent|just accepted: word \d+ is 0x[0-9a-f]+ instead of 0x0/,
  },
  {
    what: "a donation that is a share",
    where: "workers",
    code: changed("grant", '(what) => (what.mode === "donate" ? { ...what, mode: "share" } : what)'),
    found: /^worker \d: Violation: (the donor has access to what it offers|donated by "worker \d": a share)/,
  },
  {
    what: "a bus page that stays mapped",
    where: "workers",
    code: "Dma.prototype.remove = () => {};",
    found: /bus address \d+[:,]|somebody wrote to pages|refused: H_RETURN_LOGICAL: H_RESOURCE/,
  },
  {
    what: "a mask that masks nothing",
    where: "workers",
    code: "Interrupts.prototype.mask = () => {};",
    found: /^worker \d: Violation: interrupt \d from partition \d, which is masked/,
  },
  {
    what: "a source that is heard where it is not",
    where: "workers",
    code: `
      const { push } = Stream.prototype;
      Stream.prototype.push = function (event) {
        return push.call(this, event.type === "interrupt" ? { ...event, address: event.address + 20 } : event);
      };`,
    found: /^worker \d: Violation: interrupt 2\d from partition \d, which it does not have/,
  },
  {
    what: "a store to a device that happens twice",
    where: "workers",
    code: `
      const { store32 } = Mmio.prototype;
      Mmio.prototype.store32 = function (...all) {
        store32.apply(this, all);
        return store32.apply(this, all);
      };`,
    found:
      /^worker \d: Violation: the model of a window: partition \d stores \d+ after \d+: it is stored twice/,
  },
];

/** These are found only when patience is at its end. */
const HANGS: readonly Sabotage[] = [
  {
    what: "a forced rescind that never ends",
    where: "workers",
    code: `
      const { rescindForced } = Partition.prototype;
      Partition.prototype.rescindForced = function (...all) {
        rescindForced.apply(this, all).catch(() => {});
        return new Promise(() => {});
      };`,
    found: /^worker \d: Violation: a forced rescind takes 1\d{4} ms/,
  },
  {
    what: "a migration that never ends",
    where: "workers",
    code: `
      const { migrate } = Partition.prototype;
      Partition.prototype.migrate = function (...all) {
        migrate.apply(this, all).catch(() => {});
        return new Promise(() => {});
      };`,
    found: /^worker \d: Violation: a migration takes 1\d{4} ms/,
  },
  {
    what: "an interrupt that is never told",
    where: "workers",
    code: `
      const { push } = Stream.prototype;
      Stream.prototype.push = function (event) {
        if (event.type !== "interrupt") push.call(this, event);
      };`,
    found: /^worker \d: Violation: interrupt \d+ was raised 10000 ms ago, and not heard/,
  },
  {
    what: "a wait for messages that outlives the partner",
    where: "owner",
    code: `
      const { messages } = Partition.prototype;
      Partition.prototype.messages = async function* (adapter) {
        for await (const entry of messages.call(this, adapter)) yield entry;
        await new Promise(() => {});
      };`,
    found: /^messages\(\) did not end after partition "worker \d" had failed$/,
  },
];

describe("lpar chaos finds", { timeout: RUN_MS }, () => {
  async function expectFound({ what, where, code, found }: Sabotage, kills: number): Promise<void> {
    const preload = join(folder, `${what.replaceAll(" ", "-")}.cjs`);
    const urlOf = (name: string): string => JSON.stringify(pathToFileURL(join(DIST, `${name}.js`)).href);
    const modules = ["kernel", "layout", ...CLASSES.keys()].map((name) => `import(${urlOf(name)})`);
    await writeFile(
      preload,
      `if (require("node:worker_threads").isMainThread === ${where === "owner"})
        Promise.all([${modules}]).then(([{ kernelOf }, layout, ...classes]) => {
          const { ${[...CLASSES.values()].join(", ")} } = Object.assign({}, ...classes);
          ${code}
        });`,
    );
    const {
      code: exit,
      output,
      errors,
    } = await chaos(["--json", "--kills", String(kills), "--seed", "5"], {
      preload,
    });
    const report: ChaosReport = JSON.parse(output);
    expect([exit, report.verdict], what).toEqual([1, "violated"]);
    const { step = -1, what: said = "" } = report.violation ?? {};
    expect(said, what).toMatch(found);
    expect(step, what).toBeLessThanOrEqual(kills);
    // Which seed, which step, what: in one line.
    expect(errors).toBe(`lpar: violated at step ${step} of seed 5: ${said.split("\n")[0]}\n`);
    expect(describeChaos(report)).toMatch(
      new RegExp(
        `^VIOLATED at step ${step}: .*\\n  .*\\n(.*\\n)*  again: lpar chaos --kills ${kills} --seed 5 `,
      ),
    );
  }

  for (const sabotage of [...SABOTAGES, ...SABOTAGES_OF_KINDS])
    it(sabotage.what, () => expectFound(sabotage, sabotage.kills ?? 40));

  it("waits that never end", () => Promise.all(HANGS.map((sabotage) => expectFound(sabotage, 400))));

  it("nothing where nothing is: the exit code and the line are those of the verdict", async () => {
    const { output } = await chaos(["--json", "--kills", "2", "--workers", "2"]);
    const clean: ChaosReport = JSON.parse(output);
    const ended = (report: ChaosReport): [number, string] => {
      const errors = new Screen(false);
      const streams = { input: Readable.from([]), output: new Screen(false), errors, exitCode: 0 };
      finish(report, streams);
      return [streams.exitCode, errors.text];
    };
    expect(ended(clean)).toEqual([0, ""]);
    expect(ended({ ...clean, verdict: "interrupted" })).toEqual([130, ""]);
    const violation = { step: 9, what: "a\x1b[2J\nat somewhere" };
    const violated: ChaosReport = { ...clean, verdict: "violated", violation };
    expect(ended(violated)).toEqual([1, "lpar: violated at step 9 of seed 1: a?[2J\n"]);
    expect(describeChaos(violated)).toContain("\n  a?[2J\n  at somewhere\n  again: lpar chaos --kills 2 ");
  });
});
