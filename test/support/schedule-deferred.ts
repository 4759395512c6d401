/**
 * The recovery of a server that waits for its borrowers (FA7) against what they do meanwhile: it must hear of the end of the
 * last grant whenever that comes, and find all of it.
 *
 * The server's thread has exited; its slot stands for the thread of the owner that recovers it, so that the owner proper can
 * bury a borrower in the middle. It goes on as src/recovery.ts does: the signals are counted before each look.
 */
import {
  H_BUSY,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  PAGE_BYTES,
  PARTITION_SIGNAL,
  PARTITION_STATE,
  PARTITION_STOPPED,
  PARTITION_WAITING,
  RESCIND_FORCED,
  THREAD_WAITS_FOR,
  TYPE_MEMORY,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { Machine, Program } from "./schedule-machine.js";
import {
  ALL,
  accept,
  CLIENT,
  call,
  complete,
  grant,
  must,
  noted,
  open,
  recover,
  SERVER,
  type Table,
  THIRD,
} from "./schedule-table.js";

/** Looks, and sleeps until it is signalled, until nobody has anything of the server; then the server's part. */
function recovering(budget: number): Program {
  return function* (self) {
    const { machine, slot } = self;
    const partition = machine.partitionAt(SERVER);
    while (true) {
      const word = yield { kind: "load", address: partition + PARTITION_SIGNAL };
      let status = yield* call("recoverDeferred", SERVER, budget);
      while (status === H_PARTIAL) {
        if (machine.word(machine.threadAt(slot) + THREAD_WAITS_FOR) !== 0) yield { kind: "wait" };
        status = yield* call("recoverDeferred", SERVER, budget);
      }
      if (status !== H_BUSY) {
        self.results.push(status);
        break;
      }
      yield { kind: "store", address: partition + PARTITION_WAITING, value: 1 };
      yield { kind: "sleep", address: partition + PARTITION_SIGNAL, word };
    }
    self.results.push(yield* complete(self, "recoverServer", SERVER, ALL));
    self.results.push(machine.word(partition + PARTITION_STATE));
  };
}

/** The failure is declared, and how far the recovery has got before anybody races with it. */
function fail(machine: Machine, looks: number): void {
  must(machine, "failPartition", SERVER, 0);
  for (let look = 0; look < looks; look++) {
    const status = machine.cores[0]?.recoverDeferred(SERVER, ALL);
    if (status !== H_BUSY) throw new Error(`set-up: recoverDeferred answers ${status}`);
  }
}

const RECOVERED = [H_SUCCESS, H_SUCCESS, PARTITION_STOPPED].join();

function against(
  name: string,
  rules: string,
  setUp: (machine: Machine, table: Table) => readonly Program[],
  allowed: readonly string[],
  extra: Partial<Scenario> = {},
): Scenario {
  return {
    name,
    rules,
    mortal: [CLIENT],
    isLong: true,
    recover,
    setUp: (machine) => setUp(machine, open(machine)),
    judge: ([, server, client, third], dead) => {
      // Whoever dies, the server is recovered in the end.
      if (server?.join() !== RECOVERED) return `${name}: the recovery answers ${String(server)}`;
      const text = [client, third].map((results) => results?.join() ?? "").join(" | ");
      return dead !== 0 || allowed.includes(text) ? "" : `${name} answers ${text}`;
    },
    ...extra,
  };
}

/** The client returns the only grant. */
function lastReturn(name: string, looks: number, budget: number): Scenario {
  return against(
    name,
    "FA7 FA1 RE1 FA5",
    (machine, table) => {
      const cookie = grant(table, SERVER, CLIENT);
      accept(table, CLIENT, cookie);
      fail(machine, looks);
      return [
        recovering(budget),
        function* (self) {
          yield* noted(self, "returnLogical", CLIENT, cookie);
        },
      ];
    },
    [`${H_SUCCESS} | `],
  );
}

export const DEFERRED: readonly Scenario[] = [
  lastReturn("last return / first look of a deferred recovery", 0, ALL),
  lastReturn("last return / first look of a deferred recovery, in slices", 0, 1),
  lastReturn("last return / another look of a deferred recovery", 1, ALL),
  against(
    "two last returns / deferred recovery",
    "FA7 RE1 FA5",
    (machine, table) => {
      const cookies = [CLIENT, THIRD].map((lpid) => {
        const cookie = grant(table, SERVER, lpid);
        accept(table, lpid, cookie);
        return cookie;
      });
      fail(machine, 1);
      return [
        recovering(ALL),
        ...[CLIENT, THIRD].map(
          (lpid, index): Program =>
            function* (self) {
              yield* noted(self, "returnLogical", lpid, cookies[index] as number);
            },
        ),
      ];
    },
    [`${H_SUCCESS} | ${H_SUCCESS}`],
  ),
  against(
    "return and accept anew / failure and deferred recovery",
    "FA7 AC5 RE1 FA5",
    (_machine, table) => {
      const cookie = grant(table, SERVER, CLIENT);
      accept(table, CLIENT, cookie);
      return [
        function* (self) {
          yield* call("failPartition", SERVER, 0);
          yield* recovering(ALL)(self);
        },
        function* (self) {
          yield* noted(self, "returnLogical", CLIENT, cookie);
          if ((yield* noted(self, "acceptLogical", CLIENT, cookie)) === H_SUCCESS)
            yield* noted(self, "returnLogical", CLIENT, cookie);
        },
      ];
    },
    [
      [H_SUCCESS, H_SUCCESS, H_SUCCESS],
      [H_SUCCESS, H_RESCINDED],
      [H_SUCCESS, H_PARAMETER],
    ].map((results) => `${results.join()} | `),
  ),
  against(
    "grant on, rescind, return / deferred recovery",
    "FA7 GR3 RE3 FA5",
    (machine, table) => {
      const cookie = grant(table, SERVER, CLIENT);
      const address = accept(table, CLIENT, cookie);
      const unit = table.units[CLIENT]?.[THIRD] as number;
      fail(machine, 0);
      return [
        recovering(ALL),
        function* (self) {
          yield* noted(self, "grantLogical", CLIENT, TYPE_MEMORY, 0, address, PAGE_BYTES, unit);
          const inner = self.result;
          yield* noted(self, "returnLogical", CLIENT, cookie);
          yield* noted(self, "rescindLogical", CLIENT, 0, inner);
          yield* noted(self, "returnLogical", CLIENT, cookie);
        },
      ];
    },
    [`${[H_SUCCESS, H_RESOURCE, H_SUCCESS, H_SUCCESS].join()} | `],
  ),
  against(
    "forced rescind of a grant on, return / deferred recovery",
    "FA7 FA1 RE3 FA5",
    (machine, table) => {
      const outer = grant(table, SERVER, CLIENT);
      const inner = grant(table, CLIENT, THIRD, accept(table, CLIENT, outer) / PAGE_BYTES);
      accept(table, THIRD, inner);
      fail(machine, 1);
      return [
        recovering(ALL),
        function* (self) {
          self.results.push(yield* complete(self, "rescindLogical", CLIENT, RESCIND_FORCED, inner));
          yield* noted(self, "returnLogical", CLIENT, outer);
        },
      ];
    },
    [`${[H_SUCCESS, H_SUCCESS].join()} | `],
  ),
];
