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
  beginDevice,
  compactMemory,
  connectPartitions,
  copyMemory,
  createPartition,
  deallocate,
  endViews,
  failPartition,
  findFrames,
  freeQueue,
  freeStaging,
  gatherMemory,
  grantCopyOnWrite,
  grantLogical,
  grantMode,
  mergePages,
  openThread,
  pinMemory,
  receiveEntry,
  recoverClient,
  recoverDeferred,
  recoverServer,
  registerQueue,
  removePartition,
  requestReturn,
  rescindLogical,
  restartPartition,
  returnLogical,
  sendEntry,
  serveWindow,
  takeEvent,
  takeStaging,
  unpinMemory,
  unpinOrphan,
} from "./call";
export { endDevice } from "./device";
export { hcallBatch } from "./hcall-batch";
export { mendCall, reapThread } from "./lock";
export { answerRequest, collectRequest, postRequest, takeRequest } from "./mailbox";
export { digestPages } from "./merge";
export { openTable } from "./open";
export { translate, translateBatch } from "./translate";
