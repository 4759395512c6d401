/** What each actor owns; the table assigns it anew at each restart. */
import { PAGE_BYTES } from "../layout.js";
import type { TableOptions } from "../options.js";
import type { Partition } from "../partition.js";
import type { ResourceTable } from "../resource-table.js";

/** Pages of its memory, and of each LMB that this is made of. */
export const ACTOR_PAGES = 48;
export const LMB_PAGES = 16;
/** Logical I/O bus number of everybody's DMA window. */
export const LIOBN = 5;
export const BUS_PAGES = 4;
export const WINDOW_PAGES = 2;
/** Interrupt sources, and ports, from 0 on. */
export const SOURCES = 2;
export const PORTS = 1;

/** Room for what it owns, and for what it accepts until it has returned it. */
export const SPACES: NonNullable<TableOptions["spaces"]> = {
  mmio: 16 * PAGE_BYTES,
  dma: 32 * PAGE_BYTES,
  interrupt: 32,
  ipi: 16,
};

/** @param index of the actor: no two have the same bus pages. */
export function equip(table: ResourceTable, partition: Partition, index: number): void {
  const bytes = BUS_PAGES * PAGE_BYTES;
  table.assign(partition, {
    type: "dma",
    address: 0,
    length: bytes,
    physical: (index + 1) * bytes,
    liobn: LIOBN,
  });
  const window = WINDOW_PAGES * PAGE_BYTES;
  table.assign(partition, { type: "mmio", address: 0, length: window, physical: index * window });
  const physical = index * SOURCES;
  table.assign(partition, { type: "interrupt", address: 0, length: SOURCES, physical });
  table.assign(partition, { type: "ipi", address: 0, length: PORTS, physical });
}
