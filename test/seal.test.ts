/** Sealed records: complete or nothing, wherever the writer stops and however a reader races with it (src/seal.ts). */
import { describe, expect, test } from "vitest";
import { type Cookie, type Partition, SEAL_BYTES, systemClock, type VirtualAdapter } from "../src/index.js";
import { H_PARAMETER, H_PERMISSION, H_RESCINDED } from "../src/layout.js";
import { Draw } from "./support/draw.js";
import { type Inside, REMOTE, Remote, sleep, within } from "./support/remote.js";
import { auditedAfterEach, bytesOf, HOSTILE, openPair, PAGE, statusOf } from "./support/world.js";

auditedAfterEach();

const SEED = 20260;
const LENGTH_MAX = 2 ** 36;
const BOUNDS = `must be an integer from ${SEAL_BYTES} to ${LENGTH_MAX}`;

function randomBytes(draw: Draw, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => draw.below(256));
}

/** Writes and seals a payload; the bytes of the whole record. */
function record(partition: Partition, address: number, payload: Uint8Array): Uint8Array {
  const length = payload.length + SEAL_BYTES;
  partition.write(address, payload);
  partition.seal(address, length);
  return partition.read(address, length);
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

describe("sealed records", () => {
  test("what is sealed is read back, at every length up to three blocks and at every alignment", () => {
    const { server } = openPair();
    const draw = new Draw(SEED);
    for (let size = 0; size <= 3 * SEAL_BYTES; size++) {
      for (let at = 0; at < 16; at++) {
        const payload = randomBytes(draw, size);
        record(server, at, payload);
        expect(server.sealed(at, size + SEAL_BYTES)).toEqual(payload);
      }
    }
  });

  test("large records, around pages and around the pieces in which a seal is made", () => {
    const { server } = openPair();
    const draw = new Draw(SEED);
    for (const edge of [64, 256, PAGE, 4 * PAGE, 8 * PAGE, 12 * PAGE]) {
      for (const more of [-17, -16, -15, -1, 0, 1, 15, 16, 17]) {
        const payload = randomBytes(draw, edge + more);
        const at = 4 + draw.below(PAGE);
        const whole = record(server, at, payload);
        expect(isSame(server.sealed(at, whole.length) ?? new Uint8Array(0), payload)).toBe(true);
        const flipped = draw.below(whole.length);
        server.write(at + flipped, Uint8Array.of((whole[flipped] as number) ^ (1 << draw.below(8))));
        expect(server.sealed(at, whole.length), `byte ${flipped} of ${whole.length}`).toBeUndefined();
      }
    }
  });

  test("a record in physical pieces, and one that has moved to other frames", async () => {
    const { server, client } = openPair();
    for (const page of [7, 2, 11]) {
      client.accept(server.grant({ to: client, address: page * PAGE, length: PAGE }));
    }
    const payload = bytesOf(3 * PAGE - SEAL_BYTES, 5);
    record(client, 4 * PAGE, payload);
    expect(() => client.view(4 * PAGE, 3 * PAGE)).toThrow(expect.objectContaining({ code: "H_RESOURCE" }));
    expect(client.sealed(4 * PAGE, 3 * PAGE)).toEqual(payload);
    const own = record(server, 3 * PAGE + 8, payload);
    await server.migrate(2 * PAGE, 8 * PAGE);
    expect(server.sealed(3 * PAGE + 8, own.length)).toEqual(payload);
  });

  test("what was never sealed is not complete: fresh pages, and pages of any one byte", () => {
    const { server } = openPair();
    for (let length = SEAL_BYTES; length < 600; length++) expect(server.sealed(0, length)).toBeUndefined();
    expect(server.sealed(0, 16 * PAGE)).toBeUndefined();
    for (let byte = 0; byte < 256; byte++) {
      server.fill(0, 512, byte);
      for (const length of [16, 17, 20, 31, 32, 33, 64, 512])
        expect(server.sealed(0, length)).toBeUndefined();
    }
  });

  test("a record is complete at its own address and length only, but a copy of it is one", () => {
    const { server } = openPair();
    const payload = bytesOf(100, 1);
    const whole = record(server, 200, payload);
    for (let at = 150; at < 250; at++) {
      for (let length = SEAL_BYTES; length < 200; length++) {
        const isIt = at === 200 && length === whole.length;
        expect(server.sealed(at, length) !== undefined, `${at}, ${length}`).toBe(isIt);
      }
    }
    server.copy(200, server, 3 * PAGE - 7, whole.length);
    expect(server.sealed(3 * PAGE - 7, whole.length)).toEqual(payload);
  });

  test("a payload of zeros says how long it is", () => {
    const { server } = openPair();
    const seals = new Set<string>();
    for (let size = 0; size < 300; size++)
      seals.add(Buffer.from(record(server, 0, new Uint8Array(size)).subarray(size)).toString("hex"));
    expect(seals.size).toBe(300);
  });

  test("sealing the same content again changes no byte: there is no instant at which it is torn", () => {
    const { server } = openPair();
    const whole = record(server, 40, bytesOf(77, 9));
    expect(record(server, 40, bytesOf(77, 9))).toEqual(whole);
  });

  test.each([0, 1, 64, 4 * PAGE - SEAL_BYTES, 4 * PAGE, 5 * PAGE])(
    "the answer is a private copy without the seal: %s bytes",
    (size) => {
      const { server } = openPair();
      const payload = bytesOf(size, 1);
      record(server, 0, payload);
      const first = server.sealed(0, size + SEAL_BYTES) as Uint8Array;
      const second = server.sealed(0, size + SEAL_BYTES) as Uint8Array;
      first.fill(99);
      expect(isSame(second, payload)).toBe(true);
      expect(server.sealed(0, size + SEAL_BYTES)?.length).toBe(size);
      server.fill(0, size + SEAL_BYTES, 0);
      expect(server.sealed(0, size + SEAL_BYTES)).toBeUndefined();
      expect(isSame(second, payload)).toBe(true);
      expect(first.every((byte) => byte === 99)).toBe(true);
    },
  );

  test("every bit counts, every two words, every exchange of two words", () => {
    const { server } = openPair();
    const draw = new Draw(SEED);
    const size = 92;
    const whole = record(server, 0, randomBytes(draw, size));
    const expectTorn = (bytes: Uint8Array, what: string): void => {
      server.write(0, bytes);
      const isWhole = isSame(bytes, whole);
      expect(server.sealed(0, whole.length) !== undefined, what).toBe(isWhole);
    };
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bytes = whole.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      expectTorn(bytes, `bit ${bit}`);
    }
    for (let a = 0; a < whole.length; a += 4) {
      for (let b = a + 4; b < whole.length; b += 4) {
        // Signs of floats, low bits of counters: what records have that differ in little.
        for (const mask of [0x80000000, 1, 0xffffffff, 0x00010000]) {
          const bytes = whole.slice();
          const words = new Uint32Array(bytes.buffer);
          words[a / 4] = (words[a / 4] as number) ^ mask;
          words[b / 4] = (words[b / 4] as number) ^ mask;
          expectTorn(bytes, `words at ${a} and ${b}, ${mask}`);
        }
        const bytes = whole.slice();
        bytes.copyWithin(a, b, b + 4);
        bytes.set(whole.subarray(a, a + 4), b);
        expectTorn(bytes, `words at ${a} and ${b} exchanged`);
      }
    }
  });

  test("a hundred thousand seals of records that differ in a counter are all different, in each half", () => {
    const { server } = openPair();
    const halves = [new Set<bigint>(), new Set<bigint>()];
    const payload = new Uint32Array(8);
    const count = 100_000;
    for (let n = 0; n < count; n++) {
      payload[3] = n;
      payload[6] = -n;
      server.write(0, new Uint8Array(payload.buffer));
      server.seal(0, 48);
      const seal = new BigUint64Array(server.read(32, SEAL_BYTES).buffer);
      halves[0]?.add(seal[0] as bigint);
      halves[1]?.add(seal[1] as bigint);
    }
    expect(halves.map(({ size }) => size)).toEqual([count, count]);
  });
});

describe("torn", () => {
  const draw = new Draw(SEED);
  const counters = (n: number, size: number): Uint8Array =>
    new Uint8Array(Uint32Array.from({ length: Math.ceil(size / 4) }, (_, i) => n + i).buffer).slice(0, size);
  const PAIRS: readonly [name: string, size: number, old: Uint8Array, next: Uint8Array][] = [
    ["random", 233, randomBytes(draw, 233), randomBytes(draw, 233)],
    ["counters, one step on", 256, counters(7, 256), counters(8, 256)],
    ["one byte at the end", 100, bytesOf(100, 0), bytesOf(100, 0).with(99, 0)],
    ["one byte at the start", 100, bytesOf(100, 0), bytesOf(100, 0).with(0, 1)],
    ["zeros, then ones", 64, new Uint8Array(64), new Uint8Array(64).fill(1)],
    ["the same", 50, bytesOf(50, 3), bytesOf(50, 3)],
    ["a page and a bit", PAGE + 30, randomBytes(draw, PAGE + 30), randomBytes(draw, PAGE + 30)],
    ["a piece and a bit", 4 * PAGE + 9, counters(1, 4 * PAGE + 9), counters(2, 4 * PAGE + 9)],
    ["no payload", 0, new Uint8Array(0), new Uint8Array(0)],
  ];

  test.each(PAIRS)("%s: no prefix of a new record over an old one is complete", (_, size, old, next) => {
    const { server } = openPair();
    const at = PAGE - 40;
    const length = size + SEAL_BYTES;
    const [before, after] = [record(server, at, old), record(server, at, next)];
    let complete = 0;
    // At each step one more byte is new: together they are all prefixes.
    server.write(at, before);
    for (let prefix = 0; ; prefix++) {
      const now = server.read(at, length);
      const answer = server.sealed(at, length);
      const isWhole = isSame(now, before) || isSame(now, after);
      expect(answer, `prefix of ${prefix}`).toEqual(isWhole ? now.subarray(0, size) : undefined);
      if (answer !== undefined) complete++;
      if (prefix === length) break;
      server.write(at + prefix, after.subarray(prefix, prefix + 1));
    }
    expect(complete).toBeGreaterThanOrEqual(2);
    expect(server.sealed(at, length)).toEqual(next);
  });

  test("no suffix, no scattered half and no mix of three records is complete", () => {
    const { server } = openPair();
    const length = 200 + SEAL_BYTES;
    const records = [1, 2, 3].map((n) => record(server, 0, counters(n, 200))) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const expectTorn = (bytes: Uint8Array): void => {
      server.write(0, bytes);
      const isWhole = records.some((one) => isSame(one, bytes));
      expect(server.sealed(0, length) !== undefined).toBe(isWhole);
    };
    for (let cut = 0; cut <= length; cut++) {
      const bytes = records[0].slice();
      bytes.set(records[1].subarray(cut), cut);
      expectTorn(bytes);
    }
    for (let round = 0; round < 20_000; round++) {
      const run = 1 + draw.below(64);
      const bytes = records[0].slice();
      for (let at = 0; at < length; at += run)
        bytes.set((draw.pick(records) as Uint8Array).subarray(at, at + run), at);
      expectTorn(bytes);
    }
  });
});

describe("bounds and rights", () => {
  test("a length that is none is a RangeError that names it, its value and its bounds", () => {
    const { server } = openPair();
    const lengths = [
      ...HOSTILE.filter((value) => value < 16 || value > LENGTH_MAX || value % 1 !== 0),
      0,
      15,
    ];
    lengths.push(LENGTH_MAX + 1, Number.NaN);
    for (const length of [...lengths, "32", undefined, null] as number[]) {
      const message = `length is ${String(length)}; it ${BOUNDS}`;
      expect(() => server.seal(0, length)).toThrow(new RangeError(message));
      expect(() => server.sealed(0, length)).toThrow(new RangeError(message));
    }
    expect(server.read(0, 16 * PAGE)).toEqual(new Uint8Array(16 * PAGE));
  });

  test("G2: an address that is a text is the number that it is to all other calls", () => {
    const { server } = openPair();
    server.write(PAGE, Uint8Array.of(1, 2, 3, 4));
    server.seal(String(PAGE) as never, 4 + SEAL_BYTES);
    expect(server.sealed(PAGE, 4 + SEAL_BYTES)).toEqual(Uint8Array.of(1, 2, 3, 4));
  });

  test("G2: hostile addresses, and ranges past the end, are H_PARAMETER and change nothing", () => {
    const { server } = openPair({ logicalSpace: 16 * PAGE });
    const hostile = HOSTILE.map((address) => [address, 64] as const);
    const past = [16, 17, 64, PAGE].map((length) => [16 * PAGE - length + 1, length] as const);
    const large = [LENGTH_MAX, 2 ** 32, 2 ** 31, 16 * PAGE + 1].map((length) => [0, length] as const);
    for (const [address, length] of [...hostile, ...past, ...large]) {
      expect(
        statusOf(() => server.seal(address, length)),
        `seal ${address} ${length}`,
      ).toBe(H_PARAMETER);
      expect(
        statusOf(() => server.sealed(address, length)),
        `${address} ${length}`,
      ).toBe(H_PARAMETER);
    }
    expect(server.read(0, 16 * PAGE)).toEqual(new Uint8Array(16 * PAGE));
    server.seal(15 * PAGE, PAGE);
    expect(server.sealed(15 * PAGE, PAGE)).toEqual(new Uint8Array(PAGE - SEAL_BYTES));
  });

  test("a reader needs read, a writer both; a seal that is refused stores nothing", () => {
    const { server, client } = openPair();
    const whole = record(server, 0, bytesOf(100, 1));
    const grant = (rights: { read?: boolean; write?: boolean }): number =>
      client.accept(server.grant({ to: client, address: 0, length: PAGE, ...rights })).address;
    const readOnly = grant({ write: false });
    const writeOnly = grant({ read: false });
    expect(client.sealed(readOnly, whole.length)).toEqual(bytesOf(100, 1));
    expect(statusOf(() => client.seal(readOnly, 50))).toBe(H_PERMISSION);
    expect(statusOf(() => client.sealed(writeOnly, whole.length))).toBe(H_PERMISSION);
    expect(statusOf(() => client.seal(writeOnly, 50))).toBe(H_PERMISSION);
    // The last bytes are in a page that it may not write.
    const across = grant({ write: false });
    client.fill(4 * PAGE - 8, 8, 7);
    expect(across).toBe(6 * PAGE);
    expect(statusOf(() => client.seal(4 * PAGE - 8, 16))).toBe(H_PERMISSION);
    expect(client.read(4 * PAGE - 8, 8)).toEqual(new Uint8Array(8).fill(7));
    expect(server.read(0, whole.length)).toEqual(whole);
  });

  test("a mapping reads its records by offset and length, inside itself only", () => {
    const { server, client } = openPair();
    record(server, PAGE, bytesOf(2 * PAGE - SEAL_BYTES, 1));
    const mapping = client.accept(server.grant({ to: client, address: PAGE, length: 2 * PAGE }));
    expect(mapping.sealed()).toEqual(bytesOf(2 * PAGE - SEAL_BYTES, 1));
    record(server, PAGE + 24, bytesOf(100, 2));
    expect(mapping.sealed()).toBeUndefined();
    expect(mapping.sealed(24, 116)).toEqual(bytesOf(100, 2));
    record(server, 2 * PAGE + 1, bytesOf(PAGE - 17, 3));
    expect(mapping.sealed(PAGE + 1)).toEqual(bytesOf(PAGE - 17, 3));
    record(server, 3 * PAGE - 16, bytesOf(0, 0));
    expect(mapping.sealed(2 * PAGE - 16)).toEqual(new Uint8Array(0));
    expect(mapping.sealed(2 * PAGE - 16, 16)).toEqual(new Uint8Array(0));

    const end = 2 * PAGE - SEAL_BYTES;
    for (const offset of [...HOSTILE.filter((value) => value < 0 || value > end || value % 1 !== 0), end + 1])
      expect(() => mapping.sealed(offset, 16)).toThrow(
        new RangeError(`offset is ${offset}; it must be an integer from 0 to ${end}`),
      );
    for (const length of [...HOSTILE.filter((value) => value !== PAGE), 0, 15, 2 * PAGE - 99])
      expect(() => mapping.sealed(100, length)).toThrow(
        new RangeError(`length is ${length}; it must be an integer from 16 to ${2 * PAGE - 100}`),
      );
    expect(mapping.sealed(100, 2 * PAGE - 100)).toBeUndefined();
  });

  test("a mapping that is rescinded, returned, or of an older incarnation reads nothing (G4, RS4)", async () => {
    const { table, server, client } = openPair();
    record(server, 0, bytesOf(100, 1));
    const accept = (): [Cookie, ReturnType<Partition["accept"]>] => {
      const cookie = server.grant({ to: client, address: 0, length: PAGE });
      return [cookie, client.accept(cookie)];
    };
    const [cookie, rescinded] = accept();
    const [, returned] = accept();
    const [, old] = accept();
    expect(rescinded.sealed(0, 116)).toEqual(bytesOf(100, 1));
    await server.rescindForced(cookie);
    expect(statusOf(() => rescinded.sealed(0, 116))).toBe(H_RESCINDED);
    expect(statusOf(() => client.seal(rescinded.address, 116))).toBe(H_RESCINDED);
    returned.return();
    expect(() => returned.sealed(0, 116)).toThrow(expect.objectContaining({ code: "LPAR_RELEASED" }));
    expect(statusOf(() => client.sealed(returned.address, 116))).toBe(H_PARAMETER);
    table.fail(client);
    expect(statusOf(() => old.sealed(0, 116))).toBe(H_RESCINDED);
    await table.recovered(client);
    table.restart(client);
    table.connect(server, client);
    expect(accept()[1].address).toBe(4 * PAGE);
    expect(accept()[1].address).toBe(5 * PAGE);
    expect(accept()[1].address).toBe(old.address);
    expect(statusOf(() => old.sealed(0, 116))).toBe(H_RESCINDED);
    rescinded.return();
  });

  test("only memory has records", () => {
    const { table, server, client } = openPair();
    record(client, 0, bytesOf(100, 1));
    table.assign(server, { type: "interrupt", address: 3, length: 1 });
    const source = client.accept(server.grant({ to: client, type: "interrupt", address: 3, length: 1 }));
    expect(statusOf(() => source.sealed(0, 116))).toBe(H_PARAMETER);
  });
});

/** Words that all follow from the first: what is torn shows without any seal. */
function isOneRecord(payload: Uint8Array): boolean {
  const words = new Uint32Array(payload.slice().buffer);
  const n = words[0] as number;
  return words.every((word, i) => word === (n + Math.imul(i, 0x9e3779b1)) >>> 0);
}

/** Bytes of the records that threads write. */
const SMALL = 5 * 4 + SEAL_BYTES;
const MEDIUM = 100 * 4 + SEAL_BYTES;
const LARGE = 3 * PAGE;

/** In a worker: rewrites and seals a record until it is stopped, in pieces of `piece` bytes. */
function rewrite(
  { partition }: Inside,
  { address, length, piece, first }: { address: number; length: number; piece: number; first: number },
): void {
  const words = new Uint32Array((length - 16) / 4);
  const bytes = new Uint8Array(words.buffer);
  for (let n = first; ; n++) {
    for (let i = 0; i < words.length; i++) words[i] = n + Math.imul(i, 0x9e3779b1);
    for (let at = 0; at < bytes.length; at += piece) {
      partition.write(address + at, bytes.subarray(at, Math.min(at + piece, bytes.length)));
    }
    partition.seal(address, length);
  }
}

/** In a worker: reads a record until so much time is over, and counts what it gets. */
function readOn(
  { partition }: Inside,
  { address, length, ms }: { address: number; length: number; ms: number },
): { complete: number; torn: number; mixed: number; different: number } {
  const counts = { complete: 0, torn: 0, mixed: 0, different: 0 };
  let last = -1;
  for (const until = performance.now() + ms; performance.now() < until; ) {
    const payload = partition.sealed(address, length);
    if (payload === undefined) {
      counts.torn++;
      continue;
    }
    counts.complete++;
    const words = new Uint32Array(payload.buffer, payload.byteOffset, payload.length / 4);
    const n = words[0] as number;
    if (n !== last) counts.different++;
    last = n;
    if (!words.every((word, i) => word === (n + Math.imul(i, 0x9e3779b1)) >>> 0)) counts.mixed++;
  }
  return counts;
}

describe("threads", { timeout: 120_000 }, () => {
  test("FA5: a writer that is terminated at 60 random moments never leaves a torn record that is taken for complete", async () => {
    const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const draw = new Draw(SEED);
    const outcomes = { complete: 0, torn: 0 };
    for (let kill = 0; kill < 60; kill++) {
      const length = [SMALL, MEDIUM, LARGE][kill % 3] as number;
      const piece = [4, 64, 700, length][Math.floor(kill / 3) % 4] as number;
      const cookie = server.grant({ to: client, address: 0, length: LARGE });
      const { worker } = await table.spawn(client, REMOTE);
      const remote = new Remote(worker);
      const address = await remote.run(({ partition }, c) => partition.accept(c as Cookie).address, cookie);
      remote.send(rewrite, { address, length, piece, first: kill * 1_000_000 });
      // Not before it has begun: then every moment is one of its loop.
      const begun = server.load32(0);
      for (let turn = 0; server.load32(0) === begun && turn < 5000; turn++) await sleep(1);
      const pause = draw.below(3000) / 1000;
      for (const until = performance.now() + pause; performance.now() < until; );
      // While it still writes, too.
      const racing = server.sealed(0, length);
      if (racing !== undefined) expect(isOneRecord(racing), `kill ${kill}, racing`).toBe(true);
      await worker.terminate();
      for (let turn = 0; client.state === "running" && turn < 5000; turn++) await sleep(1);
      await within(table.recovered(client), "recovered");
      const payload = server.sealed(0, length);
      if (payload === undefined) outcomes.torn++;
      else {
        outcomes.complete++;
        expect(isOneRecord(payload), `kill ${kill} of seed ${SEED}`).toBe(true);
      }
      table.restart(client);
      table.connect(server, client);
    }
    expect(outcomes.complete + outcomes.torn).toBe(60);
    // Both must have been seen, or nothing was tried.
    expect(Math.min(outcomes.complete, outcomes.torn)).toBeGreaterThan(0);
  });

  test.each([
    ["small, word by word", SMALL, 4],
    ["medium, at once", MEDIUM, MEDIUM],
    ["large, at once", LARGE, LARGE],
    ["large, in lines", LARGE, 64],
  ])("a reader in another thread at full speed never gets a mix: %s", async (_, length, piece) => {
    const { table, server, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const [writer, reader] = (
      await Promise.all([server, client].map((partition) => table.spawn(partition, REMOTE)))
    ).map(({ worker }) => new Remote(worker)) as [Remote, Remote];
    const cookie = await writer.run(({ partition }) => {
      const [adapter] = partition.adapters as [VirtualAdapter];
      return partition.grant({ to: adapter, address: 0, length: 3 * 4096, write: false });
    });
    const address = await reader.run(({ partition }, c) => partition.accept(c as Cookie).address, cookie);
    writer.send(rewrite, { address: 0, length, piece, first: 1 });
    const counts = await reader.run(readOn, { address, length, ms: 1500 });
    expect(counts).toMatchObject({ mixed: 0 });
    expect(counts.complete + counts.torn).toBeGreaterThan(1000);
    expect(counts.torn).toBeGreaterThan(0);
    expect(counts.different).toBeGreaterThan(0);
    await Promise.all([writer.worker.terminate(), reader.worker.terminate()]);
    for (const partition of [server, client]) {
      for (let turn = 0; partition.state === "running" && turn < 5000; turn++) await sleep(1);
      await within(table.recovered(partition), "recovered");
    }
  });
});
