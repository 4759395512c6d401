/** The interrupt sources, ports and DMA windows of a snapshot: what is raised, masked and armed, and what buses reach. */
import {
  COOKIE_SLOTS,
  HEADER_LINES_AT,
  HEADER_LINES_BYTES,
  HEADER_SPACE_PAGES,
  HEADER_TABLE_BYTES,
  HEADER_TABLES_AT,
  LINE_ARMED,
  LINE_FROM_SHIFT,
  LINE_IN_SERVICE,
  LINE_MASKED,
  LINE_PENDING,
  LINE_RECORD_BYTES,
  LINE_STATE,
  PAGE_BYTES,
  SPACE_DMA,
  SPACE_INTERRUPT,
  SPACE_IPI,
  TCE_BYTES,
  TCE_PANE,
  TCE_READ,
  TCE_RIGHTS_SHIFT,
  TCE_SLOT_MASK,
  TCE_STRUCTURE,
  TCE_STRUCTURE_GENERATION,
  TCE_WORD,
  TCE_WRITE,
} from "./layout.js";
import type { Structure } from "./records.js";
import type { LineSnapshot, TceSnapshot } from "./snapshot.js";
import type { Look } from "./snapshot-look.js";

function lineState(look: Look, lpid: number, space: number, number: number): number {
  const { memory } = look;
  const before = space === SPACE_INTERRUPT ? 0 : memory.header(HEADER_SPACE_PAGES + SPACE_INTERRUPT * 4);
  const lines = memory.header(HEADER_LINES_AT) + (lpid - 1) * memory.header(HEADER_LINES_BYTES);
  return memory.header(lines + (1 + before + number) * LINE_RECORD_BYTES + LINE_STATE);
}

/** The sources and ports that a partition has, by kind and number. */
export function snapshotLines(look: Look, structures: readonly Structure[]): LineSnapshot[] {
  const lines: LineSnapshot[] = [];
  for (const { space, state, page, pageCount, holder, cookie } of structures) {
    if (space !== SPACE_INTERRUPT && space !== SPACE_IPI) continue;
    if (state !== "owned" && state !== "shared") continue;
    for (let number = page; number < page + pageCount; number++) {
      const word = lineState(look, holder, space, number);
      const pending = (word & LINE_PENDING) !== 0;
      lines.push({
        type: space === SPACE_INTERRUPT ? "interrupt" : "ipi",
        address: number,
        cookie: state === "owned" ? null : cookie,
        pending,
        masked: (word & LINE_MASKED) !== 0,
        armed: (word & LINE_ARMED) !== 0,
        inService: (word & LINE_IN_SERVICE) !== 0,
        from: pending ? word >>> LINE_FROM_SHIFT : null,
      });
    }
  }
  return lines.sort((a, b) => (a.type === b.type ? a.address - b.address : a.type < b.type ? -1 : 1));
}

/** Whether a structure gives access now. */
function gives({ state, revoking }: Structure): boolean {
  return (state === "owned" || state === "shared") && !revoking;
}

/** One entry, before runs of them are joined. */
function readTce(look: Look, owner: number, page: number): Omit<TceSnapshot, "liobn" | "length"> | undefined {
  const { memory } = look;
  const pages = memory.header(HEADER_SPACE_PAGES + SPACE_DMA * 4);
  const end = memory.header(HEADER_TABLES_AT) + owner * memory.header(HEADER_TABLE_BYTES);
  const at = end - (pages - page) * TCE_BYTES;
  const pane = memory.header(at + TCE_PANE);
  const word = memory.header(at + TCE_WORD);
  const rights = (word >>> TCE_RIGHTS_SHIFT) & (TCE_READ | TCE_WRITE);
  if (pane === 0 || rights === 0) return undefined;
  const named = look.structure(memory.header(at + TCE_STRUCTURE));
  const through = look.structure(pane & TCE_SLOT_MASK);
  const generation = memory.header(at + TCE_STRUCTURE_GENERATION);
  const isThatMemory = named.cookie === generation * COOKIE_SLOTS + named.slot;
  return {
    ioba: page * PAGE_BYTES,
    holder: through.holder,
    address: (word & TCE_SLOT_MASK) * PAGE_BYTES,
    readable: (rights & TCE_READ) !== 0,
    writable: (rights & TCE_WRITE) !== 0,
    dead: !(isThatMemory && gives(named) && gives(through)),
  };
}

/** What stands behind the windows that a partition owns; neighbours that go on where the one before ends are one. */
export function snapshotTces(look: Look, owned: readonly Structure[]): TceSnapshot[] {
  const tces: TceSnapshot[] = [];
  for (const { space, page: first, pageCount, holder, liobn } of owned) {
    if (space !== SPACE_DMA) continue;
    let last: TceSnapshot | undefined;
    for (let page = first; page < first + pageCount; page++) {
      const tce = readTce(look, holder, page);
      const goesOn =
        tce !== undefined &&
        last !== undefined &&
        last.ioba + last.length === tce.ioba &&
        last.address + last.length === tce.address &&
        last.holder === tce.holder &&
        last.readable === tce.readable &&
        last.writable === tce.writable &&
        last.dead === tce.dead;
      if (tce === undefined) continue;
      if (goesOn && last !== undefined) {
        last = { ...last, length: last.length + PAGE_BYTES };
        tces[tces.length - 1] = last;
      } else {
        last = { liobn, length: PAGE_BYTES, ...tce };
        tces.push(last);
      }
    }
  }
  return tces.sort((a, b) => a.liobn - b.liobn || a.ioba - b.ioba);
}
