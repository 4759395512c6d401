/** Writes the README's table of figures anew, from the report beside this file. `npm run bench:table` builds what it needs. */
import { readFileSync, writeFileSync } from "node:fs";
import { readmeTable, replaceTable } from "../../dist/bench/readme-table.js";
import { ReportError, readReport } from "../../dist/bench/report.js";

const report = new URL("./full.json", import.meta.url);
const readme = new URL("../../README.md", import.meta.url);

try {
  const table = readmeTable(readReport("bench/results/full.json", readFileSync(report, "utf8")));
  writeFileSync(readme, replaceTable(readFileSync(readme, "utf8"), table));
} catch (error) {
  if (!(error instanceof ReportError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
