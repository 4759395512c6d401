/** Guests for tests: WAT by Binaryen, AssemblyScript by asc; and what a test knows of their exports. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import binaryen from "binaryen";
import { FEATURES } from "./features.js";

const { Features } = binaryen;

/** Some modules here use exceptions, and several results. */
const GUEST_FEATURES = FEATURES | Features.ReferenceTypes | Features.Multivalue | Features.ExceptionHandling;
const FOLDER = join(import.meta.dirname, "..", "guests");

/** Assembles WebAssembly text. @throws Error if it is no valid module. */
export function assemble(text: string): Uint8Array<ArrayBuffer> {
  const module = binaryen.parseText(text);
  try {
    module.setFeatures(GUEST_FEATURES);
    if (module.validate() !== 1) throw new Error("the text is no valid module");
    return Uint8Array.from(module.emitBinary());
  } finally {
    module.dispose();
  }
}

/** A file of test/guests in WebAssembly text. */
export function assembleFile(name: string): Uint8Array<ArrayBuffer> {
  return assemble(readFileSync(join(FOLDER, name), "utf8"));
}

/** A file of test/guests in AssemblyScript, without a runtime and without imports of its own. */
export async function compileFile(name: string): Promise<Uint8Array<ArrayBuffer>> {
  let wasm: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    [
      "guest.ts",
      "--outFile",
      "guest.wasm",
      "--runtime",
      "stub",
      "--use",
      "abort=",
      "-O3",
      "--initialMemory",
      "1",
    ],
    {
      readFile: (path) => (path === "guest.ts" ? readFileSync(join(FOLDER, name), "utf8") : null),
      writeFile: (_name, contents) => {
        if (typeof contents !== "string") wasm = Uint8Array.from(contents);
      },
      listFiles: () => [],
    },
  );
  if (error !== null || wasm === undefined) throw new Error(`${stderr.toString()}${error?.message ?? ""}`);
  return wasm;
}
