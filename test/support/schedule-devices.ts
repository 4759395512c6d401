/** Schedules of accesses to devices: against a revocation of their window, and through the mailbox of who asks. */
import type { Core } from "../../src/binding.js";
import {
  H_NOT_FOUND,
  H_PARTIAL,
  H_RESCINDED,
  H_SUCCESS,
  MAIL_NEED_SHIFT,
  MAIL_SERVER,
  MAIL_STATE,
  MAIL_VALUE,
  NEED_READ,
  NEED_WRITE,
  PAGE_BYTES,
  THREAD_NAME,
  THREAD_TAKEN,
  TYPE_MMIO,
} from "../../src/layout.js";
import type { Scenario } from "./schedule-explore.js";
import type { LogicalThread, Machine } from "./schedule-machine.js";
import {
  accept,
  CLIENT,
  call,
  expectOneOf,
  must,
  noted,
  notedWithResult,
  open,
  type Part,
  placeOf,
  recover,
  rescinded,
  SERVER,
  type Table,
} from "./schedule-table.js";

const OK = String(H_SUCCESS);
const REFUSED = String(H_RESCINDED);

export const DEVICES: readonly Scenario[] = [
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
