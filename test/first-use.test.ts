/** What programs do with objects that they were given, and that is easily got wrong: to log them, to pass on, to use too late. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, test } from "vitest";
import type { ReturnMessage } from "../src/diagnostics.js";
import { type Mapping, ResourceTable } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_PARAMETER, H_SUCCESS, TYPE_MEMORY } from "../src/layout.js";
import { auditedAfterEach, openPair, PAGE } from "./support/world.js";

auditedAfterEach();

test("an adapter can be logged as JSON, with both partitions", () => {
  const { adapter, server, client } = openPair();
  const logged = JSON.parse(JSON.stringify({ adapter, peer: adapter.peer }));
  expect(logged.adapter.owner.name).toBe("server");
  expect(logged.adapter.partner.name).toBe("client");
  expect(logged.peer.unitAddress).toBe(adapter.peer.unitAddress);
  expect(adapter.peer.peer).toBe(adapter);
  expect([adapter.owner, adapter.peer.owner]).toEqual([server, client]);
});

test("the cookie that an event or a message names is one, to be given to calls as it is", async () => {
  const { server, client, adapter } = openPair();
  const returned: number[] = [];
  const listener = (message: unknown): void => {
    const { partition, cookie }: ReturnMessage = message as ReturnMessage;
    if (partition === client) server.rescind(cookie);
    returned.push(cookie);
  };
  client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
  const second = server.grant({ to: adapter, address: 0, length: PAGE });
  client.accept(second).return();
  expect(server.takeEvent()?.type).toBe("returned");
  subscribe("lpar:return", listener);
  const taken = server.rescindForced(client.accept(second).cookie, { deadline: 1000 });
  const asked = client.takeEvent();
  expect(asked?.type).toBe("rescind-requested");
  if (asked?.cookie !== undefined) client.return(asked.cookie);
  unsubscribe("lpar:return", listener);
  expect(returned).toEqual([second]);
  await taken;
});

test("RE1: who accepts a grant again when it is told of its return can return that, too", () => {
  const { server, client, adapter } = openPair();
  const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
  client.accept(cookie);
  let again: Mapping | undefined;
  const listener = ({ cookie }: ReturnMessage): void => {
    again ??= client.accept(cookie);
  };
  subscribe("lpar:return", listener as () => void);
  client.return(cookie);
  again?.return();
  unsubscribe("lpar:return", listener as () => void);
  expect(client.usage().pagesMapped).toBe(0);
});

test("RE1: who returns a mapping once more when it is told of its return does nothing by that, to what it has accepted anew either", () => {
  const { server, client, adapter } = openPair();
  const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
  const mapping = client.accept(cookie);
  const second = client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
  const told: number[] = [];
  const listener = ({ cookie }: ReturnMessage): void => {
    told.push(cookie);
    if (told.length === 2) client.accept(cookie);
    (cookie === mapping.cookie ? mapping : second).return();
  };
  subscribe("lpar:return", listener as () => void);
  second.return();
  mapping.return();
  unsubscribe("lpar:return", listener as () => void);
  expect(told).toEqual([second.cookie, cookie]);
  expect(client.usage().pagesMapped).toBe(1);
});

test.each([0, 1])("a batch of requests says how many succeeded, with %i threads besides", (threads) => {
  const { table, h, server, client, unit } = openPair(threads === 0 ? { threads } : {});
  if (threads > 0) kernelOf(table).core.openThread(client.lpid);
  // More than one block, of which each fourth asks for a page that there is not.
  const count = 70;
  using requests = h.createRequests(count);
  for (let index = 0; index < count; index++)
    requests.grant(index, server.lpid, TYPE_MEMORY, 0, index % 4 === 3 ? 2 ** 40 : 0, PAGE, unit);
  expect(requests.run(count)).toBe(53);
  for (let index = 0; index < count; index++)
    expect(requests.status(index)).toBe(index % 4 === 3 ? H_PARAMETER : H_SUCCESS);
  expect(requests.run(0)).toBe(0);
});

test("what is put into a batch of requests after its end reaches nobody", () => {
  const { h, server, unit } = openPair();
  const first = h.createRequests(1);
  first[Symbol.dispose]();
  using second = h.createRequests(1);
  second.grant(0, server.lpid, TYPE_MEMORY, 0, 0, PAGE, unit);
  first.rescind(0, server.lpid, 1, 5);
  second.run(1);
  expect(second.status(0)).toBe(H_SUCCESS);
  expect(() => first.run(1)).toThrow("it was disposed");
  expect(h.rescindLogical(server.lpid, 0, second.result(0))).toBe(H_SUCCESS);
});

test("what answers with a promise refuses by it, also where the table is closed", async () => {
  const { table, server } = openPair();
  await table.close();
  const calls = [
    () => table.deduplicate(),
    () => table.compact(),
    () => table.destroyPartition(server),
    () => table.spawn(server, new URL("file:///none")),
    () => server.migrate(0, PAGE),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "LPAR_CLOSED" });
});

test.each([undefined, { memory: PAGE }])("new ResourceTable(%j) says how a table is made", (options) => {
  const construct = () => Reflect.construct(ResourceTable, [options]);
  expect(construct).toThrow(new TypeError("a table is made by ResourceTable.create()"));
});

test.each([undefined, null, 5, "a", {}])(
  "%s is no partition: every call that takes one says so",
  async (none) => {
    const { table, server, client } = openPair();
    const partition = none as never;
    const group = table.group("all");
    const refused = new TypeError(`the partition is ${none}; it must be a Partition`);
    for (const call of [
      () => table.connect(partition, client),
      () => table.connect(client, partition),
      () => table.fail(partition),
      () => table.restart(partition),
      () => table.raise(partition, 0),
      () => table.attach(partition, {} as never),
      () => table.assign(partition, { type: "mmio", address: 0, length: PAGE }),
      () => group.join(partition),
    ])
      expect(call).toThrow(refused);
    for (const promise of [
      table.recovered(partition),
      table.destroyPartition(partition),
      table.spawn(partition, new URL("file:///none.mjs")),
    ])
      await expect(promise).rejects.toThrow(refused);
    expect(() => server.copy(0, partition, 0, 16)).toThrow(
      new TypeError(`the partner is ${none}; it must be a Partition`),
    );
  },
);

test("FA2, G4: what tells of a failure and of its recovery says which incarnation that was", async () => {
  const { table, server, client } = openPair({ gracePeriodMs: 0 });
  for (const incarnation of [1, 2]) {
    expect(client.incarnation).toBe(incarnation);
    table.fail(client);
    await table.recovered(client);
    table.restart(client);
    table.connect(server, client);
  }
  const told = Array.from({ length: 4 }, () => server.takeEvent());
  expect(told).toMatchObject([
    { type: "partner-failed", partner: client.lpid, incarnation: 1 },
    { type: "partner-recovered", partner: client.lpid, incarnation: 1 },
    { type: "partner-failed", partner: client.lpid, incarnation: 2 },
    { type: "partner-recovered", partner: client.lpid, incarnation: 2 },
  ]);
  expect(server.takeEvent()).toBeUndefined();
});
