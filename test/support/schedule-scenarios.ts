/** The pairs of calls whose schedules are explored, but for those in which pages move or recovery waits. */
import {
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_BUDGET,
  HEADER_EPOCH,
  MODE_DONATE,
  NEED_READ,
  PAGE_BYTES,
  RESCIND_FORCED,
  TYPE_MEMORY,
} from "../../src/layout.js";
import { COPIES } from "./schedule-copies.js";
import { DEFERRED } from "./schedule-deferred.js";
import { DEVICES } from "./schedule-devices.js";
import { DMA } from "./schedule-dma.js";
import type { Scenario } from "./schedule-explore.js";
import { LINES } from "./schedule-lines.js";
import type { LogicalThread, Program } from "./schedule-machine.js";
import { MODES } from "./schedule-modes.js";
import { MOVES } from "./schedule-moves.js";
import {
  ALL,
  accept,
  awaitEvent,
  CLIENT,
  call,
  complete,
  expectOneOf,
  grant,
  moveFew,
  must,
  noted,
  notedLate,
  notedWithResult,
  open,
  type Part,
  patiently,
  placeOf,
  quickUse,
  recover,
  recovery,
  rescinded,
  SERVER,
  type Table,
  THIRD,
  use,
} from "./schedule-table.js";

/** A forced rescind of what a thread reads or writes; who is answered H_SUCCESS knows that nobody can any more. */
function revocation(table: Table, cookie: number, place: number): Program {
  const { machine } = table;
  return function* (self) {
    yield* rescinded(self, SERVER, cookie);
    machine.monitor.forbid(machine.frameOf(place), CLIENT);
  };
}

const OK = String(H_SUCCESS);

/**
 * Forced rescind by the server of what the client has accepted, against what the client does with it. Of several pages it is
 * the second one: the client's addresses begin with an odd one, so that its entry is one of a pair.
 */
function againstRevocation(
  name: string,
  rules: string,
  client: (table: Table, cookie: number, address: number) => Program,
  allowed: readonly string[],
  extra: Partial<Scenario> = {},
  pages = 1,
): Scenario {
  return {
    name,
    rules,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine, pages);
      const cookie = grant(table, SERVER, CLIENT, 0, pages);
      const address = accept(table, CLIENT, cookie) + (pages === 1 ? 0 : PAGE_BYTES);
      const place = placeOf(table, CLIENT, address);
      return [revocation(table, cookie, place), client(table, cookie, address)];
    },
    judge: expectOneOf(name, allowed),
    ...extra,
  };
}

const REFUSED = String(H_RESCINDED);

/** A normal rescind, and that nobody reaches the page any more once it has succeeded. */
function* rescindedAtLast(self: LogicalThread, cookie: number, place: number): Part {
  const { machine } = self;
  const status = yield* patiently(self, "rescindLogical", SERVER, 0, cookie);
  for (const slot of [CLIENT, THIRD]) {
    if (status === H_SUCCESS) machine.monitor.forbid(machine.frameOf(place), slot);
  }
  return status;
}

/** The third one's thread guesses where the client's is mapping what it accepts; then that thread dies, and the client lives. */
function againstLostAccept(isDonated: boolean): Scenario {
  let cookie = 0;
  let place = 0;
  return {
    name: `use / accept${isDonated ? " of a donation" : ""} whose thread dies, and rescind`,
    rules: isDonated ? "OM4 OM8 FA5" : "RS3 FA5",
    isLong: true,
    mortal: [CLIENT],
    recover: function* (self) {
      yield* rescindedAtLast(self, cookie, place);
    },
    setUp: (machine) => {
      const table = open(machine);
      place = placeOf(table, SERVER, 0);
      const unit = table.units[SERVER]?.[CLIENT] as number;
      cookie = isDonated
        ? must(machine, "grantMode", SERVER, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit, MODE_DONATE)
        : grant(table, SERVER, CLIENT);
      return [
        function* () {},
        function* (self) {
          yield* noted(self, "acceptLogical", CLIENT, cookie);
        },
        // Whether it finds the page there is not noted: it may, though the accept never happens.
        function* (self) {
          const status = yield* call("beginUse", CLIENT, PAGE_BYTES, 4, NEED_READ);
          if (status !== H_SUCCESS) return;
          yield { kind: "access", address: self.result, writes: false };
          yield* call("endUse");
        },
      ];
    },
  };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "use / return in another thread, and rescind",
    rules: "RS3 G6",
    isLong: true,
    mortal: [CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      const address = accept(table, CLIENT, cookie);
      const place = placeOf(table, CLIENT, address);
      return [
        function* (self) {
          yield* patiently(self, "returnLogical", CLIENT, cookie);
          yield* rescindedAtLast(self, cookie, place);
        },
        function* (self) {
          yield* use(self, CLIENT, address, true);
        },
      ];
    },
    judge: expectOneOf("return and rescind / use", [`${OK},${OK} | ${OK}`, `${OK},${OK} | ${H_PARAMETER}`]),
  },
  againstLostAccept(false),
  againstLostAccept(true),
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
  ...(
    [
      ["read / forced rescind", use, false, REFUSED],
      ["write / forced rescind", use, true, REFUSED],
      ["read of a few bytes / forced rescind", quickUse, false, String(H_PARAMETER)],
      ["write of a few bytes / forced rescind", quickUse, true, String(H_PARAMETER)],
      ["read of a few bytes by the core / forced rescind", moveFew, false, String(H_PARAMETER)],
      ["write of a few bytes by the core / forced rescind", moveFew, true, String(H_PARAMETER)],
    ] as const
  ).map(([name, begin, writes, refused]) =>
    againstRevocation(
      name,
      "G6 RS5 FA5",
      (_table, _cookie, address) =>
        function* (self) {
          yield* begin(self, CLIENT, address, writes);
        },
      [`${OK} | ${OK}`, `${OK} | ${refused}`],
      writes ? { isLong: true } : {},
    ),
  ),
  againstRevocation(
    "read / forced rescind of what is granted on",
    "G6 RS4 RS5",
    (table, _cookie, address) => {
      accept(table, THIRD, grant(table, CLIENT, THIRD, address / PAGE_BYTES));
      return function* (self) {
        yield* use(self, CLIENT, address, false);
      };
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
    // The reader is declared failed while its thread runs, as fail() does it.
    name: "read / failure and recovery of the reader",
    rules: "FA1 G6",
    mortal: [CLIENT],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const address = accept(table, CLIENT, grant(table, SERVER, CLIENT));
      const frame = machine.frameOf(placeOf(table, CLIENT, address));
      return [
        function* (self) {
          yield* noted(self, "failPartition", CLIENT, 0);
          self.results.push(yield* complete(self, "recoverClient", CLIENT, ALL));
          machine.monitor.forbid(frame, CLIENT);
        },
        function* (self) {
          yield* use(self, CLIENT, address, false);
        },
      ];
    },
    judge: expectOneOf("read / failure and recovery of the reader", [
      `${OK},${OK} | ${OK}`,
      `${OK},${OK} | ${REFUSED}`,
    ]),
  },
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
  // Whoever marks many at once may die before that has happened: then nobody may have seen that access has ended, since it has not.
  {
    name: "two reads / forced rescind above, whose thread dies",
    rules: "G6 RS4 FA5",
    isLong: true,
    mortal: [SERVER],
    recover: function* () {},
    setUp: (machine) => {
      const table = open(machine);
      const cookie = grant(table, SERVER, CLIENT);
      const page = accept(table, CLIENT, cookie) / PAGE_BYTES;
      const address = accept(table, THIRD, grant(table, CLIENT, THIRD, page));
      return [
        function* (self) {
          yield* rescinded(self, SERVER, cookie);
        },
        function* () {},
        function* (self) {
          yield* use(self, THIRD, address, false);
          yield* use(self, THIRD, address, false);
        },
      ];
    },
  },
  {
    // Each carries on what the other has to tell; what others have told for it is told.
    name: "two failures that are told an adapter at a time",
    rules: "FA2 FA3 G5",
    mortal: [SERVER, CLIENT],
    isLong: true,
    isExclusive: true,
    recover,
    setUp: (machine) => {
      open(machine);
      machine.words[HEADER_BUDGET / 4] = 1;
      return [SERVER, CLIENT].map(
        (lpid): Program =>
          function* (self) {
            self.results.push(yield* complete(self, "failPartition", lpid, 0));
          },
      );
    },
    judge: expectOneOf("two failures", [
      `${H_SUCCESS} | ${H_SUCCESS}`,
      `${H_SUCCESS} | ${H_RESOURCE}`,
      `${H_RESOURCE} | ${H_SUCCESS}`,
    ]),
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
      yield* noted(self, "restartPartition", CLIENT, 0);
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
  // A page by itself, and one whose entry is one of a pair.
  ...[1, 3].map((pages) =>
    againstRevocation(
      pages === 1 ? "kernel: page entry and epoch" : "kernel: a pair of page entries and epoch",
      "G6 RS5",
      (_table, _cookie, address) =>
        function* (self) {
          yield* use(self, CLIENT, address, true);
          yield* use(self, CLIENT, address, false);
        },
      [`${OK} | ${OK},${OK}`, `${OK} | ${OK},${REFUSED}`, `${OK} | ${REFUSED},${REFUSED}`],
      { mortal: [] },
      pages,
    ),
  ),
  {
    name: "kernel: page entry and epoch, which wraps",
    rules: "G6 RS5",
    mortal: [],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const other = grant(table, SERVER, THIRD);
      const cookie = grant(table, SERVER, CLIENT);
      const address = accept(table, CLIENT, cookie);
      const place = placeOf(table, CLIENT, address);
      machine.words[HEADER_EPOCH / 4] = 0xffffffff;
      return [
        function* (self) {
          yield* rescinded(self, SERVER, other);
          yield* revocation(table, cookie, place)(self);
        },
        // The first one makes who rescinds take a new epoch, in which the second one begins.
        function* (self) {
          yield* use(self, CLIENT, address, false);
          yield* use(self, CLIENT, address, true);
        },
      ];
    },
    judge: expectOneOf("rescinds / uses", [
      `${OK},${OK} | ${OK},${OK}`,
      `${OK},${OK} | ${OK},${REFUSED}`,
      `${OK},${OK} | ${REFUSED},${REFUSED}`,
    ]),
  },
  ...MOVES,
  ...DEFERRED,
  ...COPIES,
  ...DEVICES,
  ...LINES,
  ...DMA,
  ...MODES,
];

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
