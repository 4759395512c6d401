/** The pairs of calls whose schedules are explored, on a table with three partitions in a triangle of adapters. */
import type { Core } from "../../src/binding.js";
import {
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_BUDGET,
  MAIL_NEED_SHIFT,
  MAIL_SERVER,
  MAIL_STATE,
  MAIL_VALUE,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  PARTITION_SIGNAL,
  PARTITION_WAITING,
  RESCIND_FORCED,
  THREAD_NAME,
  THREAD_RESULT,
  THREAD_TAKEN,
  THREAD_WAITS_FOR,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { Call, LogicalThread, Machine, Program, Step } from "./schedule-machine.js";
import { modeScenarios } from "./schedule-modes.js";

/** lpids, and the slots of the threads that are these partitions. */
const SERVER = 1;
const CLIENT = 2;
const THIRD = 3;

/** Steps of one slice of a recovery: all of it. */
const ALL = 10_000;

type Part = Generator<Step, number, number>;

function* call(name: Call, ...args: readonly number[]): Part {
  return yield { kind: "call", name, args };
}

/** One call, whose status is noted. */
function* noted(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  const status = yield* call(name, ...args);
  self.results.push(status);
  return status;
}

/** A call whose second result is noted, too. */
function* notedWithResult(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  const status = yield* noted(self, name, ...args);
  if (status === H_SUCCESS) self.results.push(self.result);
  return status;
}

/**
 * A call that is made until it is not answered H_PARTIAL; how often is nobody's business. As the host does it, it waits only
 * where the slice was held up by somebody's use.
 */
function* complete(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  const { machine, slot } = self;
  let isBegun = false;
  while (true) {
    const status = yield* call(name, ...args);
    // Somebody else has done the rest of it: as rescindForced() sees it.
    if (isBegun && status === H_PARAMETER) return H_SUCCESS;
    if (status !== H_PARTIAL) return status;
    isBegun = true;
    if (machine.word(machine.threadAt(slot) + THREAD_WAITS_FOR) !== 0) yield { kind: "wait" };
  }
}

/** A call that is made until no use that runs holds it up. */
function* patiently(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  while (true) {
    const status = yield* call(name, ...args);
    if (status !== H_BUSY && status !== H_LONG_BUSY_10_MSEC) {
      self.results.push(status);
      return status;
    }
    yield { kind: "wait" };
  }
}

function* rescinded(self: LogicalThread, lpid: number, cookie: number): Part {
  const status = yield* complete(self, "rescindLogical", lpid, RESCIND_FORCED, cookie);
  self.results.push(status);
  return status;
}

/** A call of the set-up, which must succeed. Answers its second result. */
function must(machine: Machine, name: Call, ...args: readonly number[]): number {
  const owner = machine.cores[0] as Core;
  const status = (owner[name] as (...args: readonly number[]) => number)(...args);
  if (status !== H_SUCCESS) throw new Error(`set-up: ${name} answers ${status}`);
  return machine.floats[(machine.threadAt(0) + THREAD_RESULT) / 8] as number;
}

interface Table {
  readonly machine: Machine;
  /** units[a][b]: the unit address by which a grants to b. */
  readonly units: readonly (readonly number[])[];
}

function grant(table: Table, from: number, to: number, page = 0): number {
  const unit = table.units[from]?.[to] as number;
  return must(table.machine, "grantLogical", from, TYPE_MEMORY, 0, page * PAGE_BYTES, PAGE_BYTES, unit);
}

function accept(table: Table, lpid: number, cookie: number): number {
  return must(table.machine, "acceptLogical", lpid, cookie);
}

/** Byte offset in memory of an address. */
function placeOf({ machine }: Table, lpid: number, address: number): number {
  return must(machine, "checkAccess", lpid, address, 4, NEED_READ);
}

/** Three partitions with a page each, joined, and a thread for each. */
function open(machine: Machine): Table {
  const units: number[][] = [[], [], [], []];
  for (let lpid = SERVER; lpid <= THIRD; lpid++) must(machine, "createPartition", 1, 1);
  const join = (a: number, b: number): void => {
    (units[a] as number[])[b] = must(machine, "connectPartitions", a, b, 4);
    (units[b] as number[])[a] = must(machine, "adapterBetween", b, a);
  };
  join(SERVER, CLIENT);
  join(CLIENT, THIRD);
  join(SERVER, THIRD);
  // So that a grant finds a structure in the pool of its grantor.
  const table = { machine, units };
  for (const [from, to] of [
    [SERVER, CLIENT],
    [CLIENT, THIRD],
    [THIRD, SERVER],
  ] as const) {
    must(machine, "rescindLogical", from, 0, grant(table, from, to));
  }
  for (let lpid = SERVER; lpid <= THIRD; lpid++) must(machine, "openThread", lpid);
  return table;
}

/** The recovery of a partition whose thread has exited, as the owner does it. */
function recovery(lpid: (machine: Machine) => number): Program {
  return function* (self) {
    const dead = lpid(self.machine);
    yield* call("failPartition", dead, 0);
    yield* complete(self, "recoverClient", dead, ALL);
    yield* complete(self, "endViews", dead, ALL);
    yield* complete(self, "recoverServer", dead, ALL);
  };
}

/** The partition of a thread is that of its slot. */
const recover: Program = recovery(
  (machine) => machine.threads.find(({ state, slot }) => slot !== 0 && state === "dead")?.slot ?? 0,
);

type Judge = NonNullable<Scenario["judge"]>;

/** The results of all threads while nobody has died. */
function expectOneOf(name: string, allowed: readonly string[]): Judge {
  return (results, dead) => {
    const text = results
      .slice(1)
      .map((result) => result.join(","))
      .join(" | ");
    return dead !== 0 || allowed.includes(text) ? "" : `${name} answers ${text}`;
  };
}

/** Notes whether another thread has noted something by now, so that what follows comes after that. */
function* notedLate(self: LogicalThread, slot: number): Part {
  const answer = yield { kind: "look", slot };
  self.results.push(answer);
  return answer;
}

/** Sleeps until there is an event, in the order of src/kernel.ts: the count is read before it is looked for events. */
function* awaitEvent(self: LogicalThread, lpid: number): Part {
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
function* use(self: LogicalThread, lpid: number, address: number, writes: boolean): Part {
  const need = writes ? NEED_WRITE : NEED_READ;
  const status = yield* noted(self, "beginUse", lpid, address, 4, need);
  if (status !== H_SUCCESS) return status;
  const place = self.result;
  for (let i = 0; i < 2; i++) yield { kind: "access", address: place + i, writes };
  yield* call("endUse");
  return status;
}

/** A forced rescind of what a thread reads or writes; who is answered H_SUCCESS knows that nobody can any more. */
function revocation(table: Table, cookie: number, place: number): Program {
  const { machine } = table;
  return function* (self) {
    yield* rescinded(self, SERVER, cookie);
    machine.monitor.forbid(machine.frameOf(place), CLIENT);
  };
}

const OK = String(H_SUCCESS);

/** Forced rescind by the server of what the client has accepted, against what the client does with it. */
function againstRevocation(
  name: string,
  rules: string,
  client: (table: Table, cookie: number, address: number) => Program,
  allowed: readonly string[],
  extra: Partial<Scenario> = {},
): Scenario {
  return {
    name,
    rules,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      const address = accept(table, CLIENT, cookie);
      const place = placeOf(table, CLIENT, address);
      return [revocation(table, cookie, place), client(table, cookie, address)];
    },
    judge: expectOneOf(name, allowed),
    ...extra,
  };
}

const REFUSED = String(H_RESCINDED);

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "grant / rescind",
    rules: "G1 RS3 FA5",
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, CLIENT, SERVER);
      const unit = table.units[SERVER]?.[CLIENT] as number;
      return [
        function* (self) {
          yield* notedWithResult(self, "grantLogical", SERVER, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit);
        },
        function* (self) {
          yield* noted(self, "rescindLogical", CLIENT, 0, cookie);
        },
      ];
    },
  },
  againstRevocation(
    "grant on / forced rescind",
    "GR10 RS4 FA5",
    (table, _cookie, address) =>
      function* (self) {
        const unit = table.units[CLIENT]?.[THIRD] as number;
        yield* noted(self, "grantLogical", CLIENT, TYPE_MEMORY, 0, address, PAGE_BYTES, unit);
      },
    [`${OK} | ${OK}`, `${OK} | ${REFUSED}`],
    { isLong: true },
  ),
  {
    name: "accept / rescind",
    rules: "AC2 RS2 RS3 FA5",
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      return [
        function* (self) {
          yield* noted(self, "rescindLogical", SERVER, 0, cookie);
        },
        function* (self) {
          yield* noted(self, "acceptLogical", CLIENT, cookie);
        },
      ];
    },
    judge: expectOneOf("accept / rescind", [`${OK} | ${H_PARAMETER}`, `${H_RESOURCE} | ${OK}`]),
  },
  {
    name: "accept / forced rescind",
    rules: "AC2 AC3 RS4 FA5",
    isLong: true,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      return [
        function* (self) {
          yield* rescinded(self, SERVER, cookie);
        },
        function* (self) {
          yield* noted(self, "acceptLogical", CLIENT, cookie);
        },
      ];
    },
    judge: expectOneOf("accept / forced rescind", [`${OK} | ${H_PARAMETER}`, `${OK} | ${OK}`]),
  },
  {
    name: "accept / accept of two grants to one client",
    rules: "AC1 FA5",
    mortal: [CLIENT],
    recover: recovery(() => CLIENT),
    setUp: (machine) => {
      const table = open(machine);
      const first = grant(table, SERVER, CLIENT);
      const second = grant(table, THIRD, CLIENT);
      return [first, second].map(
        (cookie): Program =>
          function* (self) {
            yield* notedWithResult(self, "acceptLogical", CLIENT, cookie);
          },
      );
    },
    judge: ([, a, b], dead) =>
      dead !== 0 || (a?.[0] === H_SUCCESS && b?.[0] === H_SUCCESS && a[1] !== b[1])
        ? ""
        : `two accepts answer ${String(a)} and ${String(b)}`,
  },
  againstRevocation(
    "return / forced rescind",
    "RE1 RE5 RS4 FA5",
    (_table, cookie) =>
      function* (self) {
        yield* noted(self, "returnLogical", CLIENT, cookie);
      },
    [`${OK} | ${OK}`],
    { isLong: true },
  ),
  {
    name: "forced / forced, overlapping",
    rules: "RS4 RS7 FA5",
    isLong: true,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const outer = grant(table, SERVER, CLIENT);
      const inner = grant(table, CLIENT, THIRD, accept(table, CLIENT, outer) / PAGE_BYTES);
      accept(table, THIRD, inner);
      return [
        function* (self) {
          yield* rescinded(self, SERVER, outer);
        },
        function* (self) {
          yield* rescinded(self, CLIENT, inner);
        },
      ];
    },
    judge: expectOneOf("forced / forced", [`${OK} | ${OK}`, `${OK} | ${H_PARAMETER}`]),
  },
  againstRevocation(
    "read / forced rescind",
    "G6 RS5 FA5",
    (_table, _cookie, address) =>
      function* (self) {
        yield* use(self, CLIENT, address, false);
      },
    [`${OK} | ${OK}`, `${OK} | ${REFUSED}`],
  ),
  againstRevocation(
    "write / forced rescind",
    "G6 RS5 FA5",
    (_table, _cookie, address) =>
      function* (self) {
        yield* use(self, CLIENT, address, true);
      },
    [`${OK} | ${OK}`, `${OK} | ${REFUSED}`],
    { isLong: true },
  ),
  againstRevocation(
    "store of a word, fill / forced rescind",
    "G6 RS5 TR3",
    (_table, _cookie, address) =>
      function* (self) {
        yield* noted(self, "storeWord", CLIENT, address, 7);
        yield* noted(self, "fillMemory", CLIENT, address, 64, 3);
      },
    [`${OK} | ${OK},${OK}`, `${OK} | ${OK},${REFUSED}`, `${OK} | ${REFUSED},${REFUSED}`],
    { isLong: true },
  ),
  {
    name: "store by a sharer / forced rescind that moves the page",
    rules: "RS6 RS8 TR3",
    // Where the third dies in its use, the rescind ends between the reaping and the recovery, and takes another frame.
    mortal: [SERVER],
    isLong: true,
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      must(machine, "pinMemory", CLIENT, accept(table, CLIENT, cookie), PAGE_BYTES);
      const address = accept(table, THIRD, grant(table, SERVER, THIRD));
      return [
        function* (self) {
          yield* rescinded(self, SERVER, cookie);
        },
        function* () {},
        function* (self) {
          yield* noted(self, "storeWord", THIRD, address, 7);
        },
      ];
    },
    judge: expectOneOf("store / move", [`${OK} |  | ${OK}`]),
  },
  {
    name: "grant on / forced rescind in slices",
    rules: "G5 G6 RS5",
    mortal: [SERVER, CLIENT],
    isLong: true,
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      const address = accept(table, CLIENT, cookie);
      const unit = table.units[CLIENT]?.[THIRD] as number;
      grant(table, CLIENT, THIRD, address / PAGE_BYTES);
      machine.words[HEADER_BUDGET / 4] = 1;
      return [
        function* (self) {
          const first = yield* noted(self, "rescindLogical", SERVER, RESCIND_FORCED, cookie);
          if (first === H_PARTIAL) yield* rescinded(self, SERVER, cookie);
        },
        function* (self) {
          yield* notedLate(self, SERVER);
          yield* noted(self, "grantLogical", CLIENT, TYPE_MEMORY, 0, address, PAGE_BYTES, unit);
        },
      ];
    },
    judge: ([, , client]) =>
      client?.[0] === 1 && client[1] === H_SUCCESS ? "the tree grows under a forced rescind" : "",
  },
  {
    name: "accept of a dead cookie / rescind and grant anew",
    rules: "G3 AC2 FA5",
    mortal: [SERVER, CLIENT],
    isLong: true,
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      const unit = table.units[SERVER]?.[CLIENT] as number;
      return [
        function* (self) {
          yield* noted(self, "rescindLogical", SERVER, 0, cookie);
          yield* noted(self, "grantLogical", SERVER, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit);
        },
        function* (self) {
          yield* noted(self, "acceptLogical", CLIENT, cookie);
        },
      ];
    },
    judge: expectOneOf("a dead cookie", [`${OK},${OK} | ${H_PARAMETER}`, `${H_RESOURCE},${OK} | ${OK}`]),
  },
  {
    name: "wait for an event / return",
    rules: "CQ7 RE1 FA5",
    isLong: true,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      accept(table, CLIENT, cookie);
      return [
        function* (self) {
          yield* awaitEvent(self, SERVER);
        },
        function* (self) {
          yield* noted(self, "returnLogical", CLIENT, cookie);
        },
      ];
    },
    judge: expectOneOf("wait / return", [`${OK} | ${OK}`]),
  },
  {
    name: "death and restart of the client / grant by its old adapter",
    rules: "G4 FA1 FA8",
    isLong: true,
    mortal: [CLIENT],
    recover: function* (self) {
      yield* recover(self);
      yield* noted(self, "restartPartition", CLIENT);
      // In this order the server's new end has the place of its old one.
      yield* noted(self, "connectPartitions", CLIENT, SERVER, 4);
    },
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      const unit = table.units[SERVER]?.[CLIENT] as number;
      return [
        function* (self) {
          yield* notedLate(self, 0);
          yield* noted(self, "grantLogical", SERVER, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit);
          yield* notedLate(self, 0);
          yield* rescinded(self, SERVER, cookie);
        },
        function* (self) {
          yield* noted(self, "acceptLogical", CLIENT, cookie);
        },
      ];
    },
    judge: ([owner, server], dead) => {
      if (dead !== 0 && owner?.some((status) => status !== H_SUCCESS))
        return `restart answers ${String(owner)}`;
      if (server?.[0] === 1 && server[1] !== H_PARAMETER) return "an old adapter has power";
      return server?.[2] === 1 && server[3] !== H_PARAMETER ? "an old cookie has power" : "";
    },
  },
  {
    name: "death of the server / read by the client",
    rules: "FA2 FA4 G6",
    mortal: [SERVER],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const address = accept(table, CLIENT, grant(table, SERVER, CLIENT));
      const unit = table.units[SERVER]?.[THIRD] as number;
      return [
        function* (self) {
          yield* noted(self, "grantLogical", SERVER, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit);
        },
        function* (self) {
          yield* use(self, CLIENT, address, false);
        },
      ];
    },
  },
  {
    name: "death of the client / accept by the third",
    rules: "FA1 AC3",
    isLong: true,
    mortal: [CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const outer = grant(table, SERVER, CLIENT);
      const inner = grant(table, CLIENT, THIRD, accept(table, CLIENT, outer) / PAGE_BYTES);
      return [
        function* () {},
        function* (self) {
          yield* noted(self, "returnLogical", CLIENT, outer);
        },
        function* (self) {
          yield* noted(self, "acceptLogical", THIRD, inner);
        },
      ];
    },
  },
  {
    name: "kernel: one lock, three threads",
    rules: "FA5",
    isLong: true,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      open(machine);
      return [SERVER, CLIENT, THIRD].map(
        (): Program =>
          function* (self) {
            yield* noted(self, "takeEvent", SERVER);
          },
      );
    },
  },
  {
    name: "kernel: one lock, two threads",
    rules: "FA5",
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      open(machine);
      return [SERVER, CLIENT].map(
        (): Program =>
          function* (self) {
            yield* noted(self, "takeEvent", SERVER);
            yield* noted(self, "takeEvent", SERVER);
          },
      );
    },
  },
  againstRevocation(
    "kernel: page entry and epoch",
    "G6 RS5",
    (_table, _cookie, address) =>
      function* (self) {
        yield* use(self, CLIENT, address, true);
        yield* use(self, CLIENT, address, false);
      },
    [`${OK} | ${OK},${OK}`, `${OK} | ${OK},${REFUSED}`, `${OK} | ${REFUSED},${REFUSED}`],
    { mortal: [] },
  ),
  {
    name: "store / merge with an equal page",
    rules: "TR3 G6",
    isLong: true,
    // Where the client dies the merge comes after its recovery, and finds nothing to merge.
    mortal: [SERVER],
    recover,
    setUp: (machine) => {
      open(machine);
      return [
        function* (self) {
          yield* patiently(self, "mergePages", CLIENT, 0, THIRD, 0);
        },
        function* (self) {
          yield* noted(self, "storeWord", CLIENT, 0, 7);
        },
      ];
    },
    judge: expectOneOf("store / merge", [`${OK} | ${OK}`, `${H_NOT_FOUND} | ${OK}`]),
  },
  {
    name: "write to a private page / return of it in another thread",
    rules: "RE1 G6 FA5",
    isLong: true,
    mortal: [],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const unit = table.units[SERVER]?.[CLIENT] as number;
      const cookie = must(machine, "grantCopyOnWrite", SERVER, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit);
      const address = accept(table, CLIENT, cookie);
      must(machine, "storeWord", CLIENT, address, 3);
      const place = placeOf(table, CLIENT, address);
      return [
        function* (self) {
          yield* patiently(self, "returnLogical", CLIENT, cookie);
          machine.monitor.forbid(machine.frameOf(place), CLIENT);
        },
        function* (self) {
          yield* use(self, CLIENT, address, true);
        },
      ];
    },
    judge: expectOneOf("write / return", [`${OK} | ${OK}`, `${OK} | ${H_PARAMETER}`]),
  },
  {
    name: "device access / forced rescind of the window",
    rules: "KI2 G6 RS5",
    isLong: true,
    mortal: [SERVER],
    recover,
    setUp: (machine) => {
      const { table, cookie, address } = openDevice(machine);
      const place = placeOf(table, SERVER, 0);
      return [
        function* (self) {
          const status = yield* noted(self, "beginDevice", CLIENT, address, 4, NEED_READ);
          if (status !== H_SUCCESS) return;
          // What the model does with its device.
          for (let i = 0; i < 2; i++) yield { kind: "access", address: place + i, writes: true };
          yield* call("endDevice", 0);
        },
        function* (self) {
          yield* rescinded(self, SERVER, cookie);
          machine.monitor.forbid(machine.frameOf(place), SERVER);
        },
      ];
    },
    judge: expectOneOf("device access", [`${OK} | ${OK}`, `${REFUSED} | ${OK}`]),
  },
  {
    name: "request for a device, withdrawn and made again / its service",
    rules: "KI2 FA5",
    mortal: [SERVER, CLIENT],
    isLong: true,
    recover,
    setUp: (machine) => {
      const { address } = openDevice(machine);
      const server = machine.word(machine.threadAt(SERVER) + THREAD_NAME);
      const copy = machine.threadAt(SERVER) + THREAD_TAKEN;
      const post = (self: LogicalThread, value: number): Part =>
        noted(self, "postRequest", 0, server, CLIENT, address, 4 | (NEED_WRITE << MAIL_NEED_SHIFT), value);
      return [
        function* (self) {
          for (let i = 0; i < 2; i++) {
            if ((yield* noted(self, "takeRequest")) !== H_SUCCESS) continue;
            const value = machine.word(copy + MAIL_VALUE);
            const number = machine.word(copy + MAIL_SERVER);
            self.results.push(value);
            yield* noted(self, "answerRequest", number, machine.word(copy + MAIL_STATE), 0, value + 10);
          }
        },
        function* (self) {
          for (const value of [1, 2]) {
            yield* post(self, value);
            yield* notedWithResult(self, "collectRequest", 0, 1);
          }
        },
      ];
    },
    judge: judgeRequests,
  },
  ...modeScenarios({ open, must, use, recover, expectOneOf }),
];

/** A table whose server has a window that its thread serves, and that the client has accepted. */
function openDevice(machine: Machine): { table: Table; cookie: number; address: number } {
  const table = open(machine);
  must(machine, "assignResource", SERVER, TYPE_MMIO, 0, PAGE_BYTES, 0, 0);
  const status = (machine.cores[SERVER] as Core).serveWindow(SERVER, 0, 1);
  if (status !== H_SUCCESS) throw new Error(`set-up: serveWindow answers ${status}`);
  const unit = table.units[SERVER]?.[CLIENT] as number;
  const cookie = must(machine, "grantLogical", SERVER, TYPE_MMIO, 0, 0, PAGE_BYTES, unit);
  return { table, cookie, address: accept(table, CLIENT, cookie) };
}

/** Who gives up, and who serves, agree on what was answered; nothing is served twice, and no answer is that of another one. */
function judgeRequests(results: readonly (readonly number[] | undefined)[], dead: number): string {
  if (dead !== 0) return "";
  const text = results.map((result) => result?.join(",")).join(" | ");
  const served: number[] = [];
  const answered: number[] = [];
  const [, server = [], client = []] = results;
  for (let at = 0; at < server.length; ) {
    if (server[at] !== H_SUCCESS) {
      at++;
      continue;
    }
    served.push(server[at + 1] as number);
    if (server[at + 2] === H_SUCCESS) answered.push(server[at + 1] as number);
    at += 3;
  }
  if (new Set(served).size !== served.length) return `a request was served twice: ${text}`;
  let request = 0;
  for (let at = 0; at < client.length; ) {
    request++;
    const status = client[at + 1];
    const isAnswered = status === H_SUCCESS;
    if (isAnswered !== answered.includes(request)) return `an answer is lost or invented: ${text}`;
    if (isAnswered && client[at + 2] !== request + 10) return `the answer of another request: ${text}`;
    if (status === H_NOT_FOUND && served.includes(request)) return `what was withdrawn is served: ${text}`;
    if (status === H_PARTIAL && !served.includes(request)) return `nobody served it: ${text}`;
    at += isAnswered ? 3 : 2;
  }
  return "";
}

/** The owner's thread takes terminate() for the end of a thread, and mends what goes on. */
export const IMPATIENT: Scenario = {
  name: "reaping before the exit / return",
  rules: "FA5",
  mortal: [],
  recover,
  owner: function* () {
    yield* call("reapThread", CLIENT);
  },
  setUp: (machine) => {
    const table = open(machine);
    const cookie = grant(table, SERVER, CLIENT);
    accept(table, CLIENT, cookie);
    return [
      function* () {},
      function* (self) {
        yield* noted(self, "returnLogical", CLIENT, cookie);
      },
    ];
  },
};
