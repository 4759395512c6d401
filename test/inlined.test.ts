/** What the build writes the core as, and what the library reads of that again, are the same bytes, whatever they are. */
import fc from "fast-check";
import { afterAll, expect, test, vi } from "vitest";
import { asText } from "../assembly/text.mjs";

const GENERATED = "../src/generated/core.js";
const SHARED = 3;
const HAS_MAXIMUM = 1;

/** The bytes as src/inlined.ts reads them, which has this one text for its own. */
async function readAgain(bytes: Uint8Array, sharedAt: number, isShared: boolean): Promise<Uint8Array> {
  const constants = [...asText(bytes, sharedAt).matchAll(/export const (\w+): [^=]+=\s*(.+);\n/g)];
  vi.resetModules();
  vi.doMock(GENERATED, () =>
    Object.fromEntries(constants.map(([, name, value]) => [name, JSON.parse(`${value}`)])),
  );
  const { coreBytes } = await import("../src/inlined.js");
  return coreBytes(isShared);
}

afterAll(() => {
  vi.doUnmock(GENERATED);
  vi.resetModules();
});

/** Opcodes of locals and constants, numbers of one and more bytes, words and what begins like one, and all else. */
const frequent = fc.constantFrom(
  0x20,
  0x21,
  0x22,
  0x23,
  0x41,
  0x42,
  0x28,
  0x02,
  0x00,
  0x36,
  0x04,
  0x40,
  0x7f,
  0x80,
);
const sequences = fc.array(fc.oneof(frequent, fc.nat(255)), { minLength: 1, maxLength: 2000, size: "max" });

test("any bytes are the same after text and back, but for the one that says whether the memory is shared", async () => {
  const property = fc.asyncProperty(sequences, fc.nat(), async (sequence, place) => {
    const bytes = Uint8Array.from(sequence);
    const at = place % bytes.length;
    bytes[at] = SHARED;
    expect(await readAgain(bytes, at, true)).toEqual(bytes);
    bytes[at] = HAS_MAXIMUM;
    expect(await readAgain(Uint8Array.from(bytes).fill(SHARED, at, at + 1), at, false)).toEqual(bytes);
  });
  await fc.assert(property, { numRuns: 200 });
});

test("each byte and each pair of bytes is written and read", async () => {
  const bytes = Uint8Array.from({ length: 2 ** 17 }, (_, index) =>
    index % 2 === 0 ? index >> 9 : index >> 1,
  );
  expect(Buffer.from(await readAgain(bytes, 0, true)).equals(bytes)).toBe(true);
});
