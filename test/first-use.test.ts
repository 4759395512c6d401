/** What programs do with objects that they were given, and that is easily got wrong: to log them, to pass on, to use too late. */
import { expect, test } from "vitest";
import { auditedAfterEach, openPair } from "./support/world.js";

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
