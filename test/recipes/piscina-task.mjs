/** A task of piscina-pool.mjs: adds up the bytes of what it was granted. */
import { currentPartition } from "lpar/worker";

// Of piscina's worker; waits until the owner has attached this thread.
const partition = currentPartition();

export function addUp({ cookies }) {
  const [, cookie] = cookies.find(([lpid]) => lpid === partition.lpid);
  const mapping = partition.accept(cookie);
  const view = partition.view(mapping.address, mapping.length); // the pages themselves, not a copy
  let sum = 0;
  for (const byte of view.bytes) sum += byte;
  view.release();
  mapping.return();
  return sum;
}
