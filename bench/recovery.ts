/**
 * Suite recovery: a partition with many grants fails. A dead client holds mappings of a server's page, which are returned
 * on its behalf; a dead server has granted, which is rescinded by force. From fail() until recovered() resolves.
 */
import { hcalls } from "../src/hcall.js";
import { type Partition, ResourceTable } from "../src/index.js";
import { H_PARAMETER, PAGE_BYTES, TYPE_MEMORY } from "../src/layout.js";
import { MapTable, type RawCalls } from "./map-table.js";
import { inAsyncRuns, inRuns, type Timed, watchTurns } from "./measure.js";
import { ParameterError } from "./parameter-error.js";
import type { Parameters } from "./parameters.js";
import { Random } from "./random.js";
import { type Contender, type Context, type Scenario, type Stage, timesNative } from "./suite.js";
import { must } from "./worlds.js";

type Role = "client" | "server";

/** Beyond, a Map of objects only takes time to build. */
const MAP_GRANTS_MAX = 100_000;
/** Of all partitions: a page of a space takes eight bytes. */
const SPACES_PAGES_MAX: number = 2 ** 27;
/** Of the server, so that freeing its memory costs nothing beside the grants. */
const SERVER_PAGES = 16;

/** How the partition dies. */
export interface Death {
  /**
   * Before each death, while it does not count: before the grants are made, so that what the one that dies has was in use just now,
   * as it was in C.
   */
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
  /** Partners of the one that dies, who have an equal share of the grants. */
  readonly partners?: number;
}

/** The one that dies, its partners, and who may grant to whom by which unit address. */
interface Parties {
  readonly calls: RawCalls;
  readonly role: Role;
  readonly dead: number;
  readonly partners: readonly number[];
}

/** Grants one page many times over, and accepts it. Grant i is between the dead one and partner i modulo their number. */
class Holdings {
  readonly #parties: Parties;
  readonly #size: Size;
  readonly #order: Uint32Array;
  readonly #cookies: Float64Array;

  constructor(parties: Parties, size: Size) {
    this.#parties = parties;
    this.#size = size;
    this.#order = new Random(size.seed).shuffled(size.grants);
    this.#cookies = new Float64Array(size.grants);
  }

  #partner(i: number): number {
    const { partners } = this.#parties;
    return partners[i % partners.length] as number;
  }

  #server(i: number): number {
    return this.#parties.role === "client" ? this.#partner(i) : this.#parties.dead;
  }

  #client(i: number): number {
    return this.#parties.role === "client" ? this.#parties.dead : this.#partner(i);
  }

  #grantAll(units: readonly number[]): void {
    const { calls } = this.#parties;
    for (let i = 0; i < this.#size.grants; i++) {
      const unit = units[i % units.length] as number;
      must(calls.grantLogical(this.#server(i), TYPE_MEMORY, 0, 0, PAGE_BYTES, unit));
      this.#cookies[i] = calls.r4;
    }
  }

  /** @param units of each partner, as its server names it, or as the server names it. */
  build(units: readonly number[]): void {
    const { calls } = this.#parties;
    const { isScattered, grants } = this.#size;
    if (isScattered) {
      // Leaves the free slots in random order.
      this.#grantAll(units);
      for (const i of this.#order) must(calls.rescindLogical(this.#server(i), 0, this.#cookies[i] as number));
    }
    this.#grantAll(units);
    for (let at = 0; at < grants; at++) {
      const i = isScattered ? (this.#order[at] as number) : at;
      must(calls.acceptLogical(this.#client(i), this.#cookies[i] as number));
    }
  }

  /** The clients of a dead server return what was rescinded. */
  clear(): void {
    if (this.#size.role === "client") return;
    for (let i = this.#size.grants - 1; i >= 0; i--) {
      must(this.#parties.calls.returnLogical(this.#client(i), this.#cookies[i] as number));
    }
  }

  /** How many old cookies have no power. */
  stale(): number {
    let stale = 0;
    for (const [i, cookie] of this.#cookies.entries()) {
      if (this.#parties.calls.acceptLogical(this.#client(i), cookie) === H_PARAMETER) stale++;
    }
    return stale;
  }
}

interface Usage {
  readonly mapped: number;
  readonly grantsIn: number;
  readonly rescinded: number;
}

function sumUsage(usages: readonly Usage[]): Usage {
  const sum = (of: (usage: Usage) => number): number => usages.reduce((all, usage) => all + of(usage), 0);
  return {
    mapped: sum(({ mapped }) => mapped),
    grantsIn: sum(({ grantsIn }) => grantsIn),
    rescinded: sum(({ rescinded }) => rescinded),
  };
}

function describe(clients: readonly Usage[], out: number, stale: number): string {
  const { mapped, grantsIn, rescinded } = sumUsage(clients);
  return `mapped ${mapped}, in ${grantsIn}, out ${out}, rescinded ${rescinded}, stale ${stale}`;
}

function ours(
  table: ResourceTable,
  dead: Partition,
  partners: readonly Partition[],
  size: Size,
  death: Death,
): Contender {
  const calls = hcalls(table);
  const { role } = size;
  const lpids = partners.map(({ lpid }) => lpid);
  const holdings = new Holdings({ calls, role, dead: dead.lpid, partners: lpids }, size);
  const servers = role === "client" ? partners : [dead];
  const clients = role === "client" ? [dead] : partners;
  const start = async (): Promise<void> => {
    await death.prepare(table, dead);
    // The adapters end with the one that dies.
    const adapters = partners.map((partner) =>
      role === "client" ? table.connect(partner, dead) : table.connect(dead, partner),
    );
    holdings.build(adapters.map(({ unitAddress }) => unitAddress));
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
      const usages = clients.map((client) => {
        const { pagesMapped, grantsIn, rescinded } = client.usage();
        return { mapped: pagesMapped, grantsIn, rescinded };
      });
      const out = servers.reduce((sum, server) => sum + server.usage().grantsOut, 0);
      holdings.clear();
      table.restart(dead);
      return describe(usages, out, holdings.stale());
    },
  };
}

function withMap(size: Size): Contender {
  const { role, grants, partners: count = 1 } = size;
  const table = new MapTable(grants + 16);
  const isClient = role === "client";
  const dead = table.createPartition(isClient ? 0 : SERVER_PAGES, grants + SERVER_PAGES);
  const partners = Array.from({ length: count }, () =>
    table.createPartition(isClient ? SERVER_PAGES : 0, grants + SERVER_PAGES),
  );
  const units = partners.map((partner) =>
    isClient ? table.connect(partner, dead, grants + 16) : table.connect(dead, partner, grants + 16),
  );
  const holdings = new Holdings({ calls: table, role, dead, partners }, size);
  return {
    measure: inRuns(grants, () => {
      holdings.build(units);
      const start = performance.now();
      table.fail(dead);
      const ms = performance.now() - start;
      holdings.clear();
      table.restart(dead);
      return { ms };
    }),
    check: async () => {
      holdings.build(units);
      table.fail(dead);
      const usages = (isClient ? [dead] : partners).map((client) => table.usage(client));
      holdings.clear();
      table.restart(dead);
      // All grants go from servers to clients.
      return describe(usages, sumUsage(usages).grantsIn, holdings.stale());
    },
  };
}

/** A table with one partition that will die, and its partners. */
function openTable({ role, grants, partners: count = 1 }: Size): {
  readonly table: ResourceTable;
  readonly dead: Partition;
  readonly partners: readonly Partition[];
} {
  const servers = role === "client" ? count : 1;
  const table = ResourceTable.create({
    memory: servers * SERVER_PAGES * PAGE_BYTES,
    partitions: count + 1,
    adapters: count + 1,
    grants: grants + 16 + servers,
    logicalSpace: (grants + SERVER_PAGES) * PAGE_BYTES,
    spaces: { mmio: PAGE_BYTES, dma: PAGE_BYTES, interrupt: 1, ipi: 1 },
    staging: PAGE_BYTES,
    gracePeriodMs: 0,
  });
  const memory = SERVER_PAGES * PAGE_BYTES;
  const dead = table.createPartition({ name: "dead", memory: role === "server" ? memory : 0 });
  const partners = Array.from({ length: count }, (_, index) =>
    table.createPartition({ name: `partner ${index}`, memory: role === "client" ? memory : 0 }),
  );
  return { table, dead, partners };
}

export async function openRecovery(
  name: string,
  size: Size,
  { native }: Context,
  death: Death = BY_CALL,
): Promise<Stage> {
  const { table, dead, partners } = openTable(size);
  const { role, isScattered, grants, seed } = size;
  const words = [role, isScattered ? 1 : 0, grants, partners.length, seed] as const;
  const nativeContender = await native?.setUp("recovery", ...words);
  return {
    ways: [
      {
        what: name,
        contender: ours(table, dead, partners, size, death),
        target: timesNative(2, 1.2, 1),
        at: { pages: grants, partitions: partners.length + 1 },
      },
    ],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      ...(grants <= MAP_GRANTS_MAX ? { map: withMap(size) } : {}),
    },
    audit: () => table.audit().problems,
    close: async () => {
      await nativeContender?.close();
      await table.close();
    },
  };
}

/** @throws ParameterError when the tables of so many partitions, each with room for all grants, do not fit. */
export function recoveryScenarios(quick: boolean, { pages, partitions }: Parameters): readonly Scenario[] {
  const sizes = pages === undefined ? (quick ? [10_000] : [100_000, 1_000_000]) : [pages];
  const most = sizes[sizes.length - 1] as number;
  if (partitions !== undefined && partitions * most > SPACES_PAGES_MAX)
    throw new ParameterError(
      `the suite recovery has room for ${SPACES_PAGES_MAX} pages in all partitions together, but ${partitions} --partitions with ${most} --pages each are more`,
    );
  const kinds: readonly (readonly [role: Role, isScattered: boolean, grants: number])[] = sizes.flatMap(
    (grants) =>
      (["client", "server"] as const)
        // Of a million grants, that of a client shows the scale.
        .filter((role) => role === "client" || grants < 1_000_000)
        .flatMap((role) => (quick ? [true] : [false, true]).map((is) => [role, is, grants] as const)),
  );
  return kinds.map(([role, isScattered, grants]): Scenario => {
    const name = `dead ${role}, ${grants.toLocaleString("en-US")} ${grants === 1 ? "grant" : "grants"}${isScattered ? " scattered" : ""}`;
    const partners = (partitions ?? 2) - 1;
    return {
      name,
      ...(grants > MAP_GRANTS_MAX ? { repetitionsMax: 5 } : {}),
      open: ({ seed, ...context }) =>
        openRecovery(name, { role, isScattered, grants, seed, partners }, { seed, ...context }),
    };
  });
}
