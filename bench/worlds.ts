/** Tables for the suites on grants, and what their scenarios share. */
import type { Core, TableMemory } from "../src/binding.js";
import { type Hcalls, hcalls } from "../src/hcall.js";
import { type Partition, ResourceTable, type VirtualAdapter } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_SUCCESS, PAGE_BYTES } from "../src/layout.js";
import type { RawCalls } from "./map-table.js";

/** @throws Error unless the status is H_SUCCESS: what a benchmark does must succeed. */
export function must(status: number): void {
  if (status !== H_SUCCESS) throw new Error(`a hypercall that must succeed answered ${status}`);
}

/** The module of a thread that only is there. */
export const IDLE: URL = new URL("./idle-worker.js", import.meta.url);

/** What one scenario needs and no more, so that the tables of several fit the address space. */
export interface WorldOptions {
  /** Of the server's memory, in one LMB. */
  readonly serverPages: number;
  /** Control structures at once. */
  readonly grants: number;
  /** Logical pages of each partition. */
  readonly spacePages: number;
  readonly partitions: number;
  readonly stagingPages?: number;
  /** Another core than the package's own. */
  readonly module?: WebAssembly.Module;
}

/** A server whose pages are granted, and its clients. */
export interface World {
  readonly table: ResourceTable;
  readonly h: Hcalls;
  readonly server: Partition;
  readonly clients: readonly Partition[];
}

export function openWorld(options: WorldOptions): World {
  const { serverPages, grants, spacePages, partitions, stagingPages = 1, module } = options;
  const table = ResourceTable.create({
    memory: serverPages * PAGE_BYTES,
    partitions,
    adapters: partitions,
    grants,
    logicalSpace: spacePages * PAGE_BYTES,
    spaces: { mmio: PAGE_BYTES, dma: PAGE_BYTES, interrupt: 1, ipi: 1 },
    staging: stagingPages * PAGE_BYTES,
    gracePeriodMs: 0,
    ...(module === undefined ? {} : { module }),
  });
  const server = table.createPartition({ name: "server", memory: serverPages * PAGE_BYTES });
  const clients = Array.from({ length: partitions - 1 }, (_, index) =>
    table.createPartition({ name: `client ${index}` }),
  );
  return { table, h: hcalls(table), server, clients };
}

/**
 * The same calls from other places in the code than Hcalls': for what prepares and checks contenders that do not make them. The engine
 * writes a call into the loop only where it has never seen it go to the core of a second table.
 */
export class PlainCalls implements RawCalls {
  readonly #core: Core;
  readonly #memory: TableMemory;

  constructor({ table }: World) {
    const { core, memory } = kernelOf(table);
    this.#core = core;
    this.#memory = memory;
  }

  get r4(): number {
    return this.#memory.result;
  }

  grantLogical(lpid: number, flags: number, hi: number, lo: number, length: number, unit: number): number {
    return this.#core.grantLogical(lpid, flags, hi, lo, length, unit);
  }

  acceptLogical(lpid: number, cookie: number): number {
    return this.#core.acceptLogical(lpid, cookie);
  }

  returnLogical(lpid: number, cookie: number): number {
    return this.#core.returnLogical(lpid, cookie);
  }

  rescindLogical(lpid: number, flags: number, cookie: number): number {
    return this.#core.rescindLogical(lpid, flags, cookie);
  }

  translate(lpid: number, type: number, address: number, length: number, need: number): number {
    return this.#core.translate(lpid, type, address, length, need);
  }
}

/** The first of several clients, of which there is one at least. */
export function clientOf({ clients }: World, index = 0): Partition {
  const client = clients[index];
  if (client === undefined) throw new Error(`no client ${index}`);
  return client;
}

/** Adapters from the world's server to each of its clients. */
export function joinAll({ table, server, clients }: World): readonly VirtualAdapter[] {
  return clients.map((client) => table.connect(server, client));
}

/** An adapter from the world's server to its first client. */
export function joinFirst(world: World): VirtualAdapter {
  return world.table.connect(world.server, clientOf(world));
}
