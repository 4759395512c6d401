/**
 * The cycle of a grant: of many grants that live, one is returned, rescinded, made again and accepted. Through objects and
 * by raw hypercalls; in any thread.
 */
import type { Mapping, Partition, VirtualAdapter } from "../src/index.js";
import { PAGE_BYTES, TYPE_MEMORY } from "../src/layout.js";
import type { RawCalls } from "./map-table.js";
import { must } from "./worlds.js";

/** What is granted: `live` ranges of `pages` pages each, from the address `base` on, to the clients in turn. */
export interface Size {
  readonly live: number;
  readonly pages: number;
  readonly seed: number;
  readonly base?: number;
  /** Ranges that there are; where there are more grants, several are of the same one. Default: one for each grant. */
  readonly ranges?: number;
}

/** Who grants to whom: grant k goes to client k modulo their number. */
export interface Route<P, U> {
  readonly server: P;
  readonly clients: readonly P[];
  /** Of each client, as the server names it. */
  readonly units: readonly U[];
}
export type RawRoute = Route<number, number>;

export interface Cycles {
  /** Does the cycles of the given grants, and adds the addresses up. */
  cycles(order: Uint32Array, from: number, count: number): number;
  /** The cookie of grant k now. */
  cookie(k: number): number;
}

/** The address of the range of grant k. */
export function rangeOf({ live, pages, base = 0, ranges = live }: Size): (k: number) => number {
  const length = pages * PAGE_BYTES;
  return (k) => base + (k % ranges) * length;
}

/** Grants and accepts everything once. */
export function fill(calls: RawCalls, { server, clients, units }: RawRoute, size: Size): Float64Array {
  const { live, pages } = size;
  const range = rangeOf(size);
  return Float64Array.from({ length: live }, (_, k) => {
    const to = k % clients.length;
    const unit = units[to] as number;
    must(calls.grantLogical(server, TYPE_MEMORY, 0, range(k), pages * PAGE_BYTES, unit));
    const cookie = calls.r4;
    must(calls.acceptLogical(clients[to] as number, cookie));
    return cookie;
  });
}

export function cyclesOfObjects(route: Route<Partition, VirtualAdapter>, size: Size): Cycles {
  const { server, clients, units } = route;
  const { live, pages } = size;
  const range = rangeOf(size);
  const length = pages * PAGE_BYTES;
  const make = (k: number): Mapping => {
    const to = k % clients.length;
    const cookie = server.grant({ to: units[to] as VirtualAdapter, address: range(k), length });
    return (clients[to] as Partition).accept(cookie);
  };
  const mappings: Mapping[] = Array.from({ length: live }, (_, k) => make(k));
  const cycles = (order: Uint32Array, from: number, count: number): number => {
    let sum = 0;
    for (let i = from; i < from + count; i++) {
      const k = order[i] as number;
      const old = mappings[k] as Mapping;
      old.return();
      server.rescind(old.cookie);
      const mapping = make(k);
      mappings[k] = mapping;
      sum += mapping.address;
    }
    return sum;
  };
  return { cycles, cookie: (k) => (mappings[k] as Mapping).cookie };
}

export function cyclesOfCalls(calls: RawCalls, route: RawRoute, size: Size): Cycles {
  const { server, clients, units } = route;
  const { pages } = size;
  const range = rangeOf(size);
  const length = pages * PAGE_BYTES;
  const cookies = fill(calls, route, size);
  const cycles = (order: Uint32Array, from: number, count: number): number => {
    let sum = 0;
    let status = 0;
    for (let i = from; i < from + count; i++) {
      const k = order[i] as number;
      const to = k % clients.length;
      const client = clients[to] as number;
      status |= calls.returnLogical(client, cookies[k] as number);
      status |= calls.rescindLogical(server, 0, cookies[k] as number);
      status |= calls.grantLogical(server, TYPE_MEMORY, 0, range(k), length, units[to] as number);
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
