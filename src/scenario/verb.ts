/** A verb of the scenario language: what it takes, what it answers, and what it does. */
import { asObject, type Field, type Fields, object, type Place, type ValuesOf } from "./schema.js";
import type { Values, Wanted } from "./values.js";
import type { World } from "./world.js";

/** Something that is checked and only has to be done. */
export type Action = (world: World) => Values | Promise<Values>;

export interface Verb {
  /** Checks the arguments. @throws ScenarioError */
  prepare(given: unknown, place: Place): Action;
  /** Checks what the answer is expected to be. @throws ScenarioError */
  expect(given: unknown, place: Place): ReadonlyMap<string, Wanted>;
}

export type Verbs = Readonly<Record<string, Verb>>;

/**
 * @param takes the arguments.
 * @param gives the parts of the answer that can be expected.
 */
export function verb<F extends Fields>(
  takes: F,
  gives: Readonly<Record<string, Field<Wanted>>>,
  run: (world: World, values: ValuesOf<F>) => Values | Promise<Values>,
): Verb {
  const [argumentsOf, answersOf] = [object(takes), object(gives)];
  return {
    prepare(given, place): Action {
      const values = argumentsOf.parse(given, place);
      return (world) => run(world, values);
    },
    expect(given, place): ReadonlyMap<string, Wanted> {
      const answers = answersOf.parse(asObject(given, place), place);
      return new Map(Object.entries(answers));
    },
  };
}

/** Values without those that were left out, as the library's options want them. */
export function present<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
