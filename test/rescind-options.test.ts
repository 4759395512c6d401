/** Taking back with patience and without: a deadline for the client, and views that hold a forced rescind up (RS6). */
import { describe, expect, test } from "vitest";
import { type Cookie, HcallError, type PartitionEvent, ResourceTable, systemClock } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_LONG_BUSY_10_MSEC, H_PARAMETER, H_RESCINDED, H_RESOURCE, H_SUCCESS } from "../src/layout.js";
import { type Inside, REMOTE, Remote, sleep, within } from "./support/remote.js";
import {
  auditedAfterEach,
  besides,
  HOSTILE,
  join,
  listen,
  openPair,
  PAGE,
  settle,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

test("RS6, RS8: a view that cannot follow its page, since all pins are in use, shows nothing rather than what was left behind", async () => {
  const { server, client, adapter } = openPair({ views: 2 });
  const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
  const mapping = client.accept(cookie);
  const own = server.view(0, PAGE);
  const leaked = client.view(mapping.address, PAGE);
  const { bytes } = leaked;
  expect(await server.rescindForced(cookie)).toMatchObject({ pagesMoved: 1 });
  bytes.fill(9);
  expect(() => own.bytes).toThrow(expect.objectContaining({ code: "H_RESOURCE" }));
  expect(server.load32(0)).toBe(0);
  own.release();
  server.store32(0, 5);
  using again = server.view(0, PAGE);
  expect(again.bytes[0]).toBe(5);
  leaked.release();
});

describe("deadline", () => {
  test("the client is told, returns in time, and nothing is taken by force", async () => {
    const { server, client, adapter } = openPair();
    const told = listen<PartitionEvent>((signal) => client.events({ signal }));
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const mapping = client.accept(cookie);
    const rescinded = server.rescindForced(cookie, { deadline: 1000 });
    await settle();
    expect(client.load32(mapping.address)).toBe(0);
    const [event] = told.seen;
    // Its type says that it has a cookie.
    if (event?.type === "rescind-requested") client.return(event.cookie);
    expect(await rescinded).toMatchObject({ nodes: 1, slices: 0 });
    await told.stop();
    expect(told.seen).toMatchObject([
      { type: "rescind-requested", partner: server.lpid, cookie, withinMs: 1000 },
    ]);
    expect(statusOf(() => client.accept(cookie))).toBe(H_PARAMETER);
    expect(server.usage()).toMatchObject({ grantsOut: 0 });
  });

  test("a client that does not return keeps its access until the deadline, and loses it then", async () => {
    const { server, client, adapter, clock } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const { address } = client.accept(cookie);
    const rescinded = server.rescindForced(cookie, { deadline: 1000 });
    await settle();
    clock.advance(999);
    await settle();
    expect(client.load32(address)).toBe(0);
    clock.advance(1);
    await settle();
    expect(statusOf(() => client.load32(address))).toBe(H_RESCINDED);
    expect(await rescinded).toMatchObject({ nodes: 1 });
  });

  test("what was never accepted is rescinded at once, and nobody is asked", async () => {
    const { server, client, adapter } = openPair();
    const told = listen<PartitionEvent>((signal) => client.events({ signal }));
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    expect(await server.rescindForced(cookie, { deadline: 1000 })).toMatchObject({ nodes: 1 });
    await told.stop();
    expect(told.seen).toEqual([]);
  });

  test("a mapping with re-grants comes back when the client has taken those back itself", async () => {
    const pair = openPair();
    const { table, server, client, adapter } = pair;
    const third = table.createPartition({ name: "third" });
    const onward = join(pair, client, third);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const mapping = client.accept(cookie);
    const below = client.grant({ to: onward, address: mapping.address, length: PAGE });
    third.accept(below);
    const rescinded = server.rescindForced(cookie, { deadline: 1000 });
    await settle();
    await client.rescindForced(below);
    mapping.return();
    expect(await rescinded).toMatchObject({ nodes: 1, slices: 0 });
  });

  test("a rescind by force meanwhile ends the wait for the deadline", async () => {
    const { server, client, adapter } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    client.accept(cookie);
    const polite = server.rescindForced(cookie, { deadline: 1000 });
    await settle();
    expect(await server.rescindForced(cookie)).toMatchObject({ nodes: 1 });
    // The clock stands still.
    expect(await polite).toMatchObject({ pagesMoved: 0 });
  });

  test("a client that fails within the deadline has given it back", async () => {
    const { table, server, client, adapter } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    client.accept(cookie);
    const rescinded = server.rescindForced(cookie, { deadline: 1000 });
    await settle();
    table.fail(client);
    await table.recovered(client);
    // Nobody is told of it but by the failure, which wakes the grantor as well.
    expect(await rescinded).toMatchObject({ pagesMoved: 0 });
    expect(server.usage()).toMatchObject({ grantsOut: 0 });
  });

  test("aborted within the deadline: the reason, and the grant is as it was", async () => {
    const { server, client, adapter, clock } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const { address } = client.accept(cookie);
    const controller = new AbortController();
    const rescinded = server.rescindForced(cookie, { deadline: 1000, signal: controller.signal });
    await settle();
    controller.abort(new Error("never mind"));
    await expect(rescinded).rejects.toThrow("never mind");
    clock.advance(5000);
    await settle();
    expect(client.load32(address)).toBe(0);
    await server.rescindForced(cookie);
  });

  test("options or a signal that are none, as its controller: the call rejects, nothing is rescinded, and no other promise rejects unheard", async () => {
    const { server, client, adapter } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const { address } = client.accept(cookie);
    const unheard: unknown[] = [];
    const listener = (reason: unknown): number => unheard.push(reason);
    process.on("unhandledRejection", listener);
    try {
      for (const options of [null, ...[new AbortController(), {}, 5, null].map((signal) => ({ signal }))])
        await expect(server.rescindForced(cookie, options as object)).rejects.toThrow(TypeError);
      await sleep(1);
    } finally {
      process.off("unhandledRejection", listener);
    }
    expect(unheard).toEqual([]);
    expect(client.load32(address)).toBe(0);
  });

  test("RS1, RS5: not the grantor, dead cookies: H_PARAMETER, and nobody is asked", async () => {
    const { server, client, adapter } = openPair();
    const told = listen<PartitionEvent>((signal) => client.events({ signal }));
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    client.accept(cookie);
    for (const bad of [...HOSTILE, 0, cookie + 1]) {
      await expect(server.rescindForced(bad as Cookie, { deadline: 5 })).rejects.toMatchObject({
        code: "H_PARAMETER",
      });
    }
    await expect(client.rescindForced(cookie, { deadline: 5 })).rejects.toMatchObject({
      code: "H_PARAMETER",
    });
    await told.stop();
    expect(told.seen).toEqual([]);
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 24, "5"])(
    "deadline %s: RangeError that names it and its bounds",
    async (bad) => {
      const { server, adapter } = openPair();
      const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
      await expect(server.rescindForced(cookie, { deadline: bad as number })).rejects.toThrow(
        /deadline.*16777215/,
      );
      await expect(server.rescindForced(cookie, { onStuck: bad as never })).rejects.toThrow(
        /onStuck.*wait.*terminate/,
      );
      server.rescind(cookie);
    },
  );

  test("the longest deadline arrives as it is", async () => {
    const { server, client, adapter } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const mapping = client.accept(cookie);
    const rescinded = server.rescindForced(cookie, { deadline: 2 ** 24 - 1 });
    const { value } = await client.events().next();
    expect(value).toMatchObject({ type: "rescind-requested", withinMs: 2 ** 24 - 1 });
    mapping.return();
    await rescinded;
  });

  test("a return in another thread between a look and the wait for it is heard", async () => {
    const { table, server, client, adapter } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    client.accept(cookie);
    const kernel = kernelOf(table) as { core: { rescindLogical32(...all: number[]): number } };
    const { core } = kernel;
    const { core: other } = besides(table, client);
    kernelOf(table).share();
    const rescindLogical32 = (...all: number[]): number => {
      const status = core.rescindLogical32(...all);
      if (status === H_RESOURCE) expect(other.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      return status;
    };
    kernel.core = { ...core, rescindLogical32 };
    expect(await within(server.rescindForced(cookie, { deadline: 20_000 }), "the rescind")).toMatchObject({
      slices: 0,
    });
  });

  test.each(["this", "another"])(
    "a return in %s thread is noticed also where the server's ring is full",
    async (thread) => {
      const { table, server, client, adapter } = openPair({ clock: systemClock });
      if (thread === "another") kernelOf(table).share();
      const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
      // Most applications never read the events of a server.
      for (let i = 0; i < 200; i++) client.accept(cookie).return();
      const mapping = client.accept(cookie);
      const rescinded = server.rescindForced(cookie, { deadline: 20_000 });
      await settle();
      if (thread === "this") mapping.return();
      else expect(besides(table, client).core.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      expect(await within(rescinded, "the rescind")).toMatchObject({ slices: 0 });
    },
  );

  test("a client in a worker thread hears of it, and returns", async () => {
    const { table, server, client, adapter } = openPair({ clock: systemClock });
    const { worker } = await table.spawn(client, REMOTE);
    const remote = new Remote(worker);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const returned = remote.run(async ({ partition }, cookie) => {
      const mapping = partition.accept(cookie as Cookie);
      for await (const event of partition.events()) {
        if (event.type !== "rescind-requested") continue;
        mapping.return();
        return event.withinMs;
      }
      return undefined;
    }, cookie);
    while (client.usage().pagesMapped === 0) await sleep(1);
    expect(await within(server.rescindForced(cookie, { deadline: 20_000 }), "the rescind")).toMatchObject({
      slices: 0,
    });
    expect(await within(returned, "the return")).toBe(20_000);
  });
});

describe("quarantine", () => {
  test.each([-PAGE, 1, 65 * PAGE, Number.NaN])(
    "%s bytes: RangeError that names it and its bounds",
    (quarantine) => {
      expect(() => ResourceTable.create({ memory: 64 * PAGE, quarantine })).toThrow(/quarantine.*262144/);
    },
  );

  test("RS6, RS8: none allowed: access ends, the rescind waits for the view and says whose it was", async () => {
    const { server, client, adapter } = openPair({ quarantine: 0 });
    server.fill(0, PAGE, 7);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const { address } = client.accept(cookie);
    const view = client.view(address, PAGE);
    const rescinded = server.rescindForced(cookie);
    expect(await Promise.race([rescinded, sleep(30)])).toBeUndefined();
    expect(statusOf(() => client.load32(address))).toBe(H_RESCINDED);
    expect(server.read(0, 1)[0]).toBe(7);
    expect(client.usage()).toMatchObject({ quarantined: 0 });
    view.release();
    expect(await within(rescinded, "the rescind")).toMatchObject({ pagesMoved: 0, stuckOn: [client.lpid] });
  });

  test("RS6: as many as are allowed move, the rest when there is room again", async () => {
    const { server, client, adapter } = openPair({ quarantine: 2 * PAGE });
    const cookie = server.grant({ to: adapter, address: 0, length: 5 * PAGE });
    const { address } = client.accept(cookie);
    const views = [0, 1, 2, 3, 4].map((page) => client.view(address + page * PAGE, PAGE));
    const rescinded = server.rescindForced(cookie);
    await sleep(20);
    expect(client.usage()).toMatchObject({ quarantined: 2, pins: 5 });
    views[0]?.release();
    await sleep(20);
    expect(client.usage()).toMatchObject({ quarantined: 2, pins: 4 });
    for (const view of views) {
      view.release();
      await sleep(5);
      expect(client.usage().quarantined).toBeLessThanOrEqual(2);
    }
    expect(await within(rescinded, "the rescind")).toMatchObject({ stuckOn: [client.lpid] });
    expect(client.usage()).toMatchObject({ quarantined: 0, pins: 0 });
  });

  test("RS6, FA1: onStuck terminate ends the thread that has the view, and with it what held the rescind up", async () => {
    const { table, server, client, adapter } = openPair({
      quarantine: 0,
      clock: systemClock,
      gracePeriodMs: 0,
    });
    const { worker } = await table.spawn(client, REMOTE);
    const remote = new Remote(worker);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    await remote.run(({ partition, kept }, cookie) => {
      kept.view = partition.view(partition.accept(cookie as Cookie).address, 4096);
    }, cookie);
    const events = table.events();
    const report = await within(server.rescindForced(cookie, { onStuck: "terminate" }), "the rescind");
    expect(report).toMatchObject({ stuckOn: [client.lpid], pagesMoved: 0 });
    expect((await events.next()).value).toMatchObject({ type: "partition-failed", reason: /views held up/ });
    await table.recovered(client);
    expect(client.usage()).toMatchObject({ pins: 0, quarantined: 0 });
  });

  test("RS6: onStuck terminate waits for a table that is locked when the partition is to fail", async () => {
    const { table, server, client, adapter } = openPair({ quarantine: 0, gracePeriodMs: 0 });
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const view = client.view(client.accept(cookie).address, PAGE);
    const kernel = kernelOf(table);
    const { core } = kernel;
    let tries = 0;
    const failPartition: typeof core.failPartition = (lpid, orderly) =>
      ++tries < 3 ? H_LONG_BUSY_10_MSEC : core.failPartition(lpid, orderly);
    Object.assign(kernel, { core: { ...core, failPartition } });
    const rescinded = server.rescindForced(cookie, { onStuck: "terminate" });
    await expect.poll(() => tries).toBe(3);
    expect(await Promise.race([rescinded, sleep(1)])).toBeUndefined();
    expect(client.state).not.toBe("running");
    view.release();
    expect(await within(rescinded, "the rescind")).toMatchObject({ stuckOn: [client.lpid] });
  });

  test("onStuck terminate in a worker: LPAR_NOT_THE_OWNER, nothing is rescinded", async () => {
    const { table, server, client, adapter } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const { worker } = await table.spawn(server, REMOTE);
    const remote = new Remote(worker);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const refused = remote.run(
      ({ partition }: Inside, cookie) => partition.rescindForced(cookie as Cookie, { onStuck: "terminate" }),
      cookie,
    );
    await expect(refused).rejects.toMatchObject({ code: "LPAR_NOT_THE_OWNER" });
    expect(client.accept(cookie)).toMatchObject({ length: PAGE });
  });

  test("RS6: no frame free: it waits, and goes on when one is", async () => {
    const { table, server, client, adapter } = openPair({ memory: 20 * PAGE });
    expect(() => table.createPartition({ name: "none", memory: PAGE })).toThrow(HcallError);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const view = client.view(client.accept(cookie).address, PAGE);
    const rescinded = server.rescindForced(cookie);
    expect(await Promise.race([rescinded, sleep(30)])).toBeUndefined();
    view.release();
    expect(await within(rescinded, "the rescind")).toMatchObject({ stuckOn: [client.lpid] });
  });
});
