/**
 * Pages that move while real threads read and write them at full speed: no write is lost, nobody reads a mix, and a leaked
 * view reaches nobody (RS6, RS8, G6).
 */
import { expect, test } from "vitest";
import { type Cookie, systemClock, type VirtualAdapter } from "../src/index.js";
import {
  ENTRY_HELD,
  ENTRY_RESCINDED,
  H_SUCCESS,
  HEADER_LOCK,
  NEED_READ,
  PARTITION_SPACES,
  SPACE_ENTRIES,
  THREAD_NAME,
} from "../src/layout.js";
import { shippedCore } from "./support/crash-core.js";
import { Rig, SMALL } from "./support/crash-rig.js";
import { type Inside, REMOTE, Remote, sleep, within } from "./support/remote.js";
import { auditedAfterEach, displace, join, openPair, PAGE } from "./support/world.js";

auditedAfterEach();

const PAGES = 4;
/** Rounds of each writer: eight operations each. */
const ROUNDS = Number(process.env.LPAR_MOVE_ROUNDS ?? 70_000);

interface Work {
  readonly cookie: number;
  readonly index: number;
  readonly rounds: number;
}

/** Adds to words that others add to as well, and writes and reads records of its own, short and long ones. */
function write({ partition }: Inside, { cookie, index, rounds }: Work): number {
  const page = 4096;
  const { address } = partition.accept(cookie as Cookie);
  const short = new Uint8Array(48);
  const long = new Uint8Array(600);
  const back = new Uint8Array(600);
  let operations = 0;
  const check = (at: number, wrote: Uint8Array): void => {
    partition.write(at, wrote);
    const read = back.subarray(0, wrote.length);
    partition.readInto(at, read);
    operations += 2;
    for (let i = 0; i < read.length; i += 8) {
      if (read[i] !== wrote[0]) throw new Error(`wrote ${wrote[0]} to ${at}, read ${read[i]} at ${i}`);
    }
  };
  for (let round = 0; round < rounds; round++) {
    const at = address + (round % 4) * page;
    partition.add32(at + 128, 1);
    partition.add32(at + 132, index);
    operations += 2;
    check(at + 256 + index * 64, short.fill(round));
    check(at + 1024 + index * 640, long.fill(round + 1));
    // Across two pages, which need not be on frames that are neighbours.
    if (round % 4 !== 3) check(at + page - 24 + index * 48 - 48, short.fill(round + 2));
  }
  return operations;
}

test("RS6, RS8: writers in other threads lose nothing while their pages are moved by forced rescinds, migrate() and compact()", {
  timeout: 150_000,
}, async () => {
  const pair = openPair({ memory: 256 * PAGE, serverPages: PAGES, clock: systemClock, gracePeriodMs: 0 });
  const { table, server, client, adapter } = pair;
  const third = table.createPartition({ name: "third" });
  const other = table.createPartition({ name: "other" });
  const writers = [client, third];
  const toWriters = [adapter, join(pair, server, third)];
  const toOther = join(pair, server, other);
  const workers = await Promise.all(writers.map((partition) => table.spawn(partition, REMOTE)));
  const remotes = workers.map(({ worker }) => new Remote(worker));
  let isOver = false;
  const working = Promise.all(
    remotes.map((remote, index) => {
      const cookie = server.grant({
        to: toWriters[index] as VirtualAdapter,
        address: 0,
        length: PAGES * PAGE,
      });
      return remote.run(write, { cookie, index, rounds: ROUNDS });
    }),
  );
  let moves = 0;
  const moving = (async () => {
    for (let turn = 0; !isOver; turn++) {
      await displace(server, other, toOther, (turn % PAGES) * PAGE);
      moves += 1 + (await server.migrate(0, PAGES * PAGE)).pagesMoved;
      if (turn % 8 === 0) moves += (await table.compact()).pagesMoved;
      // Moves that nobody holds up are over without a turn of the event loop, which must hear of the writers' end.
      await sleep(1);
    }
  })();
  const operations = await within(working, "the writers", 120_000).finally(() => {
    isOver = true;
  });
  await within(moving, "the moves");
  const words = Array.from({ length: PAGES }, (_, page) =>
    [128, 132].map((at) => server.load32(page * PAGE + at)),
  );
  const rounds = Array.from({ length: PAGES }, (_, page) => Math.floor((ROUNDS - page + 3) / 4));
  // Each of two writers added 1; the second one added 1 to the next word, too, and the first one 0.
  expect(words).toEqual(rounds.map((count) => [2 * count, count]));
  expect(moves).toBeGreaterThan(100);
  console.info(
    `moves: ${moves} pages moved under ${operations.reduce((sum, each) => sum + each)} operations`,
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
});

test("RS6: a leaked view that a thread writes to at full speed reaches nobody after the forced rescind", {
  timeout: 60_000,
}, async () => {
  const pair = openPair({ memory: 128 * PAGE, serverPages: PAGES, clock: systemClock, gracePeriodMs: 0 });
  const { table, server, client, adapter } = pair;
  const leaker = await table.spawn(client, REMOTE);
  const remote = new Remote(leaker.worker);
  const control = new Int32Array(new SharedArrayBuffer(8));
  for (let turn = 0; turn < 20; turn++) {
    const cookie = server.grant({ to: adapter, address: 0, length: PAGES * PAGE });
    control.fill(0);
    const leaking = remote.run(
      ({ partition }, { cookie, control }) => {
        const mapping = partition.accept(cookie as Cookie);
        const view = partition.view(mapping.address, mapping.length);
        // What a view gives away, nobody can take back.
        const { bytes } = view;
        while (Atomics.load(control, 1) === 0) {
          bytes.fill(0xee);
          Atomics.store(control, 0, 1);
        }
        const seen = bytes.some((byte) => byte !== 0xee);
        view.release();
        mapping.return();
        return seen;
      },
      { cookie, control },
    );
    while (Atomics.load(control, 0) === 0) await sleep(1);
    expect(await server.rescindForced(cookie)).toMatchObject({ pagesMoved: PAGES });
    server.fill(0, PAGES * PAGE, turn);
    for (let look = 0; look < 200; look++) {
      const bytes = server.read(0, PAGES * PAGE);
      if (bytes.some((byte) => byte !== turn)) throw new Error("the leaked view wrote to the owner's page");
    }
    expect(client.usage()).toMatchObject({ pins: 1, quarantined: PAGES });
    Atomics.store(control, 1, 1);
    expect(await within(leaking, "the leak")).toBe(false);
    expect(client.usage()).toMatchObject({ pins: 0, quarantined: 0 });
  }
  await leaker.terminate();
});

test("RS4, RS6: a forced rescind under views ends although the views of who keeps the access follow each page that moves", async () => {
  const pages = 150;
  const { server, client, adapter } = openPair({ memory: 512 * PAGE, serverPages: pages });
  const cookie = server.grant({ to: adapter, address: 0, length: pages * PAGE });
  const { address } = client.accept(cookie);
  const lost = Array.from({ length: pages }, (_, page) => client.view(address + page * PAGE, PAGE));
  const kept = Array.from({ length: pages }, (_, page) => server.view(page * PAGE, PAGE));
  const report = await within(server.rescindForced(cookie), "the forced rescind");
  expect(report).toMatchObject({ nodes: 1, pagesMoved: pages });
  kept.forEach(({ bytes }, page) => {
    bytes.fill(page);
    expect(server.read(page * PAGE, 1)[0]).toBe(page);
    expect(lost[page]?.bytes[0]).toBe(0);
  });
  for (const view of [...lost, ...kept]) view.release();
});

test("RS6: a view that finds no pin to follow a page that moves says so, and is not left where nobody looks", async () => {
  const { server, client, adapter } = openPair({ views: 2 });
  const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
  const lost = client.view(client.accept(cookie).address, PAGE);
  const kept = server.view(0, PAGE);
  expect(await server.rescindForced(cookie)).toMatchObject({ pagesMoved: 1 });
  expect(() => kept.bytes).toThrow(expect.objectContaining({ code: "H_RESOURCE" }));
  kept.release();
  lost.release();
});

test("RS8: who waits for a page that is moved tells the host of its first wait as the first, so that time counts from there", () => {
  const rig = new Rig(shippedCore(), SMALL);
  const owner = rig.core(0);
  expect(owner.createPartition(1, 1)).toBe(H_SUCCESS);
  expect(owner.openThread(1)).toBe(H_SUCCESS);
  const entry = rig.word(rig.partitionAt(1) + PARTITION_SPACES + SPACE_ENTRIES);
  rig.setWord(entry, rig.word(entry) | ENTRY_HELD);
  const attempts: number[] = [];
  rig.pause = (attempt) => {
    attempts.push(attempt);
    // Nobody has the locks at the first wait; then somebody has, who lets the page go at last.
    rig.setWord(HEADER_LOCK, rig.word(rig.threadAt(0) + THREAD_NAME));
    if (attempts.length === 3) rig.setWord(entry, rig.word(entry) & ~ENTRY_RESCINDED);
    return 1;
  };
  expect(rig.core(1).beginUse(1, 0, 8, NEED_READ)).toBe(H_SUCCESS);
  rig.core(1).endUse();
  rig.setWord(HEADER_LOCK, 0);
  expect(attempts[0]).toBe(0);
  expect(attempts.slice(1).every((attempt) => attempt > 0)).toBe(true);
  expect(attempts).toHaveLength(3);
  expect(rig.audit()).toBe("");
});
