/** The device of the suite mmio. */

/** What a register holds. */
export function registerAt(offset: number): number {
  return (offset * 3 + 1) >>> 0;
}
