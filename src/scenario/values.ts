/** The values of steps: addresses that may be names, data in three forms, and what a step is expected to answer. */
import {
  checkName,
  choice,
  type Field,
  type Fields,
  field,
  flag,
  integer,
  list,
  object,
  optional,
} from "./schema.js";

/** A number, or what a name stands for, and an offset from it. */
export interface Amount {
  readonly name: string | undefined;
  readonly offset: number;
}

/** What a step answers, by name. Maps to JSON but for bytes. */
export type Value = number | string | boolean | Uint8Array | readonly Value[] | Values;
export interface Values {
  readonly [name: string]: Value;
}

/** Whoever knows what names stand for while the scenario runs. */
export interface Resolver {
  amount(amount: Amount): number;
}

/** An expected value; it may depend on names. */
export type Wanted = (resolver: Resolver) => Value;

const UNITS: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const SIZE = /^(\d+(?:\.\d+)?) ?(|B|KiB|MiB|GiB)$/;
const HEXADECIMAL = /^0x[\da-f]{1,13}$/i;
/** So much data may stand in one step. */
const DATA_MAX_BYTES = 2 ** 26;

/** The number in a text like "64KiB" or "0x1000"; undefined if it is none, or not whole. */
function sizeOf(text: string): number | undefined {
  if (HEXADECIMAL.test(text)) return Number(text);
  const [, digits, unit] = SIZE.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS[unit ?? ""] as number);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A whole number of bytes, or of anything, that is a multiple of `unit`. */
export function size(unit = 1, min = 0): Field<number> {
  const what = `${unit === 1 ? "a whole number" : `a multiple of ${unit}`} from ${min}, or a size like "64KiB"`;
  return field((value, place) => {
    const number = typeof value === "string" ? sizeOf(value) : value;
    return typeof number === "number" && Number.isSafeInteger(number) && number >= min && number % unit === 0
      ? number
      : place.mustBe(what, value);
  });
}

/**
 * An address, a length or a word: any number at all, for calls must answer wrong ones too (G2); a size; or a name with
 * or without an offset.
 */
export const amount: Field<Amount> = field((value, place) => {
  if (typeof value === "number") return { name: undefined, offset: value };
  const what = 'a number, a size like "64KiB", or a name like "window" or "window+4KiB"';
  if (typeof value !== "string") return place.mustBe(what, value);
  const number = sizeOf(value);
  if (number !== undefined) return { name: undefined, offset: number };
  const [name, rest] = value.split(/ ?\+ ?(.*)/s) as [string, string | undefined];
  const offset = rest === undefined ? 0 : sizeOf(rest);
  if (offset === undefined || !/^[A-Za-z_]/.test(name)) return place.mustBe(what, value);
  checkName(name, ["address"], place);
  return { name, offset };
});

const counted = object({ length: size(), first: optional(integer(0, 255)), step: optional(integer(0, 255)) });

/** Bytes: a text in UTF-8, `{ "hex": "00 ff" }`, or `{ "length": "8KiB", "first": 1, "step": 1 }`. */
export const data: Field<Uint8Array> = field((value, place) => {
  if (typeof value === "string") return new TextEncoder().encode(value);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return place.mustBe('a text, { "hex": ... } or { "length": ..., "first": ..., "step": ... }', value);
  if (Object.hasOwn(value, "hex")) return object({ hex: hexadecimal }).parse(value, place).hex;
  const { length, first = 0, step = 0 } = counted.parse(value, place);
  if (length > DATA_MAX_BYTES) place.at("length").mustBe(`at most ${DATA_MAX_BYTES}`, length);
  return Uint8Array.from({ length }, (_, index) => first + index * step);
});

const hexadecimal: Field<Uint8Array> = field((value, place) => {
  const digits = typeof value === "string" ? value.replaceAll(" ", "") : "?";
  if (digits.length % 2 !== 0 || /[^\da-f]/i.test(digits))
    return place.mustBe("pairs of hexadecimal digits", value);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
});

/** The 14 bytes of a queue entry after header and format; shorter data is filled with zeros. */
export const payload: Field<Uint8Array> = field((value, place) => {
  const bytes = data.parse(value, place);
  if (bytes.length > 14) return place.fail(`has ${bytes.length} bytes; at most 14 fit an entry`);
  const padded = new Uint8Array(14);
  padded.set(bytes);
  return padded;
});

/** What a step may be expected to answer: as a field, but the answer is compared with it. */
function wanted<T extends Value>(inner: Field<T>): Field<Wanted> {
  return optional(
    field((value, place) => {
      const parsed = inner.parse(value, place);
      return () => parsed;
    }),
  ) as Field<Wanted>;
}

export const wantedNumber: Field<Wanted> = optional(
  field((value, place): Wanted => {
    const parsed = amount.parse(value, place);
    return (resolver) => resolver.amount(parsed);
  }),
) as Field<Wanted>;
export const wantedFlag: Field<Wanted> = wanted(flag);
export const wantedData: Field<Wanted> = wanted(data);
export const wantedPayload: Field<Wanted> = wanted(payload);

export function wantedWord(...words: readonly string[]): Field<Wanted> {
  return wanted(choice(...words));
}

export function wantedWords(...words: readonly string[]): Field<Wanted> {
  return wanted(list(choice(...words)));
}

/** A list of events, each as its type or as an object with what matters of it. */
export function wantedEvents(types: readonly string[], details: Fields): Field<Wanted> {
  const fields: Fields = { type: choice(...types), ...details };
  const event = field((value, place): Values => {
    const given = typeof value === "string" ? { type: value } : value;
    return object(fields).parse(given, place) as Values;
  });
  return wanted(list(event));
}

/** Whether an answer is what was wanted: lists element by element, objects in what was named. */
export function matches(wanted: Value, actual: Value | undefined): boolean {
  if (wanted instanceof Uint8Array)
    return (
      actual instanceof Uint8Array && actual.length === wanted.length && firstDifference(wanted, actual) < 0
    );
  if (Array.isArray(wanted)) {
    if (!Array.isArray(actual) || actual.length !== wanted.length) return false;
    return wanted.every((element: Value, index) => matches(element, actual[index]));
  }
  if (typeof wanted !== "object") return Object.is(wanted, actual);
  if (typeof actual !== "object") return false;
  return Object.entries(wanted).every(([key, value]) => matches(value, (actual as Values)[key]));
}

/** The first index at which two byte strings differ, -1 if there is none. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? -1 : shared;
}
