/**
 * Suite churn: a program, recorded or drawn, uses pages of a server. A page that is not granted yet is granted and accepted,
 * and for it the one used least recently is returned and rescinded; then the use itself is a translation. Cost per event.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Mapping, Partition, VirtualAdapter } from "../src/index.js";
import { NEED_READ, NEED_WRITE, PAGE_BYTES, TYPE_MEMORY } from "../src/layout.js";
import { type Events, FAULT, NOBODY, nameOfTrace, PAGE_MASK, planEvents, WRITE } from "./churn-events.js";
import type { Distribution } from "./distribution.js";
import { MapTable, type RawCalls } from "./map-table.js";
import { inBlocks } from "./measure.js";
import { ParameterError } from "./parameter-error.js";
import type { Parameters } from "./parameters.js";
import { keep } from "./plain-pages.js";
import type { Contender, Context, Scenario, Stage } from "./suite.js";
import { TypedTable } from "./typed-table.js";
import { clientOf, joinFirst, must, openWorld, type World } from "./worlds.js";

const BLOCK = 1000;
/** Of a recorded program: so few that it goes on faulting. */
const TRACE_LIVE = 24;
const PAGES = 4096;
/** A table has 4 GiB at most, of which its own records take a part. */
const PAGES_MAX: number = 3 * 2 ** 18;

/** One implementation: does the event of that number and answers the physical page. */
type Step = (index: number) => number;

function contender(step: Step, { uses }: Events, usage: () => string): Contender {
  let position = 0;
  const run = (count: number): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum = (sum + step(position)) >>> 0;
      position = position + 1 === uses.length ? 0 : position + 1;
    }
    return sum;
  };
  return {
    measure: inBlocks(BLOCK, () => keep(run(BLOCK))),
    operation: () => keep(run(1)),
    // A whole round, so that it does not matter where it begins.
    check: async () => `frames ${run(uses.length)}, ${usage()}`,
  };
}

// ---------------------------------------------------------------- ours

function stepOfObjects(server: Partition, client: Partition, to: VirtualAdapter, events: Events): Step {
  const { uses, victims, initial } = events;
  const mappings: (Mapping | undefined)[] = new Array(events.pages).fill(undefined);
  const make = (page: number): Mapping => {
    const cookie = server.grant({ to, address: page * PAGE_BYTES, length: PAGE_BYTES });
    const mapping = client.accept(cookie);
    mappings[page] = mapping;
    return mapping;
  };
  for (const page of initial) make(page);
  const forWrites = { write: true } as const;
  return (index) => {
    const use = uses[index] as number;
    const page = use & PAGE_MASK;
    const victim = victims[index] as number;
    if (victim !== NOBODY) {
      const old = mappings[victim] as Mapping;
      old.return();
      server.rescind(old.cookie);
      mappings[victim] = undefined;
    }
    const mapping = use >= FAULT ? make(page) : (mappings[page] as Mapping);
    return client.translate(mapping.address, (use & WRITE) !== 0 ? forWrites : undefined) / PAGE_BYTES;
  };
}

/** One loop for three kinds of tables: which one it is costs each of them the same nanosecond. */
function stepOfCalls(calls: RawCalls, server: number, client: number, unit: number, events: Events): Step {
  const { uses, victims, initial } = events;
  const cookies = new Float64Array(events.pages);
  const addresses = new Float64Array(events.pages);
  const make = (page: number): void => {
    must(calls.grantLogical(server, TYPE_MEMORY, 0, page * PAGE_BYTES, PAGE_BYTES, unit));
    const cookie = calls.r4;
    must(calls.acceptLogical(client, cookie));
    cookies[page] = cookie;
    addresses[page] = calls.r4;
  };
  for (const page of initial) make(page);
  return (index) => {
    const use = uses[index] as number;
    const page = use & PAGE_MASK;
    const victim = victims[index] as number;
    if (victim !== NOBODY) {
      must(calls.returnLogical(client, cookies[victim] as number));
      must(calls.rescindLogical(server, 0, cookies[victim] as number));
    }
    if (use >= FAULT) make(page);
    const need = (use & WRITE) !== 0 ? NEED_WRITE : NEED_READ;
    must(calls.translate(client, TYPE_MEMORY, addresses[page] as number, 1, need));
    return calls.r4 / PAGE_BYTES;
  };
}

function open({ pages, initial }: Events): World {
  return openWorld({ serverPages: pages, grants: initial.length + 16, spacePages: pages, partitions: 2 });
}

function usageOf(world: World): () => string {
  return () => {
    const { pagesMapped, grantsIn } = clientOf(world).usage();
    return `mapped ${pagesMapped}, grants ${grantsIn}`;
  };
}

// ---------------------------------------------------------------- scenarios

interface Plan {
  readonly name: string;
  readonly dist: Distribution;
  readonly pages: number;
  readonly live: number;
}

async function openStage(plan: Plan, { seed, native }: Context): Promise<Stage> {
  const events = await planEvents(plan.dist, plan.pages, plan.live, seed);
  const { pages, initial, uses, victims } = events;
  const worlds = [open(events), open(events)] as const;
  const [objects, raw] = worlds;
  const { server } = objects;
  await native?.load(Uint32Array.from([...initial, ...uses, ...victims]));
  const nativeContender = await native?.setUp("churn", pages, initial.length, uses.length);
  const baselines = [new TypedTable(initial.length + 16), new MapTable(initial.length + 16)].map((table) => {
    const [owner, user] = [table.createPartition(pages, pages), table.createPartition(0, pages)];
    const unit = table.connect(owner, user, initial.length + 16);
    const usage = (): string => {
      const { mapped, grantsIn } = table.usage(user);
      return `mapped ${mapped}, grants ${grantsIn}`;
    };
    return contender(stepOfCalls(table, owner, user, unit, events), events, usage);
  });
  const [typed, map] = baselines as [Contender, Contender];
  const at = { pages };
  const unit = joinFirst(raw).unitAddress;
  const rawStep = stepOfCalls(raw.h, raw.server.lpid, clientOf(raw).lpid, unit, events);
  return {
    ways: [
      {
        what: `${plan.name}, objects`,
        contender: contender(
          stepOfObjects(server, clientOf(objects), joinFirst(objects), events),
          events,
          usageOf(objects),
        ),
        at,
      },
      { what: `${plan.name}, raw`, contender: contender(rawStep, events, usageOf(raw)), at },
    ],
    baselines: { ...(nativeContender === undefined ? {} : { native: nativeContender }), typed, map },
    notes: () => [
      `${((events.faults * 100) / uses.length).toFixed(2)} % of ${uses.length} events need a grant; ${initial.length} of ${pages} pages are live`,
    ],
    audit: () => worlds.flatMap(({ table }) => table.audit().problems),
    close: async () => {
      await nativeContender?.close();
      for (const { table } of worlds) await table.close();
    },
  };
}

/** The traces that come with the sources, and not with the package. */
const TRACES = new URL("./bench/traces/", import.meta.resolve("lpar/package.json"));

function ofTrace(file: string): Scenario {
  const name = nameOfTrace(file);
  return {
    name,
    open: async (context) => {
      if (!existsSync(file))
        return "the recorded traces are not installed; --dist trace:FILE names another one";
      const dist = { kind: "trace", file } as const;
      return openStage({ name, dist, pages: 0, live: TRACE_LIVE }, context);
    },
  };
}

/** @throws ParameterError for pages beside those of a trace, or more than a table has room for. */
export function churnScenarios(quick: boolean, parameters: Parameters): readonly Scenario[] {
  const { dist, pages = PAGES } = parameters;
  if (pages > PAGES_MAX)
    throw new ParameterError(`the suite churn takes --pages of at most ${PAGES_MAX}, but got ${pages}`);
  if (dist?.kind === "trace") {
    if (parameters.pages !== undefined)
      throw new ParameterError(
        "the suite churn has the pages of --dist trace:FILE, and uses no --pages beside it",
      );
    return [
      {
        name: nameOfTrace(dist.file),
        open: (context) =>
          openStage({ name: nameOfTrace(dist.file), dist, pages: 0, live: TRACE_LIVE }, context),
      },
    ];
  }
  const live = Math.max(1, pages >> 2);
  const name = `pages: ${pages.toLocaleString("en-US")}, live: ${live.toLocaleString("en-US")}`;
  const drawn: Scenario = {
    name,
    open: (context) =>
      openStage({ name, dist: dist ?? { kind: "zipf", exponent: 1.1 }, pages, live }, context),
  };
  if (dist !== undefined || pages !== PAGES) return [drawn];
  const traces = quick ? ["ls"] : ["sqlite3", "sort", "ls"];
  return [...traces.map((trace) => ofTrace(fileURLToPath(new URL(`${trace}.lpt`, TRACES)))), drawn];
}
