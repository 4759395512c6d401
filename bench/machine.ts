/** Where a benchmark ran: figures mean little without it. */
import { createHash } from "node:crypto";
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from "node:os";
import { versions } from "node:process";
import { coreBytes } from "../src/inlined.js";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  readonly v8: string;
  /** Begin of the SHA-256 of the core that was measured: dist/core.wasm of the same build has it. */
  readonly core: string;
  /** Processes that wanted to run in the last minute: above 1 or so, others disturb the figures. */
  readonly load: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${platform()} ${arch()}`,
    node: versions.node,
    v8: versions.v8,
    core: createHash("sha256").update(coreBytes()).digest("hex").slice(0, 12),
    load: loadavg()[0] ?? 0,
  };
}
