/**
 * Statuses as errors. H_BUSY and H_PARTIAL are not errors: the API goes on until they are over.
 */
import {
  H_AUTHORITY,
  H_BUSY,
  H_CLOSED,
  H_CONSTRAINED,
  H_DROPPED,
  H_FUNCTION,
  H_HARDWARE,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_PRIVILEGE,
  H_R_STATE,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
} from "./layout.js";

const NAMES: ReadonlyMap<number, string> = new Map([
  [H_SUCCESS, "H_SUCCESS"],
  [H_BUSY, "H_BUSY"],
  [H_CLOSED, "H_CLOSED"],
  [H_CONSTRAINED, "H_CONSTRAINED"],
  [H_PARTIAL, "H_PARTIAL"],
  [H_HARDWARE, "H_HARDWARE"],
  [H_FUNCTION, "H_FUNCTION"],
  [H_PRIVILEGE, "H_PRIVILEGE"],
  [H_PARAMETER, "H_PARAMETER"],
  [H_NOT_FOUND, "H_NOT_FOUND"],
  [H_NO_MEM, "H_NO_MEM"],
  [H_AUTHORITY, "H_AUTHORITY"],
  [H_PERMISSION, "H_PERMISSION"],
  [H_DROPPED, "H_DROPPED"],
  [H_RESOURCE, "H_RESOURCE"],
  [H_R_STATE, "H_R_STATE"],
  [H_RESCINDED, "H_RESCINDED"],
  [H_LONG_BUSY_10_MSEC, "H_LongBusyOrder10msec"],
]);

/** The architecture's name of a status, for example "H_RESCINDED". */
export function statusName(status: number): string {
  return NAMES.get(status) ?? `status ${status}`;
}

/**
 * A hypercall that was refused, or that found the table locked (H_LongBusyOrder10msec). It changed nothing (G1); where H_BUSY or H_PARTIAL
 * is thrown, since it took too long, what the call says of that was done.
 */
export class HcallError extends Error {
  /** "HcallError". */
  override readonly name = "HcallError";
  /** The architecture's name of the status, for example "H_RESCINDED". */
  readonly code: string;
  /** The status, for example -46. */
  readonly status: number;
  /** The call, for example "H_ACCEPT_LOGICAL". */
  readonly hcall: string;

  constructor(hcall: string, status: number, detail?: string, options?: ErrorOptions) {
    const code = statusName(status);
    super(detail === undefined ? `${hcall}: ${code}` : `${hcall}: ${code} (${detail})`, options);
    this.hcall = hcall;
    this.status = status;
    this.code = code;
  }
}

/** @internal Whether the table was locked. */
export function isBusy(error: unknown): boolean {
  return error instanceof HcallError && error.status === H_LONG_BUSY_10_MSEC;
}

/** A use of the package that its present state does not allow. */
export class LparError extends Error {
  /** "LparError". */
  override readonly name = "LparError";
  /** For example "LPAR_CLOSED", "LPAR_UNSUPPORTED", "LPAR_RELEASED". */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * @internal What somebody else threw or gave, as text: its name, its message and its conversion are foreign code.
 * @param isNamed whether an error is told with its name.
 */
export function textOf(value: unknown, isNamed = false): string {
  try {
    if (!(value instanceof Error)) return String(value);
    return isNamed ? `${value.name}: ${value.message}` : `${value.message}`;
  } catch {
    return "something that has no text";
  }
}

/** @throws TypeError for what is not of the kind that a call needs. */
export function refuseKind(name: string, value: unknown, kind: string): never {
  throw new TypeError(`the ${name} is ${textOf(value)}; it must be a ${kind}`);
}

type Words<Text extends string> = Text extends `${infer Word}, ${infer Rest}` ? Word | Words<Rest> : Text;

/** The text, if its words are the names of all that T has, and no others: else the compiler refuses it. */
type AllNames<T, Text extends string> = [keyof T, Words<Text>] extends [Words<Text>, keyof T] ? Text : never;

const lists: Map<string, ReadonlySet<string>> = new Map();

/**
 * What a call does not know it would ignore, and `readOnly: true` give the right to write. What is undefined is as good as left out,
 * and what the class of an object has is nobody's mistake. A signal is the same in all of them, and is looked at before anything begins.
 * @param names of all options of the call.
 * @throws RangeError naming the option, and those that there are; TypeError for what is no object, or a signal that is none.
 */
export function checkNames<T extends object, Text extends string>(
  options: T,
  names: Text & AllNames<T, Text>,
): void {
  if (typeof options !== "object" || options === null)
    throw new TypeError(`the options are ${textOf(options)}; they must be an object of ${names}`);
  const known = lists.get(names) ?? new Set(names.split(", "));
  lists.set(names, known);
  for (const name in options) {
    if (!known.has(name) && Object.hasOwn(options, name) && options[name] !== undefined)
      throw new RangeError(`there is no option "${name}"; there are ${names}`);
  }
  const { signal } = options as { readonly signal?: Partial<AbortSignal> | null };
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function")
    throw new TypeError(`signal is ${textOf(signal)}; it must be an AbortSignal`);
}

/** What something is called. @throws RangeError */
export function checkName(name: unknown): void {
  if (typeof name !== "string" || name === "")
    throw new RangeError(`name is "${textOf(name)}"; it must be a string that is not empty`);
}

/**
 * An integer option within its bounds.
 * @throws RangeError naming the option, the value and the bounds.
 */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} is ${textOf(value)}; it must be an integer from ${min} to ${max}`);
  }
  return value;
}

/**
 * An option in bytes: whole pages within bounds.
 * @throws RangeError naming the option, the value and the bounds.
 */
export function checkBytes(name: string, value: unknown, min: number, max: number, unit: number): number {
  if (
    typeof value !== "number" ||
    !Number.isInteger(value) ||
    value % unit !== 0 ||
    value < min ||
    value > max
  ) {
    throw new RangeError(
      `${name} is ${textOf(value)}; it must be a multiple of ${unit} from ${min} to ${max}`,
    );
  }
  return value;
}

/**
 * An array of bytes. What has larger elements would be cut to their lowest bytes, and of a text or a list nothing would be left.
 * By its elements, since the arrays of another realm are of another class.
 * @throws TypeError naming the argument.
 */
export function checkArray(name: string, array: Uint8Array | undefined): void {
  if (array?.BYTES_PER_ELEMENT !== 1) throw new TypeError(`the ${name} must be a Uint8Array`);
}
