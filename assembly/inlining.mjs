/**
 * How much the core is inlined. asc has functions of up to 70 nodes inlined wherever they are called; with 50 the core is 4 %
 * smaller, and no slower, since what must be inlined says so itself (DESIGN.md, "Speed").
 */
import binaryen from "binaryen";

const MOST_NODES = 50;

/** Before asc compiles: it sets its own limit then, and this one takes its place. */
export function limitInlining() {
  const set = binaryen._BinaryenSetFlexibleInlineMaxSize;
  binaryen._BinaryenSetFlexibleInlineMaxSize = () => set(MOST_NODES);
}
