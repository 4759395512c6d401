/** A program of a user in TypeScript: what it says of each entry must type-check with every supported compiler. */
import {
  type Cookie,
  HcallError,
  LparError,
  type Mapping,
  openGuest,
  type Partition,
  type PartitionEvent,
  prometheusText,
  ResourceTable,
  systemClock,
} from "lpar";
import type { GuestWork } from "lpar/guest-worker";
import * as hcall from "lpar/hcall";
import { type Inspector, openInspector } from "lpar/inspector";
import { currentPartition } from "lpar/worker";

const table: ResourceTable = ResourceTable.create({ memory: 1 << 20, clock: systemClock });
const server: Partition = table.createPartition({ name: "server", memory: 65536 });
const client: Partition = table.createPartition({ name: "client", onFailure: "defer" });
table.connect(server, client, { grants: 16 });

const metrics: string = prometheusText(table.inspect());
void metrics;
const inspector: Inspector = await openInspector(table, { port: 0 });
await inspector.close();

const cookie: Cookie = server.grant({ to: client, address: 0, length: 4096, write: false });
const mapping: Mapping = client.accept(cookie);
{
  using view = client.view(mapping.address, 4096);
  const bytes: Uint8Array = view.bytes;
  void bytes;
}
const bytes: Uint8Array = client.read(mapping.address, 16);
try {
  client.write(mapping.address, bytes);
} catch (error) {
  if (error instanceof HcallError) error.code satisfies string;
  if (error instanceof LparError) error.code satisfies string;
}
for await (const event of server.events()) {
  const type: PartitionEvent["type"] = event.type;
  if (type === "rescinded") break;
  if (event.type === "rescind-requested") server.return(event.cookie);
  event.cookie satisfies Cookie | undefined;
}

// As whoever passes on what he may not have got, also under exactOptionalPropertyTypes.
const signal: AbortSignal | undefined = undefined;
await table.recovered(server, { signal });
const worker = await table.spawn(client, new URL("./worker.js", import.meta.url), { restart: { max: 3 } });
worker.partition satisfies Partition;
const work: GuestWork = { code: new Uint8Array(8), entry: "run" };
openGuest(server, work.code, { maxPages: 1 }).call("run", 1, 2n);
for (const adapter of currentPartition().adapters) currentPartition().messages(adapter);
Object.keys(hcall);

// What is wrong must be an error: a number that is no cookie, an option that does not exist.
// @ts-expect-error a cookie is not any number
client.accept(7);
// @ts-expect-error there is no such option
table.createPartition({ name: "x", colour: "red" });
await table.close();
