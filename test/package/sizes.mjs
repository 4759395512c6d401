/**
 * How much the package costs. The library is what an application ships of it: everything that the entry `lpar` exports, with the
 * core, bundled and minified, after gzip. The tarball has the command line, the benchmarks and the documents, too.
 */
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const KIB = 1024;
const LIBRARY_BUDGET = 60 * KIB;
const TARBALL_BUDGET = 512 * KIB;

export function sizes(place) {
  return [
    { name: "size of the library", run: () => library(place) },
    { name: "size of the tarball", run: async () => within("npm pack", place.tarballBytes, TARBALL_BUDGET) },
  ];
}

async function library(place) {
  const contents = 'export * from "lpar";';
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: place.folder },
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  });
  const [{ contents: bytes }] = outputFiles;
  return within(`minified ${kib(bytes.length)}, gzip`, gzipSync(bytes, { level: 9 }).length, LIBRARY_BUDGET);
}

function within(what, bytes, budget) {
  const text = `${what} ${kib(bytes)} of at most ${kib(budget)}`;
  if (bytes > budget) throw new Error(`${text}: too much`);
  return text;
}

function kib(bytes) {
  return `${(bytes / KIB).toFixed(1)} KiB`;
}
