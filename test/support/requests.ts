/** Requests of a batch as the core reads them, for nets that write to a table's memory without the library. */
import {
  REQUEST_ARGUMENTS,
  REQUEST_COOKIE,
  REQUEST_FLAGS,
  REQUEST_LOGICAL,
  REQUEST_LPID,
  REQUEST_TOKEN,
  REQUEST_WORDS,
  TOKEN_GRANT,
} from "../../src/layout.js";

interface Memory {
  readonly words: Uint32Array;
  readonly floats: Float64Array;
}

/** Writes one at a byte offset, with the arguments of its call; by words if it is about grants, and shall be. */
export function writeRequest(
  { words, floats }: Memory,
  at: number,
  token: number,
  lpid: number,
  args: readonly number[],
  byWords: boolean,
): void {
  if (!byWords || token < TOKEN_GRANT) {
    words[(at + REQUEST_TOKEN) / 4] = token;
    floats[(at + REQUEST_LPID) / 8] = lpid;
    floats.set(args, (at + REQUEST_ARGUMENTS) / 8);
    return;
  }
  words[(at + REQUEST_TOKEN) / 4] = token | REQUEST_WORDS;
  words[(at + REQUEST_LPID) / 4] = lpid;
  if (args.length > 1) words[(at + REQUEST_FLAGS) / 4] = args[0] as number;
  if (token === TOKEN_GRANT) words.set(args.slice(2), (at + REQUEST_LOGICAL) / 4);
  else floats[(at + REQUEST_COOKIE) / 8] = args.at(-1) as number;
}
