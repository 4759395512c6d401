/** What each thread of the chaos runs: an actor, until it is told how to die. */
import { exit } from "node:process";
import { runInNewContext } from "node:vm";
import { workerData } from "node:worker_threads";
import { HcallError } from "../errors.js";
import { currentPartition } from "../worker.js";
import { Actor } from "./actor.js";
import {
  Board,
  ORDER_EXIT,
  ORDER_HEAP,
  ORDER_NONE,
  ORDER_OVERFLOW,
  ORDER_THROW,
  ORDER_TIMEOUT,
  ORDER_WAIT,
  ORDERED,
  STATE_WAITING,
  STATE_WORKING,
} from "./board.js";
import { Random } from "./random.js";

/** What the driver passes to spawn(). */
export interface ActorData {
  readonly board: SharedArrayBuffer;
  readonly seeds: readonly number[];
}

/** Longer than any run. */
const FOR_EVER_MS = 2 ** 30;

const { board: buffer, seeds } = workerData as ActorData;
const board = new Board(buffer);
const random = new Random(...seeds);

/** Says what is wrong and stands still, so that everything can be looked at. */
function accuse(error: unknown): void {
  // The call in which it was failed by the owner is refused: that is no more than its end.
  if (error instanceof HcallError && currentPartition().state !== "running") return;
  board.accuse(error instanceof Error ? (error.stack ?? error.message) : String(error));
  board.freeze();
}

function turn(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms === 0) setImmediate(resolve);
    else setTimeout(resolve, ms);
  });
}

/** Lives on for some turns after a call was interrupted, and must find everything in order. */
async function liveOn(actor: Actor): Promise<void> {
  for (let left = random.below(6); left > 0; left--) {
    for (let i = 0; i < 20; i++) actor.step();
    actor.tend();
    await turn(random.below(2));
  }
}

function dive(actor: Actor): never {
  actor.scratch();
  return dive(actor);
}

/** Dies in the way that was ordered; comes back from what can be survived. */
async function obey(actor: Actor, order: number): Promise<void> {
  switch (order) {
    case ORDER_THROW:
      throw new Error(ORDERED);
    case ORDER_EXIT:
      return exit(random.below(256));
    case ORDER_HEAP: {
      const hoard: unknown[] = [];
      while (true) {
        for (let i = 0; i < 20; i++) hoard.push({ i, hoard: new Array(500).fill(i) });
        actor.scratch();
      }
    }
    case ORDER_WAIT:
      board.state = STATE_WAITING;
      // Asleep in the thread, busy for ever, or asleep in the event loop.
      if (random.once(3)) board.freeze();
      if (random.once(2)) while (true) actor.scratch();
      return turn(FOR_EVER_MS);
    case ORDER_OVERFLOW:
      actor.injure();
      try {
        dive(actor);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
      await liveOn(actor);
      throw new Error(ORDERED);
    case ORDER_TIMEOUT:
      actor.injure();
      for (let round = 0; round < 3; round++) {
        try {
          runInNewContext("while (true) scratch()", { scratch: () => actor.scratch() }, { timeout: 1 });
        } catch (error) {
          if ((error as { code?: string }).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
        }
        await liveOn(actor);
      }
      throw new Error(ORDERED);
    default:
      throw new Error(`order ${order} does not exist`);
  }
}

/** Whether an end was ordered: then it is no violation. */
function isOrdered(error: unknown): boolean {
  return error instanceof Error && error.message === ORDERED;
}

async function live(): Promise<void> {
  const partition = currentPartition();
  const actor = new Actor(partition, board, random, accuse);
  actor.listen();
  board.state = STATE_WORKING;
  // Whoever was failed by the owner waits for its end.
  while (partition.state === "running") {
    actor.tend();
    for (let left = random.below(60); left > 0; left--) {
      if (board.order !== ORDER_NONE) await obey(actor, board.order);
      actor.step();
    }
    board.turn();
    await turn(random.once(8) ? 1 + random.below(3) : 0);
  }
  await turn(FOR_EVER_MS);
}

live().catch((error) => {
  if (isOrdered(error)) throw error;
  accuse(error);
  return turn(FOR_EVER_MS);
});
