/** The ABI: what JavaScript may call, nothing else. */
export {
  addWord,
  beginUse,
  checkAccess,
  compareExchangeWord,
  endUse,
  fillMemory,
  loadMemory,
  loadWord,
  storeMemory,
  storeWord,
} from "./access";
export {
  acceptLogical,
  adapterBetween,
  adapterPeer,
  allocate,
  assignResource,
  audit,
  connectPartitions,
  copyMemory,
  createPartition,
  deallocate,
  endViews,
  failPartition,
  freeQueue,
  freeStaging,
  grantLogical,
  openThread,
  pinMemory,
  receiveEntry,
  recoverClient,
  recoverServer,
  registerQueue,
  removePartition,
  rescindLogical,
  restartPartition,
  returnLogical,
  sendEntry,
  takeEvent,
  takeStaging,
  unpinMemory,
  unpinOrphan,
} from "./call";
export { hcallBatch } from "./hcall-batch";
export { mendCall, reapThread } from "./lock";
export { openTable } from "./open";
export { translate, translateBatch } from "./translate";
