/**
 * Checks the package from outside, as who installs it finds it: packs it, installs the tarball in an empty folder, and runs
 * every check from there, two at a time. One line per check; fails if one of them does.
 *
 *     node test/package/run.mjs [part of a name...]
 */
import { availableParallelism } from "node:os";
import { browsers } from "./browsers.mjs";
import { bundlers } from "./bundlers.mjs";
import { install } from "./install.mjs";
import { lints } from "./lints.mjs";
import { nodes } from "./nodes.mjs";
import { readme } from "./readme.mjs";
import { recipes } from "./recipes.mjs";
import { sizes } from "./sizes.mjs";
import { types } from "./types.mjs";

const wanted = process.argv.slice(2);
const began = performance.now();
const place = await install();
process.stdout.write(`ok    installed  ${place.tarballName} in an empty folder  ${seconds(began)}\n`);

// The long ones first, or the last one would run alone.
const all = [nodes, recipes, bundlers, browsers, readme, types, lints, sizes].flatMap((list) => list(place));
const queue = all.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
/** So much of the output of a check that fails is shown. */
const OUTPUT_MAX = 5000;
const failed = [];
let done = 0;

/** Takes checks from the queue until there is none. */
async function work() {
  for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
    const start = performance.now();
    try {
      const found = await check.run();
      process.stdout.write(`ok    ${check.name}  ${found}  ${seconds(start)}\n`);
    } catch (error) {
      failed.push(check.name);
      const output = `${error.stdout ?? ""}${error.stderr ?? ""}`;
      process.stdout.write(
        `FAIL  ${check.name}  ${error.message.slice(0, OUTPUT_MAX)}\n${output.slice(0, OUTPUT_MAX)}\n`,
      );
    }
    done++;
  }
}

function seconds(from) {
  return `${((performance.now() - from) / 1000).toFixed(1)} s`;
}

await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));
place.remove();
const verdict = failed.length === 0 ? "none failed" : `failed: ${failed.join(", ")}`;
process.stdout.write(`${done} checks of the package in ${seconds(began)}, ${verdict}\n`);
if (done === 0) process.stdout.write(`no check has such a name: ${wanted.join(", ")}\n`);
process.exitCode = failed.length > 0 || done === 0 ? 1 : 0;
