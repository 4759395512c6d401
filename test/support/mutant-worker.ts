/** A worker thread that compiles a changed core and hunts in it (test/mutants.test.ts). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parentPort } from "node:worker_threads";
import asc from "assemblyscript/asc";
import { type HuntOptions, hunt } from "./hunt.js";

/** A bug to seed: in `file`, `from` becomes `to`. */
export interface Mutation {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Order {
  readonly root: string;
  readonly mutation: Mutation | undefined;
  readonly options: HuntOptions;
}

/** `broken` says why the mutant is none; else `found` is what the nets found first. Before it comes `isCompiled`. */
export interface Report {
  readonly isCompiled?: true;
  readonly broken?: string;
  readonly found?: string | undefined;
}

function readSource(root: string, name: string, mutation: Mutation | undefined): string | null {
  let text: string;
  try {
    text = readFileSync(join(root, name), "utf8");
  } catch {
    return null;
  }
  return mutation?.file === name ? text.replace(mutation.from, () => mutation.to) : text;
}

/** The flags of assembly/build.mjs, but for the time that -O3 takes. */
async function compile({ root, mutation }: Order): Promise<WebAssembly.Module> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    [
      ...["assembly/index.ts", "--baseDir", root],
      ...["--outFile", "core.wasm", "--runtime", "stub", "--use", "abort="],
      ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
      ...["--enable", "threads", "--enable", "simd", "-O1", "--noExportMemory"],
    ],
    {
      readFile: (name) => readSource(root, name, mutation),
      writeFile: (_name, contents) => {
        if (typeof contents !== "string") binary = Uint8Array.from(contents);
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) throw new Error(`${stderr.toString()}${error?.message ?? ""}`);
  return new WebAssembly.Module(binary);
}

parentPort?.on("message", (order: Order) => {
  compile(order).then(
    (module) => {
      parentPort?.postMessage({ isCompiled: true } satisfies Report);
      parentPort?.postMessage({ found: hunt(module, order.options) } satisfies Report);
    },
    (error: unknown) => parentPort?.postMessage({ broken: String(error) } satisfies Report),
  );
});
