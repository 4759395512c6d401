/**
 * What of `lpar` runs in the page of a browser: everything in one thread. Answers with lines that are the same in Node; what
 * needs worker threads, or blocks, must say so there.
 */
import { HcallError, LparError, openGuest, ResourceTable } from "lpar";
import { currentPartition } from "lpar/worker";

/** (module (memory (export "memory") 1) (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)) */
const ADD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1],
  ...[7, 16, 2, 6, 109, 101, 109, 111, 114, 121, 2, 0, 3, 97, 100, 100, 0, 0],
  ...[10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11],
);

function codeOf(call) {
  try {
    call();
    return "done";
  } catch (error) {
    return error instanceof HcallError || error instanceof LparError ? error.code : String(error);
  }
}

/**
 * @param options of the table.
 * @returns what happened, line by line; `unsupported` has what refuses to run without worker threads, with the reason.
 */
export async function demonstrate(options) {
  const lines = [];
  const table = ResourceTable.create({ memory: 4 << 20, gracePeriodMs: 0, ...options });
  const server = table.createPartition({ name: "server", memory: 1 << 20 });
  const client = table.createPartition({ name: "client", memory: 4096 });
  const plugin = table.createPartition({ name: "plugin" });
  const adapter = table.connect(server, client, { grants: 100 });

  server.write(0, new TextEncoder().encode("hello"));
  const cookie = server.grant({ to: client, address: 0, length: 8192 });
  const mapping = client.accept(cookie);
  lines.push(new TextDecoder().decode(client.read(mapping.address, 5)));
  const view = client.view(mapping.address, 4096);
  view.bytes[0] = 72;
  lines.push(`${view.bytes.buffer instanceof ArrayBuffer} ${server.read(0, 1)}`);
  view.release();
  const report = await server.rescindForced(cookie);
  lines.push(`${report.nodes} taken, ${codeOf(() => client.read(mapping.address, 1))}`);
  mapping.return();

  client.registerQueue(adapter, 0, 4096);
  server.send(adapter, Uint8Array.of(0x80, 1, ...new Uint8Array(14)));
  for await (const { header } of client.messages(adapter)) {
    lines.push(`message ${header}`);
    break;
  }

  table.fail(server, "an exercise");
  for await (const { type } of client.events()) {
    lines.push(type);
    if (type === "partner-recovered") break;
  }
  table.restart(server);
  lines.push(server.state);

  lines.push(`guest ${openGuest(plugin, ADD, { maxPages: 1 }).call("add", 2, 3)}`);
  lines.push(`${table.audit().problems.length} problems`);

  const unsupported = [];
  const refusal = (error) =>
    unsupported.push(error instanceof LparError ? `${error.code}: ${error.message}` : `${error}`);
  if (globalThis.process === undefined) {
    const url = new URL("data:text/javascript,");
    await table.spawn(client, url).catch(refusal);
    const calls = [
      () => table.attach(client, new Worker(url)),
      () => currentPartition(),
      () => client.waitEvent(10),
    ];
    for (const call of calls) {
      try {
        call();
        unsupported.push(`done: ${call}`);
      } catch (error) {
        refusal(error);
      }
    }
    // Nothing of them is left: the partition is as it was.
    lines.push(`${client.state}, ${table.audit().problems.length} problems`);
  }
  await table.close();
  return { lines, unsupported };
}
