/** Calls that copy pages before they are written, give private pages back, or merge equal ones (cow.ts, merge.ts). */
import type { Core } from "../../src/binding.js";
import {
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_NO_MEM,
  H_NOT_FOUND,
  H_PARTIAL,
  H_SUCCESS,
  HEADER_EPOCH,
  NEED_WRITE,
  PAGE_BYTES,
  PARTITION_STOPPED,
  TYPE_MEMORY,
} from "../../src/layout.js";
import type { Act, Calls, Table } from "./crash-scenarios.js";

const MANY = 2 ** 30;
const FORCED = 1;
const page = (number: number): number => number * PAGE_BYTES;

/** A copy-on-write grant of partition 1's pages 1 to 3 that partition 2 has accepted: its cookie and first page. */
function copied(made: Table): [cookie: number, page: number] {
  const cookie = made.get(made.core.grantCopyOnWrite(1, TYPE_MEMORY, 0, page(1), page(3), made.unit(1, 2)));
  return [cookie, made.accept(2, cookie) / PAGE_BYTES];
}

/** The same, and partition 2 has written to two of its pages. */
function written(made: Table): [cookie: number, page: number] {
  const [cookie, first] = copied(made);
  made.get(made.core.fillMemory(2, page(first), PAGE_BYTES + 8, 99));
  return [cookie, first];
}

/** A fill of a page; it copies first, which may have happened when the fill has not. */
function fill(lpid: number, at: number, pages: number, status: number = H_SUCCESS): Act {
  const call = (core: Core): number => core.fillMemory(lpid, page(at) + 5, page(pages) - 8, 77);
  return { status, call, goOn: call };
}

/** All pages of partitions 2 and 3 are equal in pairs. */
function equal(made: Table): void {
  for (let at = 0; at < 4; at++)
    for (const lpid of [2, 3]) made.get(made.core.fillMemory(lpid, page(at), PAGE_BYTES, 200 + (at >> 1)));
}

function merge(made: Table, at: number, lpid: number, to: number): void {
  made.get(made.core.mergePages(2, page(at), lpid, page(to)));
}

const merging =
  (at: number, lpid: number, to: number) =>
  (core: Core): number =>
    core.mergePages(2, page(at), lpid, page(to));

/** All frames are in use. */
function full(made: Table): void {
  made.get(made.core.createPartition(12, 1));
}

/** @param add a scenario with threads and one without; `addShared` only the one with threads. */
export function copyScenarios(
  add: (name: string, calls: Calls) => void,
  addShared: (name: string, calls: Calls) => void,
): void {
  add("grant of copies", (made) => ({
    status: H_SUCCESS,
    call: (core) => core.grantCopyOnWrite(2, TYPE_MEMORY, 0, page(1), page(2), made.unit(2, 3)),
  }));
  add("accept a grant of copies", (made) => {
    const cookie = made.get(made.core.grantCopyOnWrite(1, TYPE_MEMORY, 0, page(1), page(3), made.unit(1, 2)));
    return { status: H_SUCCESS, call: (core) => core.acceptLogical(2, cookie) };
  });
  add("write to pages that are copied first", (made) => fill(2, copied(made)[1], 2));
  add("write to pages of which some are private", (made) => fill(2, written(made)[1], 2));
  add("write to a page that cannot be copied", (made) => {
    const [, at] = copied(made);
    full(made);
    return fill(2, at, 1, H_NO_MEM);
  });
  add("translate for writing what is copied first", (made) => {
    const [, at] = copied(made);
    const call = (core: Core): number => core.translate(2, TYPE_MEMORY, page(at), page(2), NEED_WRITE);
    return { status: H_SUCCESS, call, goOn: call };
  });
  add("pin pages that are copied first", (made) => {
    const [, at] = copied(made);
    return { status: H_SUCCESS, call: (core) => core.pinMemory(2, page(at), page(3)), once: true };
  });
  add("copy to pages that are copied first", (made) => {
    const [, at] = copied(made);
    const call = (core: Core): number => core.copyMemory(1, page(5), 2, page(at) + 8, page(1));
    return { status: H_SUCCESS, call, goOn: call };
  });
  add("return copies", (made) => {
    const [cookie] = written(made);
    const call = (core: Core): number => core.returnLogical(2, cookie);
    return { status: H_SUCCESS, call, goOn: call };
  });
  for (const calls of [0, 1]) {
    add(`return copies, in slices, after ${calls}`, (made) => {
      const [cookie] = written(made);
      made.budget(1);
      for (let index = 0; index < calls; index++) made.get(made.core.returnLogical(2, cookie), H_BUSY);
      const call = (core: Core): number => core.returnLogical(2, cookie);
      return {
        status: calls === 0 ? H_BUSY : H_SUCCESS,
        call,
        goOn: (core) => {
          while (call(core) === H_BUSY) {}
        },
      };
    });
  }
  addShared("return copies, which a thread goes on using", (made) => {
    const [cookie, at] = written(made);
    made.get(made.rig.core(2).beginUse(2, page(at), 8, NEED_WRITE));
    return {
      caller: 1,
      status: H_BUSY,
      call: (core) => core.returnLogical(2, cookie),
      goOn: (core) => {
        made.rig.core(2).endUse();
        while (core.returnLogical(2, cookie) === H_BUSY) {}
      },
      leave: { epochs: [2] },
    };
  });
  add("return copies to a failed partition that waits", (made) => {
    const [cookie] = written(made);
    made.fail(1);
    while (made.core.recoverDeferred(1, MANY) === H_PARTIAL) {}
    const call = (core: Core): number => core.returnLogical(2, cookie);
    return { status: H_SUCCESS, call, goOn: call };
  });
  add("return copies, the epoch wraps", (made) => {
    const [cookie] = written(made);
    made.rig.setWord(HEADER_EPOCH, 0xffffffff);
    const call = (core: Core): number => core.returnLogical(2, cookie);
    return { status: H_SUCCESS, call, goOn: call };
  });
  for (const budget of [1, 12, MANY]) {
    add(`forced rescind of copies, one under a view, by steps of ${budget}`, (made) => {
      const [cookie, at] = written(made);
      made.pin(2, at);
      made.budget(budget);
      return {
        call: (core) => core.rescindLogical(1, FORCED, cookie),
        goOn: (core) => {
          while (core.rescindLogical(1, FORCED, cookie) === H_PARTIAL) {}
        },
      };
    });
  }
  for (const lpid of [1, 2]) {
    add(`recover ${lpid} of a grant of copies`, (made) => {
      written(made);
      made.fail(lpid);
      const slice = (core: Core): number => core.recoverServer(lpid, 9);
      return {
        status: H_PARTIAL,
        call: slice,
        goOn: (core) => {
          while (made.state(lpid) !== PARTITION_STOPPED) slice(core);
        },
      };
    });
  }
  add("gather pages under a mapping with copies", (made) => {
    const [pinned, at] = made.share(1, 2, 2);
    const pin = made.pin(2, at);
    made.budget(MANY);
    made.get(made.core.rescindLogical(1, FORCED, pinned));
    made.get(made.core.returnLogical(2, pinned));
    made.get(made.core.unpinMemory(2, pin));
    written(made);
    return {
      status: H_SUCCESS,
      call: (core) => core.gatherMemory(1, 0, page(4), MANY),
      goOn: (core) => void core.gatherMemory(1, 0, page(4), MANY),
    };
  });

  add("merge two pages", (made) => {
    equal(made);
    return { status: H_SUCCESS, call: merging(0, 3, 1) };
  });
  add("merge with pages that are merged", (made) => {
    equal(made);
    merge(made, 0, 3, 1);
    return { status: H_SUCCESS, call: merging(1, 3, 1) };
  });
  add("merge pages that are merged with others", (made) => {
    equal(made);
    merge(made, 0, 2, 1);
    made.get(made.core.mergePages(3, 0, 3, page(1)));
    return { status: H_SUCCESS, call: merging(0, 3, 0) };
  });
  add("merge pages that stand on one frame", (made) => {
    equal(made);
    merge(made, 0, 3, 1);
    return { status: H_SUCCESS, call: merging(0, 3, 1) };
  });
  add("merge pages that differ", () => ({ status: H_NOT_FOUND, call: merging(0, 3, 1) }));
  add("merge private pages", (made) => {
    const [, at] = copied(made);
    made.get(made.core.fillMemory(2, page(at), page(2), 98));
    return { status: H_SUCCESS, call: merging(at, 2, at + 1) };
  });
  addShared("merge pages that a thread goes on using", (made) => {
    equal(made);
    made.get(made.rig.core(2).beginUse(3, 0, 8, 1));
    return { status: H_LONG_BUSY_10_MSEC, call: merging(0, 3, 1), leave: { epochs: [2] } };
  });
  addShared("merge pages, the epoch wraps", (made) => {
    equal(made);
    made.rig.setWord(HEADER_EPOCH, 0xffffffff);
    return { status: H_SUCCESS, call: merging(0, 3, 1) };
  });
  add("write to merged pages", (made) => {
    equal(made);
    merge(made, 0, 3, 1);
    merge(made, 0, 3, 0);
    merge(made, 1, 2, 0);
    return fill(2, 0, 1);
  });
  addShared("write to merged pages, while a thread goes on using one", (made) => {
    equal(made);
    merge(made, 0, 3, 1);
    made.get(made.rig.core(2).beginUse(3, 0, 8, 1));
    return { status: H_LONG_BUSY_10_MSEC, call: fill(2, 0, 1).call, leave: { epochs: [2] } };
  });
  addShared("grant of merged pages that a thread goes on using", (made) => {
    equal(made);
    merge(made, 0, 3, 0);
    made.get(made.rig.core(2).beginUse(3, 0, 8, 1));
    const call = (core: Core): number => core.grantLogical(2, TYPE_MEMORY, 0, 0, page(2), made.unit(2, 3));
    return { status: H_LONG_BUSY_10_MSEC, call, leave: { epochs: [2] } };
  });
  add("write to the last page that stands on a frame", (made) => {
    equal(made);
    merge(made, 0, 3, 1);
    made.get(made.core.fillMemory(3, page(1), 1, 1));
    return fill(2, 0, 1);
  });
  add("write to private pages that were merged", (made) => {
    const [, at] = copied(made);
    made.get(made.core.fillMemory(2, page(at), page(2), 98));
    merge(made, at, 2, at + 1);
    return fill(2, at, 1);
  });
  add("grant of merged pages", (made) => {
    equal(made);
    merge(made, 0, 3, 0);
    merge(made, 1, 3, 1);
    const call = (core: Core): number => core.grantLogical(2, TYPE_MEMORY, 0, 0, page(2), made.unit(2, 3));
    // Twice is two grants; the copies that it makes are no part of what it says.
    return { status: H_SUCCESS, call, once: true };
  });
  add("register a queue on merged pages", (made) => {
    // The ring is zeroed before the commit: here it is so already.
    for (const lpid of [2, 3]) made.get(made.core.fillMemory(lpid, 0, PAGE_BYTES, 0));
    merge(made, 0, 3, 0);
    const call = (core: Core): number => core.registerQueue(2, made.unit(2, 3), 0, page(1));
    return { call, once: true };
  });
  add("recover a partition with merged pages", (made) => {
    equal(made);
    merge(made, 0, 3, 0);
    merge(made, 1, 3, 1);
    made.fail(3);
    const slice = (core: Core): number => core.recoverServer(3, 9);
    return {
      status: H_PARTIAL,
      call: slice,
      goOn: (core) => {
        while (made.state(3) !== PARTITION_STOPPED) slice(core);
      },
    };
  });
}
