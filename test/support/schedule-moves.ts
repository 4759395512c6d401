/**
 * Pages that move on request (migrate and compact) against whatever others do with them meanwhile. A mover holds all locks,
 * so that a call that takes locks comes before it or after it; what meets it is a use, and a death.
 *
 * The server's page stands above a free frame, so that compactMemory() moves it down; or two pages stand apart, so that
 * gatherMemory() moves the second one behind the first.
 */
import {
  H_LONG_BUSY_10_MSEC,
  H_PARTIAL,
  H_RESCINDED,
  H_SUCCESS,
  PAGE_BYTES,
  RESCIND_FORCED,
  THREAD_WAITS_FOR,
  TYPE_MEMORY,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { Call, LogicalThread, Machine, Program } from "./schedule-machine.js";
import {
  ALL,
  accept,
  CLIENT,
  call,
  expectOneOf,
  grant,
  must,
  noted,
  open,
  type Part,
  recover,
  rescinded,
  SERVER,
  type Table,
  THIRD,
  use,
} from "./schedule-table.js";

const OK = String(H_SUCCESS);
const REFUSED = String(H_RESCINDED);

/** A call that moves pages, again and again as the host makes it; it waits where somebody's use is in the way. */
function* moved(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  const { machine, slot } = self;
  while (true) {
    const status = yield* call(name, ...args);
    if (status !== H_PARTIAL && status !== H_LONG_BUSY_10_MSEC) {
      self.results.push(status);
      return status;
    }
    if (machine.word(machine.threadAt(slot) + THREAD_WAITS_FOR) !== 0) yield { kind: "wait" };
  }
}

const compacting: Program = function* (self) {
  yield* moved(self, "compactMemory", SERVER, 0, ALL);
};

const gathering: Program = function* (self) {
  yield* moved(self, "gatherMemory", SERVER, 0, 2 * PAGE_BYTES, ALL);
};

/** A table in which the server's first page was moved away from the lowest frame, which is free. */
function displaced(machine: Machine, serverPages = 1): Table {
  const table = open(machine, serverPages);
  const cookie = grant(table, SERVER, CLIENT);
  const pin = must(machine, "pinMemory", CLIENT, accept(table, CLIENT, cookie), PAGE_BYTES);
  must(machine, "rescindLogical", SERVER, RESCIND_FORCED, cookie);
  must(machine, "unpinMemory", CLIENT, pin);
  must(machine, "returnLogical", CLIENT, cookie);
  return table;
}

/** One thread moves the server's page, another one does something with what the client has of it. */
function againstCompact(
  name: string,
  rules: string,
  client: (table: Table) => Program,
  allowed: readonly string[],
  extra: Partial<Scenario> = {},
): Scenario {
  return {
    name: `${name} / compact`,
    rules,
    mortal: [SERVER, CLIENT],
    isLong: true,
    recover,
    setUp: (machine) => {
      const table = displaced(machine);
      return [compacting, client(table)];
    },
    judge: expectOneOf(`${name} / compact`, allowed),
    ...extra,
  };
}

export const MOVES: readonly Scenario[] = [
  againstCompact(
    "store by a sharer",
    "RS6 RS8 TR3 FA5",
    (table) => {
      const address = accept(table, CLIENT, grant(table, SERVER, CLIENT));
      return function* (self) {
        yield* noted(self, "storeWord", CLIENT, address, 7);
      };
    },
    [`${OK} | ${OK}`],
  ),
  againstCompact(
    "two uses by a sharer",
    "RS6 RS8 TR3 G6 FA5",
    (table) => {
      const address = accept(table, CLIENT, grant(table, SERVER, CLIENT));
      return function* (self) {
        yield* use(self, CLIENT, address, true);
        yield* use(self, CLIENT, address, false);
      };
    },
    [`${OK} | ${OK},${OK}`],
  ),
  againstCompact(
    "store by the owner",
    "RS8 TR3 FA5",
    () =>
      // The thread that owns the table may call for any partition: here it is the second one, and the first one moves.
      function* (self) {
        yield* noted(self, "storeWord", SERVER, 0, 7);
      },
    [`${OK} | ${OK}`],
  ),
  againstCompact(
    "return",
    "RE1 FA5",
    (table) => {
      const cookie = grant(table, SERVER, CLIENT);
      accept(table, CLIENT, cookie);
      return function* (self) {
        yield* noted(self, "returnLogical", CLIENT, cookie);
      };
    },
    [`${OK} | ${OK}`],
  ),
  againstCompact(
    "accept and store",
    "AC1 AC6 TR3 FA5",
    (table) => {
      const cookie = grant(table, SERVER, CLIENT);
      return function* (self) {
        yield* noted(self, "acceptLogical", CLIENT, cookie);
        yield* noted(self, "storeWord", CLIENT, 0, 7);
      };
    },
    [`${OK} | ${OK},${OK}`],
  ),
  againstCompact(
    "grant on",
    "GR3 GR9 FA5",
    (table) => {
      const address = accept(table, CLIENT, grant(table, SERVER, CLIENT));
      const unit = table.units[CLIENT]?.[THIRD] as number;
      return function* (self) {
        yield* noted(self, "grantLogical", CLIENT, TYPE_MEMORY, 0, address, PAGE_BYTES, unit);
      };
    },
    [`${OK} | ${OK}`],
  ),
  {
    name: "compact / compact / store by a sharer that may die",
    rules: "RS6 RS8 FA5",
    isLong: true,
    mortal: [THIRD],
    recover,
    setUp: (machine) => {
      const table = displaced(machine);
      const address = accept(table, THIRD, grant(table, SERVER, THIRD));
      return [
        compacting,
        compacting,
        function* (self) {
          yield* noted(self, "storeWord", THIRD, address, 7);
        },
      ];
    },
    judge: expectOneOf("compact / compact / store", [`${OK} | ${OK} | ${OK}`]),
  },
  {
    name: "forced rescind / compact / store by another sharer",
    rules: "RS4 RS6 RS8 G6 FA5",
    isLong: true,
    // A slice of the rescind that a use holds up is a call of its own: with a death, more can happen than in any order of whole ones.
    mortal: [],
    recover,
    setUp: (machine) => {
      const table = displaced(machine);
      const cookie = grant(table, SERVER, CLIENT);
      accept(table, CLIENT, cookie);
      const address = accept(table, THIRD, grant(table, SERVER, THIRD));
      return [
        function* (self) {
          yield* rescinded(self, SERVER, cookie);
        },
        compacting,
        function* (self) {
          yield* noted(self, "storeWord", THIRD, address, 7);
        },
      ];
    },
    judge: expectOneOf("forced rescind / compact / store", [`${OK} | ${OK} | ${OK}`]),
  },
  {
    name: "store of what is rescinded by force / compact",
    rules: "RS4 RS6 G6 TR3 FA5",
    isLong: true,
    mortal: [SERVER],
    recover,
    setUp: (machine) => {
      const table = displaced(machine);
      const cookie = grant(table, SERVER, CLIENT);
      const address = accept(table, CLIENT, cookie);
      return [
        function* (self) {
          yield* rescinded(self, SERVER, cookie);
          yield* moved(self, "compactMemory", SERVER, 0, ALL);
        },
        function* (self) {
          yield* noted(self, "storeWord", CLIENT, address, 7);
        },
      ];
    },
    judge: expectOneOf("store / forced rescind, compact", [
      `${OK},${OK} | ${OK}`,
      `${OK},${OK} | ${REFUSED}`,
    ]),
  },
  {
    name: "migrate / compact of the same range",
    isExclusive: true,
    rules: "RS6 FA5",
    mortal: [SERVER, CLIENT],
    isLong: true,
    recover,
    setUp: (machine) => {
      displaced(machine, 2);
      return [gathering, compacting];
    },
    judge: expectOneOf("migrate / compact", [`${OK} | ${OK}`]),
  },
  {
    name: "store by a sharer across two pages / migrate",
    rules: "RS6 TR3 FA5",
    mortal: [SERVER, CLIENT],
    isLong: true,
    recover,
    setUp: (machine) => {
      const table = displaced(machine, 2);
      const first = accept(table, CLIENT, grant(table, SERVER, CLIENT, 0, 2));
      return [
        gathering,
        function* (self) {
          yield* noted(self, "fillMemory", CLIENT, first + PAGE_BYTES - 8, 16, 3);
        },
      ];
    },
    judge: expectOneOf("fill / migrate", [`${OK} | ${OK}`]),
  },
  {
    name: "pin / compact",
    isExclusive: true,
    rules: "TR4 RS6 FA5",
    mortal: [SERVER, CLIENT],
    isLong: true,
    recover,
    setUp: (machine) => {
      const table = displaced(machine);
      const address = accept(table, CLIENT, grant(table, SERVER, CLIENT));
      return [
        compacting,
        function* (self) {
          yield* noted(self, "pinMemory", CLIENT, address, PAGE_BYTES);
        },
      ];
    },
    judge: expectOneOf("pin / compact", [`${OK} | ${OK}`]),
  },
];
