/** H_RETURN_LOGICAL, rules RE1 to RE6 (1-semantics, section 6; DESIGN.md, 3.4). */
import { describe, expect, test } from "vitest";
import { kernelOf } from "../src/kernel.js";
import {
  H_BUSY,
  H_LONG_BUSY_10_MSEC,
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_EPOCH,
  HEADER_THREADS_AT,
  RETURN_PAGES,
  THREAD_BYTES,
  THREAD_EPOCH,
  TYPE_MEMORY,
  TYPE_MMIO,
} from "../src/layout.js";
import {
  accepted,
  at,
  auditedAfterEach,
  expectRefused,
  granted,
  HOSTILE,
  openPair,
  openRow,
  PAGE,
  type Pair,
  shared,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

describe("RE1: return", () => {
  test("RE1: the address is free and unmapped, the cookie can be accepted again and again", () => {
    const { table, h, server, client, unit } = openPair();
    const { cookie, address } = shared(h, server, unit, client, 0, 2 * PAGE);
    const accepting = table.inspect();
    for (let round = 0; round < 5; round++) {
      expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_PARAMETER);
      expect(h.translate(client.lpid, TYPE_MEMORY, address + PAGE, 1, 0)).toBe(H_PARAMETER);
      expect(accepted(h, client.lpid, cookie)).toBe(address);
    }
    expect(table.inspect().version).toBe(accepting.version);
    expect(client.usage()).toMatchObject({ pagesMapped: 2, grantsIn: 1 });
  });

  test("RE1: the returned address goes to another grant, and the cookie then maps elsewhere", () => {
    const { h, server, client, unit } = openPair();
    server.write(0, Uint8Array.of(1));
    server.write(PAGE, Uint8Array.of(2));
    const first = shared(h, server, unit, client, 0);
    expect(h.returnLogical(client.lpid, first.cookie)).toBe(H_SUCCESS);
    const second = shared(h, server, unit, client, PAGE);
    expect(second.address).toBe(first.address);
    expect(accepted(h, client.lpid, first.cookie)).toBe(first.address + PAGE);
    expect(client.read(first.address, 1)[0]).toBe(2);
    expect(client.read(first.address + PAGE, 1)[0]).toBe(1);
  });

  test("RE1: a mapping returns itself once, by call or by dispose", () => {
    const { server, client, unit } = openPair();
    const cookie = server.grant({ to: unit, address: 0, length: PAGE });
    const mapping = client.accept(cookie);
    mapping.return();
    expect(client.usage().pagesMapped).toBe(0);
    {
      using again = client.accept(cookie);
      expect(client.usage().pagesMapped).toBe(1);
      expect(again.address).toBe(mapping.address);
    }
    expect(client.usage().pagesMapped).toBe(0);
    expect(statusOf(() => client.return(cookie))).toBe(H_PARAMETER);
    server.rescind(cookie);
  });
});

describe("RE2: pins", () => {
  test("RE2: a mapping with a view standing cannot be returned, and nothing changes", () => {
    const { table, h, server, client, unit } = openPair();
    const { cookie, address } = shared(h, server, unit, client, 0, 2 * PAGE);
    const views = [client.view(address, PAGE), client.view(address + PAGE, 16)];
    expect(client.usage().pins).toBe(2);
    for (const view of views) {
      expectRefused(table, H_RESOURCE, () => h.returnLogical(client.lpid, cookie));
      view.release();
      view.release(); // a second release does nothing
    }
    expect(client.usage().pins).toBe(0);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
  });

  test("RE2: a view of another mapping of the same page does not hold this one", () => {
    const { h, server, client, unit } = openPair();
    const first = shared(h, server, unit, client, 0);
    const second = shared(h, server, unit, client, 0);
    using view = client.view(first.address, PAGE);
    using own = server.view(0, PAGE);
    expect(h.returnLogical(client.lpid, second.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(client.lpid, first.cookie)).toBe(H_RESOURCE);
    expect([view.bytes.length, own.bytes.length]).toEqual([PAGE, PAGE]);
  });
});

describe("RE3: grants below", () => {
  test("RE3: a mapping with grants standing below is returned only after their rescind", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const toB = shared(h, a, at(units, 0), b, 0);
    const refused = (): void => expectRefused(table, H_RESOURCE, () => h.returnLogical(b.lpid, toB.cookie));
    const below = granted(h, b.lpid, at(units, 1), toB.address);
    const another = granted(h, b.lpid, at(units, 1), toB.address);
    refused(); // Granted counts
    accepted(h, c.lpid, below);
    refused(); // Shared counts
    expect(h.rescindLogical(b.lpid, 1, below)).toBe(H_SUCCESS);
    refused(); // the other one stands
    expect(h.rescindLogical(b.lpid, 0, another)).toBe(H_SUCCESS);
    // `below` is Rescinded and not returned: it left the tree and holds nothing up.
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(c.lpid, below)).toBe(H_SUCCESS);
  });

  test("RE3: another grant of the same pages to the same client is not below this one", () => {
    const { h, row, units } = openRow(3);
    const [a, b] = [at(row, 0), at(row, 1)];
    const first = shared(h, a, at(units, 0), b, 0);
    const second = shared(h, a, at(units, 0), b, 0);
    granted(h, b.lpid, at(units, 1), first.address);
    expect(h.returnLogical(b.lpid, second.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(b.lpid, first.cookie)).toBe(H_RESOURCE);
  });
});

describe("RE4: not the caller's to return", () => {
  test("RE4: not accepted, returned already, foreign, rescinded and never existing: H_PARAMETER", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const cookie = granted(h, a.lpid, at(units, 0), 0);
    const everyone = (): void => {
      for (const caller of [a, b, c]) {
        expectRefused(table, H_PARAMETER, () => h.returnLogical(caller.lpid, cookie));
      }
    };
    everyone();
    accepted(h, b.lpid, cookie);
    for (const caller of [a, c]) {
      expectRefused(table, H_PARAMETER, () => h.returnLogical(caller.lpid, cookie));
    }
    expect(h.returnLogical(b.lpid, cookie)).toBe(H_SUCCESS);
    everyone();
    expect(h.rescindLogical(a.lpid, 0, cookie)).toBe(H_SUCCESS);
    everyone();
    for (const hostile of [...HOSTILE, 0, -0, 1, cookie + 0.5, cookie + 2 ** 24]) {
      expectRefused(table, H_PARAMETER, () => h.returnLogical(b.lpid, hostile));
    }
  });

  test("RE4: a grant that is under revocation and was never accepted is not the client's to return", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const toB = shared(h, a, at(units, 0), b, 0);
    const waiting = granted(h, b.lpid, at(units, 1), toB.address);
    h.budget = 1;
    while (h.rescindLogical(a.lpid, 1, toB.cookie) === H_PARTIAL) {
      expectRefused(table, H_PARAMETER, () => h.returnLogical(c.lpid, waiting));
    }
  });
});

describe("RE5: rescinded", () => {
  test("RE5: returning a rescinded mapping succeeds once, frees the address and kills the cookie", () => {
    const { table, h, server, client, unit } = openPair();
    const { cookie, address } = shared(h, server, unit, client, 0);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    expect(client.usage()).toMatchObject({ rescinded: 1, pagesMapped: 0, grantsIn: 0 });
    expectRefused(table, H_PARAMETER, () => h.returnLogical(server.lpid, cookie));
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_RESCINDED);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_PARAMETER);
    expectRefused(table, H_PARAMETER, () => h.returnLogical(client.lpid, cookie));
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
    expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, 1, cookie));
    expect(client.usage()).toMatchObject({ rescinded: 0 });
  });

  test("RE5: while the rescind is under way a return answers H_RESCINDED, afterwards it succeeds", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = shared(h, b, at(units, 1), c, toB.address);
    h.budget = 1;
    expect(h.rescindLogical(a.lpid, 1, toB.cookie)).toBe(H_PARTIAL);
    expectRefused(table, H_RESCINDED, () => h.returnLogical(b.lpid, toB.cookie));
    while (h.rescindLogical(a.lpid, 1, toB.cookie) === H_PARTIAL) {
      expectRefused(table, H_RESCINDED, () => h.returnLogical(b.lpid, toB.cookie));
    }
    expect(h.returnLogical(b.lpid, toB.cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(c.lpid, toC.cookie)).toBe(H_SUCCESS);
  });

  test("RE5: a mapping object of a rescinded grant returns without an error, also on dispose", async () => {
    const { server, client, unit } = openPair();
    const cookies = [0, 1].map((page) => server.grant({ to: unit, address: page * PAGE, length: PAGE }));
    const mapping = client.accept(at(cookies, 0));
    {
      using disposed = client.accept(at(cookies, 1));
      await server.rescindForced(at(cookies, 0));
      await server.rescindForced(at(cookies, 1));
      expect(statusOf(() => client.read(disposed.address, 1))).toBe(H_RESCINDED);
    }
    mapping.return();
    expect(client.usage()).toMatchObject({ rescinded: 0, grantsIn: 0 });
  });
});

describe("RE1: mappings and their cookies", () => {
  test("RE1: a mapping whose cookie was returned does nothing, whoever has accepted it since", () => {
    const { server, client, adapter } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const first = client.accept(cookie);
    client.return(cookie);
    const second = client.accept(cookie);
    expect(second.address).toBe(first.address);
    first.return();
    first[Symbol.dispose]();
    expect(client.read(second.address, 8)).toHaveLength(8);
    second.return();
    expect(client.usage().grantsIn).toBe(1);
    expect(client.usage().pagesMapped).toBe(0);
  });

  test("RE5: the same after a forced rescind, and when the slot is another grant's", async () => {
    const { server, client, adapter } = openPair();
    const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
    const mapping = client.accept(cookie);
    await server.rescindForced(cookie);
    client.return(cookie);
    const next = client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
    mapping.return();
    expect(client.read(next.address, 8)).toHaveLength(8);
    next.return();
  });
});

describe("RE6: more than one slice", () => {
  function openWindow(pages: number): Pair & { cookie: number; address: number } {
    const space = { mmio: (2 * RETURN_PAGES + 2) * PAGE };
    const pair = openPair({ spaces: space });
    const { table, h, server, client, unit } = pair;
    table.assign(server, { type: "mmio", address: 0, length: pages * PAGE });
    const cookie = granted(h, server.lpid, unit, 0, pages * PAGE, TYPE_MMIO);
    return { ...pair, cookie, address: accepted(h, client.lpid, cookie) };
  }

  test("RE6: a mapping of exactly one slice is returned at once", () => {
    const { h, client, cookie } = openWindow(RETURN_PAGES);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expect(accepted(h, client.lpid, cookie)).toBe(0);
  });

  test("RE6: one page more answers H_BUSY: unmapped at once, free after the next call", () => {
    const pages = RETURN_PAGES + 1;
    const { table, h, server, client, unit, cookie, address } = openWindow(pages);
    table.assign(server, { type: "mmio", address: pages * PAGE, length: PAGE });
    const small = granted(h, server.lpid, unit, pages * PAGE, PAGE, TYPE_MMIO);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_BUSY);
    for (const page of [0, 1, 4095, RETURN_PAGES - 1, RETURN_PAGES]) {
      expect(h.translate(client.lpid, TYPE_MMIO, address + page * PAGE, 1, 0)).toBe(H_PARAMETER);
    }
    expect(accepted(h, client.lpid, small)).toBe(address + pages * PAGE); // unmapped, not free
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie)); // not Granted yet
    let calls = 1;
    while (h.returnLogical(client.lpid, cookie) === H_BUSY) calls++;
    expect(calls).toBeLessThan(5);
    expectRefused(table, H_PARAMETER, () => h.returnLogical(client.lpid, cookie)); // never repeated (G1)
    expect(accepted(h, client.lpid, cookie)).toBe(address);
    expect(h.translate(client.lpid, TYPE_MMIO, address + RETURN_PAGES * PAGE, 1, 3)).toBe(H_SUCCESS);
  });

  test("RE6: between the two calls the grant cannot be granted on, and a forced rescind still ends it", () => {
    const { h, client, server, back, cookie, address } = openWindow(RETURN_PAGES + 1);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_BUSY);
    expect(h.grantLogical(client.lpid, TYPE_MMIO, 0, address, PAGE, back)).toBe(H_PARAMETER);
    expect(h.rescindLogical(server.lpid, 0, cookie)).not.toBe(H_SUCCESS); // not returned yet
    let status = h.rescindLogical(server.lpid, 1, cookie);
    while (status === H_PARTIAL) status = h.rescindLogical(server.lpid, 1, cookie);
    expect(status).toBe(H_SUCCESS);
    expect(h.translate(client.lpid, TYPE_MMIO, address, 1, 0)).not.toBe(H_SUCCESS);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_PARAMETER);
  });

  test("RE6: the object API goes on by itself until the return is done", () => {
    const { client, server, cookie, unit } = openWindow(RETURN_PAGES + 1);
    client.return(cookie as never);
    expect(client.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 1 });
    server.rescind(cookie as never);
    expect(server.usage().grantsOut).toBe(0);
    expect(unit).toBeGreaterThan(0);
  });

  test("RE6, RE4: who has begun, is rescinded, and calls again only later is answered as of any dead cookie, and has nothing", () => {
    const { table, h, client, server, unit, cookie, address } = openWindow(RETURN_PAGES + 1);
    const mapping = client.accept(granted(h, server.lpid, unit, 0, PAGE, TYPE_MMIO));
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_BUSY);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    const heard = client.takeEvent();
    expect(heard).toBeUndefined(); // it had given it back
    expectRefused(table, H_PARAMETER, () => h.returnLogical(client.lpid, cookie));
    expect(client.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 1, rescinded: 0 });
    // The addresses are free.
    const next = granted(h, server.lpid, unit, 0, PAGE, TYPE_MMIO);
    expect(accepted(h, client.lpid, next)).toBe(address);
    mapping.return();
  });

  /** Returns by the object API; when that has begun, the server rescinds by force, as another thread would. Answers its status. */
  function returnRescinded({ table, h, client, server }: Pair, cookie: number): number {
    const kernel = kernelOf(table) as { core: { returnLogical32(lpid: number, cookie: number): number } };
    const { core } = kernel;
    const answers: number[] = [];
    const returnLogical32 = (lpid: number, named: number): number => {
      const status = core.returnLogical32(lpid, named);
      if (status === H_BUSY) answers.push(h.rescindLogical(server.lpid, 1, named));
      return status;
    };
    kernel.core = { ...core, returnLogical32 };
    try {
      client.return(cookie as never);
    } finally {
      kernel.core = core;
    }
    expect(answers).toHaveLength(1);
    expect(statusOf(() => client.return(cookie as never))).not.toBe(H_SUCCESS);
    return answers[0] as number;
  }

  test("RE6: what is rescinded by force while the object API returns it is returned: nothing is left to be done", () => {
    const world = openWindow(RETURN_PAGES + 1);
    expect(returnRescinded(world, world.cookie)).toBe(H_SUCCESS);
    expect(world.client.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 0, rescinded: 0 });
  });

  test("RE6, RS5: the same while the forced rescind goes on, since somebody uses the private copies", () => {
    const world = openPair();
    const { table, h, server, client, unit } = world;
    const { memory, core } = kernelOf(table);
    const cookie = server.grant({ to: unit, address: 0, length: PAGE, copyOnWrite: true });
    client.store32(client.accept(cookie).address, 1);
    // A thread in the middle of an access.
    expect(core.openThread(client.lpid)).toBe(H_SUCCESS);
    const slot = memory.result;
    const epoch = (memory.header(HEADER_THREADS_AT) + slot * THREAD_BYTES + THREAD_EPOCH) / 4;
    memory.words[epoch] = memory.header(HEADER_EPOCH);
    expect(returnRescinded(world, cookie)).toBe(H_PARTIAL);
    memory.words[epoch] = 0;
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    expect(client.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 0, rescinded: 0, copies: 0 });
    expect(core.reapThread(slot)).toBe(H_SUCCESS);
  });

  test("RE6: the same where the return then found the table locked: the next one succeeds", () => {
    const { table, h, server, client, unit } = openWindow(RETURN_PAGES + 1);
    const length = (RETURN_PAGES + 1) * PAGE;
    const mapping = client.accept(server.grant({ to: unit, type: "mmio", address: 0, length }));
    const kernel = kernelOf(table) as { core: { returnLogical32(lpid: number, cookie: number): number } };
    const { core } = kernel;
    let calls = 0;
    const returnLogical32 = (lpid: number, cookie: number): number => {
      if (++calls === 1) return core.returnLogical32(lpid, cookie);
      expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
      return H_LONG_BUSY_10_MSEC;
    };
    kernel.core = { ...core, returnLogical32 };
    expect(statusOf(() => mapping.return())).toBe(H_LONG_BUSY_10_MSEC);
    kernel.core = core;
    expect(calls).toBe(2);
    mapping.return();
    mapping.return();
    expect(client.usage().grantsIn).toBe(1);
    expectRefused(table, H_PARAMETER, () => h.returnLogical(client.lpid, mapping.cookie));
  });

  test("RE6: a client that fails between the two calls leaves nothing behind", async () => {
    const { table, h, client, server, cookie } = openWindow(RETURN_PAGES + 1);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_BUSY);
    table.fail(client);
    await table.recovered(client);
    expect(server.usage().grantsOut).toBe(0);
    expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, 1, cookie));
  });
});
