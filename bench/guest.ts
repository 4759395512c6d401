/**
 * Suite guest: checked reads and writes that a WebAssembly guest makes itself, between its memory and its partition's, against
 * memory.copy within its own memory and against copies between two memories, which check nothing.
 */
import { compileGuest, type Guest, openGuest } from "../src/index.js";
import { H_SUCCESS } from "../src/layout.js";
import { type Data, digest, makeData, openMemory, PLACES } from "./access.js";
import { inBlocks } from "./measure.js";
import type { Contender, Context, Scenario, Stage } from "./suite.js";

/** test/guests/bench.wat: calls in a loop, so that getting into the guest does not count. A test compares the two. */
export const BENCH_GUEST: string =
  "AGFzbQEAAAABDgJgA3x/fwF/YAJ/fwF/Ah4CBmxwYXJfMQRyZWFkAAAGbHBhcl8xBXdyaXRlAAADBQQBAQEBBQMBAAMHLAUGbWVtb3J5AgAEcmVhZAACBXdy" +
  "aXRlAAMGY29weUluAAQHY29weU91dAAFCsMBBC4BAn8DQCADIAIrAwBBgCAgARAAciEDIAJBCGpB/wNxIQIgAEEBayIADQALIAMLLgECfwNAIAMgAisD" +
  "AEGAICABEAFyIQMgAkEIakH/A3EhAiAAQQFrIgANAAsgAwsxAQF/A0BBgCBBgIAEIAIrAwCraiAB/AoAACACQQhqQf8DcSECIABBAWsiAA0AC0EACzEB" +
  "AX8DQEGAgAQgAisDAKtqQYAgIAH8CgAAIAJBCGpB/wNxIQIgAEEBayIADQALQQAL";

/** Where that guest has its buffer, and what it copies from and to. */
const BUFFER_AT = 4096;
const SOURCE_AT = 65536;

interface Size {
  readonly mode: "read" | "write";
  readonly bytes: number;
  /** Places are multiples of this. */
  readonly alignment: number;
}

/** The same places for everybody. */
function drawData({ bytes, alignment }: Size, seed: number): Data {
  const data = makeData(bytes, seed);
  return { ...data, places: data.places.map((place) => place - (place % alignment)) };
}

function memoryOf(guest: Guest): Uint8Array {
  if (guest.memory === undefined) throw new Error("the guest has no memory");
  return new Uint8Array(guest.memory.buffer);
}

/** What is in the buffer, and in what was written to. */
function describe(buffer: Uint8Array, memory: Uint8Array): string {
  return `buffer ${digest(buffer)}, memory ${digest(memory)}`;
}

function contender({ bytes }: Size, loop: (count: number) => void, result: () => string): Contender {
  const count = PLACES * (bytes < 1024 ? 64 : 8);
  return {
    measure: inBlocks(count, () => loop(count)),
    check: async () => {
      loop(PLACES);
      return result();
    },
  };
}

function openStage(name: string, size: Size, { seed }: Context): Stage {
  const { bytes, mode } = size;
  const data = drawData(size, seed);
  const { table, partition } = openMemory({ mode, bytes, isScattered: false });
  partition.write(0, data.memory);
  const module = compileGuest(Uint8Array.from(atob(BENCH_GUEST), (character) => character.charCodeAt(0)));
  const checked = openGuest(partition, module);
  const within = openGuest(partition, module);
  for (const guest of [checked, within]) {
    const memory = memoryOf(guest);
    memory.set(new Uint8Array(Float64Array.from(data.places).buffer));
    memory.set(data.buffer, BUFFER_AT);
    memory.set(data.memory, SOURCE_AT);
  }
  const run = (guest: Guest, entry: string) => (count: number) => {
    if (guest.call(entry, count, bytes) !== H_SUCCESS) throw new Error("a read or write was refused");
  };
  // Between two memories, one of them shared, as the table's is.
  const other = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const outside = new Uint8Array(other.buffer, 0, data.memory.length);
  outside.set(data.memory);
  const inside = new Uint8Array(new WebAssembly.Memory({ initial: 16 }).buffer, 0, bytes);
  inside.set(data.buffer);
  const copy = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const place = data.places[i % PLACES] as number;
      if (mode === "read") inside.set(outside.subarray(place, place + bytes));
      else outside.set(inside, place);
    }
  };
  const bufferOf = (guest: Guest): Uint8Array => memoryOf(guest).subarray(BUFFER_AT, BUFFER_AT + bytes);
  const inner = memoryOf(within).subarray(SOURCE_AT, SOURCE_AT + data.memory.length);
  return {
    ways: [
      {
        what: name,
        contender: contender(size, run(checked, mode), () =>
          describe(bufferOf(checked), partition.read(0, data.memory.length)),
        ),
        versus: "wasm",
      },
    ],
    baselines: {
      copy: contender(size, copy, () => describe(inside, outside)),
      wasm: contender(size, run(within, mode === "read" ? "copyIn" : "copyOut"), () =>
        describe(bufferOf(within), inner),
      ),
    },
    audit: () => table.audit().problems,
    close: () => table.close(),
  };
}

export function guestScenarios(): readonly Scenario[] {
  const scenario = (name: string, size: Size): Scenario => ({
    name,
    open: async (context) => openStage(name, size, context),
  });
  return (["read", "write"] as const).flatMap((mode) => [
    scenario(`${mode} 64 B`, { mode, bytes: 64, alignment: 8 }),
    scenario(`${mode} 4 KiB`, { mode, bytes: 4096, alignment: 8 }),
    scenario(`${mode} 4 KiB, at odd places`, { mode, bytes: 4096, alignment: 1 }),
  ]);
}
