/** Schedules in which pages are copied before they are written, or merged with equal ones. */
import {
  ENTRY_READ,
  H_LONG_BUSY_10_MSEC,
  H_NOT_FOUND,
  H_PARAMETER,
  H_SUCCESS,
  HEADER_STAGING_AT,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  TYPE_MEMORY,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import {
  accept,
  CLIENT,
  call,
  expectOneOf,
  must,
  noted,
  notedLate,
  open,
  patiently,
  placeOf,
  recover,
  SERVER,
  type Table,
  THIRD,
  use,
} from "./schedule-table.js";

const OK = String(H_SUCCESS);

/** The client has accepted the server's first page, to be copied before it is written. */
function acceptCopied(table: Table): { readonly cookie: number; readonly address: number } {
  const unit = table.units[SERVER]?.[CLIENT] as number;
  const cookie = must(table.machine, "grantCopyOnWrite", SERVER, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit);
  return { cookie, address: accept(table, CLIENT, cookie) };
}

export const COPIES: readonly Scenario[] = [
  {
    name: "read of a merged page / write to it, then by who is left there",
    rules: "G6 TR3",
    isLong: true,
    mortal: [],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      must(machine, "mergePages", CLIENT, 0, THIRD, 0);
      const place = placeOf(table, THIRD, 0);
      return [
        function* (self) {
          yield* patiently(self, "storeWord", CLIENT, 0, 7);
          machine.monitor.forbid(machine.frameOf(place), CLIENT);
          yield* patiently(self, "storeWord", THIRD, 0, 9);
        },
        function* (self) {
          yield* use(self, CLIENT, 0, false);
          yield* notedLate(self, SERVER);
        },
      ];
    },
    judge: expectOneOf(
      "write / read",
      [0, 1].map((late) => `${OK},${OK} | ${OK},${late}`),
    ),
  },
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
  // Whoever copies a page may die before that has happened: nobody else has used the frame, which is free again.
  {
    name: "write to a page that is copied / the same by another thread, and one dies",
    rules: "FA5 TR3 TR5",
    isLong: true,
    mortal: [CLIENT],
    recover: function* () {},
    setUp: (machine) => {
      const table = open(machine);
      const { address } = acceptCopied(table);
      return [
        function* () {},
        function* (self) {
          yield* noted(self, "storeWord", CLIENT, address + 8, 7);
        },
        function* (self) {
          yield* use(self, CLIENT, address, true);
        },
      ];
    },
    judge: expectOneOf("writes", [` | ${OK} | ${OK}`]),
  },
  {
    name: "merge of two pages, whose thread dies / read of one, then a write to the other",
    rules: "FA5 G6",
    isLong: true,
    mortal: [SERVER],
    recover: function* (self) {
      if ((yield* noted(self, "storeWord", CLIENT, 0, 7)) !== H_SUCCESS) return;
      yield* call("checkAccess", CLIENT, 0, 4, NEED_READ);
      self.machine.monitor.forbid(self.machine.frameOf(self.result), THIRD);
    },
    setUp: (machine) => {
      open(machine);
      return [
        function* (self) {
          yield* noted(self, "mergePages", CLIENT, 0, THIRD, 0);
        },
        function* () {},
        // Between its beginning and its end others get on. Where the page is held it is refused, which is not noted: beginUse() would wait.
        function* () {
          const frame = yield* call("openUse", THIRD, 0, 0, ENTRY_READ);
          if (frame < 0) return;
          const isLate = (yield { kind: "look", slot: SERVER }) + (yield { kind: "look", slot: 0 });
          if (isLate === 0) yield { kind: "wait" };
          yield { kind: "access", address: machine.frameAt(frame), writes: false };
          yield* call("endUse");
        },
      ];
    },
    judge: expectOneOf(
      "merge / read",
      [H_SUCCESS, H_LONG_BUSY_10_MSEC].map((merged) => `${merged} |  | `),
    ),
  },
  {
    name: "batch translation for a write / write that copies the page",
    rules: "TR1",
    isLong: true,
    races: false,
    mortal: [],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const { address } = acceptCopied(table);
      const staging = machine.word(HEADER_STAGING_AT);
      const [physical, statuses] = [staging + 8, staging + 16];
      machine.floats[staging / 8] = address;
      return [
        function* (self) {
          const args = [CLIENT, TYPE_MEMORY, NEED_WRITE, staging, physical, statuses, 1, 0];
          yield* noted(self, "translateBatch", ...args);
          self.results.push((machine.words[statuses / 4] as number) | 0);
          yield* notedLate(self, CLIENT);
        },
        function* (self) {
          yield* noted(self, "storeWord", CLIENT, address, 7);
        },
      ];
    },
    judge: expectOneOf("translation / write", [`${OK},${OK},0 | ${OK}`, `${OK},${OK},1 | ${OK}`]),
  },
  {
    name: "write to a private page / return of it in another thread",
    rules: "RE1 G6 FA5",
    isLong: true,
    mortal: [],
    recover,
    setUp: (machine) => {
      const table = open(machine);
      const { cookie, address } = acceptCopied(table);
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
];
