/**
 * A build of the core for one thread that never stops inside a call: no locks, no undo log, no epochs. What the product
 * costs more is the price of threads and of crash safety.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

export interface BareOrder {
  /** Folder of the package. */
  readonly root: string;
  readonly flags: readonly string[];
}

/** The core, or why there is none. */
export type BareAnswer = WebAssembly.Module | string;

/** As the product is built, which takes long; and as fast as it goes, where figures do not matter. */
const FLAGS = ["-O3", "--converge"];
const QUICK_FLAGS = ["-O1"];

/** By flags: it is compiled once in a run. */
const compiled: Map<boolean, BareAnswer> = new Map();

/** Compiles in a thread of its own, so that the event loop hears of Ctrl-C meanwhile. */
export async function bareCore(isQuick: boolean, signal: AbortSignal | undefined): Promise<BareAnswer> {
  const known = compiled.get(isQuick);
  if (known !== undefined) return known;
  const root = dirname(fileURLToPath(import.meta.resolve("lpar/package.json")));
  const workerData: BareOrder = { root: join(root, "/"), flags: isQuick ? QUICK_FLAGS : FLAGS };
  const worker = new Worker(new URL("./bare-core-worker.js", import.meta.url), { workerData });
  const stop = (): void => void worker.terminate();
  signal?.addEventListener("abort", stop);
  try {
    const answer = await new Promise<BareAnswer>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () => resolve("interrupted"));
    });
    compiled.set(isQuick, answer);
    return answer;
  } finally {
    signal?.removeEventListener("abort", stop);
    await worker.terminate();
  }
}
