/**
 * What has happened to a table lately: a bounded list, filled where its owner's thread acts on whole partitions, and read by
 * nobody until somebody looks. Grants come and go too often for it: diagnostics.ts tells those, to whoever subscribes.
 */
import type { TableEvent } from "./table-event.js";

/** One thing that happened to a partition, or to the table. */
export interface HistoryEntry {
  /** Counts all entries from 1; what is missing at the front has been dropped. */
  readonly number: number;
  /** Milliseconds of the table's clock. */
  readonly at: number;
  /** What happened. */
  readonly type:
    | Exclude<TableEvent["type"], "events-lost">
    | "partition-created"
    | "partitions-connected"
    | "partners-told"
    | "grace-begun"
    | "grace-over";
  /** 0 of "drift" and "drift-ended", which are the table's. */
  readonly lpid: number;
  /** Its name at that time. */
  readonly name: string;
  /** Its incarnation then, 0 of the table's. */
  readonly incarnation: number;
  /** Why, where there is a reason; of "grace-begun" how long it lasts, or "defer". */
  readonly detail: string;
  /** The lpids that it concerns beside: of "partners-told" who was told, of "partitions-connected" the other one. */
  readonly partners: readonly number[];
}

/** Entries that are kept. */
export const HISTORY_MAX = 512;

/** The last HISTORY_MAX entries. */
export class History {
  readonly #entries: HistoryEntry[] = [];
  #number = 0;

  add(entry: Omit<HistoryEntry, "number">): void {
    this.#entries[this.#number % HISTORY_MAX] = { number: ++this.#number, ...entry };
  }

  /** Oldest first. */
  list(): HistoryEntry[] {
    const next = this.#number % HISTORY_MAX;
    return this.#number <= HISTORY_MAX
      ? [...this.#entries]
      : [...this.#entries.slice(next), ...this.#entries.slice(0, next)];
  }
}
