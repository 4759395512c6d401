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
 * The blocks that are whole programs of one thread: each makes a table of its own.
 * @returns {string[]}
 */
export function programs() {
  return blocks("js").filter(
    (block) => block.includes("ResourceTable.create(") && fileOf(block) === undefined,
  );
}

/** @param {string} block */
function fileOf(block) {
  return /^\/\/ (\w+\.js)\n/.exec(block)?.[1];
}

/**
 * The blocks that begin with the name of their file: one program of several threads, which main.js begins.
 * @returns {(readonly [name: string, text: string])[]}
 */
export function files() {
  return blocks("js").flatMap((block) => {
    const name = fileOf(block);
    return name === undefined ? [] : [/** @type {const} */ ([name, block])];
  });
}
