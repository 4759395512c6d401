/** The recipes of test/recipes, run where the package is installed, as who copies them would. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./install.mjs";
import { run } from "./processes.mjs";

/** What each prints; of the pipeline, too, every line is the same however often it had to try again. */
const RECIPES = [
  {
    file: "frame-pipeline.mjs",
    args: ["200", "6"],
    prints: ["6 kills, 0 frames wrong, 0 problems"],
  },
  {
    file: "piscina-pool.mjs",
    prints: ["4 tasks, sum right", "0 grants left, 0 problems"],
  },
  {
    file: "plugin-host.mjs",
    prints: [
      "capitals: PLUGGED IN, ended: exit code 0",
      'greedy: plugged in, ended: LparError: the guest of partition "greedy" ended: RuntimeError: unreachable',
      "endless: plugged in, ended: terminated",
      "the host's secret is kept, 0 problems",
    ],
  },
  {
    file: "http-cache.mjs",
    prints: ["whole: 100000 bytes", "slices: 50 of 50 right", "evicted: 404", "0 grants left, 0 problems"],
  },
];

/** What the application of test/recipes/bundled-app prints, bundled or not. */
export const APP_PRINTS = [
  "returned",
  "2 4 6 244",
  "partner-failed",
  "partner-recovered",
  "stopped, 0 problems",
];

export function recipes(place) {
  const folder = join(place.folder, "recipes");
  cpSync(join(ROOT, "test/recipes"), folder, { recursive: true });
  return RECIPES.map(({ file, args = [], prints }) => ({
    name: `recipe ${file}`,
    run: async () => expectLines(await run(process.execPath, [join(folder, file), ...args]), prints),
  }));
}

/**
 * @returns how many lines it printed.
 * @throws Error if they are not the expected ones.
 */
export function expectLines({ stdout }, expected) {
  if (stdout !== `${expected.join("\n")}\n`)
    throw new Error(`it prints\n${stdout}\ninstead of\n${expected.join("\n")}`);
  return `${expected.length} lines as expected`;
}
