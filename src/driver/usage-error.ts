/** What a user got wrong: said in one line, without a stack trace, and answered with exit code 2. */

import { InvalidArgumentError } from "commander";

export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly exitCode = 2;
}

/** A parser for commander: a whole number from min to max. */
export function integerOption(name: string, min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^[+-]?\d+$/.test(value) ? Number(value) : Number.NaN;
    return within(name, value, number, min, max, "a whole number");
  };
}

/** A parser for commander: a number from min to max, in decimal or like 1e6. */
export function numberOption(name: string, min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : Number.NaN;
    return within(name, value, number, min, max, "a number");
  };
}

/** A parser for commander: a text of at most so many characters. */
export function textOption(name: string, lengthMax: number): (value: string) => string {
  return (value) => {
    if (value.length > lengthMax)
      throw new InvalidArgumentError(
        `${name} takes at most ${lengthMax} characters, but got ${value.length}.`,
      );
    return value;
  };
}

function within(name: string, value: string, number: number, min: number, max: number, what: string): number {
  // A comparison with NaN is false, so this refuses what is no number too.
  if (number >= min && number <= max) return number;
  throw new InvalidArgumentError(`${name} takes ${what} from ${min} to ${max}, but got "${value}".`);
}
