/** What the scenarios are made of: a table with three partitions in a triangle of adapters, and parts of programs on it. */
import type { Core } from "../../src/binding.js";
import {
  ENTRY_READ,
  ENTRY_WRITE,
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_SUCCESS,
  HEADER_STAGING_AT,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  PARTITION_SIGNAL,
  PARTITION_WAITING,
  RESCIND_FORCED,
  THREAD_RESULT,
  THREAD_WAITS_FOR,
  TYPE_MEMORY,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { Call, LogicalThread, Machine, Program, Step } from "./schedule-machine.js";

/** lpids, and the slots of the threads that are these partitions. */
export const SERVER = 1;
export const CLIENT = 2;
export const THIRD = 3;

/** Steps of one slice of a recovery: all of it. */
export const ALL = 10_000;

export type Part = Generator<Step, number, number>;

export function* call(name: Call, ...args: readonly number[]): Part {
  return yield { kind: "call", name, args };
}

/** One call, whose status is noted. */
export function* noted(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  const status = yield* call(name, ...args);
  self.results.push(status);
  return status;
}

/** A call whose second result is noted, too. */
export function* notedWithResult(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  const status = yield* noted(self, name, ...args);
  if (status === H_SUCCESS) self.results.push(self.result);
  return status;
}

/** More than anything takes in a table so small, unless a bug has made it endless. */
const SLICES_MOST = 1000;

/**
 * A call that is made until it is not answered H_PARTIAL; how often is nobody's business. As the host does it, it waits only
 * where the slice was held up by somebody's use.
 */
export function* complete(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  const { machine, slot } = self;
  let isBegun = false;
  for (let slices = 0; slices < SLICES_MOST; slices++) {
    const status = yield* call(name, ...args);
    // Somebody else has done the rest of it: as rescindForced() sees it.
    if (isBegun && status === H_PARAMETER) return H_SUCCESS;
    if (status !== H_PARTIAL) return status;
    isBegun = true;
    if (machine.word(machine.threadAt(slot) + THREAD_WAITS_FOR) !== 0) yield { kind: "wait" };
  }
  return H_PARTIAL;
}

/** A call that is made until no use that runs holds it up. */
export function* patiently(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  while (true) {
    const status = yield* call(name, ...args);
    if (status !== H_BUSY && status !== H_LONG_BUSY_10_MSEC) {
      self.results.push(status);
      return status;
    }
    yield { kind: "wait" };
  }
}

export function* rescinded(self: LogicalThread, lpid: number, cookie: number): Part {
  const status = yield* complete(self, "rescindLogical", lpid, RESCIND_FORCED, cookie);
  self.results.push(status);
  return status;
}

/** A call of the set-up, which must succeed. Answers its second result. */
export function must(machine: Machine, name: Call, ...args: readonly number[]): number {
  const owner = machine.cores[0] as Core;
  const status = (owner[name] as (...args: readonly number[]) => number)(...args);
  if (status !== H_SUCCESS) throw new Error(`set-up: ${name} answers ${status}`);
  return machine.floats[(machine.threadAt(0) + THREAD_RESULT) / 8] as number;
}

export interface Table {
  readonly machine: Machine;
  /** units[a][b]: the unit address by which a grants to b. */
  readonly units: readonly (readonly number[])[];
}

export function grant(table: Table, from: number, to: number, page = 0, pages = 1): number {
  const unit = table.units[from]?.[to] as number;
  const length = pages * PAGE_BYTES;
  return must(table.machine, "grantLogical", from, TYPE_MEMORY, 0, page * PAGE_BYTES, length, unit);
}

export function accept(table: Table, lpid: number, cookie: number): number {
  return must(table.machine, "acceptLogical", lpid, cookie);
}

/** Byte offset in memory of an address. */
export function placeOf({ machine }: Table, lpid: number, address: number): number {
  return must(machine, "checkAccess", lpid, address, 4, NEED_READ);
}

/** Three partitions with a page each, the server with so many in one resource, joined, and a thread for each. */
export function open(machine: Machine, serverPages = 1): Table {
  const units: number[][] = [[], [], [], []];
  for (let lpid = SERVER; lpid <= THIRD; lpid++) {
    const pages = lpid === SERVER ? serverPages : 1;
    must(machine, "createPartition", pages, pages);
  }
  const join = (a: number, b: number): void => {
    (units[a] as number[])[b] = must(machine, "connectPartitions", a, b, 4);
    (units[b] as number[])[a] = must(machine, "adapterBetween", b, a);
  };
  join(SERVER, CLIENT);
  join(CLIENT, THIRD);
  join(SERVER, THIRD);
  for (let lpid = SERVER; lpid <= THIRD; lpid++) must(machine, "openThread", lpid);
  // So that a grant finds a structure in the pool of its grantor.
  const table = { machine, units };
  for (const [from, to] of [
    [SERVER, CLIENT],
    [CLIENT, THIRD],
    [THIRD, SERVER],
  ] as const) {
    must(machine, "rescindLogical", from, 0, grant(table, from, to));
  }
  return table;
}

/** The recovery of a partition whose thread has exited, as the owner does it. */
export function recovery(lpid: (machine: Machine) => number): Program {
  return function* (self) {
    const dead = lpid(self.machine);
    yield* call("failPartition", dead, 0);
    yield* complete(self, "recoverClient", dead, ALL);
    yield* complete(self, "endViews", dead, ALL);
    yield* complete(self, "recoverServer", dead, ALL);
  };
}

/** The partition of a thread is that of its slot. */
export const recover: Program = recovery(
  (machine) => machine.threads.find(({ state, slot }) => slot !== 0 && state === "dead")?.slot ?? 0,
);

export type Judge = NonNullable<Scenario["judge"]>;

/** The results of all threads while nobody has died. */
export function expectOneOf(name: string, allowed: readonly string[]): Judge {
  return (results, dead) => {
    const text = results
      .slice(1)
      .map((result) => result.join(","))
      .join(" | ");
    return dead !== 0 || allowed.includes(text) ? "" : `${name} answers ${text}`;
  };
}

/** Notes whether another thread has noted something by now, so that what follows comes after that. */
export function* notedLate(self: LogicalThread, slot: number): Part {
  const answer = yield { kind: "look", slot };
  self.results.push(answer);
  return answer;
}

/** Sleeps until there is an event, in the order of src/kernel.ts: the count is read before it is looked for events. */
export function* awaitEvent(self: LogicalThread, lpid: number): Part {
  const partition = self.machine.partitionAt(lpid);
  while (true) {
    const word = yield { kind: "load", address: partition + PARTITION_SIGNAL };
    const status = yield* call("takeEvent", lpid);
    if (status !== H_NOT_FOUND) {
      self.results.push(status);
      return status;
    }
    yield { kind: "store", address: partition + PARTITION_WAITING, value: 1 };
    yield { kind: "sleep", address: partition + PARTITION_SIGNAL, word };
  }
}

/** Reads or writes a few bytes between beginUse() and endUse(), as JavaScript does. */
export function* use(self: LogicalThread, lpid: number, address: number, writes: boolean): Part {
  const need = writes ? NEED_WRITE : NEED_READ;
  const status = yield* noted(self, "beginUse", lpid, address, 4, need);
  if (status !== H_SUCCESS) return status;
  const place = self.result;
  yield* touch(place, writes);
  return status;
}

/** The same between openUse() and endUse(), as a few bytes are moved where there are other threads. */
export function* quickUse(self: LogicalThread, lpid: number, address: number, writes: boolean): Part {
  const page = address / PAGE_BYTES;
  const frame = yield* call("openUse", lpid, page, page, writes ? ENTRY_WRITE : ENTRY_READ);
  const status = Math.min(frame, H_SUCCESS);
  self.results.push(status);
  if (status === H_SUCCESS) yield* touch(self.machine.frameAt(frame), writes);
  return status;
}

/** The same by the core, beside in staging. */
export function* moveFew(self: LogicalThread, lpid: number, address: number, writes: boolean): Part {
  const place = self.machine.word(HEADER_STAGING_AT);
  return yield* noted(self, "moveFew", lpid, address, 2, place, writes ? NEED_WRITE : NEED_READ);
}

function* touch(place: number, writes: boolean): Generator<Step, void, number> {
  for (let i = 0; i < 2; i++) yield { kind: "access", address: place + i, writes };
  yield* call("endUse");
}
