/**
 * A short hunt with both nets, for a core that may be broken: fixed seeds, no shrinking. Runs in a worker thread, since a
 * broken core may never come back.
 */
import type { Coverage } from "./compare.js";
import { ObjectWalk } from "./compare-objects.js";
import { type Command, Walk } from "./compare-walk.js";
import { Draw } from "./draw.js";
import { Fuzz } from "./fuzz.js";

/** Sequences of the comparison that come before any fuzzing. */
const FIRST_SEQUENCES = 24;

export interface HuntOptions {
  /** Sequences of commands to compare with the model, and how long each is. */
  readonly sequences: number;
  readonly commands: number;
  /** Sequences of commands of the object API, for bugs of the library. */
  readonly walks: number;
  /** Tables to fuzz, and calls on each. */
  readonly tables: number;
  readonly calls: number;
}

/**
 * What the walks over the object API find first, undefined if they find nothing: for bugs of the library.
 * @param goOn is called before each of them.
 */
export async function huntObjects(
  sequences: number,
  commands: number,
  goOn: () => void,
): Promise<string | undefined> {
  // What goes wrong in the background is told by the walk itself.
  process.on("unhandledRejection", () => {});
  for (let seed = 1; seed <= sequences; seed++) {
    goOn();
    try {
      await new ObjectWalk(new Map(), undefined, seed * 7919).run(commands);
    } catch (error) {
      return `objects ${seed}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}

/**
 * What the nets find first, undefined if they find nothing.
 * @param goOn is called before each sequence and each table.
 */
export function hunt(
  module: WebAssembly.Module | undefined,
  options: HuntOptions,
  goOn: () => void,
): string | undefined {
  let place = "";
  const begin = (what: string): void => {
    place = what;
    goOn();
  };
  try {
    // What finds most first: few sequences find nearly all, and what they miss a fuzzed table finds sooner than many more.
    const compare = (from: number, to: number): void => {
      for (let seed = from; seed <= Math.min(to, options.sequences); seed++) {
        begin(`comparison ${seed}`);
        compareOnce(module, seed, options.commands);
      }
    };
    compare(1, FIRST_SEQUENCES);
    for (let seed = 1; seed <= options.tables; seed++) {
      begin(`fuzzing ${seed}`);
      fuzzOnce(module, seed, options.calls);
      if (seed === 1) compare(FIRST_SEQUENCES + 1, options.sequences);
    }
    if (options.tables === 0) compare(FIRST_SEQUENCES + 1, options.sequences);
    return undefined;
  } catch (error) {
    return `${place}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function compareOnce(module: WebAssembly.Module | undefined, seed: number, commands: number): void {
  const coverage: Coverage = new Map();
  const draw = new Draw(seed * 7919);
  const walk = Walk.begin(coverage, module, draw.word());
  for (let index = 1; index <= commands; index++) {
    const command: Command = [draw.below(Walk.weights), draw.word()];
    walk.run(command);
    if (index % 40 === 0) walk.check();
  }
  walk.check();
  walk.tearDown();
}

function fuzzOnce(module: WebAssembly.Module | undefined, seed: number, calls: number): void {
  const fuzz = new Fuzz(seed * 104729, new Map(), module);
  for (let index = 0; fuzz.calls < calls; index++) {
    fuzz.step(index % 8 === 0);
    if (index % 200 === 0) fuzz.check();
  }
  fuzz.check();
}
