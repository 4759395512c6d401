/**
 * The cycle of a grant: of many grants that live, one is returned, rescinded, made again and accepted. Through objects and
 * by raw hypercalls; in any thread.
 */
import type { Mapping, Partition, VirtualAdapter } from "../src/index.js";
import { PAGE_BYTES, TYPE_MEMORY } from "../src/layout.js";
import type { RawCalls } from "./map-table.js";
import { must } from "./worlds.js";

/** What is granted: `live` ranges of `pages` pages each, from the address `base` on. */
export interface Size {
  readonly live: number;
  readonly pages: number;
  readonly seed: number;
  readonly base?: number;
}

export interface Cycles {
  /** Does the cycles of the given grants, and adds the addresses up. */
  cycles(order: Uint32Array, from: number, count: number): number;
  /** The cookie of grant k now. */
  cookie(k: number): number;
}

/** Grants and accepts everything once. */
export function fill(
  calls: RawCalls,
  server: number,
  client: number,
  unit: number,
  size: Size,
): Float64Array {
  const { live, pages, base = 0 } = size;
  const length = pages * PAGE_BYTES;
  return Float64Array.from({ length: live }, (_, k) => {
    must(calls.grantLogical(server, TYPE_MEMORY, 0, base + k * length, length, unit));
    const cookie = calls.r4;
    must(calls.acceptLogical(client, cookie));
    return cookie;
  });
}

export function cyclesOfObjects(
  server: Partition,
  client: Partition,
  to: VirtualAdapter,
  size: Size,
): Cycles {
  const { live, pages, base = 0 } = size;
  const length = pages * PAGE_BYTES;
  const mappings: Mapping[] = Array.from({ length: live }, (_, k) =>
    client.accept(server.grant({ to, address: base + k * length, length })),
  );
  const cycles = (order: Uint32Array, from: number, count: number): number => {
    let sum = 0;
    for (let i = from; i < from + count; i++) {
      const k = order[i] as number;
      const old = mappings[k] as Mapping;
      old.return();
      server.rescind(old.cookie);
      const mapping = client.accept(server.grant({ to, address: base + k * length, length }));
      mappings[k] = mapping;
      sum += mapping.address;
    }
    return sum;
  };
  return { cycles, cookie: (k) => (mappings[k] as Mapping).cookie };
}

export function cyclesOfCalls(
  calls: RawCalls,
  server: number,
  client: number,
  unit: number,
  size: Size,
): Cycles {
  const { pages, base = 0 } = size;
  const length = pages * PAGE_BYTES;
  const cookies = fill(calls, server, client, unit, size);
  const cycles = (order: Uint32Array, from: number, count: number): number => {
    let sum = 0;
    let status = 0;
    for (let i = from; i < from + count; i++) {
      const k = order[i] as number;
      status |= calls.returnLogical(client, cookies[k] as number);
      status |= calls.rescindLogical(server, 0, cookies[k] as number);
      status |= calls.grantLogical(server, TYPE_MEMORY, 0, base + k * length, length, unit);
      const cookie = calls.r4;
      status |= calls.acceptLogical(client, cookie);
      cookies[k] = cookie;
      sum += calls.r4;
    }
    must(status);
    return sum;
  };
  return { cycles, cookie: (k) => cookies[k] as number };
}
