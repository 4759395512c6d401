/**
 * RS6 in full: whatever view a client keeps, the forced rescind leaves it with a page of its own. Nothing that is written
 * afterwards is seen through it, and nothing that is written through it is seen by anybody, while other threads go on reading
 * and writing the same pages.
 *
 * A page of the server's, as all agree to use it; no value but the leaker's has its high bit set:
 *
 *     0         1024      2048  2056       3072         4096
 *     sharer 0  sharer 1  sums  the heir   the leaker, and what the owner writes there afterwards
 */
import { expect, test } from "vitest";
import { type Cookie, systemClock } from "../src/index.js";
import { type Inside, REMOTE, Remote, sleep, within } from "./support/remote.js";
import { at, auditedAfterEach, displace, join, openPair, PAGE } from "./support/world.js";

auditedAfterEach();

const PAGES = 8;
const BYTES = PAGES * PAGE;
/** What two sharers do, at least, while views are leaked. */
const OPERATIONS = Number(process.env.LPAR_LEAK_OPERATIONS ?? 1_000_000);

/** Offset and length of the views: each size at each alignment, as far as it fits. */
function shapes(): (readonly [offset: number, length: number])[] {
  const sizes = [1, 2, 7, 64, 1000, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE - 5, BYTES - 1, BYTES];
  const offsets = [0, 1, 3, 1023, 2048, PAGE - 1, PAGE, PAGE + 13, 3 * PAGE - 1, 5 * PAGE + 3071, BYTES - 1];
  return offsets.flatMap((offset) =>
    sizes.filter((size) => offset + size <= BYTES).map((size) => [offset, size] as const),
  );
}

/** Words of the control block, by which the threads talk without messages; behind them what the leaker is to take. */
interface Control {
  /** 1 take a view; 2 it is taken, and written to where that is the leaker's; 3 it was rescinded; 4 that is known; 5 the end. */
  readonly words: Int32Array;
  readonly order: Float64Array;
}
const STAGE = 0;
const STOP = 1;
const COUNTS = 2;

interface Shared extends Control {
  readonly cookie: number;
  readonly index: number;
}

/** Writes and reads its own part of each page, adds to words that the other one adds to, and looks at all else. */
function share({ partition }: Inside, { cookie, index, words }: Shared): { sum: number; adds: number[] } {
  const page = 4096;
  const pages = 8;
  const { address } = partition.accept(cookie as Cookie);
  const mine = Array.from({ length: pages }, () => new Uint8Array(1024));
  const adds = new Array<number>(pages).fill(0);
  const record = new Uint8Array(256);
  const read = new Uint8Array(page);
  let seed = index + 1;
  const draw = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (const one of mine.keys()) partition.fill(address + one * page + index * 1024, 1024, 0);
  let operations = 0;
  for (let round = 0; Atomics.load(words, 1) === 0; round++) {
    const one = draw(pages);
    const at = address + one * page;
    const own = mine[one] as Uint8Array;
    const length = 1 + draw(256);
    const from = draw(1024 - length);
    const piece = record.subarray(0, length);
    for (let i = 0; i < length; i++) piece[i] = (round + i) & 0x7f;
    own.set(piece, from);
    partition.write(at + index * 1024 + from, piece);
    const other = draw(1024 - length);
    const back = read.subarray(0, length);
    partition.readInto(at + index * 1024 + other, back);
    for (let i = 0; i < length; i++) {
      if (back[i] !== own[other + i]) throw new Error(`byte ${other + i} of page ${one} is ${back[i]}`);
    }
    partition.add32(at + 2048 + 4 * index, 1);
    partition.add32(at + 2048 + 4 * (1 - index), 1);
    adds[one] = (adds[one] as number) + 1;
    operations += 4;
    if (round % 16 === 0) {
      partition.readInto(at, read);
      operations++;
      for (let i = 0; i < 3072; i++) {
        const isSum = i >= 2048 && i < 2056;
        if (!isSum && (read[i] as number) >= 0x80)
          throw new Error(`a leaked view wrote to byte ${i} of ${one}`);
      }
      Atomics.store(words, 2 + index, operations);
    }
  }
  let sum = 0x811c9dc5;
  for (const own of mine) for (const byte of own) sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
  return { sum, adds };
}

/** Takes views and never gives them back; writes to what it has lost, and looks that nobody else does. */
function leak({ partition }: Inside, { words, order }: Control): { leaks: number; operations: number } {
  const leaks: { bytes: Uint8Array; value: number }[] = [];
  let operations = 0;
  let turn = 0;
  let fresh: { bytes: Uint8Array; offset: number; back: () => void } | undefined;
  /** While it still has the right it writes only where the others expect it. */
  const scribble = (bytes: Uint8Array, offset: number): void => {
    for (let i = 0; i < bytes.length; i++) if (((offset + i) & 4095) >= 3072) bytes[i] = 0x80 | (turn & 0x7f);
  };
  while (true) {
    turn++;
    const stage = Atomics.load(words, 0);
    if (stage === 5) return { leaks: leaks.length, operations };
    if (stage === 1) {
      const [cookie, offset, length, logical] = order as unknown as [number, number, number, number];
      const mapping = partition.accept(cookie as Cookie);
      // The address of those before it, which were returned.
      if (mapping.address !== logical) throw new Error(`mapped at ${mapping.address}, not at ${logical}`);
      const { bytes } = partition.view(mapping.address + (offset & 4095), length);
      fresh = { bytes, offset, back: () => mapping.return() };
      scribble(bytes, offset);
      Atomics.store(words, 0, 2);
    } else if (stage === 2 && fresh !== undefined) {
      scribble(fresh.bytes, fresh.offset);
      operations++;
    } else if (stage === 3 && fresh !== undefined) {
      fresh.back();
      leaks.push({ bytes: fresh.bytes, value: 0x80 });
      fresh.bytes.fill(0x80);
      fresh = undefined;
      Atomics.store(words, 0, 4);
    }
    // Some of them in each turn, so that the answer to the owner does not take long.
    for (let i = 0; i < Math.min(8, leaks.length); i++) {
      const one = leaks[(turn * 8 + i) % leaks.length] as (typeof leaks)[number];
      for (let j = 0; j < one.bytes.length; j++) {
        if (one.bytes[j] !== one.value)
          throw new Error(`leaked byte ${j} of ${one.bytes.length}: ${one.bytes[j]}`);
      }
      one.value = 0x80 | (turn & 0x7f);
      one.bytes.fill(one.value);
      operations += 2;
    }
  }
}

test("RS6, RS8: leaked views of all sizes and alignments see nothing and reach nobody, while others share the pages at full speed", {
  timeout: 150_000,
}, async () => {
  const all = shapes();
  const pair = openPair({
    memory: 4 * 1024 * PAGE,
    serverPages: PAGES,
    clientPages: 1,
    clock: systemClock,
    gracePeriodMs: 0,
  });
  const { table, server, client, adapter } = pair;
  const heir = table.createPartition({ name: "heir" });
  const toHeir = join(pair, server, heir);
  const sharers = [0, 1].map((index) => table.createPartition({ name: `sharer ${index}` }));
  const toSharers = sharers.map((sharer) => join(pair, server, sharer));
  const workers = await Promise.all([client, ...sharers].map((partition) => table.spawn(partition, REMOTE)));
  const [leaker, ...sharing] = workers.map(({ worker }) => new Remote(worker));
  const control: Control = {
    words: new Int32Array(new SharedArrayBuffer(64)),
    order: new Float64Array(new SharedArrayBuffer(64)),
  };
  const { words, order } = control;
  const leaking = (leaker as Remote).run(leak, control);
  const working = sharing.map((remote, index) => {
    const cookie = server.grant({ to: at(toSharers, index), address: 0, length: BYTES });
    return remote.run(share, { ...control, cookie, index });
  });
  let broken: unknown;
  for (const promise of [leaking, ...working])
    promise.catch((error) => {
      broken ??= error;
    });
  const stage = async (number: number): Promise<void> => {
    const end = performance.now() + 30_000;
    for (let turn = 0; Atomics.load(words, STAGE) !== number; turn++) {
      if (broken !== undefined) throw broken;
      if (performance.now() > end) throw new Error(`stage ${number} does not come`);
      await sleep(turn < 20 ? 0 : 1);
    }
  };
  const operations = (): number => Atomics.load(words, COUNTS) + Atomics.load(words, COUNTS + 1);
  let rounds = 0;
  let pagesMoved = 0;
  const fresh = new Uint8Array(1024);
  for (; rounds < all.length || operations() < OPERATIONS; rounds++) {
    if (rounds >= all.length) {
      // Enough views; the leaker goes on with those that it has.
      if (broken !== undefined) throw broken;
      await server.migrate(0, BYTES);
      await sleep(5);
      continue;
    }
    const [offset, length] = at(all, rounds);
    const first = Math.floor(offset / PAGE);
    const pages = Math.ceil((offset + length) / PAGE) - first;
    const range = { address: first * PAGE, length: pages * PAGE };
    pagesMoved += (await server.migrate(0, BYTES)).pagesMoved;
    const cookie = server.grant({ to: adapter, ...range });
    order.set([cookie, offset, length, PAGE]);
    Atomics.store(words, STAGE, 1);
    await stage(2);
    const report = await server.rescindForced(cookie);
    expect(report, `${length} bytes from ${offset}`).toMatchObject({ nodes: 1, pagesMoved: pages });
    pagesMoved += report.pagesMoved;
    // New data, where the leaker wrote and where the heir will, and the old addresses go to others.
    fresh.fill(rounds & 0x7f);
    for (let page = first; page < first + pages; page++) server.write(page * PAGE + 3072, fresh);
    const handed = heir.accept(server.grant({ to: toHeir, ...range }));
    for (let page = 0; page < pages; page++)
      heir.write(handed.address + page * PAGE + 2056, fresh.subarray(8));
    Atomics.store(words, STAGE, 3);
    await stage(4);
    for (let look = 0; look < 4; look++) {
      for (let page = 0; page < pages; page++) {
        const bytes = heir.read(handed.address + page * PAGE + 2056, PAGE - 2056);
        const wrong = bytes.findIndex((byte) => byte !== fresh[0]);
        if (wrong !== -1) throw new Error(`page ${first + page}: byte ${2056 + wrong} is ${bytes[wrong]}`);
      }
      await sleep(0);
    }
    handed.return();
  }
  Atomics.store(words, STOP, 1);
  const sums = await within(Promise.all(working), "the sharers", 30_000);
  Atomics.store(words, STAGE, 5);
  const leaked = await within(leaking, "the leaker", 30_000);
  expect(operations()).toBeGreaterThanOrEqual(OPERATIONS);
  expect(leaked.leaks).toBe(all.length);
  sums.forEach(({ sum }, index) => {
    let found = 0x811c9dc5;
    for (let page = 0; page < PAGES; page++) {
      for (const byte of server.read(page * PAGE + index * 1024, 1024))
        found = Math.imul(found ^ byte, 0x01000193) >>> 0;
    }
    expect(found, `what sharer ${index} wrote`).toBe(sum);
  });
  for (let page = 0; page < PAGES; page++) {
    const added = sums.reduce((total, { adds }) => total + at(adds, page), 0);
    expect([2048, 2052].map((word) => server.load32(page * PAGE + word))).toEqual([added, added]);
  }
  expect(table.audit().problems).toEqual([]);
  expect(client.usage()).toMatchObject({ pins: all.length });
  await Promise.all(workers.map((worker) => worker.terminate()));
  expect(client.usage()).toMatchObject({ pins: 0, quarantined: 0 });
  console.info(
    `leaks: ${leaked.leaks} views, ${pagesMoved} pages moved under ${operations()} operations of sharers, ${leaked.operations} of the leaker`,
  );
});

test("RS6: a leaked view does not follow to another mapping that has got its address, nor is its frame given away", async () => {
  const pair = openPair({ serverPages: 2, clientPages: 1, gracePeriodMs: 0 });
  const { table, server, client, adapter } = pair;
  const third = table.createPartition({ name: "third" });
  const take = (page: number): { cookie: Cookie; mapping: ReturnType<typeof client.accept> } => {
    const cookie = server.grant({ to: adapter, address: page * PAGE, length: PAGE });
    return { cookie, mapping: client.accept(cookie) };
  };
  const first = take(0);
  const view = client.view(first.mapping.address, PAGE);
  const { bytes } = view;
  bytes.fill(0xee);
  expect(await server.rescindForced(first.cookie)).toMatchObject({ pagesMoved: 1 });
  first.mapping.return();
  const second = take(1);
  expect(second.mapping.address).toBe(first.mapping.address);
  // Some page moves, and all views look whether it was theirs.
  await displace(server, third, join(pair, server, third), 0);
  server.write(PAGE, new Uint8Array(PAGE).fill(1));
  expect(client.read(second.mapping.address, 1)[0]).toBe(1);
  expect(view.bytes).toBe(bytes);
  expect(bytes.every((byte) => byte === 0xee)).toBe(true);
  expect(client.usage()).toMatchObject({ pins: 1, quarantined: 1 });
  view.release();
  expect(client.usage()).toMatchObject({ pins: 0, quarantined: 0 });
});

test("RS6: nor does one that hears of the rescind only when its address is another mapping's", async () => {
  const pair = openPair({ serverPages: 2, clientPages: 1, clock: systemClock, gracePeriodMs: 0 });
  const { table, server, client, adapter } = pair;
  const worker = await table.spawn(client, REMOTE);
  const remote = new Remote(worker.worker);
  const cookies = [0, 1].map((page) => server.grant({ to: adapter, address: page * PAGE, length: PAGE }));
  const taken = remote.run(({ partition, kept }, cookie) => {
    kept.mapping = partition.accept(cookie as Cookie);
    kept.view = partition.view(kept.mapping.address, kept.mapping.length);
    kept.view.bytes.fill(0xee);
    return kept.view.bytes.byteOffset;
  }, at(cookies, 0) as number);
  const before = await within(taken, "the view");
  expect(await server.rescindForced(at(cookies, 0))).toMatchObject({ pagesMoved: 1 });
  const looked = remote.run(({ partition, kept }, cookie) => {
    kept.mapping?.return();
    const { address } = partition.accept(cookie as Cookie);
    const bytes = kept.view?.bytes ?? new Uint8Array();
    return { address, offset: bytes.byteOffset, isWhole: bytes.every((byte) => byte === 0xee) };
  }, at(cookies, 1) as number);
  expect(await within(looked, "the look")).toEqual({ address: PAGE, offset: before, isWhole: true });
  expect(client.usage()).toMatchObject({ pins: 1, quarantined: 1 });
  await worker.terminate();
});
