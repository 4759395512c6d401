/** Schedules of lends: a use by the lender against the lend, and a use by the borrower against the end of it. */
import {
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_RESOURCE,
  H_SUCCESS,
  MODE_LEND,
  MODE_ZERO,
  PAGE_BYTES,
  TYPE_MEMORY,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { Call, LogicalThread, Machine, Program, Step } from "./schedule-machine.js";

type Part = Generator<Step, number, number>;

/** What schedule-scenarios.ts lends. */
export interface Kit {
  open(machine: Machine): { readonly units: readonly (readonly number[])[] };
  must(machine: Machine, name: Call, ...args: readonly number[]): number;
  use(self: LogicalThread, lpid: number, address: number, writes: boolean): Part;
  readonly recover: Program;
  expectOneOf(name: string, allowed: readonly string[]): NonNullable<Scenario["judge"]>;
}

const SERVER = 1;
const CLIENT = 2;
const THIRD = 3;
const BUSY = H_LONG_BUSY_10_MSEC;

/** A call that is made again while somebody's use holds it up, as the loops of the host do. */
function* patient(self: LogicalThread, name: Call, ...args: readonly number[]): Part {
  while (true) {
    const status = yield { kind: "call", name, args };
    if (status === BUSY) {
      yield { kind: "wait" };
      continue;
    }
    self.results.push(status);
    return status;
  }
}

export function modeScenarios({ open, must, use, recover, expectOneOf }: Kit): readonly Scenario[] {
  const lending = (unit = 0): readonly number[] => [
    ...[SERVER, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit, MODE_LEND | MODE_ZERO],
  ];
  const against: Scenario = {
    name: "lend / use by the lender",
    rules: "OM2 G6 FA5",
    isLong: true,
    mortal: [SERVER, CLIENT],
    recover,
    setUp: (machine) => {
      const { units } = open(machine);
      const place = must(machine, "checkAccess", SERVER, 0, 4, 1);
      return [
        function* (self) {
          const status = yield* patient(self, "grantMode", ...lending(units[SERVER]?.[THIRD]));
          if (status === H_SUCCESS) machine.monitor.forbid(machine.frameOf(place), CLIENT);
        },
        // Whoever has the object of a partition may call for it, in any thread.
        function* (self) {
          yield* use(self, SERVER, 0, true);
        },
      ];
    },
    judge: expectOneOf("lend / use by the lender", [
      `${H_SUCCESS} | ${H_SUCCESS}`,
      `${H_SUCCESS} | ${H_RESOURCE}`,
    ]),
  };
  const ending: Scenario = {
    name: "return and rescind of a lend / use by the borrower",
    rules: "OM4 OM5 G6",
    isLong: true,
    mortal: [],
    recover,
    setUp: (machine) => {
      const { units } = open(machine);
      const cookie = must(machine, "grantMode", ...lending(units[SERVER]?.[CLIENT]));
      const address = must(machine, "acceptLogical", CLIENT, cookie);
      const place = must(machine, "checkAccess", CLIENT, address, 4, 1);
      return [
        function* (self) {
          yield* patient(self, "returnLogical", CLIENT, cookie);
          // Its pages are zero, and nobody writes to them any more.
          machine.monitor.forbid(machine.frameOf(place), CLIENT);
          yield* patient(self, "rescindLogical", SERVER, 0, cookie);
        },
        function* (self) {
          yield* use(self, CLIENT, address, true);
        },
      ];
    },
    judge: expectOneOf("return and rescind of a lend / use by the borrower", [
      `${H_SUCCESS},${H_SUCCESS} | ${H_SUCCESS}`,
      `${H_SUCCESS},${H_SUCCESS} | ${H_PARAMETER}`,
    ]),
  };
  return [against, ending];
}
