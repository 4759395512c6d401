/**
 * Suite recovery: a partition with many grants fails. A dead client holds mappings of a server's page, which are returned
 * on its behalf; a dead server has granted, which is rescinded by force. From fail() until recovered() resolves.
 */
import type { Partition, ResourceTable } from "../src/index.js";
import { H_PARAMETER, PAGE_BYTES, TYPE_MEMORY } from "../src/layout.js";
import { MapTable, type RawCalls } from "./map-table.js";
import { inAsyncRuns, inRuns, type Timed, watchTurns } from "./measure.js";
import { Random } from "./random.js";
import { type Contender, type Context, type Scenario, type Stage, timesNative } from "./suite.js";
import { clientOf, joinFirst, must, openWorld, type World } from "./worlds.js";

type Role = "client" | "server";

/** Beyond, a Map of objects only takes time to build. */
const MAP_GRANTS_MAX = 100_000;
/** Of the server, so that freeing its memory costs nothing beside the grants. */
const SERVER_PAGES = 16;

/** How the partition dies. */
export interface Death {
  /** Before each death, while it does not count. */
  prepare(table: ResourceTable, partition: Partition): Promise<void>;
  /** Resolves when the partition is recovered, with what counts. */
  happen(table: ResourceTable, partition: Partition): Promise<Required<Timed>>;
}

const BY_CALL: Death = {
  prepare: async () => {},
  happen: (table, partition) =>
    watchTurns(() => {
      table.fail(partition);
      return table.recovered(partition);
    }),
};

export interface Size {
  readonly role: Role;
  readonly isScattered: boolean;
  readonly grants: number;
  readonly seed: number;
}

/** Grants one page many times over, and accepts it. */
class Holdings {
  readonly #calls: RawCalls;
  readonly #server: number;
  readonly #client: number;
  readonly #size: Size;
  readonly #order: Uint32Array;
  readonly #cookies: Float64Array;

  constructor(calls: RawCalls, server: number, client: number, size: Size) {
    this.#calls = calls;
    this.#server = server;
    this.#client = client;
    this.#size = size;
    this.#order = new Random(size.seed).shuffled(size.grants);
    this.#cookies = new Float64Array(size.grants);
  }

  #grantAll(unit: number): void {
    const calls = this.#calls;
    for (let i = 0; i < this.#size.grants; i++) {
      must(calls.grantLogical(this.#server, TYPE_MEMORY, 0, 0, PAGE_BYTES, unit));
      this.#cookies[i] = calls.r4;
    }
  }

  build(unit: number): void {
    const { isScattered, grants } = this.#size;
    if (isScattered) {
      // Leaves the free slots in random order.
      this.#grantAll(unit);
      for (const i of this.#order)
        must(this.#calls.rescindLogical(this.#server, 0, this.#cookies[i] as number));
    }
    this.#grantAll(unit);
    for (let i = 0; i < grants; i++) {
      const cookie = this.#cookies[isScattered ? (this.#order[i] as number) : i] as number;
      must(this.#calls.acceptLogical(this.#client, cookie));
    }
  }

  /** The client of a dead server returns what was rescinded. */
  clear(): void {
    if (this.#size.role === "client") return;
    for (let i = this.#size.grants - 1; i >= 0; i--) {
      must(this.#calls.returnLogical(this.#client, this.#cookies[i] as number));
    }
  }

  /** How many old cookies have no power. */
  stale(): number {
    let stale = 0;
    for (const cookie of this.#cookies) {
      if (this.#calls.acceptLogical(this.#client, cookie) === H_PARAMETER) stale++;
    }
    return stale;
  }
}

function ours(world: World, size: Size, death: Death): Contender {
  const { table, h, server } = world;
  const client = clientOf(world);
  const dead = size.role === "client" ? client : server;
  const holdings = new Holdings(h, server.lpid, client.lpid, size);
  const start = async (): Promise<void> => {
    holdings.build(joinFirst(world).unitAddress);
    await death.prepare(table, dead);
  };
  return {
    measure: inAsyncRuns(size.grants, async () => {
      await start();
      const timed = await death.happen(table, dead);
      holdings.clear();
      table.restart(dead);
      return timed;
    }),
    check: async () => {
      await start();
      await death.happen(table, dead);
      const { pagesMapped, grantsIn, rescinded } = client.usage();
      const { grantsOut } = server.usage();
      holdings.clear();
      table.restart(dead);
      return `mapped ${pagesMapped}, in ${grantsIn}, out ${grantsOut}, rescinded ${rescinded}, stale ${holdings.stale()}`;
    },
  };
}

function withMap(size: Size): Contender {
  const table = new MapTable(size.grants + 16);
  const server = table.createPartition(SERVER_PAGES, size.grants + 16);
  const client = table.createPartition(0, size.grants + 16);
  const unit = table.connect(server, client, size.grants + 16);
  const dead = size.role === "client" ? client : server;
  const holdings = new Holdings(table, server, client, size);
  return {
    measure: inRuns(size.grants, () => {
      holdings.build(unit);
      const start = performance.now();
      table.fail(dead);
      const ms = performance.now() - start;
      holdings.clear();
      table.restart(dead);
      return { ms };
    }),
    check: async () => {
      holdings.build(unit);
      table.fail(dead);
      const { mapped, grantsIn, rescinded } = table.usage(client);
      holdings.clear();
      table.restart(dead);
      // All grants go from the server to the client.
      return `mapped ${mapped}, in ${grantsIn}, out ${grantsIn}, rescinded ${rescinded}, stale ${holdings.stale()}`;
    },
  };
}

export async function openRecovery(
  name: string,
  size: Size,
  { native }: Context,
  death: Death = BY_CALL,
): Promise<Stage> {
  const world = openWorld({
    serverPages: SERVER_PAGES,
    grants: size.grants + 16,
    spacePages: size.grants + SERVER_PAGES,
    partitions: 2,
  });
  const { role, isScattered, grants, seed } = size;
  const nativeContender = await native?.setUp("recovery", role, isScattered ? 1 : 0, grants, seed);
  return {
    ways: [{ what: name, contender: ours(world, size, death), target: timesNative(2, 1.2, 1) }],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      ...(grants <= MAP_GRANTS_MAX ? { map: withMap(size) } : {}),
    },
    audit: () => world.table.audit().problems,
    close: async () => {
      await nativeContender?.close();
      await world.table.close();
    },
  };
}

export function recoveryScenarios(quick: boolean): readonly Scenario[] {
  const kinds: readonly (readonly [role: Role, isScattered: boolean, grants: number])[] = quick
    ? [
        ["client", true, 10_000],
        ["server", true, 10_000],
      ]
    : [
        ["client", false, 100_000],
        ["client", true, 100_000],
        ["server", false, 100_000],
        ["server", true, 100_000],
        ["client", false, 1_000_000],
        ["client", true, 1_000_000],
      ];
  return kinds.map(([role, isScattered, grants]): Scenario => {
    const name = `dead ${role}, ${grants.toLocaleString("en-US")} grants${isScattered ? " scattered" : ""}`;
    return {
      name,
      ...(grants > MAP_GRANTS_MAX ? { repetitionsMax: 5 } : {}),
      open: (context) => openRecovery(name, { role, isScattered, grants, seed: context.seed }, context),
    };
  });
}
