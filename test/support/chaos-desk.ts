/** The desk of an actor of the chaos, for a test that plays its dealings. */
import { expect } from "vitest";
import { Board } from "../../src/chaos/board.js";
import { Desk } from "../../src/chaos/desk.js";
import { Random } from "../../src/chaos/random.js";
import type { Partition } from "../../src/index.js";

/** Nothing may go wrong beside its steps. */
export function openDesk(partition: Partition, seed: number): Desk {
  return new Desk(partition, new Board(), new Random(seed), (error) => expect(error).toBeUndefined());
}
