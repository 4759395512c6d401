/**
 * Suite grant: the cycle of a grant. Many grants live; each cycle takes one of them in random order, returns and rescinds
 * it, grants the same pages again and accepts. Through objects, raw, and in batches of raw requests.
 */
import type { Hcalls, RequestBatch } from "../src/hcall.js";
import { H_PARAMETER, PAGE_BYTES, TYPE_MEMORY } from "../src/layout.js";
import { type Cycles, cyclesOfCalls, cyclesOfObjects, fill, type Size } from "./cycles.js";
import { MapTable, type RawCalls } from "./map-table.js";
import { inBlocks } from "./measure.js";
import { Random } from "./random.js";
import {
  type Contender,
  type Context,
  type Scenario,
  type Stage,
  type Target,
  timesNative,
} from "./suite.js";
import { clientOf, joinFirst, must, openWorld, type World } from "./worlds.js";

/** Cycles of one block; divides the numbers of live grants. */
const BLOCK = 250;

/** One implementation. */
interface Cycler extends Cycles {
  readonly calls: RawCalls;
  readonly server: number;
  readonly client: number;
}

export function contender(cycler: Cycler, usage: () => readonly [number, number], size: Size): Contender {
  const { live, pages, seed } = size;
  const order = new Random(seed).shuffled(live);
  let position = 0;
  return {
    measure: inBlocks(BLOCK, () => {
      cycler.cycles(order, position, BLOCK);
      position = (position + BLOCK) % live;
    }),
    check: async () => {
      let addresses = 0;
      let stale = 0;
      for (let from = 0; from < live; from += BLOCK) {
        const old = Array.from(order.subarray(from, from + BLOCK), (k) => cycler.cookie(k));
        addresses += cycler.cycles(order, from, BLOCK);
        for (const cookie of old) {
          if (cycler.calls.acceptLogical(cycler.client, cookie) === H_PARAMETER) stale++;
        }
      }
      let frames = 0;
      for (let page = 0; page < live * pages; page++) {
        must(cycler.calls.translate(cycler.client, TYPE_MEMORY, page * PAGE_BYTES, 1, 2));
        frames = (frames + cycler.calls.r4 / PAGE_BYTES) >>> 0;
      }
      const [mapped, grants] = usage();
      return `addresses ${addresses}, stale ${stale}, frames ${frames}, mapped ${mapped}, grants ${grants}`;
    },
  };
}

// ---------------------------------------------------------------- ours

/** @param module another core than the package's own. */
export function openGrants(size: Size, module?: WebAssembly.Module): World {
  const pages = size.live * size.pages;
  return openWorld({
    serverPages: pages,
    grants: size.live * 2 + 16,
    spacePages: pages * 2,
    partitions: 2,
    stagingPages: 16,
    ...(module === undefined ? {} : { module }),
  });
}

export function usageOf(world: World): () => readonly [number, number] {
  return () => {
    const { pagesMapped, grantsIn } = clientOf(world).usage();
    return [pagesMapped, grantsIn];
  };
}

function throughObjects(world: World, size: Size): Contender {
  const { server, h } = world;
  const client = clientOf(world);
  const cycles = cyclesOfObjects(server, client, joinFirst(world), size);
  return contender({ calls: h, server: server.lpid, client: client.lpid, ...cycles }, usageOf(world), size);
}

export function throughRaw(world: World, size: Size): Contender {
  const { h } = world;
  const server = world.server.lpid;
  const client = clientOf(world).lpid;
  const cycles = cyclesOfCalls(h, server, client, joinFirst(world).unitAddress, size);
  return contender({ calls: h, server, client, ...cycles }, usageOf(world), size);
}

/**
 * Two crossings for a block: in the first its grants are returned, rescinded and made again, in the second, which needs the
 * new cookies, they are accepted. What fills the requests and reads the answers counts.
 */
function throughBatches(world: World, size: Size): Contender {
  const h: Hcalls = world.h;
  const server = world.server.lpid;
  const client = clientOf(world).lpid;
  const unit = joinFirst(world).unitAddress;
  const length = size.pages * PAGE_BYTES;
  const cookies = fill(h, server, client, unit, size);
  const requests: RequestBatch = h.createRequests(BLOCK * 3);
  const cycles = (order: Uint32Array, from: number, count: number): number => {
    for (let i = 0; i < count; i++) {
      const k = order[from + i] as number;
      requests.return(i * 3, client, cookies[k] as number);
      requests.rescind(i * 3 + 1, server, 0, cookies[k] as number);
      requests.grant(i * 3 + 2, server, TYPE_MEMORY, 0, k * length, length, unit);
    }
    requests.run(count * 3);
    let status = 0;
    for (let i = 0; i < count; i++) {
      status |= requests.status(i * 3) | requests.status(i * 3 + 1) | requests.status(i * 3 + 2);
      cookies[order[from + i] as number] = requests.result(i * 3 + 2);
    }
    for (let i = 0; i < count; i++) requests.accept(i, client, cookies[order[from + i] as number] as number);
    requests.run(count);
    let sum = 0;
    for (let i = 0; i < count; i++) {
      status |= requests.status(i);
      sum += requests.result(i);
    }
    must(status);
    return sum;
  };
  const cookie = (k: number): number => cookies[k] as number;
  return contender({ calls: h, server, client, cycles, cookie }, usageOf(world), size);
}

// ---------------------------------------------------------------- the Map of objects

function throughMap(size: Size): Contender {
  const pages = size.live * size.pages;
  const table = new MapTable(size.live * 2);
  const server = table.createPartition(pages, pages * 2);
  const client = table.createPartition(0, pages * 2);
  const unit = table.connect(server, client, size.live * 2);
  const length = size.pages * PAGE_BYTES;
  const cookies = fill(table, server, client, unit, size);
  const cycles = (order: Uint32Array, from: number, count: number): number => {
    let sum = 0;
    let status = 0;
    for (let i = from; i < from + count; i++) {
      const k = order[i] as number;
      status |= table.returnLogical(client, cookies[k] as number);
      status |= table.rescindLogical(server, 0, cookies[k] as number);
      status |= table.grantLogical(server, TYPE_MEMORY, 0, k * length, length, unit);
      const cookie = table.r4;
      status |= table.acceptLogical(client, cookie);
      cookies[k] = cookie;
      sum += table.r4;
    }
    must(status);
    return sum;
  };
  const usage = (): readonly [number, number] => {
    const { mapped, grantsIn } = table.usage(client);
    return [mapped, grantsIn];
  };
  const cookie = (k: number): number => cookies[k] as number;
  return contender({ calls: table, server, client, cycles, cookie }, usage, size);
}

// ---------------------------------------------------------------- scenarios

interface Targets {
  readonly objects?: Target;
  readonly raw: Target;
  readonly batch: Target;
}

async function openStage(name: string, size: Size, targets: Targets, { native }: Context): Promise<Stage> {
  const worlds = [openGrants(size), openGrants(size), openGrants(size)] as const;
  const nativeContender = await native?.setUp("grant", size.live, size.pages, size.seed);
  return {
    ways: [
      {
        what: `${name}, objects`,
        contender: throughObjects(worlds[0], size),
        ...(targets.objects === undefined ? {} : { target: targets.objects }),
      },
      { what: `${name}, raw`, contender: throughRaw(worlds[1], size), target: targets.raw },
      { what: `${name}, batch`, contender: throughBatches(worlds[2], size), target: targets.batch },
    ],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      map: throughMap(size),
    },
    audit: () => worlds.flatMap(({ table }) => table.audit().problems),
    close: async () => {
      await nativeContender?.close();
      for (const { table } of worlds) await table.close();
    },
  };
}

function scenario(live: number, pages: number, targets: Targets): Scenario {
  const name = `${live} live, ${pages === 1 ? "1 page" : `${pages} pages`}`;
  return {
    name,
    open: (context) => openStage(name, { live, pages, seed: context.seed }, targets, context),
  };
}

export function grantScenarios(quick: boolean): readonly Scenario[] {
  const few = timesNative(3, 2);
  const long = timesNative(2, 1.3);
  return [
    scenario(1000, 1, { objects: timesNative(6, 4), raw: few, batch: few }),
    scenario(quick ? 10_000 : 100_000, 1, { raw: timesNative(1.3, 1), batch: timesNative(1.3, 1) }),
    scenario(1000, 16, { raw: long, batch: long }),
  ];
}
