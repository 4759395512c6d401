/** Views follow pages that moved from under somebody else's (RS6), some in each turn of the event loop, however many there are. */
import { expect, test, vi } from "vitest";
import type { Mapping, Partition, VirtualAdapter } from "../src/index.js";
import { FOLLOWED_PER_TURN, kernelOf, type Movable } from "../src/kernel.js";
import { H_LONG_BUSY_10_MSEC } from "../src/layout.js";
import { auditedAfterEach, bytesOf, openPair, PAGE, statusOf } from "./support/world.js";

auditedAfterEach();

const PAGES = 3 * FOLLOWED_PER_TURN;

function openMany(pages = PAGES): {
  readonly table: ReturnType<typeof openPair>["table"];
  readonly server: Partition;
  readonly client: Partition;
  readonly adapter: VirtualAdapter;
} {
  return openPair({
    memory: (3 * pages + 64) * PAGE,
    views: 3 * pages + 64,
    logicalSpace: (pages + 64) * PAGE,
    serverPages: pages,
  });
}

/** The client's mapping of all pages of the server. */
function shareAll(server: Partition, client: Partition, adapter: VirtualAdapter, pages = PAGES): Mapping {
  return client.accept(server.grant({ to: adapter, address: 0, length: pages * PAGE }));
}

function viewEach(partition: Partition, address: number, pages = PAGES): ReturnType<Partition["view"]>[] {
  return Array.from({ length: pages }, (_, page) => partition.view(address + page * PAGE, PAGE));
}

/** Something that follows moves, and counts how often it was told to. */
class Follower implements Movable {
  told = 0;
  isLocked = false;

  follow(): boolean {
    this.told++;
    return !this.isLocked;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("RS6: a turn of the event loop lets so many views follow, the next turns the others, each once", async () => {
  const { table, server, client, adapter } = openMany();
  const mapping = shareAll(server, client, adapter);
  const leaked = client.view(mapping.address, PAGE);
  const kernel = kernelOf(table);
  const followers = Array.from({ length: 2 * FOLLOWED_PER_TURN }, () => new Follower());
  for (const follower of followers) kernel.hold(follower, client.lpid, 0, PAGE);
  const told = (): number => followers.reduce((sum, follower) => sum + follower.told, 0);

  const done = server.rescindForced(mapping.cookie);
  expect(told()).toBe(FOLLOWED_PER_TURN - 1); // the client's view was the first
  expect(await done).toMatchObject({ pagesMoved: 1 });
  await turn();
  await turn();
  await turn();
  expect(followers.every((follower) => follower.told === 1)).toBe(true);
  leaked.release();
});

test("RS6: what could not follow, as the table was locked, follows the next time; what moved meanwhile is followed, too", async () => {
  const { table, server, client, adapter } = openMany(8);
  const kernel = kernelOf(table);
  const [first, second] = [new Follower(), new Follower()];
  kernel.hold(first, client.lpid, 0, PAGE);
  kernel.hold(second, client.lpid, 0, PAGE);
  const move = async (): Promise<void> => {
    const mapping = shareAll(server, client, adapter, 8);
    const view = client.view(mapping.address, PAGE);
    expect(await server.rescindForced(mapping.cookie)).toMatchObject({ pagesMoved: 1 });
    view.release();
    mapping.return();
  };
  first.isLocked = true;
  await move();
  expect(second.told).toBe(first.told);
  const before = first.told;
  kernel.wake();
  expect(first.told).toBe(before + 1);
  first.isLocked = false;
  kernel.wake();
  expect(first.told).toBe(before + 2);
  kernel.wake();
  expect(first.told).toBe(before + 2); // nothing has moved since
  await move();
  expect(first.told).toBe(before + 3);
});

test("RS6: a view that is asked for its bytes before its turn comes has followed; in the end all have", async () => {
  const { server, client, adapter } = openMany();
  for (let page = 0; page < PAGES; page++) server.write(page * PAGE, bytesOf(16, page));
  const mapping = shareAll(server, client, adapter);
  const leaked = viewEach(client, mapping.address);
  const own = viewEach(server, 0);
  const before = own.map((view) => view.bytes);

  const done = server.rescindForced(mapping.cookie);
  // The first pages have moved, and the walk is still among the client's views.
  expect(server.usage().pins).toBe(PAGES);
  const [first] = own;
  expect(first?.bytes === before[0]).toBe(false);
  server.write(0, Uint8Array.of(200));
  expect(first?.bytes[0]).toBe(200);
  expect(before[0]?.[0]).toBe(0);

  expect(await done).toMatchObject({ pagesMoved: PAGES });
  for (let i = 0; i < 4; i++) await turn();
  for (const [page, view] of own.entries()) {
    expect(view.bytes === before[page], `page ${page}`).toBe(false);
    server.write(page * PAGE + 1, Uint8Array.of(page + 7));
    expect(view.bytes[1]).toBe((page + 7) & 0xff);
  }
  // What the client's views hold back is all that is in quarantine.
  expect(server.usage().quarantined + client.usage().quarantined).toBe(PAGES);
  for (const view of [...leaked, ...own]) view.release();
  expect(server.usage().quarantined + client.usage().quarantined).toBe(0);
});

test("RS6: a rescind that moves pages does not wait by a timer between its slices", async () => {
  const { server, client, adapter } = openMany();
  const mapping = shareAll(server, client, adapter);
  const leaked = viewEach(client, mapping.address);
  const timers = vi.spyOn(globalThis, "setTimeout");
  try {
    const report = await server.rescindForced(mapping.cookie);
    expect(report.slices).toBeGreaterThan(9);
    expect(report.pagesMoved).toBe(PAGES);
    expect(timers).not.toHaveBeenCalled();
  } finally {
    timers.mockRestore();
  }
  for (const view of leaked) view.release();
});

test("TR4: a view of a page that is on the move just then is refused as by a lock, and holds nothing", () => {
  const { table, server } = openMany(4);
  const kernel = kernelOf(table) as { core: { checkAccess(...of: number[]): number } };
  const { core } = kernel;
  kernel.core = { ...core, checkAccess: () => H_LONG_BUSY_10_MSEC };
  expect(statusOf(() => server.view(0, PAGE))).toBe(H_LONG_BUSY_10_MSEC);
  kernel.core = core;
  expect(server.usage().pins).toBe(0);
  server.view(0, PAGE).release();
});
