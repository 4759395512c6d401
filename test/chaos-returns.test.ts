/** What an actor of the chaos does about a return that could not be ended: it accuses nobody, and returns again. */
import { expect, test } from "vitest";
import { Copies } from "../src/chaos/copies.js";
import type { Dealings, Desk } from "../src/chaos/desk.js";
import { Lending } from "../src/chaos/lending.js";
import { COPY_OF_RING, LEND, Mail, RING_OF_RECEIVER } from "../src/chaos/mail.js";
import { Rings } from "../src/chaos/rings.js";
import { makeSheet, writeSheet } from "../src/chaos/sheets.js";
import { HcallError, type Mapping, type Partition } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_LONG_BUSY_10_MSEC, H_SUCCESS } from "../src/layout.js";
import { openDesk } from "./support/chaos-desk.js";
import { openPair, PAGE } from "./support/world.js";

/** The first return of a mapping takes the addresses away, and then waits for somebody's use for too long. */
function returnSlowly(mapping: Mapping): Mapping {
  const { address, cookie, length, mode } = mapping;
  let returns = 0;
  return {
    ...{ address, cookie, length, mode },
    return: () => {
      mapping.return();
      if (returns++ === 0) throw new HcallError("H_RETURN_LOGICAL", H_LONG_BUSY_10_MSEC, "a use goes on");
    },
  } as Mapping;
}

test.each<[string, number, (desk: Desk) => Dealings, (server: Partition) => object]>([
  [
    "a copy",
    COPY_OF_RING,
    (desk) => new Copies(desk, new Rings(desk)),
    (server) => {
      server.store32(4, 77);
      return { copyOnWrite: true };
    },
  ],
  [
    "a lend",
    LEND,
    (desk) => new Lending(desk),
    (server) => {
      writeSheet(server, 0, makeSheet(77, PAGE));
      return { mode: "lend" };
    },
  ],
])("of %s", (_, kind, open, prepare) => {
  for (let seed = 1; seed <= 40; seed++) {
    const { table, server, client, adapter } = openPair();
    const desk = openDesk(client, seed);
    const accept = desk.accept.bind(desk);
    let accepts = 0;
    desk.accept = (cookie) => {
      const mapping = accept(cookie);
      accepts++;
      return mapping === undefined ? undefined : returnSlowly(mapping);
    };
    const dealings = open(desk);
    const cookie = server.grant({ to: client, address: 0, length: PAGE, ...prepare(server) });
    dealings.receive({ kind, cookie, detail: 1 }, new Mail(client, adapter));
    for (let step = 0; step < 300; step++) dealings.step();
    expect(accepts).toBeGreaterThan(0);
    expect(table.audit().problems).toEqual([]);
  }
});

test("of a copy that is rescinded behind a write: its view shows what was written", () => {
  let writes = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const { table, server, client, adapter } = openPair();
    server.store32(4, 77);
    const cookie = server.grant({ to: client, address: 0, length: PAGE, copyOnWrite: true });
    const write = client.write.bind(client);
    client.write = (address, source) => {
      write(address, source);
      if (writes++ % 4 === 0) void server.rescindForced(cookie).catch(() => {});
    };
    const desk = openDesk(client, seed);
    const copies = new Copies(desk, new Rings(desk));
    copies.receive({ kind: COPY_OF_RING, cookie, detail: 1 }, new Mail(client, adapter));
    for (let step = 0; step < 60; step++) copies.step();
    expect(table.audit().problems).toEqual([]);
  }
  expect(writes).toBeGreaterThan(200);
});

test("of a ring under a view by who has failed: nothing is written to it, which is the server's for all that is known", () => {
  let views = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const { table, server, client, adapter } = openPair();
    server.store32(4, 77);
    const cookie = server.grant({ to: client, address: 0, length: PAGE, write: true });
    const desk = openDesk(client, seed);
    const rings = new Rings(desk);
    const view = client.view.bind(client);
    client.view = (...range) => {
      views++;
      return view(...range);
    };
    rings.receive({ kind: RING_OF_RECEIVER, cookie, detail: 1 }, new Mail(client, adapter));
    for (let step = 0; step < 20; step++) rings.step();
    // As the owner's thread does it, before the client's thread has ended and what it held is recovered.
    expect(kernelOf(table).core.failPartition(client.lpid, 0)).toBe(H_SUCCESS);
    for (let step = 0; step < 60; step++) rings.step();
    expect(server.load32(4)).toBe(77);
    expect(table.audit().problems).toEqual([]);
  }
  expect(views).toBeGreaterThan(20);
});
