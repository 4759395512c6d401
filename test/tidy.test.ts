import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { coreBytes } from "../src/inlined.js";

const root = fileURLToPath(new URL("..", import.meta.url));

interface SourceFile {
  /** Path from the root. */
  readonly path: string;
  readonly text: string;
  /** The text without comments. */
  readonly code: string;
}

function sources(folder: string, pattern: RegExp): SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => pattern.test(path) && !path.includes("generated") && !path.includes("node_modules"))
    .map((path) => {
      const text = readFileSync(join(root, path), "utf8");
      return { path, text, code: text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1") };
    });
}

const core = sources("assembly", /\.ts$/);
const library = sources("src", /\.ts$/);
const benches = sources("bench", /\.ts$/);

/** Relative imports of a file, as paths from the root without extension. */
function imports(file: SourceFile): string[] {
  return [...file.code.matchAll(/from\s+"(\.[^"]*)"/g)].map((match) =>
    relative(root, join(root, dirname(file.path), match[1] as string)).replace(/\.js$/, ""),
  );
}

test("layers: the library imports neither the driver, nor replay, nor commander, nor node modules", () => {
  for (const file of library) {
    const isAbove = /^src\/(chaos|driver|inspect|replay|scenario|trace)\//.test(file.path);
    if (isAbove) continue;
    for (const target of imports(file))
      expect(target, file.path).not.toMatch(/^src\/(chaos|driver|inspect|replay|scenario|trace)\//);
    // Types vanish: only what stays would keep the library from loading where there is no Node.
    const code = file.code.replace(/import type [\s\S]*?;/g, "");
    expect(code, file.path).not.toMatch(/from "(commander|tinybench|node:)/);
  }
});

test("layers: chaos, inspect, replay, scenario and trace do not import the driver", () => {
  for (const file of library.filter(({ path }) =>
    /^src\/(chaos|inspect|replay|scenario|trace)\//.test(path),
  )) {
    for (const target of imports(file)) expect(target, file.path).not.toMatch(/^src\/driver\//);
  }
});

test("layers: the core imports only itself and layout.ts, layout.ts nothing", () => {
  for (const file of core) {
    for (const target of imports(file)) expect(target, file.path).toMatch(/^(assembly\/|src\/layout$)/);
  }
  expect(imports(library.find(({ path }) => path === "src/layout.ts") as SourceFile)).toEqual([]);
});

test("no import cycle in the library or in the core", () => {
  for (const files of [library, core]) {
    const graph = new Map(files.map((file) => [file.path.replace(/\.ts$/, ""), file]));
    const done = new Set<string>();
    const visit = (name: string, trail: readonly string[]): void => {
      expect(trail, "cycle").not.toContain(name);
      const file = graph.get(name);
      if (file === undefined || done.has(name)) return;
      // Type imports vanish, so that two classes may name each other's types.
      const code = file.code.replace(/import type [\s\S]*?;/g, "");
      for (const target of imports({ ...file, code })) visit(target, [...trail, name]);
      done.add(name);
    };
    for (const name of graph.keys()) visit(name, []);
  }
});

/** Ours: the core. Theirs: modules of guests, which are examined, limited and instantiated in one place. */
const KNOW_WEBASSEMBLY = ["src/binding.ts", "src/guest-module.ts"];

test("only binding.ts and guest-module.ts say WebAssembly, apart from types; only the driver says process or console", () => {
  for (const file of library) {
    const values = file.code.replace(/WebAssembly\.(Module|Memory|Instance)(?=[;,)>\s|])/g, "");
    if (!KNOW_WEBASSEMBLY.includes(file.path)) expect(values, file.path).not.toMatch(/\bWebAssembly\b/);
    if (!file.path.startsWith("src/driver/"))
      expect(file.code, file.path).not.toMatch(/\b(process|console)\./);
  }
});

test("only the driver imports commander, only bench imports tinybench", () => {
  for (const file of [...library, ...benches]) {
    if (!file.path.startsWith("src/driver/")) expect(file.code, file.path).not.toContain('"commander"');
    if (!file.path.startsWith("bench/")) expect(file.code, file.path).not.toContain('"tinybench"');
  }
});

/** Which file of the core touches the bytes of which record: by the constants that name its fields. */
const RECORDS: readonly [files: readonly string[], prefix: RegExp][] = [
  // A structure as it stands, and how its slot is taken and given back.
  [["assembly/control.ts", "assembly/slot.ts"], /\b(load|store)<\w+>\([^;]*\bSTRUCTURE_[A-Z_]+\)/],
  [["assembly/page.ts"], /\b(load|store)<\w+>\([^;]*\bSPACE_[A-Z_]+\)/],
  [["assembly/event.ts"], /\b(load|store)<\w+>\([^;]*\bEVENT_[A-Z_]+\)/],
];

test("only a record's own files of the core touch its bytes", () => {
  for (const file of core) {
    for (const [owners, pattern] of RECORDS) {
      if (!owners.includes(file.path))
        expect(file.code, `${file.path} touches a record of ${owners}`).not.toMatch(pattern);
    }
  }
});

test("the core avoids what the compiler gets wrong: no for (;;), no labels, no atomic.wait, no fence", () => {
  for (const file of core) {
    expect(file.code, file.path).not.toMatch(/for\s*\(\s*;\s*;/);
    expect(file.code, file.path).not.toMatch(/^\s*[A-Za-z]\w*:\s*(for|while|do)\b/m);
    expect(file.code, file.path).not.toMatch(/atomic\.(wait|fence)/);
  }
});

test("the core has no state of its own: no module-level let, and the build refuses data and globals", () => {
  for (const file of core) expect(file.code, file.path).not.toMatch(/^(export )?let /m);
  const text = readFileSync(join(root, "dist/core.wat"), "utf8");
  expect(text).not.toMatch(/^ \((data|start|global \S+ \(mut)/m);
  expect(text).toMatch(/\(import "env" "memory" \(memory \$\d+ 1 65536 shared\)\)/);
});

test("the core that is inlined is the one in dist/core.wasm, byte by byte", () => {
  expect(Buffer.from(coreBytes(true)).equals(readFileSync(join(root, "dist/core.wasm")))).toBe(true);
});

test("nothing in the core calls itself, directly or in a circle", () => {
  const text = readFileSync(join(root, "dist/core.wat"), "utf8");
  const calls = new Map<string, string[]>();
  for (const body of text.split(/^ \(func /m).slice(1)) {
    const name = body.slice(0, body.search(/\s/));
    calls.set(
      name,
      [...body.matchAll(/\(call (\S+)/g)].map((match) => (match[1] as string).replace(/\)+$/, "")),
    );
  }
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]): void => {
    expect(trail, "recursion").not.toContain(name);
    if (done.has(name)) return;
    for (const callee of calls.get(name) ?? []) visit(callee, [...trail, name]);
    done.add(name);
  };
  for (const name of calls.keys()) visit(name, []);
  expect(calls.size).toBeGreaterThan(20);
});

test("files keep to one idea: at most 700 lines", () => {
  for (const { path, text } of [...core, ...library, ...benches]) {
    if (path === "src/layout.ts") continue;
    expect(text.split("\n").length, path).toBeLessThanOrEqual(700);
  }
});

test("every file of the core, the library and bench begins by saying what it is", () => {
  for (const { path, text } of [...core, ...library, ...benches]) {
    expect(text.replace(/^#!.*\n/, ""), path).toMatch(/^\/\*\*/);
  }
});

test("no default exports, no enums, no any, no skipped or focused tests", () => {
  const tests = sources("test", /\.ts$/);
  for (const { path, code } of [...core, ...library, ...benches, ...tests]) {
    if (path === join("test", "tidy.test.ts")) continue;
    // The test runner asks for one.
    if (path !== join("test", "vitest.config.ts")) expect(code, path).not.toMatch(/^export default/m);
    expect(code, path).not.toMatch(/^(export )?(const )?enum /m);
    expect(code, path).not.toMatch(/(?::\s*|<|\bas\s+)any\s*[,;)\]>=|&]/);
    expect(code, path).not.toMatch(/\b(test|it|describe)\.(skip|only|todo)\b/);
  }
});
