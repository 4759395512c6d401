/** Suite translate: logical to physical, in batches and one by one, over tables of random pages. */
import { hcalls } from "../src/hcall.js";
import { HcallError, ResourceTable, type TranslationBatch } from "../src/index.js";
import {
  H_SUCCESS,
  INHIBIT_READ,
  PAGE_BYTES,
  RESCIND_FORCED,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../src/layout.js";
import { inBlocks } from "./measure.js";
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
import { type Contender, type Context, type Scenario, type Stage, timesNative, type Way } from "./suite.js";
import { must } from "./worlds.js";

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
  if (isMmio) table.assign(server, { type: "mmio", address: 0, length: pages * PAGE_BYTES });
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
  readonly client: ReturnType<ResourceTable["createPartition"]>;
}

function ourBatch({ client }: OurTable, data: Data, isMmio: boolean): Contender {
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

function ourSingle({ client }: OurTable, data: Data): Contender {
  const { good } = data;
  return {
    measure: inBlocks(good.length, () => {
      let sum = 0;
      for (let i = 0; i < good.length; i++) sum += client.translate(good[i] as number);
      keep(sum);
    }),
    check: async () =>
      describe(data, (addresses) => {
        let sum = 0;
        for (const address of addresses) {
          let physical = Number.NaN;
          let status: number = H_SUCCESS;
          try {
            physical = client.translate(address);
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

async function open(
  { seed, native }: Context,
  mode: "batch" | "single",
  data: Data,
  name: string,
  isMmio: boolean,
): Promise<Stage> {
  const ours = openTable(data, isMmio);
  const typed = new TypedPages(data);
  const map = new MapPages(data);
  const { pages, good } = data;
  const nativeContender = await native?.setUp("translate", mode, pages, good.length, seed);
  const way: Way =
    mode === "batch"
      ? {
          what: name,
          contender: ourBatch(ours, data, isMmio),
          target: timesNative(1.5, pages < 2 ** 16 ? 1.1 : 1),
        }
      : {
          what: name,
          contender: ourSingle(ours, data),
          target: {
            text: "1 x typed",
            reach: (times) => times.typed,
            aim: (times) => (times.typed ?? 0) * 0.95,
          },
        };
  return {
    ways: [way],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      typed: mode === "batch" ? plainBatch(typed, data) : typedSingle(typed, data),
      map: mode === "batch" ? plainBatch(map, data) : mapSingle(map, data),
    },
    audit: () => ours.table.audit().problems,
    close: async () => {
      await nativeContender?.close();
      await ours.table.close();
    },
  };
}

function scenario(mode: "batch" | "single", exponent: number, isMmio: boolean): Scenario {
  const pages = 2 ** exponent;
  const name = `${mode}, 2^${exponent} ${isMmio ? "MMIO " : ""}pages`;
  // Enough addresses that most lines of the table are touched before one comes again.
  const count = Math.min(Math.max(pages / 4, 2 ** 14), 2 ** 18);
  return {
    name,
    open: (context) => open(context, mode, makeData(pages, count, context.seed), name, isMmio),
  };
}

export function translateScenarios(quick: boolean): readonly Scenario[] {
  return [
    scenario("batch", 12, false),
    scenario("batch", 16, false),
    scenario("batch", quick ? 18 : 20, true),
    scenario("single", 16, false),
  ];
}
