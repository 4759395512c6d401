/** What tables, partitions and resources are made from: options, their bounds, and the memory that follows. */
import { createMemory, type TableMemory } from "./binding.js";
import type { Clock } from "./clock.js";
import { checkBytes, checkInteger, checkNames, textOf } from "./errors.js";
import {
  ENDS_LIMIT,
  FRAMES_LIMIT,
  HEADER_QUARANTINE_MAX,
  PAGE_BYTES,
  PARTITIONS_LIMIT,
  SPACE_PAGES_LIMIT,
  STRUCTURES_LIMIT,
  THREADS_LIMIT,
} from "./layout.js";
import type { ResourceType } from "./records.js";

/** What a table is sized for. Everything is allocated at creation; nothing grows later. */
export interface TableOptions {
  /** Physical memory in bytes, a multiple of 4096, up to 4 GiB less the tables. */
  readonly memory: number;
  /** Partitions that can exist at once, 1 to 4096. Default 64. */
  readonly partitions?: number | undefined;
  /** Control structures (LMBs and grants) that can exist at once, 1 to 2^24 - 1. Default 65536. */
  readonly grants?: number | undefined;
  /** Bytes of each partition's logical memory space, a multiple of 4096. Default: twice `memory`. */
  readonly logicalSpace?: number | undefined;
  /** Sizes of each partition's other logical spaces: MMIO and DMA in bytes, interrupts and ports in numbers.
   *  Defaults: 16 MiB, 16 MiB, 1024, 256. */
  readonly spaces?:
    | {
        /** Bytes, a multiple of 4096. */
        readonly mmio?: number | undefined;
        /** Bytes, a multiple of 4096. */
        readonly dma?: number | undefined;
        /** Interrupt sources. */
        readonly interrupt?: number | undefined;
        /** Interprocessor-interrupt ports. */
        readonly ipi?: number | undefined;
      }
    | undefined;
  /** Virtual adapters that can exist at once, 1 to 32767. Default: one for each pair, but at most 32 per partition. */
  readonly adapters?: number | undefined;
  /**
   * Worker threads that can be partitions at once, 0 to 1022. Default: one for each partition, but at most 255. With 0 the memory is an
   * ordinary ArrayBuffer, not a shared one: views may be given to whatever refuses shared memory (TextDecoder, Web Crypto, fetch ...), a
   * browser's page needs no cross-origin isolation, and reads and writes of 1 to 16 KiB take half of the time, on Node 20 a third.
   */
  readonly threads?: number | undefined;
  /** Zero-copy views that can exist at once, 1 to 2^20. Default 4096. */
  readonly views?: number | undefined;
  /** Bytes in which batches live, a multiple of 4096. Default 4 MiB. */
  readonly staging?: number | undefined;
  /**
   * Bytes of physical memory, a multiple of 4096 from 0 to `memory`, that forced rescinds may leave with views that cannot be
   * taken away (RS6). Default: `memory`.
   */
  readonly quarantine?: number | undefined;
  /** Milliseconds between the notice of a server's failure and forced recovery. Default 2000 (FA2). */
  readonly gracePeriodMs?: number | undefined;
  /** Monotonic milliseconds and timers; replace it to test time (G7). */
  readonly clock?: Clock | undefined;
  /**
   * Warn of views that are dropped without release(): when one has been garbage collected, `process.emitWarning` names where it
   * was taken. It stays pinned all the same. Costs a stack trace for each view. Default false.
   */
  readonly debug?: boolean | undefined;
  /** `lpar/core.wasm` compiled earlier, to skip compilation; not with `threads: 0`, since its memory is shared. */
  readonly module?: WebAssembly.Module | undefined;
}

/** A partition's description: what it starts from, again and again (FA8). */
export interface PartitionOptions {
  /** For people: in errors, events and snapshots. Need not be unique. */
  readonly name: string;
  /** Bytes of physical memory assigned as LMBs, mapped from logical address 0. Default 0. */
  readonly memory?: number | undefined;
  /** Bytes of one LMB, a power of two >= 4096: a grant never spans two (GR3). Default: all of `memory` in one. */
  readonly lmb?: number | undefined;
  /**
   * What happens to its accepted grants when it fails (FA7): "rescind", the default, takes them by force after the grace
   * period; "defer" lets those who have them go on until they return them, and recovers the partition then.
   */
  readonly onFailure?: "rescind" | "defer" | undefined;
}

/** A resource of another kind than memory, as the manager assigns it. */
export interface ResourceOptions {
  /** Its kind; memory comes with the partition (PartitionOptions.memory). */
  readonly type: Exclude<ResourceType, "memory">;
  /** Where it stands in the partition's space of that kind: bytes, a multiple of 4096, or a number (KI3, KI5). */
  readonly address: number;
  /** In the unit of the address. */
  readonly length: number;
  /** Physical address or number; default `address`. */
  readonly physical?: number | undefined;
  /** Logical I/O bus number of a DMA window pane; default 0. */
  readonly liobn?: number | undefined;
}

/** Options of which none is left out. */
export type Complete<Options> = { readonly [Name in keyof Options]-?: Exclude<Options[Name], undefined> };

function defaultAdapters(partitions: number): number {
  const pairs = (partitions * (partitions - 1)) / 2;
  return Math.max(1, Math.min(pairs, partitions * 32, (ENDS_LIMIT - 1) / 2));
}

/** The memory of a new table. @throws RangeError for options that are unknown or out of range, naming the option, the value and its bounds. */
export function openMemory(options: TableOptions): TableMemory {
  checkNames(
    options,
    "memory, partitions, grants, logicalSpace, spaces, adapters, threads, views, staging, quarantine, gracePeriodMs, clock, debug, module",
  );
  // A default stands in for what is left out or undefined: null is a mistake like any other.
  const { memory, spaces = {}, views = 4096, staging = 2 ** 22, module } = options;
  checkNames(spaces, "mmio, interrupt, dma, ipi");
  const spaceBytes = SPACE_PAGES_LIMIT * PAGE_BYTES;
  checkBytes("memory", memory, PAGE_BYTES, (FRAMES_LIMIT - 1) * PAGE_BYTES, PAGE_BYTES);
  const { partitions = 64, grants = 65536, logicalSpace = memory * 2, quarantine = memory } = options;
  checkInteger("partitions", partitions, 1, PARTITIONS_LIMIT);
  checkInteger("grants", grants, 1, STRUCTURES_LIMIT);
  const { adapters = defaultAdapters(partitions), threads = Math.min(partitions, 255) } = options;
  checkInteger("adapters", adapters, 1, Math.floor((ENDS_LIMIT - 1) / 2));
  checkInteger("threads", threads, 0, THREADS_LIMIT - 1);
  if (threads === 0 && module !== undefined) throw new RangeError("module is given, with threads: 0");
  checkInteger("views", views, 1, 2 ** 20);
  checkBytes("staging", staging, PAGE_BYTES, 2 ** 31, PAGE_BYTES);
  const { mmio = 2 ** 24, dma = 2 ** 24, interrupt = 1024, ipi = 256 } = spaces;
  const spacePages = [
    checkBytes("logicalSpace", logicalSpace, PAGE_BYTES, spaceBytes, PAGE_BYTES) / PAGE_BYTES,
    checkBytes("spaces.mmio", mmio, PAGE_BYTES, spaceBytes, PAGE_BYTES) / PAGE_BYTES,
    checkInteger("spaces.interrupt", interrupt, 1, SPACE_PAGES_LIMIT),
    checkBytes("spaces.dma", dma, PAGE_BYTES, spaceBytes, PAGE_BYTES) / PAGE_BYTES,
    checkInteger("spaces.ipi", ipi, 1, SPACE_PAGES_LIMIT),
  ];
  const capacities = {
    frames: memory / PAGE_BYTES,
    partitions,
    threads: threads + 1,
    structures: grants,
    ends: adapters * 2,
    pins: views,
    stagingPages: staging / PAGE_BYTES,
    spacePages,
  };
  checkBytes("quarantine", quarantine, 0, memory, PAGE_BYTES);
  const table = createMemory(capacities, module);
  table.words[HEADER_QUARANTINE_MAX / 4] = quarantine / PAGE_BYTES;
  return table;
}

/** The bytes of one LMB, where they are given. @throws RangeError naming the value and what is allowed. */
export function checkLmb(lmb: number, memory: number): void {
  const isPowerOfTwo = Number.isInteger(lmb) && Number.isInteger(Math.log2(lmb));
  if (!isPowerOfTwo || lmb < PAGE_BYTES || lmb > FRAMES_LIMIT * PAGE_BYTES) {
    throw new RangeError(`lmb is ${textOf(lmb)}; it must be a power of two from ${PAGE_BYTES} to 2^32`);
  }
  if (memory % lmb !== 0) {
    throw new RangeError(`memory is ${memory}; it must be a multiple of the LMB size ${lmb}`);
  }
}
