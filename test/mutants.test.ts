/**
 * Seeded bugs: a green net proves nothing until it has been red. Each one is a change of one place of the core's source,
 * compiled in memory, or of the library's; the comparison with the model and the fuzzing, in a short form, must find every
 * one of them, and nothing in the core as it is. The classes are those of the security advisories that systems like this
 * have had.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HuntOptions } from "./support/hunt.js";
import type { Mutation, Order, Report } from "./support/mutant-worker.js";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Inside the package, so that the workers find its dependencies. */
const folder = join(root, "node_modules", ".cache", `lpar-mutants-${process.pid}`);
const WORKERS = 2;
/** A mutant whose hunt gets no further for so many milliseconds is caught, too: the core never loops for ever. */
const PATIENCE_MS = 15_000;
const OPTIONS: HuntOptions = { sequences: 200, commands: 600, walks: 400, tables: 4, calls: 20_000 };
/** For the core as it is, in which the same nets find nothing at greater length in tests of their own. */
const CONTROL: HuntOptions = { ...OPTIONS, sequences: 70, tables: 1 };

const MUTATIONS: readonly (Mutation & { readonly bug: string })[] = [
  {
    bug: "who has stopped goes on being charged for frames under views of others (FA1)",
    file: "assembly/recover.ts",
    from: "      unchargeRest(partition);\n",
    to: "",
  },
  {
    bug: "a slot is used again with the same generation (G3)",
    file: "assembly/slot.ts",
    from: "put2(structure + STRUCTURE_STATE, end, structure + STRUCTURE_GENERATION, generation + 1);",
    to: "put2(structure + STRUCTURE_STATE, end, structure + STRUCTURE_GENERATION, generation);",
  },
  {
    bug: "a released slot does not go back to the free list",
    file: "assembly/slot.ts",
    from: "if (Slots.end(structure)) givePooled(HEADER_POOL, structure);\n  else",
    to: "if (!Slots.end(structure))",
  },
  {
    bug: "the free list is linked after its head was set, so that it loops",
    file: "assembly/slot.ts",
    from: "structure + STRUCTURE_NEXT_HELD,\n      partitionWord(pool, PARTITION_POOL),",
    to: "structure + STRUCTURE_NEXT_HELD,\n      slotOf(structure),",
  },
  {
    bug: "a revocation above is not seen while it marks (RS5)",
    file: "assembly/control.ts",
    from: "return ((load<u8>(structure, STRUCTURE_FLAGS) & FLAG_REVOKING) | header(HEADER_MARKING)) != 0;",
    to: "return hasFlag(structure, FLAG_REVOKING);",
  },
  {
    bug: "the quota is not given back (GR7)",
    file: "assembly/slot.ts",
    from: "store<u32>(end, used - 1, END_USED);",
    to: "",
  },
  {
    bug: "a structure that has ended stays in its holder's list",
    file: "assembly/slot.ts",
    from: "store<u32>(linkHeld, nextHeld);",
    to: "",
  },
  {
    bug: "the addresses of a rescinded mapping are used again before it is returned (RS4)",
    file: "assembly/page.ts",
    from: "export function rescindPages(at: usize, page: u32, count: u32): void {",
    to: "export function rescindPages(at: usize, page: u32, count: u32): void {\n  freePages(at, page, count);",
  },
  {
    bug: "rights widen along the chain (GR5)",
    file: "assembly/hcall-logical.ts",
    from: "if ((limits & (INHIBIT_REGRANT | ~inhibits)) != 0) return H_PERMISSION; // GR5",
    to: "if ((limits & INHIBIT_REGRANT) != 0) return H_PERMISSION; // GR5",
  },
  {
    bug: "a grant on rescinded pages is refused with the wrong answer (GR4)",
    file: "assembly/hcall-logical.ts",
    from: "return mayHold && anyRescinded(at, page, count) ? H_RESCINDED : H_PARAMETER; // GR4, GR3",
    to: "return H_PARAMETER;",
  },
  {
    bug: "a mapping is unmapped, but still counted",
    file: "assembly/hcall-logical.ts",
    from: "  Become.granted(holder, structure);\n",
    to: "  becomeGranted(holder, structure, 0);\n",
  },
  {
    bug: "a mapping is returned under its re-grants (RE3)",
    file: "assembly/control.ts",
    from: " | childOf(structure)) != 0;",
    to: ") != 0;",
  },
  {
    bug: "a mapping is returned under a view (RE2)",
    file: "assembly/control.ts",
    from: "& 0xffff0000ffff0000)",
    to: "& 0xffff000000000000)",
  },
  {
    bug: "a grant of a failed partition can be accepted (AC5)",
    file: "assembly/hcall-logical.ts",
    from: "if (!runsNow(grantor)) return H_RESCINDED; // AC5",
    to: "",
  },
  {
    bug: "a freed frame keeps its content (TR5, FA4)",
    file: "assembly/frame.ts",
    from: "memory.fill(frameAt(frame), 0, PAGE_BYTES);",
    to: "",
  },
  {
    bug: "a frame under a view is handed out again (RS6)",
    file: "assembly/frame.ts",
    from: "  if (pins == 0) {",
    to: "  if (pins >= 0) {",
  },
  {
    bug: "a range check wraps at 2^32",
    file: "assembly/memory.ts",
    from: "beyond + bytes <= <u64>load",
    to: "<u64>(<u32>beyond + <u32>bytes) <= <u64>load",
  },
  {
    bug: "a fraction passes for an integer (G2)",
    file: "assembly/decode.ts",
    from: "  const integer = lowBits(value);\n  return f64(integer) == value ? integer : NONE;",
    to: "  const integer = lowBits(value);\n  return integer;",
  },
  {
    bug: "a revocation takes the access of the first page only (RS4)",
    file: "assembly/page.ts",
    from: "leaveOnly(at, page, count, ENTRY_RESCINDED);",
    to: "leaveOnly(at, page, 1, ENTRY_RESCINDED);",
  },
  {
    bug: "a structure that two revocations meet is marked twice (RS7)",
    file: "assembly/revoke.ts",
    from: "if (!hasFlag(visited, FLAG_REVOKING)) budget -= mark(visited);",
    to: "budget -= mark(visited);",
  },
  {
    bug: "a revocation that an outer one has met stands for ever (RS7)",
    file: "assembly/revoke.ts",
    from: "  endRevocation(structure);\n  return cursor;",
    to: "  return cursor;",
  },
  {
    bug: "a forced rescind that a server was in the middle of stands still in its grace period (RE5)",
    file: "assembly/recover.ts",
    from: "return status == H_SUCCESS && mayHaveBegun(partition) && !endServed(partition, left) ? H_PARTIAL : status;",
    to: "return status;",
  },
  {
    bug: "a recovery takes a revocation that stopped right before its end for complete (FA6)",
    file: "assembly/recover.ts",
    from: "if (childOf(structure) != 0 || hasFlag(structure, FLAG_ROOT)) {",
    to: "if (childOf(structure) != 0) {",
  },
  {
    bug: "a mapping under a view goes, and its page stays where the view is (RS6)",
    file: "assembly/revoke.ts",
    from: "if (!isZeroing(structure) && !isUnpinned(structure)) {",
    to: "if (false) {",
  },
  {
    bug: "a page moves away from under its other sharers (RS6)",
    file: "assembly/move.ts",
    from: "  let slot = childOf(root);",
    to: "  let slot: u32 = 0;",
  },
  {
    bug: "a transport event is lost on a full ring (CQ5)",
    file: "assembly/queue.ts",
    from: "  else fill(last, event, 0);",
    to: "",
  },
  {
    bug: "a partner is told of a failure once per adapter (FA2)",
    file: "assembly/tell.ts",
    from: "if (partitionWord(partner, PARTITION_NOTICE) == serial) return;",
    to: "",
  },
  {
    bug: "a telling begins in the middle of another one, so that partners hear of both again (FA2)",
    file: "assembly/tell.ts",
    from: "if (header(HEADER_TELLER) == 0) {",
    to: "if (header(HEADER_TELLER) != lpidOf(own)) {",
  },
  {
    bug: "something is taken from partners before all have heard (FA2)",
    file: "assembly/tell.ts",
    from: "return haveHeard(partition) ? max(left, 1) : 0;",
    to: "return max(left, 1);",
  },
  {
    bug: "the queues of who failed take messages until their partners have heard (FA1)",
    file: "assembly/queue.ts",
    from: "return endWord(end, END_QUEUE_PAGES) != 0 && runsNow(partitionAt(endWord(end, END_OWNER)));",
    to: "return endWord(end, END_QUEUE_PAGES) != 0;",
  },
  {
    bug: "a telling stays at an end that has ended (FA2)",
    file: "assembly/adapter.ts",
    from: "if (header(HEADER_TELLER_END) == endSlotOf(end)) setHeader(HEADER_TELLER_END, next);",
    to: "",
  },
  {
    bug: "the unit address of an old incarnation names a new adapter (G4)",
    file: "assembly/adapter.ts",
    from: "setEndWord(end, END_UNIT, endWord(end, END_UNIT) + unitStep());\n",
    to: "",
  },
  {
    bug: "the unit address of an old incarnation names an adapter that took its end (G4)",
    file: "assembly/adapter.ts",
    from: "setEndWord(end, END_UNIT, endWord(end, END_UNIT) + unitStep()); // G4\n",
    to: "",
  },
  {
    bug: "what is not returned to an old incarnation does not count on the next adapter (GR7)",
    file: "assembly/adapter.ts",
    from: "if (endWord(end, END_PAIR) == pair && !isLastUnit(end)) return end;",
    to: "",
  },
  {
    bug: "a copy asks for the right to read its target (TR3)",
    file: "assembly/copy.ts",
    from: "checkLocked(partnerLpid, to, length, NEED_WRITE)",
    to: "checkLocked(partnerLpid, to, length, NEED_READ)",
  },
  {
    bug: "a copy between two mappings of the same frames overwrites what it still has to read (TR3)",
    file: "assembly/copy.ts",
    from: "if (!shareFrame(source, from, target, to, length)) {",
    to: "if (length > 0) {",
  },
  {
    bug: "a TCE is not counted at the memory that it names (RE2, KI4)",
    file: "assembly/tce.ts",
    from: "  addEntries(memory, 1);",
    to: "",
  },
  {
    bug: "a pane is returned under its TCEs (RE2, KI4)",
    file: "assembly/control.ts",
    from: "& 0xffff0000ffff0000)",
    to: "& 0x00000000ffff0000)",
  },
  {
    bug: "a pane is torn down, its TCEs stand (RS4, KI4)",
    file: "assembly/revoke.ts",
    from: "  return entriesOf(structure) != 0;",
    to: "  return false;",
  },
  {
    bug: "a batch does not look at the rights of every fourth address (TR1)",
    file: "assembly/translate.ts",
    from: "const rights = i32x4.splat(mask);",
    to: "const rights = i32x4.replace_lane(i32x4.splat(mask), 3, 0);",
  },
  {
    bug: "a batch finds a page past the end by the low half of its number (TR1)",
    file: "assembly/translate.ts",
    from: "const outside = v128.or(v128.xor(pagesA, insideA), v128.xor(pagesB, insideB));",
    to: "const outside = v128.and(i64x2.splat(0xffffffff), v128.or(v128.xor(pagesA, insideA), v128.xor(pagesB, insideB)));",
  },
  {
    bug: "the lender keeps its access (OM2)",
    file: "assembly/lend.ts",
    from: "    lendEntries(at, page, count);\n    return;",
    to: "    return;",
  },
  {
    bug: "the end of a lend leaves the lender without access (OM4)",
    file: "assembly/lend.ts",
    from: "unlendEntries(at, page, count, entryRights(inhibitsOf(source)));",
    to: "{}",
  },
  {
    bug: "pages are lent that others share (OM3)",
    file: "assembly/lend.ts",
    from: "if (first < page + count && page < first + pageCountOf(grant)) return false;",
    to: "",
  },
  {
    bug: "a page that moves is not lent any more (OM7)",
    file: "assembly/page.ts",
    from: "(entry & (ENTRY_VALID | ENTRY_READ | ENTRY_WRITE | ENTRY_COPY_ON_WRITE | ENTRY_LENT)) | frame",
    to: "(entry & (ENTRY_VALID | ENTRY_READ | ENTRY_WRITE | ENTRY_COPY_ON_WRITE)) | frame",
  },
  {
    bug: "the donor's addresses stay mapped (OM8)",
    file: "assembly/donate.ts",
    from: "freePages(spaceAt(partitionAt(donor), SPACE_MEMORY), donated, count);",
    to: "",
  },
  {
    bug: "the quota of a donation is not given back with the accept (OM8, GR7)",
    file: "assembly/donate.ts",
    from: "  uncountGrants(donor, receiver, endAt(endOf(structure)), 1);\n",
    to: "",
  },
  {
    bug: "what was donated counts as the donor's (OM8)",
    file: "assembly/donate.ts",
    from: "addPartitionWord(receiver, PARTITION_PAGES_OWNED, count);",
    to: "addPartitionWord(donor, PARTITION_PAGES_OWNED, count);",
  },
  {
    bug: "what a borrower gives back is not zeroed (OM5)",
    file: "assembly/lend.ts",
    from: "memory.fill(frameAt(entryOf(at, first + i) & ENTRY_FRAME), 0, PAGE_BYTES);",
    to: "",
  },
  {
    bug: "a copy-on-write page is written in place",
    file: "assembly/cow.ts",
    from: "if (stateOf(structure) != STRUCTURE_OWNED && !isPrivate(entry)) return false;",
    to: "",
  },
  {
    bug: "a page that was merged with equal ones is written in place",
    file: "assembly/cow.ts",
    from: "return frameShares(entry & ENTRY_FRAME) == 0;",
    to: "return true;",
  },
  {
    bug: "pages are merged whose last bytes differ",
    file: "assembly/merge.ts",
    from: "offset < usize(PAGE_BYTES) && difference == 0",
    to: "offset < usize(PAGE_BYTES) - 64 && difference == 0",
  },
  {
    bug: "a grant of a window names what it was granted from, not the window (KI2)",
    file: "assembly/hcall-logical.ts",
    from: "space == SPACE_MMIO ? windowOf(source) : liobn",
    to: "space == SPACE_MMIO ? slotOf(source) : liobn",
  },
  {
    bug: "a pane of another bus is taken for the right one (GR3, KI4)",
    file: "assembly/hcall-logical.ts",
    from: "if (space == SPACE_DMA && liobnOf(source) != liobn) return whyUncovered(grantor, at, page, count);",
    to: "",
  },
  {
    bug: "a page that moves on request leaves those behind to whom it was granted on",
    file: "assembly/move.ts",
    from: "const child = covers ? childOf(structure) : 0;",
    to: "const child: u32 = 0;",
  },
  {
    bug: "a page that moves loses its last words",
    file: "assembly/move.ts",
    from: "frameAt(entryOf(space, page) & ENTRY_FRAME), PAGE_BYTES);",
    to: "frameAt(entryOf(space, page) & ENTRY_FRAME), PAGE_BYTES - 64);",
  },
  {
    bug: "what a page leaves behind when it moves on request is not zeroed (TR5)",
    file: "assembly/frame.ts",
    from: "memory.fill(frameAt(first), 0, <usize>count * PAGE_BYTES);",
    to: "",
  },
  {
    bug: "a page under a view moves on request",
    file: "assembly/migrate.ts",
    from: "while (count < run && framePins(first + count) == 0 && !isCopyOnWrite",
    to: "while (count < run && !isCopyOnWrite",
  },
  {
    bug: "compaction moves pages up",
    file: "assembly/migrate.ts",
    from: "return lowest < frame ? lowest : NONE;",
    to: "return lowest;",
  },
  {
    bug: "a forced rescind fills the quarantine past its quota",
    file: "assembly/move.ts",
    from: "run = min(run, quarantineLeft());",
    to: "",
  },
  {
    bug: "a forced rescind that is held up names the owner, not who has the view",
    file: "assembly/move.ts",
    from: "store<u32>(THREAD, holderOf(structure) + 1, THREAD_STUCK_ON);",
    to: "store<u32>(THREAD, holderOf(root) + 1, THREAD_STUCK_ON);",
  },
  {
    bug: "while its owner waits for borrowers, a page stays under the view of one that fails (FA7)",
    file: "assembly/move.ts",
    from: "if (partitionWord(owner, PARTITION_STATE) != PARTITION_RECOVERING) {",
    to: "if (partitionWord(owner, PARTITION_STATE) < 2) {",
  },
  {
    bug: "a failed server that waits for its borrowers lets others accept (FA7)",
    file: "assembly/hcall-logical.ts",
    from: "if (!runsNow(grantor)) return H_RESCINDED; // AC5",
    to: "if (!runsNow(grantor) && !isDeferred(grantor)) return H_RESCINDED;",
  },
  {
    bug: "what is returned to a failed server can be accepted again (FA7)",
    file: "assembly/hcall-logical.ts",
    from: "if (isLast) {\n    becomeUnknown(structure);",
    to: "if (isLast && !isDeferred(grantor)) {\n    becomeUnknown(structure);",
  },
  {
    bug: "nobody hears of the last return to a failed server (FA7)",
    file: "assembly/account.ts",
    from: "if (isDeferred(grantor) && partitionWord(grantor, PARTITION_GRANTS_OUT) == 0) signal(grantor);",
    to: "",
  },
  {
    bug: "a failed server that waits for its borrowers takes what they have (FA7)",
    file: "assembly/recover.ts",
    from: "if (isWaiting && state == STRUCTURE_GRANTED) {",
    to: "if (state != STRUCTURE_OWNED) {",
  },
  {
    bug: "the client is not told that its grantor wants it back",
    file: "assembly/hcall-logical.ts",
    from: "pushEvent(partitionAt(holderOf(structure)), type, lpidOf(grantor), cookieOf(structure));",
    to: "",
  },
  {
    bug: "a deadline is not waited for",
    file: "src/rescind.ts",
    from: "const isAsked = (options.deadline ?? 0) > 0;",
    to: "const isAsked = (options.deadline ?? 0) > 2000;",
  },
  {
    bug: "who does not give back by the deadline is not forced to",
    file: "src/rescind.ts",
    from: "if (left <= 0 || (status",
    to: "if (left <= -1e6 || (status",
  },
  {
    bug: "a rescind by force does not end the wait of another one for its deadline",
    file: "src/rescind.ts",
    from: "kernel.rouse(lpid);",
    to: "",
  },
  {
    bug: "the last return to a failed server does not begin its recovery (FA7)",
    file: "src/recovery.ts",
    from: "if (!this.#isRunning) void this.#goOn();",
    to: "",
  },
  {
    bug: "what is borrowed cannot be reclaimed (FA7)",
    file: "src/recovery.ts",
    from: "this.#stopWaiting();\n    if (this.#ended) return;",
    to: "this.#stopWaiting();\n    if (this.#ended || this.#isDeferred) return;",
  },
  {
    bug: "a server that should wait for its borrowers has a grace period (FA7)",
    file: "src/resource-table.ts",
    from: 'description.onFailure === "defer" ? "defer" : this.#gracePeriodMs;',
    to: "this.#gracePeriodMs;",
  },
  {
    bug: "a view does not follow its page, for want of a pin (RS6)",
    file: "src/mapping.ts",
    from: "if (taken !== H_LONG_BUSY_10_MSEC) this.#bytes = undefined;",
    to: "",
  },
  {
    bug: "a record passes for complete whatever its seal is",
    file: "src/seal.ts",
    from: "if (bytes[payload + i] !== seal[i]) return false;",
    to: "if (payload < 0) return false;",
  },
  {
    bug: "a rescinded interrupt source keeps its line: events after the rescind (KI3)",
    file: "assembly/account.ts",
    from: "  if (spaceOf(structure) == SPACE_MEMORY) return;\n  endLine(structure);",
    to: "  if (spaceOf(structure) == SPACE_MEMORY) return;",
  },
  {
    bug: "grants of one run are marked as the first one's holder's",
    file: "assembly/run.ts",
    from: "    if (lpid != load<u32>(part, RUN_WHOSE)) {\n      part",
    to: "    if (load<u32>(part, RUN_WHOSE) == 0) {\n      part",
  },
  {
    bug: "grants of one run are torn down as if through the first one's end, whatever stands on them",
    file: "assembly/run.ts",
    from: "    if (its != load<u64>(part, RUN_WHOSE)) {\n      part",
    to: "    if (load<u64>(part, RUN_WHOSE) == 0) {\n      part",
  },
  {
    bug: "grants of one run are torn down and their number forgotten",
    file: "assembly/run.ts",
    from: "endAt(<u32>(its >> 32) & 0xffff), ended);",
    to: "endAt(<u32>(its >> 32) & 0xffff), 1);",
  },
  {
    bug: "one holder through two ends: events of a run are put at the same places (RS8)",
    file: "assembly/run.ts",
    from: "if (load<u64>(other, RUN_WHOSE) != 0 && load<u32>(other, RUN_GRANTEE) == <u32>grantee) return false;",
    to: "",
  },
  {
    bug: "a run goes down to a child and leaves its siblings linked to what it has torn down",
    file: "assembly/run.ts",
    from: "      if (child != 0) beginChildren(above, next);\n",
    to: "",
  },
  {
    bug: "a walk goes where it guesses that a parent is (RS4)",
    file: "assembly/run.ts",
    from: "const above = Follow.link(structure, parentOf(structure), -1);",
    to: "const above = structure - 64;",
  },
  {
    bug: "a run ends before a sibling, and leaves it linked to what it has torn down",
    file: "assembly/run.ts",
    from: "    else if (previousOf(structure) != 0) beginChildren(structureAt(parentOf(structure)), slotOf(structure));\n",
    to: "",
  },
  {
    bug: "what ends with its holder stays in the tree where what ends after it stands elsewhere",
    file: "assembly/run.ts",
    from: "      if (done != 0) leaveTogether(eldest, last);\n",
    to: "",
  },
  {
    bug: "what a dead holder has is still counted as mapped",
    file: "assembly/run.ts",
    from: "  addPartitionWord(holder, PARTITION_PAGES_MAPPED, -(<i32>done));\n",
    to: "",
  },
  {
    bug: "where there is one thread, a batch leaves what its requests have begun (RE6)",
    file: "assembly/hcall-batch.ts",
    from: "      status = Request.byWords(request, token);\n      settle();\n",
    to: "      status = Request.byWords(request, token);\n",
  },
  {
    bug: "an armed source that is taken away leaves its pin (RE2)",
    file: "assembly/line.ts",
    from: "if ((state & LINE_ARMED) != 0) countPin(structure, partition, -1);",
    to: "",
  },
  {
    bug: "a masked interrupt stays in the queue (KI3)",
    file: "assembly/line.ts",
    from: "if (wasQueued) unlinkLine(partition, index);",
    to: "",
  },
  {
    bug: "what is raised in service is not queued at its end (KI3)",
    file: "assembly/line.ts",
    from: "change(partition, index, state & ~LINE_IN_SERVICE);",
    to: "setState(partition, index, state & ~LINE_IN_SERVICE);",
  },
  {
    bug: "a raise does not reach those to whom the source was granted on (KI3)",
    file: "assembly/raise.ts",
    from: "const child = hasFlag(structure, FLAG_REVOKING) ? 0 : childOf(structure);",
    to: "const child = hasFlag(structure, FLAG_REVOKING) || structure != root ? 0 : childOf(structure);",
  },
  {
    bug: "an interrupt number past the end of the space is used (G2)",
    file: "assembly/hcall-lines.ts",
    from: "if (number >= spacePages(at)) return H_PARAMETER;",
    to: "",
  },
];

function javaScriptOf(text: string): string {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

/** The nets as JavaScript, for worker threads that know no TypeScript. */
function transpile(): void {
  for (const part of ["src", join("test", "support")]) {
    for (const name of readdirSync(join(root, part), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const target = join(folder, part, name.replace(/\.ts$/, ".js"));
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, javaScriptOf(readFileSync(join(root, part, name), "utf8")));
    }
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
}

/** The nets once more, over a changed library. */
function transpileChanged({ file, from, to }: Mutation): string {
  const copy = join(folder, `changed-${changed++}`);
  for (const part of ["src", "test", "package.json"])
    cpSync(join(folder, part), join(copy, part), { recursive: true });
  const text = readFileSync(join(root, file), "utf8").replace(from, () => to);
  writeFileSync(join(copy, file.replace(/\.ts$/, ".js")), javaScriptOf(text));
  return copy;
}

let changed = 0;

/** One worker thread, begun again when a mutant does not come back. */
class Hunter {
  #worker: Worker | undefined;

  hunt(mutation: Mutation | undefined): Promise<Report> {
    const isOfLibrary = mutation?.file.startsWith("src/") === true;
    // A worker that has loaded one library loads no other.
    if (isOfLibrary) this.end();
    const place = isOfLibrary ? transpileChanged(mutation) : folder;
    this.#worker ??= new Worker(pathToFileURL(join(place, "test", "support", "mutant-worker.js")));
    const worker = this.#worker;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (report: Report): void => {
        clearTimeout(timer);
        if (isOfLibrary) this.end();
        worker.off("message", hear).off("error", fail).off("exit", fail);
        resolve(report);
      };
      const fail = (reason: unknown): void => {
        this.end();
        settle({ broken: `the worker ended: ${String(reason)}` });
      };
      const giveUp = (): void => {
        this.end();
        settle({ found: `no step further in ${PATIENCE_MS} ms` });
      };
      const hear = (report: Report): void => {
        clearTimeout(timer);
        if (report.goesOn === true) timer = setTimeout(giveUp, PATIENCE_MS);
        else settle(report);
      };
      worker.on("message", hear).on("error", fail).on("exit", fail);
      const options = mutation === undefined || mutation === ASKED ? CONTROL : OPTIONS;
      worker.postMessage({ root, mutation, options } satisfies Order);
    });
  }

  end(): void {
    void this.#worker?.terminate();
    this.#worker = undefined;
  }
}

/** No bug: what a call counts on, that it has noted nothing before its first notes, is asked. */
const ASKED: Mutation & { readonly bug: string } = {
  bug: "the core that asks whether its first notes are the first",
  file: "assembly/log.ts",
  from: "return 0; // THREAD_LOG_TOP is",
  to: "assert(load<u32>(THREAD, THREAD_LOG_TOP) == 0);\n    return 0;",
};

const reports = new Map<string, Promise<Report>>();
const hunters = Array.from({ length: WORKERS }, () => new Hunter());
const AS_IS = "the core as it is";

beforeAll(() => {
  transpile();
  const queue = [undefined, ASKED, ...MUTATIONS];
  const settlers = new Map<string, (report: Report) => void>();
  for (const mutation of queue) {
    const name = mutation?.bug ?? AS_IS;
    reports.set(name, new Promise((resolve) => settlers.set(name, resolve)));
  }
  for (const hunter of hunters) {
    void (async () => {
      for (let mutation = queue.shift(); settlers.size > 0; mutation = queue.shift()) {
        const name = mutation?.bug ?? AS_IS;
        const settle = settlers.get(name);
        if (settle === undefined) break;
        settlers.delete(name);
        settle(await hunter.hunt(mutation));
      }
      hunter.end();
    })();
  }
}, 120_000);

afterAll(() => {
  for (const hunter of hunters) hunter.end();
  rmSync(folder, { recursive: true, force: true });
});

test("the nets find nothing in the core as it is", { timeout: 0 }, async () => {
  expect(await reports.get(AS_IS)).toEqual({ found: undefined });
});

test("G1: the first notes of a call are the first: the nets find nothing where that is asked", {
  timeout: 0,
}, async () => {
  expect(await reports.get(ASKED.bug)).toEqual({ found: undefined });
});

test("there are twelve seeded bugs and more, each in one place of the core or of the library", () => {
  expect(MUTATIONS.length).toBeGreaterThanOrEqual(12);
  for (const { bug, file, from } of [ASKED, ...MUTATIONS]) {
    const text = readFileSync(join(root, file), "utf8");
    expect(text.split(from).length - 1, `${bug}: how often the text stands in ${file}`).toBe(1);
  }
});

for (const { bug } of MUTATIONS) {
  test(`caught: ${bug}`, { timeout: 0 }, async () => {
    const report = await reports.get(bug);
    expect(report?.broken).toBeUndefined();
    expect(report?.found).toBeTypeOf("string");
    if (process.env.LPAR_MUTANTS_SHOW !== undefined) console.log(`${bug}\n    ${report?.found}`);
  });
}
