/** The inspector of a living process, and the commands that look at a table: through it, from files, from scenarios. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { runProgram } from "../src/driver/program.js";
import type { ResourceTable, TableSnapshot } from "../src/index.js";
import { parsePlace } from "../src/inspect/client.js";
import { type Inspector, openInspector } from "../src/inspect/inspector.js";
import { type Outcome, onTerminal, Screen } from "./support/cli.js";
import { eventfulSnapshot } from "./support/snapshots.js";
import { auditedAfterEach, openPair, PAGE } from "./support/world.js";

auditedAfterEach();

let folder: string;
let file: string;
let eventful: TableSnapshot;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lpar-inspector-"));
  eventful = await eventfulSnapshot();
  file = join(folder, "eventful.json");
  await writeFile(file, JSON.stringify(eventful));
});
afterAll(async () => rm(folder, { recursive: true }));

/** A command in this process, whose output goes into a pipe. */
async function lpar(...args: string[]): Promise<Outcome> {
  const [output, errors] = [new Screen(false), new Screen(false)];
  const code = await runProgram(args, { input: Readable.from([]), output, errors, exitCode: 0 });
  return { code, output: output.text, errors: errors.text };
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

interface Question {
  readonly method?: string;
  readonly headers?: Record<string, string>;
}

function ask(
  inspector: Inspector,
  path: string,
  { method = "GET", headers = {} }: Question = {},
): Promise<Reply> {
  const { port } = new URL(inspector.url);
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, method, headers }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (text) => (body += text));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }));
    });
    asked.on("error", reject).end();
  });
}

/** A table with a grant, and its inspector, which is closed at the end. */
async function inspected(run: (inspector: Inspector, table: ResourceTable) => Promise<void>): Promise<void> {
  const { table, server, client } = openPair();
  client.accept(server.grant({ to: client, address: 0, length: PAGE }));
  const inspector = await openInspector(table, { name: "a test" });
  try {
    await run(inspector, table);
  } finally {
    await inspector.close();
  }
}

describe("openInspector()", () => {
  test("it answers the snapshot, the audit, metrics and drawings, by token in the path or as a bearer", async () => {
    await inspected(async (inspector, table) => {
      const { pathname } = new URL(inspector.url);
      const { status, body, headers } = await ask(inspector, `${pathname}snapshot.json`);
      expect([status, headers["lpar-name"]]).toEqual([200, "a%20test"]);
      expect(JSON.parse(body)).toEqual(table.inspect());
      const bearer = { headers: { authorization: `Bearer ${inspector.token}` } };
      const metrics = await ask(inspector, "/metrics", bearer);
      expect(metrics.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
      expect(metrics.body).toContain('lpar_partition_grants_out{lpid="1",partition="server"} 1\n');
      expect(JSON.parse((await ask(inspector, "/audit.json", bearer)).body).problems).toEqual([]);
      for (const name of ["graph.svg", "tree.svg"])
        expect((await ask(inspector, `/${name}`, bearer)).body).toMatch(/^<svg /);
      expect((await ask(inspector, pathname)).body).toMatch(/^<!doctype html>/);
      expect((await ask(inspector, `${pathname}page.css`)).headers["content-type"]).toContain("text/css");
    });
  });

  test("who has no token, or another one, gets nothing, whatever he asks for", async () => {
    await inspected(async (inspector) => {
      const wrong = `${inspector.token.slice(0, -1)}${inspector.token.endsWith("A") ? "B" : "A"}`;
      for (const path of [
        "/",
        `/${wrong}/`,
        `/${wrong}/snapshot.json`,
        `/${inspector.token}x/`,
        "/snapshot.json",
      ])
        expect(await ask(inspector, path), path).toMatchObject({ status: 403, body: "wrong token\n" });
      const headers = { authorization: `Bearer ${wrong}` };
      expect((await ask(inspector, "/metrics", { headers })).status).toBe(403);
      expect((await ask(inspector, `/${inspector.token}/metrics`, { headers })).status).toBe(403);
    });
  });

  test("a name that points here (DNS rebinding) and other sites are refused, even with the token", async () => {
    await inspected(async (inspector) => {
      const { pathname, port } = new URL(inspector.url);
      const status = async (headers: Record<string, string>): Promise<number> =>
        (await ask(inspector, pathname, { headers })).status;
      expect(await status({ host: `evil.example:${port}` })).toBe(403);
      expect(await status({ host: "127.0.0.1:1" })).toBe(403);
      expect(await status({ host: `127.0.0.1.evil.example:${port}` })).toBe(403);
      expect(await status({ host: `LOCALHOST:${port}` })).toBe(200);
      expect(await status({ "sec-fetch-site": "cross-site" })).toBe(403);
      expect(await status({ "sec-fetch-site": "same-origin" })).toBe(200);
    });
  });

  test("it only answers questions, names no file that is not its own, and forbids the page everything else", async () => {
    await inspected(async (inspector) => {
      const { pathname } = new URL(inspector.url);
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
        expect((await ask(inspector, pathname, { method })).status, method).toBe(405);
      const headersOfPath = { authorization: `Bearer ${inspector.token}` };
      for (const path of [
        "../server.js",
        "page/../../index.js",
        "%2e%2e/server.js",
        "page/",
        "package.json",
        "/x",
      ])
        expect((await ask(inspector, `/${path}`, { headers: headersOfPath })).status, path).toBe(404);
      expect((await ask(inspector, pathname.slice(0, -1))).status).toBe(404);
      const { headers } = await ask(inspector, pathname);
      expect(headers["content-security-policy"]).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self';/,
      );
      expect(headers["content-security-policy"]).not.toMatch(/unsafe|https?:|\*/);
      expect(headers).toMatchObject({
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
      });
      expect(headers["access-control-allow-origin"]).toBeUndefined();
    });
  });

  test("a browser may take the style that a drawing has in itself, and no other", async () => {
    await inspected(async (inspector) => {
      const { pathname } = new URL(inspector.url);
      for (const name of ["graph.svg", "tree.svg"]) {
        const { body, headers } = await ask(inspector, `${pathname}${name}`);
        const style = /<style>(.*)<\/style>/s.exec(body)?.[1] ?? "";
        const hash = createHash("sha256").update(style).digest("base64");
        expect(headers["content-security-policy"], name).toBe(
          `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'`,
        );
      }
    });
  });

  test("an address that is none is refused as one without the token", async () => {
    await inspected(async (inspector) => {
      for (const path of ["//", "///x", "http://", "//[/"])
        expect(await ask(inspector, path), path).toMatchObject({ status: 403, body: "wrong token\n" });
    });
  });

  test("any name can be shown, half of a surrogate pair, too", async () => {
    const { table } = openPair();
    await using inspector = await openInspector(table, { name: "a\ud800b \u{1f600}" });
    const { status, headers } = await ask(inspector, `/${inspector.token}/snapshot.json`);
    expect([status, headers["lpar-name"]]).toEqual([200, "a%3Fb%20%F0%9F%98%80"]);
  });

  test("whoever connects without end gets 64 connections, and not all that the process can open", async () => {
    await inspected(async (inspector) => {
      const port = Number(new URL(inspector.url).port);
      const open = new Set<Socket>();
      const made = Array.from({ length: 200 }, () => {
        const socket = connect({ port, host: "127.0.0.1" });
        open.add(socket);
        socket.on("error", () => {}).on("close", () => open.delete(socket));
        return new Promise<void>((resolve) => socket.on("connect", resolve).on("close", () => resolve()));
      });
      await Promise.all(made);
      await expect.poll(() => open.size).toBe(64);
      for (const socket of open) socket.destroy();
      await expect.poll(() => open.size).toBe(0);
      await expect.poll(async () => (await ask(inspector, "/")).status).toBe(403);
    });
  });

  test("it listens on 127.0.0.1 alone, does so again after close(), and refuses options that are none", async () => {
    const { table } = openPair();
    const inspector = await openInspector(table);
    const port = Number(new URL(inspector.url).port);
    const reachable = await new Promise((resolve) => {
      const socket = connect({ port, host: "::1" }, () => resolve(true)).on("error", () => resolve(false));
      socket.unref();
    });
    expect(reachable).toBe(false);
    await expect(openInspector(table, { port })).rejects.toMatchObject({ code: "LPAR_CANNOT_LISTEN" });
    await inspector.close();
    await inspector.close();
    const again = await openInspector(table, { port });
    expect(again.token).not.toBe(inspector.token);
    await again[Symbol.asyncDispose]();
    await expect(openInspector(table, { port: 70000 })).rejects.toThrow("port is 70000");
    await expect(openInspector(table, { port: 0, path: "x" })).rejects.toThrow("exclude each other");
    for (const path of ["", "\0lpar", null, 5])
      await expect(openInspector(table, { path: path as string })).rejects.toThrow(
        /^path is .*; it must name a file$/,
      );
    for (const none of [undefined, {}, table.createPartition({ name: "none" })])
      await expect(openInspector(none as never)).rejects.toThrow(/^the table is .*must be a ResourceTable$/);
  });

  test("after the table is closed it says so, and a new one is refused", async () => {
    await inspected(async (inspector, table) => {
      await table.close();
      const { status, body } = await ask(inspector, `/${inspector.token}/snapshot.json`);
      expect([status, body]).toEqual([500, "the resource table is closed\n"]);
      expect((await lpar("ls", "--connect", inspector.url)).code).toBe(1);
      await expect(openInspector(table)).rejects.toMatchObject({ code: "LPAR_CLOSED" });
    });
  });

  test("a Unix socket is its user's alone, answers the commands, and is gone afterwards", async () => {
    const { table } = openPair();
    const path = join(folder, "s.sock");
    const inspector = await openInspector(table, { path });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(inspector.url).toBe(`unix:${path}#${inspector.token}`);
    const { code, output } = await lpar("ls", "--connect", inspector.url);
    expect([code, output]).toEqual([0, expect.stringContaining("server")]);
    await inspector.close();
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

test("nothing listens by a part of a path that is too long for a socket", async () => {
  const { table } = openPair();
  const own = await mkdtemp(join(folder, "long-"));
  const most = process.platform === "linux" ? 107 : 103;
  const path = join(own, "x").padEnd(most, "x");
  const opened = openInspector(table, { path: `${path}y` });
  await expect(opened).rejects.toThrow(`it must have at most ${most} bytes`);
  expect(await readdir(own)).toEqual([]);
  const inspector = await openInspector(table, { path });
  expect((await lpar("ls", "--connect", inspector.url)).code).toBe(0);
  await inspector.close();
  expect(await readdir(own)).toEqual([]);
});

describe("addresses of inspectors", () => {
  test("only this machine's are taken, and no message shows the token", async () => {
    const token = "abcdefghijklmnop_-0123456789";
    expect(parsePlace(`http://127.0.0.1:80/${token}/`)).toMatchObject({ token, listen: { port: 80 } });
    expect(parsePlace(`http://localhost:80/${token}`)).toMatchObject({ shown: "http://127.0.0.1:80" });
    expect(parsePlace(`unix:/a b#${token}`)).toMatchObject({ listen: { socketPath: "/a b" } });
    expect(parsePlace(`unix:/a#b#${token}`)).toMatchObject({ token, listen: { socketPath: "/a#b" } });
    const bad = [
      "",
      "x",
      "http://127.0.0.1:80/",
      `http://example.com:80/${token}/`,
      `https://127.0.0.1:80/${token}/`,
    ];
    const worse = [
      `http://127.0.0.1:99999/${token}/`,
      `http://127.0.0.1/${token}/`,
      "unix:/a",
      "unix:/a#x y",
    ];
    for (const address of [...bad, ...worse]) {
      expect(parsePlace(address), address).toBeUndefined();
      expect(await lpar("ls", "--connect", address)).toMatchObject({ code: 2, output: "" });
    }
    const refused = await lpar("ls", "--connect", `http://127.0.0.1:1/${token}/`);
    expect(refused).toMatchObject({ code: 1, output: "" });
    expect(refused.errors).toBe("lpar: http://127.0.0.1:1: no inspector answers there (ECONNREFUSED)\n");
    await inspected(async (inspector) => {
      const wrong = await lpar("ls", "--connect", inspector.url.replace(inspector.token, token));
      expect(wrong.code).toBe(1);
      expect(wrong.errors).toMatch(/^lpar: http:\/\/127\.0\.0\.1:\d+: the token is not that inspector's\n$/);
    });
  });
});

test.each(["null", "{", '{"problems":{},"checked":1}'])(
  "a process that answers %s to an audit is said to have answered none",
  async (answer) => {
    const server = createServer((asked, reply) => {
      reply.end(asked.url === "/audit.json" ? answer : JSON.stringify(eventful));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const place = `http://127.0.0.1:${port}`;
    expect(await lpar("audit", "--connect", `${place}/abcdefghijklmnop/`)).toEqual({
      code: 2,
      output: "",
      errors: `lpar: ${place}: its answer is no audit\n`,
    });
    server.close();
  },
);

const EVIL = "\u001b[2J";

test("what a process answers for an error puts nothing on the terminal but text", async () => {
  const server = createServer((_, reply) => void reply.writeHead(500).end(EVIL));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const place = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { errors } = await lpar("ls", "--connect", `${place}/abcdefghijklmnop/`);
  expect(errors).toBe(`lpar: ${place}: 500 ?[2J\n`);
  server.close();
});

const SCENARIO = join(import.meta.dirname, "../bench/scenarios/server-crash.json");

describe("the commands that look", () => {
  test("all of them show a living process as it is", async () => {
    await inspected(async (inspector, table) => {
      const connect = ["--connect", inspector.url];
      expect((await lpar("ls", "grants", ...connect)).output).toMatch(/server +client +memory +0 +1 page/);
      expect(JSON.parse((await lpar("ls", "--json", ...connect)).output)).toEqual(table.inspect());
      expect((await lpar("graph", ...connect)).output).toContain('p1 -> p2 [label="rw 1 page"]');
      expect((await lpar("top", ...connect)).output).toContain("lpar top  http://127.0.0.1:");
      const audit = JSON.parse((await lpar("audit", "--json", ...connect)).output);
      expect(audit).toMatchObject({ problems: [], records: { problems: [] }, snapshot: { problems: [] } });
      expect(audit.records.checked).toBeGreaterThan(100);
      expect(JSON.parse((await lpar("inspect", ...connect)).output)).toEqual(table.inspect());
    });
  });

  test("of a scenario the table after the step is shown that was asked for", async () => {
    const names = async (...more: string[]): Promise<string[]> => {
      const { output } = await lpar("ls", "events", "--scenario", SCENARIO, "--json", ...more);
      return (JSON.parse(output) as { type: string }[]).map(({ type }) => type);
    };
    expect(await names("--step", "0")).not.toContain("partition-failed");
    expect(await names()).toContain("partition-restarted");
    expect(await lpar("audit", "--scenario", SCENARIO)).toMatchObject({ code: 0, errors: "" });
  });

  test("a scenario whose step fails is shown as it is, with the failure and exit code 1", async () => {
    const path = join(folder, "fails.json");
    const steps = [{ allocate: { by: "one", length: 4096 }, expect: "H_NO_MEM" }];
    const table = { memory: "64KiB" };
    await writeFile(
      path,
      JSON.stringify({ version: 1, table, partitions: [{ name: "one", memory: "16KiB" }], steps }),
    );
    const { code, output, errors } = await lpar("ls", "--scenario", path);
    expect([code, output.includes("one")]).toEqual([1, true]);
    expect(errors).toMatch(/fails\.json: steps\[0\] .*expected H_NO_MEM/);
  });

  test("what a snapshot says in texts of its own puts nothing on the terminal but text", async () => {
    const path = join(folder, "evil.json");
    const texts = ["name", "detail", "type"];
    const evil = (part: object): object =>
      Object.fromEntries(
        Object.entries(part).map(([key, value]) => [key, texts.includes(key) ? `a${EVIL}` : value]),
      );
    const { partitions, groups, events } = eventful;
    const named = partitions.map((each) => ({ ...each, name: EVIL }));
    const snapshot = { ...eventful, partitions: named, groups: groups.map(evil), events: events.map(evil) };
    await writeFile(path, JSON.stringify(snapshot));
    const lists = ["partitions", "resources", "grants", "maps", "adapters", "events", "interrupts", "dma"];
    const graphs = ["dot", "mermaid", "svg"].map((format) => ["graph", "--format", format]);
    for (const args of [["ls"], ["top"], ["audit"], ...lists.map((list) => ["ls", list]), ...graphs]) {
      const { code, output } = await lpar(...args, "--file", path);
      expect([code, output.includes("\u001b")], args.join(" ")).toEqual([0, false]);
    }
  });

  test("an audit that finds something says what, and ends with 1", async () => {
    const path = join(folder, "broken.json");
    await writeFile(path, JSON.stringify({ ...eventful, quarantine: [] }));
    const { code, output } = await lpar("audit", "--file", path);
    expect(code).toBe(1);
    expect(output).toMatch(/^frames in quarantine: 0 counted, 1 on record\nrecords {3}not here/);
    expect((await lpar("audit", "--file", file)).code).toBe(0);
  });

  test.each<[string, readonly string[], RegExp]>([
    ["nothing to look at", ["ls"], /nothing to look at: name --file, --scenario or --connect/],
    ["two things", ["ls", "--file", "x", "--scenario", "y"], /exclude each other/],
    [
      "a list that is none",
      ["ls", "everything", "--file", "x"],
      /no list "everything"; the lists are partitions,/,
    ],
    [
      "a file that is not there",
      ["graph", "--file", "/nowhere.json"],
      /\/nowhere\.json: cannot be read \(ENOENT/,
    ],
    [
      "a file that is no snapshot",
      ["top", "--file", SCENARIO],
      /is no snapshot that this program reads: version is 1/,
    ],
    ["a scenario that is none", ["audit", "--scenario", "package.json"], /package\.json: /],
    ["a step beyond the last", ["ls", "--scenario", SCENARIO, "--step", "9999"], /has 29 steps/],
    ["a step of no scenario", ["ls", "--file", "x", "--step", "1"], /--step needs --scenario/],
    ["a seed of no scenario", ["audit", "--file", "x", "--seed", "1"], /--seed needs --scenario/],
    ["an address that is none", ["ls", "--connect", "x"], /--connect must be http:/],
    [
      "a format that is none",
      ["graph", "--format", "png", "--file", "x"],
      /Allowed choices are dot, mermaid, svg/,
    ],
    ["a port of no server", ["inspect", "--port", "80", "--file", "x"], /--port needs --serve/],
  ])("%s is a mistake in one line", async (_, args, message) => {
    const { code, output, errors } = await lpar(...args);
    expect([code, output]).toEqual([2, ""]);
    expect(errors).toMatch(message);
    expect(errors.trim().split("\n").length).toBe(1);
  });

  test("an address that is none is blamed on the environment if it stands there", async () => {
    vi.stubEnv("LPAR_INSPECTOR", "x");
    const { code, errors } = await lpar("ls").finally(() => vi.unstubAllEnvs());
    expect([code, errors]).toEqual([
      2,
      expect.stringMatching(/^lpar: what LPAR_INSPECTOR holds must be http:/),
    ]);
  });

  test("on a terminal top draws in place of the frame before, until q", async () => {
    const output = Object.assign(new Screen(true), { columns: 60, rows: 12 });
    const raw: boolean[] = [];
    const input = Object.assign(new Readable({ read: () => {} }), {
      isTTY: true,
      setRawMode: (is: boolean) => raw.push(is),
    });
    const ended = runProgram(["top", "--file", file], {
      input,
      output,
      errors: new Screen(true),
      exitCode: 0,
    });
    while (!output.text.includes("frames")) await new Promise((resolve) => setTimeout(resolve, 5));
    input.push("x");
    input.push("q");
    expect(await ended).toBe(0);
    expect(raw).toEqual([true, false]);
    expect(output.text.startsWith("\u001b[?1049h\u001b[?25l\u001b[H")).toBe(true);
    expect(output.text.endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
    expect((await onTerminal(["ls", "--file", file])).code).toBe(0);
  });

  test("inspect --serve prints its address and serves until Ctrl-C, in a process of its own", async () => {
    const main = join(import.meta.dirname, "../dist/src/driver/main.js");
    const child = spawn(process.execPath, [main, "inspect", "--serve", "--file", file], { stdio: "pipe" });
    const ended = new Promise((resolve) => child.on("close", resolve));
    const url = await new Promise<string>((resolve) =>
      child.stdout.once("data", (bytes) => resolve(String(bytes))),
    );
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{32}\/\n$/);
    expect((await lpar("ls", "--connect", url.trim())).output).toContain("crashed");
    child.kill("SIGINT");
    expect(await ended).toBe(0);
  });
});
