/**
 * Suite copies: what a first write to a page costs, and finding equal pages, against copying the same bytes with nothing to mind.
 *
 *     first write   one byte to each page of a copy-on-write mapping, which copies the page; and to each page that was merged
 *     deduplicate   digests of all pages, comparison and merging of every fourth; 4096 bytes a page
 */
import { type Partition, ResourceTable } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { inAsyncRuns, type Timed } from "./measure.js";
import { copies, fillPages } from "./moves.js";
import type { Contender, Context, Scenario, Stage } from "./suite.js";

/** Fills every fourth page with the same byte, and the others with something of their own. */
function fillQuarters(partition: Partition, pages: number): void {
  const own = new Uint8Array(8);
  for (let page = 0; page < pages; page++) {
    partition.fill(page * PAGE_BYTES, PAGE_BYTES, page % 4 === 0 ? 7 : 0);
    new DataView(own.buffer).setUint32(0, page % 4 === 0 ? 0x07070707 : page + 0x10000);
    if (page % 4 !== 0) partition.write(page * PAGE_BYTES + 8 * (page % 64), own);
  }
}

/** One byte to each page; what is then in the first bytes. */
function touch(partition: Partition, address: number, pages: number): Timed {
  const start = performance.now();
  for (let page = 0; page < pages; page++) partition.fill(address + page * PAGE_BYTES, 1, 0xee);
  return { ms: performance.now() - start };
}

/** All contenders of a suite must say the same: that the work is done, and what was not to change is as it was. */
function contender(pages: number, run: () => Promise<Timed>, isRight: () => boolean): Contender {
  const check = async (): Promise<string> => {
    await run();
    return isRight() ? `${pages} pages as they were` : "pages are not what they were";
  };
  return { measure: inAsyncRuns(pages, run), check };
}

function stage(table: ResourceTable, what: string, ours: Contender, pages: number): Stage {
  return {
    ways: [{ what, versus: "copy", contender: ours, at: { pages } }],
    baselines: { copy: copies(pages) },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

function firstWrites(pages: number): Scenario {
  const name = `first write to a copy-on-write page, pages: ${pages}`;
  const open = async (_context: Context): Promise<Stage> => {
    const table = ResourceTable.create({ memory: (2 * pages + 8) * PAGE_BYTES, partitions: 2, grants: 64 });
    const server = table.createPartition({ name: "server", memory: pages * PAGE_BYTES });
    const client = table.createPartition({ name: "client" });
    const to = table.connect(server, client);
    fillPages(server, pages);
    const cookie = server.grant({ to, address: 0, length: pages * PAGE_BYTES, copyOnWrite: true });
    const run = async (): Promise<Timed> => {
      const mapping = client.accept(cookie);
      const timed = touch(client, mapping.address, pages);
      if (client.usage().copies !== pages) throw new Error(`${client.usage().copies} copies, not ${pages}`);
      mapping.return();
      return timed;
    };
    const isRight = (): boolean => server.read((pages - 1) * PAGE_BYTES, 1)[0] === (pages & 0xff);
    return stage(table, name, contender(pages, run, isRight), pages);
  };
  return { name, open };
}

function deduplication(label: string, pages: number): Scenario {
  const name = `deduplicate ${label}, a quarter equal`;
  const open = async (_context: Context): Promise<Stage> => {
    const table = ResourceTable.create({ memory: (pages + 8) * PAGE_BYTES, partitions: 2, grants: 64 });
    const partition = table.createPartition({ name: "all", memory: pages * PAGE_BYTES });
    const saved = (pages / 4 - 1) * PAGE_BYTES;
    const run = async (): Promise<Timed> => {
      fillQuarters(partition, pages);
      const start = performance.now();
      const report = await table.deduplicate();
      const ms = performance.now() - start;
      if (report.saved !== saved) throw new Error(`${report.saved} bytes saved, not ${saved}`);
      return { ms };
    };
    const isRight = (): boolean => partition.read(4 * PAGE_BYTES, 1)[0] === 7;
    return stage(table, name, contender(pages, run, isRight), pages);
  };
  return { name, open };
}

export function copiesScenarios(quick: boolean): readonly Scenario[] {
  return [
    ...(quick ? [1, 100] : [1, 1000]).map(firstWrites),
    quick ? deduplication("1 MiB", 256) : deduplication("64 MiB", 16384),
  ];
}
