/**
 * What partitions do, told to whoever subscribes through `node:diagnostics_channel`, in the thread in which it is done: the
 * channels of a worker thread are that thread's own. Where there is no such module, and while nobody subscribes, nothing is
 * told and nothing is made for it.
 */
import { builtinModule } from "./builtin.js";
import type { GrantOptions } from "./grant-options.js";
import type { Cookie, Mapping } from "./mapping.js";
import type { Partition } from "./partition.js";
import type { RescindReport } from "./rescind.js";
import type { ResourceTable } from "./resource-table.js";

/** `lpar:grant`: a grant stands. */
export interface GrantMessage {
  /** The grantor. */
  readonly partition: Partition;
  /** Names the grant. */
  readonly cookie: Cookie;
  /** As grant() was called. */
  readonly options: GrantOptions;
}

/** `lpar:accept`: a grant is mapped. */
export interface AcceptMessage {
  /** The grantee. */
  readonly partition: Partition;
  /** Names the grant. */
  readonly cookie: Cookie;
  /** What accept() answers. */
  readonly mapping: Mapping;
}

/** `lpar:return`: a mapping was given back, by its holder. */
export interface ReturnMessage {
  /** The holder. */
  readonly partition: Partition;
  /** Names the grant. */
  readonly cookie: Cookie;
}

/** `lpar:rescind`: a grant was taken back, by its grantor. */
export interface RescindMessage {
  /** The grantor. */
  readonly partition: Partition;
  /** Names the grant. */
  readonly cookie: Cookie;
  /** Of a forced rescind, which is over now; null of a normal one. */
  readonly report: RescindReport | null;
}

/** `lpar:failure`, `lpar:recovery`, `lpar:restart`: of a whole partition, in the thread that owns the table. */
export interface PartitionMessage {
  /** Whose owner does it. */
  readonly table: ResourceTable;
  /** Whom it concerns. */
  readonly partition: Partition;
  /** The one that failed, was recovered, or starts. */
  readonly incarnation: number;
  /** Of a failure: what fail() was told, or how the thread ended; else undefined. */
  readonly reason: string | undefined;
}

/** What is published on each channel. */
export interface DiagnosticsMessages {
  /** A grant stands. */
  readonly "lpar:grant": GrantMessage;
  /** A grant is mapped. */
  readonly "lpar:accept": AcceptMessage;
  /** A mapping was given back. */
  readonly "lpar:return": ReturnMessage;
  /** A grant was taken back. */
  readonly "lpar:rescind": RescindMessage;
  /** A partition failed. */
  readonly "lpar:failure": PartitionMessage;
  /** A partition is recovered. */
  readonly "lpar:recovery": PartitionMessage;
  /** A partition starts again. */
  readonly "lpar:restart": PartitionMessage;
}

/** Node's channel, as far as it is used. */
interface Channel<Message> {
  readonly hasSubscribers: boolean;
  publish(message: Message): void;
}

const NOBODY: Channel<unknown> = { hasSubscribers: false, publish: () => {} };
const channels = builtinModule("node:diagnostics_channel") as
  | { channel(name: string): Channel<unknown> }
  | undefined;

function channel<Name extends keyof DiagnosticsMessages>(name: Name): Channel<DiagnosticsMessages[Name]> {
  return channels?.channel(name) ?? NOBODY;
}

// Who publishes looks at hasSubscribers first. The messages of calls are made here, so that those are short.
export const GRANT: Channel<GrantMessage> = channel("lpar:grant");
export const ACCEPT: Channel<AcceptMessage> = channel("lpar:accept");
export const RETURN: Channel<ReturnMessage> = channel("lpar:return");
export const RESCIND: Channel<RescindMessage> = channel("lpar:rescind");
export const FAILURE: Channel<PartitionMessage> = channel("lpar:failure");
export const RECOVERY: Channel<PartitionMessage> = channel("lpar:recovery");
export const RESTART: Channel<PartitionMessage> = channel("lpar:restart");

export function publishGrant(partition: Partition, cookie: Cookie, options: GrantOptions): void {
  GRANT.publish({ partition, cookie, options });
}

export function publishAccept(partition: Partition, cookie: Cookie, mapping: Mapping): void {
  ACCEPT.publish({ partition, cookie, mapping });
}

export function publishReturn(partition: Partition, cookie: Cookie): void {
  RETURN.publish({ partition, cookie });
}

export function publishRescind(partition: Partition, cookie: Cookie, report: RescindReport | null): void {
  RESCIND.publish({ partition, cookie, report });
}
