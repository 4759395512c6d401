/**
 * How much the package costs. The library is what an application ships of it, bundled and minified, after gzip: once of one that
 * makes tables, and once of everything that the entry `lpar` exports. Both have the core in them, less than half of it. The
 * tarball has the command line, the benchmarks and the documents, too.
 *
 * The aim is 60 KiB for an application, and it is missed: the core has what the contract asks for, and is inlined only where it is
 * hot (DESIGN.md, "Speed"). The budgets are what was reached and 1 KiB, so that it gets no worse.
 */
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const KIB = 1024;
const APPLICATION_BUDGET = 69 * KIB;
const LIBRARY_BUDGET = 72.5 * KIB;
const TARBALL_BUDGET = 640 * KIB;

export function sizes(place) {
  const application =
    'import { HcallError, ResourceTable } from "lpar"; console.log(ResourceTable, HcallError);';
  return [
    { name: "size of an application", run: () => bundled(place, application, APPLICATION_BUDGET) },
    { name: "size of all of lpar", run: () => bundled(place, 'export * from "lpar";', LIBRARY_BUDGET) },
    { name: "size of the tarball", run: async () => within("npm pack", place.tarballBytes, TARBALL_BUDGET) },
  ];
}

async function bundled(place, contents, budget) {
  const stdin = { contents, resolveDir: place.folder };
  const { outputFiles } = await build({ stdin, bundle: true, minify: true, format: "esm", write: false });
  const [{ contents: bytes }] = outputFiles;
  const others = `minified ${kib(bytes.length)}, brotli ${kib(brotliCompressSync(bytes).length)}`;
  return `${others}, ${within("gzip", gzipSync(bytes, { level: 9 }).length, budget)}`;
}

function within(what, bytes, budget) {
  const text = `${what} ${kib(bytes)} of at most ${kib(budget)}`;
  if (bytes > budget) throw new Error(`${text}: too much`);
  return text;
}

function kib(bytes) {
  return `${(bytes / KIB).toFixed(1)} KiB`;
}
