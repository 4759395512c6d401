/**
 * A hostile guest at random: a million calls of everything with any numbers, while its host goes on granting, rescinding and
 * restarting. Nothing of others that it has no right to is read or changed, and no table is broken.
 *
 * LPAR_GUEST_CALLS=100000000 for a nightly run, LPAR_GUEST_SEED to repeat one.
 */
import { expect, test } from "vitest";
import { Random } from "../bench/random.js";
import { GUEST_FUNCTIONS } from "../src/guest-imports.js";
import {
  type Cookie,
  compileGuest,
  type Guest,
  openGuest,
  type Partition,
  type VirtualAdapter,
} from "../src/index.js";
import { H_SUCCESS } from "../src/layout.js";
import { compileFile } from "./support/guests.js";
import { auditedAfterEach, HOSTILE, join, openTable, PAGE, type World } from "./support/world.js";

auditedAfterEach();

const CALLS = Number(process.env.LPAR_GUEST_CALLS ?? 1_000_000);
const SEED = Number(process.env.LPAR_GUEST_SEED ?? Date.now() % 2 ** 31);
const CALLS_PER_ROUND = 2000;
/** Of so many rounds one compares every byte of the others. */
const COMPARE_EVERY = 5;
/** Of so many rounds one ends with the failure of the guest's partition. */
const FAIL_EVERY = 23;

const POOL = 1024;
const COUNTS = 2048;
/** In the order of the numbers by which test/guests/fuzz.as calls them; r4 is the second half of every call. */
const FUNCTIONS = GUEST_FUNCTIONS.filter((name) => name !== "r4");

const SECRET = new TextEncoder().encode("SECRETS!");
const [SECRET_A, SECRET_B] = new Uint32Array(SECRET.slice().buffer) as unknown as [number, number];

/** The server's pages: what the guest may do with each. */
const [BOTH, READABLE, WRITABLE, OTHERS_GRANT, OTHERS_MAPPING, QUEUE, TAKEN] = [0, 1, 2, 3, 4, 5, 6];
const SERVER_PAGES = 32;
const OTHER_PAGES = 8;
const GUEST_PAGES = 8;

const SECRET_PAGES = Buffer.alloc(SERVER_PAGES * PAGE, SECRET);
const SHARED_PAGE = Buffer.alloc(PAGE, 0x11);

function secretPages(pages: number): Buffer {
  return SECRET_PAGES.subarray(0, pages * PAGE);
}

/** A part of the secret that a guest could make sense of: a word of it. */
function holdsSecret(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return text.includes("SECR") || text.includes("ETS!");
}

/** A server and another partition, full of secrets, and a guest that has some rights to some pages of the server. */
class HostileWorld {
  readonly world: World = openTable({ memory: 128 * PAGE, gracePeriodMs: 0, logicalSpace: 64 * PAGE });
  readonly server: Partition;
  readonly other: Partition;
  readonly client: Partition;
  readonly random: Random;
  readonly module: WebAssembly.Module;
  /** Successes of each function, of guests that are gone, too. */
  readonly successes: number[] = FUNCTIONS.map(() => 0);
  guest: Guest;
  /** What the pool is made of besides hostile numbers. */
  #cookies: number[];
  #units: number[];
  #taken: Cookie | undefined;
  #joined: VirtualAdapter | undefined;
  #before: unknown;

  constructor(module: WebAssembly.Module, seed: number) {
    const { table } = this.world;
    this.module = module;
    this.random = new Random(seed);
    this.server = table.createPartition({ name: "server", memory: SERVER_PAGES * PAGE });
    this.other = table.createPartition({ name: "other", memory: OTHER_PAGES * PAGE });
    this.client = table.createPartition({ name: "guest", memory: GUEST_PAGES * PAGE });
    this.server.write(0, secretPages(SERVER_PAGES));
    this.other.write(0, secretPages(OTHER_PAGES));
    this.server.fill(BOTH * PAGE, 2 * PAGE, 0x11);
    this.server.fill(QUEUE * PAGE, 2 * PAGE, 0x22);
    const far = join(this.world, this.server, this.other);
    const others = [OTHERS_GRANT, OTHERS_MAPPING].map((page) =>
      this.server.grant({ to: far, address: page * PAGE, length: PAGE }),
    );
    this.other.accept(others[1] as Cookie);
    this.#cookies = [...others];
    this.#units = [far.unitAddress, far.peer.unitAddress];
    this.guest = this.#begin();
    this.#before = this.#between();
  }

  /** Joins the guest to both, grants it what it may have, and opens it. */
  #begin(): Guest {
    const { server, other, client } = this;
    const adapter = join(this.world, server, client, 50);
    const second = join(this.world, other, client, 50);
    // The queue of an adapter that has ended is there until it is freed.
    if (this.#joined !== undefined) server.freeQueue(this.#joined);
    this.#joined = adapter;
    server.registerQueue(adapter, QUEUE * PAGE, PAGE);
    for (const [page, rights] of [
      [BOTH, {}],
      [READABLE, { write: false }],
      [WRITABLE, { read: false }],
    ] as const) {
      const cookie = server.grant({ to: adapter, address: page * PAGE, length: PAGE, ...rights });
      client.accept(cookie);
      this.#cookies.push(cookie);
    }
    this.#taken = undefined;
    for (const { unitAddress, peer } of [adapter, second]) this.#units.push(unitAddress, peer.unitAddress);
    this.#units = this.#units.slice(-8);
    const guest = openGuest(client, this.module);
    guest.call("seed", this.random.next());
    guest.call("secrets", SECRET_A | 0, SECRET_B | 0);
    return guest;
  }

  get memory(): Uint8Array {
    return new Uint8Array((this.guest.memory as WebAssembly.Memory).buffer);
  }

  /** What the server does meanwhile: it takes a page back by force that the guest may have accepted, and grants it anew. */
  async #meanwhile(): Promise<void> {
    const { server, client } = this;
    const adapter = server.adapters.find(({ partner }) => partner === client);
    if (adapter === undefined) throw new Error("the guest has lost its adapter");
    if (this.#taken !== undefined) await server.rescindForced(this.#taken);
    this.#taken = server.grant({ to: adapter, address: TAKEN * PAGE, length: PAGE });
    this.#cookies = [...this.#cookies, this.#taken].slice(-6);
    while (server.receive(adapter) !== undefined);
    try {
      server.send(adapter, Uint8Array.of(0x80, ...new Array(15).fill(this.random.next() & 0xff)));
    } catch {
      // It has no queue now, or one that is full.
    }
  }

  /** As fuzz.as reads it. */
  #fillPool(): void {
    const data = new DataView(this.memory.buffer);
    const { random } = this;
    const pick = (list: readonly number[]): number => list[random.below(list.length)] as number;
    for (let place = 0; place < 64; place++) {
      const value = pick(place < 16 ? this.#cookies : place < 32 ? this.#units : HOSTILE);
      data.setFloat64(POOL + 8 * place, value, true);
    }
  }

  /** Grants and accesses that the guest has no part in. */
  #between(): unknown {
    const { server, other, client } = this;
    const grants = this.world.table.inspect().partitions.flatMap((partition) => partition.grants);
    const strangers = grants.filter(({ from, to }) => from !== client.lpid && to !== client.lpid);
    const adapters = server.adapters.filter(({ partner }) => partner === other).length;
    const pages = [server.usage().pagesOwned, other.usage().pagesOwned, other.usage().pagesMapped];
    return [strangers, adapters, pages, other.translate(OTHER_PAGES * PAGE)];
  }

  async round(index: number): Promise<void> {
    await this.#meanwhile();
    this.#fillPool();
    this.guest.call("run", CALLS_PER_ROUND);
    this.check(index % COMPARE_EVERY === 0);
    if (index % FAIL_EVERY === FAIL_EVERY - 1) await this.#restart();
  }

  async #restart(): Promise<void> {
    const { table } = this.world;
    this.#count();
    table.fail(this.client, "its host had enough");
    await table.recovered(this.client);
    table.restart(this.client);
    if (!this.client.read(0, GUEST_PAGES * PAGE).every((byte) => byte === 0))
      throw new Error("a new incarnation finds something of the old one");
    this.guest = this.#begin();
    this.check(true);
  }

  #count(): void {
    const counts = new Uint32Array(this.memory.slice(COUNTS, COUNTS + 4 * FUNCTIONS.length).buffer);
    counts.forEach((count, index) => {
      this.successes[index] = (this.successes[index] as number) + count;
    });
  }

  /** @throws Error for anything that the guest should not have seen or changed. */
  check(everything: boolean): void {
    const { guest, client, server, other } = this;
    const known = guest.isRunning ? Number(guest.call("leaks")) : 0;
    if (known > 0) throw new Error(`${known} words of others were answered to the guest`);
    if (holdsSecret(this.memory)) throw new Error("the guest's memory holds what it must not read");
    if (holdsSecret(client.read(0, GUEST_PAGES * PAGE)))
      throw new Error("the guest's partition holds a secret");
    if (!everything) return;
    const kept = Buffer.from(server.read(0, SERVER_PAGES * PAGE));
    for (let page = 0; page < SERVER_PAGES; page++) {
      if ([BOTH, WRITABLE, QUEUE, TAKEN].includes(page)) continue;
      const is = kept.subarray(page * PAGE, (page + 1) * PAGE);
      const was = page === READABLE ? SHARED_PAGE : secretPages(1);
      if (!is.equals(was)) throw new Error(`page ${page} of the server was changed`);
    }
    if (!Buffer.from(other.read(0, OTHER_PAGES * PAGE)).equals(secretPages(OTHER_PAGES)))
      throw new Error("the other partition's memory was changed");
    expect(this.#between()).toEqual(this.#before);
    expect(this.world.table.audit().problems).toEqual([]);
  }

  finish(): void {
    this.#count();
    this.check(true);
  }
}

const module = compileGuest(await compileFile("fuzz.as"), { maxPages: 2 });

test(`WG2, WG3, G2: ${CALLS} random calls of a hostile guest read and change nothing of others`, {
  timeout: 0,
}, async () => {
  const start = performance.now();
  const world = new HostileWorld(module, SEED);
  const rounds = Math.ceil(CALLS / CALLS_PER_ROUND);
  try {
    for (let index = 0; index < rounds; index++) await world.round(index);
    world.finish();
  } catch (error) {
    throw new Error(`seed ${SEED}`, { cause: error });
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const counts = FUNCTIONS.map((name, index) => `${name} ${world.successes[index]}`).join(", ");
  console.log(`guest: ${rounds * CALLS_PER_ROUND} calls in ${seconds} s, seed ${SEED}; successes: ${counts}`);
  // It must have been let do what it may, or it proves nothing; in this thread nobody may wait.
  const never = FUNCTIONS.filter((_, index) => world.successes[index] === 0);
  if (CALLS >= 100_000) expect(never).toEqual(["wait"]);
});

test("the check sees a guest that acts as another partition, one byte that is changed, and one word that is read", () => {
  const world = new HostileWorld(module, 1);
  world.check(true);
  const wrong = openGuest(world.server, module);
  wrong.call("seed", 7);
  const data = new DataView((wrong.memory as WebAssembly.Memory).buffer);
  for (let place = 0; place < 80; place++) data.setFloat64(POOL + 8 * place, PAGE * (place % 32), true);
  wrong.call("run", 500);
  expect(() => world.check(true)).toThrow(/page \d+ of the server was changed/);
  world.server.write(0, secretPages(SERVER_PAGES));
  world.server.fill(READABLE * PAGE, PAGE, 0x11);
  world.check(true);
  world.other.fill(5 * PAGE + 17, 1, 0);
  expect(() => world.check(true)).toThrow("the other partition's memory was changed");
  world.other.fill(5 * PAGE + 17, 1, SECRET[17 % 8] as number);
  world.check(true);
  world.memory.set(SECRET.subarray(0, 4), 9999);
  expect(() => world.check(false)).toThrow("the guest's memory holds what it must not read");
  expect(world.guest.call("leaks")).toBe(H_SUCCESS);
});
