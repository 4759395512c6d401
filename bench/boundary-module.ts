/** A WebAssembly module that does next to nothing, to measure what a crossing into one costs: written byte by byte. */

export interface BoundaryExports {
  nothing(): void;
  /** The sum of four u32. */
  ints(a: number, b: number, c: number, d: number): number;
  /** The sum of four f64, as the hypercalls take them, as u32. */
  floats(a: number, b: number, c: number, d: number): number;
  /** 0; the second result, the argument as f64, is the first number of `memory`: as R4 of the hypercalls. */
  stored(value: number): number;
  /** 0; the second result is in `result`. */
  kept(value: number): number;
  readonly memory: WebAssembly.Memory;
  readonly result: WebAssembly.Global<"f64">;
}

const [I32, F64, FUNCTION, NO_LOCALS, END] = [0x7f, 0x7c, 0x60, 0, 0x0b] as const;
const [LOCAL_GET, I32_ADD, F64_ADD, F64_TO_U32] = [0x20, 0x6a, 0xa0, 0xab] as const;
const [I32_CONST, F64_CONST, U32_TO_F64, F64_STORE, GLOBAL_SET] = [0x41, 0x44, 0xb8, 0x39, 0x24] as const;

/** A list with its length in front; all lengths here are below 128. */
const list = (items: readonly (readonly number[])[]): number[] => [items.length, ...items.flat()];
const sized = (bytes: readonly number[]): number[] => [bytes.length, ...bytes];
const section = (id: number, bytes: readonly number[]): number[] => [id, ...sized(bytes)];
const type = (parameters: readonly number[], results: readonly number[]): number[] => [
  FUNCTION,
  ...sized(parameters),
  ...sized(results),
];
const body = (...code: readonly number[]): number[] => sized([NO_LOCALS, ...code, END]);
const get = (local: number): number[] => [LOCAL_GET, local];
const sum = (add: number): number[] => [...get(0), ...get(1), add, ...get(2), add, ...get(3), add];
const named = (name: string, kind: number, index: number): number[] => [
  ...sized([...new TextEncoder().encode(name)]),
  kind,
  index,
];

const MODULE = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(
    1,
    list([
      type([], []),
      type([I32, I32, I32, I32], [I32]),
      type([F64, F64, F64, F64], [I32]),
      type([I32], [I32]),
    ]),
  ),
  ...section(3, list([[0], [1], [2], [3], [3]])),
  // One page of memory; a mutable global that begins as 0.
  ...section(5, list([[0, 1]])),
  ...section(6, list([[F64, 1, F64_CONST, 0, 0, 0, 0, 0, 0, 0, 0, END]])),
  ...section(
    7,
    list([
      ...["nothing", "ints", "floats", "stored", "kept"].map((name, index) => named(name, 0, index)),
      named("memory", 2, 0),
      named("result", 3, 0),
    ]),
  ),
  ...section(
    10,
    list([
      body(),
      body(...sum(I32_ADD)),
      body(...sum(F64_ADD), F64_TO_U32),
      body(I32_CONST, 0, ...get(0), U32_TO_F64, F64_STORE, 3, 0, I32_CONST, 0),
      body(...get(0), U32_TO_F64, GLOBAL_SET, 0, I32_CONST, 0),
    ]),
  ),
]);

export function openBoundary(): BoundaryExports {
  return new WebAssembly.Instance(new WebAssembly.Module(MODULE)).exports as unknown as BoundaryExports;
}
