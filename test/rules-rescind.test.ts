/** H_RESCIND_LOGICAL, rules RS1 to RS8 (1-semantics, section 7; DESIGN.md, 3.5 and 3.6). */
import { describe, expect, test } from "vitest";
import type { Cookie, Partition } from "../src/index.js";
import {
  H_PARAMETER,
  H_PARTIAL,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  INHIBIT_WRITE,
  TYPE_MEMORY,
} from "../src/layout.js";
import {
  accepted,
  at,
  auditedAfterEach,
  bytesOf,
  countEvents,
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
  type World,
} from "./support/world.js";

auditedAfterEach();

interface Link {
  readonly cookie: Cookie;
  readonly address: number;
}

/** A row in which page 0 of the first is shared on to the last; link i is the mapping of partition i + 1. */
function openChain(length: number): ReturnType<typeof openRow> & { links: Link[] } {
  const opened = openRow(length);
  const links: Link[] = [];
  for (let index = 0; index < length - 1; index++) {
    const from = index === 0 ? 0 : at(links, index - 1).address;
    const link = shared(
      opened.h,
      at(opened.row, index),
      at(opened.units, index),
      at(opened.row, index + 1),
      from,
    );
    links.push(link);
  }
  return { ...opened, links };
}

describe("RS1: who and how", () => {
  test("RS1: only the grantor may rescind, normal or forced", () => {
    const { table, h, row, units } = openRow(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const cookie = granted(h, a.lpid, at(units, 0), 0);
    for (const flags of [0, 1]) {
      for (const stranger of [b, c]) {
        expectRefused(table, H_PARAMETER, () => h.rescindLogical(stranger.lpid, flags, cookie));
      }
    }
    expect(h.rescindLogical(a.lpid, 0, cookie)).toBe(H_SUCCESS);
  });

  test("RS1: the owner further up is not the grantor of what was granted on", () => {
    const { table, h, row, links } = openChain(3);
    for (const flags of [0, 1]) {
      const call = (): number => h.rescindLogical(at(row, 0).lpid, flags, at(links, 1).cookie);
      expectRefused(table, H_PARAMETER, call);
    }
  });

  test("RS1: flags other than 0 and 1, and hostile cookies, are refused", () => {
    const { table, h, server, unit } = openPair();
    const cookie = granted(h, server.lpid, unit, 0);
    for (const flags of [...HOSTILE, 2, 3, 0x80, 0x100, 0x101]) {
      expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, flags, cookie));
    }
    for (const flags of [0, 1]) {
      for (const hostile of [...HOSTILE, 0, -0, 1, cookie + 1, cookie + 0.5, cookie + 2 ** 24, -cookie]) {
        expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, flags, hostile));
      }
    }
    expect(h.rescindLogical(server.lpid, -0, cookie)).toBe(H_SUCCESS); // minus zero is zero
  });

  test("RS1: a second time is refused, also when the slot is used again", () => {
    for (const [first, second] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ] as const) {
      for (const accept of [false, true]) {
        const { table, h, server, client, unit } = openPair();
        const cookie = granted(h, server.lpid, unit, 0);
        if (accept) accepted(h, client.lpid, cookie);
        if (accept && first === 0) expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
        expect(h.rescindLogical(server.lpid, first, cookie)).toBe(H_SUCCESS);
        expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, second, cookie));
        granted(h, server.lpid, unit, 0);
        expectRefused(table, H_PARAMETER, () => h.rescindLogical(server.lpid, second, cookie));
      }
    }
  });
});

describe("RS2 and RS3: normal", () => {
  test("RS2: Shared is not rescinded normally, with or without grants below; nothing changes", () => {
    const { table, h, row, links } = openChain(3);
    for (const index of [0, 1]) {
      const call = (): number => h.rescindLogical(at(row, index).lpid, 0, at(links, index).cookie);
      expectRefused(table, H_RESOURCE, call);
    }
    expect(h.returnLogical(at(row, 2).lpid, at(links, 1).cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_RESOURCE, () => h.rescindLogical(at(row, 0).lpid, 0, at(links, 0).cookie));
    expect(h.rescindLogical(at(row, 1).lpid, 0, at(links, 1).cookie)).toBe(H_SUCCESS);
    expect(h.returnLogical(at(row, 1).lpid, at(links, 0).cookie)).toBe(H_SUCCESS);
    expect(h.rescindLogical(at(row, 0).lpid, 0, at(links, 0).cookie)).toBe(H_SUCCESS);
  });

  test("RS3: a granted or returned structure is freed, and the quota returns", () => {
    for (const wasAccepted of [false, true]) {
      const { table, h, server, client, unit } = openPair({ quota: 1, grants: 3 });
      const cookie = granted(h, server.lpid, unit, 0);
      if (wasAccepted) {
        accepted(h, client.lpid, cookie);
        expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      }
      expect(h.rescindLogical(server.lpid, 0, cookie)).toBe(H_SUCCESS);
      expectRefused(table, H_PARAMETER, () => h.acceptLogical(client.lpid, cookie));
      expect(server.usage().grantsOut).toBe(0);
      expect(client.usage()).toMatchObject({ grantsIn: 0, rescinded: 0 });
      granted(h, server.lpid, unit, 0); // there is one place in the quota and one in the table
    }
  });
});

describe("RS4: forced", () => {
  test("RS4: the whole subtree loses access, children of children included", () => {
    const { h, row, links } = openChain(6);
    expect(h.rescindLogical(at(row, 1).lpid, 1, at(links, 1).cookie)).toBe(H_SUCCESS);
    for (const [index, link] of links.entries()) {
      const partition = at(row, index + 1);
      const expected = index === 0 ? H_SUCCESS : H_RESCINDED;
      expect(h.translate(partition.lpid, TYPE_MEMORY, link.address, PAGE, 3)).toBe(expected);
      expect(statusOf(() => partition.read(link.address, 1))).toBe(expected);
      expect(statusOf(() => partition.write(link.address, bytesOf(1, 1)))).toBe(expected);
      expect(statusOf(() => partition.fill(link.address, 1, 0))).toBe(expected);
      expect(statusOf(() => partition.load32(link.address))).toBe(expected);
      expect(statusOf(() => partition.store32(link.address, 0))).toBe(expected);
      expect(statusOf(() => partition.add32(link.address, 0))).toBe(expected);
      expect(statusOf(() => partition.compareExchange32(link.address, 0, 0))).toBe(expected);
      expect(statusOf(() => partition.copy(link.address, partition, 0, 1))).toBe(expected);
      expect(statusOf(() => partition.view(link.address, 1).release())).toBe(expected);
      expect(statusOf(() => partition.translate(link.address))).toBe(expected);
    }
  });

  test("RS4: a forced rescind leaves siblings untouched, at every level", () => {
    const { h, table, row, units, links } = openChain(4);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    const siblingOfB = shared(h, a, at(units, 0), b, 0);
    const siblingOfC = shared(h, b, at(units, 1), c, at(links, 0).address);
    const aside = table.createPartition({ name: "aside", memory: PAGE });
    const cousin = shared(h, b, join({ table }, b, aside).unitAddress, aside, siblingOfB.address);
    expect(h.rescindLogical(b.lpid, 1, at(links, 1).cookie)).toBe(H_SUCCESS);
    const reach = (partition: Partition, { address }: Link): number =>
      h.translate(partition.lpid, TYPE_MEMORY, address, PAGE, 3);
    expect(reach(b, at(links, 0))).toBe(H_SUCCESS);
    expect(reach(b, siblingOfB)).toBe(H_SUCCESS);
    expect(reach(c, siblingOfC)).toBe(H_SUCCESS);
    expect(reach(aside, cousin)).toBe(H_SUCCESS);
    expect(reach(c, at(links, 1))).toBe(H_RESCINDED);
    expect(reach(at(row, 3), at(links, 2))).toBe(H_RESCINDED);
    expect(h.rescindLogical(a.lpid, 1, siblingOfB.cookie)).toBe(H_SUCCESS);
    expect(reach(aside, cousin)).toBe(H_RESCINDED);
    expect(reach(c, siblingOfC)).toBe(H_SUCCESS);
    expect(reach(b, at(links, 0))).toBe(H_SUCCESS);
  });

  test("RS4: a rescinded address answers H_RESCINDED to every hypercall until the client returns it", () => {
    const { table, h, server, client, unit, back } = openPair();
    const { cookie, address } = shared(h, server, unit, client, 0);
    expect(h.rescindLogical(server.lpid, 1, cookie)).toBe(H_SUCCESS);
    expectRefused(table, H_RESCINDED, () => h.grantLogical(client.lpid, SHARE, 0, address, PAGE, back));
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(client.lpid, cookie));
    for (const need of [0, 1, 2, 3]) {
      expectRefused(table, H_RESCINDED, () => h.translate(client.lpid, TYPE_MEMORY, address, PAGE, need));
    }
    const batch = client.createBatch(1);
    batch.addresses[0] = address;
    expect(batch.run(1)).toBe(0);
    expect(batch.status[0]).toBe(H_RESCINDED);
    batch[Symbol.dispose]();
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    expect(h.translate(client.lpid, TYPE_MEMORY, address, PAGE, 0)).toBe(H_PARAMETER);
  });

  test("RS4: nodes that were never accepted, or were returned, are freed and leave no trace", () => {
    const { h, row, units, links } = openChain(3);
    const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    granted(h, b.lpid, at(units, 1), at(links, 0).address);
    expect(h.returnLogical(c.lpid, at(links, 1).cookie)).toBe(H_SUCCESS);
    expect(h.rescindLogical(a.lpid, 1, at(links, 0).cookie)).toBe(H_SUCCESS);
    expect(c.usage()).toMatchObject({ grantsIn: 0, rescinded: 0, pagesMapped: 0 });
    expect(b.usage()).toMatchObject({ grantsIn: 0, grantsOut: 0, rescinded: 1, pagesMapped: 0 });
    expect(accepted(h, c.lpid, granted(h, b.lpid, at(units, 1), 0))).toBe(4 * PAGE);
  });

  test("RS4: a node granted back to its own owner goes with the subtree, the owner's page does not", () => {
    const { h, server, client, unit, back } = openPair();
    const toClient = shared(h, server, unit, client, 0);
    const toServer = shared(h, client, back, server, toClient.address);
    server.write(toServer.address, bytesOf(8, 4));
    expect(h.rescindLogical(server.lpid, 1, toClient.cookie)).toBe(H_SUCCESS);
    expect(statusOf(() => server.read(toServer.address, 8))).toBe(H_RESCINDED);
    expect(server.read(0, 8)).toEqual(bytesOf(8, 4));
  });

  test("RS4: a tree that is wide and deep is torn down in one call within the budget", () => {
    const { table, h } = openTable({ memory: 128 * PAGE, grants: 4096 });
    const partitions = Array.from({ length: 5 }, (_, index) =>
      table.createPartition({ name: `p${index}`, memory: 2 * PAGE }),
    );
    const units = new Map<Partition, number[]>();
    for (const a of partitions) {
      for (const b of partitions) {
        if (a.lpid >= b.lpid) continue;
        const adapter = join({ table }, a, b);
        units.set(a, [...(units.get(a) ?? []), adapter.unitAddress]);
        units.set(b, [...(units.get(b) ?? []), adapter.peer.unitAddress]);
      }
    }
    const root = at(partitions, 0);
    const rootGrant = shared(h, root, at(units.get(root) ?? [], 0), at(partitions, 1), 0);
    let level = [{ partition: at(partitions, 1), address: rootGrant.address }];
    for (let depth = 0; depth < 3; depth++) {
      const next: typeof level = [];
      for (const { partition, address } of level) {
        for (const unit of units.get(partition) ?? []) {
          const cookie = granted(h, partition.lpid, unit, address);
          const grantee = partitions.find((other) => h.acceptLogical(other.lpid, cookie) === H_SUCCESS);
          if (grantee === undefined) throw new Error("nobody could accept");
          next.push({ partition: grantee, address: h.r4 });
        }
      }
      level = next;
    }
    expect(h.rescindLogical(root.lpid, 1, rootGrant.cookie)).toBe(H_SUCCESS);
    const usages = partitions.map((partition) => partition.usage());
    expect(usages.reduce((sum, usage) => sum + usage.rescinded, 0)).toBe(1 + 4 + 16 + 64);
    expect(usages.every((usage) => usage.grantsIn === 0 && usage.grantsOut === 0)).toBe(true);
    for (const { partition, address } of level) {
      expect(h.translate(partition.lpid, TYPE_MEMORY, address, 1, 0)).toBe(H_RESCINDED);
    }
  });
});

describe("RS5: slices", () => {
  test("RS5: with a budget of 1 progress strictly falls and the end is reached", () => {
    for (const depth of [2, 3, 8]) {
      const { h, row, links } = openChain(depth);
      h.budget = 1;
      const bounds = rescindInSlices(h, at(row, 0).lpid, at(links, 0).cookie);
      expect(bounds.length).toBeGreaterThanOrEqual(depth - 2);
      for (const [index, bound] of bounds.entries()) {
        expect(bound).toBeGreaterThan(0);
        if (index > 0) expect(bound).toBeLessThan(at(bounds, index - 1));
      }
    }
  });

  test("RS5: the number of slices falls with the budget", () => {
    const slices = [1, 2, 4, 16, 4096].map((budget) => {
      const { h, row, links } = openChain(9);
      h.budget = budget;
      return rescindInSlices(h, at(row, 0).lpid, at(links, 0).cookie).length;
    });
    expect(slices.at(-1)).toBe(0);
    expect(slices).toEqual([...slices].sort((a, b) => b - a));
    expect(at(slices, 0)).toBeGreaterThan(at(slices, 2));
  });

  test("RS5: from the first H_PARTIAL on every call on the subtree answers H_RESCINDED and nothing grows", () => {
    const { table, h, row, units, links } = openChain(5);
    const [a, b, c, d] = [at(row, 0), at(row, 1), at(row, 2), at(row, 3)];
    const waiting = granted(h, d.lpid, at(units, 3), at(links, 2).address);
    h.budget = 1;
    expect(h.rescindLogical(a.lpid, 1, at(links, 0).cookie)).toBe(H_PARTIAL);
    for (const [index, link] of links.entries()) {
      const grantor = at(row, index);
      const grantee = at(row, index + 1);
      expectRefused(table, H_RESCINDED, () => h.acceptLogical(grantee.lpid, link.cookie));
      expectRefused(table, H_RESCINDED, () => h.returnLogical(grantee.lpid, link.cookie));
      expectRefused(table, H_RESCINDED, () => h.rescindLogical(grantor.lpid, 0, link.cookie));
    }
    expectRefused(table, H_RESCINDED, () => h.acceptLogical(at(row, 4).lpid, waiting));
    expectRefused(table, H_RESCINDED, () => h.rescindLogical(d.lpid, 0, waiting));
    for (const [index, partition] of [b, c, d].entries()) {
      const call = (): number =>
        h.grantLogical(partition.lpid, SHARE, 0, at(links, index).address, PAGE, at(units, index + 1));
      expectRefused(table, H_RESCINDED, call);
    }
    const rest = rescindInSlices(h, a.lpid, at(links, 0).cookie);
    expect(rest.length).toBeGreaterThan(0);
  });

  test("RS5: between slices others go on: siblings, other trees, other partitions", () => {
    const { h, row, units, links } = openChain(5);
    const [a, b, c, d] = [at(row, 0), at(row, 1), at(row, 2), at(row, 3)];
    h.budget = 1;
    let rounds = 0;
    rescindInSlices(h, a.lpid, at(links, 0).cookie, () => {
      const other = shared(h, c, at(units, 2), d, 0);
      const sibling = shared(h, a, at(units, 0), b, 0);
      d.write(other.address, bytesOf(4, rounds));
      expect(c.read(0, 4)).toEqual(bytesOf(4, rounds));
      expect(h.returnLogical(d.lpid, other.cookie)).toBe(H_SUCCESS);
      expect(h.rescindLogical(c.lpid, 0, other.cookie)).toBe(H_SUCCESS);
      expect(h.returnLogical(b.lpid, sibling.cookie)).toBe(H_SUCCESS);
      expect(h.rescindLogical(a.lpid, 0, sibling.cookie)).toBe(H_SUCCESS);
      rounds++;
    });
    expect(rounds).toBeGreaterThan(3);
  });

  test("RS5: access that was lost in one slice does not come back in a later one", () => {
    const { h, row, links } = openChain(6);
    h.budget = 1;
    const lost = new Set<number>();
    rescindInSlices(h, at(row, 0).lpid, at(links, 0).cookie, () => {
      for (const [index, link] of links.entries()) {
        const status = h.translate(at(row, index + 1).lpid, TYPE_MEMORY, link.address, 1, 0);
        if (lost.has(index)) expect(status).toBe(H_RESCINDED);
        if (status === H_RESCINDED) lost.add(index);
        else expect(status).toBe(H_SUCCESS);
      }
    });
    for (const [index, link] of links.entries()) {
      expect(h.translate(at(row, index + 1).lpid, TYPE_MEMORY, link.address, 1, 0)).toBe(H_RESCINDED);
    }
  });

  test("RS5: the pages of mappings count as steps, so that large ones take more slices", () => {
    const slices = [1, 640].map((pages) => {
      const opened = openPair({ memory: 1024 * PAGE, serverPages: 640, logicalSpace: 8192 * PAGE });
      const { h, server, client, unit, back } = opened;
      const root = shared(h, server, unit, client, 0, pages * PAGE);
      for (let child = 0; child < 8; child++) shared(h, client, back, server, root.address, pages * PAGE);
      h.budget = 8;
      return rescindInSlices(h, server.lpid, root.cookie).length;
    });
    expect(at(slices, 1)).toBeGreaterThan(at(slices, 0));
  });

  test("RS5: rescindForced reports nodes and slices, and yields between them", async () => {
    const { h, row, links } = openChain(6);
    h.budget = 1;
    let turns = 0;
    let done = false;
    const counting = (async () => {
      while (!done) {
        await new Promise((resolve) => setImmediate(resolve));
        turns++;
      }
    })();
    const report = await at(row, 0).rescindForced(at(links, 0).cookie);
    done = true;
    await counting;
    expect(report).toMatchObject({ nodes: 5, pagesMoved: 0 });
    expect(report.slices).toBeGreaterThan(3);
    expect(turns).toBeGreaterThan(0);
  });
});

describe("RS6: pins", () => {
  test("RS6: a pinned page moves: the leaked view sees nothing new and writes to nobody", async () => {
    const { h, row, units } = openRow(3);
    const [owner, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    owner.write(0, bytesOf(PAGE, 1));
    const pinned = shared(h, owner, at(units, 0), b, 0);
    const kept = shared(h, owner, at(units, 0), b, 0);
    const deeper = shared(h, b, at(units, 1), c, kept.address, PAGE, SHARE | INHIBIT_WRITE);
    const physical = owner.translate(0);
    const view = b.view(pinned.address, PAGE);
    const leaked = view.bytes;
    expect(leaked).toEqual(bytesOf(PAGE, 1));

    const report = await owner.rescindForced(pinned.cookie);
    expect(report).toMatchObject({ nodes: 1, pagesMoved: 1 });
    expect(statusOf(() => b.read(pinned.address, 1))).toBe(H_RESCINDED);
    expect(owner.translate(0)).not.toBe(physical);
    expect(b.translate(kept.address)).toBe(owner.translate(0));
    expect(c.translate(deeper.address)).toBe(owner.translate(0));

    for (const [partition, address] of [
      [owner, 0],
      [b, kept.address],
      [c, deeper.address],
    ] as const) {
      expect(partition.read(address, PAGE)).toEqual(bytesOf(PAGE, 1)); // the content went along
    }
    leaked.fill(0xee);
    expect(owner.read(0, PAGE)).toEqual(bytesOf(PAGE, 1));
    owner.write(0, bytesOf(PAGE, 77));
    b.write(kept.address + 8, Uint8Array.of(200));
    expect(new Set(leaked)).toEqual(new Set([0xee]));
    expect(c.read(deeper.address + 8, 1)[0]).toBe(200);
    expect(owner.read(9, 3)).toEqual(bytesOf(3, 86));
    view.release();
  });

  test("RS6: the old frame is quarantined until the pin is released, then it is free again", async () => {
    const { table, h, server, client, unit } = openPair({ memory: 21 * PAGE });
    const { cookie, address } = shared(h, server, unit, client, 0);
    const view = client.view(address, PAGE);
    expect((await server.rescindForced(cookie)).pagesMoved).toBe(1);
    const quarantined = (): number => server.usage().quarantined + client.usage().quarantined;
    expect(quarantined()).toBe(1);
    expect(() => table.createPartition({ name: "late", memory: PAGE })).toThrow(); // no frame is free
    view.release();
    expect(quarantined()).toBe(0);
    const late = table.createPartition({ name: "late", memory: PAGE });
    expect(late.read(0, PAGE)).toEqual(new Uint8Array(PAGE)); // TR5
  });

  test("RS6: returning the rescinded mapping does not release the pin or the frame", async () => {
    const { h, server, client, unit } = openPair();
    const { cookie, address } = shared(h, server, unit, client, 0);
    const view = client.view(address, PAGE);
    const leaked = view.bytes;
    await server.rescindForced(cookie);
    expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
    leaked.fill(5);
    server.write(0, bytesOf(16, 1));
    expect(server.read(0, 16)).toEqual(bytesOf(16, 1));
    expect(leaked[0]).toBe(5);
    view.release();
    expect(server.usage().quarantined + client.usage().quarantined).toBe(0);
    expect(client.usage().pins).toBe(0);
  });

  test("RS6: only pinned pages move, each page once, whatever the number of views", async () => {
    const { h, server, client, unit } = openPair();
    const { cookie, address } = shared(h, server, unit, client, 0, 4 * PAGE);
    const before = [0, 1, 2, 3].map((page) => server.translate(page * PAGE));
    const views = [
      client.view(address + PAGE, 10),
      client.view(address + PAGE + 100, 10),
      client.view(address + 3 * PAGE, PAGE),
    ];
    const report = await server.rescindForced(cookie);
    expect(report.pagesMoved).toBe(2);
    const after = [0, 1, 2, 3].map((page) => server.translate(page * PAGE));
    expect(after.map((physical, page) => physical === before[page])).toEqual([true, false, true, false]);
    for (const view of views) view.release();
  });

  test("RS6: the owner's own view follows the page, the client's does not", async () => {
    const { h, server, client, unit } = openPair();
    server.write(0, bytesOf(PAGE, 1));
    const { cookie, address } = shared(h, server, unit, client, 0);
    const own = server.view(0, PAGE);
    const foreign = client.view(address, PAGE);
    const leaked = foreign.bytes;
    await server.rescindForced(cookie);
    own.bytes[0] = 99;
    expect(server.read(0, 1)[0]).toBe(99);
    expect(leaked[0]).toBe(1);
    leaked[1] = 55;
    expect(own.bytes[1]).toBe(2);
    own.release();
    foreign.release();
  });

  test("RS5: the bound of the raw call is its own, whatever views follow the pages that it has moved", () => {
    const { h, row, units } = openRow(4);
    const [a, b, c, d] = [at(row, 0), at(row, 1), at(row, 2), at(row, 3)];
    const toB = shared(h, a, at(units, 0), b, 0);
    const toC = shared(h, b, at(units, 1), c, toB.address);
    const toD = shared(h, c, at(units, 2), d, toC.address);
    using own = a.view(0, PAGE);
    using leaked = d.view(toD.address, PAGE);
    h.budget = 1;
    const bounds = rescindInSlices(h, a.lpid, toB.cookie);
    expect(own.bytes.byteOffset).not.toBe(leaked.bytes.byteOffset);
    expect(bounds.length).toBeGreaterThan(1);
    expect(Math.max(...bounds)).toBeLessThan(1000);
    expect(bounds).toEqual([...new Set(bounds)].sort((one, other) => other - one));
  });

  test("RS6: a page that only its owner pinned stays where it is", async () => {
    const { h, server, client, unit } = openPair();
    const { cookie } = shared(h, server, unit, client, 0);
    using own = server.view(0, PAGE);
    const physical = server.translate(0);
    expect((await server.rescindForced(cookie)).pagesMoved).toBe(0);
    expect(server.translate(0)).toBe(physical);
    expect(own.bytes.length).toBe(PAGE);
  });

  test("RS6: pins deep in the subtree move the owner's page with its other sharers", async () => {
    const { h, row, units, links } = openChain(5);
    const owner = at(row, 0);
    owner.write(0, bytesOf(32, 1));
    const beside = shared(h, owner, at(units, 0), at(row, 1), 0);
    const views = [2, 3].map((index) => at(row, index + 1).view(at(links, index).address, PAGE));
    const leaked = views.map((view) => view.bytes);
    const report = await owner.rescindForced(at(links, 0).cookie);
    expect(report.nodes).toBe(4);
    expect(report.pagesMoved).toBeGreaterThanOrEqual(1);
    for (const bytes of leaked) bytes.fill(0xaa);
    expect(owner.read(0, 32)).toEqual(bytesOf(32, 1));
    expect(at(row, 1).read(beside.address, 32)).toEqual(bytesOf(32, 1));
    owner.fill(0, PAGE, 0x11);
    for (const bytes of leaked) expect(new Set(bytes)).toEqual(new Set([0xaa]));
    for (const view of views) view.release();
  });

  test("RS6, FA2: in the grace period of its owner, too, no view stays on a page that others go on using", async () => {
    // No frame may go to quarantine: the rescind waits for the view, or for the end of the grace.
    for (const waits of [true, false]) {
      const { table, clock, h, row, units } = openRow(3, { quarantine: 0 });
      const [owner, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
      const kept = shared(h, owner, at(units, 0), b, 0);
      const lost = shared(h, b, at(units, 1), c, kept.address);
      const view = c.view(lost.address, PAGE);
      const leaked = view.bytes;
      table.fail(owner);
      const isOver = h.rescindLogical(b.lpid, 1, lost.cookie) === H_SUCCESS;
      b.fill(kept.address, 8, 0x77);
      expect([isOver, leaked[0]]).toEqual([false, 0x77]);
      if (waits) {
        view.release();
        expect(h.rescindLogical(b.lpid, 1, lost.cookie)).toBe(H_SUCCESS);
      }
      clock.advance(2000);
      await table.recovered(owner);
      expect(h.returnLogical(c.lpid, lost.cookie)).toBe(H_SUCCESS);
      expect(h.returnLogical(b.lpid, kept.cookie)).toBe(H_SUCCESS);
      if (!waits) view.release();
    }
  });

  test("RS6: a mid-chain rescind with a pin below moves the page also under those above", async () => {
    const { row, links } = openChain(4);
    const [owner, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
    owner.write(0, bytesOf(16, 3));
    const view = at(row, 3).view(at(links, 2).address, PAGE);
    const leaked = view.bytes;
    await c.rescindForced(at(links, 2).cookie);
    leaked.fill(0);
    for (const [partition, address] of [
      [owner, 0],
      [b, at(links, 0).address],
      [c, at(links, 1).address],
    ] as const) {
      expect(partition.read(address, 16)).toEqual(bytesOf(16, 3));
    }
    b.write(at(links, 0).address, Uint8Array.of(150));
    expect(owner.read(0, 1)[0]).toBe(150);
    expect(c.read(at(links, 1).address, 1)[0]).toBe(150);
    expect(leaked[0]).toBe(0);
    view.release();
  });

  test("RS6: a normal rescind does not move anything: Shared with a pin is H_RESOURCE", () => {
    const { table, h, server, client, unit } = openPair();
    const { cookie, address } = shared(h, server, unit, client, 0);
    using view = client.view(address, 4);
    expectRefused(table, H_RESOURCE, () => h.rescindLogical(server.lpid, 0, cookie));
    expect(view.bytes.length).toBe(4);
  });

  test("RS6: a moved page can be shared, pinned and moved again", async () => {
    const { h, server, client, unit } = openPair();
    const views = [];
    for (let round = 0; round < 5; round++) {
      server.write(0, bytesOf(8, round));
      const { cookie, address } = shared(h, server, unit, client, 0);
      const view = client.view(address, PAGE);
      expect((await server.rescindForced(cookie)).pagesMoved).toBe(1);
      expect(h.returnLogical(client.lpid, cookie)).toBe(H_SUCCESS);
      views.push(view);
    }
    expect(server.usage().quarantined + client.usage().quarantined).toBe(5);
    expect(server.read(0, 8)).toEqual(bytesOf(8, 4));
    for (const view of views.reverse()) view.release();
    expect(server.usage().quarantined + client.usage().quarantined).toBe(0);
  });
});

describe("RS7: overlapping forced rescinds", () => {
  /** All orders of `long` times 0 and `short` times 1. */
  function orders(long: number, short: number): number[][] {
    if (long === 0 && short === 0) return [[]];
    const result: number[][] = [];
    if (long > 0) for (const rest of orders(long - 1, short)) result.push([0, ...rest]);
    if (short > 0) for (const rest of orders(long, short - 1)) result.push([1, ...rest]);
    return result;
  }

  /** Runs both to their ends in the given order, then one after the other; returns the last status of each. */
  function interleave(world: World, calls: readonly [() => number, () => number], order: number[]): number[] {
    const last = [H_PARTIAL, H_PARTIAL] as number[];
    const step = (which: number): void => {
      if (last[which] !== H_PARTIAL) return;
      last[which] = at(calls, which)();
      expect([H_PARTIAL, H_SUCCESS, H_PARAMETER]).toContain(last[which]);
    };
    for (const which of order) step(which);
    for (let round = 0; round < 1000 && last.includes(H_PARTIAL); round++) {
      step(0);
      step(1);
    }
    expect(last).not.toContain(H_PARTIAL);
    expect(world.table.audit().problems).toEqual([]);
    return last;
  }

  test("RS7: an outer and an inner rescind, slice by slice in all orders: one teardown, no early success", () => {
    for (const order of orders(4, 4)) {
      const chain = openChain(5);
      const { h, table, row, links } = chain;
      h.budget = 1;
      const reach = (index: number): number =>
        h.translate(at(row, index + 1).lpid, TYPE_MEMORY, at(links, index).address, 1, 0);
      const rescind = (index: number) => (): number => {
        const status = h.rescindLogical(at(row, index).lpid, 1, at(links, index).cookie);
        if (status === H_SUCCESS || status === H_PARAMETER) {
          for (let below = index; below < links.length; below++) expect(reach(below)).toBe(H_RESCINDED);
        }
        return status;
      };
      const last = interleave(chain, [rescind(0), rescind(2)], order);
      expect(last).toContain(H_SUCCESS);
      for (const [index, link] of links.entries()) {
        expect(at(row, index + 1).usage()).toMatchObject({ rescinded: 1, grantsIn: 0 });
        expect(at(row, index).usage()).toMatchObject({ grantsOut: 0 });
        expect(h.returnLogical(at(row, index + 1).lpid, link.cookie)).toBe(H_SUCCESS);
      }
      for (const partition of row) {
        expect(partition.usage()).toMatchObject({ rescinded: 0, grantsIn: 0, grantsOut: 0, pagesMapped: 0 });
      }
      expect(table.audit().problems).toEqual([]);
    }
  });

  test("RS7: two rescinds of disjoint subtrees of one resource do not hinder each other", () => {
    for (const order of orders(3, 3)) {
      const world = openRow(4);
      const { h, row, units } = world;
      const [a, b, c] = [at(row, 0), at(row, 1), at(row, 2)];
      const trees = [0, 1].map(() => {
        const toB = shared(h, a, at(units, 0), b, 0);
        const toC = shared(h, b, at(units, 1), c, toB.address);
        shared(h, c, at(units, 2), at(row, 3), toC.address);
        return toB;
      });
      h.budget = 1;
      const rescind = (which: number) => (): number => h.rescindLogical(a.lpid, 1, at(trees, which).cookie);
      expect(interleave(world, [rescind(0), rescind(1)], order)).toEqual([H_SUCCESS, H_SUCCESS]);
    }
  });

  test("RS7: of two rescindForced of overlapping subtrees both resolve, after the teardown", async () => {
    const { h, row, links } = openChain(6);
    h.budget = 1;
    const reach = (index: number): number =>
      h.translate(at(row, index + 1).lpid, TYPE_MEMORY, at(links, index).address, 1, 0);
    const outer = at(row, 0).rescindForced(at(links, 0).cookie);
    const inner = at(row, 2).rescindForced(at(links, 2).cookie);
    const checked = inner.then((report) => {
      for (let index = 2; index < links.length; index++) expect(reach(index)).toBe(H_RESCINDED);
      return report;
    });
    const reports = await Promise.all([outer, checked]);
    for (const index of links.keys()) expect(reach(index)).toBe(H_RESCINDED);
    expect(reports.reduce((sum, report) => sum + report.nodes, 0)).toBeGreaterThanOrEqual(5);
  });

  test("RS7: nor is one with a deadline refused: the client is not asked for what an outer one takes", async () => {
    const { h, row, links } = openChain(6);
    h.budget = 1;
    const grantor = at(row, 2);
    const outer = at(row, 0).rescindForced(at(links, 0).cookie);
    const { cookie } = at(links, 2);
    const inner = grantor.rescindForced(cookie, { deadline: 1000 }).then((report) => {
      expect(grantor.usage()).toMatchObject({ grantsOut: 0 });
      return report;
    });
    const reports = await Promise.all([outer, inner]);
    expect(reports.reduce((sum, report) => sum + report.nodes, 0)).toBeGreaterThanOrEqual(5);
    for (let event = at(row, 3).takeEvent(); event !== undefined; event = at(row, 3).takeEvent())
      expect(event.type).toBe("rescinded");
    await expect(grantor.rescindForced(cookie, { deadline: 1000 })).rejects.toMatchObject({
      code: "H_PARAMETER",
    });
  });

  test("RS7: with a deadline, and the outer one is over right after the question", async () => {
    const { h, row, links } = openChain(4);
    h.budget = 1;
    const outer = (): number => h.rescindLogical(at(row, 0).lpid, 1, at(links, 0).cookie);
    expect(outer()).toBe(H_PARTIAL);
    const inner = at(row, 2).rescindForced(at(links, 2).cookie, { deadline: 1000 });
    while (outer() === H_PARTIAL);
    expect(await inner).toMatchObject({ pagesMoved: 0 });
  });

  test("RS7: the same subtree rescinded twice at once by the same partition settles twice", async () => {
    const { h, row, links } = openChain(5);
    h.budget = 1;
    const first = at(row, 0).rescindForced(at(links, 0).cookie);
    const second = at(row, 0).rescindForced(at(links, 0).cookie);
    await Promise.all([first, second]);
    await settle();
    expect(at(row, 0).usage().grantsOut).toBe(0);
  });
});

describe("RS8: the owner", () => {
  test("RS8: the owner's access works before, between and after all slices, with and without pins", () => {
    for (const pinned of [false, true]) {
      const { h, row, links } = openChain(5);
      const owner = at(row, 0);
      owner.write(0, bytesOf(64, 1));
      const view = pinned ? at(row, 4).view(at(links, 3).address, PAGE) : undefined;
      h.budget = 1;
      let count = 0;
      rescindInSlices(h, owner.lpid, at(links, 0).cookie, () => {
        expect(h.translate(owner.lpid, TYPE_MEMORY, 0, PAGE, 3)).toBe(H_SUCCESS);
        expect(owner.read(4, 60)).toEqual(bytesOf(60, 5));
        owner.store32(0, count);
        expect(owner.load32(0)).toBe(count);
        count++;
      });
      expect(owner.read(4, 60)).toEqual(bytesOf(60, 5));
      expect(owner.load32(0)).toBe(count - 1);
      view?.release();
    }
  });
});

describe("leaves side by side", () => {
  test("RS4, RS8: many grants of one page end as each by itself would: events, addresses, quotas, views", () => {
    const world = openTable({ memory: 64 * PAGE, grants: 400 });
    const { table, h } = world;
    const create = (name: string): Partition => table.createPartition({ name, memory: 4 * PAGE });
    const [server, hub, many, few] = [create("server"), create("hub"), create("many"), create("few")];
    const { cookie: top, address } = shared(h, server, join(world, server, hub).unitAddress, hub, 0);
    const units = new Map([many, few].map((to) => [to, join(world, hub, to).unitAddress]));
    const unit = (to: Partition): number => units.get(to) as number;
    // The last one made is the first child.
    const order = [
      ...Array.from({ length: 40 }, () => many),
      ...Array.from({ length: 3 }, () => few),
      ...Array.from({ length: 21 }, () => many),
    ];
    const links = order.map((to) => ({ to, ...shared(h, hub, unit(to), to, address) }));
    const open = granted(h, hub.lpid, unit(many), address);
    const view = many.view(at(links, 20).address, PAGE);
    view.bytes.fill(7);
    const regranted = shared(h, many, join(world, many, few).unitAddress, few, at(links, 30).address);

    rescindInSlices(h, server.lpid, top);
    expect(h.acceptLogical(many.lpid, open)).toBe(H_PARAMETER);
    expect([hub, many, few].map((partition) => countEvents(partition, "rescinded"))).toEqual([1, 61, 4]);
    for (const partition of [hub, many, few])
      expect(partition.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 0 });
    expect([...view.bytes.subarray(0, 4)]).toEqual([7, 7, 7, 7]);
    view.release();
    for (const { to, cookie, address: old } of [...links, { to: few, ...regranted }]) {
      expect(statusOf(() => to.read(old, 8))).toBe(H_RESCINDED);
      expect(h.returnLogical(to.lpid, cookie)).toBe(H_SUCCESS);
      expect(statusOf(() => to.read(old, 8))).toBe(H_PARAMETER);
    }
    expect(h.returnLogical(hub.lpid, top)).toBe(H_SUCCESS);
  });
});

describe("many grants in one commit", () => {
  /** Takes all events of a partition: who rescinded what. */
  function rescindedBy(partition: Partition): string[] {
    const told: string[] = [];
    for (let event = partition.takeEvent(); event !== undefined; event = partition.takeEvent()) {
      if (event.type === "rescinded") told.push(`${event.partner} ${event.cookie}`);
    }
    return told.sort();
  }

  interface Node {
    readonly from: Partition;
    readonly to: Partition;
    readonly cookie: Cookie;
    readonly address: number;
  }

  /** Three partitions that grant to each other what a server has granted to the first. */
  function openTriangle(): World & {
    server: Partition;
    three: readonly Partition[];
    grow: (from: Node, to: number) => Node;
    root: Node;
  } {
    const world = openTable({ memory: 64 * PAGE, grants: 400 });
    const create = (name: string): Partition => world.table.createPartition({ name, memory: 4 * PAGE });
    const server = create("server");
    const three = ["a", "b", "c"].map(create);
    const units = new Map<string, number>();
    for (const [one, other] of [
      [0, 1],
      [1, 2],
      [2, 0],
    ] as const) {
      const adapter = join(world, at(three, one), at(three, other));
      units.set(`${at(three, one).lpid} ${at(three, other).lpid}`, adapter.unitAddress);
      units.set(`${at(three, other).lpid} ${at(three, one).lpid}`, adapter.peer.unitAddress);
    }
    const grow = (node: Node, index: number): Node => {
      const to = at(three, index);
      const unit = units.get(`${node.to.lpid} ${to.lpid}`) as number;
      return { from: node.to, to, ...shared(world.h, node.to, unit, to, node.address) };
    };
    const first = at(three, 0);
    const unit = join(world, server, first).unitAddress;
    return {
      ...world,
      server,
      three,
      grow,
      root: { from: server, to: first, ...shared(world.h, server, unit, first, 0) },
    };
  }

  /** Rescinds what the server has granted; then each holder knows what it has lost, and returns it. */
  function expectAllRescinded(opened: ReturnType<typeof openTriangle>, nodes: readonly Node[]): void {
    const { h, server, three, root } = opened;
    for (const partition of three) rescindedBy(partition);
    rescindInSlices(h, server.lpid, root.cookie);
    for (const partition of three) {
      const own = nodes.filter((node) => node.to === partition);
      expect(rescindedBy(partition)).toEqual(own.map((node) => `${node.from.lpid} ${node.cookie}`).sort());
      expect(partition.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 0 });
    }
    for (const { to, cookie, address } of nodes) {
      expect(statusOf(() => to.read(address, 8))).toBe(H_RESCINDED);
      expect(h.returnLogical(to.lpid, cookie)).toBe(H_SUCCESS);
    }
  }

  const chains: readonly (readonly [string, readonly number[]])[] = [
    ["to and fro between two partitions", [1, 0]],
    ["round and round between three", [1, 2, 0]],
    ["to and fro between two, with a third now and then", [1, 0, 1, 0, 1, 2, 0]],
  ];
  for (const [name, turns] of chains) {
    test(`RS4, RS8: a chain ${name} ends as each of its grants by itself would`, () => {
      const opened = openTriangle();
      const nodes = [opened.root];
      for (let depth = 0; depth < 70; depth++)
        nodes.push(opened.grow(at(nodes, -1), at(turns, depth % turns.length)));
      expectAllRescinded(opened, nodes);
    });
  }

  test("RS4, RS8: siblings with and without grants of their own, one holder through two ends", () => {
    const opened = openTriangle();
    const nodes = [opened.root];
    const add = (parent: Node, to: number): Node => {
      const node = opened.grow(parent, to);
      nodes.push(node);
      return node;
    };
    for (let round = 0; round < 12; round++) {
      add(opened.root, 1);
      const inner = add(opened.root, 2);
      add(inner, 1);
      add(inner, 0);
      const deep = add(add(inner, 1), 0);
      if (round % 3 === 0) for (const to of [1, 2, 1]) add(deep, to);
      add(opened.root, 1);
    }
    expectAllRescinded(opened, nodes);
  });

  test("RS6: a view, a partition that has stopped and a return that is not complete in the middle of a chain", async () => {
    const opened = openTriangle();
    const nodes = [opened.root];
    for (let depth = 0; depth < 60; depth++)
      nodes.push(opened.grow(at(nodes, -1), at([1, 0, 1, 0, 1, 2, 0], depth % 7)));
    const view = at(nodes, 30).to.view(at(nodes, 30).address, PAGE);
    view.bytes.fill(9);
    expectAllRescinded(opened, nodes);
    expect([...view.bytes.subarray(0, 3)]).toEqual([9, 9, 9]);
    view.release();

    const again = openTriangle();
    const chain = [again.root];
    for (let depth = 0; depth < 40; depth++)
      chain.push(again.grow(at(chain, -1), at([1, 0, 1, 2, 0], depth % 5)));
    again.table.fail(at(again.three, 2));
    rescindInSlices(again.h, again.server.lpid, again.root.cookie);
    for (const { to, cookie, address } of chain) {
      if (to === at(again.three, 2)) continue;
      expect(statusOf(() => to.read(address, 8))).toBe(H_RESCINDED);
      expect(again.h.returnLogical(to.lpid, cookie)).toBe(H_SUCCESS);
    }
  });
});
