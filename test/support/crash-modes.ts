/**
 * Crash scenarios of lends and donations (assembly/lend.ts, assembly/donate.ts), on the table of crash-scenarios.ts: there
 * page n of partition 1 stands on frame n.
 */
import type { Core } from "../../src/binding.js";
import {
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_PARAMETER,
  H_PARTIAL,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_FRAMES_AT,
  MODE_DONATE,
  MODE_LEND,
  MODE_ZERO,
  PAGE_BYTES,
  TYPE_MEMORY,
} from "../../src/layout.js";
import type { Rig } from "./crash-rig.js";
import type { Act } from "./crash-scenarios.js";

/** What of a table these scenarios need. */
interface Made {
  readonly rig: Rig;
  readonly core: Core;
  get(answer: number, expected?: number): number;
  unit(a: number, b: number, index?: number): number;
  accept(lpid: number, cookie: number): number;
  share(a: number, b: number, page: number, pages?: number): [number, number];
  pin(lpid: number, page: number, pages?: number): number;
  budget(steps: number): void;
  fail(lpid: number): void;
  age(cookie: number): number;
}

/** What crash-scenarios.ts lends. */
export interface Kit {
  add(name: string, calls: (made: Made) => Act): void;
  addShared(name: string, calls: (made: Made) => Act): void;
  rescind(core: Core, lpid: number, cookie: number): void;
  recoverClient(core: Core, lpid: number, budget?: number): void;
  recoverServer(core: Core, lpid: number, budget?: number): void;
}

const KIB4 = PAGE_BYTES;
const FORCED = 1;
const MANY = 2 ** 30;
const ZERO = MODE_LEND | MODE_ZERO;

const granting =
  (made: Made, a: number, b: number, page: number, pages: number, mode: number) =>
  (core: Core): number =>
    core.grantMode(a, TYPE_MEMORY, 0, page * KIB4, pages * KIB4, made.unit(a, b), mode);

/** A grant in a mode, not accepted. */
function offer(made: Made, a: number, b: number, page: number, pages: number, mode: number): number {
  return made.get(granting(made, a, b, page, pages, mode)(made.core));
}

/** One that is: its cookie, and the first page at which it is mapped. */
function lend(made: Made, a: number, b: number, page: number, pages = 1, mode = MODE_LEND): [number, number] {
  const cookie = offer(made, a, b, page, pages, mode);
  return [cookie, made.accept(b, cookie) / KIB4];
}

/** Some frames must be zero. */
function expectZero(rig: Rig, frames: readonly number[]): void {
  for (const frame of frames) {
    const at = rig.word(HEADER_FRAMES_AT) + frame * KIB4;
    if (rig.bytes.subarray(at, at + KIB4).some((byte) => byte !== 0))
      throw new Error(`frame ${frame} is not zero in the end`);
  }
}

/** Gives a zero lend back to the end. */
function giveBack(core: Core, lpid: number, cookie: number): void {
  while (true) {
    const answer = core.returnLogical(lpid, cookie);
    // Whoever is undone after the end finds it returned.
    if (answer === H_SUCCESS || answer === H_PARAMETER) return;
    if (answer !== H_BUSY) throw new Error(`going on: ${answer}`);
  }
}

function addGrants({ add, addShared }: Kit): void {
  add("lend, two pages", (made) => ({ status: H_SUCCESS, call: granting(made, 2, 3, 1, 2, MODE_LEND) }));
  add("lend of what was borrowed, beside another", (made) => {
    const [, page] = lend(made, 1, 2, 0, 3);
    offer(made, 2, 3, page, 1, ZERO);
    return { status: H_SUCCESS, call: granting(made, 2, 3, page + 1, 2, ZERO) };
  });
  add("lend of what was shared before", (made) => {
    const [cookie] = made.share(2, 3, 1);
    made.get(made.core.returnLogical(3, cookie));
    made.get(made.core.rescindLogical(2, 0, cookie));
    return { status: H_SUCCESS, call: granting(made, 2, 3, 1, 2, MODE_LEND) };
  });
  add("lend of what is granted", (made) => {
    made.share(2, 3, 1);
    return { status: H_RESOURCE, call: granting(made, 2, 3, 0, 2, MODE_LEND) };
  });
  addShared("lend that a use holds up", (made) => {
    made.get(made.rig.core(2).beginUse(3, 0, 8, 1));
    return {
      status: H_LONG_BUSY_10_MSEC,
      call: granting(made, 2, 3, 1, 2, MODE_LEND),
      leave: { epochs: [2] },
    };
  });
  add("donation, offered", (made) => ({
    status: H_SUCCESS,
    call: granting(made, 2, 3, 0, 4, MODE_DONATE),
  }));
  for (const mode of [MODE_LEND, MODE_DONATE]) {
    const name = mode === MODE_LEND ? "lend" : "donation";
    add(`rescind of a ${name}`, (made) => {
      offer(made, 1, 2, 4, 1, MODE_LEND);
      const cookie = offer(made, 1, 2, 0, mode === MODE_LEND ? 3 : 4, mode);
      return { status: H_SUCCESS, call: (core) => core.rescindLogical(1, 0, cookie) };
    });
  }
  add("rescind of a lend, before another grant and behind one", (made) => {
    made.share(1, 2, 4);
    const cookie = offer(made, 1, 2, 0, 2, MODE_LEND);
    made.share(1, 2, 5);
    return { status: H_SUCCESS, call: (core) => core.rescindLogical(1, 0, cookie) };
  });
  add("rescind of a lend in its last generation", (made) => {
    const cookie = made.age(offer(made, 1, 2, 0, 2, MODE_LEND));
    return { status: H_SUCCESS, call: (core) => core.rescindLogical(1, 0, cookie) };
  });
  addShared("rescind of a lend that a use holds up", (made) => {
    const cookie = offer(made, 1, 2, 0, 2, MODE_LEND);
    made.accept(2, cookie);
    made.get(made.rig.core(2).beginUse(3, 0, 8, 1));
    made.get(made.core.returnLogical(2, cookie));
    return {
      status: H_LONG_BUSY_10_MSEC,
      call: (core) => core.rescindLogical(1, 0, cookie),
      leave: { epochs: [2] },
    };
  });
}

function addAccepts({ add }: Kit): void {
  add("accept of a lend", (made) => {
    const cookie = offer(made, 1, 2, 0, 3, ZERO);
    return { status: H_SUCCESS, call: (core) => core.acceptLogical(2, cookie) };
  });
  add("accept of a donation", (made) => {
    made.get(made.core.allocate(1, 2 * KIB4));
    const cookie = offer(made, 1, 2, 0, 4, MODE_DONATE);
    return { status: H_SUCCESS, call: (core) => core.acceptLogical(2, cookie) };
  });
  add("accept of a donation, between others, in its last generation", (made) => {
    made.share(1, 2, 4, 2);
    const cookie = made.age(offer(made, 1, 2, 0, 4, MODE_DONATE));
    offer(made, 1, 2, 7, 1, MODE_LEND);
    return { status: H_SUCCESS, call: (core) => core.acceptLogical(2, cookie) };
  });
  add("accept of a donation that was one before", (made) => {
    made.accept(2, offer(made, 1, 2, 0, 4, MODE_DONATE));
    const cookie = offer(made, 2, 1, 4, 4, MODE_DONATE);
    return { status: H_SUCCESS, call: (core) => core.acceptLogical(1, cookie) };
  });
  add("accept of a donation, no room", (made) => {
    for (let index = 0; index < 7; index++) made.share(1, 2, 4, 4);
    const cookie = offer(made, 1, 2, 0, 4, MODE_DONATE);
    return { status: H_NO_MEM, call: (core) => core.acceptLogical(2, cookie) };
  });
}

function addReturns({ add, addShared, recoverServer }: Kit): void {
  for (const budget of [8, MANY]) {
    const isSliced = budget !== MANY;
    add(`return of a zero lend${isSliced ? ", page by page" : ""}`, (made) => {
      const [cookie] = lend(made, 1, 2, 1, 3, ZERO);
      made.budget(budget);
      return {
        status: isSliced ? H_BUSY : H_SUCCESS,
        call: (core) => core.returnLogical(2, cookie),
        goOn: (core) => {
          giveBack(core, 2, cookie);
          expectZero(made.rig, [1, 2, 3]);
        },
        leave: { frames: [1, 2, 3] },
      };
    });
  }
  add("return of a zero lend, the last page", (made) => {
    const [cookie] = lend(made, 1, 2, 1, 2, ZERO);
    made.budget(8);
    made.get(made.core.returnLogical(2, cookie), H_BUSY);
    return {
      status: H_SUCCESS,
      call: (core) => core.returnLogical(2, cookie),
      goOn: (core) => {
        giveBack(core, 2, cookie);
        expectZero(made.rig, [1, 2]);
      },
      leave: { frames: [1, 2] },
    };
  });
  addShared("return of a zero lend that a use holds up", (made) => {
    const [cookie] = lend(made, 1, 2, 1, 2, ZERO);
    made.get(made.rig.core(2).beginUse(3, 0, 8, 1));
    return {
      status: H_LONG_BUSY_10_MSEC,
      call: (core) => core.returnLogical(2, cookie),
      leave: { epochs: [2] },
    };
  });
  for (const mode of [MODE_LEND, ZERO]) {
    const name = mode === ZERO ? "zero lend" : "lend";
    add(`the last return to a failed lender that waits: a ${name}`, (made) => {
      const [cookie] = lend(made, 1, 2, 1, 2, mode);
      made.fail(1);
      made.get(made.core.recoverDeferred(1, MANY), H_BUSY);
      return {
        status: H_SUCCESS,
        call: (core) => core.returnLogical(2, cookie),
        goOn: (core) => {
          giveBack(core, 2, cookie);
          recoverServer(core, 1);
        },
        leave: { frames: [1, 2] },
      };
    });
  }
  add("a failed lender that waits ends what nobody has borrowed", (made) => {
    lend(made, 1, 2, 4, 1);
    offer(made, 1, 2, 1, 2, MODE_LEND);
    made.fail(1);
    const goOn = (core: Core): number => core.recoverDeferred(1, MANY);
    return { status: H_BUSY, call: goOn, goOn: (core) => void goOn(core) };
  });
}

function addForced({ add, rescind, recoverClient, recoverServer }: Kit): void {
  for (const budget of [3, 20, MANY]) {
    add(`forced rescind of lends down a chain, budget ${budget}`, (made) => {
      const [cookie, page] = lend(made, 1, 2, 0, 3, ZERO);
      const [, below] = lend(made, 2, 3, page + 1, 2, MODE_LEND);
      made.share(3, 1, below);
      offer(made, 2, 1, page, 1, ZERO);
      made.budget(budget);
      return {
        status: budget === MANY ? H_SUCCESS : H_PARTIAL,
        call: (core) => core.rescindLogical(1, FORCED, cookie),
        goOn: (core) => {
          rescind(core, 1, cookie);
          expectZero(made.rig, [0, 1, 2]);
        },
        leave: { frames: [0, 1, 2] },
      };
    });
  }
  add("forced rescind of a zero lend under a view", (made) => {
    const [cookie, page] = lend(made, 1, 2, 0, 2, ZERO);
    made.pin(2, page + 1);
    made.budget(MANY);
    return {
      status: H_SUCCESS,
      call: (core) => core.rescindLogical(1, FORCED, cookie),
      goOn: (core) => {
        rescind(core, 1, cookie);
        // Page 1 has moved to the first free frame.
        expectZero(made.rig, [0, 16]);
      },
      leave: { frames: [0, 16] },
    };
  });
  add("forced rescind of a donation that was offered", (made) => {
    const cookie = offer(made, 1, 2, 0, 4, MODE_DONATE);
    made.budget(MANY);
    return {
      status: H_SUCCESS,
      call: (core) => core.rescindLogical(1, FORCED, cookie),
      goOn: (core) => rescind(core, 1, cookie),
    };
  });
  for (const budget of [9, MANY]) {
    add(`recover a borrower, budget ${budget}`, (made) => {
      const [, page] = lend(made, 1, 2, 0, 3, ZERO);
      lend(made, 2, 3, page, 1);
      const [half] = lend(made, 1, 2, 4, 2, ZERO);
      made.budget(8);
      made.get(made.core.returnLogical(2, half), H_BUSY);
      offer(made, 1, 2, 7, 1, MODE_LEND);
      made.fail(2);
      return {
        call: (core) => core.recoverClient(2, budget),
        goOn: (core) => {
          recoverClient(core, 2, budget);
          expectZero(made.rig, [0, 1, 2, 4, 5]);
        },
        leave: { frames: [0, 1, 2, 4, 5] },
      };
    });
  }
  add("recover a lender that has received a donation", (made) => {
    made.accept(1, offer(made, 3, 1, 0, 4, MODE_DONATE));
    lend(made, 1, 2, 8, 2, ZERO);
    offer(made, 1, 2, 0, 4, MODE_DONATE);
    made.fail(1);
    return {
      call: (core) => core.recoverServer(1, MANY),
      goOn: (core) => recoverServer(core, 1),
      leave: { frames: [12, 13] },
    };
  });
}

function addMoves({ add, addShared, rescind }: Kit): void {
  // Pages 1 and 2 of partition 1 stand on frames beyond the others, and their old frames are free.
  const scatter = (made: Made): void => {
    made.budget(MANY);
    for (const page of [1, 2]) {
      const [cookie, at] = made.share(1, 2, page);
      const pin = made.pin(2, at);
      rescind(made.core, 1, cookie);
      made.get(made.core.returnLogical(2, cookie));
      made.get(made.core.unpinMemory(2, pin));
    }
  };
  const compact = (core: Core): number => core.compactMemory(1, 0, MANY);
  add("compact what is lent", (made) => {
    scatter(made);
    lend(made, 1, 2, 0, 2, ZERO);
    offer(made, 1, 3, 4, 4, MODE_DONATE);
    return { status: H_SUCCESS, call: compact, goOn: (core) => void compact(core), once: true };
  });
  addShared("compact what is lent and goes on being used", (made) => {
    scatter(made);
    lend(made, 1, 2, 0, 2);
    made.get(made.rig.core(2).beginUse(3, 0, 8, 1));
    return { status: H_LONG_BUSY_10_MSEC, call: compact, leave: { epochs: [2] } };
  });
}

/** Adds all of them. */
export function addModes(kit: Kit): void {
  addGrants(kit);
  addAccepts(kit);
  addReturns(kit);
  addForced(kit);
  addMoves(kit);
}
