/**
 * JSON that says where it is wrong: line and column on every Node version, and a key that is there twice, of which
 * JSON.parse() would drop the first in silence.
 */

const DEPTH_MAX = 32;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[A-Za-z]+/y;
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

/** What is wrong with a text that should be JSON. */
export class JsonError extends Error {
  override readonly name = "JsonError";
  /** Both from 1; the column counts UTF-16 units. */
  readonly line: number;
  readonly column: number;

  constructor(text: string, at: number, problem: string) {
    super(problem);
    const before = text.slice(0, at).split("\n");
    this.line = before.length;
    this.column = (before.at(-1) as string).length + 1;
  }
}

/**
 * Parses a text. Objects have no prototype, so that no key means anything special.
 * @throws JsonError
 */
export function parseJson(text: string): unknown {
  return new JsonReader(text).document();
}

class JsonReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value();
    if (this.#next() !== "") this.#fail("expected nothing more");
    return value;
  }

  #fail(problem: string, at = this.#at): never {
    const found = this.#text[at];
    const what = found === undefined ? "found the end of the file" : `found ${JSON.stringify(found)}`;
    throw new JsonError(this.#text, at, `${problem}, ${what}`);
  }

  /** The next character that is no white space, "" at the end. */
  #next(): string {
    while (" \t\r\n".includes(this.#text[this.#at] ?? "x")) this.#at++;
    return this.#text[this.#at] ?? "";
  }

  #value(): unknown {
    const first = this.#next();
    if (first === "{") return this.#object();
    if (first === "[") return this.#array();
    if (first === '"') return this.#string();
    const number = this.#match(NUMBER);
    if (number !== "") return Number(number);
    const start = this.#at;
    const word = this.#match(WORD);
    if (!WORDS.has(word)) this.#fail("expected a value", start);
    return WORDS.get(word);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #string(): string {
    const start = this.#at++;
    while (this.#at < this.#text.length && this.#text[this.#at] !== '"') {
      this.#at += this.#text[this.#at] === "\\" ? 2 : 1;
    }
    if (this.#at >= this.#text.length)
      throw new JsonError(this.#text, start, "this string has no closing quote");
    this.#at++;
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      throw new JsonError(this.#text, start, "this string has a control character or a wrong escape");
    }
  }

  /** Elements up to `close`, with commas between them. */
  #list(close: string, element: () => void): void {
    if (++this.#depth > DEPTH_MAX) this.#fail(`nested more than ${DEPTH_MAX} deep`);
    this.#at++;
    if (this.#next() !== close) {
      element();
      while (this.#next() === ",") {
        this.#at++;
        element();
      }
      if (this.#next() !== close) this.#fail(`expected "," or "${close}"`);
    }
    this.#at++;
    this.#depth--;
  }

  #array(): unknown[] {
    const values: unknown[] = [];
    this.#list("]", () => values.push(this.#value()));
    return values;
  }

  #object(): Record<string, unknown> {
    const values: Record<string, unknown> = Object.create(null);
    this.#list("}", () => {
      if (this.#next() !== '"') this.#fail("expected a key in quotes");
      const start = this.#at;
      const key = this.#string();
      if (Object.hasOwn(values, key))
        throw new JsonError(this.#text, start, `the key ${JSON.stringify(key)} is there twice`);
      if (this.#next() !== ":") this.#fail('expected ":"');
      this.#at++;
      values[key] = this.#value();
    });
    return values;
  }
}
