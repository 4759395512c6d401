/**
 * The partition manager: owns the physical memory and every table; creates, fails, recovers and restarts partitions.
 */
import type { Worker } from "node:worker_threads";
import { VirtualAdapter } from "./adapter.js";
import { type AuditReport, auditTable } from "./audit.js";
import { TableMemory } from "./binding.js";
import { type Clock, systemClock } from "./clock.js";
import { type DeduplicationReport, deduplicate } from "./deduplicate.js";
import { describeTable, showAs } from "./describe.js";
import { FAILURE, type PartitionMessage, RECOVERY, RESTART } from "./diagnostics.js";
import {
  checkBytes,
  checkInteger,
  checkName,
  checkNames,
  isBusy,
  LparError,
  refuseKind,
  textOf,
} from "./errors.js";
import { Group, type GroupOptions } from "./group.js";
import { History, type HistoryEntry } from "./history.js";
import { raiseInterrupt } from "./interrupts.js";
import { Kernel, refuse, setKernel } from "./kernel.js";
import {
  END_PARTNER,
  H_LONG_BUSY_10_MSEC,
  H_PARTIAL,
  H_RESOURCE,
  HEADER_SPACE_PAGES,
  HEADER_STRUCTURES_MAX,
  PAGE_BYTES,
  STRUCTURES_LIMIT,
} from "./layout.js";
import { type CompactionReport, compact } from "./migration.js";
import {
  checkLmb,
  openMemory,
  type PartitionOptions,
  type ResourceOptions,
  type TableOptions,
} from "./options.js";
import { endPartition, Partition } from "./partition.js";
import { type ReconcileOptions, Reconciler } from "./reconciler.js";
import { codeOfType, type ResourceType, spaceOfType, unitAddress, unitOf, unitWord } from "./records.js";
import { Recovery } from "./recovery.js";
import { limitDetail, roomDetail } from "./refusals.js";
import { inspectTable, partnersOf, type SnapshotHost, type TableSnapshot } from "./snapshot.js";
import { type PartitionWorker, type SpawnOptions, Spawns, type Threaded } from "./spawn.js";
import { checkWait, Stream, unlessAborted, type WaitOptions } from "./stream.js";
import type { TableEvent } from "./table-event.js";

/** What one partition is made of, for its restart. */
interface Description extends Threaded {
  readonly resources: ResourceOptions[];
  /** What a restart that found the table locked has still to assign. */
  unassigned: ResourceOptions[];
  readonly onFailure: "rescind" | "defer";
  recovery: Recovery | undefined;
  /** Whether it is being destroyed: it does not start again. */
  isEnding: boolean;
}

/** How a partition fails. */
interface Failure {
  readonly reason?: string | undefined;
  /** Without a grace period, and not as a failure for its partners. */
  readonly isOrderly?: boolean;
  /** Of a thread that has exited already: its views are on record. */
  readonly ended?: Promise<unknown> | undefined;
  /** Nobody is told of an incarnation whose start was never told. */
  readonly isSilent?: boolean;
  /** Whether its thread is ended also if others have the table locked; default true. */
  readonly isSure?: boolean;
}

/** How many control structures an elemental resource takes: interrupt sources and ports one each. */
function structuresOf({ type, length }: ResourceOptions): number {
  return unitOf(spaceOfType(type)) === 1 ? length : 1;
}

function isFailing({ state }: Partition): boolean {
  return state === "failed" || state === "recovering";
}

/** Events kept for the first who asks for them. */
const BACKLOG = 1024;

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
  readonly #spawns: Spawns<Description>;
  /** Of the threads that there were at close(). */
  readonly #exits: Promise<unknown>[] = [];

  private constructor(memory: TableMemory, clock: Clock, gracePeriodMs: number, debug: boolean) {
    // JavaScript knows of no private constructor.
    if (!(memory instanceof TableMemory)) throw new TypeError("a table is made by ResourceTable.create()");
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
    this.#spawns = new Spawns(this.#kernel, {
      all: () => this.#descriptions.values(),
      has: (one) => this.#descriptions.get(one.partition.lpid) === one,
      begin: (one, reason, ended) => this.#begin(one, { reason, ended }),
      recovered: (one) => this.#recovered(one),
      restart: (one) => this.#restart(one, false),
      givenUp: ({ partition }, reason) => this.#emit("partition-given-up", partition.lpid, reason),
    });
  }

  /**
   * Sizes and allocates everything.
   * @throws RangeError for options out of range, naming the option, the value and its bounds.
   */
  static create(options: TableOptions): ResourceTable {
    // What is no object is refused by openMemory().
    const { clock = systemClock, debug = false, gracePeriodMs: grace = 2000 } = options ?? {};
    if (typeof clock?.now !== "function" || typeof clock.setTimeout !== "function")
      refuseKind("clock", clock, "Clock");
    if (typeof grace !== "number" || !(grace >= 0 && grace <= 2 ** 31 - 1)) {
      throw new RangeError(`gracePeriodMs is ${textOf(grace)}; it must be from 0 to ${2 ** 31 - 1}`);
    }
    if (typeof debug !== "boolean")
      throw new RangeError(`debug is ${textOf(debug)}; it must be true or false`);
    return new ResourceTable(openMemory(options), clock, grace, debug);
  }

  #describe(partition: Partition): Description {
    if (!(partition instanceof Partition)) refuseKind("partition", partition, "Partition");
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
    checkNames(options, "name, memory, lmb, onFailure");
    const { name, memory = 0, onFailure = "rescind" } = options;
    checkName(name);
    if (onFailure !== "rescind" && onFailure !== "defer") {
      throw new RangeError(`onFailure is "${textOf(onFailure)}"; it must be "rescind" or "defer"`);
    }
    const most = this.#kernel.memory.header(HEADER_SPACE_PAGES) * PAGE_BYTES;
    checkBytes("memory", memory, 0, most, PAGE_BYTES);
    const { lmb = Math.max(memory, PAGE_BYTES) } = options;
    if (options.lmb !== undefined) checkLmb(lmb, memory);
    const status = this.#kernel.core.createPartition(memory / PAGE_BYTES, lmb / PAGE_BYTES);
    const room = roomDetail(this.#kernel.memory, status, memory / PAGE_BYTES);
    this.#kernel.settle("createPartition", status, `"${name}", ${memory} bytes in LMBs of ${lmb}${room}`);
    // As an integer: the engine would keep what it has loaded as a double as one, and calls take it as an integer.
    const partition = new Partition(this.#kernel, this.#kernel.memory.result >>> 0, name);
    this.#descriptions.set(partition.lpid, {
      partition,
      resources: [],
      unassigned: [],
      onFailure,
      recovery: undefined,
      isEnding: false,
      thread: undefined,
      restarts: undefined,
    });
    this.#record("partition-created", partition.lpid);
    return partition;
  }

  /**
   * A virtual adapter between two partitions, seen from `a` (CQ1).
   * @param options grants: each end's quota of control structures; default all that the table has.
   * @throws HcallError H_NO_MEM when the table's adapters are used up; H_RESCINDED when one of the two does not run; H_PARAMETER for
   * one and the same; RangeError for a quota that is none.
   */
  connect(
    a: Partition,
    b: Partition,
    options: { readonly grants?: number | undefined } = {},
  ): VirtualAdapter {
    this.#kernel.checkOpen();
    this.#describe(a);
    this.#describe(b);
    checkNames(options, "grants");
    const { core, memory } = this.#kernel;
    const { grants: quota = memory.header(HEADER_STRUCTURES_MAX) } = options;
    checkInteger("grants", quota, 1, STRUCTURES_LIMIT);
    const status = core.connectPartitions(a.lpid, b.lpid, quota);
    this.#kernel.settle("connect", status, `"${a.name}" to "${b.name}"${limitDetail(status, "adapters")}`);
    const unit = memory.result >>> 0; // as an integer, too
    const far = unitWord(memory, unit, END_PARTNER);
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
    checkNames(resource, "physical, address, length, type, liobn");
    if ((resource.type as ResourceType) === "memory") {
      throw new RangeError('type is "memory"; memory is assigned by createPartition()');
    }
    description.resources.push(this.#assign(partition, resource));
  }

  /** Answers a copy, for restarts: of what the object's class has, too. */
  #assign(partition: Partition, resource: ResourceOptions): ResourceOptions {
    const { type, address, length, physical = address, liobn = 0 } = resource;
    const code = codeOfType(type);
    const status = this.#kernel.core.assignResource(partition.lpid, code, address, length, physical, liobn);
    const unit = unitOf(spaceOfType(type)) === 1 ? "" : " bytes";
    this.#kernel.settle("assign", status, `${type} at ${address}, ${length}${unit}, physical ${physical}`);
    return { type, address, length, physical, liobn };
  }

  /**
   * The interrupt source that `partition` has at `address` fires (KI3): it, and whoever else has the source, gets an event.
   * @throws HcallError as Partition.raise().
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
   * @returns when the thread runs; its module is loaded after that, and one that cannot be found, or throws, is a failure, too, whose reason
   * events() tells: it names the module, and who imports it.
   * @throws LparError LPAR_HAS_THREAD if it has one, LPAR_UNSUPPORTED if TableOptions.threads is 0; HcallError H_PARAMETER if it
   * does not run, H_NO_MEM when those threads are used up; what the worker threw, if it ends before it runs; TypeError for what is
   * no URL.
   */
  async spawn(partition: Partition, url: URL, options: SpawnOptions = {}): Promise<PartitionWorker> {
    this.#kernel.checkOpen();
    return this.#spawns.spawn(this.#describe(partition), url, options);
  }

  /**
   * Makes an existing worker a partition's thread, as a pool needs it: there `currentPartition()` of `lpar/worker` waits
   * for this. The worker's exit is the failure of the partition.
   * @throws LparError LPAR_HAS_THREAD if the partition has one, LPAR_HAS_PARTITION if the worker is one of any table,
   * LPAR_THREAD_ENDED if it has exited, LPAR_UNSUPPORTED and HcallError as spawn(); TypeError for what is no worker.
   */
  attach(partition: Partition, worker: Worker): void {
    this.#kernel.checkOpen();
    this.#spawns.attach(this.#describe(partition), worker);
  }

  /**
   * Declares a partition failed now; what follows is FA1 to FA8. Does nothing if it does not run. Its partners have been told when
   * this returns, unless there are more adapters than one slice is for (128): then the others are told in the next turns, and nothing is
   * taken from anybody before. The first slice of the recovery is done, too, unless the partition is a thread: that is ended first.
   * If the table is locked, and that thread in the middle of a call, the failure begins with its exit. What an exception of the stack has stopped half-way goes on when
   * it is called again.
   * @throws HcallError H_LongBusyOrder10msec if another thread has the table locked.
   */
  fail(partition: Partition, reason?: string): void {
    this.#kernel.checkOpen();
    // Whoever catches an error gives that: snapshots have texts alone.
    const text = reason === undefined ? reason : textOf(reason, true);
    this.#begin(this.#describe(partition), { reason: text, isSure: false });
  }

  #begin(description: Description, failure: Failure): void {
    const { partition, thread } = description;
    const { ended, isSilent = false, isSure = true } = failure;
    let { reason, isOrderly = false } = failure;
    // Failed, and not being recovered: the stack was full in the middle of this.
    const isLeft = isFailing(partition) && description.recovery === undefined;
    if (partition.state !== "running" && !isLeft) return;
    const { core, memory } = this.#kernel;
    if (thread?.doom !== undefined) {
      thread.doom.isOrderly ||= isOrderly;
      ({ isOrderly, reason } = thread.doom);
    }
    const partners = partnersOf(memory, partition.lpid);
    const status = core.failPartition(partition.lpid, isOrderly ? 1 : 0);
    const isLocked = status === H_LONG_BUSY_10_MSEC;
    if (isLocked && thread !== undefined && ended === undefined && (isSure || memory.isInCall(thread.slot))) {
      // It may be what keeps the locks for ever. Its exit gives them back, and is its failure (FA5).
      thread.doom ??= { isOrderly, reason };
      void thread.worker.terminate();
      return;
    }
    // What was left may have been told to all already.
    if (!isLeft || status !== H_RESOURCE) this.#kernel.settle("fail", status);
    const owesGrace = (isLeft || memory.result === 1) && !isOrderly;
    const grace = description.onFailure === "defer" ? "defer" : this.#gracePeriodMs;
    const recovery = new Recovery(this.#kernel, partition.lpid, {
      begun: () => {
        if (FAILURE.hasSubscribers && !isSilent) FAILURE.publish(this.#message(partition, reason));
      },
      told: (isGrace) => {
        if (partners.length > 0) this.#record("partners-told", partition.lpid, "", partners);
        if (isGrace) this.#record("grace-begun", partition.lpid, grace === "defer" ? grace : `${grace} ms`);
      },
      graceOver: () => this.#record("grace-over", partition.lpid),
      stopped: () => {
        description.recovery = undefined;
        if (isSilent) return;
        this.#emit("partition-recovered", partition.lpid);
        if (RECOVERY.hasSubscribers) RECOVERY.publish(this.#message(partition));
      },
    });
    if (!isSilent) this.#emit("partition-failed", partition.lpid, reason);
    // Death is the exit of the thread, not the end of terminate(): until then nothing may be assumed of it.
    if (thread !== undefined) void thread.worker.terminate();
    description.recovery = recovery;
    try {
      recovery.start(owesGrace ? grace : 0, status !== H_PARTIAL, ended ?? thread?.exited);
    } catch (error) {
      description.recovery = undefined;
      recovery.abandon();
      throw error;
    }
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
   * @throws LparError LPAR_CLOSED if the table is closed before that; LPAR_NOT_FOUND of a partition that was destroyed; the reason of `signal`.
   */
  async recovered(partition: Partition, options: WaitOptions = {}): Promise<void> {
    checkWait(options);
    await this.#recovered(this.#describe(partition), options);
  }

  async #recovered(description: Description, options: WaitOptions = {}): Promise<void> {
    const { thread } = description;
    // It has exited, or must: the failure of the partition begins then.
    if (thread?.worker.threadId === -1 || thread?.doom !== undefined)
      await unlessAborted(thread.ended, options.signal);
    await description.recovery?.wait(options);
  }

  /**
   * Starts a recovered partition again from its description: a new incarnation, without adapters (FA8, G4), and without a thread:
   * the restart policy and the signal of an earlier spawn() have no power any more.
   * @throws HcallError H_RESOURCE until its recovery is complete, whatever that waits for; H_NO_MEM if its memory, or the control
   * structures for what it was assigned, were given to others: then it is stopped, as before. Where other threads took them in the
   * middle of this it is stopped when recovered() says so, and its incarnation is used up. H_RESOURCE while it is being destroyed;
   * H_LongBusyOrder10msec if another thread has the table locked: call again, also if the partition runs already.
   */
  restart(partition: Partition): void {
    this.#kernel.checkOpen();
    this.#restart(this.#describe(partition), true);
  }

  /** @param isByHand whether somebody else than the restart policy of a spawn says so: then that has no say any more. */
  #restart(description: Description, isByHand: boolean): void {
    const { partition } = description;
    if (description.isEnding) refuse("restart", H_RESOURCE, `"${partition.name}" is being destroyed`);
    if (description.unassigned.length === 0 || partition.state !== "running") {
      const { resources } = description;
      const structures = resources.reduce((sum, resource) => sum + structuresOf(resource), 0);
      const status = this.#kernel.core.restartPartition(partition.lpid, structures);
      this.#kernel.settle("restart", status, `"${partition.name}" is ${partition.state}`);
      description.unassigned = [...resources];
    }
    try {
      for (const { unassigned } = description; unassigned[0] !== undefined; unassigned.shift())
        this.#assign(partition, unassigned[0]);
    } catch (error) {
      // With all that its description says, or not at all; a lock is waited for in between.
      if (!isBusy(error)) this.#begin(description, { isOrderly: true, isSilent: true });
      throw error;
    }
    if (isByHand) description.restarts?.stop();
    this.#emit("partition-restarted", partition.lpid);
    if (RESTART.hasSubscribers) RESTART.publish(this.#message(partition));
  }

  #message(partition: Partition, reason?: string): PartitionMessage {
    return { table: this, partition, incarnation: partition.incarnation, reason };
  }

  /**
   * Ends a partition for good; its partners are told, its grants are rescinded without a grace period. From now on it cannot be
   * restarted.
   * @throws LparError LPAR_CLOSED if the table is closed before that; LPAR_NOT_FOUND of a partition that was destroyed.
   */
  async destroyPartition(partition: Partition): Promise<void> {
    this.#kernel.checkOpen();
    const description = this.#describe(partition);
    description.isEnding = true;
    description.restarts?.stop();
    await this.#kernel.patiently(() => this.#begin(description, { isOrderly: true }));
    if (description.thread?.doom !== undefined) await description.thread.ended;
    // Whoever waited for its recovery before hears of that first.
    const recovered = (async () => await this.#recovered(description))();
    description.recovery?.endGrace();
    await recovered;
    await this.#kernel.patiently(() => {
      // Somebody else may have waited for the same end.
      if (this.#descriptions.get(partition.lpid) !== description) return;
      this.#kernel.settle("destroyPartition", this.#kernel.core.removePartition(partition.lpid));
      // While it still has a name.
      this.#emit("partition-destroyed", partition.lpid);
      this.#descriptions.delete(partition.lpid);
      endPartition(partition);
    });
  }

  #emit(type: TableEvent["type"] & HistoryEntry["type"], lpid: number, reason?: string): void {
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

  /**
   * Table-wide events, oldest first. Where there is no other stream it begins with what nobody has seen: up to 1024 that came while
   * there was none, and what the last stream had kept when its reader left it, or its signal aborted. A stream keeps 16,384 that nobody
   * reads, and tells how many it did not keep by "events-lost".
   */
  events(options: WaitOptions = {}): AsyncIterableIterator<TableEvent> {
    this.#kernel.checkOpen();
    const stream = new Stream<TableEvent>(options, {
      closed: (ended) => this.#streams.delete(ended),
      unread: (events) => {
        if (this.#streams.size === 1) this.#backlog = events;
      },
      lost: (count) => ({ type: "events-lost", lpid: 0, at: this.#kernel.clock.now(), count }),
    });
    if (stream.hasEnded) return stream;
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
  async deduplicate(options: WaitOptions = {}): Promise<DeduplicationReport> {
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
    checkNames(options, "grants");
    const found = this.#groups.get(name);
    if (found !== undefined) return found;
    checkName(name);
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
   * @returns when all threads have exited, also if it is called again meanwhile.
   */
  async close(): Promise<void> {
    if (!this.#kernel.isClosed) this.#close();
    await Promise.all(this.#exits);
  }

  #close(): void {
    this.#kernel.close();
    this.#reconciler?.stop();
    for (const { recovery, restarts, thread } of this.#descriptions.values()) {
      restarts?.stop();
      recovery?.abandon();
      if (thread === undefined) continue;
      void thread.worker.terminate();
      this.#exits.push(thread.exited);
    }
    for (const stream of this.#streams) stream.end();
    this.#kernel.wake(true);
  }

  /** As close(). */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
