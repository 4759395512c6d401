/**
 * The single-thread API in Chromium: bundled by esbuild, and as the ES modules that are installed, by an import map. Served with the
 * two headers that a page needs for shared memory (COOP and COEP), and, with `threads: 0`, without them. All must do what Node does.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { launchChromium } from "./chromium.mjs";
import { HERE } from "./install.mjs";

const HEADERS = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** Bare names of the unbundled modules, as a page resolves them. */
const IMPORT_MAP = JSON.stringify({
  imports: {
    lpar: "/node_modules/lpar/dist/src/index.js",
    "lpar/worker": "/node_modules/lpar/dist/src/worker.js",
    "@assemblyscript/loader": "/node_modules/@assemblyscript/loader/index.js",
  },
});

/** What spawn(), attach(), currentPartition() and waitEvent() must say. */
const REFUSALS = [
  /^LPAR_UNSUPPORTED: .*spawn\(\)/,
  /^LPAR_UNSUPPORTED: .*attach\(\)/,
  /^LPAR_UNSUPPORTED: .*lpar\/worker/,
  /^LPAR_UNSUPPORTED: waitEvent\(\)/,
];

export function browsers(place) {
  return [
    { name: "browser, bundled", run: () => check(place, "/bundled.html", {}, HEADERS) },
    { name: "browser, ES modules", run: () => check(place, "/modules.html", {}, HEADERS) },
    { name: "browser, page not isolated", run: () => check(place, "/bundled.html", { threads: 0 }, {}) },
  ];
}

function page(script) {
  return `<!doctype html><meta charset="utf-8"><script type="importmap">${IMPORT_MAP}</script>
<script type="module">import { demonstrate } from "${script}"; globalThis.demonstrate = demonstrate;</script>`;
}

async function check(place, path, options, headers) {
  const source = readFileSync(join(HERE, "browser-app.js"), "utf8");
  const server = await serve(place, source, headers);
  const browser = await launchChromium();
  try {
    const tab = await browser.newPage();
    const errors = [];
    tab.on("pageerror", (error) => errors.push(error.message));
    await tab.goto(`http://127.0.0.1:${server.address().port}${path}`);
    await tab
      .waitForFunction("globalThis.demonstrate !== undefined", undefined, { timeout: 20_000 })
      .catch(() => {
        throw new Error(`the page does not load: ${errors.join("; ")}`);
      });
    if ((await tab.evaluate("crossOriginIsolated")) !== (headers === HEADERS))
      throw new Error("the page is not isolated as its headers say");
    const { lines, unsupported } = await tab.evaluate(`demonstrate(${JSON.stringify(options)})`);
    const expected = await inNode(place, source, options);
    // The last line is that after the calls which a browser refuses.
    if (lines.slice(0, -1).join("\n") !== expected.join("\n") || lines.at(-1) !== "running, 0 problems")
      throw new Error(`the browser says\n${lines.join("\n")}\nand Node\n${expected.join("\n")}`);
    if (!REFUSALS.every((pattern, index) => pattern.test(unsupported[index])))
      throw new Error(`what a browser cannot do says:\n${unsupported.join("\n")}`);
    return `Chromium ${browser.version()}, ${lines.length} lines as in Node, ${REFUSALS.length} calls say why they cannot`;
  } finally {
    await browser.close();
    server.close();
  }
}

async function inNode(place, source, options) {
  const file = join(place.folder, "browser-app.mjs");
  writeFileSync(file, source);
  const { demonstrate } = await import(pathToFileURL(file).href);
  return (await demonstrate(options)).lines;
}

/** Serves the two pages, the bundle, and what is installed; nothing above it. */
async function serve(place, source, headers) {
  const stdin = { contents: source, resolveDir: place.folder };
  const bundle = await build({ stdin, bundle: true, minify: true, format: "esm", write: false });
  const pages = new Map([
    ["/bundled.html", page("/bundle.js")],
    ["/modules.html", page("/browser-app.js")],
    ["/bundle.js", bundle.outputFiles[0].text],
    ["/browser-app.js", source],
  ]);
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    let body = pages.get(pathname);
    try {
      if (pathname.startsWith("/node_modules/")) body = readFileSync(join(place.folder, pathname));
    } catch {
      // As if it had not been asked for.
    }
    const type = pathname.endsWith(".html") ? "text/html" : "text/javascript";
    response.writeHead(body === undefined ? 404 : 200, { ...headers, "content-type": type });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
