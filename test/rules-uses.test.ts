/** What a use of another thread holds up that is in the middle of it (DESIGN.md, 6.3): that thread is a second core in this one. */
import { expect, test, vi } from "vitest";
import { kernelOf } from "../src/kernel.js";
import {
  COOKIE_SLOTS,
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_PARTIAL,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_THREADS_AT,
  MODE_LEND,
  NEED_READ,
  NEED_WRITE,
  PARTITION_BYTES,
  PARTITION_LOCK,
  STRUCTURE_BYTES,
  STRUCTURE_CURSOR,
  STRUCTURES_AT,
  THREAD_BYTES,
  THREAD_NAME,
  TYPE_MEMORY,
} from "../src/layout.js";
import { auditedAfterEach, besides, expectRefused, openPair, PAGE, statusOf } from "./support/world.js";

auditedAfterEach();

test("RS3: a normal rescind waits for a use that began before the return, and for no other", () => {
  const { table, server, client, unit } = openPair();
  const { core } = besides(table, client);
  const cookie = server.grant({ to: unit, address: 0, length: PAGE });
  const mapping = client.accept(cookie);
  expect(core.beginUse(client.lpid, mapping.address, 8, NEED_WRITE)).toBe(H_SUCCESS);
  mapping.return();
  expect(statusOf(() => server.rescind(cookie))).toBe(H_LONG_BUSY_10_MSEC);
  expect(() => server.rescind(cookie)).toThrow("goes on using what this takes away");
  // It can be accepted again meanwhile, and what was never accepted is waited for by nobody.
  client.accept(cookie).return();
  server.rescind(server.grant({ to: unit, address: 0, length: PAGE }));
  expect(statusOf(() => server.rescind(cookie))).toBe(H_LONG_BUSY_10_MSEC);
  core.endUse();
  expect(core.beginUse(client.lpid, 0, 8, NEED_WRITE)).toBe(H_SUCCESS);
  server.rescind(cookie);
  core.endUse();
});

test("RS3: who waits for a use gives up in time, also where it has to wait for a lock before each look", () => {
  const { table, server, client, unit } = openPair();
  const { core } = besides(table, client);
  const { memory } = kernelOf(table);
  const cookie = server.grant({ to: unit, address: 0, length: PAGE });
  const mapping = client.accept(cookie);
  expect(core.beginUse(client.lpid, mapping.address, 8, NEED_WRITE)).toBe(H_SUCCESS);
  mapping.return();
  const lock = (memory.partitionsAt + server.lpid * PARTITION_BYTES + PARTITION_LOCK) / 4;
  const name = memory.header(memory.header(HEADER_THREADS_AT) + THREAD_BYTES + THREAD_NAME);
  let ms = 0;
  const now = vi.spyOn(performance, "now").mockImplementation(() => ms++);
  // Another thread has the server's lock whenever this one comes back from the wait for the use, for a second.
  const wait = vi.spyOn(Atomics, "wait").mockImplementation((_, index) => {
    memory.words[lock] = index === lock || ms > 1000 ? 0 : name;
    return "timed-out";
  });
  const status = statusOf(() => server.rescind(cookie));
  wait.mockRestore();
  now.mockRestore();
  memory.words[lock] = 0;
  expect([status, ms < 100]).toEqual([H_LONG_BUSY_10_MSEC, true]);
  core.endUse();
  server.rescind(cookie);
});

test("OM8, FA4: of a donation that was accepted only after an accept that was undone all is freed", async () => {
  const { table, server, client, unit } = openPair({ lmbPages: 4 });
  const { memory } = kernelOf(table);
  const cookie = server.grant({ to: unit, address: 0, length: 4 * PAGE, mode: "donate" });
  // The epoch that the undone one noted.
  const structure = STRUCTURES_AT + (cookie % COOKIE_SLOTS) * STRUCTURE_BYTES;
  memory.words[(structure + STRUCTURE_CURSOR) / 4] = 3;
  client.accept(cookie);
  const { framesFree = 0 } = table.inspect().counters;
  await table.destroyPartition(client);
  expect(table.inspect().counters.framesFree).toBe(framesFree + 8);
});

test("RS3, KI4: the same for the access of a device, whose entry is removed already", () => {
  const { table, server, client, unit } = openPair();
  const { core } = besides(table, client);
  table.assign(client, { type: "dma", address: 0, length: 4 * PAGE, physical: 0, liobn: 1 });
  const cookie = server.grant({ to: unit, address: 0, length: PAGE });
  const mapping = client.accept(cookie);
  client.dma.put(1, 0, mapping.address);
  expect(core.beginDma(client.lpid, 1, 0, 0, 8, NEED_WRITE)).toBe(H_SUCCESS);
  expect(statusOf(() => client.dma.remove(1, 0))).toBe(H_BUSY);
  mapping.return();
  expect(statusOf(() => server.rescind(cookie))).toBe(H_LONG_BUSY_10_MSEC);
  core.endUse();
  server.rescind(cookie);
});

test("RS3, KI2: of a window it waits for accesses to that window, however long its model takes", () => {
  const { table, server, client, unit } = openPair();
  const { core } = besides(table, server);
  for (const address of [0, PAGE])
    table.assign(server, { type: "mmio", address, length: PAGE, physical: 64 * PAGE + address });
  const cookies = [0, PAGE].map((address) =>
    server.grant({ to: unit, type: "mmio", address, length: PAGE }),
  ) as [never, never];
  const mappings = cookies.map((cookie) => client.accept(cookie));
  expect(core.serveWindow(server.lpid, 0, 1)).toBe(H_SUCCESS);
  expect(core.beginDevice(client.lpid, mappings[0]?.address as number, 4, NEED_READ)).toBe(H_SUCCESS);
  for (const mapping of mappings) mapping.return();
  server.rescind(cookies[1]);
  expect(statusOf(() => server.rescind(cookies[0]))).toBe(H_LONG_BUSY_10_MSEC);
  core.endDevice(0);
  server.rescind(cookies[0]);
  expect(core.serveWindow(server.lpid, 0, 0)).toBe(H_SUCCESS);
});

test("G2: who serves a window, or does so no more, says it by 1 or 0; another number takes it from nobody", () => {
  const { table, server, client } = openPair();
  const { core } = kernelOf(table);
  const other = besides(table, client).core;
  table.assign(server, { type: "mmio", address: 0, length: PAGE, physical: 64 * PAGE });
  expect(core.serveWindow(server.lpid, 0, 1)).toBe(H_SUCCESS);
  for (const serves of [0, 2, 3, -1, 0.5, Number.NaN])
    expect(other.serveWindow(server.lpid, 0, serves)).toBe(H_PARAMETER);
  expect(other.serveWindow(server.lpid, 0, 1)).toBe(H_RESOURCE);
  expect(core.serveWindow(server.lpid, 0, 0)).toBe(H_SUCCESS);
});

test("FA7: a server that waited for its borrowers stops only after the uses from before the last return", () => {
  const { table, server, client, unit, back } = openPair();
  const { core } = besides(table, client);
  const owner = kernelOf(table).core;
  const mapping = client.accept(server.grant({ to: unit, address: 0, length: PAGE }));
  // So that its recovery waits for uses once before.
  server.accept(client.grant({ to: back, address: 0, length: PAGE }));
  expect(owner.failPartition(server.lpid, 0)).toBe(H_SUCCESS);
  expect(owner.recoverDeferred(server.lpid, 1000)).toBe(H_BUSY);
  expect(core.beginUse(client.lpid, mapping.address, 8, NEED_WRITE)).toBe(H_SUCCESS);
  mapping.return();
  expect(owner.recoverServer(server.lpid, 1000)).toBe(H_PARTIAL);
  expect(owner.recoverServer(server.lpid, 1000)).toBe(H_PARTIAL);
  core.endUse();
  expect(owner.recoverServer(server.lpid, 1000)).toBe(H_SUCCESS);
});

test("G1, G6: a lend, or a merge, that a use holds up has done nothing, and is done when it is over", () => {
  const { table, server, client, unit } = openPair();
  const owner = kernelOf(table).core;
  const { core } = besides(table, client);
  const args = [server.lpid, TYPE_MEMORY, 0, 0, PAGE, unit, MODE_LEND] as const;
  for (const call of [
    () => owner.mergePages(server.lpid, PAGE, server.lpid, 0),
    () => owner.grantMode(...args),
  ]) {
    expect(core.beginUse(server.lpid, 0, 8, NEED_WRITE)).toBe(H_SUCCESS);
    expectRefused(table, H_LONG_BUSY_10_MSEC, call);
    core.endUse();
    expect(statusOf(() => server.write(0, new Uint8Array(8)))).toBe(H_SUCCESS);
    expect(call()).toBe(H_SUCCESS);
    expect(statusOf(() => server.write(PAGE, new Uint8Array(8)))).toBe(H_SUCCESS);
  }
});

test("G6: a merged page leaves its frame to the others only when nobody reads it there", async () => {
  const { table, server, client } = openPair();
  const { core } = besides(table, client);
  server.fill(0, PAGE, 1);
  client.fill(0, PAGE, 1);
  await table.deduplicate();
  expect(core.beginUse(client.lpid, 0, 8, NEED_READ)).toBe(H_SUCCESS);
  expect(statusOf(() => client.fill(0, 8, 2))).toBe(H_LONG_BUSY_10_MSEC);
  core.endUse();
  client.fill(0, 8, 2);
  expect(core.beginUse(client.lpid, 0, 8, NEED_READ)).toBe(H_SUCCESS);
  server.fill(0, 8, 3);
  expect(client.read(0, 1)[0]).toBe(2);
  core.endUse();
});
