/** Schedules of a device that writes through a DMA window, against what takes the page away from it (KI4). */
import {
  H_BUSY,
  H_PARAMETER,
  H_RESCINDED,
  H_SUCCESS,
  NEED_WRITE,
  PAGE_BYTES,
  STRUCTURE_BYTES,
  STRUCTURE_CURSOR,
  STRUCTURES_AT,
  TYPE_DMA,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { Machine, Program } from "./schedule-machine.js";
import {
  CLIENT,
  call,
  expectOneOf,
  grant,
  must,
  noted,
  open,
  placeOf,
  recover,
  rescinded,
  SERVER,
  type Table,
  THIRD,
} from "./schedule-table.js";

/** The third one's thread runs the device model. */
const DEVICE = THIRD;
const BOTH = 3;

interface Window {
  readonly table: Table;
  /** Of the client's memory behind the bus, and of its pane. */
  readonly memory: number;
  readonly pane: number;
  readonly place: number;
}

/** The server's window of one page, in which the client has put a page that the server shares with it. */
function openWindow(machine: Machine): Window {
  const table = open(machine);
  const memory = grant(table, SERVER, CLIENT);
  const address = must(machine, "acceptLogical", CLIENT, memory);
  must(machine, "assignResource", SERVER, TYPE_DMA, 0, PAGE_BYTES, 0, 0);
  const unit = table.units[SERVER]?.[CLIENT] as number;
  const pane = must(machine, "grantLogical", SERVER, TYPE_DMA, 0, 0, PAGE_BYTES, unit);
  must(machine, "acceptLogical", CLIENT, pane);
  must(machine, "putTce", CLIENT, 0, 0, address + BOTH);
  return { table, memory, pane, place: placeOf(table, CLIENT, address) };
}

/**
 * A device model that writes twice, as JavaScript does. Where one call of another thread shows it more than one refusal, it
 * is noted only that it is refused.
 */
function device(refusal?: number): Program {
  return function* (self) {
    for (let i = 0; i < 2; i++) {
      const status = yield* call("beginDma", SERVER, 0, 0, 0, 4, NEED_WRITE);
      self.results.push(status === H_SUCCESS ? status : (refusal ?? status));
      if (status !== H_SUCCESS) continue;
      yield { kind: "access", address: self.result, writes: true };
      yield* call("endUse");
    }
  };
}

/** The answers of the other two threads, then those of a device that finds the page until it is refused with `status`. */
function answers(others: string, status: number): readonly string[] {
  return [
    [H_SUCCESS, H_SUCCESS],
    [H_SUCCESS, status],
    [status, status],
  ].map((device) => `${others} | ${device.join(",")}`);
}

/** A forced rescind by the server of the memory, or of the pane. */
function againstRescind(what: "memory" | "pane"): Scenario {
  const name = `forced rescind of the ${what} / DMA`;
  const allowed = answers(`${H_SUCCESS} | `, H_RESCINDED);
  return {
    name,
    rules: "KI4 G6 RS4",
    isLong: true,
    mortal: [SERVER, DEVICE],
    recover,
    setUp: (machine) => {
      const window = openWindow(machine);
      return [
        function* (self) {
          yield* rescinded(self, SERVER, window[what]);
          machine.monitor.forbid(machine.frameOf(window.place), DEVICE);
        },
        function* () {},
        // An entry whose pane is being torn down is H_RESCINDED, then there is none: H_PARAMETER.
        device(H_RESCINDED),
      ];
    },
    judge: expectOneOf(name, allowed),
  };
}

/** The client takes its entry away, and knows when no device uses the page any more. */
function againstRemoval(): Scenario {
  const name = "removal of an entry / DMA";
  return {
    name,
    rules: "KI4 G6",
    isLong: true,
    mortal: [CLIENT, DEVICE],
    recover,
    setUp: (machine) => {
      const window = openWindow(machine);
      return [
        function* () {},
        function* (self) {
          let status = yield* call("putTce", CLIENT, 0, 0, 0);
          while (status === H_BUSY) {
            yield { kind: "wait" };
            status = yield* call("putTce", CLIENT, 0, 0, 0);
          }
          self.results.push(status);
          machine.monitor.forbid(machine.frameOf(window.place), DEVICE);
        },
        device(),
      ];
    },
    judge: expectOneOf(name, answers(` | ${H_SUCCESS}`, H_PARAMETER)),
  };
}

/**
 * While a device looks at an entry, another one with the same first word comes to stand there, and the pane of the first has become
 * somebody else's. Who rescinds normally waits for the device; one of a server that waits for its borrowers ends with the return.
 */
function againstSameWord(): Scenario {
  const name = "DMA / entries put again, and the pane in other hands";
  return {
    name,
    rules: "KI4 G6",
    isLong: true,
    races: false,
    mortal: [],
    recover,
    setUp: (machine) => {
      const { table, pane } = openWindow(machine);
      const [toClient, toThird] = [CLIENT, THIRD].map((to) => table.units[SERVER]?.[to] as number);
      const other = must(machine, "grantLogical", SERVER, TYPE_DMA, 0, 0, PAGE_BYTES, toClient as number);
      must(machine, "putTce", CLIENT, 0, 0, BOTH);
      const victim = placeOf(table, THIRD, 0);
      const cursor = STRUCTURES_AT + (pane % 2 ** 24) * STRUCTURE_BYTES + STRUCTURE_CURSOR;
      return [
        function* () {},
        function* (self) {
          machine.monitor.forbid(machine.frameOf(victim), DEVICE);
          yield* call("putTce", CLIENT, 0, 0, 0);
          yield* call("returnLogical", CLIENT, pane);
          // Nobody waits for uses, as where the return ends the grant.
          yield { kind: "store", address: cursor, value: 0 };
          yield* noted(self, "rescindLogical", SERVER, 0, pane);
          yield* noted(self, "grantLogical", SERVER, TYPE_DMA, 0, 0, PAGE_BYTES, toThird as number);
          yield* noted(self, "acceptLogical", THIRD, self.result);
          yield* noted(self, "acceptLogical", CLIENT, other);
          for (const tce of [BOTH, 0, BOTH]) yield* call("putTce", CLIENT, 0, 0, tce);
        },
        function* (self) {
          const status = yield* noted(self, "beginDma", SERVER, 0, 0, 0, 4, NEED_WRITE);
          if (status !== H_SUCCESS) return;
          yield { kind: "access", address: self.result, writes: true };
          yield* call("endUse");
        },
      ];
    },
    judge: expectOneOf(
      name,
      [H_SUCCESS, H_PARAMETER].map((status) => ` | 0,0,0,0 | ${status}`),
    ),
  };
}

export const DMA: readonly Scenario[] = [
  againstRescind("memory"),
  againstRescind("pane"),
  againstRemoval(),
  againstSameWord(),
];
