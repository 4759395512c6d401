/**
 * Builds the core: assembly/index.ts -> dist/core.wasm, and for TypeScript src/generated/core.ts (the bytes, inlined) and
 * abi.ts (its functions as asc types them). Refuses a module that would keep state of its own: data segments are written
 * again at every instantiation over the shared memory, a mutable global would be one per thread. Does nothing if what it made last
 * was made of the same.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { asText } from "./text.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
mkdirSync(`${root}dist`, { recursive: true });
mkdirSync(`${root}src/generated`, { recursive: true });

/** Says of what the core that is there was made. */
const KEY = `${root}dist/core.key`;
const MADE = ["dist/core.wasm", "dist/core.wat", "src/generated/core.ts", "src/generated/abi.ts"];
const key = keyOf([
  "src/layout.ts",
  "package-lock.json",
  ...readdirSync(`${root}assembly`).map((name) => `assembly/${name}`),
]);
if (MADE.every((path) => existsSync(root + path)) && existsSync(KEY) && readFileSync(KEY, "utf8") === key)
  process.exit(0);
rmSync(KEY, { force: true });

// Not before it is known that they are needed; the limit of inlining is set before the compiler looks it up.
await import("./inlining.mjs");
const { default: asc } = await import("assemblyscript/asc");

const { error, stderr } = await asc.main(
  [
    "assembly/index.ts",
    ...["--outFile", "dist/core.wasm", "--textFile", "dist/core.wat"],
    ...["--bindings", "raw"],
    ...["--runtime", "stub", "--use", "abort="],
    ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
    ...["--enable", "threads", "--enable", "simd"],
    // The last pass makes nothing faster, but what is used most short: less to ship.
    ...["-O3", "--converge", "--runPasses", "reorder-locals", "--noExportMemory"],
  ],
  { stdout: process.stdout, baseDir: root },
);
if (error) {
  process.stderr.write(`${stderr.toString()}${error.message}\n`);
  process.exit(1);
}

const text = readFileSync(`${root}dist/core.wat`, "utf8");
const state = /^ \((data|start|global \S+ \(mut)/m.exec(text);
if (state) {
  process.stderr.write(`assembly: the core keeps state of its own: ${state[0].trim()}\n`);
  process.exit(1);
}

const bytes = readFileSync(`${root}dist/core.wasm`);
writeBeside(
  `${root}src/generated/core.ts`,
  `/** The core, compiled from assembly/ and written as src/inlined.ts reads it. */\n${asText(bytes, sharedAt(bytes))}`,
);
// As a module of its own rather than a .d.ts, so that tsc carries it over to dist.
writeBeside(`${root}src/generated/abi.ts`, readFileSync(`${root}dist/core.d.ts`, "utf8"));
for (const file of ["core.js", "core.d.ts"]) rmSync(`${root}dist/${file}`);
writeBeside(KEY, key);

function keyOf(paths) {
  const hash = createHash("sha256");
  for (const path of paths)
    hash
      .update(`${path}\0`)
      .update(readFileSync(root + path))
      .update("\0");
  return hash.digest("hex");
}

/** Where the byte stands that says of the imported memory that it is shared and has a maximum. */
function sharedAt(bytes) {
  const name = "memory";
  const entry = Buffer.from([name.length, ...Buffer.from(name), 0x02, 0x03]);
  const at = bytes.indexOf(entry);
  if (at < 0 || bytes.indexOf(entry, at + 1) >= 0) {
    process.stderr.write("assembly: the import of the memory is not where it is looked for\n");
    process.exit(1);
  }
  return at + entry.length - 1;
}

/** Two builds may run at once (a test run beside a start): nobody must read a half-written file. */
function writeBeside(path, contents) {
  writeFileSync(`${path}.${process.pid}`, contents);
  renameSync(`${path}.${process.pid}`, path);
}
