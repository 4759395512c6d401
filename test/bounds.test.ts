/** What one slice does is bounded by its budget, and what R4 says of the rest strictly falls (G5, RS5). */
import { describe, expect, test } from "vitest";
import { kernelOf } from "../src/kernel.js";
import {
  H_BUSY,
  H_RESCINDED,
  H_SUCCESS,
  HEADER_BUDGET,
  HEADER_FRAMES_AT,
  HEADER_MOVES,
  ZERO_PAGE_STEPS,
} from "../src/layout.js";
import {
  accepted,
  at,
  auditedAfterEach,
  granted,
  join,
  openPair,
  PAGE,
  rescindInSlices,
  shared,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

/** A bound that does not fall is said at its place. */
function expectFalling(bounds: readonly number[]): void {
  bounds.forEach((bound, index) => {
    if (index > 0) expect(bound, `bound ${index} of ${bounds.join(" ")}`).toBeLessThan(at(bounds, index - 1));
  });
}

describe("forced rescinds", () => {
  test.each([0, 1])(
    "G5, RS6: a slice counts the grants that it walks over to move a page, with %i threads",
    (threads) => {
      const pages = 20;
      const others = 10_000;
      const world = openPair({ memory: 256 * PAGE, serverPages: pages, threads, grants: 2 * others });
      const { table, h, server, client, unit } = world;
      const leaf = table.createPartition({ name: "leaf", memory: PAGE });
      const toLeaf = join(world, client, leaf).unitAddress;
      const { cookie, address } = shared(h, server, unit, client, 0, pages * PAGE);
      const views = Array.from({ length: pages }, (_, page) =>
        leaf.view(shared(h, client, toLeaf, leaf, address + page * PAGE).address, PAGE),
      );
      const other = table.createPartition({ name: "other", memory: PAGE });
      const toOther = join(world, server, other, others).unitAddress;
      for (let i = 0; i < others; i++) granted(h, server.lpid, toOther, 0);
      const { memory } = kernelOf(table);
      let before = memory.header(HEADER_MOVES);
      const bounds = rescindInSlices(h, server.lpid, cookie, () => {
        expect(memory.header(HEADER_MOVES) - before).toBeLessThanOrEqual(1);
        before = memory.header(HEADER_MOVES);
      });
      expect(bounds.length).toBeGreaterThanOrEqual(pages);
      expectFalling(bounds);
      for (const view of views) view.release();
    },
  );

  test("RS5: nobody takes a view of what is being rescinded, also where that is not marked yet; R4 strictly falls", () => {
    const pages = 100;
    const world = openPair({ memory: 512 * PAGE, serverPages: pages });
    const { table, h, server, client, unit } = world;
    const leaf = table.createPartition({ name: "leaf", memory: PAGE });
    const toLeaf = join(world, client, leaf).unitAddress;
    const { cookie, address } = shared(h, server, unit, client, 0, pages * PAGE);
    const below = shared(h, client, toLeaf, leaf, address, pages * PAGE);
    for (let page = 0; page < 4; page++) shared(h, client, toLeaf, leaf, address + page * PAGE);
    const { memory } = kernelOf(table);
    memory.words[HEADER_BUDGET / 4] = 4;
    const answers: number[] = [];
    const bounds = rescindInSlices(h, server.lpid, cookie, () => {
      // What is not marked yet can be read, still.
      answers.push(statusOf(() => leaf.view(below.address, pages * PAGE)));
    });
    expect(answers.every((status) => status === H_RESCINDED)).toBe(true);
    expect(leaf.usage().pins).toBe(0);
    expectFalling(bounds);
  });

  test("RS5, RS6: R4 strictly falls also where each level of a chain moves the pages anew, under the owner's views", () => {
    const pages = 12;
    const levels = 50;
    const { table, h, server, client, unit, back } = openPair({ memory: 330 * PAGE, serverPages: pages });
    const kept = server.view(0, pages * PAGE);
    const lost = [];
    let address = 0;
    let first = 0;
    for (let level = 0; level < levels; level++) {
      const [from, end, to] =
        level % 2 === 0 ? ([server, unit, client] as const) : ([client, back, server] as const);
      const next = shared(h, from, end, to, address, pages * PAGE);
      if (level === 0) first = next.cookie;
      address = next.address;
      lost.push(to.view(address, pages * PAGE));
    }
    kernelOf(table).memory.words[HEADER_BUDGET / 4] = 1;
    // The owner's view follows each move, and pins the page again.
    expectFalling(rescindInSlices(h, server.lpid, first, () => kept.bytes.fill(1)));
    for (const view of [kept, ...lost]) view.release();
  });

  test("G5, OM5: a slice whose steps are used up by moves zeroes no page of the lend that it ends", () => {
    const pages = 400;
    const world = openPair({ memory: 512 * PAGE, serverPages: pages });
    const { table, h, server, client, adapter } = world;
    const cookie = server.grant({
      to: adapter,
      address: 0,
      length: pages * PAGE,
      mode: "lend",
      zero: true,
    });
    const { address } = client.accept(cookie);
    const view = client.view(address + (pages - 1) * PAGE, PAGE);
    const { memory } = kernelOf(table);
    const [first] = memory.words.subarray(HEADER_FRAMES_AT / 4) as unknown as [number];
    for (let page = 0; page < pages; page++) client.store32(address + page * PAGE, 1);
    const places = Array.from(
      { length: pages },
      (_, page) => (first + client.translate(address + page * PAGE)) / 4,
    );
    // The last page is not where its view is by then.
    const zeroed = (): number => places.slice(0, -1).filter((place) => memory.words[place] === 0).length;
    h.budget = 16;
    let before = 0;
    rescindInSlices(h, server.lpid, cookie, () => {
      expect(zeroed() - before).toBeLessThanOrEqual(16 / ZERO_PAGE_STEPS);
      before = zeroed();
    });
    expect(zeroed()).toBe(pages - 1);
    view.release();
  });

  test("RS5: R4 strictly falls also where pages are copied that were written to before they were marked", () => {
    const pages = 60;
    const world = openPair({ memory: 256 * PAGE, serverPages: pages });
    const { table, h, server, client, unit } = world;
    const leaf = table.createPartition({ name: "leaf", memory: PAGE });
    const toLeaf = join(world, client, leaf);
    const { cookie, address } = shared(h, server, unit, client, 0, pages * PAGE);
    const copy = leaf.accept(client.grant({ to: toLeaf, address, length: pages * PAGE, copyOnWrite: true }));
    for (let i = 0; i < 4; i++) shared(h, client, toLeaf.unitAddress, leaf, address);
    kernelOf(table).memory.words[HEADER_BUDGET / 4] = 2;
    let isFirst = true;
    const bounds = rescindInSlices(h, server.lpid, cookie, () => {
      if (isFirst) for (let page = 0; page < pages; page++) leaf.store32(copy.address + page * PAGE, page);
      isFirst = false;
    });
    expect(bounds.length).toBeGreaterThan(pages);
    expectFalling(bounds);
  });
});

test("RE6, G5: private pages behind many that are not are given back in as few slices as those before them", () => {
  const pages = 60_000;
  const copies = 600;
  const { table, h, server, client, adapter } = openPair({
    memory: (pages + 1000) * PAGE,
    serverPages: pages,
  });
  kernelOf(table).memory.words[HEADER_BUDGET / 4] = 800;
  const slices = [0, pages - copies].map((first) => {
    const cookie = server.grant({ to: adapter, address: 0, length: pages * PAGE, copyOnWrite: true });
    const address = accepted(h, client.lpid, cookie);
    for (let page = first; page < first + copies; page++) client.store32(address + page * PAGE, 1);
    let count = 1;
    let status = h.returnLogical(client.lpid, cookie);
    for (; status === H_BUSY; status = h.returnLogical(client.lpid, cookie)) count++;
    expect(status).toBe(H_SUCCESS);
    return count;
  });
  expect(at(slices, 1)).toBeLessThanOrEqual(at(slices, 0) + 2);
});
