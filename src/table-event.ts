/** What a table tells its owner. */

/** Something that happened to the table, seen by its owner. */
export interface TableEvent {
  /** What happened; `lpid` says to whom. */
  readonly type:
    | "partition-failed"
    | "partition-recovered"
    | "partition-restarted"
    | "partition-destroyed"
    | "partition-given-up"
    | "drift"
    | "drift-ended"
    | "events-lost";
  /** 0 of "drift", "drift-ended" and "events-lost", which are the table's. */
  readonly lpid: number;
  /** Milliseconds of the table's clock. */
  readonly at: number;
  /** Of "partition-failed": what fail() was told, or how the thread ended. Of "partition-given-up": why.
   *  Of "drift" and "drift-ended": the problems that were confirmed, or are gone. */
  readonly reason?: string;
  /** Of "events-lost": how many came while the stream kept 16,384 that nobody had read. */
  readonly count?: number;
}
