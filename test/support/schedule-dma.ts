/** Schedules of a device that writes through a DMA window, against what takes the page away from it (KI4). */
import {
  H_BUSY,
  H_PARAMETER,
  H_RESCINDED,
  H_SUCCESS,
  NEED_WRITE,
  PAGE_BYTES,
  TYPE_DMA,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { Call, LogicalThread, Machine, Program, Step } from "./schedule-machine.js";

type Part = Generator<Step, number, number>;

interface Table {
  readonly machine: Machine;
  readonly units: readonly (readonly number[])[];
}

/** What all scenarios are made of. */
export interface Tools {
  readonly open: (machine: Machine) => Table;
  readonly must: (machine: Machine, name: Call, ...args: readonly number[]) => number;
  readonly grant: (table: Table, from: number, to: number) => number;
  readonly placeOf: (table: Table, lpid: number, address: number) => number;
  readonly rescinded: (self: LogicalThread, lpid: number, cookie: number) => Part;
  readonly call: (name: Call, ...args: readonly number[]) => Part;
  readonly recover: Program;
  readonly expectOneOf: (name: string, allowed: readonly string[]) => NonNullable<Scenario["judge"]>;
}

const SERVER = 1;
const CLIENT = 2;
const DEVICE = 3;
const BOTH = 3;

interface Window {
  readonly table: Table;
  /** Of the client's memory behind the bus, and of its pane. */
  readonly memory: number;
  readonly pane: number;
  readonly place: number;
}

/** The server's window of one page, in which the client has put a page that the server shares with it. */
function openWindow(tools: Tools, machine: Machine): Window {
  const { must } = tools;
  const table = tools.open(machine);
  const memory = tools.grant(table, SERVER, CLIENT);
  const address = must(machine, "acceptLogical", CLIENT, memory);
  must(machine, "assignResource", SERVER, TYPE_DMA, 0, PAGE_BYTES, 0, 0);
  const unit = table.units[SERVER]?.[CLIENT] as number;
  const pane = must(machine, "grantLogical", SERVER, TYPE_DMA, 0, 0, PAGE_BYTES, unit);
  must(machine, "acceptLogical", CLIENT, pane);
  must(machine, "putTce", CLIENT, 0, 0, address + BOTH);
  return { table, memory, pane, place: tools.placeOf(table, CLIENT, address) };
}

/**
 * A device model that writes twice, as JavaScript does. Where one call of another thread shows it more than one refusal, it
 * is noted only that it is refused.
 */
function device({ call }: Tools, refusal?: number): Program {
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
function againstRescind(tools: Tools, what: "memory" | "pane"): Scenario {
  const name = `forced rescind of the ${what} / DMA`;
  const allowed = answers(`${H_SUCCESS} | `, H_RESCINDED);
  return {
    name,
    rules: "KI4 G6 RS4",
    isLong: true,
    mortal: [SERVER, DEVICE],
    recover: tools.recover,
    setUp: (machine) => {
      const window = openWindow(tools, machine);
      return [
        function* (self) {
          yield* tools.rescinded(self, SERVER, window[what]);
          machine.monitor.forbid(machine.frameOf(window.place), DEVICE);
        },
        function* () {},
        // An entry whose pane is being torn down is H_RESCINDED, then there is none: H_PARAMETER.
        device(tools, H_RESCINDED),
      ];
    },
    judge: tools.expectOneOf(name, allowed),
  };
}

/** The client takes its entry away, and knows when no device uses the page any more. */
function againstRemoval(tools: Tools): Scenario {
  const name = "removal of an entry / DMA";
  return {
    name,
    rules: "KI4 G6",
    isLong: true,
    mortal: [CLIENT, DEVICE],
    recover: tools.recover,
    setUp: (machine) => {
      const window = openWindow(tools, machine);
      return [
        function* () {},
        function* (self) {
          let status = yield* tools.call("putTce", CLIENT, 0, 0, 0);
          while (status === H_BUSY) {
            yield { kind: "wait" };
            status = yield* tools.call("putTce", CLIENT, 0, 0, 0);
          }
          self.results.push(status);
          machine.monitor.forbid(machine.frameOf(window.place), DEVICE);
        },
        device(tools),
      ];
    },
    judge: tools.expectOneOf(name, answers(` | ${H_SUCCESS}`, H_PARAMETER)),
  };
}

export function dmaScenarios(tools: Tools): readonly Scenario[] {
  return [againstRescind(tools, "memory"), againstRescind(tools, "pane"), againstRemoval(tools)];
}
