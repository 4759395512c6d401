/** Compiles the core from its sources, changed where a test wants it, with the flags of assembly/build.mjs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";

export interface Compiled {
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Linear text of the same module. */
  readonly wat: string;
}

/**
 * @param change gets each source by its name and says what is compiled.
 * @param level of optimisation: -O3 takes long.
 * @throws what the compiler said.
 */
export async function compileCore(
  root: string,
  change: (name: string, text: string) => string,
  level = "-O1",
): Promise<Compiled> {
  let wasm: Uint8Array<ArrayBuffer> | undefined;
  let wat: string | undefined;
  const { error, stderr } = await asc.main(
    [
      ...["assembly/index.ts", "--baseDir", root],
      ...["--outFile", "core.wasm", "--textFile", "core.wat", "--runtime", "stub", "--use", "abort="],
      ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
      ...["--enable", "threads", "--enable", "simd", level, "--noExportMemory"],
    ],
    {
      readFile: (name) => {
        let text: string;
        try {
          text = readFileSync(join(root, name), "utf8");
        } catch {
          return null;
        }
        return change(name, text);
      },
      writeFile: (_name, contents) => {
        if (typeof contents === "string") wat = contents;
        else wasm = Uint8Array.from(contents);
      },
      listFiles: () => [],
    },
  );
  if (error !== null || wasm === undefined || wat === undefined)
    throw new Error(`${stderr.toString()}${error?.message ?? ""}`);
  return { wasm, wat };
}
