/**
 * Instrumenting the core: in front of every instruction that writes to memory a call to the host, which may throw there.
 * It works on the linear text of a module, so that nothing is written by any way that is not seen: plain and atomic
 * stores, read-modify-write, compare-and-exchange, memory.copy and memory.fill. A wake-up (memory.atomic.notify) counts
 * as one, too, and goes to the host instead of to sleepers, so that a test sees who would have been woken.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import binaryen from "binaryen";
import { compileCore } from "./compile-core.js";
import { FEATURES } from "./features.js";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

const WRITE =
  /^(?:[if](?:32|64)|v128)\.(?:atomic\.)?(?:store|rmw)|^memory\.(?:copy|fill|init)|^memory\.atomic\.notify/;

/** What the module imports beside what the core itself does. */
const HOOKS = `
 (import "env" "store" (func $crash_store (param i32)))
 (import "env" "notify" (func $crash_notify (param i32 i32 i32) (result i32)))`;

/** One instruction that writes. */
export interface Site {
  /** Function of the text that it stands in. */
  readonly name: string;
  /** The instruction, and the lines of text that lead to it. */
  readonly text: string;
}

export interface Instrumented {
  readonly module: WebAssembly.Module;
  readonly sites: readonly Site[];
  /** For each function of the text, those that it calls. */
  readonly calls: ReadonlyMap<string, readonly string[]>;
  /** The function behind each export. */
  readonly exports: ReadonlyMap<string, string>;
}

/** A bug to seed: with `bug` 1 more than its place in the list, statement `from` of `file` is statement `to` instead. */
export interface Mutation {
  readonly bug: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** An import that only the bug needs. */
  readonly needs?: string;
}

/** Assembles linear text. */
function assemble(text: string): Uint8Array<ArrayBuffer> {
  const module = binaryen.parseText(text);
  module.setFeatures(FEATURES);
  try {
    return Uint8Array.from(module.emitBinary());
  } finally {
    module.dispose();
  }
}

/** Instruments the text of a module. */
export function instrument(text: string): Instrumented {
  const sites: Site[] = [];
  const calls = new Map<string, string[]>();
  const exports = new Map<string, string>();
  const lines: string[] = [];
  let name = "";
  const source = text.split("\n");
  for (const [index, line] of source.entries()) {
    const instruction = line.trim();
    const begins = /^ \(func (\S+)/.exec(line);
    if (begins !== null) name = begins[1] as string;
    const exported = /^ \(export "(\w+)" \(func ([^\s)]+)\)/.exec(line);
    if (exported !== null) exports.set(exported[1] as string, exported[2] as string);
    const called = /^call ([^\s)]+)/.exec(instruction);
    if (called !== null) calls.set(name, [...(calls.get(name) ?? []), called[1] as string]);
    if (WRITE.test(instruction)) {
      lines.push(`i32.const ${sites.length}`, "call $crash_store");
      const before = source.slice(Math.max(0, index - 6), index + 1);
      sites.push({ name, text: before.map((part) => part.trim()).join("; ") });
    }
    const notify = /^memory\.atomic\.notify(?: offset=(\d+))?/.exec(instruction);
    if (notify !== null) lines.push(`i32.const ${notify[1] ?? 0}`, "call $crash_notify");
    else lines.push(line);
    if (line.startsWith("(module")) lines.push(HOOKS);
  }
  return { module: new WebAssembly.Module(assemble(lines.join("\n"))), sites, calls, exports };
}

/** The core as it was built for the product. */
export function builtCore(): Instrumented {
  return instrument(readFileSync(join(ROOT, "dist/core.wat"), "utf8"));
}

/** The core as it ships, without any instrumentation. */
export function shippedCore(): Instrumented {
  const module = new WebAssembly.Module(readFileSync(join(ROOT, "dist/core.wasm")));
  return { module, sites: [], calls: new Map(), exports: new Map() };
}

/** The functions of the text that some exports can reach. */
export function reachable(core: Instrumented, exports: readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const left = exports.map((name) => core.exports.get(name) ?? "");
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    if (reached.has(name)) continue;
    reached.add(name);
    left.push(...(core.calls.get(name) ?? []));
  }
  return reached;
}

/** Reads a module, and does something with it. */
function reading<T>(binary: Uint8Array, use: (module: binaryen.Module) => T): T {
  const module = binaryen.readBinary(binary);
  module.setFeatures(FEATURES);
  try {
    return use(module);
  } finally {
    module.dispose();
  }
}

/** The text of a module without the numbers of its types, whose order is nobody's. */
function untyped(binary: Uint8Array): string {
  const text = reading(binary, (module) => module.emitText());
  return text.replace(/^ \(type .*\n/gm, "").replace(/ \(type \$\d+\)/g, "");
}

/** Whether the text that is instrumented is the module that ships. */
export function isWhatShips(): boolean {
  // Written anew, so that what two tools write for the same code comes out the same.
  const shipped = reading(readFileSync(join(ROOT, "dist/core.wasm")), (module) => module.emitBinary());
  const text = readFileSync(join(ROOT, "dist/core.wat"), "utf8");
  return untyped(shipped) === untyped(assemble(text));
}

/** A source file with all the bugs in it that belong there, each behind its number. */
function seed(name: string, text: string, mutations: readonly Mutation[]): string {
  if (name === "assembly/env.ts") return `${text}\nexport declare const bug: u32;\n`;
  let seeded = text;
  const imports = new Set<string>();
  for (const [index, { file, from, to, needs }] of mutations.entries()) {
    if (file !== name) continue;
    seeded = seeded.replace(from, () => `if (bug == ${index + 1}) { ${to} } else { ${from} }`);
    imports.add('import { bug } from "./env";');
    if (needs !== undefined) imports.add(needs);
  }
  return [...imports, seeded].join("\n");
}

/** Compiles the core from its source with seeded bugs in it; the host chooses one by the import `bug`, 0 for none. */
export async function seededCore(mutations: readonly Mutation[]): Promise<Instrumented> {
  const { wat } = await compileCore(ROOT, (name, text) => seed(name, text, mutations));
  return instrument(wat);
}
