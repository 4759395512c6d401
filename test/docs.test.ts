import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { statusName } from "../src/errors.js";
import * as layout from "../src/layout.js";
import { onTerminal } from "./support/cli.js";
import { rulePage, ruleRows } from "./support/rule-map.js";

const ROOT = join(import.meta.dirname, "..");
const PAGES = join(ROOT, "src", "docs");

function page(name: string): string {
  return readFileSync(join(PAGES, name), "utf8");
}

test("every rule of the contract has code that says so and a test whose title names it", () => {
  for (const { rule, core, library, tests } of ruleRows(ROOT)) {
    expect(core.length + library.length, rule).toBeGreaterThan(0);
    expect(tests.length, rule).toBeGreaterThan(0);
  }
});

test("the page of rules is what the comments and titles say", async () => {
  await expect(rulePage(ROOT)).toMatchFileSnapshot(join(PAGES, "rules.md"));
});

test("the page of commands is what their help says", async () => {
  const { output } = await onTerminal(["help"]);
  const section = output.slice(output.indexOf("Commands:"), output.indexOf("Examples:"));
  const names = [...section.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name ?? "");
  const parts = ["# The command line\n\nMade from `lpar help` (`npx vitest run test/docs.test.ts -u`).\n"];
  const describe = async (words: readonly string[]): Promise<void> => {
    const help = (await onTerminal([...words, "--help"])).output;
    parts.push(`## lpar ${words.join(" ")}`.trimEnd(), "```text", help.trimEnd(), "```\n");
    const commands = /^Commands:\n((?: .*\n?)+)/m.exec(help)?.[1] ?? "";
    if (words.length === 0) return;
    for (const [, name] of commands.matchAll(/^ {2}(\w+)/gm))
      if (name !== "help") await describe([...words, name as string]);
  };
  await describe([]);
  for (const name of names.filter((each) => each !== "help")) await describe([name]);
  await expect(parts.join("\n")).toMatchFileSnapshot(join(PAGES, "commands.md"));
});

test.each([
  ["help", "lss"],
  ["trace", "help", "pakc"],
])("%s %s says that there is no such command, instead of all of the help", async (...words) => {
  const { code, output, errors } = await onTerminal(words);
  expect([code, output]).toEqual([2, ""]);
  expect(errors).toBe(
    `error: unknown command '${words.at(-1)}'\n(Did you mean ${words[0] === "help" ? "ls" : "pack"}?)\n`,
  );
  const known = [...words.slice(0, -1), words[0] === "help" ? "ls" : "pack"];
  const [said, asked] = [
    await onTerminal(known),
    await onTerminal([...known.filter((word) => word !== "help"), "--help"]),
  ];
  expect(said).toEqual(asked);
});

test.each([[["help"]], [["trace", "help"]]])("%j has help of its own, as every command", async (words) => {
  const { code, output, errors } = await onTerminal([...words, "--help"]);
  expect([code, errors]).toEqual([0, ""]);
  expect(output).toContain(`Usage: lpar ${words.join(" ")} [options] [command]`);
});

test("the page of errors has every status and every code of the package, and no other", () => {
  const named = new Set([...page("errors.md").matchAll(/`(H_\w+|LPAR_\w+)`/g)].map(([, code]) => code));
  const statuses = Object.entries(layout)
    .filter(([name]) => name.startsWith("H_"))
    .map(([, status]) => statusName(status))
    .filter((name) => name.startsWith("H_"));
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => readFileSync(join(ROOT, "src", path), "utf8"));
  const codes = sources.flatMap((text) => [...text.matchAll(/"(LPAR_[A-Z_]+)"/g)].map(([, code]) => code));
  expect([...named].sort()).toEqual([...new Set([...statuses, ...codes])].sort());
});

const guide = [...page("guide.md").matchAll(/^```js\n([\s\S]*?)^```\n\n```text\n([\s\S]*?)^```$/gm)];

test("the guide has programs", () => {
  expect(guide.length).toBe([...page("guide.md").matchAll(/^```js$/gm)].length);
  expect(guide.length).toBeGreaterThan(4);
});

test.each(guide.map(([, program, output]) => [program ?? "", output ?? ""]))(
  "the guide's programs run as they stand and print what stands below them: %#",
  async (program, output) => {
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program], { cwd: ROOT });
    expect(stdout).toBe(output);
  },
);

test("links of the documents lead to files that are there", () => {
  const documents = readdirSync(ROOT, { encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .concat(readdirSync(PAGES).map((name) => join("src", "docs", name)))
    .filter((name) => name.endsWith(".md"));
  for (const document of documents) {
    const text = readFileSync(join(ROOT, document), "utf8").replace(/^```[\s\S]*?^```$/gm, "");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
      if (/^\w+:/.test(target)) continue;
      expect(existsSync(join(ROOT, dirname(document), target)), `${document}: ${target}`).toBe(true);
    }
  }
});
