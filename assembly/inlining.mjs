/**
 * How much the core is inlined. asc has functions of up to 70 nodes inlined wherever they are called; with 26 the core is a quarter
 * smaller, and hardly slower, since what must be inlined says so itself (DESIGN.md, "Speed"). To be imported before asc, which
 * sets its own limit each time it compiles, by a function that it looks up once.
 */
import binaryen from "binaryen";

const MOST_NODES = 26;

const limit = binaryen._BinaryenSetFlexibleInlineMaxSize;
binaryen._BinaryenSetFlexibleInlineMaxSize = () => limit(MOST_NODES);
