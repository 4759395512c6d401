/** The text that the core is inlined as. How it is written, and why so, is said where it is read: src/inlined.ts. */

/** Bytes that stand together so often that the core is shorter under gzip with a sign for each: found by trying, at most 15. */
const WORDS = [
  [0x28, 2], // i32.load, aligned to a word
  [0x28, 2, 0], // at no offset
  [0x36, 2], // i32.store
  [0x23, 0], // global.get of the thread
  [0x41, 0], // i32.const
  [0x41, 1],
  [0x04, 0x40], // if, without a result
  [0x04, 0x7f], // if, with a number
  [0x0c, 1, 0x0b], // br out of two blocks, end
  [0x41, 6, 0x74], // i32.const 6, i32.shl: records of 64 bytes
  [0, 0, 0],
];

/**
 * The source of the text, and of what src/inlined.ts needs to make the bytes again.
 * @param sharedAt where the byte stands that says of the memory that it is shared.
 */
export function asText(core, sharedAt) {
  const { locals, others } = apart(core);
  const units = inWords([...locals, ...others]);
  const digits = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).filter(
    (character) => !'"$\\`'.includes(character),
  );
  const counts = new Map(Array.from({ length: 256 }, (_, byte) => [byte, 0]));
  for (const unit of units) if (unit < 256) counts.set(unit, counts.get(unit) + 1);
  const byCount = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
  const common = new Set(byCount.slice(0, digits.length - 2 - WORDS.length));
  const words = WORDS.map((_, index) => 256 + index);
  const [often, rest] = [true, false].map((is) =>
    [...counts.keys()].filter((byte) => common.has(byte) === is),
  );
  const texts = new Map([...words, ...often].map((unit, place) => [unit, digits[place]]));
  rest.forEach((byte, place) => {
    const first = digits[digits.length - 2 + Math.floor(place / digits.length)];
    texts.set(byte, first + digits[place % digits.length]);
  });
  const marks = new Array(64).fill(0);
  for (const byte of common) marks[byte >> 2] |= 1 << (byte & 3);
  const numbers = { CORE_BYTES: core.length, CORE_LOCALS: locals.length, CORE_SHARED_AT: sharedAt };
  return [
    ...Object.entries(numbers).map(([name, value]) => `export const ${name}: number = ${value};`),
    `export const CORE_WORDS: number[] = ${JSON.stringify(WORDS.map(asNumber))};`,
    `export const CORE_COMMON: string = "${marks.map((four) => four.toString(16)).join("")}";`,
    `export const CORE_TEXT: string =\n  "${units.map((unit) => texts.get(unit)).join("")}";\n`,
  ].join("\n");
}

/** The bytes from the lowest on, and a one above the last. */
function asNumber(word) {
  return word.reduce((number, byte, index) => number | (byte << (8 * index)), 1 << (8 * word.length));
}

/** The same with each word, the longest that fits, by its number from 256 on. */
function inWords(bytes) {
  const units = [];
  for (let at = 0; at < bytes.length; ) {
    const fits = WORDS.filter((word) => word.every((byte, index) => bytes[at + index] === byte));
    const [word] = fits.sort((a, b) => b.length - a.length);
    units.push(word === undefined ? bytes[at] : 256 + WORDS.indexOf(word));
    at += word?.length ?? 1;
  }
  return units;
}

/** The bytes that follow what may be the opcode of a local (0x20 to 0x22), and all others; a constant (0x41, 0x42) has a number, too. */
function apart(bytes) {
  const locals = [];
  const others = [];
  let opcode = 0;
  for (const byte of bytes) {
    const isLocal = opcode > 0x1f && opcode < 0x23;
    (isLocal ? locals : others).push(byte);
    if (opcode ? byte > 0x7f : (byte > 0x1f && byte < 0x23) || byte === 0x41 || byte === 0x42)
      opcode ||= byte;
    else opcode = 0;
  }
  return { locals, others };
}
