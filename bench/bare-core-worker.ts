/** The thread that compiles the bare core: the sources of the core with some lines changed. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import type { BareAnswer, BareOrder } from "./bare-core.js";

/** After each line `after` of the file, which stands there once, comes `insert`: what follows does not count any more. */
interface Change {
  readonly file: string;
  readonly after: string;
  readonly insert: string;
}

const CHANGES: readonly Change[] = [
  // Nobody is kept out, and who holds what need not be known.
  { file: "memory.ts", after: "export function threadsBesides(): u32 {", insert: "return 0;" },
  { file: "lock.ts", after: "export function acquireAll(): bool {", insert: "return true;" },
  {
    file: "lock.ts",
    after: "export function acquire(lpid: u32, other: u32): bool {",
    insert: "return true;",
  },
  { file: "lock.ts", after: "export function release(): void {", insert: "settle(); return;" },
  { file: "thread.ts", after: "export function holdsAll(): bool {", insert: "return true;" },
  { file: "thread.ts", after: "export function holds(lpid: u32): bool {", insert: "return true;" },
  // Nothing is noted. Jobs stay: they are the work itself on large ranges.
  { file: "log.ts", after: "  static begin(words: u32): u32 {", insert: "return 0;" },
  { file: "log.ts", after: "  static first(top: u32, address: usize, old: u32): void {", insert: "return;" },
  { file: "log.ts", after: "  static second(top: u32, address: usize, old: u32): void {", insert: "return;" },
  { file: "log.ts", after: "  static third(top: u32, address: usize, old: u32): void {", insert: "return;" },
  { file: "log.ts", after: "  static end(top: u32, words: u32): void {", insert: "return;" },
  { file: "log.ts", after: "  static note(record: usize): void {", insert: "return;" },
  { file: "log.ts", after: "export function commit(): void {", insert: "return;" },
  // A use is not announced.
  { file: "thread.ts", after: "export function enterUse(): void {", insert: "return;" },
  { file: "thread.ts", after: "export function leaveUse(): void {", insert: "return;" },
];

function change(name: string, text: string): string {
  let changed = text;
  for (const { file, after, insert } of CHANGES) {
    if (name !== `assembly/${file}`) continue;
    if (text.split(`${after}\n`).length !== 2) throw new Error(`"${after}" does not stand once in ${name}`);
    changed = changed.replace(`${after}\n`, () => `${after}\n  ${insert}\n`);
  }
  return changed;
}

async function compile({ root, flags }: BareOrder): Promise<BareAnswer> {
  if (!existsSync(join(root, "assembly", "index.ts"))) return "the sources of the core are not installed";
  // Before asc, as the product is built.
  await import(pathToFileURL(join(root, "assembly", "inlining.mjs")).href).catch(() => undefined);
  const asc = await import("assemblyscript/asc").catch(() => undefined);
  if (asc === undefined) return "assemblyscript is not installed";
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    [
      ...["assembly/index.ts", "--baseDir", root, "--outFile", "core.wasm"],
      ...["--runtime", "stub", "--use", "abort=", "--noExportMemory"],
      ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
      ...["--enable", "threads", "--enable", "simd", ...flags],
    ],
    {
      readFile: (name) => {
        const path = join(root, name);
        return existsSync(path) ? change(name, readFileSync(path, "utf8")) : null;
      },
      writeFile: (_name, contents) => {
        if (typeof contents !== "string") binary = Uint8Array.from(contents);
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) throw new Error(`${stderr.toString()}${error?.message ?? ""}`);
  return new WebAssembly.Module(binary);
}

parentPort?.postMessage(await compile(workerData as BareOrder));
