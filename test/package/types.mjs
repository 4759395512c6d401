/** The types of the package, as programs of its users see them: by three lines of TypeScript, in both ways to find modules. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HERE } from "./install.mjs";
import { run } from "./processes.mjs";

const LINES = ["5.9", "6.0", "7.0"];
/** In one of them the declarations themselves are checked, too, with options that our users may have and we need not. */
const RESOLUTIONS = [
  { module: "nodenext", moduleResolution: "nodenext", skipLibCheck: false },
  { module: "esnext", moduleResolution: "bundler", skipLibCheck: true },
];

export function types(place) {
  return LINES.map((line) => ({ name: `types, TypeScript ${line}`, run: () => check(place, line) }));
}

async function check(place, line) {
  for (const resolution of RESOLUTIONS) {
    const folder = join(place.folder, `types-${line}-${resolution.module}`);
    mkdirSync(folder, { recursive: true });
    copyFileSync(join(HERE, "consumer.mts"), join(folder, "consumer.mts"));
    const compilerOptions = {
      ...resolution,
      target: "es2022",
      types: ["node"],
      noEmit: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.mts"] }));
    await run(process.execPath, [join(HERE, `node_modules/typescript-${line}/bin/tsc`), "-p", folder]);
  }
  return RESOLUTIONS.map(({ moduleResolution }) => moduleResolution).join(", ");
}
