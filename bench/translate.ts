/** Suite translate: logical to physical, in batches and one by one, over tables of random pages. */
import { hcalls } from "../src/hcall.js";
import { HcallError, type Partition, ResourceTable, type TranslationBatch } from "../src/index.js";
import {
  FRAMES_LIMIT,
  H_SUCCESS,
  INHIBIT_READ,
  PAGE_BYTES,
  RESCIND_FORCED,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../src/layout.js";
import { describeBreakEven } from "./break-even.js";
import type { Distribution } from "./distribution.js";
import { pageFootprint } from "./footprint.js";
import { inBlocks } from "./measure.js";
import type { Native, NativeContender } from "./native.js";
import { openPages } from "./page-stream.js";
import type { Parameters } from "./parameters.js";
import {
  type Data,
  describe,
  digest,
  digestOfArrays,
  isInhibited,
  isRescinded,
  keep,
  MapPages,
  makeData,
  mapSingle,
  plainBatch,
  TypedPages,
  typedSingle,
  UNMAPPED,
} from "./plain-pages.js";
import {
  type Contender,
  type Context,
  type Scenario,
  type Stage,
  type Target,
  timesNative,
  type Way,
} from "./suite.js";
import { must } from "./worlds.js";

/** Beyond, a Map of objects only takes time to build. */
const MAP_PAGES_MAX = 2 ** 20;

const AS_TYPED: Target = {
  text: "1 x typed",
  reach: ({ typed }) => typed,
  aim: ({ typed }) => (typed === undefined ? undefined : typed * 0.95),
};

// ---------------------------------------------------------------- ours

/** A client to whom a server has granted every page by itself, in random order. */
function openTable({ pages, frames, good }: Data, isMmio: boolean): OurTable {
  const spaceBytes = (pages + UNMAPPED) * PAGE_BYTES;
  const table = ResourceTable.create({
    // Physical MMIO pages are numbers: they need no memory.
    memory: isMmio ? PAGE_BYTES : pages * PAGE_BYTES,
    partitions: 2,
    adapters: 1,
    grants: pages + 16,
    logicalSpace: isMmio ? PAGE_BYTES : spaceBytes,
    spaces: { mmio: isMmio ? spaceBytes : PAGE_BYTES, dma: PAGE_BYTES, interrupt: 1, ipi: 1 },
    staging: Math.ceil((good.length * 20 + 4) / PAGE_BYTES) * PAGE_BYTES,
  });
  const server = table.createPartition({ name: "server", memory: isMmio ? 0 : pages * PAGE_BYTES });
  const client = table.createPartition({ name: "client" });
  // Of more pages than there are physical numbers, several lead to the same one.
  const frameCount = Math.min(pages, FRAMES_LIMIT);
  if (isMmio) table.assign(server, { type: "mmio", address: 0, length: frameCount * PAGE_BYTES });
  const { unitAddress } = table.connect(server, client);
  const h = hcalls(table);
  const type = isMmio ? TYPE_MMIO : TYPE_MEMORY;
  const rescinded: number[] = [];
  for (let page = 0; page < pages; page++) {
    const flags = isInhibited(page) ? type | INHIBIT_READ : type;
    const address = (frames[page] as number) * PAGE_BYTES;
    must(h.grantLogical(server.lpid, flags, 0, address, PAGE_BYTES, unitAddress));
    const cookie = h.r4;
    must(h.acceptLogical(client.lpid, cookie));
    if (isRescinded(page)) rescinded.push(cookie);
  }
  for (const cookie of rescinded) must(h.rescindLogical(server.lpid, RESCIND_FORCED, cookie));
  return { table, client };
}

interface OurTable {
  readonly table: ResourceTable;
  readonly client: Partition;
}

/** @param each addresses of one run; the addresses stay in the batch, run after run, where one takes them all. */
function ourBatch({ client }: OurTable, data: Data, isMmio: boolean, each: number | undefined): Contender {
  if (each !== undefined) return filledBatch(client, data, isMmio, each);
  const count = data.good.length;
  const batch: TranslationBatch = client.createBatch(count);
  const options = { type: isMmio ? "mmio" : "memory" } as const;
  batch.addresses.set(data.good);
  return {
    measure: inBlocks(count, () => {
      batch.run(count, options);
    }),
    check: async () => {
      const result = describe(data, (addresses) => {
        batch.addresses.set(addresses);
        batch.run(count, options);
        return digestOfArrays(batch.physical, batch.status);
      });
      batch.addresses.set(data.good);
      return result;
    },
  };
}

/** Batches of so many addresses, which are written into it, and whose results are read. */
function filledBatch(client: Partition, data: Data, isMmio: boolean, each: number): Contender {
  const { good } = data;
  const batch = client.createBatch(each);
  const options = { type: isMmio ? "mmio" : "memory" } as const;
  const { addresses, physical, status } = batch;
  const run = (from: Float64Array, start: number): number => {
    const count = Math.min(each, from.length - start);
    for (let i = 0; i < count; i++) addresses[i] = from[start + i] as number;
    batch.run(count, options);
    return count;
  };
  return {
    measure: inBlocks(good.length, () => {
      let sum = 0;
      for (let start = 0; start < good.length; start += each) {
        const count = run(good, start);
        for (let i = 0; i < count; i++) if (status[i] === H_SUCCESS) sum += physical[i] as number;
      }
      keep(sum);
    }),
    check: async () =>
      describe(data, (list) => {
        let sum = 0;
        for (let start = 0; start < list.length; start += each) {
          const count = run(list, start);
          for (let i = 0; i < count; i++) sum = digest(sum, status[i] as number, physical[i] as number);
        }
        return sum;
      }),
  };
}

function ourSingle({ client }: OurTable, data: Data, isMmio: boolean): Contender {
  const { good } = data;
  const options = isMmio ? ({ type: "mmio" } as const) : undefined;
  let position = 0;
  return {
    measure: inBlocks(good.length, () => {
      let sum = 0;
      for (let i = 0; i < good.length; i++) sum += client.translate(good[i] as number, options);
      keep(sum);
    }),
    operation: () => {
      keep(client.translate(good[position] as number, options));
      position = position + 1 === good.length ? 0 : position + 1;
    },
    check: async () =>
      describe(data, (addresses) => {
        let sum = 0;
        for (const address of addresses) {
          let physical = Number.NaN;
          let status: number = H_SUCCESS;
          try {
            physical = client.translate(address, options);
          } catch (error) {
            if (!(error instanceof HcallError)) throw error;
            status = error.status;
          }
          sum = digest(sum, status, physical);
        }
        return sum;
      }),
  };
}

// ---------------------------------------------------------------- scenarios

interface Plan {
  readonly name: string;
  readonly mode: "batch" | "single";
  readonly pages: number;
  readonly isMmio: boolean;
  readonly dist: Distribution | undefined;
  /** Addresses of one batch; undefined: all of them. */
  readonly batch: number | undefined;
  /** Whether what a page takes is said. */
  readonly hasFootprint: boolean;
}

async function openData(
  { pages, dist, batch = 1 }: Pick<Plan, "pages" | "dist"> & Partial<Pick<Plan, "batch">>,
  { seed }: Context,
): Promise<Data> {
  // Enough addresses that most lines of the table are touched before one comes again, in whole batches.
  const enough = Math.min(Math.max(pages >> 2, 2 ** 14), 2 ** 18);
  const count = Math.ceil(enough / batch) * batch;
  return makeData(pages, count, seed, dist && (await openPages(dist, pages, seed)));
}

async function setUpNative(
  native: Native | undefined,
  mode: Plan["mode"],
  { pages, good, seed, isDrawn }: Data,
): Promise<NativeContender | undefined> {
  if (!isDrawn) await native?.load(good);
  return native?.setUp("translate", mode, pages, good.length, seed, isDrawn ? "drawn" : "loaded");
}

async function open(plan: Plan, context: Context): Promise<Stage> {
  const { name, mode, pages, isMmio, batch } = plan;
  const data = await openData(plan, context);
  const ours = openTable(data, isMmio);
  const typed = new TypedPages(data);
  const map = pages > MAP_PAGES_MAX ? undefined : new MapPages(data);
  const nativeContender = await setUpNative(context.native, mode, data);
  const footprint = plan.hasFootprint ? await pageFootprint() : undefined;
  const way: Way =
    mode === "batch"
      ? {
          what: name,
          contender: ourBatch(ours, data, isMmio, batch),
          ...(batch === undefined ? { target: timesNative(1.5, pages < 2 ** 16 ? 1.1 : 1) } : {}),
        }
      : { what: name, contender: ourSingle(ours, data, isMmio), ...(isMmio ? {} : { target: AS_TYPED }) };
  return {
    ways: [{ ...way, at: { pages } }],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      typed: mode === "batch" ? plainBatch(typed, data) : typedSingle(typed, data),
      ...(map === undefined ? {} : { map: mode === "batch" ? plainBatch(map, data) : mapSingle(map, data) }),
    },
    notes: () => (footprint === undefined ? [] : [footprint.note]),
    audit: () => [...ours.table.audit().problems, ...(footprint?.problems ?? [])],
    close: async () => {
      await nativeContender?.close();
      await ours.table.close();
    },
  };
}

/** From how many look-ups on a batch is cheaper than as many single ones. */
async function openSizes(
  sizes: readonly number[],
  plan: Pick<Plan, "pages" | "dist">,
  context: Context,
): Promise<Stage> {
  const data = await openData(plan, context);
  const ours = openTable(data, false);
  const nativeContender = await setUpNative(context.native, "single", data);
  return {
    ways: sizes.map((batch) => ({
      what: `batch of ${batch}, 2^${Math.log2(plan.pages)} pages, filled and read`,
      contender: filledBatch(ours.client, data, false, batch),
      versus: "single",
      at: { batch },
    })),
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      typed: typedSingle(new TypedPages(data), data),
      single: ourSingle(ours, data, false),
    },
    notes: (measured) => [describeBreakEven(measured, "single", "look-ups")],
    audit: () => ours.table.audit().problems,
    close: async () => {
      await nativeContender?.close();
      await ours.table.close();
    },
  };
}

/** Of 4096 bytes each: beyond, the pages are those of device windows, which take no memory. */
const MEMORY_PAGES_MAX = 2 ** 18;

function describePages(pages: number): string {
  const exponent = Math.log2(pages);
  return Number.isInteger(exponent) && exponent >= 10 ? `2^${exponent}` : pages.toLocaleString("en-US");
}

export function translateScenarios(quick: boolean, parameters: Parameters): readonly Scenario[] {
  const { pages, dist, batch } = parameters;
  const scenario = (mode: Plan["mode"], count: number, isMmio: boolean, hasFootprint = false): Scenario => {
    const how = mode === "batch" && batch !== undefined ? `batch of ${batch}` : mode;
    const name = `${how}, ${describePages(count)} ${isMmio ? "MMIO " : ""}pages`;
    const plan = { name, mode, pages: count, isMmio, dist, batch, hasFootprint };
    return { name, open: (context) => open(plan, context) };
  };
  if (pages !== undefined) {
    const isMmio = pages > MEMORY_PAGES_MAX;
    return [scenario("batch", pages, isMmio), scenario("single", pages, isMmio)];
  }
  const sizes = quick ? [1, 16, 256] : Array.from({ length: 11 }, (_, exponent) => 2 ** exponent);
  return [
    scenario("batch", 2 ** 12, false),
    scenario("batch", 2 ** 16, false),
    scenario("batch", quick ? 2 ** 18 : 2 ** 20, true, quick),
    ...(quick ? [] : [scenario("batch", 2 ** 22, true, true)]),
    scenario("single", 2 ** 16, false),
    ...(batch !== undefined
      ? []
      : [
          {
            name: "batch sizes, 2^16 pages",
            open: (context: Context) => openSizes(sizes, { pages: 2 ** 16, dist }, context),
          },
        ]),
  ];
}
