/** Which page a workload touches next, as the user writes it. The streams of page numbers are made in page-stream.ts. */
import { ParameterError } from "./parameter-error.js";

export type Distribution =
  | { readonly kind: "uniform" }
  /** The page of rank k (from 1) is as likely as 1 / k^exponent. */
  | { readonly kind: "zipf"; readonly exponent: number }
  /** One page after the other. */
  | { readonly kind: "seq" }
  /** Every so many pages; once around it goes on beside where it began, until all pages were touched. */
  | { readonly kind: "stride"; readonly pages: number }
  /** So many percent of all accesses go to so many percent of all pages. */
  | { readonly kind: "hotcold"; readonly accessPercent: number; readonly pagePercent: number }
  /** The pages of a recorded program, in its order. */
  | { readonly kind: "trace"; readonly file: string };

export const EXPONENT_MAX = 8;
export const STRIDE_MAX: number = 2 ** 22;

const ALLOWED = `uniform, zipf:S (S above 0, up to ${EXPONENT_MAX}), seq, stride:N (N from 1 to ${STRIDE_MAX}), hotcold:A/P (A % of the accesses to P % of the pages, each from 1 to 99) or trace:FILE (an .lpt file)`;

/** @throws ParameterError naming the text and what is allowed. */
export function parseDistribution(text: string): Distribution {
  const colon = text.indexOf(":");
  const kind = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? undefined : text.slice(colon + 1);
  const parsed = rest === undefined ? parseBare(kind) : parseWith(kind, rest);
  if (parsed === undefined) throw new ParameterError(`--dist takes ${ALLOWED}, but got "${text}"`);
  return parsed;
}

/** The text that parseDistribution() reads, for reports. */
export function formatDistribution(distribution: Distribution): string {
  switch (distribution.kind) {
    case "zipf":
      return `zipf:${distribution.exponent}`;
    case "stride":
      return `stride:${distribution.pages}`;
    case "hotcold":
      return `hotcold:${distribution.accessPercent}/${distribution.pagePercent}`;
    case "trace":
      return `trace:${distribution.file}`;
    default:
      return distribution.kind;
  }
}

function parseBare(kind: string): Distribution | undefined {
  return kind === "uniform" || kind === "seq" ? { kind } : undefined;
}

function parseWith(kind: string, rest: string): Distribution | undefined {
  switch (kind) {
    case "zipf": {
      const exponent = numberWithin(rest, Number.MIN_VALUE, EXPONENT_MAX);
      return exponent === undefined ? undefined : { kind, exponent };
    }
    case "stride": {
      const pages = /^\d+$/.test(rest) ? numberWithin(rest, 1, STRIDE_MAX) : undefined;
      return pages === undefined ? undefined : { kind, pages };
    }
    case "hotcold": {
      const [access, page, ...more] = rest.split("/").map((part) => numberWithin(part, 1, 99));
      if (access === undefined || page === undefined || more.length > 0) return undefined;
      return { kind, accessPercent: access, pagePercent: page };
    }
    case "trace":
      return rest === "" ? undefined : { kind, file: rest };
    default:
      return undefined;
  }
}

function numberWithin(text: string, min: number, max: number): number | undefined {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}
