/** Suite access: checked reads, writes and views of a partition's memory, against copies that check nothing. */
import { type Cookie, type Partition, ResourceTable } from "../src/index.js";
import { PAGE_BYTES } from "../src/layout.js";
import { inBlocks } from "./measure.js";
import { openPages, takePages } from "./page-stream.js";
import { ParameterError } from "./parameter-error.js";
import type { Parameters } from "./parameters.js";
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
  /** Pages of the memory; left out, as few as a range needs. */
  readonly pages?: number;
  /** As TableOptions.threads: with 0 the memory is not shared. */
  readonly threads?: number;
  /** Through a buffer in the table's memory, instead of an array of JavaScript's. */
  readonly isTableBuffer?: boolean;
}

export interface Data {
  readonly memory: Uint8Array;
  readonly buffer: Uint8Array;
  readonly places: Uint32Array;
}

/** @param layout where the ranges lie; left out, at a few random places near each other. */
export function makeData(bytes: number, seed: number, layout?: Layout): Data {
  const random = new Random(seed);
  const memory = Uint8Array.from({ length: layout?.memoryBytes ?? bytes + MARGIN }, () => random.next());
  const buffer = Uint8Array.from({ length: bytes }, () => random.next());
  const places = layout?.places ?? Uint32Array.from({ length: PLACES }, () => random.below(MARGIN));
  return { memory, buffer, places };
}

/** Ranges all over a memory. */
interface Layout {
  readonly memoryBytes: number;
  readonly places: Uint32Array;
}

const PLACES_MAX = 4096;
/** Of all ranges together, so that going over them once takes milliseconds. */
const RANGES_BYTES = 2 ** 26;
/** Every contender has such a memory of its own. */
const PAGES_MAX: number = 2 ** 16;
const PAGES = 4096;

/** Pages as the distribution has them, and a random offset in each, as far as there is room. */
async function layOut(bytes: number, { pages = PAGES, dist }: Parameters, seed: number): Promise<Layout> {
  const random = new Random(seed + 1);
  const memoryBytes = pages * PAGE_BYTES;
  const stream = await openPages(dist ?? { kind: "uniform" }, pages, seed);
  const place = (page: number): number => page * PAGE_BYTES + random.below(PAGE_BYTES);
  const count = Math.min(PLACES_MAX, Math.max(PLACES, Math.floor(RANGES_BYTES / bytes)));
  const places = takePages(stream, count).map((page) => Math.min(place(page), memoryBytes - bytes));
  return { memoryBytes, places };
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
  const pages = size.pages ?? Math.ceil((size.bytes + MARGIN) / PAGE_BYTES);
  const table = ResourceTable.create({
    memory: pages * PAGE_BYTES,
    partitions: 2,
    grants: pages + 16,
    ...(size.threads === undefined ? {} : { threads: size.threads }),
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
  if (size.isTableBuffer) return throughTable(partition, { memory, buffer: original, places }, size);
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
  const { measure, check } = contender(size, places.length, loops[size.mode], () =>
    describe(partition.read(0, memory.length), buffer),
  );
  if (size.mode !== "read") return { measure, check };
  return { measure, check, operation: inTurn(places, (place) => partition.readInto(place, buffer)) };
}

/** One access, each time at the next of the places. */
function inTurn(places: Uint32Array, access: (place: number) => void): () => void {
  let next = 0;
  return () => {
    access(places[next] as number);
    next = next + 1 === places.length ? 0 : next + 1;
  };
}

/** The same through a buffer in the table's memory. */
function throughTable(
  partition: Partition,
  { memory, buffer: original, places }: Data,
  size: Size,
): Contender {
  const buffer = partition.createBuffer(size.bytes);
  buffer.bytes.set(original);
  const loop =
    size.mode === "read"
      ? () => {
          for (const place of places) buffer.read(place);
        }
      : () => {
          for (const place of places) buffer.write(place);
        };
  const { measure, check } = contender(size, places.length, loop, () =>
    describe(partition.read(0, memory.length), buffer.bytes),
  );
  if (size.mode !== "read") return { measure, check };
  return { measure, check, operation: inTurn(places, (place) => buffer.read(place)) };
}

function contender({ bytes }: Size, places: number, loop: () => void, result: () => string): Contender {
  // Short copies are repeated, so that the clock does not count.
  const rounds = bytes < 1024 && places <= PLACES ? 64 : 1;
  return {
    measure: inBlocks(rounds * places, () => {
      for (let round = 0; round < rounds; round++) loop();
    }),
    check: async () => {
      loop();
      return result();
    },
  };
}

/**
 * The same with typed arrays, without any check.
 * @param isShared whether the memory is shared as a table's is: the engine copies that by atomic loads and stores of single
 * bytes or words, which is the most that a copy by Uint8Array.set() can reach there.
 */
export function plain(data: Data, size: Size, isShared: boolean = false): Contender {
  const bytesMax = data.memory.length;
  const memory = new Uint8Array(isShared ? new SharedArrayBuffer(bytesMax) : new ArrayBuffer(bytesMax));
  memory.set(data.memory);
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
  return contender(size, data.places.length, loops[size.mode], () => describe(memory, buffer));
}

async function openStage(
  name: string,
  size: Size,
  parameters: Parameters,
  { seed, native }: Context,
): Promise<Stage> {
  const { mode, bytes, pages } = size;
  const layout = pages === undefined ? undefined : await layOut(bytes, parameters, seed);
  const data = makeData(bytes, seed, layout);
  const { table, partition } = openMemory(size);
  if (layout !== undefined) await native?.load(layout.places);
  const how = layout === undefined ? "drawn" : "loaded";
  const nativeContender =
    mode === "view"
      ? undefined
      : await native?.setUp(
          "access",
          mode,
          bytes,
          data.memory.length,
          data.places.length,
          seed,
          how,
          size.isScattered ? "pages" : "whole",
        );
  return {
    ways: [
      {
        what: name,
        contender: checked(partition, data, size),
        // Places all over a memory cost both the same misses, which hide the rest.
        ...(mode === "view" || pages !== undefined ? {} : { target: CHECKED }),
        ...(mode === "view" ? { versus: "copy" } : {}),
        ...(pages === undefined ? {} : { at: { pages } }),
      },
    ],
    baselines: {
      ...(nativeContender === undefined ? {} : { native: nativeContender }),
      copy: plain(data, size),
      ...(mode === "view" || size.threads === 0 ? {} : { engine: plain(data, size, true) }),
    },
    audit: () => table.audit().problems,
    close: async () => {
      await nativeContender?.close();
      await table.close();
    },
  };
}

/** @throws ParameterError for more pages than every contender can have a memory of. */
export function accessScenarios(_quick: boolean, parameters: Parameters): readonly Scenario[] {
  const { dist } = parameters;
  const pages = parameters.pages ?? (dist === undefined ? undefined : PAGES);
  if (pages !== undefined && pages > PAGES_MAX)
    throw new ParameterError(`the suite access takes --pages of at most ${PAGES_MAX}, but got ${pages}`);
  const all: readonly (readonly [name: string, bytes: number])[] = [
    ["64 B", 64],
    ["4 KiB", 4096],
    ["1 MiB", 2 ** 20],
  ];
  const sizes = all.filter(([, bytes]) => pages === undefined || bytes <= pages * PAGE_BYTES);
  const modes = ["read", "write"] as const;
  const scenario = (
    what: string,
    mode: Mode,
    bytes: number,
    isScattered: boolean,
    { threads, isTableBuffer = false }: { readonly threads?: number; readonly isTableBuffer?: boolean } = {},
  ): Scenario => {
    const name = pages === undefined ? what : `${what}, pages: ${pages.toLocaleString("en-US")}`;
    const size: Size = {
      mode,
      bytes,
      isScattered,
      ...(pages === undefined ? {} : { pages }),
      ...(threads === undefined ? {} : { threads }),
      ...(isTableBuffer ? { isTableBuffer } : {}),
    };
    return { name, open: (context) => openStage(name, size, parameters, context) };
  };
  const [largest, largestBytes] = sizes.at(-1) as readonly [string, number];
  return [
    ...modes.flatMap((mode) => [
      ...sizes.map(([name, bytes]) => scenario(`${mode} ${name}`, mode, bytes, false)),
      scenario(`${mode} ${largest}, scattered pages`, mode, largestBytes, true),
    ]),
    ...modes.flatMap((mode) =>
      sizes
        .filter(([, bytes]) => bytes <= PAGE_BYTES)
        .map(([name, bytes]) => scenario(`${mode} ${name}, threads: 0`, mode, bytes, false, { threads: 0 })),
    ),
    ...modes.flatMap((mode) => [
      ...sizes.map(([name, bytes]) =>
        scenario(`${mode} ${name}, table's buffer`, mode, bytes, false, { isTableBuffer: true }),
      ),
      scenario(`${mode} ${largest}, table's buffer, scattered pages`, mode, largestBytes, true, {
        isTableBuffer: true,
      }),
    ]),
    scenario("view() and release(), 4 KiB", "view", 4096, false),
  ];
}
