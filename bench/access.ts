/** Suite access: checked reads, writes and views of a partition's memory, against copies that check nothing. */
import { type Cookie, type Partition, ResourceTable } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { inBlocks } from "./measure.js";
import { Random } from "./random.js";
import type { Contender, Context, Scenario, Stage, Target } from "./suite.js";

type Mode = "read" | "write" | "view";

/** The places are few, so that copies are made in cache as memcpy's are. */
export const PLACES = 64;
const MARGIN = 16384;

export const CHECKED: Target = {
  text: "30 ns + 1.1 x native",
  reach: ({ native }) => (native === undefined ? undefined : 30 + 1.1 * native),
  aim: ({ native }) => (native === undefined ? undefined : 15 + native),
};

export interface Size {
  readonly mode: Mode;
  readonly bytes: number;
  /** Whether the pages lie apart in physical memory, in reverse. */
  readonly isScattered: boolean;
}

export interface Data {
  readonly memory: Uint8Array;
  readonly buffer: Uint8Array;
  readonly places: readonly number[];
}

export function makeData(bytes: number, seed: number): Data {
  const random = new Random(seed);
  const memory = Uint8Array.from({ length: bytes + MARGIN }, () => random.next());
  const buffer = Uint8Array.from({ length: bytes }, () => random.next());
  return { memory, buffer, places: Array.from({ length: PLACES }, () => random.below(MARGIN)) };
}

export function digest(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum = (Math.imul(sum, 31) + (bytes[i] as number)) | 0;
  return sum >>> 0;
}

function describe(memory: Uint8Array, buffer: Uint8Array): string {
  return `memory ${digest(memory)}, buffer ${digest(buffer)}`;
}

/** A partition with memory of its own, or that of a server whose pages it has accepted last first. */
export function openMemory(
  size: Size,
  module?: WebAssembly.Module,
): { table: ResourceTable; partition: Partition } {
  const pages = Math.ceil((size.bytes + MARGIN) / PAGE_BYTES);
  const table = ResourceTable.create({
    memory: pages * PAGE_BYTES,
    partitions: 2,
    grants: pages + 16,
    ...(module === undefined ? {} : { module }),
  });
  const server = table.createPartition({ name: "server", memory: pages * PAGE_BYTES });
  if (!size.isScattered) return { table, partition: server };
  const client = table.createPartition({ name: "client" });
  const to = table.connect(server, client);
  const cookies: Cookie[] = [];
  for (let page = pages - 1; page >= 0; page--) {
    cookies.push(server.grant({ to, address: page * PAGE_BYTES, length: PAGE_BYTES }));
  }
  for (const cookie of cookies) client.accept(cookie);
  return { table, partition: client };
}

/** Through a partition. */
export function checked(
  partition: Partition,
  { memory, buffer: original, places }: Data,
  size: Size,
): Contender {
  partition.write(0, memory);
  const buffer = original.slice();
  const loops: Record<Mode, () => void> = {
    read: () => {
      for (const place of places) partition.readInto(place, buffer);
    },
    write: () => {
      for (const place of places) partition.write(place, buffer);
    },
    view: () => {
      for (const place of places) {
        const view = partition.view(place, size.bytes);
        buffer[0] = view.bytes[0] as number;
        view.release();
      }
    },
  };
  return contender(size, loops[size.mode], () => describe(partition.read(0, memory.length), buffer));
}

function contender({ bytes }: Size, loop: () => void, result: () => string): Contender {
  // Short copies are repeated, so that the clock does not count.
  const rounds = bytes < 1024 ? 64 : 1;
  return {
    measure: inBlocks(rounds * PLACES, () => {
      for (let round = 0; round < rounds; round++) loop();
    }),
    check: async () => {
      loop();
      return result();
    },
  };
}

/** The same with typed arrays, without any check. */
export function plain(data: Data, size: Size): Contender {
  const memory = data.memory.slice();
  const buffer = data.buffer.slice();
  const { bytes } = size;
  const loops: Record<Mode, () => void> = {
    read: () => {
      for (const place of data.places) buffer.set(memory.subarray(place, place + bytes));
    },
    write: () => {
      for (const place of data.places) memory.set(buffer, place);
    },
    view: () => {
      for (const place of data.places) {
        const view = memory.subarray(place, place + bytes);
        buffer[0] = view[0] as number;
      }
    },
  };
  return contender(size, loops[size.mode], () => describe(memory, buffer));
}

async function openStage(name: string, size: Size, { seed, native }: Context): Promise<Stage> {
  const data = makeData(size.bytes, seed);
  const { table, partition } = openMemory(size);
  const { mode, bytes } = size;
  const nativeContender = mode === "view" ? undefined : await native?.setUp("access", mode, bytes, seed);
  return {
    ways: [
      {
        what: name,
        contender: checked(partition, data, size),
        ...(mode === "view" ? {} : { target: CHECKED }),
      },
    ],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      copy: plain(data, size),
    },
    audit: () => table.audit().problems,
    close: async () => {
      await nativeContender?.close();
      await table.close();
    },
  };
}

export function accessScenarios(): readonly Scenario[] {
  const sizes: readonly (readonly [name: string, bytes: number])[] = [
    ["64 B", 64],
    ["4 KiB", 4096],
    ["1 MiB", 2 ** 20],
  ];
  const scenario = (name: string, size: Size): Scenario => ({
    name,
    open: (context) => openStage(name, size, context),
  });
  return [
    ...(["read", "write"] as const).flatMap((mode) => [
      ...sizes.map(([name, bytes]) => scenario(`${mode} ${name}`, { mode, bytes, isScattered: false })),
      scenario(`${mode} 1 MiB, scattered pages`, { mode, bytes: 2 ** 20, isScattered: true }),
    ]),
    scenario("view() and release(), 4 KiB", { mode: "view", bytes: 4096, isScattered: false }),
  ];
}
