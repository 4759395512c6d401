/** What the workloads of `lpar bench` are made of: parameters, distributions, streams of pages. */
import { describe, expect, it } from "vitest";
import { formatDistribution, parseDistribution } from "../bench/distribution.js";
import { ParameterError } from "../bench/parameter-error.js";
import {
  PARAMETER_NAMES,
  PARAMETERS,
  type ParameterName,
  parseParameter,
  unusedParameters,
} from "../bench/parameters.js";
import { SUITE_NAMES } from "../bench/suite.js";

describe("parameters", () => {
  it("are whole numbers within their bounds, also as powers of two", () => {
    expect(parseParameter("pages", "4096")).toEqual({ pages: 4096 });
    expect(parseParameter("pages", "2^22")).toEqual({ pages: 2 ** 22 });
    for (const name of PARAMETER_NAMES) {
      const { bounds } = PARAMETERS[name];
      if (bounds === undefined) continue;
      const [min, max] = bounds;
      expect(parseParameter(name, String(min))).toEqual({ [name]: min });
      expect(parseParameter(name, String(max))).toEqual({ [name]: max });
      for (const wrong of [min - 1, max + 1, "", " ", "1.5", "-3", "1e3", "2^", "2^99", "2^-1", "many"]) {
        const message = `--${name} takes a whole number from ${min} to ${max}, but got "${wrong}"`;
        expect(() => parseParameter(name, String(wrong))).toThrow(new ParameterError(message));
      }
    }
  });

  it("are missed by no suite in silence: what nobody uses is named", () => {
    expect(unusedParameters(["translate", "access"], { depth: 3, pages: 8 })).toEqual([
      "no suite that runs uses --depth; it is used by tree",
    ]);
    expect(unusedParameters(["tree"], { depth: 3, fanout: undefined })).toEqual([]);
    const all = Object.fromEntries(PARAMETER_NAMES.map((name: ParameterName) => [name, 1]));
    expect(unusedParameters(SUITE_NAMES, all)).toEqual([]);
    expect(unusedParameters([], all)).toHaveLength(PARAMETER_NAMES.length);
  });
});

describe("distributions", () => {
  it("are read from their text, and written as it", () => {
    const texts = ["uniform", "seq", "zipf:1.1", "zipf:0.5", "stride:7", "hotcold:90/10", "trace:a:b.lpt"];
    for (const text of texts) expect(formatDistribution(parseDistribution(text))).toBe(text);
    expect(parseDistribution("hotcold:80/20")).toEqual({
      kind: "hotcold",
      accessPercent: 80,
      pagePercent: 20,
    });
    expect(parseParameter("dist", "zipf:1.1")).toEqual({ dist: { kind: "zipf", exponent: 1.1 } });
  });

  it("are refused with what is allowed", () => {
    const wrong = ["", "random", "uniform:1", "seq:", "zipf", "zipf:0", "zipf:9", "zipf:-1", "zipf:x"];
    wrong.push("stride", "stride:0", "stride:1.5", "stride:4194305", "hotcold", "hotcold:90", "hotcold:0/10");
    wrong.push("hotcold:90/100", "hotcold:90/10/1", "hotcold:a/b", "trace", "trace:");
    for (const text of wrong) {
      expect(() => parseDistribution(text), text).toThrow(ParameterError);
      expect(() => parseDistribution(text), text).toThrow(/^--dist takes uniform, .*, but got ".*"$/);
    }
  });
});
