/** What programs without types give: texts for numbers, as they come from JSON or a command line, 0 and 1 for booleans. */
import { expect, test } from "vitest";
import {
  type DeviceModel,
  openGuest,
  prometheusText,
  ResourceTable,
  type TableSnapshot,
} from "../src/index.js";
import { parseSnapshot } from "../src/inspect/parse.js";
import { kernelOf } from "../src/kernel.js";
import { auditedAfterEach, openPair, PAGE, shared } from "./support/world.js";

auditedAfterEach();

function asNumber(text: string): number {
  return text as unknown as number;
}

test("TR4: a view whose length is a text is as long as its number, and shows nobody else's memory", () => {
  const { server } = openPair();
  using view = server.view(asNumber("4096"), asNumber("4096"));
  expect(view.bytes.length).toBe(PAGE);
  view.bytes[0] = 7;
  expect([...server.read(PAGE, 2)]).toEqual([7, 0]);
  expect(() => server.view(0, 4096n as unknown as number)).toThrow(TypeError);
});

/** How bytes are moved that are not copied at once, whatever the platform has (TableMemory.leastMoved). */
const WAYS: readonly [way: string, leastMoved: number][] = [
  ["page by page", 1],
  ["through staging", Number.POSITIVE_INFINITY],
];

test.each(WAYS)(
  "TR3: an address in a text is that of its number, also where the bytes are in pieces, %s",
  (_, leastMoved) => {
    const { h, table, server, client, unit } = openPair();
    Object.assign(kernelOf(table).memory, { leastMoved });
    for (let page = 0; page < 16; page++) server.fill(page * PAGE, PAGE, page);
    const base = shared(h, server, unit, client, 9 * PAGE).address;
    for (const page of [3, 12]) shared(h, server, unit, client, page * PAGE);
    const read = client.read(asNumber(`${base + PAGE - 1}`), PAGE + 2);
    expect([read[0], read[1], read[PAGE], read[PAGE + 1]]).toEqual([9, 3, 3, 12]);
    client.write(asNumber(`${base + PAGE}`), new Uint8Array(2 * PAGE).fill(77));
    expect([3, 12, 9].map((page) => server.read(page * PAGE, 1)[0])).toEqual([77, 77, 9]);
    // In one piece, but not as the array is aligned.
    const target = new Uint8Array(1003).subarray(3);
    server.readInto(asNumber("4096"), target);
    expect([...new Set(target)]).toEqual([1]);
  },
);

function asBoolean(value: unknown): boolean {
  return value as boolean;
}

test("GR5: what is given for a right and is not true is none, of grants and of members of groups", async () => {
  const { table, server, client, adapter } = openPair();
  for (const no of [0, null, ""].map(asBoolean)) {
    const grant = server.grant({ to: adapter, address: 0, length: PAGE, write: no, regrant: no });
    const { readable, writable, regrantable } = client.accept(grant);
    expect([readable, writable, regrantable]).toEqual([true, false, false]);
    expect(client.accept(server.grant({ to: adapter, address: 0, length: PAGE, read: no })).readable).toBe(
      false,
    );
    const group = table.group(`without ${no}`);
    group.add({ owner: server, address: 0, length: PAGE });
    expect(group.join(client, { write: no }).mapping(0)?.writable).toBe(false);
    await group.close();
  }
});

test("what is asked for with 1 instead of true is not left out", () => {
  const { server, client, adapter } = openPair();
  const yes = asBoolean(1);
  const copies = client.accept(server.grant({ to: adapter, address: 0, length: PAGE, copyOnWrite: yes }));
  client.fill(copies.address, PAGE, 7);
  expect(server.read(0, 1)[0]).toBe(0);
  const lent = server.grant({ to: adapter, address: PAGE, length: PAGE, mode: "lend", zero: yes });
  const loan = client.accept(lent);
  client.fill(loan.address, PAGE, 7);
  loan.return();
  server.rescind(lent);
  expect(server.read(PAGE, 1)[0]).toBe(0);
  const page = client.accept(server.grant({ to: adapter, address: 2 * PAGE, length: PAGE, write: false }));
  expect(() => client.translate(page.address, { write: yes })).toThrow("H_PERMISSION");
  using batch = client.createBatch(2);
  batch.addresses.set([page.address, 0]);
  expect(batch.run(2, { write: yes, stopAtFault: yes })).toBe(0);
});

test("what is no model, no snapshot, no partition and not the core's module is refused where it is given", () => {
  const { table, server } = openPair();
  table.assign(server, { type: "mmio", address: 0, length: PAGE });
  const model = (given: unknown) => () => server.mmio.serve(0, given as DeviceModel);
  for (const none of [undefined, null, 5, "model"])
    expect(model(none)).toThrow(new TypeError(`the model is ${none}; it must be a DeviceModel`));
  model({ read: () => 7, write() {} })();
  expect(server.mmio.load32(0)).toBe(7);
  for (const none of [undefined, null, table, {}])
    expect(() => prometheusText(none as TableSnapshot)).toThrow(
      /^the snapshot is .* table\.inspect\(\) answers/,
    );
  for (const none of [undefined, {}, table])
    expect(() => openGuest(none as never, Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0))).toThrow(
      /^the partition is .*; it must be a Partition$/,
    );
  const module = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  expect(() => ResourceTable.create({ memory: PAGE, module })).toThrow("different versions");
});

test("the reason of a failure is a text, in events and snapshots, if it was an error, too", async () => {
  const { table, server, client } = openPair({ gracePeriodMs: 0 });
  const events = table.events();
  for (const [partition, reason, text] of [
    [server, new RangeError("a bug"), "RangeError: a bug"],
    [client, null, "null"],
  ] as const) {
    table.fail(partition, reason as unknown as string);
    await table.recovered(partition);
    expect((await events.next()).value).toMatchObject({ type: "partition-failed", reason: text });
    expect((await events.next()).value).toMatchObject({ type: "partition-recovered" });
    const snapshot = parseSnapshot("it", JSON.stringify(table.inspect()));
    expect(snapshot.events.findLast(({ type }) => type === "partition-failed")?.detail).toBe(text);
  }
});

test("FA8: a resource that a class describes is there again after a restart", async () => {
  class Bell {
    readonly type = "ipi";
    readonly address = 3;
    get length(): number {
      return 1;
    }
  }
  const { table, server } = openPair({ gracePeriodMs: 0 });
  table.assign(server, new Bell());
  table.fail(server);
  await table.recovered(server);
  table.restart(server);
  server.ring(3);
  expect(server.takeEvent()).toMatchObject({ type: "doorbell", address: 3 });
});
