/** What a refused call says: what was wrong, and what is allowed. */
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { auditedAfterEach, bytesOf, openPair, PAGE } from "./support/world.js";

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
});
