/**
 * Crash at every store: a call is stopped before each instruction that writes to memory, in many states of a small table,
 * the table is repaired by another thread or by the same one, and the call has happened or it has not. Then the repair is
 * stopped at each of its stores, too. How it works, and what is compared: test/support/crash-net.ts and crash-state.ts.
 *
 * LPAR_CRASH_FACTOR multiplies how many stores and pairs are drawn of the scenarios that have too many.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Core } from "../src/binding.js";
import {
  COOKIE_SLOTS,
  EVENT_PARTNER_FAILED,
  EVENT_PARTNER_RECOVERED,
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_PARTIAL,
  H_SUCCESS,
  HEADER_BUDGET,
  NEED_WRITE,
  PAGE_BYTES,
  PARTITION_POOL,
  PARTITION_RUNNING,
  PARTITION_STATE,
  THREAD_ENTRY,
  TYPE_MEMORY,
} from "../src/layout.js";
import {
  builtCore,
  type Instrumented,
  isWhatShips,
  type Mutation,
  ROOT,
  reachable,
  type Site,
  seededCore,
  shippedCore,
} from "./support/crash-core.js";
import { Net, type Tally } from "./support/crash-net.js";
import { Rig, SMALL } from "./support/crash-rig.js";
import { SCENARIOS, type Scenario } from "./support/crash-scenarios.js";
import { Draw } from "./support/draw.js";

const FACTOR = Number(process.env.LPAR_CRASH_FACTOR ?? 1);
const SEED = 20261124;
/** Stores of one call, and pairs of a store and one of its repair, that are tried at most in the normal run. */
const POINTS = 400;
const PAIRS = 120;

/** Exports that change no table, with what they are. */
const NOT_CHANGING: Readonly<Record<string, string>> = {
  addWord: "a use",
  adapterPeer: "reads",
  answerRequest: "one exchange in a mailbox",
  audit: "reads, and writes its own scratch",
  awaitDevices: "waits",
  beginDevice: "a use",
  beginDma: "a use",
  beginUse: "a use",
  checkAccess: "a use",
  digestPages: "reads",
  collectRequest: "one exchange in a mailbox",
  compareExchangeWord: "a use",
  endDevice: "a use",
  endUse: "a use",
  fillMemory: "a use",
  findFrames: "reads",
  findWindow: "reads",
  getTce: "reads",
  loadDma: "a use",
  loadMemory: "a use",
  loadWord: "a use",
  moveFew: "a use",
  openUse: "a use",
  openTable: "nobody knows the table before it answers",
  postRequest: "a mailbox of the caller, which ends with it",
  readStaged: "a use",
  storeDma: "a use",
  storeMemory: "a use",
  storeWord: "a use",
  takeRequest: "one exchange in a mailbox",
  translate: "reads",
  translateBatch: "reads",
  writeStaged: "a use",
};

/** Store sites that no scenario reaches, with the reason. */
const NOT_REACHED: readonly { readonly site: RegExp; readonly reason: string }[] = [
  {
    site: /^\$assembly\/hcall-logical\/returnLogical: .*(offset=28\b|offset=256$|offset=260\b)/,
    reason: "pages of memory (not MMIO) beyond what one return gives back: a grant of more than 256 MiB",
  },
  {
    site: /^\$assembly\/access\/examine: .*f64\.store offset=48$/,
    reason:
      "where a range in one piece begins, as a use asks it; a copy, which changes something, goes page by page",
  },
  {
    site: /^\$assembly\/(move\/holdPages|merge\/mergeInto|lend\/lend): .*(i32\.const 64; memory\.copy|i32\.atomic\.store)$/,
    reason: "an undo of whole records; who gives up to hold pages, or to lend them, has noted words only",
  },
  {
    site: /^\$assembly\/lock\/waitForMover: /,
    reason:
      "who waits for a page has no lock and changes nothing; test/schedule.test.ts and test/moves.test.ts have it",
  },
];

/** What every seeded bug must be caught in. */
const SHORT: readonly string[] = [
  "grant, fresh table",
  "accept, three pages",
  "alone: accept, three pages",
  "accept, interrupt",
  "rescind, between others",
  "alone: accept, interrupt",
  "return, three pages",
  "alone: return, three pages",
  "return, 16 MMIO pages, in two words of the map",
  "alone: return, 16 MMIO pages, in two words of the map",
  "alone: return, interrupt",
  "connect, fresh",
  "forced rescind moves a pinned page",
  "forced rescind by a thread that stopped in a use before",
  "forced rescind, after 1 calls by steps of 5",
  "alone: forced rescind, chain of 7 single pages",
  "create a partition of four LMBs",
  "recover the client's part by steps of 2",
  "fail, a partner at a time, going on",
  "recover with structures, pins and ends in their last generation",
  "recover a server with two grants by steps of 3",
  "gather pages, with sharers",
  "gather pages that a thread goes on using",
  "pin three pages",
  "write to pages that are copied first",
  "merge two pages",
  "copy in pieces that overlap, through staging",
  "send",
  "lend, two pages",
  "return of a zero lend, page by page",
  "recover a borrower, budget 9",
  "accept of a donation",
  "serve a window in the middle of an access, asking and asked",
  "raise for all who share a source",
  "raise for sharers of whom one has it pending, one masked, one in service",
  "mask in the middle of the queue",
  "forced rescind of armed sources that wait to be taken",
  "stuff TCEs over some that are there",
];

const BUGS: readonly Mutation[] = [
  {
    bug: "what a third holder had in a run is counted as the first one's",
    file: "assembly/run.ts",
    from: "closeCut(part);",
    to: "",
  },
  {
    bug: "no log: what a call stored is not noted",
    file: "assembly/log.ts",
    from: "store<u32>(THREAD, top + words * LOG_WORD_BYTES, THREAD_LOG_TOP);",
    to: "",
  },
  {
    bug: "a word is stored before it is noted",
    file: "assembly/log.ts",
    from: "noteWord(address, load<u32>(address));\n    store<u32>(address, value);",
    to: "const old = load<u32>(address); store<u32>(address, value); noteWord(address, old);",
  },
  {
    bug: "undone in the wrong order: first notes first",
    file: "assembly/log.ts",
    from: "atomic.store<u32>(<usize>address, load<u32>(log + <usize>top));",
    to: `for (let at: u32 = 0; at <= top; at += LOG_WORD_BYTES)
          store<u32>(<usize>load<u32>(log + <usize>at + 4), load<u32>(log + <usize>at));
        top = 0;`,
  },
  {
    bug: "the commit comes before the last stores of a grant",
    file: "assembly/slot.ts",
    from: "store<u32>(end, used + 1, END_USED);",
    to: "commit(); store<u32>(end, used + 1, END_USED);",
    needs: 'import { commit } from "./log";',
  },
  {
    bug: "accept names no job",
    file: "assembly/hcall-logical.ts",
    from: "beginJob(JOB_PAGES, slot, holderOf(structure), spaceOf(structure), page, count);",
    to: "",
  },
  {
    bug: "the address that accept takes for one page is not noted",
    file: "assembly/page.ts",
    from: "Notes.long(top, freeAt, load<u64>(freeAt));",
    to: "Notes.long(top, freeAt, free);",
  },
  {
    bug: "the entry of one page that is returned is not noted",
    file: "assembly/page.ts",
    from: "Notes.third(top, entryAt, load<u32>(entryAt));",
    to: "Notes.third(top, backAt, load<u32>(backAt));",
  },
  {
    bug: "the entries of a few pages that are returned are not noted",
    file: "assembly/page.ts",
    from: "Words.note2(top, entries, backs);",
    to: "Words.note2(top, backs, backs);",
  },
  {
    bug: "the structures of a few pages that are returned are not noted",
    file: "assembly/page.ts",
    from: "Words.note2(top, entries, backs);",
    to: "Words.note2(top, entries, entries);",
  },
  {
    bug: "the entries of a few pages that are accepted are not noted",
    file: "assembly/page.ts",
    from: "Words.note2(top, backs, entries);",
    to: "Words.note2(top, backs, backs);",
  },
  {
    bug: "the structures of a few pages that are accepted are not noted",
    file: "assembly/page.ts",
    from: "Words.note2(top, backs, entries);",
    to: "Words.note2(top, entries, entries);",
  },
  {
    bug: "a few pages in two words of a map are freed as if they were in one",
    file: "assembly/page.ts",
    from: "  return isInWord(page, count);",
    to: "  return true;",
  },
  {
    bug: "of the words that a rescind changes together the last one is not noted",
    file: "assembly/slot.ts",
    from: "Notes.end(first4, 12);",
    to: "Notes.end(first4, 11);",
  },
  {
    bug: "of two words that change together one is noted",
    file: "assembly/log.ts",
    from: "Notes.end(top, 2);\n    store<u32>(address, value);",
    to: "Notes.end(top, 1);\n  store<u32>(address, value);",
  },
  {
    bug: "of the words that a grant changes together the last one is not noted",
    file: "assembly/slot.ts",
    from: "Notes.end(first4, 11);",
    to: "Notes.end(first4, 10);",
  },
  {
    bug: "a fill of a map that is done again leaves the levels above as they are",
    file: "assembly/bitmap.ts",
    from: "if (old == 0 || now == 0 || old == now) propagate(map, bits, word, old != now);",
    to: "if (old != now && (old == 0 || now == 0)) propagate(map, bits, word, true);",
  },
  {
    bug: "a fill of a map that is done again stops at the first level that is right",
    file: "assembly/bitmap.ts",
    from: "propagate(map, bits, word, old != now);",
    to: "propagate(map, bits, word, true);",
  },
  {
    bug: "a thread that lives on does not mend",
    file: "assembly/lock.ts",
    from: "return load<u32>(THREAD, THREAD_LOCK_A) | load<u32>(THREAD, THREAD_REAPING);",
    to: "return 0;",
  },
  {
    bug: "the reaper frees the locks before the undo",
    file: "assembly/lock.ts",
    from: "if ((atomic.load<u32>(lock) & ~LOCK_WAITERS) == name) atomic.store<u32>(lock, own | LOCK_WAITERS);",
    to: "if ((atomic.load<u32>(lock) & ~LOCK_WAITERS) == name) atomic.store<u32>(lock, 0);",
  },
  {
    bug: "the reaper forgets the job",
    file: "assembly/lock.ts",
    from: "if (threadWord(dead, THREAD_JOB) != 0) settleJob(dead);",
    to: "",
  },
  {
    bug: "the reaper does the job before the undo",
    file: "assembly/lock.ts",
    from: "undo(dead);",
    to: "if (threadWord(dead, THREAD_JOB) != 0) settleJob(dead); undo(dead);",
  },
  {
    bug: "the reaper forgets a start half-way",
    file: "assembly/lock.ts",
    from: "finishStart(dead);",
    to: "",
  },
  {
    bug: "the reaper forgets those who were struck off as sleepers and not woken",
    file: "assembly/lock.ts",
    from: "wakeLeft(dead);",
    to: "",
  },
  {
    bug: "the reaper forgets the epoch of the dead",
    file: "assembly/lock.ts",
    from: "endUseOf(dead);",
    to: "",
  },
  {
    bug: "frames that pages were to move to keep what was copied to them",
    file: "assembly/move.ts",
    from: "beginJob(JOB_MOVE, slotOf(root), 0, frame, rootPage, count);",
    to: "",
  },
  {
    bug: "what was to be marked at once is cut though it has not been",
    file: "assembly/job.ts",
    from: "if (!hasFlag(structureAt(first), FLAG_REVOKING)) return;",
    to: "",
  },
  {
    bug: "the last one of many that are marked at once is not named to be cut",
    file: "assembly/run.ts",
    from: "beginJob(JOB_CUTS, slotOf(from), 0, 0, 0, limit - left);",
    to: "beginJob(JOB_CUTS, slotOf(from), 0, 0, 0, limit - left - 1);",
  },
  {
    bug: "recovery takes a revocation without grants left for one that is over",
    file: "assembly/recover.ts",
    from: `if (childOf(structure) != 0 || hasFlag(structure, FLAG_ROOT)) {
    if (revoke(structure, left) != H_SUCCESS) return 0;
    left = budgetLeft();
  }`,
    to: `if (childOf(structure) != 0) {
      if (revoke(structure, left) != H_SUCCESS) return 0;
      left = budgetLeft();
    }`,
  },
  {
    bug: "a recovery that goes on tells partners again",
    file: "assembly/recover.ts",
    from: "setPartitionWord(partition, PARTITION_SERIAL, partitionWord(partition, PARTITION_SERIAL) | 1);",
    to: "takeSerial(partition); settle();",
  },
  {
    bug: "a telling goes on behind an adapter before the partner has heard",
    file: "assembly/tell.ts",
    from: "setHeader(HEADER_TELLER_END, endWord(end, END_NEXT));",
    to: "setHeader(HEADER_TELLER_END, endWord(end, END_NEXT)); settle();",
  },
  {
    bug: "pages that nobody could move stay held",
    file: "assembly/page.ts",
    from: "if ((entry & (ENTRY_FRAME | ENTRY_RESCINDED)) == frame) return false;",
    to: "if ((entry & ENTRY_FRAME) == frame) return false;",
  },
  {
    bug: "who moved pages keeps the frames that they left",
    file: "assembly/job.ts",
    from: "if ((entryOf(at, page) & ENTRY_FRAME) == frame) freeMoved(old, count);\n  else zeroIfFree(frame, count);",
    to: "zeroIfFree(frame, count);",
  },
  {
    bug: "the frames that pages leave are zero before the pages have moved",
    file: "assembly/migrate.ts",
    from: "addHeader(HEADER_FRAMES_FREE, count);",
    to: "addHeader(HEADER_FRAMES_FREE, count); memory.fill(frameAt(old), 0, <usize>count << 12);",
    needs: 'import { frameAt } from "./memory";',
  },
  {
    bug: "a frame that a page was to be copied to keeps what was copied",
    file: "assembly/cow.ts",
    from: "beginJob(JOB_SPLIT, 0, lpidOf(partition), frame, page, 1);",
    to: "",
  },
  {
    bug: "the frame that a merged page leaves is lost",
    file: "assembly/merge.ts",
    from: "if (isLast) beginJob(JOB_MIGRATE, old, lpidOf(partition), frame, page, 1);\n  else beginJob(JOB_SPLIT, 0, lpidOf(partition), frame, page, 1);",
    to: "beginJob(JOB_SPLIT, 0, lpidOf(partition), frame, page, 1);",
  },
  {
    bug: "a list of TCEs is put without a job",
    file: "assembly/dma.ts",
    from: "beginJob(JOB_TCES, slotOf(pane), lpidOf(owner), 0, first, count);",
    to: "putListed(THREAD, slotOf(pane), owner, first, count);",
    needs: 'import { putListed } from "./tce";',
  },
  {
    bug: "a TCE is counted before it is there",
    file: "assembly/tce.ts",
    from: "setTceWord(tce, TCE_PANE, slotOf(pane) | (sequence << 24));",
    to: "commit(); setTceWord(tce, TCE_PANE, slotOf(pane) | (sequence << 24));",
  },
  {
    bug: "a thread that stops in a copy and lives on keeps the staging",
    file: "assembly/copy.ts",
    from: "copyOut(source, from, length, runAt(run), false);",
    to: "settle(); copyOut(source, from, length, runAt(run), false);",
    needs: 'import { settle } from "./job";',
  },
  {
    bug: "who lends names no job",
    file: "assembly/lend.ts",
    from: "beginJob(JOB_LENT, slotOf(structure), lpidOf(grantor), SPACE_MEMORY, page, count);",
    to: "",
  },
  {
    bug: "a lender's pages are forgotten where the borrower's addresses are freed with the same commit",
    file: "assembly/job.ts",
    from: "if (lender != 0) settleLent(slot, lender, lent, count);",
    to: "",
  },
  {
    bug: "pages count as zero before they are",
    file: "assembly/lend.ts",
    from: "memory.fill(frameAt(entryOf(at, first + i) & ENTRY_FRAME), 0, PAGE_BYTES);",
    to: "setZeroed(structure, done + run); commit(); memory.fill(frameAt(entryOf(at, first + i) & ENTRY_FRAME), 0, PAGE_BYTES);",
    needs: 'import { commit } from "./log";',
  },
  {
    bug: "who accepts a donation names no job",
    file: "assembly/donate.ts",
    from: "nameJob(JOB_DONATE, slotOf(structure), lpidOf(receiver), SPACE_MEMORY, page, count);",
    to: "",
  },
  {
    bug: "the reaper forgets the device access of the dead",
    file: "assembly/thread.ts",
    from: "atomic.store<u32>(thread, 0, THREAD_MODEL_EPOCH);",
    to: "",
  },
  {
    bug: "the reaper leaves the requests of the dead to be served",
    file: "assembly/lock.ts",
    from: "endRequestsOf(dead);",
    to: "",
  },
  {
    bug: "the reaper does not tell who asked the dead",
    file: "assembly/lock.ts",
    from: "ringCallersOf(dead);",
    to: "",
  },
  {
    bug: "a raise that stopped half-way is not done again",
    file: "assembly/job.ts",
    from: "raiseTree(structureAt(slot), page, lpid, count);",
    to: "if (thread == THREAD) raiseTree(structureAt(slot), page, lpid, count);",
  },
  {
    bug: "a line leaves the queue without a note",
    file: "assembly/line.ts",
    from: "put(lineAt(partition, after) + LINE_PREVIOUS, before);",
    to: "store<u32>(lineAt(partition, after), before, LINE_PREVIOUS);",
  },
];

/** What the net catches in some scenarios, or undefined. */
function cast(
  core: Instrumented,
  scenarios: readonly Scenario[],
  most: { readonly points: number; readonly pairs: number },
  tally: Tally,
  covered: Uint8Array,
  bug = 0,
): string | undefined {
  for (const scenario of scenarios) {
    const draw = new Draw(SEED);
    const limit = scenario.most === undefined ? Number.POSITIVE_INFINITY : scenario.most * FACTOR;
    try {
      const net = new Net(core, scenario, tally, covered, bug);
      net.crashPoints(Math.min(most.points, limit), draw);
      net.crashPairs(Math.min(most.pairs * (scenario.pairsFactor ?? 1), limit), draw);
    } catch (error) {
      return `${scenario.name}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}

function emptyTally(): Tally {
  return { points: 0, pairs: 0, complete: 0 };
}

describe("crash at every store of the core that ships", () => {
  const core = builtCore();
  const covered = new Uint8Array(core.sites.length);
  const tally = emptyTally();

  test("what is instrumented is what ships", () => {
    expect(isWhatShips()).toBe(true);
  });

  test("instrumented, every call leaves the same bytes as it does in the core that ships", () => {
    for (const scenario of SCENARIOS) {
      const ends = [core, shippedCore()].map((each) => {
        const rig = new Rig(each, scenario.capacities ?? SMALL);
        const act = scenario.setUp(rig);
        rig.pause = act.pause ?? rig.pause;
        act.call(rig.core(scenario.isAlone === true ? 0 : (act.caller ?? 1)));
        return rig.save();
      });
      expect(Buffer.compare(ends[0] as Uint8Array, ends[1] as Uint8Array), scenario.name).toBe(0);
    }
  });

  test("FA5, G1: stopped at any store, and in the repair again, a call has happened or it has not", {
    timeout: 0,
  }, () => {
    const most = { points: POINTS * FACTOR, pairs: PAIRS * FACTOR };
    const caught: string[] = [];
    for (const scenario of SCENARIOS) {
      const found = cast(core, [scenario], most, tally, covered);
      if (found !== undefined) caught.push(found);
    }
    expect(caught).toEqual([]);
  });

  test.each([3072, 1])(
    "FA2: of a failure each partner hears once, wherever the telling stopped, though another fails before it goes on, budget %i",
    (budget) => {
      const fresh = SCENARIOS.find(({ name }) => name === "fail, fresh") as Scenario;
      const rig = new Rig(core, SMALL);
      fresh.setUp(rig);
      rig.setWord(HEADER_BUDGET, budget);
      const owner = rig.core(0);
      const fails = (by: Core, lpid: number): number => by.failPartition(lpid, 0);
      const failed = (by: Core, lpid: number): void => {
        while (fails(by, lpid) === H_PARTIAL) {}
      };
      const told = (type: number): number => {
        let count = 0;
        while (owner.takeEvent(3) === H_SUCCESS) {
          const at = (rig.threadAt(0) + THREAD_ENTRY) / 4;
          if ((rig.words[at] as number) === type && rig.words[at + 1] === 1) count++;
        }
        return count;
      };
      const running = rig.save();
      failed(owner, 1);
      while (owner.takeEvent(3) === H_SUCCESS) {}
      const after = rig.save();
      const parts = [
        { before: running, type: EVENT_PARTNER_FAILED, call: (by: Core) => fails(by, 1) },
        {
          before: after,
          type: EVENT_PARTNER_RECOVERED,
          call: (by: Core) => by.recoverServer(1, 200 * budget),
        },
      ];
      for (const { before, type, call } of parts) {
        for (let at = 1; ; at++) {
          rig.restore(before);
          if (!rig.crash(() => call(rig.core(1)), at)) break;
          expect(owner.reapThread(1)).toBe(H_SUCCESS);
          expect([H_SUCCESS, H_PARTIAL]).toContain(fails(owner, 2));
          call(owner);
          while (owner.recoverServer(1, budget) === H_PARTIAL) {}
          failed(owner, 2);
          expect(told(type), `stopped before store ${at}`).toBe(1);
        }
      }
    },
  );

  test.each(["create", "restart"])(
    "FA5, FA8: a use that finds a partition started keeps its memory, wherever the start stops: %s",
    (how) => {
      const rig = new Rig(core, SMALL);
      const owner = rig.core(0);
      expect(owner.createPartition(4, 4)).toBe(H_SUCCESS);
      for (const slot of [1, 2]) expect([owner.openThread(1), rig.result(0)]).toEqual([H_SUCCESS, slot]);
      if (how === "restart") {
        expect(owner.createPartition(4, 2)).toBe(H_SUCCESS);
        expect(owner.failPartition(2, 0)).toBe(H_SUCCESS);
        expect(owner.recoverServer(2, 4096)).toBe(H_SUCCESS);
      }
      const start = (by: Core): number =>
        how === "create" ? by.createPartition(4, 2) : by.restartPartition(2, 0);
      const before = rig.save();
      let begun = 0;
      for (let at = 1; ; at++) {
        rig.restore(before);
        if (!rig.crash(() => start(rig.core(1)), at)) break;
        const hasBegun = rig.core(2).beginUse(2, 0, 4, NEED_WRITE) === H_SUCCESS;
        expect(owner.reapThread(1)).toBe(H_SUCCESS);
        expect(rig.audit()).toBe("");
        if (!hasBegun) continue;
        begun++;
        expect(rig.word(rig.partitionAt(2) + PARTITION_STATE), `stopped before store ${at}`).toBe(
          PARTITION_RUNNING,
        );
      }
      expect(begun).toBeGreaterThan(0);
    },
  );

  test("G3, FA5: a slot that is granted anew is nobody's who had it before, wherever the grant stops", () => {
    const rig = new Rig(core, SMALL);
    const owner = rig.core(0);
    const get = (status: number): number => {
      expect(status).toBe(H_SUCCESS);
      return rig.result(0);
    };
    for (let lpid = 1; lpid <= 4; lpid++) get(owner.createPartition(4, 4));
    const unit = get(owner.connectPartitions(1, 2, 64));
    const old = get(owner.connectPartitions(4, 3, 64));
    get(owner.openThread(1));
    get(owner.openThread(3));
    const grant = (by: Core): number => by.grantLogical(1, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit);
    // Partition 4 has granted to 3; it fails, and starts again, and its slots are for all: one is its memory, one is granted first.
    const cookies = [0, 1, 2].map(() => get(owner.grantLogical(4, TYPE_MEMORY, 0, 0, PAGE_BYTES, old)));
    const cookie = cookies[0] as number;
    for (const each of cookies) get(owner.rescindLogical(4, 0, each));
    get(owner.failPartition(4, 0));
    get(owner.recoverServer(4, 4096));
    get(owner.restartPartition(4, 0));
    const slot = cookie % COOKIE_SLOTS;
    while (rig.word(rig.partitionAt(1) + PARTITION_POOL) !== slot) get(grant(owner));
    const before = rig.save();
    for (let at = 1; ; at++) {
      rig.restore(before);
      if (!rig.crash(() => grant(rig.core(1)), at)) break;
      const guess = cookie + COOKIE_SLOTS;
      expect([H_PARAMETER, H_LONG_BUSY_10_MSEC], `stopped before store ${at}`).toContain(
        rig.core(2).acceptLogical(3, guess),
      );
      expect([H_PARAMETER, H_LONG_BUSY_10_MSEC]).toContain(rig.core(2).rescindLogical(4, 0, guess));
    }
  });

  test("every store of the calls that change a table, and of the repair, was one of them", () => {
    const changing = [...core.exports.keys()].filter((name) => NOT_CHANGING[name] === undefined);
    expect(changing).toEqual(
      expect.arrayContaining(["grantLogical", "hcallBatch", "reapThread", "mendCall"]),
    );
    const functions = reachable(core, changing);
    const sites = core.sites
      .map((site, index) => ({ site, index }))
      .filter(({ site }) => functions.has(site.name));
    const missed = sites.filter(({ index }) => covered[index] !== 1).map(({ site }) => told(site));
    const reached = sites.length - missed.length;
    console.info(
      `crash: ${SCENARIOS.length} scenarios, ${tally.points} crash points, ${tally.pairs} crashes in the repair of a crash ` +
        `(all pairs of ${tally.complete} scenarios), ${reached} of ${sites.length} store sites, seed ${SEED}`,
    );
    expect(missed.filter((name) => !NOT_REACHED.some(({ site }) => site.test(name)))).toEqual([]);
  });
});

function told(site: Site): string {
  return `${site.name}: ${site.text}`;
}

describe("seeded bugs are caught by a short run", () => {
  const short = SHORT.map((name) => SCENARIOS.find((scenario) => scenario.name === name));
  const most = { points: 60, pairs: 25 };
  let core: Instrumented;

  beforeAll(async () => {
    core = await seededCore(BUGS);
  }, 120_000);

  test("each is one statement of the source, and each scenario of the short run exists", () => {
    for (const { bug, file, from } of BUGS)
      expect(readFileSync(join(ROOT, file), "utf8").split(from).length - 1, bug).toBe(1);
    expect(short).not.toContain(undefined);
  });

  /** What a short run finds with a bug, 0 for none. */
  function hunt(bug: number): string | undefined {
    const scenarios = short.filter((scenario) => scenario !== undefined);
    return cast(core, scenarios, most, emptyTally(), new Uint8Array(core.sites.length), bug);
  }

  test("nothing is caught without a bug", { timeout: 0 }, () => {
    expect(hunt(0)).toBeUndefined();
  });

  for (const [index, { bug }] of BUGS.entries()) {
    test(`caught: ${bug}`, { timeout: 0 }, () => {
      const found = hunt(index + 1);
      expect(found).toBeTypeOf("string");
      if (process.env.LPAR_MUTANTS_SHOW !== undefined) console.info(`${bug}\n    ${found}`);
    });
  }
});
