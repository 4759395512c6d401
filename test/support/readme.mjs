/** The code blocks of the README, for those who run them. */
import { readFileSync } from "node:fs";

const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/**
 * The fenced blocks of a language, in order, whatever else their first line says.
 * @param {string} language
 * @returns {string[]}
 */
export function blocks(language) {
  return [...text.matchAll(/^```(\w+)[^\n]*\n([\s\S]*?)^```$/gm)].flatMap(([, name, block]) =>
    name === language && block !== undefined ? [block] : [],
  );
}

/**
 * The blocks that are whole programs: each makes a table of its own.
 * @returns {string[]}
 */
export function programs() {
  return blocks("js").filter((block) => block.includes("ResourceTable.create("));
}
