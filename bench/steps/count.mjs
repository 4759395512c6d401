/**
 * How many instructions an operation of a scenario takes, and in which functions: the same in every run, however busy the machine is,
 * but for what the engine chooses to inline. Linux on x86-64, with a C compiler; after `npm run build`.
 *
 *     node bench/steps/count.mjs SUITE [SCENARIO [WAY [OPERATIONS]]]
 *
 * Without a scenario it lists them. What a program does between two operations is counted, too: the loop around them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { planRuns } from "../../dist/bench/plan.js";

const FUNCTIONS_SHOWN = 30;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SUBJECT = fileURLToPath(new URL("subject.mjs", import.meta.url));

const CORE = [...readFileSync(join(ROOT, "dist/core.wat"), "utf8").matchAll(/^ \(func \$(\S+)/gm)].map(
  ([, name]) => name.replace("assembly/", ""),
);

const [suite = "grant", scenario, way = "0", operations = "20"] = process.argv.slice(2);

if (scenario === undefined) {
  const plan = planRuns({ suites: [suite], quick: false, timeMs: 100, repetitions: 1, seed: 1 });
  for (const [index, entry] of plan.entries()) console.log(`${index}  ${entry.scenario.name}`);
} else {
  const folder = mkdtempSync(join(tmpdir(), "lpar-steps-"));
  try {
    report(count(folder), Number(operations));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Compiles the stepper, and lets it step through the subject, in the folder, where the engine leaves a log. */
function count(folder) {
  const stepper = join(folder, "steps");
  execFileSync("cc", ["-O2", "-o", stepper, fileURLToPath(new URL("steps.c", import.meta.url))]);
  const output = join(folder, "sections");
  const args = [output, process.execPath, "--perf-basic-prof", SUBJECT, suite, scenario, way, operations];
  const { status, stdout, stderr } = spawnSync(stepper, args, { encoding: "utf8", cwd: folder });
  // Where the engine always puts it.
  const code = `/tmp/perf-${stdout.trim()}.map`;
  try {
    if (status !== 0) throw new Error(`the program that is counted ended with ${status}: ${stderr}`);
    const sections = readSections(readFileSync(output, "utf8"));
    return { sections, places: placesOf(readFileSync(code, "utf8"), readFileSync(`${output}.maps`, "utf8")) };
  } finally {
    rmSync(code, { force: true });
  }
}

/** Of each section how often which address was executed. */
function readSections(text) {
  const sections = [];
  for (const line of text.trim().split("\n")) {
    if (line === "section") sections.push(new Map());
    else {
      const [address, times] = line.split(" ").map((word) => Number.parseInt(word, 16));
      sections.at(-1).set(address, times);
    }
  }
  return sections;
}

/** The engine's own map of the code that it made, later entries before earlier ones; then the files of the process. */
function placesOf(made, maps) {
  const code = made
    .split("\n")
    .map((line) => /^([0-9a-f]+) ([0-9a-f]+) (.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, from, length, name]) => {
      const begin = Number.parseInt(from, 16);
      return { begin, end: begin + Number.parseInt(length, 16), name: nameOf(name) };
    })
    .reverse();
  const files = [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/gm)].map(
    ([, from, to, path]) => ({
      begin: Number.parseInt(from, 16),
      end: Number.parseInt(to, 16),
      name: `[${path.split("/").at(-1) || "anonymous"}]`,
    }),
  );
  return [...code, ...files];
}

/** The functions of the core by their names, those of the package by where they stand in it. */
function nameOf(name) {
  const [, index] = /wasm-function\[(\d+)\]/.exec(name) ?? [];
  // Number 0 is what the core imports.
  const core = index === undefined ? undefined : CORE[Number(index) - 1];
  return (core === undefined ? name : `core ${core}`).replace(`file://${ROOT}`, "");
}

/** What the longer section has more than the shorter one is that of its operations alone. */
function report({ sections: [once, twice], places }, operations) {
  const totals = new Map();
  let sum = 0;
  for (const [section, sign] of [
    [twice, 1],
    [once, -1],
  ]) {
    for (const [address, times] of section) {
      const { name } = places.find(({ begin, end }) => begin <= address && address < end) ?? { name: "?" };
      totals.set(name, (totals.get(name) ?? 0) + sign * times);
      sum += sign * times;
    }
  }
  console.log(`${(sum / operations).toFixed(1)} instructions an operation`);
  const sorted = [...totals].sort(([, one], [, other]) => other - one).slice(0, FUNCTIONS_SHOWN);
  for (const [name, times] of sorted)
    if (times >= operations) console.log(`${(times / operations).toFixed(1).padStart(9)}  ${name}`);
}
