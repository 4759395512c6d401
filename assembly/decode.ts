/**
 * Numbers from callers, one function per kind (G2). They arrive as f64, so nothing was wrapped on the way; what is not
 * the integer that it should be becomes NONE (or 0 where it has 64 bits), which no table contains.
 */
import {
  PAGE_BYTES,
  SPACE_DMA,
  SPACE_INTERRUPT,
  SPACE_IPI,
  SPACE_MEMORY,
  SPACE_MMIO,
  TYPE_DMA,
  TYPE_INTERRUPT,
  TYPE_IPI,
  TYPE_MASK,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../src/layout";
import { NONE } from "./memory";

/** Added to an integer of 32 bits, it leaves that in the low bits of the sum: much shorter than a conversion that saturates. */
const LOW_BITS: f64 = 4503599627370496; // 2^52

/** The bits of a cookie that are its slot. */
const SLOT_MASK: u32 = 0xffffff;

const MANTISSA_BITS: u64 = 52;

/** The exponent, as a double has it, of what ends where its mantissa ends: at 2^52. */
const MANTISSA_END: u64 = 1075;

/** The integer of 32 bits that a value is, or one that is not equal to it. */
function lowBits(value: f64): u32 {
  return <u32>reinterpret<u64>(value + LOW_BITS);
}

/** An integer below 2^32 - 1, else NONE. Comparing back finds every other value. */
export function decodeInteger(value: f64): u32 {
  const integer = lowBits(value);
  return f64(integer) == value ? integer : NONE;
}

/** Whether a number is small enough to count bytes exactly: below 2^53. */
export function isSafe(value: f64): bool {
  return value <= f64.MAX_SAFE_INTEGER;
}

/** Whether a value is a 32-bit word, read as signed or as unsigned. */
export function isWord(value: f64): bool {
  return f64(u32(value)) == value || f64(i32(value)) == value;
}

/** The bits of a word. */
export function decodeWord(value: f64): u32 {
  return value < 0 ? <u32>i32(value) : u32(value);
}

/** Bytes, aligned to a page, as a number of pages; else NONE. */
export function decodePages(bytes: f64): u32 {
  const pages = lowBits(bytes * (1.0 / PAGE_BYTES));
  return f64(pages) * PAGE_BYTES == bytes ? pages : NONE;
}

/** An integer below 2^53 as its 64 bits, 0 for what is none. */
export function decodeBits(value: f64): u64 {
  const bits = i64(value);
  return f64(bits) == value && <u64>bits < 1 << 53 ? <u64>bits : 0;
}

/**
 * The slot in a cookie, any number for what is none: who encodes it again with the slot's generation finds out. The low bits of
 * an integer stand in its mantissa, as far up as its exponent says; a cookie's first bit is of its generation, so that it
 * does no harm that a mantissa leaves that out.
 */
export function decodeSlotOf(cookie: f64): u32 {
  const bits = reinterpret<u64>(cookie);
  return <u32>(bits >> (MANTISSA_END - (bits >> MANTISSA_BITS))) & SLOT_MASK;
}

export function encodeCookie(generation: u32, slot: u32): f64 {
  return f64(((<i64>generation) << 24) | <i64>slot);
}

/** What decodeType() answers where there is no such type. */
export const NO_SPACE: u32 = 0xf;

/** Four bits for each type: its space, and NO_SPACE for none, all turned over. */
const SPACES_OF_TYPES: u64 =
  ((<u64>(SPACE_MEMORY ^ 0xf)) << (TYPE_MEMORY * 4)) |
  ((<u64>(SPACE_MMIO ^ 0xf)) << (TYPE_MMIO * 4)) |
  ((<u64>(SPACE_INTERRUPT ^ 0xf)) << (TYPE_INTERRUPT * 4)) |
  ((<u64>(SPACE_DMA ^ 0xf)) << (TYPE_DMA * 4)) |
  ((<u64>(SPACE_IPI ^ 0xf)) << (TYPE_IPI * 4));

/** The logical space of a resource type: a closed set, everything else is NO_SPACE. */
export function decodeType(type: u32): u32 {
  return type > 15 ? NO_SPACE : (<u32>(SPACES_OF_TYPES >> (type << 2)) & 0xf) ^ NO_SPACE;
}

/** Whether addresses of the space are bytes in pages; interrupts and ports are plain numbers. */
export function isPaged(space: u32): bool {
  return ((((1 << SPACE_MEMORY) | (1 << SPACE_MMIO) | (1 << SPACE_DMA)) >> space) & 1) != 0;
}

/** A method, since only those are inlined on demand. */
export class Units {
  /** An address or length of the space in its unit (pages, or numbers), else NONE. */
  @inline
  static decode(space: u32, value: f64): u32 {
    return isPaged(space) ? decodePages(value) : decodeInteger(value);
  }
}

/** The same where only the flags of a grant say which space it is; most often that is memory. A method, as in Units. */
export class UnitsOf {
  @inline
  static decode(flags: u32, value: f64): u32 {
    if (((flags ^ TYPE_MEMORY) & TYPE_MASK) == 0) return decodePages(value);
    return decodeUnits(decodeType(flags & TYPE_MASK), value);
  }
}

/** The same where it is not done often. */
export function decodeUnits(space: u32, value: f64): u32 {
  return Units.decode(space, value);
}

/** The numbers of a grant where they are integers of 32 bits, which JavaScript need not make doubles of. Methods, as in Units. */
export class Words32 {
  /** Whether it is one of memory, and none of them is below 0. */
  @inline
  static areOfMemory(lpid: u32, flags: u32, logical: u32, length: u32, unit: u32): bool {
    const signs = (lpid | flags | logical | length | unit) & 0x80000000;
    return (signs | ((flags ^ TYPE_MEMORY) & TYPE_MASK)) == 0;
  }

  /** Its length in pages, NONE where that or the address is no multiple of one. */
  @inline
  static count(logical: u32, length: u32): u32 {
    return ((logical | length) & (PAGE_BYTES - 1)) == 0 ? length >> 12 : NONE;
  }
}

/** Back from units to what callers speak of. */
export function encodeUnits(space: u32, units: u32): f64 {
  return isPaged(space) ? f64(units) * PAGE_BYTES : f64(units);
}

/** A caller's budget as a number that is counted down, below zero too. */
export function stepsOf(budget: u32): i32 {
  return <i32>min<u32>(budget, 0x3fffffff);
}
