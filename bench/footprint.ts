/** What a grant and a logical page take of a table's memory: by the sizes of tables that differ in nothing else. */
import { ResourceTable, type TableOptions } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { PAGE_BYTES } from "../src/layout.js";

/** A table comes in steps of so many bytes. */
const STEP_BYTES = 65_536;
const MORE = 2 ** 22;

/** 4-quality: of a control structure, and of a logical page with its bitmaps. */
const STRUCTURE_BYTES_MAX = 64;
const PAGE_BYTES_MAX = 8.2;

const SMALL: TableOptions = {
  memory: PAGE_BYTES,
  partitions: 1,
  adapters: 1,
  grants: 1,
  logicalSpace: PAGE_BYTES,
  spaces: { mmio: PAGE_BYTES, dma: PAGE_BYTES, interrupt: 1, ipi: 1 },
  staging: PAGE_BYTES,
};

async function bytesOf(options: Partial<TableOptions>): Promise<number> {
  const table = ResourceTable.create({ ...SMALL, ...options });
  const bytes = kernelOf(table).memory.bytes.length;
  await table.close();
  return bytes;
}

export interface Footprint {
  readonly note: string;
  /** That a limit is broken; empty if none is. */
  readonly problems: readonly string[];
}

async function footprint(what: string, more: Partial<TableOptions>, limit: number): Promise<Footprint> {
  const bytes = ((await bytesOf(more)) - (await bytesOf({}))) / MORE;
  const note = `${bytes.toFixed(2)} bytes for ${what} (at most ${limit})`;
  // Each of the two tables is rounded up.
  return { note, problems: bytes - STEP_BYTES / MORE > limit ? [note] : [] };
}

export function structureFootprint(): Promise<Footprint> {
  return footprint("a control structure", { grants: 1 + MORE }, STRUCTURE_BYTES_MAX);
}

export function pageFootprint(): Promise<Footprint> {
  const logicalSpace = (1 + MORE) * PAGE_BYTES;
  return footprint("a logical page with its bitmaps", { logicalSpace }, PAGE_BYTES_MAX);
}
