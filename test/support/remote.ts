/** Partitions in worker threads for tests: the test says in functions what happens in there. */
import type * as vm from "node:vm";
import type { MessagePort, Worker } from "node:worker_threads";
import type * as hcall from "../../src/hcall.js";
import type * as lpar from "../../src/index.js";
import type { Cookie, Mapping, Partition, View, VirtualAdapter } from "../../src/index.js";
import type * as layout from "../../src/layout.js";
import type { ThreadHandle } from "../../src/threads.js";

/** The fixture that carries out what run() sends. */
export const REMOTE: URL = new URL("./worker-remote.mjs", import.meta.url);
export const ECHO: URL = new URL("./worker-echo.mjs", import.meta.url);
export const THROWS: URL = new URL("./worker-throws.mjs", import.meta.url);
export const OWNER: URL = new URL("./worker-owner.mjs", import.meta.url);

/** What a function that runs in the worker can use. It must not use anything else from outside. */
export interface Inside {
  readonly partition: Partition;
  readonly currentPartition: () => Partition;
  readonly lpar: typeof lpar;
  readonly hcall: typeof hcall;
  readonly layout: typeof layout;
  readonly workerData: unknown;
  readonly parentPort: MessagePort;
  /** What spawn() gave to the thread. */
  readonly handle: ThreadHandle;
  readonly vm: typeof vm;
  /** Stays from one run() to the next. */
  readonly kept: {
    mapping?: Mapping;
    view?: View;
    cookie?: Cookie;
    adapter?: VirtualAdapter;
    address?: number;
    stream?: AsyncIterator<unknown>;
    wait?: Promise<unknown>;
  };
}

interface Answer {
  readonly id: number;
  readonly value: unknown;
  readonly error?: { readonly name: string; readonly message: string; readonly code?: string };
}

/** What a function in the worker threw, as far as it can be posted. */
export class RemoteError extends Error {
  readonly code: string | undefined;

  constructor({ name, message, code }: NonNullable<Answer["error"]>) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

/** A worker that runs worker-remote.mjs. */
export class Remote {
  readonly worker: Worker;
  readonly #waiting = new Map<number, { resolve(value: never): void; reject(reason: unknown): void }>();
  #id = 0;

  constructor(worker: Worker) {
    this.worker = worker;
    worker.on("message", ({ id, value, error }: Answer) => {
      const waiter = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiter?.resolve(value as never);
      else waiter?.reject(new RemoteError(error));
    });
    worker.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the worker has exited"));
      this.#waiting.clear();
    });
  }

  /** Runs a function in the worker. What it answers is posted back. */
  run<T, A = undefined>(task: (inside: Inside, argument: A) => T, argument?: A): Promise<Awaited<T>> {
    return new Promise((resolve, reject) => {
      const id = this.#id++;
      this.#waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, source: task.toString(), argument });
    });
  }

  /** Runs a function that does not come back. */
  send<A = undefined>(task: (inside: Inside, argument: A) => unknown, argument?: A): void {
    this.run(task, argument).catch(() => {});
  }
}

/** The promise, or an error if it does not settle in time: what waits for ever fails where it waits. */
export function within<T>(promise: Promise<T>, what: string, ms: number = 10_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not settled after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
