/**
 * Suite boundary: what one crossing from JavaScript into WebAssembly costs, by what it carries; and from how many hypercalls on
 * a batch of them is cheaper than as many crossings. typed: the same in JavaScript.
 */
import { TYPE_MEMORY } from "../src/layout.js";
import { openBoundary } from "./boundary-module.js";
import { describeBreakEven } from "./break-even.js";
import { drawOrder, openGrants, throughBatches, throughRaw } from "./grant.js";
import { inBlocks } from "./measure.js";
import type { Parameters } from "./parameters.js";
import { keep } from "./plain-pages.js";
import type { Contender, Context, Scenario, Stage } from "./suite.js";
import { TypedTable } from "./typed-table.js";
import { openWorld } from "./worlds.js";

const BLOCK = 1000;

/** One crossing, with a number to carry; answers a number. */
type Call = (value: number) => number;

/** The loop is the caller's: one for all would call through a pointer. */
function contender(loop: () => number, call: Call): Contender {
  let next = 0;
  return {
    measure: inBlocks(BLOCK, () => keep(loop())),
    check: async () => `${[0, 1, 7, 2 ** 31].map(call).join(", ")}`,
    operation: () => {
      keep(call(next));
      next = (next + 1) & 0xffff;
    },
  };
}

interface Pair {
  readonly what: string;
  readonly ours: Contender;
  readonly plain: Contender;
}

function crossings(): readonly Pair[] {
  const { nothing, ints, floats, stored, kept, memory, result } = openBoundary();
  const results = new Float64Array(memory.buffer, 0, 1);
  const plain = { nothing: (): void => {}, second: 0 };
  const add = (a: number, b: number, c: number, d: number): number => (a + b + c + d) >>> 0;
  const both = (value: number): number => {
    plain.second = value;
    return 0;
  };
  return [
    {
      what: "an empty export",
      ours: contender(
        () => {
          for (let i = 0; i < BLOCK; i++) nothing();
          return 0;
        },
        () => (nothing() as undefined) ?? 0,
      ),
      plain: contender(
        () => {
          for (let i = 0; i < BLOCK; i++) plain.nothing();
          return 0;
        },
        () => (plain.nothing() as undefined) ?? 0,
      ),
    },
    {
      what: "four u32 arguments, a result",
      ours: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += ints(i, sum, 1, 2);
          return sum;
        },
        (value) => ints(value, 1, 2, 3) >>> 0,
      ),
      plain: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += add(i, sum, 1, 2);
          return sum;
        },
        (value) => add(value, 1, 2, 3),
      ),
    },
    {
      what: "four f64 arguments, a result",
      ours: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += floats(i, 0.5, 1, 2);
          return sum;
        },
        (value) => floats(value, 1, 2, 3) >>> 0,
      ),
      plain: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += add(i, 0.5, 1, 2);
          return sum;
        },
        (value) => add(value, 1, 2, 3),
      ),
    },
    {
      what: "a second result (R4) in memory",
      ours: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += stored(i) + (results[0] as number);
          return sum;
        },
        (value) => stored(value) + (results[0] as number),
      ),
      plain: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += both(i) + plain.second;
          return sum;
        },
        (value) => both(value) + plain.second,
      ),
    },
    {
      what: "a second result (R4) in an exported global",
      ours: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += kept(i) + result.value;
          return sum;
        },
        (value) => kept(value) + result.value,
      ),
      plain: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += both(i) + plain.second;
          return sum;
        },
        (value) => both(value) + plain.second,
      ),
    },
  ];
}

function openCrossing({ what, ours, plain }: Pair): Stage {
  return {
    ways: [{ what, contender: ours, versus: "typed" }],
    baselines: { typed: plain },
    audit: () => [],
    close: async () => {},
  };
}

/** The shortest way through a hypercall of ours: no partition has the number 0. */
function openRefusal(what: string): Stage {
  const { table, h } = openWorld({ serverPages: 1, grants: 1, spacePages: 1, partitions: 2 });
  const typed = new TypedTable(1);
  return {
    ways: [
      {
        what,
        contender: contender(
          () => {
            let sum = 0;
            for (let i = 0; i < BLOCK; i++) sum += h.translate(0, TYPE_MEMORY, i, 1, 1);
            return sum;
          },
          (value) => h.translate(0, TYPE_MEMORY, value, 1, 1),
        ),
        versus: "typed",
      },
    ],
    baselines: {
      typed: contender(
        () => {
          let sum = 0;
          for (let i = 0; i < BLOCK; i++) sum += typed.translate(0, TYPE_MEMORY, i, 1, 1);
          return sum;
        },
        (value) => typed.translate(0, TYPE_MEMORY, value, 1, 1),
      ),
    },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

/** Cycles of grants in batches of so many, whose requests are written and whose answers are read. */
function openBatches(sizes: readonly number[], { seed }: Context): Stage {
  const most = Math.max(...sizes);
  // No batch has a grant twice.
  const size = { live: Math.max(1000, most), pages: 1, seed };
  const order = drawOrder(size, most);
  const worlds = Array.from({ length: sizes.length + 1 }, () => openGrants(size, { batch: most }));
  const [first, ...others] = worlds as [(typeof worlds)[number], ...typeof worlds];
  return {
    ways: others.map((world, index) => {
      const batch = sizes[index] as number;
      return {
        what: `grant cycles, batch of ${batch}`,
        contender: throughBatches(world, size, order, batch),
        versus: "single",
        at: { batch },
      };
    }),
    baselines: { single: throughRaw(first, size, order) },
    notes: (measured) => [describeBreakEven(measured, "single", "hypercalls")],
    audit: () => worlds.flatMap(({ table }) => table.audit().problems),
    close: async () => {
      for (const { table } of worlds) await table.close();
    },
  };
}

export function boundaryScenarios(quick: boolean, { batch }: Parameters): readonly Scenario[] {
  const all = quick ? [1, 16, 256] : Array.from({ length: 11 }, (_, exponent) => 2 ** exponent);
  const sizes = batch === undefined ? all : [batch];
  const refusal = "a hypercall that is refused at once";
  return [
    ...crossings().map((pair) => ({ name: pair.what, open: async () => openCrossing(pair) })),
    { name: refusal, open: async () => openRefusal(refusal) },
    { name: "batches of hypercalls", open: async (context) => openBatches(sizes, context) },
  ];
}
