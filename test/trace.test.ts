import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ADDRESS_LIMIT,
  decodeTrace,
  readTrace,
  type Trace,
  TraceEncoder,
  TraceError,
  type TraceErrorCode,
} from "../src/trace/format.js";
import { type LackeyCounts, LackeyParser } from "../src/trace/lackey.js";
import { traceStatistics } from "../src/trace/statistics.js";

type Reference = readonly [kind: number, address: number, size: number];

const ORIGIN = { program: "prog", version: "1.0", command: "prog --flag" };
const TRACES = new URL("../bench/traces/", import.meta.url);
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);
console.log(`trace.test.ts: SEED=${SEED}`);

function encode(references: Iterable<Reference>): Uint8Array {
  const encoder = new TraceEncoder("made");
  for (const reference of references) encoder.push(...reference);
  return encoder.finish(ORIGIN);
}

function referencesOf(trace: Trace): Reference[] {
  return Array.from({ length: trace.length }, (_, i) => {
    const page = trace.pages[trace.pageIndex[i] as number] as number;
    return [trace.kind[i], page * 4096 + (trace.offset[i] as number), trace.size[i]] as Reference;
  });
}

function splitAtPages(references: readonly Reference[]): Reference[] {
  return references.flatMap(([kind, address, size]) => {
    const here = Math.min(size, 4096 - (address % 4096));
    const first: Reference = [kind, address, here];
    return here === size ? [first] : [first, [kind, address + here, size - here] as Reference];
  });
}

function failureOf(bytes: Uint8Array): TraceErrorCode | "decoded" {
  try {
    decodeTrace(bytes, "the-file.lpt");
    return "decoded";
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    expect(error.message).toMatch(/^the-file\.lpt: ./);
    expect(error.message).not.toContain("\n");
    return error.code;
  }
}

function parse(chunks: Iterable<string | Uint8Array>): { references: Reference[]; counts: LackeyCounts } {
  const references: Reference[] = [];
  const parser = new LackeyParser((...reference) => references.push(reference));
  for (const chunk of chunks) parser.push(typeof chunk === "string" ? Buffer.from(chunk, "latin1") : chunk);
  return { references, counts: parser.end() };
}

const address = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 16 }),
  fc.integer({ min: 0x1ffe000000, max: 0x1fff000fff }),
  fc.integer({ min: 0, max: ADDRESS_LIMIT - 4096 }),
  fc.integer({ min: 0, max: 300 }).map((page) => page * 4096 - (page % 9) + 9),
);
const size = fc.oneof(fc.constantFrom(1, 2, 4, 8, 16, 32, 64), fc.integer({ min: 1, max: 4096 }));
const reference = fc.tuple(fc.constantFrom(1, 2, 3), address, size);

/** A whole file around columns and metadata of any kind, with sums that fit, as a forger would make it. */
function forge(columns: readonly number[], references: number, pages: number): Uint8Array {
  const template = Buffer.from(encode([[1, 0, 1]]));
  const payload = gzipSync(Buffer.from(columns));
  const metadata = {
    ...decodeTrace(template, "template").metadata,
    references,
    pages,
    payloadBytes: payload.length,
    columnBytes: columns.length,
    sha256: createHash("sha256").update(payload).digest("hex"),
  };
  return withMetadata(JSON.stringify(metadata), payload);
}

function withMetadata(text: string, payload: Uint8Array): Uint8Array {
  const json = Buffer.from(text);
  const header = Buffer.from(encode([[1, 0, 1]]).subarray(0, 20));
  header.writeUInt32LE(json.length, 12);
  header.writeUInt32LE(crc32Of(json), 16);
  return Buffer.concat([header, json, payload]);
}

function crc32Of(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

describe("packed traces", () => {
  it("give back every reference in order, split at page borders (random references)", () => {
    fc.assert(
      fc.property(fc.array(reference, { minLength: 1, maxLength: 400 }), (references) => {
        const trace = decodeTrace(encode(references), "made");
        expect(referencesOf(trace)).toEqual(splitAtPages(references));
        expect(new Set(trace.pages).size).toBe(trace.pages.length);
        expect(trace.metadata).toMatchObject({
          ...ORIGIN,
          references: trace.length,
          pages: trace.pages.length,
        });
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it("give back more references than one block holds", () => {
    const references = Array.from({ length: 600_000 }, (_, i): Reference => {
      return [1 + (i % 3), ((i * 7919) % 100_003) * 64, 8];
    });
    const trace = decodeTrace(encode(references), "made");
    expect(trace.length).toBe(references.length);
    const different = referencesOf(trace).findIndex((got, i) => `${got}` !== `${references[i]}`);
    expect(different).toBe(-1);
  });

  it("give back a block that is exactly full", () => {
    const references = Array.from({ length: 2 ** 18 }, (_, i): Reference => [1, i * 8, 8]);
    expect(decodeTrace(encode(references), "made").length).toBe(2 ** 18);
  });

  it("hold the lowest and the highest addresses, and refuse what lies outside", () => {
    const references: Reference[] = [
      [1, 0, 1],
      [2, ADDRESS_LIMIT - 1, 1],
      [3, 0, 4096],
      [3, ADDRESS_LIMIT - 4096, 4096],
      [1, 0x1ffefffe70, 8],
    ];
    expect(referencesOf(decodeTrace(encode(references), "made"))).toEqual(references);
    const encoder = new TraceEncoder("made");
    for (const hostile of [-1, 0.5, Number.NaN, ADDRESS_LIMIT, ADDRESS_LIMIT - 7, 2 ** 53, Infinity])
      expect(() => encoder.push(1, hostile, 8)).toThrow(RangeError);
    for (const hostile of [0, -1, 1.5, 4097, Number.NaN])
      expect(() => encoder.push(1, 0, hostile)).toThrow(RangeError);
    for (const hostile of [0, 4, 1.5, Number.NaN])
      expect(() => encoder.push(hostile, 0, 8)).toThrow(RangeError);
    expect(encoder.references).toBe(0);
  });

  it("count a reference across a page border twice, once in each page", () => {
    const trace = decodeTrace(encode([[3, 4094, 8]]), "made");
    expect(referencesOf(trace)).toEqual([
      [3, 4094, 2],
      [3, 4096, 6],
    ]);
    expect([...trace.pages]).toEqual([0, 1]);
  });

  it("are never empty and never longer than their limit", () => {
    expect(() => encode([])).toThrow("made: there are no data references");
    const encoder = new TraceEncoder("made", 2);
    encoder.push(1, 0, 8);
    encoder.push(1, 0, 8);
    expect(() => encoder.push(1, 0, 8)).toThrow("made: too long");
  });

  it("keep the same bytes for the same references", () => {
    const references: Reference[] = [
      [1, 64, 8],
      [2, 0x1ffefffe70, 3],
    ];
    expect(encode(references)).toEqual(encode(references));
  });
});

describe("a file that is no whole trace", () => {
  const whole = encode(Array.from({ length: 500 }, (_, i): Reference => [1 + (i % 3), i * i * 40, 8]));

  it("is TRACE_EMPTY with no bytes, and TRACE_TRUNCATED at every shorter length", () => {
    expect(failureOf(whole)).toBe("decoded");
    expect(failureOf(whole.subarray(0, 0))).toBe("TRACE_EMPTY");
    for (let length = 1; length < whole.length; length++)
      expect(failureOf(whole.subarray(0, length)), `${length} bytes`).toBe("TRACE_TRUNCATED");
  });

  it("is found out when any one byte is changed", () => {
    for (let at = 0; at < whole.length; at++) {
      const changed = Uint8Array.from(whole);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      const expected =
        at < 8 ? ["TRACE_FOREIGN"] : at < 12 ? ["TRACE_VERSION"] : ["TRACE_CORRUPT", "TRACE_TRUNCATED"];
      expect(expected, `byte ${at}`).toContain(failureOf(changed));
    }
  });

  it("is TRACE_CORRUPT with bytes after its end", () => {
    expect(failureOf(Buffer.concat([whole, Buffer.from("x")]))).toBe("TRACE_CORRUPT");
  });

  it("is TRACE_FOREIGN when it is something else", () => {
    for (const foreign of ["x", "I  04016b00,3\n L 1ffefffe70,8\n", "\x7fELF\x02\x01\x01", "PK\x03\x04"])
      expect(failureOf(Buffer.from(foreign, "latin1"))).toBe("TRACE_FOREIGN");
    expect(failureOf(gzipSync(whole))).toBe("TRACE_FOREIGN");
  });

  it("is TRACE_VERSION when a later version wrote it, and says which versions", () => {
    const later = Buffer.from(whole);
    later.writeUInt32LE(2, 8);
    expect(() => decodeTrace(later, "later.lpt")).toThrow("later.lpt: format version 2, only 1 can be read");
  });

  it("is TRACE_UNREADABLE when it is not there", async () => {
    await expect(readTrace("nowhere.lpt")).rejects.toMatchObject({
      code: "TRACE_UNREADABLE",
      message: "nowhere.lpt: cannot be read (ENOENT: no such file or directory)",
    });
  });

  it("is TRACE_CORRUPT when its sums fit but its metadata or its columns cannot be", () => {
    // One reference: new page (rank 7), size 8 (code 3), read; page distance 0 and 2 (page 1), offset 0.
    const good = [0b111_011_01, 0, 2, 0];
    expect(referencesOf(decodeTrace(forge(good, 1, 1), "forged"))).toEqual([[1, 4096, 8]]);
    const forged: Record<string, Uint8Array> = {
      "more references than columns": forge(good, 3, 1),
      "fewer pages": forge(good, 2, 2),
      "no kind": forge([0b111_011_00, 0, 2, 0], 1, 1),
      "a rank of no page": forge([0b000_011_01, 0, 2, 0], 1, 1),
      "a page before the first": forge([0b111_011_01, 9, 0, 0], 1, 1),
      "a page below zero": forge([0b111_011_01, 0, 1, 0], 1, 1),
      "a page above the limit": forge([0b111_011_01, 0, 255, 255, 255, 255, 255, 127, 0], 1, 1),
      "a number without an end": forge([0b111_011_01, 0, 2, 255], 1, 1),
      "a size of zero": forge([0b111_111_01, 0, 0, 2, 0], 1, 1),
      "a reference across its page": forge([0b111_011_01, 0, 2, 1], 1, 1),
      "bytes after the last number": forge([...good, 0], 1, 1),
      "metadata that is no JSON": withMetadata("{", new Uint8Array(1)),
      "metadata that is null": withMetadata("null", new Uint8Array(1)),
      "metadata with nothing in it": withMetadata("{}", new Uint8Array(1)),
    };
    for (const [what, bytes] of Object.entries(forged)) expect(failureOf(bytes), what).toBe("TRACE_CORRUPT");
  });

  it("is TRACE_CORRUPT before it is inflated when its references cannot need so many bytes", () => {
    const early = "the metadata lacks a field or has a wrong one";
    const late = "the payload holds a reference that cannot be";
    expect(() => decodeTrace(forge(new Array(13).fill(0), 1, 1), "forged")).toThrow(early);
    expect(() => decodeTrace(forge(new Array(12).fill(0), 1, 1), "forged")).toThrow(late);
  });

  it("is one TraceError whatever columns a forger makes (random columns)", () => {
    const columns = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 2, maxLength: 60 });
    fc.assert(
      fc.property(columns, fc.integer({ min: 1, max: 30 }), fc.nat(5), (bytes, references, pages) => {
        expect(["decoded", "TRACE_CORRUPT"]).toContain(failureOf(forge(bytes, references, pages)));
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});

describe("what lackey prints", () => {
  const lines = [
    "==123== Lackey, an example Valgrind tool",
    "==123== ",
    "I  04016b00,3",
    " L 1ffefffe70,8",
    " S 1ffefffe58,16",
    " M 0421c2a8,4",
    "--123-- WARNING: unhandled syscall",
    "**123** said by the program",
    "I  04016b03,5",
  ];
  const references: Reference[] = [
    [1, 0x1ffefffe70, 8],
    [2, 0x1ffefffe58, 16],
    [3, 0x0421c2a8, 4],
  ];

  it("gives loads, stores and modifies; fetches are counted; valgrind's own lines are skipped", () => {
    const text = `${lines.join("\n")}\n`;
    const parsed = parse([text]);
    expect(parsed.references).toEqual(references);
    expect(parsed.counts).toEqual({
      textBytes: text.length,
      lines: 9,
      references: 3,
      fetches: 2,
      malformed: 0,
      firstMalformed: null,
    });
  });

  it("reads the same whether or not the last line ends", () => {
    expect(parse([lines.join("\n")]).counts).toMatchObject({ lines: 9, references: 3, fetches: 2 });
    expect(parse([]).counts).toMatchObject({ lines: 0, malformed: 0 });
  });

  it("reads the same with a chunk border at every place, and in chunks of one byte", () => {
    const text = Buffer.from(`${lines.join("\n")}\n${"long ".repeat(60)}\n\n L 12,8\n`);
    const whole = parse([text]);
    expect(whole.counts.malformed).toBe(2);
    for (let border = 0; border <= text.length; border++)
      expect(parse([text.subarray(0, border), text.subarray(border)]), `border ${border}`).toEqual(whole);
    expect(parse([...text].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  it("reads the same in any chunks (random lines and borders)", () => {
    const line = fc.oneof(
      fc.constantFrom(...lines),
      fc.string({ maxLength: 300 }),
      fc.tuple(reference, fc.constantFrom("L", "S", "M")).map(([[, at, bytes], letter]) => {
        return ` ${letter} ${at.toString(16).padStart(8, "0")},${bytes}`;
      }),
    );
    const borders = fc.array(fc.nat(4000), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), borders, (some, cuts) => {
        const text = Buffer.from(some.join("\n"));
        const chunks = [0, ...cuts.sort((a, b) => a - b)].map((cut, i, all) => {
          return text.subarray(cut, all[i + 1] ?? text.length);
        });
        expect(parse(chunks)).toEqual(parse([text]));
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  it("counts malformed lines and names the first with its number, made printable and cut short", () => {
    const bad = `\x1b[31mred ${"x".repeat(200)}`;
    const { references, counts } = parse([`I  04016b00,3\n${bad}\n L 10,8\nworse\n`]);
    expect(references).toEqual([[1, 16, 8]]);
    expect(counts.malformed).toBe(2);
    expect(counts.firstMalformed?.line).toBe(2);
    expect(counts.firstMalformed?.text).toBe(`?[31mred ${"x".repeat(200)}`.slice(0, 80));
  });

  it.each([
    ["", " ", "I", "I  ", " L", " L ", " L 10", " L 10,", " L ,8"],
    [" L 1G,8", " L 1A,8", " L 10,8 ", " L 10,8\r", "  L 10,8", " L  10,8", "L 10,8", "L  10,8"],
    [" X 10,8", "I 10,8", " I 10,8", "I  10", "I  xyz,3", "I  10,3x", "SB 04016b00"],
    [" L 10,0", " L 10,4097", " L 10,a", " L 10,-8", " L 10,8,8", " L 10.8", " L -10,8", " L 0x10,8"],
    [" L 1000000000000,1", " L ffffffffffff,2", " L ffffffffff600000,8", ` L ${"f".repeat(400)},8`],
    ["==12a== ", "== 12== ", "==123=", "==== ", "==123--", "=123=", "==12345678901== "],
    [` L ${"0".repeat(200)}10,8`, ` L 10,${"0".repeat(200)}8`],
  ])("takes none of the malformed lines %j", (...malformed) => {
    for (const line of malformed) {
      const { references, counts } = parse([` S 20,4\n${line}\n S 30,4\n`]);
      expect(counts.malformed, line).toBe(1);
      expect(counts.firstMalformed?.line).toBe(2);
      expect(references).toHaveLength(2);
    }
  });

  it("takes the highest address and the largest size", () => {
    expect(parse([" L ffffffffffff,1\n M fffffffff000,4096\n"]).references).toEqual([
      [1, ADDRESS_LIMIT - 1, 1],
      [3, ADDRESS_LIMIT - 4096, 4096],
    ]);
  });
});

describe("statistics of a trace", () => {
  it("count kinds, pages by powers of two, and the shares of the hottest pages", () => {
    const references = [1, 2, 3, 8].flatMap((uses, page) =>
      Array.from({ length: uses }, (_, i): Reference => [1 + (i % 3), page * 4096, 8]),
    );
    const statistics = traceStatistics(decodeTrace(encode(references), "made"));
    expect(statistics).toEqual({
      references: 14,
      pages: 4,
      reads: 6,
      writes: 5,
      modifies: 3,
      popularity: [
        { from: 1, to: 1, pages: 1, references: 1 },
        { from: 2, to: 3, pages: 2, references: 5 },
        { from: 4, to: 7, pages: 0, references: 0 },
        { from: 8, to: 15, pages: 1, references: 8 },
      ],
      hottest: [
        { percent: 1, pages: 1, share: 8 / 14 },
        { percent: 10, pages: 1, share: 8 / 14 },
        { percent: 50, pages: 2, share: 11 / 14 },
      ],
    });
  });
});

describe("the recorded traces", () => {
  it("have the SHA-256 sums of SHA256SUMS, all of them", async () => {
    const sums = (await readFile(new URL("SHA256SUMS", TRACES), "utf8")).trimEnd().split(/\r?\n/);
    const readme = await readFile(new URL("README.md", TRACES), "utf8");
    const files = (await readdir(TRACES)).filter((file) => file.endsWith(".lpt")).sort();
    const actual = await Promise.all(
      files.map(async (file) => {
        const bytes = await readFile(new URL(file, TRACES));
        return `${createHash("sha256").update(bytes).digest("hex")}  ${file}`;
      }),
    );
    expect(actual).toEqual(sums);
    for (const line of sums) expect(readme).toContain(line);
  });

  it("decode to the numbers in their metadata and in their README", async () => {
    const readme = (await readFile(new URL("README.md", TRACES), "utf8")).replace(/ +/g, " ");
    for (const program of ["sqlite3", "ls", "sort"]) {
      const path = new URL(`${program}.lpt`, TRACES);
      const bytes = await readFile(path);
      const trace = decodeTrace(bytes, `${program}.lpt`);
      const { references, pages, reads, writes, modifies } = traceStatistics(trace);
      expect(trace.metadata).toMatchObject({ program, references, pages });
      expect([trace.kind.length, trace.offset.length, trace.size.length, trace.pageIndex.length]).toEqual(
        Array(4).fill(references),
      );
      expect(reads + writes + modifies).toBe(references);
      const mix = [reads, writes, modifies].map((count) => count.toLocaleString("en-US")).join(" / ");
      expect(readme).toContain(`| ${references.toLocaleString("en-US")} | ${mix} | ${pages} |`);
      expect(bytes.length).toBeLessThan(600_000);
    }
  });

  it("are read from a path as from bytes", async () => {
    const folder = await mkdtemp(join(tmpdir(), "lpar-trace-"));
    try {
      const bytes = encode([[2, 12345, 8]]);
      await writeFile(join(folder, "made.lpt"), bytes);
      expect(await readTrace(join(folder, "made.lpt"))).toEqual(decodeTrace(bytes, "made.lpt"));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
