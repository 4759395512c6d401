/**
 * WebAssembly guests as partitions: the calls that they have, the numbers that they cannot hurt anybody with, what a module may
 * be, and how a guest ends. Rules of DESIGN 3.10 are WG1 to WG9.
 */
import { describe, expect, test } from "vitest";
import { BENCH_GUEST } from "../bench/guest.js";
import {
  bindMemory,
  type Cookie,
  compileGuest,
  GUEST_ABI,
  GUEST_CALL_BYTES,
  type Guest,
  type GuestImports,
  type GuestOptions,
  LparError,
  openGuest,
  type Partition,
  type PartitionWorker,
  runGuest,
  systemClock,
} from "../src/index.js";
import {
  H_CLOSED,
  H_FUNCTION,
  H_NOT_FOUND,
  H_PARAMETER,
  H_PARTIAL,
  H_PERMISSION,
  H_RESCINDED,
  H_RESOURCE,
  H_SUCCESS,
  NEED_READ,
  NEED_WRITE,
  TYPE_MEMORY,
} from "../src/layout.js";
import { assemble, assembleFile, compileFile } from "./support/guests.js";
import { within } from "./support/remote.js";
import {
  auditedAfterEach,
  bytesOf,
  HOSTILE,
  join,
  listen,
  openPair,
  PAGE,
  type Pair,
  type PairOptions,
  SHARE,
  settle,
} from "./support/world.js";

auditedAfterEach();

const hostile = assembleFile("hostile.wat");
const WORKER = new URL("../dist/src/guest-worker.js", import.meta.url);

interface Hosted extends Pair {
  readonly guest: Guest;
  /** Calls an export of the guest: most are named like the import that they call. */
  readonly call: (name: string, ...args: number[]) => number;
  /** The second result of the guest's last call. */
  readonly r4: () => number;
  /** The guest's memory as it is now. */
  readonly memory: () => Uint8Array;
}

/** The guest that does what it is told. */
function hosted(partition: Partition, options: GuestOptions = {}): Omit<Hosted, keyof Pair> {
  const guest = openGuest(partition, hostile, options);
  const call = (name: string, ...args: number[]): number => Number(guest.call(name, ...args));
  const memory = (): Uint8Array => new Uint8Array((guest.memory as WebAssembly.Memory).buffer);
  return { guest, call, r4: () => call("r4"), memory };
}

/** A server, and a client that is such a guest. */
function openHosted(options: PairOptions = {}): Hosted {
  const pair = openPair(options);
  return { ...pair, ...hosted(pair.client) };
}

/** The functions behind an import object, as a module would call them that declares whatever types it likes. */
function functionsOf(imports: GuestImports): Record<string, (...args: unknown[]) => unknown> {
  return imports[GUEST_ABI] as unknown as Record<string, (...args: unknown[]) => unknown>;
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return "nothing was thrown";
  } catch (error) {
    return error instanceof LparError ? error.code : String(error);
  }
}

/** Everything of a table that a call which is refused must leave alone. */
function stateOf({ table, server, client }: Pair): unknown {
  return [table.inspect(), server.read(0, 16 * PAGE), client.read(0, 4 * PAGE)];
}

describe("the calls of a guest", () => {
  test("WG2: it grants, accepts, reads, writes, returns and rescinds as its own partition", async () => {
    const { server, client, call, r4, memory, unit, back, h } = openHosted();
    server.write(PAGE, bytesOf(PAGE, 1));
    const cookie = server.grant({ to: unit, address: PAGE, length: PAGE });
    expect(call("accept", cookie)).toBe(H_SUCCESS);
    const address = r4();
    expect(address).toBe(4 * PAGE);
    expect(call("read", address, 128, 4096)).toBe(H_SUCCESS);
    expect(memory().slice(128, 128 + PAGE)).toEqual(bytesOf(PAGE, 1));
    memory().set(bytesOf(300, 7), 1000);
    expect(call("write", address + 100, 1000, 300)).toBe(H_SUCCESS);
    expect(server.read(PAGE + 100, 300)).toEqual(bytesOf(300, 7));
    expect(call("return", cookie)).toBe(H_SUCCESS);
    expect(call("accept", cookie)).toBe(H_SUCCESS);
    expect(call("allocate", 2 * PAGE)).toBe(H_SUCCESS);
    const own = r4();
    expect(call("grant", SHARE, 0, own, PAGE, back)).toBe(H_SUCCESS);
    const given = r4() as Cookie;
    const mapping = server.accept(given);
    expect(call("rescind", 0, given)).toBe(H_RESOURCE);
    expect(call("rescind", 1, given)).toBe(H_SUCCESS);
    expect(() => server.read(mapping.address, 1)).toThrow("H_RESCINDED");
    mapping.return();
    expect(call("free", own)).toBe(H_SUCCESS);
    expect(call("free", own)).toBe(H_PARAMETER);
    expect(h.translate(client.lpid, TYPE_MEMORY, address, 1, NEED_READ)).toBe(H_SUCCESS);
    const physical = h.r4;
    expect([call("translate", TYPE_MEMORY, address, NEED_READ | NEED_WRITE), r4()]).toEqual([
      H_SUCCESS,
      physical,
    ]);
  });

  test("WG2: words, fills and copies obey the rights of each mapping", () => {
    const { server, call, r4, unit } = openHosted();
    server.fill(0, 3 * PAGE, 5);
    const [both, readable, writable] = [{}, { write: false }, { read: false }].map((rights, index) => {
      call("accept", server.grant({ to: unit, address: index * PAGE, length: PAGE, ...rights }));
      return r4();
    }) as [number, number, number];
    expect([call("store32", both, -2), call("add32", both, 3), r4()]).toEqual([
      H_SUCCESS,
      H_SUCCESS,
      0xfffffffe,
    ]);
    expect([call("compareExchange32", both, 1, 9), r4(), server.load32(0)]).toEqual([H_SUCCESS, 1, 9]);
    expect([call("load32", both), r4(), call("load32", both + 2), r4()]).toEqual([
      H_SUCCESS,
      9,
      H_PARAMETER,
      0,
    ]);
    for (const [name, ...args] of [
      ["store32", readable, 1],
      ["add32", readable, 1],
      ["fill", readable, 8, 1],
      ["write", readable, 0, 8],
      ["write", readable, 0, 1000],
      ["copy", both, readable, 8],
      ["load32", writable],
      ["add32", writable, 1],
      ["read", writable, 0, 8],
      ["read", writable, 0, 1000],
      ["copy", writable, both, 8],
    ] as const)
      expect(call(name, ...args), `${name} ${args}`).toBe(H_PERMISSION);
    expect([call("fill", writable, PAGE, 7), call("copy", readable, writable, 16)]).toEqual([0, 0]);
    expect(server.read(2 * PAGE, 20)).toEqual(Uint8Array.of(...new Array(16).fill(5), 7, 7, 7, 7));
    expect(server.read(PAGE, PAGE)).toEqual(new Uint8Array(PAGE).fill(5));
  });

  test("WG2: it finds its adapters and partners, sends, receives and is told of events", async () => {
    const { table, server, client, call, r4, memory, adapter, unit, back } = openHosted();
    const other = table.createPartition({ name: "other", memory: PAGE });
    join({ table }, client, other);
    const units = [call("adapter", 0), r4(), call("adapter", 1), r4(), call("adapter", 2), r4()];
    expect(new Set([units[1], units[3]])).toEqual(
      new Set(client.adapters.map(({ unitAddress }) => unitAddress)),
    );
    expect([units[0], units[2], units[4], units[5], call("adapter", -1)]).toEqual([
      0,
      0,
      H_NOT_FOUND,
      0,
      H_NOT_FOUND,
    ]);
    expect([call("partner", back), r4()]).toEqual([H_SUCCESS, server.lpid]);
    expect([call("partner", unit), call("partner", Number.NaN), r4()]).toEqual([H_PARAMETER, H_PARAMETER, 0]);

    memory().set([0x80, 1, ...bytesOf(14, 3)], 64);
    expect(call("send", back, 64)).toBe(H_CLOSED);
    expect(call("receive", back, 0)).toBe(H_CLOSED);
    expect(call("registerQueue", back, 0, PAGE)).toBe(H_CLOSED);
    const messages = listen((signal) => server.messages(adapter, { signal }));
    expect(call("send", back, 64)).toBe(H_SUCCESS);
    await settle();
    expect(messages.seen).toEqual([{ header: 0x80, format: 1, payload: bytesOf(14, 3) }]);
    server.send(adapter, Uint8Array.of(0x80, 2, ...bytesOf(14, 50)));
    expect(call("receive", back, 65536 - 16)).toBe(H_SUCCESS);
    expect(memory().slice(65536 - 16)).toEqual(Uint8Array.of(0x80, 2, ...bytesOf(14, 50)));
    expect(call("receive", back, 0)).toBe(H_NOT_FOUND);
    await messages.stop();

    const cookie = server.grant({ to: unit, address: 0, length: PAGE });
    call("accept", cookie);
    const told = listen((signal) => server.events({ signal }));
    await server.rescindForced(cookie);
    while (call("event", 8) === H_SUCCESS && memory()[8] !== 3);
    const data = new DataView(memory().buffer);
    expect([data.getUint32(8, true), data.getUint32(12, true), data.getFloat64(16, true)]).toEqual([
      3,
      server.lpid,
      cookie,
    ]);
    expect(call("return", cookie)).toBe(H_SUCCESS);
    expect([call("freeQueue", back), call("freeQueue", back)]).toEqual([H_SUCCESS, H_PARAMETER]);
    await told.stop();
  });

  test("WG2: who waits in this thread is woken by what a guest does", async () => {
    const { server, call, r4, unit } = openHosted();
    const events = listen((signal) => server.events({ signal }));
    const cookie = server.grant({ to: unit, address: 0, length: PAGE });
    call("accept", cookie);
    call("return", cookie);
    await settle();
    expect(events.seen.map(({ type }) => type)).toEqual(["returned"]);
    expect(r4()).toBe(0);
    await events.stop();
  });

  test("WG6: a forced rescind of a guest is done in slices, and views follow the pages that it moves", () => {
    const { table, server, client, call, r4, h, back } = openHosted({ clientPages: 64, memory: 128 * PAGE });
    expect(call("grant", SHARE, 0, 0, PAGE, back)).toBe(H_SUCCESS);
    const first = r4() as Cookie;
    using taken = server.view(server.accept(first).address, PAGE);
    using own = client.view(0, PAGE);
    const before = own.bytes.byteOffset;
    expect(call("rescind", 1, first)).toBe(H_SUCCESS);
    expect(own.bytes.byteOffset).not.toBe(before);
    own.bytes[0] = 77;
    expect([call("load32", 0), r4() & 0xff, taken.bytes[0]]).toEqual([H_SUCCESS, 77, 0]);
    h.budget = 1;
    const third = table.createPartition({ name: "third" });
    const on = join({ table }, server, third);
    call("grant", SHARE, 0, PAGE, 8 * PAGE, back);
    const root = r4() as Cookie;
    const address = server.accept(root).address;
    for (let page = 0; page < 8; page++)
      third.accept(server.grant({ to: on, address: address + page * PAGE, length: PAGE }));
    const bounds: number[] = [];
    let status = call("rescind", 1, root);
    for (; status === H_PARTIAL; status = call("rescind", 1, root)) bounds.push(r4());
    expect(status).toBe(H_SUCCESS);
    expect(bounds.length).toBeGreaterThan(4);
    expect(bounds).toEqual([...new Set(bounds)].sort((a, b) => b - a));
    expect(() => third.read(0, 1)).toThrow("H_RESCINDED");
    h.budget = 4096;
  });

  test("WG5: the second result is that of the guest's own last call, whatever others are answered", () => {
    const { server, client, call, r4, unit, back, h } = openHosted();
    const cookie = server.grant({ to: unit, address: 0, length: PAGE });
    expect(r4()).toBe(0);
    expect([call("accept", cookie), r4()]).toEqual([H_SUCCESS, 4 * PAGE]);
    const secret = server.grant({ to: unit, address: PAGE, length: PAGE });
    expect(h.r4).toBe(secret);
    expect(r4()).toBe(4 * PAGE);
    expect([call("accept", 12345), r4()]).toEqual([H_PARAMETER, 0]);
    call("load32", 0);
    expect([call("read", 0, 0, 4096), r4(), call("fill", 0, 8, 0), r4()]).toEqual([0, 0, 0, 0]);
    expect([call("copy", 0, PAGE, 8), r4(), call("send", back, 0), r4()]).toEqual([0, 0, H_PARAMETER, 0]);
    const second = functionsOf(client.imports());
    expect(second.r4?.()).toBe(0);
  });
});

describe("what a guest cannot do", () => {
  const PLACES = [
    ["read", 0, 0xffffffff, 1],
    ["read", 0, 65536, 1],
    ["read", 0, 65535, 2],
    ["read", 0, 65536 - 4095, 4096],
    ["read", 0, 0xffffffff, 0xffffffff],
    ["read", 0, -1, -1],
    ["read", 0, 0, -1],
    ["read", 0, -4096, 4096],
    ["write", 0, 65535, 2],
    ["write", 0, -16, 16],
    ["write", 0, -16, 64],
    ["write", 0, 65536 - 100, 101],
    ["write", 0, 1, -1],
    ["send", 0, 65521],
    ["send", 0, -1],
    ["send", 0, 0x7fffffff],
    ["receive", 0, 65521],
    ["receive", 0, -16],
    ["event", 65521],
    ["event", -1],
  ] as const;

  test("WG3: a range outside its memory is refused, and nothing happens: no byte is moved, no entry or event is taken", () => {
    const hosted = openHosted();
    const { server, client, call, memory, adapter, unit, back } = hosted;
    client.registerQueue(client.adapters[0] as never, 0, PAGE);
    server.registerQueue(adapter, 0, PAGE);
    server.send(adapter, Uint8Array.of(0x80, 9, ...bytesOf(14, 1)));
    call("accept", server.grant({ to: unit, address: PAGE, length: PAGE }));
    memory().fill(0x80);
    const before = [stateOf(hosted), memory().slice()];
    for (const [name, ...args] of PLACES) {
      const numbers: number[] = name === "send" || name === "receive" ? [back, ...args.slice(1)] : [...args];
      expect(call(name, ...numbers), `${name} ${args}`).toBe(H_PARAMETER);
    }
    expect([stateOf(hosted), memory().slice()]).toEqual(before);
    expect(call("receive", back, 65520)).toBe(H_SUCCESS);
    expect(memory().slice(65520)).toEqual(Uint8Array.of(0x80, 9, ...bytesOf(14, 1)));
    expect(call("read", 0, 65536, 0)).toBe(H_SUCCESS);
  });

  test("WG3: its memory may grow between two calls, and inside one of its own functions", () => {
    const { client, call, memory } = openHosted();
    client.write(0, bytesOf(4 * PAGE, 3));
    expect(call("read", 0, 65536, 16)).toBe(H_PARAMETER);
    expect(call("growAndRead", 0, 1, 16)).toBe(H_SUCCESS);
    expect(memory().slice(2 * 65536 - 16)).toEqual(bytesOf(16, 3));
    expect(call("growAndRead", 8, 2, 4096)).toBe(H_SUCCESS);
    expect(memory().slice(4 * 65536 - 4096)).toEqual(bytesOf(4096, 11));
    // By nothing: that empties the old array, too.
    expect(call("growAndRead", 4, 0, 1000)).toBe(H_SUCCESS);
    expect(memory().slice(4 * 65536 - 1000)).toEqual(bytesOf(1000, 7));
    memory().set(bytesOf(2000, 9), 5);
    expect([call("grow", 1), call("write", 0, 5, 2000)]).toEqual([4, H_SUCCESS]);
    expect(client.read(0, 2000)).toEqual(bytesOf(2000, 9));
    expect(call("write", 0, 5 * 65536, 1)).toBe(H_PARAMETER);
  });

  test("WG3: a shared memory that another thread grows is seen at its new length", () => {
    const { client } = openPair();
    client.write(0, bytesOf(PAGE, 1));
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 3, shared: true });
    const imports = client.imports();
    bindMemory(imports, memory);
    const { read, write } = functionsOf(imports);
    expect([read?.(0, 65536, 8), read?.(0, 65528, 8)]).toEqual([H_PARAMETER, H_SUCCESS]);
    memory.grow(1);
    expect([read?.(0, 131072 - 4096, 4096), write?.(PAGE, 131072 - 4096, 4096)]).toEqual([
      H_SUCCESS,
      H_SUCCESS,
    ]);
    expect(client.read(PAGE, PAGE)).toEqual(bytesOf(PAGE, 1));
    expect(read?.(0, 131072, 1)).toBe(H_PARAMETER);
    // A few words go another way than many bytes.
    expect([read?.(16, 100000, 16), write?.(2 * PAGE, 100000, 16)]).toEqual([H_SUCCESS, H_SUCCESS]);
    expect(client.read(2 * PAGE, 16)).toEqual(bytesOf(16, 17));
  });

  test("WG3: reads and writes of a few bytes, however they are aligned, move those and no others", () => {
    const { client } = openPair();
    client.write(0, bytesOf(PAGE, 1));
    const memory = new WebAssembly.Memory({ initial: 1 });
    const imports = client.imports();
    bindMemory(imports, memory);
    const { read, write } = functionsOf(imports);
    const bytes = new Uint8Array(memory.buffer);
    const mirror = new Uint8Array(PAGE);
    for (let length = 1; length < 290; length += length < 40 ? 3 : 13) {
      for (let distance = 0; distance < 8; distance++) {
        const [from, to] = [800 + distance, 1000 + ((distance * 5) & 7)];
        const at = 512 + (length % 8);
        bytes.fill(0xee, 480, 900);
        expect(read?.(from, at, length)).toBe(H_SUCCESS);
        expect(Buffer.compare(bytes.subarray(at, at + length), bytesOf(length, 1 + from))).toBe(0);
        expect([bytes[at - 1], bytes[at + length]]).toEqual([0xee, 0xee]);
        expect(write?.(PAGE + to, at, length)).toBe(H_SUCCESS);
        mirror.set(bytes.subarray(at, at + length), to);
      }
    }
    expect(client.read(PAGE, PAGE)).toEqual(mirror);
  });

  test.each([[false], [true]])(
    "WG3: all of a memory of 4 GiB, shared: %s, can be moved into and out of",
    (shared) => {
      const { client } = openPair();
      client.write(0, bytesOf(PAGE, 1));
      const memory = new WebAssembly.Memory({ initial: 65536, maximum: 65536, shared });
      const imports = client.imports();
      bindMemory(imports, memory);
      const { read, write } = functionsOf(imports);
      for (const at of [0, 2 ** 31, 2 ** 32 - 1024]) {
        for (const length of [16, 17, 1024]) {
          expect(read?.(0, at, length)).toBe(H_SUCCESS);
          expect(new Uint8Array(memory.buffer, at, length)).toEqual(bytesOf(length, 1));
          expect(write?.(PAGE, at, length)).toBe(H_SUCCESS);
          expect(client.read(PAGE, length)).toEqual(bytesOf(length, 1));
          client.fill(PAGE, PAGE, 0);
        }
        expect(read?.(0, 2 ** 32 - 8, 16)).toBe(H_PARAMETER);
      }
    },
  );

  test("WG3: a memory that is bound in the place of another is the one that pointers point into", () => {
    const { client } = openPair();
    const memories = [1, 2].map((value) => {
      const memory = new WebAssembly.Memory({ initial: 1 });
      new Uint8Array(memory.buffer).fill(value);
      return memory;
    });
    const imports = client.imports();
    const { write } = functionsOf(imports);
    for (const [index, memory] of memories.entries()) {
      bindMemory(imports, memory);
      expect([write?.(0, 64, 16), write?.(PAGE, 64, 1024)]).toEqual([H_SUCCESS, H_SUCCESS]);
      expect([client.read(0, 16), client.read(PAGE, 1024)]).toEqual([
        new Uint8Array(16).fill(index + 1),
        new Uint8Array(1024).fill(index + 1),
      ]);
    }
  });

  test("WG3: without a memory every pointer is outside", () => {
    const { client, back } = openPair();
    const f = functionsOf(client.imports());
    expect([f.read?.(0, 0, 1), f.write?.(0, 0, 1), f.send?.(back, 0), f.event?.(0)]).toEqual(
      new Array(4).fill(H_PARAMETER),
    );
    expect([f.read?.(0, 0, 0), f.load32?.(0)]).toEqual([H_SUCCESS, H_SUCCESS]);
    expect(() => bindMemory(client.imports(), { buffer: new ArrayBuffer(8) } as never)).toThrow(TypeError);
    expect(() => client.imports({ memory: {} as never })).toThrow(TypeError);
    expect(() => bindMemory({} as GuestImports, new WebAssembly.Memory({ initial: 1 }))).toThrow(TypeError);
  });

  test("WG2, G2: flags of a rescind that are none are refused, whatever type the guest gives them", () => {
    const { client, back } = openPair();
    const f = functionsOf(client.imports());
    expect(f.grant?.(SHARE, 0, 0, PAGE, back)).toBe(H_SUCCESS);
    const cookie = f.r4?.();
    for (const flags of [2 ** 32, 2 ** 32 + 1, 0.5, 1.5, -1, Number.NaN])
      expect(f.rescind?.(flags, cookie as number), `${flags}`).toBe(H_PARAMETER);
    expect(f.rescind?.(0, cookie as number)).toBe(H_SUCCESS);
  });

  test("WG2: cookies, unit addresses and events of others have no power in its hands", () => {
    const { table, server, client, call, memory, unit, back, adapter } = openHosted();
    const other = table.createPartition({ name: "other", memory: PAGE });
    const far = join({ table }, server, other);
    const granted = server.grant({ to: far, address: 0, length: PAGE });
    const accepted = server.grant({ to: far, address: PAGE, length: PAGE });
    other.accept(accepted);
    const mine = server.grant({ to: unit, address: 2 * PAGE, length: PAGE, regrant: false });
    call("accept", mine);
    server.registerQueue(adapter, 3 * PAGE, PAGE);
    const before = [table.inspect(), memory().slice()];
    for (const cookie of [granted, accepted, granted + 1, mine + 2 ** 24])
      for (const [name, ...first] of [["accept"], ["return"], ["rescind", 0], ["rescind", 1]] as const)
        expect(call(name, ...first, cookie), `${name} ${cookie}`).toBe(H_PARAMETER);
    // The server's grant to the guest is the server's to rescind.
    expect([call("rescind", 0, mine), call("rescind", 1, mine), call("rescind", 2, mine)]).toEqual(
      new Array(3).fill(H_PARAMETER),
    );
    expect(call("accept", mine)).toBe(H_PARAMETER);
    for (const foreign of [unit, far.unitAddress, far.peer.unitAddress, back + 65536, 0, -1]) {
      expect(call("grant", SHARE, 0, 0, PAGE, foreign), `${foreign}`).toBe(H_PARAMETER);
      expect(call("registerQueue", foreign, 0, PAGE)).toBe(H_PARAMETER);
      expect([call("send", foreign, 0), call("receive", foreign, 0)]).toEqual([H_PARAMETER, H_PARAMETER]);
      expect([call("freeQueue", foreign), call("partner", foreign)]).toEqual([H_PARAMETER, H_PARAMETER]);
    }
    // A mapping that must not be granted on, and a transport event, or a free entry, that it would forge.
    expect(call("grant", SHARE, 0, 4 * PAGE, PAGE, back)).toBe(H_PERMISSION);
    expect([table.inspect(), memory().slice()]).toEqual(before);
    for (const header of [0xff, 0, 0x7f]) {
      memory()[0] = header;
      expect(call("send", back, 0), `header ${header}`).toBe(H_PARAMETER);
    }
    expect(server.receive(adapter)).toBe(undefined);
    expect(client.state).toBe("running");
  });

  test("WG2: nothing answers outside its mappings, nor after a rescind", async () => {
    const { server, call, unit, memory } = openHosted();
    const cookie = server.grant({ to: unit, address: 0, length: 2 * PAGE });
    call("accept", cookie);
    const [first, end] = [4 * PAGE, 6 * PAGE];
    const reach = (address: number): number[] => [
      call("read", address, 0, 8),
      call("read", address, 0, 1000),
      call("write", address, 0, 8),
      call("write", address, 0, 1000),
      call("fill", address, 8, 0),
      call("copy", address, 0, 8),
      call("copy", 0, address, 8),
      call("load32", address),
      call("store32", address, 1),
      call("add32", address, 1),
      call("compareExchange32", address, 1, 2),
      call("translate", TYPE_MEMORY, address, NEED_READ),
    ];
    expect(reach(end)).toEqual(new Array(12).fill(H_PARAMETER));
    expect([
      call("read", end - 4, 0, 8),
      call("read", end - 4, 0, 1000),
      call("fill", end - 4, 8, 0),
    ]).toEqual(new Array(3).fill(H_PARAMETER));
    expect(reach(first)).toEqual(new Array(12).fill(H_SUCCESS));
    await server.rescindForced(cookie);
    server.fill(0, 2 * PAGE, 0xee);
    memory().fill(1);
    expect(reach(first)).toEqual(new Array(12).fill(H_RESCINDED));
    expect(memory().every((byte) => byte === 1)).toBe(true);
    expect(server.read(0, 2 * PAGE).every((byte) => byte === 0xee)).toBe(true);
    expect([call("accept", cookie), call("return", cookie)]).toEqual([H_RESCINDED, H_SUCCESS]);
    expect(reach(first)).toEqual(new Array(12).fill(H_PARAMETER));
  });

  test("WG7: an adapter gives no access to a partner's memory: copy stays within its own addresses", () => {
    const { server, client, call } = openHosted();
    server.fill(0, 16 * PAGE, 0x55);
    client.write(0, bytesOf(PAGE, 1));
    expect([call("copy", 0, 2 * PAGE, PAGE), call("copy", 0, 8 * PAGE, 8)]).toEqual([H_SUCCESS, H_PARAMETER]);
    expect(client.read(2 * PAGE, PAGE)).toEqual(bytesOf(PAGE, 1));
    expect(server.read(0, 16 * PAGE)).toEqual(new Uint8Array(16 * PAGE).fill(0x55));
  });

  test("WG6: no call moves more than GUEST_CALL_BYTES, since whoever takes something back waits for it", () => {
    const pages = GUEST_CALL_BYTES / PAGE + 1;
    const { client, call, back } = openHosted({ clientPages: pages, memory: (pages + 32) * PAGE });
    client.fill(0, pages * PAGE, 9);
    for (const [name, ...args] of [
      ["read", 0, 0, GUEST_CALL_BYTES + 1],
      ["write", 0, 0, GUEST_CALL_BYTES + 1],
      ["fill", 0, GUEST_CALL_BYTES + 1, 1],
      ["copy", 0, 0, GUEST_CALL_BYTES + 1],
      ["registerQueue", back, 0, GUEST_CALL_BYTES + PAGE],
    ] as const) {
      if (args[2] !== undefined) call("grow", 1);
      expect(call(name, ...args), name).toBe(H_PARAMETER);
    }
    call("grow", 30);
    expect(client.read(0, pages * PAGE).every((byte) => byte === 9)).toBe(true);
    expect([call("read", 0, 0, GUEST_CALL_BYTES), call("fill", 0, GUEST_CALL_BYTES, 1)]).toEqual([0, 0]);
    expect([call("copy", 0, PAGE, GUEST_CALL_BYTES), call("write", 0, 0, GUEST_CALL_BYTES)]).toEqual([0, 0]);
  });

  test("G2: hostile numbers and hostile types are answered with a status, never with an exception", () => {
    const { table, server, client, back } = openPair();
    server.fill(0, 16 * PAGE, 0x55);
    const imports = client.imports();
    bindMemory(imports, new WebAssembly.Memory({ initial: 1 }));
    const f = functionsOf(imports);
    const strange = [
      ...HOSTILE,
      1n,
      -(2n ** 64n),
      undefined,
      null,
      "7",
      Symbol("s"),
      Object.create(null),
      () => 1,
    ];
    const before = table.inspect();
    // Whoever declares other types than the interface has gets these; fill 0, r4 and wait do nothing anyway.
    for (const name of Object.keys(f)) {
      if (name === "r4") continue;
      for (const value of strange) {
        for (const args of [[value], [back, value], [0, value, value], [value, value, value, value, value]]) {
          if (name === "allocate" || name === "event" || name === "receive") continue;
          const status = f[name]?.(...args);
          expect(typeof status, name).toBe("number");
          expect([0, 2, -2, -4, -7, -11], `${name} ${args.map((value) => typeof value)}`).toContain(status);
        }
      }
    }
    // Its own memory is its own business.
    expect(table.inspect()).toEqual(before);
    expect(server.read(0, 16 * PAGE)).toEqual(new Uint8Array(16 * PAGE).fill(0x55));
    expect(client.state).toBe("running");
  });

  test("G2: a module that declares other types than the interface only hurts itself", () => {
    const declare = (type: string, value: string): Uint8Array<ArrayBuffer> =>
      assemble(`(module (import "${GUEST_ABI}" "load32" (func $f (param ${type}) (result i32)))
        (func (export "run") (result i32) (call $f (${value}))))`);
    const { client, table } = openPair();
    const options = { onReturn: "keep" } as const;
    expect(runGuest(client, declare("i64", "i64.const 4096"), options)).toBe(H_PARAMETER);
    expect(runGuest(client, declare("externref", "ref.null extern"), options)).toBe(H_SUCCESS);
    expect(runGuest(client, declare("funcref", "ref.null func"), options)).toBe(H_SUCCESS);
    expect(runGuest(client, declare("f32", "f32.const 0.5"), options)).toBe(H_PARAMETER);
    const result = assemble(`(module (import "${GUEST_ABI}" "load32" (func $f (param f64) (result i64)))
      (func (export "run") (drop (call $f (f64.const 0)))))`);
    expect(codeOf(() => runGuest(client, result, options))).toBe("LPAR_GUEST_FAILED");
    expect(client.state).not.toBe("running");
    expect(table.audit().problems).toEqual([]);
  });
});

describe("the module of a guest", () => {
  const importing = (what: string): Uint8Array<ArrayBuffer> =>
    assemble(`(module ${what} (func (export "run")))`);

  test.each([
    ['(import "env" "abort" (func (param i32)))', "env.abort (function)"],
    [`(import "${GUEST_ABI}" "readAll" (func))`, "readAll"],
    [`(import "${GUEST_ABI}" "constructor" (func))`, "constructor"],
    [`(import "${GUEST_ABI}" "__proto__" (func))`, "__proto__"],
    [`(import "${GUEST_ABI}" "memory" (memory 1))`, "memory (memory)"],
    [`(import "${GUEST_ABI}" "r4" (global f64))`, "r4 (global)"],
    ['(import "env" "memory" (memory 1))', "env.memory (memory)"],
    ['(import "env" "table" (table 1 funcref))', "env.table (table)"],
    ['(import "constructor" "constructor" (func))', "constructor.constructor"],
    ['(import "__proto__" "toString" (func))', "__proto__.toString"],
    ['(import "toString" "constructor" (func (param f64) (result externref)))', "toString.constructor"],
    ['(import "bind" "call" (func))', "bind.call"],
    ['(import "lpar_2" "read" (func))', "lpar_2.read"],
  ])("WG1: what it must not import is refused by name, and is not there: %s", (text, name) => {
    const { client } = openPair();
    const code = importing(text);
    expect(() => openGuest(client, code)).toThrow(name);
    expect(codeOf(() => runGuest(client, code))).toBe("LPAR_GUEST_IMPORTS");
    expect(codeOf(() => openGuest(client, new WebAssembly.Module(code)))).toBe("LPAR_GUEST_IMPORTS");
    // The import object alone does as well: it has no prototype to reach through.
    expect(() => new WebAssembly.Instance(new WebAssembly.Module(code), client.imports())).toThrow();
    expect(client.state).toBe("running");
  });

  test("WG1: an import object cannot be changed, and has functions only", () => {
    const { client } = openPair();
    const imports = client.imports();
    const functions = imports[GUEST_ABI] as object;
    for (const object of [imports, functions, imports.env as object]) {
      expect(Object.getPrototypeOf(object)).toBe(null);
      expect(Object.isFrozen(object)).toBe(true);
    }
    expect(Object.values(functions).every((value) => typeof value === "function")).toBe(true);
  });

  test.each([
    ["declares no maximum", '(memory (export "memory") 1)', [1, 1, -1, 2]],
    ["declares a larger one", '(memory (export "memory") 1 60000)', [1, 1, -1, 2]],
    ["declares a smaller one", '(memory (export "memory") 1 1)', [1, -1, -1, 1]],
  ])("WG9: a memory that %s grows as far as its limit", (_, memory, expected) => {
    const { client } = openPair();
    const code = assemble(
      `(module ${memory} (func (export "grow") (result i32) (memory.grow (i32.const 1)))
        (func (export "size") (result i32) (memory.size)))`,
    );
    const guest = openGuest(client, code, { maxPages: 2 });
    expect([guest.call("size"), guest.call("grow"), guest.call("grow"), guest.call("size")]).toEqual(
      expected,
    );
  });

  test("WG9: limits that are exceeded from the start, and modules that are none, are refused before anything runs", () => {
    const { client } = openPair();
    const code = assemble('(module (memory 3) (func (export "run")))');
    expect(codeOf(() => runGuest(client, code, { maxPages: 2 }))).toBe("LPAR_GUEST_LIMIT");
    expect(codeOf(() => runGuest(client, code, { maxPages: 3, onReturn: "keep" }))).toBe(
      "nothing was thrown",
    );
    for (const maxPages of [0, -1, 1.5, 65537, Number.NaN])
      expect(() => openGuest(client, code, { maxPages })).toThrow(RangeError);
    const good = Array.from(code);
    const section = (...bytes: number[]): number[] => [...good.slice(0, 8), 5, bytes.length, ...bytes];
    for (const bytes of [
      [],
      good.slice(0, 7),
      [...good.slice(0, 4), 2, 0, 0, 0],
      good.slice(0, -1),
      [...good.slice(0, 8), 5, 0xff, 0xff, 0xff, 0xff, 0x7f],
      [...good.slice(0, 8), 5, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
      section(1, 0, 0xff),
      section(1, 4, 1),
      section(1, 8, 1),
      section(2, 0, 1, 0, 1),
      section(1, 0, 1, 0),
      section(1, 0, 1).concat([5, 3, 1, 0, 1]),
    ])
      expect(
        codeOf(() => openGuest(client, Uint8Array.from(bytes))),
        `${bytes}`,
      ).toBe("LPAR_GUEST_INVALID");
    for (const wrong of [undefined, "module", [0, 97], {}])
      expect(() => openGuest(client, wrong as never)).toThrow(TypeError);
    expect(client.state).toBe("running");
  });

  test("WG9: however the numbers of a module are written, its memory ends at the limit", () => {
    const { client } = openPair();
    const plain = assemble(
      '(module (memory (export "memory") 1) (func (export "grow") (result i32) (memory.grow (i32.const 9))))',
    );
    const index = plain.findIndex((byte, at) => byte === 5 && plain[at + 1] === 3 && plain[at + 2] === 1);
    // The same section with numbers of five bytes: size 7, one memory, no maximum, one page.
    const padded = [5, 0x87, 0x80, 0x80, 0x80, 0, 1, 0, 0x81, 0x80, 0x80, 0x80, 0];
    const code = Uint8Array.from([...plain.slice(0, index), ...padded, ...plain.slice(index + 5)]);
    expect(openGuest(client, code, { maxPages: 9 }).call("grow")).toBe(-1);
    expect(openGuest(client, code, { maxPages: 10 }).call("grow")).toBe(1);
  });

  test("WG9: what was examined is what is compiled, though somebody changes the array meanwhile", () => {
    const { client } = openPair();
    const code = assemble('(module (memory (export "memory") 1) (func (export "run")))');
    const shared = new Uint8Array(new SharedArrayBuffer(code.length));
    shared.set(code);
    const module = compileGuest(shared, { maxPages: 1 });
    shared.fill(0);
    expect(codeOf(() => runGuest(client, module, { onReturn: "keep" }))).toBe("nothing was thrown");
  });

  test("WG3: a module that imports its memory gets the host's", () => {
    const { client } = openPair();
    client.write(0, bytesOf(16, 1));
    for (const name of [GUEST_ABI, "env"]) {
      const code = assemble(`(module (import "${name}" "memory" (memory 1))
        (import "${GUEST_ABI}" "read" (func $read (param f64 i32 i32) (result i32)))
        (func (export "run") (result i32) (call $read (f64.const 0) (i32.const 32) (i32.const 16))))`);
      const memory = new WebAssembly.Memory({ initial: 1 });
      expect(runGuest(client, code, { memory, onReturn: "keep" })).toBe(H_SUCCESS);
      expect(new Uint8Array(memory.buffer, 32, 16)).toEqual(bytesOf(16, 1));
      const small = new WebAssembly.Memory({ initial: 0 });
      expect(codeOf(() => runGuest(client, code, { memory: small }))).toBe("LPAR_GUEST_IMPORTS");
    }
    expect(client.state).toBe("running");
  });
});

describe("the end of a guest", () => {
  const trapping = (body: string): Uint8Array<ArrayBuffer> =>
    assemble(`(module (tag $mine (param i32)) (func (export "run") ${body}))`);

  test.each([
    ["unreachable", "(unreachable)", "unreachable"],
    ["a division by zero", "(drop (i32.div_u (i32.const 1) (i32.const 0)))", "divide by zero"],
    ["an exception of its own", "(throw $mine (i32.const 1))", "exception"],
    ["a stack overflow", "(call 0)", "stack"],
    ["its return", "", "returned"],
  ])("WG8: %s is the failure of the partition, with the reason", async (_, body, reason) => {
    const { table, server, client, unit } = openPair({ gracePeriodMs: 0 });
    const events = listen((signal) => table.events({ signal }));
    const told = listen((signal) => server.events({ signal }));
    client.accept(server.grant({ to: unit, address: 0, length: PAGE }));
    const code = codeOf(() => runGuest(client, trapping(body)));
    expect(code).toBe(body === "" ? "nothing was thrown" : "LPAR_GUEST_FAILED");
    expect(client.state).not.toBe("running");
    await table.recovered(client);
    await settle();
    expect(events.seen[0]).toMatchObject({ type: "partition-failed", lpid: client.lpid });
    expect(events.seen[0]?.reason).toContain(reason);
    expect(told.seen.filter(({ type }) => type === "partner-failed")).toHaveLength(1);
    expect(server.usage().grantsOut).toBe(0);
    await events.stop();
    await told.stop();
  });

  test("WG8: a start function that traps is a failure, too; one that calls has no memory yet", () => {
    const { client } = openPair();
    const start = (body: string): Uint8Array<ArrayBuffer> =>
      assemble(`(module (import "${GUEST_ABI}" "event" (func $event (param i32) (result i32))) (memory (export "memory") 1)
        (global $status (mut i32) (i32.const 0)) (func $start ${body}) (start $start)
        (func (export "run") (result i32) (global.get $status)))`);
    const early = start("(global.set $status (call $event (i32.const 0)))");
    expect(runGuest(client, early, { onReturn: "keep" })).toBe(H_PARAMETER);
    expect(codeOf(() => openGuest(client, start("(unreachable)")))).toBe("LPAR_GUEST_FAILED");
    expect(client.state).not.toBe("running");
  });

  test("WG8: onReturn keep leaves the partition running, and mistakes of the host change nothing", () => {
    const { client } = openPair();
    expect(runGuest(client, hostile, { onReturn: "keep" })).toBe(42);
    expect(codeOf(() => runGuest(client, hostile, { entry: "walk" }))).toBe("LPAR_GUEST_EXPORT");
    expect(() => runGuest(client, hostile, { entry: "walk" })).toThrow(
      /no function "walk"; it exports .*growAndRead/,
    );
    expect(() => runGuest(client, hostile, { onReturn: "stop" as never })).toThrow(RangeError);
    const guest = openGuest(client, hostile);
    expect(codeOf(() => guest.call("memory"))).toBe("LPAR_GUEST_EXPORT");
    expect(() => guest.call("walk")).toThrow(/no function "walk"; it exports .*growAndRead/);
    expect(codeOf(() => guest.call("toString"))).toBe("LPAR_GUEST_EXPORT");
    expect([client.state, guest.isRunning]).toEqual(["running", true]);
    const several = assemble('(module (func (export "run") (result i32 i32) (i32.const 1) (i32.const 2)))');
    expect(runGuest(client, several, { onReturn: "keep" })).toBe(undefined);
    const long = assemble(
      '(module (func (export "run") (param i64) (result i64) (i64.add (local.get 0) (i64.const 1))))',
    );
    expect(runGuest(client, long, { args: [2n ** 60n], onReturn: "keep" })).toBe(2n ** 60n + 1n);
  });

  test("WG8: after the partition failed, a guest gets H_RESCINDED, and so do its functions in a later incarnation (G4)", async () => {
    const { table, client, guest, call } = openHosted({ gracePeriodMs: 0 });
    const imports = client.imports();
    bindMemory(imports, new WebAssembly.Memory({ initial: 1 }));
    const f = functionsOf(imports);
    const all = (): unknown[] =>
      Object.keys(f).flatMap((name) => (name === "r4" ? [] : [f[name]?.(0, 0, 0, 0, 0)]));
    expect(call("load32", 0)).toBe(H_SUCCESS);
    table.fail(client, "told so");
    expect(new Set(all())).toEqual(new Set([H_RESCINDED]));
    expect([guest.isRunning, codeOf(() => guest.call("run"))]).toEqual([false, "LPAR_GUEST_ENDED"]);
    await table.recovered(client);
    table.restart(client);
    client.fill(0, PAGE, 1);
    const before = table.inspect();
    expect(new Set(all())).toEqual(new Set([H_RESCINDED]));
    expect([f.r4?.(), guest.isRunning, codeOf(() => guest.call("trap"))]).toEqual([
      0,
      false,
      "LPAR_GUEST_ENDED",
    ]);
    guest.end();
    expect([client.state, table.inspect()]).toEqual(["running", before]);
    expect(hosted(client).call("load32", 0)).toBe(H_SUCCESS);
  });

  test("WG8: a guest that is ended has no power, though its host goes on calling what it kept", async () => {
    const { table, client } = openPair({ gracePeriodMs: 0 });
    const first = openGuest(client, hostile);
    const second = openGuest(client, hostile);
    first.end("enough");
    first.end("again");
    expect([client.state === "running", second.isRunning]).toEqual([false, false]);
    await table.recovered(client);
    expect(codeOf(() => second.call("run"))).toBe("LPAR_GUEST_ENDED");
    await table.close();
    expect(codeOf(() => client.imports())).toBe("LPAR_CLOSED");
  });

  test("WG8: a stack overflow in the middle of a call leaves nothing half done", {
    timeout: 30_000,
  }, async () => {
    for (let offset = 0; offset < 40; offset++) {
      const { table, server, client, guest, back } = openHosted({ gracePeriodMs: 0 });
      expect(codeOf(() => guest.call("lower", offset, 0, back))).toBe("LPAR_GUEST_FAILED");
      expect(client.state).not.toBe("running");
      expect(table.audit().problems).toEqual([]);
      await table.recovered(client);
      expect([server.usage().grantsIn, client.usage().grantsOut, client.state]).toEqual([0, 0, "stopped"]);
    }
  });

  test("WG4: an import that cannot be carried out ends the guest, though the guest catches what is thrown", () => {
    const { client } = openPair();
    const code = assemble(`(module
      (import "${GUEST_ABI}" "adapter" (func $adapter (param i32) (result i32)))
      (import "${GUEST_ABI}" "load32" (func $load32 (param f64) (result i32)))
      (func (export "run") (result i32)
        (try (result i32) (do (call $adapter (i32.const 0))) (catch_all (call $load32 (f64.const 0))))))`);
    expect(runGuest(client, code, { onReturn: "keep" })).toBe(H_SUCCESS);
    Object.defineProperty(client, "adapters", {
      get: () => {
        throw new RangeError("no stack is left");
      },
    });
    expect(codeOf(() => runGuest(client, code, { onReturn: "keep" }))).toBe("LPAR_GUEST_FAILED");
    expect(client.state).not.toBe("running");
  });

  test("WG4: a guest that catches its own stack overflow is ended all the same", () => {
    const { client } = openPair();
    const code = assemble(`(module
      (import "${GUEST_ABI}" "allocate" (func $allocate (param f64) (result i32)))
      (global $caught (export "caught") (mut i32) (i32.const 0))
      (func $deep (result i32)
        (try (result i32)
          (do (drop (call $allocate (f64.const 0.5))) (i32.add (call $deep) (i32.const 1)))
          (catch_all (global.set $caught (i32.add (global.get $caught) (i32.const 1))) (i32.const 0))))
      (func (export "run") (result i32) (call $deep)))`);
    const code1 = codeOf(() => runGuest(client, code));
    expect(["LPAR_GUEST_FAILED", "nothing was thrown"]).toContain(code1);
    expect(client.state).not.toBe("running");
  });
});

test("the guest of the benchmark is what its text says", () => {
  expect(Uint8Array.from(Buffer.from(BENCH_GUEST, "base64"))).toEqual(assembleFile("bench.wat"));
});

describe("a guest in AssemblyScript", () => {
  test("takes a granted text, grants on what it made of it, says so, and takes it back", async () => {
    const plugin = await compileFile("plugin.as");
    const { server, client, adapter, unit } = openPair();
    const guest = openGuest(client, plugin);
    server.registerQueue(adapter, 15 * PAGE, PAGE);
    const text = new TextEncoder().encode("shared logical resources");
    server.write(0, text);
    const cookie = server.grant({ to: unit, address: 0, length: PAGE, write: false, regrant: false });
    expect([guest.call("open"), guest.call("capitals", cookie, text.length)]).toEqual([H_SUCCESS, H_SUCCESS]);
    const { payload } = server.receive(adapter) ?? {};
    const made = new DataView((payload as Uint8Array).slice().buffer).getFloat64(6, true) as Cookie;
    const mapping = server.accept(made);
    expect(new TextDecoder().decode(server.read(mapping.address, text.length))).toBe(
      "SHARED LOGICAL RESOURCES",
    );
    expect(mapping.writable).toBe(false);
    expect(guest.call("withdraw")).toBe(H_SUCCESS);
    expect(() => server.read(mapping.address, 1)).toThrow("H_RESCINDED");
    mapping.return();
    // Not granted, so not accepted, so nothing made of it.
    expect(guest.call("capitals", made, 10)).toBe(H_PARAMETER);
    server.rescind(cookie);
  });
});

describe("a guest in a worker thread", { timeout: 60_000 }, () => {
  async function spawned(
    options: PairOptions,
    workerData: Record<string, unknown>,
  ): Promise<Pair & { worker: PartitionWorker }> {
    const pair = openPair({ clock: systemClock, gracePeriodMs: 0, ...options });
    return { ...pair, worker: await pair.table.spawn(pair.client, WORKER, { workerData }) };
  }

  test.each([
    ["computes for ever", "forever", []],
    ["calls for ever", "busy", [4 * PAGE]],
  ])("WG8: one that %s is ended by terminate(), and everything is recovered", async (_, entry, args) => {
    const pair = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const { table, server, client, unit } = pair;
    const cookie = server.grant({ to: unit, address: 0, length: PAGE });
    client.accept(cookie);
    const told = listen((signal) => server.events({ signal }));
    const workerData = { code: compileGuest(hostile), entry, args };
    const worker = await table.spawn(client, WORKER, { workerData });
    if (entry === "busy") {
      await within(
        (async () => {
          while (server.load32(0) === 0) await settle();
        })(),
        "the guest",
      );
    }
    // While it runs its grant can be taken back, and given again.
    await within(server.rescindForced(cookie), "the rescind");
    await within(worker.terminate(), "the end");
    expect(client.state).toBe("stopped");
    await settle();
    expect(told.seen.filter(({ type }) => type === "partner-failed")).toHaveLength(1);
    expect([server.usage().grantsOut, client.usage().pagesOwned]).toEqual([0, 0]);
    await told.stop();
  });

  test("WG8: one that has returned, and is told to keep its partition, does so until its thread is ended", async () => {
    const { server, client, unit, worker } = await spawned({}, { code: hostile, onReturn: "keep" });
    const cookie = server.grant({ to: unit, address: 0, length: PAGE });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(client.state).toBe("running");
    client.accept(cookie);
    await within(worker.terminate(), "the end");
    expect(client.state).toBe("stopped");
  });

  test("WG8: one that traps fails the partition with the reason, and a policy starts it again", async () => {
    const { table, client } = openPair({ clock: systemClock, gracePeriodMs: 0 });
    const events = listen((signal) => table.events({ signal }));
    const workerData = { code: hostile, entry: "trap" };
    await table.spawn(client, WORKER, { workerData, restart: { max: 1, backoffMs: 1 } });
    await within(
      (async () => {
        while (!events.seen.some(({ type }) => type === "partition-given-up")) await settle();
      })(),
      "the second end",
    );
    const reasons = events.seen.filter(({ type }) => type === "partition-failed").map(({ reason }) => reason);
    expect(reasons).toHaveLength(2);
    for (const reason of reasons) expect(reason).toContain("unreachable");
    await events.stop();
  });

  test("WG10: one that waits is woken by a message, and misses none; in the owner's thread nobody may wait", async () => {
    const code = await compileFile("plugin.as");
    const { server, client, adapter, unit, worker, table } = await spawned({}, { code, entry: "serve" });
    const send = (cookie: number, length: number): void => {
      const entry = new DataView(new ArrayBuffer(16));
      entry.setUint8(0, 0x80);
      entry.setUint32(4, length, true);
      entry.setFloat64(8, cookie, true);
      server.send(adapter, new Uint8Array(entry.buffer));
    };
    // Page 0 becomes the queue of messages().
    server.write(PAGE, new TextEncoder().encode("abcdefgh"));
    const cookie = server.grant({ to: unit, address: PAGE, length: PAGE, write: false });
    const messages = server.messages(adapter);
    const isOpen = (): boolean => {
      try {
        send(cookie, 8);
        return true;
      } catch {
        return false;
      }
    };
    await within(
      (async () => {
        while (!isOpen()) await settle();
        for (let round = 0; round < 50; round++) {
          const { value } = await messages.next();
          if (value.header !== 0x80) {
            round--;
            continue;
          }
          const made = new DataView(value.payload.slice().buffer).getFloat64(6, true) as Cookie;
          const mapping = server.accept(made);
          expect(new TextDecoder().decode(server.read(mapping.address, 8))).toBe("ABCDEFGH");
          mapping.return();
          send(round < 49 ? cookie : 0, 8);
        }
      })(),
      "the rounds",
      30_000,
    );
    await within(
      (async () => {
        while (client.state !== "stopped") await settle();
      })(),
      "its return",
    );
    await messages.return?.();
    await worker.terminate();
    const here = table.createPartition({ name: "here" });
    expect(functionsOf(here.imports()).wait?.(0)).toBe(H_FUNCTION);
  });
});
