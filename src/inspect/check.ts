/**
 * Whether what a snapshot says fits together: counters what they count, rights that only shrink, ranges inside what they were
 * granted from, quotas kept. The core's audit looks at every record; this needs nothing but the snapshot, wherever it comes from.
 */
import type { AuditReport } from "../audit.js";
import type { GrantSnapshot, PartitionSnapshot, TableSnapshot } from "../snapshot.js";
import { printable } from "./words.js";

class Findings {
  readonly problems: string[] = [];
  checked = 0;

  expect(holds: boolean, problem: () => string): void {
    this.checked++;
    if (!holds) this.problems.push(problem());
  }

  /** Two figures that must be the same. */
  same(what: string, counted: number, said: number | undefined): void {
    this.expect(counted === said, () => `${what}: ${counted} counted, ${said ?? "nothing"} on record`);
  }
}

function isStanding({ state }: GrantSnapshot): boolean {
  return state !== "rescinded";
}

function checkPartition(partition: PartitionSnapshot, all: readonly GrantSnapshot[], found: Findings): void {
  const { lpid, name, counters, grants, maps, adapters } = partition;
  const who = `partition ${lpid} "${printable(name)}"`;
  const standing = grants.filter(isStanding);
  const memory = maps.filter(({ type }) => type === "memory");
  const pages = (states: readonly string[]): number =>
    memory.reduce((sum, { state, length }) => sum + (states.includes(state) ? length / 4096 : 0), 0);
  found.same(`${who}, grants to it`, standing.length, counters.grantsIn);
  found.same(
    `${who}, grants by it`,
    all.filter(({ from, state }) => from === lpid && state !== "rescinded").length,
    counters.grantsOut,
  );
  found.same(`${who}, rescinded mappings`, grants.length - standing.length, counters.rescinded);
  found.same(
    `${who}, its own pages`,
    memory.reduce((sum, { cookie, length }) => sum + (cookie === null ? length / 4096 : 0), 0),
    counters.pagesOwned,
  );
  if (!standing.some(({ revoking }) => revoking) && pages(["moving"]) === 0)
    found.same(
      `${who}, mapped pages`,
      memory.reduce(
        (sum, { cookie, state, length }) =>
          sum + (cookie !== null && (state === "mapped" || state === "lent") ? length / 4096 : 0),
        0,
      ),
      counters.pagesMapped,
    );
  found.same(
    `${who}, copied pages`,
    grants.reduce((sum, { copies }) => sum + copies, 0),
    counters.copies,
  );
  for (const [index, map] of maps.entries()) {
    const next = maps[index + 1];
    const isApart = next === undefined || next.type !== map.type || next.address >= map.address + map.length;
    found.expect(isApart, () => `${who}: two maps of ${map.type} at ${next?.address}`);
  }
  for (const { unitAddress, quota, used, unreturned } of adapters) {
    const through = all.filter(({ adapter }) => adapter === unitAddress);
    const count = through.filter(isStanding).length;
    found.same(`${who}, grants through adapter ${unitAddress}`, count, used);
    found.same(`${who}, not returned through adapter ${unitAddress}`, through.length - count, unreturned);
    found.expect(used <= quota, () => `${who}: adapter ${unitAddress} is over its quota of ${quota}`);
  }
}

function checkGrant(
  grant: GrantSnapshot,
  parents: ReadonlyMap<number, GrantSnapshot>,
  grantor: PartitionSnapshot | undefined,
  found: Findings,
): void {
  const what = `grant ${grant.cookie}`;
  if (!isStanding(grant)) return;
  const parent = grant.parent === null ? undefined : parents.get(grant.parent);
  const end = grant.source + grant.length;
  if (grant.parent === null) {
    const isInside = grantor?.resources.some(
      ({ type, address, length }) =>
        type === grant.type && grant.source >= address && end <= address + length,
    );
    found.expect(isInside === true, () => `${what}: not inside one resource of partition ${grant.from}`);
    return;
  }
  found.expect(
    parent !== undefined,
    () => `${what}: there is no grant ${grant.parent}, from which it was granted`,
  );
  if (parent === undefined) return;
  const isWeaker =
    (parent.readable || !grant.readable) && (parent.writable || !grant.writable) && parent.regrantable;
  found.expect(isWeaker, () => `${what}: more rights than ${parent.cookie}, from which it was granted`);
  found.same(`${what}, its depth`, parent.depth + 1, grant.depth);
  const at = parent.address;
  const isInside = at !== null && grant.source >= at && end <= at + parent.length;
  found.expect(
    isInside || parent.revoking,
    () => `${what}: outside ${parent.cookie}, from which it was granted`,
  );
}

/** Checks a snapshot against itself. A table that threads change while it is looked at may show differences that are none. */
export function checkSnapshot(snapshot: TableSnapshot): AuditReport {
  const found = new Findings();
  const { counters, partitions } = snapshot;
  const all = partitions.flatMap(({ grants }) => grants);
  const cookies = new Map(all.map((grant) => [grant.cookie, grant]));
  const byLpid = new Map(partitions.map((partition) => [partition.lpid, partition]));
  found.same("cookies", cookies.size, all.length);
  found.same("partitions", partitions.length, counters.partitions);
  found.same(
    "control structures",
    all.length + partitions.reduce((sum, { resources }) => sum + resources.length, 0),
    counters.structuresUsed,
  );
  const ends = partitions.reduce((sum, { adapters }) => sum + adapters.length, 0);
  found.same("adapter ends", ends, counters.adapterEndsUsed);
  found.same(
    "frames in quarantine",
    snapshot.quarantine.reduce((sum, { pages }) => sum + pages, 0),
    counters.framesQuarantined,
  );
  for (const partition of partitions) checkPartition(partition, all, found);
  for (const grant of all) checkGrant(grant, cookies, byLpid.get(grant.from), found);
  return { problems: found.problems, checked: found.checked };
}
