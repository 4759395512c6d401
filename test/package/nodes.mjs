/**
 * Other lines of Node than the one that runs this: require(), the application with a worker, and the rule tests. The binaries come from the
 * npm registry, as optional dependencies, since they exist for Linux on x64 only.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { HERE, ROOT } from "./install.mjs";
import { run } from "./processes.mjs";
import { APP_PRINTS, expectLines } from "./recipes.mjs";

const LINES = Object.keys(JSON.parse(readFileSync(join(HERE, "package.json"), "utf8")).optionalDependencies);

export function nodes(place) {
  return LINES.flatMap((line) => {
    const node = join(HERE, "node_modules", line, "bin/node");
    const name = line.replace("node-", "Node ");
    if (!existsSync(node)) {
      if (process.platform === "linux" && process.arch === "x64")
        throw new Error(`${node} is missing: npm ci`);
      const why = `NOT CHECKED: there is no binary for ${process.platform} ${process.arch}`;
      return [{ name, run: async () => why }];
    }
    return [
      { name: `${name}, the rules`, run: () => rules(node) },
      { name: `${name}, a worker`, run: () => worker(node, place) },
    ];
  });
}

async function worker(node, place) {
  const { stdout } = await run(node, ["--version"]);
  // Of a module in CommonJS, too.
  await run(node, ["-e", 'require("lpar").ResourceTable.create({ memory: 65536 }).close()'], {
    cwd: place.folder,
  });
  const main = join(place.folder, "recipes/bundled-app/main.js");
  return `${stdout.trim()}, ${expectLines(await run(node, [main]), APP_PRINTS)}`;
}

async function rules(node) {
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const options = ["--dir", "test", "--maxWorkers", "1", "--no-isolate", "--testTimeout", "60000"];
  const { stdout } = await run(node, [vitest, "run", ...options, "test/rules-"], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1" },
  });
  const [, passed] = /^ *Tests +(\d+) passed/m.exec(stdout) ?? [];
  if (passed === undefined || /\d+ (failed|skipped)/.test(stdout)) throw new Error(stdout);
  return `${passed} tests passed`;
}
