/** Entry `lpar`: the public names, one by one. */
export { VirtualAdapter } from "./adapter.js";
export type { AuditReport } from "./audit.js";
export { type BatchOptions, TranslationBatch } from "./batch.js";
export { type Clock, systemClock } from "./clock.js";
export { HcallError, LparError } from "./errors.js";
export type { PartitionEvent } from "./events.js";
export { type Cookie, Mapping, View } from "./mapping.js";
export type { CrqEntry } from "./messages.js";
export { type GrantOptions, Partition, type PartitionUsage, type RescindReport } from "./partition.js";
export type { PartitionState, ResourceType } from "./records.js";
export {
  type PartitionOptions,
  PartitionWorker,
  type ResourceOptions,
  ResourceTable,
  type SpawnOptions,
  type TableEvent,
  type TableOptions,
} from "./resource-table.js";
export type { RestartPolicy } from "./restart.js";
export type {
  AdapterSnapshot,
  GrantSnapshot,
  PartitionSnapshot,
  ResourceSnapshot,
  TableSnapshot,
} from "./snapshot.js";
export type { WaitOptions } from "./stream.js";
