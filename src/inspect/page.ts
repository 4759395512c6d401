/** The files of the inspector's page. Nothing else of this machine can be asked for: the names are listed here. */
import { readFile } from "node:fs/promises";
import { PAGE_CSS, PAGE_HTML, PAGE_ICON } from "./page-text.js";

interface Part {
  readonly type: string;
  readonly body: string;
}

/** Compiled beside this file; imported by the page as modules. */
const SCRIPTS: ReadonlySet<string> = new Set([
  "page/main.js",
  "page/dom.js",
  "page/partitions.js",
  "page/strips.js",
  "page/timeline.js",
  "page/tree.js",
  "words.js",
]);

/** The part of the page at a path, undefined if there is none. */
export async function readPart(path: string): Promise<Part | undefined> {
  if (path === "") return { type: "text/html; charset=utf-8", body: PAGE_HTML };
  if (path === "page.css") return { type: "text/css; charset=utf-8", body: PAGE_CSS };
  if (path === "icon.svg") return { type: "image/svg+xml", body: PAGE_ICON };
  if (!SCRIPTS.has(path)) return undefined;
  const body = await readFile(new URL(path, import.meta.url), "utf8");
  return { type: "text/javascript; charset=utf-8", body };
}
