/**
 * A tiny declarative schema: what a value must look like, as data. A field checks a value and answers what it means, or
 * says in one line where it stands and what is wrong with it.
 */

/** What is wrong with a scenario file: one line, which begins with the file's name. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";

  constructor(file: string, problem: string) {
    // Both come from outside: what a terminal would obey, or would break the line, is not passed on.
    super(`${file}: ${problem}`.replace(/\p{C}/gu, "?"));
  }
}

/** What a name in a scenario can stand for. */
export type NameKind = "partition" | "adapter" | "grant" | "address" | "view";

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
const A_NAME = 'a name of at most 64 letters, digits, "_", "-" and "." that begins with a letter or "_"';

/** The names that a scenario has given so far. */
export class Names {
  readonly #known: Map<string, { readonly kind: NameKind; readonly path: string }> = new Map();
  /** Given by the step that is being checked: it cannot refer to them itself. */
  readonly #pending: Map<string, { readonly kind: NameKind; readonly path: string }> = new Map();

  kindOf(name: string): NameKind | undefined {
    return this.#known.get(name)?.kind;
  }

  give(name: string, kind: NameKind, place: Place): void {
    const older = this.#known.get(name) ?? this.#pending.get(name);
    if (older !== undefined) place.fail(`is ${show(name)}, which ${older.path} named already`);
    this.#pending.set(name, { kind, path: place.path });
  }

  /** The step is checked: from now on its names can be used. */
  commit(): void {
    for (const [name, meaning] of this.#pending) this.#known.set(name, meaning);
    this.#pending.clear();
  }

  /** The step is expected to fail: then there is nothing to name. */
  discard(): void {
    this.#pending.clear();
  }
}

/** Where a value stands, and the names that are known there. */
export class Place {
  readonly file: string;
  /** For example `steps[3].grant.length`; empty for the whole file. */
  readonly path: string;
  readonly names: Names;

  constructor(file: string, path: string, names: Names) {
    this.file = file;
    this.path = path;
    this.names = names;
  }

  /** A key or an index below this place. */
  at(key: string | number): Place {
    const step = typeof key === "number" ? `[${key}]` : `${this.path === "" ? "" : "."}${key}`;
    return new Place(this.file, this.path + step, this.names);
  }

  fail(problem: string): never {
    throw new ScenarioError(this.file, `${this.path === "" ? "the scenario" : this.path} ${problem}`);
  }

  /** @param what for example "a text" */
  mustBe(what: string, value: unknown): never {
    return this.fail(`must be ${what}, not ${show(value)}`);
  }
}

/** A value for a message: as JSON, short. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** How one value is checked. */
export interface Field<T> {
  readonly isRequired: boolean;
  readonly parse: (value: unknown, place: Place) => T;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;
export type ValuesOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

/** A field that must be there. */
export function field<T>(parse: Field<T>["parse"]): Field<T> {
  return { isRequired: true, parse };
}

/** A field that may be left out: then it is undefined. */
export function optional<T>(inner: Field<T>): Field<T | undefined> {
  return { isRequired: false, parse: inner.parse };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as an object, whatever its keys. */
export function asObject(value: unknown, place: Place): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : place.mustBe("an object", value);
}

/** An object with these fields and no others. */
export function object<F extends Fields>(fields: F): Field<ValuesOf<F>> {
  return field((value, place) => {
    const given = asObject(value, place);
    checkKeys(given, Object.keys(fields), place);
    const values: Record<string, unknown> = {};
    for (const [name, { isRequired, parse }] of Object.entries(fields)) {
      if (Object.hasOwn(given, name)) values[name] = parse(given[name], place.at(name));
      else if (isRequired) place.at(name).fail("is missing");
    }
    return values as ValuesOf<F>;
  });
}

export function checkKeys(given: object, allowed: readonly string[], place: Place): void {
  for (const key of Object.keys(given)) {
    if (!allowed.includes(key))
      place.at(key).fail(`is not known; allowed: ${allowed.join(", ") || "nothing"}`);
  }
}

/** A list of values of one kind. */
export function list<T>(inner: Field<T>): Field<readonly T[]> {
  return field((value, place) =>
    Array.isArray(value)
      ? value.map((element, index) => inner.parse(element, place.at(index)))
      : place.mustBe("a list", value),
  );
}

export const text: Field<string> = field((value, place) =>
  typeof value === "string" ? value : place.mustBe("a text", value),
);

export const flag: Field<boolean> = field((value, place) =>
  typeof value === "boolean" ? value : place.mustBe("true or false", value),
);

/** A whole number within bounds. */
export function integer(min: number, max: number): Field<number> {
  return field((value, place) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
      ? value
      : place.mustBe(`a whole number from ${min} to ${max}`, value),
  );
}

/** One of some words. */
export function choice<T extends string>(...words: readonly T[]): Field<T> {
  return field(
    (value, place) =>
      words.find((word) => word === value) ?? place.mustBe(`one of ${words.join(", ")}`, value),
  );
}

/** A name that is given here, for later steps. */
export function newName(kind: NameKind): Field<string> {
  return field((value, place) => {
    if (typeof value !== "string" || !NAME.test(value)) return place.mustBe(A_NAME, value);
    place.names.give(value, kind, place);
    return value;
  });
}

function withArticle(kind: NameKind): string {
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

/** Checks that a name was given before, to something of one of these kinds. */
export function checkName(name: string, kinds: readonly NameKind[], place: Place): void {
  const kind = place.names.kindOf(name);
  const wanted = kinds.map(withArticle).join(" or ");
  if (kind === undefined)
    place.fail(`is ${show(name)}, but nothing before has that name; it must be ${wanted}`);
  if (!kinds.includes(kind))
    place.fail(`is ${show(name)}, which is ${withArticle(kind)}; it must be ${wanted}`);
}

/** A name that was given before, to something of one of these kinds. */
export function nameOf(...kinds: readonly NameKind[]): Field<string> {
  return field((value, place) => {
    if (typeof value !== "string")
      return place.mustBe(`the name of ${kinds.map(withArticle).join(" or ")}`, value);
    checkName(value, kinds, place);
    return value;
  });
}
