/** Debug mode: a view that is dropped without release() is told of, and nothing else happens. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ResourceTable } from "../src/index.js";
import { REMOTE, Remote, within } from "./support/remote.js";
import { auditedAfterEach, openPair, PAGE } from "./support/world.js";

auditedAfterEach();

const CHILD = fileURLToPath(new URL("./support/dropped-view.mjs", import.meta.url));

interface Seen {
  readonly warnings: readonly { name: string; code: string; message: string; detail: string }[];
  readonly pins?: number;
  readonly isWhole: boolean;
  readonly kept: number;
}

async function drop(mode: string): Promise<Seen> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--expose-gc",
    "--no-warnings",
    CHILD,
    mode,
  ]);
  return JSON.parse(stdout) as Seen;
}

test("TR4: in debug mode a view that is garbage collected without release() is told of by where it was taken, and stays pinned", async () => {
  const { warnings, pins, isWhole, kept } = await drop("on");
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatchObject({ name: "LparWarning", code: "LPAR_VIEW_DROPPED" });
  expect(warnings[0]?.message).toContain("partition 1, address 4096, length 100");
  expect(warnings[0]?.message).toMatch(/taken at takeAndDrop .*dropped-view\.mjs:\d+:\d+/);
  expect(warnings[0]?.detail).toContain("dropped-view.mjs");
  // The one that is kept, and the one that is gone.
  expect({ pins, isWhole, kept }).toEqual({ pins: 2, isWhole: true, kept: 16 });
});

test("TR4: without debug nothing is told, and the pins are the same", async () => {
  expect(await drop("off")).toEqual({ warnings: [], pins: 2, isWhole: true, kept: 16 });
});

test("TR4: once the table is closed nothing is told", async () => {
  expect(await drop("closed")).toMatchObject({ warnings: [], isWhole: true });
});

test("TR4: debug mode is passed on to worker threads; views in use follow pages that move as ever", async () => {
  const { table, server, client, adapter } = openPair({ debug: true, gracePeriodMs: 0 });
  const worker = await table.spawn(client, REMOTE);
  const remote = new Remote(worker.worker);
  const isDebug = await within(
    remote.run(({ handle }) => handle.debug),
    "the worker",
  );
  expect(isDebug).toBe(true);
  const view = server.view(0, PAGE);
  const before = view.bytes.byteOffset;
  const cookie = server.grant({ to: adapter, address: 0, length: PAGE });
  await within(
    remote.run(({ partition, kept }, cookie) => {
      kept.mapping = partition.accept(cookie as never);
      kept.view = partition.view(kept.mapping.address, kept.mapping.length);
    }, cookie as number),
    "the view",
  );
  await server.rescindForced(cookie);
  expect(view.bytes.byteOffset).not.toBe(before);
  view.release();
  await worker.terminate();
});

test("debug must be true or false", () => {
  expect(() => ResourceTable.create({ memory: PAGE, debug: 1 as never })).toThrow(RangeError);
});
