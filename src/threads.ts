/**
 * Partitions in worker threads, from the side of the table's owner: starting a thread, handing it what it needs to join the
 * table, and hearing of its end.
 */
import type { Worker, WorkerOptions } from "node:worker_threads";
import { builtinModule } from "./builtin.js";
import { nextTurn } from "./clock.js";
import { LparError, textOf } from "./errors.js";
import type { Kernel } from "./kernel.js";
import { H_LONG_BUSY_10_MSEC } from "./layout.js";

/** What a thread needs to be a partition; it can be posted to a worker. */
export interface ThreadHandle {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly slot: number;
  readonly lpid: number;
  /** Names of the partitions that exist now, by lpid. */
  readonly names: readonly (readonly [lpid: number, name: string])[];
  /** As the table was made with. */
  readonly debug: boolean;
}

/** Where the bootstrap of a spawned worker leaves its handle for `lpar/worker`. */
export const HANDLE_KEY = "lpar.thread";

/** The channel on which an attached worker asks for its handle. */
export function channelName(threadId: number): string {
  return `lpar.thread.${threadId}`;
}

/**
 * Runs before the worker's own module. As a string, because a file of its own would be lost in bundles. It puts the
 * user's workerData in the place of ours, so that the worker sees what spawn() was given. Without require() and import, since such a
 * string is one or the other kind of module, as process.execArgv says (--input-type). What the module throws is an uncaught
 * exception, as that of a worker's own module: a rejection could be handled, and the thread would stay without its code.
 */
const BOOTSTRAP = `
const { getBuiltinModule } = process;
const threads = getBuiltinModule("node:worker_threads");
const { syncBuiltinESMExports } = getBuiltinModule("node:module");
const { handle, url, workerData } = threads.workerData;
globalThis[Symbol.for("${HANDLE_KEY}")] = handle;
threads.workerData = workerData;
syncBuiltinESMExports();
import(url).catch((error) => queueMicrotask(() => { throw error; }));
`;

type WorkerThreads = typeof import("node:worker_threads");

const WITHOUT_THREADS =
  "spawn(), attach(), lpar/worker and lpar/guest-worker need node:worker_threads; " +
  "in a browser, partitions live in the thread that made their table";

/** Node's worker_threads without an import, so that the library also loads where there is none. @throws LparError */
export function workerThreads(): WorkerThreads {
  const found = builtinModule("node:worker_threads");
  if (found !== undefined) return found as WorkerThreads;
  throw new LparError("LPAR_UNSUPPORTED", WITHOUT_THREADS);
}

/** How a worker is started. */
export interface ThreadOptions {
  /** What the worker finds in `workerData` of node:worker_threads. */
  readonly workerData?: unknown;
  /** Of its heap and stack; default 16 MiB of old and 8 MiB of young generation (SECURITY.md). */
  readonly resourceLimits?: NonNullable<WorkerOptions["resourceLimits"]> | undefined;
}

/** Starts a worker whose code at `url` is the partition. */
export function startWorker(handle: ThreadHandle, url: URL, options: ThreadOptions): Worker {
  const { workerData } = options;
  // With these, in MiB, heap exhaustion ended the worker and never the process.
  const {
    maxOldGenerationSizeMb = 16,
    maxYoungGenerationSizeMb = 8,
    ...limits
  } = options.resourceLimits ?? {};
  const { Worker: WorkerClass } = workerThreads();
  return new WorkerClass(BOOTSTRAP, {
    eval: true,
    workerData: { handle, url: url.href, workerData },
    resourceLimits: { ...limits, maxOldGenerationSizeMb, maxYoungGenerationSizeMb },
  });
}

/**
 * Answers an existing worker that asks for its handle, and tells it at once if it listens already.
 * @returns ends the answering.
 */
export function offerHandle(worker: Worker, handle: ThreadHandle): () => void {
  const { BroadcastChannel } = workerThreads();
  const channel = new BroadcastChannel(channelName(worker.threadId));
  // An attached worker that never asks must not keep the process alive.
  channel.unref();
  channel.onmessage = (message) => {
    if ((message as { data: unknown }).data === "ask") channel.postMessage(handle);
  };
  channel.postMessage(handle);
  return () => channel.close();
}

/**
 * The end of a thread: settled once its `exit` event has come, when nothing of it runs any more, and what it held of the
 * table itself (the lock, a half-done call, staging) is mended.
 */
export function watchExit(kernel: Kernel, slot: number, worker: Worker): Promise<string> {
  return new Promise((resolve) => {
    let reason: string | undefined;
    // Without a listener an uncaught exception in the worker would be one in the owner.
    worker.on("error", (error: unknown) => {
      reason = textOf(error, true);
    });
    worker.once("exit", (code) => {
      const reap = (): void => {
        if (kernel.core.reapThread(slot) === H_LONG_BUSY_10_MSEC) void nextTurn(1).then(reap);
        else resolve(reason ?? `exit code ${code}`);
      };
      reap();
    });
  });
}

/** Settles when a worker runs. @throws LparError LPAR_THREAD_ENDED with the reason, if it ends before. */
export function isOnline(worker: Worker, ended: Promise<string> | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once("online", resolve);
    void ended?.then((reason) => reject(new LparError("LPAR_THREAD_ENDED", reason)));
  });
}
