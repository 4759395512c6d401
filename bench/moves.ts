/**
 * Suite moves: pages that go to other frames under live mappings, against copying the same bytes with nothing to mind.
 *
 *     forced rescind   grant, accept, view, forced rescind, which moves the page, release and return; and without a view.
 *                      Only the rescind is timed, and the longest that the event loop stood still meanwhile; that of a
 *                      rescind of a million nodes is in the suite tree (rescindForced())
 *     compact          what a partition owns, to lower frames, per page
 */
import { type Partition, ResourceTable, type VirtualAdapter } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { inAsyncRuns, type Timed, watchTurns } from "./measure.js";
import type { Contender, Context, Scenario, Stage } from "./suite.js";

/** What a page holds: its own number in each byte. */
export function fillPages(partition: Partition, pages: number): void {
  for (let page = 0; page < pages; page++) partition.fill(page * PAGE_BYTES, PAGE_BYTES, (page + 1) & 0xff);
}

/** Whether the pages hold what they held. */
function describePages(read: (page: number) => Uint8Array, pages: number): string {
  for (let page = 0; page < pages; page++) {
    if (read(page).some((byte) => byte !== ((page + 1) & 0xff))) return `page ${page} is not what it was`;
  }
  return `${pages} pages as they were`;
}

/** Copies as many pages, one by one, between two arrays. */
export function copies(pages: number): Contender {
  const source = new Uint8Array(pages * PAGE_BYTES);
  const target = new Uint8Array(pages * PAGE_BYTES);
  for (let page = 0; page < pages; page++) source.fill(page + 1, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  const copy = (): void => {
    for (let at = 0; at < source.length; at += PAGE_BYTES)
      target.set(source.subarray(at, at + PAGE_BYTES), at);
  };
  return {
    measure: inAsyncRuns(pages, () => {
      const start = performance.now();
      copy();
      return { ms: performance.now() - start };
    }),
    check: async () => {
      copy();
      return describePages((page) => target.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES), pages);
    },
  };
}

/** A server with some pages, so many sharers of all of them, and one client that will lose them. */
function openSharing(
  pages: number,
  sharers: number,
): {
  readonly table: ResourceTable;
  readonly server: Partition;
  readonly client: Partition;
  readonly adapter: VirtualAdapter;
} {
  const table = ResourceTable.create({
    memory: (2 * pages + 8) * PAGE_BYTES,
    views: pages,
    partitions: sharers + 2,
    adapters: sharers + 1,
    grants: 2 * sharers + 256,
    logicalSpace: 2 * pages * PAGE_BYTES,
    spaces: { mmio: PAGE_BYTES, dma: PAGE_BYTES, interrupt: 1, ipi: 1 },
  });
  const server = table.createPartition({ name: "server", memory: pages * PAGE_BYTES });
  fillPages(server, pages);
  for (let index = 0; index < sharers; index++) {
    const sharer = table.createPartition({ name: `sharer ${index}` });
    const to = table.connect(server, sharer, { grants: 1 });
    sharer.accept(server.grant({ to, address: 0, length: pages * PAGE_BYTES }));
  }
  const client = table.createPartition({ name: "client" });
  return { table, server, client, adapter: table.connect(server, client, { grants: 8 }) };
}

/** One way of moving pages, after which they must hold what they held. */
function stageOf(
  what: string,
  table: ResourceTable,
  pages: number,
  run: () => Promise<Timed>,
  owner: () => Partition,
): Stage {
  const check = async (): Promise<string> => {
    await run();
    return describePages((page) => owner().read(page * PAGE_BYTES, PAGE_BYTES), pages);
  };
  return {
    ways: [{ what, versus: "copy", contender: { measure: inAsyncRuns(pages, run), check }, at: { pages } }],
    baselines: { copy: copies(pages) },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

function rescindScenario(name: string, pages: number, sharers: number, isPinned: boolean): Scenario {
  const open = async (_context: Context): Promise<Stage> => {
    const { table, server, client, adapter } = openSharing(pages, sharers);
    const length = pages * PAGE_BYTES;
    const run = async (): Promise<Timed> => {
      const cookie = server.grant({ to: adapter, address: 0, length });
      const mapping = client.accept(cookie);
      // One view for each page, since moved pages need not be neighbours.
      const views = Array.from({ length: isPinned ? pages : 0 }, (_, page) =>
        client.view(mapping.address + page * PAGE_BYTES, PAGE_BYTES),
      );
      const timed = await watchTurns(async () => {
        const { pagesMoved } = await server.rescindForced(cookie);
        if (pagesMoved !== views.length) throw new Error(`${pagesMoved} pages moved, not ${views.length}`);
      });
      for (const view of views) view.release();
      mapping.return();
      return timed;
    };
    return stageOf(name, table, pages, run, () => server);
  };
  return { name, open };
}

function compactScenario(name: string, pages: number): Scenario {
  const open = async (_context: Context): Promise<Stage> => {
    const table = ResourceTable.create({
      memory: 2 * pages * PAGE_BYTES,
      partitions: 3,
      grants: 64,
      logicalSpace: pages * PAGE_BYTES,
    });
    const memory = pages * PAGE_BYTES;
    let low = table.createPartition({ name: "low", memory });
    const run = async (): Promise<Timed> => {
      // What is high comes down into the place of what was low.
      const high = table.createPartition({ name: "high", memory });
      fillPages(high, pages);
      await table.destroyPartition(low);
      const timed = await watchTurns(async () => {
        const { pagesMoved } = await table.compact();
        if (pagesMoved !== pages) throw new Error(`${pagesMoved} pages moved, not ${pages}`);
      });
      low = high;
      return timed;
    };
    return stageOf(name, table, pages, run, () => low);
  };
  return { name, open };
}

export function movesScenarios(quick: boolean): readonly Scenario[] {
  const sharers = quick ? [1, 10] : [1, 10, 1000];
  const sizes = quick ? [1, 100] : [1, 100, 1000, 10_000];
  return [
    ...sharers.map((count) =>
      rescindScenario(`forced rescind of 1 page under a view, sharers: ${count}`, 1, count, true),
    ),
    ...sizes.flatMap((pages) => [
      rescindScenario(`forced rescind, pages: ${pages}`, pages, 1, false),
      rescindScenario(`forced rescind, pages under views: ${pages}`, pages, 1, true),
    ]),
    compactScenario(`compact ${quick ? "1 MiB" : "64 MiB"}`, quick ? 256 : 16384),
  ];
}
