/**
 * Running an untrusted WebAssembly module as a partition: the only imports that it gets are the calls of that partition, and
 * its end, however it comes, is the partition's failure.
 *
 * In the thread that owns the table a guest can do no harm but to take time: nothing stops one that does not return. Code that
 * may do that runs in a worker thread (`lpar/guest-worker`), which terminate() ends at any instant.
 */
import { nextTurn } from "./clock.js";
import { checkNames, LparError, refuseKind, textOf } from "./errors.js";
import {
  callsOf,
  GUEST_ABI,
  GUEST_FUNCTIONS,
  type GuestCalls,
  type ImportsOptions,
} from "./guest-imports.js";
import {
  checkImports,
  compileGuest,
  exportedFunctions,
  type GuestInstance,
  type GuestLimits,
  instantiate,
  isModule,
} from "./guest-module.js";
import { type Kernel, kernelOf } from "./kernel.js";
import type { Partition } from "./partition.js";

/** What a function of a guest takes and answers. */
export type GuestNumber = number | bigint;

/** How a guest is opened. */
export interface GuestOptions extends GuestLimits, ImportsOptions {}

/** How a guest is opened and run. */
export interface RunGuestOptions extends GuestOptions {
  /** The exported function to call; default "run". */
  readonly entry?: string | undefined;
  /** Arguments of the entry; none if left out. */
  readonly args?: readonly GuestNumber[] | undefined;
  /** What the return of the entry means for the partition: it fails (default), or it goes on running. */
  readonly onReturn?: "fail" | "keep" | undefined;
}

/** What a guest may import, by module and name, with the kind. */
function allowedImports(hasMemory: boolean): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const functions = GUEST_FUNCTIONS.map((name): [string, string] => [name, "function"]);
  if (!hasMemory) return new Map([[GUEST_ABI, new Map(functions)]]);
  const memory: [string, string] = ["memory", "memory"];
  return new Map([
    [GUEST_ABI, new Map([...functions, memory])],
    ["env", new Map([memory])],
  ]);
}

/** Why a guest ended. What it threw is its own, so that only what is surely text is taken. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? textOf(error, true) : "it threw an exception of its own";
}

/** A function was called that is none of the module's. */
function noExport(name: string, module: WebAssembly.Module): LparError {
  const names = exportedFunctions(module).join(", ") || "none";
  return new LparError("LPAR_GUEST_EXPORT", `the guest exports no function "${name}"; it exports ${names}`);
}

/** A module that runs as a partition. */
export class Guest {
  /** What it is. */
  readonly partition: Partition;
  readonly #kernel: Kernel;
  readonly #calls: GuestCalls;
  readonly #module: WebAssembly.Module;
  readonly #memory: WebAssembly.Memory | undefined;
  #instance: GuestInstance | undefined;

  /** @internal Made by openGuest(). */
  constructor(partition: Partition, module: WebAssembly.Module, options: ImportsOptions) {
    if (typeof partition?.imports !== "function") refuseKind("partition", partition, "Partition");
    this.partition = partition;
    this.#kernel = kernelOf(partition);
    this.#module = module;
    const imports = partition.imports(options.memory === undefined ? {} : { memory: options.memory });
    this.#calls = callsOf(imports);
    // A memory that does not fit is a mistake of the host; whatever else is thrown, the start function did.
    this.#instance = this.#contained(() => instantiate(module, imports));
    this.#memory = options.memory ?? this.#instance.memory;
    if (this.#memory !== undefined) this.#calls.bind(this.#memory);
  }

  /** Whether it can be called: it has not ended, and its incarnation of the partition runs. */
  get isRunning(): boolean {
    return !this.#calls.isOver && this.#calls.isCurrent;
  }

  /** The memory that its pointers point into, for a host that looks at it: all that is in there is the guest's word. */
  get memory(): WebAssembly.Memory | undefined {
    return this.#memory;
  }

  /**
   * Calls an exported function. A trap, an exception and a stack overflow are the end of the guest, and so is a parameter of
   * another type than the function's.
   * @returns its result; undefined for a function that has none, several, or one that is no number.
   * @throws LparError LPAR_GUEST_FAILED with the cause, after which the partition has failed (in a worker: must end the
   * thread, whose exit is the failure); LPAR_GUEST_ENDED; LPAR_GUEST_EXPORT if there is no such function.
   */
  call(name: string, ...args: readonly GuestNumber[]): GuestNumber | undefined {
    if (!this.isRunning)
      throw new LparError("LPAR_GUEST_ENDED", `the guest of partition "${this.partition.name}" has ended`);
    const called = this.#instance?.function(name);
    if (called === undefined) throw noExport(name, this.#module);
    const result = this.#contained(() => called(...args));
    return typeof result === "number" || typeof result === "bigint" ? result : undefined;
  }

  /**
   * Ends the guest: its calls have no power from now on, and the partition fails with the reason (in a worker: when the thread
   * exits). Does nothing if it has ended.
   */
  end(reason: string = "its guest was ended"): void {
    if (this.#calls.isOver) return;
    this.#calls.end();
    this.#instance = undefined;
    this.#fail(reason);
  }

  /** Runs code of the guest; what it throws ends it. */
  #contained<T>(run: () => T): T {
    let cause: unknown;
    try {
      const result = run();
      if (!this.#calls.isOver) return result;
      // It has caught what ended it.
      cause = new Error("an import could not be carried out");
    } catch (error) {
      if (error instanceof LparError && !this.#calls.isOver) throw error;
      cause = error;
    }
    const reason = reasonOf(cause);
    this.#calls.end();
    this.#instance = undefined;
    this.#fail(reason);
    const failed = new LparError(
      "LPAR_GUEST_FAILED",
      `the guest of partition "${this.partition.name}" ended: ${reason}`,
    );
    failed.cause = cause;
    throw failed;
  }

  #fail(reason: string): void {
    const { failPartition } = this.#kernel;
    // A later incarnation is not this guest's.
    if (failPartition === undefined || !this.#calls.isCurrent) return;
    try {
      failPartition(this.partition.lpid, reason);
    } catch {
      // Another thread has the table locked. The guest has no power any more, so that its failure may come a moment later.
      if (!this.#kernel.isClosed) void nextTurn(1).then(() => this.#fail(reason));
    }
  }
}

/**
 * Makes an untrusted module a partition, to be called as its host likes. Its start function runs; the memory that it exports as
 * "memory" is bound.
 * @param code bytes, or what compileGuest() made of them. Of a module that was compiled otherwise nobody has limited the memory.
 * @throws LparError LPAR_GUEST_INVALID, LPAR_GUEST_LIMIT, LPAR_GUEST_IMPORTS before anything of it runs, LPAR_GUEST_FAILED when
 * its start function fails; RangeError for a limit that is none; TypeError if `code` is neither, or for what is no partition. In a
 * partition that does not run the guest has ended when this returns, and in one that was destroyed it is refused (H_RESCINDED).
 */
export function openGuest(
  partition: Partition,
  code: Uint8Array | ArrayBuffer | WebAssembly.Module,
  options: GuestOptions = {},
): Guest {
  checkNames(options, "maxPages, memory");
  return new Guest(partition, examine(code, options), options);
}

function examine(
  code: Uint8Array | ArrayBuffer | WebAssembly.Module,
  { maxPages, memory }: GuestOptions,
): WebAssembly.Module {
  const module = isModule(code) ? code : compileGuest(code, maxPages === undefined ? {} : { maxPages });
  checkImports(module, allowedImports(memory !== undefined));
  return module;
}

/**
 * Runs an untrusted module as a partition: opens it and calls its entry, whose return is the partition's end, too, unless
 * `onReturn` says otherwise.
 * @returns what the entry returned.
 * @throws as openGuest() and guest.call(); LPAR_GUEST_EXPORT before anything of it runs.
 */
export function runGuest(
  partition: Partition,
  code: Uint8Array | ArrayBuffer | WebAssembly.Module,
  options: RunGuestOptions = {},
): GuestNumber | undefined {
  checkNames(options, "maxPages, memory, entry, args, onReturn");
  const { entry = "run", args = [], onReturn = "fail" } = options;
  if (onReturn !== "fail" && onReturn !== "keep")
    throw new RangeError(`onReturn is "${textOf(onReturn)}"; it must be "fail" or "keep"`);
  const module = examine(code, options);
  if (!exportedFunctions(module).includes(entry)) throw noExport(entry, module);
  const guest = new Guest(partition, module, options);
  const result = guest.call(entry, ...args);
  if (onReturn === "fail") guest.end(`its guest's ${entry}() returned`);
  return result;
}
