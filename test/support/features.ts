/** What a module of the core may use: what Node 20 understands, and no more. */
import binaryen from "binaryen";

const { Features } = binaryen;

export const FEATURES: number =
  Features.Atomics |
  Features.MutableGlobals |
  Features.NontrappingFPToInt |
  Features.SIMD128 |
  Features.BulkMemory |
  Features.BulkMemoryOpt |
  Features.SignExt;
