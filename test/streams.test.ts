/** Streams: signals that are aborted already, what is kept for who does not read, and that a closed table keeps nobody alive. */
import { execFile } from "node:child_process";
import { getEventListeners } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { Partition, TableEvent } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_CLOSED, H_LONG_BUSY_10_MSEC, H_NO_MEM, PARTITION_SIGNAL } from "../src/layout.js";
import { partitionWord } from "../src/records.js";
import { STREAM_KEPT, Stream } from "../src/stream.js";
import { sleep } from "./support/remote.js";
import { at, auditedAfterEach, openPair, openTable, PAGE, settle, statusOf } from "./support/world.js";

auditedAfterEach();

const gone = (): AbortSignal => AbortSignal.abort(new Error("gone"));

/** Takes what a stream has at once. */
async function taken<T>(stream: AsyncIterableIterator<T>, most = Number.POSITIVE_INFINITY): Promise<T[]> {
  const values: T[] = [];
  while (values.length < most) {
    const next = stream.next().then((result) => (result.done === true ? undefined : result.value));
    const value = await Promise.race([next, settle().then(() => undefined)]);
    if (value === undefined) break;
    values.push(value);
  }
  return values;
}

async function run(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    timeout: 20_000,
  });
  return stdout;
}

describe("a signal that is aborted already", () => {
  test("next() of every stream rejects with its reason, once", async () => {
    const { table, server, adapter } = openPair();
    const signal = gone();
    for (const stream of [
      server.events({ signal }),
      table.events({ signal }),
      server.messages(adapter, { signal }),
    ]) {
      await expect(stream.next()).rejects.toThrow("gone");
      expect(await stream.next()).toEqual({ done: true, value: undefined });
    }
  });

  test("G1: what waits in the ring stays there for who reads, and goes on to streams that are open", async () => {
    const { server, client, adapter } = openPair();
    server.events({ signal: gone() });
    client.accept(server.grant({ to: adapter, address: 0, length: PAGE })).return();
    server.events({ signal: gone() });
    expect(server.takeEvent()).toMatchObject({ type: "returned" });
    const open = server.events();
    server.events({ signal: gone() });
    client.accept(server.grant({ to: adapter, address: 0, length: PAGE })).return();
    expect((await open.next()).value).toMatchObject({ type: "returned" });
  });

  test("CQ5: messages() does not register a queue, whose end the partner would be told of", () => {
    const { server, client, adapter } = openPair();
    client.registerQueue(adapter, 0, PAGE);
    const before = server.usage();
    server.messages(adapter, { signal: gone() });
    expect(client.receive(adapter)).toBeUndefined();
    expect(server.usage()).toEqual(before);
  });

  test("CQ7: messages() leaves nothing that keeps the process or a thread alive", async () => {
    const worker = `
      import { currentPartition } from "./dist/src/worker.js";
      const partition = currentPartition();
      const messages = partition.messages(partition.adapters[0], { signal: AbortSignal.abort(new Error("gone")) });
      await messages.next().catch(() => {});
    `.replace("./dist", new URL("../dist", import.meta.url).href);
    const script = `
      import { ResourceTable } from "./dist/src/index.js";
      const table = ResourceTable.create({ memory: 16 * 4096, gracePeriodMs: 0 });
      const [server, client] = ["server", "client"].map((name) => table.createPartition({ name, memory: 4096 }));
      const adapter = table.connect(server, client);
      server.messages(adapter, { signal: AbortSignal.abort(new Error("gone")) });
      const { worker } = await table.spawn(client, new URL("data:text/javascript," + encodeURIComponent(${JSON.stringify(worker)})));
      await Promise.race([new Promise((r) => worker.once("exit", r)), new Promise((r) => setTimeout(r, 5000, r).unref())]);
      console.log("threadId", worker.threadId);
      await table.close();
    `;
    expect(await run(script)).toBe("threadId -1\n");
  }, 30_000);
});

test.each([{ signl: gone() }, { signal: 5 }] as object[])(
  "CQ7: messages() that refuses its options (%j) leaves no queue, nor a page of it",
  (options) => {
    const { server, client, adapter } = openPair();
    const before = server.usage();
    expect(() => server.messages(adapter, options)).toThrow();
    expect(server.usage()).toEqual(before);
    expect(statusOf(() => client.send(adapter, new Uint8Array(16).fill(0x80)))).toBe(H_CLOSED);
  },
);

test("CQ7: messages() without a page for its queue does not go on listening to its signal", () => {
  const { server, adapter } = openPair();
  server.grant({ to: adapter, address: 0, length: 16 * PAGE });
  const { signal } = new AbortController();
  expect(statusOf(() => server.messages(adapter, { signal }))).toBe(H_NO_MEM);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("a listener that is left keeps the process alive no longer than its table is open", async () => {
  const script = `
    import { ResourceTable } from "./dist/src/index.js";
    import { kernelOf } from "./dist/src/kernel.js";
    const table = ResourceTable.create({ memory: 16 * 4096 });
    const { lpid } = table.createPartition({ name: "one", memory: 4096 });
    kernelOf(table).share();
    kernelOf(table).listen(lpid, () => {});
    await table.close();
    console.log("closed");
  `;
  expect(await run(script)).toBe("closed\n");
}, 30_000);

describe("what a stream keeps", () => {
  test("after an abort next() rejects, and the stream is over: what was kept is not told behind the failure", async () => {
    const { table, server, client, adapter } = openPair();
    const controller = new AbortController();
    const own = server.events({ signal: controller.signal });
    const all = table.events({ signal: controller.signal });
    client.accept(server.grant({ to: adapter, address: 0, length: PAGE })).return();
    table.fail(client);
    controller.abort(new Error("stop"));
    for (const stream of [own, all]) {
      await expect(stream.next()).rejects.toThrow("stop");
      expect((await stream.next()).done).toBe(true);
      expect((await stream.next()).done).toBe(true);
    }
  });

  test("FA2: of a flood that nobody reads the rest is counted as events-lost; a partner's failure is told", async () => {
    const world = openPair();
    const { table, server, client, adapter } = world;
    const stream = server.events();
    const lost = 7;
    for (let left = STREAM_KEPT + lost; left > 0; left--)
      client.accept(server.grant({ to: adapter, address: 0, length: PAGE })).return();
    table.fail(client);
    await table.recovered(client);
    const seen = await taken(stream, STREAM_KEPT + 3);
    expect(seen.slice(STREAM_KEPT)).toMatchObject([
      { type: "partner-failed", partner: client.lpid },
      { type: "partner-recovered", partner: client.lpid },
      { type: "events-lost", partner: 0, count: lost },
    ]);
    // Where there is room again nothing is lost.
    table.restart(client);
    client.accept(server.grant({ to: table.connect(server, client), address: 0, length: PAGE })).return();
    expect(await taken(stream)).toMatchObject([{ type: "returned" }]);
  }, 30_000);

  test("an event without room in the ring signals nobody: who takes what fills it finds the count behind it", async () => {
    const { table, server, client, adapter } = openPair();
    const { memory } = kernelOf(table);
    const signals = (): number => partitionWord(memory, server.lpid, PARTITION_SIGNAL);
    const giveBack = (): void =>
      client.accept(server.grant({ to: adapter, address: 0, length: PAGE })).return();
    let kept = 0;
    for (let before = -1; before !== signals(); kept++) {
      before = signals();
      giveBack();
    }
    kept--; // the one that signalled nobody
    giveBack();
    // Half of the ring, which has 256 entries: the rest is for failures of partners.
    expect(kept).toBe(128);
    expect(signals()).toBe(kept);
    const stream = server.events();
    const seen = await taken(stream, kept + 1);
    expect(seen.slice(kept - 1)).toMatchObject([{ type: "returned" }, { type: "events-lost", count: 2 }]);
    const next = stream.next();
    giveBack();
    expect(await next).toMatchObject({ value: { type: "returned" } });
    await stream.return?.();
  });

  test("a table's stream that nobody reads keeps as many, and tells the loss", async () => {
    const { table } = openTable();
    const partition = table.createPartition({ name: "mayfly" });
    const stream = table.events();
    for (let life = 0; 3 * life < STREAM_KEPT + 8; life++) {
      table.fail(partition);
      table.restart(partition);
    }
    const seen = await taken(stream);
    expect(seen).toHaveLength(STREAM_KEPT + 1);
    const told = Math.ceil((STREAM_KEPT + 8) / 3) * 3;
    expect(at(seen, -1)).toMatchObject({ type: "events-lost", lpid: 0, count: told - STREAM_KEPT });
  }, 30_000);

  test("KI3: an interrupt that other streams have taken again and again is one event for who asks then", async () => {
    const { table, server, client, adapter } = openPair();
    table.assign(server, { type: "interrupt", address: 0, length: 2 });
    const cookie = server.grant({ to: adapter, type: "interrupt", address: 1, length: 1 });
    const [reader, other] = [client.events(), client.events()];
    const first = client.accept(cookie);
    for (let raise = 0; raise < 3; raise++) {
      table.raise(server, 1);
      await reader.next();
    }
    // What came of an older mapping is nobody's.
    first.return();
    const { address } = client.accept(cookie);
    for (let raise = 0; raise < 3; raise++) {
      if (raise === 0) client.raise(address);
      else table.raise(server, 1);
      await reader.next();
    }
    expect(await taken(other)).toMatchObject([{ type: "interrupt", address, partner: client.lpid }]);
  });
});

test("CQ2: who listens in the same thread is told at once that messages() has freed the partner's queue", async () => {
  const { server, client, adapter } = openPair();
  const [near, far] = [server.messages(adapter), client.messages(adapter)];
  const next = far.next();
  await settle();
  await near.return?.();
  expect(await Promise.race([next, settle()])).toMatchObject({ value: { header: 0xff, format: 2 } });
  await far.return?.();
});

describe("what a reader who leaves has not read", () => {
  test("a table's next stream begins with it, and with the count of what was lost; not where another stream has it", async () => {
    const { table } = openTable();
    const [one, two] = ["one", "two"].map((name) => table.createPartition({ name }));
    const first = table.events();
    for (const partition of [one, two]) table.fail(partition as Partition);
    for await (const { lpid } of first) {
      expect(lpid).toBe(1);
      break;
    }
    const types = async (stream: AsyncIterableIterator<TableEvent>): Promise<string[]> =>
      (await taken(stream)).map(({ type, lpid }) => `${type} ${lpid}`);
    const second = table.events();
    expect(await types(second)).toEqual([
      "partition-recovered 1",
      "partition-failed 2",
      "partition-recovered 2",
    ]);
    const other = table.events();
    table.restart(one as Partition);
    await second.return?.();
    const third = table.events();
    expect(await types(third)).toEqual([]);
    expect(await types(other)).toEqual(["partition-restarted 1"]);
  });

  test("a table's stream whose signal aborts leaves it, too", async () => {
    const { table } = openTable();
    const controller = new AbortController();
    const stream = table.events({ signal: controller.signal });
    const one = table.createPartition({ name: "one" });
    for (let life = 0; 3 * life < STREAM_KEPT + 8; life++) {
      table.fail(one);
      table.restart(one);
    }
    controller.abort(new Error("stop"));
    await expect(stream.next()).rejects.toThrow("stop");
    const seen = await taken(table.events());
    expect(seen).toHaveLength(STREAM_KEPT + 1);
    expect(seen.at(-1)?.type).toBe("events-lost");
  }, 30_000);

  test("G1: a partition's next stream begins with it, or takeEvent() and waitEvent() get it, in order", async () => {
    const { server, client, adapter } = openPair();
    const cookies = Array.from({ length: 5 }, () => server.grant({ to: adapter, address: 0, length: PAGE }));
    const open = server.events();
    for (const cookie of cookies) client.accept(cookie).return();
    for await (const { cookie } of open) {
      expect(cookie).toBe(cookies[0]);
      break;
    }
    const last = server.grant({ to: adapter, address: 0, length: PAGE });
    client.accept(last).return();
    expect(server.takeEvent()).toMatchObject({ type: "returned", cookie: cookies[1] });
    expect(server.waitEvent(0)).toMatchObject({ cookie: cookies[2] });
    expect((await taken(server.events(), 3)).map(({ cookie }) => cookie)).toEqual([
      ...cookies.slice(3),
      last,
    ]);
  });

  test("G4: but no later incarnation", async () => {
    const { table, server, client, adapter } = openPair({ gracePeriodMs: 0 });
    const open = server.events();
    for (let count = 0; count < 2; count++)
      client.accept(server.grant({ to: adapter, address: 0, length: PAGE })).return();
    await open.return?.();
    table.fail(server);
    await table.recovered(server);
    expect(server.takeEvent()).toBeUndefined();
    table.restart(server);
    expect(server.takeEvent()).toBeUndefined();
    expect(await taken(server.events())).toEqual([]);
  });
});

test("who was told that an event cannot be got is not given the next one", async () => {
  let failures = 1;
  const stream = new Stream<number>(
    {},
    {
      closed: () => {},
      pull: () => {
        if (failures-- > 0) throw new RangeError("no stack is left");
        return undefined;
      },
    },
  );
  await expect(stream.next()).rejects.toThrow("no stack is left");
  stream.push(1);
  expect(await stream.next()).toEqual({ done: false, value: 1 });
});

test("G4: the page of a queue that could not be given back at once is not taken from a later incarnation", async () => {
  const { table, server, client, adapter } = openPair({ gracePeriodMs: 0 });
  const kernel = kernelOf(server);
  const { core } = kernel;
  let isLocked = true;
  Object.assign(kernel, {
    core: {
      ...core,
      deallocate: (lpid: number, page: number) =>
        isLocked ? H_LONG_BUSY_10_MSEC : core.deallocate(lpid, page),
    },
  });
  const messages = server.messages(adapter);
  await messages.return?.();
  expect(server.usage().allocated).toBe(PAGE);
  table.fail(server);
  await table.recovered(server);
  table.restart(server);
  for (let page = 0; page < 16; page++) server.allocate(PAGE);
  isLocked = false;
  await sleep(20);
  expect(server.usage().allocated).toBe(16 * PAGE);
  expect(client.state).toBe("running");
});

test("CQ2: the page of messages() is given back also where its queue was freed by hand", async () => {
  const { server, adapter } = openPair();
  const messages = server.messages(adapter);
  const next = messages.next();
  server.freeQueue(adapter);
  expect(await next).toEqual({ done: true, value: undefined });
  expect(server.usage().allocated).toBe(0);
});

test("G1: messages() that refuses its options has registered no queue", () => {
  const { server, client, adapter } = openPair();
  client.registerQueue(adapter, 0, PAGE);
  const before = server.usage();
  for (const none of [{ singal: gone() }, { signal: null }, null])
    expect(() => server.messages(adapter, none as never)).toThrow(/option|signal is null/);
  expect(server.usage()).toEqual(before);
  expect(client.receive(adapter)).toBeUndefined();
});

test("FA1: messages() that nobody reads end with the partition, and keep nobody alive", async () => {
  const told = await run(`
    import { ResourceTable } from "./dist/src/index.js";
    const table = ResourceTable.create({ memory: 1048576, gracePeriodMs: 0 });
    const [one, two] = ["one", "two"].map((name) => table.createPartition({ name, memory: 4096 }));
    await table.spawn(two, new URL("data:text/javascript,setInterval(() => {}, 1000)"));
    one.messages(table.connect(one, two));
    await table.destroyPartition(one);
    await table.destroyPartition(two);
    console.log("ended");
  `);
  expect(told).toBe("ended\n");
});
