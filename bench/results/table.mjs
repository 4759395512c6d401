/**
 * Writes the README's table of figures anew, from the reports beside this file: that of the newest Node, and the ratios of the others.
 * `npm run bench:table` builds what it needs.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { readmeTable, replaceTable } from "../../dist/bench/readme-table.js";
import { ReportError, readReport } from "../../dist/bench/report.js";

const readme = new URL("../../README.md", import.meta.url);
const names = readdirSync(new URL(".", import.meta.url)).filter((name) => /^node-\d+\.json$/.test(name));

try {
  const reports = names.map((name) =>
    readReport(`bench/results/${name}`, readFileSync(new URL(name, import.meta.url), "utf8")),
  );
  writeFileSync(readme, replaceTable(readFileSync(readme, "utf8"), readmeTable(reports)));
} catch (error) {
  if (!(error instanceof ReportError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
