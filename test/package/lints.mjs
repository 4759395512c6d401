/** What publint and "are the types wrong" say of the tarball. */
import { readFileSync } from "node:fs";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

/**
 * The package is ES modules only, for Node >= 20.19, where require() takes them, too: that TypeScript calls this wrong for
 * CommonJS (node16-cjs) and that there is nothing for who knows no "exports" (node10) is meant.
 */
const NOT_SUPPORTED = ["node10", "node16-cjs"];

/** Bytes, which have no types. */
const NOT_CODE = ["./core.wasm"];

export function lints(place) {
  return [
    { name: "publint", run: () => lint(place) },
    { name: "are the types wrong", run: () => arethetypeswrong(place) },
  ];
}

async function lint(place) {
  const { messages, pkg } = await publint({
    pkgDir: place.package,
    level: "suggestion",
    pack: false,
    strict: true,
  });
  if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join("\n"));
  return "no message";
}

async function arethetypeswrong(place) {
  const data = createPackageFromTarballData(readFileSync(place.tarball));
  const { problems = [], entrypoints } = await checkPackage(data, { excludeEntrypoints: NOT_CODE });
  const left = problems.filter(({ resolutionKind }) => !NOT_SUPPORTED.includes(resolutionKind));
  if (left.length > 0) throw new Error(JSON.stringify(left, undefined, 2));
  return `no problem in ${Object.keys(entrypoints).join(", ")}`;
}
