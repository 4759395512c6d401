/** Schedules of lends: a use by the lender against the lend, and a use by the borrower against the end of it. */
import {
  H_PARAMETER,
  H_RESOURCE,
  H_SUCCESS,
  MODE_LEND,
  MODE_ZERO,
  PAGE_BYTES,
  TYPE_MEMORY,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import { CLIENT, expectOneOf, must, open, patiently, recover, SERVER, THIRD, use } from "./schedule-table.js";

function modeScenarios(): readonly Scenario[] {
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
          const status = yield* patiently(self, "grantMode", ...lending(units[SERVER]?.[THIRD]));
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
          yield* patiently(self, "returnLogical", CLIENT, cookie);
          // Its pages are zero, and nobody writes to them any more.
          machine.monitor.forbid(machine.frameOf(place), CLIENT);
          yield* patiently(self, "rescindLogical", SERVER, 0, cookie);
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

export const MODES: readonly Scenario[] = modeScenarios();
