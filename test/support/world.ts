/** Small tables for tests: everything that a test makes here is audited and closed when it ends. */
import { afterEach, expect } from "vitest";
import { TableMemory } from "../../src/binding.js";
import { type Hcalls, hcalls } from "../../src/hcall.js";
import {
  type Cookie,
  HcallError,
  type Partition,
  type PartitionEvent,
  ResourceTable,
  type TableOptions,
  type VirtualAdapter,
} from "../../src/index.js";
import { kernelOf } from "../../src/kernel.js";
import { H_PARTIAL, H_SUCCESS, PAGE_BYTES, TYPE_MEMORY } from "../../src/layout.js";
import { ManualClock } from "./clock.js";
import { patiently } from "./turns.js";

export const PAGE: number = PAGE_BYTES;
/** H_GRANT_LOGICAL's flags for memory without any restriction. */
export const SHARE: number = TYPE_MEMORY;

export interface World {
  readonly table: ResourceTable;
  readonly h: Hcalls;
  readonly clock: ManualClock;
}

/** A server and a client, joined by one adapter. */
export interface Pair extends World {
  readonly server: Partition;
  readonly client: Partition;
  readonly adapter: VirtualAdapter;
  /** The server's end, which names the client. */
  readonly unit: number;
  /** The client's end, which names the server. */
  readonly back: number;
}

export interface PairOptions extends Omit<TableOptions, "memory"> {
  readonly memory?: number;
  readonly serverPages?: number;
  readonly clientPages?: number;
  readonly lmbPages?: number;
  readonly quota?: number;
}

let tables: ResourceTable[] = [];

/** Numbers that no caller should pass: each one must be an answer, never a trap (G2). */
export const HOSTILE: readonly number[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  -PAGE,
  0.5,
  1.5,
  4096.5,
  2 ** 31,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 64,
  -(2 ** 31),
  -(2 ** 53),
  Number.MIN_VALUE,
  Number.MAX_VALUE,
];

/** Registers, for the whole file, that every table is sound after each test. */
export function auditedAfterEach(): void {
  afterEach(async () => {
    const made = tables;
    tables = [];
    const problems = made.map((table) => table.audit().problems);
    for (const table of made) await table.close();
    expect(problems).toEqual(made.map(() => []));
  });
}

export function openTable(options: Partial<TableOptions> = {}): World {
  const clock = new ManualClock();
  const table = ResourceTable.create({ memory: 64 * PAGE, clock, ...options });
  tables.push(table);
  return { table, h: hcalls(table), clock };
}

export function openPair(options: PairOptions = {}): Pair {
  const { serverPages = 16, clientPages = 4, lmbPages, quota, ...rest } = options;
  const world = openTable(rest);
  const lmb = lmbPages === undefined ? {} : { lmb: lmbPages * PAGE };
  const server = world.table.createPartition({ name: "server", memory: serverPages * PAGE, ...lmb });
  const client = world.table.createPartition({ name: "client", memory: clientPages * PAGE });
  const adapter = join(world, server, client, quota);
  return { ...world, server, client, adapter, unit: adapter.unitAddress, back: adapter.peer.unitAddress };
}

/** A row of partitions, each joined to the next: `units[i]` is the end by which partition i grants to i + 1. */
export function openRow(
  length: number,
  options: Partial<TableOptions> = {},
): World & { row: Partition[]; units: number[]; adapters: VirtualAdapter[] } {
  const world = openTable({ memory: Math.max(64, 4 * length) * PAGE, ...options });
  const row = Array.from({ length }, (_, index) =>
    world.table.createPartition({ name: `p${index}`, memory: 4 * PAGE }),
  );
  const adapters = row.slice(1).map((next, index) => join(world, at(row, index), next));
  return { ...world, row, adapters, units: adapters.map((adapter) => adapter.unitAddress) };
}

/** A thread that acts for a partition: a second core in this one. */
export function besides(table: ResourceTable, partition: Partition): TableMemory {
  const { memory, core } = kernelOf(table);
  expect(core.openThread(partition.lpid)).toBe(H_SUCCESS);
  return new TableMemory(memory.memory, memory.module, memory.result);
}

export function join(
  world: Pick<World, "table">,
  a: Partition,
  b: Partition,
  quota?: number,
): VirtualAdapter {
  return world.table.connect(a, b, quota === undefined ? {} : { grants: quota });
}

/** The element, which the test knows to be there. */
export function at<T>(list: readonly T[], index: number): T {
  const element = list.at(index);
  if (element === undefined) throw new Error(`no element ${index} in a list of ${list.length}`);
  return element;
}

/** The cookie of a grant that must succeed. */
export function granted(
  h: Hcalls,
  lpid: number,
  unit: number,
  address: number,
  length: number = PAGE,
  flags: number = SHARE,
  hi = 0,
): Cookie {
  expect(h.grantLogical(lpid, flags, hi, address, length, unit)).toBe(H_SUCCESS);
  return h.r4 as Cookie;
}

/** The address at which an accept that must succeed maps. */
export function accepted(h: Hcalls, lpid: number, cookie: number): number {
  expect(h.acceptLogical(lpid, cookie)).toBe(H_SUCCESS);
  return h.r4;
}

/** The cookie and the client's address of a page that is granted and accepted. */
export function shared(
  h: Hcalls,
  grantor: Partition,
  unit: number,
  grantee: Partition,
  address: number,
  length: number = PAGE,
  flags: number = SHARE,
): { cookie: Cookie; address: number } {
  const cookie = granted(h, grantor.lpid, unit, address, length, flags);
  return { cookie, address: accepted(h, grantee.lpid, cookie) };
}

/** G1: the call answers with `status`, and the table is what it was before. */
export function expectRefused(table: ResourceTable, status: number, call: () => number): void {
  const before = table.inspect();
  expect(call()).toBe(status);
  expect(table.inspect()).toEqual(before);
}

/** The status of a call of the object API: 0, or that of the HcallError that it threw. */
export function statusOf(call: () => unknown): number {
  try {
    call();
    return H_SUCCESS;
  } catch (error) {
    if (error instanceof HcallError) return error.status;
    throw error;
  }
}

/** Calls a forced rescind until it is done; the bounds that it answered on the way. */
export function rescindInSlices(h: Hcalls, lpid: number, cookie: number, between?: () => void): number[] {
  const bounds: number[] = [];
  while (true) {
    const status = h.rescindLogical(lpid, 1, cookie);
    if (status === H_SUCCESS) return bounds;
    expect(status).toBe(H_PARTIAL);
    bounds.push(h.r4);
    between?.();
  }
}

/** Lets everything run that waits for the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Collects what an endless iterable brings, until `stop`. */
export function listen<T>(make: (signal: AbortSignal) => AsyncIterable<T>): {
  readonly seen: T[];
  stop(): Promise<void>;
} {
  const controller = new AbortController();
  const seen: T[] = [];
  const listening = (async () => {
    try {
      for await (const element of make(controller.signal)) seen.push(element);
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    }
  })();
  return {
    seen,
    stop: async () => {
      await settle();
      controller.abort();
      await listening;
    },
  };
}

/** Bytes that are all the same, or count up from `first`. */
export function bytesOf(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (first + index) & 0xff);
}

/** Moves a page of the grantor to some other frame, by way of a view under a forced rescind (RS6). */
export async function displace(
  from: Partition,
  to: Partition,
  adapter: VirtualAdapter,
  address: number,
): Promise<void> {
  const cookie = await patiently(() => from.grant({ to: adapter, address, length: PAGE }));
  const mapping = await patiently(() => to.accept(cookie));
  const view = await patiently(() => to.view(mapping.address, PAGE));
  expect(await from.rescindForced(cookie)).toMatchObject({ pagesMoved: 1 });
  view.release();
  await patiently(() => mapping.return());
}

/** Takes all events of a partition. Answers how many of a type came, with those for which there was no room. */
export function countEvents(partition: Partition, type: PartitionEvent["type"]): number {
  let count = 0;
  for (let event = partition.takeEvent(); event !== undefined; event = partition.takeEvent()) {
    if (event.type === type) count++;
    else if (event.type === "events-lost") count += event.count ?? 0;
  }
  return count;
}
