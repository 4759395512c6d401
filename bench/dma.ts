/**
 * Suite dma: entries of an I/O bus put by the holder of a pane, against storing the same number in a typed array with nothing
 * to mind; and a device's read through the window, against a checked read of the partition and a copy.
 */
import { type Hcalls, hcalls } from "../src/hcall.js";
import { type Partition, ResourceTable } from "../src/index.js";
import { PAGE_BYTES, TCES_MAX } from "../src/layout.js";
import { inBlocks } from "./measure.js";
import type { Contender, Scenario, Stage } from "./suite.js";
import { must } from "./worlds.js";

const BOTH = 3;
const PAGES = TCES_MAX;

interface Window {
  readonly table: ResourceTable;
  readonly h: Hcalls;
  readonly owner: Partition;
  readonly holder: Partition;
  /** Bus address, and address in the holder's DMA space, of its pane. */
  readonly bus: number;
  readonly pane: number;
}

/** A window of 512 pages, and a client that holds all of it and has as many pages of memory. */
function openWindow(): Window {
  const length = PAGES * PAGE_BYTES;
  const table = ResourceTable.create({
    memory: 2 * length,
    partitions: 2,
    adapters: 1,
    grants: 64,
    spaces: { mmio: PAGE_BYTES, dma: 2 * length, interrupt: 1, ipi: 1 },
  });
  const owner = table.createPartition({ name: "owner", memory: length });
  const holder = table.createPartition({ name: "holder", memory: length });
  const to = table.connect(owner, holder);
  table.assign(owner, { type: "dma", address: 0, length, physical: length });
  const pane = holder.accept(owner.grant({ to, type: "dma", address: 0, length }));
  return { table, h: hcalls(table), owner, holder, bus: length, pane: pane.address };
}

/** The page of memory behind each bus page: never the same twice in turn, so that each put replaces something. */
function pageOf(index: number, round: number): number {
  return (index * 7 + round) % PAGES;
}

/** Rounds of putting 512 entries; what they leave is compared. */
function puts(put: (round: number) => void, get: (index: number) => number): Contender {
  let round = 0;
  return {
    measure: inBlocks(PAGES, () => put(round++)),
    check: async () => {
      put(round);
      const first = round++;
      for (let index = 0; index < PAGES; index++)
        if (get(index) !== first % PAGES && get(index) !== pageOf(index, first))
          return `bus page ${index} is ${get(index)}`;
      return "512 entries as they were put";
    },
  };
}

function typed(): Contender {
  const entries = new Uint32Array(PAGES);
  return puts(
    (round) => {
      for (let index = 0; index < PAGES; index++) entries[index] = pageOf(index, round);
    },
    (index) => entries[index] as number,
  );
}

function stageOf(
  world: Window,
  ways: readonly (readonly [what: string, put: (round: number) => void])[],
): Stage {
  const { table, holder, pane } = world;
  const get = (index: number): number =>
    (holder.dma.get(0, pane + index * PAGE_BYTES)?.address ?? -1) / PAGE_BYTES;
  return {
    ways: ways.map(([what, put]) => ({ what, versus: "typed", contender: puts(put, get) })),
    baselines: { typed: typed() },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

function putScenario(): Scenario {
  const open = async (): Promise<Stage> => {
    const world = openWindow();
    const { h, holder, pane } = world;
    return stageOf(world, [
      [
        "TCE put, one by one, raw",
        (round) => {
          for (let index = 0; index < PAGES; index++)
            must(
              h.putTce(holder.lpid, 0, pane + index * PAGE_BYTES, pageOf(index, round) * PAGE_BYTES + BOTH),
            );
        },
      ],
      [
        "TCE put, one by one, put()",
        (round) => {
          for (let index = 0; index < PAGES; index++)
            holder.dma.put(0, pane + index * PAGE_BYTES, pageOf(index, round) * PAGE_BYTES);
        },
      ],
    ]);
  };
  return { name: "TCE put, one by one", open };
}

function bulkScenario(): Scenario {
  const open = async (): Promise<Stage> => {
    const world = openWindow();
    const { h, holder, pane } = world;
    const addresses = new Float64Array(PAGES);
    return stageOf(world, [
      [
        "TCE indirect, 512 at once, an entry, putIndirect()",
        (round) => {
          for (let index = 0; index < PAGES; index++) addresses[index] = pageOf(index, round) * PAGE_BYTES;
          holder.dma.putIndirect(0, pane, addresses);
        },
      ],
      [
        "TCE stuff, 512 at once, an entry, raw",
        (round) => must(h.stuffTce(holder.lpid, 0, pane, (round % PAGES) * PAGE_BYTES + BOTH, PAGES)),
      ],
    ]);
  };
  return { name: "TCE, 512 at once", open };
}

/** Copies of 4 KiB, from places that are not the same twice in turn. */
function reads(read: (page: number, target: Uint8Array) => void): Contender {
  const target = new Uint8Array(PAGE_BYTES);
  const sum = (): number => target.reduce((total, byte) => (total * 31 + byte) % 65521, 0);
  return {
    measure: inBlocks(64, () => {
      for (let page = 0; page < 64; page++) read(page, target);
    }),
    check: async () => {
      let total = 0;
      for (let page = 0; page < 64; page++) {
        read(page, target);
        total += sum();
      }
      return String(total);
    },
  };
}

function readScenario(): Scenario {
  const open = async (): Promise<Stage> => {
    const { table, owner, holder, bus, pane } = openWindow();
    const plain = new Uint8Array(PAGES * PAGE_BYTES);
    for (let at = 0; at < plain.length; at++) plain[at] = (at * 13) >> 3;
    holder.write(0, plain);
    for (let page = 0; page < 64; page++) holder.dma.put(0, pane + page * PAGE_BYTES, page * PAGE_BYTES);
    const device = owner.dma.device();
    return {
      ways: [
        {
          what: "device read of 4 KiB through the window",
          versus: "copy",
          contender: reads((page, target) => device.readInto(bus + page * PAGE_BYTES, target)),
        },
        {
          what: "the same by the partition, checked",
          versus: "copy",
          contender: reads((page, target) => holder.readInto(page * PAGE_BYTES, target)),
        },
      ],
      baselines: {
        copy: reads((page, target) =>
          target.set(plain.subarray(page * PAGE_BYTES, page * PAGE_BYTES + PAGE_BYTES)),
        ),
      },
      audit: () => table.audit().problems,
      close: () => table.close(),
    };
  };
  return { name: "device read of 4 KiB", open };
}

export function dmaScenarios(_quick: boolean): readonly Scenario[] {
  return [putScenario(), bulkScenario(), readScenario()];
}
