/** Copy-on-write mappings and merged pages that several real threads write to at full speed: no write is lost, none reaches others. */
import { expect, test } from "vitest";
import { type Cookie, systemClock } from "../src/index.js";
import { type Inside, REMOTE, Remote, sleep, within } from "./support/remote.js";
import { auditedAfterEach, join, openPair, PAGE } from "./support/world.js";

auditedAfterEach();

const ROUNDS = 20_000;
const PAGES = 4;

interface Work {
  readonly cookie: number;
  readonly rounds: number;
  readonly pages: number;
}

/** Adds to words of private pages and of its own memory, and writes back what makes pages equal again. */
function work({ partition }: Inside, { cookie, rounds, pages }: Work): number {
  const page = 4096;
  let sum = 0;
  const own = partition.allocate(pages * page);
  let mapping = partition.accept(cookie as Cookie);
  for (let round = 0; round < rounds; round++) {
    const offset = (round % pages) * page;
    const value = partition.load32(mapping.address + offset);
    partition.add32(mapping.address + offset, 1);
    if (partition.load32(mapping.address + offset) !== value + 1) throw new Error(`lost in round ${round}`);
    partition.add32(own + offset, 3);
    sum += 3;
    // What is zero again may be merged with others' zero pages at any time.
    if (round % 64 === 63) {
      let total = 0;
      for (let at = 0; at < pages; at++) {
        total += partition.load32(own + at * page);
        partition.store32(own + at * page, 0);
      }
      if (total !== sum) throw new Error(`${total} in its own memory, not ${sum}`);
      sum = 0;
    }
    if (round % 1000 === 999) {
      mapping.return();
      mapping = partition.accept(cookie as Cookie);
      for (let at = 0; at < pages; at++) {
        if (partition.load32(mapping.address + at * page) !== 7) throw new Error("not the owner's page");
      }
    }
  }
  mapping.return();
  return rounds;
}

test("section 12: threads write to copy-on-write mappings and to merged pages, and each finds its own", {
  timeout: 120_000,
}, async () => {
  const pair = openPair({
    memory: 256 * PAGE,
    serverPages: PAGES,
    clientPages: PAGES,
    clock: systemClock,
    gracePeriodMs: 0,
  });
  const { table, server, client, adapter } = pair;
  const third = table.createPartition({ name: "third", memory: PAGES * PAGE });
  const toThird = join(pair, server, third);
  for (let page = 0; page < PAGES; page++) server.store32(page * PAGE, 7);
  const workers = await Promise.all([client, third].map((partition) => table.spawn(partition, REMOTE)));
  let isOver = false;
  const working = Promise.all(
    workers.map(({ worker }, index) => {
      const to = index === 0 ? adapter : toThird;
      const cookie = server.grant({ to, address: 0, length: PAGES * PAGE, copyOnWrite: true });
      return new Remote(worker).run(work, { cookie, rounds: ROUNDS, pages: PAGES });
    }),
  );
  let merged = 0;
  const merging = (async () => {
    while (!isOver) {
      merged += (await table.deduplicate()).merged;
      await sleep(1);
    }
  })();
  await within(working, "the writers", 100_000).finally(() => {
    isOver = true;
  });
  await within(merging, "the merging");
  for (let page = 0; page < PAGES; page++) expect(server.load32(page * PAGE)).toBe(7);
  expect(merged).toBeGreaterThan(10);
  await Promise.all(workers.map((worker) => worker.terminate()));
});
