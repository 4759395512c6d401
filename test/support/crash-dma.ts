/** Scenarios of the crash net on TCEs (KI4). Partition 1 has a window of two bus pages from page 0 on, and gets one more. */
import type { Core } from "../../src/binding.js";
import {
  H_BUSY,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  PAGE_BYTES,
  REQUEST_BYTES,
  TOKEN_GET_TCE,
  TOKEN_PUT_TCE,
  TOKEN_PUT_TCE_INDIRECT,
  TOKEN_STUFF_TCE,
  TYPE_DMA,
} from "../../src/layout.js";
import type { Calls, Table } from "./crash-scenarios.js";
import { writeRequest } from "./requests.js";

const KIB4 = PAGE_BYTES;
const BOTH = 3;
const FORCED = 1;
const MANY = 2 ** 30;
/** First page of the window that the scenarios have of their own, and how many it has. */
const WINDOW = 2;
const PAGES = 6;

type Add = (name: string, calls: Calls) => void;

/** The owner's window. */
function open(made: Table): void {
  made.get(made.core.assignResource(1, TYPE_DMA, WINDOW * KIB4, PAGES * KIB4, 64 * KIB4, 0));
}

/** A pane of it that another partition has accepted: its cookie and first page. */
function pane(made: Table, lpid: number, first = 0, pages = PAGES): [number, number] {
  return made.share(1, lpid, WINDOW + first, pages, TYPE_DMA);
}

function put(made: Table, lpid: number, page: number, memory: number): void {
  made.get(made.core.putTce(lpid, 0, page * KIB4, memory * KIB4 + BOTH));
}

/** Writes a list of entries to a page of a partition's memory. */
function list(made: Table, lpid: number, page: number, tces: readonly number[]): void {
  for (const [index, tce] of tces.entries()) {
    made.get(made.core.storeWord(lpid, page * KIB4 + index * 8, tce));
    made.get(made.core.storeWord(lpid, page * KIB4 + index * 8 + 4, 0));
  }
}

function again(step: () => number, ...ends: readonly number[]): void {
  while (true) {
    const answer = step();
    if (ends.includes(answer)) return;
    if (answer !== H_PARTIAL) throw new Error(`going on: ${answer}`);
  }
}

function rescind(core: Core, cookie: number): void {
  again(() => core.rescindLogical(1, FORCED, cookie), H_SUCCESS, H_PARAMETER);
}

function recover(core: Core, lpid: number, budget: number): void {
  again(() => core.recoverClient(lpid, budget), H_SUCCESS, H_RESOURCE);
  again(() => core.recoverServer(lpid, budget), H_SUCCESS, H_RESOURCE);
}

/** A window with entries of its owner and two clients, in panes that overlap, some of them dead. */
function full(made: Table): { cookie: number; page: number; memory: number } {
  open(made);
  const [memory, at] = made.share(1, 2, 0, 2);
  const [cookie, page] = pane(made, 2);
  const [, other] = made.share(2, 3, page + 2, 3, TYPE_DMA);
  put(made, 1, WINDOW, 1);
  put(made, 2, page + 1, at);
  put(made, 2, page + 2, 1);
  put(made, 2, page + 5, at + 1);
  put(made, 3, other + 1, 2);
  return { cookie, page, memory };
}

function puts(add: Add, addShared: Add): void {
  add("put a TCE, the owner's, fresh", (made) => {
    open(made);
    return { status: H_SUCCESS, call: (core) => core.putTce(1, 0, WINDOW * KIB4, KIB4 + BOTH) };
  });
  add("put a TCE through a pane", (made) => {
    open(made);
    const [, page] = pane(made, 2);
    const [, at] = made.share(1, 2, 0, 2);
    return { status: H_SUCCESS, call: (core) => core.putTce(2, 0, (page + 3) * KIB4, at * KIB4 + 1) };
  });
  add("put a TCE in the place of another one", (made) => {
    const { page } = full(made);
    return { status: H_SUCCESS, call: (core) => core.putTce(2, 0, (page + 1) * KIB4, 2 * KIB4 + BOTH) };
  });
  add("put the same TCE again", (made) => {
    const { page } = full(made);
    return { status: H_SUCCESS, call: (core) => core.putTce(2, 0, (page + 2) * KIB4, KIB4 + BOTH) };
  });
  add("remove a TCE", (made) => {
    const { page } = full(made);
    return { status: H_SUCCESS, call: (core) => core.putTce(2, 0, (page + 5) * KIB4, 0) };
  });
  add("put a TCE where another holder's is", (made) => {
    const { page } = full(made);
    return { status: H_RESOURCE, call: (core) => core.putTce(2, 0, page * KIB4, BOTH) };
  });
  add("put a TCE that gives too much", (made) => {
    const { page } = full(made);
    const [, at] = made.share(1, 2, 3, 1, 0x41);
    return { status: H_PERMISSION, call: (core) => core.putTce(2, 0, page * KIB4, at * KIB4 + BOTH) };
  });
  for (const isGone of [false, true])
    add(`put a TCE where a dead one is${isGone ? ", of a memory that is another's by now" : ""}`, (made) => {
      const { memory } = full(made);
      rescind(made.core, memory);
      if (isGone) {
        made.get(made.core.returnLogical(2, memory));
        made.share(3, 2, 1, 2);
      }
      return { status: H_SUCCESS, call: (core) => core.putTce(1, 0, (WINDOW + 1) * KIB4, BOTH) };
    });
  add("put a TCE through a pane that is granted on very often", (made) => {
    open(made);
    made.connect(1, 2, 100);
    let from = WINDOW;
    let holder = 1;
    for (let depth = 0; depth < 66; depth++) {
      const to = holder === 1 ? 2 : 1;
      const near = depth === 0 || holder === 1 ? made.unit(1, 2, 1) : made.unit(2, 1, 1);
      made.get(made.core.grantLogical(holder, TYPE_DMA, 0, from * KIB4, KIB4, near));
      // The DMA space is small: what is granted back is accepted where it came from.
      const cookie = made.rig.result(0);
      const answer = made.core.acceptLogical(to, cookie);
      if (answer !== H_SUCCESS) break;
      from = made.rig.result(0) / KIB4;
      holder = to;
    }
    return { status: H_SUCCESS, call: (core) => core.putTce(holder, 0, from * KIB4, BOTH) };
  });
  addShared("remove a TCE that a device goes on using", (made) => {
    const { page } = full(made);
    made.get(made.rig.core(2).beginDma(1, 0, 65 * KIB4, 3 * KIB4, 8, 1));
    return {
      status: H_BUSY,
      call: (core) => core.putTce(2, 0, (page + 1) * KIB4, 0),
      leave: { epochs: [2] },
      othersAreBusy: true,
    };
  });
}

function lists(add: Add): void {
  add("stuff TCEs over some that are there", (made) => {
    open(made);
    const [, page] = pane(made, 2);
    const [, at] = made.share(1, 2, 0, 2);
    put(made, 2, page + 1, at);
    put(made, 2, page + 2, 3);
    return { status: H_SUCCESS, call: (core) => core.stuffTce(2, 0, page * KIB4, KIB4 + BOTH, 5) };
  });
  add("stuff nothing", (made) => {
    open(made);
    const [, page] = pane(made, 2);
    for (const index of [0, 1, 3, 5]) put(made, 2, page + index, index % 2);
    return { status: H_SUCCESS, call: (core) => core.stuffTce(2, 0, page * KIB4, 0, 6) };
  });
  add("put a list of TCEs from memory", (made) => {
    open(made);
    const [, page] = pane(made, 2);
    const [, at] = made.share(1, 2, 0, 2);
    put(made, 2, page + 1, at);
    list(made, 2, 3, [KIB4 + BOTH, at * KIB4 + 1, 0, (at + 1) * KIB4 + 2, BOTH]);
    return { status: H_SUCCESS, call: (core) => core.putTceIndirect(2, 0, page * KIB4, 3 * KIB4, 5) };
  });
  add("put a list of TCEs from staging", (made) => {
    open(made);
    const at = made.get(made.core.takeStaging(1));
    for (const [index, tce] of [KIB4 + BOTH, BOTH, 0, 2 * KIB4 + 1].entries())
      made.rig.floats[at / 8 + index] = tce;
    return { status: H_SUCCESS, call: (core) => core.putTceList(1, 0, WINDOW * KIB4, at, 4) };
  });
  add("put a list of TCEs, the last of them none", (made) => {
    open(made);
    list(made, 1, 3, [KIB4 + BOTH, BOTH, 5]);
    return {
      status: H_PARAMETER,
      call: (core) => core.putTceIndirect(1, 0, WINDOW * KIB4, 3 * KIB4, 3),
    };
  });
  add("a batch of calls on TCEs", (made) => {
    const { page } = full(made);
    list(made, 2, 3, [KIB4 + BOTH, BOTH]);
    const at = made.get(made.core.takeStaging(1));
    const requests: readonly (readonly number[])[] = [
      [TOKEN_PUT_TCE, 2, 0, (page + 5) * KIB4, BOTH],
      [TOKEN_PUT_TCE_INDIRECT, 2, 0, (page + 4) * KIB4, 3 * KIB4, 2],
      [TOKEN_STUFF_TCE, 2, 0, (page + 4) * KIB4, 0, 2],
      [TOKEN_GET_TCE, 2, 0, (page + 2) * KIB4],
      [TOKEN_GET_TCE, 2, 0, (page + 4) * KIB4],
    ];
    for (const [index, [token = 0, lpid = 0, ...args]] of requests.entries())
      writeRequest(made.rig, at + index * REQUEST_BYTES, token, lpid, args, false);
    return {
      status: H_SUCCESS,
      call: (core) => core.hcallBatch(at, requests.length),
      goOn: (core) => {
        core.hcallBatch(at, requests.length);
      },
      leave: { staging: true },
    };
  });
}

function ends(add: Add): void {
  for (const budget of [MANY, 12])
    add(`forced rescind of a pane with TCEs, budget ${budget}`, (made) => {
      const { cookie } = full(made);
      made.budget(budget);
      return {
        call: (core) => core.rescindLogical(1, FORCED, cookie),
        goOn: (core) => rescind(core, cookie),
      };
    });
  add("forced rescind of a pane with TCEs, its last slices", (made) => {
    const { cookie } = full(made);
    made.budget(3);
    for (let slice = 0; slice < 3; slice++) made.get(made.core.rescindLogical(1, FORCED, cookie), H_PARTIAL);
    return { call: (core) => core.rescindLogical(1, FORCED, cookie), goOn: (core) => rescind(core, cookie) };
  });
  add("forced rescind of memory that a TCE names", (made) => {
    const { memory } = full(made);
    made.budget(MANY);
    return {
      status: H_SUCCESS,
      call: (core) => core.rescindLogical(1, FORCED, memory),
      goOn: (core) => rescind(core, memory),
    };
  });
  add("rescind of a pane that nobody has accepted", (made) => {
    open(made);
    const cookie = made.grant(1, 2, WINDOW, 2, TYPE_DMA);
    return { status: H_SUCCESS, call: (core) => core.rescindLogical(1, 0, cookie) };
  });
  add("return memory that a TCE names", (made) => {
    const { memory } = full(made);
    return { status: H_RESOURCE, call: (core) => core.returnLogical(2, memory) };
  });
  add("put a TCE through a pane that was rescinded", (made) => {
    const { cookie, page } = full(made);
    rescind(made.core, cookie);
    return { status: H_RESCINDED, call: (core) => core.putTce(2, 0, page * KIB4, BOTH) };
  });
  for (const [lpid, what] of [
    [1, "owner of a window"],
    [2, "holder of TCEs"],
  ] as const)
    for (const budget of [MANY, 4])
      add(`recover the ${what}, budget ${budget}`, (made) => {
        full(made);
        made.fail(lpid);
        return {
          call: (core) => core.recoverServer(lpid, budget),
          goOn: (core) => recover(core, lpid, budget),
        };
      });
}

/** With a window of more pages than one step of ending its entries takes. */
function wide(addWide: Add): void {
  const prepare = (made: Table): [number, number] => {
    made.get(made.core.assignResource(1, TYPE_DMA, WINDOW * KIB4, 130 * KIB4, 64 * KIB4, 0));
    const [cookie, page] = made.share(1, 2, WINDOW, 130, TYPE_DMA);
    for (const index of [0, 70, 129]) put(made, 2, page + index, 1);
    for (const index of [1, 71, 128]) put(made, 1, WINDOW + index, 1);
    return [cookie, page];
  };
  for (const slices of [0, 1, 2, 3])
    addWide(`forced rescind of a wide pane with TCEs, slice ${slices + 1}`, (made) => {
      const [cookie] = prepare(made);
      made.budget(2);
      for (let slice = 0; slice < slices; slice++)
        made.get(made.core.rescindLogical(1, FORCED, cookie), H_PARTIAL);
      return {
        call: (core) => core.rescindLogical(1, FORCED, cookie),
        goOn: (core) => rescind(core, cookie),
      };
    });
  for (const slices of [0, 1, 2, 3])
    addWide(`recover the owner of a wide window, slice ${slices + 1}`, (made) => {
      const [cookie] = prepare(made);
      rescind(made.core, cookie);
      made.fail(1);
      for (let slice = 0; slice < slices; slice++) made.get(made.core.recoverServer(1, 2), H_PARTIAL);
      return { call: (core) => core.recoverServer(1, 2), goOn: (core) => recover(core, 1, 2) };
    });
}

/** All of them; `addWide` with more than 64 pages of DMA space. */
export function dmaScenarios(add: Add, addShared: Add, addWide: Add): void {
  wide(addWide);
  puts(add, addShared);
  lists(add);
  ends(add);
}
