/** Partitions in real worker threads: the same class and the same rules there, sharing, waiting, attach(). */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import * as raw from "../src/hcall.js";
import { H_PARAMETER, hcalls } from "../src/hcall.js";
import {
  type Cookie,
  HcallError,
  LparError,
  type Partition,
  type PartitionWorker,
  systemClock,
  type VirtualAdapter,
} from "../src/index.js";
import { currentPartition } from "../src/worker.js";
import { ECHO, REMOTE, Remote, sleep, within } from "./support/remote.js";
import { patiently } from "./support/turns.js";
import {
  auditedAfterEach,
  bytesOf,
  openPair,
  openTable,
  PAGE,
  type Pair,
  type PairOptions,
} from "./support/world.js";

auditedAfterEach();

const MESSAGE = 0x80;

interface Threaded extends Pair {
  readonly handle: PartitionWorker;
  readonly remote: Remote;
}

/** A server in this thread, and a client that is a worker. */
async function spawnPair(options: PairOptions = {}): Promise<Threaded> {
  const pair = openPair({ clock: systemClock, gracePeriodMs: 50, ...options });
  const handle = await pair.table.spawn(pair.client, REMOTE);
  return { ...pair, handle, remote: new Remote(handle.worker) };
}

function entry(format: number, value: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[0] = MESSAGE;
  bytes[1] = format;
  new DataView(bytes.buffer).setUint32(4, value, true);
  return bytes;
}

function numberIn(payload: Uint8Array): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(2, true);
}

describe("spawn", { timeout: 30_000 }, () => {
  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 7],
    ["a text", "text"],
    ["an object", { list: [1, 2n, new Map([["key", new Date(5)]])], bytes: new Uint8Array(3) }],
  ])("workerData passes through unchanged: %s", async (_, workerData) => {
    const { table, client } = openPair({ clock: systemClock });
    const options = workerData === undefined ? {} : { workerData };
    const { worker } = await table.spawn(client, REMOTE, options);
    expect(await new Remote(worker).run(({ workerData }) => workerData)).toEqual(workerData);
  });

  test("workerData passes through unchanged: memory that both threads see", async () => {
    const { table, client } = openPair({ clock: systemClock });
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const { worker } = await table.spawn(client, REMOTE, { workerData: shared });
    await new Remote(worker).run(({ workerData }) => Atomics.store(workerData as Int32Array, 0, 42));
    expect(shared[0]).toBe(42);
  });

  test("currentPartition() is a Partition of the same class, with the same names and numbers", async () => {
    const { client, remote, handle } = await spawnPair();
    expect(handle.partition).toBe(client);
    const seen = await remote.run(({ partition, currentPartition, lpar }) => ({
      isSame: currentPartition() === partition,
      isPartition: partition instanceof lpar.Partition,
      members: Object.getOwnPropertyNames(Object.getPrototypeOf(partition)).sort(),
      name: partition.name,
      lpid: partition.lpid,
      incarnation: partition.incarnation,
      state: partition.state,
      usage: partition.usage(),
    }));
    expect(seen).toEqual({
      isSame: true,
      isPartition: true,
      members: Object.getOwnPropertyNames(Object.getPrototypeOf(client)).sort(),
      name: "client",
      lpid: client.lpid,
      incarnation: client.incarnation,
      state: "running",
      usage: client.usage(),
    });
  });

  test("currentPartition() throws LPAR_NOT_A_WORKER in a thread that is none", () => {
    expect(() => currentPartition()).toThrow(expect.objectContaining({ code: "LPAR_NOT_A_WORKER" }));
  });

  test("the worker knows its adapters, and by name whom they join it with", async () => {
    const { remote, adapter, server, client } = await spawnPair();
    const adapters = await remote.run(({ partition }) =>
      partition.adapters.map(({ unitAddress, owner, partner, peer }) => ({
        unitAddress,
        owner: owner.name,
        partner: [partner.name, partner.lpid, partner.state],
        peer: peer.unitAddress,
      })),
    );
    const [own] = client.adapters;
    expect(own?.unitAddress).toBe(adapter.peer.unitAddress);
    expect(adapters).toEqual([
      {
        unitAddress: adapter.peer.unitAddress,
        owner: "client",
        partner: ["server", server.lpid, "running"],
        peer: adapter.unitAddress,
      },
    ]);
  });

  test("a partition that is a thread already: LPAR_HAS_THREAD, and the first one goes on", async () => {
    const { table, client, remote } = await spawnPair();
    const controller = new AbortController();
    const { signal } = controller;
    await expect(table.spawn(client, REMOTE, { signal })).rejects.toMatchObject({ code: "LPAR_HAS_THREAD" });
    // The signal of the second one has nothing to end.
    controller.abort();
    await sleep(20);
    expect(await remote.run(({ partition }) => partition.state)).toBe("running");
  });

  test("two spawns at once: exactly one thread", async () => {
    const { table, client } = openPair({ clock: systemClock });
    const both = await Promise.allSettled([table.spawn(client, REMOTE), table.spawn(client, REMOTE)]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("a partition that does not run: H_PARAMETER", async () => {
    const { table, client } = openPair({ clock: systemClock });
    table.fail(client);
    await expect(table.spawn(client, REMOTE)).rejects.toMatchObject({ code: "H_PARAMETER" });
    await table.recovered(client);
    await expect(table.spawn(client, REMOTE)).rejects.toMatchObject({ code: "H_PARAMETER" });
    table.restart(client);
    const { worker } = await table.spawn(client, REMOTE);
    expect(await new Remote(worker).run(({ partition }) => partition.incarnation)).toBe(2);
  });

  test("a partition of another table: LPAR_NOT_FOUND", async () => {
    const { client } = openPair({ clock: systemClock });
    const { table } = openTable();
    await expect(table.spawn(client, REMOTE)).rejects.toMatchObject({ code: "LPAR_NOT_FOUND" });
  });

  test("more threads than the table has room for: H_NO_MEM, and after one has ended there is room", async () => {
    const { table, server, client } = openPair({ clock: systemClock, threads: 1, gracePeriodMs: 0 });
    const first = await table.spawn(client, REMOTE);
    await expect(table.spawn(server, REMOTE)).rejects.toMatchObject({ code: "H_NO_MEM" });
    await first.terminate();
    await table.spawn(server, REMOTE);
  });

  test.each([
    ["restart.max", { max: -1 }, "restart.max is -1; it must be an integer from 0 to 2147483647"],
    ["restart.max", { max: 0.5 }, "restart.max is 0.5; it must be an integer from 0 to 2147483647"],
    ["restart.backoffMs", { max: 1, backoffMs: Number.NaN }, "restart.backoffMs is NaN; it must be"],
    ["restart", "sometimes", 'restart is "sometimes"; it must be "never", "always" or { max, backoffMs }'],
    ["restart", null, 'restart is "null"; it must be'],
  ])("an option out of range is named with its bounds: %s", async (_, restart, message) => {
    const { table, client } = openPair({ clock: systemClock });
    const spawned = table.spawn(client, REMOTE, { restart: restart as never });
    await expect(spawned).rejects.toThrow(RangeError);
    await expect(table.spawn(client, REMOTE, { restart: restart as never })).rejects.toThrow(message);
    expect(client.state).toBe("running");
  });
});

describe("the same rules in the worker", { timeout: 30_000 }, () => {
  test("G2, TR1, GR2, AC2, RE4, RS1: refusals are the same errors as in the owner's thread", async () => {
    const { server, client, remote } = await spawnPair();
    const attempts = (partition: Partition): unknown[] => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      const calls: (() => unknown)[] = [
        () => partition.accept(1 as Cookie),
        () => partition.accept(Number.NaN as Cookie),
        () => partition.return((2 ** 52) as Cookie),
        () => partition.rescind(7 as Cookie),
        () => partition.grant({ to: adapter, address: 1, length: 4096 }),
        () => partition.grant({ to: adapter, address: 0, length: 0 }),
        () => partition.grant({ to: 99, address: 0, length: 4096 }),
        () => partition.grant({ to: partition, address: 0, length: 4096 }),
        () => partition.read(2 ** 40, 1),
        () => partition.read(-1, 1),
        () => partition.load32(2),
        () => partition.translate(4096 * 1000),
        () => partition.allocate(2 ** 50),
        () => partition.free(12),
        () => partition.send(adapter, Uint8Array.of(0xff, ...new Uint8Array(15))),
        () => partition.send(adapter, Uint8Array.of(0x80, ...new Uint8Array(15))),
        () => partition.view(4096 * 1000, 1),
      ];
      return calls.map((call) => {
        try {
          return call();
        } catch (error) {
          const { name, code, hcall } = error as HcallError;
          return [name, code, hcall];
        }
      });
    };
    const inWorker = await remote.run(
      new Function("inside", `return (${attempts})(inside.partition)`) as never,
    );
    expect(inWorker).toEqual(attempts(client));
    expect(inWorker).toEqual(attempts(server));
  });

  test("own memory: allocate, write, read, words, fill, copy, batch", async () => {
    const { client, remote } = await spawnPair();
    const seen = await remote.run(({ partition }) => {
      const address = partition.allocate(2 * 4096);
      partition.write(
        address,
        Uint8Array.from({ length: 6000 }, (_, i) => i & 0xff),
      );
      partition.copy(address, partition, address + 6000, 100);
      partition.fill(address + 7000, 10, 9);
      const before = [partition.add32(address + 8000, 5), partition.compareExchange32(address + 8000, 5, 6)];
      const batch = partition.createBatch(2);
      batch.addresses.set([address, 2 ** 40]);
      const done = batch.run(2);
      return { address, before, word: partition.load32(address + 8000), done, status: [...batch.status] };
    });
    expect(seen).toMatchObject({ before: [0, 5], word: 6, done: 1, status: [0, -4] });
    expect(client.read(seen.address, 256)).toEqual(bytesOf(256, 0));
    expect(client.read(seen.address + 6000, 100)).toEqual(bytesOf(100, 0));
    expect(client.read(seen.address + 7000, 11)).toEqual(Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0));
  });

  test("lpar/hcall: hcalls(currentPartition()) makes the raw calls in the worker, and wakes whom they concern", async () => {
    const { table, server, client, adapter, remote } = await spawnPair();
    const events = server.events();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const statuses = await remote.run(({ partition, hcall }, cookie) => {
      const calls = hcall.hcalls(partition);
      const accepted = calls.acceptLogical(partition.lpid, cookie as number);
      const address = calls.r4;
      return [accepted, address, calls.returnLogical(partition.lpid, cookie as number)];
    }, cookie);
    expect(statuses).toEqual([0, expect.any(Number), 0]);
    expect((await within(events.next(), "the event")).value).toMatchObject({ type: "returned" });
    server.rescind(cookie);
    expect(() => hcalls({} as never)).toThrow(TypeError);
    expect(hcalls(table).acceptLogical(client.lpid, cookie)).toBe(H_PARAMETER);
  });

  test("lpar/hcall: every status that a raw call answers has its name there, with the number of the contract", () => {
    const statuses = Object.entries(raw).filter(([name]) => name.startsWith("H_"));
    expect(Object.fromEntries(statuses)).toEqual({
      H_SUCCESS: 0,
      H_BUSY: 1,
      H_CLOSED: 2,
      H_PARTIAL: 5,
      H_LONG_BUSY_10_MSEC: 9901,
      H_FUNCTION: -2,
      H_PARAMETER: -4,
      H_NOT_FOUND: -7,
      H_NO_MEM: -9,
      H_PERMISSION: -11,
      H_DROPPED: -12,
      H_RESOURCE: -16,
      H_RESCINDED: -46,
    });
  });

  test("the owner grants, the worker accepts, both read what the other writes, the worker returns", async () => {
    const { server, remote, adapter } = await spawnPair();
    const cookie = server.grant({ to: adapter, address: PAGE, length: 2 * PAGE });
    server.write(PAGE + 100, bytesOf(300, 1));
    const seen = await remote.run(({ partition, kept }, cookie) => {
      const mapping = partition.accept(cookie as Cookie);
      kept.mapping = mapping;
      partition.write(mapping.address + 5000, Uint8Array.of(4, 5, 6));
      return { bytes: partition.read(mapping.address + 100, 300), length: mapping.length };
    }, cookie);
    expect(seen).toEqual({ bytes: bytesOf(300, 1), length: 2 * PAGE });
    expect(server.read(PAGE + 5000, 3)).toEqual(Uint8Array.of(4, 5, 6));
    expect(() => server.rescind(cookie)).toThrow(expect.objectContaining({ code: "H_RESOURCE" }));
    await remote.run(({ kept }) => kept.mapping?.return());
    server.rescind(cookie);
  });

  test("the worker grants read only, the owner accepts, GR5 and AC6 hold, the worker rescinds", async () => {
    const { server, client, remote, back } = await spawnPair();
    const [address, cookie] = await remote.run(({ partition, kept }, unit) => {
      const address = partition.allocate(4096);
      partition.store32(address, 123);
      kept.cookie = partition.grant({
        to: unit as number,
        address,
        length: 4096,
        write: false,
        regrant: false,
      });
      return [address, kept.cookie] as const;
    }, back);
    const mapping = server.accept(cookie);
    expect(mapping).toMatchObject({ readable: true, writable: false, regrantable: false, length: PAGE });
    expect(server.load32(mapping.address)).toBe(123);
    expect(() => server.store32(mapping.address, 1)).toThrow(
      expect.objectContaining({ code: "H_PERMISSION" }),
    );
    await remote.run(({ partition }, address) => partition.store32(address as number, 321), address);
    expect(server.load32(mapping.address)).toBe(321);
    const refused = remote.run(({ partition, kept }) => partition.rescind(kept.cookie as Cookie));
    await expect(refused).rejects.toMatchObject({ code: "H_RESOURCE", name: "HcallError" });
    const report = await remote.run(({ partition, kept }) => partition.rescindForced(kept.cookie as Cookie));
    expect(report).toMatchObject({ nodes: 1, pagesMoved: 0 });
    expect(() => server.load32(mapping.address)).toThrow(expect.objectContaining({ code: "H_RESCINDED" }));
    mapping.return();
    expect(client.usage()).toMatchObject({ grantsOut: 0 });
  });

  test("RS6: a view in the worker is moved away from by a forced rescind of the owner", async () => {
    const { server, remote, adapter, client } = await spawnPair();
    server.fill(0, PAGE, 7);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    await remote.run(({ partition, kept }, cookie) => {
      kept.mapping = partition.accept(cookie as Cookie);
      kept.view = partition.view(kept.mapping.address, 4096);
    }, cookie);
    expect(await server.rescindForced(cookie)).toMatchObject({ nodes: 1, pagesMoved: 1 });
    expect(client.usage()).toMatchObject({ pins: 1, quarantined: 1 });
    server.fill(0, PAGE, 8);
    const seen = await remote.run(({ kept }) => {
      const { bytes } = kept.view as unknown as { bytes: Uint8Array };
      bytes[1] = 99;
      return bytes[0];
    });
    expect(seen).toBe(7);
    expect(server.read(0, 2)).toEqual(Uint8Array.of(8, 8));
    await remote.run(({ kept }) => kept.view?.release());
    expect(client.usage()).toMatchObject({ pins: 0, quarantined: 0 });
  });

  test("RS6: a view that keeps its access follows a page that another thread moved", async () => {
    const { table, server, client, remote, adapter } = await spawnPair({ memory: 128 * PAGE });
    const third = table.createPartition({ name: "third", memory: PAGE });
    const toThird = table.connect(server, third);
    const cookies = [adapter, toThird].map((to) => server.grant({ to, address: 0, length: PAGE }));
    await remote.run(({ partition, kept }, cookie) => {
      kept.mapping = partition.accept(cookie as Cookie);
      kept.view = partition.view(kept.mapping.address, 4096);
    }, cookies[0]);
    using view = third.view(third.accept(cookies[1] as Cookie).address, PAGE);
    expect(view.bytes.length).toBe(PAGE);
    // The worker does not wait for anything, so that nothing tells it but its own next look.
    expect(await server.rescindForced(cookies[1] as Cookie)).toMatchObject({ pagesMoved: 1 });
    await remote.run(({ kept }) => kept.view?.bytes.fill(5));
    expect(server.read(0, 3)).toEqual(Uint8Array.of(5, 5, 5));
    expect(client.usage()).toMatchObject({ pins: 1, quarantined: 0 });
  });

  test("CQ1: adapters misses none that stands while others come and go", async () => {
    const { table, client, server, remote } = await spawnPair();
    const others = [0, 1, 2].map((index) => table.createPartition({ name: `other ${index}`, memory: PAGE }));
    await remote.run(() => {});
    let isOver = false;
    const polling = remote
      .run(({ partition }, lpid) => {
        let missed = 0;
        let polls = 0;
        for (const end = performance.now() + 1500; performance.now() < end; polls++) {
          if (!partition.adapters.some(({ partner }) => partner.lpid === lpid)) missed++;
        }
        return { missed, isBusy: polls > 1000 };
      }, server.lpid)
      .finally(() => {
        isOver = true;
      });
    let rounds = 0;
    for (; !isOver; rounds++) {
      for (const other of others) table.connect(other, client);
      for (const other of others) {
        table.fail(other);
        await table.recovered(other);
        table.restart(other);
      }
      if (rounds % 64 === 0) await sleep(0);
    }
    expect(await polling).toEqual({ missed: 0, isBusy: true });
    expect(rounds).toBeGreaterThan(100);
  });
});

describe("messages and events between threads", { timeout: 60_000 }, () => {
  test("CQ7: 5,000 messages to and fro, each waited for: no wake-up is lost", async () => {
    const { table, server, client, adapter } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    await table.spawn(client, ECHO);
    const answers = server.messages(adapter);
    await untilRegistered(server, adapter);
    for (let i = 0; i < 5000; i++) {
      await patiently(() => server.send(adapter, entry(1, i)));
      const { value } = await within(answers.next(), `answer ${i}`);
      expect(numberIn(value.payload)).toBe(i);
    }
  });

  test("CQ3: 20,000 messages as fast as the ring takes them: none lost, none twice, in order", async () => {
    const { server, remote, adapter } = await spawnPair();
    const messages = server.messages(adapter);
    remote.send(async ({ partition, lpar }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      const entry = new Uint8Array(16);
      entry[0] = 0x80;
      for (let i = 0; i < 20_000; ) {
        new DataView(entry.buffer).setUint32(4, i, true);
        try {
          partition.send(adapter, entry);
          i++;
        } catch (error) {
          if (!(error instanceof lpar.HcallError) || error.code !== "H_DROPPED") throw error;
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    });
    for (let i = 0; i < 20_000; i++) {
      const { value } = await within(messages.next(), `message ${i}`);
      expect(numberIn(value.payload)).toBe(i);
    }
  });

  test("CQ6: who polls the ring never sees an entry that is valid but not whole", async () => {
    const { server, remote, adapter } = await spawnPair();
    server.registerQueue(adapter, 0, PAGE);
    remote.send(({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      for (let i = 0; i < 256; i++) {
        partition.send(adapter, new Uint8Array(16).fill(0x80 | (i & 0x3f)));
        const until = performance.now() + 0.2;
        while (performance.now() < until) {}
      }
    });
    const found = new Uint8Array(16);
    for (let i = 0; i < 256; i++) {
      const header = 0x80 | (i & 0x3f);
      const until = performance.now() + 10_000;
      do server.readInto(16 * i, found);
      while (found[0] === 0 && performance.now() < until);
      expect(found).toEqual(new Uint8Array(16).fill(header));
    }
  });

  test("two workers share directly: cookie by message, data through the page, the owner takes no part", async () => {
    const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const [a, b] = await Promise.all(
      [server, client].map(async (partition) => {
        const { worker } = await table.spawn(partition, REMOTE);
        return new Remote(worker);
      }),
    );
    const receiving = b?.run(async ({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      let sum = 0;
      for await (const { header, payload } of partition.messages(adapter)) {
        if (header !== 0x80) continue;
        const cookie = new DataView(payload.buffer, payload.byteOffset).getFloat64(6, true);
        if (cookie === 0) break;
        const mapping = partition.accept(cookie as Cookie);
        for (const byte of partition.read(mapping.address, 4096)) sum += byte;
        partition.fill(mapping.address, 1, 0xaa);
        mapping.return();
        partition.send(adapter, Uint8Array.of(0x80, ...new Uint8Array(15)));
      }
      return sum;
    });
    const sending = a?.run(async ({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      const address = partition.allocate(4096);
      const entry = new Uint8Array(16);
      entry[0] = 0x80;
      const answers = partition.messages(adapter);
      const send = async (cookie: number): Promise<void> => {
        new DataView(entry.buffer).setFloat64(8, cookie, true);
        while (true) {
          try {
            return partition.send(adapter, entry);
          } catch (error) {
            // The other side has not registered its queue yet.
            if ((error as { code: string }).code !== "H_CLOSED") throw error;
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
        }
      };
      for (let round = 0; round < 500; round++) {
        partition.fill(address, 4096, 1);
        const cookie = partition.grant({ to: adapter, address, length: 4096 });
        await send(cookie);
        await answers.next();
        if (partition.read(address, 1)[0] !== 0xaa) throw new Error(`round ${round}: not written`);
        partition.rescind(cookie);
      }
      await send(0);
    });
    await within(Promise.all([sending, receiving]), "500 rounds", 30_000);
    expect(await receiving).toBe(500 * 4096);
  });

  test("events reach the worker while it waits, and the owner while the worker works", async () => {
    const { server, remote, adapter, client } = await spawnPair();
    const waiting = remote.run(async ({ partition }) => {
      const types: string[] = [];
      for await (const { type, partner, cookie } of partition.events()) {
        types.push(`${type} ${partner} ${cookie !== undefined}`);
        if (types.length === 3) break;
      }
      return types;
    });
    const ownerWaits = (async () => {
      for await (const event of server.events()) return event;
      return undefined;
    })();
    for (let round = 0; round < 3; round++) {
      const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
      await remote.run(({ partition, kept }, cookie) => {
        kept.mapping = partition.accept(cookie as Cookie);
      }, cookie);
      await server.rescindForced(cookie);
      await remote.run(({ kept }) => kept.mapping?.return());
    }
    const expected = `rescinded ${server.lpid} true`;
    expect(await within(waiting, "three events")).toEqual([expected, expected, expected]);
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    await remote.run(({ partition }, cookie) => {
      partition.accept(cookie as Cookie).return();
      const until = performance.now() + 100;
      while (performance.now() < until) partition.free(partition.allocate(4096));
    }, cookie);
    expect(await within(ownerWaits, "returned")).toMatchObject({
      type: "returned",
      cookie,
      partner: client.lpid,
    });
  });

  test("a worker that ends one wait and begins another stays alive for it", async () => {
    const { server, adapter, remote, handle } = await spawnPair();
    const exited = new Promise((resolve) => handle.worker.once("exit", resolve));
    const second = remote.run(async ({ partition, parentPort }) => {
      const controller = new AbortController();
      const first = partition.events({ signal: controller.signal }).next();
      controller.abort();
      await first.catch(() => {});
      // Nothing but the wait keeps this thread alive: the port of its commands does not.
      parentPort.unref();
      const [adapter] = partition.adapters as [VirtualAdapter];
      for await (const { header, format } of partition.messages(adapter)) if (header === 0x80) return format;
      return -1;
    });
    await untilRegistered(server, adapter);
    await sleep(50);
    server.send(adapter, entry(9, 0));
    expect(await within(Promise.race([second, exited]), "second wait")).toBe(9);
  });

  test("a wait ends with the reason of its signal, in the worker as here", async () => {
    const { remote, server, adapter } = await spawnPair();
    const seen = await remote.run(async ({ partition }) => {
      const signal = AbortSignal.timeout(5);
      const [adapter] = partition.adapters as [VirtualAdapter];
      const waits = [partition.events({ signal }).next(), partition.messages(adapter, { signal }).next()];
      return (await Promise.allSettled(waits)).map((result) => "reason" in result && result.reason.name);
    });
    expect(seen).toEqual(["TimeoutError", "TimeoutError"]);
    await expect(server.messages(adapter, { signal: AbortSignal.timeout(1) }).next()).rejects.toThrow(
      /timeout/,
    );
  });
});

describe("attach", { timeout: 30_000 }, () => {
  test("a worker that has imported lpar/worker already and waits", async () => {
    const { table, server, client, adapter } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const worker = new Worker(ECHO);
    await new Promise((resolve) => worker.once("online", resolve));
    await sleep(100);
    table.attach(client, worker);
    await echoOnce(server, adapter);
  });

  test("a worker that imports lpar/worker only later", async () => {
    const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const worker = new Worker(REMOTE, { workerData: "of the pool" });
    table.attach(client, worker);
    await sleep(100);
    const remote = new Remote(worker);
    const seen = await remote.run(({ partition, workerData }) => [
      partition.name,
      partition.adapters.length,
      workerData,
    ]);
    expect(seen).toEqual(["client", 1, "of the pool"]);
    const exited = new Promise((resolve) => worker.once("exit", resolve));
    await worker.terminate();
    await exited;
    await within(table.recovered(client), "recovered");
    expect(client.state).toBe("stopped");
    expect(server.state).toBe("running");
  });

  test("a thread of a pool that is never attached: LPAR_NOT_A_WORKER after five seconds", async () => {
    const remote = new Remote(new Worker(REMOTE));
    await expect(remote.run(() => 1)).rejects.toMatchObject({ code: "LPAR_NOT_A_WORKER" });
    await remote.worker.terminate();
  });

  test("refusals: the partition or the worker is taken, the worker has exited", async () => {
    const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const worker = new Worker(REMOTE);
    table.attach(client, worker);
    expect(() => table.attach(client, worker)).toThrow(expect.objectContaining({ code: "LPAR_HAS_THREAD" }));
    expect(() => table.attach(server, worker)).toThrow(
      expect.objectContaining({ code: "LPAR_HAS_PARTITION" }),
    );
    await expect(table.spawn(client, REMOTE)).rejects.toThrow(LparError);
    await worker.terminate();
    await table.recovered(client);
    expect(() => table.attach(server, worker)).toThrow(
      expect.objectContaining({ code: "LPAR_THREAD_ENDED" }),
    );
    expect(server.state).toBe("running");
  });
});

async function echoOnce(server: Partition, adapter: VirtualAdapter): Promise<void> {
  const answers = server.messages(adapter);
  await untilRegistered(server, adapter);
  await patiently(() => server.send(adapter, entry(3, 77)));
  const { value } = await within(answers.next(), "echo");
  expect(numberIn(value.payload)).toBe(77);
}

/** Until the partner has a queue: a message is sent to a closed one until it is taken, and not answered. */
async function untilRegistered(partition: Partition, adapter: VirtualAdapter): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    try {
      // An initialisation is no message: an echo does not send it back.
      const initialisation = Uint8Array.of(0xc0, 1, ...new Uint8Array(14));
      return await patiently(() => partition.send(adapter, initialisation));
    } catch (error) {
      if (!(error instanceof HcallError) || error.code !== "H_CLOSED") throw error;
      await sleep(5);
    }
  }
  throw new Error("the partner has registered no queue");
}

test.each(["module", "commonjs"])(
  "spawn() works in a program that is given as an argument, with --input-type=%s",
  async (kind) => {
    const lpar = new URL("../dist/src/index.js", import.meta.url);
    const program = `import("${lpar}").then(async ({ ResourceTable }) => {
    const table = ResourceTable.create({ memory: 1048576 });
    const partition = table.createPartition({ name: "one" });
    const { worker } = await table.spawn(partition, new URL("${REMOTE}"));
    worker.on("message", async ({ value }) => {
      console.log(value);
      await table.close();
    });
    worker.postMessage({ id: 1, source: "({ partition, workerData }) => [partition.name, workerData]" });
  });`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      `--input-type=${kind}`,
      "--eval",
      program,
    ]);
    expect(stdout).toBe("[ 'one', undefined ]\n");
  },
);
