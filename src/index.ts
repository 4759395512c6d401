/** Entry `lpar`: the public names, one by one. */
// In a bundle the core's text stands before all others, and not between them: gzip looks back for 32 KiB only.
import "./generated/core.js";

export { VirtualAdapter } from "./adapter.js";
export type { AuditReport } from "./audit.js";
export { type BatchOptions, TranslationBatch } from "./batch.js";
export { type Clock, type ClockTimer, systemClock } from "./clock.js";
export type { DeduplicationReport } from "./deduplicate.js";
export type {
  AcceptMessage,
  DiagnosticsMessages,
  GrantMessage,
  PartitionMessage,
  RescindMessage,
  ReturnMessage,
} from "./diagnostics.js";
export { Dma, DmaDevice, type DmaEntry, type DmaRights } from "./dma.js";
export { HcallError, LparError } from "./errors.js";
export type { PartitionEvent } from "./events.js";
export type { GrantOptions } from "./grant-options.js";
export { Group, type GroupOptions } from "./group.js";
export {
  GroupMember,
  type GroupResourceOptions,
  type GroupRights,
  type GroupUnit,
} from "./group-member.js";
export {
  Guest,
  type GuestNumber,
  type GuestOptions,
  openGuest,
  type RunGuestOptions,
  runGuest,
} from "./guest.js";
export {
  bindMemory,
  GUEST_ABI,
  GUEST_CALL_BYTES,
  type GuestFunction,
  type GuestImports,
  type ImportsOptions,
} from "./guest-imports.js";
export { compileGuest, type GuestLimits } from "./guest-module.js";
export type { HistoryEntry } from "./history.js";
export { Interrupts } from "./interrupts.js";
export { type Cookie, Mapping, View } from "./mapping.js";
export type { CrqEntry } from "./messages.js";
export type { CompactionReport, MigrationReport } from "./migration.js";
export { type AccessSize, type DeviceModel, Mmio } from "./mmio.js";
export type { PartitionOptions, ResourceOptions, TableOptions } from "./options.js";
export { Partition } from "./partition.js";
export { PROMETHEUS_TYPE, prometheusText } from "./prometheus.js";
export { type ReconcileOptions, Reconciler } from "./reconciler.js";
export type { GrantMode, PartitionState, ResourceType } from "./records.js";
export type { RescindOptions, RescindReport } from "./rescind.js";
export { ResourceTable } from "./resource-table.js";
export type { RestartLimits, RestartPolicy } from "./restart.js";
export { SEAL_BYTES } from "./seal.js";
export {
  type AdapterSnapshot,
  type GrantSnapshot,
  type GroupMemberSnapshot,
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
} from "./snapshot.js";
export { PartitionWorker, type SpawnOptions } from "./spawn.js";
export type { WaitOptions } from "./stream.js";
export { TableBuffer } from "./table-buffer.js";
export type { TableEvent } from "./table-event.js";
export type { PartitionUsage } from "./usage.js";
