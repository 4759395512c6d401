/** The part of the audit that walks the TCEs of all windows. */
import {
  HEADER_LPIDS_USED,
  HEADER_SPACE_PAGES,
  HEADER_STRUCTURE_FRESH,
  PROBLEM_TCE,
  PROBLEM_TCE_COUNT,
  SPACE_DMA,
  SPACE_MEMORY,
  STRUCTURE_OWNED,
  STRUCTURE_SHARED,
  TCE_PANE,
  TCE_WORD,
} from "../src/layout";
import {
  entriesOf,
  holderOf,
  pageCountOf,
  pageOf,
  rootOf,
  rootPageOf,
  slotOf,
  spaceOf,
  stateOf,
  structureAt,
} from "./control";
import { check, report, SCRATCH_PINS, tally, weight } from "./findings";
import { header } from "./memory";
import { partitionAt } from "./partition";
import { isOneEntry, isTaken, memoryOf, namesMemory, pageIn, paneOf, rightsIn, tceAt, tceWord } from "./tce";

/** Whether what an entry says of itself can be: through a pane of this window that covers the page, at some memory. */
function auditTce(lpid: u32, page: u32, tce: usize): void {
  const pane = paneOf(tce);
  const state = stateOf(pane);
  const isPane = (state == STRUCTURE_OWNED || state == STRUCTURE_SHARED) && spaceOf(pane) == SPACE_DMA;
  check(isPane && isOneEntry(tceWord(tce, TCE_WORD), tceWord(tce, TCE_PANE)), PROBLEM_TCE, lpid, page);
  if (!isPane) return;
  const root = rootOf(pane);
  check(holderOf(root) == lpid && page - rootPageOf(pane) < pageCountOf(pane), PROBLEM_TCE, lpid, page);
  check(rightsIn(tceWord(tce, TCE_WORD)) != 0, PROBLEM_TCE, lpid, page);
  if (namesMemory(tce)) {
    const isMemory = spaceOf(memoryOf(tce)) == SPACE_MEMORY && holderOf(memoryOf(tce)) == holderOf(pane);
    const at = pageIn(tceWord(tce, TCE_WORD)) - pageOf(memoryOf(tce));
    check(isMemory && at < pageCountOf(memoryOf(tce)), PROBLEM_TCE, lpid, page);
  }
  tally(partitionAt(holderOf(pane)) + SCRATCH_PINS, 1);
}

/** Every entry is in order, and what structures count of them is what there is. */
export function auditTces(): void {
  const pages = header(<usize>HEADER_SPACE_PAGES + ((<usize>SPACE_DMA) << 2));
  let counted: u32 = 0;
  let weighed: u64 = 0;
  for (let lpid: u32 = 1; lpid <= header(HEADER_LPIDS_USED); lpid++) {
    for (let page: u32 = 0; page < pages; page++) {
      const tce = tceAt(partitionAt(lpid), page);
      if (!isTaken(tce)) {
        // Devices go by the rights.
        if (rightsIn(tceWord(tce, TCE_WORD)) != 0) report(PROBLEM_TCE, lpid, page);
        continue;
      }
      auditTce(lpid, page, tce);
      counted++;
      weighed += weight(slotOf(paneOf(tce)));
      if (!namesMemory(tce)) continue;
      counted++;
      weighed += weight(slotOf(memoryOf(tce)));
    }
  }
  let recorded: u32 = 0;
  for (let slot: u32 = 1; slot < header(HEADER_STRUCTURE_FRESH); slot++) {
    const entries = entriesOf(structureAt(slot));
    recorded += entries;
    weighed -= weight(slot) * entries;
  }
  check(weighed == 0, PROBLEM_TCE_COUNT, counted, recorded);
}
