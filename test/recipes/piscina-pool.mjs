/**
 * A pool of piscina whose tasks receive cookies instead of copies. Any thread of the pool may get a task, so that a job is
 * granted to all of them; who gets the task accepts the grant that is its own. When the job is done everything is taken back,
 * whatever a thread has kept.
 *
 *     npm install lpar piscina && node piscina-pool.mjs
 */
import { ResourceTable } from "lpar";
import { Piscina } from "piscina";

const LENGTH = 1 << 20;
const THREADS = 2;

const pool = new Piscina({
  filename: new URL("./piscina-task.mjs", import.meta.url).href,
  minThreads: THREADS,
  maxThreads: THREADS,
});
const table = ResourceTable.create({ memory: 4 * LENGTH });
const owner = table.createPartition({ name: "owner", memory: LENGTH });

/** Each thread of the pool is a partition from here on; its exit would be that partition's failure. */
const threads = pool.threads.map((worker, index) => {
  const partition = table.createPartition({ name: `thread ${index}` });
  table.connect(owner, partition, { grants: 16 });
  table.attach(partition, worker);
  return partition;
});

/** Lends a range of the owner's memory to the pool for one task. */
async function run(address, length) {
  const cookies = threads.map((to) => [to.lpid, owner.grant({ to, address, length })]);
  try {
    return await pool.run({ cookies }, { name: "addUp" });
  } finally {
    for (const [, cookie] of cookies) await owner.rescindForced(cookie);
  }
}

const text = new TextEncoder().encode("all work and no copies ".repeat(LENGTH / 32));
owner.write(0, text);
const sums = await Promise.all([0, 1, 2, 3].map((quarter) => run((quarter * LENGTH) / 4, LENGTH / 4)));
const sum = sums.reduce((total, one) => total + one, 0);
console.log(
  `4 tasks, sum ${sum === text.reduce((total, byte) => total + byte, 0) ? "right" : `wrong: ${sum}`}`,
);
console.log(`${owner.usage().grantsOut} grants left, ${table.audit().problems.length} problems`);
await pool.destroy();
await table.close();
