/**
 * Suite grant: the cycle of a grant. Many grants live; each cycle takes one of them, at random or as a distribution has it,
 * returns and rescinds it, grants the same pages again and accepts. Through objects, raw, and in batches of raw requests.
 */
import type { Hcalls, RequestBatch } from "../src/hcall.js";
import { H_PARAMETER, PAGE_BYTES, REQUEST_BYTES, TYPE_MEMORY } from "../src/layout.js";
import {
  type Cycles,
  cyclesOfCalls,
  cyclesOfObjects,
  fill,
  type RawRoute,
  rangeOf,
  type Size,
} from "./cycles.js";
import type { Distribution } from "./distribution.js";
import { structureFootprint } from "./footprint.js";
import { MapTable, type RawCalls } from "./map-table.js";
import { inBlocks } from "./measure.js";
import type { Native, NativeContender } from "./native.js";
import { openPages, takePages } from "./page-stream.js";
import type { Parameters } from "./parameters.js";
import { Random } from "./random.js";
import {
  type Contender,
  type Context,
  type Scenario,
  type Stage,
  type Target,
  timesNative,
  type Way,
} from "./suite.js";
import { joinAll, must, openWorld, PlainCalls, type World } from "./worlds.js";

/** Cycles of one block. */
const BLOCK = 250;
/** Of the server, so that a million grants need no gigabytes of memory. */
const SERVER_PAGES_MAX = 2 ** 16;
/** Beyond, objects and Maps of objects only take time to build. */
const OBJECTS_MAX = 100_000;

/** One implementation. */
interface Cycler extends Cycles {
  readonly calls: RawCalls;
  readonly route: RawRoute;
}

/** Grants in the order in which the cycles take them, again and again. */
export interface Order {
  /** A block may begin anywhere in the first `length`: the first ones come again at the end. */
  readonly grants: Uint32Array;
  readonly length: number;
  /** Cycles of one block: whole batches. */
  readonly block: number;
  readonly isDrawn: boolean;
}

function toOrder(once: Uint32Array, isDrawn: boolean, batch: number): Order {
  const block = Math.ceil(BLOCK / batch) * batch;
  const grants = Uint32Array.from({ length: once.length + block }, (_, i) => once[i % once.length] as number);
  return { grants, length: once.length, block, isDrawn };
}

/** Each grant once, at random. */
export function drawOrder({ live, seed }: Size, batch: number = BLOCK): Order {
  return toOrder(new Random(seed).shuffled(live), true, batch);
}

async function orderOf(size: Size, dist: Distribution | undefined, batch: number): Promise<Order> {
  if (dist === undefined) return drawOrder(size, batch);
  const stream = await openPages(dist, size.live, size.seed);
  return toOrder(takePages(stream, Math.max(size.live, 2 ** 14)), false, batch);
}

export function contender(
  cycler: Cycler,
  usage: () => readonly [number, number],
  size: Size,
  { grants, length, block, isDrawn }: Order = drawOrder(size),
): Contender {
  const { calls, route } = cycler;
  let position = 0;
  return {
    measure: inBlocks(block, () => {
      cycler.cycles(grants, position, block);
      position = (position + block) % length;
    }),
    operation: () => {
      cycler.cycles(grants, position, 1);
      position = (position + 1) % length;
    },
    check: async () => {
      let addresses = 0;
      let stale = 0;
      for (let from = 0; from < length; from += block) {
        const now = grants.subarray(from, Math.min(from + block, length));
        const old = Array.from(now, (k) => [k, cycler.cookie(k)] as const);
        addresses += cycler.cycles(grants, from, now.length);
        for (const [k, cookie] of old) {
          const client = route.clients[k % route.clients.length] as number;
          if (calls.acceptLogical(client, cookie) === H_PARAMETER) stale++;
        }
      }
      const frames = sumFrames(cycler, size);
      const [mapped, count] = usage();
      // Batches deal the addresses out in another order: only where each grant has its turn once are they the same in all.
      return `addresses ${isDrawn ? addresses : 0}, stale ${stale}, frames ${frames}, mapped ${mapped}, grants ${count}`;
    },
  };
}

/** Where all pages of all clients lead. */
function sumFrames({ calls, route: { clients } }: Cycler, { live, pages }: Size): number {
  let frames = 0;
  for (const [index, client] of clients.entries()) {
    const count = Math.ceil((live - index) / clients.length) * pages;
    for (let page = 0; page < count; page++) {
      must(calls.translate(client, TYPE_MEMORY, page * PAGE_BYTES, 1, 2));
      frames = (frames + calls.r4 / PAGE_BYTES) >>> 0;
    }
  }
  return frames;
}

// ---------------------------------------------------------------- ours

interface GrantsOptions {
  /** Another core than the package's own. */
  readonly module?: WebAssembly.Module;
  readonly clients?: number;
  /** Cycles of one batch. */
  readonly batch?: number;
}

export function openGrants(size: Size, options: GrantsOptions = {}): World {
  const { module, clients = 1, batch = BLOCK } = options;
  const { live, pages, ranges = live } = size;
  const mapped = Math.ceil(live / clients) * pages;
  return openWorld({
    serverPages: ranges * pages,
    grants: live * 2 + 16,
    spacePages: Math.max(mapped * 2, ranges * pages),
    partitions: clients + 1,
    stagingPages: Math.ceil((batch * 3 * REQUEST_BYTES) / PAGE_BYTES) + 1,
    ...(module === undefined ? {} : { module }),
  });
}

export function usageOf({ clients }: World): () => readonly [number, number] {
  return () => {
    const usages = clients.map((client) => client.usage());
    return [
      usages.reduce((sum, { pagesMapped }) => sum + pagesMapped, 0),
      usages.reduce((sum, { grantsIn }) => sum + grantsIn, 0),
    ];
  };
}

/** The way from the world's server to its clients. */
export function routeOf(world: World): RawRoute {
  return {
    server: world.server.lpid,
    clients: world.clients.map(({ lpid }) => lpid),
    units: joinAll(world).map(({ unitAddress }) => unitAddress),
  };
}

function throughObjects(world: World, size: Size, order: Order): Contender {
  const { server, clients } = world;
  const calls = new PlainCalls(world);
  const units = joinAll(world);
  const cycles = cyclesOfObjects({ server, clients, units }, size);
  const route = {
    server: server.lpid,
    clients: clients.map(({ lpid }) => lpid),
    units: units.map(({ unitAddress }) => unitAddress),
  };
  return contender({ calls, route, ...cycles }, usageOf(world), size, order);
}

export function throughRaw(world: World, size: Size, order?: Order): Contender {
  const { h } = world;
  const route = routeOf(world);
  return contender({ calls: h, route, ...cyclesOfCalls(h, route, size) }, usageOf(world), size, order);
}

/**
 * Two crossings for a batch: in the first its grants are returned, rescinded and made again, in the second, which needs the
 * new cookies, they are accepted. What fills the requests and reads the cookies and addresses counts. A grant that comes twice begins a
 * new batch.
 */
export function throughBatches(world: World, size: Size, order: Order, each: number): Contender {
  const h: Hcalls = world.h;
  const calls = new PlainCalls(world);
  const route = routeOf(world);
  const { server, clients, units } = route;
  const range = rangeOf(size);
  const length = size.pages * PAGE_BYTES;
  const cookies = fill(calls, route, size);
  const requests: RequestBatch = h.createRequests(each * 3);
  const lastBatch = new Uint32Array(size.live);
  let batch = 0;

  /** Carries out so many, all of which must succeed. */
  const runAll = (count: number): void => {
    if (requests.run(count) === count) return;
    for (let i = 0; i < count; i++) must(requests.status(i));
  };
  const run = (grants: Uint32Array, from: number, count: number): number => {
    runAll(count * 3);
    for (let i = 0; i < count; i++) cookies[grants[from + i] as number] = requests.result(i * 3 + 2);
    for (let i = 0; i < count; i++) {
      const k = grants[from + i] as number;
      requests.accept(i, clients[k % clients.length] as number, cookies[k] as number);
    }
    runAll(count);
    let sum = 0;
    for (let i = 0; i < count; i++) sum += requests.result(i);
    return sum;
  };
  const cycles = (grants: Uint32Array, from: number, count: number): number => {
    let sum = 0;
    let start = from;
    batch++;
    for (let i = from; i < from + count; i++) {
      const k = grants[i] as number;
      if (i - start === each || lastBatch[k] === batch) {
        sum += run(grants, start, i - start);
        start = i;
        batch++;
      }
      lastBatch[k] = batch;
      const [at, to] = [(i - start) * 3, k % clients.length];
      requests.return(at, clients[to] as number, cookies[k] as number);
      requests.rescind(at + 1, server, 0, cookies[k] as number);
      requests.grant(at + 2, server, TYPE_MEMORY, 0, range(k), length, units[to] as number);
    }
    sum += run(grants, start, from + count - start);
    return sum;
  };
  const cookie = (k: number): number => cookies[k] as number;
  const { measure, check } = contender({ calls, route, cycles, cookie }, usageOf(world), size, order);
  return { measure, check };
}

// ---------------------------------------------------------------- the Map of objects

function throughMap(size: Size, order: Order, clientCount: number): Contender {
  const { live, pages, ranges = live } = size;
  const table = new MapTable(live * 2);
  const server = table.createPartition(ranges * pages, ranges * pages);
  const mapped = Math.ceil(live / clientCount) * pages;
  const clients = Array.from({ length: clientCount }, () => table.createPartition(0, mapped * 2));
  const units = clients.map((client) => table.connect(server, client, live * 2));
  const route: RawRoute = { server, clients, units };
  // A loop of its own class: shared with ours, it would be slower for both.
  const range = rangeOf(size);
  const length = pages * PAGE_BYTES;
  const cookies = fill(table, route, size);
  const cycles = (grants: Uint32Array, from: number, count: number): number => {
    let sum = 0;
    let status = 0;
    for (let i = from; i < from + count; i++) {
      const k = grants[i] as number;
      const to = k % clients.length;
      const client = clients[to] as number;
      status |= table.returnLogical(client, cookies[k] as number);
      status |= table.rescindLogical(server, 0, cookies[k] as number);
      status |= table.grantLogical(server, TYPE_MEMORY, 0, range(k), length, units[to] as number);
      const cookie = table.r4;
      status |= table.acceptLogical(client, cookie);
      cookies[k] = cookie;
      sum += table.r4;
    }
    must(status);
    return sum;
  };
  const usage = (): readonly [number, number] => {
    const usages = clients.map((client) => table.usage(client));
    return [
      usages.reduce((sum, { mapped: count }) => sum + count, 0),
      usages.reduce((sum, { grantsIn }) => sum + grantsIn, 0),
    ];
  };
  const cookie = (k: number): number => cookies[k] as number;
  return contender({ calls: table, route, cycles, cookie }, usage, size, order);
}

// ---------------------------------------------------------------- scenarios

interface Targets {
  readonly objects?: Target;
  readonly raw?: Target;
  readonly batch?: Target;
}

interface Plan {
  readonly name: string;
  readonly live: number;
  readonly pages: number;
  readonly targets: Targets;
  readonly hasObjects: boolean;
  /** Whether what a grant takes is said. */
  readonly hasFootprint: boolean;
}

async function setUpNative(
  native: Native | undefined,
  size: Size,
  clients: number,
  order: Order,
): Promise<NativeContender | undefined> {
  const { live, pages, seed, ranges = live } = size;
  if (!order.isDrawn) await native?.load(order.grants.subarray(0, order.length));
  const how = order.isDrawn ? "drawn" : "loaded";
  return native?.setUp("grant", live, pages, ranges, clients, order.length, seed, how);
}

async function openStage(plan: Plan, parameters: Parameters, { native, seed }: Context): Promise<Stage> {
  const { name, live, pages, targets } = plan;
  const { batch = BLOCK, dist } = parameters;
  const clients = (parameters.partitions ?? 2) - 1;
  const size = { live, pages, seed, ranges: Math.min(live, SERVER_PAGES_MAX / pages) };
  const order = await orderOf(size, dist, batch);
  const worlds: World[] = [];
  const open = (): World => {
    const world = openGrants(size, { clients, batch });
    worlds.push(world);
    return world;
  };
  const nativeContender = await setUpNative(native, size, clients, order);
  const way = (what: string, one: Contender, target: Target | undefined): Way => ({
    what: `${name}, ${what}`,
    contender: one,
    at: { pages: live, partitions: clients + 1 },
    ...(target === undefined ? {} : { target }),
  });
  const footprint = plan.hasFootprint ? await structureFootprint() : undefined;
  const batches = parameters.batch === undefined ? "batch" : `batch of ${batch}`;
  return {
    ways: [
      ...(plan.hasObjects ? [way("objects", throughObjects(open(), size, order), targets.objects)] : []),
      way("raw", throughRaw(open(), size, order), targets.raw),
      way(batches, throughBatches(open(), size, order, batch), targets.batch),
    ],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      ...(live > OBJECTS_MAX ? {} : { map: throughMap(size, order, clients) }),
    },
    notes: () => (footprint === undefined ? [] : [footprint.note]),
    audit: () => [...worlds.flatMap(({ table }) => table.audit().problems), ...(footprint?.problems ?? [])],
    close: async () => {
      await nativeContender?.close();
      for (const { table } of worlds) await table.close();
    },
  };
}

export function grantScenarios(quick: boolean, parameters: Parameters): readonly Scenario[] {
  const scenario = (
    live: number,
    pages: number,
    targets: Targets,
    more: Partial<Pick<Plan, "hasObjects" | "hasFootprint">> = {},
  ): Scenario => {
    const name = `${live} live, ${pages === 1 ? "1 page" : `${pages} pages`}`;
    const plan: Plan = { name, live, pages, targets, hasObjects: false, hasFootprint: false, ...more };
    return { name, open: (context) => openStage(plan, parameters, context) };
  };
  const { pages: given } = parameters;
  if (given !== undefined) return [scenario(given, 1, {}, { hasObjects: given <= OBJECTS_MAX })];
  const few = timesNative(3, 2);
  const long = timesNative(2, 1.3);
  const many = { raw: timesNative(1.3, 1), batch: timesNative(1.3, 1) };
  return [
    scenario(1000, 1, { objects: timesNative(6, 4), raw: few, batch: few }, { hasObjects: true }),
    scenario(quick ? 10_000 : 100_000, 1, many, { hasFootprint: quick }),
    ...(quick ? [] : [scenario(1_000_000, 1, many, { hasFootprint: true })]),
    scenario(1000, 16, { raw: long, batch: long }),
  ];
}
