/** What a worker does to have all locks, as only bad luck would have it. */
import type { Inside } from "./remote.js";

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
