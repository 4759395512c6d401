/** The scenario language: what each verb does, what is refused before anything runs, and what a failed step says. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, test, vi } from "vitest";
import { ResourceTable } from "../src/index.js";
import { JsonError, parseJson } from "../src/scenario/json.js";
import { ManualClock } from "../src/scenario/manual-clock.js";
import { Random } from "../src/scenario/random.js";
import { runScenario, type ScenarioOptions, type ScenarioReport } from "../src/scenario/run.js";
import { parseScenario, readScenario, type Scenario } from "../src/scenario/scenario.js";
import { ScenarioError } from "../src/scenario/schema.js";
import { VERBS } from "../src/scenario/verbs.js";

const FILE = "test.json";
const BASE = {
  version: 1,
  table: { memory: "1MiB", partitions: 5, grants: 64 },
  partitions: [
    { name: "server", memory: "64KiB", lmb: "32KiB" },
    { name: "client", memory: "64KiB" },
    { name: "third", memory: "16KiB" },
  ],
  adapters: [
    ["server", "client"],
    ["client", "third", { as: "link", grants: 8 }],
  ],
} as const;

function scenarioOf(steps: readonly unknown[], more: object = {}): Scenario {
  return parseScenario(FILE, JSON.stringify({ ...BASE, ...more, steps }));
}

function run(
  steps: readonly unknown[],
  more: object = {},
  options: Partial<ScenarioOptions> = {},
): Promise<ScenarioReport> {
  return runScenario(scenarioOf(steps, more), { seed: 1, ...options });
}

const GRANT = { grant: { by: "server", to: "client", address: 0, length: "8KiB", as: "offer" } };
const ACCEPT = { accept: { by: "client", grant: "offer", as: "window" } };
const FAIL = { fail: { partition: "server" } };

/** A property, steps that all answer as expected, and other parts of the scenario. */
type Sample = readonly [title: string, steps: readonly object[], more: object];

const SAMPLES: readonly Sample[] = [
  [
    "grant, accept, return and rescind, with names and with numbers",
    [
      { grant: { by: "server", to: "client", address: 0, length: 4096, as: "offer", write: false } },
      {
        ...ACCEPT,
        expect: {
          address: 65536,
          length: "4KiB",
          type: "memory",
          readable: true,
          writable: false,
          regrantable: true,
        },
      },
      { accept: { by: "client", grant: "offer" }, expect: "H_PARAMETER" },
      { accept: { by: "third", grant: "offer" }, expect: "H_PARAMETER" },
      { accept: { by: "client", grant: 12345 }, expect: "H_PARAMETER" },
      { accept: { by: "client", grant: -0.5 }, expect: "H_PARAMETER" },
      { rescind: { by: "server", grant: "offer" }, expect: "H_RESOURCE" },
      { return: { by: "client", grant: "offer" } },
      { return: { by: "client", grant: "offer" }, expect: "H_PARAMETER" },
      { rescind: { by: "server", grant: "offer" }, expect: {} },
      { rescind: { by: "server", grant: "offer" }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "a grant goes to a partition, an adapter by name from either side, or a unit address",
    [
      { grant: { by: "client", to: "link", address: 0, length: 4096 } },
      { grant: { by: "third", to: "link", address: 0, length: 4096 } },
      { grant: { by: "server", to: "link", address: 0, length: 4096 }, expect: "H_PARAMETER" },
      { grant: { by: "server", to: "third", address: 0, length: 4096 }, expect: "H_PARAMETER" },
      { grant: { by: "server", to: 999, address: 0, length: 4096 }, expect: "H_PARAMETER" },
      { grant: { by: "server", to: "client", address: -1, length: 1e300 }, expect: "H_PARAMETER" },
      { grant: { by: "server", to: "client", address: "28KiB", length: "8KiB" }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "rescindForced answers what it tore down",
    [
      GRANT,
      ACCEPT,
      { grant: { by: "client", to: "third", address: "window+4KiB", length: "4KiB", as: "on" } },
      { accept: { by: "third", grant: "on", as: "deep" } },
      {
        rescindForced: { by: "server", grant: "offer" },
        expect: { nodes: 2, slices: 0, pagesMoved: 0 },
      },
      { load32: { by: "third", address: "deep" }, expect: "H_RESCINDED" },
      { rescindForced: { by: "server", grant: "offer" }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "allocate and free",
    [
      { allocate: { by: "server", length: 1, as: "page" }, expect: { address: 0 } },
      { allocate: { by: "server", length: "32KiB", as: "rest" }, expect: { address: "page+32KiB" } },
      { allocate: { by: "server", length: "0x8000" }, expect: "H_NO_MEM" },
      { free: { by: "server", address: "rest" } },
      { free: { by: "server", address: "rest" }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "write, read, fill and copy, with data as text, as digits and as a pattern",
    [
      { write: { by: "server", address: "0x10", data: "h\u00e9" } },
      { read: { by: "server", address: 16, length: 3 }, expect: { data: { hex: "68 C3 a9" } } },
      { write: { by: "server", address: 4090, data: { length: 12, first: 250, step: 2 } } },
      { read: { by: "server", address: 4090, length: 5 }, expect: { data: { hex: "fafcfe0002" } } },
      { write: { by: "server", address: 0, data: { hex: "" } } },
      { fill: { by: "server", address: 0, length: "4KiB", byte: 7 } },
      { fill: { by: "server", address: 0, length: 1, byte: 256 }, expect: "H_PARAMETER" },
      { copy: { by: "server", from: 0, partner: "client", to: "4KiB", length: "4KiB" } },
      {
        read: { by: "client", address: "4KiB", length: "4KiB" },
        expect: { data: { length: "4KiB", first: 7 } },
      },
      { copy: { by: "server", from: 0, partner: "third", to: 0, length: 1 }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "load32, store32, add32 and compareExchange32",
    [
      { store32: { by: "server", address: 8, value: -1 } },
      { load32: { by: "server", address: 8 }, expect: { value: 4294967295 } },
      { add32: { by: "server", address: 8, value: 3 }, expect: { before: 4294967295 } },
      {
        compareExchange32: { by: "server", address: 8, expected: 2, replacement: 9 },
        expect: { before: 2 },
      },
      { load32: { by: "server", address: 8 }, expect: { value: 9 } },
      { load32: { by: "server", address: 9 }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "translate and translateBatch",
    [
      GRANT,
      ACCEPT,
      { translate: { by: "server", address: 0, as: "frame" } },
      {
        translate: { by: "client", address: "window+5", write: true, length: 3 },
        expect: { physical: "frame+5" },
      },
      {
        translateBatch: { by: "client", addresses: ["window", "1MiB", "window+1"] },
        expect: { succeeded: 2, statuses: ["H_SUCCESS", "H_PARAMETER", "H_SUCCESS"] },
      },
      {
        translateBatch: { by: "client", addresses: [0, 1e9, 1], stopAtFault: true, write: true },
        expect: { succeeded: 1, statuses: ["H_SUCCESS", "H_PARAMETER"] },
      },
      { translateBatch: { by: "client", addresses: [] }, expect: { succeeded: 0, statuses: [] } },
    ],
    {},
  ],
  [
    "view, readView, writeView and release",
    [
      GRANT,
      ACCEPT,
      { view: { by: "client", address: "window", length: "4KiB", as: "glass" } },
      { writeView: { view: "glass", offset: 2, data: "through" } },
      { readView: { view: "glass", offset: 2, length: 7 }, expect: { data: "through" } },
      { read: { by: "server", address: 2, length: 7 }, expect: { data: "through" } },
      { return: { by: "client", grant: "offer" }, expect: "H_RESOURCE" },
      { usage: { partition: "client" }, expect: { pins: 1 } },
      { release: { view: "glass" } },
      { readView: { view: "glass" }, expect: "LPAR_RELEASED" },
      { return: { by: "client", grant: "offer" } },
    ],
    {},
  ],
  [
    "registerQueue, send, receive and freeQueue",
    [
      { send: { by: "server", partner: "client" }, expect: "H_CLOSED" },
      {
        registerQueue: { by: "client", partner: "server", address: 0, length: "4KiB" },
        expect: { status: "H_CLOSED" },
      },
      {
        registerQueue: { by: "client", partner: "server", address: 0, length: "4KiB" },
        expect: "H_RESOURCE",
      },
      {
        registerQueue: { by: "server", partner: "client", address: 0, length: "4KiB" },
        expect: { status: "H_SUCCESS" },
      },
      { send: { by: "server", partner: "client", format: 7, data: "ping" } },
      { send: { by: "server", partner: "client", header: 255 }, expect: "H_PARAMETER" },
      {
        receive: { by: "client", partner: "server" },
        expect: { empty: false, header: 128, format: 7, data: "ping" },
      },
      { receive: { by: "client", partner: "server" }, expect: { empty: true } },
      { freeQueue: { by: "client", partner: "server" } },
      { receive: { by: "server", partner: "client" }, expect: { header: 255, format: 2 } },
      { registerQueue: { by: "third", partner: "link", address: 0, length: "4KiB" } },
      { send: { by: "client", partner: "link" } },
    ],
    {},
  ],
  [
    "createPartition, connect and destroy",
    [
      { createPartition: { name: "late", memory: "8KiB", lmb: "4KiB" }, expect: { lpid: 4 } },
      { connect: { between: ["late", "server"], grants: 2, as: "late-link" } },
      { grant: { by: "late", to: "late-link", address: "4KiB", length: "4KiB", as: "late-offer" } },
      { accept: { by: "server", grant: "late-offer" } },
      { createPartition: { name: "huge", memory: "1MiB" }, expect: "H_NO_MEM" },
      { destroy: { partition: "late" } },
      { fail: { partition: "late" }, expect: "LPAR_NOT_FOUND" },
      { createPartition: { name: "huge", memory: "8KiB" } },
      { counters: {}, expect: { partitions: 4, adapterEndsUsed: 4 } },
      { return: { by: "server", grant: "late-offer" } },
      { counters: {}, expect: { adapterEndsUsed: 4 } },
    ],
    {},
  ],
  [
    "assign, and grants of another type",
    [
      { assign: { partition: "server", type: "dma", address: "8KiB", length: "4KiB", liobn: 5 } },
      { assign: { partition: "server", type: "interrupt", address: 7, length: 1, physical: 70 } },
      {
        assign: { partition: "server", type: "interrupt", address: 7, length: 1 },
        expect: "H_RESOURCE",
      },
      {
        grant: { by: "server", to: "client", type: "interrupt", address: 7, length: 1, as: "line" },
      },
      { accept: { by: "client", grant: "line", as: "at" }, expect: { type: "interrupt", address: 0 } },
      { translate: { by: "client", type: "interrupt", address: "at" }, expect: { physical: 70 } },
      {
        grant: {
          by: "server",
          to: "client",
          type: "dma",
          liobn: 5,
          address: "8KiB",
          length: "4KiB",
          regrant: false,
        },
      },
      {
        grant: { by: "server", to: "client", type: "dma", liobn: 6, address: "8KiB", length: "4KiB" },
        expect: "H_PARAMETER",
      },
    ],
    {},
  ],
  [
    "fail, advance, recovered, restart and state, on a clock that only steps move",
    [
      GRANT,
      ACCEPT,
      { fail: { partition: "server", reason: "tired" }, expect: { state: "failed" } },
      { advance: { ms: 499 }, expect: { now: 499 } },
      { state: { partition: "server" }, expect: { state: "failed", incarnation: 1 } },
      { restart: { partition: "server" }, expect: "H_RESOURCE" },
      { recovered: { partition: "server" }, expect: { waitedMs: 1 } },
      { recovered: { partition: "server" }, expect: { waitedMs: 0 } },
      { state: { partition: "server" }, expect: { state: "stopped" } },
      { restart: { partition: "server" }, expect: { incarnation: 2 } },
      { advance: { ms: 10 }, expect: { now: 510 } },
    ],
    { table: { ...BASE.table, gracePeriodMs: 500 } },
  ],
  [
    "events of partitions and of the table, each told once, in every incarnation",
    [
      GRANT,
      ACCEPT,
      { events: { partition: "client" }, expect: { events: [] } },
      { rescindForced: { by: "server", grant: "offer" } },
      {
        events: { partition: "client" },
        expect: { events: [{ type: "rescinded", partner: "server", grant: "offer" }] },
      },
      { events: { partition: "client" }, expect: { events: [] } },
      { fail: { partition: "client", reason: "why" } },
      { events: { partition: "server" }, expect: { events: ["partner-failed", "partner-recovered"] } },
      { recovered: { partition: "client" } },
      { restart: { partition: "client" } },
      { connect: { between: ["server", "client"] } },
      FAIL,
      {
        events: { partition: "client" },
        expect: { events: ["partner-failed", { type: "partner-recovered", partner: "server" }] },
      },
      {
        events: {},
        expect: {
          events: [
            { type: "partition-failed", partition: "client", reason: "why" },
            "partition-recovered",
            { type: "partition-restarted", partition: "client" },
            "partition-failed",
            "partition-recovered",
          ],
        },
      },
    ],
    {},
  ],
  [
    "usage, counters and audit",
    [
      GRANT,
      ACCEPT,
      {
        usage: { partition: "client" },
        expect: {
          pagesOwned: 16,
          pagesMapped: 2,
          grantsOut: 0,
          grantsIn: 1,
          rescinded: 0,
          pins: 0,
          quarantined: 0,
        },
      },
      { counters: {}, expect: { frames: 256, framesFree: 220, partitions: 3, revocations: 0 } },
      { audit: {}, note: "nothing but that it is clean" },
    ],
    {},
  ],
  [
    "interrupts: raised, masked, armed and ended, told to whoever has the source; doorbells",
    [
      { assign: { partition: "server", type: "interrupt", address: 5, length: 1 } },
      { assign: { partition: "server", type: "ipi", address: 3, length: 1 } },
      { grant: { by: "server", to: "client", address: 5, length: 1, type: "interrupt", as: "line" } },
      { accept: { by: "client", grant: "line", as: "source" }, expect: { address: 0, type: "interrupt" } },
      { raise: { by: "server", address: 5 } },
      {
        events: { partition: "client" },
        expect: { events: [{ type: "interrupt", partner: "server", address: 0 }] },
      },
      { mask: { by: "client", address: "source" } },
      { raise: { by: "server", address: 5 } },
      { events: { partition: "client" }, expect: { events: [] } },
      { arm: { by: "client", address: "source" } },
      { return: { by: "client", grant: "line" }, expect: "H_RESOURCE" },
      { unmask: { by: "client", address: "source" } },
      { events: { partition: "client" }, expect: { events: ["interrupt"] } },
      { raise: { by: "client", address: "source" } },
      { events: { partition: "client" }, expect: { events: [] }, note: "in service" },
      { endInterrupt: { by: "client", address: "source" } },
      { events: { partition: "client" }, expect: { events: ["interrupt"] } },
      { endInterrupt: { by: "client", address: "source" } },
      { disarm: { by: "client", address: "source" } },
      { disarm: { by: "client", address: "source" }, expect: "H_RESOURCE" },
      { events: { partition: "server" }, expect: { events: ["interrupt", "interrupt", "interrupt"] } },
      { grant: { by: "server", to: "client", address: 3, length: 1, type: "ipi", as: "port" } },
      { accept: { by: "client", grant: "port", as: "bell" } },
      { ring: { by: "client", address: "bell" } },
      {
        events: { partition: "server" },
        expect: { events: [{ type: "doorbell", partner: "client", address: 3 }] },
      },
      { ring: { by: "third", address: 3 }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "DMA: entries put, read back and removed; a device reads and writes what they allow",
    [
      { assign: { partition: "server", type: "dma", address: 0, length: "16KiB", liobn: 9 } },
      { write: { by: "server", address: 0, data: "to the disk" } },
      { putTce: { by: "server", liobn: 9, ioba: 0, address: 0, write: false } },
      { getTce: { by: "server", liobn: 9, ioba: 0 }, expect: { address: 0, read: true, write: false } },
      { deviceRead: { of: "server", liobn: 9, ioba: 0, length: 11 }, expect: { data: "to the disk" } },
      { deviceWrite: { of: "server", liobn: 9, ioba: 0, data: "x" }, expect: "H_PERMISSION" },
      { putTces: { by: "server", liobn: 9, ioba: "4KiB", addresses: ["4KiB", "8KiB"] } },
      { deviceWrite: { of: "server", liobn: 9, ioba: "8KiB", data: "from the disk" } },
      { read: { by: "server", address: "8KiB", length: 13 }, expect: { data: "from the disk" } },
      { usage: { partition: "server" }, expect: { pins: 3 } },
      { removeTces: { by: "server", liobn: 9, ioba: 0, count: 3 } },
      { getTce: { by: "server", liobn: 9, ioba: 0 }, expect: { empty: true } },
      { deviceRead: { of: "server", liobn: 9, ioba: 0, length: 1 }, expect: "H_PARAMETER" },
      { putTce: { by: "client", ioba: 0, address: 0 }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "copy on write, equal pages on one frame, and pages that are moved",
    [
      { fill: { by: "server", address: 0, length: "4KiB", byte: 7 } },
      { grant: { by: "server", to: "client", address: 0, length: "4KiB", copyOnWrite: true, as: "offer" } },
      ACCEPT,
      { write: { by: "client", address: "window", data: { hex: "00" } } },
      { usage: { partition: "client" }, expect: { copies: 1 } },
      { load32: { by: "server", address: 0 }, expect: { value: 0x07070707 } },
      { fill: { by: "server", address: "32KiB", length: "8KiB", byte: 7 } },
      { deduplicate: {}, expect: { merged: 26 }, note: "one of two full pages, 25 of 26 empty" },
      { migrate: { by: "third", address: 0, length: "16KiB" }, expect: { slices: 0 } },
      { view: { by: "third", address: 0, length: "16KiB", as: "whole" } },
      { migrate: { by: "third", address: 0, length: "64KiB" }, expect: "H_PARAMETER" },
    ],
    {},
  ],
  [
    "random leaves every partition with what it had, and what it was told",
    [
      GRANT,
      ACCEPT,
      { rescindForced: { by: "server", grant: "offer" } },
      { random: { operations: 3000, pages: 3 } },
      { random: { operations: 500, partitions: ["client", "third"] } },
      { usage: { partition: "client" }, expect: { rescinded: 1, grantsIn: 0, grantsOut: 0 } },
      { events: { partition: "client" }, expect: { events: ["rescinded"] } },
      { events: { partition: "third" }, expect: { events: [] } },
    ],
    {},
  ],
];

describe("verbs", () => {
  it.each<Sample>(SAMPLES)("%s", async (_, steps, more) => {
    const report = await run(steps, more);
    expect(report.failure?.message).toBeUndefined();
    expect(report).toMatchObject({ outcome: "passed", audit: { problems: [] } });
    expect(report.steps.map(({ index }) => index)).toEqual(steps.map((_, index) => index));
  });

  it("are all tried above", () => {
    const tried = new Set(SAMPLES.flatMap(([, steps]) => steps.flatMap((step) => Object.keys(step))));
    expect([...VERBS.keys()].filter((verb) => !tried.has(verb))).toEqual([]);
  });
});

describe("what is wrong with a scenario is said in one line, before anything runs", () => {
  const STEP = (step: unknown): object => ({ steps: [step] });
  const ALL = [...VERBS.keys()].join(", ");
  const DATA = 'a text, { "hex": ... } or { "length": ..., "first": ..., "step": ... }';
  const AMOUNT = 'a number, a size like "64KiB", or a name like "window" or "window+4KiB"';
  const write = (data: unknown): object => STEP({ write: { by: "server", address: 0, data } });
  const load = (address: unknown): object => STEP({ load32: { by: "server", address } });

  test.each<readonly [given: object, problem: string]>([
    // The file
    [{ version: 2 }, "version is 2; this program reads version 1"],
    [{ version: "1" }, 'version is "1"; this program reads version 1'],
    [{ version: undefined }, "version is missing"],
    [{ titel: "x" }, "titel is not known; allowed: version, title, table, partitions, adapters, steps"],
    [{ title: 5 }, "title must be a text, not 5"],
    [{ steps: {} }, "steps must be a list, not {}"],
    [{ steps: undefined }, "steps is missing"],
    // The table
    [{ table: [] }, "table must be an object, not []"],
    [{ table: {} }, "table.memory is missing"],
    [
      { table: { memory: "1 TiB" } },
      'table.memory must be a whole number from 0, or a size like "64KiB", not "1 TiB"',
    ],
    [
      { table: { memory: 0.5 } },
      'table.memory must be a whole number from 0, or a size like "64KiB", not 0.5',
    ],
    [
      { table: { memory: 4096, clock: {} } },
      "table.clock is not known; allowed: memory, partitions, grants, logicalSpace, spaces, adapters, views, staging, gracePeriodMs",
    ],
    [
      { table: { memory: 4096, spaces: { ram: 1 } } },
      "table.spaces.ram is not known; allowed: mmio, dma, interrupt, ipi",
    ],
    [
      { table: { memory: 4096, gracePeriodMs: -1 } },
      "table.gracePeriodMs must be a whole number from 0 to 2147483647, not -1",
    ],
    // Partitions and adapters
    [{ partitions: [{ memory: 4096 }] }, "partitions[0].name is missing"],
    [
      { partitions: [{ name: "a b" }] },
      'partitions[0].name must be a name of at most 64 letters, digits, "_", "-" and "." that begins with a letter or "_", not "a b"',
    ],
    [
      { partitions: [{ name: "a".repeat(65) }] },
      `partitions[0].name must be a name of at most 64 letters, digits, "_", "-" and "." that begins with a letter or "_", not "${"a".repeat(56)}...`,
    ],
    [
      { partitions: [{ name: "a" }, { name: "a" }] },
      'partitions[1].name is "a", which partitions[0].name named already',
    ],
    [
      { partitions: [{ name: "a", memory: 5 }] },
      'partitions[0].memory must be a multiple of 4096 from 0, or a size like "64KiB", not 5',
    ],
    [{ partitions: [{ name: "a", lmb: "12KiB" }] }, 'partitions[0].lmb must be a power of two, not "12KiB"'],
    [
      { partitions: [{ name: "a", memory: "12KiB", lmb: "8KiB" }] },
      "partitions[0].memory must be a multiple of lmb, which is 8192, not 12288",
    ],
    [
      { adapters: [["server"]] },
      'adapters[0] must be a list like ["server", "client"] or ["server", "client", { "grants": 8 }], not ["server"]',
    ],
    [
      { adapters: [["server", "nobody"]] },
      'adapters[0][1] is "nobody", but nothing before has that name; it must be a partition',
    ],
    [
      { adapters: [["server", "client", { grants: 0 }]] },
      "adapters[0][2].grants must be a whole number from 1 to 16777215, not 0",
    ],
    [
      { adapters: [["server", "client", { quota: 1 }]] },
      "adapters[0][2].quota is not known; allowed: grants, as",
    ],
    [
      { adapters: [["server", "client", { as: "client" }]] },
      'adapters[0][2].as is "client", which partitions[1].name named already',
    ],
    // Steps
    [STEP(null), "steps[0] must be an object, not null"],
    [STEP({}), `steps[0] has no verb; one of: ${ALL}`],
    [STEP({ garnt: {} }), `steps[0].garnt is not known; allowed: one of ${ALL}; and note, expect`],
    [STEP({ audit: {}, counters: {} }), "steps[0] has 2 verbs, audit and counters; a step does one thing"],
    [STEP({ audit: [] }), "steps[0].audit must be an object, not []"],
    [STEP({ audit: {}, note: 1 }), "steps[0].note must be a text, not 1"],
    [
      STEP({ audit: {}, expect: "H_OOPS" }),
      'steps[0].expect must be one of H_CLOSED, H_DROPPED, H_FUNCTION, H_NO_MEM, H_PARAMETER, H_PERMISSION, H_RESCINDED, H_RESOURCE, LPAR_NOT_FOUND, LPAR_RELEASED, not "H_OOPS"',
    ],
    [STEP({ audit: {}, expect: null }), "steps[0].expect must be an object, not null"],
    [STEP({ audit: {}, expect: { nodes: 1 } }), "steps[0].expect.nodes is not known; allowed: nothing"],
    [
      { steps: [GRANT, ACCEPT, { audit: {} }, { grant: { ...GRANT.grant, lenght: 1 } }] },
      "steps[3].grant.lenght is not known; allowed: by, to, address, length, type, read, write, regrant, liobn, mode, zero, copyOnWrite, as",
    ],
    [STEP({ grant: { by: "server", to: "client", address: 0 } }), "steps[0].grant.length is missing"],
    [STEP({ grant: { ...GRANT.grant, read: "no" } }), 'steps[0].grant.read must be true or false, not "no"'],
    [
      STEP({ grant: { ...GRANT.grant, type: "disk" } }),
      'steps[0].grant.type must be one of memory, mmio, interrupt, dma, ipi, not "disk"',
    ],
    [
      STEP({ assign: { partition: "server", type: "memory", address: 0, length: 1 } }),
      'steps[0].assign.type must be one of mmio, interrupt, dma, ipi, not "memory"',
    ],
    [
      STEP({ connect: { between: ["server"] } }),
      'steps[0].connect.between must be a list of two partitions, not ["server"]',
    ],
    [
      STEP({ random: { operations: 0 } }),
      "steps[0].random.operations must be a whole number from 1 to 100000000, not 0",
    ],
    [
      STEP({ send: { by: "server", partner: "client", data: "fifteen letters" } }),
      "steps[0].send.data has 15 bytes; at most 14 fit an entry",
    ],
    // Names
    [
      { steps: [{ ...GRANT, expect: "H_NO_MEM" }, ACCEPT] },
      'steps[1].accept.grant is "offer", but nothing before has that name; it must be a grant',
    ],
    [STEP(ACCEPT), 'steps[0].accept.grant is "offer", but nothing before has that name; it must be a grant'],
    [
      { steps: [GRANT, { accept: { by: "offer", grant: "offer" } }] },
      'steps[1].accept.by is "offer", which is a grant; it must be a partition',
    ],
    [
      { steps: [GRANT, ACCEPT, { accept: { by: "client", grant: "window" } }] },
      'steps[2].accept.grant is "window", which is an address; it must be a grant',
    ],
    [{ steps: [GRANT, GRANT] }, 'steps[1].grant.as is "offer", which steps[0].grant.as named already'],
    [
      STEP({ allocate: { by: "server", length: "me", as: "me" } }),
      'steps[0].allocate.length is "me", but nothing before has that name; it must be an address',
    ],
    [STEP({ release: { view: 1 } }), "steps[0].release.view must be the name of a view, not 1"],
    [
      STEP({ grant: { ...GRANT.grant, to: [] } }),
      "steps[0].grant.to must be the name of a partition or an adapter, not []",
    ],
    // Amounts and data
    [load(true), `steps[0].load32.address must be ${AMOUNT}, not true`],
    [load("4 kB"), `steps[0].load32.address must be ${AMOUNT}, not "4 kB"`],
    [load("0.3KiB"), `steps[0].load32.address must be ${AMOUNT}, not "0.3KiB"`],
    [load("4KiB+1"), `steps[0].load32.address must be ${AMOUNT}, not "4KiB+1"`],
    [load("window+"), `steps[0].load32.address must be ${AMOUNT}, not "window+"`],
    [
      load("window+1"),
      'steps[0].load32.address is "window", but nothing before has that name; it must be an address',
    ],
    [write(5), `steps[0].write.data must be ${DATA}, not 5`],
    [write({}), "steps[0].write.data.length is missing"],
    [write({ hex: "abc" }), 'steps[0].write.data.hex must be pairs of hexadecimal digits, not "abc"'],
    [write({ hex: "0g" }), 'steps[0].write.data.hex must be pairs of hexadecimal digits, not "0g"'],
    [write({ hex: "00", first: 1 }), "steps[0].write.data.first is not known; allowed: hex"],
    [
      write({ length: 1, first: 256 }),
      "steps[0].write.data.first must be a whole number from 0 to 255, not 256",
    ],
    [write({ length: "1GiB" }), "steps[0].write.data.length must be at most 67108864, not 1073741824"],
    [
      STEP({ events: {}, expect: { events: [{ type: "rescinded", cookie: 1 }] } }),
      "steps[0].expect.events[0].cookie is not known; allowed: type, partner, partition, grant, count, address, reason",
    ],
    [
      STEP({ usage: { partition: "client" }, expect: { pins: [] } }),
      `steps[0].expect.pins must be ${AMOUNT}, not []`,
    ],
  ])("%j", (given, problem) => {
    const source = JSON.stringify({ ...BASE, steps: [], ...given });
    expect(() => parseScenario(FILE, source)).toThrow(new ScenarioError(FILE, problem));
  });

  test.each<readonly [source: string, problem: string]>([
    ["", "the file is empty"],
    [" \n\t", "the file is empty"],
    ["[]", "the scenario must be an object, not []"],
    ["hello", 'line 1, column 1: expected a value, found "h"'],
    ["{", "line 1, column 2: expected a key in quotes, found the end of the file"],
    ['{\n  "version": 1,\n}', 'line 3, column 1: expected a key in quotes, found "}"'],
    ['{ "version": 1\n  "steps": [] }', 'line 2, column 3: expected "," or "}", found "\\""'],
    ['{ "version" 1 }', 'line 1, column 13: expected ":", found "1"'],
    ['{ "version": 01 }', 'line 1, column 15: expected "," or "}", found "1"'],
    ['{ "version": [1, ] }', 'line 1, column 18: expected a value, found "]"'],
    ['{ "version": 1 } x', 'line 1, column 18: expected nothing more, found "x"'],
    ['{ "title": "\n" }', "line 1, column 12: this string has a control character or a wrong escape"],
    ['{ "title": "\\x" }', "line 1, column 12: this string has a control character or a wrong escape"],
    ['{ "title": "x', "line 1, column 12: this string has no closing quote"],
    ['{ "title": "x\\', "line 1, column 12: this string has no closing quote"],
    ['{ "version": 1,\n "version": 1 }', 'line 2, column 2: the key "version" is there twice'],
    [
      '{ "__proto__": {} }',
      "__proto__ is not known; allowed: version, title, table, partitions, adapters, steps",
    ],
    ["[".repeat(1e5), 'line 1, column 33: nested more than 32 deep, found "["'],
    [
      '{ "a\\u001b[2J\\nb": 1 }',
      "a?[2J?b is not known; allowed: version, title, table, partitions, adapters, steps",
    ],
  ])("%j", (source, problem) => {
    expect(() => parseScenario(FILE, source)).toThrow(new ScenarioError(FILE, problem));
  });

  test.each<readonly [given: object, problem: string]>([
    [{ table: { memory: 5 } }, "table: memory is 5; it must be a multiple of 4096 from 4096 to 4294963200"],
    [
      { table: { memory: "1MiB", partitions: 5000 } },
      "table: partitions is 5000; it must be an integer from 1 to 4096",
    ],
    [
      { partitions: [{ name: "server" }, { name: "client", memory: "2MiB" }], adapters: [] },
      'partitions[1]: createPartition: H_NO_MEM ("client", 2097152 bytes in LMBs of 2097152: 1048576 are free)',
    ],
    [{ adapters: [["server", "server"]] }, 'adapters[0]: connect: H_PARAMETER ("server" to "server")'],
  ])("and so is what the library does not make: %j", async (given, problem) => {
    await expect(run([], given)).rejects.toThrow(new ScenarioError(FILE, problem));
  });
});

describe("a step that does not answer as expected ends the run, and says so in one line", () => {
  test.each<readonly [steps: readonly object[], message: string]>([
    [
      [GRANT, { ...ACCEPT, accept: { by: "client", grant: "offer" }, expect: "H_RESCINDED" }],
      "steps[1] (accept by client, grant offer): expected H_RESCINDED, got address 65536, length 8192, type memory, readable yes, writable yes, regrantable yes",
    ],
    [
      [{ load32: { by: "server", address: "1MiB" } }, { audit: {} }],
      "steps[0] (load32 by server, address 1MiB): expected success, got H_LOAD32: H_PARAMETER (address 1048576)",
    ],
    [
      [{ load32: { by: "server", address: "1MiB" }, expect: "H_PERMISSION" }],
      "steps[0] (load32 by server, address 1MiB): expected H_PERMISSION, got H_LOAD32: H_PARAMETER (address 1048576)",
    ],
    [[{ audit: {}, expect: "H_FUNCTION" }], "steps[0] (audit): expected H_FUNCTION, got checked "],
    [
      [{ usage: { partition: "client" }, expect: { pins: 1, grantsIn: 0, grantsOut: 2 } }],
      "steps[0] (usage partition client): expected grantsOut 2, pins 1, got grantsOut 0, pins 0",
    ],
    [
      [{ receive: { by: "client", partner: "third" }, expect: { empty: true } }],
      "steps[0] (receive by client, partner third): expected success, got H_RECEIVE_CRQ: H_CLOSED (unit address ",
    ],
    [
      [{ receive: { by: "server", partner: "third" } }],
      "steps[0] (receive by server, partner third): expected an adapter between server and third, got none",
    ],
    [
      [
        { write: { by: "server", address: 0, data: "help!" } },
        { read: { by: "server", address: 0, length: 5 }, expect: { data: "hello" } },
      ],
      'steps[1] (read by server, address 0, length 5): expected data "hello", got data "help!"; they differ from byte 3 on',
    ],
    [
      [{ read: { by: "server", address: 0, length: 40 }, expect: { data: { length: 41 } } }],
      `steps[0] (read by server, address 0, length 40): expected data 0x${"00".repeat(16)}... (41 bytes), got data 0x${"00".repeat(16)}... (40 bytes); they differ from byte 40 on`,
    ],
    [
      [GRANT, { events: { partition: "client" }, expect: { events: ["rescinded"] } }],
      "steps[1] (events partition client): expected events rescinded, got events none",
    ],
    [
      [FAIL, { random: { operations: 5, partitions: ["server", "third"] } }],
      'steps[1] (random operations 5, partitions ["server","third"]): expected adapters between running partitions, got none',
    ],
    [
      [
        { view: { by: "server", address: 0, length: 4, as: "small" } },
        { writeView: { view: "small", data: "too much" } },
      ],
      'steps[1] (writeView view small, data "too much"): expected success, got offset is out of bounds',
    ],
  ])("%j", async (steps, message) => {
    const report = await run(steps);
    expect(report.outcome).toBe("failed");
    expect(report.failure?.message.slice(0, message.length)).toBe(message);
    expect(report.failure?.message).not.toContain("\n");
    const answered = report.steps.length;
    expect(answered).toBeLessThanOrEqual((report.failure?.index ?? 0) + 1);
    expect(report.audit.problems).toEqual([]);
  });

  it("also when it waits for what never comes: a forced rescind that finds no frame for a page under a view", async () => {
    const more = {
      table: { memory: "64KiB", partitions: 2, grants: 16 },
      partitions: [{ name: "server", memory: "64KiB" }, { name: "client" }],
      adapters: [["server", "client"]],
    };
    const steps = [
      GRANT,
      ACCEPT,
      { view: { by: "client", address: "window", length: "4KiB", as: "glass" } },
      { rescindForced: { by: "server", grant: "offer" } },
      { audit: {} },
    ];
    const report = await run(steps, more, { waitLimitMs: 50 });
    expect(report.failure?.message).toBe(
      "steps[3] (rescindForced by server, grant offer): expected an end within 50 ms, got none yet",
    );
    expect(report.steps).toHaveLength(3);
  });
});

describe("an audit that finds something fails the run", () => {
  afterEach(() => void vi.restoreAllMocks());

  it.each([
    [[{ audit: {} }, GRANT], "steps[0] (audit): expected a clean audit, got frame 1: lost; and 3 more"],
    [[GRANT], "after the last step: expected a clean audit, got frame 1: lost; and 3 more"],
    [[], "after the last step: expected a clean audit, got frame 1: lost; and 3 more"],
  ])("%j", async (steps, message) => {
    const report = { problems: ["frame 1: lost", "and 3 more"], checked: 9 };
    vi.spyOn(ResourceTable.prototype, "audit").mockReturnValue(report);
    expect(await run(steps)).toMatchObject({ outcome: "failed", failure: { message }, audit: report });
  });
});

describe("a run", () => {
  it("is the same for the same seed, and another for another", async () => {
    const answer = async (seed: number): Promise<unknown> =>
      (await run([{ random: { operations: 1000 } }], {}, { seed })).steps[0]?.answer;
    const first = await answer(7);
    expect(await answer(7)).toEqual(first);
    expect(await answer(8)).not.toEqual(first);
  });

  it("tells of each step when it is done, with its note", async () => {
    const told: string[] = [];
    await run(
      [GRANT, { audit: {}, note: "well" }, { audit: {}, expect: "H_CLOSED" }],
      {},
      {
        onStep: ({ index, what, note }) => told.push(`${index} ${what} ${note}`),
      },
    );
    expect(told).toEqual([
      "0 grant by server, to client, address 0, length 8KiB, as offer undefined",
      "1 audit well",
    ]);
  });

  it("counts what each verb answered, and shows the table as it was left", async () => {
    const wrong = { accept: { by: "client", grant: 1 }, expect: "H_PARAMETER" };
    const report = await run([GRANT, wrong, wrong, ACCEPT]);
    expect(report.calls).toEqual({
      grant: { H_SUCCESS: 1 },
      accept: { H_PARAMETER: 2, H_SUCCESS: 1 },
    });
    expect(report.snapshot.partitions.map(({ name }) => name)).toEqual(["server", "client", "third"]);
    expect(report.snapshot.partitions[1]?.grants).toHaveLength(1);
  });

  it("ends when its signal does: between two steps, in a mix, and in a wait", async () => {
    const endless = { random: { operations: 1e8 } };
    for (const steps of [
      [GRANT, endless, ACCEPT],
      [GRANT, endless],
    ]) {
      const controller = new AbortController();
      const onStep = (): void => void setTimeout(() => controller.abort(), 20);
      const report = await run(steps, {}, { signal: controller.signal, onStep });
      expect(report).toMatchObject({ outcome: "interrupted", failure: undefined, audit: { problems: [] } });
      expect(report.steps).toHaveLength(1);
      expect(report.snapshot.partitions.flatMap(({ grants }) => grants)).toHaveLength(1);
    }
    const controller = new AbortController();
    const report = await run(
      [GRANT, ACCEPT, FAIL],
      {},
      {
        signal: controller.signal,
        onStep: ({ index }) => index === 1 && controller.abort(),
      },
    );
    expect(report).toMatchObject({ outcome: "interrupted", steps: [{}, {}] });
  });
});

test("a manual clock calls what comes due in the order of the times, and forgets what was cancelled", () => {
  const clock = new ManualClock();
  const called: string[] = [];
  const say = (word: string, ms: number): { cancel(): void } =>
    clock.setTimeout(() => called.push(`${word} at ${clock.now()}`), ms);
  say("late", 30);
  say("early", 10);
  say("twin", 10);
  say("never", 20).cancel();
  clock.setTimeout(() => say("nested", 5), 12);
  clock.skip();
  expect(called).toEqual(["early at 10", "twin at 10"]);
  clock.advance(10);
  expect(called.slice(2)).toEqual(["nested at 17"]);
  expect(clock.now()).toBe(20);
  clock.skip();
  clock.skip();
  expect([clock.now(), called.at(-1)]).toEqual([30, "late at 30"]);
});

test("random numbers fill their range evenly", () => {
  const random = new Random(1);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 100_000; i++) {
    const drawn = random.below(10);
    counts[drawn] = (counts[drawn] as number) + 1;
  }
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  expect(random.below(1)).toBe(0);
});

test("JSON is read as JSON.parse reads it", () => {
  const texts = [
    "0",
    "-1.5e-3",
    "1E+2",
    '"a\\u00e9\\n\\"\\\\"',
    " [ ] ",
    '[1,"",{},[null,true,false]]',
    '{"a":{"b":[{"":0}]}}',
    '"\\ud83d\\ude00\u{1f600}"',
  ];
  for (const text of texts) expect(parseJson(text)).toEqual(JSON.parse(text));
  for (const text of ["", "-", "1.", ".5", "+1", "nul", "NaN", "'a'", "[1", "[1,,2]", "\u00a01", "1 2"]) {
    expect(() => JSON.parse(text), text).toThrow(SyntaxError);
    expect(() => parseJson(text), text).toThrow(JsonError);
  }
});

describe("files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lpar-scenario-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("that cannot be read, or hold no text, are named", async () => {
    const binary = join(folder, "binary.json");
    await writeFile(binary, Buffer.from([0x7b, 0xff, 0xfe]));
    await expect(readScenario(binary)).rejects.toThrow(new ScenarioError(binary, "is not a text in UTF-8"));
    await expect(readScenario(join(folder, "none"))).rejects.toThrow(
      /none: cannot be read \(ENOENT: no such/,
    );
    await expect(readScenario(folder)).rejects.toThrow(/: cannot be read \(EISDIR: illegal operation/);
    const big = join(folder, "big.json");
    await writeFile(big, " ".repeat(2 ** 24 + 1));
    await expect(readScenario(big)).rejects.toThrow(/has 16777217 bytes; a scenario has at most 16777216/);
  });

  it("may begin with a byte order mark", async () => {
    const marked = join(folder, "marked.json");
    await writeFile(marked, `\ufeff${JSON.stringify({ ...BASE, steps: [] })}`);
    expect((await readScenario(marked)).steps).toEqual([]);
  });
});

describe("the examples", async () => {
  const examples = join(import.meta.dirname, "..", "bench", "scenarios");
  const files = (await readdir(examples)).filter((name) => name.endsWith(".json"));

  it.each(files)("%s passes, and leaves no problem", async (name) => {
    const scenario = await readScenario(join(examples, name));
    expect(scenario.title).toMatch(/^[A-Z].*[^.]$/);
    for (const seed of [1, 2, 3]) {
      const report = await runScenario(scenario, { seed });
      expect(report.failure?.message).toBeUndefined();
      expect(report.outcome).toBe("passed");
    }
  });
});
