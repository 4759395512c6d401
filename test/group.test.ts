/** Named groups: who has what at each moment, all or nothing, numbers, and what failures leave. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { Hcalls } from "../src/hcall.js";
import { type Group, type Mapping, type Partition, type ResourceTable, systemClock } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { H_LONG_BUSY_10_MSEC, NEED_READ, NEED_WRITE, TYPE_MEMORY } from "../src/layout.js";
import { REMOTE, Remote, sleep } from "./support/remote.js";
import { auditedAfterEach, openTable, PAGE, settle, statusOf, type World } from "./support/world.js";

auditedAfterEach();

const H_PARAMETER = -4;
const H_NO_MEM = -9;
const H_PERMISSION = -11;
const H_RESCINDED = -46;

interface Pipeline extends World {
  readonly group: Group;
  readonly camera: Partition;
  readonly members: readonly Partition[];
}

/** A camera with eight pages, each marked with its number, and five partitions that may become members. */
function openPipeline(options: object = {}): Pipeline {
  const world = openTable({ memory: 128 * PAGE, logicalSpace: 64 * PAGE, ...options });
  const camera = world.table.createPartition({ name: "camera", memory: 8 * PAGE });
  for (let page = 0; page < 8; page++) camera.fill(page * PAGE, PAGE, page + 1);
  const members = ["a", "b", "c", "d", "e"].map((name) =>
    world.table.createPartition({ name, memory: PAGE }),
  );
  return { ...world, group: world.table.group("frames"), camera, members };
}

function frame(camera: Partition, page: number) {
  return { owner: camera, address: page * PAGE, length: PAGE };
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return "";
}

describe("membership", () => {
  test("denied by default: neither a resource nor a member alone gives anything", () => {
    const { group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    expect(group.add(frame(camera, 0))).toBe(0);
    expect(group.member(a)).toBeUndefined();
    expect(a.usage().pagesMapped).toBe(0);
    const member = group.join(a, { write: false });
    expect(member.units).toEqual([
      {
        number: 0,
        resource: 0,
        type: "memory",
        address: PAGE,
        length: PAGE,
        readable: true,
        writable: false,
      },
    ]);
    expect(a.read(member.address(0), 1)).toEqual(Uint8Array.of(1));
    expect(statusOf(() => a.fill(member.address(0), 1, 9))).toBe(H_PERMISSION);
    expect(b.usage()).toMatchObject({ pagesMapped: 0, grantsIn: 0 });
  });

  test("what joins is there at once for all members, what leaves is gone for all with the next request", async () => {
    const { group, camera, members } = openPipeline();
    for (const partition of members) group.join(partition);
    const first = group.add(frame(camera, 3));
    const second = group.add(frame(camera, 4));
    const addresses = members.map((partition) => group.member(partition)?.address(0) as number);
    for (const [index, partition] of members.entries())
      expect(partition.read(addresses[index] as number, 1)).toEqual(Uint8Array.of(4));
    const removed = group.remove(first);
    for (const [index, partition] of members.entries()) {
      expect(statusOf(() => partition.read(addresses[index] as number, 1))).toBe(H_RESCINDED);
      expect(group.member(partition)?.units.map(({ resource }) => resource)).toEqual([second]);
    }
    await removed;
    expect(camera.read(3 * PAGE, 1)).toEqual(Uint8Array.of(4));
    await expect(group.remove(first)).rejects.toMatchObject({ code: "LPAR_NOT_FOUND" });
  });

  test("who leaves has nothing any more, and the others go on", async () => {
    const { group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    group.add(frame(camera, 0));
    const [memberA, memberB] = [group.join(a), group.join(b)];
    const [atA, atB] = [memberA.address(0), memberB.address(0)];
    await group.leave(a);
    expect(statusOf(() => a.read(atA, 1))).toBe(H_RESCINDED);
    expect(memberA.units).toEqual([]);
    expect(statusOf(() => memberA.address(0))).toBe(H_PARAMETER);
    expect(b.read(atB, 1)).toEqual(Uint8Array.of(1));
    await expect(group.leave(a)).rejects.toMatchObject({ code: "LPAR_NOT_A_MEMBER" });
    group.join(a);
    // Who came back is another member than the one that left.
    expect(memberA.units).toEqual([]);
    expect(group.member(a)?.units.length).toBe(1);
  });

  test("numbers count from 0 for each member, stay while it has the unit, and the lowest free one is used again", async () => {
    const { group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    const ids = [0, 1, 2, 3].map((page) => group.add(frame(camera, page)));
    group.join(a);
    const numbers = (partition: Partition): number[][] =>
      group.member(partition)?.units.map(({ number, resource }) => [number, resource]) ?? [];
    expect(numbers(a)).toEqual([0, 1, 2, 3].map((number) => [number, ids[number] as number]));
    await group.remove(1);
    await group.remove(2);
    expect(numbers(a)).toEqual([
      [0, 0],
      [3, 3],
    ]);
    group.join(b);
    expect(numbers(b)).toEqual([
      [0, 0],
      [1, 3],
    ]);
    expect(group.add(frame(camera, 5))).toBe(4);
    expect(numbers(a)).toEqual([
      [0, 0],
      [1, 4],
      [3, 3],
    ]);
    expect(numbers(b)[2]).toEqual([2, 4]);
  });

  test("allow() narrows and widens again, with the same number; nothing of the wider access remains", async () => {
    const { group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    group.add(frame(camera, 0));
    const id = group.add(frame(camera, 1));
    const member = group.join(a);
    const before = member.address(1);
    a.fill(before, 1, 77);
    await group.allow(a, id, { write: false });
    expect(statusOf(() => a.fill(before, 1, 1))).toBe(H_RESCINDED);
    expect(statusOf(() => a.fill(member.address(1), 1, 1))).toBe(H_PERMISSION);
    expect(a.read(member.address(1), 1)).toEqual(Uint8Array.of(77));
    await group.allow(a, id, { read: false, write: false });
    expect(member.units.map(({ resource }) => resource)).toEqual([0]);
    await group.allow(a, id, {});
    expect(member.units[1]).toMatchObject({ number: 1, resource: id, writable: true });
    // Not more than the member has.
    await group.leave(a);
    const again = group.join(a, { write: false });
    await group.allow(a, id, { write: true });
    expect(again.units[1]).toMatchObject({ writable: false });
    expect(codeOf(() => again.mapping(7))).toBe("H_PARAMETER");
  });

  test("members cannot pass on what they have, unless they may", () => {
    const { table, group, camera, members } = openPipeline();
    const [a, b, c] = members as [Partition, Partition, Partition];
    table.connect(a, c);
    table.connect(b, c);
    group.add(frame(camera, 0));
    const [memberA, memberB] = [group.join(a), group.join(b, { regrant: true })];
    const pass = (from: Partition, address: number) => from.grant({ to: c, address, length: PAGE });
    expect(statusOf(() => pass(a, memberA.address(0)))).toBe(H_PERMISSION);
    const mapping = c.accept(pass(b, memberB.address(0)));
    expect(c.read(mapping.address, 1)).toEqual(Uint8Array.of(1));
  });

  test("what members granted on ends with their membership", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    table.connect(a, b);
    group.add(frame(camera, 0));
    const member = group.join(a, { regrant: true });
    const mapping = b.accept(a.grant({ to: b, address: member.address(0), length: PAGE }));
    await group.leave(a);
    expect(statusOf(() => b.read(mapping.address, 1))).toBe(H_RESCINDED);
  });

  test("an owner that is a member has a number for its own, without a grant", async () => {
    const { group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    group.add(frame(camera, 2));
    group.add({ owner: a, address: 0, length: PAGE });
    const [own, other] = [group.join(camera), group.join(a)];
    expect(own.units.map(({ address }) => address)).toEqual([2 * PAGE, 8 * PAGE]);
    expect(own.mapping(0)).toBeUndefined();
    expect(other.mapping(1)).toBeUndefined();
    expect(other.address(1)).toBe(0);
    await group.leave(camera);
    expect(camera.read(2 * PAGE, 1)).toEqual(Uint8Array.of(3));
  });

  test("other kinds of resource: windows with their rights, interrupt sources whole or not at all", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    table.assign(camera, { type: "mmio", address: 0, length: PAGE });
    table.assign(camera, { type: "interrupt", address: 4, length: 1 });
    camera.mmio.serve(0, { read: () => 21, write: () => {} });
    group.add({ owner: camera, address: 0, length: PAGE, type: "mmio" });
    group.add({ owner: camera, address: 4, length: 1, type: "interrupt" });
    const member = group.join(a, { write: false });
    expect(a.mmio.load32(member.address(0))).toBe(21);
    expect(statusOf(() => a.mmio.store32(member.address(0), 1))).toBe(H_PERMISSION);
    expect(member.units[1]).toMatchObject({ type: "interrupt", length: 1 });
  });

  test("resources that their owner has accepted itself: no more rights than it has", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    table.connect(camera, a);
    const grant = (regrant: boolean, page: number) =>
      a.accept(camera.grant({ to: a, address: page * PAGE, length: PAGE, write: false, regrant })).address;
    const [may, mayNot] = [grant(true, 0), grant(false, 1)];
    expect(statusOf(() => group.add({ owner: a, address: mayNot, length: PAGE }))).toBe(H_PERMISSION);
    group.add({ owner: a, address: may, length: PAGE });
    expect(group.join(b).units).toMatchObject([{ readable: true, writable: false }]);
  });

  test("names: the same group for the same name, a new one after close()", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    expect(table.group("frames")).toBe(group);
    expect(() => table.group("")).toThrow('name is ""; it must be a string that is not empty');
    expect(() => table.group("other", { grants: 0 })).toThrow("grants is 0; it must be an integer from 1");
    group.add(frame(camera, 0));
    const member = group.join(a);
    const address = member.address(0);
    await group.close();
    await group.close();
    expect(statusOf(() => a.read(address, 1))).toBe(H_PARAMETER);
    expect(codeOf(() => group.add(frame(camera, 0)))).toBe("LPAR_CLOSED");
    const next = table.group("frames");
    expect(next).not.toBe(group);
    expect([next.members, next.resources]).toEqual([[], []]);
  });

  test("refusals: ranges that nobody may grant, partitions of other tables, members twice", () => {
    const { group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    for (const [address, length] of [
      [1, PAGE],
      [0, 1],
      [0, 0],
      [7 * PAGE, 2 * PAGE],
      [Number.NaN, PAGE],
      [-PAGE, PAGE],
      [2 ** 53, PAGE],
    ] as const)
      expect(
        statusOf(() => group.add({ owner: camera, address, length })),
        `${address}, ${length}`,
      ).toBe(H_PARAMETER);
    const other = openTable().table.createPartition({ name: "other", memory: PAGE });
    expect(codeOf(() => group.join(other))).toBe("LPAR_NOT_FOUND");
    expect(codeOf(() => group.add({ owner: other, address: 0, length: PAGE }))).toBe("LPAR_NOT_FOUND");
    group.join(a);
    expect(codeOf(() => group.join(a))).toBe("LPAR_IS_MEMBER");
    expect(group.resources).toEqual([]);
  });
});

describe("all or nothing", () => {
  /** The third member has no room left in its logical space. */
  function crowd({ table, camera, members }: Pipeline): () => void {
    const third = members[2] as Partition;
    const to = table.connect(camera, third);
    const held: Mapping[] = [];
    for (let page = 0; page < 63; page++)
      held.push(third.accept(camera.grant({ to, address: 0, length: PAGE })));
    return () => held.pop()?.return();
  }

  test("a resource that the third of five members cannot take: nobody has it, and later all of them", async () => {
    const pipeline = openPipeline();
    const { group, camera, members } = pipeline;
    for (const partition of members) group.join(partition);
    const makeRoom = crowd(pipeline);
    const before = members.map((partition) => partition.usage());
    expect(statusOf(() => group.add(frame(camera, 1)))).toBe(H_NO_MEM);
    await settle();
    expect(members.map((partition) => partition.usage())).toEqual(before);
    expect(group.resources).toEqual([]);
    makeRoom();
    expect(group.add(frame(camera, 1))).toBe(0);
    for (const partition of members) expect(group.member(partition)?.units.length).toBe(1);
  });

  test("a quota that ends in the middle of a join: it has nothing and is no member", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    table.connect(camera, a, { grants: 2 });
    for (let page = 0; page < 3; page++) group.add(frame(camera, page));
    expect(statusOf(() => group.join(a))).toBe(H_NO_MEM);
    await settle();
    expect(a.usage()).toMatchObject({ grantsIn: 0, pagesMapped: 0 });
    expect(group.member(a)).toBeUndefined();
    await group.remove(1);
    expect(group.join(a).units.length).toBe(2);
  });

  test("with the quota used up access can still be narrowed; what cannot be widened stays", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    table.connect(camera, a, { grants: 1 });
    const id = group.add(frame(camera, 0));
    const member = group.join(a);
    for (const write of [false, true, false, true, false]) {
      await group.allow(a, id, { write });
      expect(member.units).toMatchObject([{ number: 0, writable: write }]);
      expect(statusOf(() => a.fill(member.address(0), 1, 5))).toBe(write ? 0 : H_PERMISSION);
    }
  });

  test("membership may change for ever: neither addresses nor quotas are used up", async () => {
    const { group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    const id = group.add(frame(camera, 0));
    const member = group.join(a);
    let last = member.address(0);
    for (let round = 0; round < 600; round++) {
      await group.allow(a, id, { write: round % 2 === 0 });
      if (round % 2 === 0 && round > 0) expect(statusOf(() => a.read(last, 1))).toBe(H_RESCINDED);
      last = member.address(0);
    }
    expect(a.usage().rescinded).toBeLessThanOrEqual(16);
    for (let round = 0; round < 100; round++) {
      await group.leave(a);
      group.join(a);
    }
    expect(group.member(a)?.units.length).toBe(1);
  });

  test("leaving, removing and allowing at the same time: the end is that of one after the other", async () => {
    const { group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    const ids = [0, 1, 2].map((page) => group.add(frame(camera, page)));
    group.join(a);
    const memberB = group.join(b);
    const changes = [
      group.allow(a, 0, { write: false }),
      group.remove(1),
      group.allow(b, 2, { read: false }),
      group.leave(a),
      group.allow(b, 2, { write: false }),
    ];
    await Promise.all(changes);
    expect(ids).toEqual([0, 1, 2]);
    expect(a.usage().pagesMapped).toBe(0);
    expect(memberB.units).toMatchObject([
      { number: 0, writable: true },
      { number: 2, writable: false },
    ]);
  });
});

describe("what others do", () => {
  test("a member that fails is none any more; G4: nor is it after its restart, until it is taken in again", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    group.add(frame(camera, 0));
    group.join(a);
    group.join(b);
    table.fail(a);
    expect(group.members.map(({ partition }) => partition.name)).toEqual(["b"]);
    await table.recovered(a);
    table.restart(a);
    expect(group.member(a)).toBeUndefined();
    expect(group.join(a).units.length).toBe(1);
  });

  test("FA2: an owner that fails: what members have stands in the grace period, nobody gets it anew, then it is gone", async () => {
    const { table, clock, group, camera, members } = openPipeline();
    const [a, b, c] = members as [Partition, Partition, Partition];
    group.add(frame(camera, 0));
    const [memberA] = [group.join(a), group.join(c)];
    const address = memberA.address(0);
    table.fail(camera);
    expect(a.read(memberA.address(0), 1)).toEqual(Uint8Array.of(1));
    expect(group.join(b).units).toEqual([]);
    // Who leaves now does not keep it for as long.
    const [atC] = group.member(c)?.units ?? [];
    await group.leave(c);
    expect(statusOf(() => c.read(atC?.address ?? 0, 1))).toBe(H_PARAMETER);
    clock.advance(2000);
    await table.recovered(camera);
    expect(statusOf(() => a.read(address, 1))).toBe(H_RESCINDED);
    expect(memberA.units).toEqual([]);
    expect(group.resources).toEqual([]);
    table.restart(camera);
    // G4: its pages are others by now.
    expect(memberA.units).toEqual([]);
    group.add(frame(camera, 0));
    expect(memberA.units.length).toBe(1);
  });

  test("FA7: an owner that waits for its borrowers: who leaves returns what it had", async () => {
    const { table, group, members } = openPipeline();
    const [a] = members as [Partition];
    const owner = table.createPartition({ name: "owner", memory: PAGE, onFailure: "defer" });
    group.add({ owner, address: 0, length: PAGE });
    const member = group.join(a);
    table.fail(owner);
    await settle();
    expect(member.units.length).toBe(1);
    await group.leave(a);
    await table.recovered(owner);
    expect(owner.state).toBe("stopped");
  });

  test("an owner that rescinds by itself, a member that returns by itself: the unit is gone, and can be given again", async () => {
    const { group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    const id = group.add(frame(camera, 0));
    const [memberA, memberB] = [group.join(a), group.join(b)];
    const mapping = memberA.mapping(0);
    await camera.rescindForced(mapping?.cookie as never);
    expect(memberA.units).toEqual([]);
    memberB.mapping(0)?.return();
    expect(memberB.units).toEqual([]);
    await settle();
    for (const [partition, member] of [
      [a, memberA],
      [b, memberB],
    ] as const) {
      await group.allow(partition, id, {});
      expect(member.units.length).toBe(1);
      expect(partition.read(member.address(0), 1)).toEqual(Uint8Array.of(1));
    }
  });

  test("an owner that was destroyed, a member that was destroyed", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a, b] = members as [Partition, Partition];
    group.add(frame(camera, 0));
    const memberA = group.join(a);
    group.join(b);
    await table.destroyPartition(b);
    expect(group.members.length).toBe(1);
    await table.destroyPartition(camera);
    expect(memberA.units).toEqual([]);
    expect(group.resources).toEqual([]);
    await group.leave(a);
  });

  test("a member that is a worker learns its units by a message, and loses them with its membership", {
    timeout: 30_000,
  }, async () => {
    const { table, group, camera, members } = openPipeline({ clock: systemClock });
    const [a] = members as [Partition];
    const remote = new Remote((await table.spawn(a, REMOTE)).worker);
    group.add(frame(camera, 0));
    group.add(frame(camera, 6));
    const { units } = group.join(a, { write: false });
    const read = () =>
      remote.run(
        ({ partition, lpar }, list) =>
          list.map(({ address }) => {
            try {
              return partition.read(address, 1)[0];
            } catch (error) {
              return (error as InstanceType<typeof lpar.HcallError>).code;
            }
          }),
        units,
      );
    expect(await read()).toEqual([1, 7]);
    await group.leave(a);
    expect(await read()).toEqual(["H_RESCINDED", "H_RESCINDED"]);
  });
});

// ---------------------------------------------------------------- against a model

/** Who may what, said as plainly as possible. */
class Model {
  readonly resources = new Map<number, { owner: number; page: number }>();
  readonly members = new Map<number, { write: boolean; allowed: Map<number, "none" | "read" | "all"> }>();

  /** "" for nothing, "r", or "rw". */
  access(partition: number, resource: number): string {
    const member = this.members.get(partition);
    const found = this.resources.get(resource);
    if (member === undefined || found === undefined) return "";
    const allowed = member.allowed.get(resource) ?? "all";
    if (allowed === "none") return "";
    return member.write && allowed === "all" ? "rw" : "r";
  }

  fail(partition: number): void {
    this.members.delete(partition);
    for (const [id, { owner }] of this.resources) if (owner === partition) this.remove(id);
  }

  remove(resource: number): void {
    this.resources.delete(resource);
    for (const { allowed } of this.members.values()) allowed.delete(resource);
  }
}

const PARTITIONS = 5;
const PAGES = 4;

/** The mark of an own page: whoever reads it knows whose it is. */
function markOf(owner: number, page: number): number {
  return 0x10000 + owner * 256 + page;
}

async function compare(
  h: Hcalls,
  table: ResourceTable,
  partitions: readonly Partition[],
  group: Group,
  model: Model,
) {
  for (const [index, partition] of partitions.entries()) {
    // All that it can reach, by walking its whole logical space.
    const reached = new Map<number, string>();
    for (let address = 0; address < 48 * PAGE; address += PAGE) {
      if (h.translate(partition.lpid, TYPE_MEMORY, address, 1, NEED_READ) !== 0) continue;
      const mark = partition.load32(address);
      const writable = h.translate(partition.lpid, TYPE_MEMORY, address, 1, NEED_WRITE) === 0;
      if (mark >> 8 !== 0x100 + index && reached.get(mark) !== "rw") reached.set(mark, writable ? "rw" : "r");
    }
    const expected = new Map<number, string>();
    for (const [id, { owner, page }] of model.resources) {
      const access = model.access(index, id);
      if (access === "" || owner === index) continue;
      const mark = markOf(owner, page);
      // The same page may be several resources.
      expected.set(mark, expected.get(mark) === "rw" ? "rw" : access);
    }
    const units = group.member(partition)?.units ?? [];
    const listed = [...units].map(({ resource }) => resource).sort((a, b) => a - b);
    const allowed = [...model.resources.keys()].filter((id) => model.access(index, id) !== "");
    expect(listed).toEqual(allowed.sort((a, b) => a - b));
    expect(reached).toEqual(expected);
    for (const unit of units) {
      const { owner, page } = model.resources.get(unit.resource) ?? { owner: 0, page: 0 };
      expect(partition.load32(unit.address)).toBe(markOf(owner, page));
      if (owner !== index) expect(unit.writable ? "rw" : "r").toBe(model.access(index, unit.resource));
      const status = h.translate(partition.lpid, TYPE_MEMORY, unit.address, PAGE, NEED_WRITE);
      expect(status === 0).toBe(owner === index || unit.writable);
    }
    expect(new Set(units.map(({ number }) => number)).size).toBe(units.length);
  }
  expect(table.audit().problems).toEqual([]);
}

test("a thousand random changes: everybody reaches exactly what a plain model says", {
  timeout: 120_000,
}, async () => {
  const who = fc.integer({ min: 0, max: PARTITIONS - 1 });
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("add"), who, page: fc.integer({ min: 0, max: PAGES - 1 }) }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("join"), who, write: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove"), which: fc.nat(40) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("leave"), who }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("allow"),
        who,
        which: fc.nat(40),
        rights: fc.constantFrom("none", "read", "all"),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("fail"), who }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("rescind"), who, which: fc.nat(40) }) },
  );
  const property = fc.asyncProperty(fc.array(step, { minLength: 50, maxLength: 50 }), async (steps) => {
    const { table, h, clock } = openTable({ memory: 64 * PAGE, logicalSpace: 48 * PAGE, partitions: 8 });
    const mark = (partition: Partition, index: number): void => {
      for (let page = 0; page < PAGES; page++) partition.store32(page * PAGE, markOf(index, page));
    };
    const partitions = Array.from({ length: PARTITIONS }, (_, index) => {
      const partition = table.createPartition({ name: `p${index}`, memory: PAGES * PAGE });
      mark(partition, index);
      return partition;
    });
    const group = table.group("all");
    const model = new Model();
    const pick = (which: number): number | undefined =>
      [...model.resources.keys()][which % model.resources.size];
    for (const each of steps as readonly Step[]) {
      const partition = partitions[each.who ?? 0] as Partition;
      const index = each.who ?? 0;
      switch (each.kind) {
        case "add": {
          if (model.resources.size >= 8) break;
          const page = each.page ?? 0;
          const id = group.add({ owner: partition, address: page * PAGE, length: PAGE });
          model.resources.set(id, { owner: index, page });
          break;
        }
        case "join":
          if (model.members.has(index)) expect(codeOf(() => group.join(partition))).toBe("LPAR_IS_MEMBER");
          else {
            group.join(partition, { write: each.write === true });
            model.members.set(index, { write: each.write === true, allowed: new Map() });
          }
          break;
        case "remove": {
          const id = pick(each.which ?? 0);
          if (id === undefined) break;
          model.remove(id);
          await group.remove(id);
          break;
        }
        case "leave":
          if (!model.members.delete(index)) break;
          await group.leave(partition);
          break;
        case "allow": {
          const id = pick(each.which ?? 0);
          const member = model.members.get(index);
          if (id === undefined || member === undefined) break;
          const rights = each.rights ?? "all";
          member.allowed.set(id, rights);
          await group.allow(partition, id, { read: rights !== "none", write: rights === "all" });
          break;
        }
        case "fail":
          model.fail(index);
          table.fail(partition);
          clock.advance(2000);
          await table.recovered(partition);
          table.restart(partition);
          mark(partition, index);
          break;
        default: {
          // By hand, and given again: the same as before.
          const id = pick(each.which ?? 0);
          const unit = group.member(partition)?.units.find(({ resource }) => resource === id);
          const owner = partitions[model.resources.get(id ?? 0)?.owner ?? 0] as Partition;
          if (id === undefined || unit === undefined || owner === partition) break;
          const mapping = group.member(partition)?.mapping(unit.number);
          await owner.rescindForced(mapping?.cookie as never);
          expect(group.member(partition)?.units.some(({ resource }) => resource === id)).toBe(false);
          const rights = model.members.get(index)?.allowed.get(id) ?? "all";
          await group.allow(partition, id, { write: rights === "all" });
          break;
        }
      }
      await compare(h, table, partitions, group, model);
    }
    await group.close();
    await settle();
    for (const partition of partitions)
      expect(partition.usage()).toMatchObject({ grantsIn: 0, grantsOut: 0 });
    await table.close();
  });
  await fc.assert(property, { numRuns: 20, seed: 20261125 });
});

describe("who is told of a grant, and acts at once", () => {
  let stopHearing = (): void => {};
  afterEach(() => stopHearing());

  function onGrant(act: () => unknown): void {
    const hear = (): void => {
      stopHearing();
      act();
    };
    subscribe("lpar:grant", hear);
    stopHearing = () => void unsubscribe("lpar:grant", hear);
  }

  test.each<[string, (pipeline: Pipeline) => unknown]>([
    ["lets the last member leave", ({ group, members }) => group.leave(members[2] as Partition)],
    ["lets the first member leave", ({ group, members }) => group.leave(members[0] as Partition)],
    ["closes the group", ({ group }) => group.close()],
  ])("add(): who %s takes away what is being given", async (_, act) => {
    const pipeline = openPipeline();
    const { group, camera, members } = pipeline;
    for (const member of members.slice(0, 3)) group.join(member);
    onGrant(() => act(pipeline));
    group.add(frame(camera, 0));
    await settle();
    for (const partition of members) {
      const units = group.member(partition)?.units ?? [];
      expect(partition.usage().pagesMapped).toBe(units.length);
    }
  });

  test("G6: a second close() settles with the first, when no access remains", async () => {
    const { group, h, camera, members } = openPipeline();
    const [a] = members as [Partition];
    group.add(frame(camera, 0));
    group.join(a);
    h.budget = 1;
    const first = group.close();
    await group.close();
    expect(a.usage()).toMatchObject({ pagesMapped: 0, rescinded: 0, grantsIn: 0 });
    await first;
  });

  test("RE5: what was taken from a member and is over after close() is returned for it all the same", async () => {
    const { group, h, camera, members } = openPipeline();
    const [a] = members as [Partition];
    group.add({ ...frame(camera, 0), length: 8 * PAGE });
    group.join(a);
    h.budget = 1;
    const removed = group.remove(0);
    await group.close();
    await removed;
    expect(a.usage()).toMatchObject({ pagesMapped: 0, rescinded: 0, grantsIn: 0 });
  });

  test("RE5: what a lock keeps from being returned when the group closes is returned a moment later", async () => {
    const { table, group, camera, members } = openPipeline();
    const [a] = members as [Partition];
    group.add(frame(camera, 0));
    group.join(a);
    const kernel = kernelOf(table) as { core: { returnLogical32(...all: number[]): number } };
    const { core } = kernel;
    let isLocked = true;
    kernel.core = {
      ...core,
      returnLogical32: (...all) => (isLocked ? H_LONG_BUSY_10_MSEC : core.returnLogical32(...all)),
    };
    await group.close();
    expect(a.usage()).toMatchObject({ pagesMapped: 0, rescinded: 1 });
    isLocked = false;
    for (let turn = 0; turn < 1000 && a.usage().rescinded > 0; turn++) await sleep(2);
    expect(a.usage()).toMatchObject({ rescinded: 0, grantsIn: 0 });
  });

  test("join(): who closes the group, or takes the resource out, takes away what is being given", async () => {
    for (const act of [(group: Group) => group.close(), (group: Group) => group.remove(0)]) {
      const { group, camera, members } = openPipeline();
      const [partition] = members as [Partition];
      group.add(frame(camera, 0));
      group.add(frame(camera, 1));
      onGrant(() => act(group));
      group.join(partition);
      await settle();
      expect(partition.usage().pagesMapped).toBe(group.member(partition)?.units.length ?? 0);
    }
  });
});

test("G4: a group keeps nothing of partitions that have left it and are no more", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const { table, group, camera } = openPipeline();
  group.add(frame(camera, 0));
  const lives: WeakRef<Partition>[] = [];
  for (let life = 0; life < 20; life++) {
    const partition = table.createPartition({ name: `life ${life}` });
    group.join(partition);
    await group.leave(partition);
    await table.destroyPartition(partition);
    lives.push(new WeakRef(partition));
  }
  expect(group.members).toEqual([]);
  await settle();
  collect();
  expect(lives.filter((life) => life.deref() !== undefined).length).toBeLessThan(5);
});

interface Step {
  readonly kind: string;
  readonly who?: number;
  readonly page?: number;
  readonly which?: number;
  readonly write?: boolean;
  readonly rights?: "none" | "read" | "all";
}
