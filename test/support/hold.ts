/** What a worker does to have all locks, as only bad luck would have it. */
import { HcallError, type Partition } from "../../src/index.js";
import { type Inside, sleep } from "./remote.js";

/** Takes all locks as a call does that stops half way. */
export function hold({ partition, layout, handle }: Inside): void {
  partition.state;
  const words = new Uint32Array(handle.memory.buffer);
  const thread = (words[layout.HEADER_THREADS_AT / 4] ?? 0) + handle.slot * layout.THREAD_BYTES;
  const name = words[(thread + layout.THREAD_NAME) / 4] ?? 0;
  words[(thread + layout.THREAD_LOCK_A) / 4] = layout.LOCK_ALL;
  const take = (lock: number): void => {
    while (Atomics.compareExchange(words, lock / 4, 0, name) !== 0) {}
  };
  take(layout.HEADER_LOCK);
  for (let lpid = 1; lpid <= (words[layout.HEADER_LPIDS_USED / 4] ?? 0); lpid++) {
    take(
      (words[layout.HEADER_PARTITIONS_AT / 4] ?? 0) + lpid * layout.PARTITION_BYTES + layout.PARTITION_LOCK,
    );
  }
}

/** The same, and then something that never comes back; to be sent to a worker. */
export function holdAnd(stay: () => void): (inside: Inside) => void {
  return new Function("inside", `(${hold})(inside); (${stay})()`) as (inside: Inside) => void;
}

/** Until a worker has all locks. The call that asks changes nothing, whenever that comes: no allocation starts at an odd address. */
export async function untilLocked(partition: Partition): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    try {
      partition.free(1);
    } catch (error) {
      if (!(error instanceof HcallError)) throw error;
      if (error.code === "H_LongBusyOrder10msec") return;
    }
    await sleep(5);
  }
  throw new Error("the worker has not locked the table");
}
