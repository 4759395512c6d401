/** The ways in which the driver ends a thread. */
import type { ResourceTable } from "../resource-table.js";
import type { PartitionWorker } from "../spawn.js";
import {
  type Board,
  ORDER_EXIT,
  ORDER_HEAP,
  ORDER_OVERFLOW,
  ORDER_THROW,
  ORDER_TIMEOUT,
  ORDER_WAIT,
  ORDERED,
  STATE_WAITING,
} from "./board.js";
import { Violation } from "./records.js";

/** One thread about to die. */
export interface Victim {
  readonly table: ResourceTable;
  readonly handle: PartitionWorker;
  readonly board: Board;
}

export interface Death {
  readonly kind: string;
  /** How often, among all of one pack. */
  readonly weight: number;
  /** Whether a thread that is not at work yet can die of it. */
  readonly isSudden: boolean;
  /** What the table must say of the end. */
  readonly reason: RegExp;
  /** Begins it; the thread exits some time later. */
  inflict(victim: Victim): void | Promise<void>;
}

const WAIT_MS = 10_000;

function order(number: number): Death["inflict"] {
  return ({ board }) => {
    board.order = number;
  };
}

function terminateThread({ handle }: Victim): void {
  void handle.worker.terminate();
}

/** Waits until the victim sleeps as ordered, or works for ever. */
async function terminateAsleep(victim: Victim): Promise<void> {
  const { board } = victim;
  board.order = ORDER_WAIT;
  const until = performance.now() + WAIT_MS;
  while (board.state !== STATE_WAITING) {
    if (performance.now() > until) throw new Violation(`no order was obeyed for ${WAIT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  terminateThread(victim);
}

const AS_ORDERED = new RegExp(`^Error: ${ORDERED}$`);
const EXIT_CODE = /^exit code \d+$/;

export const DEATHS: readonly Death[] = [
  { kind: "terminate", weight: 6, isSudden: true, reason: EXIT_CODE, inflict: terminateThread },
  {
    kind: "fail",
    weight: 2,
    isSudden: true,
    reason: /^chaos: failed$/,
    inflict: ({ table, handle }) => table.fail(handle.partition, "chaos: failed"),
  },
  { kind: "throw", weight: 2, isSudden: false, reason: AS_ORDERED, inflict: order(ORDER_THROW) },
  { kind: "exit", weight: 2, isSudden: false, reason: EXIT_CODE, inflict: order(ORDER_EXIT) },
  {
    kind: "heap",
    weight: 1,
    isSudden: false,
    reason: /ERR_WORKER_OUT_OF_MEMORY|memory limit/,
    inflict: order(ORDER_HEAP),
  },
  { kind: "waiting", weight: 2, isSudden: false, reason: EXIT_CODE, inflict: terminateAsleep },
  { kind: "overflow", weight: 2, isSudden: false, reason: AS_ORDERED, inflict: order(ORDER_OVERFLOW) },
  { kind: "timeout", weight: 2, isSudden: false, reason: AS_ORDERED, inflict: order(ORDER_TIMEOUT) },
];
