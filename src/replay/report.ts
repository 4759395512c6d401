/** What a replay found: the numbers that the command prints, and that --json prints as they are. */
import type { ResourceTable } from "../index.js";
import { PAGE_BYTES, STRUCTURE_BYTES } from "../layout.js";
import { mapBytes } from "../regions.js";
import type { Client } from "./client.js";
import type { Ledger, NoticeCounts } from "./ledger.js";
import type { CheckedOptions } from "./options.js";
import type { SharingPlan } from "./plan.js";

/** One trace. */
export interface ClientReport {
  readonly name: string;
  readonly references: number;
  /** Of them, how many were done. */
  readonly done: number;
  readonly pages: number;
  /** Of them, how many were common at the start. */
  readonly commonPages: number;
}

export interface CrashReport {
  /** References done when the server failed. */
  readonly at: number;
  readonly graceMs: number;
  /** From the failure to the reconnection, the grace period included. */
  readonly downMs: number;
  /** The part of it that came after the grace period, or after what was done in it: all was taken back, freed, started
   *  and connected again. */
  readonly recoveryMs: number;
  readonly lostMappings: number;
  /** References done in the grace period, by the mappings that still stood. */
  readonly graceReferences: number;
  /** Clients that had to wait for the server. */
  readonly stalls: number;
}

export interface MemoryReport {
  /** The whole table: tables, batches and frames. */
  readonly tableBytes: number;
  readonly frameBytes: number;
  readonly bytesPerStructure: number;
  /** Of one page of a logical space: its entry, the structure that it belongs to, its bits in the free map. */
  readonly bytesPerPage: number;
  /** Most grants that stood, or waited to be returned, at once. */
  readonly grantsMost: number;
}

export interface ReplayReport {
  readonly version: number;
  /** Ended before the end of the traces: nothing was torn down, audited or balanced. */
  readonly interrupted: boolean;
  readonly options: Omit<CheckedOptions, "resident"> & { readonly resident: number | null };
  readonly clients: readonly ClientReport[];
  /** Common pages, and how many of them have two sharers or more. */
  readonly commonPages: number;
  readonly sharedPages: number;
  readonly references: number;
  readonly done: number;
  /** Without the time for which nobody could run because the server was down. */
  readonly seconds: number;
  readonly referencesPerSecond: number;
  readonly translations: {
    readonly ok: number;
    readonly notMapped: number;
    readonly permission: number;
    readonly rescinded: number;
  };
  readonly pageFaults: number;
  readonly evictions: number;
  readonly copies: number;
  readonly grants: number;
  readonly regrants: number;
  readonly accepts: number;
  readonly returns: number;
  readonly rescindedReturns: number;
  readonly rescinds: {
    readonly normal: number;
    readonly forced: number;
    /** Grants that the forced ones tore down. */
    readonly tornDown: number;
  };
  readonly crash: CrashReport | null;
  readonly notices: NoticeCounts;
  readonly memory: MemoryReport;
  /** Page faults over the course of the replay, in steps of the same number of references. */
  readonly chart: { readonly pageFaults: readonly number[]; readonly crashColumn: number | null };
  /** Facts that the audits looked at. */
  readonly audited: number;
  /** What the audits found, what does not add up, what was read and not written. Empty if all is well. */
  readonly problems: readonly string[];
}

/** What the run loop adds to the ledger. */
export interface RunFacts {
  readonly interrupted: boolean;
  readonly seconds: number;
  readonly crash: CrashReport | null;
  readonly notices: NoticeCounts;
  readonly pageFaults: readonly number[];
  readonly audited: number;
  readonly problems: readonly string[];
}

export function reportOf(
  clients: readonly Client[],
  plan: SharingPlan,
  options: CheckedOptions,
  memory: MemoryReport,
  ledger: Ledger,
  facts: RunFacts,
): ReplayReport {
  const references = clients.reduce((sum, { trace }) => sum + trace.length, 0);
  const { crash } = facts;
  return {
    version: 1,
    interrupted: facts.interrupted,
    options: { ...options, resident: options.resident ?? null },
    clients: clients.map(({ partition, trace, position }, index) => ({
      name: partition.name,
      references: trace.length,
      done: position,
      pages: trace.pages.length,
      commonPages: plan.traces[index]?.common.reduce((sum, common) => sum + (common < 0 ? 0 : 1), 0) ?? 0,
    })),
    commonPages: plan.commonPages,
    sharedPages: plan.sharedPages,
    references,
    done: ledger.references,
    seconds: facts.seconds,
    referencesPerSecond: facts.seconds > 0 ? ledger.references / facts.seconds : 0,
    translations: {
      ok: ledger.ok,
      notMapped: ledger.notMapped,
      permission: ledger.permission,
      rescinded: ledger.rescinded,
    },
    pageFaults: ledger.pageFaults,
    evictions: ledger.evictions,
    copies: ledger.copies,
    grants: ledger.grants,
    regrants: ledger.regrants,
    accepts: ledger.accepts,
    returns: ledger.returns,
    rescindedReturns: ledger.rescindedReturns,
    rescinds: { normal: ledger.rescinds, forced: ledger.forcedRescinds, tornDown: ledger.tornDown },
    crash,
    notices: facts.notices,
    memory: { ...memory, grantsMost: ledger.grantsMost },
    chart: {
      pageFaults: facts.pageFaults,
      crashColumn: crash === null ? null : chartColumn(crash.at, references, facts.pageFaults.length),
    },
    audited: facts.audited,
    problems: facts.problems,
  };
}

/** The column of a chart in which a reference lies. */
export function chartColumn(done: number, references: number, columns: number): number {
  return Math.min(columns - 1, Math.floor((done / references) * columns));
}

/** What a table takes; its capacities never change. */
export function memoryOf(table: ResourceTable, logicalPages: number): MemoryReport {
  const { counters } = table.inspect();
  return {
    tableBytes: counters.tableBytes ?? 0,
    frameBytes: (counters.frames ?? 0) * PAGE_BYTES,
    bytesPerStructure: STRUCTURE_BYTES,
    bytesPerPage: 8 + mapBytes(logicalPages) / logicalPages,
    grantsMost: 0,
  };
}
