/** Lends and donations between real threads (OM2, OM5, OM8; DESIGN.md, 3.13). */
import { expect, test } from "vitest";
import { type Partition, type PartitionWorker, systemClock } from "../src/index.js";
import { REMOTE, Remote, sleep } from "./support/remote.js";
import { patiently } from "./support/turns.js";
import { auditedAfterEach, openPair, PAGE, type Pair, statusOf } from "./support/world.js";

auditedAfterEach();

const ROUNDS = 40;

interface Threaded extends Pair {
  readonly handle: PartitionWorker;
  readonly remote: Remote;
}

/** The client is a worker. */
async function spawnPair(clientPages: number): Promise<Threaded> {
  const pair = openPair({ clock: systemClock, gracePeriodMs: 50, clientPages, lmbPages: 4 });
  const handle = await pair.table.spawn(pair.client, REMOTE);
  return { ...pair, handle, remote: new Remote(handle.worker) };
}

/** Writes until it is refused, as often as it comes round; the last number that was written. */
function writeUntilRefused(remote: Remote, address: number): Promise<{ written: number; code: string }> {
  return remote.run(({ partition, lpar }, address) => {
    for (let number = 1; ; number++) {
      try {
        partition.store32(address, number);
        partition.write(address + 8, new Uint8Array(64).fill(number));
      } catch (error) {
        if (!(error instanceof lpar.HcallError)) throw error;
        if (error.code !== "H_LongBusyOrder10msec") return { written: number, code: error.code };
      }
    }
  }, address);
}

async function lendUnder(client: Partition, server: Partition, remote: Remote): Promise<number> {
  const writing = writeUntilRefused(remote, 0);
  await sleep(2);
  // The same partition, by its object in this thread: its worker writes meanwhile.
  const cookie = await patiently(() => client.grant({ to: server, address: 0, length: PAGE, mode: "lend" }));
  const mapping = server.accept(cookie);
  const first = server.read(mapping.address, 128);
  const { written, code } = await writing;
  expect(code).toBe("H_RESOURCE");
  expect(server.read(mapping.address, 128)).toEqual(first);
  server.fill(mapping.address, 128, 0);
  mapping.return();
  await patiently(() => client.rescind(cookie));
  return written;
}

test("OM2, G6: no write of the lender in another thread lands after the lend was granted", {
  timeout: 120_000,
}, async () => {
  const { server, client, remote } = await spawnPair(4);
  let writes = 0;
  for (let round = 0; round < ROUNDS; round++) writes += await lendUnder(client, server, remote);
  expect(writes).toBeGreaterThan(ROUNDS);
  expect(client.usage()).toMatchObject({ pagesLent: 0, grantsOut: 0 });
});

test("OM5, FA5: a borrower that dies in the middle of a write leaves zeros", {
  timeout: 60_000,
}, async () => {
  const { table, server, client, handle, remote } = await spawnPair(0);
  const cookie = server.grant({ to: client, address: 0, length: 4 * PAGE, mode: "lend", zero: true });
  const writing = remote.run(({ partition }, cookie) => {
    const mapping = partition.accept(cookie);
    for (let round = 1; ; round++) partition.fill(mapping.address, mapping.length, 1 + (round & 127));
  }, cookie);
  writing.catch(() => {});
  await sleep(100);
  expect(statusOf(() => server.read(0, 1))).not.toBe(0);
  await handle.terminate();
  await table.recovered(client);
  expect(server.read(0, 4 * PAGE)).toEqual(new Uint8Array(4 * PAGE));
  expect(server.usage()).toMatchObject({ pagesLent: 0, grantsOut: 0 });
});

test("OM8: a worker accepts a donation, and its memory ends with it", { timeout: 60_000 }, async () => {
  const { table, server, client, handle, remote } = await spawnPair(0);
  server.fill(0, PAGE, 7);
  const cookie = server.grant({ to: client, address: 0, length: 4 * PAGE, mode: "donate" });
  const seen = await remote.run(({ partition }, cookie) => {
    const mapping = partition.accept(cookie);
    partition.store32(mapping.address + 4, 5);
    return [mapping.mode, partition.read(mapping.address, 1)[0], partition.usage().pagesOwned];
  }, cookie);
  expect(seen).toEqual(["donate", 7, 4]);
  expect([server.usage().pagesOwned, client.usage().pagesOwned]).toEqual([12, 4]);
  await handle.terminate();
  await table.recovered(client);
  expect(table.inspect().counters.framesFree).toBe(52);
});
