/**
 * What a replay counts while it calls, and whether it adds up with what stands in the end: with the pages that the
 * clients and the relay believe to hold, and with what the table itself says.
 */

/** Counts of calls and answers. Whoever makes the call counts it; nothing here is read from the table. */
export class Ledger {
  /** References done, each with all its translations. */
  references = 0;
  /** Translations that succeeded; a reference that reads and writes takes two. */
  ok = 0;
  /** References answered H_PARAMETER: no mapping yet, or none any more. */
  notMapped = 0;
  /** References answered H_PERMISSION: a write to a page that may only be read. */
  permission = 0;
  /** References answered H_RESCINDED: the mapping was taken back by force, or lost with the server. */
  rescinded = 0;
  /** Mappings that a client gave up for another page. */
  evictions = 0;
  /** Pages copied to a private one that may be written. */
  copies = 0;
  /** Grants from the server to a client. */
  directGrants = 0;
  /** Grants from the server to the relay. */
  relayGrants = 0;
  /** Grants from the relay to a client, two deep. */
  regrants = 0;
  accepts = 0;
  /** Returns of mappings that stood. */
  returns = 0;
  /** Returns of mappings that were rescinded before (RE5). */
  rescindedReturns = 0;
  /** Normal rescinds. */
  rescinds = 0;
  /** Forced rescinds, and the grants that they tore down. */
  forcedRescinds = 0;
  tornDown = 0;
  /** Grants that were rescinded because the server had failed. */
  lost = 0;
  /** References that had to wait for the server, and those that were done in its grace period. */
  stalls = 0;
  graceReferences = 0;
  crashes = 0;
  /** Most grants that had a control structure at once. */
  grantsMost = 0;
  /** What was found wrong on the way: data that is not what the owner wrote, a frame that is not the owner's. */
  readonly faults: string[] = [];

  get grants(): number {
    return this.directGrants + this.relayGrants + this.regrants;
  }

  get pageFaults(): number {
    return this.notMapped + this.rescinded;
  }

  /** Grants that have a control structure now, rescinded ones that are not returned yet included. */
  get structures(): number {
    return this.grants - this.rescinds - this.rescindedReturns;
  }

  /** A grant that was just made is accepted. */
  countAccept(): void {
    this.accepts++;
    if (this.structures > this.grantsMost) this.grantsMost = this.structures;
  }

  /** Only the first ones matter: the rest follows from them. */
  noteFault(fault: string): void {
    if (this.faults.length < 16) this.faults.push(fault);
  }
}

/** Mappings that stand, and such as are rescinded but not returned. */
export interface Standing {
  readonly mapped: number;
  readonly rescinded: number;
}

/** The table's own counters, summed over its partitions. */
export interface TableCounts extends Standing {
  readonly grantsOut: number;
  readonly grantsIn: number;
}

/** Notices that partitions were sent, by type; "events-lost" is the number of those that did not fit a ring. */
export type NoticeCounts = Readonly<Record<string, number>>;

type Equation = readonly [what: string, left: number, right: number];

function unequal(equations: readonly Equation[]): string[] {
  return equations
    .filter(([, left, right]) => left !== right)
    .map(([what, left, right]) => `${what}: ${left} is not ${right}`);
}

/**
 * What does not add up, in words.
 * @param needs rights that the references done so far needed, counted from the traces.
 * @param believed what the clients and the relay believe to hold.
 */
export function balanceProblems(
  ledger: Ledger,
  needs: number,
  believed: Standing,
  table: TableCounts,
): string[] {
  const taken = ledger.tornDown + ledger.lost;
  return unequal([
    ["translations that succeeded = rights that the references need", ledger.ok, needs],
    [
      "grants to clients = page faults + copies",
      ledger.directGrants + ledger.regrants,
      ledger.pageFaults + ledger.copies,
    ],
    ["refused writes = copies", ledger.permission, ledger.copies],
    ["accepts = grants", ledger.accepts, ledger.grants],
    ["returns = rescinds", ledger.returns, ledger.rescinds],
    [
      "grants = rescinds + torn down by force + lost by the crash + standing",
      ledger.grants,
      ledger.rescinds + taken + believed.mapped,
    ],
    [
      "rescinded by force or crash = returned since + still to be returned",
      taken,
      ledger.rescindedReturns + believed.rescinded,
    ],
    ["grants in the table (out) = standing", table.grantsOut, believed.mapped],
    ["grants in the table (in) = standing", table.grantsIn, believed.mapped],
    ["pages mapped in the table = standing", table.mapped, believed.mapped],
    ["rescinded in the table = still to be returned", table.rescinded, believed.rescinded],
  ]);
}

/** What partitions should have been told and were not, or the other way round. */
export function noticeProblems(ledger: Ledger, partners: number, notices: NoticeCounts): string[] {
  const total = Object.values(notices).reduce((sum, count) => sum + count, 0);
  const failures = ledger.crashes * partners;
  return unequal([
    ["partner-failed notices = partners of the server", notices["partner-failed"] ?? 0, failures],
    ["partner-recovered notices = partners of the server", notices["partner-recovered"] ?? 0, failures],
    [
      "notices = returns + rescinded by force or crash + failures and recoveries",
      total,
      ledger.returns + ledger.tornDown + ledger.lost + 2 * failures,
    ],
  ]);
}
