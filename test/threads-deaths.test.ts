/** Partitions in real worker threads that die, at any moment and in every way, and that start again. */
import { execFile } from "node:child_process";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import {
  type Cookie,
  HcallError,
  type Partition,
  type PartitionWorker,
  type SpawnOptions,
  systemClock,
  type TableEvent,
  type VirtualAdapter,
} from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_LONG_BUSY_10_MSEC } from "../src/layout.js";
import { hold, holdAnd, untilLocked } from "./support/hold.js";
import { type Inside, OWNER, REMOTE, Remote, sleep, THROWS, within } from "./support/remote.js";
import {
  auditedAfterEach,
  listen,
  openPair,
  openTable,
  PAGE,
  type Pair,
  type PairOptions,
} from "./support/world.js";

auditedAfterEach();

interface Threaded extends Pair {
  readonly handle: PartitionWorker;
  readonly remote: Remote;
}

/** A server in this thread, and a client that is a worker. */
async function spawnPair(options: PairOptions = {}, spawn: SpawnOptions = {}): Promise<Threaded> {
  const pair = openPair({ clock: systemClock, gracePeriodMs: 50, ...options });
  const handle = await pair.table.spawn(pair.client, REMOTE, spawn);
  const remote = new Remote(handle.worker);
  // Its modules are loaded: what runs there next begins at once.
  await remote.run(() => {});
  return { ...pair, handle, remote };
}

function types(events: readonly { readonly type: string }[]): string[] {
  return events.map(({ type }) => type);
}

/** Until the partition has failed and is recovered. */
async function stopped({ table, client }: Pick<Pair, "table" | "client">): Promise<void> {
  for (let turn = 0; client.state === "running" && turn < 5000; turn++) await sleep(2);
  await within(table.recovered(client), "recovered");
  expect(client.state).toBe("stopped");
}

/** Has the worker accept two pages of the server, grant on and hold a view; then it has something to lose. */
async function entangle({ server, client, remote, adapter }: Threaded): Promise<Cookie> {
  const cookie = server.grant({ to: adapter, address: 0, length: 2 * PAGE });
  await remote.run(({ partition, kept }, cookie) => {
    kept.mapping = partition.accept(cookie as Cookie);
    kept.view = partition.view(kept.mapping.address, 4096);
    kept.address = partition.allocate(4096);
    const [adapter] = partition.adapters as [VirtualAdapter];
    kept.cookie = partition.grant({ to: adapter, address: kept.address, length: 4096 });
    partition.registerQueue(adapter, partition.allocate(4096), 4096);
    partition.createBatch(1000);
  }, cookie);
  expect(client.usage()).toMatchObject({ pagesMapped: 2, pins: 1, grantsOut: 1, grantsIn: 1 });
  return cookie;
}

const NOTHING = {
  pagesOwned: 0,
  allocated: 0,
  pagesMapped: 0,
  grantsOut: 0,
  grantsIn: 0,
  rescinded: 0,
  pins: 0,
  quarantined: 0,
  pagesLent: 0,
  copies: 0,
};

/** Every way to die that Node reports as an exit, and what the table says of it. */
const DEATHS: readonly [name: string, die: (world: Threaded) => void, reason: RegExp][] = [
  ["worker.terminate()", ({ handle }) => void handle.worker.terminate(), /^exit code 1$/],
  ["PartitionWorker.terminate()", ({ handle }) => void handle.terminate(), /^terminated$/],
  ["fail()", ({ table, client }) => table.fail(client, "of old age"), /^of old age$/],
  [
    "an uncaught exception",
    ({ remote }) =>
      remote.send(() => {
        setTimeout(() => {
          throw new RangeError("nobody catches this");
        });
      }),
    /^RangeError: nobody catches this$/,
  ],
  [
    "an unhandled rejection",
    ({ remote }) => remote.send(() => void Promise.reject(new Error("unhandled"))),
    /^Error: unhandled$/,
  ],
  ["process.exit()", ({ remote }) => remote.send(() => process.exit(7)), /^exit code 7$/],
  [
    "heap exhaustion",
    ({ remote }) =>
      remote.send(({ partition }) => {
        const hoard: unknown[] = [];
        while (true) hoard.push({ at: partition.usage(), more: new Array(10).fill(hoard.length) });
      }),
    /ERR_WORKER_OUT_OF_MEMORY|memory limit/,
  ],
];

describe("deaths", { timeout: 60_000 }, () => {
  test.each(DEATHS)("FA1, FA4, FA5: %s takes nothing with it", async (_, die, reason) => {
    const world = await spawnPair();
    const { table, server, client, adapter } = world;
    const heard = listen((signal) => server.events({ signal }));
    const told = listen<TableEvent>((signal) => table.events({ signal }));
    await entangle(world);
    die(world);
    await stopped(world);
    expect(client.usage()).toEqual(NOTHING);
    expect(server.usage()).toMatchObject({ grantsOut: 0, grantsIn: 0 });
    expect(server.read(0, 2 * PAGE)).toEqual(new Uint8Array(2 * PAGE));
    await heard.stop();
    await told.stop();
    expect(types(heard.seen).filter((type) => type === "partner-failed")).toHaveLength(1);
    expect(types(heard.seen).filter((type) => type === "partner-recovered")).toHaveLength(1);
    expect(types(told.seen)).toEqual(["partition-failed", "partition-recovered"]);
    expect(told.seen[0]?.reason).toMatch(reason);
    expect(() => server.send(adapter, new Uint8Array(16).fill(0x80))).toThrow(HcallError);
    // All of its memory can be had again, and none of it says whose it was.
    table.restart(client);
    expect(client.usage()).toMatchObject({ pagesOwned: 4 });
    expect(client.read(0, 4 * PAGE)).toEqual(new Uint8Array(4 * PAGE));
  });

  test("FA2: a server's clients hear exactly one notice before anything is lost; in the grace mappings work", async () => {
    const world = await spawnPair({ gracePeriodMs: 300 });
    const { table, server, client, remote, back } = world;
    const cookie = await remote.run(({ partition }, unit) => {
      const address = partition.allocate(4096);
      partition.fill(address, 4096, 3);
      return partition.grant({ to: unit as number, address, length: 4096 });
    }, back);
    const waiting = await remote.run(({ partition }, unit) => {
      return partition.grant({ to: unit as number, address: partition.allocate(4096), length: 4096 });
    }, back);
    const mapping = server.accept(cookie);
    const heard = listen((signal) => server.events({ signal }));
    await world.handle.worker.terminate();
    while (client.state === "running") await sleep(1);
    await sleep(20);
    expect(client.state).toBe("failed");
    expect(heard.seen).toMatchObject([{ type: "partner-failed", partner: client.lpid }]);
    expect(server.read(mapping.address, 2)).toEqual(Uint8Array.of(3, 3));
    // AC5: what was not accepted before the failure is not acceptable any more.
    expect(() => server.accept(waiting)).toThrow(expect.objectContaining({ code: "H_RESCINDED" }));
    // FA8: it may restart only when the grace is over and all is rescinded.
    expect(() => table.restart(client)).toThrow(expect.objectContaining({ code: "H_RESOURCE" }));
    await within(table.recovered(client), "recovered");
    expect(() => server.read(mapping.address, 1)).toThrow(expect.objectContaining({ code: "H_RESCINDED" }));
    mapping.return();
    await heard.stop();
    expect(types(heard.seen)).toEqual(["partner-failed", "rescinded", "partner-recovered"]);
  });

  test("FA3: server and client die at the same moment, in both orders, and again within the grace", async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 20 });
      const both = [server, client];
      const remotes = await Promise.all(
        both.map(async (partition) => new Remote((await table.spawn(partition, REMOTE)).worker)),
      );
      const cookies = await Promise.all(
        remotes.map((remote) =>
          remote.run(({ partition }) => {
            const [adapter] = partition.adapters as [VirtualAdapter];
            return partition.grant({ to: adapter, address: 0, length: 4096 });
          }),
        ),
      );
      await Promise.all(
        remotes.map((remote, index) =>
          remote.run(
            ({ partition }, cookie) => {
              partition.view(partition.accept(cookie as Cookie).address, 4096);
            },
            cookies[1 - index],
          ),
        ),
      );
      for (const index of order) void remotes[index]?.worker.terminate();
      for (const partition of both) await stopped({ table, client: partition });
      for (const partition of both) {
        table.fail(partition);
        expect(partition.usage()).toEqual(NOTHING);
        table.restart(partition);
        expect(partition.incarnation).toBe(2);
      }
    }
  });

  test("FA5: death in the middle of hypercalls, 40 times: no half-made state", async () => {
    const world = openPair({
      clock: systemClock,
      gracePeriodMs: 0,
      memory: 128 * PAGE,
      clientPages: 64,
    });
    const { table, server, client } = world;
    for (let round = 0; round < 40; round++) {
      const { worker } = await table.spawn(client, REMOTE);
      const remote = new Remote(worker);
      remote.send(({ partition }) => {
        const [adapter] = partition.adapters as [VirtualAdapter];
        for (let turn = 0; ; turn++) {
          const length = 4096 * (1 + (turn % 16));
          const address = partition.allocate(length);
          const cookie = partition.grant({ to: adapter, address, length });
          const view = partition.view(address, length);
          partition.createBatch(500)[Symbol.dispose]();
          view.release();
          partition.rescind(cookie);
          partition.free(address);
        }
      });
      await sleep(1 + (round % 7) * 2);
      await worker.terminate();
      await stopped(world);
      expect(table.audit().problems).toEqual([]);
      expect(client.usage()).toEqual(NOTHING);
      table.restart(client);
      table.connect(client, server);
    }
  });

  test("FA5: a stack overflow inside a hypercall: the thread lives on, and mends at its next call", async () => {
    const { table, client, remote } = await spawnPair();
    const seen = await remote.run(({ partition }) => {
      let overflows = 0;
      const [adapter] = partition.adapters as [VirtualAdapter];
      const dive = (cookies: unknown[]): void => {
        cookies.push(partition.grant({ to: adapter, address: 0, length: 4096 }));
        partition.view(0, 4096).release();
        dive(cookies);
      };
      for (let round = 0; round < 20; round++) {
        const cookies: Cookie[] = [];
        try {
          dive(cookies);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          overflows++;
        }
        for (const cookie of cookies) partition.rescind(cookie);
      }
      return { overflows, address: partition.allocate(4096) };
    });
    expect(seen).toEqual({ overflows: 20, address: 0 });
    expect(table.audit().problems).toEqual([]);
    expect(client.state).toBe("running");
  });

  test("FA5: a thread that left the table locked and only sleeps is woken to unlock it", async () => {
    const { table, server, client, remote } = await spawnPair();
    await remote.run(hold);
    let address: number | undefined;
    for (let turn = 0; address === undefined; turn++) {
      try {
        address = server.allocate(PAGE);
      } catch (error) {
        // It may take the worker more than the 4 ms for which the owner waits.
        if (turn > 1000 || !(error instanceof HcallError)) throw error;
        await sleep(1);
      }
    }
    expect(client.state).toBe("running");
    expect(table.audit().problems).toEqual([]);
  });

  test("FA5: a vm time limit inside hypercalls: the thread lives on", async () => {
    const { table, remote } = await spawnPair();
    const limits = await remote.run(({ partition, vm }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      const work = (): void => {
        while (true) {
          const cookie = partition.grant({ to: adapter, address: 0, length: 4096 });
          partition.view(0, 4096).release();
          partition.rescind(cookie);
        }
      };
      let limits = 0;
      for (let round = 0; round < 20; round++) {
        try {
          vm.runInNewContext("work()", { work }, { timeout: 2 });
        } catch (error) {
          if ((error as { code: string }).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
          limits++;
        }
        partition.free(partition.allocate(4096));
      }
      return limits;
    });
    expect(limits).toBe(20);
    expect(table.audit().problems).toEqual([]);
  });

  test("FA5: death with the lock in hand: the others get it, the owner's event loop goes on turning", async () => {
    const { table, server, client, handle, remote } = await spawnPair();
    // It never gives the lock back by itself: not even its event loop turns.
    remote.send(holdAnd(freeze));
    await untilLocked(server);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const until = performance.now() + 300;
    let refusals = 0;
    let turns = 0;
    while (performance.now() < until) {
      try {
        server.free(server.allocate(PAGE));
      } catch (error) {
        expect(error).toMatchObject({ code: "H_LongBusyOrder10msec" });
        refusals++;
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
      turns++;
    }
    expect(refusals).toBe(turns);
    const exited = new Promise((resolve) => handle.worker.once("exit", resolve));
    void handle.worker.terminate();
    await exited;
    await stopped({ table, client });
    delay.disable();
    // Some 4 ms by design; a machine under load adds its own.
    expect(delay.percentile(50) / 1e6).toBeLessThan(50);
    expect(delay.max / 1e6).toBeLessThan(500);
    server.free(server.allocate(PAGE));
  });

  test("FA5: another worker that waits for a lock whose holder dies gets it", async () => {
    const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const [holder, waiter] = await Promise.all([
      table.spawn(client, REMOTE),
      table.spawn(server, REMOTE).then(({ worker }) => new Remote(worker)),
    ]);
    await waiter.run(({ partition }) => partition.state);
    new Remote(holder.worker).send(holdAnd(freeze));
    await untilLocked(server);
    const allocated = waiter.run(({ partition }) => partition.allocate(4096));
    await sleep(50);
    void holder.worker.terminate();
    expect(await within(allocated, "the lock")).toBe(0);
    await stopped({ table, client });
  });

  test("FA5: a fail() while the table is locked says so, PartitionWorker.terminate() sees it through", async () => {
    const { table, server, client, handle, remote } = await spawnPair();
    const { worker: other } = await table.spawn(server, REMOTE);
    remote.send(holdAnd(freeze));
    await untilLocked(server);
    expect(() => table.fail(server)).toThrow(expect.objectContaining({ code: "H_LongBusyOrder10msec" }));
    const terminated = handle.terminate();
    await sleep(20);
    // The failure of the holder cannot be told while it has the lock: its thread must go first.
    await Promise.race([terminated, handle.worker.terminate()]);
    await within(terminated, "terminate()");
    expect(client.state).toBe("stopped");
    void other.terminate();
    await stopped({ table, client: server });
  });

  test("FA5, RS5: a reader that dies inside a read holds up no forced rescind for longer", async () => {
    const { table, server, client, handle, remote, adapter } = await spawnPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    await remote.run(({ partition }, cookie) => partition.accept(cookie as Cookie), cookie);
    await stopInUse(remote);
    const rescinded = server.rescindForced(cookie);
    expect(await Promise.race([rescinded, sleep(100)])).toBeUndefined();
    void handle.worker.terminate();
    expect(await within(rescinded, "rescindForced()")).toMatchObject({ waitedFor: [client.lpid] });
    await stopped({ table, client });
  });

  test("FA6: terminate, fail and exit at once are one failure", async () => {
    const world = await spawnPair();
    const { table, client, handle } = world;
    const told = listen<TableEvent>((signal) => table.events({ signal }));
    await entangle(world);
    void handle.worker.terminate();
    table.fail(client, "first");
    table.fail(client, "second");
    await Promise.all([handle.terminate(), handle.terminate(), table.recovered(client)]);
    await told.stop();
    expect(told.seen).toMatchObject([
      { type: "partition-failed", reason: "first" },
      { type: "partition-recovered" },
    ]);
  });

  test("FA7: its grants are rescinded when it dies, which is the policy it was made with", async () => {
    const world = await spawnPair({ gracePeriodMs: 0 });
    const { server, client, remote, handle, back } = world;
    const cookie = await remote.run(
      ({ partition }, unit) => partition.grant({ to: unit as number, address: 0, length: 4096 }),
      back,
    );
    const { address } = server.accept(cookie);
    await handle.terminate();
    expect(() => server.load32(address)).toThrow(expect.objectContaining({ code: "H_RESCINDED" }));
    expect(client.state).toBe("stopped");
  });

  test("FA7: a thread whose policy is to wait dies; another thread reads and writes on, returns, and it restarts", async () => {
    const { table } = openTable({ clock: systemClock, gracePeriodMs: 0 });
    const server = table.createPartition({ name: "server", memory: 4 * PAGE, onFailure: "defer" });
    const client = table.createPartition({ name: "client", memory: PAGE });
    const told = listen<TableEvent>((signal) => table.events({ signal }));
    const borrower = new Remote((await table.spawn(client, REMOTE)).worker);
    const handle = await table.spawn(server, REMOTE, { restart: { max: 3, backoffMs: 1 } });
    for (let incarnation = 1; incarnation <= 3; incarnation++) {
      expect(server.incarnation).toBe(incarnation);
      const lender = new Remote(handle.worker);
      const { unitAddress } = table.connect(server, client);
      const cookies = await lender.run(({ partition }, unit) => {
        const zeros = partition.read(0, 4 * 4096).every((byte) => byte === 0);
        partition.fill(0, 4 * 4096, 9);
        partition.view(0, 4096); // ends with the thread
        const give = (): Cookie => partition.grant({ to: unit as number, address: 0, length: 2 * 4096 });
        return zeros ? [give(), give(), give()] : [];
      }, unitAddress);
      expect(cookies).toHaveLength(3);
      const address = await borrower.run(({ partition, kept }, cookies) => {
        kept.mapping = partition.accept((cookies as Cookie[])[0] as Cookie);
        kept.cookie = (cookies as Cookie[])[1] as Cookie;
        partition.accept(kept.cookie);
        return kept.mapping.address;
      }, cookies);
      const { worker } = handle;
      await worker.terminate();
      for (let turn = 0; server.usage().grantsOut > 2 && turn < 2000; turn++) await sleep(1);
      expect(server.state).toBe("failed");
      expect(server.usage()).toMatchObject({ grantsOut: 2, pagesOwned: 4, pins: 0 });
      expect(() => table.restart(server)).toThrow(expect.objectContaining({ code: "H_RESOURCE" }));
      const seen = await borrower.run(
        ({ partition, kept, lpar }, [address, waiting]) => {
          const answers = new Set<unknown>();
          for (let round = 0; round < 20_000; round++) {
            answers.add(partition.add32(address as number, 1) - round);
            partition.read((address as number) + 4, 1);
          }
          try {
            partition.accept(waiting as Cookie);
          } catch (error) {
            if (error instanceof lpar.HcallError) answers.add(error.code);
          }
          kept.mapping?.return();
          return [...answers];
        },
        [address, cookies[2]] as const,
      );
      expect(seen).toEqual([0x09090909, "H_PARAMETER"]);
      await sleep(20);
      expect(server.state).toBe("failed");
      const recovered = table.recovered(server);
      // The last return is another thread's: nothing in this one would look but for the signal.
      await borrower.run(({ partition, kept }) => partition.return(kept.cookie as Cookie));
      await within(recovered, "recovered");
      for (let turn = 0; handle.worker === worker && turn < 2000; turn++) await sleep(1);
    }
    const cycle = ["partition-failed", "partition-recovered", "partition-restarted"];
    await told.stop();
    expect(types(told.seen)).toEqual([...cycle, ...cycle, ...cycle]);
  });

  test("FA7: the last who borrows from a dead thread dies, in the middle of its calls", async () => {
    const { table } = openTable({ clock: systemClock, gracePeriodMs: 60_000, memory: 128 * PAGE });
    const server = table.createPartition({ name: "server", memory: 16 * PAGE, onFailure: "defer" });
    const client = table.createPartition({ name: "client", memory: PAGE });
    for (let round = 0; round < 20; round++) {
      const { unitAddress } = table.connect(server, client);
      const lender = await table.spawn(server, REMOTE);
      const { worker } = await table.spawn(client, REMOTE);
      const borrower = new Remote(worker);
      const cookies = await new Remote(lender.worker).run(
        ({ partition }, unit) =>
          Array.from({ length: 400 }, (_, index) =>
            partition.grant({ to: unit as number, address: 0, length: 4096 * (1 + (index % 16)) }),
          ),
        unitAddress,
      );
      const isReady = await borrower.run(({ partition }, cookies) => {
        const mapped: Cookie[] = [];
        for (const cookie of cookies) {
          try {
            partition.accept(cookie as Cookie);
            mapped.push(cookie as Cookie);
          } catch {
            break; // no addresses left
          }
        }
        partition.view(4096, 4096);
        setTimeout(() => {
          while (true) {
            const cookie = mapped.pop();
            try {
              if (cookie !== undefined) partition.return(cookie);
            } catch {
              // its view holds it up
            }
          }
        }, 2);
        return mapped.length > 10;
      }, cookies);
      expect(isReady).toBe(true);
      void lender.worker.terminate();
      await sleep(round % 6);
      await worker.terminate();
      for (const partition of [client, server]) await stopped({ table, client: partition });
      expect(table.audit().problems).toEqual([]);
      for (const partition of [client, server]) {
        expect(partition.usage()).toEqual(NOTHING);
        table.restart(partition);
      }
    }
  });

  test("FA7: terminate() waits for those who borrow; reclaim() forces", async () => {
    const { table } = openTable({ clock: systemClock });
    const server = table.createPartition({ name: "server", memory: PAGE, onFailure: "defer" });
    const client = table.createPartition({ name: "client" });
    const { unitAddress } = table.connect(server, client);
    const handle = await table.spawn(server, REMOTE);
    const cookie = await new Remote(handle.worker).run(
      ({ partition }, unit) => partition.grant({ to: unit as number, address: 0, length: 4096 }),
      unitAddress,
    );
    const mapping = client.accept(cookie);
    const terminated = handle.terminate();
    expect(await Promise.race([terminated, sleep(150)])).toBeUndefined();
    expect(server.state).toBe("failed");
    client.store32(mapping.address, 1);
    table.reclaim(server);
    await within(terminated, "terminate()");
    expect(() => client.load32(mapping.address)).toThrow(expect.objectContaining({ code: "H_RESCINDED" }));
  });

  test("FA7: a wait for borrowers that nobody can end does not keep the process alive", async () => {
    const script = `
      import { ResourceTable } from "./dist/src/index.js";
      const table = ResourceTable.create({ memory: 16 * 4096 });
      const server = table.createPartition({ name: "server", memory: 4096, onFailure: "defer" });
      const client = table.createPartition({ name: "client" });
      const page = client.accept(server.grant({ to: table.connect(server, client), address: 0, length: 4096 }));
      const { worker } = await table.spawn(server, new URL("data:text/javascript,setInterval(()=>{},1e6)"));
      await worker.terminate();
      setTimeout(() => console.log(server.state, client.read(page.address, 1).length), 50);
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "--eval", script],
      { cwd: fileURLToPath(new URL("..", import.meta.url)), timeout: 10_000 },
    );
    expect(stdout).toBe("failed 1\n");
  });

  test("RS6, FA1: the frames of a view come back with the death of its thread", async () => {
    const world = await spawnPair();
    const { table, server, client, handle, remote } = world;
    const before = table.inspect().counters.framesFree;
    const cookie = await entangle(world);
    await remote.run(({ partition, kept }) => {
      kept.view = partition.view(0, 4096);
    });
    expect(await server.rescindForced(cookie)).toMatchObject({ pagesMoved: 1 });
    expect(client.usage()).toMatchObject({ pins: 2, quarantined: 1 });
    await handle.worker.terminate();
    await stopped(world);
    expect(client.usage()).toEqual(NOTHING);
    expect(table.inspect().counters).toMatchObject({
      framesFree: (before as number) + 4,
      framesQuarantined: 0,
    });
  });

  test("G4: what the old incarnation had has no power in the new one", async () => {
    const world = await spawnPair({ gracePeriodMs: 0 });
    const { table, server, client, handle, remote, adapter } = world;
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const own = await remote.run(({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      return partition.grant({ to: adapter, address: 0, length: 4096 });
    });
    await handle.terminate();
    table.restart(client);
    const fresh = table.connect(server, client);
    const again = new Remote((await table.spawn(client, REMOTE)).worker);
    const seen = await again.run(
      ({ partition }, { cookie, own, unit }) => {
        const code = (call: () => unknown): unknown => {
          try {
            return call();
          } catch (error) {
            return (error as HcallError).code;
          }
        };
        return [
          partition.incarnation,
          code(() => partition.accept(cookie)),
          code(() => partition.rescind(own)),
          code(() => partition.grant({ to: unit, address: 0, length: 4096 })),
          partition.adapters.length,
        ];
      },
      { cookie, own, unit: adapter.peer.unitAddress },
    );
    expect(seen).toEqual([2, "H_PARAMETER", "H_PARAMETER", "H_PARAMETER", 1]);
    const later = server.grant({ to: fresh, address: 0, length: PAGE });
    expect(await again.run(({ partition }, cookie) => partition.accept(cookie as Cookie).length, later)).toBe(
      PAGE,
    );
  });
});

describe("every wait is settled", { timeout: 30_000 }, () => {
  test("CQ5: messages() here end after the notice of the worker's death, also on a full ring", async () => {
    const { server, remote, adapter, handle } = await spawnPair();
    const messages = server.messages(adapter);
    const sent = await remote.run(({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      for (let i = 0; ; i++) {
        try {
          partition.send(adapter, Uint8Array.of(0x80, i & 0xff, ...new Uint8Array(14)));
        } catch (error) {
          return [i, (error as HcallError).code];
        }
      }
    });
    expect(sent).toEqual([256, "H_DROPPED"]);
    await handle.terminate();
    const seen: number[][] = [];
    const ended = (async () => {
      for await (const { header, format } of messages) seen.push([header, format]);
    })();
    await within(ended, "messages()");
    expect(seen.at(-1)).toEqual([0xff, 1]);
    expect(seen.slice(0, -1)).toEqual(Array.from({ length: 255 }, (_, i) => [0x80, i & 0xff]));
  });

  test("CQ5: death while both wait for messages of each other", async () => {
    const world = await spawnPair();
    const { server, remote, adapter, handle } = world;
    const waiting = server.messages(adapter).next();
    remote.send(async ({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      for await (const _ of partition.messages(adapter)) {
      }
    });
    await sleep(100);
    await handle.worker.terminate();
    expect(await within(waiting, "messages()")).toMatchObject({ value: { header: 0xff, format: 1 } });
    await stopped(world);
  });

  test("a worker's waits settle when the partner in the owner's thread fails", async () => {
    const { table, server, remote } = await spawnPair({ gracePeriodMs: 0 });
    const settled = remote.run(async ({ partition, kept }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      const entries: unknown[] = [];
      const events: string[] = [];
      kept.wait = (async () => {
        for await (const { type } of partition.events()) {
          events.push(type);
          if (type === "partner-recovered") break;
        }
      })();
      for await (const { header, format } of partition.messages(adapter)) entries.push([header, format]);
      await kept.wait;
      return { entries, events };
    });
    await remote.run(() => {}); // what runs there before has begun
    table.fail(server);
    expect(await within(settled, "messages() and events()")).toEqual({
      entries: [[0xff, 1]],
      events: ["partner-failed", "partner-recovered"],
    });
  });

  test("a worker's waits settle when its partner is a worker that dies", async () => {
    const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const a = await table.spawn(server, REMOTE);
    const b = new Remote((await table.spawn(client, REMOTE)).worker);
    await b.run(() => {});
    const settled = b.run(async ({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      const entries: unknown[] = [];
      for await (const { header, format } of partition.messages(adapter)) entries.push([header, format]);
      return entries;
    });
    await b.run(() => {});
    void a.worker.terminate();
    expect(await within(settled, "messages()")).toEqual([[0xff, 1]]);
    await stopped({ table, client: server });
  });

  test("rescindForced() in a worker settles when the client that held it up dies", async () => {
    const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const a = new Remote((await table.spawn(server, REMOTE)).worker);
    const b = await table.spawn(client, REMOTE);
    const remoteB = new Remote(b.worker);
    const cookie = await a.run(({ partition, kept }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      kept.cookie = partition.grant({ to: adapter, address: 0, length: 4096 });
      return kept.cookie;
    });
    const address = await remoteB.run(
      ({ partition }, cookie) => partition.accept(cookie as Cookie).address,
      cookie,
    );
    await stopInUse(remoteB);
    const rescinded = a.run(({ partition, kept }) => partition.rescindForced(kept.cookie as Cookie));
    await untilRescinded(client, address);
    void b.worker.terminate();
    expect(await within(rescinded, "rescindForced()")).toMatchObject({ waitedFor: [client.lpid] });
    await stopped({ table, client });
  });

  test("close() with live workers: streams end, waits for a recovery fail with LPAR_CLOSED, threads are gone", async () => {
    const world = openPair({ clock: systemClock, gracePeriodMs: 60_000 });
    const { table, server, client, adapter } = world;
    const handle = await table.spawn(client, REMOTE);
    const remote = new Remote(handle.worker);
    const exited = new Promise((resolve) => handle.worker.once("exit", () => resolve("exited")));
    const cookie = await remote.run(({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      return partition.grant({ to: adapter, address: 0, length: 4096 });
    });
    server.accept(cookie);
    const third = table.createPartition({ name: "third", memory: PAGE });
    const another = await table.spawn(third, REMOTE, { restart: "always" });
    const waits = [
      server.messages(adapter).next(),
      server.events().next(),
      third.events().next(),
      (async () => {
        for await (const _ of table.events()) {
        }
      })(),
    ];
    const terminated = handle.terminate();
    const recovered = table.recovered(client);
    const refused = Promise.allSettled([terminated, recovered]);
    await sleep(50);
    await within(table.close(), "close()");
    expect(await exited).toBe("exited");
    expect(await refused).toMatchObject([
      { status: "rejected", reason: { code: "LPAR_CLOSED" } },
      { status: "rejected", reason: { code: "LPAR_CLOSED" } },
    ]);
    for (const wait of waits) await within<unknown>(wait, "wait");
    await expect(within(table.recovered(client), "recovered()")).rejects.toMatchObject({
      code: "LPAR_CLOSED",
    });
    await within(another.terminate(), "terminate() after close()");
    await expect(table.spawn(client, REMOTE)).rejects.toMatchObject({ code: "LPAR_CLOSED" });
  });

  test("close() again, and the end of a table in `await using`: each waits until the threads have exited", async () => {
    const { table, client, server } = await spawnPair();
    const { worker } = await table.spawn(server, REMOTE);
    let exits = 0;
    worker.once("exit", () => exits++);
    const ends = [table.close(), table.close(), table[Symbol.asyncDispose]()];
    const seen = await within(Promise.all(ends.map((end) => end.then(() => exits))), "close()");
    expect(seen).toEqual([1, 1, 1]);
    await within(table.close(), "close() of a closed table");
    expect([client.state, server.state]).toEqual(["running", "running"]);
  });

  test("the death of the thread that owns the table ends its partitions", async () => {
    const beats = new Int32Array(new SharedArrayBuffer(4));
    const owner = new Worker(OWNER, { workerData: beats });
    while (Atomics.load(beats, 0) < 20) await sleep(5);
    await owner.terminate();
    await sleep(50);
    const last = Atomics.load(beats, 0);
    await sleep(100);
    expect(Atomics.load(beats, 0)).toBe(last);
  });
});

describe("starts that fail", { timeout: 30_000 }, () => {
  test("a module that does not exist is the partition's failure, with the reason", async () => {
    const world = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const { table, client } = world;
    const told = listen<TableEvent>((signal) => table.events({ signal }));
    await table.spawn(client, new URL("./nowhere.mjs", import.meta.url)).catch(() => {});
    await stopped(world);
    await told.stop();
    expect(types(told.seen)).toEqual(["partition-failed", "partition-recovered"]);
    expect(told.seen[0]?.reason).toMatch(/Cannot find module .*nowhere\.mjs/);
    table.restart(client);
    const { worker } = await table.spawn(client, REMOTE);
    expect(await new Remote(worker).run(({ partition }) => partition.state)).toBe("running");
  });

  test("a module that throws is the partition's failure, with the reason", async () => {
    const world = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const told = listen<TableEvent>((signal) => world.table.events({ signal }));
    await world.table.spawn(world.client, THROWS).catch(() => {});
    await stopped(world);
    await told.stop();
    expect(told.seen[0]?.reason).toBe("TypeError: incarnation 1 cannot live");
  });

  test("a thread that ends before it runs: spawn() rejects with LPAR_THREAD_ENDED, and there are no restarts", async () => {
    const world = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const { table, client } = world;
    const told = listen<TableEvent>((signal) => table.events({ signal }));
    const spawned = table.spawn(client, REMOTE, { restart: { max: 5, backoffMs: 1 } });
    table.fail(client, "too early");
    await expect(within(spawned, "spawn()")).rejects.toMatchObject({ code: "LPAR_THREAD_ENDED" });
    await stopped(world);
    await sleep(100);
    await told.stop();
    expect(types(told.seen)).toEqual(["partition-failed", "partition-recovered"]);
  });

  test("a signal ends the thread before it runs, and later", async () => {
    const world = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const { table, client } = world;
    await expect(table.spawn(client, REMOTE, { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/);
    expect(client.state).toBe("running");
    const early = new AbortController();
    const spawned = table.spawn(client, REMOTE, { signal: early.signal });
    early.abort(new Error("changed my mind"));
    await expect(within(spawned, "spawn()")).rejects.toThrow("changed my mind");
    await stopped(world);
    table.restart(client);
    const late = new AbortController();
    await table.spawn(client, REMOTE, { signal: late.signal, restart: "always" });
    late.abort();
    await stopped(world);
    await sleep(200);
    expect(client.state).toBe("stopped");
  });
});

describe("FA8: restart policies", { timeout: 30_000 }, () => {
  test('"never", the default: it stays stopped', async () => {
    const world = await spawnPair({ gracePeriodMs: 0 });
    await world.handle.worker.terminate();
    await stopped(world);
    await sleep(150);
    expect(world.client.state).toBe("stopped");
    expect(world.client.incarnation).toBe(1);
  });

  test('"always": each time a new incarnation and another thread, until terminate()', async () => {
    const world = await spawnPair({ gracePeriodMs: 0 }, { restart: { max: 100, backoffMs: 1 } });
    const { table, client, handle } = world;
    const threads = new Set<Worker>();
    for (let incarnation = 1; incarnation <= 5; incarnation++) {
      expect(client.incarnation).toBe(incarnation);
      const { worker } = handle;
      threads.add(worker);
      const remote = new Remote(worker);
      expect(await remote.run(({ partition }) => partition.incarnation)).toBe(incarnation);
      remote.send(() => process.exit(0));
      for (let turn = 0; handle.worker === worker && turn < 2000; turn++) await sleep(2);
    }
    expect(threads.size).toBe(5);
    await within(handle.terminate(), "terminate()");
    await sleep(50);
    expect(client.state).toBe("stopped");
    expect(await nextOf(table.events())).toMatchObject({ type: "partition-failed" });
  });

  test('"always": a restart that finds the table locked before a resource is assigned goes on with it', async () => {
    const world = await spawnPair({ gracePeriodMs: 0 }, { restart: { max: 100, backoffMs: 1 } });
    const { table, client, handle } = world;
    table.assign(client, { type: "interrupt", address: 0, length: 1 });
    const kernel = kernelOf(table) as { core: { assignResource(...all: number[]): number } };
    const { core } = kernel;
    let refusals = 3;
    const assignResource = (...all: number[]): number =>
      refusals-- > 0 ? H_LONG_BUSY_10_MSEC : core.assignResource(...all);
    kernel.core = { ...core, assignResource };
    const { worker } = handle;
    await worker.terminate();
    for (let turn = 0; handle.worker === worker && turn < 2000; turn++) await sleep(2);
    kernel.core = core;
    const remote = new Remote(handle.worker);
    expect(await remote.run(({ partition }) => partition.translate(0, { type: "interrupt" }))).toBe(0);
    expect([client.incarnation, refusals]).toEqual([2, -1]);
    await handle.terminate();
  });

  test("a crash loop ends with partition-given-up, after the restarts that were allowed, later and later", async () => {
    const world = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const { table, client } = world;
    const told = listen<TableEvent>((signal) => table.events({ signal }));
    await table.spawn(client, THROWS, { restart: { max: 3, backoffMs: 20 } }).catch(() => {});
    for (let turn = 0; types(told.seen).at(-1) !== "partition-given-up" && turn < 2000; turn++)
      await sleep(5);
    await told.stop();
    const cycle = ["partition-failed", "partition-recovered", "partition-restarted"];
    expect(types(told.seen)).toEqual([
      ...cycle,
      ...cycle,
      ...cycle,
      "partition-failed",
      "partition-recovered",
      "partition-given-up",
    ]);
    expect(told.seen.at(-1)?.reason).toBe("it ended after 3 restarts: TypeError: incarnation 4 cannot live");
    const waits = [0, 1, 2].map((n) => (told.seen[3 * n + 2]?.at ?? 0) - (told.seen[3 * n + 1]?.at ?? 0));
    for (const [index, wait] of waits.entries()) expect(wait).toBeGreaterThan(20 * 2 ** index - 2);
    expect(client.state).toBe("stopped");
  });

  test("terminate() during the back-off, destroyPartition() during the back-off, close() during it: no restart", async () => {
    const world = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const { table, server, client } = world;
    const third = table.createPartition({ name: "third", memory: PAGE });
    const options: SpawnOptions = { restart: { max: 9, backoffMs: 150 } };
    const handles = await Promise.all(
      [server, client, third].map((one) => table.spawn(one, REMOTE, options)),
    );
    for (const { worker } of handles) await worker.terminate();
    for (const one of [server, client, third]) await stopped({ table, client: one });
    await handles[0]?.terminate();
    await table.destroyPartition(client);
    await sleep(250);
    expect(server.state).toBe("stopped");
    expect(third.incarnation).toBe(2);
    await handles[2]?.worker.terminate();
    await stopped({ table, client: third });
    await table.close();
  });

  test("a partition that somebody else restarts is left to them", async () => {
    const world = await spawnPair({ gracePeriodMs: 0 }, { restart: { max: 9, backoffMs: 50 } });
    const { table, client, handle } = world;
    await handle.worker.terminate();
    await stopped(world);
    table.restart(client);
    await sleep(120);
    expect([client.incarnation, client.state]).toEqual([2, "running"]);
    const { worker } = await table.spawn(client, REMOTE);
    // The first handle has lost its power over the partition.
    await handle.terminate();
    expect(await new Remote(worker).run(({ partition }) => partition.state)).toBe("running");
  });
});

describe("RSS and slots", { timeout: 60_000 }, () => {
  test("60 deaths in a table with two slots leave nothing behind", async () => {
    const { table } = openTable({ clock: systemClock, threads: 2, gracePeriodMs: 0 });
    const client = table.createPartition({ name: "mayfly", memory: 4 * PAGE });
    const before = table.inspect().counters;
    for (let round = 0; round < 60; round++) {
      const { worker } = await table.spawn(client, REMOTE);
      if (round % 2 === 0) await new Remote(worker).run(({ partition }) => void partition.createBatch(5000));
      await worker.terminate();
      await stopped({ table, client });
      table.restart(client);
    }
    expect(table.inspect().counters).toEqual(before);
    expect(client.incarnation).toBe(61);
  });
});

async function nextOf(events: AsyncIterableIterator<TableEvent>): Promise<TableEvent> {
  const { value } = await within(events.next(), "event");
  await events.return?.();
  return value;
}

// ---------------------------------------------------------------- inside the worker: states that only bad luck brings

/** Is in the middle of a checked access, as a read is that stops half way. */
function enterUse({ layout, handle }: Inside): void {
  const words = new Uint32Array(handle.memory.buffer);
  const thread = (words[layout.HEADER_THREADS_AT / 4] ?? 0) + handle.slot * layout.THREAD_BYTES;
  Atomics.store(words, (thread + layout.THREAD_EPOCH) / 4, Atomics.load(words, layout.HEADER_EPOCH / 4));
}

/** The thread of a partition stops between the beginning and the end of a checked access. */
async function stopInUse(remote: Remote): Promise<void> {
  await remote.run(enterUse);
  remote.send(freeze);
}

/** A forced rescind has begun to take what is at this address. */
async function untilRescinded(partition: Partition, address: number): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    try {
      partition.translate(address);
    } catch (error) {
      if (error instanceof HcallError && error.code === "H_RESCINDED") return;
      throw error;
    }
    await sleep(2);
  }
  throw new Error("no rescind has begun");
}

/** Never comes back. */
function freeze(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
