/** The README's programs, type-checked and run where the package is installed. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blocks, files, programs } from "../support/readme.mjs";
import { HERE } from "./install.mjs";
import { run } from "./processes.mjs";

export function readme(place) {
  return [
    { name: "README's programs, their types", run: () => check(place) },
    { name: "README's programs, run", run: () => runAll(place) },
  ];
}

async function check(place) {
  const folder = join(place.folder, "readme");
  mkdirSync(folder, { recursive: true });
  programs().forEach((program, index) => {
    writeFileSync(join(folder, `${index}.mjs`), program);
  });
  const compilerOptions = {
    checkJs: true,
    noEmit: true,
    // A program without a single type must still name what there is, with arguments that fit. Not the declarations of others.
    strict: false,
    skipLibCheck: true,
    target: "es2022",
    module: "nodenext",
    types: ["node"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.mjs"] }));
  await run(process.execPath, [join(HERE, "node_modules/typescript-6.0/bin/tsc"), "-p", folder]);
  return `${programs().length} programs`;
}

async function runAll(place) {
  const printed = blocks("text");
  for (const program of programs()) {
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", program], {
      cwd: place.folder,
    });
    if (stdout === "" || !printed.includes(stdout))
      throw new Error(`it prints what does not stand below it:\n${program}\n${stdout}`);
  }
  const folder = join(place.folder, "readme-threads");
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of files()) writeFileSync(join(folder, name), text);
  const { stdout } = await run(process.execPath, [join(folder, "main.js")]);
  if (stdout === "" || !printed.includes(stdout))
    throw new Error(`the program of two threads prints what does not stand below it:\n${stdout}`);
  return `${programs().length + 1} programs print what stands below them`;
}
