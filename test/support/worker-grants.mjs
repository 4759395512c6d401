/** A partition that grants to its partner and takes back, as fast as it can. */
import { currentPartition } from "../../dist/src/worker.js";

const partition = currentPartition();
const [adapter] = partition.adapters;
const standing = [];
for (let turn = 0; ; turn++) {
  const address = (turn % 8) * 4096;
  standing.push(partition.grant({ to: adapter, address, length: 4096 * (1 + (turn % 3)) }));
  if (standing.length > 30)
    for (const cookie of standing.splice(0, 1 + (turn % 30))) partition.rescind(cookie);
}
