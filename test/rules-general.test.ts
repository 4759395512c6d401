/** The general rules G1 to G7 (1-semantics, section 3; DESIGN.md, 3.1). */
import { describe, expect, test } from "vitest";
import { kernelOf } from "../src/kernel.js";
import {
  COOKIE_SLOTS,
  H_NO_MEM,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  HEADER_FRAMES_AT,
  INHIBIT_REGRANT,
  LOCK_ALL,
  LOG_BYTES,
  LOG_WORD_BYTES,
  NEED_WRITE,
  THREAD_LOCK_A,
  THREAD_LOG,
  THREAD_LOG_TOP,
  TYPE_MEMORY,
} from "../src/layout.js";
import {
  accepted,
  at,
  auditedAfterEach,
  expectRefused,
  granted,
  HOSTILE,
  join,
  openPair,
  openRow,
  openTable,
  PAGE,
  rescindInSlices,
  SHARE,
  settle,
  shared,
  statusOf,
} from "./support/world.js";

auditedAfterEach();

describe("G1: errors change nothing", () => {
  test("G1: a batch undoes first what an earlier call of its thread has left, also in the half of the log that it uses itself", () => {
    const { table, h, server, client, unit } = openPair();
    const { memory } = kernelOf(table);
    const { words, thread } = memory;
    const cookies = Array.from({ length: 16 }, (_, page) => granted(h, server.lpid, unit, (page % 4) * PAGE));
    using requests = h.createRequests(cookies.length);
    for (const [index, cookie] of cookies.entries()) requests.accept(index, client.lpid, cookie);
    // As a call leaves it that stopped half way: a full log of notes of the words of one frame, and a lock that it wanted.
    const frame = memory.header(HEADER_FRAMES_AT);
    const notes = LOG_BYTES / LOG_WORD_BYTES;
    for (let note = 0; note < notes; note++) {
      words[(frame + note * 4) >>> 2] = 7;
      const at = (thread + THREAD_LOG + note * LOG_WORD_BYTES) >>> 2;
      words[at] = note + 1000;
      words[at + 1] = frame + note * 4;
    }
    words[(thread + THREAD_LOG_TOP) >>> 2] = LOG_BYTES;
    words[(thread + THREAD_LOCK_A) >>> 2] = LOCK_ALL;
    requests.run(cookies.length);
    expect(cookies.map((_, index) => requests.status(index))).toEqual(cookies.map(() => H_SUCCESS));
    const first = frame >>> 2;
    expect([...words.subarray(first, first + notes)]).toEqual(
      Array.from({ length: notes }, (_, note) => note + 1000),
    );
    words.fill(0, first, first + notes);
  });

  test.each([
    ["all locks", LOCK_ALL],
    ["one lock", 1],
  ])(
    "G1: a write that copies a page undoes first what an earlier call of its thread has left, which had %s",
    (_, left) => {
      const { table, h, server, client, unit } = openPair();
      const { core, memory } = kernelOf(table);
      const { words, thread } = memory;
      expect(h.grantCopyOnWrite(server.lpid, SHARE, 0, 0, 3 * PAGE, unit)).toBe(H_SUCCESS);
      const address = accepted(h, client.lpid, h.r4);
      const frame = memory.header(HEADER_FRAMES_AT) >>> 2;
      for (const [page, write] of [
        () => core.storeWord(client.lpid, address, 1),
        () => core.fillMemory(client.lpid, address + PAGE, 1, 1),
        () => core.translate(client.lpid, TYPE_MEMORY, address + 2 * PAGE, 1, NEED_WRITE),
      ].entries()) {
        // As a call leaves it that stopped half way: a word that it stored, the note of what that held, the lock that it wanted.
        words[frame] = 7;
        words[(thread + THREAD_LOG) >>> 2] = 1000 + page;
        words[((thread + THREAD_LOG) >>> 2) + 1] = frame * 4;
        words[(thread + THREAD_LOG_TOP) >>> 2] = LOG_WORD_BYTES;
        words[(thread + THREAD_LOCK_A) >>> 2] = left;
        expect(write()).toBe(H_SUCCESS);
        expect(words[frame]).toBe(1000 + page);
      }
    },
  );

  test("G1: every error of every hypercall in one world leaves the inspected state as it was", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const [ab, bc] = [at(units, 0), at(units, 1)];
    const toB = shared(h, a, ab, b, 0);
    const toC = shared(h, b, bc, c, toB.address);
    const bound = shared(h, a, ab, b, PAGE, PAGE, SHARE | INHIBIT_REGRANT);
    const gone = shared(h, a, ab, b, 2 * PAGE);
    const waiting = granted(h, a.lpid, ab, 3 * PAGE);
    const tight = join({ table }, a, c, 1).unitAddress;
    granted(h, a.lpid, tight, 0);
    expect(h.rescindLogical(a.lpid, 1, gone.cookie)).toBe(H_SUCCESS);
    using pin = c.view(toC.address, 4);
    expect(pin.bytes.length).toBe(4);
    for (const [status, call] of [
      [H_PARAMETER, () => h.grantLogical(a.lpid, 3, 0, 0, PAGE, ab)],
      [H_RESCINDED, () => h.grantLogical(b.lpid, SHARE, 0, gone.address, PAGE, bc)],
      [H_PERMISSION, () => h.grantLogical(b.lpid, SHARE, 0, bound.address, PAGE, bc)],
      [H_NO_MEM, () => h.grantLogical(a.lpid, SHARE, 0, 0, PAGE, tight)],
      [H_PARAMETER, () => h.acceptLogical(c.lpid, waiting)],
      [H_RESCINDED, () => h.acceptLogical(b.lpid, gone.cookie)],
      [H_PARAMETER, () => h.returnLogical(b.lpid, waiting)],
      [H_RESOURCE, () => h.returnLogical(b.lpid, toB.cookie)],
      [H_RESOURCE, () => h.returnLogical(c.lpid, toC.cookie)],
      [H_RESOURCE, () => h.rescindLogical(a.lpid, 0, toB.cookie)],
      [H_PARAMETER, () => h.rescindLogical(b.lpid, 1, toB.cookie)],
      [H_PARAMETER, () => h.rescindLogical(a.lpid, 2, waiting)],
      [H_RESCINDED, () => h.translate(b.lpid, TYPE_MEMORY, gone.address, 1, 0)],
    ] as const) {
      expectRefused(table, status, call);
      expectRefused(table, status, call); // nor does it the second time
    }
  });

  test("G1: H_PARTIAL is a part of the work done, and calling again never repeats it", () => {
    const { h, row, units } = openRow(5);
    const links: { cookie: number; address: number }[] = [];
    for (let index = 0; index < 4; index++) {
      const from = index === 0 ? 0 : at(links, index - 1).address;
      links.push(shared(h, at(row, index), at(units, index), at(row, index + 1), from));
    }
    h.budget = 1;
    const rescinded = (): number => row.reduce((sum, partition) => sum + partition.usage().rescinded, 0);
    let before = 0;
    rescindInSlices(h, at(row, 0).lpid, at(links, 0).cookie, () => {
      expect(rescinded()).toBeGreaterThanOrEqual(before);
      before = rescinded();
    });
    expect(rescinded()).toBe(4);
  });

  test("G1: inspecting twice without a call gives the same", () => {
    const { table, h, server, client, unit } = openPair();
    shared(h, server, unit, client, 0);
    expect(table.inspect()).toEqual(table.inspect());
    expect(JSON.parse(JSON.stringify(table.inspect()))).toEqual(table.inspect()); // plain JSON
  });
});

describe("G2: hostile integers", () => {
  test("G2: more staging than there is H_NO_MEM, what is no number of pages H_PARAMETER", () => {
    const { table } = openPair({ staging: 4 * PAGE });
    const { core } = kernelOf(table);
    for (const pages of [5, 2 ** 32 - 2]) expectRefused(table, H_NO_MEM, () => core.takeStaging(pages));
    for (const pages of [0, -1, 0.5, 2 ** 32 - 1, 2 ** 53, Number.NaN])
      expectRefused(table, H_PARAMETER, () => core.takeStaging(pages));
    expect(core.takeStaging(4)).toBe(H_SUCCESS);
    expectRefused(table, H_NO_MEM, () => core.takeStaging(1));
  });

  test("G2: every parameter of every hypercall, replaced by every hostile number, is H_PARAMETER", () => {
    const { table, h, server, client, unit, back } = openPair();
    const { cookie } = shared(h, server, unit, client, 0);
    const waiting = granted(h, server.lpid, unit, 0);
    expect(back).toBeGreaterThan(0);
    const calls: readonly [(...values: number[]) => number, number[]][] = [
      [
        (a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) => h.grantLogical(a, b, c, d, e, f),
        [server.lpid, SHARE, 0, 0, PAGE, unit],
      ],
      [(a = 0, b = 0) => h.acceptLogical(a, b), [client.lpid, waiting]],
      [(a = 0, b = 0) => h.returnLogical(a, b), [client.lpid, cookie]],
      [(a = 0, b = 0, c = 0) => h.rescindLogical(a, b, c), [server.lpid, 0, waiting]],
      [(a = 0, b = 0, c = 0) => h.rescindLogical(a, b, c), [server.lpid, 1, waiting]],
      [
        (a = 0, b = 0, c = 0, d = 0, e = 0) => h.translate(a, b, c, d, e),
        [server.lpid, TYPE_MEMORY, 0, 1, 0],
      ],
    ];
    for (const [call, values] of calls) {
      for (const place of values.keys()) {
        for (const hostile of HOSTILE) {
          const changed = values.with(place, hostile);
          expectRefused(table, H_PARAMETER, () => call(...changed));
        }
        // Each good number moved by what a 32-bit truncation would drop, or by a fraction.
        for (const wrap of [2 ** 32, 2 ** 52, 0.25, -(2 ** 32)]) {
          const changed = values.with(place, at(values, place) + wrap);
          const isLength = call === at(calls, 5)[0] && place === 3;
          if (!isLength || wrap < 2 ** 32) expectRefused(table, H_PARAMETER, () => call(...changed));
        }
      }
    }
  });

  test("G2: missing and non-numeric arguments of the raw calls are answers, not exceptions", () => {
    const { table, h, server } = openPair();
    const before = table.inspect();
    const raw = h as unknown as Record<string, (...values: unknown[]) => number>;
    for (const name of ["grantLogical", "acceptLogical", "returnLogical", "rescindLogical", "translate"]) {
      for (const value of [undefined, null, "x", {}, []]) {
        const status = raw[name]?.call(h, server.lpid, value, value, value, value, value);
        expect(status).toBeLessThan(0);
      }
    }
    expect(table.inspect()).toEqual(before);
  });

  test("G2: minus zero is zero", () => {
    const { h, server, client, unit } = openPair();
    expect(h.grantLogical(server.lpid, SHARE, -0, -0, PAGE, unit)).toBe(H_SUCCESS);
    const cookie = h.r4;
    accepted(h, client.lpid, cookie);
    expect(h.translate(server.lpid, TYPE_MEMORY, -0, 1, -0)).toBe(H_SUCCESS);
    expect(h.rescindLogical(server.lpid, -0, cookie)).toBe(H_RESOURCE);
  });
});

test("GR10: a caller that does not run hears that first, whatever is wrong with what it asks for", async () => {
  const world = openPair();
  const { table, server, client, adapter } = world;
  const third = table.createPartition({ name: "third", memory: PAGE });
  const foreign = join(world, client, third);
  const range = { address: 0, length: PAGE };
  const calls: readonly (() => unknown)[] = [
    () => server.grant({ to: third, ...range }),
    () => server.grant({ to: openPair().client, ...range }),
    () => server.grant({ to: foreign, ...range }),
    () => server.grant({ to: adapter, ...range, mode: "lend", copyOnWrite: true }),
    () => server.grant({ to: adapter, ...range, zero: true, copyOnWrite: true }),
    () => server.send(foreign, new Uint8Array(16)),
    () => server.registerQueue(foreign, 0, PAGE),
    () => server.dma.putIndirect(1, 0, []),
    () => server.mmio.store8(0, 300),
  ];
  for (const call of calls) expectRefused(table, H_PARAMETER, () => statusOf(call));
  table.fail(server);
  for (const call of calls) expect(statusOf(call)).toBe(H_RESCINDED);
  await table.recovered(server);
  for (const call of [...calls, () => server.grant({ to: client, ...range })])
    expect(statusOf(call)).toBe(H_RESCINDED);
});

test("G2: what cannot be made a number is a TypeError, and nothing has happened", () => {
  const { table, h, server, unit } = openPair();
  const before = table.inspect();
  for (const wrong of [1n, Symbol("a")] as unknown as number[]) {
    expect(() => h.grantLogical(server.lpid, SHARE, 0, wrong, PAGE, unit)).toThrow(TypeError);
    expect(() => h.acceptLogical(wrong, 1)).toThrow(TypeError);
    expect(() => server.allocate(wrong)).toThrow(TypeError);
    expect(() => server.read(wrong, 1)).toThrow(TypeError);
    expect(() => server.fill(0, 1, wrong)).toThrow(TypeError);
  }
  expect(table.inspect()).toEqual(before);
});

describe("G3: cookies", () => {
  test("G3: cookies are safe integers, unique over all partitions, and never handed out twice", () => {
    const { h, row, units } = openRow(3);
    const seen = new Set<number>();
    for (let round = 0; round < 2000; round++) {
      const from = round % 2;
      const cookie = granted(h, at(row, from).lpid, at(units, from), 0);
      expect(Number.isSafeInteger(cookie) && cookie > 0).toBe(true);
      expect(seen.has(cookie)).toBe(false);
      seen.add(cookie);
      expect(h.rescindLogical(at(row, from).lpid, 0, cookie)).toBe(H_SUCCESS);
    }
    for (const cookie of [...seen].slice(-50)) {
      for (const partition of row) {
        expect(h.acceptLogical(partition.lpid, cookie)).toBe(H_PARAMETER);
        expect(h.returnLogical(partition.lpid, cookie)).toBe(H_PARAMETER);
        expect(h.rescindLogical(partition.lpid, 1, cookie)).toBe(H_PARAMETER);
      }
    }
  });

  test("G3: a foreign cookie and one that never existed get the same answer", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const cookie = granted(h, a.lpid, at(units, 0), 0);
    const invented = cookie + COOKIE_SLOTS;
    for (const call of [
      (value: number) => h.acceptLogical(c.lpid, value),
      (value: number) => h.returnLogical(c.lpid, value),
      (value: number) => h.rescindLogical(c.lpid, 0, value),
      (value: number) => h.rescindLogical(b.lpid, 1, value),
      (value: number) => h.acceptLogical(a.lpid, value),
    ]) {
      for (const value of [cookie, invented]) expectRefused(table, H_PARAMETER, () => call(value));
    }
  });

  test("G3: an elemental resource's slot is no cookie", () => {
    const { table, h, server, client } = openPair();
    for (let slot = 0; slot < 8; slot++) {
      for (let generation = 0; generation < 4; generation++) {
        const cookie = generation * COOKIE_SLOTS + slot;
        for (const { lpid } of [server, client]) {
          expectRefused(table, H_PARAMETER, () => h.acceptLogical(lpid, cookie));
          expectRefused(table, H_PARAMETER, () => h.returnLogical(lpid, cookie));
          expectRefused(table, H_PARAMETER, () => h.rescindLogical(lpid, 1, cookie));
        }
      }
    }
  });
});

describe("G4: incarnations", () => {
  test("G4: after a restart, cookies, adapters and queues of the old incarnation have no power", async () => {
    const world = openPair({ clientPages: 8 });
    const { table, h, server, client, unit, back, adapter, clock } = world;
    const given = granted(h, server.lpid, unit, 0);
    const held = granted(h, client.lpid, back, 0);
    expect(h.regCrq(server.lpid, unit, PAGE, PAGE)).toBeGreaterThanOrEqual(0);
    expect(h.regCrq(client.lpid, back, PAGE, PAGE)).toBe(H_SUCCESS);
    table.fail(server);
    clock.advance(2000);
    await table.recovered(server);
    table.restart(server);
    expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, 0, given));
    expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, 1, given));
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(server.lpid, held));
    expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, given));
    expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit));
    expectRefused(table, H_PARAMETER, () => h.grantLogical(client.lpid, SHARE, 0, 0, PAGE, back));
    expect(h.sendCrq(server.lpid, unit, 0x80, 0, 0, 0)).toBe(H_PARAMETER);
    expect(h.regCrq(server.lpid, unit, PAGE, PAGE)).toBe(H_PARAMETER);
    expect(() => server.grant({ to: adapter, address: 0, length: PAGE })).toThrow();
    const fresh = join(world, server, client);
    expect([unit, back]).not.toContain(fresh.unitAddress);
    expect([unit, back]).not.toContain(fresh.peer.unitAddress);
    granted(h, server.lpid, fresh.unitAddress, 0);
    expectRefused(table, H_PARAMETER, () => h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit));
  });

  test("G4: unit addresses of dead adapters stay dead over many incarnations", async () => {
    const world = openPair();
    const { table, h, server, client } = world;
    const dead: number[] = [];
    for (let round = 0; round < 50; round++) {
      const adapter = join(world, server, client);
      expect(dead).not.toContain(adapter.unitAddress);
      for (const unit of dead) {
        expect(h.grantLogical(client.lpid, SHARE, 0, 0, PAGE, unit)).toBe(H_PARAMETER);
        expect(h.grantLogical(server.lpid, SHARE, 0, 0, PAGE, unit)).toBe(H_PARAMETER);
      }
      dead.push(adapter.unitAddress, adapter.peer.unitAddress);
      table.fail(server);
      await table.recovered(server);
      table.restart(server);
    }
  });

  test("G4: a mapping, a batch and a view of the old incarnation reach nothing of the new one", async () => {
    const world = openPair();
    const { table, server, client, clock } = world;
    const mapping = client.accept(server.grant({ to: client, address: 0, length: PAGE }));
    const batch = client.createBatch(1);
    const view = client.view(0, PAGE);
    const leaked = view.bytes;
    table.fail(client);
    clock.advance(2000);
    await table.recovered(client);
    table.restart(client);
    client.write(0, Uint8Array.of(7));
    leaked.fill(9);
    expect(client.read(0, 1)[0]).toBe(7);
    expect(leaked[0]).toBe(9);
    const before = table.inspect();
    try {
      mapping.return();
    } catch {
      // Either answer is a refusal; the state below is what counts.
    }
    expect(table.inspect()).toEqual(before);
    batch.addresses[0] = 4 * PAGE;
    try {
      expect(batch.run(1)).toBe(0);
    } catch {
      // A batch of an old incarnation may also refuse to run.
    }
    view.release();
  });
});

describe("G5: slices", () => {
  test("G5: the budget is a whole number of steps, at least 1", () => {
    const { h } = openPair();
    expect(h.budget).toBe(3072);
    h.budget = 1;
    expect(h.budget).toBe(1);
    for (const bad of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 33]) {
      expect(() => {
        h.budget = bad;
      }).toThrow(RangeError);
      expect(h.budget).toBe(1);
    }
  });

  test("G5: a chain of thousands of re-grants is torn down without recursion", () => {
    // Two partitions hand one page to and fro: the depth is bounded by the logical space only.
    const depth = 6000;
    const { h, server, client, unit, back } = openPair({
      memory: 8192 * PAGE,
      logicalSpace: 8192 * PAGE,
      serverPages: 4,
    });
    const first = shared(h, server, unit, client, 0);
    let link = first;
    for (let index = 1; index < depth; index++) {
      const odd = index % 2 === 1;
      link = odd
        ? shared(h, client, back, server, link.address)
        : shared(h, server, unit, client, link.address);
    }
    const bounds = rescindInSlices(h, server.lpid, first.cookie);
    expect(bounds.length).toBeGreaterThan(0);
    expect(client.usage().rescinded + server.usage().rescinded).toBe(depth);
    expect(server.usage().grantsOut + client.usage().grantsOut).toBe(0);
  });

  test("G5: a slice of a huge tree is short, whatever the tree", () => {
    const count = 30_000;
    const { h, row, units } = openRow(3, {
      grants: 40_000,
      memory: 4096 * PAGE,
      logicalSpace: 65_536 * PAGE,
    });
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const root = shared(h, a, at(units, 0), b, 0);
    for (let index = 0; index < count; index++) shared(h, b, at(units, 1), c, root.address);
    h.budget = 100;
    let longest = 0;
    let last = performance.now();
    const bounds = rescindInSlices(h, a.lpid, root.cookie, () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    });
    expect(bounds.length).toBeGreaterThanOrEqual(count / 100);
    expect(longest).toBeLessThan(50);
    expect(c.usage().rescinded).toBe(count);
  });
});

describe("G6: mark first, report last", () => {
  test("G6: before the first structure is freed, no new use of the subtree can start", () => {
    const { table, h, row, units } = openRow(5);
    const links: { cookie: number; address: number }[] = [];
    for (let index = 0; index < 4; index++) {
      const from = index === 0 ? 0 : at(links, index - 1).address;
      links.push(shared(h, at(row, index), at(units, index), at(row, index + 1), from));
    }
    h.budget = 1;
    const freed = (): number => row.reduce((sum, partition) => sum + partition.usage().rescinded, 0);
    const { lpid } = at(row, 0);
    expect(h.rescindLogical(lpid, 1, at(links, 0).cookie)).toBe(H_PARTIAL);
    expect(freed()).toBe(0);
    for (let index = 1; index < 4; index++) {
      const from = at(links, index - 1).address;
      const grant = (): number => h.grantLogical(at(row, index).lpid, SHARE, 0, from, PAGE, at(units, index));
      expectRefused(table, H_RESCINDED, grant);
    }
    // Leaves first: whoever is still counted as shared has nobody below it that is counted already gone above it.
    rescindInSlices(h, lpid, at(links, 0).cookie, () => {
      const gone = row.slice(1).map((partition) => partition.usage().rescinded);
      expect(gone).toEqual([...gone].sort((x, y) => x - y));
    });
  });

  test("G6: success is reported only when no access remains", () => {
    for (const budget of [1, 2, 3, 5, 8, 13, 100]) {
      const { h, row, units } = openRow(6);
      const links: { cookie: number; address: number }[] = [];
      for (let index = 0; index < 5; index++) {
        const from = index === 0 ? 0 : at(links, index - 1).address;
        links.push(shared(h, at(row, index), at(units, index), at(row, index + 1), from));
      }
      h.budget = budget;
      rescindInSlices(h, at(row, 0).lpid, at(links, 0).cookie);
      for (const [index, link] of links.entries()) {
        expect(h.translate(at(row, index + 1).lpid, TYPE_MEMORY, link.address, 1, 0)).toBe(H_RESCINDED);
        expect(h.returnLogical(at(row, index + 1).lpid, link.cookie)).toBe(H_SUCCESS);
      }
    }
  });
});

describe("G7: time", () => {
  test("G7: jumps of the wall clock neither end nor stretch a grace period", async () => {
    const { table, h, server, client, unit, clock } = openPair();
    const { address } = shared(h, server, unit, client, 0);
    const real = Date.now;
    try {
      table.fail(server);
      for (const jump of [1e12, -1e12]) {
        Date.now = () => real() + jump;
        await settle();
        expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_SUCCESS);
      }
      clock.advance(2000);
      expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, 3)).toBe(H_RESCINDED);
    } finally {
      Date.now = real;
    }
  });

  test("G7: nothing is due while the injected clock stands still, and events carry its time", async () => {
    const { table, h, server, unit, clock } = openPair();
    clock.advance(123);
    granted(h, server.lpid, unit, 0);
    table.fail(server);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(server.state).toBe("failed");
    expect(clock.now()).toBe(123);
    clock.advance(2000);
    expect(server.state).toBe("stopped");
  });

  test("G7: the default clock runs by itself", async () => {
    const { table } = openTable({ gracePeriodMs: 5 });
    // openTable injects the manual clock; this table has the machine's own.
    const { ResourceTable } = await import("../src/index.js");
    const own = ResourceTable.create({ memory: 16 * PAGE, gracePeriodMs: 5 });
    const a = own.createPartition({ name: "a", memory: PAGE });
    const b = own.createPartition({ name: "b", memory: PAGE });
    own.connect(a, b);
    a.grant({ to: b, address: 0, length: PAGE });
    own.fail(a);
    expect(a.state).toBe("failed");
    await own.recovered(a);
    expect(a.state).toBe("stopped");
    expect(own.audit().problems).toEqual([]);
    await own.close();
    expect(table.audit().problems).toEqual([]);
  });
});

describe("values of another type than asked for", () => {
  const NO_TEXT = { toString: 1, valueOf: 1 };

  test.each([10n, Symbol("s"), NO_TEXT])("G2: %o is named where it is no option", (value) => {
    const { table, server, client } = openPair();
    const odd = value as never;
    const shown = value === NO_TEXT ? "something that has no text" : String(value);
    const calls: readonly (readonly [string, () => unknown])[] = [
      ["name", () => table.createPartition({ name: odd })],
      ["name", () => table.group(odd)],
      ["type", () => table.assign(client, { type: odd, address: 0, length: 1 })],
      ["onFailure", () => table.createPartition({ name: "a", onFailure: odd })],
      ["mode", () => server.grant({ to: client, address: 0, length: PAGE, mode: odd })],
    ];
    for (const [name, call] of calls) expect(call).toThrow(`${name} is "${shown}"; it must be`);
  });

  test("TR3: a length that becomes a number is read as that number", () => {
    const { server } = openPair();
    server.fill(0, 16, 7);
    for (const length of ["8", { valueOf: () => 8 }, [8]])
      expect(server.read(0, length as never)).toEqual(new Uint8Array(8).fill(7));
  });

  test("CQ3: an entry is an array of 16 bytes, and none of larger elements", () => {
    const { server, adapter } = openPair();
    for (const entry of [new Uint16Array(16), new Uint16Array(8)])
      expect(() => server.send(adapter, entry as never)).toThrow("the entry must be a Uint8Array");
    expect(() => server.send(adapter, new Uint8Array(32))).toThrow("the entry has 32 bytes; it must have 16");
  });
});
