/** Entry `lpar`: the public names, one by one. */
export { VirtualAdapter } from "./adapter.js";
export type { AuditReport } from "./audit.js";
export { type BatchOptions, TranslationBatch } from "./batch.js";
export { type Clock, systemClock } from "./clock.js";
export { HcallError, LparError } from "./errors.js";
export type { PartitionEvent } from "./events.js";
export { type Cookie, Mapping, View } from "./mapping.js";
export type { CrqEntry } from "./messages.js";
export type { CompactionReport, MigrationReport } from "./migration.js";
export type { PartitionOptions, ResourceOptions, TableOptions } from "./options.js";
export { type GrantOptions, Partition, type PartitionUsage } from "./partition.js";
export { type ReconcileOptions, Reconciler } from "./reconciler.js";
export type { GrantMode, PartitionState, ResourceType } from "./records.js";
export type { RescindOptions, RescindReport } from "./rescind.js";
export {
  PartitionWorker,
  ResourceTable,
  type SpawnOptions,
  type TableEvent,
} from "./resource-table.js";
export type { RestartPolicy } from "./restart.js";
export { SEAL_BYTES } from "./seal.js";
export type {
  AdapterSnapshot,
  GrantSnapshot,
  PartitionSnapshot,
  ResourceSnapshot,
  TableSnapshot,
} from "./snapshot.js";
export type { WaitOptions } from "./stream.js";
