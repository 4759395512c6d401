/** Transfers within a use: each page has the right, staging is taken before the use, and a return does not wait for ever (G6, TR3). */
import { expect, test } from "vitest";
import { kernelOf } from "../src/kernel.js";
import {
  H_LONG_BUSY_10_MSEC,
  H_PERMISSION,
  H_SUCCESS,
  HEADER_EPOCH,
  HEADER_THREADS_AT,
  THREAD_BYTES,
  THREAD_EPOCH,
} from "../src/layout.js";
import { auditedAfterEach, bytesOf, openPair, PAGE, type Pair, statusOf } from "./support/world.js";

auditedAfterEach();

/** Joins another thread to the table, and answers the index of its epoch, by which it would say that it is in a use. */
function openThread({ table, client }: Pair): { readonly slot: number; readonly epoch: number } {
  const { core, memory } = kernelOf(table);
  expect(core.openThread(client.lpid)).toBe(H_SUCCESS);
  const slot = memory.result;
  return {
    slot,
    epoch: (memory.header(HEADER_THREADS_AT) + slot * THREAD_BYTES + THREAD_EPOCH) / 4,
  };
}

test.each(["read", "write"] as const)(
  "AC6, TR3: pages that may do less than when a %s began, as another mapping is there now, are refused",
  (what) => {
    const { table, server, client, adapter } = openPair();
    server.write(0, bytesOf(4 * PAGE, 1));
    const inhibited = what === "read" ? { read: false } : { write: false };
    const { address } = client.accept(
      server.grant({ to: adapter, address: 0, length: 4 * PAGE, ...inhibited }),
    );
    const { transfer } = kernelOf(table);
    const array = new Uint8Array(4 * PAGE - 100);
    expect(statusOf(() => transfer[what](client.lpid, address + 50, -1, array, array.length))).toBe(
      H_PERMISSION,
    );
    expect(array.every((byte) => byte === 0)).toBe(true);
    expect(server.read(0, 4 * PAGE)).toEqual(bytesOf(4 * PAGE, 1));
  },
);

test("G6: staging is taken before a use begins, which taking it would end", () => {
  const pair = openPair();
  const { table, server } = pair;
  const { slot } = openThread(pair);
  const kernel = kernelOf(table) as { core: { takeStaging(pages: number): number } };
  const { memory } = kernelOf(table);
  const { core } = kernel;
  const epochs: number[] = [];
  const takeStaging = (pages: number): number => {
    epochs.push(memory.header(memory.thread + THREAD_EPOCH));
    return core.takeStaging(pages);
  };
  kernel.core = { ...core, takeStaging };
  try {
    server.write(3, bytesOf(3 * PAGE, 1));
    expect(server.read(3, 3 * PAGE)).toEqual(bytesOf(3 * PAGE, 1));
  } finally {
    kernel.core = core;
  }
  // None where the platform moves bytes however they lie.
  expect(epochs.every((epoch) => epoch === 0)).toBe(true);
  expect(kernelOf(table).core.reapThread(slot)).toBe(H_SUCCESS);
});

test("RE6, FA5: a return that waits for a use which does not end gives up, and succeeds when it has ended", () => {
  const pair = openPair();
  const { table, server, client, adapter } = pair;
  const { core, memory } = kernelOf(table);
  const mapping = client.accept(
    server.grant({ to: adapter, address: 0, length: 2 * PAGE, copyOnWrite: true }),
  );
  client.store32(mapping.address, 1);
  const { slot, epoch } = openThread(pair);
  memory.words[epoch] = memory.header(HEADER_EPOCH);
  expect(statusOf(() => mapping.return())).toBe(H_LONG_BUSY_10_MSEC);
  expect(statusOf(() => client.read(mapping.address, 1))).not.toBe(H_SUCCESS);
  memory.words[epoch] = 0;
  mapping.return();
  expect(client.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 1, copies: 0 });
  expect(core.reapThread(slot)).toBe(H_SUCCESS);
});

/** As one over shared memory that another thread lets grow: once it was asked for its length, it has another one. */
class Growing extends Uint8Array {
  static get [Symbol.species](): Uint8ArrayConstructor {
    return Uint8Array;
  }

  readonly first: number;
  asked = 0;

  constructor(length: number, first: number) {
    super(length);
    this.first = first;
  }

  override get length(): number {
    return this.asked++ === 0 ? this.first : super.length;
  }
}

test.each([
  ["64 bytes", 64, 1],
  ["64 bytes of a table of one thread", 64, 0],
  ["two pages", 2 * PAGE, 1],
])(
  "TR3: of an array that grows meanwhile %s are moved, and nothing of the next partition's frame",
  (_, length, threads) => {
    const { server, client } = openPair({ threads });
    client.fill(0, 2 * PAGE, 5);
    const last = 16 * PAGE - length;
    server.fill(last, length, 7);
    const target = new Growing(4 * PAGE, length);
    server.readInto(last, target);
    expect(target.indexOf(0)).toBe(length);
    server.write(last, new Growing(4 * PAGE, length).fill(9));
    expect(server.read(last, length)).toEqual(new Uint8Array(length).fill(9));
    expect(client.read(0, 2 * PAGE)).toEqual(new Uint8Array(2 * PAGE).fill(5));
  },
);

test("KI4: putIndirect() of what makes another such call when it is read maps what it was given", () => {
  const { table, server, client } = openPair();
  for (const partition of [server, client])
    table.assign(partition, { type: "dma", address: 0, length: 2 * PAGE, liobn: partition.lpid });
  const addresses = {
    length: 2,
    0: PAGE,
    get 1(): number {
      client.dma.putIndirect(client.lpid, 0, [3 * PAGE, 3 * PAGE]);
      return 2 * PAGE;
    },
  };
  server.dma.putIndirect(server.lpid, 0, addresses);
  expect([0, PAGE].map((ioba) => server.dma.get(server.lpid, ioba)?.address)).toEqual([PAGE, 2 * PAGE]);
});
