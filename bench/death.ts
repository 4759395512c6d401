/**
 * Suite death: a partition that is a worker thread ends with many grants. From the thread's `exit` event until recovered()
 * resolves; and how fast a right ends that other threads are using.
 */
import type { Partition, PartitionWorker, ResourceTable } from "../src/index.js";
import { type Timed, watchTurns } from "./measure.js";
import { type Death, openRecovery } from "./recovery.js";
import { revocationScenarios } from "./revocation.js";
import type { Scenario } from "./suite.js";
import { IDLE } from "./worlds.js";

/** The partition is a thread, which is terminated. */
class ByExit implements Death {
  #owner: PartitionWorker | undefined;

  async prepare(table: ResourceTable, partition: Partition): Promise<void> {
    this.#owner = await table.spawn(partition, IDLE);
  }

  happen(table: ResourceTable, partition: Partition): Promise<Required<Timed>> {
    return new Promise((resolve, reject) => {
      const worker = this.#owner?.worker;
      // Before the table hears of it: the whole of what it does then counts.
      worker?.prependOnceListener("exit", () => {
        watchTurns(() => table.recovered(partition)).then(resolve, reject);
      });
      void worker?.terminate();
    });
  }
}

export function deathScenarios(quick: boolean): readonly Scenario[] {
  const grants = quick ? 10_000 : 100_000;
  const exits = (["client", "server"] as const).map((role): Scenario => {
    const name = `exit of a ${role} with ${grants.toLocaleString("en-US")} grants`;
    return {
      name,
      open: (context) =>
        openRecovery(name, { role, isScattered: true, grants, seed: context.seed }, context, new ByExit()),
    };
  });
  return [...exits, ...revocationScenarios(quick)];
}
