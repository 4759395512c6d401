/** KI2: device models behind MMIO windows, in this thread and in others. */
import { describe, expect, test } from "vitest";
import { H_SUCCESS } from "../src/hcall.js";
import { type Cookie, type DeviceModel, HcallError, type Partition, systemClock } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import {
  H_HARDWARE,
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  TYPE_MMIO,
} from "../src/layout.js";
import { REMOTE, Remote, sleep, within } from "./support/remote.js";
import {
  accepted,
  auditedAfterEach,
  granted,
  HOSTILE,
  join,
  openPair,
  openRow,
  openTable,
  PAGE,
  type Pair,
  type PairOptions,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

/** Registers that keep what was written, and remember who asked for what. */
class Registers implements DeviceModel {
  readonly seen: string[] = [];
  readonly values = new Map<number, number>();

  read(offset: number, size: number): number {
    this.seen.push(`r${size} ${offset}`);
    return this.values.get(offset) ?? 0;
  }

  write(offset: number, size: number, value: number): void {
    this.seen.push(`w${size} ${offset} ${value}`);
    this.values.set(offset, value);
  }
}

const WINDOW = 16 * PAGE;

/** A pair whose server owns a window of four pages. */
function openWindow(options: PairOptions = {}): Pair {
  const pair = openPair(options);
  pair.table.assign(pair.server, { type: "mmio", address: WINDOW, length: 4 * PAGE, physical: 100 * PAGE });
  return pair;
}

function grantWindow({ server, adapter }: Pair, options: object = {}): Cookie {
  return server.grant({ to: adapter, type: "mmio", address: WINDOW, length: 4 * PAGE, ...options });
}

function shareWindow(pair: Pair, options: object = {}): number {
  return pair.client.accept(grantWindow(pair, options)).address;
}

function errorOf(call: () => unknown): HcallError {
  try {
    call();
  } catch (error) {
    if (error instanceof HcallError) return error;
    throw error;
  }
  throw new Error("no error");
}

describe("in one thread", () => {
  test("KI2: loads and stores of every size reach the model, with the offset in the window", () => {
    const { server } = openWindow();
    const model = new Registers();
    server.mmio.serve(WINDOW, model);
    server.mmio.store8(WINDOW + 3, 255);
    server.mmio.store16(WINDOW + PAGE + 2, 65535);
    server.mmio.store32(WINDOW + 4 * PAGE - 4, 0xfffffffe);
    server.mmio.store32(WINDOW + 8, -1);
    expect(server.mmio.load8(WINDOW + 3)).toBe(255);
    expect(server.mmio.load16(WINDOW + PAGE + 2)).toBe(65535);
    expect(server.mmio.load32(WINDOW + 4 * PAGE - 4)).toBe(0xfffffffe);
    expect(server.mmio.load32(WINDOW + 8)).toBe(0xffffffff);
    const end = 4 * PAGE - 4;
    const written = ["w1 3 255", `w2 ${PAGE + 2} 65535`, `w4 ${end} 4294967294`, "w4 8 4294967295"];
    expect(model.seen).toEqual([...written, "r1 3", `r2 ${PAGE + 2}`, `r4 ${end}`, "r4 8"]);
  });

  test("KI2, GR3: a grant of a part, granted on and on, keeps the offset in the elemental window", () => {
    const { table, row, adapters } = openRow(5);
    const [first] = row as [Partition];
    table.assign(first, { type: "mmio", address: 0, length: 8 * PAGE, physical: 5 * PAGE });
    const model = new Registers();
    first.mmio.serve(0, model);
    let [at, length] = [2 * PAGE, 5 * PAGE];
    for (const [index, adapter] of adapters.entries()) {
      const cookie = (row[index] as Partition).grant({ to: adapter, type: "mmio", address: at, length });
      const mapping = (row[index + 1] as Partition).accept(cookie);
      [at, length] = [mapping.address + PAGE, length - PAGE];
      (row[index + 1] as Partition).mmio.load32(mapping.address + 4);
    }
    expect(model.seen).toEqual([2, 3, 4, 5].map((page) => `r4 ${page * PAGE + 4}`));
  });

  test("KI2: two windows with the same physical numbers are two devices", () => {
    const { table, server, client } = openWindow();
    table.assign(client, { type: "mmio", address: 0, length: PAGE, physical: 100 * PAGE });
    const [a, b] = [new Registers(), new Registers()];
    server.mmio.serve(WINDOW, a);
    client.mmio.serve(0, b);
    server.mmio.store8(WINDOW, 1);
    client.mmio.store8(0, 2);
    expect([a.seen, b.seen]).toEqual([["w1 0 1"], ["w1 0 2"]]);
  });

  test("KI2, AC6, TR1: rights are looked at for each access, and the model never hears of a refused one", async () => {
    const pair = openWindow();
    const { server, client } = pair;
    const model = new Registers();
    server.mmio.serve(WINDOW, model);
    const readOnly = shareWindow(pair, { write: false });
    const writeOnly = shareWindow(pair, { read: false });
    expect(statusOf(() => client.mmio.load32(readOnly))).toBe(H_SUCCESS);
    expect(statusOf(() => client.mmio.store32(readOnly, 1))).toBe(H_PERMISSION);
    expect(statusOf(() => client.mmio.store32(writeOnly, 1))).toBe(H_SUCCESS);
    expect(statusOf(() => client.mmio.load32(writeOnly))).toBe(H_PERMISSION);
    expect(statusOf(() => client.mmio.load32(64 * PAGE))).toBe(H_PARAMETER);
    expect(model.seen).toEqual(["r4 0", "w4 0 1"]);
  });

  test("KI2, RS4: after a forced rescind H_RESCINDED, after the return H_PARAMETER, and the owner goes on (RS8)", async () => {
    const pair = openWindow();
    const { server, client, adapter } = pair;
    const model = new Registers();
    server.mmio.serve(WINDOW, model);
    const cookie = server.grant({ to: adapter, type: "mmio", address: WINDOW, length: PAGE });
    const mapping = client.accept(cookie);
    client.mmio.load8(mapping.address);
    await server.rescindForced(cookie);
    expect(statusOf(() => client.mmio.load8(mapping.address))).toBe(H_RESCINDED);
    mapping.return();
    expect(statusOf(() => client.mmio.load8(mapping.address))).toBe(H_PARAMETER);
    server.mmio.load8(WINDOW);
    expect(model.seen).toEqual(["r1 0", "r1 0"]);
  });

  test("KI2: what is not aligned to its size, or lies past the end, is H_PARAMETER", () => {
    const { server } = openWindow({ spaces: { mmio: 20 * PAGE } });
    const model = new Registers();
    server.mmio.serve(WINDOW, model);
    const { mmio } = server;
    for (const odd of [1, 3]) expect(statusOf(() => mmio.load16(WINDOW + odd))).toBe(H_PARAMETER);
    for (const odd of [1, 2, 3]) expect(statusOf(() => mmio.load32(WINDOW + odd))).toBe(H_PARAMETER);
    for (const call of [mmio.load8, mmio.load16, mmio.load32]) {
      expect(statusOf(() => call.call(mmio, WINDOW - 4))).toBe(H_PARAMETER);
      expect(statusOf(() => call.call(mmio, WINDOW + 4 * PAGE))).toBe(H_PARAMETER);
    }
    expect(model.seen).toEqual([]);
    mmio.load8(WINDOW + 4 * PAGE - 1);
    mmio.load16(WINDOW + 4 * PAGE - 2);
    mmio.load32(WINDOW + 4 * PAGE - 4);
    expect(model.seen.length).toBe(3);
  });

  test("G2, KI2: hostile addresses and values are H_PARAMETER, and reach no model", () => {
    const { server } = openWindow();
    const model = new Registers();
    server.mmio.serve(WINDOW, model);
    for (const number of HOSTILE) {
      expect(statusOf(() => server.mmio.load8(number))).toBe(H_PARAMETER);
      expect(statusOf(() => server.mmio.store32(number, 0))).toBe(H_PARAMETER);
      expect(statusOf(() => server.mmio.serve(number, model))).toBe(H_PARAMETER);
      expect(statusOf(() => server.mmio.store8(WINDOW, number))).toBe(H_PARAMETER);
      expect(statusOf(() => server.mmio.store16(WINDOW, number))).toBe(H_PARAMETER);
      if (number !== 2 ** 31 && number !== -(2 ** 31) && number !== -1 && number !== -PAGE)
        expect(statusOf(() => server.mmio.store32(WINDOW, number))).toBe(H_PARAMETER);
    }
    for (const [size, call] of [
      [8, server.mmio.store8],
      [16, server.mmio.store16],
      [32, server.mmio.store32],
    ] as const) {
      expect(statusOf(() => call.call(server.mmio, WINDOW, 2 ** size - 1))).toBe(H_SUCCESS);
      expect(statusOf(() => call.call(server.mmio, WINDOW, 2 ** size))).toBe(H_PARAMETER);
    }
    expect(model.seen.length).toBe(3);
  });

  test("KI2: only the owner serves, at the start of an elemental window, one model at a time", async () => {
    const pair = openWindow();
    const { server, client } = pair;
    const address = shareWindow(pair);
    const model = new Registers();
    expect(statusOf(() => client.mmio.serve(address, model))).toBe(H_PARAMETER);
    expect(statusOf(() => server.mmio.serve(WINDOW + PAGE, model))).toBe(H_PARAMETER);
    expect(statusOf(() => server.mmio.serve(0, model))).toBe(H_PARAMETER);
    expect(errorOf(() => client.mmio.load8(address)).message).toContain("no model serves the window");
    const service = server.mmio.serve(WINDOW, model);
    expect(statusOf(() => server.mmio.serve(WINDOW, model))).toBe(H_RESOURCE);
    service[Symbol.dispose]();
    service[Symbol.dispose]();
    expect(statusOf(() => client.mmio.load8(address))).toBe(H_HARDWARE);
    const other = new Registers();
    server.mmio.serve(WINDOW, other);
    service[Symbol.dispose]();
    client.mmio.load8(address);
    expect([model.seen, other.seen]).toEqual([[], ["r1 0"]]);
  });

  test("KI2: a model that throws is H_HARDWARE with its message, and the table goes on", () => {
    const pair = openWindow();
    const address = shareWindow(pair);
    const cause = new Error("no medium");
    const model: DeviceModel = {
      read: () => {
        throw cause;
      },
      write: () => {
        throw "a text";
      },
    };
    pair.server.mmio.serve(WINDOW, model);
    const error = errorOf(() => pair.client.mmio.load32(address));
    expect(error).toMatchObject({ status: H_HARDWARE, code: "H_HARDWARE", cause });
    expect(error.message).toContain("no medium");
    expect(errorOf(() => pair.client.mmio.store8(address, 1)).message).toContain("a text");
    expect(pair.table.audit().problems).toEqual([]);
  });

  test.each([
    ["nothing", undefined],
    ["a text", "1"],
    ["a fraction", 0.5],
    ["NaN", Number.NaN],
    ["a bigint", 1n],
    ["too much", 256],
    ["a negative number", -1],
    ["what has no text", Object.create(null)],
  ])("KI2: a read that answers %s is H_HARDWARE", (_, answer) => {
    const { server } = openWindow();
    server.mmio.serve(WINDOW, { read: () => answer as number, write: () => {} });
    const error = errorOf(() => server.mmio.load8(WINDOW));
    expect(error.status).toBe(H_HARDWARE);
    expect(error.message).toContain("it must be an integer of 1 bytes");
  });

  test("KI2: a model that throws what has no text is H_HARDWARE all the same", () => {
    const { server } = openWindow();
    const causes = [Object.create(null), Object.assign(new Error(), { message: Object.create(null) })];
    const model = {
      read: () => {
        throw causes[0];
      },
      write: () => {
        throw causes[1];
      },
    };
    server.mmio.serve(WINDOW, model);
    expect(errorOf(() => server.mmio.load8(WINDOW))).toMatchObject({ status: H_HARDWARE, cause: causes[0] });
    const error = errorOf(() => server.mmio.store8(WINDOW, 1));
    expect(error).toMatchObject({ status: H_HARDWARE, cause: causes[1] });
    expect(error.message).toContain("the model failed: something that has no text");
    expect(errorOf(() => server.mmio.store8(WINDOW, Object.create(null))).status).toBe(H_PARAMETER);
  });

  test("KI2: a model may make calls, and access devices, its own window among them", () => {
    const { server, client, ...pair } = openWindow();
    const address = shareWindow({ server, client, ...pair });
    const other = new Registers();
    pair.table.assign(client, { type: "mmio", address: 64 * PAGE, length: PAGE });
    client.mmio.serve(64 * PAGE, other);
    const model: DeviceModel = {
      read: (offset) => {
        if (offset === 0) return server.mmio.load32(WINDOW + 4) + 1;
        server.write(0, new Uint8Array(PAGE).fill(7));
        client.mmio.store32(64 * PAGE, server.load32(0));
        const cookie = server.grant({ to: client, address: 0, length: PAGE });
        client.accept(cookie).return();
        server.rescind(cookie);
        return 41;
      },
      write: () => {},
    };
    server.mmio.serve(WINDOW, model);
    expect(client.mmio.load32(address)).toBe(42);
    expect(other.values.get(0)).toBe(0x07070707);
    const kernel = kernelOf(server);
    expect(kernel.memory.header(kernel.memory.thread + layoutWords.MODEL_EPOCH)).toBe(0);
    expect(kernel.memory.header(kernel.memory.thread + layoutWords.MODEL_ROOT)).toBe(0);
  });

  test.each([
    ["", 0],
    [", also one whose event ring is full,", 200],
  ])(
    "G6: a model that takes the window from the client%s while it serves it: the rescind succeeds, the client hears H_RESCINDED",
    (_, unread) => {
      const pair = openWindow();
      const { h, server, client, unit } = pair;
      for (let i = 0; i < unread; i++) {
        const other = granted(h, server.lpid, unit, WINDOW, PAGE, TYPE_MMIO);
        accepted(h, client.lpid, other);
        expect(h.rescindLogical(server.lpid, 1, other)).toBe(H_SUCCESS);
        expect(h.returnLogical(client.lpid, other)).toBe(H_SUCCESS);
      }
      const cookie = granted(h, server.lpid, unit, WINDOW, PAGE, TYPE_MMIO);
      const address = accepted(h, client.lpid, cookie);
      const statuses: number[] = [];
      server.mmio.serve(WINDOW, {
        read: () => {
          statuses.push(h.rescindLogical(server.lpid, 1, cookie));
          return 5;
        },
        write: () => {},
      });
      expect(statusOf(() => client.mmio.load8(address))).toBe(H_RESCINDED);
      expect(statuses).toEqual([H_SUCCESS]);
      expect(statusOf(() => client.mmio.load8(address))).toBe(H_RESCINDED);
    },
  );

  test("KI2: a model that fails the partition that asks: H_RESCINDED, and the recovery is complete", async () => {
    const pair = openWindow();
    const { table, server, client } = pair;
    const address = shareWindow(pair);
    server.mmio.serve(WINDOW, {
      read: () => {
        table.fail(client);
        return 5;
      },
      write: () => {},
    });
    expect(statusOf(() => client.mmio.load8(address))).toBe(H_RESCINDED);
    await table.recovered(client);
    expect(client.state).toBe("stopped");
  });

  test("FA2, KI2: the model of a partition that failed is not run, in its grace period either; G4: nor after the restart", async () => {
    const pair = openWindow();
    const { table, server, client, clock } = pair;
    const address = shareWindow(pair);
    const model = new Registers();
    const service = server.mmio.serve(WINDOW, model);
    table.fail(server);
    expect(statusOf(() => client.mmio.load8(address))).toBe(H_HARDWARE);
    expect(statusOf(() => server.mmio.serve(WINDOW, model))).toBe(H_RESCINDED);
    clock.advance(2000);
    await table.recovered(server);
    expect(statusOf(() => client.mmio.load8(address))).toBe(H_RESCINDED);
    table.restart(server);
    expect(statusOf(() => server.mmio.load8(WINDOW))).toBe(H_HARDWARE);
    const other = new Registers();
    server.mmio.serve(WINDOW, other);
    // The old service ends nothing of the new incarnation.
    service[Symbol.dispose]();
    server.mmio.load8(WINDOW);
    expect([model.seen, other.seen]).toEqual([[], ["r1 0"]]);
  });

  test("KI2: a partition that does not run: H_RESCINDED; timeoutMs has bounds", async () => {
    const { table, client } = openWindow();
    expect(() => {
      client.mmio.timeoutMs = 0;
    }).toThrow("timeoutMs is 0; it must be an integer from 1 to 2147483647");
    client.mmio.timeoutMs = 5;
    expect(client.mmio.timeoutMs).toBe(5);
    table.fail(client);
    expect(statusOf(() => client.mmio.load8(0))).toBe(H_RESCINDED);
  });

  test("KI2: inspect() tells windows as before: what serves them is not a bus number", () => {
    const pair = openWindow();
    shareWindow(pair);
    const before = pair.table.inspect();
    pair.server.mmio.serve(WINDOW, new Registers());
    expect(pair.table.inspect()).toEqual(before);
  });

  test("KI2: after the table is closed nothing is served", async () => {
    const { table, server } = openWindow();
    server.mmio.serve(WINDOW, new Registers());
    await table.close();
    expect(statusOf(() => server.mmio.load8(WINDOW))).toBe(H_HARDWARE);
  });
});

const layoutWords = await import("../src/layout.js").then((layout) => ({
  MODEL_EPOCH: layout.THREAD_MODEL_EPOCH,
  MODEL_ROOT: layout.THREAD_MODEL_ROOT,
}));

interface Workers extends Pair {
  readonly serverSide: Remote;
  readonly clientSide: Remote;
  readonly cookie: Cookie;
  readonly address: number;
  /** Words that both threads and the test see: 0 a gate, 1 how often the model ran, 2 whether it is in there, 3 whoever wants it. */
  readonly shared: Int32Array;
  terminate(which: "server" | "client"): Promise<void>;
}

/** Server and client are workers; the server's model waits at the gate for as long as it is 1. */
async function openWorkers(options: PairOptions = {}): Promise<Workers> {
  const pair = openWindow({ clock: systemClock, gracePeriodMs: 20, ...options });
  const cookie = grantWindow(pair);
  const { address } = pair.client.accept(cookie);
  const shared = new Int32Array(new SharedArrayBuffer(64));
  const spawn = async (partition: Partition) => pair.table.spawn(partition, REMOTE, { workerData: shared });
  const [one, two] = [await spawn(pair.server), await spawn(pair.client)];
  const [serverSide, clientSide] = [new Remote(one.worker), new Remote(two.worker)];
  // So that what it is asked later begins at once.
  await clientSide.run(({ partition }) => partition.lpid);
  await serverSide.run(({ partition, workerData }, at) => {
    const words = workerData as Int32Array;
    partition.mmio.serve(at, {
      read: (offset) => {
        Atomics.add(words, 1, 1);
        Atomics.store(words, 2, 1);
        while (Atomics.load(words, 0) === 1) Atomics.wait(words, 0, 1, 5);
        Atomics.store(words, 2, 0);
        if (offset === 8) throw new Error("no such register");
        return offset + 1;
      },
      write: (offset, _size, value) => {
        Atomics.add(words, 1, 1);
        Atomics.store(words, 4 + offset / 4, value);
      },
    });
  }, WINDOW);
  return {
    ...pair,
    serverSide,
    clientSide,
    cookie,
    address,
    shared,
    terminate: (which) => (which === "server" ? one : two).terminate(),
  };
}

/** Waits until a word is what it should be. */
async function until(words: Int32Array, index: number, value: number): Promise<void> {
  for (let ms = 0; Atomics.load(words, index) !== value; ms++) {
    if (ms > 10_000) throw new Error(`word ${index} is ${words[index]}, not ${value}`);
    await sleep(1);
  }
}

function open(words: Int32Array): void {
  Atomics.store(words, 0, 0);
  Atomics.notify(words, 0);
}

/** The server's thread does nothing but wait at the gate. */
function block({ serverSide, shared }: Workers): Promise<void> {
  Atomics.store(shared, 0, 1);
  return serverSide.run(({ workerData }) => {
    const words = workerData as Int32Array;
    Atomics.store(words, 3, 1);
    while (Atomics.load(words, 0) === 1) Atomics.wait(words, 0, 1, 5);
    Atomics.store(words, 3, 0);
  });
}

/** The client loads; its answer is the value, or the code of the error. */
function load(
  { clientSide }: Workers,
  address: number,
  timeoutMs = 60_000,
): Promise<{ value?: number; code?: string; message?: string }> {
  return clientSide.run(
    ({ partition, lpar }, [at, ms]) => {
      partition.mmio.timeoutMs = ms as number;
      try {
        return { value: partition.mmio.load32(at as number) };
      } catch (error) {
        if (error instanceof lpar.HcallError) return { code: error.code, message: error.message };
        throw error;
      }
    },
    [address, timeoutMs],
  );
}

describe("between threads", { timeout: 60_000 }, () => {
  test("KI2: from a worker to a model in the owner's thread, and back", async () => {
    const pair = openWindow({ clock: systemClock });
    const address = shareWindow(pair);
    const model = new Registers();
    pair.server.mmio.serve(WINDOW, model);
    const remote = new Remote((await pair.table.spawn(pair.client, REMOTE)).worker);
    const answer = await remote.run(({ partition }, at) => {
      partition.mmio.store32(at + 4, 0xfffffff0);
      partition.mmio.store8(at + 9, 7);
      let sum = 0;
      for (let i = 0; i < 500; i++)
        sum += partition.mmio.load32(at + 4) - 0xfffffff0 + partition.mmio.load8(at + 9);
      return sum;
    }, address);
    expect(answer).toBe(3500);
    expect(model.seen.slice(0, 3)).toEqual(["w4 4 4294967280", "w1 9 7", "r4 4"]);
    expect(model.seen.length).toBe(1002);
  });

  test("KI2: an answer that has no text is H_HARDWARE for another thread, and the next one is served", async () => {
    const pair = openWindow({ clock: systemClock });
    const address = shareWindow(pair);
    const answers = [Object.create(null), 5];
    pair.server.mmio.serve(WINDOW, { read: () => answers.shift(), write: () => {} });
    const remote = new Remote((await pair.table.spawn(pair.client, REMOTE)).worker);
    const codes = await remote.run(({ partition, lpar }, at) => {
      try {
        return [partition.mmio.load8(at)];
      } catch (error) {
        return [(error as InstanceType<typeof lpar.HcallError>).code, partition.mmio.load8(at)];
      }
    }, address);
    expect(codes).toEqual(["H_HARDWARE", 5]);
  });

  test("KI2: from the owner's thread to a model in a worker, and from a worker to another", async () => {
    const workers = await openWorkers();
    expect(workers.client.mmio.load32(workers.address + 4)).toBe(5);
    workers.server.mmio.store32(WINDOW, 77);
    expect(workers.shared[4]).toBe(77);
    expect(await load(workers, workers.address + 40)).toEqual({ value: 41 });
  });

  test("KI2: refusals and failing models in another thread are errors of the caller", async () => {
    const workers = await openWorkers();
    const { address } = workers;
    expect(await load(workers, address + 1)).toMatchObject({ code: "H_PARAMETER" });
    expect(await load(workers, 64 * PAGE)).toMatchObject({ code: "H_PARAMETER" });
    expect(await load(workers, address + 8)).toMatchObject({
      code: "H_HARDWARE",
      message: expect.stringContaining("the model failed, in another thread"),
    });
    expect(await load(workers, address + 4)).toEqual({ value: 5 });
  });

  test("KI2: served again and again by a thread that stays alive for it; a service that ends answers at once", async () => {
    const workers = await openWorkers();
    for (let i = 0; i < 20; i++) {
      expect(await load(workers, workers.address + 4)).toEqual({ value: 5 });
      await sleep(2);
    }
    await workers.serverSide
      .run(({ partition }, at) => {
        try {
          partition.mmio.serve(at, { read: () => 0, write: () => {} });
          return undefined;
        } catch (error) {
          return (error as { code: string }).code;
        }
      }, WINDOW)
      .then((code) => expect(code).toBe("H_RESOURCE"));
    // Nor can the owner's thread serve what the worker serves.
    expect(statusOf(() => workers.server.mmio.serve(WINDOW, new Registers()))).toBe(H_RESOURCE);
  });

  test("KI2: in time nobody came to it: H_LongBusyOrder10msec, and it is never served", async () => {
    const workers = await openWorkers();
    const blocked = block(workers);
    await until(workers.shared, 3, 1);
    const began = performance.now();
    const answer = await load(workers, workers.address + 4, 50);
    expect(answer).toMatchObject({
      code: "H_LongBusyOrder10msec",
      message: expect.stringContaining("nothing was done"),
    });
    expect(performance.now() - began).toBeGreaterThanOrEqual(50);
    open(workers.shared);
    await blocked;
    await sleep(20);
    expect(workers.shared[1]).toBe(0);
    expect(await load(workers, workers.address + 4)).toEqual({ value: 5 });
    expect(workers.shared[1]).toBe(1);
  });

  test("KI2: the model runs when the time is over: H_HARDWARE, it runs once, and its answer is not the next request's", async () => {
    const workers = await openWorkers();
    Atomics.store(workers.shared, 0, 1);
    expect(await load(workers, workers.address + 4, 50)).toMatchObject({
      code: "H_HARDWARE",
      message: expect.stringContaining("may still happen"),
    });
    const next = load(workers, workers.address + 80);
    await sleep(20);
    open(workers.shared);
    expect(await next).toEqual({ value: 81 });
    expect(workers.shared[1]).toBe(2);
  });

  test("RS5, G6: rescinded while the request waits: H_RESCINDED, the model is not run", async () => {
    const workers = await openWorkers();
    const { cookie, server, shared } = workers;
    const blocked = block(workers);
    await until(shared, 3, 1);
    const answer = load(workers, workers.address + 4);
    await sleep(30);
    await within(server.rescindForced(cookie), "the rescind");
    open(shared);
    await blocked;
    expect(await answer).toMatchObject({ code: "H_RESCINDED" });
    expect(shared[1]).toBe(0);
  });

  test("RS5, G6: rescinded while the model runs: the rescind waits for it, and names whom; the answer is still given", async () => {
    const workers = await openWorkers();
    const { cookie, server, shared } = workers;
    Atomics.store(shared, 0, 1);
    const answer = load(workers, workers.address + 4);
    await until(shared, 2, 1);
    let isOver = false;
    const rescind = server.rescindForced(cookie).finally(() => {
      isOver = true;
    });
    await sleep(60);
    expect(isOver).toBe(false);
    open(shared);
    const report = await within(rescind, "the rescind");
    expect(shared[2]).toBe(0);
    expect(report.waitedFor).toEqual([server.lpid]);
    expect(await answer).toEqual({ value: 5 });
    expect(await load(workers, workers.address + 4)).toMatchObject({ code: "H_RESCINDED" });
  });

  test("G6: a model that does not come back holds up the rescind of its own window, and of nothing else", async () => {
    const workers = await openWorkers();
    const { table, server, client, shared } = workers;
    table.assign(client, { type: "mmio", address: 64 * PAGE, length: PAGE });
    const other = client.grant({ to: server, type: "mmio", address: 64 * PAGE, length: PAGE });
    const memory = client.grant({ to: server, address: 0, length: PAGE });
    server.accept(other);
    server.accept(memory);
    Atomics.store(shared, 0, 1);
    const answer = load(workers, workers.address + 4);
    await until(shared, 2, 1);
    expect(await within(client.rescindForced(other), "another window")).toMatchObject({ waitedFor: [] });
    expect(await within(client.rescindForced(memory), "memory")).toMatchObject({ waitedFor: [] });
    expect(shared[2]).toBe(1);
    open(shared);
    await answer;
  });

  test("FA5: the thread that serves dies while its model runs: the caller hears of it at once", async () => {
    const workers = await openWorkers();
    Atomics.store(workers.shared, 0, 1);
    const answer = load(workers, workers.address + 4);
    await until(workers.shared, 2, 1);
    const end = workers.terminate("server");
    expect(await within(answer, "the answer", 5000)).toMatchObject({ code: "H_HARDWARE" });
    await end;
    expect(await load(workers, workers.address + 4)).toMatchObject({ code: "H_RESCINDED" });
  });

  test("FA5: the thread that serves dies before it comes to the request: the same", async () => {
    const workers = await openWorkers();
    block(workers).catch(() => {});
    await until(workers.shared, 3, 1);
    const answer = load(workers, workers.address + 4);
    await sleep(30);
    const end = workers.terminate("server");
    expect(await within(answer, "the answer", 5000)).toMatchObject({ code: "H_HARDWARE" });
    expect(workers.shared[1]).toBe(0);
    await end;
  });

  test("FA5: a caller that dies while it waits is not served, and its slot's next thread gets no answer of it", async () => {
    const workers = await openWorkers();
    const { table, client, server, shared } = workers;
    const blocked = block(workers);
    await until(shared, 3, 1);
    load(workers, workers.address + 4).catch(() => {});
    await sleep(30);
    await workers.terminate("client");
    table.restart(client);
    const to = join(workers, server, client);
    const address = client.accept(
      server.grant({ to, type: "mmio", address: WINDOW + PAGE, length: PAGE }),
    ).address;
    const again = await table.spawn(client, REMOTE);
    const answer = load({ ...workers, clientSide: new Remote(again.worker) }, address + 4);
    await sleep(60);
    open(shared);
    await blocked;
    expect(await answer).toEqual({ value: PAGE + 5 });
    expect(shared[1]).toBe(1);
  });

  test("FA5: a caller that dies while the model runs for it: its answer is nobody's, and the recovery waits for the model (G6)", async () => {
    const workers = await openWorkers();
    const { table, client, server, shared } = workers;
    Atomics.store(shared, 0, 1);
    load(workers, workers.address + 4).catch(() => {});
    await until(shared, 2, 1);
    const end = workers.terminate("client");
    await sleep(60);
    expect(client.state).not.toBe("stopped");
    open(shared);
    await within(end, "the recovery");
    table.restart(client);
    const to = join(workers, server, client);
    const mapping = client.accept(server.grant({ to, type: "mmio", address: WINDOW, length: PAGE }));
    expect(client.mmio.load32(mapping.address + 12)).toBe(13);
  });

  test("G4: who serves is a thread, not a slot: after the restart of the partition nobody does, until it says so", async () => {
    const workers = await openWorkers();
    const { table, server, client } = workers;
    await workers.terminate("server");
    table.restart(server);
    const again = new Remote((await table.spawn(server, REMOTE)).worker);
    const to = join(workers, server, client);
    const grant = server.grant({ to, type: "mmio", address: WINDOW, length: PAGE });
    const { address } = client.accept(grant);
    expect(await load(workers, address)).toMatchObject({ code: "H_HARDWARE" });
    await again.run(({ partition }, at) => {
      partition.mmio.serve(at, { read: () => 99, write: () => {} });
    }, WINDOW);
    expect(await load(workers, address)).toEqual({ value: 99 });
  });

  test("KI2: two workers that access each other's devices at once do not wait for each other's time limits", async () => {
    const { table, server, client, adapter, sides } = await openMutual();
    const addresses = [
      server.accept(client.grant({ to: adapter, type: "mmio", address: WINDOW, length: PAGE })).address,
      client.accept(server.grant({ to: adapter, type: "mmio", address: WINDOW, length: PAGE })).address,
    ];
    const began = performance.now();
    const sums = await within(
      Promise.all(
        sides.map((side, index) =>
          side.run(({ partition }, at) => {
            let sum = 0;
            for (let i = 0; i < 3000; i++) sum += partition.mmio.load32(at + 4 * (i & 7));
            return sum;
          }, addresses[index] as number),
        ),
      ),
      "both",
      30_000,
    );
    expect(sums).toEqual([(3000 / 8) * 48, (3000 / 8) * 48]);
    expect(performance.now() - began).toBeLessThan(25_000);
    expect(table.audit().problems).toEqual([]);
  });

  test("KI2: models that access each other's devices, to and fro: three deep it goes, for ever it is an error", async () => {
    const { server, client, adapter, sides } = await openMutual();
    const [serverSide, clientSide] = sides as [Remote, Remote];
    const atServer = server.accept(
      client.grant({ to: adapter, type: "mmio", address: WINDOW, length: PAGE }),
    );
    const atClient = client.accept(
      server.grant({ to: adapter, type: "mmio", address: WINDOW, length: PAGE }),
    );
    for (const [side, at] of [
      [serverSide, atServer.address],
      [clientSide, atClient.address],
    ] as const)
      await side.run(({ partition }, address) => {
        const goOn = (globalThis as { goOn?: (depth: number) => number }).goOn;
        if (goOn !== undefined) throw new Error("twice");
        (globalThis as { goOn?: (depth: number) => number }).goOn = (depth) =>
          partition.mmio.load32(address + 256 + 4 * (depth - 1)) + 1;
      }, at);
    const ask = (depth: number) =>
      clientSide.run(
        ({ partition }, [at, deep]) => {
          partition.mmio.timeoutMs = 20_000;
          try {
            return partition.mmio.load32((at as number) + 256 + 4 * (deep as number));
          } catch (error) {
            return (error as { code: string }).code;
          }
        },
        [atClient.address, depth],
      );
    expect(await within(ask(3), "three deep")).toBe(3);
    expect(await within(ask(100), "a hundred deep")).toBe("H_HARDWARE");
    expect(await within(ask(2), "two deep")).toBe(2);
  });

  test("FA5: the server's thread is killed again and again under accesses: each has an end, and nothing is left", async () => {
    const pair = openWindow({ clock: systemClock, gracePeriodMs: 0 });
    const { table, server, client } = pair;
    const caller = new Remote((await table.spawn(client, REMOTE)).worker);
    for (let round = 0; round < 12; round++) {
      if (round > 0) table.restart(server);
      const to = join(pair, server, client);
      const { address } = client.accept(server.grant({ to, type: "mmio", address: WINDOW, length: PAGE }));
      const worker = await table.spawn(server, REMOTE);
      await new Remote(worker.worker).run(({ partition }, at) => {
        partition.mmio.serve(at, { read: (offset) => offset, write: () => {} });
      }, WINDOW);
      const work = caller.run(({ partition, lpar }, at) => {
        partition.mmio.timeoutMs = 20_000;
        let done = 0;
        try {
          for (; ; done++)
            if (partition.mmio.load32(at + 4 * (done & 63)) !== 4 * (done & 63)) return "wrong";
        } catch (error) {
          return error instanceof lpar.HcallError ? error.code : String(error);
        }
      }, address);
      await sleep(3 + 3 * round);
      const end = worker.terminate();
      expect(["H_HARDWARE", "H_RESCINDED"]).toContain(await within(work, `round ${round}`, 15_000));
      await end;
      expect(table.audit().problems).toEqual([]);
    }
  });

  test("FA5: callers are killed again and again: the model's thread goes on, and nothing is left", async () => {
    const pair = openWindow({ clock: systemClock, gracePeriodMs: 0 });
    const { table, server, client } = pair;
    const serving = new Remote((await table.spawn(server, REMOTE)).worker);
    await serving.run(({ partition }, at) => {
      partition.mmio.serve(at, { read: (offset) => offset, write: () => {} });
    }, WINDOW);
    for (let round = 0; round < 12; round++) {
      if (round > 0) table.restart(client);
      const to = join(pair, server, client);
      const { address } = client.accept(server.grant({ to, type: "mmio", address: WINDOW, length: PAGE }));
      const worker = await table.spawn(client, REMOTE);
      new Remote(worker.worker).send(({ partition }, at) => {
        for (let i = 0; ; i++) partition.mmio.load32(at + 4 * (i & 63));
      }, address);
      await sleep(5 + 3 * round);
      await worker.terminate();
      expect(server.mmio.load32(WINDOW + 8)).toBe(8);
      expect(table.audit().problems).toEqual([]);
    }
  });
});

/** Two workers, each with a window of its own whose model answers a quarter of the offset, or goes on elsewhere from 256 on. */
async function openMutual() {
  const pair = openTable({ clock: systemClock, gracePeriodMs: 20 });
  const { table } = pair;
  const server = table.createPartition({ name: "server" });
  const client = table.createPartition({ name: "client" });
  const adapter = join(pair, server, client);
  const sides: Remote[] = [];
  for (const partition of [server, client]) {
    table.assign(partition, { type: "mmio", address: WINDOW, length: PAGE });
    const side = new Remote((await table.spawn(partition, REMOTE)).worker);
    await side.run(({ partition }, at) => {
      partition.mmio.serve(at, {
        read: (offset) => {
          if (offset < 256) return (offset >> 3) << 2;
          if (offset === 256) return 0;
          const { goOn } = globalThis as { goOn?: (depth: number) => number };
          return goOn?.((offset - 256) / 4) ?? 0;
        },
        write: () => {},
      });
    }, WINDOW);
    sides.push(side);
  }
  return { ...pair, server, client, adapter, sides };
}

test("KI2, G4: a service that could not be ended at once does not end that of a later incarnation", async () => {
  const { table, server } = openPair({ gracePeriodMs: 0 });
  table.assign(server, { type: "mmio", address: 0, length: PAGE });
  const kernel = kernelOf(server);
  const { core } = kernel;
  let isLocked = true;
  const serveWindow: typeof core.serveWindow = (lpid, address, serves) =>
    isLocked && serves === 0 ? H_LONG_BUSY_10_MSEC : core.serveWindow(lpid, address, serves);
  Object.assign(kernel, { core: { ...core, serveWindow } });
  const write = (): void => {};
  server.mmio.serve(0, { read: () => 1, write })[Symbol.dispose]();
  table.fail(server);
  await table.recovered(server);
  table.restart(server);
  server.mmio.serve(0, { read: () => 2, write });
  isLocked = false;
  await sleep(20);
  expect(server.mmio.load8(0)).toBe(2);
});
