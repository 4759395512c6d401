/** Which rows of a full run the README shows: what is asked for most, what is reached, and what loses. */
import type { SuiteName } from "./suite.js";

export interface SelectedRow {
  readonly suite: SuiteName;
  readonly what: string;
}

function of(suite: SuiteName, ...rows: readonly string[]): SelectedRow[] {
  return rows.map((what) => ({ suite, what }));
}

export const SELECTION: readonly SelectedRow[] = [
  ...of(
    "translate",
    "batch, 2^12 pages",
    "batch, 2^16 pages",
    "batch, 2^20 MMIO pages",
    "single, 2^16 pages",
  ),
  ...of(
    "grant",
    "1000 live, 1 page, raw",
    "1000 live, 1 page, objects",
    "1000 live, 16 pages, raw",
    "100000 live, 1 page, raw",
    "100000 live, 1 page, batch",
  ),
  ...of(
    "tree",
    "wide, 100,000 nodes, raw",
    "deep, 100,000 nodes, raw",
    "deep, 1,000 nodes, raw, a thread has joined",
    "wide scattered, 1,000,000 nodes, raw",
    "mixed scattered, 1,000,000 nodes, rescindForced()",
  ),
  ...of("recovery", "dead server, 100,000 grants scattered", "dead client, 100,000 grants"),
  ...of(
    "access",
    "read 64 B",
    "read 4 KiB",
    "read 1 MiB",
    "write 64 B",
    "write 4 KiB",
    "read 4 KiB, threads: 0",
    "write 4 KiB, threads: 0",
    "read 64 B, table's buffer",
    "read 4 KiB, table's buffer",
    "write 4 KiB, table's buffer",
    "read 1 MiB, table's buffer, scattered pages",
  ),
  ...of(
    "contention",
    "one hypercall, locks and undo log",
    "two workers, unrelated grants, raw",
    "two workers, one grant, accept or return",
  ),
  ...of("handoff", "1 MiB, grant each time", "1 MiB, standing grant", "1 MiB, standing grant, spinning"),
  ...of(
    "moves",
    "forced rescind, pages: 1000",
    "forced rescind, pages under views: 1000",
    "forced rescind of 1 page under a view, sharers: 1000",
    "compact 64 MiB",
  ),
  ...of("guest", "read 64 B", "read 4 KiB"),
  ...of("copies", "first write to a copy-on-write page, pages: 1000", "deduplicate 64 MiB, a quarter equal"),
  ...of(
    "dma",
    "TCE put, one by one, raw",
    "TCE indirect, 512 at once, an entry, putIndirect()",
    "device read of 4 KiB through the window",
  ),
  ...of("churn", "sqlite3, objects", "sqlite3, raw"),
  ...of("boundary", "an empty export", "four f64 arguments, a result", "a second result (R4) in memory"),
  ...of("modes", "lend, 1000 live, 1 page"),
  ...of("mmio", "load32, model in the same thread", "load32, from a worker to the owner and back"),
  ...of("kinds", "doorbell, there and back"),
  ...of(
    "death",
    "exit of a server with 100,000 grants",
    "revoke from 1 reader, p50, raw",
    "revoke from 1 reader, p99, raw",
    "revoke from 4 readers, p99, rescindForced()",
  ),
];
