/** Steps and answers in words, and as plain JSON. */
import type { Value, Values } from "./values.js";

const BYTES_SHOWN = 16;
const BYTES_IN_JSON = 256;
const ARGUMENT_MAX = 48;

function hex(bytes: Uint8Array, most: number): string {
  return Array.from(bytes.subarray(0, most), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function describeBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return "none";
  const first = bytes.subarray(0, BYTES_SHOWN * 2);
  const isText = first.every((byte) => byte >= 0x20 && byte < 0x7f);
  const rest = (shown: number): string => (bytes.length > shown ? `... (${bytes.length} bytes)` : "");
  if (isText) return `"${String.fromCharCode(...first)}"${rest(first.length)}`;
  return `0x${hex(bytes, BYTES_SHOWN)}${rest(BYTES_SHOWN)}`;
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function describeValue(value: Value): string {
  if (value instanceof Uint8Array) return describeBytes(value);
  if (isList(value)) return value.length === 0 ? "none" : value.map(describeValue).join("; ");
  if (typeof value === "object") return Object.values(value).map(describeValue).join(" ");
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

/** For example "address 65536, writable no". */
export function describeValues(values: Values): string {
  const parts = Object.entries(values).map(([name, value]) => `${name} ${describeValue(value)}`);
  return parts.join(", ") || "done";
}

/** A step as its file has it, for example "grant by server, to client, address 0, length 4KiB, as page". */
export function describeStep(verb: string, given: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(given).map(([name, value]) => {
    const isBare = typeof value === "string" && /^[\w.+-]+$/.test(value);
    const argument = isBare ? value : JSON.stringify(value);
    return `${name} ${argument.length > ARGUMENT_MAX ? `${argument.slice(0, ARGUMENT_MAX - 3)}...` : argument}`;
  });
  return `${verb} ${parts.join(", ")}`.trim();
}

/** An answer as JSON has it: bytes become their number and the first of them in hexadecimal. */
export function plainValue(value: Value): unknown {
  if (value instanceof Uint8Array) return { length: value.length, hex: hex(value, BYTES_IN_JSON) };
  if (isList(value)) return value.map(plainValue);
  return typeof value === "object" ? plainValues(value) : value;
}

export function plainValues(values: Values): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, plainValue(value)]));
}
