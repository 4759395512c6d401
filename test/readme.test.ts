import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { countReached, isMissed } from "../bench/format.js";
import { readmeTable, replaceTable, TABLE_END } from "../bench/readme-table.js";
import { readReport, rowName } from "../bench/report.js";
import { blocks, files, programs } from "./support/readme.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");

test.each(programs())(
  "the README's programs run as they stand and print what stands below them: %#",
  { timeout: 60_000 },
  async (program) => {
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program], { cwd: root });
    expect(stdout).not.toBe("");
    expect(blocks("text")).toContain(stdout);
  },
);

test("the README's program of two threads runs as it stands and prints what stands below it", async () => {
  // Below the root, so that it finds the package by its name.
  const folder = mkdtempSync(`${root}dist/readme-`);
  try {
    expect(files().map(([name]) => name)).toEqual(["main.js", "client.js"]);
    for (const [name, text] of files()) writeFileSync(`${folder}/${name}`, text);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [`${folder}/main.js`]);
    expect(stderr).toBe("");
    expect(blocks("text")).toContain(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the README's replay prints what stands there, but for the times", async () => {
  const shown = blocks("text").find((text) => text.startsWith("$ lpar replay ")) ?? "";
  const [, args = "", output = ""] = /^\$ lpar (.*)\n([\s\S]*)$/.exec(shown) ?? [];
  const command = `"${process.execPath}" "${root}dist/src/driver/main.js" ${args}`;
  const { stdout } = await promisify(execFile)("sh", ["-c", command], { cwd: root });
  const timeless = (text: string): string =>
    text.replace(/ in [\d.]+ m?s, [\d,]+ per second/, "").replace(/^(recovery +)[\d.]+ \w+/m, "$1");
  expect(timeless(stdout)).toBe(timeless(output));
  expect(timeless(output)).not.toBe(output);
});

test("what the README's commands print of a scenario is what they print", async () => {
  const run = promisify(execFile);
  const lpar = async (args: string): Promise<string> =>
    (await run(process.execPath, [`${root}dist/src/driver/main.js`, ...args.split(" ")], { cwd: root }))
      .stdout;
  const shown = blocks("text").filter((text) => /^\$ lpar (ls|top|audit) /.test(text));
  expect(shown.length).toBeGreaterThan(0);
  let scenario = "";
  for (const text of shown) {
    const [, args = "", output] = /^\$ lpar (.*)\n([\s\S]*)$/.exec(text) ?? [];
    scenario = args.slice(args.indexOf("--scenario"));
    expect(await lpar(args)).toBe(output);
  }
  expect(await lpar(`graph --format mermaid ${scenario}`)).toBe(blocks("mermaid")[0]);
});

test("the README's scenario runs", async () => {
  const [scenario] = blocks("json");
  const { parseScenario } = await import("../src/scenario/scenario.js");
  expect(() => parseScenario("README.md", scenario ?? "")).not.toThrow();
});

test("the README names every command of the command line, and no other", async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [`${root}dist/src/driver/main.js`, "--help"]);
  const section = stdout.slice(stdout.indexOf("Commands:"), stdout.indexOf("Examples:"));
  const commands = [...section.matchAll(/^ {2}(\w+)/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== "help");
  const named = new Set([...readme.matchAll(/^\| `lpar (\w+)/gm)].map(([, name]) => name));
  expect([...named].sort()).toEqual(commands.sort());
});

test("the README's table of figures is what `npm run bench:table` makes of the committed reports", () => {
  const reports = readdirSync(`${root}bench/results`)
    .filter((name) => name.endsWith(".json"))
    .map((name) => readReport(name, readFileSync(`${root}bench/results/${name}`, "utf8")));
  for (const report of reports)
    expect(report).toMatchObject({ isComplete: true, wrong: [], options: { quick: false } });
  const table = readmeTable(reports);
  expect(table.split("\n").length).toBeGreaterThan(40);
  expect(replaceTable(readme, table)).toBe(readme);
  // Said as it is: fewer repetitions and what they are worth, a commit with changes, and all that was missed.
  expect(table).toMatch(
    /ms \(5 of "tree: [^"]*1,000,000 nodes.*\), ratios with .* 98\.4 % at 7 .* 93\.7 % at 5 /,
  );
  expect(table).not.toContain("95 %");
  for (const { machine, rows } of reports) {
    expect(table).toContain(`(commit ${machine.commit}, load`);
    expect(table).toContain(`${countReached(rows)} on Node ${Number.parseInt(machine.node, 10)}`);
    for (const row of rows.filter(isMissed)) expect(table).toContain(`| ${rowName(row)} |`);
  }
  // Other figures make another table.
  const slower = reports.map((report) => ({
    ...report,
    rows: report.rows.map((row) => ({ ...row, ns: row.ns * 2 })),
  }));
  expect(replaceTable(readme, readmeTable(slower))).not.toBe(readme);
  expect(() => readmeTable(reports.map((report) => ({ ...report, rows: [] })))).toThrow(
    /^the report lacks rows of the README: "translate: /,
  );
  expect(() => replaceTable(readme.replace(TABLE_END, ""), table)).toThrow("are not there in this order");
});

test("the README leaves no place unfilled", () => {
  expect(readme).not.toMatch(/@@|TODO|TBD/);
});
