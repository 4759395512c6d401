/** The ABI: what JavaScript may call, nothing else. */
export {
  addWord,
  checkAccess,
  compareExchangeWord,
  fillMemory,
  loadWord,
  pinMemory,
  storeWord,
  unpinMemory,
  unpinOrphan,
} from "./access";
export { adapterBetween, adapterPeer } from "./adapter";
export { allocate, deallocate } from "./arena";
export {
  assignResource,
  connectPartitions,
  createPartition,
  removePartition,
  restartPartition,
} from "./assign";
export { audit } from "./audit";
export { copyMemory } from "./copy";
export { hcallBatch } from "./hcall-batch";
export { acceptLogical, grantLogical, rescindLogical, returnLogical } from "./hcall-logical";
export { freeQueue, receiveEntry, registerQueue, sendEntry, takeEvent } from "./hcall-queue";
export { openTable } from "./open";
export { failPartition, recoverClient, recoverServer } from "./recover";
export { freeStaging, takeStaging } from "./staging";
export { translate, translateBatch } from "./translate";
