/**
 * Partitions that are worker threads, as the table's owner keeps them: their start, their end, which is the partition's failure,
 * and their restarts.
 */
import type { Worker } from "node:worker_threads";
import { checkNames, LparError, textOf } from "./errors.js";
import type { Kernel } from "./kernel.js";
import type { Partition } from "./partition.js";
import { limitDetail } from "./refusals.js";
import { type RestartPolicy, Restarts } from "./restart.js";
import {
  isOnline,
  offerHandle,
  startWorker,
  type ThreadHandle,
  type ThreadOptions,
  watchExit,
  workerThreads,
} from "./threads.js";

/** The thread that a partition is. */
export interface Thread {
  readonly worker: Worker;
  /** Settles with the reason when the thread has exited and what it was in the middle of is mended. */
  readonly exited: Promise<string>;
  /** Settles with the reason when, after that, the failure of the partition has begun. */
  readonly ended: Promise<string>;
  /** In the table. */
  readonly slot: number;
  /** The failure that begins with its exit, since it could not before: the locks were not to be had. */
  doom?: { readonly reason: string | undefined; isOrderly: boolean };
}

/** What is kept of one partition that can be a thread. */
export interface Threaded {
  readonly partition: Partition;
  thread: Thread | undefined;
  /** Of the last spawn(). */
  restarts: Restarts | undefined;
}

/** What spawns need of their table. */
export interface SpawnHost<One extends Threaded> {
  /** All partitions, by creation. */
  all(): Iterable<One>;
  /** Whether it is one of them: it was not destroyed. */
  has(one: One): boolean;
  /**
   * Its failure begins, if it runs; with the exit of its thread, which is ended, if it has one and the table is locked.
   * @param exited of a thread that has exited already: its views are on record.
   */
  begin(one: One, reason: string, exited?: Promise<string>): void;
  recovered(one: One): Promise<void>;
  /** As the restart policy says. */
  restart(one: One): void;
  /** No restart follows. */
  givenUp(one: One, reason: string): void;
}

/** One spawn(), with all the threads that its restarts make. */
interface Spawn<One extends Threaded> {
  readonly one: One;
  readonly url: URL;
  readonly options: SpawnOptions;
  readonly restarts: Restarts;
  readonly owner: PartitionWorker;
  /** Whether the partition has been started again for a thread that it has not yet. */
  isStarting: boolean;
}

/** How spawn() starts a partition's thread. */
export interface SpawnOptions extends ThreadOptions {
  /** What happens when the thread has ended and the partition is recovered. Default "never". */
  readonly restart?: RestartPolicy | undefined;
  /** Ends the thread, and its restarts. */
  readonly signal?: AbortSignal | undefined;
}

/** A partition that is a worker thread. */
export class PartitionWorker {
  /** What the thread is; the same object after a restart. */
  readonly partition: Partition;
  /** The thread; after a restart another one. */
  worker!: Worker;
  readonly #terminate: () => Promise<void>;

  /** @internal Made by ResourceTable.spawn(). */
  constructor(partition: Partition, terminate: () => Promise<void>) {
    this.partition = partition;
    this.#terminate = terminate;
  }

  /**
   * Ends the thread and its restarts. Resolves when the partition is recovered, whatever that waits for.
   * @throws LparError LPAR_CLOSED if the table is closed before that: then the thread has ended with it.
   */
  terminate(): Promise<void> {
    return this.#terminate();
  }
}

/** What workers are, in whatever table. */
const partitions: WeakMap<Worker, Partition> = new WeakMap();

/** The threads of one table. */
export class Spawns<One extends Threaded> {
  readonly #kernel: Kernel;
  readonly #host: SpawnHost<One>;

  constructor(kernel: Kernel, host: SpawnHost<One>) {
    this.#kernel = kernel;
    this.#host = host;
  }

  /** As ResourceTable.spawn(). */
  async spawn(one: One, url: URL, options: SpawnOptions): Promise<PartitionWorker> {
    if (typeof (url as Partial<URL> | undefined)?.href !== "string")
      throw new TypeError(`url is ${textOf(url)}; it must be a URL`);
    checkNames(options, "restart, signal, workerData, resourceLimits");
    options.signal?.throwIfAborted();
    this.#checkThreads();
    const restarts = new Restarts(options.restart);
    const owner = new PartitionWorker(one.partition, () => this.#terminate(spawn));
    const spawn: Spawn<One> = { one, url, options, restarts, owner, isStarting: false };
    try {
      await this.#kernel.patiently(() => {
        this.#launch(spawn);
        // In the same turn: close() must find it.
        one.restarts?.stop();
        one.restarts = restarts;
        restarts.listen(options.signal, () => {
          // Only a table that was closed meanwhile refuses, and then the thread has ended anyway.
          this.#terminate(spawn).catch(() => {});
        });
      });
      await isOnline(owner.worker, one.thread?.ended);
    } catch (error) {
      // Whoever got no PartitionWorker could never end its restarts.
      restarts.stop();
      options.signal?.throwIfAborted();
      throw error;
    }
    return owner;
  }

  async #terminate({ one, restarts, owner, isStarting }: Spawn<One>): Promise<void> {
    restarts.stop();
    const { thread } = one;
    // The thread may be another spawn()'s by now.
    if (thread === undefined ? isStarting : thread.worker === owner.worker) {
      if (this.#kernel.isClosed) return void (await thread?.exited);
      await this.#kernel.patiently(() => this.#host.begin(one, "terminated"));
    }
    await this.#host.recovered(one);
  }

  /** Opens a thread for a spawn(); when it has ended, the restart policy decides. */
  #launch(spawn: Spawn<One>): void {
    const { one, url, options, owner } = spawn;
    const thread = this.#open(one, (handle) => startWorker(handle, url, options));
    owner.worker = thread.worker;
    void thread.ended.then(async (reason) => {
      // A table that was closed meanwhile recovers nothing.
      await this.#host.recovered(one).catch(() => {});
      if (!this.#kernel.isClosed) this.#again(spawn, reason);
    });
  }

  /** What the restart policy says after the thread has ended and the partition is recovered. */
  #again(spawn: Spawn<One>, reason: string): void {
    const { one, restarts } = spawn;
    const isOurs = this.#host.has(one) && one.partition.state === "stopped";
    const { incarnation } = one.partition;
    const start = (): void => void this.#startAgain(spawn, incarnation);
    if (isOurs && restarts.schedule(this.#kernel.clock, start)) return;
    if (isOurs && restarts.done > 0 && !restarts.isStopped) {
      const why = `it ended after ${restarts.done} restarts: ${reason}`;
      this.#host.givenUp(one, why);
    }
    restarts.stop();
  }

  /** @param stopped the incarnation that ended: the timer has no power over a later one (FA3). */
  async #startAgain(spawn: Spawn<One>, stopped: number): Promise<void> {
    const { one, restarts } = spawn;
    const { partition } = one;
    const isOver = (): boolean => this.#kernel.isClosed || restarts.isStopped;
    let hasRestarted = false;
    try {
      await this.#kernel.patiently(() => {
        if (isOver()) return;
        const isOurs = partition.state === "stopped" && partition.incarnation === stopped;
        // It runs already when what is assigned to it, or its thread, has to wait for a lock.
        if (!isOurs && !spawn.isStarting) return restarts.stop();
        if (!isOurs && partition.state !== "running") return;
        spawn.isStarting = true;
        if (!hasRestarted) this.#host.restart(one);
        hasRestarted = true;
        // Whoever was told of it may have ended it again, or made it a thread.
        if (isOver() || partition.state !== "running") return;
        if (one.thread === undefined) this.#launch(spawn);
        else restarts.stop();
        spawn.isStarting = false;
      });
      if (isOver() || !spawn.isStarting) return;
      await this.#host.recovered(one);
      spawn.isStarting = false;
      this.#again(spawn, "it failed before its thread began");
    } catch (error) {
      if (isOver()) return;
      restarts.stop();
      const reason = textOf(error);
      await this.#kernel.patiently(() => this.#host.begin(one, reason)).catch(() => {});
      this.#host.givenUp(one, reason);
    } finally {
      spawn.isStarting = false;
    }
  }

  /** First of all: elsewhere than in Node a worker is something else. */
  #checkThreads(): void {
    if (!this.#kernel.memory.isShared)
      throw new LparError("LPAR_UNSUPPORTED", "no spawn() or attach() with threads: 0");
    workerThreads();
  }

  /** As ResourceTable.attach(). */
  attach(one: One, worker: Worker): void {
    this.#checkThreads();
    if (!(worker instanceof workerThreads().Worker))
      throw new TypeError(`worker is ${textOf(worker)}; it must be a Worker`);
    // Its exit event has come and will not come again.
    if (worker.threadId === -1) throw new LparError("LPAR_THREAD_ENDED", "the worker has exited");
    const other = partitions.get(worker);
    if (other !== undefined && other !== one.partition)
      throw new LparError("LPAR_HAS_PARTITION", `the worker is partition "${other.name}" already`);
    this.#open(one, (handle) => {
      const stopOffering = offerHandle(worker, handle);
      worker.once("exit", stopOffering);
      return worker;
    });
  }

  #open(one: One, start: (handle: ThreadHandle) => Worker): Thread {
    const { partition } = one;
    const { incarnation } = partition;
    // While a lock was waited for; its number may be another one's.
    if (!this.#host.has(one))
      throw new LparError("LPAR_NOT_FOUND", `partition "${partition.name}" was destroyed`);
    if (one.thread !== undefined) {
      throw new LparError("LPAR_HAS_THREAD", `partition "${partition.name}" is a worker thread already`);
    }
    const { core, memory } = this.#kernel;
    const status = core.openThread(partition.lpid);
    const detail = `"${partition.name}" is ${partition.state}${limitDetail(status, "threads")}`;
    this.#kernel.settle("spawn", status, detail);
    const slot = memory.result;
    const names = Array.from(this.#host.all(), (each) => [each.partition.lpid, each.partition.name] as const);
    const { memory: shared, module } = memory;
    const debug = this.#kernel.leaks !== undefined;
    const handle = { memory: shared, module, slot, lpid: partition.lpid, names, debug };
    let worker: Worker;
    try {
      worker = start(handle);
    } catch (error) {
      this.#kernel.finish(() => core.reapThread(slot));
      throw error;
    }
    const exited = watchExit(this.#kernel, slot, worker);
    const ended = exited.then((reason) => this.#end(one, incarnation, reason, exited));
    const thread = { worker, exited, ended, slot };
    one.thread = thread;
    partitions.set(worker, partition);
    this.#kernel.share();
    return thread;
  }

  /** The thread of a partition has exited. */
  async #end(one: One, incarnation: number, reason: string, exited: Promise<string>): Promise<string> {
    const begin = (): void => {
      // While the table is locked somebody else may have failed it, and restarted it (G4).
      if (this.#host.has(one) && one.partition.incarnation === incarnation)
        this.#host.begin(one, reason, exited);
    };
    if (!this.#kernel.isClosed) {
      this.#kernel.wake();
      // Only a table that was closed meanwhile refuses.
      await this.#kernel.patiently(begin).catch(() => {});
    }
    one.thread = undefined;
    return reason;
  }
}
