/** Counts what partitions are told, by type, until it is stopped. */
import { nextTurn } from "../clock.js";
import type { Partition, PartitionEvent } from "../index.js";

export class NoticeCounter {
  readonly counts: Record<string, number> = {};
  readonly #streams: AsyncIterableIterator<PartitionEvent>[] = [];
  readonly #running: Promise<void>[] = [];

  /** From now on; ends by itself when the partition fails. */
  follow(partition: Partition): void {
    const stream = partition.events();
    this.#streams.push(stream);
    this.#running.push(this.#count(stream));
  }

  async #count(stream: AsyncIterable<PartitionEvent>): Promise<void> {
    for await (const { type, count = 1 } of stream) this.counts[type] = (this.counts[type] ?? 0) + count;
  }

  /** Counts what has come until now, and ends. */
  async stop(): Promise<void> {
    await nextTurn();
    for (const stream of this.#streams.splice(0)) await stream.return?.();
    await Promise.all(this.#running.splice(0));
  }
}
