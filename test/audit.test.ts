/** What audit() says of a word that is wrong, by hand: each word that no other call would complain of at once. */
import { expect, test } from "vitest";
import type { Mapping, Partition, ResourceTable, View } from "../src/index.js";
import { type Kernel, kernelOf } from "../src/kernel.js";
import * as layout from "../src/layout.js";
import { auditedAfterEach, openPair, PAGE } from "./support/world.js";

auditedAfterEach();

interface Sound {
  readonly kernel: Kernel;
  readonly table: ResourceTable;
  readonly server: Partition;
  readonly client: Partition;
  readonly mapping: Mapping;
  readonly views: readonly [View, View];
}

/** Where a partition's record is; with an offset, one of its words. */
function partitionAt({ kernel }: Sound, { lpid }: Partition, offset = 0): number {
  return kernel.memory.header(layout.HEADER_PARTITIONS_AT) + lpid * layout.PARTITION_BYTES + offset;
}

function slotOf({ mapping }: Sound): number {
  return mapping.cookie % layout.COOKIE_SLOTS;
}

function structureAt(sound: Sound, offset: number): number {
  return layout.STRUCTURES_AT + slotOf(sound) * layout.STRUCTURE_BYTES + offset;
}

/** The byte offset of the wrong word, its wrong value as of the right one, and what is said of it first. */
type Wrong = readonly [
  what: string,
  place: (sound: Sound) => number,
  value: (right: number) => number,
  text: string,
];

const WRONG: readonly Wrong[] = [
  [
    "RE2: pins of a structure that no view has",
    (sound) => structureAt(sound, layout.STRUCTURE_HOLDER),
    (right) => right + 0x10000,
    "pins: 2 counted, 3 on record",
  ],
  [
    "AC1: level 1 of a map of free pages",
    (sound) => {
      const at = partitionAt(sound, sound.client, layout.PARTITION_SPACES);
      const words = (sound.kernel.memory.header(at + layout.SPACE_PAGES) + 63) >> 6;
      return sound.kernel.memory.header(at + layout.SPACE_MAP) + words * 8;
    },
    (right) => right & ~2,
    "free map of memory, partition 2: wrong at 64",
  ],
  [
    "TR4: head of a partition's views",
    (sound) => partitionAt(sound, sound.client, layout.PARTITION_PIN_LIST),
    () => 0,
    "pin 2: does not fit its frames, its structure or its list",
  ],
  [
    "TR4: free list of views",
    () => layout.HEADER_PIN_FREE,
    () => 0,
    "pin 0: does not fit its frames, its structure or its list",
  ],
  [
    "GR6: adapters that were never used",
    () => layout.HEADER_END_FRESH,
    (right) => right + 5,
    "adapter end 0",
  ],
  [
    "G5: map of staging",
    ({ kernel }) => kernel.memory.header(layout.HEADER_STAGING_MAP_AT),
    (right) => right & ~1,
    "free map of staging, partition 0: wrong at 0",
  ],
  [
    "FA4: level 1 of the map of frames",
    ({ kernel }) => {
      const words = (kernel.memory.header(layout.HEADER_FRAMES_MAX) + 63) >> 6;
      return kernel.memory.header(layout.HEADER_FRAME_MAP_AT) + words * 8;
    },
    (right) => right & ~8,
    "free map of frames, partition 0: wrong at 192",
  ],
  [
    "TR5: a page that is neither free nor allocated",
    (sound) => sound.kernel.memory.header(partitionAt(sound, sound.client, layout.PARTITION_ARENA_MAP)),
    (right) => right & ~0x10000,
    "free map of allocations, partition 2: wrong at 16",
  ],
  [
    "TR5: an allocation that goes on",
    (sound) => sound.kernel.memory.header(partitionAt(sound, sound.client, layout.PARTITION_ARENA_ENDS)),
    (right) => right & ~4,
    "free map of allocations, partition 2: wrong at 2",
  ],
  [
    "RS6: pages that a rescind has moved, without a rescind",
    (sound) => structureAt(sound, layout.STRUCTURE_MOVED),
    () => 1,
    "revocation flags that do not fit together",
  ],
  [
    "G6: a grant below one that nothing is granted on",
    (sound) => structureAt(sound, layout.STRUCTURE_CHILD),
    () => 1,
    "the tree does not link with 1",
  ],
  [
    "FA6: the first of the grants that a partition has not received",
    (sound) => partitionAt(sound, sound.server, layout.PARTITION_HELD),
    () => 1,
    "structure 1: its holder's list does not link with 0",
  ],
  [
    "FA6: the first of the ends of partitions that are gone, where there are none",
    () => layout.HEADER_END_ORPHANS,
    () => 1,
    "adapter end 1: state or links",
  ],
  [
    "TR4: the first of the views that a partition has not taken",
    (sound) => partitionAt(sound, sound.server, layout.PARTITION_PIN_LIST),
    () => 1,
    "pin 1: does not fit",
  ],
  [
    "GR5: a restriction of an elemental resource",
    () => layout.STRUCTURES_AT + layout.STRUCTURE_BYTES,
    (right) => right | (layout.INHIBIT_READ << 16),
    "flags that do not fit together",
  ],
  [
    "KI4: rights of devices behind a page of the bus where nothing was put",
    ({ kernel: { memory } }) =>
      memory.header(layout.HEADER_TABLES_AT) + memory.header(layout.HEADER_TABLE_BYTES) - 16,
    () => layout.TCE_READ << layout.TCE_RIGHTS_SHIFT,
    "a TCE that does not fit",
  ],
  [
    "CQ2: where the next entry of a queue comes, beyond its ring",
    ({ kernel: { memory } }) =>
      memory.header(layout.HEADER_ENDS_AT) + 2 * layout.END_BYTES + layout.END_QUEUE_TAIL,
    () => layout.QUEUE_ENTRIES_PER_PAGE,
    "adapter end 2: its queue",
  ],
  [
    "OM2: a lent page that a write would copy",
    (sound) => sound.kernel.memory.header(partitionAt(sound, sound.server, layout.PARTITION_SPACES)) + 4 * 4,
    (right) => (right | layout.ENTRY_COPY_ON_WRITE) >>> 0,
    "the page table entry of page 4 does not fit",
  ],
];

test.each(WRONG)("%s is a problem for audit()", (_, place, value, text) => {
  const { table, server, client, adapter } = openPair({
    memory: 256 * PAGE,
    serverPages: 70,
    clientPages: 70,
  });
  client.allocate(3 * PAGE);
  const mapping = client.accept(server.grant({ to: adapter, address: 0, length: PAGE }));
  const views = [client.view(mapping.address, PAGE), client.view(0, PAGE)] as const;
  client.view(PAGE, PAGE).release();
  client.registerQueue(adapter.peer, 60 * PAGE, PAGE);
  server.grant({ to: adapter, address: 4 * PAGE, length: PAGE, mode: "lend" });
  const kernel = kernelOf(table);
  const sound: Sound = { kernel, table, server, client, mapping, views };
  expect(table.audit().problems).toEqual([]);
  const { words } = kernel.memory;
  const at = place(sound) / 4;
  const right = words[at] as number;
  words[at] = value(right);
  const { problems } = table.audit();
  words[at] = right;
  expect(problems[0]).toContain(text);
  expect(problems.length).toBeLessThan(70);
  for (const view of views) view.release();
});
