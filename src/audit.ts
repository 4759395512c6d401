/**
 * The core's audit in words.
 */
import type { TableMemory } from "./binding.js";
import { HcallError } from "./errors.js";
import {
  H_LONG_BUSY_10_MSEC,
  HEADER_AUDIT_AT,
  HEADER_AUDIT_CHECKED,
  HEADER_AUDIT_PROBLEMS,
  PROBLEM_BACK,
  PROBLEM_BYTES,
  PROBLEM_COPIES,
  PROBLEM_END_COUNT,
  PROBLEM_END_COUNTER,
  PROBLEM_END_LINK,
  PROBLEM_END_QUEUE,
  PROBLEM_ENTRY,
  PROBLEM_EVENTS,
  PROBLEM_FRAME_COUNT,
  PROBLEM_FRAME_DIRTY,
  PROBLEM_FRAME_FREE,
  PROBLEM_FRAME_OWNER,
  PROBLEM_FREE_LIST,
  PROBLEM_FREE_MAP,
  PROBLEM_HELD_LINK,
  PROBLEM_LENT_COUNT,
  PROBLEM_LINE,
  PROBLEM_LINE_QUEUE,
  PROBLEM_LOST_FRAME,
  PROBLEM_MAP,
  PROBLEM_PARTITION_COUNTER,
  PROBLEM_PARTITION_HOLDS,
  PROBLEM_PARTITION_STATE,
  PROBLEM_PIN,
  PROBLEM_PIN_COUNT,
  PROBLEM_REVOCATIONS,
  PROBLEM_SHARES,
  PROBLEM_STRUCTURE_COUNT,
  PROBLEM_STRUCTURE_END,
  PROBLEM_STRUCTURE_FLAGS,
  PROBLEM_STRUCTURE_RANGE,
  PROBLEM_STRUCTURE_RIGHTS,
  PROBLEM_STRUCTURE_STATE,
  PROBLEM_TCE,
  PROBLEM_TCE_COUNT,
  PROBLEM_THREAD,
  PROBLEM_TREE_LINK,
  PROBLEM_WINDOW,
  PROBLEMS_MAX,
} from "./layout.js";
import { RESOURCE_TYPES } from "./records.js";

/** What an audit found. */
export interface AuditReport {
  /** Broken invariants, the first 256 in words; empty if every invariant holds. */
  readonly problems: readonly string[];
  /** Facts that were looked at. */
  readonly checked: number;
}

/** One broken invariant. */
export interface Problem {
  /** The same in two audits that find the same problem. */
  readonly identity: string;
  readonly text: string;
}

/** Problems with what was counted in them, which others change from one audit to the next. */
const COUNTED: ReadonlySet<number> = new Set([
  PROBLEM_COPIES,
  PROBLEM_SHARES,
  PROBLEM_END_COUNT,
  PROBLEM_FRAME_COUNT,
  PROBLEM_FREE_LIST,
  PROBLEM_LENT_COUNT,
  PROBLEM_PIN_COUNT,
  PROBLEM_REVOCATIONS,
  PROBLEM_STRUCTURE_COUNT,
  PROBLEM_TCE_COUNT,
]);

function inSpace(place: number, page: number): string {
  return `partition ${place >>> 3}, ${RESOURCE_TYPES[place & 7]} page ${page}`;
}

/** By MAP_: the first are those of the spaces. */
const MAPS: readonly string[] = [...RESOURCE_TYPES, "allocations", "frames", "staging"];

const WORDING: Readonly<Record<number, (a: number, b: number) => string>> = {
  [PROBLEM_PARTITION_COUNTER]: (a, b) =>
    `partition ${a}: the counter at ${b} of its record is not what was counted`,
  [PROBLEM_PARTITION_STATE]: (a, b) => `partition ${a}: state ${b} is impossible here`,
  [PROBLEM_PARTITION_HOLDS]: (a) => `partition ${a}: stopped or free, but still holds something`,
  [PROBLEM_HELD_LINK]: (a, b) => `structure ${a}: its holder's list does not link with ${b}`,
  [PROBLEM_TREE_LINK]: (a, b) => `structure ${a}: the tree does not link with ${b}`,
  [PROBLEM_STRUCTURE_STATE]: (a, b) => `structure ${a}: state ${b} is impossible here`,
  [PROBLEM_STRUCTURE_RANGE]: (a) => `structure ${a}: outside what it was granted from, or outside the space`,
  [PROBLEM_STRUCTURE_RIGHTS]: (a, b) => `structure ${a}: more rights than ${b}, from which it was granted`,
  [PROBLEM_STRUCTURE_END]: (a, b) => `structure ${a}: adapter end ${b} does not join grantor and grantee`,
  [PROBLEM_STRUCTURE_COUNT]: (a, b) => `structures: ${a} counted, the header says ${b}`,
  [PROBLEM_STRUCTURE_FLAGS]: (a) => `structure ${a}: revocation flags that do not fit together`,
  [PROBLEM_ENTRY]: (a, b) => `structure ${a}: the page table entry of page ${b} does not fit its state`,
  [PROBLEM_BACK]: (a, b) => `${inSpace(a, b)}: names the wrong control structure`,
  [PROBLEM_FREE_MAP]: (a, b) => `${inSpace(a, b)}: free map and page table disagree`,
  [PROBLEM_MAP]: (a, b) => `free map of ${MAPS[a & 7]}, partition ${a >>> 3}: wrong at ${b}`,
  [PROBLEM_FRAME_OWNER]: (a, b) => `frame ${a}: cannot belong to structure ${b}`,
  [PROBLEM_FRAME_FREE]: (a) => `frame ${a}: free and pinned, or in quarantine without a pin`,
  [PROBLEM_FRAME_COUNT]: (a, b) => `frames: ${a} counted, the header says ${b}`,
  [PROBLEM_FRAME_DIRTY]: (a) => `frame ${a}: free but not zero`,
  [PROBLEM_LOST_FRAME]: (a) => `frame ${a}: neither free nor owned`,
  [PROBLEM_END_COUNTER]: (a, b) => `adapter end ${a}: the counter at ${b} is not what was counted`,
  [PROBLEM_END_LINK]: (a) => `adapter end ${a}: state or links that do not fit together`,
  [PROBLEM_END_QUEUE]: (a) => `adapter end ${a}: its queue is not in its owner's memory`,
  [PROBLEM_END_COUNT]: (a, b) => `adapter ends: ${a} counted, the header says ${b}`,
  [PROBLEM_PIN]: (a) => `pin ${a}: does not fit its frames, its structure or its list`,
  [PROBLEM_COPIES]: (a, b) =>
    `private pages: ${b} counted, ${a === 0 ? "the header" : `structure ${a}`} says otherwise`,
  [PROBLEM_SHARES]: (a, b) => `merged pages: ${a} references counted, the header says ${b}`,
  [PROBLEM_PIN_COUNT]: (a, b) => `pins: ${a} counted, ${b} on record`,
  [PROBLEM_REVOCATIONS]: (a, b) => `revocations: ${a} counted, the header says ${b}`,
  [PROBLEM_FREE_LIST]: (a) => `free list of structures: wrong at ${a}`,
  [PROBLEM_THREAD]: (a, b) =>
    `thread ${a}: the word at ${b} of its record says that a call was left half done`,
  [PROBLEM_LENT_COUNT]: (a, b) => `lent pages: ${a} counted, the header says ${b}`,
  [PROBLEM_WINDOW]: (a, b) =>
    `structure ${a}: ${b} is neither the window that it was granted from nor a thread`,
  [PROBLEM_LINE]: (a, b) => `${inSpace(a, b)}: its line does not fit what is mapped there`,
  [PROBLEM_LINE_QUEUE]: (a, b) => `partition ${a}: the queue of its lines breaks at ${b}`,
  [PROBLEM_TCE]: (a, b) => `partition ${a}, dma page ${b}: a TCE that does not fit its pane or its memory`,
  [PROBLEM_TCE_COUNT]: (a, b) => `TCEs: ${a} counted at panes and memory, ${b} on record`,
  [PROBLEM_EVENTS]: (a) => `partition ${a}: its event ring is overfull`,
};

/**
 * Runs the core's audit.
 * @returns the first 256 problems, and how many there are.
 * @throws HcallError H_LongBusyOrder10msec if another thread has the table locked.
 */
export function findProblems(memory: TableMemory): { problems: Problem[]; found: number } {
  const status = memory.core.audit();
  if (status === H_LONG_BUSY_10_MSEC)
    throw new HcallError("audit", status, "another thread has the table locked");
  const found = memory.header(HEADER_AUDIT_PROBLEMS);
  const problems: Problem[] = [];
  const alike: Map<string, number> = new Map();
  for (let i = 0; i < Math.min(found, PROBLEMS_MAX); i++) {
    const at = (memory.header(HEADER_AUDIT_AT) + i * PROBLEM_BYTES) / 4;
    const [code, a, b] = memory.words.subarray(at, at + 3) as unknown as [number, number, number];
    const text = WORDING[code]?.(a, b) ?? `problem ${code} (${a}, ${b})`;
    const name = COUNTED.has(code) ? `problem ${code}` : text;
    const number = (alike.get(name) ?? 0) + 1;
    alike.set(name, number);
    problems.push({ identity: `${name}, number ${number}`, text });
  }
  return { problems, found };
}

/** The audit as its caller sees it. */
export function auditTable(memory: TableMemory): AuditReport {
  const { problems: first, found } = findProblems(memory);
  const problems = first.map(({ text }) => text);
  if (found > PROBLEMS_MAX) problems.push(`and ${found - PROBLEMS_MAX} more`);
  return { problems, checked: memory.header(HEADER_AUDIT_CHECKED) };
}
