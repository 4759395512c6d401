/** Counting instructions (bench/steps): that it finds the operation's, and whose they are. How many there are is not asserted. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const COUNT = fileURLToPath(new URL("../bench/steps/count.mjs", import.meta.url));

/** In an empty folder, in which it leaves nothing. */
async function count(...args: readonly string[]): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), "lpar-steps-test-"));
  const { stdout } = await promisify(execFile)(process.execPath, [COUNT, ...args], { cwd });
  expect(await readdir(cwd)).toEqual([]);
  await rm(cwd, { recursive: true });
  return stdout;
}

test("without a scenario they are listed", async () => {
  expect(await count("grant")).toMatch(/^0 {2}1000 live, 1 page\n1 {2}/);
});

test.runIf(process.platform === "linux" && process.arch === "x64")(
  "a cycle of raw calls is some hundred instructions of the core, of the functions that it calls",
  async () => {
    const [first = "", ...functions] = (await count("grant", "0", "1", "5")).split("\n");
    const [, all] = /^(\d+\.\d) instructions an operation$/.exec(first) ?? [];
    const found = new Map(
      functions
        .map((line) => /^ *(\d+\.\d) {2}(.*)$/.exec(line))
        .map((match) => [match?.[2], Number(match?.[1])]),
    );
    let sum = 0;
    for (const name of ["grantLogical", "acceptLogical", "returnLogical", "rescindLogical"]) {
      const instructions = found.get(`core hcall-logical/${name}`);
      expect(instructions, name).toBeGreaterThan(50);
      sum += instructions ?? 0;
    }
    expect(Number(all)).toBeGreaterThan(sum);
    expect(Number(all)).toBeLessThan(10_000);
  },
);
