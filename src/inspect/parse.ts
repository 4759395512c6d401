/**
 * A snapshot that comes from outside: a file, or another process. Every field is checked before any view is made of it, so that
 * views need not.
 */

import type { HistoryEntry } from "../history.js";
import { RESOURCE_TYPES } from "../records.js";
import {
  type AdapterSnapshot,
  type GrantSnapshot,
  type GroupSnapshot,
  type LineSnapshot,
  type MapSnapshot,
  type PartitionSnapshot,
  type QuarantineSnapshot,
  type RecoverySnapshot,
  type ResourceSnapshot,
  SNAPSHOT_VERSION,
  type TableSnapshot,
  type TceSnapshot,
  type WorkerSnapshot,
} from "../snapshot.js";
import { printable } from "./words.js";

/** What is wrong with a snapshot, in a line that begins with where it comes from. */
export class SnapshotError extends Error {
  override readonly name = "SnapshotError";

  constructor(from: string, problem: string) {
    // Both come from outside: what a terminal would obey, or would break the line, is not passed on.
    super(printable(`${from}: ${problem}`));
  }
}

/** Answers what is wrong with a value, in words that follow its place; undefined if nothing is. */
type Check = (value: unknown, place: string) => string | undefined;

function show(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    // JSON can be read that is nested too deeply to be written.
    text = "something nested too deeply";
  }
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}

function must(be: string, holds: (value: unknown) => boolean): Check {
  return (value, place) => (holds(value) ? undefined : `${place} must be ${be}, not ${show(value)}`);
}

const text = must("a text", (value) => typeof value === "string");
const flag = must("true or false", (value) => typeof value === "boolean");
const number = must("a number", (value) => typeof value === "number" && Number.isFinite(value));
const whole = must("a whole number from 0", (value) => Number.isSafeInteger(value) && (value as number) >= 0);
const integer = must("a whole number", (value) => Number.isSafeInteger(value));

function oneOf(...words: readonly string[]): Check {
  return must(`one of ${words.join(", ")}`, (value) => words.includes(value as string));
}

function orNull(check: Check): Check {
  return (value, place) => (value === null ? undefined : check(value, place));
}

function list(check: Check): Check {
  return (value, place) => {
    if (!Array.isArray(value)) return `${place} must be a list, not ${show(value)}`;
    for (const [index, element] of value.entries()) {
      const problem = check(element, `${place}[${index}]`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object with all the fields of T. Others are left alone: later versions may have more. */
function shape<T>(fields: { readonly [K in keyof T]-?: Check }): Check {
  const entries = Object.entries<Check>(fields);
  return (value, place) => {
    if (!isObject(value)) return `${place || "it"} must be an object, not ${show(value)}`;
    for (const [name, check] of entries) {
      const at = place === "" ? name : `${place}.${name}`;
      if (!Object.hasOwn(value, name)) return `${at} is missing`;
      const problem = check(value[name], at);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

const counters: Check = (value, place) => {
  if (!isObject(value)) return `${place} must be an object, not ${show(value)}`;
  for (const [name, count] of Object.entries(value)) {
    const problem = whole(count, `${place}.${name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

const type = oneOf(...RESOURCE_TYPES);

const resource = shape<ResourceSnapshot>({
  type,
  address: whole,
  length: whole,
  liobn: whole,
  donated: flag,
});

const grant = shape<GrantSnapshot>({
  cookie: whole,
  type,
  state: oneOf("granted", "shared", "returning", "rescinded"),
  from: whole,
  grantor: whole,
  to: whole,
  source: whole,
  length: whole,
  address: orNull(whole),
  readable: flag,
  writable: flag,
  regrantable: flag,
  mode: oneOf("share", "lend", "donate"),
  zero: flag,
  copyOnWrite: flag,
  pins: whole,
  revoking: flag,
  parent: orNull(whole),
  depth: whole,
  pages: whole,
  copies: whole,
  quarantined: whole,
  adapter: whole,
});

const adapter = shape<AdapterSnapshot>({
  unitAddress: whole,
  state: oneOf("open", "closed"),
  partner: whole,
  quota: whole,
  used: whole,
  unreturned: whole,
  queueBytes: whole,
  queued: whole,
});

const map = shape<MapSnapshot>({
  type,
  address: whole,
  length: whole,
  owner: whole,
  cookie: orNull(whole),
  state: oneOf("own", "lent", "mapped", "rescinded", "moving"),
  readable: flag,
  writable: flag,
  copyOnWrite: flag,
  private: flag,
  physical: orNull(whole),
  pieces: whole,
});

const line = shape<LineSnapshot>({
  type: oneOf("interrupt", "ipi"),
  address: whole,
  cookie: orNull(whole),
  pending: flag,
  masked: flag,
  armed: flag,
  inService: flag,
  from: orNull(whole),
});

const tce = shape<TceSnapshot>({
  liobn: whole,
  ioba: whole,
  length: whole,
  holder: whole,
  address: whole,
  readable: flag,
  writable: flag,
  dead: flag,
});

const partition = shape<PartitionSnapshot>({
  lpid: whole,
  name: text,
  state: oneOf("running", "failed", "recovering", "stopped"),
  incarnation: whole,
  onFailure: oneOf("rescind", "defer"),
  lmb: whole,
  worker: orNull(shape<WorkerSnapshot>({ threadId: integer })),
  restarts: whole,
  recovery: orNull(
    shape<RecoverySnapshot>({
      phase: oneOf("working", "grace", "deferred"),
      graceEndsAt: orNull(number),
    }),
  ),
  counters,
  resources: list(resource),
  grants: list(grant),
  adapters: list(adapter),
  maps: list(map),
  interrupts: list(line),
  tces: list(tce),
});

const event = shape<HistoryEntry>({
  number: whole,
  at: number,
  type: text,
  lpid: whole,
  name: text,
  incarnation: whole,
  detail: text,
  partners: list(whole),
});

const table = shape<TableSnapshot>({
  version: whole,
  counters,
  partitions: list(partition),
  quarantine: list(shape<QuarantineSnapshot>({ lpid: whole, pages: whole, cookie: orNull(whole) })),
  groups: list(
    shape<GroupSnapshot>({
      name: text,
      resources: list(whole),
      members: list(shape<GroupSnapshot["members"][number]>({ lpid: whole, units: list(whole) })),
    }),
  ),
  events: list(event),
});

/**
 * Checks a text that should be a snapshot.
 * @param from where it comes from, for messages.
 * @throws SnapshotError
 */
export function parseSnapshot(from: string, source: string): TableSnapshot {
  if (source.trim() === "") throw new SnapshotError(from, "is empty");
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw new SnapshotError(from, `is no JSON (${(error as Error).message})`);
  }
  if (!isObject(value))
    throw new SnapshotError(from, `is no snapshot: it must be an object, not ${show(value)}`);
  if (value.version !== SNAPSHOT_VERSION) {
    const found = Object.hasOwn(value, "version")
      ? `version is ${show(value.version)}`
      : "version is missing";
    throw new SnapshotError(
      from,
      `is no snapshot that this program reads: ${found}, it reads ${SNAPSHOT_VERSION}`,
    );
  }
  const problem = table(value, "");
  if (problem !== undefined) throw new SnapshotError(from, problem);
  return value as unknown as TableSnapshot;
}
