/** Worker threads of a benchmark: the owner gives one order after the other, the worker answers each. */
import { parentPort, type TransferListItem, type Worker } from "node:worker_threads";
import type { Partition, ResourceTable } from "../src/index.js";

interface Order {
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly value?: unknown;
  /** What was thrown. */
  readonly error?: string;
}

/** More than spawn() gives by itself, so that the garbage collector decides no figure. */
const LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 64 };

/** A partition's thread, from the side of the owner. */
export class BenchWorker {
  readonly #worker: Worker;
  #waiter: { resolve(value: never): void; reject(reason: unknown): void } | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("message", ({ value, error }: Answer) => {
      const waiter = this.#waiter;
      this.#waiter = undefined;
      if (error === undefined) waiter?.resolve(value as never);
      else waiter?.reject(new Error(`in a worker: ${error}`));
    });
    worker.on("exit", () => this.#waiter?.reject(new Error("a worker has exited")));
  }

  /** @param file of this folder. */
  static async spawn(
    table: ResourceTable,
    partition: Partition,
    file: string,
    workerData?: unknown,
  ): Promise<BenchWorker> {
    const url = new URL(file, import.meta.url);
    const { worker } = await table.spawn(partition, url, { workerData, resourceLimits: LIMITS });
    return new BenchWorker(worker);
  }

  /** Gives an order; the one before must have been answered. */
  ask<T>(name: string, argument?: unknown, transfer: readonly TransferListItem[] = []): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.#worker.postMessage({ name, argument } satisfies Order, transfer);
    });
  }
}

/** In the worker: what it does at which order. */
export function takeOrders(orders: Readonly<Record<string, (argument: never) => unknown>>): void {
  parentPort?.on("message", async ({ name, argument }: Order) => {
    try {
      const value = await orders[name]?.(argument as never);
      parentPort?.postMessage({ value } satisfies Answer);
    } catch (error) {
      parentPort?.postMessage({ error: String(error) } satisfies Answer);
    }
  });
}
