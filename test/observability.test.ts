/** What others are told of a table: diagnostics channels, Prometheus, and what Node prints. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { type DiagnosticsMessages, type Mapping, prometheusText } from "../src/index.js";
import { kernelOf } from "../src/kernel.js";
import { auditedAfterEach, openPair, openTable, PAGE } from "./support/world.js";

auditedAfterEach();

describe("diagnostics channels", () => {
  const undo: (() => void)[] = [];
  afterEach(() => {
    for (const one of undo.splice(0)) one();
  });

  function hear<Name extends keyof DiagnosticsMessages>(name: Name): DiagnosticsMessages[Name][] {
    const heard: DiagnosticsMessages[Name][] = [];
    const listener = (message: unknown): void => void heard.push(message as DiagnosticsMessages[Name]);
    subscribe(name, listener);
    undo.push(() => unsubscribe(name, listener));
    return heard;
  }

  test("each grant, accept, return and rescind is told once, when it has succeeded", async () => {
    const { server, client } = openPair();
    const [grants, accepts] = [hear("lpar:grant"), hear("lpar:accept")];
    const [returns, rescinds] = [hear("lpar:return"), hear("lpar:rescind")];
    const options = { to: client, address: 0, length: PAGE };
    const cookie = server.grant(options);
    expect(() => server.grant({ ...options, address: 1 })).toThrow("H_PARAMETER");
    const mapping = client.accept(cookie);
    expect(() => client.accept(cookie)).toThrow();
    mapping.return();
    mapping.return();
    server.rescind(cookie);
    const second = server.grant(options);
    client.return(client.accept(second).cookie);
    const report = await server.rescindForced(second);
    expect(grants).toEqual([
      { partition: server, cookie, options },
      { partition: server, cookie: second, options },
    ]);
    expect(accepts.map((message) => [message.partition, message.cookie])).toEqual([
      [client, cookie],
      [client, second],
    ]);
    expect(accepts[0]?.mapping).toBe(mapping);
    expect(returns).toEqual([
      { partition: client, cookie },
      { partition: client, cookie: second },
    ]);
    expect(rescinds).toEqual([
      { partition: server, cookie, report: null },
      { partition: server, cookie: second, report },
    ]);
  });

  test("failure, recovery and restart are told with the incarnation", async () => {
    const { table, server } = openPair({ gracePeriodMs: 0 });
    const heard = [hear("lpar:failure"), hear("lpar:recovery"), hear("lpar:restart")];
    table.fail(server, "a bug");
    await table.recovered(server);
    table.restart(server);
    expect(heard).toEqual([
      [{ table, partition: server, incarnation: 1, reason: "a bug" }],
      [{ table, partition: server, incarnation: 1, reason: undefined }],
      [{ table, partition: server, incarnation: 2, reason: undefined }],
    ]);
  });

  test("a subscriber that throws does not reach the caller", async () => {
    const { server, client } = openPair();
    const thrown = new Promise((resolve) => {
      const before = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      process.once("uncaughtException", (error) => {
        for (const listener of before) process.on("uncaughtException", listener);
        resolve(error);
      });
    });
    const bad = (): void => {
      throw new Error("a bad subscriber");
    };
    subscribe("lpar:grant", bad);
    undo.push(() => unsubscribe("lpar:grant", bad));
    expect(server.grant({ to: client, address: 0, length: PAGE })).toBeGreaterThan(0);
    expect(await thrown).toMatchObject({ message: "a bad subscriber" });
  });

  test("while nobody subscribes no message is made", () => {
    const { table, server, client } = openPair();
    const mapping = (): Mapping => client.accept(server.grant({ to: client, address: 0, length: PAGE }));
    let asked = 0;
    const kernel = kernelOf(table);
    const { partitionOf } = kernel;
    // What a message of a return is made from.
    Object.assign(kernel, { partitionOf: (lpid: number) => partitionOf(lpid + 0 * asked++) });
    mapping().return();
    expect(asked).toBe(0);
    hear("lpar:return");
    mapping().return();
    expect(asked).toBe(1);
  });
});

/** The rules of the exposition format, as a reader of it sees them. */
function parse(text: string): Map<string, { type: string; samples: Map<string, number> }> {
  const metrics = new Map<string, { type: string; samples: Map<string, number> }>();
  expect(text.endsWith("\n")).toBe(true);
  let help = "";
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const [, kind, name, rest] = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") help = name as string;
    else if (kind === "TYPE") {
      current = name as string;
      expect(help, "HELP stands before TYPE").toBe(current);
      expect(["counter", "gauge"]).toContain(rest);
      expect(current.endsWith("_total"), current).toBe(rest === "counter");
      expect(metrics.has(current), "once").toBe(false);
      metrics.set(current, { type: rest as string, samples: new Map() });
    } else {
      const label = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
      const match = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{${label}(?:,${label})*\\})? (-?\\d+)$`).exec(
        line,
      );
      expect(match, line).not.toBeNull();
      expect(match?.[1]).toBe(current);
      const samples = metrics.get(current)?.samples;
      expect(samples?.has(match?.[2] ?? ""), `${line} twice`).toBe(false);
      samples?.set(match?.[2] ?? "", Number(match?.[3]));
    }
  }
  return metrics;
}

describe("prometheusText()", () => {
  test("it keeps the rules of the format, and the figures of the snapshot", () => {
    const { table, server, client, adapter } = openPair();
    client.accept(server.grant({ to: client, address: 0, length: 3 * PAGE }));
    server.grant({ to: client, address: 8 * PAGE, length: PAGE, mode: "lend" });
    const metrics = parse(prometheusText(table.inspect()));
    const value = (name: string, labels = ""): number | undefined => metrics.get(name)?.samples.get(labels);
    expect(value("lpar_frames")).toBe(64);
    expect(value("lpar_frames_free")).toBe(44);
    expect(value("lpar_pages_moved_total")).toBe(0);
    expect(value("lpar_partition_pages_mapped", `{lpid="${client.lpid}",partition="client"}`)).toBe(3);
    expect(value("lpar_grants", '{type="memory",state="granted",mode="lend"}')).toBe(1);
    expect(value("lpar_partition_state", '{lpid="1",partition="server",state="running"}')).toBe(1);
    expect(value("lpar_partition_state", '{lpid="1",partition="server",state="failed"}')).toBe(0);
    const end = `{lpid="1",partition="server",unit="${adapter.unitAddress}",partner="2"}`;
    expect(value("lpar_adapter_used", end)).toBe(2);
  });

  test("names of partitions are escaped, and an empty table has no metrics of partitions", () => {
    const { table } = openTable();
    expect(prometheusText(table.inspect())).not.toContain("lpar_partition_state");
    table.createPartition({ name: 'a "b" \\ c\nd}' });
    const text = prometheusText(table.inspect());
    expect(text).toContain('lpar_partition_pins{lpid="1",partition="a \\"b\\" \\\\ c\\nd}"} 0\n');
    parse(text);
  });
});

describe("util.inspect()", () => {
  test("tables, partitions, adapters, mappings and views are shown in a line each", async () => {
    const { table, server, client, adapter } = openPair();
    const cookie = server.grant({ to: client, address: 0, length: PAGE, write: false, regrant: false });
    const mapping = client.accept(cookie);
    expect(inspect(server)).toBe(
      'Partition 1 "server" { running, incarnation 1, owns 16 pages, maps 0, grants 1 out, 0 in }',
    );
    expect(inspect(mapping)).toBe(
      `Mapping ${cookie} { 4096 bytes at ${mapping.address}: read, no re-grant }`,
    );
    expect(inspect(adapter)).toBe(`VirtualAdapter ${adapter.unitAddress} { 1 "server" to 2 "client" }`);
    expect(inspect(table)).toBe(
      [
        "ResourceTable { 2 partitions, 44 of 64 frames free, room for 65536 structures",
        '  1 "server" { running, incarnation 1, owns 16 pages, maps 0, grants 1 out, 0 in }',
        '  2 "client" { running, incarnation 1, owns 4 pages, maps 1, grants 0 out, 1 in }',
        "}",
      ].join("\n"),
    );
    const view = server.view(0, 100);
    expect(inspect(view)).toBe("View { 100 bytes at 0 }");
    view.release();
    expect(inspect([view])).toBe("[ View { released, 100 bytes at 0 } ]");
    await server.rescindForced(cookie);
    expect(inspect(mapping)).toContain("{ rescinded, 4096 bytes");
    mapping.return();
    expect(inspect(mapping)).toContain("{ returned, 4096 bytes");
  });

  test("a name from outside cannot put control characters on the terminal", () => {
    const { table } = openTable();
    const partition = table.createPartition({ name: "\u001b[31mred" });
    expect(inspect(partition)).toContain('"\\u001b[31mred"');
  });
});
