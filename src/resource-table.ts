/**
 * The partition manager: owns the physical memory and every table; creates, fails, recovers and restarts partitions.
 */
import type { Worker } from "node:worker_threads";
import { VirtualAdapter } from "./adapter.js";
import { type AuditReport, auditTable } from "./audit.js";
import type { TableMemory } from "./binding.js";
import { type Clock, nextTurn, systemClock } from "./clock.js";
import { type DeduplicationReport, deduplicate } from "./deduplicate.js";
import { describeTable, showAs } from "./describe.js";
import { FAILURE, type PartitionMessage, RECOVERY, RESTART } from "./diagnostics.js";
import { checkBytes, checkInteger, HcallError, LparError } from "./errors.js";
import { Group, type GroupOptions } from "./group.js";
import { History, type HistoryEntry } from "./history.js";
import { raiseInterrupt } from "./interrupts.js";
import { Kernel, setKernel } from "./kernel.js";
import {
  END_PARTNER,
  H_LONG_BUSY_10_MSEC,
  HEADER_SPACE_PAGES,
  HEADER_STRUCTURES_MAX,
  PAGE_BYTES,
  STRUCTURES_LIMIT,
  UNIT_SLOTS,
} from "./layout.js";
import { type CompactionReport, compact } from "./migration.js";
import {
  checkLmb,
  openMemory,
  type PartitionOptions,
  type ResourceOptions,
  type TableOptions,
} from "./options.js";
import { Partition } from "./partition.js";
import { type ReconcileOptions, Reconciler } from "./reconciler.js";
import { endWord, type ResourceType, spaceOfType, typeCode, unitAddress, unitOf } from "./records.js";
import { Recovery } from "./recovery.js";
import { type RestartPolicy, Restarts } from "./restart.js";
import { inspectTable, partnersOf, type SnapshotHost, type TableSnapshot } from "./snapshot.js";
import { onAbort, Stream, type WaitOptions } from "./stream.js";
import type { TableEvent } from "./table-event.js";
import {
  isOnline,
  offerHandle,
  startWorker,
  type ThreadHandle,
  type ThreadOptions,
  watchExit,
} from "./threads.js";

/** What one partition is made of, for its restart. */
interface Description {
  readonly partition: Partition;
  readonly resources: ResourceOptions[];
  readonly onFailure: "rescind" | "defer";
  recovery: Recovery | undefined;
  thread: Thread | undefined;
  /** Of the last spawn(). */
  restarts: Restarts | undefined;
}

/** The thread that a partition is. */
interface Thread {
  readonly worker: Worker;
  /** Settles with the reason when the thread has exited and what it was in the middle of is mended. */
  readonly exited: Promise<string>;
  /** Settles with the reason when, after that, the failure of the partition has begun. */
  readonly ended: Promise<string>;
}

/** One spawn(), with all the threads that its restarts make. */
interface Spawn {
  readonly description: Description;
  readonly url: URL;
  readonly options: SpawnOptions;
  readonly restarts: Restarts;
  readonly owner: PartitionWorker;
  /** The signal of the options has no power any more. */
  stopListening(): void;
}

/** Events kept for the first who asks for them. */
const BACKLOG = 1024;

/** How spawn() starts a partition's thread. */
export interface SpawnOptions extends ThreadOptions {
  /** What happens when the thread has ended and the partition is recovered. Default "never". */
  readonly restart?: RestartPolicy;
  /** Ends the thread, and its restarts. */
  readonly signal?: AbortSignal;
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

  /** Ends the thread and its restarts. Resolves when the partition is recovered, whatever that waits for. */
  terminate(): Promise<void> {
    return this.#terminate();
  }
}

/** Owns the physical memory and every table; creates, fails, recovers and restarts partitions. */
export class ResourceTable implements AsyncDisposable {
  static {
    showAs<ResourceTable>(ResourceTable, (table) =>
      describeTable(table.#kernel.memory, [...table.partitions]),
    );
  }

  readonly #kernel: Kernel;
  readonly #gracePeriodMs: number;
  readonly #descriptions: Map<number, Description> = new Map();
  readonly #groups: Map<string, Group> = new Map();
  readonly #streams: Set<Stream<TableEvent>> = new Set();
  #backlog: TableEvent[] = [];
  readonly #history: History = new History();
  #reconciler: Reconciler | undefined;

  private constructor(memory: TableMemory, clock: Clock, gracePeriodMs: number, debug: boolean) {
    const partitionOf = (lpid: number): Partition => {
      const partition = this.partition(lpid);
      if (partition === undefined) throw new LparError("LPAR_NOT_FOUND", `there is no partition ${lpid}`);
      return partition;
    };
    this.#kernel = new Kernel(memory, clock, partitionOf, false, debug);
    this.#gracePeriodMs = gracePeriodMs;
    this.#kernel.failPartition = (lpid, reason) => {
      const partition = this.partition(lpid);
      if (partition?.state === "running") this.fail(partition, reason);
    };
    setKernel(this, this.#kernel);
  }

  /**
   * Sizes and allocates everything.
   * @throws RangeError for options out of range, naming the option, the value and its bounds.
   */
  static create(options: TableOptions): ResourceTable {
    const grace = options.gracePeriodMs ?? 2000;
    if (typeof grace !== "number" || !(grace >= 0 && grace <= 2 ** 31 - 1)) {
      throw new RangeError(`gracePeriodMs is ${String(grace)}; it must be from 0 to ${2 ** 31 - 1}`);
    }
    const { clock = systemClock, debug = false } = options;
    if (typeof debug !== "boolean")
      throw new RangeError(`debug is ${String(debug)}; it must be true or false`);
    return new ResourceTable(openMemory(options), clock, grace, debug);
  }

  #describe(partition: Partition): Description {
    const description = this.#descriptions.get(partition.lpid);
    if (description?.partition === partition) return description;
    throw new LparError("LPAR_NOT_FOUND", `partition "${partition.name}" is not one of this table`);
  }

  /**
   * Makes a partition with its memory in LMBs and starts it.
   * @throws RangeError for a description out of range; HcallError H_NO_MEM when partitions, structures or frames are
   * used up.
   */
  createPartition(options: PartitionOptions): Partition {
    this.#kernel.checkOpen();
    const { name, memory = 0, onFailure = "rescind" } = options;
    if (typeof name !== "string" || name === "") {
      throw new RangeError(`name is ${JSON.stringify(name)}; it must be a string that is not empty`);
    }
    if (onFailure !== "rescind" && onFailure !== "defer") {
      throw new RangeError(`onFailure is "${String(onFailure)}"; it must be "rescind" or "defer"`);
    }
    const most = this.#kernel.memory.header(HEADER_SPACE_PAGES) * PAGE_BYTES;
    checkBytes("memory", memory, 0, most, PAGE_BYTES);
    const lmb = checkLmb(options.lmb ?? Math.max(memory, PAGE_BYTES), memory, options.lmb !== undefined);
    const status = this.#kernel.core.createPartition(memory / PAGE_BYTES, lmb / PAGE_BYTES);
    this.#kernel.settle("createPartition", status, `"${name}", ${memory} bytes in LMBs of ${lmb}`);
    const partition = new Partition(this.#kernel, this.#kernel.memory.result, name);
    this.#descriptions.set(partition.lpid, {
      partition,
      resources: [],
      onFailure,
      recovery: undefined,
      thread: undefined,
      restarts: undefined,
    });
    this.#record("partition-created", partition.lpid);
    return partition;
  }

  /**
   * A virtual adapter between two partitions, seen from `a` (CQ1).
   * @param options grants: each end's quota of control structures; default all that the table has.
   * @throws HcallError H_NO_MEM when the table's adapters are used up; H_RESCINDED when one of the two does not run.
   */
  connect(a: Partition, b: Partition, options: { readonly grants?: number } = {}): VirtualAdapter {
    this.#kernel.checkOpen();
    this.#describe(a);
    this.#describe(b);
    const capacity = this.#kernel.memory.header(HEADER_STRUCTURES_MAX);
    const quota = checkInteger("grants", options.grants ?? capacity, 1, STRUCTURES_LIMIT);
    const { core, memory } = this.#kernel;
    this.#kernel.settle(
      "connect",
      core.connectPartitions(a.lpid, b.lpid, quota),
      `"${a.name}" to "${b.name}"`,
    );
    const unit = memory.result;
    const far = endWord(memory, unit % UNIT_SLOTS, END_PARTNER);
    this.#record("partitions-connected", a.lpid, "", [b.lpid]);
    return new VirtualAdapter(a, unit, b, unitAddress(memory, far));
  }

  /**
   * Gives a partition an elemental resource of another kind than memory at an address of its own choice (KI2 to KI5).
   * No RAM stands behind physical MMIO and DMA pages: they are numbers, and the manager may give one to several.
   * @throws HcallError H_PARAMETER out of range; H_RESOURCE if the addresses are taken; H_NO_MEM.
   */
  assign(partition: Partition, resource: ResourceOptions): void {
    this.#kernel.checkOpen();
    const description = this.#describe(partition);
    if ((resource.type as ResourceType) === "memory") {
      throw new RangeError('type is "memory"; memory is assigned by createPartition()');
    }
    this.#assign(partition, resource);
    description.resources.push({ ...resource });
  }

  #assign(partition: Partition, resource: ResourceOptions): void {
    const { type, address, length, physical = address, liobn = 0 } = resource;
    const code = typeCode(spaceOfType(type));
    const status = this.#kernel.core.assignResource(partition.lpid, code, address, length, physical, liobn);
    const unit = unitOf(spaceOfType(type)) === 1 ? "" : " bytes";
    this.#kernel.settle("assign", status, `${type} at ${address}, ${length}${unit}, physical ${physical}`);
  }

  /**
   * The interrupt source that `partition` has at `address` fires (KI3): it, and whoever else has the source, gets an event.
   * @throws HcallError H_PARAMETER, H_RESCINDED
   */
  raise(partition: Partition, address: number): void {
    this.#kernel.checkOpen();
    this.#describe(partition);
    raiseInterrupt(this.#kernel, partition.lpid, address, true);
  }

  /** The partition with this number, unless it was destroyed. */
  partition(lpid: number): Partition | undefined {
    return this.#descriptions.get(lpid)?.partition;
  }

  /** All partitions, by creation. */
  get partitions(): Iterable<Partition> {
    return Array.from(this.#descriptions.values(), ({ partition }) => partition);
  }

  /**
   * Starts a worker thread whose code at `url` is the partition: `currentPartition()` of `lpar/worker` is its own object
   * of the same class. The end of the thread, however it comes, is the failure of the partition (FA5).
   * @returns when the thread runs.
   * @throws LparError LPAR_HAS_THREAD if it has one; HcallError H_PARAMETER if it does not run, H_NO_MEM when
   * TableOptions.threads are used up; what the worker threw, if it ends before it runs.
   */
  async spawn(partition: Partition, url: URL, options: SpawnOptions = {}): Promise<PartitionWorker> {
    this.#kernel.checkOpen();
    options.signal?.throwIfAborted();
    const description = this.#describe(partition);
    const restarts = new Restarts(options.restart);
    const owner = new PartitionWorker(partition, () => this.#terminate(spawn));
    const spawn: Spawn = { description, url, options, restarts, owner, stopListening: () => {} };
    try {
      await this.#patiently(() => this.#launch(spawn));
      description.restarts?.stop();
      description.restarts = restarts;
      spawn.stopListening = onAbort(options.signal, () => {
        // Only a table that was closed meanwhile refuses, and then the thread has ended anyway.
        this.#terminate(spawn).catch(() => {});
      });
      await isOnline(owner.worker, description.thread?.ended);
    } catch (error) {
      // Whoever got no PartitionWorker could never end its restarts.
      restarts.stop();
      spawn.stopListening();
      options.signal?.throwIfAborted();
      throw error;
    }
    return owner;
  }

  async #terminate({ description, restarts, owner, stopListening }: Spawn): Promise<void> {
    stopListening();
    restarts.stop();
    const { thread } = description;
    // The thread may be another spawn()'s by now.
    if (thread?.worker === owner.worker) {
      if (this.#kernel.isClosed) return void (await thread.exited);
      await this.#patiently(() => this.#begin(description, false, "terminated"));
    }
    await this.#recovered(description);
  }

  /** Opens a thread for a spawn(); when it has ended, the restart policy decides. */
  #launch(spawn: Spawn): void {
    const { description, url, options, owner } = spawn;
    const thread = this.#openThread(description, (handle) => startWorker(handle, url, options));
    owner.worker = thread.worker;
    void thread.ended.then(async (reason) => {
      // A table that was closed meanwhile recovers nothing.
      await this.recovered(description.partition).catch(() => {});
      if (!this.#kernel.isClosed) this.#again(spawn, reason);
    });
  }

  /** What the restart policy says after the thread has ended and the partition is recovered. */
  #again(spawn: Spawn, reason: string): void {
    const { description, restarts, stopListening } = spawn;
    const { partition } = description;
    const isOurs = this.#descriptions.get(partition.lpid) === description && partition.state === "stopped";
    if (isOurs && restarts.schedule(this.#kernel.clock, () => void this.#startAgain(spawn))) return;
    if (isOurs && restarts.done > 0 && !restarts.isStopped) {
      const why = `it ended after ${restarts.done} restarts: ${reason}`;
      this.#emit("partition-given-up", partition.lpid, why);
    }
    stopListening();
  }

  async #startAgain(spawn: Spawn): Promise<void> {
    const { description, restarts } = spawn;
    const { partition } = description;
    const isOver = (): boolean => this.#kernel.isClosed || restarts.isStopped;
    try {
      await this.#patiently(() => {
        if (!isOver() && partition.state === "stopped") this.restart(partition);
        else restarts.stop();
      });
      await this.#patiently(() => {
        if (!isOver() && description.thread === undefined) this.#launch(spawn);
      });
    } catch (error) {
      if (isOver()) return;
      spawn.stopListening();
      const reason = error instanceof Error ? error.message : String(error);
      await this.#patiently(() => this.#begin(description, false, reason)).catch(() => {});
      this.#emit("partition-given-up", partition.lpid, reason);
    }
  }

  /** Calls until the table is not locked. The event loop turns between two tries, or it would not hear of a holder's exit. */
  async #patiently(call: () => void): Promise<void> {
    while (true) {
      this.#kernel.checkOpen();
      try {
        return call();
      } catch (error) {
        if (!(error instanceof HcallError) || error.status !== H_LONG_BUSY_10_MSEC) throw error;
      }
      await nextTurn(1);
    }
  }

  /**
   * Makes an existing worker a partition's thread, as a pool needs it: there `currentPartition()` of `lpar/worker` waits
   * for this. The worker's exit is the failure of the partition.
   * @throws LparError LPAR_HAS_THREAD if the partition has one, LPAR_HAS_PARTITION if the worker is one,
   * LPAR_THREAD_ENDED if it has exited; HcallError as spawn().
   */
  attach(partition: Partition, worker: Worker): void {
    this.#kernel.checkOpen();
    const description = this.#describe(partition);
    for (const other of this.#descriptions.values()) {
      if (other.thread?.worker !== worker || other === description) continue;
      throw new LparError("LPAR_HAS_PARTITION", `the worker is partition "${other.partition.name}" already`);
    }
    // Its exit event has come and will not come again.
    if (worker.threadId === -1) throw new LparError("LPAR_THREAD_ENDED", "the worker has exited");
    this.#openThread(description, (handle) => {
      const stopOffering = offerHandle(worker, handle);
      worker.once("exit", stopOffering);
      return worker;
    });
  }

  #openThread(description: Description, start: (handle: ThreadHandle) => Worker): Thread {
    const { partition } = description;
    if (description.thread !== undefined) {
      throw new LparError("LPAR_HAS_THREAD", `partition "${partition.name}" is a worker thread already`);
    }
    const { core, memory } = this.#kernel;
    const status = core.openThread(partition.lpid);
    this.#kernel.settle("spawn", status, `"${partition.name}" is ${partition.state}`);
    const slot = memory.result;
    const names = Array.from(
      this.#descriptions.values(),
      (one) => [one.partition.lpid, one.partition.name] as const,
    );
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
    this.#kernel.share();
    const exited = watchExit(this.#kernel, slot, worker);
    const thread = { worker, exited, ended: exited.then((reason) => this.#end(description, reason, exited)) };
    description.thread = thread;
    return thread;
  }

  /** The thread of a partition has exited. */
  async #end(description: Description, reason: string, exited: Promise<string>): Promise<string> {
    if (!this.#kernel.isClosed) {
      this.#kernel.wake();
      // Only a table that was closed meanwhile refuses.
      await this.#patiently(() => this.#begin(description, false, reason, exited)).catch(() => {});
    }
    description.thread = undefined;
    return reason;
  }

  /**
   * Declares a partition failed now; what follows is FA1 to FA8. Does nothing if it does not run. The first slice of the
   * recovery is done when this returns.
   */
  fail(partition: Partition, reason?: string): void {
    this.#kernel.checkOpen();
    this.#begin(this.#describe(partition), false, reason);
  }

  /** @param ended of a thread that has exited already: its views are on record. */
  #begin(description: Description, orderly: boolean, reason?: string, ended?: Promise<unknown>): void {
    const { partition } = description;
    if (partition.state !== "running") return;
    const { core, memory } = this.#kernel;
    const partners = partnersOf(memory, partition.lpid);
    this.#kernel.settle("fail", core.failPartition(partition.lpid, orderly ? 1 : 0));
    const owesGrace = memory.result === 1 && !orderly;
    const grace = description.onFailure === "defer" ? "defer" : this.#gracePeriodMs;
    const recovery = new Recovery(this.#kernel, partition.lpid, {
      graceOver: () => this.#record("grace-over", partition.lpid),
      stopped: () => {
        description.recovery = undefined;
        this.#emit("partition-recovered", partition.lpid);
        if (RECOVERY.hasSubscribers) RECOVERY.publish(this.#message(partition));
      },
    });
    description.recovery = recovery;
    this.#emit("partition-failed", partition.lpid, reason);
    if (partners.length > 0) this.#record("partners-told", partition.lpid, "", partners);
    if (owesGrace && grace !== 0)
      this.#record("grace-begun", partition.lpid, grace === "defer" ? grace : `${grace} ms`);
    this.#kernel.wake();
    const { thread } = description;
    // Death is the exit of the thread, not the end of terminate(): until then nothing may be assumed of it.
    if (thread !== undefined) void thread.worker.terminate();
    if (FAILURE.hasSubscribers) FAILURE.publish(this.#message(partition, reason));
    recovery.start(owesGrace ? grace : 0, ended ?? thread?.exited);
  }

  /**
   * Takes what others still have of a failed partition by force, now: nobody waits for the end of its grace period or, if
   * its policy is "defer", for those who borrow from it (FA7). Does nothing if it is not failed. recovered() tells the end.
   */
  reclaim(partition: Partition): void {
    this.#kernel.checkOpen();
    this.#describe(partition).recovery?.endGrace();
  }

  /**
   * Resolves when the partition's resources are recovered; at once if it does not have to be. Under the policy "defer" that
   * may be never, unless reclaim() ends the wait.
   */
  async recovered(partition: Partition, options: WaitOptions = {}): Promise<void> {
    await this.#recovered(this.#describe(partition), options);
  }

  async #recovered(description: Description, options: WaitOptions = {}): Promise<void> {
    const { thread } = description;
    // It has exited: the failure of the partition begins in a moment.
    if (thread?.worker.threadId === -1) await thread.ended;
    await description.recovery?.wait(options);
  }

  /**
   * Starts a recovered partition again from its description: a new incarnation, without adapters (FA8, G4).
   * @throws HcallError H_RESOURCE until its recovery is complete, whatever that waits for; H_NO_MEM if its memory was given to others.
   */
  restart(partition: Partition): void {
    this.#kernel.checkOpen();
    const { resources } = this.#describe(partition);
    const status = this.#kernel.core.restartPartition(partition.lpid);
    this.#kernel.settle("restart", status, `"${partition.name}" is ${partition.state}`);
    for (const resource of resources) this.#assign(partition, resource);
    this.#emit("partition-restarted", partition.lpid);
    if (RESTART.hasSubscribers) RESTART.publish(this.#message(partition));
  }

  #message(partition: Partition, reason?: string): PartitionMessage {
    return { table: this, partition, incarnation: partition.incarnation, reason };
  }

  /** Ends a partition for good; its partners are told, its grants are rescinded without a grace period. */
  async destroyPartition(partition: Partition): Promise<void> {
    this.#kernel.checkOpen();
    const description = this.#describe(partition);
    description.restarts?.stop();
    await this.#patiently(() => this.#begin(description, true));
    const recovered = this.recovered(partition);
    description.recovery?.endGrace();
    await recovered;
    await this.#patiently(() => {
      // Somebody else may have waited for the same end.
      if (this.#descriptions.get(partition.lpid) !== description) return;
      this.#kernel.settle("destroyPartition", this.#kernel.core.removePartition(partition.lpid));
      // While it still has a name.
      this.#emit("partition-destroyed", partition.lpid);
      this.#descriptions.delete(partition.lpid);
    });
  }

  #emit(type: TableEvent["type"], lpid: number, reason?: string): void {
    const event: TableEvent = {
      type,
      lpid,
      at: this.#kernel.clock.now(),
      ...(reason === undefined ? {} : { reason }),
    };
    this.#record(type, lpid, reason);
    for (const stream of this.#streams) stream.push(event);
    if (this.#streams.size > 0) return;
    this.#backlog.push(event);
    if (this.#backlog.length > BACKLOG) this.#backlog.shift();
  }

  /** Keeps for inspect() what has happened. */
  #record(type: HistoryEntry["type"], lpid: number, detail = "", partners: readonly number[] = []): void {
    const partition = this.partition(lpid);
    const [name, incarnation] = [partition?.name ?? "", partition?.incarnation ?? 0];
    this.#history.add({ at: this.#kernel.clock.now(), type, lpid, name, incarnation, detail, partners });
  }

  /** Table-wide events, oldest first. The first stream begins with up to 1024 that nobody has seen. */
  events(options: WaitOptions = {}): AsyncIterableIterator<TableEvent> {
    this.#kernel.checkOpen();
    const stream = new Stream<TableEvent>(options, () => this.#streams.delete(stream));
    if (options.signal?.aborted === true) return stream;
    this.#streams.add(stream);
    for (const event of this.#backlog) stream.push(event);
    this.#backlog = [];
    return stream;
  }

  /**
   * Lets equal pages stand on one frame each (transparent sharing): what running partitions own where nothing of the LMB is
   * granted, and the private pages of copy-on-write mappings. A write splits a page off again, and needs a free frame then
   * (H_NO_MEM). In slices, each under all locks for some pages.
   * @returns how many pages were compared, and how many frames that saved.
   * @throws HcallError H_NO_MEM when the table's staging is used up.
   */
  deduplicate(options: WaitOptions = {}): Promise<DeduplicationReport> {
    this.#kernel.checkOpen();
    return deduplicate(this.#kernel, [...this.#descriptions.keys()], options);
  }

  /**
   * Moves what running partitions own to lower frames, so that free physical memory is in larger pieces. Threads go on
   * reading and writing meanwhile, and no write is lost; pages under views stay.
   * @throws the reason of `signal`, between two slices: what has moved has moved.
   */
  compact(options: WaitOptions = {}): Promise<CompactionReport> {
    const lpids = [...this.partitions].filter(({ state }) => state === "running").map(({ lpid }) => lpid);
    return compact(this.#kernel, lpids, options);
  }

  /**
   * The group with this name; a new one without members and resources if there is none.
   * @param options of a new one.
   * @throws RangeError for a name or a quota that is none.
   */
  group(name: string, options: GroupOptions = {}): Group {
    this.#kernel.checkOpen();
    const found = this.#groups.get(name);
    if (found !== undefined) return found;
    if (typeof name !== "string" || name === "")
      throw new RangeError(`name is ${JSON.stringify(name)}; it must be a string that is not empty`);
    const host = {
      check: (partition: Partition) => void this.#describe(partition),
      connect: (a: Partition, b: Partition, grants: number) => void this.connect(a, b, { grants }),
      recovered: async (partition: Partition) => {
        if (this.partition(partition.lpid) === partition) await this.recovered(partition);
      },
      closed: () => this.#groups.delete(name),
    };
    const group = new Group(this.#kernel, host, name, options);
    this.#groups.set(name, group);
    return group;
  }

  /** Walks every table; an empty list of problems means that every invariant holds. */
  audit(): AuditReport {
    return auditTable(this.#kernel.memory);
  }

  /**
   * Audits the table periodically, so that a counter that is not what it counts does not go unseen: see Reconciler. Ends with
   * its stop(), with the signal, or when the table closes; it does not keep the process alive.
   * @throws RangeError for a period that is none; LparError LPAR_RECONCILING while another one runs, LPAR_CLOSED; the
   * reason of `signal` if it is aborted already.
   */
  reconcile(options: ReconcileOptions): Reconciler {
    this.#kernel.checkOpen();
    if (this.#reconciler?.isRunning === true)
      throw new LparError("LPAR_RECONCILING", "the table is being reconciled already; stop() that first");
    this.#reconciler = new Reconciler(this.#kernel, options, (type, reason) => this.#emit(type, 0, reason));
    return this.#reconciler;
  }

  /** Problems that the last reconcile() had confirmed at its last observation, up to 256; 0 before any. */
  get drift(): number {
    return this.#reconciler?.drift ?? 0;
  }

  /**
   * Versioned plain JSON of partitions, resources, grants, maps, adapters, interrupts, bus entries, groups, counters and what
   * has happened lately. All views are made from it: it costs as much as the table is full, and nothing while nobody asks.
   */
  inspect(): TableSnapshot {
    return inspectTable(this.#kernel.memory, {
      describe: (lpid) => this.#describeLpid(lpid),
      groups: Array.from(this.#groups.values(), ({ name, resources, members }) => ({
        name,
        resources,
        members: members.map(({ partition, units }) => ({
          lpid: partition.lpid,
          units: units.map(({ number }) => number),
        })),
      })),
      events: this.#history.list(),
    });
  }

  #describeLpid(lpid: number): ReturnType<SnapshotHost["describe"]> {
    const description = this.#descriptions.get(lpid);
    const worker = description?.thread?.worker;
    return {
      name: description?.partition.name ?? "",
      onFailure: description?.onFailure ?? "rescind",
      worker: worker === undefined ? null : { threadId: worker.threadId },
      restarts: description?.restarts?.done ?? 0,
      recovery: description?.recovery?.progress ?? null,
    };
  }

  /**
   * Ends every stream, wait and thread; recoveries that run are abandoned. The memory is freed with the last reference.
   * @returns when all threads have exited.
   */
  async close(): Promise<void> {
    if (this.#kernel.isClosed) return;
    this.#kernel.close();
    this.#reconciler?.stop();
    const ends: Promise<unknown>[] = [];
    for (const { recovery, restarts, thread } of this.#descriptions.values()) {
      restarts?.stop();
      recovery?.abandon();
      if (thread === undefined) continue;
      void thread.worker.terminate();
      ends.push(thread.exited);
    }
    for (const stream of this.#streams) stream.end();
    this.#kernel.wake(true);
    await Promise.all(ends);
  }

  /** As close(). */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
