/** What a refused call says: what was wrong, and what is allowed. */
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import type { GrantOptions } from "../src/grant-options.js";
import { compileGuest } from "../src/index.js";
import type { Cookie } from "../src/mapping.js";
import { at, auditedAfterEach, bytesOf, openPair, openTable, PAGE } from "./support/world.js";

auditedAfterEach();

test("what is no array of bytes is neither read into nor written nor sent, but a TypeError", () => {
  const { table, server, client, adapter } = openPair();
  client.registerQueue(adapter.peer, 0, PAGE);
  table.assign(server, { type: "dma", address: 0, length: PAGE });
  server.dma.put(0, 0, PAGE);
  const device = server.dma.device();
  server.fill(PAGE, 4 * PAGE, 7);
  const wrong: unknown[] = ["text", "x".repeat(2 * PAGE), [1, 2], new Uint16Array(16).fill(0x80), 16, null];
  wrong.push(undefined, { length: 16 }, new ArrayBuffer(16), new DataView(new ArrayBuffer(16)));
  wrong.push(Float64Array.of(1.5), new Uint16Array(2 * PAGE));
  for (const value of wrong) {
    const bytes = value as Uint8Array;
    expect(() => server.write(PAGE, bytes)).toThrow(new TypeError("the source must be a Uint8Array"));
    expect(() => server.readInto(PAGE, bytes)).toThrow(new TypeError("the target must be a Uint8Array"));
    expect(() => device.write(0, bytes)).toThrow(new TypeError("the source must be a Uint8Array"));
    expect(() => device.readInto(0, bytes)).toThrow(new TypeError("the target must be a Uint8Array"));
    expect(() => server.send(adapter, bytes)).toThrow(new TypeError("the entry must be a Uint8Array"));
  }
  expect(server.read(PAGE, 4 * PAGE).every((byte) => byte === 7)).toBe(true);
  expect(client.receive(adapter.peer)).toBeUndefined();
});

test("bytes are bytes, of whatever class or realm", () => {
  const { server } = openPair();
  const others = [Buffer.from([1, 2, 3]), Uint8ClampedArray.of(1, 2, 3), Int8Array.of(1, 2, 3)];
  for (const bytes of [...others, runInNewContext("Uint8Array.of(1, 2, 3)")] as Uint8Array[]) {
    server.fill(0, 3, 0);
    server.write(0, bytes);
    expect(server.read(0, 3)).toEqual(bytesOf(3, 1));
    bytes.fill(0);
    server.readInto(0, bytes);
    expect([...bytes]).toEqual([1, 2, 3]);
  }
  const empty = runInNewContext("Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)") as Uint8Array;
  expect(compileGuest(empty)).toBeInstanceOf(WebAssembly.Module);
});

test("a refused grant says what can be granted, and what is used up", async () => {
  const { table, server, client, adapter } = openPair({ lmbPages: 4, quota: 2 });
  const refusal = (options: Partial<GrantOptions>): unknown => {
    try {
      return server.grant({ to: adapter, address: 0, length: PAGE, ...options });
    } catch (error) {
      return (error as Error).message;
    }
  };
  const whole = /: only whole pages inside one LMB, window or accepted grant can be granted\)$/;
  for (const range of [
    { address: 1 },
    { length: 100 },
    { length: 0 },
    { length: 5 * PAGE },
    { address: PAGE * 16 },
  ])
    expect(refusal(range)).toMatch(whole);
  expect(refusal({ type: "mmio" })).toMatch(whole);
  const donated =
    /^H_GRANT_LOGICAL: H_PARAMETER \(donate of .*: only one whole LMB can be donated, with all rights\)$/;
  expect(refusal({ mode: "donate" })).toMatch(donated);
  expect(refusal({ mode: "donate", length: 4 * PAGE, write: false })).toMatch(donated);
  // What has another reason is not told a wrong one.
  expect(refusal({ type: "interrupt" })).toMatch(/unit address \d+\)$/);
  expect(refusal({ zero: true })).toMatch(/: only a lend can be zero when it ends\)$/);
  for (const other of [{ write: false }, { read: false }, { address: 1 }, { type: "mmio" }] as const)
    expect(refusal({ copyOnWrite: true, ...other })).toMatch(
      /: only whole pages .* can be copied on write, of memory alone, with the rights to read and write\)$/,
    );
  expect(refusal({ to: 12345 })).toMatch(/unit address 12345: there is no such adapter, or no longer\)$/);
  for (let count = 0; count < 2; count++) refusal({});
  expect(refusal({})).toMatch(/H_NO_MEM .*: the quota of the adapter, 2, is used up\)$/);
  table.fail(client);
  await table.recovered(client);
  expect(refusal({})).toMatch(/H_PARAMETER .*: there is no such adapter, or no longer\)$/);
});

test("what a table is out of is named: by an option, or by the bytes that are free", () => {
  const { table } = openTable({ partitions: 3, grants: 8, adapters: 1 });
  const make = (memory = 0, lmb = PAGE) => table.createPartition({ name: "one", memory, lmb });
  expect(() => make(65 * PAGE, PAGE)).toThrow(/: 262144 are free\)$/);
  expect(() => make(9 * PAGE)).toThrow(/: TableOptions.grants limits them\)$/);
  const [one, two] = [make(7 * PAGE), make()];
  expect(() => make(58 * PAGE)).toThrow(/: 233472 are free\)$/);
  const adapter = table.connect(one, two);
  expect(() => table.connect(one, two)).toThrow('("one" to "one": TableOptions.adapters limits them)');
  one.grant({ to: adapter, address: 0, length: PAGE });
  expect(() => one.grant({ to: adapter, address: 0, length: PAGE })).toThrow(
    /: TableOptions.grants limits them\)$/,
  );
  make();
  expect(() => make()).toThrow(
    'createPartition: H_NO_MEM ("one", 0 bytes in LMBs of 4096: TableOptions.partitions limits them)',
  );
});

test("a worker for which no thread is left hears of the option", async () => {
  const { table, server, client } = openPair({ threads: 1 });
  const url = new URL("data:text/javascript,setInterval(() => {}, 1000)");
  const worker = await table.spawn(server, url);
  await expect(table.spawn(client, url)).rejects.toThrow(
    '("client" is running: TableOptions.threads limits them)',
  );
  await worker.terminate();
});

test("a refused view says which rights it needs, and that pages can be joined", async () => {
  const { server, client, adapter } = openPair();
  const page = client.accept(server.grant({ to: adapter, address: 0, length: PAGE, write: false }));
  expect(() => client.view(page.address, PAGE)).toThrow("a view needs the rights to read and to write");
  const gone = client.accept(server.grant({ to: adapter, address: 4 * PAGE, length: PAGE }));
  const leaked = client.view(gone.address, PAGE);
  await server.rescindForced(gone.cookie); // the page moves away from the view
  expect(() => server.view(3 * PAGE, 3 * PAGE)).toThrow(
    `H_VIEW: H_RESOURCE (address ${3 * PAGE}, length ${3 * PAGE}: its pages lie apart; migrate() joins those of the partition's own)`,
  );
  await server.migrate(3 * PAGE, 3 * PAGE);
  server.view(3 * PAGE, 3 * PAGE).release();
  leaked.release();
  server.grant({ to: adapter, address: 8 * PAGE, length: PAGE, mode: "lend" });
  expect(() => server.view(8 * PAGE, PAGE)).toThrow("pages of it are lent");
  expect(() => server.view(-1, PAGE)).toThrow(`H_VIEW: H_PARAMETER (address -1, length ${PAGE})`);
});

test("what allocate(), accept() and view() are out of is named, with its size", () => {
  const { table, server, client, adapter } = openPair({ lmbPages: 4, logicalSpace: 20 * PAGE, views: 2 });
  server.allocate(3 * PAGE);
  expect(() => server.allocate(5 * PAGE)).toThrow(
    `H_ALLOCATE: H_NO_MEM (length ${5 * PAGE}: no LMB of ${4 * PAGE} has as much free in a row; ${3 * PAGE} of ${16 * PAGE} bytes are allocated)`,
  );
  expect(() => server.allocate(-1)).toThrow("H_ALLOCATE: H_PARAMETER (length -1)");
  const grant = (pages: number): Cookie => server.grant({ to: adapter, address: 0, length: pages * PAGE });
  for (let count = 0; count < 4; count++) client.accept(grant(3));
  const more = [grant(4), grant(4)];
  const mapping = client.accept(at(more, 0));
  expect(() => client.accept(at(more, 1))).toThrow(
    `H_ACCEPT_LOGICAL: H_NO_MEM (cookie ${more[1]}: of ${20 * PAGE} addresses no ${4 * PAGE} in a row are free` +
      ": TableOptions.logicalSpace limits them)",
  );
  table.assign(server, { type: "ipi", address: 0, length: 1 });
  const port = server.grant({ to: adapter, type: "ipi", address: 0, length: 1 });
  expect(() => client.accept((port + 1) as Cookie)).toThrow(/H_PARAMETER \(cookie \d+\)$/);
  server.view(0, PAGE);
  client.view(mapping.address, PAGE);
  expect(() => client.view(mapping.address, PAGE)).toThrow(
    `H_VIEW: H_NO_MEM (address ${mapping.address}, length ${PAGE}: 2 stand: TableOptions.views limits them)`,
  );
});

test("a view of pages that no frame is left to copy says how much is free; an accept of ports what limits them", () => {
  const { table, server, client, adapter } = openPair({ memory: 21 * PAGE, spaces: { ipi: 1 } });
  const cookie = server.grant({ to: adapter, address: 0, length: 2 * PAGE, copyOnWrite: true });
  const { address } = client.accept(cookie);
  expect(() => client.view(address, 2 * PAGE)).toThrow(
    `H_VIEW: H_NO_MEM (address ${address}, length ${2 * PAGE}: ${PAGE} bytes are free for pages that it copies; no page has more than 32767 views)`,
  );
  for (const partition of [server, client]) table.assign(partition, { type: "ipi", address: 0, length: 1 });
  const port = server.grant({ to: adapter, type: "ipi", address: 0, length: 1 });
  expect(() => client.accept(port)).toThrow(
    ": of 1 addresses no 1 in a row are free: TableOptions.spaces.ipi limits them",
  );
});

test("a refused entry says what its first byte must be, or that the queue is full", () => {
  const { server, client, adapter, unit } = openPair();
  client.registerQueue(adapter.peer, 0, PAGE);
  for (const header of [0, 1, 0x7f, 0xff])
    expect(() => server.send(adapter, new Uint8Array(16).fill(header))).toThrow(
      `H_SEND_CRQ: H_PARAMETER (unit address ${unit}: its first byte is ${header}; it must be 128 to 254)`,
    );
  const fill = (): void => {
    while (true) server.send(adapter, new Uint8Array(16).fill(0x80));
  };
  expect(fill).toThrow(`H_SEND_CRQ: H_DROPPED (unit address ${unit}: the partner's queue is full)`);
});

test("messages() of a partition that does not run does not blame its memory", async () => {
  const { table, server, adapter } = openPair();
  table.fail(server);
  expect(() => server.messages(adapter)).toThrow(
    `H_REG_CRQ: H_RESCINDED (unit address ${adapter.unitAddress})`,
  );
  await table.recovered(server);
});

test("an adapter of the last incarnation is told to be none any longer, by queues too", async () => {
  const { table, server, client, adapter, unit } = openPair();
  table.fail(client);
  await table.recovered(client);
  table.restart(client);
  const gone = `H_PARAMETER (unit address ${unit}: there is no such adapter, or no longer)`;
  expect(() => server.send(adapter, new Uint8Array(16).fill(0x80))).toThrow(`H_SEND_CRQ: ${gone}`);
  expect(() => server.messages(adapter)).toThrow(`H_REG_CRQ: ${gone}`);
});
