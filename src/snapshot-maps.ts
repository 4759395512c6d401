/**
 * The maps of a snapshot: what each partition reaches at which of its logical addresses, as runs of pages that are alike; and
 * the frames that views keep from reuse.
 */
import type { TableMemory } from "./binding.js";
import {
  COOKIE_SLOTS,
  ENTRY_COPY_ON_WRITE,
  ENTRY_FRAME,
  ENTRY_HELD,
  ENTRY_LENT_SHIFT,
  ENTRY_PRIVATE,
  ENTRY_READ,
  ENTRY_RESCINDED,
  ENTRY_VALID,
  ENTRY_WRITE,
  FRAME_LPID_SHIFT,
  FRAME_QUARANTINED,
  HEADER_FRAME_PINS_AT,
  HEADER_FRAMES_MAX,
  HEADER_FRAMES_QUARANTINED,
  HEADER_PIN_FRESH,
  HEADER_PINS_AT,
  PIN_BYTES,
  PIN_FRAME,
  PIN_FRAME_COUNT,
  PIN_LPID,
  PIN_STRUCTURE,
  PIN_STRUCTURE_GENERATION,
  SPACE_ENTRIES,
  SPACE_PAGES,
} from "./layout.js";
import { RESOURCE_TYPES, type ResourceType, type Structure, spaceWord, unitOf } from "./records.js";
import type { MapSnapshot, QuarantineSnapshot } from "./snapshot.js";
import type { Look } from "./snapshot-look.js";

const ENTRY_LENT = 2 ** ENTRY_LENT_SHIFT;
/** What makes two neighbouring pages two runs. */
const ALIKE =
  ENTRY_VALID | ENTRY_READ | ENTRY_WRITE | ENTRY_RESCINDED | ENTRY_PRIVATE | ENTRY_COPY_ON_WRITE | ENTRY_LENT;

/** What an entry says of its page; undefined for one that says nothing. */
function stateOf(entry: number, structure: Structure): MapSnapshot["state"] | undefined {
  if ((entry & ENTRY_HELD) === ENTRY_HELD) return "moving";
  if ((entry & ENTRY_RESCINDED) !== 0) return "rescinded";
  if ((entry & ENTRY_VALID) === 0) return undefined;
  if (entry >>> ENTRY_LENT_SHIFT !== 0) return "lent";
  return structure.state === "owned" ? "own" : "mapped";
}

/** The runs of one structure: as the page table has them, not as the structure says that they should be. */
function* runsOf(look: Look, structure: Structure): Iterable<MapSnapshot> {
  const { memory } = look;
  const { space, holder, page: first } = structure;
  const unit = unitOf(space);
  const at = spaceWord(memory, holder, space, SPACE_ENTRIES) / 4;
  const end = Math.min(first + structure.pageCount, spaceWord(memory, holder, space, SPACE_PAGES));
  for (let page = first; page < end; ) {
    const entry = memory.words[at + page] as number;
    const start = page;
    let pieces = 1;
    let frame = entry & ENTRY_FRAME;
    for (page++; page < end; page++) {
      const next = memory.words[at + page] as number;
      if (((next ^ entry) & ALIKE) !== 0) break;
      if ((next & ENTRY_FRAME) !== frame + 1) pieces++;
      frame = next & ENTRY_FRAME;
    }
    const state = stateOf(entry, structure);
    if (state === undefined) continue;
    yield {
      type: RESOURCE_TYPES[space] as ResourceType,
      address: start * unit,
      length: (page - start) * unit,
      owner: look.place(structure).root?.holder ?? 0,
      cookie: structure.state === "owned" ? null : structure.cookie,
      state,
      readable: (entry & ENTRY_READ) !== 0,
      writable: (entry & (ENTRY_WRITE | ENTRY_COPY_ON_WRITE)) !== 0,
      copyOnWrite: (entry & ENTRY_COPY_ON_WRITE) !== 0,
      private: (entry & ENTRY_PRIVATE) !== 0,
      physical: state === "rescinded" ? null : (entry & ENTRY_FRAME) * unit,
      pieces: state === "rescinded" ? 0 : pieces,
    };
  }
}

/** The maps of a partition, by kind and address. */
export function snapshotMaps(look: Look, structures: readonly Structure[]): MapSnapshot[] {
  const maps: MapSnapshot[] = [];
  const byPlace = (a: Structure, b: Structure): number => a.space - b.space || a.page - b.page;
  for (const structure of [...structures].sort(byPlace)) {
    // A grant that is not accepted, or is being returned, stands at no address.
    if (structure.state === "granted" || structure.state === "returning") continue;
    // One by one: a large map has more runs than a call takes arguments.
    for (const run of runsOf(look, structure)) maps.push(run);
  }
  return maps;
}

/** The cookie of the grant from which a view was taken, if it still stands or is not returned yet; else null. */
function cookieOfPin(look: Look, slot: number, generation: number): number | null {
  const cookie = generation * COOKIE_SLOTS + slot;
  const structure = look.structure(slot);
  return structure.cookie === cookie && structure.state !== "owned" && structure.state !== "free"
    ? cookie
    : null;
}

/** Who keeps how many frames from reuse, and by a view of what. */
export function snapshotQuarantine(look: Look): QuarantineSnapshot[] {
  const { memory } = look;
  if (memory.header(HEADER_FRAMES_QUARANTINED) === 0) return [];
  const counted = new Set<number>();
  const found: Map<string, { lpid: number; pages: number; cookie: number | null }> = new Map();
  for (let pin = 1; pin < memory.header(HEADER_PIN_FRESH); pin++) {
    const word = (offset: number): number => pinWord(memory, pin, offset);
    if (word(PIN_LPID) === 0) continue;
    const cookie = cookieOfPin(look, word(PIN_STRUCTURE), word(PIN_STRUCTURE_GENERATION));
    const end = Math.min(word(PIN_FRAME) + word(PIN_FRAME_COUNT), memory.header(HEADER_FRAMES_MAX));
    for (let frame = word(PIN_FRAME); frame < end; frame++) {
      const state = memory.header(memory.header(HEADER_FRAME_PINS_AT) + frame * 4);
      if ((state & FRAME_QUARANTINED) === 0 || counted.has(frame)) continue;
      counted.add(frame);
      const lpid = state >>> FRAME_LPID_SHIFT;
      const key = `${lpid} ${cookie}`;
      const entry = found.get(key) ?? { lpid, pages: 0, cookie };
      entry.pages++;
      found.set(key, entry);
    }
  }
  return [...found.values()].sort((a, b) => a.lpid - b.lpid || (a.cookie ?? 0) - (b.cookie ?? 0));
}

function pinWord(memory: TableMemory, pin: number, offset: number): number {
  return memory.header(memory.header(HEADER_PINS_AT) + pin * PIN_BYTES + offset);
}
