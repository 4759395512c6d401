/**
 * An application with a partition in a worker (test/recipes/bundled-app), through four bundlers and then run: it must print what
 * it prints without. Each gets the options that a user needs, and no plugin for lpar.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { run } from "./processes.mjs";
import { APP_PRINTS, expectLines } from "./recipes.mjs";

export function bundlers(place) {
  const app = join(place.folder, "recipes/bundled-app");
  const entries = { main: join(app, "main.js"), worker: join(app, "worker.js") };
  const check = (name, bundle) => ({
    name: `bundler ${name}`,
    run: async () => {
      const outDir = join(place.folder, `bundled-${name}`);
      mkdirSync(outDir, { recursive: true });
      // Elsewhere than where lpar is installed nothing may be left to be found.
      writeFileSync(join(outDir, "package.json"), '{ "type": "module" }');
      await bundle(entries, outDir);
      return expectLines(await run(process.execPath, [join(outDir, "main.js")]), APP_PRINTS);
    },
  });
  return [
    {
      name: "bundler none",
      run: async () => expectLines(await run(process.execPath, [entries.main]), APP_PRINTS),
    },
    check("esbuild", withEsbuild),
    check("vite", withVite),
    check("webpack", withWebpack),
    check("rollup", withRollup),
  ];
}

async function withEsbuild(entries, outdir) {
  const { build } = await import("esbuild");
  const entryPoints = Object.values(entries);
  await build({ entryPoints, outdir, bundle: true, minify: true, format: "esm", platform: "node" });
}

async function withVite(entries, outDir) {
  const { build } = await import("vite");
  await build({
    configFile: false,
    logLevel: "warn",
    ssr: { noExternal: true },
    build: {
      ssr: true,
      minify: true,
      outDir,
      emptyOutDir: false,
      rollupOptions: { input: entries, output: { entryFileNames: "[name].js" } },
    },
  });
}

async function withWebpack(entry, path) {
  const { default: webpack } = await import("webpack");
  const compiler = webpack({
    mode: "production",
    target: "node20",
    entry,
    experiments: { outputModule: true },
    output: { path, module: true, filename: "[name].js", chunkFormat: "module" },
    // The address of the worker is that of its bundle, and not that of a copy of its source.
    module: { parser: { javascript: { url: false, importMeta: false } } },
  });
  const stats = await new Promise((resolve, reject) => {
    compiler.run((error, result) => (error ? reject(error) : resolve(result)));
  });
  await new Promise((resolve) => compiler.close(resolve));
  if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString({ colors: false }));
}

async function withRollup(input, dir) {
  const { rollup } = await import("rollup");
  const onwarn = ({ message }) => {
    throw new Error(message);
  };
  const external = /^node:/;
  const bundle = await rollup({
    input,
    external,
    plugins: [nodeResolve({ exportConditions: ["node"] })],
    onwarn,
  });
  await bundle.write({ dir, format: "es", entryFileNames: "[name].js" });
  await bundle.close();
}
