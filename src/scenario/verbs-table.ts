/** Verbs for the table: partitions and adapters, failure and recovery, time, and what can be seen of it all. */
import { STRUCTURES_LIMIT } from "../layout.js";
import type { PartitionOptions } from "../options.js";
import { mixRandomly } from "./random-mix.js";
import {
  choice,
  type Field,
  field,
  integer,
  list,
  nameOf,
  newName,
  object,
  optional,
  text,
} from "./schema.js";
import { amount, size, type Values, type Wanted, wantedEvents, wantedNumber, wantedWord } from "./values.js";
import { present, type Verbs, verb } from "./verb.js";
import { partition } from "./verbs-grants.js";
import { StepFailure } from "./world.js";

const PAGE_BYTES = 4096;
const EVENTS = [
  "partner-failed",
  "partner-recovered",
  "rescinded",
  "returned",
  "interrupt",
  "doorbell",
  "events-lost",
  "partition-failed",
  "partition-recovered",
  "partition-restarted",
  "partition-destroyed",
];
const COUNTERS = [
  "tableBytes",
  "frames",
  "framesFree",
  "framesQuarantined",
  "structures",
  "structuresUsed",
  "adapterEnds",
  "adapterEndsUsed",
  "partitions",
  "revocations",
  "pagesMoved",
];
const USAGE = [
  "pagesOwned",
  "allocated",
  "pagesMapped",
  "pagesLent",
  "grantsOut",
  "grantsIn",
  "rescinded",
  "pins",
  "quarantined",
  "copies",
];
const DEDUPLICATION = ["examined", "merged", "skipped", "saved"];
const MIX_OPERATIONS_MAX = 1e8;

const numbers = (names: readonly string[]): Record<string, Field<Wanted>> =>
  Object.fromEntries(names.map((name) => [name, wantedNumber]));

const powerOfTwo = field<number>((value, place) => {
  const bytes = size(PAGE_BYTES, PAGE_BYTES).parse(value, place);
  return Number.isInteger(Math.log2(bytes)) ? bytes : place.mustBe("a power of two", value);
});

const description = object({
  name: newName("partition"),
  memory: optional(size(PAGE_BYTES)),
  lmb: optional(powerOfTwo),
});

/** What createPartition() takes; the name is given to the partition. */
export const partitionOptions: Field<PartitionOptions> = field((value, place) => {
  const { name, memory = 0, lmb } = description.parse(value, place);
  if (lmb !== undefined && memory % lmb !== 0)
    place.at("memory").mustBe(`a multiple of lmb, which is ${lmb}`, memory);
  return { name, memory, ...present({ lmb }) };
});

export const quota: Field<number | undefined> = optional(integer(1, STRUCTURES_LIMIT));
export const adapterName: Field<string | undefined> = optional(newName("adapter"));

/** Two partitions. */
const both = field<readonly [string, string]>((value, place) => {
  const [a, b, ...more] = list(partition).parse(value, place);
  return a !== undefined && b !== undefined && more.length === 0
    ? [a, b]
    : place.mustBe("a list of two partitions", value);
});

const lifeVerbs: Verbs = {
  createPartition: {
    prepare(given, place) {
      const options = partitionOptions.parse(given, place);
      return (world) => ({ lpid: world.createPartition(options).lpid });
    },
    expect: verb({}, { lpid: wantedNumber }, () => ({})).expect,
  },

  connect: verb(
    { between: both, grants: quota, as: adapterName },
    { unitAddress: wantedNumber },
    (world, { between: [a, b], grants, as }) => ({
      unitAddress: world.connect(a, b, grants, as).unitAddress,
    }),
  ),

  assign: verb(
    {
      partition,
      type: choice("mmio", "interrupt", "dma", "ipi"),
      address: amount,
      length: amount,
      physical: optional(amount),
      liobn: optional(integer(0, 2 ** 32 - 1)),
    },
    {},
    (world, { partition, type, address, length, physical, liobn }) => {
      world.table.assign(world.partition(partition), {
        type,
        address: world.amount(address),
        length: world.amount(length),
        ...present({ physical: physical === undefined ? undefined : world.amount(physical), liobn }),
      });
      return {};
    },
  ),

  fail: verb(
    { partition, reason: optional(text) },
    { state: wantedWord("failed", "recovering", "stopped") },
    (world, { partition, reason }) => {
      const failing = world.partition(partition);
      world.table.fail(failing, reason);
      return { state: failing.state };
    },
  ),

  recovered: verb({ partition }, { waitedMs: wantedNumber }, async (world, { partition }) => {
    const start = world.clock.now();
    await world.recovered(world.partition(partition));
    return { waitedMs: world.clock.now() - start };
  }),

  restart: verb({ partition }, { incarnation: wantedNumber }, (world, { partition }) => {
    const restarting = world.partition(partition);
    world.table.restart(restarting);
    world.hear(restarting);
    return { incarnation: restarting.incarnation };
  }),

  destroy: verb({ partition }, {}, async (world, { partition }) => {
    await world.wait(() => world.table.destroyPartition(world.partition(partition)));
    return {};
  }),

  advance: verb({ ms: integer(0, 2 ** 40) }, { now: wantedNumber }, (world, { ms }) => {
    world.clock.advance(ms);
    return { now: world.clock.now() };
  }),
};

const sightVerbs: Verbs = {
  state: verb(
    { partition },
    { state: wantedWord("running", "failed", "recovering", "stopped"), incarnation: wantedNumber },
    (world, { partition }) => {
      const { state, incarnation } = world.partition(partition);
      return { state, incarnation };
    },
  ),

  usage: verb({ partition }, numbers(USAGE), (world, { partition }) => ({
    ...world.partition(partition).usage(),
  })),

  events: verb(
    { partition: optional(partition) },
    {
      events: wantedEvents(EVENTS, {
        partner: optional(partition),
        partition: optional(partition),
        grant: optional(nameOf("grant")),
        count: optional(integer(0, 2 ** 32)),
        address: optional(integer(0, 2 ** 32)),
        reason: optional(text),
      }),
    },
    (world, { partition }) => {
      const events: Values[] =
        partition === undefined
          ? world.takeTableEvents().map(({ type, lpid, reason }) => ({
              type,
              partition: world.nameOfLpid(lpid),
              ...present({ reason }),
            }))
          : world.takeEvents(world.partition(partition)).map(({ type, partner, cookie, count, address }) => ({
              type,
              ...(partner === 0 ? {} : { partner: world.nameOfLpid(partner) }),
              ...(cookie === undefined ? {} : { grant: world.nameOfCookie(cookie) }),
              ...present({ count, address }),
            }));
      return { events };
    },
  ),

  counters: verb({}, numbers(COUNTERS), (world) => ({ ...world.table.inspect().counters })),

  migrate: verb(
    { by: partition, address: amount, length: amount },
    { pagesMoved: wantedNumber, slices: wantedNumber },
    async (world, { by, address, length }) => ({
      ...(await world.wait((signal) =>
        world.partition(by).migrate(world.amount(address), world.amount(length), { signal }),
      )),
    }),
  ),

  deduplicate: verb({}, numbers(DEDUPLICATION), async (world) => ({
    ...(await world.wait((signal) => world.table.deduplicate({ signal }))),
  })),

  audit: verb({}, {}, (world) => {
    const { problems, checked } = world.table.audit();
    if (problems.length > 0) throw new StepFailure("a clean audit", problems.join("; "));
    return { checked };
  }),

  random: verb(
    {
      operations: integer(1, MIX_OPERATIONS_MAX),
      partitions: optional(list(partition)),
      pages: optional(integer(1, 1024)),
    },
    {},
    (world, { operations, partitions, pages = 4 }) => {
      const chosen = partitions?.map((name) => world.partition(name)) ?? world.partitions;
      return mixRandomly(world, { operations, partitions: chosen, pages });
    },
  ),
};

export const tableVerbs: Verbs = { ...lifeVerbs, ...sightVerbs };
