/** Interrupts and doorbells for the schedules: an interrupt against a forced rescind, a ring against who sleeps for it. */
import {
  H_NOT_FOUND,
  H_SUCCESS,
  PARTITION_SIGNAL,
  PARTITION_WAITING,
  TYPE_INTERRUPT,
  TYPE_IPI,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { Machine, Program } from "./schedule-machine.js";
import {
  CLIENT,
  call,
  must,
  noted,
  notedLate,
  open,
  recover,
  rescinded,
  SERVER,
  type Table,
} from "./schedule-table.js";

/** The server's source or port 0, which the client has accepted at 0: the cookie. */
function share({ machine, units }: Table, type: number): number {
  must(machine, "assignResource", SERVER, type, 0, 1, 0, 0);
  const cookie = must(machine, "grantLogical", SERVER, type, 0, 0, 1, units[SERVER]?.[CLIENT] as number);
  must(machine, "acceptLogical", CLIENT, cookie);
  return cookie;
}

/** Sleeps for a doorbell, in the order of src/events.ts: the count is read before it is looked for events. */
const awaitBell: Program = function* (self) {
  const partition = self.machine.partitionAt(SERVER);
  while (true) {
    const word = yield { kind: "load", address: partition + PARTITION_SIGNAL };
    const ring = yield* call("takeEvent", SERVER);
    const status = ring === H_NOT_FOUND ? yield* call("takeLine", SERVER) : ring;
    if (status !== H_NOT_FOUND) {
      self.results.push(status);
      return;
    }
    yield { kind: "store", address: partition + PARTITION_WAITING, value: 1 };
    yield { kind: "sleep", address: partition + PARTITION_SIGNAL, word };
  }
};

export const LINES: readonly Scenario[] = [
  {
    name: "take and raise / forced rescind",
    rules: "KI3 RS4 FA5",
    isLong: true,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine: Machine) => {
      const cookie = share(open(machine), TYPE_INTERRUPT);
      must(machine, "raiseInterrupt", SERVER, 0, 0, 0);
      return [
        function* (self) {
          yield* rescinded(self, SERVER, cookie);
        },
        function* (self) {
          yield* notedLate(self, SERVER);
          yield* noted(self, "takeLine", CLIENT);
          yield* noted(self, "raiseInterrupt", CLIENT, 0, 0, 0);
        },
      ];
    },
    judge: ([, server, client], dead) => {
      if (client?.[0] === 1 && client[1] === H_SUCCESS) return "an event after the rescind";
      if (client?.[0] === 1 && client[2] === H_SUCCESS) return "a raise after the rescind";
      return dead !== 0 || server?.[0] === H_SUCCESS ? "" : `the rescind answers ${String(server)}`;
    },
  },
  {
    name: "wait for a doorbell / ring",
    rules: "KI5 CQ7 FA5",
    isLong: true,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine: Machine) => {
      share(open(machine), TYPE_IPI);
      return [
        awaitBell,
        function* (self) {
          yield* noted(self, "sendIpi", CLIENT, 0);
        },
      ];
    },
    judge: ([, server, client], dead) =>
      dead !== 0 || (server?.[0] === H_SUCCESS && client?.[0] === H_SUCCESS)
        ? ""
        : `wait / ring answers ${String(server)} and ${String(client)}`,
  },
];
