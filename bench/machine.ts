/** Where a benchmark ran, and what: figures mean little without it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from "node:os";
import { dirname } from "node:path";
import { versions } from "node:process";
import { fileURLToPath } from "node:url";
import { coreBytes } from "../src/inlined.js";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  readonly v8: string;
  /** Version of this package. */
  readonly lpar: string;
  /** Of the package's checkout, with "+" behind it if files differ from it; null if it is none. */
  readonly commit: string | null;
  /** Begin of the SHA-256 of the core that was measured: dist/core.wasm of the same build has it. */
  readonly core: string;
  /** Processes that wanted to run in the last minute: above 1 or so, others disturb the figures. */
  readonly load: number;
}

export function describeMachine(): Machine {
  const packageFile = fileURLToPath(import.meta.resolve("lpar/package.json"));
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${platform()} ${arch()}`,
    node: versions.node,
    v8: versions.v8,
    lpar: JSON.parse(readFileSync(packageFile, "utf8")).version,
    commit: commitOf(dirname(packageFile)),
    core: createHash("sha256").update(coreBytes(true)).digest("hex").slice(0, 12),
    load: currentLoad(),
  };
}

export function currentLoad(): number {
  return loadavg()[0] ?? 0;
}

function commitOf(folder: string): string | null {
  const git = (...args: readonly string[]): string =>
    execFileSync("git", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    // The package may be installed inside somebody else's checkout.
    if (realpathSync(git("rev-parse", "--show-toplevel")) !== realpathSync(folder)) return null;
    const changed = git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+";
    return git("rev-parse", "--short=12", "HEAD") + changed;
  } catch {
    // No git, or no checkout.
    return null;
  }
}
